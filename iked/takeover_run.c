/*
 * Takeover: what is begun when.  Peers that have something to do stand in a queue; from its head
 * phase 1 is begun, and then Quick Modes, as many at a time as there is room for.  A peer that does
 * not answer takes no room.
 */
#include <string.h>

#include "iked/takeover.h"

#define QUICKS_MAX   8u  /* at a time with one peer */
#define WINDOW_FIRST 16u /* negotiations at a time; then as many as come to an end */

/* ---- the queue ---- */

void ike_takeover_schedule(struct ike_engine *e)
{
	if (!ike_list_empty(&e->takeover->ready) || !ike_list_empty(&e->takeover->urgent))
		ike_timer_set(&e->timers, &e->takeover->soon, e->now.mono);
}

void ike_takeover_ready(struct ike_engine *e, struct ike_old_peer *op, bool first)
{
	struct ike_list *queue = &e->takeover->ready;

	if (op->urgent)
		queue = &e->takeover->urgent;
	if (first) {
		ike_list_remove(&op->ready);
		ike_list_add_head(queue, &op->ready);
	} else if (ike_list_empty(&op->ready)) {
		ike_list_add_tail(queue, &op->ready);
	}
	ike_takeover_schedule(e);
}

/*
 * As TCP begins: all at once would be up late, each of them, and the first should carry traffic
 * soon.  The farther away peers are, the more are under way before the first is up.
 */
static bool room(const struct ike_engine *e)
{
	return e->takeover->under_way < e->takeover->window;
}

/* Who is waiting does so no longer than for those that are waiting, too. */
static bool room_for_urgent(const struct ike_engine *e)
{
	return e->takeover->under_way < e->set.max_takeover;
}

void ike_takeover_open_window(struct ike_engine *e)
{
	e->takeover->window =
		e->set.max_takeover < WINDOW_FIRST ? e->set.max_takeover : WINDOW_FIRST;
}

void ike_takeover_widen(struct ike_engine *e)
{
	if (e->takeover->window < e->set.max_takeover)
		e->takeover->window++;
}

static void took_room(struct ike_engine *e)
{
	e->takeover->under_way++;
}

static void left_room(struct ike_engine *e)
{
	e->takeover->under_way--;
	ike_takeover_schedule(e);
}

/* ---- phase 1 ---- */

void ike_takeover_p1_begun(struct ike_engine *e, struct ike_old_peer *op, struct ike_p1 *p1)
{
	p1->ex->heir_of = op;
	p1->ex->rt.hasty = true;
	op->trying = p1;
	op->slot = true;
	took_room(e);
}

static void leave_slot(struct ike_engine *e, struct ike_old_peer *op)
{
	if (op->slot)
		left_room(e);
	op->slot = false;
}

void ike_takeover_p1_ended(struct ike_engine *e, struct ike_old_peer *op)
{
	if (op->trying && op->trying->ex)
		op->trying->ex->heir_of = NULL;
	op->trying = NULL;
	leave_slot(e, op);
}

/* Its pairs count as waiting from now on, and are queued again when it answers. */
void ike_takeover_silent(struct ike_engine *e, struct ike_old_peer *op)
{
	for (struct ike_list *l = op->pairs.next; l != &op->pairs; l = l->next) {
		struct ike_old_pair *pair = IKE_OF(l, struct ike_old_pair, in_peer);

		if (pair->state == IKE_OLD_QUEUED)
			ike_old_pair_set(e, pair, IKE_OLD_WAITS);
	}
	leave_slot(e, op);
	/* It costs nothing, and others may stand behind many of its kind. */
	ike_takeover_widen(e);
	ike_takeover_check_end(e);
}

/* In the mode that was used, where the policy has that for one of the two directions. */
static enum pol_mode mode_of(const struct ike_old_peer *op, const struct pol_ke_action *a)
{
	bool known = op->mode == POL_MODE_MAIN || op->mode == POL_MODE_AGGRESSIVE;
	bool answers = a->respond == op->mode || a->respond == POL_MODE_EITHER;

	if (op->how == IKE_TRY_CACHED && known && op->has_suite &&
	    (answers || a->initiate == op->mode) &&
	    (op->mode == POL_MODE_MAIN || a->initiate == op->mode || a->respond_coded))
		return op->mode;
	return a->initiate;
}

