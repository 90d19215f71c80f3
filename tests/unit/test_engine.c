/* The negotiation engine: what two of them agree on, and what they refuse. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/engine_pair.h"
#include "tests/unit/run_suite.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

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
	{"Tunnel|DoNot|AH HMAC_SHA2_256_128", "Group14", true},
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
	pair_expect_up(p);
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

/* A quirk of the peer cuts what it names, in ESP and in the AH of a bundle, and nothing else. */
START_TEST(test_short_sha256)
{
	static const struct {
		const char *offer;
		unsigned bits;
	} cases[] = {
		{"Transport|AES_CBC KeyLength 128|ESP HMAC_SHA2_256_128", 96},
		{"Transport|DoNot|AH HMAC_SHA2_256_128", 96},
		{"Transport|AES_CBC KeyLength 128|AH HMAC_SHA2_256_128", 96},
		{"Transport|AES_CBC KeyLength 128|ESP HMAC_SHA2_384_192", 0},
	};
	struct pair_policy o = {.data_offers = cases[_i].offer,
				.more_action = "  PeerQuirk ShortSha256\n"};
	struct pair_policy right = {.data_offers = cases[_i].offer};
	struct pair *p = pair_new(&o, &right);

	pair_acquire(p, 0);
	pair_expect_up(p);
	for (unsigned i = 0; i < p->side[0].n_sas; i++)
		ck_assert_uint_eq(p->side[0].sas[i].sa.icv_bits,
				  p->side[0].sas[i].sa.integ ? cases[_i].bits : 0);
	for (unsigned i = 0; i < p->side[1].n_sas; i++)
		ck_assert_uint_eq(p->side[1].sas[i].sa.icv_bits, 0);
	ck_assert_uint_eq(pair_said(&p->side[0], "check values have 96 bits"), cases[_i].bits != 0);
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
	pair_expect_up(p);
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
	pair_expect_up(p);
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
	ck_assert_uint_eq(pair_stats(p, 0)->p1_live, 0);
	pair_jobs(p);
	pair_expect_nothing(p);
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

	snprintf(more, sizeof(more), second_rule, _i ? "another-value" : "common-secret");
	p = pair_new(&a, &b);
	pair_acquire(p, 0);
	if (_i) {
		ck_assert_msg(pair_said(&p->side[1], "another preshared key"), "%s",
			      p->side[1].log);
		pair_expect_nothing(p);
	} else {
		ck_assert_msg(pair_said(&p->side[1], "EZD1785I"), "%s", p->side[1].log);
		pair_expect_up(p);
	}
	pair_free(p);
}
END_TEST

START_TEST(test_address_identity)
{
	struct pair_policy a = {.local_id = "IpAddr 192.0.2.77"},
			   b = {.remote_id = "IpAddr 192.0.2.77"};
	struct pair *p = pair_new(&a, &b);

	pair_acquire(p, 0);
	ck_assert_msg(pair_said(&p->side[1], "BypassIpValidation"), "%s", p->side[1].log);
	pair_expect_nothing(p);
	pair_free(p);
}
END_TEST

static const struct {
	struct pair_policy o;
	const char *said;
} no_answer[] = {
	{{.no_ke_rule = true}, "no KeyExchangeRule is for these addresses"},
	{{.how_to_respond = "Aggressive"}, "HowToRespond"},
};

START_TEST(test_responder_refuses)
{
	struct pair *p = pair_new(NULL, &no_answer[_i].o);

	pair_acquire(p, 0);
	ck_assert_msg(pair_said(&p->side[1], no_answer[_i].said), "%s", p->side[1].log);
	ck_assert_uint_eq(pair_stats(p, 1)->half_open, 0);
	pair_wait(p, 20000);
	ck_assert(pair_said(&p->side[0], "NO-PROPOSAL-CHOSEN (not authenticated)"));
	pair_expect_nothing(p);
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
	{{.no_ke_rule = true}, "for the security endpoints 192.0.2.1 and 198.51.100.2"},
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

/*
 * What may not be started by packets is held, too, or each packet would ask again.  A tunnel that
 * the peer begins takes the hold's place; should its policy get lost, a packet brings it back.
 */
START_TEST(test_not_on_demand)
{
	static const struct pair_policy o[2] = {{.no_on_demand = true},
						{.initiation = "RemoteOnly"}};
	struct pair *p = pair_new(&o[_i], NULL);
	struct side *s = &p->side[0];
	unsigned adds;

	pair_acquire(p, 0);
	ck_assert_uint_eq(pair_holds(s), 1);
	pair_acquire(p, 0);
	ck_assert_uint_eq(pair_stats(p, 0)->acquires_delayed, 1);
	pair_wait(p, 1100);
	ck_assert_uint_eq(pair_holds(s), 0);
	pair_acquire(p, 0);
	ck_assert_uint_eq(pair_holds(s), 1);
	pair_acquire(p, 1);
	pair_expect_up(p);
	ck_assert_uint_eq(pair_holds(s), 0);
	adds = s->policy_adds;
	pair_acquire(p, 0);
	ck_assert_uint_eq(s->policy_adds, adds + 1);
	pair_expect_up(p);
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
	pair_expect_up(p);
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
	pair_expect_up(p);
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
	ck_assert_uint_eq(pair_stats(p, 0)->acquires, 1000);
	ck_assert_uint_eq(pair_stats(p, 0)->acquires_merged, 999);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_initiated, 1);
	p->filter = NULL;
	pair_wait(p, 3000);
	pair_expect_up(p);
	pair_acquire(p, 0);
	ck_assert_uint_eq(pair_stats(p, 0)->acquires_merged, 1000);
	pair_expect_up(p);
	pair_free(p);
}
END_TEST

/* Somebody flushed our SAs behind our back: the next acquire finds out. */
START_TEST(test_flushed_behind_us)
{
	struct pair *p = pair_up(NULL);

	p->side[0].n_sas = p->side[0].n_policies = 0;
	pair_acquire(p, 0);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_up, 2);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_live, 1);
	ck_assert_uint_eq(pair_stats(p, 1)->p2_live, 1);
	ck_assert(pair_mirrored(p));
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
	TCase *t;

	t = tcase_create("agreed");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_phase1_suites, 0, COUNT(ke_suites));
	tcase_add_loop_test(t, test_phase2_suites, 0, 2 * COUNT(p2_suites));
	tcase_add_loop_test(t, test_short_sha256, 0, 4);
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
	tcase_add_test(t, test_address_identity);
	tcase_add_loop_test(t, test_responder_refuses, 0, COUNT(no_answer));
	tcase_add_loop_test(t, test_acquire_refused, 0, COUNT(no_start));
	tcase_add_loop_test(t, test_not_on_demand, 0, 2);
	tcase_add_test(t, test_acquire_for_ike);
	tcase_add_test(t, test_acquires_merge);
	tcase_add_test(t, test_flushed_behind_us);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	if (!pair_crypto())
		return EXIT_FAILURE;
	return run_suite(suite());
}
