/* The prefix of logged packets, taken apart. */
#include "trmd/event.h"

#include <ctype.h>
#include <string.h>

#include "common/buf.h"

static const char *const reasons[TRMD_REASONS] = {
	[TRMD_PERMIT] = "permit",     [TRMD_DENY] = "deny",
	[TRMD_IMPLICIT] = "implicit", [TRMD_UNPROTECTED] = "unprotected",
	[TRMD_MISMATCH] = "mismatch", [TRMD_HELD] = "held",
};

const char *trmd_reason_name(enum trmd_reason reason)
{
	return (unsigned)reason < TRMD_REASONS ? reasons[reason] : "unknown";
}

/* The next word, without the blank behind it; empty at the end. */
static struct cs_bytes word(struct cs_reader *r)
{
	struct cs_bytes w = {r->p, 0};
	uint8_t c;

	while (cs_get_u8(r, &c) && c != ' ')
		w.len++;
	return w;
}

static bool is(struct cs_bytes w, const char *text)
{
	return w.len == strlen(text) && memcmp(w.p, text, w.len) == 0;
}

static bool number(struct cs_bytes w, uint64_t max, uint64_t *value)
{
	*value = 0;
	for (size_t i = 0; i < w.len; i++) {
		unsigned digit = w.p[i] - (unsigned)'0';

		if (digit > 9 || *value > (max - digit) / 10)
			return false;
		*value = *value * 10 + digit;
	}
	return w.len > 0;
}

static bool reason_of(struct cs_bytes w, enum trmd_reason *reason)
{
	for (unsigned i = 0; i < TRMD_REASONS; i++)
		if (is(w, reasons[i])) {
			*reason = (enum trmd_reason)i;
			return true;
		}
	return false;
}

static bool name_of(struct cs_bytes w, char name[static TRMD_RULE_NAME])
{
	if (w.len == 0 || w.len >= TRMD_RULE_NAME)
		return false;
	for (size_t i = 0; i < w.len; i++)
		if (!isalnum(w.p[i]) && !strchr("_-.@#:+/?", w.p[i]))
			return false;
	memcpy(name, w.p, w.len);
	name[w.len] = '\0';
	return true;
}

bool trmd_prefix_parse(const char *text, size_t len, struct trmd_event *e)
{
	const char *end = memchr(text, '\0', len);
	struct cs_reader r = cs_reader_of(text, end ? (size_t)(end - text) : len);
	struct cs_bytes way;
	uint64_t rule;

	if (!is(word(&r), "csipsec") || !number(word(&r), UINT64_MAX, &e->generation) ||
	    !reason_of(word(&r), &e->reason))
		return false;
	way = word(&r);
	if (!is(way, "i") && !is(way, "o"))
		return false;
	e->outbound = *way.p == 'o';
	if (!number(word(&r), UINT32_MAX, &rule))
		return false;
	e->rule = (unsigned)rule;
	return name_of((struct cs_bytes){r.p, cs_reader_left(&r)}, e->name);
}
