/*
 * The negotiation engine: SAs live on when their engine is gone and another one takes over what it
 * kept, what its SA cache has and what the kernel has.
 */
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/pair_restart.h"
#include "tests/unit/run_suite.h"

static struct ike_restored restart(struct side *s)
{
	struct pair_cache c;

	pair_crash(s, &c);
	return pair_restore(s, &c);
}

static int first_p2(void *arg, const struct ike_p2_info *info)
{
	*(struct ike_p2_info *)arg = *info;
	return 1;
}

static int first_p1(void *arg, const struct ike_p1_info *info)
{
	*(struct ike_p1_info *)arg = *info;
	return 1;
}

/* ---- all lives on ---- */

START_TEST(test_lives_on)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[_i % 2];
	struct ike_p2_info before, after;
	struct ike_restored done;

	ck_assert_int_eq(ike_engine_each_p2(s->e, first_p2, &before), 1);
	done = restart(s);
	ck_assert_uint_eq(done.p1, 1);
	ck_assert_uint_eq(done.p2, 1);
	ck_assert_uint_eq(done.removed + done.gone + done.intents, 0);
	ck_assert_int_eq(ike_engine_each_p2(s->e, first_p2, &after), 1);
	ck_assert_uint_eq(after.tunnel, before.tunnel);
	ck_assert_uint_eq(after.reqid, before.reqid);
	ck_assert_uint_eq(after.parent, before.parent);
	ck_assert_int_eq(after.expires, before.expires);
	ck_assert_uint_eq(after.spi_in, before.spi_in);
	ck_assert_uint_eq(after.local_id.len, before.local_id.len);
	ck_assert(pair_mirrored(p));
	ck_assert_uint_eq(s->n_records[IKE_REC_P1_UP], 1);
	ck_assert_uint_eq(s->n_records[IKE_REC_P2_UP], 1);
	ck_assert_uint_eq(s->n_policies, 1);

	/* The next tunnel needs no phase 1: three messages, whoever begins. */
	ck_assert_int_eq(ike_engine_deactivate_p2(p->side[_i / 2].e, before.tunnel, p->now, NULL),
			 0);
	pair_run(p);
	pair_expect_nothing(p);
	pair_forget_history(p);
	pair_acquire(p, (unsigned)_i / 2);
	ck_assert(pair_mirrored(p));
	ck_assert_uint_eq(p->n_history, 3);
	ck_assert_uint_eq(pair_stats(p, !(_i % 2))->p1_up, 1);
	pair_free(p);
}
END_TEST

static struct ike_p1_counts counts_of(const struct side *s)
{
	struct ike_p1_info info;

	ck_assert_int_eq(ike_engine_each_p1(s->e, first_p1, &info), 1);
	ck_assert_uint_eq(info.n_p2, 1);
	ck_assert_uint_eq(info.n_p2_under_way, 0);
	return info.counts;
}

static bool drop_quick_2(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	bool *dropped = p->filter_arg;
	bool drop = from == 1 && data[18] == ISA_QUICK && !*dropped;

	(void)len;
	*dropped |= drop;
	return !drop;
}

/* What happened under a phase 1 SA is counted, and known after a restart. */
START_TEST(test_counts_go_on)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[1];
	struct ike_p1_counts c;
	bool dropped = false;
	unsigned n;

	ck_assert_int_eq(ike_engine_deactivate_p2(p->side[0].e, 2, p->now, NULL), 0);
	pair_run(p);
	n = p->n_history - 1;
	while (p->history[n].from != 0)
		n--;
	p->history[n].data[20] ^= 1; /* of another exchange: what comes out is no message 1 */
	pair_replay(p, n);
	p->filter = drop_quick_2;
	p->filter_arg = &dropped;
	pair_acquire(p, 0);
	pair_wait(p, 5000); /* message 1 is sent again, and answered again */
	ck_assert(dropped);
	c = counts_of(&p->side[0]);
	ck_assert_uint_eq(c.local_up, 2);
	ck_assert_uint_eq(c.retransmitted, 1);
	ck_assert_uint_eq(c.local_failed + c.remote_up + c.remote_failed, 0);
	ck_assert_uint_eq(c.repeated, 1); /* both sides send again */
	for (unsigned i = 0; i < 2; i++) {
		c = counts_of(s);
		ck_assert_uint_eq(c.remote_up, 2);
		ck_assert_uint_eq(c.repeated, 1);
		ck_assert_uint_eq(c.malformed + c.unauthentic, 1);
		ck_assert_uint_eq(c.local_up + c.local_failed + c.remote_failed, 0);
		ck_assert_uint_eq(c.retransmitted, 1);
		restart(s);
	}
	pair_free(p);
}
END_TEST

