/* Pid files under fcntl's locks, which know their owner. */
#include "common/pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES 16 /* against a file that is removed and an owner that changes under our eyes */

static const struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

/* The one before us removes its file: a lock on what has no name any more is none. */
static bool is_at(const char *path, int fd)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_dev == there.st_dev &&
	       ours.st_ino == there.st_ino;
}

static int write_pid(int fd, const char *path, struct cs_err *err)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n)
		return cs_fail_errno(err, "cannot write %s", path);
	return 0;
}

int cs_pid_file_take(const char *path, int *result, struct cs_err *err)
{
	for (int i = 0; i < TRIES; i++) {
		int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644), rc;

		if (fd < 0)
			return cs_fail_errno(err, "cannot open %s", path);
		if (fcntl(fd, F_SETLK, &whole) < 0) {
			rc = errno == EAGAIN || errno == EACCES
				     ? cs_fail(err, CS_EEXIST, "another process has %s", path)
				     : cs_fail_errno(err, "cannot lock %s", path);
			close(fd);
			return rc;
		}
		if (is_at(path, fd)) {
			rc = write_pid(fd, path, err);
			if (rc < 0)
				close(fd);
			else
				*result = fd;
			return rc;
		}
		close(fd);
	}
	return cs_fail(err, CS_EAGAIN, "%s does not stay where it is", path);
}

void cs_pid_file_remove(const char *path, int fd)
{
	if (is_at(path, fd))
		unlink(path);
	close(fd);
}

int cs_pid_file_owner(const char *path, pid_t *owner, struct cs_err *err)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), rc;
	struct flock lock = whole;

	*owner = 0;
	if (fd < 0)
		return errno == ENOENT ? 0 : cs_fail_errno(err, "cannot open %s", path);
	rc = fcntl(fd, F_GETLK, &lock) < 0
		     ? cs_fail_errno(err, "cannot ask for the lock on %s", path)
		     : 0;
	close(fd);
	if (rc == 0 && lock.l_type != F_UNLCK) {
		*owner = lock.l_pid;
		/* A process of another pid namespace has no number here. */
		if (lock.l_pid <= 0)
			rc = cs_fail(err, CS_EPERM,
				     "%s belongs to a process outside of this one's "
				     "pid namespace",
				     path);
	}
	return rc;
}

/* The number could be another's by the time it is opened; the owner's it is if it still is. */
int cs_pid_file_open_owner(const char *path, pid_t *owner, int *result, struct cs_err *err)
{
	for (int i = 0; i < TRIES; i++) {
		int rc = cs_pid_file_owner(path, owner, err), fd;
		pid_t now;

		if (rc < 0)
			return rc;
		if (!*owner)
			return cs_fail(err, CS_ENOTFOUND, "nobody has %s", path);
		fd = pidfd_open(*owner, 0);
		if (fd < 0 && errno != ESRCH)
			return cs_fail_errno(err, "cannot open process %d", (int)*owner);
		rc = cs_pid_file_owner(path, &now, err);
		if (fd >= 0 && rc == 0 && now == *owner) {
			*result = fd;
			return 0;
		}
		if (fd >= 0)
			close(fd);
		if (rc < 0)
			return rc;
	}
	return cs_fail(err, CS_EAGAIN, "the owner of %s changes all the time", path);
}
