/*
 * Matching over a loaded policy: which filter rule a packet meets, which dynamic rule covers a
 * selector, which key exchange rule a peer gets.  The walk over the filter list here is the
 * definition of what the compiled ruleset in the kernel must do; it is plain, not fast.
 *
 * Source: IBM's IpFilterRule, IpService and KeyExchangeRule; RFC 4301 section 4.4.1 for what an
 * unknown selector may match.
 */
#include "policy/policy.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define IPPROTO_OSPF_IGP 89 /* <netinet/in.h> has no name for it */

/* What is compared, in this order; the first that does not fit is the reason. */
enum step {
	STEP_DIRECTION,
	STEP_ROUTING,
	STEP_SOURCE,
	STEP_DEST,
	STEP_CLASS,
	STEP_PROTOCOL,
	STEP_FRAGMENT,
	STEP_SOURCE_PORT,
	STEP_DEST_PORT,
	STEP_TYPE,
	STEP_CODE,
	STEP_CONNECT,
	STEP_PEER,
	STEP_MATCH,
};

bool pol_ports_any(const uint16_t ports[2])
{
	return ports[0] == 0 && (ports[1] == 0 || ports[1] == 65535);
}

/* An unknown port fits only "all". */
static bool has_port(const uint16_t ports[2], bool known, uint16_t port)
{
	return pol_ports_any(ports) || (known && port >= ports[0] && port <= ports[1]);
}

static bool has_types(int proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6 || proto == IPPROTO_OSPF_IGP ||
	       proto == IPPROTO_MH;
}

