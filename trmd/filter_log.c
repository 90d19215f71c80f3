/* Lines of logged packets. */
#include "trmd/filter_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/paths.h"
#include "trmd/filter_message.h"
#include "trmd/filters.h"
#include "trmd/limit.h"
#include "trmd/loss.h"
#include "trmd/nflog.h"

#define LOOK_MS   30000 /* pagent's filters and their counters */
#define CHANGE_MS 500   /* after the first packet of a new policy */
#define SETTLE_MS 2000  /* what was queued when counters were read has come */
#define ASK_MS    5000  /* pagent answers within */
#define STATE     ".filter-log.json"
#define STATE_MAX (16 << 20) /* bytes; all rules that are counted have less */
#define BOOT_ID   "/proc/sys/kernel/random/boot_id"
#define RUN_ID    (64 + CS_STACK_MAX + 2)

struct trmd_filter_log {
	struct trmd_filter_log_env env;
	uv_loop_t *loop;
	struct trmd_nflog *nflog;
	struct trmd_limit *limit;
	struct trmd_loss *loss;
	struct trmd_filters *filters; /* the last that pagent told, or NULL */
	struct trmd_interfaces *interfaces;
	uint64_t generation; /* of the last packet */
	uv_timer_t look, settle, report;
	bool begun, ended, settling;
	uint64_t unsaid;  /* lines that the log did not take */
	uint64_t trouble; /* sum of what should not be, when it was told */
	char told[sizeof(((struct cs_err *)0)->text)];

	/* asking pagent, on another thread */
	uv_work_t work;
	bool asking;
	char socket[CS_PATH_MAX];
	struct trmd_filters *answer;
	int status;
	struct cs_err why;
};

static bool say(struct trmd_filter_log *f, const struct trmd_filter_message *m)
{
	char line[CS_LOG_LINE];

	cs_log_line(line, sizeof(line), CS_NOCTX, m->id, m->text);
	if (f->env.say(f->env.arg, m->severity, line))
		return true;
	f->unsaid++;
	return false;
}

/* When there is something new that should not be, and at the end, unless there was nothing. */
static void say_sums(struct trmd_filter_log *f, bool always)
{
	const struct trmd_nflog_stats *s = trmd_nflog_stats(f->nflog);
	uint64_t unknown = s->malformed + s->errors;
	uint64_t trouble = f->unsaid + s->lost + s->overruns + s->foreign + unknown;

	if (always ? !s->packets && !trouble : trouble == f->trouble)
		return;
	f->trouble = trouble;
	cs_log(CS_NOCTX, CSM_TR_PACKETS, (unsigned long long)s->packets,
	       (unsigned long long)trmd_limit_suppressed(f->limit), (unsigned long long)f->unsaid,
	       (unsigned long long)s->lost, (unsigned long long)s->overruns,
	       (unsigned long long)s->foreign, (unsigned long long)unknown);
}

/* ---- what pagent knows ---- */

static void do_ask(uv_work_t *work)
{
	struct trmd_filter_log *f = work->data;

	f->answer = NULL;
	f->status = trmd_filters_fetch(f->socket, ASK_MS, &f->answer, &f->why);
}

static bool on_lost(void *arg, const char *rule, bool outbound, uint64_t count)
{
	struct trmd_filter_message m;

	trmd_lost_message(rule, outbound, count, cs_wall_us(), &m);
	return say(arg, &m);
}

static void on_settle(uv_timer_t *timer)
{
	struct trmd_filter_log *f = timer->data;

	f->settling = false;
	trmd_loss_settle(f->loss, on_lost, f);
}

static void asked(uv_work_t *work, int status)
{
	struct trmd_filter_log *f = work->data;
	const char *why = "";

	f->asking = false;
	if (status < 0 || f->status < 0) {
		why = status < 0 ? uv_strerror(status) : f->why.text;
	} else if (f->ended) {
		trmd_filters_free(f->answer);
	} else {
		trmd_filters_free(f->filters);
		f->filters = f->answer;
		if (trmd_loss_counters(f->loss, f->filters, &f->why) == 0) {
			f->settling = true;
			uv_timer_start(&f->settle, on_settle, SETTLE_MS, 0);
		} else {
			why = f->why.text;
		}
	}
	if (*why && strcmp(why, f->told) != 0)
		cs_log(CS_NOCTX, CSM_TR_NO_FILTERS, why);
	snprintf(f->told, sizeof(f->told), "%s", why);
}

