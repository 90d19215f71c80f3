/*
 * Which addresses the rules of a policy name: once for each rule and family, in order and without
 * overlaps, so that all lines of the rule share them.  Rules that name the same addresses, by a
 * group mostly, share one list.
 */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "xfrm/nft_model.h"

struct xf_value xf_value_of(const struct cs_addr *a)
{
	struct xf_value v = {0, 0};
	size_t len = cs_addr_len(a->family);

	for (size_t i = 0; i < len; i++) {
		v.high = v.high << 8 | v.low >> 56;
		v.low = v.low << 8 | a->b[i];
	}
	return v;
}

int xf_value_compare(struct xf_value a, struct xf_value b)
{
	if (a.high != b.high)
		return a.high < b.high ? -1 : 1;
	if (a.low != b.low)
		return a.low < b.low ? -1 : 1;
	return 0;
}

bool xf_value_next(struct xf_value *v)
{
	if (++v->low == 0)
		v->high++;
	return v->high || v->low;
}

static int by_begin(const void *x, const void *y)
{
	const struct xf_interval *a = x, *b = y;

	return xf_value_compare(a->lo, b->lo);
}

/* Does b, which begins no earlier, overlap a or begin right behind it? */
static bool meets(const struct xf_interval *a, const struct xf_interval *b)
{
	struct xf_value next = a->hi;

	return !xf_value_next(&next) || xf_value_compare(b->lo, next) <= 0;
}

/* How many are left when those that meet are one. */
static unsigned merge(struct xf_interval *v, unsigned n)
{
	unsigned last = 0;

	if (n == 0)
		return 0;
	qsort(v, n, sizeof(*v), by_begin);
	for (unsigned i = 1; i < n; i++) {
		if (!meets(&v[last], &v[i]))
			v[++last] = v[i];
		else if (xf_value_compare(v[last].hi, v[i].hi) < 0)
			v[last].hi = v[i].hi;
	}
	return last + 1;
}

static bool is_all(const struct xf_interval *v, uint8_t family)
{
	struct cs_range all = cs_range_all(family);

	return xf_value_compare(v->lo, xf_value_of(&all.lo)) == 0 &&
	       xf_value_compare(v->hi, xf_value_of(&all.hi)) == 0;
}

/* NULL: no memory. */
static struct xf_addrs *addrs_new(const struct cs_range *r, unsigned n, uint8_t family)
{
	struct xf_addrs *a = malloc(sizeof(*a) + n * sizeof(a->v[0]));

	if (!a)
		return NULL;
	*a = (struct xf_addrs){.family = family};
	for (unsigned i = 0; i < n; i++)
		if (r[i].lo.family == family)
			a->v[a->n++] =
				(struct xf_interval){xf_value_of(&r[i].lo), xf_value_of(&r[i].hi)};
	a->n = merge(a->v, a->n);
	a->any = a->n == 1 && is_all(a->v, family);
	return a;
}

static int by_content(const void *x, const void *y)
{
	const struct xf_addrs *a = x, *b = y;

	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	if (a->n != b->n)
		return a->n < b->n ? -1 : 1;
	return memcmp(a->v, b->v, a->n * sizeof(a->v[0]));
}

struct making {
	void *known;            /* a tree of tsearch(3), by content */
	struct xf_addrs **last; /* where the next one is linked */
	unsigned n_sets;
};

/* What the book has of these addresses, in *to; NULL there: none of the family. */
static bool enter(struct making *m, const struct cs_range *r, unsigned n, uint8_t family,
		  const struct xf_addrs **to)
{
	struct xf_addrs *a = addrs_new(r, n, family), **known;

	if (!a)
		return false;
	if (a->n == 0) {
		free(a);
		return true;
	}
	known = tsearch(a, &m->known, by_content);
	if (!known || *known != a) {
		*to = known ? *known : NULL;
		free(a);
		return known != NULL;
	}
	*to = a;
	*m->last = a;
	m->last = &a->next;
	if (a->n > XF_INLINE_RANGES)
		a->set = ++m->n_sets;
	return true;
}

static bool enter_rule(struct making *m, const struct pol_filter_rule *r, struct xf_rule_addrs *to)
{
	to->active = true;
	return enter(m, r->src, r->n_src, AF_INET, &to->src[0]) &&
	       enter(m, r->src, r->n_src, AF_INET6, &to->src[1]) &&
	       enter(m, r->dst, r->n_dst, AF_INET, &to->dst[0]) &&
	       enter(m, r->dst, r->n_dst, AF_INET6, &to->dst[1]);
}

static void keep(void *addrs)
{
	(void)addrs; /* the book has it */
}

bool xf_book_make(const struct pol_policy *policy, time_t now, struct xf_book *book)
{
	struct making m = {.last = &book->addrs};
	bool made;

	*book = (struct xf_book){0};
	book->rules = calloc(policy->n_rules + 1u, sizeof(*book->rules));
	made = book->rules != NULL;
	for (unsigned i = 0; i < policy->n_rules && made; i++) {
		const struct pol_filter_rule *r = &policy->rules[i];

		if (r->n_times && !pol_time_active(r->times, r->n_times, now))
			continue;
		made = enter_rule(&m, r, &book->rules[i]);
	}
	tdestroy(m.known, keep);
	if (!made)
		xf_book_free(book);
	return made;
}

void xf_book_free(struct xf_book *book)
{
	struct xf_addrs *a = book->addrs;

	while (a) {
		struct xf_addrs *next = a->next;

		free(a);
		a = next;
	}
	free(book->rules);
	*book = (struct xf_book){0};
}
