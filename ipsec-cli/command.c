/* Reading the command line: z/OS's grammar, with long options for what z/OS does not have. */
#include "ipsec-cli/command.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define KEYWORD_MIN 3 /* a keyword may be cut to this */
#define WAIT_MAX    86400

const char command_usage[] =
	"Usage: ipsec PRIMARY KEYWORD [OPTION...]\n"
	"\n"
	"  -f display     IP filters                 [-n FILTER...] [-g GROUP...]\n"
	"                 -c: current (in force, default), policy or profile\n"
	"  -f default     the default filters of the profile, until reload\n"
	"  -f reload      the policy's filters again\n"
	"  -k display     IKE (phase 1) tunnels      [-a K1...] [-n KEYEXCHANGERULE...]\n"
	"  -k deactivate  with their dynamic tunnels  -a K1...|all\n"
	"  -k refresh     -a K1... [--wait SECONDS]\n"
	"  -m display     manual tunnels             [-a M1...] [-n MANVPNACTION...]\n"
	"  -m activate    -a M1... or -n MANVPNACTION...\n"
	"  -m deactivate  -a M1...|all or -n MANVPNACTION...\n"
	"  -o display     remote ports of clients behind NAT, translated\n"
	"  -y display     dynamic (phase 2) tunnels  [-a Y2...] [-n VPNACTION...] [-l RULE...]\n"
	"                 -b: as iked sees them, not the stack\n"
	"  -y activate    -l LOCALDYNVPNRULE... [--wait SECONDS]\n"
	"  -y deactivate  -a Y2...|all or -l LOCALDYNVPNRULE...\n"
	"  -y refresh     -a Y2... or -l LOCALDYNVPNRULE... [--wait SECONDS]\n"
	"\n"
	"  -p STACK       the stack (network namespace); default TCPIP\n"
	"  -r FORM        short, detail (default) or wide\n"
	"  -c SCOPE       of -k and -y: current (default): the newest SA of each tunnel;\n"
	"                 all: every one\n"
	"  --json         one JSON document: heading and entries\n"
	"  --fail-empty   exit 1 when nothing was selected\n"
	"  --help, -?     this text          --version\n"
	"\n"
	"Keywords may be cut to three letters. Exit: 0 done, 1 nothing selected (--fail-empty),\n"
	"2 usage, 3 not authorized, 4 daemon not reachable, 5 a target failed, 6 negotiation\n"
	"failed or timed out (--wait).\n"
	"\n"
	"  ipsec -p left -k display -r wide\n"
	"  ipsec -y activate -l BranchA_Vpn --wait 30\n"
	"  ipsec -y dis -b --json\n";

/* ---- options ---- */

enum option_id {
	O_PRIMARY,
	O_STACK,
	O_FORMAT,
	O_SCOPE,
	O_IDS,
	O_NAMES,
	O_GROUPS,
	O_RULES,
	O_FROM_IKE,
	O_JSON,
	O_FAIL_EMPTY,
	O_WAIT,
	O_HELP,
	O_VERSION,
	O_ABSENT, /* z/OS has it, this release does not */
};

enum arity { NONE, ONE, LIST };

#define DISPLAY    (1u << ACTION_DISPLAY)
#define ACTIVATE   (1u << ACTION_ACTIVATE)
#define DEACTIVATE (1u << ACTION_DEACTIVATE)
#define REFRESH    (1u << ACTION_REFRESH)
#define DEFAULT    (1u << ACTION_DEFAULT)
#define RELOAD     (1u << ACTION_RELOAD)
#define EVERY      (DISPLAY | ACTIVATE | DEACTIVATE | REFRESH | DEFAULT | RELOAD)

