/*
 * The negotiation engine: several peers under one rule.  Side 0 is a gateway whose rule names no
 * security endpoint; sides 1 and 2 are peers that both may negotiate its selector.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/engine_pair.h"
#include "tests/unit/run_suite.h"

#define NEAR_NET "10.1.0.0/16"
#define FAR_NET  "10.2.0.0/16"
#define TUNNEL   "Tunnel|AES_CBC KeyLength 128|ESP HMAC_SHA1"

static const char second_rule[] =
	"  KeyExchangeRule Second\n  {\n    LocalSecurityEndpoint\n    {\n"
	"      Identity IpAddr 192.0.2.1\n      Location 192.0.2.1\n    }\n"
	"    RemoteSecurityEndpoint\n    {\n      Identity IpAddr 203.0.113.3\n"
	"      Location 203.0.113.3\n    }\n    KeyExchangeActionRef Act\n"
	"    SharedKey Ascii a-good-secret\n  }\n";

static const struct pair_policy gateway = {.local_net = NEAR_NET,
					   .remote_net = FAR_NET,
					   .data_offers = TUNNEL,
					   .any_endpoint = true,
					   .more_rules = second_rule};
static const struct pair_policy peer = {
	.local_net = FAR_NET, .remote_net = NEAR_NET, .data_offers = TUNNEL};

/* Peers that are told by what they call themselves, not by where they are. */
static const struct pair_policy roaming_gateway = {.local_net = NEAR_NET,
						   .remote_net = FAR_NET,
						   .data_offers = TUNNEL,
						   .any_endpoint = true,
						   .remote_id = "Fqdn roamer.example.com",
						   .remote_location = "0.0.0.0/0"};
static const struct pair_policy roaming_peer = {.local_net = FAR_NET,
						.remote_net = NEAR_NET,
						.data_offers = TUNNEL,
						.local_id = "Fqdn roamer.example.com"};

static struct pair *three(const struct pair_policy *at_gateway, const struct pair_policy *at_peers)
{
	struct pair *p = pair_new(at_gateway, at_peers);

	pair_third(p, at_peers);
	return p;
}

/* Where the gateway sends what its rule protects. */
static const struct cs_addr *traffic_goes_to(const struct pair *p)
{
	ck_assert_uint_eq(p->side[0].n_policies, 1);
	return &p->side[0].policies[0].remote;
}

static void expect_holder(const struct pair *p, unsigned holder)
{
	ck_assert(cs_addr_equal(traffic_goes_to(p), &p->side[holder].addr.addr));
	ck_assert_uint_eq(pair_installed(&p->side[0]), 2);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_live, 1);
	ck_assert_uint_eq(pair_installed(&p->side[holder]), 2);
	ck_assert_uint_eq(pair_installed(&p->side[3 - holder]), 0);
	ck_assert_uint_eq(p->side[3 - holder].n_policies, pair_holds(&p->side[3 - holder]));
}

/* Who has a live tunnel keeps it; the other is told, and gets it when the first one's is gone. */
START_TEST(test_second_peer_refused)
{
	unsigned first = (unsigned)_i, second = 3 - first;
	struct pair *p = three(&gateway, &peer);
	struct side *s = &p->side[0];
	struct cs_err err;
	char holder[CS_ADDR_STRLEN], other[CS_ADDR_STRLEN];

	cs_addr_text(&p->side[first].addr.addr, holder);
	cs_addr_text(&p->side[second].addr.addr, other);
	pair_acquire(p, first);
	expect_holder(p, first);
	pair_acquire(p, second);
	expect_holder(p, first);
	ck_assert_uint_eq(pair_complaints(s, NULL), 1);
	ck_assert_uint_eq(pair_complaints(s, other), 1);
	ck_assert_uint_eq(pair_complaints(s, holder), 1);
	ck_assert_uint_eq(pair_complaints(s, "rule Both"), 1);
	ck_assert_uint_eq(pair_complaints(s, "tunnel Y2"), 1);
	ck_assert_uint_eq(s->n_records[IKE_REC_P2_INTENT], 1);
	ck_assert_msg(pair_said(&p->side[second], "INVALID-ID-INFORMATION"), "%s",
		      p->side[second].log);
	ck_assert_int_eq(ike_engine_deactivate_p2(p->side[first].e, 2, p->now, &err), 0);
	pair_run(p);
	ck_assert_uint_eq(s->n_policies, 0);
	pair_wait(p, 120000);
	pair_acquire(p, second);
	expect_holder(p, second);
	pair_free(p);
}
END_TEST

