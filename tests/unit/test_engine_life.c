/*
 * The negotiation engine: the life of SAs, loss and repetition, kernels and stores that refuse,
 * restarts, commands and new policies.
 */
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/engine_pair.h"
#include "tests/unit/run_suite.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static bool drop_all(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	(void)p;
	(void)from;
	(void)data;
	(void)len;
	return false;
}

/* ---- deletion and lifetimes ---- */

/* A packet that asks for a tunnel that is up leaves no larval state behind. */
START_TEST(test_acquire_when_up)
{
	struct pair *p = pair_up(NULL);

	ck_assert_uint_eq(p->side[1].larval_clears, 0);
	pair_acquire(p, 1);
	pair_run(p);
	ck_assert_uint_eq(pair_stats(p, 1)->acquires_merged, 1);
	ck_assert_uint_eq(p->side[1].larval_clears, 1);
	pair_expect_up(p);
	/* Somebody flushed the policies. */
	p->side[1].n_policies = 0;
	pair_acquire(p, 1);
	pair_expect_up(p);
	pair_free(p);
}
END_TEST

START_TEST(test_delete_p2)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[_i];
	struct cs_err err;
	uint32_t y = 2;

	ck_assert_int_eq(ike_engine_deactivate_p2(s->e, 99, p->now, &err), CS_ENOTFOUND);
	ck_assert_int_eq(ike_engine_deactivate_p2(s->e, y, p->now, &err), 0);
	pair_run(p);
	pair_expect_nothing(p);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_live, 1);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 1);
	/* Ours, the peer's announcement in return, and no third. */
	ck_assert_uint_eq(p->n_history, 11);
	pair_acquire(p, !_i);
	ck_assert(pair_mirrored(p));
	pair_free(p);
}
END_TEST

START_TEST(test_delete_p1)
{
	struct pair *p = pair_up(NULL);
	struct cs_err err;

	ck_assert_int_eq(ike_engine_deactivate_p1(p->side[_i].e, 1, p->now, &err), 0);
	pair_run(p);
	pair_expect_nothing(p);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_uint_eq(pair_stats(p, i)->p1_live, 0);
	pair_free(p);
}
END_TEST

/* Phase 2 lives on without its phase 1, and its end is told by a later one. */
START_TEST(test_p2_outlives_p1)
{
	struct pair_policy o = {.ke_offers = "AES_CBC KeyLength 128|SHA1|Group19", .vpn_life = 60};
	struct pair *p = pair_new(&o, &o);
	const struct ike_stats *left = pair_stats(p, 0);

	for (unsigned i = 0; i < 2; i++)
		p->side[i].policy->ke_rules[0].action->offers[0].life_seconds.proposed = 1800;
	pair_acquire(p, 0);
	pair_expect_up(p);
	for (unsigned i = 0; i < 2; i++) /* or it would be refreshed */
		((struct pol_ke_action *)p->side[i].policy->ke_rules[0].action)->initiate =
			POL_MODE_DONOT;
	pair_wait(p, 1801000);
	ck_assert_uint_eq(left->p1_live, 0);
	ck_assert_uint_eq(left->p2_live, 1);
	ck_assert_uint_eq(p->side[0].n_records[IKE_REC_P1_DOWN], 1);
	pair_wait(p, 1800000);
	pair_expect_nothing(p);
	pair_free(p);
}
END_TEST

START_TEST(test_p2_lifetime)
{
	struct pair_policy o = {.vpn_life = 60}; /* or it would be refreshed */
	struct pair *p = pair_up(&o);
	unsigned sent;

	ck_assert_uint_eq(p->side[0].sas[0].sa.hard_seconds, 3600);
	if (_i)
		pair_expire(p, 0, true);
	else
		pair_wait(p, 3600001);
	pair_expect_nothing(p);
	sent = p->n_history;
	pair_wait(p, 100000);
	ck_assert_uint_eq(p->n_history, sent);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_live, 1);
	pair_free(p);
}
END_TEST

