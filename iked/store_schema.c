/*
 * The tables of iked.db.  Tables p1 and p2 are the SA cache: the agreed attributes of what is up or
 * intended, never a key.  Table intents has the intents without result; outbox has one row for each
 * event, which trmd acknowledges.  Addresses and ranges are text, algorithms their IANA numbers.
 */
#include "iked/store_schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "iked/json.h"

#define SCHEMA_VERSION 6
#define BUSY_MS        250

static const char schema[] =
	"CREATE TABLE counters ("
	" one INTEGER PRIMARY KEY CHECK (one = 1),"
	" last_tx INTEGER NOT NULL,"
	" last_tunnel INTEGER NOT NULL) STRICT;"
	"INSERT INTO counters VALUES (1, 0, 0);"

	"CREATE TABLE p1 ("
	" tunnel INTEGER NOT NULL, generation INTEGER NOT NULL,"
	" initiator INTEGER NOT NULL, mode INTEGER NOT NULL,"
	" rule TEXT NOT NULL, action TEXT NOT NULL, instance INTEGER NOT NULL,"
	" local_addr TEXT NOT NULL, local_port INTEGER NOT NULL,"
	" remote_addr TEXT NOT NULL, remote_port INTEGER NOT NULL,"
	" local_id_type INTEGER NOT NULL, local_id TEXT NOT NULL,"
	" remote_id_type INTEGER NOT NULL, remote_id TEXT NOT NULL,"
	" cipher INTEGER NOT NULL, key_bits INTEGER NOT NULL, hash INTEGER NOT NULL,"
	" dh_group INTEGER NOT NULL, auth INTEGER NOT NULL,"
	" icookie BLOB NOT NULL, rcookie BLOB NOT NULL,"
	" established INTEGER NOT NULL, refresh INTEGER NOT NULL, expires INTEGER NOT NULL,"
	" lifetime INTEGER NOT NULL, lifesize INTEGER NOT NULL, allow_nat INTEGER NOT NULL,"
	/* of struct ike_nat */
	" natt_level INTEGER NOT NULL DEFAULT 0, nat_local INTEGER NOT NULL DEFAULT 0,"
	" nat_remote INTEGER NOT NULL DEFAULT 0, nat_napt INTEGER NOT NULL DEFAULT 0,"
	" nat_encap INTEGER NOT NULL DEFAULT 0,"
	" PRIMARY KEY (tunnel, generation)) STRICT, WITHOUT ROWID;"

	"CREATE TABLE p2 ("
	" tunnel INTEGER NOT NULL, generation INTEGER NOT NULL,"
	" parent INTEGER NOT NULL, up INTEGER NOT NULL, intent INTEGER NOT NULL,"
	" initiator INTEGER NOT NULL, activation INTEGER NOT NULL,"
	" rule TEXT NOT NULL, action TEXT NOT NULL, local_rule TEXT NOT NULL,"
	" rule_id INTEGER NOT NULL, reqid INTEGER NOT NULL, instance INTEGER NOT NULL,"
	" protocol INTEGER NOT NULL, cipher INTEGER NOT NULL, key_bits INTEGER NOT NULL,"
	" integ INTEGER NOT NULL, encap INTEGER NOT NULL, pfs_group INTEGER NOT NULL,"
	" local_addr TEXT NOT NULL, remote_addr TEXT NOT NULL,"
	" local_range TEXT NOT NULL, remote_range TEXT NOT NULL, proto INTEGER NOT NULL,"
	" local_port INTEGER NOT NULL, remote_port INTEGER NOT NULL,"
	" spi_in INTEGER NOT NULL, spi_out INTEGER NOT NULL,"
	" installed INTEGER NOT NULL, refresh INTEGER NOT NULL, expires INTEGER NOT NULL,"
	" vpn_expires INTEGER NOT NULL,"
	" lifetime INTEGER NOT NULL, lifesize INTEGER NOT NULL,"
	" passthrough_df INTEGER NOT NULL, passthrough_dscp INTEGER NOT NULL,"
	" local_id BLOB NOT NULL DEFAULT x'', remote_id BLOB NOT NULL DEFAULT x'',"
	/* of a bundle: the AH around the ESP */
	" ah INTEGER NOT NULL DEFAULT 0, ah_in INTEGER NOT NULL DEFAULT 0,"
	" ah_out INTEGER NOT NULL DEFAULT 0,"
	" user TEXT NOT NULL DEFAULT '',"
	/* through a NAT */
	" udp INTEGER NOT NULL DEFAULT 0, nat_local INTEGER NOT NULL DEFAULT 0,"
	" nat_remote INTEGER NOT NULL DEFAULT 0, nat_napt INTEGER NOT NULL DEFAULT 0,"
	" encap_local INTEGER NOT NULL DEFAULT 0, encap_remote INTEGER NOT NULL DEFAULT 0,"
	" oa_initiator TEXT NOT NULL DEFAULT '', oa_responder TEXT NOT NULL DEFAULT '',"
	" client INTEGER NOT NULL DEFAULT 0,"
	/* the highest of the tunnel, those that failed counted */
	" generations INTEGER NOT NULL DEFAULT 0,"
	" PRIMARY KEY (tunnel, generation)) STRICT, WITHOUT ROWID;"

	"CREATE TABLE intents ("
	" tx INTEGER PRIMARY KEY, time INTEGER NOT NULL,"
	" tunnel INTEGER NOT NULL, generation INTEGER NOT NULL) STRICT;"

	/* subtype: the SMF 119 subtype of iked's own record; the stack's (77, 78) come of the same
	   row. */
	"CREATE TABLE outbox ("
	" id INTEGER PRIMARY KEY, time INTEGER NOT NULL,"
	" kind TEXT NOT NULL, subtype INTEGER NOT NULL,"
	" tunnel TEXT NOT NULL, generation INTEGER NOT NULL,"
	" intent INTEGER, payload TEXT NOT NULL,"
	" acknowledged INTEGER NOT NULL DEFAULT 0) STRICT;"
	"CREATE UNIQUE INDEX outbox_intent ON outbox (intent) WHERE intent IS NOT NULL;";

