/*
 * The spent SAs, one a family, with their routes: where a packet that must be protected is led
 * while it has no mark.  Private to xfrm/.
 */
#ifndef XF_SPENT_H
#define XF_SPENT_H

#include "xfrm/xfrm.h"

/* The MTU of the route to a spent SA where the smallest interface has this one. */
unsigned xf_spent_mtu(uint8_t family, unsigned link);

/* The SA and the route to it, made or put right. */
int xf_spent_add(struct xf_kernel *k, uint8_t family, struct cs_err *err);
bool xf_spent_there(struct xf_kernel *k, uint8_t family);
/* None there is no error. */
int xf_spent_delete(struct xf_kernel *k, uint8_t family, struct cs_err *err);

#endif
