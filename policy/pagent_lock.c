/*
 * One pagent a network namespace.  Our nftables table has one name, so two stacks in one namespace
 * would put their policies in each other's place, and neither could tell.
 */
#include "policy/pagent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/paths.h"

/* Who holds the lock has left the name of its stack. */
static int held(int fd, struct cs_err *err)
{
	char stack[CS_STACK_MAX + 1];
	ssize_t n = pread(fd, stack, CS_STACK_MAX, 0);

	stack[n > 0 ? n : 0] = '\0';
	if (cs_stack_check(stack, NULL) < 0)
		strcpy(stack, "?");
	return cs_fail(err, CS_EEXIST,
		       "the pagent of stack %s serves this network namespace; a stack needs one of "
		       "its own (ip netns exec NAMESPACE pagent ...)",
		       stack);
}

int pagent_lock(struct pagent *p, struct cs_err *err)
{
	char path[CS_PATH_MAX], leaf[48];
	size_t len = strlen(p->o->stack);
	struct stat st;
	int fd, rc;

	if (stat("/proc/self/ns/net", &st) < 0)
		return cs_fail_errno(err, "/proc/self/ns/net");
	snprintf(leaf, sizeof(leaf), "pagent.net-%llu", (unsigned long long)st.st_ino);
	rc = cs_run_path(NULL, leaf, path, err);
	if (rc < 0)
		return rc;
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return cs_fail_errno(err, "cannot open %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		rc = errno == EWOULDBLOCK ? held(fd, err) : cs_fail_errno(err, "flock %s", path);
	else if (ftruncate(fd, 0) < 0 || pwrite(fd, p->o->stack, len, 0) != (ssize_t)len)
		rc = cs_fail_errno(err, "cannot write %s", path);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	p->lock = fd;
	return 0;
}
