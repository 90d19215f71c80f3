/*
 * SA pairs whose peer its NAT has given another port or address.  Side 0 is a server, side 1 its
 * client behind a NAT that is restarted.
 */
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"
#include "tests/unit/nat_client.h"
#include "tests/unit/pair_restart.h"
#include "tests/unit/run_suite.h"

#define ALLOWED "  AllowNat Yes\n"

static int take_p1(void *arg, const struct ike_p1_info *info)
{
	*(struct ike_p1_info *)arg = *info;
	return 0;
}

static struct cs_endpoint p1_at(const struct pair *p, unsigned i)
{
	struct ike_p1_info info = {0};

	ike_engine_each_p1(p->side[i].e, take_p1, &info);
	return info.remote;
}

/* All that the server has with its client is there. */
static void expect_at(const struct pair *p, const char *addr, uint16_t port)
{
	const struct side *s = &p->side[0];
	const struct xf_sa *in = pair_nat_sa(s, false), *out = pair_nat_sa(s, true);
	struct ike_p2_info info = pair_nat_p2(p, 0);
	struct cs_endpoint p1 = p1_at(p, 0);

	ck_assert_uint_eq(pair_installed(s), 2);
	ck_assert_uint_eq(in->encap_sport, port);
	ck_assert_uint_eq(out->encap_dport, port);
	ck_assert(addr_is(&in->src, addr) && addr_is(&out->id.dst, addr));
	ck_assert(addr_is(&info.remote, addr));
	ck_assert_uint_eq(info.encap_remote, port);
	if (s->policies[0].mode == XF_TUNNEL)
		ck_assert(addr_is(&s->policies[0].remote, addr));
	ck_assert_uint_eq(p1.port, port);
	ck_assert(addr_is(&p1.addr, addr));
}

/* The client says something that only it can say, and now: it deletes nothing, but refreshes. */
static void client_speaks(struct pair *p)
{
	struct cs_err err = {0};

	ck_assert_msg(!ike_engine_refresh_p2(p->side[1].e, pair_nat_p2(p, 1).tunnel, p->now, &err),
		      "%s", err.text);
	pair_run(p);
}

static struct xf_mapping mapping_at(const struct pair *p, unsigned i, const char *to, uint16_t port)
{
	const struct xf_sa *in = pair_nat_sa(&p->side[i], false);
	struct xf_mapping m = {.id = in->id, .reqid = in->reqid};

	m.old_peer = (struct cs_endpoint){in->src, in->encap_sport};
	m.new_peer.port = port;
	cs_addr_parse(to, &m.new_peer.addr, NULL);
	return m;
}

static struct xf_mapping mapping_of(const struct pair *p, const char *to, uint16_t port)
{
	return mapping_at(p, 0, to, port);
}

/* ---- by IKE ---- */

START_TEST(test_port)
{
	bool tunnel = _i;
	struct pair *p = nat_client_up(tunnel, "30");
	uint32_t before = pair_nat_p2(p, 0).tunnel;

	pair_nat_put(p, 1, CLIENT_NAT, 2000);
	client_speaks(p);
	/* Both generations, the old one as it was. */
	ck_assert_msg(p->side[0].moves == 2, "%u:\n%s", p->side[0].moves, p->side[0].log);
	ck_assert_uint_eq(p->side[0].n_records[IKE_REC_P2_MOVED], 1);
	ck_assert(pair_said(&p->side[0], "203.0.113.99:6500 now"));
	pair_wait(p, 120000);
	expect_at(p, CLIENT_NAT, 6500);
	ck_assert_uint_eq(pair_nat_p2(p, 0).tunnel, before);
	ck_assert_uint_eq(pair_nat_p2(p, 0).generation, 2);
	ck_assert_uint_eq(p->side[0].n_policies, 1);
	pair_free(p);
}
END_TEST

START_TEST(test_address)
{
	struct pair *p = nat_client_up(true, "30");
	uint32_t before = pair_nat_p2(p, 0).tunnel;
	struct cs_err err;

	pair_nat_put(p, 1, OTHER_NAT, 2000);
	client_speaks(p);
	ck_assert_msg(p->side[0].moves == 2, "%s", p->side[0].log);
	pair_wait(p, 120000);
	expect_at(p, OTHER_NAT, 6500);
	ck_assert_uint_eq(pair_nat_p2(p, 0).tunnel, before);
	ck_assert_uint_eq(p->side[0].n_policies, 1);
	/* Its deletion finds it there. */
	ck_assert(!ike_engine_deactivate_p2(p->side[1].e, pair_nat_p2(p, 1).tunnel, p->now, &err));
	pair_run(p);
	ck_assert_uint_eq(pair_installed(&p->side[0]), 0);
	ck_assert_uint_eq(p->side[0].n_policies, 0);
	pair_free(p);
}
END_TEST

