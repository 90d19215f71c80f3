/*
 * The policies that pagent owns in the kernel, computed from a policy.  Private to xfrm/.
 */
#ifndef XF_CLOSED_H
#define XF_CLOSED_H

#include "policy/policy.h"
#include "xfrm/xfrm.h"

struct xf_policy_list {
	struct xf_policy *v;
	size_t n, cap;
};

/* Appends; false when memory is out. */
bool xf_list_put(struct xf_policy_list *l, const struct xf_policy *p);
void xf_list_free(struct xf_policy_list *l);
/* Sorts and drops doubles, by what the kernel tells policies apart. */
void xf_list_sort(struct xf_policy_list *l);
int xf_policy_order(const struct xf_policy *a, const struct xf_policy *b);
/* Equal in everything, of two that xf_policy_order finds equal. */
bool xf_policy_same(const struct xf_policy *a, const struct xf_policy *b);

/* All that this policy needs, sorted; v4 and v6 say whether spent SAs of that family are used. */
int xf_wanted(const struct xf_marking *marking, const struct pol_policy *policy,
	      struct xf_policy_list *l, bool *v4, bool *v6, struct cs_err *err);

#endif
