/* Manual tunnels on the management socket: display, activate and deactivate. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/pagent_audit.h"
#include "policy/pagent_manual.h"

/* ---- display ---- */

static json_t *entry(struct pagent *p, const struct pol_manvpn_action *a,
		     const struct pagent_manual *t)
{
	bool in_time = pagent_manual_in_time(a);
	bool active = t && pagent_manual_active(t) && in_time;
	struct xf_counters in, out;
	bool counted = active && xf_manual_counters(p->kernel, a, &in, &out, NULL) == 0;
	json_t *o = pagent_manual_json(a, active, counted ? &in : NULL, counted ? &out : NULL);

	if (o && json_object_set_new(o, "InTime", json_boolean(in_time)) < 0) {
		json_decref(o);
		return NULL;
	}
	return o;
}

struct walk {
	struct pagent *p;
	struct pol_policy *policy; /* NULL: none is in force */
	unsigned next;
};

static int next(void *state, json_t **json, struct cs_err *err)
{
	struct walk *w = state;
	const struct pol_manvpn_action *a;

	(void)err;
	if (!w->policy || w->next == w->policy->n_manuals) {
		*json = NULL;
		return 0;
	}
	a = w->policy->manuals[w->next++];
	*json = entry(w->p, a, pagent_manual_find(w->p, a->name));
	return 1;
}

static void release(void *state)
{
	struct walk *w = state;

	pol_unref(w->policy);
	free(w);
}

void pagent_manual_show(struct pagent *p, uint64_t ticket, const json_t *request)
{
	struct walk *w = calloc(1, sizeof(*w));

	(void)request;
	if (!w) {
		cs_nmi_error(p->nmi, ticket, CS_ENOMEM, "no memory for the tunnels");
		return;
	}
	w->p = p;
	w->policy = pol_ref(p->policy);
	cs_nmi_stream(p->nmi, ticket, next, release, w);
}

/* ---- activate, deactivate ---- */

/* The tunnel is called by its number or by its action. */
static bool is_meant(const struct pol_manvpn_action *a, const char *tunnel, const char *name)
{
	char id[16];

	snprintf(id, sizeof(id), "M%u", a->number);
	return (tunnel && (strcmp(tunnel, id) == 0 || strcmp(tunnel, "all") == 0)) ||
	       (name && strcmp(name, a->name) == 0);
}

static int set(struct pagent *p, const struct pol_manvpn_action *a, bool active, json_t **answer,
	       struct cs_err *err)
{
	struct pagent_manual *t = pagent_manual_find(p, a->name);
	bool was = t && pagent_manual_active(t);
	const char *status = active ? "Activating" : "Deactivating";
	char id[16];
	int rc = t ? 0 : cs_fail(err, CS_ENOTFOUND, "there is no manual tunnel %s", a->name);

	if (rc == 0 && was == active)
		status = active ? "Already active" : "Already inactive";
	else if (rc == 0)
		rc = pagent_manual_set(p, t, active, err);
	if (rc == 0 && active && !pagent_manual_in_time(a))
		status = "Waits for its time condition";
	snprintf(id, sizeof(id), "M%u", a->number);
	*answer = rc == 0 ? json_pack("{s:s, s:s, s:s}", "TunnelID", id, "VpnActionName", a->name,
				      "Status", status)
			  : NULL;
	return rc;
}

static void set_all(struct pagent *p, uint64_t ticket, const json_t *request, bool active)
{
	const char *tunnel = json_string_value(json_object_get(request, "tunnel"));
	const char *name = json_string_value(json_object_get(request, "action"));
	bool all = tunnel && strcmp(tunnel, "all") == 0, found = all;
	struct cs_err err;
	json_t *answer;

	if (!tunnel == !name || (all && active)) {
		cs_nmi_error(p->nmi, ticket, CS_EINVAL,
			     "the tunnel is named by 'tunnel' or by 'action'");
		return;
	}
	for (unsigned i = 0; p->policy && i < p->policy->n_manuals; i++) {
		const struct pol_manvpn_action *a = p->policy->manuals[i];

		if (!is_meant(a, tunnel, name))
			continue;
		found = true;
		if (set(p, a, active, &answer, &err) < 0) {
			cs_nmi_error(p->nmi, ticket, err.code, err.text);
			return;
		}
		cs_nmi_entry(p->nmi, ticket, answer);
	}
	if (found) {
		cs_nmi_done(p->nmi, ticket, NULL);
		return;
	}
	cs_fail(&err, CS_ENOTFOUND, "there is no manual tunnel %.60s", tunnel ? tunnel : name);
	cs_nmi_error(p->nmi, ticket, err.code, err.text);
}

void pagent_manual_activate(struct pagent *p, uint64_t ticket, const json_t *request)
{
	set_all(p, ticket, request, true);
}

void pagent_manual_deactivate(struct pagent *p, uint64_t ticket, const json_t *request)
{
	set_all(p, ticket, request, false);
}
