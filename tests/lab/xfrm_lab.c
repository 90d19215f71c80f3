/*
 * The kernel side alone, without daemons: puts a small policy and manually keyed SAs into the
 * kernel of the network namespace that it runs in.  tests/lab/xfrm_scheme.sh drives it.
 *
 *   permit TCP port 80, deny TCP port 23, protect everything else between LOCAL and REMOTE, and
 *   permit everything between LOCAL and any other address.
 *
 * With "nat" first there may be clients behind a NAT.  For a gateway LOCAL is the network behind
 * it. A filter list looks at a forwarded packet twice, so its clear side has rules of its own: in
 * from LOCAL, out to LOCAL; and what it says itself to LOCAL is permitted, or nobody there would
 * hear that a packet was too big.
 */
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy/policy.h"
#include "xfrm/xfrm.h"

#define RULE_ID 16

static int fail(const struct cs_err *err)
{
	fprintf(stderr, "xfrm_lab: %s\n", err->text);
	return 1;
}

struct lab_policy {
	struct pol_policy policy;
	struct pol_filter_rule rules[7];
	struct pol_service tcp80, tcp23, everything, arrives, leaves, own;
	struct cs_range local[2], remote[2], all[2];
	struct pol_ke_action nat;
	struct pol_ke_rule ke;
};

static struct pol_service service(int proto, uint16_t port, enum pol_routing routing)
{
	struct pol_service s = {.proto = proto, .routing = routing};

	s.type[0] = s.type[1] = s.code[0] = s.code[1] = -1;
	s.dst_port[0] = s.dst_port[1] = port;
	return s;
}

static void turn(struct pol_service *s)
{
	memcpy(s->src_port, s->dst_port, sizeof(s->src_port));
	memset(s->dst_port, 0, sizeof(s->dst_port));
}

static struct pol_filter_rule rule(const char *name, enum pol_verdict verdict,
				   struct pol_service *s, struct cs_range *src,
				   struct cs_range *dst, unsigned n)
{
	struct pol_filter_rule r = {.verdict = verdict, .services = s, .n_services = 1};

	snprintf(r.name, sizeof(r.name), "%s", name);
	r.src = src;
	r.dst = dst;
	r.n_src = r.n_dst = n;
	r.id = verdict == POL_IPSEC ? RULE_ID : 0;
	return r;
}

static void allow_nat(struct lab_policy *l)
{
	l->nat.allow_nat = true;
	l->ke.action = &l->nat;
	l->policy.ke_rules = &l->ke;
	l->policy.n_ke_rules = 1;
}

/*
 * args: LOCAL REMOTE pairs, each an address, prefix or range. First may stand: "nat"; then
 * "routed", for a gateway, or "server", where ports 80 and 23 are this side's.
 */
static int build(struct lab_policy *l, char **args, int n, struct cs_err *err)
{
	enum pol_routing routing = POL_LOCAL;
	bool server = false;
	unsigned pairs = 0;
	int rc;

	memset(l, 0, sizeof(*l));
	if (n > 0 && strcmp(args[0], "nat") == 0) {
		allow_nat(l);
		args++;
		n--;
	}
	if (n > 0 && (strcmp(args[0], "routed") == 0 || strcmp(args[0], "server") == 0)) {
		server = args[0][0] == 's';
		routing = server ? POL_LOCAL : POL_ROUTED;
		args++;
		n--;
	}
	for (; n >= 2 && pairs < 2; n -= 2, args += 2, pairs++) {
		rc = cs_range_parse(args[0], &l->local[pairs], err);
		if (rc == 0)
			rc = cs_range_parse(args[1], &l->remote[pairs], err);
		if (rc < 0)
			return rc;
		l->all[pairs] = cs_range_all(l->local[pairs].lo.family);
	}
	if (pairs == 0)
		return cs_fail(err, CS_EINVAL, "LOCAL REMOTE wanted");
	l->tcp80 = service(IPPROTO_TCP, 80, POL_LOCAL);
	l->tcp23 = service(IPPROTO_TCP, 23, POL_LOCAL);
	if (server) {
		turn(&l->tcp80);
		turn(&l->tcp23);
	}
	l->everything = service(POL_PROTO_ANY, 0, routing);
	l->arrives = l->leaves = service(POL_PROTO_ANY, 0, POL_ROUTED);
	l->arrives.direction = POL_IN;
	l->leaves.direction = POL_OUT;
	l->own = service(POL_PROTO_ANY, 0, POL_LOCAL);
	l->rules[0] = rule("web", POL_PERMIT, &l->tcp80, l->local, l->remote, pairs);
	l->rules[1] = rule("telnet", POL_DENY, &l->tcp23, l->local, l->remote, pairs);
	l->rules[2] = rule("protected", POL_IPSEC, &l->everything, l->local, l->remote, pairs);
	l->rules[3] = rule("rest", POL_PERMIT, &l->everything, l->local, l->all, pairs);
	l->rules[4] = rule("lan-in", POL_PERMIT, &l->arrives, l->local, l->remote, pairs);
	l->rules[5] = rule("lan-out", POL_PERMIT, &l->leaves, l->remote, l->local, pairs);
	l->rules[6] = rule("own", POL_PERMIT, &l->own, l->all, l->local, pairs);
	l->policy.rules = l->rules;
	l->policy.n_rules = routing == POL_ROUTED ? 7 : 4;
	l->policy.generation = 1;
	return 0;
}

