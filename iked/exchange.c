/*
 * Phase 1 exchanges (RFC 2409 section 5), both roles: which message goes to which handler of the
 * mode, and what the modes have in common.  A message that is malformed, does not decrypt or does
 * not verify changes nothing: the exchange waits for a good one until its time is over, and then
 * says what was wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/exchange.h"
#include "iked/main_mode.h"

typedef void step_fn(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m);

/* What each state expects next; a state that is not here expects nothing. */
struct exchange_step {
	enum ike_exchange_state state;
	enum isa_step step;
	bool encrypted;
	step_fn *handle;
};

const char *ike_exchange_peer(const struct ike_p1 *p1, char buf[static CS_ENDPOINT_STRLEN])
{
	return cs_endpoint_text(&p1->sid.remote, buf);
}

void ike_exchange_note(struct ike_p1 *p1, const char *cause)
{
	size_t len = strnlen(cause, sizeof(p1->ex->cause) - 1);

	memcpy(p1->ex->cause, cause, len);
	p1->ex->cause[len] = 0;
}

/* ---- building ---- */

void ike_exchange_begin(struct ike_engine *e, const struct ike_p1 *p1, struct isa_builder *b)
{
	struct isa_header h = {.version = 0x10, .exchange = ISA_MAIN};

	memcpy(h.icookie, p1->sid.icookie, ISA_COOKIE_LEN);
	memcpy(h.rcookie, p1->sid.rcookie, ISA_COOKIE_LEN);
	isa_begin(b, e->out, IKE_DATAGRAM_MAX, &h);
}

int ike_exchange_end(struct isa_builder *b, size_t *len, struct cs_err *err)
{
	*len = isa_end(b, 0);
	if (!*len)
		return cs_fail(err, CS_ELIMIT, "a message does not fit %u bytes", IKE_DATAGRAM_MAX);
	return 0;
}

int ike_exchange_send(struct ike_engine *e, struct ike_p1 *p1, enum ike_exchange_state state,
		      size_t len, struct cs_err *err)
{
	int rc = ike_rt_start(e, &p1->ex->rt, &p1->timer, &p1->sid.local, &p1->sid.remote, e->out,
			      len, err);

	ike_p1_count(e, p1, len);
	if (!rc)
		p1->state = state;
	return rc;
}

/* The responder's message: kept for a repeated request, never repeated by timer. */
int ike_exchange_answer(struct ike_engine *e, struct ike_p1 *p1, size_t len, struct cs_err *err)
{
	if (ike_answer_keep(&p1->answer, p1->ex->request, e->out, len))
		return cs_fail(err, CS_ENOMEM, "no memory to keep a message");
	ike_p1_count(e, p1, len);
	ike_send(e, &p1->sid.local, &p1->sid.remote, e->out, len);
	return 0;
}

void ike_exchange_nonce(struct ike_engine *e, const struct ike_p1 *p1, struct ike_nonce *nonce)
{
	nonce->len = p1->suite.hash->len > 32 ? 32 : p1->suite.hash->len;
	ike_random(e, nonce->data, nonce->len);
}

/* ---- keys ---- */

int ike_exchange_derive(struct ike_p1 *p1, const struct ike_pk_job *job, struct cs_err *err)
{
	struct ike_exchange *ex = p1->ex;
	const struct cs_hash *h = p1->suite.hash;
	const struct cs_cipher *c = p1->suite.cipher;
	struct cs_bytes gxy = {job->secret, job->group->secret_len};
	struct cs_bytes own = ike_dh_public(ex->dh), peer = {ex->peer_ke, ex->peer_ke_len};
	int rc;

	rc = ike_auth_skeyid(p1, err);
	if (!rc)
		rc = ike_derive(h, c, ex->skeyid, gxy, p1->sid.icookie, p1->sid.rcookie, p1->keys,
				NULL, err);
	if (!rc)
		rc = ike_phase1_iv(h, c, p1->initiator ? own : peer, p1->initiator ? peer : own,
				   p1->iv, err);
	return rc;
}

