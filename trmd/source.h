/*
 * Where rows come from: an outbox, as drain.c sees it.  There are two, iked's (outbox.h), which is
 * a database that trmd may open, and pagent's (manual.h), which is root's and is asked for by its
 * socket.  Both have rows of ids that grow, and let go of them when they are done.
 *
 * Ids grow with time, but for rows of kind LOSS: such a row may become visible before others of
 * smaller ids.  So "all up to" never speaks of them; they are named one by one.
 */
#ifndef TRMD_SOURCE_H
#define TRMD_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "smf/smf.h"

/* Their places in the checkpoint. */
enum trmd_source_place { TRMD_IKED, TRMD_PAGENT, TRMD_SOURCES };
_Static_assert((int)TRMD_SOURCES == SMF_SOURCES, "the checkpoint has a place for each");

struct trmd_row {
	uint64_t id;
	int64_t time;
	const char *kind, *payload; /* never NULL; valid during the call */
};
typedef void trmd_row_fn(void *arg, const struct trmd_row *row);

/* What is done: all rows up to last but LOSS, these rows of LOSS. */
struct trmd_done {
	uint64_t last; /* 0: none */
	const uint64_t *losses, *refused;
	size_t n_losses, n_refused;
};

struct trmd_source_ops {
	/*
	 * 0: rows can be read now, 1: not yet, and nothing is wrong.  *identity: another one is
	 * another outbox.
	 */
	int (*open)(void *self, uint64_t *identity, struct cs_err *err);
	void (*close)(void *self); /* what went wrong is looked at anew by open */
	/*
	 * Calls fn for the next rows in order of their ids, at most max.  Returns how many, or a
	 * code; CS_EAGAIN: in a moment.  fn must be quick.
	 */
	int (*read)(void *self, unsigned max, trmd_row_fn *fn, void *arg, struct cs_err *err);
	/* The same for the row of that id alone, if it is there. NULL where follows is. */
	int (*row)(void *self, uint64_t id, trmd_row_fn *fn, void *arg, struct cs_err *err);
	/*
	 * 1: it can be the one whose row `last` was the last that was written; 0: it is another
	 * one, an older copy or a new one, whose ids say nothing.  NULL: the identity says all, for
	 * ever; an older copy has the same, and gives new rows ids that no other ever had.
	 */
	int (*follows)(void *self, uint64_t last, struct cs_err *err);
	/* Refused rows stay for who looks into them, and are not read again. */
	int (*done)(void *self, const struct trmd_done *done, struct cs_err *err);
};

struct trmd_source {
	const struct trmd_source_ops *ops;
	void *self;
	const char *name; /* for messages */
};

#endif
