/*
 * Manual tunnels: their numbers, which of them are active, and that the kernel has these.
 *
 * What a command has set is in a file of the run-time directory.  It holds over restarts of pagent,
 * until somebody changes the tunnel's Active or what its SAs are made of, and until the host is
 * started anew, as its SAs do.
 */
#include "policy/pagent_manual.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/paths.h"
#include "policy/pagent_audit.h"

#define STATE_FILE "manual.json"

/* ---- the table ---- */

struct pagent_manuals {
	struct pagent_manual *v;
	unsigned n;
	uint32_t last; /* number that was given last */
	bool failed;   /* the kernel refused, which was said */
};

static struct pagent_manual *find(const struct pagent_manuals *m, const char *name)
{
	for (unsigned i = 0; i < m->n; i++)
		if (strcmp(m->v[i].name, name) == 0)
			return &m->v[i];
	return NULL;
}

struct pagent_manual *pagent_manual_find(const struct pagent *p, const char *name)
{
	return p->manuals ? find(p->manuals, name) : NULL;
}

static struct pagent_manual *add(struct pagent_manuals *m, const char *name)
{
	struct pagent_manual *more = reallocarray(m->v, m->n + 1u, sizeof(*more));

	if (!more)
		return NULL;
	m->v = more;
	more += m->n++;
	memset(more, 0, sizeof(*more));
	snprintf(more->name, sizeof(more->name), "%s", name);
	more->set = PAGENT_MANUAL_AS_CODED;
	return more;
}

static bool is_taken(const struct pagent_manuals *m, uint32_t number)
{
	for (unsigned i = 0; i < m->n; i++)
		if (m->v[i].number == number)
			return true;
	return false;
}

static uint32_t new_number(struct pagent_manuals *m)
{
	do
		m->last = m->last < XF_REQID_TUNNEL_MAX ? m->last + 1 : 1;
	while (is_taken(m, m->last));
	return m->last;
}

/* ---- the file ---- */

static json_t *to_json(const struct pagent_manual *t)
{
	char content[2 * POL_CONTENT_LEN + 1];

	cs_hex(t->content, sizeof(t->content), content);
	return json_pack("{s:s, s:I, s:s, s:b, s:i}", "name", t->name, "number",
			 (json_int_t)t->number, "content", content, "coded", t->coded, "set",
			 (int)t->set);
}

static void from_json(struct pagent_manuals *m, json_t *json)
{
	const char *name, *content;
	struct pagent_manual *t;
	json_int_t number;
	int coded, set;

	if (json_unpack(json, "{s:s, s:I, s:s, s:b, s:i}", "name", &name, "number", &number,
			"content", &content, "coded", &coded, "set", &set) < 0 ||
	    strlen(name) > POL_NAME_MAX || number < 1 || number > XF_REQID_TUNNEL_MAX ||
	    set < PAGENT_MANUAL_AS_CODED || set > PAGENT_MANUAL_ACTIVE ||
	    is_taken(m, (uint32_t)number) || find(m, name))
		return;
	t = add(m, name);
	if (!t)
		return;
	t->number = (uint32_t)number;
	t->coded = coded;
	t->set = (enum pagent_manual_set)set;
	if (cs_unhex(content, t->content, sizeof(t->content)) != POL_CONTENT_LEN)
		m->n--;
}

/* Without the file, or with one that is damaged, the tunnels are as they are coded. */
static void load(struct pagent *p, struct pagent_manuals *m)
{
	char path[CS_PATH_MAX];
	struct cs_err err;
	json_t *root, *list;
	size_t i;

	if (cs_run_path(p->o->stack, STATE_FILE, path, &err) < 0 || access(path, F_OK) < 0)
		return;
	root = json_load_file(path, 0, NULL);
	list = json_object_get(root, "tunnels");
	if (!json_is_array(list))
		cs_log(CS_NOCTX, CSM_PA_MAN_STATE, path, "it is not what pagent writes");
	for (i = 0; i < json_array_size(list); i++)
		from_json(m, json_array_get(list, i));
	m->last = (uint32_t)json_integer_value(json_object_get(root, "last"));
	json_decref(root);
}

static int write_file(const char *path, const json_t *root)
{
	char fresh[CS_PATH_MAX + 8];
	int rc, fd;
	FILE *f;

	snprintf(fresh, sizeof(fresh), "%s.new", path);
	unlink(fresh);
	/* A hash of keys may confirm a guess. */
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	rc = json_dumpf(root, f, JSON_INDENT(1));
	if (fclose(f) != 0)
		rc = -1;
	return rc == 0 ? rename(fresh, path) : rc;
}