START_TEST(test_vpn_life)
{
	struct pair_policy o = {.vpn_life = 10};
	struct pair *p = pair_up(&o);

	ck_assert_uint_eq(p->side[0].sas[0].sa.hard_seconds, 600);
	pair_wait(p, 600001);
	pair_expect_nothing(p);
	pair_free(p);
}
END_TEST

START_TEST(test_unknown_expire)
{
	struct pair *p = pair_up(NULL);
	struct xf_expire x = {.id = {p->side[0].addr.addr, 50, 0xdeadbeef}, .hard = true};

	ike_engine_expire(p->side[0].e, &x, p->now);
	ck_assert_uint_eq(pair_stats(p, 0)->unknown_expires, 1);
	pair_expect_up(p);
	pair_free(p);
}
END_TEST

/* ---- loss and repetition ---- */

static bool drop_nth(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	unsigned *left = p->filter_arg;

	(void)from;
	(void)data;
	(void)len;
	return (*left)-- != 0;
}

/* Each of the nine messages lost once. */
START_TEST(test_each_message_lost)
{
	unsigned left = (unsigned)_i;
	struct pair *p = pair_new(NULL, NULL);

	p->filter = drop_nth;
	p->filter_arg = &left;
	pair_acquire(p, 0);
	pair_wait(p, 5000);
	pair_expect_up(p);
	ck_assert_uint_ge(pair_stats(p, 0)->retransmitted + pair_stats(p, 1)->retransmitted, 1);
	pair_free(p);
}
END_TEST

/* The first packet through the inbound SA is as good as message 3. */
START_TEST(test_first_packet)
{
	unsigned left = 8;
	struct pair *p = pair_new(NULL, NULL);

	p->filter = drop_nth;
	p->filter_arg = &left;
	pair_acquire(p, 0);
	ck_assert_uint_eq(pair_installed(&p->side[1]), 1);
	ck_assert(p->side[1].sas[0].sa.tell_first_packet);
	pair_expire(p, 1, false);
	pair_expect_up(p);
	pair_wait(p, 10000);
	ck_assert_uint_eq(pair_stats(p, 1)->retransmitted, 0);
	pair_free(p);
}
END_TEST

/* The responder is up with message 6 and begins a tunnel of its own, which gets ahead of it. */
static bool hold_sixth(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	struct datagram *held = p->filter_arg;

	if (held->data || from == 0 || data[18] != ISA_MAIN || !(data[19] & ISA_FLAG_ENCRYPTED))
		return true;
	held->data = malloc(*len);
	held->len = *len;
	memcpy(held->data, data, *len);
	return false;
}

START_TEST(test_sixth_overtaken)
{
	struct datagram held = {0};
	struct pair *p = pair_new(NULL, NULL);

	p->filter = hold_sixth;
	p->filter_arg = &held;
	pair_acquire(p, 0);
	pair_acquire(p, 1);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_up, 1);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_up, 0);
	ike_engine_receive(p->side[0].e, &p->side[0].addr, &p->side[1].addr, held.data, held.len,
			   p->now);
	pair_run(p);
	/* Its Quick Mode, and that of the packet here. */
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(pair_stats(p, i)->p2_up, 2);
		ck_assert_uint_eq(pair_stats(p, i)->retransmitted, 0);
	}
	ck_assert(pair_mirrored(p));
	free(held.data);
	pair_free(p);
}
END_TEST

/* Every message again, at once and much later: no state changes, and no endless answers. */
START_TEST(test_replays)
{
	struct pair *p = pair_up(NULL);
	unsigned n = p->n_history, answers;

	ck_assert_uint_eq(n, 9);
	for (unsigned i = 0; i < n; i++)
		pair_replay(p, i);
	answers = p->n_history - n;
	pair_run(p);
	pair_expect_up(p);
	/* Message 5 gets 6, Quick Mode message 1 gets 2, and message 2 gets 3 each time. */
	ck_assert_uint_eq(answers, 3);
	pair_wait(p, 300000);
	n = p->n_history;
	for (unsigned i = 0; i < 9; i++)
		pair_replay(p, i);
	pair_run(p);
	pair_expect_up(p);
	/* Only a message 1 starts anew, and waits in vain for its third. */
	ck_assert_uint_eq(p->n_history - n, 1);
	ck_assert_uint_eq(pair_stats(p, 1)->half_open, 1);
	pair_wait(p, 300000);
	ck_assert_uint_eq(pair_stats(p, 1)->half_open, 0);
	pair_free(p);
}
END_TEST

