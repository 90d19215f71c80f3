/*
 * Negotiations that must fail: one line a side that names the peer, the rule and the cause, the
 * same for who waits for the tunnel, and no state left.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/engine_pair.h"
#include "tests/unit/run_suite.h"

#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))
#define INFORMATION 5 /* exchange type, at byte 18 */
#define AGGRESSIVE  .how_to_initiate = "Aggressive", .how_to_respond = "Aggressive"

/* ---- the filters ---- */

static bool drop_all(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	(void)p;
	(void)from;
	(void)data;
	(void)len;
	return false;
}

static bool drop_notices(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	(void)p;
	(void)from;
	return *len < ISA_HEADER_LEN || data[18] != INFORMATION;
}

/* ---- what is said ---- */

static const struct refusal {
	struct pair_policy a, b;
	pair_filter_fn *filter;
	const char *says[2][4]; /* in the one line of each side; a silent side has none */
	const char *reason;     /* for who asked on side 0 */
	unsigned sent;          /* by side 0 */
	bool key, p1_stays;     /* key: side 1 names its key's fingerprint */
} refusals[] = {
	{.a = {.key = "the-right-secret"},
	 .b = {.key = "another-secret"},
	 .says = {{"rule First", "no usable answer to message 5 after 3 transmissions",
		   "AUTHENTICATION-FAILED (not authenticated)", "a different preshared key"},
		  {"rule First", "does not verify with the preshared key", "CSI1007E"}},
	 .reason = "phase 1 with 198.51.100.2:500 failed (rule First): no usable answer to message "
		   "5 after 3 transmissions: the peer answered AUTHENTICATION-FAILED",
	 .sent = 5,
	 .key = true},
	{.a = {.key = "the-right-secret"},
	 .b = {.key = "another-secret"},
	 .filter = drop_notices,
	 .says = {{"rule First", "no answer to message 5 after 7 transmissions",
		   "a different preshared key"},
		  {"rule First", "does not verify with the preshared key"}},
	 .reason = "phase 1 with 198.51.100.2:500 failed (rule First): no answer to message 5 "
		   "after 7 transmissions; the usual cause is a different preshared key",
	 .sent = 9,
	 .key = true},
	{.a = {.ke_offers = "3DES|MD5|Group2"},
	 .says = {{"rule First", "no usable answer to message 1 after 3 transmissions",
		   "NO-PROPOSAL-CHOSEN (not authenticated)"},
		  {"rule First", "no proposal chosen", "3des-md5-modp1024", "EZD1021I"}},
	 .reason = "phase 1 with 198.51.100.2:500 failed (rule First): no usable answer to message "
		   "1 after 3 transmissions: the peer answered NO-PROPOSAL-CHOSEN",
	 .sent = 3},
	{.a = {.data_offers = "Transport|3DES|ESP HMAC_MD5"},
	 .says = {{"rule Both", "the peer answered NO-PROPOSAL-CHOSEN"},
		  {"rule Both", "no proposal chosen", "EZD1022I"}},
	 .reason = "phase 2 with 198.51.100.2 failed (rule Both): the peer answered "
		   "NO-PROPOSAL-CHOSEN",
	 .sent = 4,
	 .p1_stays = true},
	{.a = {.pfs = "Group14"},
	 .b = {.pfs = "Group19"},
	 .says = {{"rule Both", "the peer answered NO-PROPOSAL-CHOSEN"},
		  {"rule Both", "AcceptablePfs", "EZD1022I"}},
	 .reason = "phase 2 with 198.51.100.2 failed (rule Both): ",
	 .sent = 4,
	 .p1_stays = true},
	{.b = {.initiation = "LocalOnly"},
	 .says = {{"rule Both", "the peer answered INVALID-ID-INFORMATION"},
		  {"Rule Both", "EZD1026I"}},
	 .reason = "phase 2 with 198.51.100.2 failed (rule Both): ",
	 .sent = 4,
	 .p1_stays = true},
	{.a = {.local_id = "Fqdn mallory.example.com"},
	 .b = {.remote_id = "Fqdn alice.example.com"},
	 .says = {{"rule First", "INVALID-ID-INFORMATION", "does not accept our identity",
		   "mallory.example.com"},
		  {"rule First", "identity", "mallory.example.com", "alice.example.com"}},
	 .reason = "phase 1 with 198.51.100.2:500 failed (rule First): the peer answered "
		   "INVALID-ID-INFORMATION: it does not accept our identity",
	 .sent = 3},
	{.a = {.remote_id = "Fqdn bob.example.com"},
	 .b = {.local_id = "Fqdn mallory.example.com"},
	 .says = {{"rule First", "wrong identity", "mallory.example.com", "bob.example.com"},
		  {"rule First", "INVALID-ID-INFORMATION", "does not accept our identity"}},
	 .reason = "phase 1 with 198.51.100.2:500 failed (rule First): wrong identity: ",
	 .sent = 5},
	/* Aggressive Mode: the initiator finds out with message 2, and says so in clear. */
	{.a = {AGGRESSIVE, .key = "the-right-secret"},
	 .b = {AGGRESSIVE, .key = "another-secret"},
	 .says = {{"rule First", "no usable answer to message 1 after 3 transmissions",
		   "the HASH of Aggressive Mode message 2 is wrong", "a different preshared key"},
		  {"rule First", "refused message 2", "AUTHENTICATION-FAILED", "CSI1031E"}},
	 .reason = "phase 1 with 198.51.100.2:500 failed (rule First): no usable answer to message "
		   "1 after 3 transmissions: the HASH of Aggressive Mode message 2 is wrong; the "
		   "usual cause is a different preshared key",
	 .sent = 4,
	 .key = true},
	{.a = {AGGRESSIVE, .key = "the-right-secret"},
	 .b = {AGGRESSIVE, .key = "another-secret"},
	 .filter = drop_notices,
	 .says = {{"rule First", "a different preshared key"},
		  {"rule First", "no message 3 came", "a different preshared key", "CSI1003E"}},
	 .reason = "phase 1 with 198.51.100.2:500 failed (rule First): no usable answer",
	 .sent = 4,
	 .key = true},
	{.a = {AGGRESSIVE, .local_id = "Fqdn mallory.example.com"},
	 .b = {AGGRESSIVE, .remote_id = "Fqdn alice.example.com"},
	 .says = {{"rule First", "no usable answer to message 1", "INVALID-ID-INFORMATION",
		   "it may not know our identity mallory.example.com"},
		  {"rule First", "no KeyExchangeRule is for this identity",
		   "ID_FQDN mallory.example.com", "ID_FQDN alice.example.com"}},
	 .reason = "phase 1 with 198.51.100.2:500 failed (rule First): no usable answer to message "
		   "1 after 3 transmissions: the peer answered INVALID-ID-INFORMATION",
	 .sent = 3},
	{.a = {AGGRESSIVE, .local_id = "IpAddr 192.0.2.77"},
	 .b = {AGGRESSIVE, .remote_id = "IpAddr 192.0.2.77"},
	 .says = {{"rule First", "INVALID-ID-INFORMATION", "192.0.2.77"},
		  {"rule First", "BypassIpValidation"}},
	 .reason = "phase 1 with 198.51.100.2:500 failed (rule First): no usable answer",
	 .sent = 3},
	{.a = {AGGRESSIVE, .remote_id = "Fqdn bob.example.com"},
	 .b = {AGGRESSIVE, .local_id = "Fqdn mallory.example.com"},
	 .says = {{"rule First", "wrong identity", "mallory.example.com", "bob.example.com"},
		  {"rule First", "INVALID-ID-INFORMATION", "does not accept our identity"}},
	 .reason = "phase 1 with 198.51.100.2:500 failed (rule First): wrong identity: ",
	 .sent = 3},
	{.a = {AGGRESSIVE, .ke_offers = "3DES|MD5|Group2"},
	 .b = {AGGRESSIVE},
	 .says = {{"rule First", "no usable answer to message 1 after 3 transmissions",
		   "NO-PROPOSAL-CHOSEN (not authenticated)"},
		  {"rule First", "no proposal chosen", "3des-md5-modp1024", "EZD1021I"}},
	 .reason = "phase 1 with 198.51.100.2:500 failed (rule First): no usable answer to message "
		   "1 after 3 transmissions: the peer answered NO-PROPOSAL-CHOSEN",
	 .sent = 3},
	{.a = {AGGRESSIVE, .ke_offers = "AES_CBC KeyLength 128|SHA2_256|Group2"},
	 .b = {AGGRESSIVE},
	 .says = {{"rule First", "NO-PROPOSAL-CHOSEN (not authenticated)"},
		  {"rule First", "no proposal chosen", "EZD1021I",
		   "in Aggressive Mode the initiator fixes the group, here modp1024"}},
	 .reason = "phase 1 with 198.51.100.2:500 failed (rule First): no usable answer",
	 .sent = 3},
	/* It must be coded; the default would mean Either. */
	{.a = {AGGRESSIVE},
	 .b = {.how_to_respond = ""},
	 .says = {{"rule First", "NO-PROPOSAL-CHOSEN (not authenticated)"},
		  {"rule First", "Act does not code HowToRespondIKEv1", "only where it is coded"}},
	 .reason = "phase 1 with 198.51.100.2:500 failed (rule First): no usable answer",
	 .sent = 3},
	{.a = {AGGRESSIVE},
	 .b = {.how_to_respond = "Main"},
	 .says = {{"rule First", "NO-PROPOSAL-CHOSEN (not authenticated)"},
		  {"rule First", "Act does not respond to Aggressive Mode", "HowToRespondIKEv1"}},
	 .reason = "phase 1 with 198.51.100.2:500 failed (rule First): no usable answer",
	 .sent = 3},
	{.a = {AGGRESSIVE},
	 .filter = drop_all,
	 .says = {{"rule First", "no answer to message 1 after 7 transmissions", "CSI1003E"}},
	 .reason = "phase 1 with 198.51.100.2:500 failed (rule First): no answer to message 1 "
		   "after 7 transmissions",
	 .sent = 7},
	{.filter = drop_all,
	 .says = {{"rule First", "no answer to message 1 after 7 transmissions", "CSI1003E"}},
	 .reason = "phase 1 with 198.51.100.2:500 failed (rule First): no answer to message 1 "
		   "after 7 transmissions",
	 .sent = 7},
};

