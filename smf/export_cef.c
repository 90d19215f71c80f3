/*
 * A record as a line of ArcSight's Common Event Format: what a SIEM correlates by.  Source is who
 * began the tunnel.
 */
#include <string.h>

#include "smf/ebcdic.h"
#include "smf/format.h"

unsigned smf_cef_letter(uint8_t c, char *to)
{
	if (c == '\\' || c == '=') {
		to[0] = '\\';
		to[1] = (char)c;
		return 2;
	}
	if (c == '\n' || c == '\r' || c == 0x85) {
		to[0] = '\\';
		to[1] = c == '\r' ? 'r' : 'n';
		return 2;
	}
	return smf_latin1_utf8(c < 0x20 || (c >= 0x7f && c < 0xa0) ? '?' : c, to);
}

/* The first of the two that the record has; SMF_FIELDS: none. */
static enum smf_field which(const struct smf_record *r, enum smf_field a, enum smf_field b)
{
	struct cs_bytes value;

	return smf_has_value(r, a, &value) ? a : smf_has_value(r, b, &value) ? b : SMF_FIELDS;
}

static char *put(struct smf_export *x, char *to, const struct smf_record *r, const char *key,
		 enum smf_field field)
{
	struct cs_bytes value;

	if (field == SMF_FIELDS || !smf_has_value(r, field, &value))
		return to;
	to = smf_fmt_string(smf_fmt_string(to, " "), key);
	*to++ = '=';
	return smf_fmt_value(x, to, r, field, &value);
}

/* One of the custom fields, which say by a label what they have. */
static char *put_labelled(struct smf_export *x, char *to, const struct smf_record *r,
			  const char *key, const char *label, enum smf_field field)
{
	char *before = to;

	to = put(x, to, r, key, field);
	if (to == before)
		return to;
	to = smf_fmt_string(smf_fmt_string(to, " "), key);
	return smf_fmt_string(smf_fmt_string(to, "Label="), label);
}

static uint64_t value_of(const struct smf_record *r, enum smf_field field)
{
	uint64_t value = 0;

	return smf_get_u64(r, field, &value) ? value : 0;
}

static enum smf_field end_reason(const struct smf_record *r)
{
	static const enum smf_field fields[] = {SMF_IKE_TUN_END_REASON, SMF_IP_DYN_IKE_END_REASON,
						SMF_IP_DYN_STK_END_REASON};

	for (unsigned i = 0; i < 3; i++)
		if (value_of(r, fields[i]))
			return fields[i];
	return SMF_FIELDS;
}

/* 0 to 10: what ended as it should is 3. */
static unsigned severity(const struct smf_record *r)
{
	enum smf_field field = end_reason(r);
	const char *name = field == SMF_FIELDS ? NULL : smf_value_name(field, value_of(r, field));

	if (!name)
		return 3;
	if (strcmp(name, "lost_at_restart") == 0)
		return 8;
	if (strcmp(name, "peer_dead") == 0 || strcmp(name, "negotiation_failed") == 0 ||
	    strcmp(name, "authentication") == 0)
		return 6;
	return 3;
}

static bool peer_began(const struct smf_record *r)
{
	return value_of(r, SMF_IKE_TUN_ROLE) == 2 || value_of(r, SMF_IP_DYN_ACT_METHOD) == 2;
}

static char *put_ends(struct smf_export *x, char *to, const struct smf_record *r)
{
	enum smf_field local = which(r, SMF_IKE_TUN_LCL_ENDPT, SMF_IP_TUN_LCL_ENDPT);
	enum smf_field remote = which(r, SMF_IKE_TUN_RMT_ENDPT, SMF_IP_TUN_RMT_ENDPT);
	enum smf_field port = which(r, SMF_IKE_TUN_RMT_UDP_PORT, SMF_IP_DYN_RMT_UDP_PORT);
	bool swapped = peer_began(r);
	bool ipv6 = (value_of(r, SMF_IKE_TUN_FLAGS) | value_of(r, SMF_IP_TUN_FLAGS)) >> 31;

	if (ipv6) {
		to = put_labelled(x, to, r, "c6a2", "Source IPv6 Address",
				  swapped ? remote : local);
		to = put_labelled(x, to, r, "c6a3", "Destination IPv6 Address",
				  swapped ? local : remote);
	} else {
		to = put(x, to, r, "src", swapped ? remote : local);
		to = put(x, to, r, "dst", swapped ? local : remote);
	}
	return put(x, to, r, swapped ? "spt" : "dpt", port);
}

