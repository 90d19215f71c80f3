/*
 * References to statements: a name is looked for among the statements of its kind, in the files of
 * the same policy (IPSec or AT-TLS), first in the stack's own, then in the common one; of two in
 * one file the last counts.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "policy/compile.h"
#include "policy/near.h"

static const char *name_of(const struct pol_node *node)
{
	return node->name ? node->name : "";
}

static int compare_keys(const struct pol_node *node, const struct pol_statement *s,
			const char *name)
{
	if (node->statement != s)
		return node->statement < s ? -1 : 1;
	return strcmp(name_of(node), name);
}

/* Statement, name, own before common; of the rest the later first. */
static int by_key(const void *a, const void *b)
{
	const struct pol_node *x = *(struct pol_node *const *)a;
	const struct pol_node *y = *(struct pol_node *const *)b;
	int d = compare_keys(x, y->statement, name_of(y));

	if (d)
		return d;
	if (x->from_common != y->from_common)
		return x->from_common ? 1 : -1;
	return x->order > y->order ? -1 : x->order < y->order;
}

struct pol_node *pol_lookup_in(const struct pol_build *b, enum pol_scope scope, const char *keyword,
			       const char *name)
{
	const struct pol_statement *s = pol_statement_find(keyword);
	unsigned low = 0, high = b->n_index;

	while (low < high) { /* the first of its key */
		unsigned middle = low + (high - low) / 2;

		if (compare_keys(b->index[middle], s, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < b->n_index && compare_keys(b->index[low], s, name) == 0; low++)
		if (b->index[low]->scope & scope)
			return b->index[low];
	return NULL;
}

struct pol_node *pol_lookup(const struct pol_build *b, const char *keyword, const char *name)
{
	return pol_lookup_in(b, POL_FOR_BOTH, keyword, name);
}

enum pol_scope pol_scope_of(const struct pol_node *node)
{
	switch (node->statement->place) {
	case POL_IN_POLICY:
		return node->scope & POL_FOR_IPSEC;
	case POL_IN_TTLS:
		return node->scope & POL_FOR_TTLS;
	case POL_IN_BOTH:
	case POL_IN_MAIN:
	case POL_IN_IKED:
		break;
	}
	return node->scope;
}

static void report_doubles(struct pol_build *b)
{
	for (unsigned i = 0; i + 1 < b->n_index; i++) {
		const struct pol_node *last = b->index[i], *before = b->index[i + 1];

		if (last->from_common == before->from_common && (last->scope & before->scope) &&
		    compare_keys(last, before->statement, name_of(before)) == 0)
			pol_warn(b, last, NULL, NULL, "it replaces the one on line %u of %s",
				 before->line, before->file);
	}
}

/* ---- names that nothing has ---- */

#define HINTS_MAX 100 /* errors: the search for a near name looks at all names */

/* A statement of another kind with the name; NULL: none. */
static const struct pol_node *namesake(const struct pol_build *b, const char *name)
{
	for (unsigned i = 0; i < b->n_index; i++)
		if (strcmp(name_of(b->index[i]), name) == 0)
			return b->index[i];
	return NULL;
}

static const char *nearest(const struct pol_build *b, const char *keyword, const char *name)
{
	const struct pol_statement *s = pol_statement_find(keyword);
	struct pol_near near;

	pol_near_begin(&near, name);
	for (unsigned i = 0; i < b->n_index; i++)
		if (b->index[i]->statement == s && b->index[i]->name)
			pol_near_try(&near, b->index[i]->name, strlen(b->index[i]->name));
	return near.best;
}

static void unresolved(struct pol_build *b, struct pol_node *node, const struct pol_item *item,
		       struct pol_word word, const char *name)
{
	bool hints = b->diags->n_errors < HINTS_MAX;
	const struct pol_node *other = hints ? namesake(b, name) : NULL;
	const char *near = hints && !other ? nearest(b, item->param->of, name) : NULL;

	if (other)
		pol_wrong_word(b, node, item, word,
			       "no %s has the name '%s'; it is the name of an %s (line %u)",
			       item->param->of, name, other->statement->keyword, other->line);
	else if (near && strcasecmp(near, name) == 0)
		pol_wrong_word(b, node, item, word,
			       "no %s has the name '%s'; did you mean %s? Case counts in names",
			       item->param->of, name, near);
	else if (near)
		pol_wrong_word(b, node, item, word, "no %s has the name '%s'; did you mean %s?",
			       item->param->of, name, near);
	else
		pol_wrong_word(b, node, item, word, "no %s has the name '%s'", item->param->of,
			       name);
}

/* scope: of the statement at top level. */
static void resolve_node(struct pol_build *b, struct pol_node *node, enum pol_scope scope)
{
	for (unsigned i = 0; i < node->n_items; i++) {
		struct pol_item *item = &node->items[i];
		char name[POL_NAME_MAX + 1];
		const char *text = item->value;
		struct pol_word word;

		if (item->block) {
			resolve_node(b, item->block, scope);
			if (item->block->failed)
				node->failed = true;
		}
		if (item->param->kind != POL_K_REF || item->param->support == POL_REFUSED ||
		    !pol_word_copy(word = pol_word_next(&text), name, sizeof(name)))
			continue;
		item->target = pol_lookup_in(b, scope, item->param->of, name);
		if (!item->target)
			unresolved(b, node, item, word, name);
	}
}

void pol_resolve(struct pol_build *b)
{
	b->n_index = b->tree->n_nodes;
	b->index = calloc(b->n_index + 1, sizeof(*b->index));
	if (!b->index) {
		b->n_index = 0;
		b->diags->no_memory = true;
		return;
	}
	for (unsigned i = 0; i < b->n_index; i++) {
		b->index[i] = b->tree->nodes[i];
		b->index[i]->order = i;
	}
	qsort(b->index, b->n_index, sizeof(*b->index), by_key);
	report_doubles(b);
	for (unsigned i = 0; i < b->tree->n_nodes; i++)
		resolve_node(b, b->tree->nodes[i], pol_scope_of(b->tree->nodes[i]));
}