/* From each older version to the next one. */
static const char *const migrations[SCHEMA_VERSION] = {
	[1] = "ALTER TABLE p2 ADD COLUMN local_id BLOB NOT NULL DEFAULT x'';"
	      "ALTER TABLE p2 ADD COLUMN remote_id BLOB NOT NULL DEFAULT x'';",
	[2] = "ALTER TABLE p2 ADD COLUMN ah INTEGER NOT NULL DEFAULT 0;"
	      "ALTER TABLE p2 ADD COLUMN ah_in INTEGER NOT NULL DEFAULT 0;"
	      "ALTER TABLE p2 ADD COLUMN ah_out INTEGER NOT NULL DEFAULT 0;",
	[3] = "ALTER TABLE p2 ADD COLUMN user TEXT NOT NULL DEFAULT '';",
	[4] = "ALTER TABLE p1 ADD COLUMN natt_level INTEGER NOT NULL DEFAULT 0;"
	      "ALTER TABLE p1 ADD COLUMN nat_local INTEGER NOT NULL DEFAULT 0;"
	      "ALTER TABLE p1 ADD COLUMN nat_remote INTEGER NOT NULL DEFAULT 0;"
	      "ALTER TABLE p1 ADD COLUMN nat_napt INTEGER NOT NULL DEFAULT 0;"
	      "ALTER TABLE p1 ADD COLUMN nat_encap INTEGER NOT NULL DEFAULT 0;"
	      "ALTER TABLE p2 ADD COLUMN udp INTEGER NOT NULL DEFAULT 0;"
	      "ALTER TABLE p2 ADD COLUMN nat_local INTEGER NOT NULL DEFAULT 0;"
	      "ALTER TABLE p2 ADD COLUMN nat_remote INTEGER NOT NULL DEFAULT 0;"
	      "ALTER TABLE p2 ADD COLUMN nat_napt INTEGER NOT NULL DEFAULT 0;"
	      "ALTER TABLE p2 ADD COLUMN encap_local INTEGER NOT NULL DEFAULT 0;"
	      "ALTER TABLE p2 ADD COLUMN encap_remote INTEGER NOT NULL DEFAULT 0;"
	      "ALTER TABLE p2 ADD COLUMN oa_initiator TEXT NOT NULL DEFAULT '';"
	      "ALTER TABLE p2 ADD COLUMN oa_responder TEXT NOT NULL DEFAULT '';"
	      "ALTER TABLE p2 ADD COLUMN client INTEGER NOT NULL DEFAULT 0;",
	[5] = "ALTER TABLE p2 ADD COLUMN generations INTEGER NOT NULL DEFAULT 0;",
};