static void save(struct pagent *p)
{
	const struct pagent_manuals *m = p->manuals;
	json_t *list = json_array(), *root;
	char path[CS_PATH_MAX];
	struct cs_err err;

	for (unsigned i = 0; i < m->n; i++)
		json_array_append_new(list, to_json(&m->v[i]));
	root = json_pack("{s:I, s:o}", "last", (json_int_t)m->last, "tunnels", list);
	if (cs_run_path(p->o->stack, STATE_FILE, path, &err) < 0)
		cs_log(CS_NOCTX, CSM_PA_MAN_STATE, STATE_FILE, err.text);
	else if (!root || write_file(path, root) < 0)
		cs_log(CS_NOCTX, CSM_PA_MAN_STATE, path, root ? strerror(errno) : "no memory");
	json_decref(root);
}

/* ---- a policy comes into force ---- */

void pagent_manual_free(struct pagent_manuals *m)
{
	if (m)
		free(m->v);
	free(m);
}

/* A tunnel of other keys is another tunnel: it gets a number that none had. */
static bool match(struct pagent_manuals *m, struct pol_manvpn_action *a)
{
	struct pagent_manual *t = find(m, a->name);
	uint8_t content[POL_CONTENT_LEN];
	bool changed = !t;

	if (pol_manual_content(a, content, NULL) < 0)
		return false;
	if (!t)
		t = add(m, a->name);
	if (!t)
		return false;
	t->in_policy = true;
	if (changed || memcmp(t->content, content, sizeof(content)) != 0) {
		memcpy(t->content, content, sizeof(content));
		t->number = new_number(m);
		t->told = false;
		changed = true;
	}
	if (changed || t->coded != a->active) {
		t->coded = a->active;
		t->set = PAGENT_MANUAL_AS_CODED;
		changed = true;
	}
	a->number = t->number;
	return changed;
}

static bool drop_others(struct pagent_manuals *m)
{
	unsigned kept = 0, n = m->n;

	for (unsigned i = 0; i < n; i++)
		if (m->v[i].in_policy)
			m->v[kept++] = m->v[i];
	m->n = kept;
	return kept != n;
}

/* Of what is remembered, or NULL. */
static struct pagent_manuals *copy(const struct pagent_manuals *m)
{
	struct pagent_manuals *c = malloc(sizeof(*c));

	if (!c)
		return NULL;
	*c = *m;
	c->v = calloc(m->n + 1u, sizeof(*c->v));
	if (!c->v) {
		free(c);
		return NULL;
	}
	if (m->n)
		memcpy(c->v, m->v, m->n * sizeof(*c->v));
	return c;
}

struct pagent_manuals *pagent_manual_number(struct pagent *p, bool *changed)
{
	struct pagent_manuals *m;

	*changed = false;
	if (!p->policy)
		return NULL;
	if (!p->manuals) {
		p->manuals = calloc(1, sizeof(*p->manuals));
		if (!p->manuals)
			return NULL;
		load(p, p->manuals);
	}
	m = copy(p->manuals);
	if (!m)
		return NULL;
	for (unsigned i = 0; i < m->n; i++)
		m->v[i].in_policy = false;
	for (unsigned i = 0; i < p->policy->n_manuals; i++)
		*changed |= match(m, p->policy->manuals[i]);
	*changed |= drop_others(m);
	return m;
}

void pagent_manual_keep(struct pagent *p, struct pagent_manuals *m, bool changed)
{
	if (!m)
		return;
	pagent_manual_free(p->manuals);
	p->manuals = m;
	if (changed)
		save(p);
}

/* ---- in the kernel ---- */

bool pagent_manual_active(const struct pagent_manual *t)
{
	return t->set == PAGENT_MANUAL_AS_CODED ? t->coded : t->set == PAGENT_MANUAL_ACTIVE;
}

bool pagent_manual_in_time(const struct pol_manvpn_action *a)
{
	return pol_time_active(a->times, a->n_times, time(NULL));
}

static bool *should_be_up(const struct pagent *p)
{
	const struct pol_policy *policy = p->policy;
	bool *up = calloc(policy->n_manuals + 1u, sizeof(*up));

	for (unsigned i = 0; up && i < policy->n_manuals; i++) {
		const struct pol_manvpn_action *a = policy->manuals[i];
		const struct pagent_manual *t = pagent_manual_find(p, a->name);

		up[i] = t && t->number == a->number && pagent_manual_active(t) &&
			pagent_manual_in_time(a);
	}
	return up;
}

/* Is that what was brought about last? */
static bool is_known(const struct pagent *p, const bool *up)
{
	for (unsigned i = 0; i < p->policy->n_manuals; i++) {
		const struct pagent_manual *t = pagent_manual_find(p, p->policy->manuals[i]->name);

		if (!t || !t->told || t->up != up[i])
			return false;
	}
	return true;
}

