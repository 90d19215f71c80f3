/* The ruleset that a policy compiles to, and the kernel's policies that go with it. */
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "policy/policy.h"
#include "tests/unit/run_suite.h"
#include "xfrm/closed.h"
#include "xfrm/kernel.h"
#include "xfrm/nft_model.h"

static const struct xf_marking marking = {.shift = XF_MARK_SHIFT_DEFAULT};

struct fixture {
	struct pol_policy policy;
	struct pol_filter_rule rule;
	struct pol_service service;
	struct cs_range src[4], dst[4];
};

static struct cs_range range(const char *text)
{
	struct cs_range r;

	ck_assert_int_eq(cs_range_parse(text, &r, NULL), 0);
	return r;
}

/* One rule with one service: everything between two addresses. */
static void setup(struct fixture *f, enum pol_verdict verdict)
{
	memset(f, 0, sizeof(*f));
	f->src[0] = range("192.0.2.1");
	f->dst[0] = range("198.51.100.0/24");
	f->service.proto = POL_PROTO_ANY;
	f->service.type[0] = f->service.type[1] = -1;
	f->service.code[0] = f->service.code[1] = -1;
	f->rule.verdict = verdict;
	f->rule.id = verdict == POL_IPSEC ? 17 : 0;
	f->rule.src = f->src;
	f->rule.dst = f->dst;
	f->rule.n_src = f->rule.n_dst = 1;
	f->rule.services = &f->service;
	f->rule.n_services = 1;
	f->policy.rules = &f->rule;
	f->policy.n_rules = 1;
	f->policy.generation = 7;
}

/* The rules of one chain, as one text; the caller frees. */
static char *chain_of(const struct fixture *f, const char *name)
{
	char *text = xf_ruleset(&marking, &f->policy, 0), head[64], *from, *to, *chain;
	struct cs_err err;

	ck_assert_ptr_nonnull(text);
	/* The kernel's own check, where we may ask it. */
	if (geteuid() == 0)
		ck_assert_msg(xf_nft_run(text, true, &err) == 0, "%s", err.text);
	snprintf(head, sizeof(head), "\tchain %s {\n", name);
	from = strstr(text, head);
	ck_assert_msg(from != NULL, "no chain %s", name);
	from += strlen(head);
	to = strstr(from, "\t}\n");
	ck_assert_ptr_nonnull(to);
	chain = strndup(from, (size_t)(to - from));
	free(text);
	return chain;
}

static void expect(const struct fixture *f, const char *name, const char *wanted)
{
	char *chain = chain_of(f, name);

	ck_assert_str_eq(chain, wanted);
	free(chain);
}

static void expect_line(const struct fixture *f, const char *name, const char *wanted)
{
	char *chain = chain_of(f, name);

	ck_assert_msg(strstr(chain, wanted) != NULL, "chain %s has not '%s':\n%s", name, wanted,
		      chain);
	free(chain);
}

static void expect_none(const struct fixture *f, const char *name)
{
	char *chain = chain_of(f, name);

	ck_assert_msg(strstr(chain, "\"0:0:") == NULL, "chain %s matches:\n%s", name, chain);
	free(chain);
}

START_TEST(test_permit)
{
	struct fixture f;

	setup(&f, POL_PERMIT);
	expect(&f, "out_local",
	       "\t\tmeta nfproto ipv4 ip saddr 192.0.2.1 ip daddr 198.51.100.0/24 counter meta "
	       "mark "
	       "set meta mark & 0xc000ffff | 0x00010000 accept comment \"0:0:o\"\n"
	       "\t\tcounter drop comment \"1:0:o\"\n");
	expect(&f, "in_local",
	       "\t\tmeta nfproto ipv4 ip saddr 198.51.100.0/24 ip daddr 192.0.2.1 counter goto "
	       "clear_local comment \"0:0:i\"\n"
	       "\t\tcounter drop comment \"1:0:i\"\n");
	/* A local service says nothing about forwarded packets. */
	expect(&f, "in_routed", "\t\tcounter drop comment \"1:0:i\"\n");
	expect(&f, "generation_7", "");
}
END_TEST

START_TEST(test_ipsec)
{
	struct fixture f;

	setup(&f, POL_IPSEC);
	expect_line(&f, "out_local",
		    "counter meta mark set meta mark & 0xc000ffff | 0x00110000 accept");
	expect_line(&f, "in_local", "counter goto ipsec_local_0 comment \"0:0:i\"");
	expect(&f, "ipsec_local_0",
	       "\t\tipsec in reqid & 0xfffc0000 == 0x00440000 meta mark set meta mark & 0xc000ffff "
	       "| "
	       "0x00030000 accept\n"
	       "\t\tcounter drop comment \"unprotected\"\n");
	/* What has no SA ends here, before all that comes from lo is let pass. */
	expect_line(&f, "prerouting",
		    "\t\tiif lo ip daddr 127.0.0.9 meta l4proto 50 counter drop comment \"held\"\n"
		    "\t\tiif lo ip6 daddr ::1 meta l4proto 50 counter drop comment \"held\"\n"
		    "\t\tiif lo meta mark set ");
	/* A later fragment in clear could be mixed into a protected packet. */
	expect_line(&f, "in_fragment",
		    "ip saddr 198.51.100.0/24 ip daddr 192.0.2.1 counter drop\n");
}
END_TEST

START_TEST(test_deny)
{
	struct fixture f;

	setup(&f, POL_DENY);
	expect_line(&f, "out_local", "counter drop comment \"0:0:o\"");
	f.rule.discard_icmp = true;
	expect_line(&f, "out_local", "reject with icmpx admin-prohibited comment \"0:0:o\"");
	expect_line(&f, "in_local", "reject with icmpx admin-prohibited comment \"0:0:i\"");
	f.policy.implicit_discard_icmp = true;
	expect_line(&f, "in_routed", "reject with icmpx admin-prohibited comment \"1:0:i\"");
}
END_TEST

