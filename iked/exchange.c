/*
 * Phase 1 exchanges (RFC 2409 section 5), both roles: which message goes to which handler of the
 * mode, and what the modes have in common.  A message that is malformed, does not decrypt or does
 * not verify changes nothing: the exchange waits for a good one until its time is over, and then
 * says what was wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/aggressive.h"
#include "iked/exchange.h"
#include "iked/main_mode.h"

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

static unsigned exchange_of(const struct ike_p1 *p1)
{
	return p1->mode == POL_MODE_AGGRESSIVE ? ISA_AGGRESSIVE : ISA_MAIN;
}

/* ---- beginning ---- */

static void log_start(struct ike_engine *e, const struct ike_p1 *p1)
{
	char peer[CS_ENDPOINT_STRLEN];

	ike_logf(e, ike_p1_ctx(p1), CSM_P1_START, isa_exchange_name(exchange_of(p1)),
		 ike_exchange_peer(p1, peer), p1->initiator ? "initiator" : "responder",
		 p1->rule->name);
}

/* Aggressive Mode's message 1 may come from anywhere, Main Mode's third has echoed our cookie. */
struct ike_bucket *ike_exchange_log_bucket(struct ike_engine *e, const struct ike_p1 *p1)
{
	return p1->mode == POL_MODE_AGGRESSIVE ? &e->log_bucket : &e->cookie_bucket;
}

static int may_initiate(const struct ike_engine *e, const struct pol_ke_rule *rule,
			struct cs_err *err)
{
	if (rule->action->initiate == POL_MODE_DONOT)
		return cs_fail(err, CS_EPOLICY,
			       "KeyExchangeAction %s does not initiate (HowToInitiate DoNot)",
			       rule->action->name);
	if (!rule->shared_key.p && !ike_p1_offers_rsa(rule->action, ike_certs_usable(e), -1))
		return cs_fail(err, CS_EPOLICY,
			       "KeyExchangeRule %s has no SharedKey, and certificates cannot be "
			       "had without a keyring",
			       rule->name);
	return 0;
}

int ike_exchange_initiate(struct ike_engine *e, const struct ike_first_try *f,
			  struct ike_p1 **p1_out, struct cs_err *err)
{
	static const uint8_t no_cookie[ISA_COOKIE_LEN];
	uint8_t icookie[ISA_COOKIE_LEN];
	struct ike_p1 *p1;
	int rc = may_initiate(e, f->rule, err);

	if (!rc)
		rc = ike_passive_check(e, &f->from.addr, err);
	if (rc)
		return rc;
	ike_random(e, icookie, sizeof(icookie));
	icookie[0] |= 1; /* never zero */
	p1 = ike_p1_new(e, true, &f->from, &f->to, icookie, no_cookie);
	if (!p1)
		return cs_fail(err, CS_ELIMIT, "no room for another phase 1 SA");
	p1->policy = pol_ref(e->policy);
	p1->rule = f->rule;
	p1->mode = f->mode;
	p1->ex->only = f->only;
	if (f->old) {
		p1->ex->successor_of = f->old->tunnel;
		ike_p1_share(p1, f->old);
		p1->generation = f->old->generations->n + 1; /* unless another one is up before */
		ike_p1_renumber(e, p1, f->old->tunnel);
	}
	if (f->heir_of)
		ike_takeover_p1_begun(e, f->heir_of, p1);
	rc = ike_ident_own(f->rule, &p1->ex->id, &p1->ex->id_len, err);
	if (!rc && p1->mode == POL_MODE_AGGRESSIVE)
		rc = ike_aggressive_begin(e, p1, err);
	else if (!rc)
		rc = ike_main_begin(e, p1, err);
	if (rc) {
		ike_p1_unlink(e, p1);
		return rc;
	}
	if (p1->dead)
		return cs_fail(err, CS_ECRYPTO, "the phase 1 negotiation failed at once");
	ike_p1_targets_add(e, p1);
	e->stats.p1_initiated++;
	log_start(e, p1);
	*p1_out = p1;
	return 0;
}

int ike_exchange_respond(struct ike_engine *e, struct ike_p1 *p1, const struct pol_ke_rule *rule,
			 const struct ike_p1_suite *suite, struct cs_bytes sa, uint64_t request,
			 struct cs_err *err)
{
	struct ike_exchange *ex = p1->ex;

