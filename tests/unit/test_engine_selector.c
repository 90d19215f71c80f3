/*
 * What a packet's tunnel is for: every granularity of IpLocalStartAction with every kind of
 * service. The expectation is IBM's table: a rule's value where IKE version 1 can say it, else the
 * packet's.
 */
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/engine_pair.h"
#include "tests/unit/run_suite.h"

#define NEAR_NET "192.0.2.0/24"
#define FAR_NET  "198.51.100.0/24"
#define TUNNEL   "Tunnel|AES_CBC KeyLength 128|ESP HMAC_SHA1"

static const struct kind {
	const char *service;
	uint8_t proto;                    /* 0: all */
	uint16_t from[2], to[2];          /* local and remote ports of the rule */
	uint8_t packet;                   /* protocol of the packet */
	uint16_t local_port, remote_port; /* and its ports, or ICMP type and code */
} kinds[] = {
	{"Protocol All", 0, {0, 0}, {0, 0}, IPPROTO_TCP, 40000, 7005},
	{"Protocol All", 0, {0, 0}, {0, 0}, IPPROTO_ICMP, 8, 0},
	{"Protocol Tcp", IPPROTO_TCP, {0, 0}, {0, 0}, IPPROTO_TCP, 40000, 7005},
	{"Protocol Udp\nDestinationPortRange 53",
	 IPPROTO_UDP,
	 {0, 0},
	 {53, 53},
	 IPPROTO_UDP,
	 4000,
	 53},
	{"Protocol Tcp\nSourcePortRange 7001 7010\nDestinationPortRange 1024 65535",
	 IPPROTO_TCP,
	 {7001, 7010},
	 {1024, 65535},
	 IPPROTO_TCP,
	 7005,
	 40000},
	{"Protocol Tcp\nDestinationPortRange 0 65535",
	 IPPROTO_TCP,
	 {0, 0},
	 {0, 65535},
	 IPPROTO_TCP,
	 40000,
	 7005},
	/* Of several services the one that covers the packet. */
	{"Protocol Udp\n}\nIpService\n{\nProtocol Tcp\nDestinationPortRange 80\n}\nIpService\n{\n"
	 "Protocol Tcp\nDestinationPortRange 7005",
	 IPPROTO_TCP,
	 {0, 0},
	 {7005, 7005},
	 IPPROTO_TCP,
	 40000,
	 7005},
	{"Protocol Icmp", IPPROTO_ICMP, {0, 0}, {0, 0}, IPPROTO_ICMP, 8, 0},
	{"Protocol 47", 47, {0, 0}, {0, 0}, 47, 0, 0},
	{"Protocol 132", IPPROTO_SCTP, {0, 0}, {0, 0}, IPPROTO_SCTP, 40000, 7005},
};
#define N_KINDS (int)(sizeof(kinds) / sizeof(kinds[0]))

enum { LOCAL_IP = 1, REMOTE_IP = 2, LOCAL_PORT = 4, REMOTE_PORT = 8, PROTOCOL = 16, ALL = 32 };

static const char *word(unsigned of_rule, unsigned which)
{
	return of_rule & which ? "Rule" : "Packet";
}

static struct cs_range range(const char *text)
{
	struct cs_range r;

	ck_assert_int_eq(cs_range_parse(text, &r, NULL), 0);
	return r;
}

/* One port or all; of more than one the packet's. */
static uint16_t port(bool of_rule, const uint16_t rule[2], uint16_t packet)
{
	if (of_rule && rule[1] == 65535 && rule[0] == 0)
		return 0;
	return of_rule && rule[0] == rule[1] ? rule[0] : packet;
}

static struct cs_selector expected(const struct kind *k, unsigned of_rule)
{
	struct cs_selector s = {
		.local = range(of_rule & LOCAL_IP ? NEAR_NET : "192.0.2.77"),
		.remote = range(of_rule & REMOTE_IP ? FAR_NET : "198.51.100.88"),
		.proto = of_rule & PROTOCOL ? k->proto : k->packet,
	};

