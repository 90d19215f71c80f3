# iked: the daemon around the engine.
sbin_PROGRAMS += iked/iked
IKED_CFLAGS = $(AM_CFLAGS) $(UV_CFLAGS) $(JANSSON_CFLAGS) $(SQLITE_CFLAGS) $(DAEMON_CFLAGS) \
	$(GCRYPT_CFLAGS) $(CAPNG_CFLAGS) $(SECCOMP_CFLAGS)
IKED_STORE_SOURCES = \
	iked/json.c iked/json.h \
	iked/store.c iked/store.h iked/store_schema.c iked/store_schema.h
IKED_LIBS = $(IKE_LIBS) $(POLICY_LIBS) $(XFRM_LIBS) $(COMMON_LIBS) $(SQLITE_LIBS) $(JANSSON_LIBS) \
	$(UV_LIBS)

iked_iked_SOURCES = $(IKED_STORE_SOURCES) \
	iked/iked.h iked/main.c iked/nmi.c iked/parent.c \
	iked/pk_pool.c iked/pk_pool.h iked/ports.c iked/privilege.c \
	iked/reconcile.c iked/udp.c iked/worker.c
iked_iked_CFLAGS = $(IKED_CFLAGS)
iked_iked_LDADD = $(IKED_LIBS) $(DAEMON_LIBS) $(CAPNG_LIBS) $(SECCOMP_LIBS)
dist_man_MANS += man/iked.8
