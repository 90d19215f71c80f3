/*
 * One tunnel for a rule's selector.  The kernel tells outbound policies apart by selector and mark
 * alone, so of two peers with one selector under one rule only one can have the traffic.  Who has
 * a live tunnel keeps it, and another peer is refused until that is gone.  A peer is who it has
 * authenticated as: from another address it takes its tunnel along.  Clients share an identity, so
 * with them it is the user that counts, at one address, too.
 */
#include <string.h>

#include "iked/engine_private.h"

static bool match_holder(const struct ike_node *node, const void *key)
{
	const struct ike_tunnel *t = IKE_OF(node, struct ike_tunnel, by_key);
	const struct ike_tunnel_key *k = key;

	return t->policy_in && t->rule_id == k->rule_id &&
	       cs_selector_equal(&t->selector, k->selector) &&
	       !(cs_addr_equal(&t->local, k->local) && cs_addr_equal(&t->remote, k->remote));
}

struct ike_tunnel *ike_claim_holder(const struct ike_engine *e, const struct ike_tunnel_key *k)
{
	struct ike_node *node = ike_table_find(&e->tunnels, ike_tunnel_hash(e, k), match_holder, k);

	return node ? IKE_OF(node, struct ike_tunnel, by_key) : NULL;
}

static const struct ike_p2 *newest_up(const struct ike_tunnel *t)
{
	for (const struct ike_list *l = t->p2s.next; l != &t->p2s; l = l->next) {
		const struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, in_tunnel);

		if (p2->up)
			return p2;
	}
	return NULL;
}

static bool same_party(const struct ike_peer *a, const struct ike_peer *b)
{
	return a == b ||
	       (a->remote_id_len == b->remote_id_len &&
		!memcmp(a->ids + a->local_id_len, b->ids + b->local_id_len, a->remote_id_len));
}

/* Between the same endpoints: only another user is another party there. */
static const struct ike_p2 *other_user(const struct ike_engine *e, const struct ike_tunnel_key *k,
				       const struct ike_p1 *p1)
{
	const struct ike_tunnel *t =
		ike_tunnel_find(e, k->rule_id, k->selector, k->local, k->remote);
	const struct ike_p2 *p2 = t ? newest_up(t) : NULL;

	return p2 && !ike_client_same(p2->p1, p1) ? p2 : NULL;
}

static const struct ike_p2 *other_endpoint(const struct ike_engine *e,
					   const struct ike_tunnel_key *k,
					   const struct ike_peer *peer, const struct ike_p1 *p1)
{
	const struct ike_tunnel *holder = ike_claim_holder(e, k);
	const struct ike_p2 *p2 = holder ? newest_up(holder) : NULL;

	return p2 && !(same_party(p2->peer, peer) && ike_client_same(p2->p1, p1)) ? p2 : NULL;
}

int ike_claim_check(const struct ike_engine *e, const struct ike_tunnel_key *k,
		    const struct ike_peer *peer, const struct ike_p1 *p1, struct cs_err *err)
{
	const struct ike_p2 *p2 = other_endpoint(e, k, peer, p1);
	char selector[CS_SELECTOR_STRLEN], other[CS_ADDR_STRLEN];

	if (!p2)
		p2 = other_user(e, k, p1);
	if (!p2)
		return 0;
	return cs_fail(err, CS_EPOLICY, "rule %s: tunnel Y%u with %s is up for %s", p2->rule->name,
		       p2->tunnel->number, cs_addr_text(&p2->tunnel->remote, other),
		       cs_selector_text(k->selector, selector));
}

static void end_pairs(struct ike_engine *e, struct ike_tunnel *t, bool up)
{
	for (struct ike_list *l = t->p2s.next; l != &t->p2s;) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, in_tunnel);

		l = l->next;
		if (up == (p2->up != 0))
			ike_p2_end(e, p2, true, "its peer has it from another address now");
	}
}

void ike_claim_take(struct ike_engine *e, struct ike_tunnel *t)
{
	struct ike_tunnel_key key = ike_tunnel_key_of(t);
	struct ike_tunnel *old = ike_claim_holder(e, &key);

	if (!old)
		return;
	old->policy_in = false; /* the new tunnel's is in its place and must stay */
	/* A successor that waits would come up at the end of what carries the traffic. */
	end_pairs(e, old, false);
	end_pairs(e, old, true);
}
