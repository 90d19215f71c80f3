/*
 * What starts a tunnel from this side: a packet that met an ipsec rule without an SA, or a command.
 * Which selector is negotiated follows IpLocalStartAction (IBM; without one: the packet's
 * addresses, the rule's protocol and ports where IKE version 1 can say them).
 */
#include <netinet/in.h>
#include <string.h>

#include "iked/engine_private.h"

#ifndef IPPROTO_DCCP
#define IPPROTO_DCCP 33
#endif

/* ---- the selector ---- */

static bool has_ports(unsigned proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP ||
	       proto == IPPROTO_DCCP || proto == IPPROTO_UDPLITE;
}

static bool any_port(const uint16_t range[2])
{
	return !range[0] && (!range[1] || range[1] == UINT16_MAX);
}

static bool port_in(const uint16_t range[2], uint16_t port)
{
	return any_port(range) || (port >= range[0] && port <= range[1]);
}

static bool covers(const struct pol_service *s, const struct cs_selector *packet)
{
	if (s->proto >= 0 && s->proto != packet->proto)
		return false;
	return !has_ports(packet->proto) || (port_in(s->src_port, packet->local_port) &&
					     port_in(s->dst_port, packet->remote_port));
}

static const struct pol_service *service_of(const struct pol_filter_rule *rule,
					    const struct cs_selector *packet)
{
	for (unsigned i = 0; i < rule->n_services; i++)
		if (covers(&rule->services[i], packet))
			return &rule->services[i];
	return NULL;
}

static struct cs_range range_of(enum pol_granularity from, const struct cs_range *ranges,
				unsigned n, const struct cs_addr *addr)
{
	const struct cs_range *found =
		from == POL_FROM_RULE ? cs_range_find(ranges, n, addr) : NULL;

	return found ? *found : cs_range_single(addr);
}

/* One port or all is what IKE version 1 can say; else the packet decides. */
static uint16_t port_of(enum pol_granularity from, const uint16_t range[2], uint16_t port)
{
	if (from == POL_FROM_RULE && any_port(range))
		return 0;
	if (from == POL_FROM_RULE && range[0] == range[1])
		return range[0];
	return port;
}

static int derive_selector(const struct pol_filter_rule *rule, const struct cs_selector *packet,
			   struct cs_selector *out, struct cs_err *err)
{
	static const struct pol_start_action plain = {.local_ip = POL_FROM_PACKET,
						      .remote_ip = POL_FROM_PACKET,
						      .local_port = POL_FROM_RULE,
						      .remote_port = POL_FROM_RULE,
						      .protocol = POL_FROM_RULE};
	const struct pol_start_action *start = rule->start ? rule->start : &plain;
	const struct pol_service *s = service_of(rule, packet);

	if (!s)
		return cs_fail(err, CS_EPOLICY, "no service of rule %s covers the packet",
			       rule->name);
	if (s->type[0] >= 0 && s->proto >= 0)
		return cs_fail(err, CS_EUNSUPPORTED, "types cannot be negotiated");
	memset(out, 0, sizeof(*out));
	out->local = range_of(start->local_ip, rule->src, rule->n_src, &packet->local.lo);
	out->remote = range_of(start->remote_ip, rule->dst, rule->n_dst, &packet->remote.lo);
	if (start->protocol == POL_FROM_PACKET)
		out->proto = packet->proto;
	else if (s->proto >= 0)
		out->proto = (uint8_t)s->proto;
	if (has_ports(out->proto)) {
		out->local_port = port_of(start->local_port, s->src_port, packet->local_port);
		out->remote_port = port_of(start->remote_port, s->dst_port, packet->remote_port);
	}
	return 0;
}

/* ---- a tunnel begins ---- */

