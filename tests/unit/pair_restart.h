/*
 * Engines of a pair (engine_pair.h) that are killed, and others that take over what they left.
 */
#ifndef PAIR_RESTART_H
#define PAIR_RESTART_H

#include "tests/unit/engine_pair.h"

#define PAIR_ROWS 8

/* The SA cache, as the engine's views show it before it dies. */
struct pair_cache {
	struct ike_p1_info p1[PAIR_ROWS];
	struct ike_cached_p2 p2[PAIR_ROWS];
	uint8_t ids[PAIR_ROWS][256];
	size_t n_p1, n_p2;
};

/* As kill -9: no word to anybody. The names in the cache are the policy's, which stays. */
void pair_crash(struct side *s, struct pair_cache *c);
/* Seconds by which the wall clock was set, as the daemon finds out; before pair_restore(). */
int64_t pair_clock_set(const struct side *s);
/* The new engine is given what is kept, that cache, and what the kernel has. */
struct ike_restored pair_restore(struct side *s, const struct pair_cache *c);

#endif
