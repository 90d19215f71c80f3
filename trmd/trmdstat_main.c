/* trmdstat: the command line. */
#include <ctype.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/options.h"
#include "trmd/trmdstat.h"

/* As smfdump ends. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_EMPTY = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_AUTHORIZED = 3,
	EXIT_ABSENT = 4,
	EXIT_BROKEN = 5,
};

static const char usage_text[] =
	"Usage: trmdstat [REPORT ...] [SELECTION] [--json] LOG_FILE_NAME ...\n"
	"\n"
	"Summarizes what trmd logged: lines of a syslog file and, for tunnels, SMF records. A\n"
	"LOG_FILE_NAME is either, compressed by gzip or not; '-' is the standard input; of a\n"
	"directory of trmd's SMF files what is acknowledged is read.\n"
	"\n"
	"Reports (all of these when none is named):\n"
	"  --filters          packets permitted and denied, by rule\n"
	"  --tunnels          tunnels, by event and peer or VPN action\n"
	"  --failures         negotiation failures, by cause and peer\n"
	"  -A -C -F -G -I -N -Q -T -U, with -D, -E, -S\n"
	"                     the original's, of intrusion detection, which csipsec does not have\n"
	"\n"
	"Selection:\n"
	"  -i, --from TIME    of this time or later: MMDDHHMMSS, 2026-01-15,\n"
	"                     2026-01-15T10:20:30 (UTC), or -90m, -2h, -7d before now\n"
	"  -f, --to TIME      of this time or earlier\n"
	"  -j STACK           of this stack\n"
	"  -h ADDRESS         from or to this address: an address, A/LEN or A-B\n"
	"  -s ADDRESS         packets from this address\n"
	"  -t ADDRESS         packets to this address\n"
	"  -p PORT[-PORT]     packets to these ports\n"
	"  -n INTERFACE       packets of this interface\n"
	"  -k ADDRESS, -c CORRELATOR\n"
	"                     of intrusion detection, and not used\n"
	"\n"
	"  --json             one JSON object\n"
	"  --fail-empty       exit 1 when nothing was selected\n"
	"  -v, --verbose, -d LEVEL\n"
	"                     more counts, on the standard error\n"
	"  --help, -?         this text                 --version\n"
	"\n"
	"Exit: 0 done, 1 nothing selected (--fail-empty), 2 usage, 3 not authorized, 4 no such "
	"file,\n"
	"5 something could not be read, or the output not be written.\n"
	"\n"
	"  trmdstat --filters -i -24h /var/log/syslog\n"
	"  trmdstat --json --tunnels /var/lib/csipsec/TCPIP/smf | jq .smf_tunnels\n";

enum { O_FILTERS = 256, O_TUNNELS, O_FAILURES, O_JSON, O_FAIL_EMPTY, O_HELP, O_VERSION };

static const struct option long_options[] = {
	{"filters", no_argument, NULL, O_FILTERS},
	{"tunnels", no_argument, NULL, O_TUNNELS},
	{"failures", no_argument, NULL, O_FAILURES},
	{"from", required_argument, NULL, 'i'},
	{"to", required_argument, NULL, 'f'},
	{"json", no_argument, NULL, O_JSON},
	{"fail-empty", no_argument, NULL, O_FAIL_EMPTY},
	{"verbose", no_argument, NULL, 'v'},
	{"version", no_argument, NULL, O_VERSION},
	{"help", no_argument, NULL, O_HELP},
	{0},
};

struct command {
	bool json, fail_empty;
	bool from_yearless, to_yearless;
	char unused[64]; /* letters of options of intrusion detection that change nothing */
};

static enum exit_code usage(const char *what, const char *value)
{
	cs_usage("trmdstat", what, value);
	return EXIT_USAGE;
}

static enum exit_code failed(const struct cs_err *err)
{
	fprintf(stderr, "trmdstat: %s\n", err->text);
	switch (err->code) {
	case CS_EPERM:
		return EXIT_NOT_AUTHORIZED;
	case CS_ENOTFOUND:
		return EXIT_ABSENT;
	default:
		return EXIT_BROKEN;
	}
}

/* ---- options ---- */

static int set_address(const char *value, bool *has, struct cs_range *range, struct cs_err *err)
{
	*has = true;
	return cs_range_parse(value, range, err);
}

