/*
 * The worker: an event loop around the engine.  Everything runs on the loop's thread, except
 * public-key jobs, the reading of a policy and the writing of the database.
 */
#include <errno.h>
#include <fcntl.h>
#include <gcrypt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "iked/cert_client.h"
#include "iked/iked.h"

#define ARENA_BYTES   (192u << 20) /* secrets; it grows as far as this */
#define RESYNC_MS     1000         /* until a dump that failed is tried again */
#define STOP_DELAY_MS 50           /* so that who asked for the end gets the answer */

struct worker {
	const struct iked_options *o;
	struct iked_identity id;
	struct pol_ike_config config;
	uv_loop_t loop;
	struct xf_kernel *kernel;
	struct xf_events *events;
	struct ike_store *store;
	struct ike_sealed *sealed; /* NULL: nothing is kept */
	bool settled;              /* what the worker before left */
	struct ike_pk_pool *pk;
	struct ike_cert_client *certs;
	struct ike_cert_job certs_probe; /* asked of each new helper */
	bool certs_probing;
	struct ike_engine *engine;
	struct iked_udp *udp[3]; /* IPv4, IPv6, NAT traversal; NULL: it is not there */
	struct iked_policy *policy;
	struct iked_nmi *nmi;
	struct iked_moving *moving; /* NULL: no address moves */
	uv_poll_t events_poll, parent_poll;
	uv_timer_t deadline, stop_delay, resync;
	uv_prepare_t prepare;
	uv_signal_t term, hup;
	uint64_t armed; /* the deadline that the timer stands for */
	bool stopping, keep;
	bool leave; /* what lives on does so over an end of the parent, too */
};

/* ---- what the engine asks for ---- */

static void op_send(void *ctx, const struct cs_endpoint *local, const struct cs_endpoint *remote,
		    const uint8_t *data, size_t len)
{
	struct worker *w = ctx;
	struct iked_udp *u =
		w->udp[local->port == w->o->nat_port ? 2 : remote->addr.family == AF_INET6];

	if (u)
		iked_udp_send(u, local, remote, data, len);
}

static void op_random(void *ctx, void *buf, size_t len)
{
	(void)ctx;
	gcry_randomize(buf, len, GCRY_STRONG_RANDOM);
}

static enum ike_done op_pk(void *ctx, struct ike_pk_job *job)
{
	struct worker *w = ctx;

	return ike_pk_pool_submit(w->pk, job);
}

static enum ike_done op_cert(void *ctx, struct ike_cert_job *job)
{
	struct worker *w = ctx;

	return ike_cert_client_submit(w->certs, job);
}

static int op_sa_spi(void *ctx, const struct cs_addr *src, const struct cs_addr *dst, uint8_t proto,
		     enum xf_spi_kind kind, uint32_t reqid, enum xf_mode mode, uint32_t *spi,
		     struct cs_err *err)
{
	struct worker *w = ctx;

	return xf_sa_spi(w->kernel, src, dst, proto, kind, reqid, mode, spi, err);
}

static int op_sa_update(void *ctx, const struct xf_sa *sa, struct cs_err *err)
{
	struct worker *w = ctx;

	return xf_sa_update(w->kernel, sa, err);
}

static int op_sa_add(void *ctx, const struct xf_sa *sa, struct cs_err *err)
{
	struct worker *w = ctx;

	return xf_sa_add(w->kernel, sa, err);
}

static int op_sa_delete(void *ctx, const struct xf_said *id, struct cs_err *err)
{
	struct worker *w = ctx;

	return xf_sa_delete(w->kernel, id, err);
}

static int op_sa_counters(void *ctx, const struct xf_said *id, struct xf_counters *c,
			  struct cs_err *err)
{
	struct worker *w = ctx;

	return xf_sa_counters(w->kernel, id, c, err);
}

static int op_sa_move(void *ctx, const struct xf_move *m, struct cs_err *err)
{
	struct worker *w = ctx;

	return xf_sa_move(w->kernel, m, err);
}

static int op_policy_add(void *ctx, const struct xf_policy *p, struct cs_err *err)
{
	struct worker *w = ctx;

	return xf_policy_add(w->kernel, p, err);
}

