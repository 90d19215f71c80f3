/*
 * NAT traversal in phase 1: what is said and detected, the float to port 4500 in both modes,
 * keepalives, and a peer that its NAT gives another port or address.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"
#include "iked/vendor.h"
#include "tests/unit/engine_pair.h"
#include "tests/unit/run_suite.h"

#define LEFT  0
#define RIGHT 1
#define THIRD 2 /* in the place of RIGHT, behind a NAT that has RIGHT's address */

#define ALLOWED "  AllowNat Yes\n"
#define FORCED  ALLOWED "  NatForceEncapsulation Yes\n"

/* ---- NATs between the two ---- */

/* Of one side: its address outside, "" for its own, and what is added to its ports. */
static struct nat {
	bool there;
	const char *public;
	uint16_t shift;
} nats[PAIR_SIDES];

static struct cs_addr outside(const struct pair *p, unsigned i)
{
	struct cs_addr a = p->side[i].addr.addr;

	if (nats[i].public)
		cs_addr_parse(nats[i].public, &a, NULL);
	return a;
}

static bool between(struct pair *p, struct datagram *d)
{
	struct cs_addr public;

	if (nats[d->from].there) {
		d->local.addr = outside(p, d->from);
		d->local.port = (uint16_t)(d->local.port + nats[d->from].shift);
	}
	for (unsigned i = 0; i < PAIR_SIDES; i++) {
		public = outside(p, i);
		if (i == d->from || !nats[i].there)
			continue;
		if (!cs_addr_equal(&d->remote.addr, &public))
			return false; /* nobody has its inner address outside */
		d->remote.port = (uint16_t)(d->remote.port - nats[i].shift);
		d->remote.addr = p->side[i].addr.addr;
		if (d->remote.port != 500 && d->remote.port != 4500)
			return false; /* a mapping of before */
	}
	return true;
}

static void put_nat(struct pair *p, unsigned side, const char *public, uint16_t shift)
{
	nats[side] = (struct nat){true, public, shift};
	p->nat = between;
}

/* ---- NAT-D payloads that are others ---- */

static struct {
	bool on;
	unsigned from; /* the role: 1 for an initiator's */
	unsigned n, len;
} other_natd;

int __real_ike_nat_put(struct ike_engine *e, const struct ike_p1 *p1, struct isa_builder *b,
		       struct cs_err *err);
int __wrap_ike_nat_put(struct ike_engine *e, const struct ike_p1 *p1, struct isa_builder *b,
		       struct cs_err *err);

int __wrap_ike_nat_put(struct ike_engine *e, const struct ike_p1 *p1, struct isa_builder *b,
		       struct cs_err *err)
{
	static const uint8_t body[64] = {0x11, 0x22, 0x33};

	if (!other_natd.on || other_natd.from != p1->initiator)
		return __real_ike_nat_put(e, p1, b, err);
	for (unsigned i = 0; i < other_natd.n; i++)
		isa_put(b, p1->nat.level == IKE_NATT_RFC ? ISA_NATD : ISA_NATD_DRAFT, body,
			other_natd.len);
	return 0;
}

/* ---- looking ---- */

static int newest(void *arg, const struct ike_p1_info *info)
{
	struct ike_p1_info *found = arg;

	if (info->state == IKE_P1_DONE && info->generation >= found->generation)
		*found = *info;
	return 0;
}

static struct ike_p1_info p1_of(const struct pair *p, unsigned i)
{
	struct ike_p1_info found = {0};

	ike_engine_each_p1(p->side[i].e, newest, &found);
	ck_assert_msg(found.tunnel, "side %u has no phase 1:\n%s", i, p->side[i].log);
	return found;
}

static void expect(const struct pair *p, unsigned i, const char *local, const char *remote)
{
	struct ike_p1_info info = p1_of(p, i);
	char buf[CS_ENDPOINT_STRLEN];

	ck_assert_str_eq(cs_endpoint_text(&info.local, buf), local);
	ck_assert_str_eq(cs_endpoint_text(&info.remote, buf), remote);
}

static struct pair *make(const struct pair_policy *left, const struct pair_policy *right)
{
	memset(nats, 0, sizeof(nats));
	memset(&other_natd, 0, sizeof(other_natd));
	return pair_new(left, right);
}

static const char *const modes[] = {"Main", "Aggressive"};

static struct pair_policy allowing(const char *mode, const char *action)
{
	return (struct pair_policy){
		.how_to_initiate = mode, .how_to_respond = mode, .more_action = action};
}

/* ---- detection ---- */

