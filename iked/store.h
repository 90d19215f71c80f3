/*
 * iked's database ($CSIPSEC_STATEDIR/STACK/iked.db): the SA cache, the audit outbox and the commit
 * gate.  A writer thread owns the sqlite handle and commits what has come in since the last commit
 * as one transaction; completions come back on the loop's thread.
 */
#ifndef IKE_STORE_H
#define IKE_STORE_H

#include <uv.h>

#include "iked/engine.h"

struct ike_store;

/* What to do while the database cannot be written: wait (install nothing), or go on and count. */
enum ike_stuck { IKE_STUCK_WAIT, IKE_STUCK_GO_ON };

typedef void ike_committed_fn(void *arg, uint64_t tx, int status);

int ike_store_open(uv_loop_t *loop, const char *path, enum ike_stuck stuck, ike_committed_fn *fn,
		   void *arg, struct ike_store **store, struct cs_err *err);
/* Never blocks. */
uint64_t ike_store_record(struct ike_store *s, const struct ike_record *rec);
/* Writes what is queued, then closes. */
void ike_store_close(struct ike_store *s);

/*
 * At start: SAs that the cache has as up or intended. The daemon compares them with the kernel and
 * settles each: still there (nothing to say), gone (P2_DOWN with unknown counters), or an intent
 * without result (P2_UP or P2_FAILED by what the kernel shows).
 */
typedef void ike_cached_fn(void *arg, const struct ike_p2_info *info, bool intent, uint64_t tx);
int ike_store_cached(struct ike_store *s, ike_cached_fn *fn, void *arg, struct cs_err *err);
/* Highest tunnel number ever given, so that K and Y numbers are not used again. */
int ike_store_last_tunnel(struct ike_store *s, uint32_t *tunnel, struct cs_err *err);

#endif
