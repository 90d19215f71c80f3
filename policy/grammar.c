/* Look-ups in the grammar's rows. */
#include "policy/grammar.h"

#include <string.h>
#include <strings.h>

#include "policy/grammar_rows.h"

const struct pol_statement *pol_statements(unsigned *n)
{
	*n = pol_n_statement_rows;
	return pol_statement_rows;
}

static bool row_is(const struct pol_statement *s, const char *keyword)
{
	size_t len = strlen(s->keyword);

	if (s->keyword[len - 1] == '*')
		return strncasecmp(s->keyword, keyword, len - 1) == 0;
	return strcasecmp(s->keyword, keyword) == 0;
}

const struct pol_statement *pol_statement_find(const char *keyword)
{
	for (unsigned i = 0; i < pol_n_statement_rows; i++)
		if (row_is(&pol_statement_rows[i], keyword))
			return &pol_statement_rows[i];
	return NULL;
}

const struct pol_param *pol_param_find(const struct pol_statement *s, const char *keyword)
{
	for (const struct pol_param *p = s->params; p && p->keyword; p++)
		if (strcasecmp(p->keyword, keyword) == 0)
			return p;
	return NULL;
}

bool pol_is_policy(enum pol_place place)
{
	return place == POL_IN_POLICY || place == POL_IN_TTLS || place == POL_IN_BOTH;
}

#define NEAR_MAX 40

static int lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c;
}

/* Insertions, deletions and replacements that make a into b; both are at most NEAR_MAX long. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[NEAR_MAX + 1], la = (unsigned)strlen(a), lb = (unsigned)strlen(b);

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

/* Keeps candidate in *best when it is nearer than what is there. */
static void consider(const char *keyword, const char *candidate, const char **best, unsigned *least)
{
	unsigned d;

	if (strlen(candidate) > NEAR_MAX)
		return;
	d = distance(keyword, candidate);
	if (d < *least) {
		*least = d;
		*best = candidate;
	}
}

const char *pol_nearest(const struct pol_statement *s, enum pol_place place, const char *keyword)
{
	size_t len = strlen(keyword);
	unsigned least = len < 6 ? 2 : 4; /* up to 1 or 3 changes */
	const char *best = NULL;

	if (len < 3 || len > NEAR_MAX)
		return NULL;
	if (s) {
		for (const struct pol_param *p = s->params; p && p->keyword; p++)
			consider(keyword, p->keyword, &best, &least);
		return best;
	}
	for (unsigned i = 0; i < pol_n_statement_rows; i++) {
		const struct pol_statement *row = &pol_statement_rows[i];

		if ((row->place == place || (pol_is_policy(row->place) && pol_is_policy(place))) &&
		    row->params)
			consider(keyword, row->keyword, &best, &least);
	}
	return best;
}
