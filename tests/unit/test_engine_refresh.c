/*
 * The negotiation engine: SAs get successors before their life is over, with the offer that won
 * before; both sides at once settle to one.
 */
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"
#include "tests/unit/engine_pair.h"
#include "tests/unit/run_suite.h"

#define HOUR 3600000ull

static int take_p1(void *arg, const struct ike_p1_info *info)
{
	*(struct ike_p1_info *)arg = *info;
	return 1;
}

static int take_p2(void *arg, const struct ike_p2_info *info)
{
	*(struct ike_p2_info *)arg = *info;
	return 1;
}

static struct ike_p1_info p1_of(const struct side *s)
{
	struct ike_p1_info info = {0};

	ck_assert_int_eq(ike_engine_each_p1(s->e, take_p1, &info), 1);
	return info;
}

static struct ike_p2_info p2_of(const struct side *s)
{
	struct ike_p2_info info = {0};

	ck_assert_int_eq(ike_engine_each_p2(s->e, take_p2, &info), 1);
	return info;
}

/* One pair and one phase 1 SA at each side, and traffic has keys. */
static void expect_one(struct pair *p)
{
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_msg(pair_stats(p, i)->p1_live == 1 && pair_stats(p, i)->p2_live == 1,
			      "side %u: %u, %u\n%s", i, pair_stats(p, i)->p1_live,
			      pair_stats(p, i)->p2_live, p->side[i].log);
		ck_assert_uint_eq(pair_installed(&p->side[i]), 2);
		ck_assert_uint_eq(p->side[i].n_policies, 1);
	}
	ck_assert(pair_mirrored(p));
}

/* Who begins a refresh sends by the new pair when the peer does, or a moment later. */
static bool mirrored_soon(struct pair *p)
{
	if (!pair_mirrored(p))
		pair_wait(p, 6000);
	return pair_mirrored(p);
}

/* A day: pairs live an hour here, phase 1 eight; never is there a moment without. */
START_TEST(test_a_day)
{
	struct pair *p = pair_up(NULL);
	struct ike_p2_info p2;
	struct ike_p1_info p1;

	for (unsigned minute = 0; minute < 24 * 60; minute++) {
		pair_wait(p, 60000);
		pair_forget_history(p);
		ck_assert(mirrored_soon(p));
		for (unsigned i = 0; i < 2; i++) {
			ck_assert_uint_ge(pair_installed(&p->side[i]), 2);
			ck_assert_uint_le(pair_installed(&p->side[i]), 4);
			ck_assert_uint_eq(p->side[i].n_policies, 1);
		}
	}
	p1 = p1_of(&p->side[0]);
	p2 = p2_of(&p->side[0]);
	ck_assert_uint_eq(p1.tunnel, 1);
	ck_assert_uint_eq(p2.tunnel, 2);
	ck_assert_uint_eq(p2.parent, 1);
	ck_assert_uint_ge(p1.generation, 4);
	ck_assert_uint_le(p1.generation, 5);
	ck_assert_uint_ge(p2.generation, 27);
	ck_assert_uint_le(p2.generation, 31);
	ck_assert_int_gt(p2.refresh, p2.installed + 2800);
	ck_assert_int_lt(p2.refresh, p2.expires - 300);
	ck_assert_uint_eq(pair_complaints(&p->side[0], NULL), 0);
	ck_assert_uint_eq(pair_complaints(&p->side[1], NULL), 0);
	/* The whole tunnel ends by either number. */
	ck_assert_int_eq(
		ike_engine_deactivate_p1(p->side[_i].e, p1_of(&p->side[_i]).tunnel, p->now, NULL),
		0);
	pair_run(p);
	pair_expect_nothing(p);
	pair_free(p);
}
END_TEST

static void soft_expire(struct pair *p, struct ike_p2 *p2)
{
	struct xf_expire x = {.id = ike_p2_said_out(p2), .counters = {.packets = 9}};

	x.counters.bytes = p2->life_kbytes * 1024;
	ike_engine_expire(p->side[0].e, &x, p->now);
	pair_run(p);
}

