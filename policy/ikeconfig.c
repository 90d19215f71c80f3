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

/* z/OS names a ring, here it is a path; a relative one is below the configuration directory. */
static void set_keyring(struct pol_build *b, struct pol_node *node, struct pol_ike_config *config)
{
	const struct pol_item *item = pol_item_of(node, "Keyring");
	const char *path = pol_text_of(node, "Keyring");
	struct cs_err err;

	config->keyring_coded = item != NULL;
	if (pol_item_of(node, "NoKeyRing"))
		return;
	if (path[0] != '/') {
		if (cs_conf_path(path, config->keyring, &err) < 0)
			pol_wrong(b, node, item, NULL, "%s", err.text);
	} else if (strlen(path) < sizeof(config->keyring)) {
		memcpy(config->keyring, path, strlen(path) + 1);
	} else {
		pol_wrong(b, node, item, NULL, "the path is too long");
	}
}

/* SupportedCertAuth may be repeated; the labels add up. */
static void set_cas(struct pol_build *b, struct pol_node *node, struct pol_ike_config *config)
{
	for (unsigned i = 0; i < node->n_items; i++) {
		const struct pol_item *item = &node->items[i];

		if (strcmp(item->param->keyword, "SupportedCertAuth") != 0)
			continue;
		if (strlen(item->value) > POL_NAME_MAX)
			pol_wrong(b, node, item, NULL, "the label is longer than %d characters",
				  POL_NAME_MAX);
		else if (config->n_supported_cas == POL_CAS_MAX)
			pol_wrong(b, node, item, NULL, "there are more than %d", POL_CAS_MAX);
		else
			strcpy(config->supported_cas[config->n_supported_cas++], item->value);
	}
}

/* The form of an address is told by validation. */
static void set_vipas(struct pol_build *b, struct pol_node *node, struct pol_ike_config *config)
{
	for (unsigned i = 0; i < node->n_items; i++) {
		const struct pol_item *item = &node->items[i];

		if (strcmp(item->param->keyword, "DynamicVipa") != 0)
			continue;
		if (config->n_vipas == POL_VIPAS_MAX)
			pol_wrong(b, node, item, NULL, "there are more than %d", POL_VIPAS_MAX);
		else if (pol_range_of(item->value, &config->vipas[config->n_vipas], NULL))
			config->n_vipas++;
	}
}

/* Whether it can be used is for the daemon to say, which knows what is built in. */
static void set_shared_store(struct pol_build *b, struct pol_node *node,
			     struct pol_ike_config *config)
{
	const char *uri = pol_text_of(node, "SharedStore");

	if (!uri) /* there is none */
		return;
	if (strlen(uri) >= sizeof(config->shared_store))
		pol_wrong(b, node, pol_item_of(node, "SharedStore"), NULL,
			  "it is longer than %zu characters", sizeof(config->shared_store) - 1);
	else
		memcpy(config->shared_store, uri, strlen(uri) + 1);
}

static void set_all(struct pol_build *b, struct pol_node *node, struct pol_ike_config *config)
{
	memset(config, 0, sizeof(*config));
	set_number(node, "IkeSyslogLevel", &config->log_level);
	set_number(node, "IkeRetries", &config->retries);
	set_number(node, "IkeInitWait", &config->init_wait);
	set_number(node, "PagentWait", &config->pagent_wait);
	config->fips140 = pol_yes_of(node, "FIPS140");
	config->echo = pol_yes_of(node, "Echo");
	set_smf(node, config);
	set_keyring(b, node, config);
	set_cas(b, node, config);
	set_vipas(b, node, config);
	set_shared_store(b, node, config);
}

int pol_ike_config(const char *file, bool may_be_missing, pol_diag_fn *diag, void *arg,
		   struct pol_ike_config *config, struct cs_err *err)
{
	struct pol_node defaults = {.statement = pol_statement_find("IkeConfig")};
	struct pol_diags diags = {0};
	struct pol_tree *tree = pol_tree_new();
	struct pol_build b = {.tree = tree, .diags = &diags};
	struct pol_node *last = &defaults;
	struct pol_ike_config made;
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
	if (!rc)
		set_all(&b, last, &made);
	if (!rc && diags.no_memory)
		rc = cs_fail(err, CS_ENOMEM, "out of memory");
	if (!rc && diags.n_errors)
		rc = cs_fail(err, CS_EPOLICY, "%s has %u error%s", file, diags.n_errors,
			     diags.n_errors == 1 ? "" : "s");
	if (!rc)
		*config = made;
	pol_diags_tell(&diags, tree, diag, arg);
	pol_diags_free(&diags);
	pol_tree_free(tree);
	return rc;
}
