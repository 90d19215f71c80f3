/*
 * How many messages of packets are written, what pagent tells of filters, and what its counters say
 * was lost.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/nmi.h"
#include "tests/unit/run_suite.h"
#include "trmd/filters.h"
#include "trmd/limit.h"
#include "trmd/loss.h"

/* What was told, "NAME:I:COUNT NAME:O:COUNT". */
static char told[4096];

static bool told_fails;

static bool on_count(void *arg, const char *rule, bool outbound, uint64_t count)
{
	size_t n = strlen(told);

	ck_assert_ptr_null(arg);
	ck_assert_uint_gt(count, 0);
	snprintf(told + n, sizeof(told) - n, "%s%s:%c:%llu", n ? " " : "", rule,
		 outbound ? 'O' : 'I', (unsigned long long)count);
	return !told_fails;
}

static struct trmd_event event_of(const char *name, bool outbound, enum trmd_reason reason)
{
	struct trmd_event e = {.reason = reason, .outbound = outbound};

	strcpy(e.name, name);
	return e;
}

/* ---- limits ---- */

static struct trmd_limit *limit_of(struct trmd_limit_settings s)
{
	struct trmd_limit *l;
	struct cs_err err;

	ck_assert_msg(trmd_limit_new(&s, &l, &err) == 0, "%s", err.text);
	return l;
}

static unsigned passed(struct trmd_limit *l, const struct trmd_event *e, unsigned n, int64_t now)
{
	unsigned good = 0;

	while (n--)
		good += trmd_limit_pass(l, e, now);
	return good;
}

START_TEST(test_bucket)
{
	struct trmd_limit *l = limit_of(
		(struct trmd_limit_settings){.permits_per_s = 10, .permits_burst = 5, .keys = 8});
	struct trmd_event in = event_of("A", false, TRMD_PERMIT);
	struct trmd_event out = event_of("A", true, TRMD_PERMIT);
	struct trmd_event other = event_of("B", false, TRMD_PERMIT);
	struct trmd_event deny = event_of("A", false, TRMD_MISMATCH);

	ck_assert_uint_eq(passed(l, &in, 8, 1000), 5);
	/* Another direction, another rule; denies have no limit here. */
	ck_assert_uint_eq(passed(l, &out, 8, 1000), 5);
	ck_assert_uint_eq(passed(l, &other, 8, 1000), 5);
	ck_assert_uint_eq(passed(l, &deny, 100, 1000), 100);
	/* One each 100 ms, also when it is asked for oftener. */
	ck_assert_uint_eq(passed(l, &in, 1, 1099), 0);
	ck_assert_uint_eq(passed(l, &in, 2, 1100), 1);
	for (int64_t now = 1101; now < 2100; now++)
		passed(l, &in, 1, now);
	ck_assert_uint_eq(trmd_limit_suppressed(l), 3 * 3 + 1 + 1 + 999 - 9);
	/* No more than the burst, however long it takes; backwards is no time. */
	ck_assert_uint_eq(passed(l, &out, 8, INT64_MAX / 2), 5);
	ck_assert_uint_eq(passed(l, &out, 8, 5000), 0);
	trmd_limit_free(l);
	trmd_limit_free(NULL);
}
END_TEST

START_TEST(test_denies)
{
	struct trmd_limit *l = limit_of(
		(struct trmd_limit_settings){.denies_per_s = 1, .denies_burst = 2, .keys = 8});
	struct trmd_event e = event_of("A", false, TRMD_PERMIT);

	ck_assert_uint_eq(passed(l, &e, 1000, 0), 1000);
	for (unsigned r = TRMD_DENY; r < TRMD_REASONS; r++) {
		e = event_of("A", false, (enum trmd_reason)r);
		ck_assert_uint_eq(passed(l, &e, 4, 0), r == TRMD_DENY ? 2 : 0); /* they share it */
	}
	/* The default has a limit for both. */
	trmd_limit_free(l);
	l = limit_of(trmd_limit_defaults());
	e = event_of("A", false, TRMD_DENY);
	ck_assert_uint_eq(passed(l, &e, 100000, 0), 1000);
	e = event_of("A", false, TRMD_PERMIT);
	ck_assert_uint_eq(passed(l, &e, 100000, 0), 1000);
	trmd_limit_free(l);
}
END_TEST