static const struct {
	const char *left, *right; /* lines of their actions */
	bool nat_left, nat_right;
	uint8_t level;
	bool encap;
} topologies[] = {
	{ALLOWED, ALLOWED, false, false, IKE_NATT_RFC, false},
	{ALLOWED, ALLOWED, true, false, IKE_NATT_RFC, true},
	{ALLOWED, ALLOWED, false, true, IKE_NATT_RFC, true},
	{ALLOWED, ALLOWED, true, true, IKE_NATT_RFC, true},
	{ALLOWED, "", true, false, IKE_NATT_NONE, false},
	{"", ALLOWED, true, false, IKE_NATT_NONE, false},
	{"", "", true, false, IKE_NATT_NONE, false},
};
#define N_TOPOLOGIES (sizeof(topologies) / sizeof(topologies[0]))

/* Each in both modes. In front of the initiator ports are translated, and of the responder its
 * address. */
START_TEST(test_detected)
{
	unsigned t = (unsigned)_i / 2, who = RIGHT, shift = topologies[t].nat_left ? 1000 : 0;
	struct pair_policy a = allowing(modes[_i % 2], topologies[t].left);
	struct pair_policy b = allowing(modes[_i % 2], topologies[t].right);
	struct ike_p1_info left, right;
	struct pair *p;

	if (topologies[t].nat_right)
		a.remote_id = b.local_id = "Fqdn right.example.com";
	p = make(&a, &b);
	if (topologies[t].nat_left)
		put_nat(p, LEFT, NULL, 1000);
	if (topologies[t].nat_right) {
		pair_third(p, &b);
		put_nat(p, THIRD, "198.51.100.2", 0);
		who = THIRD;
	}
	pair_acquire(p, LEFT);
	left = p1_of(p, LEFT);
	right = p1_of(p, who);
	ck_assert_uint_eq(left.natt_level, topologies[t].level);
	ck_assert_uint_eq(right.natt_level, topologies[t].level);
	if (topologies[t].level) {
		ck_assert_int_eq(left.nat_local, topologies[t].nat_left);
		ck_assert_int_eq(right.nat_remote, topologies[t].nat_left);
		ck_assert_int_eq(right.nat_napt, topologies[t].nat_left);
		ck_assert_int_eq(left.nat_remote, topologies[t].nat_right);
		ck_assert_int_eq(right.nat_local, topologies[t].nat_right);
		ck_assert(!left.nat_napt);
	}
	ck_assert_int_eq(left.nat_encap, topologies[t].encap);
	ck_assert_int_eq(right.nat_encap, topologies[t].encap);
	ck_assert_uint_eq(left.local.port, topologies[t].encap ? 4500 : 500);
	ck_assert_uint_eq(left.remote.port, topologies[t].encap ? 4500 : 500);
	ck_assert_uint_eq(right.local.port, topologies[t].encap ? 4500 : 500);
	ck_assert_uint_eq(right.remote.port, (topologies[t].encap ? 4500u : 500u) + shift);
	pair_free(p);
}
END_TEST

/* A NAT that nobody has: by either, in both modes; only who is forced knows. */
START_TEST(test_forced)
{
	struct pair_policy a = allowing(modes[_i % 2], _i / 2 ? ALLOWED : FORCED);
	struct pair_policy b = allowing(modes[_i % 2], _i / 2 ? FORCED : ALLOWED);
	struct pair *p = make(&a, &b);
	struct ike_p1_info left, right;

	pair_acquire(p, LEFT);
	left = p1_of(p, LEFT);
	right = p1_of(p, RIGHT);
	ck_assert(left.nat_encap && right.nat_encap);
	ck_assert(!left.nat_local && !right.nat_local);
	ck_assert(_i / 2 ? left.nat_remote && !right.nat_remote
			 : right.nat_remote && !left.nat_remote);
	expect(p, LEFT, "192.0.2.1:4500", "198.51.100.2:4500");
	expect(p, RIGHT, "198.51.100.2:4500", "192.0.2.1:4500");
	pair_free(p);
}
END_TEST

/* IPv6 has no NAT-T here. */
START_TEST(test_ipv6)
{
	struct pair_policy o = allowing("Main", ALLOWED);
	struct pair *p;

	o.ipv6 = true;
	p = make(&o, &o);
	pair_acquire(p, LEFT);
	ck_assert_uint_eq(p1_of(p, LEFT).natt_level, IKE_NATT_NONE);
	pair_free(p);
}
END_TEST

/* ---- what peers say, in any order ---- */

