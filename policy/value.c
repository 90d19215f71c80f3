/* Values of parameters: their text forms, and what a node of the tree says for one. */
#include "policy/value.h"

#include <string.h>
#include <strings.h>

/* Whether text begins with the words of choice (len bytes); *rest gets what follows. */
static bool has_words(const char *choice, size_t len, const char *text, const char **rest)
{
	const char *end = choice + len;

	while (choice < end) {
		const char *gap = memchr(choice, ' ', (size_t)(end - choice));
		size_t n = (size_t)((gap ? gap : end) - choice);
		struct pol_word word = pol_word_next(&text);

		if (word.len != n || strncasecmp(word.p, choice, n) != 0)
			return false;
		choice += n + (gap ? 1 : 0);
	}
	*rest = text;
	return true;
}

int pol_choice(const char *choices, const char *text, const char **rest)
{
	int found = -1;
	size_t longest = 0;

	for (int i = 0;; i++) {
		size_t len = strcspn(choices, "|");
		const char *behind;

		if (len > longest && has_words(choices, len, text, &behind)) {
			found = i;
			longest = len;
			if (rest)
				*rest = behind;
		}
		if (!choices[len])
			return found;
		choices += len + 1;
	}
}

const char *pol_number(struct pol_word word, unsigned long *n)
{
	unsigned long value = 0;

	if (word.len == 0)
		return "is not a number";
	for (size_t i = 0; i < word.len; i++) {
		if (word.p[i] < '0' || word.p[i] > '9')
			return "is not a number";
		value = value * 10 + (unsigned long)(word.p[i] - '0');
		if (value > POL_NUMBER_MAX)
			return "is not a number up to 4294967295";
	}
	*n = value;
	return NULL;
}

static bool delimiter(char c)
{
	return c == ':' || c == '-';
}

const char *pol_numbers(const char *text, unsigned long *lo, unsigned long *hi)
{
	static const char mixed[] = "mixes delimiters: a range is 'n m', 'n:m' or 'n-m'";
	struct pol_word first = pol_word_next(&text), second = pol_word_next(&text);
	struct pol_word from = first, to;
	const char *wrong;
	size_t cut = 0;

	while (cut < first.len && !delimiter(first.p[cut]))
		cut++;
	from.len = cut;
	wrong = pol_number(from, lo);
	if (wrong)
		return wrong;
	if (cut < first.len) {
		to = (struct pol_word){first.p + cut + 1, first.len - cut - 1};
		if (to.len == 0)
			return mixed;
	} else if (second.len && delimiter(second.p[0])) {
		return mixed;
	} else if (second.len && second.p[0] >= '0' && second.p[0] <= '9') {
		to = second;
	} else {
		*hi = *lo;
		return NULL;
	}
	for (size_t i = 0; i < to.len; i++)
		if (delimiter(to.p[i]))
			return mixed;
	return pol_number(to, hi);
}

const struct pol_item *pol_item_of(const struct pol_node *node, const char *keyword)
{
	for (unsigned i = node->n_items; i-- > 0;)
		if (strcmp(node->items[i].param->keyword, keyword) == 0)
			return &node->items[i];
	return NULL;
}

/* The row and the text for keyword. */
static const struct pol_param *look_up(const struct pol_node *node, const char *keyword,
				       const char **text)
{
	const struct pol_item *item = pol_item_of(node, keyword);
	const struct pol_param *param =
		item ? item->param : pol_param_find(node->statement, keyword);

	*text = item && item->value ? item->value : param ? param->preset : NULL;
	return *text ? param : NULL;
}

const char *pol_text_of(const struct pol_node *node, const char *keyword)
{
	const char *text;

	return look_up(node, keyword, &text) ? text : NULL;
}

int pol_choice_of(const struct pol_node *node, const char *keyword)
{
	const char *text;
	const struct pol_param *param = look_up(node, keyword, &text);

	return param && param->values ? pol_choice(param->values, text, NULL) : -1;
}

bool pol_yes_of(const struct pol_node *node, const char *keyword)
{
	const char *text;
	const struct pol_param *param = look_up(node, keyword, &text);

	return param && pol_choice("Yes|On", text, NULL) >= 0;
}

bool pol_number_of(const struct pol_node *node, const char *keyword, unsigned long *n)
{
	unsigned long hi;

	return pol_numbers_of(node, keyword, n, &hi);
}

bool pol_numbers_of(const struct pol_node *node, const char *keyword, unsigned long *lo,
		    unsigned long *hi)
{
	const char *text;
	const struct pol_param *param = look_up(node, keyword, &text);

	if (!param || (param->values && pol_choice(param->values, text, NULL) >= 0))
		return false;
	if (param->kind == POL_K_NUMBER) {
		if (pol_number(pol_word_next(&text), lo))
			return false;
		*hi = *lo;
	} else if (pol_numbers(text, lo, hi)) {
		return false;
	}
	return *lo >= param->min && *hi <= param->max && *lo <= *hi;
}

int pol_by_priority(const struct pol_node *x, const struct pol_node *y)
{
	unsigned long px = 0, py = 0;

	pol_number_of(x, "Priority", &px);
	pol_number_of(y, "Priority", &py);
	if (px != py)
		return px > py ? -1 : 1;
	return strcmp(x->name ? x->name : "", y->name ? y->name : "");
}
