/*
 * trmd, the daemon around drain.h.  It reads iked's outbox as the user of iked's worker, without a
 * capability, asks pagent for its own, and writes SMF files and the system log.
 */
#ifndef TRMD_TRMD_H
#define TRMD_TRMD_H

#include "common/daemon.h"
#include "common/paths.h"
#include "trmd/closed.h"
#include "trmd/limit.h"
#include "trmd/writer.h"

#define TRMD_USER "csipsec-iked" /* iked.db is the worker's */

struct trmd_options {
	const char *stack, *user; /* user NULL: the default */
	char config[CS_PATH_MAX];
	bool config_given, foreground;
	char directory[CS_PATH_MAX]; /* of SMF files; "": the stack's */
	struct trmd_limits limits;
	struct trmd_keep keep;
	struct trmd_limit_settings packets;
};

/* ---- run.c ---- */

enum cs_exit trmd_run(struct trmd_options *o);

/* ---- privilege.c ---- */

/*
 * As root: makes the directory of SMF files for that user, if it is not there, and becomes the
 * user, without a capability and without a way back.  As anybody else: makes the directory.
 */
int trmd_privilege_drop(const char *user, const char *directory, struct cs_err *err);

#endif
