/*
 * Takeover: SAs that another host had at an address which has come here are negotiated anew, from
 * what was agreed last time; so is phase 1 after a restart that only the pairs have lived over.
 * This is what is known of them: peers in the order in which they were used last, each with its
 * pairs.  A pair stays until its tunnel is up again, whoever began that, and the peer knows that
 * the old one is gone; or until nothing can come of it any more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/takeover.h"

/* ---- what is known ---- */

uint64_t ike_old_hash_spi(const struct ike_engine *e, uint32_t spi)
{
	return ike_hash_number(e, spi);
}

uint64_t ike_old_hash_ids(const struct ike_engine *e, struct cs_bytes remote_id)
{
	return ike_siphash(e->table_key, remote_id.p, remote_id.len);
}

struct cs_bytes ike_old_local_id(const struct ike_old_peer *op)
{
	return (struct cs_bytes){op->ids, op->local_id_len};
}

struct cs_bytes ike_old_remote_id(const struct ike_old_peer *op)
{
	return (struct cs_bytes){op->ids + op->local_id_len, op->remote_id_len};
}

bool ike_old_same(struct cs_bytes a, struct cs_bytes b)
{
	return a.len == b.len && (!a.len || !memcmp(a.p, b.p, a.len));
}

struct ike_tunnel_key ike_old_pair_key(const struct ike_old_pair *pair)
{
	return (struct ike_tunnel_key){pair->rule_id, &pair->selector, &pair->peer->local.addr,
				       &pair->peer->remote.addr, 0};
}

void ike_old_pair_set(struct ike_engine *e, struct ike_old_pair *pair, enum ike_old_state state)
{
	e->takeover->n[pair->state]--;
	pair->state = state;
	e->takeover->n[state]++;
}

/* ---- what came ---- */

static void set_rule(struct ike_engine *e, struct ike_old_pair *pair)
{
	const struct pol_filter_rule *rule = ike_first_rule(e, &pair->selector);

	if (!rule || strcmp(rule->name, pair->rule) != 0)
		rule = e->policy ? pol_rule_by_name(e->policy, pair->rule) : NULL;
	pair->rule_id = rule && rule->vpn ? rule->id : 0;
}

static void set_from_p1(struct ike_old_peer *op, const struct ike_p1_info *p1)
{
	op->local = p1->local;
	op->remote = p1->remote;
	op->nat = p1->nat_remote;
	op->encap = p1->nat_encap;
	op->client = p1->user[0] || p1->suite.xauth;
	op->mode = p1->mode;
	op->suite = p1->suite;
	op->has_suite = p1->suite.cipher && p1->suite.hash && p1->suite.group;
	snprintf(op->rule, sizeof(op->rule), "%s", p1->rule ? p1->rule : "");
}

static void set_from_p2(struct ike_engine *e, struct ike_old_peer *op, const struct ike_p2_info *p2)
{
	op->local = (struct cs_endpoint){p2->local, e->set.port};
	op->remote = (struct cs_endpoint){p2->remote, e->set.port};
	op->nat = p2->nat_remote;
	op->encap = p2->suite.udp != IKE_UDP_NONE && p2->encap_remote;
	op->client = p2->user[0];
	if (op->encap) {
		op->local.port = e->set.nat_port;
		op->remote.port = p2->encap_remote;
	}
}

static bool match_common(const struct ike_node *node, const void *key)
{
	const struct ike_old_peer *op = IKE_OF(node, struct ike_old_peer, by_ids), *like = key;

	return op != like && op->nat && cs_addr_equal(&op->local.addr, &like->local.addr) &&
	       ike_old_same(ike_old_remote_id(op), ike_old_remote_id(like)) &&
	       ike_old_same(ike_old_local_id(op), ike_old_local_id(like));
}

/* Clients of one identity behind several NATs, or behind one. */
static void find_common(struct ike_engine *e, struct ike_old_peer *op)
{
	struct ike_node *node = op->nat ? ike_table_find(&e->takeover->by_ids,
							 ike_old_hash_ids(e, ike_old_remote_id(op)),
							 match_common, op)
					: NULL;

	if (!node)
		return;
	op->common = true;
	IKE_OF(node, struct ike_old_peer, by_ids)->common = true;
}

