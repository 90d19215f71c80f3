/* The nearest of some words to what somebody wrote: by the number of letters that differ. */
#include "policy/near.h"

#include <string.h>

static int lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c;
}

/* Insertions, deletions and replacements that make a into b; both are at most POL_NEAR_MAX long. */
static unsigned distance(const char *a, size_t la, const char *b, size_t lb)
{
	unsigned row[POL_NEAR_MAX + 1];

	for (unsigned k = 0; k <= lb; k++)
		row[k] = k;
	for (unsigned i = 1; i <= la; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned k = 1; k <= lb; k++) {
			unsigned cost = diagonal + (lower(a[i - 1]) != lower(b[k - 1]));

			diagonal = row[k];
			if (row[k] + 1 < cost)
				cost = row[k] + 1;
			if (row[k - 1] + 1 < cost)
				cost = row[k - 1] + 1;
			row[k] = cost;
		}
	}
	return row[lb];
}

void pol_near_begin(struct pol_near *near, const char *word)
{
	size_t len = strlen(word);

	*near = (struct pol_near){.word = word,
				  .least = len < 6 ? 2 : 4}; /* up to 1 or 3 changes */
	if (len < 3 || len > POL_NEAR_MAX)
		near->word = NULL;
}

void pol_near_try(struct pol_near *near, const char *candidate, size_t len)
{
	unsigned d;
	size_t n;

	if (!near->word || len > POL_NEAR_MAX)
		return;
	n = strlen(near->word);
	if ((n > len ? n - len : len - n) >= near->least)
		return;
	d = distance(near->word, n, candidate, len);
	if (d < near->least) {
		near->least = d;
		near->best = candidate;
		near->best_len = len;
	}
}

void pol_near_try_choices(struct pol_near *near, const char *choices)
{
	for (;;) {
		size_t len = strcspn(choices, "|");

		pol_near_try(near, choices, len);
		if (!choices[len])
			return;
		choices += len + 1;
	}
}