/* Ports are the local side's first; inbound they change places. */
START_TEST(test_ports)
{
	struct fixture f;

	setup(&f, POL_PERMIT);
	f.service.proto = IPPROTO_TCP;
	f.service.src_port[0] = 1024;
	f.service.src_port[1] = 65535;
	f.service.dst_port[0] = f.service.dst_port[1] = 23;
	expect_line(&f, "out_local", "meta l4proto 6 th sport 1024-65535 th dport 23 counter");
	expect_line(&f, "in_local", "meta l4proto 6 th sport 23 th dport 1024-65535 counter");
	/* Later fragments have none. */
	expect_line(&f, "in_fragment", "ip daddr 192.0.2.1 meta l4proto 6 accept\n");
	f.service.src_port[0] = 0;
	expect_line(&f, "out_local", "meta l4proto 6 th dport 23 counter");
	f.service.connect = POL_CONNECT_OUT;
	expect_line(&f, "in_local", "tcp flags & (syn | ack) != syn counter");
	f.service.connect = POL_CONNECT_IN;
	expect_line(&f, "out_local", "tcp flags & (syn | ack) != syn counter");
}
END_TEST

START_TEST(test_directions)
{
	struct fixture f;

	setup(&f, POL_PERMIT);
	f.service.direction = POL_OUT;
	expect_line(&f, "out_local", "\"0:0:o\"");
	expect_none(&f, "in_local");
	/* One direction: source and destination are the packet's. */
	f.service.direction = POL_IN;
	expect_none(&f, "out_local");
	expect_line(&f, "in_local", "ip saddr 192.0.2.1 ip daddr 198.51.100.0/24 counter");
}
END_TEST

START_TEST(test_routing)
{
	struct fixture f;

	setup(&f, POL_IPSEC);
	f.service.routing = POL_ROUTED;
	expect_none(&f, "out_local");
	expect_none(&f, "in_local");
	expect_line(&f, "out_routed",
		    "ip saddr 192.0.2.1 ip daddr 198.51.100.0/24 counter meta mark set meta mark & "
		    "0xc000ffff | 0x00110000 accept");
	expect_line(&f, "in_routed", "counter goto ipsec_routed_0 comment \"0:0:i\"");
	expect_line(&f, "ipsec_routed_0", "== 0x00440000 accept\n");
	f.service.routing = POL_EITHER;
	expect_line(&f, "out_local", "\"0:0:o\"");
	expect_line(&f, "out_routed", "\"0:0:o\"");
}
END_TEST

START_TEST(test_icmp)
{
	struct fixture f;

	setup(&f, POL_PERMIT);
	f.service.proto = IPPROTO_ICMP;
	f.service.type[0] = f.service.type[1] = 3;
	f.service.code[0] = 0;
	f.service.code[1] = 4;
	expect_line(&f, "out_local", "meta l4proto 1 @th,0,8 3 @th,8,8 0-4 counter");
	/* ICMP is IPv4's. */
	f.src[0] = range("2001:db8::1");
	f.dst[0] = range("2001:db8:1::/48");
	expect_none(&f, "out_local");
	f.service.proto = IPPROTO_ICMPV6;
	expect_line(&f, "out_local",
		    "ip6 saddr 2001:db8::1 ip6 daddr 2001:db8:1::/48 meta l4proto "
		    "58 @th,0,8 3");
	/* nft aborts when it lists a range behind these. */
	f.service.proto = IPPROTO_MH;
	f.service.type[1] = 5;
	expect_line(&f, "out_local", "@th,16,8 3-5 meta l4proto 135 counter");
	f.service.proto = 89;
	expect_line(&f, "out_local", "@th,8,8 3-5 meta l4proto 89 counter");
}
END_TEST

START_TEST(test_addresses)
{
	struct fixture f;

	setup(&f, POL_PERMIT);
	f.src[1] = range("192.0.2.10-192.0.2.20");
	f.src[2] = range("2001:db8::1");
	f.dst[1] = range("2001:db8:1::/48");
	f.rule.n_src = 3;
	f.rule.n_dst = 2;
	expect_line(&f, "out_local",
		    "ip saddr { 192.0.2.1, 192.0.2.10-192.0.2.20 } ip daddr "
		    "198.51.100.0/24 counter");
	expect_line(&f, "out_local", "ip6 saddr 2001:db8::1 ip6 daddr 2001:db8:1::/48 counter");
	/* Members that overlap or touch are one range. */
	f.src[1] = range("192.0.2.0/24");
	expect_line(&f, "out_local", "ip saddr 192.0.2.0/24 ip daddr ");
	f.src[0] = range("192.0.3.0-192.0.3.9");
	expect_line(&f, "out_local", "ip saddr 192.0.2.0-192.0.3.9 ip daddr ");
	f.dst[0] = range("0.0.0.0/0");
	expect_line(&f, "out_local", "ip saddr 192.0.2.0-192.0.3.9 counter");
	/* No pair of one family, no rule. */
	f.rule.n_src = 1;
	f.rule.dst = f.dst + 1;
	f.rule.n_dst = 1;
	expect_none(&f, "out_local");
}
END_TEST

static unsigned times_in(const char *text, const char *part)
{
	unsigned n = 0;

	for (const char *p = strstr(text, part); p; p = strstr(p + 1, part))
		n++;
	return n;
}

