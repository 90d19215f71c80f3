/*
 * A tree of statements as rows of the store, and back. Statements are numbered in the order in
 * which they stand, a nested one after the one around it.
 */
#include "policy/store.h"

#include <stdlib.h>
#include <string.h>

/* ---- digest ---- */

static void digest_node(struct pol_hash *h, const struct pol_node *node)
{
	pol_hash_text(h, node->statement->keyword);
	pol_hash_text(h, node->name);
	pol_hash_text(h, node->file);
	pol_hash_number(h, node->line);
	pol_hash_number(h, node->from_common);
	pol_hash_number(h, node->scope);
	pol_hash_number(h, node->n_items);
	for (unsigned i = 0; i < node->n_items; i++) {
		const struct pol_item *item = &node->items[i];

		pol_hash_text(h, item->param->keyword);
		pol_hash_text(h, item->value);
		pol_hash_number(h, item->line);
		pol_hash_number(h, item->block != NULL);
		if (item->block)
			digest_node(h, item->block);
	}
}

int pol_tree_digest(const struct pol_tree *tree, uint8_t digest[static POL_HASH_LEN],
		    struct cs_err *err)
{
	struct pol_hash h;
	int rc = pol_hash_begin(&h, err);

	if (rc < 0)
		return rc;
	pol_hash_number(&h, tree->n_nodes);
	for (unsigned i = 0; i < tree->n_nodes; i++)
		digest_node(&h, tree->nodes[i]);
	pol_hash_end(&h, digest);
	return 0;
}

/* ---- where a statement stood, as one number: common files, and of which policy ---- */

static int origin_of(const struct pol_node *node)
{
	return (int)node->from_common + 2 * (int)node->scope;
}

/* Those of releases that had one kind of policy file have no scope. */
static void set_origin(struct pol_node *node, int origin)
{
	int scope = origin >> 1 & POL_FOR_BOTH;

	node->from_common = (origin & 1) != 0;
	node->scope = scope ? (enum pol_scope)scope : POL_FOR_BOTH;
}

/* ---- saving ---- */

/* The walk that both databases are filled on: the same numbers come out each time. */
struct saver {
	const struct pol_db *db;
	const struct pol_tree *tree;
	uint64_t generation;
	sqlite3_stmt *node, *item; /* policy.db */
	sqlite3_stmt *secret;      /* secrets.db */
	uint32_t next;
	struct cs_err *err;
};

static void bind_text(sqlite3_stmt *st, int at, const char *text)
{
	if (text)
		sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
	else
		sqlite3_bind_null(st, at);
}

static int save_secret(struct saver *s, uint32_t node, unsigned position,
		       const struct pol_item *item)
{
	if (!s->secret || !item->param->secret || !item->value)
		return 0;
	sqlite3_bind_int64(s->secret, 1, (sqlite3_int64)s->generation);
	sqlite3_bind_int64(s->secret, 2, node);
	sqlite3_bind_int64(s->secret, 3, position);
	bind_text(s->secret, 4, item->value);
	return pol_db_run(s->db, s->secret, s->err);
}

static int save_item(struct saver *s, uint32_t node, unsigned position, const struct pol_item *item)
{
	bool secret = item->param->secret && item->value;

	if (!s->item)
		return 0;
	sqlite3_bind_int64(s->item, 1, (sqlite3_int64)s->generation);
	sqlite3_bind_int64(s->item, 2, node);
	sqlite3_bind_int64(s->item, 3, position);
	bind_text(s->item, 4, item->param->keyword);
	bind_text(s->item, 5, secret ? NULL : item->value);
	sqlite3_bind_int(s->item, 6, secret);
	if (item->block)
		sqlite3_bind_int64(s->item, 7, s->next); /* the number it gets next */
	sqlite3_bind_int64(s->item, 8, item->line);
	return pol_db_run(s->db, s->item, s->err);
}

static unsigned file_number(const struct pol_tree *tree, const char *file)
{
	unsigned i = 0;

	while (i < tree->n_files && (!file || strcmp(tree->files[i], file) != 0))
		i++;
	return i;
}