/* In transport mode the traffic has the old address: the peer hears that this is over. */
START_TEST(test_address_of_transport)
{
	struct pair *p = nat_client_up(false, "30");
	struct ike_p2_info info;

	pair_nat_put(p, 1, OTHER_NAT, 2000);
	client_speaks(p);
	ck_assert(pair_said(&p->side[0], "another address now, which its traffic has not"));
	ck_assert_uint_eq(p->side[0].moves, 0);
	ck_assert_uint_eq(p->side[0].n_records[IKE_REC_P2_DOWN], 1);
	/* What it asked for comes up, with its new address. */
	pair_wait(p, 120000);
	expect_at(p, OTHER_NAT, 6500);
	info = pair_nat_p2(p, 0);
	ck_assert(addr_is(&info.selector.remote.lo, OTHER_NAT));
	pair_free(p);
}
END_TEST

/* What was sent before, sent again from elsewhere, moves nothing. */
START_TEST(test_replay)
{
	struct pair *p = nat_client_up(_i, "30");
	unsigned n = p->n_history;

	pair_nat_put(p, 1, OTHER_NAT, 2000);
	for (unsigned i = 0; i < n; i++)
		pair_replay(p, i);
	pair_nat_put(p, 1, CLIENT_NAT, 1000);
	pair_run(p);
	ck_assert_uint_eq(p->side[0].moves, 0);
	expect_at(p, CLIENT_NAT, 5500);
	pair_free(p);
}
END_TEST

/* ---- by the kernel ---- */

START_TEST(test_mapping)
{
	bool tunnel = _i;
	struct pair *p = nat_client_up(tunnel, "30");
	struct xf_mapping m = mapping_of(p, tunnel ? OTHER_NAT : CLIENT_NAT, 6500);
	uint64_t asked = pair_stats(p, 0)->dpd_sent;

	pair_wait(p, 6000); /* questions are not that frequent */
	pair_nat_put(p, 1, tunnel ? OTHER_NAT : CLIENT_NAT, 2000);
	ike_engine_mapping(p->side[0].e, &m, p->now);
	expect_at(p, tunnel ? OTHER_NAT : CLIENT_NAT, 6500);
	ck_assert_uint_eq(p->side[0].moves, 2);
	/* The same once more, and what was before the move. */
	ike_engine_mapping(p->side[0].e, &m, p->now);
	m.new_peer.port = 7500;
	ike_engine_mapping(p->side[0].e, &m, p->now);
	ck_assert_uint_eq(p->side[0].moves, 2);
	/* It is asked there, and answers. */
	ck_assert_uint_eq(pair_stats(p, 0)->dpd_sent, asked + 1);
	pair_run(p);
	pair_wait(p, 1500);
	ck_assert_uint_eq(pair_stats(p, 0)->dpd_sent, asked + 1);
	expect_at(p, tunnel ? OTHER_NAT : CLIENT_NAT, 6500);
	pair_free(p);
}
END_TEST

/* What it says from there finds what it is about. */
START_TEST(test_deleted_there)
{
	struct pair *p = nat_client_up(true, "30");
	struct xf_mapping m = mapping_of(p, OTHER_NAT, 6500);
	struct cs_err err;

	pair_nat_put(p, 1, OTHER_NAT, 2000);
	ike_engine_mapping(p->side[0].e, &m, p->now);
	ck_assert(!ike_engine_deactivate_p2(p->side[1].e, pair_nat_p2(p, 1).tunnel, p->now, &err));
	pair_run(p);
	ck_assert_uint_eq(pair_installed(&p->side[0]), 0);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_live, 0);
	pair_free(p);
}
END_TEST

/* Who moves all the time is followed now and then, with phase 1 or without. */
START_TEST(test_moves_too_often)
{
	struct pair *p = nat_client_up(true, "30");
	struct side *s = &p->side[0];
	unsigned at_once = _i ? 1 : 4, last = 0;
	struct xf_mapping m;

	if (_i)
		ike_p1_down(s->e, IKE_OF(s->e->p1s.next, struct ike_p1, all), false,
			    "for the test");
	for (unsigned second = 0; second < 3; second++) {
		for (unsigned i = 0; i < 50; i++) {
			m = mapping_of(p, CLIENT_NAT, (uint16_t)(6000 + 100 * second + i));
			ike_engine_mapping(s->e, &m, p->now);
		}
		ck_assert_uint_eq(s->moves - last, 2 * (second ? 1 : at_once));
		last = s->moves;
		p->now.mono += 1000;
	}
	ck_assert_uint_ge(pair_stats(p, 0)->moves_put_off, 130);
	pair_free(p);
}
END_TEST

