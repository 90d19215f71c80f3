/*
 * Clients of a gateway: XAuth and Mode Config as side 1, against what side 0 is made to say.  Side
 * 0 is an engine that knows nothing of clients: its offer is changed on the way into one of XAuth
 * with a preshared key, and the tests speak the Transaction exchanges with its keys.
 */
#include <check.h>
#include <crypt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/client.h"
#include "tests/unit/engine_pair.h"
#include "tests/unit/policy_text.h"
#include "tests/unit/run_suite.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define PASSWORD "correct horse"
#define XAUTH    "  ClientAuthentication XAuth\n"
#define SALT     "$5$rounds=1000$saltsalt"
#define MD5      "0123456789012345678901" /* what a hash of nothing in particular ends in */

static char users[400], action[1000];

static void make_users(void)
{
	struct crypt_data data = {0};

	const char *hash = crypt_r(PASSWORD, SALT, &data);

	snprintf(users, sizeof(users), "  ClientUser alice %s\n  ClientUser bob %s\n", hash, hash);
}

/* ---- the wire ---- */

/* The last message of a Transaction exchange that side 1 sent. */
static uint8_t last[IKE_DATAGRAM_MAX];
static size_t last_len;
static unsigned n_sent;
static bool plain; /* the offer is left as it is */

static struct ike_p1 *p1_of(struct pair *p, unsigned i)
{
	ck_assert(!ike_list_empty(&p->side[i].e->p1s));
	return IKE_OF(p->side[i].e->p1s.next, struct ike_p1, all);
}

static void swap(uint8_t *data, size_t len, unsigned from, unsigned to)
{
	for (size_t i = 0; i + 4 <= len; i++) {
		if (data[i] != 0x80 || data[i + 1] != 3 ||
		    (unsigned)(data[i + 2] << 8 | data[i + 3]) != from)
			continue;
		data[i + 2] = (uint8_t)(to >> 8);
		data[i + 3] = (uint8_t)to;
	}
}

static bool filter(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	static const uint8_t none[ISA_COOKIE_LEN];

	if (from == 1 && data[18] == ISA_TRANSACTION) {
		memcpy(last, data, *len);
		last_len = *len;
		n_sent++;
		return false;
	}
	if (plain || data[18] != ISA_MAIN || data[16] != ISA_SA)
		return true;
	if (from == 1) {
		swap(data, *len, 65001, 1);
	} else if (!memcmp(data + ISA_COOKIE_LEN, none, ISA_COOKIE_LEN) && p1_of(p, 0)->ex->sai) {
		swap(data, *len, 1, 65001);
		swap(p1_of(p, 0)->ex->sai, p1_of(p, 0)->ex->sai_len, 1, 65001);
	}
	return true;
}

/* side 1's action; a host behind side 0 with this address, or NULL: side 0 itself */
static struct pair *new_pair(const char *more, const char *host)
{
	struct pair_policy a = {.local_net = host, .remote_net = host ? "10.8.0.0/24" : NULL};
	struct pair_policy b = {.how_to_initiate = "DoNot",
				.local_net = a.remote_net,
				.remote_net = host,
				.more_action = action};
	struct pair *p;

	if (host)
		a.data_offers = b.data_offers = "Tunnel|AES_CBC KeyLength 128|ESP HMAC_SHA1";
	snprintf(action, sizeof(action), XAUTH "%s%s", users, more);
	plain = false;
	last_len = n_sent = 0;
	p = pair_new(&a, &b);
	p->filter = filter;
	return p;
}

/* Phase 1 is up, and the user has been asked for. */
static struct pair *asked(const char *more, const char *host)
{
	struct pair *p = new_pair(more, host);

	pair_acquire(p, 0);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_up, 1);
	ck_assert_uint_eq(n_sent, 1);
	return p;
}

/* ---- speaking for side 0 ---- */

static uint8_t iv[IKE_BLOCK_MAX];

/* What side 1 sent; first: it begins an exchange. */
static struct isa_message *hear(struct pair *p, bool first, struct ike_config *c)
{
	static struct isa_message m;
	struct ike_p1 *p1 = p1_of(p, 0);
	struct isa_header h;
	struct cs_err err = {0};

	ck_assert(!isa_header_parse(last, last_len, &h, NULL));
	ck_assert_uint_ne(h.flags & ISA_FLAG_ENCRYPTED, 0);
	if (first)
		ck_assert(!ike_phase2_iv(p1->suite.hash, p1->suite.cipher, p1->iv, h.message_id, iv,
					 NULL));
	ck_assert_msg(!ike_open(p->side[0].e, p1, &h, last, ISA_STEP_TRANSACTION, iv, NULL, NULL,
				&m, &err),
		      "%s", err.text);
	ck_assert(!ike_config_read(&m, c, NULL));
	return &m;
}

static uint32_t mid_of_last(void)
{
	return (uint32_t)last[20] << 24 | (uint32_t)last[21] << 16 | (uint32_t)last[22] << 8 |
	       last[23];
}

static struct isa_builder b;
static uint32_t say_mid;

static void say_begin(struct pair *p, uint32_t mid, enum ike_config_type type)
{
	struct ike_p1 *p1 = p1_of(p, 0);

	say_mid = mid;
	ike_seal_begin(p->side[0].e, p1, &b, ISA_TRANSACTION, mid, IKE_SEAL_HASH1);
	ike_config_begin(&b, type, 7);
}

/* chained: behind what was heard in this exchange; the IV is left for repetitions. */
static void say_end(struct pair *p, bool chained)
{
	struct ike_p1 *p1 = p1_of(p, 0);
	struct side *to = &p->side[1];
	uint8_t own[IKE_BLOCK_MAX];
	size_t len;

	isa_payload_end(&b);
	memcpy(own, iv, sizeof(own));
	if (!chained)
		ck_assert(!ike_phase2_iv(p1->suite.hash, p1->suite.cipher, p1->iv, say_mid, own,
					 NULL));
	len = ike_seal_end(p->side[0].e, p1, &b, say_mid, IKE_SEAL_HASH1, NULL, NULL, own, NULL);
	ck_assert_uint_gt(len, 0);
	if (!chained)
		memcpy(iv, own, sizeof(iv));
	ike_engine_receive(to->e, &to->addr, &p->side[0].addr, p->side[0].e->out, len, p->now);
	pair_run(p);
}

static void say_login(struct pair *p, const void *user, size_t user_len, const void *password,
		      size_t password_len)
{
	say_begin(p, mid_of_last(), IKE_CFG_REPLY);
	ike_config_bytes(&b, IKE_XAUTH_USER, user, user_len);
	ike_config_bytes(&b, IKE_XAUTH_PASSWORD, password, password_len);
	say_end(p, true);
}

static void login(struct pair *p)
{
	struct ike_config c;

	hear(p, true, &c);
	say_login(p, "alice", 5, PASSWORD, strlen(PASSWORD));
}

static void expect_status(struct pair *p, unsigned status)
{
	struct ike_config c;

	hear(p, true, &c);
	ck_assert_int_eq(c.type, IKE_CFG_SET);
	ck_assert(c.has_status && c.status == status);
}

