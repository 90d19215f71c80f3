/*
 * The reference evaluator: each rule of how a filter matches, with a case that does and one that
 * does not; then random lists and packets against a second evaluation that is written differently.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"
#include "tests/unit/run_suite.h"

/* A case starts from a common form and overwrites what it is about. */
#pragma GCC diagnostic ignored "-Woverride-init"

#define ANY_SERVICE .proto = POL_PROTO_ANY, .type = {-1, -1}, .code = {-1, -1}, .routing = POL_LOCAL
#define TCP_PACKET  .proto = 6, .ports_known = true, .type = -1, .code = -1
#define NO_PORTS    .type = -1, .code = -1

#define HERE  "192.0.2.10"
#define THERE "198.51.100.20"
#define OTHER "203.0.113.5"

static struct cs_range range(const char *text)
{
	struct cs_range r;
	struct cs_err err;

	ck_assert_msg(cs_range_parse(text, &r, &err) == 0, "%s", text);
	return r;
}

static struct cs_addr addr(const char *text)
{
	return range(text).lo;
}

struct match_case {
	const char *what;
	const char *src, *dst; /* of the rule */
	struct pol_service service;
	const char *from, *to; /* of the packet */
	struct pol_packet packet;
	const char *why_not; /* NULL: it matches; else what the reason contains */
};

