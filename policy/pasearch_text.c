/*
 * pasearch: the display.  Labels, order and columns of rules, actions and time periods are those of
 * a report of z/OS CS 3.1 for AT-TLS; for IPSec they are believed to be so.
 */
#include <string.h>
#include <time.h>

#include "policy/pasearch.h"

/* Columns of values, from 0, of rules and of actions; those of a second label and its value. */
#define RULE_COLUMN   24
#define ACTION_COLUMN 32
#define SECOND_LABEL  42
#define SECOND_VALUE  61
#define FORM          "3" /* of the form of policies, as the original has it */

/* ---- lines ---- */

/* Writes text from column `at` on, one blank at least behind what is there. The column reached. */
static unsigned put_at(FILE *out, unsigned reached, unsigned at, const char *text)
{
	unsigned gap = reached < at ? at - reached : reached > 0;
	char buf[POL_LINE_MAX + 1];

	text = pasearch_safe(text, buf);
	fprintf(out, "%*s%s", (int)gap, "", text);
	return reached + gap + (unsigned)strlen(text);
}

static unsigned put_label(FILE *out, unsigned reached, unsigned at, const char *label)
{
	reached = put_at(out, reached, at, label);
	fputc(':', out);
	return reached + 1;
}

void pasearch_line(FILE *out, unsigned indent, unsigned column, const char *label,
		   const char *value)
{
	unsigned reached = put_label(out, 0, indent, label);

	if (*value)
		put_at(out, reached, column, value);
	fputc('\n', out);
}

void pasearch_pair(FILE *out, unsigned indent, unsigned column, const char *label,
		   const char *value, const char *label2, const char *value2)
{
	unsigned reached = put_label(out, 0, indent, label);

	reached = put_at(out, reached, column, value);
	reached = put_label(out, reached, SECOND_LABEL, label2);
	put_at(out, reached, SECOND_VALUE, value2);
	fputc('\n', out);
}

static void put_time(FILE *out, const char *label, int64_t when, unsigned indent)
{
	time_t t = (time_t)when;
	struct tm tm;
	char text[64];

	if (!localtime_r(&t, &tm) || !strftime(text, sizeof(text), "%a %b %e %H:%M:%S %Y", &tm))
		snprintf(text, sizeof(text), "%lld", (long long)when);
	pasearch_line(out, indent, 0, label, text);
}

static void put_created(struct pasearch *p, unsigned indent)
{
	put_time(p->out, "Policy created", p->stored.created, indent);
	put_time(p->out, "Policy updated", p->stored.created, indent);
}

/* ---- statements ---- */

struct place {
	struct pasearch *p;
	unsigned indent, column;
	bool condition; /* of a rule: not its actions, times and place, which stand elsewhere */
	bool policy;    /* of a policy: not its rules */
	/* of an action of a rule: where it has values from */
	struct pol_ttls_sources outer;
};

static void put_field(void *arg, const struct pol_field *field);

/* One address, both ends of a range, or a prefix. */
static void put_address(const struct place *at, const struct pol_field *field)
{
	unsigned indent = at->indent + (*field->param->shown ? 1 : 0);
	FILE *out = at->p->out;
	char text[POL_LINE_MAX + 1], end[CS_ADDR_STRLEN];
	const char *value = pol_field_text(field, false, text);
	struct cs_range range;

	if (*field->param->shown)
		pasearch_line(out, at->indent, at->column, field->param->shown, "");
	if (cs_range_parse(value, &range, NULL) != 0) {
		pasearch_line(out, indent, at->column, "FromAddr", value);
		pasearch_line(out, indent, at->column, "ToAddr", value);
		return;
	}
	pasearch_line(out, indent, at->column, "FromAddr", cs_addr_text(&range.lo, end));
	if (strchr(value, '/')) {
		snprintf(end, sizeof(end), "%d", cs_range_prefix_len(&range));
		pasearch_line(out, indent, at->column, "Prefix", end);
	} else {
		pasearch_line(out, indent, at->column, "ToAddr", cs_addr_text(&range.hi, end));
	}
}

