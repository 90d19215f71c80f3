/*
 * Several clients behind one NAT, whose address all of them have in transport mode.  Side 0 is the
 * server, sides 1 and 2 are clients of different identities.
 */
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"
#include "tests/unit/pair_nat.h"
#include "tests/unit/pair_restart.h"
#include "tests/unit/run_suite.h"

#define ALLOWED   "  AllowNat Yes\n"
#define SERVER    "192.0.2.1"
#define NAT       "203.0.113.99"
#define OTHER_NAT "203.0.113.77"
#define INNER     "10.9.0.5"
#define TUNNEL    "Tunnel|AES_CBC KeyLength 128|ESP HMAC_SHA1"

static const char second[] = "  KeyExchangeRule Second\n  {\n    LocalSecurityEndpoint\n    {\n"
			     "      Identity Fqdn server.example\n      Location 192.0.2.1\n    }\n"
			     "    RemoteSecurityEndpoint\n    {\n      Identity Fqdn two.example\n"
			     "      Location 203.0.113.0/24\n    }\n    KeyExchangeActionRef Act\n"
			     "    SharedKey Ascii a-good-secret\n  }\n";

static struct pair_policy server_policy(bool tunnel)
{
	return (struct pair_policy){
		.local_net = SERVER,
		.remote_net = tunnel ? INNER : "203.0.113.0/24",
		.any_endpoint = true,
		.a_tunnel_a_host = true,
		.local_id = "Fqdn server.example",
		.remote_id = "Fqdn one.example",
		.remote_location = "203.0.113.0/24",
		.data_offers = tunnel ? TUNNEL : NULL,
		.more_rules = second,
		.more_action = ALLOWED,
	};
}

static struct pair_policy client_policy(bool tunnel, const char *id)
{
	return (struct pair_policy){
		.local_net = tunnel ? INNER : NULL,
		.remote_net = tunnel ? SERVER : NULL,
		.local_id = id,
		.remote_id = "Fqdn server.example",
		.data_offers = tunnel ? TUNNEL : NULL,
		.more_action = ALLOWED,
	};
}

static struct pair *make(bool tunnel, const char *two, const char *second_nat)
{
	struct pair_policy server = server_policy(tunnel);
	struct pair_policy one = client_policy(tunnel, "Fqdn one.example");
	struct pair_policy other = client_policy(tunnel, two);
	struct pair *p = pair_new(&server, &one);

	pair_third(p, &other);
	pair_nat_clear(p);
	pair_nat_put(p, 1, NAT, 1000);
	pair_nat_put(p, 2, second_nat, 2000);
	return p;
}

static struct pair *up(bool tunnel)
{
	struct pair *p = make(tunnel, "Fqdn two.example", NAT);

	pair_acquire(p, 1);
	pair_acquire(p, 2);
	for (unsigned i = 1; i < 3; i++)
		ck_assert_msg(pair_installed(&p->side[i]) == 2, "side %u:\n%s\n%s", i,
			      p->side[i].log, p->side[0].log);
	ck_assert_uint_eq(pair_installed(&p->side[0]), 4);
	return p;
}

/* The server's newest pair with the client whose port is this. */
struct search {
	uint16_t port;
	struct ike_p2_info found;
};

static int by_port(void *arg, const struct ike_p2_info *info)
{
	struct search *s = arg;

	if (info->encap_remote == s->port && info->generation >= s->found.generation)
		s->found = *info;
	return 0;
}

static struct ike_p2_info tunnel_of(const struct pair *p, unsigned client)
{
	struct search s = {pair_nat_outside(p, client, 4500).port, {0}};

	ike_engine_each_p2(p->side[0].e, by_port, &s);
	ck_assert_msg(s.found.tunnel, "no pair with client %u:\n%s", client, p->side[0].log);
	return s.found;
}

static const struct xf_policy *policy_of(const struct pair *p, unsigned client)
{
	struct ike_p2_info info = tunnel_of(p, client);
	const struct side *s = &p->side[0];

	for (unsigned i = 0; i < s->n_policies; i++)
		if (s->policies[i].reqid == info.reqid)
			return &s->policies[i];
	return NULL;
}

