/* ISAKMP messages: the header and the payload chain, read and built (RFC 2408 section 3). */
#include "iked/isakmp.h"

#include <string.h>

#define GENERIC_LEN   4
#define NEXT_OFFSET   16
#define LENGTH_OFFSET 24
#define KNOWN_FLAGS   (ISA_FLAG_ENCRYPTED | ISA_FLAG_COMMIT | ISA_FLAG_AUTH_ONLY)

/* Libreswan fills clear messages up to four bytes; peers fill encrypted ones by whole blocks. */
#define CLEAR_FILL_MAX  3
#define CIPHER_FILL_MAX 255

static bool is_zero(const uint8_t *p, size_t len)
{
	uint8_t any = 0;

	for (size_t i = 0; i < len; i++)
		any |= p[i];
	return any == 0;
}

/* Main and Aggressive Mode are phase 1 and have no message id; the rest has one. */
static int check_message_id(const struct isa_header *h, struct cs_err *err)
{
	/* Of a fragment only the cookies count: strongSwan and Cisco have no message id there. */
	if (h->next == ISA_FRAGMENT && !(h->flags & ISA_FLAG_ENCRYPTED))
		return 0;
	switch (h->exchange) {
	case ISA_MAIN:
	case ISA_AGGRESSIVE:
		if (h->message_id != 0)
			return cs_fail(err, CS_EPARSE, "%s message with message id %08x",
				       isa_exchange_name(h->exchange), h->message_id);
		return 0;
	case ISA_QUICK:
	case ISA_TRANSACTION:
		if (h->message_id == 0)
			return cs_fail(err, CS_EPARSE, "%s message without a message id",
				       isa_exchange_name(h->exchange));
		return 0;
	case ISA_INFORMATIONAL:
		if (h->message_id == 0 && h->flags & ISA_FLAG_ENCRYPTED)
			return cs_fail(err, CS_EPARSE,
				       "encrypted Informational message without a message id");
		return 0;
	default:
		return 0;
	}
}

int isa_header_parse(const uint8_t *data, size_t len, struct isa_header *h, struct cs_err *err)
{
	struct cs_reader r = cs_reader_of(data, len);
	struct isa_header p;

	if (!cs_get_copy(&r, p.icookie, ISA_COOKIE_LEN) ||
	    !cs_get_copy(&r, p.rcookie, ISA_COOKIE_LEN) || !cs_get_u8(&r, &p.next) ||
	    !cs_get_u8(&r, &p.version) || !cs_get_u8(&r, &p.exchange) || !cs_get_u8(&r, &p.flags) ||
	    !cs_get_u32(&r, &p.message_id) || !cs_get_u32(&r, &p.length))
		return cs_fail(err, CS_EPARSE, "%zu bytes are no ISAKMP header", len);
	if (p.length != len)
		return cs_fail(err, CS_EPARSE, "the header says %u bytes, the datagram has %zu",
			       p.length, len);
	if (is_zero(p.icookie, ISA_COOKIE_LEN))
		return cs_fail(err, CS_EPARSE, "the initiator cookie is zero");
	if (memcmp(p.icookie, p.rcookie, ISA_COOKIE_LEN) == 0)
		return cs_fail(err, CS_EPARSE, "both cookies are the same");
	/* After the cookies: a reply about the version needs sane ones. */
	if (p.version >> 4 != 1)
		return cs_fail(err, CS_EUNSUPPORTED, "ISAKMP version %u.%u is not supported",
			       p.version >> 4, p.version & 15);
	if (p.flags & ~KNOWN_FLAGS)
		return cs_fail(err, CS_EPARSE, "reserved header flags are set (%02x)", p.flags);
	if (check_message_id(&p, err) < 0)
		return CS_EPARSE;
	*h = p;
	return 0;
}

/* What is left behind the chain must be fill. */
static int check_fill(const struct cs_reader *r, bool padded, struct cs_err *err)
{
	size_t left = cs_reader_left(r);

	if (left > (padded ? CIPHER_FILL_MAX : CLEAR_FILL_MAX))
		return cs_fail(err, CS_EPARSE, "%zu bytes follow the last payload", left);
	if (!padded && !is_zero(r->p, left))
		return cs_fail(err, CS_EPARSE, "bytes that are not zero follow the last payload");
	return 0;
}