static void expect_line(struct pair *p, unsigned i, const char *text)
{
	ck_assert_msg(pair_complaints(&p->side[i], text) == 1, "side %u, %s:\n%s", i,
		      text ? text : "one line", p->side[i].bad);
}

static void expect_lines(struct pair *p, const struct refusal *r)
{
	static const char *const peer[] = {"198.51.100.2", "192.0.2.1"};

	for (unsigned i = 0; i < 2; i++) {
		unsigned n = r->says[i][0] ? 1 : 0;

		ck_assert_msg(pair_complaints(&p->side[i], NULL) == n, "side %u:\n%s", i,
			      p->side[i].bad);
		if (n)
			expect_line(p, i, peer[i]);
		for (unsigned k = 0; k < COUNT(r->says[i]) && r->says[i][k]; k++)
			expect_line(p, i, r->says[i][k]);
	}
	if (r->key)
		expect_line(p, 1, p->side[1].policy->ke_rules[0].key_fingerprint);
}

START_TEST(test_refusal)
{
	const struct refusal *r = &refusals[_i];
	struct pair *p = pair_new(&r->a, &r->b);
	unsigned sent = 0;

	p->filter = r->filter;
	pair_acquire(p, 0);
	pair_wait(p, 600000);
	expect_lines(p, r);
	ck_assert_msg(!strncmp(p->side[0].reason, r->reason, strlen(r->reason)), "%s",
		      p->side[0].reason);
	for (unsigned n = 0; n < p->n_history; n++)
		sent += !p->history[n].from;
	ck_assert_uint_eq(sent, r->sent);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(pair_stats(p, i)->p1_live, r->p1_stays);
		ck_assert_uint_eq(pair_stats(p, i)->half_open, 0);
		ck_assert_uint_eq(p->side[i].n_records[IKE_REC_P2_UP], 0);
	}
	pair_expect_nothing(p);
	ck_assert_uint_eq(p->side[0].larval_clears, 1);
	pair_free(p);
}
END_TEST

