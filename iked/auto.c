/*
 * LocalDynVpnRules with AutoActivate: their tunnels are begun when a policy comes into force, and
 * again whenever they are not there, in growing pauses while that fails.  Who deactivates one by
 * command has it down until it is activated by command or a policy comes into force.
 *
 * A record is a rule's, not a tunnel's: what is up is asked for each time, so that no way in which
 * a tunnel can end needs to be known here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"

#define WAIT_FIRST_MS 5000u
#define WAIT_LAST_MS  300000u
#define LOOK_MS       60000u /* at what is up */
#define SPREAD_MS     20u    /* a tunnel, when all begin at once */
#define SHORT_S       60     /* one that lives for less ends as if it had failed */

struct ike_auto {
	struct ike_list all;
	struct ike_timer timer;
	char name[POL_NAME_MAX + 1];
	uint32_t wait;            /* the last pause, 0: none since it was up */
	bool stopped, kept;       /* by command; its rule is in the new policy */
	char told[IKE_CAUSE_MAX]; /* the reason that stands in the log, "" when it is up */
};

static uint64_t chance(struct ike_engine *e, uint64_t below)
{
	uint32_t r;

	ike_random(e, &r, sizeof(r));
	return below ? r % below : 0;
}

static struct ike_auto *find(const struct ike_engine *e, const char *name)
{
	for (struct ike_list *l = e->autos.next; l != &e->autos; l = l->next) {
		struct ike_auto *a = IKE_OF(l, struct ike_auto, all);

		if (strcmp(a->name, name) == 0)
			return a;
	}
	return NULL;
}

static struct ike_auto *find_of(const struct ike_engine *e, const struct ike_p2 *p2)
{
	return p2->local_rule && p2->local_rule->auto_activate ? find(e, p2->local_rule->name)
							       : NULL;
}

static void in(struct ike_engine *e, struct ike_auto *a, uint64_t wait)
{
	ike_timer_set(&e->timers, &a->timer, e->now.mono + wait);
}

/* Every time it is told that it failed the pause grows; the log has each reason once. */
static void failed(struct ike_engine *e, struct ike_auto *a, const char *why)
{
	a->wait = a->wait ? a->wait * 2 : WAIT_FIRST_MS;
	if (a->wait > WAIT_LAST_MS)
		a->wait = WAIT_LAST_MS;
	if (strncmp(a->told, why, sizeof(a->told) - 1) != 0) {
		snprintf(a->told, sizeof(a->told), "%s", why);
		ike_logf(e, CS_NOCTX, CSM_AUTO_FAILED, a->name, why);
	}
	in(e, a, a->wait + chance(e, a->wait / 4));
}

static void due(struct ike_engine *e, struct ike_timer *t)
{
	struct ike_auto *a = IKE_OF(t, struct ike_auto, timer);
	struct cs_err err = {0};
	uint32_t tunnel;
	int rc;

	if (a->stopped)
		return;
	/* First, because what begins here may come to its end before it returns. */
	in(e, a, LOOK_MS + chance(e, LOOK_MS / 4));
	rc = ike_activate(e, a->name, IKE_ACT_AUTO, &tunnel, &err);
	if (rc && rc != CS_EEXIST)
		failed(e, a, err.text);
}

/* ---- the policy ---- */

static struct ike_auto *make(struct ike_engine *e, const char *name)
{
	struct ike_auto *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	if (ike_timer_make(&e->timers, &a->timer, due)) {
		free(a);
		return NULL;
	}
	snprintf(a->name, sizeof(a->name), "%s", name);
	ike_list_add_tail(&e->autos, &a->all);
	return a;
}

static void forget(struct ike_engine *e, struct ike_auto *a)
{
	ike_timer_unmake(&e->timers, &a->timer);
	ike_list_remove(&a->all);
	free(a);
}

static void forget_others(struct ike_engine *e)
{
	for (struct ike_list *l = e->autos.next; l != &e->autos;) {
		struct ike_auto *a = IKE_OF(l, struct ike_auto, all);

		l = l->next;
		if (!a->kept)
			forget(e, a);
		else
			a->kept = false;
	}
}

void ike_auto_policy(struct ike_engine *e)
{
	const struct pol_policy *p = e->policy;
	uint64_t n = 0;

	for (unsigned i = 0; i < p->n_local_rules; i++) {
		struct ike_auto *a;

		if (!p->local_rules[i].auto_activate)
			continue;
		a = find(e, p->local_rules[i].name);
		if (!a)
			a = make(e, p->local_rules[i].name);
		if (!a)
			continue;
		a->kept = true;
		a->stopped = false;
		a->wait = 0;
		in(e, a, chance(e, SPREAD_MS * n++));
	}
	forget_others(e);
}

void ike_auto_retry(struct ike_engine *e)
{
	for (struct ike_list *l = e->autos.next; l != &e->autos; l = l->next) {
		struct ike_auto *a = IKE_OF(l, struct ike_auto, all);

		if (!a->stopped)
			in(e, a, 0);
	}
}

void ike_auto_forget_all(struct ike_engine *e)
{
	while (!ike_list_empty(&e->autos))
		forget(e, IKE_OF(e->autos.next, struct ike_auto, all));
}

/* ---- commands ---- */

void ike_auto_stopped(struct ike_engine *e, const struct ike_p2 *p2)
{
	struct ike_auto *a = find_of(e, p2);

	if (!a)
		return;
	a->stopped = true;
	ike_timer_stop(&e->timers, &a->timer);
}

void ike_auto_started(struct ike_engine *e, const char *name)
{
	struct ike_auto *a = find(e, name);

	if (!a || !a->stopped)
		return;
	a->stopped = false;
	a->wait = 0;
	in(e, a, LOOK_MS);
}

/* ---- what becomes of a pair ---- */

void ike_auto_up(struct ike_engine *e, const struct ike_p2 *p2)
{
	struct ike_auto *a = find_of(e, p2);

	if (!a || a->stopped)
		return;
	if (a->told[0])
		ike_logf(e, ike_p2_ctx(p2), CSM_AUTO_UP, a->name, p2->tunnel->number);
	a->told[0] = '\0';
	in(e, a, LOOK_MS + chance(e, LOOK_MS / 4));
}

void ike_auto_failed(struct ike_engine *e, const struct ike_p2 *p2, const char *why)
{
	struct ike_auto *a = find_of(e, p2);

	if (a && !a->stopped && !ike_refresh_current(p2->tunnel))
		failed(e, a, why);
}

/*
 * The last one of a tunnel: what lived for long, to the end of its VpnLife perhaps, is begun anew
 * at once.
 */
void ike_auto_ended(struct ike_engine *e, const struct ike_p2 *p2, const char *why)
{
	struct ike_auto *a = find_of(e, p2);

	if (!a || a->stopped || !ike_list_empty(&p2->tunnel->p2s))
		return;
	if (e->now.wall - p2->installed < SHORT_S) {
		failed(e, a, why);
		return;
	}
	a->wait = 0;
	in(e, a, chance(e, 1000));
}
