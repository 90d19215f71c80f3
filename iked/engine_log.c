/*
 * How the engine speaks: log lines with the context of their negotiation, and events.
 */
#include <stdarg.h>
#include <stdio.h>

#include "iked/engine_private.h"

void ike_logf(struct ike_engine *e, struct cs_logctx lc, const char *id, enum cs_severity severity,
	      const char *format, ...)
{
	char text[CS_LOG_LINE];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	e->ops.log(e->ctx, lc, id, severity, text);
}

struct cs_logctx ike_p1_ctx(const struct ike_p1 *p1)
{
	struct cs_logctx lc = {.instance = p1->instance};

	snprintf(lc.tunnel, sizeof(lc.tunnel), "K%u", p1->tunnel);
	return lc;
}

struct cs_logctx ike_p2_ctx(const struct ike_p2 *p2)
{
	struct cs_logctx lc = {.instance = p2->instance};

	snprintf(lc.tunnel, sizeof(lc.tunnel), "Y%u", p2->tunnel->number);
	return lc;
}

void ike_tell(struct ike_engine *e, enum ike_event_kind kind, uint32_t instance, uint32_t p1,
	      uint32_t p2, const char *rule, const char *reason)
{
	struct ike_event ev = {kind, instance, p1, p2, rule, reason};

	e->ops.event(e->ctx, &ev);
}
