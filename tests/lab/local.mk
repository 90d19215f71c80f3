# The lab, ./dev and the example policies.
exampledir = $(docdir)/examples
dist_example_DATA = examples/left.policy examples/right.policy
EXTRA_DIST += .ci/run .clang-tidy scripts tests/lab