/* What is AH is found again as AH, and the other side's deletion of it takes it. */
START_TEST(test_ah_lives_on)
{
	struct pair_policy o = {.data_offers = "Tunnel|DoNot|AH HMAC_SHA2_256_128"};
	struct pair *p = pair_up(&o);
	struct side *s = &p->side[_i % 2];
	struct ike_p2_info info;

	ck_assert_uint_eq(restart(s).p2, 1);
	ck_assert(pair_mirrored(p));
	for (unsigned i = 0; i < s->n_sas; i++)
		ck_assert_uint_eq(s->sas[i].sa.id.proto, IPPROTO_AH);
	ck_assert_int_eq(ike_engine_each_p2(s->e, first_p2, &info), 1);
	ck_assert_int_eq(ike_engine_deactivate_p2(p->side[_i / 2].e, info.tunnel, p->now, NULL), 0);
	pair_run(p);
	pair_expect_nothing(p);
	pair_free(p);
}
END_TEST

/* A bundle lives on whole; where one of its four SAs is gone none stays, and the peer is told. */
START_TEST(test_bundle_restart)
{
	struct pair_policy o = {.data_offers = "Tunnel|AES_CBC KeyLength 128|AH HMAC_SHA1"};
	struct pair *p = pair_up(&o);
	struct side *s = &p->side[_i % 2];
	struct ike_p2_info before, after;
	struct pair_cache c;

	ck_assert_int_eq(ike_engine_each_p2(s->e, first_p2, &before), 1);
	ck_assert_uint_eq(restart(s).p2, 1);
	ck_assert_int_eq(ike_engine_each_p2(s->e, first_p2, &after), 1);
	ck_assert_uint_eq(after.ah_in, before.ah_in);
	ck_assert_uint_eq(after.ah_out, before.ah_out);
	ck_assert_ptr_eq(after.suite.ah, before.suite.ah);
	ck_assert(pair_mirrored(p));
	pair_crash(s, &c);
	s->sas[_i / 2] = s->sas[--s->n_sas];
	ck_assert_uint_eq(pair_restore(s, &c).p2, 0);
	pair_run(p);
	pair_expect_nothing(p);
	pair_free(p);
}
END_TEST

/* Both ends at once, twice, and with the tunnel taken down by its phase 1. */
START_TEST(test_both_restart)
{
	struct pair *p = pair_up(NULL);

	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < 2; i++)
			ck_assert_uint_eq(restart(&p->side[i]).p2, 1);
	ck_assert(pair_mirrored(p));
	ck_assert_int_eq(ike_engine_deactivate_p1(p->side[_i].e, 1, p->now, NULL), 0);
	pair_run(p);
	pair_expect_nothing(p);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_uint_eq(p->side[i].n_kept, 0);
	pair_free(p);
}
END_TEST

/* Lifetimes go on from when the SAs came up, not from the restart. */
START_TEST(test_lifetimes_go_on)
{
	struct pair_policy o = {.vpn_life = 60}; /* or it would be refreshed */
	struct pair *p = pair_up(&o);
	struct side *s = &p->side[0];
	struct ike_p2_info p2;

	ike_engine_each_p2(s->e, first_p2, &p2);
	pair_wait(p, 3000000);
	ck_assert_uint_eq(restart(s).p2, 1);
	pair_wait(p, (uint64_t)(p2.expires - p->now.wall - 2) * 1000);
	ck_assert(pair_mirrored(p));
	pair_wait(p, 4000);
	pair_expect_nothing(p);
	pair_free(p);
}
END_TEST

/*
 * Life that ended meanwhile: of phase 1 it ends at once, and the peer hears of it.  A pair that the
 * kernel has all the same is refreshed under another one.
 */
