/*
 * Filter lists made at random, and packets that meet them: somewhat like a rule of the list each,
 * so that they match that one or a neighbour.
 */
#ifndef FILTER_RANDOM_H
#define FILTER_RANDOM_H

#include "policy/policy.h"
#include "xfrm/nft_model.h"

#define RULES_MAX  400
#define SERVICES   3
#define RANGES_MAX 4
#define OSPF       89

/* A packet as the kernel sees it. */
struct seen {
	struct pol_packet packet;
	bool upper;        /* there is a header of the upper protocol here */
	uint16_t words[2]; /* its first four bytes */
	bool later;        /* not the first fragment */
};

struct world {
	struct pol_policy policy;
	struct pol_filter_rule rules[RULES_MAX];
	struct pol_service services[RULES_MAX][SERVICES];
	struct cs_range ranges[RULES_MAX][2][RANGES_MAX];
	struct pol_time past;
	struct pol_identity peer; /* of rules with a RemoteIdentity */
	unsigned hosts;           /* how many addresses a network of the pool has */
};

/* The same for the same state, which moves on. */
void random_world(uint64_t *rnd, struct world *w);
void random_seen(uint64_t *rnd, const struct world *w, enum xf_sense sense, struct seen *s);

#endif