static void acknowledge(struct pair *p)
{
	say_begin(p, mid_of_last(), IKE_CFG_ACK);
	ike_config_basic(&b, IKE_XAUTH_STATUS, 0);
	say_end(p, true);
}

static struct pair *let_in(const char *more, const char *host)
{
	struct pair *p = asked(more, host);

	login(p);
	expect_status(p, 1);
	acknowledge(p);
	return p;
}

/* The same user by a new phase 1 SA; the one before is still there. */
static void begin_anew(struct pair *p)
{
	ck_assert(!ike_engine_refresh_p1(p->side[0].e, 1, p->now, NULL));
	pair_run(p);
	login(p);
	expect_status(p, 1);
	acknowledge(p);
}

static void expect_out(struct pair *p)
{
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 0);
	ck_assert_uint_eq(pair_stats(p, 1)->clients_in, 0);
	ck_assert_uint_eq(p->side[1].n_records[IKE_REC_P2_INTENT], 0);
	ck_assert_uint_eq(p->side[1].e->leases.count, 0);
}

/* ---- the user ---- */

static int copy_p1(void *arg, const struct ike_p1_info *info)
{
	*(struct ike_p1_info *)arg = *info;
	return 0;
}

START_TEST(let_in_and_up)
{
	struct pair *p = asked("", NULL);
	struct ike_p1_info info;
	struct ike_config c;

	/* Quick Mode has come already and was of no use. */
	ck_assert_uint_eq(pair_stats(p, 0)->p1_up, 1);
	ck_assert_uint_ge(pair_stats(p, 1)->dropped_unknown, 1);
	hear(p, true, &c);
	ck_assert_int_eq(c.type, IKE_CFG_REQUEST);
	ck_assert(c.has_user && c.has_password && !c.user.len && !c.password.len && !c.xauth_type);
	p->side[1].jobs_later = true;
	say_login(p, "alice", 5, PASSWORD, strlen(PASSWORD));
	ike_engine_each_p1(p->side[1].e, copy_p1, &info);
	ck_assert_str_eq(info.user, ""); /* who it says it is */
	pair_wait(p, 2500);              /* Quick Mode again */
	ck_assert_uint_eq(p->side[1].n_records[IKE_REC_P2_INTENT], 0);
	ck_assert_uint_eq(p->side[1].n_kept, 0);
	p->side[1].jobs_later = false;
	pair_jobs(p);
	expect_status(p, 1);
	acknowledge(p);
	ck_assert(pair_said(&p->side[1], "User alice of the client at 192.0.2.1:500 is let in"));
	ck_assert_str_eq(p->side[1].kept[0].user, "alice");
	pair_wait(p, 6000);
	pair_expect_up(p);
	ck_assert_uint_eq(n_sent, 2);
	pair_free(p);
}
END_TEST

/* What the client says next shows that it has heard, too. */
START_TEST(no_acknowledgement)
{
	struct pair *p = asked("", NULL);

	login(p);
	expect_status(p, 1);
	pair_wait(p, 7000);
	pair_expect_up(p);
	ck_assert_uint_le(n_sent, 3);
	pair_free(p);
}
END_TEST

static const char zeros[] = "ali\0ce";
static uint8_t huge[10000];

static const struct {
	const char *user;
	size_t user_len;
	const char *password;
	size_t password_len;
	const char *why;
} refused[] = {
	{"alice", 5, "wrong", 5, "the password is wrong"},
	{"alice", 5, "", 0, "the password is wrong"},
	{"alice", 5, PASSWORD "\0x", 15, "its password is none"},
	{"carol", 5, PASSWORD, 13, "there is no such ClientUser"},
	{"0", 1, PASSWORD, 13, "there is no such ClientUser"},
	{"#alice", 6, PASSWORD, 13, "there is no such ClientUser"},
	{"", 0, PASSWORD, 13, "its user name is none"},
	{zeros, 6, PASSWORD, 13, "its user name is none"},
	{"al%sice\n", 8, PASSWORD, 13, "its user name is none"},
	{(const char *)huge, sizeof(huge), PASSWORD, 13, "its user name is none"},
	{"alice", 5, (const char *)huge, 128, "its password is none"},
	{"alice", 5, (const char *)huge, 127, "the password is wrong"},
};

/* Quick Mode that anybody can have made does not mean that the client knows. */
START_TEST(forged_quick_mode)
{
	struct pair *p = asked("", NULL);
	struct side *s = &p->side[1];
	const struct ike_p1 *p1 = p1_of(p, 1);
	uint8_t data[60] = {0};

	login(p);
	expect_status(p, 1);
	memcpy(data, p1->sid.icookie, ISA_COOKIE_LEN);
	memcpy(data + ISA_COOKIE_LEN, p1->sid.rcookie, ISA_COOKIE_LEN);
	data[16] = ISA_HASH;
	data[17] = 0x10;
	data[18] = ISA_QUICK;
	data[19] = ISA_FLAG_ENCRYPTED;
	data[23] = 1;
	data[27] = sizeof(data);
	ike_engine_receive(s->e, &s->addr, &p->side[0].addr, data, sizeof(data), p->now);
	ck_assert_msg(pair_said(s, "Quick Mode message from 192.0.2.1:500 dropped"), "%s", s->log);
	ck_assert_ptr_nonnull(p1->client->rt.data);
	pair_wait(p, 7000); /* genuine */
	ck_assert_ptr_null(p1->client->rt.data);
	pair_expect_up(p);
	pair_free(p);
}
END_TEST

START_TEST(refusals)
{
	struct pair *p = asked("", NULL);
	struct ike_config c;

	memset(huge, 'x', sizeof(huge));
	hear(p, true, &c);
	say_login(p, refused[_i].user, refused[_i].user_len, refused[_i].password,
		  refused[_i].password_len);
	expect_status(p, 0);
	ck_assert_msg(pair_said(&p->side[1], refused[_i].why), "%s", p->side[1].log);
	ck_assert_uint_eq(pair_stats(p, 1)->clients_refused, 1);
	if (_i % 2)
		acknowledge(p);
	else
		pair_wait(p, 300000); /* never */
	ck_assert_uint_eq(pair_stats(p, 1)->p1_up, 1);
	expect_out(p);
	pair_free(p);
}
END_TEST

START_TEST(other_answers)
{
	struct pair *p = asked("", NULL);
	struct ike_config c;

	hear(p, true, &c);
	say_begin(p, mid_of_last(), IKE_CFG_REPLY);
	if (_i == 0) { /* a challenge */
		ike_config_basic(&b, IKE_XAUTH_TYPE, 1);
		ike_config_bytes(&b, IKE_XAUTH_USER, "alice", 5);
		ike_config_bytes(&b, IKE_XAUTH_PASSWORD, PASSWORD, strlen(PASSWORD));
	} else if (_i == 1) { /* it gives up */
		ike_config_basic(&b, IKE_XAUTH_STATUS, 0);
	} else if (_i == 2) { /* no password */
		ike_config_bytes(&b, IKE_XAUTH_USER, "alice", 5);
	} /* 3: nothing */
	say_end(p, true);
	expect_status(p, 0);
	acknowledge(p);
	expect_out(p);
	pair_free(p);
}
END_TEST

