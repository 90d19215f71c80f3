/*
 * Phase 1 SAs in their tables: by cookies, by number, by whom they are meant to reach, and by peer.
 * Nothing here sends, logs or decides.
 */
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"

static const uint8_t no_cookie[ISA_COOKIE_LEN];

/* ---- keys of the tables ---- */

static size_t put_addr(uint8_t *at, const struct cs_addr *a)
{
	at[0] = a->family;
	memcpy(at + 1, a->b, sizeof(a->b));
	return 1 + sizeof(a->b);
}

uint64_t ike_hash_addrs(const struct ike_engine *e, const struct cs_addr *local,
			const struct cs_addr *remote)
{
	uint8_t key[40];
	size_t n = put_addr(key, local);

	n += put_addr(key + n, remote);
	return ike_siphash(e->table_key, key, n);
}

static uint64_t hash_cookies(const struct ike_engine *e, const uint8_t *icookie,
			     const uint8_t *rcookie)
{
	uint8_t key[2 * ISA_COOKIE_LEN];

	memcpy(key, icookie, ISA_COOKIE_LEN);
	memcpy(key + ISA_COOKIE_LEN, rcookie, ISA_COOKIE_LEN);
	return ike_siphash(e->table_key, key, sizeof(key));
}

static uint64_t hash_icookie(const struct ike_engine *e, const uint8_t *icookie,
			     const struct cs_endpoint *remote)
{
	uint8_t key[ISA_COOKIE_LEN + 32];
	size_t n = ISA_COOKIE_LEN;

	memcpy(key, icookie, ISA_COOKIE_LEN);
	n += put_addr(key + n, &remote->addr);
	key[n++] = (uint8_t)(remote->port >> 8);
	key[n++] = (uint8_t)remote->port;
	return ike_siphash(e->table_key, key, n);
}

uint64_t ike_hash_number(const struct ike_engine *e, uint64_t number)
{
	return ike_siphash(e->table_key, &number, sizeof(number));
}

/* ---- by cookies ---- */

struct cookie_key {
	const uint8_t *icookie, *rcookie;
	const struct cs_endpoint *remote;
};

static bool match_cookies(const struct ike_node *node, const void *key)
{
	const struct ike_sid *sid = IKE_OF(node, struct ike_sid, by_cookies);
	const struct cookie_key *k = key;

	return !memcmp(sid->icookie, k->icookie, ISA_COOKIE_LEN) &&
	       !memcmp(sid->rcookie, k->rcookie, ISA_COOKIE_LEN);
}

static bool match_icookie(const struct ike_node *node, const void *key)
{
	const struct ike_sid *sid = IKE_OF(node, struct ike_sid, by_icookie);
	const struct cookie_key *k = key;

	return !memcmp(sid->icookie, k->icookie, ISA_COOKIE_LEN) &&
	       sid->remote.port == k->remote->port &&
	       cs_addr_equal(&sid->remote.addr, &k->remote->addr);
}

struct ike_sid *ike_sid_by_cookies(const struct ike_engine *e, const uint8_t *icookie,
				   const uint8_t *rcookie)
{
	struct cookie_key key = {icookie, rcookie, NULL};
	struct ike_node *node =
		ike_table_find(&e->cookies, hash_cookies(e, icookie, rcookie), match_cookies, &key);

	return node ? IKE_OF(node, struct ike_sid, by_cookies) : NULL;
}

struct ike_sid *ike_sid_by_icookie(const struct ike_engine *e, const uint8_t *icookie,
				   const struct cs_endpoint *remote)
{
	struct cookie_key key = {icookie, NULL, remote};
	struct ike_node *node =
		ike_table_find(&e->icookies, hash_icookie(e, icookie, remote), match_icookie, &key);

	return node ? IKE_OF(node, struct ike_sid, by_icookie) : NULL;
}

void ike_sid_link(struct ike_engine *e, struct ike_sid *sid)
{
	if (!sid->by_icookie.in)
		ike_table_add(&e->icookies, &sid->by_icookie,
			      hash_icookie(e, sid->icookie, &sid->remote));
	if (!sid->by_cookies.in && memcmp(sid->rcookie, no_cookie, ISA_COOKIE_LEN))
		ike_table_add(&e->cookies, &sid->by_cookies,
			      hash_cookies(e, sid->icookie, sid->rcookie));
}