START_TEST(test_expired_meanwhile)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct ike_p2_info p2;
	struct pair_cache c;

	pair_crash(s, &c);
	p->now.wall += 100000;
	p->now.mono += 1000;
	ck_assert_uint_eq(pair_restore(s, &c).p1, 1);
	pair_wait(p, 1);
	ck_assert_uint_eq(s->n_records[IKE_REC_P1_DOWN], 1);
	ck_assert_uint_eq(p->side[1].n_records[IKE_REC_P1_DOWN], 1);
	pair_wait(p, 90000);
	ck_assert_msg(pair_mirrored(p), "%s", s->log);
	ck_assert_int_eq(ike_engine_each_p2(s->e, first_p2, &p2), 1);
	ck_assert_uint_eq(p2.generation, 2);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(pair_stats(p, i)->p1_live, 1);
		ck_assert_uint_eq(pair_stats(p, i)->p2_live, 1);
	}
	pair_free(p);
}
END_TEST

/* Messages of before are no news. */
START_TEST(test_replay)
{
	struct pair *p = pair_up(NULL);

	restart(&p->side[_i]);
	for (unsigned n = p->n_history; n-- > 0;)
		pair_replay(p, n);
	pair_run(p);
	ck_assert(pair_mirrored(p));
	ck_assert_uint_eq(pair_stats(p, (unsigned)_i)->p2_live, 1);
	pair_wait(p, 300000);
	ck_assert(pair_mirrored(p));
	pair_free(p);
}
END_TEST

/* INITIAL-CONTACT of a phase 1 that lives on is older than what came up under it. */
START_TEST(test_peer_starts_afresh)
{
	struct pair *p = pair_up(NULL);
	struct pair_cache c;

	restart(&p->side[0]);
	pair_crash(&p->side[1], &c); /* which has nothing left this time */
	p->side[1].n_kept = 0;
	c.n_p1 = c.n_p2 = 0;
	pair_restore(&p->side[1], &c);
	pair_acquire(p, 1);
	ck_assert(pair_mirrored(p));
	ck_assert_uint_eq(pair_installed(&p->side[0]), 2);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_live, 1);
	p->side[1].n_records[IKE_REC_P1_UP] = p->side[1].n_records[IKE_REC_P1_DOWN] = 0;
	p->side[1].n_records[IKE_REC_P2_UP] = p->side[1].n_records[IKE_REC_P2_DOWN] = 0;
	ck_assert_int_eq(ike_engine_deactivate_p1(p->side[0].e, 1, p->now, NULL), 0);
	pair_run(p);
	p->side[1].n_records[IKE_REC_P1_UP] = p->side[1].n_records[IKE_REC_P1_DOWN];
	p->side[1].n_records[IKE_REC_P2_UP] = p->side[1].n_records[IKE_REC_P2_DOWN];
	pair_free(p);
}
END_TEST

/* ---- in the middle of a refresh ---- */

static bool drop_sixth(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	unsigned *answers = p->filter_arg;

	(void)len;
	return from != 1 || data[18] != ISA_MAIN || ++*answers != 3;
}

/*
 * The initiator dies before it has message 6 of a refresh: the responder alone has the new phase 1
 * SA. Nobody answers there, but the peer is not gone.
 */
START_TEST(test_dies_before_sixth)
{
	static const struct pair_policy asking = {.liveness = "30"};
	struct pair *p = pair_up(&asking);
	unsigned answers = 0;

	p->filter = drop_sixth;
	p->filter_arg = &answers;
	ck_assert(!ike_engine_refresh_p1(p->side[0].e, 1, p->now, NULL));
	pair_run(p);
	ck_assert_uint_eq(answers, 3);
	p->filter = NULL;
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 2);
	ck_assert_uint_eq(restart(&p->side[0]).p1, 1);
	pair_wait(p, 120000);
	ck_assert_msg(pair_mirrored(p), "%s", p->side[1].log);
	ck_assert_uint_eq(pair_stats(p, 1)->peers_gone, 0);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 1);
	/* And the old one serves as before, refreshes included. */
	ck_assert(!ike_engine_refresh_p1(p->side[1].e, 1, p->now, NULL));
	pair_run(p);
	pair_wait(p, 40000);
	ck_assert(pair_mirrored(p));
	for (unsigned i = 0; i < 2; i++)
		ck_assert_uint_eq(pair_stats(p, i)->p1_live, 1);
	pair_free(p);
}
END_TEST

