/*
 * pagent, the daemon: the life of a policy from the files over the store into the kernel, and the
 * loop around it.
 */
#include "policy/pagent.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/netns_lock.h"
#include "common/paths.h"
#include "policy/pagent_audit.h"

#define TELL_TIMEOUT_MS 5000

/* ---- telling iked ---- */

/* On a thread of its own: iked may take its time to answer. */
struct tell {
	uv_work_t work;
	struct pagent *p;
	uint64_t generation;
	bool retry;
	char path[CS_PATH_MAX];
	int rc;
	struct cs_err err;
};

static void tell_work(uv_work_t *work)
{
	struct tell *t = work->data;
	struct cs_nmi *nmi = NULL;
	json_t *request = json_pack("{s:s, s:b}", "request", "policy", "retry", t->retry);
	json_t *done = NULL;

	t->rc = request ? cs_nmi_connect(t->path, &nmi, &t->err)
			: cs_fail(&t->err, CS_ENOMEM, "no memory");
	if (t->rc == 0)
		t->rc = cs_nmi_call(nmi, request, TELL_TIMEOUT_MS, NULL, NULL, &done, &t->err);
	json_decref(done);
	json_decref(request);
	cs_nmi_close(nmi);
}

static void tell_done(uv_work_t *work, int status)
{
	struct tell *t = work->data;
	struct pagent *p = t->p;

	(void)status;
	if (t->rc == 0)
		cs_log(CS_NOCTX, CSM_PA_TOLD, (unsigned long long)t->generation);
	else if (t->rc != CS_ENOTFOUND) /* not running: it asks the store when it starts */
		cs_log(CS_NOCTX, CSM_PA_NOT_TOLD, t->err.text);
	free(t);
	p->telling = false;
	if (p->tell_again && !p->stopping)
		pagent_tell_iked(p, false);
}

void pagent_tell_iked(struct pagent *p, bool retry)
{
	struct cs_err err;
	struct tell *t;

	p->tell_again = p->telling;
	p->retry |= retry;
	if (p->telling)
		return;
	t = calloc(1, sizeof(*t));
	if (!t || cs_run_path(p->o->stack, "iked.sock", t->path, &err) < 0) {
		cs_log(CS_NOCTX, CSM_PA_NOT_TOLD, t ? err.text : "no memory");
		free(t);
		return;
	}
	t->p = p;
	t->generation = p->policy->generation;
	t->retry = p->retry;
	t->work.data = t;
	p->telling = uv_queue_work(&p->loop, &t->work, tell_work, tell_done) == 0;
	if (p->telling)
		p->retry = false;
	else
		free(t);
}

/* ---- reading ---- */

#define LOGGED_MAX 200 /* findings of a reading: a file that is no policy has one in each line */

/* What a reading found: logged, told to who asked, and the files that it read or missed. */
struct findings {
	pol_diag_fn *tell;
	void *arg;
	unsigned n;
	char **files;
	unsigned n_files;
};

static void on_file(void *arg, const char *file)
{
	struct findings *f = arg;
	char **more;

	more = realloc(f->files, (f->n_files + 1) * sizeof(*more));
	if (!more)
		return;
	f->files = more;
	f->files[f->n_files] = strdup(file);
	if (f->files[f->n_files])
		f->n_files++;
}

/* The message of the severity, with what there is of statement and attribute. */
#define LOG_FINDING(message, d)                                                                    \
	cs_log(CS_NOCTX, message, (d)->file, (d)->line, (d)->statement,                            \
	       *(d)->statement ? ": " : "", (d)->attribute, *(d)->attribute ? ": " : "",           \
	       (d)->text)

void pagent_log_finding(const struct pol_diag *d)
{
	switch (d->severity) {
	case POL_ERROR:
		LOG_FINDING(CSM_PA_ERROR, d);
		break;
	case POL_WARNING:
		LOG_FINDING(CSM_PA_WARNING, d);
		break;
	case POL_NOTE:
		LOG_FINDING(CSM_PA_NOTE, d);
		break;
	}
}

static void on_finding(void *arg, const struct pol_diag *d)
{
	struct findings *f = arg;

	if (f->n++ < LOGGED_MAX)
		pagent_log_finding(d);
	if (f->tell)
		f->tell(f->arg, d);
}

/* What is another in this generation; SAs of what is not live on. */
static void log_diff(const struct pol_policy *before, const struct pol_policy *now)
{
	char rules[POL_CHANGE_STRLEN], ke[POL_CHANGE_STRLEN], local[POL_CHANGE_STRLEN];
	struct pol_diff d;

	if (pol_diff(before, now, &d, NULL) < 0)
		return;
	cs_log(CS_NOCTX, CSM_PA_DIFF, (unsigned long long)now->generation,
	       pol_change_text(&d.rules, rules), pol_change_text(&d.ke_rules, ke),
	       pol_change_text(&d.local_rules, local));
	pol_diff_free(&d);
}