void ike_sid_moved(struct ike_engine *e, struct ike_sid *sid, const struct cs_endpoint *local,
		   const struct cs_endpoint *remote)
{
	bool listed = sid->by_icookie.in;

	ike_table_remove(&e->icookies, &sid->by_icookie);
	sid->local = *local;
	sid->remote = *remote;
	if (listed)
		ike_sid_link(e, sid);
}

void ike_sid_unlink(struct ike_engine *e, struct ike_sid *sid)
{
	ike_table_remove(&e->icookies, &sid->by_icookie);
	ike_table_remove(&e->cookies, &sid->by_cookies);
	ike_fragments_free(e, sid);
}

/* ---- phase 1 ---- */

static void unmake_timers(struct ike_engine *e, struct ike_p1 *p1)
{
	ike_timer_unmake(&e->timers, &p1->timer);
	ike_timer_unmake(&e->timers, &p1->linger);
	ike_timer_unmake(&e->timers, &p1->dpd);
	ike_timer_unmake(&e->timers, &p1->keepalive);
}

static int make_timers(struct ike_engine *e, struct ike_p1 *p1)
{
	if (ike_timer_make(&e->timers, &p1->timer, ike_p1_timer) ||
	    ike_timer_make(&e->timers, &p1->linger, ike_p1_linger) ||
	    ike_timer_make(&e->timers, &p1->dpd, ike_p1_dpd) ||
	    ike_timer_make(&e->timers, &p1->keepalive, ike_p1_keepalive)) {
		unmake_timers(e, p1);
		return CS_ENOMEM;
	}
	return 0;
}

static void put_generations(struct ike_p1 *p1)
{
	if (p1->generations && --p1->generations->refs == 0)
		free(p1->generations);
}

void ike_p1_share(struct ike_p1 *p1, const struct ike_p1 *other)
{
	other->generations->refs++;
	put_generations(p1);
	p1->generations = other->generations;
}

struct ike_p1 *ike_p1_new(struct ike_engine *e, bool initiator, const struct cs_endpoint *local,
			  const struct cs_endpoint *remote, const uint8_t *icookie,
			  const uint8_t *rcookie)
{
	struct ike_p1 *p1;

	if (e->stats.p1_live >= e->set.max_p1)
		return NULL;
	p1 = calloc(1, sizeof(*p1));
	if (!p1)
		return NULL;
	p1->ex = ike_arena_get(sizeof(*p1->ex));
	p1->keys = ike_arena_get(sizeof(*p1->keys));
	p1->generations = calloc(1, sizeof(*p1->generations));
	if (!p1->ex || !p1->keys || !p1->generations || make_timers(e, p1))
		goto fail;
	p1->generations->refs = 1;
	p1->moves = ike_full_bucket(1, 4); /* each costs kernel calls, and records */
	p1->sid.kind = IKE_SID_P1;
	memcpy(p1->sid.icookie, icookie, ISA_COOKIE_LEN);
	memcpy(p1->sid.rcookie, rcookie, ISA_COOKIE_LEN);
	p1->sid.local = *local;
	p1->sid.remote = *remote;
	ike_list_init(&p1->sid.half);
	ike_list_init(&p1->in_peer);
	ike_list_init(&p1->p2s);
	ike_list_init(&p1->changed);
	ike_list_add_head(&e->p1s, &p1->all);
	p1->initiator = initiator;
	p1->tunnel = ike_new_tunnel(e);
	p1->generation = 1;
	p1->instance = ike_new_instance(e);
	p1->sid.born = ike_serial(e);
	ike_table_add(&e->k_numbers, &p1->by_number, ike_hash_number(e, p1->tunnel));
	ike_sid_link(e, &p1->sid);
	e->stats.p1_live++;
	return p1;
fail:
	ike_arena_put(p1->ex, sizeof(*p1->ex));
	ike_arena_put(p1->keys, sizeof(*p1->keys));
	free(p1->generations);
	free(p1);
	return NULL;
}

void ike_p1_renumber(struct ike_engine *e, struct ike_p1 *p1, uint32_t tunnel)
{
	ike_table_remove(&e->k_numbers, &p1->by_number);
	p1->tunnel = tunnel;
	ike_table_add(&e->k_numbers, &p1->by_number, ike_hash_number(e, tunnel));
}

