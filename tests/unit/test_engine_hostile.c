/*
 * Hostile and odd input to the engine: messages that are authentic and yet wrong, things said in
 * clear, other identities at the same address, and memory that runs out at every allocation.
 */
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"
#include "tests/unit/engine_pair.h"
#include "tests/unit/run_suite.h"

/* ---- memory that runs out: the linker puts these in front of the C library's ---- */

static unsigned long fail_at; /* the nth allocation from now; 0: none */

static bool fails(void)
{
	return fail_at && !--fail_at;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__real_ike_arena_get(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
void *__wrap_ike_arena_get(size_t size);

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return fails() ? NULL : __real_reallocarray(p, n, size);
}

void *__wrap_ike_arena_get(size_t size)
{
	return fails() ? NULL : __real_ike_arena_get(size);
}

/* ---- payloads that a message gets before it is sealed ---- */

static struct {
	enum ike_seal kind; /* of the message; IKE_SEAL_PLAIN: none */
	unsigned type;
	uint8_t body[64];
	size_t len;
	unsigned times; /* 0: once */
	bool flip;      /* the last bit of the last payload */
} extra;

size_t __real_ike_seal_end(struct ike_engine *e, struct ike_p1 *p1, struct isa_builder *b,
			   uint32_t mid, enum ike_seal kind, const struct ike_nonce *ni,
			   const struct ike_nonce *nr, uint8_t *iv, struct cs_err *err);
size_t __wrap_ike_seal_end(struct ike_engine *e, struct ike_p1 *p1, struct isa_builder *b,
			   uint32_t mid, enum ike_seal kind, const struct ike_nonce *ni,
			   const struct ike_nonce *nr, uint8_t *iv, struct cs_err *err);

size_t __wrap_ike_seal_end(struct ike_engine *e, struct ike_p1 *p1, struct isa_builder *b,
			   uint32_t mid, enum ike_seal kind, const struct ike_nonce *ni,
			   const struct ike_nonce *nr, uint8_t *iv, struct cs_err *err)
{
	for (unsigned i = 0; extra.len && kind == extra.kind && i < extra.times + !extra.times; i++)
		isa_put(b, extra.type, extra.body, extra.len);
	if (extra.flip && kind == extra.kind)
		b->w.base[b->w.len - 1] ^= 1;
	return __real_ike_seal_end(e, p1, b, mid, kind, ni, nr, iv, err);
}

/* ---- crafting ---- */

static struct ike_p1 *newest_p1(const struct side *s)
{
	return IKE_OF(s->e->p1s.next, struct ike_p1, all);
}

static struct ike_p2 *newest_p2(const struct side *s)
{
	return IKE_OF(s->e->p2s.next, struct ike_p2, all);
}

/* An encrypted Informational with payloads of one type, from side 0 to side 1. */
static void inform(struct pair *p, unsigned type, const uint8_t *body, size_t len, unsigned times)
{
	struct side *s = &p->side[0];
	struct ike_p1 *p1 = newest_p1(s);
	uint32_t mid = ike_new_mid(s->e, p1);
	uint8_t iv[IKE_BLOCK_MAX];
	struct isa_builder b;
	size_t n;

	ike_seal_begin(s->e, p1, &b, ISA_INFORMATIONAL, mid, IKE_SEAL_HASH1);
	while (times--)
		isa_put(&b, type, body, len);
	ck_assert_int_eq(ike_phase2_iv(p1->suite.hash, p1->suite.cipher, p1->iv, mid, iv, NULL), 0);
	n = ike_seal_end(s->e, p1, &b, mid, IKE_SEAL_HASH1, NULL, NULL, iv, NULL);
	ck_assert_uint_gt(n, 0);
	ike_engine_receive(p->side[1].e, &p->side[1].addr, &s->addr, s->e->out, n, p->now);
	pair_run(p);
}

static size_t put_delete(uint8_t *body, uint8_t proto, uint8_t size, uint16_t count,
			 const void *spis, size_t len)
{
	struct cs_writer w = cs_writer_of(body, 256);

	cs_put_u32(&w, 1);
	cs_put_u8(&w, proto);
	cs_put_u8(&w, size);
	cs_put_u16(&w, count);
	cs_put_bytes(&w, spis, len);
	return w.len;
}

static size_t put_notify(uint8_t *body, uint16_t type, const void *spi, uint8_t size,
			 const void *data, size_t len)
{
	struct cs_writer w = cs_writer_of(body, 256);

	cs_put_u32(&w, 1);
	cs_put_u8(&w, 1);
	cs_put_u8(&w, size);
	cs_put_u16(&w, type);
	cs_put_bytes(&w, spi, size);
	cs_put_bytes(&w, data, len);
	return w.len;
}

static struct pair *pair_up2(const struct pair_policy *a, const struct pair_policy *b)
{
	struct pair *p = pair_new(a, b);

	pair_acquire(p, 0);
	ck_assert_msg(pair_mirrored(p), "%s", p->side[1].log);
	return p;
}

/* ---- authentic and wrong ---- */

static const struct {
	uint8_t proto, size;
	uint16_t count;
	size_t len;
} bad_deletes[] = {
	{3, 4, 65535, 4}, {3, 4, 0, 0},   {3, 0, 1, 0}, {3, 5, 1, 5}, {3, 255, 1, 4},
	{1, 8, 1, 8},     {1, 16, 2, 16}, {9, 4, 1, 4}, {3, 4, 1, 3},
};

START_TEST(test_bad_delete)
{
	struct pair *p = pair_up(NULL);
	uint8_t body[256], spis[64];
	uint32_t spi = newest_p2(&p->side[0])->spi_in;
	size_t len;

	memset(spis, 0, sizeof(spis));
	/* The right SPI in front: a wrong shape must not let it through. */
	for (unsigned i = 0; i < 4; i++)
		spis[i] = (uint8_t)(spi >> (24 - 8 * i));
	len = put_delete(body, bad_deletes[_i].proto, bad_deletes[_i].size, bad_deletes[_i].count,
			 spis, bad_deletes[_i].len);
	inform(p, ISA_DELETE, body, len, 1);
	ck_assert_uint_eq(pair_stats(p, 1)->p2_live, 1);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 1);
	pair_free(p);
}
END_TEST