/* Many addresses stand in the table once, whatever rules name them, in whichever order. */
START_TEST(test_named_set)
{
	enum { N = XF_INLINE_RANGES + 1 };
	struct pol_filter_rule rules[2];
	struct cs_range up[N + 1], down[N + 1];
	struct cs_err err;
	struct fixture f;
	char *text;

	setup(&f, POL_PERMIT);
	for (unsigned i = 0; i < N; i++) {
		struct cs_addr a = {.family = AF_INET, .b = {10, 0, 0, (uint8_t)(2 * i)}};

		up[i] = down[N - 1 - i] = cs_range_single(&a);
	}
	up[N] = down[N] = range("2001:db8::1");
	rules[0] = rules[1] = f.rule;
	rules[0].src = up;
	rules[1].dst = down;
	rules[0].n_src = rules[1].n_dst = N + 1;
	f.policy.rules = rules;
	f.policy.n_rules = 2;
	text = xf_ruleset(&marking, &f.policy, time(NULL));
	ck_assert_ptr_nonnull(text);
	ck_assert_uint_eq(times_in(text, "\tset "), 1);
	ck_assert_uint_eq(times_in(text, "10.0.0."), N);
	ck_assert_ptr_nonnull(strstr(text,
				     "\tset addr_1 {\n\t\ttype ipv4_addr\n\t\tflags constant, "
				     "interval\n\t\telements = { 10.0.0.0, 10.0.0.2, "));
	if (geteuid() == 0)
		ck_assert_msg(xf_nft_run(text, true, &err) == 0, "%s", err.text);
	free(text);
	expect_line(&f, "out_local", "ip saddr @addr_1 ip daddr 198.51.100.0/24 counter");
	expect_line(&f, "out_local", "ip saddr 192.0.2.1 ip daddr @addr_1 counter");
	/* Other addresses are another set. */
	down[0] = range("10.1.0.0/16");
	expect_line(&f, "out_local", "ip saddr @addr_1 ip daddr 198.51.100.0/24 counter");
	expect_line(&f, "out_local", "ip saddr 192.0.2.1 ip daddr @addr_2 counter");
	/* Few stand in the line. */
	rules[1].dst = f.dst;
	rules[1].n_dst = 1;
	rules[0].src = up + 1;
	rules[0].n_src = N - 1;
	text = xf_ruleset(&marking, &f.policy, time(NULL));
	ck_assert_ptr_nonnull(text);
	ck_assert_ptr_null(strstr(text, "\tset "));
	free(text);
}
END_TEST

/* A long list is asked for what its lines have, and those that have not are in all answers. */
START_TEST(test_tree)
{
	enum { N = 12 };
	struct pol_filter_rule rules[N];
	struct cs_range dst[N];
	struct fixture f;
	char text[32];

	setup(&f, POL_PERMIT);
	for (unsigned i = 0; i < N; i++) {
		rules[i] = f.rule;
		snprintf(text, sizeof(text), "198.51.100.%u", i < N - 1 ? i : 255);
		dst[i] = range(text);
		rules[i].dst = &dst[i];
	}
	f.policy.rules = rules;
	f.policy.n_rules = N;
	expect(&f, "out_local", "\t\tjump out_local_14\n\t\tcounter drop comment \"12:0:o\"\n");
	expect(&f, "out_local_14", "\t\tmeta nfproto vmap { ipv4 : goto out_local_13 }\n");
	expect_line(&f, "out_local_13",
		    "ip daddr vmap { 198.51.100.0 : goto out_local_1, 198.51.100.1 : goto "
		    "out_local_2, ");
	expect_line(&f, "out_local_3", "ip saddr 192.0.2.1 ip daddr 198.51.100.2 counter");
	expect_line(&f, "in_local_13", "ip saddr vmap { 198.51.100.0 : goto in_local_1, ");
	/* One without an address, and what no value leads to gets it, too. */
	dst[5] = range("0.0.0.0/0");
	expect_line(&f, "out_local_13",
		    ", 198.51.100.255 : goto out_local_11 }\n\t\tgoto out_local_12\n");
	expect_line(&f, "out_local_12", "ip saddr 192.0.2.1 counter");
	expect_line(&f, "out_local_3",
		    "ip daddr 198.51.100.2 counter meta mark set meta mark & 0xc000ffff | "
		    "0x00010000 accept comment \"2:0:o\"\n\t\tmeta nfproto ipv4 ip saddr "
		    "192.0.2.1 counter");
}
END_TEST

/* Where every field costs too much the parts are tried in order, and only the last does not return.
 */
START_TEST(test_sequence)
{
	enum { N = 24 };
	struct pol_filter_rule rules[N];
	struct cs_range dst[N];
	struct fixture f;
	char text[32];

	setup(&f, POL_PERMIT);
	for (unsigned i = 0; i < N; i++) {
		rules[i] = f.rule;
		snprintf(text, sizeof(text), i < N / 2 ? "198.51.100.%u" : "0.0.0.0/0", i);
		dst[i] = range(text);
		rules[i].dst = &dst[i];
	}
	f.policy.rules = rules;
	f.policy.n_rules = N;
	expect_line(&f, "out_local_13", "\t\tip daddr vmap { 198.51.100.0 : goto out_local_1, ");
	expect_line(&f, "out_local_14", "comment \"12:0:o\"\n");
	expect(&f, "out_local_15", "\t\tjump out_local_13\n\t\tgoto out_local_14\n");
}
END_TEST

#define LOG(reason, direction, rule)                                                               \
	"log prefix \"csipsec 7 " reason " " direction " " rule                                    \
	"\" group 119 snaplen 128 queue-threshold 32 "

