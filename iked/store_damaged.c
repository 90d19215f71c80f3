/*
 * A database that cannot be used is set aside under another name, and another one takes its place
 * with all that can still be read: records that trmd has not taken, intents, the SA cache, the
 * counters. So iked goes on, nothing is deleted, and the log says what was lost and where the rest
 * is.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "iked/store_schema.h"

#define NAMES_MAX   100 /* of what was set aside in one second */
#define COLUMNS_MAX 64
/* Numbers of records grow by less than this a second, so these follow those that are not known. */
#define NUMBERS_A_SECOND 1024

struct salvage {
	sqlite3 *from, *to;
	unsigned rows[4]; /* by table */
	bool whole;
};

static const struct {
	const char *name, *orders[2]; /* by which rows are read, and backwards */
} tables[4] = {{"outbox", {"id", "id DESC"}},
	       {"intents", {"tx", "tx DESC"}},
	       {"p1", {"tunnel, generation", "tunnel DESC, generation DESC"}},
	       {"p2", {"tunnel, generation", "tunnel DESC, generation DESC"}}};
enum { OUTBOX, INTENTS, P1, P2 };

/* ---- what can be read ---- */

/* The columns that both have, separated by commas; false: none. */
static bool shared_columns(struct salvage *s, const char *table, char *list, size_t size, int *n)
{
	static const char text[] = "SELECT name FROM pragma_table_info(?)";
	sqlite3_stmt *in = NULL, *own = NULL;
	bool found = false;
	size_t len = 0;

	*n = 0;
	if (sqlite3_prepare_v2(s->from, text, -1, &in, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(s->to, "SELECT 1 FROM pragma_table_info(?) WHERE name = ?", -1, &own,
			       NULL) != SQLITE_OK)
		goto out;
	sqlite3_bind_text(in, 1, table, -1, SQLITE_STATIC);
	while (sqlite3_step(in) == SQLITE_ROW && *n < COLUMNS_MAX) {
		const char *name = (const char *)sqlite3_column_text(in, 0);
		int more;

		sqlite3_reset(own);
		sqlite3_bind_text(own, 1, table, -1, SQLITE_STATIC);
		sqlite3_bind_text(own, 2, name, -1, SQLITE_TRANSIENT);
		if (!name || sqlite3_step(own) != SQLITE_ROW)
			continue;
		more = snprintf(list + len, size - len, "%s%s", *n ? "," : "", name);
		if (more < 0 || (size_t)more >= size - len)
			goto out;
		len += (size_t)more;
		++*n;
	}
	found = *n > 0;
out:
	sqlite3_finalize(in);
	sqlite3_finalize(own);
	return found;
}

/* Rows in one order of the key, up to where they cannot be read; false: that was before the end. */
static bool copy_rows(struct salvage *s, unsigned t, const char *columns, int n, bool backwards)
{
	char text[2048], marks[2 * COLUMNS_MAX + 1] = "";
	sqlite3_stmt *in = NULL, *out = NULL;
	int rc = SQLITE_ERROR;

	for (int i = 0; i < n; i++)
		strcat(marks, i ? ",?" : "?");
	snprintf(text, sizeof(text), "SELECT %s FROM %s ORDER BY %s", columns, tables[t].name,
		 tables[t].orders[backwards]);
	if (sqlite3_prepare_v2(s->from, text, -1, &in, NULL) != SQLITE_OK)
		return false;
	snprintf(text, sizeof(text), "INSERT OR IGNORE INTO %s (%s) VALUES (%s)", tables[t].name,
		 columns, marks);
	if (sqlite3_prepare_v2(s->to, text, -1, &out, NULL) == SQLITE_OK)
		while ((rc = sqlite3_step(in)) == SQLITE_ROW) {
			for (int i = 0; i < n; i++)
				sqlite3_bind_value(out, i + 1, sqlite3_column_value(in, i));
			if (sqlite3_step(out) == SQLITE_DONE)
				s->rows[t] += (unsigned)sqlite3_changes(s->to);
			else
				s->whole = false; /* a row that no table of ours may have */
			sqlite3_reset(out);
		}
	sqlite3_finalize(in);
	sqlite3_finalize(out);
	return rc == SQLITE_DONE;
}

static void copy_table(struct salvage *s, unsigned t)
{
	char columns[1024];
	int n;

	if (!shared_columns(s, tables[t].name, columns, sizeof(columns), &n))
		s->whole = false;
	else if (!copy_rows(s, t, columns, n, false)) {
		s->whole = false;
		copy_rows(s, t, columns, n, true); /* what is behind the damage */
	}
}

static bool number(sqlite3 *db, const char *text, sqlite3_int64 *value)
{
	sqlite3_stmt *st = NULL;
	bool found = sqlite3_prepare_v2(db, text, -1, &st, NULL) == SQLITE_OK &&
		     sqlite3_step(st) == SQLITE_ROW && sqlite3_column_type(st, 0) == SQLITE_INTEGER;

	if (found)
		*value = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return found;
}

static sqlite3_int64 highest(sqlite3_int64 a, sqlite3_int64 b)
{
	return a > b ? a : b;
}

/* No number is given twice. Records are numbered by the clock where nobody knows up to where they
 * were. */
static void copy_counters(struct salvage *s)
{
	sqlite3_int64 tx = 0, tunnel = 0, found = 0;
	char text[160];

	if (!s->from || !number(s->from, "SELECT last_tx FROM counters", &tx) || tx < 0)
		tx = (sqlite3_int64)time(NULL) * NUMBERS_A_SECOND;
	if (s->from && number(s->from, "SELECT last_tunnel FROM counters", &found))
		tunnel = highest(tunnel, found);
	if (number(s->to,
		   "SELECT max(coalesce((SELECT max(id) FROM outbox), 0),"
		   " coalesce((SELECT max(tx) FROM intents), 0))",
		   &found))
		tx = highest(tx, found);
	if (number(s->to,
		   "SELECT max(coalesce((SELECT max(tunnel) FROM p1), 0),"
		   " coalesce((SELECT max(tunnel) FROM p2), 0))",
		   &found))
		tunnel = highest(tunnel, found);
	snprintf(text, sizeof(text), "UPDATE counters SET last_tx=%lld, last_tunnel=%lld",
		 (long long)tx, (long long)(tunnel < 0 || tunnel > UINT32_MAX ? 0 : tunnel));
	sqlite3_exec(s->to, text, NULL, NULL, NULL);
}

static sqlite3 *open_old(const char *path)
{
	sqlite3_int64 id = 0;
	sqlite3 *db = NULL;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) ==
		    SQLITE_OK &&
	    number(db, "PRAGMA application_id", &id) && id == IKE_DB_APPLICATION_ID)
		return db;
	sqlite3_close(db);
	return NULL;
}