static const struct said {
	uint8_t level;
	const char *ids[4]; /* those that stay, in this order */
} said[] = {
	{IKE_NATT_NONE, {NULL}},
	{IKE_NATT_RFC, {"4a131c81070358455c5728f20e95452f"}},
	{IKE_NATT_D3, {"7d9419a65310ca6f2c179d9215529d56"}},
	{IKE_NATT_D2, {"90cb80913ebb696e086381b5ec427b1f"}},
	{IKE_NATT_D2, {"cd60464335df21f87cfdb2fc68b6a448"}},
	{IKE_NATT_RFC,
	 {"cd60464335df21f87cfdb2fc68b6a448", "7d9419a65310ca6f2c179d9215529d56",
	  "4a131c81070358455c5728f20e95452f"}},
	{IKE_NATT_D3, {"7d9419a65310ca6f2c179d9215529d56", "90cb80913ebb696e086381b5ec427b1f"}},
	/* drafts 00 and 01 are not spoken */
	{IKE_NATT_NONE, {"4485152d18b6bbcd0be8a8469579ddcc", "16f6ca16e4a4066d83821a0f0aeaa862"}},
};

/* The initiator's four give way to those that are wanted; what is left over means nothing. */
static bool say_others(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	static const char *const ours[] = {
		"4a131c81070358455c5728f20e95452f", "7d9419a65310ca6f2c179d9215529d56",
		"90cb80913ebb696e086381b5ec427b1f", "cd60464335df21f87cfdb2fc68b6a448"};
	const struct said *s = p->filter_arg;
	uint8_t *at[4], id[16];

	if (from != LEFT)
		return true;
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_int_eq(cs_unhex(ours[i], id, sizeof(id)), sizeof(id));
		at[i] = memmem(data, *len, id, sizeof(id));
	}
	for (unsigned i = 0; i < 4; i++) {
		if (!at[i])
			continue;
		memset(at[i], 0x5a, sizeof(id));
		if (s->ids[i])
			ck_assert_int_eq(cs_unhex(s->ids[i], at[i], sizeof(id)), sizeof(id));
	}
	return true;
}

/* Counts the NAT-D payloads in clear of either number. */
static unsigned natd_seen[2];

static bool count_natd(struct pair *p, struct datagram *d)
{
	struct isa_header h;
	struct isa_message m;

	if (d->len > 1 && !isa_header_parse(d->data, d->len, &h, NULL) &&
	    !(h.flags & ISA_FLAG_ENCRYPTED) &&
	    !isa_chain_parse(&h, d->data + ISA_HEADER_LEN, d->len - ISA_HEADER_LEN, false, &m,
			     NULL))
		for (unsigned i = 0; i < m.n_payloads; i++) {
			natd_seen[0] += m.payloads[i].type == ISA_NATD;
			natd_seen[1] += m.payloads[i].type == ISA_NATD_DRAFT;
		}
	return between(p, d);
}

START_TEST(test_levels)
{
	struct pair_policy o = allowing(modes[_i % 2], ALLOWED);
	const struct said *s = &said[_i / 2];
	struct pair *p = make(&o, &o);
	unsigned in_clear = _i % 2 ? 2 : 4;

	put_nat(p, LEFT, NULL, 3);
	memset(natd_seen, 0, sizeof(natd_seen));
	p->nat = count_natd;
	p->filter = say_others;
	p->filter_arg = (void *)s;
	pair_acquire(p, LEFT);
	ck_assert_uint_eq(p1_of(p, LEFT).natt_level, s->level);
	ck_assert_uint_eq(p1_of(p, RIGHT).natt_level, s->level);
	ck_assert_uint_eq(natd_seen[0], s->level == IKE_NATT_RFC ? in_clear : 0);
	ck_assert_uint_eq(natd_seen[1], s->level && s->level != IKE_NATT_RFC ? in_clear : 0);
	ck_assert_int_eq(p1_of(p, LEFT).nat_local, s->level != IKE_NATT_NONE);
	pair_free(p);
}
END_TEST

/* One, twenty, none; of another length. What matches nothing is a NAT; without any there is none.
 */
static const struct {
	unsigned n, len;
	bool level, local, remote; /* at who gets them */
} odd[] = {
	{0, 32, false, false, false}, {1, 32, true, true, true}, {2, 32, true, true, true},
	{20, 32, true, true, true},   {2, 20, true, true, true}, {2, 64, true, true, true},
	{2, 1, true, true, true},     {30, 1, true, true, true},
};
#define N_ODD (sizeof(odd) / sizeof(odd[0]))

START_TEST(test_odd_natd)
{
	unsigned from = (unsigned)_i % 2, mode = (unsigned)_i / 2 % 2;
	struct pair_policy o = allowing(modes[mode], ALLOWED);
	struct pair *p = make(&o, &o);
	struct ike_p1_info info;

	other_natd.on = true;
	other_natd.from = from;
	other_natd.n = odd[_i / 4].n;
	other_natd.len = odd[_i / 4].len;
	pair_acquire(p, LEFT);
	info = p1_of(p, from ? RIGHT : LEFT);
	ck_assert_int_eq(info.natt_level != 0, odd[_i / 4].level);
	ck_assert_int_eq(info.nat_local, odd[_i / 4].local);
	ck_assert_int_eq(info.nat_remote, odd[_i / 4].remote);
	pair_free(p);
}
END_TEST

