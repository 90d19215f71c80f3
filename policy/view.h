/*
 * The statements of a policy as somebody is shown them: references followed, defaults filled in,
 * one order.  pasearch's displays and the policy files that it writes are made of this, and this of
 * the grammar's rows.  No secret comes out of it unless it is asked for.  Private to policy/.
 */
#ifndef POL_VIEW_H
#define POL_VIEW_H

#include <stdio.h>

#include "policy/compile_ttls.h"

struct pol_view_rule {
	struct pol_node *node;
	const struct pol_node *group; /* NULL: in none */
	bool active;                  /* by its time conditions, now */
};

struct pol_view {
	struct pol_build build; /* first: it leads back to the view */
	struct pol_diags diags;
	struct pol_pool pool;
	struct pol_policy none; /* what the parts of the compiler that are used here look into */
	time_t now;
	/* pol_view_rules() fills it */
	struct pol_view_rule *rules;
	unsigned n_rules;
};

/*
 * A view of tree, which the caller keeps as long; it is changed (what the compiler notes in it).
 * CS_EPARSE when a reference leads nowhere, which no stored policy has.
 */
int pol_view_open(struct pol_tree *tree, time_t now, struct pol_view *view, struct cs_err *err);
void pol_view_close(struct pol_view *view);
/* Out of memory at some time: what was shown is not all there is. */
bool pol_view_failed(const struct pol_view *view);

/* Is it the one that counts in a policy of scope, and not replaced by another one of its name? */
bool pol_view_in_force(const struct pol_view *view, const struct pol_node *node,
		       enum pol_scope scope);
/*
 * The rules in the order of search: of a policy ("IpFilterPolicy") with its groups expanded, or,
 * policy NULL, all statements `rule` by Priority, the highest first, then by name.
 */
void pol_view_rules(struct pol_view *view, const char *policy, const char *rule);
/* What became of an IpTimeCondition; NULL without memory. */
const struct pol_time *pol_view_time(struct pol_view *view, struct pol_node *node);

enum pol_origin {
	POL_CODED,
	POL_PRESET,    /* the row's default; of a block: one with nothing coded in it */
	POL_INHERITED, /* what another parameter or an outer action says */
};

/* One line of a statement. */
struct pol_field {
	const struct pol_param *param;
	const struct pol_item *item; /* POL_CODED */
	const char *value;           /* as coded, else the default; NULL for a block */
	/* What a block is and a reference leads to; else NULL. POL_PRESET: valid in fn alone. */
	struct pol_node *node;
	enum pol_origin origin;
};

typedef void pol_field_fn(void *arg, const struct pol_field *field);
/*
 * Every parameter of node that has a value, in the order of the rows; those of one group where
 * the group's first row is, as they were coded.  A block that nobody coded is there with its
 * defaults, if it has any.
 */
void pol_fields(const struct pol_view *view, const struct pol_node *node, pol_field_fn *fn,
		void *arg);
/* The same of an action of AT-TLS, or a part of one, with what it has from outer ones. */
void pol_fields_within(const struct pol_view *view, const struct pol_ttls_sources *outer,
		       const struct pol_node *node, pol_field_fn *fn, void *arg);
/* What action, one of the rule's, has its values from where it codes none; empty of other rules. */
struct pol_ttls_sources pol_view_outer(const struct pol_node *rule, const struct pol_node *action);

/*
 * The value as it is written best: words as the grammar has them, without what the parser ignores.
 * Of a secret POL_NOT_SHOWN, unless secrets are asked for.
 */
const char *pol_field_text(const struct pol_field *field, bool secrets,
			   char buf[static POL_LINE_MAX + 1]);

#endif
