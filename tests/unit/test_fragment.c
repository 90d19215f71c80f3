/*
 * Fragments of ISAKMP messages: every message of every exchange in pieces, in any order and more
 * than once; pieces that contradict each other, never end or come from nobody; and large messages
 * of our own, whose repetitions and answers are in pieces, too.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"
#include "iked/vendor.h"
#include "tests/unit/engine_pair.h"
#include "tests/unit/run_suite.h"

#define COUNT(a)   (sizeof(a) / sizeof((a)[0]))
#define PIECE      40
#define HEAD       (ISA_HEADER_LEN + 8)
#define COLLECT_MS 30000
#define SETTLE     30 /* milliseconds after Aggressive Mode's message 3 */

static struct pair_policy in_mode(unsigned mode)
{
	return (struct pair_policy){.how_to_initiate = mode ? "Aggressive" : "Main",
				    .how_to_respond = mode ? "Aggressive" : "Main"};
}

/* ---- making fragments ---- */

static uint8_t made[IKE_DATAGRAM_MAX + HEAD];

/* With the header of the message that it is of. */
static size_t make(const uint8_t *message, unsigned id, unsigned number, unsigned flags,
		   const uint8_t *data, size_t len)
{
	struct isa_header h;
	struct isa_builder b;

	ck_assert(!isa_header_parse(message, (size_t)message[26] << 8 | message[27], &h, NULL));
	h.flags = 0;
	isa_begin(&b, made, sizeof(made), &h);
	isa_payload_begin(&b, ISA_FRAGMENT);
	cs_put_u16(&b.w, (uint16_t)id);
	cs_put_u8(&b.w, (uint8_t)number);
	cs_put_u8(&b.w, (uint8_t)flags);
	cs_put_bytes(&b.w, data, len);
	isa_payload_end(&b);
	return isa_end(&b, 0);
}

/* What was made, to the side that the message is for. */
static void hand_over(struct pair *p, unsigned from, size_t len)
{
	unsigned to = !from;

	ike_engine_receive(p->side[to].e, &p->side[to].addr, &p->side[from].addr, made, len,
			   p->now);
}

static void piece(struct pair *p, unsigned from, const uint8_t *message, unsigned id,
		  unsigned number, bool last, const void *data, size_t len)
{
	hand_over(p, from, make(message, id, number, last, data, len));
}

/* As the peer would send them; only: the number of one alone, 0: all. */
static void pieces(struct pair *p, unsigned from, const uint8_t *data, size_t len, unsigned only)
{
	unsigned n = (unsigned)((len + PIECE - 1) / PIECE);

	for (unsigned i = 1; i <= n; i++)
		if (!only || only == i)
			piece(p, from, data, 7, i, i == n, data + (i - 1) * PIECE,
			      i == n ? len - (n - 1) * PIECE : PIECE);
}

/* ---- what is done to the datagrams of a pair ---- */

enum order { STRAIGHT, BACKWARDS, TWICE, EACH_TWICE, AS_STRONGSWAN, N_ORDERS };

struct net {
	enum order order;
	unsigned drop_from, drops; /* datagrams of this side that are lost from drop_exchange on */
	uint8_t drop_exchange;
	size_t largest;
	unsigned whole, cut;
};

static bool is_first(const uint8_t *data)
{
	static const uint8_t none[ISA_COOKIE_LEN];

	return !memcmp(data + ISA_COOKIE_LEN, none, ISA_COOKIE_LEN);
}

/* strongSwan has no message id there and the exchange type of phase 1. */
static void as_strongswan(struct pair *p, unsigned from, const uint8_t *data, size_t len)
{
	uint8_t copy[4096];

	memcpy(copy, data, len);
	copy[18] = ISA_MAIN;
	memset(copy + 20, 0, 4);
	for (size_t at = 0, i = 1; at < len; at += PIECE, i++)
		piece(p, from, copy, 1, (unsigned)i, at + PIECE >= len, data + at,
		      at + PIECE >= len ? len - at : PIECE);
}

