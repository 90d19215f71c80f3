# The ipsec command, and the tests of it and of the management socket that it uses.
bin_PROGRAMS += ipsec-cli/ipsec
ipsec_cli_ipsec_SOURCES = \
	ipsec-cli/action.c \
	ipsec-cli/ask.c ipsec-cli/ask.h \
	ipsec-cli/command.c ipsec-cli/command.h \
	ipsec-cli/display.c \
	ipsec-cli/ipsec.c \
	ipsec-cli/labels.c \
	ipsec-cli/report.c ipsec-cli/report.h
ipsec_cli_ipsec_CFLAGS = $(AM_CFLAGS) $(UV_CFLAGS) $(JANSSON_CFLAGS)
ipsec_cli_ipsec_LDADD = $(COMMON_LIBS)
dist_man_MANS += man/ipsec.1
EXTRA_DIST += tests/data/cli

check_PROGRAMS += tests/unit/test_nmi
tests_unit_test_nmi_SOURCES = tests/unit/test_nmi.c
tests_unit_test_nmi_CFLAGS = $(AM_CFLAGS) $(UV_CFLAGS) $(JANSSON_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_nmi_LDADD = $(COMMON_LIBS) $(CHECK_LIBS) -lpthread

check_PROGRAMS += tests/unit/test_cli
tests_unit_test_cli_SOURCES = tests/unit/test_cli.c
tests_unit_test_cli_CFLAGS = $(AM_CFLAGS) $(UV_CFLAGS) $(JANSSON_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_cli_LDADD = $(COMMON_LIBS) $(CHECK_LIBS) -lpthread
EXTRA_tests_unit_test_cli_DEPENDENCIES = ipsec-cli/ipsec
