/*
 * Policy files as lines and words. Private to policy/.
 */
#ifndef POL_LEX_H
#define POL_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define POL_LINE_MAX  4096u       /* bytes of a line without its end */
#define POL_FILE_MAX  (16u << 20) /* bytes of a file */
#define POL_LINES_MAX (1u << 20)

/* A line that says something; lines of blanks and comments are left out. */
struct pol_line {
	char *text; /* trimmed, comment cut; "" when bad */
	unsigned number;
	unsigned indent; /* blanks before text */
	bool glued;      /* the comment that was cut began inside a word */
	const char *bad; /* why the line cannot be read; NULL: it can */
};

struct pol_lines {
	struct pol_line *lines;
	unsigned n, last; /* last: number of the file's last line */
	char *data;
	size_t size;
	bool ebcdic;      /* as the file was */
	bool open_to_all; /* every user may read the file */
	bool all_write;   /* and write it */
};

/*
 * 0, or CS_ESYS, CS_ELIMIT, CS_ENOMEM, CS_EPARSE for a file in UTF-16, and what pol_from_ebcdic has
 * for one in EBCDIC, which is taken to be in this code page. The text is wiped when freed: it may
 * hold keys.
 */
int pol_lex_file(const char *path, const char *page, struct pol_lines *lines, struct cs_err *err);
int pol_lex_text(const char *text, size_t size, struct pol_lines *lines, struct cs_err *err);
void pol_lines_free(struct pol_lines *lines);

/* A word of a text that somebody else owns. */
struct pol_word {
	const char *p;
	size_t len;
};

/* The next word at *text, which moves behind it; len 0 at the end. */
struct pol_word pol_word_next(const char **text);
/* Without regard to case. */
bool pol_word_is(struct pol_word word, const char *text);
/* Copies; false when it does not fit. */
bool pol_word_copy(struct pol_word word, char *buf, size_t size);

/* The length of the character at p, which ends with a NUL, and its code; 0: it is no UTF-8. */
unsigned pol_char(const char *p, uint32_t *code);
bool pol_is_utf8(const char *text);
/* A character that shows what it is: no control character, none that moves others about. */
bool pol_is_shown(uint32_t code);
/* UTF-8 of such characters. */
bool pol_is_printable(const char *text);

#endif
