# pasearch, which displays the policy in force.
PASEARCH_SOURCES = \
	policy/pasearch.h \
	policy/pasearch_json.c \
	policy/pasearch_select.c \
	policy/pasearch_text.c \
	policy/pasearch_time.c \
	policy/pasearch_write.c

bin_PROGRAMS += policy/pasearch
policy_pasearch_SOURCES = policy/pasearch_main.c $(PASEARCH_SOURCES)
policy_pasearch_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(SQLITE_CFLAGS) $(GCRYPT_CFLAGS)
policy_pasearch_LDADD = $(POLICY_LIBS)
dist_man_MANS += man/pasearch.1

check_PROGRAMS += tests/unit/test_pasearch
tests_unit_test_pasearch_SOURCES = tests/unit/test_pasearch.c $(PASEARCH_SOURCES) \
	tests/unit/policy_text.c tests/unit/policy_text.h
tests_unit_test_pasearch_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS) $(SQLITE_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_pasearch_LDADD = $(POLICY_LIBS) $(CHECK_LIBS)
EXTRA_tests_unit_test_pasearch_DEPENDENCIES = policy/pasearch
EXTRA_DIST += tests/data/pasearch

check_PROGRAMS += tests/unit/test_policy_roundtrip
tests_unit_test_policy_roundtrip_SOURCES = tests/unit/test_policy_roundtrip.c $(PASEARCH_SOURCES) \
	tests/unit/policy_dump.c tests/unit/policy_dump.h \
	tests/unit/policy_random.c tests/unit/policy_random.h \
	tests/unit/policy_text.c tests/unit/policy_text.h
tests_unit_test_policy_roundtrip_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS) $(SQLITE_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_policy_roundtrip_LDADD = $(POLICY_LIBS) $(CHECK_LIBS)
