/*
 * Inside the policy store. Private to policy/.
 *
 * Two databases lie in a stack's state directory: policy.db has everything that may be shown,
 * secrets.db the values of secret parameters, both under the number of a generation.  They are not
 * attached to each other, so that a reader of policy.db needs no right to secrets.db, and because
 * the order of two commits is all that is needed:
 *
 *   1. policy.db is locked for writing and the next generation's number is read from it;
 *   2. secrets.db gets the secrets under that number, and commits;
 *   3. policy.db gets the statements and the new number in force, and commits.
 *
 * A crash before 3 leaves the old generation in force and rows in secrets.db that nothing names;
 * the next generation takes the same number and clears them first.  After 3 both are there.  The
 * journals are rollback journals, not WAL: a process that may only read can then open both, also
 * when no writer runs.
 */
#ifndef POL_STORE_H
#define POL_STORE_H

#include <sqlite3.h>
#include <sys/types.h>

#include "common/paths.h"
#include "policy/hash.h"
#include "policy/tree.h"

#define POL_STORE_SCHEMA 1
#define POL_AUDIT_SCHEMA 1 /* of audit.db, which is older or newer by itself */
#define POL_STORE_KEEP   5 /* generations, with the one in force */

struct pol_db {
	sqlite3 *sql;
	const char *name; /* "policy.db", for messages */
	/* Of a writer: the file that is open. */
	char path[CS_PATH_MAX];
	dev_t device;
	ino_t inode;
	bool checked; /* its pages were, by this process: not once more when it is opened again */
};

struct pol_store {
	struct pol_db policy, secrets;
	bool write;
	char dir[CS_PATH_MAX];
};

/* ---- store.c, besides policy.h ---- */

/* The statements in force, not compiled. */
struct pol_stored {
	struct pol_tree *tree;
	uint64_t generation;
	int64_t created; /* when it came into force */
};

/*
 * For displays.  Without secrets secrets.db is not even looked for, and their values are
 * POL_NOT_SHOWN.
 */
int pol_store_open_display(const char *statedir, bool secrets, struct pol_store **store,
			   struct cs_err *err);
/* CS_ENOTFOUND when there is none; the caller frees the tree. */
int pol_store_statements(struct pol_store *store, struct pol_stored *stored, struct cs_err *err);

/* ---- store_db.c: databases and statements ---- */

enum pol_db_kind {
	POL_DB_POLICY,
	POL_DB_SECRETS,
	POL_DB_AUDIT, /* pagent's alone, pagent_outbox.c; not of the store */
};
int pol_db_open(const char *statedir, enum pol_db_kind which, bool write, struct pol_db *db,
		struct cs_err *err);
void pol_db_close(struct pol_db *db);
/*
 * Is the writer's open file still the one of that name?  sqlite does not look, and what is written
 * to another one no reader would find.
 */
int pol_db_same_file(const struct pol_db *db, struct cs_err *err);
int pol_db_exec(const struct pol_db *db, const char *sql, struct cs_err *err);
int pol_db_prepare(const struct pol_db *db, const char *sql, sqlite3_stmt **st, struct cs_err *err);
/* 1: a row; 0: no more; negative: failed. */
int pol_db_row(const struct pol_db *db, sqlite3_stmt *st, struct cs_err *err);
/* For statements without rows; ready for the next values afterwards. */
int pol_db_run(const struct pol_db *db, sqlite3_stmt *st, struct cs_err *err);
/* Runs sql, which ends with "?1", for one generation. */
int pol_db_run_for(const struct pol_db *db, const char *sql, uint64_t generation,
		   struct cs_err *err);
/* The first column of the only row; *found is false without one. */
int pol_db_number(const struct pol_db *db, const char *sql, int64_t *number, bool *found,
		  struct cs_err *err);

/* ---- store_tree.c: the statements as rows ---- */

int pol_tree_digest(const struct pol_tree *tree, uint8_t digest[static POL_HASH_LEN],
		    struct cs_err *err);
int pol_tree_save(const struct pol_store *s, uint64_t generation, const struct pol_tree *tree,
		  struct cs_err *err);
int pol_secrets_save(const struct pol_store *s, uint64_t generation, const struct pol_tree *tree,
		     struct cs_err *err);
int pol_tree_load(const struct pol_store *s, uint64_t generation, struct pol_tree **tree,
		  struct cs_err *err);

/* ---- store_rules.c: ids of ipsec rules ---- */

/* Finds an id for each ipsec rule and writes both under generation; ids has n_rules places. */
int pol_ids_assign(const struct pol_db *db, uint64_t generation, const struct pol_policy *policy,
		   uint16_t *ids, struct cs_err *err);
/* What was assigned. CS_EPARSE when the rules are not those of that generation. */
int pol_ids_load(const struct pol_db *db, uint64_t generation, const struct pol_policy *policy,
		 uint16_t *ids, struct cs_err *err);

#endif
