#include "tests/unit/postgres.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRIES    400
#define TRY_USEC 50000

static char template[96], programs[128];

/* ---- processes ---- */

/* PostgreSQL does not run as root. Its end is ours: it does not outlive the test. */
static void become(void)
{
	const struct passwd *pw = geteuid() == 0 ? getpwnam("postgres") : NULL;

	if (geteuid() == 0 &&
	    (!pw || setgroups(0, NULL) < 0 || setgid(pw->pw_gid) < 0 || setuid(pw->pw_uid) < 0))
		_exit(120);
	prctl(PR_SET_PDEATHSIG, SIGQUIT);
	if (chdir("/") < 0)
		_exit(121);
	unsetenv("PGHOST");
	setenv("LC_ALL", "C", 1);
}

static pid_t begin(const char *const *argv, const char *log)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		int fd;

		setsid();
		become();
		fd = open(log ? log : "/dev/null", O_WRONLY | O_CREAT | O_APPEND, 0600);
		dup2(fd, 1);
		dup2(fd, 2);
		for (fd = 3; fd < 1024; fd++)
			close(fd);
		execv(argv[0], (char *const *)argv);
		_exit(122);
	}
	return pid;
}

int postgres_run(const char *const *argv)
{
	int status;
	pid_t pid = begin(argv, NULL);

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 200;
}

