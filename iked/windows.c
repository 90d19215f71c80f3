/*
 * Time conditions of filter rules: what a rule's SAs may outlive is not its window.  Once a minute
 * by the wall clock, which is how fine these conditions are and when pagent looks at them, too.
 */
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"

#define MINUTE 60

bool ike_rule_in_time(const struct ike_engine *e, const struct pol_filter_rule *rule)
{
	return pol_time_active(rule->times, rule->n_times, (time_t)e->now.wall);
}

static void next_minute(struct ike_engine *e)
{
	int64_t left = MINUTE - e->now.wall % MINUTE;

	ike_timer_set(&e->timers, &e->minute, e->now.mono + (uint64_t)left * 1000);
}

/* A number for the set of dynamic rules that are in their time; *windows: how many have one. */
static unsigned open_now(const struct ike_engine *e, unsigned *windows)
{
	const struct pol_policy *p = e->policy;
	unsigned n = 0;

	*windows = 0;
	for (unsigned i = 0; p && i < p->n_rules; i++) {
		const struct pol_filter_rule *r = &p->rules[i];

		if (!r->vpn || !r->n_times)
			continue;
		++*windows;
		if (ike_rule_in_time(e, r))
			n = n * 31 + i + 1;
	}
	return n;
}

static void end_outdated(struct ike_engine *e)
{
	for (struct ike_list *l = e->p2s.next; l != &e->p2s;) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, all);

		l = l->next;
		if (!ike_rule_in_time(e, p2->rule))
			ike_p2_end(e, p2, true, IKE_OUT_OF_TIME);
		else if (p2->tunnel->mark_id !=
			 ike_mark_id(e, p2->tunnel->rule_id, &p2->tunnel->selector))
			ike_p2_end(e, p2, true, IKE_OTHER_MARK);
	}
}

void ike_minute(struct ike_engine *e, struct ike_timer *t)
{
	unsigned windows, open = open_now(e, &windows);

	(void)t;
	end_outdated(e);
	/* A window that has just begun may be what an automatic activation waits for. */
	if (open != e->windows_open)
		ike_auto_retry(e);
	e->windows_open = open;
	if (windows)
		next_minute(e);
}

void ike_windows_policy(struct ike_engine *e)
{
	unsigned windows;

	e->windows_open = open_now(e, &windows);
	if (windows)
		next_minute(e);
	else
		ike_timer_stop(&e->timers, &e->minute);
}
