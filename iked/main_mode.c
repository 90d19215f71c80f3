/*
 * Main Mode with preshared keys (RFC 2409 section 5.4), both roles, from our message 1 or the
 * peer's message 3 to the end.  A message that is malformed, does not decrypt or does not verify
 * changes nothing: the exchange waits for a good one until its time is over, and then says what was
 * wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"

typedef void step_fn(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m);

/* What each state expects next; a state that is not here expects nothing. */
struct main_step {
	enum ike_main_state state;
	enum isa_step step;
	bool encrypted;
	step_fn *handle;
};

static const char *peer_text(const struct ike_p1 *p1, char buf[static CS_ENDPOINT_STRLEN])
{
	return cs_endpoint_text(&p1->sid.remote, buf);
}

static void note_cause(struct ike_p1 *p1, const char *cause)
{
	size_t len = strnlen(cause, sizeof(p1->mm->cause) - 1);

	memcpy(p1->mm->cause, cause, len);
	p1->mm->cause[len] = 0;
}

/* ---- building ---- */

static void begin_clear(struct ike_engine *e, const struct ike_p1 *p1, struct isa_builder *b)
{
	struct isa_header h = {.version = 0x10, .exchange = ISA_MAIN};

	memcpy(h.icookie, p1->sid.icookie, ISA_COOKIE_LEN);
	memcpy(h.rcookie, p1->sid.rcookie, ISA_COOKIE_LEN);
	isa_begin(b, e->out, IKE_DATAGRAM_MAX, &h);
}

static int end_clear(struct isa_builder *b, size_t *len, struct cs_err *err)
{
	*len = isa_end(b, 0);
	if (!*len)
		return cs_fail(err, CS_ELIMIT, "a message does not fit %u bytes", IKE_DATAGRAM_MAX);
	return 0;
}

static int build_ke(struct ike_engine *e, struct ike_p1 *p1, size_t *len, struct cs_err *err)
{
	struct cs_bytes ke = ike_dh_public(p1->mm->dh);
	struct ike_nonce *nonce = p1->initiator ? &p1->mm->ni : &p1->mm->nr;
	struct isa_builder b;

	begin_clear(e, p1, &b);
	isa_put(&b, ISA_KE, ke.p, ke.len);
	isa_put(&b, ISA_NONCE, nonce->data, nonce->len);
	return end_clear(&b, len, err);
}

/* Message 5 or 6. */
static int build_auth(struct ike_engine *e, struct ike_p1 *p1, bool initial_contact, size_t *len,
		      struct cs_err *err)
{
	struct cs_bytes id = {p1->mm->id, p1->mm->id_len};
	uint8_t hash[IKE_HASH_MAX];
	struct isa_builder b;
	int rc = ike_main_hash(p1, p1->initiator, id, hash, err);

	if (rc)
		return rc;
	ike_seal_begin(e, p1, &b, ISA_MAIN, 0, IKE_SEAL_PLAIN);
	isa_put(&b, ISA_ID, id.p, id.len);
	isa_put(&b, ISA_HASH, hash, p1->suite.hash->len);
	if (initial_contact)
		ike_put_initial_contact(p1, &b);
	*len = ike_seal_end(e, p1, &b, 0, IKE_SEAL_PLAIN, NULL, NULL, p1->iv, err);
	return *len ? 0 : CS_ECRYPTO;
}

static int send_waiting(struct ike_engine *e, struct ike_p1 *p1, enum ike_main_state state,
			size_t len, struct cs_err *err)
{
	int rc = ike_rt_start(e, &p1->mm->rt, &p1->timer, &p1->sid.local, &p1->sid.remote, e->out,
			      len, err);

	ike_p1_count(e, p1, len);
	if (!rc)
		p1->state = state;
	return rc;
}

/* The responder's message: kept for a repeated request, never repeated by timer. */
static int send_answer(struct ike_engine *e, struct ike_p1 *p1, size_t len, struct cs_err *err)
{
	if (ike_answer_keep(&p1->answer, p1->mm->request, e->out, len))
		return cs_fail(err, CS_ENOMEM, "no memory to keep a message");
	ike_p1_count(e, p1, len);
	ike_send(e, &p1->sid.local, &p1->sid.remote, e->out, len);
	return 0;
}

static void make_nonce(struct ike_engine *e, const struct ike_p1 *p1, struct ike_nonce *nonce)
{
	nonce->len = p1->suite.hash->len > 32 ? 32 : p1->suite.hash->len;
	ike_random(e, nonce->data, nonce->len);
}

