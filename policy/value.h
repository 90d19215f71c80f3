/*
 * Values of parameters: their text forms, and what a node of the tree says for one. Private to
 * policy/.
 */
#ifndef POL_VALUE_H
#define POL_VALUE_H

#include "policy/lex.h"
#include "policy/tree.h"

#define POL_NUMBER_MAX 4294967295ul

/*
 * The position in choices ("A|B|B C") of the longest one that text begins with, or -1; *rest (may
 * be NULL) gets what follows it.
 */
int pol_choice(const char *choices, const char *text, const char **rest);
/* Digits only, up to POL_NUMBER_MAX. NULL, or what is wrong. */
const char *pol_number(struct pol_word word, unsigned long *n);
/* "n", "n m", "n:m" or "n-m"; *lo == *hi for the first. NULL, or what is wrong. */
const char *pol_numbers(const char *text, unsigned long *lo, unsigned long *hi);

/*
 * Reading a node that validation has passed; where it has not, they return what the comment says
 * and the finding is there already.
 */
/* The line that counts (the last one of its keyword), or NULL. */
const struct pol_item *pol_item_of(const struct pol_node *node, const char *keyword);
/* The value, else the default, else NULL. */
const char *pol_text_of(const struct pol_node *node, const char *keyword);
int pol_choice_of(const struct pol_node *node, const char *keyword); /* or -1 */
bool pol_yes_of(const struct pol_node *node, const char *keyword);   /* Yes or On; or false */
bool pol_number_of(const struct pol_node *node, const char *keyword, unsigned long *n);
bool pol_numbers_of(const struct pol_node *node, const char *keyword, unsigned long *lo,
		    unsigned long *hi);
/* The order of two TTLSRules: the larger Priority first, then by name; as qsort has it. */
int pol_by_priority(const struct pol_node *x, const struct pol_node *y);

#endif
