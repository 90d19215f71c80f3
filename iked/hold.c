/*
 * Packets that ask for a tunnel which is not there yet.  The kernel's own way to keep them from
 * asking again, the larval state, can keep other sources' packets from asking, too
 * (docs/architecture.md, "Packets that ask"); so it is cleared at once, and a policy in the place
 * where the tunnel's will be holds the packets.  After a failure it stays for a while, longer after
 * each one, until an attempt succeeds.
 */
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"

#define WAIT_FIRST_MS 1000u
#define WAIT_LAST_MS  60000u
#define MEMORY_MS     600000u /* after the wait: without an attempt for so long all is forgotten */
#define RECORDS_MAX   4096u

/*
 * The kernel has one place for a mark and selector, whatever the tunnel's ends.  In it is our
 * policy (in_kernel), the tunnel's own, or nothing.
 */
struct ike_hold {
	struct ike_node node;
	struct ike_list all;
	struct ike_timer timer; /* end of the wait, then of the memory; unset during an attempt */
	uint16_t mark_id;
	struct cs_selector selector;
	uint64_t until; /* end of the wait */
	uint32_t wait;
	bool in_kernel;
};

struct place {
	uint16_t mark_id;
	const struct cs_selector *selector;
};

static bool match(const struct ike_node *node, const void *key)
{
	const struct ike_hold *h = IKE_OF(node, struct ike_hold, node);
	const struct place *place = key;

	return h->mark_id == place->mark_id && cs_selector_equal(&h->selector, place->selector);
}

static uint64_t hash(const struct ike_engine *e, const struct ike_tunnel_key *k)
{
	const struct cs_selector *s = k->selector;

	return ike_tunnel_hash(
		e, &(struct ike_tunnel_key){k->rule_id, s, &s->local.lo, &s->remote.lo, 0});
}

static struct ike_hold *find(const struct ike_engine *e, const struct ike_tunnel_key *k)
{
	struct place place = {ike_mark_id(e, k->rule_id, k->selector), k->selector};
	struct ike_node *node = ike_table_find(&e->holds, hash(e, k), match, &place);

	return node ? IKE_OF(node, struct ike_hold, node) : NULL;
}

static void fill_policy(const struct ike_engine *e, const struct ike_hold *h, struct xf_policy *p)
{
	memset(p, 0, sizeof(*p));
	p->dir = XF_OUT;
	p->selector = h->selector;
	p->family = h->selector.local.lo.family;
	p->priority = XF_PRIO_HOLD;
	p->mark = xf_mark_value(&e->set.marking, h->mark_id);
	p->mark_mask = xf_mark_mask(&e->set.marking);
	p->action = XF_ALLOW;
	p->hold = true;
}

/* Somebody may have flushed it meanwhile, so it is put in each time. False: the kernel refused. */
static bool put_policy(struct ike_engine *e, struct ike_hold *h)
{
	char selector[CS_SELECTOR_STRLEN];
	struct xf_policy p;
	struct cs_err err;
	int rc;

	fill_policy(e, h, &p);
	rc = e->ops.policy_add(e->ctx, &p, &err);
	if (rc == 0)
		h->in_kernel = true;
	/* It is there, or a tunnel between other ends has its place: then nobody has to wait. */
	if (rc == 0 || rc == CS_EEXIST)
		return true;
	e->stats.kernel_refusals++;
	if (ike_take_token(e, &e->log_bucket))
		ike_logf(e, CS_NOCTX, CSM_NOT_HELD, cs_selector_text(&h->selector, selector),
			 err.text);
	return false;
}

static void take_policy(struct ike_engine *e, struct ike_hold *h)
{
	struct xf_policy p;
	struct cs_err err;

	if (!h->in_kernel)
		return;
	fill_policy(e, h, &p);
	e->ops.policy_delete(e->ctx, &p, &err);
	h->in_kernel = false;
}

static void forget(struct ike_engine *e, struct ike_hold *h)
{
	take_policy(e, h);
	ike_table_remove(&e->holds, &h->node);
	ike_list_remove(&h->all);
	ike_timer_unmake(&e->timers, &h->timer);
	free(h);
}

static void on_timer(struct ike_engine *e, struct ike_timer *t)
{
	struct ike_hold *h = IKE_OF(t, struct ike_hold, timer);

	if (e->now.mono >= h->until + MEMORY_MS) {
		forget(e, h);
		return;
	}
	take_policy(e, h);
	ike_timer_set(&e->timers, t, h->until + MEMORY_MS);
}

static struct ike_hold *make(struct ike_engine *e, const struct ike_tunnel_key *k)
{
	struct ike_hold *h = e->holds.count < RECORDS_MAX ? calloc(1, sizeof(*h)) : NULL;

	if (!h)
		return NULL;
	if (ike_timer_make(&e->timers, &h->timer, on_timer)) {
		free(h);
		return NULL;
	}
	h->mark_id = ike_mark_id(e, k->rule_id, k->selector);
	h->selector = *k->selector;
	ike_table_add(&e->holds, &h->node, hash(e, k));
	ike_list_add_tail(&e->all_holds, &h->all);
	return h;
}

bool ike_hold(struct ike_engine *e, const struct ike_tunnel_key *k)
{
	struct ike_hold *h = find(e, k);

	if (!h)
		h = make(e, k);
	if (!h)
		return false;
	if (!put_policy(e, h)) {
		if (!h->wait)
			forget(e, h);
		return false;
	}
	ike_timer_stop(&e->timers, &h->timer);
	return true;
}

void ike_hold_failed(struct ike_engine *e, const struct ike_tunnel_key *k)
{
	struct ike_hold *h = find(e, k);

	if (!h)
		h = make(e, k);
	if (!h)
		return;
	put_policy(e, h);
	h->wait = h->wait ? h->wait * 2 : WAIT_FIRST_MS;
	if (h->wait > WAIT_LAST_MS)
		h->wait = WAIT_LAST_MS;
	h->until = e->now.mono + h->wait;
	ike_timer_set(&e->timers, &h->timer, h->until);
}

bool ike_hold_waits(const struct ike_engine *e, const struct ike_tunnel_key *k)
{
	const struct ike_hold *h = find(e, k);

	return h && e->now.mono < h->until;
}

void ike_hold_replaced(struct ike_engine *e, const struct ike_tunnel_key *k)
{
	struct ike_hold *h = find(e, k);

	if (!h)
		return;
	h->in_kernel = false;
	forget(e, h);
}

void ike_hold_forget_all(struct ike_engine *e)
{
	while (!ike_list_empty(&e->all_holds))
		forget(e, IKE_OF(e->all_holds.next, struct ike_hold, all));
}
