/*
 * Phase 2 SA pairs and their tunnels in their tables. Nothing here sends, logs or decides.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"

/* ---- pairs ---- */

static uint64_t hash_spi(const struct ike_engine *e, const struct cs_addr *addr, uint8_t proto,
			 uint32_t spi)
{
	uint8_t key[24] = {addr->family, proto};

	memcpy(key + 2, &spi, sizeof(spi));
	memcpy(key + 6, addr->b, sizeof(addr->b));
	return ike_siphash(e->table_key, key, sizeof(key));
}

static uint64_t hash_mid(const struct ike_engine *e, const struct ike_p1 *p1, uint32_t mid)
{
	return ike_hash_number(e, (uint64_t)p1->tunnel << 32 | mid);
}

struct ike_p2 *ike_p2_new(struct ike_engine *e, struct ike_p1 *p1, struct pol_policy *policy,
			  const struct pol_filter_rule *rule, struct ike_tunnel *tunnel,
			  bool initiator)
{
	struct ike_p2 *p2;

	if (e->stats.p2_live >= e->set.max_p2)
		return NULL;
	p2 = calloc(1, sizeof(*p2));
	if (!p2)
		return NULL;
	p2->qm = ike_arena_get(sizeof(*p2->qm));
	if (!p2->qm || ike_timer_make(&e->timers, &p2->timer, ike_p2_timer))
		goto fail;
	if (ike_timer_make(&e->timers, &p2->linger, ike_p2_linger)) {
		ike_timer_unmake(&e->timers, &p2->timer);
		goto fail;
	}
	ike_list_init(&p2->in_p1);
	if (p1) {
		p2->p1 = p1;
		p2->parent = p1->tunnel;
		p2->quirks = p1->rule ? p1->rule->action->quirks : 0;
		ike_list_add_tail(&p1->p2s, &p2->in_p1);
		if (!initiator)
			p1->n_quick++;
	}
	p2->policy = pol_ref(policy);
	p2->rule = rule;
	p2->tunnel = tunnel;
	p2->generation = ++tunnel->generations;
	p2->instance = ike_new_instance(e);
	p2->born = ike_serial(e);
	p2->qm->only = -1;
	p2->qm->named = tunnel->named.local.lo.family ? tunnel->named : tunnel->selector;
	p2->initiator = initiator;
	ike_list_init(&p2->in_peer);
	ike_list_add_head(&tunnel->p2s, &p2->in_tunnel);
	ike_list_add_head(&e->p2s, &p2->all);
	e->stats.p2_live++;
	return p2;
fail:
	ike_arena_put(p2->qm, sizeof(*p2->qm));
	free(p2);
	return NULL;
}

void ike_p2_move(struct ike_engine *e, struct ike_p2 *p2, struct ike_p1 *p1)
{
	ike_list_remove(&p2->in_p1);
	ike_table_remove(&e->mids, &p2->by_mid);
	p2->p1 = p1;
	if (!p1)
		return;
	p2->parent = p1->tunnel;
	ike_list_add_tail(&p1->p2s, &p2->in_p1);
}

void ike_p2_unlink(struct ike_engine *e, struct ike_p2 *p2)
{
	if (p2->dead)
		return;
	if (p2->qm && p2->p1 && !p2->initiator)
		p2->p1->n_quick--;
	/* A generation is an SA that was. */
	if (p2->qm && !p2->qm->intended && p2->generation == p2->tunnel->generations)
		p2->tunnel->generations--;
	p2->dead = true;
	e->stats.p2_live--;
	ike_table_remove(&e->spis_in, &p2->by_spi_in);
	ike_table_remove(&e->spis_out, &p2->by_spi_out);
	ike_table_remove(&e->ahs_in, &p2->by_ah_in);
	ike_table_remove(&e->ahs_out, &p2->by_ah_out);
	ike_table_remove(&e->mids, &p2->by_mid);
	ike_table_remove(&e->txs, &p2->by_tx);
	ike_list_remove(&p2->in_p1);
	ike_list_remove(&p2->in_peer);
	if (p2->peer)
		ike_peer_put(e, p2->peer);
	ike_list_remove(&p2->in_tunnel);
	ike_tunnel_put(e, p2->tunnel);
	ike_timer_unmake(&e->timers, &p2->timer);
	ike_timer_unmake(&e->timers, &p2->linger);
	ike_list_remove(&p2->all);
	ike_list_add_tail(&e->dead_p2s, &p2->all);
}

