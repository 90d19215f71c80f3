/* What keeps daemons apart and finds them again: locks, pid files, signals. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/daemon.h"
#include "common/netns_lock.h"
#include "common/paths.h"
#include "common/pid_file.h"
#include "tests/unit/run_suite.h"

static char run_dir[] = "/tmp/csipsec-daemon-XXXXXX";

static void make_run_dir(void)
{
	ck_assert_ptr_nonnull(mkdtemp(run_dir));
	setenv("CSIPSEC_RUNDIR", run_dir, 1);
}

static void remove_run_dir(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", run_dir);
	ck_assert_int_eq(system(command), 0);
}

/* ---- one of a kind in a network namespace ---- */

START_TEST(test_netns_lock)
{
	int first, second, other;
	struct cs_err err;

	ck_assert_int_eq(cs_netns_lock("iked", "ONE", &first, &err), 0);
	ck_assert_int_eq(cs_netns_lock("iked", "TWO", &second, &err), CS_EEXIST);
	ck_assert_ptr_nonnull(strstr(err.text, "the iked of stack ONE serves"));
	ck_assert_int_eq(cs_netns_lock("pagent", "TWO", &other, &err), 0);
	close(first);
	ck_assert_int_eq(cs_netns_lock("iked", "TWO", &second, &err), 0);
	close(second);
	close(other);
}
END_TEST

/* ---- descriptors that outlive the process ---- */

static void listen_for(pid_t pid, const char *n, const char *names)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", (int)pid);
	setenv("LISTEN_PID", text, 1);
	setenv("LISTEN_FDS", n, 1);
	setenv("LISTEN_FDNAMES", names, 1);
}

/* In a process of its own, because the numbers are fixed: 3 and those behind it. */
START_TEST(test_kept)
{
	for (int fd = 3; fd < 6; fd++)
		ck_assert_int_eq(dup2(open("/dev/null", O_RDONLY), fd), fd);
	listen_for(getpid(), "3", "one:other:three");
	ck_assert_int_eq(cs_daemon_kept("one"), 3);
	ck_assert_int_eq(cs_daemon_kept("three"), 5);
	ck_assert_int_eq(fcntl(5, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(cs_daemon_kept("on"), -1);
	ck_assert_int_eq(cs_daemon_kept("one:other"), -1);
	listen_for(getpid(), "1", "one:other:three");
	ck_assert_int_eq(cs_daemon_kept("other"), -1);
	listen_for(getpid(), "99999999999", "one");
	ck_assert_int_eq(cs_daemon_kept("one"), -1);
	listen_for(getpid(), "2", "");
	ck_assert_int_eq(cs_daemon_kept("one"), -1);
	close(4);
	listen_for(getpid(), "3", "one:other:three");
	ck_assert_int_eq(cs_daemon_kept("other"), -1);
	listen_for(getppid(), "3", "one:other:three");
	ck_assert_int_eq(cs_daemon_kept("one"), -1);
}
END_TEST

/* What systemd gets: a datagram with the name, and the descriptor. */
START_TEST(test_keep)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	char text[128] = "", control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {text, sizeof(text) - 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0), got;
	struct stat sent, received;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/notify", run_dir);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	setenv("NOTIFY_SOCKET", sun.sun_path, 1);
	unsetenv("FDSTORE");
	ck_assert(!cs_daemon_keep("thing", 0)); /* nobody would keep it */
	setenv("FDSTORE", "8", 1);
	ck_assert(cs_daemon_keep("thing", fd));
	ck_assert_int_gt(recvmsg(fd, &msg, MSG_DONTWAIT), 0);
	ck_assert_str_eq(text, "FDSTORE=1\nFDNAME=thing\nFDPOLL=0");
	ck_assert_int_eq(CMSG_FIRSTHDR(&msg)->cmsg_type, SCM_RIGHTS);
	memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(got));
	ck_assert_int_eq(fstat(fd, &sent) | fstat(got, &received), 0);
	ck_assert_uint_eq(sent.st_ino, received.st_ino);
	close(got);
	unlink(sun.sun_path);
	ck_assert(!cs_daemon_keep("thing", fd)); /* nor when nobody hears it */
	close(fd);
	unsetenv("NOTIFY_SOCKET");
}
END_TEST

/* ---- pid files ---- */

static char pid_path[CS_PATH_MAX];