/* One whose password cannot be checked yet says it again when he is asked again. */
START_TEST(many_at_once)
{
	struct pair *p = asked("", NULL);
	struct ike_engine *e = p->side[1].e;
	struct ike_config c;

	hear(p, true, &c);
	e->n_passwords = IKE_PASSWORDS_MAX;
	say_login(p, "alice", 5, PASSWORD, strlen(PASSWORD));
	ck_assert_uint_eq(n_sent, 1);
	ck_assert_uint_eq(pair_stats(p, 1)->dropped_limit, 1);
	e->n_passwords = 0;
	pair_wait(p, 2000);
	ck_assert_uint_eq(n_sent, 2);
	p->side[1].jobs_later = true;
	say_login(p, "alice", 5, PASSWORD, strlen(PASSWORD));
	ck_assert_uint_eq(e->n_passwords, 1);
	pair_jobs(p);
	ck_assert_uint_eq(e->n_passwords, 0);
	expect_status(p, 1);
	pair_free(p);
}
END_TEST

START_TEST(nobody_answers)
{
	struct pair *p = asked("", NULL);

	pair_wait(p, 300000);
	ck_assert_uint_eq(n_sent, 7);
	ck_assert(pair_said(&p->side[1], "the client did not answer"));
	expect_out(p);
	pair_free(p);
}
END_TEST

/* ---- what it may not do before ---- */

static void tell(struct pair *p, unsigned type, const void *body, size_t len)
{
	struct ike_p1 *p1 = p1_of(p, 0);
	struct side *to = &p->side[1];
	uint32_t mid = ike_new_mid(p->side[0].e, p1);
	uint8_t own[IKE_BLOCK_MAX];

	ck_assert(!ike_phase2_iv(p1->suite.hash, p1->suite.cipher, p1->iv, mid, own, NULL));
	ike_seal_begin(p->side[0].e, p1, &b, ISA_INFORMATIONAL, mid, IKE_SEAL_HASH1);
	isa_put(&b, type, body, len);
	len = ike_seal_end(p->side[0].e, p1, &b, mid, IKE_SEAL_HASH1, NULL, NULL, own, NULL);
	ike_engine_receive(to->e, &to->addr, &p->side[0].addr, p->side[0].e->out, len, p->now);
	pair_run(p);
}

/* Somebody else with the group's key, at the same address: he ends nothing of those who are in. */
START_TEST(ends_nothing)
{
	static const uint8_t contact[8] = {0, 0, 0, 1, 1, 0, 0x60, 0x02};
	struct pair *p = let_in("", NULL);
	uint8_t gone[24] = {0, 0, 0, 1, 1, 16, 0, 1};
	const struct ike_p1 *first = p1_of(p, 1);

	memcpy(gone + 8, first->sid.icookie, 8);
	memcpy(gone + 16, first->sid.rcookie, 8);
	pair_wait(p, 7000);
	pair_expect_up(p);
	ck_assert(!ike_engine_refresh_p1(p->side[0].e, 1, p->now, NULL));
	pair_run(p);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_up, 2);
	tell(p, ISA_NOTIFY, contact, sizeof(contact));
	tell(p, ISA_DELETE, gone, sizeof(gone));
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 2);
	ck_assert_uint_eq(pair_installed(&p->side[1]), 2);
	/* Who is let in has begun afresh, as he said. */
	login(p);
	expect_status(p, 1);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 1);
	ck_assert_uint_eq(pair_installed(&p->side[1]), 0);
	pair_free(p);
}
END_TEST

/* Nor by a deletion of himself that names them, too. */
START_TEST(ends_nothing_with_himself)
{
	struct pair *p = let_in("", NULL);
	uint8_t gone[40] = {0, 0, 0, 1, 1, 16, 0, 2};
	const struct ike_p1 *first = p1_of(p, 1), *second;

	memcpy(gone + 24, first->sid.icookie, 8);
	memcpy(gone + 32, first->sid.rcookie, 8);
	pair_wait(p, 7000);
	pair_expect_up(p);
	ck_assert(!ike_engine_refresh_p1(p->side[0].e, 1, p->now, NULL));
	pair_run(p);
	second = p1_of(p, 1);
	ck_assert_ptr_ne(first, second);
	memcpy(gone + 8, second->sid.icookie, 8);
	memcpy(gone + 16, second->sid.rcookie, 8);
	tell(p, ISA_DELETE, gone, sizeof(gone));
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 1);
	ck_assert_uint_eq(pair_installed(&p->side[1]), 2);
	pair_free(p);
}
END_TEST

/*
 * Another user at the same address, once he is in: the identity is the same, but what alice has is
 * not his to end or to take.
 */
START_TEST(another_user)
{
	static const uint8_t contact[8] = {0, 0, 0, 1, 1, 0, 0x60, 0x02};
	struct pair *p = let_in("", NULL);
	uint8_t gone[24] = {0, 0, 0, 1, 1, 16, 0, 1}, spi[12] = {0, 0, 0, 1, 3, 4, 0, 1};
	struct ike_p1 *first = p1_of(p, 1);
	struct ike_p2 *pair;
	struct ike_config c;

	pair_wait(p, 7000);
	pair_expect_up(p);
	pair = IKE_OF(p->side[1].e->p2s.next, struct ike_p2, all);
	memcpy(gone + 8, first->sid.icookie, 8);
	memcpy(gone + 16, first->sid.rcookie, 8);
	for (unsigned i = 0; i < 4; i++)
		spi[8 + i] = (uint8_t)(pair->spi_out >> (24 - 8 * i));
	ck_assert(!ike_engine_refresh_p1(p->side[0].e, 1, p->now, NULL));
	pair_run(p);
	tell(p, ISA_NOTIFY, contact, sizeof(contact));
	hear(p, true, &c);
	say_login(p, "bob", 3, PASSWORD, strlen(PASSWORD));
	expect_status(p, 1);
	acknowledge(p);
	tell(p, ISA_NOTIFY, contact, sizeof(contact));
	tell(p, ISA_DELETE, gone, sizeof(gone));
	tell(p, ISA_DELETE, spi, sizeof(spi));
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 2);
	ck_assert_uint_eq(pair_installed(&p->side[1]), 2);
	/* Nor by Quick Mode for the same selector. */
	ck_assert(!ike_engine_refresh_p2(p->side[0].e, 2, p->now, NULL));
	pair_run(p);
	ck_assert_uint_eq(pair_stats(p, 1)->p2_up, 1);
	ck_assert(!pair->superseded);
	ck_assert_msg(pair_said(&p->side[1], "is up for"), "%s", p->side[1].log);
	/* What is refreshed from here goes to her. */
	ck_assert(!ike_engine_refresh_p2(p->side[1].e, 2, p->now, NULL));
	ck_assert_ptr_eq(IKE_OF(p->side[1].e->p2s.next, struct ike_p2, all)->p1, first);
	pair_free(p);
}
END_TEST

/* ---- who is there ---- */

static uint8_t silent[ISA_COOKIE_LEN]; /* messages of this phase 1 SA are lost */

static bool lose(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	return memcmp(data, silent, sizeof(silent)) != 0 && filter(p, from, data, len);
}

