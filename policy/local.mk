# policy: the policy language (here) and the store, matching and pagent (store.mk).
include policy/store.mk

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
	policy/compile_vpn.c \
	policy/diag.c policy/diag.h \
	policy/files.c \
	policy/grammar.c policy/grammar.h policy/grammar_rows.h \
	policy/grammar_table.c \
	policy/ikeconfig.c \
	policy/lex.c policy/lex.h \
	policy/parse.c policy/parse.h policy/parse_file.h \
	policy/policy.c policy/policy.h \
	policy/pool.c policy/pool.h \
	policy/quirk.c policy/quirk.h \
	policy/resolve.c \
	policy/tree.c policy/tree.h \
	policy/validate.c \
	policy/value.c policy/value.h \
	$(POLICY_STORE_SOURCES)
libpolicy_a_CFLAGS = $(AM_CFLAGS) $(GCRYPT_CFLAGS) $(SQLITE_CFLAGS) $(OPENSSL_CFLAGS)
POLICY_LIBS = libpolicy.a $(COMMON_LIBS) $(GCRYPT_LIBS) $(SQLITE_LIBS) $(OPENSSL_LIBS)

# Prints docs/compatibility.md.
noinst_PROGRAMS += policy/compatibility
policy_compatibility_SOURCES = policy/compat_main.c
policy_compatibility_LDADD = $(POLICY_LIBS)

check_PROGRAMS += tests/unit/test_codepage tests/unit/test_lex tests/unit/test_policy_errors \
	tests/unit/test_policy_language tests/unit/test_policy_memory
tests_unit_test_codepage_SOURCES = tests/unit/test_codepage.c \
	tests/unit/policy_text.c tests/unit/policy_text.h
tests_unit_test_codepage_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_codepage_LDADD = $(POLICY_LIBS) $(CHECK_LIBS)
tests_unit_test_lex_SOURCES = tests/unit/test_lex.c
tests_unit_test_lex_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_lex_LDADD = $(POLICY_LIBS) $(CHECK_LIBS)
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

EXTRA_DIST += tests/data/policy
