/*
 * Logging.  Every line has a message of the table in common/messages.h (id, severity, text) and a
 * context that ties the lines of one negotiation together.  The context is a value: "none" is a
 * valid form, and no log call follows a pointer into an object that may be gone.
 */
#ifndef CS_LOG_H
#define CS_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/messages.h"

enum cs_severity { CS_DEBUG, CS_INFO, CS_NOTICE, CS_WARNING, CS_ERROR };

struct cs_logctx {
	uint32_t instance; /* message instance number of the negotiation; 0 is none */
	char tunnel[12];   /* "K1", "Y2" or "" */
};

#define CS_NOCTX ((struct cs_logctx){0, ""})

#define CS_LOG_LINE 1024

/* Once at start: to stderr when foreground, else to syslog (both through libdaemon). */
void cs_log_open(const char *program, bool foreground);
/* Lines below this severity are not written; default CS_INFO. */
void cs_log_level(enum cs_severity least);

/* cs_log(ctx, CSM_READY, args...): the macro of the table stands for id, severity and format. */
void cs_log(struct cs_logctx ctx, const char *id, enum cs_severity severity, const char *format,
	    ...) __attribute__((format(printf, 4, 5)));
/* Writes a line that somebody formatted already (the engine's own log operation does). */
void cs_log_text(struct cs_logctx ctx, const char *id, enum cs_severity severity, const char *text);
/* LOG_INFO and the like, of syslog(3). */
int cs_syslog_priority(enum cs_severity severity);
/* The line as it is written, without program and time: "12 CSI1001I K1: text". */
void cs_log_line(char *line, unsigned size, struct cs_logctx ctx, const char *id, const char *text);

#endif
