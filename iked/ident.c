/*
 * Identities on the wire (RFC 2407 section 4.6.2): ID payload bodies of phase 1, and the traffic
 * selectors that phase 2 writes in the same form.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"

#define FIXED 4 /* type, protocol, port */

enum { ID_IPV4_SUBNET = 4, ID_IPV6_SUBNET = 6, ID_IPV4_RANGE = 7, ID_IPV6_RANGE = 8 };

/* ---- phase 1 ---- */

int ike_ident_own(const struct pol_ke_rule *rule, uint8_t **body, uint16_t *len, struct cs_err *err)
{
	const struct pol_identity *id = &rule->local.identity;
	struct cs_bytes data = id->data;
	struct cs_writer w;

	switch (id->type) {
	case POL_ID_IPV4_ADDR:
	case POL_ID_IPV6_ADDR:
		data = (struct cs_bytes){id->addr.lo.b, cs_addr_len(id->addr.lo.family)};
		break;
	case POL_ID_FQDN:
	case POL_ID_USER_FQDN:
		data = (struct cs_bytes){(const uint8_t *)id->text,
					 id->text ? strlen(id->text) : 0};
		break;
	default:
		break;
	}
	if (!data.p || !data.len || data.len > IKE_ID_BODY_MAX - FIXED)
		return cs_fail(err, CS_EPOLICY, "the local identity of rule %s cannot be sent",
			       rule->name);
	*body = malloc(FIXED + data.len);
	if (!*body)
		return cs_fail(err, CS_ENOMEM, "no memory for an identity");
	w = cs_writer_of(*body, FIXED + data.len);
	cs_put_u8(&w, (uint8_t)id->type);
	cs_put_zeros(&w, FIXED - 1);
	cs_put_bytes(&w, data.p, data.len);
	*len = (uint16_t)w.len;
	return 0;
}

static int split(struct cs_bytes body, struct pol_peer_id *id, uint8_t *proto, uint16_t *port,
		 struct cs_err *err)
{
	struct cs_reader r = cs_reader_of(body.p, body.len);

	if (!cs_get_u8(&r, &id->type) || !cs_get_u8(&r, proto) || !cs_get_u16(&r, port) ||
	    !cs_get_bytes(&r, cs_reader_left(&r), &id->data))
		return cs_fail(err, CS_EPARSE, "an ID payload of %zu bytes is too short", body.len);
	return 0;
}

static uint8_t family_of(unsigned type)
{
	switch (type) {
	case POL_ID_IPV4_ADDR:
	case ID_IPV4_SUBNET:
	case ID_IPV4_RANGE:
		return AF_INET;
	case POL_ID_IPV6_ADDR:
	case ID_IPV6_SUBNET:
	case ID_IPV6_RANGE:
		return AF_INET6;
	default:
		return 0;
	}
}

int ike_ident_read(struct cs_bytes body, struct pol_peer_id *id, struct cs_err *err)
{
	uint8_t proto;
	uint16_t port;
	int rc;

	if (body.len > IKE_ID_BODY_MAX)
		return cs_fail(err, CS_ELIMIT, "an identity of %zu bytes is too long", body.len);
	rc = split(body, id, &proto, &port, err);
	if (rc)
		return rc;
	/* RFC 2407 section 4.6.2: zero, or UDP port 500; 4500 once NAT traversal moved the ports.
	 */
	if (!((proto == 0 && port == 0) ||
	      (proto == IPPROTO_UDP && (port == 0 || port == 500 || port == 4500))))
		return cs_fail(err, CS_EPARSE, "a phase 1 identity has protocol %u and port %u",
			       proto, port);
	switch (id->type) {
	case POL_ID_IPV4_ADDR:
	case POL_ID_IPV6_ADDR:
		if (id->data.len != cs_addr_len(family_of(id->type)))
			return cs_fail(err, CS_EPARSE, "an address identity has %zu bytes",
				       id->data.len);
		return 0;
	case POL_ID_FQDN:
	case POL_ID_USER_FQDN:
		if (memchr(id->data.p, 0, id->data.len))
			return cs_fail(err, CS_EPARSE, "a name identity holds a zero byte");
		/* fall through */
	case POL_ID_DER_ASN1_DN:
	case POL_ID_KEY_ID:
		if (!id->data.len)
			return cs_fail(err, CS_EPARSE, "an identity is empty");
		return 0;
	default:
		return cs_fail(err, CS_EUNSUPPORTED, "identity type %u is not supported", id->type);
	}
}

