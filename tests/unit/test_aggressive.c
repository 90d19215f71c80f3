/*
 * Aggressive Mode: what two engines agree on, identities that choose the key, messages that are
 * lost, doubled, swapped or made up, and what a stranger's message 1 may cost.
 */
#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"
#include "tests/unit/engine_pair.h"
#include "tests/unit/run_suite.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define SETTLE   30 /* milliseconds after message 3 that Quick Mode begins */
#define MESSAGES 6  /* of both exchanges */

#define AGGRESSIVE .how_to_initiate = "Aggressive", .how_to_respond = "Aggressive"

static const struct pair_policy plain = {AGGRESSIVE};

/* ---- a last message in clear: the linker puts this in front of the engine's ---- */

static bool clear_third; /* of side 0 */

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
	if (!clear_third || kind != IKE_SEAL_PLAIN)
		return __real_ike_seal_end(e, p1, b, mid, kind, ni, nr, iv, err);
	e->out[19] = 0;
	return isa_end(b, 0);
}

/* ---- what tests do ---- */

static struct ike_p1 *newest_p1(const struct side *s)
{
	return IKE_OF(s->e->p1s.next, struct ike_p1, all);
}

/* From side 0, with as much time as a good network needs. */
static struct pair *start(const struct pair_policy *a, const struct pair_policy *b)
{
	struct pair *p = pair_new(a, b);

	pair_acquire(p, 0);
	pair_wait(p, SETTLE);
	return p;
}

static bool drop_all(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	(void)p;
	(void)from;
	(void)data;
	(void)len;
	return false;
}

static bool drop_nth(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	unsigned *left = p->filter_arg;

	(void)from;
	(void)data;
	(void)len;
	return (*left)-- != 0;
}

static bool only_first(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	(void)p;
	(void)len;
	return from == 1 || !memcmp(data + ISA_COOKIE_LEN, "\0\0\0\0\0\0\0\0", ISA_COOKIE_LEN);
}

static unsigned sent_by(const struct pair *p, unsigned from)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->n_history; i++)
		n += p->history[i].from == from;
	return n;
}

/* A datagram as if the other side had sent it to side i. */
static void give(struct pair *p, unsigned i, const uint8_t *data, size_t len)
{
	ike_engine_receive(p->side[i].e, &p->side[i].addr, &p->side[!i].addr, data, len, p->now);
}

/* ---- what is agreed ---- */

static const struct {
	const char *ke, *pfs;
} suites[] = {
	{"3DES|MD5|Group1", "None"},
	{"AES_CBC KeyLength 128|SHA1|Group2", "Group2"},
	{"3DES|SHA1|Group5", "None"},
	{"AES_CBC KeyLength 256|SHA2_256|Group14", "None"},
	{"AES_CBC KeyLength 256|SHA2_384|Group20", "Group19"},
	{"AES_CBC KeyLength 128|SHA2_512|Group21", "None"},
	{"AES_CBC KeyLength 256|SHA2_256|Group24", "None"},
	{"3DES|SHA1|Group19;AES_CBC KeyLength 256|SHA2_256|Group19", "None"},
};

static int see_mode(void *arg, const struct ike_p1_info *info)
{
	ck_assert_int_eq(info->mode, POL_MODE_AGGRESSIVE);
	ck_assert_int_eq(info->state, IKE_P1_DONE);
	++*(unsigned *)arg;
	return 0;
}

START_TEST(test_suites)
{
	unsigned i = (unsigned)_i / 2, seen = 0;
	struct pair_policy o = {AGGRESSIVE, .ke_offers = suites[i].ke, .pfs = suites[i].pfs};
	struct pair *p;

	o.ipv6 = _i % 2;
	p = start(&o, &o);
	pair_expect_up(p);
	ck_assert_uint_eq(p->n_history, MESSAGES);
	ck_assert_uint_eq(pair_stats(p, 0)->retransmitted + pair_stats(p, 1)->retransmitted, 0);
	for (unsigned s = 0; s < 2; s++)
		ike_engine_each_p1(p->side[s].e, see_mode, &seen);
	ck_assert_uint_eq(seen, 2);
	ck_assert(pair_said(&p->side[1], "in Aggressive Mode"));
	pair_free(p);
}
END_TEST

/* The responder takes the second of two offers; the initiator knows it again. */
START_TEST(test_second_offer)
{
	static const struct pair_policy a = {
		AGGRESSIVE, .ke_offers = "3DES|MD5|Group19;AES_CBC KeyLength 256|SHA2_256|Group19"};
	static const struct pair_policy b = {AGGRESSIVE,
					     .ke_offers = "AES_CBC KeyLength 256|SHA2_256|Group19"};
	struct pair *p = start(&a, &b);

	pair_expect_up(p);
	ck_assert_str_eq(newest_p1(&p->side[0])->suite.cipher->suite, "aes256");
	pair_free(p);
}
END_TEST