/* ---- SAs ---- */

/* Keys that both ends compute from the SPI; nobody's traffic depends on them. */
static struct cs_bytes key(uint8_t *buf, size_t len, uint32_t spi)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)(spi * 31 + i);
	return (struct cs_bytes){buf, len};
}

/* What tells one peer from another; a client is behind a NAT. */
struct peer {
	unsigned tunnel, client;
	uint16_t port; /* of its UDP encapsulation, 0: none */
};

static int add_sa(struct xf_kernel *k, const struct peer *peer, enum xf_mode mode,
		  const struct cs_addr *src, const struct cs_addr *dst, uint32_t spi, bool outbound,
		  struct cs_err *err)
{
	uint8_t buf[2][64];
	struct xf_sa sa = {.src = *src,
			   .reqid = xf_reqid(RULE_ID, peer->tunnel),
			   .mode = mode,
			   .outbound = outbound,
			   .client = outbound ? 0 : peer->client,
			   .cipher = cs_cipher_by_keyword("AES_CBC", 256),
			   .integ = cs_integ_by_keyword("HMAC_SHA2_256_128"),
			   .replay_window = 128};

	sa.id = (struct xf_said){.dst = *dst, .proto = IPPROTO_ESP, .spi = spi};
	sa.cipher_key = key(buf[0], sa.cipher->key_bits / 8u, spi);
	sa.integ_key = key(buf[1], sa.integ->key_bits / 8u, spi + 1);
	sa.selector.local = cs_range_single(outbound ? src : dst);
	sa.selector.remote = cs_range_single(outbound ? dst : src);
	if (peer->port) {
		sa.encap_sport = outbound ? 4500 : peer->port;
		sa.encap_dport = outbound ? peer->port : 4500;
	}
	return xf_sa_add(k, &sa, err);
}

static struct xf_policy tunnel_policy(const struct xf_marking *m, const struct peer *peer,
				      enum xf_mode mode, const struct cs_addr *local,
				      const struct cs_addr *remote)
{
	struct xf_policy p = {.dir = XF_OUT,
			      .priority = XF_PRIO_TUNNEL,
			      .mark = xf_mark_value(m, peer->client ? peer->client : RULE_ID),
			      .mark_mask = xf_mark_mask(m),
			      .has_template = true,
			      .mode = mode,
			      .proto = IPPROTO_ESP,
			      .reqid = xf_reqid(RULE_ID, peer->tunnel)};

	p.selector.local = cs_range_single(local);
	p.selector.remote = cs_range_single(remote);
	if (mode == XF_TUNNEL) {
		p.local = *local;
		p.remote = *remote;
	}
	return p;
}

/* sas|nosas MODE LOCAL REMOTE OUT-SPI IN-SPI [LOCAL-DATA REMOTE-DATA] */
enum what { ADD, DELETE, POLICY };

