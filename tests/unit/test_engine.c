/* The negotiation engine: two of them negotiate, refuse, lose, repeat and clean up. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/engine_pair.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct ike_stats *stats(const struct pair *p, unsigned i)
{
	return ike_engine_stats(p->side[i].e);
}

/* One tunnel, up on both sides, the same on both sides. */
static void expect_up(struct pair *p)
{
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_msg(stats(p, i)->p2_live == 1, "side %u:\n%s", i, p->side[i].log);
		ck_assert_msg(stats(p, i)->p2_up == 1, "side %u:\n%s", i, p->side[i].log);
		ck_assert_uint_eq(pair_installed(&p->side[i]), 2);
		ck_assert_uint_eq(p->side[i].n_policies, 1);
		ck_assert_uint_eq(p->side[i].n_records[IKE_REC_P1_UP], 1);
		ck_assert_uint_eq(p->side[i].n_records[IKE_REC_P2_INTENT], 1);
		ck_assert_uint_eq(p->side[i].n_records[IKE_REC_P2_UP], 1);
	}
	ck_assert(pair_mirrored(p));
}

/* Nothing in the kernel, nothing under way. */
static void expect_nothing(struct pair *p)
{
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_msg(!p->side[i].n_sas, "side %u:\n%s", i, p->side[i].log);
		ck_assert_uint_eq(p->side[i].n_policies, 0);
		ck_assert_uint_eq(stats(p, i)->p2_live, 0);
	}
}

static struct pair *pair_up(const struct pair_policy *o)
{
	struct pair *p = pair_new(o, o);

	pair_acquire(p, 0);
	expect_up(p);
	return p;
}

/* ---- what is agreed ---- */

static const char *const ke_suites[] = {
	"3DES|MD5|Group1",
	"AES_CBC KeyLength 128|SHA1|Group2",
	"3DES|SHA1|Group5",
	"AES_CBC KeyLength 256|SHA2_256|Group14",
	"AES_CBC KeyLength 256|SHA2_384|Group20",
	"AES_CBC KeyLength 128|SHA2_512|Group21",
	"AES_CBC KeyLength 256|SHA2_256|Group24",
	"AES_CBC KeyLength 128|SHA1|Group19",
};

START_TEST(test_phase1_suites)
{
	struct pair_policy o = {.ke_offers = ke_suites[_i], .ipv6 = _i % 2};

	pair_free(pair_up(&o));
}
END_TEST

static const struct {
	const char *offers, *pfs;
	bool net;
} p2_suites[] = {
	{"Transport|AES_CBC KeyLength 128|ESP HMAC_SHA1", "None", false},
	{"Tunnel|AES_CBC KeyLength 256|ESP HMAC_SHA2_256_128", "Group19", false},
	{"Tunnel|AES_GCM_16 KeyLength 256|ESP Null", "Group14", true},
	{"Transport|3DES|ESP HMAC_MD5", "Group2", false},
	{"Transport|DoNot|ESP HMAC_SHA2_512_256", "None", false},
	{"Tunnel|AES_CBC KeyLength 128|ESP HMAC_SHA2_384_192", "Group20", true},
	{"Transport|DoNot|AH HMAC_SHA1", "None", false},
	/* the transport offer is not for networks */
	{"Transport|3DES|ESP HMAC_MD5;Tunnel|AES_CBC KeyLength 128|ESP HMAC_SHA1", "None", true},
};

START_TEST(test_phase2_suites)
{
	bool ipv6 = _i / (int)COUNT(p2_suites), net;
	unsigned i = (unsigned)_i % COUNT(p2_suites);
	const char *left = ipv6 ? "2001:db8:a::/64" : "10.1.0.0/16";
	const char *right = ipv6 ? "2001:db8:b::/64" : "10.2.0.0/16";
	struct pair_policy a = {.data_offers = p2_suites[i].offers, .pfs = p2_suites[i].pfs}, b;
	struct pair *p;

	a.ipv6 = ipv6;
	b = a;
	net = p2_suites[i].net;
	if (net) {
		a.local_net = b.remote_net = left;
		a.remote_net = b.local_net = right;
	}
	p = pair_new(&a, &b);
	pair_acquire(p, 0);
	expect_up(p);
	for (unsigned s = 0; s < 2; s++) {
		const struct xf_policy *out = &p->side[s].policies[0];

		ck_assert_int_eq(out->dir, XF_OUT);
		ck_assert_uint_eq(out->priority, XF_PRIO_TUNNEL);
		ck_assert_uint_eq(out->mark, XF_MARK_RULE_MIN << XF_MARK_SHIFT_DEFAULT);
		ck_assert_uint_eq(xf_reqid_rule(out->reqid), XF_MARK_RULE_MIN);
		ck_assert_int_eq(cs_range_is_single(&out->selector.local), !net);
		ck_assert_int_eq(out->mode == XF_TUNNEL,
				 net || !strncmp(p2_suites[i].offers, "Tunnel", 6));
	}
	pair_free(p);
}
END_TEST

