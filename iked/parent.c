/*
 * The privileged parent.  It holds the ports, the pid file and the memory in which the worker keeps
 * its phase 1 SAs, starts the worker and starts it again when it dies, and its helpers
 * (parent_helper.c); it reads nothing that comes from outside.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/netns_lock.h"
#include "iked/iked.h"

#define STABLE_MS      10000 /* a worker that lived so long is no reason to wait */
#define BACKOFF_MIN_MS 250
#define BACKOFF_MAX_MS 30000
#define STOP_MS        8000
#define EARLY_DEATHS   2
#define N_KEPT_OPEN    7 /* descriptors that a worker gets */
/* Names in systemd's store. */
#define KEPT_IPV4   "ipv4"
#define KEPT_IPV6   "ipv6"
#define KEPT_NAT    "nat"
#define KEPT_SEALED "phase1"

enum { CERTS, SHARED, N_HELPERS };

#define LOCKED_MEMORY (768u << 20) /* the worker's secrets are locked into memory */

struct parent {
	const struct iked_options *o;
	int ports[3]; /* IPv4, IPv6 or -1, NAT traversal */
	int esp[2];   /* raw, IPv4 and IPv6, or -1 */
	int sealed;   /* the worker's phase 1 SAs, for the next worker; never mapped here */
	int signals, link;
	int lock; /* of the network namespace: a worker that starts removes all of iked's SAs */
	sigset_t old_mask;
	pid_t worker;          /* 0: none now */
	bool was_ready, ready; /* any worker; this one */
	bool stopping, worker_stopped;
	bool kept; /* ports and sealed go to the next parent */
	uint64_t started, restart_at, kill_at;
	unsigned backoff_ms;
	unsigned early_deaths; /* workers in a row that crashed before they were ready */
	enum cs_exit exit;
	struct iked_helper helpers[N_HELPERS];
};

static uint64_t mono_ms(void)
{
	return (uint64_t)cs_mono_ms();
}

static void mark_ready(struct parent *p)
{
	p->was_ready = p->ready = true;
	p->early_deaths = 0;
	cs_daemon_ready();
}

/* ---- the worker ---- */

/* As much as may be had: without the right to more it is what the starter's limit gives. */
static void allow_locked_memory(void)
{
	struct rlimit limit, more = {LOCKED_MEMORY, LOCKED_MEMORY};

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur >= LOCKED_MEMORY ||
	    setrlimit(RLIMIT_MEMLOCK, &more) == 0)
		return;
	limit.rlim_cur = limit.rlim_max < LOCKED_MEMORY ? limit.rlim_max : LOCKED_MEMORY;
	setrlimit(RLIMIT_MEMLOCK, &limit);
}

/* In the child. Moves what the worker needs to its fixed places; what else was open is closed. */
static void become_worker(const struct parent *p, int link)
{
	const struct iked_options *o = p->o;
	const int from[N_KEPT_OPEN] = {p->ports[0], p->ports[1], link,     p->sealed,
				       p->ports[2], p->esp[0],   p->esp[1]};
	const int to[N_KEPT_OPEN] = {IKED_FD_IPV4, IKED_FD_IPV6, IKED_FD_PARENT, IKED_FD_SEALED,
				     IKED_FD_NAT,  IKED_FD_ESP4, IKED_FD_ESP6};
	char port[8], nat_port[8], *argv[18];
	int high[N_KEPT_OPEN], n = 0;

	/* First out of the way of the fixed numbers, then onto them. */
	for (int i = 0; i < N_KEPT_OPEN; i++)
		high[i] = from[i] < 0 ? -1 : fcntl(from[i], F_DUPFD_CLOEXEC, 64);
	for (int i = 0; i < N_KEPT_OPEN; i++) {
		close(to[i]);
		if (from[i] >= 0 && (high[i] < 0 || dup2(high[i], to[i]) < 0))
			_exit(CS_EXIT_FAILED);
	}
	if (close_range(IKED_FD_FIRST_FREE, ~0u, 0) < 0)
		_exit(CS_EXIT_FAILED);
	sigprocmask(SIG_SETMASK, &p->old_mask, NULL);
	allow_locked_memory();
	unsetenv("NOTIFY_SOCKET");
	unsetenv("LISTEN_FDS");
	snprintf(port, sizeof(port), "%u", o->port);
	snprintf(nat_port, sizeof(nat_port), "%u", o->nat_port);
	argv[n++] = (char *)"iked";
	argv[n++] = (char *)"--worker";
	argv[n++] = (char *)"-p";
	argv[n++] = (char *)o->stack;
	if (o->config_given) {
		argv[n++] = (char *)"-c";
		argv[n++] = (char *)o->config;
	}
	if (o->foreground)
		argv[n++] = (char *)"-f";
	argv[n++] = (char *)"--port";
	argv[n++] = port;
	argv[n++] = (char *)"--nat-port";
	argv[n++] = nat_port;
	argv[n++] = (char *)"--store-stuck";
	argv[n++] = (char *)o->store_stuck;
	if (o->user) {
		argv[n++] = (char *)"--user";
		argv[n++] = (char *)o->user;
	}
	argv[n] = NULL;
	/* Our own file even when another version was installed over it meanwhile. */
	execv("/proc/self/exe", argv);
	_exit(CS_EXIT_FAILED);
}

