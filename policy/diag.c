/*
 * Findings about policy files: collected while reading, told in file order.
 */
#include "policy/diag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/show.h"

struct pol_finding {
	enum pol_severity severity;
	struct pol_place_in place;
	unsigned file_index, seq;
	char *statement, *attribute, *text, *expected;
};

struct pol_source {
	const char *file;
	struct pol_lines lines;
};

/* A copy without control characters, which would play tricks on a terminal or a log. */
static char *plain(const char *text)
{
	char buf[4 * 512];

	pol_escape(text, buf, sizeof(buf));
	return strdup(buf);
}

static void finding_free(struct pol_finding *f)
{
	free(f->statement);
	free(f->attribute);
	free(f->text);
	free(f->expected);
}

/* Cuts text that snprintf cut to size between characters. */
static void cut(char *text, size_t size)
{
	size_t len = strlen(text), begin = len;
	uint32_t code;

	if (len + 1 < size)
		return;
	while (begin > 0 && len - begin < 4 && ((unsigned char)text[--begin] & 0xc0) == 0x80)
		;
	if (!pol_char(text + begin, &code) && ((unsigned char)text[begin] & 0xc0) == 0xc0)
		text[begin] = '\0';
}

void pol_diags_keep(struct pol_diags *d, const char *file, struct pol_lines *lines)
{
	struct pol_source *more = realloc(d->sources, (d->n_sources + 1) * sizeof(*more));

	if (!more) {
		d->no_memory = true;
		pol_lines_free(lines);
		return;
	}
	d->sources = more;
	d->sources[d->n_sources++] = (struct pol_source){file, *lines};
	memset(lines, 0, sizeof(*lines));
}

/* Files may hold anything, and who reads findings has enough of them some time. */
static bool has_room(struct pol_diags *d, enum pol_severity severity,
		     const struct pol_place_in *place)
{
	bool other = severity != POL_ERROR;
	unsigned told = other ? d->n_others : d->n_errors;

	if (told < POL_FINDINGS_MAX) {
		*(other ? &d->n_others : &d->n_errors) += 1;
		return true;
	}
	if (!d->beyond[other].file)
		d->beyond[other] = (struct pol_place_in){.file = place->file, .line = place->line};
	if (other)
		d->n_untold++;
	else
		d->gave_up = true;
	return false;
}

void pol_vfind(struct pol_diags *d, enum pol_severity severity, struct pol_place_in place,
	       const struct pol_node *node, const char *attribute, const char *fmt, va_list ap)
{
	struct pol_finding f = {.severity = severity, .place = place};
	char statement[128], text[512], head[80];

	if (!has_room(d, severity, &place))
		return;
	if ((d->n & (d->n - 1)) == 0) {
		struct pol_finding *more =
			realloc(d->findings, (d->n ? 2 * (size_t)d->n : 1) * sizeof(*more));

		if (!more) {
			d->no_memory = true;
			return;
		}
		d->findings = more;
	}
	statement[0] = '\0';
	if (node && node->name)
		snprintf(statement, sizeof(statement), "%s %.64s", node->statement->keyword,
			 node->name);
	else if (node)
		snprintf(statement, sizeof(statement), "%s", node->statement->keyword);
	snprintf(head, sizeof(head), "%.64s", attribute ? attribute : "");
	vsnprintf(text, sizeof(text), fmt, ap);
	cut(text, sizeof(text));
	f.statement = plain(statement);
	f.attribute = plain(head);
	f.text = plain(text);
	f.expected = strdup(place.expected ? place.expected : "");
	f.place.expected = NULL;
	f.seq = d->n;
	if (!f.statement || !f.attribute || !f.text || !f.expected) {
		finding_free(&f);
		d->no_memory = true;
		return;
	}
	d->findings[d->n++] = f;
}

void pol_find(struct pol_diags *d, enum pol_severity severity, struct pol_place_in place,
	      const struct pol_node *node, const char *attribute, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	pol_vfind(d, severity, place, node, attribute, fmt, ap);
	va_end(ap);
}

