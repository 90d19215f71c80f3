/* The difference between the kernel and the audit trail of manual tunnels, as rows. */
#include "policy/pagent_audit.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"

/* What an SA had counted when we removed it, when that was and, once it is known, why. */
struct gone {
	struct xf_said id;
	struct xf_counters counters;
	int64_t time;
	const char *reason;
};

/* An intent whose tunnel was seen in the kernel: it has a row, though it may be gone by then. */
struct came {
	int64_t activation, since;
};

struct pagent_audit {
	struct pagent_outbox *outbox;
	/* Of those whose rows are not written yet. */
	struct gone *gone;
	size_t n_gone, gone_room;
	struct came *came;
	size_t n_came, came_room;
	bool pending;
	bool taken; /* by this user, the last time */
	uid_t taker;
	bool begun; /* what an earlier process left is settled */
	char told[sizeof(((struct cs_err *)0)->text)];
};

struct pagent_audit *pagent_audit_new(const char *statedir)
{
	struct pagent_audit *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->outbox = pagent_outbox_new(statedir);
	if (!a->outbox) {
		free(a);
		return NULL;
	}
	return a;
}

void pagent_audit_free(struct pagent_audit *a)
{
	if (!a)
		return;
	pagent_outbox_free(a->outbox);
	free(a->gone);
	free(a->came);
	free(a);
}

struct pagent_outbox *pagent_audit_outbox(struct pagent_audit *a)
{
	return a->outbox;
}

void pagent_audit_taken_by(struct pagent_audit *a, uid_t uid)
{
	if (!a->taken || a->taker != uid)
		cs_log(CS_NOCTX, CSM_PA_AUDIT_TAKEN, (unsigned)uid);
	a->taken = true;
	a->taker = uid;
}

bool pagent_audit_pending(const struct pagent_audit *a)
{
	return a->pending;
}

void pagent_audit_unseen(struct pagent_audit *a)
{
	a->pending = true;
}

/* ---- what the kernel has ---- */

static void *grown(void *v, size_t n, size_t *room, size_t size)
{
	size_t more = *room ? 2 * *room : 16;
	void *p = n < *room ? v : reallocarray(v, more, size);

	if (p && n == *room)
		*room = more;
	return p;
}

int pagent_present_add(void *arg, const struct xf_sa *sa, const struct xf_counters *c)
{
	struct pagent_present *have = arg;
	struct pagent_present_sa *v;

	/* Without an SPI it stands for a packet that found no SA. */
	if (!xf_reqid_is_manual(sa->reqid) || !sa->id.spi)
		return 0;
	v = grown(have->v, have->n, &have->room, sizeof(*v));
	if (!v)
		return CS_ENOMEM;
	have->v = v;
	v[have->n++] = (struct pagent_present_sa){sa->id, sa->reqid, (int64_t)c->added};
	return 0;
}

void pagent_present_free(struct pagent_present *have)
{
	free(have->v);
	*have = (struct pagent_present){.n = 0};
}

/* All of a tunnel's SAs; since may be NULL. */
static bool is_whole(const struct pagent_present *have, uint32_t number, const struct xf_said *sas,
		     unsigned n, int64_t *since)
{
	int64_t last = 0;

	for (unsigned i = 0; i < n; i++) {
		size_t j = 0;

		while (j < have->n && (have->v[j].reqid != xf_reqid_manual(number) ||
				       !xf_said_equal(&have->v[j].id, &sas[i])))
			j++;
		if (j == have->n)
			return false;
		if (have->v[j].added > last)
			last = have->v[j].added;
	}
	if (since)
		*since = last;
	return true;
}

void pagent_audit_gone(void *arg, const struct xf_said *id, const struct xf_counters *c)
{
	struct pagent_audit *a = arg;
	struct gone *v;
	size_t i = 0;

	while (i < a->n_gone && !xf_said_equal(&a->gone[i].id, id))
		i++;
	if (i == a->n_gone) {
		v = grown(a->gone, a->n_gone, &a->gone_room, sizeof(*v));
		if (!v)
			return; /* then its counters are not known */
		a->gone = v;
		a->n_gone++;
	}
	a->gone[i] = (struct gone){*id, *c, (int64_t)time(NULL), NULL};
}

