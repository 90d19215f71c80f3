/* The statements of a policy as somebody is shown them. */
#include "policy/view.h"

#include <stdlib.h>
#include <string.h>

/* ---- the tree ---- */

int pol_view_open(struct pol_tree *tree, time_t now, struct pol_view *view, struct cs_err *err)
{
	memset(view, 0, sizeof(*view));
	view->now = now;
	view->build.tree = tree;
	view->build.diags = &view->diags;
	view->build.policy = &view->none;
	view->build.pool = &view->pool;
	pol_forget(tree);
	pol_resolve(&view->build);
	if (!view->diags.no_memory && !view->diags.n_errors)
		return 0;
	pol_view_close(view);
	if (view->diags.no_memory)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	return cs_fail(err, CS_EPARSE, "the stored policy has references that lead nowhere");
}

void pol_view_close(struct pol_view *view)
{
	pol_diags_free(&view->diags);
	pol_pool_free(&view->pool);
	free(view->build.index);
	view->build.index = NULL;
	view->rules = NULL;
	view->n_rules = 0;
}

bool pol_view_failed(const struct pol_view *view)
{
	return view->diags.no_memory;
}

bool pol_view_in_force(const struct pol_view *view, const struct pol_node *node,
		       enum pol_scope scope)
{
	static const enum pol_scope each[] = {POL_FOR_IPSEC, POL_FOR_TTLS};
	const char *keyword = node->statement->keyword, *name = node->name ? node->name : "";

	scope &= pol_scope_of(node);
	for (unsigned i = 0; i < sizeof(each) / sizeof(each[0]); i++)
		if ((scope & each[i]) &&
		    pol_lookup_in(&view->build, each[i], keyword, name) == node)
			return true;
	return false;
}

/* ---- rules ---- */

const struct pol_time *pol_view_time(struct pol_view *view, struct pol_node *node)
{
	return pol_make_time(&view->build, node);
}

static bool is_active(struct pol_view *view, const struct pol_node *rule)
{
	bool any = false;

	for (unsigned i = 0; i < rule->n_items; i++) {
		const struct pol_item *item = &rule->items[i];
		struct pol_node *target = pol_target(item);
		const struct pol_time *t;

		if (!target || strcmp(target->statement->keyword, "IpTimeCondition") != 0)
			continue;
		any = true;
		t = pol_view_time(view, target);
		if (t && pol_time_active(t, 1, view->now))
			return true;
	}
	return !any;
}

static void add_rule(struct pol_build *b, struct pol_node *node, const struct pol_node *group,
		     struct pol_node *holder, const struct pol_item *item)
{
	struct pol_view *view = (struct pol_view *)b;
	struct pol_view_rule rule = {node, group, is_active(view, node)};

	(void)holder;
	(void)item;
	view->rules = pol_append(b, view->rules, &view->n_rules, &rule, sizeof(rule));
}

static int by_priority(const void *a, const void *b)
{
	return pol_by_priority(((const struct pol_view_rule *)a)->node,
			       ((const struct pol_view_rule *)b)->node);
}

void pol_view_rules(struct pol_view *view, const char *policy, const char *rule)
{
	struct pol_node *node = policy ? pol_lookup(&view->build, policy, "") : NULL;
	const struct pol_tree *tree = view->build.tree;

	view->rules = NULL;
	view->n_rules = 0;
	if (node)
		pol_each_rule(&view->build, node, add_rule);
	if (policy)
		return;
	for (unsigned i = 0; i < tree->n_nodes; i++)
		if (strcmp(tree->nodes[i]->statement->keyword, rule) == 0 &&
		    pol_view_in_force(view, tree->nodes[i], POL_FOR_BOTH))
			add_rule(&view->build, tree->nodes[i], NULL, NULL, NULL);
	if (view->n_rules)
		qsort(view->rules, view->n_rules, sizeof(*view->rules), by_priority);
}

/* ---- fields ---- */