	p1->policy = pol_ref(e->policy);
	p1->rule = rule;
	p1->suite = *suite;
	ex->request = request;
	ike_timer_set(&e->timers, &p1->timer, e->now.mono + ike_rt_total(e));
	e->stats.p1_responded++;
	if (ike_take_token(e, ike_exchange_log_bucket(e, p1)))
		log_start(e, p1);
	ex->sai = malloc(sa.len);
	if (!ex->sai)
		return cs_fail(err, CS_ENOMEM, "no memory for the SA payload");
	memcpy(ex->sai, sa.p, sa.len);
	ex->sai_len = sa.len;
	return ike_ident_own(rule, &ex->id, &ex->id_len, err);
}

/*
 * Jobs run to their end even when their exchange was evicted, so a flood could queue more of them
 * than the threads ever get done, before everybody else's.
 */
bool ike_exchange_too_many_jobs(const struct ike_engine *e, bool named)
{
	return e->n_jobs >= (named ? 2 * e->set.max_jobs : e->set.max_jobs);
}

/* ---- building and sending ---- */

void ike_exchange_begin(struct ike_engine *e, const struct ike_p1 *p1, struct isa_builder *b)
{
	struct isa_header h = {.version = 0x10, .exchange = (uint8_t)exchange_of(p1)};

	memcpy(h.icookie, p1->sid.icookie, ISA_COOKIE_LEN);
	memcpy(h.rcookie, p1->sid.rcookie, ISA_COOKIE_LEN);
	isa_begin(b, e->out, IKE_DATAGRAM_MAX, &h);
}

int ike_exchange_put_offer(struct ike_engine *e, struct ike_p1 *p1, struct isa_builder *b,
			   struct cs_err *err)
{
	struct ike_exchange *ex = p1->ex;
	size_t at;
	int rc;

	isa_payload_begin(b, ISA_SA);
	at = b->w.len;
	rc = ike_p1_offer(p1->rule->action, ike_certs_usable(e), ex->only, &b->w, err);
	if (rc)
		return rc;
	ex->sai_len = b->w.len - at;
	ex->sai = malloc(ex->sai_len);
	if (!ex->sai)
		return cs_fail(err, CS_ENOMEM, "no memory for the SA payload");
	memcpy(ex->sai, b->w.base + at, ex->sai_len);
	isa_payload_end(b);
	return 0;
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
	int rc = ike_rt_start(e, &p1->ex->rt, &p1->timer, p1, e->out, len, err);

	ike_p1_count(e, p1, len);
	if (!rc)
		p1->state = state;
	return rc;
}

/* Kept for a repeated request. */
int ike_exchange_answer(struct ike_engine *e, struct ike_p1 *p1, size_t len, struct cs_err *err)
{
	if (ike_answer_keep(&p1->answer, p1->ex->request, e->out, len))
		return cs_fail(err, CS_ENOMEM, "no memory to keep a message");
	ike_p1_count(e, p1, len);
	ike_send_p1(e, p1, e->out, len);
	return 0;
}

void ike_exchange_answer_again(struct ike_engine *e, struct ike_p1 *p1)
{
	ike_send_again(e, p1, p1->answer.data, p1->answer.len);
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

	rc = ike_auth_skeyid(p1, gxy, err);
	if (!rc)
		rc = ike_derive(h, c, ex->skeyid, gxy, p1->sid.icookie, p1->sid.rcookie, p1->keys,
				NULL, err);
	if (!rc)
		rc = ike_phase1_iv(h, c, p1->initiator ? own : peer, p1->initiator ? peer : own,
				   p1->iv, err);
	ex->keyed = !rc;
	return rc;
}

void ike_exchange_compute_secret(struct ike_engine *e, struct ike_p1 *p1)
{
	struct cs_bytes peer = {p1->ex->peer_ke, p1->ex->peer_ke_len};
	struct cs_err err = {0};

	if (ike_job_start(e, p1, NULL, p1->suite.group, peer, &err))
		ike_p1_fail(e, p1, "%s", err.text);
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
	/* Messages 3 and 4 of Main Mode have one shape: ours, sent back to us, is no answer. */
	if (p1->initiator && n.len == p1->ex->ni.len && !memcmp(n.p, p1->ex->ni.data, n.len))
		return cs_fail(err, CS_EPARSE, "the nonce is our own");
	memcpy(p1->ex->peer_ke, ke.p, ke.len);
	p1->ex->peer_ke_len = (uint16_t)ke.len;
	memcpy(nonce->data, n.p, n.len);
	nonce->len = (uint16_t)n.len;
	return 0;
}

/* ---- messages ---- */

typedef void step_fn(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m);

