/*
 * The compiler's frame: passes over the tree, every object once, then the policies with their
 * groups expanded.
 */
#include "policy/compile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/parse.h"

/* ---- findings ---- */

static struct pol_place_in place_of(const struct pol_node *node, const struct pol_item *item)
{
	return (struct pol_place_in){.file = node->file,
				     .line = item ? item->line : node->line,
				     .mark = item ? POL_MARK_VALUE : POL_MARK_LINE};
}

/* A word of the value: its place in the line follows from that in the value. */
static void mark_word(struct pol_place_in *place, const struct pol_item *item, struct pol_word word)
{
	if (!word.len || !item->value)
		return;
	place->mark = POL_MARK_WORD;
	place->skip = (size_t)(word.p - item->value);
	place->len = word.len;
}

static const char *name_of(const struct pol_item *item, const char *attribute)
{
	return !attribute && item ? item->param->keyword : attribute;
}

void pol_wrong(struct pol_build *b, struct pol_node *node, const struct pol_item *item,
	       const char *attribute, const char *fmt, ...)
{
	va_list ap;

	node->failed = true;
	va_start(ap, fmt);
	pol_vfind(b->diags, POL_ERROR, place_of(node, item), node, name_of(item, attribute), fmt,
		  ap);
	va_end(ap);
}

void pol_wrong_word(struct pol_build *b, struct pol_node *node, const struct pol_item *item,
		    struct pol_word word, const char *fmt, ...)
{
	struct pol_place_in place = place_of(node, item);
	va_list ap;

	node->failed = true;
	mark_word(&place, item, word);
	va_start(ap, fmt);
	pol_vfind(b->diags, POL_ERROR, place, node, item->param->keyword, fmt, ap);
	va_end(ap);
}

void pol_misvalue(struct pol_build *b, struct pol_node *node, const struct pol_item *item,
		  struct pol_word word, const char *fmt, ...)
{
	struct pol_place_in place = place_of(node, item);
	char expected[POL_EXPECTED_MAX];
	va_list ap;

	node->failed = true;
	mark_word(&place, item, word);
	place.expected = pol_expected(item->param, expected);
	va_start(ap, fmt);
	pol_vfind(b->diags, POL_ERROR, place, node, item->param->keyword, fmt, ap);
	va_end(ap);
}

void pol_warn(struct pol_build *b, const struct pol_node *node, const struct pol_item *item,
	      const char *attribute, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	pol_vfind(b->diags, POL_WARNING, place_of(node, item), node, name_of(item, attribute), fmt,
		  ap);
	va_end(ap);
}

struct pol_node *pol_target(const struct pol_item *item)
{
	return item->block ? item->block : item->target;
}

void pol_inherit(struct pol_build *b, struct pol_node *node, const struct pol_item *item)
{
	const struct pol_node *target = item->target;

	node->failed = true;
	if (target)
		pol_find(b->diags, POL_NOTE, place_of(node, item), node, item->param->keyword,
			 "%s %s has errors (line %u of %s)", target->statement->keyword,
			 target->name ? target->name : "", target->line, target->file);
}

/* ---- memory ---- */

void *pol_get(struct pol_build *b, size_t n, size_t size)
{
	void *p = pol_pool_get(b->pool, n, size);

	if (!p)
		b->diags->no_memory = true;
	return p;
}

void *pol_append(struct pol_build *b, void *array, unsigned *n, const void *item, size_t size)
{
	char *more = pol_pool_grow(b->pool, array, *n, size);

	if (!more) {
		b->diags->no_memory = true;
		return array;
	}
	memcpy(more + size * (*n)++, item, size);
	return more;
}

const void *pol_done(const struct pol_build *b, struct pol_node *node, void *object)
{
	if (!node->failed && !b->diags->no_memory)
		node->made = object;
	return node->made;
}

/* ---- the whole tree ---- */

/* Makes what a statement stands for, so that errors in unused ones are seen too. */
static void make_global(struct pol_build *b, struct pol_node *node)
{
	static const struct {
		const char *keyword;
		const void *(*make)(struct pol_build *b, struct pol_node *node);
	} makers[] = {
		{"IpAddr", pol_make_ranges},
		{"IpAddrSet", pol_make_ranges},
		{"IpAddrGroup", pol_make_ranges},
		{"IpService", pol_make_services},
		{"IpServiceGroup", pol_make_services},
		{"IpTimeCondition", pol_make_time},
		{"IpGenericFilterAction", pol_make_generic},
		{"IpDataOffer", pol_make_data_offer},
		{"IpDynVpnAction", pol_make_dynvpn},
		{"IpLocalStartAction", pol_make_start},
		{"IpManVpnAction", pol_make_manual},
		{"IpFilterRule", pol_make_filter_rule},
		{"RemoteIdentity", pol_make_identity},
		{"LocalSecurityEndpoint", pol_make_endpoint},
		{"RemoteSecurityEndpoint", pol_make_endpoint},
		{"KeyExchangeOffer", pol_make_ke_offer},
		{"KeyExchangeAction", pol_make_ke_action},
		{"KeyExchangeRule", pol_make_ke_rule},
		{"LocalDynVpnRule", pol_make_local_rule},
	};

	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++)
		if (strcmp(makers[i].keyword, node->statement->keyword) == 0) {
			makers[i].make(b, node);
			return;
		}
	if (node->statement->place == POL_IN_TTLS ||
	    strncmp(node->statement->keyword, "Port", 4) == 0) {
		pol_make_ttls(b, node);
		return;
	}
	for (unsigned i = 0; i < node->n_items; i++) /* groups and policies */
		if (node->items[i].block)
			make_global(b, node->items[i].block);
}

