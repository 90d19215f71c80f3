/*
 * Aggressive Mode as responder (RFC 2409 section 5.4): message 2.  Message 1 costs a public-key
 * computation before its sender has shown that it is where it says, so such exchanges are few,
 * begin no faster than a bucket lets, and are the first to go for others.  Message 2 is repeated a
 * few times without being asked: an initiator whose message 3 is lost does not know.
 */
#include <stdlib.h>
#include <string.h>

#include "iked/aggressive.h"
#include "iked/exchange.h"
#include "iked/vendor.h"

#define REPEATS 2 /* of message 2, by timer */

/* ---- message 1 ---- */

static bool admit(struct ike_engine *e, bool named)
{
	return !ike_exchange_too_many_jobs(e, named) && ike_take_token(e, &e->aggressive[named]) &&
	       ike_half_make_room(e, named);
}

static void begin(struct ike_engine *e, const struct ike_first *f, const struct isa_message *m,
		  const struct pol_ke_rule *rule, const struct ike_p1_suite *suite)
{
	bool named = ike_half_named(rule, &f->remote->addr);
	uint8_t rcookie[ISA_COOKIE_LEN];
	struct cs_err err = {0};
	struct ike_p1 *p1;
	unsigned can;
	int rc;

	ike_random(e, rcookie, sizeof(rcookie));
	rcookie[0] |= 1; /* never zero */
	p1 = admit(e, named) ? ike_p1_new(e, false, f->local, f->remote, f->h->icookie, rcookie)
			     : NULL;
	if (!p1) {
		e->stats.dropped_limit++;
		return;
	}
	p1->mode = POL_MODE_AGGRESSIVE;
	p1->state = IKE_AM_BUSY_2;
	p1->sid.named = named;
	can = ike_vendor_read(m);
	p1->can = (uint8_t)((can & ~IKE_CAN_NATT) | ike_nat_choose(rule, &f->remote->addr, can));
	ike_half_enter_p1(e, p1, IKE_UNANSWERED);
	rc = ike_exchange_respond(e, p1, rule, suite, isa_find(m, ISA_SA, 0)->body, f->digest,
				  &err);
	ike_nat_agree(p1);
	if (!rc && !ike_exchange_take_ke(p1, m, &p1->ex->ni, &err) &&
	    !ike_exchange_keep_id(p1, isa_find(m, ISA_ID, 0)->body, &err) &&
	    (!ike_auth_signs(p1) || !ike_cert_take_requests(p1, m, &err)) &&
	    !ike_job_start(e, p1, NULL, p1->suite.group, (struct cs_bytes){NULL, 0}, &err))
		return;
	ike_p1_fail(e, p1, "%s", err.text);
}

void ike_aggressive_first(struct ike_engine *e, const struct cs_endpoint *local,
			  const struct cs_endpoint *remote, const struct isa_header *h,
			  const uint8_t *data, size_t len)
{
	struct ike_first f = {local, remote, h, len, ike_digest(e, data, len)};
	const struct pol_ke_rule *rule;
	struct ike_p1_suite suite;
	struct pol_peer_id id;
	struct cs_err err = {0};
	struct isa_message m;
	struct cs_bytes body;
	unsigned natt;

	if (h->flags & (ISA_FLAG_ENCRYPTED | ISA_FLAG_AUTH_ONLY) ||
	    isa_chain_parse(h, data + ISA_HEADER_LEN, len - ISA_HEADER_LEN, false, &m, NULL) ||
	    isa_step_check(&m, ISA_STEP_AGGR_1, NULL)) {
		e->stats.dropped_malformed++;
		return;
	}
	body = isa_find(&m, ISA_ID, 0)->body;
	if (ike_ident_read(body, &id, &err)) {
		ike_first_refuse(e, &f, ISA_N_INVALID_ID_INFORMATION, err.text);
		return;
	}
	if (!ike_first_choose(e, &f, &m, &id, &rule, &suite))
		return;
	/* Is there a NAT? Message 3 tells, and then its address identity is looked at again. */
	natt = ike_nat_choose(rule, &remote->addr, ike_vendor_read(&m));
	if (ike_ident_check(rule, body, natt ? NULL : &remote->addr, &id, &err)) {
		cs_err_prefix(&err, "rule %s", rule->name);
		ike_first_refuse(e, &f, ISA_N_INVALID_ID_INFORMATION, err.text);
		return;
	}
	begin(e, &f, &m, rule, &suite);
}

/* ---- message 2 ---- */

static int build2(struct ike_engine *e, struct ike_p1 *p1, size_t *len, struct cs_err *err)
{
	struct ike_exchange *ex = p1->ex;
	struct cs_bytes ke = ike_dh_public(ex->dh);
	struct isa_builder b;
	int rc;

	ike_exchange_begin(e, p1, &b);
	isa_payload_begin(&b, ISA_SA);
	rc = ike_p1_answer(&p1->suite, &b.w, err);
	if (rc)
		return rc;
	isa_payload_end(&b);
	isa_put(&b, ISA_KE, ke.p, ke.len);
	isa_put(&b, ISA_NONCE, ex->nr.data, ex->nr.len);
	isa_put(&b, ISA_ID, ex->id, ex->id_len);
	ike_cert_put_requests(p1, &b);
	rc = ike_auth_put_proof(p1, &b, err);
	if (rc)
		return rc;
	rc = ike_nat_put(e, p1, &b, err);
	if (rc)
		return rc;
	ike_vendor_put(&b, 0, (p1->suite.xauth ? IKE_CAN_XAUTH : 0) | (p1->can & IKE_CAN_NATT));
	return ike_exchange_end(&b, len, err);
}

