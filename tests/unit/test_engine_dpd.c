/*
 * The negotiation engine: peers that say nothing, and errors in clear that only ask for a question.
 */
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/engine_pair.h"
#include "tests/unit/run_suite.h"

static const struct pair_policy asking = {.liveness = "30"};
static const struct pair_policy aggressive = {
	.liveness = "30", .how_to_initiate = "Aggressive", .how_to_respond = "Aggressive"};

static bool drop_all(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	(void)p;
	(void)from;
	(void)data;
	(void)len;
	return false;
}

static struct pair *up(const struct pair_policy *left, const struct pair_policy *right)
{
	struct pair *p = pair_new(left, right);

	pair_acquire(p, 0);
	pair_wait(p, 100); /* Aggressive Mode's Quick Mode waits a moment */
	pair_expect_up(p);
	/* Three packets came in, as the kernel here always says: that is the first sign of life. */
	pair_wait(p, 8000);
	return p;
}

/* Nothing to say: questions and answers, each 30 s, and all stays. */
START_TEST(test_asks_and_answers)
{
	struct pair *p = up(&asking, &asking);
	uint64_t sent[2] = {pair_stats(p, 0)->dpd_sent, pair_stats(p, 1)->dpd_sent};

	pair_wait(p, 600000);
	ck_assert(pair_mirrored(p));
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_le(pair_stats(p, i)->dpd_sent - sent[i], 21);
		ck_assert_uint_eq(pair_stats(p, i)->dpd_odd, 0);
		ck_assert_uint_eq(pair_stats(p, i)->peers_gone, 0);
	}
	ck_assert_uint_ge(
		pair_stats(p, 0)->dpd_sent + pair_stats(p, 1)->dpd_sent - sent[0] - sent[1], 15);
	pair_free(p);
}
END_TEST

/* The network is cut: both sides are clean soon after, say so once, and begin anew on demand. */
START_TEST(test_peer_gone)
{
	const struct pair_policy *o = _i / 2 ? &aggressive : &asking;
	struct pair *p = up(o, o);

	p->filter = drop_all;
	pair_wait(p, 29000);
	ck_assert(pair_mirrored(p));
	pair_wait(p, 14000);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(pair_stats(p, i)->peers_gone, 1);
		ck_assert_uint_eq(pair_stats(p, i)->p1_live, 0);
		ck_assert_uint_eq(pair_stats(p, i)->p2_live, 0);
		ck_assert_uint_eq(p->side[i].n_sas, 0);
		ck_assert_uint_eq(pair_complaints(&p->side[i], NULL), 1);
		ck_assert_uint_eq(pair_complaints(&p->side[i], "is gone"), 1);
		ck_assert_uint_eq(pair_complaints(&p->side[i], "rule First"), 1);
		ck_assert_uint_eq(p->side[i].n_kept, 0);
	}
	p->filter = NULL;
	pair_acquire(p, (unsigned)_i % 2);
	pair_wait(p, 100);
	ck_assert(pair_mirrored(p));
	pair_free(p);
}
END_TEST

/* Traffic came until the cut, and just after a look: it is late by a quarter of the interval at
 * most. */
START_TEST(test_gone_after_traffic)
{
	struct pair *p = up(&asking, &asking);

	for (unsigned second = 0; second < 301; second++) {
		p->side[0].more_packets++;
		p->side[1].more_packets++;
		pair_wait(p, 1000);
	}
	p->filter = drop_all;
	pair_wait(p, 29000 + 11000);
	ck_assert(pair_mirrored(p));
	pair_wait(p, 7500 + 2000);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(pair_stats(p, i)->peers_gone, 1);
		ck_assert_uint_eq(p->side[i].n_sas, 0);
		ck_assert_uint_lt(pair_stats(p, i)->dpd_sent, 7); /* traffic needed no question */
	}
	pair_free(p);
}
END_TEST

static bool cut; /* of the filter below */