static bool drop_aggressive_third(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	(void)p;
	(void)from;
	(void)len;
	return data[18] != ISA_AGGRESSIVE || !(data[19] & ISA_FLAG_ENCRYPTED);
}

/* In Aggressive Mode it is the responder that may die before it has the last message. */
START_TEST(test_dies_before_aggressive_third)
{
	static const struct pair_policy asking = {
		.liveness = "30", .how_to_initiate = "Aggressive", .how_to_respond = "Aggressive"};
	struct pair *p = pair_new(&asking, &asking);

	pair_acquire(p, _i & 1);
	pair_wait(p, 10000);
	pair_expect_up(p);
	p->filter = drop_aggressive_third;
	ck_assert(!ike_engine_refresh_p1(p->side[0].e, 1, p->now, NULL));
	pair_run(p);
	p->filter = NULL;
	ck_assert_uint_eq(pair_stats(p, 0)->p1_live, 2);
	ck_assert_uint_eq(restart(&p->side[1]).p1, 1);
	pair_wait(p, 300000);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(pair_stats(p, i)->p1_live, 1);
		ck_assert_uint_eq(pair_stats(p, i)->peers_gone, 0);
	}
	ck_assert_msg(pair_mirrored(p), "%s", p->side[0].log);
	pair_free(p);
}
END_TEST

/*
 * Side 0 begins while side 1's exchange is under way, so that its own is done last, and the
 * encrypted answer in it is lost.
 */
static bool begin_late_drop_sixth(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	static const uint8_t none[ISA_COOKIE_LEN];
	uint8_t *icookie = p->filter_arg;
	bool second = memcmp(data + ISA_COOKIE_LEN, none, ISA_COOKIE_LEN) != 0;

	(void)len;
	if (data[18] != ISA_MAIN)
		return true;
	if (from == 0 && !second)
		memcpy(icookie, data, ISA_COOKIE_LEN);
	if (from == 1 && second && !memcmp(icookie, none, ISA_COOKIE_LEN))
		ck_assert(!ike_engine_refresh_p1(p->side[0].e, 1, p->now, NULL));
	return from != 1 || !(data[19] & ISA_FLAG_ENCRYPTED) ||
	       memcmp(data, icookie, ISA_COOKIE_LEN) != 0;
}

/*
 * Both refresh at once, and one dies before it has message 6 of its own: the other keeps what both
 * have, whichever of the two won.
 */
START_TEST(test_twin_dies_before_sixth)
{
	static const struct pair_policy asking = {.liveness = "30"};

	for (unsigned round = 0; round < 12; round++) {
		uint8_t icookie[ISA_COOKIE_LEN] = {0};
		struct pair *p = pair_up(&asking);

		p->filter = begin_late_drop_sixth;
		p->filter_arg = icookie;
		ck_assert(!ike_engine_refresh_p1(p->side[1].e, 1, p->now, NULL));
		pair_run(p);
		ck_assert_uint_eq(pair_stats(p, 0)->p1_up, 2);
		ck_assert_uint_eq(pair_stats(p, 1)->p1_up, 3);
		p->filter = NULL;
		restart(&p->side[0]);
		pair_wait(p, 300000);
		ck_assert_msg(pair_mirrored(p), "%s", p->side[1].log);
		for (unsigned i = 0; i < 2; i++) {
			ck_assert_uint_eq(pair_stats(p, i)->p1_live, 1);
			ck_assert_uint_eq(pair_stats(p, i)->peers_gone, 0);
		}
		pair_free(p);
	}
}
END_TEST

static bool drop_third(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	unsigned *sent = p->filter_arg;

	(void)len;
	return from != 0 || data[18] != ISA_QUICK || ++*sent != 2;
}

/*
 * The responder dies before it has message 3 of a refresh: it deletes the pair that the initiator
 * has already, which goes on with the one before and tries again.
 */
