/* smfdump: exports SMF records. Shared by the files of this one program. */
#ifndef SMFDUMP_H
#define SMFDUMP_H

#include "smf/export.h"

#define SMFDUMP_ALL 0xffu /* subtypes */

/* What is wanted; everything unless said. */
struct smfdump_filter {
	unsigned subtypes; /* bit 0: 73 */
	bool has_from, has_to;
	int64_t from_us, to_us; /* of the header's time, in UTC; to is not included */
	bool has_tunnel;
	uint8_t tunnel[48]; /* EBCDIC, blank padded */
	bool has_peer;
	struct cs_range peer;
};

struct smfdump {
	struct smf_export_options form;
	struct smfdump_filter filter;
	bool follow, fail_empty, verbose;
	struct smf_export *out;
	/* counts of all that was read */
	uint64_t records, selected, other, damaged;
	bool failed;     /* something could not be read; it has been told */
	bool out_failed; /* nor can anything be written any more */
};

/* ---- smfdump_select.c ---- */

/* "73", "75-78", "73,77-80". */
int smfdump_subtypes(const char *text, unsigned *subtypes, struct cs_err *err);
/* "2026-01-15", "2026-01-15T10:20", "2026-01-15T10:20:30.45Z", "-90m", "-2h", "-7d"; now in us. */
int smfdump_moment(const char *text, int64_t now, int64_t *us, struct cs_err *err);
/* "+02:00" */
int smfdump_offset(const char *text, int64_t *us, struct cs_err *err);
int smfdump_tunnel(const char *text, struct smfdump_filter *f, struct cs_err *err);
bool smfdump_wants(const struct smfdump *d, const struct smf_record *r);

/* ---- smfdump_read.c ---- */

/*
 * Reads a file, or what is acknowledged of a directory; NULL: the standard input.  What is wrong
 * with a file is told on the standard error and noted in failed; an error is returned when nothing
 * can be read of it (CS_ENOTFOUND, CS_EPERM, CS_ESYS) or written any more.
 */
int smfdump_read(struct smfdump *d, const char *path, struct cs_err *err);
/* Whatever is acknowledged in the directory, until a signal or an error. */
int smfdump_follow(struct smfdump *d, const char *path, struct cs_err *err);

#endif
