/*
 * trmd's loop.  A change beside iked.db (its write-ahead log grows with each commit) starts a
 * batch; a slow timer is there for where changes cannot be watched, and tries again what failed.
 * Batches run on the loop's thread; what may take seconds, compressing, has a thread of its own.
 */
#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "common/log.h"
#include "policy/policy.h"
#include "trmd/drain.h"
#include "trmd/filter_log.h"
#include "trmd/lines.h"
#include "trmd/manual.h"
#include "trmd/outbox.h"
#include "trmd/trmd.h"

#define GATHER_MS 20    /* what iked commits meanwhile goes into the same batch */
#define LOOK_MS   2000  /* without a notice */
#define AGAIN_MS  1000  /* after something failed */
#define LOCKED_MS 50    /* the database was */
#define TIDY_MS   60000 /* closed files are looked at */
#define DENIED    30    /* looks: who may not take rows asks once in so many */

/* Compressing and removing, on another thread. */
struct tidy {
	uv_work_t work;
	bool running;
	int dirfd;
	char current[TRMD_NAME_LEN + 1];
	int64_t now;
	unsigned removed;
	int status;
	struct cs_err err;
	char told[sizeof(((struct cs_err *)0)->text)];
};

struct trmd {
	const struct trmd_options *o;
	uv_loop_t loop;
	uv_signal_t term, intr, hup;
	uv_timer_t batch, look, clean;
	uv_fs_event_t watch;
	bool watches, no_watch_told, stopping;
	char database[CS_PATH_MAX], dir[CS_PATH_MAX]; /* iked.db, and where it is */
	char tag[CS_STACK_MAX + sizeof("trmd.")];
	struct trmd_log log;
	struct trmd_lines *lines;
	struct trmd_origin origin;
	struct trmd_wanted wanted;
	struct trmd_writer *writer;
	struct trmd_drain *drain;
	struct trmd_outbox *outbox;
	struct trmd_manual *manual;
	char socket[CS_PATH_MAX]; /* pagent's */
	uv_work_t work;           /* asking it, on another thread */
	bool asking;
	unsigned looks;
	struct trmd_filter_log *filter_log;
	struct tidy tidy;
};

static int64_t wall(void)
{
	return (int64_t)time(NULL);
}

/* ---- configuration ---- */

static void on_diag(void *arg, const struct pol_diag *d)
{
	(void)arg;
	cs_log(CS_NOCTX, CSM_TR_CONFIG, d->file, d->line, d->statement, d->attribute, d->text);
}

static int read_config(struct trmd *t, struct cs_err *err)
{
	struct pol_ike_config config;
	int rc = pol_ike_config(t->o->config, !t->o->config_given, on_diag, t, &config, err);

	if (rc < 0)
		return rc;
	t->wanted.ike_tunnel = config.smf_ike_tunnel;
	t->wanted.dyn_tunnel = config.smf_dyn_tunnel;
	t->origin.fips140 = config.fips140;
	return 0;
}

static const char *wanted_text(struct trmd_wanted w)
{
	return w.ike_tunnel   ? w.dyn_tunnel ? "all" : "of IKE tunnels"
	       : w.dyn_tunnel ? "of dynamic and manual tunnels"
			      : "none (SMF119 of IkeConfig)";
}

/* Up to the first dot, in capital letters, as systems are called on z/OS. */
static void set_name(char *to, size_t size, const char *from)
{
	size_t i = 0;

	for (; i + 1 < size && from[i] && from[i] != '.'; i++)
		to[i] = (char)toupper((unsigned char)from[i]);
	to[i] = '\0';
}

static void set_origin(struct trmd *t)
{
	char host[256] = "";
	const char *user = t->o->user ? t->o->user : TRMD_USER;

	gethostname(host, sizeof(host) - 1);
	set_name(t->origin.system, sizeof(t->origin.system), host);
	set_name(t->origin.sid, sizeof(t->origin.sid), host);
	set_name(t->origin.user, sizeof(t->origin.user), user);
	snprintf(t->origin.release, sizeof(t->origin.release), "%.8s", PACKAGE_VERSION);
	snprintf(t->origin.stack, sizeof(t->origin.stack), "%s", t->o->stack);
	t->origin.process = (uint16_t)getpid();
}