static void on_look(uv_timer_t *timer)
{
	struct trmd_filter_log *f = timer->data;

	if (f->asking || f->settling)
		return;
	trmd_loss_asked(f->loss);
	f->work.data = f;
	f->asking = uv_queue_work(f->loop, &f->work, do_ask, asked) == 0;
}

/* ---- packets ---- */

static bool on_suppressed(void *arg, const char *rule, bool outbound, uint64_t count)
{
	struct trmd_filter_message m;

	trmd_suppressed_message(rule, outbound, count, cs_wall_us(), &m);
	return say(arg, &m);
}

static void on_report(uv_timer_t *timer)
{
	struct trmd_filter_log *f = timer->data;
	int64_t wait = trmd_limit_report(f->limit, cs_mono_ms(), false, on_suppressed, f);

	say_sums(f, false);
	uv_timer_start(timer, on_report, (uint64_t)wait, 0);
}

static void on_packet(void *arg, const struct trmd_event *e)
{
	struct trmd_filter_log *f = arg;
	struct trmd_filter_facts facts = {.name = NULL};
	struct trmd_filter_message m;

	if (e->generation != f->generation && f->begun && !f->ended)
		uv_timer_start(&f->look, on_look, CHANGE_MS, LOOK_MS);
	f->generation = e->generation;
	if (trmd_limit_pass(f->limit, e, cs_mono_ms())) {
		trmd_facts(f->filters, f->interfaces, e, &facts);
		/* What has no address to tell of, or is not taken, is one of those that are lost.
		 */
		if (!trmd_filter_message(e, &facts, &m) || !say(f, &m))
			return;
	}
	trmd_loss_record(f->loss, e);
}

static void on_broken(void *arg, const struct cs_err *why)
{
	(void)arg;
	cs_log(CS_NOCTX, CSM_TR_NO_NFLOG, why->text);
}

/* ---- counts, from one run to the next ---- */

/* Counts are of one boot and of one stack: several may share the directory. */
static bool run_id(const struct trmd_filter_log *f, char id[RUN_ID])
{
	FILE *file = fopen(BOOT_ID, "re");
	char boot[64];
	bool ok = file && fscanf(file, "%63s", boot) == 1;

	if (file)
		fclose(file);
	if (ok)
		snprintf(id, RUN_ID, "%s %s", boot, f->env.stack);
	return ok;
}

static bool state_path(const struct trmd_filter_log *f, const char *tail, char path[CS_PATH_MAX])
{
	int n = snprintf(path, CS_PATH_MAX, "%s/" STATE "%s", f->env.directory, tail);

	return n > 0 && n < CS_PATH_MAX;
}

/* NULL with *why: what is there is no state, or is nobody's to read; without: there is none. */
static json_t *read_state(const char *path, struct cs_err *why)
{
	/* Not one that has to be waited for, nor what somebody lets us find by that name. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	json_error_t error;
	struct stat st;
	json_t *state = NULL;

	why->text[0] = '\0';
	if (fd < 0) {
		if (errno != ENOENT)
			cs_fail(why, CS_ESYS, "%s", strerror(errno));
		return NULL;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > STATE_MAX)
		cs_fail(why, CS_EPARSE, "it is not what was saved");
	else
		state = json_loadfd(fd, 0, &error);
	if (!state && !why->text[0])
		cs_fail(why, CS_EPARSE, "%.120s", error.text);
	close(fd);
	return state;
}

/*
 * The file is for one start: a trmd that ends without saying so leaves none, because what it had
 * told after the file was written would be told again as lost.  So one that stays is not used.
 */
static void load(struct trmd_filter_log *f)
{
	char path[CS_PATH_MAX], id[RUN_ID];
	struct cs_err why;
	json_t *state;

	if (!state_path(f, "", path))
		return;
	state = read_state(path, &why);
	if (unlink(path) < 0 && errno != ENOENT)
		cs_fail(&why, CS_ESYS, "it cannot be removed: %s", strerror(errno));
	else if (state && run_id(f, id) && trmd_loss_load(f->loss, state, id, &why) < 0 &&
		 why.code == CS_ENOTFOUND)
		why.text[0] = '\0';
	if (why.text[0])
		cs_log(CS_NOCTX, CSM_TR_NO_COUNTS, path, why.text);
	json_decref(state);
}

static int write_state(const char *path, const json_t *state)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640), rc;

	if (fd < 0)
		return -1;
	rc = json_dumpfd(state, fd, JSON_COMPACT);
	return close(fd) < 0 ? -1 : rc;
}