static struct ike_old_peer *make_peer(struct ike_engine *e, const struct ike_p1_info *p1,
				      const struct ike_p2_info *p2)
{
	struct cs_bytes none = {NULL, 0}, own = p2 ? p2->local_id : none,
			other = p2 ? p2->remote_id : none;
	struct ike_old_peer *op = calloc(1, sizeof(*op) + own.len + other.len);

	if (!op)
		return NULL;
	if (ike_timer_make(&e->timers, &op->again, ike_takeover_again)) {
		free(op);
		return NULL;
	}
	if (ike_timer_make(&e->timers, &op->tell, ike_takeover_tell)) {
		ike_timer_unmake(&e->timers, &op->again);
		free(op);
		return NULL;
	}
	ike_list_init(&op->pairs);
	ike_list_init(&op->p1s);
	ike_list_init(&op->ready);
	op->local_id_len = (uint16_t)own.len;
	op->remote_id_len = (uint16_t)other.len;
	if (own.len)
		memcpy(op->ids, own.p, own.len);
	if (other.len)
		memcpy(op->ids + own.len, other.p, other.len);
	if (p1)
		set_from_p1(op, p1);
	else
		set_from_p2(e, op, p2);
	ike_list_add_tail(&e->takeover->peers, &op->all);
	ike_table_add(&e->takeover->by_addrs, &op->by_addrs,
		      ike_hash_addrs(e, &op->local.addr, &op->remote.addr));
	if (other.len) {
		ike_table_add(&e->takeover->by_ids, &op->by_ids, ike_old_hash_ids(e, other));
		find_common(e, op);
	}
	return op;
}

struct group {
	const struct cs_endpoint *local, *remote;
	bool nat;
	const char *rule;
	struct cs_bytes local_id, remote_id;
};

static bool match_group(const struct ike_node *node, const void *key)
{
	const struct ike_old_peer *op = IKE_OF(node, struct ike_old_peer, by_addrs);
	const struct group *g = key;

	return !op->restart && cs_addr_equal(&op->local.addr, &g->local->addr) &&
	       cs_addr_equal(&op->remote.addr, &g->remote->addr) && op->nat == g->nat &&
	       (!g->nat || op->remote.port == g->remote->port) && !strcmp(op->rule, g->rule) &&
	       ike_old_same(ike_old_local_id(op), g->local_id) &&
	       ike_old_same(ike_old_remote_id(op), g->remote_id);
}

static struct ike_old_peer *peer_of(struct ike_engine *e, const struct ike_inherited *row,
				    unsigned *new_peers)
{
	struct cs_endpoint local = {row->p2.local, e->set.port},
			   remote = {row->p2.remote, row->p2.encap_remote};
	struct group g = {&local, &remote,          row->p2.nat_remote,
			  "",     row->p2.local_id, row->p2.remote_id};
	struct ike_node *node;
	struct ike_old_peer *op;

	if (row->p1) {
		g.local = &row->p1->local;
		g.remote = &row->p1->remote;
		g.nat = row->p1->nat_remote;
		g.rule = row->p1->rule ? row->p1->rule : "";
	}
	node = ike_table_find(&e->takeover->by_addrs,
			      ike_hash_addrs(e, &g.local->addr, &g.remote->addr), match_group, &g);
	if (node)
		return IKE_OF(node, struct ike_old_peer, by_addrs);
	op = make_peer(e, row->p1, &row->p2);
	*new_peers += op != NULL;
	return op;
}

static bool has_p1(const struct ike_old_peer *op, const struct ike_p1_info *p1)
{
	for (const struct ike_list *l = op->p1s.next; l != &op->p1s; l = l->next) {
		const struct ike_old_p1 *o = IKE_OF(l, struct ike_old_p1, in_peer);

		if (!memcmp(o->icookie, p1->icookie, ISA_COOKIE_LEN) &&
		    !memcmp(o->rcookie, p1->rcookie, ISA_COOKIE_LEN))
			return true;
	}
	return false;
}

/* Without memory the peer finds out by itself. */
static void add_p1(struct ike_old_peer *op, const struct ike_p1_info *p1)
{
	static const uint8_t no_cookie[ISA_COOKIE_LEN];
	struct ike_old_p1 *o;

	if (!p1 || !memcmp(p1->rcookie, no_cookie, ISA_COOKIE_LEN) || has_p1(op, p1))
		return;
	o = calloc(1, sizeof(*o));
	if (!o)
		return;
	memcpy(o->icookie, p1->icookie, ISA_COOKIE_LEN);
	memcpy(o->rcookie, p1->rcookie, ISA_COOKIE_LEN);
	ike_list_add_tail(&op->p1s, &o->in_peer);
}