/* clang-format off */
static const struct match_case match_cases[] = {
	/* bidirectional: source is the local side */
	{"out, as written", HERE, THERE, {ANY_SERVICE}, HERE, THERE,
	 {.outbound = true, TCP_PACKET}, NULL},
	{"out, turned round", HERE, THERE, {ANY_SERVICE}, THERE, HERE,
	 {.outbound = true, TCP_PACKET}, "source 198.51.100.20 is not in IpSourceAddr 192.0.2.10"},
	{"in, turned round", HERE, THERE, {ANY_SERVICE}, THERE, HERE, {TCP_PACKET}, NULL},
	{"in, as written", HERE, THERE, {ANY_SERVICE}, HERE, THERE, {TCP_PACKET},
	 "source 192.0.2.10 is not in IpDestAddr 198.51.100.20"},
	{"in, wrong destination", HERE, THERE, {ANY_SERVICE}, THERE, OTHER, {TCP_PACKET},
	 "destination 203.0.113.5 is not in IpSourceAddr"},
	{"ports out", HERE, THERE, {ANY_SERVICE, .proto = 6, .dst_port = {80, 80}}, HERE, THERE,
	 {.outbound = true, TCP_PACKET, .src_port = 40000, .dst_port = 80}, NULL},
	{"ports out, at the wrong end", HERE, THERE,
	 {ANY_SERVICE, .proto = 6, .dst_port = {80, 80}}, HERE, THERE,
	 {.outbound = true, TCP_PACKET, .src_port = 80, .dst_port = 40000},
	 "destination port 40000 is not 80"},
	{"ports in are turned", HERE, THERE, {ANY_SERVICE, .proto = 6, .dst_port = {80, 80}}, THERE,
	 HERE, {TCP_PACKET, .src_port = 80, .dst_port = 40000}, NULL},
	{"ports in, not turned", HERE, THERE, {ANY_SERVICE, .proto = 6, .dst_port = {80, 80}},
	 THERE, HERE, {TCP_PACKET, .src_port = 40000, .dst_port = 80},
	 "source port 40000 is not 80"},
	/* Inbound and Outbound: literal */
	{"inbound service, in", HERE, THERE, {ANY_SERVICE, .direction = POL_IN}, HERE, THERE,
	 {TCP_PACKET}, NULL},
	{"inbound service is not turned", HERE, THERE, {ANY_SERVICE, .direction = POL_IN}, THERE,
	 HERE, {TCP_PACKET}, "source 198.51.100.20 is not in IpSourceAddr"},
	{"inbound service, out", HERE, THERE, {ANY_SERVICE, .direction = POL_IN}, HERE, THERE,
	 {.outbound = true, TCP_PACKET}, "for inbound packets only"},
	{"outbound service, out", HERE, THERE, {ANY_SERVICE, .direction = POL_OUT}, HERE, THERE,
	 {.outbound = true, TCP_PACKET}, NULL},
	{"outbound service, in", HERE, THERE, {ANY_SERVICE, .direction = POL_OUT}, THERE, HERE,
	 {TCP_PACKET}, "for outbound packets only"},
	/* routing */
	{"local rule, routed packet", HERE, THERE, {ANY_SERVICE}, HERE, THERE,
	 {.outbound = true, .routed = true, TCP_PACKET}, "the packet is routed"},
	{"routed rule, routed packet", HERE, THERE, {ANY_SERVICE, .routing = POL_ROUTED}, HERE,
	 THERE, {.outbound = true, .routed = true, TCP_PACKET}, NULL},
	{"routed rule, local packet", HERE, THERE, {ANY_SERVICE, .routing = POL_ROUTED}, HERE, THERE,
	 {.outbound = true, TCP_PACKET}, "the packet is local"},
	{"either, routed", HERE, THERE, {ANY_SERVICE, .routing = POL_EITHER}, HERE, THERE,
	 {.outbound = true, .routed = true, TCP_PACKET}, NULL},
	{"either, local", HERE, THERE, {ANY_SERVICE, .routing = POL_EITHER}, HERE, THERE,
	 {.outbound = true, TCP_PACKET}, NULL},
	/* addresses */
	{"prefix has", "192.0.2.0/24", THERE, {ANY_SERVICE}, "192.0.2.255", THERE,
	 {.outbound = true, TCP_PACKET}, NULL},
	{"prefix has not", "192.0.2.0/25", THERE, {ANY_SERVICE}, "192.0.2.128", THERE,
	 {.outbound = true, TCP_PACKET}, "192.0.2.0/25"},
	{"range has its ends", "192.0.2.3-192.0.2.5", THERE, {ANY_SERVICE}, "192.0.2.5", THERE,
	 {.outbound = true, TCP_PACKET}, NULL},
	{"range ends", "192.0.2.3-192.0.2.5", THERE, {ANY_SERVICE}, "192.0.2.6", THERE,
	 {.outbound = true, TCP_PACKET}, "source"},
	{"all of IPv4 has no IPv6", "0.0.0.0/0", "0.0.0.0/0", {ANY_SERVICE}, "2001:db8::1",
	 "2001:db8::2", {.outbound = true, TCP_PACKET}, "source 2001:db8::1"},
	{"IPv6", "2001:db8::/64", "2001:db8:1::/64", {ANY_SERVICE}, "2001:db8:1::9", "2001:db8::9",
	 {TCP_PACKET}, NULL},
	/* protocol */
	{"same protocol", HERE, THERE, {ANY_SERVICE, .proto = 17}, HERE, THERE,
	 {.outbound = true, .proto = 17, NO_PORTS}, NULL},
	{"other protocol", HERE, THERE, {ANY_SERVICE, .proto = 17}, HERE, THERE,
	 {.outbound = true, TCP_PACKET}, "protocol 6 is not 17"},
	{"protocol 0 is a protocol", HERE, THERE, {ANY_SERVICE, .proto = 0}, HERE, THERE,
	 {.outbound = true, TCP_PACKET}, "protocol 6 is not 0"},
	{"unknown protocol, any", HERE, THERE, {ANY_SERVICE}, HERE, THERE,
	 {.outbound = true, .fragment = true, .proto = -1, NO_PORTS}, NULL},
	{"unknown protocol, one asked for", HERE, THERE, {ANY_SERVICE, .proto = 6}, HERE, THERE,
	 {.outbound = true, .fragment = true, .proto = -1, NO_PORTS},
	 "protocol is unknown and the rule asks for 6"},
	{"opaque", HERE, THERE, {ANY_SERVICE, .proto = POL_PROTO_OPAQUE}, HERE, THERE,
	 {.outbound = true, .fragment = true, .proto = -1, NO_PORTS}, NULL},
	{"opaque, but known", HERE, THERE, {ANY_SERVICE, .proto = POL_PROTO_OPAQUE}, HERE, THERE,
	 {.outbound = true, TCP_PACKET}, "Opaque"},
	/* ports */
	{"0 is all", HERE, THERE, {ANY_SERVICE, .proto = 6}, HERE, THERE,
	 {.outbound = true, TCP_PACKET, .src_port = 1, .dst_port = 65535}, NULL},
	{"0 to 65535 is all, known or not", HERE, THERE,
	 {ANY_SERVICE, .proto = 6, .src_port = {0, 65535}}, HERE, THERE,
	 {.outbound = true, .fragment = true, .proto = 6, NO_PORTS}, NULL},
	{"0 to 5 is a range", HERE, THERE, {ANY_SERVICE, .proto = 6, .src_port = {0, 5}}, HERE,
	 THERE, {.outbound = true, TCP_PACKET, .src_port = 6}, "source port 6 is not 0-5"},
	{"range has its first", HERE, THERE, {ANY_SERVICE, .proto = 6, .dst_port = {20, 25}}, HERE,
	 THERE, {.outbound = true, TCP_PACKET, .dst_port = 20}, NULL},
	{"range has its last", HERE, THERE, {ANY_SERVICE, .proto = 6, .dst_port = {20, 25}}, HERE,
	 THERE, {.outbound = true, TCP_PACKET, .dst_port = 25}, NULL},
	{"range ends before", HERE, THERE, {ANY_SERVICE, .proto = 6, .dst_port = {20, 25}}, HERE,
	 THERE, {.outbound = true, TCP_PACKET, .dst_port = 26}, "is not 20-25"},
	{"unknown port", HERE, THERE, {ANY_SERVICE, .proto = 17, .dst_port = {53, 53}}, HERE, THERE,
	 {.outbound = true, .fragment = true, .proto = 17, NO_PORTS, .dst_port = 53},
	 "destination port is unknown and the rule asks for 53"},
	/* ICMP */
	{"type", HERE, THERE, {ANY_SERVICE, .proto = 1, .type = {8, 8}}, HERE, THERE,
	 {.outbound = true, .proto = 1, .type = 8, .code = 0}, NULL},
	{"type is not turned", HERE, THERE, {ANY_SERVICE, .proto = 1, .type = {8, 8}}, THERE, HERE,
	 {.proto = 1, .type = 8, .code = 0}, NULL},
	{"other type", HERE, THERE, {ANY_SERVICE, .proto = 1, .type = {8, 8}}, HERE, THERE,
	 {.outbound = true, .proto = 1, .type = 0, .code = 0}, "type 0 is not 8"},
	{"type range", HERE, THERE, {ANY_SERVICE, .proto = 58, .type = {128, 129}}, HERE, THERE,
	 {.outbound = true, .proto = 58, .type = 129, .code = 0}, NULL},
	{"code", HERE, THERE, {ANY_SERVICE, .proto = 1, .type = {3, 3}, .code = {4, 4}}, HERE, THERE,
	 {.outbound = true, .proto = 1, .type = 3, .code = 4}, NULL},
	{"other code", HERE, THERE, {ANY_SERVICE, .proto = 1, .type = {3, 3}, .code = {4, 4}}, HERE,
	 THERE, {.outbound = true, .proto = 1, .type = 3, .code = 1}, "code 1 is not 4"},
	{"unknown type", HERE, THERE, {ANY_SERVICE, .proto = 1, .type = {8, 8}}, HERE, THERE,
	 {.outbound = true, .fragment = true, .proto = 1, NO_PORTS},
	 "type is unknown and the rule asks for 8"},
	{"unknown type, any", HERE, THERE, {ANY_SERVICE, .proto = 1}, HERE, THERE,
	 {.outbound = true, .fragment = true, .proto = 1, NO_PORTS}, NULL},
	{"type of OSPF", HERE, THERE, {ANY_SERVICE, .proto = 89, .type = {1, 1}}, HERE, THERE,
	 {.outbound = true, .proto = 89, .type = 2, .code = -1}, "type 2 is not 1"},
	{"type counts only where there are types", HERE, THERE,
	 {ANY_SERVICE, .proto = 6, .type = {8, 8}}, HERE, THERE, {.outbound = true, TCP_PACKET},
	 NULL},
	/* fragments */
	{"fragments only: whole packet", HERE, THERE, {ANY_SERVICE, .fragments_only = true}, HERE,
	 THERE, {.outbound = true, TCP_PACKET}, "not a fragment"},
	{"fragments only: a later one", HERE, THERE, {ANY_SERVICE, .fragments_only = true}, HERE,
	 THERE, {.outbound = true, .fragment = true, .proto = 6, NO_PORTS}, NULL},
	{"fragments only: the first", HERE, THERE, {ANY_SERVICE, .fragments_only = true}, HERE,
	 THERE, {.outbound = true, .fragment = true, TCP_PACKET, .dst_port = 80}, NULL},
	{"a fragment in an ordinary rule", HERE, THERE, {ANY_SERVICE, .proto = 6}, HERE, THERE,
	 {.outbound = true, .fragment = true, .proto = 6, NO_PORTS}, NULL},
	/* connect qualifiers */
	{"InboundConnect: they open", HERE, THERE,
	 {ANY_SERVICE, .proto = 6, .connect = POL_CONNECT_IN}, THERE, HERE,
	 {TCP_PACKET, .tcp_syn_only = true}, NULL},
	{"InboundConnect: we open", HERE, THERE,
	 {ANY_SERVICE, .proto = 6, .connect = POL_CONNECT_IN}, HERE, THERE,
	 {.outbound = true, TCP_PACKET, .tcp_syn_only = true},
	 "opens a connection outbound and the rule has InboundConnect"},
	{"InboundConnect: we answer", HERE, THERE,
	 {ANY_SERVICE, .proto = 6, .connect = POL_CONNECT_IN}, HERE, THERE,
	 {.outbound = true, TCP_PACKET}, NULL},
	{"OutboundConnect: we open", HERE, THERE,
	 {ANY_SERVICE, .proto = 6, .connect = POL_CONNECT_OUT}, HERE, THERE,
	 {.outbound = true, TCP_PACKET, .tcp_syn_only = true}, NULL},
	{"OutboundConnect: they open", HERE, THERE,
	 {ANY_SERVICE, .proto = 6, .connect = POL_CONNECT_OUT}, THERE, HERE,
	 {TCP_PACKET, .tcp_syn_only = true}, "opens a connection inbound"},
	{"OutboundConnect: they answer", HERE, THERE,
	 {ANY_SERVICE, .proto = 6, .connect = POL_CONNECT_OUT}, THERE, HERE, {TCP_PACKET}, NULL},
	/* security class */
	{"class 0 is any", HERE, THERE, {ANY_SERVICE}, HERE, THERE,
	 {.outbound = true, TCP_PACKET, .security_class = 7}, NULL},
	{"same class", HERE, THERE, {ANY_SERVICE, .security_class = 7}, HERE, THERE,
	 {.outbound = true, TCP_PACKET, .security_class = 7}, NULL},
	{"other class", HERE, THERE, {ANY_SERVICE, .security_class = 7}, HERE, THERE,
	 {.outbound = true, TCP_PACKET, .security_class = 0}, "security class 0 is not 7"},
};
/* clang-format on */

