/*
 * trmd as it is run: options, what it does when it is told to, and rows that come while it runs.
 * The rows are written by iked's own store, and by pagent's.
 */
#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <pwd.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "iked/store.h"
#include "smf/smf.h"
#include "tests/unit/audit_server.h"
#include "tests/unit/run_suite.h"
#include "trmd/closed.h"

#define USER "nobody"

static char dir[64], database[128], smf[128];
static struct cs_err err;
static struct ike_p1_info p1;

/* ---- directories ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void give(const char *path)
{
	const struct passwd *pw = getpwnam(USER);

	ck_assert(geteuid() != 0 || (pw && chown(path, pw->pw_uid, pw->pw_gid) == 0));
}

static void make_dir(const char *leaf)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, leaf);
	ck_assert_int_eq(mkdir(path, 0755), 0);
}

static void put_config(const char *value)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/conf/iked.conf", dir);
	f = fopen(path, "w");
	ck_assert(f && fprintf(f, "IkeConfig\n{\n SMF119 %s\n}\n", value) > 0);
	fclose(f);
}

static void setup(void)
{
	char path[128];

	strcpy(dir, "/tmp/test_trmd.XXXXXX");
	ck_assert(mkdtemp(dir) && chmod(dir, 0755) == 0);
	make_dir("run");
	make_dir("state");
	make_dir("conf");
	make_dir("state/TCPIP");
	make_dir("state/TCPIP/iked");
	snprintf(database, sizeof(database), "%s/state/TCPIP/iked/iked.db", dir);
	snprintf(smf, sizeof(smf), "%s/state/TCPIP/smf", dir);
	snprintf(path, sizeof(path), "%s/state/TCPIP/iked", dir);
	give(path);
	snprintf(path, sizeof(path), "%s/run", dir);
	setenv("CSIPSEC_RUNDIR", path, 1);
	snprintf(path, sizeof(path), "%s/state", dir);
	setenv("CSIPSEC_STATEDIR", path, 1);
	snprintf(path, sizeof(path), "%s/conf", dir);
	setenv("CSIPSEC_CONFDIR", path, 1);
	put_config("IKEALL");
}

static void teardown(void)
{
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- rows ---- */

static void committed(void *arg, uint64_t tx, int status)
{
	(void)arg;
	(void)tx;
	ck_assert_int_eq(status, 0);
}

