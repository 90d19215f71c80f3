/*
 * The policy store: compiled generations of policy, one of them in force.  policy/store.h tells how
 * the two databases are kept in step.
 */
#include "policy/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/paths.h"

static int open_store(const char *statedir, bool write, bool secrets, struct pol_store **store,
		      struct cs_err *err)
{
	struct pol_store *s = calloc(1, sizeof(*s));
	int rc = 0;

	if (!s)
		return cs_fail(err, CS_ENOMEM, "no memory for the policy store");
	s->write = write;
	snprintf(s->dir, sizeof(s->dir), "%s", statedir);
	if (write)
		rc = cs_make_dir(statedir, 0750, err);
	if (rc == 0)
		rc = pol_db_open(statedir, POL_DB_POLICY, write, &s->policy, err);
	if (rc == 0 && secrets)
		rc = pol_db_open(statedir, POL_DB_SECRETS, write, &s->secrets, err);
	if (rc < 0) {
		pol_store_close(s);
		return rc;
	}
	*store = s;
	return 0;
}

int pol_store_open(const char *statedir, bool write, struct pol_store **store, struct cs_err *err)
{
	return open_store(statedir, write, true, store, err);
}

int pol_store_open_display(const char *statedir, bool secrets, struct pol_store **store,
			   struct cs_err *err)
{
	return open_store(statedir, false, secrets, store, err);
}

void pol_store_close(struct pol_store *store)
{
	if (!store)
		return;
	pol_db_close(&store->policy);
	pol_db_close(&store->secrets);
	free(store);
}

/* ---- reading ---- */

static int in_force(const struct pol_store *store, uint64_t *generation, bool *found,
		    struct cs_err *err)
{
	int64_t number = 0;
	int rc = pol_db_number(&store->policy, "SELECT generation FROM in_force", &number, found,
			       err);

	if (rc == 0 && *found && number <= 0)
		rc = cs_fail(err, CS_EPARSE, "policy.db: the generation in force is %lld",
			     (long long)number);
	if (rc == 0)
		*generation = (uint64_t)number;
	return rc;
}

/* The digest is beside the secrets, because it is over them, too. */
static int stored_digest(const struct pol_store *store, uint64_t generation,
			 uint8_t digest[static POL_HASH_LEN], bool *found, struct cs_err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = pol_db_prepare(&store->secrets, "SELECT value FROM digest WHERE generation = ?1",
				&st, err);

	*found = false;
	if (rc == 0) {
		sqlite3_bind_int64(st, 1, (sqlite3_int64)generation);
		rc = pol_db_row(&store->secrets, st, err);
	}
	if (rc == 1 && sqlite3_column_bytes(st, 0) == POL_HASH_LEN) {
		memcpy(digest, sqlite3_column_blob(st, 0), POL_HASH_LEN);
		*found = true;
	}
	sqlite3_finalize(st);
	return rc < 0 ? rc : 0;
}

static int must_be_in_force(const struct pol_store *store, uint64_t *generation, struct cs_err *err)
{
	bool found = false;
	int rc = in_force(store, generation, &found, err);

	return rc == 0 && !found ? cs_fail(err, CS_ENOTFOUND, "no policy is stored yet") : rc;
}

int pol_store_edition(struct pol_store *store, struct pol_edition *edition, struct cs_err *err)
{
	bool found;
	int rc = must_be_in_force(store, &edition->generation, err);

	memset(edition->digest, 0, sizeof(edition->digest));
	if (rc == 0)
		rc = stored_digest(store, edition->generation, edition->digest, &found, err);
	return rc;
}

/* Sets what only the store knows of a policy. */
static void complete(struct pol_policy *policy, uint64_t generation, const uint16_t *ids)
{
	for (unsigned i = 0; i < policy->n_rules; i++)
		policy->rules[i].id = ids[i];
	policy->generation = generation;
}

static void keep_first_error(void *arg, const struct pol_diag *diag)
{
	struct cs_err *first = arg;

	if (diag->severity == POL_ERROR && first->code == CS_OK)
		cs_fail(first, CS_EPARSE, "%s:%u: %s %s: %s", diag->file, diag->line,
			diag->statement, diag->attribute, diag->text);
}