/* ---- batches ---- */

static void on_batch(uv_timer_t *timer);

/* The sooner of two times counts. */
static void batch_in(struct trmd *t, uint64_t ms)
{
	if (t->stopping)
		return;
	if (!uv_is_active((uv_handle_t *)&t->batch) || uv_timer_get_due_in(&t->batch) > ms)
		uv_timer_start(&t->batch, on_batch, ms, 0);
}

static void do_ask(uv_work_t *work)
{
	struct trmd *t = work->data;

	trmd_manual_ask(t->manual);
}

static void asked(uv_work_t *work, int status)
{
	struct trmd *t = work->data;

	t->asking = false;
	if (status < 0)
		return;
	trmd_manual_end(t->manual);
	batch_in(t, 0);
}

/* pagent, for rows of manual tunnels: nobody tells that there are some. */
static void ask(struct trmd *t)
{
	if (t->asking || t->stopping || !trmd_manual_begin(t->manual))
		return;
	t->work.data = t;
	t->asking = uv_queue_work(&t->loop, &t->work, do_ask, asked) == 0;
}

static void on_batch(uv_timer_t *timer)
{
	struct trmd *t = timer->data;
	int rc = trmd_drain_step(t->drain, wall());

	if (trmd_manual_owes(t->manual))
		ask(t);
	if (rc > 0)
		batch_in(t, 0);
	else if (rc < 0)
		batch_in(t, rc == CS_EAGAIN ? LOCKED_MS : AGAIN_MS);
}

static void on_change(uv_fs_event_t *handle, const char *name, int events, int status)
{
	struct trmd *t = handle->data;
	struct trmd_drain_stats stats;

	(void)name;
	(void)events;
	(void)status;
	/* While something hinders each try makes and removes files there, and would be the next's
	 * cause. */
	trmd_drain_stats(t->drain, &stats);
	if (stats.reads[TRMD_IKED] && stats.writes)
		batch_in(t, GATHER_MS);
}

/* The directory may come later, and be another one when the database is. */
static void watch(struct trmd *t)
{
	struct trmd_drain_stats stats;
	int rc;

	trmd_drain_stats(t->drain, &stats);
	if (t->watches && stats.reads[TRMD_IKED])
		return;
	uv_fs_event_stop(&t->watch);
	rc = uv_fs_event_start(&t->watch, on_change, t->dir, 0);
	t->watches = rc == 0;
	if (rc < 0 && rc != UV_ENOENT && !t->no_watch_told)
		cs_log(CS_NOCTX, CSM_TR_NO_WATCH, t->dir, uv_strerror(rc));
	t->no_watch_told = rc < 0 && rc != UV_ENOENT;
}

static void on_look(uv_timer_t *timer)
{
	struct trmd *t = timer->data;

	watch(t);
	if (++t->looks % DENIED == 0 || !trmd_manual_denied(t->manual))
		ask(t);
	batch_in(t, 0);
}

/* ---- closed files ---- */

static void do_tidy(uv_work_t *work)
{
	struct trmd *t = work->data;
	struct tidy *y = &t->tidy;

	y->status =
		trmd_closed_tidy(y->dirfd, y->current, &t->o->keep, y->now, &y->removed, &y->err);
}

static void tidied(uv_work_t *work, int status)
{
	struct trmd *t = work->data;
	struct tidy *y = &t->tidy;

	close(y->dirfd);
	y->running = false;
	if (status < 0)
		return;
	if (y->removed)
		cs_log(CS_NOCTX, CSM_TR_REMOVED, y->removed);
	if (y->status < 0 && strcmp(y->told, y->err.text) != 0)
		cs_log(CS_NOCTX, CSM_TR_TIDY, y->err.text);
	snprintf(y->told, sizeof(y->told), "%s", y->status < 0 ? y->err.text : "");
}