/* IKE tunnels first to first + n - 1 come up. */
static void put_rows(uint32_t first, uint32_t n)
{
	const struct ike_record r = {
		.kind = IKE_REC_P1_UP, .when = {1, 1768472430}, .p1 = &p1, .reason = ""};
	struct ike_store *store;
	uv_loop_t loop;

	p1 = (struct ike_p1_info){
		.generation = 1, .state = IKE_P1_DONE, .rule = "R", .action = "A"};
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	if (ike_store_open(&loop, database, IKE_STUCK_WAIT, committed, NULL, &store, &err) < 0)
		ck_abort_msg("%s", err.text);
	give(database);
	for (p1.tunnel = first; p1.tunnel < first + n; p1.tunnel++)
		ike_store_record(store, &r);
	ike_store_close(store);
	uv_run(&loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
}

static int rows_left(void)
{
	sqlite3_stmt *st = NULL;
	sqlite3 *db;
	int n = -1;

	if (sqlite3_open_v2(database, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(db, "SELECT count(*) FROM outbox", -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

/* ---- the program ---- */

static pid_t start(const char *first, const char *second)
{
	const char *argv[] = {"trmd", "-f", "--user", USER, first, first ? second : NULL, NULL};
	char log[128];
	pid_t pid;

	if (geteuid() != 0)
		argv[2] = first, argv[3] = second, argv[4] = NULL;
	snprintf(log, sizeof(log), "%s/log", dir);
	pid = fork();
	if (pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);

		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		execv("trmd/trmd", (char *const *)argv);
		_exit(127);
	}
	ck_assert_int_gt(pid, 0);
	return pid;
}

static const char *log_text(void)
{
	static char text[65536];
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/log", dir);
	f = fopen(path, "r");
	text[f ? fread(text, 1, sizeof(text) - 1, f) : 0] = '\0';
	if (f)
		fclose(f);
	return text;
}

static int status_of(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int run(const char *options)
{
	char command[256];
	int status;

	snprintf(command, sizeof(command), "trmd/trmd %s >>%s/log 2>&1", options, dir);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool logged(const char *part)
{
	return strstr(log_text(), part) != NULL;
}

/* Two minutes are for a machine with other work. */
static void await(const char *part)
{
	for (int i = 0; i < 12000 && !logged(part); i++)
		usleep(10000);
	ck_assert_msg(logged(part), "no '%s' in: %s", part, log_text());
}

static void await_empty(void)
{
	for (int i = 0; i < 12000 && rows_left() != 0; i++)
		usleep(10000);
	ck_assert_msg(rows_left() == 0, "%s", log_text());
}

/* What smfdump makes of the directory: K1, K2, ... each once, in order. */
static void has_tunnels(unsigned n)
{
	char command[256], line[65536], expected[32];
	unsigned next = 1;
	FILE *f;

	snprintf(command, sizeof(command), "smf/smfdump --json %s", smf);
	f = popen(command, "r");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f)) {
		snprintf(expected, sizeof(expected), "\"IKETunID\":\"K%u\"", next++);
		ck_assert_msg(strstr(line, expected) != NULL, "%s is not in %s", expected, line);
	}
	ck_assert_int_eq(pclose(f), 0);
	ck_assert_uint_eq(next, n + 1);
}

/* ---- tests ---- */

START_TEST(options)
{
	ck_assert_int_eq(run("--help"), 0);
	ck_assert(logged("Usage: trmd"));
	ck_assert_int_eq(run("--version"), 0);
	ck_assert(logged("trmd (csipsec) " PACKAGE_VERSION));
	ck_assert_int_eq(run("--bogus"), 2);
	ck_assert_int_eq(run("extra"), 2);
	ck_assert_int_eq(run("-p -bad"), 2);
	ck_assert_int_eq(run("--rotate-size 0"), 2);
	ck_assert_int_eq(run("--rotate-hours x"), 2);
	ck_assert_int_eq(run("--keep-files -1"), 2);
	ck_assert_int_eq(run("--keep-days 1d"), 2);
	ck_assert_int_eq(run("--permits-rate -1"), 2);
	ck_assert_int_eq(run("--denies-rate 100001"), 2);
	ck_assert_int_eq(run("-k now"), 2);
	ck_assert_int_eq(run("-k stop"), 4);
	ck_assert_int_eq(run("-r refresh"), 4);
}
END_TEST

/* Every option of the help is on the page. */
START_TEST(man_page)
{
	static char page[65536], plain[65536], text[65536];
	FILE *f = fopen(TESTDATA "/../man/trmd.8", "r");
	size_t n = 0;

	ck_assert_ptr_nonnull(f);
	page[fread(page, 1, sizeof(page) - 1, f)] = '\0';
	fclose(f);
	for (const char *p = page; *p; p++)
		if (*p != '\\')
			plain[n++] = *p;
	ck_assert_int_eq(run("--help"), 0);
	strcpy(text, log_text());
	n = 0;
	for (char *state = NULL, *w = strtok_r(text, " \n[]|,();", &state); w;
	     w = strtok_r(NULL, " \n[]|,();", &state))
		if (w[0] == '-' && w[1]) {
			ck_assert_msg(strstr(plain, w) != NULL, "%s", w);
			n++;
		}
	ck_assert_uint_gt(n, 12);
}
END_TEST

START_TEST(rows_come)
{
	pid_t pid = start(NULL, NULL);

	await("CSI6003W"); /* there is no database yet */
	put_rows(1, 300);
	await_empty();
	await("is read");
	has_tunnels(300);
	ck_assert_int_eq(run("-f"), 3);
	for (uint32_t i = 0; i < 10; i++) {
		put_rows(301 + i, 1);
		await_empty();
	}
	has_tunnels(310);
	ck_assert_int_eq(run("-k stop"), 0);
	ck_assert_int_eq(status_of(pid), 0);
	ck_assert(logged("CSI6002I trmd stops; 310 records were written"));
}
END_TEST

START_TEST(killed_and_started)
{
	for (uint32_t i = 0; i < 5; i++) {
		pid_t pid = start("--rotate-size", "1");

		put_rows(1 + i * 200, 200);
		usleep(20000 * i);
		kill(pid, SIGKILL);
		ck_assert_int_eq(status_of(pid), -SIGKILL);
	}
	pid_t pid = start(NULL, NULL);

	/* Of the others nothing may be left: it is this one's, which then takes a signal. */
	put_rows(1001, 1);
	await_empty();
	has_tunnels(1001);
	kill(pid, SIGTERM);
	ck_assert_int_eq(status_of(pid), 0);
}
END_TEST

static bool has_compressed(void)
{
	struct trmd_file *files;
	int dirfd = open(smf, O_RDONLY | O_DIRECTORY);
	bool found = false;
	unsigned n = 0;

	if (dirfd < 0 || trmd_files(dirfd, &files, &n, &err) < 0)
		return false;
	for (unsigned i = 0; i < n; i++)
		found = found || (files[i].gz && !files[i].plain);
	free(files);
	close(dirfd);
	return found;
}

START_TEST(refresh)
{
	pid_t pid;

	put_config("None");
	put_rows(1, 5);
	pid = start(NULL, NULL);
	await_empty();
	ck_assert(logged("SMF records: none"));
	put_config("IKETunnel");
	ck_assert_int_eq(run("-r refresh"), 0);
	await("SMF records: of IKE tunnels");
	put_rows(1, 7);
	await_empty();
	has_tunnels(7);
	put_config("Nonsense");
	ck_assert_int_eq(run("-r refresh"), 0);
	await("CSI6014E");
	for (int i = 0; i < 12000 && !has_compressed(); i++)
		usleep(10000);
	ck_assert(has_compressed());
	put_rows(8, 1);
	await_empty();
	has_tunnels(8);
	kill(pid, SIGTERM);
	ck_assert_int_eq(status_of(pid), 0);
}
END_TEST

/* ---- pagent's rows ---- */

static char pagent_dir[96];

static void give_socket(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/pagent.sock", pagent_dir);
	give(path);
}

static unsigned count(const char *event)
{
	char command[256], line[65536];
	unsigned n = 0;
	FILE *f;

	snprintf(command, sizeof(command), "smf/smfdump --json %s", smf);
	f = popen(command, "r");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, event) != NULL;
	ck_assert_int_eq(pclose(f), 0);
	return n;
}

static void await_count(const char *event, unsigned n)
{
	for (int i = 0; i < 1200 && count(event) != n; i++)
		usleep(100000);
	ck_assert_msg(count(event) == n, "%u %s: %s", count(event), event, log_text());
}

/* trmd is the user whose iked's directory is, so pagent gives it the rows. */
START_TEST(manual_tunnels)
{
	pid_t pid, server;

	snprintf(pagent_dir, sizeof(pagent_dir), "%s/run/TCPIP", dir);
	make_dir("run/TCPIP");
	give(pagent_dir);
	put_rows(1, 3);
	audit_server_rows(pagent_dir, 1, 2);
	server = audit_server_start(pagent_dir);
	give_socket();
	pid = start(NULL, NULL);
	await("CSI6001I");
	await_count("manual_tunnel_activated", 2);
	await_count("manual_tunnel_ended", 2);
	await("EZD0819I Tunnel activated: ");
	await("tunnelID= M2 AHSPI= 0 ESPSPI= 4096");
	/* one that hangs, whose rows wait, and nobody else's */
	kill(server, SIGSTOP);
	audit_server_rows(pagent_dir, 3, 2);
	sleep(3);
	for (uint32_t i = 4; i < 8; i++) {
		time_t began = time(NULL);

		put_rows(i, 1);
		await_empty();
		ck_assert_int_lt(time(NULL) - began, 4);
	}
	ck_assert_uint_eq(count("manual_tunnel_activated"), 2);
	audit_server_kill(server);
	server = audit_server_start(pagent_dir);
	give_socket();
	await_count("manual_tunnel_ended", 4);
	await_count("ike_tunnel_", 7);
	kill(pid, SIGTERM);
	ck_assert_int_eq(status_of(pid), 0);
	audit_server_kill(server);
}
END_TEST

/* As root it becomes somebody else, and has nothing left. */
START_TEST(privileges)
{
	static const char *const sets[] = {"CapPrm:", "CapEff:", "CapBnd:"};
	char path[64], line[256];
	unsigned seen = 0;
	pid_t pid;
	FILE *f;

	if (geteuid() != 0)
		return;
	ck_assert_int_eq(run("-f --user root"), 1);
	ck_assert(logged("must not run as root"));
	ck_assert_int_eq(run("-f --user nosuchuser"), 1);
	ck_assert(logged("there is no user nosuchuser"));
	put_rows(1, 1);
	pid = start(NULL, NULL);
	await_empty();
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f)) {
		for (unsigned i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
			if (strncmp(line, sets[i], strlen(sets[i])) != 0)
				continue;
			ck_assert_uint_eq(strtoull(line + strlen(sets[i]), NULL, 16), 0);
			seen++;
		}
	}
	fclose(f);
	ck_assert_uint_eq(seen, 3);
	kill(pid, SIGTERM);
	ck_assert_int_eq(status_of(pid), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("trmd");
	TCase *tc = tcase_create("trmd");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, options);
	tcase_add_test(tc, man_page);
	tcase_add_test(tc, rows_come);
	tcase_add_test(tc, killed_and_started);
	tcase_add_test(tc, refresh);
	tcase_add_test(tc, manual_tunnels);
	tcase_add_test(tc, privileges);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
