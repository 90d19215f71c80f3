/*
 * The databases that pagent writes: opening, schema, and statements with errors in words.
 */
#include "policy/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/paths.h"

static const char policy_schema[] =
	"CREATE TABLE generation(id INTEGER PRIMARY KEY, created INTEGER NOT NULL);"
	"CREATE TABLE in_force(one INTEGER PRIMARY KEY CHECK (one = 1),"
	" generation INTEGER NOT NULL);"
	"CREATE TABLE file(generation INTEGER, number INTEGER, name TEXT NOT NULL,"
	" PRIMARY KEY (generation, number)) WITHOUT ROWID;"
	"CREATE TABLE node(generation INTEGER, number INTEGER, top INTEGER NOT NULL,"
	" statement TEXT NOT NULL, name TEXT, file INTEGER NOT NULL, line INTEGER NOT NULL,"
	" common INTEGER NOT NULL, PRIMARY KEY (generation, number)) WITHOUT ROWID;"
	"CREATE TABLE item(generation INTEGER, node INTEGER, position INTEGER,"
	" keyword TEXT NOT NULL, value TEXT, secret INTEGER NOT NULL, block INTEGER,"
	" line INTEGER NOT NULL, PRIMARY KEY (generation, node, position)) WITHOUT ROWID;"
	"CREATE TABLE rule(generation INTEGER, position INTEGER, name TEXT NOT NULL,"
	" id INTEGER NOT NULL, PRIMARY KEY (generation, position)) WITHOUT ROWID;"
	"CREATE TABLE rule_id(id INTEGER PRIMARY KEY, name TEXT NOT NULL, content BLOB NOT NULL,"
	" used INTEGER NOT NULL);"
	"CREATE INDEX rule_id_content ON rule_id(name, content);"
	"CREATE INDEX rule_id_used ON rule_id(used, id);";

static const char secrets_schema[] =
	"CREATE TABLE secret(generation INTEGER, node INTEGER, position INTEGER,"
	" value TEXT NOT NULL, PRIMARY KEY (generation, node, position)) WITHOUT ROWID;"
	"CREATE TABLE digest(generation INTEGER PRIMARY KEY, value BLOB NOT NULL);";

/*
 * What the audit trail has as active, or as about to be (up 0), and the rows that trmd has not
 * taken yet.  The identity tells one database from another that got its name.
 */
static const char audit_schema[] =
	"CREATE TABLE audit(one INTEGER PRIMARY KEY CHECK (one = 1),"
	" identity INTEGER NOT NULL, last_row INTEGER NOT NULL);"
	"INSERT INTO audit VALUES (1, random() >> 11 & 0x1fffffffffffff | 1, 0);"
	"CREATE TABLE tunnel(activation INTEGER PRIMARY KEY AUTOINCREMENT,"
	" number INTEGER NOT NULL, name TEXT NOT NULL, up INTEGER NOT NULL,"
	" since INTEGER NOT NULL, sas TEXT NOT NULL, shown TEXT NOT NULL);"
	"CREATE TABLE outbox(id INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind TEXT NOT NULL,"
	" payload TEXT NOT NULL, acknowledged INTEGER NOT NULL DEFAULT 0);";

static const struct kind {
	const char *leaf, *schema;
	int application; /* "CSPP", "CSPS" and "CSPA" in the file's header */
	int version;     /* of the form */
	mode_t mode;
	int busy_ms; /* while it is locked; pagent's loop stands still, and tries audit.db again */
} kinds[] = {
	[POL_DB_POLICY] = {"policy.db", policy_schema, 0x43535050, POL_STORE_SCHEMA, 0640, 5000},
	[POL_DB_SECRETS] = {"secrets.db", secrets_schema, 0x43535053, POL_STORE_SCHEMA, 0640, 5000},
	[POL_DB_AUDIT] = {"audit.db", audit_schema, 0x43535041, POL_AUDIT_SCHEMA, 0600, 50},
};

static int failed(const struct pol_db *db, struct cs_err *err)
{
	int code = sqlite3_extended_errcode(db->sql);
	const char *text = sqlite3_errmsg(db->sql);

	switch (code & 0xff) {
	case SQLITE_NOMEM:
		return cs_fail(err, CS_ENOMEM, "%s: %s", db->name, text);
	case SQLITE_BUSY:
		return cs_fail(err, CS_EAGAIN, "%s: another process holds it locked", db->name);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return cs_fail(err, CS_ESTORE, "%s is damaged or no database: %s", db->name, text);
	default:
		return cs_fail(err, CS_ESTORE, "%s: %s", db->name, text);
	}
}

/* ---- statements ---- */

