/*
 * The examples: what is given to users to begin with has nothing to find fault with and does what
 * its comments say. Packets go through the reference evaluator, which the kernel's filters follow.
 */
#include <check.h>
#include <glob.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy_text.h"
#include "tests/unit/run_suite.h"

#define EXAMPLES TESTDATA "/../examples/"

/* Of AT-TLS rules it is said, once, that nothing obeys them yet; that is all. */
static void check_findings(const char *leaf, const struct pol_policy *p,
			   const struct findings *found)
{
	static const char told[] = "read, checked, stored and published for AT-TLS programs; this "
				   "release has none of them (told once)";
	unsigned allowed = p && pol_ttls_count(p->ttls) ? 1 : 0;

	for (unsigned i = 0; i < found->n; i++)
		ck_assert_msg(allowed && found->v[i].severity == POL_WARNING &&
				      strcmp(found->v[i].text, told) == 0,
			      "%s:%u: %s", leaf, found->v[i].line, found->v[i].text);
	ck_assert_msg(p != NULL, "%s", leaf);
	ck_assert_msg(found->n == allowed, "%s: %u findings", leaf, found->n);
}

static struct pol_policy *example(const char *leaf)
{
	struct findings found;
	struct pol_policy *p;
	char path[512];

	snprintf(path, sizeof(path), EXAMPLES "%s", leaf);
	p = compile_file(path, "TCPIP", &found);
	check_findings(leaf, p, &found);
	return p;
}

START_TEST(test_no_finding)
{
	static const char *const patterns[] = {EXAMPLES "*.policy", EXAMPLES "*/*.policy"};
	struct findings found;
	glob_t files;

	for (int k = 0; k < 2; k++) {
		ck_assert_int_eq(glob(patterns[k], 0, NULL, &files), 0);
		ck_assert_uint_ge(files.gl_pathc, k ? 2 : 10);
		for (size_t i = 0; i < files.gl_pathc; i++) {
			struct pol_policy *p = compile_file(files.gl_pathv[i], "TCPIP", &found);

			check_findings(files.gl_pathv[i], p, &found);
			pol_unref(p);
		}
		globfree(&files);
	}
}
END_TEST

/* The main file leads to both policies. */
START_TEST(test_mixed_main_file)
{
	struct pol_policy *ipsec = example("mixed/ipsec.policy");
	struct pol_policy *ttls = example("mixed/ttls.policy"), *p = example("mixed/pagent.conf");

	ck_assert(p->ipsec && ipsec->ipsec && !ttls->ipsec);
	ck_assert_uint_eq(p->n_rules, ipsec->n_rules);
	ck_assert_uint_eq(p->n_ke_rules, 1);
	ck_assert_uint_eq(pol_ttls_count(p->ttls), 3);
	ck_assert_uint_eq(pol_ttls_count(ttls->ttls), 3);
	ck_assert_uint_eq(pol_ttls_count(ipsec->ttls), 0);
	pol_unref(ipsec);
	pol_unref(ttls);
	pol_unref(p);
}
END_TEST

/* ---- packets ---- */

enum way { OUT, IN, THROUGH_IN, THROUGH_OUT };

#define ANYTIME "2026-12-02 12:00" /* a Wednesday */

