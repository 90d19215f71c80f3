/*
 * Main Mode as initiator: messages 1, 3 and 5.
 */
#include <stdlib.h>
#include <string.h>

#include "iked/exchange.h"
#include "iked/main_mode.h"

static int build_offer(struct ike_engine *e, struct ike_p1 *p1, size_t *len, struct cs_err *err)
{
	struct cs_bytes vid = ike_vendor_id();
	struct isa_builder b;
	size_t at;
	int rc;

	ike_exchange_begin(e, p1, &b);
	isa_payload_begin(&b, ISA_SA);
	at = b.w.len;
	rc = ike_p1_offer(p1->rule->action, &b.w, err);
	if (rc)
		return rc;
	p1->ex->sai_len = b.w.len - at;
	p1->ex->sai = malloc(p1->ex->sai_len);
	if (!p1->ex->sai)
		return cs_fail(err, CS_ENOMEM, "no memory for the SA payload");
	memcpy(p1->ex->sai, e->out + at, p1->ex->sai_len);
	isa_payload_end(&b);
	isa_put(&b, ISA_VENDOR, vid.p, vid.len);
	return ike_exchange_end(&b, len, err);
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

int ike_exchange_initiate(struct ike_engine *e, const struct cs_addr *local,
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
	rc = ike_ident_own(rule, &p1->ex->id, &p1->ex->id_len, err);
	if (!rc)
		rc = build_offer(e, p1, &len, err);
	if (!rc)
		rc = ike_exchange_send(e, p1, IKE_MM_SENT_1, len, err);
	if (rc) {
		ike_p1_unlink(e, p1);
		return rc;
	}
	ike_p1_targets_add(e, p1);
	e->stats.p1_initiated++;
	ike_logf(e, ike_p1_ctx(p1), CSM_P1_START, ike_exchange_peer(p1, peer), "initiator",
		 rule->name);
	*p1_out = p1;
	return 0;
}

void ike_main_receive2(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m)
{
	struct cs_err err = {0};
	unsigned offer;

	if (ike_p1_accept(isa_find(m, ISA_SA, 0)->body, p1->rule->action, &p1->suite, &offer,
			  &err)) {
		ike_exchange_note(p1, err.text);
		ike_rt_hurry(&p1->ex->rt);
		return;
	}
	ike_p1_set_rcookie(e, p1, m->header.rcookie);
	ike_rt_clear(&p1->ex->rt);
	ike_timer_stop(&e->timers, &p1->timer);
	p1->state = IKE_MM_BUSY_3;
	p1->ex->cause[0] = 0;
	if (ike_job_start(e, p1, NULL, p1->suite.group, (struct cs_bytes){NULL, 0}, &err))
		ike_p1_fail(e, p1, "%s", err.text);
}

void ike_main_send3(struct ike_engine *e, struct ike_p1 *p1)
{
	struct cs_err err = {0};
	size_t len;

	ike_exchange_nonce(e, p1, &p1->ex->ni);
	if (ike_main_build_ke(e, p1, &len, &err) ||
	    ike_exchange_send(e, p1, IKE_MM_SENT_3, len, &err))
		ike_p1_fail(e, p1, "%s", err.text);
}

void ike_main_receive4(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m)
{
	struct cs_err err = {0};

	if (ike_exchange_take_ke(p1, m, &p1->ex->nr, &err)) {
		ike_exchange_note(p1, err.text);
		return;
	}
	ike_rt_clear(&p1->ex->rt);
	ike_timer_stop(&e->timers, &p1->timer);
	p1->state = IKE_MM_BUSY_5;
	p1->ex->cause[0] = 0;
	if (ike_job_start(e, p1, NULL, p1->suite.group,
			  (struct cs_bytes){p1->ex->peer_ke, p1->ex->peer_ke_len}, &err))
		ike_p1_fail(e, p1, "%s", err.text);
}

void ike_main_send5(struct ike_engine *e, struct ike_p1 *p1, const struct ike_pk_job *job)
{
	struct cs_err err = {0};
	size_t len;

	if (ike_exchange_derive(p1, job, &err) ||
	    ike_main_build_auth(e, p1, !ike_contact_known(e, p1), &len, &err) ||
	    ike_exchange_send(e, p1, IKE_MM_SENT_5, len, &err))
		ike_p1_fail(e, p1, "%s", err.text);
}

void ike_main_receive6(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m)
{
	struct cs_bytes body = isa_find(m, ISA_ID, 0)->body;
	struct pol_peer_id id;
	struct cs_err err = {0};

	if (ike_ident_check(p1->rule, body, &p1->sid.remote.addr, &id, &err)) {
		ike_auth_refuse_identity(e, p1, err.text);
	} else if (!pol_identity_matches(&p1->rule->remote.identity, &id)) {
		ike_auth_wrong_identity(p1, &id, "wrong identity", &err);
		ike_auth_refuse_identity(e, p1, err.text);
	} else if (ike_p1_up(e, p1, body, &err)) {
		ike_p1_fail(e, p1, "%s", err.text);
	} else {
		ike_p1_start_waiting(e, p1);
	}
}