int pol_db_exec(const struct pol_db *db, const char *sql, struct cs_err *err)
{
	return sqlite3_exec(db->sql, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : failed(db, err);
}

int pol_db_prepare(const struct pol_db *db, const char *sql, sqlite3_stmt **st, struct cs_err *err)
{
	return sqlite3_prepare_v2(db->sql, sql, -1, st, NULL) == SQLITE_OK ? 0 : failed(db, err);
}

int pol_db_row(const struct pol_db *db, sqlite3_stmt *st, struct cs_err *err)
{
	switch (sqlite3_step(st)) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		return 0;
	default:
		return failed(db, err);
	}
}

int pol_db_run(const struct pol_db *db, sqlite3_stmt *st, struct cs_err *err)
{
	int rc = pol_db_row(db, st, err);

	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return rc < 0 ? rc : 0;
}

int pol_db_run_for(const struct pol_db *db, const char *sql, uint64_t generation,
		   struct cs_err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = pol_db_prepare(db, sql, &st, err);

	if (rc == 0) {
		sqlite3_bind_int64(st, 1, (sqlite3_int64)generation);
		rc = pol_db_run(db, st, err);
	}
	sqlite3_finalize(st);
	return rc;
}

int pol_db_number(const struct pol_db *db, const char *sql, int64_t *number, bool *found,
		  struct cs_err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = pol_db_prepare(db, sql, &st, err);

	if (rc == 0)
		rc = pol_db_row(db, st, err);
	if (rc >= 0) {
		*found = rc == 1 && sqlite3_column_type(st, 0) == SQLITE_INTEGER;
		if (*found)
			*number = sqlite3_column_int64(st, 0);
		rc = 0;
	}
	sqlite3_finalize(st);
	return rc;
}

/* ---- opening ---- */

/*
 * The files belong to the directory's group: so the administrator says who reads them.  Where that
 * group may make files in the directory, its sticky bit keeps it from replacing ours; and because
 * the journal is always there, nobody can put one of his own, which sqlite would play back.
 */
static int make_file(const char *dir, const char *path, mode_t mode, struct cs_err *err)
{
	struct stat st, parent;
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	bool made = fd >= 0;

	/* An open file of a database is never closed but by sqlite: that would drop its locks. */
	if (!made && errno != EEXIST)
		return cs_fail_errno(err, "cannot make %s", path);
	if (made)
		close(fd);
	if (lstat(path, &st) < 0 || stat(dir, &parent) < 0)
		return cs_fail_errno(err, "cannot look at %s", path);
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return cs_fail(err, CS_ESTORE, "%s is not a plain file", path);
	if (st.st_uid != geteuid())
		return cs_fail(err, CS_ESTORE, "%s belongs to user %u", path, (unsigned)st.st_uid);
	if (made && st.st_gid != parent.st_gid && lchown(path, (uid_t)-1, parent.st_gid) < 0)
		return cs_fail_errno(err, "cannot give %s to the group of its directory", path);
	if ((st.st_mode & 07777) != mode && chmod(path, mode) < 0)
		return cs_fail_errno(err, "cannot set the mode of %s", path);
	return 0;
}

static int pragma(const struct pol_db *db, const char *name, int64_t *value, struct cs_err *err)
{
	char sql[64];
	bool found;
	int rc;

	snprintf(sql, sizeof(sql), "PRAGMA %s", name);
	rc = pol_db_number(db, sql, value, &found, err);
	if (rc == 0 && !found)
		rc = cs_fail(err, CS_ESTORE, "%s has no %s", db->name, name);
	return rc;
}

static int create(const struct pol_db *db, const struct kind *kind, struct cs_err *err)
{
	char sql[128];
	int rc = pol_db_exec(db, kind->schema, err);

	if (rc < 0)
		return rc;
	snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %d",
		 kind->application, kind->version);
	return pol_db_exec(db, sql, err);
}

/* Whose database it is and how old; a new one is created when writing. In a transaction. */
static int check_schema(const struct pol_db *db, const struct kind *kind, bool write,
			struct cs_err *err)
{
	int64_t application = 0, version = 0, tables = 0;
	bool found;
	int rc = pragma(db, "application_id", &application, err);

	if (rc == 0)
		rc = pragma(db, "user_version", &version, err);
	if (rc == 0)
		rc = pol_db_number(db, "SELECT count(*) FROM sqlite_schema", &tables, &found, err);
	if (rc < 0)
		return rc;
	if (application == 0 && version == 0 && tables == 0) {
		if (write)
			return create(db, kind, err);
		return cs_fail(err, CS_ENOTFOUND, "%s has no policy yet", db->name);
	}
	if (application != kind->application)
		return cs_fail(err, CS_ESTORE, "%s is a database of another program", db->name);
	if (version > kind->version)
		return cs_fail(err, CS_EUNSUPPORTED,
			       "%s has the form %lld of a newer csipsec; this one knows %d",
			       db->name, (long long)version, kind->version);
	if (version < 1)
		return cs_fail(err, CS_ESTORE, "%s has the unknown form %lld", db->name,
			       (long long)version);
	return 0;
}