int ike_ident_check(const struct pol_ke_rule *rule, struct cs_bytes body,
		    const struct cs_addr *from, struct pol_peer_id *id, struct cs_err *err)
{
	struct cs_addr addr;
	int rc = ike_ident_read(body, id, err);

	if (rc || !from || rule->action->bypass_ip_validation || !family_of(id->type))
		return rc;
	addr = cs_addr_from_bytes(family_of(id->type), id->data.p);
	if (!cs_addr_equal(&addr, from))
		return cs_fail(err, CS_EAUTH,
			       "its address identity is not the address it sends from "
			       "(BypassIpValidation No)");
	return 0;
}

const char *ike_ident_text(struct cs_bytes body, char *buf, size_t size)
{
	struct pol_peer_id id;
	uint8_t proto;
	uint16_t port;

	if (split(body, &id, &proto, &port, NULL)) {
		snprintf(buf, size, "(none)");
		return buf;
	}
	return pol_peer_id_text(&id, buf, size);
}

/* ---- phase 2 ---- */

void ike_ident_put_selector(struct cs_writer *w, const struct cs_range *range, uint8_t proto,
			    uint16_t port)
{
	bool v4 = range->lo.family == AF_INET;
	size_t len = cs_addr_len(range->lo.family);
	int prefix = cs_range_prefix_len(range);
	uint8_t mask[16] = {0};
	unsigned type;

	if (cs_range_is_single(range))
		type = v4 ? POL_ID_IPV4_ADDR : POL_ID_IPV6_ADDR;
	else if (prefix >= 0)
		type = v4 ? ID_IPV4_SUBNET : ID_IPV6_SUBNET;
	else
		type = v4 ? ID_IPV4_RANGE : ID_IPV6_RANGE;
	cs_put_u8(w, (uint8_t)type);
	cs_put_u8(w, proto);
	cs_put_u16(w, port);
	cs_put_bytes(w, range->lo.b, len);
	if (cs_range_is_single(range))
		return;
	if (prefix < 0) {
		cs_put_bytes(w, range->hi.b, len);
		return;
	}
	for (int bit = 0; bit < prefix; bit++)
		mask[bit / 8] = (uint8_t)(mask[bit / 8] | 0x80u >> bit % 8);
	cs_put_bytes(w, mask, len);
}

/* Only masks of ones followed by zeros name a prefix. */
static int mask_length(const uint8_t *mask, size_t len)
{
	int bits = 0;
	bool ended = false;

	for (size_t i = 0; i < 8 * len; i++) {
		bool one = mask[i / 8] & 0x80u >> i % 8;

		if (one && ended)
			return -1;
		ended = !one;
		bits += one;
	}
	return bits;
}

int ike_ident_get_selector(struct cs_bytes body, uint8_t family, struct cs_range *range,
			   uint8_t *proto, uint16_t *port, struct cs_err *err)
{
	struct pol_peer_id id;
	size_t len = cs_addr_len(family);
	bool pair;
	int bits, rc = split(body, &id, proto, port, err);

	if (rc)
		return rc;
	if (!family_of(id.type))
		return cs_fail(err, CS_EUNSUPPORTED, "identity type %u names no addresses",
			       id.type);
	if (family_of(id.type) != family)
		return cs_fail(err, CS_EPOLICY,
			       "data addresses and security endpoints are of different families");
	pair = id.type != POL_ID_IPV4_ADDR && id.type != POL_ID_IPV6_ADDR;
	if (id.data.len != (pair ? 2 * len : len))
		return cs_fail(err, CS_EPARSE, "an address identity has %zu bytes", id.data.len);
	range->lo = range->hi = cs_addr_from_bytes(family, id.data.p);
	if (id.type == ID_IPV4_RANGE || id.type == ID_IPV6_RANGE) {
		range->hi = cs_addr_from_bytes(family, id.data.p + len);
		if (cs_addr_compare(&range->lo, &range->hi) > 0)
			return cs_fail(err, CS_EPARSE, "an address range ends before it begins");
	} else if (pair) {
		bits = mask_length(id.data.p + len, len);
		if (bits < 0)
			return cs_fail(err, CS_EPARSE, "a subnet mask has holes");
		*range = cs_range_prefix(&range->lo, (unsigned)bits);
	}
	return 0;
}
