/*
 * pasearch --json: the statements as objects.  Keys are the policy language's own keywords, in the
 * order of the grammar; what a block or a reference leads to stands in its place.
 */
#include <string.h>
#include <time.h>

#include "policy/pasearch.h"

struct object {
	struct pasearch *p;
	json_t *to;
	json_t *defaults; /* keywords of what is not coded */
	/* of a rule, whose actions stand in it only if they are asked for */
	const struct pol_node *rule;
	bool policy; /* its rules do not */
	/* of an action of a rule: where it has values from */
	struct pol_ttls_sources outer;
};

static json_t *node_json(struct pasearch *p, const struct pol_node *node, struct object how);

static json_t *text_json(const char *text)
{
	char buf[POL_LINE_MAX + 1];

	return json_string(pasearch_safe(text, buf));
}

static json_t *name_json(const struct pol_node *node)
{
	return node->name ? text_json(node->name) : json_null();
}

static void set(json_t *to, const char *key, json_t *value, bool *failed)
{
	if (json_object_set_new(to, key, value) < 0)
		*failed = true;
}

static json_t *numbers_json(const char *text)
{
	unsigned long lo, hi;

	if (pol_numbers(text, &lo, &hi))
		return text_json(text);
	return json_pack("[I, I]", (json_int_t)lo, (json_int_t)hi);
}

static json_t *value_json(const struct pol_field *field)
{
	char buf[POL_LINE_MAX + 1];
	const char *text = pol_field_text(field, false, buf), *end = text;
	unsigned long n;

	if (field->param->secret)
		return json_null();
	switch (field->param->kind) {
	case POL_K_YESNO:
		return json_boolean(strcmp(text, "Yes") == 0);
	case POL_K_ONOFF:
		return json_boolean(strcmp(text, "On") == 0);
	case POL_K_FLAG:
		return json_true();
	case POL_K_NUMBER:
		return pol_number(pol_word_next(&end), &n) ? text_json(text)
							   : json_integer((json_int_t)n);
	case POL_K_NUMBERS:
		return numbers_json(text);
	case POL_K_ADDR:
	case POL_K_ADDRS:
	case POL_K_NAME:
	case POL_K_REF:
	case POL_K_BLOCK:
	case POL_K_KEYWORD:
	case POL_K_TEXT:
		break;
	}
	return text_json(text);
}

/* What an action is called, where it is not shown itself. */
static json_t *mention(const struct pol_node *node)
{
	return json_pack("{s:s, s:o}", "Statement", node->statement->keyword, "Name",
			 name_json(node));
}

static void add_field(void *arg, const struct pol_field *field)
{
	struct object *o = arg;
	struct pasearch *p = o->p;
	const char *key = field->param->keyword;
	struct object below = {.outer = o->outer};
	json_t *value, *array;
	bool failed = false;

	if (pasearch_is_old(field) || (o->policy && pasearch_is_rule(field)))
		return;
	if (!field->node)
		value = value_json(field);
	else if (o->rule && pasearch_is_action(field) && (!p->o->actions || p->o->names_only))
		value = mention(field->node);
	else {
		if (o->rule && pasearch_is_action(field))
			below.outer = pol_view_outer(o->rule, field->node);
		value = node_json(p, field->node, below);
	}
	if (field->param->repeatable) {
		array = json_object_get(o->to, key);
		if (!array) {
			array = json_array();
			set(o->to, key, array, &failed);
		}
		failed = failed || json_array_append_new(array, value) < 0;
	} else {
		set(o->to, key, value, &failed);
	}
	if (field->origin != POL_CODED)
		failed = failed || json_array_append_new(o->defaults, json_string(key)) < 0;
	if (failed)
		p->view.diags.no_memory = true;
}

/* {"Statement", "Name", its parameters, "Defaults"}. */
static json_t *node_json(struct pasearch *p, const struct pol_node *node, struct object how)
{
	how.p = p;
	if (!how.to)
		how.to = mention(node);
	how.defaults = json_array();
	pol_fields_within(&p->view, &how.outer, node, add_field, &how);
	if (!how.to || !how.defaults)
		p->view.diags.no_memory = true;
	if (json_array_size(how.defaults))
		json_object_set_new(how.to, "Defaults", how.defaults);
	else
		json_decref(how.defaults);
	return how.to;
}