static int begin_p1(struct ike_engine *e, struct ike_old_peer *op, const struct pol_ke_rule *rule,
		    struct cs_err *err)
{
	struct ike_first_try f = {.from = {op->local.addr, e->set.port},
				  .to = {op->remote.addr, e->set.port},
				  .rule = rule,
				  .only = -1,
				  .heir_of = op};
	struct ike_p1 *p1;
	int rc;

	/* Through a NAT where the mapping is (RFC 3947 section 4). */
	if (op->encap) {
		f.from.port = e->set.nat_port;
		f.to = op->remote;
	}
	f.mode = mode_of(op, rule->action);
	if (op->how == IKE_TRY_CACHED && op->has_suite)
		f.only = ike_p1_cached_offer(e, CS_NOCTX, rule->action, &op->suite);
	if (f.only < 0)
		f.mode = rule->action->initiate;
	rc = ike_exchange_initiate(e, &f, &p1, err);
	if (rc)
		ike_takeover_p1_ended(e, op);
	return rc;
}

/* ---- it cannot be begun now ---- */

static void wait_all(struct ike_engine *e, struct ike_old_peer *op)
{
	for (struct ike_list *l = op->pairs.next; l != &op->pairs; l = l->next) {
		struct ike_old_pair *pair = IKE_OF(l, struct ike_old_pair, in_peer);
		struct ike_tunnel_key key = ike_old_pair_key(pair);

		if (pair->state != IKE_OLD_QUEUED && pair->state != IKE_OLD_WAITS)
			continue;
		if (pair->asked)
			ike_hold_failed(e, &key);
		pair->asked = false;
		ike_old_pair_set(e, pair, IKE_OLD_WAITS);
	}
	op->urgent = false;
	op->how = IKE_TRY_CACHED;
	ike_timer_set(&e->timers, &op->again, e->now.mono + IKE_TAKEOVER_AGAIN_MS);
	ike_takeover_check_end(e);
}

static unsigned n_waiting(const struct ike_old_peer *op)
{
	unsigned n = 0;

	for (const struct ike_list *l = op->pairs.next; l != &op->pairs; l = l->next)
		n += IKE_OF(l, struct ike_old_pair, in_peer)->state == IKE_OLD_WAITS;
	return n;
}

static void count_awaited(struct ike_engine *e, struct ike_old_peer *op)
{
	unsigned n = op->counted ? 0 : n_waiting(op);

	op->counted = true;
	e->stats.awaited += n;
}

static void say_awaited(struct ike_engine *e, struct ike_old_peer *op, const char *why)
{
	char peer[CS_ENDPOINT_STRLEN];

	if (op->restart && !op->counted)
		ike_logf(e, CS_NOCTX, CSM_P1_NOT_ANEW, cs_endpoint_text(&op->remote, peer),
			 op->rule, why);
	else if (!op->counted)
		ike_logf(e, CS_NOCTX, CSM_TAKEOVER_AWAITED, cs_endpoint_text(&op->remote, peer),
			 op->rule, why, n_waiting(op));
	count_awaited(e, op);
}

/* Only the peer can begin. why: of the policy or what the peer is. */
static void await(struct ike_engine *e, struct ike_old_peer *op, const char *why)
{
	op->awaited = true;
	wait_all(e, op);
	say_awaited(e, op, why);
}

static void await_nat(struct ike_engine *e, struct ike_old_peer *op)
{
	char peer[CS_ENDPOINT_STRLEN];

	op->awaited = true;
	wait_all(e, op);
	ike_logf(e, CS_NOCTX, CSM_TAKEOVER_TRIED, cs_endpoint_text(&op->remote, peer), op->rule,
		 n_waiting(op));
	count_awaited(e, op);
}

static void rest(struct ike_engine *e, struct ike_old_peer *op, const char *why)
{
	char peer[CS_ENDPOINT_STRLEN];

	wait_all(e, op);
	if (op->restart && !op->counted)
		ike_logf(e, CS_NOCTX, CSM_P1_NOT_ANEW, cs_endpoint_text(&op->remote, peer),
			 op->rule, why);
	else if (!op->counted)
		ike_logf(e, CS_NOCTX, CSM_TAKEOVER_RESTS, cs_endpoint_text(&op->remote, peer),
			 op->rule, why, n_waiting(op));
	count_awaited(e, op);
}

