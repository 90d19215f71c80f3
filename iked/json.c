/* SAs as JSON objects, by docs/nmi.md.  The labels are those of z/OS's ipsec reports (V1R12). */
#include "iked/json.h"

#include <netinet/in.h>
#include <stdio.h>

#define TUNNEL_TEXT 16

static json_t *tunnel_name(char letter, uint32_t n)
{
	char text[TUNNEL_TEXT];

	if (n == 0)
		return json_null();
	snprintf(text, sizeof(text), "%c%u", letter, n);
	return json_string(text);
}

/* Names and identities come from files and peers: what is not UTF-8 is shown byte by byte. */
static json_t *text_or_null(const char *text)
{
	char safe[4 * IKE_ID_TEXT + 1];
	json_t *value;
	size_t at = 0;

	if (!text || !*text)
		return json_null();
	value = json_string(text);
	if (value)
		return value;
	for (const unsigned char *p = (const unsigned char *)text; *p && at + 5 < sizeof(safe); p++)
		at += (size_t)snprintf(safe + at, sizeof(safe) - at,
				       *p >= ' ' && *p < 0x7f ? "%c" : "\\x%02X", *p);
	safe[at] = '\0';
	return json_string(safe);
}

static json_t *address(const struct cs_addr *a)
{
	char text[CS_ADDR_STRLEN];

	return a->family ? json_string(cs_addr_text(a, text)) : json_null();
}

/* A time or a number that 0 says nothing about. */
static json_t *number_or_null(int64_t n)
{
	return n ? json_integer(n) : json_null();
}

static json_t *cookie(const uint8_t *bytes)
{
	char text[2 + 2 * ISA_COOKIE_LEN + 1] = "0x";

	for (unsigned i = 0; i < ISA_COOKIE_LEN; i++)
		snprintf(text + 2 + 2 * i, 3, "%02X", bytes[i]);
	return json_string(text);
}

/* ---- phase 1 ---- */

static const char *p1_state(enum ike_p1_state state)
{
	static const char *const names[] = {
		[IKE_P1_INIT] = "INIT",   [IKE_P1_WAIT_SA] = "WAIT SA",
		[IKE_P1_IN_KE] = "IN KE", [IKE_P1_WAIT_KE] = "WAIT KE",
		[IKE_P1_DONE] = "DONE",   [IKE_P1_EXPIRED] = "EXPIRED",
	};

	return names[state];
}

static const char *auth_method(unsigned auth)
{
	switch (auth) {
	case POL_AUTH_PSK:
		return "PresharedKey";
	case POL_AUTH_RSA:
		return "RsaSignature";
	default:
		return NULL;
	}
}

static const char *natt_level(unsigned level)
{
	static const char *const names[] = {"None", "RFC_D2", "RFC_D3", "RFC"};

	return level < sizeof(names) / sizeof(names[0]) ? names[level] : names[0];
}