static void save(const struct trmd_filter_log *f)
{
	char path[CS_PATH_MAX], made[CS_PATH_MAX], id[RUN_ID];
	json_t *state = run_id(f, id) ? trmd_loss_save(f->loss, id) : NULL;
	bool kept = false;

	if (state && state_path(f, "", path) && state_path(f, ".new", made)) {
		unlink(made); /* of a kill */
		kept = write_state(made, state) == 0 && rename(made, path) == 0;
		if (!kept)
			unlink(made);
	}
	json_decref(state);
	if (!kept)
		cs_log(CS_NOCTX, CSM_TR_NO_COUNTS, f->env.directory, "they cannot be kept");
}

/* ---- the whole ---- */

int trmd_filter_log_open(uv_loop_t *loop, const struct trmd_filter_log_env *env,
			 struct trmd_filter_log **log, struct cs_err *err)
{
	static const struct trmd_nflog_ops ops = {.packet = on_packet, .failed = on_broken};
	const struct trmd_nflog_settings settings = trmd_nflog_defaults();
	struct trmd_filter_log *f = calloc(1, sizeof(*f));
	struct cs_err why;
	int rc;

	if (!f)
		return cs_fail(err, CS_ENOMEM, "no memory for the filters' log");
	f->env = *env;
	f->loop = loop;
	f->loss = trmd_loss_new();
	f->interfaces = trmd_interfaces_new();
	rc = f->loss && f->interfaces ? trmd_limit_new(&env->limits, &f->limit, err)
				      : cs_fail(err, CS_ENOMEM, "no memory for the filters' log");
	if (rc == 0)
		rc = cs_run_path(env->stack, "pagent.sock", f->socket, err);
	if (rc < 0) {
		trmd_filter_log_free(f);
		return rc;
	}
	if (trmd_nflog_open(loop, &settings, &ops, f, &f->nflog, &why) < 0)
		cs_log(CS_NOCTX, CSM_TR_NO_NFLOG, why.text);
	*log = f;
	return 0;
}

void trmd_filter_log_begin(struct trmd_filter_log *f)
{
	if (!f->nflog)
		return;
	load(f);
	uv_timer_init(f->loop, &f->look);
	uv_timer_init(f->loop, &f->settle);
	uv_timer_init(f->loop, &f->report);
	f->look.data = f->settle.data = f->report.data = f;
	f->begun = true;
	uv_timer_start(&f->look, on_look, 0, LOOK_MS);
	on_report(&f->report);
}

void trmd_filter_log_end(struct trmd_filter_log *f)
{
	f->ended = true;
	if (f->begun) {
		trmd_limit_report(f->limit, cs_mono_ms(), true, on_suppressed, f);
		say_sums(f, true);
	}
	trmd_nflog_close(f->nflog);
	if (!f->begun)
		return;
	save(f);
	uv_close((uv_handle_t *)&f->look, NULL);
	uv_close((uv_handle_t *)&f->settle, NULL);
	uv_close((uv_handle_t *)&f->report, NULL);
}

void trmd_filter_log_free(struct trmd_filter_log *f)
{
	if (!f)
		return;
	trmd_limit_free(f->limit);
	trmd_loss_free(f->loss);
	trmd_filters_free(f->filters);
	trmd_interfaces_free(f->interfaces);
	free(f);
}
