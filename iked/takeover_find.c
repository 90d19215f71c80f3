/*
 * Takeover: which of what was inherited a tunnel, a packet or a phase 1 SA is about, and what
 * becomes of it when a negotiation is over, whoever began that.
 */
#include <string.h>

#include "iked/takeover.h"

/* ---- look-up ---- */

/* By the tunnel's ends; or behind a NAT, which may have given it another address, by who it is. */
struct wanted {
	const struct ike_tunnel_key *key;
	const struct ike_peer *who;    /* or NULL */
	const struct ike_old_peer *of; /* or NULL; then it is none of another */
	unsigned states;               /* bits of enum ike_old_state */
	uint16_t port;                 /* that it has in UDP */
};
#define OPEN (1u << IKE_OLD_QUEUED | 1u << IKE_OLD_UNDER_WAY | 1u << IKE_OLD_WAITS)

static bool is_peer(const struct ike_old_peer *op, const struct wanted *w)
{
	struct cs_bytes id;

	if (!cs_addr_equal(&op->local.addr, w->key->local))
		return false;
	if (!op->nat || !w->who || !op->remote_id_len)
		return cs_addr_equal(&op->remote.addr, w->key->remote);
	id = (struct cs_bytes){w->who->ids + w->who->local_id_len, w->who->remote_id_len};
	return ike_old_same(id, ike_old_remote_id(op)) &&
	       (!op->common ||
		(cs_addr_equal(&op->remote.addr, w->key->remote) && op->remote.port == w->port));
}

static bool match_key(const struct ike_node *node, const void *key)
{
	const struct ike_old_pair *pair = IKE_OF(node, struct ike_old_pair, by_key);
	const struct wanted *w = key;

	return pair->rule_id == w->key->rule_id && (w->states & 1u << pair->state) &&
	       cs_selector_equal(&pair->selector, w->key->selector) &&
	       (w->of ? pair->peer == w->of : is_peer(pair->peer, w));
}

static struct ike_old_pair *find(const struct ike_engine *e, const struct wanted *w)
{
	struct ike_node *node = e->takeover->n_pairs
					? ike_table_find(&e->takeover->by_key,
							 ike_tunnel_hash(e, w->key), match_key, w)
					: NULL;

	return node ? IKE_OF(node, struct ike_old_pair, by_key) : NULL;
}

static bool match_packet(const struct ike_node *node, const void *key)
{
	const struct ike_old_pair *pair = IKE_OF(node, struct ike_old_pair, by_key);
	const struct ike_tunnel_key *k = key;

	return pair->rule_id == k->rule_id && pair->state < IKE_OLD_UP &&
	       cs_selector_equal(&pair->selector, k->selector);
}

/* A packet cannot know behind which endpoint its address is, where no start action says so. */
struct ike_old_pair *ike_old_pair_find(const struct ike_engine *e, const struct ike_tunnel_key *k)
{
	struct ike_old_pair *pair = find(e, &(struct wanted){k, NULL, NULL, OPEN, 0});
	struct ike_node *node;

	if (pair || !e->takeover->n_pairs)
		return pair;
	node = ike_table_find(&e->takeover->by_key, ike_tunnel_hash(e, k), match_packet, k);
	return node ? IKE_OF(node, struct ike_old_pair, by_key) : NULL;
}

static bool match_spi(const struct ike_node *node, const void *key)
{
	const struct ike_old_pair *pair = IKE_OF(node, struct ike_old_pair, by_spi);

	return pair->spi_in == *(const uint32_t *)key;
}

const struct pol_ke_rule *ike_old_peer_rule(const struct ike_engine *e,
					    const struct ike_old_peer *op)
{
	const struct pol_policy *p = e->policy;

	for (unsigned i = 0; p && i < p->n_ke_rules; i++)
		if (!strcmp(p->ke_rules[i].name, op->rule) &&
		    pol_ke_rule_at(&p->ke_rules[i], &op->local.addr, &op->remote.addr))
			return &p->ke_rules[i];
	return p ? pol_ke_rule_find(p, &op->local.addr, &op->remote.addr, NULL) : NULL;
}

static struct ike_p1 *newest_up(const struct ike_peer *peer, const struct ike_old_peer *op)
{
	for (const struct ike_list *l = peer->p1s.next; l != &peer->p1s; l = l->next) {
		struct ike_p1 *p1 = IKE_OF(l, struct ike_p1, in_peer);

		if (p1->up && !p1->dead && !p1->superseded && !p1->client &&
		    (!op->common || p1->sid.remote.port == op->remote.port))
			return p1;
	}
	return NULL;
}