static const char *const sql[N_STATEMENTS] = {
	[PUT_P1] = "INSERT OR REPLACE INTO p1 VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,"
		   "?,?,?,?,?,?,?,?,?,?,?)",
	[DROP_P1] = "DELETE FROM p1 WHERE tunnel=? AND generation=?",
	[PUT_P2] = "INSERT OR REPLACE INTO p2 VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,"
		   "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[DROP_P2] = "DELETE FROM p2 WHERE tunnel=? AND generation=?",
	[COUNT_P2] = "UPDATE p2 SET generations=max(generations,?) WHERE tunnel=?",
	[PUT_INTENT] = "INSERT OR REPLACE INTO intents VALUES (?,?,?,?)",
	[DROP_INTENT] = "DELETE FROM intents WHERE tx=?",
	[PUT_OUTBOX] = "INSERT OR IGNORE INTO outbox (id,time,kind,subtype,tunnel,generation,"
		       "intent,payload) VALUES (?,?,?,?,?,?,?,?)",
	[PUT_COUNTERS] = "UPDATE counters SET last_tx=max(last_tx,?),"
			 " last_tunnel=max(last_tunnel,?)",
};

static int failed(const struct ike_db *db, const char *doing, struct cs_err *err)
{
	int rc = sqlite3_extended_errcode(db->handle);
	bool damaged = (rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB;

	return cs_fail(err, damaged ? CS_EPARSE : CS_ESTORE, "%s: %s: %s (%d)", db->path, doing,
		       sqlite3_errmsg(db->handle), rc);
}

static enum ike_db_fault fault(struct ike_db *db, int rc, const char *doing, struct cs_err *err)
{
	if (failed(db, doing, err) == CS_EPARSE)
		return IKE_DB_UNUSABLE;
	switch (rc & 0xff) {
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_TOOBIG:
	case SQLITE_RANGE:
	case SQLITE_MISUSE:
		return IKE_DB_RECORD;
	default:
		return IKE_DB_STUCK;
	}
}

/*
 * sqlite does not look whether its open file is still the one of that name, or all of it: what it
 * writes to another could not be found again.
 */
static int same_file(struct ike_db *db, struct cs_err *err)
{
	struct stat st;

	if (stat(db->path, &st) < 0)
		return cs_fail_errno(err, "%s", db->path);
	if (!db->inode) {
		db->device = st.st_dev;
		db->inode = st.st_ino;
	}
	if (st.st_dev != db->device || st.st_ino != db->inode)
		return cs_fail(err, CS_ESTORE, "%s is another file than before", db->path);
	if (st.st_size < db->size)
		return cs_fail(err, CS_EPARSE, "%s is shorter than before", db->path);
	db->size = st.st_size;
	return 0;
}

/* ---- opening ---- */

static int exec(struct ike_db *db, const char *text, const char *doing, struct cs_err *err)
{
	if (sqlite3_exec(db->handle, text, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	return failed(db, doing, err);
}

static int pragma(struct ike_db *db, const char *text, sqlite3_int64 *value, struct cs_err *err)
{
	sqlite3_stmt *st = NULL;
	int status = 0;

	if (sqlite3_prepare_v2(db->handle, text, -1, &st, NULL) != SQLITE_OK ||
	    sqlite3_step(st) != SQLITE_ROW)
		status = failed(db, "cannot be read", err);
	else
		*value = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return status;
}

/* All steps in one transaction: a database is of one version or of another, never between. */
static int migrate(struct ike_db *db, sqlite3_int64 version, struct cs_err *err)
{
	char text[64];
	int status = exec(db, "BEGIN IMMEDIATE", "cannot begin", err);

	for (; status == 0 && version < SCHEMA_VERSION; version++)
		status = exec(db, migrations[version], "cannot bring the tables up to date", err);
	snprintf(text, sizeof(text), "PRAGMA user_version=%d; COMMIT", SCHEMA_VERSION);
	if (status == 0)
		status = exec(db, text, "cannot bring the tables up to date", err);
	if (status < 0)
		ike_db_rollback(db);
	return status;
}

/* An empty database gets its tables; another program's, or a later version's, is left alone. */
static int check_schema(struct ike_db *db, bool read_only, struct cs_err *err)
{
	sqlite3_int64 id, version, objects;
	char text[sizeof(schema) + 128];
	int status;

	status = pragma(db, "PRAGMA application_id", &id, err);
	if (status == 0)
		status = pragma(db, "PRAGMA user_version", &version, err);
	if (status == 0)
		status = pragma(db, "SELECT count(*) FROM sqlite_schema", &objects, err);
	if (status < 0)
		return status;
	if (objects == 0 && !read_only) {
		snprintf(text, sizeof(text),
			 "BEGIN IMMEDIATE;%s PRAGMA application_id=%d; PRAGMA user_version=%d;"
			 "COMMIT",
			 schema, IKE_DB_APPLICATION_ID, SCHEMA_VERSION);
		return exec(db, text, "cannot make the tables", err);
	}
	if (id != IKE_DB_APPLICATION_ID)
		return cs_fail(err, CS_EPARSE, "%s is not a database of iked", db->path);
	if (version >= 1 && version < SCHEMA_VERSION && !read_only)
		return migrate(db, version, err);
	if (version != SCHEMA_VERSION)
		return cs_fail(err, CS_EPARSE, "%s has schema %d, this iked knows %d", db->path,
			       (int)version, SCHEMA_VERSION);
	return 0;
}

/* sqlite does not say why, and it may be a directory above that the worker's user cannot pass. */
static int open_failed(struct ike_db *db, struct cs_err *err)
{
	int why = db->handle ? sqlite3_system_errno(db->handle) : 0;

	return cs_fail(err, CS_ESTORE, "cannot open %s: %s%s%s", db->path,
		       db->handle ? sqlite3_errmsg(db->handle) : "out of memory", why ? ": " : "",
		       why ? strerror(why) : "");
}

int ike_db_open(const char *path, bool read_only, struct ike_db **result, struct cs_err *err)
{
	int flags = read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
	struct ike_db *db = calloc(1, sizeof(*db));
	int status = 0;

	if (!db)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	snprintf(db->path, sizeof(db->path), "%s", path);
	if (sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
		status = open_failed(db, err);
		goto fail;
	}
	sqlite3_extended_result_codes(db->handle, 1);
	sqlite3_busy_timeout(db->handle, BUSY_MS);
	if (!read_only) {
		status = exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
			      "cannot be written", err);
		if (status < 0)
			goto fail;
	}
	status = check_schema(db, read_only, err);
	if (status < 0)
		goto fail;
	for (unsigned i = 0; i < N_STATEMENTS && !read_only; i++)
		if (sqlite3_prepare_v3(db->handle, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
				       &db->statements[i], NULL) != SQLITE_OK) {
			status = failed(db, "cannot be used", err);
			goto fail;
		}
	*result = db;
	return 0;
fail:
	ike_db_close(db);
	return status;
}

void ike_db_close(struct ike_db *db)
{
	if (!db)
		return;
	for (unsigned i = 0; i < N_STATEMENTS; i++)
		sqlite3_finalize(db->statements[i]);
	sqlite3_close(db->handle);
	free(db);
}

/* Every page is read; of indexes only that. */
int ike_db_check(struct ike_db *db, struct cs_err *err)
{
	sqlite3_stmt *st = NULL;
	const char *found;
	int status = 0;

	if (sqlite3_prepare_v2(db->handle, "PRAGMA quick_check(1)", -1, &st, NULL) != SQLITE_OK ||
	    sqlite3_step(st) != SQLITE_ROW) {
		status = failed(db, "cannot be checked", err);
	} else {
		found = (const char *)sqlite3_column_text(st, 0);
		if (!found || strcmp(found, "ok") != 0)
			status = cs_fail(err, CS_EPARSE, "%s is damaged: %.100s", db->path,
					 found ? found : "?");
	}
	sqlite3_finalize(st);
	return status;
}

/* ---- writing ---- */

/* Binds in order; the first failure sticks and step reports it. */
struct binder {
	sqlite3_stmt *st;
	int at, rc;
};

static struct binder start(struct ike_db *db, enum ike_db_statement s)
{
	sqlite3_reset(db->statements[s]);
	sqlite3_clear_bindings(db->statements[s]);
	return (struct binder){db->statements[s], 0, SQLITE_OK};
}

static void put_int(struct binder *b, int64_t v)
{
	int rc = sqlite3_bind_int64(b->st, ++b->at, v);

	if (b->rc == SQLITE_OK)
		b->rc = rc;
}

static void put_text(struct binder *b, const char *v)
{
	int rc = sqlite3_bind_text(b->st, ++b->at, v ? v : "", -1, SQLITE_TRANSIENT);

	if (b->rc == SQLITE_OK)
		b->rc = rc;
}

/* Nothing is a blob without bytes, not NULL. */
static void put_blob(struct binder *b, const void *v, size_t len)
{
	int rc = sqlite3_bind_blob64(b->st, ++b->at, v ? v : "", len, SQLITE_TRANSIENT);

	if (b->rc == SQLITE_OK)
		b->rc = rc;
}

static void put_null(struct binder *b)
{
	b->at++; /* cleared bindings are NULL */
}

static void put_addr(struct binder *b, const struct cs_addr *a)
{
	char text[CS_ADDR_STRLEN];

	put_text(b, a->family ? cs_addr_text(a, text) : "");
}

static void put_range(struct binder *b, const struct cs_range *r)
{
	char text[CS_RANGE_STRLEN];

	put_text(b, r->lo.family ? cs_range_text(r, text) : "");
}

static enum ike_db_fault step(struct ike_db *db, struct binder *b, const char *doing,
			      struct cs_err *err)
{
	int rc = b->rc == SQLITE_OK ? sqlite3_step(b->st) : b->rc;
	enum ike_db_fault f =
		rc == SQLITE_DONE || rc == SQLITE_ROW ? IKE_DB_OK : fault(db, rc, doing, err);

	sqlite3_reset(b->st);
	return f;
}

static enum ike_db_fault put_p1(struct ike_db *db, const struct ike_p1_info *i, struct cs_err *err)
{
	struct binder b = start(db, PUT_P1);
	const struct ike_p1_suite *s = &i->suite;

	put_int(&b, i->tunnel);
	put_int(&b, i->generation);
	put_int(&b, i->initiator);
	put_int(&b, i->mode);
	put_text(&b, i->rule);
	put_text(&b, i->action);
	put_int(&b, i->instance);
	put_addr(&b, &i->local.addr);
	put_int(&b, i->local.port);
	put_addr(&b, &i->remote.addr);
	put_int(&b, i->remote.port);
	put_int(&b, i->local_id_type);
	put_text(&b, i->local_id);
	put_int(&b, i->remote_id_type);
	put_text(&b, i->remote_id);
	put_int(&b, s->cipher ? s->cipher->ike : 0);
	put_int(&b, s->cipher ? s->cipher->key_bits : 0);
	put_int(&b, s->hash ? s->hash->ike : 0);
	put_int(&b, s->group ? s->group->number : 0);
	put_int(&b, s->auth);
	put_blob(&b, i->icookie, ISA_COOKIE_LEN);
	put_blob(&b, i->rcookie, ISA_COOKIE_LEN);
	put_int(&b, i->established);
	put_int(&b, i->refresh);
	put_int(&b, i->expires);
	put_int(&b, i->lifetime);
	put_int(&b, i->lifesize);
	put_int(&b, i->allow_nat);
	put_int(&b, i->natt_level);
	put_int(&b, i->nat_local);
	put_int(&b, i->nat_remote);
	put_int(&b, i->nat_napt);
	put_int(&b, i->nat_encap);
	return step(db, &b, "cannot store phase 1", err);
}

static enum ike_db_fault put_p2(struct ike_db *db, const struct ike_p2_info *i, bool up,
				uint64_t intent, struct cs_err *err)
{
	struct binder b = start(db, PUT_P2);
	const struct ike_p2_suite *s = &i->suite;

	put_int(&b, i->tunnel);
	put_int(&b, i->generation);
	put_int(&b, i->parent);
	put_int(&b, up);
	put_int(&b, (int64_t)intent);
	put_int(&b, i->initiator);
	put_int(&b, i->activation);
	put_text(&b, i->rule);
	put_text(&b, i->action);
	put_text(&b, i->local_rule);
	put_int(&b, i->rule_id);
	put_int(&b, i->reqid);
	put_int(&b, i->instance);
	put_int(&b, s->protocol);
	put_int(&b, s->cipher ? s->cipher->esp : 0);
	put_int(&b, s->cipher ? s->cipher->key_bits : 0);
	put_int(&b, s->integ ? s->integ->esp : 0);
	put_int(&b, s->encap);
	put_int(&b, i->pfs_group);
	put_addr(&b, &i->local);
	put_addr(&b, &i->remote);
	put_range(&b, &i->selector.local);
	put_range(&b, &i->selector.remote);
	put_int(&b, i->selector.proto);
	put_int(&b, i->selector.local_port);
	put_int(&b, i->selector.remote_port);
	put_int(&b, i->spi_in);
	put_int(&b, i->spi_out);
	put_int(&b, i->installed);
	put_int(&b, i->refresh);
	put_int(&b, i->expires);
	put_int(&b, i->vpn_expires);
	put_int(&b, i->lifetime);
	put_int(&b, i->lifesize);
	put_int(&b, i->passthrough_df);
	put_int(&b, i->passthrough_dscp);
	put_blob(&b, i->local_id.p, i->local_id.len);
	put_blob(&b, i->remote_id.p, i->remote_id.len);
	put_int(&b, s->ah ? s->ah->esp : 0);
	put_int(&b, i->ah_in);
	put_int(&b, i->ah_out);
	put_text(&b, i->user);
	put_int(&b, s->udp);
	put_int(&b, i->nat_local);
	put_int(&b, i->nat_remote);
	put_int(&b, i->nat_napt);
	put_int(&b, i->encap_local);
	put_int(&b, i->encap_remote);
	put_addr(&b, &i->oa[0]);
	put_addr(&b, &i->oa[1]);
	put_int(&b, i->client);
	put_int(&b, i->generations);
	return step(db, &b, "cannot store phase 2", err);
}

/* What is left of the tunnel when this generation has failed knows that there was one. */
static enum ike_db_fault count_p2(struct ike_db *db, const struct ike_p2_info *i,
				  struct cs_err *err)
{
	struct binder b = start(db, COUNT_P2);

	put_int(&b, i->generation);
	put_int(&b, i->tunnel);
	return step(db, &b, "cannot count a generation", err);
}

static enum ike_db_fault drop(struct ike_db *db, enum ike_db_statement s, uint32_t tunnel,
			      uint32_t generation, struct cs_err *err)
{
	struct binder b = start(db, s);

	put_int(&b, tunnel);
	put_int(&b, generation);
	return step(db, &b, "cannot remove an SA", err);
}

static enum ike_db_fault put_outbox(struct ike_db *db, uint64_t tx, int64_t when, const char *kind,
				    int subtype, const char *tunnel, uint32_t generation,
				    uint64_t intent, json_t *payload, struct cs_err *err)
{
	struct binder b = start(db, PUT_OUTBOX);
	char *text = payload ? json_dumps(payload, JSON_COMPACT) : NULL;
	enum ike_db_fault f;

	json_decref(payload);
	if (!text) {
		cs_fail(err, CS_ENOMEM, "cannot write the record as JSON");
		return IKE_DB_RECORD;
	}
	put_int(&b, (int64_t)tx);
	put_int(&b, when);
	put_text(&b, kind);
	put_int(&b, subtype);
	put_text(&b, tunnel);
	put_int(&b, generation);
	if (intent)
		put_int(&b, (int64_t)intent);
	else
		put_null(&b);
	put_text(&b, text);
	f = step(db, &b, "cannot store a record", err);
	free(text);
	return f;
}

static enum ike_db_fault put_intent(struct ike_db *db, uint64_t tx, const struct ike_record *rec,
				    struct cs_err *err)
{
	struct binder b = start(db, PUT_INTENT);

	put_int(&b, (int64_t)tx);
	put_int(&b, rec->when.wall);
	put_int(&b, rec->p2->tunnel);
	put_int(&b, rec->p2->generation);
	return step(db, &b, "cannot store an intent", err);
}

static enum ike_db_fault drop_intent(struct ike_db *db, uint64_t tx, struct cs_err *err)
{
	struct binder b = start(db, DROP_INTENT);

	put_int(&b, (int64_t)tx);
	return step(db, &b, "cannot settle an intent", err);
}

enum ike_db_fault ike_db_begin(struct ike_db *db, struct cs_err *err)
{
	int rc;

	rc = same_file(db, err);
	if (rc < 0)
		return rc == CS_EPARSE ? IKE_DB_UNUSABLE : IKE_DB_STUCK;
	db->last_tunnel = 0;
	rc = sqlite3_exec(db->handle, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		return IKE_DB_OK;
	return fault(db, rc, "cannot begin", err) == IKE_DB_UNUSABLE ? IKE_DB_UNUSABLE
								     : IKE_DB_STUCK;
}

static enum ike_db_fault write_state(struct ike_db *db, uint64_t tx, const struct ike_record *rec,
				     struct cs_err *err)
{
	const struct ike_p1_info *p1 = rec->p1;
	const struct ike_p2_info *p2 = rec->p2;
	enum ike_db_fault f = IKE_DB_OK;

	switch (rec->kind) {
	case IKE_REC_P1_UP:
		return put_p1(db, p1, err);
	case IKE_REC_P1_DOWN:
		return drop(db, DROP_P1, p1->tunnel, p1->generation, err);
	case IKE_REC_P2_INTENT:
		f = put_intent(db, tx, rec, err);
		if (f == IKE_DB_OK)
			f = count_p2(db, p2, err);
		return f == IKE_DB_OK ? put_p2(db, p2, false, tx, err) : f;
	case IKE_REC_P2_UP:
		f = drop_intent(db, rec->intent, err);
		return f == IKE_DB_OK ? put_p2(db, p2, true, 0, err) : f;
	case IKE_REC_P2_FAILED:
		f = drop_intent(db, rec->intent, err);
		return f == IKE_DB_OK ? drop(db, DROP_P2, p2->tunnel, p2->generation, err) : f;
	case IKE_REC_P2_MOVED:
		return put_p2(db, p2, true, 0, err);
	case IKE_REC_P2_DOWN:
		return drop(db, DROP_P2, p2->tunnel, p2->generation, err);
	}
	cs_fail(err, CS_EINVAL, "record of unknown kind %d", rec->kind);
	return IKE_DB_RECORD;
}

bool ike_db_has_row(enum ike_record_kind kind)
{
	return kind != IKE_REC_P2_INTENT && kind != IKE_REC_P2_MOVED;
}

enum ike_db_fault ike_db_write(struct ike_db *db, uint64_t tx, const struct ike_record *rec,
			       struct cs_err *err)
{
	static const int subtypes[] = {
		[IKE_REC_P1_UP] = 73,     [IKE_REC_P1_DOWN] = 74, [IKE_REC_P2_UP] = 75,
		[IKE_REC_P2_FAILED] = 76, [IKE_REC_P2_DOWN] = 76,
	};
	bool phase1 = rec->kind == IKE_REC_P1_UP || rec->kind == IKE_REC_P1_DOWN;
	uint32_t number, generation;
	enum ike_db_fault f;
	char tunnel[16];

	if (phase1 ? !rec->p1 : !rec->p2) {
		cs_fail(err, CS_EINVAL, "a %s record without its SA", ike_record_name(rec->kind));
		return IKE_DB_RECORD;
	}
	number = phase1 ? rec->p1->tunnel : rec->p2->tunnel;
	generation = phase1 ? rec->p1->generation : rec->p2->generation;
	f = write_state(db, tx, rec, err);
	if (f != IKE_DB_OK)
		return f;
	if (number > db->last_tunnel)
		db->last_tunnel = number;
	if (!ike_db_has_row(rec->kind))
		return IKE_DB_OK;
	snprintf(tunnel, sizeof(tunnel), "%c%u", phase1 ? 'K' : 'Y', number);
	return put_outbox(db, tx, rec->when.wall, ike_record_name(rec->kind), subtypes[rec->kind],
			  tunnel, generation,
			  rec->kind == IKE_REC_P2_UP || rec->kind == IKE_REC_P2_FAILED ? rec->intent
										       : 0,
			  ike_json_record(rec), err);
}

enum ike_db_fault ike_db_write_loss(struct ike_db *db, uint64_t tx, uint64_t lost, int64_t since,
				    int64_t until, struct cs_err *err)
{
	json_t *payload =
		json_pack("{s:s s:I s:I s:I}", "Event", "LOSS", "Records", (json_int_t)lost, "From",
			  (json_int_t)since, "To", (json_int_t)until);

	return put_outbox(db, tx, until, "LOSS", 0, "", 0, 0, payload, err);
}

enum ike_db_fault ike_db_commit(struct ike_db *db, uint64_t last_tx, struct cs_err *err)
{
	struct binder b = start(db, PUT_COUNTERS);
	enum ike_db_fault f;
	int rc;

	put_int(&b, (int64_t)last_tx);
	put_int(&b, db->last_tunnel);
	f = step(db, &b, "cannot store the counters", err);
	if (f != IKE_DB_OK)
		return f;
	rc = sqlite3_exec(db->handle, "COMMIT", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		return IKE_DB_OK;
	fault(db, rc, "cannot commit", err);
	return IKE_DB_STUCK;
}

void ike_db_rollback(struct ike_db *db)
{
	if (!sqlite3_get_autocommit(db->handle))
		sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
}