/* One payload with its generic header; *type is its type and becomes the next one's. */
static int parse_payload(struct cs_reader *r, uint8_t *type, bool padded, struct isa_payload *p,
			 struct cs_err *err)
{
	struct cs_reader start = *r;
	uint8_t next, reserved;
	uint16_t length;

	if (!cs_get_u8(r, &next) || !cs_get_u8(r, &reserved) || !cs_get_u16(r, &length))
		return cs_fail(err, CS_EPARSE, "the message ends in the header of payload %u (%s)",
			       *type, isa_payload_name(*type));
	if (length < GENERIC_LEN || length > cs_reader_left(&start))
		return cs_fail(err, CS_EPARSE, "payload %u (%s) says %u bytes, %zu are left", *type,
			       isa_payload_name(*type), length, cs_reader_left(&start));
	/* Tolerated in the clear; behind decryption it tells that the key was the wrong one. */
	if (padded && reserved != 0)
		return cs_fail(err, CS_EPARSE, "the reserved byte of payload %u (%s) is set", *type,
			       isa_payload_name(*type));
	p->type = *type;
	cs_get_bytes(&start, length, &p->whole);
	cs_get_bytes(r, length - GENERIC_LEN, &p->body);
	*type = next;
	return 0;
}

int isa_chain_parse(const struct isa_header *h, const uint8_t *body, size_t len, bool padded,
		    struct isa_message *m, struct cs_err *err)
{
	struct cs_reader r = cs_reader_of(body, len);
	uint8_t type = h->next;
	int rc;

	m->header = *h;
	m->n_payloads = 0;
	m->used = 0;
	while (type != ISA_NONE) {
		if (m->n_payloads == ISA_PAYLOADS_MAX)
			return cs_fail(err, CS_EPARSE, "more than %d payloads", ISA_PAYLOADS_MAX);
		rc = parse_payload(&r, &type, padded, &m->payloads[m->n_payloads], err);
		if (rc < 0)
			return rc;
		m->n_payloads++;
	}
	m->used = len - cs_reader_left(&r);
	return check_fill(&r, padded, err);
}

const struct isa_payload *isa_find(const struct isa_message *m, unsigned type, unsigned nth)
{
	for (unsigned i = 0; i < m->n_payloads; i++)
		if (m->payloads[i].type == type && nth-- == 0)
			return &m->payloads[i];
	return NULL;
}

/* ---- building ---- */

void isa_begin(struct isa_builder *b, void *buffer, size_t cap, const struct isa_header *h)
{
	b->w = cs_writer_of(buffer, cap);
	b->next_at = NEXT_OFFSET;
	b->payload_at = 0;
	cs_put_bytes(&b->w, h->icookie, ISA_COOKIE_LEN);
	cs_put_bytes(&b->w, h->rcookie, ISA_COOKIE_LEN);
	cs_put_u8(&b->w, ISA_NONE);
	cs_put_u8(&b->w, h->version);
	cs_put_u8(&b->w, h->exchange);
	cs_put_u8(&b->w, h->flags);
	cs_put_u32(&b->w, h->message_id);
	cs_put_u32(&b->w, 0);
}

void isa_payload_begin(struct isa_builder *b, unsigned type)
{
	cs_patch_u8(&b->w, b->next_at, (uint8_t)type);
	b->next_at = b->payload_at = b->w.len;
	cs_put_u8(&b->w, ISA_NONE);
	cs_put_u8(&b->w, 0);
	cs_put_u16(&b->w, 0);
}

void isa_payload_end(struct isa_builder *b)
{
	size_t len = b->w.len - b->payload_at;

	if (len > UINT16_MAX)
		b->w.overflow = true;
	cs_patch_u16(&b->w, b->payload_at + 2, (uint16_t)len);
}

void isa_put(struct isa_builder *b, unsigned type, const void *body, size_t len)
{
	isa_payload_begin(b, type);
	cs_put_bytes(&b->w, body, len);
	isa_payload_end(b);
}

size_t isa_end(struct isa_builder *b, size_t block)
{
	size_t tail = block > 0 ? (b->w.len - ISA_HEADER_LEN) % block : 0;

	if (tail > 0)
		cs_put_zeros(&b->w, block - tail);
	cs_patch_u32(&b->w, LENGTH_OFFSET, (uint32_t)b->w.len);
	return cs_writer_ok(&b->w) ? b->w.len : 0;
}