/* ---- identities and rules ---- */

/* Its address identity is the inner one, which only a NAT explains. */
START_TEST(test_inner_identity)
{
	struct pair_policy a = allowing(modes[_i % 2], _i / 2 ? "" : ALLOWED);
	struct pair_policy b = allowing(modes[_i % 2], ALLOWED);
	struct pair *p;

	a.local_id = "IpAddr 192.0.2.1";
	b.remote_id = "IpAddr 192.0.2.1";
	b.remote_location = "203.0.113.9";
	p = make(&a, &b);
	put_nat(p, LEFT, "203.0.113.9", 5);
	pair_acquire(p, LEFT);
	if (_i / 2) {
		ck_assert_uint_eq(pair_stats(p, RIGHT)->p1_up, 0);
		ck_assert(pair_said(&p->side[RIGHT], "its address identity is not the address"));
	} else {
		expect(p, RIGHT, "198.51.100.2:4500", "203.0.113.9:4505");
	}
	pair_wait(p, 300000);
	pair_free(p);
}
END_TEST

/* In Aggressive Mode the NAT is known after the identity: without one it must be the address. */
START_TEST(test_foreign_identity)
{
	struct pair_policy a = allowing("Aggressive", ALLOWED), b = a;
	struct pair *p;

	a.local_id = b.remote_id = "IpAddr 10.9.8.7";
	p = make(&a, &b);
	pair_acquire(p, LEFT);
	ck_assert_uint_eq(pair_stats(p, RIGHT)->p1_up, 0);
	ck_assert(pair_said(&p->side[RIGHT], "its address identity is not the address"));
	pair_wait(p, 300000);
	pair_free(p);
}
END_TEST

/* The rule that the identity chooses allows no NAT: with one there is no SA, without there is. */
START_TEST(test_rule_of_identity)
{
	static const char more[] =
		"  KeyExchangeRule Second\n  {\n    LocalSecurityEndpoint\n    {\n"
		"      Identity IpAddr 198.51.100.2\n      Location 198.51.100.2\n    }\n"
		"    RemoteSecurityEndpoint\n    {\n      Identity Fqdn alice.example.com\n"
		"      Location 192.0.2.1\n    }\n    KeyExchangeActionRef Strict\n"
		"    SharedKey Ascii a-good-secret\n  }\n}\n"
		"KeyExchangeAction Strict\n{\n  AllowNat No\n  LivenessInterval 0\n"
		"  KeyExchangeOffer\n  {\n    HowToEncrypt AES_CBC KeyLength 128\n"
		"    HowToAuthMsgs SHA2_256\n    HowToAuthPeers PresharedKey\n"
		"    DHGroup Group19\n    RefreshLifetimeAccepted 5 1440\n  }\n}\n"
		"IpAddr Last\n{\n  Addr 192.0.2.1\n";
	struct pair_policy a = allowing("Main", ALLOWED), b = a;
	struct pair *p;

	a.local_id = "Fqdn alice.example.com";
	b.remote_id = "Fqdn bob.example.com";
	b.more_rules = more;
	p = make(&a, &b);
	if (_i)
		put_nat(p, LEFT, NULL, 7);
	pair_acquire(p, LEFT);
	ck_assert_uint_eq(pair_stats(p, RIGHT)->p1_up, !_i);
	if (_i)
		ck_assert(pair_said(&p->side[RIGHT], "does not allow one (AllowNat No)"));
	else
		ck_assert_uint_eq(p1_of(p, RIGHT).natt_level, IKE_NATT_NONE);
	pair_wait(p, 300000);
	pair_free(p);
}
END_TEST

/* ---- lost messages, and a mapping that changes in the middle ---- */

struct lose {
	unsigned nth, n;
	uint16_t shift; /* then of the left side's NAT; 0: as before */
};

static bool lose_one(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	struct lose *l = p->filter_arg;

	(void)from;
	(void)data;
	(void)len;
	if (l->n++ != l->nth)
		return true;
	if (l->shift)
		nats[LEFT].shift = l->shift;
	return false;
}

START_TEST(test_lost)
{
	struct pair_policy o = allowing(modes[_i % 2], ALLOWED);
	struct lose lose = {(unsigned)_i / 4, 0, _i / 2 % 2 ? 77 : 0};
	struct pair *p = make(&o, &o);
	uint16_t port;

	put_nat(p, LEFT, NULL, 33);
	p->filter = lose_one;
	p->filter_arg = &lose;
	pair_acquire(p, LEFT);
	pair_wait(p, 200000);
	ck_assert_msg(p1_of(p, LEFT).nat_encap, "left");
	port = p1_of(p, RIGHT).remote.port;
	ck_assert_uint_eq(port, 4500 + nats[LEFT].shift);
	pair_free(p);
}
END_TEST