int ike_p1_towards(struct ike_engine *e, const struct cs_addr *local, const struct cs_addr *remote,
		   struct ike_p1 **p1, struct cs_err *err)
{
	const struct pol_ke_rule *rule = pol_ke_rule_find(e->policy, local, remote, NULL);
	struct ike_first_try f = {.from = {*local, e->set.port},
				  .to = {*remote, e->set.port},
				  .rule = rule,
				  .only = -1};
	char from[CS_ADDR_STRLEN], to[CS_ADDR_STRLEN];

	/* They are the packet's own where no IpLocalStartAction names a gateway. */
	if (!rule)
		return cs_fail(err, CS_EPOLICY,
			       "no KeyExchangeRule is for the security endpoints %s and %s",
			       cs_addr_text(local, from), cs_addr_text(remote, to));
	if (ike_napt_between(e, local, remote))
		return cs_fail(
			err, CS_EPOLICY,
			"%s is behind a NAT that translates ports, so only the peer can begin",
			cs_addr_text(remote, to));
	*p1 = ike_p1_for(e, local, remote, rule);
	if (*p1)
		return 0;
	f.mode = rule->action->initiate;
	return ike_exchange_initiate(e, &f, p1, err);
}

int ike_p2_check_request(const struct pol_filter_rule *rule, const struct cs_selector *selector,
			 const struct cs_addr *local, const struct cs_addr *remote,
			 struct cs_err *err)
{
	bool transport_ok = ike_transport_ok(selector, local, remote);

	if (local->family != remote->family || selector->local.lo.family != local->family)
		return cs_fail(err, CS_EPOLICY,
			       "addresses and endpoints are of different families");
	if (cs_addr_is_any(local) || cs_addr_is_any(remote))
		return cs_fail(err, CS_EPOLICY, "a security endpoint is not known");
	for (unsigned i = 0; i < rule->vpn->n_offers; i++)
		if (rule->vpn->offers[i].encap == POL_TUNNEL || transport_ok)
			return 0;
	return cs_fail(err, CS_EPOLICY,
		       "action %s has no tunnel mode offer, which these addresses need",
		       rule->vpn->name);
}

int ike_p2_begin(struct ike_engine *e, struct ike_p1 *p1, const struct pol_filter_rule *rule,
		 struct ike_tunnel *t, enum ike_activation activation,
		 const struct pol_local_dynvpn *local_rule, struct ike_p2 **p2, struct cs_err *err)
{
	*p2 = ike_p2_new(e, p1, e->policy, rule, t, true);
	if (!*p2)
		return cs_fail(err, CS_ELIMIT, "no room for another phase 2 SA pair");
	(*p2)->activation = activation;
	(*p2)->local_rule = local_rule;
	(*p2)->qm->pfs = rule->vpn->initiate_pfs;
	return 0;
}

int ike_p2_initiate(struct ike_engine *e, const struct pol_filter_rule *rule,
		    const struct cs_selector *selector, const struct cs_addr *local,
		    const struct cs_addr *remote, enum ike_activation activation,
		    const struct pol_local_dynvpn *local_rule, uint32_t *tunnel, struct cs_err *err)
{
	struct ike_tunnel *t = ike_tunnel_find(e, rule->id, selector, local, remote);
	struct ike_tunnel_key key;
	struct ike_p1 *p1;
	struct ike_p2 *p2;
	int rc;

	if (t) {
		*tunnel = t->number;
		return cs_fail(err, CS_EEXIST, "tunnel Y%u is up or under way", t->number);
	}
	rc = ike_p2_check_request(rule, selector, local, remote, err);
	if (!rc)
		rc = ike_p1_towards(e, local, remote, &p1, err);
	if (rc)
		return rc;
	key = (struct ike_tunnel_key){rule->id, selector, local, remote, 0};
	t = ike_tunnel_get(e, &key);
	if (!t)
		return cs_fail(err, CS_ENOMEM, "no memory for a tunnel");
	rc = ike_p2_begin(e, p1, rule, t, activation, local_rule, &p2, err);
	if (rc) {
		ike_tunnel_put(e, t);
		return rc;
	}
	*tunnel = t->number;
	p2->qm->asked = activation == IKE_ACT_ONDEMAND;
	if (p1->up)
		ike_quick_soon(e, p2);
	return 0;
}

