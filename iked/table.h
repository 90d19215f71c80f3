/*
 * Lists and hash tables of intrusive nodes: what is stored holds its own links, so that linking
 * never allocates for the element and never fails.
 */
#ifndef IKE_TABLE_H
#define IKE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IKE_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* A ring; an element that is not in a list points at itself. */
struct ike_list {
	struct ike_list *prev, *next;
};

void ike_list_init(struct ike_list *l);
bool ike_list_empty(const struct ike_list *l);
void ike_list_add_head(struct ike_list *head, struct ike_list *element);
void ike_list_add_tail(struct ike_list *head, struct ike_list *element);
void ike_list_remove(struct ike_list *element); /* harmless when it is in none */

struct ike_node {
	struct ike_node *next;
	uint64_t hash;
	bool in;
};

/* Chained; grows by doubling. When memory for growing is short the chains get longer instead. */
struct ike_table {
	struct ike_node **buckets;
	size_t n_buckets, count;
};

typedef bool ike_match_fn(const struct ike_node *node, const void *key);

int ike_table_init(struct ike_table *t);  /* 0 or CS_ENOMEM */
void ike_table_free(struct ike_table *t); /* elements are their owner's */
void ike_table_add(struct ike_table *t, struct ike_node *node, uint64_t hash);
void ike_table_remove(struct ike_table *t, struct ike_node *node); /* harmless when not in */
struct ike_node *ike_table_find(const struct ike_table *t, uint64_t hash, ike_match_fn *match,
				const void *key);

/* SipHash-2-4 (Aumasson, Bernstein 2012): keyed, so that peers cannot choose collisions. */
uint64_t ike_siphash(const uint8_t key[16], const void *data, size_t len);

#endif
