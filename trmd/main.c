/* trmd: options. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>

#include "common/options.h"
#include "trmd/trmd.h"

#define STOP_SECONDS 30 /* a file may be compressed just now */
#define MIB          (UINT64_C(1) << 20)
#define ROTATE_MIB   64
#define ROTATE_HOURS 24
#define ROTATE_MAX   100000
#define KEEP_MAX     1000000
#define LINES_MAX    100000
#define LINES_BURST  10

static const char help[] =
	"Usage: trmd [-p STACK] [-c FILE] [-f] [options]\n"
	"       trmd [-p STACK] -k stop | -r refresh\n"
	"Writes what iked and pagent record of security associations to SMF files and to the\n"
	"system log.\n"
	"\n"
	"  -p STACK             stack to serve (default " CS_STACK_DEFAULT ")\n"
	"  -c FILE              IkeConfig file, whose SMF119 says which records are written\n"
	"                       (default /etc/csipsec/iked.conf, if there)\n"
	"  -f                   stay in the foreground, log to standard error\n"
	"  -k stop              end the trmd that serves the stack\n"
	"  -r refresh           let it read the IkeConfig file again and begin a new SMF file\n"
	"      --directory DIR  of SMF files (default /var/lib/csipsec/STACK/smf)\n"
	"      --rotate-size MIB\n"
	"                       begin a new file when one would be larger (default 64)\n"
	"      --rotate-hours N begin a new file when one is older; 0: never (default 24)\n"
	"      --no-compress    leave closed files as they are\n"
	"      --keep-files N   remove the oldest when there are more; 0: never (default)\n"
	"      --keep-days N    remove a file when all of it is older; 0: never (default)\n"
	"      --permits-rate N lines a second of packets that one rule permits, ten times that\n"
	"                       at once; 0: all (default 100)\n"
	"      --denies-rate N  the same of packets that one rule denies (default 100)\n"
	"      --user NAME      user to run as, iked's (default " TRMD_USER ")\n"
	"  -h, --help\n"
	"      --version\n"
	"\n"
	"Exit status: 0 ended or done, 1 cannot start, 2 wrong options, 3 runs already,\n"
	"4 does not run (-k, -r).\n";

enum {
	OPT_DIRECTORY = 256,
	OPT_SIZE,
	OPT_HOURS,
	OPT_NO_COMPRESS,
	OPT_FILES,
	OPT_DAYS,
	OPT_PERMITS,
	OPT_DENIES,
	OPT_USER,
	OPT_VERSION
};

static const struct option options[] = {
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPT_VERSION},
	{"directory", required_argument, NULL, OPT_DIRECTORY},
	{"rotate-size", required_argument, NULL, OPT_SIZE},
	{"rotate-hours", required_argument, NULL, OPT_HOURS},
	{"no-compress", no_argument, NULL, OPT_NO_COMPRESS},
	{"keep-files", required_argument, NULL, OPT_FILES},
	{"keep-days", required_argument, NULL, OPT_DAYS},
	{"permits-rate", required_argument, NULL, OPT_PERMITS},
	{"denies-rate", required_argument, NULL, OPT_DENIES},
	{"user", required_argument, NULL, OPT_USER},
	{NULL, 0, NULL, 0},
};

static int usage(const char *what, const char *value)
{
	return (int)cs_usage("trmd", what, value);
}

static enum cs_exit serve(void *arg)
{
	return trmd_run(arg);
}

int main(int argc, char **argv)
{
	struct trmd_options o = {
		.stack = CS_STACK_DEFAULT,
		.limits = {.bytes = ROTATE_MIB * MIB, .seconds = ROTATE_HOURS * 3600},
		.keep = {.compress = true},
		.packets = trmd_limit_defaults(),
	};
	struct cs_err err;
	unsigned n;
	int c, sig = 0;

	while ((c = getopt_long(argc, argv, "p:c:fk:r:h", options, NULL)) != -1) {
		switch (c) {
		case 'p':
			o.stack = optarg;
			break;
		case 'c':
			if (cs_absolute(optarg, o.config, sizeof(o.config), &err) < 0)
				return usage(err.text, optarg);
			o.config_given = true;
			break;
		case 'f':
			o.foreground = true;
			break;
		case 'k':
		case 'r':
			sig = cs_order("trmd", c, optarg);
			if (!sig)
				return CS_EXIT_USAGE;
			break;
		case OPT_DIRECTORY:
			if (cs_absolute(optarg, o.directory, sizeof(o.directory), &err) < 0)
				return usage(err.text, optarg);
			break;
		case OPT_SIZE:
			if (!cs_number(optarg, 1, ROTATE_MAX, &n))
				return usage("--rotate-size takes 1 to 100000, not", optarg);
			o.limits.bytes = n * MIB;
			break;
		case OPT_HOURS:
			if (!cs_number(optarg, 0, ROTATE_MAX, &n))
				return usage("--rotate-hours takes 0 to 100000, not", optarg);
			o.limits.seconds = n * 3600;
			break;
		case OPT_NO_COMPRESS:
			o.keep.compress = false;
			break;
		case OPT_FILES:
			if (!cs_number(optarg, 0, KEEP_MAX, &o.keep.files))
				return usage("--keep-files takes 0 to 1000000, not", optarg);
			break;
		case OPT_DAYS:
			if (!cs_number(optarg, 0, KEEP_MAX, &o.keep.days))
				return usage("--keep-days takes 0 to 1000000, not", optarg);
			break;
		case OPT_PERMITS:
			if (!cs_number(optarg, 0, LINES_MAX, &o.packets.permits_per_s))
				return usage("--permits-rate takes 0 to 100000, not", optarg);
			o.packets.permits_burst = LINES_BURST * o.packets.permits_per_s;
			break;
		case OPT_DENIES:
			if (!cs_number(optarg, 0, LINES_MAX, &o.packets.denies_per_s))
				return usage("--denies-rate takes 0 to 100000, not", optarg);
			o.packets.denies_burst = LINES_BURST * o.packets.denies_per_s;
			break;
		case OPT_USER:
			o.user = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			return CS_EXIT_OK;
		case OPT_VERSION:
			printf("trmd (csipsec) %s\n", PACKAGE_VERSION);
			return CS_EXIT_OK;
		default:
			fputs("Try 'trmd --help'.\n", stderr);
			return CS_EXIT_USAGE;
		}
	}
	if (optind < argc)
		return usage("unexpected argument", argv[optind]);
	if (cs_stack_check(o.stack, &err) < 0)
		return usage(err.text, o.stack);
	if (!o.config_given && cs_conf_path("iked.conf", o.config, &err) < 0)
		return usage(err.text, NULL);
	if (!o.directory[0] && cs_state_path(o.stack, "smf", o.directory, &err) < 0)
		return usage(err.text, NULL);
	if (cs_daemon_for("trmd", o.stack, &err) < 0)
		return usage(err.text, NULL);
	if (sig)
		return (int)cs_daemon_signal(sig, STOP_SECONDS);
	return (int)cs_daemon_start(o.foreground, serve, &o);
}
