/*
 * The ipsec command, run as users run it, against daemons on real sockets that send canned entries
 * (tests/data/cli/NAME.json).  Reports are compared with golden files; with CSIPSEC_WRITE_GOLDEN
 * set they are written instead, to be read before they are committed.
 */
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/nmi.h"
#include "tests/unit/run_suite.h"

#define DATA       TESTDATA "/data/cli/"
#define FIXED_TIME "Tue Jul 14 09:12:31 2026"
#define FIXED_ISO  "2026-07-14T09:12:31Z"

static char rundir[] = "/tmp/test_cli.XXXXXX";

/* ---- the daemons ---- */

static struct {
	pthread_t thread;
	uv_loop_t loop;
	uv_async_t stop;
	struct cs_nmi_server *servers[5];
	unsigned n;
	char requests[1024]; /* one behind the other */
} daemons;

static void answer_file(struct cs_nmi_server *s, uint64_t ticket, const char *name)
{
	char path[256];
	json_t *data, *entries;

	snprintf(path, sizeof(path), DATA "%s.json", name);
	data = json_load_file(path, 0, NULL);
	entries = json_object_get(data, "entries");
	for (size_t i = 0; i < json_array_size(entries); i++)
		cs_nmi_entry(s, ticket, json_incref(json_array_get(entries, i)));
	cs_nmi_done(s, ticket, json_copy(json_object_get(data, "done")));
	json_decref(data);
}

static void answer_tunnel(struct cs_nmi_server *s, uint64_t ticket, const char *id,
			  const char *rule, const char *status)
{
	cs_nmi_entry(s, ticket,
		     json_pack("{s:s, s:s?, s:s}", "TunnelID", id, "LocalDynVpnRule", rule,
			       "Status", status));
}

static void answer_deactivate(struct cs_nmi_server *s, uint64_t ticket, const char *id,
			      const char *rule)
{
	if (id && strcmp(id, "all") == 0) {
		answer_tunnel(s, ticket, "K1", NULL, "Deactivating");
		answer_tunnel(s, ticket, "K4", NULL, "Deactivating");
	} else if (id && strcmp(id, "K9") == 0) {
		cs_nmi_error(s, ticket, CS_ENOTFOUND, "there is no tunnel K9");
		return;
	} else if (id && strcmp(id, "K8") == 0) {
		cs_nmi_error(s, ticket, CS_EPERM, "only root deactivates");
		return;
	} else {
		answer_tunnel(s, ticket, id ? id : "Y2", rule, "Deactivating");
	}
	cs_nmi_done(s, ticket, NULL);
}

static void answer_refresh(struct cs_nmi_server *s, uint64_t ticket, const char *id,
			   const char *rule, bool wait)
{
	if (id && strcmp(id, "Y9") == 0)
		cs_nmi_error(s, ticket, CS_ESYS, "NO-PROPOSAL-CHOSEN");
	else
		answer_tunnel(s, ticket, id ? id : "Y2", rule, wait ? "Refreshed" : "Refreshing");
	cs_nmi_done(s, ticket, NULL);
}

static void answer_activate(struct cs_nmi_server *s, uint64_t ticket, const char *rule, bool wait)
{
	if (strcmp(rule, "Silent") == 0)
		return;
	if (strcmp(rule, "Missing") == 0)
		cs_nmi_error(s, ticket, CS_ENOTFOUND, "no LocalDynVpnRule Missing");
	else if (strcmp(rule, "Refused") == 0)
		cs_nmi_error(s, ticket, CS_EPOLICY,
			     "the peer refused: NO-PROPOSAL-CHOSEN\n\033[2J");
	else if (strcmp(rule, "Slow") == 0)
		cs_nmi_error(s, ticket, CS_EAGAIN, "no answer from 198.51.100.20 in 2 seconds");
	else
		answer_tunnel(s, ticket, "Y2", rule, wait ? "Active" : "Activating");
	cs_nmi_done(s, ticket, NULL);
}

