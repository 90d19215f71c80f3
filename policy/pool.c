/*
 * Memory of one policy: many pieces, freed and wiped together. A policy is built once, read by
 * many and freed as a whole, so no piece needs an owner of its own.
 */
#include "policy/pool.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"

struct pol_chunk {
	struct pol_chunk *next;
	size_t size;
	max_align_t data[];
};

void *pol_pool_get(struct pol_pool *pool, size_t n, size_t size)
{
	struct pol_chunk *chunk;
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX / 2)
		return NULL;
	chunk = calloc(1, sizeof(*chunk) + (bytes ? bytes : 1));
	if (!chunk)
		return NULL;
	chunk->size = bytes;
	chunk->next = pool->chunks;
	pool->chunks = chunk;
	return chunk->data;
}

char *pol_pool_text(struct pol_pool *pool, const char *text, size_t len)
{
	char *copy = pol_pool_get(pool, len + 1, 1);

	if (copy)
		memcpy(copy, text, len);
	return copy;
}

void *pol_pool_grow(struct pol_pool *pool, void *array, unsigned n, size_t size)
{
	void *wider;

	if (n & (n - 1))
		return array;
	wider = pol_pool_get(pool, n ? 2 * (size_t)n : 1, size);
	if (wider && n)
		memcpy(wider, array, n * size);
	return wider;
}

void pol_pool_free(struct pol_pool *pool)
{
	while (pool->chunks) {
		struct pol_chunk *chunk = pool->chunks;

		pool->chunks = chunk->next;
		cs_wipe(chunk->data, chunk->size);
		free(chunk);
	}
}
