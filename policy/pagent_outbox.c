/* The database of manual tunnels' audit trail. */
#include "policy/pagent_outbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "policy/store.h"

#define SA_TEXT (CS_ADDR_STRLEN + 20)

struct pagent_outbox {
	struct pol_db db;
	char dir[CS_PATH_MAX];
	int64_t identity; /* of the one that was open last; 0: none was */
	int64_t handed;   /* the last row of it that was read for trmd; 0: none */
};

struct pagent_outbox *pagent_outbox_new(const char *statedir)
{
	struct pagent_outbox *o = calloc(1, sizeof(*o));

	if (o)
		snprintf(o->dir, sizeof(o->dir), "%s", statedir);
	return o;
}

void pagent_outbox_free(struct pagent_outbox *o)
{
	if (!o)
		return;
	pol_db_close(&o->db);
	free(o);
}

/* Is it the one of before? */
static int know(struct pagent_outbox *o, struct cs_err *err)
{
	int64_t identity = 0;
	bool there;
	int rc = pol_db_number(&o->db, "SELECT identity FROM audit", &identity, &there, err);

	if (rc == 0 && !there)
		rc = cs_fail(err, CS_ESTORE, "audit.db has no identity");
	if (rc < 0) {
		pol_db_close(&o->db);
		return rc;
	}
	if (identity == o->identity)
		return 0;
	if (o->identity)
		cs_log(CS_NOCTX, CSM_PA_AUDIT_OTHER, o->db.path);
	o->identity = identity;
	o->handed = 0;
	return 0;
}

static int ready(struct pagent_outbox *o, struct cs_err *err)
{
	int rc;

	if (o->db.sql && pol_db_same_file(&o->db, NULL) < 0)
		pol_db_close(&o->db);
	if (o->db.sql)
		return 0;
	rc = pol_db_open(o->dir, POL_DB_AUDIT, true, &o->db, err);
	return rc == 0 ? know(o, err) : rc;
}

/* ---- the SAs of a tunnel as text: protocol, destination, SPI ---- */

static void sas_text(const struct pagent_audited *t, char text[static XF_MANUAL_SAS * SA_TEXT])
{
	char addr[CS_ADDR_STRLEN];
	size_t at = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < t->n_sas; i++)
		at += (size_t)snprintf(text + at, SA_TEXT, "%u %s %u;", t->sas[i].proto,
				       cs_addr_text(&t->sas[i].dst, addr), t->sas[i].spi);
}

/* One of them; the rest of the text, or NULL. */
static const char *read_sa(const char *text, struct xf_said *sa)
{
	char addr[CS_ADDR_STRLEN], *end;
	size_t len;

	sa->proto = (uint8_t)strtoul(text, &end, 10);
	if (*end++ != ' ')
		return NULL;
	len = strcspn(end, " ");
	if (len >= sizeof(addr) || !end[len])
		return NULL;
	memcpy(addr, end, len);
	addr[len] = '\0';
	sa->spi = (uint32_t)strtoul(end + len + 1, &end, 10);
	return *end == ';' && cs_addr_parse(addr, &sa->dst, NULL) == 0 ? end + 1 : NULL;
}

static int read_sas(struct pagent_audited *t, const char *text, struct cs_err *err)
{
	while (text && *text && t->n_sas < XF_MANUAL_SAS)
		text = read_sa(text, &t->sas[t->n_sas++]);
	if (text && !*text && t->n_sas)
		return 0;
	return cs_fail(err, CS_ESTORE, "audit.db does not say which SAs %s has", t->name);
}

/* ---- tunnels ---- */

void pagent_audited_free(struct pagent_audited *list, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		free(list[i].shown);
	free(list);
}

static const char *text(sqlite3_stmt *st, int column)
{
	const char *p = (const char *)sqlite3_column_text(st, column);

	return p ? p : "";
}

