/*
 * smfdump: compressed files.  A child process unpacks them into a pipe, from which records are read
 * as from any pipe: nothing is unpacked that is not read, and nothing is kept anywhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "smf/smfdump.h"

#define PIECE 65536

bool smfdump_is_gz(int fd)
{
	unsigned char magic[2];

	/* Of a pipe nothing can be read without being taken; it is refused with a hint. */
	return pread(fd, magic, sizeof(magic), 0) == sizeof(magic) && magic[0] == 0x1f &&
	       magic[1] == 0x8b;
}

static bool put(int to, const unsigned char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(to, p, len);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return true;
}

/* In the child. What is whole is written also when the rest is not. */
static int unpack(int from, int to)
{
	static unsigned char piece[PIECE];
	gzFile gz = gzdopen(from, "rb");
	int n = 0, bad;

	if (!gz)
		return 1;
	while ((n = gzread(gz, piece, sizeof(piece))) > 0)
		if (!put(to, piece, (size_t)n))
			break;
	gzerror(gz, &bad);
	return gzclose(gz) != Z_OK || n < 0 || bad < 0;
}

int smfdump_unpack(int fd, int *pipe_end, pid_t *child, struct cs_err *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return cs_fail_errno(err, "cannot make a pipe");
	fflush(NULL);
	*child = fork();
	if (*child < 0) {
		close(ends[0]);
		close(ends[1]);
		return cs_fail_errno(err, "cannot fork");
	}
	if (*child == 0) {
		/* The reader may have enough, and goes. */
		signal(SIGPIPE, SIG_DFL);
		close(ends[0]);
		_exit(unpack(fd, ends[1]));
	}
	close(ends[1]);
	*pipe_end = ends[0];
	return 0;
}

bool smfdump_unpacked(pid_t child)
{
	int status;
	pid_t pid;

	do {
		pid = waitpid(child, &status, 0);
	} while (pid < 0 && errno == EINTR);
	/* Killed by its pipe it was not read to the end, and is not to blame. */
	return pid == child && ((WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
				(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE));
}
