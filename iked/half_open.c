/*
 * Main Mode message 1 as responder: a small record, and no Diffie-Hellman before the peer has
 * echoed our cookie.  Records are bounded, together with the exchanges whose peer is not
 * authenticated: the oldest one that nobody answered gives way, and some room is kept for peers
 * whose address the policy names.
 */
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"
#include "iked/vendor.h"

static void half_timer(struct ike_engine *e, struct ike_timer *t)
{
	ike_half_free(e, IKE_OF(t, struct ike_half, timer));
}

void ike_half_free(struct ike_engine *e, struct ike_half *h)
{
	ike_sid_unlink(e, &h->sid);
	ike_list_remove(&h->sid.half);
	e->n_half[h->sid.named]--;
	e->stats.half_open--;
	ike_timer_unmake(&e->timers, &h->timer);
	free(h);
}

/* ---- admission ---- */

void ike_half_enter_p1(struct ike_engine *e, struct ike_p1 *p1, unsigned stage)
{
	ike_list_add_tail(&e->half[p1->sid.named][stage], &p1->sid.half);
	e->n_half[p1->sid.named]++;
	e->stats.half_open++;
}

void ike_half_leave_p1(struct ike_engine *e, struct ike_p1 *p1)
{
	if (ike_list_empty(&p1->sid.half))
		return;
	ike_list_remove(&p1->sid.half);
	e->n_half[p1->sid.named]--;
	e->stats.half_open--;
}

/* Unanswered ones first; true when one went. */
static bool evict(struct ike_engine *e, unsigned tier)
{
	for (unsigned stage = 0; stage < IKE_N_STAGES; stage++) {
		struct ike_list *oldest = e->half[tier][stage].next;
		struct ike_sid *sid;

		if (ike_list_empty(&e->half[tier][stage]))
			continue;
		sid = IKE_OF(oldest, struct ike_sid, half);
		e->stats.dropped_limit++;
		if (sid->kind == IKE_SID_HALF)
			ike_half_free(e, IKE_OF(sid, struct ike_half, sid));
		else
			ike_p1_fail(e, IKE_OF(sid, struct ike_p1, sid),
				    "too many negotiations without an authenticated peer");
		return true;
	}
	return false;
}

bool ike_half_make_room(struct ike_engine *e, bool named)
{
	unsigned all = e->n_half[IKE_UNNAMED] + e->n_half[IKE_NAMED];

	if (!named && e->n_half[IKE_UNNAMED] >= e->set.max_half_open - e->set.reserved_half_open)
		return evict(e, IKE_UNNAMED);
	if (all < e->set.max_half_open)
		return true;
	return evict(e, IKE_UNNAMED) || (named && evict(e, IKE_NAMED));
}

bool ike_half_named(const struct pol_ke_rule *rule, const struct cs_addr *addr)
{
	for (unsigned i = 0; i < rule->remote.n_locations; i++)
		if (cs_range_is_single(&rule->remote.locations[i]) &&
		    cs_addr_equal(&rule->remote.locations[i].lo, addr))
			return true;
	return false;
}

/* ---- message 2 ---- */

static void send_message2(struct ike_engine *e, struct ike_half *h)
{
	struct isa_header header = {.version = 0x10, .exchange = ISA_MAIN};
	struct isa_builder b;
	unsigned say, told;
	size_t len;

	memcpy(header.icookie, h->sid.icookie, ISA_COOKIE_LEN);
	memcpy(header.rcookie, h->sid.rcookie, ISA_COOKIE_LEN);
	isa_begin(&b, e->out, IKE_DATAGRAM_MAX, &header);
	isa_payload_begin(&b, ISA_SA);
	if (ike_p1_answer(&h->suite, &b.w, NULL))
		return;
	isa_payload_end(&b);
	/* The address may be forged: no more bytes go out than came in. What does not fit the peer
	 * will not know. */
	say = (h->suite.xauth ? IKE_CAN_XAUTH : 0) | (h->can & IKE_CAN_NATT);
	told = ike_vendor_put(&b, h->room, say);
	h->can &= (uint8_t)(told | ~(IKE_CAN_FRAGMENTS | IKE_CAN_NATT));
	len = isa_end(&b, 0);
	if (len)
		ike_send(e, &h->sid.local, &h->sid.remote, e->out, len);
}

