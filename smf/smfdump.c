/* smfdump: the command line. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/options.h"
#include "smf/smfdump.h"

/* As the ipsec command and pasearch end. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_EMPTY = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_AUTHORIZED = 3,
	EXIT_ABSENT = 4,
	EXIT_BROKEN = 5,
};

static const char usage_text[] =
	"Usage: smfdump [--json|--csv|--cef|--text] [SELECTION] [FILE|DIRECTORY ...]\n"
	"       smfdump --follow [--json|--csv|--cef|--text] [SELECTION] DIRECTORY\n"
	"\n"
	"Shows SMF type 119 records of subtypes 73 to 80 (IKE and IPSec tunnels). A FILE has "
	"records\n"
	"with RDW or BDW framing; '-' or none is the standard input. Of a DIRECTORY of trmd what "
	"is\n"
	"acknowledged is read.\n"
	"\n"
	"  --text             for people (default)\n"
	"  --json             a JSON object a line      --csv  a line a record, with a heading\n"
	"  --cef              Common Event Format\n"
	"  --follow           goes on as records come, until it is stopped\n"
	"\n"
	"  --subtype LIST     subtypes, as 73,75-78\n"
	"  --from TIME        records from this time on, 2026-01-15, 2026-01-15T10:20:30 (UTC), "
	"or\n"
	"                     -90m, -2h, -7d before now\n"
	"  --to TIME          records before this time\n"
	"  --tunnel ID        of this tunnel, and of the dynamic tunnels of an IKE tunnel: K1, Y2, "
	"M3\n"
	"  --peer ADDRESS     with this remote security endpoint: an address, A/LEN or A-B\n"
	"\n"
	"  --codepage PAGE    IBM-1047 (default) or IBM-037\n"
	"  --offset +HH:MM    of the clock of the system that wrote, to UTC (default +00:00)\n"
	"  --fail-empty       exit 1 when nothing was selected\n"
	"  -v, --verbose      counts, on the standard error\n"
	"  --help, -?         this text                 --version\n"
	"\n"
	"Exit: 0 done, 1 nothing selected (--fail-empty), 2 usage, 3 not authorized, 4 no such "
	"file,\n"
	"5 something could not be read, or the output not be written.\n"
	"\n"
	"  smfdump --json --subtype 76,78 --from -1d /var/lib/csipsec/TCPIP/smf\n"
	"  zstd -dc OLD.smf.zst | smfdump --csv --peer 192.0.2.0/24 >old.csv\n";

static enum exit_code usage(const char *what, const char *value)
{
	cs_usage("smfdump", what, value);
	return EXIT_USAGE;
}

static enum exit_code failed(const struct cs_err *err)
{
	fprintf(stderr, "smfdump: %s\n", err->text);
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

enum {
	O_TEXT = 256,
	O_JSON,
	O_CSV,
	O_CEF,
	O_FOLLOW,
	O_SUBTYPE,
	O_FROM,
	O_TO,
	O_TUNNEL,
	O_PEER,
	O_CODEPAGE,
	O_OFFSET,
	O_FAIL_EMPTY,
	O_HELP,
	O_VERSION
};

static const struct option long_options[] = {
	{"text", no_argument, NULL, O_TEXT},
	{"json", no_argument, NULL, O_JSON},
	{"csv", no_argument, NULL, O_CSV},
	{"cef", no_argument, NULL, O_CEF},
	{"follow", no_argument, NULL, O_FOLLOW},
	{"subtype", required_argument, NULL, O_SUBTYPE},
	{"from", required_argument, NULL, O_FROM},
	{"to", required_argument, NULL, O_TO},
	{"tunnel", required_argument, NULL, O_TUNNEL},
	{"peer", required_argument, NULL, O_PEER},
	{"codepage", required_argument, NULL, O_CODEPAGE},
	{"offset", required_argument, NULL, O_OFFSET},
	{"fail-empty", no_argument, NULL, O_FAIL_EMPTY},
	{"verbose", no_argument, NULL, 'v'},
	{"version", no_argument, NULL, O_VERSION},
	{"help", no_argument, NULL, O_HELP},
	{0},
};

static int set_page(struct smfdump *d, const char *value, struct cs_err *err)
{
	if (strcasecmp(value, "IBM-037") == 0 || strcasecmp(value, "IBM037") == 0)
		d->form.page = SMF_IBM037;
	else if (strcasecmp(value, "IBM-1047") == 0 || strcasecmp(value, "IBM1047") == 0)
		d->form.page = SMF_IBM1047;
	else
		return cs_fail(err, CS_EINVAL, "%s: a code page is IBM-1047 or IBM-037", value);
	return 0;
}

static int set_value(struct smfdump *d, int option, const char *value, struct cs_err *err)
{
	int64_t now = (int64_t)time(NULL) * 1000000;

	switch (option) {
	case O_SUBTYPE:
		return smfdump_subtypes(value, &d->filter.subtypes, err);
	case O_FROM:
		d->filter.has_from = true;
		return smfdump_moment(value, now, &d->filter.from_us, err);
	case O_TO:
		d->filter.has_to = true;
		return smfdump_moment(value, now, &d->filter.to_us, err);
	case O_TUNNEL:
		return smfdump_tunnel(value, &d->filter, err);
	case O_PEER:
		d->filter.has_peer = true;
		return cs_range_parse(value, &d->filter.peer, err);
	case O_CODEPAGE:
		return set_page(d, value, err);
	default:
		return smfdump_offset(value, &d->form.ahead_us, err);
	}
}

/* Not negative: the exit code. */
static int set_option(struct smfdump *d, int option, const char *value, unsigned *forms)
{
	struct cs_err err;

	switch (option) {
	case O_TEXT:
	case O_JSON:
	case O_CSV:
	case O_CEF:
		d->form.format = option == O_JSON  ? SMF_JSON
				 : option == O_CSV ? SMF_CSV
				 : option == O_CEF ? SMF_CEF
						   : SMF_TEXT;
		*forms |= 1u << d->form.format;
		return -1;
	case O_FOLLOW:
		d->follow = true;
		return -1;
	case O_FAIL_EMPTY:
		d->fail_empty = true;
		return -1;
	case 'v':
		d->verbose = true;
		return -1;
	case O_VERSION:
		printf("smfdump (csipsec) %s\n", PACKAGE_VERSION);
		return EXIT_DONE;
	case O_HELP:
	case '?':
		fputs(usage_text, stdout);
		return EXIT_DONE;
	default:
		return set_value(d, option, value, &err) < 0 ? (int)usage(err.text, NULL) : -1;
	}
}

