# The lab and the example policies.
exampledir = $(docdir)/examples
dist_example_DATA = \
	examples/README.md examples/bank.policy examples/branch-gateway.policy examples/clients.policy \
	examples/host-to-gateway.policy examples/host-to-host.policy examples/left.policy \
	examples/permit-all.policy examples/right.policy examples/time-windows.policy examples/ttls.policy
mixedexampledir = $(exampledir)/mixed
dist_mixedexample_DATA = examples/mixed/image.conf examples/mixed/ipsec.policy examples/mixed/pagent.conf \
	examples/mixed/ttls.policy
# Not tests/lab as a whole: a build in the source tree leaves objects there.
EXTRA_DIST += \
	tests/lab/bench.py tests/lab/cases tests/lab/demo.py tests/lab/guest.py tests/lab/init \
	tests/lab/init-native tests/lab/interop.py tests/lab/kernel.config tests/lab/kill_at.c \
	tests/lab/labkit tests/lab/policybench.py tests/lab/takeoverbench.py tests/lab/run \
	tests/lab/watch.py tests/lab/xfrm_scheme.sh

# What the lab preloads into a program to end it at a chosen call; make makes it by name alone.
tests/lab/kill_at.so: tests/lab/kill_at.c
	$(AM_V_CCLD)$(MKDIR_P) $(@D) && $(CC) $(CPPFLAGS) $(AM_CPPFLAGS) $(AM_CFLAGS) $(CFLAGS) \
		-shared -fPIC -o $@ $< -ldl
MOSTLYCLEANFILES = tests/lab/kill_at.so
