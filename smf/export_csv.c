/*
 * A record as a line of CSV (RFC 4180, but lines end with a line feed alone).  One set of columns
 * for all records, so that a file of all subtypes has one heading; what a record has not is empty.
 */
#include <string.h>

#include "smf/ebcdic.h"
#include "smf/format.h"

/* Quotes are doubled; whatever may be one line stays one. */
unsigned smf_csv_letter(uint8_t c, char *to)
{
	if (c == '"') {
		to[0] = to[1] = '"';
		return 2;
	}
	return smf_latin1_utf8(c < 0x20 || (c >= 0x7f && c < 0xa0) ? '?' : c, to);
}

/* Columns are the fields of the sections that the chosen subtypes have. */
static bool has_section(const struct smf_export *x, unsigned section)
{
	for (unsigned i = 0; i <= SMF_SUBTYPE_LAST - SMF_SUBTYPE_FIRST; i++)
		for (unsigned k = 0; k < smf_layouts[i].n_sections; k++)
			if (x->o.subtypes >> i & 1 && smf_layouts[i].sections[k] == section)
				return true;
	return false;
}

static bool is_column(unsigned field)
{
	return smf_rows[field].kind != SMF_K_RESERVED && (smf_rows[field].section != SMF_S_HEADER ||
							  field == SMF_HDSID || field == SMF_HDSSI);
}

char *smf_fmt_csv_heading(const struct smf_export *x, char *to)
{
	to = smf_fmt_string(to, "Time,SubType,Event");
	for (unsigned s = 0; s < SMF_SECTIONS; s++)
		for (unsigned i = smf_sections[s].first;
		     i < smf_sections[s].first + smf_sections[s].n &&
		     (s == SMF_S_HEADER || has_section(x, s));
		     i++)
			if (is_column(i)) {
				*to++ = ',';
				to = smf_fmt_string(to, smf_rows[i].name);
			}
	*to++ = '\n';
	return to;
}

/* Spreadsheets take what begins so for a formula, quoted or not. */
static bool is_formula(const struct smf_export *x, const struct cs_bytes *value)
{
	char first = x->letters.of[value->p[0]].text[0];

	return strchr("=+-@", first) != NULL;
}

static char *put_field(struct smf_export *x, char *to, const struct smf_record *r,
		       enum smf_field field)
{
	struct cs_bytes value;

	*to++ = ',';
	if (!smf_has_value(r, field, &value))
		return to;
	if (smf_rows[field].kind != SMF_K_TEXT)
		return smf_fmt_value(x, to, r, field, &value);
	*to++ = '"';
	if (is_formula(x, &value))
		*to++ = '\'';
	to = smf_fmt_value(x, to, r, field, &value);
	*to++ = '"';
	return to;
}

char *smf_fmt_csv(struct smf_export *x, char *to, const struct smf_record *r)
{
	to = smf_fmt_header_time(x, to, r);
	*to++ = ',';
	to = smf_fmt_number(to, r->layout->subtype);
	*to++ = ',';
	to = smf_fmt_string(to, smf_event(r));
	for (unsigned s = 0; s < SMF_SECTIONS; s++)
		for (unsigned i = smf_sections[s].first;
		     i < smf_sections[s].first + smf_sections[s].n &&
		     (s == SMF_S_HEADER || has_section(x, s));
		     i++)
			if (is_column(i))
				to = put_field(x, to, r, (enum smf_field)i);
	*to++ = '\n';
	return to;
}