/* Keyed hash of what names the exchange; the serial number makes each record's cookie its own. */
static int make_cookie(struct ike_engine *e, struct ike_half *h, struct cs_err *err)
{
	const struct ike_sid *s = &h->sid;
	struct ike_part parts[] = {
		{s->local.addr.b, sizeof(s->local.addr.b)},
		{&s->local.port, sizeof(s->local.port)},
		{s->remote.addr.b, sizeof(s->remote.addr.b)},
		{&s->remote.port, sizeof(s->remote.port)},
		{s->icookie, ISA_COOKIE_LEN},
		{&s->born, sizeof(s->born)},
	};
	uint8_t out[IKE_HASH_MAX];
	int rc = ike_prf(cs_hash_by_keyword("SHA2_256"), e->cookie_key, sizeof(e->cookie_key),
			 parts, sizeof(parts) / sizeof(parts[0]), out, err);

	if (rc)
		return rc;
	memcpy(h->sid.rcookie, out, ISA_COOKIE_LEN);
	h->sid.rcookie[0] |= 1; /* never zero */
	return 0;
}

/* ---- message 1 ---- */

static void remember(struct ike_engine *e, const struct ike_first *f, const struct isa_message *m,
		     const struct pol_ke_rule *rule, const struct ike_p1_suite *suite)
{
	struct cs_bytes sa = isa_find(m, ISA_SA, 0)->body;
	bool named = ike_half_named(rule, &f->remote->addr);
	struct ike_half *h;
	unsigned can;

	if (!ike_half_make_room(e, named)) {
		e->stats.dropped_limit++;
		return;
	}
	h = calloc(1, sizeof(*h) + sa.len);
	if (!h)
		return;
	h->sid.kind = IKE_SID_HALF;
	memcpy(h->sid.icookie, f->h->icookie, ISA_COOKIE_LEN);
	h->sid.local = *f->local;
	h->sid.remote = *f->remote;
	h->sid.named = named;
	h->sid.born = ike_serial(e);
	h->digest = f->digest;
	h->rule = rule;
	h->suite = *suite;
	can = ike_vendor_read(m);
	h->can = (uint8_t)((can & ~IKE_CAN_NATT) | ike_nat_choose(rule, &f->remote->addr, can));
	h->room = f->len;
	h->sa_len = sa.len;
	memcpy(h->sa, sa.p, sa.len);
	if (make_cookie(e, h, NULL) || ike_timer_make(&e->timers, &h->timer, half_timer)) {
		free(h);
		return;
	}
	ike_timer_set(&e->timers, &h->timer, e->now.mono + ike_rt_total(e));
	ike_sid_link(e, &h->sid);
	ike_list_add_tail(&e->half[named][IKE_UNANSWERED], &h->sid.half);
	e->n_half[named]++;
	e->stats.half_open++;
	send_message2(e, h);
}

void ike_half_receive(struct ike_engine *e, const struct cs_endpoint *local,
		      const struct cs_endpoint *remote, const struct isa_header *h,
		      const uint8_t *data, size_t len)
{
	struct ike_first f = {local, remote, h, len, ike_digest(e, data, len)};
	struct ike_sid *sid = ike_sid_by_icookie(e, h->icookie, remote);
	const struct pol_ke_rule *rule;
	struct ike_p1_suite suite;
	struct isa_message m;

	if (sid) {
		struct ike_half *half = IKE_OF(sid, struct ike_half, sid);

		if (sid->kind == IKE_SID_HALF && half->digest == f.digest) {
			e->stats.repeats_answered++;
			send_message2(e, half);
		} else {
			e->stats.dropped_unknown++;
		}
		return;
	}
	if (h->flags & (ISA_FLAG_ENCRYPTED | ISA_FLAG_AUTH_ONLY) ||
	    isa_chain_parse(h, data + ISA_HEADER_LEN, len - ISA_HEADER_LEN, false, &m, NULL) ||
	    isa_step_check(&m, ISA_STEP_MAIN_1, NULL)) {
		e->stats.dropped_malformed++;
		return;
	}
	if (ike_first_choose(e, &f, &m, NULL, &rule, &suite))
		remember(e, &f, &m, rule, &suite);
}
