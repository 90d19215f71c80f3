/* pagent's requests of the management socket; docs/nmi.md is the contract. */
#include "policy/pagent.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/paths.h"
#include "policy/pagent_audit.h"

static json_int_t generation(const struct pagent *p)
{
	return p->policy ? (json_int_t)p->policy->generation : 0;
}

static const char *filters_of(const struct pagent *p)
{
	const struct pol_policy *policy = pagent_in_force(p);

	return !policy ? NULL : pol_is_profile(policy) ? "profile" : "policy";
}

static void show_policy(struct pagent *p, uint64_t ticket, const json_t *request)
{
	const struct pol_policy *policy = p->policy;

	(void)request;
	cs_nmi_done(p->nmi, ticket,
		    json_pack("{s:I, s:o, s:I, s:I, s:I, s:s, s:b, s:s?, s:b, s:s}", "generation",
			      generation(p), "installed",
			      policy ? json_integer(p->installed) : json_null(), "rules",
			      (json_int_t)(policy ? policy->n_rules : 0), "ke_rules",
			      (json_int_t)(policy ? policy->n_ke_rules : 0), "local_rules",
			      (json_int_t)(policy ? policy->n_local_rules : 0), "source",
			      p->o->config, "in_kernel", p->in_kernel, "filters", filters_of(p),
			      "defaults_chosen", p->chosen, "profile", p->o->profile));
}

/* ---- refresh ---- */

struct refresh {
	struct pagent *p;
	uint64_t ticket;
};

/* A file's name need not be UTF-8, and then JSON cannot carry it. */
static json_t *text_or_null(const char *text)
{
	json_t *json = text && *text ? json_string(text) : NULL;

	return json ? json : json_null();
}

/* Errors alone: with what others there may be they would not fit what a client's queue may hold. */
static void on_finding(void *arg, const struct pol_diag *d)
{
	struct refresh *r = arg;
	json_t *column = d->column ? json_integer((json_int_t)d->column) : json_null();

	if (d->severity != POL_ERROR) {
		json_decref(column);
		return;
	}
	cs_nmi_entry(r->p->nmi, r->ticket,
		     json_pack("{s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:o}", "File",
			       text_or_null(d->file), "Line", (json_int_t)d->line, "Statement",
			       text_or_null(d->statement), "Attribute", text_or_null(d->attribute),
			       "Reason", text_or_null(d->text), "Column", column, "Source",
			       text_or_null(d->source), "Mark", (json_int_t)d->mark, "MarkLength",
			       (json_int_t)d->mark_len, "Expected", text_or_null(d->expected)));
}

static void refresh(struct pagent *p, uint64_t ticket, const json_t *request)
{
	struct refresh r = {.p = p, .ticket = ticket};
	struct cs_err err;
	bool changed;

	(void)request;
	if (pagent_refresh(p, on_finding, &r, &changed, &err) < 0)
		cs_nmi_error(p->nmi, ticket, err.code, err.text);
	else
		cs_nmi_done(
			p->nmi, ticket,
			json_pack("{s:I, s:b}", "generation", generation(p), "changed", changed));
}

/* ---- which filters ---- */

static void answer_choice(struct pagent *p, uint64_t ticket, int rc, bool changed,
			  const struct cs_err *err)
{
	if (rc < 0)
		cs_nmi_error(p->nmi, ticket, err->code, err->text);
	else
		cs_nmi_done(p->nmi, ticket,
			    json_pack("{s:b, s:s?}", "changed", changed, "filters", filters_of(p)));
}

static void choose_defaults(struct pagent *p, uint64_t ticket, const json_t *request)
{
	struct cs_err err;
	bool changed;
	int rc = pagent_choose_defaults(p, &changed, &err);

	(void)request;
	answer_choice(p, ticket, rc, changed, &err);
}

static void choose_policy(struct pagent *p, uint64_t ticket, const json_t *request)
{
	struct cs_err err;
	bool changed;
	int rc = pagent_choose_policy(p, &changed, &err);

	(void)request;
	if (rc == 0 && p->policy)
		pagent_tell_iked(p, true);
	answer_choice(p, ticket, rc, changed, &err);
}

/* ---- all requests ---- */

static void stop(struct pagent *p, uint64_t ticket, const json_t *request)
{
	(void)request;
	cs_nmi_done(p->nmi, ticket, NULL);
	pagent_stop(p);
}

static const struct request {
	const char *name;
	void (*fn)(struct pagent *p, uint64_t ticket, const json_t *request);
	enum { SHOW, CONTROL, TAKE } right;
} requests[] = {
	{"activate-manual", pagent_manual_activate, CONTROL},
	{"audit-rows", pagent_audit_rows, TAKE},
	{"deactivate-manual", pagent_manual_deactivate, CONTROL},
	{"default", choose_defaults, CONTROL},
	{"filters", pagent_filters, SHOW},
	{"manual-tunnels", pagent_manual_show, SHOW},
	{"policy", show_policy, SHOW},
	{"port-translations", pagent_ports, SHOW},
	{"refresh", refresh, CONTROL},
	{"reload", choose_policy, CONTROL},
	{"stop", stop, CONTROL},
};

static bool is_allowed(const struct pagent *p, const struct request *r, uid_t uid)
{
	switch (r->right) {
	case CONTROL:
		return cs_nmi_may_control(uid);
	case TAKE:
		return pagent_audit_may_take(p, uid);
	default:
		return true;
	}
}

static void on_request(void *arg, struct cs_nmi_server *server, uint64_t ticket, uid_t uid,
		       const json_t *json)
{
	const char *name = json_string_value(json_object_get(json, "request"));
	struct pagent *p = arg;

	for (size_t i = 0; name && i < sizeof(requests) / sizeof(requests[0]); i++) {
		const struct request *r = &requests[i];

		if (strcmp(r->name, name) != 0)
			continue;
		if (!is_allowed(p, r, uid)) {
			/* Who may not take rows tells so itself, once, and asks again and again. */
			if (r->right == CONTROL)
				cs_log(CS_NOCTX, CSM_PA_DENIED, r->name, (unsigned)uid);
			cs_nmi_error(server, ticket, CS_EPERM,
				     r->right == TAKE ? "this request is for root and trmd"
						      : "this request is for root");
			return;
		}
		if (r->right == CONTROL)
			cs_log(CS_NOCTX, CSM_PA_REQUEST, r->name, (unsigned)uid);
		if (r->right == TAKE)
			pagent_audit_taken_by(p->audit, uid);
		r->fn(p, ticket, json);
		return;
	}
	cs_nmi_error(server, ticket, CS_EINVAL, "pagent does not know this request");
}

/* Who may read the policy may ask for it, too: trmd, as the user of iked's worker. */
static int give_socket(const struct pagent *p, const char *path, struct cs_err *err)
{
	char state[CS_PATH_MAX];
	struct stat st;
	int rc = cs_state_path(p->o->stack, NULL, state, err);

	if (rc < 0)
		return rc;
	if (stat(state, &st) == 0 && st.st_gid != getegid() &&
	    lchown(path, (uid_t)-1, st.st_gid) < 0)
		return cs_fail_errno(err, "cannot give %s to the group of %s", path, state);
	return 0;
}

int pagent_nmi_open(struct pagent *p, struct cs_err *err)
{
	char path[CS_PATH_MAX];
	int rc = cs_run_path(p->o->stack, "pagent.sock", path, err);

	if (rc == 0)
		rc = cs_nmi_serve(&p->loop, path, "pagent", on_request, p, &p->nmi, err);
	return rc == 0 ? give_socket(p, path, err) : rc;
}
