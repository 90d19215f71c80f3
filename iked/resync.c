/*
 * After the kernel dropped events, or at start: what the kernel holds and what we hold are made
 * one, and what packets asked for meanwhile is begun.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"

void ike_strays_clear(struct ike_engine *e)
{
	free(e->strays);
	e->strays = NULL;
	e->n_strays = e->cap_strays = 0;
}

static void lost_clear(struct ike_engine *e)
{
	free(e->lost);
	e->lost = NULL;
	e->n_lost = e->cap_lost = 0;
}

/* Those of an engine before this one stay until their end is on record. */
void ike_resync_begin(struct ike_engine *e)
{
	if (!e->restore_tx)
		ike_strays_clear(e);
	lost_clear(e);
	for (struct ike_list *l = e->p2s.next; l != &e->p2s; l = l->next) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, all);

		p2->seen = 0;
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

/* A larval state that nobody answers swallows its packets until it times out. */
static void add_lost(struct ike_engine *e, const struct xf_acquire *a)
{
	if (e->n_lost == e->cap_lost) {
		unsigned cap = e->cap_lost ? e->cap_lost * 2 : 16;
		struct xf_acquire *more = reallocarray(e->lost, cap, sizeof(*more));

		if (!more)
			return;
		e->lost = more;
		e->cap_lost = cap;
	}
	e->lost[e->n_lost++] = *a;
}

static bool is_bundle_ah(const struct ike_p2 *p2, const struct xf_sa *sa)
{
	return p2->suite.ah && sa->id.proto == IPPROTO_AH;
}

static bool seen_whole(const struct ike_p2 *p2)
{
	unsigned want = IKE_SEEN_IN | IKE_SEEN_OUT;

	if (p2->suite.ah)
		want |= IKE_SEEN_AH_IN | IKE_SEEN_AH_OUT;
	return (p2->seen & want) == want;
}

void ike_resync_sa(struct ike_engine *e, const struct xf_sa *sa)
{
	struct xf_acquire a;
	struct ike_p2 *in = ike_p2_by_spi(e, true, &sa->id.dst, sa->id.proto, sa->id.spi);
	struct ike_p2 *out =
		in ? NULL : ike_p2_by_spi(e, false, &sa->id.dst, sa->id.proto, sa->id.spi);

	if (xf_acquire_of(sa, &a))
		add_lost(e, &a);
	else if (in)
		in->seen |= is_bundle_ah(in, sa) ? IKE_SEEN_AH_IN : IKE_SEEN_IN;
	else if (out)
		out->seen |= is_bundle_ah(out, sa) ? IKE_SEEN_AH_OUT : IKE_SEEN_OUT;
	else if (xf_reqid_is_tunnel(sa->reqid) && !e->restore_tx)
		ike_strays_add(e, &sa->id);
}

void ike_resync_end(struct ike_engine *e)
{
	struct ike_list *l = e->p2s.next;

	if (!e->restore_tx)
		ike_strays_delete(e);
	while (l != &e->p2s) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, all);

		l = l->next;
		if (p2->looked_for && !seen_whole(p2))
			ike_p2_end(e, p2, true, "the kernel no longer has it");
		p2->looked_for = false;
	}
	for (unsigned i = 0; i < e->n_lost; i++)
		ike_acquire(e, &e->lost[i]);
	lost_clear(e);
}
