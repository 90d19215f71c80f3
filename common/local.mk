# common: the few things that all folders need.
noinst_LIBRARIES += libcommon.a
libcommon_a_SOURCES = \
	common/addr.c common/addr.h \
	common/alg.c common/alg.h \
	common/buf.c common/buf.h \
	common/clock.c common/clock.h \
	common/daemon.c common/daemon.h \
	common/err.c common/err.h \
	common/log.c common/log.h common/messages.h \
	common/netns_lock.c common/netns_lock.h \
	common/nmi_client.c common/nmi_server.c common/nmi.h \
	common/options.c common/options.h \
	common/paths.c common/paths.h \
	common/pid_file.c common/pid_file.h
libcommon_a_CFLAGS = $(AM_CFLAGS) $(UV_CFLAGS) $(JANSSON_CFLAGS) $(DAEMON_CFLAGS)
COMMON_LIBS = libcommon.a $(DAEMON_LIBS) $(JANSSON_LIBS) $(UV_LIBS)

check_PROGRAMS += tests/unit/test_common
tests_unit_test_common_SOURCES = tests/unit/test_common.c
tests_unit_test_common_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_common_LDADD = $(COMMON_LIBS) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_daemon
tests_unit_test_daemon_SOURCES = tests/unit/test_daemon.c
tests_unit_test_daemon_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_daemon_LDADD = $(COMMON_LIBS) $(CHECK_LIBS)
