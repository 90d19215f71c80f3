/*
 * Reading and emptying iked's outbox.  Reads are short, so that iked's write-ahead log can be
 * folded back; the removal need not be on the disk at once (synchronous=NORMAL), because rows that
 * come back after a power failure are known by their ids.
 */
#include "trmd/outbox.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define APPLICATION_ID 0x43534944 /* of iked/store_schema.c */
#define SCHEMA_NEWEST  6          /* all up to here have the same outbox */
#define BUSY_MS        250
#define PENDING        "acknowledged = 0"
#define ORDERED        "kind <> 'LOSS'"

enum statement { READ, ONE, LAST_TX, STRAYS, DROP, DROP_ONE, REFUSE, N_STATEMENTS };

static const char *const sql[N_STATEMENTS] = {
	[READ] = "SELECT id, time, kind, payload FROM outbox WHERE " PENDING " ORDER BY id LIMIT ?",
	[ONE] = "SELECT id, time, kind, payload FROM outbox WHERE id = ? AND " PENDING,
	[LAST_TX] = "SELECT last_tx FROM counters",
	/* Rows up to the last are there only while it is there itself: they go together. */
	[STRAYS] = "SELECT EXISTS (SELECT 1 FROM outbox WHERE id < ?1 AND " PENDING " AND " ORDERED
		   ") AND NOT EXISTS (SELECT 1 FROM outbox WHERE id = ?1)",
	[DROP] = "DELETE FROM outbox WHERE id <= ? AND " PENDING " AND " ORDERED,
	[DROP_ONE] = "DELETE FROM outbox WHERE id = ?",
	[REFUSE] = "UPDATE outbox SET acknowledged = 2 WHERE id = ?",
};

struct trmd_outbox {
	const char *path;
	sqlite3 *db; /* NULL: closed */
	sqlite3_stmt *statements[N_STATEMENTS];
	dev_t device;
	ino_t inode; /* 0: of none yet */
};

static int fault(struct trmd_outbox *o, const char *doing, struct cs_err *err)
{
	int rc = sqlite3_extended_errcode(o->db) & 0xff;

	return cs_fail(err, rc == SQLITE_BUSY || rc == SQLITE_LOCKED ? CS_EAGAIN : CS_ESTORE,
		       "%s: %s: %s", o->path, doing, sqlite3_errmsg(o->db));
}

/* sqlite goes on with the open file when another one gets its name. */
static int same_file(struct trmd_outbox *o, struct cs_err *err)
{
	struct stat st;

	if (stat(o->path, &st) < 0) {
		int rc = errno == ENOENT ? CS_ENOTFOUND : CS_ESYS;

		cs_fail_errno(err, "%s", o->path);
		if (err)
			err->code = (enum cs_code)rc;
		return rc;
	}
	if (!o->inode) {
		o->device = st.st_dev;
		o->inode = st.st_ino;
	}
	if (st.st_dev == o->device && st.st_ino == o->inode)
		return 0;
	return cs_fail(err, CS_ENOTFOUND, "%s is another file than before", o->path);
}

static int pragma(struct trmd_outbox *o, const char *text, int64_t *value, struct cs_err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = 0;

	if (sqlite3_prepare_v2(o->db, text, -1, &st, NULL) != SQLITE_OK ||
	    sqlite3_step(st) != SQLITE_ROW)
		rc = fault(o, "cannot be read", err);
	else
		*value = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return rc;
}

static int check_schema(struct trmd_outbox *o, struct cs_err *err)
{
	int64_t id, version, objects;
	int rc = pragma(o, "SELECT count(*) FROM sqlite_schema", &objects, err);

	if (rc == 0)
		rc = pragma(o, "PRAGMA application_id", &id, err);
	if (rc == 0)
		rc = pragma(o, "PRAGMA user_version", &version, err);
	if (rc < 0)
		return rc;
	if (objects == 0)
		return cs_fail(err, CS_ENOTFOUND, "%s has no tables yet", o->path);
	if (id != APPLICATION_ID || version < 1)
		return cs_fail(err, CS_ESTORE, "%s is not a database of iked", o->path);
	if (version > SCHEMA_NEWEST)
		return cs_fail(err, CS_EUNSUPPORTED, "%s has schema %d, this trmd knows %d",
			       o->path, (int)version, SCHEMA_NEWEST);
	return 0;
}

static int prepare(struct trmd_outbox *o, struct cs_err *err)
{
	sqlite3_extended_result_codes(o->db, 1);
	sqlite3_busy_timeout(o->db, BUSY_MS);
	if (sqlite3_exec(o->db, "PRAGMA synchronous=NORMAL", NULL, NULL, NULL) != SQLITE_OK)
		return fault(o, "cannot be opened", err);
	for (unsigned i = 0; i < N_STATEMENTS; i++)
		if (sqlite3_prepare_v3(o->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
				       &o->statements[i], NULL) != SQLITE_OK)
			return fault(o, "cannot be read", err);
	return 0;
}

int trmd_outbox_new(const char *path, struct trmd_outbox **outbox, struct cs_err *err)
{
	struct trmd_outbox *o = calloc(1, sizeof(*o));

	if (!o)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	o->path = path;
	*outbox = o;
	return 0;
}

