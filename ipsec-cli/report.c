/*
 * The layouts of a report: detail, short, wide and JSON.  Texts may come from a peer, so nothing
 * that steers a terminal or breaks a line gets through.
 */
#include "ipsec-cli/report.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

#define VALUE_COLUMNS   50 /* so that a detail line fits in 80 */
#define ENTRY_END_STARS 71

static const struct {
	int number;
	const char *name;
} protocols[] = {
	{0, "HOPOPT"},  {1, "ICMP"},  {2, "IGMP"},   {4, "IPIP"},    {6, "TCP"},
	{17, "UDP"},    {41, "IPv6"}, {47, "GRE"},   {50, "ESP"},    {51, "AH"},
	{58, "ICMPv6"}, {89, "OSPF"}, {132, "SCTP"}, {135, "MIPv6"},
};

const char *layout_name(enum layout layout)
{
	static const char *const names[] = {"Short", "Detail", "Wide"};

	return names[layout];
}

/* ---- values ---- */

static const char *protocol_text(long long v, char buf[static VALUE_LEN])
{
	const char *name = NULL;

	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
		if (protocols[i].number == v)
			name = protocols[i].name;
	if (name)
		snprintf(buf, VALUE_LEN, "%s(%lld)", name, v);
	else
		snprintf(buf, VALUE_LEN, "%lld", v);
	return buf;
}

static const char *time_local(long long when, char buf[static VALUE_LEN])
{
	time_t t = (time_t)when;
	struct tm tm;

	if (!localtime_r(&t, &tm) || strftime(buf, VALUE_LEN, "%Y/%m/%d %H:%M:%S", &tm) == 0)
		snprintf(buf, VALUE_LEN, "%lld", when);
	return buf;
}

void time_iso(long long when, char buf[static VALUE_LEN])
{
	time_t t = (time_t)when;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || strftime(buf, VALUE_LEN, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		buf[0] = 0;
}

static const char *integer_text(enum value_kind kind, long long v, char buf[static VALUE_LEN])
{
	switch (kind) {
	case V_TIME:
		return time_local(v, buf);
	case V_MINUTES:
		snprintf(buf, VALUE_LEN, "%lldm", v / 60 + (v % 60 > 0));
		return buf;
	case V_KBYTES:
		snprintf(buf, VALUE_LEN, "%lldK", v);
		return buf;
	case V_BYTES:
		snprintf(buf, VALUE_LEN, "%lldb", v);
		return buf;
	case V_SPI:
		snprintf(buf, VALUE_LEN, "%lld (0x%08llX)", v, (unsigned long long)v);
		return buf;
	case V_PORT:
		if (v == 0)
			return "All";
		break;
	case V_PROTOCOL:
		return v == 0 ? "ALL(0)" : protocol_text(v, buf);
	case V_FILTER_PROTOCOL:
		return protocol_text(v, buf);
	case V_GROUP:
		if (v == 0)
			return "None";
		break;
	case V_PLAIN:
	case V_BLOCK:
		break;
	}
	snprintf(buf, VALUE_LEN, "%lld", v);
	return buf;
}

const char *value_text(enum value_kind kind, const json_t *value, char buf[static VALUE_LEN])
{
	if (json_is_string(value))
		return json_string_value(value);
	if (json_is_boolean(value))
		return json_is_true(value) ? "Yes" : "No";
	if (json_is_integer(value))
		return integer_text(kind, json_integer_value(value), buf);
	return "n/a";
}

/* ---- printing what others wrote ---- */

/*
 * The next character of *text (valid UTF-8) as it is printed, in piece; false at the end.  Control
 * characters, and those in special, become \xNN, byte by byte.
 */
static bool next_piece(const char **text, const char *special, char piece[static 12],
		       size_t *columns)
{
	const unsigned char *p = (const unsigned char *)*text;
	size_t len = 1;

	if (!*p)
		return false;
	while ((p[len] & 0xc0) == 0x80)
		len++;
	*text += len;
	if (len == 1 && (iscntrl(*p) || strchr(special, *p)))
		*columns = (size_t)snprintf(piece, 12, "\\x%02X", *p);
	else if (len == 2 && p[0] == 0xc2 && p[1] < 0xa0)
		*columns = (size_t)snprintf(piece, 12, "\\x%02X\\x%02X", p[0], p[1]);
	else {
		memcpy(piece, p, len);
		piece[len] = 0;
		*columns = 1;
	}
	return true;
}

/* Prints text in at most limit columns (0: no limit), with an ellipsis when it is longer. */
static void print_text(FILE *out, const char *text, size_t limit, const char *special)
{
	const char *p = text;
	char piece[12];
	size_t columns, total = 0;

	while (limit && next_piece(&p, special, piece, &columns))
		total += columns;
	if (total <= limit)
		limit = 0;
	total = 0;
	while (next_piece(&text, special, piece, &columns)) {
		total += columns;
		if (limit && total > limit - 3) {
			fputs("...", out);
			return;
		}
		fputs(piece, out);
	}
}

static void print_value(FILE *out, const struct label *l, const json_t *entry, size_t limit,
			const char *special)
{
	char buf[VALUE_LEN];

	print_text(out, value_text(l->kind, json_object_get(entry, l->name), buf), limit, special);
}

static void print_stars(FILE *out)
{
	for (int i = 0; i < ENTRY_END_STARS; i++)
		fputc('*', out);
	fputc('\n', out);
}

/* ---- layouts ---- */

static bool has_value(const struct label *l, const json_t *entry)
{
	const json_t *value = json_object_get(entry, l->name);

	return value && !json_is_null(value);
}

static void print_detail(FILE *out, const struct report *r, const json_t *entry)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct label *l = &r->labels[i];
		int used;

		if (l->extra && !has_value(l, entry))
			continue;
		used = fprintf(out, "%s%s:", l->indented ? "  " : "", l->name);
		if (l->kind != V_BLOCK) {
			fprintf(out, "%*s", r->column - 1 - used, "");
			print_value(out, l, entry, VALUE_COLUMNS, "");
		}
		fputc('\n', out);
	}
	print_stars(out);
}