/* Once a packet, where it is known what happens to it. */
START_TEST(test_logging)
{
	struct fixture f;

	setup(&f, POL_PERMIT);
	f.policy.filter_logging = f.policy.log_implicit = true;
	strcpy(f.rule.name, "A.b-c\"$d");
	expect_line(&f, "in_local",
		    "counter " LOG("implicit", "i", "1 -") "drop comment \"1:0:i\"");
	expect_line(&f, "in_local", "counter goto clear_local comment");
	f.rule.log = POL_LOG_YES;
	expect_line(&f, "out_local",
		    "counter " LOG("permit", "o", "0 A.b-c??d") "meta mark set meta mark & "
								"0xc000ffff | 0x00010000 accept");
	expect_line(&f, "in_local", "counter goto clear_local_0 comment \"0:0:i\"");
	expect(&f, "clear_local_0",
	       "\t\tmeta secpath exists " LOG(
		       "mismatch", "i",
		       "0 A.b-c??d") "counter drop comment "
				     "\"mismatch\"\n"
				     "\t\t" LOG(
					     "permit", "i",
					     "0 A.b-c??d") "meta mark set meta mark & 0xc000ffff | "
							   "0x00010000 accept\n");
	f.rule.verdict = POL_DENY;
	expect_line(&f, "out_local", "counter " LOG("deny", "o", "0 A.b-c??d") "drop comment");
	f.policy.filter_logging = f.policy.log_implicit = false;
	expect_line(&f, "out_local", "counter drop comment \"0:0:o\"");
	expect_line(&f, "out_local", "counter drop comment \"1:0:o\"");
}
END_TEST

START_TEST(test_logging_ipsec)
{
	const enum pol_log settings[] = {POL_LOG_NO, POL_LOG_YES, POL_LOG_PERMIT, POL_LOG_DENY};
	struct fixture f;

	for (unsigned i = 0; i < 4; i++) {
		bool permit = settings[i] == POL_LOG_YES || settings[i] == POL_LOG_PERMIT;
		bool deny = settings[i] == POL_LOG_YES || settings[i] == POL_LOG_DENY;

		setup(&f, POL_IPSEC);
		f.policy.filter_logging = f.policy.log_implicit = true;
		strcpy(f.rule.name, "R");
		f.rule.log = settings[i];
		expect_line(&f, "out_local", "counter meta mark set");
		expect_line(&f, "ipsec_local_0",
			    permit ? "== 0x00440000 " LOG("permit", "i", "0 R") "meta mark set"
				   : "== 0x00440000 meta mark set");
		expect_line(&f, "ipsec_local_0",
			    deny ? "meta secpath exists " LOG("mismatch", "i", "0 R") "counter drop"
				 : "\t\tcounter drop comment \"unprotected\"\n");
		if (!permit && !deny)
			continue;
		expect_line(&f, "postrouting",
			    "meta mark & 0x3fff0000 vmap { 0x00110000 : jump leaving_0 }\n");
		if (permit)
			expect_line(&f, "leaving_0",
				    "oif != lo rt ipsec exists " LOG("permit", "o", "0 R"));
		if (deny)
			expect_line(
				&f, "leaving_0",
				"\t\toif lo " LOG("held", "o", "0 R") "return\n"
								      "\t\trt ipsec missing " LOG(
									      "unprotected", "o",
									      "0 R") "return\n");
	}
}
END_TEST

START_TEST(test_security_class)
{
	struct fixture f;

	setup(&f, POL_PERMIT);
	f.service.security_class = 7;
	expect_line(&f, "in_local", "meta nfproto ipv4 iifgroup 7 ip saddr");
	expect_line(&f, "out_local", "meta nfproto ipv4 oif != lo oifgroup 7 ip saddr");
	f.service.security_class = 255;
	expect_line(&f, "in_local", "meta nfproto ipv4 iifgroup { 0, 255 } ip saddr");
	expect_line(&f, "out_local", "meta nfproto ipv4 oif != lo oifgroup { 0, 255 } ip saddr");
	f.service.routing = POL_ROUTED;
	expect_line(&f, "in_routed", "meta nfproto ipv4 iifgroup { 0, 255 } ip saddr");
	expect_none(&f, "out_routed");
	f.service.security_class = 7;
	expect_none(&f, "out_routed");
}
END_TEST

/* What denies or protects does so where the class is not known. */
START_TEST(test_security_class_unknown)
{
	static const enum pol_verdict verdicts[] = {POL_DENY, POL_IPSEC};
	struct fixture f;

	setup(&f, verdicts[_i]);
	f.service.security_class = 255;
	expect_line(&f, "in_local", "meta nfproto ipv4 iifgroup { 0, 255 } ip saddr");
	expect_line(&f, "out_local", "meta nfproto ipv4 oifgroup { 0, 255 } ip saddr");
	f.service.routing = POL_ROUTED;
	expect_line(&f, "in_routed", "meta nfproto ipv4 iifgroup { 0, 255 } ip saddr");
	expect_line(&f, "out_routed", "meta nfproto ipv4 ip saddr");
}
END_TEST

START_TEST(test_fragments)
{
	struct fixture f;

	setup(&f, POL_DENY);
	f.service.fragments_only = true;
	expect_line(&f, "in_local", "ip frag-off & 0x3fff != 0 counter drop");
	expect_none(&f, "out_local");
	f.service.routing = POL_ROUTED;
	expect_line(&f, "out_routed", "ip frag-off & 0x3fff != 0 counter drop");
	f.src[0] = range("2001:db8::1");
	f.dst[0] = range("2001:db8:1::/48");
	expect_line(&f, "out_routed", "exthdr frag exists counter drop");
	f.service.fragments_only = false;
	f.service.proto = POL_PROTO_OPAQUE;
	expect_line(&f, "out_routed",
		    "frag frag-off != 0 frag nexthdr { 0, 43, 44, 51, 60 } counter drop");
}
END_TEST

