# trmd: packets that filter rules log, and trmdstat.
noinst_LIBRARIES += libtrmdlog.a
libtrmdlog_a_SOURCES = \
	trmd/event.c trmd/event.h \
	trmd/filter_message.c trmd/filter_message.h \
	trmd/filters.c trmd/filters.h \
	trmd/interfaces.c trmd/interfaces.h \
	trmd/limit.c trmd/limit.h \
	trmd/loss.c trmd/loss.h \
	trmd/nflog.c trmd/nflog.h \
	trmd/nflog_message.c \
	trmd/packet.c trmd/packet.h
libtrmdlog_a_CFLAGS = $(AM_CFLAGS) $(MNL_CFLAGS) $(UV_CFLAGS) $(JANSSON_CFLAGS)
TRMDLOG_LIBS = libtrmdlog.a $(COMMON_LIBS) $(MNL_LIBS)

bin_PROGRAMS += trmd/trmdstat
trmd_trmdstat_SOURCES = \
	trmd/trmdstat.h \
	trmd/trmdstat_json.c \
	trmd/trmdstat_line.c \
	trmd/trmdstat_main.c \
	trmd/trmdstat_read.c \
	trmd/trmdstat_smf.c \
	trmd/trmdstat_table.c \
	trmd/trmdstat_text.c \
	trmd/trmdstat_time.c
trmd_trmdstat_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
trmd_trmdstat_LDADD = $(SMFREAD_LIBS) $(TRMDLOG_LIBS)
dist_man_MANS += man/trmdstat.1

check_PROGRAMS += tests/unit/test_nflog
tests_unit_test_nflog_SOURCES = tests/unit/test_nflog.c
tests_unit_test_nflog_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(MNL_CFLAGS) $(NFTABLES_CFLAGS) $(UV_CFLAGS) \
	$(JANSSON_CFLAGS)
tests_unit_test_nflog_LDADD = $(TRMDLOG_LIBS) $(XFRM_LIBS) $(POLICY_LIBS) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_filter_message
tests_unit_test_filter_message_SOURCES = tests/unit/test_filter_message.c
tests_unit_test_filter_message_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_filter_message_LDADD = $(TRMDLOG_LIBS) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_filter_limit
tests_unit_test_filter_limit_SOURCES = tests/unit/test_filter_limit.c
tests_unit_test_filter_limit_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(UV_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_test_filter_limit_LDADD = $(TRMDLOG_LIBS) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_trmdstat
tests_unit_test_trmdstat_SOURCES = tests/unit/test_trmdstat.c \
	tests/unit/run_program.c tests/unit/run_program.h \
	trmd/trmdstat_line.c \
	trmd/trmdstat_table.c \
	trmd/trmdstat_time.c
tests_unit_test_trmdstat_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS) $(ZLIB_CFLAGS)
tests_unit_test_trmdstat_LDADD = libsmf.a $(TRMDLOG_LIBS) $(ZLIB_LIBS) $(CHECK_LIBS)
EXTRA_tests_unit_test_trmdstat_DEPENDENCIES = trmd/trmdstat
EXTRA_DIST += tests/data/trmd