START_TEST(test_report)
{
	struct trmd_limit *l = limit_of(
		(struct trmd_limit_settings){.permits_per_s = 1, .permits_burst = 1, .keys = 8});
	struct trmd_event a = event_of("A", false, TRMD_PERMIT);
	struct trmd_event b = event_of("B", true, TRMD_PERMIT);

	told[0] = '\0';
	ck_assert_int_eq(trmd_limit_report(l, 10000, false, on_count, NULL), 300000);
	passed(l, &a, 4, 10000);
	passed(l, &b, 2, 10000);
	ck_assert_int_eq(trmd_limit_report(l, 309999, false, on_count, NULL), 1);
	ck_assert_str_eq(told, "");
	ck_assert_int_eq(trmd_limit_report(l, 310000, false, on_count, NULL), 300000);
	ck_assert_str_eq(told, "A:I:3 B:O:1");
	/* Once each. */
	told[0] = '\0';
	trmd_limit_report(l, 610000, false, on_count, NULL);
	ck_assert_str_eq(told, "");
	passed(l, &b, 3, 610000);
	/* What could not be told is told the next time. */
	told_fails = true;
	trmd_limit_report(l, 610001, true, on_count, NULL);
	told_fails = false;
	told[0] = '\0';
	trmd_limit_report(l, 610002, true, on_count, NULL);
	ck_assert_str_eq(told, "B:O:2");
	ck_assert_uint_eq(trmd_limit_suppressed(l), 6);
	trmd_limit_free(l);
}
END_TEST

/* Of more rules than there are places the others have one together; with a report all begin anew.
 */
START_TEST(test_keys)
{
	struct trmd_limit *l = limit_of(
		(struct trmd_limit_settings){.permits_per_s = 1, .permits_burst = 1, .keys = 100});
	struct trmd_event e;
	unsigned good = 0;
	char name[16];

	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "R%u", i);
		e = event_of(name, false, TRMD_PERMIT);
		good += passed(l, &e, 1, 0);
	}
	ck_assert_uint_eq(good, 101);
	told[0] = '\0';
	trmd_limit_report(l, 0, true, on_count, NULL);
	ck_assert_str_eq(told, "(other):I:899");
	e = event_of("R900", false, TRMD_PERMIT);
	ck_assert_uint_eq(passed(l, &e, 3, 0), 1);
	told[0] = '\0';
	trmd_limit_report(l, 0, true, on_count, NULL);
	ck_assert_str_eq(told, "R900:I:2");
	trmd_limit_free(l);
}
END_TEST

START_TEST(test_limit_settings)
{
	struct trmd_limit_settings s = trmd_limit_defaults();
	struct trmd_limit *l;
	struct trmd_event e = event_of("A", false, TRMD_PERMIT);
	struct cs_err err;

	s.permits_burst = 0;
	ck_assert_int_eq(trmd_limit_new(&s, &l, &err), CS_EINVAL);
	ck_assert_str_eq(err.text, "a limit of messages needs a burst of at least 1");
	s = trmd_limit_defaults();
	s.denies_per_s = 1000001;
	s.denies_burst = 1;
	ck_assert_int_eq(trmd_limit_new(&s, &l, &err), CS_EINVAL);
	s = trmd_limit_defaults();
	s.keys = 0;
	ck_assert_int_eq(trmd_limit_new(&s, &l, &err), CS_EINVAL);
	/* The highest of all does not overflow. */
	s.permits_per_s = s.permits_burst = 1000000;
	s.keys = 1;
	l = limit_of(s);
	ck_assert_uint_eq(passed(l, &e, 1, 0), 1);
	ck_assert_uint_eq(passed(l, &e, 1, INT64_MAX), 1);
	s.permits_burst = 1;
	ck_assert_int_eq(trmd_limit_configure(l, &s, &err), 0);
	ck_assert_uint_eq(passed(l, &e, 3, INT64_MAX), 1);
	s.permits_per_s = 1000001;
	ck_assert_int_eq(trmd_limit_configure(l, &s, &err), CS_EINVAL);
	trmd_limit_free(l);
}
END_TEST