static uint32_t mark(unsigned value)
{
	return xf_mark_value(&(struct xf_marking){XF_MARK_SHIFT_DEFAULT}, value);
}

/* Its inbound SA, its policy and its tunnel have one mark. */
static unsigned mark_of(const struct pair *p, unsigned client)
{
	struct ike_p2_info info = tunnel_of(p, client);
	const struct xf_policy *policy = policy_of(p, client);
	const struct side *s = &p->side[0];
	unsigned n = 0;

	ck_assert_ptr_nonnull(policy);
	ck_assert_uint_eq(policy->mark, mark(info.client ? info.client : XF_MARK_RULE_MIN));
	for (unsigned i = 0; i < s->n_sas; i++) {
		if (s->sas[i].sa.reqid != info.reqid)
			continue;
		ck_assert_uint_eq(s->sas[i].sa.client, s->sas[i].sa.outbound ? 0 : info.client);
		n++;
	}
	ck_assert_uint_ge(n, 2);
	return info.client;
}

static void end_client(struct pair *p, unsigned client)
{
	struct cs_err err;
	uint32_t tunnel = 0;

	for (struct ike_list *l = p->side[client].e->p2s.next; l != &p->side[client].e->p2s;
	     l = l->next)
		tunnel = IKE_OF(l, struct ike_p2, all)->tunnel->number;
	ck_assert(!ike_engine_deactivate_p2(p->side[client].e, tunnel, p->now, &err));
	pair_run(p);
}

/* ---- one selector, two hosts ---- */

START_TEST(test_transport)
{
	struct pair *p = up(false);
	unsigned one = mark_of(p, 1), two = mark_of(p, 2);
	struct ike_p2_info a = tunnel_of(p, 1), b = tunnel_of(p, 2);

	ck_assert(cs_selector_equal(&a.selector, &b.selector));
	ck_assert_uint_ne(a.tunnel, b.tunnel);
	ck_assert_uint_ne(one, two);
	ck_assert_uint_ge(one, XF_MARK_CLIENT_MIN);
	ck_assert_uint_ge(two, XF_MARK_CLIENT_MIN);
	ck_assert_uint_le(two, XF_MARK_CLIENT_MAX);
	ck_assert_uint_eq(p->side[0].n_policies, 2);
	/* One of them goes, the other stays as it is. */
	end_client(p, 1);
	ck_assert_uint_eq(p->side[0].n_policies, 1);
	ck_assert_uint_eq(pair_installed(&p->side[0]), 2);
	ck_assert_uint_eq(mark_of(p, 2), two);
	pair_free(p);
}
END_TEST

/*
 * A NAT that leaves ports alone may have one host alone behind it, which has no mark, so that what
 * the server begins is in its tunnel; another one behind it has.
 */
START_TEST(test_transport_without_ports)
{
	struct pair *p = make(false, "Fqdn two.example", NAT);

	pair_nat_put(p, 1, NAT, 0);
	pair_acquire(p, 1);
	ck_assert_uint_eq(mark_of(p, 1), 0);
	ck_assert_uint_eq(policy_of(p, 1)->mark, mark(XF_MARK_RULE_MIN));
	pair_acquire(p, 2);
	ck_assert_uint_eq(mark_of(p, 1), 0);
	ck_assert_uint_ge(mark_of(p, 2), XF_MARK_CLIENT_MIN);
	ck_assert_uint_eq(p->side[0].n_policies, 2);
	pair_free(p);
}
END_TEST

/* Inner addresses that others have, too: behind one NAT or two. */
START_TEST(test_tunnel)
{
	struct pair *p = make(true, "Fqdn two.example", _i ? OTHER_NAT : NAT);

	pair_acquire(p, 1);
	ck_assert_uint_eq(mark_of(p, 1), 0);
	pair_acquire(p, 2);
	ck_assert_msg(pair_installed(&p->side[2]) == 2, "%s", p->side[0].log);
	ck_assert_uint_eq(mark_of(p, 1), 0);
	ck_assert_uint_ge(mark_of(p, 2), XF_MARK_CLIENT_MIN);
	ck_assert_uint_eq(p->side[0].n_policies, 2);
	pair_free(p);
}
END_TEST

