/*
 * The negotiation engine: what another host had at an address is negotiated anew by the one that
 * the address has come to.  Here the other host is the engine before, whose kernel is gone with it.
 */
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/pair_takeover.h"
#include "tests/unit/run_suite.h"

/* Both ends have one pair, the new one, and the peer nothing of the old host's. */
static void expect_over(struct pair *p, unsigned i, unsigned n)
{
	struct side *s = &p->side[i], *peer = &p->side[!i];

	ck_assert_msg(pair_mirrored(p), "%s\n----\n%s", s->log, peer->log);
	ck_assert_uint_eq(pair_installed(s), 2 * n);
	ck_assert_uint_eq(s->n_inherited, n);
	ck_assert_uint_eq(pair_stats(p, i)->taken_over, n);
	ck_assert_uint_eq(pair_stats(p, !i)->p1_live, 1);
	ck_assert_uint_eq(pair_stats(p, !i)->p2_live, n);
	ck_assert(!pair_said(peer, "CSI1010I")); /* INITIAL-CONTACT */
	ck_assert(pair_said(s, "CSI1081I"));
}

/* What was inherited has its names of the policy before. */
static struct pol_policy *before;

static void change_policy(struct side *s, const struct pair_policy *o)
{
	before = s->policy;
	s->policy = pair_make_policy(o, s->index);
	ike_engine_policy(s->e, s->policy, s->pair->now);
}

static void finish(struct pair *p)
{
	pair_free(p);
	pol_unref(before);
	before = NULL;
}

/* ---- one tunnel ---- */

static const struct pair_policy kinds[] = {
	{.rule_name = "Both"},
	{.how_to_initiate = "Aggressive", .how_to_respond = "Aggressive"},
	{.pfs = "Group19"},
	{.data_offers = "Tunnel|AES_CBC KeyLength 128|AH HMAC_SHA1"},
	{.data_offers = "Tunnel|DoNot|AH HMAC_SHA2_256_128"},
	{.ipv6 = true},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* _i: of which kind, and which of the two dies; two jobs a phase 1, two more with PFS. */
START_TEST(test_one)
{
	const struct pair_policy *o = &kinds[_i / 2];
	unsigned i = (unsigned)_i % 2;
	struct pair *p = pair_new(o, o);
	struct side *s = &p->side[i];
	struct inheritance c;
	unsigned jobs;

	pair_acquire(p, 0);
	pair_wait(p, 100);
	inherit_of(s, &c);
	jobs = s->n_pk;
	ck_assert_uint_eq(take_over(s, &c), 1);
	pair_wait(p, 50);
	ck_assert_uint_eq(pair_stats(p, i)->taken_over, 1);
	ck_assert_uint_eq(pair_stats(p, !i)->p2_live, 2);
	pair_wait(p, 1000);
	if (strstr(o->data_offers ? o->data_offers : "", "128|AH HMAC_SHA1"))
		ck_assert_uint_eq(pair_installed(s), 4);
	else
		expect_over(p, i, 1);
	ck_assert_uint_eq(pair_stats(p, !i)->p2_live, 1);
	ck_assert_uint_eq(s->n_pk - jobs, o->pfs ? 4 : 2);
	ck_assert(!pair_said(s, "CSI1010I"));
	finish(p);
}
END_TEST

/* Both list another offer first than the one that was agreed; the dead host had other lists. */
START_TEST(test_cached_alone)
{
	struct pair_policy o = {
		.ke_offers = "AES_CBC KeyLength 128|SHA2_256|Group14;"
			     "AES_CBC KeyLength 256|SHA2_256|Group19",
		.data_offers = "Transport|AES_CBC KeyLength 256|ESP HMAC_SHA1;"
			       "Transport|AES_CBC KeyLength 128|ESP HMAC_SHA1",
		.pfs = "Group14",
		.accept_pfs = "Group14 Group19",
	};
	struct pair_policy narrow = {
		.ke_offers = "AES_CBC KeyLength 256|SHA2_256|Group19",
		.data_offers = "Transport|AES_CBC KeyLength 128|ESP HMAC_SHA1",
		.pfs = "Group19",
	};
	struct pair *p = pair_new(&narrow, &o);
	struct side *s = &p->side[0];
	struct inheritance c;
	struct ike_p1_info p1;
	struct ike_p2_info p2;

	pair_acquire(p, 0);
	inherit_of(s, &c);
	change_policy(s, &o);
	take_over(s, &c);
	pair_wait(p, 1000);
	expect_over(p, 0, 1);
	ck_assert(first_p1(s, &p1) && first_p2(s, &p2));
	ck_assert_uint_eq(p1.suite.cipher->key_bits ? p1.suite.cipher->key_bits : 256, 256);
	ck_assert_uint_eq(p1.suite.group->number, 19);
	ck_assert_uint_eq(p2.pfs_group, 19);
	ck_assert_int_eq(p2.activation, IKE_ACT_TAKEOVER);
	ck_assert(!pair_said(s, "CSI1024I"));
	finish(p);
}
END_TEST

static unsigned exchange_of(const struct pair *p, unsigned from)
{
	for (unsigned i = 0; i < p->n_history; i++)
		if (p->history[i].from == from)
			return p->history[i].data[18];
	return 0;
}

/*
 * The peer has begun in Aggressive Mode, which is answered, and we would begin in Main Mode: what
 * was used counts. _i 1: not when it is answered no more.
 */
START_TEST(test_mode)
{
	struct pair_policy o = {.how_to_initiate = "Main", .how_to_respond = "Either"};
	struct pair_policy main_only = {.how_to_initiate = "Main", .how_to_respond = "Main"};
	struct pair_policy peer = {.how_to_initiate = "Aggressive", .how_to_respond = "Either"};
	struct pair *p = pair_new(&o, &peer);
	struct side *s = &p->side[0];
	struct inheritance c;

	pair_acquire(p, 1);
	pair_wait(p, 100);
	inherit_of(s, &c);
	if (_i)
		change_policy(s, &main_only);
	take_over(s, &c);
	pair_wait(p, 1000);
	expect_over(p, 0, 1);
	ck_assert_uint_eq(exchange_of(p, 0), _i ? ISA_MAIN : ISA_AGGRESSIVE);
	finish(p);
}
END_TEST

/* Aggressive Mode with the agreed offer's group, which is not that of the first one. */
START_TEST(test_mode_group)
{
	struct pair_policy o = {.how_to_initiate = "Main",
				.how_to_respond = "Either",
				.ke_offers = "AES_CBC KeyLength 128|SHA2_256|Group14;"
					     "AES_CBC KeyLength 128|SHA2_256|Group19"};
	struct pair_policy peer = {.how_to_initiate = "Aggressive", .how_to_respond = "Either"};
	struct pair *p = pair_new(&o, &peer);
	struct side *s = &p->side[0];
	struct inheritance c;

	pair_acquire(p, 1);
	pair_wait(p, 100);
	inherit_of(s, &c);
	take_over(s, &c);
	pair_wait(p, 1000);
	expect_over(p, 0, 1);
	ck_assert_uint_eq(exchange_of(p, 0), ISA_AGGRESSIVE);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_failed, 0);
	finish(p);
}
END_TEST