static void cut(struct pair *p, unsigned from, const uint8_t *data, size_t len, enum order order)
{
	unsigned n = (unsigned)((len + PIECE - 1) / PIECE);

	switch (order) {
	case BACKWARDS:
		for (unsigned i = n; i; i--)
			pieces(p, from, data, len, i);
		break;
	case EACH_TWICE:
		for (unsigned i = 1; i <= n; i++)
			for (unsigned k = 0; k < 2; k++)
				pieces(p, from, data, len, i);
		break;
	case AS_STRONGSWAN:
		as_strongswan(p, from, data, len);
		break;
	case TWICE:
		pieces(p, from, data, len, 0);
		/* fall through */
	default:
		pieces(p, from, data, len, 0);
	}
}

static bool in_pieces(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	struct net *net = p->filter_arg;

	if (net->drops && from == net->drop_from && data[18] == net->drop_exchange) {
		net->drops--;
		return false;
	}
	if (is_first(data)) {
		net->whole++;
		return true;
	}
	net->cut++;
	cut(p, from, data, *len, net->order);
	return false;
}

static bool measure(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	struct net *net = p->filter_arg;

	(void)from;
	if (data[16] == ISA_FRAGMENT)
		net->cut++;
	else
		net->whole++;
	if (*len > net->largest)
		net->largest = *len;
	return true;
}

static struct pair *new_pair(const struct pair_policy *o, struct net *net, pair_filter_fn *filter)
{
	struct pair *p = pair_new(o, o);

	p->filter = filter;
	p->filter_arg = net;
	return p;
}

static struct ike_p1 *p1_of(struct pair *p, unsigned i)
{
	ck_assert(!ike_list_empty(&p->side[i].e->p1s));
	return IKE_OF(p->side[i].e->p1s.next, struct ike_p1, all);
}

/* When the collecting time is over nothing is left of any message. */
static void expect_no_pieces(struct pair *p)
{
	p->filter = NULL;
	pair_wait(p, COLLECT_MS + 1);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(p->side[i].e->fragment_bytes, 0);
		ck_assert(ike_list_empty(&p->side[i].e->all_fragments));
	}
}

/* ---- what works ---- */

START_TEST(every_message)
{
	struct pair_policy o = in_mode((unsigned)_i & 1);
	struct net net = {.order = (enum order)(_i >> 1)};
	struct pair *p = new_pair(&o, &net, in_pieces);
	uint64_t whole = 0, of_no_use = 0;

	pair_acquire(p, 0);
	pair_wait(p, SETTLE);
	pair_expect_up(p);
	ck_assert_uint_eq(net.whole, 1);
	for (unsigned i = 0; i < 2; i++) {
		whole += pair_stats(p, i)->reassembled;
		of_no_use += pair_stats(p, i)->fragments_dropped;
		ck_assert_uint_eq(pair_stats(p, i)->fragments_sent, 0);
		if (net.order != TWICE) /* Main Mode message 2 is no message 4 */
			ck_assert_uint_eq(pair_stats(p, i)->dropped_malformed, 0);
	}
	if (net.order != TWICE)
		ck_assert_uint_eq(whole, net.cut);
	if (net.order != TWICE)
		ck_assert_uint_eq(of_no_use, 0);
	expect_no_pieces(p);
	pair_free(p);
}
END_TEST

/* The answer is lost once, or until what was put together is forgotten: the request comes again in
 * pieces and gets the same answer. */
START_TEST(asked_again)
{
	struct net net = {
		.order = STRAIGHT, .drop_from = 1, .drops = _i ? 6 : 1, .drop_exchange = ISA_QUICK};
	struct pair_policy o = in_mode(0);
	struct pair *p = new_pair(&o, &net, in_pieces);

	pair_acquire(p, 0);
	pair_wait(p, _i ? 250000 : 3000);
	pair_expect_up(p);
	ck_assert_uint_eq(net.drops, 0);
	ck_assert_uint_ge(pair_stats(p, 0)->retransmitted, 1);
	ck_assert_uint_ge(pair_stats(p, 1)->repeats_answered, 1);
	ck_assert_uint_eq(p->side[1].n_records[IKE_REC_P2_INTENT], 1);
	pair_free(p);
}
END_TEST

