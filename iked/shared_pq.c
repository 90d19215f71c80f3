/*
 * The shared store in PostgreSQL.  What libpq's connection string can is the operator's: several
 * hosts, TLS, a password file.  Writes go to the host that takes them, reads to the first of the
 * list that answers: the replica beside this host, when it stands first.
 */
#include "iked/shared_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_LIBPQ

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <time.h>

#define COLUMNS_MAX 16

struct db {
	struct ike_shared_db base;
	PGconn *conn;
};

/* "//host/db" is the rest of a URI, anything else "keyword=value ..." */
static const char *conninfo(const char *place, char room[static IKE_SHARED_URI])
{
	if (strncmp(place, "//", 2) != 0)
		return place;
	snprintf(room, IKE_SHARED_URI, "postgresql:%s", place);
	return room;
}

/* libpq's messages have several lines. */
static const char *one_line(const char *text, char *line, size_t size)
{
	size_t n = 0;

	for (; *text && n + 1 < size; text++)
		line[n++] = *text == '\n' || *text == '\t' ? ' ' : *text;
	while (n > 0 && line[n - 1] == ' ')
		n--;
	line[n] = '\0';
	return line;
}

static int check(const char *place, struct cs_err *err)
{
	char room[IKE_SHARED_URI], line[200], *why = NULL;
	PQconninfoOption *options = PQconninfoParse(conninfo(place, room), &why);
	int status = 0;

	/* What it complains of could be a part of the password. */
	if (!options && (!why || strstr(place, "pass")))
		status = cs_fail(err, CS_EINVAL, "it is not a connection string of libpq");
	else if (!options)
		status = cs_fail(err, CS_EINVAL, "%s", one_line(why, line, sizeof(line)));
	PQconninfoFree(options);
	PQfreemem(why);
	return status;
}

static int fail(struct db *db, enum cs_code code, const char *why, struct cs_err *err)
{
	char line[200];

	if (!why || !*why)
		why = PQerrorMessage(db->conn);
	return cs_fail(err, code, "PostgreSQL: %s", one_line(why, line, sizeof(line)));
}

static uint64_t milliseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void close_db(struct ike_shared_db *base)
{
	struct db *db = (struct db *)base;

	PQfinish(db->conn);
	free(db);
}

/* Waits until the socket is as wanted. 0: it is not, in time. */
static int wait_for(struct db *db, short events, uint64_t until)
{
	for (;;) {
		struct pollfd p = {.fd = PQsocket(db->conn), .events = events};
		uint64_t now = milliseconds();
		int n;

		if (p.fd < 0 || now >= until)
			return p.fd < 0 ? -1 : 0;
		n = poll(&p, 1, (int)(until - now));
		if (n >= 0 || errno != EINTR)
			return n;
	}
}

static int timed_out(struct cs_err *err)
{
	return cs_fail(err, CS_ESTORE, "PostgreSQL has not answered for %d s",
		       IKE_SHARED_TIMEOUT_MS / 1000);
}

/* Sends what waits to be sent, while what the server says is taken, or both might wait forever. */
static int flush(struct db *db, uint64_t until, struct cs_err *err)
{
	int left;

	while ((left = PQflush(db->conn)) == 1) {
		int n = wait_for(db, POLLIN | POLLOUT, until);

		if (n == 0)
			return timed_out(err);
		if (n < 0 || !PQconsumeInput(db->conn))
			return fail(db, CS_ESTORE, NULL, err);
	}
	return left == 0 ? 0 : fail(db, CS_ESTORE, NULL, err);
}

static int next_result(struct db *db, uint64_t until, PGresult **result, struct cs_err *err)
{
	while (PQisBusy(db->conn)) {
		int n = wait_for(db, POLLIN, until);

		if (n == 0)
			return timed_out(err);
		if (n < 0 || !PQconsumeInput(db->conn))
			return fail(db, CS_ESTORE, NULL, err);
	}
	*result = PQgetResult(db->conn);
	return 0;
}

/*
 * Whose fault is it?  Classes 21 to 23 are of the values.  All else, rights that are missing and
 * tables that are gone included, is of a kind that ends when somebody does something.
 */
static int refused(struct db *db, const PGresult *r, struct cs_err *err)
{
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	bool values = state && state[0] == '2' && state[1] >= '1' && state[1] <= '3';

	return fail(db, values ? CS_EINVAL : CS_ESTORE, PQresultErrorMessage(r), err);
}

static int take_rows(const PGresult *r, ike_shared_values_fn *fn, void *arg, struct cs_err *err)
{
	const char *columns[COLUMNS_MAX] = {0};

	for (int row = 0; fn && row < PQntuples(r); row++) {
		for (int i = 0; i < PQnfields(r) && i < COLUMNS_MAX; i++)
			columns[i] = PQgetvalue(r, row, i); /* "" for NULL */
		if (fn(arg, columns) != 0)
			return cs_fail(err, CS_EINVAL, "PostgreSQL: a row is not understood");
	}
	return 0;
}

static int take_result(struct db *db, const char *sql, PGresult *r, ike_shared_values_fn *fn,
		       void *arg, uint64_t *changed, struct cs_err *err)
{
	switch (PQresultStatus(r)) {
	case PGRES_COMMAND_OK:
		/* That of a transaction that has failed is answered without an error. */
		if (strcmp(sql, "COMMIT") == 0 && strcmp(PQcmdStatus(r), "COMMIT") != 0)
			return fail(db, CS_ESTORE, "the transaction was rolled back", err);
		if (changed)
			*changed = strtoull(PQcmdTuples(r), NULL, 10);
		return 0;
	case PGRES_TUPLES_OK:
		return take_rows(r, fn, arg, err);
	default:
		return refused(db, r, err);
	}
}

