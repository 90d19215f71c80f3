/* A compiled policy's life: shared by count, wiped with the last reference. */
#include "policy/policy.h"

#include <stdlib.h>

#include "policy/compile.h"

struct pol_policy *pol_ref(struct pol_policy *policy)
{
	if (policy)
		atomic_fetch_add(&policy->priv->refs, 1);
	return policy;
}

void pol_unref(struct pol_policy *policy)
{
	if (!policy || atomic_fetch_sub(&policy->priv->refs, 1) != 1)
		return;
	pol_pool_free(&policy->priv->pool);
	pol_tree_free(policy->priv->tree);
	free(policy->priv);
	free(policy);
}

bool pol_is_profile(const struct pol_policy *policy)
{
	return policy->generation & POL_PROFILE_GENERATION;
}

const struct pol_tree *pol_policy_tree(const struct pol_policy *policy)
{
	return policy->priv->tree;
}
