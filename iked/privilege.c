/*
 * What the worker may do: its own user, CAP_NET_ADMIN alone, no way to more, and the system calls
 * of its work.  The parent prepares the directories that it then needs.  And what the certificate
 * helper may do, which is next to nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef HAVE_CAPNG
#include <cap-ng.h>
#endif
#ifdef HAVE_SECCOMP
#include <seccomp.h>
#endif

#include "iked/iked.h"

int iked_identity_find(const char *user, struct iked_identity *id, struct cs_err *err)
{
	const char *name = user ? user : IKED_USER;
	const struct passwd *pw = getpwnam(name);

	/* Not another user in its place: what else runs as that one could read the keys. */
	if (!pw)
		return cs_fail(
			err, CS_ENOTFOUND,
			"there is no user %s for the worker; make it (useradd --system %s) or name "
			"another with --user",
			name, name);
	if (pw->pw_uid == 0)
		return cs_fail(err, CS_EINVAL, "the worker must not run as %s", pw->pw_name);
	id->uid = pw->pw_uid;
	id->gid = pw->pw_gid;
	snprintf(id->name, sizeof(id->name), "%s", pw->pw_name);
	return 0;
}

/* ---- directories ---- */

/*
 * Gives a file of the directory to uid and gid, when it is a plain file with one name that root or
 * the worker owns: the worker may write there, and must not get another's file by a link.
 */
static int give(int dir, const char *name, uid_t uid, gid_t gid, uid_t worker, struct cs_err *err)
{
	int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int status = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : cs_fail_errno(err, "cannot open %s", name);
	if (fstat(fd, &st) < 0)
		status = cs_fail_errno(err, "cannot look at %s", name);
	else if (!S_ISREG(st.st_mode) || st.st_nlink != 1 ||
		 (st.st_uid != 0 && st.st_uid != worker))
		status = cs_fail(err, CS_EINVAL, "%s is not a plain file of root or the worker",
				 name);
	else if ((st.st_uid != uid || st.st_gid != gid) &&
		 fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
		status = cs_fail_errno(err, "cannot give %s to the worker", name);
	close(fd);
	return status;
}

static int give_database(int dir, const char *name, uid_t uid, gid_t gid, uid_t worker,
			 struct cs_err *err)
{
	static const char *const parts[] = {"", "-wal", "-shm", "-journal"};
	char file[64];
	int status = 0;

	for (unsigned i = 0; i < sizeof(parts) / sizeof(*parts) && status == 0; i++) {
		snprintf(file, sizeof(file), "%s%s", name, parts[i]);
		status = give(dir, file, uid, gid, worker, err);
	}
	return status;
}

/* Makes a directory, or takes the one that is there, for this user and group. */
static int open_dir(const char *path, uid_t uid, gid_t gid, mode_t mode, int *result,
		    struct cs_err *err)
{
	int fd, status = cs_make_dir(path, 0755, err);

	if (status < 0)
		return status;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return cs_fail_errno(err, "cannot open %s", path);
	if (fchown(fd, uid, gid) < 0 || fchmod(fd, mode) < 0) {
		status = cs_fail_errno(err, "cannot prepare %s", path);
		close(fd);
		return status;
	}
	*result = fd;
	return 0;
}

/*
 * The worker reads pagent's databases and may not make a file beside them: sqlite, as root, would
 * play back a journal that it found there.  setgid: what pagent makes is readable for the group.
 */
static int prepare_shared(const char *stack, const struct iked_identity *id, struct cs_err *err)
{
	char path[CS_PATH_MAX];
	int fd = -1, status = cs_state_path(stack, NULL, path, err);

	if (status == 0)
		status = open_dir(path, 0, id->gid, 0750 | S_ISGID, &fd, err);
	if (status < 0)
		return status;
	status = give_database(fd, "policy.db", 0, id->gid, 0, err);
	if (status == 0)
		status = give_database(fd, "secrets.db", 0, id->gid, 0, err);
	close(fd);
	return status < 0 ? cs_err_prefix(err, "%s", path) : 0;
}

static int prepare_own(const char *stack, const struct iked_identity *id, struct cs_err *err)
{
	char path[CS_PATH_MAX];
	int fd = -1, status = cs_state_path(stack, IKED_STATE, path, err);

	if (status == 0)
		status = open_dir(path, id->uid, id->gid, 0700, &fd, err);
	if (status < 0)
		return status;
	status = give_database(fd, "iked.db", id->uid, id->gid, id->uid, err);
	close(fd);
	return status < 0 ? cs_err_prefix(err, "%s", path) : 0;
}

/*
 * Who may read the policy may ask pagent for it: trmd does, as the same user.  A pagent that starts
 * later sees to that itself.
 */
static int prepare_socket(const char *stack, const struct iked_identity *id, struct cs_err *err)
{
	char path[CS_PATH_MAX];
	struct stat st;
	int status = cs_run_path(stack, "pagent.sock", path, err);

	if (status < 0 || lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode) || st.st_uid != 0)
		return status;
	return lchown(path, (uid_t)-1, id->gid) == 0 || errno == ENOENT
		       ? 0
		       : cs_fail_errno(err, "cannot give %s to the group", path);
}

