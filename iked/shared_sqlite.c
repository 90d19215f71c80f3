/*
 * The shared store in a file, for stacks of one machine.  Several hosts that open it over a network
 * would not see each other's locks, so that is refused.
 */
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "common/paths.h"
#include "iked/shared_store.h"

#define COLUMNS_MAX 16
#define RETRY_MS    10

struct db {
	struct ike_shared_db base;
	sqlite3 *handle;
	char path[CS_PATH_MAX];
	dev_t device; /* of the file that is open */
	ino_t inode;
};

const char *ike_shared_network_fs(unsigned long type)
{
	/* From linux/magic.h and the file systems' own sources. */
	static const struct {
		unsigned long type;
		const char *name;
	} known[] = {
		{0x6969, "NFS"},        {0x517b, "SMB"},      {0xfe534d42, "SMB"},
		{0xff534d42, "CIFS"},   {0x01021997, "9p"},   {0x5346414f, "AFS"},
		{0x6b414653, "AFS"},    {0x00c36400, "Ceph"}, {0x01161970, "GFS2"},
		{0x7461636f, "OCFS2"},  {0x65735546, "FUSE"}, {0x73757245, "Coda"},
		{0x0bd00bd0, "Lustre"}, {0x47504653, "GPFS"}, {0x786f4256, "vboxsf"},
	};

	for (unsigned i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (known[i].type == (type & 0xffffffff))
			return known[i].name;
	return NULL;
}

static int check(const char *place, struct cs_err *err)
{
	size_t len = strlen(place);

	if (place[0] != '/' || len < 2 || place[len - 1] == '/')
		return cs_fail(err, CS_EINVAL, "sqlite: wants the absolute path of a file");
	if (len >= CS_PATH_MAX)
		return cs_fail(err, CS_EINVAL, "the path of the shared store is too long");
	return 0;
}

/* Of the file, or of its directory before there is one. */
static int check_fs(const char *path, struct cs_err *err)
{
	char dir[CS_PATH_MAX];
	const char *name;
	struct statfs fs;

	if (statfs(path, &fs) < 0) {
		snprintf(dir, sizeof(dir), "%s", path);
		strrchr(dir, '/')[dir[1] && strrchr(dir, '/') == dir ? 1 : 0] = '\0';
		if (statfs(dir, &fs) < 0) {
			cs_fail_errno(err, "%s", dir);
			return CS_ESTORE;
		}
	}
	name = ike_shared_network_fs((unsigned long)fs.f_type);
	if (name)
		return cs_fail(
			err, CS_EUNSUPPORTED,
			"%s is on a file system of several hosts (%s): use postgresql: there", path,
			name);
	return 0;
}

static int fail(struct db *db, int rc, const char *doing, struct cs_err *err)
{
	int code = CS_ESTORE;

	switch (rc & 0xff) {
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_TOOBIG:
	case SQLITE_RANGE:
		code = CS_EINVAL;
	}
	return cs_fail(err, (enum cs_code)code, "%s: %s%s%s (%d)", db->path, doing,
		       *doing ? ": " : "", sqlite3_errmsg(db->handle),
		       sqlite3_extended_errcode(db->handle));
}

static void close_db(struct ike_shared_db *base)
{
	struct db *db = (struct db *)base;

	sqlite3_close(db->handle);
	free(db);
}

/* sqlite would go on with a file that nobody else finds any more. */
static int same_file(struct db *db, struct cs_err *err)
{
	struct stat st;

	if (stat(db->path, &st) < 0) {
		cs_fail_errno(err, "%s", db->path);
		return CS_ESTORE;
	}
	if (!db->inode) {
		db->device = st.st_dev;
		db->inode = st.st_ino;
	}
	if (st.st_dev != db->device || st.st_ino != db->inode)
		return cs_fail(err, CS_ESTORE, "%s is another file than before", db->path);
	return 0;
}

/*
 * All of its stacks end with this machine: what was last written may go with it.  Where several
 * open a file that is new one makes it what it shall be, and sqlite does not wait for that by
 * itself.
 */
static int set_journal(sqlite3 *handle)
{
	int rc = SQLITE_BUSY;

	for (unsigned ms = 0; (rc & 0xff) == SQLITE_BUSY && ms < IKE_SHARED_TIMEOUT_MS;
	     ms += RETRY_MS) {
		if (ms > 0)
			usleep(RETRY_MS * 1000);
		rc = sqlite3_exec(handle, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
				  NULL, NULL, NULL);
	}
	return rc;
}

static int open_db(const char *place, bool write, struct ike_shared_db **result, struct cs_err *err)
{
	int flags = SQLITE_OPEN_READWRITE | (write ? SQLITE_OPEN_CREATE : 0) | SQLITE_OPEN_NOMUTEX;
	int rc, status = check_fs(place, err);
	struct db *db;

	if (status < 0)
		return status;
	db = calloc(1, sizeof(*db));
	if (!db) {
		cs_fail(err, CS_ENOMEM, "out of memory");
		return CS_ESTORE;
	}
	db->base.backend = &ike_shared_sqlite;
	snprintf(db->path, sizeof(db->path), "%s", place);
	rc = sqlite3_open_v2(place, &db->handle, flags, NULL);
	if (rc == SQLITE_OK) {
		sqlite3_extended_result_codes(db->handle, 1);
		sqlite3_busy_timeout(db->handle, IKE_SHARED_TIMEOUT_MS);
		rc = set_journal(db->handle);
	}
	if (rc != SQLITE_OK) {
		status = fail(db, rc, "cannot be opened", err);
		close_db(&db->base);
		return status == CS_EINVAL ? CS_ESTORE : status;
	}
	status = same_file(db, err);
	if (status < 0) {
		close_db(&db->base);
		return status;
	}
	*result = &db->base;
	return 0;
}

static int bind_values(struct db *db, sqlite3_stmt *st, const char *const *values, unsigned n,
		       struct cs_err *err)
{
	for (unsigned i = 0; i < n; i++) {
		char name[12];
		int at, rc;

		snprintf(name, sizeof(name), "$%u", i + 1);
		at = sqlite3_bind_parameter_index(st, name);
		rc = at ? sqlite3_bind_text(st, at, values[i], -1, SQLITE_TRANSIENT) : SQLITE_OK;
		if (rc != SQLITE_OK)
			return fail(db, rc, "", err);
	}
	return 0;
}

static int take_row(sqlite3_stmt *st, ike_shared_values_fn *fn, void *arg)
{
	const char *columns[COLUMNS_MAX] = {0};

	for (int i = 0; i < sqlite3_column_count(st) && i < COLUMNS_MAX; i++) {
		columns[i] = (const char *)sqlite3_column_text(st, i);
		if (!columns[i])
			columns[i] = "";
	}
	return fn ? fn(arg, columns) : 0;
}

static int run(struct ike_shared_db *base, const char *sql, const char *const *values, unsigned n,
	       ike_shared_values_fn *fn, void *arg, uint64_t *changed, struct cs_err *err)
{
	struct db *db = (struct db *)base;
	sqlite3_stmt *st = NULL;
	int rc, status = same_file(db, err);

	if (status < 0)
		return status;
	rc = sqlite3_prepare_v2(db->handle, sql, -1, &st, NULL);
	if (rc != SQLITE_OK)
		return fail(db, rc, "", err);
	status = bind_values(db, st, values, n, err);
	while (status == 0 && (rc = sqlite3_step(st)) != SQLITE_DONE) {
		if (rc != SQLITE_ROW)
			status = fail(db, rc, "", err);
		else if (take_row(st, fn, arg) != 0)
			status = cs_fail(err, CS_EINVAL, "%s: a row is not understood", db->path);
	}
	sqlite3_finalize(st);
	if (status == 0 && changed)
		*changed = (uint64_t)sqlite3_changes64(db->handle);
	return status;
}

const struct ike_shared_backend ike_shared_sqlite = {
	.scheme = "sqlite:",
	.check = check,
	.open = open_db,
	.close = close_db,
	.run = run,
	.begin = "BEGIN IMMEDIATE",
	.has_table = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = $1",
	.only_one = NULL, /* BEGIN IMMEDIATE has seen to that */
};
