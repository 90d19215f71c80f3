# pki: certificates, on OpenSSL; without it nothing of this folder is built.
PKI_SOURCES = \
	pki/bytes.c pki/crl.c pki/files.c pki/info.c pki/issue.c pki/issue_crl.c pki/keyring.c \
	pki/keys.c pki/names.c pki/own.c pki/path.c pki/pkcs12.c pki/pki.h pki/private.h pki/sign.c \
	pki/usage.c
PKI_TOOL_SOURCES = \
	pki/tool.h pki/tool_check.c pki/tool_file.c pki/tool_list.c pki/tool_main.c \
	pki/tool_make.c pki/tool_move.c pki/tool_options.c pki/tool_revoke.c pki/tool_ring.c
PKI_FUZZ_SOURCES = \
	tests/fuzz/holds.h tests/fuzz/pki_check.c tests/fuzz/pki_check.h
PKI_TEST_SOURCES = tests/unit/pki_make.c tests/unit/pki_make.h
EXTRA_DIST += \
	$(PKI_SOURCES) $(PKI_TOOL_SOURCES) $(PKI_TEST_SOURCES) man/csipsec-pki.1 \
	tests/fuzz/fuzz_pki.c tests/fuzz/holds.h tests/fuzz/pki_check.c tests/fuzz/pki_check.h \
	tests/unit/test_pki_cli.c tests/unit/test_pki_issue.c tests/unit/test_pki_mutation.c \
	tests/unit/test_pki_path.c \
	tests/unit/test_pki_ring.c tests/unit/test_pki_sign.c
if HAVE_OPENSSL
noinst_LIBRARIES += libpki.a
libpki_a_SOURCES = $(PKI_SOURCES)
libpki_a_CFLAGS = $(AM_CFLAGS) $(OPENSSL_CFLAGS)
PKI_LIBS = libpki.a $(POLICY_LIBS) $(COMMON_LIBS) $(OPENSSL_LIBS)

bin_PROGRAMS += pki/csipsec-pki
pki_csipsec_pki_SOURCES = $(PKI_TOOL_SOURCES)
pki_csipsec_pki_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
pki_csipsec_pki_LDADD = $(PKI_LIBS) $(JANSSON_LIBS)
dist_man_MANS += man/csipsec-pki.1

check_PROGRAMS += \
	tests/unit/test_pki_cli tests/unit/test_pki_issue tests/unit/test_pki_mutation \
	tests/unit/test_pki_path \
	tests/unit/test_pki_ring tests/unit/test_pki_sign
PKI_TEST_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(OPENSSL_CFLAGS)
tests_unit_test_pki_cli_SOURCES = tests/unit/test_pki_cli.c $(PKI_TEST_SOURCES)
tests_unit_test_pki_cli_CFLAGS = $(PKI_TEST_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_test_pki_cli_LDADD = $(PKI_LIBS) $(JANSSON_LIBS) $(CHECK_LIBS)
EXTRA_tests_unit_test_pki_cli_DEPENDENCIES = pki/csipsec-pki
tests_unit_test_pki_issue_SOURCES = tests/unit/test_pki_issue.c $(PKI_TEST_SOURCES)
tests_unit_test_pki_issue_CFLAGS = $(PKI_TEST_CFLAGS)
tests_unit_test_pki_issue_LDADD = $(PKI_LIBS) $(CHECK_LIBS)
tests_unit_test_pki_mutation_SOURCES = tests/unit/test_pki_mutation.c $(PKI_FUZZ_SOURCES)
tests_unit_test_pki_mutation_CFLAGS = $(PKI_TEST_CFLAGS)
tests_unit_test_pki_mutation_LDADD = libiked.a $(CERT_LIBS) $(IKE_LIBS) $(COMMON_LIBS)
tests_unit_test_pki_path_SOURCES = tests/unit/test_pki_path.c $(PKI_TEST_SOURCES)
tests_unit_test_pki_path_CFLAGS = $(PKI_TEST_CFLAGS)
tests_unit_test_pki_path_LDADD = $(PKI_LIBS) $(CHECK_LIBS)
tests_unit_test_pki_ring_SOURCES = tests/unit/test_pki_ring.c $(PKI_TEST_SOURCES)
tests_unit_test_pki_ring_CFLAGS = $(PKI_TEST_CFLAGS)
tests_unit_test_pki_ring_LDADD = $(PKI_LIBS) $(CHECK_LIBS)
tests_unit_test_pki_sign_SOURCES = tests/unit/test_pki_sign.c $(PKI_TEST_SOURCES)
tests_unit_test_pki_sign_CFLAGS = $(PKI_TEST_CFLAGS)
tests_unit_test_pki_sign_LDADD = $(PKI_LIBS) $(CHECK_LIBS)
endif
