/*
 * The way of a row: read from its outbox, made into records, written, told to the log, removed from
 * the outbox.  Each step is taken when the one before it is safe, so that a kill anywhere leaves
 * each record in the files once; a message may come twice after a kill, but none is missing.
 */
#ifndef TRMD_DRAIN_H
#define TRMD_DRAIN_H

#include "trmd/message.h"
#include "trmd/record.h"
#include "trmd/source.h"
#include "trmd/writer.h"

struct trmd_drain;

/* What is owned elsewhere outlives it. */
struct trmd_drain_env {
	struct trmd_source sources[TRMD_SOURCES]; /* without ops: there is none */
	const char *directory;                    /* of the writer, for messages */
	struct trmd_writer *writer;
	const struct trmd_origin *origin;
	trmd_say_fn *say;
	void *arg;
	unsigned batch; /* rows of one; 0, or more: 256 */
};

int trmd_drain_new(const struct trmd_drain_env *env, struct trmd_drain **drain, struct cs_err *err);
void trmd_drain_free(struct trmd_drain *d); /* NULL is allowed */

/* Which records are written from now on. With none the directory is not touched. */
void trmd_drain_want(struct trmd_drain *d, struct trmd_wanted wanted);

/*
 * One batch of each source; one does not wait for another that cannot be read.  The number of rows
 * that are done; 0: there are none; else a code, and what hinders is logged, once until it changes,
 * and a change once a minute.  May block for as long as the disk takes.
 */
int trmd_drain_step(struct trmd_drain *d, int64_t now);

struct trmd_drain_stats {
	uint64_t rows, records, refused, lost;
	bool reads[TRMD_SOURCES], writes; /* nothing hinders */
};
void trmd_drain_stats(const struct trmd_drain *d, struct trmd_drain_stats *stats);

#endif