START_TEST(test_jobs_and_commits_later)
{
	static const struct pair_policy o = {AGGRESSIVE, .pfs = "Group19"};
	struct pair *p = pair_new(&o, &o);

	for (unsigned i = 0; i < 2; i++)
		p->side[i].later = p->side[i].jobs_later = true;
	pair_acquire(p, 0);
	for (unsigned round = 0; round < 20 && !p->side[1].open_intent; round++) {
		pair_jobs(p);
		pair_wait(p, SETTLE);
	}
	pair_commit(&p->side[1], 0);
	pair_jobs(p);
	pair_commit(&p->side[0], 0);
	pair_expect_up(p);
	pair_free(p);
}
END_TEST

/* An exchange that dies while its job runs leaves the job to clean up; in every job. */
START_TEST(test_death_during_job)
{
	unsigned side = _i == 1;
	struct pair *p = pair_new(&plain, &plain);
	struct cs_err err;

	for (unsigned i = 0; i < 2; i++)
		p->side[i].jobs_later = true;
	pair_acquire(p, 0);
	for (int n = 0; n < _i; n++)
		pair_jobs(p);
	ck_assert_uint_eq(p->side[side].n_jobs, 1);
	ck_assert_int_eq(ike_engine_deactivate_p1(p->side[side].e, 1, p->now, &err), 0);
	ck_assert_uint_eq(pair_stats(p, side)->p1_live, 0);
	for (unsigned i = 0; i < 2; i++)
		p->side[i].jobs_later = false;
	pair_jobs(p);
	pair_wait(p, 600000);
	pair_free(p);
}
END_TEST

/* RFC 2409 leaves it to the initiator whether message 3 is encrypted. */
START_TEST(test_clear_third)
{
	struct pair *p;

	clear_third = true;
	p = start(&plain, &plain);
	pair_expect_up(p);
	/* An INITIAL-CONTACT that anybody could have added is not heeded. */
	ck_assert(!pair_said(&p->side[1], "CSI1010I"));
	pair_free(p);
}
END_TEST

START_TEST(test_simultaneous)
{
	struct pair *p = pair_new(&plain, &plain);

	p->filter = drop_all;
	pair_acquire(p, 0);
	pair_acquire(p, 1);
	p->filter = NULL;
	pair_wait(p, 10000);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(pair_stats(p, i)->p1_live, 2);
		ck_assert_uint_eq(pair_stats(p, i)->p2_live, 2);
		ck_assert_uint_eq(p->side[i].n_policies, 1);
	}
	ck_assert(pair_mirrored(p));
	pair_free(p);
}
END_TEST

static bool drop_aggressive(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	(void)p;
	(void)from;
	(void)len;
	return data[18] != ISA_AGGRESSIVE;
}

static void expect_shared(struct pair *p, unsigned i)
{
	const struct ike_list *head = &p->side[i].e->p1s;

	ck_assert_uint_ge(pair_stats(p, i)->p1_live, 1);
	for (const struct ike_list *l = head->next; l != head; l = l->next) {
		const struct ike_p1 *p1 = IKE_OF(l, struct ike_p1, all);

		ck_assert(p1->superseded ||
			  ike_sid_by_cookies(p->side[!i].e, p1->sid.icookie, p1->sid.rcookie));
	}
}

/*
 * Both begin, and each says INITIAL-CONTACT because it has nothing yet: while the other's message 3
 * is under way that means nothing for what the other has by it.  By number of what was sent:
 */
static const struct {
	unsigned second, last, order[8]; /* when the other begins, and what comes after all else */
} crossed[] = {
	/* Message 1 of side 0 comes when side 1 is up by its own, message 3 of side 1 last. */
	{0, 3, {1, 2, 0, 4, 5, UINT_MAX}},
	/* Side 1 says it before it has side 0's message 3, and under that one Quick Mode runs. */
	{1, 5, {0, 1, 2, 4, 3, UINT_MAX}},
};

START_TEST(test_crossed_initial_contact)
{
	struct pair_policy o = {AGGRESSIVE, .liveness = _i & 2 ? "30" : "0"};
	unsigned way = _i & 1;
	struct pair *p = pair_new(&o, &o);

	p->filter = drop_aggressive;
	pair_acquire(p, 0);
	for (unsigned i = 0; crossed[way].order[i] != UINT_MAX; i++) {
		if (i == crossed[way].second)
			pair_acquire(p, 1);
		pair_replay(p, crossed[way].order[i]);
		pair_run(p);
	}
	pair_wait(p, way * 100);
	pair_replay(p, crossed[way].last);
	p->filter = NULL;
	pair_wait(p, 10000);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(pair_stats(p, i)->p1_live, 2);
		ck_assert_msg(!pair_said(&p->side[i], "CSI1010I"), "%s", p->side[i].log);
		expect_shared(p, i);
	}
	pair_wait(p, 300000);
	ck_assert(pair_mirrored(p));
	for (unsigned i = 0; i < 2; i++) {
		expect_shared(p, i);
		ck_assert_uint_eq(pair_stats(p, i)->p2_live, 1);
		ck_assert_uint_eq(pair_stats(p, i)->peers_gone, 0);
	}
	pair_free(p);
}
END_TEST