static void be_daemon(void)
{
	struct cs_err err;

	ck_assert_int_eq(cs_daemon_for("thing", "STACK", &err), 0);
	ck_assert_int_eq(cs_run_path("STACK", "thing.pid", pid_path, &err), 0);
	ck_assert_int_eq(cs_run_path("STACK", NULL, pid_path, &err), 0);
	ck_assert_int_eq(cs_make_dir(pid_path, 0755, &err), 0);
	ck_assert_int_eq(cs_run_path("STACK", "thing.pid", pid_path, &err), 0);
}

/* A process of its own; it calls fn, tells that it did, and waits for a signal. */
static pid_t child(void (*fn)(void))
{
	int ready[2];
	pid_t pid;
	char c;

	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		alarm(60);                /* the test may die before it */
		signal(SIGTERM, SIG_DFL); /* Check's handler ends the test */
		fn();
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static void do_nothing(void)
{
}

static void take_pid_file(void)
{
	int fd;

	if (cs_pid_file_take(pid_path, &fd, NULL) < 0)
		_exit(1);
}

static bool lives(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) == 0;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* The number of a daemon that is gone is another process's now. */
START_TEST(test_stranger)
{
	pid_t stranger = child(do_nothing);
	FILE *f;

	be_daemon();
	f = fopen(pid_path, "w");
	ck_assert_ptr_nonnull(f);
	fprintf(f, "%d\n", (int)stranger);
	fclose(f);
	ck_assert(!cs_daemon_runs());
	ck_assert_int_eq(cs_daemon_signal(SIGTERM, 1), CS_EXIT_ABSENT);
	ck_assert_int_eq(cs_daemon_signal(SIGHUP, 0), CS_EXIT_ABSENT);
	ck_assert(lives(stranger));
	end(stranger);
}
END_TEST

START_TEST(test_owner)
{
	struct cs_err err;
	pid_t owner, pid;
	int fd;

	be_daemon();
	ck_assert(!cs_daemon_runs());
	ck_assert_int_eq(cs_daemon_signal(SIGTERM, 1), CS_EXIT_ABSENT);
	pid = child(take_pid_file);
	ck_assert(cs_daemon_runs());
	ck_assert_int_eq(cs_pid_file_owner(pid_path, &owner, &err), 0);
	ck_assert_int_eq(owner, pid);
	ck_assert_int_eq(cs_pid_file_take(pid_path, &fd, &err), CS_EEXIST);
	/* It ends by the signal, and its file frees itself. */
	ck_assert_int_eq(cs_daemon_signal(SIGTERM, 10), CS_EXIT_OK);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert(!cs_daemon_runs());
	ck_assert_int_eq(cs_pid_file_take(pid_path, &fd, &err), 0);
	cs_pid_file_remove(pid_path, fd);
	ck_assert_int_lt(access(pid_path, F_OK), 0);
}
END_TEST

/* A child that outlives the daemon, as a worker may for a moment, has not its file. */
static void take_and_leave_a_child(void)
{
	take_pid_file();
	if (fork() == 0) {
		alarm(60);
		for (;;)
			pause();
	}
}

START_TEST(test_child_has_it_not)
{
	struct cs_err err;
	pid_t pid;
	int fd;

	be_daemon();
	pid = child(take_and_leave_a_child);
	ck_assert_int_eq(cs_pid_file_take(pid_path, &fd, &err), CS_EEXIST);
	end(pid);
	ck_assert_int_eq(cs_pid_file_take(pid_path, &fd, &err), 0);
	cs_pid_file_remove(pid_path, fd);
}
END_TEST

/* It does not end in time: the caller is told, and waits no longer. */
static void take_and_ignore(void)
{
	signal(SIGTERM, SIG_IGN);
	take_pid_file();
}

START_TEST(test_does_not_end)
{
	pid_t pid;

	be_daemon();
	pid = child(take_and_ignore);
	ck_assert_int_eq(cs_daemon_signal(SIGTERM, 1), CS_EXIT_FAILED);
	ck_assert(lives(pid));
	end(pid);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("daemons");
	TCase *t = tcase_create("locks");

	tcase_add_checked_fixture(t, make_run_dir, remove_run_dir);
	tcase_add_test(t, test_netns_lock);
	tcase_add_test(t, test_kept);
	tcase_add_test(t, test_keep);
	tcase_add_test(t, test_stranger);
	tcase_add_test(t, test_owner);
	tcase_add_test(t, test_child_has_it_not);
	tcase_add_test(t, test_does_not_end);
	suite_add_tcase(s, t);
	return run_suite(s);
}