static const struct packet {
	const char *example;
	enum way way;
	int proto;
	const char *src;
	int sport; /* ICMP: type */
	const char *dst;
	int dport; /* ICMP: code */
	bool syn;
	const char *when; /* UTC */
	const char *rule; /* NULL: none, the implicit deny */
} packets[] = {
#define H2H "host-to-host.policy"
	{H2H, OUT, 17, "192.0.2.10", 500, "198.51.100.20", 500, 0, ANYTIME, "KeysWithArchive"},
	{H2H, IN, 17, "198.51.100.20", 500, "192.0.2.10", 500, 0, ANYTIME, "KeysWithArchive"},
	{H2H, OUT, 17, "192.0.2.10", 4500, "198.51.100.20", 500, 0, ANYTIME, "DataWithArchive"},
	{H2H, OUT, 6, "192.0.2.10", 40000, "198.51.100.20", 80, 1, ANYTIME, "DataWithArchive"},
	{H2H, IN, 1, "198.51.100.20", 8, "192.0.2.10", 0, 0, ANYTIME, "DataWithArchive"},
	{H2H, OUT, 6, "192.0.2.10", 40000, "198.51.100.21", 80, 1, ANYTIME, NULL},
	{H2H, THROUGH_OUT, 6, "192.0.2.10", 40000, "198.51.100.20", 80, 1, ANYTIME, NULL},

#define H2G "host-to-gateway.policy"
	{H2G, IN, 17, "198.51.100.1", 61234, "192.0.2.10", 4500, 0, ANYTIME, "KeysGateway4"},
	{H2G, IN, 17, "198.51.100.2", 500, "192.0.2.10", 500, 0, ANYTIME, NULL},
	{H2G, OUT, 17, "2001:db8:1::10", 500, "2001:db8:2::1", 500, 0, ANYTIME, "KeysGateway6"},
	{H2G, OUT, 6, "192.0.2.10", 3270, "198.51.100.200", 50000, 0, ANYTIME, "DataBranch4"},
	{H2G, OUT, 6, "192.0.2.10", 3270, "198.51.100.100", 50000, 0, ANYTIME, NULL},
	{H2G, IN, 58, "2001:db8:3::7", 128, "2001:db8:1::10", 0, 0, ANYTIME, "DataBranch6"},
	{H2G, IN, 58, "2001:db8:4::7", 128, "2001:db8:1::10", 0, 0, ANYTIME, NULL},

#define BANK "bank.policy"
	{BANK, OUT, 6, "192.0.2.10", 40000, "198.51.100.11", 7001, 1, ANYTIME, "ClearingHouse"},
	{BANK, IN, 6, "198.51.100.11", 7001, "192.0.2.10", 40000, 0, ANYTIME, "ClearingHouse"},
	{BANK, IN, 6, "198.51.100.11", 7001, "192.0.2.10", 40000, 1, ANYTIME, NULL},
	{BANK, OUT, 1, "192.0.2.10", 8, "198.51.100.11", 0, 0, ANYTIME, "ClearingHouse"},
	{BANK, IN, 1, "198.51.100.11", 0, "192.0.2.10", 0, 0, ANYTIME, "ClearingHouse"},
	{BANK, IN, 1, "198.51.100.11", 5, "192.0.2.10", 0, 0, ANYTIME, NULL},
	{BANK, OUT, 6, "192.0.2.10", 40000, "10.12.0.9", 8583, 1, ANYTIME, "CardNetwork"},
	{BANK, OUT, 6, "192.0.2.10", 40000, "10.12.1.9", 8583, 1, ANYTIME, NULL},
	{BANK, IN, 6, "10.13.1.99", 40000, "192.0.2.10", 2004, 1, ANYTIME, "CashMachines"},
	{BANK, IN, 6, "10.13.1.100", 40000, "192.0.2.10", 2004, 1, ANYTIME, NULL},
	{BANK, IN, 6, "10.13.1.10", 40000, "192.0.2.10", 2005, 1, ANYTIME, NULL},
	{BANK, OUT, 6, "192.0.2.10", 40000, "198.51.100.14", 9878, 1, "2026-12-02 06:00", "Broker"},
	{BANK, OUT, 6, "192.0.2.10", 40000, "198.51.100.14", 9878, 1, "2026-12-02 05:59", NULL},
	{BANK, OUT, 6, "192.0.2.10", 40000, "198.51.100.14", 9878, 1, "2026-12-02 17:00", NULL},
	{BANK, OUT, 6, "192.0.2.10", 40000, "198.51.100.14", 9878, 1, "2026-12-05 12:00", NULL},
	{BANK, OUT, 6, "192.0.2.10", 40000, "198.51.100.15", 443, 1, ANYTIME, "RatingAgency"},
	{BANK, IN, 6, "198.51.100.15", 40000, "192.0.2.10", 443, 1, ANYTIME, NULL},
	{BANK, IN, 6, "10.16.77.1", 40000, "192.0.2.10", 443, 1, ANYTIME, "Insurance"},
	{BANK, OUT, 6, "192.0.2.10", 443, "10.16.77.1", 40000, 0, ANYTIME, "Insurance"},
	{BANK, OUT, 6, "192.0.2.10", 40000, "198.51.100.17", 1414, 1, ANYTIME, "TaxMessages"},
	{BANK, OUT, 6, "192.0.2.10", 40000, "198.51.100.17", 22, 1, "2026-12-02 21:00", "TaxFiles"},
	{BANK, OUT, 6, "192.0.2.10", 40000, "198.51.100.17", 22, 1, "2026-12-02 03:59", "TaxFiles"},
	{BANK, OUT, 6, "192.0.2.10", 40000, "198.51.100.17", 22, 1, "2026-12-02 04:00", NULL},
	{BANK, OUT, 6, "2001:db8:1::10", 40000, "2001:db8:8::10", 1414, 1, ANYTIME,
	 "Correspondent"},
	{BANK, IN, 58, "2001:db8:8::10", 129, "2001:db8:1::10", 0, 0, ANYTIME, "Correspondent"},
	{BANK, IN, 58, "fe80::1", 135, "2001:db8:1::10", 0, 0, ANYTIME, "Neighbours"},
	{BANK, OUT, 6, "192.0.2.10", 40000, "10.19.0.5", 3270, 1, ANYTIME, "Leasing"},
	{BANK, IN, 6, "198.51.100.20", 40000, "192.0.2.10", 25, 1, ANYTIME, NULL},
	{BANK, OUT, 6, "192.0.2.10", 40000, "198.51.100.20", 25, 1, ANYTIME, "MailHub"},
	{BANK, OUT, 17, "192.0.2.10", 40000, "10.21.11.255", 9, 0, ANYTIME, "BackupSite"},
	{BANK, OUT, 17, "192.0.2.10", 40000, "10.21.12.0", 9, 0, ANYTIME, NULL},
	{BANK, IN, 6, "198.51.100.22", 40000, "192.0.2.10", 443, 1, "2027-02-26 10:00", "Auditor"},
	{BANK, IN, 6, "198.51.100.22", 40000, "192.0.2.10", 443, 1, "2027-03-01 10:00", NULL},
	{BANK, OUT, 17, "192.0.2.10", 500, "198.51.100.13", 500, 0, ANYTIME, "KeyExchange4"},
	{BANK, IN, 17, "198.51.100.16", 33333, "192.0.2.10", 4500, 0, ANYTIME, "KeyExchange4"},
	{BANK, OUT, 17, "2001:db8:1::10", 500, "2001:db8:8::10", 500, 0, ANYTIME, "KeyExchange6"},
	{BANK, OUT, 17, "192.0.2.10", 500, "198.51.100.32", 500, 0, ANYTIME, NULL},
	{BANK, OUT, 17, "192.0.2.10", 40000, "192.0.2.53", 53, 0, ANYTIME, "Infrastructure"},
	{BANK, IN, 6, "192.0.2.130", 40000, "192.0.2.10", 22, 1, ANYTIME, "Administration"},
	{BANK, OUT, 6, "192.0.2.10", 22, "192.0.2.130", 40000, 1, ANYTIME, NULL},

#define GW "branch-gateway.policy"
	/* from the branch to the head office and back, on both sides */
	{GW, THROUGH_IN, 6, "10.1.0.7", 40000, "10.0.3.4", 80, 1, ANYTIME, "HeadOffice4Inside"},
	{GW, THROUGH_OUT, 6, "10.1.0.7", 40000, "10.0.3.4", 80, 1, ANYTIME, "HeadOffice4"},
	{GW, THROUGH_IN, 6, "10.0.3.4", 80, "10.1.0.7", 40000, 0, ANYTIME, "HeadOffice4"},
	{GW, THROUGH_OUT, 6, "10.0.3.4", 80, "10.1.0.7", 40000, 0, ANYTIME, "HeadOffice4Inside"},
	{GW, OUT, 6, "10.1.0.7", 40000, "10.0.3.4", 80, 1, ANYTIME, NULL},
	{GW, THROUGH_IN, 6, "10.1.9.7", 40000, "10.0.3.4", 80, 1, ANYTIME, "GuestsStayOut"},
	{GW, THROUGH_IN, 6, "10.1.9.7", 40000, "10.1.0.4", 80, 1, ANYTIME, "GuestsStayOut"},
	{GW, THROUGH_IN, 6, "10.1.0.4", 40000, "10.1.9.7", 80, 1, ANYTIME, NULL},
	{GW, THROUGH_IN, 6, "10.1.9.7", 4, "203.0.113.99", 80, 1, ANYTIME, "GuestsInternetInside"},
	{GW, THROUGH_OUT, 6, "10.1.9.7", 4, "203.0.113.99", 80, 1, ANYTIME, "GuestsInternet"},
	{GW, THROUGH_IN, 6, "10.1.0.7", 4, "203.0.113.99", 80, 1, ANYTIME, "InternetInside"},
	{GW, THROUGH_OUT, 6, "10.1.0.7", 4, "203.0.113.99", 80, 1, ANYTIME, "Internet"},
	{GW, THROUGH_IN, 6, "203.0.113.99", 80, "10.1.0.7", 4, 0, ANYTIME, "Internet"},
	{GW, THROUGH_IN, 6, "10.1.0.7", 40000, "10.2.0.1", 80, 1, ANYTIME, NULL},
	{GW, THROUGH_OUT, 17, "2001:db8:b1::7", 9, "2001:db8:af::1", 9, 0, ANYTIME, "HeadOffice6"},
	{GW, THROUGH_IN, 17, "2001:db8:b1::7", 9, "2001:db8:af::1", 9, 0, ANYTIME,
	 "HeadOffice6Inside"},
	{GW, THROUGH_OUT, 17, "2001:db8:b1::7", 9, "2001:db8:b0::1", 9, 0, ANYTIME, NULL},
	{GW, IN, 58, "fe80::1", 135, "2001:db8:ff::1", 0, 0, ANYTIME, "Neighbours"},
	{GW, OUT, 17, "2001:db8:ff::1", 500, "2001:db8:a::1", 500, 0, ANYTIME, "HeadOfficeKeys6"},
	{GW, OUT, 17, "203.0.113.1", 500, "198.51.100.1", 500, 0, ANYTIME, "HeadOfficeKeys4"},
	{GW, THROUGH_OUT, 17, "203.0.113.1", 500, "198.51.100.1", 500, 0, ANYTIME, NULL},
	{GW, OUT, 17, "203.0.113.1", 40000, "203.0.113.53", 53, 0, ANYTIME, "GatewayNames"},
	{GW, IN, 6, "10.1.0.9", 40000, "10.1.0.1", 22, 1, ANYTIME, "GatewayShell"},
	{GW, IN, 6, "10.1.9.9", 40000, "10.1.0.1", 22, 1, ANYTIME, NULL},

#define CL "clients.policy"
	{CL, IN, 17, "100.64.1.2", 31000, "192.0.2.10", 4500, 0, ANYTIME, "KeyExchange"},
	{CL, IN, 6, "198.18.1.200", 40000, "192.0.2.10", 3270, 1, ANYTIME, "Terminals"},
	{CL, IN, 6, "198.18.3.200", 40000, "192.0.2.10", 3270, 1, ANYTIME, "Terminals"},
	{CL, IN, 6, "198.18.3.201", 40000, "192.0.2.10", 3270, 1, ANYTIME, NULL},
	{CL, OUT, 6, "192.0.2.10", 40000, "198.18.2.9", 9100, 1, ANYTIME, "Terminals"},
	{CL, IN, 6, "198.18.2.9", 9100, "192.0.2.10", 40000, 1, ANYTIME, NULL},
	{CL, IN, 6, "198.18.2.9", 40000, "192.0.2.10", 443, 1, ANYTIME, "Laptops"},
	{CL, IN, 6, "203.0.113.200", 40000, "192.0.2.10", 443, 1, ANYTIME, "Kiosks"},
	{CL, IN, 6, "203.0.114.200", 40000, "192.0.2.10", 443, 1, ANYTIME, "Laptops"},
	{CL, OUT, 6, "192.0.2.10", 443, "100.64.1.2", 40000, 0, ANYTIME, "Laptops"},
	{CL, IN, 6, "100.64.1.2", 40000, "192.0.2.10", 80, 1, ANYTIME, NULL},
	{CL, IN, 6, "192.0.2.77", 40000, "192.0.2.10", 22, 1, ANYTIME, "Administration"},

#define TW "time-windows.policy"
	/* 6 December 2026 is the first Sunday, 02:00 +0100 */
	{TW, IN, 6, "198.51.100.30", 40000, "192.0.2.10", 22, 1, "2026-12-06 01:00", "Maintenance"},
	{TW, IN, 6, "198.51.100.30", 40000, "192.0.2.10", 22, 1, "2026-12-06 00:59", "Closed4"},
	{TW, IN, 6, "198.51.100.30", 40000, "192.0.2.10", 22, 1, "2026-12-06 05:00", "Closed4"},
	{TW, IN, 6, "198.51.100.30", 40000, "192.0.2.10", 22, 1, "2026-12-13 02:00", "Closed4"},
	{TW, IN, 6, "198.51.100.30", 40000, "192.0.2.10", 22, 1, "2026-11-30 02:00", "Maintenance"},
	{TW, IN, 6, "198.51.100.30", 40000, "192.0.2.10", 22, 1, "2026-11-29 02:00", "Closed4"},
	{TW, IN, 6, "198.51.100.30", 40000, "192.0.2.10", 22, 1, "2027-02-28 02:00", "Maintenance"},
	{TW, IN, 6, "198.51.100.30", 40000, "192.0.2.10", 22, 1, "2026-12-31 02:00", "Holidays"},
	{TW, IN, 6, "10.5.1.1", 40000, "192.0.2.10", 3270, 1, "2026-12-02 04:45", "ShiftChange"},
	{TW, IN, 6, "10.5.1.1", 40000, "192.0.2.10", 3270, 1, "2026-12-02 13:14", "ShiftChange"},
	{TW, IN, 6, "10.5.1.1", 40000, "192.0.2.10", 3270, 1, "2026-12-02 13:15", "Closed4"},
	{TW, IN, 6, "10.5.1.1", 40000, "192.0.2.10", 3270, 1, "2026-12-23 22:59", "Closed4"},
	{TW, IN, 6, "10.5.1.1", 40000, "192.0.2.10", 3270, 1, "2026-12-23 23:00", "Holidays"},
	{TW, IN, 6, "10.5.1.1", 40000, "192.0.2.10", 3270, 1, "2027-01-01 13:00", "Holidays"},
	{TW, IN, 6, "10.5.1.1", 40000, "192.0.2.10", 3270, 1, "2027-01-02 13:00", "ShiftChange"},
	{TW, IN, 6, "203.0.113.77", 40000, "192.0.2.10", 22, 1, "2027-03-03 07:00", "Inspection"},
	{TW, IN, 17, "203.0.113.77", 500, "192.0.2.10", 500, 0, "2027-03-03 07:00", "Keys"},
	{TW, IN, 17, "203.0.113.77", 500, "192.0.2.10", 500, 0, "2027-03-03 06:59", "Closed4"},
	{TW, IN, 6, "203.0.113.77", 40000, "192.0.2.10", 22, 1, "2027-03-06 10:00", "Closed4"},
	{TW, IN, 6, "203.0.113.77", 40000, "192.0.2.10", 22, 1, "2027-04-07 10:00", "Closed4"},
	{TW, IN, 6, "203.0.113.77", 40000, "192.0.2.10", 22, 1, "2028-03-01 10:00", "Closed4"},
	{TW, THROUGH_IN, 6, "203.0.113.77", 1, "198.51.100.1", 2, 1, ANYTIME, "Closed4"},
	{TW, OUT, 58, "fe80::1", 135, "fe80::2", 0, 0, ANYTIME, "Closed6"},

#define MX "mixed/ipsec.policy"
	{MX, IN, 6, "203.0.113.5", 40000, "192.0.2.20", 443, 1, ANYTIME, "ShopTls"},
	{MX, OUT, 6, "192.0.2.20", 443, "203.0.113.5", 40000, 1, ANYTIME, NULL},
	{MX, OUT, 6, "192.0.2.20", 40000, "198.51.100.40", 8443, 1, ANYTIME, "CardServiceTls"},
	{MX, OUT, 6, "192.0.2.20", 40000, "192.0.2.30", 5432, 1, ANYTIME, "Database"},
	{MX, OUT, 17, "192.0.2.20", 500, "192.0.2.30", 500, 0, ANYTIME, "DatabaseKeys"},
	{MX, IN, 1, "192.0.2.99", 8, "192.0.2.20", 0, 0, ANYTIME, "Monitoring"},
	{MX, IN, 6, "203.0.113.5", 40000, "192.0.2.20", 80, 1, ANYTIME, NULL},
};

