/*
 * Ids of ipsec rules.  An id stands in packet marks and reqids, so SAs live on over a new
 * generation only if their rule keeps it; and it must not come to mean another rule while packets
 * and SAs with the old meaning are about.  Hence: same name and same content keep the id, all else
 * takes one that was never used, and when there is none left, the one unused for longest.
 */
#include "policy/content.h"
#include "policy/store.h"

#include <stdlib.h>
#include <string.h>

#define ID_MIN POL_RULE_ID_MIN
#define ID_MAX POL_RULE_ID_MAX
/* An older store may have ids above. */
#define TEXT_OF(n)  #n
#define AS_TEXT(n)  TEXT_OF(n)
#define ID_MAX_TEXT AS_TEXT(ID_MAX)

/* ---- assigning ---- */

struct assigner {
	const struct pol_db *db;
	uint64_t generation;
	sqlite3_stmt *same, *keep, *oldest, *take, *rule;
	int64_t next; /* never used; past ID_MAX: none */
	struct cs_err *err;
};

/* The first column of what st finds, or 0. */
static int find_id(struct assigner *a, sqlite3_stmt *st, int64_t *id)
{
	int rc = pol_db_row(a->db, st, a->err);

	*id = rc == 1 ? sqlite3_column_int64(st, 0) : 0;
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	if (rc == 1 && (*id < ID_MIN || *id > ID_MAX))
		return cs_fail(a->err, CS_EPARSE, "%s: a rule id is out of its range", a->db->name);
	return rc < 0 ? rc : 0;
}

static int keep_same(struct assigner *a, const struct pol_filter_rule *r, const uint8_t *hash,
		     int64_t *id)
{
	int rc;

	sqlite3_bind_text(a->same, 1, r->name, -1, SQLITE_STATIC);
	sqlite3_bind_blob(a->same, 2, hash, POL_HASH_LEN, SQLITE_STATIC);
	sqlite3_bind_int64(a->same, 3, (sqlite3_int64)a->generation);
	rc = find_id(a, a->same, id);
	if (rc < 0 || *id == 0)
		return rc;
	sqlite3_bind_int64(a->keep, 1, *id);
	sqlite3_bind_int64(a->keep, 2, (sqlite3_int64)a->generation);
	return pol_db_run(a->db, a->keep, a->err);
}

static int take_fresh(struct assigner *a, const struct pol_filter_rule *r, const uint8_t *hash,
		      int64_t *id)
{
	int rc = 0;

	if (a->next <= ID_MAX) {
		*id = a->next++;
	} else {
		sqlite3_bind_int64(a->oldest, 1, (sqlite3_int64)a->generation);
		rc = find_id(a, a->oldest, id);
		if (rc == 0 && *id == 0)
			rc = cs_fail(a->err, CS_ELIMIT, "a policy has at most %d ipsec rules",
				     ID_MAX - ID_MIN + 1);
	}
	if (rc < 0)
		return rc;
	sqlite3_bind_int64(a->take, 1, *id);
	sqlite3_bind_text(a->take, 2, r->name, -1, SQLITE_STATIC);
	sqlite3_bind_blob(a->take, 3, hash, POL_HASH_LEN, SQLITE_STATIC);
	sqlite3_bind_int64(a->take, 4, (sqlite3_int64)a->generation);
	return pol_db_run(a->db, a->take, a->err);
}

