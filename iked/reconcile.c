/*
 * What a worker before us left, gathered from the kernel, the SA cache and the memory that the
 * parent holds; the engine decides what lives on.  Other programs' SAs and policies are told by
 * their reqid and never touched.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/copies.h"
#include "iked/iked.h"

struct found {
	struct iked_array sas, policies, p1, p2, kept, quicks, copies;
};

static int see_sa(void *arg, const struct xf_sa *sa, const struct xf_counters *c)
{
	struct found *f = arg;
	struct ike_left_sa *left;

	/* What a packet asked for resynchronisation begins. */
	if (!xf_reqid_is_tunnel(sa->reqid) || !sa->id.spi || sa->asked)
		return 0;
	left = iked_array_add(&f->sas);
	if (!left)
		return CS_ENOMEM;
	left->id = sa->id;
	left->src = sa->src;
	left->reqid = sa->reqid;
	left->larval = !sa->cipher && !sa->integ;
	if (c)
		left->counters = *c;
	return 0;
}

static bool is_own_policy(const struct xf_policy *p)
{
	return (p->priority == XF_PRIO_TUNNEL && xf_reqid_is_tunnel(p->reqid)) ||
	       (p->priority == XF_PRIO_HOLD && p->hold);
}

static int see_policy(void *arg, const struct xf_policy *p)
{
	struct found *f = arg;
	struct xf_policy *copy;

	if (!is_own_policy(p))
		return 0;
	copy = iked_array_add(&f->policies);
	if (!copy)
		return CS_ENOMEM;
	*copy = *p;
	return 0;
}

static void see_p1(void *arg, const struct ike_p1_info *info)
{
	struct found *f = arg;
	struct ike_p1_info *p1 = iked_array_add(&f->p1);

	if (p1 && !iked_copy_p1(&f->copies, p1, info))
		f->p1.n--;
}

static void see_p2(void *arg, const struct ike_p2_info *info, uint64_t intent)
{
	struct found *f = arg;
	struct ike_cached_p2 *p2 = iked_array_add(&f->p2);

	if (!p2)
		return;
	p2->intent = intent;
	if (!iked_copy_p2(&f->copies, &p2->info, info))
		f->p2.n--;
}

static int see_kept(void *arg, const struct ike_p1_kept *k)
{
	struct found *f = arg;
	const struct ike_p1_kept **slot = iked_array_add(&f->kept);

	if (!slot)
		return CS_ENOMEM;
	*slot = k;
	return 0;
}

static void see_quick(void *arg, const struct ike_quick_kept *k)
{
	struct found *f = arg;
	const struct ike_quick_kept **slot = iked_array_add(&f->quicks);

	if (slot)
		*slot = k;
}

static int look(struct found *f, struct xf_kernel *kernel, struct ike_store *store,
		const struct ike_sealed *sealed, struct cs_err *err)
{
	int status = xf_sa_dump(kernel, see_sa, f, err);

	if (status == 0)
		status = xf_policy_dump(kernel, see_policy, f, err);
	/* A cache that cannot be read does not keep SAs without an owner in the kernel. */
	if (status == 0 && ike_store_cached_p1(store, see_p1, f, err) < 0)
		cs_log(CS_NOCTX, CSM_STORE_CACHE, err->text);
	if (status == 0 && ike_store_cached(store, see_p2, f, err) < 0)
		cs_log(CS_NOCTX, CSM_STORE_CACHE, err->text);
	if (sealed) {
		ike_sealed_each(sealed, see_kept, f);
		ike_sealed_each_quick(sealed, see_quick, f);
	}
	if (f->sas.short_of_memory || f->policies.short_of_memory || f->p1.short_of_memory ||
	    f->p2.short_of_memory || f->kept.short_of_memory || f->quicks.short_of_memory ||
	    f->copies.short_of_memory)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	return status;
}

static int restore(const struct found *f, int64_t clock_set, struct ike_engine *engine,
		   struct ike_now now, struct cs_err *err)
{
	const struct ike_leftovers left = {
		.kept = f->kept.items,
		.quicks = f->quicks.items,
		.p1 = f->p1.items,
		.p2 = f->p2.items,
		.sas = f->sas.items,
		.policies = f->policies.items,
		.clock_set = clock_set,
		.n_kept = f->kept.n,
		.n_quicks = f->quicks.n,
		.n_p1 = f->p1.n,
		.n_p2 = f->p2.n,
		.n_sas = f->sas.n,
		.n_policies = f->policies.n,
	};
	struct ike_restored done;
	int status = ike_engine_restore(engine, &left, now, &done, err);

	if (status == 0 && (left.n_sas || left.n_p2 || left.n_kept))
		cs_log(CS_NOCTX, CSM_SETTLED, done.p1, done.p2, done.removed, done.gone,
		       done.intents);
	return status;
}

static void free_found(struct found *f)
{
	iked_copies_free(&f->copies);
	free(f->sas.items);
	free(f->policies.items);
	free(f->p1.items);
	free(f->p2.items);
	free(f->kept.items);
	free(f->quicks.items);
}

int iked_reconcile(struct xf_kernel *kernel, struct ike_store *store, struct ike_sealed *sealed,
		   int64_t clock_set, struct ike_engine *engine, struct ike_now now,
		   struct cs_err *err)
{
	struct found f = {
		.sas.size = sizeof(struct ike_left_sa),
		.policies.size = sizeof(struct xf_policy),
		.p1.size = sizeof(struct ike_p1_info),
		.p2.size = sizeof(struct ike_cached_p2),
		.kept.size = sizeof(const struct ike_p1_kept *),
		.quicks.size = sizeof(const struct ike_quick_kept *),
		.copies = IKED_COPIES,
	};
	int status = look(&f, kernel, store, sealed, err);

	if (status == 0)
		status = restore(&f, clock_set, engine, now, err);
	free_found(&f);
	return status;
}