/* The responder takes a group that is not the one it would offer, if AcceptablePfs has it. */
START_TEST(test_pfs_other_group)
{
	struct pair_policy a = {.pfs = "Group14"},
			   b = {.pfs = "Group19", .accept_pfs = "Group19 Group14"};
	struct pair *p = pair_new(&a, &b);

	pair_acquire(p, 0);
	expect_up(p);
	pair_free(p);
}
END_TEST

START_TEST(test_jobs_and_commits_later)
{
	struct pair_policy o = {.pfs = "Group19"};
	struct pair *p = pair_new(&o, &o);

	for (unsigned i = 0; i < 2; i++)
		p->side[i].later = p->side[i].jobs_later = true;
	pair_acquire(p, 0);
	for (unsigned round = 0; round < 20 && !p->side[1].open_intent; round++)
		pair_jobs(p);
	/* The gate: nothing keyed is in the responder's kernel, no message 2 has gone. */
	ck_assert_uint_eq(pair_installed(&p->side[1]), 0);
	ck_assert_uint_eq(p->side[0].open_intent, 0);
	pair_commit(&p->side[1], 0);
	ck_assert_uint_eq(pair_installed(&p->side[1]), 1);
	pair_jobs(p);
	ck_assert_uint_ne(p->side[0].open_intent, 0);
	ck_assert_uint_eq(pair_installed(&p->side[0]), 0);
	pair_commit(&p->side[0], 0);
	expect_up(p);
	pair_free(p);
}
END_TEST

/* An exchange that dies while its job runs leaves the job to clean up. */
START_TEST(test_death_during_job)
{
	struct pair *p = pair_new(NULL, NULL);
	struct cs_err err;

	p->side[0].jobs_later = true;
	pair_acquire(p, 0);
	ck_assert_uint_eq(p->side[0].n_jobs, 1);
	ck_assert_int_eq(ike_engine_deactivate_p1(p->side[0].e, 1, p->now, &err), 0);
	ck_assert_uint_eq(stats(p, 0)->p1_live, 0);
	pair_jobs(p);
	expect_nothing(p);
	pair_wait(p, 1000);
	ck_assert_uint_eq(p->side[0].larval_clears, 1);
	pair_free(p);
}
END_TEST

/* ---- what is refused ---- */

static const char second_rule[] =
	"  KeyExchangeRule Second\n  {\n    LocalSecurityEndpoint\n    {\n"
	"      Identity IpAddr 198.51.100.2\n      Location 198.51.100.2\n    }\n"
	"    RemoteSecurityEndpoint\n    {\n      Identity Fqdn alice.example.com\n"
	"      Location 192.0.2.0/24\n    }\n"
	"    KeyExchangeActionRef Act\n    SharedKey Ascii %s\n  }\n";