static bool has_codes(int proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

/* An unknown type or code (-1) fits only "any". */
static bool has_kind(const int range[2], int kind)
{
	return range[0] < 0 || (kind >= 0 && kind >= range[0] && kind <= range[1]);
}

static bool has_proto(int wanted, int proto)
{
	if (wanted == POL_PROTO_ANY)
		return true;
	if (wanted == POL_PROTO_OPAQUE)
		return proto < 0;
	return wanted == proto;
}

/*
 * A bidirectional service is written from the local side: for what comes in, source and destination
 * change places, addresses and ports alike.
 */
static bool turned(const struct pol_service *s, const struct pol_packet *p)
{
	return s->direction == POL_BOTH && !p->outbound;
}

static enum step compare(const struct pol_filter_rule *r, const struct pol_service *s,
			 const struct pol_packet *p)
{
	bool turn = turned(s, p);

	if (s->direction == (p->outbound ? POL_IN : POL_OUT))
		return STEP_DIRECTION;
	if (s->routing != POL_EITHER && (s->routing == POL_ROUTED) != p->routed)
		return STEP_ROUTING;
	if (!cs_range_find(turn ? r->dst : r->src, turn ? r->n_dst : r->n_src, &p->src))
		return STEP_SOURCE;
	if (!cs_range_find(turn ? r->src : r->dst, turn ? r->n_src : r->n_dst, &p->dst))
		return STEP_DEST;
	if (s->security_class && s->security_class != p->security_class)
		return STEP_CLASS;
	if (!has_proto(s->proto, p->proto))
		return STEP_PROTOCOL;
	if (s->fragments_only && !p->fragment)
		return STEP_FRAGMENT;
	if (!has_port(turn ? s->dst_port : s->src_port, p->ports_known, p->src_port))
		return STEP_SOURCE_PORT;
	if (!has_port(turn ? s->src_port : s->dst_port, p->ports_known, p->dst_port))
		return STEP_DEST_PORT;
	if (has_types(s->proto) && !has_kind(s->type, p->type))
		return STEP_TYPE;
	if (has_codes(s->proto) && !has_kind(s->code, p->code))
		return STEP_CODE;
	if (s->connect != POL_CONNECT_ANY && p->proto == IPPROTO_TCP && p->tcp_syn_only &&
	    p->outbound == (s->connect == POL_CONNECT_IN))
		return STEP_CONNECT;
	if (r->remote_identity && !p->outbound && p->sa_rule && p->sa_rule != r->id)
		return STEP_PEER;
	return STEP_MATCH;
}

/* ---- why not, in words ---- */

#define WHY_MAX 200

static const char *range_text(int from, int to, char buf[static 32])
{
	if (from == to)
		snprintf(buf, 32, "%d", from);
	else
		snprintf(buf, 32, "%d-%d", from, to);
	return buf;
}

static void explain_port(const char *end, const uint16_t wanted[2], bool known, uint16_t port,
			 char why[static WHY_MAX])
{
	char range[32];

	range_text(wanted[0], wanted[1], range);
	if (known)
		snprintf(why, WHY_MAX, "%s port %u is not %s", end, port, range);
	else
		snprintf(why, WHY_MAX, "%s port is unknown and the rule asks for %s", end, range);
}

static void explain_kind(const char *what, const int wanted[2], int kind, char why[static WHY_MAX])
{
	char range[32];

	range_text(wanted[0], wanted[1], range);
	if (kind >= 0)
		snprintf(why, WHY_MAX, "%s %d is not %s", what, kind, range);
	else
		snprintf(why, WHY_MAX, "%s is unknown and the rule asks for %s", what, range);
}

static void explain_proto(int wanted, int proto, char why[static WHY_MAX])
{
	if (wanted == POL_PROTO_OPAQUE)
		snprintf(why, WHY_MAX, "protocol %d is known and the rule asks for Opaque", proto);
	else if (proto < 0)
		snprintf(why, WHY_MAX, "protocol is unknown and the rule asks for %d", wanted);
	else
		snprintf(why, WHY_MAX, "protocol %d is not %d", proto, wanted);
}

static void explain_addr(const char *end, const struct cs_addr *a, const struct cs_range *ranges,
			 unsigned n, bool turn, char why[static WHY_MAX])
{
	char addr[CS_ADDR_STRLEN], first[CS_RANGE_STRLEN] = "nothing";
	const char *of = strcmp(end, "source") == 0 ? "IpSourceAddr" : "IpDestAddr";

	if (turn)
		of = strcmp(end, "source") == 0 ? "IpDestAddr" : "IpSourceAddr";
	if (n)
		cs_range_text(&ranges[0], first);
	snprintf(why, WHY_MAX, "%s %s is not in %s %s%s", end, cs_addr_text(a, addr), of, first,
		 n > 1 ? " and others" : "");
}

static void explain(enum step step, const struct pol_filter_rule *r, const struct pol_service *s,
		    const struct pol_packet *p, char why[static WHY_MAX])
{
	bool turn = turned(s, p);

	switch (step) {
	case STEP_DIRECTION:
		snprintf(why, WHY_MAX, "the rule is for %s packets only",
			 p->outbound ? "inbound" : "outbound");
		break;
	case STEP_ROUTING:
		snprintf(why, WHY_MAX, "the packet is %s and the rule is for %s traffic",
			 p->routed ? "routed" : "local", p->routed ? "local" : "routed");
		break;
	case STEP_SOURCE:
		explain_addr("source", &p->src, turn ? r->dst : r->src, turn ? r->n_dst : r->n_src,
			     turn, why);
		break;
	case STEP_DEST:
		explain_addr("destination", &p->dst, turn ? r->src : r->dst,
			     turn ? r->n_src : r->n_dst, turn, why);
		break;
	case STEP_CLASS:
		snprintf(why, WHY_MAX, "security class %u is not %u", p->security_class,
			 s->security_class);
		break;
	case STEP_PROTOCOL:
		explain_proto(s->proto, p->proto, why);
		break;
	case STEP_FRAGMENT:
		snprintf(why, WHY_MAX, "the packet is not a fragment");
		break;
	case STEP_SOURCE_PORT:
		explain_port("source", turn ? s->dst_port : s->src_port, p->ports_known,
			     p->src_port, why);
		break;
	case STEP_DEST_PORT:
		explain_port("destination", turn ? s->src_port : s->dst_port, p->ports_known,
			     p->dst_port, why);
		break;
	case STEP_TYPE:
		explain_kind("type", s->type, p->type, why);
		break;
	case STEP_CODE:
		explain_kind("code", s->code, p->code, why);
		break;
	case STEP_CONNECT:
		snprintf(why, WHY_MAX, "the packet opens a connection %s and the rule has %s",
			 p->outbound ? "outbound" : "inbound",
			 p->outbound ? "InboundConnect" : "OutboundConnect");
		break;
	case STEP_PEER:
		snprintf(why, WHY_MAX, "%s",
			 "the packet came by an SA of another rule and the rule has a "
			 "RemoteIdentity");
		break;
	case STEP_MATCH:
		why[0] = '\0';
		break;
	}
}

/* Of several services the reason tells of the one that came nearest. */
static bool rule_matches(const struct pol_filter_rule *r, const struct pol_packet *p, time_t now,
			 char *why)
{
	const struct pol_service *nearest = NULL;
	enum step best = STEP_DIRECTION;

	if (!pol_time_active(r->times, r->n_times, now)) {
		if (why)
			snprintf(why, WHY_MAX, "the rule is not active at this time");
		return false;
	}
	for (unsigned i = 0; i < r->n_services; i++) {
		enum step step = compare(r, &r->services[i], p);

		if (step == STEP_MATCH)
			return true;
		if (!nearest || step > best) {
			nearest = &r->services[i];
			best = step;
		}
	}
	if (why && nearest)
		explain(best, r, nearest, p, why);
	else if (why)
		snprintf(why, WHY_MAX, "the rule has no service");
	return false;
}

const struct pol_filter_rule *pol_filter_match(const struct pol_policy *policy,
					       const struct pol_packet *packet, time_t now,
					       pol_trace_fn *trace, void *arg)
{
	char why[WHY_MAX];

	for (unsigned i = 0; i < policy->n_rules; i++) {
		const struct pol_filter_rule *r = &policy->rules[i];
		bool matched;

		why[0] = '\0';
		matched = rule_matches(r, packet, now, trace ? why : NULL);
		if (trace)
			trace(arg, r, matched, matched ? NULL : why);
		if (matched)
			return r;
	}
	return NULL;
}

/* ---- names and numbers ---- */

const struct pol_filter_rule *pol_rule_by_id(const struct pol_policy *policy, unsigned id)
{
	if (id == 0)
		return NULL;
	for (unsigned i = 0; i < policy->n_rules; i++)
		if (policy->rules[i].id == id)
			return &policy->rules[i];
	return NULL;
}

const struct pol_filter_rule *pol_rule_by_name(const struct pol_policy *policy, const char *name)
{
	for (unsigned i = 0; i < policy->n_rules; i++)
		if (strcmp(policy->rules[i].name, name) == 0)
			return &policy->rules[i];
	return NULL;
}

struct pol_manvpn_action *pol_manual_by_name(const struct pol_policy *policy, const char *name)
{
	for (unsigned i = 0; i < policy->n_manuals; i++)
		if (strcmp(policy->manuals[i]->name, name) == 0)
			return policy->manuals[i];
	return NULL;
}

const struct pol_local_dynvpn *pol_local_rule_by_name(const struct pol_policy *policy,
						      const char *name)
{
	for (unsigned i = 0; i < policy->n_local_rules; i++)
		if (strcmp(policy->local_rules[i].name, name) == 0)
			return &policy->local_rules[i];
	return NULL;
}

/* ---- phase 2: the dynamic rule of a selector ---- */

static bool covers_range(const struct cs_range *ranges, unsigned n, const struct cs_range *inner)
{
	for (unsigned i = 0; i < n; i++)
		if (cs_range_covers(&ranges[i], inner))
			return true;
	return false;
}

/* Port 0 of a selector is all ports, which only a service for all ports covers. */
static bool covers_port(const uint16_t ports[2], uint16_t port)
{
	return pol_ports_any(ports) || (port && port >= ports[0] && port <= ports[1]);
}

/*
 * IKEv1 has no selector for an ICMP type or for fragments: a service that asks for them is narrower
 * than any selector, and does not cover it.
 */
static bool covers(const struct pol_service *s, const struct cs_selector *sel)
{
	if (s->direction != POL_BOTH || s->fragments_only || s->proto == POL_PROTO_OPAQUE)
		return false;
	if (s->proto != POL_PROTO_ANY && (sel->proto == 0 || s->proto != sel->proto))
		return false;
	if ((has_types(s->proto) && s->type[0] >= 0) || (has_codes(s->proto) && s->code[0] >= 0))
		return false;
	return covers_port(s->src_port, sel->local_port) &&
	       covers_port(s->dst_port, sel->remote_port);
}

static bool is_dynamic_for(const struct pol_filter_rule *r, const struct cs_selector *selector,
			   time_t now)
{
	if (r->verdict != POL_IPSEC || !r->vpn || !pol_time_active(r->times, r->n_times, now) ||
	    !covers_range(r->src, r->n_src, &selector->local) ||
	    !covers_range(r->dst, r->n_dst, &selector->remote))
		return false;
	for (unsigned s = 0; s < r->n_services; s++)
		if (covers(&r->services[s], selector))
			return true;
	return false;
}

const struct pol_filter_rule *pol_dynamic_rule(const struct pol_policy *policy,
					       const struct cs_selector *selector,
					       const struct pol_peer_id *id, time_t now)
{
	for (unsigned i = 0; i < policy->n_rules; i++) {
		const struct pol_filter_rule *r = &policy->rules[i];

		if (r->remote_identity && (!id || !pol_identity_matches(r->remote_identity, id)))
			continue;
		if (is_dynamic_for(r, selector, now))
			return r;
	}
	return NULL;
}

const struct pol_filter_rule *pol_first_rule(const struct pol_policy *policy,
					     const struct cs_selector *selector, time_t now)
{
	for (unsigned i = 0; i < policy->n_rules; i++)
		if (is_dynamic_for(&policy->rules[i], selector, now))
			return &policy->rules[i];
	return NULL;
}

const struct pol_filter_rule *pol_mark_rule(const struct pol_policy *policy,
					    const struct pol_filter_rule *rule,
					    const struct cs_selector *selector, time_t now)
{
	for (const struct pol_filter_rule *r = policy->rules; r < rule; r++)
		if (r->remote_identity && is_dynamic_for(r, selector, now))
			return r;
	return rule;
}

/* ---- phase 1: the key exchange rule of a peer ---- */

static bool at_location(const struct pol_sec_endpoint *end, const struct cs_addr *a)
{
	return !a || a->family == 0 || cs_range_find(end->locations, end->n_locations, a);
}

bool pol_ke_rule_at(const struct pol_ke_rule *r, const struct cs_addr *local,
		    const struct cs_addr *remote)
{
	return at_location(&r->local, local) && at_location(&r->remote, remote);
}

const struct pol_ke_rule *pol_ke_rule_find(const struct pol_policy *policy,
					   const struct cs_addr *local,
					   const struct cs_addr *remote,
					   const struct pol_peer_id *remote_id)
{
	for (unsigned i = 0; i < policy->n_ke_rules; i++) {
		const struct pol_ke_rule *r = &policy->ke_rules[i];

		if (pol_ke_rule_at(r, local, remote) &&
		    (!remote_id || pol_identity_matches(&r->remote.identity, remote_id)))
			return r;
	}
	return NULL;
}