/* ---- acquire ---- */

static void complain(struct ike_engine *e, const struct xf_acquire *a, const char *why)
{
	char packet[CS_SELECTOR_STRLEN];

	if (ike_take_token(e, &e->log_bucket))
		ike_logf(e, CS_NOCTX, CSM_ACQUIRE_REFUSED, cs_selector_text(&a->selector, packet),
			 why);
}

static void refuse(struct ike_engine *e, const struct xf_acquire *a, const char *why)
{
	complain(e, a, why);
	e->ops.larval_clear(e->ctx, a);
}

static bool is_ike(const struct ike_engine *e, const struct cs_selector *s)
{
	return s->proto == IPPROTO_UDP &&
	       (s->local_port == e->set.port || s->remote_port == e->set.port);
}

/* False, with its own line in the log, when the rule does not let this packet start a tunnel. */
static bool may_start(struct ike_engine *e, const struct xf_acquire *a,
		      const struct pol_filter_rule *rule)
{
	char packet[CS_SELECTOR_STRLEN];

	if (!rule || !rule->vpn) {
		refuse(e, a, "the policy has no such dynamic rule");
		return false;
	}
	/* It was raised a moment before its minute was over. */
	if (!ike_rule_in_time(e, rule)) {
		refuse(e, a, IKE_OUT_OF_TIME);
		return false;
	}
	if (is_ike(e, &a->selector)) {
		if (ike_take_token(e, &e->log_bucket))
			ike_logf(e, CS_NOCTX, CSM_ACQUIRE_IKE,
				 cs_selector_text(&a->selector, packet), rule->name);
		e->ops.larval_clear(e->ctx, a);
		return false;
	}
	return true;
}

/* False, with its own line in the log, when a command or the peer alone starts the rule's tunnels.
 */
static bool on_demand(struct ike_engine *e, const struct xf_acquire *a,
		      const struct pol_filter_rule *rule)
{
	if (!rule->on_demand) {
		complain(e, a, "its rule does not allow on-demand activation (AllowOnDemand)");
		return false;
	}
	if (rule->vpn->initiation == POL_INIT_REMOTE) {
		if (ike_take_token(e, &e->log_bucket))
			ike_logf(e, CS_NOCTX, CSM_NOT_P2_INITIATOR, rule->name, rule->vpn->name);
		return false;
	}
	return true;
}

static bool has_vanished(struct ike_engine *e, const struct ike_p2 *p2)
{
	struct xf_said out = ike_p2_said_out(p2), ah = ike_p2_ah_said(p2, true);
	struct xf_counters c;
	struct cs_err err;

	return e->ops.sa_counters(e->ctx, &out, &c, &err) == CS_ENOTFOUND ||
	       (p2->suite.ah && e->ops.sa_counters(e->ctx, &ah, &c, &err) == CS_ENOTFOUND);
}

/*
 * The kernel asks although a pair is up that should serve: is it still there? A pair that somebody
 * flushed would swallow the tunnel's traffic, and hold off others, until its lifetime is over.
 */
static void drop_vanished(struct ike_engine *e, struct ike_tunnel *t)
{
	struct ike_list *l = t->p2s.next;

	while (l != &t->p2s) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, in_tunnel);

		l = l->next;
		if (p2->up && has_vanished(e, p2))
			ike_p2_down(e, p2, true, NULL, "the kernel no longer has it");
	}
}

/* What is not held the kernel's larval state keeps from asking, until it times out. */
static void hold_or_not(struct ike_engine *e, const struct ike_tunnel_key *key,
			const struct xf_acquire *a)
{
	if (ike_hold(e, key))
		e->ops.larval_clear(e->ctx, a);
}

