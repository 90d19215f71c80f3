# The ipsec command, and the tests of it and of the management socket that it uses.
check_PROGRAMS += tests/unit/test_nmi
tests_unit_test_nmi_SOURCES = tests/unit/test_nmi.c
tests_unit_test_nmi_CFLAGS = $(AM_CFLAGS) $(UV_CFLAGS) $(JANSSON_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_nmi_LDADD = $(COMMON_LIBS) $(CHECK_LIBS) -lpthread