void pol_diags_file(struct pol_diags *d, const char *file, const struct pol_lines *lines)
{
	struct pol_place_in place = {.file = file, .line = 1, .mark = POL_MARK_NOTHING};

	if (lines->all_write)
		pol_find(d, POL_WARNING, place, NULL, NULL,
			 "every user may write this file: chmod o-w %.100s", file);
}

bool pol_first_note(struct pol_diags *d, const void *row)
{
	const void **more;

	for (unsigned i = 0; i < d->n_noted; i++)
		if (d->noted[i] == row)
			return false;
	more = realloc(d->noted, (d->n_noted + 1) * sizeof(*more));
	if (!more) {
		d->no_memory = true;
		return false;
	}
	d->noted = more;
	d->noted[d->n_noted++] = row;
	return true;
}

static int by_place(const void *a, const void *b)
{
	const struct pol_finding *x = a, *y = b;

	if (x->file_index != y->file_index)
		return x->file_index < y->file_index ? -1 : 1;
	if (x->place.line != y->place.line)
		return x->place.line < y->place.line ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static int by_number(const void *key, const void *element)
{
	unsigned number = *(const unsigned *)key;
	const struct pol_line *line = element;

	return number < line->number ? -1 : number > line->number;
}

static const struct pol_line *line_of(const struct pol_diags *d, const struct pol_place_in *place)
{
	for (unsigned i = 0; i < d->n_sources; i++) {
		const struct pol_lines *lines = &d->sources[i].lines;

		if (d->sources[i].file == place->file && lines->n)
			return bsearch(&place->line, lines->lines, lines->n, sizeof(*lines->lines),
				       by_number);
	}
	return NULL;
}

static void tell(const struct pol_diags *d, const struct pol_finding *f, pol_diag_fn *fn, void *arg)
{
	const struct pol_line *line = line_of(d, &f->place);
	struct pol_shown shown;
	struct pol_diag diag = {.severity = f->severity,
				.file = f->place.file,
				.line = f->place.line,
				.statement = f->statement,
				.attribute = f->attribute,
				.text = f->text,
				.source = "",
				.expected = f->expected};

	if (line && pol_show(line, &f->place, &shown)) {
		diag.source = shown.text;
		diag.mark = shown.mark;
		diag.mark_len = shown.mark_len;
		diag.column = shown.column;
	}
	fn(arg, &diag);
}

static void tell_beyond(const struct pol_place_in *place, enum pol_severity severity,
			const char *text, pol_diag_fn *fn, void *arg)
{
	struct pol_diag diag = {.severity = severity,
				.file = place->file,
				.line = place->line,
				.statement = "",
				.attribute = "",
				.text = text,
				.source = "",
				.expected = ""};

	fn(arg, &diag);
}

void pol_diags_tell(struct pol_diags *d, const struct pol_tree *tree, pol_diag_fn *fn, void *arg)
{
	char text[96];

	if (!fn)
		return;
	for (unsigned i = 0; i < d->n; i++)
		for (unsigned k = 0; k < tree->n_files; k++)
			if (tree->files[k] == d->findings[i].place.file)
				d->findings[i].file_index = k;
	if (d->n > 1)
		qsort(d->findings, d->n, sizeof(*d->findings), by_place);
	for (unsigned i = 0; i < d->n; i++)
		tell(d, &d->findings[i], fn, arg);
	snprintf(text, sizeof(text), "more warnings: %u of them and of notes are not told",
		 d->n_untold);
	if (d->n_untold)
		tell_beyond(&d->beyond[1], POL_WARNING, text, fn, arg);
	snprintf(text, sizeof(text), "more than %u errors: what else is wrong is not told",
		 POL_FINDINGS_MAX);
	if (d->gave_up)
		tell_beyond(&d->beyond[0], POL_ERROR, text, fn, arg);
}

void pol_diags_free(struct pol_diags *d)
{
	for (unsigned i = 0; i < d->n; i++)
		finding_free(&d->findings[i]);
	for (unsigned i = 0; i < d->n_sources; i++)
		pol_lines_free(&d->sources[i].lines);
	free(d->findings);
	free(d->sources);
	free(d->noted);
	memset(d, 0, sizeof(*d));
}