/* The same deletion 20 times in one message, and again in another: one end, one answer. */
START_TEST(test_delete_many)
{
	struct pair *p = pair_up(NULL);
	uint8_t body[256], spi[4];
	uint32_t value = newest_p2(&p->side[0])->spi_in;
	unsigned sent = p->n_history;
	size_t len;

	for (unsigned i = 0; i < 4; i++)
		spi[i] = (uint8_t)(value >> (24 - 8 * i));
	len = put_delete(body, 3, 4, 1, spi, 4);
	inform(p, ISA_DELETE, body, len, 20);
	inform(p, ISA_DELETE, body, len, 20);
	ck_assert_uint_eq(pair_stats(p, 1)->p2_live, 0);
	ck_assert_uint_eq(pair_stats(p, 1)->p2_down, 1);
	ck_assert_uint_eq(p->side[1].n_sas, 0);
	ck_assert_uint_le(p->n_history - sent, 2);
	pair_free(p);
}
END_TEST

/* Deletes its own phase 1, and goes on in the same message. */
START_TEST(test_delete_then_notify)
{
	struct pair *p = pair_up(NULL);
	struct ike_p1 *p1 = newest_p1(&p->side[0]);
	uint8_t body[256], cookies[16];
	size_t len;

	memcpy(cookies, p1->sid.icookie, 8);
	memcpy(cookies + 8, p1->sid.rcookie, 8);
	len = put_delete(body, 1, 16, 1, cookies, 16);
	inform(p, ISA_DELETE, body, len, 30);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 0);
	ck_assert_uint_eq(pair_stats(p, 1)->p2_live, 1);
	pair_free(p);
}
END_TEST

START_TEST(test_dpd)
{
	struct pair *p = pair_up(NULL);
	struct ike_p1 *p1 = newest_p1(&p->side[0]);
	uint8_t body[256], cookies[16];
	unsigned sent = p->n_history;

	memcpy(cookies, p1->sid.icookie, 8);
	memcpy(cookies + 8, p1->sid.rcookie, 8);
	inform(p, ISA_NOTIFY, body, put_notify(body, ISA_N_R_U_THERE, cookies, 16, "0001", 4), 1);
	ck_assert_uint_eq(p->n_history, sent + 1);
	/* Wrong SPI, wrong size, wrong data: no answer. */
	cookies[3] ^= 1;
	inform(p, ISA_NOTIFY, body, put_notify(body, ISA_N_R_U_THERE, cookies, 16, "0001", 4), 1);
	inform(p, ISA_NOTIFY, body, put_notify(body, ISA_N_R_U_THERE, cookies, 0, "0001", 4), 1);
	inform(p, ISA_NOTIFY, body, put_notify(body, ISA_N_R_U_THERE, cookies, 255, "", 0), 1);
	cookies[3] ^= 1;
	inform(p, ISA_NOTIFY, body, put_notify(body, ISA_N_R_U_THERE, cookies, 16, "001", 3), 1);
	ck_assert_uint_eq(p->n_history, sent + 1);
	pair_free(p);
}
END_TEST

/* Every notify type, in a message with as many payloads as fit: nothing falls over. */
START_TEST(test_notifies)
{
	struct pair *p = pair_up(NULL);
	uint8_t body[256];

	for (unsigned type = 0; type < 65536; type += type < 64 ? 1 : 257)
		inform(p, ISA_NOTIFY, body, put_notify(body, (uint16_t)type, "abcd", 4, "data", 4),
		       40);
	ck_assert_uint_eq(pair_stats(p, 1)->p2_live, 1);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 1);
	pair_free(p);
}
END_TEST