static const struct option {
	const char *text;
	enum option_id id;
	enum arity arity;
	const char *primaries; /* that may have it */
	unsigned actions;      /* that may have it */
	const char *what;      /* O_ABSENT: what it would be */
} options[] = {
	{"-f", O_PRIMARY, ONE, "fkmoy", EVERY, NULL},
	{"-k", O_PRIMARY, ONE, "fkmoy", EVERY, NULL},
	{"-m", O_PRIMARY, ONE, "fkmoy", EVERY, NULL},
	{"-o", O_PRIMARY, ONE, "fkmoy", EVERY, NULL},
	{"-y", O_PRIMARY, ONE, "fkmoy", EVERY, NULL},
	{"-p", O_STACK, ONE, "fkmoy", EVERY, NULL},
	{"-r", O_FORMAT, ONE, "fkmoy", DISPLAY, NULL},
	{"-c", O_SCOPE, ONE, "fkmoy", DISPLAY, NULL},
	{"-a", O_IDS, LIST, "kmy", EVERY, NULL},
	{"-n", O_NAMES, LIST, "fkmy", EVERY, NULL},
	{"-g", O_GROUPS, LIST, "f", DISPLAY, NULL},
	{"-l", O_RULES, LIST, "y", EVERY, NULL},
	{"-b", O_FROM_IKE, NONE, "y", DISPLAY, NULL},
	{"--json", O_JSON, NONE, "fkmoy", EVERY, NULL},
	{"--fail-empty", O_FAIL_EMPTY, NONE, "fkmoy", DISPLAY, NULL},
	{"--wait", O_WAIT, ONE, "ky", ACTIVATE | REFRESH, NULL},
	{"--help", O_HELP, NONE, "fkmoy", EVERY, NULL},
	{"-?", O_HELP, NONE, "fkmoy", EVERY, NULL},
	{"--version", O_VERSION, NONE, "fkmoy", EVERY, NULL},
	{"-F", O_ABSENT, NONE, "", 0, "defensive filters"},
	{"-i", O_ABSENT, NONE, "", 0, "interfaces"},
	{"-t", O_ABSENT, NONE, "", 0, "traffic test"},
	{"-w", O_ABSENT, NONE, "", 0, "NSS clients"},
	{"-x", O_ABSENT, NONE, "", 0, "NSS server"},
	{"-z", O_ABSENT, NONE, "", 0, "NSS client name"},
	{"-G", O_ABSENT, NONE, "", 0, "global defensive filters"},
	{"-e", O_ABSENT, NONE, "", 0, "cascaded display"},
	{"-s", O_ABSENT, NONE, "", 0, "shadow tunnels"},
	{"-h", O_ABSENT, NONE, "", 0, "resolution filters; for help: ipsec --help"},
};

/* Keywords behind a primary option. */
static const struct keyword {
	char primary;
	const char *text;
	enum action action;
} keywords[] = {
	{'f', "display", ACTION_DISPLAY},       {'f', "default", ACTION_DEFAULT},
	{'f', "reload", ACTION_RELOAD},         {'k', "display", ACTION_DISPLAY},
	{'k', "deactivate", ACTION_DEACTIVATE}, {'k', "refresh", ACTION_REFRESH},
	{'m', "display", ACTION_DISPLAY},       {'m', "activate", ACTION_ACTIVATE},
	{'m', "deactivate", ACTION_DEACTIVATE}, {'o', "display", ACTION_DISPLAY},
	{'y', "display", ACTION_DISPLAY},       {'y', "activate", ACTION_ACTIVATE},
	{'y', "deactivate", ACTION_DEACTIVATE}, {'y', "refresh", ACTION_REFRESH},
};

static bool is_keyword(const char *word, const char *keyword)
{
	size_t n = strlen(word);

	return n >= KEYWORD_MIN && n <= strlen(keyword) && strncasecmp(word, keyword, n) == 0;
}

/* ---- lists ---- */

bool names_have(const struct names *list, const char *name)
{
	for (size_t i = 0; name && i < list->n; i++)
		if (strcmp(list->name[i], name) == 0)
			return true;
	return false;
}