/* In the first block, which every HASH covers (that of Main Mode covers nothing but the ID). */
static bool mangle(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	unsigned *left = p->filter_arg;

	(void)from;
	(void)len;
	if ((*left)-- == 0)
		data[ISA_HEADER_LEN + 1] ^= 0x55;
	return true;
}

/* A damaged encrypted message changes nothing: the good repeat goes on. */
START_TEST(test_damaged)
{
	unsigned left = (unsigned)_i;
	struct pair *p = pair_new(NULL, NULL);

	p->filter = mangle;
	p->filter_arg = &left;
	pair_acquire(p, 0);
	pair_wait(p, 9000);
	pair_expect_up(p);
	pair_free(p);
}
END_TEST

START_TEST(test_forged_datagrams)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[1];
	struct datagram first = p->history[0];
	uint8_t buf[400];

	for (unsigned n = 0; n < 4000; n++) {
		size_t len = n % sizeof(buf);
		const struct datagram *d = &p->history[n % 9];

		for (size_t i = 0; i < len; i++)
			buf[i] = (uint8_t)rand();
		if (n % 2 && len >= ISA_HEADER_LEN) {
			memcpy(buf, d->data, ISA_HEADER_LEN);
			buf[26] = (uint8_t)(len >> 8);
			buf[27] = (uint8_t)len;
		}
		ike_engine_receive(s->e, &s->addr, &first.local, buf, len, p->now);
	}
	for (unsigned i = 0; i < p->n_queue; i++)
		free(p->queue[i].data);
	p->n_queue = 0;
	pair_expect_up(p);
	pair_free(p);
}
END_TEST

/* ---- floods ---- */

START_TEST(test_half_open_bound)
{
	struct pair_policy b = {.remote_location = "192.0.2.0/24"};
	struct pair *p = pair_new(NULL, &b);
	struct side *s = &p->side[1];
	struct datagram *d;

	p->filter = drop_all;
	pair_acquire(p, 0);
	d = &p->history[0];
	for (unsigned n = 0; n < 200; n++) {
		struct cs_endpoint from = d->local;

		d->data[1] = (uint8_t)n;
		from.port = (uint16_t)(1000 + n);
		ike_engine_receive(s->e, &s->addr, &from, d->data, d->len, p->now);
		pair_run(p);
	}
	/* Six of eight: two are kept for peers that the policy names. */
	ck_assert_uint_eq(pair_stats(p, 1)->half_open, 6);
	ck_assert_uint_ge(pair_stats(p, 1)->dropped_limit, 190);
	p->filter = NULL;
	pair_wait(p, 3000);
	ck_assert(pair_mirrored(p));
	pair_free(p);
}
END_TEST

