/* Logging on libdaemon: to stderr in the foreground, else to syslog. */
#include "common/log.h"

#include <libdaemon/dlog.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

static enum cs_severity least_severity = CS_INFO;

void cs_log_open(const char *program, bool foreground)
{
	daemon_log_ident = program;
	daemon_log_use = foreground ? DAEMON_LOG_STDERR : DAEMON_LOG_SYSLOG;
}

void cs_log_level(enum cs_severity least)
{
	least_severity = least;
}

int cs_syslog_priority(enum cs_severity severity)
{
	static const int priorities[] = {
		[CS_DEBUG] = LOG_DEBUG,     [CS_INFO] = LOG_INFO, [CS_NOTICE] = LOG_NOTICE,
		[CS_WARNING] = LOG_WARNING, [CS_ERROR] = LOG_ERR,
	};

	return priorities[severity];
}

void cs_log_line(char *line, unsigned size, struct cs_logctx ctx, const char *id, const char *text)
{
	char instance[12] = "";

	if (ctx.instance)
		snprintf(instance, sizeof(instance), "%u ", ctx.instance);
	snprintf(line, size, "%s%s %s%s%s", instance, id, ctx.tunnel, ctx.tunnel[0] ? ": " : "",
		 text);
	/* What comes from a peer or a file must not start a line of its own. */
	for (char *p = line; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
}

void cs_log_text(struct cs_logctx ctx, const char *id, enum cs_severity severity, const char *text)
{
	char line[CS_LOG_LINE];

	if (severity < least_severity)
		return;
	cs_log_line(line, sizeof(line), ctx, id, text);
	daemon_log(cs_syslog_priority(severity), "%s", line);
}

void cs_log(struct cs_logctx ctx, const char *id, enum cs_severity severity, const char *format,
	    ...)
{
	char text[CS_LOG_LINE];
	va_list ap;

	if (severity < least_severity)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	cs_log_text(ctx, id, severity, text);
}