static void put_numbers(const struct place *at, const struct pol_field *field, const char *bar)
{
	char text[POL_LINE_MAX + 1], first[64];
	const char *from = pol_field_text(field, false, text), *to = strchr(from, ' ');

	snprintf(first, sizeof(first), "%.*s", (int)(bar - field->param->shown),
		 field->param->shown);
	if (to)
		text[to++ - from] = '\0';
	pasearch_pair(at->p->out, at->indent, at->column, first, from, bar + 1, to ? to : from);
}

static void put_node(const struct place *at, const struct pol_field *field)
{
	const char *label =
		field->param->shown ? field->param->shown : field->node->statement->keyword;
	struct place below = *at;

	below.condition = below.policy = false;
	below.indent = at->indent + 1;
	pasearch_line(at->p->out, at->indent, at->column, label,
		      field->node->name ? field->node->name : "");
	pol_fields_within(&at->p->view, &below.outer, field->node, put_field, &below);
}

static void put_field(void *arg, const struct pol_field *field)
{
	const struct place *at = arg;
	const struct pol_param *param = field->param;
	const char *bar = param->shown ? strchr(param->shown, '|') : NULL;
	char text[POL_LINE_MAX + 1];

	if (pasearch_is_old(field) || (at->policy && pasearch_is_rule(field)) ||
	    (at->condition && (pasearch_is_action(field) || pasearch_is_time(field) ||
			       strcmp(param->keyword, "Priority") == 0)))
		return;
	if (pasearch_is_time(field) && field->node)
		pasearch_times(at->p, field->node, at->indent, at->column);
	else if (field->node)
		put_node(at, field);
	else if (param->shown && (param->kind == POL_K_ADDR || param->kind == POL_K_ADDRS))
		put_address(at, field);
	else if (bar)
		put_numbers(at, field, bar);
	else
		pasearch_line(at->p->out, at->indent, at->column,
			      param->shown ? param->shown : param->keyword,
			      pol_field_text(field, false, text));
}

/* ---- actions ---- */

static const char *action_type(const struct pol_node *action)
{
	return action->statement->shown ? action->statement->shown : action->statement->keyword;
}

/* outer: what the action has its values from; NULL: it stands for itself. */
static void put_action(struct pasearch *p, const struct pol_view_rule *rule,
		       const struct pol_node *action, void *outer)
{
	const char *type = action_type(action), *scope = strchr(type, ' ');
	struct place at = {.p = p, .indent = 4, .column = ACTION_COLUMN};
	char label[80];

	if (outer)
		at.outer = *(struct pol_ttls_sources *)outer;
	p->shown++;
	if (p->o->names_only) {
		pasearch_line(p->out, 2, RULE_COLUMN, "policyAction",
			      action->name ? action->name : "");
		return;
	}
	snprintf(label, sizeof(label), "%.*s Action", scope ? (int)(scope - type) : 60, type);
	fputc('\n', p->out);
	pasearch_line(p->out, 2, ACTION_COLUMN, label, action->name ? action->name : "");
	pasearch_line(p->out, 4, ACTION_COLUMN, "Version", FORM);
	pasearch_line(p->out, 4, ACTION_COLUMN, "Status", rule->active ? "Active" : "Inactive");
	if (scope)
		pasearch_line(p->out, 4, ACTION_COLUMN, "Scope", scope + 1);
	pol_fields_within(&p->view, &at.outer, action, put_field, &at);
	put_created(p, 4);
}

/* ---- rules ---- */

static void count_action(void *arg, const struct pol_field *field)
{
	unsigned *n = arg;

	if (pasearch_is_action(field) && field->node)
		(*n)++;
}

static void list_action(void *arg, const struct pol_field *field)
{
	const struct pasearch *p = arg;

	if (!pasearch_is_action(field) || !field->node)
		return;
	pasearch_line(p->out, 2, RULE_COLUMN, "policyAction",
		      field->node->name ? field->node->name : "");
	if (p->o->names_only)
		return;
	pasearch_line(p->out, 3, RULE_COLUMN, "ActionType", action_type(field->node));
	pasearch_line(p->out, 3, RULE_COLUMN, "Action Sequence", "0");
}