static void acquire_without_run(struct pair *p, unsigned i)
{
	struct side *s = &p->side[i];
	struct xf_acquire a = {.rule_id = XF_MARK_RULE_MIN, .proto = IPPROTO_ESP};

	a.src = s->addr.addr;
	a.dst = p->side[0].addr.addr;
	a.selector.local = cs_range_single(&s->policy->rules[0].src[0].lo);
	a.selector.remote = cs_range_single(&s->policy->rules[0].dst[0].lo);
	a.selector.proto = IPPROTO_TCP;
	ike_engine_acquire(s->e, &a, p->now);
}

static bool second_begins(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	bool *begun = p->filter_arg;

	(void)len;
	if (from == 1 && data[18] == ISA_QUICK && !*begun) {
		*begun = true;
		acquire_without_run(p, 2);
	}
	return true;
}

/* Two that begin at once, with one selector: each has what is its own, or nothing yet. */
START_TEST(test_at_once)
{
	bool tunnel = _i, begun = false;
	struct pair *p = make(tunnel, "Fqdn two.example", NAT);
	struct ike_p2_info a, b;

	if (!tunnel)
		pair_nat_put(p, 1, NAT, 0);
	for (unsigned i = 1; i < 3; i++) {
		pair_acquire(p, i);
		end_client(p, i);
	}
	p->filter = second_begins;
	p->filter_arg = &begun;
	pair_acquire(p, 1);
	ck_assert(begun);
	p->filter = NULL;
	pair_wait(p, 120000);
	acquire_without_run(p, 1);
	acquire_without_run(p, 2);
	pair_run(p);
	a = tunnel_of(p, 1);
	b = tunnel_of(p, 2);
	ck_assert_uint_ne(a.tunnel, b.tunnel);
	ck_assert_uint_ne(mark_of(p, 1), mark_of(p, 2));
	for (unsigned i = 1; i < 3; i++)
		ck_assert_uint_eq(pair_installed(&p->side[i]), 2);
	ck_assert_uint_eq(pair_installed(&p->side[0]), 4);
	ck_assert_uint_eq(p->side[0].n_policies, 2);
	pair_free(p);
}
END_TEST

/* Nothing gets a mark whose policy is gone; the last pair of a tunnel takes the policy along. */
START_TEST(test_order_of_the_end)
{
	struct pair *p = up(false);

	memset(p->side[0].removed, 0, sizeof(p->side[0].removed));
	end_client(p, 1);
	ck_assert_str_eq(p->side[0].removed, "ipo");
	pair_free(p);
}
END_TEST

START_TEST(test_mark_is_reused_late)
{
	struct pair *p = up(false);
	unsigned one = mark_of(p, 1), two = mark_of(p, 2), next;

	for (unsigned i = 0; i < 3; i++) {
		end_client(p, 1);
		pair_acquire(p, 1);
		next = mark_of(p, 1);
		ck_assert_uint_eq(next, two + 1 + i);
	}
	ck_assert_uint_ne(next, one);
	/* All the way round. */
	pair_wait(p, 120000);
	p->side[0].e->next_mark = XF_MARK_CLIENT_MAX - XF_MARK_CLIENT_MIN;
	end_client(p, 1);
	pair_acquire(p, 1);
	ck_assert_uint_eq(mark_of(p, 1), XF_MARK_CLIENT_MAX);
	end_client(p, 1);
	pair_acquire(p, 1);
	ck_assert_uint_eq(mark_of(p, 1), one);
	end_client(p, 1);
	pair_acquire(p, 1);
	ck_assert_uint_eq(mark_of(p, 1), two + 1); /* two is in use */
	pair_free(p);
}
END_TEST

static bool no_initial_contact;

void __real_ike_put_initial_contact(const struct ike_p1 *p1, struct isa_builder *b);
void __wrap_ike_put_initial_contact(const struct ike_p1 *p1, struct isa_builder *b);