void ike_p1_set_rcookie(struct ike_engine *e, struct ike_p1 *p1, const uint8_t *rcookie)
{
	ike_table_remove(&e->cookies, &p1->sid.by_cookies);
	memcpy(p1->sid.rcookie, rcookie, ISA_COOKIE_LEN);
	ike_sid_link(e, &p1->sid);
}

void ike_p1_unlink(struct ike_engine *e, struct ike_p1 *p1)
{
	struct ike_p1 *successor;

	if (p1->dead)
		return;
	p1->dead = true;
	e->stats.p1_live--;
	ike_half_leave_p1(e, p1);
	ike_sid_unlink(e, &p1->sid);
	ike_table_remove(&e->k_numbers, &p1->by_number);
	ike_table_remove(&e->targets, &p1->by_target);
	ike_list_remove(&p1->changed);
	successor = ike_refresh_successor(p1);
	while (!ike_list_empty(&p1->p2s))
		ike_p2_move(e, IKE_OF(p1->p2s.next, struct ike_p2, in_p1), successor);
	ike_list_remove(&p1->in_peer);
	if (p1->peer)
		ike_peer_put(e, p1->peer);
	ike_client_free(e, p1);
	unmake_timers(e, p1);
	ike_list_remove(&p1->all);
	ike_list_add_tail(&e->dead_p1s, &p1->all);
}

static void p1_free(struct ike_p1 *p1)
{
	ike_p1_end_exchange(p1);
	ike_answer_clear(&p1->answer);
	ike_arena_put(p1->keys, sizeof(*p1->keys));
	pol_unref(p1->policy);
	free(p1->mids);
	put_generations(p1);
	free(p1);
}

static bool match_k(const struct ike_node *node, const void *key)
{
	return IKE_OF(node, struct ike_p1, by_number)->tunnel == *(const uint32_t *)key;
}

static bool match_current(const struct ike_node *node, const void *key)
{
	const struct ike_p1 *p1 = IKE_OF(node, struct ike_p1, by_number);

	return match_k(node, key) && p1->up && !p1->superseded;
}

struct ike_p1 *ike_p1_by_number(const struct ike_engine *e, uint32_t number)
{
	uint64_t hash = ike_hash_number(e, number);
	struct ike_node *node = ike_table_find(&e->k_numbers, hash, match_current, &number);

	if (!node)
		node = ike_table_find(&e->k_numbers, hash, match_k, &number);
	return node ? IKE_OF(node, struct ike_p1, by_number) : NULL;
}

/* ---- finding one to use ---- */

struct target_key {
	const struct cs_addr *local, *remote;
	const struct pol_ke_rule *rule;
};

/* Clients share an identity and, behind one NAT, an address: neither tells which one is meant. */
static bool serves(const struct ike_p1 *p1, const struct target_key *k)
{
	return !p1->superseded && !p1->client && cs_addr_equal(&p1->sid.local.addr, k->local) &&
	       cs_addr_equal(&p1->sid.remote.addr, k->remote) && p1->rule &&
	       (!k->rule || !strcmp(p1->rule->name, k->rule->name));
}

static bool match_target(const struct ike_node *node, const void *key)
{
	return serves(IKE_OF(node, struct ike_p1, by_target), key);
}

static bool match_peer_serving(const struct ike_node *node, const void *key)
{
	const struct ike_peer *peer = IKE_OF(node, struct ike_peer, node);
	const struct ike_list *l;

	for (l = peer->p1s.next; l != &peer->p1s; l = l->next)
		if (serves(IKE_OF(l, struct ike_p1, in_peer), key))
			return true;
	return false;
}

void ike_p1_targets_add(struct ike_engine *e, struct ike_p1 *p1)
{
	ike_table_add(&e->targets, &p1->by_target,
		      ike_hash_addrs(e, &p1->sid.local.addr, &p1->sid.remote.addr));
}

struct ike_p1 *ike_p1_for(const struct ike_engine *e, const struct cs_addr *local,
			  const struct cs_addr *remote, const struct pol_ke_rule *rule)
{
	struct target_key key = {local, remote, rule};
	uint64_t hash = ike_hash_addrs(e, local, remote);
	struct ike_node *node = ike_table_find(&e->peers, hash, match_peer_serving, &key);
	struct ike_peer *peer;

	if (!node) {
		node = ike_table_find(&e->targets, hash, match_target, &key);
		if (node)
			return IKE_OF(node, struct ike_p1, by_target);
		key.rule = NULL;
		node = ike_table_find(&e->peers, hash, match_peer_serving, &key);
	}
	if (!node)
		return NULL;
	peer = IKE_OF(node, struct ike_peer, node);
	for (struct ike_list *l = peer->p1s.next; l != &peer->p1s; l = l->next) {
		struct ike_p1 *p1 = IKE_OF(l, struct ike_p1, in_peer);

		if (serves(p1, &key))
			return p1;
	}
	return NULL;
}

