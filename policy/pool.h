/*
 * Memory of one policy: many pieces, freed and wiped together. Private to policy/.
 */
#ifndef POL_POOL_H
#define POL_POOL_H

#include <stddef.h>

struct pol_chunk;

struct pol_pool {
	struct pol_chunk *chunks;
};

/* Zeroed memory for n things of size; NULL when memory is short. */
void *pol_pool_get(struct pol_pool *pool, size_t n, size_t size);
char *pol_pool_text(struct pol_pool *pool, const char *text, size_t len);
/*
 * An array of n things with room for one more: the array itself or a larger copy. The array must
 * have grown from NULL one by one.
 */
void *pol_pool_grow(struct pol_pool *pool, void *array, unsigned n, size_t size);
void pol_pool_free(struct pol_pool *pool);

#endif