static int read_tunnel(sqlite3_stmt *st, struct pagent_audited *t, struct cs_err *err)
{
	memset(t, 0, sizeof(*t));
	t->activation = sqlite3_column_int64(st, 0);
	t->number = (uint32_t)sqlite3_column_int64(st, 1);
	snprintf(t->name, sizeof(t->name), "%s", text(st, 2));
	t->up = sqlite3_column_int(st, 3) != 0;
	t->since = sqlite3_column_int64(st, 4);
	t->shown = strdup(text(st, 6));
	if (!t->shown)
		return cs_fail(err, CS_ENOMEM, "no memory for audited tunnels");
	return read_sas(t, text(st, 5), err);
}

int pagent_outbox_tunnels(struct pagent_outbox *o, struct pagent_audited **list, unsigned *n,
			  struct cs_err *err)
{
	struct pagent_audited *v = NULL, *more;
	sqlite3_stmt *st = NULL;
	unsigned count = 0;
	int rc = ready(o, err);

	if (rc == 0)
		rc = pol_db_prepare(&o->db,
				    "SELECT activation, number, name, up, since, sas, shown "
				    "FROM tunnel ORDER BY activation",
				    &st, err);
	while (rc >= 0 && (rc = pol_db_row(&o->db, st, err)) == 1) {
		more = reallocarray(v, count + 1u, sizeof(*v));
		if (!more) {
			rc = cs_fail(err, CS_ENOMEM, "no memory for audited tunnels");
			break;
		}
		v = more;
		rc = read_tunnel(st, &v[count++], err);
	}
	sqlite3_finalize(st);
	if (rc < 0) {
		pagent_audited_free(v, count);
		return rc;
	}
	*list = v;
	*n = count;
	return 0;
}

/* ---- a transaction ---- */

int pagent_outbox_begin(struct pagent_outbox *o, struct cs_err *err)
{
	int rc = ready(o, err);

	return rc == 0 ? pol_db_exec(&o->db, "BEGIN IMMEDIATE", err) : rc;
}

int pagent_outbox_commit(struct pagent_outbox *o, struct cs_err *err)
{
	return pol_db_exec(&o->db, "COMMIT", err);
}

void pagent_outbox_rollback(struct pagent_outbox *o)
{
	if (o->db.sql && !sqlite3_get_autocommit(o->db.sql))
		pol_db_exec(&o->db, "ROLLBACK", NULL);
}

static void bind_text(sqlite3_stmt *st, int at, const char *value)
{
	sqlite3_bind_text(st, at, value, -1, SQLITE_TRANSIENT);
}

int pagent_outbox_put(struct pagent_outbox *o, struct pagent_audited *t, struct cs_err *err)
{
	char sas[XF_MANUAL_SAS * SA_TEXT];
	sqlite3_stmt *st = NULL;
	int rc = pol_db_prepare(&o->db, "INSERT OR REPLACE INTO tunnel VALUES (?,?,?,?,?,?,?)", &st,
				err);

	if (rc == 0) {
		sas_text(t, sas);
		if (t->activation)
			sqlite3_bind_int64(st, 1, t->activation);
		sqlite3_bind_int64(st, 2, t->number);
		bind_text(st, 3, t->name);
		sqlite3_bind_int(st, 4, t->up);
		sqlite3_bind_int64(st, 5, t->since);
		bind_text(st, 6, sas);
		bind_text(st, 7, t->shown);
		rc = pol_db_run(&o->db, st, err);
	}
	if (rc == 0)
		t->activation = sqlite3_last_insert_rowid(o->db.sql);
	sqlite3_finalize(st);
	return rc;
}

int pagent_outbox_drop(struct pagent_outbox *o, int64_t activation, struct cs_err *err)
{
	return pol_db_run_for(&o->db, "DELETE FROM tunnel WHERE activation = ?1",
			      (uint64_t)activation, err);
}