/* ---- keepalives ---- */

static unsigned keepalives[2];

static bool count_keepalives(struct pair *p, struct datagram *d)
{
	if (d->len == 1 && d->data[0] == 0xff) {
		keepalives[d->from]++;
		ck_assert_uint_eq(d->local.port, 4500);
		ck_assert_uint_eq(d->remote.port, 4500);
	}
	return between(p, d);
}

static struct pair *up_behind_nat(const struct pair_policy *o)
{
	struct pair *p = make(o, o);

	put_nat(p, LEFT, NULL, 100);
	p->nat = count_keepalives;
	memset(keepalives, 0, sizeof(keepalives));
	pair_acquire(p, LEFT);
	pair_wait(p, 1000);
	expect(p, RIGHT, "198.51.100.2:4500", "192.0.2.1:4600");
	return p;
}

START_TEST(test_keepalive)
{
	struct pair_policy o = allowing("Main", ALLOWED), off = o;
	struct pair *p = up_behind_nat(&o);
	struct pol_policy *policy;

	pair_wait(p, 100000);
	ck_assert_uint_eq(keepalives[LEFT], 5); /* one in 20 s */
	ck_assert_uint_eq(keepalives[RIGHT], 0);
	off.more_rules = "  NatKeepAliveInterval 0\n";
	policy = pair_make_policy(&off, LEFT);
	ike_engine_policy(p->side[LEFT].e, policy, p->now);
	pair_wait(p, 100000);
	ck_assert_uint_eq(keepalives[LEFT], 5);
	ike_engine_policy(p->side[LEFT].e, p->side[LEFT].policy, p->now);
	pair_wait(p, 45000);
	ck_assert_uint_eq(keepalives[LEFT], 7);
	pol_unref(policy);
	pair_free(p);
}
END_TEST

/* Other messages do as well. */
START_TEST(test_keepalive_not_needed)
{
	struct pair_policy o = allowing("Main", ALLOWED);
	struct pair *p;

	o.liveness = "8";
	o.more_rules = "  NatKeepAliveInterval 15\n";
	p = up_behind_nat(&o);
	/* An authenticated question each 8 s, which both answer. */
	pair_wait(p, 100000);
	ck_assert_uint_gt(pair_stats(p, LEFT)->dpd_sent + pair_stats(p, RIGHT)->dpd_sent, 5);
	ck_assert_uint_eq(keepalives[LEFT], 0);
	pair_free(p);
}
END_TEST

/* ---- another mapping ---- */

static struct pair_policy asking(void)
{
	struct pair_policy o = allowing("Main", ALLOWED);

	o.liveness = "30";
	return o;
}

/* What of the history side `from` sent last that is an encrypted Informational message. */
static unsigned last_informational(const struct pair *p, unsigned from)
{
	for (unsigned i = p->n_history; i--;)
		if (p->history[i].from == from && p->history[i].len > ISA_HEADER_LEN &&
		    p->history[i].data[18] == ISA_INFORMATIONAL)
			return i;
	ck_abort_msg("side %u sent none", from);
	return 0;
}

/* The left side says something that is new. */
static void left_speaks(struct pair *p)
{
	struct cs_err err;

	pair_forget_history(p);
	ck_assert(!ike_engine_refresh_p2(p->side[LEFT].e, 2, p->now, &err) ||
		  !ike_engine_refresh_p1(p->side[LEFT].e, p1_of(p, LEFT).tunnel, p->now, &err));
}

START_TEST(test_follows)
{
	struct pair_policy o = asking();
	struct pair *p = up_behind_nat(&o);
	uint32_t tunnel = p1_of(p, RIGHT).tunnel;

	nats[LEFT].shift = 200;
	left_speaks(p);
	pair_wait(p, 60000);
	ck_assert_uint_eq(p1_of(p, RIGHT).tunnel, tunnel);
	ck_assert_uint_eq(p1_of(p, RIGHT).remote.port, 4700);
	ck_assert(pair_said(&p->side[RIGHT], "was at 192.0.2.1:4600 and is at 192.0.2.1:4700"));
	pair_free(p);
}
END_TEST

/* The question of the other side is lost in the old mapping; what the left side says heals it. */
START_TEST(test_follows_the_answer)
{
	struct pair_policy o = asking();
	struct pair *p;

	o.more_rules = "  NatKeepAliveInterval 0\n";
	p = up_behind_nat(&o);
	nats[LEFT].shift = 200;
	left_speaks(p);
	pair_run(p);
	ck_assert_uint_eq(p1_of(p, RIGHT).remote.port, 4700);
	pair_wait(p, 120000);
	ck_assert_uint_eq(pair_stats(p, RIGHT)->peers_gone, 0);
	ck_assert_uint_eq(pair_stats(p, LEFT)->peers_gone, 0);
	pair_free(p);
}
END_TEST