struct told {
	unsigned n, n_matched;
	char why[256];
};

static void on_trace(void *arg, const struct pol_filter_rule *rule, bool matched,
		     const char *why_not)
{
	struct told *told = arg;

	(void)rule;
	told->n++;
	told->n_matched += matched;
	ck_assert_msg(matched == !why_not, "a reason exactly when it does not match");
	snprintf(told->why, sizeof(told->why), "%s", why_not ? why_not : "");
}

START_TEST(test_match)
{
	const struct match_case *c = &match_cases[_i];
	struct cs_range src = range(c->src), dst = range(c->dst);
	struct pol_service service = c->service;
	struct pol_filter_rule rule = {.src = &src,
				       .dst = &dst,
				       .n_src = 1,
				       .n_dst = 1,
				       .services = &service,
				       .n_services = 1};
	struct pol_policy policy = {.rules = &rule, .n_rules = 1};
	struct pol_packet packet = c->packet;
	const struct pol_filter_rule *found;
	struct told told = {0};

	packet.src = addr(c->from);
	packet.dst = addr(c->to);
	found = pol_filter_match(&policy, &packet, 0, on_trace, &told);
	ck_assert_msg((found != NULL) == (c->why_not == NULL), "%s: %s", c->what, told.why);
	ck_assert_ptr_eq(pol_filter_match(&policy, &packet, 0, NULL, NULL), found);
	ck_assert_uint_eq(told.n, 1);
	ck_assert_uint_eq(told.n_matched, found != NULL);
	if (c->why_not)
		ck_assert_msg(strstr(told.why, c->why_not) != NULL, "%s: reason is '%s'", c->what,
			      told.why);
}
END_TEST

