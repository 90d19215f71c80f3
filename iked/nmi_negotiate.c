/* Requests of the management socket that begin a negotiation: activate and refresh. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/nmi_private.h"

#define WAIT_MAX_SECONDS 86400

bool iked_nmi_tunnel(const char *text, char letter, uint32_t *tunnel)
{
	unsigned long v;
	char *end;

	if (!text || text[0] != letter || text[1] < '1' || text[1] > '9')
		return false;
	v = strtoul(text + 1, &end, 10);
	if (*end || v > UINT32_MAX)
		return false;
	*tunnel = (uint32_t)v;
	return true;
}

/* ---- activation ---- */

void iked_nmi_event(struct iked_nmi *n, const struct ike_event *ev)
{
	if (ev->kind == IKE_EV_FAILED && ev->p2_tunnel) {
		n->failed_tunnel = ev->p2_tunnel;
		snprintf(n->failed_reason, sizeof(n->failed_reason), "%s",
			 ev->reason ? ev->reason : "");
	}
	iked_waiters_event(n->waiters, ev);
}

/* False: the client has been told. */
static bool wait_is_right(struct iked_nmi *n, uint64_t ticket, const json_t *wait)
{
	json_int_t seconds = json_integer_value(wait);

	if (!wait || json_is_null(wait) ||
	    (json_is_integer(wait) && seconds >= 0 && seconds <= WAIT_MAX_SECONDS))
		return true;
	cs_nmi_error(n->server, ticket, CS_EINVAL, "\"wait\" is 0 to 86400 seconds");
	return false;
}

/* The negotiation runs: answers that, or waits for its end. */
static void under_way(struct iked_nmi *n, uint64_t ticket, const json_t *wait,
		      const struct iked_wanted *wanted)
{
	if (wait && !json_is_null(wait))
		iked_wait(n->waiters, ticket, wanted, (unsigned)json_integer_value(wait));
	else
		iked_nmi_answer(n->server, ticket,
				iked_nmi_status(wanted->letter, wanted->tunnel, wanted->rule,
						wanted->refresh ? "Refreshing" : "Activating"));
}

struct up_query {
	uint32_t tunnel;
	bool up;
};

static int is_up(void *arg, const struct ike_p2_info *info)
{
	struct up_query *q = arg;

	q->up = info->tunnel == q->tunnel && info->state == IKE_P2_DONE;
	return q->up; /* ends the walk */
}

void iked_nmi_activate_dynamic(struct iked_nmi *n, uint64_t ticket, const json_t *request)
{
	const char *rule = json_string_value(json_object_get(request, "rule"));
	const json_t *wait = json_object_get(request, "wait");
	struct up_query q = {0};
	struct cs_err err;
	int status;

	if (!rule) {
		cs_nmi_error(n->server, ticket, CS_EINVAL, "\"rule\" is a LocalDynVpnRule");
		return;
	}
	if (!wait_is_right(n, ticket, wait))
		return;
	n->failed_tunnel = 0;
	status = ike_engine_activate(n->env.engine, rule, iked_now(), &q.tunnel, &err);
	if (status < 0 && status != CS_EEXIST) {
		cs_nmi_error(n->server, ticket, err.code, err.text);
		return;
	}
	ike_engine_each_p2(n->env.engine, is_up, &q);
	if (q.up) {
		iked_nmi_answer(n->server, ticket,
				iked_nmi_status('Y', q.tunnel, rule, "Already active"));
	} else if (n->failed_tunnel && n->failed_tunnel == q.tunnel) {
		cs_nmi_error(n->server, ticket, CS_ESYS, n->failed_reason);
	} else {
		const struct iked_wanted wanted = {'Y', q.tunnel, rule, false};

		under_way(n, ticket, wait, &wanted);
	}
}

/* ---- refresh ---- */

void iked_nmi_refresh_ike(struct iked_nmi *n, uint64_t ticket, const json_t *request)
{
	const char *which = json_string_value(json_object_get(request, "tunnel"));
	const json_t *wait = json_object_get(request, "wait");
	struct iked_wanted wanted = {.letter = 'K', .refresh = true};
	struct cs_err err;
	int status;

	if (!iked_nmi_tunnel(which, 'K', &wanted.tunnel)) {
		cs_nmi_error(n->server, ticket, CS_EINVAL, "\"tunnel\" is \"K<n>\"");
		return;
	}
	if (!wait_is_right(n, ticket, wait))
		return;
	status = ike_engine_refresh_p1(n->env.engine, wanted.tunnel, iked_now(), &err);
	if (status < 0 && status != CS_EEXIST)
		cs_nmi_error(n->server, ticket, err.code, err.text);
	else
		under_way(n, ticket, wait, &wanted);
}

struct rule_query {
	const char *rule;
	uint32_t tunnel; /* the only one, 0: none */
	bool several;
	char local_rule[POL_NAME_MAX + 1]; /* of the tunnel that is asked for by number */
};

static int has_rule(void *arg, const struct ike_p2_info *info)
{
	struct rule_query *q = arg;

	if (q->rule && !strcmp(q->rule, info->local_rule)) {
		q->several |= q->tunnel && q->tunnel != info->tunnel;
		q->tunnel = info->tunnel;
	} else if (!q->rule && q->tunnel == info->tunnel) {
		snprintf(q->local_rule, sizeof(q->local_rule), "%s", info->local_rule);
	}
	return 0;
}

void iked_nmi_refresh_dynamic(struct iked_nmi *n, uint64_t ticket, const json_t *request)
{
	const char *which = json_string_value(json_object_get(request, "tunnel"));
	const char *rule = json_string_value(json_object_get(request, "rule"));
	const json_t *wait = json_object_get(request, "wait");
	struct rule_query q = {.rule = rule};
	struct iked_wanted wanted;
	struct cs_err err;
	int status;

	if (!!which == !!rule || (rule && !*rule) ||
	    (which && !iked_nmi_tunnel(which, 'Y', &q.tunnel))) {
		cs_nmi_error(n->server, ticket, CS_EINVAL,
			     "\"tunnel\" is \"Y<n>\", or \"rule\" is a LocalDynVpnRule");
		return;
	}
	if (!wait_is_right(n, ticket, wait))
		return;
	ike_engine_each_p2(n->env.engine, has_rule, &q);
	if (q.several)
		status = cs_fail(&err, CS_EINVAL,
				 "rule %s has more than one tunnel: refresh them by number", rule);
	else if (!q.tunnel)
		status = cs_fail(&err, CS_ENOTFOUND, "there is no dynamic tunnel of rule %s", rule);
	else
		status = ike_engine_refresh_p2(n->env.engine, q.tunnel, iked_now(), &err);
	if (status < 0 && status != CS_EEXIST) {
		cs_nmi_error(n->server, ticket, err.code, err.text);
		return;
	}
	wanted = (struct iked_wanted){'Y', q.tunnel, rule ? rule : q.local_rule, true};
	under_way(n, ticket, wait, &wanted);
}
