/*
 * The command line of the ipsec command.  A primary option says what is handled, a keyword behind
 * it what is done; the other options may come in any order.
 */
#ifndef IPSEC_COMMAND_H
#define IPSEC_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "common/paths.h"
#include "ipsec-cli/report.h"

enum action {
	ACTION_DISPLAY,
	ACTION_ACTIVATE,
	ACTION_DEACTIVATE,
	ACTION_REFRESH,
	ACTION_DEFAULT,
	ACTION_RELOAD,
	ACTION_HELP,
	ACTION_VERSION
};

/* Names given to an option; each is the list's own. */
struct names {
	char **name;
	size_t n;
};

struct command {
	char primary; /* 'f', 'k', 'm', 'o' or 'y' */
	enum action action;
	char stack[CS_STACK_MAX + 1]; /* -p */
	enum layout layout;           /* -r */
	bool json, fail_empty;
	bool from_ike;         /* -b */
	bool every_generation; /* -c all */
	const char *filters;   /* -c policy or profile with -f; NULL: those in force */
	bool all;              /* -a all */
	int wait;              /* --wait, seconds; -1: not given */
	struct names ids;      /* -a, "K1" */
	struct names names;    /* -n */
	struct names groups;   /* -g */
	struct names rules;    /* -l */
};

/* CS_EINVAL or CS_EUNSUPPORTED with a text for the user. command_free() in every case. */
int command_parse(int argc, char **argv, struct command *cmd, struct cs_err *err);
void command_free(struct command *cmd);
bool names_have(const struct names *list, const char *name);

extern const char command_usage[];

#endif