static int op_policy_delete(void *ctx, const struct xf_policy *p, struct cs_err *err)
{
	struct worker *w = ctx;

	return xf_policy_delete(w->kernel, p, err);
}

static void op_larval_clear(void *ctx, const struct xf_acquire *a)
{
	struct worker *w = ctx;
	struct cs_err err;

	/* One that is gone already is what was wanted. */
	xf_larval_clear(w->kernel, a, &err);
}

static enum ike_done op_record(void *ctx, const struct ike_record *rec, uint64_t *tx)
{
	struct worker *w = ctx;

	*tx = ike_store_record(w->store, rec);
	iked_moving_record(w->moving, rec);
	return IKE_LATER;
}

static void op_settled(void *ctx, uint64_t ref)
{
	struct worker *w = ctx;

	iked_moving_settled(w->moving, ref);
}

static void on_renewed(void *arg)
{
	struct worker *w = arg;

	if (!w->stopping)
		ike_engine_cache_again(w->engine, iked_now());
}

static void op_p1_keep(void *ctx, const struct ike_p1_kept *kept)
{
	struct worker *w = ctx;

	if (w->sealed)
		ike_sealed_keep(w->sealed, kept);
}

static void op_p1_forget(void *ctx, uint32_t tunnel, uint32_t generation)
{
	struct worker *w = ctx;

	if (w->sealed)
		ike_sealed_forget(w->sealed, tunnel, generation);
}

static void op_quick_keep(void *ctx, const struct ike_quick_kept *kept)
{
	struct worker *w = ctx;

	if (w->sealed)
		ike_sealed_keep_quick(w->sealed, kept);
}

static void op_quick_forget(void *ctx, uint32_t tunnel, uint32_t generation)
{
	struct worker *w = ctx;

	if (w->sealed)
		ike_sealed_forget_quick(w->sealed, tunnel, generation);
}

static void op_clock(void *ctx, int64_t offset)
{
	struct worker *w = ctx;

	/* What is left from before is by the clock as it was, until it is settled. */
	if (w->sealed && w->settled)
		ike_sealed_clock(w->sealed, offset);
}

static void op_log(void *ctx, struct cs_logctx lc, const char *id, enum cs_severity severity,
		   const char *text)
{
	(void)ctx;
	cs_log_text(lc, id, severity, text);
}

static void op_event(void *ctx, const struct ike_event *ev)
{
	struct worker *w = ctx;

	if (w->nmi)
		iked_nmi_event(w->nmi, ev);
}

static const struct ike_ops ops = {
	.send = op_send,
	.random = op_random,
	.pk = op_pk,
	.cert = op_cert,
	.sa_spi = op_sa_spi,
	.sa_update = op_sa_update,
	.sa_add = op_sa_add,
	.sa_delete = op_sa_delete,
	.sa_counters = op_sa_counters,
	.sa_move = op_sa_move,
	.policy_add = op_policy_add,
	.policy_delete = op_policy_delete,
	.larval_clear = op_larval_clear,
	.record = op_record,
	.p1_keep = op_p1_keep,
	.p1_forget = op_p1_forget,
	.settled = op_settled,
	.quick_keep = op_quick_keep,
	.quick_forget = op_quick_forget,
	.clock = op_clock,
	.log = op_log,
	.event = op_event,
};

/* ---- what the engine is told ---- */

static void on_datagram(void *arg, const struct cs_endpoint *local,
			const struct cs_endpoint *remote, const uint8_t *data, size_t len)
{
	struct worker *w = arg;

	if (!w->stopping)
		ike_engine_receive(w->engine, local, remote, data, len, iked_now());
}

static void on_pk(void *arg, struct ike_pk_job *job)
{
	struct worker *w = arg;

	ike_engine_pk_done(w->engine, job, iked_now());
}

static void on_committed(void *arg, uint64_t tx, int status)
{
	struct worker *w = arg;

	ike_engine_committed(w->engine, tx, status, iked_now());
}

static void on_acquire(void *arg, const struct xf_acquire *a)
{
	struct worker *w = arg;

	if (!w->stopping)
		ike_engine_acquire(w->engine, a, iked_now());
}

static void on_expire(void *arg, const struct xf_expire *x)
{
	struct worker *w = arg;

	if (!w->stopping)
		ike_engine_expire(w->engine, x, iked_now());
}