/* What counts for a parameter that is not coded. */
static struct pol_field otherwise(const struct pol_view *view, const struct pol_node *node,
				  const struct pol_param *param)
{
	struct pol_field field = {.param = param, .value = param->preset, .origin = POL_PRESET};
	const struct pol_param *other;
	const struct pol_item *item;
	const struct pol_node *from;

	if (!param->inherits)
		return field;
	other = pol_param_find(node->statement, param->inherits);
	from = other ? node : pol_lookup_in(&view->build, node->scope, param->inherits, "");
	if (!other)
		other = pol_param_find(pol_statement_find(param->inherits), param->keyword);
	item = from && other ? pol_item_of(from, other->keyword) : NULL;
	if (item)
		field.value = item->value;
	else if (other && from)
		field.value = otherwise(view, from, other).value;
	else if (other)
		field.value = other->preset;
	if (!field.value)
		field.value = param->preset;
	else
		field.origin = POL_INHERITED;
	return field;
}

/* True when the group of param has a coded line in node, which is told to fn. */
static bool coded_fields(const struct pol_node *node, const struct pol_param *param,
			 pol_field_fn *fn, void *arg)
{
	bool any = false;

	for (unsigned i = 0; i < node->n_items; i++) {
		const struct pol_item *item = &node->items[i];
		struct pol_field field = {.param = item->param,
					  .item = item,
					  .value = item->value,
					  .node = pol_target(item),
					  .origin = POL_CODED};

		if (!pol_same_group(item->param, param))
			continue;
		any = true;
		if (item->param->repeatable || pol_item_of(node, item->param->keyword) == item)
			fn(arg, &field);
	}
	return any;
}

/* Is it as if an empty one stood there, where none is coded? */
static bool may_be_empty(const struct pol_param *block)
{
	const struct pol_param *p = pol_statement_find(block->of)->params;

	if (block->required || block->repeatable)
		return false;
	for (; p && p->keyword; p++)
		if (p->required)
			return false;
	return true;
}

static void look(void *arg, const struct pol_field *field)
{
	(void)field;
	*(bool *)arg = true;
}

/* An outer action's block, else what the block is with nothing coded in it. */
static void block_otherwise(const struct pol_view *view, const struct pol_ttls_sources *outer,
			    const struct pol_node *node, const struct pol_param *param,
			    pol_field_fn *fn, void *arg)
{
	struct pol_node empty = {.statement = pol_statement_find(param->of), .scope = node->scope};
	struct pol_field field = {.param = param, .origin = POL_INHERITED};
	bool any = false;

	for (unsigned i = 0; i < outer->n && !field.node; i++)
		field.node = pol_ttls_part(outer->v[i], param->keyword);
	if (!field.node && may_be_empty(param)) {
		pol_fields_within(view, outer, &empty, look, &any);
		field.origin = POL_PRESET;
		field.node = any ? &empty : NULL;
	}
	if (field.node)
		fn(arg, &field);
}

/* All lines of an outer action's. False: it codes none, or there is no outer one. */
static bool outer_fields(const struct pol_ttls_sources *outer, const struct pol_param *param,
			 pol_field_fn *fn, void *arg)
{
	const struct pol_node *coder = pol_ttls_coder(outer, param->keyword);

	for (unsigned i = 0; coder && i < coder->n_items; i++) {
		const struct pol_item *item = &coder->items[i];
		const struct pol_field field = {
			.param = param, .value = item->value, .origin = POL_INHERITED};

		if (strcmp(item->param->keyword, param->keyword) == 0 &&
		    (param->repeatable || pol_item_of(coder, param->keyword) == item))
			fn(arg, &field);
	}
	return coder != NULL;
}

/* Of a parameter that is not coded. */
static void put_otherwise(const struct pol_view *view, const struct pol_ttls_sources *outer,
			  const struct pol_node *node, const struct pol_param *param,
			  pol_field_fn *fn, void *arg)
{
	struct pol_field field = otherwise(view, node, param);

	if (param->support == POL_REFUSED)
		return;
	if (param->kind == POL_K_BLOCK) {
		block_otherwise(view, outer, node, param, fn, arg);
		return;
	}
	/* What a reference of an outer one leads to is its block's. */
	if (!field.value && outer->n && param->kind != POL_K_REF) {
		if (outer_fields(outer, param, fn, arg))
			return;
		field.value = pol_ttls_value(outer, param->keyword, &(const struct pol_param *){0});
		field.origin = POL_INHERITED;
	}
	if (field.value)
		fn(arg, &field);
}