static int save_node(struct saver *s, const struct pol_node *node, bool top)
{
	uint32_t number = s->next++;
	int rc = 0;

	if (s->node) {
		sqlite3_bind_int64(s->node, 1, (sqlite3_int64)s->generation);
		sqlite3_bind_int64(s->node, 2, number);
		sqlite3_bind_int(s->node, 3, top);
		bind_text(s->node, 4, node->statement->keyword);
		bind_text(s->node, 5, node->name);
		sqlite3_bind_int64(s->node, 6, file_number(s->tree, node->file));
		sqlite3_bind_int64(s->node, 7, node->line);
		sqlite3_bind_int(s->node, 8, origin_of(node));
		rc = pol_db_run(s->db, s->node, s->err);
	}
	for (unsigned i = 0; rc == 0 && i < node->n_items; i++) {
		rc = save_item(s, number, i, &node->items[i]);
		if (rc == 0)
			rc = save_secret(s, number, i, &node->items[i]);
		if (rc == 0 && node->items[i].block)
			rc = save_node(s, node->items[i].block, false);
	}
	return rc;
}

static int save_nodes(struct saver *s)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < s->tree->n_nodes; i++)
		rc = save_node(s, s->tree->nodes[i], true);
	return rc;
}

static int save_files(const struct pol_store *s, uint64_t generation, const struct pol_tree *tree,
		      struct cs_err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = pol_db_prepare(&s->policy, "INSERT INTO file VALUES (?1, ?2, ?3)", &st, err);

	for (unsigned i = 0; rc == 0 && i < tree->n_files; i++) {
		sqlite3_bind_int64(st, 1, (sqlite3_int64)generation);
		sqlite3_bind_int64(st, 2, i);
		bind_text(st, 3, tree->files[i]);
		rc = pol_db_run(&s->policy, st, err);
	}
	sqlite3_finalize(st);
	return rc;
}

int pol_tree_save(const struct pol_store *store, uint64_t generation, const struct pol_tree *tree,
		  struct cs_err *err)
{
	struct saver s = {.db = &store->policy, .tree = tree, .generation = generation, .err = err};
	int rc = save_files(store, generation, tree, err);

	if (rc == 0)
		rc = pol_db_prepare(s.db, "INSERT INTO node VALUES (?1,?2,?3,?4,?5,?6,?7,?8)",
				    &s.node, err);
	if (rc == 0)
		rc = pol_db_prepare(s.db, "INSERT INTO item VALUES (?1,?2,?3,?4,?5,?6,?7,?8)",
				    &s.item, err);
	if (rc == 0)
		rc = save_nodes(&s);
	sqlite3_finalize(s.node);
	sqlite3_finalize(s.item);
	return rc;
}

int pol_secrets_save(const struct pol_store *store, uint64_t generation,
		     const struct pol_tree *tree, struct cs_err *err)
{
	struct saver s = {
		.db = &store->secrets, .tree = tree, .generation = generation, .err = err};
	int rc = pol_db_prepare(s.db, "INSERT INTO secret VALUES (?1, ?2, ?3, ?4)", &s.secret, err);

	if (rc == 0)
		rc = save_nodes(&s);
	sqlite3_finalize(s.secret);
	return rc;
}

/* ---- loading ---- */

/* Every statement of the generation by its number; owned: not yet part of another. */
struct loader {
	const struct pol_store *store;
	uint64_t generation;
	struct pol_tree *tree;
	struct pol_node **nodes;
	bool *owned;
	uint32_t n, room;
	struct cs_err *err;
};

static int odd(const struct loader *l, const char *what, const char *name)
{
	return cs_fail(l->err, CS_EPARSE, "policy.db: generation %llu: %s%s%s",
		       (unsigned long long)l->generation, what, name ? " " : "", name ? name : "");
}

static int no_memory(const struct loader *l)
{
	return cs_fail(l->err, CS_ENOMEM, "no memory for the policy");
}

