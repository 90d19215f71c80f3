/* What the command lines of all daemons have in common. */
#include "common/options.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum cs_exit cs_usage(const char *program, const char *what, const char *value)
{
	fprintf(stderr, "%s: %s%s%s\nTry '%s --help'.\n", program, what, value ? ": " : "",
		value ? value : "", program);
	return CS_EXIT_USAGE;
}

int cs_order(const char *program, int option, const char *word)
{
	if (option == 'k' && strcmp(word, "stop") == 0)
		return SIGTERM;
	if (option == 'r' && strcmp(word, "refresh") == 0)
		return SIGHUP;
	cs_usage(program, option == 'k' ? "-k takes stop, not" : "-r takes refresh, not", word);
	return 0;
}

int cs_absolute(const char *file, char *path, size_t size, struct cs_err *err)
{
	char here[PATH_MAX] = "";
	int n;

	if (file[0] != '/' && !getcwd(here, sizeof(here)))
		return cs_fail_errno(err, "the directory we are in");
	n = snprintf(path, size, "%s%s%s", here, file[0] == '/' ? "" : "/", file);
	if (n < 0 || (size_t)n >= size)
		return cs_fail(err, CS_EINVAL, "the name of the file is too long");
	return 0;
}

bool cs_number(const char *text, unsigned least, unsigned most, unsigned *n)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value < least || value > most)
		return false;
	*n = (unsigned)value;
	return true;
}