/* One side in either mode, the other in either: the responder's policy says what it answers. */
START_TEST(test_either)
{
	struct pair_policy a = {.how_to_initiate = _i ? "Aggressive" : "Main"};
	static const struct pair_policy b = {.how_to_respond = "Either"};
	struct pair *p = start(&a, &b);

	pair_expect_up(p);
	ck_assert_uint_eq(p->n_history, _i ? MESSAGES : 9);
	pair_free(p);
}
END_TEST

/* ---- identities ---- */

static const struct {
	const char *own, *wanted;
	bool fits, bypass;
} identities[] = {
	{"Fqdn a.example.com", "Fqdn A.example.COM", true, false},
	{"Fqdn a.example.com", "Fqdn *.example.com", true, false},
	{"Fqdn a.example.org", "Fqdn *.example.com", false, false},
	{"UserAtFqdn u@example.com", "UserAtFqdn *@example.com", true, false},
	{"UserAtFqdn u@example.org", "UserAtFqdn *@example.com", false, false},
	{"Fqdn u.example.com", "UserAtFqdn *@example.com", false, false},
	{"KeyID Ascii branch7", "KeyID Ascii branch7", true, false},
	{"KeyID Hex 00ff10", "KeyID Hex 00FF10", true, false},
	{"KeyID Ascii branch7", "KeyID Ascii branch77", false, false},
	{"IpAddr 192.0.2.1", "IpAddr 192.0.2.0/24", true, false},
	{"IpAddr 192.0.2.1", "IpAddr 0.0.0.0", true, false},
	{"IpAddr 192.0.2.77", "IpAddr 192.0.2.77", false, false},
	{"IpAddr 192.0.2.77", "IpAddr 192.0.2.77", true, true},
#ifdef HAVE_OPENSSL
	{"X500dn CN=a,O=Example,C=US", "X500dn O=Example,C=US", true, false},
	{"X500dn CN=a,O=Other,C=US", "X500dn O=Example,C=US", false, false},
#endif
};

/* The initiator's is judged with message 1, the responder's with message 2. */
START_TEST(test_identity)
{
	unsigned i = (unsigned)_i / 2;
	bool of_initiator = _i % 2;
	struct pair_policy a = {AGGRESSIVE}, b = {AGGRESSIVE, .remote_location = "0.0.0.0/0"};
	char own[64], wanted[64];
	struct pair *p;

	snprintf(own, sizeof(own), "%s", identities[i].own);
	snprintf(wanted, sizeof(wanted), "%s", identities[i].wanted);
	if (of_initiator) {
		a.local_id = own;
		b.remote_id = wanted;
		b.bypass_ip_validation = identities[i].bypass;
	} else {
		if (!strncmp(own, "IpAddr 192.0.2.1", sizeof(own)))
			snprintf(own, sizeof(own), "IpAddr 198.51.100.2");
		if (!strncmp(wanted, "IpAddr 192.0.2.0/24", sizeof(wanted)))
			snprintf(wanted, sizeof(wanted), "IpAddr 198.51.100.0/24");
		a.remote_id = wanted;
		b.local_id = own;
		a.bypass_ip_validation = identities[i].bypass;
	}
	p = start(&a, &b);
	if (identities[i].fits) {
		pair_expect_up(p);
	} else {
		pair_wait(p, 600000);
		pair_expect_nothing(p);
		ck_assert_uint_eq(pair_stats(p, 0)->p1_live + pair_stats(p, 1)->p1_live, 0);
		ck_assert_msg(pair_said(&p->side[!!of_initiator], "identity"), "%s",
			      p->side[!!of_initiator].log);
	}
	pair_free(p);
}
END_TEST

/* A rule for any address is one of many: the identity alone says which, and with which key. */
static const char branches[] =
	"  KeyExchangeRule Branch2\n  {\n    LocalSecurityEndpoint\n    {\n"
	"      Identity Fqdn centre.example.com\n      Location 198.51.100.2\n    }\n"
	"    RemoteSecurityEndpoint\n    {\n      Identity KeyID Ascii branch2\n"
	"    }\n    KeyExchangeActionRef Act\n    SharedKey Ascii key-of-branch-2\n  }\n"
	"  KeyExchangeRule Branch3\n  {\n    LocalSecurityEndpoint\n    {\n"
	"      Identity Fqdn centre.example.com\n      Location 198.51.100.2\n    }\n"
	"    RemoteSecurityEndpoint\n    {\n      Identity UserAtFqdn *@branch3.example.com\n"
	"    }\n    KeyExchangeActionRef Act\n    SharedKey Ascii key-of-branch-3\n  }\n";

static const struct {
	const char *id, *key, *rule;
} road[] = {
	{"KeyID Ascii branch1", "key-of-branch-1", "First"},
	{"KeyID Ascii branch2", "key-of-branch-2", "Branch2"},
	{"UserAtFqdn x@branch3.example.com", "key-of-branch-3", "Branch3"},
	{"KeyID Ascii branch2", "key-of-branch-1", NULL},
	{"KeyID Ascii branch4", "key-of-branch-1", NULL},
};