static void tell_changes(const struct pagent *p, const bool *up)
{
	for (unsigned i = 0; i < p->policy->n_manuals; i++) {
		const struct pol_manvpn_action *a = p->policy->manuals[i];
		struct pagent_manual *t = pagent_manual_find(p, a->name);

		if (!t || (t->told && t->up == up[i]))
			continue;
		t->told = true;
		t->up = up[i];
		if (up[i])
			cs_log(CS_NOCTX, CSM_PA_MAN_UP, a->number, a->name);
		else
			cs_log(CS_NOCTX, CSM_PA_MAN_DOWN, a->number, a->name,
			       pagent_manual_in_time(a) ? "it is not active"
							: "its time condition does not hold");
	}
}

/* For the audit trail. */
static const char *why_ended(void *arg, const char *name, uint32_t number)
{
	const struct pagent *p = arg;
	const struct pol_manvpn_action *a = pol_manual_by_name(p->policy, name);
	const struct pagent_manual *t = pagent_manual_find(p, name);

	if (!a || !t)
		return "the policy no longer has it";
	if (t->number != number)
		return "the policy no longer has it as it was";
	if (!pagent_manual_active(t))
		return t->set == PAGENT_MANUAL_INACTIVE ? "deactivated by command"
							: "the policy no longer has it as active";
	if (!pagent_manual_in_time(a))
		return "the time condition of its action does not hold";
	return "the kernel no longer has it";
}

static int look(struct pagent *p, struct pagent_present *have, struct cs_err *err)
{
	int rc = xf_sa_dump(p->kernel, pagent_present_add, have, err);

	return rc == CS_ENOMEM ? cs_fail(err, rc, "no memory for the SAs of manual tunnels") : rc;
}

/* What may not come up is not to: up[i] is false then. */
static int bring_about(struct pagent *p, bool *up, struct cs_err *err)
{
	const struct xf_manual_watch watch = {pagent_audit_gone, p->audit};
	const struct pagent_why why = {why_ended, p};
	struct pagent_present have = {.n = 0};
	struct cs_err refusal;
	int rc = look(p, &have, err), refused = 0;

	if (rc == 0) {
		refused = pagent_audit_before(p->audit, &have, p->policy, up, &why, &refusal);
		rc = xf_manual_install(p->kernel, p->policy, up, &watch, err);
	}
	pagent_present_free(&have);
	/* Also when some of it was refused; what could not be looked at is for the next look. */
	if (look(p, &have, NULL) == 0)
		pagent_audit_after(p->audit, &have, &why);
	else
		pagent_audit_unseen(p->audit);
	pagent_present_free(&have);
	if (rc == 0 && refused < 0) {
		*err = refusal;
		rc = refused;
	}
	return rc;
}

static int install(struct pagent *p, bool *up, struct cs_err *err)
{
	int rc = bring_about(p, up, err);

	if (rc == 0)
		tell_changes(p, up);
	else if (!p->manuals->failed)
		cs_log(CS_NOCTX, CSM_PA_MAN_REFUSED, err->text);
	p->manuals->failed = rc < 0;
	return rc;
}

int pagent_manual_install(struct pagent *p, struct cs_err *err)
{
	struct cs_err unasked = {0};
	bool *up;
	int rc;

	if (!p->manuals || !p->policy || !p->abilities.xfrm)
		return 0;
	err = err ? err : &unasked;
	up = should_be_up(p);
	if (!up)
		return cs_fail(err, CS_ENOMEM, "no memory for manual tunnels");
	rc = install(p, up, err);
	free(up);
	return rc;
}

/* Has the audit trail another state than the kernel? */
static bool is_due(struct pagent *p, const bool *up)
{
	struct pagent_present have = {.n = 0};
	bool due = look(p, &have, NULL) == 0 && pagent_audit_due(p->audit, &have, p->policy, up);

	pagent_present_free(&have);
	return due;
}

void pagent_manual_check(struct pagent *p)
{
	bool *up, known, gone;
	struct cs_err err;

	if (!p->manuals || !p->policy || !p->abilities.xfrm ||
	    (!p->policy->n_manuals && !p->manuals->failed && !pagent_audit_pending(p->audit)))
		return;
	up = should_be_up(p);
	if (!up)
		return;
	known = is_known(p, up);
	gone = known && !xf_manual_installed(p->kernel, p->policy, up);
	if (gone)
		cs_log(CS_NOCTX, CSM_PA_MAN_GONE);
	if (!known || gone || is_due(p, up))
		install(p, up, &err);
	free(up);
}

int pagent_manual_set(struct pagent *p, struct pagent_manual *t, bool active, struct cs_err *err)
{
	enum pagent_manual_set before = t->set;
	int rc;

	t->set = active ? PAGENT_MANUAL_ACTIVE : PAGENT_MANUAL_INACTIVE;
	rc = pagent_manual_install(p, err);
	/* What is to end ends, whatever the kernel says of another tunnel. */
	if (rc < 0 && active) {
		t->set = before;
		pagent_manual_install(p, NULL);
	} else {
		save(p);
	}
	return rc;
}

void pagent_manual_end(struct pagent *p)
{
	pagent_manual_free(p->manuals);
	p->manuals = NULL;
}
