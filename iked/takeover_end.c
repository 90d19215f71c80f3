/*
 * Takeover: how it ends.  The peer is told exactly which of its SAs lead nowhere any more, under
 * the new phase 1; never by INITIAL-CONTACT, which would end those with other addresses of ours,
 * too.  Then what was inherited is of no use any more.
 */
#include <stdlib.h>
#include <string.h>

#include "iked/takeover.h"

#define TELL_MS     200u /* so that the last Quick Mode message is there before, and few go out */
#define SPIS_MAX    64u  /* in one message */
#define PROGRESS_MS 10000u

/* ---- one pair ---- */

void ike_takeover_settle(struct ike_engine *e, struct ike_old_pair *pair)
{
	if (e->ops.settled)
		e->ops.settled(e->ctx, pair->ref);
	ike_old_pair_free(e, pair);
}

void ike_takeover_give_up(struct ike_engine *e, struct ike_old_pair *pair, const char *why)
{
	struct ike_old_peer *op = pair->peer;
	struct ike_tunnel_key key = ike_old_pair_key(pair);
	char peer[CS_ENDPOINT_STRLEN], selector[CS_SELECTOR_STRLEN];

	if (why)
		ike_logf(e, CS_NOCTX, CSM_TAKEOVER_NOT, pair->tunnel, pair->rule,
			 cs_selector_text(&pair->selector, selector),
			 cs_endpoint_text(&op->remote, peer), why);
	if (pair->asked)
		ike_hold_failed(e, &key);
	pair->asked = false;
	ike_old_pair_set(e, pair, IKE_OLD_GIVEN_UP);
	e->stats.given_up++;
	e->takeover->given_up++;
	ike_takeover_tell_soon(e, op);
}

/* ---- what is gone ---- */

void ike_takeover_tell_soon(struct ike_engine *e, struct ike_old_peer *op)
{
	if (!op->tell.slot)
		ike_timer_set(&e->timers, &op->tell, e->now.mono + TELL_MS);
}

struct batch {
	enum pol_proto proto;
	uint32_t spis[SPIS_MAX];
	unsigned n;
};

static void flush(struct ike_engine *e, struct ike_p1 *p1, struct batch *b)
{
	if (b->n && !p1->dead)
		ike_delete_spis(e, p1, b->proto, b->spis, b->n);
	b->n = 0;
}

static void add(struct ike_engine *e, struct ike_p1 *p1, struct batch *b, uint32_t spi)
{
	if (!spi)
		return;
	if (b->n == SPIS_MAX)
		flush(e, p1, b);
	b->spis[b->n++] = spi;
}

static bool is_over(const struct ike_old_pair *pair)
{
	return pair->state == IKE_OLD_UP || pair->state == IKE_OLD_GIVEN_UP;
}

static void settle_over(struct ike_engine *e, struct ike_old_peer *op)
{
	for (struct ike_list *l = op->pairs.next; l != &op->pairs;) {
		struct ike_old_pair *pair = IKE_OF(l, struct ike_old_pair, in_peer);

		l = l->next;
		if (is_over(pair))
			ike_takeover_settle(e, pair);
	}
}

/* The store may have what this host itself has still, over a restart. */
static bool lives(const struct ike_engine *e, const struct ike_old_pair *pair)
{
	const struct ike_p2 *p2 = ike_p2_by_spi(e, true, &pair->peer->local.addr,
						ike_ipproto(pair->suite.protocol), pair->spi_in);

	return p2 && p2->up;
}

static void tell_pairs(struct ike_engine *e, struct ike_old_peer *op, struct ike_p1 *p1)
{
	struct batch esp = {.proto = POL_ESP}, ah = {.proto = POL_AH};

	for (struct ike_list *l = op->pairs.next; l != &op->pairs; l = l->next) {
		const struct ike_old_pair *pair = IKE_OF(l, struct ike_old_pair, in_peer);

		if (!is_over(pair) || lives(e, pair))
			continue;
		add(e, p1, pair->suite.protocol == POL_AH ? &ah : &esp, pair->spi_in);
		add(e, p1, &ah, pair->ah_in);
	}
	flush(e, p1, &esp);
	flush(e, p1, &ah);
}

