/*
 * The tables of the shared store and what is asked of them, in the SQL that sqlite and PostgreSQL
 * have in common.  Addresses are text, times are seconds since 1970 by the clock of who wrote them.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/shared_store.h"

#define SCHEMA_VERSION 1
#define VALUES_MAX     12

static const char *const schema[] = {
	"CREATE TABLE csipsec_shared (version bigint NOT NULL)",
	"CREATE TABLE csipsec_address ("
	" address text PRIMARY KEY, owner text NOT NULL, epoch bigint NOT NULL,"
	" claimed bigint NOT NULL)",
	"CREATE TABLE csipsec_sa ("
	" address text NOT NULL, host text NOT NULL,"
	" kind text NOT NULL CHECK (kind IN ('K', 'Y')),"
	" tunnel bigint NOT NULL, generation bigint NOT NULL, parent bigint NOT NULL,"
	" used bigint NOT NULL, expires bigint NOT NULL, attributes text NOT NULL,"
	" PRIMARY KEY (address, host, kind, tunnel, generation))",
	("CREATE TABLE csipsec_host ("
	 " host text PRIMARY KEY, policy text NOT NULL, seen bigint NOT NULL)"),
};

/* ---- statements with their values ---- */

struct values {
	const char *v[VALUES_MAX];
	char room[VALUES_MAX][CS_ADDR_STRLEN];
	unsigned n;
};

static void add(struct values *v, const char *text)
{
	v->v[v->n++] = text;
}

static void add_number(struct values *v, int64_t number)
{
	snprintf(v->room[v->n], sizeof(v->room[0]), "%lld", (long long)number);
	add(v, v->room[v->n]);
}

static void add_address(struct values *v, const struct cs_addr *address)
{
	add(v, cs_addr_text(address, v->room[v->n]));
}

/* address, host, kind, tunnel, generation: $1 to $5 */
static void add_key(struct values *v, const struct ike_shared_key *k)
{
	add_address(v, k->address);
	add(v, k->host);
	add(v, k->kind == 'K' ? "K" : "Y");
	add_number(v, k->tunnel);
	add_number(v, k->generation);
}

static int query(struct ike_shared_db *db, const char *sql, const struct values *v,
		 ike_shared_values_fn *fn, void *arg, struct cs_err *err)
{
	return db->backend->run(db, sql, v ? v->v : NULL, v ? v->n : 0, fn, arg, NULL, err);
}

static int change(struct ike_shared_db *db, const char *sql, const struct values *v,
		  uint64_t *changed, struct cs_err *err)
{
	return db->backend->run(db, sql, v ? v->v : NULL, v ? v->n : 0, NULL, NULL, changed, err);
}

static bool get_number(const char *text, uint64_t max, uint64_t *n)
{
	char *end;

	*n = strtoull(text, &end, 10);
	return end != text && !*end && text[0] != '-' && *n <= max;
}

static bool get_text(const char *text, char *to, size_t size)
{
	size_t len = strlen(text);

	if (len >= size)
		return false;
	memcpy(to, text, len + 1);
	return true;
}

int ike_shared_begin(struct ike_shared_db *db, struct cs_err *err)
{
	return change(db, db->backend->begin, NULL, NULL, err);
}

int ike_shared_end(struct ike_shared_db *db, int status, struct cs_err *err)
{
	if (status == 0)
		return change(db, "COMMIT", NULL, NULL, err);
	/* A database that is away is left alone: closing the handle ends the transaction. */
	if (status == CS_EINVAL)
		change(db, "ROLLBACK", NULL, NULL, NULL);
	return status;
}

/* ---- the tables ---- */

static int see(void *arg, const char *const *values)
{
	(void)values;
	*(bool *)arg = true;
	return 0;
}

static int take_number(void *arg, const char *const *values)
{
	return get_number(values[0], INT64_MAX, arg) ? 0 : -1;
}

static int has_tables(struct ike_shared_db *db, bool *there, struct cs_err *err)
{
	struct values v = {.n = 0};

	add(&v, "csipsec_shared");
	*there = false;
	return query(db, db->backend->has_table, &v, see, there, err);
}

static int check_version(struct ike_shared_db *db, struct cs_err *err)
{
	uint64_t version = 0;
	int status = query(db, "SELECT max(version) FROM csipsec_shared", NULL, take_number,
			   &version, err);

	if (status < 0)
		return status;
	if (version > SCHEMA_VERSION)
		return cs_fail(
			err, CS_EUNSUPPORTED,
			"the tables of the shared store are of version %llu, this iked knows "
			"%d",
			(unsigned long long)version, SCHEMA_VERSION);
	if (version != SCHEMA_VERSION)
		return cs_fail(err, CS_ESTORE, "csipsec_shared has no version");
	return 0;
}