/* Message 5 brings the identity that chooses the rule; the key must be the same. */
START_TEST(test_final_rule)
{
	char more[600];
	struct pair_policy a = {.local_id = "Fqdn alice.example.com", .key = "common-secret"};
	struct pair_policy b = {
		.remote_id = "Fqdn bob.example.com", .key = "common-secret", .more_rules = more};
	struct pair *p;

	snprintf(more, sizeof(more), second_rule, _i ? "something-else" : "common-secret");
	p = pair_new(&a, &b);
	pair_acquire(p, 0);
	if (_i) {
		ck_assert_msg(pair_said(&p->side[1], "another preshared key"), "%s",
			      p->side[1].log);
		expect_nothing(p);
	} else {
		ck_assert_msg(pair_said(&p->side[1], "EZD1785I"), "%s", p->side[1].log);
		expect_up(p);
	}
	pair_free(p);
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

static const struct {
	struct pair_policy o;
	const char *said;
} no_start[] = {
	{{.no_on_demand = true}, "AllowOnDemand"},
	{{.initiation = "RemoteOnly"}, "EZD1025I"},
	{{.how_to_initiate = "DoNot"}, "HowToInitiate DoNot"},
	{{.no_ke_rule = true}, "no KeyExchangeRule"},
};

START_TEST(test_acquire_refused)
{
	struct pair *p = pair_new(&no_start[_i].o, NULL);

	pair_acquire(p, 0);
	ck_assert_msg(pair_said(&p->side[0], no_start[_i].said), "%s", p->side[0].log);
	ck_assert_uint_eq(p->side[0].larval_clears, 1);
	ck_assert_uint_eq(p->n_history, 0);
	pair_free(p);
}
END_TEST

START_TEST(test_acquire_for_ike)
{
	struct pair *p = pair_new(NULL, NULL);
	struct xf_acquire a = {.rule_id = XF_MARK_RULE_MIN};

	a.selector.local = cs_range_single(&p->side[0].addr.addr);
	a.selector.remote = cs_range_single(&p->side[1].addr.addr);
	a.selector.proto = 17;
	a.selector.local_port = a.selector.remote_port = 500;
	ike_engine_acquire(p->side[0].e, &a, p->now);
	ck_assert(pair_said(&p->side[0], "EZD1920I"));
	ck_assert_uint_eq(p->n_history, 0);
	pair_free(p);
}
END_TEST

/* ---- selectors ---- */

START_TEST(test_selector_of_rule)
{
	struct pair_policy a = {.service = "Protocol Tcp\n DestinationPortRange 80"},
			   b = {.service = "Protocol Tcp\n SourcePortRange 80"};
	struct pair *p = pair_new(&a, &b);

	pair_acquire(p, 0);
	expect_up(p);
	ck_assert_uint_eq(p->side[0].policies[0].selector.remote_port, 80);
	ck_assert_uint_eq(p->side[0].policies[0].selector.local_port, 0);
	ck_assert_uint_eq(p->side[0].policies[0].selector.proto, 6);
	ck_assert_uint_eq(p->side[1].policies[0].selector.local_port, 80);
	pair_free(p);
}
END_TEST

/* A range of ports cannot be negotiated: the packet's port is. */
START_TEST(test_selector_of_packet)
{
	struct pair_policy a = {.service = "Protocol Tcp\n DestinationPortRange 79 81"},
			   b = {.service = "Protocol Tcp\n SourcePortRange 79 81"};
	struct pair *p = pair_new(&a, &b);

	pair_acquire(p, 0);
	expect_up(p);
	ck_assert_uint_eq(p->side[0].policies[0].selector.remote_port, 80);
	pair_free(p);
}
END_TEST

START_TEST(test_acquires_merge)
{
	struct pair *p = pair_new(NULL, NULL);

	p->filter = drop_all;
	for (unsigned i = 0; i < 1000; i++)
		pair_acquire(p, 0);
	ck_assert_uint_eq(stats(p, 0)->acquires, 1000);
	ck_assert_uint_eq(stats(p, 0)->acquires_merged, 999);
	ck_assert_uint_eq(stats(p, 0)->p1_initiated, 1);
	p->filter = NULL;
	pair_wait(p, 3000);
	expect_up(p);
	pair_acquire(p, 0);
	ck_assert_uint_eq(stats(p, 0)->acquires_merged, 1000);
	expect_up(p);
	pair_free(p);
}
END_TEST

/* Somebody flushed our SAs behind our back: the next acquire finds out. */
START_TEST(test_flushed_behind_us)
{
	struct pair *p = pair_up(NULL);

	p->side[0].n_sas = p->side[0].n_policies = 0;
	pair_acquire(p, 0);
	ck_assert_uint_eq(stats(p, 0)->p2_up, 2);
	ck_assert_uint_eq(stats(p, 0)->p2_live, 1);
	ck_assert_uint_eq(stats(p, 1)->p2_live, 1);
	ck_assert(pair_mirrored(p));
	pair_free(p);
}
END_TEST

/* ---- deletion and lifetimes ---- */

START_TEST(test_delete_p2)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[_i];
	struct cs_err err;
	uint32_t y = 2;

	ck_assert_int_eq(ike_engine_deactivate_p2(s->e, 99, p->now, &err), CS_ENOTFOUND);
	ck_assert_int_eq(ike_engine_deactivate_p2(s->e, y, p->now, &err), 0);
	pair_run(p);
	expect_nothing(p);
	ck_assert_uint_eq(stats(p, 0)->p1_live, 1);
	ck_assert_uint_eq(stats(p, 1)->p1_live, 1);
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
	expect_nothing(p);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_uint_eq(stats(p, i)->p1_live, 0);
	pair_free(p);
}
END_TEST