/* A message 3 of a proven address costs a public-key job; too many of them wait outside. */
START_TEST(test_job_bound)
{
	struct pair_policy b = {.remote_location = "192.0.2.0/24"};
	struct pair *p = pair_new(NULL, &b);
	uint8_t m3[ISA_HEADER_LEN + 4 + 64 + 4 + 32] = {0};
	struct side *s = &p->side[1];
	struct datagram *d;

	m3[16] = ISA_KE;
	m3[17] = 0x10;
	m3[18] = ISA_MAIN;
	m3[26] = sizeof(m3) >> 8;
	m3[27] = sizeof(m3) & 0xff;
	m3[ISA_HEADER_LEN] = ISA_NONCE;
	m3[ISA_HEADER_LEN + 3] = 4 + 64;
	m3[ISA_HEADER_LEN + 4 + 63] = 2;
	m3[ISA_HEADER_LEN + 4 + 64 + 3] = 4 + 32;
	p->filter = drop_all;
	pair_acquire(p, 0);
	s->jobs_later = true;
	d = &p->history[0];
	for (unsigned n = 0; n < 6; n++) {
		struct cs_endpoint from = d->local;

		d->data[1] = (uint8_t)n;
		from.port = (uint16_t)(1000 + n);
		ike_engine_receive(s->e, &s->addr, &from, d->data, d->len, p->now);
		memcpy(m3, p->history[p->n_history - 1].data, 2 * ISA_COOKIE_LEN);
		ike_engine_receive(s->e, &s->addr, &from, m3, sizeof(m3), p->now);
		pair_run(p);
	}
	ck_assert_uint_eq(s->n_jobs, 4);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_responded, 4);
	ck_assert_uint_eq(pair_stats(p, 1)->dropped_limit, 2);
	/* The last one comes again when there is room. */
	s->jobs_later = false;
	pair_jobs(p);
	ike_engine_receive(s->e, &s->addr, &d->local, m3, sizeof(m3), p->now);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_responded, 5);
	pair_free(p);
}
END_TEST

/* Before the address is proven no answer is longer than its question. */
START_TEST(test_no_amplification)
{
	struct pair *p = pair_new(NULL, NULL);
	struct side *s = &p->side[1];
	struct datagram *d;
	size_t vids = 2 * (4 + 16) + 4 + 20;

	p->filter = drop_all;
	pair_acquire(p, 0);
	d = &p->history[0];
	/* The shortest message 1: one transform, no vendor ID. */
	d->len -= vids;
	d->data[27] = (uint8_t)d->len;
	d->data[ISA_HEADER_LEN] = ISA_NONE;
	ike_engine_receive(s->e, &s->addr, &p->side[0].addr, d->data, d->len, p->now);
	ck_assert_uint_eq(pair_stats(p, 1)->half_open, 1);
	ck_assert_uint_eq(p->n_history, 2);
	ck_assert_uint_le(p->history[1].len, p->history[0].len);
	pair_free(p);
}
END_TEST

START_TEST(test_exchanges_refused)
{
	struct pair *p = pair_new(NULL, NULL);
	struct side *s = &p->side[1];
	uint8_t buf[64] = {
		1, 2, 3, 4, 5, 6, 7, 8, [17] = 0x10, [18] = ISA_TRANSACTION, [23] = 9, [27] = 64};

	for (unsigned n = 0; n < 100; n++)
		ike_engine_receive(s->e, &s->addr, &p->side[0].addr, buf, sizeof(buf), p->now);
	ck_assert_uint_eq(pair_stats(p, 1)->refused_exchange, 100);
	ck_assert(pair_said(s, "EZD0934I"));
	ck_assert_uint_eq(p->n_history, 20); /* the bucket */
	buf[18] = 200;
	ike_engine_receive(s->e, &s->addr, &p->side[0].addr, buf, sizeof(buf), p->now);
	ck_assert_uint_eq(p->n_history, 20);
	pair_free(p);
}
END_TEST

/* IKE version 3: told so in clear, at a limited rate. */
START_TEST(test_other_major_version)
{
	struct pair *p = pair_new(NULL, NULL);
	struct side *s = &p->side[1];
	uint8_t buf[64] = {1, 2, 3, 4, 5, 6, 7, 8, [17] = 0x30, [18] = ISA_MAIN, [27] = 64};

	for (unsigned n = 0; n < 100; n++)
		ike_engine_receive(s->e, &s->addr, &p->side[0].addr, buf, sizeof(buf), p->now);
	ck_assert_uint_eq(p->n_history, 20); /* the bucket */
	ck_assert_uint_eq(p->history[0].data[18], ISA_INFORMATIONAL);
	/* The type is the last thing in the notification's fixed part. */
	ck_assert_uint_eq(p->history[0].data[ISA_HEADER_LEN + 11], ISA_N_INVALID_MAJOR_VERSION);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 0);
	pair_free(p);
}
END_TEST

/* ---- kernel and store ---- */