static int check_pages(const struct pol_db *db, struct cs_err *err)
{
	sqlite3_stmt *st = NULL;
	const unsigned char *text;
	int rc = pol_db_prepare(db, "PRAGMA quick_check(1)", &st, err);

	if (rc == 0)
		rc = pol_db_row(db, st, err);
	if (rc == 1) {
		text = sqlite3_column_text(st, 0);
		rc = 0;
		if (!text || strcmp((const char *)text, "ok") != 0)
			rc = cs_fail(err, CS_ESTORE, "%s is damaged: %.120s", db->name,
				     text ? (const char *)text : "no answer");
	}
	sqlite3_finalize(st);
	return rc;
}

static int connect_db(const char *path, const struct kind *kind, bool write, struct pol_db *db,
		      struct cs_err *err)
{
	int flags = write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;

	if (sqlite3_open_v2(path, &db->sql, flags, NULL) != SQLITE_OK) {
		if (!db->sql)
			return cs_fail(err, CS_ENOMEM, "no memory for %s", db->name);
		return cs_fail(err, CS_ESTORE, "cannot open %s: %s", path, sqlite3_errmsg(db->sql));
	}
	sqlite3_extended_result_codes(db->sql, 1);
	sqlite3_busy_timeout(db->sql, kind->busy_ms);
	sqlite3_db_config(db->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db->sql, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	/* EXTRA: a commit stays a commit after a power cut, so the two stay in their order. */
	return pol_db_exec(db,
			   write ? "PRAGMA temp_store = MEMORY; PRAGMA secure_delete = ON;"
				   "PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = EXTRA"
				 : "PRAGMA temp_store = MEMORY",
			   err);
}

static int remember_file(struct pol_db *db, const char *path, struct cs_err *err)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return cs_fail_errno(err, "cannot look at %s", path);
	snprintf(db->path, sizeof(db->path), "%s", path);
	if (db->device != st.st_dev || db->inode != st.st_ino)
		db->checked = false;
	db->device = st.st_dev;
	db->inode = st.st_ino;
	return 0;
}

int pol_db_same_file(const struct pol_db *db, struct cs_err *err)
{
	struct stat st;

	if (lstat(db->path, &st) == 0 && st.st_dev == db->device && st.st_ino == db->inode)
		return 0;
	return cs_fail(err, CS_ESTORE,
		       "%s was removed or replaced under this process; put it back, or start "
		       "pagent anew",
		       db->path);
}

int pol_db_open(const char *statedir, enum pol_db_kind which, bool write, struct pol_db *db,
		struct cs_err *err)
{
	const struct kind *kind = &kinds[which];
	char path[CS_PATH_MAX], journal[CS_PATH_MAX];
	int n = snprintf(journal, sizeof(journal), "%s/%s-journal", statedir, kind->leaf), rc;

	db->name = kind->leaf;
	if (n < 0 || n >= (int)sizeof(journal))
		return cs_fail(err, CS_EINVAL, "the path of %s is too long", kind->leaf);
	snprintf(path, sizeof(path), "%s/%s", statedir, kind->leaf);
	if (write) {
		rc = make_file(statedir, path, kind->mode, err);
		if (rc == 0)
			rc = make_file(statedir, journal, kind->mode, err);
		if (rc < 0)
			return rc;
	} else if (access(path, R_OK) < 0) {
		if (errno == ENOENT)
			return cs_fail(err, CS_ENOTFOUND, "there is no %s", path);
		return cs_fail(err, CS_EPERM, "cannot read %s: %s", path, strerror(errno));
	}
	rc = connect_db(path, kind, write, db, err);
	if (rc == 0 && write)
		rc = remember_file(db, path, err);
	if (rc == 0)
		rc = pol_db_exec(db, write ? "BEGIN IMMEDIATE" : "BEGIN", err);
	if (rc == 0)
		rc = check_schema(db, kind, write, err);
	if (rc == 0)
		rc = pol_db_exec(db, "COMMIT", err);
	if (rc == 0 && write && !db->checked)
		rc = check_pages(db, err);
	if (rc == 0)
		db->checked = true;
	else
		pol_db_close(db);
	return rc;
}

void pol_db_close(struct pol_db *db)
{
	sqlite3_close(db->sql);
	db->sql = NULL;
}