/* INITIAL-CONTACT under an old phase 1 deletes nothing that came up since. */
START_TEST(test_late_initial_contact)
{
	struct pair *p = pair_up(NULL);
	uint8_t body[256];

	inform(p, ISA_NOTIFY, body, put_notify(body, ISA_N_INITIAL_CONTACT, "", 0, "", 0), 3);
	ck_assert_uint_eq(pair_stats(p, 1)->p2_live, 1);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 1);
	pair_free(p);
}
END_TEST

/* In an Informational after phase 1, as racoon says it: what was there before goes, that one stays.
 */
START_TEST(test_initial_contact_after_phase1)
{
	struct pair *p = pair_up(NULL);
	uint8_t body[256];

	ck_assert(!ike_engine_refresh_p1(p->side[0].e, 1, p->now, NULL));
	pair_run(p);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 2);
	inform(p, ISA_NOTIFY, body, put_notify(body, ISA_N_INITIAL_CONTACT, "", 0, "", 0), 1);
	ck_assert_uint_eq(pair_stats(p, 1)->p2_live, 0);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 1);
	ck_assert_uint_eq(p->side[1].n_sas, 0);
	pair_free(p);
}
END_TEST

/* A HASH that is not right: nothing in the message is looked at. */
START_TEST(test_wrong_hash)
{
	static const struct ike_nonce wrong = {8, "notthere"};
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct ike_p1 *p1 = newest_p1(s);
	uint32_t mid = ike_new_mid(s->e, p1);
	uint8_t iv[IKE_BLOCK_MAX], body[256], cookies[16];
	struct isa_builder b;
	size_t n;

	memcpy(cookies, p1->sid.icookie, 8);
	memcpy(cookies + 8, p1->sid.rcookie, 8);
	ike_seal_begin(s->e, p1, &b, ISA_INFORMATIONAL, mid, IKE_SEAL_HASH1);
	isa_put(&b, ISA_DELETE, body, put_delete(body, 1, 16, 1, cookies, 16));
	ike_phase2_iv(p1->suite.hash, p1->suite.cipher, p1->iv, mid, iv, NULL);
	n = ike_seal_end(s->e, p1, &b, mid, IKE_SEAL_HASH2, &wrong, NULL, iv, NULL);
	ike_engine_receive(p->side[1].e, &p->side[1].addr, &s->addr, s->e->out, n, p->now);
	ck_assert_uint_eq(pair_stats(p, 1)->auth_failures, 1);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 1);
	pair_free(p);
}
END_TEST

static const struct {
	const char *ci, *cr; /* hexadecimal ID payload bodies */
	bool fits;
} quick_ids[] = {
	{"01000000c0000201", "01000000c6336402", true},
	{"04000000c0000201ffffffff", "01000000c6336402", true},  /* a prefix of one */
	{"07000000c0000201c0000201", "01000000c6336402", true},  /* a range of one */
	{"01060050c0000201", "01060000c6336402", true},          /* tcp */
	{"01060050c0000201", "01110000c6336402", false},         /* tcp and udp */
	{"01000050c0000201", "01000000c6336402", false},         /* a port of no protocol */
	{"04000000c0000200ff00ff00", "01000000c6336402", false}, /* holes */
	{"04000000c0000200ffffff00", "01000000c6336402", false}, /* more than the rule */
	{"07000000c0000202c0000201", "01000000c6336402", false}, /* ends before it begins */
	{"01000000c00002", "01000000c6336402", false},           /* short */
	{"01000000c000020101", "01000000c6336402", false},       /* long */
	{"00000000c0000201", "01000000c6336402", false},
	{"02000000c0000201", "01000000c6336402", false},
	{"0b000000c0000201", "01000000c6336402", false},
	{"ff000000c0000201", "01000000c6336402", false},
	{"0500000020010db8000000000000000000000001", "01000000c6336402", false},
	{"01000000c6336402", "01000000c0000201", false}, /* the wrong way round */
};

