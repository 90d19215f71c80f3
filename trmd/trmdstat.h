/* trmdstat: summaries of what trmd logged.  Shared by the files of this one program. */
#ifndef TRMDSTAT_H
#define TRMDSTAT_H

#include <stdio.h>

#include "common/addr.h"
#include "common/paths.h"
#include "smf/smf.h"
#include "trmd/event.h"

/* ---- trmdstat_time.c ---- */

/* No time is this one. */
#define STAT_NEVER INT64_MIN

/*
 * "MMDDHHMMSS" of this year, in *us as if it were of 1970 and *yearless set; or as smfdump has it:
 * "2026-01-15", "2026-01-15T10:20:30.45Z", "-90m", "-2h", "-7d".  All are in UTC.
 */
int stat_moment(const char *text, int64_t now_us, int64_t *us, bool *yearless, struct cs_err *err);
/* A moment without a year is in the year before this where it would be to come. */
int64_t stat_with_year(int64_t us_1970, int64_t now_us);
int64_t stat_next_year(int64_t us);
/* Reads a time from *p on and goes behind it: "2026-01-15T10:20:30.450000Z" or with +02:00. */
bool stat_iso(const char **p, int64_t *us);
/* "01/15/2026 10:20:30.45" */
bool stat_american(const char **p, int64_t *us);
/* "Jan 15 10:20:30", local time of the year that makes it the last one until tomorrow. */
bool stat_bsd(const char **p, int64_t now_us, int64_t *us);

/* ---- trmdstat_table.c ---- */

#define STAT_COLUMNS 8
#define STAT_ROWS    10000 /* of a table; more are added up in one */
#define STAT_KEY     160

struct stat_row {
	char *a, *b; /* both halves of its key; of the row of all others both are "" */
	uint64_t n[STAT_COLUMNS];
};

struct stat_table {
	struct stat_row *rows; /* as they came, until stat_table_sort() */
	uint32_t n, room;
	uint32_t *slots, n_slots;
	struct stat_row others;
	bool has_others;
};

/* The row of a key; NULL: no memory. What does not fit STAT_KEY is cut. */
struct stat_row *stat_row_of(struct stat_table *t, const char *a, const char *b);
/* What is more than fits stays at the most: a forged record must not make a total small. */
void stat_add(uint64_t *total, uint64_t n);
/* By a, addresses as numbers, then by b. No row can be found after it. */
void stat_table_sort(struct stat_table *t);
void stat_table_free(struct stat_table *t);

/* ---- what is wanted and what was found ---- */

enum stat_report {
	STAT_FILTERS = 1,
	STAT_TUNNELS = 2,
	STAT_FAILURES = 4,
	STAT_OURS = 7,
};
#define STAT_IDS_FIRST 8u /* those of intrusion detection, in the order of stat_ids */

struct stat_ids {
	char option;
	const char *title, *name; /* "ATTACK Summary", "ATTACK" */
};
#define STAT_N_IDS 9
extern const struct stat_ids stat_ids[STAT_N_IDS];

struct stat_select {
	int64_t from_us, to_us; /* to is included; STAT_NEVER: no bound */
	char stack[CS_STACK_MAX + 1];
	bool has_host, has_source, has_destination, has_ports;
	struct cs_range host, source, destination;
	uint16_t ports[2];
	char interface[IF_NAMESIZE];
};

enum stat_filter_column {
	STAT_PERMITTED,
	STAT_ICMP_ERROR,
	STAT_DENIED,
	STAT_NO_TUNNEL,
	STAT_INACTIVE,
	STAT_MISMATCH,
	STAT_SUPPRESSED,
	STAT_LOST,
};

enum stat_tunnel_column {
	STAT_ADDED,
	STAT_DELETED,
	STAT_EXPIRED,
	STAT_ACTIVATED,
	STAT_DEACTIVATED,
	STAT_NOT_SHARED,
	STAT_NOT_TAKEN,
};

struct trmdstat {
	struct stat_select select;
	unsigned reports; /* enum stat_report */
	int64_t now_us;
	char *command; /* as it was entered */
	bool verbose;
	/* of all that was read */
	uint64_t scanned, selected, skipped, other; /* other: known, and nothing to count */
	uint64_t long_lines;
	bool smf; /* there were records */
	uint64_t smf_scanned, smf_selected, smf_skipped, smf_damaged;
	int64_t log_us[2], stack_us[2]; /* of the scanned ones: first and last */
	struct stat_table filters;      /* rule, direction: enum stat_filter_column */
	struct stat_table tunnels;      /* VPN action: enum stat_tunnel_column */
	struct stat_table smf_tunnels;  /* peer, event: records, bytes in, bytes out */
	struct stat_table failures;     /* cause, peer: phase 1, phase 2 */
	struct stat_table smf_failures; /* cause, peer: IKE tunnels, dynamic tunnels */
	bool failed;                    /* something could not be read; it has been told */
};

/* What is the matter with an input, on the standard error; what is odd in it is shown as ?. */
void stat_complain(struct trmdstat *s, const char *name, const char *what);

/* ---- trmdstat_line.c ---- */

#define STAT_LINE_MAX 8192

/* One line without its end; it is changed. CS_ENOMEM alone. */
int stat_line(struct trmdstat *s, char *line, size_t len, struct cs_err *err);

/* ---- trmdstat_smf.c ---- */

/* Whatever records fd has, of the first `limit` bytes. CS_ENOMEM alone; the rest is told. */
int stat_smf(struct trmdstat *s, int fd, const char *name, uint64_t limit, struct cs_err *err);

/* ---- trmdstat_read.c ---- */

/*
 * A file of lines or SMF records, compressed by gzip or not; a directory of trmd, as far as it is
 * acknowledged; NULL or "-": the standard input.  CS_ENOTFOUND, CS_EPERM, CS_ESYS, CS_ENOMEM.
 */
int stat_read(struct trmdstat *s, const char *path, struct cs_err *err);

/* ---- trmdstat_text.c, trmdstat_json.c ---- */

void stat_write_text(struct trmdstat *s, FILE *f);
/* False: no memory. */
bool stat_write_json(struct trmdstat *s, FILE *f);

#endif
