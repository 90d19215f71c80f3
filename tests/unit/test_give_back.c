/*
 * The negotiation engine: an address leaves for another host, or is another's while it is here; and
 * phase 1 that a restart has cost.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/isakmp.h"
#include "tests/unit/pair_restart.h"
#include "tests/unit/pair_takeover.h"
#include "tests/unit/run_suite.h"

/* ---- giving back ---- */

/* _i: the peers are told. */
START_TEST(test_give_back)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];

	pair_forget_history(p);
	ike_engine_give_back(s->e, &s->addr.addr, _i, p->now);
	ck_assert_uint_eq(p->n_history, _i ? 2 : 0);
	ck_assert_uint_eq(s->n_sas + s->n_policies, 0);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_live + pair_stats(p, 0)->p2_live, 0);
	ck_assert_uint_eq(s->n_records[IKE_REC_P1_DOWN], 1);
	ck_assert_uint_eq(s->n_records[IKE_REC_P2_DOWN], 1);
	ck_assert_str_eq(s->reason, _i ? "its address has left this host"
				       : "another host has claimed its address");
	ck_assert(pair_said(s, "CSI1087I"));
	ck_assert(pair_said(s, _i ? "has left this host:" : "was claimed by another host:"));
	pair_run(p);
	ck_assert_uint_eq(pair_stats(p, 1)->p2_live, !_i);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, !_i);
	pair_free(p);
}
END_TEST

/* What is at another address is not touched. */
START_TEST(test_another_address)
{
	struct pair *p = pair_up(NULL);
	struct cs_addr other;
	struct cs_err err;

	cs_addr_parse("192.0.2.77", &other, NULL);
	ike_engine_give_back(p->side[0].e, &other, true, p->now);
	ck_assert(!ike_engine_passive(p->side[0].e, &other, true, p->now, &err));
	pair_expect_up(p);
	ck_assert_int_eq(ike_engine_refresh_p2(p->side[0].e, 2, p->now, &err), 0);
	pair_wait(p, 6000);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_up, 2);
	pair_free(p);
}
END_TEST

/* Exchanges of either role end, and so do the records of a message 1. */
START_TEST(test_half_way)
{
	struct pair_policy o = {.how_to_initiate = _i % 2 ? "Aggressive" : "Main",
				.how_to_respond = _i % 2 ? "Aggressive" : "Main"};
	struct pair *p = pair_new(&o, &o);
	struct side *s = &p->side[_i / 4];

	s->jobs_later = _i % 4 > 1;
	p->side[!(_i / 4)].jobs_later = _i % 4 <= 1;
	pair_acquire(p, 0);
	ck_assert_uint_ge(pair_stats(p, (unsigned)_i / 4)->p1_live +
				  pair_stats(p, (unsigned)_i / 4)->half_open,
			  (unsigned)(_i != 5)); /* the other's first message has not left */
	ike_engine_give_back(s->e, &s->addr.addr, true, p->now);
	ck_assert_uint_eq(pair_stats(p, (unsigned)_i / 4)->p1_live, 0);
	ck_assert_uint_eq(pair_stats(p, (unsigned)_i / 4)->p2_live, 0);
	ck_assert_uint_eq(pair_stats(p, (unsigned)_i / 4)->half_open, 0);
	p->side[0].jobs_later = p->side[1].jobs_later = false;
	pair_jobs(p);
	pair_free(p);
}
END_TEST

/* The queue is forgotten, and what is in it is not settled: it is the next owner's. */
START_TEST(test_queue)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct inheritance c;

	inherit_of(s, &c);
	take_over(s, &c);
	s->jobs_later = _i == 2; /* phase 1 has begun, and goes no further */
	if (_i == 1)
		pair_acquire(p, 0);
	if (_i)
		pair_wait(p, 0);
	ike_engine_give_back(s->e, &s->addr.addr, true, p->now);
	pair_jobs(p);
	pair_wait(p, 120000);
	ck_assert_uint_eq(s->n_inherited, 0);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_live, 0);
	pair_free(p);
}
END_TEST