static int compile(struct pol_tree *tree, uint64_t generation, struct pol_policy **policy,
		   struct cs_err *err)
{
	struct cs_err first = {.code = CS_OK};
	int rc = pol_compile_tree(tree, keep_first_error, &first, policy, err);

	if (rc == 0)
		return 0;
	pol_tree_free(tree);
	if (first.code != CS_OK)
		cs_fail(err, (enum cs_code)rc, "%s", first.text);
	if (err)
		cs_err_prefix(err, "the stored generation %llu does not compile",
			      (unsigned long long)generation);
	return rc;
}

static int load(struct pol_store *store, struct pol_policy **policy, struct cs_err *err)
{
	struct pol_policy *p = NULL;
	struct pol_tree *tree = NULL;
	uint64_t generation = 0;
	uint16_t *ids = NULL;
	int rc = must_be_in_force(store, &generation, err);

	if (rc == 0)
		rc = pol_tree_load(store, generation, &tree, err);
	if (rc == 0)
		rc = compile(tree, generation, &p, err);
	if (rc < 0)
		return rc;
	ids = calloc(p->n_rules + 1u, sizeof(*ids));
	rc = ids ? pol_ids_load(&store->policy, generation, p, ids, err)
		 : cs_fail(err, CS_ENOMEM, "no memory for rule ids");
	if (rc == 0) {
		complete(p, generation, ids);
		*policy = p;
	} else {
		pol_unref(p);
	}
	free(ids);
	return rc;
}

int pol_store_load(struct pol_store *store, struct pol_policy **policy, struct cs_err *err)
{
	int rc = pol_db_exec(&store->policy, "BEGIN", err);

	/* While this transaction reads, no other can put a generation in force. */
	if (rc == 0)
		rc = load(store, policy, err);
	pol_db_exec(&store->policy, "ROLLBACK", NULL);
	return rc;
}

static int created_when(const struct pol_store *store, uint64_t generation, int64_t *created,
			struct cs_err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = pol_db_prepare(&store->policy, "SELECT created FROM generation WHERE id = ?1", &st,
				err);

	if (rc == 0) {
		sqlite3_bind_int64(st, 1, (sqlite3_int64)generation);
		rc = pol_db_row(&store->policy, st, err);
	}
	if (rc == 1)
		*created = sqlite3_column_int64(st, 0);
	else if (rc == 0)
		rc = cs_fail(err, CS_EPARSE, "policy.db: the generation in force, %llu, is missing",
			     (unsigned long long)generation);
	sqlite3_finalize(st);
	return rc < 0 ? rc : 0;
}

int pol_store_statements(struct pol_store *store, struct pol_stored *stored, struct cs_err *err)
{
	struct pol_stored s = {0};
	int rc = pol_db_exec(&store->policy, "BEGIN", err);

	if (rc == 0)
		rc = must_be_in_force(store, &s.generation, err);
	if (rc == 0)
		rc = created_when(store, s.generation, &s.created, err);
	if (rc == 0)
		rc = pol_tree_load(store, s.generation, &s.tree, err);
	pol_db_exec(&store->policy, "ROLLBACK", NULL);
	if (rc == 0)
		*stored = s;
	return rc;
}

/* ---- writing ---- */

/* Is it what is in force already? Then it keeps its number. */
static int is_in_force(const struct pol_store *store, const struct pol_policy *policy,
		       const uint8_t *digest, uint64_t *generation, uint16_t *ids, bool *same,
		       struct cs_err *err)
{
	uint8_t stored[POL_HASH_LEN] = {0};
	bool found = false;
	int rc = in_force(store, generation, &found, err);

	*same = false;
	if (rc == 0 && found)
		rc = stored_digest(store, *generation, stored, &found, err);
	if (rc < 0 || !found || memcmp(stored, digest, POL_HASH_LEN) != 0)
		return rc;
	/* Another version of the compiler may make other rules of it: then it is a new one. */
	rc = pol_ids_load(&store->policy, *generation, policy, ids, err);
	*same = rc == 0;
	return rc == CS_EPARSE ? 0 : rc;
}