/*
 * Two at one address, of whom one is silent from now on: the newer or the older one.  He alone is
 * gone, whether the other can be asked or not, and whether the newer has proved his user or not.
 */
START_TEST(one_is_gone)
{
	bool newer = _i & 1, can = _i & 2, proved = _i & 4;
	struct pair *p = let_in("  LivenessInterval 30\n", NULL);
	struct side *s = &p->side[1];
	struct ike_p1 *alice = p1_of(p, 1), *hers = p1_of(p, 0), *second;
	struct ike_config c;

	pair_wait(p, 7000);
	pair_expect_up(p);
	ck_assert(!ike_engine_refresh_p1(p->side[0].e, 1, p->now, NULL));
	pair_run(p);
	ike_timer_set(&p->side[0].e->timers, &hers->timer,
		      hers->ends); /* no refresh, two machines */
	second = p1_of(p, 1);
	ck_assert_ptr_ne(alice, second);
	if (proved) {
		hear(p, true, &c);
		say_login(p, "bob", 3, PASSWORD, strlen(PASSWORD));
		expect_status(p, 1);
		acknowledge(p);
	}
	memcpy(silent, (newer ? second : alice)->sid.icookie, sizeof(silent));
	if (!can)
		(newer ? alice : second)->can = 0;
	p->filter = lose;
	pair_wait(p, 100000);
	ck_assert_uint_eq(pair_installed(s), newer ? 2 : 0);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, newer ? 2 : 1);
	ck_assert_ptr_eq(p1_of(p, 1), second);
	pair_free(p);
}
END_TEST

/*
 * Two at one address whose users are not known yet: that one of them is not there any more is not
 * the end of the other.
 */
START_TEST(one_of_two_strangers)
{
	struct pair *p = asked("  LivenessInterval 30\n", NULL);
	struct side *s = &p->side[1];
	struct ike_p1 *first = p1_of(p, 1), *hers = p1_of(p, 0), *second;

	ck_assert(!ike_engine_refresh_p1(p->side[0].e, 1, p->now, NULL));
	pair_run(p);
	ike_timer_set(&p->side[0].e->timers, &hers->timer, hers->ends);
	second = p1_of(p, 1);
	ck_assert_ptr_ne(first, second);
	memcpy(silent, second->sid.icookie, sizeof(silent));
	p->filter = lose;
	first->can = 0;
	pair_wait(p, 6000);
	ck_assert(ike_dpd_probe(s->e, second->peer, second));
	pair_wait(p, 20000);
	ck_assert_msg(pair_stats(p, 1)->p1_live == 1, "%s", s->log);
	ck_assert_ptr_eq(p1_of(p, 1), first);
	pair_free(p);
}
END_TEST

/*
 * The end of a pair is told where the peer is longest, for it may be about to delete the SA of
 * before; and there, for the newer one may be another machine of the same user.
 */
START_TEST(told_by_both)
{
	struct pair *p = let_in("", NULL);
	struct ike_p1 *first = p1_of(p, 1);

	pair_wait(p, 7000);
	pair_expect_up(p);
	begin_anew(p);
	memcpy(silent, (_i ? p1_of(p, 1) : first)->sid.icookie, sizeof(silent));
	p->filter = lose;
	ck_assert(!ike_engine_deactivate_p2(p->side[1].e, 2, p->now, NULL));
	pair_run(p);
	ck_assert_uint_eq(pair_installed(&p->side[0]), 0);
	pair_free(p);
}
END_TEST

/* ---- messages that are wrong: each changes nothing, and the right one goes through ---- */

static const struct {
	const char *name;
	enum ike_config_type type;
	uint8_t body[12];
	size_t len;
} broken[] = {
	{"an attribute beyond the payload", IKE_CFG_REPLY, {0x40, 0x89, 0, 9, 'a', 'l'}, 6},
	{"an attribute of 64 KiB", IKE_CFG_REPLY, {0x40, 0x89, 0xff, 0xff, 'a', 'l'}, 6},
	{"a type without a length", IKE_CFG_REPLY, {0x40, 0x89}, 2},
	{"a short attribute cut short", IKE_CFG_REPLY, {0xc0, 0x89, 0}, 3},
	{"three bytes that are no fill", IKE_CFG_REPLY, {0x40, 0x89, 0, 0, 0, 0, 1}, 7},
	{"a request", IKE_CFG_REQUEST, {0x40, 0x89, 0, 0}, 4},
	{"a SET", IKE_CFG_SET, {0xc0, 0x8f, 0, 1}, 4},
	{"an ACK", IKE_CFG_ACK, {0xc0, 0x8f, 0, 1}, 4},
	{"no type", (enum ike_config_type)0, {0x40, 0x89, 0, 0}, 4},
};

START_TEST(broken_messages)
{
	struct pair *p = asked("", NULL);
	struct ike_config c;

	hear(p, true, &c);
	say_begin(p, mid_of_last(), broken[_i].type);
	cs_put_bytes(&b.w, broken[_i].body, broken[_i].len);
	say_end(p, true);
	ck_assert_msg(n_sent == 1 && pair_stats(p, 1)->dropped_malformed == 1, "%s",
		      broken[_i].name);
	say_login(p, "alice", 5, PASSWORD, strlen(PASSWORD));
	expect_status(p, 1);
	pair_free(p);
}
END_TEST

/* Without attributes, with two payloads of them, with one too many, in clear, with a wrong HASH. */
START_TEST(wrong_payloads)
{
	struct pair *p = asked("", NULL);
	struct ike_p1 *p1 = p1_of(p, 0);
	struct side *to = &p->side[1];
	uint8_t own[IKE_BLOCK_MAX];
	struct ike_config c;
	size_t len;

	hear(p, true, &c);
	memcpy(own, iv, sizeof(own));
	ike_seal_begin(p->side[0].e, p1, &b, ISA_TRANSACTION, mid_of_last(), IKE_SEAL_HASH1);
	for (int i = 0; i < (_i == 0 ? 0 : _i == 1 ? 2 : 1); i++)
		isa_put(&b, ISA_ATTRIBUTES, "\2\0\0\7\x40\x89\0\1a", 9);
	if (_i == 2)
		isa_put(&b, ISA_NONCE, "12345678", 8);
	len = ike_seal_end(p->side[0].e, p1, &b, mid_of_last(), IKE_SEAL_HASH1, NULL, NULL, own,
			   NULL);
	if (_i == 3)
		p->side[0].e->out[19] = 0;
	else if (_i == 4)
		p->side[0].e->out[len - 1] ^= 1;
	ike_engine_receive(to->e, &to->addr, &p->side[0].addr, p->side[0].e->out, len, p->now);
	ck_assert_uint_eq(pair_stats(p, 1)->dropped_malformed, 1);
	say_login(p, "alice", 5, PASSWORD, strlen(PASSWORD));
	expect_status(p, 1);
	pair_free(p);
}
END_TEST

/* ---- Mode Config ---- */

#define POOL "  ClientAddressPool 10.9.0.4/31\n  ClientDns 10.8.0.53\n"
#define HOST "10.9.0.4"