static bool move_before_message_3(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	unsigned *n = p->filter_arg;

	(void)len;
	if (from == 1 && data[18] == ISA_QUICK && ++*n == 2)
		pair_nat_put(p, 1, OTHER_NAT, 2000);
	return true;
}

/* In the middle of its exchange: with the address of before it would be of no use. */
START_TEST(test_address_in_quick_mode)
{
	struct pair_policy server = nat_client_policy(true, false, "30"),
			   client = nat_client_policy(false, false, "30");
	struct pair *p = pair_new(&server, &client);
	unsigned n = 0;

	pair_nat_clear(p);
	pair_nat_put(p, 1, CLIENT_NAT, 1000);
	p->filter = move_before_message_3;
	p->filter_arg = &n;
	pair_acquire(p, 1);
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(p->side[0].n_records[IKE_REC_P2_FAILED], 1);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(pair_installed(&p->side[i]), 0);
		ck_assert_uint_eq(pair_stats(p, i)->p2_live, 0);
	}
	pair_free(p);
}
END_TEST

/* An engine was killed between its note of a move and the kernel's: it is made up for. */
START_TEST(test_mapping_behind)
{
	struct pair *p = nat_client_up(true, "30");
	struct xf_mapping m = mapping_of(p, OTHER_NAT, 6500);

	m.new_peer = m.old_peer;
	m.old_peer.port = 4444;
	ike_engine_mapping(p->side[0].e, &m, p->now);
	ck_assert_uint_eq(p->side[0].moves, 2);
	ike_engine_mapping(p->side[0].e, &m, p->now);
	ck_assert_uint_eq(p->side[0].moves, 2);
	expect_at(p, CLIENT_NAT, 5500);
	pair_free(p);
}
END_TEST

/* Somebody held a packet back and sent it from elsewhere: the peer's next word is from its place.
 */
START_TEST(test_mapping_drawn_away)
{
	struct pair *p = nat_client_up(true, "30");
	struct xf_mapping m = mapping_of(p, OTHER_NAT, 9999);

	ike_engine_mapping(p->side[0].e, &m, p->now);
	expect_at(p, OTHER_NAT, 9999);
	client_speaks(p);
	pair_wait(p, 120000);
	expect_at(p, CLIENT_NAT, 5500);
	pair_free(p);
}
END_TEST

/* Its phase 1 is gone: the pair moves alone. */
START_TEST(test_mapping_without_p1)
{
	struct pair *p = nat_client_up(true, "30");
	struct xf_mapping m = mapping_of(p, OTHER_NAT, 6500);
	struct side *s = &p->side[0];
	struct ike_p2_info info;

	ike_p1_down(s->e, IKE_OF(s->e->p1s.next, struct ike_p1, all), false, "for the test");
	ike_engine_mapping(s->e, &m, p->now);
	info = pair_nat_p2(p, 0);
	ck_assert_uint_eq(s->moves, 2);
	ck_assert(addr_is(&info.remote, OTHER_NAT));
	ck_assert_uint_eq(info.encap_remote, 6500);
	ck_assert(addr_is(&s->policies[0].remote, OTHER_NAT));
	pair_free(p);
}
END_TEST

START_TEST(test_mapping_of_nothing)
{
	struct pair *p = nat_client_up(true, "30");
	struct xf_mapping m = mapping_of(p, OTHER_NAT, 6500), none = m;

	none.id.spi ^= 1;
	ike_engine_mapping(p->side[0].e, &none, p->now);
	none = m;
	none.new_peer.port = 0;
	ike_engine_mapping(p->side[0].e, &none, p->now);
	none = m;
	cs_addr_parse("2001:db8::1", &none.new_peer.addr, NULL);
	ike_engine_mapping(p->side[0].e, &none, p->now);
	ck_assert_uint_eq(pair_stats(p, 0)->unknown_mappings, 3);
	ck_assert_uint_eq(p->side[0].moves, 0);
	pair_free(p);
}
END_TEST

