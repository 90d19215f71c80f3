/*
 * The statements of policy files as read: making and freeing them.
 */
#include "policy/tree.h"

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"

struct pol_tree *pol_tree_new(void)
{
	return calloc(1, sizeof(struct pol_tree));
}

const char *pol_tree_file(struct pol_tree *tree, const char *name)
{
	char **more, *copy;

	for (unsigned i = 0; i < tree->n_files; i++)
		if (strcmp(tree->files[i], name) == 0)
			return tree->files[i];
	more = realloc(tree->files, (tree->n_files + 1) * sizeof(*more));
	if (!more)
		return NULL;
	tree->files = more;
	copy = strdup(name);
	if (!copy)
		return NULL;
	tree->files[tree->n_files++] = copy;
	return copy;
}

struct pol_node *pol_node_new(const struct pol_statement *statement, const char *name,
			      const char *file, unsigned line)
{
	struct pol_node *node = calloc(1, sizeof(*node));

	if (!node)
		return NULL;
	if (name && !(node->name = strdup(name))) {
		free(node);
		return NULL;
	}
	node->statement = statement;
	node->scope = POL_FOR_BOTH;
	node->file = file;
	node->line = line;
	return node;
}

void pol_node_free(struct pol_node *node)
{
	if (!node)
		return;
	for (unsigned i = 0; i < node->n_items; i++) {
		struct pol_item *item = &node->items[i];

		if (item->value && item->param->secret)
			cs_wipe(item->value, strlen(item->value));
		free(item->value);
		pol_node_free(item->block);
	}
	free(node->items);
	free(node->name);
	free(node);
}

/* Room for one more in an array that grows at powers of two. */
static void *one_more(void *array, unsigned n, size_t size)
{
	if (n & (n - 1))
		return array;
	return realloc(array, (n ? 2 * (size_t)n : 1) * size);
}

bool pol_tree_add(struct pol_tree *tree, struct pol_node *node)
{
	struct pol_node **more = one_more(tree->nodes, tree->n_nodes, sizeof(*more));

	if (!more)
		return false;
	tree->nodes = more;
	tree->nodes[tree->n_nodes++] = node;
	return true;
}

bool pol_node_add(struct pol_node *node, const struct pol_param *param, const char *value,
		  struct pol_node *block, unsigned line)
{
	struct pol_item *more = one_more(node->items, node->n_items, sizeof(*more));
	char *copy = NULL;

	if (!more)
		return false;
	node->items = more;
	if (value && !(copy = strdup(value)))
		return false;
	node->items[node->n_items++] =
		(struct pol_item){.param = param, .value = copy, .block = block, .line = line};
	return true;
}

void pol_tree_free(struct pol_tree *tree)
{
	if (!tree)
		return;
	for (unsigned i = 0; i < tree->n_nodes; i++)
		pol_node_free(tree->nodes[i]);
	for (unsigned i = 0; i < tree->n_files; i++)
		free(tree->files[i]);
	free(tree->nodes);
	free(tree->files);
	free(tree);
}
