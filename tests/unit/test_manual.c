/*
 * What pagent remembers of manual tunnels while a policy is tried: nothing changes until the kernel
 * has it.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/pagent_manual.h"
#include "policy_text.h"
#include "tests/unit/run_suite.h"

#define KEYS                                                                                       \
	" AuthOutboundSa 300 0123456789abcdef0123456789abcdef01234567\n"                           \
	" EncryptInboundSa 300 0123456789abcdef0123456789abcdef\n"                                 \
	" EncryptOutboundSa 300 0123456789abcdef0123456789abcdef\n"
#define KEY       "0123456789abcdef0123456789abcdef01234567"
#define OTHER_KEY "ffffffffffffffff0123456789abcdef01234567"

static const struct pagent_options options = {.stack = "TCPIP"};
static char dir[64], folder[96], file[128];

static void setup(void)
{
	strcpy(dir, "/tmp/test_manual.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(folder, sizeof(folder), "%s/TCPIP", dir);
	snprintf(file, sizeof(file), "%s/manual.json", folder);
	ck_assert_int_eq(mkdir(folder, 0755), 0);
	setenv("CSIPSEC_RUNDIR", dir, 1);
}

static void teardown(void)
{
	unlink(file);
	rmdir(folder);
	rmdir(dir);
}

/* NULL: a policy without the tunnel. */
static struct pol_policy *policy_of(const char *key)
{
	struct findings found;
	struct pol_policy *p;
	char text[2048];
	int n = snprintf(
		text, sizeof(text),
		"IpFilterPolicy\n{\n IpFilterRuleRef r\n}\n"
		"IpFilterRule r\n{\n IpSourceAddr 192.0.2.1\n IpDestAddr 192.0.2.2\n"
		" IpGenericFilterActionRef %s\n %s\n}\n"
		"IpGenericFilterAction permit\n{\n IpFilterAction Permit\n}\n"
		"IpGenericFilterAction ipsec\n{\n IpFilterAction IpSec\n}\n"
		"IpManVpnAction tunnel\n{\n LocalSecurityEndpointAddr 192.0.2.1\n"
		" RemoteSecurityEndpointAddr 192.0.2.2\n AuthInboundSa 300 %s\n" KEYS "}\n",
		key ? "ipsec" : "permit", key ? "IpManVpnActionRef tunnel" : "", key ? key : KEY);

	p = compile_text(text, (size_t)n, &found);
	ck_assert_msg(p != NULL, "%s", found.v[0].text);
	return p;
}

/* The policy comes into force, or the kernel refuses it and the one of before stays. */
static void try(struct pagent *p, const char *key, bool refused)
{
	struct pol_policy *before = p->policy;
	struct pagent_manuals *m;
	bool changed;

	p->policy = policy_of(key);
	m = pagent_manual_number(p, &changed);
	ck_assert_ptr_nonnull(m);
	if (!refused) {
		pagent_manual_keep(p, m, changed);
		pol_unref(before);
		return;
	}
	ck_assert(changed);
	pagent_manual_free(m);
	pol_unref(p->policy);
	p->policy = before;
}

static void expect(const struct pagent *p, enum pagent_manual_set set, uint32_t number)
{
	const struct pagent_manual *t = pagent_manual_find(p, "tunnel");

	ck_assert_ptr_nonnull(t);
	ck_assert_int_eq(t->set, set);
	ck_assert_uint_eq(t->number, number);
	ck_assert_uint_eq(p->policy->manuals[0]->number, number);
}

static void finish(struct pagent *p)
{
	pol_unref(p->policy);
	pagent_manual_end(p);
}

START_TEST(test_refused)
{
	static const char *const others[] = {NULL, OTHER_KEY};
	struct pagent p = {.o = &options}, next = {.o = &options};
	struct cs_err err;

	try(&p, KEY, false);
	expect(&p, PAGENT_MANUAL_AS_CODED, 1);
	ck_assert_int_eq(pagent_manual_set(&p, pagent_manual_find(&p, "tunnel"), false, &err), 0);
	expect(&p, PAGENT_MANUAL_INACTIVE, 1);
	for (int i = 0; i < 2; i++) {
		try(&p, others[i], true);
		expect(&p, PAGENT_MANUAL_INACTIVE, 1);
		/* nor is it in the file, from which the next pagent has it */
		try(&next, KEY, false);
		expect(&next, PAGENT_MANUAL_INACTIVE, 1);
		finish(&next);
		next = (struct pagent){.o = &options};
	}
	/* and what comes into force counts */
	try(&p, OTHER_KEY, false);
	expect(&p, PAGENT_MANUAL_AS_CODED, 2);
	try(&next, OTHER_KEY, false);
	expect(&next, PAGENT_MANUAL_AS_CODED, 2);
	finish(&next);
	try(&p, NULL, false);
	ck_assert_ptr_null(pagent_manual_find(&p, "tunnel"));
	finish(&p);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("manual");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_refused);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
