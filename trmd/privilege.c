/*
 * What trmd may do: nothing but to write its files and iked's database, as the user that the latter
 * belongs to.  It has no capability, so it cannot look into iked's worker, which has one.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trmd/trmd.h"

static const struct passwd *identity(const char *user, struct cs_err *err)
{
	const char *name = user ? user : TRMD_USER;
	const struct passwd *pw = getpwnam(name);

	if (!pw) {
		cs_fail(err, CS_ENOTFOUND,
			"there is no user %s; make it (useradd --system %s) or name another with "
			"--user",
			name, name);
		return NULL;
	}
	if (pw->pw_uid == 0) {
		cs_fail(err, CS_EINVAL, "trmd must not run as %s", pw->pw_name);
		return NULL;
	}
	return pw;
}

/* One that is there stays as it is: whose it is, and who may read it, is the administrator's. */
static int make_directory(const char *directory, const struct passwd *pw, struct cs_err *err)
{
	struct stat st;
	int fd, rc = 0;

	if (stat(directory, &st) == 0)
		return 0;
	rc = cs_make_dir(directory, 0750, err);
	if (rc < 0 || !pw)
		return rc;
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchown(fd, pw->pw_uid, pw->pw_gid) < 0)
		rc = cs_fail_errno(err, "cannot prepare %s", directory);
	if (fd >= 0)
		close(fd);
	return rc;
}

static int become(const struct passwd *pw, struct cs_err *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return cs_fail_errno(err, "cannot give up new privileges");
	/* Nothing could be gained from it any more; where it cannot be dropped, that is no harm. */
	for (int cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
		;
	if (setgroups(0, NULL) < 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
		return cs_fail_errno(err, "cannot become user %s", pw->pw_name);
	/* Leaving uid 0 gave up all capabilities; it must be so. */
	if (setuid(0) == 0)
		return cs_fail(err, CS_EPERM, "user %s can become root again", pw->pw_name);
	return 0;
}

int trmd_privilege_drop(const char *user, const char *directory, struct cs_err *err)
{
	const struct passwd *pw;
	int rc;

	if (geteuid() != 0)
		return make_directory(directory, NULL, err);
	pw = identity(user, err);
	if (!pw)
		return err->code;
	rc = make_directory(directory, pw, err);
	return rc == 0 ? become(pw, err) : rc;
}