/* ---- keys ---- */

static int derive(struct ike_p1 *p1, const struct ike_pk_job *job, struct cs_err *err)
{
	struct ike_main *mm = p1->mm;
	const struct cs_hash *h = p1->suite.hash;
	const struct cs_cipher *c = p1->suite.cipher;
	struct cs_bytes gxy = {job->secret, job->group->secret_len};
	struct cs_bytes own = ike_dh_public(mm->dh), peer = {mm->peer_ke, mm->peer_ke_len};
	int rc;

	rc = ike_skeyid_psk(h, p1->rule->shared_key, (struct cs_bytes){mm->ni.data, mm->ni.len},
			    (struct cs_bytes){mm->nr.data, mm->nr.len}, mm->skeyid, err);
	if (!rc)
		rc = ike_derive(h, c, mm->skeyid, gxy, p1->sid.icookie, p1->sid.rcookie, p1->keys,
				NULL, err);
	if (!rc)
		rc = ike_phase1_iv(h, c, p1->initiator ? own : peer, p1->initiator ? peer : own,
				   p1->iv, err);
	return rc;
}

static int take_ke(struct ike_p1 *p1, const struct isa_message *m, struct ike_nonce *nonce,
		   struct cs_err *err)
{
	struct cs_bytes ke = isa_find(m, ISA_KE, 0)->body, n = isa_find(m, ISA_NONCE, 0)->body;

	if (ke.len != p1->suite.group->public_len || ke.len > sizeof(p1->mm->peer_ke))
		return cs_fail(err, CS_EPARSE, "the KE payload has %zu bytes, %s has %u", ke.len,
			       p1->suite.group->suite, p1->suite.group->public_len);
	if (n.len > sizeof(nonce->data))
		return cs_fail(err, CS_EPARSE, "a nonce of %zu bytes is too long", n.len);
	memcpy(p1->mm->peer_ke, ke.p, ke.len);
	p1->mm->peer_ke_len = (uint16_t)ke.len;
	memcpy(nonce->data, n.p, n.len);
	nonce->len = (uint16_t)n.len;
	return 0;
}

/* ---- initiator ---- */

static int build_offer(struct ike_engine *e, struct ike_p1 *p1, size_t *len, struct cs_err *err)
{
	struct cs_bytes vid = ike_vendor_id();
	struct isa_builder b;
	size_t at;
	int rc;

	begin_clear(e, p1, &b);
	isa_payload_begin(&b, ISA_SA);
	at = b.w.len;
	rc = ike_p1_offer(p1->rule->action, &b.w, err);
	if (rc)
		return rc;
	p1->mm->sai_len = b.w.len - at;
	p1->mm->sai = malloc(p1->mm->sai_len);
	if (!p1->mm->sai)
		return cs_fail(err, CS_ENOMEM, "no memory for the SA payload");
	memcpy(p1->mm->sai, e->out + at, p1->mm->sai_len);
	isa_payload_end(&b);
	isa_put(&b, ISA_VENDOR, vid.p, vid.len);
	return end_clear(&b, len, err);
}

static int may_initiate(const struct pol_ke_rule *rule, struct cs_err *err)
{
	switch (rule->action->initiate) {
	case POL_MODE_MAIN:
		break;
	case POL_MODE_DONOT:
		return cs_fail(err, CS_EPOLICY,
			       "KeyExchangeAction %s does not initiate (HowToInitiate DoNot)",
			       rule->action->name);
	default:
		return cs_fail(err, CS_EPOLICY,
			       "KeyExchangeAction %s initiates with Aggressive Mode, which is not "
			       "supported (HowToInitiate)",
			       rule->action->name);
	}
	if (!rule->shared_key.p)
		return cs_fail(err, CS_EPOLICY, "KeyExchangeRule %s has no SharedKey", rule->name);
	return 0;
}

int ike_main_initiate(struct ike_engine *e, const struct cs_addr *local,
		      const struct cs_addr *remote, const struct pol_ke_rule *rule,
		      struct ike_p1 **p1_out, struct cs_err *err)
{
	static const uint8_t no_cookie[ISA_COOKIE_LEN];
	struct cs_endpoint from = {*local, e->set.port}, to = {*remote, e->set.port};
	uint8_t icookie[ISA_COOKIE_LEN];
	char peer[CS_ENDPOINT_STRLEN];
	struct ike_p1 *p1;
	size_t len;
	int rc = may_initiate(rule, err);