/* Of the exchange that was begun for op; again: the peer refused what was agreed last time. */
void ike_takeover_p1_failed(struct ike_engine *e, struct ike_old_peer *op, bool again,
			    const char *why)
{
	ike_takeover_p1_ended(e, op);
	if (!ike_old_peer_open(op) && !op->restart) {
		ike_takeover_tell_soon(e, op);
	} else if (again && op->how == IKE_TRY_CACHED) {
		op->how = IKE_TRY_PLAIN;
		for (struct ike_list *l = op->pairs.next; l != &op->pairs; l = l->next) {
			struct ike_old_pair *pair = IKE_OF(l, struct ike_old_pair, in_peer);

			if (pair->state == IKE_OLD_WAITS)
				ike_old_pair_set(e, pair, IKE_OLD_QUEUED);
		}
		ike_takeover_ready(e, op, true);
	} else if (op->nat && !op->restart) {
		await_nat(e, op);
	} else {
		rest(e, op, why);
	}
}

/* ---- phase 2 ---- */

static unsigned path_of(const struct ike_old_pair *pair)
{
	const struct ike_old_peer *op = pair->peer;
	unsigned path = ike_transport_ok(&pair->selector, &op->local.addr, &op->remote.addr)
				? IKE_PATH_TRANSPORT
				: 0;

	if (pair->suite.udp != IKE_UDP_NONE)
		path |= IKE_PATH_UDP;
	return pair->suite.udp == IKE_UDP_DRAFT ? path | IKE_PATH_DRAFT : path;
}

/* The tunnel is there: up, as one of the same tunnel is, or on its way, whoever began it. */
static bool is_there(struct ike_engine *e, struct ike_old_pair *pair)
{
	struct ike_tunnel_key key = ike_old_pair_key(pair);
	const struct ike_tunnel *t = pair->client ? NULL : ike_tunnel_by_key(e, &key);
	const struct ike_p2 *p2 = t ? ike_refresh_current(t) : NULL;

	if (p2) {
		ike_takeover_up(e, p2);
		if (pair->state == IKE_OLD_QUEUED)
			ike_takeover_give_up(e, pair, "another peer has its tunnel");
		return true;
	}
	if (!t || !ike_refresh_under_way(t))
		return false;
	for (struct ike_list *l = t->p2s.next; l != &t->p2s && pair->asked; l = l->next)
		if (IKE_OF(l, struct ike_p2, in_tunnel)->qm)
			IKE_OF(l, struct ike_p2, in_tunnel)->qm->asked = true;
	ike_old_pair_set(e, pair, IKE_OLD_UNDER_WAY);
	return true;
}

static const char *not_possible(struct ike_engine *e, const struct ike_old_pair *pair,
				const struct pol_filter_rule *rule, struct cs_err *err)
{
	if (!rule || !rule->vpn)
		return "the policy no longer has its rule";
	if (!ike_rule_in_time(e, rule))
		return IKE_OUT_OF_TIME;
	if (pair->vpn_expires && pair->vpn_expires <= e->now.wall)
		return "its VpnLife is over";
	if (pair->expires && pair->expires <= e->now.wall)
		return "its lifetime is over";
	if (ike_p2_check_request(rule, &pair->selector, &pair->peer->local.addr,
				 &pair->peer->remote.addr, err))
		return err->text;
	return NULL;
}

static int start(struct ike_engine *e, struct ike_old_pair *pair,
		 const struct pol_filter_rule *rule, struct ike_p1 *p1, struct cs_err *err)
{
	struct ike_tunnel_key key = ike_old_pair_key(pair);
	const struct pol_local_dynvpn *local =
		pair->local_rule[0] ? pol_local_rule_by_name(e->policy, pair->local_rule) : NULL;
	struct ike_tunnel *t;
	struct ike_p2 *p2;

	if (pair->client && ike_mark_free(e, &key.client, err))
		return err->code;
	t = ike_tunnel_get(e, &key);
	if (!t)
		return cs_fail(err, CS_ENOMEM, "no memory for a tunnel");
	if (pair->named.local.lo.family)
		t->named = pair->named;
	if (ike_p2_begin(e, p1, rule, t, IKE_ACT_TAKEOVER, local, &p2, err)) {
		ike_tunnel_put(e, t);
		return err->code;
	}
	t->vpn_expires = pair->vpn_expires;
	p2->qm->asked = pair->asked;
	p2->qm->rt.hasty = true;
	p2->qm->heir_of = pair->peer;
	if (!pair->plain)
		ike_p2_offer_cached(e, p2, path_of(pair), &pair->suite);
	ike_old_pair_set(e, pair, IKE_OLD_UNDER_WAY);
	pair->peer->under_way++;
	took_room(e);
	if (p1->up)
		ike_quick_soon(e, p2);
	return 0;
}

