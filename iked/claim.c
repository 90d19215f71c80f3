/*
 * One tunnel for a rule's selector.  The kernel tells outbound policies apart by selector and mark
 * alone, so of two peers with one selector under one rule only one can have the traffic.  Who has
 * a live tunnel keeps it, and another peer is refused until that is gone.  A peer is who it has
 * authenticated as: from another address it takes its tunnel along.  Clients share an identity, so
 * with them it is the user that counts, at one address, too.
 *
 * Behind NATs it is otherwise: hosts there have addresses that others have, too, and are told apart
 * by a mark each (marks.c).
 */
#include <string.h>

#include "iked/engine_private.h"

bool ike_claim_allowed(const struct pol_filter_rule *rule, const struct cs_addr *peer)
{
	return !rule->start || !rule->start->remote.family ||
	       cs_addr_equal(&rule->start->remote, peer);
}

struct wanted {
	const struct ike_tunnel_key *key;
	uint16_t mark_id;
};

static bool match_holder(const struct ike_node *node, const void *key)
{
	const struct ike_tunnel *t = IKE_OF(node, struct ike_tunnel, by_key);
	const struct wanted *w = key;
	const struct ike_tunnel_key *k = w->key;

	return t->policy_in && !t->client && t->mark_id == w->mark_id &&
	       cs_selector_equal(&t->selector, k->selector) &&
	       !(t->rule_id == k->rule_id && cs_addr_equal(&t->local, k->local) &&
		 cs_addr_equal(&t->remote, k->remote));
}

struct ike_tunnel *ike_claim_holder(const struct ike_engine *e, const struct ike_tunnel_key *k)
{
	struct wanted w = {k, ike_mark_id(e, k->rule_id, k->selector)};
	struct ike_node *node =
		ike_table_find(&e->tunnels, ike_tunnel_hash(e, k), match_holder, &w);

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

/* Between the same endpoints: another user is another party there, or behind a NAT another host. */
static const struct ike_p2 *other_there(const struct ike_engine *e, const struct ike_tunnel_key *k,
					const struct ike_peer *peer, const struct ike_p1 *p1)
{
	const struct ike_tunnel *t =
		ike_tunnel_find(e, k->rule_id, k->selector, k->local, k->remote);
	const struct ike_p2 *p2 = t ? newest_up(t) : NULL;
	bool other_host = p2 && p2->nat.remote && !same_party(p2->peer, peer);

	return p2 && (other_host || !ike_client_same(p2->p1, p1)) ? p2 : NULL;
}

static const struct ike_p2 *other_endpoint(const struct ike_engine *e,
					   const struct ike_tunnel_key *k,
					   const struct ike_peer *peer, const struct ike_p1 *p1)
{
	const struct ike_tunnel *holder = ike_claim_holder(e, k);
	const struct ike_p2 *p2 = holder ? newest_up(holder) : NULL;

	return p2 && !(same_party(p2->peer, peer) && ike_client_same(p2->p1, p1)) ? p2 : NULL;
}

static const struct ike_p2 *rival(const struct ike_engine *e, const struct ike_tunnel_key *k,
				  const struct ike_peer *peer, const struct ike_p1 *p1)
{
	const struct ike_p2 *p2 = k->client ? NULL : other_endpoint(e, k, peer, p1);

	return p2 || k->client ? p2 : other_there(e, k, peer, p1);
}

static int refuse(const struct ike_p2 *p2, const struct ike_tunnel_key *k, struct cs_err *err)
{
	char selector[CS_SELECTOR_STRLEN], other[CS_ADDR_STRLEN];

	return cs_fail(err, CS_EPOLICY, "rule %s: tunnel Y%u with %s is up for %s", p2->rule->name,
		       p2->tunnel->number, cs_addr_text(&p2->tunnel->remote, other),
		       cs_selector_text(k->selector, selector));
}

int ike_claim_check(const struct ike_engine *e, const struct ike_tunnel_key *k,
		    const struct ike_peer *peer, const struct ike_p1 *p1, struct cs_err *err)
{
	const struct ike_p2 *p2 = rival(e, k, peer, p1);

	return p2 ? refuse(p2, k, err) : 0;
}

/* ---- behind a NAT ---- */

static bool stands_for(const struct ike_tunnel *t, const struct ike_tunnel_key *k)
{
	return t->rule_id == k->rule_id && cs_selector_equal(&t->selector, k->selector) &&
	       cs_addr_equal(&t->local, k->local) && cs_addr_equal(&t->remote, k->remote);
}

/*
 * The tunnel that this host has for the key.  It can have two, one that it began and one that we
 * began: what it begins now succeeds the pair that ends first.
 */
static const struct ike_tunnel *own_tunnel(const struct ike_tunnel_key *k, const struct ike_p1 *p1)
{
	const struct ike_list *head = &p1->peer->p2s;
	const struct ike_p2 *best = NULL;

	for (const struct ike_list *l = head->next; l != head; l = l->next) {
		const struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, in_peer);

		if (p2->superseded || !stands_for(p2->tunnel, k) ||
		    p2->encap_remote != p1->sid.remote.port || !ike_client_same(p2->p1, p1))
			continue;
		if (!best || !best->up || (p2->up && p2->ends < best->ends))
			best = p2;
	}
	return best ? best->tunnel : NULL;
}

static int give_mark(struct ike_engine *e, struct ike_tunnel_key *k, const struct ike_p1 *p1,
		     struct cs_err *err)
{
	const struct ike_list *head = &p1->peer->p2s;
	unsigned n = 0;

	for (const struct ike_list *l = head->next; l != head; l = l->next) {
		const struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, in_peer);

		n += p2->tunnel->client && !p2->superseded && ike_client_same(p2->p1, p1);
	}
	if (n >= e->marks_a_peer)
		return cs_fail(err, CS_ELIMIT, "it has %u tunnels with a mark of their own", n);
	return ike_mark_free(e, &k->client, err);
}

/*
 * In transport mode the selector has the NAT's address.  That of a NAPT is never one host's alone,
 * whether there is another one now or not.
 */
int ike_claim_request(struct ike_engine *e, struct ike_tunnel_key *k, const struct ike_p1 *p1,
		      bool transport, struct cs_err *err)
{
	const struct ike_tunnel *own;
	const struct ike_p2 *p2;

	if (!p1->nat.encap || !p1->nat.remote)
		return ike_claim_check(e, k, p1->peer, p1, err);
	own = own_tunnel(k, p1);
	if (own) {
		k->client = own->client;
		return ike_claim_check(e, k, p1->peer, p1, err);
	}
	p2 = rival(e, k, p1->peer, p1);
	if (p2 && !p2->nat.remote)
		return refuse(p2, k, err);
	return p2 || (transport && p1->nat.napt) ? give_mark(e, k, p1, err) : 0;
}

/* ---- a tunnel changes hands ---- */

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
	struct ike_tunnel *old = t->client ? NULL : ike_claim_holder(e, &key);

	if (!old)
		return;
	old->policy_in = false; /* the new tunnel's is in its place and must stay */
	/* A successor that waits would come up at the end of what carries the traffic. */
	end_pairs(e, old, false);
	end_pairs(e, old, true);
}