static int write_rule(struct assigner *a, unsigned position, const struct pol_filter_rule *r,
		      uint16_t id)
{
	sqlite3_bind_int64(a->rule, 1, (sqlite3_int64)a->generation);
	sqlite3_bind_int64(a->rule, 2, position);
	sqlite3_bind_text(a->rule, 3, r->name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(a->rule, 4, id);
	return pol_db_run(a->db, a->rule, a->err);
}

/* Those that keep an id come first, so that no fresh one is taken from under them. */
static int assign(struct assigner *a, const struct pol_policy *policy,
		  uint8_t (*hashes)[POL_HASH_LEN], uint16_t *ids)
{
	int rc = 0;

	for (unsigned pass = 0; pass < 2; pass++)
		for (unsigned i = 0; rc == 0 && i < policy->n_rules; i++) {
			const struct pol_filter_rule *r = &policy->rules[i];
			int64_t id = 0;

			if (r->verdict != POL_IPSEC || ids[i])
				continue;
			if (pass == 0) {
				rc = pol_filter_rule_content(r, hashes[i], a->err);
				if (rc == 0)
					rc = keep_same(a, r, hashes[i], &id);
			} else {
				rc = take_fresh(a, r, hashes[i], &id);
			}
			ids[i] = (uint16_t)id;
		}
	for (unsigned i = 0; rc == 0 && i < policy->n_rules; i++)
		if (ids[i])
			rc = write_rule(a, i, &policy->rules[i], ids[i]);
	return rc;
}

static int prepare(struct assigner *a)
{
	const struct {
		sqlite3_stmt **st;
		const char *sql;
	} statements[] = {
		{&a->same, "SELECT id FROM rule_id WHERE name = ?1 AND content = ?2 AND used < ?3"
			   " AND id <= " ID_MAX_TEXT " ORDER BY id LIMIT 1"},
		{&a->keep, "UPDATE rule_id SET used = ?2 WHERE id = ?1"},
		{&a->oldest, "SELECT id FROM rule_id WHERE used < ?1 AND id <= " ID_MAX_TEXT
			     " ORDER BY used, id LIMIT 1"},
		{&a->take, "INSERT OR REPLACE INTO rule_id VALUES (?1, ?2, ?3, ?4)"},
		{&a->rule, "INSERT INTO rule VALUES (?1, ?2, ?3, ?4)"},
	};
	bool found;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(statements) / sizeof(statements[0]); i++)
		rc = pol_db_prepare(a->db, statements[i].sql, statements[i].st, a->err);
	if (rc == 0)
		rc = pol_db_number(a->db, "SELECT max(id) FROM rule_id WHERE id <= " ID_MAX_TEXT,
				   &a->next, &found, a->err);
	if (rc == 0)
		a->next = found && a->next >= ID_MIN ? a->next + 1 : ID_MIN;
	return rc;
}

int pol_ids_assign(const struct pol_db *db, uint64_t generation, const struct pol_policy *policy,
		   uint16_t *ids, struct cs_err *err)
{
	struct assigner a = {.db = db, .generation = generation, .err = err};
	uint8_t(*hashes)[POL_HASH_LEN] = calloc(policy->n_rules + 1u, POL_HASH_LEN);
	int rc;

	memset(ids, 0, policy->n_rules * sizeof(*ids));
	if (!hashes)
		return cs_fail(err, CS_ENOMEM, "no memory for rule ids");
	rc = prepare(&a);
	if (rc == 0)
		rc = assign(&a, policy, hashes, ids);
	sqlite3_finalize(a.same);
	sqlite3_finalize(a.keep);
	sqlite3_finalize(a.oldest);
	sqlite3_finalize(a.take);
	sqlite3_finalize(a.rule);
	free(hashes);
	return rc;
}

/* ---- loading ---- */

int pol_ids_load(const struct pol_db *db, uint64_t generation, const struct pol_policy *policy,
		 uint16_t *ids, struct cs_err *err)
{
	sqlite3_stmt *st = NULL;
	unsigned wanted = 0, found = 0;
	int rc = pol_db_prepare(
		db, "SELECT position, name, id FROM rule WHERE generation = ?1 ORDER BY position",
		&st, err);

	memset(ids, 0, policy->n_rules * sizeof(*ids));
	if (rc == 0)
		sqlite3_bind_int64(st, 1, (sqlite3_int64)generation);
	while (rc == 0 && (rc = pol_db_row(db, st, err)) == 1) {
		int64_t at = sqlite3_column_int64(st, 0), id = sqlite3_column_int64(st, 2);
		const char *name = (const char *)sqlite3_column_text(st, 1);

		rc = 0;
		if (at < 0 || at >= policy->n_rules || id < ID_MIN || id > ID_MAX || !name ||
		    policy->rules[at].verdict != POL_IPSEC ||
		    strcmp(policy->rules[at].name, name) != 0) {
			rc = cs_fail(err, CS_EPARSE,
				     "%s: the rules of generation %llu are not those stored",
				     db->name, (unsigned long long)generation);
			break;
		}
		ids[at] = (uint16_t)id;
		found++;
	}
	sqlite3_finalize(st);
	for (unsigned i = 0; i < policy->n_rules; i++)
		wanted += policy->rules[i].verdict == POL_IPSEC;
	if (rc == 0 && found != wanted)
		rc = cs_fail(err, CS_EPARSE, "%s: generation %llu has ipsec rules without an id",
			     db->name, (unsigned long long)generation);
	return rc;
}
