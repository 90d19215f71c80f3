/*
 * The SAs of this host to itself, by which nothing leaves it: the spent and the held one of each
 * family.  Private to xfrm/.
 */
#ifndef XF_DEAD_END_H
#define XF_DEAD_END_H

#include "xfrm/xfrm.h"

enum xf_dead_end {
	XF_SPENT, /* its sequence numbers are used up: what is led to it is refused */
	XF_HELD,  /* sends to this host, which takes nothing of it: what is led to it vanishes */
};

/* Their reqids, in the range of rule ids that no rule has. */
#define XF_REQID_SPENT 1u
#define XF_REQID_HELD  2u

/* What they add to a packet, as the kernel reckons; no SA of ours may add more. */
#define XF_DEAD_END_IV    16u
#define XF_DEAD_END_ICV   32u
#define XF_DEAD_END_BLOCK 16u

/* The ends of the tunnel that is never built. */
struct cs_addr xf_dead_end_src(uint8_t family);
struct cs_addr xf_dead_end_dst(enum xf_dead_end which, uint8_t family);

/* Makes the SA, or puts it right. */
int xf_dead_end_add(struct xf_kernel *k, enum xf_dead_end which, uint8_t family,
		    struct cs_err *err);
bool xf_dead_end_there(struct xf_kernel *k, enum xf_dead_end which, uint8_t family);
/* None there is no error. */
int xf_dead_end_delete(struct xf_kernel *k, enum xf_dead_end which, uint8_t family,
		       struct cs_err *err);

#endif