static void on_again(uv_timer_t *timer);

/*
 * Nothing of the policy is in the kernel: the default filters, if there are any, until it takes it.
 */
static void stand_in(struct pagent *p)
{
	p->refused = true;
	uv_timer_start(&p->again, on_again, p->check_wait, 0);
	if (p->defaults)
		pagent_kernel_install(p, NULL);
}

/* The kernel refused the policy just stored: before is in force again, in the store, too. */
static void go_back(struct pagent *p, struct pol_policy *before)
{
	struct cs_err err;

	uv_timer_start(&p->again, on_again, p->check_wait, 0);
	if (pol_store_revert(p->store, before ? before->generation : 0, &err) < 0) {
		cs_log(CS_NOCTX, CSM_PA_NOT_BACK, (unsigned long long)p->policy->generation,
		       err.text);
		pol_unref(before);
		return;
	}
	pol_unref(p->policy);
	p->policy = before;
	p->refused = before && p->in_table && p->in_table->generation != before->generation;
	pagent_kernel_look(p);
}

/* In place of p->policy, which goes, and back when the kernel refuses it. Takes the reference. */
static int replace(struct pagent *p, struct pol_policy *policy, struct cs_err *err)
{
	struct pol_policy *before = p->policy;
	bool filtered = pagent_in_force(p) != NULL;
	int rc;

	p->policy = policy;
	rc = pagent_kernel_install(p, err);
	if (rc < 0) {
		go_back(p, before);
		return rc;
	}
	log_diff(before, policy);
	if (policy->ipsec && pagent_in_force(p) != policy)
		cs_log(CS_NOCTX, CSM_PA_HELD, (unsigned long long)policy->generation);
	if (filtered && !pagent_in_force(p))
		cs_log(CS_NOCTX, CSM_PA_NO_IPSEC, (unsigned long long)policy->generation);
	pol_unref(before);
	return 0;
}

/* What is in force by its number, and whether the kernel has it, too. */
static int confirm(struct pagent *p, struct pol_policy *policy, struct cs_err *err)
{
	int rc;

	pol_unref(p->policy);
	p->policy = policy;
	p->refused = false;
	rc = pagent_kernel_install(p, err);
	/* What of it is in the kernel stays, and is repaired by itself. */
	if (rc < 0 && !p->in_kernel && !pagent_kernel_has(p, policy))
		stand_in(p);
	return rc;
}

/* Takes policy's reference. */
static int put_in_force(struct pagent *p, struct pol_policy *policy, bool *changed,
			struct cs_err *err)
{
	uint64_t before = p->policy ? p->policy->generation : 0;
	int rc = pagent_kernel_suits(p, policy, err);

	if (rc == 0)
		rc = pol_store_put(p->store, policy, err);
	if (rc < 0) {
		pol_unref(policy);
		return rc;
	}
	if (policy->generation == before)
		return confirm(p, policy, err);
	p->refused = false;
	rc = replace(p, policy, err);
	*changed = rc == 0;
	if (rc == 0)
		pagent_tell_iked(p, false);
	return rc;
}

static void on_interval(uv_timer_t *timer);

/* What an option says counts, else what the files say. */
static void set_interval(struct pagent *p)
{
	const struct pol_options *files = &p->options;
	bool coded = !p->o->interval_coded && files->interval_coded;
	uint64_t ms = (uint64_t)(coded ? files->interval : p->o->interval) * 1000;

	if (ms == 0)
		uv_timer_stop(&p->interval);
	else if (!uv_is_active((uv_handle_t *)&p->interval) ||
		 uv_timer_get_repeat(&p->interval) != ms)
		uv_timer_start(&p->interval, on_interval, ms, ms);
}

int pagent_refresh(struct pagent *p, pol_diag_fn *diag, void *arg, bool *changed,
		   struct cs_err *err)
{
	struct findings f = {.tell = diag, .arg = arg};
	struct pol_options options = {.read = false};
	struct pol_policy *policy = NULL;
	bool good;
	int rc;