/*
 * The kernel tells of bytes where no successor is to be made any more: of a pair that has one, and
 * at the end of VpnLife.  That is no failure, and what was planned for the pair stays.
 */
START_TEST(test_no_successor_wanted)
{
	struct pair_policy o = {.vpn_life = _i ? 30 : 0};
	struct pair *p = pair_up(&o);
	struct ike_p2 *p2 = IKE_OF(p->side[0].e->p2s.next, struct ike_p2, all);
	unsigned complaints;

	p2->life_kbytes = 1000;
	if (!_i) {
		ck_assert_int_eq(ike_engine_refresh_p2(p->side[0].e, 2, p->now, NULL), 0);
		pair_wait(p, 6000);
		ck_assert(p2->superseded);
	}
	soft_expire(p, p2);
	pair_wait(p, 26000); /* the grace of 30 s is nearly over */
	ck_assert_uint_eq(pair_stats(p, 0)->p2_live, 2u - (unsigned)_i);
	pair_wait(p, 6000);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_live, 1);
	pair_wait(p, 600000);
	complaints = pair_complaints(&p->side[0], NULL);
	ck_assert_msg(!complaints, "%s", p->side[0].bad);
	pair_free(p);
}
END_TEST

/* By command, by either side, one after the other. */
START_TEST(test_by_command)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[_i];
	struct cs_err err = {0};

	ck_assert_int_eq(ike_engine_refresh_p2(s->e, 99, p->now, &err), CS_ENOTFOUND);
	ck_assert_int_eq(ike_engine_refresh_p1(s->e, 99, p->now, &err), CS_ENOTFOUND);
	ck_assert_int_eq(ike_engine_refresh_p2(s->e, 2, p->now, &err), 0);
	ck_assert_int_eq(ike_engine_refresh_p2(s->e, 2, p->now, &err), CS_EEXIST);
	pair_run(p);
	pair_wait(p, 6000);
	ck_assert_uint_eq(pair_installed(s), 4); /* make before break */
	ck_assert_int_eq(ike_engine_refresh_p1(s->e, 1, p->now, &err), 0);
	ck_assert_int_eq(ike_engine_refresh_p1(s->e, 1, p->now, &err), CS_EEXIST);
	pair_run(p);
	pair_wait(p, 40000);
	expect_one(p);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(p1_of(&p->side[i]).generation, 2);
		ck_assert_uint_eq(p1_of(&p->side[i]).tunnel, 1);
		ck_assert_uint_eq(p1_of(&p->side[i]).n_p2, 1);
		ck_assert_uint_eq(p2_of(&p->side[i]).generation, 2);
		ck_assert_uint_eq(p2_of(&p->side[i]).tunnel, 2);
	}
	pair_free(p);
}
END_TEST

/* Both at once: one of the two stays, the same at both sides. */
START_TEST(test_both_at_once)
{
	for (unsigned round = 0; round < 12; round++) {
		struct pair *p = pair_up(NULL);

		for (unsigned i = 0; i < 2; i++) {
			if (_i == 0)
				ck_assert(!ike_engine_refresh_p2(p->side[i].e, 2, p->now, NULL));
			else
				ck_assert(!ike_engine_refresh_p1(p->side[i].e, 1, p->now, NULL));
		}
		pair_run(p);
		ck_assert_uint_ge(pair_installed(&p->side[0]), 2);
		/* Of phase 1 the loser may be left for the peer to delete. */
		pair_wait(p, _i == 0 ? 40000 : 70000);
		expect_one(p);
		pair_wait(p, 3 * HOUR);
		ck_assert(pair_mirrored(p));
		pair_free(p);
	}
}
END_TEST

static bool drop_all(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	(void)p;
	(void)from;
	(void)data;
	(void)len;
	return false;
}

