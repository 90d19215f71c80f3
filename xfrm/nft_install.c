/*
 * Our nftables table into the kernel, in one transaction, by libnftables.  It works in a process of
 * its own: without memory, or when it gets no socket or an
 * answer it did not expect, the library ends the process that it is in, and ours has to go on.
 */
#include <errno.h>
#include <fcntl.h>
#include <nftables/libnftables.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "xfrm/kernel.h"

/* ---- the child: its last byte is the outcome, and without that it was ended ---- */

enum outcome { DONE = 1, FAILED };

static void say(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(1);
		text += n;
		len -= (size_t)n;
	}
}

/* A context that says nothing on our standard output. */
static struct nft_ctx *context(bool check_only)
{
	struct nft_ctx *ctx = nft_ctx_new(NFT_CTX_DEFAULT);

	if (!ctx || nft_ctx_buffer_output(ctx) || nft_ctx_buffer_error(ctx))
		return NULL;
	nft_ctx_set_dry_run(ctx, check_only);
	return ctx;
}

static enum outcome run(int fd, const char *commands, bool check_only)
{
	struct nft_ctx *ctx = context(check_only);
	const char *text;

	if (!ctx) {
		text = "no memory for nftables";
		say(fd, text, strlen(text));
		return FAILED;
	}
	errno = 0;
	if (nft_run_cmd_from_buffer(ctx, commands) == 0)
		return DONE;
	text = nft_ctx_get_error_buffer(ctx);
	if (!text || !*text)
		text = strerror(errno);
	say(fd, text, strlen(text));
	return FAILED;
}

/* The library's exit() must not run the destructors of threads that are not in this process. */
static void leave(void)
{
	_exit(1);
}

/* What the library says when it ends us goes to who reads, too. Nobody has use for us alone. */
static _Noreturn void child(int fd, pid_t parent, const char *commands, bool check_only)
{
	char outcome;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(1);
	atexit(leave);
	dup2(fd, STDERR_FILENO);
	outcome = (char)run(fd, commands, check_only);
	say(fd, &outcome, 1);
	_exit(0);
}

/* ---- the parent ---- */

/* What a text may take, with much to spare for a machine that has other things to do. */
#define SECONDS_LEAST    60
#define BYTES_PER_SECOND 16384

/* Something can be read, or the end is there; false: not by then. */
static bool wait_for(int fd, int64_t deadline)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int64_t left;

	do {
		left = deadline - cs_mono_ms();
		if (left > 0 && poll(&p, 1, left > 60000 ? 60000 : (int)left) > 0)
			return true;
	} while (left > 0);
	return false;
}

/* All that comes till then, with a null behind it; NULL: no memory. */
static char *read_all(int fd, int64_t deadline, size_t *len, bool *late)
{
	char *text = NULL, *more;
	size_t cap = 0, used = 0;
	ssize_t n;

	do {
		if (cap - used < 2) {
			cap = cap ? 2 * cap : 4096;
			more = realloc(text, cap);
			if (!more) {
				free(text);
				return NULL;
			}
			text = more;
		}
		*late = !wait_for(fd, deadline);
		n = *late ? 0 : read(fd, text + used, cap - used - 1);
		used += n > 0 ? (size_t)n : 0;
	} while (n > 0 || (n < 0 && errno == EINTR));
	text[used] = '\0';
	*len = used;
	return text;
}

static int judge(char *text, size_t len, struct cs_err *err)
{
	char outcome = '\0';

	if (len > 0 && (text[len - 1] == DONE || text[len - 1] == FAILED)) {
		outcome = text[len - 1];
		text[len - 1] = '\0';
	}
	if (outcome == DONE) {
		free(text);
		return 0;
	}
	cs_fail(err, CS_EKERNEL, "nftables table inet " XF_TABLE ": %.*s",
		*text ? (int)strcspn(text, "\n") : 40, *text ? text : "its process was ended");
	free(text);
	return CS_EKERNEL;
}

/* Signals are the parent's business: its handlers may speak to what both have open. */
static pid_t start(int to, const char *commands, bool check_only)
{
	pid_t parent = getpid(), pid;
	sigset_t all, before;

	sigfillset(&all);
	fflush(NULL); /* the library's exit() writes what is buffered */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		child(to, parent, commands, check_only);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return pid;
}

int xf_nft_run(const char *commands, bool check_only, struct cs_err *err)
{
	size_t more = strlen(commands) / BYTES_PER_SECOND;

	return xf_nft_run_within(commands, check_only, SECONDS_LEAST + (unsigned)more, err);
}

int xf_nft_run_within(const char *commands, bool check_only, unsigned seconds, struct cs_err *err)
{
	int64_t deadline = cs_mono_ms() + (int64_t)seconds * 1000;
	size_t len = 0;
	bool late = false;
	char *text;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return cs_fail_errno(err, "pipe");
	pid = start(fds[1], commands, check_only);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return cs_fail_errno(err, "fork");
	}
	text = read_all(fds[0], deadline, &len, &late);
	close(fds[0]); /* a child that still writes ends */
	if (late)
		kill(pid, SIGKILL);
	/* Inside a call the kernel finishes it first, so nothing comes about behind our back. */
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (late) {
		free(text);
		return cs_fail(err, CS_EKERNEL,
			       "nftables table inet " XF_TABLE ": not done within %u s, its "
			       "process was killed",
			       seconds);
	}
	return text ? judge(text, len, err)
		    : cs_fail(err, CS_ENOMEM, "no memory for what nftables says");
}

int xf_nft_delete(struct cs_err *err)
{
	/* Adding it first makes the deletion right when there is none. */
	return xf_nft_run("add table inet " XF_TABLE "\ndelete table inet " XF_TABLE "\n", false,
			  err);
}
