/*
 * What differs between two policies: rules of the same name are compared by their content.  A name
 * may stand more than once; then equal ones are matched first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/content.h"

struct entry {
	const char *name;
	uint8_t hash[POL_HASH_LEN];
	unsigned index;
	bool matched;
};

struct list {
	struct entry *v;
	unsigned n;
};

/* ---- lists ---- */

static int list_new(struct list *l, unsigned n, struct cs_err *err)
{
	l->v = calloc(n + 1u, sizeof(*l->v));
	if (!l->v)
		return cs_fail(err, CS_ENOMEM, "no memory to compare policies");
	l->n = n;
	for (unsigned i = 0; i < n; i++)
		l->v[i].index = i;
	return 0;
}

static int by_name(const void *x, const void *y)
{
	const struct entry *a = x, *b = y;
	int d = strcmp(a->name, b->name);

	if (d == 0)
		d = memcmp(a->hash, b->hash, sizeof(a->hash));
	return d ? d : (a->index > b->index) - (a->index < b->index);
}

static int filter_rules(struct list *l, const struct pol_policy *p, struct cs_err *err)
{
	int rc = list_new(l, p ? p->n_rules : 0, err);

	for (unsigned i = 0; rc == 0 && i < l->n; i++) {
		l->v[i].name = p->rules[i].name;
		rc = pol_filter_rule_whole(&p->rules[i], l->v[i].hash, err);
	}
	return rc;
}

static int ke_rules(struct list *l, const struct pol_policy *p, struct cs_err *err)
{
	int rc = list_new(l, p ? p->n_ke_rules : 0, err);

	for (unsigned i = 0; rc == 0 && i < l->n; i++) {
		l->v[i].name = p->ke_rules[i].name;
		rc = pol_ke_rule_content(&p->ke_rules[i], l->v[i].hash, err);
	}
	return rc;
}

static int local_rules(struct list *l, const struct pol_policy *p, struct cs_err *err)
{
	int rc = list_new(l, p ? p->n_local_rules : 0, err);

	for (unsigned i = 0; rc == 0 && i < l->n; i++) {
		l->v[i].name = p->local_rules[i].name;
		rc = pol_local_rule_content(&p->local_rules[i], l->v[i].hash, err);
	}
	return rc;
}

/* ---- comparing ---- */

static void match_equal(struct list *a, struct list *b, unsigned *same)
{
	for (unsigned i = 0, k = 0; i < a->n && k < b->n;) {
		int d = strcmp(a->v[i].name, b->v[k].name);

		if (d == 0)
			d = memcmp(a->v[i].hash, b->v[k].hash, sizeof(a->v[i].hash));
		if (d == 0) {
			a->v[i].matched = b->v[k].matched = true;
			same[b->v[k].index] = a->v[i].index + 1;
		}
		i += d <= 0;
		k += d >= 0;
	}
}

static unsigned next_left(const struct list *l, unsigned at)
{
	while (at < l->n && l->v[at].matched)
		at++;
	return at;
}

/* What no equal one was found for. */
static void count_rest(const struct list *a, const struct list *b, struct pol_change *c)
{
	unsigned i = next_left(a, 0), k = next_left(b, 0);

	while (i < a->n || k < b->n) {
		int d = i == a->n ? 1 : k == b->n ? -1 : strcmp(a->v[i].name, b->v[k].name);

		if (d == 0)
			c->changed++;
		else if (d < 0)
			c->removed++;
		else
			c->added++;
		if (d <= 0)
			i = next_left(a, i + 1);
		if (d >= 0)
			k = next_left(b, k + 1);
	}
}

static void compare(struct list *a, struct list *b, unsigned *same, struct pol_change *c)
{
	unsigned last = 0, n = b->n;

	if (a->n > 1)
		qsort(a->v, a->n, sizeof(*a->v), by_name);
	if (n > 1)
		qsort(b->v, n, sizeof(*b->v), by_name);
	match_equal(a, b, same);
	count_rest(a, b, c);
	for (unsigned i = 0; i < n; i++) {
		if (!same[i])
			continue;
		c->unchanged++;
		c->moved |= same[i] < last;
		last = same[i];
	}
}

typedef int list_fn(struct list *l, const struct pol_policy *p, struct cs_err *err);

/* *same gets the matches, unless same is NULL. */
static int diff_lists(list_fn *fn, const struct pol_policy *before, const struct pol_policy *now,
		      struct pol_change *c, unsigned **same, struct cs_err *err)
{
	struct list a = {0}, b = {0};
	unsigned *matches = NULL;
	int rc = fn(&a, before, err);

	if (rc == 0)
		rc = fn(&b, now, err);
	if (rc == 0) {
		matches = calloc(b.n + 1u, sizeof(*matches));
		if (!matches)
			rc = cs_fail(err, CS_ENOMEM, "no memory to compare policies");
	}
	if (rc == 0)
		compare(&a, &b, matches, c);
	free(a.v);
	free(b.v);
	if (rc == 0 && same)
		*same = matches;
	else
		free(matches);
	return rc;
}

int pol_diff(const struct pol_policy *before, const struct pol_policy *now, struct pol_diff *diff,
	     struct cs_err *err)
{
	int rc;

	memset(diff, 0, sizeof(*diff));
	rc = diff_lists(filter_rules, before, now, &diff->rules, &diff->same, err);
	if (rc == 0)
		rc = diff_lists(ke_rules, before, now, &diff->ke_rules, NULL, err);
	if (rc == 0)
		rc = diff_lists(local_rules, before, now, &diff->local_rules, NULL, err);
	if (rc < 0)
		pol_diff_free(diff);
	return rc;
}

void pol_diff_free(struct pol_diff *diff)
{
	free(diff->same);
	diff->same = NULL;
}

const char *pol_change_text(const struct pol_change *c, char buf[static POL_CHANGE_STRLEN])
{
	const struct {
		unsigned n;
		const char *word;
	} parts[] = {{c->added, "added"},
		     {c->removed, "removed"},
		     {c->changed, "changed"},
		     {c->unchanged, "unchanged"}};
	size_t len = 0;

	strcpy(buf, "none");
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (parts[i].n)
			len += (size_t)snprintf(buf + len, POL_CHANGE_STRLEN - len, "%s%u %s",
						len ? ", " : "", parts[i].n, parts[i].word);
	if (c->moved)
		snprintf(buf + len, POL_CHANGE_STRLEN - len, " in another order");
	return buf;
}