int pagent_outbox_row(struct pagent_outbox *o, int64_t time, const char *kind, const char *payload,
		      struct cs_err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = pol_db_run_for(&o->db, "UPDATE audit SET last_row = max(last_row + 1, ?1)",
				(uint64_t)cs_wall_us(), err);

	if (rc == 0)
		rc = pol_db_prepare(&o->db,
				    "INSERT INTO outbox (id, time, kind, payload) "
				    "SELECT last_row, ?1, ?2, ?3 FROM audit",
				    &st, err);
	if (rc == 0) {
		sqlite3_bind_int64(st, 1, time);
		bind_text(st, 2, kind);
		bind_text(st, 3, payload);
		rc = pol_db_run(&o->db, st, err);
	}
	sqlite3_finalize(st);
	return rc;
}

/* ---- for trmd ---- */

static int read_end(struct pagent_outbox *o, struct pagent_outbox_end *end, struct cs_err *err)
{
	bool there;
	int rc = pol_db_number(&o->db, "SELECT last_row FROM audit", &end->last, &there, err);

	end->identity = o->identity;
	return rc == 0 && !there ? cs_fail(err, CS_ESTORE, "audit.db has no last row") : rc;
}

int pagent_outbox_read(struct pagent_outbox *o, unsigned max, pagent_row_fn *fn, void *arg,
		       struct pagent_outbox_end *end, struct cs_err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = ready(o, err);

	if (rc == 0)
		rc = read_end(o, end, err);
	if (rc == 0)
		rc = pol_db_prepare(&o->db,
				    "SELECT id, time, kind, payload FROM outbox "
				    "WHERE acknowledged = 0 ORDER BY id LIMIT ?1",
				    &st, err);
	if (rc == 0)
		sqlite3_bind_int64(st, 1, max);
	while (rc >= 0 && (rc = pol_db_row(&o->db, st, err)) == 1) {
		const struct pagent_row row = {
			.id = sqlite3_column_int64(st, 0),
			.time = sqlite3_column_int64(st, 1),
			.kind = text(st, 2),
			.payload = text(st, 3),
		};

		fn(arg, &row);
		if (row.id > o->handed)
			o->handed = row.id;
	}
	sqlite3_finalize(st);
	return rc;
}

int pagent_outbox_waiting(struct pagent_outbox *o, int64_t *n, struct cs_err *err)
{
	bool there;
	int rc = ready(o, err);

	return rc < 0 ? rc
		      : pol_db_number(&o->db, "SELECT count(*) FROM outbox WHERE acknowledged = 0",
				      n, &there, err);
}

static int remove_done(struct pagent_outbox *o, const struct pagent_outbox_done *done,
		       struct cs_err *err)
{
	int rc = pagent_outbox_begin(o, err);

	/* What is refused goes first: "all up to" would take it along. */
	for (size_t i = 0; i < done->n_refused && rc == 0; i++)
		rc = pol_db_run_for(
			&o->db,
			"UPDATE outbox SET acknowledged = 2 WHERE acknowledged = 0 AND id = ?1",
			(uint64_t)done->refused[i], err);
	if (rc == 0)
		rc = pol_db_run_for(&o->db,
				    "DELETE FROM outbox WHERE acknowledged = 0 AND id <= ?1",
				    (uint64_t)done->last, err);
	if (rc == 0)
		rc = pagent_outbox_commit(o, err);
	if (rc < 0)
		pagent_outbox_rollback(o);
	return rc;
}

int pagent_outbox_done(struct pagent_outbox *o, const struct pagent_outbox_done *done,
		       struct cs_err *err)
{
	int64_t waits = 0;
	bool there;
	int rc = ready(o, err);

	/* Before this process has handed out some it does not know what an earlier one has. */
	if (rc < 0 || o->identity != done->identity || !o->handed)
		return rc;
	if (done->last > o->handed)
		return cs_fail(err, CS_EINVAL, "rows are said to be done that nobody was given");
	/* Nothing is written for what is done already. */
	rc = pol_db_number(&o->db, "SELECT min(id) FROM outbox WHERE acknowledged = 0", &waits,
			   &there, err);
	if (rc < 0 || !there || waits > done->last)
		return rc;
	return remove_done(o, done, err);
}