/* The peer is away: the old SAs serve as long as they live, and end without noise. */
START_TEST(test_peer_away)
{
	struct pair *p = pair_up(NULL);
	struct ike_p2_info p2 = p2_of(&p->side[0]);
	uint64_t left = (uint64_t)(p2.expires - p->now.wall) * 1000;

	p->filter = drop_all;
	pair_wait(p, left - 2000);
	ck_assert_uint_eq(pair_installed(&p->side[0]), 2);
	ck_assert_uint_eq(pair_installed(&p->side[1]), 2);
	pair_wait(p, 600000);
	ck_assert_uint_eq(pair_installed(&p->side[0]), 0);
	p->filter = NULL;
	pair_wait(p, HOUR);
	pair_acquire(p, 0);
	pair_wait(p, 60000);
	ck_assert_msg(pair_mirrored(p), "%s\n%s", p->side[0].log, p->side[1].log);
	pair_free(p);
}
END_TEST

/* It comes back in time. */
START_TEST(test_peer_comes_back)
{
	struct pair *p = pair_up(NULL);
	struct ike_p2_info p2 = p2_of(&p->side[0]);

	pair_wait(p, (uint64_t)(p2.refresh - p->now.wall - 5) * 1000);
	p->filter = drop_all;
	pair_wait(p, 100000);
	p->filter = NULL;
	pair_wait(p, 330000);
	ck_assert(pair_mirrored(p));
	ck_assert_uint_ge(p2_of(&p->side[0]).generation, 2);
	pair_free(p);
}
END_TEST

/*
 * The peer may have its SAs only when message 3 has come: until it sends by the new pair, or for 5
 * s, the old one carries what we send.
 */
START_TEST(test_old_pair_carries_on)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];

	ck_assert(!ike_engine_refresh_p2(s->e, 2, p->now, NULL));
	pair_run(p);
	ck_assert_uint_eq(pair_installed(s), 3);
	ck_assert_uint_eq(pair_installed(&p->side[1]), 4);
	ck_assert_int_eq(p2_of(s).state, IKE_P2_KEP);
	if (_i == 0) {
		pair_expire(p, 0, false);
	} else if (_i == 1) {
		pair_wait(p, 4900);
		ck_assert_uint_eq(pair_installed(s), 3);
		pair_wait(p, 200);
	} else if (_i == 2) {
		/* The old one ends. */
		struct xf_expire x = {.hard = true};

		for (unsigned i = 0; i < s->n_sas; i++)
			if (s->sas[i].sa.outbound)
				x.id = s->sas[i].sa.id;
		ike_engine_expire(s->e, &x, p->now);
		ck_assert_uint_eq(s->n_policies, 1);
		pair_run(p);
		ck_assert_uint_eq(pair_installed(s), 2);
		pair_wait(p, 1000);
		expect_one(p);
	} else {
		/* Its phase 1 ends. */
		ck_assert(!ike_engine_refresh_p1(s->e, 1, p->now, NULL));
		pair_run(p);
		ck_assert(!ike_engine_deactivate_p1(s->e, 1, p->now, NULL));
		pair_run(p);
		pair_wait(p, 1000);
		pair_expect_nothing(p);
		pair_free(p);
		return;
	}
	ck_assert_int_eq(p2_of(s).state, IKE_P2_DONE);
	pair_wait(p, 40000);
	expect_one(p);
	pair_free(p);
}
END_TEST

static bool drop_deletes(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	(void)p;
	(void)len;
	return from != 1 || data[18] != ISA_INFORMATIONAL;
}

/*
 * The peer begins and never deletes what it has refreshed: we do, later, phase 1 once the peer has
 * used the new one.
 */
START_TEST(test_peer_leaves_the_old)
{
	struct pair *p = pair_up(NULL);

	p->filter = drop_deletes;
	ck_assert(!ike_engine_refresh_p2(p->side[1].e, 2, p->now, NULL));
	ck_assert(!ike_engine_refresh_p1(p->side[1].e, 1, p->now, NULL));
	pair_run(p);
	pair_wait(p, 50000);
	ck_assert_uint_eq(pair_installed(&p->side[0]), 4);
	pair_wait(p, 20000);
	ck_assert_uint_eq(pair_installed(&p->side[0]), 2);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_live, 2);
	ck_assert(!ike_engine_refresh_p2(p->side[1].e, 2, p->now, NULL));
	pair_run(p);
	pair_wait(p, 70000);
	expect_one(p);
	pair_free(p);
}
END_TEST