START_TEST(test_times)
{
	struct pol_time past = {.from = 1, .to = 2};
	struct fixture f;

	setup(&f, POL_PERMIT);
	f.rule.times = &past;
	f.rule.n_times = 1;
	expect_none(&f, "out_local");
	past.from = past.to = 0;
	past.months = 0xfff;
	past.days = 0x7fffffff;
	past.weekdays = 0x7f;
	expect_line(&f, "out_local", "\"0:0:o\"");
}
END_TEST

/* The table is for the time that was asked for, whatever the time is meanwhile. */
START_TEST(test_one_time)
{
	struct pol_time window = {
		.from = 1000, .to = 2000, .months = 0xfff, .days = 0x7fffffff, .weekdays = 0x7f};
	unsigned before, within, after;
	struct fixture f;

	setup(&f, POL_PERMIT);
	f.rule.times = &window;
	f.rule.n_times = 1;
	free(xf_nft_compile(&marking, &f.policy, 999, NULL, &before));
	free(xf_nft_compile(&marking, &f.policy, 1500, NULL, &within));
	free(xf_nft_compile(&marking, &f.policy, 2001, NULL, &after));
	ck_assert_uint_gt(within, before);
	ck_assert_uint_eq(after, before);
}
END_TEST

/* Two SAs where every offer of the rule is AH around ESP, one where another may be taken. */
START_TEST(test_bundles_only)
{
	struct pol_data_offer offers[2] = {
		{.auth_proto = POL_AH,
		 .cipher = cs_cipher_by_keyword("AES_CBC", 128),
		 .integ = cs_integ_by_keyword("HMAC_SHA1")},
		{.auth_proto = POL_AH, .integ = cs_integ_by_keyword("HMAC_SHA1")},
	};
	struct pol_dynvpn_action vpn = {.offers = offers, .n_offers = 1};
	struct fixture f;

	setup(&f, POL_IPSEC);
	f.rule.vpn = &vpn;
	expect_line(&f, "ipsec_local_0",
		    "ipsec in reqid & 0xfffc0000 == 0x00440000 "
		    "ipsec in spnum 1 reqid & 0xfffc0000 == 0x00440000 meta mark set");
	vpn.n_offers = 2;
	expect_line(&f, "ipsec_local_0", "ipsec in reqid & 0xfffc0000 == 0x00440000 meta mark set");
}
END_TEST

/* A manual tunnel's SAs are not the rule's own: what arrives is asked for them exactly. */
START_TEST(test_manual)
{
	struct fixture f;
	struct pol_manvpn_action action = {.number = 5, .auth_proto = POL_ESP};

	setup(&f, POL_IPSEC);
	f.rule.manual = &action;
	expect(&f, "ipsec_local_0",
	       "\t\tipsec in reqid & 0xffffffff == 0x00040005 meta mark set meta mark & 0xc000ffff "
	       "| "
	       "0x00030000 accept\n\t\tcounter drop comment \"unprotected\"\n");
	action.auth_proto = POL_AH;
	expect_line(&f, "ipsec_local_0", "reqid & 0xffffffff == 0x00040005 meta mark");
	/* ESP has no integrity of its own then. */
	action.cipher = cs_cipher_by_keyword("AES_CBC", 128);
	expect_line(&f, "ipsec_local_0",
		    "ipsec in reqid & 0xffffffff == 0x00040005 ipsec in spnum 1 reqid & 0xffffffff "
		    "== 0x00040005 meta mark");
}
END_TEST

/* What came by a tunnel of another peer is not the rule's, and goes on; in clear it ends here. */
START_TEST(test_identity)
{
	static const struct pol_identity id = {.type = POL_ID_FQDN};
	struct fixture f;

	setup(&f, POL_IPSEC);
	f.rule.remote_identity = &id;
	expect_line(&f, "in_local", "counter jump ipsec_local_0 comment \"0:0:i\"");
	expect(&f, "ipsec_local_0",
	       "\t\tipsec in reqid & 0xfffc0000 == 0x00440000 meta mark set meta mark & 0xc000ffff "
	       "| "
	       "0x00030000 accept\n"
	       "\t\tmeta secpath missing counter drop comment \"unprotected\"\n");
}
END_TEST

#define PERMITTED "meta mark set meta mark & 0xc000ffff | 0x00010000 accept\n"
#define DISCOVERY                                                                                  \
	"icmpv6 type 133-137 ip6 hoplimit 255 ip6 daddr "                                          \
	"::-ff02:ffff:ffff:ffff:ffff:ffff:ffff:ffff " PERMITTED
#define LISTENERS      "icmpv6 type { 130-132, 143 } ip6 hoplimit 1 ip6 saddr fe80::/10 " PERMITTED
#define NO_ADDRESS_YET "icmpv6 type { 131, 143 } ip6 hoplimit 1 ip6 saddr :: " PERMITTED
#define IN_CLEAR       "\t\tmeta secpath missing exthdr frag missing "

/* What is for this host and does not meet the list: ESP and AH, and what neighbours say. */
START_TEST(test_to_local)
{
	struct fixture f;

	setup(&f, POL_DENY);
	expect(&f, "to_local",
	       "\t\tesp spi 0x0ff00000-0x0fffffff counter drop comment \"not in AH\"\n"
	       "\t\tmeta l4proto { 50, 51 } accept\n" IN_CLEAR DISCOVERY IN_CLEAR LISTENERS IN_CLEAR
		       NO_ADDRESS_YET "\t\tip frag-off & 0x1fff != 0 goto fragments\n"
	       "\t\tfrag frag-off != 0 goto fragments\n"
	       "\t\tgoto in_local\n");
	f.policy.predecap = true;
	expect_line(&f, "to_local", "comment \"not in AH\"\n" IN_CLEAR DISCOVERY);
}
END_TEST