/*
 * The peer (_i 0: in phase 1, 1: in phase 2) does not take any more what was agreed, and so what
 * the policy lists is offered once; _i 2 and 3: it is our policy that has it no more.
 */
START_TEST(test_policy_list)
{
	static const char ke_both[] = "AES_CBC KeyLength 128|SHA2_256|Group19;"
				      "AES_CBC KeyLength 256|SHA2_256|Group19";
	static const char ke_new[] = "AES_CBC KeyLength 256|SHA2_256|Group19";
	static const char data_both[] = "Transport|AES_CBC KeyLength 128|ESP HMAC_SHA1;"
					"Transport|AES_CBC KeyLength 256|ESP HMAC_SHA1";
	static const char data_new[] = "Transport|AES_CBC KeyLength 256|ESP HMAC_SHA1";
	struct pair_policy both = {.ke_offers = ke_both, .data_offers = data_both};
	struct pair_policy new = {.ke_offers = _i % 2 ? ke_both : ke_new,
				  .data_offers = _i % 2 ? data_new : data_both};
	struct pair *p = pair_up(&both);
	struct side *s = &p->side[0], *changed = &p->side[_i < 2];
	struct inheritance c;

	inherit_of(s, &c);
	change_policy(changed, &new);
	pair_run(p);
	take_over(s, &c);
	pair_wait(p, 3000);
	ck_assert_msg(pair_stats(p, 0)->taken_over == 1, "%s\n----\n%s", s->log, p->side[1].log);
	ck_assert_uint_eq(s->n_inherited, 1);
	ck_assert_int_eq(pair_said(s, "CSI1024I"), _i >= 2);
	finish(p);
}
END_TEST

