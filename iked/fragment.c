/*
 * Fragments of ISAKMP messages, by the extension that [MS-IKEE] describes and many vendors have
 * (payload 132).  A whole message is cut into pieces that each fit an IP packet which no router has
 * to fragment; each travels in an ISAKMP message of its own, in clear.  Nothing proves a fragment,
 * so what is put together is as untrusted as any datagram, and putting together is bounded: only
 * for cookies that exist, after both sides have said that they can, one message at a time, in
 * size, number and time, and for all together in memory.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"
#include "iked/vendor.h"

#define FRAGMENT_HEADER 4u /* id, number, flags */
#define FLAG_LAST       1u
#define NUMBER_MAX      64u /* fragments of a message */
#define COLLECT_MS      30000u
#define BYTES_MAX       (8u << 20) /* of all that is being put together */

/* Of an IP packet: what every IPv6 path takes, less what goes before the message, UDP's
 * encapsulation (RFC 3948) included. */
#define PACKET_MAX  1280u
#define IPV4_BEFORE 32u
#define IPV6_BEFORE 52u

struct piece {
	uint8_t *data; /* NULL: it has not come */
	size_t len;
};

/*
 * A message being put together.  It stays when it is whole, until its time is over or another one
 * comes: its repetition is then told from the fragments of another message.
 */
struct ike_fragments {
	struct ike_sid *sid;
	struct ike_list all;
	struct ike_timer timer;
	uint8_t rcookie[ISA_COOKIE_LEN]; /* an initiator may not know it yet */
	uint16_t id;
	unsigned n, highest, last; /* how many are here; last: its number, 0: not known */
	unsigned again;            /* how many have come again since it is whole */
	size_t len;
	bool whole;
	struct piece pieces[NUMBER_MAX];
};

struct fragment {
	uint16_t id;
	uint8_t number;
	bool last;
	struct cs_bytes data;
};

/* ---- in ---- */

void ike_fragments_free(struct ike_engine *e, struct ike_sid *sid)
{
	struct ike_fragments *c = sid->fragments;

	if (!c)
		return;
	sid->fragments = NULL;
	if (!c->whole)
		e->stats.fragments_dropped += c->n;
	for (unsigned i = 0; i < c->highest; i++)
		free(c->pieces[i].data);
	e->fragment_bytes -= sizeof(*c) + c->len;
	ike_list_remove(&c->all);
	ike_timer_unmake(&e->timers, &c->timer);
	free(c);
}

void ike_fragments_move(struct ike_sid *from, struct ike_sid *to)
{
	to->fragments = from->fragments;
	from->fragments = NULL;
	if (to->fragments)
		to->fragments->sid = to;
}

static void too_late(struct ike_engine *e, struct ike_timer *t)
{
	ike_fragments_free(e, IKE_OF(t, struct ike_fragments, timer)->sid);
}

/* Those for which nothing came for longest go, wherever they are from. */
static void bound_memory(struct ike_engine *e, struct ike_fragments *newest)
{
	ike_list_remove(&newest->all);
	ike_list_add_tail(&e->all_fragments, &newest->all);
	while (e->fragment_bytes > BYTES_MAX)
		ike_fragments_free(e,
				   IKE_OF(e->all_fragments.next, struct ike_fragments, all)->sid);
}

static struct ike_fragments *begin(struct ike_engine *e, struct ike_sid *sid,
				   const struct isa_header *h, const struct fragment *f)
{
	struct ike_fragments *c = calloc(1, sizeof(*c));

	if (!c || ike_timer_make(&e->timers, &c->timer, too_late)) {
		free(c);
		return NULL;
	}
	c->sid = sid;
	c->id = f->id;
	memcpy(c->rcookie, h->rcookie, ISA_COOKIE_LEN);
	ike_timer_set(&e->timers, &c->timer, e->now.mono + COLLECT_MS);
	ike_list_add_tail(&e->all_fragments, &c->all);
	e->fragment_bytes += sizeof(*c);
	sid->fragments = c;
	return c;
}

/* A message 2 in fragments brings the vendor ID itself; whom it answers has told the peer. */
static bool may_send(const struct ike_sid *sid)
{
	const struct ike_p1 *p1;

	if (sid->kind == IKE_SID_HALF)
		return IKE_OF(sid, struct ike_half, sid)->can & IKE_CAN_FRAGMENTS;
	p1 = IKE_OF(sid, struct ike_p1, sid);
	return p1->can & IKE_CAN_FRAGMENTS || (p1->initiator && !sid->by_cookies.in);
}

static bool read_fragment(const struct isa_header *h, const uint8_t *data, struct fragment *f)
{
	struct isa_message m;
	struct cs_reader r;
	uint8_t flags;

	if (isa_chain_parse(h, data + ISA_HEADER_LEN, h->length - ISA_HEADER_LEN, false, &m,
			    NULL) ||
	    isa_step_check(&m, ISA_STEP_FRAGMENT, NULL))
		return false;
	r = cs_reader_of(m.payloads[0].body.p, m.payloads[0].body.len);
	if (!cs_get_u16(&r, &f->id) || !cs_get_u8(&r, &f->number) || !cs_get_u8(&r, &flags) ||
	    !cs_get_bytes(&r, cs_reader_left(&r), &f->data))
		return false;
	f->last = flags & FLAG_LAST;
	return f->number && f->number <= NUMBER_MAX && f->data.len;
}