START_TEST(test_dies_before_third)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[1];
	struct ike_p2_info row;
	unsigned sent = 0;
	struct pair_cache c;

	p->filter = drop_third;
	p->filter_arg = &sent;
	ck_assert(!ike_engine_refresh_p2(p->side[0].e, 2, p->now, NULL));
	pair_run(p);
	ck_assert_uint_eq(sent, 2);
	p->filter = NULL;
	ck_assert_uint_eq(pair_stats(p, 0)->p2_live, 2);
	ck_assert_int_eq(ike_engine_each_p2(s->e, first_p2, &row), 1);
	ck_assert_int_ne(row.state, IKE_P2_DONE);
	row.local_id = row.remote_id = (struct cs_bytes){NULL, 0};
	pair_crash(s, &c);
	c.p2[c.n_p2++] = (struct ike_cached_p2){row, 4711};
	ck_assert_uint_eq(pair_restore(s, &c).p2, 1);
	pair_run(p);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_live, 1);
	ck_assert(pair_mirrored(p));
	pair_wait(p, 90000);
	ck_assert_msg(pair_mirrored(p), "%s", p->side[0].log);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_live, 1);
	/* The next is refreshed in its time. */
	pair_wait(p, 7200000);
	ck_assert(pair_mirrored(p));
	pair_free(p);
}
END_TEST

/* ---- the policy has changed meanwhile ---- */

START_TEST(test_rule_changed)
{
	static const struct pair_policy others[] = {
		{.key = "another-secret"},
		{.ke_offers = "AES_CBC KeyLength 256|SHA2_256|Group19"},
		{.rule_name = "Other"},
	};
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct pol_policy *old = s->policy;
	struct pair_cache c;

	s->policy = pair_make_policy(&others[_i], 0);
	pair_crash(s, &c);
	pair_restore(s, &c);
	pair_run(p);
	pol_unref(old);
	ck_assert(pair_said(s, "does not live on"));
	if (_i == 2) { /* phase 1 does, and tells the peer of phase 2 */
		ck_assert_uint_eq(pair_stats(p, 0)->p1_live, 1);
		pair_expect_nothing(p);
	} else { /* the peer knows that phase 1 is gone */
		ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 0);
		ck_assert_uint_eq(pair_stats(p, 0)->p2_live, 1);
		ck_assert_int_eq(ike_engine_deactivate_p2(p->side[1].e, 2, p->now, NULL), 0);
	}
	pair_free(p);
}
END_TEST

/* The pair of a client, whose phase 1 SA was not kept or is not of its user any more. */
START_TEST(test_client_is_gone)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct ike_restored done;
	struct pair_cache c;

	pair_crash(s, &c);
	strcpy(c.p2[0].info.user, "alice");
	if (_i)
		s->n_kept = 0;
	done = pair_restore(s, &c);
	ck_assert_uint_eq(done.p1, !_i);
	ck_assert_uint_eq(done.p2, 0);
	ck_assert_uint_eq(done.removed, 2);
	ck_assert_uint_eq(s->n_sas, 0);
	ck_assert_uint_eq(s->n_policies, 0);
	ck_assert(pair_said(s, "user alice has to be proved again"));
	pair_free(p);
}
END_TEST

START_TEST(test_no_policy)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct ike_settings set = {.marking = {XF_MARK_SHIFT_DEFAULT}};
	struct ike_restored done;
	struct ike_ops ops;
	struct pair_cache c;
	struct cs_err err;

	pair_crash(s, &c);
	ike_engine_free(s->e);
	pair_ops(&ops);
	ck_assert(!ike_engine_new(&set, &ops, s, &s->e, &err));
	done = pair_restore(s, &c);
	ck_assert_uint_eq(done.p1 + done.p2, 0);
	ck_assert_uint_eq(done.removed, 2);
	ck_assert_uint_eq(s->n_sas, 0);
	ck_assert_uint_eq(s->n_policies, 0);
	pair_free(p);
}
END_TEST

/* ---- what is not whole ---- */

/* One of the two SAs, or the policy, is gone. */
START_TEST(test_kernel_lost_some)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct ike_restored done;
	struct pair_cache c;

	pair_crash(s, &c);
	if (_i < 2) {
		ck_assert_uint_eq(s->n_sas, 2);
		s->sas[_i] = s->sas[1];
		s->sas[_i].sa.cipher_key.p = s->sas[_i].keys[0];
		s->sas[_i].sa.integ_key.p = s->sas[_i].keys[1];
		s->n_sas = 1;
	} else {
		s->n_policies = 0;
	}
	done = pair_restore(s, &c);
	pair_run(p);
	ck_assert_uint_eq(done.p1, 1);
	ck_assert_uint_eq(done.p2, _i == 2);
	ck_assert_uint_eq(done.removed, _i == 2 ? 0 : 1);
	ck_assert_uint_eq(s->n_policies, _i == 2);
	ck_assert_uint_eq(pair_installed(&p->side[1]), _i == 2 ? 2u : 0u);
	pair_free(p);
}
END_TEST

