/* The checks that the grammar's rows alone decide: kinds, ranges, words, names, presence. */
#include <stdio.h>
#include <string.h>

#include "policy/compile.h"
#include "policy/near.h"

#define WORD(w) (int)((w).len > 60 ? 60 : (w).len), (w).p

/* The words that may stand in a value's place, for a message. */
static bool is_word(const struct pol_param *param, const char *value)
{
	return param->values && pol_choice(param->values, value, NULL) >= 0;
}

/* The first word of value is none of choices, of which some have two words: "did you mean". */
static void wrong_choice(struct pol_build *b, struct pol_node *node, const struct pol_item *item,
			 struct pol_word word, const char *choices)
{
	struct pol_near near = {0};
	char copy[POL_NEAR_MAX + 1];

	if (pol_word_copy(word, copy, sizeof(copy))) {
		pol_near_begin(&near, copy);
		pol_near_try_choices(&near, choices);
	}
	if (near.best)
		pol_misvalue(b, node, item, word, "'%.*s' is not one of %s; did you mean %.*s?",
			     WORD(word), choices, (int)near.best_len, near.best);
	else
		pol_misvalue(b, node, item, word, "'%.*s' is not one of %s", WORD(word), choices);
}

static void check_choice(struct pol_build *b, struct pol_node *node, const struct pol_item *item,
			 const char *choices)
{
	const char *rest = "", *value = item->value;
	struct pol_word word = pol_word_next(&value);
	int choice = pol_choice(choices, item->value, &rest);

	if (choice < 0 && item->param->secret)
		pol_misvalue(b, node, item, word, "the value must begin with one of %s", choices);
	else if (choice < 0)
		wrong_choice(b, node, item, word, choices);
	else if (item->param->kind == POL_K_KEYWORD && strchr(choices, ' ') && *rest)
		pol_warn(b, node, item, NULL, "the text behind the value is ignored:%.60s", rest);
}

static void check_numbers(struct pol_build *b, struct pol_node *node, const struct pol_item *item)
{
	const struct pol_param *param = item->param;
	const char *wrong, *text = item->value;
	struct pol_word word = pol_word_next(&text);
	unsigned long lo, hi;
	struct pol_near near = {0};
	char copy[POL_NEAR_MAX + 1];

	if (is_word(param, item->value))
		return;
	if (param->kind == POL_K_NUMBERS) {
		wrong = pol_numbers(item->value, &lo, &hi);
	} else {
		wrong = pol_number(word, &lo);
		hi = lo;
	}
	if (wrong && param->values && pol_word_copy(word, copy, sizeof(copy))) {
		pol_near_begin(&near, copy);
		pol_near_try_choices(&near, param->values);
	}
	if (near.best)
		pol_misvalue(b, node, item, word, "'%.*s' %s and not one of %s; did you mean %.*s?",
			     WORD(word), wrong, param->values, (int)near.best_len, near.best);
	else if (wrong && param->values)
		pol_misvalue(b, node, item, word, "'%.*s' %s and not one of %s", WORD(word), wrong,
			     param->values);
	else if (wrong)
		pol_misvalue(b, node, item, POL_ALL_OF_IT, "'%.60s' %s", item->value, wrong);
	else if (lo > hi)
		pol_misvalue(b, node, item, POL_ALL_OF_IT,
			     "the range ends before it starts: %lu %lu", lo, hi);
	else if (lo < param->min || hi > param->max)
		pol_misvalue(b, node, item, POL_ALL_OF_IT, "%lu is out of range: %lu to %lu",
			     lo < param->min ? lo : hi, param->min, param->max);
}

/* "192.0.2.1:192.0.2.9", "192.0.2.1 - 192.0.2.9", "192.0.2.1 192.0.2.9" */
static bool wrong_delimiter(const char *value)
{
	struct pol_word first = pol_word_next(&value), second = pol_word_next(&value);
	char text[CS_RANGE_STRLEN];
	struct cs_addr a;

	if (!pol_word_copy(first, text, sizeof(text)))
		return false;
	if (strchr(text, '.') && strchr(text, ':') && strchr(text, ':') == strrchr(text, ':'))
		return true;
	if (cs_addr_parse(text, &a, NULL))
		return false;
	return (second.len && second.p[0] == '-') ||
	       (pol_word_copy(second, text, sizeof(text)) && cs_addr_parse(text, &a, NULL) == 0);
}

