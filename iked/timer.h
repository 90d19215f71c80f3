/*
 * Deadlines: a binary heap of intrusive timers.  Room in the heap is reserved when a timer is made,
 * so that setting one never fails.
 */
#ifndef IKE_TIMER_H
#define IKE_TIMER_H

#include <stddef.h>
#include <stdint.h>

struct ike_engine;
struct ike_timer;

typedef void ike_timer_fn(struct ike_engine *e, struct ike_timer *t);

struct ike_timer {
	uint64_t at;
	size_t slot;      /* position in the heap from 1, 0: not set */
	ike_timer_fn *fn; /* NULL: not made */
};

struct ike_timers {
	struct ike_timer **heap;
	size_t n, cap, made;
};

int ike_timer_make(struct ike_timers *ts, struct ike_timer *t, ike_timer_fn *fn); /* CS_ENOMEM */
void ike_timer_unmake(struct ike_timers *ts, struct ike_timer *t);
void ike_timer_set(struct ike_timers *ts, struct ike_timer *t, uint64_t at); /* again moves it */
void ike_timer_stop(struct ike_timers *ts, struct ike_timer *t);
uint64_t ike_timer_next(const struct ike_timers *ts);                 /* UINT64_MAX when none */
struct ike_timer *ike_timer_due(struct ike_timers *ts, uint64_t now); /* taken out, or NULL */
void ike_timers_free(struct ike_timers *ts);

#endif
