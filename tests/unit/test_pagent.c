/*
 * pagent as a program on the real kernel's nftables, in a user and network namespace of the test's
 * own, so that it needs no root.  Where the kernel does not allow that, the test is skipped.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/nmi.h"
#include "policy/ttls.h"
#include "tests/unit/run_suite.h"
#include "xfrm/xfrm.h"

#define SKIP 77

static const struct xf_marking marking = {.shift = XF_MARK_SHIFT_DEFAULT};
static char dir[64];
static pid_t pagent;

static const char *in_dir(const char *leaf)
{
	static char path[4][128];
	static unsigned turn;
	char *p = path[turn++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, leaf);
	return p;
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_msg(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s: %s",
		      path, strerror(errno));
	close(fd);
}

/* A rule for mail, one for the rest of a network, and one for IPv6. */
static void write_policy_as(const char *leaf, const char *action)
{
	char text[2048];

	snprintf(text, sizeof(text),
		 "IpFilterPolicy\n{\n"
		 "  IpFilterRule mail\n  {\n    IpSourceAddr 192.0.2.1\n"
		 "    IpDestAddr 198.51.100.0/24\n    IpService\n    {\n      Protocol Tcp\n"
		 "      DestinationPortRange 25\n    }\n    IpGenericFilterActionRef %s\n  }\n"
		 "  IpFilterRule six\n  {\n    IpSourceAddr 2001:db8::1\n"
		 "    IpDestAddr 2001:db8::3-2001:db8::9\n    IpService\n    {\n"
		 "      Protocol Udp\n      Direction Outbound\n    }\n"
		 "    IpGenericFilterActionRef permit\n  }\n"
		 "}\n"
		 "IpGenericFilterAction permit\n{\n  IpFilterAction Permit\n}\n"
		 "IpGenericFilterAction deny\n{\n  IpFilterAction Deny\n}\n",
		 action);
	write_text(in_dir(leaf), text);
}

static void write_policy(const char *action)
{
	write_policy_as("policy", action);
}

/* ---- the program ---- */

static pid_t run(const char *const *argv)
{
	const char *all[8] = {"pagent"};
	pid_t pid;
	int fd;

	for (int i = 0; argv[i]; i++)
		all[i + 1] = argv[i];
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid > 0)
		return pid;
	fd = open(in_dir("log"), O_WRONLY | O_CREAT | O_APPEND, 0644);
	dup2(fd, STDERR_FILENO);
	dup2(fd, STDOUT_FILENO);
	execv("policy/pagent", (char *const *)(uintptr_t)all);
	_exit(126);
}

