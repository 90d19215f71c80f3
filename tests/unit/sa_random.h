/* SAs of all shapes, from a seed. */
#ifndef TEST_SA_RANDOM_H
#define TEST_SA_RANDOM_H

#include "iked/engine.h"

#define SA_ID_MAX 300

struct sa_random {
	uint64_t state;
	char names[5][POL_NAME_MAX + 1];
	uint8_t ids[2][SA_ID_MAX];
};

uint64_t sa_draw(struct sa_random *r);
/* What they point to is in r, until the next one of the same phase. local family 0: any. */
void sa_random_p1(struct sa_random *r, struct ike_p1_info *i);
void sa_random_p2(struct sa_random *r, struct ike_p2_info *i);

#endif