static void request(struct pair *p, uint32_t mid)
{
	say_begin(p, mid, IKE_CFG_REQUEST);
	ike_config_bytes(&b, IKE_CFG_ADDRESS, NULL, 0);
	ike_config_bytes(&b, IKE_CFG_NETMASK, NULL, 0);
	ike_config_bytes(&b, IKE_CFG_DNS, NULL, 0);
	say_end(p, false);
}

/* The body of the answer, which must be exactly these bytes. */
static void expect_answer(struct pair *p, const void *body, size_t len)
{
	struct ike_config c;
	struct isa_message *m = hear(p, false, &c);
	struct cs_bytes got = isa_find(m, ISA_ATTRIBUTES, 0)->body;

	ck_assert_int_eq(c.type, IKE_CFG_REPLY);
	ck_assert_uint_eq(c.id, 7);
	ck_assert_uint_eq(got.len, len + 4);
	ck_assert_mem_eq(got.p + 4, body, len);
}

#define ADDRESS "\0\1\0\4\x0a\x09\0\4"
#define NETMASK "\0\2\0\4\xff\xff\xff\xff"
#define DNS     "\0\3\0\4\x0a\x08\0\x35"

static int copy_p2(void *arg, const struct ike_p2_info *info)
{
	*(struct ike_p2_info *)arg = *info;
	return 0;
}

START_TEST(an_address)
{
	struct pair *p =
		let_in("  ClientAddressPool 10.9.0.4-10.9.0.4\n  ClientDns 10.8.0.53\n", HOST);
	uint8_t first[sizeof(last)];
	struct ike_p1_info p1;
	struct ike_p2_info p2;
	size_t len;

	request(p, 0x4711);
	ck_assert_uint_eq(n_sent, 3);
	expect_answer(p, ADDRESS NETMASK DNS, 24);
	memcpy(first, last, last_len);
	len = last_len;
	ck_assert_uint_eq(p->side[1].e->leases.count, 1);
	ck_assert(p->side[1].kept[0].client_address.family == AF_INET);
	request(p, 0x4711); /* again: the same bytes */
	ck_assert_uint_eq(pair_stats(p, 1)->repeats_answered, 1);
	ck_assert(len == last_len && !memcmp(first, last, len));
	request(p, 0x4712); /* anew: the same address */
	expect_answer(p, ADDRESS NETMASK DNS, 24);
	pair_wait(p, 7000);
	pair_expect_up(p);
	ike_engine_each_p1(p->side[1].e, copy_p1, &p1);
	ck_assert_str_eq(p1.user, "alice");
	ck_assert_mem_eq(p1.client_address.b, "\x0a\x09\0\4", 4);
	ike_engine_each_p2(p->side[1].e, copy_p2, &p2);
	ck_assert_str_eq(p2.user, "alice");
	/* It goes with the phase 1 SA, and so does the tunnel. */
	ck_assert(!ike_engine_deactivate_p1(p->side[1].e, 1, p->now, NULL));
	pair_run(p);
	ck_assert_uint_eq(p->side[1].e->leases.count, 0);
	ck_assert_uint_eq(pair_installed(&p->side[1]), 0);
	pair_free(p);
}
END_TEST

/* With an address pool nobody has a tunnel to any other address than his own. */
START_TEST(another_address)
{
	struct pair *p = let_in("  ClientAddressPool 10.9.0.5-10.9.0.5\n", HOST);

	if (_i)
		request(p, 0x4711);
	pair_wait(p, 7000);
	ck_assert(pair_said(&p->side[1], "is not the address that the client was given"));
	ck_assert_uint_eq(p->side[1].n_records[IKE_REC_P2_INTENT], 0);
	pair_free(p);
}
END_TEST

/* What is longer than the policy accepts is taken and ended in time, and the client is told. */
START_TEST(long_life)
{
	struct pair *p = let_in("", NULL);
	const struct pol_dynvpn_action *vpn = p->side[1].policy->rules[0].vpn;
	struct ike_p2_info client, gateway;

	vpn->offers[0].life_seconds.accepted_max = _i ? 100000 : 900;
	pair_wait(p, 7000);
	pair_expect_up(p);
	ike_engine_each_p2(p->side[0].e, copy_p2, &client);
	ike_engine_each_p2(p->side[1].e, copy_p2, &gateway);
	ck_assert_uint_eq(gateway.lifetime, _i ? 3600 : 900);
	ck_assert_uint_eq(client.lifetime, gateway.lifetime);
	ck_assert_int_eq(pair_said(&p->side[0], "900"), !_i);
	pair_free(p);
}
END_TEST

/* The identity decides of which rule users, and of which offer the longest life are. */
START_TEST(final_rule)
{
	char rule[2000];
	struct pair_policy a = {.local_id = "Fqdn group.example.com", .key = "common-secret"};
	struct pair_policy o = {.remote_id = "Fqdn others.example.com",
				.key = "common-secret",
				.how_to_initiate = "DoNot",
				.more_action = XAUTH "  ClientUser carol $1$x$" MD5 "\n",
				.more_rules = rule};
	struct ike_p1_info info;
	struct pair *p;

	/* What closes the KeyExchangePolicy closes the action here. */
	snprintf(rule, sizeof(rule),
		 "  KeyExchangeRule Second\n  {\n    LocalSecurityEndpoint\n    {\n"
		 "      Identity IpAddr 198.51.100.2\n      Location 198.51.100.2\n    }\n"
		 "    RemoteSecurityEndpoint\n    {\n      Identity Fqdn group.example.com\n"
		 "      Location 192.0.2.0/24\n    }\n    KeyExchangeActionRef Shorter\n"
		 "    SharedKey Ascii common-secret\n  }\n}\n"
		 "KeyExchangeAction Shorter\n{\n  HowToInitiate DoNot\n"
		 "  HowToRespondIKEv1 Main\n" XAUTH "%s  KeyExchangeOffer\n  {\n"
		 "    HowToEncrypt AES_CBC KeyLength 128\n    HowToAuthMsgs SHA2_256\n"
		 "    DHGroup Group19\n    HowToAuthPeers PresharedKey\n"
		 "    RefreshLifetimeProposed 60\n    RefreshLifetimeAccepted 5 60\n  }\n",
		 users);
	plain = false;
	last_len = n_sent = 0;
	p = pair_new(&a, &o);
	p->filter = filter;
	pair_acquire(p, 0);
	ck_assert_msg(pair_said(&p->side[1], "EZD1785I"), "%s", p->side[1].log);
	login(p);
	expect_status(p, 1);
	acknowledge(p);
	ike_engine_each_p1(p->side[1].e, copy_p1, &info);
	ck_assert_str_eq(info.rule, "Second");
	ck_assert_uint_eq(info.lifetime, 3600);
	pair_free(p);
}
END_TEST

/* The gateway begins none, be it to the address that was given: which client has it is not known.
 */
START_TEST(begun_by_the_gateway)
{
	struct pair *p = let_in("  ClientAddressPool 10.9.0.4-10.9.0.4\n", HOST);

	if (_i)
		request(p, 0x4711);
	pair_acquire(p, 1);
	ck_assert(pair_said(&p->side[1], "HowToInitiate"));
	ck_assert_uint_eq(p->side[1].n_records[IKE_REC_P2_INTENT], 0);
	pair_free(p);
}
END_TEST