json_t *ike_json_p1(const struct ike_p1_info *i)
{
	const struct ike_p1_suite *s = &i->suite;
	const char *auth = s->cipher ? auth_method(s->auth) : NULL;
	int64_t refresh = i->refresh;

	/* clang-format off */
	return json_pack("{s:o s:I s:s s:o s:o s:o s:s? s:o s:o s:s? s:o s:s s:s"
			 " s:s? s:s? s:o s:s? s:o s:s? s:s? s:o s:o"
			 " s:I s:I s:I s:o s:o s:I s:o s:s s:I s:s s:b s:b s:b s:b s:b s:o s:o s:o"
			 " s:I s:I}",
			 "TunnelID", tunnel_name('K', i->tunnel),
			 "Generation", (json_int_t)i->generation,
			 "IKEVersion", "1.0",
			 "KeyExchangeRuleName", text_or_null(i->rule),
			 "KeyExchangeActionName", text_or_null(i->action),
			 "LocalEndPoint", address(&i->local.addr),
			 "LocalIDType", i->local_id_type ? pol_id_type_name(i->local_id_type) : NULL,
			 "LocalID", text_or_null(i->local_id),
			 "RemoteEndPoint", address(&i->remote.addr),
			 "RemoteIDType", i->remote_id_type ? pol_id_type_name(i->remote_id_type) : NULL,
			 "RemoteID", text_or_null(i->remote_id),
			 "ExchangeMode", i->mode == POL_MODE_AGGRESSIVE ? "Aggressive" : "Main",
			 "State", p1_state(i->state),
			 "AuthenticationAlgorithm", s->hash ? s->hash->display : NULL,
			 "EncryptionAlgorithm", s->cipher ? s->cipher->display : NULL,
			 "KeyLength", s->cipher && s->cipher->key_attr ?
				 json_integer(s->cipher->key_bits) : json_null(),
			 "PseudoRandomFunction", s->hash ? s->hash->prf : NULL,
			 "DiffieHellmanGroup", number_or_null(s->group ? s->group->number : 0),
			 "LocalAuthenticationMethod", auth,
			 "RemoteAuthenticationMethod", auth,
			 "InitiatorCookie", cookie(i->icookie),
			 "ResponderCookie", cookie(i->rcookie),
			 "Lifesize", (json_int_t)i->lifesize,
			 "CurrentByteCount", (json_int_t)i->bytes,
			 "Lifetime", (json_int_t)i->lifetime,
			 "LifetimeRefresh", number_or_null(refresh),
			 "LifetimeExpires", number_or_null(i->expires),
			 "ReauthInterval", (json_int_t)i->lifetime,
			 "ReauthTime", number_or_null(refresh),
			 "Role", i->initiator ? "Initiator" : "Responder",
			 "AssociatedDynamicTunnels", (json_int_t)i->n_p2,
			 "NATTSupportLevel", natt_level(i->natt_level),
			 "NATInFrntLclScEndPnt", i->nat_local,
			 "NATInFrntRmtScEndPnt", i->nat_remote,
			 "zOSCanInitiateP1SA", !i->nat_napt,
			 "AllowNat", i->allow_nat,
			 "RmtNAPTDetected", i->nat_napt,
			 "RmtUdpEncapPort", number_or_null(i->nat_encap ? i->remote.port : 0),
			 "XAuthUser", text_or_null(i->user),
			 "ClientAddress", i->client_address.family ?
				 address(&i->client_address) : json_null(),
			 "MessageInstance", (json_int_t)i->instance,
			 "RemotePort", (json_int_t)i->remote.port);
	/* clang-format on */
}

/* ---- phase 2 ---- */

static const char *p2_state(const struct ike_p2_info *i, bool ike_view)
{
	static const char *const names[] = {
		[IKE_P2_PENDING] = "PENDING", [IKE_P2_INIT] = "INIT",       [IKE_P2_KEP] = "KEP",
		[IKE_P2_DONE] = "DONE",       [IKE_P2_EXPIRED] = "EXPIRED",
	};

	if (ike_view)
		return names[i->state];
	switch (i->state) {
	case IKE_P2_DONE:
		return "Active";
	case IKE_P2_EXPIRED:
		return "Expired";
	default:
		return "Pending";
	}
}

static const char *activation(enum ike_activation a)
{
	switch (a) {
	case IKE_ACT_USER:
		return "User";
	case IKE_ACT_REMOTE:
		return "Remote";
	case IKE_ACT_ONDEMAND:
		return "OnDemand";
	case IKE_ACT_TAKEOVER:
		return "Takeover";
	case IKE_ACT_AUTO:
		return "AutoAct";
	}
	return NULL;
}

static int set_range(json_t *o, const char *base, const char *prefix, const char *range,
		     const struct cs_range *r)
{
	int bits = cs_range_is_single(r) ? -1 : cs_range_prefix_len(r);
	bool upper = bits < 0 && r->lo.family && !cs_range_is_single(r);

	return json_object_set_new(o, base, address(&r->lo)) |
	       json_object_set_new(o, prefix, bits < 0 ? json_null() : json_integer(bits)) |
	       json_object_set_new(o, range, upper ? address(&r->hi) : json_null());
}

/*
 * Protection: HowToAuth to EncryptOutboundSpi.  AH has no encryption, AEAD no algorithm of its own,
 * and a bundle authenticates with AH and encrypts with ESP.
 */
