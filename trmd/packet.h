/*
 * What a log line tells of an IP packet, from as much of it as there is.  Nothing in it is trusted:
 * what is cut off, or contradicts itself, is "not known" from there on.
 */
#ifndef TRMD_PACKET_H
#define TRMD_PACKET_H

#include "common/addr.h"

/* The first bytes of the upper layer. */
enum trmd_upper {
	TRMD_UPPER_NONE,  /* a protocol of which nothing more is told */
	TRMD_UPPER_CUT,   /* in a later fragment's packet, or behind the end of what there is */
	TRMD_UPPER_PORTS, /* TCP, UDP */
	TRMD_UPPER_ICMP,  /* type and code */
	TRMD_UPPER_TYPE,  /* OSPF, mobility header */
};

struct trmd_packet {
	struct cs_addr src, dst;
	bool has_proto; /* false: the chain of headers is cut off */
	uint8_t proto;  /* behind IPv6's extension headers */
	bool fragment;
	uint32_t len; /* of the packet, as its header says */
	enum trmd_upper upper;
	uint16_t sport, dport; /* of TRMD_UPPER_PORTS */
	uint8_t type, code;    /* of TRMD_UPPER_ICMP; TRMD_UPPER_TYPE has a type */
	/* What an ICMP error quotes begins here; NULL: it is none, or quotes nothing. */
	const uint8_t *quoted;
	size_t quoted_len;
};

/* False: there are not even addresses. Family is AF_INET, AF_INET6, or 0: as the packet says. */
bool trmd_packet_parse(uint8_t family, const uint8_t *p, size_t len, struct trmd_packet *packet);

#endif