	if (rc)
		return rc;
	ike_random(e, icookie, sizeof(icookie));
	icookie[0] |= 1; /* never zero */
	p1 = ike_p1_new(e, true, &from, &to, icookie, no_cookie);
	if (!p1)
		return cs_fail(err, CS_ELIMIT, "no room for another phase 1 SA");
	p1->policy = pol_ref(e->policy);
	p1->rule = rule;
	rc = ike_ident_own(rule, &p1->mm->id, &p1->mm->id_len, err);
	if (!rc)
		rc = build_offer(e, p1, &len, err);
	if (!rc)
		rc = send_waiting(e, p1, IKE_MM_SENT_1, len, err);
	if (rc) {
		ike_p1_unlink(e, p1);
		return rc;
	}
	ike_p1_targets_add(e, p1);
	e->stats.p1_initiated++;
	ike_logf(e, ike_p1_ctx(p1), CSM_P1_START, peer_text(p1, peer), "initiator", rule->name);
	*p1_out = p1;
	return 0;
}

static void receive2(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m)
{
	struct cs_err err = {0};
	unsigned offer;

	if (ike_p1_accept(isa_find(m, ISA_SA, 0)->body, p1->rule->action, &p1->suite, &offer,
			  &err)) {
		note_cause(p1, err.text);
		ike_rt_hurry(&p1->mm->rt);
		return;
	}
	ike_p1_set_rcookie(e, p1, m->header.rcookie);
	ike_rt_clear(&p1->mm->rt);
	ike_timer_stop(&e->timers, &p1->timer);
	p1->state = IKE_MM_BUSY_3;
	p1->mm->cause[0] = 0;
	if (ike_job_start(e, p1, NULL, p1->suite.group, (struct cs_bytes){NULL, 0}, &err))
		ike_p1_fail(e, p1, "%s", err.text);
}

static void send3(struct ike_engine *e, struct ike_p1 *p1)
{
	struct cs_err err = {0};
	size_t len;

	make_nonce(e, p1, &p1->mm->ni);
	if (build_ke(e, p1, &len, &err) || send_waiting(e, p1, IKE_MM_SENT_3, len, &err))
		ike_p1_fail(e, p1, "%s", err.text);
}

static void receive4(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m)
{
	struct cs_err err = {0};

	if (take_ke(p1, m, &p1->mm->nr, &err)) {
		note_cause(p1, err.text);
		return;
	}
	ike_rt_clear(&p1->mm->rt);
	ike_timer_stop(&e->timers, &p1->timer);
	p1->state = IKE_MM_BUSY_5;
	p1->mm->cause[0] = 0;
	if (ike_job_start(e, p1, NULL, p1->suite.group,
			  (struct cs_bytes){p1->mm->peer_ke, p1->mm->peer_ke_len}, &err))
		ike_p1_fail(e, p1, "%s", err.text);
}

static void send5(struct ike_engine *e, struct ike_p1 *p1, const struct ike_pk_job *job)
{
	struct cs_err err = {0};
	size_t len;

	if (derive(p1, job, &err) || build_auth(e, p1, !ike_contact_known(e, p1), &len, &err) ||
	    send_waiting(e, p1, IKE_MM_SENT_5, len, &err))
		ike_p1_fail(e, p1, "%s", err.text);
}

/* One sentence with both identities; err keeps its code. */
static int wrong_identity(const struct ike_p1 *p1, const struct pol_peer_id *id, const char *why,
			  struct cs_err *err)
{
	char has[80], wants[CS_RANGE_STRLEN];
	const struct pol_identity *want = &p1->rule->remote.identity;
	const char *text = want->text ? want->text : "";

	if (want->type == POL_ID_IPV4_ADDR || want->type == POL_ID_IPV6_ADDR)
		text = cs_range_text(&want->addr, wants);
	return cs_fail(err, CS_EAUTH, "%s: the peer is %s %s, rule %s wants %s %.60s", why,
		       pol_id_type_name(id->type), pol_peer_id_text(id, has, sizeof(has)),
		       p1->rule->name, pol_id_type_name(want->type), text);
}

static const struct cs_bytes none = {NULL, 0};