const struct ike_peer *ike_old_peer_now(const struct ike_engine *e, const struct ike_old_peer *op)
{
	return op->remote_id_len ? ike_peer_known(e, &op->local.addr, &op->remote.addr,
						  ike_old_local_id(op), ike_old_remote_id(op))
				 : NULL;
}

struct ike_p1 *ike_old_peer_p1(const struct ike_engine *e, const struct ike_old_peer *op)
{
	struct ike_p1 *p1 = op->via ? ike_p1_by_number(e, op->via) : NULL;
	const struct ike_peer *peer;

	if (p1 && p1->up && !p1->dead)
		return p1;
	if (op->client)
		return NULL;
	peer = ike_old_peer_now(e, op);
	p1 = peer ? newest_up(peer, op) : NULL;
	if (p1 || op->nat)
		return p1;
	p1 = ike_p1_for(e, &op->local.addr, &op->remote.addr, ike_old_peer_rule(e, op));
	return p1 && p1->up ? p1 : NULL;
}

/* ---- what others ask ---- */

struct ike_old_pair *ike_old_pair_by_spi(const struct ike_engine *e, uint32_t spi)
{
	struct ike_node *node =
		ike_table_find(&e->takeover->by_spi, ike_old_hash_spi(e, spi), match_spi, &spi);

	return node ? IKE_OF(node, struct ike_old_pair, by_spi) : NULL;
}

static bool match_addrs(const struct ike_node *node, const void *key)
{
	const struct ike_old_peer *op = IKE_OF(node, struct ike_old_peer, by_addrs);
	const struct ike_sid *sid = key;

	return cs_addr_equal(&op->local.addr, &sid->local.addr) &&
	       cs_addr_equal(&op->remote.addr, &sid->remote.addr);
}

bool ike_takeover_knows(const struct ike_engine *e, const struct ike_sid *sid)
{
	return ike_table_find(&e->takeover->by_addrs,
			      ike_hash_addrs(e, &sid->local.addr, &sid->remote.addr), match_addrs,
			      sid);
}

/* ---- what becomes of negotiations ---- */

/* As far as that is known. */
static bool is_who(const struct ike_old_peer *op, const struct ike_peer *who)
{
	struct cs_bytes own = {who->ids, who->local_id_len};
	struct cs_bytes other = {own.p + own.len, who->remote_id_len};

	return !op->remote_id_len || (ike_old_same(ike_old_remote_id(op), other) &&
				      ike_old_same(ike_old_local_id(op), own));
}

/* Whoever began it. */
void ike_takeover_up(struct ike_engine *e, const struct ike_p2 *p2)
{
	struct ike_tunnel_key key = ike_tunnel_key_of(p2->tunnel);
	struct wanted w = {&key, p2->peer, NULL, OPEN, p2->encap_remote};
	struct ike_old_pair *pair;

	key.client = 0;
	while ((pair = find(e, &w))) {
		/* Else the tunnel's policy has taken the place of the hold. */
		if (pair->asked && p2->tunnel->client)
			ike_hold_failed(e, &key);
		pair->asked = false;
		ike_old_pair_set(e, pair, IKE_OLD_UP);
		/* One of another identity's may not speak of this one's. */
		if (p2->p1 && is_who(pair->peer, p2->peer))
			pair->peer->via = p2->p1->tunnel;
		e->stats.taken_over++;
		e->takeover->up++;
		ike_takeover_tell_soon(e, pair->peer);
	}
}

/* again: the peer did not take what was agreed last time. */
void ike_takeover_p2_ended(struct ike_engine *e, const struct ike_p2 *p2,
			   struct ike_old_peer *heir_of, bool again)
{
	struct ike_tunnel_key key = ike_tunnel_key_of(p2->tunnel);
	struct wanted w = {&key, p2->peer, heir_of, 1u << IKE_OLD_UNDER_WAY, p2->encap_remote};
	bool refused = p2->qm && p2->qm->refused;
	/* It could not even be offered: there is another path between us now. */
	bool unfit = p2->qm && p2->qm->only >= 0 && p2->state == IKE_QM_BUSY_1;
	struct ike_old_pair *pair;