/* Another address: the peer's list follows, so that its successor finds it. */
START_TEST(test_follows_address)
{
	struct pair_policy a = asking(), b = a;
	struct cs_err err;
	struct pair *p;

	b.remote_location = "203.0.113.0/24";
	a.local_id = b.remote_id = "Fqdn a.example.com";
	p = make(&a, &b);
	put_nat(p, LEFT, "203.0.113.9", 100);
	pair_acquire(p, LEFT);
	expect(p, RIGHT, "198.51.100.2:4500", "203.0.113.9:4600");
	nats[LEFT].public = "203.0.113.8";
	ck_assert(!ike_engine_refresh_p1(p->side[LEFT].e, p1_of(p, LEFT).tunnel, p->now, &err));
	pair_wait(p, 40000);
	expect(p, RIGHT, "198.51.100.2:4500", "203.0.113.8:4600");
	nats[LEFT].public = "203.0.113.7";
	pair_wait(p, 40000);
	nats[LEFT].shift = 1;
	ck_assert(!ike_engine_refresh_p1(p->side[LEFT].e, p1_of(p, LEFT).tunnel, p->now, &err));
	pair_wait(p, 40000);
	expect(p, RIGHT, "198.51.100.2:4500", "203.0.113.7:4501");
	pair_free(p);
}
END_TEST

/*
 * Where the policy does not have the peer it is not followed to: phase 1 by the rule's Location, a
 * tunnel by the security endpoint of its filter rule.
 */
START_TEST(test_follows_where_it_may)
{
	bool location = _i;
	struct pair_policy a = asking(), b;
	struct cs_err err;
	struct pair *p;

	a.data_offers = "Tunnel|AES_CBC KeyLength 128|ESP HMAC_SHA1";
	a.local_net = "10.1.0.0/16";
	a.remote_net = "10.2.0.0/16";
	b = a;
	b.local_net = a.remote_net;
	b.remote_net = a.local_net;
	b.remote_location = location ? "192.0.2.0/24" : "192.0.0.0/3";
	a.local_id = b.remote_id = "Fqdn a.example.com";
	p = make(&a, &b);
	put_nat(p, LEFT, NULL, 100);
	pair_acquire(p, LEFT);
	ck_assert_uint_eq(pair_installed(&p->side[RIGHT]), 2);
	nats[LEFT].public = "203.0.113.8";
	ck_assert(!ike_engine_refresh_p1(p->side[LEFT].e, p1_of(p, LEFT).tunnel, p->now, &err));
	left_speaks(p);
	pair_run(p);
	ck_assert_uint_eq(p->side[RIGHT].moves, 0);
	ck_assert_int_eq(pair_said(&p->side[RIGHT], "203.0.113.8:4600 now"), !location);
	ck_assert_int_eq(pair_said(&p->side[RIGHT], "names the security endpoint"), !location);
	expect(p, RIGHT, "198.51.100.2:4500", location ? "192.0.2.1:4600" : "203.0.113.8:4600");
	nats[LEFT].public = NULL;
	pair_wait(p, 400000);
	pair_free(p);
}
END_TEST

#define THIRD_PARTY "203.0.113.200"

static bool none_to_third(struct pair *p, struct datagram *d)
{
	char buf[CS_ADDR_STRLEN];

	if (d->from == RIGHT && !strcmp(cs_addr_text(&d->remote.addr, buf), THIRD_PARTY))
		++*(unsigned *)p->nat_arg;
	return between(p, d);
}

static bool from_third(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	struct cs_endpoint there = {.port = 500}, here = p->side[RIGHT].addr;
	static const uint8_t no_cookie[ISA_COOKIE_LEN];

	if (from != LEFT || !memcmp(data + ISA_COOKIE_LEN, no_cookie, ISA_COOKIE_LEN))
		return true;
	if (data[18] == ISA_MAIN && data[19] & ISA_FLAG_ENCRYPTED)
		return false; /* it stays unproved */
	cs_addr_parse(THIRD_PARTY, &there.addr, NULL);
	ike_engine_receive(p->side[RIGHT].e, &here, &there, data, *len, p->now);
	ike_engine_receive(p->side[RIGHT].e, &here, &there, data, *len, p->now);
	return true;
}

/* Whoever knows the cookies cannot have message 4 sent to others. */
START_TEST(test_third_party_gets_nothing)
{
	struct pair_policy o = asking();
	struct pair *p = make(&o, &o);
	unsigned sent = 0;

	put_nat(p, LEFT, NULL, 100);
	p->nat = none_to_third;
	p->nat_arg = &sent;
	p->filter = from_third;
	pair_acquire(p, LEFT);
	pair_wait(p, 10000);
	ck_assert_uint_eq(sent, 0);
	p->filter = NULL;
	pair_wait(p, 300000);
	pair_free(p);
}
END_TEST

