/* trmdstat: counts by key, of a bounded number of keys. */
#include <stdlib.h>
#include <string.h>

#include "trmd/trmdstat.h"

static uint32_t hash(const char *a, size_t a_len, const char *b, size_t b_len)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < a_len; i++)
		h = (h ^ (uint8_t)a[i]) * 16777619u;
	h *= 16777619u;
	for (size_t i = 0; i < b_len; i++)
		h = (h ^ (uint8_t)b[i]) * 16777619u;
	return h ^ h >> 15;
}

static bool is(const char *text, const char *key, size_t len)
{
	return strncmp(text, key, len) == 0 && !text[len];
}

static bool grow(struct stat_table *t)
{
	uint32_t room = t->room ? 2 * t->room : 64, n_slots = 2 * room, at;
	struct stat_row *rows = realloc(t->rows, room * sizeof(*rows));
	uint32_t *slots;

	if (!rows)
		return false;
	t->rows = rows;
	slots = calloc(n_slots, sizeof(*slots));
	if (!slots)
		return false;
	free(t->slots);
	t->slots = slots;
	t->room = room;
	t->n_slots = n_slots;
	for (uint32_t i = 0; i < t->n; i++) {
		at = hash(rows[i].a, strlen(rows[i].a), rows[i].b, strlen(rows[i].b));
		while (slots[at & (n_slots - 1)])
			at++;
		slots[at & (n_slots - 1)] = i + 1;
	}
	return true;
}

static struct stat_row *others_of(struct stat_table *t)
{
	static char nothing[] = "";

	t->has_others = true;
	t->others.a = t->others.b = nothing;
	return &t->others;
}

void stat_add(uint64_t *total, uint64_t n)
{
	*total = n > UINT64_MAX - *total ? UINT64_MAX : *total + n;
}

struct stat_row *stat_row_of(struct stat_table *t, const char *a, const char *b)
{
	size_t a_len = strnlen(a, STAT_KEY - 1), b_len = strnlen(b, STAT_KEY - 1);
	uint32_t at = hash(a, a_len, b, b_len);
	struct stat_row *r;

	for (; t->n_slots && t->slots[at & (t->n_slots - 1)]; at++) {
		r = &t->rows[t->slots[at & (t->n_slots - 1)] - 1];
		if (is(r->a, a, a_len) && is(r->b, b, b_len))
			return r;
	}
	if (t->n == STAT_ROWS)
		return others_of(t);
	if (t->n == t->room) {
		if (!grow(t))
			return NULL;
		return stat_row_of(t, a, b);
	}
	r = &t->rows[t->n];
	*r = (struct stat_row){.a = strndup(a, a_len), .b = strndup(b, b_len)};
	if (!r->a || !r->b) {
		free(r->a);
		free(r->b);
		return NULL;
	}
	t->slots[at & (t->n_slots - 1)] = ++t->n;
	return r;
}

static int compare_keys(const char *a, const char *b)
{
	struct cs_addr x, y;

	if (cs_addr_parse(a, &x, NULL) == 0 && cs_addr_parse(b, &y, NULL) == 0 &&
	    x.family == y.family)
		return cs_addr_compare(&x, &y);
	return strcmp(a, b);
}

static int compare(const void *p, const void *q)
{
	const struct stat_row *x = p, *y = q;
	int c = compare_keys(x->a, y->a);

	return c ? c : compare_keys(x->b, y->b);
}

void stat_table_sort(struct stat_table *t)
{
	free(t->slots);
	t->slots = NULL;
	t->n_slots = 0;
	if (t->n)
		qsort(t->rows, t->n, sizeof(*t->rows), compare);
}

void stat_table_free(struct stat_table *t)
{
	for (uint32_t i = 0; i < t->n; i++) {
		free(t->rows[i].a);
		free(t->rows[i].b);
	}
	free(t->rows);
	free(t->slots);
	memset(t, 0, sizeof(*t));
}
