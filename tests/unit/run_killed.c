/* Killing a process between any two of its system calls. */
#include "tests/unit/run_killed.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static bool changes_something(const struct __ptrace_syscall_info *info)
{
	switch (info->entry.nr) {
	case SYS_write:
	case SYS_sendto:
	case SYS_sendmsg:
	case SYS_pwrite64:
	case SYS_fsync:
	case SYS_fdatasync:
	case SYS_ftruncate:
	case SYS_fallocate:
	case SYS_unlink:
	case SYS_unlinkat:
	case SYS_rename:
	case SYS_renameat:
	case SYS_renameat2:
		return true;
	case SYS_openat:
		return (info->entry.args[2] & O_CREAT) != 0;
	default:
		return false;
	}
}

int run_killed(void (*fn)(void), unsigned kill_at)
{
	struct __ptrace_syscall_info info;
	unsigned calls = 0;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(77);
		raise(SIGSTOP);
		fn();
		_exit(0);
	}
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status)) {
		ck_assert_msg(getenv("CSIPSEC_TEST_UNTRACED") != NULL,
			      "ptrace is not allowed here: nothing can be killed and seen to be "
			      "whole; CSIPSEC_TEST_UNTRACED=1 goes on without");
		fputs("ptrace is not allowed here: NOT tested is what a kill leaves\n", stdout);
		return -1;
	}
	ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
	for (;;) {
		ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		if (!WIFSTOPPED(status)) {
			ck_assert(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL
						      : WEXITSTATUS(status) == 0);
			return WIFSIGNALED(status);
		}
		if (WSTOPSIG(status) != (SIGTRAP | 0x80))
			continue;
		ck_assert_int_gt(ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof(info), &info),
				 0);
		if (info.op == PTRACE_SYSCALL_INFO_ENTRY && changes_something(&info) &&
		    ++calls == kill_at)
			kill(pid, SIGKILL);
	}
}

void run_to_the_end(void (*fn)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		fn();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