static int parse(int argc, char **argv, struct smfdump *d)
{
	unsigned forms = 0;
	int option, rc;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":v", long_options, NULL)) != -1) {
		if (option == ':')
			return (int)usage("an option lacks its value", argv[optind - 1]);
		if (option == '?' && optopt != '?')
			return (int)usage("unknown option", argv[optind - 1]);
		rc = set_option(d, option, optarg, &forms);
		if (rc >= 0)
			return rc;
	}
	if (forms & (forms - 1))
		return (int)usage("one of --text, --json, --csv and --cef", NULL);
	if (d->follow && argc - optind != 1)
		return (int)usage("--follow takes one directory", NULL);
	d->form.subtypes = d->filter.subtypes;
	return -1;
}

/* ---- work ---- */

static int read_all(struct smfdump *d, char *const *paths, int n)
{
	struct cs_err err;
	int worst = EXIT_DONE;

	if (n == 0 && isatty(STDIN_FILENO))
		return (int)usage("records do not come from a terminal: name a file", NULL);
	for (int i = 0; i < (n ? n : 1) && !d->out_failed; i++)
		if (smfdump_read(d, n ? paths[i] : NULL, &err) < 0)
			worst = (int)failed(&err);
	return worst;
}

static int run(struct smfdump *d, char *const *paths, int n)
{
	struct cs_err err;
	int rc;

	if (smf_export_open(STDOUT_FILENO, &d->form, &d->out, &err) < 0)
		return (int)failed(&err);
	if (d->follow)
		rc = smfdump_follow(d, paths[0], &err) < 0 ? (int)failed(&err) : EXIT_DONE;
	else
		rc = read_all(d, paths, n);
	if (!d->out_failed && smf_export_flush(d->out, &err) < 0)
		rc = (int)failed(&err);
	smf_export_close(d->out);
	if (d->verbose)
		fprintf(stderr,
			"smfdump: %llu records: %llu selected, %llu of other types or subtypes, "
			"%llu damaged\n",
			(unsigned long long)d->records, (unsigned long long)d->selected,
			(unsigned long long)d->other, (unsigned long long)d->damaged);
	return rc == EXIT_DONE && d->failed ? EXIT_BROKEN : rc;
}

int main(int argc, char **argv)
{
	struct smfdump d = {.filter.subtypes = SMFDUMP_ALL};
	int rc = parse(argc, argv, &d);

	if (rc >= 0)
		return fclose(stdout) != 0 && rc == EXIT_DONE ? EXIT_BROKEN : rc;
	rc = run(&d, argv + optind, argc - optind);
	return rc == EXIT_DONE && d.selected == 0 && d.fail_empty ? EXIT_EMPTY : rc;
}
