/*
 * The negotiation engine dies in the middle of a Quick Mode exchange that is to refresh a pair. The
 * peer may use the new pair from our last message on, or wait for the next one for ever; so the
 * engine after it brings the exchange to its end, lets it begin anew, or tells the peer.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "iked/engine_private.h"
#include "tests/unit/pair_restart.h"
#include "tests/unit/run_suite.h"

#define INTENT 4711

/* ---- what is delivered ---- */

struct count {
	unsigned quick[2], informational[2]; /* by sender */
	unsigned from, drop;                 /* that one's Quick Mode message of this number */
};

static bool counts(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	struct count *c = p->filter_arg;

	(void)len;
	if (data[18] == ISA_INFORMATIONAL)
		c->informational[from]++;
	if (data[18] != ISA_QUICK)
		return true;
	return !(++c->quick[from] == c->drop && from == c->from);
}

/* A refresh that side 0 begins, as far as that goes. */
static void refresh(struct pair *p, struct count *c)
{
	p->filter = counts;
	p->filter_arg = c;
	ck_assert(!ike_engine_refresh_p2(p->side[0].e, 2, p->now, NULL));
	pair_run(p);
}

/* ---- the end of an engine ---- */

static int under_way(void *arg, const struct ike_p2_info *info)
{
	*(struct ike_p2_info *)arg = *info;
	return info->state != IKE_P2_DONE;
}

/* The cache has the intent of what is under way when intended. */
static struct ike_restored dies(struct side *s, bool intended)
{
	struct pair_cache c;
	struct ike_p2_info info;
	uint8_t ids[256];

	ck_assert_int_eq(ike_engine_each_p2(s->e, under_way, &info), 1);
	memcpy(ids, info.local_id.p, info.local_id.len);
	memcpy(ids + info.local_id.len, info.remote_id.p, info.remote_id.len);
	info.local_id.p = ids;
	info.remote_id.p = ids + info.local_id.len;
	info.installed = info.expires = 0;
	pair_crash(s, &c);
	if (intended)
		c.p2[c.n_p2++] = (struct ike_cached_p2){info, INTENT};
	s->idle = true;
	return pair_restore(s, &c);
}

/* Both have the new pair, and later nothing but that. */
static void expect_refreshed(struct pair *p, struct side *died)
{
	struct ike_p2_info info;

	ck_assert_msg(pair_mirrored(p), "%s", died->log);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_uint_eq(pair_stats(p, i)->p2_live, 2);
	ck_assert_uint_eq(died->settled, INTENT);
	ck_assert_uint_eq(died->n_quicks, 0);
	pair_wait(p, 90000);
	ck_assert_msg(pair_mirrored(p), "%s", died->log);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(pair_stats(p, i)->p2_live, 1);
		ck_assert_int_eq(ike_engine_each_p2(p->side[i].e, under_way, &info), 0);
		ck_assert_uint_eq(info.generation, 2);
	}
	/* The next one comes in its time. */
	pair_wait(p, 3400000);
	ck_assert(pair_mirrored(p));
	ck_assert_int_eq(ike_engine_each_p2(p->side[0].e, under_way, &info), 0);
	ck_assert_uint_eq(info.generation, 3);
}

/*
 * The initiator dies when it has sent message 3, which arrives or not, before the outbound SA is in
 * its kernel; or when that is, but the record is not written.
 */
START_TEST(test_initiator_sent_3)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct count c = {.from = 0, .drop = _i == 1 ? 2 : 0};

	refresh(p, &c);
	ck_assert_uint_eq(s->n_sas, 3);
	ck_assert_uint_eq(s->n_quicks, 1);
	if (_i == 2) {
		struct pair_sa *in = &p->side[1].sas[p->side[1].n_sas - 1];

		ck_assert(!in->larval);
		for (unsigned i = 0; i < p->side[1].n_sas; i++) /* as its twin at the peer is */
			if (!p->side[1].sas[i].sa.outbound)
				in = &p->side[1].sas[i];
		s->sas[s->n_sas] = *in;
		s->sas[s->n_sas++].sa.outbound = true;
	}
	ck_assert_uint_eq(dies(s, true).p2, 2);
	pair_run(p);
	ck_assert_uint_eq(c.quick[0], 3); /* message 3 again */
	pair_wait(p, 6000);
	expect_refreshed(p, s);
	pair_free(p);
}
END_TEST

