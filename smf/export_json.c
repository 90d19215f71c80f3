/*
 * A record as one JSON object on one line.  Written by hand: building each record with jansson and
 * dumping that is eight times too slow for what smfdump has to read.
 */
#include <string.h>

#include "smf/ebcdic.h"
#include "smf/format.h"

unsigned smf_json_letter(uint8_t c, char *to)
{
	static const char digits[] = "0123456789abcdef";

	if (c == '"' || c == '\\') {
		to[0] = '\\';
		to[1] = (char)c;
		return 2;
	}
	if (c >= 0x20 && c != 0x7f && (c < 0x80 || c >= 0xa0))
		return smf_latin1_utf8(c, to);
	to = smf_fmt_string(to, "\\u00");
	to[0] = digits[c >> 4];
	to[1] = digits[c & 15];
	return 6;
}

static bool is_number(enum smf_kind kind)
{
	return kind == SMF_K_UINT || kind == SMF_K_CLOCK;
}

static char *put_field(struct smf_export *x, char *to, const struct smf_record *r,
		       enum smf_field field)
{
	enum smf_kind kind = smf_rows[field].kind;
	struct cs_bytes value;

	if (!smf_has_value(r, field, &value))
		return to;
	to = smf_fmt_piece(to, &x->keys[field]);
	if (is_number(kind))
		return smf_fmt_value(x, to, r, field, &value);
	if (kind == SMF_K_FLAGS) {
		*to++ = '[';
		to = smf_fmt_flags(to, field, &value, "\"", ",");
		*to++ = ']';
		return to;
	}
	*to++ = '"';
	to = smf_fmt_value(x, to, r, field, &value);
	*to++ = '"';
	return to;
}

static char *put_time(struct smf_export *x, char *to, const struct smf_record *r)
{
	char *value = smf_fmt_string(to, "\"Time\":\"");
	char *end = smf_fmt_header_time(x, value, r);

	return end == value ? to : smf_fmt_string(end, "\",");
}

/* What is strange about its sections. */
enum remark { SHORT, TRAILING, INSTANCES, MISSING };

static const char *const remark_keys[] = {",\"Short\":{", ",\"Trailing\":{", ",\"Instances\":{",
					  ",\"Missing\":{"};

static bool applies(const struct smf_record *r, enum smf_section section, enum remark remark)
{
	const struct smf_span *span = &r->sections[section];
	size_t known = smf_sections[section].len;

	switch (remark) {
	case SHORT:
		return span->p && span->len < known;
	case TRAILING:
		return span->p && known > 0 && span->len > known;
	case INSTANCES:
		return span->number > 1;
	case MISSING:
		return !span->p && known > 0;
	}
	return false;
}

static char *put_remark(char *to, const struct smf_record *r, enum smf_section section,
			enum remark remark)
{
	const struct smf_span *span = &r->sections[section];
	size_t known = smf_sections[section].len;

	to = smf_fmt_string(smf_fmt_string(to, "\""), smf_sections[section].name);
	to = smf_fmt_string(to, "\":");
	switch (remark) {
	case SHORT:
		return smf_fmt_number(to, span->len);
	case TRAILING:
		to = smf_fmt_hex(smf_fmt_string(to, "\"0x"), span->p + known, span->len - known);
		return smf_fmt_string(to, "\"");
	case INSTANCES:
		return smf_fmt_number(to, span->number);
	case MISSING:
		break;
	}
	return smf_fmt_string(to, "true");
}

static char *put_remarks(char *to, const struct smf_record *r, enum remark remark)
{
	bool any = false;

	for (unsigned i = 0; i < r->layout->n_sections; i++) {
		enum smf_section section = r->layout->sections[i];

		if (!applies(r, section, remark))
			continue;
		to = smf_fmt_string(to, any ? "," : remark_keys[remark]);
		to = put_remark(to, r, section, remark);
		any = true;
	}
	if (any)
		*to++ = '}';
	return to;
}

char *smf_fmt_json(struct smf_export *x, char *to, const struct smf_record *r)
{
	*to++ = '{';
	to = put_time(x, to, r);
	to = smf_fmt_string(to, "\"SubType\":");
	to = smf_fmt_number(to, r->layout->subtype);
	to = smf_fmt_string(smf_fmt_string(to, ",\"Event\":\""), smf_event(r));
	*to++ = '"';
	to = put_field(x, to, r, SMF_HDSID);
	to = put_field(x, to, r, SMF_HDSSI);
	for (unsigned i = 0; i < r->layout->n_sections; i++) {
		const struct smf_section_row *s = &smf_sections[r->layout->sections[i]];

		if (!r->sections[r->layout->sections[i]].p)
			continue;
		for (unsigned k = s->first; k < s->first + s->n; k++)
			to = put_field(x, to, r, (enum smf_field)k);
	}
	to = smf_fmt_string(to, ",\"Layout\":\"" SMF_LAYOUT "\"");
	to = put_remarks(to, r, SHORT);
	to = put_remarks(to, r, TRAILING);
	to = put_remarks(to, r, INSTANCES);
	to = put_remarks(to, r, MISSING);
	return smf_fmt_string(to, "}\n");
}
