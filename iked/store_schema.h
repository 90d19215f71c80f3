/*
 * The tables of iked.db and the statements on them.  Private to the store; one thread uses a handle
 * at a time.
 */
#ifndef IKE_STORE_SCHEMA_H
#define IKE_STORE_SCHEMA_H

#include <sqlite3.h>
#include <sys/types.h>

#include "iked/store.h"

#define IKE_DB_APPLICATION_ID 0x43534944 /* "CSID", shown by file(1) */

enum ike_db_statement {
	PUT_P1,
	DROP_P1,
	PUT_P2,
	DROP_P2,
	COUNT_P2,
	PUT_INTENT,
	DROP_INTENT,
	PUT_OUTBOX,
	PUT_COUNTERS,
	N_STATEMENTS
};

struct ike_db {
	sqlite3 *handle;
	sqlite3_stmt *statements[N_STATEMENTS];
	char path[256];
	dev_t device; /* of the file that is open, and what it was at least */
	ino_t inode;
	off_t size;
	uint32_t last_tunnel; /* of the transaction under way */
};

/*
 * What went wrong decides who is at fault: the record, what the database is on, or the database
 * itself.
 */
enum ike_db_fault { IKE_DB_OK, IKE_DB_RECORD, IKE_DB_STUCK, IKE_DB_UNUSABLE };

/*
 * Creates or checks the tables. read_only: for the look at the cache at start. CS_ESTORE: it may
 * work later; CS_EPARSE: never, it is damaged, of a later version or another program's.
 */
int ike_db_open(const char *path, bool read_only, struct ike_db **db, struct cs_err *err);
void ike_db_close(struct ike_db *db); /* NULL is allowed */
/* CS_EPARSE: some of it cannot be read. */
int ike_db_check(struct ike_db *db, struct cs_err *err);
/* Gives it another name, and opens a new one with what could be read; we must not have it open. */
int ike_db_set_aside(const char *path, const struct cs_err *why, struct ike_db **db,
		     struct cs_err *err);

enum ike_db_fault ike_db_begin(struct ike_db *db, struct cs_err *err);
/* Has it an outbox row?  The result of an intent has, a move changes the cache alone. */
bool ike_db_has_row(enum ike_record_kind kind);
/* State rows and outbox row of one record; a second result of one intent is ignored. */
enum ike_db_fault ike_db_write(struct ike_db *db, uint64_t tx, const struct ike_record *rec,
			       struct cs_err *err);
/* The record that says how many were lost, first and last time of loss. */
enum ike_db_fault ike_db_write_loss(struct ike_db *db, uint64_t tx, uint64_t lost, int64_t since,
				    int64_t until, struct cs_err *err);
enum ike_db_fault ike_db_commit(struct ike_db *db, uint64_t last_tx, struct cs_err *err);
void ike_db_rollback(struct ike_db *db);

int ike_db_last(struct ike_db *db, uint64_t *last_tx, uint32_t *last_tunnel, struct cs_err *err);
int ike_db_each_p1(struct ike_db *db, ike_cached_p1_fn *fn, void *arg, struct cs_err *err);
int ike_db_each_p2(struct ike_db *db, ike_cached_fn *fn, void *arg, struct cs_err *err);

#endif