static void check_addresses(struct pol_build *b, struct pol_node *node, const struct pol_item *item)
{
	const char *text = item->value;
	struct pol_word word = pol_word_next(&text);
	char copy[CS_RANGE_STRLEN];
	struct cs_range range;
	struct cs_addr addr;
	struct cs_err err;
	int rc;

	if (is_word(item->param, item->value))
		return;
	if (item->param->kind == POL_K_ADDRS && wrong_delimiter(item->value)) {
		pol_misvalue(b, node, item, POL_ALL_OF_IT,
			     "the ends of an address range are separated by '-' alone");
		return;
	}
	if (!pol_word_copy(word, copy, sizeof(copy))) {
		pol_misvalue(b, node, item, word, "'%.*s' is not an IP address", WORD(word));
		return;
	}
	if (item->param->kind == POL_K_ADDR)
		rc = cs_addr_parse(copy, &addr, &err);
	else
		rc = cs_range_parse(copy, &range, &err);
	if (rc)
		pol_misvalue(b, node, item, word, "%s", err.text);
}

static void check_value(struct pol_build *b, struct pol_node *node, const struct pol_item *item)
{
	const char *text = item->value;
	struct pol_word word;

	switch (item->param->kind) {
	case POL_K_KEYWORD:
		check_choice(b, node, item, item->param->values);
		break;
	case POL_K_YESNO:
		check_choice(b, node, item, "Yes|No");
		break;
	case POL_K_ONOFF:
		check_choice(b, node, item, "On|Off");
		break;
	case POL_K_NUMBER:
	case POL_K_NUMBERS:
		check_numbers(b, node, item);
		break;
	case POL_K_ADDR:
	case POL_K_ADDRS:
		check_addresses(b, node, item);
		break;
	case POL_K_NAME:
	case POL_K_REF:
		word = pol_word_next(&text);
		if (word.len > POL_NAME_MAX)
			pol_misvalue(b, node, item, word, "the name is longer than %d characters",
				     POL_NAME_MAX);
		break;
	case POL_K_TEXT:
		if (item->param->values)
			check_choice(b, node, item, item->param->values);
		break;
	case POL_K_BLOCK:
	case POL_K_FLAG:
		break;
	}
}

/*
 * A value that is right in the original and not honoured here: nobody shall rely on it. Told once a
 * parameter, because files repeat such lines.
 */
static void check_honoured(struct pol_build *b, const struct pol_node *node,
			   const struct pol_item *item)
{
	const struct pol_param *param = item->param;
	const char *text = item->value;

	if (param->except && pol_choice(param->except, text, NULL) >= 0 &&
	    pol_first_note(b->diags, param))
		pol_warn(b, node, item, NULL, "'%s' is not honoured: %s (told once)", text,
			 param->note);
}

static void check_item(struct pol_build *b, struct pol_node *node, const struct pol_item *item)
{
	const struct pol_param *param = item->param;

	switch (param->support) {
	case POL_REFUSED:
		pol_wrong(b, node, item, NULL, "%s", param->note);
		return;
	case POL_NOTED:
		if (pol_first_note(b->diags, param))
			pol_find(b->diags, POL_NOTE,
				 (struct pol_place_in){.file = node->file,
						       .line = item->line,
						       .mark = POL_MARK_KEYWORD},
				 node, param->keyword, "no effect: %s (told once)", param->note);
		break;
	case POL_DEPRECATED:
		pol_warn(b, node, item, NULL, "deprecated: %s", param->note);
		break;
	case POL_SUPPORTED:
		break;
	}
	if (item->block) {
		pol_validate_node(b, item->block, false);
		if (item->block->failed)
			node->failed = true;
	} else if (param->secret && strcmp(item->value, POL_NOT_SHOWN) == 0) {
		pol_wrong(b, node, item, NULL,
			  "the secret was left out when this was written: put it in the place "
			  "of " POL_NOT_SHOWN);
	} else {
		check_value(b, node, item);
		check_honoured(b, node, item);
	}
}

