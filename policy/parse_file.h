/*
 * Reading policy files, one after the other: what files.c and parse.c share.
 */
#ifndef POL_PARSE_FILE_H
#define POL_PARSE_FILE_H

#include "policy/codepage.h"
#include "policy/lex.h"
#include "policy/parse.h"

/* STACK_FILE, COMMON_FILE: policy files, of pol_parse's scope. */
enum pol_role { MAIN_FILE, IMAGE_FILE, STACK_FILE, COMMON_FILE, IKED_FILE };

/* A line of a main or image file that names something. */
struct pol_config {
	const struct pol_statement *statement;
	char *value;
	const char *file;
	unsigned line;
	struct pol_config *next;
};

struct pol_parse {
	struct pol_tree *tree;
	struct pol_diags *diags;
	struct pol_config *configs, **last_config;
	char page[POL_CODEPAGE_MAX + 1]; /* of files in EBCDIC */
	bool page_named;                 /* by Codepage */
	/* the file being read */
	enum pol_role role;
	enum pol_scope scope;
	struct pol_lines text;
	unsigned pos; /* next line */
	const char *file;
	unsigned implied;      /* '}' that were missing and taken as read */
	unsigned implied_line; /* where the last of them was */
	bool after_secret;     /* the line before may have held a key: this one may be its rest */
};

/* Parses p->text, the lines of p->file, from its first line on. */
void pol_parse_lines(struct pol_parse *p);

#endif