/* ---- filters ---- */

/* An entry of pagent's; what is behind goes over what stands here. */
static json_t *entry(const char *name, const char *direction, const char *more)
{
	json_t *o = json_pack(
		"{s:s, s:i, s:n, s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:s, s:i, s:n, s:s, s:i, "
		"s:n, "
		"s:i, s:n, s:i, s:n, s:b, s:i}",
		"FilterName", name, "FilterNameExtension", 1, "VpnActionName", "TunnelID", "0x00",
		"Type", "Generic", "Action", "Permit", "Scope", "Local", "Direction", direction,
		"SecurityClass", 0, "Logging", "All", "Protocol", "All", "SourceAddress", "0.0.0.0",
		"SourceAddressPrefix", 0, "SourceAddressRange", "DestAddress", "0.0.0.0",
		"DestAddressPrefix", 0, "DestAddressRange", "SourcePort", 0, "SourcePortRange",
		"DestPort", 0, "DestPortRange", "FragmentsOnly", 0, "FilterMatches", 0);
	json_t *over = more ? json_loads(more, 0, NULL) : json_object();

	ck_assert_ptr_nonnull(o);
	ck_assert_msg(over != NULL, "%s", more);
	json_object_update(o, over);
	json_decref(over);
	return o;
}

static void add(struct trmd_filters *f, const char *name, const char *direction, const char *more)
{
	json_t *o = entry(name, direction, more);
	struct cs_err err;

	ck_assert_msg(trmd_filters_add(f, o, &err) == 0, "%s", err.text);
	json_decref(o);
}

static void done(struct trmd_filters *f, bool logging)
{
	json_t *last = json_pack("{s:b, s:b}", "done", 1, "Logging", logging);

	trmd_filters_done(f, last);
	json_decref(last);
}

/* UDP from 198.51.100.7 port 53 to 192.0.2.1 port 8080. */
static const uint8_t udp[] = {0x45, 0,  0,   32, 0,   1, 0, 0, 64, 17, 0,    0,
			      198,  51, 100, 7,  192, 0, 2, 1, 0,  53, 0x1f, 0x90};