static int set_protection(json_t *o, const struct ike_p2_info *i)
{
	const struct ike_p2_suite *s = &i->suite;
	bool known = s->cipher || s->integ;
	bool esp = s->protocol == POL_ESP && !s->ah;
	const struct cs_integ *integ = s->ah ? s->ah : s->integ;
	uint32_t auth_in = s->ah ? i->ah_in : i->spi_in, auth_out = s->ah ? i->ah_out : i->spi_out;
	const char *encrypt = s->cipher ? s->cipher->display : "DoNot";

	/* clang-format off */
	return json_object_update_new(o, json_pack(
		"{s:s? s:s? s:o s:o s:s? s:o s:o s:o}",
		"HowToAuth", !known ? NULL : esp ? "ESP" : "AH",
		"AuthAlgorithm", integ ? integ->display : NULL,
		"AuthInboundSpi", integ ? number_or_null(auth_in) : json_null(),
		"AuthOutboundSpi", integ ? number_or_null(auth_out) : json_null(),
		"HowToEncrypt", known ? encrypt : NULL,
		"KeyLength", s->cipher && s->cipher->key_attr ?
			json_integer(s->cipher->key_bits) : json_null(),
		"EncryptInboundSpi", s->cipher ? number_or_null(i->spi_in) : json_null(),
		"EncryptOutboundSpi", s->cipher ? number_or_null(i->spi_out) : json_null()));
	/* clang-format on */
}

static int set_selector(json_t *o, const struct ike_p2_info *i)
{
	/* clang-format off */
	return json_object_update_new(o, json_pack(
		"{s:I s:I s:n s:I s:n s:n s:n s:n s:n}",
		"Protocol", (json_int_t)i->selector.proto,
		"LocalPort", (json_int_t)i->selector.local_port, "LocalPortRange",
		"RemotePort", (json_int_t)i->selector.remote_port, "RemotePortRange",
		"Type", "TypeRange", "Code", "CodeRange"));
	/* clang-format on */
}

static json_t *count(const struct xf_counters *c, bool packets)
{
	return c ? json_integer((json_int_t)(packets ? c->packets : c->bytes)) : json_null();
}

static int set_stack_view(json_t *o, const struct ike_p2_info *i, const struct xf_counters *in,
			  const struct xf_counters *out, int64_t now)
{
	uint64_t bytes = i->lifesize ? (in ? in->bytes : 0) + (out ? out->bytes : 0) : 0;

	/* clang-format off */
	return json_object_update_new(o, json_pack(
		"{s:o s:o s:o s:o s:I s:o s:I s:o s:o s:I s:o}",
		"OutboundPackets", count(out, true), "OutboundBytes", count(out, false),
		"InboundPackets", count(in, true), "InboundBytes", count(in, false),
		"Lifesize", (json_int_t)i->lifesize,
		"LifesizeRefresh", i->lifesize ? number_or_null(i->lifesize_refresh)
			: json_integer(0),
		"CurrentByteCount", (json_int_t)bytes,
		"LifetimeRefresh", number_or_null(i->refresh),
		"LifetimeExpires", number_or_null(i->expires),
		"CurrentTime", (json_int_t)now,
		"VPNLifeExpires", number_or_null(i->vpn_expires)));
	/* clang-format on */
}

/* RFC 2407 section 4.6.2.1, of the selector as an identity. */
static const char *client_type(const struct cs_range *r)
{
	bool v4 = r->lo.family == AF_INET;

	if (r->lo.family == 0)
		return NULL;
	if (cs_range_is_single(r))
		return v4 ? "ID_IPV4_ADDR" : "ID_IPV6_ADDR";
	if (cs_range_prefix_len(r) >= 0)
		return v4 ? "ID_IPV4_ADDR_SUBNET" : "ID_IPV6_ADDR_SUBNET";
	return v4 ? "ID_IPV4_ADDR_RANGE" : "ID_IPV6_ADDR_RANGE";
}