/* ---- passive ---- */

START_TEST(test_passive)
{
	struct pair_policy o = {.local_rule = true, .auto_activate = true};
	struct pair *p = pair_new(&o, NULL);
	struct side *s = &p->side[0];
	struct cs_err err;
	uint32_t tunnel;

	ck_assert(!ike_engine_passive(s->e, &s->addr.addr, true, p->now, &err));
	ck_assert(!ike_engine_passive(s->e, &s->addr.addr, true, p->now, &err));
	ck_assert_uint_eq(pair_complaints(s, NULL), 0);
	pair_acquire(p, 0);
	ck_assert_uint_eq(pair_complaints(s, "CSI1017W"), 1);
	ck_assert_uint_eq(
		pair_complaints(s, "is passive: it is not here, or another host has claimed it"),
		1);
	ck_assert_int_eq(ike_engine_activate(s->e, "ByHand", p->now, &tunnel, &err), CS_EPOLICY);
	ck_assert(strstr(err.text, "passive"));
	pair_acquire(p, 1);
	pair_wait(p, 100000);
	ck_assert_uint_eq(pair_complaints(s, "CSI1060W"), 1); /* AutoActivate says it once */
	ck_assert_uint_eq(pair_stats(p, 0)->sent, 0);
	ck_assert_uint_ge(pair_stats(p, 0)->dropped_passive, 6);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_live, 0);
	/* It is ours: what is to be active is begun at once. */
	ck_assert(!ike_engine_passive(s->e, &s->addr.addr, false, p->now, &err));
	pair_wait(p, 1000);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_live, 1);
	ck_assert_msg(pair_said(s, "CSI1088I") && pair_said(s, "CSI1089I"), "%s", s->log);
	pair_free(p);
}
END_TEST

/* An automatic tunnel that ends by it is not begun anew. */
START_TEST(test_passive_before)
{
	struct pair_policy o = {.local_rule = true, .auto_activate = true};
	struct pair *p = pair_new(&o, NULL);
	struct side *s = &p->side[0];
	struct cs_err err;
	uint64_t sent;

	pair_wait(p, 100000);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_live, 1);
	ck_assert(!ike_engine_passive(s->e, &s->addr.addr, true, p->now, &err));
	sent = pair_stats(p, 0)->sent;
	ike_engine_give_back(s->e, &s->addr.addr, true, p->now);
	pair_wait(p, 100000);
	ck_assert_uint_eq(pair_stats(p, 0)->sent, sent + 2); /* two deletions */
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live + pair_stats(p, 1)->p2_live, 0);
	pair_free(p);
}
END_TEST

/* ---- phase 1 anew at start ---- */

/* A full stop: the pairs are in the kernel, phase 1 is in the cache alone. _i: who it is. */
static void full_stop(struct side *s, struct pair_cache *c)
{
	pair_crash(s, c);
	s->n_kept = 0;
	pair_forget_history(s->pair);
}

