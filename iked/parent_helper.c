/*
 * A helper process of the worker's as the parent sees it, for certificates or the shared store: one
 * for each worker, started again when it ends, given up when it says that there is nothing for it
 * to do.  The certificates' is tried anew when the operator asks (SIGHUP); the shared store's,
 * which is named in the configuration, at iked's next start.  The worker gets its end of the socket
 * pair through the link, so that neither has to know when the other began.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "iked/iked.h"

#define STABLE_MS      10000
#define BACKOFF_MIN_MS 250
#define BACKOFF_MAX_MS 30000

/* In the child: the worker's options, our end of the pair in its place, all else closed. */
static void become(const struct iked_helper *h, int end)
{
	const struct iked_options *o = h->o;
	char *argv[12];
	int n = 0;

	if (end != IKED_FD_HELPER && dup2(end, IKED_FD_HELPER) < 0)
		_exit(CS_EXIT_FAILED);
	fcntl(IKED_FD_HELPER, F_SETFD, 0);
	if (close_range(IKED_FD_HELPER + 1, ~0u, 0) < 0)
		_exit(CS_EXIT_FAILED);
	sigprocmask(SIG_SETMASK, h->mask, NULL);
	unsetenv("NOTIFY_SOCKET");
	argv[n++] = (char *)"iked";
	argv[n++] = (char *)h->option;
	argv[n++] = (char *)"-p";
	argv[n++] = (char *)o->stack;
	if (o->config_given) {
		argv[n++] = (char *)"-c";
		argv[n++] = (char *)o->config;
	}
	if (o->foreground)
		argv[n++] = (char *)"-f";
	if (o->user) {
		argv[n++] = (char *)"--user";
		argv[n++] = (char *)o->user;
	}
	argv[n] = NULL;
	execv("/proc/self/exe", argv);
	_exit(CS_EXIT_FAILED);
}

/* A byte, with a descriptor when fd is not -1. A worker that is ending does not hear it. */
static void tell_worker(int link, char what, int fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {&what, 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c;

	if (fd >= 0) {
		msg.msg_control = control.space;
		msg.msg_controllen = sizeof(control.space);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	(void)!sendmsg(link, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void start(struct iked_helper *h, int link, uint64_t now)
{
	int pair[2];
	pid_t pid;

	h->restart_at = 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		h->restart_at = now + BACKOFF_MAX_MS;
		return;
	}
	pid = fork();
	if (pid == 0)
		become(h, pair[1]);
	close(pair[1]);
	if (pid > 0) {
		h->pid = pid;
		h->started = now;
		tell_worker(link, h->says, pair[0]);
	} else {
		struct cs_err err;

		cs_fail_errno(&err, "cannot fork");
		cs_log(CS_NOCTX, CSM_HELPER_NONE, h->name, err.text);
		h->restart_at = now + BACKOFF_MAX_MS;
	}
	close(pair[0]);
}

void iked_helper_worker_began(struct iked_helper *h, uint64_t now)
{
	/* The one of the worker before it is ending, and the next starts when it has ended. */
	h->told_to_end = h->pid != 0;
	if (!h->pid)
		h->restart_at = now;
	h->absent_told = false;
}

void iked_helper_refresh(struct iked_helper *h, uint64_t now)
{
	h->absent = h->absent_told = false;
	if (h->pid) {
		h->told_to_end = true;
		kill(h->pid, SIGTERM);
	} else {
		h->restart_at = now;
	}
}

void iked_helper_ended(struct iked_helper *h, int status, uint64_t now)
{
	bool stable = now - h->started >= STABLE_MS;
	pid_t pid = h->pid;

	h->pid = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == CS_EXIT_ABSENT) {
		h->absent = true;
		h->told_to_end = false;
		return;
	}
	if (h->told_to_end) {
		h->told_to_end = false;
		h->restart_at = now;
		return;
	}
	if (stable || h->backoff_ms == 0)
		h->backoff_ms = BACKOFF_MIN_MS;
	else if (h->backoff_ms < BACKOFF_MAX_MS)
		h->backoff_ms *= 2;
	h->restart_at = now + (stable ? 0 : h->backoff_ms);
	if (WIFSIGNALED(status))
		cs_log(CS_NOCTX, CSM_HELPER_DIED, h->name, (int)pid, WTERMSIG(status));
	else if (WEXITSTATUS(status) != CS_EXIT_OK) /* that is: the worker let go of it */
		cs_log(CS_NOCTX, CSM_HELPER_EXITED, h->name, (int)pid, WEXITSTATUS(status));
}

void iked_helper_due(struct iked_helper *h, int link, uint64_t now)
{
	if (link < 0)
		return;
	if (h->absent && !h->absent_told) {
		tell_worker(link, h->says_none, -1);
		h->absent_told = true;
	}
	if (!h->absent && !h->pid && h->restart_at && now >= h->restart_at)
		start(h, link, now);
}

/* Without a worker it has nothing to do and ends by itself; this only hastens it. */
void iked_helper_stop(struct iked_helper *h)
{
	if (!h->pid)
		return;
	kill(h->pid, SIGTERM);
	while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
		;
	h->pid = 0;
}
