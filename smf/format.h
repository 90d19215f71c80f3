/*
 * Values as characters, for all forms of export.  Functions write at a place that has room
 * (export.c sees to it) and return the place behind; some write a few bytes beyond that, which do
 * not count. Private to smf/.
 */
#ifndef SMF_FORMAT_H
#define SMF_FORMAT_H

#include "smf/export.h"

#define SMF_PIECE 32

/* A few characters that are often written: all 32 bytes are copied, len of them count. */
struct smf_piece {
	char text[SMF_PIECE];
	unsigned len;
};

/* What stands for each EBCDIC byte: UTF-8, escaped as the form of export wants it. */
struct smf_letters {
	struct {
		char text[7];
		uint8_t len;
	} of[256];
};

struct smf_export {
	struct smf_export_options o;
	struct smf_letters letters;
	struct smf_piece keys[SMF_FIELDS];
	int64_t day; /* whose date is in date */
	char date[12];
	int fd;
	char *buffer;
	size_t len, cap;
};

struct smf_piece smf_piece_of(const char *before, const char *text, const char *behind);

static inline char *smf_fmt_piece(char *to, const struct smf_piece *p)
{
	__builtin_memcpy(to, p->text, SMF_PIECE);
	return to + p->len;
}

/* And a NUL behind it, which what follows overwrites. */
char *smf_fmt_string(char *to, const char *text);
char *smf_fmt_number(char *to, uint64_t value);
char *smf_fmt_hex(char *to, const uint8_t *p, size_t len);
char *smf_fmt_address(char *to, bool ipv6, const uint8_t *p);
/* Seconds since 1970, "2026-01-15T10:20:30Z"; digits: of fractions of a second, from us. */
char *smf_fmt_moment(struct smf_export *x, char *to, int64_t seconds, uint32_t us, unsigned digits);
/* The header's, in UTC; nothing when it is no time. */
char *smf_fmt_header_time(struct smf_export *x, char *to, const struct smf_record *r);
char *smf_fmt_letters(const struct smf_export *x, char *to, const uint8_t *p, size_t len);

/*
 * Is there a value worth showing: the field is in the record and known?  Text without the blanks
 * behind.  Reserved ones only when they are not zero.
 */
bool smf_has_value(const struct smf_record *r, enum smf_field field, struct cs_bytes *value);
/* The value without quotes; flags with a blank between. */
char *smf_fmt_value(struct smf_export *x, char *to, const struct smf_record *r,
		    enum smf_field field, const struct cs_bytes *value);
/* Names of the bits that are set, each between quote and quote. */
char *smf_fmt_flags(char *to, enum smf_field field, const struct cs_bytes *value, const char *quote,
		    const char *between);

/* ---- the forms ---- */

typedef char *smf_fmt_record_fn(struct smf_export *x, char *to, const struct smf_record *r);

smf_fmt_record_fn smf_fmt_json, smf_fmt_csv, smf_fmt_cef, smf_fmt_text;
/* What stands for a Latin-1 character in a value; the length. */
typedef unsigned smf_letter_fn(uint8_t latin1, char *to);
smf_letter_fn smf_json_letter, smf_csv_letter, smf_cef_letter, smf_text_letter;
/* The first line of CSV. */
char *smf_fmt_csv_heading(const struct smf_export *x, char *to);

#endif
