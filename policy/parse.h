/* Policy files to trees of statements. Private to policy/. */
#ifndef POL_PARSE_H
#define POL_PARSE_H

#include "policy/diag.h"

/*
 * Reads main_file (main, image or policy file) and the files it names for stack. What is
 * wrong goes to diags; a negative cs_code comes back only when main_file cannot be read at all or
 * memory is short.
 */
int pol_parse(const char *main_file, const char *stack, struct pol_tree *tree,
	      struct pol_diags *diags, struct cs_err *err);
/* Reads iked's configuration file in the same way. */
int pol_parse_iked(const char *file, struct pol_tree *tree, struct pol_diags *diags,
		   struct cs_err *err);

#endif