static time_t when(const char *text)
{
	struct tm tm = {0};

	ck_assert_ptr_nonnull(strptime(text, "%Y-%m-%d %H:%M", &tm));
	return timegm(&tm);
}

START_TEST(test_packet)
{
	const struct packet *t = &packets[_i];
	struct pol_policy *p = example(t->example);
	bool icmp = t->proto == IPPROTO_ICMP || t->proto == IPPROTO_ICMPV6;
	struct pol_packet packet = {.outbound = t->way == OUT || t->way == THROUGH_OUT,
				    .routed = t->way >= THROUGH_IN,
				    .proto = t->proto,
				    .ports_known = !icmp,
				    .type = icmp ? t->sport : -1,
				    .code = icmp ? t->dport : -1,
				    .tcp_syn_only = t->syn};
	const struct pol_filter_rule *rule;

	if (!icmp) {
		packet.src_port = (uint16_t)t->sport;
		packet.dst_port = (uint16_t)t->dport;
	}
	ck_assert_int_eq(cs_addr_parse(t->src, &packet.src, NULL), 0);
	ck_assert_int_eq(cs_addr_parse(t->dst, &packet.dst, NULL), 0);
	rule = pol_filter_match(p, &packet, when(t->when), NULL, NULL);
	ck_assert_msg(strcmp(rule ? rule->name : "none", t->rule ? t->rule : "none") == 0,
		      "%s: %d from %s:%d to %s:%d at %s: %s, not %s", t->example, t->proto, t->src,
		      t->sport, t->dst, t->dport, t->when, rule ? rule->name : "none",
		      t->rule ? t->rule : "none");
	pol_unref(p);
}
END_TEST