START_TEST(test_identity_chooses_key)
{
	struct pair_policy a = {AGGRESSIVE, .remote_id = "Fqdn centre.example.com"};
	static const struct pair_policy b = {AGGRESSIVE,
					     .local_id = "Fqdn centre.example.com",
					     .remote_id = "KeyID Ascii branch1",
					     .remote_location = "Any",
					     .key = "key-of-branch-1",
					     .more_rules = branches};
	struct pair *p;
	struct cs_err err;

	a.local_id = road[_i].id;
	a.key = road[_i].key;
	p = start(&a, &b);
	if (!road[_i].rule) {
		pair_wait(p, 600000);
		pair_expect_nothing(p);
		pair_free(p);
		return;
	}
	pair_expect_up(p);
	ck_assert_str_eq(newest_p1(&p->side[1])->rule->name, road[_i].rule);
	/* What the centre begins goes by the SA that is there, not by a rule for the address. */
	ck_assert_int_eq(ike_engine_deactivate_p2(p->side[1].e, 2, p->now, &err), 0);
	pair_run(p);
	pair_expect_nothing(p);
	pair_acquire(p, 1);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_initiated, 0);
	ck_assert(pair_mirrored(p));
	pair_free(p);
}
END_TEST

/* ---- loss and repetition ---- */

START_TEST(test_each_message_lost)
{
	unsigned left = (unsigned)_i;
	struct pair *p = pair_new(&plain, &plain);

	p->filter = drop_nth;
	p->filter_arg = &left;
	pair_acquire(p, 0);
	pair_wait(p, 2000 + 2 * SETTLE);
	pair_expect_up(p);
	pair_free(p);
}
END_TEST

/* Quick Mode asks for the lost message 3: nobody waits for a timer. */
START_TEST(test_third_lost)
{
	unsigned left = 2;
	struct pair *p = pair_new(&plain, &plain);

	p->filter = drop_nth;
	p->filter_arg = &left;
	pair_acquire(p, 0);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_up, 1);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_up, 0);
	pair_wait(p, SETTLE);
	pair_expect_up(p);
	ck_assert_uint_eq(pair_stats(p, 0)->retransmitted + pair_stats(p, 1)->retransmitted, 0);
	ck_assert_uint_eq(pair_stats(p, 0)->repeats_answered, 1);
	pair_free(p);
}
END_TEST

/* A responder that never asks for it gets it with each repetition of Quick Mode. */
static bool deaf_second(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	unsigned *dropped = p->filter_arg;

	(void)len;
	if (from == 1 && data[18] == ISA_AGGRESSIVE && pair_stats(p, 0)->p1_up)
		return false;
	if (from == 0 && data[18] == ISA_AGGRESSIVE && data[19] & ISA_FLAG_ENCRYPTED && !*dropped)
		return (*dropped)++ != 0;
	return true;
}

START_TEST(test_third_again)
{
	unsigned dropped = 0;
	struct pair *p = pair_new(&plain, &plain);

	p->filter = deaf_second;
	p->filter_arg = &dropped;
	pair_acquire(p, 0);
	pair_wait(p, SETTLE + 1999);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_up, 0);
	pair_wait(p, 1);
	pair_expect_up(p);
	pair_free(p);
}
END_TEST

static bool hold_third(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	struct datagram *held = p->filter_arg;

	if (from || held->data || data[18] != ISA_AGGRESSIVE || !(data[19] & ISA_FLAG_ENCRYPTED))
		return true;
	held->data = malloc(*len);
	held->len = *len;
	memcpy(held->data, data, *len);
	return false;
}

/* Overtaken by one Quick Mode message, and by two of different exchanges. */
START_TEST(test_third_overtaken)
{
	struct datagram held = {0};
	struct pair *p = pair_new(&plain, &plain);
	uint8_t junk[200] = {0};

	p->filter = hold_third;
	p->filter_arg = &held;
	pair_acquire(p, 0);
	ck_assert_ptr_nonnull(held.data);
	p->filter = drop_all; /* so that nothing comes of the repeated message 2 */
	pair_wait(p, SETTLE);
	p->filter = NULL;
	ck_assert_uint_eq(pair_stats(p, 1)->p1_up, 0);
	pair_replay(p, p->n_history - 1);
	memcpy(junk, p->history[p->n_history - 2].data, ISA_HEADER_LEN);
	junk[23] ^= 1;
	junk[27] = sizeof(junk);
	give(p, 1, junk, sizeof(junk));
	for (unsigned i = 0; i < p->n_queue; i++)
		free(p->queue[i].data);
	p->n_queue = 0;
	give(p, 1, held.data, held.len);
	pair_run(p);
	pair_expect_up(p);
	ck_assert_uint_eq(pair_stats(p, 1)->dropped_unknown, 1);
	free(held.data);
	pair_free(p);
}
END_TEST