static void on_mapping(void *arg, const struct xf_mapping *m)
{
	struct worker *w = arg;

	if (!w->stopping)
		ike_engine_mapping(w->engine, m, iked_now());
}

struct resync {
	struct ike_engine *engine;
	unsigned n;
};

static int on_resync_sa(void *arg, const struct xf_sa *sa, const struct xf_counters *c)
{
	struct resync *r = arg;

	r->n++;
	ike_engine_resync_sa(r->engine, sa, c);
	return 0;
}

static void on_resync(uv_timer_t *timer);

/*
 * A dump that fails must not end in "gone": the engine would take every SA that was not shown for
 * lost.  The number of SAs, or negative.
 */
static int resync(struct worker *w)
{
	struct resync r = {w->engine, 0};
	struct cs_err err;

	ike_engine_resync_begin(w->engine);
	if (xf_sa_dump(w->kernel, on_resync_sa, &r, &err) < 0) {
		cs_log(CS_NOCTX, CSM_RESYNC_FAILED, err.text);
		uv_timer_start(&w->resync, on_resync, RESYNC_MS, 0);
		return -1;
	}
	ike_engine_resync_end(w->engine, iked_now());
	return (int)r.n;
}

/* The kernel had no room for its events. */
static void on_overrun(void *arg)
{
	struct worker *w = arg;
	int n = w->stopping ? -1 : resync(w);

	if (n >= 0)
		cs_log(CS_NOCTX, CSM_RESYNC, (unsigned)n);
}

static void on_resync(uv_timer_t *timer)
{
	on_overrun(timer->data);
}

static void on_kernel_event(uv_poll_t *poll, int status, int events)
{
	static const struct xf_event_ops event_ops = {
		.acquire = on_acquire,
		.expire = on_expire,
		.mapping = on_mapping,
		.overrun = on_overrun,
	};
	struct worker *w = poll->data;
	struct cs_err err;

	(void)status;
	(void)events;
	if (xf_events_read(w->events, &event_ops, w, &err) < 0)
		cs_log(CS_NOCTX, CSM_KERNEL_EVENTS, err.text);
}

/* ---- timers: the deadline is looked up once a turn of the loop, before it waits ---- */

static void on_deadline(uv_timer_t *timer)
{
	struct worker *w = timer->data;

	w->armed = UINT64_MAX;
	ike_engine_tick(w->engine, iked_now());
}

static void on_prepare(uv_prepare_t *prepare)
{
	struct worker *w = prepare->data;
	uint64_t next = w->stopping ? UINT64_MAX : ike_engine_next(w->engine);
	uint64_t now;

	if (next == w->armed)
		return;
	w->armed = next;
	if (next == UINT64_MAX) {
		uv_timer_stop(&w->deadline);
		return;
	}
	now = iked_now().mono;
	uv_update_time(&w->loop);
	uv_timer_start(&w->deadline, on_deadline, next > now ? next - now : 0, 0);
}

/* ---- policy ---- */

static void on_loaded(void *arg, uint64_t round, int status, const struct cs_err *err)
{
	struct worker *w = arg;

	iked_moving_policy(w->moving, iked_policy_digest(w->policy));
	if (w->nmi)
		iked_nmi_loaded(w->nmi, round, status, err);
}

static int open_policy(struct worker *w, struct cs_err *err)
{
	const struct iked_policy_env env = {
		.loop = &w->loop,
		.stack = w->o->stack,
		.engine = w->engine,
		.pk = w->pk,
		.fips140 = w->config.fips140,
		.wait = w->config.pagent_wait,
		.loaded = on_loaded,
		.arg = w,
	};

	return iked_policy_new(&env, &w->policy, err);
}

static void on_hup(uv_signal_t *handle, int signum)
{
	struct worker *w = handle->data;

	(void)signum;
	iked_policy_reload(w->policy);
}

/* ---- the end ---- */