/* Every rule of an example is met by a packet above. */
START_TEST(test_every_rule_is_met)
{
	static const char *const leaves[] = {H2H, H2G, BANK, GW, CL, TW, MX};

	for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
		struct pol_policy *p = example(leaves[i]);

		for (unsigned r = 0; r < p->n_rules; r++) {
			bool met = false;

			for (size_t k = 0; k < sizeof(packets) / sizeof(packets[0]); k++)
				met = met || (strcmp(packets[k].example, leaves[i]) == 0 &&
					      packets[k].rule &&
					      strcmp(packets[k].rule, p->rules[r].name) == 0);
			ck_assert_msg(met, "%s: no packet for %s", leaves[i], p->rules[r].name);
		}
		pol_unref(p);
	}
}
END_TEST

/* ---- connections ---- */

#define MT "mixed/ttls.policy"
#define TT "ttls.policy"

static const struct connection {
	const char *example;
	bool outbound;
	const char *local;
	int lport;
	const char *remote;
	int rport;
	const char *job, *user, *when;
	const char *rule; /* NULL: none, in clear */
} connections[] = {
	/* the shop's customers, on its address and port alone, and not from it */
	{MT, false, "192.0.2.20", 443, "203.0.113.5", 40000, "httpd", "www", ANYTIME, "Shop"},
	{MT, false, "::ffff:192.0.2.20", 443, "::ffff:203.0.113.5", 40000, NULL, NULL, ANYTIME,
	 "Shop"},
	{MT, true, "192.0.2.20", 443, "203.0.113.5", 40000, "httpd", "www", ANYTIME, NULL},
	{MT, false, "192.0.2.20", 80, "203.0.113.5", 40000, "httpd", "www", ANYTIME, NULL},
	{MT, false, "192.0.2.21", 443, "203.0.113.5", 40000, "httpd", "www", ANYTIME, NULL},
	{MT, false, "2001:db8::20", 443, "2001:db8::5", 40000, "httpd", "www", ANYTIME, NULL},
	/* the card service */
	{MT, true, "192.0.2.20", 40000, "198.51.100.40", 8443, "pay", "shop", ANYTIME,
	 "CardService"},
	{MT, true, "192.0.2.20", 40000, "198.51.100.40", 443, "pay", "shop", ANYTIME, NULL},
	{MT, true, "192.0.2.20", 40000, "198.51.100.41", 8443, "pay", "shop", ANYTIME, NULL},
	{MT, false, "192.0.2.20", 40000, "198.51.100.40", 8443, "pay", "shop", ANYTIME, NULL},
	/* the database has IPsec */
	{MT, true, "192.0.2.20", 40000, "192.0.2.30", 5432, "pay", "shop", ANYTIME, NULL},
	/* itself */
	{MT, true, "127.0.0.1", 40000, "127.0.0.1", 443, "x", "y", ANYTIME, "Loopback"},
	{MT, false, "127.9.9.9", 443, "127.0.0.1", 40000, "x", "y", ANYTIME, "Loopback"},

	/* names of jobs without regard to case; a partner by day, and at night like everybody */
	{TT, false, "192.0.2.10", 7443, "203.0.113.5", 40000, "orderd1", "o", ANYTIME,
	 "r10OrderServer"},
	{TT, false, "192.0.2.10", 7443, "203.0.113.5", 40000, "httpd", "o", ANYTIME, NULL},
	{TT, false, "192.0.2.10", 7443, "198.51.100.9", 40000, "ORDERD", "o", ANYTIME,
	 "r11OrderServerPartners"},
	{TT, false, "2001:db8::1", 7443, "2001:db8:7::20", 40000, "ORDERD", "o", ANYTIME,
	 "r11OrderServerPartners"},
	{TT, false, "192.0.2.10", 7443, "198.51.100.9", 40000, "ORDERD", "o", "2026-12-02 23:00",
	 "r10OrderServer"},
	{TT, false, "192.0.2.10", 7443, "198.51.100.9", 40000, "ORDERD", "o", "2026-12-06 12:00",
	 "r10OrderServer"},
	{TT, true, "192.0.2.10", 40000, "203.0.113.40", 6514, "feed", "FEEDUSER", ANYTIME,
	 "r20FeedClient"},
	{TT, true, "192.0.2.10", 40000, "203.0.113.40", 6514, "feed", "root", ANYTIME, NULL},
	{TT, true, "192.0.2.10", 40000, "203.0.113.40", 6514, "feed", NULL, ANYTIME, NULL},
	{TT, false, "192.0.2.10", 21, "203.0.113.5", 40000, "FTPD7", "root", ANYTIME,
	 "r30FtpControl"},
	{TT, false, "192.0.2.10", 20, "203.0.113.5", 40000, "FTPD7", "root", ANYTIME, NULL},
	{TT, true, "127.0.0.1", 40000, "127.0.0.1", 7443, "ORDERD", "o", ANYTIME,
	 "r00LoopbackClear"},
};