static int set_ike_view(json_t *o, const struct ike_p2_info *i)
{
	char local[CS_RANGE_STRLEN], remote[CS_RANGE_STRLEN];
	bool known = i->selector.local.lo.family != 0;

	/* clang-format off */
	return json_object_update_new(o, json_pack(
		"{s:s? s:s? s:s? s:s? s:I s:s? s:I s:I s:o s:o s:o s:b}",
		"LocalClientIDType", client_type(&i->selector.local),
		"LocalClientID", known ? cs_range_text(&i->selector.local, local) : NULL,
		"RemoteClientIDType", client_type(&i->selector.remote),
		"RemoteClientID", known ? cs_range_text(&i->selector.remote, remote) : NULL,
		"PfsGroup", (json_int_t)i->pfs_group,
		"ActivationMethod", activation(i->activation),
		"Lifesize", (json_int_t)i->lifesize,
		"Lifetime", (json_int_t)i->lifetime,
		"LifetimeRefresh", number_or_null(i->refresh),
		"LifetimeExpires", number_or_null(i->expires),
		"VPNLifeExpires", number_or_null(i->vpn_expires),
		"PendingNewActivation", i->pending));
	/* clang-format on */
}

/* What only encapsulation has is null without. */
static int set_nat(json_t *o, const struct ike_p2_info *i)
{
	bool udp = i->suite.udp != IKE_UDP_NONE;
	bool gateway = !cs_range_is_single(&i->selector.remote) ||
		       (!i->nat_remote && !cs_addr_equal(&i->selector.remote.lo, &i->remote));

	/* clang-format off */
	return json_object_update_new(o, json_pack(
		"{s:b s:b s:b s:b s:o s:o s:o s:o s:o s:o}",
		"UdpEncapMode", udp,
		"LclNATDetected", i->nat_local,
		"RmtNATDetected", i->nat_remote,
		"RmtNAPTDetected", i->nat_napt,
		"RmtIsGw", udp ? json_boolean(gateway) : json_null(),
		"RmtIsZOS", udp ? json_false() : json_null(),
		"zOSCanInitP2SA", udp ? json_boolean(!i->nat_napt) : json_null(),
		"RmtUdpEncapPort", udp ? number_or_null(i->encap_remote) : json_null(),
		"SrcNATOARcvd", address(&i->oa[0]),
		"DstNATOARcvd", address(&i->oa[1])));
	/* clang-format on */
}

static int set_passthrough(json_t *o, const struct ike_p2_info *i)
{
	bool tunnel = i->suite.encap == POL_TUNNEL;
	const char *df = i->passthrough_df ? "Yes" : "Clear";

	return json_object_update_new(
		o, json_pack("{s:s? s:o}", "PassthroughDF", tunnel ? df : NULL, "PassthroughDSCP",
			     tunnel ? json_boolean(i->passthrough_dscp) : json_null()));
}

json_t *ike_json_p2(const struct ike_p2_info *i, bool ike_view, const struct xf_counters *in,
		    const struct xf_counters *out, int64_t now)
{
	bool known = i->suite.cipher || i->suite.integ;
	const char *encap = i->suite.encap == POL_TUNNEL ? "Tunnel" : "Transport";
	json_t *o;
	int bad;

	/* clang-format off */
	o = json_pack("{s:o s:I s:s s:o s:o s:o s:s s:s? s:o s:o}",
		      "TunnelID", tunnel_name('Y', i->tunnel),
		      "Generation", (json_int_t)i->generation,
		      "IKEVersion", "1.0",
		      "ParentIKETunnelID", tunnel_name('K', i->parent),
		      "VpnActionName", text_or_null(i->action),
		      "LocalDynVpnRule", text_or_null(i->local_rule),
		      "State", p2_state(i, ike_view),
		      "HowToEncap", known ? encap : NULL,
		      "LocalEndPoint", address(&i->local),
		      "RemoteEndPoint", address(&i->remote));
	/* clang-format on */
	if (!o)
		return NULL;
	bad = set_range(o, "LocalAddressBase", "LocalAddressPrefix", "LocalAddressRange",
			&i->selector.local);
	bad |= set_range(o, "RemoteAddressBase", "RemoteAddressPrefix", "RemoteAddressRange",
			 &i->selector.remote);
	bad |= set_protection(o, i) | set_selector(o, i);
	bad |= ike_view ? set_ike_view(o, i) : set_stack_view(o, i, in, out, now);
	bad |= set_nat(o, i);
	if (!ike_view)
		bad |= set_passthrough(o, i);
	/* clang-format off */
	bad |= json_object_update_new(o, json_pack(
		"{s:o s:o s:I s:o s:I}",
		"XAuthUser", text_or_null(i->user),
		"IpFilterRule", text_or_null(i->rule), "Reqid", (json_int_t)i->reqid,
		"ClientMark", number_or_null(i->client),
		"MessageInstance", (json_int_t)i->instance));
	/* clang-format on */
	if (bad) {
		json_decref(o);
		return NULL;
	}
	return o;
}

