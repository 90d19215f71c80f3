/*
 * The outbox of iked's database, as its reader sees it (iked/store_schema.c makes it).  iked's
 * writer appends at the same time; a row is removed when its records are safe.
 *
 * Ids grow with time, but for rows of kind LOSS: such a row may become visible before others of
 * smaller ids.  So "all up to" never speaks of them; they are named one by one.
 */
#ifndef TRMD_OUTBOX_H
#define TRMD_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct trmd_outbox;

struct trmd_row {
	uint64_t id;
	int64_t time;
	const char *kind, *payload; /* never NULL; valid during the call */
};

/*
 * CS_ENOTFOUND: there is none (yet); CS_EUNSUPPORTED: a later iked's; CS_ESTORE: damaged, no
 * database of iked, or not to be read; CS_EAGAIN: locked.
 */
int trmd_outbox_open(const char *path, struct trmd_outbox **outbox, struct cs_err *err);
void trmd_outbox_close(struct trmd_outbox *o); /* NULL is allowed */
/* The number of its file; another one is another database. */
uint64_t trmd_outbox_inode(const struct trmd_outbox *o);

/*
 * Calls fn for the next rows in order of their ids, at most max. Returns how many, or as above;
 * CS_ENOTFOUND also when the file of that name is another one now: close, and open again.  fn must
 * be quick: iked's database cannot be tidied up meanwhile.
 */
typedef void trmd_row_fn(void *arg, const struct trmd_row *row);
int trmd_outbox_read(struct trmd_outbox *o, unsigned max, trmd_row_fn *fn, void *arg,
		     struct cs_err *err);

/* The same for the row of that id alone, if it is there. */
int trmd_outbox_row(struct trmd_outbox *o, uint64_t id, trmd_row_fn *fn, void *arg,
		    struct cs_err *err);

/*
 * 1: the database can be the one whose row `last` was the last that was written; 0: it is another
 * one, an older copy or a new one, whose ids say nothing.
 */
int trmd_outbox_follows(struct trmd_outbox *o, uint64_t last, struct cs_err *err);

/* One transaction: all rows up to last but LOSS, these rows of LOSS. */
struct trmd_done {
	uint64_t last; /* 0: none */
	const uint64_t *losses, *refused;
	size_t n_losses, n_refused;
};
/* Rows that are refused stay in the table for who looks into them, and are not read again. */
int trmd_outbox_done(struct trmd_outbox *o, const struct trmd_done *done, struct cs_err *err);

#endif
