/* pasearch: which kinds of policy there are, and which rules and actions are wanted. */
#include <fnmatch.h>
#include <string.h>

#include "policy/pasearch.h"
#include "policy/show.h"

const struct pasearch_type pasearch_types[PASEARCH_TYPES] = {
	{'f', "IpFilterPolicy", "IpFilterRule", "IpSec", "IPSec Instance Id", "IpFilter",
	 "policyIpFilter"},
	{'k', "KeyExchangePolicy", "KeyExchangeRule", "IpSec", "IPSec Instance Id", "KeyExchange",
	 "policyKeyExchange"},
	{'l', "LocalDynVpnPolicy", "LocalDynVpnRule", "IpSec", "IPSec Instance Id", "LocalDynVpn",
	 "policyLocalDynVpn"},
	{'t', NULL, "TTLSRule", "TTLS", "TTLS Instance Id", "TTLS", NULL},
};

enum pol_scope pasearch_scope(const struct pasearch_options *o)
{
	unsigned scope = 0;

	for (unsigned i = 0; i < PASEARCH_TYPES; i++)
		if (o->types[i])
			scope |= pasearch_types[i].letter == 't' ? POL_FOR_TTLS : POL_FOR_IPSEC;
	return (enum pol_scope)scope;
}

static bool leads_to(const struct pol_field *field, const char *what)
{
	return field->param->of && strstr(field->param->of, what);
}

bool pasearch_is_action(const struct pol_field *field)
{
	return leads_to(field, "Action");
}

bool pasearch_is_time(const struct pol_field *field)
{
	return leads_to(field, "IpTimeCondition");
}

bool pasearch_is_rule(const struct pol_field *field)
{
	return field->param->group && strcmp(field->param->group, "rules") == 0;
}

bool pasearch_is_old(const struct pol_field *field)
{
	return field->origin != POL_CODED && field->param->support == POL_DEPRECATED;
}

bool pasearch_name_matches(const struct pasearch *p, const char *name)
{
	return !p->o->name || (name && (strcmp(p->o->name, name) == 0 ||
					fnmatch(p->o->name, name, FNM_NOESCAPE) == 0));
}

void pasearch_rules(struct pasearch *p, const struct pasearch_type *type)
{
	pol_view_rules(&p->view, type->policy, type->rule);
}

struct wanted {
	const struct pasearch *p;
	bool found;
};

static void look_at_action(void *arg, const struct pol_field *field)
{
	struct wanted *w = arg;

	if (pasearch_is_action(field) && field->node)
		w->found = w->found || pasearch_name_matches(w->p, field->node->name);
}

bool pasearch_wants(const struct pasearch *p, const struct pol_view_rule *rule)
{
	struct wanted w = {p, false};

	if (!(rule->active ? p->o->active : p->o->inactive))
		return false;
	if (pasearch_name_matches(p, rule->node->name))
		return true;
	pol_fields(&p->view, rule->node, look_at_action, &w);
	return w.found;
}

struct walk {
	struct pasearch *p;
	const struct pol_view_rule *rule;
	pasearch_action_fn *fn;
	void *arg;
	const struct pol_node **seen;
	unsigned n_seen;
};

static void walk_action(void *arg, const struct pol_field *field)
{
	struct walk *w = arg;
	struct pol_build *b = &w->p->view.build;

	if (!pasearch_is_action(field) || !field->node)
		return;
	for (unsigned i = 0; i < w->n_seen; i++)
		if (w->seen[i] == field->node)
			return;
	w->seen = pol_append(b, w->seen, &w->n_seen, &field->node, sizeof(struct pol_node *));
	if (pasearch_name_matches(w->p, w->rule->node->name) ||
	    pasearch_name_matches(w->p, field->node->name))
		w->fn(w->p, w->rule, field->node, w->arg);
}

void pasearch_each_action(struct pasearch *p, const struct pasearch_type *type,
			  pasearch_action_fn *fn, void *arg)
{
	struct walk w = {.p = p, .fn = fn, .arg = arg};

	pasearch_rules(p, type);
	for (unsigned i = 0; i < p->view.n_rules; i++) {
		w.rule = &p->view.rules[i];
		if (pasearch_wants(p, w.rule))
			pol_fields(&p->view, w.rule->node, walk_action, &w);
	}
}

const char *pasearch_safe(const char *text, char buf[static POL_LINE_MAX + 1])
{
	if (pol_is_printable(text))
		return text;
	pol_escape(text, buf, POL_LINE_MAX + 1); /* as far as there is room */
	return buf;
}