void __wrap_ike_put_initial_contact(const struct ike_p1 *p1, struct isa_builder *b)
{
	if (!no_initial_contact)
		__real_ike_put_initial_contact(p1, b);
}

/* What answered who had it is under it for two minutes, however many come meanwhile. */
START_TEST(test_mark_rests)
{
	struct pair *p = up(false);
	unsigned one = mark_of(p, 1), two = mark_of(p, 2);
	unsigned *next = &p->side[0].e->next_mark;

	end_client(p, 1);
	*next = one - XF_MARK_CLIENT_MIN;
	pair_acquire(p, 1);
	ck_assert_uint_eq(mark_of(p, 1), two + 1);
	end_client(p, 1);
	pair_wait(p, 119000);
	*next = one - XF_MARK_CLIENT_MIN;
	pair_acquire(p, 1);
	ck_assert_uint_eq(mark_of(p, 1), two + 2);
	end_client(p, 1);
	pair_wait(p, 1000);
	*next = one - XF_MARK_CLIENT_MIN;
	pair_acquire(p, 1);
	ck_assert_uint_eq(mark_of(p, 1), one);
	pair_free(p);
}
END_TEST

/* What never bore it needs no rest: an exchange that fails uses none up. */
START_TEST(test_mark_of_nothing)
{
	struct pair *p = up(false);
	struct ike_engine *e = p->side[0].e;
	struct ike_p2_info like = tunnel_of(p, 1);
	struct ike_tunnel_key key = {like.rule_id, &like.selector, &like.local, &like.remote,
				     XF_MARK_CLIENT_MAX};
	struct ike_tunnel *t = ike_tunnel_get(e, &key);

	ck_assert_ptr_nonnull(t);
	ike_tunnel_put(e, t);
	e->next_mark = XF_MARK_CLIENT_MAX - XF_MARK_CLIENT_MIN;
	end_client(p, 1);
	pair_acquire(p, 1);
	ck_assert_uint_eq(mark_of(p, 1), XF_MARK_CLIENT_MAX);
	pair_free(p);
}
END_TEST

/* One peer cannot have all of them. */
START_TEST(test_marks_of_one)
{
	struct pair *p = make(false, "Fqdn one.example", NAT);
	struct side *s = &p->side[0];

	no_initial_contact = true;
	s->e->marks_a_peer = 1;
	pair_acquire(p, 1);
	pair_acquire(p, 2);
	ck_assert_msg(pair_said(s, "it has 1 tunnels with a mark"), "%s", s->log);
	ck_assert_uint_ge(mark_of(p, 1), XF_MARK_CLIENT_MIN);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_live, 1);
	pair_free(p);
	no_initial_contact = false;
	p = make(false, "Fqdn two.example", NAT);
	p->side[0].e->marks_a_peer = 1;
	pair_acquire(p, 1);
	pair_acquire(p, 2);
	ck_assert_uint_ge(mark_of(p, 1), XF_MARK_CLIENT_MIN);
	ck_assert_uint_ge(mark_of(p, 2), XF_MARK_CLIENT_MIN);
	pair_free(p);
}
END_TEST

/* Successors have the tunnel's mark, whoever begins them, and come from the right host. */
START_TEST(test_refresh)
{
	struct pair *p = up(false);
	unsigned one = mark_of(p, 1), two = mark_of(p, 2);
	struct cs_err err = {0};
	unsigned by = (unsigned)_i;
	uint32_t tunnel = by ? IKE_OF(p->side[2].e->p2s.next, struct ike_p2, all)->tunnel->number
			     : tunnel_of(p, 2).tunnel;

	ck_assert_msg(!ike_engine_refresh_p2(p->side[by].e, tunnel, p->now, &err), "%s", err.text);
	pair_run(p);
	pair_wait(p, 120000);
	ck_assert_uint_eq(tunnel_of(p, 1).generation, 1);
	ck_assert_uint_eq(tunnel_of(p, 2).generation, 2);
	ck_assert_uint_eq(mark_of(p, 1), one);
	ck_assert_uint_eq(mark_of(p, 2), two);
	ck_assert_uint_eq(p->side[0].n_policies, 2);
	ck_assert_uint_eq(pair_installed(&p->side[0]), 4);
	pair_free(p);
}
END_TEST

