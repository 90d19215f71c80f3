/*
 * Engines of benchmarks in one process and the network between them.  The kernel is empty
 * operations; so is the store, unless the end has one.
 */
#ifndef BENCH_ENDS_H
#define BENCH_ENDS_H

#include <time.h>

#include "iked/engine.h"

#define HUB "198.18.255.1"

struct end {
	struct ike_engine *engine;
	struct pol_policy *policy;
	struct cs_addr addr; /* its last two bytes are no other end's */
	unsigned up;         /* phase 2 pairs installed */
	/* As of struct ike_ops; NULL: all is durable at once. */
	enum ike_done (*record)(struct end *end, const struct ike_record *rec, uint64_t *tx);
	bool timed;
	double cpu_ms; /* if timed: of this thread, in the engine for datagrams that came */
};

struct end_suite {
	const char *name, *group;
};
/* modp2048 and ecp256 */
extern const struct end_suite end_suites[2];

/* The time that all ends are given; cut: what is sent is lost. */
extern struct ike_now end_now;
extern bool end_cut;

/* Their policies permit what comes from and goes to the others. All exit(1) when they fail. */
void end_start(struct end *end, const struct end_suite *s, const char *me, const char *others);
void end_stop(struct end *end);
/* Delivers until nothing is under way. */
void end_network(void);
/* Asks for a tunnel. */
void end_begin(struct end *from, const struct end *to);
/* Ends the first phase 1 SA and what is under it, and tells the peer. */
void end_forget(struct end *end);
double end_cpu_ms(clockid_t clock);

#endif
