/*
 * bench_audit: what the audit trail takes and costs.  A hub engine with iked's real store (a file,
 * its writer thread, synced) negotiates with peers that have none, and the real trmd drains the
 * outbox into SMF files meanwhile.  A negotiation with its end is four state changes.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pwd.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "iked/store.h"
#include "tests/bench/ends.h"
#include "trmd/closed.h"

#define PEERS       256
#define CHANGES     4 /* of a negotiation: both phases up and down */
#define RECORDS     6 /* of these in SMF files: of a dynamic tunnel two each */
#define PACED       1000
#define SECONDS     30
#define MOST_S      20
#define BACKLOG_MAX 8192 /* rows that trmd may be behind where the rate is to be the greatest */
#define ROUNDS      7
#define ROUND       1500
#define LOOK_MS     20
#define TX_RING     (1u << 17)

/* Milliseconds from a record to its answer. */
struct latencies {
	float *ms;
	size_t n, room;
};

struct bench {
	struct end hub, peers[PEERS];
	bool busy[PEERS];
	unsigned want[PEERS], free_at; /* free_at: where to look for one that is not busy */
	uv_loop_t loop;
	struct ike_store *store;
	char dir[64], database[128], files[128], program[4096];
	sqlite3 *look; /* at the outbox */
	sqlite3_stmt *count;
	pid_t trmd;
	double submitted[TX_RING]; /* by transaction */
	bool intent[TX_RING];
	struct latencies intents, results;
	unsigned waiting;
	double committed_cpu_ms; /* of the hub's engine, in answers of the store */
};

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "bench_audit: %s: %s\n", what, why);
	exit(1);
}

static double mono_ms(void)
{
	return end_cpu_ms(CLOCK_MONOTONIC);
}

static void set_now(void)
{
	end_now.mono = (uint64_t)cs_mono_ms();
	end_now.wall = cs_wall_us() / 1000000;
}

/* ---- the store ---- */

static struct bench *the_bench(const struct end *hub)
{
	return (struct bench *)((char *)(uintptr_t)hub - offsetof(struct bench, hub));
}

static enum ike_done to_store(struct end *hub, const struct ike_record *rec, uint64_t *tx)
{
	struct bench *b = the_bench(hub);

	*tx = ike_store_record(b->store, rec);
	b->submitted[*tx % TX_RING] = mono_ms();
	b->intent[*tx % TX_RING] = rec->kind == IKE_REC_P2_INTENT;
	b->waiting++;
	return IKE_LATER;
}

static void keep_latency(struct latencies *l, double ms)
{
	if (l->n == l->room) {
		l->room = l->room ? 2 * l->room : 1u << 16;
		l->ms = realloc(l->ms, l->room * sizeof(*l->ms));
		if (!l->ms)
			fail("latencies", "no memory");
	}
	l->ms[l->n++] = (float)ms;
}

static void on_committed(void *arg, uint64_t tx, int status)
{
	struct bench *b = arg;
	bool intent = b->intent[tx % TX_RING];
	double begin;

	if (status < 0)
		fail("the store", cs_code_name((enum cs_code)status));
	b->waiting--;
	keep_latency(intent ? &b->intents : &b->results, mono_ms() - b->submitted[tx % TX_RING]);
	begin = end_cpu_ms(CLOCK_THREAD_CPUTIME_ID);
	ike_engine_committed(b->hub.engine, tx, status, end_now);
	b->committed_cpu_ms += end_cpu_ms(CLOCK_THREAD_CPUTIME_ID) - begin;
}

static void open_store(struct bench *b)
{
	struct cs_err err;

	if (ike_store_open(&b->loop, b->database, IKE_STUCK_WAIT, on_committed, b, &b->store,
			   &err) < 0)
		fail("the store", err.text);
	b->hub.record = to_store;
}

static void close_store(struct bench *b)
{
	b->hub.record = NULL;
	ike_store_close(b->store);
	uv_run(&b->loop, UV_RUN_DEFAULT);
}

/* ---- trmd ---- */

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (!f || fputs(text, f) < 0 || fclose(f) != 0)
		fail(path, strerror(errno));
}

/* As root iked.db is made by us, and trmd is nobody. */
static void give_database(const struct bench *b)
{
	static const char *const parts[] = {"", "-wal", "-shm"};
	const struct passwd *pw = getpwnam("nobody");
	char path[160];

	if (!pw || chown(b->dir, pw->pw_uid, pw->pw_gid) < 0)
		fail(b->dir, "cannot be given to nobody");
	snprintf(path, sizeof(path), "%s/BENCH/iked", b->dir);
	if (chown(path, pw->pw_uid, pw->pw_gid) < 0)
		fail(path, strerror(errno));
	for (unsigned i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		snprintf(path, sizeof(path), "%s%s", b->database, parts[i]);
		if (chown(path, pw->pw_uid, pw->pw_gid) < 0)
			fail(path, strerror(errno));
	}
}

