# Mutated datagrams through the engine; run by `./dev fuzz` and, shorter, by `./dev test`.
noinst_PROGRAMS += tests/fuzz/fuzz_engine
tests_fuzz_fuzz_engine_SOURCES = \
	tests/fuzz/fuzz_engine.c \
	tests/fuzz/mutate.c tests/fuzz/mutate.h \
	tests/sim/audit.c tests/sim/client.c tests/sim/keyring.c tests/sim/nat.c tests/sim/policy.c \
	tests/sim/reload.c tests/sim/restart.c tests/sim/shared.c \
	tests/sim/sim.c tests/sim/sim.h \
	tests/sim/vkernel.c
tests_fuzz_fuzz_engine_CFLAGS = $(AM_CFLAGS) $(OPENSSL_CFLAGS)
tests_fuzz_fuzz_engine_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=ike_seal_end
tests_fuzz_fuzz_engine_LDADD = $(CERT_LIBS) $(IKE_LIBS) $(POLICY_LIBS) $(XFRM_LIBS) $(COMMON_LIBS)

# libFuzzer's, with --enable-fuzzing; run by `./dev fuzz libfuzzer`.
if FUZZING
noinst_PROGRAMS += tests/fuzz/seeds $(FUZZERS)
endif
FUZZERS = tests/fuzz/fuzz_isakmp tests/fuzz/fuzz_policy tests/fuzz/fuzz_nmi tests/fuzz/fuzz_pki \
	tests/fuzz/fuzz_shared_row tests/fuzz/fuzz_smf
EXTRA_PROGRAMS = tests/fuzz/seeds $(FUZZERS)
FUZZER_LINK = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_seeds_SOURCES = \
	tests/fuzz/seeds.c \
	tests/fuzz/holds.h tests/fuzz/wire_check.c tests/fuzz/wire_check.h tests/fuzz/wire_messages.c \
	tests/kat/kat.h tests/kat/kat_pcap.c \
	tests/unit/sa_random.c tests/unit/sa_random.h \
	$(PKI_FUZZ_SOURCES)
tests_fuzz_seeds_CFLAGS = $(AM_CFLAGS) $(UV_CFLAGS) $(JANSSON_CFLAGS) $(OPENSSL_CFLAGS)
tests_fuzz_seeds_LDADD = $(IKED_LIBS)
tests_fuzz_fuzz_isakmp_SOURCES = \
	tests/fuzz/fuzz_isakmp.c \
	tests/fuzz/holds.h tests/fuzz/wire_check.c tests/fuzz/wire_check.h
tests_fuzz_fuzz_isakmp_LDFLAGS = $(FUZZER_LINK)
tests_fuzz_fuzz_isakmp_LDADD = $(IKE_LIBS) $(COMMON_LIBS)
tests_fuzz_fuzz_policy_SOURCES = tests/fuzz/fuzz_policy.c tests/fuzz/holds.h
tests_fuzz_fuzz_policy_LDFLAGS = $(FUZZER_LINK)
tests_fuzz_fuzz_policy_LDADD = $(POLICY_LIBS)
tests_fuzz_fuzz_pki_SOURCES = tests/fuzz/fuzz_pki.c $(PKI_FUZZ_SOURCES)
tests_fuzz_fuzz_pki_CFLAGS = $(AM_CFLAGS) $(OPENSSL_CFLAGS)
tests_fuzz_fuzz_pki_LDFLAGS = $(FUZZER_LINK)
tests_fuzz_fuzz_pki_LDADD = libiked.a $(CERT_LIBS) $(IKE_LIBS) $(COMMON_LIBS)
tests_fuzz_fuzz_nmi_SOURCES = tests/fuzz/fuzz_nmi.c tests/fuzz/holds.h
tests_fuzz_fuzz_nmi_CFLAGS = $(AM_CFLAGS) $(UV_CFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_fuzz_nmi_LDFLAGS = $(FUZZER_LINK)
tests_fuzz_fuzz_nmi_LDADD = $(COMMON_LIBS)
tests_fuzz_fuzz_shared_row_SOURCES = tests/fuzz/fuzz_shared_row.c tests/fuzz/holds.h
tests_fuzz_fuzz_shared_row_CFLAGS = $(AM_CFLAGS) $(UV_CFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_fuzz_shared_row_LDFLAGS = $(FUZZER_LINK)
tests_fuzz_fuzz_shared_row_LDADD = $(IKED_LIBS)
tests_fuzz_fuzz_smf_SOURCES = tests/fuzz/fuzz_smf.c tests/fuzz/holds.h
tests_fuzz_fuzz_smf_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_fuzz_smf_LDFLAGS = $(FUZZER_LINK)
tests_fuzz_fuzz_smf_LDADD = $(SMF_LIBS) $(JANSSON_LIBS)
