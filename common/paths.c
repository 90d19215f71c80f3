/* Where a stack's files are. */
#include "common/paths.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

int cs_stack_check(const char *stack, struct cs_err *err)
{
	size_t n = strlen(stack);

	if (n == 0 || n > CS_STACK_MAX)
		return cs_fail(err, CS_EINVAL, "a stack name has 1 to %d characters", CS_STACK_MAX);
	if (stack[0] == '.' || stack[0] == '-')
		return cs_fail(err, CS_EINVAL, "a stack name does not start with '%c'", stack[0]);
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)stack[i]) && !strchr("_-@#$.", stack[i]))
			return cs_fail(err, CS_EINVAL, "a stack name does not contain '%c'",
				       isprint((unsigned char)stack[i]) ? stack[i] : '?');
	return 0;
}

int cs_stack_find(const char *base, char stack[static CS_STACK_MAX + 1], struct cs_err *err)
{
	char found[CS_STACK_MAX + 1] = "";
	DIR *dir = opendir(base);
	struct dirent *entry;
	bool several = false;

	if (!dir)
		return 0; /* whoever opens something there has an error that tells more */
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, stack) == 0) {
			closedir(dir);
			return 0;
		}
		if (strcasecmp(entry->d_name, stack) != 0)
			continue;
		several = found[0] != 0;
		memcpy(found, entry->d_name, strlen(stack) + 1);
	}
	closedir(dir);
	if (several)
		return cs_fail(err, CS_EINVAL,
			       "more than one stack is called %s but for capital letters", stack);
	if (found[0])
		memcpy(stack, found, sizeof(found));
	return 0;
}

static int join(const char *variable, const char *preset, const char *stack, const char *leaf,
		char path[static CS_PATH_MAX], struct cs_err *err)
{
	/* A user of a setuid program does not choose whose files it reads. */
	const char *base = secure_getenv(variable);
	int n;

	if (!base || !*base)
		base = preset;
	n = snprintf(path, CS_PATH_MAX, "%s%s%s%s%s", base, stack ? "/" : "", stack ? stack : "",
		     leaf ? "/" : "", leaf ? leaf : "");
	if (n < 0 || n >= CS_PATH_MAX)
		return cs_fail(err, CS_EINVAL, "the path in %s is too long", variable);
	return 0;
}

int cs_run_path(const char *stack, const char *leaf, char path[static CS_PATH_MAX],
		struct cs_err *err)
{
	return join("CSIPSEC_RUNDIR", "/run/csipsec", stack, leaf, path, err);
}

int cs_state_path(const char *stack, const char *leaf, char path[static CS_PATH_MAX],
		  struct cs_err *err)
{
	return join("CSIPSEC_STATEDIR", "/var/lib/csipsec", stack, leaf, path, err);
}

int cs_conf_path(const char *leaf, char path[static CS_PATH_MAX], struct cs_err *err)
{
	return join("CSIPSEC_CONFDIR", "/etc/csipsec", NULL, leaf, path, err);
}

int cs_make_dir(const char *path, unsigned mode, struct cs_err *err)
{
	char part[CS_PATH_MAX];
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof(part))
		return cs_fail(err, CS_EINVAL, "cannot make a directory of this path");
	memcpy(part, path, n + 1);
	for (char *p = part + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return cs_fail_errno(err, "cannot make %s", part);
		*p = '/';
	}
	if (mkdir(part, mode) < 0 && errno != EEXIST)
		return cs_fail_errno(err, "cannot make %s", part);
	return 0;
}
