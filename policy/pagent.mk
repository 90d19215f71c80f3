# pagent, the policy agent.

# The audit trail of manual tunnels, which tests need, too.
PAGENT_AUDIT_SOURCES = \
	policy/pagent_audit.c policy/pagent_audit.h \
	policy/pagent_manual_json.c \
	policy/pagent_outbox.c policy/pagent_outbox.h

sbin_PROGRAMS += policy/pagent
policy_pagent_SOURCES = \
	policy/pagent.c policy/pagent.h \
	policy/pagent_audit_nmi.c \
	policy/pagent_defaults.c \
	policy/pagent_filter_json.c \
	policy/pagent_filters.c policy/pagent_filters.h \
	policy/pagent_kernel.c \
	policy/pagent_main.c \
	policy/pagent_manual.c policy/pagent_manual.h \
	policy/pagent_manual_nmi.c \
	policy/pagent_nmi.c \
	policy/pagent_ports.c \
	policy/pagent_ttls.c \
	policy/pagent_watch.c \
	$(PAGENT_AUDIT_SOURCES)
policy_pagent_CFLAGS = $(AM_CFLAGS) $(UV_CFLAGS) $(JANSSON_CFLAGS) $(DAEMON_CFLAGS) $(SQLITE_CFLAGS)
policy_pagent_LDADD = $(XFRM_LIBS) $(POLICY_LIBS)
dist_man_MANS += man/pagent.8

check_PROGRAMS += tests/unit/test_pagent
tests_unit_test_pagent_SOURCES = tests/unit/test_pagent.c
tests_unit_test_pagent_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(UV_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_test_pagent_LDADD = $(XFRM_LIBS) $(POLICY_LIBS) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_manual
tests_unit_test_manual_SOURCES = tests/unit/test_manual.c tests/unit/policy_text.c \
	tests/unit/policy_text.h policy/pagent_manual.c $(PAGENT_AUDIT_SOURCES)
tests_unit_test_manual_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(UV_CFLAGS) $(JANSSON_CFLAGS) $(SQLITE_CFLAGS)
tests_unit_test_manual_LDADD = $(XFRM_LIBS) $(POLICY_LIBS) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_manual_audit
tests_unit_test_manual_audit_SOURCES = tests/unit/test_manual_audit.c \
	tests/unit/run_killed.c tests/unit/run_killed.h $(PAGENT_AUDIT_SOURCES)
tests_unit_test_manual_audit_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS) $(SQLITE_CFLAGS)
tests_unit_test_manual_audit_LDADD = $(XFRM_LIBS) $(POLICY_LIBS) $(CHECK_LIBS)
