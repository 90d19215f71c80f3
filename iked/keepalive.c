/*
 * NAT keepalives (RFC 3948 section 2.3): who is behind a NAT sends a byte that means nothing before
 * the mapping is forgotten for want of traffic.  Nobody answers it, and it proves nothing.
 */
#include "iked/engine_private.h"

static uint64_t interval(const struct ike_engine *e)
{
	return e->policy ? (uint64_t)e->policy->nat_keepalive * 1000 : 0;
}

void ike_keepalive_start(struct ike_engine *e, struct ike_p1 *p1)
{
	if (p1->up && p1->nat.local && interval(e))
		ike_timer_set(&e->timers, &p1->keepalive, e->now.mono + interval(e));
	else
		ike_timer_stop(&e->timers, &p1->keepalive);
}

void ike_keepalive_all(struct ike_engine *e)
{
	for (struct ike_list *l = e->p1s.next; l != &e->p1s; l = l->next)
		ike_keepalive_start(e, IKE_OF(l, struct ike_p1, all));
}

/* Of one that was refreshed the newer one sends them, as long as that lives. */
void ike_p1_keepalive(struct ike_engine *e, struct ike_timer *t)
{
	static const uint8_t byte = 0xff;
	struct ike_p1 *p1 = IKE_OF(t, struct ike_p1, keepalive);

	if (!interval(e))
		return;
	if (!p1->superseded && p1->sent_at + interval(e) <= e->now.mono) {
		p1->sent_at = e->now.mono;
		e->stats.keepalives_sent++;
		ike_send(e, &p1->sid.local, &p1->sid.remote, &byte, sizeof(byte));
	}
	ike_timer_set(&e->timers, t,
		      p1->superseded ? e->now.mono + interval(e) : p1->sent_at + interval(e));
}
