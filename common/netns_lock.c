/* One daemon of a kind in a network namespace: a locked file, named by the namespace's inode. */
#include "common/netns_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/paths.h"

/* Who holds the lock has left the name of its stack. */
static int held(int fd, const char *program, struct cs_err *err)
{
	char stack[CS_STACK_MAX + 1];
	ssize_t n = pread(fd, stack, CS_STACK_MAX, 0);

	stack[n > 0 ? n : 0] = '\0';
	if (cs_stack_check(stack, NULL) < 0)
		strcpy(stack, "?");
	return cs_fail(err, CS_EEXIST,
		       "the %s of stack %s serves this network namespace; a stack needs one of "
		       "its own (ip netns exec NAMESPACE %s ...)",
		       program, stack, program);
}

int cs_netns_lock(const char *program, const char *stack, int *lock, struct cs_err *err)
{
	char path[CS_PATH_MAX], leaf[48];
	size_t len = strlen(stack);
	struct stat st;
	int fd, rc;

	if (stat("/proc/self/ns/net", &st) < 0)
		return cs_fail_errno(err, "/proc/self/ns/net");
	snprintf(leaf, sizeof(leaf), "%s.net-%llu", program, (unsigned long long)st.st_ino);
	rc = cs_run_path(NULL, leaf, path, err);
	if (rc < 0)
		return rc;
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return cs_fail_errno(err, "cannot open %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		rc = errno == EWOULDBLOCK ? held(fd, program, err)
					  : cs_fail_errno(err, "flock %s", path);
	else if (ftruncate(fd, 0) < 0 || pwrite(fd, stack, len, 0) != (ssize_t)len)
		rc = cs_fail_errno(err, "cannot write %s", path);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	*lock = fd;
	return 0;
}
