/*
 * What the operator and a new policy ask of the engine.
 */
#include <string.h>

#include "iked/engine_private.h"

/* ---- activate ---- */

static const struct pol_filter_rule *
dynamic_rule(const struct ike_engine *e, const struct pol_local_dynvpn *local, struct cs_err *err)
{
	const struct pol_filter_rule *rule = ike_first_rule(e, &local->selector);

	if (!rule)
		cs_fail(err, CS_EPOLICY, "no IpFilterRule with an IpDynVpnAction covers it");
	else if (rule->vpn->initiation == POL_INIT_REMOTE)
		cs_fail(err, CS_EPOLICY,
			"action %s lets only the peer initiate (Initiation RemoteOnly)",
			rule->vpn->name);
	else
		return rule;
	return NULL;
}

static int endpoint(const struct cs_addr *coded, const struct cs_range *data, const char *which,
		    struct cs_addr *out, struct cs_err *err)
{
	if (coded && coded->family)
		*out = *coded;
	else if (cs_range_is_single(data))
		*out = data->lo;
	else
		return cs_fail(err, CS_EPOLICY,
			       "the rule's IpLocalStartAction must name the %s security endpoint, "
			       "because %s is not one address",
			       which, !strcmp(which, "local") ? "LocalIp" : "RemoteIp");
	return 0;
}

/* A tunnel that packets or the peer began is the rule's, too, once somebody activates the rule. */
static void adopt(struct ike_engine *e, uint32_t number, const struct pol_local_dynvpn *local)
{
	struct ike_tunnel *t = ike_tunnel_by_number(e, number);

	for (struct ike_list *l = t ? t->p2s.next : NULL; t && l != &t->p2s; l = l->next) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, in_tunnel);

		if (!p2->local_rule)
			p2->local_rule = local;
	}
}

int ike_activate(struct ike_engine *e, const char *name, enum ike_activation activation,
		 uint32_t *tunnel, struct cs_err *err)
{
	const struct pol_local_dynvpn *local =
		e->policy ? pol_local_rule_by_name(e->policy, name) : NULL;
	const struct pol_filter_rule *rule;
	struct cs_addr from, to;
	int rc;

	if (!e->policy)
		return cs_fail(err, CS_EPOLICY, "no policy is in force yet");
	if (!local)
		return cs_fail(err, CS_ENOTFOUND, "there is no LocalDynVpnRule %s", name);
	if (local->type >= 0)
		return cs_fail(err, CS_EPOLICY,
			       "IKE version 1.0 cannot negotiate the Type of LocalDynVpnRule %s",
			       name);
	rule = dynamic_rule(e, local, err);
	if (!rule)
		return CS_EPOLICY;
	rc = endpoint(rule->start ? &rule->start->local : NULL, &local->selector.local, "local",
		      &from, err);
	if (!rc)
		rc = endpoint(rule->start ? &rule->start->remote : NULL, &local->selector.remote,
			      "remote", &to, err);
	if (rc)
		return rc;
	rule = ike_rule_towards(e, rule, &local->selector, &from, &to);
	rc = ike_p2_initiate(e, rule, &local->selector, &from, &to, activation, local, tunnel, err);
	if (rc == CS_EEXIST)
		adopt(e, *tunnel, local);
	return rc;
}

/* ---- deactivate ---- */

/* Those that are up under it are listed by their phase 1 as long as it lives. */
static void end_p1(struct ike_engine *e, struct ike_p1 *p1, const char *reason)
{
	struct ike_list *l = p1->p2s.next;

	while (l != &p1->p2s) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, in_p1);

		l = l->next;
		ike_p2_end(e, p2, true, reason);
	}
	ike_p1_down(e, p1, true, reason);
}

int ike_deactivate_p1(struct ike_engine *e, uint32_t tunnel, struct cs_err *err)
{
	struct ike_p1 *p1 = ike_p1_by_number(e, tunnel);

	if (!p1)
		return cs_fail(err, CS_ENOTFOUND, "there is no tunnel K%u", tunnel);
	for (; p1; p1 = ike_p1_by_number(e, tunnel)) {
		for (struct ike_list *l = p1->p2s.next; l != &p1->p2s; l = l->next)
			ike_auto_stopped(e, IKE_OF(l, struct ike_p2, in_p1));
		end_p1(e, p1, "deactivated by command");
	}
	return 0;
}

int ike_deactivate_p2(struct ike_engine *e, uint32_t tunnel, struct cs_err *err)
{
	struct ike_tunnel *t = ike_tunnel_by_number(e, tunnel);
	struct ike_list *l;

	if (!t)
		return cs_fail(err, CS_ENOTFOUND, "there is no tunnel Y%u", tunnel);
	for (l = t->p2s.next; l != &t->p2s;) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, in_tunnel);

		l = l->next;
		ike_auto_stopped(e, p2);
		ike_p2_end(e, p2, true, "deactivated by command");
	}
	return 0;
}

/* ---- refresh ---- */

int ike_command_refresh_p1(struct ike_engine *e, uint32_t tunnel, struct cs_err *err)
{
	struct ike_p1 *p1 = ike_p1_by_number(e, tunnel);

	if (!p1 || !p1->up)
		return cs_fail(err, CS_ENOTFOUND, "there is no tunnel K%u that is up", tunnel);
	return ike_refresh_p1(e, p1, err);
}