/* What stands before item and excludes it, though more lines of item's keyword may follow. */
static const struct pol_item *alone_before(const struct pol_node *node, const struct pol_item *item)
{
	const struct pol_param *p = node->statement->params;

	for (; p && p->keyword && item->param->group; p++) {
		const struct pol_item *other;

		if (p->repeatable || !pol_same_group(p, item->param))
			continue;
		other = pol_item_of(node, p->keyword);
		if (other && other < item)
			return other;
	}
	return NULL;
}

static const struct pol_item *any_before(const struct pol_node *node, const struct pol_item *item)
{
	for (const struct pol_item *before = item; before-- > node->items;)
		if (pol_same_group(before->param, item->param))
			return before;
	return NULL;
}

/* Doubles of what may stand once: the same keyword is a warning, another of its group an error. */
static void check_repeats(struct pol_build *b, struct pol_node *node)
{
	for (unsigned i = 0; i < node->n_items; i++) {
		const struct pol_item *item = &node->items[i];
		const struct pol_item *before =
			item->param->repeatable ? alone_before(node, item) : any_before(node, item);

		if (!before)
			continue;
		if (before->param == item->param)
			pol_warn(b, node, item, NULL, "it replaces the one on line %u",
				 before->line);
		else
			pol_wrong(b, node, item, NULL,
				  "it conflicts with %s on line %u; only one may be coded",
				  before->param->keyword, before->line);
	}
}

static bool has_any(const struct pol_node *node, const struct pol_param *param)
{
	for (unsigned i = 0; i < node->n_items; i++)
		if (pol_same_group(node->items[i].param, param))
			return true;
	return false;
}

static void check_required(struct pol_build *b, struct pol_node *node)
{
	const struct pol_param *params = node->statement->params;

	for (const struct pol_param *p = params; p && p->keyword; p++) {
		char words[256];
		size_t used = 0;

		if (!p->required || has_any(node, p))
			continue;
		if (p > params && p->group && pol_same_group(p - 1, p))
			continue; /* told with the first row of its group */
		words[0] = '\0';
		for (const struct pol_param *q = p; q->keyword && used < sizeof(words); q++)
			if (pol_same_group(q, p))
				used += (size_t)snprintf(words + used, sizeof(words) - used, "%s%s",
							 used ? ", " : "", q->keyword);
		if (strchr(words, ','))
			pol_wrong(b, node, NULL, NULL, "%s is required: %s",
				  p->repeatable ? "at least one" : "one", words);
		else
			pol_wrong(b, node, NULL, p->keyword, "it is required");
	}
}

static void check_name(struct pol_build *b, struct pol_node *node, bool global)
{
	const struct pol_statement *s = node->statement;

	if (!node->name) {
		if (s->naming == POL_NAME_REQUIRED || (s->naming == POL_NAME_OPTIONAL && global))
			pol_wrong(b, node, NULL, NULL, "a name is required");
		return;
	}
	if (strlen(node->name) > POL_NAME_MAX)
		pol_wrong(b, node, NULL, NULL, "the name is longer than %d characters",
			  POL_NAME_MAX);
	/* Names go to logs, databases and JSON, where other bytes would be missing or do harm. */
	if (!pol_is_printable(node->name))
		pol_wrong(b, node, NULL, NULL,
			  "the name has bytes that are no printable UTF-8; convert the file");
	if (s->selector_name && node->name[0] == '-')
		pol_wrong(b, node, NULL, NULL, "the name must not begin with '-'");
	if (s->selector_name && strchr(node->name, ','))
		pol_wrong(b, node, NULL, NULL, "the name must not contain ','");
}

void pol_validate_node(struct pol_build *b, struct pol_node *node, bool global)
{
	if (node->statement->support == POL_REFUSED) {
		pol_wrong(b, node, NULL, NULL, "%s", node->statement->note);
		return;
	}
	check_name(b, node, global);
	for (unsigned i = 0; i < node->n_items; i++)
		check_item(b, node, &node->items[i]);
	check_repeats(b, node);
	check_required(b, node);
}

void pol_validate(struct pol_build *b)
{
	for (unsigned i = 0; i < b->tree->n_nodes; i++)
		pol_validate_node(b, b->tree->nodes[i], true);
}
