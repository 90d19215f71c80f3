/* A manual tunnel as a JSON object, for displays and the audit trail alike. */
#include <stdio.h>

#include "policy/pagent_audit.h"

static json_t *number_or_null(uint32_t n)
{
	return n ? json_integer(n) : json_null();
}

static json_t *address(const struct cs_addr *a)
{
	char text[CS_ADDR_STRLEN];

	return json_string(cs_addr_text(a, text));
}

static json_t *counter(const uint64_t *n)
{
	return n ? json_integer((json_int_t)*n) : json_null();
}

/* "DoNot" is no encryption at all; ESP without has an algorithm, NULL. */
static const char *encryption(const struct pol_manvpn_action *a)
{
	if (a->cipher)
		return a->cipher->display;
	return a->auth_proto == POL_AH ? "DoNot" : "NULL";
}

static const char *df_of(const struct pol_manvpn_action *a)
{
	return a->passthrough_df ? "Yes" : a->df_set ? "Set" : "Clear";
}

json_t *pagent_manual_json(const struct pol_manvpn_action *a, bool active,
			   const struct xf_counters *in, const struct xf_counters *out)
{
	bool tunnel = a->encap == POL_TUNNEL;
	char id[16];

	snprintf(id, sizeof(id), "M%u", a->number);
	/* clang-format off */
	return json_pack(
		"{s:s s:s s:s s:s s:o s:o s:s s:s s:I s:I s:s s:o s:o s:o s:o s:o s:o s:o s:o s:o}",
		"TunnelID", id,
		"VpnActionName", a->name,
		"State", active ? "Active" : "Inactive",
		"HowToEncap", tunnel ? "Tunnel" : "Transport",
		"LocalEndPoint", address(&a->local),
		"RemoteEndPoint", address(&a->remote),
		"HowToAuth", a->auth_proto == POL_AH ? "AH" : "ESP",
		"AuthAlgorithm", a->integ->display,
		"AuthInboundSpi", (json_int_t)a->auth_in.spi,
		"AuthOutboundSpi", (json_int_t)a->auth_out.spi,
		"HowToEncrypt", encryption(a),
		"KeyLength", a->cipher && a->cipher->key_attr ?
			json_integer(a->cipher->key_bits) : json_null(),
		"EncryptInboundSpi", number_or_null(a->encrypt_in.spi),
		"EncryptOutboundSpi", number_or_null(a->encrypt_out.spi),
		"OutboundPackets", counter(out ? &out->packets : NULL),
		"OutboundBytes", counter(out ? &out->bytes : NULL),
		"InboundPackets", counter(in ? &in->packets : NULL),
		"InboundBytes", counter(in ? &in->bytes : NULL),
		"PassthroughDF", tunnel ? json_string(df_of(a)) : json_null(),
		"PassthroughDSCP", tunnel ? json_boolean(a->passthrough_dscp) : json_null());
	/* clang-format on */
}
