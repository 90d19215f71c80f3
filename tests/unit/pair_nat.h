/*
 * NATs around the hosts of a pair (engine_pair.h): each side may be behind one, which gives it an
 * address outside, perhaps the same as another's, and adds a number to its ports.
 */
#ifndef PAIR_NAT_H
#define PAIR_NAT_H

#include "tests/unit/engine_pair.h"

void pair_nat_clear(struct pair *p);
/* shift: what is added to ports; another one than before is a NAT that was restarted. */
void pair_nat_put(struct pair *p, unsigned side, const char *outside, uint16_t shift);
struct cs_endpoint pair_nat_outside(const struct pair *p, unsigned side, uint16_t port);
/* The newest SA of that direction; of pairs the one that was made first. The test fails without. */
const struct xf_sa *pair_nat_sa(const struct side *s, bool outbound);
struct ike_p2_info pair_nat_p2(const struct pair *p, unsigned side);

#endif
