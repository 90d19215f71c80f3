/* Log lines of packets when the log is slow, away, or begins anew. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/run_suite.h"
#include "trmd/lines.h"

#define MANY (TRMD_LINES_MAX + 8000)

static char dir[64], path[96];
static uv_loop_t loop;
static struct trmd_lines *lines;

static void open_lines(const struct trmd_log *log)
{
	struct cs_err err;

	ck_assert_int_eq(uv_loop_init(&loop), 0);
	ck_assert_int_eq(trmd_lines_open(&loop, log, path, &lines, &err), 0);
}

static void close_lines(void)
{
	trmd_lines_close(lines);
	uv_run(&loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
}

static void setup(void)
{
	strcpy(dir, "/tmp/csipsec-lines-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/log", dir);
}

static void teardown(void)
{
	unlink(path);
	rmdir(dir);
}

/* The log: what it does not read waits, and it has room for little. */
static int listener(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	unlink(path);
	memcpy(at.sun_path, path, strlen(path) + 1);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static bool say(unsigned i)
{
	char line[64];

	snprintf(line, sizeof(line), "EZD0815I line %u", i);
	return trmd_lines_say(lines, CS_NOTICE, line);
}

/* All that are taken are the first ones; it takes no time. */
static unsigned say_many(void)
{
	int64_t begin = cs_mono_ms();
	unsigned taken = 0;

	for (unsigned i = 0; i < MANY; i++)
		if (say(i))
			ck_assert_uint_eq(i, taken++);
	ck_assert_int_lt(cs_mono_ms() - begin, 2000);
	ck_assert_uint_ge(taken, TRMD_LINES_MAX);
	ck_assert_uint_lt(taken, MANY);
	return taken;
}

static unsigned read_lines(int fd, unsigned next)
{
	char text[256], want[128], head[16];
	ssize_t n;

	snprintf(head, sizeof(head), "<%d>", LOG_LOCAL4 | LOG_NOTICE);
	while ((n = recv(fd, text, sizeof(text) - 1, 0)) > 0) {
		text[n] = '\0';
		snprintf(want, sizeof(want), " trmd.TEST[%d]: EZD0815I line %u", (int)getpid(),
			 next++);
		ck_assert_msg(strncmp(text, head, strlen(head)) == 0, "%s", text);
		ck_assert_msg(strcmp(text + strlen(head) + 15, want) == 0, "%s", text);
	}
	return next;
}

static const struct trmd_log to_syslog = {.tag = "trmd.TEST"};

static unsigned await(int fd, unsigned next, unsigned all)
{
	int64_t end = cs_mono_ms() + 30000;

	while (next < all && cs_mono_ms() < end) {
		next = read_lines(fd, next);
		uv_run(&loop, UV_RUN_NOWAIT);
		uv_sleep(1);
	}
	return next;
}

START_TEST(slow_log)
{
	int fd = listener();
	unsigned taken;

	open_lines(&to_syslog);
	taken = say_many();
	ck_assert_uint_eq(await(fd, 0, taken), taken);
	/* Then there is room again, and no line comes twice. */
	ck_assert(say(taken));
	ck_assert_uint_eq(await(fd, taken, taken + 1), taken + 1);
	close_lines();
	ck_assert_uint_eq(read_lines(fd, taken + 1), taken + 1);
	close(fd);
}
END_TEST

START_TEST(log_begins_anew)
{
	int fd;

	open_lines(&to_syslog);
	ck_assert(say(0)); /* there is none yet */
	uv_run(&loop, UV_RUN_NOWAIT);
	fd = listener();
	ck_assert_uint_eq(await(fd, 0, 1), 1);
	close(fd);
	fd = listener();
	ck_assert(say(1));
	ck_assert_uint_eq(await(fd, 1, 2), 2);
	close(fd);
	ck_assert(say(2));
	ck_assert(say(3));
	fd = listener();
	ck_assert_uint_eq(await(fd, 2, 4), 4);
	close_lines();
	close(fd);
}
END_TEST

/* The end waits for a log that reads, and not for one that does not. */
START_TEST(end_of_it)
{
	int64_t begin;
	int fd = listener(), status;
	pid_t reader;

	open_lines(&to_syslog);
	for (unsigned i = 0; i < 300; i++)
		ck_assert(say(i));
	reader = fork();
	if (reader == 0) {
		unsigned n = 0;
		char text[256];

		for (unsigned i = 0; i < 5000 && n < 300; i++) {
			while (recv(fd, text, sizeof(text), 0) > 0)
				n++;
			uv_sleep(1);
		}
		_exit(n == 300 ? 0 : 1);
	}
	close_lines();
	ck_assert_int_eq(waitpid(reader, &status, 0), reader);
	ck_assert_int_eq(status, 0);

	open_lines(&to_syslog);
	for (unsigned i = 0; i < 300; i++)
		ck_assert(say(i));
	begin = cs_mono_ms();
	close_lines();
	ck_assert_int_lt(cs_mono_ms() - begin, 4000);
	close(fd);
}
END_TEST

/* In the foreground: a pipe that nobody reads. */
START_TEST(full_pipe)
{
	static const struct trmd_log log = {.foreground = true};
	int pipes[2], kept = dup(STDERR_FILENO);
	unsigned taken, n = 0;
	char text[4096];

	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	ck_assert_int_eq(fcntl(pipes[0], F_SETFL, O_NONBLOCK), 0);
	dup2(pipes[1], STDERR_FILENO);
	open_lines(&log);
	taken = say_many();
	for (int64_t end = cs_mono_ms() + 30000; n < taken && cs_mono_ms() < end;) {
		ssize_t len;

		while ((len = read(pipes[0], text, sizeof(text))) > 0)
			for (ssize_t at = 0; at < len; at++)
				n += text[at] == '\n';
		uv_run(&loop, UV_RUN_NOWAIT);
		uv_sleep(1);
	}
	close_lines();
	dup2(kept, STDERR_FILENO);
	ck_assert_uint_eq(n, taken);
	close(kept);
	close(pipes[0]);
	close(pipes[1]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lines");
	TCase *tc = tcase_create("lines");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, slow_log);
	tcase_add_test(tc, log_begins_anew);
	tcase_add_test(tc, end_of_it);
	tcase_add_test(tc, full_pipe);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