	/* Without a protocol there are no ports, and ICMP has none. */
	if (s.proto != IPPROTO_TCP && s.proto != IPPROTO_UDP && s.proto != IPPROTO_SCTP)
		return s;
	s.local_port = port(of_rule & LOCAL_PORT, k->from, k->local_port);
	s.remote_port = port(of_rule & REMOTE_PORT, k->to, k->remote_port);
	return s;
}

static void packet(struct pair *p, const struct kind *k)
{
	struct xf_acquire a = {.rule_id = XF_MARK_RULE_MIN, .proto = IPPROTO_ESP};

	a.selector.local = range("192.0.2.77");
	a.selector.remote = range("198.51.100.88");
	a.src = a.selector.local.lo;
	a.dst = a.selector.remote.lo;
	a.selector.proto = k->packet;
	a.selector.local_port = k->local_port;
	a.selector.remote_port = k->remote_port;
	ike_engine_acquire(p->side[0].e, &a, p->now);
}

static int keep(void *arg, const struct ike_p2_info *info)
{
	*(struct cs_selector *)arg = info->selector;
	return 0;
}

static void one(const struct kind *k, unsigned of_rule)
{
	char start[300], want[CS_SELECTOR_STRLEN], got[CS_SELECTOR_STRLEN];
	struct pair_policy o = {.local_net = NEAR_NET,
				.remote_net = FAR_NET,
				.data_offers = TUNNEL,
				.service = k->service,
				.start = start};
	struct cs_selector wanted = expected(k, of_rule), seen = {0};
	struct pair *p;

	/* The last line of a keyword counts. */
	snprintf(start, sizeof(start),
		 "LocalIpGranularity %s\nRemoteIpGranularity %s\nLocalPortGranularity %s\n"
		 "RemotePortGranularity %s\nProtocolGranularity %s\n",
		 word(of_rule, LOCAL_IP), word(of_rule, REMOTE_IP), word(of_rule, LOCAL_PORT),
		 word(of_rule, REMOTE_PORT), word(of_rule, PROTOCOL));
	p = pair_new(&o, NULL);
	packet(p, k);
	ike_engine_each_p2(p->side[0].e, keep, &seen);
	ck_assert_msg(cs_selector_equal(&seen, &wanted), "%s, %s: %s and not %s", k->service, start,
		      cs_selector_text(&seen, got), cs_selector_text(&wanted, want));
	pair_free(p);
}

START_TEST(test_granularity)
{
	for (unsigned of_rule = 0; of_rule < ALL; of_rule++)
		one(&kinds[_i], of_rule);
}
END_TEST

/* A type cannot be said, so a rule that asks for one has no tunnels. */
START_TEST(test_icmp_type)
{
	static const struct pair_policy o = {.local_net = NEAR_NET,
					     .remote_net = FAR_NET,
					     .data_offers = TUNNEL,
					     .service = "Protocol Icmp\nType 8"};
	struct pair *p = pair_new(&o, NULL);

	packet(p, &(struct kind){.packet = IPPROTO_ICMP, .local_port = 8});
	ck_assert_uint_eq(pair_stats(p, 0)->p2_live, 0);
	ck_assert_uint_eq(p->side[0].larval_clears, 1);
	pair_free(p);
}
END_TEST

/* Nor has a command. */
START_TEST(test_icmp_type_by_command)
{
	static const struct pair_policy o = {
		.more_rules = "}\nLocalDynVpnPolicy\n{\n  LocalDynVpnRule Echo\n  {\n"
			      "    LocalIp 192.0.2.1\n    RemoteIp 198.51.100.2\n"
			      "    Protocol Icmp\n    Type 8\n  }\n"};
	struct pair *p = pair_new(&o, NULL);
	struct cs_err err;
	uint32_t y;

	ck_assert_int_eq(ike_engine_activate(p->side[0].e, "Echo", p->now, &y, &err), CS_EPOLICY);
	ck_assert_str_eq(err.text,
			 "IKE version 1.0 cannot negotiate the Type of LocalDynVpnRule Echo");
	pair_expect_nothing(p);
	pair_free(p);
}
END_TEST

