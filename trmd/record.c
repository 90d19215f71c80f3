/*
 * An outbox row as SMF records.  The tables say which field of the payload goes into which field of
 * a record and as what; a field that the payload has as null, or not at all, stays zero or blank,
 * which is "not known" in the record.  What a table cannot say (ranges, ports, the SPIs of combined
 * algorithms, counters) is below them.
 */
#include "trmd/record.h"

#include <stdlib.h>
#include <string.h>

#include "trmd/record_values.h"

#define US INT64_C(1000000)

enum how { TEXT, NUMBER, ADDRESS, COOKIE, WORD, FLAG };

struct rule {
	const char *key;
	enum smf_field field;
	enum how how;
	unsigned what; /* WORD: which list; FLAG: which bit */
};

static const struct rule ike_tunnel[] = {
	{"TunnelID", SMF_IKE_TUN_ID, TEXT, 0},
	{"Generation", SMF_IKE_TUN_GENERATION, NUMBER, 0},
	{"KeyExchangeRuleName", SMF_IKE_TUN_KEY_EXCH_RULE, TEXT, 0},
	{"KeyExchangeActionName", SMF_IKE_TUN_KEY_EXCH_ACTION, TEXT, 0},
	{"AllowNat", SMF_IKE_TUN_FLAGS, FLAG, 1},
	{"NATInFrntLclScEndPnt", SMF_IKE_TUN_FLAGS, FLAG, 2},
	{"NATInFrntRmtScEndPnt", SMF_IKE_TUN_FLAGS, FLAG, 3},
	{"RmtNAPTDetected", SMF_IKE_TUN_FLAGS, FLAG, 4},
	{"zOSCanInitiateP1SA", SMF_IKE_TUN_FLAGS, FLAG, 5},
	{"Role", SMF_IKE_TUN_ROLE, WORD, TRMD_V_ROLE},
	{"State", SMF_IKE_TUN_STATE, WORD, TRMD_V_STATE},
	{"State", SMF_IKE_TUN_EXT_STATE, WORD, TRMD_V_EXT_STATE},
	{"ExchangeMode", SMF_IKE_TUN_EXCH_MODE, WORD, TRMD_V_MODE},
	{"NATTSupportLevel", SMF_IKE_TUN_NATT_LEVEL, WORD, TRMD_V_NATT},
	{"DiffieHellmanGroup", SMF_IKE_TUN_DH_GROUP, NUMBER, 0},
	{"LocalEndPoint", SMF_IKE_TUN_LCL_ENDPT, ADDRESS, 0},
	{"RemoteEndPoint", SMF_IKE_TUN_RMT_ENDPT, ADDRESS, 0},
	{"RemotePort", SMF_IKE_TUN_RMT_UDP_PORT, NUMBER, 0},
	{"LocalIDType", SMF_IKE_TUN_LCL_ID_TYPE, WORD, TRMD_V_ID_TYPE},
	{"RemoteIDType", SMF_IKE_TUN_RMT_ID_TYPE, WORD, TRMD_V_ID_TYPE},
	{"LocalAuthenticationMethod", SMF_IKE_TUN_LCL_AUTH_METH, WORD, TRMD_V_AUTH_METHOD},
	{"RemoteAuthenticationMethod", SMF_IKE_TUN_RMT_AUTH_METH, WORD, TRMD_V_AUTH_METHOD},
	{"AuthenticationAlgorithm", SMF_IKE_TUN_AUTH_ALG, WORD, TRMD_V_HASH},
	{"EncryptionAlgorithm", SMF_IKE_TUN_ENCRYPT_ALG, WORD, TRMD_V_CIPHER},
	{"PseudoRandomFunction", SMF_IKE_TUN_PRF, WORD, TRMD_V_PRF},
	{"KeyLength", SMF_IKE_TUN_ENCRYPT_KEY_LEN, NUMBER, 0},
	{"InitiatorCookie", SMF_IKE_TUN_I_COOKIE, COOKIE, 0},
	{"ResponderCookie", SMF_IKE_TUN_R_COOKIE, COOKIE, 0},
	{"Lifesize", SMF_IKE_TUN_LIFESIZE, NUMBER, 0},
	{"Lifetime", SMF_IKE_TUN_LIFETIME, NUMBER, 0},
	{"LifetimeRefresh", SMF_IKE_TUN_LIFE_REFRESH, NUMBER, 0},
	{"LifetimeExpires", SMF_IKE_TUN_LIFE_EXPIRES, NUMBER, 0},
	{"ReauthTime", SMF_IKE_TUN_REAUTH_TIME, NUMBER, 0},
	{"LocalID", SMF_LCL_ID, TEXT, 0},
	{"RemoteID", SMF_RMT_ID, TEXT, 0},
	{NULL, SMF_FIELDS, TEXT, 0},
};

