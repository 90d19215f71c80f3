/*
 * What every daemon of ours does around its work: one process a stack by a locked pid file, the
 * background (libdaemon), readiness told to the starter and to systemd, and signals to the running
 * one.
 */
#ifndef CS_DAEMON_H
#define CS_DAEMON_H

#include <stdbool.h>

#include "common/err.h"
#include "common/nmi.h"

enum cs_exit {
	CS_EXIT_OK = 0,
	CS_EXIT_FAILED = 1, /* cannot start or go on; the log says why */
	CS_EXIT_USAGE = 2,  /* wrong options */
	CS_EXIT_RUNS = 3,   /* one runs for this stack already */
	CS_EXIT_ABSENT = 4, /* none runs for this stack */
};

/* First of all: whose pid file it is ("$CSIPSEC_RUNDIR/STACK/PROGRAM.pid"). Both texts stay the
 * caller's. */
int cs_daemon_for(const char *program, const char *stack, struct cs_err *err);
bool cs_daemon_runs(void);

/*
 * Calls serve, in the background unless foreground; the starter waits until cs_daemon_ready() or
 * the end.  Opens the log, holds the pid file while serve runs.  Returns the exit status.
 */
typedef enum cs_exit cs_serve_fn(void *arg);
enum cs_exit cs_daemon_start(bool foreground, cs_serve_fn *serve, void *arg);
/* From within serve; again is harmless. */
void cs_daemon_ready(void);
/* Tells systemd. */
void cs_daemon_stopping(void);

/*
 * Descriptors that outlive the process, by systemd's store of them (sd_notify(3), FDSTORE): what
 * was given with a name is handed to the next process of the unit.  False: nobody keeps it.
 */
bool cs_daemon_keep(const char *name, int fd);
void cs_daemon_keep_no_more(const char *name);
/* The caller's from then on, and no child's; -1: none of that name was handed over. */
int cs_daemon_kept(const char *name);

/* Signals the running one; for SIGTERM waits so long for its end. Complains on stderr. */
enum cs_exit cs_daemon_signal(int signal, unsigned wait_seconds);
/*
 * Sends the running one a request by its management socket and waits so long for the answer, whose
 * entries fn gets (NULL: they are of no interest).  signal, unless 0, is sent before, when the
 * daemon is known to hear it.  Complains on stderr.
 */
enum cs_exit cs_daemon_ask(const char *request, int signal, unsigned wait_seconds,
			   cs_nmi_entry_fn *fn, void *arg);

#endif