static int set_ports(struct stat_select *s, const char *value, struct cs_err *err)
{
	char *end;
	unsigned long low, high;

	low = high = strtoul(value, &end, 10);
	if (isdigit((unsigned char)*value) && (*end == '-' || *end == ':') &&
	    isdigit((unsigned char)end[1]))
		high = strtoul(end + 1, &end, 10);
	if (!isdigit((unsigned char)*value) || *end || low > high || high > UINT16_MAX)
		return cs_fail(err, CS_EINVAL, "%s: ports are 21 or 21-220", value);
	s->has_ports = true;
	s->ports[0] = (uint16_t)low;
	s->ports[1] = (uint16_t)high;
	return 0;
}

static int set_text(char *to, size_t size, const char *value, const char *what, struct cs_err *err)
{
	if (!value[0] || strlen(value) >= size)
		return cs_fail(err, CS_EINVAL, "%s: no %s has such a name", value, what);
	strcpy(to, value);
	return 0;
}

static int set_value(struct trmdstat *s, struct command *c, int option, const char *value,
		     struct cs_err *err)
{
	struct stat_select *want = &s->select;

	switch (option) {
	case 'i':
		return stat_moment(value, s->now_us, &want->from_us, &c->from_yearless, err);
	case 'f':
		return stat_moment(value, s->now_us, &want->to_us, &c->to_yearless, err);
	case 'j':
		return cs_stack_check(value, err) < 0
			       ? (int)err->code
			       : set_text(want->stack, sizeof(want->stack), value, "stack", err);
	case 'h':
		return set_address(value, &want->has_host, &want->host, err);
	case 's':
		return set_address(value, &want->has_source, &want->source, err);
	case 't':
		return set_address(value, &want->has_destination, &want->destination, err);
	case 'p':
		return set_ports(want, value, err);
	case 'n':
		return set_text(want->interface, sizeof(want->interface), value, "interface", err);
	case 'd':
		s->verbose |= value[0] != '0';
		return isdigit((unsigned char)value[0])
			       ? 0
			       : cs_fail(err, CS_EINVAL, "%s: a debug level is a number", value);
	default: /* -k, -c */
		return 0;
	}
}

static void not_used(struct command *c, int option)
{
	size_t n = strlen(c->unused);

	if (n + 5 < sizeof(c->unused) && !strchr(c->unused, option))
		snprintf(c->unused + n, sizeof(c->unused) - n, "%s-%c", n ? " " : "", option);
}

/* Not negative: the exit code. */
static int set_option(struct trmdstat *s, struct command *c, int option, const char *value)
{
	struct cs_err err;

	for (unsigned i = 0; i < STAT_N_IDS; i++)
		if (option == stat_ids[i].option) {
			s->reports |= STAT_IDS_FIRST << i;
			return -1;
		}
	switch (option) {
	case O_FILTERS:
	case O_TUNNELS:
	case O_FAILURES:
		s->reports |= option == O_FILTERS   ? STAT_FILTERS
			      : option == O_TUNNELS ? STAT_TUNNELS
						    : STAT_FAILURES;
		return -1;
	case O_JSON:
		c->json = true;
		return -1;
	case O_FAIL_EMPTY:
		c->fail_empty = true;
		return -1;
	case 'v':
		s->verbose = true;
		return -1;
	case O_VERSION:
		printf("trmdstat (csipsec) %s\n", PACKAGE_VERSION);
		return EXIT_DONE;
	case O_HELP:
	case '?':
		fputs(usage_text, stdout);
		return EXIT_DONE;
	case 'D':
	case 'E':
	case 'S':
		not_used(c, option);
		return -1;
	case 'k':
	case 'c':
		not_used(c, option);
		/* fall through */
	default:
		return set_value(s, c, option, value, &err) < 0 ? (int)usage(err.text, NULL) : -1;
	}
}

/* The original's times have no year: the last one that makes sense. */
static int set_years(struct trmdstat *s, const struct command *c)
{
	struct stat_select *want = &s->select;

	if (c->from_yearless)
		want->from_us = stat_with_year(want->from_us, s->now_us);
	if (c->to_yearless)
		want->to_us = stat_with_year(want->to_us, s->now_us);
	if (want->from_us == STAT_NEVER || want->to_us == STAT_NEVER)
		return -1;
	if (c->to_yearless && want->to_us < want->from_us)
		want->to_us = stat_next_year(want->to_us);
	return want->to_us < want->from_us ? (int)usage("-f is before -i", NULL) : -1;
}