/* ---- many tunnels with one peer ---- */

#define NETS 12

static struct pair_policy nets(bool left)
{
	return (struct pair_policy){
		.local_net = left ? "10.1.0.0/24" : "10.2.0.0/24",
		.remote_net = left ? "10.2.0.0/24" : "10.1.0.0/24",
		.a_tunnel_a_host = true,
		.data_offers = "Tunnel|AES_CBC KeyLength 128|ESP HMAC_SHA1",
	};
}

static void packet(struct pair *p, unsigned side, unsigned host)
{
	struct side *s = &p->side[side];
	struct xf_acquire a = {.rule_id = XF_MARK_RULE_MIN, .proto = IPPROTO_ESP};
	char text[CS_ADDR_STRLEN];

	a.src = s->addr.addr;
	a.dst = p->side[!side].addr.addr;
	snprintf(text, sizeof(text), "10.1.0.%u", host);
	cs_addr_parse(text, side ? &a.selector.remote.lo : &a.selector.local.lo, NULL);
	snprintf(text, sizeof(text), "10.2.0.%u", host);
	cs_addr_parse(text, side ? &a.selector.local.lo : &a.selector.remote.lo, NULL);
	a.selector.local.hi = a.selector.local.lo;
	a.selector.remote.hi = a.selector.remote.lo;
	a.selector.proto = IPPROTO_TCP;
	a.selector.local_port = 40000;
	a.selector.remote_port = 80;
	ike_engine_acquire(s->e, &a, p->now);
}

static struct pair *nets_up(void)
{
	struct pair_policy left = nets(true), right = nets(false);
	struct pair *p = pair_new(&left, &right);

	for (unsigned i = 1; i <= NETS; i++) {
		packet(p, 0, i);
		pair_run(p);
	}
	ck_assert_uint_eq(pair_installed(&p->side[0]), 2 * NETS);
	return p;
}

/* Counts our Quick Modes that the peer does not hear of. */
static bool hold_quick(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	(void)len;
	if (from || data[18] != ISA_QUICK)
		return true;
	++*(unsigned *)p->filter_arg;
	return false;
}

/* The last line of the log that says which tunnel was begun; n counts back. */
static bool begun(const struct side *s, unsigned nth, unsigned host)
{
	const char *line = s->log;
	char text[40];

	snprintf(text, sizeof(text), "10.2.0.%u", host);
	while ((line = strstr(line, "CSI1011I"))) {
		const char *end = strchr(line, '\n');

		if (!nth--)
			return memmem(line, (size_t)(end - line), text, strlen(text)) != NULL;
		line = end;
	}
	return false;
}

START_TEST(test_many)
{
	struct pair *p = nets_up();
	struct side *s = &p->side[0];
	struct inheritance c;
	unsigned sent = 0, jobs;

	inherit_of(s, &c);
	jobs = s->n_pk;
	s->log_len = 0;
	for (unsigned i = 0; i < c.n; i++)
		c.rows[i].used = 1000 + (int64_t)(i * 5 % NETS);
	p->filter = hold_quick;
	p->filter_arg = &sent;
	ck_assert_uint_eq(take_over(s, &c), NETS);
	pair_wait(p, 50);
	ck_assert_uint_eq(sent, 8); /* at a time */
	/* A packet for one that is still queued; nobody waits for an answer to be the next one. */
	p->filter = NULL;
	pair_wait(p, 2000);
	expect_over(p, 0, NETS);
	ck_assert_uint_eq(s->n_pk - jobs, 2);
	/* In the order in which they were used last. */
	for (unsigned n = 0; n < NETS; n++) {
		unsigned row = (NETS - 1 - n) * 5 % NETS; /* 5 is its own inverse modulo 12 */
		char text[CS_ADDR_STRLEN];

		cs_addr_text(&c.rows[row].p2.selector.remote.lo, text);
		ck_assert_msg(begun(s, n, (unsigned)strtoul(strrchr(text, '.') + 1, NULL, 10)),
			      "%u: %s\n%s", n, text, s->log);
	}
	finish(p);
}
END_TEST