/*
 * Hosts of one identity are one party: INITIAL-CONTACT of the second ends what the first has.
 * Without it neither gets what is the other's all the same.
 */
START_TEST(test_one_identity)
{
	struct pair *p = make(false, "Fqdn one.example", NAT);

	no_initial_contact = _i;
	pair_acquire(p, 1);
	pair_acquire(p, 2);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_live, _i ? 2 : 1);
	ck_assert_uint_ge(mark_of(p, 2), XF_MARK_CLIENT_MIN);
	if (_i)
		ck_assert_uint_ne(mark_of(p, 1), mark_of(p, 2));
	ck_assert_uint_eq(p->side[0].n_policies, _i ? 2 : 1);
	pair_free(p);
}
END_TEST

/* One of them moves: the other stays. */
START_TEST(test_one_moves)
{
	struct pair *p = up(false);
	unsigned two = mark_of(p, 2);
	uint32_t tunnel = IKE_OF(p->side[2].e->p2s.next, struct ike_p2, all)->tunnel->number;
	struct cs_err err;

	pair_nat_put(p, 2, NAT, 3000);
	ck_assert(!ike_engine_refresh_p2(p->side[2].e, tunnel, p->now, &err));
	pair_wait(p, 120000);
	ck_assert_uint_eq(p->side[0].moves, 2);
	ck_assert_uint_eq(mark_of(p, 2), two);
	ck_assert_uint_eq(tunnel_of(p, 1).encap_remote, 5500);
	ck_assert_uint_eq(tunnel_of(p, 2).encap_remote, 7500);
	pair_free(p);
}
END_TEST

/* ---- a new engine ---- */

/* Each has its mark again, and nobody else gets one of before. */
START_TEST(test_restart)
{
	struct pair *p = up(false);
	struct side *s = &p->side[0];
	unsigned one = mark_of(p, 1), two = mark_of(p, 2);
	struct ike_p2_info before = tunnel_of(p, 2), after;
	const struct ike_tunnel *t;
	struct ike_restored done;
	struct pair_cache c;

	pair_crash(s, &c);
	done = pair_restore(s, &c);
	ck_assert_uint_eq(done.p1, 2);
	ck_assert_uint_eq(done.p2, 2);
	ck_assert_uint_eq(mark_of(p, 1), one);
	ck_assert_uint_eq(mark_of(p, 2), two);
	after = tunnel_of(p, 2);
	ck_assert_uint_eq(after.tunnel, before.tunnel);
	ck_assert_int_eq(after.suite.udp, before.suite.udp);
	ck_assert_mem_eq(after.oa, before.oa, sizeof(after.oa));
	ck_assert(after.nat_remote && after.nat_napt && !after.nat_local);
	ck_assert_uint_eq(after.encap_local, 4500);
	ck_assert_uint_eq(s->n_policies, 2);
	/* What this side begins names the client as it calls itself. */
	t = ike_tunnel_by_number(s->e, after.tunnel);
	ck_assert(cs_addr_equal(&t->named.remote.lo, &p->side[2].addr.addr));
	end_client(p, 1);
	s->e->next_mark = one - XF_MARK_CLIENT_MIN;
	pair_acquire(p, 1);
	ck_assert_uint_eq(mark_of(p, 1), two + 1);
	ck_assert_uint_eq(mark_of(p, 2), two);
	pair_free(p);
}
END_TEST

/* Which marks rested nobody knows any more. */
START_TEST(test_restart_begins_anywhere)
{
	struct pair *p = up(false);
	struct side *s = &p->side[0];
	struct pair_cache c;
	unsigned at[3];

	for (unsigned i = 0; i < 3; i++) {
		pair_crash(s, &c);
		pair_restore(s, &c);
		at[i] = s->e->next_mark;
	}
	ck_assert(at[0] != at[1] || at[1] != at[2]);
	pair_free(p);
}
END_TEST