static bool match_napt(const struct ike_node *node, const void *key)
{
	const struct ike_peer *peer = IKE_OF(node, struct ike_peer, node);
	const struct target_key *k = key;

	if (!cs_addr_equal(&peer->local, k->local) || !cs_addr_equal(&peer->remote, k->remote))
		return false;
	for (const struct ike_list *l = peer->p1s.next; l != &peer->p1s; l = l->next)
		if (IKE_OF(l, struct ike_p1, in_peer)->nat.napt)
			return true;
	return false;
}

bool ike_napt_between(const struct ike_engine *e, const struct cs_addr *local,
		      const struct cs_addr *remote)
{
	struct target_key key = {local, remote, NULL};

	return ike_table_find(&e->peers, ike_hash_addrs(e, local, remote), match_napt, &key);
}

static bool match_addrs(const struct ike_node *node, const void *key)
{
	const struct ike_peer *peer = IKE_OF(node, struct ike_peer, node);
	const struct target_key *k = key;

	return cs_addr_equal(&peer->local, k->local) && cs_addr_equal(&peer->remote, k->remote);
}

bool ike_contact_known(const struct ike_engine *e, const struct ike_p1 *p1)
{
	struct target_key key = {&p1->sid.local.addr, &p1->sid.remote.addr, NULL};

	return ike_takeover_knows(e, &p1->sid) ||
	       ike_table_find(&e->peers, ike_hash_addrs(e, key.local, key.remote), match_addrs,
			      &key);
}

/* ---- peers ---- */

struct peer_key {
	struct target_key addrs;
	struct cs_bytes local_id, remote_id;
};

static bool match_peer(const struct ike_node *node, const void *key)
{
	const struct ike_peer *peer = IKE_OF(node, struct ike_peer, node);
	const struct peer_key *k = key;

	return match_addrs(node, &k->addrs) && peer->local_id_len == k->local_id.len &&
	       peer->remote_id_len == k->remote_id.len &&
	       !memcmp(peer->ids, k->local_id.p, k->local_id.len) &&
	       !memcmp(peer->ids + k->local_id.len, k->remote_id.p, k->remote_id.len);
}

static struct ike_peer *find_peer(const struct ike_engine *e, const struct peer_key *key)
{
	uint64_t hash = ike_hash_addrs(e, key->addrs.local, key->addrs.remote);
	struct ike_node *node = ike_table_find(&e->peers, hash, match_peer, key);

	return node ? IKE_OF(node, struct ike_peer, node) : NULL;
}

struct ike_peer *ike_peer_known(const struct ike_engine *e, const struct cs_addr *local,
				const struct cs_addr *remote, struct cs_bytes local_id,
				struct cs_bytes remote_id)
{
	struct peer_key key = {{local, remote, NULL}, local_id, remote_id};

	return find_peer(e, &key);
}

struct ike_peer *ike_peer_find(const struct ike_engine *e, const struct ike_peer *like,
			       const struct cs_addr *remote)
{
	struct peer_key key = {{&like->local, remote, NULL},
			       {like->ids, like->local_id_len},
			       {like->ids + like->local_id_len, like->remote_id_len}};

	return find_peer(e, &key);
}

struct ike_peer *ike_peer_get(struct ike_engine *e, const struct cs_addr *local,
			      const struct cs_addr *remote, struct cs_bytes local_id,
			      struct cs_bytes remote_id)
{
	struct peer_key key = {{local, remote, NULL}, local_id, remote_id};
	struct ike_peer *peer = find_peer(e, &key);

	if (peer)
		return peer;
	peer = calloc(1, sizeof(*peer) + local_id.len + remote_id.len);
	if (!peer)
		return NULL;
	peer->local = *local;
	peer->remote = *remote;
	peer->local_id_len = (uint16_t)local_id.len;
	peer->remote_id_len = (uint16_t)remote_id.len;
	memcpy(peer->ids, local_id.p, local_id.len);
	memcpy(peer->ids + local_id.len, remote_id.p, remote_id.len);
	ike_list_init(&peer->p1s);
	ike_list_init(&peer->p2s);
	ike_table_add(&e->peers, &peer->node, ike_hash_addrs(e, local, remote));
	return peer;
}

