/*
 * The filters of the policy in force as `ipsec -f display` shows them: every rule split into
 * one-way filters with one source, one destination and one service; IPv4 first, then IPv6, each
 * with its implicit deny at the end.  docs/nmi.md names the keys and their types.
 */
#include "policy/pagent.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PROTO_OSPF 89

static const uint8_t families[] = {AF_INET, AF_INET6};

/* One way of one rule: what an entry tells of. */
struct filter {
	const struct pol_filter_rule *rule;
	const struct pol_service *service;
	const struct cs_range *src, *dst; /* of the rule: local and remote when bidirectional */
	bool outbound;
	unsigned extension;
	uint64_t packets;
};

/* An answer under way. The position counts through families, rules and what they are split into. */
struct walk {
	struct pol_policy *policy;
	int64_t installed;
	time_t now;
	uint64_t *packets;   /* by first[rule] + 2 * service + outbound */
	unsigned *first;     /* n_rules + 1: the last is the implicit deny */
	unsigned *extension; /* given so far, by rule: the second family goes on counting */
	unsigned family, rule, split;
};

/* ---- values ---- */

static json_t *name_or_null(const char *name)
{
	return name && *name ? json_string(name) : json_null();
}

static bool is_anchor(const struct filter *f)
{
	return f->rule->verdict == POL_IPSEC && f->rule->vpn;
}

/* The source of what we send is here, and of what we receive there; only then ends change. */
static bool turned(const struct filter *f)
{
	return f->service->direction == POL_BOTH && !f->outbound;
}

static const char *logging(enum pol_log log)
{
	switch (log) {
	case POL_LOG_NO:
		return "None";
	case POL_LOG_YES:
		return "All";
	case POL_LOG_PERMIT:
		return "Permit";
	case POL_LOG_DENY:
		return "Deny";
	}
	return "None";
}

static const char *scope(enum pol_routing routing)
{
	switch (routing) {
	case POL_LOCAL:
		return "Local";
	case POL_ROUTED:
		return "Routed";
	case POL_EITHER:
		return "Both";
	}
	return "Both";
}

static json_t *protocol(int proto)
{
	if (proto == POL_PROTO_ANY)
		return json_string("All");
	if (proto == POL_PROTO_OPAQUE)
		return json_string("Opaque");
	return json_integer(proto);
}

static json_t *granularity(const struct filter *f, enum pol_granularity g)
{
	return is_anchor(f) ? json_string(g == POL_FROM_RULE ? "Rule" : "Packet") : json_null();
}

/* The first of a type or code range; "All" for any of a protocol that has them. */
static json_t *kind(const int range[2], bool has)
{
	if (!has)
		return json_null();
	return range[0] < 0 ? json_string("All") : json_integer(range[0]);
}

static json_t *kind_end(const int range[2], bool has)
{
	return has && range[0] >= 0 && range[1] > range[0] ? json_integer(range[1]) : json_null();
}

/* ---- parts of an entry ---- */

static void set_address(json_t *o, const char *end, const struct cs_range *r, json_t *gran)
{
	char key[40], text[CS_ADDR_STRLEN];
	int len = cs_range_prefix_len(r);
	bool single = cs_range_is_single(r);

	snprintf(key, sizeof(key), "%sAddress", end);
	json_object_set_new(o, key, json_string(cs_addr_text(&r->lo, text)));
	snprintf(key, sizeof(key), "%sAddressPrefix", end);
	json_object_set_new(o, key, !single && len >= 0 ? json_integer(len) : json_null());
	snprintf(key, sizeof(key), "%sAddressRange", end);
	json_object_set_new(
		o, key, !single && len < 0 ? json_string(cs_addr_text(&r->hi, text)) : json_null());
	snprintf(key, sizeof(key), "%sAddressGranularity", end);
	json_object_set_new(o, key, gran);
}