static uint8_t told_under[ISA_COOKIE_LEN]; /* the cookie of the last Informational */

static bool note_informational(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	(void)p;
	(void)len;
	if (from == 0 && data[18] == ISA_INFORMATIONAL)
		memcpy(told_under, data, sizeof(told_under));
	return true;
}

/* The peer's pairs may be under the new phase 1 SA alone by now. */
START_TEST(test_delete_under_the_new_p1)
{
	struct pair *p = pair_up(NULL);
	struct ike_p1_info old = p1_of(&p->side[0]), new;

	ck_assert(!ike_engine_refresh_p2(p->side[0].e, 2, p->now, NULL));
	pair_run(p);
	pair_expire(p, 0, false); /* the peer sends by the new pair */
	pair_wait(p, 5000);
	ck_assert(!ike_engine_refresh_p1(p->side[0].e, 1, p->now, NULL));
	pair_run(p);
	new = p1_of(&p->side[0]);
	ck_assert_uint_eq(new.generation, 2);
	p->filter = note_informational;
	memset(told_under, 0, sizeof(told_under));
	pair_wait(p, 27000);
	ck_assert_uint_eq(pair_installed(&p->side[1]), 2); /* it was told */
	ck_assert_mem_eq(told_under, new.icookie, sizeof(told_under));
	pair_wait(p, 10000);
	ck_assert_mem_eq(told_under, old.icookie, sizeof(told_under)); /* its own end */
	expect_one(p);
	pair_free(p);
}
END_TEST

/* ---- the offer that won ---- */

#define TWO_DATA                                                                                   \
	"Transport|AES_CBC KeyLength 256|ESP HMAC_SHA2_256_128;"                                   \
	"Transport|AES_CBC KeyLength 128|ESP HMAC_SHA1"
#define SECOND_DATA "Transport|AES_CBC KeyLength 128|ESP HMAC_SHA1"
#define FIRST_DATA  "Transport|AES_CBC KeyLength 256|ESP HMAC_SHA2_256_128"
#define TWO_KE      "AES_CBC KeyLength 256|SHA2_256|Group19;AES_CBC KeyLength 128|SHA1|Group19"
#define SECOND_KE   "AES_CBC KeyLength 128|SHA1|Group19"
#define FIRST_KE    "AES_CBC KeyLength 256|SHA2_256|Group19"

/* A policy that changes although rules stay the same: only a test can do that. */
static struct pol_dynvpn_action *vpn_of(struct side *s)
{
	return (struct pol_dynvpn_action *)s->policy->rules[0].vpn;
}

static struct pol_ke_action *action_of(struct side *s)
{
	return (struct pol_ke_action *)s->policy->ke_rules[0].action;
}

static unsigned key_bits_p2(struct pair *p)
{
	return p2_of(&p->side[0]).suite.cipher->key_bits;
}

static void refresh_both(struct pair *p)
{
	ck_assert(!ike_engine_refresh_p2(p->side[0].e, 2, p->now, NULL));
	pair_run(p);
	pair_wait(p, 60000);
	expect_one(p);
	ck_assert_uint_eq(p2_of(&p->side[0]).generation, p2_of(&p->side[1]).generation);
}

/*
 * The peer began, with the second offer and a PFS group that we only accept.  Our refresh brings
 * just these again, although the peer would take the first offer, too.
 */
START_TEST(test_cached_offer_p2)
{
	struct pair_policy mine = {
		.data_offers = TWO_DATA, .pfs = "None", .accept_pfs = "None Group19"};
	struct pair_policy theirs = {.data_offers = SECOND_DATA ";" FIRST_DATA,
				     .pfs = "Group19",
				     .accept_pfs = "None Group19"};
	struct pair *p = pair_new(&mine, &theirs);

	pair_acquire(p, 1);
	ck_assert(pair_mirrored(p));
	ck_assert_uint_eq(key_bits_p2(p), 128);
	refresh_both(p);
	ck_assert_uint_eq(key_bits_p2(p), 128);
	ck_assert_uint_eq(p2_of(&p->side[0]).pfs_group, 19);
	pair_free(p);
}
END_TEST