static void close_handles(struct worker *w)
{
	uv_handle_t *handles[] = {
		(uv_handle_t *)&w->events_poll, (uv_handle_t *)&w->parent_poll,
		(uv_handle_t *)&w->deadline,    (uv_handle_t *)&w->stop_delay,
		(uv_handle_t *)&w->prepare,     (uv_handle_t *)&w->term,
		(uv_handle_t *)&w->hup,         (uv_handle_t *)&w->resync,
	};

	for (unsigned i = 0; i < sizeof(handles) / sizeof(*handles); i++)
		uv_close(handles[i], NULL);
}

/* No public-key job is under way any more: the engine may end, and then what it stands on. */
static void on_idle(void *arg)
{
	struct worker *w = arg;

	if (w->nmi)
		iked_nmi_stop(w->nmi);
	w->nmi = NULL;
	ike_cert_client_stop(w->certs);
	/* What is not ended here the next worker finds as after a kill. */
	if (!w->keep || !w->leave)
		ike_engine_shutdown(w->engine, !w->keep, w->keep, iked_now());
	ike_store_close(w->store);
	for (unsigned i = 0; i < 3; i++)
		if (w->udp[i])
			iked_udp_stop(w->udp[i]);
	iked_policy_stop(w->policy);
	iked_moving_stop(w->moving);
	close_handles(w);
}

static void on_stop(uv_timer_t *timer)
{
	struct worker *w = timer->data;

	ike_pk_pool_stop(w->pk, on_idle, w);
}

static void stop(void *arg, bool keep)
{
	struct worker *w = arg;

	if (w->stopping)
		return;
	w->stopping = true;
	w->keep = keep;
	cs_log(CS_NOCTX, CSM_STOPPING,
	       !keep      ? "its SAs end with it"
	       : w->leave ? "SAs stay as they are; a restart finds phase 1, too"
			  : "SAs stay in the kernel until they expire");
	uv_timer_start(&w->stop_delay, on_stop, STOP_DELAY_MS, 0);
}

static void on_term(uv_signal_t *handle, int signum)
{
	(void)signum;
	stop(handle->data, true);
}

/* ---- the parent ---- */

/* A byte, and the descriptor that came along (-1: none); what recvmsg says. */
static ssize_t hear(char *what, int *fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {what, 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.space,
			     .msg_controllen = sizeof(control.space)};
	ssize_t n = recvmsg(IKED_FD_PARENT, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;

	*fd = -1;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(c), sizeof(int));
	return n;
}

/* The first question to a helper, so that the log says whether it answers. */
static void on_probe(struct worker *w, struct ike_cert_job *job)
{
	struct ike_cert_stats stats;

	ike_cert_client_stats(w->certs, &stats);
	w->certs_probing = false;
	/* It has told itself which labels are missing, or that there is no keyring. */
	if (job->status == 0 || (job->status == CS_ENOTFOUND && stats.connected))
		cs_log(CS_NOCTX, CSM_CERTS_READY);
	else if (job->status != CS_ENOTFOUND && !w->stopping)
		cs_log(CS_NOCTX, CSM_CERTS_SILENT, job->err.text);
	ike_cert_job_clear(job);
}

static void on_cert(void *arg, struct ike_cert_job *job)
{
	struct worker *w = arg;

	if (job == &w->certs_probe)
		on_probe(w, job);
	else
		ike_engine_cert_done(w->engine, job, iked_now());
}

static void new_helper(struct worker *w, int fd)
{
	struct cs_err err;

	if (ike_cert_client_connect(w->certs, fd, &err) < 0) {
		cs_log(CS_NOCTX, CSM_CERTS_SILENT, err.text);
		return;
	}
	ike_engine_keyring(w->engine, true);
	if (w->certs_probing)
		return;
	w->certs_probe = (struct ike_cert_job){.kind = IKE_CERT_CAS, .now = iked_now().wall};
	w->certs_probing = true;
	if (ike_cert_client_submit(w->certs, &w->certs_probe) == IKE_DONE)
		on_probe(w, &w->certs_probe);
}

