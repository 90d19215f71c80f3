/*
 * pagent's default filters: the profile that has them, whether the operator has chosen them, and
 * what is in force therefore.  The choice is a file in the stack's state directory: it is there, or
 * it is not, so a crash leaves one of the two.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "policy/pagent.h"

#define CHOICE "default-filters"

/* ---- the choice ---- */

static int sync_dir(const char *path, struct cs_err *err)
{
	char dir[CS_PATH_MAX];
	int fd, rc = 0;

	snprintf(dir, sizeof(dir), "%s", path);
	*strrchr(dir, '/') = '\0';
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		rc = cs_fail_errno(err, "cannot make the choice of filters last: %s", dir);
	if (fd >= 0)
		close(fd);
	return rc;
}

int pagent_choice_load(const char *stack, bool *defaults, struct cs_err *err)
{
	char path[CS_PATH_MAX];
	struct stat st;
	int rc = cs_state_path(stack, CHOICE, path, err);

	*defaults = false;
	if (rc < 0)
		return rc;
	if (lstat(path, &st) == 0)
		*defaults = true;
	else if (errno != ENOENT && errno != ENOTDIR)
		return cs_fail_errno(err, "cannot look at %s", path);
	return 0;
}

int pagent_choice_save(const char *stack, bool defaults, struct cs_err *err)
{
	char path[CS_PATH_MAX];
	int rc = cs_state_path(stack, CHOICE, path, err), fd;

	if (rc < 0)
		return rc;
	if (!defaults) {
		if (unlink(path) < 0 && errno != ENOENT)
			return cs_fail_errno(err, "cannot remove %s", path);
		return sync_dir(path, err);
	}
	fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd < 0)
		return cs_fail_errno(err, "cannot make %s", path);
	close(fd);
	return sync_dir(path, err);
}

/* ---- what is in force ---- */

struct pol_policy *pagent_in_force(const struct pagent *p)
{
	struct pol_policy *policy = p->policy && p->policy->ipsec ? p->policy : NULL;
	bool instead = p->chosen || p->refused || !policy;

	return p->defaults && instead ? p->defaults : policy;
}

const char *pagent_filters_name(const struct pol_policy *policy, char buf[static PAGENT_NAME_LEN])
{
	if (!policy)
		strcpy(buf, "a policy without filters");
	else if (pol_is_profile(policy))
		strcpy(buf, "the set of default filters");
	else
		snprintf(buf, PAGENT_NAME_LEN, "policy generation %llu",
			 (unsigned long long)policy->generation);
	return buf;
}

/* ---- the profile ---- */

static void on_finding(void *arg, const struct pol_diag *d)
{
	(void)arg;
	pagent_log_finding(d);
}

int pagent_read_profile(struct pagent *p)
{
	struct pol_policy *defaults = NULL;
	bool had = p->defaults != NULL;
	struct cs_err err;
	int rc = pol_profile(p->o->profile, on_finding, NULL, &defaults, &err);

	p->profile_bad = rc < 0 && rc != CS_ENOTFOUND;
	/* Without one there never were any; one that was there is missed. */
	if (rc < 0) {
		if (rc != CS_ENOTFOUND || had)
			cs_log(CS_NOCTX, CSM_PA_PROFILE_BAD, p->o->profile,
			       had ? "those that it had stay" : "and there are no others",
			       err.text);
		return rc;
	}
	if (had && p->defaults->generation == defaults->generation) {
		pol_unref(defaults);
		return 0;
	}
	cs_log(CS_NOCTX, CSM_PA_PROFILE, p->o->profile, defaults->n_rules);
	pol_unref(p->defaults);
	p->defaults = defaults;
	return 0;
}

/* ---- choosing ---- */

int pagent_defaults_open(struct pagent *p)
{
	struct cs_err err;
	int rc;

	if (pagent_choice_load(p->o->stack, &p->chosen, &err) < 0)
		cs_log(CS_NOCTX, CSM_PA_CHOICE_BAD, err.text);
	rc = pagent_read_profile(p);
	if (p->chosen && !p->defaults)
		cs_log(CS_NOCTX, CSM_PA_NO_DEFAULTS);
	return rc;
}

void pagent_defaults_tell(struct pagent *p)
{
	bool now = p->defaults && pagent_in_force(p) == p->defaults;

	if (now && !p->defaults_told)
		cs_log(CS_NOCTX, CSM_PA_DEFAULTS, p->o->profile,
		       p->chosen    ? "they were chosen by ipsec -f default"
		       : p->refused ? "the kernel refuses the policy"
		       : p->policy  ? "the policy has no IPSec part"
				    : "there is no policy yet");
	else if (!now && p->defaults_told)
		cs_log(CS_NOCTX, CSM_PA_DEFAULTS_LEFT);
	p->defaults_told = now;
}

int pagent_choose_defaults(struct pagent *p, bool *changed, struct cs_err *err)
{
	int rc;

	*changed = false;
	pagent_read_profile(p);
	if (!p->defaults)
		return cs_fail(err, CS_EPOLICY, "there are no default filters: profile %s %s",
			       p->o->profile,
			       access(p->o->profile, F_OK) < 0 ? "does not exist"
							       : "cannot be used, see the log");
	if (p->chosen)
		return pagent_kernel_install(p, err);
	/* The choice first: a crash before the next step is made good by the next start. */
	rc = pagent_choice_save(p->o->stack, true, err);
	if (rc < 0)
		return rc;
	p->chosen = true;
	rc = pagent_kernel_install(p, err);
	if (rc < 0) {
		/* What was in force is in force, and shall be after the next start. */
		p->chosen = false;
		pagent_choice_save(p->o->stack, false, NULL);
		pagent_kernel_look(p);
		return rc;
	}
	*changed = true;
	pagent_defaults_tell(p);
	return 0;
}

int pagent_choose_policy(struct pagent *p, bool *changed, struct cs_err *err)
{
	int rc = 0;

	*changed = p->chosen;
	if (p->chosen)
		rc = pagent_choice_save(p->o->stack, false, err);
	if (rc < 0)
		return rc;
	p->chosen = false;
	if (pagent_in_force(p))
		rc = pagent_kernel_install(p, err);
	if (rc == 0)
		pagent_defaults_tell(p);
	return rc;
}