static int names_add(struct names *list, const char *word, size_t len, struct cs_err *err)
{
	char **grown = realloc(list->name, (list->n + 1) * sizeof(*grown));
	char *copy;

	if (!grown)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	list->name = grown;
	copy = strndup(word, len);
	if (!copy)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	list->name[list->n++] = copy;
	return 0;
}

/* Adds the names of one word; commas separate, too. */
static int names_split(struct names *list, const char *word, struct cs_err *err)
{
	for (;;) {
		size_t len = strcspn(word, ",");
		int rc = len > 0 ? names_add(list, word, len, err)
				 : cs_fail(err, CS_EINVAL, "there is an empty name in a list");

		if (rc < 0 || !word[len])
			return rc;
		word += len + 1;
	}
}

static void names_free(struct names *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->name[i]);
	free(list->name);
	*list = (struct names){0};
}

/* ---- values ---- */

static int set_primary(struct command *cmd, const struct option *o, const char *word,
		       struct cs_err *err)
{
	if (cmd->primary)
		return cs_fail(err, CS_EINVAL, "-%c and %s cannot be combined", cmd->primary,
			       o->text);
	cmd->primary = o->text[1];
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		const struct keyword *k = &keywords[i];

		if (k->primary != cmd->primary || !is_keyword(word, k->text))
			continue;
		cmd->action = k->action;
		return 0;
	}
	if (cmd->primary == 'k' && is_keyword(word, "activate"))
		return cs_fail(err, CS_EINVAL,
			       "an IKE tunnel is activated with its dynamic tunnel: -y activate");
	return cs_fail(err, CS_EINVAL, "%s has no keyword '%s'", o->text, word);
}

static int set_stack(struct command *cmd, const char *word, struct cs_err *err)
{
	int rc = cs_stack_check(word, err);

	if (rc < 0)
		return cs_err_prefix(err, "-p %s", word);
	memcpy(cmd->stack, word, strlen(word) + 1);
	return 0;
}

static int set_layout(struct command *cmd, const char *word, struct cs_err *err)
{
	for (int layout = LAYOUT_SHORT; layout <= LAYOUT_WIDE; layout++)
		if (is_keyword(word, layout_name((enum layout)layout))) {
			cmd->layout = (enum layout)layout;
			return 0;
		}
	return cs_fail(err, CS_EINVAL, "-r is short, detail or wide, not '%s'", word);
}

static int set_scope(struct command *cmd, const char *word, struct cs_err *err)
{
	if (is_keyword(word, "current"))
		return 0;
	if (is_keyword(word, "profile") || is_keyword(word, "policy")) {
		cmd->filters = is_keyword(word, "profile") ? "profile" : "policy";
		return 0;
	}
	if (!is_keyword(word, "all"))
		return cs_fail(err, CS_EINVAL,
			       "-c is current or all, or with -f policy or profile, not '%s'",
			       word);
	cmd->every_generation = true;
	return 0;
}

static int set_wait(struct command *cmd, const char *word, struct cs_err *err)
{
	char *end = NULL;
	long v = isdigit((unsigned char)word[0]) ? strtol(word, &end, 10) : -1;

	if (v < 0 || v > WAIT_MAX || *end)
		return cs_fail(err, CS_EINVAL, "--wait is a number of seconds up to %d, not '%s'",
			       WAIT_MAX, word);
	cmd->wait = (int)v;
	return 0;
}

static int set_value(struct command *cmd, const struct option *o, const char *word,
		     struct cs_err *err)
{
	switch (o->id) {
	case O_PRIMARY:
		return set_primary(cmd, o, word, err);
	case O_STACK:
		return set_stack(cmd, word, err);
	case O_FORMAT:
		return set_layout(cmd, word, err);
	case O_SCOPE:
		return set_scope(cmd, word, err);
	case O_IDS:
		return names_split(&cmd->ids, word, err);
	case O_NAMES:
		return names_split(&cmd->names, word, err);
	case O_GROUPS:
		return names_split(&cmd->groups, word, err);
	case O_RULES:
		return names_split(&cmd->rules, word, err);
	case O_WAIT:
		return set_wait(cmd, word, err);
	case O_FROM_IKE:
		cmd->from_ike = true;
		return 0;
	case O_JSON:
		cmd->json = true;
		return 0;
	case O_FAIL_EMPTY:
		cmd->fail_empty = true;
		return 0;
	case O_HELP:
	case O_VERSION:
		return 0;
	case O_ABSENT:
		break;
	}
	return cs_fail(err, CS_EUNSUPPORTED, "this release does not have %s (%s)", o->text,
		       o->what);
}

