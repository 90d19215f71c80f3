/*
 * What a worker before us left.  Phase 1 keys died with it, so its SAs could neither be refreshed
 * nor deleted at the peer: they are taken out of the kernel, and the audit trail gets what it
 * lacks. Other programs' SAs and policies are told by their reqid and never touched.
 */
#include <stdio.h>
#include <stdlib.h>

#include "iked/iked.h"

/* Wiped SAs are told once a pair; no pair has more than two. */
struct kernel_sa {
	struct xf_said id;
	uint32_t reqid;
	struct xf_counters counters;
};

struct cached_p2 {
	struct ike_p2_info info;
	char rule[POL_NAME_MAX + 1], action[POL_NAME_MAX + 1], local_rule[POL_NAME_MAX + 1];
	bool intent;
	uint64_t tx;
};

struct cached_p1 {
	struct ike_p1_info info;
	char rule[POL_NAME_MAX + 1], action[POL_NAME_MAX + 1];
};

/* An array that grows; items are copied in. */
struct array {
	void *items;
	size_t n, cap, size;
	bool short_of_memory;
};

struct leftovers {
	struct array sas, policies, p1, p2;
};

static void *array_add(struct array *a)
{
	if (a->n == a->cap) {
		size_t cap = a->cap ? 2 * a->cap : 64;
		void *items = reallocarray(a->items, cap, a->size);

		if (!items) {
			a->short_of_memory = true;
			return NULL;
		}
		a->items = items;
		a->cap = cap;
	}
	return (char *)a->items + a->n++ * a->size;
}

static const char *copy_name(char to[static POL_NAME_MAX + 1], const char *from)
{
	snprintf(to, POL_NAME_MAX + 1, "%s", from);
	return to;
}

/* ---- what is there ---- */

static int see_sa(void *arg, const struct xf_sa *sa, const struct xf_counters *c)
{
	struct leftovers *l = arg;
	struct kernel_sa *k;

	if (!xf_reqid_is_tunnel(sa->reqid))
		return 0;
	k = array_add(&l->sas);
	if (!k)
		return CS_ENOMEM;
	*k = (struct kernel_sa){sa->id, sa->reqid, c ? *c : (struct xf_counters){0}};
	return 0;
}

static bool is_own_policy(const struct xf_policy *p)
{
	return (p->priority == XF_PRIO_TUNNEL && xf_reqid_is_tunnel(p->reqid)) ||
	       (p->priority == XF_PRIO_HOLD && p->hold);
}

static int see_policy(void *arg, const struct xf_policy *p)
{
	struct leftovers *l = arg;
	struct xf_policy *copy;

	if (!is_own_policy(p))
		return 0;
	copy = array_add(&l->policies);
	if (!copy)
		return CS_ENOMEM;
	*copy = *p;
	return 0;
}

static void see_p1(void *arg, const struct ike_p1_info *info)
{
	struct leftovers *l = arg;
	struct cached_p1 *p1 = array_add(&l->p1);

	if (!p1)
		return;
	p1->info = *info;
	copy_name(p1->rule, info->rule);
	copy_name(p1->action, info->action);
}

static void see_p2(void *arg, const struct ike_p2_info *info, bool intent, uint64_t tx)
{
	struct leftovers *l = arg;
	struct cached_p2 *p2 = array_add(&l->p2);

	if (!p2)
		return;
	p2->info = *info;
	copy_name(p2->rule, info->rule);
	copy_name(p2->action, info->action);
	copy_name(p2->local_rule, info->local_rule);
	p2->intent = intent;
	p2->tx = tx;
}

/* ---- look-up ---- */

static int by_spi(const void *a, const void *b)
{
	const struct kernel_sa *x = a, *y = b;

	return (x->id.spi > y->id.spi) - (x->id.spi < y->id.spi);
}

/* SPIs are unique for one destination only, so all with that SPI are looked at. */
static const struct kernel_sa *find_sa(const struct leftovers *l, uint32_t spi,
				       const struct cs_addr *dst, uint32_t reqid)
{
	const struct kernel_sa *sas = l->sas.items;
	size_t lo = 0, hi = l->sas.n;

	while (spi && lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (sas[mid].id.spi < spi)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; spi && lo < l->sas.n && sas[lo].id.spi == spi; lo++)
		if (sas[lo].reqid == reqid && cs_addr_equal(&sas[lo].id.dst, dst))
			return &sas[lo];
	return NULL;
}

static int by_tunnel(const void *a, const void *b)
{
	const struct cached_p1 *x = a, *y = b;

	if (x->info.tunnel != y->info.tunnel)
		return x->info.tunnel < y->info.tunnel ? -1 : 1;
	return (x->info.generation > y->info.generation) -
	       (x->info.generation < y->info.generation);
}

static const struct ike_p1_info *find_p1(const struct leftovers *l, uint32_t tunnel)
{
	const struct cached_p1 *p1 = l->p1.items;
	size_t lo = 0, hi = l->p1.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (p1[mid].info.tunnel <= tunnel)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && p1[lo - 1].info.tunnel == tunnel ? &p1[lo - 1].info : NULL;
}

/* ---- records ---- */