int iked_prepare_state(const char *stack, const struct iked_identity *id, struct cs_err *err)
{
	int status = prepare_shared(stack, id, err);

	if (status == 0)
		status = prepare_socket(stack, id, err);
	return status == 0 ? prepare_own(stack, id, err) : status;
}

/* ---- privilege ---- */

int iked_privilege_drop(const struct iked_identity *id, struct cs_err *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return cs_fail_errno(err, "cannot give up new privileges");
#ifdef HAVE_CAPNG
	int rc;

	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_NET_ADMIN) < 0)
		return cs_fail(err, CS_ESYS, "cannot choose CAP_NET_ADMIN");
	rc = capng_change_id((int)id->uid, (int)id->gid,
			     CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING);
	if (rc < 0)
		return cs_fail(err, CS_ESYS, "cannot become user %s with CAP_NET_ADMIN alone (%d)",
			       id->name, rc);
	return 0;
#else
	/* As another user it would have no capability at all, and could not reach XFRM. */
	(void)id;
	return cs_fail(err, CS_EUNSUPPORTED, "built without libcap-ng");
#endif
}

int iked_privilege_none(const struct iked_identity *id, struct cs_err *err)
{
	/* Another user, if only in name: no one may read its memory, or its core, not even as that
	 * user. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return cs_fail_errno(err, "cannot give up new privileges");
	/* Nothing could be gained from it any more; where it cannot be dropped, that is no harm. */
	for (int cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
		;
	if (setgroups(0, NULL) < 0 || setresgid(id->gid, id->gid, id->gid) < 0 ||
	    setresuid(id->uid, id->uid, id->uid) < 0)
		return cs_fail_errno(err, "cannot become user %s", id->name);
	/* Leaving uid 0 gave up all capabilities; it must be so. */
	if (setuid(0) == 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return cs_fail(err, CS_EPERM, "user %s can become root again", id->name);
	return 0;
}

#ifdef HAVE_SECCOMP
/* What libuv, sqlite, netlink, the sockets, libgcrypt and the C library ask for. */
/* clang-format off */
static const int allowed[] = {
	/* files: sqlite, time zone, logging */
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(write), SCMP_SYS(writev),
	SCMP_SYS(pwrite64), SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(close), SCMP_SYS(lseek),
	SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(statx),
	SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(fcntl),
	SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(ftruncate), SCMP_SYS(fallocate),
	SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
	SCMP_SYS(getcwd), SCMP_SYS(fchmod), SCMP_SYS(chmod), SCMP_SYS(fchmodat), SCMP_SYS(umask),
	SCMP_SYS(fchown), SCMP_SYS(getdents64), SCMP_SYS(ioctl), SCMP_SYS(dup), SCMP_SYS(dup2),
	SCMP_SYS(dup3), SCMP_SYS(pipe2), SCMP_SYS(eventfd2), SCMP_SYS(fstatfs), SCMP_SYS(statfs),
	/* memory */
	SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(mprotect), SCMP_SYS(madvise),
	SCMP_SYS(brk), SCMP_SYS(mlock), SCMP_SYS(mlock2), SCMP_SYS(munlock),
	/* sockets */
	SCMP_SYS(socket), SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(accept), SCMP_SYS(accept4),
	SCMP_SYS(connect), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt), SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(sendmmsg),
	SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(recvmmsg), SCMP_SYS(shutdown),
	/* waiting and time */
	SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6),
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep),
	SCMP_SYS(gettimeofday), SCMP_SYS(nanosleep), SCMP_SYS(time), SCMP_SYS(getrandom),
	/* threads and the process itself */
	SCMP_SYS(futex), SCMP_SYS(clone), SCMP_SYS(clone3), SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(gettid), SCMP_SYS(getpid),
	SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
	SCMP_SYS(getegid), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_setaffinity), SCMP_SYS(sysinfo), SCMP_SYS(uname), SCMP_SYS(prlimit64),
	SCMP_SYS(getrlimit), SCMP_SYS(getrusage), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(tgkill), SCMP_SYS(restart_syscall),
	SCMP_SYS(membarrier), SCMP_SYS(prctl),
};
/* What is left for answering requests: memory, one socket that is open, a timer, the log. */
static const int allowed_certs[] = {
	SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(read),
	SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(close),
	SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk),
	SCMP_SYS(mprotect), SCMP_SYS(mlock), SCMP_SYS(mlock2), SCMP_SYS(munlock),
	SCMP_SYS(alarm), SCMP_SYS(setitimer), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday),
	SCMP_SYS(time), SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(futex),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(restart_syscall), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(sched_yield),
};
/* clang-format on */