/* _i 0: a packet, 1: one that came by an old SA. */
START_TEST(test_wanted_is_next)
{
	struct pair *p = nets_up();
	struct side *s = &p->side[0];
	struct inheritance c;
	unsigned sent = 0;

	inherit_of(s, &c);
	s->log_len = 0;
	for (unsigned i = 0; i < c.n; i++)
		c.rows[i].used = -strtol(host_of(&c.rows[i].p2.selector.remote.lo), NULL, 10);
	p->filter = hold_quick;
	p->filter_arg = &sent;
	take_over(s, &c);
	if (_i)
		ike_engine_wanted(s->e, c.rows[row_of(&c, "11")].p2.spi_in, p->now);
	else
		packet(p, 0, 11);
	pair_wait(p, 50);
	ck_assert_msg(begun(s, 0, 11) && begun(s, 1, 1) && begun(s, 2, 2), "%s", s->log);
	ck_assert_uint_eq(pair_holds(s), !_i);
	p->filter = NULL;
	pair_wait(p, 2000);
	expect_over(p, 0, NETS);
	ck_assert_uint_eq(pair_holds(s), 0);
	finish(p);
}
END_TEST

/* It comes up by a negotiation that the peer begins: no second one. */
START_TEST(test_peer_is_faster)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct inheritance c;

	inherit_of(s, &c);
	ck_assert_int_eq(ike_engine_deactivate_p1(p->side[1].e, 1, p->now, NULL), 0);
	pair_forget(p);
	take_over(s, &c);
	if (_i) { /* phase 1 alone is there before */
		pair_acquire(p, 1);
	} else {
		s->jobs_later = true;
		pair_acquire(p, 1);
		pair_wait(p, 50); /* both have begun */
		pair_jobs(p);
		s->jobs_later = false;
	}
	pair_wait(p, 60000 * 3);
	ck_assert_uint_eq(s->n_inherited, 1);
	ck_assert_uint_eq(pair_stats(p, 0)->taken_over, 1);
	if (_i)
		ck_assert_uint_eq(pair_stats(p, 0)->p2_up, 1);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_live, 1);
	ck_assert_uint_eq(pair_stats(p, 1)->p2_live, 1);
	ck_assert(pair_mirrored(p));
	finish(p);
}
END_TEST

static bool hold_peers_quick(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	(void)p;
	(void)len;
	return !from || data[18] != ISA_QUICK;
}

/* Its phase 1 is up, and its Quick Mode is on its way: we do not begin another one meanwhile. */
START_TEST(test_peer_has_begun)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct inheritance c;
	struct ike_p2_info p2;
	unsigned n;

	inherit_of(s, &c);
	ck_assert_int_eq(ike_engine_deactivate_p1(p->side[1].e, 1, p->now, NULL), 0);
	pair_forget(p);
	take_over(s, &c);
	p->filter = hold_peers_quick;
	pair_acquire(p, 1);
	pair_wait(p, 300);
	for (n = p->n_history - 1; p->history[n].data[18] != ISA_QUICK; n--)
		;
	ck_assert_uint_eq(p->history[n].from, 1);
	p->filter = NULL;
	pair_replay(p, n);
	pair_wait(p, 5000);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_up, 1);
	ck_assert(first_p2(s, &p2) && !p2.initiator);
	ck_assert_uint_eq(s->n_inherited, 1);
	finish(p);
}
END_TEST

/* ---- a peer that is not there ---- */

struct times {
	uint64_t at[64];
	unsigned n;
	bool deaf;
};

static bool note_times(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	struct times *t = p->filter_arg;

	(void)data;
	(void)len;
	if (!from && t->n < 64)
		t->at[t->n++] = p->now.mono;
	return !t->deaf;
}

START_TEST(test_silent_peer)
{
	static const uint64_t expected[] = {0, 100, 300, 700, 1500, 2000, 6000, 14000};
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct times t = {.deaf = true};
	uint64_t begun_at = p->now.mono;
	struct inheritance c;

	inherit_of(s, &c);
	p->filter = note_times;
	p->filter_arg = &t;
	take_over(s, &c);
	pair_wait(p, 5000);
	ck_assert(pair_said(s, "CSI1081I")); /* it counts as awaited by then */
	pair_wait(p, 248999);
	ck_assert(!pair_said(s, "CSI1086W"));
	for (unsigned i = 0; i < 8; i++)
		ck_assert_uint_eq(t.at[i] - begun_at, expected[i]);
	ck_assert_uint_eq(t.n, 11);
	pair_wait(p, 1);
	ck_assert(pair_said(s, "CSI1086W"));
	ck_assert_uint_eq(pair_stats(p, 0)->awaited, 1);
	ck_assert_uint_eq(s->n_inherited, 0);
	if (_i == 0 || _i == 3) { /* again after a minute */
		pair_wait(p, 59999);
		ck_assert_uint_eq(t.n, 11);
	}
	t.deaf = false;
	if (_i == 3) /* or by both */
		pair_acquire(p, 0);
	if (_i == 1) /* or at once by a packet */
		pair_acquire(p, 0);
	if (_i == 2) /* or by the peer */
		ck_assert_int_eq(ike_engine_deactivate_p1(p->side[1].e, 1, p->now, NULL), 0);
	if (_i == 2) {
		pair_forget(p);
		pair_acquire(p, 1);
	}
	pair_wait(p, 1000);
	expect_over(p, 0, 1);
	ck_assert_uint_eq(pair_holds(s), 0);
	finish(p);
}
END_TEST