/* It tells of helpers; at its end, so is ours. */
static void on_parent(uv_poll_t *poll, int status, int events)
{
	struct worker *w = poll->data;
	ssize_t n;
	char what;
	int fd;

	(void)status;
	(void)events;
	n = hear(&what, &fd);
	if (n > 0 && what == IKED_SAYS_CERTS && fd >= 0)
		new_helper(w, fd);
	else if (n > 0 && what == IKED_SAYS_SHARED && fd >= 0 && w->moving)
		iked_moving_helper(w->moving, fd);
	else if (fd >= 0)
		close(fd);
	if (n > 0 && what == IKED_SAYS_NO_SHARED)
		iked_moving_absent(w->moving);
	if (n > 0 && what == IKED_SAYS_LEAVE)
		w->leave = true;
	if (n > 0 && what == IKED_SAYS_NO_CERTS) {
		ike_cert_client_absent(w->certs, "there is no keyring");
		ike_engine_keyring(w->engine, false);
	}
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	uv_poll_stop(poll);
	stop(w, true);
}

/* ---- the start ---- */

static void on_diag(void *arg, const struct pol_diag *d)
{
	(void)arg;
	cs_log(CS_NOCTX, CSM_CONFIG, d->file, d->line, d->statement, d->attribute, d->text);
}

/* IkeSyslogLevel is a sum of bits: 0 nothing but errors, 1 what happens, more is detail. */
static void set_log_level(unsigned level)
{
	cs_log_level(level == 0 ? CS_ERROR : level == 1 ? CS_INFO : CS_DEBUG);
}

static int prepare_process(struct worker *w, struct cs_err *err)
{
	const struct iked_options *o = w->o;
	char threads[12], path[CS_PATH_MAX];
	int status;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN); /* a terminal sends it to all; the parent decides */
	umask(0027);
	status = pol_ike_config(o->config, !o->config_given, on_diag, w, &w->config, err);
	if (status < 0)
		return status;
	set_log_level(w->config.log_level);
	if (!w->config.n_vipas)
		iked_lost_esp_none();
	status = ike_crypto_init(w->config.fips140, err);
	if (status < 0) {
		if (w->config.fips140)
			cs_log(CS_NOCTX, CSM_IKE_NO_FIPS, err->text);
		return status;
	}
	status = ike_arena_init(ARENA_BYTES, err);
	if (status == 0)
		status = cs_run_path(o->stack, "iked.sock", path, err);
	if (status == 0)
		status = iked_nmi_open(&w->loop, path, &w->nmi, err);
	if (status == 0)
		status = iked_identity_find(o->user, &w->id, err);
	if (status == 0)
		status = iked_privilege_drop(&w->id, err);
	if (status == CS_EUNSUPPORTED) {
		cs_log(CS_NOCTX, CSM_NO_DROP, err->text);
		strcpy(w->id.name, "root");
		status = 0;
	}
	/* Read by libuv with the first job. */
	snprintf(threads, sizeof(threads), "%u", uv_available_parallelism());
	setenv("UV_THREADPOOL_SIZE", threads, 0);
	return status;
}

static int open_kernel(struct worker *w, struct cs_err *err)
{
	struct xf_marking marking = {XF_MARK_SHIFT_DEFAULT};
	struct xf_abilities abilities;
	int status = xf_open(&marking, &w->kernel, err);

	if (status < 0)
		return status;
	xf_probe(w->kernel, &abilities);
	if (!abilities.xfrm || !abilities.esp4 || !abilities.esp6)
		cs_log(CS_NOCTX, CSM_KERNEL_LACKS, abilities.missing);
	return xf_events_open(&marking, false, &w->events, err);
}

static int open_engine(struct worker *w, struct cs_err *err)
{
	struct ike_settings settings = {
		.retries = w->config.retries,
		.init_wait_ms = w->config.init_wait * 1000u,
		.port = w->o->port,
		.nat_port = w->o->nat_port,
		.vipas = w->config.vipas,
		.n_vipas = w->config.n_vipas,
		.marking = {XF_MARK_SHIFT_DEFAULT},
	};
	char path[CS_PATH_MAX];
	int status = cs_state_path(w->o->stack, IKED_STATE "/iked.db", path, err);

	if (status == 0)
		status = ike_store_open(&w->loop, path, w->o->stuck, on_committed, w, &w->store,
					err);
	if (status == 0)
		ike_store_on_renewed(w->store, on_renewed);
	if (status == 0)
		status = ike_store_last_tunnel(w->store, &settings.last_tunnel, err);
	if (status == 0)
		status = ike_pk_pool_new(&w->loop, on_pk, w, &w->pk, err);
	if (status == 0)
		status = ike_cert_client_new(&w->loop, on_cert, w, &w->certs, err);
	if (status == 0)
		status = ike_engine_new(&settings, &ops, w, &w->engine, err);
	return status;
}