/* Suggestions, things that we do not know, many of them, and fill. */
START_TEST(odd_requests)
{
	static const uint8_t suggested[][4] = {
		{0}, {255, 255, 255, 255}, {224, 0, 0, 1}, {198, 51, 100, 2}, {10, 9, 0, 99}};
	struct pair *p = let_in("  ClientAddressPool 10.9.0.4-10.9.0.4\n", HOST);

	say_begin(p, 0x4711, IKE_CFG_REQUEST);
	if (_i < 5)
		ike_config_bytes(&b, IKE_CFG_ADDRESS, suggested[_i], 4);
	else
		ike_config_bytes(&b, IKE_CFG_ADDRESS, NULL, 0);
	if (_i == 5)
		for (unsigned i = 0; i < 500; i++) /* split-include */
			ike_config_bytes(&b, 28676, "\x0a\0\0\0\xff\0\0\0\0\0\0\0\0\0", 14);
	if (_i == 6)
		ike_config_bytes(&b, 28674, "$(reboot);`x`&|<>\"'", 19);
	if (_i > 6)
		cs_put_zeros(&b.w, (size_t)_i - 6);
	say_end(p, false);
	if (_i < 10) {
		expect_answer(p, ADDRESS, 8);
	} else { /* four zero bytes are an attribute, but nothing to answer */
		expect_answer(p, ADDRESS, 8);
	}
	pair_free(p);
}
END_TEST

/* Nobody asked for these. */
START_TEST(unasked)
{
	static const enum ike_config_type types[] = {IKE_CFG_REPLY, IKE_CFG_SET, IKE_CFG_ACK};
	struct pair *p = let_in("  ClientAddressPool 10.9.0.4-10.9.0.4\n", HOST);

	say_begin(p, 0x4711, types[_i]);
	ike_config_bytes(&b, IKE_CFG_ADDRESS, "\x0a\x09\0\4", 4);
	say_end(p, false);
	ck_assert_uint_eq(n_sent, 2);
	ck_assert_uint_eq(pair_stats(p, 1)->dropped_malformed, 1);
	ck_assert_uint_eq(p->side[1].e->leases.count, 0);
	pair_free(p);
}
END_TEST

START_TEST(too_early)
{
	struct pair *p = asked("  ClientAddressPool 10.9.0.4-10.9.0.4\n", HOST);
	struct ike_config c;
	uint8_t kept[IKE_BLOCK_MAX];

	hear(p, true, &c);
	memcpy(kept, iv, sizeof(iv));
	request(p, 0x4711);
	ck_assert_uint_eq(n_sent, 1);
	ck_assert_uint_eq(p->side[1].e->leases.count, 0);
	memcpy(iv, kept, sizeof(iv));
	say_login(p, "alice", 5, PASSWORD, strlen(PASSWORD));
	expect_status(p, 1);
	pair_free(p);
}
END_TEST

/* Addresses that end in 0 or 255 are not given out. */
START_TEST(no_network_addresses)
{
	struct pair *p = let_in("  ClientAddressPool 10.9.0.255-10.9.1.1\n", HOST);

	request(p, 0x4711);
	expect_answer(p, "\0\1\0\4\x0a\x09\1\1" NETMASK, 16);
	pair_free(p);
}
END_TEST

/* Nor is the gateway's own, and then there is none. */
START_TEST(empty_pool)
{
	struct pair *p = let_in(_i ? "  ClientAddressPool 198.51.100.2\n" : "", HOST);

	request(p, 0x4711);
	expect_answer(p, "", 0);
	ck_assert_uint_eq(pair_complaints(&p->side[1], "no free address"), _i ? 1 : 0);
	pair_free(p);
}
END_TEST

/* A client that begins anew keeps its address; the SA of before ends without taking it along. */
START_TEST(same_again)
{
	struct pair *p = let_in("  ClientAddressPool 10.9.0.4-10.9.0.4\n", HOST);

	request(p, 0x4711);
	expect_answer(p, ADDRESS NETMASK, 16);
	begin_anew(p);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_up, 2);
	request(p, 0x4712);
	expect_answer(p, ADDRESS NETMASK, 16);
	ck_assert_uint_eq(p->side[1].e->leases.count, 1);
	pair_free(p);
}
END_TEST

/* The tunnel goes where its address goes, and ends with it. */
START_TEST(tunnel_with_address)
{
	struct pair *p = let_in("  ClientAddressPool 10.9.0.4-10.9.0.4\n", HOST);
	struct side *s = &p->side[1];
	struct ike_p1 *first = p1_of(p, 1);
	uint8_t gone[24] = {0, 0, 0, 1, 1, 16, 0, 1};

	request(p, 0x4711);
	pair_wait(p, 7000);
	pair_expect_up(p);
	begin_anew(p);
	request(p, 0x4712);
	expect_answer(p, ADDRESS NETMASK, 16);
	ck_assert_uint_eq(s->n_kept, 2);
	ck_assert_uint_ne(s->kept[0].client_address.family, s->kept[1].client_address.family);
	if (_i) {
		ck_assert_ptr_eq(IKE_OF(s->e->p2s.next, struct ike_p2, all)->p1, p1_of(p, 1));
	} else {
		memcpy(gone + 8, first->sid.icookie, 8);
		memcpy(gone + 16, first->sid.rcookie, 8);
		tell(p, ISA_DELETE, gone, sizeof(gone));
		ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 1);
		ck_assert_uint_eq(pair_installed(s), 2);
	}
	memcpy(gone + 8, p1_of(p, 1)->sid.icookie, 8);
	memcpy(gone + 16, p1_of(p, 1)->sid.rcookie, 8);
	tell(p, ISA_DELETE, gone, sizeof(gone));
	ck_assert_uint_eq(s->e->leases.count, 0);
	ck_assert_uint_eq(pair_installed(s), 0);
	pair_free(p);
}
END_TEST

/* ---- policy ---- */

/* An offer of XAuth for a rule without, and the other way round. */
START_TEST(not_for_clients)
{
	struct pair_policy o = {0};
	struct pair *p;

	if (_i) {
		p = new_pair("", NULL);
		plain = true;
	} else {
		p = pair_new(&o, &o);
		plain = false;
		p->filter = filter;
	}
	pair_acquire(p, 0);
	ck_assert_uint_eq(pair_complaints(&p->side[1], _i ? "ClientAuthentication is XAuth"
							  : "ClientAuthentication is None"),
			  1);
	pair_wait(p, 300000);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_up, 0);
	pair_free(p);
}
END_TEST

/* The user, or all of it, goes from the policy; another user more changes nothing. */
START_TEST(new_policy)
{
	struct pair *p = let_in("", NULL);
	struct pair_policy o = {.how_to_initiate = "DoNot", .more_action = action};
	struct pol_policy *policy;

	if (_i == 0)
		snprintf(action, sizeof(action), XAUTH "%s  ClientUser carol $1$x$" MD5 "\n",
			 users);
	else if (_i == 1)
		snprintf(action, sizeof(action), XAUTH "  ClientUser bob $1$x$" MD5 "\n");
	else
		action[0] = 0;
	policy = pair_make_policy(&o, 1);
	ike_engine_policy(p->side[1].e, policy, p->now);
	pol_unref(p->side[1].policy);
	p->side[1].policy = policy;
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, _i == 0);
	ck_assert(_i != 1 || pair_said(&p->side[1], "no longer has its ClientUser"));
	pair_free(p);
}
END_TEST

