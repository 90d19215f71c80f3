/* Checking a policy file, for `pagent -n FILE`. Private to policy/. */
#ifndef POL_CHECK_H
#define POL_CHECK_H

#include <stdio.h>

/*
 * Prints a line for each finding ("FILE:LINE: error: STATEMENT name: Attribute: reason", or
 * warning or note) and a summary. 0: the policy is good; 1: it is not, or cannot be read.
 */
int pol_check_file(const char *file, const char *stack, FILE *out);

#endif
