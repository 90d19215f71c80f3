/* What is refused to who has given up privileges. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "iked/iked.h"
#include "tests/unit/run_suite.h"

#ifdef HAVE_SECCOMP
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
#endif

/* In a child that becomes a helper. 0, or what went wrong. */
static int helper_reads(const char *secrets, const char *own_file, uid_t uid, gid_t group)
{
	const struct iked_options o = {.user = "daemon"};
	struct iked_identity id;

	if (iked_helper_user(&o, IKED_SHARED_USER, &id, NULL) < 0 || id.uid != uid ||
	    iked_privilege_none(&id, NULL) < 0)
		return 1;
	if (getuid() != uid || getgid() == group || getgroups(0, NULL) != 0)
		return 2;
	if (open(secrets, O_RDONLY) >= 0 || errno != EACCES)
		return 3;
	return open(own_file, O_RDONLY) >= 0 ? 0 : 4;
}

/* A helper as the worker's user reads that user's files, and not those of the worker's group. */
START_TEST(test_secrets)
{
	const struct passwd *worker = getpwnam("daemon");
	char dir[] = "/tmp/test_privilege.XXXXXX", secrets[64], own[64];
	int status;
	pid_t pid;

	ck_assert_msg(geteuid() == 0, "root must run this test");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chmod(dir, 0755), 0);
	snprintf(secrets, sizeof(secrets), "%s/secrets.db", dir);
	snprintf(own, sizeof(own), "%s/passfile", dir);
	close(open(secrets, O_CREAT | O_WRONLY, 0640));
	close(open(own, O_CREAT | O_WRONLY, 0600));
	ck_assert_int_eq(chown(secrets, 0, worker->pw_gid), 0);
	ck_assert_int_eq(chown(own, worker->pw_uid, worker->pw_gid), 0);
	pid = fork();
	if (pid == 0)
		_exit(helper_reads(secrets, own, worker->pw_uid, worker->pw_gid));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	unlink(secrets);
	unlink(own);
	rmdir(dir);
}
END_TEST

static const struct {
	const char *shared; /* its line of the passwd file */
	uid_t uid;
	gid_t gid;
} users[] = {
	{"csipsec-shared:x:20002:20003::/:/bin/false\n", 20002, 20003},
	{"csipsec-shared:x:20002:20001::/:/bin/false\n", 20002, 65534}, /* the worker's group */
	{"", 20001, 65534},
};

/* A user of its own where there is one, and never the worker's group. */
START_TEST(test_user)
{
	const struct iked_options o = {.user = NULL};
	struct iked_identity id;
	char path[] = "/tmp/test_privilege.XXXXXX";
	FILE *f = fdopen(mkstemp(path), "w");
	struct cs_err err;

	ck_assert_ptr_nonnull(f);
	fprintf(f, "root:x:0:0::/:/bin/false\ncsipsec-iked:x:20001:20001::/:/bin/false\n%s",
		users[_i].shared);
	ck_assert_int_eq(fclose(f) || chmod(path, 0644), 0);
	ck_assert_msg(unshare(CLONE_NEWNS) == 0, "root must run this test");
	ck_assert_int_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount(path, "/etc/passwd", NULL, MS_BIND, NULL), 0);
	unlink(path);
	ck_assert_int_eq(iked_helper_user(&o, IKED_SHARED_USER, &id, &err), 0);
	ck_assert_uint_eq(id.uid, users[_i].uid);
	ck_assert_uint_eq(id.gid, users[_i].gid);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("privilege");
	TCase *t = tcase_create("privilege");

#ifdef HAVE_SECCOMP
	tcase_add_test(t, test_options);
#endif
	tcase_add_test(t, test_secrets);
	tcase_add_loop_test(t, test_user, 0, sizeof(users) / sizeof(*users));
	suite_add_tcase(s, t);
	return run_suite(s);
}
