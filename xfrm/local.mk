# xfrm: the kernel's SAs, policies and filters.
noinst_LIBRARIES += libxfrm.a
libxfrm_a_SOURCES = \
	xfrm/events.c \
	xfrm/kernel.h \
	xfrm/mark.c \
	xfrm/netlink.c \
	xfrm/sa.c \
	xfrm/spd.c \
	xfrm/xfrm.h
libxfrm_a_CFLAGS = $(AM_CFLAGS) $(MNL_CFLAGS) $(NFTABLES_CFLAGS) $(JANSSON_CFLAGS)
XFRM_LIBS = libxfrm.a $(NFTABLES_LIBS) $(MNL_LIBS) $(JANSSON_LIBS)