static void begin_pair(struct ike_engine *e, struct ike_old_pair *pair, struct ike_p1 *p1)
{
	const struct pol_filter_rule *rule =
		e->policy && pair->rule_id ? pol_rule_by_id(e->policy, pair->rule_id) : NULL;
	struct cs_err err = {0};
	const char *why;

	if (is_there(e, pair))
		return;
	why = not_possible(e, pair, rule, &err);
	if (why)
		ike_takeover_give_up(e, pair, why);
	else if (rule->vpn->initiation == POL_INIT_REMOTE)
		ike_old_pair_set(e, pair, IKE_OLD_WAITS);
	else if (start(e, pair, rule, p1, &err))
		ike_takeover_give_up(e, pair, err.text);
}

/* A Quick Mode that was begun here has ended, or is up. */
struct ike_old_peer *ike_takeover_quick_ended(struct ike_engine *e, const struct ike_p2 *p2)
{
	struct ike_old_peer *op = p2->qm ? p2->qm->heir_of : NULL;

	if (!op)
		return NULL;
	p2->qm->heir_of = NULL;
	op->under_way--;
	ike_takeover_ready(e, op, true);
	if (p2->up)
		ike_takeover_widen(e);
	left_room(e);
	return op;
}

/* ---- one peer ---- */

static struct ike_old_pair *next_pair(const struct ike_old_peer *op)
{
	for (struct ike_list *l = op->pairs.next; l != &op->pairs; l = l->next) {
		struct ike_old_pair *pair = IKE_OF(l, struct ike_old_pair, in_peer);

		if (pair->state == IKE_OLD_QUEUED)
			return pair;
	}
	return NULL;
}

/* What cannot be begun at all needs no phase 1. */
static void sift(struct ike_engine *e, struct ike_old_peer *op)
{
	for (struct ike_list *l = op->pairs.next; l != &op->pairs;) {
		struct ike_old_pair *pair = IKE_OF(l, struct ike_old_pair, in_peer);
		const struct pol_filter_rule *rule =
			e->policy && pair->rule_id ? pol_rule_by_id(e->policy, pair->rule_id)
						   : NULL;
		struct cs_err err = {0};
		const char *why;

		l = l->next;
		if (pair->state != IKE_OLD_QUEUED)
			continue;
		why = not_possible(e, pair, rule, &err);
		if (why)
			ike_takeover_give_up(e, pair, why);
	}
}

static bool all_remote(const struct ike_engine *e, const struct ike_old_peer *op)
{
	for (const struct ike_list *l = op->pairs.next; l != &op->pairs; l = l->next) {
		const struct ike_old_pair *pair = IKE_OF(l, struct ike_old_pair, in_peer);
		const struct pol_filter_rule *rule = pol_rule_by_id(e->policy, pair->rule_id);

		if (pair->state == IKE_OLD_QUEUED && rule && rule->vpn &&
		    rule->vpn->initiation != POL_INIT_REMOTE)
			return false;
	}
	return !op->restart;
}

/* Without a phase 1 SA: begins one, or says who has to. */
static void need_p1(struct ike_engine *e, struct ike_old_peer *op)
{
	const struct pol_ke_rule *rule = ike_old_peer_rule(e, op);
	struct cs_err err = {0};

	/* One that something else has begun serves, too. */
	if (op->trying ||
	    (!op->nat && rule && ike_p1_for(e, &op->local.addr, &op->remote.addr, rule)))
		return;
	if (op->client || (rule && rule->action->xauth))
		await(e, op, "it is a client, whose user has to be proved");
	else if (!rule)
		rest(e, op, "no KeyExchangeRule is for it");
	else if (rule->action->initiate == POL_MODE_DONOT)
		await(e, op, "HowToInitiate DoNot");
	else if (all_remote(e, op))
		await(e, op, "Initiation RemoteOnly");
	else if (begin_p1(e, op, rule, &err))
		rest(e, op, err.text);
}

static void run_peer(struct ike_engine *e, struct ike_old_peer *op)
{
	struct ike_old_pair *pair;
	struct ike_p1 *p1;

	if (!op->again.slot)
		ike_timer_set(&e->timers, &op->again, e->now.mono + IKE_TAKEOVER_AGAIN_MS);
	p1 = ike_old_peer_p1(e, op);
	if (!p1)
		sift(e, op);
	if (op->restart ? p1 != NULL : !next_pair(op)) {
		op->urgent = false;
		ike_takeover_tell_soon(e, op);
		return;
	}
	if (!p1) {
		need_p1(e, op);
		return;
	}
	op->via = p1->tunnel;
	while ((pair = next_pair(op)) && p1->up && !p1->dead && op->under_way < QUICKS_MAX &&
	       (room(e) || (op->urgent && room_for_urgent(e)))) {
		op->urgent = false;
		begin_pair(e, pair, p1);
	}
	if (pair && op->under_way < QUICKS_MAX)
		ike_takeover_ready(e, op, true);
	if (!pair && n_waiting(op))
		say_awaited(e, op, "Initiation RemoteOnly");
}