void ike_bury_p2s(struct ike_engine *e)
{
	while (!ike_list_empty(&e->dead_p2s)) {
		struct ike_p2 *p2 = IKE_OF(e->dead_p2s.next, struct ike_p2, all);

		ike_list_remove(&p2->all);
		ike_p2_end_quick(p2);
		ike_answer_clear(&p2->answer);
		pol_unref(p2->policy);
		free(p2);
	}
	while (!ike_list_empty(&e->dead_tunnels)) {
		struct ike_tunnel *t = IKE_OF(e->dead_tunnels.next, struct ike_tunnel, dead);

		ike_list_remove(&t->dead);
		free(t);
	}
}

void ike_p2_set_mid(struct ike_engine *e, struct ike_p2 *p2, uint32_t mid)
{
	ike_table_remove(&e->mids, &p2->by_mid);
	p2->mid = mid;
	ike_table_add(&e->mids, &p2->by_mid, hash_mid(e, p2->p1, mid));
}

void ike_p2_set_spi_in(struct ike_engine *e, struct ike_p2 *p2, uint32_t spi)
{
	ike_table_remove(&e->spis_in, &p2->by_spi_in);
	p2->spi_in = spi;
	ike_table_add(&e->spis_in, &p2->by_spi_in,
		      hash_spi(e, &p2->tunnel->local, ike_p2_ipproto(p2), spi));
}

void ike_p2_set_spi_out(struct ike_engine *e, struct ike_p2 *p2, uint32_t spi)
{
	ike_table_remove(&e->spis_out, &p2->by_spi_out);
	p2->spi_out = spi;
	ike_table_add(&e->spis_out, &p2->by_spi_out,
		      hash_spi(e, &p2->tunnel->remote, ike_p2_ipproto(p2), spi));
}

void ike_p2_set_ah_in(struct ike_engine *e, struct ike_p2 *p2, uint32_t spi)
{
	ike_table_remove(&e->ahs_in, &p2->by_ah_in);
	p2->ah_in = spi;
	ike_table_add(&e->ahs_in, &p2->by_ah_in, hash_spi(e, &p2->tunnel->local, IPPROTO_AH, spi));
}

void ike_p2_set_ah_out(struct ike_engine *e, struct ike_p2 *p2, uint32_t spi)
{
	ike_table_remove(&e->ahs_out, &p2->by_ah_out);
	p2->ah_out = spi;
	ike_table_add(&e->ahs_out, &p2->by_ah_out,
		      hash_spi(e, &p2->tunnel->remote, IPPROTO_AH, spi));
}

void ike_p2_set_tx(struct ike_engine *e, struct ike_p2 *p2, uint64_t tx)
{
	ike_table_remove(&e->txs, &p2->by_tx);
	p2->tx = tx;
	ike_table_add(&e->txs, &p2->by_tx, ike_hash_number(e, tx));
}

struct mid_key {
	const struct ike_p1 *p1;
	uint32_t mid;
};

static bool match_mid(const struct ike_node *node, const void *key)
{
	const struct ike_p2 *p2 = IKE_OF(node, struct ike_p2, by_mid);
	const struct mid_key *k = key;

	return p2->p1 == k->p1 && p2->mid == k->mid;
}

struct ike_p2 *ike_p2_by_mid(const struct ike_engine *e, const struct ike_p1 *p1, uint32_t mid)
{
	struct mid_key key = {p1, mid};
	struct ike_node *node = ike_table_find(&e->mids, hash_mid(e, p1, mid), match_mid, &key);

	return node ? IKE_OF(node, struct ike_p2, by_mid) : NULL;
}

static bool match_tx(const struct ike_node *node, const void *key)
{
	return IKE_OF(node, struct ike_p2, by_tx)->tx == *(const uint64_t *)key;
}

struct ike_p2 *ike_p2_by_tx(const struct ike_engine *e, uint64_t tx)
{
	struct ike_node *node = ike_table_find(&e->txs, ike_hash_number(e, tx), match_tx, &tx);