int ike_exchange_take_ke(struct ike_p1 *p1, const struct isa_message *m, struct ike_nonce *nonce,
			 struct cs_err *err)
{
	struct cs_bytes ke = isa_find(m, ISA_KE, 0)->body, n = isa_find(m, ISA_NONCE, 0)->body;

	if (ke.len != p1->suite.group->public_len || ke.len > sizeof(p1->ex->peer_ke))
		return cs_fail(err, CS_EPARSE, "the KE payload has %zu bytes, %s has %u", ke.len,
			       p1->suite.group->suite, p1->suite.group->public_len);
	if (n.len > sizeof(nonce->data))
		return cs_fail(err, CS_EPARSE, "a nonce of %zu bytes is too long", n.len);
	/* Messages 3 and 4 have one shape: ours, sent back to us, is no answer. */
	if (p1->initiator && n.len == p1->ex->ni.len && !memcmp(n.p, p1->ex->ni.data, n.len))
		return cs_fail(err, CS_EPARSE, "the nonce is our own");
	memcpy(p1->ex->peer_ke, ke.p, ke.len);
	p1->ex->peer_ke_len = (uint16_t)ke.len;
	memcpy(nonce->data, n.p, n.len);
	nonce->len = (uint16_t)n.len;
	return 0;
}

/* ---- dispatch ---- */

static const struct exchange_step steps[] = {
	{IKE_MM_SENT_1, ISA_STEP_MAIN_2, false, ike_main_receive2},
	{IKE_MM_SENT_3, ISA_STEP_MAIN_4, false, ike_main_receive4},
	{IKE_MM_SENT_4, ISA_STEP_MAIN_5_PSK, true, ike_main_receive5},
	{IKE_MM_SENT_5, ISA_STEP_MAIN_6_PSK, true, ike_main_receive6},
};

static const struct exchange_step *step_of(enum ike_exchange_state state)
{
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (steps[i].state == state)
			return &steps[i];
	return NULL;
}

/*
 * Message 5 or 6 does not decrypt or verify.  The responder says so at once and once an exchange;
 * the initiator's message is the one that ends the exchange.
 */
static void complain(struct ike_engine *e, struct ike_p1 *p1, size_t len, const struct cs_err *err)
{
	bool first = !p1->ex->cause[0];
	char peer[CS_ENDPOINT_STRLEN];

	ike_exchange_note(p1, err->text);
	if (p1->initiator)
		return;
	if (!p1->ex->told && ike_take_token(e, &e->cookie_bucket)) {
		ike_logf(e, ike_p1_ctx(p1), CSM_WRONG_KEY, ike_exchange_peer(p1, peer),
			 p1->rule->name, p1->rule->key_fingerprint);
		p1->ex->told = true;
	}
	/* In clear, because the peer cannot read what our key protects. */
	if (first)
		ike_notify_clear(e, &p1->sid.local, &p1->sid.remote, p1->sid.icookie,
				 p1->sid.rcookie, ISA_N_AUTHENTICATION_FAILED, len);
}

void ike_exchange_receive(struct ike_engine *e, struct ike_p1 *p1, const struct isa_header *h,
			  const uint8_t *data, size_t len)
{
	const struct exchange_step *s = step_of(p1->state);
	uint64_t digest = ike_digest(e, data, len);
	struct cs_err err = {0};
	struct isa_message m;
	int rc;

	if (p1->answer.data && p1->answer.digest == digest) {
		e->stats.repeats_answered++;
		ike_send(e, &p1->sid.local, &p1->sid.remote, p1->answer.data, p1->answer.len);
		return;
	}
	/* While message 5 is awaited, clear ones can only be stale; they say nothing about a key.
	 */
	if (!s || s->encrypted != !!(h->flags & ISA_FLAG_ENCRYPTED)) {
		e->stats.dropped_unknown++;
		return;
	}
	if (s->encrypted) {
		rc = ike_open(e, p1, h, data, s->step, p1->iv, NULL, NULL, &m, &err);
		if (rc) {
			complain(e, p1, len, &err);
			return;
		}
	} else {
		rc = isa_chain_parse(h, data + ISA_HEADER_LEN, len - ISA_HEADER_LEN, false, &m,
				     &err);
		if (!rc)
			rc = isa_step_check(&m, s->step, &err);
		if (rc) {
			e->stats.dropped_malformed++;
			ike_exchange_note(p1, err.text);
			return;
		}
	}
	ike_p1_count(e, p1, len);
	p1->ex->request = digest;
	p1->ex->told = false;
	s->handle(e, p1, &m);
}