	key.client = 0;
	while ((pair = find(e, &w))) {
		struct ike_old_peer *op = pair->peer;

		/* Else who ended it has seen to that. */
		if (pair->asked && !(p2->qm && p2->qm->asked))
			ike_hold_failed(e, &key);
		pair->asked = false;
		if ((again || unfit) && !pair->plain) {
			pair->plain = true;
			ike_old_pair_set(e, pair, IKE_OLD_QUEUED);
			ike_takeover_ready(e, op, true);
		} else if (refused && p2->p1 && p2->p1->up) {
			ike_takeover_give_up(e, pair, NULL);
		} else {
			ike_old_pair_set(e, pair, IKE_OLD_WAITS);
			if (!op->trying)
				ike_timer_set(&e->timers, &op->again,
					      e->now.mono + IKE_TAKEOVER_AGAIN_MS);
		}
	}
	ike_takeover_check_end(e);
}

/* Pairs that lived on without their phase 1 SA are under the new one. */
static void link_pairs(struct ike_engine *e, struct ike_p1 *p1)
{
	for (struct ike_list *l = p1->peer->p2s.next; l != &p1->peer->p2s; l = l->next) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, in_peer);

		if (!p2->up || p2->p1)
			continue;
		ike_p2_move(e, p2, p1);
		ike_p2_record_moved(e, p2); /* so that the SA cache has it so */
	}
}

/* Those of this peer, wherever it is now, can go on. */
static void found(struct ike_engine *e, struct ike_old_peer *op, struct ike_p1 *p1)
{
	op->via = p1->tunnel;
	op->awaited = false;
	ike_takeover_widen(e);
	ike_takeover_tell_soon(e, op);
	ike_list_remove(&op->ready);
	if (op->restart) {
		link_pairs(e, p1);
		return;
	}
	for (struct ike_list *l = op->pairs.next; l != &op->pairs; l = l->next) {
		struct ike_old_pair *pair = IKE_OF(l, struct ike_old_pair, in_peer);

		if (pair->state == IKE_OLD_WAITS)
			ike_old_pair_set(e, pair, IKE_OLD_QUEUED);
	}
	/* Who has begun phase 1 is about to begin its tunnels, too. */
	if (p1->initiator)
		ike_takeover_ready(e, op, true);
	else
		ike_timer_set(&e->timers, &op->again, e->now.mono + IKE_TAKEOVER_LEAVE_MS);
}

static bool is_of(const struct ike_old_peer *op, const struct ike_p1 *p1)
{
	if (op->client || p1->client || !cs_addr_equal(&op->local.addr, &p1->sid.local.addr))
		return false;
	if (op->nat && op->remote_id_len && !op->common)
		return is_who(op, p1->peer);
	if (!cs_addr_equal(&op->remote.addr, &p1->sid.remote.addr) ||
	    (op->nat && op->remote.port != p1->sid.remote.port))
		return false;
	return op->remote_id_len ? is_who(op, p1->peer)
				 : !strcmp(op->rule, p1->rule ? p1->rule->name : "");
}

static bool match_addrs_of(const struct ike_node *node, const void *key)
{
	const struct ike_old_peer *op = IKE_OF(node, struct ike_old_peer, by_addrs);
	const struct ike_p1 *p1 = key;

	return op->via != p1->tunnel && is_of(op, p1);
}

static bool match_ids_of(const struct ike_node *node, const void *key)
{
	const struct ike_old_peer *op = IKE_OF(node, struct ike_old_peer, by_ids);
	const struct ike_p1 *p1 = key;

	return op->via != p1->tunnel && is_of(op, p1);
}

/* heir_of: for whom it was begun, or NULL. */
void ike_takeover_p1_up(struct ike_engine *e, struct ike_p1 *p1, struct ike_old_peer *heir_of)
{
	struct cs_bytes id = {p1->peer->ids + p1->peer->local_id_len, p1->peer->remote_id_len};
	const struct ike_takeover *t = e->takeover;
	struct ike_node *node;

	if (heir_of)
		found(e, heir_of, p1);
	while ((node = ike_table_find(&t->by_addrs,
				      ike_hash_addrs(e, &p1->sid.local.addr, &p1->sid.remote.addr),
				      match_addrs_of, p1)))
		found(e, IKE_OF(node, struct ike_old_peer, by_addrs), p1);
	while ((node = ike_table_find(&t->by_ids, ike_old_hash_ids(e, id), match_ids_of, p1)))
		found(e, IKE_OF(node, struct ike_old_peer, by_ids), p1);
}