/* The peer has proved the key but is not whom we want: both sides are told, the exchange ends. */
static void refuse_identity(struct ike_engine *e, struct ike_p1 *p1, const char *why)
{
	ike_notify_p1(e, p1, ISA_N_INVALID_ID_INFORMATION, 1, none, none);
	if (p1->initiator)
		ike_delete_p1(e, p1);
	ike_p1_fail(e, p1, "%s", why);
}

static void receive6(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m)
{
	struct cs_bytes body = isa_find(m, ISA_ID, 0)->body;
	struct pol_peer_id id;
	struct cs_err err = {0};

	if (ike_ident_check(p1->rule, body, &p1->sid.remote.addr, &id, &err)) {
		refuse_identity(e, p1, err.text);
	} else if (!pol_identity_matches(&p1->rule->remote.identity, &id)) {
		wrong_identity(p1, &id, "wrong identity", &err);
		refuse_identity(e, p1, err.text);
	} else if (ike_p1_up(e, p1, body, &err)) {
		ike_p1_fail(e, p1, "%s", err.text);
	} else {
		ike_p1_start_waiting(e, p1);
	}
}

/* ---- responder ---- */

void ike_main_accept(struct ike_engine *e, struct ike_half *half, const struct isa_header *h,
		     const uint8_t *data, size_t len)
{
	char peer[CS_ENDPOINT_STRLEN];
	struct cs_err err = {0};
	struct isa_message m;
	struct ike_p1 *p1;

	if (h->flags & (ISA_FLAG_ENCRYPTED | ISA_FLAG_AUTH_ONLY) ||
	    isa_chain_parse(h, data + ISA_HEADER_LEN, len - ISA_HEADER_LEN, false, &m, NULL) ||
	    isa_step_check(&m, ISA_STEP_MAIN_3, NULL) ||
	    isa_find(&m, ISA_KE, 0)->body.len != half->suite.group->public_len) {
		e->stats.dropped_malformed++;
		return;
	}
	p1 = ike_p1_new(e, false, &half->sid.local, &half->sid.remote, half->sid.icookie,
			half->sid.rcookie);
	if (!p1) {
		e->stats.dropped_limit++;
		return;
	}
	p1->sid.named = half->sid.named;
	p1->sid.born = half->sid.born;
	p1->policy = pol_ref(half->policy);
	p1->rule = half->rule;
	p1->suite = half->suite;
	p1->state = IKE_MM_BUSY_4;
	p1->mm->request = ike_digest(e, data, len);
	p1->mm->sai = malloc(half->sa_len);
	if (p1->mm->sai) {
		memcpy(p1->mm->sai, half->sa, half->sa_len);
		p1->mm->sai_len = half->sa_len;
	}
	ike_half_free(e, half);
	ike_half_enter_p1(e, p1);
	ike_timer_set(&e->timers, &p1->timer, e->now.mono + ike_rt_total(e));
	e->stats.p1_responded++;
	ike_logf(e, ike_p1_ctx(p1), CSM_P1_START, peer_text(p1, peer), "responder", p1->rule->name);
	if (!p1->mm->sai)
		cs_fail(&err, CS_ENOMEM, "no memory for the SA payload");
	else if (!take_ke(p1, &m, &p1->mm->ni, &err) &&
		 !ike_ident_own(p1->rule, &p1->mm->id, &p1->mm->id_len, &err) &&
		 !ike_job_start(e, p1, NULL, p1->suite.group, (struct cs_bytes){NULL, 0}, &err))
		return;
	ike_p1_fail(e, p1, "%s", err.text);
}

static void compute_secret(struct ike_engine *e, struct ike_p1 *p1)
{
	struct cs_err err = {0};

	if (ike_job_start(e, p1, NULL, p1->suite.group,
			  (struct cs_bytes){p1->mm->peer_ke, p1->mm->peer_ke_len}, &err))
		ike_p1_fail(e, p1, "%s", err.text);
}

static void send4(struct ike_engine *e, struct ike_p1 *p1, const struct ike_pk_job *job)
{
	struct cs_err err = {0};
	size_t len;

	make_nonce(e, p1, &p1->mm->nr);
	if (derive(p1, job, &err) || build_ke(e, p1, &len, &err) || send_answer(e, p1, len, &err)) {
		ike_p1_fail(e, p1, "%s", err.text);
		return;
	}
	p1->state = IKE_MM_SENT_4;
}

static bool in_life(const struct pol_life *life, uint64_t value)
{
	return !life->accepted_max || (value >= life->accepted_min && value <= life->accepted_max);
}