/* Text of a column; NULL for NULL. A text with a zero byte in it is none. */
static int column_text(const struct loader *l, sqlite3_stmt *st, int at, const char **text)
{
	*text = (const char *)sqlite3_column_text(st, at);
	if (!*text)
		return sqlite3_column_type(st, at) == SQLITE_NULL ? 0 : no_memory(l);
	if (strlen(*text) != (size_t)sqlite3_column_bytes(st, at))
		return odd(l, "a text with a zero byte", NULL);
	return 0;
}

static int load_files(struct loader *l)
{
	sqlite3_stmt *st = NULL;
	const char *name;
	int rc = pol_db_prepare(&l->store->policy,
				"SELECT name FROM file WHERE generation = ?1 ORDER BY number", &st,
				l->err);

	if (rc == 0)
		sqlite3_bind_int64(st, 1, (sqlite3_int64)l->generation);
	while (rc == 0 && (rc = pol_db_row(&l->store->policy, st, l->err)) == 1) {
		unsigned before = l->tree->n_files;

		rc = column_text(l, st, 0, &name);
		if (rc == 0 && !name)
			rc = odd(l, "a file without a name", NULL);
		if (rc == 0 && !pol_tree_file(l->tree, name))
			rc = no_memory(l);
		if (rc == 0 && l->tree->n_files == before)
			rc = odd(l, "a file that is there twice:", name);
	}
	sqlite3_finalize(st);
	return rc;
}

static int keep_node(struct loader *l, struct pol_node *node, bool top)
{
	if (l->n == l->room) {
		uint32_t room = l->room ? 2 * l->room : 64;
		struct pol_node **nodes = realloc(l->nodes, room * sizeof(*nodes));
		bool *owned;

		if (!nodes)
			return no_memory(l);
		l->nodes = nodes;
		owned = realloc(l->owned, room * sizeof(*owned));
		if (!owned)
			return no_memory(l);
		l->owned = owned;
		l->room = room;
	}
	if (top && !pol_tree_add(l->tree, node))
		return no_memory(l);
	l->owned[l->n] = top;
	l->nodes[l->n++] = node;
	return 0;
}

static int load_node(struct loader *l, sqlite3_stmt *st)
{
	const struct pol_statement *statement;
	const char *keyword, *name;
	int64_t file = sqlite3_column_int64(st, 4);
	struct pol_node *node;
	int rc = column_text(l, st, 2, &keyword);

	if (rc == 0)
		rc = column_text(l, st, 3, &name);
	if (rc < 0)
		return rc;
	statement = keyword ? pol_statement_find(keyword) : NULL;
	if (!statement)
		return odd(l, "an unknown statement", keyword);
	if (sqlite3_column_int64(st, 0) != l->n)
		return odd(l, "a gap before a statement", keyword);
	if (file < 0 || file >= l->tree->n_files)
		return odd(l, "a statement of no file:", keyword);
	node = pol_node_new(statement, name, l->tree->files[file],
			    (unsigned)sqlite3_column_int64(st, 5));
	if (!node)
		return no_memory(l);
	set_origin(node, sqlite3_column_int(st, 6));
	rc = keep_node(l, node, sqlite3_column_int(st, 1) != 0);
	if (rc < 0)
		pol_node_free(node);
	return rc;
}

static int load_nodes(struct loader *l)
{
	sqlite3_stmt *st = NULL;
	int rc = pol_db_prepare(&l->store->policy,
				"SELECT number, top, statement, name, file, line, common FROM node"
				" WHERE generation = ?1 ORDER BY number",
				&st, l->err);

	if (rc == 0)
		sqlite3_bind_int64(st, 1, (sqlite3_int64)l->generation);
	while (rc == 0 && (rc = pol_db_row(&l->store->policy, st, l->err)) == 1)
		rc = load_node(l, st);
	sqlite3_finalize(st);
	return rc;
}

/* The value of a secret parameter, into the tree directly. secret NULL: it is left out. */
static int load_secret(struct loader *l, sqlite3_stmt *secret, int64_t node, int64_t position,
		       const char **value)
{
	int rc;

	if (!secret) {
		*value = POL_NOT_SHOWN;
		return 0;
	}
	sqlite3_reset(secret);
	sqlite3_bind_int64(secret, 1, (sqlite3_int64)l->generation);
	sqlite3_bind_int64(secret, 2, node);
	sqlite3_bind_int64(secret, 3, position);
	rc = pol_db_row(&l->store->secrets, secret, l->err);
	if (rc == 0)
		return cs_fail(l->err, CS_ESTORE,
			       "secrets.db lacks a secret of generation %llu; a refresh of pagent "
			       "stores it anew",
			       (unsigned long long)l->generation);
	return rc < 0 ? rc : column_text(l, secret, 0, value);
}