/* Of IKETunnel and of IKEStatistics. */
static const struct rule ike_statistics[] = {
	{"CurrentByteCount", SMF_IKE_TUN_BYTES, NUMBER, 0},
	{"DynamicTunnels", SMF_IKE_TUN_ACTIVE_DYN, NUMBER, 0},
	{"DynamicTunnelsInProgress", SMF_IKE_TUN_IN_PROG_DYN, NUMBER, 0},
	{"LocalActivations", SMF_IKE_TUN_P2_LCL_OK, NUMBER, 0},
	{"LocalActivationsFailed", SMF_IKE_TUN_P2_LCL_FAIL, NUMBER, 0},
	{"RemoteActivations", SMF_IKE_TUN_P2_RMT_OK, NUMBER, 0},
	{"RemoteActivationsFailed", SMF_IKE_TUN_P2_RMT_FAIL, NUMBER, 0},
	{"Retransmitted", SMF_IKE_TUN_RETRANS, NUMBER, 0},
	{"Repeated", SMF_IKE_TUN_REPLAYS, NUMBER, 0},
	{"Malformed", SMF_IKE_TUN_INVALID, NUMBER, 0},
	{"Unauthentic", SMF_IKE_TUN_AUTH_FAIL, NUMBER, 0},
	{NULL, SMF_FIELDS, TEXT, 0},
};

static const struct rule ip_tunnel[] = {
	{"TunnelID", SMF_IP_TUN_ID, TEXT, 0},
	{"VpnActionName", SMF_IP_TUN_VPN_ACTION, TEXT, 0},
	{"State", SMF_IP_TUN_STATE, WORD, TRMD_V_STATE},
	{"LocalEndPoint", SMF_IP_TUN_LCL_ENDPT, ADDRESS, 0},
	{"RemoteEndPoint", SMF_IP_TUN_RMT_ENDPT, ADDRESS, 0},
	{"HowToEncap", SMF_IP_TUN_ENCAP_MODE, WORD, TRMD_V_ENCAP},
	{"HowToAuth", SMF_IP_TUN_AUTH_PROTO, WORD, TRMD_V_PROTOCOL},
	{"AuthAlgorithm", SMF_IP_TUN_AUTH_ALG, WORD, TRMD_V_INTEG},
	{"HowToEncrypt", SMF_IP_TUN_ENCRYPT_ALG, WORD, TRMD_V_CIPHER},
	{"AuthInboundSpi", SMF_IP_TUN_INB_AUTH_SPI, NUMBER, 0},
	{"AuthOutboundSpi", SMF_IP_TUN_OUTB_AUTH_SPI, NUMBER, 0},
	{"EncryptInboundSpi", SMF_IP_TUN_INB_ENCRYPT_SPI, NUMBER, 0},
	{"EncryptOutboundSpi", SMF_IP_TUN_OUTB_ENCRYPT_SPI, NUMBER, 0},
	{"KeyLength", SMF_IP_TUN_ENCRYPT_KEY_LEN, NUMBER, 0},
	{NULL, SMF_FIELDS, TEXT, 0},
};

