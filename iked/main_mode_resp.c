/*
 * Main Mode as responder from message 3 on: messages 4 and 6. Message 1 is in half_open.c.
 */
#include <stdlib.h>
#include <string.h>

#include "iked/exchange.h"
#include "iked/main_mode.h"
#include "iked/vendor.h"

void ike_main_accept(struct ike_engine *e, struct ike_half *half, const struct isa_header *h,
		     const uint8_t *data, size_t len)
{
	struct cs_err err = {0};
	struct isa_message m;
	struct ike_p1 *p1;
	bool moved;
	int rc;

	if (h->flags & (ISA_FLAG_ENCRYPTED | ISA_FLAG_AUTH_ONLY) ||
	    isa_chain_parse(h, data + ISA_HEADER_LEN, len - ISA_HEADER_LEN, false, &m, NULL) ||
	    isa_step_check(&m, ISA_STEP_MAIN_3, NULL) ||
	    isa_find(&m, ISA_KE, 0)->body.len != half->suite.group->public_len) {
		e->stats.dropped_malformed++;
		return;
	}
	if (ike_exchange_too_many_jobs(e, half->sid.named)) {
		e->stats.dropped_limit++;
		return;
	}
	/* A NAT may have another mapping by now; the cookie is proof of the address alone. */
	moved = half->can & IKE_CAN_NATT && cs_addr_equal(&e->to->addr, &half->sid.local.addr) &&
		cs_addr_equal(&e->from->addr, &half->sid.remote.addr);
	p1 = ike_p1_new(e, false, moved ? e->to : &half->sid.local,
			moved ? e->from : &half->sid.remote, half->sid.icookie, half->sid.rcookie);
	if (!p1) {
		e->stats.dropped_limit++;
		return;
	}
	p1->state = IKE_MM_BUSY_4;
	p1->sid.named = half->sid.named;
	p1->sid.born = half->sid.born;
	p1->can = half->can;
	ike_fragments_move(&half->sid, &p1->sid);
	rc = ike_exchange_respond(e, p1, half->rule, &half->suite,
				  (struct cs_bytes){half->sa, half->sa_len},
				  ike_digest(e, data, len), &err);
	ike_half_free(e, half);
	ike_half_enter_p1(e, p1, IKE_ANSWERED);
	ike_nat_agree(p1);
	if (!rc && !ike_exchange_take_ke(p1, &m, &p1->ex->ni, &err) &&
	    !ike_nat_take(e, p1, &m, &err) &&
	    (!ike_auth_signs(p1) || !ike_cert_take_requests(p1, &m, &err)) &&
	    !ike_job_start(e, p1, NULL, p1->suite.group, (struct cs_bytes){NULL, 0}, &err))
		return;
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

/* The offer that is the agreed one, or NULL. */
static const struct pol_ke_offer *offer_like(const struct ike_p1_suite *s,
					     const struct pol_ke_action *action)
{
	if (action->xauth != s->xauth)
		return NULL;
	for (unsigned i = 0; i < action->n_offers; i++) {
		const struct pol_ke_offer *o = &action->offers[i];

		if (o->cipher == s->cipher && o->hash == s->hash && o->group == s->group &&
		    (unsigned)o->auth == s->auth &&
		    (s->xauth || in_life(&o->life_seconds, s->life_seconds)) &&
		    in_life(&o->life_kbytes, s->life_kbytes))
			return o;
	}
	return NULL;
}

static bool same_key(const struct pol_ke_rule *a, const struct pol_ke_rule *b)
{
	return a->shared_key.p && a->shared_key.len == b->shared_key.len &&
	       cs_equal_secret(a->shared_key.p, b->shared_key.p, a->shared_key.len);
}

/*
 * The rule by addresses alone was a guess; the identity decides. Another rule must have an
 * offer that is the agreed one and, as long as that is what the peer proves, the same key.
 */
static int final_rule(struct ike_engine *e, struct ike_p1 *p1, const struct pol_peer_id *id,
		      struct cs_err *err)
{
	const struct pol_ke_rule *rule =
		pol_ke_rule_find(p1->policy, &p1->sid.local.addr, &p1->sid.remote.addr, id);
	const struct pol_ke_offer *offer;
	uint8_t *own;
	uint16_t own_len;
	int rc;

	if (!rule)
		return ike_auth_wrong_identity(p1->rule, id,
					       "no KeyExchangeRule is for this identity", err);
	if (rule == p1->rule)
		return 0;
	if (!ike_auth_signs(p1) && !same_key(rule, p1->rule))
		return cs_fail(err, CS_EAUTH,
			       "rule %s is for the peer's identity, but has another preshared key "
			       "than rule %s, which its address chose",
			       rule->name, p1->rule->name);
	offer = offer_like(&p1->suite, rule->action);
	if (!offer)
		return cs_fail(err, CS_EPOLICY,
			       "rule %s is for the peer's identity, but has no offer like the "
			       "agreed one",
			       rule->name);
	rc = ike_nat_recheck(p1, rule, err);
	if (!rc)
		rc = ike_ident_own(rule, &own, &own_len, err);
	if (rc)
		return rc;
	free(p1->ex->id);
	p1->ex->id = own;
	p1->ex->id_len = own_len;
	ike_logf(e, ike_p1_ctx(p1), CSM_RULE_CHANGED, rule->name, p1->rule->name);
	p1->rule = rule;
	if (p1->suite.xauth)
		p1->suite.life_max = offer->life_seconds.accepted_max;
	return 0;
}

void ike_main_receive5(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m)
{
	struct cs_bytes body = isa_find(m, ISA_ID, 0)->body;
	struct pol_peer_id id;
	struct cs_err err = {0};
	int rc = ike_ident_check(p1->rule, body, ike_nat_source(p1), &id, &err);

	ike_path_exchange(e, p1);
	if (!rc) {
		rc = final_rule(e, p1, &id, &err);
		if (!rc)
			rc = ike_ident_check(p1->rule, body, ike_nat_source(p1), &id, &err);
	}
	if (rc) {
		ike_auth_refuse_identity(e, p1, err.text);
		return;
	}
	p1->state = IKE_MM_BUSY_6;
	p1->ex->initial_contact = ike_exchange_says_initial_contact(m);
	rc = ike_exchange_keep_id(p1, body, &err);
	if (!rc && ike_auth_signs(p1)) {
		if (isa_find(m, ISA_CERTREQ, 0))
			rc = ike_cert_take_requests(p1, m, &err);
		if (!rc)
			rc = ike_cert_take_proof(p1, m, body, &err);
		if (!rc)
			rc = ike_cert_verify(e, p1, &err);
	} else if (!rc) {
		ike_exchange_prove(e, p1);
	}
	if (rc)
		ike_p1_fail(e, p1, "%s", err.text);
}

void ike_main_send6(struct ike_engine *e, struct ike_p1 *p1)
{
	struct cs_err err = {0};
	size_t len;

	if (ike_main_build_auth(e, p1, false, &len, &err) || ike_exchange_answer(e, p1, len, &err))
		ike_p1_fail(e, p1, "%s", err.text);
	else
		ike_exchange_done(e, p1, (struct cs_bytes){p1->ex->peer_id, p1->ex->peer_id_len},
				  p1->ex->initial_contact);
}