/* Phase 2 lives on without its phase 1, and its end is told by a later one. */
START_TEST(test_p2_outlives_p1)
{
	struct pair_policy o = {.ke_offers = "AES_CBC KeyLength 128|SHA1|Group19"};
	struct pair *p = pair_new(&o, &o);
	const struct ike_stats *left = stats(p, 0);

	for (unsigned i = 0; i < 2; i++)
		p->side[i].policy->ke_rules[0].action->offers[0].life_seconds.proposed = 1800;
	pair_acquire(p, 0);
	expect_up(p);
	pair_wait(p, 1801000);
	ck_assert_uint_eq(left->p1_live, 0);
	ck_assert_uint_eq(left->p2_live, 1);
	ck_assert_uint_eq(p->side[0].n_records[IKE_REC_P1_DOWN], 1);
	pair_wait(p, 1800000);
	expect_nothing(p);
	pair_free(p);
}
END_TEST

START_TEST(test_p2_lifetime)
{
	struct pair *p = pair_up(NULL);
	unsigned sent;

	ck_assert_uint_eq(p->side[0].sas[0].sa.hard_seconds, 3600);
	if (_i)
		pair_expire(p, 0, true);
	else
		pair_wait(p, 3600001);
	expect_nothing(p);
	sent = p->n_history;
	pair_wait(p, 100000);
	ck_assert_uint_eq(p->n_history, sent);
	ck_assert_uint_eq(stats(p, 0)->p1_live, 1);
	pair_free(p);
}
END_TEST

START_TEST(test_vpn_life)
{
	struct pair_policy o = {.vpn_life = 10};
	struct pair *p = pair_up(&o);

	ck_assert_uint_eq(p->side[0].sas[0].sa.hard_seconds, 600);
	pair_wait(p, 600001);
	expect_nothing(p);
	pair_free(p);
}
END_TEST

START_TEST(test_unknown_expire)
{
	struct pair *p = pair_up(NULL);
	struct xf_expire x = {.id = {p->side[0].addr.addr, 50, 0xdeadbeef}, .hard = true};

	ike_engine_expire(p->side[0].e, &x, p->now);
	ck_assert_uint_eq(stats(p, 0)->unknown_expires, 1);
	expect_up(p);
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
	expect_up(p);
	ck_assert_uint_ge(stats(p, 0)->retransmitted + stats(p, 1)->retransmitted, 1);
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
	expect_up(p);
	pair_wait(p, 10000);
	ck_assert_uint_eq(stats(p, 1)->retransmitted, 0);
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
	expect_up(p);
	/* Message 5 gets 6, Quick Mode message 1 gets 2, and message 2 gets 3 each time. */
	ck_assert_uint_eq(answers, 3);
	pair_wait(p, 300000);
	n = p->n_history;
	for (unsigned i = 0; i < 9; i++)
		pair_replay(p, i);
	pair_run(p);
	expect_up(p);
	/* Only a message 1 starts anew, and waits in vain for its third. */
	ck_assert_uint_eq(p->n_history - n, 1);
	ck_assert_uint_eq(stats(p, 1)->half_open, 1);
	pair_wait(p, 300000);
	ck_assert_uint_eq(stats(p, 1)->half_open, 0);
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
	expect_up(p);
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
	expect_up(p);
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
	ck_assert_uint_eq(stats(p, 1)->half_open, 6);
	ck_assert_uint_ge(stats(p, 1)->dropped_limit, 190);
	p->filter = NULL;
	pair_wait(p, 3000);
	ck_assert(pair_mirrored(p));
	pair_free(p);
}
END_TEST

