/*
 * The files of an SMF directory: their names, and what becomes of those that are full.
 *
 * A name is the time of the first record in it (or later, so that names only grow) and a number
 * that tells files of one second apart: 20260115T102030Z-0001.smf; compressed, .gz is behind it.
 */
#ifndef TRMD_CLOSED_H
#define TRMD_CLOSED_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

#define TRMD_NAME_LEN 25 /* "20260115T102030Z-0001.smf" */

struct trmd_file {
	char name[TRMD_NAME_LEN + 1]; /* without .gz */
	bool plain, gz;               /* which of the two are there */
	uint64_t size;                /* of the plain one */
};

/* Those with names like ours, in order. The caller frees *files. */
int trmd_files(int dirfd, struct trmd_file **files, unsigned *n, struct cs_err *err);
/* The next name after newest ("": there is none): of now, or the smallest greater one. */
int trmd_next_name(const char *newest, int64_t now, char name[static TRMD_NAME_LEN + 1],
		   struct cs_err *err);
/* Seconds since 1970 that the name says. */
int64_t trmd_name_time(const char *name);

/* What becomes of closed files. */
struct trmd_keep {
	bool compress;
	unsigned files; /* compressed or not, the current one counted; 0: all */
	unsigned days;  /* a file whose last record is older may go; 0: none */
};

/*
 * Compresses and removes; touches nothing of the name current or a later one.  May take long, and
 * may run beside the writer.  What a kill leaves is put right by the next call.  *removed is the
 * number of files that were.
 */
int trmd_closed_tidy(int dirfd, const char *current, const struct trmd_keep *keep, int64_t now,
		     unsigned *removed, struct cs_err *err);

#endif