START_TEST(test_cached_offer_refused_p2)
{
	struct pair_policy mine = {.data_offers = TWO_DATA};
	struct pair_policy theirs = {.data_offers = TWO_DATA};
	struct pair *p;

	/* The peer's list has both and prefers nothing; the first wins. Then it has the second
	 * only. */
	p = pair_new(&mine, &theirs);
	pair_acquire(p, 0);
	ck_assert_uint_eq(key_bits_p2(p), 256);
	vpn_of(&p->side[1])->n_offers = 1;
	vpn_of(&p->side[1])->offers[0] = vpn_of(&p->side[1])->offers[1];
	refresh_both(p);
	ck_assert_uint_eq(key_bits_p2(p), 128);
	pair_free(p);
}
END_TEST

/* Our own policy has changed: it wins, and the log says so. */
START_TEST(test_cached_offer_overruled)
{
	struct pair_policy o = {.data_offers = TWO_DATA};
	struct pair *p = pair_up(&o);
	struct pol_dynvpn_action *vpn;

	ck_assert_uint_eq(key_bits_p2(p), 256);
	vpn = vpn_of(&p->side[0]);
	vpn->offers[0] = vpn->offers[1];
	refresh_both(p);
	ck_assert_uint_eq(key_bits_p2(p), 128);
	ck_assert(pair_said(&p->side[0], "no longer allows what was agreed before"));
	pair_free(p);
}
END_TEST

/* The same of phase 1, in both modes. */
START_TEST(test_cached_offer_p1)
{
	static const char *const modes[] = {"Main", "Aggressive"};
	struct pair_policy mine = {
		.ke_offers = TWO_KE, .how_to_initiate = modes[_i], .how_to_respond = modes[_i]};
	struct pair_policy theirs = {
		.ke_offers = SECOND_KE, .how_to_initiate = modes[_i], .how_to_respond = modes[_i]};
	struct pair *p = pair_new(&mine, &theirs);
	struct pol_ke_action *action;

	pair_acquire(p, 0);
	pair_wait(p, 1000);
	ck_assert_uint_eq(p1_of(&p->side[0]).suite.cipher->key_bits, 128);
	action = action_of(&p->side[1]);
	action->offers[0] = action_of(&p->side[0])->offers[0];
	/* It would take the first one only, now; what is offered is the second, then the list. */
	ck_assert(!ike_engine_refresh_p1(p->side[0].e, 1, p->now, NULL));
	pair_run(p);
	pair_wait(p, 120000);
	expect_one(p);
	ck_assert_uint_eq(p1_of(&p->side[0]).suite.cipher->key_bits, 256);
	ck_assert_uint_eq(p1_of(&p->side[0]).generation, 2);
	/* And from now on that one, although the second is allowed again. */
	action->offers[0] = action_of(&p->side[0])->offers[0];
	ck_assert(!ike_engine_refresh_p1(p->side[0].e, 1, p->now, NULL));
	pair_run(p);
	pair_wait(p, 70000); /* of Aggressive Mode the responder ends the old one */
	expect_one(p);
	ck_assert_uint_eq(p1_of(&p->side[0]).suite.cipher->key_bits, 256);
	ck_assert_uint_eq(p1_of(&p->side[0]).generation, 3);
	pair_free(p);
}
END_TEST

/* The peer began with the second offer and would take the first one, too. */
START_TEST(test_cached_offer_kept_p1)
{
	struct pair_policy mine = {.ke_offers = TWO_KE};
	struct pair_policy theirs = {.ke_offers = SECOND_KE ";" FIRST_KE};
	struct pair *p = pair_new(&mine, &theirs);

	pair_acquire(p, 1);
	ck_assert_uint_eq(p1_of(&p->side[0]).suite.cipher->key_bits, 128);
	ck_assert(!ike_engine_refresh_p1(p->side[0].e, 1, p->now, NULL));
	pair_run(p);
	pair_wait(p, 40000);
	expect_one(p);
	ck_assert_uint_eq(p1_of(&p->side[0]).suite.cipher->key_bits, 128);
	ck_assert_uint_eq(p1_of(&p->side[0]).generation, 2);
	pair_free(p);
}
END_TEST