static const struct rule dynamic_tunnel[] = {
	{"UdpEncapMode", SMF_IP_DYN_FLAGS, FLAG, 0},
	{"LclNATDetected", SMF_IP_DYN_FLAGS, FLAG, 1},
	{"RmtNATDetected", SMF_IP_DYN_FLAGS, FLAG, 2},
	{"RmtNAPTDetected", SMF_IP_DYN_FLAGS, FLAG, 3},
	{"RmtIsGw", SMF_IP_DYN_FLAGS, FLAG, 4},
	{"RmtIsZOS", SMF_IP_DYN_FLAGS, FLAG, 5},
	{"zOSCanInitP2SA", SMF_IP_DYN_FLAGS, FLAG, 6},
	{"ActivationMethod", SMF_IP_DYN_ACT_METHOD, WORD, TRMD_V_ACTIVATION},
	{"PfsGroup", SMF_IP_DYN_DH_GROUP, NUMBER, 0},
	{"Generation", SMF_IP_DYN_GENERATION, NUMBER, 0},
	{"Protocol", SMF_IP_DYN_PROTO, NUMBER, 0},
	{"LocalDynVpnRule", SMF_IP_DYN_VPN_RULE, TEXT, 0},
	{"ParentIKETunnelID", SMF_IP_DYN_IKE_TUN_ID, TEXT, 0},
	{"RmtUdpEncapPort", SMF_IP_DYN_RMT_UDP_PORT, NUMBER, 0},
	{"Lifesize", SMF_IP_DYN_LIFESIZE, NUMBER, 0},
	{"Lifetime", SMF_IP_DYN_LIFETIME, NUMBER, 0},
	{"VPNLifeExpires", SMF_IP_DYN_VPN_LIFE_EXPIRES, NUMBER, 0},
	{"LifetimeRefresh", SMF_IP_DYN_LIFE_REFRESH, NUMBER, 0},
	{"LifetimeExpires", SMF_IP_DYN_LIFE_EXPIRES, NUMBER, 0},
	{NULL, SMF_FIELDS, TEXT, 0},
};

static const struct rule ike_dynamic[] = {
	{"MessageID", SMF_IP_DYN_IKE_MSG_ID, NUMBER, 0},
	{"State", SMF_IP_DYN_IKE_EXT_STATE, WORD, TRMD_V_EXT_STATE},
	{"LocalClientIDType", SMF_IP_DYN_IKE_LCL_CLI_TYPE, WORD, TRMD_V_ID_TYPE},
	{"RemoteClientIDType", SMF_IP_DYN_IKE_RMT_CLI_TYPE, WORD, TRMD_V_ID_TYPE},
	{"SrcNATOARcvd", SMF_IP_DYN_IKE_SRC_NATOA, ADDRESS, 0},
	{"DstNATOARcvd", SMF_IP_DYN_IKE_DST_NATOA, ADDRESS, 0},
	{"LocalClientID", SMF_LCL_CLIENT_ID, TEXT, 0},
	{"RemoteClientID", SMF_RMT_CLIENT_ID, TEXT, 0},
	{NULL, SMF_FIELDS, TEXT, 0},
};

/* ---- one value ---- */

const char *trmd_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

uint64_t trmd_number(const json_t *object, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(object, key));

	return n > 0 ? (uint64_t)n : 0;
}

static int odd(struct cs_err *err, const char *key, const char *what)
{
	return cs_fail(err, CS_EPARSE, "%s is no %s", key, what);
}

/* What does not fit is the largest that does: counters go on for longer than their fields. */
static void put_number(struct smf_builder *b, enum smf_field field, uint64_t n)
{
	unsigned len = smf_rows[field].len;
	uint64_t most = len < 8 ? (UINT64_C(1) << 8 * len) - 1 : UINT64_MAX;

	smf_put_u64(b, field, n < most ? n : most);
}

/*
 * A name or an identity may come from a peer and have control characters (of ISO 8859-1 as well),
 * which have no place in a record.
 */
static int put_text(struct smf_builder *b, enum smf_field field, const char *text,
		    struct cs_err *err)
{
	char *copy = strdup(text);

	if (!copy)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	for (unsigned char *p = (unsigned char *)copy; *p; p++)
		if (*p < ' ' || *p == 0x7f)
			*p = '?';
		else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
			p[0] = p[1] = '?';
	smf_put_text(b, field, copy);
	free(copy);
	return 0;
}

/*
 * All addresses of a record are of one family, the first one's.  What is of the other one, as the
 * inside of a tunnel may be, has no place there; its text is in the identities.
 */
static void put_addr(struct smf_builder *b, enum smf_field field, const struct cs_addr *addr)
{
	uint8_t family = addr->family == AF_INET6 ? 2 : 1;

	if (!b->families || b->families == family)
		smf_put_addr(b, field, addr);
}

static int put_cookie(struct smf_builder *b, const struct rule *r, const char *text,
		      struct cs_err *err)
{
	uint8_t bytes[8];

