/*
 * iked's database ($CSIPSEC_STATEDIR/STACK/iked/iked.db): the SA cache, the audit outbox and the
 * commit gate.  A writer thread owns the sqlite handle and commits what has come in since the last
 * commit as one transaction; completions come back on the loop's thread.
 */
#ifndef IKE_STORE_H
#define IKE_STORE_H

#include <uv.h>

#include "iked/engine.h"

struct ike_store;

/* What to do while the database cannot be written: wait (install nothing), or go on and count. */
enum ike_stuck { IKE_STUCK_WAIT, IKE_STUCK_GO_ON };

typedef void ike_committed_fn(void *arg, uint64_t tx, int status);

/*
 * The database must be usable now: CS_ESTORE with the file and sqlite's reason when it is not. One
 * that never will be is set aside, at any time, and another one has what could be read of it.
 */
int ike_store_open(uv_loop_t *loop, const char *path, enum ike_stuck stuck, ike_committed_fn *fn,
		   void *arg, struct ike_store **store, struct cs_err *err);
/*
 * Never blocks.  Everything that rec points to is copied.  What comes of it is told by the
 * callback, once for each transaction number, never from within this call: 0 when it is durable (or
 * counted as lost, with IKE_STUCK_GO_ON), CS_ELIMIT when too much waits already, CS_ENOMEM,
 * CS_ESTORE when the database takes other records but not this one.
 */
uint64_t ike_store_record(struct ike_store *s, const struct ike_record *rec);
/*
 * Writes what is queued, then closes; a stuck database is given a few seconds and what is lost is
 * logged.  All answers are given, and what they make the caller record is written, too: before it
 * returns, not after.  The memory goes with the loop's next turn.
 */
/*
 * What is called on the loop's thread when the database was set aside under way: rows of the cache
 * may be missing, and whoever knows them can store them again.
 */
typedef void ike_renewed_fn(void *arg);
void ike_store_on_renewed(struct ike_store *s, ike_renewed_fn *fn);
void ike_store_close(struct ike_store *s);

struct ike_store_stats {
	uint64_t records, commits; /* durable ones, and the transactions that held them */
	uint64_t retries;          /* transactions that failed and were tried again */
	uint64_t refused;          /* answered with CS_ELIMIT, CS_ENOMEM or CS_ESTORE */
	uint64_t lost;             /* a loss record tells of them, or will */
	unsigned queued;
	bool stuck;
};
void ike_store_stats(struct ike_store *s, struct ike_store_stats *stats);

/*
 * At start, before the first record: SAs that the cache has as up or intended; intent is the
 * transaction of one without result, else 0. What info points to lives only during the call.
 * ike_engine_restore() says what becomes of them.
 */
typedef void ike_cached_fn(void *arg, const struct ike_p2_info *info, uint64_t intent);
int ike_store_cached(struct ike_store *s, ike_cached_fn *fn, void *arg, struct cs_err *err);
/* The same for phase 1, which has no intents. */
typedef void ike_cached_p1_fn(void *arg, const struct ike_p1_info *info);
int ike_store_cached_p1(struct ike_store *s, ike_cached_p1_fn *fn, void *arg, struct cs_err *err);
/* Highest tunnel number ever given, so that K and Y numbers are not used again. */
int ike_store_last_tunnel(struct ike_store *s, uint32_t *tunnel, struct cs_err *err);

#endif