static void run_first(struct ike_engine *e, struct ike_list *queue)
{
	struct ike_old_peer *op = IKE_OF(queue->next, struct ike_old_peer, ready);

	ike_list_remove(&op->ready);
	run_peer(e, op);
}

void ike_takeover_soon(struct ike_engine *e, struct ike_timer *timer)
{
	struct ike_takeover *t = e->takeover;

	(void)timer;
	if (!e->policy)
		return; /* it goes on when there is one */
	while (!ike_list_empty(&t->urgent) && room_for_urgent(e))
		run_first(e, &t->urgent);
	while (!ike_list_empty(&t->ready) && room(e))
		run_first(e, &t->ready);
	ike_takeover_check_end(e);
}

static bool is_under_way(const struct ike_engine *e, const struct ike_old_pair *pair)
{
	struct ike_tunnel_key key = ike_old_pair_key(pair);
	const struct ike_tunnel *t = ike_tunnel_by_key(e, &key);

	return pair->client || (t && ike_refresh_under_way(t));
}

/* Of a phase 1 SA from before a restart: its pairs still live, and it would, too. */
static bool is_needed(const struct ike_engine *e, const struct ike_old_peer *op)
{
	const struct ike_peer *peer = ike_old_peer_now(e, op);

	return op->expires > e->now.wall && peer && !ike_list_empty(&peer->p2s);
}

/* Another try, or the peer has had the time to begin by itself; and what is over by now goes. */
void ike_takeover_again(struct ike_engine *e, struct ike_timer *timer)
{
	struct ike_old_peer *op = IKE_OF(timer, struct ike_old_peer, again);
	struct ike_p1 *p1 = ike_old_peer_p1(e, op);

	if (op->restart && !op->trying && !p1 && !is_needed(e, op)) {
		ike_old_peer_free(e, op);
		return;
	}
	for (struct ike_list *l = op->pairs.next; l != &op->pairs; l = l->next) {
		struct ike_old_pair *pair = IKE_OF(l, struct ike_old_pair, in_peer);
		bool now = (!op->awaited && !op->trying) || p1 || pair->expires <= e->now.wall;

		if ((pair->state == IKE_OLD_WAITS && now) ||
		    (pair->state == IKE_OLD_UNDER_WAY && !is_under_way(e, pair)))
			ike_old_pair_set(e, pair, IKE_OLD_QUEUED);
	}
	ike_timer_set(&e->timers, timer, e->now.mono + IKE_TAKEOVER_AGAIN_MS);
	ike_takeover_ready(e, op, false);
}

/* ---- who is wanted ---- */

static void want(struct ike_engine *e, struct ike_old_pair *pair)
{
	struct ike_old_peer *op = pair->peer;

	if (pair->state == IKE_OLD_WAITS)
		ike_old_pair_set(e, pair, IKE_OLD_QUEUED);
	ike_list_remove(&pair->in_peer);
	ike_list_add_head(&op->pairs, &pair->in_peer);
	op->urgent = true;
	ike_takeover_ready(e, op, true);
}

int ike_takeover_asked(struct ike_engine *e, const struct ike_tunnel_key *key, struct cs_err *err)
{
	struct ike_old_pair *pair = ike_old_pair_find(e, key);

	/* What its rule and its peer let be is said where it is begun. */
	if (!pair || (pair->peer->awaited && !pair->peer->nat))
		return 0;
	if (pair->peer->awaited)
		return cs_fail(err, CS_EPOLICY,
			       "the peer is behind a NAT and does not answer at its last mapping, "
			       "so only it can begin");
	pair->asked = true;
	want(e, pair);
	return CS_EEXIST;
}

void ike_takeover_wanted(struct ike_engine *e, uint32_t spi)
{
	struct ike_old_pair *pair = ike_old_pair_by_spi(e, spi);

	if (pair && pair->state < IKE_OLD_UP && !pair->peer->awaited)
		want(e, pair);
}
