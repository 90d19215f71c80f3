/* Just enough of pcap to get the ISAKMP messages out of a capture. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/isakmp.h"
#include "kat.h"

#define FILE_MAX_BYTES   (16 * 1024 * 1024)
#define FRAGMENT_PAYLOAD 132 /* IKE fragmentation of Cisco and strongSwan */
#define FRAGMENTS_MAX    16

enum {
	LINK_NULL = 0,
	LINK_ETHERNET = 1,
	LINK_RAW_BSD = 12,
	LINK_RAW = 101,
	LINK_SLL = 113,
	LINK_SLL2 = 276
};

static uint8_t *read_file(const char *path, size_t *len, struct cs_err *err)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;

	if (!f) {
		cs_fail_errno(err, "%s", path);
		return NULL;
	}
	data = malloc(FILE_MAX_BYTES);
	if (!data) {
		cs_fail(err, CS_ENOMEM, "%s: no memory", path);
	} else {
		*len = fread(data, 1, FILE_MAX_BYTES, f);
		if (ferror(f) || !feof(f)) {
			cs_fail(err, CS_EPARSE, "%s cannot be read or is too long", path);
			free(data);
			data = NULL;
		}
	}
	fclose(f);
	return data;
}

/* ---- layers: each leaves r behind its header; false: not for us ---- */

static bool skip(struct cs_reader *r, size_t len)
{
	struct cs_bytes b;

	return cs_get_bytes(r, len, &b);
}

static bool strip_link(struct cs_reader *r, uint32_t link)
{
	uint16_t type;

	switch (link) {
	case LINK_RAW:
	case LINK_RAW_BSD:
		return true;
	case LINK_NULL:
		return skip(r, 4);
	case LINK_ETHERNET:
		if (!skip(r, 12) || !cs_get_u16(r, &type))
			return false;
		while (type == 0x8100 || type == 0x88a8)
			if (!skip(r, 2) || !cs_get_u16(r, &type))
				return false;
		return type == 0x0800 || type == 0x86dd;
	case LINK_SLL:
		return skip(r, 14) && cs_get_u16(r, &type) && (type == 0x0800 || type == 0x86dd);
	case LINK_SLL2:
		return cs_get_u16(r, &type) && (type == 0x0800 || type == 0x86dd) && skip(r, 18);
	default:
		return false;
	}
}

/* IPv6 extension headers and IP fragments do not occur in what we read. */
static bool strip_ip(struct cs_reader *r, struct cs_addr *src, struct cs_addr *dst)
{
	uint8_t first, protocol, raw[16];
	uint8_t family;
	size_t options = 0;

	if (!cs_get_u8(r, &first))
		return false;
	if (first >> 4 == 4) {
		family = AF_INET;
		options = (first & 15u) * 4;
		if (options < 20 || !skip(r, 8) || !cs_get_u8(r, &protocol) || !skip(r, 2))
			return false;
		options -= 20;
	} else if (first >> 4 == 6) {
		family = AF_INET6;
		if (!skip(r, 5) || !cs_get_u8(r, &protocol) || !skip(r, 1))
			return false;
	} else {
		return false;
	}
	if (!cs_get_copy(r, raw, cs_addr_len(family)))
		return false;
	*src = cs_addr_from_bytes(family, raw);
	if (!cs_get_copy(r, raw, cs_addr_len(family)))
		return false;
	*dst = cs_addr_from_bytes(family, raw);
	return skip(r, options) && protocol == 17;
}

static bool strip_udp(struct cs_reader *r, struct cs_endpoint *src, struct cs_endpoint *dst)
{
	uint16_t length, sum;
	struct cs_bytes body;
	uint32_t marker;

	if (!cs_get_u16(r, &src->port) || !cs_get_u16(r, &dst->port) || !cs_get_u16(r, &length) ||
	    !cs_get_u16(r, &sum) || length < 8 || !cs_get_bytes(r, length - 8u, &body))
		return false;
	*r = cs_reader_of(body.p, body.len);
	if (src->port == 4500 || dst->port == 4500)
		return cs_get_u32(r, &marker) && marker == 0; /* else it is ESP */
	return src->port == 500 || dst->port == 500;
}

/* ---- messages ---- */

static bool seen(const struct kat_trace *t, struct cs_bytes b)
{
	for (unsigned i = 0; i < t->n; i++)
		if (t->messages[i].len == b.len && memcmp(t->messages[i].data, b.p, b.len) == 0)
			return true;
	return false;
}

static int add(struct kat_trace *t, const struct cs_endpoint *src, const struct cs_endpoint *dst,
	       struct cs_bytes b, struct cs_err *err)
{
	struct kat_message *m = &t->messages[t->n];