	if (strncmp(text, "0x", 2) != 0 || cs_unhex(text + 2, bytes, sizeof(bytes)) != 8)
		return odd(err, r->key, "cookie");
	smf_put_bytes(b, r->field, bytes, sizeof(bytes));
	return 0;
}

static int put_string(struct smf_builder *b, const struct rule *r, const char *text,
		      struct cs_err *err)
{
	struct cs_addr addr;

	switch (r->how) {
	case TEXT:
		return put_text(b, r->field, text, err);
	case ADDRESS:
		if (cs_addr_parse(text, &addr, err) < 0)
			return odd(err, r->key, "address");
		put_addr(b, r->field, &addr);
		return 0;
	case COOKIE:
		return put_cookie(b, r, text, err);
	case WORD:
		smf_put_u64(b, r->field, trmd_value((enum trmd_list)r->what, text));
		return 0;
	default:
		return odd(err, r->key, r->how == FLAG ? "boolean" : "number");
	}
}

static int apply_rule(struct smf_builder *b, const struct rule *r, const json_t *object,
		      struct cs_err *err)
{
	const json_t *value = json_object_get(object, r->key);

	if (!value || json_is_null(value))
		return 0;
	if (json_is_string(value))
		return put_string(b, r, json_string_value(value), err);
	if (json_is_integer(value) && r->how == NUMBER)
		put_number(b, r->field, trmd_number(object, r->key));
	else if (json_is_boolean(value) && r->how == FLAG && json_is_true(value))
		smf_put_flag(b, r->field, r->what);
	else if (!json_is_boolean(value) || r->how != FLAG)
		return odd(err, r->key, "value of its field");
	return 0;
}

static int apply(struct smf_builder *b, const struct rule *rules, const json_t *object,
		 struct cs_err *err)
{
	int rc = 0;

	for (const struct rule *r = rules; r->key && rc == 0; r++)
		rc = apply_rule(b, r, object, err);
	return rc;
}

/* "1.0" */
static void put_version(struct smf_builder *b, const json_t *object, enum smf_field major,
			enum smf_field minor)
{
	const char *text = trmd_text(object, "IKEVersion");

	if (text[0] >= '0' && text[0] <= '9' && text[1] == '.' && text[2] >= '0' &&
	    text[2] <= '9') {
		smf_put_u64(b, major, (uint64_t)(text[0] - '0'));
		smf_put_u64(b, minor, (uint64_t)(text[2] - '0'));
	}
}

/* ---- sections ---- */

static void put_origin(struct smf_builder *b, const struct trmd_origin *o, bool stack)
{
	smf_put_text(b, SMF_HDSID, o->sid);
	smf_put_text(b, SMF_TI_SYS_NAME, o->system);
	smf_put_text(b, SMF_TI_STACK, o->stack);
	smf_put_text(b, SMF_TI_RELEASE_ID, o->release);
	/* The stack is the kernel, which has no user. */
	smf_put_text(b, SMF_TI_AS_NAME, stack ? o->stack : "IKED");
	smf_put_text(b, SMF_TI_USER_ID, stack ? "" : o->user);
	smf_put_u64(b, SMF_TI_ASID, o->process);
}

/* A range: its base with the length of a prefix, with its upper end, or alone. */
static int put_range(struct smf_builder *b, const json_t *o, const char *const keys[3],
		     enum smf_field low, enum smf_field high, struct cs_err *err)
{
	const json_t *prefix = json_object_get(o, keys[1]);
	const char *base = trmd_text(o, keys[0]), *upper = trmd_text(o, keys[2]);
	struct cs_range range;

	if (!base[0])
		return 0;
	if (cs_addr_parse(base, &range.lo, err) < 0)
		return odd(err, keys[0], "address");
	range.hi = range.lo;
	if (json_is_integer(prefix)) {
		if (json_integer_value(prefix) < 0 ||
		    json_integer_value(prefix) > 8 * (json_int_t)cs_addr_len(range.lo.family))
			return odd(err, keys[1], "length of a prefix");
		range = cs_range_prefix(&range.lo, (unsigned)json_integer_value(prefix));
	} else if (upper[0] && cs_addr_parse(upper, &range.hi, err) < 0) {
		return odd(err, keys[2], "address");
	}
	put_addr(b, low, &range.lo);
	put_addr(b, high, &range.hi);
	return 0;
}