static int put_secrets(const struct pol_store *store, uint64_t generation,
		       const struct pol_tree *tree, const uint8_t *digest, struct cs_err *err)
{
	static const char *const clear[] = {
		"DELETE FROM secret WHERE generation >= ?1",
		"DELETE FROM digest WHERE generation >= ?1",
	};
	static const char *const forget[] = {
		"DELETE FROM secret WHERE generation < ?1",
		"DELETE FROM digest WHERE generation < ?1",
	};
	/* One more than in policy.db, whose oldest goes only with its own commit. */
	uint64_t oldest = generation > POL_STORE_KEEP ? generation - POL_STORE_KEEP : 0;
	sqlite3_stmt *st = NULL;
	int rc = pol_db_exec(&store->secrets, "BEGIN IMMEDIATE", err);

	if (rc < 0)
		return rc;
	for (unsigned i = 0; rc == 0 && i < 2; i++) {
		rc = pol_db_run_for(&store->secrets, clear[i], generation, err);
		if (rc == 0)
			rc = pol_db_run_for(&store->secrets, forget[i], oldest, err);
	}
	if (rc == 0)
		rc = pol_secrets_save(store, generation, tree, err);
	if (rc == 0)
		rc = pol_db_prepare(&store->secrets, "INSERT INTO digest VALUES (?1, ?2)", &st,
				    err);
	if (rc == 0) {
		sqlite3_bind_int64(st, 1, (sqlite3_int64)generation);
		sqlite3_bind_blob(st, 2, digest, POL_HASH_LEN, SQLITE_STATIC);
		rc = pol_db_run(&store->secrets, st, err);
	}
	sqlite3_finalize(st);
	if (rc == 0)
		rc = pol_db_exec(&store->secrets, "COMMIT", err);
	if (rc < 0)
		pol_db_exec(&store->secrets, "ROLLBACK", NULL);
	return rc;
}

static int put_statements(const struct pol_store *store, uint64_t generation,
			  const struct pol_policy *policy, uint16_t *ids, struct cs_err *err)
{
	static const char *const forget[] = {
		"DELETE FROM generation WHERE id < ?1",   "DELETE FROM file WHERE generation < ?1",
		"DELETE FROM node WHERE generation < ?1", "DELETE FROM item WHERE generation < ?1",
		"DELETE FROM rule WHERE generation < ?1",
	};
	uint64_t oldest = generation >= POL_STORE_KEEP ? generation - POL_STORE_KEEP + 1 : 0;
	sqlite3_stmt *st = NULL;
	int rc = pol_db_prepare(&store->policy, "INSERT INTO generation VALUES (?1, ?2)", &st, err);

	if (rc == 0) {
		sqlite3_bind_int64(st, 1, (sqlite3_int64)generation);
		sqlite3_bind_int64(st, 2, (sqlite3_int64)time(NULL));
		rc = pol_db_run(&store->policy, st, err);
	}
	sqlite3_finalize(st);
	if (rc == 0)
		rc = pol_tree_save(store, generation, pol_policy_tree(policy), err);
	if (rc == 0)
		rc = pol_ids_assign(&store->policy, generation, policy, ids, err);
	if (rc == 0)
		rc = pol_db_run_for(&store->policy,
				    "INSERT OR REPLACE INTO in_force VALUES (1, ?1)", generation,
				    err);
	for (unsigned i = 0; rc == 0 && i < sizeof(forget) / sizeof(forget[0]); i++)
		rc = pol_db_run_for(&store->policy, forget[i], oldest, err);
	return rc;
}

/* In a writing transaction of policy.db; *generation is the policy's when it is done. */
static int put(const struct pol_store *store, const struct pol_policy *policy, uint64_t *generation,
	       uint16_t *ids, struct cs_err *err)
{
	const struct pol_tree *tree = pol_policy_tree(policy);
	uint8_t digest[POL_HASH_LEN];
	int64_t last = 0;
	bool same = false, found = false;
	int rc = pol_tree_digest(tree, digest, err);

	if (rc == 0)
		rc = is_in_force(store, policy, digest, generation, ids, &same, err);
	if (rc < 0 || same)
		return rc;
	rc = pol_db_number(&store->policy, "SELECT max(id) FROM generation", &last, &found, err);
	if (rc == 0 && found && last <= 0)
		rc = cs_fail(err, CS_EPARSE, "policy.db: the last generation is %lld",
			     (long long)last);
	if (rc < 0)
		return rc;
	*generation = (uint64_t)last + 1;
	rc = put_secrets(store, *generation, tree, digest, err);
	if (rc == 0)
		rc = put_statements(store, *generation, policy, ids, err);
	return rc;
}