/* Both negotiate at once: who is done first has it, and nothing of the other stays. */
START_TEST(test_second_peer_late)
{
	struct pair *p = three(&gateway, &peer);
	struct side *s = &p->side[0];
	uint64_t tx;

	s->later = true;
	pair_acquire(p, 1);
	tx = s->open_intent;
	pair_acquire(p, 2);
	ck_assert_uint_ne(tx, s->open_intent);
	pair_commit(s, 0);
	s->open_intent = tx;
	pair_commit(s, 0);
	expect_holder(p, 2);
	ck_assert_uint_eq(s->n_records[IKE_REC_P2_UP], 1);
	ck_assert_uint_eq(s->n_records[IKE_REC_P2_FAILED], 1);
	ck_assert_uint_eq(pair_complaints(s, "203.0.113.3"), 1);
	ck_assert_uint_eq(pair_complaints(s, "198.51.100.2"), 1);
	ck_assert_msg(pair_said(&p->side[1], "INVALID-ID-INFORMATION"), "%s", p->side[1].log);
	ck_assert_uint_eq(s->policy_adds, 1);
	pair_free(p);
}
END_TEST

/* The same peer from another address is no other peer: its tunnel moves, at once and without gap.
 */
START_TEST(test_peer_moves)
{
	struct pair *p = three(&roaming_gateway, &roaming_peer);
	struct side *s = &p->side[0];

	pair_acquire(p, 1);
	expect_holder(p, 1);
	pair_acquire(p, 2);
	pair_run(p);
	expect_holder(p, 2);
	ck_assert_uint_eq(s->policy_adds, 2);
	ck_assert_uint_eq(s->n_records[IKE_REC_P2_UP], 2);
	ck_assert_uint_eq(s->n_records[IKE_REC_P2_DOWN], 1);
	ck_assert_msg(pair_said(s, "another address"), "%s", s->log);
	/* Its old tunnel's end does not take the new one's policy along. */
	pair_wait(p, 1000);
	expect_holder(p, 2);
	pair_free(p);
}
END_TEST

/*
 * It moves while a successor of ours still waits for the peer to use it, and a pair that the peer
 * made meanwhile carries the traffic: both end, and the one that waits does not take it back.
 */
START_TEST(test_peer_moves_in_refresh)
{
	struct pair *p = three(&roaming_gateway, &roaming_peer);
	struct side *s = &p->side[0];
	struct xf_expire gone = {.hard = true};
	struct cs_err err;

	pair_acquire(p, 1);
	for (unsigned i = 0; i < p->side[1].n_sas; i++)
		if (!p->side[1].sas[i].sa.outbound)
			gone.id = p->side[1].sas[i].sa.id;
	ck_assert_int_eq(ike_engine_refresh_p2(s->e, 2, p->now, &err), 0);
	pair_run(p);
	ck_assert_int_eq(ike_engine_refresh_p2(p->side[1].e, 2, p->now, &err), 0);
	pair_run(p);
	ike_engine_expire(p->side[1].e, &gone, p->now);
	pair_run(p);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_live, 2);
	pair_acquire(p, 2);
	pair_run(p);
	expect_holder(p, 2);
	pair_wait(p, 10000);
	expect_holder(p, 2);
	pair_free(p);
}
END_TEST

/* The kernel refuses the policy of the moved tunnel: the old one is as it was. */
START_TEST(test_peer_moves_refused)
{
	struct pair *p = three(&roaming_gateway, &roaming_peer);
	struct side *s = &p->side[0];

	pair_acquire(p, 1);
	s->refuse = 4; /* SPI, inbound SA, outbound SA, policy */
	pair_acquire(p, 2);
	pair_run(p);
	ck_assert_uint_eq(pair_stats(p, 0)->kernel_refusals, 1);
	expect_holder(p, 1);
	pair_free(p);
}
END_TEST

/*
 * The holder's SAs are gone from the kernel, and a packet asks for a tunnel to where its addresses
 * say: what is not there any more holds nothing.
 */
START_TEST(test_vanished_holder)
{
	struct pair *p = three(&gateway, &peer);
	struct side *s = &p->side[0];

	pair_acquire(p, 1);
	expect_holder(p, 1);
	s->n_sas = 0;
	pair_acquire(p, 0);
	ck_assert_uint_eq(s->n_policies, pair_holds(s));
	ck_assert_uint_eq(pair_stats(p, 0)->p2_live, 0);
	pair_acquire(p, 2);
	expect_holder(p, 2);
	pair_free(p);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("engine, several peers under one rule");
	TCase *t = tcase_create("peers");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_second_peer_refused, 1, 3);
	tcase_add_test(t, test_second_peer_late);
	tcase_add_test(t, test_peer_moves);
	tcase_add_test(t, test_peer_moves_in_refresh);
	tcase_add_test(t, test_peer_moves_refused);
	tcase_add_test(t, test_vanished_holder);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	if (!pair_crypto())
		return 1;
	return run_suite(suite());
}
