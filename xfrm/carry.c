/*
 * Counters that live on over a new table.  nftables replaces the table as a whole, in one
 * transaction, and with it its counters; those of rules that are as they were are read before, and
 * the new ones begin with that.
 */
#include <stdlib.h>

#include "policy/policy.h"
#include "xfrm/kernel.h"

struct reading {
	const struct xf_carry *carry;
	unsigned *to; /* by rule of the table: 1 + the rule of the policy, 0: it goes */
	struct xf_count_list *counts;
	size_t cap;
	bool no_memory;
};

static int by_filter(const void *x, const void *y)
{
	const struct xf_filter_count *a = x, *b = y;

	if (a->rule != b->rule)
		return a->rule < b->rule ? -1 : 1;
	if (a->service != b->service)
		return a->service < b->service ? -1 : 1;
	return (int)a->outbound - (int)b->outbound;
}

struct xf_filter_count *xf_count_find(const struct xf_count_list *counts, unsigned rule,
				      unsigned service, bool outbound)
{
	struct xf_filter_count key = {.rule = rule, .service = service, .outbound = outbound};

	if (!counts || !counts->n)
		return NULL;
	return bsearch(&key, counts->v, counts->n, sizeof(*counts->v), by_filter);
}

static void on_count(void *arg, const struct xf_filter_count *c)
{
	struct reading *r = arg;
	struct xf_filter_count *v;

	if (c->rule > r->carry->n_before || !r->to[c->rule] || !c->packets)
		return;
	v = xf_room(r->counts->v, r->counts->n, &r->cap, sizeof(*v));
	if (!v) {
		r->no_memory = true;
		return;
	}
	r->counts->v = v;
	v[r->counts->n] = *c;
	v[r->counts->n++].rule = r->to[c->rule] - 1;
}

int xf_carry_read(struct xf_kernel *k, const struct pol_policy *policy,
		  const struct xf_carry *carry, struct xf_count_list *counts, struct cs_err *err)
{
	struct reading r = {.carry = carry, .counts = counts};
	int rc;

	r.to = calloc(carry->n_before + 1u, sizeof(*r.to));
	if (!r.to)
		return cs_fail(err, CS_ENOMEM, "no memory for filter counters");
	for (unsigned i = 0; i < policy->n_rules; i++)
		if (carry->from[i] && carry->from[i] <= carry->n_before)
			r.to[carry->from[i] - 1] = i + 1;
	r.to[carry->n_before] = policy->n_rules + 1; /* the implicit deny */
	rc = xf_filter_counts(k, on_count, &r, err);
	free(r.to);
	if (r.no_memory)
		return cs_fail(err, CS_ENOMEM, "no memory for filter counters");
	if (rc == 0 && counts->n > 1)
		qsort(counts->v, counts->n, sizeof(*counts->v), by_filter);
	return rc == CS_ENOTFOUND ? 0 : rc;
}