START_TEST(test_connection)
{
	const struct connection *t = &connections[_i];
	struct pol_policy *p = example(t->example);
	struct pol_ttls_connection c = {.local_port = (uint16_t)t->lport,
					.remote_port = (uint16_t)t->rport,
					.outbound = t->outbound,
					.job = t->job,
					.user = t->user};
	const struct pol_ttls_rule *rule;
	const char *name;

	ck_assert_int_eq(cs_addr_parse(t->local, &c.local, NULL), 0);
	ck_assert_int_eq(cs_addr_parse(t->remote, &c.remote, NULL), 0);
	rule = pol_ttls_match(p->ttls, &c, when(t->when));
	name = rule ? pol_ttls_text(p->ttls, rule->name) : "none";
	ck_assert_msg(strcmp(name, t->rule ? t->rule : "none") == 0,
		      "%s: %s port %d and %s port %d at %s: %s, not %s", t->example, t->local,
		      t->lport, t->remote, t->rport, t->when, name, t->rule ? t->rule : "none");
	pol_unref(p);
}
END_TEST

static const struct pol_ttls_profile *profile_of(const struct pol_policy *p, const char *name)
{
	for (unsigned i = 0; i < pol_ttls_count(p->ttls); i++) {
		const struct pol_ttls_rule *r = pol_ttls_rule(p->ttls, i);

		if (strcmp(pol_ttls_text(p->ttls, r->name), name) == 0)
			return pol_ttls_profile(p->ttls, r);
	}
	ck_abort_msg("%s", name);
}

