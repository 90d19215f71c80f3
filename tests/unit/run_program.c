#include "tests/unit/run_program.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct ran ran;
static char dir[32];

void make_dir(void)
{
	strcpy(dir, "/tmp/csipsec-test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

void remove_dir(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

const char *in_dir(const char *leaf)
{
	static char paths[4][128];
	static unsigned turn;
	char *p = paths[turn++ % 4];

	snprintf(p, sizeof(paths[0]), "%s/%s", dir, leaf);
	return p;
}

void put_file(const char *leaf, const void *p, size_t len)
{
	FILE *f = fopen(in_dir(leaf), "w");

	ck_assert(f && fwrite(p, 1, len, f) == len && fclose(f) == 0);
}

void read_back(const char *leaf, char *text, size_t size)
{
	FILE *f = fopen(in_dir(leaf), "r");

	ck_assert_ptr_nonnull(f);
	text[fread(text, 1, size - 1, f)] = '\0';
	fclose(f);
}

const char *program(const char *built)
{
	static char path[512];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);

	ck_assert_int_gt(n, 0);
	path[n] = '\0';
	for (int up = 0; up < 3; up++)
		*strrchr(path, '/') = '\0';
	snprintf(path + strlen(path), 64, "/%s", built);
	return path;
}

pid_t start_program(const char *built, const char *line, const char *input, bool fresh)
{
	pid_t pid = fork();

	if (pid == 0) {
		char words[300], *argv[20], *state = NULL;
		int n = 0, flags = O_CREAT | O_WRONLY | (fresh ? O_TRUNC : 0);

		snprintf(words, sizeof(words), "%s %s", strrchr(built, '/') + 1, line);
		for (char *w = strtok_r(words, " ", &state); w; w = strtok_r(NULL, " ", &state))
			argv[n++] = w;
		argv[n] = NULL;
		if (chdir(dir) != 0)
			_exit(126);
		dup2(open(input ? input : "/dev/null", O_RDONLY), 0);
		dup2(open(".out", flags, 0600), 1);
		dup2(open(".err", flags, 0600), 2);
		execv(program(built), argv);
		_exit(127);
	}
	return pid;
}

void end_program(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "signal %d", WTERMSIG(status));
	ran.exit = WEXITSTATUS(status);
	read_back(".out", ran.out, sizeof(ran.out));
	read_back(".err", ran.err, sizeof(ran.err));
}