/* The user goes, or gets another password, while the one that he gave is checked. */
START_TEST(new_policy_meanwhile)
{
	struct pair *p = asked("", NULL);
	struct pair_policy o = {.how_to_initiate = "DoNot", .more_action = action};
	struct side *s = &p->side[1];
	struct pol_policy *policy;

	s->jobs_later = true;
	login(p);
	snprintf(action, sizeof(action), XAUTH "  ClientUser %s $1$x$" MD5 "\n",
		 _i ? "alice" : "carol");
	policy = pair_make_policy(&o, 1);
	ike_engine_policy(s->e, policy, p->now);
	pol_unref(s->policy);
	s->policy = policy;
	pair_jobs(p);
	expect_status(p, 0);
	acknowledge(p);
	expect_out(p);
	pair_free(p);
}
END_TEST

/* The next engine knows the client and its address. */
START_TEST(restart)
{
	struct pair *p = let_in("  ClientAddressPool 10.9.0.4-10.9.0.4\n", HOST);
	struct side *s = &p->side[1];
	struct ike_p1_kept kept;
	const struct ike_p1_kept *list[] = {&kept};
	struct ike_leftovers left = {.kept = list, .n_kept = 1};
	struct ike_restored restored = {0};
	struct ike_p1_info info;
	struct cs_err err = {0};

	request(p, 0x4711);
	expect_answer(p, ADDRESS NETMASK, 16);
	kept = s->kept[0];
	ike_engine_each_p1(s->e, copy_p1, &info);
	left.p1 = &info;
	left.n_p1 = 1;
	ike_engine_free(s->e);
	pair_engine(s);
	ck_assert_msg(!ike_engine_restore(s->e, &left, p->now, &restored, &err), "%s", err.text);
	ck_assert_uint_eq(restored.p1, 1);
	ck_assert_uint_eq(s->e->leases.count, 1);
	request(p, 0x4712);
	expect_answer(p, ADDRESS NETMASK, 16);
	pair_wait(p, 7000);
	pair_expect_up(p);
	pair_free(p);
}
END_TEST

/* Nor does a tunnel live on without the SA of its client: nobody would take its address back. */
START_TEST(restart_without)
{
	struct pair *p = let_in("  ClientAddressPool 10.9.0.4-10.9.0.4\n", HOST);
	struct side *s = &p->side[1];
	struct ike_left_sa sas[2];
	struct ike_cached_p2 row = {.intent = 0};
	struct ike_leftovers left = {.p2 = &row, .sas = sas, .n_p1 = 1, .n_p2 = 1, .n_sas = 2};
	struct ike_restored restored = {0};
	struct ike_p1_info info;
	struct cs_err err = {0};
	uint8_t ids[2][64];

	request(p, 0x4711);
	pair_wait(p, 7000);
	pair_expect_up(p);
	ike_engine_each_p1(s->e, copy_p1, &info);
	ike_engine_each_p2(s->e, copy_p2, &row.info);
	memcpy(ids[0], row.info.local_id.p, row.info.local_id.len);
	memcpy(ids[1], row.info.remote_id.p, row.info.remote_id.len);
	row.info.local_id.p = ids[0];
	row.info.remote_id.p = ids[1];
	left.p1 = &info;
	for (unsigned i = 0; i < 2; i++)
		sas[i] = (struct ike_left_sa){.id = s->sas[i].sa.id, .reqid = s->sas[i].sa.reqid};
	left.policies = s->policies;
	left.n_policies = s->n_policies;
	ike_engine_free(s->e);
	pair_engine(s);
	ck_assert_msg(!ike_engine_restore(s->e, &left, p->now, &restored, &err), "%s", err.text);
	ck_assert_uint_eq(restored.p1 + restored.p2, 0);
	ck_assert_uint_eq(restored.removed, 2);
	ck_assert(pair_said(s, "user alice has to be proved again"));
	pair_free(p);
}
END_TEST

struct p1_rows {
	struct ike_p1_info info[2];
	unsigned n;
};

static int add_p1(void *arg, const struct ike_p1_info *info)
{
	struct p1_rows *rows = arg;

	ck_assert_uint_lt(rows->n, 2);
	rows->info[rows->n++] = *info;
	return 0;
}

/* A tunnel that went along to a newer SA of its user goes on under that one, the old one gone or
 * not. */
START_TEST(restart_moved)
{
	struct pair *p = let_in("  ClientAddressPool 10.9.0.4-10.9.0.4\n", HOST);
	struct side *s = &p->side[1];
	struct ike_p1_kept kept[2];
	const struct ike_p1_kept *list[2];
	struct p1_rows rows = {.n = 0};
	struct ike_left_sa sas[2];
	struct ike_cached_p2 row = {.intent = 0};
	struct ike_leftovers left = {
		.kept = list, .n_kept = 2, .p2 = &row, .sas = sas, .n_p2 = 1, .n_sas = 2};
	struct ike_restored restored = {0};
	struct cs_err err = {0};
	uint8_t ids[2][64];

	request(p, 0x4711);
	pair_wait(p, 7000);
	pair_expect_up(p);
	ike_engine_each_p2(s->e, copy_p2, &row.info); /* as the cache has it */
	memcpy(ids[0], row.info.local_id.p, row.info.local_id.len);
	memcpy(ids[1], row.info.remote_id.p, row.info.remote_id.len);
	row.info.local_id.p = ids[0];
	row.info.remote_id.p = ids[1];
	begin_anew(p);
	request(p, 0x4712);
	expect_answer(p, ADDRESS NETMASK, 16);
	memcpy(kept, s->kept, sizeof(kept));
	list[0] = &kept[0];
	list[1] = &kept[1];
	ike_engine_each_p1(s->e, add_p1, &rows);
	left.p1 = rows.info;
	left.n_p1 = rows.n;
	if (_i) { /* the old one has ended meanwhile */
		list[0] = kept[0].client_address.family ? &kept[0] : &kept[1];
		left.n_kept = 1;
	}
	for (unsigned i = 0; i < 2; i++)
		sas[i] = (struct ike_left_sa){.id = s->sas[i].sa.id, .reqid = s->sas[i].sa.reqid};
	left.policies = s->policies;
	left.n_policies = s->n_policies;
	ike_engine_free(s->e);
	pair_engine(s);
	ck_assert_msg(!ike_engine_restore(s->e, &left, p->now, &restored, &err), "%s", err.text);
	ck_assert_uint_eq(restored.p1, left.n_kept);
	ck_assert_msg(restored.p2 == 1, "%s", s->log);
	ck_assert_ptr_eq(IKE_OF(s->e->p2s.next, struct ike_p2, all)->p1,
			 ike_client_by_address(s->e, &row.info.selector.remote.lo));
	pair_free(p);
}
END_TEST

