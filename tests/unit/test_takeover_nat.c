/*
 * The negotiation engine: takeover of SAs with peers behind a NAT.  Side 0 is a server whose host
 * dies, side 1 its client behind a NAT, side 2 another one behind the same.
 */
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"
#include "tests/unit/nat_client.h"
#include "tests/unit/pair_takeover.h"
#include "tests/unit/run_suite.h"

static void expect_over(struct pair *p)
{
	struct side *s = &p->side[0];

	ck_assert_msg(pair_stats(p, 0)->taken_over == 1, "%s\n----\n%s", s->log, p->side[1].log);
	ck_assert_uint_eq(s->n_inherited, 1);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 1);
	ck_assert_uint_eq(pair_stats(p, 1)->p2_live, 1);
	ck_assert_uint_eq(pair_installed(s), 2);
	ck_assert_uint_eq(pair_installed(&p->side[1]), 2);
	ck_assert(!pair_said(&p->side[1], "CSI1010I"));
}

static void packet(struct pair *p, bool tunnel)
{
	struct side *s = &p->side[0];
	struct xf_acquire a = {.rule_id = XF_MARK_RULE_MIN, .proto = IPPROTO_ESP};

	a.src = s->addr.addr;
	cs_addr_parse(tunnel ? CLIENT : CLIENT_NAT, &a.dst, NULL);
	a.selector.local = cs_range_single(&a.src);
	a.selector.remote = cs_range_single(&a.dst);
	a.selector.proto = IPPROTO_TCP;
	a.selector.local_port = 40000;
	a.selector.remote_port = 80;
	ike_engine_acquire(s->e, &a, p->now);
}

/* Its mapping is still there: all goes to it, from port 4500. _i: in tunnel mode. */
START_TEST(test_at_mapping)
{
	struct pair *p = nat_client_up(_i, NULL);
	struct side *s = &p->side[0];
	struct inheritance c;

	inherit_of(s, &c);
	ck_assert_uint_eq(take_over(s, &c), 1);
	pair_wait(p, 1000);
	expect_over(p);
	for (unsigned i = 0; i < p->n_history; i++) {
		if (p->history[i].from)
			continue;
		ck_assert_uint_eq(p->history[i].local.port, 4500);
		ck_assert_uint_eq(p->history[i].remote.port, 5500);
	}
	/* In transport mode it is called as the peer called it. */
	if (!_i) {
		struct ike_tunnel *t = ike_tunnel_by_number(s->e, pair_nat_p2(p, 0).tunnel);

		ck_assert(addr_is(&t->named.remote.lo, CLIENT));
	}
	ck_assert_uint_eq(pair_nat_p2(p, 0).encap_remote, 5500);
	ck_assert_uint_eq(pair_nat_sa(s, true)->encap_dport, 5500);
	pair_free(p);
}
END_TEST

/* It is gone, and the log says so; the client comes back through another one. */
START_TEST(test_mapping_gone)
{
	struct pair *p = nat_client_up(_i % 2, NULL);
	struct side *s = &p->side[0];
	struct inheritance c;
	uint64_t sent;

	inherit_of(s, &c);
	pair_nat_put(p, 1, _i < 2 ? CLIENT_NAT : OTHER_NAT, 2000);
	take_over(s, &c);
	pair_wait(p, 260000);
	ck_assert(pair_said(s, "CSI1083I"));
	ck_assert(!pair_said(s, "CSI1084I") && !pair_said(s, "CSI1086W"));
	ck_assert_uint_eq(s->n_inherited, 0);
	ck_assert_uint_eq(pair_stats(p, 0)->awaited, 1);
	sent = pair_stats(p, 0)->sent;
	packet(p, _i % 2); /* does not begin what only the client can */
	pair_wait(p, 200000);
	ck_assert_uint_eq(pair_stats(p, 0)->sent, sent);
	ck_assert_uint_eq(pair_complaints(s, "behind a NAT"), 1);
	ck_assert_int_eq(ike_engine_deactivate_p1(p->side[1].e, 1, p->now, NULL), 0);
	pair_forget(p);
	pair_acquire(p, 1);
	pair_wait(p, 5000);
	if (_i % 2 || _i < 2) /* in transport mode another address is another selector */
		expect_over(p);
	pair_free(p);
}
END_TEST

/*
 * Two clients of one address and one selector: each is taken over, with a mark of its own. _i 1: of
 * one identity, behind two NATs.
 */
START_TEST(test_two_clients)
{
	struct pair_policy server = nat_client_policy(true, false, NULL),
			   client = nat_client_policy(false, false, NULL);
	struct inheritance c;
	struct side *s;
	struct pair *p;

	server.remote_id = "Fqdn *.example";
	p = pair_new(&server, &client);
	s = &p->side[0];
	pair_nat_clear(p);
	client.local_net = "203.0.113.3";
	if (!_i)
		client.local_id = "Fqdn other.example";
	pair_third(p, &client);
	pair_nat_put(p, 1, CLIENT_NAT, 1000);
	pair_nat_put(p, 2, _i ? OTHER_NAT : CLIENT_NAT, 2000);
	pair_acquire(p, 1);
	pair_acquire(p, 2);
	ck_assert_msg(pair_installed(s) == 4, "%s\n---\n%s", s->log, p->side[2].log);
	inherit_of(s, &c);
	ck_assert_uint_eq(take_over(s, &c), 2);
	p->side[2].jobs_later = true; /* it is slower */
	pair_wait(p, 50);
	ck_assert_uint_eq(pair_stats(p, 0)->taken_over, 1);
	p->side[2].jobs_later = false;
	pair_jobs(p);
	pair_wait(p, 1000);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_failed, 0);
	ck_assert_msg(pair_stats(p, 0)->taken_over == 2, "%s", s->log);
	ck_assert_uint_eq(s->n_inherited, 2);
	ck_assert_uint_eq(pair_installed(s), 4);
	for (unsigned i = 1; i < 3; i++) {
		ck_assert_uint_eq(pair_installed(&p->side[i]), 2);
		ck_assert_uint_eq(pair_stats(p, i)->p1_live, 1);
	}
	pair_free(p);
}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("takeover_nat");
	TCase *tc = tcase_create("takeover");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_at_mapping, 0, 2);
	tcase_add_loop_test(tc, test_mapping_gone, 0, 4);
	tcase_add_loop_test(tc, test_two_clients, 0, 2);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(void)
{
	if (!pair_crypto())
		return EXIT_FAILURE;
	return run_suite(suite());
}
