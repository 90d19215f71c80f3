/* Checking a policy file, for `pagent -n FILE`. Private to policy/. */
#ifndef POL_CHECK_H
#define POL_CHECK_H

#include <stdio.h>

/*
 * Prints each finding as pol_diag_print() does, and a summary. 0: the policy is good; 1: it is not,
 * or cannot be read.
 */
int pol_check_file(const char *file, const char *stack, FILE *out);

#endif
