/*
 * Public-key jobs on libuv's threads.  A key pair costs as much as a shared secret, so while
 * nothing is asked for, pairs are made ahead, one at a time: a job that comes meanwhile finds a
 * thread free.
 */
#include "iked/pk_pool.h"

#include <stdlib.h>

#define GROUPS_MAX 32

/* A job under way; in a list, so that the ones that wait can be called back. */
struct work {
	uv_work_t req;
	struct ike_pk_pool *pool;
	struct ike_pk_job *job;
	struct work *prev, *next;
};

struct ahead {
	const struct cs_group *group;
	struct ike_dh *pairs[IKE_PK_AHEAD];
	unsigned n;
	bool wanted;
};

struct ike_pk_pool {
	uv_loop_t *loop;
	ike_pk_done_fn *fn;
	void *arg;
	ike_pk_idle_fn *idle;
	void *idle_arg;
	bool stopping, filling;
	struct work *works;
	struct ahead groups[GROUPS_MAX];
	unsigned n_groups;
	uv_work_t fill;
	struct ike_pk_job fill_job;
	struct ike_pk_stats stats;
};

static void fill_next(struct ike_pk_pool *p);

static struct ahead *ahead_of(struct ike_pk_pool *p, const struct cs_group *group)
{
	for (unsigned i = 0; i < p->n_groups; i++)
		if (p->groups[i].group->number == group->number)
			return &p->groups[i];
	return NULL;
}

static void wipe(struct ahead *a)
{
	while (a->n)
		ike_dh_free(a->pairs[--a->n]);
}

/* ---- stopping ---- */

static void tell_idle(struct ike_pk_pool *p)
{
	if (p->stopping && p->idle && !p->works && !p->filling) {
		ike_pk_idle_fn *idle = p->idle;

		p->idle = NULL;
		idle(p->idle_arg);
	}
}

static void refuse(struct ike_pk_job *job)
{
	job->status = cs_fail(&job->err, CS_EAGAIN, "the daemon is stopping");
}

/* ---- jobs ---- */

static void run(uv_work_t *req)
{
	struct work *w = req->data;

	ike_pk_run(w->job);
}

static void ran(uv_work_t *req, int status)
{
	struct work *w = req->data;
	struct ike_pk_pool *p = w->pool;
	struct ike_pk_job *job = w->job;

	*(w->prev ? &w->prev->next : &p->works) = w->next;
	if (w->next)
		w->next->prev = w->prev;
	free(w);
	p->stats.under_way--;
	if (status < 0)
		refuse(job);
	if (job->status < 0 && job->kind != IKE_PK_PASSWORD)
		p->stats.failed++;
	p->fn(p->arg, job);
	fill_next(p);
	tell_idle(p);
}

enum ike_done ike_pk_pool_submit(struct ike_pk_pool *p, struct ike_pk_job *job)
{
	struct ahead *a = job->kind == IKE_PK_KEYPAIR ? ahead_of(p, job->group) : NULL;
	struct work *w;
	int rc;

	if (p->stopping) {
		refuse(job);
		return IKE_DONE;
	}
	if (a && a->n) {
		job->dh = a->pairs[--a->n];
		job->status = 0;
		p->stats.ahead_used++;
		p->stats.ahead_ready--;
		fill_next(p);
		return IKE_DONE;
	}
	w = calloc(1, sizeof(*w));
	if (!w) {
		job->status = cs_fail(&job->err, CS_ENOMEM, "out of memory");
		return IKE_DONE;
	}
	w->pool = p;
	w->job = job;
	w->req.data = w;
	rc = uv_queue_work(p->loop, &w->req, run, ran);
	if (rc < 0) {
		free(w);
		job->status =
			cs_fail(&job->err, CS_ESYS, "cannot start a job: %s", uv_strerror(rc));
		return IKE_DONE;
	}
	w->next = p->works;
	if (w->next)
		w->next->prev = w;
	p->works = w;
	p->stats.jobs++;
	p->stats.under_way++;
	return IKE_LATER;
}

/* ---- pairs made ahead ---- */

static void fill_run(uv_work_t *req)
{
	struct ike_pk_pool *p = req->data;

	ike_pk_run(&p->fill_job);
}