static int start_worker(struct parent *p, struct cs_err *err)
{
	static const char leave = IKED_SAYS_LEAVE;
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return cs_fail_errno(err, "cannot make a socket pair");
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		become_worker(p, pair[1]);
	}
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return cs_fail_errno(err, "cannot fork");
	}
	p->link = pair[0];
	p->worker = pid;
	p->ready = false;
	p->started = mono_ms();
	p->restart_at = 0;
	if (p->kept)
		(void)!send(p->link, &leave, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	for (unsigned i = 0; i < N_HELPERS; i++)
		iked_helper_worker_began(&p->helpers[i], p->started);
	return 0;
}

static void stop_worker(struct parent *p)
{
	if (!p->stopping)
		cs_daemon_stopping();
	p->stopping = true;
	if (p->worker) {
		kill(p->worker, SIGTERM);
		if (!p->kill_at)
			p->kill_at = mono_ms() + STOP_MS;
	}
}

/* What a worker cannot even start with must not end all those to come. */
static void renew_sealed(struct parent *p)
{
	struct cs_err err;
	int fd;

	cs_log(CS_NOCTX, CSM_NOT_KEPT,
	       "workers crash before they are ready, what was kept is dropped");
	if (ike_sealed_create(&fd, &err) < 0) {
		cs_log(CS_NOCTX, CSM_NOT_KEPT, err.text);
		return;
	}
	close(p->sealed);
	p->sealed = fd;
	cs_daemon_keep_no_more(KEPT_SEALED);
	p->kept = p->kept && cs_daemon_keep(KEPT_SEALED, fd);
}

/* Not killed, and not an exit that says that something else is in the way. */
static bool crashed(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL;
}

static void worker_ended(struct parent *p, pid_t pid, int status)
{
	bool stable = mono_ms() - p->started >= STABLE_MS;

	if (p->link >= 0)
		close(p->link);
	p->link = -1;
	p->worker = 0;
	p->kill_at = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == CS_EXIT_OK) {
		p->worker_stopped = true; /* on request of an operator */
		return;
	}
	if (p->stopping)
		return;
	if (!p->was_ready) {
		/* An exit it has explained itself. Trying again would find the same. */
		if (WIFSIGNALED(status)) {
			struct cs_err err;

			cs_fail(&err, CS_ESYS, "signal %d ended it", WTERMSIG(status));
			cs_log(CS_NOCTX, CSM_NO_START, "the worker", err.text);
		}
		p->exit = CS_EXIT_FAILED;
		p->worker_stopped = true;
		return;
	}
	if (!p->ready && crashed(status) && ++p->early_deaths == EARLY_DEATHS)
		renew_sealed(p);
	if (stable || p->backoff_ms == 0)
		p->backoff_ms = BACKOFF_MIN_MS;
	else if (p->backoff_ms < BACKOFF_MAX_MS)
		p->backoff_ms *= 2;
	if (p->backoff_ms > BACKOFF_MAX_MS)
		p->backoff_ms = BACKOFF_MAX_MS;
	p->restart_at = mono_ms() + (stable ? 0 : p->backoff_ms);
	if (WIFSIGNALED(status))
		cs_log(CS_NOCTX, CSM_WORKER_DIED, (int)pid, WTERMSIG(status),
		       stable ? 0 : p->backoff_ms);
	else
		cs_log(CS_NOCTX, CSM_WORKER_EXITED, (int)pid, WEXITSTATUS(status),
		       stable ? 0 : p->backoff_ms);
}

