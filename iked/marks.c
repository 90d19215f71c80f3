/*
 * Marks of clients.  Behind one NAT several hosts have one address, and in transport mode one
 * selector, so that neither the rule's mark nor the selector says whose a packet is.  Each such
 * tunnel has a mark of its own: what comes out of its inbound SAs gets it, conntrack keeps it, and
 * the outbound policy is under it.  A mark is given again as late as can be, because conntrack may
 * know connections of it for a while.
 */
#include <stdlib.h>

#include "iked/engine_private.h"

#define N_MARKS (XF_MARK_CLIENT_MAX - XF_MARK_CLIENT_MIN + 1)

/* Who has each; NULL without memory. */
static struct ike_tunnel **owners(struct ike_engine *e)
{
	if (!e->client_tunnels)
		e->client_tunnels = calloc(N_MARKS, sizeof(struct ike_tunnel *));
	return e->client_tunnels;
}

struct ike_tunnel *ike_mark_tunnel(const struct ike_engine *e, unsigned client)
{
	if (!e->client_tunnels || client < XF_MARK_CLIENT_MIN || client > XF_MARK_CLIENT_MAX)
		return NULL;
	return e->client_tunnels[client - XF_MARK_CLIENT_MIN];
}

int ike_mark_free(struct ike_engine *e, unsigned *client, struct cs_err *err)
{
	struct ike_tunnel **all = owners(e);

	for (unsigned n = 0; all && n < N_MARKS; n++) {
		unsigned i = (e->next_client + n) % N_MARKS;

		if (all[i])
			continue;
		*client = XF_MARK_CLIENT_MIN + i;
		e->next_client = (i + 1) % N_MARKS;
		return 0;
	}
	return cs_fail(err, CS_ELIMIT, "all %u marks of clients behind NATs are in use", N_MARKS);
}

bool ike_mark_take(struct ike_engine *e, struct ike_tunnel *t)
{
	struct ike_tunnel **all = t->client ? owners(e) : NULL;
	unsigned i = t->client - XF_MARK_CLIENT_MIN;

	if (!t->client)
		return true;
	if (!all || i >= N_MARKS || all[i])
		return false;
	all[i] = t;
	return true;
}

void ike_mark_put(struct ike_engine *e, const struct ike_tunnel *t)
{
	if (t->client && ike_mark_tunnel(e, t->client) == t)
		e->client_tunnels[t->client - XF_MARK_CLIENT_MIN] = NULL;
}

/* Of an engine before this one, whether it lives on or its SAs are still to go. */
void ike_mark_was(struct ike_engine *e, unsigned client)
{
	unsigned i = client - XF_MARK_CLIENT_MIN;

	if (client && i < N_MARKS && i + 1 > e->next_client)
		e->next_client = (i + 1) % N_MARKS;
}