/* Not while one runs, nor when there is no directory to work in. */
static void start_tidy(struct trmd *t)
{
	struct tidy *y = &t->tidy;
	int dirfd = trmd_writer_dir(t->writer);

	if (y->running || dirfd < 0)
		return;
	/* Not a duplicate: that would have a share in the writer's lock, and outlive it. */
	dirfd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return;
	y->dirfd = dirfd;
	y->now = wall();
	snprintf(y->current, sizeof(y->current), "%s", trmd_writer_file(t->writer));
	y->work.data = t;
	y->running = uv_queue_work(&t->loop, &y->work, do_tidy, tidied) == 0;
	if (!y->running)
		close(dirfd);
}

static void rotate(struct trmd *t, bool always)
{
	struct cs_err err;

	/* The next batch finds, and tells, what is wrong. */
	(void)trmd_writer_rotate(t->writer, always, wall(), &err);
	start_tidy(t);
}

static void on_clean(uv_timer_t *timer)
{
	rotate(timer->data, false);
}

/* ---- signals ---- */

static void on_hup(uv_signal_t *handle, int signal)
{
	struct trmd *t = handle->data;
	struct cs_err err;

	(void)signal;
	if (read_config(t, &err) < 0)
		cs_log(CS_NOCTX, CSM_TR_NO_CONFIG, err.text);
	else
		trmd_drain_want(t->drain, t->wanted);
	cs_log(CS_NOCTX, CSM_TR_READY, t->database, wanted_text(t->wanted));
	rotate(t, true);
	batch_in(t, 0);
}

static void on_stop(uv_signal_t *handle, int signal)
{
	struct trmd *t = handle->data;
	struct trmd_drain_stats stats;

	(void)signal;
	if (t->stopping)
		return;
	t->stopping = true;
	cs_daemon_stopping();
	trmd_drain_stats(t->drain, &stats);
	cs_log(CS_NOCTX, CSM_TR_STOPPING, (unsigned long long)stats.records,
	       (unsigned long long)stats.rows, (unsigned long long)stats.refused,
	       (unsigned long long)stats.lost);
	uv_close((uv_handle_t *)&t->term, NULL);
	uv_close((uv_handle_t *)&t->intr, NULL);
	uv_close((uv_handle_t *)&t->hup, NULL);
	uv_close((uv_handle_t *)&t->batch, NULL);
	uv_close((uv_handle_t *)&t->look, NULL);
	uv_close((uv_handle_t *)&t->clean, NULL);
	uv_close((uv_handle_t *)&t->watch, NULL);
	trmd_filter_log_end(t->filter_log);
	trmd_lines_close(t->lines);
}

/* ---- the loop ---- */

static int start_handles(struct trmd *t, struct cs_err *err)
{
	int rc = uv_signal_init(&t->loop, &t->term) | uv_signal_init(&t->loop, &t->intr) |
		 uv_signal_init(&t->loop, &t->hup) | uv_timer_init(&t->loop, &t->batch) |
		 uv_timer_init(&t->loop, &t->look) | uv_timer_init(&t->loop, &t->clean) |
		 uv_fs_event_init(&t->loop, &t->watch);

	t->term.data = t->intr.data = t->hup.data = t;
	t->batch.data = t->look.data = t->clean.data = t->watch.data = t;
	if (rc == 0)
		rc = uv_signal_start(&t->term, on_stop, SIGTERM) |
		     uv_signal_start(&t->intr, on_stop, SIGINT) |
		     uv_signal_start(&t->hup, on_hup, SIGHUP) |
		     uv_timer_start(&t->batch, on_batch, 0, 0) |
		     uv_timer_start(&t->look, on_look, LOOK_MS, LOOK_MS) |
		     uv_timer_start(&t->clean, on_clean, TIDY_MS / 60, TIDY_MS);
	return rc ? cs_fail(err, CS_ESYS, "cannot set up the event loop") : 0;
}

