# Benchmarks, run by `./dev bench`.
noinst_PROGRAMS += tests/bench/bench_engine tests/bench/bench_policy
tests_bench_bench_engine_SOURCES = tests/bench/bench_engine.c tests/bench/ends.c tests/bench/ends.h
tests_bench_bench_engine_LDADD = $(IKE_LIBS) $(POLICY_LIBS) $(XFRM_LIBS) $(COMMON_LIBS)

noinst_PROGRAMS += tests/bench/bench_ttls
tests_bench_bench_ttls_SOURCES = tests/bench/bench_ttls.c
tests_bench_bench_ttls_LDADD = $(POLICY_LIBS)
tests_bench_bench_policy_SOURCES = tests/bench/bench_policy.c
tests_bench_bench_policy_CFLAGS = $(AM_CFLAGS) $(MNL_CFLAGS)
tests_bench_bench_policy_LDADD = $(XFRM_LIBS) $(POLICY_LIBS) $(COMMON_LIBS)

noinst_PROGRAMS += tests/bench/bench_smf
tests_bench_bench_smf_SOURCES = tests/bench/bench_smf.c
tests_bench_bench_smf_LDADD = $(SMF_LIBS)

noinst_PROGRAMS += tests/bench/bench_audit
tests_bench_bench_audit_SOURCES = tests/bench/bench_audit.c tests/bench/ends.c tests/bench/ends.h
tests_bench_bench_audit_CFLAGS = $(IKED_CFLAGS) $(TRMD_CFLAGS)
tests_bench_bench_audit_LDADD = $(TRMD_LIBS) $(IKED_LIBS)
EXTRA_tests_bench_bench_audit_DEPENDENCIES = trmd/trmd
