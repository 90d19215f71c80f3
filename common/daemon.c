/* What every daemon of ours does around its work. */
#include "common/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <libdaemon/daemon.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "common/options.h"
#include "common/paths.h"
#include "common/pid_file.h"

#define START_SECONDS 60 /* the starter waits so long for readiness */

/* One daemon a process. */
static struct {
	const char *program, *stack;
	char pid_path[CS_PATH_MAX];
	bool foreground, told;
} self;

int cs_daemon_for(const char *program, const char *stack, struct cs_err *err)
{
	char leaf[64];

	self.program = program;
	self.stack = stack;
	snprintf(leaf, sizeof(leaf), "%s.pid", program);
	return cs_run_path(stack, leaf, self.pid_path, err);
}

bool cs_daemon_runs(void)
{
	pid_t owner;

	return cs_pid_file_owner(self.pid_path, &owner, NULL) < 0 || owner;
}

/*
 * systemd's protocol: one datagram to the socket that the environment names, perhaps with a
 * descriptor (-1: none).  False: nobody is there to hear it, which is no reason not to serve.
 */
static bool notify(const char *text, int with)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct iovec iov = {(char *)(uintptr_t)text, strlen(text)};
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {.space = {0}};
	struct msghdr msg = {.msg_name = &sun, .msg_iov = &iov, .msg_iovlen = 1};
	size_t n = path ? strlen(path) : 0;
	bool heard;
	int fd;

	if (n < 2 || n >= sizeof(sun.sun_path) || (path[0] != '/' && path[0] != '@'))
		return false;
	memcpy(sun.sun_path, path, n);
	if (path[0] == '@')
		sun.sun_path[0] = '\0';
	msg.msg_namelen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	if (with >= 0) {
		control.align = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
						 .cmsg_level = SOL_SOCKET,
						 .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.align), &with, sizeof(int));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control.space);
	}
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	heard = sendmsg(fd, &msg, MSG_NOSIGNAL) >= 0;
	close(fd);
	return heard;
}

static void tell_starter(int status)
{
	if (!self.told && !self.foreground)
		daemon_retval_send(status);
	self.told = true;
}

void cs_daemon_ready(void)
{
	char text[48];

	if (self.told)
		return;
	snprintf(text, sizeof(text), "READY=1\nMAINPID=%d", (int)getpid());
	notify(text, -1);
	tell_starter(CS_EXIT_OK);
}

void cs_daemon_stopping(void)
{
	notify("STOPPING=1", -1);
}

/* ---- descriptors that outlive the process ---- */

#define FIRST_KEPT 3 /* SD_LISTEN_FDS_START */

bool cs_daemon_keep(const char *name, int fd)
{
	char text[96];

	/* FDPOLL: a socket on which there is an error stays in the store all the same. */
	snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
	return getenv("FDSTORE") && notify(text, fd);
}

void cs_daemon_keep_no_more(const char *name)
{
	char text[96];

	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	notify(text, -1);
}

static unsigned number_of(const char *variable)
{
	const char *text = getenv(variable);
	unsigned n = 0;

	return text && cs_number(text, 0, INT32_MAX, &n) ? n : 0;
}