static int open_ports(struct worker *w, struct cs_err *err)
{
	const bool moving = w->config.n_vipas > 0;
	const struct iked_udp_port ports[3] = {
		{IKED_FD_IPV4, AF_INET, w->o->port, false, moving},
		{IKED_FD_IPV6, AF_INET6, w->o->port, false, moving},
		{IKED_FD_NAT, AF_INET, w->o->nat_port, true, moving},
	};

	for (unsigned i = 0; i < 3; i++) {
		int status;

		if (fcntl(ports[i].fd, F_GETFD) < 0 && ports[i].family == AF_INET6)
			continue;
		status = iked_udp_start(&w->loop, &ports[i], on_datagram, w, &w->udp[i], err);
		if (status < 0)
			return status;
	}
	return 0;
}

static int open_moving(struct worker *w, struct cs_err *err)
{
	const struct iked_moving_env env = {
		.loop = &w->loop,
		.engine = w->engine,
		.kernel = w->kernel,
		.config = &w->config,
	};

	return iked_moving_new(&env, &w->moving, err);
}

static int start_handles(struct worker *w, struct cs_err *err)
{
	int rc = uv_poll_init(&w->loop, &w->events_poll, xf_events_fd(w->events));

	if (rc == 0)
		rc = uv_poll_init(&w->loop, &w->parent_poll, IKED_FD_PARENT);
	if (rc < 0)
		return cs_fail(err, CS_ESYS, "cannot watch a descriptor: %s", uv_strerror(rc));
	uv_timer_init(&w->loop, &w->deadline);
	uv_timer_init(&w->loop, &w->stop_delay);
	uv_timer_init(&w->loop, &w->resync);
	uv_prepare_init(&w->loop, &w->prepare);
	uv_signal_init(&w->loop, &w->term);
	uv_signal_init(&w->loop, &w->hup);
	w->events_poll.data = w->parent_poll.data = w->deadline.data = w;
	w->resync.data = w->stop_delay.data = w->prepare.data = w->term.data = w->hup.data = w;
	w->armed = UINT64_MAX;
	uv_poll_start(&w->events_poll, UV_READABLE, on_kernel_event);
	uv_poll_start(&w->parent_poll, UV_READABLE | UV_DISCONNECT, on_parent);
	uv_prepare_start(&w->prepare, on_prepare);
	uv_signal_start(&w->term, on_term, SIGTERM);
	uv_signal_start(&w->hup, on_hup, SIGHUP);
	return 0;
}

static void attach_nmi(struct worker *w)
{
	const struct iked_nmi_env env = {
		.loop = &w->loop,
		.engine = w->engine,
		.kernel = w->kernel,
		.store = w->store,
		.pk = w->pk,
		.udp = w->udp,
		.n_udp = 3,
		.policy = w->policy,
		.shared = iked_moving_shared(w->moving),
		.stop = stop,
		.arg = w,
	};

	iked_nmi_attach(w->nmi, &env);
}

static int count_kept(void *arg, const struct ike_p1_kept *kept)
{
	(void)kept;
	++*(unsigned *)arg;
	return 0;
}

static void count_cached(void *arg, const struct ike_p2_info *info, uint64_t intent)
{
	(void)info;
	(void)intent;
	++*(unsigned *)arg;
}

/*
 * Nothing of the time before lives on without its policy.  When that is there but cannot be read
 * now, the worker ends, and all stays as it is for the one that finds it readable.
 */
static int policy_of_the_rest(struct worker *w, struct cs_err *err)
{
	struct pol_store *store = NULL;
	struct pol_edition edition;
	uint64_t generation = 0;
	char dir[CS_PATH_MAX];
	unsigned rules, left = 0;
	int64_t installed;
	struct cs_err unread;
	int status;

	iked_policy_in_force(w->policy, &generation, &installed, &rules);
	if (generation)
		return 0;
	if (w->sealed)
		ike_sealed_each(w->sealed, count_kept, &left);
	if (ike_store_cached(w->store, count_cached, &left, &unread) < 0 || !left)
		return 0;
	status = cs_state_path(w->o->stack, NULL, dir, err);
	if (status == 0)
		status = pol_store_open(dir, false, &store, err);
	if (status == 0)
		status = pol_store_edition(store, &edition, err);
	pol_store_close(store);
	if (status == 0)
		iked_policy_first(w->policy); /* readable by now, or refused again */
	return status == CS_ENOTFOUND ? 0 : status;
}