START_TEST(test_find)
{
	struct trmd_filters *f = trmd_filters_new();
	struct trmd_filter_facts facts;
	struct trmd_event e = event_of("Web?Tr?fic", false, TRMD_DENY);
	unsigned n;

	add(f,
	    "Web~Tr\xc3\xa4"
	    "fic",
	    "Inbound",
	    "{\"FilterNameExtension\":1,\"Protocol\":17,\"DestPort\":8000,\"DestPortRange\":8079}");
	add(f, "Web~Trffic", "Inbound", "{\"FilterNameExtension\":7}");
	/* Of the tunnel that fits, before the anchor. */
	add(f, "Web~Tr fic", "Inbound",
	    "{\"FilterNameExtension\":2,\"SourceAddress\":\"198.51.100.0\",\"SourceAddressPrefix\":"
	    "29,"
	    "\"TunnelID\":\"Y4\",\"Type\":\"Dynamic\",\"VpnActionName\":\"Gold\",\"FilterMatches\":"
	    "null}");
	add(f, "Web~Tr fic", "Outbound",
	    "{\"FilterNameExtension\":9,\"DestAddress\":\"10.9.9.9\",\"DestAddressPrefix\":32}");
	add(f, "Web~Tr fic", "Inbound",
	    "{\"FilterNameExtension\":2,\"SourceAddress\":\"198.51.100.6\",\"SourceAddressRange\":"
	    "\"198.51.100.9\",\"SourceAddressPrefix\":null,\"DestPort\":8080,\"TunnelID\":\"Y0\","
	    "\"Type\":\"Dynamic Anchor\",\"VpnActionName\":\"Gold\",\"SecurityClass\":9}");
	add(f, "Web~Tr fic", "Outbound", "{\"FilterNameExtension\":3}");
	add(f, "DenyAllRule_Generated___________Inbnd", "Inbound", "{\"Action\":\"Deny\"}");
	done(f, true);
	e.p = udp;
	e.len = sizeof(udp);
	strcpy(e.name, "Web?Tr?fic");
	ck_assert_ptr_nonnull(trmd_filters_of(f, "Web?Tr?fic", false, &n));
	ck_assert_uint_eq(n, 2);
	ck_assert_ptr_nonnull(trmd_filters_of(f, "Web?Tr??fic", false, &n));
	ck_assert_uint_eq(n, 1);
	trmd_facts(f, NULL, &e, &facts);
	ck_assert_str_eq(facts.name, "Web~Tr fic");
	ck_assert_uint_eq(facts.extension, 2);
	ck_assert_str_eq(facts.tunnel, "Y4");
	ck_assert_str_eq(facts.vpn_action, "Gold");
	/* From an address that the tunnel does not have, the anchor's range has. */
	{
		uint8_t copy[sizeof(udp)];

		memcpy(copy, udp, sizeof(udp));
		copy[15] = 9;
		e.p = copy;
		trmd_facts(f, NULL, &e, &facts);
		ck_assert_str_eq(facts.tunnel, "Y0");
		ck_assert_uint_eq(facts.extension, 2);
		/* One that no filter has: the rule is known, its filter is not. */
		copy[15] = 10;
		trmd_facts(f, NULL, &e, &facts);
		ck_assert_str_eq(facts.name, "Web~Tr fic");
		ck_assert_uint_eq(facts.extension, 0);
		ck_assert_ptr_null(facts.tunnel);
		ck_assert_str_eq(facts.vpn_action, "Gold");
		e.p = udp;
	}
	e.outbound = true;
	trmd_facts(f, NULL, &e, &facts);
	ck_assert_uint_eq(facts.extension, 3);
	ck_assert_str_eq(facts.tunnel, "0x00");
	e.outbound = false;
	/* The port is outside of the range. */
	strcpy(e.name, "Web?Tr??fic");
	trmd_facts(f, NULL, &e, &facts);
	ck_assert_uint_eq(facts.extension, 0);
	/* The deny that is no rule, and one that nobody knows. */
	strcpy(e.name, "-");
	trmd_facts(f, NULL, &e, &facts);
	ck_assert_str_eq(facts.name, "DenyAllRule_Generated___________Inbnd");
	ck_assert_uint_eq(facts.extension, 1);
	strcpy(e.name, "Gone");
	trmd_facts(f, NULL, &e, &facts);
	ck_assert_ptr_null(facts.name);
	trmd_facts(NULL, NULL, &e, &facts);
	ck_assert_ptr_null(facts.name);
	trmd_filters_free(f);
	trmd_filters_free(NULL);
}
END_TEST

START_TEST(test_interfaces)
{
	struct trmd_interfaces *t = trmd_interfaces_new();
	unsigned lo = if_nametoindex("lo");
	char name[IF_NAMESIZE];
	struct cs_addr addr;

	ck_assert_uint_gt(lo, 0);
	trmd_interfaces_name(t, lo, name);
	ck_assert_str_eq(name, "lo");
	trmd_interfaces_name(t, 0, name);
	ck_assert_str_eq(name, "");
	trmd_interfaces_name(t, 0x7fffffff, name);
	ck_assert_str_eq(name, "");
	addr = trmd_interfaces_addr(t, lo, AF_INET);
	ck_assert(addr.family == 0 || addr.b[0] == 127);
	ck_assert_uint_eq(trmd_interfaces_addr(t, 0x7fffffff, AF_INET).family, 0);
	ck_assert_uint_eq(trmd_interfaces_class(t, lo), 255);
	ck_assert_uint_eq(trmd_interfaces_class(t, 0x7fffffff), 0);
	cs_addr_parse("224.0.0.5", &addr, NULL);
	ck_assert(trmd_interfaces_local(t, &addr));
	cs_addr_parse("255.255.255.255", &addr, NULL);
	ck_assert(trmd_interfaces_local(t, &addr));
	cs_addr_parse("ff02::1", &addr, NULL);
	ck_assert(trmd_interfaces_local(t, &addr));
	cs_addr_parse("203.0.113.200", &addr, NULL);
	ck_assert(!trmd_interfaces_local(t, &addr));
	trmd_interfaces_free(t);
	trmd_interfaces_free(NULL);
}
END_TEST

