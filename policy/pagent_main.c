/* pagent: options, becoming a daemon, and the short commands that need none. */
#include <errno.h>
#include <getopt.h>
#include <libdaemon/daemon.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "common/paths.h"
#include "policy/check.h"
#include "policy/pagent.h"

#define START_SECONDS 60
#define STOP_SECONDS  10

static const char help[] =
	"Usage: pagent [-p STACK] [-c FILE] [-f] [-i SECONDS]\n"
	"       pagent [-p STACK] -n FILE\n"
	"       pagent [-p STACK] -k stop | -r refresh | -u\n"
	"Reads policy files, and keeps what they say in force in the kernel.\n"
	"\n"
	"  -p STACK    stack to serve (default " CS_STACK_DEFAULT ")\n"
	"  -c FILE     main, image or IPSec policy file (default pagent.conf in $CSIPSEC_CONFDIR)\n"
	"  -f          stay in the foreground, log to standard error\n"
	"  -i SECONDS  read the files again after this time (default 1800, 0: never);\n"
	"              a change of a file is noticed in any case\n"
	"  -n FILE     only check FILE: FILE:LINE: for every finding\n"
	"  -k stop     end the pagent that serves the stack; its policy stays in force\n"
	"  -r refresh  let it read its files again\n"
	"  -u          undo: remove the policy from the kernel (pagent must not run)\n"
	"  -h, --help\n"
	"      --version\n"
	"\n"
	"Exit status: 0 done or ended, 1 failed or a checked file has errors, 2 wrong options,\n"
	"3 runs already, 4 does not run (-k, -r).\n";

enum { OPT_VERSION = 256 };

static const struct option long_options[] = {
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPT_VERSION},
	{NULL, 0, NULL, 0},
};

/* ---- pid file ---- */

/* libdaemon asks a function without arguments. */
static char pid_path[CS_PATH_MAX];
static bool foreground;

static const char *pid_file(void)
{
	return pid_path;
}

static int failed(const struct cs_err *err)
{
	fprintf(stderr, "pagent: %s\n", err->text);
	return PAGENT_EXIT_FAILED;
}

/* Sends sig to the pagent of the stack; for SIGTERM waits for its end. */
static int signal_running(int sig)
{
	pid_t pid = daemon_pid_file_is_running();
	int rc;

	if (pid < 0) {
		fputs("pagent: no pagent runs for this stack\n", stderr);
		return PAGENT_EXIT_ABSENT;
	}
	rc = sig == SIGTERM ? daemon_pid_file_kill_wait(sig, STOP_SECONDS)
			    : daemon_pid_file_kill(sig);
	if (rc < 0) {
		fprintf(stderr, "pagent: process %d: %s\n", (int)pid, strerror(errno));
		return PAGENT_EXIT_FAILED;
	}
	return PAGENT_EXIT_OK;
}

/* ---- undo ---- */

static int undo(void)
{
	const struct xf_marking marking = {.shift = XF_MARK_SHIFT_DEFAULT};
	struct xf_kernel *kernel = NULL;
	struct cs_err err;
	int rc;

	if (daemon_pid_file_is_running() >= 0) {
		fputs("pagent: a pagent runs for this stack; stop it first (-k stop)\n", stderr);
		return PAGENT_EXIT_RUNS;
	}
	rc = xf_open(&marking, &kernel, &err);
	if (rc == 0)
		rc = xf_uninstall(kernel, &err);
	xf_close(kernel);
	if (rc < 0)
		return failed(&err);
	cs_log(CS_NOCTX, CSM_PA_UNDONE);
	return PAGENT_EXIT_OK;
}

/* ---- serving ---- */