struct periods {
	struct pasearch *p;
	bool any;
};

static void put_period(void *arg, const struct pol_field *field)
{
	struct periods *periods = arg;

	if (!pasearch_is_time(field) || !field->node)
		return;
	periods->any = true;
	pasearch_times(periods->p, field->node, 2, RULE_COLUMN);
}

static void put_conditions(struct pasearch *p, const struct pasearch_type *type,
			   const struct pol_view_rule *rule)
{
	struct place at = {.p = p, .indent = 3, .column = RULE_COLUMN, .condition = true};
	unsigned reached;
	char label[80];

	snprintf(label, sizeof(label), "%s Condition Summary", type->discipline);
	reached = put_label(p->out, 0, 2, label);
	put_at(p->out, reached, SECOND_LABEL, "NegativeIndicator: Off");
	fputc('\n', p->out);
	if (type->ipsec_type) {
		snprintf(label, sizeof(label), "%s Condition", type->rule_type);
		pasearch_line(p->out, 3, RULE_COLUMN, label, "");
		at.indent = 4;
	}
	pol_fields(&p->view, rule->node, put_field, &at);
}

/* Of AT-TLS what is coded; of the others, which have an order, the place in it. */
static void put_priority(struct pasearch *p, const struct pasearch_type *type,
			 const struct pol_view_rule *rule, unsigned place)
{
	unsigned long n = place;
	char text[32];

	if (!type->policy && !pol_number_of(rule->node, "Priority", &n))
		n = 1;
	snprintf(text, sizeof(text), "%lu", n);
	pasearch_pair(p->out, 2, RULE_COLUMN, "Weight", text, "ForLoadDist", "False");
	pasearch_pair(p->out, 2, RULE_COLUMN, "Priority", text, "Sequence Actions", "Don't Care");
}

static void each_own_action(void *arg, const struct pol_field *field);

struct own {
	struct pasearch *p;
	const struct pol_view_rule *rule;
};

static void put_rule(struct pasearch *p, const struct pasearch_type *type,
		     const struct pol_view_rule *rule, unsigned place)
{
	struct periods periods = {p, false};
	struct own own = {p, rule};
	unsigned n = 0;
	char text[32];

	p->shown++;
	if (!p->o->names_only)
		fputc('\n', p->out);
	pasearch_line(p->out, 0, RULE_COLUMN, "policyRule",
		      rule->node->name ? rule->node->name : "");
	if (p->o->names_only) {
		if (p->o->actions)
			pol_fields(&p->view, rule->node, list_action, p);
		return;
	}
	pasearch_line(p->out, 2, RULE_COLUMN, "Rule Type", type->rule_type);
	pasearch_pair(p->out, 2, RULE_COLUMN, "Version", FORM, "Status",
		      rule->active ? "Active" : "Inactive");
	put_priority(p, type, rule, place);
	pol_fields(&p->view, rule->node, count_action, &n);
	snprintf(text, sizeof(text), "%u", n);
	pasearch_line(p->out, 2, RULE_COLUMN, "No. Policy Action", text);
	if (type->ipsec_type)
		pasearch_line(p->out, 2, RULE_COLUMN, "IpSecType", type->ipsec_type);
	if (rule->group)
		pasearch_line(p->out, 2, RULE_COLUMN, "GroupName", rule->group->name);
	pol_fields(&p->view, rule->node, list_action, p);
	pol_fields(&p->view, rule->node, put_period, &periods);
	if (!periods.any)
		pasearch_times(p, NULL, 2, RULE_COLUMN);
	put_conditions(p, type, rule);
	put_created(p, 2);
	if (p->o->actions)
		pol_fields(&p->view, rule->node, each_own_action, &own);
}

static void each_own_action(void *arg, const struct pol_field *field)
{
	const struct own *own = arg;
	struct pol_ttls_sources outer;

	if (!pasearch_is_action(field) || !field->node)
		return;
	outer = pol_view_outer(own->rule->node, field->node);
	put_action(own->p, own->rule, field->node, &outer);
}