/* Without UDP there is nothing to move. */
START_TEST(test_mapping_without_udp)
{
	struct pair_policy o = {.more_action = ALLOWED};
	struct pair *p = pair_new(&o, &o);
	struct xf_mapping m;

	pair_nat_clear(p);
	pair_acquire(p, 1);
	m = mapping_of(p, OTHER_NAT, 6500);
	ike_engine_mapping(p->side[0].e, &m, p->now);
	ck_assert_uint_eq(p->side[0].moves, 0);
	ck_assert_uint_eq(pair_stats(p, 0)->unknown_mappings, 1);
	pair_free(p);
}
END_TEST

/* The client's own NAT is no reason for its server to be elsewhere. */
START_TEST(test_mapping_of_who_has_no_nat)
{
	struct pair *p = nat_client_up(true, "30");
	struct xf_mapping m = mapping_at(p, 1, _i ? OTHER_NAT : SERVER, 6500);
	struct ike_p2_info info = pair_nat_p2(p, 1);

	ck_assert(info.nat_local && !info.nat_remote);
	ike_engine_mapping(p->side[1].e, &m, p->now);
	ck_assert_uint_eq(p->side[1].moves, 0);
	ck_assert_uint_eq(pair_stats(p, 1)->unknown_mappings, 1);
	ck_assert_uint_eq(pair_installed(&p->side[1]), 2);
	ck_assert_uint_eq(p1_at(p, 1).port, 4500);
	pair_free(p);
}
END_TEST

/* The kernel refuses the first move or the second: the pair ends, and the peer is told. */
START_TEST(test_refused)
{
	struct pair *p = nat_client_up(true, "30");
	struct xf_mapping m = mapping_of(p, OTHER_NAT, 6500);

	pair_nat_put(p, 1, OTHER_NAT, 2000);
	p->side[0].refuse = _i;
	ike_engine_mapping(p->side[0].e, &m, p->now);
	pair_run(p);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(pair_installed(&p->side[i]), 0);
		ck_assert_uint_eq(p->side[i].n_policies, 0);
		ck_assert_uint_eq(pair_stats(p, i)->p2_live, 0);
	}
	ck_assert(pair_said(&p->side[0], "could not be moved"));
	pair_free(p);
}
END_TEST

/* ---- a new engine ---- */

/* The cache is one move behind what phase 1 has kept and the kernel has. */
START_TEST(test_restart)
{
	struct pair *p = nat_client_up(true, "30");
	struct side *s = &p->side[0];
	struct xf_mapping m = mapping_of(p, OTHER_NAT, 6500);
	struct ike_p2_info before = pair_nat_p2(p, 0);
	struct pair_cache c;

	pair_nat_put(p, 1, OTHER_NAT, 2000);
	ike_engine_mapping(s->e, &m, p->now);
	pair_run(p);
	pair_crash(s, &c);
	if (_i) {
		c.p2[0].info.remote = before.remote;
		c.p2[0].info.encap_remote = before.encap_remote;
	}
	ck_assert_uint_eq(pair_restore(s, &c).p2, 1);
	expect_at(p, OTHER_NAT, 6500);
	ck_assert_uint_eq(s->n_policies, 1);
	/* And on it goes. */
	client_speaks(p);
	pair_wait(p, 120000);
	expect_at(p, OTHER_NAT, 6500);
	ck_assert_uint_eq(pair_nat_p2(p, 0).generation, 2);
	pair_free(p);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("pairs that follow their peer");
	TCase *c = tcase_create("all");

	tcase_add_loop_test(c, test_port, 0, 2);
	tcase_add_test(c, test_address);
	tcase_add_test(c, test_address_of_transport);
	tcase_add_loop_test(c, test_replay, 0, 2);
	tcase_add_loop_test(c, test_mapping, 0, 2);
	tcase_add_test(c, test_deleted_there);
	tcase_add_loop_test(c, test_moves_too_often, 0, 2);
	tcase_add_test(c, test_address_in_quick_mode);
	tcase_add_test(c, test_mapping_behind);
	tcase_add_test(c, test_mapping_drawn_away);
	tcase_add_test(c, test_mapping_without_p1);
	tcase_add_test(c, test_mapping_of_nothing);
	tcase_add_test(c, test_mapping_without_udp);
	tcase_add_loop_test(c, test_mapping_of_who_has_no_nat, 0, 2);
	tcase_add_loop_test(c, test_refused, 1, 3);
	tcase_add_loop_test(c, test_restart, 0, 2);
	suite_add_tcase(s, c);
	return s;
}

int main(void)
{
	if (!pair_crypto())
		return 1;
	return run_suite(suite());
}