START_TEST(test_quick_ids)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct ike_p1 *p1 = newest_p1(s);
	uint32_t mid = ike_new_mid(s->e, p1);
	uint8_t iv[IKE_BLOCK_MAX], id[64];
	struct isa_builder b;
	unsigned sent = p->n_history;
	size_t n;

	ike_seal_begin(s->e, p1, &b, ISA_QUICK, mid, IKE_SEAL_HASH1);
	isa_payload_begin(&b, ISA_SA);
	ike_p2_offer(s->policy->rules[0].vpn, 0, IKE_PATH_TRANSPORT, -1,
		     &(struct ike_p2_spis){.esp = 0x4711}, &b.w, NULL);
	isa_payload_end(&b);
	isa_put(&b, ISA_NONCE, "0123456789", 10);
	isa_put(&b, ISA_ID, id, (size_t)cs_unhex(quick_ids[_i].ci, id, sizeof(id)));
	isa_put(&b, ISA_ID, id, (size_t)cs_unhex(quick_ids[_i].cr, id, sizeof(id)));
	ike_phase2_iv(p1->suite.hash, p1->suite.cipher, p1->iv, mid, iv, NULL);
	n = ike_seal_end(s->e, p1, &b, mid, IKE_SEAL_HASH1, NULL, NULL, iv, NULL);
	ike_engine_receive(p->side[1].e, &p->side[1].addr, &s->addr, s->e->out, n, p->now);
	ck_assert_msg(pair_stats(p, 1)->p2_live == (quick_ids[_i].fits ? 2 : 1), "%s",
		      p->side[1].log);
	ck_assert_uint_eq(p->n_history, sent + 1); /* message 2, or why not */
	pair_free(p);
}
END_TEST

static const struct {
	const char *local, *remote, *service;
	bool ipv6;
} selectors[] = {
	{"10.1.0.5-10.1.0.9", "10.2.0.0/16", NULL, false},
	{"10.1.0.0/16", "10.2.0.250-10.2.1.3", "Protocol Tcp", false},
	{"2001:db8:a::5-2001:db8:a::1:9", "2001:db8:b::/64", NULL, true},
	{"2001:db8:a::/64", "2001:db8:b::7", "Protocol Tcp", true},
};

/* Ranges and prefixes of both families, with a protocol, as the two ends name them. */
START_TEST(test_selectors)
{
	struct pair_policy a = {.data_offers = "Tunnel|AES_CBC KeyLength 128|ESP HMAC_SHA1",
				.ipv6 = selectors[_i].ipv6,
				.local_net = selectors[_i].local,
				.remote_net = selectors[_i].remote,
				.service = selectors[_i].service};
	struct pair_policy b = a;
	const struct cs_selector *s;
	struct cs_range local, remote;
	struct cs_err err;
	struct pair *p;

	b.local_net = a.remote_net;
	b.remote_net = a.local_net;
	p = pair_up2(&a, &b);
	ck_assert(!cs_range_parse(a.local_net, &local, &err) &&
		  !cs_range_parse(a.remote_net, &remote, &err));
	s = &newest_p2(&p->side[1])->tunnel->selector;
	ck_assert(cs_range_equal(&s->local, &remote) && cs_range_equal(&s->remote, &local));
	s = &newest_p2(&p->side[0])->tunnel->selector;
	ck_assert(cs_range_equal(&s->local, &local) && cs_range_equal(&s->remote, &remote));
	pair_free(p);
}
END_TEST

/* Payloads that Quick Mode does not need: those without a meaning end it, others do not. */
static const struct {
	unsigned type, times, notify;
	bool taken;
} odd_payloads[] = {
	{ISA_VENDOR, 20, 0, true},
	{ISA_VENDOR, ISA_PAYLOADS_MAX, 0, false},
	{ISA_NOTIFY, 1, ISA_N_REPLAY_STATUS, true},
	{ISA_NOTIFY, 1, 31, true},    /* an error type that is not known */
	{ISA_NOTIFY, 3, 40500, true}, /* private */
	{200, 1, 0, true},            /* private */
	{14, 1, 0, false},
	{15, 1, 0, false},
	{127, 1, 0, false},
	{ISA_DELETE, 1, 0, false},
	{ISA_CERT, 1, 0, false},
};

START_TEST(test_odd_payloads)
{
	unsigned i = (unsigned)_i / 2, sender = (unsigned)_i % 2;
	struct pair *p = pair_new(NULL, NULL);
	char text[32];

	snprintf(text, sizeof(text), "payload %u", odd_payloads[i].type);
	memset(extra.body, 1, 16);
	extra.kind = sender ? IKE_SEAL_HASH2 : IKE_SEAL_HASH1;
	extra.type = odd_payloads[i].type;
	extra.times = odd_payloads[i].times;
	extra.len = 16;
	if (odd_payloads[i].notify)
		extra.len = put_notify(extra.body, (uint16_t)odd_payloads[i].notify, "spi!", 4,
				       "data", 4);
	pair_acquire(p, 0);
	extra.len = 0;
	if (odd_payloads[i].taken) {
		pair_expect_up(p);
	} else {
		ck_assert_uint_eq(pair_stats(p, sender)->p2_up, 0);
		if (odd_payloads[i].times == 1)
			ck_assert_msg(pair_said(&p->side[!sender], text), "%s",
				      p->side[!sender].log);
		pair_wait(p, 300000);
		pair_expect_nothing(p);
	}
	pair_free(p);
}
END_TEST