/* ---- repeats ---- */

/* A wrong key is told by the first message 5, and a good one may still come. */
START_TEST(test_wrong_key_at_once)
{
	struct pair_policy a = {.key = "the-right-secret"}, b = {.key = "another-secret"};
	struct pair *p = pair_new(&a, &b);

	pair_acquire(p, 0);
	expect_line(p, 1, "CSI1007E");
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 1);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_live, 1);
	pair_free(p);
}
END_TEST

/* The answer in clear is never longer than what asked for it. */
START_TEST(test_refusal_is_small)
{
	struct pair_policy a = {.ke_offers = "3DES|MD5|Group2"};
	struct pair *p = pair_new(&a, NULL);

	pair_acquire(p, 0);
	pair_wait(p, 20000);
	for (unsigned n = 0; n < p->n_history; n++)
		if (p->history[n].from == 1)
			ck_assert_uint_le(p->history[n].len, p->history[0].len);
	pair_free(p);
}
END_TEST

/*
 * A refused message 1 is told once a while; another initiator's, and the same from elsewhere, are
 * told each.
 */
START_TEST(test_refused_repeats)
{
	struct pair_policy a = {.ke_offers = "3DES|MD5|Group2"},
			   b = {.remote_location = "0.0.0.0/0"};
	struct pair *p = pair_new(&a, &b);
	struct side *s = &p->side[1];
	struct datagram *first;
	struct cs_endpoint from;

	p->filter = drop_all;
	pair_acquire(p, 0);
	first = &p->history[0];
	for (unsigned n = 0; n < 5; n++)
		pair_replay(p, 0);
	expect_line(p, 1, NULL);
	ck_assert_uint_eq(pair_stats(p, 1)->repeats_refused, 4);
	from = first->local;
	from.addr.b[3]++;
	ike_engine_receive(s->e, &s->addr, &from, first->data, first->len, p->now);
	ck_assert_uint_eq(pair_complaints(s, NULL), 2);
	first->data[0] ^= 0x55;
	pair_replay(p, 0);
	ck_assert_uint_eq(pair_complaints(s, NULL), 3);
	pair_wait(p, 255000);
	pair_replay(p, 0);
	ck_assert_uint_eq(pair_complaints(s, NULL), 4);
	pair_free(p);
}
END_TEST