/* "aes_cbc 256 hmac_sha2_256_128" */
static char *put_cipher(struct smf_export *x, char *to, const struct smf_record *r)
{
	static const enum smf_field fields[][3] = {
		{SMF_IKE_TUN_ENCRYPT_ALG, SMF_IKE_TUN_ENCRYPT_KEY_LEN, SMF_IKE_TUN_AUTH_ALG},
		{SMF_IP_TUN_ENCRYPT_ALG, SMF_IP_TUN_ENCRYPT_KEY_LEN, SMF_IP_TUN_AUTH_ALG},
	};
	const enum smf_field *f = fields[!r->sections[SMF_S_IKE_TUNNEL].p];
	struct cs_bytes value;
	bool any = false;

	for (unsigned i = 0; i < 3; i++) {
		if (!value_of(r, f[i]) || !smf_has_value(r, f[i], &value))
			continue;
		to = smf_fmt_string(to, any ? " " : " cs5=");
		to = smf_fmt_value(x, to, r, f[i], &value);
		any = true;
	}
	return any ? smf_fmt_string(to, " cs5Label=cipher") : to;
}

char *smf_fmt_cef(struct smf_export *x, char *to, const struct smf_record *r)
{
	bool ike = r->sections[SMF_S_IKE_TUNNEL].p != NULL;
	int64_t us;

	to = smf_fmt_string(to, "CEF:0|csipsec|smfdump|" PACKAGE_VERSION "|119-");
	to = smf_fmt_number(to, r->layout->subtype);
	to = smf_fmt_string(smf_fmt_string(to, "|"), smf_event(r));
	to = smf_fmt_number(smf_fmt_string(to, "|"), severity(r));
	*to++ = '|';
	to = smf_fmt_string(smf_fmt_string(to, "cat="), r->layout->title);
	if (smf_get_time(r, &us) && us >= x->o.ahead_us)
		to = smf_fmt_number(smf_fmt_string(to, " rt="),
				    (uint64_t)(us - x->o.ahead_us) / 1000);
	to = put(x, to, r, "dvchost", SMF_TI_SYS_NAME);
	to = put(x, to, r, "deviceProcessName", SMF_TI_AS_NAME);
	to = put(x, to, r, "suser", SMF_TI_USER_ID);
	to = put_ends(x, to, r);
	to = put(x, to, r, "in", which(r, SMF_IP_DYN_STK_INB_BYTES, SMF_IP_MAN_INB_BYTES));
	to = put(x, to, r, "out", which(r, SMF_IP_DYN_STK_OUTB_BYTES, SMF_IP_MAN_OUTB_BYTES));
	to = put_labelled(x, to, r, "cs1", "tunnelId", which(r, SMF_IKE_TUN_ID, SMF_IP_TUN_ID));
	to = put_labelled(x, to, r, "cs2", ike ? "keyExchangeRule" : "vpnAction",
			  ike ? SMF_IKE_TUN_KEY_EXCH_RULE : SMF_IP_TUN_VPN_ACTION);
	to = put_labelled(x, to, r, "cs3", "localId", which(r, SMF_LCL_ID, SMF_LCL_CLIENT_ID));
	to = put_labelled(x, to, r, "cs4", "remoteId", which(r, SMF_RMT_ID, SMF_RMT_CLIENT_ID));
	to = put_cipher(x, to, r);
	to = put_labelled(x, to, r, "cs6", "endReason", end_reason(r));
	to = put_labelled(x, to, r, "cn1", "generation",
			  which(r, SMF_IKE_TUN_GENERATION, SMF_IP_DYN_GENERATION));
	*to++ = '\n';
	return to;
}
