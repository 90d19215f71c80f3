# policy: the policy language (here), the store and matching (store.mk), pasearch; pagent: pagent.mk.
include policy/store.mk
include policy/pasearch.mk

noinst_LIBRARIES += libpolicy.a
libpolicy_a_SOURCES = \
	policy/check.c policy/check.h \
	policy/codepage.c policy/codepage.h \
	policy/compile.c policy/compile.h \
	policy/compile_addr.c \
	policy/compile_filter.c \
	policy/compile_ident.c \
	policy/compile_ke.c \
	policy/compile_local.c \
	policy/compile_manual.c \
	policy/compile_time.c \
	policy/compile_ttls.c policy/compile_ttls.h \
	policy/compile_ttls_rules.c \
	policy/compile_ttls_values.c \
	policy/compile_vpn.c \
	policy/diag.c policy/diag.h \
	policy/files.c \
	policy/grammar.c policy/grammar.h policy/grammar_rows.h \
	policy/grammar_profile.c policy/profile.h \
	policy/grammar_table.c policy/grammar_ttls.c \
	policy/ikeconfig.c \
	policy/lex.c policy/lex.h \
	policy/near.c policy/near.h \
	policy/parse.c policy/parse.h policy/parse_file.h \
	policy/policy.c policy/policy.h \
	policy/pool.c policy/pool.h \
	policy/profile.c \
	policy/quirk.c policy/quirk.h \
	policy/resolve.c \
	policy/show.c policy/show.h \
	policy/tree.c policy/tree.h \
	policy/ttls.h policy/ttls_image.h \
	policy/ttls_codes.c policy/ttls_codes.h \
	policy/ttls_fields.c \
	policy/ttls_map.c \
	policy/ttls_match.c \
	policy/ttls_publish.c \
	policy/validate.c \
	policy/value.c policy/value.h \
	policy/view.c policy/view.h \
	$(POLICY_STORE_SOURCES)
libpolicy_a_CFLAGS = $(AM_CFLAGS) $(GCRYPT_CFLAGS) $(SQLITE_CFLAGS) $(OPENSSL_CFLAGS)
POLICY_LIBS = libpolicy.a $(COMMON_LIBS) $(GCRYPT_LIBS) $(SQLITE_LIBS) $(OPENSSL_LIBS)

# Prints docs/compatibility.md.
noinst_PROGRAMS += policy/compatibility
policy_compatibility_SOURCES = policy/compat_main.c
policy_compatibility_LDADD = $(POLICY_LIBS)

check_PROGRAMS += tests/unit/test_codepage tests/unit/test_examples tests/unit/test_lex \
	tests/unit/test_policy_bad tests/unit/test_policy_errors tests/unit/test_policy_language \
	tests/unit/test_policy_memory tests/unit/test_profile tests/unit/test_ttls_policy \
	tests/unit/test_ttls_image
tests_unit_test_profile_SOURCES = tests/unit/test_profile.c \
	tests/unit/policy_text.c tests/unit/policy_text.h
tests_unit_test_profile_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_profile_LDADD = $(POLICY_LIBS) $(CHECK_LIBS)
tests_unit_test_codepage_SOURCES = tests/unit/test_codepage.c \
	tests/unit/policy_text.c tests/unit/policy_text.h
tests_unit_test_codepage_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_codepage_LDADD = $(POLICY_LIBS) $(CHECK_LIBS)
tests_unit_test_lex_SOURCES = tests/unit/test_lex.c
tests_unit_test_lex_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_lex_LDADD = $(POLICY_LIBS) $(CHECK_LIBS)
tests_unit_test_examples_SOURCES = tests/unit/test_examples.c \
	tests/unit/policy_text.c tests/unit/policy_text.h
tests_unit_test_examples_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_examples_LDADD = $(POLICY_LIBS) $(CHECK_LIBS)
tests_unit_test_policy_bad_SOURCES = tests/unit/test_policy_bad.c
tests_unit_test_policy_bad_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_policy_bad_LDADD = $(POLICY_LIBS) $(CHECK_LIBS)
tests_unit_test_policy_errors_SOURCES = tests/unit/test_policy_errors.c \
	tests/unit/policy_text.c tests/unit/policy_text.h
tests_unit_test_policy_errors_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_policy_errors_LDADD = $(POLICY_LIBS) $(CHECK_LIBS)
tests_unit_test_policy_language_SOURCES = tests/unit/test_policy_language.c \
	tests/unit/policy_text.c tests/unit/policy_text.h
tests_unit_test_policy_language_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_policy_language_LDADD = $(POLICY_LIBS) $(CHECK_LIBS)
tests_unit_test_policy_memory_SOURCES = tests/unit/test_policy_memory.c
tests_unit_test_policy_memory_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_policy_memory_LDADD = $(POLICY_LIBS) $(CHECK_LIBS)
tests_unit_test_policy_memory_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup
tests_unit_test_ttls_policy_SOURCES = tests/unit/test_ttls_policy.c \
	tests/unit/policy_text.c tests/unit/policy_text.h
tests_unit_test_ttls_policy_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(SQLITE_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_ttls_policy_LDADD = $(POLICY_LIBS) $(CHECK_LIBS)
tests_unit_test_ttls_image_SOURCES = tests/unit/test_ttls_image.c \
	tests/unit/policy_text.c tests/unit/policy_text.h
tests_unit_test_ttls_image_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_ttls_image_LDADD = $(POLICY_LIBS) $(CHECK_LIBS)

EXTRA_DIST += tests/data/policy tests/policies