static void start_trmd(struct bench *b)
{
	char config[128], log[128], checkpoint[160];
	struct stat st;

	snprintf(config, sizeof(config), "%s/iked.conf", b->dir);
	snprintf(log, sizeof(log), "%s/trmd.log", b->dir);
	snprintf(checkpoint, sizeof(checkpoint), "%s/checkpoint", b->files);
	write_file(config, "IkeConfig\n{\n  SMF119 IKEALL\n}\n");
	if (geteuid() == 0)
		give_database(b);
	b->trmd = fork();
	if (b->trmd == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);

		dup2(fd, 1);
		dup2(fd, 2);
		execl(b->program, "trmd", "-f", "-p", "BENCH", "-c", config, "--directory",
		      b->files, "--no-compress", geteuid() == 0 ? "--user" : NULL, "nobody", NULL);
		_exit(127);
	}
	for (unsigned i = 0; stat(checkpoint, &st) < 0; i++) {
		if (i > 100 || waitpid(b->trmd, NULL, WNOHANG) != 0)
			fail("trmd does not start", log);
		usleep(100000);
	}
}

/* CPU milliseconds of it. */
static double stop_trmd(struct bench *b)
{
	struct rusage use;
	int status;

	kill(b->trmd, SIGTERM);
	if (wait4(b->trmd, &status, 0, &use) < 0 || status != 0)
		fail("trmd", "did not end as it should");
	return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000 +
	       (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1000;
}

static unsigned backlog(struct bench *b)
{
	unsigned n;

	if (!b->look &&
	    (sqlite3_open_v2(b->database, &b->look, SQLITE_OPEN_READONLY, NULL) ||
	     sqlite3_prepare_v2(b->look, "SELECT count(*) FROM outbox", -1, &b->count, NULL)))
		fail("the outbox", sqlite3_errmsg(b->look));
	sqlite3_busy_timeout(b->look, 1000);
	if (sqlite3_step(b->count) != SQLITE_ROW)
		fail("the outbox", sqlite3_errmsg(b->look));
	n = (unsigned)sqlite3_column_int64(b->count, 0);
	sqlite3_reset(b->count);
	return n;
}

/* Seconds that it took trmd to write what was left. */
static double drain(struct bench *b)
{
	double begin = mono_ms();

	while (backlog(b)) {
		if (mono_ms() - begin > 300000)
			fail("trmd", "does not empty the outbox");
		usleep(2000);
	}
	return (mono_ms() - begin) / 1000;
}

static uint64_t records_of(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	uint64_t n = 0;
	uint8_t rdw[4];

	if (!f)
		fail(name, strerror(errno));
	for (; fread(rdw, 1, 4, f) == 4; n++)
		if (fseek(f, (long)(rdw[0] << 8 | rdw[1]) - 4, SEEK_CUR) < 0)
			fail(name, strerror(errno));
	fclose(f);
	return n;
}

static uint64_t records(const struct bench *b)
{
	int dirfd = open(b->files, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct trmd_file *files = NULL;
	struct cs_err err;
	uint64_t n = 0;
	unsigned n_files = 0;

	if (dirfd < 0 || trmd_files(dirfd, &files, &n_files, &err) < 0)
		fail(b->files, "cannot be read");
	for (unsigned i = 0; i < n_files; i++)
		n += records_of(dirfd, files[i].name);
	free(files);
	close(dirfd);
	return n;
}

/* ---- negotiations ---- */

static void start_ends(struct bench *b, const struct end_suite *s)
{
	char addr[CS_ADDR_STRLEN];

	end_start(&b->hub, s, HUB, "10.0.0.0/8");
	for (unsigned i = 0; i < PEERS; i++) {
		snprintf(addr, sizeof(addr), "10.0.%u.%u", i >> 8, i & 255);
		end_start(&b->peers[i], s, addr, HUB);
	}
}

static void stop_ends(struct bench *b)
{
	for (unsigned i = 0; i < PEERS; i++)
		end_stop(&b->peers[i]);
	end_stop(&b->hub);
}

static bool begin_one(struct bench *b)
{
	for (unsigned i = 0; i < PEERS; i++) {
		unsigned at = b->free_at++ % PEERS;

		if (b->busy[at])
			continue;
		b->busy[at] = true;
		b->want[at] = b->peers[at].up + 1;
		end_begin(&b->peers[at], &b->hub);
		end_network();
		return true;
	}
	return false;
}

/* Ends what is up; how many were. */
static unsigned end_done(struct bench *b)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PEERS; i++)
		if (b->busy[i] && b->peers[i].up == b->want[i]) {
			end_forget(&b->peers[i]);
			b->busy[i] = false;
			n++;
		}
	return n;
}

