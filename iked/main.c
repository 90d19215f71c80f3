/* iked: options, and which of the four processes this is. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/options.h"
#include "iked/iked.h"

#define STOP_SECONDS    12 /* the parent gives its worker 8 */
#define REFRESH_SECONDS 60

static const char help[] =
	"Usage: iked [-p STACK] [-c FILE] [-f] [options]\n"
	"       iked [-p STACK] -k stop | -r refresh\n"
	"Negotiates IPsec security associations by IKE version 1.\n"
	"\n"
	"  -p STACK             stack to serve (default " CS_STACK_DEFAULT ")\n"
	"  -c FILE              IkeConfig file (default /etc/csipsec/iked.conf, if there)\n"
	"  -f                   stay in the foreground, log to standard error\n"
	"  -k stop              end the iked that serves the stack; SAs stay in the kernel\n"
	"  -r refresh           let it look for a new policy, and wait until that is in force\n"
	"      --port N         UDP port (default 500)\n"
	"      --nat-port N     UDP port for NAT traversal (default 4500)\n"
	"      --store-stuck=wait|go-on\n"
	"                       while the database cannot be written: install nothing (default),\n"
	"                       or go on and count the lost records\n"
	"      --user NAME      user of the worker (default " IKED_USER ")\n"
	"  -h, --help\n"
	"      --version\n"
	"\n"
	"Exit status: 0 ended or done, 1 cannot start, 2 wrong options, 3 runs already,\n"
	"4 does not run (-k, -r).\n";

enum {
	OPT_PORT = 256,
	OPT_NAT_PORT,
	OPT_STUCK,
	OPT_USER,
	OPT_WORKER,
	OPT_CERTS,
	OPT_SHARED,
	OPT_VERSION
};

static const struct option options[] = {
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPT_VERSION},
	{"port", required_argument, NULL, OPT_PORT},
	{"nat-port", required_argument, NULL, OPT_NAT_PORT},
	{"store-stuck", required_argument, NULL, OPT_STUCK},
	{"user", required_argument, NULL, OPT_USER},
	{"worker", no_argument, NULL, OPT_WORKER}, /* how the parent starts it; not for people */
	{"certs", no_argument, NULL, OPT_CERTS},   /* the same */
	{"shared", no_argument, NULL, OPT_SHARED}, /* the same */
	{NULL, 0, NULL, 0},
};

static int usage(const char *what, const char *value)
{
	return (int)cs_usage("iked", what, value);
}

static bool parse_port(const char *text, uint16_t *port)
{
	unsigned n;

	if (!cs_number(text, 1, UINT16_MAX, &n))
		return false;
	*port = (uint16_t)n;
	return true;
}

static bool parse_stuck(const char *text, enum ike_stuck *stuck)
{
	if (strcmp(text, "wait") == 0)
		*stuck = IKE_STUCK_WAIT;
	else if (strcmp(text, "go-on") == 0)
		*stuck = IKE_STUCK_GO_ON;
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	struct iked_options o = {
		.stack = CS_STACK_DEFAULT,
		.store_stuck = "wait",
		.port = IKED_PORT,
		.nat_port = IKED_NAT_PORT,
		.stuck = IKE_STUCK_WAIT,
	};
	bool worker = false, certs = false, shared = false, do_refresh = false;
	struct cs_err err;
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
			sig = cs_order("iked", c, optarg);
			if (!sig)
				return CS_EXIT_USAGE;
			do_refresh = c == 'r';
			break;
		case OPT_PORT:
			if (!parse_port(optarg, &o.port))
				return usage("not a port", optarg);
			break;
		case OPT_NAT_PORT:
			if (!parse_port(optarg, &o.nat_port))
				return usage("not a port", optarg);
			break;
		case OPT_STUCK:
			if (!parse_stuck(optarg, &o.stuck))
				return usage("--store-stuck takes wait or go-on, not", optarg);
			o.store_stuck = optarg;
			break;
		case OPT_USER:
			o.user = optarg;
			break;
		case OPT_WORKER:
			worker = true;
			break;
		case OPT_CERTS:
			certs = true;
			break;
		case OPT_SHARED:
			shared = true;
			break;
		case 'h':
			fputs(help, stdout);
			return CS_EXIT_OK;
		case OPT_VERSION:
			printf("iked (csipsec) %s\n", PACKAGE_VERSION);
			return CS_EXIT_OK;
		default:
			fputs("Try 'iked --help'.\n", stderr);
			return CS_EXIT_USAGE;
		}
	}
	if (optind < argc)
		return usage("unexpected argument", argv[optind]);
	if (o.port == o.nat_port)
		return usage("--port and --nat-port must differ", NULL);
	if (cs_stack_check(o.stack, &err) < 0)
		return usage(err.text, o.stack);
	if (!o.config_given && cs_conf_path("iked.conf", o.config, &err) < 0)
		return usage(err.text, NULL);
	if (worker)
		return (int)iked_worker(&o);
	if (certs)
		return (int)iked_certs(&o);
	if (shared)
		return (int)iked_shared_helper(&o);
	if (cs_daemon_for("iked", o.stack, &err) < 0)
		return usage(err.text, NULL);
	if (do_refresh)
		/* SIGHUP for the keyring, the parent's; the worker tells what the policy did. */
		return (int)cs_daemon_ask("policy", SIGHUP, REFRESH_SECONDS, NULL, NULL);
	if (sig)
		return (int)cs_daemon_signal(sig, STOP_SECONDS);
	return (int)iked_parent(&o);
}