/* systemd's readiness protocol: one datagram to the socket that the environment names. */
static void notify(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	size_t n = path ? strlen(path) : 0;
	int fd;

	if (n < 2 || n >= sizeof(sun.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(sun.sun_path, path, n);
	if (path[0] == '@')
		sun.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	/* Nobody there to hear it is no reason not to serve. */
	(void)!sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&sun,
		      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	close(fd);
}

static void ready(void)
{
	char text[48];

	snprintf(text, sizeof(text), "READY=1\nMAINPID=%d", (int)getpid());
	notify(text);
	if (!foreground)
		daemon_retval_send(PAGENT_EXIT_OK);
}

static int serve(const struct pagent_options *o)
{
	int status = PAGENT_EXIT_FAILED;

	cs_log_open("pagent", o->foreground);
	if (daemon_pid_file_create() < 0)
		cs_log(CS_NOCTX, CSM_NO_START, "pagent", strerror(errno));
	else
		status = pagent_run(o, ready);
	notify("STOPPING=1");
	if (!o->foreground && status != PAGENT_EXIT_OK)
		daemon_retval_send(status);
	daemon_pid_file_remove();
	return status;
}

static int wait_for_daemon(void)
{
	int status = daemon_retval_wait(START_SECONDS);

	if (status < 0) {
		fputs("pagent: no answer from the daemon; its log tells why\n", stderr);
		return PAGENT_EXIT_FAILED;
	}
	if (status != PAGENT_EXIT_OK)
		fputs("pagent: cannot start; the log tells why\n", stderr);
	return status;
}

static int start(const struct pagent_options *o)
{
	char run[CS_PATH_MAX];
	struct cs_err err;
	pid_t pid;

	if (daemon_pid_file_is_running() >= 0) {
		fputs("pagent: a pagent runs for this stack already\n", stderr);
		return PAGENT_EXIT_RUNS;
	}
	if (cs_run_path(o->stack, NULL, run, &err) < 0 || cs_make_dir(run, 0755, &err) < 0)
		return failed(&err);
	if (o->foreground)
		return serve(o);
	if (daemon_retval_init() < 0) {
		fprintf(stderr, "pagent: cannot make a pipe: %s\n", strerror(errno));
		return PAGENT_EXIT_FAILED;
	}
	pid = daemon_fork();
	if (pid < 0) {
		fprintf(stderr, "pagent: cannot fork: %s\n", strerror(errno));
		daemon_retval_done();
		return PAGENT_EXIT_FAILED;
	}
	if (pid > 0)
		return wait_for_daemon();
	daemon_close_all(-1);
	return serve(o);
}

/* ---- options ---- */

static int usage(const char *what, const char *value)
{
	fprintf(stderr, "pagent: %s%s%s\nTry 'pagent --help'.\n", what, value ? ": " : "",
		value ? value : "");
	return PAGENT_EXIT_USAGE;
}

static bool parse_seconds(const char *text, unsigned *seconds)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n > 86400 * 366ul)
		return false;
	*seconds = (unsigned)n;
	return true;
}

/* A daemon's directory is "/", so the name must not depend on it. */
static bool absolute(const char *file, char path[static PATH_MAX])
{
	char here[PATH_MAX];
	int n;

	if (file[0] == '/')
		n = snprintf(path, PATH_MAX, "%s", file);
	else if (getcwd(here, sizeof(here)))
		n = snprintf(path, PATH_MAX, "%s/%s", here, file);
	else
		return false;
	return n > 0 && n < PATH_MAX;
}

int main(int argc, char **argv)
{
	struct pagent_options o = {.stack = CS_STACK_DEFAULT, .interval = PAGENT_INTERVAL};
	const char *config = NULL, *check = NULL;
	char conf_path[CS_PATH_MAX];
	bool do_undo = false;
	struct cs_err err;
	int c, sig = 0;

	while ((c = getopt_long(argc, argv, "p:c:fi:n:k:r:uh", long_options, NULL)) != -1) {
		switch (c) {
		case 'p':
			o.stack = optarg;
			break;
		case 'c':
			config = optarg;
			break;
		case 'f':
			o.foreground = true;
			break;
		case 'i':
			if (!parse_seconds(optarg, &o.interval))
				return usage("not a number of seconds", optarg);
			break;
		case 'n':
			check = optarg;
			break;
		case 'k':
			if (strcmp(optarg, "stop") != 0)
				return usage("-k takes stop, not", optarg);
			sig = SIGTERM;
			break;
		case 'r':
			if (strcmp(optarg, "refresh") != 0)
				return usage("-r takes refresh, not", optarg);
			sig = SIGHUP;
			break;
		case 'u':
			do_undo = true;
			break;
		case 'h':
			fputs(help, stdout);
			return PAGENT_EXIT_OK;
		case OPT_VERSION:
			printf("pagent (csipsec) %s\n", PACKAGE_VERSION);
			return PAGENT_EXIT_OK;
		default:
			fputs("Try 'pagent --help'.\n", stderr);
			return PAGENT_EXIT_USAGE;
		}
	}
	if (optind < argc)
		return usage("unexpected argument", argv[optind]);
	if (cs_stack_check(o.stack, &err) < 0)
		return usage(err.text, o.stack);
	if ((check != NULL) + (sig != 0) + do_undo > 1)
		return usage("only one of -n, -k, -r and -u at a time", NULL);
	if (check)
		return pol_check_file(check, o.stack, stdout) ? PAGENT_EXIT_FAILED : PAGENT_EXIT_OK;
	if (!config) {
		if (cs_conf_path("pagent.conf", conf_path, &err) < 0)
			return usage(err.text, NULL);
		config = conf_path;
	}
	if (!absolute(config, o.config))
		return usage("the file's name is too long", config);
	if (cs_run_path(o.stack, "pagent.pid", pid_path, &err) < 0)
		return usage(err.text, NULL);
	daemon_pid_file_proc = pid_file;
	foreground = o.foreground;
	cs_log_open("pagent", true);
	if (sig)
		return signal_running(sig);
	if (do_undo)
		return undo();
	return start(&o);
}
