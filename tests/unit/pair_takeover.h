/*
 * Engines of a pair (engine_pair.h) whose host dies with its kernel, and others that take over what
 * it had, for tests of takeovers.
 */
#ifndef PAIR_TAKEOVER_H
#define PAIR_TAKEOVER_H

#include "tests/unit/engine_pair.h"

#define PAIR_INHERITED 16

struct inheritance {
	struct ike_inherited rows[PAIR_INHERITED]; /* numbers count from 0 */
	struct ike_p1_info p1[PAIR_INHERITED];
	uint8_t ids[PAIR_INHERITED][256];
	unsigned n, n_p1;
};

/*
 * The side's host dies, without a word; another one with the same policy and an empty kernel has
 * its place. What the first one had. The names in it are the policy's.
 */
void inherit_of(struct side *s, struct inheritance *c);
/* What it has, and keeps. */
void see_all(struct side *s, struct inheritance *c);
/* How many it were; nothing has been sent yet. */
unsigned take_over(struct side *s, const struct inheritance *c);

/* What waits to be delivered is lost. */
void pair_forget(struct pair *p);
bool first_p1(const struct side *s, struct ike_p1_info *info);
bool first_p2(const struct side *s, struct ike_p2_info *info);
/* The last number of an IPv4 address. */
const char *host_of(const struct cs_addr *a);
/* The row whose remote data address has this last number. */
unsigned row_of(const struct inheritance *c, const char *host);

#endif
