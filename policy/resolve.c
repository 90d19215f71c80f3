/*
 * References to statements: a name is looked for among the statements of its kind, in the files of
 * the same policy (IPSec or AT-TLS), first in the stack's own, then in the common one; of two in
 * one file the last counts.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/compile.h"

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

static void resolve_node(struct pol_build *b, struct pol_node *node)
{
	for (unsigned i = 0; i < node->n_items; i++) {
		struct pol_item *item = &node->items[i];
		char name[POL_NAME_MAX + 1];
		const char *text = item->value;

		if (item->block) {
			resolve_node(b, item->block);
			if (item->block->failed)
				node->failed = true;
		}
		if (item->param->kind != POL_K_REF || item->param->support == POL_REFUSED ||
		    !pol_word_copy(pol_word_next(&text), name, sizeof(name)))
			continue;
		item->target = pol_lookup_in(b, node->scope, item->param->of, name);
		if (!item->target)
			pol_wrong(b, node, item, NULL, "no %s has the name '%s'", item->param->of,
				  name);
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
		resolve_node(b, b->tree->nodes[i]);
}