/* The peer that has lost its way asks with message 2 again, of which the new engine knows nothing.
 */
START_TEST(test_initiator_is_asked)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct count c = {.from = 0, .drop = 2};

	refresh(p, &c);
	ck_assert_uint_eq(dies(s, true).p2, 2);
	c.drop = 3; /* what it sends by itself is lost, too */
	pair_run(p);
	ck_assert_uint_eq(c.quick[0], 3);
	pair_wait(p, 4000);
	ck_assert_uint_ge(c.quick[0], 4);
	ck_assert_uint_eq(pair_stats(p, 1)->p2_live, 2);
	pair_wait(p, 4000);
	expect_refreshed(p, s);
	pair_free(p);
}
END_TEST

/* The responder dies when it has sent message 2: message 3 or a packet is lost with it, or came. */
START_TEST(test_responder_sent_2)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[1];
	struct count c = {.from = 0, .drop = 2};

	refresh(p, &c);
	ck_assert_uint_eq(s->n_sas, 3);
	ck_assert_uint_eq(s->n_quicks, 1);
	ck_assert_uint_eq(dies(s, true).p2, 2);
	pair_run(p); /* message 2 again, and message 3 */
	pair_wait(p, 6000);
	expect_refreshed(p, s);
	pair_free(p);
}
END_TEST

/*
 * What cannot go on: the SAs are gone, the phase 1 SA is, what was kept is damaged. The intent gets
 * its result, what is in the kernel goes, and nothing is kept any more.
 */
START_TEST(test_cannot_go_on)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[_i % 2];
	struct count c = {.from = 0, .drop = _i % 2 ? 2 : 0};

	refresh(p, &c);
	ck_assert_uint_eq(s->n_quicks, 1);
	if (_i / 2 == 0)
		s->quicks[0].mid ^= s->quicks[0].mid;
	else if (_i / 2 == 1)
		s->quicks[0].keymat_len--;
	else if (_i / 2 == 2)
		s->quicks[0].icookie[0] ^= 1;
	else
		s->quicks[0].message_len = UINT16_MAX;
	ck_assert_uint_eq(dies(s, true).p2, 1);
	ck_assert_uint_eq(s->n_quicks, 0);
	ck_assert_uint_eq(s->settled, INTENT);
	pair_run(p);
	pair_wait(p, 300000);
	ck_assert_msg(pair_mirrored(p), "%s", s->log);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_live, 1);
	pair_free(p);
}
END_TEST

/* Whatever bytes were kept of an exchange: it ends or goes on, never a crash. */
START_TEST(test_kept_is_damaged)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct count c = {0};
	struct ike_quick_kept good;

	for (unsigned round = 0; round < 1000; round++) {
		uint8_t *bytes = (uint8_t *)&s->quicks[0];

		s->n_quicks = 0;
		memset(&c, 0, sizeof(c));
		refresh(p, &c);
		ck_assert_uint_eq(s->n_quicks, 1);
		good = s->quicks[0];
		for (unsigned n = 0; n <= round % 3; n++)
			bytes[(unsigned)random() % sizeof(good)] = (uint8_t)random();
		memset(&s->quicks[0].commit, round & 1, sizeof(s->quicks[0].commit));
		s->quicks[0].tunnel = good.tunnel;
		s->quicks[0].generation = good.generation;
		dies(s, true);
		ck_assert_uint_le(s->n_quicks, 1);
		pair_run(p);
		pair_wait(p, 200000);
		pair_forget_history(p);
		ck_assert_uint_ge(pair_stats(p, 0)->p2_live, 1);
		p->filter = NULL;
	}
	pair_free(p);
}
END_TEST

/* ---- before that ---- */