/* ---- a phase 1 that is up, and pieces that come to it ---- */

static uint8_t quick1[4096];
static size_t quick1_len;

static bool take_quick1(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	(void)p;
	if (from || data[18] != ISA_QUICK)
		return true;
	memcpy(quick1, data, *len);
	quick1_len = *len;
	return false;
}

/* Quick Mode message 1 of side 0 did not arrive at side 1, which has nothing but phase 1. */
static struct pair *before_quick1(const struct pair_policy *o)
{
	struct pair *p = new_pair(o, NULL, take_quick1);

	quick1_len = 0;
	pair_acquire(p, 0);
	pair_wait(p, SETTLE);
	ck_assert_uint_gt(quick1_len, 0);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_up, 1);
	p->filter = NULL;
	return p;
}

/* The genuine message in pieces: it must go through whatever came before, when it comes again at
 * the latest. */
static void goes_through(struct pair *p)
{
	for (unsigned i = 0; i < 2; i++)
		pieces(p, 0, quick1, quick1_len, 0);
	pair_run(p);
	pair_expect_up(p);
	expect_no_pieces(p);
	pair_free(p);
}

static const struct {
	const char *name;
	unsigned number, flags, len;
	int length; /* added to the payload's length field */
	uint8_t next;
} bad[] = {
	{"no data", 1, 0, 0, 0, 0},
	{"length below the payload's header", 1, 0, 20, -25, 0},
	{"length of less than a fragment's header", 1, 0, 20, -21, 0},
	{"length beyond the message", 1, 0, 20, 1, 0},
	{"length far beyond the message", 1, 1, 20, 60000, 0},
	{"number 0", 0, 0, 20, 0, 0},
	{"number 0, the last", 0, 1, 20, 0, 0},
	{"number 65", 65, 1, 20, 0, 0},
	{"number 255", 255, 1, 20, 0, 0},
	{"bytes behind it", 1, 0, 20, -8, ISA_NONE},
	{"another payload behind it", 1, 0, 20, -8, ISA_NONCE},
};

START_TEST(bad_fragments)
{
	struct pair_policy o = in_mode(0);
	struct pair *p = before_quick1(&o);
	static const uint8_t small[8] = {0, 0, 0, 8};
	uint8_t data[20] = {0};
	size_t len = make(quick1, 7, bad[_i].number, bad[_i].flags, data, bad[_i].len);
	unsigned length = (unsigned)(8 + (int)bad[_i].len + bad[_i].length);

	made[ISA_HEADER_LEN] = bad[_i].next;
	made[ISA_HEADER_LEN + 2] = (uint8_t)(length >> 8);
	made[ISA_HEADER_LEN + 3] = (uint8_t)length;
	if (bad[_i].next) /* of 8 bytes, all that is left */
		memcpy(made + len - 8, small, sizeof(small));
	hand_over(p, 0, len);
	ck_assert_msg(pair_stats(p, 1)->fragments_dropped == 1, "%s", bad[_i].name);
	ck_assert_msg(!p->side[1].e->fragment_bytes, "%s", bad[_i].name);
	goes_through(p);
}
END_TEST

/* Pieces 1 and 3 of id 7, the third the last if so; then what contradicts one of them. */
static const struct {
	const char *name;
	bool last;
	unsigned id, number, flags;
} contradictions[] = {
	{"other content", false, 7, 1, 0},
	{"other content, the last", true, 7, 3, 1},
	{"now it is the last", false, 7, 1, 1},
	{"the last is none any more", true, 7, 3, 0},
	{"another last one", true, 7, 4, 1},
	{"an earlier last one", true, 7, 2, 1},
	{"above the last one", true, 7, 4, 0},
	{"a last one below one that is there", false, 7, 2, 1},
	{"another id", false, 8, 2, 0},
};