	return node ? IKE_OF(node, struct ike_p2, by_tx) : NULL;
}

struct spi_key {
	const struct cs_addr *addr;
	uint8_t proto;
	uint32_t spi;
};

static bool match_spi_in(const struct ike_node *node, const void *key)
{
	const struct ike_p2 *p2 = IKE_OF(node, struct ike_p2, by_spi_in);
	const struct spi_key *k = key;

	return p2->spi_in == k->spi && ike_p2_ipproto(p2) == k->proto &&
	       cs_addr_equal(&p2->tunnel->local, k->addr);
}

static bool match_spi_out(const struct ike_node *node, const void *key)
{
	const struct ike_p2 *p2 = IKE_OF(node, struct ike_p2, by_spi_out);
	const struct spi_key *k = key;

	return p2->spi_out == k->spi && ike_p2_ipproto(p2) == k->proto &&
	       cs_addr_equal(&p2->tunnel->remote, k->addr);
}

static bool match_ah_in(const struct ike_node *node, const void *key)
{
	const struct ike_p2 *p2 = IKE_OF(node, struct ike_p2, by_ah_in);
	const struct spi_key *k = key;

	return p2->ah_in == k->spi && cs_addr_equal(&p2->tunnel->local, k->addr);
}

static bool match_ah_out(const struct ike_node *node, const void *key)
{
	const struct ike_p2 *p2 = IKE_OF(node, struct ike_p2, by_ah_out);
	const struct spi_key *k = key;

	return p2->ah_out == k->spi && cs_addr_equal(&p2->tunnel->remote, k->addr);
}

/* By the AH of a bundle. */
static struct ike_p2 *by_ah(const struct ike_engine *e, bool inbound, uint64_t hash,
			    const struct spi_key *key)
{
	struct ike_node *node;

	if (key->proto != IPPROTO_AH)
		return NULL;
	if (inbound) {
		node = ike_table_find(&e->ahs_in, hash, match_ah_in, key);
		return node ? IKE_OF(node, struct ike_p2, by_ah_in) : NULL;
	}
	node = ike_table_find(&e->ahs_out, hash, match_ah_out, key);
	return node ? IKE_OF(node, struct ike_p2, by_ah_out) : NULL;
}

struct ike_p2 *ike_p2_by_spi(const struct ike_engine *e, bool inbound, const struct cs_addr *addr,
			     uint8_t proto, uint32_t spi)
{
	struct spi_key key = {addr, proto, spi};
	uint64_t hash = hash_spi(e, addr, proto, spi);
	struct ike_node *node;

	if (inbound) {
		node = ike_table_find(&e->spis_in, hash, match_spi_in, &key);
		return node ? IKE_OF(node, struct ike_p2, by_spi_in) : by_ah(e, true, hash, &key);
	}
	node = ike_table_find(&e->spis_out, hash, match_spi_out, &key);
	return node ? IKE_OF(node, struct ike_p2, by_spi_out) : by_ah(e, false, hash, &key);
}

/* ---- tunnels ---- */

struct ike_tunnel_key ike_tunnel_key_of(const struct ike_tunnel *t)
{
	return (struct ike_tunnel_key){t->rule_id, &t->selector, &t->local, &t->remote, t->client};
}

uint64_t ike_tunnel_hash(const struct ike_engine *e, const struct ike_tunnel_key *k)
{
	const struct cs_selector *s = k->selector;
	uint8_t ports[5] = {s->proto, (uint8_t)(s->local_port >> 8), (uint8_t)s->local_port,
			    (uint8_t)(s->remote_port >> 8), (uint8_t)s->remote_port};

	return ike_hash_addrs(e, &s->local.lo, &s->remote.lo) ^
	       ike_siphash(e->table_key, ports, sizeof(ports));
}

static bool match_tunnel(const struct ike_node *node, const void *key)
{
	const struct ike_tunnel *t = IKE_OF(node, struct ike_tunnel, by_key);
	const struct ike_tunnel_key *k = key;

	return t->rule_id == k->rule_id && t->client == k->client &&
	       cs_selector_equal(&t->selector, k->selector) && cs_addr_equal(&t->local, k->local) &&
	       cs_addr_equal(&t->remote, k->remote);
}