/* Sent again from elsewhere, as it was, or with a bit turned over. */
static void from_elsewhere(struct pair *p, unsigned nth, bool flip)
{
	struct cs_endpoint there = p->side[LEFT].addr, here = p->side[RIGHT].addr;
	struct datagram *d = &p->history[nth];

	there.port = 6666;
	here.port = 4500;
	if (flip)
		d->data[d->len - 1] ^= 1;
	ike_engine_receive(p->side[RIGHT].e, &here, &there, d->data, d->len, p->now);
	pair_run(p);
	if (flip)
		d->data[d->len - 1] ^= 1;
}

START_TEST(test_repetition_moves_nothing)
{
	struct pair_policy o = asking();
	struct pair *p = up_behind_nat(&o);
	unsigned n = p->n_history;

	for (unsigned i = 0; i < n; i++)
		if (p->history[i].from == LEFT) {
			from_elsewhere(p, i, false);
			from_elsewhere(p, i, true);
		}
	expect(p, RIGHT, "198.51.100.2:4500", "192.0.2.1:4600");
	ck_assert(!pair_said(&p->side[RIGHT], "6666"));
	/* and questions, later */
	pair_wait(p, 120000);
	ck_assert_uint_gt(pair_stats(p, LEFT)->dpd_sent, 0);
	from_elsewhere(p, last_informational(p, LEFT), false);
	from_elsewhere(p, last_informational(p, LEFT), true);
	expect(p, RIGHT, "198.51.100.2:4500", "192.0.2.1:4600");
	pair_free(p);
}
END_TEST

static bool keep_back(struct pair *p, struct datagram *d)
{
	return d->from != LEFT && between(p, d);
}

/* New and authentic, but its marker was taken off and it comes to port 500: ESP is at 4500. */
START_TEST(test_stays_at_its_port)
{
	struct pair_policy o = asking();
	struct pair *p = up_behind_nat(&o);
	struct cs_endpoint there = p->side[LEFT].addr, here = p->side[RIGHT].addr;
	const struct datagram *d;

	there.port = 6666;
	left_speaks(p);
	p->nat = keep_back;
	pair_run(p);
	ck_assert_uint_gt(p->n_history, 0);
	d = &p->history[0];
	ck_assert_uint_eq(d->from, LEFT);
	ike_engine_receive(p->side[RIGHT].e, &here, &there, d->data, d->len, p->now);
	expect(p, RIGHT, "198.51.100.2:4500", "192.0.2.1:4600");
	p->nat = between;
	pair_wait(p, 120000);
	expect(p, RIGHT, "198.51.100.2:4500", "192.0.2.1:4600");
	pair_free(p);
}
END_TEST

/*
 * Where message ids were forgotten a repetition looks new: the peer is asked there, and only its
 * answer from there counts.
 */
START_TEST(test_forgotten)
{
	struct pair_policy o = asking();
	struct pair *p = up_behind_nat(&o);
	struct ike_p1 *p1 = IKE_OF(p->side[RIGHT].e->p1s.next, struct ike_p1, all);
	unsigned question;

	pair_wait(p, 120000);
	question = last_informational(p, LEFT);
	p1->n_mids = 0;
	p1->forgot = true;
	from_elsewhere(p, question, false);
	pair_wait(p, 20000);
	ck_assert(!pair_said(&p->side[RIGHT], ":6666 now"));
	expect(p, RIGHT, "198.51.100.2:4500", "192.0.2.1:4600");
	ck_assert_uint_eq(pair_stats(p, RIGHT)->peers_gone, 0);
	nats[LEFT].shift = 200;
	pair_wait(p, 120000);
	expect(p, RIGHT, "198.51.100.2:4500", "192.0.2.1:4700");
	ck_assert_uint_eq(pair_stats(p, RIGHT)->peers_gone, 0);
	pair_free(p);
}
END_TEST

/* Who is behind no NAT does not move, whatever comes from elsewhere. */
START_TEST(test_stays_without_nat)
{
	struct pair_policy o = asking();
	struct pair *p = make(&o, &o);
	struct cs_err err;

	pair_acquire(p, LEFT);
	put_nat(p, LEFT, NULL, 300);
	ck_assert(!ike_engine_deactivate_p1(p->side[LEFT].e, p1_of(p, LEFT).tunnel, p->now, &err));
	pair_run(p);
	ck_assert(!pair_said(&p->side[RIGHT], "is at"));
	nats[LEFT].there = false;
	pair_wait(p, 300000);
	pair_free(p);
}
END_TEST

