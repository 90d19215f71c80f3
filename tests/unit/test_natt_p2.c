/*
 * Quick Mode through a NAT: ESP in UDP in both modes, what data addresses mean, NAT-OA.  Side 0 is
 * a server, side 1 its client.
 */
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"
#include "tests/unit/pair_nat.h"
#include "tests/unit/run_suite.h"

#define ALLOWED    "  AllowNat Yes\n"
#define SERVER     "192.0.2.1"
#define CLIENT     "198.51.100.2"
#define SERVER_NAT "192.0.2.99"
#define CLIENT_NAT "203.0.113.99"
#define TUNNEL     "Tunnel|AES_CBC KeyLength 128|ESP HMAC_SHA1"

/* Where each has the other, which behind a NAT is outside of that. */
static struct pair_policy policy(bool server, bool server_nat, bool client_nat)
{
	return (struct pair_policy){
		.local_net = server ? SERVER : CLIENT,
		.remote_net = server ? (client_nat ? CLIENT_NAT : CLIENT)
				     : (server_nat ? SERVER_NAT : SERVER),
		.any_endpoint = true,
		.local_id = server ? "Fqdn server.example" : "Fqdn client.example",
		.remote_id = server ? "Fqdn client.example" : "Fqdn server.example",
		.remote_location = server ? (client_nat ? CLIENT_NAT : CLIENT)
					  : (server_nat ? SERVER_NAT : SERVER),
		.more_action = ALLOWED,
	};
}

/* ---- ID payloads ---- */

/* Those that were read, each followed by a blank; what a responder sends. */
static struct {
	char read[512];
	bool answer_outside;
} ids;

void __real_ike_quick_put_ids(struct isa_builder *b, const struct ike_p2 *p2);
void __wrap_ike_quick_put_ids(struct isa_builder *b, const struct ike_p2 *p2);
int __real_ike_ident_get_selector(struct cs_bytes body, uint8_t family, struct cs_range *range,
				  uint8_t *proto, uint16_t *port, struct cs_err *err);
int __wrap_ike_ident_get_selector(struct cs_bytes body, uint8_t family, struct cs_range *range,
				  uint8_t *proto, uint16_t *port, struct cs_err *err);

/* Some peers answer with what they see. */
void __wrap_ike_quick_put_ids(struct isa_builder *b, const struct ike_p2 *p2)
{
	if (ids.answer_outside && !p2->initiator)
		p2->qm->named = p2->tunnel->selector;
	__real_ike_quick_put_ids(b, p2);
}

int __wrap_ike_ident_get_selector(struct cs_bytes body, uint8_t family, struct cs_range *range,
				  uint8_t *proto, uint16_t *port, struct cs_err *err)
{
	int rc = __real_ike_ident_get_selector(body, family, range, proto, port, err);
	char text[CS_RANGE_STRLEN];
	size_t len = strlen(ids.read);

	if (!rc)
		snprintf(ids.read + len, sizeof(ids.read) - len, "%s ", cs_range_text(range, text));
	return rc;
}

static struct pair *make(const struct pair_policy *server, const struct pair_policy *client,
			 bool server_nat, bool client_nat)
{
	struct pair *p = pair_new(server, client);

	memset(&ids, 0, sizeof(ids));
	pair_nat_clear(p);
	if (server_nat)
		pair_nat_put(p, 0, SERVER_NAT, 0);
	if (client_nat)
		pair_nat_put(p, 1, CLIENT_NAT, 1000);
	return p;
}

static void expect_addr(const struct cs_addr *a, const char *text)
{
	char buf[CS_ADDR_STRLEN];

	ck_assert_str_eq(a->family ? cs_addr_text(a, buf) : "", text);
}

static void expect_ports(const struct side *s, uint16_t own, uint16_t other)
{
	const struct xf_sa *in = pair_nat_sa(s, false), *out = pair_nat_sa(s, true);

	ck_assert_uint_eq(in->encap_sport, other);
	ck_assert_uint_eq(in->encap_dport, own);
	ck_assert_uint_eq(out->encap_sport, own);
	ck_assert_uint_eq(out->encap_dport, other);
}

static void expect_both_up(const struct pair *p)
{
	for (unsigned i = 0; i < 2; i++)
		ck_assert_msg(pair_installed(&p->side[i]) == 2, "side %u:\n%s", i, p->side[i].log);
}