/* One turn. How many negotiations ended in it. */
static unsigned turn(struct bench *b, unsigned begin, unsigned *begun)
{
	unsigned n;

	set_now();
	for (; begin > 0 && begin_one(b); begin--)
		(*begun)++;
	n = end_done(b);
	if (b->waiting)
		uv_run(&b->loop, n ? UV_RUN_NOWAIT : UV_RUN_ONCE);
	end_network();
	return n + end_done(b);
}

static void finish(struct bench *b, unsigned begun, unsigned done)
{
	double begin = mono_ms();

	while (done < begun || b->waiting) {
		done += turn(b, 0, &begun);
		if (mono_ms() - begin > 60000)
			fail("negotiations", "do not end");
	}
}

/* ---- what is shown ---- */

static int by_value(const void *x, const void *y)
{
	float a = *(const float *)x, b = *(const float *)y;

	return (a > b) - (a < b);
}

static void show_latencies(const char *what, struct latencies *l)
{
	qsort(l->ms, l->n, sizeof(*l->ms), by_value);
	printf("  %s: p50 %.2f ms, p99 %.2f ms, most %.2f ms\n", what, (double)l->ms[l->n / 2],
	       (double)l->ms[l->n * 99 / 100], (double)l->ms[l->n - 1]);
	l->n = 0;
}

static void show_run(struct bench *b, const char *what, unsigned pairs, double ms, double cpu,
		     const struct ike_store_stats *before)
{
	struct ike_store_stats s;

	ike_store_stats(b->store, &s);
	printf("%s: %u state changes in %.1f s, %.0f a second\n", what, pairs * CHANGES, ms / 1000,
	       pairs * CHANGES / ms * 1000);
	show_latencies("from an intent to its answer", &b->intents);
	show_latencies("from a result to its answer", &b->results);
	printf("  %.1f store records a commit, %.0f commits a second, %llu retries; both ends and "
	       "the store "
	       "used %.0f %% of a CPU\n",
	       (double)(s.records - before->records) / (double)(s.commits - before->commits),
	       (double)(s.commits - before->commits) / ms * 1000,
	       (unsigned long long)(s.retries - before->retries), 100 * cpu / ms);
}

/* ---- the runs ---- */

/* rate 0: as many as trmd follows. */
static unsigned run(struct bench *b, const char *what, unsigned rate, unsigned seconds)
{
	double begin = mono_ms(), cpu = end_cpu_ms(CLOCK_PROCESS_CPUTIME_ID), looked = begin,
	       ms = 0;
	unsigned begun = 0, done = 0, left, behind = 0;
	struct ike_store_stats before;

	ike_store_stats(b->store, &before);
	while ((ms = mono_ms() - begin) < seconds * 1000.0) {
		unsigned due = PEERS;

		if (rate)
			due = (unsigned)(ms * rate / CHANGES / 1000) - begun;
		else if (mono_ms() - looked > LOOK_MS) {
			behind = backlog(b);
			looked = mono_ms();
		}
		if (behind > BACKLOG_MAX)
			due = 0;
		if (!due && !b->waiting)
			usleep(1000);
		done += turn(b, due, &begun);
	}
	left = backlog(b);
	finish(b, begun, done);
	ms = mono_ms() - begin;
	cpu = end_cpu_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	show_run(b, what, begun, ms, cpu, &before);
	printf("  trmd was %u rows behind at the end and had all in SMF files %.2f s later\n", left,
	       drain(b));
	return begun;
}

static void sustained(struct bench *b)
{
	double begin = mono_ms(), ms, cpu;
	uint64_t want, got;
	unsigned pairs;

	start_ends(b, &end_suites[1]);
	open_store(b);
	start_trmd(b);
	pairs = run(b, "At 1000 a second", PACED, SECONDS);
	ms = mono_ms() - begin;
	cpu = stop_trmd(b);
	printf("  trmd used %.0f %% of a CPU\n", 100 * cpu / ms);
	begin = mono_ms();
	start_trmd(b);
	pairs += run(b, "As many as trmd follows", 0, MOST_S);
	ms = mono_ms() - begin;
	cpu = stop_trmd(b);
	printf("  trmd used %.0f %% of a CPU\n", 100 * cpu / ms);
	want = (uint64_t)pairs * RECORDS;
	got = records(b);
	printf("  %llu records in all, of %llu\n", (unsigned long long)got,
	       (unsigned long long)want);
	if (got != want)
		fail("records", "are missing or too many");
	close_store(b);
	stop_ends(b);
}