static bool drop_while_cut(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	(void)p;
	(void)from;
	(void)data;
	(void)len;
	return !cut;
}

/* A short cut costs nothing. */
START_TEST(test_short_cut)
{
	struct pair *p = up(&asking, &asking);

	p->filter = drop_while_cut;
	for (unsigned round = 0; round < 20; round++) {
		cut = true;
		pair_wait(p, 10000);
		cut = false;
		pair_wait(p, 35000);
		ck_assert(pair_mirrored(p));
	}
	ck_assert_uint_eq(pair_stats(p, 0)->peers_gone + pair_stats(p, 1)->peers_gone, 0);
	pair_free(p);
}
END_TEST

/* LivenessInterval 0, or a peer that cannot be asked: silence ends nothing. */
START_TEST(test_not_asked)
{
	static const struct pair_policy quiet = {.liveness = "0"};
	struct pair *p = up(&quiet, &quiet);

	p->filter = drop_all;
	pair_wait(p, 600000);
	ck_assert(pair_mirrored(p));
	ck_assert_uint_eq(pair_stats(p, 0)->dpd_sent, 0);
	pair_free(p);
}
END_TEST

/* What is newly asked is answered by a side that asks nothing itself. */
START_TEST(test_one_side_asks)
{
	static const struct pair_policy quiet = {.liveness = "0"};
	struct pair *p = up(&asking, &quiet);

	pair_wait(p, 300000);
	ck_assert(pair_mirrored(p));
	ck_assert_uint_ge(pair_stats(p, 0)->dpd_sent, 9);
	ck_assert_uint_eq(pair_stats(p, 1)->dpd_sent, 0);
	pair_free(p);
}
END_TEST

/* It asks after a worker's restart and after a refresh, too. */
START_TEST(test_successor_asks)
{
	struct pair *p = up(&asking, &asking);
	uint64_t sent;

	ck_assert(!ike_engine_refresh_p1(p->side[_i].e, 1, p->now, NULL));
	pair_run(p);
	pair_wait(p, 40000);
	sent = pair_stats(p, 0)->dpd_sent + pair_stats(p, 1)->dpd_sent;
	pair_wait(p, 120000);
	ck_assert_uint_gt(pair_stats(p, 0)->dpd_sent + pair_stats(p, 1)->dpd_sent, sent);
	p->filter = drop_all;
	pair_wait(p, 45000);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_uint_eq(pair_stats(p, i)->p1_live + pair_stats(p, i)->p2_live, 0);
	pair_free(p);
}
END_TEST

/* ---- errors in clear ---- */

/* As anybody can send it: NOTIFY of this type about that SPI, under these cookies. */
static void notify_clear(struct pair *p, unsigned to, const uint8_t cookies[16], unsigned proto,
			 unsigned type, const void *spi, uint8_t spi_len)
{
	uint8_t buf[128];
	struct isa_header h = {.version = 0x10, .exchange = ISA_INFORMATIONAL, .message_id = 77};
	struct isa_builder b;
	size_t len;

	memcpy(h.icookie, cookies, ISA_COOKIE_LEN);
	memcpy(h.rcookie, cookies + ISA_COOKIE_LEN, ISA_COOKIE_LEN);
	isa_begin(&b, buf, sizeof(buf), &h);
	isa_payload_begin(&b, ISA_NOTIFY);
	cs_put_u32(&b.w, 1);
	cs_put_u8(&b.w, (uint8_t)proto);
	cs_put_u8(&b.w, spi_len);
	cs_put_u16(&b.w, (uint16_t)type);
	cs_put_bytes(&b.w, spi, spi_len);
	isa_payload_end(&b);
	len = isa_end(&b, 0);
	ck_assert_uint_gt(len, 0);
	ike_engine_receive(p->side[to].e, &p->side[to].addr, &p->side[!to].addr, buf, len, p->now);
}