static bool suite_allowed(const struct ike_p1_suite *s, const struct pol_ke_action *action)
{
	for (unsigned i = 0; i < action->n_offers; i++) {
		const struct pol_ke_offer *o = &action->offers[i];

		if (o->cipher == s->cipher && o->hash == s->hash && o->group == s->group &&
		    (unsigned)o->auth == s->auth && in_life(&o->life_seconds, s->life_seconds) &&
		    in_life(&o->life_kbytes, s->life_kbytes))
			return true;
	}
	return false;
}

/*
 * The rule by addresses alone was a guess; the identity decides. Another rule must have the same
 * key, which the peer has proved, and an offer that is the agreed one.
 */
static int final_rule(struct ike_engine *e, struct ike_p1 *p1, const struct pol_peer_id *id,
		      struct cs_err *err)
{
	const struct pol_ke_rule *rule =
		pol_ke_rule_find(p1->policy, &p1->sid.local.addr, &p1->sid.remote.addr, id);
	uint8_t *own;
	uint16_t own_len;
	int rc;

	if (!rule)
		return wrong_identity(p1, id, "no KeyExchangeRule is for this identity", err);
	if (rule == p1->rule)
		return 0;
	if (rule->shared_key.len != p1->rule->shared_key.len || !rule->shared_key.p ||
	    !cs_equal_secret(rule->shared_key.p, p1->rule->shared_key.p, rule->shared_key.len))
		return cs_fail(err, CS_EAUTH,
			       "rule %s is for the peer's identity, but has another preshared key "
			       "than rule %s, which its address chose",
			       rule->name, p1->rule->name);
	if (!suite_allowed(&p1->suite, rule->action))
		return cs_fail(err, CS_EPOLICY,
			       "rule %s is for the peer's identity, but has no offer like the "
			       "agreed one",
			       rule->name);
	rc = ike_ident_own(rule, &own, &own_len, err);
	if (rc)
		return rc;
	free(p1->mm->id);
	p1->mm->id = own;
	p1->mm->id_len = own_len;
	ike_logf(e, ike_p1_ctx(p1), CSM_RULE_CHANGED, rule->name, p1->rule->name);
	p1->rule = rule;
	return 0;
}

static bool says_initial_contact(const struct isa_message *m)
{
	const struct isa_payload *p;
	struct ike_notice n;

	for (unsigned i = 0; (p = isa_find(m, ISA_NOTIFY, i)); i++)
		if (ike_notice_read(p, &n) && n.type == ISA_N_INITIAL_CONTACT)
			return true;
	return false;
}

static void receive5(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m)
{
	struct cs_bytes body = isa_find(m, ISA_ID, 0)->body;
	bool initial_contact = says_initial_contact(m);
	struct pol_peer_id id;
	struct cs_err err = {0};
	size_t len;
	int rc = ike_ident_check(p1->rule, body, &p1->sid.remote.addr, &id, &err);

	if (!rc) {
		rc = final_rule(e, p1, &id, &err);
		if (!rc)
			rc = ike_ident_check(p1->rule, body, &p1->sid.remote.addr, &id, &err);
	}
	if (rc) {
		refuse_identity(e, p1, err.text);
		return;
	}
	if (build_auth(e, p1, false, &len, &err) || send_answer(e, p1, len, &err) ||
	    ike_p1_up(e, p1, body, &err)) {
		ike_p1_fail(e, p1, "%s", err.text);
		return;
	}
	if (initial_contact)
		ike_p1_initial_contact(e, p1);
	ike_p1_start_waiting(e, p1);
}

/* ---- dispatch ---- */

static const struct main_step steps[] = {
	{IKE_MM_SENT_1, ISA_STEP_MAIN_2, false, receive2},
	{IKE_MM_SENT_3, ISA_STEP_MAIN_4, false, receive4},
	{IKE_MM_SENT_4, ISA_STEP_MAIN_5_PSK, true, receive5},
	{IKE_MM_SENT_5, ISA_STEP_MAIN_6_PSK, true, receive6},
};

static const struct main_step *step_of(enum ike_main_state state)
{
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (steps[i].state == state)
			return &steps[i];
	return NULL;
}

