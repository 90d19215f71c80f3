/*
 * The policy that is in force in this worker.  It is read from pagent's store on a work thread,
 * because a large one takes longer than a peer should wait; the engine gets it on the loop's
 * thread when it is there.  One load runs at a time, and what is asked for meanwhile is a load of
 * its own after it, because the change may be newer than what the first one saw.
 */
#include <stdlib.h>
#include <string.h>

#include "iked/iked.h"

#define POLL_MS 1000 /* while there is none */

struct iked_policy {
	struct iked_policy_env env;
	uv_timer_t poll;
	uv_work_t work;
	bool busy, again, stopping;
	bool retry; /* the engine begins again what it begins by itself, though nothing is new */
	bool asked; /* somebody wants to know what comes of it */
	int told;   /* status of the last failure that the log has, 0: none since a success */
	uint64_t round; /* loads that were begun */
	/* What the load needs and finds; the work thread's while busy. */
	char dir[CS_PATH_MAX];
	bool forced; /* what retry was when it began */
	struct pol_edition have, seen;
	struct pol_policy *found;
	uint8_t meaning[POL_CONTENT_LEN]; /* of what was found */
	int status;
	struct cs_err err;
	/* In force. */
	struct pol_edition edition;      /* generation 0: none */
	uint8_t digest[POL_CONTENT_LEN]; /* as other hosts may see it */
	int64_t installed;
	unsigned rules, waited;
};

/* On any thread. found stays NULL when what we have is what is in force. */
static void load(struct iked_policy *p)
{
	struct pol_store *store = NULL;

	p->found = NULL;
	p->status = pol_store_open(p->dir, false, &store, &p->err);
	if (p->status == 0)
		p->status = pol_store_edition(store, &p->seen, &p->err);
	if (p->status == 0 && (p->forced || memcmp(&p->seen, &p->have, sizeof(p->have))))
		p->status = pol_store_load(store, &p->found, &p->err);
	if (p->status == 0 && p->found)
		p->status = pol_meaning(p->found, p->meaning, &p->err);
	pol_store_close(store);
}

static void apply(struct iked_policy *p, struct pol_policy *policy)
{
	if (policy->fips140 && !p->env.fips140) {
		p->status = cs_fail(&p->err, CS_EPOLICY,
				    "policy has FIPS140 Yes, and the IkeConfig file has not");
		return;
	}
	p->edition = p->seen;
	p->edition.generation = policy->generation; /* it may be newer than what was seen */
	memcpy(p->digest, p->meaning, sizeof(p->digest));
	p->installed = iked_now().wall;
	p->rules = policy->n_rules;
	cs_log(CS_NOCTX, CSM_POLICY_LOADED, (unsigned long long)policy->generation, policy->n_rules,
	       policy->n_ke_rules);
	ike_engine_policy(p->env.engine, policy, iked_now());
	ike_pk_pool_policy(p->env.pk, policy);
}

/* What nobody asked for fails once a second while there is no policy; once is enough to say. */
static void tell(struct iked_policy *p)
{
	bool news = p->asked || p->status != p->told;

	p->told = p->status;
	if (p->status == 0 || !news)
		return;
	if (p->status != CS_ENOTFOUND)
		cs_log(CS_NOCTX, CSM_POLICY_FAILED, p->err.text);
	else if (!p->edition.generation)
		cs_log(CS_NOCTX, CSM_NO_POLICY);
}

static void settle(struct iked_policy *p)
{
	if (p->status == 0 && p->found)
		apply(p, p->found);
	pol_unref(p->found);
	p->found = NULL;
	tell(p);
}

/* ---- the loads ---- */

static void start(struct iked_policy *p, bool asked);

static void on_work(uv_work_t *work)
{
	load(work->data);
}

static void on_loaded(uv_work_t *work, int status)
{
	struct iked_policy *p = work->data;
	bool again = p->again;

	(void)status;
	p->busy = p->again = false;
	if (p->stopping) {
		pol_unref(p->found);
		p->found = NULL;
		return;
	}
	settle(p);
	p->env.loaded(p->env.arg, p->round, p->status, &p->err);
	if (again && !p->busy)
		start(p, true);
}

static void start(struct iked_policy *p, bool asked)
{
	p->round++;
	p->asked = asked;
	p->have = p->edition;
	p->forced = p->retry;
	p->retry = false;
	p->work.data = p;
	p->busy = true;
	/* Fails only without a function to run. */
	uv_queue_work(p->env.loop, &p->work, on_work, on_loaded);
}

uint64_t iked_policy_retry(struct iked_policy *p)
{
	p->retry = true;
	return iked_policy_reload(p);
}

uint64_t iked_policy_reload(struct iked_policy *p)
{
	if (!p->busy) {
		start(p, true);
		return p->round;
	}
	p->again = true;
	return p->round + 1;
}

static void on_poll(uv_timer_t *timer)
{
	struct iked_policy *p = timer->data;

	if (p->edition.generation) {
		uv_timer_stop(timer);
		return;
	}
	if (!p->busy)
		start(p, false);
	p->waited++;
	if (p->env.wait && p->waited == p->env.wait)
		cs_log(CS_NOCTX, CSM_POLICY_LATE, p->env.wait);
}

/* ---- start and end ---- */

int iked_policy_new(const struct iked_policy_env *env, struct iked_policy **policy,
		    struct cs_err *err)
{
	struct iked_policy *p = calloc(1, sizeof(*p));
	int status;

	if (!p)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	p->env = *env;
	status = cs_state_path(env->stack, NULL, p->dir, err);
	if (status < 0) {
		free(p);
		return status;
	}
	uv_timer_init(env->loop, &p->poll);
	p->poll.data = p;
	*policy = p;
	return 0;
}

void iked_policy_first(struct iked_policy *p)
{
	load(p);
	settle(p);
	if (!p->edition.generation)
		uv_timer_start(&p->poll, on_poll, POLL_MS, POLL_MS);
}

void iked_policy_in_force(const struct iked_policy *p, uint64_t *generation, int64_t *installed,
			  unsigned *rules)
{
	*generation = p->edition.generation;
	*installed = p->installed;
	*rules = p->rules;
}

const uint8_t *iked_policy_digest(const struct iked_policy *p)
{
	return p->edition.generation ? p->digest : NULL;
}

void iked_policy_stop(struct iked_policy *p)
{
	p->stopping = true;
	if (p->busy)
		uv_cancel((uv_req_t *)&p->work); /* one that runs is waited for by the loop */
	uv_close((uv_handle_t *)&p->poll, NULL);
}

void iked_policy_free(struct iked_policy *p)
{
	free(p);
}