/* Transport mode is for one address on each side. */
START_TEST(test_rule_needs_tunnel)
{
	static const struct pair_policy o = {.local_net = NEAR_NET, .remote_net = FAR_NET};
	struct pair *p = pair_new(&o, NULL);

	packet(p, &kinds[0]);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_live, 0);
	ck_assert(pair_said(&p->side[0],
			    "action Vpn has no tunnel mode offer, which these addresses need"));
	pair_free(p);
}
END_TEST

/* Of a group the member that has the packet's address. */
START_TEST(test_group)
{
	static const struct pair_policy o = {
		.local_net = NEAR_NET,
		.remote_net = FAR_NET,
		.data_offers = TUNNEL,
		.first_filter = "  IpFilterRule Group\n  {\n    IpSourceAddrGroupRef Near\n"
				"    IpDestAddrSet " FAR_NET "\n"
				"    IpGenericFilterActionRef Ipsec\n    IpDynVpnActionRef Vpn\n"
				"    IpLocalStartActionRef Start\n  }\n",
		.more_rules =
			"}\nIpAddrGroup Near\n{\n  IpAddrSet\n  {\n    Prefix 203.0.113.0/24\n"
			"  }\n  IpAddrSet\n  {\n    Prefix 192.0.2.64/26\n  }\n",
	};
	struct pair *p = pair_new(&o, NULL);
	struct cs_range wanted = range("192.0.2.64/26");
	struct cs_selector seen = {0};

	packet(p, &kinds[0]);
	ike_engine_each_p2(p->side[0].e, keep, &seen);
	ck_assert(cs_range_equal(&seen.local, &wanted));
	pair_free(p);
}
END_TEST

/* Without IpLocalStartAction: the packet's addresses, the rule's protocol and ports. */
START_TEST(test_no_start_action)
{
	static const struct pair_policy o = {
		.first_filter = "  IpFilterRule Plain\n  {\n    IpSourceAddrSet " NEAR_NET "\n"
				"    IpDestAddrSet " FAR_NET "\n    IpService\n    {\n"
				"      Protocol Tcp\n    }\n    IpGenericFilterActionRef Ipsec\n"
				"    IpDynVpnActionRef Vpn\n  }\n",
	};
	struct pair *p = pair_new(&o, NULL);
	struct xf_acquire a = {.rule_id = XF_MARK_RULE_MIN, .proto = IPPROTO_ESP};
	struct cs_selector seen = {0}, wanted;

	a.src = p->side[0].addr.addr;
	a.dst = p->side[1].addr.addr;
	a.selector.local = cs_range_single(&a.src);
	a.selector.remote = cs_range_single(&a.dst);
	a.selector.proto = IPPROTO_TCP;
	wanted = a.selector;
	a.selector.local_port = 40000;
	a.selector.remote_port = 7005;
	ike_engine_acquire(p->side[0].e, &a, p->now);
	ike_engine_each_p2(p->side[0].e, keep, &seen);
	ck_assert(cs_selector_equal(&seen, &wanted));
	pair_free(p);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("engine: granularity");
	TCase *t = tcase_create("granularity");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, test_granularity, 0, N_KINDS);
	tcase_add_test(t, test_group);
	tcase_add_test(t, test_no_start_action);
	tcase_add_test(t, test_icmp_type);
	tcase_add_test(t, test_icmp_type_by_command);
	tcase_add_test(t, test_rule_needs_tunnel);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	if (!pair_crypto())
		return EXIT_FAILURE;
	return run_suite(suite());
}