START_TEST(test_exchanges_refused)
{
	struct pair *p = pair_new(NULL, NULL);
	struct side *s = &p->side[1];
	uint8_t buf[64] = {1, 2, 3, 4, 5, 6, 7, 8, [17] = 0x10, [18] = ISA_AGGRESSIVE, [27] = 64};

	for (unsigned n = 0; n < 100; n++)
		ike_engine_receive(s->e, &s->addr, &p->side[0].addr, buf, sizeof(buf), p->now);
	ck_assert_uint_eq(stats(p, 1)->refused_exchange, 100);
	ck_assert(pair_said(s, "EZD0934I"));
	ck_assert_uint_eq(p->n_history, 20); /* the bucket */
	buf[18] = 200;
	ike_engine_receive(s->e, &s->addr, &p->side[0].addr, buf, sizeof(buf), p->now);
	ck_assert_uint_eq(p->n_history, 20);
	pair_free(p);
}
END_TEST

/* ---- kernel and store ---- */

/* The nth addition fails, on either side. */
START_TEST(test_kernel_refuses)
{
	unsigned side = (unsigned)_i % 2;
	struct pair *p = pair_new(NULL, NULL);

	p->side[side].refuse = _i / 2 + 1;
	pair_acquire(p, 0);
	pair_wait(p, 300000);
	expect_nothing(p);
	ck_assert_uint_eq(stats(p, side)->kernel_refusals, 1);
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
	expect_nothing(p);
	ck_assert_uint_eq(p->side[_i].n_records[IKE_REC_P2_UP], 0);
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
	expect_up(p);
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
	expect_nothing(p);
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
		ck_assert_uint_eq(stats(p, i)->p1_live, 2);
		ck_assert_uint_eq(stats(p, i)->p2_live, 2);
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
	ck_assert_uint_eq(stats(p, 1)->p2_live, 1);
	pair_acquire(p, 0);
	ck_assert_msg(pair_said(&p->side[1], "CSI1010I"), "%s", p->side[1].log);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(stats(p, i)->p1_live, 1);
		ck_assert_uint_eq(stats(p, i)->p2_live, 1);
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
	ck_assert_uint_eq(stats(p, 0)->p1_live, 0);
	pair_acquire(p, 0);
	ck_assert(pair_mirrored(p));
	pair_free(p);
}
END_TEST

