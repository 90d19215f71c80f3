/*
 * The wall clock is set while SAs are up.  Deadlines go by the time that runs whatever is set, so
 * nothing ends or begins for it but what is by the wall clock: time conditions.  What displays,
 * records and the SA cache have by the wall clock is moved along.
 */
#include <stdlib.h>

#include "iked/engine_private.h"

#define LEAST_S 3 /* less is the clock's own course, or rounding */

static int64_t offset_of(struct ike_now now)
{
	return now.wall - (int64_t)(now.mono / 1000);
}

static void move(int64_t *when, int64_t seconds)
{
	if (*when)
		*when += seconds;
}

void ike_clock_move(struct ike_engine *e, int64_t seconds)
{
	struct ike_list *l;

	for (l = e->p1s.next; l != &e->p1s; l = l->next) {
		struct ike_p1 *p1 = IKE_OF(l, struct ike_p1, all);

		move(&p1->established, seconds);
		move(&p1->expires, seconds);
		move(&p1->refresh, seconds);
		if (p1->up)
			ike_keep_later(e, p1);
	}
	for (l = e->p2s.next; l != &e->p2s; l = l->next) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, all);

		move(&p2->installed, seconds);
		move(&p2->expires, seconds);
		move(&p2->refresh, seconds);
		/* Once a tunnel: by its first pair. */
		if (p2->tunnel->p2s.next == &p2->in_tunnel)
			move(&p2->tunnel->vpn_expires, seconds);
		if (p2->up)
			ike_p2_record_moved(e, p2);
	}
}

void ike_clock_look(struct ike_engine *e)
{
	int64_t offset = offset_of(e->now), set = offset - e->clock_offset;

	if (e->clock_known && llabs(set) < LEAST_S) {
		e->clock_offset = offset;
		return;
	}
	if (e->clock_known) {
		ike_logf(e, CS_NOCTX, CSM_CLOCK_SET, (long long)set);
		ike_clock_move(e, set);
		ike_keep_now(e);
	}
	e->clock_known = true;
	e->clock_offset = offset;
	if (e->ops.clock)
		e->ops.clock(e->ctx, offset);
}
