/*
 * Lists, hash tables and the keyed hash of the engine.
 */
#include "iked/table.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"

#define FIRST_BUCKETS 64u

void ike_list_init(struct ike_list *l)
{
	l->prev = l->next = l;
}

bool ike_list_empty(const struct ike_list *l)
{
	return l->next == l;
}

static void link_between(struct ike_list *prev, struct ike_list *element, struct ike_list *next)
{
	element->prev = prev;
	element->next = next;
	prev->next = element;
	next->prev = element;
}

void ike_list_add_head(struct ike_list *head, struct ike_list *element)
{
	link_between(head, element, head->next);
}

void ike_list_add_tail(struct ike_list *head, struct ike_list *element)
{
	link_between(head->prev, element, head);
}

void ike_list_remove(struct ike_list *element)
{
	element->prev->next = element->next;
	element->next->prev = element->prev;
	ike_list_init(element);
}

int ike_table_init(struct ike_table *t)
{
	memset(t, 0, sizeof(*t));
	t->buckets = calloc(FIRST_BUCKETS, sizeof(*t->buckets));
	if (!t->buckets)
		return CS_ENOMEM;
	t->n_buckets = FIRST_BUCKETS;
	return 0;
}

void ike_table_free(struct ike_table *t)
{
	free(t->buckets);
	memset(t, 0, sizeof(*t));
}

static struct ike_node **bucket_of(const struct ike_table *t, uint64_t hash)
{
	return &t->buckets[hash & (t->n_buckets - 1)];
}

static void grow(struct ike_table *t)
{
	struct ike_table bigger = {.n_buckets = t->n_buckets * 2, .count = t->count};

	bigger.buckets = calloc(bigger.n_buckets, sizeof(*bigger.buckets));
	if (!bigger.buckets)
		return;
	for (size_t i = 0; i < t->n_buckets; i++) {
		struct ike_node *node = t->buckets[i];

		while (node) {
			struct ike_node *next = node->next;
			struct ike_node **bucket = bucket_of(&bigger, node->hash);

			node->next = *bucket;
			*bucket = node;
			node = next;
		}
	}
	free(t->buckets);
	*t = bigger;
}

void ike_table_add(struct ike_table *t, struct ike_node *node, uint64_t hash)
{
	struct ike_node **bucket;

	if (t->count >= t->n_buckets)
		grow(t);
	bucket = bucket_of(t, hash);
	node->hash = hash;
	node->next = *bucket;
	node->in = true;
	*bucket = node;
	t->count++;
}

void ike_table_remove(struct ike_table *t, struct ike_node *node)
{
	if (!node->in)
		return;
	for (struct ike_node **at = bucket_of(t, node->hash); *at; at = &(*at)->next) {
		if (*at == node) {
			*at = node->next;
			t->count--;
			break;
		}
	}
	node->next = NULL;
	node->in = false;
}

struct ike_node *ike_table_find(const struct ike_table *t, uint64_t hash, ike_match_fn *match,
				const void *key)
{
	for (struct ike_node *node = *bucket_of(t, hash); node; node = node->next)
		if (node->hash == hash && match(node, key))
			return node;
	return NULL;
}

/* ---- SipHash-2-4 ---- */

static uint64_t rotate(uint64_t v, unsigned bits)
{
	return v << bits | v >> (64 - bits);
}

static uint64_t load64(const uint8_t *p, size_t len)
{
	uint64_t v = 0;

	for (size_t i = 0; i < len; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static void sip_rounds(uint64_t v[4], unsigned n)
{
	while (n-- > 0) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] = rotate(v[2], 32);
	}
}

uint64_t ike_siphash(const uint8_t key[16], const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t k0 = load64(key, 8), k1 = load64(key + 8, 8);
	uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du,
			 k0 ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u};
	uint64_t last = (uint64_t)(len & 0xff) << 56;

	for (; len >= 8; p += 8, len -= 8) {
		uint64_t m = load64(p, 8);

		v[3] ^= m;
		sip_rounds(v, 2);
		v[0] ^= m;
	}
	last |= load64(p, len);
	v[3] ^= last;
	sip_rounds(v, 2);
	v[0] ^= last;
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
