/*
 * What records or lines are read from: a file, a pipe, either of them compressed by gzip.  It is
 * handed out as a descriptor; of a plain file that is the file's own, otherwise a pipe that a
 * thread fills.  Nothing is unpacked that is not read, and nothing is kept anywhere.
 */
#ifndef SMF_SOURCE_H
#define SMF_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct smf_source;

/* Takes fd; 0, CS_ENOMEM, CS_ESYS. */
int smf_source_open(int fd, struct smf_source **source, struct cs_err *err);
/* NULL or "-": the standard input. As above, CS_ENOTFOUND, CS_EPERM. */
int smf_source_open_path(const char *path, struct smf_source **source, struct cs_err *err);
/* Of errno after open(): CS_ENOTFOUND, CS_EPERM or CS_ESYS, with the path. */
int smf_cannot_open(const char *path, struct cs_err *err);

/* Its first bytes, which are still to be read; at most 8. */
size_t smf_source_head(const struct smf_source *s, const uint8_t **bytes);
int smf_source_fd(const struct smf_source *s);

/* Whether it was read to its end or not: CS_EPARSE when it broke off, with the reason. NULL is
 * allowed. */
int smf_source_close(struct smf_source *s, struct cs_err *err);

#endif
