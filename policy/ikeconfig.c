/* iked's configuration file: IkeConfig, read and checked by the same grammar as policy. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/compile.h"
#include "policy/parse.h"

static void set_number(const struct pol_node *node, const char *keyword, unsigned *to)
{
	unsigned long n;

	if (pol_number_of(node, keyword, &n))
		*to = (unsigned)n;
}

/* SMF119 may be repeated; what the lines ask for adds up. */
static void set_smf(const struct pol_node *node, struct pol_ike_config *config)
{
	for (unsigned i = 0; i < node->n_items; i++) {
		const struct pol_item *item = &node->items[i];
		int choice;

		if (strcmp(item->param->keyword, "SMF119") != 0)
			continue;
		choice = pol_choice(item->param->values, item->value, NULL);
		config->smf_ike_tunnel |= choice == 1 || choice == 2;
		config->smf_dyn_tunnel |= choice == 1 || choice == 3;
	}
}

static void set_all(const struct pol_node *node, struct pol_ike_config *config)
{
	memset(config, 0, sizeof(*config));
	set_number(node, "IkeSyslogLevel", &config->log_level);
	set_number(node, "IkeRetries", &config->retries);
	set_number(node, "IkeInitWait", &config->init_wait);
	set_number(node, "PagentWait", &config->pagent_wait);
	config->fips140 = pol_yes_of(node, "FIPS140");
	config->echo = pol_yes_of(node, "Echo");
	set_smf(node, config);
}

int pol_ike_config(const char *file, bool may_be_missing, pol_diag_fn *diag, void *arg,
		   struct pol_ike_config *config, struct cs_err *err)
{
	struct pol_node defaults = {.statement = pol_statement_find("IkeConfig")};
	struct pol_diags diags = {0};
	struct pol_tree *tree = pol_tree_new();
	struct pol_build b = {.tree = tree, .diags = &diags};
	struct pol_node *last = &defaults;
	int rc = 0;

	if (!tree)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	if (!may_be_missing || access(file, F_OK) == 0)
		rc = pol_parse_iked(file, tree, &diags, err);
	for (unsigned i = 0; !rc && i < tree->n_nodes; i++) {
		if (last != &defaults)
			pol_warn(&b, tree->nodes[i], NULL, NULL, "it replaces the one on line %u",
				 last->line);
		last = tree->nodes[i];
		pol_validate_node(&b, last, true);
	}
	if (!rc && diags.no_memory)
		rc = cs_fail(err, CS_ENOMEM, "out of memory");
	if (!rc && diags.n_errors)
		rc = cs_fail(err, CS_EPOLICY, "%s has %u error%s", file, diags.n_errors,
			     diags.n_errors == 1 ? "" : "s");
	if (!rc)
		set_all(last, config);
	pol_diags_tell(&diags, tree, diag, arg);
	pol_diags_free(&diags);
	pol_tree_free(tree);
	return rc;
}