/* ---- a new policy meanwhile ---- */

/*
 * The peer has refused the cached offer when the policy no longer has the rule (1: when iked
 * stops): the attempt ends with the SA and is not begun again.
 */
START_TEST(test_refused_and_ended)
{
	struct pair_policy mine = {.ke_offers = TWO_KE}, other_key = {.key = "a-new-secret"};
	struct pair *p = pair_up(&mine);
	struct side *s = &p->side[0];
	struct pol_policy *key = pair_make_policy(&other_key, 0);
	uint64_t begun;

	action_of(&p->side[1])->n_offers = 1;
	action_of(&p->side[1])->offers[0] = action_of(&p->side[1])->offers[1];
	ck_assert(!ike_engine_refresh_p1(s->e, 1, p->now, NULL));
	pair_run(p);
	ck_assert(pair_said(s, "NO-PROPOSAL-CHOSEN"));
	begun = pair_stats(p, 0)->p1_initiated;
	if (_i == 0) {
		pol_unref(s->policy);
		s->policy = key;
		ike_engine_policy(s->e, key, p->now);
	} else {
		ike_engine_shutdown(s->e, true, false, p->now);
		pol_unref(key);
	}
	pair_run(p);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_initiated, begun);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_live, 0);
	pair_wait(p, 300000);
	pair_expect_nothing(p);
	pair_free(p);
}
END_TEST

static bool third_brings_policy(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	struct pol_policy *policy = p->filter_arg;

	(void)data;
	(void)len;
	if (policy && from == 0 && p->n_history >= 2) {
		p->filter_arg = NULL;
		ike_engine_policy(p->side[1].e, policy, p->now);
		pol_unref(p->side[1].policy);
		p->side[1].policy = policy;
	}
	return true;
}

/*
 * The responder gets a policy between messages 1 and 3: with the same rule the SA comes up under
 * the new one and can be refreshed; with another key none comes up with the old one. In both modes.
 */
START_TEST(test_policy_between)
{
	const char *mode = _i / 2 ? "Aggressive" : "Main";
	struct pair_policy same = {.how_to_initiate = mode, .how_to_respond = mode};
	struct pair_policy other_key = {
		.how_to_initiate = mode, .how_to_respond = mode, .key = "a-new-secret"};
	struct pair *p = pair_new(&same, &same);
	struct side *s = &p->side[1];

	p->filter = third_brings_policy;
	p->filter_arg = pair_make_policy(_i % 2 ? &other_key : &same, 1);
	pair_acquire(p, 0);
	pair_wait(p, 1000);
	ck_assert_ptr_null(p->filter_arg);
	if (_i % 2) {
		ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 0);
		pair_wait(p, 300000);
		pair_expect_nothing(p);
	} else {
		ck_assert(pair_mirrored(p));
		ck_assert(!ike_engine_refresh_p1(s->e, p1_of(s).tunnel, p->now, NULL));
		pair_run(p);
		pair_wait(p, 70000); /* as above */
		expect_one(p);
		ck_assert_int_eq(ike_engine_deactivate_p1(s->e, p1_of(s).tunnel, p->now, NULL), 0);
		pair_run(p);
		pair_expect_nothing(p);
	}
	pair_free(p);
}
END_TEST

/* ---- sizes ---- */

