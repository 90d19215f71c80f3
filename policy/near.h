/* The nearest of some words to what somebody wrote, for "did you mean". Private to policy/. */
#ifndef POL_NEAR_H
#define POL_NEAR_H

#include <stddef.h>

#define POL_NEAR_MAX 40 /* characters of a word that is compared */

struct pol_near {
	const char *word; /* NULL: too short or too long to tell what is near to it */
	const char *best; /* NULL: nothing is near */
	size_t best_len;
	unsigned least;
};

void pol_near_begin(struct pol_near *near, const char *word);
/* candidate is kept as a pointer where it is nearer than what was there. Case does not count. */
void pol_near_try(struct pol_near *near, const char *candidate, size_t len);
/* Each of "A|B|B C". */
void pol_near_try_choices(struct pol_near *near, const char *choices);

#endif