START_TEST(contradiction)
{
	struct pair_policy o = in_mode(0);
	struct pair *p = before_quick1(&o);

	piece(p, 0, quick1, 7, 1, false, quick1, PIECE);
	piece(p, 0, quick1, 7, 3, contradictions[_i].last, quick1 + 80, PIECE);
	ck_assert_uint_eq(pair_stats(p, 1)->fragments_dropped, 0);
	piece(p, 0, quick1, contradictions[_i].id, contradictions[_i].number,
	      contradictions[_i].flags, "something else", 14);
	ck_assert_msg(pair_stats(p, 1)->fragments_dropped == 2, "%s", contradictions[_i].name);
	ck_assert_msg(p->side[1].n_records[IKE_REC_P2_INTENT] == 0, "%s", contradictions[_i].name);
	goes_through(p);
}
END_TEST

/* What is put together is no better than any datagram. */
START_TEST(whole_but_wrong)
{
	struct pair_policy o = in_mode(0);
	struct pair *p = before_quick1(&o);
	uint8_t inner[4096];
	size_t len;

	if (_i == 0) { /* a fragment of a fragment */
		len = make(quick1, 9, 1, 1, quick1, quick1_len);
		memcpy(inner, made, len);
	} else { /* of other cookies, of another length, of nothing */
		len = quick1_len;
		memcpy(inner, quick1, len);
		if (_i < 3)
			inner[_i == 1 ? 0 : ISA_COOKIE_LEN] ^= 1;
		else if (_i == 3)
			inner[27] ^= 1;
		else
			len = 20;
	}
	piece(p, 0, quick1, 7, 1, true, inner, len);
	ck_assert_uint_eq(pair_stats(p, 1)->reassembled, 1);
	ck_assert_uint_eq(pair_stats(p, 1)->dropped_malformed, 1);
	ck_assert_uint_eq(p->side[1].n_records[IKE_REC_P2_INTENT], 0);
	goes_through(p);
}
END_TEST

/* An encrypted message has no fragment in it, whoever made it. */
START_TEST(inside_a_message)
{
	struct pair_policy o = in_mode(0);
	struct pair *p = before_quick1(&o);
	struct ike_engine *e = p->side[0].e;
	struct ike_p1 *p1 = p1_of(p, 0);
	uint8_t iv[IKE_BLOCK_MAX], body[12] = {0, 7, 1, 1};
	uint32_t mid = ike_new_mid(e, p1);
	struct isa_builder b;
	size_t len;

	ck_assert(!ike_phase2_iv(p1->suite.hash, p1->suite.cipher, p1->iv, mid, iv, NULL));
	ike_seal_begin(e, p1, &b, ISA_INFORMATIONAL, mid, IKE_SEAL_HASH1);
	isa_put(&b, ISA_FRAGMENT, body, sizeof(body));
	isa_put(&b, ISA_DELETE, "\0\0\0\1\3\4\0\0", 8);
	len = ike_seal_end(e, p1, &b, mid, IKE_SEAL_HASH1, NULL, NULL, iv, NULL);
	memcpy(made, e->out, len);
	hand_over(p, 0, len);
	ck_assert(pair_said(&p->side[1], "must not have payload 132 (FRAGMENT)"));
	ck_assert_uint_eq(pair_stats(p, 1)->fragments_received, 0);
	goes_through(p);
}
END_TEST

/* ---- from whom ---- */

START_TEST(nobody)
{
	struct pair_policy o = in_mode(0);
	struct pair *p = before_quick1(&o);
	uint8_t other[4096];

	memcpy(other, quick1, quick1_len);
	other[3] ^= 1; /* cookies that do not exist, and those of a message 1 */
	for (unsigned i = 0; i < 2; i++) {
		pieces(p, 0, other, quick1_len, 0);
		memset(other + ISA_COOKIE_LEN, 0, ISA_COOKIE_LEN);
	}
	ck_assert_uint_eq(pair_stats(p, 1)->dropped_unknown, pair_stats(p, 1)->fragments_received);
	ck_assert_uint_eq(p->side[1].e->fragment_bytes, 0);
	goes_through(p);
}
END_TEST