void ike_exchange_job_done(struct ike_engine *e, struct ike_p1 *p1, struct ike_pk_job *job)
{
	if (job->status) {
		if (job->status == CS_EAUTH)
			ike_notify_clear(e, &p1->sid.local, &p1->sid.remote, p1->sid.icookie,
					 p1->sid.rcookie, ISA_N_INVALID_KEY_INFORMATION, SIZE_MAX);
		ike_p1_fail(e, p1, "%s", job->err.text);
	} else if (p1->state == IKE_MM_BUSY_3) {
		ike_main_send3(e, p1);
	} else if (p1->state == IKE_MM_BUSY_5) {
		ike_main_send5(e, p1, job);
	} else if (p1->state == IKE_MM_BUSY_4 && job->kind == IKE_PK_KEYPAIR) {
		ike_main_compute_secret(e, p1);
	} else if (p1->state == IKE_MM_BUSY_4) {
		ike_main_send4(e, p1, job);
	}
}

/*
 * Anybody on the way can forge an unauthenticated error, so it ends nothing; but it is worth
 * telling, and two more tries are enough when the peer says no.
 */
void ike_exchange_hint(struct ike_engine *e, struct ike_p1 *p1, unsigned type)
{
	char peer[CS_ENDPOINT_STRLEN], cause[IKE_CAUSE_MAX];

	if (!p1->ex || !p1->initiator)
		return;
	snprintf(cause, sizeof(cause), "the peer answered %s (not authenticated)",
		 isa_notify_name(type));
	if (!strcmp(cause, p1->ex->cause))
		return;
	ike_exchange_note(p1, cause);
	ike_rt_hurry(&p1->ex->rt);
	if (ike_take_token(e, &e->log_bucket))
		ike_logf(e, ike_p1_ctx(p1), CSM_HINT, ike_exchange_peer(p1, peer),
			 isa_notify_name(type), p1->rule->name);
}

static unsigned message_sent(const struct ike_p1 *p1)
{
	return p1->state == IKE_MM_SENT_1 ? 1 : p1->state == IKE_MM_SENT_3 ? 3 : 5;
}

/* A responder with another key cannot read message 5, and many say nothing then. */
static void no_answer(struct ike_engine *e, struct ike_p1 *p1)
{
	const char *cause = p1->ex->cause;
	char about_key[160] = "";

	if (p1->state == IKE_MM_SENT_5)
		snprintf(about_key, sizeof(about_key),
			 "; the usual cause is a different preshared key at the peer (ours has "
			 "fingerprint %s)",
			 p1->rule->key_fingerprint);
	ike_p1_fail(e, p1, "no %sanswer to message %u after %u transmissions%s%s%s",
		    cause[0] ? "usable " : "", message_sent(p1), p1->ex->rt.sent,
		    cause[0] ? ": " : "", cause, about_key);
}

void ike_exchange_timeout(struct ike_engine *e, struct ike_p1 *p1)
{
	char peer[CS_ENDPOINT_STRLEN];
	struct ike_exchange *ex = p1->ex;

	if (p1->initiator) {
		if (ike_rt_again(e, &ex->rt, &p1->timer, &p1->sid.local, &p1->sid.remote)) {
			ike_logf(e, ike_p1_ctx(p1), CSM_RETRANSMIT, ike_exchange_peer(p1, peer),
				 message_sent(p1), ex->rt.sent, ex->rt.limit);
			return;
		}
		no_answer(e, p1);
	} else if (ex->cause[0]) {
		ike_p1_fail(
			e, p1,
			"message 5 does not verify with the preshared key (fingerprint %s; %s): "
			"the usual cause is a different key at the peer",
			p1->rule->key_fingerprint, ex->cause);
	} else {
		ike_p1_fail(e, p1, "message 5 did not come");
	}
}
