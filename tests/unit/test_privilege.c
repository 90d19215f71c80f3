/* What is refused to who has given up privileges. */
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "iked/iked.h"
#include "tests/unit/run_suite.h"

/* What the call would be without glibc's narrowing of its arguments. */
static int set(int fd, long level, long name)
{
	int on = 1;

	return (int)syscall(SYS_setsockopt, (long)fd, level, name, &on, (long)sizeof(on));
}

#define HIGH (1L << 32) /* the kernel does not look at this bit */

/* In a child, which the filter stays with. 0, or which of the assertions failed. */
static int options_behind_filter(const int fds[static 4])
{
	static const struct {
		int fd;
		long level, name;
		bool allowed;
	} options[] = {
		{0, IPPROTO_IP, IP_HDRINCL, false},
		{0, IPPROTO_IP | HIGH, IP_HDRINCL, false},
		{0, IPPROTO_IP, IP_HDRINCL | HIGH, false},
		{1, IPPROTO_IPV6, IPV6_HDRINCL, false},
		{1, IPPROTO_RAW, IPV6_HDRINCL, false},
		{1, IPPROTO_IPV6 | HIGH, IPV6_HDRINCL, false},
		{2, IPPROTO_IP, IP_TRANSPARENT, false},
		{3, IPPROTO_IP, IP_TRANSPARENT, false},
		{3, IPPROTO_IPV6, IPV6_TRANSPARENT, false},
		{0, IPPROTO_IP, IP_PKTINFO, true},
		{1, IPPROTO_IPV6, IPV6_RECVPKTINFO, true},
		{2, SOL_SOCKET, SO_RCVBUF, true},
		{3, IPPROTO_IPV6, IPV6_V6ONLY, true},
	};
	const unsigned n = sizeof(options) / sizeof(*options);

	for (unsigned i = 0; i < n; i++)
		if (set(fds[options[i].fd], options[i].level, options[i].name) < 0)
			return (int)i + 1; /* the kernel knows and allows each of them */
	if (iked_filter_calls(NULL) < 0)
		return 100;
	for (unsigned i = 0; i < n; i++) {
		int rc = set(fds[options[i].fd], options[i].level, options[i].name);

		if ((rc == 0) != options[i].allowed || (rc < 0 && errno != EPERM))
			return 101 + (int)i;
	}
	return execl("/bin/true", "true", NULL) == 0 ? 200 : 0;
}

START_TEST(test_options)
{
	int fds[4], status;
	pid_t pid;

	ck_assert_msg(unshare(CLONE_NEWNET) == 0, "root must run this test");
	fds[0] = socket(AF_INET, SOCK_RAW, IPPROTO_ESP);
	fds[1] = socket(AF_INET6, SOCK_RAW, IPPROTO_ESP);
	fds[2] = socket(AF_INET, SOCK_DGRAM, 0);
	fds[3] = socket(AF_INET6, SOCK_DGRAM, 0);
	pid = fork();
	if (pid == 0)
		_exit(options_behind_filter(fds));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "signal %d", WTERMSIG(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("privilege");
	TCase *t = tcase_create("privilege");

#ifdef HAVE_SECCOMP
	tcase_add_test(t, test_options);
#endif
	suite_add_tcase(s, t);
	return run_suite(s);
}