static void set_port(json_t *o, const char *end, const struct pol_service *s,
		     const uint16_t ports[2], json_t *gran)
{
	bool has = s->proto == IPPROTO_TCP || s->proto == IPPROTO_UDP || s->proto == POL_PROTO_ANY;
	bool any = pol_ports_any(ports);
	char key[40];

	snprintf(key, sizeof(key), "%sPort", end);
	json_object_set_new(o, key, has ? json_integer(any ? 0 : ports[0]) : json_null());
	snprintf(key, sizeof(key), "%sPortRange", end);
	json_object_set_new(
		o, key, has && !any && ports[1] > ports[0] ? json_integer(ports[1]) : json_null());
	snprintf(key, sizeof(key), "%sPortGranularity", end);
	json_object_set_new(o, key, gran);
}

static void set_types(json_t *o, const struct filter *f)
{
	const struct pol_service *s = f->service;
	bool icmp = s->proto == IPPROTO_ICMP || s->proto == IPPROTO_ICMPV6;
	bool ospf = s->proto == PROTO_OSPF, mobile = s->proto == IPPROTO_MH;

	json_object_set_new(o, "ICMPType", kind(s->type, icmp));
	json_object_set_new(o, "ICMPTypeGranularity",
			    icmp ? granularity(f, POL_FROM_RULE) : json_null());
	json_object_set_new(o, "ICMPCode", kind(s->code, icmp));
	json_object_set_new(o, "ICMPCodeGranularity",
			    icmp ? granularity(f, POL_FROM_RULE) : json_null());
	json_object_set_new(o, "OSPFType", kind(s->type, ospf));
	json_object_set_new(o, "MIPv6Type",
			    mobile && s->type[0] >= 0 ? json_integer(s->type[0]) : json_null());
	json_object_set_new(o, "MIPv6TypeGranularity",
			    mobile ? granularity(f, POL_FROM_RULE) : json_null());
	json_object_set_new(o, "TypeRange", kind_end(s->type, icmp || ospf || mobile));
	json_object_set_new(o, "CodeRange", kind_end(s->code, icmp));
}

static void set_qualifier(json_t *o, const struct pol_service *s)
{
	static const char *const texts[] = {
		[POL_CONNECT_ANY] = "None",
		[POL_CONNECT_IN] = "ConnectInbound",
		[POL_CONNECT_OUT] = "ConnectOutbound",
	};

	json_object_set_new(o, "TCPQualifier",
			    s->proto == IPPROTO_TCP ? json_string(texts[s->connect]) : json_null());
}