/* The nth addition fails, on either side. */
START_TEST(test_kernel_refuses)
{
	unsigned side = (unsigned)_i % 2;
	struct pair *p = pair_new(NULL, NULL);

	/* The initiator's first one holds packets, which is no condition (test_not_held). */
	p->side[side].refuse = _i / 2 + (side == 0 ? 2 : 1);
	pair_acquire(p, 0);
	pair_wait(p, 300000);
	pair_expect_nothing(p);
	ck_assert_uint_eq(pair_stats(p, side)->kernel_refusals, 1);
	ck_assert(pair_said(&p->side[side], "the test's kernel refuses"));
	for (unsigned i = 0; i < 2; i++) {
		const unsigned *n = p->side[i].n_records;

		ck_assert_uint_eq(n[IKE_REC_P2_INTENT], n[IKE_REC_P2_UP] + n[IKE_REC_P2_FAILED]);
	}
	pair_free(p);
}
END_TEST

START_TEST(test_commit_fails)
{
	struct pair *p = pair_new(NULL, NULL);

	p->side[_i].later = true;
	pair_acquire(p, 0);
	ck_assert_uint_eq(pair_installed(&p->side[_i]), 0);
	pair_commit(&p->side[_i], CS_ESTORE);
	ck_assert_msg(pair_said(&p->side[_i], "could not be stored"), "%s", p->side[_i].log);
	pair_wait(p, 300000);
	pair_expect_nothing(p);
	ck_assert_uint_eq(p->side[_i].n_records[IKE_REC_P2_UP], 0);
	pair_free(p);
}
END_TEST

/*
 * The store does not answer: the negotiation ends all the same, nothing is installed, and the late
 * answer gets its result, or none when the store has refused the intent.
 */
START_TEST(test_store_stuck)
{
	bool refused = _i / 2;
	struct pair *p = pair_new(NULL, NULL);
	struct side *s = &p->side[_i % 2];
	uint64_t intent;

	s->later = true;
	pair_acquire(p, 0);
	intent = s->open_intent;
	pair_wait(p, 126000);
	ck_assert(!pair_said(s, "CSI1013E"));
	pair_wait(p, 134000);
	pair_expect_nothing(p);
	ck_assert_msg(pair_complaints(s, "the database did not take its record within 127 s") == 1,
		      "%s", s->log);
	ck_assert_uint_eq(s->n_records[IKE_REC_P2_FAILED], 0);
	pair_commit(s, refused ? CS_ESTORE : 0);
	pair_expect_nothing(p);
	ck_assert_uint_eq(s->n_records[IKE_REC_P2_FAILED], !refused);
	ck_assert_uint_eq(s->settled, refused ? 0 : intent);
	ck_assert_uint_eq(s->n_records[IKE_REC_P2_UP], 0);
	s->later = false;
	pair_wait(p, 120000);
	pair_acquire(p, 0);
	ck_assert_msg(pair_mirrored(p), "%s", p->side[0].log);
	pair_free(p);
}
END_TEST

/* A command or the end comes before the store's answer. */
START_TEST(test_ends_before_commit)
{
	struct pair *p = pair_new(NULL, NULL);
	struct side *s = &p->side[0];
	bool refused = _i % 2;
	uint64_t intent;
	struct cs_err err;

	s->later = true;
	pair_acquire(p, 0);
	intent = s->open_intent;
	if (_i < 2)
		ck_assert_int_eq(ike_engine_deactivate_p2(s->e, 2, p->now, &err), 0);
	else
		ike_engine_shutdown(s->e, true, _i > 3, p->now);
	pair_run(p);
	ck_assert_uint_eq(s->n_records[IKE_REC_P2_FAILED], 0);
	pair_commit(s, refused ? CS_ESTORE : 0);
	ck_assert_uint_eq(s->n_records[IKE_REC_P2_FAILED], !refused);
	ck_assert_uint_eq(s->settled, refused ? 0 : intent);
	pair_expect_nothing(p);
	pair_free(p);
}
END_TEST

