/* Copies of what is known of an SA. */
#include "iked/copies.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What an info points to, one piece of memory. */
struct texts {
	char rule[POL_NAME_MAX + 1], action[POL_NAME_MAX + 1], local_rule[POL_NAME_MAX + 1];
	uint8_t ids[];
};

void *iked_array_add(struct iked_array *a)
{
	if (a->n == a->cap) {
		size_t cap = a->cap ? 2 * a->cap : 64;
		void *items = reallocarray(a->items, cap, a->size);

		if (!items) {
			a->short_of_memory = true;
			return NULL;
		}
		a->items = items;
		a->cap = cap;
	}
	return memset((char *)a->items + a->n++ * a->size, 0, a->size);
}

static struct texts *add_texts(struct iked_array *copies, size_t ids)
{
	struct texts **slot = iked_array_add(copies);

	if (!slot)
		return NULL;
	*slot = calloc(1, sizeof(**slot) + ids);
	if (!*slot)
		copies->short_of_memory = true;
	return *slot;
}

static const char *copy_name(char to[static POL_NAME_MAX + 1], const char *from)
{
	snprintf(to, POL_NAME_MAX + 1, "%s", from);
	return to;
}

bool iked_copy_p1(struct iked_array *copies, struct ike_p1_info *to, const struct ike_p1_info *from)
{
	struct texts *t = add_texts(copies, 0);

	if (!t)
		return false;
	*to = *from;
	to->rule = copy_name(t->rule, from->rule);
	to->action = copy_name(t->action, from->action);
	return true;
}

bool iked_copy_p2(struct iked_array *copies, struct ike_p2_info *to, const struct ike_p2_info *from)
{
	struct texts *t = add_texts(copies, from->local_id.len + from->remote_id.len);

	if (!t)
		return false;
	*to = *from;
	to->rule = copy_name(t->rule, from->rule);
	to->action = copy_name(t->action, from->action);
	to->local_rule = copy_name(t->local_rule, from->local_rule);
	to->local_id.p = t->ids;
	to->remote_id.p = t->ids + from->local_id.len;
	if (from->local_id.len)
		memcpy(t->ids, from->local_id.p, from->local_id.len);
	if (from->remote_id.len)
		memcpy(t->ids + from->local_id.len, from->remote_id.p, from->remote_id.len);
	return true;
}

void iked_copies_free(struct iked_array *copies)
{
	struct texts **texts = copies->items;

	for (size_t i = 0; i < copies->n; i++)
		free(texts[i]);
	free(copies->items);
	copies->items = NULL;
	copies->n = copies->cap = 0;
}
