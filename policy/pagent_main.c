/* pagent: options, becoming a daemon, and the short commands that need none. */
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/daemon.h"
#include "common/log.h"
#include "common/netns_lock.h"
#include "common/options.h"
#include "common/paths.h"
#include "policy/check.h"
#include "policy/pagent.h"
#include "policy/pagent_audit.h"

#define STOP_SECONDS    10
#define REFRESH_SECONDS 600 /* of 100,000 rules on a slow machine */

static const char help[] =
	"Usage: pagent [-p STACK] [-c FILE] [-P FILE] [-f] [-i SECONDS]\n"
	"       pagent [-p STACK] [-P FILE] --boot\n"
	"       pagent [-p STACK] -n FILE\n"
	"       pagent [-p STACK] -k stop | -r refresh | -u\n"
	"Reads policy files, and keeps what they say in force in the kernel.\n"
	"\n"
	"  -p STACK    stack to serve (default " CS_STACK_DEFAULT ")\n"
	"  -c FILE     main, image or IPSec policy file (default /etc/csipsec/pagent.conf)\n"
	"  -P FILE     TCP/IP profile with the default filters, its IPSEC block\n"
	"              (default /etc/csipsec/STACK.profile; without that there are none)\n"
	"  --boot      put in force what the store has, else the default filters, and end\n"
	"  -f          stay in the foreground, log to standard error\n"
	"  -i SECONDS  read the files again after this time (0: never), whatever TcpImage says\n"
	"              (default 1800); a change of a file is noticed in any case\n"
	"  -n FILE     only check FILE; each finding is a line that begins with FILE:LINE: and,\n"
	"              begun with a blank, the line of the file and what was expected\n"
	"  -k stop     end the pagent that serves the stack; its policy stays in force\n"
	"  -r refresh  let it read its files again, and tell what came of it; also --refresh\n"
	"  -u          undo: remove the policy from the kernel (pagent must not run)\n"
	"  -h, --help\n"
	"      --version\n"
	"\n"
	"Exit status: 0 done or ended, 1 failed or a checked file has errors, 2 wrong options,\n"
	"3 runs already, 4 does not run (-k, -r).\n";

enum { OPT_VERSION = 256, OPT_REFRESH, OPT_BOOT };

static const struct option long_options[] = {
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPT_VERSION},
	{"refresh", no_argument, NULL, OPT_REFRESH},
	{"boot", no_argument, NULL, OPT_BOOT},
	{NULL, 0, NULL, 0},
};

static int failed(const struct cs_err *err)
{
	fprintf(stderr, "pagent: %s\n", err->text);
	return CS_EXIT_FAILED;
}

/* ---- undo ---- */

static const char *why_undone(void *arg, const char *name, uint32_t number)
{
	(void)arg;
	(void)name;
	(void)number;
	return "deactivated by command";
}

static const char *why_gone(void *arg, const char *name, uint32_t number)
{
	(void)arg;
	(void)name;
	(void)number;
	return "the kernel no longer has it";
}

static void look(struct xf_kernel *kernel, struct pagent_audit *audit, bool undone)
{
	const struct pagent_why why = {undone ? why_undone : why_gone, NULL};
	struct pagent_present have = {.n = 0};

	if (xf_sa_dump(kernel, pagent_present_add, &have, NULL) == 0)
		pagent_audit_after(audit, &have, &why);
	pagent_present_free(&have);
}

/* trmd gets them of a pagent that runs. */
static void tell_waiting(struct pagent_audit *audit)
{
	int64_t n;

	if (pagent_outbox_waiting(pagent_audit_outbox(audit), &n, NULL) == 0 && n > 0)
		printf("pagent: %lld records of manual tunnels wait for trmd, until a pagent "
		       "runs\n",
		       (long long)n);
}

/*
 * It is looked before, too: what came up and was not recorded when a pagent was killed was up.
 * What cannot be recorded now the next pagent finds.
 */
static int remove_manuals(const struct pagent_options *o, struct xf_kernel *kernel,
			  struct cs_err *err)
{
	char state[CS_PATH_MAX], database[CS_PATH_MAX];
	struct xf_manual_watch watch = {.gone = pagent_audit_gone};
	struct pagent_audit *audit = NULL;
	int rc;

	if (cs_state_path(o->stack, "audit.db", database, NULL) == 0 &&
	    access(database, F_OK) == 0 && cs_state_path(o->stack, NULL, state, NULL) == 0)
		audit = pagent_audit_new(state);
	watch.arg = audit;
	if (audit)
		look(kernel, audit, false);
	rc = xf_manual_remove(kernel, audit ? &watch : NULL, err);
	if (audit) {
		look(kernel, audit, true);
		tell_waiting(audit);
	}
	pagent_audit_free(audit);
	return rc;
}

static int undo(const struct pagent_options *o)
{
	const struct xf_marking marking = {.shift = XF_MARK_SHIFT_DEFAULT};
	struct xf_kernel *kernel = NULL;
	char run[CS_PATH_MAX];
	struct cs_err err;
	int rc, lock;

	if (cs_daemon_runs()) {
		fputs("pagent: a pagent runs for this stack; stop it first (-k stop)\n", stderr);
		return CS_EXIT_RUNS;
	}
	rc = cs_run_path(o->stack, NULL, run, &err);
	if (rc == 0)
		rc = cs_make_dir(run, 0755, &err);
	if (rc == 0)
		rc = cs_netns_lock("pagent", o->stack, &lock, &err);
	if (rc == CS_EEXIST) {
		failed(&err);
		return CS_EXIT_RUNS;
	}
	if (rc == 0)
		rc = xf_open(&marking, &kernel, &err);
	if (rc == 0)
		rc = xf_uninstall(kernel, &err);
	if (rc == 0)
		rc = remove_manuals(o, kernel, &err);
	xf_close(kernel);
	if (rc < 0)
		return failed(&err);
	cs_log(CS_NOCTX, CSM_PA_UNDONE);
	return CS_EXIT_OK;
}