static int load_item(struct loader *l, sqlite3_stmt *st, sqlite3_stmt *secret)
{
	int64_t number = sqlite3_column_int64(st, 0), position = sqlite3_column_int64(st, 1);
	int64_t child = sqlite3_column_int64(st, 5);
	bool has_block = sqlite3_column_type(st, 5) != SQLITE_NULL;
	unsigned line = (unsigned)sqlite3_column_int64(st, 6);
	const struct pol_param *param;
	const char *keyword, *value = NULL;
	struct pol_node *node, *block = NULL;
	int rc = column_text(l, st, 2, &keyword);

	if (rc == 0)
		rc = column_text(l, st, 3, &value);
	if (rc < 0)
		return rc;
	if (number < 0 || number >= l->n)
		return odd(l, "an attribute of no statement:", keyword);
	node = l->nodes[number];
	param = keyword ? pol_param_find(node->statement, keyword) : NULL;
	if (!param || position != node->n_items)
		return odd(l, "an attribute that does not belong there:", keyword);
	if (has_block) {
		/* Nested statements come later and belong to one place: so there are no circles. */
		if (child <= number || child >= l->n || l->owned[child] || !param->of ||
		    param->kind != POL_K_BLOCK ||
		    l->nodes[child]->statement != pol_statement_find(param->of))
			return odd(l, "a nested statement that does not belong there:", keyword);
		block = l->nodes[child];
	} else if (sqlite3_column_int(st, 4)) {
		rc = load_secret(l, secret, number, position, &value);
		if (rc < 0)
			return rc;
	}
	if (!block == !value)
		return odd(l, "an attribute without a value:", keyword);
	if (!pol_node_add(node, param, value, block, line))
		return no_memory(l);
	if (block)
		l->owned[child] = true;
	return 0;
}

static int load_items(struct loader *l)
{
	sqlite3_stmt *st = NULL, *secret = NULL;
	int rc = pol_db_prepare(&l->store->policy,
				"SELECT node, position, keyword, value, secret, block, line"
				" FROM item WHERE generation = ?1 ORDER BY node, position",
				&st, l->err);

	if (rc == 0 && l->store->secrets.sql)
		rc = pol_db_prepare(&l->store->secrets,
				    "SELECT value FROM secret WHERE generation = ?1 AND node = ?2"
				    " AND position = ?3",
				    &secret, l->err);
	if (rc == 0)
		sqlite3_bind_int64(st, 1, (sqlite3_int64)l->generation);
	while (rc == 0 && (rc = pol_db_row(&l->store->policy, st, l->err)) == 1)
		rc = load_item(l, st, secret);
	sqlite3_finalize(st);
	sqlite3_finalize(secret);
	for (uint32_t i = 0; rc == 0 && i < l->n; i++)
		if (!l->owned[i])
			rc = odd(l, "a nested statement that stands nowhere:",
				 l->nodes[i]->statement->keyword);
	return rc;
}

int pol_tree_load(const struct pol_store *store, uint64_t generation, struct pol_tree **tree,
		  struct cs_err *err)
{
	struct loader l = {.store = store, .generation = generation, .err = err};
	int rc;

	l.tree = pol_tree_new();
	rc = l.tree ? load_files(&l) : no_memory(&l);
	if (rc == 0)
		rc = load_nodes(&l);
	if (rc == 0)
		rc = load_items(&l);
	if (rc < 0) {
		for (uint32_t i = 0; i < l.n; i++)
			if (!l.owned[i])
				pol_node_free(l.nodes[i]);
		pol_tree_free(l.tree);
	} else {
		*tree = l.tree;
	}
	free(l.nodes);
	free(l.owned);
	return rc;
}