/* Every message again, at once and much later: no state changes, and no endless answers. */
START_TEST(test_replays)
{
	struct pair *p = start(&plain, &plain);
	unsigned n = p->n_history, answers;

	ck_assert_uint_eq(n, MESSAGES);
	for (unsigned i = 0; i < n; i++)
		pair_replay(p, i);
	answers = p->n_history - n;
	pair_run(p);
	pair_expect_up(p);
	/* Message 1 gets 2, that gets 3; Quick Mode's likewise. */
	ck_assert_uint_eq(answers, 4);
	pair_wait(p, 300000);
	n = p->n_history;
	for (unsigned i = 0; i < MESSAGES; i++)
		pair_replay(p, i);
	pair_run(p);
	/* Only a message 1 starts anew: message 2, and its repetitions in vain. */
	pair_wait(p, 300000);
	ck_assert_uint_eq(p->n_history - n, 3);
	pair_expect_up(p);
	ck_assert_uint_eq(pair_stats(p, 1)->half_open, 0);
	pair_free(p);
}
END_TEST

/* Nobody answers message 2: it is repeated twice, and then there is silence. */
START_TEST(test_repeats_of_second)
{
	struct pair *p = pair_new(&plain, &plain);

	p->filter = only_first;
	pair_acquire(p, 0);
	ck_assert_uint_eq(sent_by(p, 1), 1);
	p->filter = drop_all;
	pair_wait(p, 2000);
	ck_assert_uint_eq(sent_by(p, 1), 2);
	pair_wait(p, 4000);
	ck_assert_uint_eq(sent_by(p, 1), 3);
	pair_wait(p, 240000);
	ck_assert_uint_eq(sent_by(p, 1), 3);
	ck_assert_uint_eq(pair_stats(p, 1)->half_open, 1);
	pair_wait(p, 10000);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 0);
	ck_assert(pair_said(&p->side[1], "no message 3 came"));
	pair_free(p);
}
END_TEST

static bool mangle(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	unsigned *left = p->filter_arg;

	(void)from;
	if ((*left)-- == 0)
		data[*len > 100 ? *len - 20 : ISA_HEADER_LEN + 1] ^= 0x55;
	return true;
}

/* A damaged message changes nothing: the good repeat goes on. */
START_TEST(test_damaged)
{
	unsigned left = (unsigned)_i;
	struct pair *p = pair_new(&plain, &plain);

	p->filter = mangle;
	p->filter_arg = &left;
	pair_acquire(p, 0);
	pair_wait(p, 9000);
	pair_expect_up(p);
	pair_free(p);
}
END_TEST

/* ---- made up messages ---- */

/* Where in a clear message the body of the first payload of this type is. */
static size_t body_at(const uint8_t *data, size_t len, unsigned type, size_t *body_len)
{
	struct isa_header h;
	struct isa_message m;
	const struct isa_payload *found;

	ck_assert_int_eq(isa_header_parse(data, len, &h, NULL), 0);
	ck_assert_int_eq(
		isa_chain_parse(&h, data + ISA_HEADER_LEN, len - ISA_HEADER_LEN, false, &m, NULL),
		0);
	found = isa_find(&m, type, 0);
	ck_assert_ptr_nonnull(found);
	*body_len = found->body.len;
	return (size_t)(found->body.p - data);
}

static const struct forged {
	unsigned type;
	size_t at; /* in its body */
	uint8_t value;
	bool whole; /* all of the body has the value */
	bool cookie;
	const char *note;
} forgeries[] = {
	{ISA_HASH, 0, 0x55, false, false, "the HASH of Aggressive Mode message 2 is wrong"},
	{ISA_HASH, 0, 0x55, false, true, "the HASH of Aggressive Mode message 2 is wrong"},
	{ISA_NONCE, 3, 0x55, false, true, "the HASH of Aggressive Mode message 2 is wrong"},
	{ISA_ID, 5, 0x55, false, true, "the HASH of Aggressive Mode message 2 is wrong"},
	{ISA_KE, 0, 0, true, true, "public"},
	{ISA_KE, 0, 0xff, true, false, "public"},
	{ISA_SA, 29, 9, false, true, "the peer"},
};

/* On the way somebody answers before the responder: its message 2 is as none. */
static bool forge(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	const struct forged *f = p->filter_arg;
	uint8_t copy[1024];
	size_t at, n;

	if (from != 1 || data[18] != ISA_AGGRESSIVE || pair_stats(p, 0)->p1_up)
		return true;
	memcpy(copy, data, *len);
	at = body_at(copy, *len, f->type, &n);
	if (f->whole)
		memset(copy + at, f->value, n);
	else
		copy[at + f->at] ^= f->value;
	if (f->cookie)
		copy[9] ^= 0x77;
	for (unsigned i = 0; i < 3; i++) /* the same one again costs nothing */
		give(p, 0, copy, *len);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_live, 1);
	ck_assert_msg(strstr(newest_p1(&p->side[0])->ex->cause, f->note), "%s",
		      newest_p1(&p->side[0])->ex->cause);
	p->filter = NULL;
	return true;
}

START_TEST(test_forged_second)
{
	struct forged f = forgeries[_i];
	struct pair *p = pair_new(&plain, &plain);

	p->filter = forge;
	p->filter_arg = &f;
	pair_acquire(p, 0);
	pair_wait(p, SETTLE);
	pair_expect_up(p);
	ck_assert_uint_eq(pair_stats(p, 0)->repeats_refused, 2);
	pair_free(p);
}
END_TEST

