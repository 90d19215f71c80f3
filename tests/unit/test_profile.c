/*
 * The default filters of a profile: what its words come to, each error with its place, and what
 * differs between two policies.
 */
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy_text.h"
#include "tests/unit/run_suite.h"

static struct findings found;

/* The policy (with its reference) or NULL. */
static struct pol_policy *profile(const char *text, size_t size, struct cs_err *err)
{
	char path[] = "/tmp/test_profile.XXXXXX";
	struct pol_policy *policy = NULL;
	int fd = mkstemp(path), rc;

	ck_assert(fd >= 0 && write(fd, text, size) == (ssize_t)size);
	close(fd);
	memset(&found, 0, sizeof(found));
	rc = pol_profile(path, collect, &found, &policy, err);
	unlink(path);
	ck_assert(rc == 0 ? policy != NULL : policy == NULL && rc < 0 && err->text[0]);
	return policy;
}

static struct pol_policy *good(const char *text)
{
	struct cs_err err = {0};
	struct pol_policy *p = profile(text, strlen(text), &err);

	ck_assert_msg(p != NULL, "%s: line %u: %s: %s", err.text, found.v[0].line,
		      found.v[0].attribute, found.v[0].text);
	return p;
}

static void range_is(const struct cs_range *r, const char *text)
{
	char buf[CS_RANGE_STRLEN];

	ck_assert_str_eq(cs_range_text(r, buf), text);
}

START_TEST(test_whole)
{
	static const char text[] =
		"; a comment; and one in it\n"
		"IPCONFIG IPSECURITY SOURCEVIPA\n"
		"PORT 23 TCP TN3270 ; IPSEC\n"
		"IPSEC dvipsec LogEnable\n"
		"  LOGIMPLICIT\n"
		"IPSECRULE * * PROTOCOL UDP SRCPORT 500 DESTPORT 500 ; IKE\n"
		"ipsecrule 192.0.2.1 198.51.100.7/24 LOG PROTOCOL TCP\n"
		"   SRCPORT 22 DESTPORT 1024 65535 DIRECTION BIDIRECTIONAL\n"
		"   INBCONNECT\n"
		"IPSECRULE 192.0.2.1 - 192.0.2.9 * NOLOG PROTOCOL 1 TYPE 8 CODE 0 9\n"
		"          ROUTING LOCAL SECCLASS 7 DIRECTION OUTBOUND\n"
		"IPSEC6RULE 2001:db8::1-2001:db8::9 2001:db8:1::/48 PROTOCOL ICMPV6 TYPE 128 129\n"
		"IPSEC6RULE * * PROTOCOL OPAQUE ROUTING EITHER FRAGMENTSONLY DIRECTION INBOUND\n"
		"ENDIPSEC\n"
		"HOME 192.0.2.1 LINK1\n"
		"IPSEC IPSECRULE bad ENDIPSEC\n";
	struct pol_policy *p = good(text);
	const struct pol_filter_rule *r = p->rules;

	ck_assert(p->dvipsec && p->filter_logging && p->log_implicit && pol_is_profile(p));
	ck_assert(!p->predecap && !p->implicit_discard_icmp);
	ck_assert_uint_eq(p->n_rules, 5);
	for (unsigned i = 0; i < p->n_rules; i++) {
		char name[POL_NAME_MAX + 1];

		snprintf(name, sizeof(name), "SYSDEFAULTRULE.%u", i + 1);
		ck_assert_str_eq(r[i].name, name);
		ck_assert(r[i].verdict == POL_PERMIT && r[i].id == 0 && r[i].n_services == 1);
	}
	range_is(r[0].src, "0.0.0.0/0");
	ck_assert_int_eq(r[0].services->proto, IPPROTO_UDP);
	ck_assert_uint_eq(r[0].services->src_port[0], 500);
	ck_assert_uint_eq(r[0].services->dst_port[1], 500);
	ck_assert(r[0].services->direction == POL_BOTH && r[0].services->routing == POL_LOCAL);
	ck_assert(r[0].log == POL_LOG_NO && r[1].log == POL_LOG_YES && r[2].log == POL_LOG_NO);
	range_is(r[1].dst, "198.51.100.0/24");
	ck_assert_uint_eq(r[1].services->dst_port[0], 1024);
	ck_assert_uint_eq(r[1].services->dst_port[1], 65535);
	ck_assert_int_eq(r[1].services->connect, POL_CONNECT_IN);
	range_is(r[2].src, "192.0.2.1-192.0.2.9");
	ck_assert_int_eq(r[2].services->type[0], 8);
	ck_assert_int_eq(r[2].services->code[1], 9);
	ck_assert_uint_eq(r[2].services->security_class, 7);
	ck_assert_int_eq(r[2].services->direction, POL_OUT);
	range_is(r[3].src, "2001:db8::1-2001:db8::9");
	ck_assert_int_eq(r[3].services->type[1], 129);
	ck_assert_int_eq(r[4].services->proto, POL_PROTO_OPAQUE);
	ck_assert(r[4].services->fragments_only && r[4].services->routing == POL_EITHER);
	ck_assert_int_eq(r[4].services->direction, POL_IN);
	/* the other statements, DVIPSEC, and the second block */
	ck_assert_uint_eq(found.n, 3);
	ck_assert_uint_eq(found.v[0].line, 2);
	ck_assert_ptr_nonnull(strstr(found.v[0].text, "other than IPSEC"));
	ck_assert_uint_eq(found.v[1].line, 4);
	ck_assert_uint_eq(found.v[2].line, 16);
	ck_assert_ptr_nonnull(strstr(found.v[2].text, "second IPSEC block"));
	pol_unref(p);
}
END_TEST