/* Who was faster has made them meanwhile. */
static int make_in_transaction(struct ike_shared_db *db, struct cs_err *err)
{
	char text[80];
	bool there;
	int status =
		db->backend->only_one ? query(db, db->backend->only_one, NULL, NULL, NULL, err) : 0;

	if (status == 0)
		status = has_tables(db, &there, err);
	if (status < 0 || there)
		return status;
	for (unsigned i = 0; i < sizeof(schema) / sizeof(*schema) && status == 0; i++)
		status = change(db, schema[i], NULL, NULL, err);
	snprintf(text, sizeof(text), "INSERT INTO csipsec_shared VALUES (%d)", SCHEMA_VERSION);
	return status == 0 ? change(db, text, NULL, NULL, err) : status;
}

static int make(struct ike_shared_db *db, struct cs_err *err)
{
	int status = ike_shared_begin(db, err);

	if (status < 0)
		return status;
	return ike_shared_end(db, make_in_transaction(db, err), err);
}

static int ready(struct ike_shared_db *db, bool may_make, struct cs_err *err)
{
	bool there;
	int status = has_tables(db, &there, err);

	if (status == 0 && !there)
		status = may_make ? make(db, err)
				  : cs_fail(err, CS_ESTORE,
					    "the tables of the shared store are not there yet");
	if (status == 0)
		status = check_version(db, err);
	if (status == CS_EINVAL) /* what is wrong with the tables can be mended */
		status = CS_ESTORE;
	return status;
}

int ike_shared_tables_make(struct ike_shared_db *db, struct cs_err *err)
{
	return ready(db, true, err);
}

int ike_shared_tables_check(struct ike_shared_db *db, struct cs_err *err)
{
	return ready(db, false, err);
}

/* ---- owners ---- */

static bool get_owner(const char *owner, const char *epoch, struct ike_shared_owner *o)
{
	return get_text(owner, o->owner, sizeof(o->owner)) &&
	       get_number(epoch, INT64_MAX - 1, &o->epoch);
}

static int take_owner(void *arg, const char *const *values)
{
	return get_owner(values[0], values[1], arg) ? 0 : -1;
}

int ike_shared_get_owner(struct ike_shared_db *db, const struct cs_addr *address,
			 struct ike_shared_owner *o, struct cs_err *err)
{
	struct values v = {.n = 0};

	add_address(&v, address);
	memset(o, 0, sizeof(*o));
	return query(db, "SELECT owner, epoch FROM csipsec_address WHERE address = $1", &v,
		     take_owner, o, err);
}

struct owners {
	ike_shared_owner_fn *fn;
	void *arg;
};

/* A row that somebody else has put there is no reason to forget the rest. */
static int give_owner(void *arg, const char *const *values)
{
	const struct owners *owners = arg;
	struct ike_shared_owner o;
	struct cs_addr address;

	if (cs_addr_parse(values[0], &address, NULL) == 0 && get_owner(values[1], values[2], &o))
		owners->fn(owners->arg, &address, &o);
	return 0;
}

int ike_shared_each_owner(struct ike_shared_db *db, ike_shared_owner_fn *fn, void *arg,
			  struct cs_err *err)
{
	struct owners owners = {fn, arg};

	return query(db, "SELECT address, owner, epoch FROM csipsec_address", NULL, give_owner,
		     &owners, err);
}

int ike_shared_set_owner(struct ike_shared_db *db, const struct cs_addr *address,
			 const struct ike_shared_owner *seen, const struct ike_shared_owner *want,
			 int64_t now, bool *done, struct cs_err *err)
{
	struct values v = {.n = 0};
	uint64_t changed = 0;
	int status;

	add_address(&v, address);
	add(&v, want->owner);
	add_number(&v, (int64_t)want->epoch);
	add_number(&v, now);
	if (seen->epoch == 0 && seen->owner[0] == '\0') {
		status = change(db,
				"INSERT INTO csipsec_address (address, owner, epoch, claimed)"
				" VALUES ($1, $2, $3, $4) ON CONFLICT (address) DO UPDATE"
				" SET owner = $2, epoch = $3, claimed = $4"
				" WHERE csipsec_address.owner = '' AND csipsec_address.epoch = 0",
				&v, &changed, err);
	} else {
		add(&v, seen->owner);
		add_number(&v, (int64_t)seen->epoch);
		status = change(db,
				"UPDATE csipsec_address SET owner = $2, epoch = $3, claimed = $4"
				" WHERE address = $1 AND owner = $5 AND epoch = $6",
				&v, &changed, err);
	}
	*done = changed == 1;
	return status;
}

int ike_shared_fence(struct ike_shared_db *db, const struct cs_addr *address,
		     const struct ike_shared_owner *me, bool *held, struct cs_err *err)
{
	struct values v = {.n = 0};
	uint64_t changed = 0;
	int status;

	add_address(&v, address);
	add(&v, me->owner);
	add_number(&v, (int64_t)me->epoch);
	/* It changes nothing but holds the row: who wants to claim it waits for our commit. */
	status = change(db,
			"UPDATE csipsec_address SET claimed = claimed"
			" WHERE address = $1 AND owner = $2 AND epoch = $3",
			&v, &changed, err);
	*held = changed == 1;
	return status;
}