static int run(struct ike_shared_db *base, const char *sql, const char *const *values, unsigned n,
	       ike_shared_values_fn *fn, void *arg, uint64_t *changed, struct cs_err *err)
{
	struct db *db = (struct db *)base;
	uint64_t until = milliseconds() + IKE_SHARED_TIMEOUT_MS;
	PGresult *r = NULL;
	int status = 0, status_of_one;

	if (!PQsendQueryParams(db->conn, sql, (int)n, NULL, values, NULL, NULL, 0))
		return fail(db, CS_ESTORE, NULL, err);
	status_of_one = flush(db, until, err);
	if (status_of_one < 0)
		return status_of_one;
	for (;;) {
		status_of_one = next_result(db, until, &r, err);
		if (status_of_one < 0)
			return status_of_one;
		if (!r)
			break;
		if (status == 0)
			status = take_result(db, sql, r, fn, arg, changed, err);
		PQclear(r);
	}
	return status;
}

/* A server that loses us ends what we had begun, so that it does not hold others. */
static int set_limits(struct db *db, struct cs_err *err)
{
	char text[96];
	int status;

	snprintf(text, sizeof(text), "SET statement_timeout = %d", IKE_SHARED_TIMEOUT_MS);
	status = run(&db->base, text, NULL, 0, NULL, NULL, NULL, err);
	if (status < 0)
		return status;
	snprintf(text, sizeof(text), "SET idle_in_transaction_session_timeout = %d",
		 2 * IKE_SHARED_TIMEOUT_MS);
	return run(&db->base, text, NULL, 0, NULL, NULL, NULL, err);
}

static int open_db(const char *place, bool write, struct ike_shared_db **result, struct cs_err *err)
{
	/* Those before dbname hold where the string does not say otherwise, those behind it in any
	 * case. */
	char room[IKE_SHARED_URI];
	const char *const keywords[] = {"connect_timeout",
					"tcp_user_timeout",
					"keepalives_idle",
					"keepalives_interval",
					"keepalives_count",
					"application_name",
					"dbname",
					"target_session_attrs",
					NULL};
	const char *const values[] = {"3",
				      "10000",
				      "5",
				      "2",
				      "3",
				      "iked",
				      conninfo(place, room),
				      write ? "read-write" : "any",
				      NULL};
	struct db *db = calloc(1, sizeof(*db));
	int status = 0;

	if (!db) {
		cs_fail(err, CS_ENOMEM, "out of memory");
		return CS_ESTORE;
	}
	db->base.backend = &ike_shared_pq;
	db->conn = PQconnectdbParams(keywords, values, 1);
	if (!db->conn || PQstatus(db->conn) != CONNECTION_OK)
		status = fail(db, CS_ESTORE, db->conn ? NULL : "out of memory", err);
	else if (PQsetnonblocking(db->conn, 1) < 0)
		status = fail(db, CS_ESTORE, NULL, err);
	else
		status = set_limits(db, err);
	if (status < 0) {
		close_db(&db->base);
		return CS_ESTORE;
	}
	*result = &db->base;
	return 0;
}

const struct ike_shared_backend ike_shared_pq = {
	.scheme = "postgresql:",
	.check = check,
	.open = open_db,
	.close = close_db,
	.run = run,
	.begin = "BEGIN",
	/* Not to_regclass(): it would remember for the whole transaction that there was none. */
	.has_table =
		"SELECT 1 FROM pg_catalog.pg_class WHERE relname = $1 AND relkind IN ('r', 'p')"
		" AND pg_catalog.pg_table_is_visible(oid)",
	/* "csip"; held until the transaction ends */
	.only_one = "SELECT pg_advisory_xact_lock(1668508016)",
};

#else

static int check(const char *place, struct cs_err *err)
{
	(void)place;
	return cs_fail(err, CS_EUNSUPPORTED, "postgresql: is not built in (libpq)");
}

const struct ike_shared_backend ike_shared_pq = {.scheme = "postgresql:", .check = check};

#endif

int ike_shared_backend_of(const char *uri, const struct ike_shared_backend **backend,
			  const char **place, struct cs_err *err)
{
	static const struct ike_shared_backend *const all[] = {&ike_shared_sqlite, &ike_shared_pq};

	if (strlen(uri) >= IKE_SHARED_URI)
		return cs_fail(err, CS_EINVAL, "it is longer than %d characters",
			       IKE_SHARED_URI - 1);
	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++) {
		size_t len = strlen(all[i]->scheme);

		if (strncmp(uri, all[i]->scheme, len) != 0)
			continue;
		*backend = all[i];
		*place = uri + len;
		return all[i]->check(uri + len, err);
	}
	return cs_fail(err, CS_EINVAL,
		       "a shared store is sqlite:PATH or postgresql:CONNECTION-STRING");
}

int ike_shared_check_uri(const char *uri, struct cs_err *err)
{
	const struct ike_shared_backend *backend;
	const char *place;

	return ike_shared_backend_of(uri, &backend, &place, err);
}