/* Begun by either side where the old one is, from port 4500 on. */
START_TEST(test_refresh)
{
	struct pair_policy o = asking();
	struct pair *p = up_behind_nat(&o);
	struct cs_err err;
	unsigned by = (unsigned)_i;
	uint32_t old = p1_of(p, by).generation;

	pair_forget_history(p);
	ck_assert(!ike_engine_refresh_p1(p->side[by].e, p1_of(p, by).tunnel, p->now, &err));
	pair_wait(p, 3000);
	ck_assert_uint_eq(p1_of(p, LEFT).generation, old + 1);
	ck_assert_uint_eq(p1_of(p, RIGHT).generation, old + 1);
	for (unsigned i = 0; i < p->n_history; i++)
		ck_assert_uint_eq(p->history[i].local.port, 4500);
	ck_assert(p1_of(p, LEFT).nat_local && p1_of(p, RIGHT).nat_remote);
	expect(p, RIGHT, "198.51.100.2:4500", "192.0.2.1:4600");
	pair_free(p);
}
END_TEST

/* ---- a new engine ---- */

static void restart(struct pair *p, unsigned i)
{
	const struct ike_p1_kept *kept[PAIR_KEPT];
	struct ike_p1_info cached = p1_of(p, i);
	struct ike_leftovers left = {.kept = kept, .p1 = &cached, .n_p1 = 1};
	struct ike_restored restored;
	struct side *s = &p->side[i];
	struct cs_err err;

	for (unsigned k = 0; k < s->n_kept; k++)
		kept[left.n_kept++] = &s->kept[k];
	ike_engine_free(s->e);
	pair_engine(s);
	ck_assert_msg(!ike_engine_restore(s->e, &left, p->now, &restored, &err), "%s", err.text);
	ck_assert_uint_eq(restored.p1, 1);
}

START_TEST(test_kept)
{
	struct pair_policy o = asking();
	struct pair *p = up_behind_nat(&o);
	unsigned who = (unsigned)_i;
	struct cs_err err;

	ck_assert(!ike_engine_deactivate_p2(p->side[LEFT].e, 2, p->now, &err));
	pair_run(p);
	restart(p, who);
	ck_assert_int_eq(p1_of(p, who).nat_local, who == LEFT);
	ck_assert_int_eq(p1_of(p, who).nat_remote, who == RIGHT);
	ck_assert_uint_eq(p1_of(p, who).natt_level, IKE_NATT_RFC);
	ck_assert(p1_of(p, who).nat_encap);
	expect(p, RIGHT, "198.51.100.2:4500", "192.0.2.1:4600");
	keepalives[LEFT] = 0;
	pair_wait(p, 25000);
	ck_assert_uint_gt(keepalives[LEFT], 0);
	pair_free(p);
}
END_TEST

static Suite *nat_suite(void)
{
	Suite *s = suite_create("nat");
	TCase *detection = tcase_create("detection"), *path = tcase_create("path");

	tcase_set_timeout(detection, 60);
	tcase_set_timeout(path, 60);
	tcase_add_loop_test(detection, test_detected, 0, (int)(2 * N_TOPOLOGIES));
	tcase_add_loop_test(detection, test_forced, 0, 4);
	tcase_add_test(detection, test_ipv6);
	tcase_add_loop_test(detection, test_levels, 0, (int)(2 * sizeof(said) / sizeof(said[0])));
	tcase_add_loop_test(detection, test_odd_natd, 0, (int)(4 * N_ODD));
	tcase_add_loop_test(detection, test_inner_identity, 0, 4);
	tcase_add_test(detection, test_foreign_identity);
	tcase_add_loop_test(detection, test_rule_of_identity, 0, 2);
	tcase_add_loop_test(path, test_lost, 0, 4 * 5);
	tcase_add_test(path, test_keepalive);
	tcase_add_test(path, test_keepalive_not_needed);
	tcase_add_test(path, test_follows);
	tcase_add_test(path, test_follows_the_answer);
	tcase_add_test(path, test_follows_address);
	tcase_add_loop_test(path, test_follows_where_it_may, 0, 2);
	tcase_add_test(path, test_third_party_gets_nothing);
	tcase_add_test(path, test_repetition_moves_nothing);
	tcase_add_test(path, test_stays_at_its_port);
	tcase_add_test(path, test_forgotten);
	tcase_add_test(path, test_stays_without_nat);
	tcase_add_loop_test(path, test_refresh, 0, 2);
	tcase_add_loop_test(path, test_kept, 0, 2);
	suite_add_tcase(s, detection);
	suite_add_tcase(s, path);
	return s;
}

int main(void)
{
	return pair_crypto() ? run_suite(nat_suite()) : EXIT_FAILURE;
}
