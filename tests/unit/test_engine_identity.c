/* The negotiation engine: filter rules that are for peers of an identity. */
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/engine_pair.h"
#include "tests/unit/pair_restart.h"
#include "tests/unit/run_suite.h"

#define SALES         XF_MARK_RULE_MIN
#define OTHERS        (XF_MARK_RULE_MIN + 1)
#define MARK_OF(rule) ((uint32_t)(rule) << XF_MARK_SHIFT_DEFAULT)

/* A server of everybody: who is of sales has the first rule, who is of engineering the second. */
static const struct pair_policy server = {
	.first_filter =
		"  IpFilterRule Sales\n  {\n    IpSourceAddr 192.0.2.1\n    IpDestAddr All4\n"
		"    IpGenericFilterActionRef Ipsec\n    IpDynVpnActionRef Vpn\n"
		"    IpLocalStartActionRef Start\n    RemoteIdentity\n    {\n"
		"      Identity Fqdn *.sales.example.com\n    }\n  }\n",
	.rule_name = "Engineering",
	.rule_identity = "Fqdn *.eng.example.com",
	.local_net = "192.0.2.1/32",
	.remote_net = "0.0.0.0/0",
	.any_endpoint = true,
	.a_tunnel_a_host = true,
	.remote_id = "Fqdn *",
	.remote_location = "Any4",
	.more_action = "  FilterByIdentity Yes\n",
};
static const struct pair_policy seller = {.local_id = "Fqdn a.sales.example.com"};
static const struct pair_policy engineer = {.local_id = "Fqdn b.eng.example.com"};
static const struct pair_policy stranger = {.local_id = "Fqdn c.example.org"};

struct seen {
	unsigned n;
	char rule[4][POL_NAME_MAX + 1];
	uint32_t reqid[4];
};

static int see(void *arg, const struct ike_p2_info *info)
{
	struct seen *s = arg;

	if (s->n < 4 && info->state == IKE_P2_DONE) {
		strcpy(s->rule[s->n], info->rule);
		s->reqid[s->n++] = info->reqid;
	}
	return 0;
}

static struct seen look(const struct pair *p, unsigned i)
{
	struct seen s = {0};

	ike_engine_each_p2(p->side[i].e, see, &s);
	return s;
}

static bool has_rule(const struct pair *p, const char *rule, unsigned id)
{
	struct seen s = look(p, 0);

	for (unsigned i = 0; i < s.n; i++)
		if (strcmp(s.rule[i], rule) == 0)
			return xf_reqid_rule(s.reqid[i]) == id;
	return false;
}

/* What the filters let ask: under the mark of the first rule, whoever is there. */
static void packet_to(struct pair *p, unsigned peer)
{
	struct side *s = &p->side[0];
	struct xf_acquire a = {.rule_id = SALES, .proto = IPPROTO_ESP};

	a.src = s->addr.addr;
	a.dst = p->side[peer].addr.addr;
	a.selector.local = cs_range_single(&a.src);
	a.selector.remote = cs_range_single(&a.dst);
	a.selector.proto = IPPROTO_TCP;
	a.selector.local_port = 40000;
	a.selector.remote_port = 80;
	ike_engine_acquire(s->e, &a, p->now);
	pair_run(p);
}

/* Each peer gets the rule of its identity, and all that is sent is under the first one's mark. */
START_TEST(test_each_its_rule)
{
	struct pair *p = pair_new(&server, &seller);

	pair_third(p, &engineer);
	pair_acquire(p, 2);
	pair_acquire(p, 1);
	ck_assert_uint_eq(look(p, 0).n, 2);
	ck_assert(has_rule(p, "Sales", SALES));
	ck_assert(has_rule(p, "Engineering", OTHERS));
	ck_assert_uint_eq(p->side[0].n_policies, 2);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_uint_eq(p->side[0].policies[i].mark, MARK_OF(SALES));
	pair_free(p);
}
END_TEST

START_TEST(test_of_no_rule)
{
	struct pair *p = pair_new(&server, &stranger);

	pair_acquire(p, 1);
	pair_expect_nothing(p);
	ck_assert(pair_said(&p->side[0], "the peer is ID_FQDN c.example.org, which is not the "
					 "RemoteIdentity of rule Sales"));
	pair_free(p);
}
END_TEST

START_TEST(test_not_by_identity)
{
	struct pair_policy o = server;
	struct pair *p;

	o.more_action = NULL;
	p = pair_new(&o, &seller);
	pair_acquire(p, 1);
	pair_expect_nothing(p);
	ck_assert(pair_said(&p->side[0],
			    "rule Sales has a RemoteIdentity, and KeyExchangeAction Act "
			    "has not FilterByIdentity Yes"));
	pair_free(p);
}
END_TEST

