/*
 * One filter as an entry of `ipsec -f display`.  docs/nmi.md names the keys and their types.
 */
#include "policy/pagent_filters.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define PROTO_OSPF 89

/* ---- values ---- */

static json_t *name_or_null(const char *name)
{
	return name && *name ? json_string(name) : json_null();
}

static json_t *time_or_null(int64_t when)
{
	return when ? json_integer(when) : json_null();
}

static bool has_tunnels(const struct pagent_filter *f)
{
	return f->rule->verdict == POL_IPSEC && f->rule->vpn;
}

bool pagent_filter_is_anchor(const struct pagent_filter *f)
{
	return has_tunnels(f) && !f->tunnel;
}

/* The source of what we send is here, and of what we receive there; only then ends change. */
static bool turned(const struct pagent_filter *f)
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

static json_t *granularity(const struct pagent_filter *f, enum pol_granularity g)
{
	return pagent_filter_is_anchor(f) ? json_string(g == POL_FROM_RULE ? "Rule" : "Packet")
					  : json_null();
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

static void set_types(json_t *o, const struct pagent_filter *f)
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

/* What never applies to a filter of a policy without NAT and defensive filters. */
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

/* As the rule has it: a pattern, perhaps. */
static void set_identity(json_t *o, const struct pol_identity *id)
{
	char range[CS_RANGE_STRLEN];
	const char *text;

	if (!id)
		return;
	text = id->text ? id->text : id->addr.lo.family ? cs_range_text(&id->addr, range) : NULL;
	json_object_set_new(o, "RemoteIdentityType", json_string(pol_id_type_name(id->type)));
	json_object_set_new(o, "RemoteIdentity", text ? json_string(text) : json_null());
}

/* The number in a reqid is the tunnel's own until numbers pass 2^18; iked knows the whole one. */
static void set_tunnel(json_t *o, const struct pagent_filter *f)
{
	char id[16] = "0x00";

	if (f->rule->manual)
		snprintf(id, sizeof(id), "M%u", f->rule->manual->number);
	else if (f->tunnel)
		snprintf(id, sizeof(id), "Y%u", xf_reqid_tunnel(f->tunnel->reqid));
	else if (pagent_filter_is_anchor(f))
		strcpy(id, "Y0");
	json_object_set_new(o, "TunnelID", json_string(id));
	json_object_set_new(o, "Reqid", f->tunnel ? json_integer(f->tunnel->reqid) : json_null());
	json_object_set_new(o, "Type",
			    json_string(f->tunnel                    ? "Dynamic"
					: f->rule->manual            ? "Manual"
					: pagent_filter_is_anchor(f) ? "Dynamic Anchor"
								     : "Generic"));
}

static void set_names(json_t *o, const struct pagent_filter *f)
{
	const struct pol_filter_rule *r = f->rule;

	json_object_set_new(o, "FilterName", json_string(r->name));
	json_object_set_new(o, "FilterNameExtension", json_integer(f->extension));
	json_object_set_new(o, "GroupName", name_or_null(r->group_name));
	json_object_set_new(o, "LocalStartActionName",
			    name_or_null(r->start ? r->start->name : NULL));
	json_object_set_new(o, "VpnActionName",
			    name_or_null(r->vpn      ? r->vpn->name
					 : r->manual ? r->manual->name
						     : NULL));
}

json_t *pagent_filter_json(const struct pagent_filter *f)
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
	set_tunnel(o, f);
	set_nothing(o);
	set_identity(o, r->remote_identity);
	json_object_set_new(o, "State", json_string("Active"));
	json_object_set_new(o, "Action", json_string(r->verdict == POL_DENY ? "Deny" : "Permit"));
	json_object_set_new(o, "Scope", json_string(scope(s->routing)));
	json_object_set_new(o, "Direction", json_string(f->outbound ? "Outbound" : "Inbound"));
	json_object_set_new(o, "OnDemand",
			    has_tunnels(f) ? json_boolean(r->on_demand) : json_null());
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
	json_object_set_new(o, "CreateTime", time_or_null(f->created));
	json_object_set_new(o, "UpdateTime", time_or_null(f->created));
	json_object_set_new(o, "DiscardAction", json_string(r->discard_icmp ? "ICMP" : "Silent"));
	json_object_set_new(o, "FragmentsOnly", json_boolean(s->fragments_only));
	json_object_set_new(o, "FilterMatches",
			    f->tunnel || !f->created ? json_null()
						     : json_integer((json_int_t)f->packets));
	return o;
}