START_TEST(test_bad_entries)
{
	static const char *const bad[] = {
		"{\"Direction\":\"Sideways\"}",
		"{\"Direction\":7}",
		"{\"SourceAddress\":\"here\"}",
		"{\"DestAddress\":null}",
		"{\"FilterName\":null}",
		"{\"TunnelID\":12}",
		"{\"DestAddressPrefix\":null,\"DestAddressRange\":\"2001:db8::1\"}",
	};
	static const char *const odd[] = {
		"{\"SourceAddressPrefix\":33}",
		"{\"SourceAddressPrefix\":-1}",
		"{\"SourcePort\":99999999999}",
		"{\"FilterNameExtension\":-5}",
		"{\"SecurityClass\":\"x\"}",
		"{\"FilterMatches\":-1}",
		"{\"Protocol\":[]}",
	};
	struct trmd_filters *f = trmd_filters_new();
	struct cs_err err;
	unsigned n;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_t *o = entry("A", "Inbound", bad[i]);

		ck_assert_msg(trmd_filters_add(f, o, &err) < 0, "%s", bad[i]);
		json_decref(o);
	}
	trmd_filters_all(f, &n);
	ck_assert_uint_eq(n, 0);
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		add(f, "A", "Inbound", odd[i]);
	done(f, true);
	trmd_filters_all(f, &n);
	ck_assert_uint_eq(n, sizeof(odd) / sizeof(odd[0]));
	trmd_filters_free(f);
	ck_assert_int_eq(trmd_filters_fetch("/nonexistent/pagent.sock", 100, &f, &err),
			 CS_ENOTFOUND);
	ck_assert_ptr_nonnull(strstr(err.text, "pagent's filters: "));
}
END_TEST

/* ---- pagent's socket ---- */

static char socket_path[] = "/tmp/test_filter_limit.XXXXXX";

static void on_request(void *arg, struct cs_nmi_server *server, uint64_t ticket, uid_t uid,
		       const json_t *request)
{
	unsigned *n = arg;
	const char *name = json_string_value(json_object_get(request, "request"));

	(void)uid;
	if (!name || strcmp(name, "filters") != 0) {
		cs_nmi_error(server, ticket, CS_EINVAL, "filters, please");
		return;
	}
	switch ((*n)++) {
	case 0:
		cs_nmi_entry(server, ticket, entry("B", "Inbound", NULL));
		cs_nmi_entry(server, ticket, entry("A", "Inbound", "{\"FilterMatches\":5}"));
		cs_nmi_done(server, ticket, json_pack("{s:b}", "Logging", 1));
		break;
	case 1:
		cs_nmi_entry(server, ticket, entry("A", "Inbound", NULL));
		cs_nmi_done(server, ticket, json_pack("{s:b}", "Logging", 0));
		break;
	case 2:
		cs_nmi_entry(server, ticket, entry("A", "Inbound", NULL));
		cs_nmi_entry(server, ticket, entry("A", "Sideways", NULL));
		cs_nmi_done(server, ticket, NULL);
		break;
	default:
		cs_nmi_error(server, ticket, CS_EKERNEL, "no counters today");
	}
}

/* Serves until it is killed; the pipe tells that it listens. */
static void serve(int ready)
{
	struct cs_nmi_server *server;
	uv_loop_t loop;
	unsigned n = 0;

	uv_loop_init(&loop);
	if (cs_nmi_serve(&loop, socket_path, "pagent", on_request, &n, &server, NULL) < 0 ||
	    write(ready, "", 1) != 1)
		_exit(1);
	uv_run(&loop, UV_RUN_DEFAULT);
	_exit(0);
}