static const char kept[] = "iked started anew and could not keep it";
static const char gone[] = "it was gone when iked started anew";
static const char never[] = "iked ended before the kernel had it";

static bool settle_p2(struct ike_store *store, const struct leftovers *l, struct cached_p2 *p2,
		      struct ike_now now, unsigned *intents)
{
	struct ike_p2_info *i = &p2->info;
	const struct kernel_sa *in = find_sa(l, i->spi_in, &i->local, i->reqid);
	const struct kernel_sa *out = find_sa(l, i->spi_out, &i->remote, i->reqid);
	struct ike_record rec = {.when = now, .p2 = i, .p1 = find_p1(l, i->parent), .reason = ""};

	i->rule = p2->rule;
	i->action = p2->action;
	i->local_rule = p2->local_rule;
	if (p2->intent) {
		++*intents;
		rec.intent = p2->tx;
		rec.kind = in || out ? IKE_REC_P2_UP : IKE_REC_P2_FAILED;
		rec.reason = in || out ? "" : never;
		ike_store_record(store, &rec);
		if (rec.kind == IKE_REC_P2_FAILED)
			return true;
		rec.intent = 0;
	}
	i->state = IKE_P2_EXPIRED;
	rec.kind = IKE_REC_P2_DOWN;
	rec.reason = in || out ? kept : gone;
	rec.in = in ? &in->counters : NULL;
	rec.out = out ? &out->counters : NULL;
	ike_store_record(store, &rec);
	return in || out;
}

static void settle_p1(struct ike_store *store, struct cached_p1 *p1, struct ike_now now)
{
	struct ike_record rec = {.kind = IKE_REC_P1_DOWN,
				 .when = now,
				 .p1 = &p1->info,
				 .reason = "iked started anew and its keys are gone"};

	p1->info.rule = p1->rule;
	p1->info.action = p1->action;
	p1->info.state = IKE_P1_EXPIRED;
	ike_store_record(store, &rec);
}

/* ---- the kernel ---- */

static int clear_kernel(struct xf_kernel *kernel, const struct leftovers *l, struct cs_err *err)
{
	const struct xf_policy *policies = l->policies.items;
	const struct kernel_sa *sas = l->sas.items;
	int status = 0;

	/* Policies first: a packet then raises an acquire instead of finding no SA. */
	for (size_t i = 0; i < l->policies.n; i++) {
		int rc = xf_policy_delete(kernel, &policies[i], err);

		if (rc < 0 && rc != CS_ENOTFOUND)
			status = rc;
	}
	for (size_t i = 0; i < l->sas.n; i++) {
		int rc = xf_sa_delete(kernel, &sas[i].id, err);

		if (rc < 0 && rc != CS_ENOTFOUND)
			status = rc;
	}
	return status;
}

static int look(struct xf_kernel *kernel, struct ike_store *store, struct leftovers *l,
		struct cs_err *err)
{
	int status = xf_sa_dump(kernel, see_sa, l, err);

	if (status == 0)
		status = xf_policy_dump(kernel, see_policy, l, err);
	/* A cache that cannot be read does not keep SAs without an owner in the kernel. */
	if (status == 0 && ike_store_cached_p1(store, see_p1, l, err) < 0)
		cs_log(CS_NOCTX, CSM_STORE_CACHE, err->text);
	if (status == 0 && ike_store_cached(store, see_p2, l, err) < 0)
		cs_log(CS_NOCTX, CSM_STORE_CACHE, err->text);
	if (l->sas.short_of_memory || l->policies.short_of_memory || l->p1.short_of_memory ||
	    l->p2.short_of_memory)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	return status;
}

int iked_reconcile(struct xf_kernel *kernel, struct ike_store *store, struct ike_now now,
		   struct cs_err *err)
{
	struct leftovers l = {
		.sas.size = sizeof(struct kernel_sa),
		.policies.size = sizeof(struct xf_policy),
		.p1.size = sizeof(struct cached_p1),
		.p2.size = sizeof(struct cached_p2),
	};
	unsigned were_gone = 0, intents = 0;
	int status = look(kernel, store, &l, err);

	if (status < 0)
		goto out;
	if (l.sas.n)
		qsort(l.sas.items, l.sas.n, sizeof(struct kernel_sa), by_spi);
	if (l.p1.n)
		qsort(l.p1.items, l.p1.n, sizeof(struct cached_p1), by_tunnel);
	for (size_t i = 0; i < l.p1.n; i++) {
		struct cached_p1 *p1 = (struct cached_p1 *)l.p1.items + i;

		p1->info.rule = p1->rule;
		p1->info.action = p1->action;
	}
	status = clear_kernel(kernel, &l, err);
	for (size_t i = 0; i < l.p2.n; i++)
		if (!settle_p2(store, &l, (struct cached_p2 *)l.p2.items + i, now, &intents))
			were_gone++;
	for (size_t i = 0; i < l.p1.n; i++)
		settle_p1(store, (struct cached_p1 *)l.p1.items + i, now);
	if (l.sas.n || l.p2.n)
		cs_log(CS_NOCTX, CSM_SETTLED, (unsigned)l.sas.n, were_gone, intents);
out:
	free(l.sas.items);
	free(l.policies.items);
	free(l.p1.items);
	free(l.p2.items);
	return status;
}
