# Benchmarks, run by `./dev bench`.
noinst_PROGRAMS += tests/bench/bench_engine
tests_bench_bench_engine_SOURCES = tests/bench/bench_engine.c
tests_bench_bench_engine_LDADD = $(IKE_LIBS) $(POLICY_LIBS) $(XFRM_LIBS) $(COMMON_LIBS)

noinst_PROGRAMS += tests/bench/bench_ttls
tests_bench_bench_ttls_SOURCES = tests/bench/bench_ttls.c
tests_bench_bench_ttls_LDADD = $(POLICY_LIBS)