/* Index: 1 the server is behind a NAT, 2 the client, 3 both. */
START_TEST(test_transport)
{
	bool server_nat = _i & 1, client_nat = _i & 2;
	struct pair_policy server = policy(true, server_nat, client_nat);
	struct pair_policy client = policy(false, server_nat, client_nat);
	struct pair *p = make(&server, &client, server_nat, client_nat);
	struct ike_p2_info at_server, at_client;

	pair_acquire(p, 1);
	expect_both_up(p);
	expect_ports(&p->side[0], 4500, client_nat ? 5500 : 4500);
	expect_ports(&p->side[1], 4500, 4500);
	at_server = pair_nat_p2(p, 0);
	at_client = pair_nat_p2(p, 1);
	/* The server answers in the client's words. */
	ck_assert_str_eq(ids.read, server_nat ? CLIENT " " SERVER_NAT " " CLIENT " " SERVER_NAT " "
					      : CLIENT " " SERVER " " CLIENT " " SERVER " ");
	ck_assert_int_eq(at_server.suite.encap, POL_TRANSPORT);
	ck_assert_int_eq(at_server.suite.udp, IKE_UDP_RFC);
	ck_assert_int_eq(at_client.suite.udp, IKE_UDP_RFC);
	ck_assert_msg(pair_said(&p->side[0], "udp-transport"), "%s", p->side[0].log);
	/* Each has the addresses that packets have at its place. */
	expect_addr(&at_server.selector.local.lo, SERVER);
	expect_addr(&at_server.selector.remote.lo, client_nat ? CLIENT_NAT : CLIENT);
	expect_addr(&at_client.selector.local.lo, CLIENT);
	expect_addr(&at_client.selector.remote.lo, server_nat ? SERVER_NAT : SERVER);
	/* What each was told: the initiator's address, the responder's. */
	expect_addr(&at_server.oa[0], CLIENT);
	expect_addr(&at_server.oa[1], server_nat ? SERVER_NAT : SERVER);
	expect_addr(&at_client.oa[0], client_nat ? CLIENT_NAT : CLIENT);
	expect_addr(&at_client.oa[1], SERVER);
	expect_addr(&pair_nat_sa(&p->side[0], false)->encap_oa, client_nat ? CLIENT : "");
	expect_addr(&pair_nat_sa(&p->side[1], false)->encap_oa, server_nat ? SERVER : "");
	ck_assert_int_eq(at_server.nat_local, server_nat);
	ck_assert_int_eq(at_server.nat_remote, client_nat);
	ck_assert_int_eq(at_server.nat_napt, client_nat);
	ck_assert_int_eq(at_client.nat_local, client_nat);
	ck_assert_int_eq(at_client.nat_remote, server_nat);
	/* A mark of its own where the address is not the client's alone. */
	ck_assert_int_eq(at_server.client != 0, client_nat);
	ck_assert_uint_eq(at_client.client, 0);
	pair_free(p);
}
END_TEST

/* Some peers answer with the addresses that they see. */
START_TEST(test_answer_outside)
{
	bool server_nat = _i & 1, client_nat = _i & 2;
	struct pair_policy server = policy(true, server_nat, client_nat);
	struct pair_policy client = policy(false, server_nat, client_nat);
	struct pair *p = make(&server, &client, server_nat, client_nat);

	ids.answer_outside = true;
	pair_acquire(p, 1);
	expect_both_up(p);
	pair_free(p);
}
END_TEST

START_TEST(test_tunnel)
{
	bool server_nat = _i & 1, client_nat = _i & 2;
	struct pair_policy server = policy(true, server_nat, client_nat);
	struct pair_policy client = policy(false, server_nat, client_nat);
	struct pair *p;
	struct ike_p2_info at_server;

	server.data_offers = client.data_offers = TUNNEL;
	server.remote_net = CLIENT;
	p = make(&server, &client, server_nat, client_nat);
	pair_acquire(p, 1);
	if (server_nat) { /* the client's rule is for the address outside, the server has another */
		pair_expect_nothing(p);
		pair_free(p);
		return;
	}
	expect_both_up(p);
	expect_ports(&p->side[0], 4500, client_nat ? 5500 : 4500);
	at_server = pair_nat_p2(p, 0);
	ck_assert_msg(pair_said(&p->side[0], "udp-tunnel"), "%s", p->side[0].log);
	/* Inside a tunnel the peer's own address is the data's. */
	expect_addr(&at_server.selector.remote.lo, CLIENT);
	expect_addr(&at_server.remote, CLIENT_NAT);
	ck_assert_uint_eq(at_server.oa[0].family, 0);
	ck_assert_uint_eq(at_server.client, 0);
	expect_addr(&p->side[0].policies[0].remote, CLIENT_NAT);
	ck_assert_uint_eq(
		p->side[0].policies[0].mark,
		xf_mark_value(&(struct xf_marking){XF_MARK_SHIFT_DEFAULT}, XF_MARK_RULE_MIN));
	pair_free(p);
}
END_TEST