/* A peer that has not said that it can: its pieces are dropped, and it gets whole messages. */
START_TEST(not_agreed)
{
	struct pair_policy o = in_mode(0);
	struct pair *p = before_quick1(&o);

	p1_of(p, 1)->can &= (uint8_t)~IKE_CAN_FRAGMENTS;
	pieces(p, 0, quick1, quick1_len, 0);
	ck_assert_uint_gt(pair_stats(p, 1)->fragments_dropped, 1);
	ck_assert_uint_eq(pair_stats(p, 1)->fragments_dropped,
			  pair_stats(p, 1)->fragments_received);
	ck_assert_uint_eq(p->side[1].e->fragment_bytes, 0);
	p1_of(p, 1)->can |= IKE_CAN_FRAGMENTS;
	goes_through(p);
}
END_TEST

static size_t cut_short;

/* Message 1 has no vendor ID: that of the peer is not known, and ours has no room. */
static bool without_vendors(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	size_t sa = (size_t)(data[ISA_HEADER_LEN + 2] << 8 | data[ISA_HEADER_LEN + 3]);

	(void)p;
	if (!from && is_first(data)) {
		data[ISA_HEADER_LEN] = ISA_NONE;
		*len = ISA_HEADER_LEN + sa;
		data[26] = (uint8_t)(*len >> 8);
		data[27] = (uint8_t)*len;
	}
	if (!from && data[18] == ISA_MAIN && !is_first(data) && !cut_short++) {
		pieces(p, from, data, *len, 0); /* message 3 */
		return false;
	}
	return true;
}

START_TEST(no_vendor_id)
{
	struct pair_policy o = in_mode(0);
	struct pair *p = new_pair(&o, NULL, without_vendors);

	cut_short = 0;
	pair_acquire(p, 0);
	ck_assert_uint_gt(pair_stats(p, 1)->fragments_dropped, 1);
	ck_assert_uint_eq(pair_stats(p, 1)->half_open, 1);
	pair_wait(p, 3000);
	pair_expect_up(p);
	ck_assert_uint_eq(p1_of(p, 1)->can & IKE_CAN_FRAGMENTS, 0);
	ck_assert_uint_eq(p1_of(p, 0)->can & IKE_CAN_FRAGMENTS, 0);
	pair_free(p);
}
END_TEST

START_TEST(vendor_ids)
{
	static const uint8_t id[24] = {0x40, 0x48, 0xb7, 0xd5, 0x6e, 0xbc, 0xe8, 0x85, 0x25,
				       0xe7, 0xde, 0x7f, 0x00, 0xd6, 0xc2, 0xd3, 0x80};
	static const struct {
		size_t len;
		uint8_t flip;
		unsigned can;
	} cases[] = {{16, 0, IKE_CAN_FRAGMENTS},
		     {20, 0, IKE_CAN_FRAGMENTS},
		     {15, 0, 0},
		     {24, 0, 0},
		     {16, 1, 0},
		     {20, 1, 0}};
	uint8_t copy[24];
	struct isa_message m = {.n_payloads = 1};

	memcpy(copy, id, sizeof(copy));
	copy[15] ^= cases[_i].flip;
	m.payloads[0].type = ISA_VENDOR;
	m.payloads[0].body = (struct cs_bytes){copy, cases[_i].len};
	ck_assert_uint_eq(ike_vendor_read(&m), cases[_i].can);
}
END_TEST

/* ---- bounds ---- */