static bool reflect(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	give(p, from, data, *len);
	return true;
}

/* Every message comes back to its sender, too: never taken for the peer's. */
START_TEST(test_reflected)
{
	struct pair *p = pair_new(&plain, &plain);

	p->filter = reflect;
	pair_acquire(p, 0);
	pair_wait(p, 20000);
	ck_assert(pair_mirrored(p));
	for (unsigned i = 0; i < 2; i++)
		ck_assert_uint_eq(pair_stats(p, i)->p1_live, 1);
	pair_free(p);
}
END_TEST

/* Messages of one mode to an exchange of the other. */
START_TEST(test_other_mode)
{
	static const struct pair_policy either = {.how_to_respond = "Either"};
	struct pair *p = pair_new(_i ? &plain : &either, &either);

	pair_acquire(p, 0);
	for (unsigned n = 0; n < p->n_history; n++) {
		struct datagram *d = &p->history[n];

		d->data[18] = d->data[18] == ISA_MAIN ? ISA_AGGRESSIVE : ISA_MAIN;
		give(p, !d->from, d->data, d->len);
	}
	pair_run(p);
	pair_wait(p, SETTLE);
	pair_expect_up(p);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 1);
	pair_free(p);
}
END_TEST

/* Somebody changes the answer to a group that was offered, but is not that of our value. */
static bool other_group(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	static const uint8_t group14[4] = {0x80, 4, 0, 14};
	uint8_t *at = memmem(data, *len, group14, sizeof(group14));

	(void)p;
	if (from == 1 && data[18] == ISA_AGGRESSIVE && at)
		at[3] = 24;
	return true;
}

START_TEST(test_other_group_answered)
{
	static const struct pair_policy o = {
		AGGRESSIVE,
		.ke_offers = "AES_CBC KeyLength 128|SHA2_256|Group14;3DES|SHA2_256|Group14"};
	struct pair *p = pair_new(&o, &o);
	struct pol_ke_offer *offers = p->side[0].policy->ke_rules[0].action->offers;

	/* Values of both groups have 256 bytes.  No policy that is read has two. */
	offers[1] = offers[0];
	offers[1].group = cs_group_by_keyword("Group24");
	p->filter = other_group;
	pair_acquire(p, 0);
	ck_assert_msg(strstr(newest_p1(&p->side[0])->ex->cause, "message 1 had brought a value of"),
		      "%s", newest_p1(&p->side[0])->ex->cause);
	pair_wait(p, 600000);
	pair_expect_nothing(p);
	pair_free(p);
}
END_TEST

/* Of transforms with several groups the one is taken whose group the public value is of. */
START_TEST(test_several_groups_offered)
{
	static const struct pair_policy a = {
		AGGRESSIVE,
		.ke_offers = "AES_CBC KeyLength 128|SHA2_256|Group14;3DES|SHA2_256|Group14"};
	static const struct pair_policy b = {
		.how_to_respond = "Aggressive",
		.ke_offers = "AES_CBC KeyLength 128|SHA2_256|Group2;3DES|SHA2_256|Group14"};
	struct pair *p = pair_new(&a, &b);
	struct pol_ke_offer *offers = p->side[0].policy->ke_rules[0].action->offers;

	/* An initiator that does what it should not: its first offer is of another group. */
	p->side[0].jobs_later = p->side[1].jobs_later = true;
	pair_acquire(p, 0);
	offers[0].group = cs_group_by_keyword("Group2");
	pair_jobs(p);
	offers[0].group = cs_group_by_keyword("Group14");
	ck_assert_uint_eq(newest_p1(&p->side[1])->suite.group->number, 14);
	p->side[0].jobs_later = p->side[1].jobs_later = false;
	pair_jobs(p);
	pair_wait(p, SETTLE);
	pair_expect_up(p);
	pair_free(p);
}
END_TEST

/* ---- restarts and policies ---- */

START_TEST(test_initial_contact)
{
	struct pair *p = start(&plain, &plain);
	struct ike_settings set = {.retries = 6, .last_tunnel = 100, .marking = {16}};
	struct side *s = &p->side[0];
	struct ike_ops ops;
	struct cs_err err;

	ike_engine_shutdown(s->e, false, false, p->now);
	pair_run(p);
	ike_engine_free(s->e);
	pair_ops(&ops);
	ck_assert_int_eq(ike_engine_new(&set, &ops, s, &s->e, &err), 0);
	ike_engine_policy(s->e, s->policy, p->now);
	ck_assert_uint_eq(pair_stats(p, 1)->p2_live, 1);
	pair_acquire(p, 0);
	pair_wait(p, SETTLE);
	ck_assert_msg(pair_said(&p->side[1], "CSI1010I"), "%s", p->side[1].log);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(pair_stats(p, i)->p1_live, 1);
		ck_assert_uint_eq(pair_stats(p, i)->p2_live, 1);
	}
	ck_assert(pair_mirrored(p));
	pair_free(p);
}
END_TEST

