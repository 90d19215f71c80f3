/*
 * Quick Mode (RFC 2409 section 5.5): what both roles do, and which message goes where.
 *
 * The commit bit (RFC 2408 section 3.1) asks for a fourth message, CONNECTED, when the responder
 * has its SAs.  The bit is of the header, which no HASH covers: whoever is on the path can set it.
 * So all that it does is a message more from the responder, and a moment's wait of the initiator.
 */
#include <netinet/in.h>
#include <string.h>

#include "iked/engine_private.h"

#define INHERITED_MS 500u /* between repetitions of an answer whose request is not known */

void ike_quick_note(struct ike_p2 *p2, const char *cause)
{
	size_t len = strnlen(cause, sizeof(p2->qm->cause) - 1);

	memcpy(p2->qm->cause, cause, len);
	p2->qm->cause[len] = 0;
}

uint64_t ike_quick_busy_ms(const struct ike_engine *e)
{
	return ike_rt_total(e) / 2;
}

void ike_quick_busy(struct ike_engine *e, struct ike_p2 *p2, enum ike_quick_state state)
{
	p2->state = state;
	ike_timer_set(&e->timers, &p2->timer, e->now.mono + ike_quick_busy_ms(e));
}

void ike_quick_make_nonce(struct ike_engine *e, const struct ike_p1 *p1, struct ike_nonce *n)
{
	n->len = p1->suite.hash->len > 32 ? 32 : p1->suite.hash->len;
	ike_random(e, n->data, n->len);
}

/* What the kernel says about an SA leads to its pair by address and SPI, whosever it is. */
static int check_spi(const struct ike_engine *e, const struct cs_addr *remote, uint8_t proto,
		     uint32_t spi, struct cs_err *err)
{
	const struct ike_p2 *p2 = ike_p2_by_spi(e, false, remote, proto, spi);

	if (!p2 || !p2->up)
		return 0;
	return cs_fail(err, CS_EPOLICY, "tunnel Y%u has the SPI %08x", p2->tunnel->number, spi);
}

int ike_quick_check_spis(const struct ike_engine *e, const struct cs_addr *remote,
			 const struct ike_p2_suite *s, struct cs_err *err)
{
	int rc = check_spi(e, remote, ike_ipproto(s->protocol), s->spi, err);

	return rc || !s->ah ? rc : check_spi(e, remote, IPPROTO_AH, s->ah_spi, err);
}

int ike_quick_take_ke(struct ike_p2 *p2, const struct isa_message *m, const struct cs_group *group,
		      struct ike_nonce *nonce, struct cs_err *err)
{
	const struct isa_payload *ke = isa_find(m, ISA_KE, 0);
	struct cs_bytes n = isa_find(m, ISA_NONCE, 0)->body;
	struct ike_quick *qm = p2->qm;

	if (n.len > sizeof(nonce->data))
		return cs_fail(err, CS_EPARSE, "a nonce of %zu bytes is too long", n.len);
	if (!group != !ke)
		return cs_fail(err, CS_EPARSE,
			       group ? "PFS was agreed, but there is no KE payload"
				     : "a KE payload without PFS");
	if (group && (ke->body.len != group->public_len || ke->body.len > sizeof(qm->peer_ke)))
		return cs_fail(err, CS_EPARSE, "the KE payload has %zu bytes, %s has %u",
			       ke->body.len, group->suite, group->public_len);
	if (group) {
		memcpy(qm->peer_ke, ke->body.p, ke->body.len);
		qm->peer_ke_len = (uint16_t)ke->body.len;
	}
	memcpy(nonce->data, n.p, n.len);
	nonce->len = (uint16_t)n.len;
	return 0;
}

/* IDci, then IDcr. */
void ike_quick_put_ids(struct isa_builder *b, const struct ike_p2 *p2)
{
	const struct cs_selector *s = &p2->qm->named;
	const struct cs_range *ci = p2->initiator ? &s->local : &s->remote;
	const struct cs_range *cr = p2->initiator ? &s->remote : &s->local;

	isa_payload_begin(b, ISA_ID);
	ike_ident_put_selector(&b->w, ci, s->proto, p2->initiator ? s->local_port : s->remote_port);
	isa_payload_end(b);
	isa_payload_begin(b, ISA_ID);
	ike_ident_put_selector(&b->w, cr, s->proto, p2->initiator ? s->remote_port : s->local_port);
	isa_payload_end(b);
}

int ike_quick_send(struct ike_engine *e, struct ike_p2 *p2, size_t len, struct cs_err *err)
{
	ike_p1_count(e, p2->p1, len);
	return ike_rt_start(e, &p2->qm->rt, &p2->timer, p2->p1, e->out, len, err);
}

static void drop(struct ike_engine *e, const struct ike_p1 *p1, const char *why)
{
	char peer[CS_ENDPOINT_STRLEN];

	ike_logf(e, ike_p1_ctx(p1), CSM_DROPPED, "Quick Mode",
		 cs_endpoint_text(&p1->sid.remote, peer), why);
}