/* Can it be of the message that is being put together, as far as that is known? */
static bool belongs(const struct ike_fragments *c, const struct isa_header *h,
		    const struct fragment *f)
{
	const struct piece *have = &c->pieces[f->number - 1];

	if (c->id != f->id || memcmp(c->rcookie, h->rcookie, ISA_COOKIE_LEN))
		return false;
	if (have->data)
		return f->last == (c->last == f->number) && have->len == f->data.len &&
		       !memcmp(have->data, f->data.p, have->len);
	if (f->last)
		return !c->last && f->number > c->highest;
	return !c->last || f->number < c->last;
}

static bool add(struct ike_engine *e, struct ike_fragments *c, const struct fragment *f)
{
	uint8_t *copy = c->len + f->data.len <= IKE_DATAGRAM_MAX ? malloc(f->data.len) : NULL;

	if (!copy)
		return false;
	memcpy(copy, f->data.p, f->data.len);
	c->pieces[f->number - 1] = (struct piece){copy, f->data.len};
	c->n++;
	c->len += f->data.len;
	e->fragment_bytes += f->data.len;
	if (f->number > c->highest)
		c->highest = f->number;
	if (f->last)
		c->last = f->number;
	bound_memory(e, c);
	return true;
}

static size_t put_together(struct ike_engine *e, struct ike_fragments *c)
{
	size_t at = 0;

	if (!c->last || c->n != c->last)
		return 0;
	c->whole = true;
	c->again = 0;
	for (unsigned i = 0; i < c->last; i++) {
		memcpy(e->whole + at, c->pieces[i].data, c->pieces[i].len);
		at += c->pieces[i].len;
	}
	return at;
}

/*
 * What contradicts begins afresh: peers use one id for all their messages, and a repetition must be
 * able to heal what a made-up fragment has broken.
 */
static struct ike_fragments *collector(struct ike_engine *e, struct ike_sid *sid,
				       const struct isa_header *h, const struct fragment *f)
{
	if (sid->fragments && !belongs(sid->fragments, h, f))
		ike_fragments_free(e, sid);
	return sid->fragments ? sid->fragments : begin(e, sid, h, f);
}

size_t ike_fragment_take(struct ike_engine *e, struct ike_sid *sid, const struct isa_header *h,
			 const uint8_t *data)
{
	struct ike_fragments *c;
	struct fragment f;

	if (!may_send(sid) || !read_fragment(h, data, &f)) {
		e->stats.fragments_dropped++;
		return 0;
	}
	c = collector(e, sid, h, &f);
	if (c && c->pieces[f.number - 1].data) {
		e->stats.fragments_repeated++;
		/* All come again when the peer has no answer. */
		return c->whole && ++c->again == c->n ? put_together(e, c) : 0;
	}
	if (!c || !add(e, c, &f)) {
		e->stats.fragments_dropped++;
		ike_fragments_free(e, sid);
		return 0;
	}
	return put_together(e, c);
}

/* ---- out ---- */

static size_t room_of(const struct ike_p1 *p1)
{
	return PACKET_MAX - (p1->sid.remote.addr.family == AF_INET6 ? IPV6_BEFORE : IPV4_BEFORE);
}

/* Of the message, so that its repetition has the same and the next message another one. */
static uint16_t id_of(const struct ike_engine *e, const uint8_t *data, size_t len)
{
	uint16_t id = (uint16_t)ike_digest(e, data, len);

	return id ? id : 1;
}

struct way {
	const struct cs_endpoint *local, *remote;
};

static void send_fragment(struct ike_engine *e, const struct way *way, const struct isa_header *h,
			  const struct fragment *f)
{
	uint8_t out[PACKET_MAX];
	struct isa_builder b;
	size_t len;

	isa_begin(&b, out, sizeof(out), h);
	isa_payload_begin(&b, ISA_FRAGMENT);
	cs_put_u16(&b.w, f->id);
	cs_put_u8(&b.w, f->number);
	cs_put_u8(&b.w, f->last ? FLAG_LAST : 0);
	cs_put_bytes(&b.w, f->data.p, f->data.len);
	isa_payload_end(&b);
	len = isa_end(&b, 0);
	if (!len)
		return;
	e->stats.fragments_sent++;
	ike_send(e, way->local, way->remote, out, len);
}

void ike_send_p1(struct ike_engine *e, struct ike_p1 *p1, const uint8_t *data, size_t len)
{
	p1->sent_at = e->now.mono;
	ike_send_p1_to(e, p1, &p1->sid.local, &p1->sid.remote, data, len);
}

void ike_send_p1_to(struct ike_engine *e, const struct ike_p1 *p1, const struct cs_endpoint *local,
		    const struct cs_endpoint *remote, const uint8_t *data, size_t len)
{
	const struct way way = {local, remote};
	size_t room = room_of(p1), piece = room - ISA_HEADER_LEN - 4 - FRAGMENT_HEADER;
	struct fragment f = {0};
	struct isa_header h;

	if (len <= room || !(p1->can & IKE_CAN_FRAGMENTS) ||
	    isa_header_parse(data, len, &h, NULL)) {
		ike_send(e, local, remote, data, len);
		return;
	}
	h.flags = 0;
	f.id = id_of(e, data, len);
	while (!f.last) {
		f.number++;
		f.last = len <= piece;
		f.data = (struct cs_bytes){data, f.last ? len : piece};
		send_fragment(e, &way, &h, &f);
		data += f.data.len;
		len -= f.data.len;
	}
}