static void add_name(void *arg, const struct pol_field *field)
{
	if (pasearch_is_action(field) && field->node)
		json_array_append_new(arg, mention(field->node));
}

static json_t *rule_json(struct pasearch *p, const struct pasearch_type *type,
			 const struct pol_view_rule *rule, unsigned place)
{
	json_t *to = mention(rule->node), *actions;

	json_object_set_new(to, "RuleType", json_string(type->rule_type));
	json_object_set_new(to, "Status", json_string(rule->active ? "Active" : "Inactive"));
	json_object_set_new(to, "GroupName", rule->group ? name_json(rule->group) : json_null());
	if (type->policy)
		json_object_set_new(to, "Place", json_integer(place));
	if (!p->o->names_only)
		return node_json(p, rule->node, (struct object){.to = to, .rule = rule->node});
	if (p->o->actions) {
		actions = json_array();
		pol_fields(&p->view, rule->node, add_name, actions);
		json_object_set_new(to, "Actions", actions);
	}
	return to;
}

struct lists {
	json_t *policies, *rules, *actions;
};

static void append(struct pasearch *p, json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) < 0)
		p->view.diags.no_memory = true;
}

static void add_action(struct pasearch *p, const struct pol_view_rule *rule,
		       const struct pol_node *action, void *arg)
{
	struct lists *lists = arg;
	json_t *value;

	value = p->o->names_only ? mention(action) : node_json(p, action, (struct object){0});
	json_object_set_new(value, "Status", json_string(rule->active ? "Active" : "Inactive"));
	append(p, lists->actions, value);
	p->shown++;
}

static void add_policy(struct pasearch *p, const struct pasearch_type *type, struct lists *lists)
{
	const struct pol_node *node =
		type->policy ? pol_lookup(&p->view.build, type->policy, "") : NULL;
	json_t *value;

	if (!node && !p->o->summary)
		return;
	value = node ? node_json(p, node, (struct object){.policy = true})
		     : json_pack("{s:s}", "Statement", type->rule);
	pasearch_rules(p, type);
	json_object_set_new(value, "Rules", json_integer(p->view.n_rules));
	append(p, lists->policies, value);
	if (p->o->summary)
		p->shown++;
}

static void add_type(struct pasearch *p, const struct pasearch_type *type, struct lists *lists)
{
	if (!p->o->name && !p->o->names_only)
		add_policy(p, type, lists);
	if (p->o->summary)
		return;
	if (!p->o->rules) {
		pasearch_each_action(p, type, add_action, lists);
		return;
	}
	pasearch_rules(p, type);
	for (unsigned i = 0; i < p->view.n_rules; i++) {
		if (!pasearch_wants(p, &p->view.rules[i]))
			continue;
		append(p, lists->rules, rule_json(p, type, &p->view.rules[i], i + 1));
		p->shown++;
	}
}

static json_t *time_json(int64_t when)
{
	time_t t = (time_t)when;
	char text[64];
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		return json_null();
	return json_string(text);
}

json_t *pasearch_json(struct pasearch *p)
{
	struct lists lists = {json_array(), json_array(), json_array()};
	json_t *files = json_array(), *document;

	for (unsigned i = 0; i < p->stored.tree->n_files; i++)
		append(p, files, text_json(p->stored.tree->files[i]));
	for (unsigned i = 0; i < PASEARCH_TYPES; i++)
		if (p->o->types[i])
			add_type(p, &pasearch_types[i], &lists);
	document = json_pack("{s:{s:s, s:s, s:o, s:I, s:o, s:o, s:i}, s:o, s:o, s:o}", "heading",
			     "Level", PACKAGE_VERSION, "StackName", p->o->stack, "Time",
			     time_json(p->view.now), "Generation", (json_int_t)p->stored.generation,
			     "Installed", time_json(p->stored.created), "Files", files, "Selected",
			     (int)p->shown, "policies", lists.policies, "rules", lists.rules,
			     "actions", lists.actions);
	if (pol_view_failed(&p->view)) {
		json_decref(document);
		return NULL;
	}
	return document;
}