/* The tunnel is there (packets can be quicker than the SA that answers) or on its way. */
static void merge(struct ike_engine *e, struct ike_tunnel *t, const struct xf_acquire *a)
{
	struct ike_tunnel_key key = ike_tunnel_key_of(t);
	bool under_way = false;

	e->stats.acquires_merged++;
	for (struct ike_list *l = t->p2s.next; l != &t->p2s; l = l->next) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, in_tunnel);

		if (p2->qm)
			p2->qm->asked = under_way = true;
	}
	if (under_way && !t->policy_in) {
		hold_or_not(e, &key, a);
		return;
	}
	ike_tunnel_policy_again(e, t);
	e->ops.larval_clear(e->ctx, a);
}

/* Held first: what begins here may come to its end before it returns. */
static void begin(struct ike_engine *e, const struct pol_filter_rule *rule,
		  const struct ike_tunnel_key *key, const struct xf_acquire *a)
{
	struct cs_err err = {0};
	uint32_t number;
	int rc;

	hold_or_not(e, key, a);
	rc = ike_takeover_asked(e, key, &err);
	if (rc == CS_EEXIST)
		return;
	if (rc) {
		complain(e, a, err.text);
	} else if (on_demand(e, a, rule)) {
		if (!ike_p2_initiate(e, rule, key->selector, key->local, key->remote,
				     IKE_ACT_ONDEMAND, NULL, &number, &err))
			return;
		complain(e, a, err.text);
	}
	ike_hold_failed(e, key);
}

static void acquire(struct ike_engine *e, const struct xf_acquire *a)
{
	const struct pol_filter_rule *rule =
		e->policy ? pol_rule_by_id(e->policy, a->rule_id) : NULL;
	const struct pol_start_action *start;
	struct cs_selector selector;
	struct ike_tunnel_key key;
	struct cs_err err = {0};
	struct ike_tunnel *t, *holder;
	int rc;

	if (!may_start(e, a, rule))
		return;
	rc = derive_selector(rule, &a->selector, &selector, &err);
	if (rc == CS_EUNSUPPORTED) {
		if (ike_take_token(e, &e->log_bucket))
			ike_logf(e, CS_NOCTX, CSM_SELECTOR_TYPES, rule->name);
		e->ops.larval_clear(e->ctx, a);
		return;
	}
	if (rc) {
		refuse(e, a, err.text);
		return;
	}
	start = rule->start;
	key = (struct ike_tunnel_key){
		.rule_id = rule->id,
		.selector = &selector,
		.local = start && start->local.family ? &start->local : &a->selector.local.lo,
		.remote = start && start->remote.family ? &start->remote : &a->selector.remote.lo,
	};
	rule = ike_rule_towards(e, rule, &selector, key.local, key.remote);
	key.rule_id = rule->id;
	holder = ike_claim_holder(e, &key);
	if (holder)
		drop_vanished(e, holder);
	t = ike_tunnel_find(e, key.rule_id, key.selector, key.local, key.remote);
	if (t) {
		drop_vanished(e, t);
		t = ike_tunnel_find(e, key.rule_id, key.selector, key.local, key.remote);
	}
	if (t) {
		merge(e, t, a);
	} else if (ike_hold_waits(e, &key)) {
		/* It was raised before the packets were held. */
		e->stats.acquires_delayed++;
		e->ops.larval_clear(e->ctx, a);
	} else {
		begin(e, rule, &key, a);
	}
}

/* A client's SAs have vanished, or were slower than its connections: only it can begin. */
static void acquire_of_client(struct ike_engine *e, const struct xf_acquire *a)
{
	struct ike_tunnel *t = ike_mark_tunnel(e, a->mark);

	if (t) {
		drop_vanished(e, t);
		t = ike_mark_tunnel(e, a->mark);
	}
	if (t)
		ike_tunnel_policy_again(e, t);
	e->ops.larval_clear(e->ctx, a);
}

void ike_acquire(struct ike_engine *e, const struct xf_acquire *a)
{
	e->stats.acquires++;
	if (a->mark >= XF_MARK_CLIENT_GONE)
		acquire_of_client(e, a);
	else
		acquire(e, a);
}
