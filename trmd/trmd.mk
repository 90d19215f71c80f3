# trmd: outboxes of iked and pagent into SMF files and the system log.
sbin_PROGRAMS += trmd/trmd
TRMD_CFLAGS = $(AM_CFLAGS) $(UV_CFLAGS) $(JANSSON_CFLAGS) $(SQLITE_CFLAGS) $(DAEMON_CFLAGS) \
	$(ZLIB_CFLAGS) $(CAPNG_CFLAGS)

# What the daemon and its tests share.
noinst_LIBRARIES += libtrmd.a
libtrmd_a_SOURCES = \
	trmd/closed.c trmd/closed.h \
	trmd/drain.c trmd/drain.h \
	trmd/lines.c trmd/lines.h \
	trmd/manual.c trmd/manual.h \
	trmd/message.c trmd/message.h \
	trmd/outbox.c trmd/outbox.h \
	trmd/record.c trmd/record.h \
	trmd/record_values.c trmd/record_values.h \
	trmd/source.h \
	trmd/writer.c trmd/writer.h
libtrmd_a_CFLAGS = $(TRMD_CFLAGS)
TRMD_LIBS = libtrmd.a libtrmdlog.a libsmf.a $(POLICY_LIBS) $(SQLITE_LIBS) $(JANSSON_LIBS) $(UV_LIBS) $(ZLIB_LIBS)

trmd_trmd_SOURCES = \
	trmd/filter_log.c trmd/filter_log.h \
	trmd/main.c trmd/privilege.c trmd/run.c trmd/trmd.h
trmd_trmd_CFLAGS = $(TRMD_CFLAGS)
trmd_trmd_LDADD = $(TRMD_LIBS) $(TRMDLOG_LIBS)
dist_man_MANS += man/trmd.8

check_PROGRAMS += tests/unit/test_trmd_record tests/unit/test_trmd_writer tests/unit/test_trmd_drain
tests_unit_test_trmd_record_SOURCES = tests/unit/test_trmd_record.c $(PAGENT_AUDIT_SOURCES)
tests_unit_test_trmd_record_CFLAGS = $(IKED_CFLAGS) $(TRMD_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_trmd_record_LDADD = $(TRMD_LIBS) $(XFRM_LIBS) $(IKED_LIBS) $(CHECK_LIBS)
tests_unit_test_trmd_writer_SOURCES = tests/unit/test_trmd_writer.c
tests_unit_test_trmd_writer_CFLAGS = $(TRMD_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_trmd_writer_LDADD = $(TRMD_LIBS) $(CHECK_LIBS)
tests_unit_test_trmd_drain_SOURCES = tests/unit/test_trmd_drain.c \
	tests/unit/audit_server.c tests/unit/audit_server.h \
	tests/unit/run_killed.c tests/unit/run_killed.h \
	policy/pagent_audit_nmi.c $(PAGENT_AUDIT_SOURCES)
tests_unit_test_trmd_drain_CFLAGS = $(IKED_CFLAGS) $(TRMD_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_trmd_drain_LDADD = $(TRMD_LIBS) $(XFRM_LIBS) $(IKED_LIBS) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_trmd
tests_unit_test_trmd_SOURCES = tests/unit/test_trmd.c \
	tests/unit/audit_server.c tests/unit/audit_server.h \
	policy/pagent_audit_nmi.c $(PAGENT_AUDIT_SOURCES)
tests_unit_test_trmd_CFLAGS = $(IKED_CFLAGS) $(TRMD_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_trmd_LDADD = $(TRMD_LIBS) $(XFRM_LIBS) $(IKED_LIBS) $(CHECK_LIBS)
EXTRA_tests_unit_test_trmd_DEPENDENCIES = trmd/trmd smf/smfdump

check_PROGRAMS += tests/unit/test_lines
tests_unit_test_lines_SOURCES = tests/unit/test_lines.c
tests_unit_test_lines_CFLAGS = $(TRMD_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_lines_LDADD = $(TRMD_LIBS) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_filter_log
tests_unit_test_filter_log_SOURCES = tests/unit/test_filter_log.c trmd/filter_log.c
tests_unit_test_filter_log_CFLAGS = $(TRMD_CFLAGS) $(MNL_CFLAGS) $(NFTABLES_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_filter_log_LDADD = $(TRMDLOG_LIBS) $(XFRM_LIBS) $(UV_LIBS) $(JANSSON_LIBS) $(CHECK_LIBS)