/* A hop limit that a router has counted down is no neighbour's. */
START_TEST(test_neighbors)
{
	struct fixture f;

	setup(&f, POL_DENY);
	expect_line(&f, "output", "\t\t" DISCOVERY "\t\t" LISTENERS "\t\t" NO_ADDRESS_YET);
	/* What is to be forwarded meets the list as it arrives and as it leaves. */
	expect_line(&f, "prerouting",
		    "\t\tiif lo " PERMITTED
		    "\t\tfib daddr type { local, broadcast, anycast, multicast } goto to_local\n"
		    "\t\tgoto in_routed\n");
	expect_line(&f, "departing",
		    "\t\tiif lo accept\n"
		    "\t\tfib daddr type { local, broadcast, anycast, multicast } accept\n"
		    "\t\tgoto out_routed\n");
}
END_TEST

/* What is for a group is for this host; where it is forwarded it meets the lists of that. */
START_TEST(test_groups)
{
	struct fixture f;

	setup(&f, POL_DENY);
	expect(&f, "group_arriving",
	       "\t\ttype filter hook forward priority mangle; policy accept;\n"
	       "\t\tfib daddr type { broadcast, multicast } goto in_routed\n");
	expect(&f, "group_departing",
	       "\t\ttype filter hook forward priority mangle + 1; policy accept;\n"
	       "\t\tfib daddr type { broadcast, multicast } goto out_routed\n");
}
END_TEST

/* Only our field of the mark is touched, wherever it lies. */
START_TEST(test_marking)
{
	const unsigned shifts[] = {0, 1, 16, 18};

	for (size_t i = 0; i < sizeof(shifts) / sizeof(shifts[0]); i++) {
		struct xf_marking m = {.shift = shifts[i]};
		uint32_t mask = xf_mark_mask(&m);

		ck_assert_uint_eq((unsigned)__builtin_popcount(mask), 14);
		ck_assert_uint_eq(xf_mark_value(&m, XF_MARK_CLIENT_MAX), mask);
		ck_assert_uint_eq(xf_mark_value(&m, 1) & ~mask, 0);
	}
	ck_assert_uint_eq(xf_reqid(16, 1), 0x00400001);
	ck_assert_uint_eq(xf_reqid(XF_MARK_RULE_MAX, XF_REQID_TUNNEL_MAX), 0x7fffffff);
	ck_assert_uint_eq(xf_reqid_rule(xf_reqid(4711, 99)), 4711);
	ck_assert_uint_eq(xf_reqid_tunnel(xf_reqid(4711, 99)), 99);
}
END_TEST

/* ---- clients behind a NAT ---- */

static const struct pol_ke_action nat = {.allow_nat = true};
static struct pol_ke_rule with_nat = {.action = &nat};

static void allow_nat(struct fixture *f)
{
	f->policy.ke_rules = &with_nat;
	f->policy.n_ke_rules = 1;
}

/* Connection tracking is for those who need it. */
START_TEST(test_no_clients)
{
	struct fixture f;
	char *text;

	for (int i = 0; i < 2; i++) {
		setup(&f, i ? POL_PERMIT : POL_IPSEC);
		if (i)
			allow_nat(&f);
		text = xf_ruleset(&marking, &f.policy, 0);
		ck_assert_ptr_nonnull(text);
		ck_assert_ptr_null(strstr(text, "ct "));
		ck_assert_ptr_null(strstr(text, "type nat"));
		free(text);
	}
}
END_TEST

/* ESP in UDP is ESP where it may come; IKE is what the list permits, whatever the policy says. */
START_TEST(test_port_4500)
{
	struct fixture f;
	char *chain;

	setup(&f, POL_IPSEC);
	allow_nat(&f);
	expect_line(&f, "to_local",
		    "\t\tmeta l4proto { 50, 51 } accept\n"
		    "\t\tmeta nfproto ipv4 udp dport 4500 udp length > 16 @th,64,32 != 0 "
		    "socket mark & 0x3fff0000 == 0x00020000 meta mark set meta mark & 0xc000ffff | "
		    "0x00020000 accept\n" IN_CLEAR);
	f.policy.predecap = true;
	chain = chain_of(&f, "to_local");
	ck_assert_ptr_null(strstr(chain, "udp"));
	free(chain);
}
END_TEST

/* What answers a client gets its mark; the list has said before that it is to be protected. */
START_TEST(test_clients)
{
	static const char *const wanted[] = {
		"chain client_zone {\n\t\ttype filter hook prerouting priority raw;",
		"meta secpath exists meta mark & 0x3fff0000 > 0x20000000 ct original zone set "
		"meta mark & 0x3fff0000 map @client_zones\n",
		"elements = { 0x20010000 : 8193, 0x20020000 : 8194, ",
		", 0x3fff0000 : 16383 }",
		"type nat hook input priority 100;",
		"type nat hook postrouting priority srcnat;",
		"counter meta mark set meta mark & 0xc000ffff | 0x00110000 goto decided_local "
		"comment",
		"chain decided_local {\n\t\tmeta mark & 0x3fff0000 >= 0x00100000 ct direction "
		"reply ct original zone 8193-16383 goto to_client\n",
		"chain decided_routed {\n\t\tmeta mark & 0x3fff0000 >= 0x00100000 ct direction "
		"reply ct original zone 8193-16383 goto to_client\n",
		"chain to_client {\n\t\tct mark & 0x3fff0000 == 0x20000000 counter drop comment "
		"\"client gone\"\n",
		"meta mark set meta mark & 0xc000ffff | 0x20000000\n",
		"ct original zone & 4096 == 4096 meta mark set meta mark | 0x10000000\n",
	};
	struct fixture f;
	struct cs_err err;
	char *text;

	setup(&f, POL_IPSEC);
	allow_nat(&f);
	text = xf_ruleset(&marking, &f.policy, 0);
	ck_assert_ptr_nonnull(text);
	if (geteuid() == 0)
		ck_assert_msg(xf_nft_run(text, true, &err) == 0, "%s", err.text);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		ck_assert_msg(strstr(text, wanted[i]) != NULL, "%s", wanted[i]);
	free(text);
}
END_TEST