/* ---- the loop ---- */

static void reap(struct parent *p)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == p->worker)
			worker_ended(p, pid, status);
		for (unsigned i = 0; i < N_HELPERS; i++)
			if (pid == p->helpers[i].pid)
				iked_helper_ended(&p->helpers[i], status, mono_ms());
	}
}

static void take_signals(struct parent *p)
{
	struct signalfd_siginfo info;

	while (read(p->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGCHLD:
			reap(p);
			break;
		case SIGHUP:
			iked_helper_refresh(&p->helpers[CERTS], mono_ms());
			if (p->worker)
				kill(p->worker, SIGHUP);
			break;
		default:
			stop_worker(p);
		}
	}
}

static void hear_worker(struct parent *p)
{
	char what;
	ssize_t n = recv(p->link, &what, 1, MSG_DONTWAIT);

	if (n == 1 && what == IKED_SAYS_READY) {
		mark_ready(p);
	} else if (n == 0) {
		close(p->link); /* it is ending; SIGCHLD tells how */
		p->link = -1;
	}
}

static int wait_ms(const struct parent *p)
{
	uint64_t now = mono_ms(), at = p->restart_at ? p->restart_at : p->kill_at;

	for (unsigned i = 0; i < N_HELPERS; i++) {
		const struct iked_helper *h = &p->helpers[i];

		if (p->link >= 0 && !h->pid && h->restart_at && (!at || h->restart_at < at))
			at = h->restart_at;
	}
	if (!at)
		return -1;
	return at <= now ? 0 : (int)(at - now);
}

static void due(struct parent *p)
{
	struct cs_err err;

	if (p->kill_at && mono_ms() >= p->kill_at && p->worker) {
		cs_log(CS_NOCTX, CSM_WORKER_SLOW, (int)p->worker);
		kill(p->worker, SIGKILL);
		p->kill_at = 0;
	}
	if (p->restart_at && mono_ms() >= p->restart_at && start_worker(p, &err) < 0) {
		cs_log(CS_NOCTX, CSM_NO_START, "the worker", err.text);
		p->restart_at = mono_ms() + BACKOFF_MAX_MS;
	}
	for (unsigned i = 0; i < N_HELPERS && !p->stopping; i++)
		iked_helper_due(&p->helpers[i], p->link, mono_ms());
}

static void loop(struct parent *p)
{
	due(p);
	while (!p->worker_stopped && !(p->stopping && !p->worker)) {
		struct pollfd fds[] = {{p->signals, POLLIN, 0}, {p->link, POLLIN, 0}};

		if (poll(fds, 2, wait_ms(p)) < 0 && errno != EINTR)
			break;
		if (fds[1].revents && p->worker)
			hear_worker(p);
		if (fds[0].revents)
			take_signals(p);
		due(p);
	}
}

/* ---- start ---- */

static int take_over_signals(struct parent *p, struct cs_err *err)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &mask, &p->old_mask) < 0)
		return cs_fail_errno(err, "cannot block signals");
	p->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (p->signals < 0)
		return cs_fail_errno(err, "cannot read signals");
	return 0;
}

static void drop_unless(int *fd, const char *name, bool good)
{
	if (*fd < 0 || good)
		return;
	close(*fd);
	*fd = -1;
	cs_daemon_keep_no_more(name);
}

/* What a parent before this one left with systemd. What is not as it should be is made anew. */
static void take_kept(struct parent *p)
{
	const struct iked_options *o = p->o;
	struct cs_err err;

	p->ports[0] = cs_daemon_kept(KEPT_IPV4);
	p->ports[1] = cs_daemon_kept(KEPT_IPV6);
	p->ports[2] = cs_daemon_kept(KEPT_NAT);
	p->sealed = cs_daemon_kept(KEPT_SEALED);
	drop_unless(&p->ports[0], KEPT_IPV4, iked_port_is(p->ports[0], AF_INET, o->port, false));
	drop_unless(&p->ports[1], KEPT_IPV6, iked_port_is(p->ports[1], AF_INET6, o->port, false));
	drop_unless(&p->ports[2], KEPT_NAT, iked_port_is(p->ports[2], AF_INET, o->nat_port, true));
	if (p->sealed >= 0 && ike_sealed_check(p->sealed, &err) < 0) {
		cs_log(CS_NOCTX, CSM_NOT_KEPT, err.text);
		drop_unless(&p->sealed, KEPT_SEALED, false);
	}
}

