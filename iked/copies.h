/*
 * Arrays that grow, and copies of what is known of an SA, for those who are told of it by a call
 * that ends: its names and identities are copied, too.
 */
#ifndef IKED_COPIES_H
#define IKED_COPIES_H

#include "iked/engine.h"

struct iked_array {
	void *items;
	size_t n, cap, size; /* size of an item, set by the owner */
	bool short_of_memory;
};
/* A new item, zeroed; NULL, and short_of_memory from then on. */
void *iked_array_add(struct iked_array *a);

/* What copies point to; freed together. */
#define IKED_COPIES                                                                                \
	{                                                                                          \
		.size = sizeof(void *)                                                             \
	}
/* False without memory. */
bool iked_copy_p1(struct iked_array *copies, struct ike_p1_info *to,
		  const struct ike_p1_info *from);
bool iked_copy_p2(struct iked_array *copies, struct ike_p2_info *to,
		  const struct ike_p2_info *from);
void iked_copies_free(struct iked_array *copies);

#endif
