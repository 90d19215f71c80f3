/*
 * The line that a finding is about, as far as it may be shown. A policy file holds keys, and a line
 * with an error may hold one where nobody would expect it: misspelled, glued to its keyword, behind
 * a brace, on the line that follows. So a line is shown as far as it is understood to hold none.
 */
#include "policy/show.h"

#include <stdio.h>
#include <string.h>

#define WORD_MAX 64

/* The next character at *text in printable form; returns how many columns it takes. */
static unsigned escape(const char **text, char form[static 8])
{
	uint32_t code;
	unsigned len = pol_char(*text, &code);

	if (len && pol_is_shown(code)) {
		memcpy(form, *text, len);
		form[len] = '\0';
		*text += len;
		return 1;
	}
	if (**text == '\t') {
		(*text)++;
		strcpy(form, " ");
		return 1;
	}
	snprintf(form, 8, "\\x%02x", (unsigned char)**text);
	(*text)++;
	return 4;
}

bool pol_escape(const char *text, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	while (*text) {
		char form[8];
		size_t len;

		escape(&text, form);
		len = strlen(form);
		if (used + len >= size)
			return false;
		memcpy(buf + used, form, len + 1);
		used += len;
	}
	return true;
}

/* ---- how much may be shown ---- */

static size_t behind_brace(const char *text)
{
	size_t n = strcspn(text, "{}");

	return text[n] ? n + 1 : n;
}

/* Up to a word that is a secret's keyword: two lines that became one. */
static size_t before_secret(const char *text)
{
	const char *rest = text;
	struct pol_word word;
	char copy[WORD_MAX];

	while ((word = pol_word_next(&rest)).len)
		if (pol_word_copy(word, copy, sizeof(copy)) && pol_is_secretive(copy) &&
		    word.p != text)
			return (size_t)(word.p - text);
	return strlen(text);
}

/* Up to the end of the second word. */
static size_t behind_name(const char *text)
{
	const char *rest = text;

	pol_word_next(&rest);
	pol_word_next(&rest);
	return (size_t)(rest - text);
}

/* How many bytes of the line may be shown. */
static size_t visible(const char *text)
{
	const char *rest = text;
	struct pol_word first = pol_word_next(&rest);
	const struct pol_statement *s;
	size_t n, end = strlen(text);
	char keyword[WORD_MAX];

	if (text[0] == '{' || text[0] == '}')
		return 1;
	first.len = pol_keyword_len(first.p, first.len);
	if (!pol_word_copy(first, keyword, sizeof(keyword)))
		return WORD_MAX - 1;
	if (pol_is_secretive(keyword) || !pol_is_near_known(keyword))
		return first.len;
	s = pol_statement_find(keyword);
	if (s && s->support == POL_NOTED && !pol_is_param(keyword))
		return first.len; /* who knows what it holds */
	if (s && s->params)
		end = behind_name(text);
	n = behind_brace(text);
	if (n < end)
		end = n;
	n = before_secret(text);
	return n < end ? n : end;
}

/* ---- what is marked ---- */

struct span {
	size_t from, to; /* bytes of the line */
};

static struct span keyword_span(const char *text)
{
	const char *rest = text;
	struct pol_word word = pol_word_next(&rest);

	return (struct span){0, pol_keyword_len(word.p, word.len)};
}

static struct span marked(const char *text, size_t end, const struct pol_place_in *place)
{
	const char *rest = text;
	struct span span = {0, end};
	size_t value;

	pol_word_next(&rest);
	value = (size_t)(rest - text) + strspn(rest, " \t");
	switch (place->mark) {
	case POL_MARK_LINE:
	case POL_MARK_NOTHING:
		break;
	case POL_MARK_KEYWORD:
		span = keyword_span(text);
		break;
	case POL_MARK_VALUE:
		span.from = value;
		break;
	case POL_MARK_WORD:
		span = (struct span){value + place->skip, value + place->skip + place->len};
		break;
	}
	if (span.from >= end) /* not shown */
		span = keyword_span(text);
	if (span.to > end)
		span.to = end;
	while (span.to > span.from + 1 && strchr(" \t\r", text[span.to - 1]))
		span.to--;
	return span;
}

/* ---- the line as it is shown ---- */

/* Columns of the bytes before `at`. */
static unsigned columns(const char *text, size_t at)
{
	const char *p = text;
	unsigned n = 0;
	char form[8];

	while (*p && (size_t)(p - text) < at)
		n += escape(&p, form);
	return n;
}

static unsigned characters(const char *text, size_t at)
{
	const char *p = text;
	unsigned n = 0;
	char form[8];

	for (; *p && (size_t)(p - text) < at; n++)
		escape(&p, form);
	return n;
}

/* The columns from..to of text up to its byte `end`, with dots where something is left out. */
static void put_window(const char *text, size_t end, unsigned from, unsigned to, char *buf)
{
	const char *p = text;
	unsigned column = 0;

	buf[0] = '\0';
	if (from)
		strcat(buf, "...");
	while (*p && (size_t)(p - text) < end && column < to) {
		char form[8];
		unsigned width = escape(&p, form);

		if (column >= from && column + width <= to)
			strcat(buf, form);
		else if (column + width > from && column < to)
			strncat(buf, "....", column < from ? column + width - from : to - column);
		column += width;
	}
	if ((size_t)(p - text) < end)
		strcat(buf, "...");
	else if (text[end])
		strcat(buf, " ...");
}

bool pol_show(const struct pol_line *line, const struct pol_place_in *place,
	      struct pol_shown *shown)
{
	const unsigned room = POL_SHOWN_COLUMNS - 8; /* for dots */
	const char *text = line->text;
	unsigned from = 0, to, all, begin, len;
	struct span span;
	size_t end;

	if (!*text || line->bad || place->mark == POL_MARK_NOTHING)
		return false;
	end = visible(text);
	while (end > 0 && strchr(" \t\r", text[end - 1]))
		end--;
	if (!end)
		return false;
	span = marked(text, end, place);
	all = columns(text, end);
	begin = columns(text, span.from);
	len = columns(text, span.to) - begin;
	to = all;
	if (all > room) {
		from = begin < room / 3 ? 0 : begin - room / 3;
		to = from + room < all ? from + room : all;
		from = to - room;
	}
	put_window(text, end, from, to, shown->text);
	shown->mark = begin - from + (from ? 3 : 0);
	shown->mark_len = begin + len > to ? to - begin : len;
	if (!shown->mark_len)
		shown->mark_len = 1;
	shown->column = line->indent + characters(text, span.from) + 1;
	return true;
}

/* ---- a finding as it is printed ---- */

static const char *const severities[] = {"error", "warning", "note"};

static void print_source(FILE *out, const struct pol_diag *d)
{
	fprintf(out, "%5u | %s\n      | %*s^", d->line, d->source, (int)d->mark, "");
	for (unsigned i = 1; i < d->mark_len; i++)
		fputc('~', out);
	fputc('\n', out);
}

void pol_diag_print(FILE *out, const struct pol_diag *d)
{
	fprintf(out, "%s:%u: %s: ", d->file, d->line, severities[d->severity]);
	if (*d->statement)
		fprintf(out, "%s: ", d->statement);
	if (*d->attribute)
		fprintf(out, "%s: ", d->attribute);
	fprintf(out, "%s\n", d->text);
	if (*d->source)
		print_source(out, d);
	if (*d->expected)
		fprintf(out, "      = expected: %s\n", d->expected);
}
