/* A record for people: a line of what happened, then a field a line. */
#include <string.h>

#include "smf/ebcdic.h"
#include "smf/format.h"

#define COLUMN 26

/* What a terminal would obey is shown as a number. */
unsigned smf_text_letter(uint8_t c, char *to)
{
	static const char digits[] = "0123456789abcdef";

	if (c != '\\' && c >= 0x20 && c != 0x7f && (c < 0x80 || c >= 0xa0))
		return smf_latin1_utf8(c, to);
	to[0] = '\\';
	to[1] = 'x';
	to[2] = digits[c >> 4];
	to[3] = digits[c & 15];
	return 4;
}

static char *put_name(char *to, const char *name)
{
	size_t len = strlen(name);

	*to++ = ' ';
	*to++ = ' ';
	to = smf_fmt_string(to, name);
	memset(to, ' ', len < COLUMN ? COLUMN - len : 1);
	return to + (len < COLUMN ? COLUMN - len : 1);
}

static char *put_field(struct smf_export *x, char *to, const struct smf_record *r,
		       enum smf_field field)
{
	struct cs_bytes value;

	uint64_t flags;

	if (!smf_has_value(r, field, &value) ||
	    (smf_rows[field].kind == SMF_K_FLAGS && smf_get_u64(r, field, &flags) && !flags))
		return to;
	to = put_name(to, smf_rows[field].name);
	to = smf_fmt_value(x, to, r, field, &value);
	*to++ = '\n';
	return to;
}

static char *put_section(struct smf_export *x, char *to, const struct smf_record *r,
			 enum smf_section section)
{
	const struct smf_section_row *s = &smf_sections[section];
	const struct smf_span *span = &r->sections[section];

	for (unsigned i = s->first; span->p && i < s->first + s->n; i++)
		to = put_field(x, to, r, (enum smf_field)i);
	if (s->len > 0 && span->len < s->len) {
		to = smf_fmt_string(smf_fmt_string(to, "  "), s->title);
		to = smf_fmt_number(smf_fmt_string(to, ": "), span->len);
		to = smf_fmt_number(smf_fmt_string(to, " of "), s->len);
		to = smf_fmt_string(to, " bytes\n");
	}
	if (s->len > 0 && span->len > s->len) {
		to = smf_fmt_string(smf_fmt_string(to, "  "), s->title);
		to = smf_fmt_string(to, ": unknown bytes 0x");
		to = smf_fmt_hex(to, span->p + s->len, span->len - s->len);
		*to++ = '\n';
	}
	return to;
}

char *smf_fmt_text(struct smf_export *x, char *to, const struct smf_record *r)
{
	char *end = smf_fmt_header_time(x, to, r);

	to = end == to ? to : smf_fmt_string(end, " ");
	to = smf_fmt_number(to, r->layout->subtype);
	to = smf_fmt_string(smf_fmt_string(to, " "), r->layout->title);
	to = smf_fmt_string(smf_fmt_string(to, " ("), smf_event(r));
	to = smf_fmt_string(to, ")\n");
	to = put_section(x, to, r, SMF_S_HEADER);
	for (unsigned i = 0; i < r->layout->n_sections; i++)
		to = put_section(x, to, r, r->layout->sections[i]);
	*to++ = '\n';
	return to;
}