/* 10,000 messages are begun and none is ended. */
START_TEST(many_ids)
{
	struct pair_policy o = in_mode(0);
	struct pair *p = before_quick1(&o);
	size_t most = 0;

	for (unsigned id = 0; id < 10000; id++) {
		piece(p, 0, quick1, id, 1 + id % 64, false, quick1, PIECE);
		if (p->side[1].e->fragment_bytes > most)
			most = p->side[1].e->fragment_bytes;
	}
	ck_assert_uint_lt(most, 4096);
	ck_assert_uint_eq(pair_stats(p, 1)->fragments_dropped, 9999);
	goes_through(p);
}
END_TEST

START_TEST(too_large)
{
	static uint8_t data[IKE_DATAGRAM_MAX];
	struct pair_policy o = in_mode(0);
	struct pair *p = before_quick1(&o);

	for (unsigned i = 1; i <= 10; i++) /* 1,648 bytes each */
		piece(p, 0, quick1, 7, i, false, data, 1648);
	ck_assert_uint_eq(pair_stats(p, 1)->fragments_dropped, 10);
	ck_assert_uint_eq(p->side[1].e->fragment_bytes, 0);
	/* All that fits does. */
	for (unsigned i = 1; i <= 64; i++)
		piece(p, 0, quick1, 7, i, i == 64, data, IKE_DATAGRAM_MAX / 64);
	ck_assert_uint_eq(pair_stats(p, 1)->reassembled, 1);
	goes_through(p);
}
END_TEST

/* All peers together have 8 MB; those for which nothing came for longest go. */
START_TEST(many_peers)
{
	static uint8_t data[15000];
	enum { PEERS = 600 };
	struct pair_policy o = in_mode(0);
	struct pair *p = before_quick1(&o);
	struct ike_engine *e = p->side[1].e;
	struct ike_p1 *peers = calloc(PEERS, sizeof(*peers));
	struct isa_header h;
	unsigned left = 0;

	ck_assert_ptr_nonnull(peers);
	ck_assert(!isa_header_parse(made, make(quick1, 7, 1, 0, data, sizeof(data)), &h, NULL));
	for (unsigned i = 0; i < PEERS; i++) {
		peers[i].sid.kind = IKE_SID_P1;
		peers[i].can = IKE_CAN_FRAGMENTS;
		ck_assert_uint_eq(ike_fragment_take(e, &peers[i].sid, &h, made), 0);
		ck_assert_uint_le(e->fragment_bytes, 8u << 20);
	}
	for (unsigned i = 0; i < PEERS; i++)
		left += peers[i].sid.fragments != NULL;
	ck_assert_uint_gt(left, 500);
	ck_assert_uint_lt(left, PEERS);
	ck_assert_ptr_null(peers[0].sid.fragments);
	ck_assert_ptr_nonnull(peers[PEERS - 1].sid.fragments);
	for (unsigned i = 0; i < PEERS; i++)
		ike_fragments_free(e, &peers[i].sid);
	ck_assert_uint_eq(e->fragment_bytes, 0);
	free(peers);
	goes_through(p);
}
END_TEST

START_TEST(never_ends)
{
	struct pair_policy o = in_mode(0);
	struct pair *p = before_quick1(&o);

	piece(p, 0, quick1, 7, 2, false, quick1, PIECE);
	pair_wait(p, COLLECT_MS - 1000);
	ck_assert_uint_gt(p->side[1].e->fragment_bytes, 0);
	pair_wait(p, 1001);
	ck_assert_uint_eq(p->side[1].e->fragment_bytes, 0);
	ck_assert_uint_eq(pair_stats(p, 1)->fragments_dropped, 1);
	piece(p, 0, quick1, 7, 2, false, quick1, PIECE);
	pair_free(p); /* with a message that is not whole */
}
END_TEST

/* ---- ours ---- */

#define OFFER "Transport|AES_CBC KeyLength 256|ESP HMAC_SHA2_256_128;"

/* Quick Mode message 1 is large; message 2 is not. */
static struct pair_policy large(void)
{
	static char offers[8192];
	struct pair_policy o = in_mode(0);