START_TEST(test_first_match_wins)
{
	struct cs_range all = range("0.0.0.0/0"), one = range(THERE);
	struct pol_service smtp = {ANY_SERVICE, .proto = 6, .dst_port = {25, 25}};
	struct pol_service any[2] = {{ANY_SERVICE, .proto = 17}, {ANY_SERVICE, .proto = 6}};
	struct pol_filter_rule rules[] = {
		{.name = "no-mail",
		 .src = &all,
		 .dst = &all,
		 .n_src = 1,
		 .n_dst = 1,
		 .services = &smtp,
		 .n_services = 1,
		 .verdict = POL_DENY},
		{.name = "empty", .src = &all, .dst = &all, .n_src = 1, .n_dst = 1},
		{.name = "partner",
		 .src = &all,
		 .dst = &one,
		 .n_src = 1,
		 .n_dst = 1,
		 .services = any,
		 .n_services = 2,
		 .verdict = POL_PERMIT,
		 .id = 0},
		{.name = "secure",
		 .src = &all,
		 .dst = &one,
		 .n_src = 1,
		 .n_dst = 1,
		 .services = any,
		 .n_services = 2,
		 .verdict = POL_IPSEC,
		 .id = 16},
	};
	struct pol_policy policy = {.rules = rules, .n_rules = 4};
	struct pol_packet packet = {.outbound = true, TCP_PACKET, .dst_port = 25};
	struct told told = {0};

	packet.src = addr(HERE);
	packet.dst = addr(THERE);
	ck_assert_ptr_eq(pol_filter_match(&policy, &packet, 0, NULL, NULL), &rules[0]);
	packet.dst_port = 80;
	ck_assert_ptr_eq(pol_filter_match(&policy, &packet, 0, on_trace, &told), &rules[2]);
	ck_assert_uint_eq(told.n, 3);
	packet.dst = addr(OTHER);
	memset(&told, 0, sizeof(told));
	ck_assert_ptr_null(pol_filter_match(&policy, &packet, 0, on_trace, &told));
	ck_assert_uint_eq(told.n, 4);
	/* of two services the one that came nearest is told of */
	packet.dst = addr(THERE);
	packet.proto = 47;
	policy.rules = &rules[2];
	policy.n_rules = 1;
	pol_filter_match(&policy, &packet, 0, on_trace, &told);
	ck_assert_str_eq(told.why, "protocol 47 is not 17");

	ck_assert_ptr_eq(pol_rule_by_name(&policy, "partner"), &rules[2]);
	ck_assert_ptr_null(pol_rule_by_name(&policy, "Partner"));
	policy = (struct pol_policy){.rules = rules, .n_rules = 4};
	ck_assert_ptr_eq(pol_rule_by_id(&policy, 16), &rules[3]);
	ck_assert_ptr_null(pol_rule_by_id(&policy, 0));
	ck_assert_ptr_null(pol_rule_by_id(&policy, 17));
}
END_TEST

/* Only an SA tells which peer a packet is from: what another rule's has brought goes on. */
START_TEST(test_peer)
{
	static const struct pol_identity peer = {.type = POL_ID_FQDN};
	struct cs_range here = range(HERE), there = range(THERE);
	struct pol_service any = {ANY_SERVICE};
	struct pol_filter_rule rules[2], rule = {.src = &here,
						 .dst = &there,
						 .n_src = 1,
						 .n_dst = 1,
						 .services = &any,
						 .n_services = 1,
						 .verdict = POL_IPSEC};
	struct pol_policy policy = {.rules = rules, .n_rules = 2};
	struct pol_packet packet = {TCP_PACKET};
	struct told told = {0};

	rules[0] = rules[1] = rule;
	rules[0].id = 16;
	rules[0].remote_identity = &peer;
	rules[1].id = 17;
	packet.src = addr(THERE);
	packet.dst = addr(HERE);
	ck_assert_ptr_eq(pol_filter_match(&policy, &packet, 0, NULL, NULL), &rules[0]);
	packet.sa_rule = 16;
	ck_assert_ptr_eq(pol_filter_match(&policy, &packet, 0, NULL, NULL), &rules[0]);
	packet.sa_rule = 17;
	ck_assert_ptr_eq(pol_filter_match(&policy, &packet, 0, on_trace, &told), &rules[1]);
	ck_assert_uint_eq(told.n, 2);
	policy.n_rules = 1;
	ck_assert_ptr_null(pol_filter_match(&policy, &packet, 0, on_trace, &told));
	ck_assert_str_eq(told.why, "the packet came by an SA of another rule and the rule has a "
				   "RemoteIdentity");
	/* Who will get what is sent nobody knows yet. */
	packet.outbound = true;
	packet.src = addr(HERE);
	packet.dst = addr(THERE);
	ck_assert_ptr_eq(pol_filter_match(&policy, &packet, 0, NULL, NULL), &rules[0]);
	/* A rule for any peer does not look at it. */
	packet = (struct pol_packet){TCP_PACKET, .src = addr(THERE), .dst = addr(HERE),
				     .sa_rule = 17};
	rules[0].remote_identity = NULL;
	ck_assert_ptr_eq(pol_filter_match(&policy, &packet, 0, NULL, NULL), &rules[0]);
}
END_TEST

/* 2026-11-21 is a Saturday. */
#define SATURDAY_0000 1795219200

