/*
 * A tunnel that packets ask for and that cannot be had: each failure makes the next attempt wait
 * longer, until one succeeds.  The wait is the kernel's larval state, which swallows the packets
 * that would ask again; it is cleared when the wait is over.
 */
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"

#define WAIT_FIRST_MS 1000u
#define WAIT_LAST_MS  60000u
#define MEMORY_MS     600000u /* after the wait: without an attempt for so long all is forgotten */
#define RECORDS_MAX   4096u

struct ike_backoff {
	struct ike_node node;
	struct ike_list all;
	struct ike_timer timer; /* end of the wait, then of the memory */
	uint16_t rule_id;
	struct cs_selector selector;
	struct cs_addr local, remote;
	uint64_t until;
	uint32_t wait;
	bool held; /* this acquire's larval state is not cleared yet */
	struct xf_acquire acquire;
};

static bool match(const struct ike_node *node, const void *key)
{
	const struct ike_backoff *b = IKE_OF(node, struct ike_backoff, node);
	const struct ike_tunnel_key *k = key;

	return b->rule_id == k->rule_id && cs_selector_equal(&b->selector, k->selector) &&
	       cs_addr_equal(&b->local, k->local) && cs_addr_equal(&b->remote, k->remote);
}

static struct ike_backoff *find(const struct ike_engine *e, const struct ike_tunnel_key *k)
{
	struct ike_node *node = ike_table_find(&e->backoffs, ike_tunnel_hash(e, k), match, k);

	return node ? IKE_OF(node, struct ike_backoff, node) : NULL;
}

static void release(struct ike_engine *e, struct ike_backoff *b)
{
	if (b->held)
		e->ops.larval_clear(e->ctx, &b->acquire);
	b->held = false;
}

static void forget(struct ike_engine *e, struct ike_backoff *b)
{
	release(e, b);
	ike_table_remove(&e->backoffs, &b->node);
	ike_list_remove(&b->all);
	ike_timer_unmake(&e->timers, &b->timer);
	free(b);
}

static void on_timer(struct ike_engine *e, struct ike_timer *t)
{
	struct ike_backoff *b = IKE_OF(t, struct ike_backoff, timer);

	if (e->now.mono >= b->until + MEMORY_MS) {
		forget(e, b);
		return;
	}
	release(e, b);
	ike_timer_set(&e->timers, t, b->until + MEMORY_MS);
}

static struct ike_backoff *make(struct ike_engine *e, const struct ike_tunnel_key *k)
{
	struct ike_backoff *b = e->backoffs.count < RECORDS_MAX ? calloc(1, sizeof(*b)) : NULL;

	if (!b)
		return NULL;
	if (ike_timer_make(&e->timers, &b->timer, on_timer)) {
		free(b);
		return NULL;
	}
	b->rule_id = k->rule_id;
	b->selector = *k->selector;
	b->local = *k->local;
	b->remote = *k->remote;
	ike_table_add(&e->backoffs, &b->node, ike_tunnel_hash(e, k));
	ike_list_add_tail(&e->all_backoffs, &b->all);
	return b;
}

/* Without a record the kernel's own timeout of the larval state is the wait. */
void ike_backoff_failed(struct ike_engine *e, const struct ike_tunnel_key *k,
			const struct xf_acquire *a)
{
	struct ike_backoff *b = find(e, k);

	if (!b)
		b = make(e, k);
	if (!b)
		return;
	release(e, b);
	b->wait = b->wait ? b->wait * 2 : WAIT_FIRST_MS;
	if (b->wait > WAIT_LAST_MS)
		b->wait = WAIT_LAST_MS;
	b->until = e->now.mono + b->wait;
	b->acquire = *a;
	b->held = true;
	ike_timer_set(&e->timers, &b->timer, b->until);
}

/* Of several that ask meanwhile the last is remembered; the kernel lets the others go itself. */
bool ike_backoff_holds(struct ike_engine *e, const struct ike_tunnel_key *k,
		       const struct xf_acquire *a)
{
	struct ike_backoff *b = find(e, k);

	if (!b || e->now.mono >= b->until)
		return false;
	b->acquire = *a;
	b->held = true;
	e->stats.acquires_delayed++;
	return true;
}

void ike_backoff_forget(struct ike_engine *e, const struct ike_tunnel_key *k)
{
	struct ike_backoff *b = find(e, k);

	if (b)
		forget(e, b);
}

void ike_backoff_forget_all(struct ike_engine *e)
{
	while (!ike_list_empty(&e->all_backoffs))
		forget(e, IKE_OF(e->all_backoffs.next, struct ike_backoff, all));
}