static void fill_ran(uv_work_t *req, int status)
{
	struct ike_pk_pool *p = req->data;
	struct ike_pk_job *job = &p->fill_job;
	struct ahead *a = ahead_of(p, job->group);

	p->filling = false;
	if (status == 0 && job->status < 0) {
		/* Without this group until the next policy: trying on would fill the log. */
		cs_log(CS_NOCTX, CSM_KEYPAIR, job->group->number, job->err.text);
		if (a)
			a->wanted = false;
	}
	if (status == 0 && job->status == 0) {
		if (a && a->wanted && a->n < IKE_PK_AHEAD && !p->stopping) {
			a->pairs[a->n++] = job->dh;
			p->stats.ahead_made++;
			p->stats.ahead_ready++;
		} else {
			ike_dh_free(job->dh);
		}
	}
	job->dh = NULL;
	fill_next(p);
	tell_idle(p);
}

/* Starts the next pair when nothing else is under way; the group with the fewest comes first. */
static void fill_next(struct ike_pk_pool *p)
{
	struct ahead *least = NULL;

	if (p->stopping || p->filling || p->works)
		return;
	for (unsigned i = 0; i < p->n_groups; i++) {
		struct ahead *a = &p->groups[i];

		if (a->wanted && a->n < IKE_PK_AHEAD && (!least || a->n < least->n))
			least = a;
	}
	if (!least)
		return;
	p->fill_job = (struct ike_pk_job){.kind = IKE_PK_KEYPAIR, .group = least->group};
	p->fill.data = p;
	p->filling = uv_queue_work(p->loop, &p->fill, fill_run, fill_ran) == 0;
}

static void want(struct ike_pk_pool *p, const struct cs_group *group)
{
	struct ahead *a = group ? ahead_of(p, group) : NULL;

	if (!group)
		return;
	if (!a && p->n_groups < GROUPS_MAX) {
		a = &p->groups[p->n_groups++];
		*a = (struct ahead){.group = group};
	}
	if (a)
		a->wanted = true;
}

void ike_pk_pool_policy(struct ike_pk_pool *p, const struct pol_policy *policy)
{
	for (unsigned i = 0; i < p->n_groups; i++)
		p->groups[i].wanted = false;
	for (unsigned i = 0; i < policy->n_ke_rules; i++) {
		const struct pol_ke_action *action = policy->ke_rules[i].action;

		for (unsigned k = 0; action && k < action->n_offers; k++)
			want(p, action->offers[k].group);
	}
	for (unsigned i = 0; i < policy->n_rules; i++) {
		const struct pol_dynvpn_action *vpn = policy->rules[i].vpn;

		if (!vpn)
			continue;
		want(p, cs_group_by_number(vpn->initiate_pfs));
		for (unsigned k = 0; k < vpn->n_accept_pfs; k++)
			want(p, cs_group_by_number(vpn->accept_pfs[k]));
	}
	for (unsigned i = 0; i < p->n_groups; i++)
		if (!p->groups[i].wanted) {
			p->stats.ahead_ready -= p->groups[i].n;
			wipe(&p->groups[i]);
		}
	fill_next(p);
}

/* ---- the pool ---- */

int ike_pk_pool_new(uv_loop_t *loop, ike_pk_done_fn *fn, void *arg, struct ike_pk_pool **pool,
		    struct cs_err *err)
{
	struct ike_pk_pool *p = calloc(1, sizeof(*p));

	if (!p)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	p->loop = loop;
	p->fn = fn;
	p->arg = arg;
	*pool = p;
	return 0;
}

void ike_pk_pool_stop(struct ike_pk_pool *p, ike_pk_idle_fn *idle, void *arg)
{
	p->stopping = true;
	p->idle = idle;
	p->idle_arg = arg;
	for (struct work *w = p->works; w; w = w->next)
		uv_cancel((uv_req_t *)&w->req); /* one that runs already comes back by itself */
	tell_idle(p);
}

void ike_pk_pool_free(struct ike_pk_pool *p)
{
	for (unsigned i = 0; i < p->n_groups; i++)
		wipe(&p->groups[i]);
	free(p);
}

void ike_pk_pool_stats(const struct ike_pk_pool *p, struct ike_pk_stats *stats)
{
	*stats = p->stats;
}