/* 0 is every port. */
static int put_ports(struct smf_builder *b, const json_t *o, const char *key, enum smf_field low,
		     enum smf_field high, struct cs_err *err)
{
	uint64_t port = trmd_number(o, key);

	if (port > UINT16_MAX)
		return odd(err, key, "port");
	smf_put_u64(b, low, port);
	smf_put_u64(b, high, port ? port : UINT16_MAX);
	return 0;
}

/* A combined algorithm authenticates by the SPI that it encrypts with. */
static void put_combined_spis(struct smf_builder *b, const json_t *o)
{
	if (strcmp(trmd_text(o, "HowToAuth"), "ESP") != 0 || trmd_text(o, "AuthAlgorithm")[0])
		return;
	put_number(b, SMF_IP_TUN_INB_AUTH_SPI, trmd_number(o, "EncryptInboundSpi"));
	put_number(b, SMF_IP_TUN_OUTB_AUTH_SPI, trmd_number(o, "EncryptOutboundSpi"));
}

static int put_ip_tunnel(struct smf_builder *b, const struct trmd_origin *origin,
			 const struct trmd_change *ev, const json_t *o, bool stack,
			 struct cs_err *err)
{
	uint64_t started = trmd_number(ev->payload, "Started");
	int rc = apply(b, ip_tunnel, o, err);

	put_combined_spis(b, o);
	smf_put_u64(b, SMF_IP_TUN_TYPE, stack ? 2 : 3);
	if (origin->fips140)
		smf_put_flag(b, SMF_IP_TUN_FLAGS, 1);
	if (ev->kind == TRMD_P2_FAILED)
		smf_put_u64(b, SMF_IP_TUN_STATE, 7);
	if (!started && ev->kind == TRMD_P2_UP)
		started = (uint64_t)ev->time;
	put_number(b, SMF_IP_TUN_START_TIME, started);
	return rc;
}

static int put_dynamic_tunnel(struct smf_builder *b, const json_t *o, struct cs_err *err)
{
	static const char *const local[] = {"LocalAddressBase", "LocalAddressPrefix",
					    "LocalAddressRange"};
	static const char *const remote[] = {"RemoteAddressBase", "RemoteAddressPrefix",
					     "RemoteAddressRange"};
	int rc = apply(b, dynamic_tunnel, o, err);

	put_version(b, o, SMF_IP_DYN_IKE_MAJOR_VER, SMF_IP_DYN_IKE_MINOR_VER);
	/* IKE version 1 negotiates no type and code of ICMP. */
	smf_put_u64(b, SMF_IP_DYN_ICMP_TYPE, 0xff);
	smf_put_u64(b, SMF_IP_DYN_ICMP_CODE, 0xff);
	if (strcmp(trmd_text(o, "PassthroughDF"), "Clear") == 0)
		smf_put_flag(b, SMF_IP_DYN_FLAGS, 9);
	if (json_is_false(json_object_get(o, "PassthroughDSCP")))
		smf_put_flag(b, SMF_IP_DYN_FLAGS, 10);
	if (rc == 0)
		rc = put_range(b, o, local, SMF_IP_DYN_SRC_ADDR, SMF_IP_DYN_SRC_ADDR_END, err);
	if (rc == 0)
		rc = put_range(b, o, remote, SMF_IP_DYN_DST_ADDR, SMF_IP_DYN_DST_ADDR_END, err);
	if (rc == 0)
		rc = put_ports(b, o, "LocalPort", SMF_IP_DYN_SRC_PORT, SMF_IP_DYN_SRC_PORT_END,
			       err);
	if (rc == 0)
		rc = put_ports(b, o, "RemotePort", SMF_IP_DYN_DST_PORT, SMF_IP_DYN_DST_PORT_END,
			       err);
	return rc;
}

static enum trmd_end end_of(const struct trmd_change *ev)
{
	if (ev->kind == TRMD_P2_FAILED)
		return TRMD_END_FAILED;
	return trmd_end_of(trmd_text(ev->payload, "Reason"));
}

static int put_ike_dynamic(struct smf_builder *b, const struct trmd_change *ev, const json_t *o,
			   struct cs_err *err)
{
	int rc = apply(b, ike_dynamic, o, err);