static bool is_rule(const struct pol_node *node)
{
	return node && strstr(node->statement->keyword, "Rule");
}

/* The members of a group (or the rules of a policy) that are rules themselves. */
static void each_member(struct pol_build *b, struct pol_node *node, const struct pol_node *group,
			pol_rule_fn *fn)
{
	for (unsigned i = 0; i < node->n_items; i++) {
		const struct pol_item *item = &node->items[i];
		struct pol_node *target = pol_target(item);

		if (is_rule(target))
			fn(b, target, group, node, item);
		else if (target && !group)
			each_member(b, target, target, fn);
	}
}

/* A group has rules alone. */
static bool are_too_many(struct pol_build *b, struct pol_node *policy)
{
	unsigned n = 0;

	for (unsigned i = 0; i < policy->n_items; i++) {
		const struct pol_item *item = &policy->items[i];
		const struct pol_node *target = pol_target(item);
		unsigned more = is_rule(target) ? 1 : target ? target->n_items : 0;

		if (more > POL_RULES_MAX - n) {
			pol_wrong(b, policy, item, NULL,
				  "with it the policy has more than %u rules", POL_RULES_MAX);
			return true;
		}
		n += more;
	}
	return false;
}

void pol_each_rule(struct pol_build *b, struct pol_node *policy, pol_rule_fn *fn)
{
	if (!are_too_many(b, policy))
		each_member(b, policy, NULL, fn);
}

void pol_set_group(char name[static POL_NAME_MAX + 1], const struct pol_node *group)
{
	snprintf(name, POL_NAME_MAX + 1, "%s", group ? group->name : "");
}

static void forget(struct pol_node *node)
{
	node->tried = node->failed = false;
	node->made = NULL;
	for (unsigned i = 0; i < node->n_items; i++) {
		node->items[i].target = NULL;
		if (node->items[i].block)
			forget(node->items[i].block);
	}
}

void pol_forget(struct pol_tree *tree)
{
	for (unsigned i = 0; i < tree->n_nodes; i++)
		forget(tree->nodes[i]);
}

static void build(struct pol_build *b)
{
	struct pol_tree *tree = b->tree;

	pol_forget(tree);
	pol_validate(b);
	pol_resolve(b);
	pol_begin_filter_policy(b);
	b->key_exchange = pol_lookup(b, "KeyExchangePolicy", "");
	for (unsigned i = 0; i < tree->n_nodes; i++)
		make_global(b, tree->nodes[i]);
	pol_make_filter_policy(b);
	pol_make_ke_policy(b);
	pol_check_identities(b);
	pol_make_local_policy(b);
	pol_make_ttls_policy(b);
}

/* A policy of tree, which it takes over on success; what is wrong goes to diags. */
static int compile(struct pol_tree *tree, struct pol_diags *diags, struct pol_policy **policy,
		   struct cs_err *err)
{
	struct pol_build b = {.tree = tree, .diags = diags};
	struct pol_policy *p = calloc(1, sizeof(*p));
	struct pol_private *priv = calloc(1, sizeof(*priv));

	if (!p || !priv) {
		free(p);
		free(priv);
		return cs_fail(err, CS_ENOMEM, "out of memory");
	}
	p->priv = priv;
	atomic_init(&priv->refs, 1);
	b.policy = p;
	b.pool = &priv->pool;
	if (!diags->gave_up)
		build(&b);
	free(b.index);
	if (diags->no_memory || diags->n_errors) {
		pol_unref(p);
		if (diags->no_memory)
			return cs_fail(err, CS_ENOMEM, "out of memory");
		return cs_fail(err, CS_EPOLICY, "the policy has %s%u error%s",
			       diags->gave_up ? "more than " : "", diags->n_errors,
			       diags->n_errors == 1 ? "" : "s");
	}
	priv->tree = tree;
	*policy = p;
	return 0;
}

int pol_compile_tree(struct pol_tree *tree, pol_diag_fn *diag, void *arg,
		     struct pol_policy **policy, struct cs_err *err)
{
	struct pol_diags diags = {0};
	int rc = compile(tree, &diags, policy, err);

	pol_diags_tell(&diags, tree, diag, arg);
	pol_diags_free(&diags);
	return rc;
}

int pol_compile(const char *main_file, const char *stack, pol_diag_fn *diag, void *arg,
		struct pol_policy **policy, struct cs_err *err)
{
	return pol_compile_files(main_file, stack, diag, NULL, arg, NULL, policy, err);
}

int pol_compile_files(const char *main_file, const char *stack, pol_diag_fn *diag,
		      pol_file_fn *file, void *arg, struct pol_options *options,
		      struct pol_policy **policy, struct cs_err *err)
{
	struct pol_diags diags = {0};
	struct pol_tree *tree = pol_tree_new();
	int rc;

	if (!tree)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	rc = pol_parse(main_file, stack, tree, &diags, err);
	if (!rc)
		rc = compile(tree, &diags, policy, err);
	pol_diags_tell(&diags, tree, diag, arg);
	pol_diags_free(&diags);
	for (unsigned i = 0; file && i < tree->n_files; i++)
		file(arg, tree->files[i]);
	if (options)
		*options = tree->options;
	if (rc)
		pol_tree_free(tree);
	return rc;
}