/* LISTEN_FDNAMES has a name for each of LISTEN_FDS descriptors, with colons between. */
int cs_daemon_kept(const char *name)
{
	const char *p = getenv("LISTEN_FDNAMES");
	unsigned n = number_of("LISTEN_FDS");
	size_t len = strlen(name);

	if (!p || number_of("LISTEN_PID") != (unsigned)getpid())
		return -1;
	for (unsigned i = 0; i < n; i++) {
		size_t this = strcspn(p, ":");
		int fd = FIRST_KEPT + (int)i;

		if (this == len && memcmp(p, name, len) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
			return fd;
		p += this + (p[this] == ':');
	}
	return -1;
}

/* In the daemon's own process. */
static enum cs_exit run(cs_serve_fn *serve, void *arg)
{
	enum cs_exit status;
	struct cs_err err;
	int fd, rc;

	cs_log_open(self.program, self.foreground);
	rc = cs_pid_file_take(self.pid_path, &fd, &err);
	if (rc < 0) {
		cs_log(CS_NOCTX, CSM_NO_START, self.program, err.text);
		status = rc == CS_EEXIST ? CS_EXIT_RUNS : CS_EXIT_FAILED;
	} else {
		status = serve(arg);
		cs_pid_file_remove(self.pid_path, fd);
	}
	tell_starter((int)status);
	return status;
}

/* In the process that was started. */
static enum cs_exit wait_for_daemon(void)
{
	int status = daemon_retval_wait(START_SECONDS);

	if (status == CS_EXIT_OK)
		return CS_EXIT_OK;
	fprintf(stderr, "%s: %s; the system log says why\n", self.program,
		status < 0 ? "no answer from the daemon" : "cannot start");
	return status < 0 ? CS_EXIT_FAILED : (enum cs_exit)status;
}

enum cs_exit cs_daemon_start(bool foreground, cs_serve_fn *serve, void *arg)
{
	char dir[CS_PATH_MAX];
	struct cs_err err;
	pid_t pid;

	self.foreground = foreground;
	if (cs_pid_file_owner(self.pid_path, &pid, &err) < 0) {
		fprintf(stderr, "%s: %s\n", self.program, err.text);
		return CS_EXIT_FAILED;
	}
	if (pid) {
		fprintf(stderr, "%s: process %d serves stack %s already\n", self.program, (int)pid,
			self.stack);
		return CS_EXIT_RUNS;
	}
	if (cs_run_path(self.stack, NULL, dir, &err) < 0 || cs_make_dir(dir, 0755, &err) < 0) {
		fprintf(stderr, "%s: %s\n", self.program, err.text);
		return CS_EXIT_FAILED;
	}
	if (foreground)
		return run(serve, arg);
	daemon_reset_sigs(-1);
	daemon_unblock_sigs(-1);
	if (daemon_retval_init() < 0) {
		fprintf(stderr, "%s: cannot make a pipe: %s\n", self.program, strerror(errno));
		return CS_EXIT_FAILED;
	}
	pid = daemon_fork();
	if (pid < 0) {
		fprintf(stderr, "%s: cannot fork: %s\n", self.program, strerror(errno));
		daemon_retval_done();
		return CS_EXIT_FAILED;
	}
	if (pid > 0)
		return wait_for_daemon();
	daemon_close_all(-1);
	return run(serve, arg);
}

/* Waits for the end of the process. */
static int wait_for_end(int pidfd, unsigned seconds, struct cs_err *err)
{
	struct pollfd pfd = {.fd = pidfd, .events = POLLIN};
	int rc = poll(&pfd, 1, (int)seconds * 1000);

	if (rc < 0)
		return cs_fail_errno(err, "cannot wait for its end");
	return rc ? 0 : cs_fail(err, CS_EAGAIN, "it did not end within %u seconds", seconds);
}

enum cs_exit cs_daemon_signal(int signal, unsigned wait_seconds)
{
	struct cs_err err;
	int pidfd, rc;
	pid_t pid;

	rc = cs_pid_file_open_owner(self.pid_path, &pid, &pidfd, &err);
	if (rc == CS_ENOTFOUND) {
		fprintf(stderr, "%s: none serves stack %s\n", self.program, self.stack);
		return CS_EXIT_ABSENT;
	}
	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", self.program, err.text);
		return CS_EXIT_FAILED;
	}
	if (pidfd_send_signal(pidfd, signal, NULL, 0) < 0)
		rc = cs_fail_errno(&err, "cannot signal it");
	else if (signal == SIGTERM)
		rc = wait_for_end(pidfd, wait_seconds, &err);
	close(pidfd);
	if (rc < 0) {
		fprintf(stderr, "%s: process %d: %s\n", self.program, (int)pid, err.text);
		return CS_EXIT_FAILED;
	}
	return CS_EXIT_OK;
}

enum cs_exit cs_daemon_ask(const char *request, int signal, unsigned wait_seconds,
			   cs_nmi_entry_fn *fn, void *arg)
{
	json_t *json = json_pack("{s:s}", "request", request), *done = NULL;
	enum cs_exit status = CS_EXIT_OK;
	char leaf[64], path[CS_PATH_MAX];
	struct cs_nmi *nmi = NULL;
	struct cs_err err;
	int rc;

	snprintf(leaf, sizeof(leaf), "%s.sock", self.program);
	if (!cs_daemon_runs()) {
		fprintf(stderr, "%s: none serves stack %s\n", self.program, self.stack);
		json_decref(json);
		return CS_EXIT_ABSENT;
	}
	rc = cs_run_path(self.stack, leaf, path, &err);
	if (rc == 0)
		rc = cs_nmi_connect(path, &nmi, &err);
	if (rc == 0 && signal)
		status = cs_daemon_signal(signal, 0);
	if (rc == 0 && status == CS_EXIT_OK)
		rc = cs_nmi_call(nmi, json, (int)wait_seconds * 1000, fn, arg, &done, &err);
	cs_nmi_close(nmi);
	json_decref(done);
	json_decref(json);
	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", self.program, err.text);
		status = CS_EXIT_FAILED;
	}
	return status;
}