static int sas(struct xf_kernel *k, const struct xf_marking *m, const struct peer *peer,
	       char **args, int n, enum what what, struct cs_err *err)
{
	enum xf_mode mode = strcmp(args[0], "tunnel") == 0 ? XF_TUNNEL : XF_TRANSPORT;
	uint32_t out_spi = (uint32_t)strtoul(args[3], NULL, 0);
	uint32_t in_spi = (uint32_t)strtoul(args[4], NULL, 0);
	struct cs_addr local, remote;
	struct xf_said in, out;
	struct xf_policy p;
	int rc;

	rc = cs_addr_parse(args[1], &local, err);
	if (rc == 0)
		rc = cs_addr_parse(args[2], &remote, err);
	if (rc < 0)
		return rc;
	p = tunnel_policy(m, peer, mode, &local, &remote);
	if (n == 7) {
		rc = cs_range_parse(args[5], &p.selector.local, err);
		if (rc == 0)
			rc = cs_range_parse(args[6], &p.selector.remote, err);
		if (rc < 0)
			return rc;
	}
	if (what == POLICY)
		return xf_policy_add(k, &p, err);
	if (what == DELETE) {
		in = (struct xf_said){local, IPPROTO_ESP, in_spi};
		out = (struct xf_said){remote, IPPROTO_ESP, out_spi};
		/* In this order; what is missing is no reason to leave the rest. */
		rc = xf_sa_delete(k, &in, err);
		rc = xf_policy_delete(k, &p, rc ? NULL : err) || rc;
		rc = xf_sa_delete(k, &out, rc ? NULL : err) || rc;
		return rc ? CS_EKERNEL : 0;
	}
	rc = add_sa(k, peer, mode, &remote, &local, in_spi, false, err);
	if (rc == 0)
		rc = add_sa(k, peer, mode, &local, &remote, out_spi, true, err);
	return rc ? rc : xf_policy_add(k, &p, err);
}

/* client|noclient|repolicy CLIENT TUNNEL PORT, and what sas has */
static int client(struct xf_kernel *k, const struct xf_marking *m, char **args, int n,
		  enum what what, struct cs_err *err)
{
	struct peer peer = {.client = (unsigned)strtoul(args[0], NULL, 10),
			    .tunnel = (unsigned)strtoul(args[1], NULL, 10),
			    .port = (uint16_t)strtoul(args[2], NULL, 10)};

	return sas(k, m, &peer, args + 3, n - 3, what, err);
}

/* move in|out DESTINATION SPI PEER PORT */
static int move(struct xf_kernel *k, char **args, struct cs_err *err)
{
	struct xf_move m = {.outbound = strcmp(args[0], "out") == 0,
			    .encap_port = (uint16_t)strtoul(args[4], NULL, 10)};
	int rc = cs_addr_parse(args[1], &m.id.dst, err);

	m.id.proto = IPPROTO_ESP;
	m.id.spi = (uint32_t)strtoul(args[2], NULL, 0);
	if (rc == 0)
		rc = cs_addr_parse(args[3], &m.peer, err);
	return rc ? rc : xf_sa_move(k, &m, err);
}

/* ---- events and counters ---- */

static void on_acquire(void *arg, const struct xf_acquire *a)
{
	char sel[CS_SELECTOR_STRLEN];

	printf("acquire rule %u %s\n", a->rule_id, cs_selector_text(&a->selector, sel));
	fflush(stdout);
	if (xf_larval_clear(arg, a, NULL) < 0)
		printf("larval state not cleared\n");
}

static void on_mapping(void *arg, const struct xf_mapping *m)
{
	char was[CS_ENDPOINT_STRLEN], is[CS_ENDPOINT_STRLEN];

	(void)arg;
	printf("mapping 0x%x reqid %u %s to %s\n", m->id.spi, m->reqid,
	       cs_endpoint_text(&m->old_peer, was), cs_endpoint_text(&m->new_peer, is));
	fflush(stdout);
}

static void on_ruleset(void *arg)
{
	(void)arg;
	puts("ruleset changed");
	fflush(stdout);
}

/* Prints acquires (and ends them) and foreign changes of our table for some seconds. */
static int watch(struct xf_kernel *k, const struct xf_marking *m, long seconds, struct cs_err *err)
{
	const struct xf_event_ops ops = {
		.acquire = on_acquire, .mapping = on_mapping, .ruleset = on_ruleset};
	time_t end = time(NULL) + seconds;
	struct xf_events *ev;
	int rc;

	rc = xf_events_open(m, true, &ev, err);
	if (rc < 0)
		return rc;
	puts("watching");
	fflush(stdout);
	while (rc == 0 && time(NULL) < end) {
		struct pollfd p = {.fd = xf_events_fd(ev), .events = POLLIN};

		if (poll(&p, 1, 200) > 0)
			rc = xf_events_read(ev, &ops, k, err);
	}
	xf_events_close(ev);
	return rc;
}