static bool keep_quick_back(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	(void)p;
	(void)len;
	return data[18] != ISA_QUICK &&
	       (from == 0 || data[18] != ISA_AGGRESSIVE || !(data[19] & ISA_FLAG_ENCRYPTED));
}

/*
 * It starts afresh before it has had message 3, which looks as if that were still to come: what was
 * begun under that SA is soon begun under the new one.
 */
START_TEST(test_initial_contact_before_third)
{
	struct pair *p = pair_new(&plain, &plain);
	struct side *s = &p->side[0];

	p->filter = keep_quick_back;
	pair_acquire(p, 1);
	pair_wait(p, 300);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_up, 1);
	ike_engine_shutdown(s->e, false, false, p->now);
	p->filter = drop_all;
	pair_run(p);
	ike_engine_free(s->e);
	pair_engine(s);
	p->filter = keep_quick_back;
	pair_acquire(p, 0);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_up, 2);
	ike_engine_deactivate_p2(s->e, 2, p->now, NULL);
	pair_wait(p, 20000);
	p->filter = NULL;
	pair_acquire(p, 1);
	pair_wait(p, SETTLE);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_live, 1);
	pair_wait(p, 100000);
	ck_assert(pair_mirrored(p));
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(pair_stats(p, i)->p1_live, 1);
		ck_assert_uint_eq(pair_stats(p, i)->p2_live, 1);
	}
	pair_free(p);
}
END_TEST

/* The rule goes while message 3 is awaited, and while Quick Mode waits its milliseconds. */
START_TEST(test_policy_change)
{
	static const struct pair_policy other_key = {AGGRESSIVE, .key = "a-new-secret"};
	struct pair *p = pair_new(&plain, &plain);
	struct side *s = &p->side[!_i];
	struct pol_policy *key = pair_make_policy(&other_key, s->index);

	if (!_i)
		p->filter = only_first;
	pair_acquire(p, 0);
	ck_assert_uint_eq(pair_stats(p, s->index)->p1_live, 1);
	ike_engine_policy(s->e, key, p->now);
	p->filter = NULL;
	pair_run(p);
	ck_assert_uint_eq(pair_stats(p, s->index)->p1_live, 0);
	pair_wait(p, 600000);
	pair_expect_nothing(p);
	pol_unref(key);
	pair_free(p);
}
END_TEST

/* ---- what a stranger may cost ---- */

static struct pair *pair_for_flood(const char *location)
{
	const struct pair_policy b = {AGGRESSIVE, .remote_id = "Fqdn *",
				      .remote_location = location};
	static const struct pair_policy a = {AGGRESSIVE, .local_id = "Fqdn a.example.com"};
	struct pair *p = pair_new(&a, &b);

	p->filter = drop_all;
	pair_acquire(p, 0);
	return p;
}

/* Message 1 of another initiator, the nth. */
static void another_first(struct pair *p, unsigned n)
{
	struct datagram *d = &p->history[0];
	struct cs_endpoint from = d->local;

	d->data[1] = (uint8_t)n;
	d->data[2] = (uint8_t)(n >> 8);
	from.port = (uint16_t)(1000 + n);
	ike_engine_receive(p->side[1].e, &p->side[1].addr, &from, d->data, d->len, p->now);
	pair_run(p);
}

START_TEST(test_half_open_bound)
{
	struct pair *p = pair_for_flood("192.0.2.0/24");

	for (unsigned n = 1; n <= 50; n++)
		another_first(p, n);
	/* Six of eight: two are kept for peers that the policy names. */
	ck_assert_uint_eq(pair_stats(p, 1)->half_open, 6);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 6);
	ck_assert_uint_eq(pair_stats(p, 1)->dropped_limit, 44);
	p->filter = NULL;
	pair_wait(p, 3000);
	ck_assert(pair_mirrored(p));
	pair_free(p);
}
END_TEST

/* One that has come as far as message 4 of Main Mode stays, strangers' message 1 go. */
START_TEST(test_proven_address_stays)
{
	static const struct pair_policy a = {.local_id = "Fqdn a.example.com"};
	static const struct pair_policy b = {.how_to_respond = "Either",
					     .remote_id = "Fqdn *",
					     .remote_location = "192.0.2.0/24"};
	struct pair *p = pair_for_flood("192.0.2.0/24");
	struct datagram d = p->history[0];
	uint8_t first[1024];
	unsigned left = 4;

	memcpy(first, d.data, d.len);
	pair_free(p);
	p = pair_new(&a, &b);
	p->filter = drop_nth;
	p->filter_arg = &left;
	pair_acquire(p, 0);
	ck_assert_int_eq(newest_p1(&p->side[1])->state, IKE_MM_SENT_4);
	p->filter = drop_all;
	for (unsigned n = 1; n <= 50; n++) {
		first[1] = (uint8_t)n;
		d.local.port = (uint16_t)(1000 + n);
		ike_engine_receive(p->side[1].e, &p->side[1].addr, &d.local, first, d.len, p->now);
		pair_run(p);
	}
	ck_assert_uint_eq(pair_stats(p, 1)->half_open, 6);
	p->filter = NULL;
	pair_wait(p, 3000);
	pair_expect_up(p);
	pair_free(p);
}
END_TEST