/* More of them than are remembered: the log's bucket is the bound. */
START_TEST(test_refused_flood)
{
	struct pair_policy a = {.ke_offers = "3DES|MD5|Group2"};
	struct pair *p = pair_new(&a, NULL);
	struct datagram *first;

	p->filter = drop_all;
	pair_acquire(p, 0);
	first = &p->history[0];
	for (unsigned n = 0; n < 1000; n++) {
		first->data[1] = (uint8_t)(n >> 8);
		first->data[2] = (uint8_t)n;
		pair_replay(p, 0);
		pair_run(p);
		p->now.mono += 10;
	}
	ck_assert_uint_ge(pair_complaints(&p->side[1], NULL), 20);
	ck_assert_uint_le(pair_complaints(&p->side[1], NULL), 121);
	pair_free(p);
}
END_TEST

/* ---- packets that ask again ---- */

/* The next packet may ask when the wait is over, which doubles to a minute. */
START_TEST(test_wait)
{
	static const unsigned waits[] = {1, 2, 4, 8, 16, 32, 60, 60};
	struct pair_policy a = {.data_offers = "Transport|3DES|ESP HMAC_MD5"};
	struct pair *p = pair_new(&a, NULL);
	struct side *s = &p->side[0];
	unsigned sent;

	for (unsigned n = 0; n < COUNT(waits); n++) {
		pair_acquire(p, 0);
		ck_assert_uint_eq(pair_stats(p, 0)->p2_failed, n + 1);
		ck_assert_uint_eq(pair_holds(s), 1);
		sent = p->n_history;
		pair_wait(p, waits[n] * 1000 - 1);
		ck_assert_uint_eq(pair_holds(s), 1);
		/* What asked before it was held, waits too. */
		pair_acquire(p, 0);
		ck_assert_uint_eq(pair_stats(p, 0)->acquires_delayed, n + 1);
		pair_wait(p, 1);
		ck_assert_uint_eq(pair_holds(s), 0);
		ck_assert_uint_eq(p->n_history, sent);
	}
	ck_assert_uint_eq(s->larval_clears, 2 * COUNT(waits));
	/* Nothing for ten minutes: as if it were the first time. */
	pair_wait(p, 600000);
	pair_acquire(p, 0);
	pair_wait(p, 1000);
	ck_assert_uint_eq(pair_holds(s), 0);
	pair_free(p);
}
END_TEST

