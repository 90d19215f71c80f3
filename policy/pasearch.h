/* pasearch: displays the policy in force of one stack. Shared by the files of this one program. */
#ifndef PASEARCH_H
#define PASEARCH_H

#include <jansson.h>

#include "policy/store.h"
#include "policy/view.h"

/* A kind of policy: what -v and -t choose. */
struct pasearch_type {
	char letter;            /* of -v; 't': of TTLS */
	const char *policy;     /* the statement with the rules in order; NULL: there is none */
	const char *rule;       /* statement */
	const char *discipline; /* "IpSec" */
	const char *instance;   /* label of the heading */
	const char *rule_type;  /* IBM's words for it */
	const char *ipsec_type; /* NULL: none */
};

#define PASEARCH_TYPES 4
extern const struct pasearch_type pasearch_types[PASEARCH_TYPES];

struct pasearch_options {
	char stack[CS_STACK_MAX + 1];
	bool types[PASEARCH_TYPES];
	bool rules, actions;   /* either or both */
	bool active, inactive; /* either or both */
	const char *name;      /* NULL: all; may be a pattern with '*' and '?' */
	bool names_only, summary, images, json, policy, secrets, fail_empty, debug;
};

struct pasearch {
	const struct pasearch_options *o;
	struct pol_stored stored;
	struct pol_view view;
	FILE *out;
	unsigned shown; /* rules and actions */
};

/* ---- pasearch_select.c ---- */

/* The policies that the types belong to. */
enum pol_scope pasearch_scope(const struct pasearch_options *o);
/* The rules of a type are in p->view afterwards. */
void pasearch_rules(struct pasearch *p, const struct pasearch_type *type);
/* Is the rule wanted, by status and by its name or an action's? */
bool pasearch_wants(const struct pasearch *p, const struct pol_view_rule *rule);
bool pasearch_name_matches(const struct pasearch *p, const char *name);
/* Does the line of a rule lead to an action? */
bool pasearch_is_action(const struct pol_field *field);
bool pasearch_is_time(const struct pol_field *field);
/* Does the line of a policy lead to rules? */
bool pasearch_is_rule(const struct pol_field *field);
typedef void pasearch_action_fn(struct pasearch *p, const struct pol_view_rule *rule,
				const struct pol_node *action, void *arg);
/* Each action of the rules that are wanted, once. */
void pasearch_each_action(struct pasearch *p, const struct pasearch_type *type,
			  pasearch_action_fn *fn, void *arg);
/* What is not to be shown although it has a value: what nobody coded and nobody should. */
bool pasearch_is_old(const struct pol_field *field);
/* What a terminal would obey, and what is no UTF-8, as \\xNN; buf, or text itself. */
const char *pasearch_safe(const char *text, char buf[static POL_LINE_MAX + 1]);

/* ---- pasearch_text.c, pasearch_time.c ---- */

void pasearch_text(struct pasearch *p);
/* One line, its value in this column. */
void pasearch_line(FILE *out, unsigned indent, unsigned column, const char *label,
		   const char *value);
/* Two labels on one line, in the columns of the original. */
void pasearch_pair(FILE *out, unsigned indent, unsigned column, const char *label,
		   const char *value, const char *label2, const char *value2);
/* "Time Periods"; node NULL: always. */
void pasearch_times(struct pasearch *p, struct pol_node *node, unsigned indent, unsigned column);

/* ---- pasearch_json.c, pasearch_write.c ---- */

/* NULL without memory. */
json_t *pasearch_json(struct pasearch *p);
/*
 * A policy file that compiles to the same policy.  CS_EINVAL, and nothing is written, when an IPSec
 * and an AT-TLS object of one name would have to stand in it.
 */
int pasearch_write(struct pasearch *p, struct cs_err *err);

#endif