/* The peer's phase 1 and with it all that is known of the peer ends before the store's answer. */
START_TEST(test_peer_ends_before_commit)
{
	struct pair *p = pair_new(NULL, NULL);
	struct side *s = &p->side[_i];
	struct cs_err err;

	s->later = true;
	pair_acquire(p, 0);
	ck_assert_int_eq(ike_engine_deactivate_p1(p->side[!_i].e, 1, p->now, &err), 0);
	pair_run(p);
	ck_assert_uint_eq(pair_stats(p, (unsigned)_i)->p1_live, 0);
	pair_commit(s, 0);
	ck_assert_uint_eq(s->n_records[IKE_REC_P2_FAILED], 1);
	pair_expect_nothing(p);
	pair_free(p);
}
END_TEST

/* No worker thread gives the keys. */
START_TEST(test_keys_overdue)
{
	struct pair_policy o = {.pfs = "Group19"};
	struct pair *p = pair_up(&o);
	struct side *s = &p->side[_i];
	struct cs_err err;

	ck_assert_int_eq(ike_engine_deactivate_p2(p->side[0].e, 2, p->now, &err), 0);
	pair_run(p);
	s->jobs_later = true;
	pair_acquire(p, 0);
	pair_wait(p, 260000);
	ck_assert_msg(pair_complaints(s, "its keys were not computed within 127 s") == 1, "%s",
		      s->log);
	pair_expect_nothing(p);
	pair_jobs(p);
	pair_expect_nothing(p);
	pair_free(p);
}
END_TEST

START_TEST(test_resync)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	uint32_t gone = 0;

	/* All there, and one of ours that we do not know. */
	s->sas[s->n_sas] = s->sas[0];
	s->sas[s->n_sas++].sa.id.spi = 0x777;
	ike_engine_resync_begin(s->e);
	for (unsigned i = 0; i < s->n_sas; i++)
		ike_engine_resync_sa(s->e, &s->sas[i].sa, NULL);
	ike_engine_resync_end(s->e, p->now);
	pair_run(p);
	pair_expect_up(p);
	/* One gone. */
	for (unsigned i = 0; i < s->n_sas; i++)
		if (s->sas[i].sa.outbound)
			gone = s->sas[i].sa.id.spi;
	ike_engine_resync_begin(s->e);
	for (unsigned i = 0; i < s->n_sas; i++)
		if (s->sas[i].sa.id.spi != gone)
			ike_engine_resync_sa(s->e, &s->sas[i].sa, NULL);
	ike_engine_resync_end(s->e, p->now);
	pair_run(p);
	pair_expect_nothing(p);
	pair_free(p);
}
END_TEST

/* An acquire that was lost left its larval state in the kernel. */
START_TEST(test_resync_larval)
{
	struct pair *p = pair_new(NULL, NULL);
	struct side *s = &p->side[0];
	struct xf_sa larval = {.reqid = xf_reqid(XF_MARK_RULE_MIN, 0)};

	larval.src = s->addr.addr;
	larval.id.dst = p->side[1].addr.addr;
	larval.id.proto = IPPROTO_ESP;
	larval.selector.local = cs_range_single(&larval.src);
	larval.selector.remote = cs_range_single(&larval.id.dst);
	larval.selector.proto = IPPROTO_ICMP;
	ike_engine_resync_begin(s->e);
	ike_engine_resync_sa(s->e, &larval, NULL);
	larval.reqid = 7; /* somebody else's */
	ike_engine_resync_sa(s->e, &larval, NULL);
	ike_engine_resync_end(s->e, p->now);
	ck_assert_uint_eq(pair_stats(p, 0)->acquires, 1);
	ck_assert_uint_eq(s->larval_clears, 1);
	pair_run(p);
	pair_expect_up(p);
	pair_free(p);
}
END_TEST

/* ---- both at once, restarts, commands, policies ---- */