/* The kernel counts bytes: its soft expiry refreshes, the one of a first packet does not. */
START_TEST(test_life_size)
{
	struct pair *p = pair_new(NULL, NULL);
	struct side *s;

	for (unsigned i = 0; i < 2; i++) {
		struct pol_data_offer *o = &p->side[i].policy->rules[0].vpn->offers[0];

		o->life_kbytes = (struct pol_life){1000, 0, 0};
	}
	pair_acquire(p, 0);
	ck_assert(pair_mirrored(p));
	s = &p->side[_i];
	for (unsigned i = 0; i < s->n_sas; i++) {
		const struct xf_sa *sa = &s->sas[i].sa;

		ck_assert_uint_eq(sa->hard_bytes, 1000 * 1024);
		ck_assert_uint_ge(sa->soft_bytes, 800 * 1024);
		ck_assert_uint_lt(sa->soft_bytes, 950 * 1024);
	}
	for (unsigned i = 0; i < s->n_sas; i++) {
		struct xf_expire x = {.id = s->sas[i].sa.id,
				      .hard = false,
				      .counters = {.packets = 1, .bytes = 84}};

		ike_engine_expire(s->e, &x, p->now);
	}
	pair_run(p);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_live, 1);
	{
		struct xf_expire x = {
			.id = s->sas[0].sa.id,
			.hard = false,
			.counters = {.packets = 999, .bytes = s->sas[0].sa.soft_bytes}};

		ike_engine_expire(s->e, &x, p->now);
	}
	pair_run(p);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_live, 2);
	pair_wait(p, 40000);
	expect_one(p);
	pair_free(p);
}
END_TEST

/* VpnLife ends the tunnel, refreshed or not. */
START_TEST(test_vpn_life_ends_it)
{
	struct pair_policy o = {.vpn_life = 150};
	struct pair *p = pair_up(&o);

	pair_wait(p, 149 * 60000);
	ck_assert(pair_mirrored(p));
	ck_assert_uint_ge(p2_of(&p->side[0]).generation, 3);
	pair_wait(p, 62000);
	pair_expect_nothing(p);
	pair_free(p);
}
END_TEST

/*
 * An SPI that a pair of the peer's address has already would hide that pair from what the kernel
 * says: it is refused before there is anything of it, whoever begins.
 */
START_TEST(test_spi_again)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[1];
	struct ike_p2 *p2 = IKE_OF(s->e->p2s.next, struct ike_p2, all);
	uint32_t spi = p2->spi_out;

	ike_p2_set_spi_out(s->e, p2, p->side[0].next_spi + 1);
	ck_assert(!ike_engine_refresh_p2(p->side[_i].e, 2, p->now, NULL));
	pair_run(p);
	ck_assert_msg(pair_said(s, "tunnel Y2 has the SPI"), "%s", s->log);
	ck_assert_uint_eq(s->n_records[IKE_REC_P2_FAILED], 0);
	ck_assert_ptr_eq(
		ike_p2_by_spi(s->e, false, &p->side[0].addr.addr, IPPROTO_ESP, p2->spi_out), p2);
	ike_p2_set_spi_out(s->e, p2, spi);
	pair_wait(p, HOUR / 2);
	ck_assert_uint_eq(pair_stats(p, 1)->p2_live, 1);
	pair_free(p);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("engine, refresh");
	TCase *t = tcase_create("refresh");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, test_a_day, 0, 2);
	tcase_add_loop_test(t, test_no_successor_wanted, 0, 2);
	tcase_add_loop_test(t, test_by_command, 0, 2);
	tcase_add_loop_test(t, test_both_at_once, 0, 2);
	tcase_add_test(t, test_peer_away);
	tcase_add_test(t, test_peer_comes_back);
	tcase_add_loop_test(t, test_old_pair_carries_on, 0, 4);
	tcase_add_test(t, test_peer_leaves_the_old);
	tcase_add_test(t, test_delete_under_the_new_p1);
	tcase_add_test(t, test_cached_offer_p2);
	tcase_add_test(t, test_cached_offer_refused_p2);
	tcase_add_test(t, test_cached_offer_overruled);
	tcase_add_loop_test(t, test_cached_offer_p1, 0, 2);
	tcase_add_test(t, test_cached_offer_kept_p1);
	tcase_add_loop_test(t, test_refused_and_ended, 0, 2);
	tcase_add_loop_test(t, test_policy_between, 0, 4);
	tcase_add_loop_test(t, test_life_size, 0, 2);
	tcase_add_test(t, test_vpn_life_ends_it);
	tcase_add_loop_test(t, test_spi_again, 0, 2);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	if (!pair_crypto())
		return EXIT_FAILURE;
	return run_suite(suite());
}