static void handle(void *arg, struct cs_nmi_server *s, uint64_t ticket, uid_t uid,
		   const json_t *request)
{
	const char *stack = arg;
	const char *name = json_string_value(json_object_get(request, "request"));
	const char *rule = json_string_value(json_object_get(request, "rule"));
	json_t *wait = json_object_get(request, "wait");
	char *text = json_dumps(request, JSON_COMPACT);

	(void)uid;
	snprintf(daemons.requests + strlen(daemons.requests),
		 sizeof(daemons.requests) - strlen(daemons.requests), "%s", text);
	free(text);
	if (strcmp(stack, "empty") == 0)
		cs_nmi_done(s, ticket, NULL);
	else if (strcmp(stack, "broken") == 0)
		cs_nmi_error(s, ticket, CS_EKERNEL, "the kernel refused the dump");
	else if (strcmp(name, "filters") == 0)
		answer_file(s, ticket, "filters");
	else if (strcmp(name, "default") == 0 && strcmp(stack, "alone") == 0)
		cs_nmi_error(s, ticket, CS_EPOLICY, "there are no default filters: no profile");
	else if (strcmp(name, "default") == 0)
		cs_nmi_done(s, ticket,
			    json_pack("{s:b, s:s}", "changed", true, "filters", "profile"));
	else if (strcmp(name, "reload") == 0)
		cs_nmi_done(s, ticket, json_pack("{s:b, s:n}", "changed", false, "filters"));
	else if (strcmp(name, "port-translations") == 0)
		answer_file(s, ticket, "ports");
	else if (strcmp(name, "ike-tunnels") == 0)
		answer_file(s, ticket, "ike");
	else if (strcmp(name, "dynamic-tunnels") == 0)
		answer_file(s, ticket,
			    json_object_get(request, "source") ? "dynamic-ike" : "dynamic");
	else if (strncmp(name, "refresh-", 8) == 0)
		answer_refresh(s, ticket, json_string_value(json_object_get(request, "tunnel")),
			       rule, json_is_integer(wait));
	else if (strcmp(name, "activate-dynamic") == 0)
		answer_activate(s, ticket, rule, json_is_integer(wait));
	else
		answer_deactivate(s, ticket, json_string_value(json_object_get(request, "tunnel")),
				  rule);
}

static void on_stop(uv_async_t *async)
{
	for (unsigned i = 0; i < daemons.n; i++)
		cs_nmi_stop(daemons.servers[i]);
	uv_close((uv_handle_t *)async, NULL);
}

static void *run_loop(void *arg)
{
	uv_run(arg, UV_RUN_DEFAULT);
	return NULL;
}

static void serve(const char *stack, const char *program)
{
	char path[100];
	struct cs_err err = {0};

	snprintf(path, sizeof(path), "%s/%s", rundir, stack);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/%s/%s.sock", rundir, stack, program);
	ck_assert_msg(cs_nmi_serve(&daemons.loop, path, program, handle, (void *)stack,
				   &daemons.servers[daemons.n++], &err) == 0,
		      "%s", err.text);
}

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(rundir));
	setenv("CSIPSEC_RUNDIR", rundir, 1);
	setenv("TZ", "UTC", 1);
	uv_loop_init(&daemons.loop);
	uv_async_init(&daemons.loop, &daemons.stop, on_stop);
	serve("TCPCS", "iked");
	serve("TCPCS", "pagent");
	serve("alone", "pagent");
	serve("empty", "iked");
	serve("broken", "iked");
	pthread_create(&daemons.thread, NULL, run_loop, &daemons.loop);
}

static void teardown(void)
{
	static const char *const stacks[] = {"TCPCS", "alone", "empty", "broken"};
	char path[100];

	uv_async_send(&daemons.stop);
	pthread_join(daemons.thread, NULL);
	ck_assert_int_eq(uv_loop_close(&daemons.loop), 0);
	for (size_t i = 0; i < sizeof(stacks) / sizeof(stacks[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", rundir, stacks[i]);
		rmdir(path);
	}
	rmdir(rundir);
}

/* ---- running the command ---- */

struct result {
	int exit;
	char *out, *err;
};

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;

	if (!f)
		return strdup("");
	if (getdelim(&text, &size, 0, f) < 0) {
		free(text);
		text = strdup("");
	}
	fclose(f);
	return text;
}

/* The program stands beside the test in the build tree: tests/unit/test_cli, ipsec-cli/ipsec. */
static const char *ipsec_program(void)
{
	static char path[512];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 32);

	ck_assert_int_gt(n, 0);
	path[n] = 0;
	for (int up = 0; up < 3; up++)
		*strrchr(path, '/') = 0;
	snprintf(path + strlen(path), 32, "/ipsec-cli/ipsec");
	return path;
}