/* A twin that initiates again and again: the number of live generations is bounded. */
START_TEST(test_generations)
{
	struct pair *p = pair_up(NULL);

	for (unsigned n = 0; n < 10; n++) {
		restart(p, 0);
		p->side[0].n_sas = p->side[0].n_policies = 0;
		pair_acquire(p, 1);
		pair_acquire(p, 0);
	}
	ck_assert_uint_le(stats(p, 1)->p2_live, 4);
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
	expect_up(p);
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

/* Rules that stay keep their tunnels; a rule that goes takes them along; a new key ends phase 1. */
START_TEST(test_policy_change)
{
	static const struct pair_policy other_key = {.key = "a-new-secret"};
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct pol_policy *same = pair_make_policy(NULL, 0), *gone = pair_make_policy(NULL, 0);
	struct pol_policy *key = pair_make_policy(&other_key, 0);

	ike_engine_policy(s->e, same, p->now);
	pair_run(p);
	expect_up(p);
	if (_i) {
		ike_engine_policy(s->e, key, p->now);
		pair_run(p);
		ck_assert_uint_eq(stats(p, 0)->p1_live, 0);
		ck_assert_uint_eq(stats(p, 1)->p1_live, 0);
	} else {
		gone->rules[0].id = XF_MARK_RULE_MIN + 5;
		ike_engine_policy(s->e, gone, p->now);
		pair_run(p);
		ck_assert_uint_eq(stats(p, 0)->p1_live, 1);
	}
	expect_nothing(p);
	pol_unref(same);
	pol_unref(gone);
	pol_unref(key);
	pair_free(p);
}
END_TEST

/* ---- views ---- */

static int see_p1(void *arg, const struct ike_p1_info *info)
{
	unsigned *n = arg;

	++*n;
	ck_assert_uint_eq(info->tunnel, 1);
	ck_assert_int_eq(info->state, IKE_P1_DONE);
	ck_assert_str_eq(info->rule, "First");
	ck_assert_str_eq(info->action, "Act");
	ck_assert_str_eq(info->local_id, "192.0.2.1");
	ck_assert_str_eq(info->remote_id, "198.51.100.2");
	ck_assert_uint_eq(info->n_p2, 1);
	ck_assert_uint_eq(info->lifetime, 480 * 60);
	ck_assert_int_eq(info->expires - info->established, 480 * 60);
	return 0;
}

static int see_p2(void *arg, const struct ike_p2_info *info)
{
	unsigned *n = arg;

	++*n;
	ck_assert_uint_eq(info->tunnel, 2);
	ck_assert_uint_eq(info->parent, 1);
	ck_assert_uint_eq(info->generation, 1);
	ck_assert_int_eq(info->activation, IKE_ACT_ONDEMAND);
	ck_assert_str_eq(info->rule, "Both");
	ck_assert_str_eq(info->action, "Vpn");
	ck_assert_uint_eq(info->lifetime, 3600);
	ck_assert_uint_ne(info->spi_in, 0);
	ck_assert_uint_ne(info->spi_out, 0);
	return 7;
}

START_TEST(test_views)
{
	struct pair *p = pair_up(NULL);
	unsigned n1 = 0, n2 = 0;

	ck_assert_int_eq(ike_engine_each_p1(p->side[0].e, see_p1, &n1), 0);
	ck_assert_int_eq(ike_engine_each_p2(p->side[0].e, see_p2, &n2), 7);
	ck_assert_uint_eq(n1, 1);
	ck_assert_uint_eq(n2, 1);
	pair_free(p);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("engine");
	TCase *t = tcase_create("agreed");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_phase1_suites, 0, COUNT(ke_suites));
	tcase_add_loop_test(t, test_phase2_suites, 0, 2 * COUNT(p2_suites));
	tcase_add_test(t, test_pfs_other_group);
	tcase_add_test(t, test_jobs_and_commits_later);
	tcase_add_test(t, test_death_during_job);
	tcase_add_test(t, test_selector_of_rule);
	tcase_add_test(t, test_selector_of_packet);
	tcase_add_test(t, test_views);
	suite_add_tcase(s, t);

	t = tcase_create("refused");
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_final_rule, 0, 2);
	tcase_add_loop_test(t, test_acquire_refused, 0, COUNT(no_start));
	tcase_add_test(t, test_acquire_for_ike);
	tcase_add_test(t, test_exchanges_refused);
	suite_add_tcase(s, t);

	t = tcase_create("life");
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_delete_p2, 0, 2);
	tcase_add_loop_test(t, test_delete_p1, 0, 2);
	tcase_add_test(t, test_p2_outlives_p1);
	tcase_add_loop_test(t, test_p2_lifetime, 0, 2);
	tcase_add_test(t, test_vpn_life);
	tcase_add_test(t, test_unknown_expire);
	tcase_add_loop_test(t, test_kernel_refuses, 0, 8);
	tcase_add_loop_test(t, test_commit_fails, 0, 2);
	tcase_add_test(t, test_resync);
	tcase_add_test(t, test_flushed_behind_us);
	tcase_add_test(t, test_simultaneous);
	tcase_add_test(t, test_initial_contact);
	tcase_add_test(t, test_silent_peer);
	tcase_add_test(t, test_generations);
	tcase_add_test(t, test_activate);
	tcase_add_test(t, test_activate_refused);
	tcase_add_loop_test(t, test_policy_change, 0, 2);
	suite_add_tcase(s, t);

	t = tcase_create("network");
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_acquires_merge);
	tcase_add_loop_test(t, test_each_message_lost, 0, 9);
	tcase_add_test(t, test_first_packet);
	tcase_add_test(t, test_replays);
	tcase_add_loop_test(t, test_damaged, 4, 9);
	tcase_add_test(t, test_forged_datagrams);
	tcase_add_test(t, test_half_open_bound);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *r;
	int failed;

	if (!pair_crypto())
		return EXIT_FAILURE;
	r = srunner_create(suite());
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
