/*
 * Log lines of packets.  They come in floods and must not stop what else trmd does, so a line that
 * the log does not take at once waits in a bounded queue, and when that is full it is refused.
 * Messages of SAs, of which none may be missing, go another way (message.h).
 */
#ifndef TRMD_LINES_H
#define TRMD_LINES_H

#include <uv.h>

#include "trmd/message.h"

#define TRMD_LINES_MAX 4096 /* that wait */
#define TRMD_LOG_PATH  "/dev/log"

struct trmd_lines;

/* path: the system log's socket, which need not be there yet.  What log points to must stay. */
int trmd_lines_open(uv_loop_t *loop, const struct trmd_log *log, const char *path,
		    struct trmd_lines **lines, struct cs_err *err);
/* False: it is refused. Never waits. A trmd_line_fn of filter_log.h, whose arg is the lines. */
bool trmd_lines_say(void *arg, enum cs_severity severity, const char *line);
/* Gives what waits two seconds. Memory goes with the loop's next turn. NULL is allowed. */
void trmd_lines_close(struct trmd_lines *lines);

#endif