	*changed = false;
	pagent_watch_again(p);
	pagent_read_profile(p);
	rc = pol_compile_files(p->o->config, p->o->stack, on_finding, on_file, &f, &options,
			       &policy, err);
	on_file(&f, p->o->profile);
	if (options.read)
		p->options = options;
	pagent_watch_files(p, f.files, f.n_files);
	if (f.n > LOGGED_MAX)
		cs_log(CS_NOCTX, CSM_PA_MORE, f.n - LOGGED_MAX, p->o->config);
	good = rc == 0;
	if (good)
		rc = put_in_force(p, policy, changed, err);
	if (rc < 0)
		cs_log(CS_NOCTX, CSM_PA_REFUSED, p->o->config, err->text);
	else if (rc == 0 && *changed)
		cs_log(CS_NOCTX, CSM_PA_DONE, p->o->stack,
		       (unsigned long long)p->policy->generation, p->policy->n_rules,
		       p->policy->n_ke_rules, p->policy->n_local_rules);
	else if (rc == 0)
		cs_log(CS_NOCTX, CSM_PA_UNCHANGED, p->o->config,
		       (unsigned long long)p->policy->generation);
	pagent_ttls_refreshed(p, good, rc);
	set_interval(p);
	for (unsigned i = 0; i < f.n_files; i++)
		free(f.files[i]);
	free(f.files);
	/* A bad policy file is no reason to leave a new profile undone. */
	if (rc < 0 && pagent_in_force(p))
		pagent_kernel_install(p, NULL);
	else if (rc == 0)
		uv_timer_stop(&p->again);
	pagent_defaults_tell(p);
	return rc;
}

/* ---- start ---- */

/* The last generation comes into force before any file is read. */
static int load_stored(struct pagent *p, struct cs_err *err)
{
	struct pol_policy *policy = NULL;
	int rc = pol_store_load(p->store, &policy, err);

	if (rc == 0)
		rc = pagent_kernel_suits(p, policy, err);
	if (rc < 0) {
		if (rc != CS_ENOTFOUND)
			cs_log(CS_NOCTX, CSM_PA_STORE_BAD, err->text);
		pol_unref(policy);
		return rc;
	}
	p->policy = policy;
	if (pagent_in_force(p) != policy)
		return 0;
	rc = pagent_kernel_install(p, err);
	if (rc == 0)
		cs_log(CS_NOCTX, CSM_PA_STORED, (unsigned long long)policy->generation);
	else if (!pagent_kernel_has(p, policy))
		stand_in(p);
	return rc;
}

/*
 * A policy that this kernel cannot hold is no reason to wait: no other file will come by itself,
 * and who starts us should see it.
 */
static int first_policy(struct pagent *p, struct cs_err *err)
{
	bool changed;
	int stored, read;

	pagent_defaults_open(p);
	stored = load_stored(p, err);
	if (p->defaults && pagent_in_force(p) == p->defaults)
		pagent_kernel_install(p, err);
	read = pagent_refresh(p, NULL, NULL, &changed, err);
	if (!p->policy && (read == CS_EUNSUPPORTED || stored == CS_EUNSUPPORTED))
		return CS_EUNSUPPORTED;
	if (p->policy && !changed)
		pagent_tell_iked(p, false);
	if (!p->policy && !p->defaults)
		cs_log(CS_NOCTX, CSM_PA_NONE);
	return 0;
}

/* ---- the loop ---- */

static void reread(struct pagent *p)
{
	struct cs_err err;
	bool changed;

	pagent_refresh(p, NULL, NULL, &changed, &err);
}

static void on_files_changed(struct pagent *p)
{
	cs_log(CS_NOCTX, CSM_PA_CHANGED, p->o->config);
	reread(p);
}

static void on_interval(uv_timer_t *timer)
{
	reread(timer->data);
}

static void on_again(uv_timer_t *timer)
{
	reread(timer->data);
}

static void on_signal(uv_signal_t *handle, int sig)
{
	if (sig == SIGHUP)
		reread(handle->data);
	else
		pagent_stop(handle->data);
}