/* A peer that negotiates the same tunnel again and again: four generations live, the newest. */
START_TEST(test_generations)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct ike_p1 *p1 = newest_p1(s);
	struct ike_tunnel *t = newest_p2(s)->tunnel;

	for (unsigned n = 0; n < 10; n++) {
		struct ike_p2 *p2 = ike_p2_new(s->e, p1, s->policy, &s->policy->rules[0], t, true);

		ck_assert_ptr_nonnull(p2);
		ike_quick_start(s->e, p2);
		pair_run(p);
		pair_wait(p, 6000); /* until the new pair carries the traffic */
	}
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(pair_stats(p, i)->p2_live, 4);
		ck_assert_uint_eq(newest_p2(&p->side[i])->generation, 11);
		ck_assert_uint_eq(p->side[i].n_policies, 1);
	}
	ck_assert(pair_mirrored(p));
	pair_free(p);
}
END_TEST

static bool no_informational(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	(void)p;
	(void)from;
	(void)len;
	return data[18] != ISA_INFORMATIONAL;
}

/*
 * A successor of ours that waits comes up because its phase 1 SA ends, and the oldest generation
 * gives way to it: that one is next in the list of what the SA that ends has.
 */
START_TEST(test_generations_with_phase1)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	uint8_t body[64], cookies[2 * ISA_COOKIE_LEN];
	struct ike_p1 *old = newest_p1(s);
	struct cs_err err;

	ck_assert_int_eq(ike_engine_refresh_p1(s->e, old->tunnel, p->now, &err), 0);
	pair_run(p);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_up, 2);
	for (unsigned n = 0; n < 3; n++) {
		ck_assert_int_eq(ike_engine_refresh_p2(s->e, 2, p->now, &err), 0);
		pair_run(p);
		pair_wait(p, 6000);
	}
	p->filter = no_informational; /* the oldest stays with side 1 for now */
	ck_assert_int_eq(ike_engine_refresh_p2(p->side[1].e, 2, p->now, &err), 0);
	pair_run(p);
	p->filter = NULL;
	ck_assert_int_eq(newest_p2(&p->side[1])->state, IKE_QM_SENT_3);
	memcpy(cookies, old->sid.icookie, ISA_COOKIE_LEN);
	memcpy(cookies + ISA_COOKIE_LEN, old->sid.rcookie, ISA_COOKIE_LEN);
	inform(p, ISA_DELETE, body, put_delete(body, 1, sizeof(cookies), 1, cookies, 16), 1);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 1);
	memcpy(cookies, newest_p1(s)->sid.icookie, ISA_COOKIE_LEN);
	memcpy(cookies + ISA_COOKIE_LEN, newest_p1(s)->sid.rcookie, ISA_COOKIE_LEN);
	inform(p, ISA_DELETE, body, put_delete(body, 1, sizeof(cookies), 1, cookies, 16), 1);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 0);
	ck_assert_uint_eq(pair_stats(p, 1)->p2_live, 4);
	pair_free(p);
}
END_TEST

/* What waits for the peer is gone there, too, and does not come up because the older pair ends. */
START_TEST(test_initial_contact_while_one_waits)
{
	struct pair *p = pair_up(NULL);
	uint8_t body[64];
	struct cs_err err;

	ck_assert_int_eq(ike_engine_refresh_p2(p->side[1].e, 2, p->now, &err), 0);
	pair_run(p);
	ck_assert_int_eq(newest_p2(&p->side[1])->state, IKE_QM_SENT_3);
	ck_assert_int_eq(ike_engine_refresh_p1(p->side[0].e, 1, p->now, &err), 0);
	pair_run(p);
	inform(p, ISA_NOTIFY, body, put_notify(body, ISA_N_INITIAL_CONTACT, "", 0, "", 0), 1);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 1);
	ck_assert_uint_eq(pair_stats(p, 1)->p2_live, 0);
	ck_assert_uint_eq(p->side[1].n_policies, 0);
	pair_free(p);
}
END_TEST

static const struct {
	const char *attributes;
	unsigned life;
} lifetimes[] = {
	{"80010001800203e8", 1000},         /* seconds, basic */
	{"8001000100020004000003e8", 1000}, /* variable */
	{"800100010002000400000e11", 3600}, /* longer than agreed */
	{"8001000180020001", 3600},         /* one second would be no lifetime */
	{"8001000180020000", 3600},
	{"800100028002ffff", 3600}, /* kilobytes */
	{"80020064", 3600},         /* no unit */
	{"80010001000200ff", 3600}, /* cut short */
	{"800100010002000a00000000000000000001", 3600},
	{"8001", 3600},
};