/*
 * Options that let a socket send from any address, or a raw one any packet.  They are set, where
 * they are needed, before.  This is a filter of its own, because one that allows calls can only say
 * that an argument is not equal, of 64 bits, of which the kernel takes 32.
 */
static const int refused[][2] = {
	{IPPROTO_IP, IP_HDRINCL},     {IPPROTO_IP, IP_TRANSPARENT},
	{IPPROTO_IPV6, IPV6_HDRINCL}, {IPPROTO_IPV6, IPV6_TRANSPARENT},
	{IPPROTO_RAW, IPV6_HDRINCL}, /* the same by another level */
};

static int finish_filter(scmp_filter_ctx ctx, int rc, struct cs_err *err)
{
	if (rc == 0)
		rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (rc == 0)
		rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_LOG, 1);
	if (rc == 0)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	return rc < 0 ? cs_fail(err, CS_ESYS, "seccomp: %s", strerror(-rc)) : 0;
}

static int refuse_options(struct cs_err *err)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int rc = 0;

	if (!ctx)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused) && rc == 0; i++)
		rc = seccomp_rule_add(
			ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(setsockopt), 2,
			SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)refused[i][0]),
			SCMP_A2(SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)refused[i][1]));
	return finish_filter(ctx, rc, err);
}

static int filter(const int *calls, size_t n, struct cs_err *err)
{
	/* An error instead of death: a call that nobody thought of must not end a daemon that
	 * carries traffic. The kernel's audit log names it. */
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int rc = 0;

	if (!ctx)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	for (size_t i = 0; i < n && rc == 0; i++)
		/* Negative: this architecture has no call of that name. */
		if (calls[i] >= 0)
			rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
	return finish_filter(ctx, rc, err);
}
#endif

int iked_filter_calls(struct cs_err *err)
{
#ifdef HAVE_SECCOMP
	int status = refuse_options(err);

	return status < 0 ? status : filter(allowed, sizeof(allowed) / sizeof(*allowed), err);
#else
	return cs_fail(err, CS_EUNSUPPORTED, "built without libseccomp");
#endif
}

int iked_filter_certs(struct cs_err *err)
{
#ifdef HAVE_SECCOMP
	return filter(allowed_certs, sizeof(allowed_certs) / sizeof(*allowed_certs), err);
#else
	return cs_fail(err, CS_EUNSUPPORTED, "built without libseccomp");
#endif
}
