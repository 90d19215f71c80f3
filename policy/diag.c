/*
 * Findings about policy files: collected while reading, told in file order.
 */
#include "policy/diag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/lex.h"

struct pol_finding {
	enum pol_severity severity;
	const char *file;
	unsigned file_index, line, seq;
	char *statement, *attribute, *text;
};

/*
 * A copy without control characters, which would play tricks on a terminal or a log; in ASCII where
 * the file is not UTF-8 or a character was cut.
 */
static char *plain(const char *text)
{
	char *copy = strdup(text);
	bool ascii = !pol_is_utf8(text);

	for (char *p = copy; p && *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f || (ascii && (unsigned char)*p >= 0x80))
			*p = '?';
	return copy;
}

static void finding_free(struct pol_finding *f)
{
	free(f->statement);
	free(f->attribute);
	free(f->text);
}

void pol_vfind(struct pol_diags *d, enum pol_severity severity, struct pol_place_in place,
	       const struct pol_node *node, const char *attribute, const char *fmt, va_list ap)
{
	struct pol_finding f = {.severity = severity, .file = place.file, .line = place.line};
	char statement[128], text[512], head[80];

	if (severity == POL_ERROR)
		d->n_errors++;
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
	f.statement = plain(statement);
	f.attribute = plain(head);
	f.text = plain(text);
	f.seq = d->n;
	if (!f.statement || !f.attribute || !f.text) {
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
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

void pol_diags_tell(struct pol_diags *d, const struct pol_tree *tree, pol_diag_fn *fn, void *arg)
{
	if (!fn)
		return;
	for (unsigned i = 0; i < d->n; i++)
		for (unsigned k = 0; k < tree->n_files; k++)
			if (tree->files[k] == d->findings[i].file)
				d->findings[i].file_index = k;
	if (d->n > 1)
		qsort(d->findings, d->n, sizeof(*d->findings), by_place);
	for (unsigned i = 0; i < d->n; i++) {
		const struct pol_finding *f = &d->findings[i];
		struct pol_diag diag = {.severity = f->severity,
					.file = f->file,
					.line = f->line,
					.statement = f->statement,
					.attribute = f->attribute,
					.text = f->text};

		fn(arg, &diag);
	}
}

void pol_diags_free(struct pol_diags *d)
{
	for (unsigned i = 0; i < d->n; i++)
		finding_free(&d->findings[i]);
	free(d->findings);
	free(d->noted);
	memset(d, 0, sizeof(*d));
}