static int open_rest(struct parent *p, struct cs_err *err)
{
	const struct iked_options *o = p->o;
	int status = 0;

	if (p->ports[0] < 0)
		status = iked_port_open(AF_INET, o->port, &p->ports[0], err);
	if (status == 0 && p->ports[1] < 0)
		status = iked_port_open(AF_INET6, o->port, &p->ports[1], err);
	if (status == 0 && p->ports[2] < 0)
		status = iked_nat_port_open(o->nat_port, &p->ports[2], err);
	if (status == 0 && p->sealed < 0)
		status = ike_sealed_create(&p->sealed, err);
	return status;
}

/* Each time, since what is in the store already is no trouble; without the store phase 1 ends. */
static void keep(struct parent *p)
{
	p->kept = cs_daemon_keep(KEPT_IPV4, p->ports[0]) &&
		  (p->ports[1] < 0 || cs_daemon_keep(KEPT_IPV6, p->ports[1])) &&
		  cs_daemon_keep(KEPT_NAT, p->ports[2]) && cs_daemon_keep(KEPT_SEALED, p->sealed);
}

static int prepare(struct parent *p, struct cs_err *err)
{
	const struct iked_options *o = p->o;
	struct iked_identity id;
	int status = iked_identity_find(o->user, &id, err);

	if (status == 0)
		status = cs_netns_lock("iked", o->stack, &p->lock, err);
	if (status == 0)
		status = iked_prepare_state(o->stack, &id, err);
	if (status < 0)
		return status;
	take_kept(p);
	status = open_rest(p, err);
	if (status < 0)
		return status;
	keep(p);
	if (p->ports[1] < 0)
		cs_log(CS_NOCTX, CSM_NO_IPV6, "this stack has none");
	/* Without these a takeover asks nobody first; CAP_NET_RAW may be withheld. */
	iked_esp_open(AF_INET, &p->esp[0], NULL);
	iked_esp_open(AF_INET6, &p->esp[1], NULL);
	status = take_over_signals(p, err);
	return status == 0 ? start_worker(p, err) : status;
}

/* The worker cannot: the directory is root's. */
static void remove_socket(const char *stack)
{
	char path[CS_PATH_MAX];

	if (cs_run_path(stack, "iked.sock", path, NULL) == 0)
		unlink(path);
}

/* In the daemon's own process, whether in the foreground or not. */
static enum cs_exit serve(void *arg)
{
	const struct iked_options *o = arg;
	struct parent p = {.o = o,
			   .ports = {-1, -1, -1},
			   .esp = {-1, -1},
			   .sealed = -1,
			   .signals = -1,
			   .link = -1};
	struct cs_err err;

	p.helpers[CERTS] = (struct iked_helper){.name = "certificate",
						.option = "--certs",
						.says = IKED_SAYS_CERTS,
						.says_none = IKED_SAYS_NO_CERTS,
						.o = o,
						.mask = &p.old_mask};
	p.helpers[SHARED] = (struct iked_helper){.name = "shared store",
						 .option = "--shared",
						 .says = IKED_SAYS_SHARED,
						 .says_none = IKED_SAYS_NO_SHARED,
						 .o = o,
						 .mask = &p.old_mask};
	cs_log(CS_NOCTX, CSM_STARTED, "iked", PACKAGE_VERSION, o->stack);
	if (prepare(&p, &err) < 0) {
		cs_log(CS_NOCTX, CSM_IKE_NO_START, err.text);
		p.exit = CS_EXIT_FAILED;
	} else {
		loop(&p);
		for (unsigned i = 0; i < N_HELPERS; i++)
			iked_helper_stop(&p.helpers[i]);
		cs_log(CS_NOCTX, CSM_STOPPED, "iked");
	}
	remove_socket(o->stack);
	return p.exit;
}

enum cs_exit iked_parent(struct iked_options *o)
{
	if (geteuid() != 0) {
		fprintf(stderr, "iked: root must start it\n");
		return CS_EXIT_FAILED;
	}
	return cs_daemon_start(o->foreground, serve, o);
}