static struct result run(const char *line)
{
	char out[100], err[100], words[400];
	char *argv[40] = {"ipsec"};
	const char *program = ipsec_program();
	struct result r;
	int argc = 1, status;
	pid_t pid;

	snprintf(out, sizeof(out), "%s/out", rundir);
	snprintf(err, sizeof(err), "%s/err", rundir);
	snprintf(words, sizeof(words), "%s", line);
	for (char *save, *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	pid = fork();
	if (pid == 0) {
		dup2(open(out, O_CREAT | O_TRUNC | O_WRONLY, 0600), 1);
		dup2(open(err, O_CREAT | O_TRUNC | O_WRONLY, 0600), 2);
		execv(program, argv);
		_exit(127);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "ipsec %s: signal %d", line, WTERMSIG(status));
	r.exit = WEXITSTATUS(status);
	r.out = read_file(out);
	r.err = read_file(err);
	unlink(out);
	unlink(err);
	return r;
}

static void result_free(struct result *r)
{
	free(r->out);
	free(r->err);
}

/* Checks that the stamp at p is of now, and puts a fixed one over it. */
static void fix_stamp(char *p, const char *format, const char *fixed)
{
	struct tm tm = {0};
	char *end = strptime(p, format, &tm);

	ck_assert_msg(end && (size_t)(end - p) == strlen(fixed), "no time at: %.40s", p);
	ck_assert_int_le(llabs((long long)(timegm(&tm) - time(NULL))), 60);
	while (*fixed)
		*p++ = *fixed++;
}

static void fix_time(char *out)
{
	char *p;

	if (strncmp(out, "CS ", 3) == 0)
		fix_stamp(strchr(out, '\n') - strlen(FIXED_TIME), "%a %b %e %H:%M:%S %Y",
			  FIXED_TIME);
	else if ((p = strstr(out, "\"Time\": \"")))
		fix_stamp(p + 9, "%Y-%m-%dT%H:%M:%SZ", FIXED_ISO);
}

/* The number in "3 entries selected", or -1 when line is another. */
static int selected_count(const char *line)
{
	static const char rest[] = " entries selected";
	char *end;
	long n = strtol(line, &end, 10);

	return end != line && strncmp(end, rest, sizeof(rest) - 1) == 0 ? (int)n : -1;
}

/* ---- reports ---- */

static const struct {
	const char *line;
	int exit;
	const char *golden;
} reports[] = {
	{"-p TCPCS -k display", 0, "k-detail.txt"},
	{"-k dis -p TCPCS -r short", 0, "k-short.txt"},
	{"-k display -p TCPCS -r wide", 0, "k-wide.txt"},
	{"-k display -p TCPCS --json", 0, "k.json"},
	{"-k display -p TCPCS -c all -a K1", 0, "k-all.txt"},
	{"-p TCPCS -y display", 0, "y-detail.txt"},
	{"-p TCPCS -y display -r short", 0, "y-short.txt"},
	{"-p TCPCS -y display -r wide", 0, "y-wide.txt"},
	{"-p TCPCS -y display --json -l Plant_Vpn", 0, "y.json"},
	{"-p TCPCS -y display -b", 0, "yb-detail.txt"},
	{"-p TCPCS -y display -b --json", 0, "yb.json"},
	{"-p TCPCS -f display -n AdminFtp", 0, "f-detail.txt"},
	{"-p TCPCS -f display -r short", 0, "f-short.txt"},
	{"-p TCPCS -f display -r wide", 0, "f-wide.txt"},
	{"-p TCPCS -f display --json -n Ping", 0, "f.json"},
	{"-p TCPCS -o display", 0, "o-detail.txt"},
	{"-p TCPCS -o dis -r short", 0, "o-short.txt"},
	{"-p TCPCS -o display -r wide", 0, "o-wide.txt"},
	{"-p TCPCS -o display --json", 0, "o.json"},
	{"-p empty -k display", 0, "k-empty.txt"},
	{"-p TCPCS -k deactivate -a K1", 0, "k-deactivate.txt"},
	{"-p TCPCS -k deactivate -a K1 K9 K4", 5, "k-deactivate-some.txt"},
	{"-p TCPCS -k deactivate -a all", 0, "k-deactivate-all.txt"},
	{"-p TCPCS -y deactivate -a Y2,Y5", 0, "y-deactivate.txt"},
	{"-p TCPCS -y deactivate -l Plant_Vpn", 0, "y-deactivate-rule.txt"},
	{"-p TCPCS -k refresh -a K1", 0, "k-refresh.txt"},
	{"-p TCPCS -y refresh -a Y2 Y9 --wait 2", 6, "y-refresh-wait.txt"},
	{"-p TCPCS -y ref -l Plant_Vpn --json", 0, "y-refresh.json"},
	{"-p TCPCS -y activate -l Plant_Vpn", 0, "y-activate.txt"},
	{"-p TCPCS -y activate -l Plant_Vpn Refused Missing --wait 2", 6, "y-activate-wait.txt"},
	{"-p TCPCS -y activate -l Plant_Vpn Slow --wait=2 --json", 6, "y-activate.json"},
};

START_TEST(test_report)
{
	struct result r = run(reports[_i].line);
	char path[256], *golden;

	ck_assert_msg(r.exit == reports[_i].exit, "ipsec %s: exit %d\n%s", reports[_i].line, r.exit,
		      r.err);
	fix_time(r.out);
	snprintf(path, sizeof(path), DATA "%s", reports[_i].golden);
	if (getenv("CSIPSEC_WRITE_GOLDEN")) {
		FILE *f = fopen(path, "w");

		fputs(r.out, f);
		fclose(f);
	}
	golden = read_file(path);
	ck_assert_str_eq(r.out, golden);
	free(golden);
	result_free(&r);
}
END_TEST

/* What scripts that parse the detail form rely on, whatever the golden files say. */
START_TEST(test_detail_shape)
{
	static const char *const lines[] = {"-p TCPCS -k display", "-p TCPCS -y display",
					    "-p TCPCS -y display -b", "-p TCPCS -f display"};
	struct result r = run(lines[_i]);
	int line = 0, entries = 0, count = -1;
	bool body = false;

	for (char *save, *p = strtok_r(r.out, "\n", &save); p; p = strtok_r(NULL, "\n", &save)) {
		size_t len = strlen(p), columns = 0;

		for (size_t i = 0; i < len; i++)
			columns += (p[i] & 0xc0) != 0x80;
		ck_assert_msg(columns <= 80, "%zu columns: %s", columns, p);
		line++;
		if (line == 1) {
			ck_assert(strncmp(p, "CS " PACKAGE_VERSION " ipsec  Stack Name: TCPCS  ",
					  strlen("CS " PACKAGE_VERSION
						 " ipsec  Stack Name: TCPCS  ")) == 0);
		} else if (line == 2) {
			ck_assert(strncmp(p, "Primary:  ", 10) == 0);
			ck_assert(strncmp(p + 26, "Function: Display ", 18) == 0);
			ck_assert_str_eq(p + 55, "Format:   Detail");
		} else if (line == 3) {
			ck_assert(strncmp(p, "Source:   ", 10) == 0);
			ck_assert(strncmp(p + 26, "Scope:    Current ", 18) == 0);
			ck_assert(strncmp(p + 55, "TotAvail: ", 10) == 0);
		} else if (p[0] == '*') {
			ck_assert_uint_eq(len, 71);
			ck_assert_uint_eq(strspn(p, "*"), 71);
			entries++;
		} else if ((count = selected_count(p)) >= 0) {
			ck_assert_ptr_null(strtok_r(NULL, "\n", &save));
			break;
		} else {
			body |= strncmp(p, "TunnelID:", 9) == 0 ||
				strncmp(p, "FilterName:", 11) == 0;
			if (body && strcmp(p, "NAT Traversal Topology:") != 0)
				ck_assert_msg(len > 30 && p[29] == ' ' && p[30] != ' ', "%s", p);
		}
	}
	ck_assert_int_gt(entries, 0);
	ck_assert_int_eq(count, entries);
	result_free(&r);
}
END_TEST

/* Each line of the wide form has as many fields as its heading line. */
START_TEST(test_wide_shape)
{
	struct result r = run("-p TCPCS -k display -r wide");
	int fields = 0, lines = 0;

	for (char *save, *p = strtok_r(r.out, "\n", &save); p; p = strtok_r(NULL, "\n", &save)) {
		int n = 1;

		for (const char *c = p; *c; c++)
			n += *c == '|';
		if (n == 1)
			continue;
		if (!fields)
			fields = n;
		ck_assert_int_eq(n, fields);
		lines++;
	}
	ck_assert_int_eq(fields, 38);
	ck_assert_int_eq(lines, 1 + 3);
	result_free(&r);
}
END_TEST

START_TEST(test_selection)
{
	static const struct {
		const char *line;
		int exit, selected;
	} cases[] = {
		{"-p TCPCS -k display", 0, 3},
		{"-p TCPCS -k display -c all", 0, 4},
		{"-p TCPCS -k display -c cur", 0, 3},
		{"-p TCPCS -k display -a K4", 0, 1},
		{"-p TCPCS -k display -a k4 K7", 0, 2},
		{"-p TCPCS -k display -a K4,K7 -a K1", 0, 3},
		{"-p TCPCS -k display -a K40", 0, 0},
		{"-p TCPCS -k display -a K40 --fail-empty", 1, 0},
		{"-p TCPCS -k display --fail-empty", 0, 3},
		{"-p TCPCS -k display -n KeyEx_Plant", 0, 2},
		{"-p TCPCS -k display -n keyex_plant", 0, 0},
		{"-p TCPCS -k display -n KeyEx_Plant -a K7", 0, 1},
		{"-p TCPCS -y display", 0, 2},
		{"-p TCPCS -y display -c all", 0, 4},
		{"-p TCPCS -y display -n Silver_Transport", 0, 1},
		{"-p TCPCS -y display -l Plant_Vpn", 0, 1},
		{"-p TCPCS -y display -l Plant_Vpn -b", 0, 1},
		{"-p TCPCS -f display", 0, 6},
		{"-p TCPCS -f display -g Admin", 0, 4},
		{"-p TCPCS -f display -g Admin -n Ping", 0, 0},
		{"-p TCPCS -f display -n Ping AdminFtp", 0, 5},
		{"-p tcpcs -F", 2, -1},
		{"-p tcpCS -k DISPLAY -r DET", 0, 3},
		{"-p empty -y display --fail-empty --json", 1, -1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct result r = run(cases[i].line);
		const char *p = strstr(r.out, "\n\n");
		int n = -1;

		for (; p && n < 0; p = strstr(p + 1, "\n\n"))
			n = selected_count(p + 2);
		ck_assert_msg(r.exit == cases[i].exit && n == cases[i].selected,
			      "ipsec %s: exit %d, %d selected", cases[i].line, r.exit, n);
		result_free(&r);
	}
}
END_TEST

static unsigned lines_with(const char *text, const char *what)
{
	unsigned n = 0;

	for (const char *p = text; (p = strstr(p, what)); p++)
		n++;
	return n;
}

/* pagent reads Y5 from the reqid; iked, when it is there, knows that this is the second time. */
START_TEST(test_dynamic_filters)
{
	struct result r = run("-p TCPCS -f display");

	ck_assert_uint_eq(lines_with(r.out, "TunnelID:                     Y262148\n"), 2);
	ck_assert_uint_eq(lines_with(r.out, "TunnelID:                     Y5\n"), 0);
	ck_assert_uint_eq(lines_with(r.out, "TunnelID:                     Y0\n"), 2);
	ck_assert_uint_eq(lines_with(r.out, "Type:                         Dynamic\n"), 2);
	result_free(&r);
	r = run("-p TCPCS -f display --json");
	ck_assert_uint_eq(lines_with(r.out, "\"TunnelID\": \"Y262148\""), 2);
	ck_assert_uint_eq(lines_with(r.out, "Reqid"), 0);
	result_free(&r);
	r = run("-p alone -f display");
	ck_assert_int_eq(r.exit, 0);
	ck_assert_str_eq(r.err, "");
	ck_assert_uint_eq(lines_with(r.out, "TunnelID:                     Y5\n"), 2);
	result_free(&r);
}
END_TEST

/* ---- errors ---- */

START_TEST(test_failures)
{
	static const struct {
		const char *line;
		int exit;
		const char *err; /* in stderr */
	} cases[] = {
		{"", 2, "a primary option is needed"},
		{"-k", 2, "-k needs a keyword"},
		{"-k -p TCPCS", 2, "-k needs a keyword"},
		{"-k di", 2, "-k has no keyword 'di'"},
		{"-k displayed", 2, "-k has no keyword 'displayed'"},
		{"-K display", 2, "unknown option -K"},
		{"-k display -y display", 2, "-k and -y cannot be combined"},
		{"-k display extra", 2, "'extra' belongs to no option"},
		{"-k display -k display", 2, "-k stands twice"},
		{"-k display -p a -p b", 2, "-p stands twice"},
		{"-k display -p", 2, "-p needs a value"},
		{"-k display -p a/b", 2, "-p a/b: a stack name does not contain '/'"},
		{"-k display -p ../x", 2, "does not start with '.'"},
		{"-k display -r json", 2, "-r is short, detail or wide, not 'json'"},
		{"-k display -c policy", 2, "-c policy does not go with -k"},
		{"-f display -c all", 2, "-c all does not go with -f"},
		{"-f default -n x", 2, "-n does not go with default"},
		{"-f default -c policy", 2, "-c does not go with default"},
		{"-f reload -r wide", 2, "-r does not go with reload"},
		{"-f refresh", 2, "-f has no keyword 'refresh'"},
		{"-p alone -f default", 5, "pagent of stack alone: there are no default filters"},
		{"-p nowhere -f reload", 4, "start it with: pagent -p nowhere"},
		{"-k display -c x", 2, "-c is current or all"},
		{"-f display -c all", 2, "-c all does not go with -f"},
		{"-k display -b", 2, "-b does not go with -k"},
		{"-k display -g x", 2, "-g does not go with -k"},
		{"-f display -a Y1", 2, "-a does not go with -f"},
		{"-k deactivate -r wide -a K1", 2, "-r does not go with deactivate"},
		{"-k deactivate", 2, "-k deactivate needs -a"},
		{"-y deactivate", 2, "or -l and a rule"},
		{"-y deactivate -a Y1 -l x", 2, "cannot be combined"},
		{"-y activate", 2, "-y activate needs -l"},
		{"-y activate -a Y2", 2, "-a does not go with activate"},
		{"-y activate -l x --wait", 2, "--wait needs a value"},
		{"-y activate -l x --wait 1x", 2, "--wait is a number of seconds"},
		{"-y activate -l x --wait=-1", 2, "--wait is a number of seconds"},
		{"-y activate -l x --wait 99999999999999999999", 2, "--wait is a number"},
		{"-y display --wait 3", 2, "--wait does not go with display"},
		{"-k display --json=1", 2, "--json has no value"},
		{"-k display -a Y1", 2, "'Y1' is no tunnel of -k: K and a number"},
		{"-y display -a K1", 2, "'K1' is no tunnel of -y: Y and a number"},
		{"-y display -a Y4294967296", 2, "'Y4294967296' is no tunnel of -y"},
		{"-k refresh -a K4294967297", 2, "'K4294967297' is no tunnel of -k"},
		{"-k display -a K0", 2, "'K0' is no tunnel"},
		{"-k display -a K1x", 2, "'K1x' is no tunnel"},
		{"-k display -a K", 2, "'K' is no tunnel"},
		{"-k display -a K12345678901", 2, "is no tunnel"},
		{"-k display -a all", 2, "'all' is no tunnel"},
		{"-k deactivate -a K1 all", 2, "-a all stands alone"},
		{"-k display -a K1,,K2", 2, "empty name"},
		{"-k activate", 2, "activated with its dynamic tunnel"},
		{"-k refresh", 2, "-k refresh needs -a and a tunnel\n"},
		{"-y refresh", 2, "-y refresh needs -a and a tunnel, or -l and a rule\n"},
		{"-k refresh -a all", 2, "'all' is no tunnel of -k"},
		{"-k refresh -l x", 2, "-l does not go with -k"},
		{"-y refresh -a Y1 -l x", 2, "cannot be combined with refresh"},
		{"-k deactivate -a K1 --wait 1", 2, "--wait does not go with deactivate"},
		{"-k refresh -a K1 -r wide", 2, "-r does not go with refresh"},
		{"-p TCPCS -y refresh -a Y9", 5, "Y9: NO-PROPOSAL-CHOSEN"},
		{"-p TCPCS -y refresh -a Y9 --wait 1", 6, "Y9: NO-PROPOSAL-CHOSEN"},
		{"-m activate", 2,
		 "-m activate needs -a and a tunnel, or -n and an IpManVpnAction\n"},
		{"-m deactivate", 2, "IpManVpnAction, or -a all\n"},
		{"-m activate -a all", 2, "'all' is no tunnel of -m: M and a number"},
		{"-m deactivate -a Y1", 2, "'Y1' is no tunnel of -m: M and a number"},
		{"-m deactivate -a M1 -n x", 2, "-a and -n cannot be combined with deactivate"},
		{"-m refresh -a M1", 2, "-m has no keyword 'refresh'"},
		{"-m display -c all", 2, "-c all does not go with -m"},
		{"-m display -l x", 2, "-l does not go with -m"},
		{"-y activate -n x", 2, "-n does not go with activate"},
		{"-i", 2, "this release does not have -i (interfaces)"},
		{"-t 192.0.2.1 192.0.2.2 icmp", 2, "this release does not have -t (traffic test)"},
		{"-o", 2, "-o needs a keyword"},
		{"-o display -c all", 2, "-c all does not go with -o"},
		{"-o display -n X", 2, "-n does not go with -o"},
		{"-o activate", 2, "-o has no keyword 'activate'"},
		{"-w display", 2, "this release does not have -w"},
		{"-x", 2, "this release does not have -x"},
		{"-F display", 2, "this release does not have -F (defensive filters)"},
		{"-p TCPCS -k deactivate -a K8", 3, "K8: only root deactivates"},
		{"-p TCPCS -k deactivate -a K9", 5, "K9: there is no tunnel K9"},
		{"-p TCPCS -k deactivate -a K8 K9", 3, "K9: there is no tunnel K9"},
		{"-p TCPCS -y activate -l Missing", 5, "Missing: no LocalDynVpnRule Missing"},
		{"-p TCPCS -y activate -l Missing --wait 1", 5, "no LocalDynVpnRule Missing"},
		{"-p TCPCS -y activate -l Refused", 5, "NO-PROPOSAL-CHOSEN??[2J\n"},
		{"-p TCPCS -y activate -l Refused --wait 1", 6, "NO-PROPOSAL-CHOSEN??[2J\n"},
		{"-p TCPCS -y activate -l Slow --wait 1", 6, "Slow: no answer from 198.51.100.20"},
		{"-p TCPCS -y activate -l Silent --wait 0", 6, "Silent: no answer in time"},
		{"-p nowhere -k display", 4, "iked of stack nowhere is not reachable at "},
		{"-p nowhere -k display", 4, "start it with: iked -p nowhere"},
		{"-p nowhere -f display", 4, "start it with: pagent -p nowhere"},
		{"-p nowhere -y activate -l x", 4, "/nowhere/iked.sock: it does not run"},
		{"-k display", 4, "iked of stack TCPIP is not reachable"},
		{"-p broken -y display", 5, "the kernel refused the dump"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct result r = run(cases[i].line);

		ck_assert_msg(r.exit == cases[i].exit && strstr(r.err, cases[i].err),
			      "ipsec %s: exit %d\n%s", cases[i].line, r.exit, r.err);
		if (cases[i].exit == 2 || cases[i].exit == 4)
			ck_assert_str_eq(r.out, "");
		result_free(&r);
	}
}
END_TEST

#define IKED "{\"request\":\"dynamic-tunnels\",\"source\":\"ike\"}"

START_TEST(test_requests)
{
	static const struct {
		const char *line, *request;
	} cases[] = {
		{"-p TCPCS -f display -n x", "{\"request\":\"filters\"}"},
		/* of dynamic filters iked knows the tunnels */
		{"-p TCPCS -f display -c cur", "{\"request\":\"filters\"}" IKED},
		{"-p TCPCS -f display -c PROFILE",
		 "{\"request\":\"filters\",\"scope\":\"profile\"}" IKED},
		{"-p TCPCS -f dis -c pol", "{\"request\":\"filters\",\"scope\":\"policy\"}" IKED},
		{"-p TCPCS -f def", "{\"request\":\"default\"}"},
		{"-p TCPCS -f reload", "{\"request\":\"reload\"}"},
		{"-p TCPCS -k display -a K1", "{\"request\":\"ike-tunnels\"}"},
		{"-p TCPCS -y display", "{\"request\":\"dynamic-tunnels\"}"},
		{"-p TCPCS -y display -b", "{\"request\":\"dynamic-tunnels\",\"source\":\"ike\"}"},
		{"-p TCPCS -k dea -a k1", "{\"request\":\"deactivate-ike\",\"tunnel\":\"K1\"}"},
		{"-p TCPCS -k dea -a ALL", "{\"request\":\"deactivate-ike\",\"tunnel\":\"all\"}"},
		{"-p TCPCS -y dea -a Y2", "{\"request\":\"deactivate-dynamic\",\"tunnel\":\"Y2\"}"},
		{"-p TCPCS -y dea -l A", "{\"request\":\"deactivate-dynamic\",\"rule\":\"A\"}"},
		{"-p TCPCS -k ref -a k1",
		 "{\"request\":\"refresh-ike\",\"tunnel\":\"K1\",\"wait\":null}"},
		{"-p TCPCS -k refresh -a K1 --wait 3",
		 "{\"request\":\"refresh-ike\",\"tunnel\":\"K1\",\"wait\":3}"},
		{"-p TCPCS -y refresh -l A --wait 0",
		 "{\"request\":\"refresh-dynamic\",\"rule\":\"A\",\"wait\":0}"},
		{"-p TCPCS -y act -l A",
		 "{\"request\":\"activate-dynamic\",\"rule\":\"A\",\"wait\":null}"},
		{"-p TCPCS -y act -l A --wait 7",
		 "{\"request\":\"activate-dynamic\",\"rule\":\"A\",\"wait\":7}"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct result r;

		daemons.requests[0] = '\0';
		r = run(cases[i].line);
		ck_assert_msg(strcmp(daemons.requests, cases[i].request) == 0, "%s: %s%s",
			      cases[i].line, daemons.requests, r.err);
		result_free(&r);
	}
}
END_TEST

START_TEST(test_choice)
{
	struct result r = run("-p TCPCS -f default");
	json_t *json;

	ck_assert_int_eq(r.exit, 0);
	ck_assert_ptr_nonnull(strstr(r.out, "Function: Default\n\nSource          Status\n"
					    "Stack Profile   Active\n"));
	result_free(&r);
	r = run("-p TCPCS -f reload");
	ck_assert_int_eq(r.exit, 0);
	ck_assert_ptr_nonnull(strstr(r.out, "Function: Reload\n\nSource          Status\n"
					    "None            Already active\n"));
	result_free(&r);
	r = run("-p TCPCS -f default --json");
	json = json_loads(r.out, 0, NULL);
	ck_assert_str_eq(
		json_string_value(json_object_get(json_object_get(json, "heading"), "Function")),
		"Default");
	ck_assert_str_eq(json_string_value(json_object_get(
				 json_array_get(json_object_get(json, "entries"), 0), "Source")),
			 "Stack Profile");
	json_decref(json);
	result_free(&r);
}
END_TEST

START_TEST(test_help)
{
	struct result r;

	for (int i = 0; i < 3; i++) {
		static const char *const lines[] = {"--help", "-?", "-k -p --nonsense --help"};

		r = run(lines[i]);
		ck_assert_int_eq(r.exit, 0);
		ck_assert(strncmp(r.out, "Usage: ipsec PRIMARY", 20) == 0);
		ck_assert_str_eq(r.err, "");
		result_free(&r);
	}
	r = run("--version");
	ck_assert_int_eq(r.exit, 0);
	ck_assert_str_eq(r.out, "ipsec (csipsec) " PACKAGE_VERSION "\n");
	result_free(&r);
}
END_TEST

/* Two directories that differ in case only: which stack is meant has to be written as it is. */
START_TEST(test_stack_case)
{
	char path[100];
	struct result r;

	snprintf(path, sizeof(path), "%s/Empty", rundir);
	mkdir(path, 0755);
	r = run("-p EMPTY -k display");
	ck_assert_int_eq(r.exit, 2);
	ck_assert_ptr_nonnull(strstr(r.err, "more than one stack is called EMPTY"));
	result_free(&r);
	r = run("-p empty -k display");
	ck_assert_int_eq(r.exit, 0);
	result_free(&r);
	rmdir(path);
	r = run("-p EMPTY -k display");
	ck_assert_int_eq(r.exit, 0);
	ck_assert_ptr_nonnull(strstr(r.out, "Stack Name: empty  "));
	result_free(&r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cli");
	TCase *t = tcase_create("cli");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, test_report, 0, sizeof(reports) / sizeof(reports[0]));
	tcase_add_loop_test(t, test_detail_shape, 0, 4);
	tcase_add_test(t, test_wide_shape);
	tcase_add_test(t, test_selection);
	tcase_add_test(t, test_dynamic_filters);
	tcase_add_test(t, test_failures);
	tcase_add_test(t, test_requests);
	tcase_add_test(t, test_choice);
	tcase_add_test(t, test_help);
	tcase_add_test(t, test_stack_case);
	suite_add_tcase(s, t);
	return run_suite(s);
}
