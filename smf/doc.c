/* docs/smf119.md: what the rows say, for people. */
#include "smf/doc.h"

#include <stdlib.h>

#include "smf/smf.h"

static const char beginning[] =
	"# SMF type 119 records\n\n"
	"Made by `./dev docs` from the rows of `smf/table.c`, which encoder, decoder and `smfdump` "
	"use.\n\n"
	"Security associations are recorded in SMF records of type 119, subtypes 73 to 80, as z/OS "
	"has them. Header, self-defining\n"
	"section and identification section, which sections a subtype has and in which order (of "
	"74: presumably), and the first 102\n"
	"bytes of the common IP tunnel section are as IBM publishes them. **For the rest the "
	"places are this project's: layout " SMF_LAYOUT ".**\n"
	"Names and meanings follow the original, offsets may not: where *known* below does not "
	"begin with A, do not expect z/OS\n"
	"tools to read these fields, nor `smfdump` to show those of a z/OS dump right.\n\n"
	"Integers are big-endian, text is EBCDIC (IBM-1047) padded with blanks. A section is found "
	"by its triplet in the self-defining\n"
	"section: offset in the record (4 bytes), length of one instance (2), number of instances "
	"(2); all zero where it is absent. Offsets\n"
	"of fields are within their section. One that is longer than here has fields that this "
	"release does not know, a shorter one\n"
	"lacks the last ones. In a file records follow each other; the first four bytes of each "
	"are its record descriptor word (RDW).\n\n"
	"*Known* is about the place, then about the content: A read at IBM, B seen in other "
	"material, M from memory, P chosen here.\n"
	"Names are those of the original's mapping without `SMF119` or `SMF119IS_`, and the keys "
	"of `smfdump`'s output.\n";

static const char *kind_text(const struct smf_row *row)
{
	switch (row->kind) {
	case SMF_K_UINT:
		return "number";
	case SMF_K_ENUM:
		return "list";
	case SMF_K_FLAGS:
		return "bits";
	case SMF_K_TEXT:
		return "text";
	case SMF_K_ADDR:
		return "address";
	case SMF_K_HEX:
		return "hex";
	case SMF_K_UNIX:
		return "seconds since 1970 UTC";
	case SMF_K_TOD:
		return "TOD clock";
	case SMF_K_CLOCK:
		return "hundredths of a second";
	case SMF_K_DATE:
		return "packed date";
	case SMF_K_RESERVED:
		return "reserved";
	}
	return "";
}

static void subtypes(FILE *out)
{
	fputs("\n## Subtypes\n\n| subtype | title | event | component | sections after the "
	      "identification section |\n| --- | --- | --- | --- | --- |\n",
	      out);
	for (unsigned n = SMF_SUBTYPE_FIRST; n <= SMF_SUBTYPE_LAST; n++) {
		const struct smf_layout *l = smf_layout_of(n);

		fprintf(out, "| %u | %s | `%s`", n, l->title, l->event);
		if (l->refreshed)
			fprintf(out, ", `%s` from generation 2", l->refreshed);
		fprintf(out, " | %s |", l->component);
		for (unsigned i = 1; i < l->n_sections; i++)
			fprintf(out, "%s %s", i > 1 ? "," : "", smf_sections[l->sections[i]].name);
		fputs(" |\n", out);
	}
}

static void field(FILE *out, const struct smf_row *row)
{
	fprintf(out, "| %u (X'%X') | %u | %s | %s | %c %c | %s", row->offset, row->offset, row->len,
		row->name, kind_text(row), row->place, row->content, row->meaning);
	for (const struct smf_name *n = row->names; n && n->name; n++)
		fprintf(out, "%s%u `%s`", n == row->names ? ": " : ", ", n->value, n->name);
	fputs(" |\n", out);
}

static void section(FILE *out, const struct smf_section_row *s)
{
	fprintf(out, "\n## %s (`%s`)\n\n", s->title, s->name);
	if (s->len == 0) {
		fprintf(out,
			"`%s`: %s, as text, all of the section. At most %d bytes are written.\n",
			smf_rows[s->first].name, smf_rows[s->first].meaning, SMF_TEXT_MAX);
		return;
	}
	fprintf(out,
		"%u bytes.\n\n| offset | length | name | form | known | meaning |\n"
		"| --- | --- | --- | --- | --- | --- |\n",
		s->len);
	for (unsigned i = s->first; i < s->first + s->n; i++)
		field(out, &smf_rows[i]);
}

void smf_doc(FILE *out)
{
	fputs(beginning, out);
	subtypes(out);
	for (unsigned i = 0; i < SMF_SECTIONS; i++)
		section(out, &smf_sections[i]);
}