/* The row as it is before the result: nobody knows yet when the pair will come up. */
static void intend(struct ike_cached_p2 *p2)
{
	p2->intent = 4711;
	p2->info.state = IKE_P2_KEP;
	p2->info.installed = p2->info.expires = 0;
}

/* An intent without result: 0 both SAs there, 1 one of them, 2 none, and nobody knows if ever. */
START_TEST(test_intent)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[1]; /* the responder */
	struct ike_restored done;
	struct pair_cache c;

	pair_crash(s, &c);
	intend(&c.p2[0]);
	s->n_records[IKE_REC_P2_UP] = 0;
	s->n_sas = 2 - (unsigned)_i;
	done = pair_restore(s, &c);
	ck_assert_uint_eq(done.intents, 1);
	ck_assert_uint_eq(done.p2, _i == 0);
	ck_assert_uint_eq(s->n_records[IKE_REC_P2_UP], 1);
	ck_assert_uint_eq(s->n_records[IKE_REC_P2_FAILED], 0);
	ck_assert_uint_eq(s->n_records[IKE_REC_P2_DOWN], _i > 0);
	ck_assert_uint_eq(s->n_in_doubt, _i == 2 ? 2 : 0);
	if (_i)
		ck_assert_uint_eq(s->n_sas, 0);
	pair_free(p);
}
END_TEST

/* A generation that failed before the restart has its record; its number is not given again. */
START_TEST(test_generations_count_on)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[_i];
	struct ike_p2_info info;
	struct ike_p1_info p1;
	struct pair_cache c;

	pair_crash(s, &c);
	c.p2[0].info.generations = 7;
	s->kept[0].generations = 5;
	ck_assert_uint_eq(pair_restore(s, &c).p2, 1);
	ck_assert_int_eq(ike_engine_each_p2(s->e, first_p2, &info), 1);
	ck_assert_uint_eq(info.generation, 1);
	ck_assert_uint_eq(info.generations, 7);
	ck_assert(!ike_engine_refresh_p1(s->e, 1, p->now, NULL));
	pair_run(p);
	pair_wait(p, 100000);
	ck_assert_int_eq(ike_engine_each_p1(s->e, first_p1, &p1), 1);
	ck_assert_uint_eq(p1.generation, 6);
	pair_free(p);
}
END_TEST

/* An intent whose SAs are there is a pair like others: under its phase 1, for all of its life. */
START_TEST(test_intent_lives_on)
{
	struct pair_policy o = {.vpn_life = 60}; /* or it would be refreshed */
	struct pair *p = pair_up(&o);
	struct side *s = &p->side[_i];
	struct ike_p2_info before, after;
	struct ike_p1_info p1;
	struct pair_cache c;

	ike_engine_each_p2(s->e, first_p2, &before);
	pair_wait(p, 1000000);
	pair_crash(s, &c);
	intend(&c.p2[0]);
	s->added = before.installed;
	s->n_records[IKE_REC_P2_UP] = 0;
	ck_assert_uint_eq(pair_restore(s, &c).p2, 1);
	ck_assert_int_eq(ike_engine_each_p2(s->e, first_p2, &after), 1);
	ck_assert_int_eq(after.installed, before.installed);
	ck_assert_int_eq(after.expires, before.expires);
	ck_assert_int_eq(ike_engine_each_p1(s->e, first_p1, &p1), 1);
	ck_assert_uint_eq(p1.n_p2, 1);
	pair_wait(p, (uint64_t)(before.expires - p->now.wall - 2) * 1000);
	ck_assert(pair_mirrored(p));
	pair_wait(p, 4000);
	pair_expect_nothing(p);
	pair_free(p);
}
END_TEST

