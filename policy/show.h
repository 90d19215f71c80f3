/* The line that a finding is about, as far as it may be shown. Private to policy/. */
#ifndef POL_SHOW_H
#define POL_SHOW_H

#include "policy/diag.h"
#include "policy/lex.h"

#define POL_SHOWN_COLUMNS 100 /* longer lines are cut around what is marked */
#define POL_SHOWN_MAX     (4 * POL_SHOWN_COLUMNS + 8)

struct pol_shown {
	char text[POL_SHOWN_MAX];
	unsigned mark, mark_len; /* characters of text, from 0 */
	unsigned column;         /* of what is marked, in characters of the line, from 1 */
};

/* False: nothing of the line may be shown. */
bool pol_show(const struct pol_line *line, const struct pol_place_in *place,
	      struct pol_shown *shown);
/*
 * text in printable UTF-8: what is not is written as \xNN. False when it had to be cut to fit; it
 * is cut between characters.
 */
bool pol_escape(const char *text, char *buf, size_t size);

#endif
