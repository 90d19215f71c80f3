/*
 * The filters in force as pagent's socket tells them (docs/nmi.md): names, actions, tunnels and
 * counters, found by what a logged packet brings.  A snapshot: what has changed since, it does not
 * know.
 */
#ifndef TRMD_FILTERS_H
#define TRMD_FILTERS_H

#include <jansson.h>

#include "trmd/event.h"
#include "trmd/filter_message.h"
#include "trmd/interfaces.h"

#define TRMD_FILTERS_MAX 65536 /* those behind them are not known here */

struct trmd_filter {
	char key[TRMD_RULE_NAME]; /* as the prefix of logged packets has it */
	bool outbound;
	const char *name, *vpn_action, *tunnel; /* vpn_action may be NULL */
	unsigned extension;
	bool dynamic, routed_only;
	/* what it fits; -1 is any, of proto -2, too: what has no ports that are seen */
	struct cs_range src, dst;
	int proto, type[2], code[2], sport[2], dport[2];
	bool fragments_only;
	/* its counter */
	bool counted;     /* each packet that it counts is logged, too */
	bool has_packets; /* false: not in force, or dynamic */
	uint64_t packets;
	uint64_t service; /* filters of a rule and direction with the same one share a counter */
	unsigned order;
	char *texts; /* where the names are */
};

struct trmd_filters;

/* Asks pagent at that socket, and waits: for another thread than the loop's. */
int trmd_filters_fetch(const char *socket, int timeout_ms, struct trmd_filters **filters,
		       struct cs_err *err);
void trmd_filters_free(struct trmd_filters *f); /* NULL is allowed */

/* The steps of it, for answers that are there: new, each entry, done with the last frame. */
struct trmd_filters *trmd_filters_new(void);
/* CS_EPARSE: it is no entry as docs/nmi.md has it; CS_ENOMEM. */
int trmd_filters_add(struct trmd_filters *f, const json_t *entry, struct cs_err *err);
void trmd_filters_done(struct trmd_filters *f, const json_t *last);

/* All of one rule and direction, in the order of the search; n of them, NULL when n is 0. */
const struct trmd_filter *trmd_filters_of(const struct trmd_filters *f, const char *key,
					  bool outbound, unsigned *n);
/* All, ordered by key and direction. */
const struct trmd_filter *trmd_filters_all(const struct trmd_filters *f, unsigned *n);
bool trmd_filters_cut(const struct trmd_filters *f); /* there were more */

/*
 * What is known about the filter that this packet matched.  Both tables may be NULL.  Pointers in
 * facts are the filters'.
 */
void trmd_facts(const struct trmd_filters *f, struct trmd_interfaces *interfaces,
		const struct trmd_event *e, struct trmd_filter_facts *facts);

#endif