	if (ev->kind == TRMD_P2_FAILED)
		smf_put_u64(b, SMF_IP_DYN_IKE_EXT_STATE, 11);
	if (ev->kind != TRMD_P2_UP) {
		put_number(b, SMF_IP_DYN_IKE_END_TIME, (uint64_t)ev->time);
		smf_put_u64(b, SMF_IP_DYN_IKE_END_REASON, end_of(ev));
	}
	return rc;
}

static void put_stack_added(struct smf_builder *b, const struct trmd_change *ev, const json_t *o)
{
	if (trmd_number(o, "Generation") > 1)
		smf_put_flag(b, SMF_IP_DYN_ADD_FLAGS, 0);
	if (strcmp(trmd_text(o, "ActivationMethod"), "Takeover") == 0)
		smf_put_flag(b, SMF_IP_DYN_ADD_FLAGS, 1);
	if (json_is_true(json_object_get(ev->payload, "InDoubt")))
		smf_put_flag(b, SMF_IP_DYN_ADD_FLAGS, 2);
	smf_put_u64(b, SMF_IP_DYN_ADD_STCK, smf_tod_of(ev->time * US));
}

static uint64_t both(const json_t *in, const json_t *out, const char *key)
{
	return trmd_number(in, key) + trmd_number(out, key);
}

static void put_stack_removed(struct smf_builder *b, const struct trmd_change *ev, const json_t *o)
{
	const json_t *in = json_object_get(ev->payload, "Inbound");
	const json_t *out = json_object_get(ev->payload, "Outbound");
	enum trmd_end end = end_of(ev);

	if (end == TRMD_END_REPLACED)
		smf_put_flag(b, SMF_IP_DYN_STK_FLAGS, 0);
	if (end == TRMD_END_LIFETIME)
		smf_put_flag(b, SMF_IP_DYN_STK_FLAGS, 1);
	if (end == TRMD_END_LIFESIZE)
		smf_put_flag(b, SMF_IP_DYN_STK_FLAGS, 2);
	if (!json_is_true(json_object_get(ev->payload, "CountersKnown")))
		smf_put_flag(b, SMF_IP_DYN_STK_FLAGS, 3);
	if (json_is_true(json_object_get(ev->payload, "InDoubt")))
		smf_put_flag(b, SMF_IP_DYN_STK_FLAGS, 4);
	put_number(b, SMF_IP_DYN_STK_INB_PKTS, trmd_number(in, "Packets"));
	put_number(b, SMF_IP_DYN_STK_OUTB_PKTS, trmd_number(out, "Packets"));
	put_number(b, SMF_IP_DYN_STK_INB_BYTES, trmd_number(in, "Bytes"));
	put_number(b, SMF_IP_DYN_STK_OUTB_BYTES, trmd_number(out, "Bytes"));
	if (trmd_number(o, "Lifesize"))
		put_number(b, SMF_IP_DYN_STK_CUR_LIFESIZE, both(in, out, "Bytes") / 1024);
	put_number(b, SMF_IP_DYN_STK_REPLAYS, both(in, out, "ReplayErrors"));
	put_number(b, SMF_IP_DYN_STK_AUTH_FAIL, both(in, out, "IntegrityFailures"));
	smf_put_u64(b, SMF_IP_DYN_STK_END_REASON, end);
	smf_put_u64(b, SMF_IP_DYN_STK_STCK, smf_tod_of(ev->time * US));
}

static int put_ike_tunnel(struct smf_builder *b, const struct trmd_origin *origin,
			  const struct trmd_change *ev, const json_t *o, struct cs_err *err)
{
	uint64_t started = trmd_number(ev->payload, "Started");
	int rc = apply(b, ike_tunnel, o, err);

	put_version(b, o, SMF_IKE_TUN_MAJOR_VER, SMF_IKE_TUN_MINOR_VER);
	if (origin->fips140)
		smf_put_flag(b, SMF_IKE_TUN_FLAGS, 6);
	if (!started && ev->kind == TRMD_P1_UP)
		started = (uint64_t)ev->time;
	put_number(b, SMF_IKE_TUN_START_TIME, started);
	if (rc < 0 || ev->kind != TRMD_P1_DOWN)
		return rc;
	put_number(b, SMF_IKE_TUN_END_TIME, (uint64_t)ev->time);
	smf_put_u64(b, SMF_IKE_TUN_END_REASON, end_of(ev));
	rc = apply(b, ike_statistics, o, err);
	return rc < 0 ? rc
		      : apply(b, ike_statistics, json_object_get(ev->payload, "IKEStatistics"),
			      err);
}