/* What does not live on keeps its mark from others until it is gone, too. */
START_TEST(test_restart_without)
{
	struct pair *p = up(false);
	struct side *s = &p->side[0];
	unsigned one = mark_of(p, 1), two = mark_of(p, 2);
	struct pair_cache c;

	pair_crash(s, &c);
	for (size_t i = 0; i < c.n_p2; i++)
		c.p2[i].info.spi_out ^= 1;
	ck_assert_uint_eq(pair_restore(s, &c).p2, 0);
	ck_assert_uint_eq(s->n_policies, 0);
	pair_run(p);
	s->e->next_mark = one - XF_MARK_CLIENT_MIN;
	pair_acquire(p, 1);
	ck_assert_uint_eq(mark_of(p, 1), two + 1);
	pair_free(p);
}
END_TEST

/* ---- who may begin ---- */

/* Nobody knows which of them a packet is for, so it starts nothing. */
START_TEST(test_not_begun_with)
{
	struct pair *p = up(false);
	struct side *s = &p->side[0];
	uint64_t before = pair_stats(p, 0)->p1_initiated;
	struct xf_acquire a = {.rule_id = XF_MARK_RULE_MIN, .proto = IPPROTO_ESP};

	a.selector.local = cs_range_single(&s->addr.addr);
	cs_addr_parse(NAT, &a.dst, NULL);
	a.selector.remote = cs_range_single(&a.dst);
	a.selector.proto = IPPROTO_TCP;
	ike_engine_acquire(s->e, &a, p->now);
	pair_run(p);
	ck_assert_msg(pair_said(s, "only the peer can begin"), "%s", s->log);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_initiated, before);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_live, 2);
	pair_free(p);
}
END_TEST

/* A client's connection found no SA: only its own policy is looked at. */
START_TEST(test_acquire_of_client)
{
	struct pair *p = up(false);
	struct side *s = &p->side[0];
	struct xf_acquire a = {.rule_id = XF_MARK_RULE_MIN, .mark = mark_of(p, 2)};
	unsigned adds = s->policy_adds, clears = s->larval_clears;

	ike_engine_acquire(s->e, &a, p->now);
	ck_assert_uint_eq(s->policy_adds, adds + 1);
	ck_assert_uint_eq(s->larval_clears, clears + 1);
	a.mark = XF_MARK_CLIENT_GONE;
	ike_engine_acquire(s->e, &a, p->now);
	ck_assert_uint_eq(s->policy_adds, adds + 1);
	ck_assert_uint_eq(s->larval_clears, clears + 2);
	ck_assert_uint_eq(pair_holds(s), 0);
	/* Somebody flushed its SAs. */
	a.mark = mark_of(p, 2);
	s->n_sas = 0;
	ike_engine_acquire(s->e, &a, p->now);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_live, 1);
	ck_assert_uint_eq(s->n_policies, 1);
	pair_free(p);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("many clients behind one NAT");
	TCase *c = tcase_create("all");

	tcase_add_test(c, test_transport);
	tcase_add_test(c, test_transport_without_ports);
	tcase_add_loop_test(c, test_tunnel, 0, 2);
	tcase_add_loop_test(c, test_at_once, 0, 2);
	tcase_add_test(c, test_order_of_the_end);
	tcase_add_test(c, test_mark_is_reused_late);
	tcase_add_test(c, test_mark_rests);
	tcase_add_test(c, test_mark_of_nothing);
	tcase_add_test(c, test_marks_of_one);
	tcase_add_loop_test(c, test_refresh, 0, 1);
	tcase_add_loop_test(c, test_refresh, 2, 3);
	tcase_add_loop_test(c, test_one_identity, 0, 2);
	tcase_add_test(c, test_one_moves);
	tcase_add_test(c, test_restart);
	tcase_add_test(c, test_restart_begins_anywhere);
	tcase_add_test(c, test_restart_without);
	tcase_add_test(c, test_not_begun_with);
	tcase_add_test(c, test_acquire_of_client);
	suite_add_tcase(s, c);
	return s;
}

int main(void)
{
	if (!pair_crypto())
		return 1;
	return run_suite(suite());
}
