# xfrm: the kernel's SAs, policies and filters.
noinst_LIBRARIES += libxfrm.a
libxfrm_a_SOURCES = \
	xfrm/addresses.c \
	xfrm/carry.c \
	xfrm/closed.c xfrm/closed.h \
	xfrm/conntrack.c \
	xfrm/dead_end.c xfrm/dead_end.h \
	xfrm/early_demux.c \
	xfrm/events.c \
	xfrm/install.c \
	xfrm/kernel.h \
	xfrm/manual.c \
	xfrm/mark.c \
	xfrm/move.c \
	xfrm/netlink.c \
	xfrm/nft_addrs.c \
	xfrm/nft_clients.c \
	xfrm/nft_compile.c \
	xfrm/nft_install.c \
	xfrm/nft_lines.c \
	xfrm/nft_model.h \
	xfrm/nft_print.c \
	xfrm/nft_read.c \
	xfrm/nft_tree.c \
	xfrm/probe.c \
	xfrm/route.c \
	xfrm/sa.c \
	xfrm/spd.c \
	xfrm/spent.c xfrm/spent.h \
	xfrm/xfrm.h
libxfrm_a_CFLAGS = $(AM_CFLAGS) $(MNL_CFLAGS) $(NFTABLES_CFLAGS) $(JANSSON_CFLAGS)
XFRM_LIBS = libxfrm.a libpolicy.a $(NFTABLES_LIBS) $(MNL_LIBS) $(JANSSON_LIBS)

noinst_PROGRAMS += tests/lab/filter_lab tests/lab/xfrm_lab
tests_lab_filter_lab_SOURCES = tests/lab/filter_lab.c
tests_lab_filter_lab_CFLAGS = $(AM_CFLAGS) $(MNL_CFLAGS)
tests_lab_filter_lab_LDADD = $(XFRM_LIBS) $(POLICY_LIBS)
tests_lab_xfrm_lab_SOURCES = tests/lab/xfrm_lab.c
tests_lab_xfrm_lab_LDADD = $(XFRM_LIBS) $(POLICY_LIBS)

check_PROGRAMS += tests/unit/test_addresses tests/unit/test_nft tests/unit/test_nft_memory tests/unit/test_nft_model \
	tests/unit/test_xfrm
tests_unit_test_addresses_SOURCES = tests/unit/test_addresses.c
tests_unit_test_addresses_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_addresses_LDADD = $(XFRM_LIBS) $(POLICY_LIBS) $(CHECK_LIBS)
tests_unit_test_nft_SOURCES = tests/unit/test_nft.c
tests_unit_test_nft_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(MNL_CFLAGS)
tests_unit_test_nft_LDADD = $(XFRM_LIBS) $(POLICY_LIBS) $(CHECK_LIBS)
tests_unit_test_nft_memory_SOURCES = tests/unit/test_nft_memory.c
tests_unit_test_nft_memory_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_nft_memory_LDADD = $(XFRM_LIBS) $(POLICY_LIBS) $(CHECK_LIBS)
tests_unit_test_nft_memory_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=malloc,--wrap=calloc,--wrap=reallocarray
tests_unit_test_nft_model_SOURCES = \
	tests/unit/filter_random.c tests/unit/filter_random.h \
	tests/unit/test_nft_model.c
tests_unit_test_nft_model_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_nft_model_LDADD = $(XFRM_LIBS) $(POLICY_LIBS) $(CHECK_LIBS)
tests_unit_test_xfrm_SOURCES = tests/unit/test_xfrm.c
tests_unit_test_xfrm_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_xfrm_LDADD = $(XFRM_LIBS) $(POLICY_LIBS) $(CHECK_LIBS)