static void close_handle(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

void pagent_stop(struct pagent *p)
{
	if (p->stopping)
		return;
	p->stopping = true;
	uv_stop(&p->loop);
}

static int add_signal(struct pagent *p, uv_signal_t *handle, int sig, struct cs_err *err)
{
	int rc = uv_signal_init(&p->loop, handle);

	handle->data = p;
	if (rc == 0)
		rc = uv_signal_start(handle, on_signal, sig);
	return rc ? cs_fail(err, CS_ESYS, "signal %d: %s", sig, uv_strerror(rc)) : 0;
}

static void init_timers(struct pagent *p)
{
	uv_timer_init(&p->loop, &p->interval);
	uv_timer_init(&p->loop, &p->again);
	p->interval.data = p->again.data = p;
}

static int open_store(struct pagent *p, struct cs_err *err)
{
	char state[CS_PATH_MAX];
	int rc = cs_state_path(p->o->stack, NULL, state, err);

	return rc == 0 ? pol_store_open(state, true, &p->store, err) : rc;
}

/* It is opened when something is recorded: a disk that fails is no reason not to start. */
static int open_audit(struct pagent *p, struct cs_err *err)
{
	char state[CS_PATH_MAX];
	int rc = cs_state_path(p->o->stack, NULL, state, err);

	if (rc == 0)
		p->audit = pagent_audit_new(state);
	return rc == 0 && !p->audit ? cs_fail(err, CS_ENOMEM, "no memory for the audit trail") : rc;
}

static int open_all(struct pagent *p, struct cs_err *err)
{
	char *config = (char *)(uintptr_t)p->o->config;
	int rc = cs_netns_lock("pagent", p->o->stack, &p->lock, err);

	init_timers(p);
	if (rc == 0)
		rc = add_signal(p, &p->on_term, SIGTERM, err);
	if (rc == 0)
		rc = add_signal(p, &p->on_int, SIGINT, err);
	if (rc == 0)
		rc = add_signal(p, &p->on_hup, SIGHUP, err);
	if (rc == 0)
		rc = pagent_watch_init(p, on_files_changed, err);
	if (rc == 0)
		pagent_watch_files(p, &config, 1);
	if (rc == 0)
		rc = open_store(p, err);
	if (rc == 0)
		rc = open_audit(p, err);
	if (rc == 0)
		rc = pagent_kernel_open(p, err);
	if (rc == 0)
		rc = pagent_nmi_open(p, err);
	return rc;
}

static void close_all(struct pagent *p)
{
	p->stopping = true;
	if (p->nmi)
		cs_nmi_stop(p->nmi);
	pagent_watch_end(p);
	uv_walk(&p->loop, close_handle, NULL);
	uv_run(&p->loop, UV_RUN_DEFAULT);
	pagent_kernel_close(p);
	pagent_audit_free(p->audit);
	pagent_ttls_end(p);
	pol_unref(p->policy);
	pol_unref(p->defaults);
	pol_store_close(p->store);
	if (p->lock >= 0)
		close(p->lock);
}

enum cs_exit pagent_run(const struct pagent_options *o)
{
	struct pagent p = {.lock = -1, .o = o};
	struct cs_err err;
	int rc = uv_loop_init(&p.loop);

	if (rc < 0) {
		cs_log(CS_NOCTX, CSM_NO_START, "pagent", uv_strerror(rc));
		return CS_EXIT_FAILED;
	}
	rc = open_all(&p, &err);
	if (rc == 0) {
		cs_log(CS_NOCTX, CSM_STARTED, "pagent", PACKAGE_VERSION, o->stack);
		rc = first_policy(&p, &err);
	}
	if (rc == 0) {
		cs_daemon_ready();
		uv_run(&p.loop, UV_RUN_DEFAULT);
		cs_daemon_stopping();
		cs_log(CS_NOCTX, CSM_PA_STOPPING);
	} else {
		cs_log(CS_NOCTX, CSM_NO_START, "pagent", err.text);
		p.status = CS_EXIT_FAILED;
	}
	close_all(&p);
	uv_loop_close(&p.loop);
	return p.status;
}

/* ---- boot ---- */

static int open_for_boot(struct pagent *p, struct cs_err *err)
{
	char run[CS_PATH_MAX];
	int rc = cs_run_path(p->o->stack, NULL, run, err);

	init_timers(p);
	if (rc == 0)
		rc = cs_make_dir(run, 0755, err);
	if (rc == 0)
		rc = cs_netns_lock("pagent", p->o->stack, &p->lock, err);
	if (rc == 0)
		rc = open_audit(p, err);
	return rc == 0 ? pagent_kernel_open(p, err) : rc;
}

/* False: not all that should be in force is. A store that cannot be read leaves the profile. */
static bool boot(struct pagent *p)
{
	char name[PAGENT_NAME_LEN];
	struct cs_err err;
	int profile = pagent_defaults_open(p), stored = open_store(p, &err), rc = 0;

	if (stored < 0)
		cs_log(CS_NOCTX, CSM_PA_STORE_BAD, err.text);
	else
		stored = load_stored(p, &err);
	if (pagent_in_force(p))
		rc = pagent_kernel_install(p, &err);
	if (p->in_kernel)
		cs_log(CS_NOCTX, CSM_PA_BOOT, pagent_filters_name(p->in_table, name));
	else
		cs_log(CS_NOCTX, CSM_PA_NONE);
	return rc == 0 && (profile == 0 || profile == CS_ENOTFOUND) &&
	       (stored == 0 || stored == CS_ENOTFOUND);
}

enum cs_exit pagent_boot(const struct pagent_options *o)
{
	struct pagent p = {.lock = -1, .o = o};
	enum cs_exit status = CS_EXIT_FAILED;
	struct cs_err err = {.text = "no event loop"};

	if (uv_loop_init(&p.loop) < 0) {
		cs_log(CS_NOCTX, CSM_NO_START, "pagent", err.text);
		return status;
	}
	if (open_for_boot(&p, &err) < 0)
		cs_log(CS_NOCTX, CSM_NO_START, "pagent", err.text);
	else if (boot(&p))
		status = CS_EXIT_OK;
	close_all(&p);
	uv_loop_close(&p.loop);
	return status;
}