struct ike_tunnel *ike_tunnel_by_key(const struct ike_engine *e, const struct ike_tunnel_key *k)
{
	struct ike_node *node = ike_table_find(&e->tunnels, ike_tunnel_hash(e, k), match_tunnel, k);

	return node ? IKE_OF(node, struct ike_tunnel, by_key) : NULL;
}

struct ike_tunnel *ike_tunnel_find(const struct ike_engine *e, uint16_t rule_id,
				   const struct cs_selector *selector, const struct cs_addr *local,
				   const struct cs_addr *remote)
{
	struct ike_tunnel_key key = {rule_id, selector, local, remote, 0};

	return ike_tunnel_by_key(e, &key);
}

static bool match_y(const struct ike_node *node, const void *key)
{
	return IKE_OF(node, struct ike_tunnel, by_number)->number == *(const uint32_t *)key;
}

struct ike_tunnel *ike_tunnel_by_number(const struct ike_engine *e, uint32_t number)
{
	struct ike_node *node =
		ike_table_find(&e->y_numbers, ike_hash_number(e, number), match_y, &number);

	return node ? IKE_OF(node, struct ike_tunnel, by_number) : NULL;
}

/*
 * A number whose reqid no other tunnel of the rule has: reqids come round again after 2^18 numbers,
 * and two tunnels with one would send to the newer one's peer.
 */
static uint32_t free_number(struct ike_engine *e, uint16_t rule_id)
{
	for (;;) {
		uint32_t number = ike_new_tunnel(e), same = number;
		bool taken = false;

		while (same > XF_REQID_TUNNEL_MAX && !taken) {
			const struct ike_tunnel *t;

			same -= XF_REQID_TUNNEL_MAX;
			t = ike_tunnel_by_number(e, same);
			taken = t && t->rule_id == rule_id;
		}
		if (!taken)
			return number;
	}
}

static struct ike_tunnel *make_tunnel(struct ike_engine *e, const struct ike_tunnel_key *key,
				      uint32_t number)
{
	struct ike_tunnel *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	ike_list_init(&t->p2s);
	t->number = number;
	t->rule_id = key->rule_id;
	t->mark_id = ike_mark_id(e, key->rule_id, key->selector);
	t->reqid = xf_reqid(t->rule_id, (number - 1) % XF_REQID_TUNNEL_MAX + 1);
	t->selector = *key->selector;
	t->local = *key->local;
	t->remote = *key->remote;
	t->client = key->client;
	if (!ike_mark_take(e, t)) {
		free(t);
		return NULL;
	}
	ike_table_add(&e->tunnels, &t->by_key, ike_tunnel_hash(e, key));
	ike_table_add(&e->y_numbers, &t->by_number, ike_hash_number(e, number));
	return t;
}

struct ike_tunnel *ike_tunnel_get(struct ike_engine *e, const struct ike_tunnel_key *k)
{
	struct ike_tunnel *t = ike_tunnel_by_key(e, k);

	return t ? t : make_tunnel(e, k, free_number(e, k->rule_id));
}

struct ike_tunnel *ike_tunnel_restore(struct ike_engine *e, const struct ike_p2_info *i)
{
	struct ike_tunnel_key key = {i->rule_id, &i->selector, &i->local, &i->remote, i->client};
	struct ike_tunnel *t = ike_tunnel_by_key(e, &key);

	if (t || ike_tunnel_by_number(e, i->tunnel))
		return t && t->number == i->tunnel ? t : NULL;
	if (i->tunnel > e->last_tunnel)
		e->last_tunnel = i->tunnel;
	return make_tunnel(e, &key, i->tunnel);
}

/* Stays readable until the engine is left, as its last pair does. */
void ike_tunnel_put(struct ike_engine *e, struct ike_tunnel *t)
{
	if (!ike_list_empty(&t->p2s) || !t->by_key.in)
		return;
	ike_table_remove(&e->tunnels, &t->by_key);
	ike_table_remove(&e->y_numbers, &t->by_number);
	ike_mark_put(e, t);
	ike_list_add_tail(&e->dead_tunnels, &t->dead);
}