/* An SPI without keys: the kernel never had the pair, and its record must not say so. */
START_TEST(test_intent_larval)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[_i];
	struct ike_restored done;
	struct pair_cache c;

	pair_crash(s, &c);
	intend(&c.p2[0]);
	for (unsigned i = 0; i < s->n_sas; i++)
		if (s->sas[i].sa.id.spi == c.p2[0].info.spi_in)
			s->sas[0].sa.id = s->sas[i].sa.id;
	s->sas[0].larval = true;
	s->n_sas = 1;
	s->n_records[IKE_REC_P2_UP] = 0;
	done = pair_restore(s, &c);
	ck_assert_uint_eq(done.p2, 0);
	ck_assert_uint_eq(s->n_records[IKE_REC_P2_FAILED], 1);
	ck_assert_uint_eq(s->n_records[IKE_REC_P2_UP], 0);
	ck_assert_uint_eq(s->n_records[IKE_REC_P2_DOWN], 0);
	ck_assert_uint_eq(s->n_sas, 0);
	pair_run(p);
	pair_free(p);
}
END_TEST

/* The end came between the outbound SA and the policy: what held the packets is in its place. */
START_TEST(test_hold_in_place)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[_i];
	struct xf_policy *policy = &s->policies[0];
	struct pair_cache c;

	pair_crash(s, &c);
	intend(&c.p2[0]);
	s->n_records[IKE_REC_P2_UP] = 0;
	policy->priority = XF_PRIO_HOLD;
	policy->hold = true;
	policy->has_template = false;
	policy->reqid = 0;
	ck_assert_uint_eq(pair_restore(s, &c).p2, 1);
	ck_assert_uint_eq(s->n_policies, 1);
	ck_assert(!policy->hold && policy->reqid == c.p2[0].info.reqid);
	pair_free(p);
}
END_TEST

/* Phase 1 that the store had not heard of gets its record; one that was not kept, its end. */
START_TEST(test_records_of_phase1)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct pair_cache c;

	pair_crash(s, &c);
	if (_i == 0) {
		c.n_p1 = 0;
		s->n_records[IKE_REC_P1_UP] = 0;
	} else {
		s->n_kept = 0;
	}
	ck_assert_uint_eq(pair_restore(s, &c).p1, _i == 0);
	ck_assert_uint_eq(s->n_records[IKE_REC_P1_UP], 1);
	ck_assert_uint_eq(s->n_records[IKE_REC_P1_DOWN], (unsigned)_i);
	/* The pair lives on without it. */
	ck_assert(pair_mirrored(p));
	pair_free(p);
}
END_TEST

/* Whatever bytes were kept: an error or an SA, never a crash, and the numbers stay in order. */
START_TEST(test_kept_is_damaged)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct ike_p1_kept good;
	struct ike_p1_info info;

	ck_assert_uint_eq(s->n_kept, 1);
	good = s->kept[0];
	for (unsigned round = 0; round < 4000; round++) {
		uint8_t *bytes = (uint8_t *)&s->kept[0];
		struct pair_cache c;

		pair_crash(s, &c);
		s->n_kept = 1;
		s->kept[0] = good;
		for (unsigned n = 0; n <= round % 3; n++)
			bytes[(unsigned)random() % sizeof(good)] = (uint8_t)random();
		/* Booleans and enumerations are whatever the memory holds. */
		memset(&s->kept[0].initiator, round & 1, sizeof(s->kept[0].initiator));
		c.n_p1 = 0;
		c.n_p2 = 0;
		s->n_sas = 0;
		s->n_policies = 0;
		pair_restore(s, &c);
		pair_run(p);
		if (ike_engine_each_p1(s->e, first_p1, &info))
			ck_assert_uint_ne(info.tunnel, 0);
		pair_forget_history(p);
	}
	s->n_records[IKE_REC_P1_UP] = s->n_records[IKE_REC_P1_DOWN] + pair_stats(p, 0)->p1_live;
	s->n_records[IKE_REC_P2_UP] = s->n_records[IKE_REC_P2_DOWN];
	pair_free(p);
}
END_TEST

static int64_t any(void)
{
	static const int64_t odd[] = {0, 1, -1, INT64_MAX, INT64_MIN, UINT32_MAX, INT32_MIN};
	unsigned which = (unsigned)random() % 16;

	return which < 7 ? odd[which] : (int64_t)((uint64_t)random() << 32 ^ (uint64_t)random());
}