static bool is_row(const struct ike_old_pair *pair, const struct ike_p2_info *i)
{
	return i->spi_in && cs_addr_equal(&pair->peer->local.addr, &i->local) &&
	       cs_addr_equal(&pair->peer->remote.addr, &i->remote) &&
	       cs_selector_equal(&pair->selector, &i->selector);
}

static int add_pair(struct ike_engine *e, const struct ike_inherited *row, unsigned *new_peers)
{
	const struct ike_p2_info *i = &row->p2;
	struct ike_old_pair *pair = ike_old_pair_by_spi(e, i->spi_in);
	struct ike_old_peer *op;
	struct ike_tunnel_key key;

	/* What is read again has another number. */
	if (pair && is_row(pair, i)) {
		pair->ref = row->ref;
		return 0;
	}
	pair = calloc(1, sizeof(*pair));
	op = pair ? peer_of(e, row, new_peers) : NULL;
	if (!op) {
		free(pair);
		return CS_ENOMEM;
	}
	add_p1(op, row->p1);
	pair->peer = op;
	pair->ref = row->ref;
	pair->tunnel = i->tunnel;
	snprintf(pair->rule, sizeof(pair->rule), "%s", i->rule ? i->rule : "");
	snprintf(pair->local_rule, sizeof(pair->local_rule), "%s",
		 i->local_rule ? i->local_rule : "");
	pair->selector = i->selector;
	pair->client = i->client;
	ike_nat_names_of(i, &pair->named);
	pair->suite = i->suite;
	pair->spi_in = i->spi_in;
	pair->ah_in = i->ah_in;
	pair->expires = i->expires;
	pair->vpn_expires = i->vpn_expires;
	set_rule(e, pair);
	key = ike_old_pair_key(pair);
	ike_list_add_tail(&op->pairs, &pair->in_peer);
	ike_table_add(&e->takeover->by_key, &pair->by_key, ike_tunnel_hash(e, &key));
	ike_table_add(&e->takeover->by_spi, &pair->by_spi, ike_old_hash_spi(e, pair->spi_in));
	e->takeover->n_pairs++;
	e->takeover->n[pair->state]++;
	ike_takeover_ready(e, op, false);
	return 0;
}

static int by_use(const void *a, const void *b)
{
	const struct ike_inherited *x = *(const struct ike_inherited *const *)a,
				   *y = *(const struct ike_inherited *const *)b;

	if (x->used != y->used)
		return x->used > y->used ? -1 : 1;
	return (x->p2.installed < y->p2.installed) - (x->p2.installed > y->p2.installed);
}

int ike_take_over(struct ike_engine *e, const struct ike_inherited *rows, size_t n,
		  struct cs_err *err)
{
	const struct ike_inherited **sorted = calloc(n + 1, sizeof(const struct ike_inherited *));
	unsigned pairs = 0, peers = 0;

	if (!sorted)
		return cs_fail(err, CS_ENOMEM, "no memory for what is taken over");
	for (size_t i = 0; i < n; i++)
		sorted[i] = &rows[i];
	qsort(sorted, n, sizeof(const struct ike_inherited *), by_use);
	for (size_t i = 0; i < n; i++)
		pairs += !add_pair(e, sorted[i], &peers);
	free(sorted);
	if (pairs)
		ike_takeover_begun(e, pairs, peers, &rows[0].p2.local);
	if (pairs < n)
		return cs_fail(err, CS_ENOMEM, "no memory for %zu of the tunnels to take over",
			       n - pairs);
	return 0;
}

static bool match_restart(const struct ike_node *node, const void *key)
{
	const struct ike_old_peer *op = IKE_OF(node, struct ike_old_peer, by_addrs);
	const struct ike_p2_info *p2 = key;

	return op->restart && op->tunnel == p2->parent &&
	       ike_old_same(ike_old_remote_id(op), p2->remote_id) &&
	       cs_addr_equal(&op->local.addr, &p2->local) &&
	       cs_addr_equal(&op->remote.addr, &p2->remote);
}

/* Without memory it is negotiated when something needs it. */
void ike_takeover_restart(struct ike_engine *e, const struct ike_p1_info *p1,
			  const struct ike_p2_info *p2)
{
	struct ike_node *node =
		ike_table_find(&e->takeover->by_addrs, ike_hash_addrs(e, &p2->local, &p2->remote),
			       match_restart, p2);
	struct ike_old_peer *op =
		node ? IKE_OF(node, struct ike_old_peer, by_addrs) : make_peer(e, p1, p2);

	if (!op)
		return;
	add_p1(op, p1);
	if (node)
		return;
	op->restart = true;
	op->tunnel = p2->parent;
	op->expires = p1 ? p1->expires : p2->expires;
	ike_takeover_ready(e, op, false);
}