void pol_fields_within(const struct pol_view *view, const struct pol_ttls_sources *outer,
		       const struct pol_node *node, pol_field_fn *fn, void *arg)
{
	const struct pol_param *params = node->statement->params;

	for (const struct pol_param *p = params; p && p->keyword; p++) {
		bool again = false;

		for (const struct pol_param *q = params; q < p && !again; q++)
			again = pol_same_group(q, p);
		if (again || coded_fields(node, p, fn, arg))
			continue;
		for (const struct pol_param *q = p; q->keyword; q++)
			if (pol_same_group(q, p))
				put_otherwise(view, outer, node, q, fn, arg);
	}
}

void pol_fields(const struct pol_view *view, const struct pol_node *node, pol_field_fn *fn,
		void *arg)
{
	static const struct pol_ttls_sources none;

	pol_fields_within(view, &none, node, fn, arg);
}

struct pol_ttls_sources pol_view_outer(const struct pol_node *rule, const struct pol_node *action)
{
	const struct pol_node *group = pol_ttls_part(rule, "TTLSGroupAction");
	const struct pol_node *environment = pol_ttls_part(rule, "TTLSEnvironmentAction");

	if (action == environment)
		environment = NULL;
	else if (action != pol_ttls_part(rule, "TTLSConnectionAction"))
		group = environment = NULL;
	return pol_ttls_sources(group, environment, NULL);
}

/* ---- values ---- */

/* Word number n of "A|B|C". */
static const char *choice_text(const char *choices, int n, char buf[static POL_LINE_MAX + 1])
{
	while (n-- > 0)
		choices += strcspn(choices, "|") + 1;
	snprintf(buf, POL_LINE_MAX + 1, "%.*s", (int)strcspn(choices, "|"), choices);
	return buf;
}

static const char *first_word(const char *text, char buf[static POL_LINE_MAX + 1])
{
	struct pol_word word = pol_word_next(&text);

	snprintf(buf, POL_LINE_MAX + 1, "%.*s", (int)word.len, word.p);
	return buf;
}

static const char *numbers_text(const struct pol_field *field, char buf[static POL_LINE_MAX + 1])
{
	const char *text = field->value;
	unsigned long lo, hi;

	if (field->param->kind == POL_K_NUMBER ? pol_number(pol_word_next(&text), &lo) != NULL
					       : pol_numbers(field->value, &lo, &hi) != NULL)
		return field->value;
	if (field->param->kind == POL_K_NUMBER || lo == hi)
		snprintf(buf, POL_LINE_MAX + 1, "%lu", lo);
	else
		snprintf(buf, POL_LINE_MAX + 1, "%lu %lu", lo, hi);
	return buf;
}

const char *pol_field_text(const struct pol_field *field, bool secrets,
			   char buf[static POL_LINE_MAX + 1])
{
	const struct pol_param *param = field->param;
	const char *words = param->kind == POL_K_YESNO   ? "Yes|No"
			    : param->kind == POL_K_ONOFF ? "On|Off"
			    : param->kind != POL_K_TEXT  ? param->values
							 : NULL;
	int choice;

	if (!field->value)
		return "";
	if (param->secret)
		return secrets ? field->value : POL_NOT_SHOWN;
	choice = words ? pol_choice(words, field->value, NULL) : -1;
	if (choice >= 0)
		return choice_text(words, choice, buf);
	switch (param->kind) {
	case POL_K_NUMBER:
	case POL_K_NUMBERS:
		return numbers_text(field, buf);
	case POL_K_ADDR:
	case POL_K_ADDRS:
	case POL_K_NAME:
	case POL_K_REF:
		return first_word(field->value, buf);
	case POL_K_FLAG:
		return "";
	case POL_K_KEYWORD:
	case POL_K_YESNO:
	case POL_K_ONOFF:
	case POL_K_BLOCK:
	case POL_K_TEXT:
		break;
	}
	return field->value;
}