static void spoil(struct ike_p2_info *i)
{
	uint32_t *numbers[] = {&i->tunnel, &i->parent,   &i->generation, &i->generations,
			       &i->reqid,  &i->instance, &i->spi_in,     &i->spi_out,
			       &i->ah_in,  &i->ah_out,   &i->lifetime,   &i->lifesize};
	int64_t *times[] = {&i->installed, &i->refresh, &i->expires, &i->vpn_expires};

	switch (random() % 8) {
	case 0:
		i->rule_id = (uint16_t)any();
		break;
	case 1:
		i->client = (uint16_t)any();
		break;
	case 2:
		i->activation = (enum ike_activation)(any() & 0x7fffffff);
		break;
	case 3:
		i->remote.family = (uint8_t)(random() % 3 ? 0 : AF_INET6);
		break;
	case 4:
		i->selector.remote.lo.family = (uint8_t)(random() % 3 ? 0 : AF_INET6);
		break;
	case 5:
		i->suite.cipher = NULL;
		i->suite.integ = NULL;
		break;
	default:
		*times[random() % 4] = any();
		*numbers[random() % 12] = (uint32_t)any();
	}
}

/* Whatever a row of the cache says: it is a pair or not, and what this engine does then is sane. */
START_TEST(test_row_is_nonsense)
{
	for (unsigned round = 0; round < 600; round++) {
		struct pair *p = pair_up(NULL);
		struct side *s = &p->side[0];
		struct pair_cache c;

		pair_crash(s, &c);
		for (unsigned n = 0; n <= round % 3; n++)
			spoil(&c.p2[0].info);
		if (round & 1)
			c.p2[0].intent = (uint64_t)any();
		pair_restore(s, &c);
		pair_run(p);
		p->now.wall += 3600; /* all of it is moved */
		pair_wait(p, 120000);
		ck_assert_uint_ge(pair_stats(p, 0)->p1_live, 1);
		s->n_records[IKE_REC_P2_UP] =
			s->n_records[IKE_REC_P2_DOWN] + (pair_stats(p, 0)->p2_live > 0);
		ike_engine_shutdown(s->e, false, false, p->now);
		s->n_records[IKE_REC_P2_UP] = s->n_records[IKE_REC_P2_DOWN];
		s->n_sas = 0;
		s->n_policies = 0;
		pair_free(p);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("engine_restart");
	TCase *t = tcase_create("restart");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, test_lives_on, 0, 4);
	tcase_add_test(t, test_counts_go_on);
	tcase_add_loop_test(t, test_ah_lives_on, 0, 4);
	tcase_add_loop_test(t, test_bundle_restart, 0, 8);
	tcase_add_loop_test(t, test_both_restart, 0, 2);
	tcase_add_test(t, test_lifetimes_go_on);
	tcase_add_test(t, test_expired_meanwhile);
	tcase_add_loop_test(t, test_replay, 0, 2);
	tcase_add_test(t, test_peer_starts_afresh);
	tcase_add_test(t, test_dies_before_sixth);
	tcase_add_loop_test(t, test_dies_before_aggressive_third, 0, 2);
	tcase_add_test(t, test_twin_dies_before_sixth);
	tcase_add_test(t, test_dies_before_third);
	tcase_add_loop_test(t, test_rule_changed, 0, 3);
	tcase_add_loop_test(t, test_client_is_gone, 0, 2);
	tcase_add_test(t, test_no_policy);
	tcase_add_loop_test(t, test_kernel_lost_some, 0, 3);
	tcase_add_loop_test(t, test_intent, 0, 3);
	tcase_add_loop_test(t, test_generations_count_on, 0, 2);
	tcase_add_loop_test(t, test_intent_lives_on, 0, 2);
	tcase_add_loop_test(t, test_intent_larval, 0, 2);
	tcase_add_loop_test(t, test_hold_in_place, 0, 2);
	tcase_add_loop_test(t, test_records_of_phase1, 0, 2);
	tcase_add_test(t, test_kept_is_damaged);
	tcase_add_test(t, test_row_is_nonsense);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	if (!pair_crypto())
		return EXIT_FAILURE;
	return run_suite(suite());
}