/* NULL: somebody else removed it, or nobody did. */
static struct gone *find_gone(const struct pagent_audit *a, const struct xf_said *id)
{
	for (size_t i = 0; i < a->n_gone; i++)
		if (xf_said_equal(&a->gone[i].id, id))
			return &a->gone[i];
	return NULL;
}

/* The same of any SA of it. */
static struct gone *gone_of(const struct pagent_audit *a, const struct pagent_audited *t)
{
	struct gone *gone = NULL;

	for (unsigned i = 0; i < t->n_sas && !gone; i++)
		gone = find_gone(a, &t->sas[i]);
	return gone;
}

/* NULL: not known. */
static const struct xf_counters *last_counters(const struct pagent_audit *a,
					       const struct xf_said *id)
{
	const struct gone *gone = find_gone(a, id);

	return gone ? &gone->counters : NULL;
}

/* ---- rows ---- */

static json_t *counters_json(const struct xf_counters *c)
{
	if (!c)
		return json_null();
	return json_pack("{s:I, s:I}", "Packets", (json_int_t)c->packets, "Bytes",
			 (json_int_t)c->bytes);
}

/* As iked's rows are made, so that trmd reads both alike. */
static json_t *payload_of(const struct pagent_audit *a, const struct pagent_audited *t, bool up,
			  int64_t when, const char *reason)
{
	const struct xf_counters *in = last_counters(a, &t->sas[0]);
	const struct xf_counters *out = last_counters(a, &t->sas[t->n_sas / 2]);
	json_t *shown = json_loads(t->shown, 0, NULL), *o;
	int bad;

	if (!shown)
		return NULL;
	bad = json_object_set_new(shown, "State", json_string(up ? "Active" : "Inactive"));
	o = json_pack("{s:s, s:I, s:I, s:s?, s:I, s:o}", "Event", up ? "MAN_UP" : "MAN_DOWN",
		      "Time", (json_int_t)when, "Activation", (json_int_t)t->activation, "Reason",
		      reason, "Started", (json_int_t)(t->since < when ? t->since : when),
		      "ManualTunnel", shown);
	if (o && !up) {
		bad |= json_object_set_new(o, "CountersKnown", json_boolean(in && out));
		bad |= json_object_set_new(o, "Inbound", counters_json(in));
		bad |= json_object_set_new(o, "Outbound", counters_json(out));
	}
	if (bad) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static int write_row(struct pagent_audit *a, const struct pagent_audited *t, bool up, int64_t when,
		     const char *reason, struct cs_err *err)
{
	json_t *payload = payload_of(a, t, up, when, reason);
	char *text = payload ? json_dumps(payload, JSON_COMPACT) : NULL;
	int rc = text ? pagent_outbox_row(a->outbox, when, up ? "MAN_UP" : "MAN_DOWN", text, err)
		      : cs_fail(err, CS_ENOMEM, "no memory for a row of %s", t->name);

	json_decref(payload);
	free(text);
	return rc;
}

/* ---- the difference ---- */

struct recorded {
	struct pagent_audited *v;
	unsigned n;
};

/* It is as it was recorded; somebody's SA of the same SPI is another one, which came later. */
static bool is_settled(const struct pagent_present *have, const struct pagent_audited *t)
{
	int64_t since;

	return t->up && is_whole(have, t->number, t->sas, t->n_sas, &since) &&
	       (!since || since == t->since);
}

/* NULL: it was never seen. */
static const struct came *find_came(const struct pagent_audit *a, int64_t activation)
{
	for (size_t i = 0; i < a->n_came; i++)
		if (a->came[i].activation == activation)
			return &a->came[i];
	return NULL;
}

/* The number of intents whose tunnels are there. */
static unsigned see(struct pagent_audit *a, const struct pagent_present *have,
		    const struct recorded *r)
{
	unsigned found = 0;
	int64_t since;
	struct came *v;

	for (unsigned i = 0; i < r->n; i++) {
		const struct pagent_audited *t = &r->v[i];

		if (t->up || !is_whole(have, t->number, t->sas, t->n_sas, &since))
			continue;
		found++;
		v = find_came(a, t->activation)
			    ? NULL
			    : grown(a->came, a->n_came, &a->came_room, sizeof(*v));
		if (!v)
			continue;
		a->came = v;
		v[a->n_came++] = (struct came){t->activation, since};
	}
	return found;
}

/* The kernel said when it came; for the row no later than now, as the clock may have been set. */
static int record_up(struct pagent_audit *a, struct pagent_audited *t, int64_t since, int64_t now,
		     struct cs_err *err)
{
	int rc;

	t->up = true;
	t->since = since ? since : now;
	rc = pagent_outbox_put(a->outbox, t, err);
	return rc == 0 ? write_row(a, t, true, t->since < now ? t->since : now, NULL, err) : rc;
}

static int record_down(struct pagent_audit *a, const struct pagent_audited *t, int64_t now,
		       const struct pagent_why *why, struct cs_err *err)
{
	const struct gone *gone = gone_of(a, t);
	const char *reason = gone ? gone->reason : NULL;
	int rc = pagent_outbox_drop(a->outbox, t->activation, err);

	if (!reason)
		reason = why->why(why->arg, t->name, t->number);
	return rc == 0 ? write_row(a, t, false, gone ? gone->time : now, reason, err) : rc;
}

/* What cannot be written now may have another reason by the time that it can be. */
static void note_reasons(const struct pagent_audit *a, const struct recorded *r,
			 const struct pagent_why *why)
{
	for (unsigned i = 0; i < r->n; i++) {
		const struct pagent_audited *t = &r->v[i];
		struct gone *gone = gone_of(a, t);

		if (gone && !gone->reason)
			gone->reason = why->why(why->arg, t->name, t->number);
	}
}

static int settle_one(struct pagent_audit *a, const struct pagent_present *have,
		      struct pagent_audited *t, int64_t now, const struct pagent_why *why,
		      struct cs_err *err)
{
	const struct came *came = find_came(a, t->activation);
	int rc = 0;

	if (!t->up && !came) /* it came to nothing */
		return pagent_outbox_drop(a->outbox, t->activation, err);
	if (!t->up)
		rc = record_up(a, t, came->since, now, err);
	if (rc == 0 && !is_settled(have, t))
		rc = record_down(a, t, now, why, err);
	return rc;
}

/* What ended before what began, as a tunnel of a changed policy has it. */
static int settle(struct pagent_audit *a, const struct pagent_present *have,
		  const struct recorded *r, const struct pagent_why *why, struct cs_err *err)
{
	int64_t now = (int64_t)time(NULL);
	int rc = 0;

	for (int up = 1; up >= 0; up--)
		for (unsigned i = 0; i < r->n && rc == 0; i++)
			if (r->v[i].up == up && r->v[i].activation)
				rc = settle_one(a, have, &r->v[i], now, why, err);
	return rc;
}

/* Or will be when what is there is settled: an intent whose tunnel came up. */
static bool is_recorded(const struct recorded *r, const struct pagent_present *have,
			const struct pol_manvpn_action *action, const struct xf_said *sas,
			unsigned n)
{
	for (unsigned i = 0; i < r->n; i++) {
		const struct pagent_audited *t = &r->v[i];
		unsigned same = 0;

		if (t->number != action->number || t->n_sas != n ||
		    strcmp(t->name, action->name) != 0 ||
		    !(t->up ? is_settled(have, t) : is_whole(have, t->number, t->sas, n, NULL)))
			continue;
		while (same < n && xf_said_equal(&t->sas[same], &sas[same]))
			same++;
		if (same == n)
			return true;
	}
	return false;
}

/* What is there already, as of an older pagent or with a database that was lost, is active. */
static int intend(struct pagent_audit *a, const struct pagent_present *have,
		  const struct pol_manvpn_action *action, struct cs_err *err)
{
	json_t *shown = pagent_manual_json(action, true, NULL, NULL);
	struct pagent_audited t = {.number = action->number};
	int64_t since;
	int rc;

	t.n_sas = xf_manual_ids(action, t.sas);
	strcpy(t.name, action->name);
	t.shown = shown ? json_dumps(shown, JSON_COMPACT) : NULL;
	json_decref(shown);
	if (!t.shown)
		rc = cs_fail(err, CS_ENOMEM, "no memory for the intent of %s", action->name);
	else if (is_whole(have, t.number, t.sas, t.n_sas, &since))
		rc = record_up(a, &t, since, (int64_t)time(NULL), err);
	else
		rc = pagent_outbox_put(a->outbox, &t, err);
	free(t.shown);
	return rc;
}

/*
 * Which of them are to be intended: what is to come up, and what is there without a row, be it
 * wanted or not.
 */
static unsigned missing(const struct recorded *r, const struct pagent_present *have,
			const struct pol_policy *policy, const bool *up, bool *which)
{
	struct xf_said sas[XF_MANUAL_SAS];
	unsigned found = 0;

	for (unsigned i = 0; i < policy->n_manuals; i++) {
		const struct pol_manvpn_action *action = policy->manuals[i];
		unsigned n = xf_manual_ids(action, sas);
		bool is = (up[i] || is_whole(have, action->number, sas, n, NULL)) &&
			  !is_recorded(r, have, action, sas, n);

		found += is;
		if (which)
			which[i] = is;
	}
	return found;
}

static bool all_settled(const struct recorded *r, const struct pagent_present *have)
{
	for (unsigned i = 0; i < r->n; i++)
		if (!is_settled(have, &r->v[i]))
			return false;
	return true;
}

/* ---- writing it ---- */

/*
 * Intents of an earlier process that are not in the kernel: most came to nothing, but another
 * program or the end of the host may have taken one away that nobody saw.  Records have no place
 * to say so.
 */
static void tell_doubt(const struct recorded *r)
{
	for (unsigned i = 0; i < r->n; i++)
		if (!r->v[i].up)
			cs_log(CS_NOCTX, CSM_PA_AUDIT_DOUBT, r->v[i].number, r->v[i].name);
}

/* policy NULL: nothing is intended. */
static int write_difference(struct pagent_audit *a, const struct pagent_present *have,
			    const struct recorded *r, const struct pol_policy *policy,
			    const bool *which, const struct pagent_why *why, struct cs_err *err)
{
	int rc = pagent_outbox_begin(a->outbox, err);

	if (rc == 0)
		rc = settle(a, have, r, why, err);
	for (unsigned i = 0; policy && i < policy->n_manuals && rc == 0; i++)
		if (which[i])
			rc = intend(a, have, policy->manuals[i], err);
	if (rc == 0)
		rc = pagent_outbox_commit(a->outbox, err);
	if (rc < 0)
		pagent_outbox_rollback(a->outbox);
	else if (!a->begun)
		tell_doubt(r);
	return rc;
}

static void outcome(struct pagent_audit *a, int rc, const struct cs_err *err)
{
	const char *text = rc < 0 ? err->text : "";

	a->pending = rc < 0;
	if (rc == 0) {
		a->n_gone = a->n_came = 0;
		a->begun = true;
	}
	if (rc < 0 && strcmp(text, a->told) != 0)
		cs_log(CS_NOCTX, CSM_PA_AUDIT, text);
	if (rc == 0 && a->told[0])
		cs_log(CS_NOCTX, CSM_PA_AUDIT_GOES_ON);
	snprintf(a->told, sizeof(a->told), "%s", text);
}

/* What is in the kernel already stays, recorded or not: only what is new needs a record first. */
static int refuse(const struct pagent_present *have, const struct pol_policy *policy, bool *up,
		  const struct cs_err *why, struct cs_err *err)
{
	struct xf_said sas[XF_MANUAL_SAS];
	int rc = 0;

	for (unsigned i = 0; i < policy->n_manuals; i++) {
		const struct pol_manvpn_action *action = policy->manuals[i];
		unsigned n = xf_manual_ids(action, sas);

		if (!up[i] || is_whole(have, action->number, sas, n, NULL))
			continue;
		up[i] = false;
		if (rc == 0)
			rc = cs_fail(err, CS_ESTORE,
				     "M%u (%.40s) is not activated, because it could not be "
				     "recorded: %.120s",
				     action->number, action->name, why->text);
	}
	return rc;
}

static bool has_number(const struct recorded *r, const struct pol_policy *policy, uint32_t reqid)
{
	for (unsigned i = 0; i < r->n; i++)
		if (xf_reqid_manual(r->v[i].number) == reqid)
			return true;
	for (unsigned i = 0; i < policy->n_manuals; i++)
		if (xf_reqid_manual(policy->manuals[i]->number) == reqid)
			return true;
	return false;
}

/* Of what has no row and no place in the policy nothing is known that a row could be made of. */
static void tell_unknown(const struct recorded *r, const struct pagent_present *have,
			 const struct pol_policy *policy)
{
	for (size_t i = 0; i < have->n; i++) {
		uint32_t reqid = have->v[i].reqid;
		size_t first = 0;

		while (have->v[first].reqid != reqid)
			first++;
		if (first == i && !has_number(r, policy, reqid))
			cs_log(CS_NOCTX, CSM_PA_MAN_UNKNOWN, xf_reqid_tunnel(reqid));
	}
}

int pagent_audit_before(struct pagent_audit *a, const struct pagent_present *have,
			const struct pol_policy *policy, bool *up, const struct pagent_why *why,
			struct cs_err *err)
{
	bool *which = calloc(policy->n_manuals + 1u, sizeof(*which));
	struct recorded r = {.n = 0};
	struct cs_err broken;
	int rc = which ? pagent_outbox_tunnels(a->outbox, &r.v, &r.n, &broken)
		       : cs_fail(&broken, CS_ENOMEM, "no memory for manual tunnels");

	if (rc == 0)
		tell_unknown(&r, have, policy);
	if (rc == 0 && see(a, have, &r) + missing(&r, have, policy, up, which) > 0) {
		rc = write_difference(a, have, &r, policy, which, why, &broken);
		outcome(a, rc, &broken);
	}
	if (rc < 0)
		rc = refuse(have, policy, up, &broken, err);
	pagent_audited_free(r.v, r.n);
	free(which);
	return rc;
}

void pagent_audit_after(struct pagent_audit *a, const struct pagent_present *have,
			const struct pagent_why *why)
{
	struct recorded r = {.n = 0};
	struct cs_err err;
	int rc = pagent_outbox_tunnels(a->outbox, &r.v, &r.n, &err);

	if (rc == 0 && see(a, have, &r) + !all_settled(&r, have) > 0) {
		note_reasons(a, &r, why);
		rc = write_difference(a, have, &r, NULL, NULL, why, &err);
	}
	outcome(a, rc, &err);
	pagent_audited_free(r.v, r.n);
}

bool pagent_audit_due(struct pagent_audit *a, const struct pagent_present *have,
		      const struct pol_policy *policy, const bool *up)
{
	struct recorded r = {.n = 0};
	bool due = a->pending || pagent_outbox_tunnels(a->outbox, &r.v, &r.n, NULL) < 0 ||
		   !all_settled(&r, have) || missing(&r, have, policy, up, NULL) > 0;

	pagent_audited_free(r.v, r.n);
	return due;
}