/* Every AT-TLS rule of an example is met by a connection above, and closes none. */
START_TEST(test_every_ttls_rule_is_met)
{
	static const char *const leaves[] = {MT, TT};

	for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
		struct pol_policy *p = example(leaves[i]);

		ck_assert_uint_ge(pol_ttls_count(p->ttls), 3);
		for (unsigned r = 0; r < pol_ttls_count(p->ttls); r++) {
			const char *name = pol_ttls_text(p->ttls, pol_ttls_rule(p->ttls, r)->name);
			bool met = false;

			for (size_t k = 0; k < sizeof(connections) / sizeof(connections[0]); k++)
				met = met || (strcmp(connections[k].example, leaves[i]) == 0 &&
					      connections[k].rule &&
					      strcmp(connections[k].rule, name) == 0);
			ck_assert_msg(met, "%s: no connection for %s", leaves[i], name);
			ck_assert_msg(!profile_of(p, name)->closed, "%s", name);
		}
		pol_unref(p);
	}
}
END_TEST

/* What the rules of the mixed example come to. */
START_TEST(test_mixed_ttls)
{
	struct pol_policy *p = example(MT);
	const struct pol_ttls_profile *shop = profile_of(p, "Shop");
	const struct pol_ttls_profile *card = profile_of(p, "CardService");
	const uint16_t *groups = pol_ttls_things(p->ttls, shop->server_groups);

	ck_assert(shop->enabled && card->enabled && !profile_of(p, "Loopback")->enabled);
	ck_assert_uint_eq(shop->handshake_role, POL_TTLS_SERVER);
	ck_assert(!shop->tls1 && !shop->tls1_1 && shop->tls1_2 && shop->tls1_3);
	ck_assert_uint_eq(shop->handshake_timeout, 15);
	ck_assert_uint_eq(shop->server_labels.n, 1);
	ck_assert_uint_eq(shop->server_groups.n, 2);
	ck_assert(groups[0] == 29 && groups[1] == 23);
	ck_assert_uint_eq(card->handshake_role, POL_TTLS_CLIENT);
	ck_assert(!card->tls1_2 && card->tls1_3);
	ck_assert_str_eq(pol_ttls_text(p->ttls, card->certificate_label), "shop-client-2026");
	ck_assert_uint_eq(card->client_groups.n, 2);
	ck_assert_uint_eq(card->ciphers.n, 4);
	pol_unref(p);
}
END_TEST