static int status_of(pid_t pid)
{
	int status = 0;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

#define STATUS(...) status_of(run((const char *const[]){__VA_ARGS__, NULL}))

static unsigned log_count(const char *text)
{
	static char log[1 << 16];
	FILE *f = fopen(in_dir("log"), "r");
	unsigned found = 0;
	size_t n;

	if (!f)
		return 0;
	n = fread(log, 1, sizeof(log) - 1, f);
	log[n] = '\0';
	fclose(f);
	for (const char *at = log; (at = strstr(at, text)); at++)
		found++;
	return found;
}

static void wait_for_log(const char *text, unsigned times)
{
	for (int i = 0; i < 500 && log_count(text) < times; i++)
		usleep(20000);
	ck_assert_msg(log_count(text) >= times, "not %u times '%s' in the log", times, text);
}

static void wait_for_generation(unsigned n)
{
	char text[32];

	snprintf(text, sizeof(text), "generation %u (", n);
	wait_for_log(text, 1);
}

/* Starts pagent and waits until it says READY=1. */
static void start_reading(const char *interval)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct pollfd pfd = {.events = POLLIN};
	char text[64] = "";

	pfd.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", in_dir("notify"));
	unlink(sun.sun_path);
	ck_assert_int_eq(bind(pfd.fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	setenv("NOTIFY_SOCKET", sun.sun_path, 1);
	pagent = run((const char *const[]){"-f", "-i", interval, "-c", in_dir("policy"), NULL});
	ck_assert_int_eq(poll(&pfd, 1, 20000), 1);
	ck_assert_int_gt(recv(pfd.fd, text, sizeof(text) - 1, 0), 0);
	ck_assert_ptr_nonnull(strstr(text, "READY=1"));
	close(pfd.fd);
	unsetenv("NOTIFY_SOCKET");
}

static void start(void)
{
	start_reading("0");
}

static void stop(void)
{
	ck_assert_int_eq(kill(pagent, SIGTERM), 0);
	ck_assert_int_eq(status_of(pagent), 0);
	pagent = 0;
}

/* ---- its socket ---- */

static int keep_entry(void *arg, const json_t *entry)
{
	return json_array_append_new(arg, json_deep_copy(entry));
}

/* The entries (caller's reference) and the last frame; a code when it is an error. */
static int ask_scope(const char *request, const char *scope, json_t **entries, json_t **done,
		     struct cs_err *err)
{
	json_t *json = json_pack("{s:s, s:s*}", "request", request, "scope", scope);
	struct cs_nmi *nmi = NULL;
	int rc = cs_nmi_connect(in_dir("run/TCPIP/pagent.sock"), &nmi, err);

	*entries = json_array();
	*done = NULL;
	ck_assert_msg(rc == 0, "%s", err->text);
	rc = cs_nmi_call(nmi, json, 20000, keep_entry, *entries, done, err);
	cs_nmi_close(nmi);
	json_decref(json);
	return rc;
}

static int ask(const char *request, json_t **entries, json_t **done, struct cs_err *err)
{
	return ask_scope(request, NULL, entries, done, err);
}

static json_int_t generation(void)
{
	json_t *entries, *done;
	struct cs_err err = {0};
	json_int_t n;

	ck_assert_msg(ask("policy", &entries, &done, &err) == 0, "%s", err.text);
	n = json_integer_value(json_object_get(done, "generation"));
	json_decref(entries);
	json_decref(done);
	/* The policy allows no NAT, so no client can be behind one. */
	ck_assert_msg(ask("port-translations", &entries, &done, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(json_array_size(entries), 0);
	json_decref(entries);
	json_decref(done);
	return n;
}

static void on_count(void *arg, const struct xf_filter_count *c)
{
	*(bool *)arg |= c->rule == 0 && c->outbound;
}

static bool first_rule_is_there(void)
{
	struct xf_kernel *k = NULL;
	bool there = false;
	struct cs_err err;

	ck_assert_int_eq(xf_open(&marking, &k, &err), 0);
	ck_assert_msg(xf_filter_counts(k, on_count, &there, &err) == 0, "%s", err.text);
	xf_close(k);
	return there;
}

static void no_count(void *arg, const struct xf_filter_count *c)
{
	(void)arg;
	(void)c;
}

static bool table_is_there(void)
{
	struct xf_kernel *k = NULL;
	struct cs_err err;
	bool there;

	ck_assert_int_eq(xf_open(&marking, &k, &err), 0);
	there = xf_filter_counts(k, no_count, NULL, &err) == 0;
	xf_close(k);
	return there;
}

static void remove_table(void)
{
	struct xf_kernel *k = NULL;
	struct cs_err err;

	ck_assert_int_eq(xf_open(&marking, &k, &err), 0);
	ck_assert_msg(xf_uninstall(k, &err) == 0, "%s", err.text);
	xf_close(k);
}

/* ---- tests ---- */

static void setup(void)
{
	strcpy(dir, "/tmp/test_pagent.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	setenv("CSIPSEC_RUNDIR", in_dir("run"), 1);
	setenv("CSIPSEC_STATEDIR", in_dir("state"), 1);
	setenv("CSIPSEC_CONFDIR", dir, 1);
	write_policy("permit");
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static void teardown(void)
{
	if (pagent > 0)
		kill(pagent, SIGKILL);
	remove_table();
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const char *text_of(const json_t *entries, size_t i, const char *key)
{
	const char *text = json_string_value(json_object_get(json_array_get(entries, i), key));

	return text ? text : "";
}

static json_int_t number_of(const json_t *entries, size_t i, const char *key)
{
	const json_t *n = json_object_get(json_array_get(entries, i), key);

	return json_is_integer(n) ? json_integer_value(n) : -1;
}

START_TEST(test_filters)
{
	static const struct {
		const char *name, *direction, *source, *dest;
		json_int_t extension, source_port, dest_port;
	} wanted[] = {
		{"mail", "Outbound", "192.0.2.1", "198.51.100.0", 1, 0, 25},
		{"mail", "Inbound", "198.51.100.0", "192.0.2.1", 2, 25, 0},
		{"DenyAllRule_Generated___________Inbnd", "Inbound", "0.0.0.0", "0.0.0.0", 1, 0, 0},
		{"DenyAllRule_Generated___________Outbnd", "Outbound", "0.0.0.0", "0.0.0.0", 1, 0,
		 0},
		{"six", "Outbound", "2001:db8::1", "2001:db8::3", 1, 0, 0},
		{"DenyAllRule_Generated___________Inbnd", "Inbound", "::", "::", 1, 0, 0},
		{"DenyAllRule_Generated___________Outbnd", "Outbound", "::", "::", 1, 0, 0},
	};
	json_t *entries, *done;
	struct cs_err err = {0};

	start();
	ck_assert_msg(ask("filters", &entries, &done, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(json_array_size(entries), sizeof(wanted) / sizeof(wanted[0]));
	for (size_t i = 0; i < json_array_size(entries); i++) {
		ck_assert_uint_eq(json_object_size(json_array_get(entries, i)), 55);
		ck_assert_str_eq(text_of(entries, i, "FilterName"), wanted[i].name);
		ck_assert_str_eq(text_of(entries, i, "Direction"), wanted[i].direction);
		ck_assert_str_eq(text_of(entries, i, "SourceAddress"), wanted[i].source);
		ck_assert_str_eq(text_of(entries, i, "DestAddress"), wanted[i].dest);
		ck_assert_int_eq(number_of(entries, i, "FilterNameExtension"), wanted[i].extension);
		ck_assert_int_eq(number_of(entries, i, "SourcePort"), wanted[i].source_port);
		ck_assert_int_eq(number_of(entries, i, "DestPort"), wanted[i].dest_port);
		ck_assert_int_eq(number_of(entries, i, "FilterMatches"), 0);
	}
	ck_assert_int_eq(number_of(entries, 0, "DestAddressPrefix"), 24);
	ck_assert_int_eq(number_of(entries, 1, "SourceAddressPrefix"), 24);
	ck_assert_int_eq(number_of(entries, 0, "Protocol"), 6);
	ck_assert_str_eq(text_of(entries, 4, "DestAddressRange"), "2001:db8::9");
	ck_assert_str_eq(text_of(entries, 2, "Protocol"), "All");
	ck_assert_str_eq(json_string_value(json_object_get(done, "Source")), "Stack Policy");
	json_decref(entries);
	json_decref(done);
	stop();
}
END_TEST

START_TEST(test_refresh)
{
	json_t *entries, *done;
	struct cs_err err = {0};
	char line[160];

	start();
	ck_assert_int_eq(generation(), 1);
	/* a policy with errors: each is told, nothing changes */
	write_policy("nowhere");
	ck_assert_int_eq(ask("refresh", &entries, &done, &err), CS_EPOLICY);
	ck_assert_uint_ge(json_array_size(entries), 1);
	ck_assert_str_eq(text_of(entries, 0, "File"), in_dir("policy"));
	ck_assert_int_gt(number_of(entries, 0, "Line"), 0);
	ck_assert_str_ne(text_of(entries, 0, "Reason"), "");
	json_decref(entries);
	ck_assert_int_eq(generation(), 1);
	ck_assert_uint_ge(log_count("CSI3004E"), 1);
	/* the command says so, too */
	ck_assert_int_eq(STATUS("-r", "refresh"), 1);
	snprintf(line, sizeof(line), "%s:12: error: IpFilterRule mail: ", in_dir("policy"));
	ck_assert_uint_eq(log_count(line), 1);
	ck_assert_uint_eq(log_count("pagent: the policy has 1 error"), 1);
	ck_assert_int_eq(generation(), 1);
	/* a good one */
	write_policy("deny");
	ck_assert_msg(ask("refresh", &entries, &done, &err) == 0, "%s", err.text);
	ck_assert(json_is_true(json_object_get(done, "changed")));
	ck_assert_int_eq(json_integer_value(json_object_get(done, "generation")), 2);
	ck_assert_int_eq(STATUS("-r", "refresh"), 0);
	json_decref(entries);
	json_decref(done);
	/* an editor puts another file in its place, and nobody says a word */
	ck_assert_int_eq(rename(in_dir("policy"), in_dir("policy~")), 0);
	write_policy("permit");
	wait_for_generation(3);
	ck_assert_int_eq(generation(), 3);
	/* SIGHUP */
	ck_assert_int_eq(kill(pagent, SIGHUP), 0);
	wait_for_log("is as it was, generation 3", 1);
	stop();
}
END_TEST

/* The interval reads what nobody tells of, and does so again and again. */
START_TEST(test_interval)
{
	start_reading("1");
	ck_assert_int_eq(generation(), 1);
	wait_for_log("is as it was, generation 1", 3);
	ck_assert_uint_eq(log_count("policy files changed"), 0);
	stop();
}
END_TEST

static void link_to(const char *target, const char *leaf)
{
	unlink(in_dir("new-link"));
	ck_assert_int_eq(symlink(target, in_dir("new-link")), 0);
	ck_assert_int_eq(rename(in_dir("new-link"), in_dir(leaf)), 0);
}

/* As Kubernetes and other config managers do it: data are changed by swapping a link. */
START_TEST(test_links)
{
	ck_assert_int_eq(unlink(in_dir("policy")), 0);
	mkdir(in_dir("..1"), 0755);
	mkdir(in_dir("..2"), 0755);
	mkdir(in_dir("far"), 0755);
	mkdir(in_dir("far/away"), 0755);
	write_policy_as("..1/policy", "permit");
	write_policy_as("..2/policy", "deny");
	link_to("..1", "..data");
	link_to("./..data/policy", "policy");
	start();
	ck_assert_int_eq(generation(), 1);
	link_to("..2", "..data");
	wait_for_generation(2);
	/* the file itself, where the links lead now */
	write_policy_as("..2/policy", "permit");
	wait_for_generation(3);
	/* where they led before nobody looks any more */
	write_policy_as("..1/policy", "deny");
	usleep(1500000);
	ck_assert_int_eq(generation(), 3);
	/* the link to the file; it leads to nowhere at first */
	link_to(in_dir("far/away/../away/policy"), "policy");
	wait_for_log("what was in force stays", 1);
	write_policy_as("far/away/policy", "deny");
	wait_for_generation(4);
	/* a directory on the way, twice, because the second is another one than the first */
	for (unsigned i = 5; i <= 6; i++) {
		mkdir(in_dir("new"), 0755);
		mkdir(in_dir("new/away"), 0755);
		write_policy_as("new/away/policy", i == 5 ? "permit" : "deny");
		ck_assert_int_eq(rename(in_dir("far"), in_dir(i == 5 ? "old1" : "old2")), 0);
		ck_assert_int_eq(rename(in_dir("new"), in_dir("far")), 0);
		wait_for_generation(i);
	}
	/* a link that leads to itself ends, and the right one is noticed */
	link_to("policy", "policy");
	wait_for_log("what was in force stays", 2);
	link_to("..1/policy", "policy");
	usleep(1500000);
	write_policy_as("..1/policy", "permit");
	wait_for_generation(7);
	stop();
}
END_TEST

START_TEST(test_table_removed)
{
	start();
	for (unsigned i = 1; i <= 3; i++) {
		remove_table();
		wait_for_log("CSI3012I", i);
		ck_assert(table_is_there());
	}
	ck_assert_uint_eq(log_count("CSI3011W"), 3);
	stop();
}
END_TEST

/*
 * A rule ends between two looks at the minute, and something else makes pagent look at its table:
 * nobody has changed that, and it is made anew for the new time at the minute or when asked.
 */
START_TEST(test_time_turns)
{
	time_t end = time(NULL) + 8;
	char text[1024], to[16];
	json_t *entries, *done;
	struct cs_err err = {0};
	struct tm tm;

	strftime(to, sizeof(to), "%Y%m%d%H%M%S", gmtime_r(&end, &tm));
	snprintf(text, sizeof(text),
		 "IpFilterPolicy\n{\n  IpFilterRule mail\n  {\n    IpSourceAddr 192.0.2.1\n"
		 "    IpDestAddr 198.51.100.0/24\n"
		 "    IpTimeCondition\n    {\n      TimeZone UTC\n"
		 "      ConditionTimeRange 20000101000000:%s\n    }\n"
		 "    IpGenericFilterActionRef permit\n  }\n}\n"
		 "IpGenericFilterAction permit\n{\n  IpFilterAction Permit\n}\n",
		 to);
	write_text(in_dir("policy"), text);
	start();
	ck_assert(first_rule_is_there());
	while (time(NULL) <= end)
		usleep(50000);
	ck_assert_int_eq(system("nft 'add chain inet csipsec foreign; "
				"delete chain inet csipsec foreign'"),
			 0);
	usleep(1500000);
	ck_assert_uint_eq(log_count("CSI3011W"), 0);
	ck_assert_int_eq(ask("refresh", &entries, &done, &err), 0);
	json_decref(entries);
	json_decref(done);
	ck_assert(!first_rule_is_there());
	ck_assert_uint_eq(log_count("CSI3011W"), 0);
	stop();
}
END_TEST

/* A file that is no policy has a fault in each line; the log gets the first of them. */
START_TEST(test_many_findings)
{
	char text[8 * 1000 + 1], *end = text;

	start();
	for (int i = 0; i < 1000; i++)
		end = stpcpy(end, "Foo bar\n");
	write_text(in_dir("policy"), text);
	wait_for_log("CSI3004E", 1);
	ck_assert_uint_eq(log_count("unknown statement"), 200);
	ck_assert_uint_ge(log_count(" more findings are not logged"), 1);
	ck_assert_int_eq(generation(), 1);
	ck_assert_int_eq(STATUS("-n", in_dir("policy")), 1);
	stop();
}
END_TEST

/* A file of another kind is wrong in each of its lines. */
START_TEST(test_many_errors)
{
	json_t *entries, *done;
	struct cs_err err = {0};
	FILE *f;

	start();
	f = fopen(in_dir("policy"), "w");
	ck_assert_ptr_nonnull(f);
	for (int i = 0; i < 50000; i++)
		fprintf(f, "There is no such statement, number %d\n", i);
	fclose(f);
	ck_assert_int_eq(ask("refresh", &entries, &done, &err), CS_EPOLICY);
	ck_assert_msg(strstr(err.text, "more than 1000 errors"), "%s", err.text);
	/* and what closes them */
	ck_assert_uint_eq(json_array_size(entries), 1001);
	ck_assert_ptr_nonnull(strstr(text_of(entries, 1000, "Reason"), "more than 1000 errors"));
	json_decref(entries);
	stop();
}
END_TEST

START_TEST(test_stays_in_force)
{
	pid_t killer;
	json_t *entries, *done;
	struct cs_err err = {0};

	ck_assert(!table_is_there());
	start();
	ck_assert_int_eq(STATUS("-f", "-c", in_dir("policy")), 3);
	ck_assert_int_eq(STATUS("-u"), 3);
	ck_assert_int_eq(STATUS("-r", "refresh"), 0);
	ck_assert_int_eq(ask("stop", &entries, &done, &err), 0);
	json_decref(entries);
	json_decref(done);
	ck_assert_int_eq(status_of(pagent), 0);
	ck_assert(table_is_there());
	/* the stored policy counts although the file is gone */
	unlink(in_dir("policy"));
	remove_table();
	start();
	ck_assert_uint_eq(log_count("CSI3006I"), 1);
	ck_assert(table_is_there());
	ck_assert_int_eq(generation(), 1);
	/* it waits for the end, and a child that nobody waits for does not end */
	killer = run((const char *const[]){"-k", "stop", NULL});
	ck_assert_int_eq(status_of(pagent), 0);
	pagent = 0;
	ck_assert_int_eq(status_of(killer), 0);
	ck_assert(table_is_there());
	ck_assert_int_eq(STATUS("-u"), 0);
	ck_assert(!table_is_there());
}
END_TEST

START_TEST(test_killed)
{
	start();
	ck_assert_int_eq(kill(pagent, SIGKILL), 0);
	ck_assert_int_eq(status_of(pagent), 1000 + SIGKILL);
	ck_assert(table_is_there());
	/* its pid file and socket are no hindrance */
	start();
	ck_assert_int_eq(generation(), 1);
	stop();
}
END_TEST

START_TEST(test_no_policy)
{
	json_t *entries, *done;
	struct cs_err err = {0};

	unlink(in_dir("policy"));
	start();
	ck_assert_uint_eq(log_count("CSI3008W"), 1);
	ck_assert(!table_is_there());
	ck_assert_int_eq(ask("filters", &entries, &done, &err), 0);
	ck_assert_uint_eq(json_array_size(entries), 0);
	ck_assert_str_eq(json_string_value(json_object_get(done, "Source")), "Stack Profile");
	json_decref(entries);
	json_decref(done);
	ck_assert_int_eq(ask("nonsense", &entries, &done, &err), CS_EINVAL);
	json_decref(entries);
	/* it comes later */
	write_policy("permit");
	wait_for_log("EZZ8771I", 1);
	ck_assert(table_is_there());
	stop();
}
END_TEST

/* ---- default filters ---- */

#define PROFILE                                                                                    \
	"IPCONFIG IPSECURITY\nIPSEC LOGENABLE\n"                                                   \
	"IPSECRULE * * LOG PROTOCOL TCP SRCPORT 22 DIRECTION BIDIRECTIONAL INBCONNECT\n"           \
	"IPSEC6RULE 2001:db8::1 * PROTOCOL UDP DIRECTION OUTBOUND\nENDIPSEC\n"

/* Source and names of the filters of a scope: "Stack Profile SYSDEFAULTRULE.1/1 ...". */
static const char *filters_are(const char *scope)
{
	static char text[1024];
	json_t *entries, *done;
	struct cs_err err = {0};
	size_t n;

	ck_assert_msg(ask_scope("filters", scope, &entries, &done, &err) == 0, "%s", err.text);
	n = (size_t)snprintf(text, sizeof(text), "%s",
			     json_string_value(json_object_get(done, "Source")));
	for (size_t i = 0; i < json_array_size(entries); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " %.20s/%d",
				      text_of(entries, i, "FilterName"),
				      (int)number_of(entries, i, "FilterNameExtension"));
	json_decref(entries);
	json_decref(done);
	return text;
}

#define DEFAULTS                                                                                   \
	"Stack Profile SYSDEFAULTRULE.1/1 SYSDEFAULTRULE.1/2 SYSDEFAULTDENYRULE/1 "                \
	"SYSDEFAULTDENYRULE/2 SYSDEFAULTRULE.2/1 SYSDEFAULTDENYRULE/3 SYSDEFAULTDENYRULE/4"
#define POLICY                                                                                     \
	"Stack Policy mail/1 mail/2 DenyAllRule_Generate/1 DenyAllRule_Generate/1 six/1 "          \
	"DenyAllRule_Generate/1 DenyAllRule_Generate/1"

/* What `ipsec -f default` or reload says: a code, and whether it changed anything. */
static int choose(const char *request, bool *changed, struct cs_err *err)
{
	json_t *entries, *done;
	int rc = ask(request, &entries, &done, err);

	*changed = json_is_true(json_object_get(done, "changed"));
	json_decref(entries);
	json_decref(done);
	return rc;
}

static void choose_well(const char *request, bool changes)
{
	struct cs_err err = {0};
	bool changed;

	ck_assert_msg(choose(request, &changed, &err) == 0, "%s", err.text);
	ck_assert(changed == changes);
}

static bool chosen(void)
{
	return access(in_dir("state/TCPIP/default-filters"), F_OK) == 0;
}

START_TEST(test_defaults)
{
	struct cs_err err = {0};
	bool changed;

	start();
	/* without a profile it is refused, and says why */
	ck_assert_int_eq(choose("default", &changed, &err), CS_EPOLICY);
	ck_assert_msg(strstr(err.text, "TCPIP.profile does not exist"), "%s", err.text);
	ck_assert_str_eq(filters_are("profile"), "Stack Profile");
	write_text(in_dir("TCPIP.profile"), "IPSEC\nIPSECRULE nonsense *\nENDIPSEC\n");
	ck_assert_int_eq(choose("default", &changed, &err), CS_EPOLICY);
	ck_assert_msg(strstr(err.text, "cannot be used"), "%s", err.text);
	ck_assert(!chosen());
	ck_assert_str_eq(filters_are(NULL), POLICY);
	write_text(in_dir("TCPIP.profile"), PROFILE);
	choose_well("default", true);
	ck_assert(chosen());
	ck_assert_str_eq(filters_are(NULL), DEFAULTS);
	ck_assert_str_eq(filters_are("profile"), DEFAULTS);
	ck_assert_str_eq(filters_are("policy"), POLICY);
	choose_well("default", false);
	/* a policy meanwhile is stored, and waits; so over a restart */
	write_policy("deny");
	ck_assert_int_eq(STATUS("--refresh"), 0);
	ck_assert_uint_eq(log_count("CSI3044W"), 1);
	ck_assert_int_eq(generation(), 2);
	ck_assert_str_eq(filters_are(NULL), DEFAULTS);
	stop();
	start();
	ck_assert_str_eq(filters_are(NULL), DEFAULTS);
	ck_assert_int_eq(generation(), 2);
	choose_well("reload", true);
	ck_assert(!chosen());
	ck_assert_str_eq(filters_are(NULL), POLICY);
	choose_well("reload", false);
	stop();
	start();
	ck_assert_str_eq(filters_are(NULL), POLICY);
	stop();
}
END_TEST

/* They are there before the first policy, and a new profile takes the old one's place. */
START_TEST(test_defaults_first)
{
	ck_assert_int_eq(rename(in_dir("policy"), in_dir("later")), 0);
	write_text(in_dir("TCPIP.profile"), PROFILE);
	start();
	ck_assert_str_eq(filters_are(NULL), DEFAULTS);
	ck_assert(table_is_there());
	ck_assert_int_eq(generation(), 0);
	write_text(in_dir("TCPIP.profile"), "IPSEC\nENDIPSEC\n");
	wait_for_log("has 0 default filters", 1);
	wait_for_log("CSI3004E", 2);
	ck_assert_str_eq(filters_are(NULL),
			 "Stack Profile SYSDEFAULTDENYRULE/1 SYSDEFAULTDENYRULE/2 "
			 "SYSDEFAULTDENYRULE/3 SYSDEFAULTDENYRULE/4");
	/* one that is wrong, and one that is gone, leave what it had */
	write_text(in_dir("TCPIP.profile"), "IPSEC\nIPSECRULE\n");
	wait_for_log("those that it had stay", 1);
	ck_assert_int_eq(unlink(in_dir("TCPIP.profile")), 0);
	wait_for_log("those that it had stay", 2);
	ck_assert_str_eq(filters_are("profile"), filters_are(NULL));
	remove_table();
	wait_for_log("CSI3012I", 1);
	ck_assert(table_is_there());
	ck_assert_int_eq(rename(in_dir("later"), in_dir("policy")), 0);
	wait_for_generation(1);
	ck_assert_str_eq(filters_are(NULL), POLICY);
	stop();
}
END_TEST

START_TEST(test_boot)
{
	/* nothing to put in force */
	ck_assert_int_eq(STATUS("--boot"), 0);
	ck_assert(!table_is_there());
	/* before the first policy */
	write_text(in_dir("TCPIP.profile"), PROFILE);
	ck_assert_int_eq(STATUS("--boot"), 0);
	ck_assert(table_is_there());
	ck_assert_uint_eq(log_count("boot: the set of default filters is in force"), 1);
	start();
	ck_assert_int_eq(STATUS("--boot"), 0); /* pagent has it in hand */
	stop();
	remove_table();
	ck_assert_int_eq(STATUS("--boot"), 0);
	ck_assert_uint_eq(log_count("boot: policy generation 1 is in force"), 1);
	start();
	choose_well("default", true);
	stop();
	remove_table();
	ck_assert_int_eq(STATUS("--boot"), 0);
	ck_assert_uint_eq(log_count("boot: the set of default filters is in force"), 2);
	/* a profile that is gone, though its filters were chosen: the policy protects */
	ck_assert_int_eq(unlink(in_dir("TCPIP.profile")), 0);
	remove_table();
	ck_assert_int_eq(STATUS("--boot"), 0);
	ck_assert_uint_eq(log_count("CSI3045E"), 1);
	ck_assert_uint_eq(log_count("boot: policy generation 1 is in force"), 2);
	/* a store that is none */
	write_text(in_dir("TCPIP.profile"), PROFILE);
	write_text(in_dir("state/TCPIP/policy.db"),
		   "this is no database, and is long enough to see");
	remove_table();
	ck_assert_int_eq(STATUS("--boot"), 1);
	ck_assert(table_is_there());
}
END_TEST

/* What another generation changes is told, and a choice that cannot be stored is refused. */
START_TEST(test_choice_not_stored)
{
	struct cs_err err = {0};
	bool changed;

	write_text(in_dir("TCPIP.profile"), PROFILE);
	start();
	wait_for_log("generation 1: filter rules: 2 added; key exchange rules: none", 1);
	ck_assert_int_eq(symlink("nowhere", in_dir("state/TCPIP/default-filters")), 0);
	ck_assert_int_eq(choose("default", &changed, &err), CS_ESYS);
	ck_assert_str_eq(filters_are(NULL), POLICY);
	ck_assert_int_eq(unlink(in_dir("state/TCPIP/default-filters")), 0);
	write_policy("deny");
	wait_for_log("generation 2: filter rules: 1 changed, 1 unchanged", 1);
	stop();
}
END_TEST

/* Two stacks in one namespace would put their tables in each other's place. */
START_TEST(test_two_stacks)
{
	write_policy("permit");
	start();
	ck_assert_int_eq(STATUS("-p", "OTHER", "-f", "-c", in_dir("policy")), 1);
	wait_for_log("of stack TCPIP serves this network namespace", 1);
	stop();
}
END_TEST

START_TEST(test_options)
{
	ck_assert_int_eq(STATUS("-n", in_dir("policy")), 0);
	write_policy("nowhere");
	ck_assert_int_eq(STATUS("-n", in_dir("policy")), 1);
	ck_assert_int_eq(STATUS("-n", in_dir("absent")), 1);
	ck_assert_int_eq(STATUS("--help"), 0);
	ck_assert_int_eq(STATUS("--version"), 0);
	ck_assert_int_eq(STATUS("-k", "stop"), 4);
	ck_assert_int_eq(STATUS("-r", "refresh"), 4);
	ck_assert_int_eq(STATUS("-k", "now"), 2);
	ck_assert_int_eq(STATUS("-i", "-5"), 2);
	ck_assert_int_eq(STATUS("-p", "../x"), 2);
	ck_assert_int_eq(STATUS("-u", "-k", "stop"), 2);
	ck_assert_int_eq(STATUS("word"), 2);
}
END_TEST

/* ---- namespaces ---- */

static bool write_map(const char *path, unsigned id)
{
	char text[32];
	int fd = open(path, O_WRONLY | O_CLOEXEC), n = snprintf(text, sizeof(text), "0 %u 1", id);
	bool ok = fd >= 0 && write(fd, text, (size_t)n) == n;

	if (fd >= 0)
		close(fd);
	return ok;
}

static bool own_network(void)
{
	unsigned uid = geteuid(), gid = getegid();
	int fd;

	if (uid == 0)
		return unshare(CLONE_NEWNET) == 0;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return false;
	fd = open("/proc/self/setgroups", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!write(fd, "deny", 4);
		close(fd);
	}
	return write_map("/proc/self/uid_map", uid) && write_map("/proc/self/gid_map", gid);
}

static bool can_filter(void)
{
	struct xf_kernel *k = NULL;
	struct xf_abilities abilities;
	struct cs_err err;

	if (xf_open(&marking, &k, &err) < 0)
		return false;
	xf_probe(k, &abilities);
	xf_close(k);
	return abilities.nft_inet;
}

/* ---- AT-TLS ---- */

#define TTLS_RULE                                                                                  \
	"TTLSGroupAction g\n{\n  TTLSEnabled Off\n}\n"                                             \
	"TTLSRule r\n{\n  Userid u\n  Direction Both\n  TTLSGroupActionRef g\n}\n"

/* The rules of the image that is published, -1: none is. */
static int published(uint64_t *generation)
{
	struct pol_ttls *ttls = NULL;
	struct cs_err err;
	int rc = pol_ttls_map(in_dir("run/TCPIP/" POL_TTLS_FILE), &ttls, &err), n;

	if (rc == CS_ENOTFOUND)
		return -1;
	ck_assert_msg(rc == 0, "%s", err.text);
	n = (int)pol_ttls_count(ttls);
	*generation = pol_ttls_generation(ttls);
	pol_ttls_unmap(ttls);
	return n;
}

static void refresh(int status)
{
	ck_assert_int_eq(STATUS("-r", "refresh"), status);
}

/* AT-TLS policy alone: its image goes with each generation, and the kernel is asked nothing. */
START_TEST(test_ttls)
{
	uint64_t generation = 0;

	write_text(in_dir("ttls"), TTLS_RULE);
	write_text(in_dir("policy"), "TTLSConfig ttls\n");
	start();
	ck_assert_int_eq(published(&generation), 1);
	ck_assert_uint_eq(generation, 1);
	ck_assert(!table_is_there());

	write_text(in_dir("ttls"), TTLS_RULE "TTLSRule s\n{\n}\n");
	refresh(1);
	ck_assert_int_eq(published(&generation), 1);
	write_text(in_dir("ttls"), TTLS_RULE "TTLSRule s\n{\n  LocalPortRange 1\n  Direction Both\n"
					     "  TTLSGroupActionRef g\n}\n");
	refresh(0);
	ck_assert_int_eq(published(&generation), 2);
	ck_assert_uint_eq(generation, 2);
	/* somebody removed it: the next reading puts it back */
	ck_assert_int_eq(unlink(in_dir("run/TCPIP/" POL_TTLS_FILE)), 0);
	refresh(0);
	ck_assert_int_eq(published(&generation), 2);
	/* it stays without pagent, and at a start with a bad file */
	stop();
	ck_assert_int_eq(published(&generation), 2);
	write_text(in_dir("ttls"), "nonsense\n");
	start();
	ck_assert_int_eq(published(&generation), 2);
	stop();
}
END_TEST

/* FLUSH: what was there does not outlive a start with a bad file; PURGE: nor the end. */
START_TEST(test_ttls_flush_purge)
{
	uint64_t generation = 0;

	write_text(in_dir("ttls"), TTLS_RULE);
	write_text(in_dir("policy"), "TcpImage TCPIP FLUSH 3600\nTTLSConfig ttls\n");
	start();
	ck_assert_int_eq(published(&generation), 1);
	stop();
	ck_assert_int_eq(published(&generation), 1);
	write_text(in_dir("ttls"), "nonsense\n");
	start();
	ck_assert_int_eq(published(&generation), -1);
	/* nor does it come back with another bad file */
	refresh(1);
	ck_assert_int_eq(published(&generation), -1);
	write_text(in_dir("ttls"), TTLS_RULE);
	refresh(0);
	ck_assert_int_eq(published(&generation), 1);
	write_text(in_dir("policy"), "TcpImage TCPIP FLUSH\nTTLSConfig ttls NOFLUSH PURGE\n");
	refresh(0);
	stop();
	ck_assert_int_eq(published(&generation), -1);
}
END_TEST

static void change_store(const char *sql)
{
	sqlite3 *db = NULL;

	ck_assert_int_eq(sqlite3_open(in_dir("state/TCPIP/policy.db"), &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

/* A store that takes nothing is no error of the files: what is in force stays published. */
START_TEST(test_ttls_flush_refused)
{
	uint64_t generation = 0;

	write_text(in_dir("ttls"), TTLS_RULE);
	write_text(in_dir("policy"), "TTLSConfig ttls FLUSH\n");
	start();
	ck_assert_int_eq(published(&generation), 1);
	stop();
	change_store("CREATE TRIGGER full BEFORE INSERT ON node BEGIN "
		     "SELECT RAISE(ABORT, 'no room'); END");
	write_text(in_dir("ttls"), TTLS_RULE "TTLSRule s\n{\n  LocalPortRange 1\n  Direction Both\n"
					     "  TTLSGroupActionRef g\n}\n");
	start();
	wait_for_log("no room", 1);
	ck_assert_int_eq(published(&generation), 1);
	ck_assert_uint_eq(generation, 1);
	ck_assert_uint_eq(log_count("AT-TLS policy is taken away"), 0);
	change_store("DROP TRIGGER full");
	refresh(0);
	ck_assert_int_eq(published(&generation), 2);
	stop();
}
END_TEST

/* As on z/OS, IPSec policy that is not named any more is no policy; without a profile that opens.
 */
START_TEST(test_ipsec_taken_away)
{
	write_policy_as("ipsec", "deny");
	write_text(in_dir("ttls"), TTLS_RULE);
	write_text(in_dir("policy"), "IpSecConfig ipsec\nTTLSConfig ttls\n");
	start();
	ck_assert(table_is_there());
	write_text(in_dir("policy"), "TTLSConfig ttls\n");
	refresh(0);
	ck_assert(!table_is_there());
	ck_assert_uint_eq(log_count("CSI3048W"), 1);
	/* told once, and not of what had none before */
	write_text(in_dir("ttls"), TTLS_RULE "TTLSRule s\n{\n  LocalPortRange 1\n  Direction Both\n"
					     "  TTLSGroupActionRef g\n}\n");
	refresh(0);
	ck_assert_uint_eq(log_count("CSI3048W"), 1);

	write_text(in_dir("TCPIP.profile"), PROFILE);
	write_text(in_dir("policy"), "IpSecConfig ipsec\nTTLSConfig ttls\n");
	refresh(0);
	ck_assert_str_eq(filters_are(NULL), POLICY);
	write_text(in_dir("policy"), "TTLSConfig ttls\n");
	refresh(0);
	ck_assert_str_eq(filters_are(NULL), DEFAULTS);
	ck_assert_uint_eq(log_count("CSI3048W"), 1);
	stop();
}
END_TEST

/* A profile that is there and wrong opens nothing where the policy has no filters. */
START_TEST(test_bad_profile_alone)
{
	write_text(in_dir("TCPIP.profile"), PROFILE);
	write_text(in_dir("ttls"), TTLS_RULE);
	write_text(in_dir("policy"), "TTLSConfig ttls\n");
	start();
	ck_assert_int_eq(generation(), 1);
	ck_assert_str_eq(filters_are(NULL), DEFAULTS);
	stop();
	write_text(in_dir("TCPIP.profile"), "IPSEC\nIPSECRULE\n");
	start();
	wait_for_log("and those of", 1);
	ck_assert(table_is_there());
	write_text(in_dir("TCPIP.profile"), PROFILE);
	wait_for_log("has 2 default filters", 2);
	ck_assert_str_eq(filters_are(NULL), DEFAULTS);
	stop();
}
END_TEST

/* The files' interval, where no option says another. */
START_TEST(test_interval_of_files)
{
	write_text(in_dir("ttls"), TTLS_RULE);
	write_text(in_dir("policy"), "TcpImage TCPIP 1\nTTLSConfig ttls\n");
	start(); /* with -i 0 */
	usleep(2500000);
	ck_assert_uint_eq(log_count("is as it was"), 0);
	stop();
	pagent = run((const char *const[]){"-f", "-c", in_dir("policy"), NULL});
	wait_for_log("is as it was", 3); /* at the start, and twice by the interval */
	stop();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pagent");
	TCase *tc = tcase_create("all");

	if (!own_network() || !can_filter()) {
		fputs("no network namespace with nftables can be had here: skipped\n", stderr);
		return SKIP;
	}
	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_filters);
	tcase_add_test(tc, test_refresh);
	tcase_add_test(tc, test_interval);
	tcase_add_test(tc, test_many_errors);
	tcase_add_test(tc, test_links);
	tcase_add_test(tc, test_table_removed);
	tcase_add_test(tc, test_time_turns);
	tcase_add_test(tc, test_many_findings);
	tcase_add_test(tc, test_stays_in_force);
	tcase_add_test(tc, test_killed);
	tcase_add_test(tc, test_no_policy);
	tcase_add_test(tc, test_defaults);
	tcase_add_test(tc, test_defaults_first);
	tcase_add_test(tc, test_bad_profile_alone);
	tcase_add_test(tc, test_ipsec_taken_away);
	tcase_add_test(tc, test_boot);
	tcase_add_test(tc, test_choice_not_stored);
	tcase_add_test(tc, test_two_stacks);
	tcase_add_test(tc, test_options);
	tcase_add_test(tc, test_ttls);
	tcase_add_test(tc, test_ttls_flush_purge);
	tcase_add_test(tc, test_ttls_flush_refused);
	tcase_add_test(tc, test_interval_of_files);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