/*
 * sqlite opens what it cannot write, on a file system that is read-only at boot, for reading, and
 * stays with that; so the stored policy comes into force, and the next one is given another handle.
 */
static int writable(struct pol_store *store, struct cs_err *err)
{
	struct pol_db policy = {0}, secrets = {0};
	int rc;

	if (sqlite3_db_readonly(store->policy.sql, "main") == 0 &&
	    sqlite3_db_readonly(store->secrets.sql, "main") == 0)
		return 0;
	rc = pol_db_open(store->dir, POL_DB_POLICY, true, &policy, err);
	if (rc == 0)
		rc = pol_db_open(store->dir, POL_DB_SECRETS, true, &secrets, err);
	if (rc < 0) {
		pol_db_close(&policy);
		return rc;
	}
	pol_db_close(&store->policy);
	pol_db_close(&store->secrets);
	store->policy = policy;
	store->secrets = secrets;
	return 0;
}

static int revert(const struct pol_store *store, uint64_t generation, struct cs_err *err)
{
	static const char *const forget[] = {
		"DELETE FROM generation WHERE id > ?1",
		"DELETE FROM file WHERE generation > ?1",
		"DELETE FROM node WHERE generation > ?1",
		"DELETE FROM item WHERE generation > ?1",
		"DELETE FROM rule WHERE generation > ?1",
		/* Whoever comes next under this number finds the ids of its rules again. */
		"UPDATE rule_id SET used = ?1 WHERE used > ?1",
		"DELETE FROM in_force WHERE generation > ?1",
	};
	bool found = generation == 0;
	int64_t n = 0;
	char sql[96];
	int rc = 0;

	snprintf(sql, sizeof(sql), "SELECT id FROM generation WHERE id = %llu",
		 (unsigned long long)generation);
	if (!found)
		rc = pol_db_number(&store->policy, sql, &n, &found, err);
	if (rc == 0 && !found)
		rc = cs_fail(err, CS_ENOTFOUND, "generation %llu is not stored any more",
			     (unsigned long long)generation);
	for (unsigned i = 0; rc == 0 && i < sizeof(forget) / sizeof(forget[0]); i++)
		rc = pol_db_run_for(&store->policy, forget[i], generation, err);
	if (rc == 0 && generation)
		rc = pol_db_run_for(&store->policy,
				    "INSERT OR REPLACE INTO in_force VALUES (1, ?1)", generation,
				    err);
	return rc;
}

int pol_store_revert(struct pol_store *store, uint64_t generation, struct cs_err *err)
{
	int rc = pol_db_exec(&store->policy, "BEGIN IMMEDIATE", err);

	if (rc < 0)
		return rc;
	rc = revert(store, generation, err);
	if (rc == 0)
		rc = pol_db_exec(&store->policy, "COMMIT", err);
	if (rc < 0)
		pol_db_exec(&store->policy, "ROLLBACK", NULL);
	return rc;
}

int pol_store_put(struct pol_store *store, struct pol_policy *policy, struct cs_err *err)
{
	uint16_t *ids = calloc(policy->n_rules + 1u, sizeof(*ids));
	uint64_t generation = 0;
	int rc;

	if (!ids)
		return cs_fail(err, CS_ENOMEM, "no memory for rule ids");
	if (!store->write)
		rc = cs_fail(err, CS_EINVAL, "the policy store is open for reading");
	else
		rc = pol_db_same_file(&store->policy, err);
	if (rc == 0)
		rc = pol_db_same_file(&store->secrets, err);
	if (rc == 0)
		rc = writable(store, err);
	if (rc == 0)
		rc = pol_db_exec(&store->policy, "BEGIN IMMEDIATE", err);
	if (rc == 0) {
		rc = put(store, policy, &generation, ids, err);
		if (rc == 0)
			rc = pol_db_exec(&store->policy, "COMMIT", err);
		if (rc < 0)
			pol_db_exec(&store->policy, "ROLLBACK", NULL);
	}
	if (rc == 0)
		complete(policy, generation, ids);
	free(ids);
	return rc;
}