enum form { CLEAR, ENCRYPTED, EITHER };

/* What each state expects next; a state that is not here expects nothing. */
static const struct exchange_step {
	enum ike_exchange_state state;
	enum isa_step step, signed_step; /* with a preshared key, with signatures */
	enum form form;
	step_fn *handle;
} steps[] = {
	{IKE_MM_SENT_1, ISA_STEP_MAIN_2, ISA_STEP_MAIN_2, CLEAR, ike_main_receive2},
	{IKE_MM_SENT_3, ISA_STEP_MAIN_4, ISA_STEP_MAIN_4, CLEAR, ike_main_receive4},
	{IKE_MM_SENT_4, ISA_STEP_MAIN_5_PSK, ISA_STEP_MAIN_5_SIG, ENCRYPTED, ike_main_receive5},
	{IKE_MM_SENT_5, ISA_STEP_MAIN_6_PSK, ISA_STEP_MAIN_6_SIG, ENCRYPTED, ike_main_receive6},
	{IKE_AM_SENT_1, ISA_STEP_AGGR_2_PSK, ISA_STEP_AGGR_2_SIG, CLEAR, ike_aggressive_receive2},
	{IKE_AM_SENT_2, ISA_STEP_AGGR_3_PSK, ISA_STEP_AGGR_3_SIG, EITHER, ike_aggressive_receive3},
};

static const struct exchange_step *step_of(enum ike_exchange_state state)
{
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (steps[i].state == state)
			return &steps[i];
	return NULL;
}

/* Aggressive Mode's message 2 itself says which method the peer has chosen. */
static int read_clear(const struct ike_p1 *p1, const struct exchange_step *s,
		      const struct isa_header *h, const uint8_t *data, struct isa_message *m,
		      struct cs_err *err)
{
	int rc = isa_chain_parse(h, data + ISA_HEADER_LEN, h->length - ISA_HEADER_LEN, false, m,
				 err);
	bool has_signature =
		p1->state == IKE_AM_SENT_1 ? !rc && isa_find(m, ISA_SIG, 0) : ike_auth_signs(p1);

	return rc ? rc : isa_step_check(m, has_signature ? s->signed_step : s->step, err);
}

void ike_exchange_receive(struct ike_engine *e, struct ike_p1 *p1, const struct isa_header *h,
			  const uint8_t *data, size_t len)
{
	const struct exchange_step *s = step_of(p1->state);
	bool encrypted = h->flags & ISA_FLAG_ENCRYPTED;
	uint64_t digest = ike_digest(e, data, len);
	struct cs_err err = {0};
	struct isa_message m;

	if (p1->answer.data && p1->answer.digest == digest) {
		e->stats.repeats_answered++;
		p1->counts.repeated++;
		ike_exchange_answer_again(e, p1);
		return;
	}
	/* While an encrypted message is awaited, clear ones can only be stale; they say nothing
	 * about a key. */
	if (!s || h->exchange != exchange_of(p1) ||
	    (s->form != EITHER && encrypted != (s->form == ENCRYPTED))) {
		e->stats.dropped_unknown++;
		return;
	}
	if (encrypted) {
		enum isa_step step = ike_auth_signs(p1) ? s->signed_step : s->step;

		if (ike_open(e, p1, h, data, step, p1->iv, NULL, NULL, &m, &err)) {
			ike_exchange_complain(e, p1, len, &err);
			return;
		}
	} else if (read_clear(p1, s, h, data, &m, &err)) {
		e->stats.dropped_malformed++;
		ike_exchange_note(p1, err.text);
		return;
	}
	ike_p1_count(e, p1, len);
	p1->ex->request = digest;
	p1->ex->clear = !encrypted;
	p1->ex->to = *e->to;
	p1->ex->from = *e->from;
	s->handle(e, p1, &m);
}

/* ---- jobs ---- */

/* A public value that is none: of the peer's, so it is told. */
static void job_failed(struct ike_engine *e, struct ike_p1 *p1, const struct ike_pk_job *job)
{
	if (job->status == CS_EAUTH)
		ike_notify_clear(e, &p1->sid.local, &p1->sid.remote, p1->sid.icookie,
				 p1->sid.rcookie, ISA_N_INVALID_KEY_INFORMATION, SIZE_MAX);
	ike_p1_fail(e, p1, "%s", job->err.text);
}