/* ---- the line as a whole ---- */

static const char *const action_names[] = {"display", "activate", "deactivate",
					   "refresh", "default",  "reload"};

/* "K1" as it is listed; the letter may be a small one. */
static int check_ids(struct command *cmd, struct cs_err *err)
{
	char letter = (char)toupper((unsigned char)cmd->primary);

	for (size_t i = 0; i < cmd->ids.n; i++) {
		char *id = cmd->ids.name[i];
		size_t digits;

		if (cmd->action == ACTION_DEACTIVATE && is_keyword(id, "all")) {
			cmd->all = true;
			continue;
		}
		digits = strspn(id + (*id != 0), "0123456789");
		if (toupper((unsigned char)*id) != letter || digits == 0 || digits > 10 ||
		    id[1] == '0' || id[1 + digits] || strtoull(id + 1, NULL, 10) > UINT32_MAX)
			return cs_fail(err, CS_EINVAL, "'%s' is no tunnel of -%c: %c and a number",
				       id, cmd->primary, letter);
		id[0] = letter;
	}
	if (cmd->all && cmd->ids.n > 1)
		return cs_fail(err, CS_EINVAL, "-a all stands alone");
	return 0;
}

static int check_manual_targets(const struct command *cmd, struct cs_err *err)
{
	if (cmd->action == ACTION_DISPLAY)
		return 0;
	if (cmd->ids.n + cmd->names.n == 0)
		return cs_fail(err, CS_EINVAL,
			       "-m %s needs -a and a tunnel, or -n and an IpManVpnAction%s",
			       action_names[cmd->action],
			       cmd->action == ACTION_DEACTIVATE ? ", or -a all" : "");
	if (cmd->ids.n > 0 && cmd->names.n > 0)
		return cs_fail(err, CS_EINVAL, "-a and -n cannot be combined with %s",
			       action_names[cmd->action]);
	return 0;
}

static int check_targets(const struct command *cmd, struct cs_err *err)
{
	if (cmd->primary == 'm')
		return check_manual_targets(cmd, err);
	if (cmd->action != ACTION_DISPLAY && cmd->names.n > 0)
		return cs_fail(err, CS_EINVAL, "-n does not go with %s", action_names[cmd->action]);
	if (cmd->action == ACTION_ACTIVATE && cmd->ids.n > 0)
		return cs_fail(err, CS_EINVAL, "-a does not go with activate");
	if (cmd->action == ACTION_ACTIVATE && cmd->rules.n == 0)
		return cs_fail(err, CS_EINVAL, "-y activate needs -l and a LocalDynVpnRule");
	if (cmd->action != ACTION_DEACTIVATE && cmd->action != ACTION_REFRESH)
		return 0;
	if (cmd->ids.n + cmd->rules.n == 0)
		return cs_fail(err, CS_EINVAL, "-%c %s needs -a and a tunnel%s%s", cmd->primary,
			       action_names[cmd->action],
			       cmd->primary == 'y' ? ", or -l and a rule" : "",
			       cmd->action == ACTION_DEACTIVATE ? ", or -a all" : "");
	if (cmd->ids.n > 0 && cmd->rules.n > 0)
		return cs_fail(err, CS_EINVAL, "-a and -l cannot be combined with %s",
			       action_names[cmd->action]);
	return 0;
}