/* ---- the end ---- */

void ike_old_pair_free(struct ike_engine *e, struct ike_old_pair *pair)
{
	struct ike_tunnel_key key = ike_old_pair_key(pair);

	if (pair->asked)
		ike_hold_failed(e, &key);
	e->takeover->n[pair->state]--;
	e->takeover->n_pairs--;
	ike_table_remove(&e->takeover->by_key, &pair->by_key);
	ike_table_remove(&e->takeover->by_spi, &pair->by_spi);
	ike_list_remove(&pair->in_peer);
	free(pair);
}

void ike_old_peer_free(struct ike_engine *e, struct ike_old_peer *op)
{
	while (!ike_list_empty(&op->pairs))
		ike_old_pair_free(e, IKE_OF(op->pairs.next, struct ike_old_pair, in_peer));
	while (!ike_list_empty(&op->p1s)) {
		struct ike_old_p1 *o = IKE_OF(op->p1s.next, struct ike_old_p1, in_peer);

		ike_list_remove(&o->in_peer);
		free(o);
	}
	ike_takeover_p1_ended(e, op);
	ike_table_remove(&e->takeover->by_addrs, &op->by_addrs);
	ike_table_remove(&e->takeover->by_ids, &op->by_ids);
	ike_list_remove(&op->all);
	ike_list_remove(&op->ready);
	ike_timer_unmake(&e->timers, &op->again);
	ike_timer_unmake(&e->timers, &op->tell);
	free(op);
}

/* Quick Modes under way are no takeover's any more. */
static void let_go(struct ike_engine *e, const struct cs_addr *address)
{
	for (struct ike_list *l = e->p2s.next; l != &e->p2s; l = l->next) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, all);

		if (!address || cs_addr_equal(&p2->tunnel->local, address))
			ike_takeover_quick_ended(e, p2);
	}
}

void ike_takeover_forget(struct ike_engine *e, const struct cs_addr *address)
{
	let_go(e, address);
	for (struct ike_list *l = e->takeover->peers.next; l != &e->takeover->peers;) {
		struct ike_old_peer *op = IKE_OF(l, struct ike_old_peer, all);

		l = l->next;
		if (!address || cs_addr_equal(&op->local.addr, address))
			ike_old_peer_free(e, op);
	}
	if (ike_list_empty(&e->takeover->ready) && ike_list_empty(&e->takeover->urgent))
		ike_timer_stop(&e->timers, &e->takeover->soon);
	ike_takeover_check_end(e);
}

int ike_takeover_new(struct ike_engine *e)
{
	struct ike_takeover *t = calloc(1, sizeof(*t));
	int rc;

	if (!t)
		return CS_ENOMEM;
	e->takeover = t;
	ike_takeover_open_window(e);
	ike_list_init(&t->peers);
	ike_list_init(&t->urgent);
	ike_list_init(&t->ready);
	rc = ike_table_init(&t->by_key);
	if (!rc)
		rc = ike_table_init(&t->by_spi);
	if (!rc)
		rc = ike_table_init(&t->by_addrs);
	if (!rc)
		rc = ike_table_init(&t->by_ids);
	if (!rc)
		rc = ike_timer_make(&e->timers, &t->soon, ike_takeover_soon);
	if (!rc)
		rc = ike_timer_make(&e->timers, &t->progress, ike_takeover_progress);
	return rc;
}

void ike_takeover_free(struct ike_engine *e)
{
	struct ike_takeover *t = e->takeover;

	if (!t)
		return;
	ike_takeover_forget(e, NULL);
	ike_table_free(&t->by_key);
	ike_table_free(&t->by_spi);
	ike_table_free(&t->by_addrs);
	ike_table_free(&t->by_ids);
	free(t->vipas);
	free(t);
	e->takeover = NULL;
}

/* Rules may have other ids now, or be gone. */
void ike_takeover_policy(struct ike_engine *e)
{
	struct ike_takeover *t = e->takeover;

	for (struct ike_list *l = t->peers.next; l != &t->peers; l = l->next) {
		struct ike_old_peer *op = IKE_OF(l, struct ike_old_peer, all);

		for (struct ike_list *k = op->pairs.next; k != &op->pairs; k = k->next)
			set_rule(e, IKE_OF(k, struct ike_old_pair, in_peer));
		op->awaited = false;
		op->how = IKE_TRY_CACHED;
		ike_timer_set(&e->timers, &op->again, e->now.mono);
	}
	ike_takeover_schedule(e);
}
