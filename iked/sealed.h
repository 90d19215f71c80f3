/*
 * Memory that outlives the worker: the parent makes it and holds its descriptor, each worker maps
 * it and keeps in it what its phase 1 SAs need to go on.  It has no name, lies on no disk, is left
 * out of core dumps and locked as far as the limit allows.  A kill at any instant leaves each SA as
 * it was kept last, whole.
 */
#ifndef IKE_SEALED_H
#define IKE_SEALED_H

#include "iked/engine.h"

#define IKE_SEALED_QUICKS 4096u   /* exchanges at once; further ones are not kept */
#define IKE_SEALED_MAX    200000u /* phase 1 SAs; memory is taken as they come */

struct ike_sealed;

/* The parent's part. The size is sealed, so that nobody can cut it under those who map it. */
int ike_sealed_create(int *fd, struct cs_err *err);
/* One that an earlier parent made; CS_EPARSE: not such memory, or of another version. */
int ike_sealed_check(int fd, struct cs_err *err);
/* The worker's. CS_EPARSE: not such memory, or of another version. The descriptor stays open. */
int ike_sealed_map(int fd, struct ike_sealed **sealed, struct cs_err *err);
void ike_sealed_unmap(struct ike_sealed *s); /* NULL is allowed; what is kept stays */

/* What is kept now; fn must not change it. Stops when fn returns non-zero, and returns that. */
typedef int ike_sealed_fn(void *arg, const struct ike_p1_kept *kept);
int ike_sealed_each(const struct ike_sealed *s, ike_sealed_fn *fn, void *arg);

/* Over what was kept for this tunnel and generation. When it is full the SA is not kept. */
void ike_sealed_keep(struct ike_sealed *s, const struct ike_p1_kept *kept);
void ike_sealed_forget(struct ike_sealed *s, uint32_t tunnel, uint32_t generation);

/* Quick Mode exchanges, by the numbers of the pair; each is kept once. */
typedef void ike_sealed_quick_fn(void *arg, const struct ike_quick_kept *kept);
void ike_sealed_each_quick(const struct ike_sealed *s, ike_sealed_quick_fn *fn, void *arg);
void ike_sealed_keep_quick(struct ike_sealed *s, const struct ike_quick_kept *kept);
void ike_sealed_forget_quick(struct ike_sealed *s, uint32_t tunnel, uint32_t generation);

/*
 * What the wall clock is ahead of the one that is never set, in seconds; and by how much it was
 * set since that was last said.  The memory does not outlive the boot that both are of.
 */
void ike_sealed_clock(struct ike_sealed *s, int64_t offset);
int64_t ike_sealed_clock_set(const struct ike_sealed *s, int64_t offset);

struct ike_sealed_stats {
	unsigned kept;
	uint64_t refused; /* for want of room */
	bool locked;      /* all of it that is in use */
};
struct ike_sealed_stats ike_sealed_stats(const struct ike_sealed *s);

#endif
