/*
 * The engine's deadlines: a binary heap, earliest first.
 */
#include "iked/timer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"

int ike_timer_make(struct ike_timers *ts, struct ike_timer *t, ike_timer_fn *fn)
{
	if (ts->made == ts->cap) {
		size_t cap = ts->cap ? ts->cap * 2 : 64;
		struct ike_timer **heap = reallocarray(ts->heap, cap, sizeof(*heap));

		if (!heap)
			return CS_ENOMEM;
		ts->heap = heap;
		ts->cap = cap;
	}
	ts->made++;
	t->at = 0;
	t->slot = 0;
	t->fn = fn;
	return 0;
}

void ike_timer_unmake(struct ike_timers *ts, struct ike_timer *t)
{
	if (!t->fn)
		return;
	ike_timer_stop(ts, t);
	t->fn = NULL;
	ts->made--;
}

static void put(struct ike_timers *ts, size_t slot, struct ike_timer *t)
{
	ts->heap[slot - 1] = t;
	t->slot = slot;
}

static void sift_up(struct ike_timers *ts, struct ike_timer *t)
{
	size_t slot = t->slot;

	while (slot > 1 && ts->heap[slot / 2 - 1]->at > t->at) {
		put(ts, slot, ts->heap[slot / 2 - 1]);
		slot /= 2;
	}
	put(ts, slot, t);
}

static void sift_down(struct ike_timers *ts, struct ike_timer *t)
{
	size_t slot = t->slot;

	while (2 * slot <= ts->n) {
		size_t child = 2 * slot;

		if (child < ts->n && ts->heap[child]->at < ts->heap[child - 1]->at)
			child++;
		if (ts->heap[child - 1]->at >= t->at)
			break;
		put(ts, slot, ts->heap[child - 1]);
		slot = child;
	}
	put(ts, slot, t);
}

void ike_timer_set(struct ike_timers *ts, struct ike_timer *t, uint64_t at)
{
	if (!t->fn)
		return;
	if (!t->slot)
		put(ts, ++ts->n, t);
	t->at = at;
	sift_up(ts, t);
	sift_down(ts, t);
}

void ike_timer_stop(struct ike_timers *ts, struct ike_timer *t)
{
	struct ike_timer *last;
	size_t slot = t->slot;

	if (!slot)
		return;
	t->slot = 0;
	last = ts->heap[--ts->n];
	if (last == t)
		return;
	put(ts, slot, last);
	sift_up(ts, last);
	sift_down(ts, last);
}

uint64_t ike_timer_next(const struct ike_timers *ts)
{
	return ts->n ? ts->heap[0]->at : UINT64_MAX;
}

struct ike_timer *ike_timer_due(struct ike_timers *ts, uint64_t now)
{
	struct ike_timer *t;

	if (!ts->n || ts->heap[0]->at > now)
		return NULL;
	t = ts->heap[0];
	ike_timer_stop(ts, t);
	return t;
}

void ike_timers_free(struct ike_timers *ts)
{
	free(ts->heap);
	memset(ts, 0, sizeof(*ts));
}