START_TEST(test_time)
{
	static uint16_t office[][2] = {{540, 1020}}, night[][2] = {{1320, 360}},
			full[][2] = {{0, 1440}};
#define ALWAYS .months = 0xfff, .days = 0x7fffffff, .weekdays = 0x7f
	static const struct {
		const char *what;
		struct pol_time t;
		int64_t now;
		bool active;
	} cases[] = {
		{"always", {ALWAYS}, SATURDAY_0000, true},
		{"before its time", {ALWAYS, .from = 1000, .to = 2000}, 999, false},
		{"first second", {ALWAYS, .from = 1000, .to = 2000}, 1000, true},
		{"last second", {ALWAYS, .from = 1000, .to = 2000}, 2000, true},
		{"after its time", {ALWAYS, .from = 1000, .to = 2000}, 2001, false},
		{"before the minute that ends it", {ALWAYS, .from = 1000, .to = 1980}, 1979, true},
		{"the minute that ends it", {ALWAYS, .from = 1000, .to = 1980}, 1980, false},
		{"November", {ALWAYS, .months = 1 << 10}, SATURDAY_0000, true},
		{"not November", {ALWAYS, .months = 0xfff & ~(1 << 10)}, SATURDAY_0000, false},
		{"the 21st", {ALWAYS, .days = 1 << 20}, SATURDAY_0000, true},
		{"not the 21st", {ALWAYS, .days = 0x7fffffff & ~(1 << 20)}, SATURDAY_0000, false},
		{"10th day from the end",
		 {ALWAYS, .days = 0, .days_from_end = 1 << 9},
		 SATURDAY_0000,
		 true},
		{"last day", {ALWAYS, .days = 0, .days_from_end = 1}, SATURDAY_0000, false},
		{"last day of November",
		 {ALWAYS, .days = 0, .days_from_end = 1},
		 SATURDAY_0000 + 9 * 86400,
		 true},
		{"29 February is the last day",
		 {ALWAYS, .days = 0, .days_from_end = 1},
		 1709208000,
		 true},
		{"28 February of a leap year is not",
		 {ALWAYS, .days = 0, .days_from_end = 1},
		 1709121600,
		 false},
		{"Saturday", {ALWAYS, .weekdays = 1 << 6}, SATURDAY_0000, true},
		{"Sunday", {ALWAYS, .weekdays = 1}, SATURDAY_0000, false},
		{"office opens",
		 {ALWAYS, .spans = office, .n_spans = 1},
		 SATURDAY_0000 + 540 * 60,
		 true},
		{"office not open",
		 {ALWAYS, .spans = office, .n_spans = 1},
		 SATURDAY_0000 + 540 * 60 - 1,
		 false},
		{"office closes",
		 {ALWAYS, .spans = office, .n_spans = 1},
		 SATURDAY_0000 + 1020 * 60,
		 false},
		{"night, before midnight",
		 {ALWAYS, .spans = night, .n_spans = 1},
		 SATURDAY_0000 + 1320 * 60,
		 true},
		{"night, after midnight",
		 {ALWAYS, .spans = night, .n_spans = 1},
		 SATURDAY_0000 + 359 * 60,
		 true},
		{"night is over",
		 {ALWAYS, .spans = night, .n_spans = 1},
		 SATURDAY_0000 + 360 * 60,
		 false},
		{"whole day", {ALWAYS, .spans = full, .n_spans = 1}, SATURDAY_0000 + 86399, true},
		{"zone moves the day",
		 {ALWAYS, .weekdays = 1 << 5, .zone = -60},
		 SATURDAY_0000,
		 true},
		{"zone moves the hour",
		 {ALWAYS, .spans = office, .n_spans = 1, .zone = 540},
		 SATURDAY_0000,
		 true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_msg(pol_time_active(&cases[i].t, 1, cases[i].now) == cases[i].active,
			      "%s", cases[i].what);
	ck_assert(pol_time_active(NULL, 0, 0));
}
END_TEST

START_TEST(test_time_local_and_several)
{
	uint16_t office[][2] = {{540, 1020}};
	struct pol_time two[2] = {{ALWAYS, .weekdays = 1}, {ALWAYS, .weekdays = 1 << 6}};
	struct pol_time local = {ALWAYS, .spans = office, .n_spans = 1, .zone = POL_ZONE_LOCAL};
	struct cs_range all = range("0.0.0.0/0");
	struct pol_service service = {ANY_SERVICE};
	struct pol_filter_rule rule = {.src = &all,
				       .dst = &all,
				       .n_src = 1,
				       .n_dst = 1,
				       .services = &service,
				       .n_services = 1,
				       .times = two,
				       .n_times = 2};
	struct pol_policy policy = {.rules = &rule, .n_rules = 1};
	struct pol_packet packet = {.outbound = true, TCP_PACKET};
	struct told told = {0};

	packet.src = packet.dst = addr(HERE);
	ck_assert_ptr_eq(pol_filter_match(&policy, &packet, SATURDAY_0000, NULL, NULL), &rule);
	rule.n_times = 1;
	ck_assert_ptr_null(pol_filter_match(&policy, &packet, SATURDAY_0000, on_trace, &told));
	ck_assert_str_eq(told.why, "the rule is not active at this time");

	setenv("TZ", "XXX-9", 1);
	tzset();
	ck_assert(pol_time_active(&local, 1, SATURDAY_0000));
	setenv("TZ", "UTC", 1);
	tzset();
	ck_assert(!pol_time_active(&local, 1, SATURDAY_0000));
}
END_TEST

START_TEST(test_dynamic_rule)
{
	static const struct {
		const char *what;
		struct pol_service service;
		const char *local, *remote;
		uint8_t proto;
		uint16_t local_port, remote_port;
		bool found;
	} cases[] = {
		{"all", {ANY_SERVICE}, HERE, THERE, 0, 0, 0, true},
		{"part of the network", {ANY_SERVICE}, HERE, "198.51.100.0/26", 0, 0, 0, true},
		{"all of the network", {ANY_SERVICE}, HERE, "198.51.100.0/24", 0, 0, 0, true},
		{"more than the network", {ANY_SERVICE}, HERE, "198.51.0.0/16", 0, 0, 0, false},
		{"half outside",
		 {ANY_SERVICE},
		 HERE,
		 "198.51.100.200-198.51.101.3",
		 0,
		 0,
		 0,
		 false},
		{"turned round", {ANY_SERVICE}, THERE, HERE, 0, 0, 0, false},
		{"one protocol of all", {ANY_SERVICE}, HERE, THERE, 6, 0, 0, true},
		{"all of one protocol", {ANY_SERVICE, .proto = 6}, HERE, THERE, 6, 0, 0, true},
		{"all, but one is allowed", {ANY_SERVICE, .proto = 6}, HERE, THERE, 0, 0, 0, false},
		{"another", {ANY_SERVICE, .proto = 6}, HERE, THERE, 17, 0, 0, false},
		{"one port of all", {ANY_SERVICE, .proto = 6}, HERE, THERE, 6, 0, 80, true},
		{"that port",
		 {ANY_SERVICE, .proto = 6, .dst_port = {80, 80}},
		 HERE,
		 THERE,
		 6,
		 0,
		 80,
		 true},
		{"that port at the other end",
		 {ANY_SERVICE, .proto = 6, .dst_port = {80, 80}},
		 HERE,
		 THERE,
		 6,
		 80,
		 0,
		 false},
		{"all ports, but one is allowed",
		 {ANY_SERVICE, .proto = 6, .dst_port = {80, 80}},
		 HERE,
		 THERE,
		 6,
		 0,
		 0,
		 false},
		{"in the range",
		 {ANY_SERVICE, .proto = 6, .src_port = {20, 25}},
		 HERE,
		 THERE,
		 6,
		 21,
		 0,
		 true},
		{"outside the range",
		 {ANY_SERVICE, .proto = 6, .src_port = {20, 25}},
		 HERE,
		 THERE,
		 6,
		 26,
		 0,
		 false},
		{"one type only",
		 {ANY_SERVICE, .proto = 1, .type = {8, 8}},
		 HERE,
		 THERE,
		 1,
		 0,
		 0,
		 false},
		{"all of ICMP", {ANY_SERVICE, .proto = 1}, HERE, THERE, 1, 0, 0, true},
		{"fragments only",
		 {ANY_SERVICE, .fragments_only = true},
		 HERE,
		 THERE,
		 0,
		 0,
		 0,
		 false},
		{"one direction", {ANY_SERVICE, .direction = POL_OUT}, HERE, THERE, 0, 0, 0, false},
		{"opaque", {ANY_SERVICE, .proto = POL_PROTO_OPAQUE}, HERE, THERE, 0, 0, 0, false},
	};
	struct cs_range src = range(HERE), dst = range("198.51.100.0/24");
	struct pol_dynvpn_action vpn = {.name = "vpn"};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pol_service services[2] = {{ANY_SERVICE, .proto = 50}, cases[i].service};
		struct pol_time never = {.months = 0};
		struct pol_filter_rule rules[] = {
			{.name = "permit",
			 .src = &src,
			 .dst = &dst,
			 .n_src = 1,
			 .n_dst = 1,
			 .services = services,
			 .n_services = 2,
			 .verdict = POL_PERMIT},
			{.name = "manual",
			 .src = &src,
			 .dst = &dst,
			 .n_src = 1,
			 .n_dst = 1,
			 .services = services,
			 .n_services = 2,
			 .verdict = POL_IPSEC},
			{.name = "asleep",
			 .src = &src,
			 .dst = &dst,
			 .n_src = 1,
			 .n_dst = 1,
			 .services = services,
			 .n_services = 2,
			 .verdict = POL_IPSEC,
			 .vpn = &vpn,
			 .times = &never,
			 .n_times = 1},
			{.name = "dynamic",
			 .src = &src,
			 .dst = &dst,
			 .n_src = 1,
			 .n_dst = 1,
			 .services = services,
			 .n_services = 2,
			 .verdict = POL_IPSEC,
			 .vpn = &vpn},
		};
		struct pol_policy policy = {.rules = rules, .n_rules = 4};
		struct cs_selector sel = {.local = range(cases[i].local),
					  .remote = range(cases[i].remote),
					  .proto = cases[i].proto,
					  .local_port = cases[i].local_port,
					  .remote_port = cases[i].remote_port};

		ck_assert_msg(pol_dynamic_rule(&policy, &sel, NULL, 0) ==
				      (cases[i].found ? &rules[3] : NULL),
			      "%s", cases[i].what);
	}
}
END_TEST

START_TEST(test_ke_rule)
{
	struct cs_range here = range(HERE), any = range("0.0.0.0/0"),
			nets[2] = {range("198.51.100.0/24"), range("203.0.113.0/24")};
	char gw[] = "gw.example.com", anyone[] = "*.example.com";
	struct pol_ke_rule rules[] = {
		{.name = "gw",
		 .local = {.locations = &here, .n_locations = 1},
		 .remote = {.identity = {.type = POL_ID_FQDN, .text = gw},
			    .locations = nets,
			    .n_locations = 2}},
		{.name = "rest",
		 .local = {.locations = &any, .n_locations = 1},
		 .remote = {.identity = {.type = POL_ID_FQDN, .text = anyone},
			    .locations = &any,
			    .n_locations = 1}},
	};
	struct pol_policy policy = {.ke_rules = rules, .n_ke_rules = 2};
	struct cs_addr a = addr(HERE), b = addr(THERE), c = addr(OTHER), six = addr("2001:db8::1"),
		       none = {0};
	struct pol_peer_id id = {POL_ID_FQDN, {(const uint8_t *)"gw.example.com", 14}};
	struct pol_peer_id other = {POL_ID_FQDN, {(const uint8_t *)"b.example.com", 13}};
	struct pol_peer_id stranger = {POL_ID_FQDN, {(const uint8_t *)"b.example.org", 13}};

	ck_assert_ptr_eq(pol_ke_rule_find(&policy, &a, &b, NULL), &rules[0]);
	ck_assert_ptr_eq(pol_ke_rule_find(&policy, &a, &c, NULL), &rules[0]);
	ck_assert_ptr_eq(pol_ke_rule_find(&policy, &b, &a, NULL), &rules[1]);
	ck_assert_ptr_null(pol_ke_rule_find(&policy, &six, &six, NULL));
	ck_assert_ptr_eq(pol_ke_rule_find(&policy, NULL, NULL, NULL), &rules[0]);
	ck_assert_ptr_eq(pol_ke_rule_find(&policy, &none, &none, &other), &rules[1]);
	ck_assert_ptr_eq(pol_ke_rule_find(&policy, &a, &b, &id), &rules[0]);
	ck_assert_ptr_eq(pol_ke_rule_find(&policy, &a, &b, &other), &rules[1]);
	ck_assert_ptr_null(pol_ke_rule_find(&policy, &a, &b, &stranger));
}
END_TEST

/* ---- property: against a second evaluation ---- */

/*
 * The second evaluation is what `ipsec -f` shows: each rule is split into one-way filters, a source
 * with a destination with a service with a direction, and a filter is a predicate on the packet.
 */
struct flat {
	unsigned rule;
	bool outbound;
	uint32_t src_lo, src_hi, dst_lo, dst_hi;
	unsigned sport_lo, sport_hi, dport_lo, dport_hi;
	const struct pol_service *s;
};

static uint32_t ip4(const struct cs_addr *a)
{
	return (uint32_t)a->b[0] << 24 | (uint32_t)a->b[1] << 16 | (uint32_t)a->b[2] << 8 | a->b[3];
}

static unsigned flatten(const struct pol_policy *policy, struct flat *out)
{
	unsigned n = 0;

	for (unsigned r = 0; r < policy->n_rules; r++)
		for (unsigned s = 0; s < policy->rules[r].n_services; s++)
			for (unsigned i = 0; i < policy->rules[r].n_src; i++)
				for (unsigned j = 0; j < policy->rules[r].n_dst; j++)
					for (int o = 0; o < 2; o++) {
						const struct pol_filter_rule *rule =
							&policy->rules[r];
						const struct pol_service *svc = &rule->services[s];
						const struct cs_range *a = &rule->src[i];
						const struct cs_range *b = &rule->dst[j];
						struct flat f = {r,
								 o == 1,
								 ip4(&a->lo),
								 ip4(&a->hi),
								 ip4(&b->lo),
								 ip4(&b->hi),
								 svc->src_port[0],
								 svc->src_port[1],
								 svc->dst_port[0],
								 svc->dst_port[1],
								 svc};

						if (svc->direction == POL_IN && o)
							continue;
						if (svc->direction == POL_OUT && !o)
							continue;
						if (svc->direction == POL_BOTH && !o)
							f = (struct flat){
								r,          false,      f.dst_lo,
								f.dst_hi,   f.src_lo,   f.src_hi,
								f.dport_lo, f.dport_hi, f.sport_lo,
								f.sport_hi, svc};
						if (f.sport_hi == 0)
							f.sport_hi = 65535;
						if (f.dport_hi == 0)
							f.dport_hi = 65535;
						out[n++] = f;
					}
	return n;
}

static bool flat_fits(const struct flat *f, const struct pol_packet *p)
{
	const struct pol_service *s = f->s;
	bool all_s = f->sport_lo == 0 && f->sport_hi == 65535;
	bool all_d = f->dport_lo == 0 && f->dport_hi == 65535;
	bool opens = p->proto == 6 && p->tcp_syn_only;
	bool ok = f->outbound == p->outbound;

	ok &= ip4(&p->src) - f->src_lo <= f->src_hi - f->src_lo;
	ok &= ip4(&p->dst) - f->dst_lo <= f->dst_hi - f->dst_lo;
	ok &= s->routing == POL_EITHER || (s->routing == POL_LOCAL) == !p->routed;
	ok &= s->proto == POL_PROTO_ANY || s->proto == p->proto ||
	      (s->proto == POL_PROTO_OPAQUE && p->proto == -1);
	ok &= all_s || (p->ports_known && p->src_port >= f->sport_lo && p->src_port <= f->sport_hi);
	ok &= all_d || (p->ports_known && p->dst_port >= f->dport_lo && p->dst_port <= f->dport_hi);
	if (s->proto == 1 && s->type[0] != -1)
		ok &= p->type != -1 && s->type[0] <= p->type && p->type <= s->type[1];
	if (s->proto == 1 && s->code[0] != -1)
		ok &= p->code != -1 && s->code[0] <= p->code && p->code <= s->code[1];
	ok &= !s->fragments_only || p->fragment;
	ok &= s->security_class == 0 || s->security_class == p->security_class;
	if (s->connect == POL_CONNECT_IN)
		ok &= !(opens && p->outbound);
	if (s->connect == POL_CONNECT_OUT)
		ok &= !(opens && !p->outbound);
	return ok;
}

static uint64_t seed_state;

static unsigned pick(unsigned n)
{
	seed_state = seed_state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed_state >> 33) % n;
}

