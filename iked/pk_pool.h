/*
 * Public-key jobs on worker threads, and key pairs made ahead in idle time for the groups that the
 * policy uses, each used once.
 */
#ifndef IKE_PK_POOL_H
#define IKE_PK_POOL_H

#include <uv.h>

#include "iked/engine.h"

struct ike_pk_pool;

#define IKE_PK_AHEAD 8 /* key pairs a group */

/* Gives a job back, on the loop's thread; its status is set. */
typedef void ike_pk_done_fn(void *arg, struct ike_pk_job *job);

int ike_pk_pool_new(uv_loop_t *loop, ike_pk_done_fn *fn, void *arg, struct ike_pk_pool **pool,
		    struct cs_err *err);
/* IKE_DONE: job is done (from what was made ahead, or with an error status); else fn follows. */
enum ike_done ike_pk_pool_submit(struct ike_pk_pool *pool, struct ike_pk_job *job);
/* Makes pairs ahead for the groups of this policy; those of other groups are wiped. */
void ike_pk_pool_policy(struct ike_pk_pool *pool, const struct pol_policy *policy);

/*
 * Jobs that have not started come back with CS_EAGAIN, and so does every new one at once. idle is
 * called when the last job is back, at once if there is none.
 */
typedef void ike_pk_idle_fn(void *arg);
void ike_pk_pool_stop(struct ike_pk_pool *pool, ike_pk_idle_fn *idle, void *arg);
void ike_pk_pool_free(struct ike_pk_pool *pool); /* after idle was called */

struct ike_pk_stats {
	uint64_t jobs, failed; /* run on threads */
	uint64_t ahead_made, ahead_used;
	unsigned under_way, ahead_ready;
};
void ike_pk_pool_stats(const struct ike_pk_pool *pool, struct ike_pk_stats *stats);

#endif