/* An attempt that cannot even begin makes the next one wait, too. */
START_TEST(test_wait_after_refusal)
{
	struct pair_policy a = {.no_ke_rule = true};
	struct pair *p = pair_new(&a, NULL);

	for (unsigned n = 0; n < 2; n++) {
		pair_acquire(p, 0);
		ck_assert_uint_eq(pair_holds(&p->side[0]), 1);
		pair_wait(p, 2000);
		ck_assert_uint_eq(pair_holds(&p->side[0]), 0);
	}
	ck_assert_uint_eq(pair_stats(p, 0)->acquires_delayed, 0);
	pair_free(p);
}
END_TEST

/* A tunnel that comes up, and a new policy, end the wait. */
START_TEST(test_wait_ends)
{
	struct pair_policy bad = {.data_offers = "Transport|3DES|ESP HMAC_MD5"};
	struct pair *p = pair_new(_i ? &bad : NULL, _i ? NULL : &bad);
	struct side *s = &p->side[_i ? 0 : 1];
	struct pol_policy *good = pair_make_policy(NULL, s->index);

	pair_acquire(p, 0);
	pair_wait(p, 1000);
	pair_acquire(p, 0);
	ck_assert_uint_eq(pair_holds(&p->side[0]), 1);
	ike_engine_policy(s->e, good, p->now);
	pol_unref(good);
	if (_i) {
		ck_assert_uint_eq(pair_holds(&p->side[0]), 0);
		pair_acquire(p, 0);
	} else {
		pair_acquire(p, 1);
	}
	ck_assert_uint_eq(pair_holds(&p->side[0]), 0);
	ck_assert_msg(pair_mirrored(p), "%s\n%s", p->side[0].log, p->side[1].log);
	ck_assert_uint_eq(pair_stats(p, 0)->acquires_delayed, 0);
	/* Nothing is left that would take the tunnel's policy away. */
	pair_wait(p, 610000);
	ck_assert_uint_eq(p->side[0].n_policies, 1);
	pair_free(p);
}
END_TEST