static struct cs_range random_range(void)
{
	static const char *const pool[] = {"0.0.0.0/0",   "10.0.0.0/30",       "10.0.0.1",
					   "10.0.0.2",    "10.0.0.1-10.0.0.2", "10.0.0.0/31",
					   "10.0.0.2/31", "10.0.0.3"};

	return range(pool[pick(8)]);
}

static void random_ports(uint16_t ports[2])
{
	static const uint16_t pool[][2] = {{0, 0}, {0, 65535}, {1, 1}, {1, 3}, {2, 4}, {0, 2}};

	memcpy(ports, pool[pick(6)], sizeof(pool[0]));
}

static struct pol_service random_service(void)
{
	static const int protos[] = {POL_PROTO_ANY, POL_PROTO_ANY, 6, 17, 1, POL_PROTO_OPAQUE};
	struct pol_service s = {ANY_SERVICE};

	s.proto = protos[pick(6)];
	s.direction = (enum pol_direction)(pick(5) < 3 ? POL_BOTH : POL_IN + pick(2));
	s.routing = (enum pol_routing)pick(3);
	if (s.proto == 6 || s.proto == 17) {
		random_ports(s.src_port);
		random_ports(s.dst_port);
	}
	if (s.proto == 6 && s.direction == POL_BOTH)
		s.connect = (enum pol_connect)pick(3);
	if (s.proto == 1 && pick(2)) {
		s.type[0] = (int)pick(3);
		s.type[1] = s.type[0] + (int)pick(2);
		if (pick(2))
			s.code[0] = s.code[1] = (int)pick(2);
	}
	s.fragments_only = pick(8) == 0;
	s.security_class = (uint8_t)(pick(4) == 0 ? 1 + pick(2) : 0);
	return s;
}