static void close_outbox(void *self)
{
	struct trmd_outbox *o = self;

	for (unsigned i = 0; i < N_STATEMENTS; i++) {
		sqlite3_finalize(o->statements[i]);
		o->statements[i] = NULL;
	}
	sqlite3_close(o->db);
	o->db = NULL;
	o->inode = 0;
}

void trmd_outbox_free(struct trmd_outbox *o)
{
	if (!o)
		return;
	close_outbox(o);
	free(o);
}

static int open_outbox(void *self, uint64_t *identity, struct cs_err *err)
{
	struct trmd_outbox *o = self;
	int rc = same_file(o, err);

	if (rc == 0 && sqlite3_open_v2(o->path, &o->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
				       NULL) != SQLITE_OK)
		rc = o->db ? fault(o, "cannot be opened", err)
			   : cs_fail(err, CS_ENOMEM, "out of memory");
	if (rc == 0)
		rc = check_schema(o, err);
	if (rc == 0)
		rc = prepare(o, err);
	if (rc == 0)
		rc = same_file(o, err);
	if (rc < 0)
		close_outbox(o);
	else
		*identity = o->inode;
	return rc;
}

static const char *text(sqlite3_stmt *st, int column)
{
	const char *p = (const char *)sqlite3_column_text(st, column);

	return p ? p : "";
}

static int each_row(struct trmd_outbox *o, enum statement s, int64_t parameter, trmd_row_fn *fn,
		    void *arg, struct cs_err *err)
{
	sqlite3_stmt *st = o->statements[s];
	int n = 0, rc;

	sqlite3_bind_int64(st, 1, parameter);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct trmd_row row = {
			.id = (uint64_t)sqlite3_column_int64(st, 0),
			.time = sqlite3_column_int64(st, 1),
			.kind = text(st, 2),
			.payload = text(st, 3),
		};

		fn(arg, &row);
		n++;
	}
	rc = rc == SQLITE_DONE ? n : fault(o, "cannot be read", err);
	sqlite3_reset(st);
	return rc;
}

static int read_rows(void *self, unsigned max, trmd_row_fn *fn, void *arg, struct cs_err *err)
{
	struct trmd_outbox *o = self;
	int rc = same_file(o, err);

	return rc < 0 ? rc : each_row(o, READ, max, fn, arg, err);
}

static int read_one(void *self, uint64_t id, trmd_row_fn *fn, void *arg, struct cs_err *err)
{
	return each_row(self, ONE, (int64_t)id, fn, arg, err);
}

/* A number of one row. */
static int ask(struct trmd_outbox *o, enum statement s, int64_t *value, struct cs_err *err)
{
	sqlite3_stmt *st = o->statements[s];
	int rc = 0;

	if (sqlite3_step(st) == SQLITE_ROW)
		*value = sqlite3_column_int64(st, 0);
	else
		rc = fault(o, "cannot be read", err);
	sqlite3_reset(st);
	return rc;
}

static int follows(void *self, uint64_t last, struct cs_err *err)
{
	struct trmd_outbox *o = self;
	int64_t last_tx = 0, strays = 0;
	int rc = ask(o, LAST_TX, &last_tx, err);

	if (rc == 0) {
		sqlite3_bind_int64(o->statements[STRAYS], 1, (int64_t)last);
		rc = ask(o, STRAYS, &strays, err);
	}
	return rc < 0 ? rc : (uint64_t)last_tx >= last && !strays;
}

static int change(struct trmd_outbox *o, enum statement s, uint64_t id)
{
	sqlite3_stmt *st = o->statements[s];
	int rc;

	sqlite3_bind_int64(st, 1, (int64_t)id);
	rc = sqlite3_step(st);
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* What is refused goes first: "all up to" would take it along. */
static int change_all(struct trmd_outbox *o, const struct trmd_done *done)
{
	int rc = SQLITE_OK;

	for (size_t i = 0; i < done->n_refused && rc == SQLITE_OK; i++)
		rc = change(o, REFUSE, done->refused[i]);
	if (done->last && rc == SQLITE_OK)
		rc = change(o, DROP, done->last);
	for (size_t i = 0; i < done->n_losses && rc == SQLITE_OK; i++)
		rc = change(o, DROP_ONE, done->losses[i]);
	return rc;
}

static int done_rows(void *self, const struct trmd_done *done, struct cs_err *err)
{
	struct trmd_outbox *o = self;
	int rc = same_file(o, err);

	if (rc < 0)
		return rc;
	if (sqlite3_exec(o->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
		return fault(o, "cannot be written", err);
	if (change_all(o, done) != SQLITE_OK ||
	    sqlite3_exec(o->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
		rc = fault(o, "rows that are done cannot be removed", err);
		if (!sqlite3_get_autocommit(o->db))
			sqlite3_exec(o->db, "ROLLBACK", NULL, NULL, NULL);
	}
	return rc;
}

struct trmd_source trmd_outbox_source(struct trmd_outbox *o)
{
	static const struct trmd_source_ops ops = {
		.open = open_outbox,
		.close = close_outbox,
		.read = read_rows,
		.row = read_one,
		.follows = follows,
		.done = done_rows,
	};

	return (struct trmd_source){.ops = &ops, .self = o, .name = o->path};
}