/* ---- records ---- */

static const char *const kinds[] = {
	[TRMD_P1_UP] = "P1_UP",         [TRMD_P1_DOWN] = "P1_DOWN", [TRMD_P2_UP] = "P2_UP",
	[TRMD_P2_FAILED] = "P2_FAILED", [TRMD_P2_DOWN] = "P2_DOWN", [TRMD_LOSS] = "LOSS",
};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* In the order in which they happened: the stack has a tunnel before IKE says that it serves. */
static const unsigned subtypes[N_KINDS][TRMD_RECORDS_MAX] = {
	[TRMD_P1_UP] = {73},     [TRMD_P1_DOWN] = {74},     [TRMD_P2_UP] = {77, 75},
	[TRMD_P2_FAILED] = {76}, [TRMD_P2_DOWN] = {76, 78}, [TRMD_LOSS] = {0},
};

int trmd_change_of(uint64_t id, const char *kind, int64_t time, const char *payload,
		   struct trmd_change *event, struct cs_err *err)
{
	json_error_t why;
	unsigned i = 0;

	while (i < N_KINDS && strcmp(kinds[i], kind) != 0)
		i++;
	if (i == N_KINDS)
		return cs_fail(err, CS_EPARSE, "%.20s is no kind of event", kind);
	*event = (struct trmd_change){.id = id, .kind = (enum trmd_kind)i, .time = time};
	/* The header has no years before 1900 and after 2899. */
	if (time < 0 || time > INT64_C(4102444800))
		return cs_fail(err, CS_EPARSE, "%lld is no time of an event", (long long)time);
	event->payload = json_loads(payload, 0, &why);
	if (!json_is_object(event->payload)) {
		trmd_change_free(event);
		return cs_fail(err, CS_EPARSE, "its payload is no JSON object: %.100s", why.text);
	}
	return 0;
}

void trmd_change_free(struct trmd_change *event)
{
	json_decref(event->payload);
	event->payload = NULL;
}

static int build(struct smf_builder *b, unsigned subtype, const struct trmd_origin *origin,
		 const struct trmd_change *ev, struct cs_err *err)
{
	bool phase1 = subtype <= 74, stack = subtype >= 77;
	const char *key = phase1 ? "IKETunnel" : "DynamicTunnel";
	const json_t *o = json_object_get(ev->payload, key);
	int rc;

	if (!json_is_object(o))
		return cs_fail(err, CS_EPARSE, "its payload has no %s", key);
	smf_build(b, subtype);
	smf_put_time(b, ev->time * US);
	put_origin(b, origin, stack);
	if (phase1)
		return put_ike_tunnel(b, origin, ev, o, err);
	rc = put_ip_tunnel(b, origin, ev, o, stack, err);
	if (rc == 0)
		rc = put_dynamic_tunnel(b, o, err);
	if (rc == 0 && !stack)
		rc = put_ike_dynamic(b, ev, o, err);
	if (rc == 0 && subtype == 77)
		put_stack_added(b, ev, o);
	if (rc == 0 && subtype == 78)
		put_stack_removed(b, ev, o);
	return rc;
}

int trmd_records(const struct trmd_origin *origin, struct trmd_wanted wanted,
		 const struct trmd_change *event, struct cs_writer *w, unsigned *n,
		 struct cs_err *err)
{
	struct cs_writer before = *w;
	struct smf_builder b;
	unsigned made = 0;
	int rc = 0;

	for (; made < TRMD_RECORDS_MAX && rc == 0; made++) {
		unsigned subtype = subtypes[event->kind][made];

		if (!subtype || !(subtype <= 74 ? wanted.ike_tunnel : wanted.dyn_tunnel))
			break;
		rc = build(&b, subtype, origin, event, err);
		if (rc == 0)
			rc = smf_finish(&b, w, err);
	}
	if (rc < 0) {
		*w = before;
		return rc;
	}
	if (n)
		*n = made;
	return 0;
}