/* Message 1 of an exchange that the peer begins. */
static void receive_first(struct ike_engine *e, struct ike_p1 *p1, const struct isa_header *h,
			  const uint8_t *data, uint64_t digest)
{
	uint8_t iv[IKE_BLOCK_MAX];
	struct cs_err err = {0};
	struct isa_message m;
	int rc;

	if (ike_mid_used(p1, h->message_id)) {
		e->stats.dropped_unknown++;
		p1->counts.repeated++;
		return;
	}
	if (p1->n_quick >= IKE_QUICKS_MAX) { /* the peer repeats it, and then there is room */
		e->stats.dropped_limit++;
		return;
	}
	rc = ike_phase2_iv(p1->suite.hash, p1->suite.cipher, p1->iv, h->message_id, iv, &err);
	if (!rc)
		rc = ike_open(e, p1, h, data, ISA_STEP_QUICK_1, iv, NULL, NULL, &m, &err);
	if (!rc && ike_mid_use(p1, h->message_id))
		rc = cs_fail(&err, CS_ENOMEM, "no memory for a message id");
	if (rc) {
		drop(e, p1, err.text);
		return;
	}
	ike_p1_count(e, p1, h->length);
	ike_dpd_heard(e, p1);
	ike_path_heard(e, p1, !p1->forgot);
	ike_client_heard(e, p1);
	ike_quick_receive1(e, p1, &m, iv, digest);
}

/* Which message may come now; false: none. */
static bool next_step(const struct ike_p2 *p2, enum isa_step *step)
{
	if (p2->initiator && p2->state == IKE_QM_SENT_1)
		*step = ISA_STEP_QUICK_2;
	else if (p2->initiator && p2->state == IKE_QM_SENT_3)
		*step = ISA_STEP_QUICK_4;
	else if (!p2->initiator && p2->state == IKE_QM_SENT_2)
		*step = ISA_STEP_QUICK_3;
	else
		return false;
	return true;
}

/*
 * What it was the answer to is not known any more; whatever is not the next step may be that.  The
 * peer may have been killed as well and think the same, so it is not answered each time.
 */
static bool repeat_inherited(struct ike_engine *e, struct ike_p2 *p2)
{
	if (!p2->answer.inherited || e->now.mono < p2->answer.next)
		return false;
	p2->answer.next = e->now.mono + INHERITED_MS;
	e->stats.repeats_answered++;
	ike_send_again(e, p2->p1, p2->answer.data, p2->answer.len);
	return true;
}

/* Message 2, 3 or 4 of an exchange that we know. */
static void receive_next(struct ike_engine *e, struct ike_p2 *p2, const struct isa_header *h,
			 const uint8_t *data, uint64_t digest)
{
	enum isa_step step;
	struct cs_err err = {0};
	struct isa_message m;

	if (!next_step(p2, &step)) {
		if (!repeat_inherited(e, p2))
			e->stats.dropped_unknown++;
		return;
	}
	if (ike_open(e, p2->p1, h, data, step, p2->qm->iv, &p2->qm->ni, &p2->qm->nr, &m, &err)) {
		if (repeat_inherited(e, p2))
			return;
		ike_quick_note(p2, err.text);
		drop(e, p2->p1, err.text);
		return;
	}
	ike_p1_count(e, p2->p1, h->length);
	ike_dpd_heard(e, p2->p1);
	ike_path_heard(e, p2->p1, true);
	if (p2->dead) /* it could not go along */
		return;
	ike_client_heard(e, p2->p1);
	if (step == ISA_STEP_QUICK_4) {
		ike_quick_receive4(e, p2, &m);
		return;
	}
	p2->qm->request = digest;
	if (h->flags & ISA_FLAG_COMMIT)
		p2->qm->commit = true;
	if (step == ISA_STEP_QUICK_2)
		ike_quick_receive2(e, p2, &m);
	else
		ike_quick_receive3(e, p2, &m);
}

void ike_quick_receive(struct ike_engine *e, struct ike_p1 *p1, const struct isa_header *h,
		       const uint8_t *data, size_t len)
{
	uint64_t digest = ike_digest(e, data, len);
	struct ike_p2 *p2;

	if (!p1->authenticated) {
		ike_exchange_early(e, p1, data, len);
		return;
	}
	if (!ike_client_in(p1)) {
		e->stats.dropped_unknown++;
		drop(e, p1, "its client's user is not known yet");
		return;
	}
	p2 = ike_p2_by_mid(e, p1, h->message_id);
	if (p2 && p2->answer.data && p2->answer.digest == digest) {
		e->stats.repeats_answered++;
		p1->counts.repeated++;
		ike_send_again(e, p1, p2->answer.data, p2->answer.len);
	} else if (p2) {
		receive_next(e, p2, h, data, digest);
	} else {
		receive_first(e, p1, h, data, digest);
	}
}