/* ---- records ---- */

const char *ike_record_name(enum ike_record_kind kind)
{
	static const char *const names[] = {
		[IKE_REC_P1_UP] = "P1_UP",         [IKE_REC_P1_DOWN] = "P1_DOWN",
		[IKE_REC_P2_INTENT] = "P2_INTENT", [IKE_REC_P2_UP] = "P2_UP",
		[IKE_REC_P2_FAILED] = "P2_FAILED", [IKE_REC_P2_MOVED] = "P2_MOVED",
		[IKE_REC_P2_DOWN] = "P2_DOWN",
	};

	return names[kind];
}

/* The last counters of one direction; null when nobody knows them any more. */
static json_t *last_counters(const struct xf_counters *c)
{
	if (!c)
		return json_null();
	return json_pack("{s:I s:I s:I s:I s:I s:I}", "Packets", (json_int_t)c->packets, "Bytes",
			 (json_int_t)c->bytes, "Added", (json_int_t)c->added, "Used",
			 (json_int_t)c->used, "ReplayErrors", (json_int_t)c->replay_errors,
			 "IntegrityFailures", (json_int_t)c->integrity_failures);
}

/* Displays have PassthroughDF in the stack's view, which a record is not, and no message id. */
static int add_p2(json_t *record, const struct ike_p2_info *i, int64_t now)
{
	json_t *o = ike_json_p2(i, true, NULL, NULL, now);

	if (!o || set_passthrough(o, i) ||
	    json_object_set_new(o, "MessageID", number_or_null(i->message_id))) {
		json_decref(o);
		return -1;
	}
	return json_object_set_new(record, "DynamicTunnel", o);
}

static json_t *p1_statistics(const struct ike_p1_info *i)
{
	const struct ike_p1_counts *c = &i->counts;

	/* clang-format off */
	return json_pack("{s:I s:I s:I s:I s:I s:I s:I s:I s:I s:I}",
			 "DynamicTunnels", (json_int_t)(i->n_p2 - i->n_p2_under_way),
			 "DynamicTunnelsInProgress", (json_int_t)i->n_p2_under_way,
			 "LocalActivations", (json_int_t)c->local_up,
			 "LocalActivationsFailed", (json_int_t)c->local_failed,
			 "RemoteActivations", (json_int_t)c->remote_up,
			 "RemoteActivationsFailed", (json_int_t)c->remote_failed,
			 "Retransmitted", (json_int_t)c->retransmitted,
			 "Repeated", (json_int_t)c->repeated,
			 "Malformed", (json_int_t)c->malformed,
			 "Unauthentic", (json_int_t)c->unauthentic);
	/* clang-format on */
}

json_t *ike_json_record(const struct ike_record *r)
{
	/* A record of phase 2 has both. */
	int64_t started = r->p2 ? r->p2->installed : r->p1 ? r->p1->established : 0;
	json_t *o =
		json_pack("{s:s s:I s:o s:o s:o}", "Event", ike_record_name(r->kind), "Time",
			  (json_int_t)r->when.wall, "Intent", number_or_null((int64_t)r->intent),
			  "Reason", text_or_null(r->reason), "Started", number_or_null(started));
	int bad = 0;

	if (!o)
		return NULL;
	if (r->p1)
		bad |= json_object_set_new(o, "IKETunnel", ike_json_p1(r->p1));
	if (r->kind == IKE_REC_P1_DOWN)
		bad |= json_object_set_new(o, "IKEStatistics", p1_statistics(r->p1));
	if (r->p2)
		bad |= add_p2(o, r->p2, r->when.wall);
	if (r->in_doubt)
		bad |= json_object_set_new(o, "InDoubt", json_true());
	if (r->kind == IKE_REC_P2_DOWN) {
		bad |= json_object_set_new(o, "CountersKnown", json_boolean(r->in && r->out));
		bad |= json_object_set_new(o, "Inbound", last_counters(r->in));
		bad |= json_object_set_new(o, "Outbound", last_counters(r->out));
	}
	if (bad) {
		json_decref(o);
		return NULL;
	}
	return o;
}