/* ---- SAs ---- */

#define OF_KEY " WHERE address = $1 AND host = $2 AND kind = $3 AND tunnel = $4 AND generation = $5"

int ike_shared_put_sa(struct ike_shared_db *db, const struct ike_shared_key *k, uint32_t parent,
		      int64_t used, int64_t expires, const char *attributes, struct cs_err *err)
{
	struct values v = {.n = 0};

	add_key(&v, k);
	add_number(&v, parent);
	add_number(&v, used);
	add_number(&v, expires);
	add(&v, attributes);
	return change(db,
		      "INSERT INTO csipsec_sa (address, host, kind, tunnel, generation, parent,"
		      " used, expires, attributes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
		      " ON CONFLICT (address, host, kind, tunnel, generation) DO UPDATE"
		      " SET parent = $6, used = $7, expires = $8, attributes = $9",
		      &v, NULL, err);
}

int ike_shared_set_used(struct ike_shared_db *db, const struct ike_shared_key *k, int64_t used,
			struct cs_err *err)
{
	struct values v = {.n = 0};

	add_key(&v, k);
	add_number(&v, used);
	return change(db, "UPDATE csipsec_sa SET used = $6" OF_KEY, &v, NULL, err);
}

int ike_shared_drop_sa(struct ike_shared_db *db, const struct ike_shared_key *k, struct cs_err *err)
{
	struct values v = {.n = 0};

	add_key(&v, k);
	return change(db, "DELETE FROM csipsec_sa" OF_KEY, &v, NULL, err);
}

int ike_shared_purge(struct ike_shared_db *db, const struct cs_addr *address, int64_t before,
		     struct cs_err *err)
{
	struct values v = {.n = 0};

	add_address(&v, address);
	add_number(&v, before);
	return change(db, "DELETE FROM csipsec_sa WHERE address = $1 AND expires < $2", &v, NULL,
		      err);
}

struct sas {
	const struct cs_addr *address;
	ike_shared_sa_fn *fn;
	void *arg;
};

static int give_sa(void *arg, const char *const *values)
{
	const struct sas *sas = arg;
	struct ike_shared_key k = {
		.address = sas->address, .host = values[0], .kind = values[1][0]};
	uint64_t tunnel, generation, used;

	if (strlen(k.host) >= IKE_SHARED_HOST || (k.kind != 'K' && k.kind != 'Y') ||
	    !get_number(values[2], UINT32_MAX, &tunnel) ||
	    !get_number(values[3], UINT32_MAX, &generation) ||
	    !get_number(values[4], INT64_MAX, &used))
		return 0;
	k.tunnel = (uint32_t)tunnel;
	k.generation = (uint32_t)generation;
	sas->fn(sas->arg, &k, (int64_t)used, values[5]);
	return 0;
}

int ike_shared_each_sa(struct ike_shared_db *db, const struct cs_addr *address, int64_t now,
		       ike_shared_sa_fn *fn, void *arg, struct cs_err *err)
{
	struct sas sas = {address, fn, arg};
	struct values v = {.n = 0};

	add_address(&v, address);
	add_number(&v, now);
	return query(db,
		     "SELECT host, kind, tunnel, generation, used, attributes FROM csipsec_sa"
		     " WHERE address = $1 AND expires > $2 ORDER BY kind, used DESC",
		     &v, give_sa, &sas, err);
}

/* ---- hosts ---- */

int ike_shared_put_host(struct ike_shared_db *db, const char *host, const char *policy, int64_t now,
			struct cs_err *err)
{
	struct values v = {.n = 0};

	add(&v, host);
	add(&v, policy);
	add_number(&v, now);
	return change(db,
		      "INSERT INTO csipsec_host (host, policy, seen) VALUES ($1, $2, $3)"
		      " ON CONFLICT (host) DO UPDATE SET policy = $2, seen = $3",
		      &v, NULL, err);
}

int ike_shared_purge_hosts(struct ike_shared_db *db, int64_t before, struct cs_err *err)
{
	struct values v = {.n = 0};

	add_number(&v, before);
	return change(db, "DELETE FROM csipsec_host WHERE seen < $1", &v, NULL, err);
}

struct hosts {
	ike_shared_host_fn *fn;
	void *arg;
};

static int give_host(void *arg, const char *const *values)
{
	const struct hosts *hosts = arg;
	uint64_t seen;

	if (strlen(values[0]) < IKE_SHARED_HOST && get_number(values[2], INT64_MAX, &seen))
		hosts->fn(hosts->arg, values[0], values[1], (int64_t)seen);
	return 0;
}

int ike_shared_each_host(struct ike_shared_db *db, ike_shared_host_fn *fn, void *arg,
			 struct cs_err *err)
{
	struct hosts hosts = {fn, arg};

	return query(db, "SELECT host, policy, seen FROM csipsec_host", NULL, give_host, &hosts,
		     err);
}