	if (seen(t, b))
		return 0;
	if (t->n == KAT_MESSAGES_MAX)
		return cs_fail(err, CS_ELIMIT, "more than %d messages", KAT_MESSAGES_MAX);
	m->data = malloc(b.len ? b.len : 1);
	if (!m->data)
		return cs_fail(err, CS_ENOMEM, "no memory");
	memcpy(m->data, b.p, b.len);
	m->len = b.len;
	m->src = *src;
	m->dst = *dst;
	t->n++;
	return 0;
}

/* Fragments of the message that is under way. */
struct fragments {
	struct cs_bytes parts[FRAGMENTS_MAX]; /* views into the file */
	unsigned last;                        /* number of the last one, from 1; 0: not seen */
};

/* Takes a fragment; true when whole has the complete message. */
static bool join(struct fragments *f, const struct isa_payload *p, struct cs_writer *whole)
{
	struct cs_reader r = cs_reader_of(p->body.p, p->body.len);
	uint16_t id;
	uint8_t number, flags;

	if (!cs_get_u16(&r, &id) || !cs_get_u8(&r, &number) || !cs_get_u8(&r, &flags) ||
	    number == 0 || number > FRAGMENTS_MAX)
		return false;
	cs_get_bytes(&r, cs_reader_left(&r), &f->parts[number - 1]);
	if (flags & 1)
		f->last = number;
	if (!f->last)
		return false;
	for (unsigned i = 0; i < f->last; i++) {
		if (!f->parts[i].p)
			return false;
		cs_put_bytes(whole, f->parts[i].p, f->parts[i].len);
	}
	memset(f, 0, sizeof(*f));
	return cs_writer_ok(whole);
}

static int take_packet(struct cs_reader r, uint32_t link, struct fragments *f, struct kat_trace *t,
		       struct cs_err *err)
{
	static uint8_t buffer[ISA_MESSAGE_MAX];
	struct cs_writer whole = cs_writer_of(buffer, sizeof(buffer));
	struct cs_endpoint src, dst;
	const struct isa_payload *p;
	struct isa_header h;
	struct isa_message m;
	struct cs_bytes b;

	if (!strip_link(&r, link) || !strip_ip(&r, &src.addr, &dst.addr) ||
	    !strip_udp(&r, &src, &dst))
		return 0;
	cs_get_bytes(&r, cs_reader_left(&r), &b);
	if (isa_header_parse(b.p, b.len, &h, err) < 0)
		return err->code;
	if (h.next != FRAGMENT_PAYLOAD)
		return add(t, &src, &dst, b, err);
	if (isa_chain_parse(&h, b.p + ISA_HEADER_LEN, b.len - ISA_HEADER_LEN, false, &m, err) < 0)
		return err->code;
	p = isa_find(&m, FRAGMENT_PAYLOAD, 0);
	if (!p || !join(f, p, &whole))
		return 0;
	return add(t, &src, &dst, (struct cs_bytes){buffer, whole.len}, err);
}

static uint32_t swapped(uint32_t v)
{
	return v >> 24 | (v >> 8 & 0xff00) | (v << 8 & 0xff0000) | v << 24;
}

int kat_read_pcap(const char *path, struct kat_trace *trace, struct cs_err *err)
{
	struct fragments fragments = {0};
	uint32_t magic, link, v[4];
	struct cs_reader r;
	size_t len;
	bool little;
	int rc = 0;
	uint8_t *data = read_file(path, &len, err);

	trace->n = 0;
	if (!data)
		return err->code;
	r = cs_reader_of(data, len);
	if (!cs_get_u32(&r, &magic) || !skip(&r, 16) || !cs_get_u32(&r, &link)) {
		rc = cs_fail(err, CS_EPARSE, "%s is no pcap file", path);
		goto out;
	}
	/* With microseconds or nanoseconds, in either byte order. */
	little = magic == 0xd4c3b2a1 || magic == 0x4d3cb2a1;
	if (!little && magic != 0xa1b2c3d4 && magic != 0xa1b23c4d) {
		rc = cs_fail(err, CS_EPARSE, "%s is no pcap file", path);
		goto out;
	}
	link = (little ? swapped(link) : link) & 0xffff;
	while (rc == 0 && cs_get_u32(&r, &v[0]) && cs_get_u32(&r, &v[1]) && cs_get_u32(&r, &v[2]) &&
	       cs_get_u32(&r, &v[3])) {
		struct cs_bytes packet;

		if (!cs_get_bytes(&r, little ? swapped(v[2]) : v[2], &packet)) {
			rc = cs_fail(err, CS_EPARSE, "%s is cut short", path);
			break;
		}
		rc = take_packet(cs_reader_of(packet.p, packet.len), link, &fragments, trace, err);
	}
	if (rc == 0 && trace->n == 0)
		rc = cs_fail(err, CS_EPARSE, "%s has no ISAKMP message", path);
	if (rc < 0)
		kat_trace_free(trace);
out:
	free(data);
	return rc;
}

void kat_trace_free(struct kat_trace *trace)
{
	for (unsigned i = 0; i < trace->n; i++)
		free(trace->messages[i].data);
	trace->n = 0;
}