struct cost {
	float rate[ROUNDS], hub_ms[ROUNDS];
};

/* The hub's share: its engine, and all that other threads did. */
static void round_of(struct bench *b, bool store, float *rate, float *hub_ms)
{
	double begin = mono_ms(), all = end_cpu_ms(CLOCK_PROCESS_CPUTIME_ID),
	       mine = end_cpu_ms(CLOCK_THREAD_CPUTIME_ID), hub;
	unsigned begun = 0, done = 0;

	if (store)
		open_store(b);
	b->hub.cpu_ms = b->committed_cpu_ms = 0;
	while (begun < ROUND)
		done += turn(b, ROUND - begun, &begun);
	finish(b, begun, done);
	*rate = (float)(ROUND / (mono_ms() - begin) * 1000);
	all = end_cpu_ms(CLOCK_PROCESS_CPUTIME_ID) - all;
	mine = end_cpu_ms(CLOCK_THREAD_CPUTIME_ID) - mine;
	hub = b->hub.cpu_ms + b->committed_cpu_ms + all - mine;
	*hub_ms = (float)(hub / ROUND);
	b->intents.n = b->results.n = 0;
	if (store)
		close_store(b);
}

static float median(float *v)
{
	qsort(v, ROUNDS, sizeof(*v), by_value);
	return v[ROUNDS / 2];
}

static void costs(struct bench *b, const struct end_suite *s)
{
	struct cost off, on;
	float rate, ms;

	start_ends(b, s);
	b->hub.timed = true;
	round_of(b, false, &rate, &ms); /* warm */
	for (unsigned i = 0; i < ROUNDS; i++) {
		round_of(b, false, &off.rate[i], &off.hub_ms[i]);
		round_of(b, true, &on.rate[i], &on.hub_ms[i]);
	}
	b->hub.timed = false;
	stop_ends(b);
	rate = median(off.rate);
	ms = median(off.hub_ms);
	printf("%-24s without the store %6.0f negotiations a second, %.3f ms of CPU at the hub; "
	       "with it %6.0f, %.3f ms: %.0f %% and %.0f %%\n",
	       s->name, (double)rate, (double)ms, (double)median(on.rate),
	       (double)median(on.hub_ms), 100 * (double)median(on.rate) / (double)rate,
	       100 * (double)median(on.hub_ms) / (double)ms);
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(name);
}

static void prepare(struct bench *b, const char *program, const char *where)
{
	char path[160];

	snprintf(b->program, sizeof(b->program), "%s", program);
	snprintf(b->dir, sizeof(b->dir), "%.40s/csipsec-bench-XXXXXX", where);
	if (!mkdtemp(b->dir))
		fail(b->dir, strerror(errno));
	snprintf(path, sizeof(path), "%s/run", b->dir);
	setenv("CSIPSEC_RUNDIR", path, 1);
	setenv("CSIPSEC_STATEDIR", b->dir, 1);
	snprintf(b->database, sizeof(b->database), "%s/BENCH/iked/iked.db", b->dir);
	snprintf(b->files, sizeof(b->files), "%s/smf", b->dir);
	snprintf(path, sizeof(path), "%s/BENCH", b->dir);
	if (mkdir(path, 0755) < 0)
		fail(path, strerror(errno));
	snprintf(path, sizeof(path), "%s/BENCH/iked", b->dir);
	if (mkdir(path, 0755) < 0)
		fail(path, strerror(errno));
}

int main(int argc, char **argv)
{
	static struct bench b;
	struct cs_err err;

	if (argc < 2) {
		fputs("usage: bench_audit TRMD [DIRECTORY ON A DISK]\n", stderr);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	cs_log_open("bench_audit", true);
	cs_log_level(CS_WARNING);
	if (ike_crypto_init(false, &err) < 0 || ike_arena_init(256u << 20, &err) < 0)
		fail("cryptography", err.text);
	uv_loop_init(&b.loop);
	prepare(&b, argv[1], argc > 2 ? argv[2] : "/var/tmp");
	sustained(&b);
	for (unsigned i = 0; i < 2; i++)
		costs(&b, &end_suites[i]);
	sqlite3_finalize(b.count);
	sqlite3_close(b.look);
	uv_loop_close(&b.loop);
	free(b.intents.ms);
	free(b.results.ms);
	nftw(b.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return 0;
}