static int settle(struct worker *w, struct cs_err *err)
{
	struct ike_now now = iked_now();
	int64_t offset = now.wall - (int64_t)(now.mono / 1000);
	int64_t set = w->sealed ? ike_sealed_clock_set(w->sealed, offset) : 0;
	int status = iked_reconcile(w->kernel, w->store, w->sealed, set, w->engine, now, err);

	w->settled = status == 0;
	if (w->settled)
		op_clock(w, offset);
	return status;
}

static int start(struct worker *w, struct cs_err *err)
{
	int status = prepare_process(w, err);
	struct cs_err filter;

	if (status == 0)
		status = open_kernel(w, err);
	if (status == 0)
		status = open_engine(w, err);
	if (status == 0)
		status = open_policy(w, err);
	if (status == 0)
		status = open_moving(w, err);
	if (status == 0)
		status = start_handles(w, err);
	if (status == 0)
		status = open_ports(w, err);
	if (status < 0)
		return status;
	if (ike_sealed_map(IKED_FD_SEALED, &w->sealed, err) < 0)
		cs_log(CS_NOCTX, CSM_NOT_KEPT, err->text);
	iked_policy_first(w->policy);
	status = policy_of_the_rest(w, err);
	if (status < 0)
		return status;
	iked_moving_policy(w->moving, iked_policy_digest(w->policy));
	/* Then packets may have asked a worker before us, which had no time to answer.  What could
	 * not be settled stays as it is for the next start. */
	if (settle(w, err) < 0)
		cs_log(CS_NOCTX, CSM_SETTLE_FAILED, err->text);
	else
		resync(w);
	iked_moving_restored(w->moving);
	attach_nmi(w);
	if (iked_filter_calls(&filter) < 0)
		cs_log(CS_NOCTX, CSM_NO_FILTER, filter.text);
	return 0;
}

static void say_ready(const struct worker *w)
{
	static const char word = IKED_SAYS_READY;

	cs_log(CS_NOCTX, CSM_IKE_READY, (int)getpid(), w->id.name);
	if (send(IKED_FD_PARENT, &word, 1, MSG_NOSIGNAL) < 0)
		cs_log(CS_NOCTX, CSM_IKE_NO_START, strerror(errno));
}

enum cs_exit iked_worker(const struct iked_options *o)
{
	struct worker w = {.o = o};
	struct cs_err err;
	int type, rc;
	socklen_t len = sizeof(type);

	if (getsockopt(IKED_FD_PARENT, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    type != SOCK_SEQPACKET) {
		fprintf(stderr, "iked: --worker is how iked starts itself, not for people\n");
		return CS_EXIT_USAGE;
	}
	for (int fd = IKED_FD_IPV4; fd < IKED_FD_FIRST_FREE; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	cs_log_open("iked", o->foreground);
	rc = uv_loop_init(&w.loop);
	if (rc < 0) {
		cs_log(CS_NOCTX, CSM_IKE_NO_START, uv_strerror(rc));
		return CS_EXIT_FAILED;
	}
	if (start(&w, &err) < 0) {
		/* The process ends here, and with it all that was opened. Records that are queued
		 * are written first. */
		cs_log(CS_NOCTX, CSM_IKE_NO_START, err.text);
		if (w.store)
			ike_store_close(w.store);
		return CS_EXIT_FAILED;
	}
	say_ready(&w);
	uv_run(&w.loop, UV_RUN_DEFAULT);
	ike_engine_free(w.engine);
	ike_sealed_unmap(w.sealed);
	ike_pk_pool_free(w.pk);
	iked_policy_free(w.policy);
	iked_moving_free(w.moving);
	ike_cert_client_free(w.certs);
	xf_events_close(w.events);
	xf_close(w.kernel);
	uv_loop_close(&w.loop);
	return CS_EXIT_OK;
}
