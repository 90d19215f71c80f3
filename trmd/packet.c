/*
 * Headers of IPv4 (RFC 791), IPv6 with its extension headers (RFC 8200, 4302 for AH), and of what
 * is told of the upper layer.
 */
#include "trmd/packet.h"

#include <netinet/in.h>
#include <string.h>

#include "common/buf.h"

#define PROTO_OSPF 89

/* An ICMP header of eight bytes, then as much of the packet as its sender cared for. */
static bool icmp_quotes(uint8_t proto, uint8_t type)
{
	if (proto == IPPROTO_ICMPV6)
		return type < 128;
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

static void icmp(struct cs_reader *r, struct trmd_packet *k)
{
	struct cs_bytes rest;

	if (!cs_get_u8(r, &k->type) || !cs_get_u8(r, &k->code))
		return;
	k->upper = TRMD_UPPER_ICMP;
	if (!icmp_quotes(k->proto, k->type) || !cs_get_bytes(r, 6, &rest) || cs_reader_left(r) == 0)
		return;
	k->quoted = r->p;
	k->quoted_len = cs_reader_left(r);
}

static void upper(struct cs_reader *r, struct trmd_packet *k)
{
	struct cs_bytes before;

	k->upper = TRMD_UPPER_CUT;
	switch (k->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		if (cs_get_u16(r, &k->sport) && cs_get_u16(r, &k->dport))
			k->upper = TRMD_UPPER_PORTS;
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		icmp(r, k);
		break;
	case PROTO_OSPF: /* version, type */
		if (cs_get_bytes(r, 1, &before) && cs_get_u8(r, &k->type))
			k->upper = TRMD_UPPER_TYPE;
		break;
	case IPPROTO_MH: /* next header, length, type */
		if (cs_get_bytes(r, 2, &before) && cs_get_u8(r, &k->type))
			k->upper = TRMD_UPPER_TYPE;
		break;
	default:
		k->upper = TRMD_UPPER_NONE;
	}
}

/* Has the protocol anything behind its number that is told? Of a later fragment it is not there. */
static enum trmd_upper later_fragment(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
	case PROTO_OSPF:
	case IPPROTO_MH:
		return TRMD_UPPER_CUT;
	default:
		return TRMD_UPPER_NONE;
	}
}

static bool ipv4(struct cs_reader *r, struct trmd_packet *k)
{
	uint8_t version, tos, ttl, src[4], dst[4];
	uint16_t len, id, fragment, sum;
	struct cs_bytes options;

	if (!cs_get_u8(r, &version) || version >> 4 != 4 || !cs_get_u8(r, &tos) ||
	    !cs_get_u16(r, &len) || !cs_get_u16(r, &id) || !cs_get_u16(r, &fragment) ||
	    !cs_get_u8(r, &ttl) || !cs_get_u8(r, &k->proto) || !cs_get_u16(r, &sum) ||
	    !cs_get_copy(r, src, 4) || !cs_get_copy(r, dst, 4))
		return false;
	k->src = cs_addr_from_bytes(AF_INET, src);
	k->dst = cs_addr_from_bytes(AF_INET, dst);
	k->len = len;
	k->has_proto = true;
	k->fragment = (fragment & 0x3fff) != 0; /* an offset, or more to come */
	k->upper = later_fragment(k->proto);
	if ((version & 15) >= 5 && (fragment & 0x1fff) == 0 &&
	    cs_get_bytes(r, (size_t)(version & 15) * 4 - 20, &options))
		upper(r, k);
	return true;
}

/*
 * Passes over extension headers; false: the end of the chain cannot be known.  *later: what is
 * behind it is in another fragment.  Each header takes at least eight bytes, so this ends.
 */
static bool extensions(struct cs_reader *r, struct trmd_packet *k, bool *later)
{
	uint8_t next, len;
	uint16_t offset;
	struct cs_bytes rest;

	for (;;) {
		switch (k->proto) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			if (*later) /* it may have begun before */
				return false;
			if (!cs_get_u8(r, &next) || !cs_get_u8(r, &len) ||
			    !cs_get_bytes(r, (size_t)len * 8 + 6, &rest))
				return false;
			break;
		case IPPROTO_FRAGMENT:
			if (*later || !cs_get_u8(r, &next) || !cs_get_u8(r, &len) ||
			    !cs_get_u16(r, &offset) || !cs_get_bytes(r, 4, &rest))
				return false;
			k->fragment = true;
			*later = (offset & 0xfff8) != 0;
			break;
		default:
			return true;
		}
		k->proto = next;
	}
}

static bool ipv6(struct cs_reader *r, struct trmd_packet *k)
{
	uint8_t version, hops, src[16], dst[16];
	struct cs_bytes flow;
	bool later = false;
	uint16_t len;

	if (!cs_get_u8(r, &version) || version >> 4 != 6 || !cs_get_bytes(r, 3, &flow) ||
	    !cs_get_u16(r, &len) || !cs_get_u8(r, &k->proto) || !cs_get_u8(r, &hops) ||
	    !cs_get_copy(r, src, 16) || !cs_get_copy(r, dst, 16))
		return false;
	k->src = cs_addr_from_bytes(AF_INET6, src);
	k->dst = cs_addr_from_bytes(AF_INET6, dst);
	k->len = 40u + len;
	k->has_proto = extensions(r, k, &later);
	if (!k->has_proto)
		k->upper = TRMD_UPPER_CUT;
	else if (later)
		k->upper = later_fragment(k->proto);
	else
		upper(r, k);
	return true;
}

bool trmd_packet_parse(uint8_t family, const uint8_t *p, size_t len, struct trmd_packet *packet)
{
	struct cs_reader r = cs_reader_of(p, len);

	memset(packet, 0, sizeof(*packet));
	if (len == 0)
		return false;
	if (family == 0)
		family = p[0] >> 4 == 4 ? AF_INET : p[0] >> 4 == 6 ? AF_INET6 : 0;
	return family == AF_INET ? ipv4(&r, packet) : family == AF_INET6 ? ipv6(&r, packet) : false;
}
