/*
 * A directory of SMF files as its writer leaves it: files whose names sort by age, plain (".smf")
 * or compressed (".smf.gz"), and the checkpoint, which names the newest one and says how much of it
 * is safe.  Nothing is handed out that is not: files before the checkpoint's as they are, that one
 * up to its length.
 */
#ifndef SMF_DIRECTORY_H
#define SMF_DIRECTORY_H

#include "smf/smf.h"

struct smf_directory;

/* CS_ENOTFOUND, CS_EPERM, CS_ESYS. */
int smf_directory_open(const char *path, struct smf_directory **dir, struct cs_err *err);
void smf_directory_close(struct smf_directory *d); /* NULL is allowed */
/* As smf_checkpoint_read(), with the directory's name in err. */
int smf_directory_checkpoint(const struct smf_directory *d, struct smf_checkpoint *cp,
			     struct cs_err *err);

struct smf_directory_file {
	int fd;           /* the caller's; -1: it cannot be read, for the reason in err */
	const char *name; /* "DIRECTORY/FILE", valid until the next call */
};
/*
 * The next file that the checkpoint has as safe. 1, also for one that is there and cannot be read;
 * 0: that was the last one; CS_ENOTFOUND: the checkpoint's has gone; CS_ENOMEM.
 */
int smf_directory_next(struct smf_directory *d, const struct smf_checkpoint *cp,
		       struct smf_directory_file *file, struct cs_err *err);
/*
 * The file that was handed out last: < 0 all of it is safe, 0 it is the checkpoint's, > 0 nothing
 * of it is any more.
 */
int smf_directory_place(const struct smf_directory *d, const struct smf_checkpoint *cp);
/* Of the newest file: is all there that the checkpoint says? Else CS_EPARSE. */
int smf_directory_check(int fd, const struct smf_checkpoint *cp, struct cs_err *err);

/* How many files there are that are compressed by something else and so not read. */
unsigned smf_directory_others(const struct smf_directory *d);

#endif