static int cookies_of(void *arg, const struct ike_p1_info *info)
{
	memcpy(arg, info->icookie, ISA_COOKIE_LEN);
	memcpy((uint8_t *)arg + ISA_COOKIE_LEN, info->rcookie, ISA_COOKIE_LEN);
	return 1;
}

static int spi_of(void *arg, const struct ike_p2_info *info)
{
	*(uint32_t *)arg = info->spi_out;
	return 1;
}

/* INVALID-COOKIE and INVALID-SPI never end anything; about ours they bring one question, not many.
 */
START_TEST(test_errors_in_clear)
{
	struct pair *p = up(&asking, &asking);
	static const uint8_t none[16] = {1};
	uint8_t cookies[16], spi_b[4];
	uint64_t sent;
	uint32_t spi;

	ike_engine_each_p1(p->side[0].e, cookies_of, cookies);
	ike_engine_each_p2(p->side[0].e, spi_of, &spi);
	for (int i = 0; i < 4; i++)
		spi_b[i] = (uint8_t)(spi >> (24 - 8 * i));
	sent = pair_stats(p, 0)->dpd_sent;
	for (unsigned n = 0; n < 50; n++) {
		if (_i == 0)
			notify_clear(p, 0, cookies, 1, 4, cookies, 16);
		else
			notify_clear(p, 0, none, 3, 11, spi_b, 4);
	}
	pair_run(p);
	ck_assert_uint_eq(pair_stats(p, 0)->dpd_sent, sent + 1);
	ck_assert(pair_mirrored(p));
	/* About what we have not. */
	spi_b[0] ^= 0x80;
	pair_wait(p, 6000);
	sent = pair_stats(p, 0)->dpd_sent;
	notify_clear(p, 0, none, 1, 4, none, 16);
	notify_clear(p, 0, none, 3, 11, spi_b, 4);
	notify_clear(p, 0, cookies, 3, 14, spi_b, 4);
	pair_run(p);
	ck_assert_uint_eq(pair_stats(p, 0)->dpd_sent, sent);
	ck_assert(pair_mirrored(p));
	pair_free(p);
}
END_TEST

/* The peer has started afresh and knows nothing: it says so, is asked, and then is gone. */
START_TEST(test_peer_forgot)
{
	struct pair *p = up(&asking, &asking);
	struct side *s = &p->side[1];

	ike_engine_free(s->e);
	s->n_sas = s->n_policies = s->n_kept = 0;
	pair_engine(s);
	pair_acquire(p, 1); /* and talks with us anew */
	ck_assert(pair_mirrored(p));
	ck_assert_uint_eq(pair_stats(p, 0)->p1_live, 1);
	s->n_records[IKE_REC_P1_DOWN]++;
	s->n_records[IKE_REC_P2_DOWN]++;
	pair_free(p);
	/* Or does not. */
	p = up(&asking, &asking);
	s = &p->side[1];
	ike_engine_free(s->e);
	s->n_sas = s->n_policies = s->n_kept = 0;
	pair_engine(s);
	pair_wait(p, 45000);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_live, 0);
	ck_assert_uint_eq(p->side[0].n_sas, 0);
	s->n_records[IKE_REC_P1_DOWN]++;
	s->n_records[IKE_REC_P2_DOWN]++;
	pair_free(p);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("engine, dead peers");
	TCase *t = tcase_create("dpd");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_asks_and_answers);
	tcase_add_loop_test(t, test_peer_gone, 0, 4);
	tcase_add_test(t, test_gone_after_traffic);
	tcase_add_test(t, test_short_cut);
	tcase_add_test(t, test_not_asked);
	tcase_add_test(t, test_one_side_asks);
	tcase_add_loop_test(t, test_successor_asks, 0, 2);
	tcase_add_loop_test(t, test_errors_in_clear, 0, 2);
	tcase_add_test(t, test_peer_forgot);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	if (!pair_crypto())
		return EXIT_FAILURE;
	return run_suite(suite());
}
