/*
 * Preloaded into a program under test (LD_PRELOAD): it dies just before the n-th call whose effect
 * somebody else could see, or the n-th message to the kernel fails.  What a program computes
 * between two such calls nobody sees, so these are all the points at which a kill can make a
 * difference.
 *
 * CSIPSEC_KILL_AT names a file with a struct control, which the test writes and reads meanwhile; a
 * program that it starts has part in it, too.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum mode { COUNT, KILL, FAIL };

struct control {
	_Atomic uint32_t mode, left;      /* left: until it happens, 0 is never */
	_Atomic uint32_t calls, messages; /* that were made */
};

static struct control *control;
static pid_t program; /* the one that dies, also at a call of a child process of it */

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("CSIPSEC_KILL_AT");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *p;

	if (fd < 0)
		return;
	p = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p != MAP_FAILED)
		control = p;
	program = getpid();
}

static bool now(void)
{
	uint32_t left = atomic_load(&control->left);

	return left && atomic_fetch_sub(&control->left, 1) == 1;
}

static void call(void)
{
	if (!control)
		return;
	atomic_fetch_add(&control->calls, 1);
	if (control->mode == KILL && now()) {
		kill(program, SIGKILL);
		kill(getpid(), SIGKILL);
		_exit(128 + SIGKILL); /* where it may not even do that to itself: as sudden */
	}
}

/* False: it fails, with errno. */
static bool message(void)
{
	call();
	if (!control)
		return true;
	atomic_fetch_add(&control->messages, 1);
	if (control->mode != FAIL || !now())
		return true;
	errno = ENOBUFS;
	return false;
}

#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *p, size_t n)
{
	call();
	return REAL(write)(fd, p, n);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	call();
	return REAL(pwrite)(fd, p, n, at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	call();
	return REAL(pwrite64)(fd, p, n, at);
}

int fsync(int fd)
{
	call();
	return REAL(fsync)(fd);
}

int fdatasync(int fd)
{
	call();
	return REAL(fdatasync)(fd);
}

int ftruncate(int fd, off_t size)
{
	call();
	return REAL(ftruncate)(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
	call();
	return REAL(ftruncate64)(fd, size);
}

int unlink(const char *path)
{
	call();
	return REAL(unlink)(path);
}

int unlinkat(int dirfd, const char *path, int flags)
{
	call();
	return REAL(unlinkat)(dirfd, path, flags);
}

int renameat(int from, const char *old, int to, const char *new)
{
	call();
	return REAL(renameat)(from, old, to, new);
}

ssize_t sendto(int fd, const void *p, size_t n, int flags, const struct sockaddr *to, socklen_t len)
{
	return message() ? REAL(sendto)(fd, p, n, flags, to, len) : -1;
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	return message() ? REAL(sendmsg)(fd, m, flags) : -1;
}