static int salvage(struct ike_db *db, const char *aside, struct salvage *s, struct cs_err *err)
{
	int rc = sqlite3_exec(db->handle, "BEGIN IMMEDIATE", NULL, NULL, NULL);

	*s = (struct salvage){.from = open_old(aside), .to = db->handle, .whole = true};
	if (!s->from)
		s->whole = false;
	for (unsigned t = 0; rc == SQLITE_OK && s->from && t < 4; t++)
		copy_table(s, t);
	if (rc == SQLITE_OK) {
		copy_counters(s);
		rc = sqlite3_exec(db->handle, "COMMIT", NULL, NULL, NULL);
	}
	if (rc != SQLITE_OK)
		cs_fail(err, CS_ESTORE, "%s: %s", db->path, sqlite3_errmsg(db->handle));
	sqlite3_close(s->from);
	return rc == SQLITE_OK ? 0 : CS_ESTORE;
}

/* ---- another name ---- */

/* The log goes first: beside a new database it would be taken for that one's. */
static int move(const char *path, const char *aside, struct cs_err *err)
{
	char from[300], to[300];

	snprintf(from, sizeof(from), "%s-wal", path);
	snprintf(to, sizeof(to), "%s-wal", aside);
	if (rename(from, to) < 0 && errno != ENOENT)
		return cs_fail_errno(err, "cannot set %s aside", from);
	snprintf(from, sizeof(from), "%s-shm", path);
	if (unlink(from) < 0 && errno != ENOENT)
		return cs_fail_errno(err, "cannot remove %s", from);
	if (rename(path, aside) < 0)
		return cs_fail_errno(err, "cannot set %s aside", path);
	return 0;
}

static int name_for(const char *path, char *aside, size_t size, struct cs_err *err)
{
	time_t now = time(NULL);
	struct tm tm;
	char when[20];
	int len;

	gmtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm);
	for (unsigned i = 0; i < NAMES_MAX; i++) {
		len = snprintf(aside, size, "%s.aside-%s", path, when);
		if (i)
			snprintf(aside + len, size - (size_t)len, ".%u", i);
		if (access(aside, F_OK) < 0)
			return 0;
	}
	return cs_fail(err, CS_ESTORE, "%s was set aside too often", path);
}

int ike_db_set_aside(const char *path, const struct cs_err *why, struct ike_db **db,
		     struct cs_err *err)
{
	char aside[290];
	struct salvage s;
	int status = name_for(path, aside, sizeof(aside), err);

	if (status == 0)
		status = move(path, aside, err);
	if (status == 0)
		status = ike_db_open(path, false, db, err);
	if (status < 0)
		return status;
	status = salvage(*db, aside, &s, err);
	if (status < 0) {
		ike_db_close(*db);
		*db = NULL;
		return status;
	}
	cs_log(CS_NOCTX, CSM_STORE_ASIDE, why->text, aside, s.rows[OUTBOX], s.rows[INTENTS],
	       s.rows[P1], s.rows[P2]);
	if (!s.whole)
		cs_log(CS_NOCTX, CSM_STORE_NOT_WHOLE, aside);
	return 0;
}