static const char *program(const char *name)
{
	static char path[4][160];
	static unsigned at;
	char *p = path[at++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", programs, name);
	return p;
}

static void must_run(const char *const *argv)
{
	int rc = postgres_run(argv);

	ck_assert_msg(rc == 0, "%s ended with %d", argv[0], rc);
}

static void copy(const char *from, const char *to)
{
	const char *const argv[] = {"/bin/cp", "-a", from, to, NULL};

	must_run(argv);
}

static void own_dir(const char *dir)
{
	const struct passwd *pw = geteuid() == 0 ? getpwnam("postgres") : NULL;

	ck_assert_int_eq(mkdir(dir, 0700), 0);
	if (geteuid() == 0)
		ck_assert(pw && chown(dir, pw->pw_uid, pw->pw_gid) == 0);
}

void postgres_template(void)
{
	char data[128];
	const char *const argv[] = {NULL,    "-D", data, "-U",   "postgres",   "-A",
				    "trust", "-N", "-E", "UTF8", "--locale=C", "--wal-segsize=1",
				    NULL};
	const char *args[sizeof(argv) / sizeof(*argv)];
	glob_t found;

	/* Debian's place, of whatever version. */
	ck_assert_msg(glob("/usr/lib/postgresql/*/bin", 0, NULL, &found) == 0,
		      "PostgreSQL is not there: scripts/packages.sh names it");
	snprintf(programs, sizeof(programs), "%s", found.gl_pathv[found.gl_pathc - 1]);
	globfree(&found);
	strcpy(template, "/tmp/csipsec-postgres-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(template));
	rmdir(template);
	own_dir(template);
	snprintf(data, sizeof(data), "%s/data", template);
	memcpy(args, argv, sizeof(args));
	args[0] = program("initdb");
	must_run(args);
}

void postgres_template_remove(void)
{
	const char *const argv[] = {"/bin/rm", "-rf", template, NULL};

	must_run(argv);
}

/* ---- servers ---- */

/* One that nobody has now. */
static unsigned free_port(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	close(fd);
	return ntohs(sin.sin_port);
}

static void write_file(const struct postgres *p, const char *name, const char *mode,
		       const char *text)
{
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/data/%s", p->dir, name);
	f = fopen(path, mode);
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	ck_assert_int_eq(fclose(f), 0);
}

void postgres_configure(const struct postgres *p, const char *lines)
{
	write_file(p, "postgresql.conf", "a", lines);
}

void postgres_hba(const struct postgres *p, const char *lines)
{
	write_file(p, "pg_hba.conf", "w", lines);
}

/* fsync off: what a killed process has written, the kernel has. */
static void place(struct postgres *p, const char *dir, const char *name)
{
	memset(p, 0, sizeof(*p));
	snprintf(p->dir, sizeof(p->dir), "%s/%s", dir, name);
	own_dir(p->dir);
	p->port = free_port();
}

static void configure(const struct postgres *p)
{
	char text[640];

	snprintf(text, sizeof(text),
		 "port = %u\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '%s'\n"
		 "fsync = off\nshared_buffers = 8MB\nmax_connections = 30\nmax_wal_senders = 4\n"
		 "wal_level = replica\nhot_standby = on\nmax_wal_size = 64MB\nmin_wal_size = 4MB\n"
		 "wal_retrieve_retry_interval = 200ms\nwal_keep_size = 8MB\n"
		 "autovacuum = off\n",
		 p->port, p->dir);
	postgres_configure(p, text);
}

void postgres_new(struct postgres *p, const char *dir, const char *name)
{
	char from[128], data[128];

	place(p, dir, name);
	snprintf(from, sizeof(from), "%s/data", template);
	snprintf(data, sizeof(data), "%s/data", p->dir);
	copy(from, data);
	configure(p);
	postgres_start(p);
}

void postgres_standby(struct postgres *p, const struct postgres *of, const char *dir,
		      const char *name)
{
	char port[12], data[128];
	const char *const argv[] = {program("pg_basebackup"),
				    "-D",
				    data,
				    "-R",
				    "-c",
				    "fast",
				    "-h",
				    of->dir,
				    "-p",
				    port,
				    "-U",
				    "postgres",
				    "-N",
				    NULL};

	place(p, dir, name);
	snprintf(port, sizeof(port), "%u", of->port);
	snprintf(data, sizeof(data), "%s/data", p->dir);
	must_run(argv);
	configure(p);
	postgres_start(p);
}

static bool answers(const struct postgres *p)
{
	return postgres_ask(p, "SELECT 1") == 1;
}

void postgres_start(struct postgres *p)
{
	char data[128], log[128];
	const char *const argv[] = {program("postgres"), "-D", data, NULL};

	snprintf(data, sizeof(data), "%s/data", p->dir);
	snprintf(log, sizeof(log), "%s/output", p->dir);
	p->pid = begin(argv, log);
	for (unsigned i = 0; i < TRIES && !answers(p); i++) {
		ck_assert_msg(waitpid(p->pid, NULL, WNOHANG) == 0,
			      "PostgreSQL did not start, see %s", log);
		usleep(TRY_USEC);
	}
	ck_assert(answers(p));
}

/* By a file /proc/PID/stat: "PID (postgres) S PARENT ...". 0: it has gone. */
static pid_t parent_of(const char *path)
{
	char line[256] = "";
	FILE *f = fopen(path, "re");
	const char *state;

	if (!f)
		return 0;
	state = fgets(line, sizeof(line), f) ? strstr(line, ") ") : NULL;
	fclose(f);
	return state ? (pid_t)strtol(state + 4, NULL, 10) : 0;
}

/* Each of its processes is in a session of its own. */
static unsigned signal_all(const struct postgres *p, int sig)
{
	unsigned n = 0;
	glob_t found;

	/* None is begun meanwhile, and none has another parent yet. */
	kill(p->pid, SIGSTOP);
	if (glob("/proc/[0-9]*/stat", 0, NULL, &found) != 0)
		return 0;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		pid_t pid = (pid_t)strtol(found.gl_pathv[i] + strlen("/proc/"), NULL, 10);

		if (parent_of(found.gl_pathv[i]) == p->pid)
			n += kill(pid, sig) == 0;
	}
	globfree(&found);
	kill(p->pid, sig);
	return n;
}

void postgres_kill(struct postgres *p)
{
	if (!p->pid)
		return;
	ck_assert_uint_gt(signal_all(p, SIGKILL), 0);
	waitpid(p->pid, NULL, 0);
	p->pid = 0;
}

/* A test that fails meanwhile leaves it frozen: then it is thawed, so that it can end. */
static void thaw_at_our_end(const struct postgres *p)
{
	int end[2];

	ck_assert_int_eq(pipe(end), 0);
	if (fork() == 0) {
		char none;

		setsid();
		for (int fd = 3; fd < 1024; fd++) /* others wait for the ends of theirs */
			if (fd != end[0])
				close(fd);
		(void)!read(end[0], &none, 1);
		signal_all(p, SIGCONT);
		_exit(0);
	}
	close(end[0]); /* the other end goes with this process */
}

void postgres_freeze(const struct postgres *p, bool frozen)
{
	if (frozen)
		thaw_at_our_end(p);
	ck_assert_uint_gt(signal_all(p, frozen ? SIGSTOP : SIGCONT), 0);
}

void postgres_promote(const struct postgres *p)
{
	postgres_do(p, "SELECT pg_promote()");
}

/* ---- questions ---- */

static PGconn *connection(const struct postgres *p)
{
	char text[256];

	snprintf(text, sizeof(text), "host=%s port=%u user=postgres dbname=postgres", p->dir,
		 p->port);
	return PQconnectdb(text);
}

long long postgres_ask(const struct postgres *p, const char *sql)
{
	PGconn *c = connection(p);
	PGresult *r = PQstatus(c) == CONNECTION_OK ? PQexec(c, sql) : NULL;
	long long n = -1;

	if (PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) > 0)
		n = strtoll(PQgetvalue(r, 0, 0), NULL, 10);
	PQclear(r);
	PQfinish(c);
	return n;
}

void postgres_do(const struct postgres *p, const char *sql)
{
	PGconn *c = connection(p);
	PGresult *r = PQexec(c, sql);

	ck_assert_msg(PQresultStatus(r) == PGRES_TUPLES_OK || PQresultStatus(r) == PGRES_COMMAND_OK,
		      "%s: %s", sql, PQerrorMessage(c));
	PQclear(r);
	PQfinish(c);
}
