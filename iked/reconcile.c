/*
 * What a worker before us left, gathered from the kernel, the SA cache and the memory that the
 * parent holds; the engine decides what lives on.  Other programs' SAs and policies are told by
 * their reqid and never touched.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/iked.h"

/* What the infos of the rows point to, one piece of memory a row. */
struct texts {
	char rule[POL_NAME_MAX + 1], action[POL_NAME_MAX + 1], local_rule[POL_NAME_MAX + 1];
	uint8_t ids[];
};

/* An array that grows; items are copied in. */
struct array {
	void *items;
	size_t n, cap, size;
	bool short_of_memory;
};

struct found {
	struct array sas, policies, p1, p2, kept, quicks, texts;
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
	return memset((char *)a->items + a->n++ * a->size, 0, a->size);
}

static struct texts *add_texts(struct found *f, size_t ids)
{
	struct texts **slot = array_add(&f->texts);

	if (slot) {
		*slot = calloc(1, sizeof(**slot) + ids);
		if (!*slot)
			f->texts.short_of_memory = true;
	}
	return slot ? *slot : NULL;
}

static const char *copy_name(char to[static POL_NAME_MAX + 1], const char *from)
{
	snprintf(to, POL_NAME_MAX + 1, "%s", from);
	return to;
}

static int see_sa(void *arg, const struct xf_sa *sa, const struct xf_counters *c)
{
	struct found *f = arg;
	struct ike_left_sa *left;

	/* What a packet asked for resynchronisation begins. */
	if (!xf_reqid_is_tunnel(sa->reqid) || !sa->id.spi || sa->asked)
		return 0;
	left = array_add(&f->sas);
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
	copy = array_add(&f->policies);
	if (!copy)
		return CS_ENOMEM;
	*copy = *p;
	return 0;
}

static void see_p1(void *arg, const struct ike_p1_info *info)
{
	struct found *f = arg;
	struct texts *t = add_texts(f, 0);
	struct ike_p1_info *p1 = t ? array_add(&f->p1) : NULL;

	if (!p1)
		return;
	*p1 = *info;
	p1->rule = copy_name(t->rule, info->rule);
	p1->action = copy_name(t->action, info->action);
}

static void see_p2(void *arg, const struct ike_p2_info *info, uint64_t intent)
{
	struct found *f = arg;
	struct texts *t = add_texts(f, info->local_id.len + info->remote_id.len);
	struct ike_cached_p2 *p2 = t ? array_add(&f->p2) : NULL;

	if (!p2)
		return;
	p2->info = *info;
	p2->intent = intent;
	p2->info.rule = copy_name(t->rule, info->rule);
	p2->info.action = copy_name(t->action, info->action);
	p2->info.local_rule = copy_name(t->local_rule, info->local_rule);
	p2->info.local_id.p = t->ids;
	p2->info.remote_id.p = t->ids + info->local_id.len;
	if (info->local_id.len)
		memcpy(t->ids, info->local_id.p, info->local_id.len);
	if (info->remote_id.len)
		memcpy(t->ids + info->local_id.len, info->remote_id.p, info->remote_id.len);
}

static int see_kept(void *arg, const struct ike_p1_kept *k)
{
	struct found *f = arg;
	const struct ike_p1_kept **slot = array_add(&f->kept);

	if (!slot)
		return CS_ENOMEM;
	*slot = k;
	return 0;
}

static void see_quick(void *arg, const struct ike_quick_kept *k)
{
	struct found *f = arg;
	const struct ike_quick_kept **slot = array_add(&f->quicks);

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
	    f->texts.short_of_memory)
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
	struct texts **texts = f->texts.items;

	for (size_t i = 0; i < f->texts.n; i++)
		free(texts[i]);
	free(f->texts.items);
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
		.texts.size = sizeof(struct texts *),
	};
	int status = look(&f, kernel, store, sealed, err);

	if (status == 0)
		status = restore(&f, clock_set, engine, now, err);
	free_found(&f);
	return status;
}