/* ---- the library ---- */

/* Without a socket it ends its process, which must not be ours. */
START_TEST(test_library_ends)
{
	struct rlimit limit;
	struct cs_err err;
	int fds[2];

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_int_eq(pipe(fds), 0);
	limit.rlim_cur = (rlim_t)(fds[0] > fds[1] ? fds[0] : fds[1]) + 1;
	close(fds[0]);
	close(fds[1]);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_int_eq(xf_nft_run("list tables\n", false, &err), CS_EKERNEL);
	ck_assert_msg(strstr(err.text, "Unable to initialize Netlink socket: Too many open files"),
		      "%s", err.text);
}
END_TEST

/* ---- the kernel's policies ---- */

static unsigned count(const struct xf_policy_list *l, enum xf_dir dir, uint32_t priority)
{
	unsigned n = 0;

	for (size_t i = 0; i < l->n; i++)
		n += l->v[i].dir == dir && l->v[i].priority == priority;
	return n;
}

static void wanted(const struct fixture *f, struct xf_policy_list *l, bool *v4, bool *v6)
{
	struct cs_err err = {.text = ""};

	*l = (struct xf_policy_list){0};
	ck_assert_msg(xf_wanted(&marking, &f->policy, l, v4, v6, &err) == 0, "%s", err.text);
}

START_TEST(test_wanted)
{
	struct xf_policy_list l;
	struct fixture f;
	bool v4, v6;

	setup(&f, POL_PERMIT);
	wanted(&f, &l, &v4, &v6);
	ck_assert_uint_eq(l.n, 0);
	ck_assert(!v4 && !v6);

	setup(&f, POL_IPSEC);
	wanted(&f, &l, &v4, &v6);
	ck_assert(v4 && !v6);
	ck_assert_uint_eq(count(&l, XF_OUT, XF_PRIO_ANCHOR), 1);
	ck_assert_uint_eq(count(&l, XF_IN, XF_PRIO_ANCHOR), 1);
	ck_assert_uint_eq(count(&l, XF_OUT, XF_PRIO_CLOSED), 1);
	ck_assert_uint_eq(count(&l, XF_IN, XF_PRIO_CLOSED), 1);
	ck_assert_uint_eq(count(&l, XF_FWD, XF_PRIO_CLOSED), 0);
	xf_list_free(&l);

	f.service.routing = POL_ROUTED;
	wanted(&f, &l, &v4, &v6);
	ck_assert_uint_eq(count(&l, XF_FWD, XF_PRIO_CLOSED), 2);
	ck_assert_uint_eq(count(&l, XF_FWD, XF_PRIO_ANCHOR), 2);
	xf_list_free(&l);

	/* To clients behind NAT, whatever their marks. */
	allow_nat(&f);
	wanted(&f, &l, &v4, &v6);
	ck_assert_uint_eq(count(&l, XF_FWD, XF_PRIO_ANCHOR), 3);
	for (size_t i = 0; i < l.n; i++)
		if (l.v[i].mark == xf_mark_value(&marking, XF_MARK_CLIENT_GONE))
			ck_assert_uint_eq(l.v[i].mark_mask, l.v[i].mark);
	xf_list_free(&l);
	f.policy.n_ke_rules = 0;

	f.src[0] = range("2001:db8::1");
	f.dst[0] = range("::/0");
	wanted(&f, &l, &v4, &v6);
	ck_assert(!v4 && v6);
	ck_assert_uint_eq(count(&l, XF_OUT, XF_PRIO_NEIGHBOR), 9);
	xf_list_free(&l);

	f.rule.id = 0;
	l = (struct xf_policy_list){0};
	ck_assert_int_eq(xf_wanted(&marking, &f.policy, &l, &v4, &v6, NULL), CS_EINVAL);
	xf_list_free(&l);
}
END_TEST

/* A range becomes the fewest prefixes that are it exactly. */
/* The anchor of a manual tunnel's rule asks for nothing and holds everything. */
START_TEST(test_wanted_manual)
{
	static const struct pol_manvpn_action action = {.number = 5};
	struct xf_policy_list l = {0};
	unsigned n = 0;
	struct fixture f;
	bool v4, v6;

	setup(&f, POL_IPSEC);
	f.rule.manual = &action;
	wanted(&f, &l, &v4, &v6);
	for (size_t i = 0; i < l.n; i++) {
		const struct xf_policy *p = &l.v[i];

		if (p->mark != xf_mark_value(&marking, 17))
			continue;
		n++;
		ck_assert(p->dir == XF_OUT && p->hold && !p->has_template && !p->reqid);
		ck_assert_uint_eq(p->priority, XF_PRIO_ANCHOR);
	}
	ck_assert_uint_eq(n, 1);
	xf_list_free(&l);
}
END_TEST