START_TEST(test_p1_anew)
{
	struct pair *p = pair_up(NULL);
	unsigned i = (unsigned)_i % 2;
	struct side *s = &p->side[i], *peer = &p->side[!i];
	struct ike_p1_info old, new;
	struct ike_restored done;
	struct pair_cache c;
	struct ike_p2_info p2;
	struct cs_err err;
	unsigned jobs;

	ck_assert(first_p1(s, &old));
	jobs = s->n_pk;
	full_stop(s, &c);
	if (_i > 1) { /* stopped in order: its end is on record */
		c.n_p1 = 0;
		s->n_records[IKE_REC_P1_DOWN]++;
	}
	done = pair_restore(s, &c);
	ck_assert_uint_eq(done.p2, 1);
	pair_wait(p, 1000);
	ck_assert(first_p1(s, &new));
	ck_assert(new.initiator);
	ck_assert_uint_gt(new.tunnel, old.tunnel);
	ck_assert_uint_eq(new.n_p2, 1);
	ck_assert_uint_eq(s->n_pk - jobs, 2);
	if (_i > 1) { /* the peer has not heard of it, and lets it go once the new one is used */
		ck_assert(first_p2(s, &p2));
		ck_assert(!ike_engine_refresh_p2(s->e, p2.tunnel, p->now, &err));
		pair_wait(p, 130000);
	}
	/* The peer has the new one alone, and the pair: no INITIAL-CONTACT. */
	ck_assert_uint_eq(pair_stats(p, !i)->p1_live, 1);
	ck_assert_uint_eq(pair_stats(p, !i)->p2_live, 1);
	ck_assert(!pair_said(peer, "CSI1010I"));
	ck_assert(pair_mirrored(p));
	ck_assert(first_p2(s, &p2));
	ck_assert_uint_eq(p2.parent, new.tunnel);
	ck_assert_uint_eq(s->n_records[IKE_REC_P2_MOVED], 1);
	ck_assert_uint_eq(pair_stats(p, i)->taken_over, 0);
	ck_assert_uint_eq(s->n_inherited, 0);
	ck_assert_uint_eq(s->n_records[IKE_REC_P1_UP], 2);
	ck_assert_uint_eq(s->n_records[IKE_REC_P1_DOWN], 1);
	pair_free(p);
}
END_TEST

/* Later, on demand or at a refresh, it is no first contact either. _i: where only the peer began.
 */
START_TEST(test_p1_later)
{
	struct pair_policy o = {.how_to_initiate = "DoNot"};
	struct pair *p = pair_new(&o, NULL);
	struct side *s = &p->side[0];
	struct pair_cache c;

	pair_acquire(p, 1);
	full_stop(s, &c);
	ck_assert_uint_eq(pair_restore(s, &c).p2, 1);
	pair_wait(p, 130000);
	ck_assert(pair_said(s, "CSI1090I"));
	ck_assert(!pair_said(s, "CSI1084I"));
	ck_assert_uint_eq(p->n_history, 0);
	/* The peer begins, in the end; what it has of before is told then. */
	ck_assert_int_eq(ike_engine_refresh_p1(p->side[1].e, 1, p->now, NULL), 0);
	pair_wait(p, 5000);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 1);
	ck_assert_uint_eq(pair_stats(p, 1)->p2_live, 1);
	ck_assert(pair_mirrored(p));
	pair_free(p);
}
END_TEST

static bool first_contact(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	(void)data;
	(void)len;
	return from || !p->filter_arg;
}

/* Nobody is there at once: it is tried again while the pair lives, and not longer. */
START_TEST(test_p1_tried_again)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct pair_cache c;
	bool deaf = true;

	full_stop(s, &c);
	p->filter = first_contact;
	p->filter_arg = &deaf;
	pair_restore(s, &c);
	pair_wait(p, 260000);
	ck_assert(pair_said(s, "CSI1090I"));
	if (_i)
		ike_engine_deactivate_p2(s->e, 2, p->now, NULL);
	p->filter_arg = NULL;
	pair_wait(p, 60000);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_live, !_i);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_initiated, _i ? 1 : 2);
	pair_free(p);
}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("give_back");
	TCase *tc = tcase_create("give_back");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_give_back, 0, 2);
	tcase_add_test(tc, test_another_address);
	tcase_add_loop_test(tc, test_half_way, 0, 8);
	tcase_add_loop_test(tc, test_queue, 0, 3);
	tcase_add_test(tc, test_passive);
	tcase_add_test(tc, test_passive_before);
	tcase_add_loop_test(tc, test_p1_anew, 0, 4);
	tcase_add_test(tc, test_p1_later);
	tcase_add_loop_test(tc, test_p1_tried_again, 0, 2);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(void)
{
	if (!pair_crypto())
		return EXIT_FAILURE;
	return run_suite(suite());
}
