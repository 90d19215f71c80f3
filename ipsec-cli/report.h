/*
 * The reports of the ipsec command: which labels each has, in which order, and how a raw value from
 * a daemon (docs/nmi.md) becomes text.  Labels and order are those of z/OS V1R12.
 */
#ifndef IPSEC_REPORT_H
#define IPSEC_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* How an integer is shown.  Texts are shown as they are, booleans as Yes or No, null as n/a. */
enum value_kind {
	V_PLAIN,
	V_TIME,            /* seconds since the epoch */
	V_MINUTES,         /* seconds, shown as minutes */
	V_KBYTES,          /* "0K" */
	V_BYTES,           /* "288b" */
	V_SPI,             /* "decimal (0xHEX)" */
	V_PORT,            /* 0 is All */
	V_PROTOCOL,        /* "TCP(6)", 0 is ALL(0) */
	V_FILTER_PROTOCOL, /* "TCP(6)", 0 is a protocol of its own */
	V_GROUP,           /* 0 is None */
	V_BLOCK,           /* no value: the labels behind it are indented in the detail form */
};

struct label {
	const char *name; /* also the key in the daemon's entry */
	enum value_kind kind;
	const char *abbreviation; /* in the short form, NULL: the name */
	bool newline;             /* begins a line of the short form */
	bool indented;
	bool extra; /* none of z/OS's: in the detail form alone, and where an entry has a value */
};

struct report {
	const char *primary; /* of the heading */
	bool generations;    /* entries are SAs, several of which may be one tunnel's */
	int column;          /* where values begin in the detail form */
	const struct label *labels;
	size_t n;
};

extern const struct report report_ike_tunnels;
extern const struct report report_dynamic_stack;
extern const struct report report_dynamic_ike;
extern const struct report report_filters;
extern const struct report report_manual;
extern const struct report report_ports;

enum layout { LAYOUT_SHORT, LAYOUT_DETAIL, LAYOUT_WIDE };

const char *layout_name(enum layout layout); /* "Short", ... */

/* What stands before the first entry in this layout: the label block, or nothing. */
void report_labels(FILE *out, const struct report *r, enum layout layout);
void report_entry(FILE *out, const struct report *r, enum layout layout, const json_t *entry);
/* The entry for --json: every label once, in order, times as ISO 8601. NULL without memory. */
json_t *report_json(const struct report *r, const json_t *entry);

#define VALUE_LEN 64
/* Text of a value: buf, or a string of the value's own. */
const char *value_text(enum value_kind kind, const json_t *value, char buf[static VALUE_LEN]);
/* A time as ISO 8601 in UTC; buf is empty when no calendar has it. */
void time_iso(long long when, char buf[static VALUE_LEN]);

#endif
