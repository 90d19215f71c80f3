/*
 * The spent SAs, one a family: where a packet that must be protected is led while it has no mark.
 * Private to xfrm/.
 */
#ifndef XF_SPENT_H
#define XF_SPENT_H

#include "xfrm/xfrm.h"

/* The reqid of the spent SAs, in the range of a rule id that no rule has. */
#define XF_REQID_SPENT 1u

/* The ends of the tunnel that is never built. */
struct cs_addr xf_spent_src(uint8_t family);
struct cs_addr xf_spent_dst(uint8_t family);

/* What a spent SA adds to a packet, as the kernel reckons; no SA of ours may add more. */
#define XF_SPENT_IV    16u
#define XF_SPENT_ICV   32u
#define XF_SPENT_BLOCK 16u

/* The MTU of the route to a spent SA where the smallest interface has this one. */
unsigned xf_spent_mtu(uint8_t family, unsigned link);

/* The SA and the route to it, made or put right. */
int xf_spent_add(struct xf_kernel *k, uint8_t family, struct cs_err *err);
bool xf_spent_there(struct xf_kernel *k, uint8_t family);
/* None there is no error. */
int xf_spent_delete(struct xf_kernel *k, uint8_t family, struct cs_err *err);

#endif