void ike_aggressive_keys2(struct ike_engine *e, struct ike_p1 *p1, const struct ike_pk_job *job)
{
	struct cs_err err = {0};

	ike_exchange_nonce(e, p1, &p1->ex->nr);
	if (ike_exchange_derive(p1, job, &err))
		ike_p1_fail(e, p1, "%s", err.text);
	else
		ike_exchange_prove(e, p1);
}

void ike_aggressive_send2(struct ike_engine *e, struct ike_p1 *p1)
{
	struct cs_err err = {0};
	size_t len;

	if (build2(e, p1, &len, &err) || ike_exchange_answer(e, p1, len, &err)) {
		ike_p1_fail(e, p1, "%s", err.text);
		return;
	}
	p1->state = IKE_AM_SENT_2;
	p1->ex->give_up = e->now.mono + ike_rt_total(e);
	ike_timer_set(&e->timers, &p1->timer, e->now.mono + ike_rt_wait(e, 1));
}

static void tell_key_refused(struct ike_engine *e, struct ike_p1 *p1)
{
	char peer[CS_ENDPOINT_STRLEN];

	if (p1->ex->told || !ike_take_token(e, &e->cookie_bucket))
		return;
	if (ike_auth_signs(p1))
		ike_logf(e, ike_p1_ctx(p1), CSM_CERT_REFUSED, ike_exchange_peer(p1, peer),
			 ike_cert_own_label(p1), p1->rule->name, p1->ex->cause);
	else
		ike_logf(e, ike_p1_ctx(p1), CSM_KEY_REFUSED, ike_exchange_peer(p1, peer),
			 p1->rule->name, p1->rule->key_fingerprint, p1->ex->cause);
	p1->ex->told = true;
}

void ike_aggressive_key_refused(struct ike_engine *e, struct ike_p1 *p1)
{
	p1->ex->wrong_key = true;
	tell_key_refused(e, p1);
}

bool ike_aggressive_wait_on(struct ike_engine *e, struct ike_p1 *p1)
{
	struct ike_exchange *ex = p1->ex;

	if (ex->wrong_key)
		tell_key_refused(e, p1);
	if (e->now.mono >= ex->give_up)
		return false;
	if (ex->repeats < REPEATS && ike_take_token(e, &e->repeat_bucket)) {
		ex->repeats++;
		e->stats.retransmitted++;
		ike_exchange_answer_again(e, p1);
		ike_timer_set(&e->timers, &p1->timer,
			      e->now.mono + ike_rt_wait(e, 1 + ex->repeats));
	} else {
		ike_timer_set(&e->timers, &p1->timer, ex->give_up);
	}
	return true;
}

/* ---- message 3 ---- */

static int check3(struct ike_p1 *p1, const struct isa_message *m, struct cs_bytes id,
		  struct cs_err *err)
{
	if (p1->ex->clear && !ike_auth_signs(p1))
		return ike_auth_check_proof(p1, isa_find(m, ISA_HASH, 0)->body, id,
					    isa_step_name(ISA_STEP_AGGR_3_PSK), err);
	return 0;
}

/* In clear or encrypted; only an encrypted one can be trusted with more than the proof. */
void ike_aggressive_receive3(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m)
{
	struct cs_bytes id = {p1->ex->peer_id, p1->ex->peer_id_len};
	struct cs_err err = {0};

	if (check3(p1, m, id, &err)) {
		e->stats.auth_failures++;
		ike_exchange_complain(e, p1, m->header.length, &err);
		return;
	}
	if (ike_nat_take(e, p1, m, &err)) {
		ike_exchange_note(p1, err.text);
		return;
	}
	p1->ex->initial_contact = !p1->ex->clear && ike_exchange_says_initial_contact(m);
	if (!ike_auth_signs(p1)) {
		ike_aggressive_done3(e, p1);
		return;
	}
	p1->state = IKE_AM_BUSY_4;
	ike_timer_set(&e->timers, &p1->timer, p1->ex->give_up);
	if (ike_cert_take_proof(p1, m, id, &err) || ike_cert_verify(e, p1, &err))
		ike_p1_fail(e, p1, "%s", err.text);
}

/* Its rule was chosen by the identity, but the policy may have changed since. */
void ike_aggressive_done3(struct ike_engine *e, struct ike_p1 *p1)
{
	struct cs_bytes id = {p1->ex->peer_id, p1->ex->peer_id_len};
	struct cs_err err = {0};

	ike_path_exchange(e, p1);
	if (ike_auth_check_identity(p1, id, &err))
		ike_auth_refuse_identity(e, p1, err.text);
	else
		ike_exchange_done(e, p1, id, p1->ex->initial_contact);
}

/* Anybody can make one up in clear. */
void ike_aggressive_refuse3(struct ike_p1 *p1, const char *why)
{
	p1->state = IKE_AM_SENT_2;
	ike_exchange_note(p1, why);
}