START_TEST(test_fetch)
{
	const struct trmd_filter *list;
	struct trmd_filters *f;
	struct cs_err err;
	int ready[2], fd = mkstemp(socket_path);
	unsigned n;
	pid_t pid;
	char c;

	close(fd);
	unlink(socket_path);
	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0)
		serve(ready[1]);
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	ck_assert_msg(trmd_filters_fetch(socket_path, 5000, &f, &err) == 0, "%s", err.text);
	list = trmd_filters_all(f, &n);
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(list[0].key, "A");
	ck_assert_uint_eq(list[0].packets, 5);
	ck_assert(list[0].counted);
	ck_assert(!trmd_filters_cut(f));
	trmd_filters_free(f);
	/* Without logging nothing that is counted is logged. */
	ck_assert_msg(trmd_filters_fetch(socket_path, 5000, &f, &err) == 0, "%s", err.text);
	list = trmd_filters_all(f, &n);
	ck_assert(n == 1 && !list[0].counted);
	trmd_filters_free(f);
	ck_assert_int_eq(trmd_filters_fetch(socket_path, 5000, &f, &err), CS_EPARSE);
	ck_assert_str_eq(err.text, "pagent's filters: a filter without Direction");
	ck_assert_int_eq(trmd_filters_fetch(socket_path, 5000, &f, &err), CS_EKERNEL);
	ck_assert_str_eq(err.text, "pagent's filters: no counters today");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	unlink(socket_path);
}
END_TEST

/* ---- losses ---- */

static struct trmd_loss *loss;

static void record(const char *name, bool outbound, unsigned n)
{
	struct trmd_event e = event_of(name, outbound, TRMD_DENY);

	while (n--)
		trmd_loss_record(loss, &e);
}

/* One rule, A, that has counted so much inbound; `more` of its entry. */
static struct trmd_filters *table(unsigned packets, const char *more)
{
	struct trmd_filters *f = trmd_filters_new();
	char text[256];

	snprintf(text, sizeof(text), "{\"Action\":\"Deny\",\"FilterMatches\":%u%s}", packets,
		 more ? more : "");
	add(f, "A", "Inbound", text);
	done(f, true);
	return f;
}

static void look(struct trmd_filters *f)
{
	struct cs_err err;

	told[0] = '\0';
	trmd_loss_asked(loss);
	ck_assert_msg(trmd_loss_counters(loss, f, &err) == 0, "%s", err.text);
	trmd_loss_settle(loss, on_count, NULL);
	trmd_filters_free(f);
}

START_TEST(test_loss)
{
	struct trmd_filters *f = table(9, NULL);
	struct cs_err err;

	loss = trmd_loss_new();
	ck_assert_int_eq(trmd_loss_counters(loss, f, &err), CS_EINVAL);
	trmd_filters_free(f);
	/* What was before the first look, nobody knows. */
	record("A", false, 3);
	look(table(1000, NULL));
	ck_assert_str_eq(told, "");
	record("A", false, 7);
	look(table(1007, NULL));
	ck_assert_str_eq(told, "");
	record("A", false, 2);
	told_fails = true;
	look(table(1019, NULL));
	told_fails = false;
	ck_assert_str_eq(told, "A:I:10");
	/* That could not be told. */
	look(table(1019, NULL));
	ck_assert_str_eq(told, "A:I:10");
	/* Once. */
	look(table(1019, NULL));
	ck_assert_str_eq(told, "");
	/* Records on their way are no loss, when they come until it is settled. */
	told[0] = '\0';
	trmd_loss_asked(loss);
	f = table(1119, NULL);
	ck_assert_int_eq(trmd_loss_counters(loss, f, &err), 0);
	trmd_filters_free(f);
	record("A", false, 100);
	trmd_loss_settle(loss, on_count, NULL);
	ck_assert_str_eq(told, "");
	/* Those of packets after the look hide a loss, until a later one. */
	told[0] = '\0';
	trmd_loss_asked(loss);
	f = table(1124, NULL);
	ck_assert_int_eq(trmd_loss_counters(loss, f, &err), 0);
	trmd_filters_free(f);
	record("A", false, 4);
	trmd_loss_settle(loss, on_count, NULL);
	ck_assert_str_eq(told, "A:I:1");
	look(table(1128, NULL));
	ck_assert_str_eq(told, "A:I:4");
	/* The rule was changed: its counter begins at 0. */
	record("A", false, 3);
	look(table(5, NULL));
	ck_assert_str_eq(told, "A:I:2");
	trmd_loss_free(loss);
}
END_TEST

