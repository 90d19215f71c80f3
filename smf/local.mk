# smf: SMF 119 records, files of them, and smfdump.
noinst_LIBRARIES += libsmf.a
libsmf_a_SOURCES = \
	smf/checkpoint.c \
	smf/clock.c smf/clock.h \
	smf/decode.c \
	smf/doc.c smf/doc.h \
	smf/ebcdic.c smf/ebcdic.h \
	smf/encode.c \
	smf/export.c smf/export.h \
	smf/export_cef.c \
	smf/export_csv.c \
	smf/export_json.c \
	smf/export_text.c \
	smf/fields.h \
	smf/format.c smf/format.h \
	smf/framing.c smf/framing.h \
	smf/input.c \
	smf/names.c smf/names.h \
	smf/smf.h \
	smf/table.c
SMF_LIBS = libsmf.a libcommon.a

# Reading of files, compressed ones too, and of directories.
noinst_LIBRARIES += libsmfread.a
libsmfread_a_SOURCES = \
	smf/directory.c smf/directory.h \
	smf/source.c smf/source.h
libsmfread_a_CFLAGS = $(AM_CFLAGS) $(ZLIB_CFLAGS)
SMFREAD_LIBS = libsmfread.a $(SMF_LIBS) $(ZLIB_LIBS) -lpthread

bin_PROGRAMS += smf/smfdump
smf_smfdump_SOURCES = \
	smf/smfdump.c smf/smfdump.h \
	smf/smfdump_read.c \
	smf/smfdump_select.c
smf_smfdump_LDADD = $(SMFREAD_LIBS)
dist_man_MANS += man/smfdump.1

# Prints docs/smf119.md.
noinst_PROGRAMS += smf/smf119
smf_smf119_SOURCES = smf/doc_main.c
smf_smf119_LDADD = $(SMF_LIBS)

check_PROGRAMS += tests/unit/test_smf tests/unit/test_smf_table tests/unit/test_smf_input
tests_unit_test_smf_SOURCES = tests/unit/test_smf.c \
	tests/unit/smf_sample.c tests/unit/smf_sample.h
tests_unit_test_smf_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_smf_LDADD = $(SMF_LIBS) $(CHECK_LIBS)
tests_unit_test_smf_table_SOURCES = tests/unit/test_smf_table.c
tests_unit_test_smf_table_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_smf_table_LDADD = $(SMF_LIBS) $(CHECK_LIBS)
tests_unit_test_smf_input_SOURCES = tests/unit/test_smf_input.c \
	tests/unit/smf_sample.c tests/unit/smf_sample.h
tests_unit_test_smf_input_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_smf_input_LDADD = $(SMF_LIBS) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_smfdump
tests_unit_test_smfdump_SOURCES = tests/unit/test_smfdump.c \
	tests/unit/run_program.c tests/unit/run_program.h \
	tests/unit/smf_sample.c tests/unit/smf_sample.h
tests_unit_test_smfdump_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_test_smfdump_LDADD = $(SMF_LIBS) $(JANSSON_LIBS) $(CHECK_LIBS)
EXTRA_tests_unit_test_smfdump_DEPENDENCIES = smf/smfdump
EXTRA_DIST += tests/data/smf