/* The short form has the same lines for the labels (entry NULL) and for each entry. */
static void print_short(FILE *out, const struct report *r, const json_t *entry)
{
	const struct label *first = r->labels;

	for (const struct label *l = first; l < first + r->n; l++) {
		if (l->kind == V_BLOCK || l->extra)
			continue;
		if (l != first)
			fputs(l->newline ? "\n|" : l == first + 1 ? " |" : "|", out);
		if (entry)
			print_value(out, l, entry, VALUE_COLUMNS, "");
		else
			fputs(l->abbreviation ? l->abbreviation : l->name, out);
	}
	fputc('\n', out);
	if (entry)
		print_stars(out);
}

/* One line that a script can split at '|' and then undo \xNN in. */
static void print_wide(FILE *out, const struct report *r, const json_t *entry)
{
	const char *separator = "";

	for (size_t i = 0; i < r->n; i++) {
		const struct label *l = &r->labels[i];

		if (l->kind == V_BLOCK || l->extra)
			continue;
		fputs(separator, out);
		separator = "|";
		if (entry)
			print_value(out, l, entry, 0, "|\\");
		else
			fputs(l->name, out);
	}
	fputc('\n', out);
}

void report_labels(FILE *out, const struct report *r, enum layout layout)
{
	if (layout == LAYOUT_SHORT) {
		print_short(out, r, NULL);
		fputc('\n', out);
	} else if (layout == LAYOUT_WIDE) {
		print_wide(out, r, NULL);
	}
}

void report_entry(FILE *out, const struct report *r, enum layout layout, const json_t *entry)
{
	switch (layout) {
	case LAYOUT_SHORT:
		print_short(out, r, entry);
		break;
	case LAYOUT_DETAIL:
		print_detail(out, r, entry);
		break;
	case LAYOUT_WIDE:
		print_wide(out, r, entry);
		break;
	}
}

json_t *report_json(const struct report *r, const json_t *entry)
{
	json_t *object = json_object();

	for (size_t i = 0; object && i < r->n; i++) {
		const struct label *l = &r->labels[i];
		json_t *value = json_object_get(entry, l->name);
		char iso[VALUE_LEN] = "";
		int rc;

		if (l->kind == V_BLOCK)
			continue;
		if (l->kind == V_TIME && json_is_integer(value))
			time_iso(json_integer_value(value), iso);
		if (iso[0])
			rc = json_object_set_new(object, l->name, json_string(iso));
		else if (value)
			rc = json_object_set(object, l->name, value);
		else
			rc = json_object_set_new(object, l->name, json_null());
		if (rc < 0) {
			json_decref(object);
			object = NULL;
		}
	}
	return object;
}