static const char policy_text[] =
	"IpFilterPolicy\n{\n  IpFilterRule All\n  {\n    IpSourceAddr All\n    IpDestAddr All\n"
	"    IpService\n    {\n      Protocol All\n    }\n    IpGenericFilterActionRef permit\n  "
	"}\n"
	"}\nIpGenericFilterAction permit\n{\n  IpFilterAction Permit\n}\n"
	"KeyExchangePolicy\n{\n  KeyExchangeRule R\n  {\n    LocalSecurityEndpoint\n    {\n"
	"      Identity IpAddr 192.0.2.1\n      Location 192.0.2.1\n    }\n"
	"    RemoteSecurityEndpoint\n    {\n      Identity KeyId Ascii group\n      Location Any\n "
	"   }\n"
	"    KeyExchangeActionRef A\n    SharedKey Ascii something\n  }\n}\n"
	"KeyExchangeAction A\n{\n  HowToInitiate %s\n%s  KeyExchangeOffer\n  {\n"
	"    HowToAuthPeers PresharedKey\n  }\n}\n";

static const struct {
	const char *initiate, *lines, *why;
} policies[] = {
	{"DoNot", XAUTH "  ClientUser a $1$x$" MD5 "\n  ClientUser b $1$x$" MD5 "\n", NULL},
	{"DoNot", "  ClientAuthentication None\n", NULL},
	{"Main", XAUTH "  ClientUser a $1$x$" MD5 "\n", "XAuth takes HowToInitiate DoNot"},
	{"DoNot", XAUTH, "it is required with ClientAuthentication XAuth"},
	{"DoNot", "  ClientUser a $1$x$" MD5 "\n", "it takes ClientAuthentication XAuth"},
	{"DoNot", "  ClientDns 10.0.0.1\n", "it takes ClientAuthentication XAuth"},
	{"DoNot", "  ClientAddressPool 10.9.0.0/24\n", "it takes ClientAuthentication XAuth"},
	{"DoNot", XAUTH "  ClientUser a\n", "the hash of a password must follow"},
	{"DoNot", XAUTH "  ClientUser a $1$x$" MD5 " z\n", "the hash of a password must follow"},
	{"DoNot", XAUTH "  ClientUser a secret\n", "a whole hash"},
	{"DoNot", XAUTH "  ClientUser a $\n", "a whole hash"},
	{"DoNot", XAUTH "  ClientUser a $6$salt\n", "a whole hash"},
	{"DoNot", XAUTH "  ClientUser a $6$salt$cut\n", "a whole hash"},
	{"DoNot", XAUTH "  ClientUser a $" MD5 "\n", "a whole hash"},
	{"DoNot", XAUTH "  ClientUser a $1$x$" MD5 ":\n", "a whole hash"},
	{"DoNot", XAUTH "  ClientUser a $1$x$" MD5 "\n  ClientUser a $1$x$" MD5 "\n",
	 "is here twice"},
	{"DoNot", XAUTH "  ClientUser a $1$x$" MD5 "\n  ClientAddressPool 2001:db8::/64\n",
	 "IPv4 unicast addresses"},
	{"DoNot", XAUTH "  ClientUser a $1$x$" MD5 "\n  ClientAddressPool 224.0.0.0/24\n",
	 "IPv4 unicast addresses"},
	{"DoNot", XAUTH "  ClientUser a $1$x$" MD5 "\n  ClientAddressPool 10.9.0.255\n",
	 "end in 0 or 255"},
	{"DoNot", XAUTH "  ClientUser a $1$x$" MD5 "\n  ClientAddressPool 10.9.0.255-10.9.1.0\n",
	 "end in 0 or 255"},
	{"DoNot", XAUTH "  ClientUser a $1$x$" MD5 "\n  ClientAddressPool 10.9.0.255-10.9.1.1\n",
	 NULL},
	{"DoNot", XAUTH "  ClientUser a $1$x$" MD5 "\n  ClientAddressPool 10.9.0.9\n", NULL},
	{"DoNot", XAUTH "  ClientUser a $1$x$" MD5 "\n  ClientDns dns.example.com\n",
	 "is not an IP address"},
	{"DoNot", XAUTH "  ClientUser a $1$x$" MD5 "\n  ClientDns 2001:db8::1\n",
	 "an IPv4 address"},
};

START_TEST(policy_findings)
{
	char text[4000];
	struct findings found = {0};
	struct pol_policy *policy;
	unsigned seen = 0;

	snprintf(text, sizeof(text), policy_text, policies[_i].initiate, policies[_i].lines);
	policy = compile_text(text, strlen(text), &found);
	for (unsigned i = 0; i < found.n; i++)
		seen += policies[_i].why && strstr(found.v[i].text, policies[_i].why);
	/* Each mistake is one error, and the rule that has such an action a note. */
	ck_assert_msg(!policy == (policies[_i].why != NULL) && seen == (policies[_i].why ? 1 : 0) &&
			      found.n_errors == seen,
		      "%s: %s", policies[_i].lines, found.n ? found.v[0].text : "nothing");
	for (unsigned i = 0; i < found.n; i++) /* hashes are secrets */
		ck_assert(!strstr(found.v[i].text, "$1$x"));
	pol_unref(policy);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("client");
	TCase *t = tcase_create("client");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, let_in_and_up);
	tcase_add_test(t, no_acknowledgement);
	tcase_add_test(t, forged_quick_mode);
	tcase_add_loop_test(t, refusals, 0, COUNT(refused));
	tcase_add_loop_test(t, other_answers, 0, 4);
	tcase_add_test(t, many_at_once);
	tcase_add_test(t, nobody_answers);
	tcase_add_test(t, ends_nothing);
	tcase_add_test(t, ends_nothing_with_himself);
	tcase_add_test(t, another_user);
	tcase_add_loop_test(t, one_is_gone, 0, 8);
	tcase_add_test(t, one_of_two_strangers);
	tcase_add_loop_test(t, told_by_both, 0, 2);
	tcase_add_loop_test(t, broken_messages, 0, COUNT(broken));
	tcase_add_loop_test(t, wrong_payloads, 0, 5);
	tcase_add_test(t, an_address);
	tcase_add_loop_test(t, another_address, 0, 2);
	tcase_add_loop_test(t, long_life, 0, 2);
	tcase_add_test(t, final_rule);
	tcase_add_loop_test(t, begun_by_the_gateway, 0, 2);
	tcase_add_loop_test(t, odd_requests, 0, 11);
	tcase_add_loop_test(t, unasked, 0, 3);
	tcase_add_test(t, too_early);
	tcase_add_test(t, no_network_addresses);
	tcase_add_loop_test(t, empty_pool, 0, 2);
	tcase_add_test(t, same_again);
	tcase_add_loop_test(t, tunnel_with_address, 0, 2);
	tcase_add_loop_test(t, not_for_clients, 0, 2);
	tcase_add_loop_test(t, new_policy, 0, 3);
	tcase_add_loop_test(t, new_policy_meanwhile, 0, 2);
	tcase_add_test(t, restart);
	tcase_add_test(t, restart_without);
	tcase_add_loop_test(t, restart_moved, 0, 2);
	tcase_add_loop_test(t, policy_findings, 0, COUNT(policies));
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	if (!pair_crypto())
		return EXIT_FAILURE;
	make_users();
	return run_suite(suite());
}
