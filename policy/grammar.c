/* Look-ups in the grammar's rows. */
#include "policy/grammar.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "policy/grammar_rows.h"
#include "policy/near.h"

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

bool pol_same_group(const struct pol_param *a, const struct pol_param *b)
{
	return a == b || (a->group && b->group && strcmp(a->group, b->group) == 0);
}

bool pol_is_policy(enum pol_place place)
{
	return place == POL_IN_POLICY || place == POL_IN_TTLS || place == POL_IN_BOTH;
}

const char *pol_nearest(const struct pol_statement *s, enum pol_place place, const char *keyword)
{
	struct pol_near near;

	pol_near_begin(&near, keyword);
	if (s) {
		for (const struct pol_param *p = s->params; p && p->keyword; p++)
			pol_near_try(&near, p->keyword, strlen(p->keyword));
		return near.best;
	}
	for (unsigned i = 0; i < pol_n_statement_rows; i++) {
		const struct pol_statement *row = &pol_statement_rows[i];

		bool there =
			row->place == place || (pol_is_policy(row->place) &&
						(pol_is_policy(place) || place == POL_IN_MAIN));

		if (row->support != POL_NOTED && there)
			pol_near_try(&near, row->keyword, strlen(row->keyword));
	}
	return near.best;
}

/* ---- secrets ---- */

typedef bool param_fn(const struct pol_param *param, const char *word);

static bool any_param(param_fn *fn, const char *word)
{
	for (unsigned i = 0; i < pol_n_statement_rows; i++)
		for (const struct pol_param *p = pol_statement_rows[i].params; p && p->keyword; p++)
			if (fn(p, word))
				return true;
	return false;
}

static bool is_param(const struct pol_param *p, const char *word)
{
	return strcasecmp(p->keyword, word) == 0;
}

static bool is_secret(const struct pol_param *p, const char *word)
{
	return p->secret && is_param(p, word);
}

static bool begins_with_secret(const struct pol_param *p, const char *word)
{
	return p->secret && strncasecmp(p->keyword, word, strlen(p->keyword)) == 0;
}

/* Of a short word, too, three letters may differ, unlike in a hint: a key that is shown cannot be
 * taken back. */
static bool near_secret(const struct pol_param *p, const char *word)
{
	struct pol_near near;

	if (!p->secret)
		return false;
	pol_near_begin(&near, word);
	near.least = 4;
	pol_near_try(&near, p->keyword, strlen(p->keyword));
	return near.best != NULL;
}

static bool near_param(const struct pol_param *p, const char *word)
{
	struct pol_near near;

	pol_near_begin(&near, word);
	pol_near_try(&near, p->keyword, strlen(p->keyword));
	return near.best != NULL;
}

bool pol_is_param(const char *word)
{
	return any_param(is_param, word);
}

bool pol_is_secret(const char *word)
{
	return any_param(is_secret, word);
}

bool pol_is_secretive(const char *keyword)
{
	static const char *const parts[] = {"passw", "pwd", "psk", "secret"};
	bool like = any_param(near_secret, keyword) || any_param(begins_with_secret, keyword);

	for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		like = like || strcasestr(keyword, parts[i]);
	if (!like)
		return false;
	return any_param(is_secret, keyword) ||
	       !(pol_statement_find(keyword) || any_param(is_param, keyword));
}

bool pol_is_near_known(const char *keyword)
{
	return pol_statement_find(keyword) || any_param(is_param, keyword) ||
	       any_param(near_param, keyword) || pol_nearest(NULL, POL_IN_MAIN, keyword) ||
	       pol_nearest(NULL, POL_IN_IKED, keyword);
}

static bool quotes(char c)
{
	return strchr("=:;,\"'", c) != NULL; /* the NUL byte, too */
}

size_t pol_keyword_len(const char *word, size_t len)
{
	size_t n = 0;

	while (n < len && !quotes(word[n]))
		n++;
	for (unsigned i = 0; i < pol_n_statement_rows; i++)
		for (const struct pol_param *p = pol_statement_rows[i].params; p && p->keyword;
		     p++) {
			size_t secret = strlen(p->keyword);

			if (p->secret && n > secret && strncasecmp(p->keyword, word, secret) == 0)
				return secret;
		}
	return n;
}

/* ---- what is expected ---- */

/* "A|B|C" as "A, B or C"; last: the word before the last of them. */
static void list(char *buf, size_t size, const char *words, const char *last)
{
	size_t used = strlen(buf);

	while (used + 1 < size) {
		size_t len = strcspn(words, "|");
		const char *next = words + len + (words[len] != '\0');
		const char *gap = !words[len] ? "" : strchr(next, '|') ? ", " : last;

		used += (size_t)snprintf(buf + used, size - used, "%.*s%s", (int)len, words, gap);
		if (!words[len])
			return;
		words = next;
	}
}

static void append(char *buf, size_t size, const char *text)
{
	size_t used = strlen(buf);

	snprintf(buf + used, size - used, "%s", text);
}

const char *pol_expected(const struct pol_param *p, char buf[static POL_EXPECTED_MAX])
{
	char numbers[80];

	buf[0] = '\0';
	if (p->form)
		return p->form;
	snprintf(numbers, sizeof(numbers), "a number from %lu to %lu", p->min, p->max);
	switch (p->kind) {
	case POL_K_YESNO:
		return "Yes or No";
	case POL_K_ONOFF:
		return "On or Off";
	case POL_K_NUMBER:
	case POL_K_NUMBERS:
		append(buf, POL_EXPECTED_MAX, numbers);
		if (p->kind == POL_K_NUMBERS)
			append(buf, POL_EXPECTED_MAX, ", two of them (n m, n:m or n-m)");
		break;
	case POL_K_ADDR:
		append(buf, POL_EXPECTED_MAX, "an IPv4 or IPv6 address");
		break;
	case POL_K_ADDRS:
		append(buf, POL_EXPECTED_MAX,
		       "an address, a prefix (address/length), a range (address-address)");
		break;
	case POL_K_REF:
		append(buf, POL_EXPECTED_MAX, "the name of an ");
		append(buf, POL_EXPECTED_MAX, p->of);
		return buf;
	case POL_K_NAME:
		return "a name of at most 32 characters";
	case POL_K_KEYWORD:
	case POL_K_TEXT:
		list(buf, POL_EXPECTED_MAX, p->values ? p->values : "a value", " or ");
		return buf;
	case POL_K_BLOCK:
	case POL_K_FLAG:
		return "";
	}
	if (p->values) {
		append(buf, POL_EXPECTED_MAX, ", or ");
		list(buf, POL_EXPECTED_MAX, p->values, " or ");
	}
	return buf;
}
