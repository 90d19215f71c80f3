/*
 * Main Mode as responder from message 3 on: messages 4 and 6. Message 1 is in half_open.c.
 */
#include <stdlib.h>
#include <string.h>

#include "iked/exchange.h"
#include "iked/main_mode.h"

/*
 * Jobs run to their end even when their exchange was evicted, so a flood of message 3 could queue
 * more of them than the threads ever get done, before everybody else's.
 */
static bool may_compute(const struct ike_engine *e, const struct ike_half *half)
{
	return e->n_jobs < (half->sid.named ? 2 * e->set.max_jobs : e->set.max_jobs);
}

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
	if (!may_compute(e, half)) {
		e->stats.dropped_limit++;
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
	p1->ex->request = ike_digest(e, data, len);
	p1->ex->sai = malloc(half->sa_len);
	if (p1->ex->sai) {
		memcpy(p1->ex->sai, half->sa, half->sa_len);
		p1->ex->sai_len = half->sa_len;
	}
	ike_half_free(e, half);
	ike_half_enter_p1(e, p1);
	ike_timer_set(&e->timers, &p1->timer, e->now.mono + ike_rt_total(e));
	e->stats.p1_responded++;
	if (ike_take_token(e, &e->cookie_bucket))
		ike_logf(e, ike_p1_ctx(p1), CSM_P1_START, ike_exchange_peer(p1, peer), "responder",
			 p1->rule->name);
	if (!p1->ex->sai)
		cs_fail(&err, CS_ENOMEM, "no memory for the SA payload");
	else if (!ike_exchange_take_ke(p1, &m, &p1->ex->ni, &err) &&
		 !ike_ident_own(p1->rule, &p1->ex->id, &p1->ex->id_len, &err) &&
		 !ike_job_start(e, p1, NULL, p1->suite.group, (struct cs_bytes){NULL, 0}, &err))
		return;
	ike_p1_fail(e, p1, "%s", err.text);
}

void ike_main_compute_secret(struct ike_engine *e, struct ike_p1 *p1)
{
	struct cs_err err = {0};

	if (ike_job_start(e, p1, NULL, p1->suite.group,
			  (struct cs_bytes){p1->ex->peer_ke, p1->ex->peer_ke_len}, &err))
		ike_p1_fail(e, p1, "%s", err.text);
}

void ike_main_send4(struct ike_engine *e, struct ike_p1 *p1, const struct ike_pk_job *job)
{
	struct cs_err err = {0};
	size_t len;

	ike_exchange_nonce(e, p1, &p1->ex->nr);
	if (ike_exchange_derive(p1, job, &err) || ike_main_build_ke(e, p1, &len, &err) ||
	    ike_exchange_answer(e, p1, len, &err)) {
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
		return ike_auth_wrong_identity(p1, id, "no KeyExchangeRule is for this identity",
					       err);
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
	free(p1->ex->id);
	p1->ex->id = own;
	p1->ex->id_len = own_len;
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

void ike_main_receive5(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m)
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
		ike_auth_refuse_identity(e, p1, err.text);
		return;
	}
	if (ike_main_build_auth(e, p1, false, &len, &err) ||
	    ike_exchange_answer(e, p1, len, &err) || ike_p1_up(e, p1, body, &err)) {
		ike_p1_fail(e, p1, "%s", err.text);
		return;
	}
	if (initial_contact)
		ike_p1_initial_contact(e, p1);
	ike_p1_start_waiting(e, p1);
}
