/*
 * After the kernel dropped events, or at start: what the kernel holds and what we hold are made
 * one.
 */
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"

void ike_strays_clear(struct ike_engine *e)
{
	free(e->strays);
	e->strays = NULL;
	e->n_strays = e->cap_strays = 0;
}

void ike_resync_begin(struct ike_engine *e)
{
	ike_strays_clear(e);
	for (struct ike_list *l = e->p2s.next; l != &e->p2s; l = l->next) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, all);

		p2->seen_in = p2->seen_out = false;
		p2->looked_for = p2->up != 0;
	}
}

/* Deleted when the dump is over, because it runs on the same socket. */
int ike_strays_add(struct ike_engine *e, const struct xf_said *id)
{
	if (e->n_strays == e->cap_strays) {
		unsigned cap = e->cap_strays ? e->cap_strays * 2 : 16;
		struct xf_said *more = reallocarray(e->strays, cap, sizeof(*more));

		if (!more)
			return CS_ENOMEM;
		e->strays = more;
		e->cap_strays = cap;
	}
	e->strays[e->n_strays++] = *id;
	return 0;
}

void ike_strays_delete(struct ike_engine *e)
{
	struct cs_err err;

	for (unsigned i = 0; i < e->n_strays; i++)
		e->ops.sa_delete(e->ctx, &e->strays[i], &err);
	ike_strays_clear(e);
}

void ike_resync_sa(struct ike_engine *e, const struct xf_sa *sa)
{
	struct ike_p2 *in = ike_p2_by_spi(e, true, &sa->id.dst, sa->id.proto, sa->id.spi);
	struct ike_p2 *out =
		in ? NULL : ike_p2_by_spi(e, false, &sa->id.dst, sa->id.proto, sa->id.spi);

	if (in)
		in->seen_in = true;
	else if (out)
		out->seen_out = true;
	else if (sa->id.spi && xf_reqid_is_tunnel(sa->reqid))
		ike_strays_add(e, &sa->id);
}

void ike_resync_end(struct ike_engine *e)
{
	struct ike_list *l = e->p2s.next;

	ike_strays_delete(e);
	while (l != &e->p2s) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, all);

		l = l->next;
		if (p2->looked_for && !(p2->seen_in && p2->seen_out))
			ike_p2_end(e, p2, true, "the kernel no longer has it");
		p2->looked_for = false;
	}
}
