# The simulation; `./dev test` runs it, `make check` does not: it takes minutes.
noinst_PROGRAMS += tests/sim/sim
tests_sim_sim_SOURCES = \
	tests/sim/audit.c \
	tests/sim/client.c \
	tests/sim/endurance.c \
	tests/sim/exhaustive.c \
	tests/sim/keyring.c \
	tests/sim/main.c \
	tests/sim/nat.c \
	tests/sim/policy.c \
	tests/sim/reload.c \
	tests/sim/restart.c \
	tests/sim/scenarios.c \
	tests/sim/shared.c \
	tests/sim/sim.c tests/sim/sim.h \
	tests/sim/takeover.c \
	tests/sim/vkernel.c
tests_sim_sim_CFLAGS = $(AM_CFLAGS) $(OPENSSL_CFLAGS)
tests_sim_sim_LDADD = $(CERT_LIBS) $(IKE_LIBS) $(POLICY_LIBS) $(XFRM_LIBS) $(COMMON_LIBS)