/* ---- compiled values ---- */

START_TEST(test_numbers)
{
	static const struct {
		const char *leaf;
		unsigned rules, ke_rules, local_rules;
	} want[] = {{H2H, 2, 1, 0}, {H2G, 4, 2, 1}, {BANK, 18, 12, 0}, {GW, 14, 2, 2},
		    {CL, 5, 3, 0},  {TW, 7, 1, 0},  {MX, 5, 1, 0}};

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct pol_policy *p = example(want[i].leaf);

		ck_assert_msg(p->n_rules == want[i].rules && p->n_ke_rules == want[i].ke_rules &&
				      p->n_local_rules == want[i].local_rules,
			      "%s: %u %u %u", want[i].leaf, p->n_rules, p->n_ke_rules,
			      p->n_local_rules);
		pol_unref(p);
	}
}
END_TEST

static const struct pol_filter_rule *rule_of(const struct pol_policy *p, const char *name)
{
	const struct pol_filter_rule *r = pol_rule_by_name(p, name);

	ck_assert_msg(r != NULL, "%s", name);
	return r;
}

static void address_is(const struct cs_addr *a, const char *text)
{
	char buf[CS_ADDR_STRLEN];

	ck_assert_str_eq(cs_addr_text(a, buf), text);
}

START_TEST(test_bank)
{
	struct pol_policy *p = example(BANK);
	const struct pol_filter_rule *r = rule_of(p, "CardNetwork");

	ck_assert(p->filter_logging && p->allow_on_demand && !p->implicit_discard_icmp);
	ck_assert_str_eq(r->group_name, "Partners");
	ck_assert(r->on_demand);
	address_is(&r->start->remote, "198.51.100.12");
	ck_assert_int_eq(r->start->remote_ip, POL_FROM_RULE);
	ck_assert_int_eq(r->vpn->offers[0].encap, POL_TUNNEL);
	r = rule_of(p, "CashMachines");
	ck_assert_int_eq(r->vpn->initiation, POL_INIT_REMOTE);
	r = rule_of(p, "Leasing");
	ck_assert_str_eq(r->vpn->offers[0].cipher->suite, "3des");
	ck_assert_uint_eq(r->vpn->initiate_pfs, 2);
	ck_assert_uint_eq(r->vpn->offers[0].life_seconds.proposed, 3600);
	r = rule_of(p, "BackupSite");
	ck_assert_uint_eq(r->n_dst, 2);
	ck_assert_uint_eq(r->vpn->vpn_life, 0);
	ck_assert_ptr_null(r->vpn->offers[0].integ);
	ck_assert_uint_eq(r->vpn->offers[0].life_kbytes.proposed, 4000000);
	r = rule_of(p, "Auditor");
	ck_assert_int_eq(r->times[0].from, when("2026-11-01 00:00"));
	ck_assert_int_eq(r->times[0].zone, 0);
	ck_assert_str_eq(p->ke_rules[11].name, "Auditor");
	ck_assert_int_eq(p->ke_rules[11].action->offers[0].auth, POL_AUTH_RSA);
	ck_assert_str_eq(p->ke_rules[11].remote.ca_labels[0], "Audit CA");
	ck_assert(p->ke_rules[5].action->allow_nat && !p->ke_rules[4].action->allow_nat);
	for (unsigned i = 0; i < 11; i++) /* a key of its own for each */
		for (unsigned k = 0; k < i; k++)
			ck_assert_str_ne(p->ke_rules[i].key_fingerprint,
					 p->ke_rules[k].key_fingerprint);
	pol_unref(p);
}
END_TEST