START_TEST(test_simultaneous)
{
	struct pair *p = pair_new(NULL, NULL);

	/* Queue both sides' first messages before anything is delivered. */
	p->filter = drop_all;
	pair_acquire(p, 0);
	pair_acquire(p, 1);
	p->filter = NULL;
	pair_wait(p, 10000);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(pair_stats(p, i)->p1_live, 2);
		ck_assert_uint_eq(pair_stats(p, i)->p2_live, 2);
		ck_assert_uint_eq(p->side[i].n_policies, 1);
		ck_assert_uint_eq(p->side[i].policy_adds, 1);
	}
	ck_assert(pair_mirrored(p));
	pair_free(p);
}
END_TEST

static void restart(struct pair *p, unsigned i)
{
	struct side *s = &p->side[i];
	struct ike_settings set = {.retries = 6, .last_tunnel = 100, .marking = {16}};
	struct ike_ops ops_again;
	struct cs_err err;

	ike_engine_shutdown(s->e, false, false, p->now);
	pair_run(p);
	pair_ops(&ops_again);
	ike_engine_free(s->e);
	ck_assert_int_eq(ike_engine_new(&set, &ops_again, s, &s->e, &err), 0);
	ike_engine_policy(s->e, s->policy, p->now);
}

/* A peer that lost everything says so, authenticated; what it had goes, the new stays. */
START_TEST(test_initial_contact)
{
	struct pair *p = pair_up(NULL);

	restart(p, 0);
	ck_assert_uint_eq(pair_stats(p, 1)->p2_live, 1);
	pair_acquire(p, 0);
	ck_assert_msg(pair_said(&p->side[1], "CSI1010I"), "%s", p->side[1].log);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(pair_stats(p, i)->p1_live, 1);
		ck_assert_uint_eq(pair_stats(p, i)->p2_live, 1);
	}
	ck_assert(pair_mirrored(p));
	pair_free(p);
}
END_TEST

/* The peer forgot us while we hold a phase 1: its silence ends that, and the next attempt works. */
START_TEST(test_silent_peer)
{
	struct pair *p = pair_up(NULL);
	struct cs_err err;

	ck_assert_int_eq(ike_engine_deactivate_p2(p->side[0].e, 2, p->now, &err), 0);
	pair_run(p);
	restart(p, 1);
	pair_acquire(p, 0);
	pair_wait(p, 300000);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_live, 0);
	pair_acquire(p, 0);
	ck_assert(pair_mirrored(p));
	pair_free(p);
}
END_TEST

START_TEST(test_activate)
{
	struct pair_policy o = {.local_rule = true};
	struct pair *p = pair_new(&o, &o);
	uint32_t tunnel = 0;
	struct cs_err err;

	ck_assert_int_eq(ike_engine_activate(p->side[0].e, "Nobody", p->now, &tunnel, &err),
			 CS_ENOTFOUND);
	ck_assert_int_eq(ike_engine_activate(p->side[0].e, "ByHand", p->now, &tunnel, &err), 0);
	ck_assert_uint_eq(tunnel, 2);
	ck_assert_int_eq(ike_engine_activate(p->side[0].e, "ByHand", p->now, &tunnel, &err),
			 CS_EEXIST);
	pair_run(p);
	pair_expect_up(p);
	ck_assert_uint_eq(p->side[0].n_events[IKE_EV_P2_UP], 1);
	pair_free(p);
}
END_TEST

START_TEST(test_activate_refused)
{
	struct pair_policy o = {.local_rule = true, .initiation = "RemoteOnly"};
	struct pair *p = pair_new(&o, NULL);
	uint32_t tunnel = 0;
	struct cs_err err;

	ck_assert_int_eq(ike_engine_activate(p->side[0].e, "ByHand", p->now, &tunnel, &err),
			 CS_EPOLICY);
	ck_assert_ptr_nonnull(strstr(err.text, "RemoteOnly"));
	pair_free(p);
}
END_TEST