	offers[0] = 0;
	for (unsigned i = 0; i < 40; i++)
		strcat(offers, OFFER);
	strcat(offers, "Transport|AES_CBC KeyLength 128|ESP HMAC_SHA1");
	o.data_offers = offers;
	return o;
}

START_TEST(large_message)
{
	struct pair_policy o = large();
	struct net net = {0};
	struct pair *p;

	o.ipv6 = _i;
	p = new_pair(&o, &net, measure);
	pair_acquire(p, 0);
	pair_wait(p, 100);
	pair_expect_up(p);
	ck_assert_uint_ge(net.cut, 2);
	ck_assert_uint_le(net.largest, 1280 - (_i ? 48 : 28));
	ck_assert_uint_ge(net.largest, 1200);
	ck_assert_uint_eq(pair_stats(p, 0)->fragments_sent, net.cut);
	ck_assert_uint_eq(pair_stats(p, 1)->fragments_received, net.cut);
	ck_assert_uint_eq(pair_stats(p, 1)->reassembled, 1);
	ck_assert_uint_eq(pair_stats(p, 1)->fragments_dropped, 0);
	expect_no_pieces(p);
	pair_free(p);
}
END_TEST

static bool lose_first_piece(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	unsigned *lost = p->filter_arg;

	(void)from;
	(void)len;
	return data[16] != ISA_FRAGMENT || (*lost)++;
}

/* All of it comes again, with the same bytes. */
START_TEST(lost_piece)
{
	struct pair_policy o = large();
	unsigned lost = 0;
	struct pair *p = new_pair(&o, NULL, lose_first_piece);

	p->filter_arg = &lost;
	pair_acquire(p, 0);
	ck_assert_uint_eq(p->side[1].n_records[IKE_REC_P2_INTENT], 0);
	pair_wait(p, 2100);
	pair_expect_up(p);
	ck_assert_uint_eq(pair_stats(p, 0)->retransmitted, 1);
	ck_assert_uint_ge(pair_stats(p, 1)->fragments_repeated, 1);
	ck_assert_uint_eq(pair_stats(p, 1)->reassembled, 1);
	pair_free(p);
}
END_TEST

/* From Main Mode's last message on side 0 does not know that its peer can. */
static bool forget(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	if (from && data[18] == ISA_MAIN && data[19] & ISA_FLAG_ENCRYPTED)
		p1_of(p, 0)->can &= (uint8_t)~IKE_CAN_FRAGMENTS;
	return measure(p, from, data, len);
}

START_TEST(large_whole)
{
	struct pair_policy o = large();
	struct net net = {0};
	struct pair *p = new_pair(&o, &net, forget);

	pair_acquire(p, 0);
	pair_expect_up(p);
	ck_assert_uint_gt(net.largest, 1280);
	ck_assert_uint_eq(net.cut, 0);
	pair_free(p);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("fragment");
	TCase *t = tcase_create("fragment");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, every_message, 0, 2 * N_ORDERS);
	tcase_add_loop_test(t, asked_again, 0, 2);
	tcase_add_loop_test(t, bad_fragments, 0, COUNT(bad));
	tcase_add_loop_test(t, contradiction, 0, COUNT(contradictions));
	tcase_add_loop_test(t, whole_but_wrong, 0, 5);
	tcase_add_test(t, inside_a_message);
	tcase_add_test(t, nobody);
	tcase_add_test(t, not_agreed);
	tcase_add_test(t, no_vendor_id);
	tcase_add_loop_test(t, vendor_ids, 0, 6);
	tcase_add_test(t, many_ids);
	tcase_add_test(t, too_large);
	tcase_add_test(t, many_peers);
	tcase_add_test(t, never_ends);
	tcase_add_loop_test(t, large_message, 0, 2);
	tcase_add_test(t, lost_piece);
	tcase_add_test(t, large_whole);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	if (!pair_crypto())
		return EXIT_FAILURE;
	return run_suite(suite());
}
