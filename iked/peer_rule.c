/*
 * Filter rules with RemoteIdentity: of several that cover the same traffic, a peer has the first
 * one that is for its identity.  It is known when phase 1 is up, and counts where the
 * KeyExchangeAction says FilterByIdentity Yes.
 *
 * The kernel's filters do not know who will get a packet: what is sent has the mark of the first
 * rule that fits, and so the tunnel of a rule behind it has its outbound policy under that mark.
 */
#include <string.h>

#include "iked/engine_private.h"

/* The peer's identity, where rules may look at it. */
static bool identity_of(const struct ike_p1 *p1, struct pol_peer_id *id)
{
	const struct ike_peer *peer = p1 ? p1->peer : NULL;

	return peer && p1->rule && p1->rule->action->filter_by_identity &&
	       !ike_ident_read(
		       (struct cs_bytes){peer->ids + peer->local_id_len, peer->remote_id_len}, id,
		       NULL);
}

const struct pol_filter_rule *ike_peer_rule(const struct ike_engine *e, const struct ike_p1 *p1,
					    const struct cs_selector *s)
{
	struct pol_peer_id id;
	bool known = identity_of(p1, &id);

	return e->policy ? pol_dynamic_rule(e->policy, s, known ? &id : NULL, (time_t)e->now.wall)
			 : NULL;
}

const struct pol_filter_rule *ike_first_rule(const struct ike_engine *e,
					     const struct cs_selector *s)
{
	return e->policy ? pol_first_rule(e->policy, s, (time_t)e->now.wall) : NULL;
}

const struct pol_filter_rule *ike_rule_towards(const struct ike_engine *e,
					       const struct pol_filter_rule *rule,
					       const struct cs_selector *s,
					       const struct cs_addr *local,
					       const struct cs_addr *remote)
{
	const struct pol_filter_rule *better;
	const struct pol_ke_rule *ke;
	struct ike_p1 *p1;

	if (!rule->remote_identity)
		return rule;
	ke = pol_ke_rule_find(e->policy, local, remote, NULL);
	p1 = ke ? ike_p1_for(e, local, remote, ke) : NULL;
	better = p1 && p1->up ? ike_peer_rule(e, p1, s) : NULL;
	return better ? better : rule;
}

int ike_peer_check(const struct ike_p1 *p1, const struct pol_filter_rule *rule, struct cs_err *err)
{
	struct pol_peer_id id;
	char text[IKE_ID_TEXT];

	if (!rule->remote_identity)
		return 0;
	if (!identity_of(p1, &id))
		return cs_fail(err, CS_EPOLICY,
			       "rule %s has a RemoteIdentity, and KeyExchangeAction %s has not "
			       "FilterByIdentity Yes",
			       rule->name, p1->rule ? p1->rule->action->name : "");
	if (pol_identity_matches(rule->remote_identity, &id))
		return 0;
	return cs_fail(
		err, CS_EPOLICY, "the peer is %s %s, which is not the RemoteIdentity of rule %s",
		pol_id_type_name(id.type), pol_peer_id_text(&id, text, sizeof(text)), rule->name);
}

bool ike_peer_was(const struct pol_filter_rule *rule, struct cs_bytes id_body)
{
	struct pol_peer_id id;

	return !rule->remote_identity || (!ike_ident_read(id_body, &id, NULL) &&
					  pol_identity_matches(rule->remote_identity, &id));
}

uint16_t ike_mark_id(const struct ike_engine *e, uint16_t rule_id, const struct cs_selector *s)
{
	const struct pol_filter_rule *rule = e->policy ? pol_rule_by_id(e->policy, rule_id) : NULL;

	return rule ? pol_mark_rule(e->policy, rule, s, (time_t)e->now.wall)->id : rule_id;
}