START_TEST(test_defaults)
{
	struct pol_policy *p = good("IPSEC ENDIPSEC"), *q;

	ck_assert(!p->dvipsec && !p->filter_logging && !p->log_implicit && p->n_rules == 0);
	q = good("IPSEC LOGIMPLICIT ENDIPSEC"); /* which is under LOGENABLE alone */
	ck_assert(!q->filter_logging && !q->log_implicit);
	pol_unref(q);
	q = good("IPSEC LOGENABLE ENDIPSEC");
	ck_assert(q->filter_logging && !q->log_implicit);
	ck_assert_uint_ne(p->generation, q->generation);
	pol_unref(q);
	q = good(";\nIPSEC LOGDISABLE NOLOGIMPLICIT\nENDIPSEC\n");
	ck_assert_uint_eq(p->generation, q->generation);
	pol_unref(q);
	q = good("IPSEC\nIPSECRULE * *\nENDIPSEC");
	ck_assert_uint_ne(p->generation, q->generation);
	ck_assert_int_eq(q->rules[0].services->proto, POL_PROTO_ANY);
	ck_assert_int_eq(q->rules[0].services->type[0], -1);
	ck_assert_int_eq(q->rules[0].services->routing, POL_LOCAL);
	ck_assert(pol_ports_any(q->rules[0].services->src_port));
	pol_unref(q);
	pol_unref(p);
}
END_TEST

#define RULE(words)  "IPSEC\nIPSECRULE 192.0.2.1 *\n" words "\nENDIPSEC\n"
#define RULE6(words) "IPSEC\nIPSEC6RULE 2001:db8::1 *\n" words "\nENDIPSEC\n"