/* A rule without identity behind those that have one is for the rest. */
START_TEST(test_rest)
{
	struct pair_policy o = server;
	struct pair *p;

	o.rule_identity = NULL;
	p = pair_new(&o, &stranger);
	pair_acquire(p, 1);
	ck_assert(has_rule(p, "Engineering", OTHERS));
	ck_assert_uint_eq(p->side[0].policies[0].mark, MARK_OF(SALES));
	pair_free(p);
}
END_TEST

/* We begin, and learn in phase 1 who it is: the wrong one fails by name, the next try is right. */
START_TEST(test_initiator)
{
	struct pair *p = pair_new(&server, &seller);

	pair_third(p, &engineer);
	packet_to(p, 1);
	ck_assert(has_rule(p, "Sales", SALES));
	packet_to(p, 2);
	ck_assert_uint_eq(look(p, 0).n, 1);
	ck_assert(pair_said(&p->side[0], "the peer is ID_FQDN b.eng.example.com, which is not the "
					 "RemoteIdentity of rule Sales"));
	ck_assert_uint_eq(pair_holds(&p->side[0]), 1);
	pair_wait(p, 2000);
	packet_to(p, 2);
	ck_assert_uint_eq(look(p, 0).n, 2);
	ck_assert(has_rule(p, "Engineering", OTHERS));
	for (unsigned i = 0; i < p->side[0].n_policies; i++)
		ck_assert_uint_eq(p->side[0].policies[i].mark, MARK_OF(SALES));
	pair_free(p);
}
END_TEST

/* The rule before it goes: what has its mark has another one now, and so the tunnel ends. */
START_TEST(test_mark_changes)
{
	struct pair_policy o = server;
	struct pair *p = pair_new(&server, &engineer);
	struct pol_policy *policy;

	pair_acquire(p, 1);
	ck_assert(has_rule(p, "Engineering", OTHERS));
	o.first_filter = NULL;
	policy = pair_make_policy(&o, 0);
	policy->rules[0].id = OTHERS;
	ike_engine_policy(p->side[0].e, policy, p->now);
	pol_unref(p->side[0].policy);
	p->side[0].policy = policy;
	pair_run(p);
	pair_expect_nothing(p);
	ck_assert(
		pair_said(&p->side[0],
			  "the filters have another rule of a RemoteIdentity before its rule now"));
	pair_acquire(p, 1);
	ck_assert(has_rule(p, "Engineering", OTHERS));
	ck_assert_uint_eq(p->side[0].policies[0].mark, MARK_OF(OTHERS));
	pair_free(p);
}
END_TEST

/* The same by the clock: the first rule's time is over. */
START_TEST(test_mark_changes_in_time)
{
	struct pair_policy o = server;
	char filter[600];
	struct pair *p;

	/* The pair's time begins at 22:13:20 UTC. */
	snprintf(filter, sizeof(filter), "%.*s%s  }\n", (int)strlen(o.first_filter) - 4,
		 o.first_filter,
		 "    IpTimeCondition\n    {\n      TimeZone UTC\n"
		 "      TimeOfDayRange 22:00-22:15\n    }\n");
	o.first_filter = filter;
	p = pair_new(&o, &engineer);
	pair_acquire(p, 1);
	ck_assert(has_rule(p, "Engineering", OTHERS));
	pair_wait(p, 99000);
	ck_assert(has_rule(p, "Engineering", OTHERS));
	pair_wait(p, 2000);
	pair_expect_nothing(p);
	pair_acquire(p, 1);
	ck_assert(has_rule(p, "Engineering", OTHERS));
	ck_assert_uint_eq(p->side[0].policies[0].mark, MARK_OF(OTHERS));
	pair_free(p);
}
END_TEST

/* What waits for a tunnel of a rule behind the first has the first one's mark, and is known by it.
 */