static struct pol_packet random_packet(void)
{
	static const int protos[] = {6, 6, 17, 1, 47, -1};
	struct pol_packet p = {.type = -1, .code = -1};
	const uint8_t src[4] = {10, 0, 0, (uint8_t)pick(5)}, dst[4] = {10, 0, 0, (uint8_t)pick(5)};

	p.src = cs_addr_from_bytes(AF_INET, src);
	p.dst = cs_addr_from_bytes(AF_INET, dst);
	p.outbound = pick(2);
	p.routed = pick(3) == 0;
	p.proto = protos[pick(6)];
	p.fragment = p.proto == -1 || pick(4) == 0;
	if (p.proto == 6 || p.proto == 17) {
		p.ports_known = !p.fragment || pick(2);
		p.src_port = (uint16_t)pick(6);
		p.dst_port = (uint16_t)pick(6);
		p.tcp_syn_only = p.proto == 6 && p.ports_known && pick(2);
	}
	if (p.proto == 1 && (!p.fragment || pick(2))) {
		p.type = (int)pick(4);
		p.code = (int)pick(3);
	}
	p.security_class = (uint8_t)pick(3);
	return p;
}

#define MAX_RULES 6

START_TEST(test_property)
{
	unsigned hits[MAX_RULES + 1] = {0};

	seed_state = 20261121;
	for (unsigned round = 0; round < 3000; round++) {
		struct cs_range addrs[MAX_RULES][4];
		struct pol_service services[MAX_RULES][3];
		struct pol_filter_rule rules[MAX_RULES] = {{.n_src = 0}};
		struct flat flats[MAX_RULES * 3 * 4 * 2];
		struct pol_policy policy = {.rules = rules, .n_rules = 1 + pick(MAX_RULES)};
		unsigned n_flats;

		for (unsigned r = 0; r < policy.n_rules; r++) {
			rules[r].src = addrs[r];
			rules[r].dst = addrs[r] + 2;
			rules[r].n_src = 1 + pick(2);
			rules[r].n_dst = 1 + pick(2);
			rules[r].services = services[r];
			rules[r].n_services = 1 + pick(3);
			for (unsigned i = 0; i < 4; i++)
				addrs[r][i] = random_range();
			for (unsigned i = 0; i < 3; i++)
				services[r][i] = random_service();
		}
		n_flats = flatten(&policy, flats);
		for (unsigned k = 0; k < 60; k++) {
			struct pol_packet p = random_packet();
			const struct pol_filter_rule *found =
				pol_filter_match(&policy, &p, 0, NULL, NULL);
			unsigned wanted = policy.n_rules, got = policy.n_rules;

			for (unsigned f = 0; f < n_flats && wanted == policy.n_rules; f++)
				if (flat_fits(&flats[f], &p))
					wanted = flats[f].rule;
			if (found)
				got = (unsigned)(found - rules);
			ck_assert_msg(got == wanted, "round %u packet %u: %u instead of %u", round,
				      k, got, wanted);
			hits[found ? got : MAX_RULES]++;
		}
	}
	/* the packets meet every place in the list, and its end */
	for (unsigned i = 0; i <= MAX_RULES; i++)
		ck_assert_msg(hits[i] > 500, "place %u met %u times", i, hits[i]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("match");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_match, 0, (int)(sizeof(match_cases) / sizeof(match_cases[0])));
	tcase_add_test(tc, test_first_match_wins);
	tcase_add_test(tc, test_peer);
	tcase_add_test(tc, test_time);
	tcase_add_test(tc, test_time_local_and_several);
	tcase_add_test(tc, test_dynamic_rule);
	tcase_add_test(tc, test_ke_rule);
	tcase_add_test(tc, test_property);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