int ike_command_refresh_p2(struct ike_engine *e, uint32_t tunnel, struct cs_err *err)
{
	struct ike_tunnel *t = ike_tunnel_by_number(e, tunnel);
	struct ike_p2 *p2 = t ? ike_refresh_current(t) : NULL;

	if (!p2)
		return cs_fail(err, CS_ENOTFOUND, "there is no tunnel Y%u that is up", tunnel);
	return ike_refresh_p2(e, p2, err);
}

/* ---- a new policy ---- */

/* The rule that stands for the same agreement, or NULL. */
static const struct pol_ke_rule *same_ke_rule(const struct pol_policy *policy,
					      const struct pol_ke_rule *rule)
{
	uint8_t content[POL_CONTENT_LEN];

	return pol_ke_rule_content(rule, content, NULL)
		       ? NULL
		       : pol_ke_rule_same(policy, rule->name, content);
}

static void apply_to_p2(struct ike_engine *e, struct ike_p2 *p2, struct pol_policy *policy)
{
	const struct pol_filter_rule *rule = pol_rule_by_id(policy, p2->tunnel->rule_id);

	/* Ids are the rules' own as long as there is the policy store that gave them. */
	if (!rule || !rule->vpn || strcmp(rule->name, p2->rule->name) != 0) {
		ike_p2_end(e, p2, true, "the policy no longer has its rule");
		return;
	}
	if (!ike_rule_in_time(e, rule)) {
		ike_p2_end(e, p2, true, IKE_OUT_OF_TIME);
		return;
	}
	if (p2->tunnel->mark_id != ike_mark_id(e, rule->id, &p2->tunnel->selector)) {
		ike_p2_end(e, p2, true, IKE_OTHER_MARK);
		return;
	}
	if (p2->local_rule)
		p2->local_rule = pol_local_rule_by_name(policy, p2->local_rule->name);
	p2->rule = rule;
	pol_unref(p2->policy);
	p2->policy = pol_ref(policy);
}

static void apply_to_p1(struct ike_engine *e, struct ike_p1 *p1, struct pol_policy *policy)
{
	const struct pol_ke_rule *rule =
		p1->up ? pol_ke_rule_same(policy, p1->rule->name, p1->content)
		       : same_ke_rule(policy, p1->rule);

	if (!rule) {
		end_p1(e, p1, "the policy no longer has its rule, or has changed it");
		return;
	}
	if (!ike_client_known(p1, rule)) {
		end_p1(e, p1, "the policy no longer has its ClientUser");
		return;
	}
	p1->rule = rule;
	pol_unref(p1->policy);
	p1->policy = pol_ref(policy);
}

/* Exchanges of Aggressive Mode stand among the records. */
static void apply_to_half_open(struct ike_engine *e, struct ike_list *records,
			       const struct pol_policy *policy)
{
	for (struct ike_list *l = records->next; l != records;) {
		struct ike_sid *sid = IKE_OF(l, struct ike_sid, half);
		struct ike_half *half = IKE_OF(sid, struct ike_half, sid);

		l = l->next;
		if (sid->kind != IKE_SID_HALF)
			continue;
		half->rule = same_ke_rule(policy, half->rule);
		if (!half->rule)
			ike_half_free(e, half);
	}
}

void ike_apply_policy(struct ike_engine *e, struct pol_policy *policy)
{
	struct pol_policy *old = e->policy;
	struct ike_list *l;

	e->policy = pol_ref(policy);
	for (l = e->p2s.next; l != &e->p2s;) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, all);

		l = l->next;
		apply_to_p2(e, p2, policy);
	}
	for (l = e->p1s.next; l != &e->p1s;) {
		struct ike_p1 *p1 = IKE_OF(l, struct ike_p1, all);

		l = l->next;
		apply_to_p1(e, p1, policy);
	}
	for (unsigned tier = 0; tier < IKE_N_CLASSES; tier++)
		apply_to_half_open(e, &e->half[tier][IKE_UNANSWERED], policy);
	ike_keepalive_all(e);
	ike_hold_forget_all(e); /* it may be what was wrong */
	ike_windows_policy(e);
	ike_auto_policy(e);
	ike_takeover_policy(e);
	pol_unref(old);
}

/* ---- the end ---- */

void ike_end_all(struct ike_engine *e, bool tell, bool keep)
{
	static const char reason[] = "iked stops";
	struct ike_list *l;

	ike_auto_forget_all(e); /* nothing begins anew */
	ike_takeover_forget(e, NULL);
	ike_timer_stop(&e->timers, &e->minute);
	for (l = e->p2s.next; l != &e->p2s;) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, all);

		l = l->next;
		if (p2->up && keep)
			ike_p2_unlink(e, p2);
		else
			ike_p2_end(e, p2, tell, reason);
	}
	for (l = e->p1s.next; l != &e->p1s;) {
		struct ike_p1 *p1 = IKE_OF(l, struct ike_p1, all);

		l = l->next;
		ike_p1_down(e, p1, tell, reason);
	}
	ike_unlink_all(e);
	ike_hold_forget_all(e);
}