/* Our key pair is there, and so is what we ask of certificates. */
static void ready_for_ke(struct ike_engine *e, struct ike_p1 *p1)
{
	if (p1->state == IKE_MM_BUSY_3)
		ike_main_send3(e, p1);
	else if (p1->state == IKE_AM_BUSY_1)
		ike_aggressive_send1(e, p1);
	else /* of a responder, in either mode */
		ike_exchange_compute_secret(e, p1);
}

/* The message that brings our public value brings our certificate requests, too. */
static void keypair_made(struct ike_engine *e, struct ike_p1 *p1)
{
	struct cs_err err = {0};
	bool asks = p1->state == IKE_AM_BUSY_1
			    ? ike_p1_offers_rsa(p1->rule->action, ike_certs_usable(e), p1->ex->only)
			    : ike_auth_signs(p1);

	if (!asks)
		ready_for_ke(e, p1);
	else if (ike_cert_ask(e, p1, &err))
		ike_p1_fail(e, p1, "%s", err.text);
}

void ike_exchange_job_done(struct ike_engine *e, struct ike_p1 *p1, struct ike_pk_job *job)
{
	if (p1->state == IKE_AM_BUSY_3)
		ike_aggressive_keys3(e, p1, job);
	else if (job->status)
		job_failed(e, p1, job);
	else if (job->kind == IKE_PK_KEYPAIR)
		keypair_made(e, p1);
	else if (p1->state == IKE_MM_BUSY_4)
		ike_main_send4(e, p1, job);
	else if (p1->state == IKE_MM_BUSY_5)
		ike_main_keys5(e, p1, job);
	else if (p1->state == IKE_AM_BUSY_2)
		ike_aggressive_keys2(e, p1, job);
}

/* ---- proofs ---- */

static void proved(struct ike_engine *e, struct ike_p1 *p1)
{
	if (p1->state == IKE_MM_BUSY_5)
		ike_main_send5(e, p1);
	else if (p1->state == IKE_AM_BUSY_2)
		ike_aggressive_send2(e, p1);
	else if (p1->state == IKE_AM_BUSY_3)
		ike_aggressive_send3(e, p1);
	else
		ike_main_send6(e, p1);
}

void ike_exchange_prove(struct ike_engine *e, struct ike_p1 *p1)
{
	struct cs_err err = {0};

	if (!ike_auth_signs(p1))
		proved(e, p1);
	else if (ike_cert_sign(e, p1, &err))
		ike_p1_fail(e, p1, "%s", err.text);
}

/* Without our proof the peer learns why nothing more comes. */
static void cannot_prove(struct ike_engine *e, struct ike_p1 *p1, const struct ike_cert_job *job)
{
	struct cs_bytes none = {NULL, 0};

	if (p1->state != IKE_AM_BUSY_2) /* there the peer has no keys yet */
		ike_notify_p1(e, p1, ISA_N_CERTIFICATE_UNAVAILABLE, 1, none, none);
	ike_p1_fail(e, p1, "our identity cannot be proved with a certificate: %s", job->err.text);
}

static void verified(struct ike_engine *e, struct ike_p1 *p1)
{
	if (p1->state == IKE_MM_BUSY_6)
		ike_exchange_prove(e, p1);
	else if (p1->state == IKE_MM_BUSY_7)
		ike_main_done6(e, p1);
	else if (p1->state == IKE_AM_BUSY_3)
		ike_aggressive_verified2(e, p1);
	else
		ike_aggressive_done3(e, p1);
}

static void not_verified(struct ike_engine *e, struct ike_p1 *p1, const struct ike_cert_job *job)
{
	struct cs_err err = job->err;
	const char *what = "the peer's certificate was not checked";

	if (job->fault[0])
		what = "the peer's certificate is refused";
	else if (job->status == CS_EAUTH)
		what = "the peer's signature is refused";
	cs_err_prefix(&err, "%s", what);
	e->stats.auth_failures++;
	if (p1->state == IKE_AM_BUSY_3)
		ike_aggressive_refuse2(e, p1, ike_cert_notify(job), err.text);
	else if (p1->state == IKE_AM_BUSY_4 && p1->ex->clear)
		ike_aggressive_refuse3(p1, err.text);
	else
		ike_auth_refuse(e, p1, ike_cert_notify(job), err.text);
}