/* A rule that comes later has been seen from its beginning. */
START_TEST(test_loss_new_rule)
{
	struct trmd_filters *f = trmd_filters_new();

	loss = trmd_loss_new();
	done(f, true);
	look(f);
	record("A", false, 3);
	look(table(5, NULL));
	ck_assert_str_eq(told, "A:I:2");
	/* Gone, and after some looks forgotten; the next is another one. */
	for (unsigned i = 0; i < 3; i++) {
		f = trmd_filters_new();
		done(f, true);
		look(f);
		ck_assert_str_eq(told, "");
	}
	look(table(7, NULL));
	ck_assert_str_eq(told, "A:I:7");
	trmd_loss_free(loss);
}
END_TEST

/* Filters of a rule share counters by service. */
START_TEST(test_loss_sum)
{
	struct trmd_filters *f = trmd_filters_new();

	loss = trmd_loss_new();
	done(f, true);
	look(f);
	f = trmd_filters_new();
	add(f, "A", "Inbound", "{\"DestPort\":80,\"FilterMatches\":5}");
	add(f, "A", "Inbound",
	    "{\"DestPort\":80,\"FilterMatches\":5,\"SourceAddress\":\"10.0.0.1\"}");
	add(f, "A", "Inbound", "{\"DestPort\":81,\"FilterMatches\":2}");
	add(f, "A", "Inbound", "{\"Scope\":\"Routed\",\"DestPort\":81,\"FilterMatches\":30}");
	add(f, "A", "Inbound", "{\"Type\":\"Dynamic\",\"FilterMatches\":null}");
	add(f, "A", "Outbound", "{\"FilterMatches\":400}");
	done(f, true);
	look(f);
	ck_assert_str_eq(told, "A:I:37 A:O:400");
	trmd_loss_free(loss);
}
END_TEST

/* Only where each packet that is counted is logged. */
START_TEST(test_loss_logging)
{
	static const struct {
		const char *more;
		bool known;
	} rows[] = {
		{",\"Action\":\"Deny\",\"Logging\":\"All\"", true},
		{",\"Action\":\"Deny\",\"Logging\":\"Deny\"", true},
		{",\"Action\":\"Deny\",\"Logging\":\"Permit\"", false},
		{",\"Action\":\"Deny\",\"Logging\":\"None\"", false},
		{",\"Action\":\"Permit\",\"Logging\":\"All\"", true},
		{",\"Action\":\"Permit\",\"Logging\":\"Permit\"", false},
		{",\"Action\":\"Permit\",\"Logging\":\"Permit\",\"Direction\":\"Outbound\"", true},
		{",\"Action\":\"Permit\",\"Logging\":\"Permit\",\"Direction\":\"Outbound\","
		 "\"Type\":\"Dynamic Anchor\"",
		 false},
		{",\"Action\":\"Permit\",\"Logging\":\"Deny\"", false},
	};
	struct trmd_filters *f;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		loss = trmd_loss_new();
		f = trmd_filters_new();
		done(f, true);
		look(f);
		look(table(5, rows[i].more));
		ck_assert_msg((told[0] != '\0') == rows[i].known, "%s: %s", rows[i].more, told);
		trmd_loss_free(loss);
	}
	/* Logging is off altogether; then it is on, and the rule begins there. */
	loss = trmd_loss_new();
	f = trmd_filters_new();
	done(f, true);
	look(f);
	f = trmd_filters_new();
	add(f, "A", "Inbound", "{\"Action\":\"Deny\",\"FilterMatches\":50}");
	done(f, false);
	look(f);
	ck_assert_str_eq(told, "");
	trmd_loss_free(loss);
}
END_TEST