/* Whether each option given goes with the primary option and the keyword. */
static int check_options(const struct command *cmd, const bool *given, struct cs_err *err)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		const struct option *o = &options[i];

		if (!given[i])
			continue;
		if (!strchr(o->primaries, cmd->primary))
			return cs_fail(err, CS_EINVAL, "%s does not go with -%c", o->text,
				       cmd->primary);
		if (!(o->actions & (1u << cmd->action)))
			return cs_fail(err, CS_EINVAL, "%s does not go with %s", o->text,
				       action_names[cmd->action]);
	}
	return 0;
}

/* The option that word names, with *value what stands behind '=' in a long one. */
static const struct option *find_option(const char *word, const char **value)
{
	size_t len = strncmp(word, "--", 2) == 0 ? strcspn(word, "=") : strlen(word);

	*value = word[len] == '=' ? word + len + 1 : NULL;
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (strlen(options[i].text) == len && strncmp(options[i].text, word, len) == 0)
			return &options[i];
	return NULL;
}

/* Reads the option at argv[*at] with its values and moves *at behind them. */
static int read_option(int argc, char **argv, int *at, struct command *cmd, bool *given,
		       struct cs_err *err)
{
	const char *word = argv[*at], *value;
	const struct option *o = find_option(word, &value);
	size_t index = (size_t)(o - options);
	int rc;

	if (!o)
		return cs_fail(err, CS_EINVAL,
			       word[0] == '-' ? "unknown option %s" : "'%s' belongs to no option",
			       word);
	(*at)++;
	if (o->arity == NONE) {
		if (value)
			return cs_fail(err, CS_EINVAL, "%s has no value", o->text);
		given[index] = true;
		return set_value(cmd, o, "", err);
	}
	if (o->arity == ONE && given[index])
		return cs_fail(err, CS_EINVAL, "%s stands twice", o->text);
	given[index] = true;
	if (value)
		return set_value(cmd, o, value, err);
	if (*at == argc || argv[*at][0] == '-' || !argv[*at][0])
		return cs_fail(err, CS_EINVAL,
			       o->id == O_PRIMARY ? "%s needs a keyword" : "%s needs a value",
			       o->text);
	do {
		rc = set_value(cmd, o, argv[(*at)++], err);
	} while (rc == 0 && o->arity == LIST && *at < argc && argv[*at][0] != '-');
	return rc;
}

int command_parse(int argc, char **argv, struct command *cmd, struct cs_err *err)
{
	bool given[sizeof(options) / sizeof(options[0])] = {false};
	int rc = 0;

	*cmd = (struct command){.stack = CS_STACK_DEFAULT, .layout = LAYOUT_DETAIL, .wait = -1};
	for (int i = 1; i < argc; i++) {
		const char *value;
		const struct option *o = find_option(argv[i], &value);

		if (o && (o->id == O_HELP || o->id == O_VERSION)) {
			cmd->action = o->id == O_HELP ? ACTION_HELP : ACTION_VERSION;
			return 0;
		}
	}
	for (int at = 1; rc == 0 && at < argc;)
		rc = read_option(argc, argv, &at, cmd, given, err);
	if (rc == 0 && !cmd->primary)
		rc = cs_fail(err, CS_EINVAL, "a primary option is needed: -f, -k, -m, -o or -y");
	if (rc == 0)
		rc = check_options(cmd, given, err);
	if (rc == 0)
		rc = check_ids(cmd, err);
	if (rc == 0)
		rc = check_targets(cmd, err);
	if (rc == 0 && cmd->every_generation && strchr("fmo", cmd->primary))
		rc = cs_fail(err, CS_EINVAL, "-c all does not go with -%c", cmd->primary);
	if (rc == 0 && cmd->filters && cmd->primary != 'f')
		rc = cs_fail(err, CS_EINVAL, "-c %s does not go with -%c", cmd->filters,
			     cmd->primary);
	return rc;
}

void command_free(struct command *cmd)
{
	names_free(&cmd->ids);
	names_free(&cmd->names);
	names_free(&cmd->groups);
	names_free(&cmd->rules);
}