START_TEST(test_responder_lifetime)
{
	struct pair *p = pair_new(NULL, NULL);
	uint8_t data[32];
	int n = cs_unhex(lifetimes[_i].attributes, data, sizeof(data));

	extra.kind = IKE_SEAL_HASH2;
	extra.type = ISA_NOTIFY;
	extra.len = put_notify(extra.body, ISA_N_RESPONDER_LIFETIME, "spi!", 4, data, (size_t)n);
	pair_acquire(p, 0);
	ck_assert(pair_mirrored(p));
	ck_assert_uint_eq(newest_p2(&p->side[0])->life_seconds, lifetimes[_i].life);
	pair_free(p);
}
END_TEST

/* A life in kilobytes that overflows when it is counted in bytes. */
START_TEST(test_endless_size)
{
	static const uint8_t data[] = {0x80, 1, 0, 2, 0, 2, 0, 8, 0, 0x40, 0, 0, 0, 0, 0, 1};
	struct pair *p = pair_new(NULL, NULL);

	extra.kind = IKE_SEAL_HASH2;
	extra.type = ISA_NOTIFY;
	extra.len = put_notify(extra.body, ISA_N_RESPONDER_LIFETIME, "spi!", 4, data, sizeof(data));
	pair_acquire(p, 0);
	ck_assert(pair_mirrored(p));
	for (unsigned i = 0; i < p->side[0].n_sas; i++) {
		ck_assert_uint_ge(p->side[0].sas[i].sa.soft_bytes, 1ull << 40);
		ck_assert_uint_gt(p->side[0].sas[i].sa.hard_bytes, p->side[0].sas[i].sa.soft_bytes);
	}
	pair_free(p);
}
END_TEST

/* Numbers go on for ever, reqids come round: one that lives is not given again. */
START_TEST(test_reqid_again)
{
	struct pair *p = pair_new(NULL, NULL);
	struct ike_engine *e = p->side[0].e;
	struct cs_selector other;
	struct ike_tunnel_key key;
	struct ike_tunnel *t;
	struct ike_p2 *p2;

	pair_acquire(p, 0);
	p2 = newest_p2(&p->side[0]);
	other = p2->tunnel->selector;
	other.proto = IPPROTO_TCP;
	e->last_tunnel = p2->tunnel->number + 3 * XF_REQID_TUNNEL_MAX - 1;
	key = ike_tunnel_key_of(p2->tunnel);
	key.selector = &other;
	t = ike_tunnel_get(e, &key);
	ck_assert_ptr_nonnull(t);
	ck_assert_uint_eq(t->number, p2->tunnel->number + 3 * XF_REQID_TUNNEL_MAX + 1);
	ck_assert_uint_ne(t->reqid, p2->tunnel->reqid);
	ike_tunnel_put(e, t);
	pair_free(p);
}
END_TEST

/* Traffic that lies behind another endpoint is not this peer's to draw to itself. */
START_TEST(test_other_endpoint)
{
	const struct pair_policy o[2] = {
		{.data_offers = "Tunnel|AES_CBC KeyLength 128|ESP HMAC_SHA1",
		 .local_net = "10.1.0.0/16",
		 .remote_net = "10.2.0.0/16"},
		{.data_offers = "Tunnel|AES_CBC KeyLength 128|ESP HMAC_SHA1",
		 .local_net = "10.2.0.0/16",
		 .remote_net = "10.1.0.0/16"},
	};
	struct pair *p = pair_new(&o[0], &o[1]);
	struct pol_start_action *start =
		(struct pol_start_action *)(uintptr_t)p->side[1].policy->rules[0].start;
	uint8_t another[4] = {203, 0, 113, 99};

	start->remote = cs_addr_from_bytes(AF_INET, another);
	pair_acquire(p, 0);
	pair_run(p);
	ck_assert_uint_eq(pair_installed(&p->side[1]), 0);
	ck_assert(pair_said(&p->side[1], "names another RemoteSecurityEndpointAddr"));
	ck_assert(pair_said(&p->side[0], "INVALID-ID-INFORMATION"));
	pair_free(p);
}
END_TEST

#define MANY_QUICKS 40

static bool lose_quick_answers(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	(void)p;
	return !(from == 1 && *len > ISA_HEADER_LEN && data[18] == ISA_QUICK);
}

