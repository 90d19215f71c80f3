/*
 * Findings about policy files: collected while reading, told in file order. Private to policy/.
 */
#ifndef POL_DIAG_H
#define POL_DIAG_H

#include "policy/lex.h"
#include "policy/tree.h"

struct pol_finding;
struct pol_source;

/* What a finding is about on its line, as far as it can be shown. */
enum pol_mark {
	POL_MARK_LINE,
	POL_MARK_KEYWORD,
	POL_MARK_VALUE,   /* all behind the keyword */
	POL_MARK_WORD,    /* skip and len bytes of that */
	POL_MARK_NOTHING, /* nothing of the line is shown */
};

/* A place in a file: file is one of a tree's file names. */
struct pol_place_in {
	const char *file;
	unsigned line;
	enum pol_mark mark;
	size_t skip, len;
	const char *expected; /* instead of what is there; copied; NULL: nothing to say */
};

/* So many errors are told, and so many warnings and notes. */
#define POL_FINDINGS_MAX 1000u

struct pol_diags {
	struct pol_finding *findings;
	unsigned n, n_errors;       /* at most POL_FINDINGS_MAX errors */
	unsigned n_others;          /* the same of warnings and notes */
	unsigned n_untold;          /* of those, beyond it */
	bool gave_up;               /* there was an error beyond it, so nothing more need be read */
	struct pol_source *sources; /* the files' lines, to be shown with findings */
	unsigned n_sources;
	struct pol_place_in beyond[2]; /* the first beyond: error, warning or note */
	const void **noted;            /* rows whose note is told already */
	unsigned n_noted;
	bool no_memory; /* something was lost: the policy cannot be accepted */
};

/* Takes the lines of file over, which findings about it are shown with; wiped at the end. */
void pol_diags_keep(struct pol_diags *d, const char *file, struct pol_lines *lines);
/* Warns of a file that every user may write. */
void pol_diags_file(struct pol_diags *d, const char *file, const struct pol_lines *lines);

/*
 * node may be NULL, attribute may be NULL or any text from the file. Neither it nor the text may
 * hold the value of a secret parameter.
 */
void pol_find(struct pol_diags *d, enum pol_severity severity, struct pol_place_in place,
	      const struct pol_node *node, const char *attribute, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));
void pol_vfind(struct pol_diags *d, enum pol_severity severity, struct pol_place_in place,
	       const struct pol_node *node, const char *attribute, const char *fmt, va_list ap)
	__attribute__((format(printf, 6, 0)));
/* True the first time for a row of the grammar. */
bool pol_first_note(struct pol_diags *d, const void *row);
/* Tells all, by order of the tree's files and by line. */
void pol_diags_tell(struct pol_diags *d, const struct pol_tree *tree, pol_diag_fn *fn, void *arg);
void pol_diags_free(struct pol_diags *d);

#endif