static const struct {
	const char *text;
	unsigned line;
	const char *statement, *attribute, *words;
} cases[] = {
	{"", 1, "IPSEC", "", "has no such block"},
	{"HOME 1.2.3.4 L\n", 1, "IPSEC", "", "has no such block"},
	{"PORT IPSEC ENDIPSEC\n", 1, "IPSEC", "", "has no such block"},
	{"IPSEC\nIPSECRULE * *\n", 1, "IPSEC", "", "ENDIPSEC is missing"},
	{"IPSEC", 1, "IPSEC", "", "ENDIPSEC is missing"},
	{"IPSECRULE * *\nIPSEC ENDIPSEC", 1, "IPSEC", "IPSECRULE", "outside"},
	{"IPSEC ENDIPSEC\nENDIPSEC\n", 2, "IPSEC", "ENDIPSEC", "outside"},
	{"IPSEC\nLOGALL\nENDIPSEC\n", 2, "IPSEC", "LOGALL", "no word of IPSEC"},
	{"IPSEC LOGENABLE\nDVIPSEC ENDIPSEC\n", 2, "IPSEC", "DVIPSEC",
	 "must stand before LOGENABLE"},
	{"IPSEC LOGENABLE\nLOGDISABLE ENDIPSEC\n", 2, "IPSEC", "LOGDISABLE",
	 "LOGENABLE stands there already (line 1)"},
	{"IPSEC DVIPSEC DVIPSEC ENDIPSEC\n", 1, "IPSEC", "DVIPSEC", "stands there already"},
	{"IPSEC\nIPSECRULE\nENDIPSEC\n", 2, "IPSECRULE", "", "the source address is missing"},
	{"IPSEC\nIPSECRULE *\nENDIPSEC\n", 2, "IPSECRULE", "",
	 "the destination address is missing"},
	{"IPSEC\nIPSECRULE * LOG\nENDIPSEC\n", 2, "IPSECRULE", "",
	 "destination address is missing"},
	{"IPSEC\nIPSECRULE 192.0.2 *\nENDIPSEC\n", 2, "IPSECRULE", "", "the source address: "},
	{"IPSEC\nIPSECRULE *\n192.0.2.1/33\nENDIPSEC\n", 3, "IPSECRULE", "",
	 "the destination address: "},
	{"IPSEC\nIPSECRULE 192.0.2.9 - 192.0.2.1 *\nENDIPSEC\n", 2, "IPSECRULE", "",
	 "the source address: "},
	{"IPSEC\nIPSECRULE 2001:db8::1 *\nENDIPSEC\n", 2, "IPSECRULE", "", "that is IPSEC6RULE"},
	{"IPSEC\nIPSEC6RULE * 192.0.2.1\nENDIPSEC\n", 2, "IPSEC6RULE", "", "that is IPSECRULE"},
	{RULE("DENY"), 3, "IPSECRULE", "DENY", "no word of IPSECRULE"},
	{RULE("PROTOCOL"), 3, "IPSECRULE", "PROTOCOL", "its value is missing"},
	{RULE("PROTOCOL SRCPORT 5"), 3, "IPSECRULE", "PROTOCOL", "its value is missing"},
	{RULE("PROTOCOL ICMPV6"), 3, "IPSECRULE", "PROTOCOL", "0 to 255, *, TCP, UDP, ICMP, OSPF"},
	{RULE("PROTOCOL 256"), 3, "IPSECRULE", "PROTOCOL", "'256' is none of"},
	{RULE("PROTOCOL TCP SRCPORT 0"), 3, "IPSECRULE", "SRCPORT", "1 to 65535, *"},
	{RULE("PROTOCOL TCP SRCPORT 1 65536"), 3, "IPSECRULE", "SRCPORT", "'1 65536' is none of"},
	{RULE("PROTOCOL TCP\nDESTPORT 20 10"), 4, "IPSECRULE", "DESTPORT", "wrong way round"},
	{RULE("PROTOCOL TCP DESTPORT x"), 3, "IPSECRULE", "DESTPORT", "'x' is none of"},
	{RULE("SRCPORT 25"), 3, "IPSECRULE", "SRCPORT", "protocols TCP and UDP alone"},
	{RULE("PROTOCOL ICMP\nDESTPORT 25"), 4, "IPSECRULE", "DESTPORT", "TCP and UDP alone"},
	{RULE("PROTOCOL TCP TYPE 8"), 3, "IPSECRULE", "TYPE", "ICMP, ICMPV6, OSPF and MIPV6 alone"},
	{RULE("PROTOCOL OSPF TYPE 1 CODE 1"), 3, "IPSECRULE", "CODE", "ICMP and ICMPV6 alone"},
	{RULE("PROTOCOL ICMP CODE 1"), 3, "IPSECRULE", "CODE", "needs a TYPE"},
	{RULE("PROTOCOL ICMP TYPE 1 3 CODE 1"), 3, "IPSECRULE", "CODE", "needs a single TYPE"},
	{RULE("PROTOCOL TCP DESTPORT 25\nROUTING ROUTED"), 3, "IPSECRULE", "DESTPORT", "routed"},
	{RULE("ROUTING NEVER"), 3, "IPSECRULE", "ROUTING", "LOCAL, ROUTED, EITHER"},
	{RULE("SECCLASS 256"), 3, "IPSECRULE", "SECCLASS", "0 to 255"},
	{RULE("DIRECTION BOTH"), 3, "IPSECRULE", "DIRECTION", "'BOTH' is none of"},
	{RULE("DIRECTION BIDIRECTIONAL INBCONNECT"), 3, "IPSECRULE", "DIRECTION", "TCP alone"},
	{RULE("DIRECTION INBOUND INBCONNECT"), 3, "IPSECRULE", "INBCONNECT", "no word"},
	{RULE("PROTOCOL TCP LOG"), 3, "IPSECRULE", "LOG", "must stand before PROTOCOL"},
	{RULE("LOG NOLOG"), 3, "IPSECRULE", "NOLOG", "LOG stands there already"},
	{RULE("PROTOCOL TCP\nPROTOCOL UDP"), 4, "IPSECRULE", "PROTOCOL", "already (line 3)"},
	{RULE6("PROTOCOL ICMP"), 3, "IPSEC6RULE", "PROTOCOL", "ICMPV6, OSPF, MIPV6, OPAQUE"},
	{"IPSEC\nIPSECRULE * *\nPORT 23 TCP X\nENDIPSEC\n", 3, "IPSECRULE", "PORT", "no word"},
};