/* The identities stay readable until the engine is left: the dead SAs still point at them. */
struct ike_peer *ike_peer_at(struct ike_engine *e, const struct ike_peer *like,
			     const struct cs_addr *remote)
{
	struct cs_bytes own = {like->ids, like->local_id_len};
	struct cs_bytes other = {like->ids + like->local_id_len, like->remote_id_len};

	return ike_peer_get(e, &like->local, remote, own, other);
}

void ike_peer_put(struct ike_engine *e, struct ike_peer *peer)
{
	if (!ike_list_empty(&peer->p1s) || !ike_list_empty(&peer->p2s) || !peer->node.in)
		return;
	ike_table_remove(&e->peers, &peer->node);
	ike_list_add_tail(&e->dead_peers, &peer->p1s);
}

struct ike_p1 *ike_p1_of_host(const struct ike_p2 *p2)
{
	struct cs_endpoint at = {p2->tunnel->remote, p2->encap_remote};

	for (struct ike_list *l = p2->peer->p1s.next; l != &p2->peer->p1s; l = l->next) {
		struct ike_p1 *p1 = IKE_OF(l, struct ike_p1, in_peer);

		if (p1->up && !p1->superseded && cs_endpoint_equal(&p1->sid.remote, &at) &&
		    ike_client_same(p1, p2->p1))
			return p1;
	}
	return NULL;
}

/* ---- message ids ---- */

bool ike_mid_used(const struct ike_p1 *p1, uint32_t mid)
{
	for (unsigned i = 0; i < p1->n_mids; i++)
		if (p1->mids[i] == mid)
			return true;
	return false;
}

/* Beyond the bound the oldest is forgotten. */
int ike_mid_use(struct ike_p1 *p1, uint32_t mid)
{
	if (p1->n_mids == p1->cap_mids && p1->cap_mids < IKE_MESSAGE_IDS_MAX) {
		uint16_t cap = (uint16_t)(p1->cap_mids ? p1->cap_mids * 2 : 8);
		uint32_t *mids = reallocarray(p1->mids, cap, sizeof(*mids));

		if (!mids)
			return CS_ENOMEM;
		p1->mids = mids;
		p1->cap_mids = cap;
	}
	if (p1->n_mids < p1->cap_mids) {
		p1->mids[p1->n_mids++] = mid;
	} else {
		p1->forgot = true;
		p1->mids[p1->next_mid] = mid;
		p1->next_mid = (uint16_t)((p1->next_mid + 1u) % p1->cap_mids);
	}
	return 0;
}

/* Ours count as used, too: a message of ours that comes back is not the peer's. */
uint32_t ike_new_mid(struct ike_engine *e, struct ike_p1 *p1)
{
	uint32_t mid;

	do {
		ike_random(e, &mid, sizeof(mid));
	} while (!mid || ike_mid_used(p1, mid) || ike_p2_by_mid(e, p1, mid));
	ike_mid_use(p1, mid);
	return mid;
}

/* ---- the end ---- */

void ike_bury(struct ike_engine *e)
{
	ike_bury_p2s(e);
	while (!ike_list_empty(&e->dead_p1s)) {
		struct ike_p1 *p1 = IKE_OF(e->dead_p1s.next, struct ike_p1, all);

		ike_list_remove(&p1->all);
		p1_free(p1);
	}
	while (!ike_list_empty(&e->dead_peers)) {
		struct ike_peer *peer = IKE_OF(e->dead_peers.next, struct ike_peer, p1s);

		ike_list_remove(&peer->p1s);
		free(peer);
	}
}

void ike_unlink_all(struct ike_engine *e)
{
	while (!ike_list_empty(&e->p2s))
		ike_p2_unlink(e, IKE_OF(e->p2s.next, struct ike_p2, all));
	while (!ike_list_empty(&e->p1s))
		ike_p1_unlink(e, IKE_OF(e->p1s.next, struct ike_p1, all));
	for (unsigned tier = 0; tier < IKE_N_CLASSES; tier++) {
		struct ike_list *records = &e->half[tier][IKE_UNANSWERED];

		while (!ike_list_empty(records))
			ike_half_free(e, IKE_OF(records->next, struct ike_half, sid.half));
	}
}
