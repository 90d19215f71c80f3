/*
 * SMF files in a directory: records one after another, a new file when the newest is full or old,
 * and beside them the checkpoint (smf/smf.h), which says how far all is safe and the last row of
 * each outbox that has records here.
 *
 * What append() has taken is on the disk with its checkpoint; what a kill or a power failure leaves
 * behind the checkpoint is cut off by the next open().  So each row is in the files exactly once,
 * when rows up to trmd_writer_last() are not given again.
 */
#ifndef TRMD_WRITER_H
#define TRMD_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct trmd_writer;

/* When a new file begins. */
struct trmd_limits {
	uint64_t bytes;   /* before a file would be longer; one append is not divided */
	unsigned seconds; /* since the file began; 0: never */
};

/* Nothing is opened yet. The directory is not made. */
int trmd_writer_new(const char *dir, const struct trmd_limits *limits, struct trmd_writer **writer,
		    struct cs_err *err);
void trmd_writer_free(struct trmd_writer *w); /* NULL is allowed */

/*
 * Brings the directory in order and is ready to append; does nothing when it is. After each error
 * it must be called again, and may be as long as it fails. What it finds broken it logs.
 */
int trmd_writer_open(struct trmd_writer *w, int64_t now, struct cs_err *err);
/* source is below SMF_SOURCES. When it is open: the last row of it that is in the files. */
uint64_t trmd_writer_last(const struct trmd_writer *w, unsigned source);
/* All of data, whole records, or nothing. last is the row that the last record is of. */
int trmd_writer_append(struct trmd_writer *w, const uint8_t *data, size_t len, unsigned source,
		       uint64_t last, int64_t now, struct cs_err *err);
/*
 * The last bytes of the newest file; false: the last record is another source's, or there are
 * fewer, or they cannot be read.
 */
bool trmd_writer_tail(const struct trmd_writer *w, unsigned source, uint8_t *data, size_t len);
/* Of the outbox that trmd_writer_last() is of; 0: not known. */
uint64_t trmd_writer_identity(const struct trmd_writer *w, unsigned source);
/* Rows behind last of that outbox follow; identity may be 0. */
int trmd_writer_follow(struct trmd_writer *w, unsigned source, uint64_t last, uint64_t identity,
		       struct cs_err *err);
/* Begins another file unless this one has no record, or, unless always, is not old. */
int trmd_writer_rotate(struct trmd_writer *w, bool always, int64_t now, struct cs_err *err);

/* When it is open, for trmd_closed_tidy(). */
int trmd_writer_dir(const struct trmd_writer *w);
const char *trmd_writer_file(const struct trmd_writer *w);

#endif
