/*
 * The statements of policy files as read: what the parser makes, the compiler reads, and the store
 * keeps. Private to policy/.
 */
#ifndef POL_TREE_H
#define POL_TREE_H

#include "policy/grammar.h"
#include "policy/policy.h"

struct pol_node;

/* Stands in a secret's place where it is left out; as a secret's value it is refused. */
#define POL_NOT_SHOWN "********"

/* One line of a block: an attribute with its value, or a nested statement. Order is the file's. */
struct pol_item {
	const struct pol_param *param; /* row of the grammar */
	char *value;             /* rest of the line, trimmed, comment cut; NULL for a block */
	struct pol_node *block;  /* nested statement; NULL for an attribute */
	struct pol_node *target; /* POL_K_REF: what the name refers to; set by the resolver */
	unsigned line;
};

/* Which policy a file has; names of the one are not seen by the other. */
enum pol_scope { POL_FOR_IPSEC = 1, POL_FOR_TTLS = 2, POL_FOR_BOTH = 3 };

struct pol_node {
	const struct pol_statement *statement; /* row of the grammar */
	char *name;                            /* NULL: anonymous */
	const char *file;                      /* one of the tree's file names */
	unsigned line;
	bool from_common;     /* of a common file: searched after the stack's own */
	enum pol_scope scope; /* of the file */
	struct pol_item *items;
	unsigned n_items;
	/* the compiler's own: visited, has errors, its place in the tree, what it became */
	bool tried, failed;
	unsigned order;
	void *made;
};

struct pol_tree {
	struct pol_node **nodes; /* top level, in file order */
	unsigned n_nodes;
	char **files;
	unsigned n_files;
	/* of files, not of the store */
	struct pol_options options;
	/* Somebody wants IPSec policy: a line names a file of it, if in vain, or a statement is of
	 * it. */
	bool names_ipsec;
};

/* All of the tree is made by these; each returns NULL (or false) only when memory is short. */
struct pol_tree *pol_tree_new(void);
const char *pol_tree_file(struct pol_tree *tree, const char *name); /* the tree's copy of name */
struct pol_node *pol_node_new(const struct pol_statement *statement, const char *name,
			      const char *file, unsigned line);
void pol_node_free(struct pol_node *node);                       /* with all that it holds */
bool pol_tree_add(struct pol_tree *tree, struct pol_node *node); /* takes node over if true */
/* One of value (copied) and block (taken over if true) is NULL. */
bool pol_node_add(struct pol_node *node, const struct pol_param *param, const char *value,
		  struct pol_node *block, unsigned line);
void pol_tree_free(struct pol_tree *tree); /* wipes values of secret parameters */
/* The policy keeps the tree it was compiled from (for the store and pasearch). */
const struct pol_tree *pol_policy_tree(const struct pol_policy *policy);

/* Takes the tree over on success. Same checks for a tree from files and one from the store. */
int pol_compile_tree(struct pol_tree *tree, pol_diag_fn *diag, void *arg,
		     struct pol_policy **policy, struct cs_err *err);

#endif
