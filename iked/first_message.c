/*
 * A phase 1 message 1 as responder, of either mode: the rule by what is known of the peer, the
 * offer by the rule, and the refusal when there is none.  Aggressive Mode brings the identity, so
 * that the rule it chooses is final; but it lets whoever listens try preshared keys at leisure, and
 * is answered with one only where the policy says so.
 */
#include "iked/engine_private.h"

static struct cs_logctx new_ctx(struct ike_engine *e)
{
	return (struct cs_logctx){.instance = ike_new_instance(e)};
}

static void answer(struct ike_engine *e, const struct ike_first *f, unsigned notify)
{
	static const uint8_t no_cookie[ISA_COOKIE_LEN];

	ike_notify_clear(e, f->local, f->remote, f->h->icookie, no_cookie, notify, f->len);
}

void ike_first_refuse(struct ike_engine *e, const struct ike_first *f, unsigned notify,
		      const char *why)
{
	struct cs_logctx lc = new_ctx(e);
	char peer[CS_ENDPOINT_STRLEN];

	e->stats.p1_failed++;
	if (ike_refusal_is_news(e, f->local, f->remote, f->digest))
		ike_logf(e, lc, CSM_P1_REFUSED, cs_endpoint_text(f->remote, peer), why);
	answer(e, f, notify);
}

static void no_proposal(struct ike_engine *e, const struct ike_first *f,
			const struct pol_ke_rule *rule, const char *why)
{
	struct cs_logctx lc = new_ctx(e);
	char peer[CS_ENDPOINT_STRLEN];

	e->stats.p1_failed++;
	if (ike_refusal_is_news(e, f->local, f->remote, f->digest))
		ike_logf(e, lc, CSM_P1_NO_PROPOSAL, cs_endpoint_text(f->remote, peer), rule->name,
			 rule->action->name, why);
	answer(e, f, ISA_N_NO_PROPOSAL_CHOSEN);
}

/* No rule for the identity: the one that the addresses alone would choose says what was wanted. */
static void no_rule(struct ike_engine *e, const struct ike_first *f, const struct pol_peer_id *id)
{
	const struct pol_ke_rule *rule =
		pol_ke_rule_find(e->policy, &f->local->addr, &f->remote->addr, NULL);
	struct cs_err err = {0};

	if (!rule) {
		ike_first_refuse(e, f, ISA_N_NO_PROPOSAL_CHOSEN,
				 "no KeyExchangeRule is for these addresses");
		return;
	}
	ike_auth_wrong_identity(rule, id, "no KeyExchangeRule is for this identity", &err);
	ike_first_refuse(e, f, ISA_N_INVALID_ID_INFORMATION, err.text);
}

static bool responds(const struct pol_ke_rule *rule, bool aggressive, struct cs_err *err)
{
	const struct pol_ke_action *action = rule->action;

	if (action->respond != (aggressive ? POL_MODE_MAIN : POL_MODE_AGGRESSIVE))
		return true;
	cs_fail(err, CS_EPOLICY,
		"rule %s, KeyExchangeAction %s does not respond to %s Mode (HowToRespondIKEv1)",
		rule->name, action->name, aggressive ? "Aggressive" : "Main");
	return false;
}

/* A deviation: the original's default, Either, would allow it. */
static bool coded(const struct pol_ke_rule *rule, const struct ike_p1_suite *suite,
		  struct cs_err *err)
{
	if (suite->auth != POL_AUTH_PSK || rule->action->respond_coded)
		return true;
	cs_fail(err, CS_EPOLICY,
		"rule %s, KeyExchangeAction %s does not code HowToRespondIKEv1, and Aggressive "
		"Mode "
		"with a preshared key is answered only where it is coded",
		rule->name, rule->action->name);
	return false;
}

bool ike_first_choose(struct ike_engine *e, const struct ike_first *f, const struct isa_message *m,
		      const struct pol_peer_id *id, const struct pol_ke_rule **chosen,
		      struct ike_p1_suite *suite)
{
	struct cs_bytes sa = isa_find(m, ISA_SA, 0)->body;
	size_t ke_len = id ? isa_find(m, ISA_KE, 0)->body.len : 0;
	const struct pol_ke_rule *rule =
		e->policy ? pol_ke_rule_find(e->policy, &f->local->addr, &f->remote->addr, id)
			  : NULL;
	struct ike_mismatch why = {""};
	struct cs_err err = {0};
	unsigned offer;

	if (!e->policy) {
		ike_first_refuse(e, f, ISA_N_NO_PROPOSAL_CHOSEN, "no policy is in force yet");
	} else if (!rule) {
		no_rule(e, f, id);
	} else if (!responds(rule, id != NULL, &err)) {
		ike_first_refuse(e, f, ISA_N_NO_PROPOSAL_CHOSEN, err.text);
	} else if (sa.len > IKE_SA_BODY_MAX) {
		e->stats.dropped_limit++;
	} else if (ike_p1_choose(sa, ke_len, rule->action, ike_certs_usable(e), suite, &offer, &why,
				 &err)) {
		if (err.code == CS_EPOLICY)
			no_proposal(e, f, rule, why.text);
		else
			ike_first_refuse(e, f, ISA_N_NO_PROPOSAL_CHOSEN, err.text);
	} else if (!ike_auth_usable(rule, suite)) {
		no_proposal(e, f, rule, "the rule has no preshared key for the offer that matched");
	} else if (id && !coded(rule, suite, &err)) {
		ike_first_refuse(e, f, ISA_N_NO_PROPOSAL_CHOSEN, err.text);
	} else {
		*chosen = rule;
		return true;
	}
	return false;
}