START_TEST(test_gateway)
{
	struct pol_policy *p = example(GW);
	const struct pol_filter_rule *r = rule_of(p, "HeadOffice6");

	ck_assert(p->implicit_discard_icmp);
	ck_assert_int_eq(r->services[0].routing, POL_ROUTED);
	address_is(&r->start->local, "2001:db8:ff::1");
	ck_assert_str_eq(r->vpn->offers[0].cipher->suite, "aes128gcm16");
	ck_assert(rule_of(p, "GuestsStayOut")->discard_icmp);
	ck_assert_uint_eq(p->ke_rules[0].action->liveness, 20);
	ck_assert_str_eq(p->local_rules[1].name, "HeadOffice6");
	pol_unref(p);
}
END_TEST

static const char *ke_rule_for(const struct pol_policy *p, const char *address)
{
	const struct pol_ke_rule *rule;
	struct cs_addr local, remote;

	ck_assert_int_eq(cs_addr_parse("192.0.2.10", &local, NULL), 0);
	ck_assert_int_eq(cs_addr_parse(address, &remote, NULL), 0);
	rule = pol_ke_rule_find(p, &local, &remote, NULL);
	return rule ? rule->name : "none";
}

/* A thousand clients, each in its place. */
START_TEST(test_clients)
{
	struct pol_policy *p = example(CL);
	char address[32];

	for (unsigned i = 0; i < 1000; i++) {
		bool terminal = i < 768 || (i - 768 >= 1 && i - 768 <= 200);

		snprintf(address, sizeof(address), "198.18.%u.%u", i / 256, i % 256);
		ck_assert_str_eq(ke_rule_for(p, address), terminal ? "Terminals" : "Laptops");
	}
	ck_assert_str_eq(ke_rule_for(p, "203.0.113.9"), "Kiosks");
	ck_assert_str_eq(ke_rule_for(p, "2001:db8::9"), "none");
	for (unsigned i = 0; i < p->n_ke_rules; i++) {
		ck_assert_int_eq(p->ke_rules[i].action->initiate, POL_MODE_DONOT);
		ck_assert_int_eq(p->ke_rules[i].action->allow_nat, i != 0);
	}
	for (unsigned i = 1; i <= 3; i++) {
		ck_assert_int_eq(p->rules[i].vpn->initiation, POL_INIT_REMOTE);
		ck_assert(!p->rules[i].on_demand);
	}
	pol_unref(p);
}
END_TEST

START_TEST(test_windows)
{
	struct pol_policy *p = example(TW);
	const struct pol_filter_rule *r = rule_of(p, "Maintenance");

	ck_assert_uint_eq(r->n_times, 2);
	ck_assert_uint_eq(r->times[0].days, 0x7f);
	ck_assert_uint_eq(r->times[0].weekdays, 1);
	ck_assert_uint_eq(r->times[1].days, 0);
	ck_assert_uint_eq(r->times[1].days_from_end, 1);
	ck_assert_uint_eq(rule_of(p, "ShiftChange")->times[0].n_spans, 3);
	ck_assert_uint_eq(rule_of(p, "Holidays")->times[0].months, 0x800);
	ck_assert_int_eq(rule_of(p, "Holidays")->verdict, POL_DENY);
	pol_unref(p);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("examples");
	TCase *tc = tcase_create("examples");

	setenv("TZ", "UTC", 1);
	tcase_add_test(tc, test_no_finding);
	tcase_add_test(tc, test_mixed_main_file);
	tcase_add_loop_test(tc, test_packet, 0, (int)(sizeof(packets) / sizeof(packets[0])));
	tcase_add_test(tc, test_every_rule_is_met);
	tcase_add_loop_test(tc, test_connection, 0,
			    (int)(sizeof(connections) / sizeof(connections[0])));
	tcase_add_test(tc, test_every_ttls_rule_is_met);
	tcase_add_test(tc, test_mixed_ttls);
	tcase_add_test(tc, test_numbers);
	tcase_add_test(tc, test_bank);
	tcase_add_test(tc, test_gateway);
	tcase_add_test(tc, test_clients);
	tcase_add_test(tc, test_windows);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