static void tell_p1s(struct ike_engine *e, struct ike_old_peer *op, struct ike_p1 *p1)
{
	while (!ike_list_empty(&op->p1s)) {
		struct ike_old_p1 *o = IKE_OF(op->p1s.next, struct ike_old_p1, in_peer);

		if (!ike_sid_by_cookies(e, o->icookie, o->rcookie))
			ike_delete_cookies(e, p1, o->icookie, o->rcookie);
		ike_list_remove(&o->in_peer);
		free(o);
	}
}

static bool is_busy(const struct ike_old_peer *op)
{
	for (const struct ike_list *l = op->pairs.next; l != &op->pairs; l = l->next)
		if (IKE_OF(l, struct ike_old_pair, in_peer)->state < IKE_OLD_WAITS)
			return true;
	return op->under_way;
}

bool ike_old_peer_open(const struct ike_old_peer *op)
{
	for (const struct ike_list *l = op->pairs.next; l != &op->pairs; l = l->next)
		if (!is_over(IKE_OF(l, struct ike_old_pair, in_peer)))
			return true;
	return false;
}

void ike_takeover_tell(struct ike_engine *e, struct ike_timer *timer)
{
	struct ike_old_peer *op = IKE_OF(timer, struct ike_old_peer, tell);
	struct ike_p1 *p1 = ike_old_peer_p1(e, op);

	if (p1)
		tell_pairs(e, op, p1);
	if (p1 || !ike_old_peer_open(op))
		settle_over(e, op);
	if (p1 && !is_busy(op))
		tell_p1s(e, op, p1);
	if (ike_list_empty(&op->pairs) && !op->under_way && !op->trying && (p1 || !op->restart))
		ike_old_peer_free(e, op);
}

/* ---- what the log says ---- */

void ike_takeover_begun(struct ike_engine *e, unsigned pairs, unsigned peers,
			const struct cs_addr *at)
{
	struct ike_takeover *t = e->takeover;
	char address[CS_ADDR_STRLEN];

	if (!t->running) {
		t->running = true;
		t->begun = e->now.mono;
		t->total = t->up = t->given_up = 0;
		ike_takeover_open_window(e);
		ike_timer_set(&e->timers, &t->progress, e->now.mono + PROGRESS_MS);
	}
	t->total += pairs;
	ike_logf(e, CS_NOCTX, CSM_TAKEOVER_BEGUN, cs_addr_text(at, address), pairs, peers);
}

void ike_takeover_progress(struct ike_engine *e, struct ike_timer *timer)
{
	const struct ike_takeover *t = e->takeover;

	ike_logf(e, CS_NOCTX, CSM_TAKEOVER_PROGRESS,
		 (unsigned long long)(e->now.mono - t->begun) / 1000, t->up, t->total,
		 t->n[IKE_OLD_QUEUED] + t->n[IKE_OLD_UNDER_WAY], t->n[IKE_OLD_WAITS], t->given_up);
	ike_timer_set(&e->timers, timer, e->now.mono + PROGRESS_MS);
}

bool ike_taking_over(const struct ike_engine *e)
{
	return e->takeover->running;
}

void ike_takeover_check_end(struct ike_engine *e)
{
	struct ike_takeover *t = e->takeover;

	if (!t->running || t->n[IKE_OLD_QUEUED] || t->n[IKE_OLD_UNDER_WAY])
		return;
	t->running = false;
	ike_timer_stop(&e->timers, &t->progress);
	ike_logf(e, CS_NOCTX, CSM_TAKEOVER_DONE, (unsigned long long)(e->now.mono - t->begun),
		 t->up, t->total, t->n[IKE_OLD_WAITS], t->given_up);
}