/* The initiator waits for message 2: the peer is told that nothing comes of it. */
START_TEST(test_initiator_sent_1)
{
	struct pair *p = pair_up(NULL);
	struct count c = {.from = 1, .drop = 1};
	struct ike_restored done;

	refresh(p, &c);
	ck_assert_uint_eq(c.quick[1], 1);
	ck_assert_uint_eq(pair_stats(p, 1)->p2_live, 2);
	c.informational[0] = 0;
	done = dies(&p->side[0], false);
	ck_assert_uint_eq(done.p2, 1);
	ck_assert_uint_eq(done.removed, 1);
	pair_run(p);
	ck_assert_uint_eq(c.informational[0], 1);
	ck_assert_uint_eq(p->side[0].n_sas, 2);
	pair_wait(p, 300000);
	ck_assert(pair_mirrored(p));
	pair_free(p);
}
END_TEST

/* The same of the first tunnel with a peer, of whose phase 1 SA no pair tells. */
START_TEST(test_first_sent_1)
{
	struct pair *p = pair_new(NULL, NULL);
	struct count c = {.from = 1, .drop = 1};
	struct ike_restored done;

	p->filter = counts;
	p->filter_arg = &c;
	pair_acquire(p, 0);
	pair_run(p);
	ck_assert_uint_eq(c.quick[1], 1);
	c.informational[0] = 0;
	done = dies(&p->side[0], false);
	ck_assert_uint_eq(done.p1, 1);
	ck_assert_uint_eq(done.removed, 1);
	pair_run(p);
	ck_assert_uint_eq(c.informational[0], 1);
	pair_wait(p, 300000);
	pair_free(p);
}
END_TEST

/* The responder has not answered yet: what the peer repeats is a first message to the new engine.
 */
START_TEST(test_responder_busy)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[1];
	struct count c = {0};

	s->later = true;
	refresh(p, &c);
	ck_assert_uint_eq(c.quick[1], 0);
	s->later = false;
	ck_assert_uint_eq(dies(s, true).p2, 1);
	pair_run(p);
	pair_wait(p, 9000);
	ck_assert_msg(pair_mirrored(p), "%s", s->log);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_uint_eq(pair_stats(p, i)->p2_live, 2);
	pair_free(p);
}
END_TEST

/* ---- phase 1 ---- */

static bool drop_sixth(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	unsigned *answers = p->filter_arg;

	(void)len;
	return from != 1 || data[18] != ISA_MAIN || ++*answers != 3;
}

static void delete_first(struct side *s)
{
	for (struct ike_list *l = s->e->p1s.next; l != &s->e->p1s; l = l->next) {
		struct ike_p1 *p1 = IKE_OF(l, struct ike_p1, all);

		if (p1->generation == 1)
			ike_delete_p1(s->e, p1);
	}
}

/*
 * The initiator dies before it has message 6 of a refresh, and the peer, which has the new phase 1
 * SA, deletes the old one: there is another one at once, without anybody who asks for it.
 */
START_TEST(test_old_phase1_is_deleted)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	unsigned answers = 0;
	struct pair_cache c;

	p->filter = drop_sixth;
	p->filter_arg = &answers;
	ck_assert(!ike_engine_refresh_p1(s->e, 1, p->now, NULL));
	pair_run(p);
	ck_assert_uint_eq(answers, 3);
	p->filter = NULL;
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 2);
	pair_crash(s, &c);
	ck_assert_uint_eq(pair_restore(s, &c).p1, 1);
	if (_i == 1) /* long after */
		pair_wait(p, 130000);
	if (_i == 2) /* no tunnel needs it */
		ck_assert(!ike_engine_deactivate_p2(s->e, 2, p->now, NULL));
	pair_run(p);
	delete_first(&p->side[1]);
	pair_run(p);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_up, _i == 0);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_live, _i == 0);
	ck_assert(pair_mirrored(p) == (_i != 2));
	pair_free(p);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("engine, killed in mid-exchange");
	TCase *t = tcase_create("quick");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_initiator_sent_3, 0, 3);
	tcase_add_test(t, test_initiator_is_asked);
	tcase_add_test(t, test_responder_sent_2);
	tcase_add_loop_test(t, test_cannot_go_on, 0, 8);
	tcase_add_test(t, test_kept_is_damaged);
	tcase_add_test(t, test_initiator_sent_1);
	tcase_add_test(t, test_first_sent_1);
	tcase_add_test(t, test_responder_busy);
	tcase_add_loop_test(t, test_old_phase1_is_deleted, 0, 3);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	if (!pair_crypto())
		return 1;
	return run_suite(suite());
}
