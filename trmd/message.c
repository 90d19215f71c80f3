/* Messages about SAs. */
#include "trmd/message.h"

#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "trmd/filter_message.h"

struct saying {
	trmd_say_fn *say;
	void *arg;
};

static void say(const struct saying *s, const char *id, enum cs_severity severity,
		const char *format, ...) __attribute__((format(printf, 4, 5)));

static void say(const struct saying *s, const char *id, enum cs_severity severity,
		const char *format, ...)
{
	char text[CS_LOG_LINE], line[CS_LOG_LINE];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	cs_log_line(line, sizeof(line), CS_NOCTX, id, text);
	s->say(s->arg, severity, line);
}

/* A field is a word, so that programs find the next one. */
static const char *name(const json_t *o, const char *key)
{
	const char *text = trmd_text(o, key);

	return text[0] && !strpbrk(text, " \t") ? text : "N/A";
}

/* The SPI by which packets come in; of the protocol that is not used it is 0. */
static uint64_t spi_of(const json_t *o, bool ah)
{
	if (ah)
		return strcmp(trmd_text(o, "HowToAuth"), "AH") == 0
			       ? trmd_number(o, "AuthInboundSpi")
			       : 0;
	return trmd_number(o, "EncryptInboundSpi")             ? trmd_number(o, "EncryptInboundSpi")
	       : strcmp(trmd_text(o, "HowToAuth"), "ESP") == 0 ? trmd_number(o, "AuthInboundSpi")
							       : 0;
}

void trmd_messages(const struct trmd_change *change, trmd_say_fn *fn, void *arg)
{
	const json_t *p1 = json_object_get(change->payload, "IKETunnel");
	const json_t *p2 = json_object_get(change->payload, "DynamicTunnel");
	const json_t *manual = json_object_get(change->payload, "ManualTunnel");
	char when[TRMD_TIME_STRLEN], from[TRMD_TIME_STRLEN];
	const struct saying s = {fn, arg};

	trmd_time_text(change->time * 1000000, when);
	switch (change->kind) {
	case TRMD_P2_UP:
		say(&s, CSM_TR_ADDED, when, name(p2, "VpnActionName"), name(p2, "TunnelID"),
		    (unsigned long long)spi_of(p2, true), (unsigned long long)spi_of(p2, false));
		break;
	case TRMD_P2_DOWN:
		say(&s, CSM_TR_DELETED, when, name(p2, "VpnActionName"), name(p2, "TunnelID"),
		    (unsigned long long)spi_of(p2, true), (unsigned long long)spi_of(p2, false));
		break;
	case TRMD_MAN_UP:
		say(&s, CSM_TR_ACTIVATED, when, name(manual, "VpnActionName"),
		    name(manual, "TunnelID"), (unsigned long long)spi_of(manual, true),
		    (unsigned long long)spi_of(manual, false));
		break;
	case TRMD_MAN_DOWN:
		say(&s, CSM_TR_ENDED, when, name(manual, "VpnActionName"), name(manual, "TunnelID"),
		    (unsigned long long)spi_of(manual, true),
		    (unsigned long long)spi_of(manual, false));
		break;
	case TRMD_P1_DOWN:
		say(&s, CSM_TR_IKE_GONE, name(p1, "IKEVersion"),
		    (unsigned long long)trmd_number(p1, "Generation"), name(p1, "TunnelID"));
		break;
	case TRMD_LOSS:
		trmd_time_text((int64_t)trmd_number(change->payload, "From") * 1000000, from);
		say(&s, CSM_TR_LOST, when,
		    (unsigned long long)trmd_number(change->payload, "Records"), from);
		break;
	case TRMD_P1_UP:
	case TRMD_P2_FAILED:
		break;
	}
}

void trmd_say_syslog(void *arg, enum cs_severity severity, const char *line)
{
	const struct trmd_log *log = arg;

	if (log->foreground) {
		fprintf(stderr, "%s\n", line);
		return;
	}
	/* Each time, because the daemon's own log has another tag. */
	openlog(log->tag, LOG_PID, LOG_LOCAL4);
	syslog(LOG_LOCAL4 | cs_syslog_priority(severity), "%s", line);
}
