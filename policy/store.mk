# policy: the policy store, matching and identities; part of libpolicy.a.
POLICY_STORE_SOURCES = \
	policy/content.c policy/content.h \
	policy/diff.c \
	policy/dn.c policy/dn.h \
	policy/hash.c policy/hash.h \
	policy/ident.c \
	policy/match.c \
	policy/store.c policy/store.h \
	policy/store_db.c \
	policy/store_rules.c \
	policy/store_tree.c \
	policy/times.c

check_PROGRAMS += tests/unit/test_match tests/unit/test_ident tests/unit/test_policy_store
tests_unit_test_match_SOURCES = tests/unit/test_match.c
tests_unit_test_match_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_match_LDADD = $(POLICY_LIBS) $(CHECK_LIBS)
tests_unit_test_ident_SOURCES = tests/unit/test_ident.c
tests_unit_test_ident_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_ident_LDADD = $(POLICY_LIBS) $(CHECK_LIBS)
tests_unit_test_policy_store_SOURCES = tests/unit/test_policy_store.c
tests_unit_test_policy_store_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(SQLITE_CFLAGS) $(GCRYPT_CFLAGS)
tests_unit_test_policy_store_LDADD = $(POLICY_LIBS) $(CHECK_LIBS)