START_TEST(test_errors)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cs_err err = {0};
		struct pol_policy *p = profile(cases[i].text, strlen(cases[i].text), &err);
		const struct finding *f = found.v;

		ck_assert_msg(!p, "no error in: %s", cases[i].text);
		while (f < found.v + found.n && f->severity != POL_ERROR)
			f++;
		ck_assert_msg(found.n_errors == 1, "%u errors in: %s", found.n_errors,
			      cases[i].text);
		ck_assert_msg(f->line == cases[i].line &&
				      !strcmp(f->statement, cases[i].statement) &&
				      !strcmp(f->attribute, cases[i].attribute) &&
				      strstr(f->text, cases[i].words),
			      "%s\nline %u: %s: %s: %s", cases[i].text, f->line, f->statement,
			      f->attribute, f->text);
		ck_assert_str_eq(err.text, "the profile has 1 error");
	}
}
END_TEST

/* One run tells all: a bad rule does not hide the next, and good ones keep their numbers. */
START_TEST(test_all_errors)
{
	static const char text[] =
		"IPSEC BAD\nIPSECRULE x *\nIPSECRULE * * LOG\n"
		"IPSECRULE * * PROTOCOL 300\nIPSEC6RULE * * SRCPORT 1\nENDIPSEC\n";
	struct cs_err err = {0};

	ck_assert_ptr_null(profile(text, strlen(text), &err));
	ck_assert_uint_eq(found.n_errors, 4);
	ck_assert_str_eq(err.text, "the profile has 4 errors");
	ck_assert_uint_eq(found.v[0].line, 1);
	ck_assert_uint_eq(found.v[1].line, 2);
	ck_assert_uint_eq(found.v[2].line, 4);
	ck_assert_uint_eq(found.v[3].line, 5);
}
END_TEST

START_TEST(test_absent)
{
	struct pol_policy *p = NULL;
	struct cs_err err;

	ck_assert_int_eq(pol_profile("/nonexistent/profile", NULL, NULL, &p, &err), CS_ENOTFOUND);
	ck_assert_int_eq(pol_profile("/", NULL, NULL, &p, &err), CS_ESYS);
	ck_assert_ptr_null(p);
}
END_TEST

/* Whatever is in the file: a policy, or errors. */
START_TEST(test_mutated)
{
	static const char text[] =
		"IPSEC DVIPSEC LOGENABLE LOGIMPLICIT\n"
		"IPSECRULE 192.0.2.1 - 192.0.2.9 * LOG PROTOCOL TCP SRCPORT 22 DESTPORT 1 9\n"
		" ROUTING LOCAL FRAGMENTSONLY SECCLASS 9 DIRECTION BIDIRECTIONAL INBCONNECT\n"
		"IPSEC6RULE * 2001:db8::/32 PROTOCOL ICMPV6 TYPE 1 CODE 2 DIRECTION INBOUND\n"
		"ENDIPSEC ; end\n";
	size_t size = sizeof(text) - 1;
	unsigned kept = 0;

	srand(7);
	for (unsigned i = 0; i < 3000; i++) {
		char copy[2 * sizeof(text)];
		size_t n = size, at = (size_t)rand() % size, len = (size_t)rand() % 12;
		struct cs_err err = {0};
		struct pol_policy *p;

		memcpy(copy, text, size);
		if (at + len > size)
			len = size - at;
		switch (rand() % 4) {
		case 0: /* another byte */
			copy[at] = (char)(rand() % 256);
			break;
		case 1: /* cut */
			n = at;
			break;
		case 2: /* some of it is missing */
			memmove(copy + at, text + at + len, size - at - len);
			n = size - len;
			break;
		default: /* some of it stands twice */
			memmove(copy + at + len, text + at, size - at);
			n = size + len;
			break;
		}
		p = profile(copy, n, &err);
		kept += p != NULL;
		pol_unref(p);
	}
	ck_assert_uint_gt(kept, 20);
	ck_assert_uint_lt(kept, 2500);
}
END_TEST

