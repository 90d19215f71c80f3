/*
 * The statements of policy files as read: what the parser makes, the compiler reads, and the store
 * keeps. Private to policy/.
 */
#ifndef POL_TREE_H
#define POL_TREE_H

#include "policy/grammar.h"
#include "policy/policy.h"

struct pol_node;

/* One line of a block: an attribute with its value, or a nested statement. Order is the file's. */
struct pol_item {
	const struct pol_param *param; /* row of the grammar */
	char *value;            /* rest of the line, trimmed, comment cut; NULL for a block */
	struct pol_node *block; /* nested statement; NULL for an attribute */
	unsigned line;
};

struct pol_node {
	const struct pol_statement *statement; /* row of the grammar */
	char *name;                            /* NULL: anonymous */
	const char *file;                      /* one of the tree's file names */
	unsigned line;
	bool from_common; /* of a CommonIpSecConfig file: searched after the stack's own */
	struct pol_item *items;
	unsigned n_items;
};

struct pol_tree {
	struct pol_node **nodes; /* top level, in file order */
	unsigned n_nodes;
	char **files;
	unsigned n_files;
};

struct pol_tree *pol_tree_new(void);
void pol_tree_free(struct pol_tree *tree); /* wipes values of secret parameters */
/* The policy keeps the tree it was compiled from (for the store and pasearch). */
const struct pol_tree *pol_policy_tree(const struct pol_policy *policy);

/* Takes the tree over on success. Same checks for a tree from files and one from the store. */
int pol_compile_tree(struct pol_tree *tree, pol_diag_fn *diag, void *arg,
		     struct pol_policy **policy, struct cs_err *err);

#endif