static int on_connection(void *arg, const struct xf_connection *c)
{
	char remote[CS_ENDPOINT_STRLEN];

	(void)arg;
	printf("client %u proto %u %s seen %u\n", c->client, c->proto,
	       cs_endpoint_text(&c->remote, remote), c->seen_port);
	return 0;
}

static int clients_gone(struct xf_kernel *k, struct cs_err *err)
{
	struct lab_policy l = {.policy = {0}};

	l.rules[0].verdict = POL_IPSEC;
	l.policy.rules = l.rules;
	l.policy.n_rules = 1;
	allow_nat(&l);
	return xf_clients_gone(k, &l.policy, err);
}

static void on_count(void *arg, const struct xf_filter_count *c)
{
	(void)arg;
	printf("rule %u service %u %s packets %" PRIu64 "\n", c->rule, c->service,
	       c->outbound ? "out" : "in", c->packets);
}

static int probe(struct xf_kernel *k)
{
	struct xf_abilities a;

	xf_probe(k, &a);
	printf("xfrm %d esp4 %d esp6 %d nft_inet %d nft_xfrm %d missing: %s\n", a.xfrm, a.esp4,
	       a.esp6, a.nft_inet, a.nft_xfrm, a.missing);
	return a.missing[0] ? CS_EUNSUPPORTED : 0;
}

static int run(struct xf_kernel *k, const struct xf_marking *m, int n, char **args,
	       struct cs_err *err)
{
	static const struct peer only = {.tunnel = 1};
	struct lab_policy l;
	char *text;
	int rc;

	if (strcmp(args[0], "client") == 0 && (n == 9 || n == 11))
		return client(k, m, args + 1, n - 1, ADD, err);
	if (strcmp(args[0], "noclient") == 0 && (n == 9 || n == 11))
		return client(k, m, args + 1, n - 1, DELETE, err);
	if (strcmp(args[0], "repolicy") == 0 && (n == 9 || n == 11))
		return client(k, m, args + 1, n - 1, POLICY, err);
	if (strcmp(args[0], "connections") == 0)
		return xf_client_connections(on_connection, NULL, err);
	if (strcmp(args[0], "gone") == 0)
		return clients_gone(k, err);
	if (strcmp(args[0], "move") == 0 && n == 6)
		return move(k, args + 1, err);
	if (strcmp(args[0], "probe") == 0)
		return probe(k);
	if (strcmp(args[0], "uninstall") == 0)
		return xf_uninstall(k, err);
	if (strcmp(args[0], "counts") == 0)
		return xf_filter_counts(k, on_count, NULL, err);
	if (strcmp(args[0], "watch") == 0 && n == 2)
		return watch(k, m, strtol(args[1], NULL, 10), err);
	if (strcmp(args[0], "sas") == 0 && (n == 6 || n == 8))
		return sas(k, m, &only, args + 1, n - 1, ADD, err);
	if (strcmp(args[0], "nosas") == 0 && (n == 6 || n == 8))
		return sas(k, m, &only, args + 1, n - 1, DELETE, err);
	rc = build(&l, args + 1, n - 1, err);
	if (rc < 0)
		return rc;
	if (strcmp(args[0], "install") == 0)
		return xf_install(k, &l.policy, 0, err);
	if (strcmp(args[0], "installed") == 0)
		return xf_installed(k, &l.policy, 0) ? 0
						     : cs_fail(err, CS_ENOTFOUND, "not installed");
	if (strcmp(args[0], "ruleset") != 0)
		return cs_fail(err, CS_EINVAL, "unknown command %s", args[0]);
	text = xf_ruleset(m, &l.policy, 0);
	if (text)
		fputs(text, stdout);
	free(text);
	return 0;
}

int main(int argc, char **argv)
{
	struct xf_marking marking = {.shift = XF_MARK_SHIFT_DEFAULT};
	struct cs_err err = {.text = "failed"};
	struct xf_kernel *k;
	int rc;

	if (argc < 2) {
		fputs("usage: xfrm_lab COMMAND ARGUMENTS\n", stderr);
		return 2;
	}
	if (xf_open(&marking, &k, &err) < 0)
		return fail(&err);
	rc = run(k, &marking, argc - 1, argv + 1, &err);
	xf_close(k);
	return rc < 0 ? fail(&err) : 0;
}