/* ---- what differs ---- */

static struct pol_policy *rules(const char *list)
{
	static char text[4096];
	struct pol_policy *p;
	size_t n = 0;

	n += (size_t)snprintf(text, sizeof(text), "IpFilterPolicy\n{\n");
	/* "a1 b2": rule a to address 192.0.2.1, rule b to 192.0.2.2; a capital letter denies */
	for (const char *at = list; *at; at += at[2] ? 3 : 2)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
				      "IpFilterRule %c\n{\nIpDestAddr 192.0.2.%c\n"
				      "IpGenericFilterActionRef %s\n}\n",
				      at[0] | 0x20, at[1], at[0] & 0x20 ? "permit" : "deny");
	snprintf(text + n, sizeof(text) - n,
		 "}\nIpGenericFilterAction permit\n{\nIpFilterAction Permit\n}\n"
		 "IpGenericFilterAction deny\n{\nIpFilterAction Deny\n}\n");
	p = compile_text(text, strlen(text), &found);
	ck_assert_msg(p != NULL, "%s", text);
	return p;
}

START_TEST(test_diff)
{
	static const struct {
		const char *before, *now, *text, *same;
	} diffs[] = {
		{NULL, "a1 b2", "2 added", "00"},
		{"a1 b2", "a1 b2", "2 unchanged", "12"},
		{"a1 b2 c3", "a1 b4 c3", "1 changed, 2 unchanged", "103"},
		{"a1 b2 c3", "a1 B2 c3", "1 changed, 2 unchanged", "103"},
		{"a1 b2 c3", "a1 c3 d4", "1 added, 1 removed, 2 unchanged", "130"},
		{"a1 b2 c3", "c3 a1 b2", "3 unchanged in another order", "312"},
		{"a1 a2 b3", "a2 b3", "1 removed, 2 unchanged", "23"},
		{"a1 a2", "a2 a3 a4", "1 added, 1 changed, 1 unchanged", "200"},
		{"a1", "b1", "1 added, 1 removed", "0"},
	};
	char text[POL_CHANGE_STRLEN];
	struct pol_diff d;
	struct cs_err err;

	for (size_t i = 0; i < sizeof(diffs) / sizeof(diffs[0]); i++) {
		struct pol_policy *a = diffs[i].before ? rules(diffs[i].before) : NULL;
		struct pol_policy *b = rules(diffs[i].now);

		ck_assert_int_eq(pol_diff(a, b, &d, &err), 0);
		ck_assert_msg(!strcmp(pol_change_text(&d.rules, text), diffs[i].text),
			      "%s to %s: %s", diffs[i].before, diffs[i].now, text);
		for (unsigned k = 0; k < b->n_rules; k++)
			ck_assert_uint_eq(d.same[k], (unsigned)(diffs[i].same[k] - '0'));
		ck_assert_str_eq(pol_change_text(&d.ke_rules, text), "none");
		pol_diff_free(&d);
		pol_unref(a);
		pol_unref(b);
	}
}
END_TEST

/* A key and a tunnel's address are another one. */
START_TEST(test_diff_other_rules)
{
	size_t size;
	char *sample = read_sample("branch.policy", &size), text[POL_CHANGE_STRLEN];
	struct pol_policy *a = compile_text(sample, size, &found), *b;
	char *key = strstr(sample, "Ebcdic Key1"),
	     *address = strstr(sample, "LocalIp        2001:db8:1::10");
	struct pol_diff d;
	struct cs_err err;

	ck_assert(a && key && address);
	key[10] = '2';
	address[28] = '1';
	b = compile_text(sample, size, &found);
	ck_assert_ptr_nonnull(b);
	ck_assert_int_eq(pol_diff(a, b, &d, &err), 0);
	ck_assert_uint_eq(d.rules.unchanged, a->n_rules);
	ck_assert_str_eq(pol_change_text(&d.ke_rules, text), "1 changed, 1 unchanged");
	ck_assert_str_eq(pol_change_text(&d.local_rules, text), "1 changed, 1 unchanged");
	pol_diff_free(&d);
	pol_unref(a);
	pol_unref(b);
	free(sample);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("profile");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_whole);
	tcase_add_test(tc, test_defaults);
	tcase_add_test(tc, test_errors);
	tcase_add_test(tc, test_all_errors);
	tcase_add_test(tc, test_absent);
	tcase_add_test(tc, test_mutated);
	tcase_add_test(tc, test_diff);
	tcase_add_test(tc, test_diff_other_rules);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