/* What never applies to a filter of a policy without NAT, manual tunnels and defensive filters. */
static void set_nothing(json_t *o)
{
	static const char *const keys[] = {
		"DefensiveType",  "LogLimit",        "OrigRmtConnPort",
		"RmtIDPayload",   "RmtUdpEncapPort", "RemoteIdentityType",
		"RemoteIdentity", "LifetimeExpires", "AssociatedStackCount",
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		json_object_set_new(o, keys[i], json_null());
}

static void set_names(json_t *o, const struct filter *f)
{
	const struct pol_filter_rule *r = f->rule;

	json_object_set_new(o, "FilterName", json_string(r->name));
	json_object_set_new(o, "FilterNameExtension", json_integer(f->extension));
	json_object_set_new(o, "GroupName", name_or_null(r->group_name));
	json_object_set_new(o, "LocalStartActionName",
			    name_or_null(r->start ? r->start->name : NULL));
	json_object_set_new(o, "VpnActionName", name_or_null(r->vpn ? r->vpn->name : NULL));
	json_object_set_new(o, "TunnelID", json_string(is_anchor(f) ? "Y0" : "0x00"));
	json_object_set_new(o, "Type", json_string(is_anchor(f) ? "Dynamic Anchor" : "Generic"));
}

static json_t *entry_of(const struct walk *w, const struct filter *f)
{
	static const struct pol_start_action none = {
		.local_ip = POL_FROM_PACKET,
		.remote_ip = POL_FROM_PACKET,
		.local_port = POL_FROM_RULE,
		.remote_port = POL_FROM_RULE,
		.protocol = POL_FROM_RULE,
	};
	const struct pol_filter_rule *r = f->rule;
	const struct pol_service *s = f->service;
	const struct pol_start_action *start = r->start ? r->start : &none;
	bool turn = turned(f);
	json_t *o = json_object();

	set_names(o, f);
	set_nothing(o);
	json_object_set_new(o, "State", json_string("Active"));
	json_object_set_new(o, "Action", json_string(r->verdict == POL_DENY ? "Deny" : "Permit"));
	json_object_set_new(o, "Scope", json_string(scope(s->routing)));
	json_object_set_new(o, "Direction", json_string(f->outbound ? "Outbound" : "Inbound"));
	json_object_set_new(o, "OnDemand", is_anchor(f) ? json_boolean(r->on_demand) : json_null());
	json_object_set_new(o, "SecurityClass", json_integer(s->security_class));
	json_object_set_new(o, "Logging", json_string(logging(r->log)));
	json_object_set_new(o, "Protocol", protocol(s->proto));
	set_types(o, f);
	set_qualifier(o, s);
	json_object_set_new(o, "ProtocolGranularity", granularity(f, start->protocol));
	set_address(o, "Source", turn ? f->dst : f->src,
		    granularity(f, turn ? start->remote_ip : start->local_ip));
	set_port(o, "Source", s, turn ? s->dst_port : s->src_port,
		 granularity(f, turn ? start->remote_port : start->local_port));
	set_address(o, "Dest", turn ? f->src : f->dst,
		    granularity(f, turn ? start->local_ip : start->remote_ip));
	set_port(o, "Dest", s, turn ? s->src_port : s->dst_port,
		 granularity(f, turn ? start->local_port : start->remote_port));
	json_object_set_new(o, "CreateTime", json_integer(w->installed));
	json_object_set_new(o, "UpdateTime", json_integer(w->installed));
	json_object_set_new(o, "DiscardAction", json_string(r->discard_icmp ? "ICMP" : "Silent"));
	json_object_set_new(o, "FragmentsOnly", json_boolean(s->fragments_only));
	json_object_set_new(o, "FilterMatches", json_integer((json_int_t)f->packets));
	return o;
}

/* ---- the walk ---- */

/*
 * Splits number n of a rule: services, then sources, then destinations, then directions. False past
 * the last; *fits is false for what is no filter (another family, or the other direction).
 */
static bool split_rule(const struct pol_filter_rule *r, unsigned n, uint8_t family,
		       struct filter *f, unsigned *service, bool *fits)
{
	unsigned dst, src;

	f->outbound = n % 2 == 0;
	n /= 2;
	if (r->n_src == 0 || r->n_dst == 0 || n / r->n_dst / r->n_src >= r->n_services)
		return false;
	dst = n % r->n_dst;
	src = n / r->n_dst % r->n_src;
	*service = n / r->n_dst / r->n_src;
	f->rule = r;
	f->service = &r->services[*service];
	f->src = &r->src[src];
	f->dst = &r->dst[dst];
	*fits = f->src->lo.family == family && f->dst->lo.family == family &&
		f->service->direction != (f->outbound ? POL_IN : POL_OUT);
	return true;
}

static json_t *rule_entry(struct walk *w, const struct pol_filter_rule *r)
{
	uint8_t family = families[w->family];
	struct filter f = {0};
	unsigned service;
	bool fits;

	while (split_rule(r, w->split, family, &f, &service, &fits)) {
		w->split++;
		if (!fits)
			continue;
		f.extension = ++w->extension[w->rule];
		f.packets = w->packets[w->first[w->rule] + 2 * service + f.outbound];
		return entry_of(w, &f);
	}
	return NULL;
}

/* The pair at the end of a family. */
static json_t *deny_entry(struct walk *w)
{
	struct cs_range all = cs_range_all(families[w->family]);
	struct pol_service any = {
		.proto = POL_PROTO_ANY, .type = {-1, -1}, .code = {-1, -1}, .routing = POL_EITHER};
	struct pol_filter_rule rule = {
		.verdict = POL_DENY,
		.log = w->policy->filter_logging ? POL_LOG_YES : POL_LOG_NO,
		.discard_icmp = w->policy->implicit_discard_icmp,
	};
	struct filter f = {.rule = &rule,
			   .service = &any,
			   .src = &all,
			   .dst = &all,
			   .extension = 1,
			   .outbound = w->split == 1};
	json_t *o;

	if (w->split > 1)
		return NULL;
	w->split++;
	f.packets = w->packets[w->first[w->rule] + f.outbound];
	o = entry_of(w, &f);
	json_object_set_new(o, "FilterName",
			    json_string(f.outbound ? "DenyAllRule_Generated___________Outbnd"
						   : "DenyAllRule_Generated___________Inbnd"));
	return o;
}

static json_t *heading(const struct pol_policy *policy)
{
	return json_pack("{s:s, s:b, s:b, s:b, s:b, s:I, s:s}", "Source",
			 policy ? "Stack Policy" : "Stack Profile", "Logging",
			 policy && policy->filter_logging, "Predecap", policy && policy->predecap,
			 "DVIPSec", 0, "FIPS140", policy && policy->fips140, "NatKeepAlive",
			 (json_int_t)(policy ? policy->nat_keepalive : 0), "DefensiveMode",
			 "Inactive");
}

static int next(void *state, json_t **json, struct cs_err *err)
{
	struct walk *w = state;
	const struct pol_policy *p = w->policy;

	(void)err;
	while (w->family < sizeof(families)) {
		if (w->rule > p->n_rules) {
			w->family++;
			w->rule = w->split = 0;
			continue;
		}
		*json = NULL;
		if (w->rule == p->n_rules)
			*json = deny_entry(w);
		else if (pol_time_active(p->rules[w->rule].times, p->rules[w->rule].n_times,
					 w->now))
			*json = rule_entry(w, &p->rules[w->rule]);
		if (*json)
			return 1;
		w->rule++;
		w->split = 0;
	}
	*json = heading(p);
	return 0;
}

static void release(void *state)
{
	struct walk *w = state;

	pol_unref(w->policy);
	free(w->packets);
	free(w->first);
	free(w->extension);
	free(w);
}

/* ---- counters ---- */

static void on_count(void *arg, const struct xf_filter_count *c)
{
	struct walk *w = arg;
	unsigned services = 1;

	if (c->rule < w->policy->n_rules)
		services = w->policy->rules[c->rule].n_services;
	if (c->rule <= w->policy->n_rules && c->service < services)
		w->packets[w->first[c->rule] + 2 * c->service + c->outbound] += c->packets;
}

static struct walk *walk_new(struct pagent *p)
{
	const struct pol_policy *policy = p->policy;
	struct walk *w = calloc(1, sizeof(*w));
	unsigned n = 0;

	if (!w)
		return NULL;
	w->policy = pol_ref(p->policy);
	w->installed = p->installed;
	w->now = time(NULL);
	w->first = calloc(policy->n_rules + 1u, sizeof(*w->first));
	w->extension = calloc(policy->n_rules + 1u, sizeof(*w->extension));
	for (unsigned i = 0; w->first && i < policy->n_rules; i++) {
		w->first[i] = n;
		n += 2 * policy->rules[i].n_services;
	}
	if (w->first)
		w->first[policy->n_rules] = n;
	w->packets = calloc(n + 2u, sizeof(*w->packets));
	if (w->first && w->extension && w->packets)
		return w;
	release(w);
	return NULL;
}

void pagent_filters(struct pagent *p, uint64_t ticket)
{
	struct cs_err err;
	struct walk *w;

	if (!p->policy) {
		cs_nmi_done(p->nmi, ticket, heading(NULL));
		return;
	}
	w = walk_new(p);
	if (!w) {
		cs_nmi_error(p->nmi, ticket, CS_ENOMEM, "no memory for the filters");
		return;
	}
	if (xf_filter_counts(p->kernel, on_count, w, &err) < 0) {
		release(w);
		cs_nmi_error(p->nmi, ticket, err.code, err.text);
		return;
	}
	cs_nmi_stream(p->nmi, ticket, next, release, w);
}