/* Said once an exchange: repeats of the same message are no news. */
static void complain(struct ike_engine *e, struct ike_p1 *p1, enum isa_step step, size_t len,
		     const struct cs_err *err)
{
	char peer[CS_ENDPOINT_STRLEN];

	note_cause(p1, err->text);
	if (p1->mm->complained)
		return;
	p1->mm->complained = true;
	ike_logf(e, ike_p1_ctx(p1), CSM_WRONG_KEY, step == ISA_STEP_MAIN_5_PSK ? 5u : 6u,
		 peer_text(p1, peer), p1->rule->name, p1->rule->key_fingerprint);
	/* In clear, because the peer cannot read what our key protects. */
	if (step == ISA_STEP_MAIN_5_PSK)
		ike_notify_clear(e, &p1->sid.local, &p1->sid.remote, p1->sid.icookie,
				 p1->sid.rcookie, ISA_N_AUTHENTICATION_FAILED, len);
}

void ike_main_receive(struct ike_engine *e, struct ike_p1 *p1, const struct isa_header *h,
		      const uint8_t *data, size_t len)
{
	const struct main_step *s = step_of(p1->state);
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
			complain(e, p1, s->step, len, &err);
			return;
		}
	} else {
		rc = isa_chain_parse(h, data + ISA_HEADER_LEN, len - ISA_HEADER_LEN, false, &m,
				     &err);
		if (!rc)
			rc = isa_step_check(&m, s->step, &err);
		if (rc) {
			e->stats.dropped_malformed++;
			note_cause(p1, err.text);
			return;
		}
	}
	ike_p1_count(e, p1, len);
	p1->mm->request = digest;
	s->handle(e, p1, &m);
}

void ike_main_job_done(struct ike_engine *e, struct ike_p1 *p1, struct ike_pk_job *job)
{
	if (job->status) {
		if (job->status == CS_EAUTH)
			ike_notify_clear(e, &p1->sid.local, &p1->sid.remote, p1->sid.icookie,
					 p1->sid.rcookie, ISA_N_INVALID_KEY_INFORMATION, SIZE_MAX);
		ike_p1_fail(e, p1, "%s", job->err.text);
	} else if (p1->state == IKE_MM_BUSY_3) {
		send3(e, p1);
	} else if (p1->state == IKE_MM_BUSY_5) {
		send5(e, p1, job);
	} else if (p1->state == IKE_MM_BUSY_4 && job->kind == IKE_PK_KEYPAIR) {
		compute_secret(e, p1);
	} else if (p1->state == IKE_MM_BUSY_4) {
		send4(e, p1, job);
	}
}

/*
 * Anybody on the way can forge an unauthenticated error, so it ends nothing; but it is worth
 * telling, and two more tries are enough when the peer says no.
 */
void ike_main_hint(struct ike_engine *e, struct ike_p1 *p1, unsigned type)
{
	char peer[CS_ENDPOINT_STRLEN], cause[IKE_CAUSE_MAX];

	if (!p1->mm || !p1->initiator)
		return;
	snprintf(cause, sizeof(cause), "peer answered %s (not authenticated)",
		 isa_notify_name(type));
	if (!strcmp(cause, p1->mm->cause))
		return;
	note_cause(p1, cause);
	ike_rt_hurry(&p1->mm->rt);
	ike_logf(e, ike_p1_ctx(p1), CSM_HINT, peer_text(p1, peer), isa_notify_name(type),
		 p1->rule->name);
}

static unsigned message_sent(const struct ike_p1 *p1)
{
	return p1->state == IKE_MM_SENT_1 ? 1 : p1->state == IKE_MM_SENT_3 ? 3 : 5;
}

void ike_main_timeout(struct ike_engine *e, struct ike_p1 *p1)
{
	char peer[CS_ENDPOINT_STRLEN];
	struct ike_main *mm = p1->mm;
	const char *cause = mm->cause;

	if (p1->initiator) {
		if (ike_rt_again(e, &mm->rt, &p1->timer, &p1->sid.local, &p1->sid.remote)) {
			ike_logf(e, ike_p1_ctx(p1), CSM_RETRANSMIT, peer_text(p1, peer),
				 message_sent(p1), mm->rt.sent, mm->rt.limit);
			return;
		}
		ike_p1_fail(e, p1, "no usable answer to message %u after %u transmissions%s%s",
			    message_sent(p1), mm->rt.sent, cause[0] ? ": " : "", cause);
		return;
	}
	ike_p1_fail(e, p1, "no usable message 5 came%s%s", cause[0] ? ": " : "", cause);
}
