/*
 * Marks of clients.  Behind one NAT several hosts have one address, and in transport mode one
 * selector, so that neither the rule's mark nor the selector says whose a packet is.  Each such
 * tunnel has a mark of its own: what comes out of its inbound SAs gets it, conntrack keeps it, and
 * the outbound policy is under it.  A mark that was on packets rests before another tunnel gets it,
 * and is given again as late as can be, because conntrack knows its connections for a while.
 */
#include <stdlib.h>

#include "iked/engine_private.h"

#define N_MARKS (XF_MARK_CLIENT_MAX - XF_MARK_CLIENT_MIN + 1)
/* How long answers to who had it may still be sent under it, see xf_clients_gone(). */
#define REST_MS 120000u

struct ike_mark {
	struct ike_tunnel *tunnel; /* whose it is, or NULL */
	uint64_t rests;            /* mono: until then it is nobody's */
};

/* NULL without memory. */
static struct ike_mark *marks(struct ike_engine *e)
{
	if (!e->marks)
		e->marks = calloc(N_MARKS, sizeof(*e->marks));
	return e->marks;
}

struct ike_tunnel *ike_mark_tunnel(const struct ike_engine *e, unsigned client)
{
	if (!e->marks || client < XF_MARK_CLIENT_MIN || client > XF_MARK_CLIENT_MAX)
		return NULL;
	return e->marks[client - XF_MARK_CLIENT_MIN].tunnel;
}

int ike_mark_free(struct ike_engine *e, unsigned *client, struct cs_err *err)
{
	struct ike_mark *all = marks(e);

	if (!all)
		return cs_fail(err, CS_ENOMEM, "no memory for marks of clients behind NATs");
	for (unsigned n = 0; n < N_MARKS; n++) {
		unsigned i = (e->next_mark + n) % N_MARKS;

		if (all[i].tunnel || all[i].rests > e->now.mono)
			continue;
		*client = XF_MARK_CLIENT_MIN + i;
		e->next_mark = (i + 1) % N_MARKS;
		return 0;
	}
	return cs_fail(err, CS_ELIMIT, "all %u marks of clients behind NATs are in use", N_MARKS);
}

bool ike_mark_take(struct ike_engine *e, struct ike_tunnel *t)
{
	struct ike_mark *all = t->client ? marks(e) : NULL;
	unsigned i = t->client - XF_MARK_CLIENT_MIN;

	if (!t->client)
		return true;
	if (!all || i >= N_MARKS || all[i].tunnel)
		return false;
	all[i].tunnel = t;
	return true;
}

void ike_mark_put(struct ike_engine *e, const struct ike_tunnel *t)
{
	struct ike_mark *mark;

	if (!t->client || ike_mark_tunnel(e, t->client) != t)
		return;
	mark = &e->marks[t->client - XF_MARK_CLIENT_MIN];
	mark->tunnel = NULL;
	if (t->marked)
		mark->rests = e->now.mono + REST_MS;
}

/* Whether it lives on or its SAs are still to go. */
void ike_mark_was(struct ike_engine *e, unsigned client)
{
	unsigned i = client - XF_MARK_CLIENT_MIN;

	if (client && i < N_MARKS && marks(e))
		e->marks[i].rests = e->now.mono + REST_MS;
}

/* Which ones rested when the engine before this one ended nobody knows, so the next is any. */
void ike_marks_begin(struct ike_engine *e)
{
	uint32_t any;

	ike_random(e, &any, sizeof(any));
	e->next_mark = any % N_MARKS;
}