/* A peer may not have any number of Quick Modes under way; what was too many comes up later. */
START_TEST(test_many_quick_modes)
{
	const struct pair_policy o[2] = {
		{.data_offers = "Tunnel|AES_CBC KeyLength 128|ESP HMAC_SHA1",
		 .local_net = "10.1.0.0/16",
		 .remote_net = "10.2.0.0/16",
		 .a_tunnel_a_host = true},
		{.data_offers = "Tunnel|AES_CBC KeyLength 128|ESP HMAC_SHA1",
		 .local_net = "10.2.0.0/16",
		 .remote_net = "10.1.0.0/16"},
	};
	struct pair *p = pair_new(&o[0], &o[1]);

	p->filter = lose_quick_answers;
	for (unsigned i = 0; i < MANY_QUICKS; i++) {
		struct xf_acquire a = {.rule_id = XF_MARK_RULE_MIN, .proto = IPPROTO_ESP};
		uint8_t from[4] = {10, 1, 0, 1}, to[4] = {10, 2, 1, (uint8_t)i};

		a.src = cs_addr_from_bytes(AF_INET, from);
		a.dst = cs_addr_from_bytes(AF_INET, to);
		a.selector.local = cs_range_single(&a.src);
		a.selector.remote = cs_range_single(&a.dst);
		ike_engine_acquire(p->side[0].e, &a, p->now);
		pair_run(p);
	}
	ck_assert_uint_eq(pair_stats(p, 1)->p2_live, 32);
	ck_assert_uint_ge(pair_stats(p, 1)->dropped_limit, MANY_QUICKS - 32);
	p->filter = NULL;
	pair_wait(p, 20000);
	ck_assert_uint_eq(pair_installed(&p->side[0]), 2 * MANY_QUICKS);
	ck_assert_uint_eq(pair_installed(&p->side[1]), 2 * MANY_QUICKS);
	ck_assert(pair_mirrored(p));
	pair_free(p);
}
END_TEST

/* A responder that answers with other selectors than it was asked for. */
START_TEST(test_other_selectors)
{
	struct pair *p = pair_new(NULL, NULL);

	extra.kind = IKE_SEAL_HASH2;
	extra.flip = true;
	pair_acquire(p, 0);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_live, 0);
	ck_assert_uint_eq(pair_stats(p, 1)->p2_live, 0); /* it is told */
	ck_assert_msg(pair_said(&p->side[0], "not those we sent"), "%s", p->side[0].log);
	pair_free(p);
}
END_TEST

/* ---- in clear ---- */

START_TEST(test_clear_informational)
{
	struct pair *p = pair_up(NULL);
	struct ike_p1 *p1 = newest_p1(&p->side[0]);
	struct isa_header h = {.version = 0x10, .exchange = ISA_INFORMATIONAL, .message_id = 7};
	uint8_t buf[300], body[256], spi[4];
	uint32_t value = newest_p2(&p->side[0])->spi_in;
	struct isa_builder b;
	size_t len;

	for (unsigned i = 0; i < 4; i++)
		spi[i] = (uint8_t)(value >> (24 - 8 * i));
	memcpy(h.icookie, p1->sid.icookie, 8);
	memcpy(h.rcookie, p1->sid.rcookie, 8);
	isa_begin(&b, buf, sizeof(buf), &h);
	isa_put(&b, ISA_DELETE, body, put_delete(body, 3, 4, 1, spi, 4));
	isa_put(&b, ISA_NOTIFY, body, put_notify(body, ISA_N_INITIAL_CONTACT, "", 0, "", 0));
	isa_put(&b, ISA_NOTIFY, body, put_notify(body, ISA_N_INVALID_COOKIE, "", 0, "", 0));
	len = isa_end(&b, 0);
	ike_engine_receive(p->side[1].e, &p->side[1].addr, &p->side[0].addr, buf, len, p->now);
	ck_assert_uint_eq(pair_stats(p, 1)->p2_live, 1);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 1);
	pair_free(p);
}
END_TEST

static bool reflect(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	struct side *s = &p->side[from];

	ike_engine_receive(s->e, &s->addr, &p->side[!from].addr, data, *len, p->now);
	return true;
}

/* Every message comes back to its sender, too: never taken for the peer's. */
START_TEST(test_reflected)
{
	struct pair *p = pair_new(NULL, NULL);

	p->filter = reflect;
	pair_acquire(p, 0);
	pair_wait(p, 20000);
	ck_assert(pair_mirrored(p));
	for (unsigned i = 0; i < 2; i++)
		ck_assert_uint_eq(pair_stats(p, i)->p1_live, 1);
	pair_free(p);
}
END_TEST

/* Quick Mode before phase 1 is authenticated. */
static bool stop_at_5(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	(void)p;
	(void)data;
	(void)len;
	return !(from == 0 && data[19] & ISA_FLAG_ENCRYPTED);
}

START_TEST(test_early_quick)
{
	struct pair *p = pair_new(NULL, NULL);
	struct datagram *d;

	p->filter = stop_at_5;
	pair_acquire(p, 0);
	d = &p->history[p->n_history - 1];
	for (unsigned exchange = 0; exchange < 256; exchange++) {
		d->data[18] = (uint8_t)exchange;
		d->data[23] = exchange == ISA_MAIN ? 0 : 9;
		if (exchange != ISA_MAIN)
			ike_engine_receive(p->side[1].e, &p->side[1].addr, &p->side[0].addr,
					   d->data, d->len, p->now);
	}
	ck_assert_uint_eq(pair_stats(p, 1)->p2_live, 0);
	ck_assert_uint_eq(p->side[1].n_sas, 0);
	p->filter = NULL;
	pair_wait(p, 3000);
	ck_assert(pair_mirrored(p));
	pair_free(p);
}
END_TEST