/* The job is ours now. */
void ike_exchange_cert_done(struct ike_engine *e, struct ike_p1 *p1, struct ike_cert *c)
{
	struct ike_certs *certs = p1->ex->certs;
	const struct ike_cert_job *job = &c->job;

	if (job->kind == IKE_CERT_CAS && !job->status) {
		certs->names = c;
		ready_for_ke(e, p1);
		return;
	}
	if (job->kind == IKE_CERT_SIGN && !job->status) {
		ike_cert_free(certs->proof);
		certs->proof = c;
		proved(e, p1);
		return;
	}
	if (job->kind == IKE_CERT_CAS)
		ike_p1_fail(e, p1, "certificates cannot be asked for: %s", job->err.text);
	else if (job->kind == IKE_CERT_SIGN)
		cannot_prove(e, p1, job);
	else if (job->status)
		not_verified(e, p1, job);
	else
		verified(e, p1);
	ike_cert_free(c);
}

/* ---- up ---- */

bool ike_exchange_says_initial_contact(const struct isa_message *m)
{
	const struct isa_payload *p;
	struct ike_notice n;

	for (unsigned i = 0; (p = isa_find(m, ISA_NOTIFY, i)); i++)
		if (ike_notice_read(p, &n) && n.type == ISA_N_INITIAL_CONTACT)
			return true;
	return false;
}

bool ike_exchange_awaits_last(const struct ike_p1 *p1)
{
	return p1->state == IKE_MM_SENT_5 || p1->state == IKE_MM_BUSY_7 ||
	       p1->state == IKE_AM_SENT_2 || p1->state == IKE_AM_BUSY_4;
}

/*
 * Who sent the last message of phase 1 may begin Quick Mode in the next datagram, and the network
 * may turn the two around.  That the last one is lost is as likely: then message 2 asks for it.
 */
void ike_exchange_early(struct ike_engine *e, struct ike_p1 *p1, const uint8_t *data, size_t len)
{
	struct ike_datagram *d = p1->ex ? &p1->ex->early : NULL;

	if (!d || !ike_exchange_awaits_last(p1)) {
		e->stats.dropped_unknown++;
		return;
	}
	if (!d->data && len <= IKE_EARLY_MAX)
		d->data = malloc(len);
	if (d->data && !d->len) {
		memcpy(d->data, data, len);
		d->len = len;
	} else {
		e->stats.dropped_unknown++;
	}
	if (p1->state == IKE_AM_SENT_2 && ike_take_token(e, &e->repeat_bucket))
		ike_exchange_answer_again(e, p1);
}

static void begin_early(struct ike_engine *e, struct ike_p1 *p1, const struct ike_datagram *d)
{
	struct isa_header h;

	if (d->data && !p1->dead && !isa_header_parse(d->data, d->len, &h, NULL))
		ike_quick_receive(e, p1, &h, d->data, d->len);
}

void ike_exchange_done(struct ike_engine *e, struct ike_p1 *p1, struct cs_bytes id_body,
		       bool initial_contact)
{
	struct ike_datagram early = p1->ex->early;
	struct ike_old_peer *heir_of = p1->ex->heir_of;
	struct cs_err err = {0};

	p1->ex->early = (struct ike_datagram){NULL, 0};
	if (ike_p1_up(e, p1, id_body, &err)) {
		ike_p1_fail(e, p1, "%s", err.text);
		free(early.data);
		return;
	}
	if (heir_of)
		ike_takeover_p1_ended(e, heir_of);
	ike_takeover_p1_up(e, p1, heir_of);
	if (p1->client) {
		ike_client_ask(e, p1, initial_contact);
	} else {
		if (initial_contact)
			ike_p1_initial_contact(e, p1);
		ike_p1_start_waiting(e, p1);
		begin_early(e, p1, &early);
	}
	free(early.data);
}

int ike_exchange_keep_id(struct ike_p1 *p1, struct cs_bytes body, struct cs_err *err)
{
	struct ike_exchange *ex = p1->ex;

	if (body.len > IKE_ID_BODY_MAX)
		return cs_fail(err, CS_ELIMIT, "an identity of %zu bytes is too long", body.len);
	free(ex->peer_id);
	ex->peer_id_len = 0;
	ex->peer_id = malloc(body.len);
	if (!ex->peer_id)
		return cs_fail(err, CS_ENOMEM, "no memory for an identity");
	memcpy(ex->peer_id, body.p, body.len);
	ex->peer_id_len = (uint16_t)body.len;
	return 0;
}

/* It is an answer that was kept, as long as that is. */
void ike_exchange_last_again(struct ike_engine *e, struct ike_p1 *p1)
{
	if (p1->mode == POL_MODE_AGGRESSIVE && p1->initiator && !p1->heard && p1->answer.data)
		ike_exchange_answer_again(e, p1);
}