START_TEST(test_activate_without_policy)
{
	struct pair *p = pair_new(NULL, NULL);
	const struct ike_settings settings = {.retries = 2, .init_wait_ms = 1000, .port = 500};
	struct ike_engine *e;
	struct ike_ops ops;
	uint32_t tunnel = 0;
	struct cs_err err;

	pair_ops(&ops);
	ck_assert_int_eq(ike_engine_new(&settings, &ops, &p->side[0], &e, &err), 0);
	ck_assert_int_eq(ike_engine_activate(e, "ByHand", p->now, &tunnel, &err), CS_EPOLICY);
	ck_assert_ptr_nonnull(strstr(err.text, "no policy is in force"));
	ike_engine_free(e);
	pair_free(p);
}
END_TEST

/* Rules that stay keep their tunnels; a rule that goes takes them along; a new key ends phase 1. */
START_TEST(test_policy_change)
{
	static const struct pair_policy other_key = {.key = "a-new-secret"};
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct pol_policy *same = pair_make_policy(NULL, 0), *gone = pair_make_policy(NULL, 0);
	struct pol_policy *key = pair_make_policy(&other_key, 0);
	struct pol_policy *renamed = pair_make_policy(NULL, 0);

	ike_engine_policy(s->e, same, p->now);
	pair_run(p);
	pair_expect_up(p);
	if (_i == 2) { /* a policy store that was lost gives the id to whatever comes first */
		strcpy(renamed->rules[0].name, "Another");
		ike_engine_policy(s->e, renamed, p->now);
		pair_run(p);
		ck_assert_uint_eq(pair_stats(p, 0)->p1_live, 1);
	} else if (_i) {
		ike_engine_policy(s->e, key, p->now);
		pair_run(p);
		ck_assert_uint_eq(pair_stats(p, 0)->p1_live, 0);
		ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 0);
	} else {
		gone->rules[0].id = XF_MARK_RULE_MIN + 5;
		ike_engine_policy(s->e, gone, p->now);
		pair_run(p);
		ck_assert_uint_eq(pair_stats(p, 0)->p1_live, 1);
	}
	pair_expect_nothing(p);
	pol_unref(same);
	pol_unref(gone);
	pol_unref(key);
	pol_unref(renamed);
	pair_free(p);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("engine, life of SAs");
	TCase *t;

	t = tcase_create("life");
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_delete_p2, 0, 2);
	tcase_add_loop_test(t, test_delete_p1, 0, 2);
	tcase_add_test(t, test_acquire_when_up);
	tcase_add_test(t, test_p2_outlives_p1);
	tcase_add_loop_test(t, test_p2_lifetime, 0, 2);
	tcase_add_test(t, test_vpn_life);
	tcase_add_test(t, test_unknown_expire);
	tcase_add_loop_test(t, test_kernel_refuses, 0, 8);
	tcase_add_loop_test(t, test_commit_fails, 0, 2);
	tcase_add_loop_test(t, test_store_stuck, 0, 4);
	tcase_add_loop_test(t, test_ends_before_commit, 0, 6);
	tcase_add_loop_test(t, test_peer_ends_before_commit, 0, 2);
	tcase_add_loop_test(t, test_keys_overdue, 0, 2);
	tcase_add_test(t, test_resync);
	tcase_add_test(t, test_resync_larval);
	tcase_add_test(t, test_simultaneous);
	tcase_add_test(t, test_initial_contact);
	tcase_add_test(t, test_silent_peer);
	tcase_add_test(t, test_activate);
	tcase_add_test(t, test_activate_refused);
	tcase_add_test(t, test_activate_without_policy);
	tcase_add_loop_test(t, test_policy_change, 0, 3);
	suite_add_tcase(s, t);

	t = tcase_create("network");
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_each_message_lost, 0, 9);
	tcase_add_test(t, test_first_packet);
	tcase_add_test(t, test_sixth_overtaken);
	tcase_add_test(t, test_replays);
	tcase_add_loop_test(t, test_damaged, 4, 9);
	tcase_add_test(t, test_forged_datagrams);
	tcase_add_test(t, test_half_open_bound);
	tcase_add_test(t, test_job_bound);
	tcase_add_test(t, test_no_amplification);
	tcase_add_test(t, test_exchanges_refused);
	tcase_add_test(t, test_other_major_version);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	if (!pair_crypto())
		return EXIT_FAILURE;
	return run_suite(suite());
}