/* No faster than the bucket, whatever there is room for; named peers have one of their own. */
START_TEST(test_rate)
{
	struct pair *p = pair_for_flood("192.0.2.0/24");

	for (unsigned n = 1; n <= 1000; n++)
		another_first(p, n);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_responded, 200);
	p->now.mono += 1000;
	for (unsigned n = 1001; n <= 2000; n++)
		another_first(p, n);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_responded, 300);
	/* The lines that this makes are few. */
	ck_assert_uint_le(pair_complaints(&p->side[1], NULL), 60);
	pair_free(p);
}
END_TEST

START_TEST(test_job_bound)
{
	struct pair *p = pair_for_flood("192.0.2.0/24");
	struct side *s = &p->side[1];

	s->jobs_later = true;
	for (unsigned n = 1; n <= 6; n++)
		another_first(p, n);
	ck_assert_uint_eq(s->n_jobs, 4);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_responded, 4);
	ck_assert_uint_eq(pair_stats(p, 1)->dropped_limit, 2);
	s->jobs_later = false;
	pair_jobs(p);
	another_first(p, 7);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_responded, 5);
	pair_free(p);
}
END_TEST

/* What goes out to an address that may be forged, over a minute, against what came in. */
START_TEST(test_reflection)
{
	struct pair *p = pair_for_flood("192.0.2.0/24");
	size_t in = 0, out = 0, first = 0;
	unsigned before = p->n_history;

	for (unsigned n = 1; n <= 6; n++) {
		another_first(p, n);
		in += p->history[0].len;
	}
	first = p->n_history;
	pair_wait(p, 60000);
	for (unsigned i = before; i < p->n_history; i++)
		if (p->history[i].from == 1)
			out += p->history[i].len;
	ck_assert_uint_eq(first - before, 6);
	/* The answer is the request without its vendor ID and with a HASH; and comes three times.
	 */
	ck_assert_msg(out <= 3 * (in + 6 * 32), "%zu bytes for %zu", out, in);
	ck_assert_uint_eq(pair_stats(p, 1)->retransmitted, 12);
	pair_free(p);
}
END_TEST

/* Repetitions stop when there are many. */
START_TEST(test_repeats_bound)
{
	struct pair *p = pair_for_flood("192.0.2.0/24");

	for (unsigned round = 0; round < 30; round++) {
		for (unsigned n = 1; n <= 6; n++)
			another_first(p, 6 * round + n);
		p->now.mono += 2000;
		ike_engine_tick(p->side[1].e, p->now);
		p->now.mono -= 2000; /* the bucket does not fill */
		pair_run(p);
	}
	ck_assert_uint_le(pair_stats(p, 1)->retransmitted, 40 + 20 * 2);
	pair_free(p);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("aggressive mode");
	TCase *t;

	t = tcase_create("agreed");
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_suites, 0, 2 * COUNT(suites));
	tcase_add_test(t, test_second_offer);
	tcase_add_test(t, test_jobs_and_commits_later);
	tcase_add_loop_test(t, test_death_during_job, 0, 3);
	tcase_add_test(t, test_clear_third);
	tcase_add_test(t, test_simultaneous);
	tcase_add_loop_test(t, test_crossed_initial_contact, 0, 32);
	tcase_add_loop_test(t, test_either, 0, 2);
	tcase_add_loop_test(t, test_identity, 0, 2 * COUNT(identities));
	tcase_add_loop_test(t, test_identity_chooses_key, 0, COUNT(road));
	tcase_add_test(t, test_initial_contact);
	tcase_add_test(t, test_initial_contact_before_third);
	tcase_add_loop_test(t, test_policy_change, 0, 2);
	suite_add_tcase(s, t);

	t = tcase_create("network");
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_each_message_lost, 0, MESSAGES);
	tcase_add_test(t, test_third_lost);
	tcase_add_test(t, test_third_again);
	tcase_add_test(t, test_third_overtaken);
	tcase_add_test(t, test_replays);
	tcase_add_test(t, test_repeats_of_second);
	tcase_add_loop_test(t, test_damaged, 0, MESSAGES);
	suite_add_tcase(s, t);

	t = tcase_create("hostile");
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_forged_second, 0, COUNT(forgeries));
	tcase_add_test(t, test_reflected);
	tcase_add_loop_test(t, test_other_mode, 0, 2);
	tcase_add_test(t, test_other_group_answered);
	tcase_add_test(t, test_several_groups_offered);
	tcase_add_test(t, test_half_open_bound);
	tcase_add_test(t, test_proven_address_stays);
	tcase_add_test(t, test_rate);
	tcase_add_test(t, test_job_bound);
	tcase_add_test(t, test_reflection);
	tcase_add_test(t, test_repeats_bound);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	if (!pair_crypto())
		return EXIT_FAILURE;
	return run_suite(suite());
}
