# The lab and the example policies.
exampledir = $(docdir)/examples
dist_example_DATA = examples/left.policy examples/permit-all.policy examples/right.policy
# Not tests/lab as a whole: a build in the source tree leaves objects there.
EXTRA_DIST += \
	tests/lab/bench.py tests/lab/cases tests/lab/demo.py tests/lab/guest.py tests/lab/init \
	tests/lab/init-native tests/lab/interop.py tests/lab/kernel.config tests/lab/labkit \
	tests/lab/policybench.py tests/lab/run tests/lab/watch.py tests/lab/xfrm_scheme.sh