/* ---- boot ---- */

/* Where pagent serves the stack already it keeps the filters itself. */
static int boot(const struct pagent_options *o)
{
	return cs_daemon_runs() ? CS_EXIT_OK : (int)pagent_boot(o);
}

/* ---- refresh ---- */

static const char *text_of(const json_t *entry, const char *key)
{
	const char *text = json_string_value(json_object_get(entry, key));

	return text ? text : "";
}

static unsigned number_of(const json_t *entry, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(entry, key));

	return n > 0 && n <= UINT_MAX ? (unsigned)n : 0;
}

/* As -n prints it. */
static int print_finding(void *arg, const json_t *entry)
{
	struct pol_diag diag = {.severity = POL_ERROR,
				.file = text_of(entry, "File"),
				.line = number_of(entry, "Line"),
				.statement = text_of(entry, "Statement"),
				.attribute = text_of(entry, "Attribute"),
				.text = text_of(entry, "Reason"),
				.source = text_of(entry, "Source"),
				.mark = number_of(entry, "Mark"),
				.mark_len = number_of(entry, "MarkLength"),
				.column = number_of(entry, "Column"),
				.expected = text_of(entry, "Expected")};

	(void)arg;
	pol_diag_print(stderr, &diag);
	return 0;
}

/* ---- serving ---- */

static enum cs_exit serve(void *arg)
{
	return pagent_run(arg);
}

/* ---- options ---- */

static int usage(const char *what, const char *value)
{
	return (int)cs_usage("pagent", what, value);
}

/* What was given, or the file of that name in the configuration directory; absolute. */
static int set_file(const char *given, const char *leaf, char path[static PATH_MAX],
		    struct cs_err *err)
{
	char conf[CS_PATH_MAX];
	int rc = given ? 0 : cs_conf_path(leaf, conf, err);

	return rc == 0 ? cs_absolute(given ? given : conf, path, PATH_MAX, err) : rc;
}

int main(int argc, char **argv)
{
	struct pagent_options o = {.stack = CS_STACK_DEFAULT, .interval = PAGENT_INTERVAL};
	const char *config = NULL, *check = NULL, *profile = NULL;
	bool do_undo = false, do_boot = false;
	char leaf[CS_STACK_MAX + sizeof(".profile")];
	struct cs_err err;
	int c, sig = 0;

	while ((c = getopt_long(argc, argv, "p:c:P:fi:n:k:r:uh", long_options, NULL)) != -1) {
		switch (c) {
		case 'p':
			o.stack = optarg;
			break;
		case 'c':
			config = optarg;
			break;
		case 'P':
			profile = optarg;
			break;
		case 'f':
			o.foreground = true;
			break;
		case 'i':
			if (!cs_number(optarg, 0, POL_INTERVAL_MAX, &o.interval))
				return usage("not a number of seconds", optarg);
			o.interval_coded = true;
			break;
		case 'n':
			check = optarg;
			break;
		case 'k':
		case 'r':
			sig = cs_order("pagent", c, optarg);
			if (!sig)
				return CS_EXIT_USAGE;
			break;
		case OPT_REFRESH:
			sig = SIGHUP;
			break;
		case 'u':
			do_undo = true;
			break;
		case OPT_BOOT:
			do_boot = true;
			break;
		case 'h':
			fputs(help, stdout);
			return CS_EXIT_OK;
		case OPT_VERSION:
			printf("pagent (csipsec) %s\n", PACKAGE_VERSION);
			return CS_EXIT_OK;
		default:
			fputs("Try 'pagent --help'.\n", stderr);
			return CS_EXIT_USAGE;
		}
	}
	if (optind < argc)
		return usage("unexpected argument", argv[optind]);
	if (cs_stack_check(o.stack, &err) < 0)
		return usage(err.text, o.stack);
	if ((check != NULL) + (sig != 0) + do_undo + do_boot > 1)
		return usage("only one of -n, -k, -r, -u and --boot at a time", NULL);
	if (check)
		return pol_check_file(check, o.stack, stdout) ? CS_EXIT_FAILED : CS_EXIT_OK;
	snprintf(leaf, sizeof(leaf), "%s.profile", o.stack);
	if (set_file(config, "pagent.conf", o.config, &err) < 0)
		return usage(err.text, config);
	if (set_file(profile, leaf, o.profile, &err) < 0)
		return usage(err.text, profile);
	if (cs_daemon_for("pagent", o.stack, &err) < 0)
		return usage(err.text, NULL);
	cs_log_open("pagent", true);
	if (sig == SIGHUP)
		return (int)cs_daemon_ask("refresh", 0, REFRESH_SECONDS, print_finding, NULL);
	if (sig)
		return (int)cs_daemon_signal(sig, STOP_SECONDS);
	if (do_undo)
		return undo(&o);
	if (do_boot)
		return boot(&o);
	return (int)cs_daemon_start(o.foreground, serve, &o);
}