/* A packet is held while the peer is tried, and not for ever. */
START_TEST(test_held)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct times t = {.deaf = true};
	struct inheritance c;

	inherit_of(s, &c);
	p->filter = note_times;
	p->filter_arg = &t;
	take_over(s, &c);
	pair_wait(p, 10);
	pair_acquire(p, 0);
	pair_wait(p, 200000);
	ck_assert_uint_eq(pair_holds(s), 1);
	pair_wait(p, 57000);
	ck_assert_uint_eq(pair_holds(s), 0);
	finish(p);
}
END_TEST

/* For as long as the old life lasts. */
START_TEST(test_silent_to_the_end)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct times t = {.deaf = true};
	struct inheritance c;

	inherit_of(s, &c);
	p->filter = note_times;
	p->filter_arg = &t;
	take_over(s, &c);
	pair_wait(p, 3500u * 1000);
	ck_assert_uint_eq(s->n_inherited, 0);
	pair_wait(p, 500u * 1000);
	ck_assert_uint_eq(s->n_inherited, 1);
	ck_assert(pair_said(s, "its lifetime is over"));
	t.n = 0;
	pair_wait(p, 500u * 1000);
	ck_assert_uint_eq(t.n, 0);
	finish(p);
}
END_TEST

/* ---- what cannot be begun ---- */

/* _i 0: the policy has no such rule; 1: not now; 2: its life is over. */
START_TEST(test_given_up)
{
	struct pair_policy late = {.times = "TimeOfDayRange 0:00-0:01"};
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct inheritance c;

	inherit_of(s, &c);
	if (_i == 0)
		c.rows[0].p2.rule = "Another";
	if (_i == 1) {
		change_policy(s, &late);
	}
	if (_i == 2)
		c.rows[0].p2.expires = p->now.wall;
	take_over(s, &c);
	pair_wait(p, 1000);
	ck_assert_uint_eq(s->n_inherited, 1);
	ck_assert_uint_eq(pair_stats(p, 0)->given_up, 1);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_initiated, 0);
	ck_assert_uint_eq(pair_complaints(s, "CSI1085W"), 1);
	finish(p);
}
END_TEST

/* The peer hears of those, too, when there is a phase 1 for another one. */
START_TEST(test_given_up_is_told)
{
	struct pair *p = nets_up();
	struct side *s = &p->side[0];
	struct inheritance c;

	inherit_of(s, &c);
	for (unsigned i = 1; i < c.n; i++)
		c.rows[i].p2.rule = "Another";
	take_over(s, &c);
	pair_wait(p, 1000);
	ck_assert_uint_eq(s->n_inherited, NETS);
	ck_assert_uint_eq(pair_stats(p, 0)->given_up, NETS - 1);
	ck_assert_uint_eq(pair_stats(p, 1)->p2_live, 1);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 1);
	finish(p);
}
END_TEST

/* _i 0: DoNot, 1: RemoteOnly. The peer begins in the end. */
START_TEST(test_awaited)
{
	struct pair_policy o = {.how_to_initiate = _i ? "Main" : "DoNot",
				.initiation = _i ? "RemoteOnly" : "Either"};
	struct pair *p = pair_new(&o, NULL);
	struct side *s = &p->side[0];
	struct inheritance c;

	pair_acquire(p, 1);
	inherit_of(s, &c);
	take_over(s, &c);
	pair_wait(p, 60000 * 3);
	ck_assert(pair_said(s, "CSI1084I"));
	ck_assert(pair_said(s, _i ? "RemoteOnly" : "DoNot"));
	ck_assert_uint_eq(pair_stats(p, 0)->awaited, 1);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_initiated, 0);
	ck_assert_uint_eq(s->n_inherited, 0);
	ck_assert_int_eq(ike_engine_deactivate_p1(p->side[1].e, 1, p->now, NULL), 0);
	pair_forget(p);
	pair_acquire(p, 1);
	pair_wait(p, 1000);
	expect_over(p, 0, 1);
	finish(p);
}
END_TEST