/* The peer offers both modes: which one is meant the policy says. */
START_TEST(test_both_modes)
{
	struct pair_policy server = policy(true, false, true), client = policy(false, false, true);
	struct ike_p2_info at_server;
	struct pair *p;

	client.data_offers = _i ? TUNNEL ";Transport|AES_CBC KeyLength 128|ESP HMAC_SHA1"
				: "Transport|AES_CBC KeyLength 128|ESP HMAC_SHA1;" TUNNEL;
	server.data_offers = _i ? TUNNEL : "Transport|AES_CBC KeyLength 128|ESP HMAC_SHA1";
	if (_i)
		server.remote_net = CLIENT;
	p = make(&server, &client, false, true);
	pair_acquire(p, 1);
	expect_both_up(p);
	ck_assert_int_eq(pair_nat_p2(p, 0).suite.encap, _i ? POL_TUNNEL : POL_TRANSPORT);
	at_server = pair_nat_p2(p, 0);
	expect_addr(&at_server.selector.remote.lo, _i ? CLIENT : CLIENT_NAT);
	pair_free(p);
}
END_TEST

START_TEST(test_forced)
{
	struct pair_policy server = policy(true, false, false),
			   client = policy(false, false, false);
	struct pair *p;

	client.more_action = ALLOWED "  NatForceEncapsulation Yes\n";
	p = make(&server, &client, false, false);
	pair_acquire(p, 1);
	expect_both_up(p);
	expect_ports(&p->side[0], 4500, 4500);
	expect_ports(&p->side[1], 4500, 4500);
	pair_free(p);
}
END_TEST

START_TEST(test_no_ah)
{
	struct pair_policy server = policy(true, false, true), client = policy(false, false, true);
	struct pair *p;

	server.data_offers = client.data_offers = "Transport|DoNot|AH HMAC_SHA1";
	p = make(&server, &client, false, true);
	pair_acquire(p, 1);
	ck_assert_uint_eq(pair_installed(&p->side[0]) + pair_installed(&p->side[1]), 0);
	ck_assert_msg(pair_said(&p->side[1], "no offer that can be made through a NAT"), "%s",
		      p->side[1].log);
	pair_free(p);
}
END_TEST

/* Whoever begins the successor, it is the same tunnel, and names what the peer does. */
START_TEST(test_refresh)
{
	struct pair_policy server = policy(true, false, true), client = policy(false, false, true);
	struct pair *p = make(&server, &client, false, true);
	struct ike_p2_info before, after;
	struct cs_err err = {0};
	unsigned by = (unsigned)_i;

	pair_acquire(p, 1);
	expect_both_up(p);
	before = pair_nat_p2(p, 0);
	memset(&ids, 0, sizeof(ids));
	ck_assert_msg(
		!ike_engine_refresh_p2(p->side[by].e, pair_nat_p2(p, by).tunnel, p->now, &err),
		"%s", err.text);
	pair_run(p);
	ck_assert_str_eq(ids.read, by ? CLIENT " " SERVER " " CLIENT " " SERVER " "
				      : SERVER " " CLIENT " " SERVER " " CLIENT " ");
	pair_wait(p, 6000);
	ck_assert_msg(pair_installed(&p->side[0]) == 4, "%s", p->side[0].log);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_up, 2);
	ck_assert_uint_eq(pair_stats(p, 1)->p2_up, 2);
	ck_assert_uint_eq(p->side[0].n_policies, 1);
	ck_assert_uint_eq(p->side[1].n_policies, 1);
	pair_wait(p, 120000);
	ck_assert_uint_eq(pair_installed(&p->side[0]), 2);
	after = pair_nat_p2(p, 0);
	ck_assert_uint_eq(after.tunnel, before.tunnel);
	ck_assert_uint_eq(after.client, before.client);
	ck_assert_uint_eq(after.generation, 2);
	/* The initiator's address is first, so they change places. */
	expect_addr(&after.oa[by ? 0 : 1], CLIENT);
	expect_ports(&p->side[0], 4500, 5500);
	pair_free(p);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("Quick Mode through a NAT");
	TCase *c = tcase_create("all");

	tcase_add_loop_test(c, test_transport, 1, 4);
	tcase_add_loop_test(c, test_answer_outside, 1, 4);
	tcase_add_loop_test(c, test_tunnel, 1, 4);
	tcase_add_loop_test(c, test_both_modes, 0, 2);
	tcase_add_test(c, test_forced);
	tcase_add_test(c, test_no_ah);
	tcase_add_loop_test(c, test_refresh, 0, 2);
	suite_add_tcase(s, c);
	return s;
}

int main(void)
{
	if (!pair_crypto())
		return 1;
	return run_suite(suite());
}
