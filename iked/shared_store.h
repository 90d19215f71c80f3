/*
 * The helper's side of the shared store: two kinds of database behind one table of functions, and
 * above them what is asked of either (shared_tables.c).  Blocking; a handle is one thread's.
 */
#ifndef IKE_SHARED_STORE_H
#define IKE_SHARED_STORE_H

#include "iked/shared.h"

#define IKE_SHARED_TIMEOUT_MS 10000 /* a statement that takes longer: the store is away */

/* What a backend begins its own handle with. */
struct ike_shared_db {
	const struct ike_shared_backend *backend;
};

/* Values of a row as text; "" for NULL. Not 0 ends the statement with CS_EINVAL. */
typedef int ike_shared_values_fn(void *arg, const char *const *values);

struct ike_shared_backend {
	const char *scheme; /* with the colon */
	/* Looks at what follows the scheme. CS_EINVAL, CS_EUNSUPPORTED. */
	int (*check)(const char *place, struct cs_err *err);
	/* write: where the tables can be written; else the nearest. CS_EUNSUPPORTED: never. */
	int (*open)(const char *place, bool write, struct ike_shared_db **db, struct cs_err *err);
	void (*close)(struct ike_shared_db *db);
	/*
	 * One statement with values $1 to $n. *changed (may be NULL): rows that it changed.
	 * CS_EINVAL: the statement or its values are not accepted; CS_ESTORE: the database is away.
	 */
	int (*run)(struct ike_shared_db *db, const char *sql, const char *const *values, unsigned n,
		   ike_shared_values_fn *fn, void *arg, uint64_t *changed, struct cs_err *err);
	const char *begin;     /* of a transaction that writes */
	const char *has_table; /* $1; a row when it is there */
	const char *only_one;  /* in a transaction: others wait here until it ends, or NULL */
};

extern const struct ike_shared_backend ike_shared_sqlite, ike_shared_pq;

/* By the scheme of the URI; *place is what follows. CS_EINVAL, CS_EUNSUPPORTED. */
int ike_shared_backend_of(const char *uri, const struct ike_shared_backend **backend,
			  const char **place, struct cs_err *err);
/* The name of a file system that several hosts mount, by statfs(2)'s number; NULL: it is none. */
const char *ike_shared_network_fs(unsigned long type);

/* ---- shared_tables.c ---- */

/* Makes the tables where they are not there. CS_EUNSUPPORTED: they are of a later version. */
int ike_shared_tables_make(struct ike_shared_db *db, struct cs_err *err);
/* The same without making any. CS_ESTORE: they are not there yet. */
int ike_shared_tables_check(struct ike_shared_db *db, struct cs_err *err);

int ike_shared_begin(struct ike_shared_db *db, struct cs_err *err);
/* Commits when all went well so far (status 0), else takes it back. The status then. */
int ike_shared_end(struct ike_shared_db *db, int status, struct cs_err *err);

/* Of whom an address is. epoch 0 and owner "": nobody's. */
struct ike_shared_owner {
	char owner[IKE_SHARED_HOST];
	uint64_t epoch;
};
int ike_shared_get_owner(struct ike_shared_db *db, const struct cs_addr *address,
			 struct ike_shared_owner *o, struct cs_err *err);
typedef void ike_shared_owner_fn(void *arg, const struct cs_addr *address,
				 const struct ike_shared_owner *o);
int ike_shared_each_owner(struct ike_shared_db *db, ike_shared_owner_fn *fn, void *arg,
			  struct cs_err *err);
/* Compare and set. *done: it was as seen, and is as wanted now. */
int ike_shared_set_owner(struct ike_shared_db *db, const struct cs_addr *address,
			 const struct ike_shared_owner *seen, const struct ike_shared_owner *want,
			 int64_t now, bool *done, struct cs_err *err);
/* In a transaction: until its end the address stays ours. *held false: it is not. */
int ike_shared_fence(struct ike_shared_db *db, const struct cs_addr *address,
		     const struct ike_shared_owner *me, bool *held, struct cs_err *err);

struct ike_shared_key {
	const struct cs_addr *address;
	const char *host;
	char kind;
	uint32_t tunnel, generation;
};
int ike_shared_put_sa(struct ike_shared_db *db, const struct ike_shared_key *k, uint32_t parent,
		      int64_t used, int64_t expires, const char *attributes, struct cs_err *err);
int ike_shared_set_used(struct ike_shared_db *db, const struct ike_shared_key *k, int64_t used,
			struct cs_err *err);
int ike_shared_drop_sa(struct ike_shared_db *db, const struct ike_shared_key *k,
		       struct cs_err *err);
/* Those that expired before that time. */
int ike_shared_purge(struct ike_shared_db *db, const struct cs_addr *address, int64_t before,
		     struct cs_err *err);
/* Phase 1 first, then the most recently used. Without those that have expired. */
typedef void ike_shared_sa_fn(void *arg, const struct ike_shared_key *k, int64_t used,
			      const char *attributes);
int ike_shared_each_sa(struct ike_shared_db *db, const struct cs_addr *address, int64_t now,
		       ike_shared_sa_fn *fn, void *arg, struct cs_err *err);

/* That this host is there, with this policy (hex, "" when it has none yet). */
int ike_shared_put_host(struct ike_shared_db *db, const char *host, const char *policy, int64_t now,
			struct cs_err *err);
/* Those that were seen last before that time. */
int ike_shared_purge_hosts(struct ike_shared_db *db, int64_t before, struct cs_err *err);
typedef void ike_shared_host_fn(void *arg, const char *host, const char *policy, int64_t seen);
int ike_shared_each_host(struct ike_shared_db *db, ike_shared_host_fn *fn, void *arg,
			 struct cs_err *err);

#endif