START_TEST(test_loss_restart)
{
	json_t *state, *bad;
	struct cs_err err;

	loss = trmd_loss_new();
	look(table(1000, NULL));
	record("A", false, 5);
	look(table(1007, NULL));
	ck_assert_str_eq(told, "A:I:2");
	state = trmd_loss_save(loss, "boot-1");
	ck_assert_ptr_nonnull(state);
	trmd_loss_free(loss);
	/* What was counted in between had nobody. */
	loss = trmd_loss_new();
	ck_assert_int_eq(trmd_loss_load(loss, state, "boot-1", &err), 0);
	look(table(1020, NULL));
	ck_assert_str_eq(told, "A:I:13");
	trmd_loss_free(loss);
	/* After a boot the first look is the beginning. */
	loss = trmd_loss_new();
	ck_assert_int_eq(trmd_loss_load(loss, state, "boot-2", &err), CS_ENOTFOUND);
	look(table(1020, NULL));
	ck_assert_str_eq(told, "");
	/* Records that came before it was loaded are no losses. */
	trmd_loss_free(loss);
	loss = trmd_loss_new();
	record("A", false, 4);
	ck_assert_int_eq(trmd_loss_load(loss, state, "boot-1", &err), 0);
	look(table(1020, NULL));
	ck_assert_str_eq(told, "A:I:9");
	/* What is not what was saved changes nothing. */
	json_object_set_new(json_array_get(json_object_get(state, "rules"), 0), "counted",
			    json_integer(INT64_MIN));
	ck_assert_int_eq(trmd_loss_load(loss, state, "boot-1", &err), CS_EPARSE);
	json_object_set_new(json_array_get(json_object_get(state, "rules"), 0), "counted",
			    json_integer(7));
	json_object_set_new(json_array_get(json_object_get(state, "rules"), 0), "counter",
			    json_integer(-1));
	ck_assert_int_eq(trmd_loss_load(loss, state, "boot-1", &err), CS_EPARSE);
	bad = json_pack("{s:s}", "boot", "boot-1");
	ck_assert_int_eq(trmd_loss_load(loss, bad, "boot-1", &err), CS_EPARSE);
	json_decref(bad);
	ck_assert_int_eq(trmd_loss_load(loss, NULL, "boot-1", &err), CS_EPARSE);
	look(table(1025, NULL));
	ck_assert_str_eq(told, "A:I:5");
	json_decref(state);
	trmd_loss_free(loss);
	trmd_loss_free(NULL);
}
END_TEST

/* Names that a packet's prefix could have in any number. */
START_TEST(test_loss_bound)
{
	char name[16];

	loss = trmd_loss_new();
	for (unsigned i = 0; i < 16384 + 10; i++) {
		snprintf(name, sizeof(name), "R%u", i);
		record(name, false, 1);
	}
	ck_assert_uint_eq(trmd_loss_untracked(loss), 10);
	trmd_loss_free(loss);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("filter_limit");
	TCase *tc = tcase_create("filter_limit");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_bucket);
	tcase_add_test(tc, test_denies);
	tcase_add_test(tc, test_report);
	tcase_add_test(tc, test_keys);
	tcase_add_test(tc, test_limit_settings);
	tcase_add_test(tc, test_find);
	tcase_add_test(tc, test_interfaces);
	tcase_add_test(tc, test_bad_entries);
	tcase_add_test(tc, test_fetch);
	tcase_add_test(tc, test_loss);
	tcase_add_test(tc, test_loss_new_rule);
	tcase_add_test(tc, test_loss_sum);
	tcase_add_test(tc, test_loss_logging);
	tcase_add_test(tc, test_loss_restart);
	tcase_add_test(tc, test_loss_bound);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