/* While a negotiation runs nothing of the kernel's keeps others from asking. */
START_TEST(test_held)
{
	struct pair *p = pair_new(NULL, NULL);
	struct side *s = &p->side[0];

	p->filter = drop_all;
	pair_acquire(p, 0);
	ck_assert_uint_eq(pair_holds(s), 1);
	ck_assert_uint_eq(s->larval_clears, 1);
	pair_acquire(p, 0);
	ck_assert_uint_eq(pair_stats(p, 0)->acquires_merged, 1);
	ck_assert_uint_eq(pair_holds(s), 1);
	ck_assert_uint_eq(s->larval_clears, 2);
	p->filter = NULL;
	pair_wait(p, 10000);
	pair_expect_up(p);
	ck_assert_uint_eq(pair_holds(s), 0);
	ck_assert_uint_eq(s->n_policies, 1);
	pair_free(p);
}
END_TEST

/* Packets join what a command began, and then wait as if they had. */
START_TEST(test_held_by_command)
{
	struct pair_policy o = {.local_rule = true};
	struct pair *p = pair_new(&o, &o);
	struct side *s = &p->side[0];
	struct cs_err err;
	uint32_t tunnel;

	p->filter = drop_all;
	ck_assert_int_eq(ike_engine_activate(s->e, "ByHand", p->now, &tunnel, &err), 0);
	ck_assert_uint_eq(pair_holds(s), 0);
	pair_acquire(p, 0);
	ck_assert_uint_eq(pair_holds(s), 1);
	for (unsigned n = 0; n < 600 && !pair_stats(p, 0)->p2_failed; n++)
		pair_wait(p, 1000);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_failed, 1);
	ck_assert_uint_eq(pair_holds(s), 1);
	pair_wait(p, 1000);
	ck_assert_uint_eq(pair_holds(s), 0);
	pair_free(p);
}
END_TEST

/*
 * In the place of a hold can be the policy of a tunnel between other ends: it stays.  Where the
 * kernel refuses one, its larval state is left to it.
 */
START_TEST(test_not_held)
{
	struct pair *p = pair_new(NULL, NULL);
	struct side *s = &p->side[0];
	struct xf_policy there;

	p->filter = drop_all;
	pair_acquire(p, 0);
	there = s->policies[0];
	pair_free(p);
	p = pair_new(NULL, NULL);
	s = &p->side[0];
	p->filter = drop_all;
	if (_i) {
		s->refuse = 1;
	} else {
		there.hold = false;
		there.priority = XF_PRIO_TUNNEL;
		s->policies[s->n_policies++] = there;
	}
	pair_acquire(p, 0);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_initiated, 1);
	ck_assert_uint_eq(pair_holds(s), 0);
	ck_assert_uint_eq(s->larval_clears, _i ? 0 : 1);
	for (unsigned n = 0; n < 600 && !pair_stats(p, 0)->p2_failed; n++)
		pair_wait(p, 1000);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_failed, 1);
	pair_wait(p, 700000);
	ck_assert_uint_eq(s->n_policies, _i ? 0 : 1);
	ck_assert_uint_eq(pair_stats(p, 0)->kernel_refusals, _i ? 1 : 0);
	s->n_policies = 0;
	pair_free(p);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("engine, refusals");
	TCase *t = tcase_create("all");

	if (!pair_crypto())
		return EXIT_FAILURE;
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_refusal, 0, (int)COUNT(refusals));
	tcase_add_test(t, test_wrong_key_at_once);
	tcase_add_test(t, test_refusal_is_small);
	tcase_add_test(t, test_refused_repeats);
	tcase_add_test(t, test_refused_flood);
	tcase_add_test(t, test_wait);
	tcase_add_test(t, test_wait_after_refusal);
	tcase_add_loop_test(t, test_wait_ends, 0, 2);
	tcase_add_test(t, test_held);
	tcase_add_test(t, test_held_by_command);
	tcase_add_loop_test(t, test_not_held, 0, 2);
	suite_add_tcase(s, t);
	return run_suite(s);
}