/* ---- somebody else at the same address ---- */

START_TEST(test_other_identity)
{
	static const struct pair_policy left = {.local_id = "Fqdn a.example.com"};
	static const struct pair_policy twin = {.local_id = "Fqdn b.example.com"};
	static const struct pair_policy right = {.remote_id = "Fqdn *.example.com"};
	struct pair *p = pair_up2(&left, &right);
	struct ike_settings set = {.retries = 6, .last_tunnel = 100, .marking = {16}};
	struct side *s = &p->side[0];
	uint8_t body[256], spi[4];
	struct ike_ops ops;
	uint32_t old = newest_p2(s)->spi_in;
	size_t len;

	/* The left host dies without a word and comes back as another one. */
	ike_engine_shutdown(s->e, false, true, p->now);
	ike_engine_free(s->e);
	s->n_sas = s->n_policies = 0;
	s->n_records[IKE_REC_P2_UP] = 0;
	pol_unref(s->policy);
	s->policy = pair_make_policy(&twin, 0);
	pair_ops(&ops);
	ck_assert_int_eq(ike_engine_new(&set, &ops, s, &s->e, NULL), 0);
	ike_engine_policy(s->e, s->policy, p->now);
	pair_acquire(p, 0);
	/* Its INITIAL-CONTACT is not for what the other identity has. */
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 2);
	ck_assert_uint_eq(pair_stats(p, 1)->p2_live, 2);
	for (unsigned i = 0; i < 4; i++)
		spi[i] = (uint8_t)(old >> (24 - 8 * i));
	len = put_delete(body, 3, 4, 1, spi, 4);
	inform(p, ISA_DELETE, body, len, 1);
	ck_assert_uint_eq(pair_stats(p, 1)->p2_live, 2);
	pair_free(p);
}
END_TEST

/* ---- memory ---- */

/* The nth allocation fails: that exchange may die, the next attempt works, nothing leaks. */
START_TEST(test_no_memory)
{
	const struct pair_policy o = {.pfs = "Group19",
				      .data_offers = "Tunnel|3DES|ESP HMAC_MD5",
				      .how_to_initiate = _i ? "Aggressive" : "Main",
				      .how_to_respond = "Either"};
	unsigned long n = 1;

	for (;; n++) {
		struct pair *p = pair_new(&o, &o);
		bool reached;

		fail_at = n;
		pair_acquire(p, 0);
		pair_wait(p, 30); /* that Quick Mode waits after Aggressive Mode */
		reached = !fail_at;
		fail_at = 0;
		pair_wait(p, 600000);
		if (!pair_mirrored(p))
			pair_acquire(p, 0);
		pair_wait(p, 10000);
		ck_assert_msg(pair_mirrored(p), "allocation %lu:\n%s\n%s", n, p->side[0].log,
			      p->side[1].log);
		pair_free(p);
		if (!reached)
			break;
	}
	ck_assert_uint_gt(n, 40);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("engine, hostile input");
	TCase *t = tcase_create("all");

	if (!pair_crypto())
		return EXIT_FAILURE;
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_bad_delete, 0, sizeof(bad_deletes) / sizeof(bad_deletes[0]));
	tcase_add_test(t, test_delete_many);
	tcase_add_test(t, test_delete_then_notify);
	tcase_add_test(t, test_dpd);
	tcase_add_test(t, test_notifies);
	tcase_add_test(t, test_late_initial_contact);
	tcase_add_test(t, test_initial_contact_after_phase1);
	tcase_add_test(t, test_initial_contact_while_one_waits);
	tcase_add_test(t, test_generations);
	tcase_add_test(t, test_generations_with_phase1);
	tcase_add_test(t, test_wrong_hash);
	tcase_add_test(t, test_reqid_again);
	tcase_add_test(t, test_other_endpoint);
	tcase_add_test(t, test_many_quick_modes);
	tcase_add_test(t, test_other_selectors);
	tcase_add_loop_test(t, test_quick_ids, 0, sizeof(quick_ids) / sizeof(quick_ids[0]));
	tcase_add_loop_test(t, test_selectors, 0, sizeof(selectors) / sizeof(selectors[0]));
	tcase_add_loop_test(t, test_odd_payloads, 0,
			    2 * sizeof(odd_payloads) / sizeof(odd_payloads[0]));
	tcase_add_loop_test(t, test_responder_lifetime, 0,
			    sizeof(lifetimes) / sizeof(lifetimes[0]));
	tcase_add_test(t, test_endless_size);
	tcase_add_test(t, test_clear_informational);
	tcase_add_test(t, test_reflected);
	tcase_add_test(t, test_early_quick);
	tcase_add_test(t, test_other_identity);
	tcase_add_loop_test(t, test_no_memory, 0, 2);
	suite_add_tcase(s, t);
	return run_suite(s);
}