START_TEST(test_holds)
{
	static const struct pair_policy refuses = {.local_id = "Fqdn b.eng.example.com",
						   .data_offers = "Transport|3DES|ESP HMAC_SHA1"};
	struct pair *p = pair_new(&server, &seller);
	const struct ike_stats *stats = pair_stats(p, 0);
	uint64_t failed, delayed;

	/* Phase 1 is up, and so it is known who is there. */
	pair_third(p, &refuses);
	pair_acquire(p, 2);
	ck_assert_uint_eq(stats->p1_live, 1);
	ck_assert_uint_eq(look(p, 0).n, 0);
	failed = stats->p2_failed;
	delayed = stats->acquires_delayed;
	packet_to(p, 2);
	ck_assert_uint_eq(stats->p2_failed, failed + 1);
	ck_assert_uint_eq(stats->p1_live, 1);
	ck_assert_uint_eq(p->side[0].n_policies, 1);
	ck_assert_uint_eq(pair_holds(&p->side[0]), 1);
	ck_assert_uint_eq(p->side[0].policies[0].mark, MARK_OF(SALES));
	packet_to(p, 2);
	ck_assert_uint_eq(stats->acquires_delayed, delayed + 1);
	ck_assert_uint_eq(stats->p2_failed, failed + 1);
	pair_free(p);
}
END_TEST

/* Two peers of two rules that say they have the same address: packets to it have one mark, and so
 * one peer. */
START_TEST(test_one_address)
{
	struct pair_policy o = server, one = seller, other = engineer;
	struct pair *p;

	o.data_offers = one.data_offers = other.data_offers =
		"Tunnel|AES_CBC KeyLength 128|ESP HMAC_SHA1";
	one.local_net = other.local_net = "10.9.0.1/32";
	one.remote_net = other.remote_net = "192.0.2.1/32";
	p = pair_new(&o, &one);
	pair_third(p, &other);
	pair_acquire(p, 1);
	ck_assert(has_rule(p, "Sales", SALES));
	pair_acquire(p, 2);
	ck_assert_uint_eq(look(p, 0).n, 1);
	ck_assert_uint_eq(p->side[0].n_policies, 1);
	ck_assert(pair_said(&p->side[0], "with 198.51.100.2 is up for 192.0.2.1"));
	pair_free(p);
}
END_TEST

/* By command, towards a peer that is known: its rule and not the first one's. */
START_TEST(test_by_command)
{
	struct pair_policy o = server;
	struct pair *p;
	struct cs_err err;
	uint32_t y;

	o.more_rules = "}\nLocalDynVpnPolicy\n{\n  LocalDynVpnRule ToEngineer\n  {\n"
		       "    LocalIp 192.0.2.1\n    RemoteIp 198.51.100.2\n  }\n";
	p = pair_new(&o, &engineer);
	pair_acquire(p, 1);
	ck_assert(has_rule(p, "Engineering", OTHERS));
	ck_assert_int_eq(ike_engine_activate(p->side[0].e, "ToEngineer", p->now, &y, &err),
			 CS_EEXIST);
	ck_assert_int_eq(ike_engine_deactivate_p2(p->side[0].e, y, p->now, &err), 0);
	pair_run(p);
	ck_assert_uint_eq(look(p, 0).n, 0);
	ck_assert_int_eq(ike_engine_activate(p->side[0].e, "ToEngineer", p->now, &y, &err), 0);
	pair_run(p);
	ck_assert(has_rule(p, "Engineering", OTHERS));
	pair_free(p);
}
END_TEST

/* iked was away, and the rule is for somebody else now; or still for this peer. */
START_TEST(test_restart)
{
	struct pair_policy o = server;
	struct pair *p = pair_new(&server, &engineer);
	struct side *s = &p->side[0];
	struct pol_policy *old = s->policy;
	struct pair_cache c;

	pair_acquire(p, 1);
	ck_assert(has_rule(p, "Engineering", OTHERS));
	if (_i)
		o.rule_identity = "Fqdn *.dev.example.com";
	s->policy = pair_make_policy(&o, 0);
	s->policy->rules[0].id = SALES;
	s->policy->rules[1].id = OTHERS;
	pair_crash(s, &c);
	pair_restore(s, &c);
	pair_run(p);
	pol_unref(old);
	ck_assert_int_eq(has_rule(p, "Engineering", OTHERS), !_i);
	ck_assert_int_eq(pair_said(s, "its rule is for another RemoteIdentity"), _i);
	if (_i)
		pair_expect_nothing(p);
	pair_free(p);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("engine: identities");
	TCase *t = tcase_create("identities");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_each_its_rule);
	tcase_add_test(t, test_of_no_rule);
	tcase_add_test(t, test_not_by_identity);
	tcase_add_test(t, test_rest);
	tcase_add_test(t, test_initiator);
	tcase_add_test(t, test_mark_changes);
	tcase_add_test(t, test_mark_changes_in_time);
	tcase_add_test(t, test_holds);
	tcase_add_test(t, test_one_address);
	tcase_add_test(t, test_by_command);
	tcase_add_loop_test(t, test_restart, 0, 2);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	if (!pair_crypto())
		return EXIT_FAILURE;
	return run_suite(suite());
}