/* Two generations of one tunnel: one negotiation, and the peer hears of both. */
START_TEST(test_generations)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct inheritance c;
	struct cs_err err;

	ck_assert_int_eq(ike_engine_refresh_p2(s->e, 2, p->now, &err), 0);
	pair_wait(p, 10000);
	inherit_of(s, &c);
	ck_assert_uint_eq(take_over(s, &c), 2);
	pair_wait(p, 1000);
	ck_assert_uint_eq(s->n_inherited, 2);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_up, 1);
	ck_assert_uint_eq(pair_stats(p, 1)->p2_live, 1);
	ck_assert(pair_mirrored(p));
	finish(p);
}
END_TEST

/*
 * What is in the store is what this host has: it stays, and the peer hears nothing. What is read
 * once more is no other one; its last number counts.
 */
START_TEST(test_own_rows)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct inheritance c, live;

	see_all(s, &live);
	ck_assert_uint_eq(take_over(s, &live), 1);
	pair_wait(p, 5000);
	pair_expect_up(p);
	ck_assert_uint_eq(pair_stats(p, 1)->p1_live, 1);
	ck_assert_uint_eq(s->n_inherited, 1);
	inherit_of(s, &c);
	take_over(s, &c);
	c.rows[0].ref = 7;
	take_over(s, &c);
	pair_wait(p, 1000);
	ck_assert_uint_eq(s->n_inherited, 2);
	ck_assert(s->inherited >> 7 & 1);
	ck_assert_uint_eq(pair_stats(p, 0)->taken_over, 1);
	finish(p);
}
END_TEST

/* It has come before there was a policy. */
START_TEST(test_no_policy_yet)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct inheritance c;
	struct ike_settings set = {.port = 500, .marking = {XF_MARK_SHIFT_DEFAULT}};
	struct ike_ops ops;
	struct cs_err err;

	inherit_of(s, &c);
	ike_engine_free(s->e);
	pair_ops(&ops);
	ck_assert(!ike_engine_new(&set, &ops, s, &s->e, &err));
	take_over(s, &c);
	pair_wait(p, 5000);
	ck_assert_uint_eq(s->n_inherited, 0);
	ike_engine_policy(s->e, s->policy, p->now);
	pair_wait(p, 5000);
	ck_assert_uint_eq(s->n_inherited, 1);
	ck_assert_uint_eq(pair_stats(p, 0)->taken_over, 1);
	finish(p);
}
END_TEST

/* Nothing is left behind, whenever the engine is stopped. */
START_TEST(test_stopped)
{
	struct pair *p = nets_up();
	struct side *s = &p->side[0];
	struct inheritance c;
	unsigned sent = 0;

	inherit_of(s, &c);
	p->filter = hold_quick;
	p->filter_arg = &sent;
	take_over(s, &c);
	if (_i > 1)
		packet(p, 0, 3);
	if (_i)
		pair_wait(p, _i == 3 ? 250 : 0);
	pair_forget(p);
	finish(p);
}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("takeover");
	TCase *tc = tcase_create("takeover");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_one, 0, 2 * KINDS);
	tcase_add_test(tc, test_cached_alone);
	tcase_add_loop_test(tc, test_mode, 0, 2);
	tcase_add_test(tc, test_mode_group);
	tcase_add_loop_test(tc, test_policy_list, 0, 4);
	tcase_add_test(tc, test_many);
	tcase_add_loop_test(tc, test_wanted_is_next, 0, 2);
	tcase_add_loop_test(tc, test_peer_is_faster, 0, 2);
	tcase_add_test(tc, test_peer_has_begun);
	tcase_add_test(tc, test_held);
	tcase_add_loop_test(tc, test_silent_peer, 0, 4);
	tcase_add_test(tc, test_silent_to_the_end);
	tcase_add_loop_test(tc, test_given_up, 0, 3);
	tcase_add_test(tc, test_given_up_is_told);
	tcase_add_loop_test(tc, test_awaited, 0, 2);
	tcase_add_test(tc, test_generations);
	tcase_add_test(tc, test_own_rows);
	tcase_add_test(tc, test_no_policy_yet);
	tcase_add_loop_test(tc, test_stopped, 0, 4);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(void)
{
	if (!pair_crypto())
		return EXIT_FAILURE;
	return run_suite(suite());
}
