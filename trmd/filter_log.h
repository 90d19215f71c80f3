/*
 * Packets that filter rules log become log lines: nflog.h, limit.h, loss.h and filters.h on trmd's
 * loop. pagent is asked for its filters every half minute, and when a policy comes into force.
 */
#ifndef TRMD_FILTER_LOG_H
#define TRMD_FILTER_LOG_H

#include <uv.h>

#include "common/err.h"
#include "common/log.h"
#include "trmd/limit.h"

/* Takes a line, id and text, or returns false at once: it cannot be taken now. */
typedef bool trmd_line_fn(void *arg, enum cs_severity severity, const char *line);

struct trmd_filter_log_env {
	const char *stack;
	/* A directory where the counts are kept while trmd does not run. */
	const char *directory;
	struct trmd_limit_settings limits;
	trmd_line_fn *say;
	void *arg;
};

struct trmd_filter_log;

/*
 * What env points to must stay, but for env itself.  Needs CAP_NET_ADMIN, now: without it, or when
 * another program has our group of NFLOG, that is told, and there are no lines of packets.
 */
int trmd_filter_log_open(uv_loop_t *loop, const struct trmd_filter_log_env *env,
			 struct trmd_filter_log **log, struct cs_err *err);
/* Looks for the first time; not before the process is the user that it stays. */
void trmd_filter_log_begin(struct trmd_filter_log *log);
/* Tells what is held back and the sums, keeps the counts and ends; free it when the loop has. */
void trmd_filter_log_end(struct trmd_filter_log *log);
void trmd_filter_log_free(struct trmd_filter_log *log); /* NULL is allowed */

#endif