/* They end in on_stop(). */
static int start_sources(struct trmd *t, struct cs_err *err)
{
	int rc = start_handles(t, err);

	if (rc < 0)
		return rc;
	watch(t);
	ask(t);
	trmd_filter_log_begin(t->filter_log);
	return 0;
}

static int prepare(struct trmd *t, struct cs_err *err)
{
	struct trmd_drain_env env = {
		.directory = t->o->directory,
		.origin = &t->origin,
		.say = trmd_say_syslog,
		.arg = &t->log,
	};
	struct trmd_filter_log_env filters = {
		.stack = t->o->stack,
		.directory = t->o->directory,
		.limits = t->o->packets,
		.say = trmd_lines_say,
	};
	int rc = cs_state_path(t->o->stack, "iked/iked.db", t->database, err);

	if (rc == 0)
		rc = cs_state_path(t->o->stack, "iked", t->dir, err);
	if (rc == 0)
		rc = cs_run_path(t->o->stack, "pagent.sock", t->socket, err);
	if (rc == 0)
		rc = read_config(t, err);
	snprintf(t->tag, sizeof(t->tag), "trmd.%s", t->o->stack);
	t->log = (struct trmd_log){.foreground = t->o->foreground, .tag = t->tag};
	if (rc == 0)
		rc = trmd_lines_open(&t->loop, &t->log, TRMD_LOG_PATH, &t->lines, err);
	filters.arg = t->lines;
	/* Its socket is opened as root. */
	if (rc == 0)
		rc = trmd_filter_log_open(&t->loop, &filters, &t->filter_log, err);
	if (rc == 0)
		rc = trmd_privilege_drop(t->o->user, t->o->directory, err);
	if (rc == 0)
		rc = trmd_writer_new(t->o->directory, &t->o->limits, &t->writer, err);
	if (rc == 0)
		rc = trmd_outbox_new(t->database, &t->outbox, err);
	if (rc == 0)
		rc = trmd_manual_new(t->socket, &t->manual, err);
	if (rc < 0)
		return rc;
	set_origin(t);
	env.writer = t->writer;
	env.sources[TRMD_IKED] = trmd_outbox_source(t->outbox);
	env.sources[TRMD_PAGENT] = trmd_manual_source(t->manual);
	rc = trmd_drain_new(&env, &t->drain, err);
	if (rc == 0)
		trmd_drain_want(t->drain, t->wanted);
	return rc;
}

enum cs_exit trmd_run(struct trmd_options *o)
{
	struct trmd t = {.o = o};
	struct cs_err err;
	int rc;

	umask(027);
	if (uv_loop_init(&t.loop) < 0)
		return CS_EXIT_FAILED;
	rc = prepare(&t, &err);
	if (rc == 0)
		rc = start_sources(&t, &err);
	if (rc == 0) {
		cs_log(CS_NOCTX, CSM_STARTED, "trmd", PACKAGE_VERSION, o->stack);
		cs_log(CS_NOCTX, CSM_TR_READY, t.database, wanted_text(t.wanted));
		cs_daemon_ready();
		uv_run(&t.loop, UV_RUN_DEFAULT);
	} else {
		cs_log(CS_NOCTX, CSM_NO_START, "trmd", err.text);
		if (t.filter_log)
			trmd_filter_log_end(t.filter_log);
		trmd_lines_close(t.lines);
		uv_run(&t.loop, UV_RUN_DEFAULT);
	}
	trmd_drain_free(t.drain);
	trmd_outbox_free(t.outbox);
	trmd_manual_free(t.manual);
	trmd_filter_log_free(t.filter_log);
	trmd_writer_free(t.writer);
	uv_loop_close(&t.loop);
	return rc < 0 ? CS_EXIT_FAILED : CS_EXIT_OK;
}
