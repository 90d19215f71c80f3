# Mutated datagrams through the engine; run by `./dev fuzz` and, shorter, by `./dev test`.
noinst_PROGRAMS += tests/fuzz/fuzz_engine
tests_fuzz_fuzz_engine_SOURCES = \
	tests/fuzz/fuzz_engine.c \
	tests/fuzz/mutate.c tests/fuzz/mutate.h \
	tests/sim/policy.c \
	tests/sim/sim.c tests/sim/sim.h \
	tests/sim/vkernel.c
tests_fuzz_fuzz_engine_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=ike_seal_end
tests_fuzz_fuzz_engine_LDADD = $(IKE_LIBS) $(POLICY_LIBS) $(XFRM_LIBS) $(COMMON_LIBS)