/* ---- the whole ---- */

static void put_policy(struct pasearch *p, const struct pasearch_type *type, bool summary)
{
	struct place at = {.p = p, .indent = 2, .column = ACTION_COLUMN, .policy = true};
	const struct pol_node *node =
		type->policy ? pol_lookup(&p->view.build, type->policy, "") : NULL;
	char text[32];

	fputc('\n', p->out);
	pasearch_line(p->out, 0, ACTION_COLUMN, "policyObject",
		      type->policy ? type->policy : type->discipline);
	if (summary) {
		pasearch_line(p->out, 2, ACTION_COLUMN, "ConfigLocation", "Local");
		for (unsigned i = 0; i < p->stored.tree->n_files; i++)
			pasearch_line(p->out, 2, ACTION_COLUMN, "FileName",
				      p->stored.tree->files[i]);
		pasearch_rules(p, type);
		pasearch_line(p->out, 2, ACTION_COLUMN, "Configured",
			      node || p->view.n_rules ? "True" : "False");
		snprintf(text, sizeof(text), "%u", p->view.n_rules);
		pasearch_line(p->out, 2, ACTION_COLUMN, "No. Policy Rule", text);
		snprintf(text, sizeof(text), "%lld", (long long)p->stored.created);
		pasearch_line(p->out, 2, ACTION_COLUMN, "InstanceId", text);
		snprintf(text, sizeof(text), "%llu", (unsigned long long)p->stored.generation);
		pasearch_line(p->out, 2, ACTION_COLUMN, "Generation", text);
		put_time(p->out, "LastPolicyChanged", p->stored.created, 2);
	}
	if (node)
		pol_fields(&p->view, node, put_field, &at);
}

static void put_heading(struct pasearch *p)
{
	const char *last = "";
	char text[64];
	unsigned reached;
	struct tm tm;

	reached = put_at(p->out, 0, 0, "TCP/IP pasearch CS csipsec " PACKAGE_VERSION);
	reached = put_label(p->out, reached, SECOND_LABEL, "Image Name");
	put_at(p->out, reached, 0, p->o->stack);
	fputc('\n', p->out);
	if (localtime_r(&p->view.now, &tm)) {
		strftime(text, sizeof(text), "%m/%d/%Y", &tm);
		reached = put_label(p->out, 0, 2, "Date");
		reached = put_at(p->out, reached, RULE_COLUMN, text);
		reached = put_label(p->out, reached, SECOND_LABEL, "Time");
		strftime(text, sizeof(text), "%H:%M:%S", &tm);
		put_at(p->out, reached, reached + 2, text);
		fputc('\n', p->out);
	}
	snprintf(text, sizeof(text), "%lld", (long long)p->stored.created);
	for (unsigned i = 0; i < PASEARCH_TYPES; i++) {
		if (!p->o->types[i] || strcmp(last, pasearch_types[i].instance) == 0)
			continue;
		last = pasearch_types[i].instance;
		pasearch_line(p->out, 2, RULE_COLUMN, last, text);
	}
}

static void put_type(struct pasearch *p, const struct pasearch_type *type)
{
	if (p->o->summary) {
		put_policy(p, type, true);
		p->shown++;
		return;
	}
	if (!p->o->rules) {
		pasearch_each_action(p, type, put_action, NULL);
		return;
	}
	if (!p->o->names_only && !p->o->name && type->policy &&
	    pol_lookup(&p->view.build, type->policy, ""))
		put_policy(p, type, false);
	pasearch_rules(p, type);
	for (unsigned i = 0; i < p->view.n_rules; i++)
		if (pasearch_wants(p, &p->view.rules[i]))
			put_rule(p, type, &p->view.rules[i], i + 1);
}

void pasearch_text(struct pasearch *p)
{
	put_heading(p);
	if (p->o->names_only)
		fputc('\n', p->out);
	for (unsigned i = 0; i < PASEARCH_TYPES; i++)
		if (p->o->types[i])
			put_type(p, &pasearch_types[i]);
}