static int parse(int argc, char **argv, struct trmdstat *s, struct command *c)
{
	int option, rc;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":ACDEFGINQSTUi:f:j:h:s:t:p:n:k:c:d:v",
				     long_options, NULL)) != -1) {
		if (option == ':')
			return (int)usage("an option lacks its value", argv[optind - 1]);
		if (option == '?' && optopt != '?')
			return (int)usage("unknown option", argv[optind - 1]);
		rc = set_option(s, c, option, optarg);
		if (rc >= 0)
			return rc;
	}
	rc = set_years(s, c);
	if (rc >= 0)
		return rc;
	if (s->select.to_us != STAT_NEVER && s->select.to_us % 1000000 == 0)
		s->select.to_us += 999999; /* all of that second */
	if (optind == argc && isatty(STDIN_FILENO))
		return (int)usage("a log file is missing", NULL);
	if (!s->reports)
		s->reports = STAT_OURS;
	return -1;
}

/* As it was entered, for the heading. */
static char *command_of(int argc, char **argv)
{
	size_t len = sizeof("trmdstat");
	char *text, *p;

	for (int i = 1; i < argc; i++)
		len += strlen(argv[i]) + 1;
	text = malloc(len);
	if (!text)
		return NULL;
	p = stpcpy(text, "trmdstat");
	for (int i = 1; i < argc; i++) {
		*p++ = ' ';
		p = stpcpy(p, argv[i]);
	}
	for (p = text; *p; p++)
		if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
			*p = '?';
	return text;
}

/* ---- work ---- */

static int read_all(struct trmdstat *s, char *const *paths, int n)
{
	struct cs_err err;
	int worst = EXIT_DONE;

	for (int i = 0; i < (n ? n : 1); i++)
		if (stat_read(s, n ? paths[i] : NULL, &err) < 0) {
			worst = (int)failed(&err);
			s->failed = true;
		}
	return worst;
}

static struct stat_table *table_of(struct trmdstat *s, unsigned i)
{
	struct stat_table *const tables[] = {&s->filters, &s->tunnels, &s->smf_tunnels,
					     &s->failures, &s->smf_failures};

	return i < sizeof(tables) / sizeof(tables[0]) ? tables[i] : NULL;
}

static int run(struct trmdstat *s, const struct command *c, char *const *paths, int n)
{
	int rc = read_all(s, paths, n);

	for (unsigned i = 0; table_of(s, i); i++)
		stat_table_sort(table_of(s, i));
	if (c->unused[0])
		fprintf(stderr,
			"trmdstat: of intrusion detection, which csipsec does not have, and not "
			"used: "
			"%s\n",
			c->unused);
	if (!c->json)
		stat_write_text(s, stdout);
	else if (!stat_write_json(s, stdout))
		rc = EXIT_BROKEN;
	if (s->verbose)
		fprintf(stderr,
			"trmdstat: %llu lines of %d bytes and more, %llu messages that no report "
			"counts\n",
			(unsigned long long)s->long_lines, STAT_LINE_MAX + 1,
			(unsigned long long)s->other);
	for (unsigned i = 0; table_of(s, i); i++)
		stat_table_free(table_of(s, i));
	return rc == EXIT_DONE && s->failed ? EXIT_BROKEN : rc;
}

int main(int argc, char **argv)
{
	struct trmdstat s = {
		.now_us = (int64_t)time(NULL) * 1000000,
		.select = {.from_us = STAT_NEVER, .to_us = STAT_NEVER},
		.log_us = {STAT_NEVER, STAT_NEVER},
		.stack_us = {STAT_NEVER, STAT_NEVER},
	};
	struct command c = {0};
	int rc;

	signal(SIGPIPE, SIG_IGN); /* a reader that has gone is a write that fails */
	s.command = command_of(argc, argv);
	rc = s.command ? parse(argc, argv, &s, &c) : EXIT_BROKEN;
	if (rc < 0)
		rc = run(&s, &c, argv + optind, argc - optind);
	free(s.command);
	if (fclose(stdout) != 0 && rc == EXIT_DONE)
		rc = EXIT_BROKEN;
	return rc == EXIT_DONE && c.fail_empty && s.selected + s.smf_selected == 0 ? EXIT_EMPTY
										   : rc;
}