START_TEST(test_prefixes)
{
	static const struct {
		const char *range;
		unsigned prefixes;
	} cases[] = {
		{"10.0.0.0-10.0.0.255", 1},      {"10.0.0.1-10.0.0.254", 14},
		{"0.0.0.0-255.255.255.255", 1},  {"255.255.255.254-255.255.255.255", 1},
		{"0.0.0.1-255.255.255.255", 32}, {"2001:db8::-2001:db8::2", 2},
	};
	struct xf_policy_list l;
	struct fixture f;
	bool v4, v6;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		setup(&f, POL_IPSEC);
		f.src[0] = range(cases[i].range);
		f.dst[0] = cs_range_all(f.src[0].lo.family);
		wanted(&f, &l, &v4, &v6);
		ck_assert_uint_eq(count(&l, XF_OUT, XF_PRIO_CLOSED), cases[i].prefixes);
		xf_list_free(&l);
	}
}
END_TEST

/* Products that nobody wants in the SPD get wider instead. */
static unsigned occurrences(const char *text, const char *what)
{
	unsigned n = 0;

	while ((text = strstr(text, what))) {
		text++;
		n++;
	}
	return n;
}

/* What a rule has counted before stands in one place, whatever the number of its nftables rules. */
START_TEST(test_counts)
{
	struct xf_filter_count v[] = {
		{.rule = 0, .service = 0, .outbound = false, .packets = 5, .bytes = 500},
		{.rule = 0, .service = 0, .outbound = true, .packets = 7, .bytes = 700},
		{.rule = 1, .service = 0, .outbound = false, .packets = 9, .bytes = 900},
	};
	struct xf_count_list counts = {.v = v, .n = 3};
	struct fixture f;
	unsigned n;
	char *text;

	setup(&f, POL_PERMIT);
	f.service.routing = POL_EITHER;
	text = xf_nft_compile(&marking, &f.policy, 0, &counts, &n);
	ck_assert_ptr_nonnull(text);
	ck_assert_uint_eq(occurrences(text, "comment \"0:0:i\""), 2);
	ck_assert_uint_eq(occurrences(text, "counter packets 5 bytes 500 "), 1);
	ck_assert_uint_eq(occurrences(text, "counter packets 7 bytes 700 "), 1);
	ck_assert_uint_eq(occurrences(text, "counter packets 9 bytes 900 drop comment \"1:0:i\""),
			  1);
	ck_assert_uint_eq(occurrences(text, "packets"), 3);
	free(text);
}
END_TEST

START_TEST(test_many)
{
	enum { N = 100 };
	static struct cs_range src[N], dst[N];
	struct xf_policy_list l;
	char text[32];
	struct fixture f;
	bool v4, v6;

	setup(&f, POL_IPSEC);
	for (unsigned i = 0; i < N; i++) {
		snprintf(text, sizeof(text), "10.0.%u.0/24", i);
		src[i] = range(text);
		snprintf(text, sizeof(text), "10.1.%u.0/24", i);
		dst[i] = range(text);
	}
	f.rule.src = src;
	f.rule.dst = dst;
	f.rule.n_src = f.rule.n_dst = N;
	wanted(&f, &l, &v4, &v6);
	ck_assert_uint_eq(count(&l, XF_OUT, XF_PRIO_CLOSED), N);
	xf_list_free(&l);
}
END_TEST

/* A file that nobody writes to is read for ever. */
START_TEST(test_child_hangs)
{
	char dir[] = "/tmp/csipsec-nft-XXXXXX", fifo[64], text[96];
	time_t began = time(NULL);
	struct cs_err err;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	snprintf(text, sizeof(text), "include \"%s\"\n", fifo);
	ck_assert_int_eq(xf_nft_run_within(text, true, 2, &err), CS_EKERNEL);
	ck_assert_str_eq(err.text, "nftables table inet csipsec: not done within 2 s, its process "
				   "was killed");
	ck_assert_int_le(time(NULL) - began, 10);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
	unlink(fifo);
	rmdir(dir);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("nft");
	TCase *t = tcase_create("ruleset");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_permit);
	tcase_add_test(t, test_ipsec);
	tcase_add_test(t, test_deny);
	tcase_add_test(t, test_ports);
	tcase_add_test(t, test_directions);
	tcase_add_test(t, test_routing);
	tcase_add_test(t, test_icmp);
	tcase_add_test(t, test_addresses);
	tcase_add_test(t, test_named_set);
	tcase_add_test(t, test_tree);
	tcase_add_test(t, test_sequence);
	tcase_add_test(t, test_logging);
	tcase_add_test(t, test_logging_ipsec);
	tcase_add_test(t, test_child_hangs);
	tcase_add_test(t, test_security_class);
	tcase_add_loop_test(t, test_security_class_unknown, 0, 2);
	tcase_add_test(t, test_fragments);
	tcase_add_test(t, test_times);
	tcase_add_test(t, test_one_time);
	tcase_add_test(t, test_bundles_only);
	tcase_add_test(t, test_manual);
	tcase_add_test(t, test_identity);
	tcase_add_test(t, test_to_local);
	tcase_add_test(t, test_neighbors);
	tcase_add_test(t, test_groups);
	tcase_add_test(t, test_marking);
	tcase_add_test(t, test_no_clients);
	tcase_add_test(t, test_port_4500);
	tcase_add_test(t, test_clients);
	tcase_add_test(t, test_library_ends);
	suite_add_tcase(s, t);
	t = tcase_create("policies");
	tcase_add_test(t, test_wanted);
	tcase_add_test(t, test_wanted_manual);
	tcase_add_test(t, test_prefixes);
	tcase_add_test(t, test_counts);
	tcase_add_test(t, test_many);
	suite_add_tcase(s, t);
	return run_suite(s);
}
