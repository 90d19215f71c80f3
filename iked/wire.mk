# wire: ISAKMP's codec, proposals and IKE's cryptography, below the engine; and libike.a as a whole.
noinst_LIBRARIES += libike.a
IKE_WIRE_SOURCES = \
	iked/arena.c iked/crypto.h \
	iked/cert.h iked/cert_job.c \
	iked/config_payload.c iked/config_payload.h \
	iked/crypto_hash.c iked/keymat.c \
	iked/dh.c iked/dh.h iked/dh_groups.c iked/dh_gcrypt.c \
	iked/isakmp.c iked/isakmp.h iked/isakmp_rules.c \
	iked/offer_p2.c iked/proposal.h iked/proposal_p1.c iked/proposal_p2.c iked/proposal_p2.h \
	iked/sa_payload.c iked/sa_payload.h
if HAVE_OPENSSL
IKE_WIRE_SOURCES += iked/dh_openssl.c
endif
libike_a_SOURCES = $(IKE_WIRE_SOURCES) $(IKE_ENGINE_SOURCES)
libike_a_CFLAGS = $(AM_CFLAGS) $(GCRYPT_CFLAGS) $(CRYPT_CFLAGS) $(OPENSSL_CFLAGS)
IKE_LIBS = libike.a $(GCRYPT_LIBS) $(CRYPT_LIBS) $(OPENSSL_LIBS)

# Known answers: what real peers computed. Runs over tests/captures, or the directories it is given.
check_PROGRAMS += tests/kat/kat
tests_kat_kat_SOURCES = tests/kat/kat.c tests/kat/kat.h tests/kat/kat_check.c tests/kat/kat_pcap.c \
	tests/kat/kat_sign.c
tests_kat_kat_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_kat_kat_LDADD = $(IKE_LIBS) $(PKI_LIBS) $(COMMON_LIBS)
TESTS += tests/kat/kat_mangled.sh
EXTRA_DIST += \
	tests/kat/kat_mangled.sh \
	tests/captures/README.md \
	tests/captures/aggr-psk-aes128-sha1-modp1536.json \
	tests/captures/aggr-psk-aes128-sha1-modp1536.pcap \
	tests/captures/main-psk-3des-md5-modp1536.json \
	tests/captures/main-psk-3des-md5-modp1536.pcap \
	tests/captures/main-psk-aes128-sha1-modp2048.json \
	tests/captures/main-psk-aes128-sha1-modp2048.pcap \
	tests/captures/main-psk-aes256-sha256-modp2048-pfs.json \
	tests/captures/main-psk-aes256-sha256-modp2048-pfs.pcap \
	tests/captures/main-psk-aes256-sha384-ecp384-gcm.json \
	tests/captures/main-psk-aes256-sha384-ecp384-gcm.pcap \
	tests/captures/main-rsa-aes256-sha256-modp2048.json \
	tests/captures/main-rsa-aes256-sha256-modp2048.pcap \
	tests/captures/natt-main-psk-aes128-sha256-modp2048.json \
	tests/captures/natt-main-psk-aes128-sha256-modp2048.pcap \
	tests/captures/xauth-modecfg-psk.json \
	tests/captures/xauth-modecfg-psk.pcap

check_PROGRAMS += \
	tests/unit/test_arena tests/unit/test_crypto tests/unit/test_isakmp \
	tests/unit/test_proposal tests/unit/test_wire_mutation
tests_unit_test_arena_SOURCES = tests/unit/test_arena.c
tests_unit_test_arena_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_arena_LDADD = $(IKE_LIBS) $(COMMON_LIBS) $(CHECK_LIBS)
tests_unit_test_crypto_SOURCES = tests/unit/test_crypto.c
tests_unit_test_crypto_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(GCRYPT_CFLAGS) $(OPENSSL_CFLAGS)
tests_unit_test_crypto_LDADD = $(IKE_LIBS) $(COMMON_LIBS) $(CHECK_LIBS)
tests_unit_test_isakmp_SOURCES = tests/unit/test_isakmp.c
tests_unit_test_isakmp_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_isakmp_LDADD = $(IKE_LIBS) $(COMMON_LIBS) $(CHECK_LIBS)
tests_unit_test_proposal_SOURCES = tests/unit/test_proposal.c
tests_unit_test_proposal_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_proposal_LDADD = $(IKE_LIBS) $(COMMON_LIBS) $(CHECK_LIBS)
tests_unit_test_wire_mutation_SOURCES = tests/unit/test_wire_mutation.c \
	tests/fuzz/holds.h tests/fuzz/wire_check.c tests/fuzz/wire_check.h \
	tests/fuzz/wire_messages.c
tests_unit_test_wire_mutation_LDADD = $(IKE_LIBS) $(COMMON_LIBS)
