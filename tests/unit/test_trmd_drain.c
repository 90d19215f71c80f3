/*
 * From the outboxes to SMF files: each row's records once, whatever ends the process and when.
 * The rows are written by iked's own store and by pagent's.  A process under test is traced, and
 * killed at the n-th system call by which it changes something, for each n.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "iked/store.h"
#include "smf/smf.h"
#include "tests/unit/audit_server.h"
#include "tests/unit/run_killed.h"
#include "tests/unit/run_suite.h"
#include "trmd/closed.h"
#include "trmd/drain.h"
#include "trmd/manual.h"
#include "trmd/outbox.h"

#define NOW INT64_C(1768472430)

static char dir[64], database[80], audit[80], pagent_socket[80], smf[80];
static pid_t server; /* 0: pagent is away */
static struct cs_err err;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_tree(const char *path)
{
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void setup(void)
{
	strcpy(dir, "/tmp/test_trmd_drain.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(database, sizeof(database), "%s/iked.db", dir);
	snprintf(audit, sizeof(audit), "%s/audit.db", dir);
	snprintf(pagent_socket, sizeof(pagent_socket), "%s/pagent.sock", dir);
	snprintf(smf, sizeof(smf), "%s/smf", dir);
	ck_assert_int_eq(mkdir(smf, 0700), 0);
}

static void teardown(void)
{
	if (server)
		audit_server_kill(server);
	server = 0;
	remove_tree(dir);
}

/* ---- rows, by iked's store ---- */

static struct ike_p1_info p1;
static struct ike_p2_info p2;
static struct xf_counters counters;

static void committed(void *arg, uint64_t tx, int status)
{
	(void)arg;
	(void)tx;
	ck_assert_int_eq(status, 0);
}

static void make_sas(void)
{
	p1 = (struct ike_p1_info){
		.generation = 1,
		.state = IKE_P1_DONE,
		.rule = "Branch",
		.action = "Gold",
		.local_id_type = POL_ID_IPV4_ADDR,
		.local_id = "192.0.2.1",
		.remote_id_type = POL_ID_FQDN,
		.remote_id = "branch.example",
		.established = NOW,
	};
	cs_addr_parse("192.0.2.1", &p1.local.addr, NULL);
	cs_addr_parse("198.51.100.7", &p1.remote.addr, NULL);
	p2 = (struct ike_p2_info){
		.generation = 1,
		.state = IKE_P2_DONE,
		.rule = "Data",
		.action = "Silver",
		.local_rule = "",
		.suite = {.protocol = POL_ESP,
			  .cipher = cs_cipher_by_keyword("AES_CBC", 128),
			  .integ = cs_integ_by_keyword("HMAC_SHA2_256_128"),
			  .encap = POL_TUNNEL},
		.local = p1.local.addr,
		.remote = p1.remote.addr,
	};
	cs_range_parse("10.1.0.0/16", &p2.selector.local, NULL);
	cs_range_parse("10.2.0.0/16", &p2.selector.remote, NULL);
}

static uint64_t put(struct ike_store *store, enum ike_record_kind kind, uint32_t tunnel,
		    uint64_t intent)
{
	bool phase1 = kind == IKE_REC_P1_UP || kind == IKE_REC_P1_DOWN;
	const struct ike_record r = {
		.kind = kind,
		.when = {1, NOW},
		.intent = intent,
		.p1 = phase1 ? &p1 : NULL,
		.p2 = phase1 ? NULL : &p2,
		.in = &counters,
		.out = &counters,
		.reason = kind == IKE_REC_P2_DOWN ? "its lifetime is over" : "",
	};

	p1.tunnel = p2.tunnel = tunnel;
	p2.parent = tunnel > 1 ? tunnel - 1 : 1;
	return ike_store_record(store, &r);
}

/* A phase 1 tunnel, one that failed, and one that came and went: rows of 73, 76, 77 75, 76 78. */
static void put_group(struct ike_store *store, uint32_t first)
{
	put(store, IKE_REC_P1_UP, first, 0);
	put(store, IKE_REC_P2_FAILED, first + 1, put(store, IKE_REC_P2_INTENT, first + 1, 0));
	put(store, IKE_REC_P2_UP, first + 2, put(store, IKE_REC_P2_INTENT, first + 2, 0));
	put(store, IKE_REC_P2_DOWN, first + 2, 0);
}

#define GROUP_TUNNELS 3
#define GROUP_ROWS    4
#define GROUP_RECORDS 6

static void open_store(uv_loop_t *loop, struct ike_store **store)
{
	make_sas();
	ck_assert_int_eq(uv_loop_init(loop), 0);
	if (ike_store_open(loop, database, IKE_STUCK_WAIT, committed, NULL, store, &err) < 0)
		ck_abort_msg("%s", err.text);
}

static void close_store(uv_loop_t *loop, struct ike_store *store)
{
	ike_store_close(store);
	uv_run(loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(loop), 0);
}

static void make_rows(unsigned from, unsigned groups)
{
	struct ike_store *store;
	uv_loop_t loop;

	open_store(&loop, &store);
	for (unsigned g = from; g < from + groups; g++)
		put_group(store, 1 + g * GROUP_TUNNELS);
	close_store(&loop, store);
}

static int64_t ask_of(const char *path, const char *text)
{
	sqlite3_stmt *st = NULL;
	int64_t value = -1;
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 5000);
	ck_assert_msg(sqlite3_prepare_v2(db, text, -1, &st, NULL) == SQLITE_OK, "%s",
		      sqlite3_errmsg(db));
	if (sqlite3_step(st) == SQLITE_ROW)
		value = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return value;
}

static int64_t ask(const char *text)
{
	return ask_of(database, text);
}

/* ---- trmd's part ---- */

static unsigned said_added, said_deleted, said_lost, said_activated, said_ended;

static void hear(void *arg, enum cs_severity severity, const char *line)
{
	(void)arg;
	(void)severity;
	said_added += strncmp(line, "EZD0818I", 8) == 0;
	said_deleted += strncmp(line, "EZD0812I", 8) == 0;
	said_lost += strncmp(line, "EZZ9325I", 8) == 0;
	said_activated += strncmp(line, "EZD0819I", 8) == 0;
	said_ended += strncmp(line, "EZD0820I", 8) == 0;
}

struct trmd {
	struct trmd_writer *writer;
	struct trmd_drain *drain;
	struct trmd_outbox *outbox;
	struct trmd_manual *manual;
};

static const struct trmd_origin origin = {
	.sid = "LNX1", .system = "LNX1", .release = "0.1.0", .stack = "TCPIP", .user = "IKED"};

static void start(struct trmd *t, uint64_t bytes, unsigned batch)
{
	const struct trmd_limits limits = {.bytes = bytes};
	struct trmd_drain_env env = {
		.directory = smf, .origin = &origin, .say = hear, .batch = batch};

	ck_assert_int_eq(trmd_writer_new(smf, &limits, &t->writer, &err), 0);
	ck_assert_int_eq(trmd_outbox_new(database, &t->outbox, &err), 0);
	ck_assert_int_eq(trmd_manual_new(pagent_socket, &t->manual, &err), 0);
	env.writer = t->writer;
	env.sources[TRMD_IKED] = trmd_outbox_source(t->outbox);
	env.sources[TRMD_PAGENT] = trmd_manual_source(t->manual);
	ck_assert_int_eq(trmd_drain_new(&env, &t->drain, &err), 0);
	trmd_drain_want(t->drain, (struct trmd_wanted){true, true});
}

static void stop(struct trmd *t)
{
	trmd_drain_free(t->drain);
	trmd_outbox_free(t->outbox);
	trmd_manual_free(t->manual);
	trmd_writer_free(t->writer);
}

/* One step, for which pagent was asked where it serves. *more: there is more to be done. */
static int step(struct trmd *t, bool *more)
{
	int rc;

	if (server && trmd_manual_begin(t->manual)) {
		trmd_manual_ask(t->manual);
		trmd_manual_end(t->manual);
	}
	rc = trmd_drain_step(t->drain, NOW);
	*more = rc > 0 || (server && trmd_manual_owes(t->manual));
	return rc;
}

/* All rows that are there; 0, or what hindered. */
static int drain_all(struct trmd *t)
{
	bool more;
	int rc;

	do
		rc = step(t, &more);
	while (more);
	return rc;
}

/* ---- what is on the disk ---- */

static unsigned manual_records; /* that a reader found */

static void manual_is(const struct smf_record *r)
{
	char expected[16], id[64];

	snprintf(expected, sizeof(expected), "M%u", 1 + manual_records / 2);
	smf_get_text(r, SMF_IP_TUN_ID, SMF_IBM1047, id, sizeof(id));
	ck_assert_msg(r->layout->subtype == 79 + manual_records % 2 && strcmp(id, expected) == 0,
		      "manual record %u is %u of %s", manual_records, r->layout->subtype, id);
	manual_records++;
}

/* The next one of its source; the sum of those of iked. */
static unsigned one_is(const uint8_t *p, size_t len, unsigned number)
{
	static const struct {
		unsigned subtype, tunnel;
	} group[GROUP_RECORDS] = {{73, 0}, {76, 1}, {77, 2}, {75, 2}, {76, 2}, {78, 2}};
	unsigned i = number % GROUP_RECORDS;
	uint32_t tunnel = 1 + number / GROUP_RECORDS * GROUP_TUNNELS + group[i].tunnel;
	enum smf_field field = i == 0 ? SMF_IKE_TUN_ID : SMF_IP_TUN_ID;
	char expected[16], id[64];
	struct smf_record r;

	ck_assert_msg(smf_decode(p, len, &r, &err) == 0, "%s", err.text);
	if (r.layout->subtype >= 79) {
		manual_is(&r);
		return number;
	}
	snprintf(expected, sizeof(expected), "%c%u", i == 0 ? 'K' : 'Y', tunnel);
	smf_get_text(&r, field, SMF_IBM1047, id, sizeof(id));
	ck_assert_msg(r.layout->subtype == group[i].subtype && strcmp(id, expected) == 0,
		      "record %u is %u of %s, not %u of %s", number, r.layout->subtype, id,
		      group[i].subtype, expected);
	return number + 1;
}

static unsigned follow(const char *name, uint64_t limit, unsigned number)
{
	uint8_t record[SMF_BUILD_MAX];
	char path[160];
	uint64_t pos = 0;
	gzFile gz;

	snprintf(path, sizeof(path), "%s/%s", smf, name);
	gz = gzopen(path, "rb");
	ck_assert_ptr_nonnull(gz);
	while (pos < limit) {
		int n = gzread(gz, record, 4), len;

		if (n == 0)
			break;
		ck_assert_int_eq(n, 4);
		len = record[0] << 8 | record[1];
		ck_assert(len > 4 && len <= SMF_BUILD_MAX);
		ck_assert_int_eq(gzread(gz, record + 4, (unsigned)len - 4), len - 4);
		number = one_is(record, (size_t)len, number);
		pos += (uint64_t)len;
	}
	gzclose(gz);
	return number;
}

/* How many records of iked a reader finds; each must be the next one of the rows. */
static unsigned count_records(void)
{
	struct smf_checkpoint cp;
	struct trmd_file *files;
	unsigned n, number = 0;
	int dirfd = open(smf, O_RDONLY | O_DIRECTORY);

	manual_records = 0;
	ck_assert_msg(smf_checkpoint_read(dirfd, &cp, &err) == 0, "%s", err.text);
	ck_assert_int_eq(trmd_files(dirfd, &files, &n, &err), 0);
	for (unsigned i = 0; i < n; i++) {
		int order = strcmp(files[i].name, cp.file);
		char gz[40];

		snprintf(gz, sizeof(gz), "%s.gz", files[i].name);
		if (order <= 0)
			number = follow(files[i].plain ? files[i].name : gz,
					order < 0 ? UINT64_MAX : cp.length, number);
	}
	free(files);
	close(dirfd);
	return number;
}

/* ---- the usual ---- */

START_TEST(all_rows)
{
	struct trmd_drain_stats stats;
	struct trmd t;

	make_rows(0, 100);
	start(&t, 10000, 0);
	ck_assert_int_eq(drain_all(&t), 0);
	ck_assert_uint_eq(count_records(), 100 * GROUP_RECORDS);
	ck_assert_int_eq(ask("SELECT count(*) FROM outbox"), 0);
	trmd_drain_stats(t.drain, &stats);
	ck_assert_uint_eq(stats.rows, 100 * GROUP_ROWS);
	ck_assert_uint_eq(stats.records, 100 * GROUP_RECORDS);
	ck_assert_uint_eq(stats.refused, 0);
	ck_assert(stats.reads[TRMD_IKED] && stats.writes);
	ck_assert_uint_eq(said_added, 100);
	ck_assert_uint_eq(said_deleted, 100);
	make_rows(100, 3);
	ck_assert_int_eq(drain_all(&t), 0);
	ck_assert_uint_eq(count_records(), 103 * GROUP_RECORDS);
	stop(&t);
	make_rows(103, 3);
	start(&t, 10000, 1);
	ck_assert_int_eq(drain_all(&t), 0);
	ck_assert_uint_eq(count_records(), 106 * GROUP_RECORDS);
	stop(&t);
}
END_TEST

/* iked writes while trmd reads and removes. */
static void *write_rows(void *arg)
{
	const unsigned *groups = arg;
	struct ike_store *store;
	uv_loop_t loop;

	open_store(&loop, &store);
	for (unsigned g = 0; g < *groups; g++) {
		put_group(store, 1 + g * GROUP_TUNNELS);
		if (g % 8 == 0)
			usleep(1000);
	}
	close_store(&loop, store);
	return NULL;
}

START_TEST(beside_the_writer)
{
	unsigned groups = 1500;
	struct trmd_drain_stats stats = {.rows = 0};
	pthread_t thread;
	struct trmd t;

	make_rows(0, 0);
	start(&t, 100000, 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, write_rows, &groups), 0);
	for (int i = 0; i < 60000 && stats.rows < groups * GROUP_ROWS; i++) {
		int rc = trmd_drain_step(t.drain, NOW);

		ck_assert_msg(rc >= 0 || rc == CS_EAGAIN, "%d", rc);
		if (rc <= 0)
			usleep(500);
		trmd_drain_stats(t.drain, &stats);
	}
	pthread_join(thread, NULL);
	ck_assert_int_eq(drain_all(&t), 0);
	ck_assert_uint_eq(count_records(), groups * GROUP_RECORDS);
	ck_assert_int_eq(ask("SELECT count(*) FROM outbox"), 0);
	/* what was removed is used again */
	ck_assert_int_lt(ask("SELECT page_count * 4096 FROM pragma_page_count"), 16 << 20);
	stop(&t);
}
END_TEST

/* With SMF119 None nothing is written, not even looked at, and the rows are done all the same. */
START_TEST(nothing_wanted)
{
	struct trmd t;

	make_rows(0, 5);
	ck_assert_int_eq(rmdir(smf), 0);
	start(&t, 10000, 0);
	trmd_drain_want(t.drain, (struct trmd_wanted){false, false});
	ck_assert_int_eq(drain_all(&t), 0);
	ck_assert_int_eq(ask("SELECT count(*) FROM outbox"), 0);
	ck_assert_uint_eq(said_added, 5);
	ck_assert_int_eq(access(smf, F_OK), -1);
	stop(&t);
}
END_TEST

/* ---- loss, and rows that make no record ---- */

#define INSERT "INSERT INTO outbox (id, time, kind, subtype, tunnel, generation, payload) VALUES "

START_TEST(losses)
{
	struct trmd_drain_stats stats;
	struct trmd t;

	make_rows(0, 2);
	/* A row of LOSS may be there before others of smaller ids. */
	ask(INSERT "(1000, 5, 'LOSS', 0, '', 0, '{\"Records\":7,\"From\":1,\"To\":5}')");
	start(&t, 10000, 0);
	ck_assert_int_eq(drain_all(&t), 0);
	ck_assert_uint_eq(said_lost, 1);
	ck_assert_int_eq(ask("SELECT count(*) FROM outbox"), 0);
	make_rows(2, 2);
	ck_assert_int_lt(ask("SELECT max(id) FROM outbox"), 1000);
	ck_assert_int_eq(drain_all(&t), 0);
	ck_assert_uint_eq(count_records(), 4 * GROUP_RECORDS);
	ck_assert_uint_eq(said_lost, 1);
	trmd_drain_stats(t.drain, &stats);
	ck_assert_uint_eq(stats.lost, 7);
	stop(&t);
}
END_TEST

START_TEST(bad_rows)
{
	struct trmd_drain_stats stats;
	struct trmd t;

	make_rows(0, 1);
	ask(INSERT "(100, 5, 'P1_UP', 73, 'K1', 1, 'no JSON')");
	ask(INSERT "(101, 5, 'P9', 73, 'K1', 1, '{}')");
	ask(INSERT "(102, 5, 'LOSS', 0, '', 0, '[]')");
	ask("UPDATE counters SET last_tx = 102");
	make_rows(1, 1);
	start(&t, 10000, 0);
	ck_assert_int_eq(drain_all(&t), 0);
	ck_assert_uint_eq(count_records(), 2 * GROUP_RECORDS);
	trmd_drain_stats(t.drain, &stats);
	ck_assert_uint_eq(stats.refused, 3);
	ck_assert_int_eq(ask("SELECT count(*) FROM outbox"), 3);
	ck_assert_int_eq(ask("SELECT count(*) FROM outbox WHERE acknowledged = 2"), 3);
	make_rows(2, 1);
	ck_assert_int_eq(drain_all(&t), 0);
	ck_assert_uint_eq(count_records(), 3 * GROUP_RECORDS);
	trmd_drain_stats(t.drain, &stats);
	ck_assert_uint_eq(stats.refused, 3);
	/* One of LOSS that is seen behind rows of greater ids is told of, and once. */
	ask("CREATE TRIGGER stay BEFORE UPDATE ON outbox BEGIN SELECT raise(FAIL, 'no'); END");
	ask(INSERT "(103, 5, 'LOSS', 0, '', 0, '[]')");
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(drain_all(&t), CS_ESTORE);
	trmd_drain_stats(t.drain, &stats);
	ck_assert_uint_eq(stats.refused, 4);
	stop(&t);
}
END_TEST

/* Rows that cannot be removed are neither written nor told again. */
START_TEST(rows_stay)
{
	struct trmd t;

	make_rows(0, 4);
	ask("CREATE TRIGGER stay BEFORE DELETE ON outbox BEGIN SELECT raise(FAIL, 'no'); END");
	start(&t, 10000, 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(drain_all(&t), CS_ESTORE);
	ck_assert_int_eq(ask("SELECT count(*) FROM outbox"), 4 * GROUP_ROWS);
	ck_assert_uint_eq(said_added, 4);
	ck_assert_uint_eq(count_records(), 4 * GROUP_RECORDS);
	make_rows(4, 1);
	ask("DROP TRIGGER stay");
	ck_assert_int_eq(drain_all(&t), 0);
	ck_assert_int_eq(ask("SELECT count(*) FROM outbox"), 0);
	ck_assert_uint_eq(said_added, 5);
	ck_assert_uint_eq(count_records(), 5 * GROUP_RECORDS);
	stop(&t);
}
END_TEST

/* How often the id is in what was logged to a file in place of the standard error. */
static unsigned logged(FILE *log, const char *id)
{
	char line[2048];
	unsigned n = 0;

	rewind(log);
	while (fgets(line, sizeof(line), log))
		n += strstr(line, id) != NULL;
	return n;
}

/* As on a full disk: rows are read and written, and not removed.  That is told, once. */
START_TEST(rows_cannot_be_removed)
{
	int kept = dup(STDERR_FILENO);
	FILE *log = tmpfile();
	struct trmd t;

	make_rows(0, 3);
	ask("CREATE TRIGGER full BEFORE DELETE ON outbox "
	    "BEGIN SELECT RAISE(FAIL, 'the disk is full'); END");
	cs_log_open("test_trmd_drain", true);
	dup2(fileno(log), STDERR_FILENO);
	start(&t, 100000, 0);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(trmd_drain_step(t.drain, NOW + i), CS_ESTORE);
	ck_assert_uint_eq(logged(log, "CSI6003W"), 1);
	/* Another reason is told, not the same again, and not each time that they take turns. */
	ask("DROP TRIGGER full");
	ask("CREATE TRIGGER other BEFORE DELETE ON outbox "
	    "BEGIN SELECT RAISE(FAIL, 'the disk is away'); END");
	ck_assert_int_eq(trmd_drain_step(t.drain, NOW + 59), CS_ESTORE);
	ck_assert_uint_eq(logged(log, "CSI6003W"), 1);
	ck_assert_int_eq(trmd_drain_step(t.drain, NOW + 61), CS_ESTORE);
	ck_assert_int_eq(trmd_drain_step(t.drain, NOW + 300), CS_ESTORE);
	ck_assert_uint_eq(logged(log, "CSI6003W"), 2);
	ck_assert_uint_eq(logged(log, "CSI6004I"), 0);
	ask("DROP TRIGGER other");
	ck_assert_int_eq(drain_all(&t), 0);
	ck_assert_uint_eq(logged(log, "CSI6004I"), 1);
	dup2(kept, STDERR_FILENO);
	close(kept);
	fclose(log);
	stop(&t);
	ck_assert_int_eq(ask("SELECT count(*) FROM outbox"), 0);
	ck_assert_uint_eq(count_records(), 3 * GROUP_RECORDS);
	ck_assert_uint_eq(said_added, 3);
}
END_TEST

static const struct trmd_wanted all = {true, true}, of_ike = {true, false};

/*
 * Rows that are written stay for want of their removal, and others than before are wanted then: the
 * last row with a record is not the last row.
 */
START_TEST(rows_stay_and_wishes_change)
{
	struct trmd t;

	make_rows(0, 1);
	ask("CREATE TRIGGER stay BEFORE DELETE ON outbox BEGIN SELECT raise(FAIL, 'no'); END");
	start(&t, 10000, 0);
	trmd_drain_want(t.drain, of_ike);
	ck_assert_int_eq(drain_all(&t), CS_ESTORE);
	ck_assert_uint_eq(count_records(), 1);
	stop(&t);
	ask("DROP TRIGGER stay");
	start(&t, 10000, 0);
	trmd_drain_want(t.drain, all);
	ck_assert_int_eq(drain_all(&t), 0);
	ck_assert_uint_eq(count_records(), GROUP_RECORDS);
	stop(&t);
}
END_TEST

/* ---- the database ---- */

START_TEST(database_comes_later)
{
	struct trmd_drain_stats stats;
	struct trmd t;

	start(&t, 10000, 0);
	ck_assert_int_eq(drain_all(&t), CS_ENOTFOUND);
	ck_assert_int_eq(close(creat(database, 0600)), 0); /* and is empty at first */
	ck_assert_int_eq(drain_all(&t), CS_ENOTFOUND);
	trmd_drain_stats(t.drain, &stats);
	ck_assert(!stats.reads[TRMD_IKED]);
	make_rows(0, 2);
	ck_assert_int_eq(drain_all(&t), 0);
	trmd_drain_stats(t.drain, &stats);
	ck_assert(stats.reads[TRMD_IKED]);
	ck_assert_uint_eq(count_records(), 2 * GROUP_RECORDS);
	stop(&t);
}
END_TEST

static void drop_database(void)
{
	char path[96];

	unlink(database);
	snprintf(path, sizeof(path), "%s-wal", database);
	unlink(path);
	snprintf(path, sizeof(path), "%s-shm", database);
	unlink(path);
}

/* The first records of a new database have small numbers, and are new all the same. */
START_TEST(another_database)
{
	struct trmd t;

	make_rows(0, 5);
	start(&t, 1 << 20, 0);
	ck_assert_int_eq(drain_all(&t), 0);
	drop_database();
	ck_assert_int_eq(drain_all(&t), CS_ENOTFOUND);
	make_rows(5, 2);
	ck_assert_int_eq(drain_all(&t), 0);
	ck_assert_uint_eq(count_records(), 7 * GROUP_RECORDS);
	ck_assert_uint_eq(said_added, 7);
	stop(&t);
	/* while trmd does not run, and with more rows than before */
	drop_database();
	make_rows(7, 20);
	start(&t, 1 << 20, 0);
	ck_assert_int_eq(drain_all(&t), 0);
	stop(&t);
	ck_assert_uint_eq(count_records(), 27 * GROUP_RECORDS);
}
END_TEST

/* The row that was the last one here is, in the new one, of a kind that has no records. */
START_TEST(another_row_without_record)
{
	struct trmd_drain_stats stats;
	struct smf_checkpoint cp;
	char text[120];
	struct trmd t;
	int dirfd;

	make_rows(0, 5);
	start(&t, 1 << 20, 0);
	ck_assert_int_eq(drain_all(&t), 0);
	stop(&t);
	dirfd = open(smf, O_RDONLY | O_DIRECTORY);
	ck_assert_int_eq(smf_checkpoint_read(dirfd, &cp, &err), 0);
	close(dirfd);
	drop_database();
	make_rows(5, 20);
	snprintf(text, sizeof(text), "UPDATE outbox SET kind = 'LOSS' WHERE id = %llu RETURNING 1",
		 (unsigned long long)cp.last_id[TRMD_IKED]);
	ck_assert_int_eq(ask(text), 1);
	start(&t, 1 << 20, 0);
	ck_assert_int_eq(drain_all(&t), 0);
	trmd_drain_stats(t.drain, &stats);
	ck_assert_uint_ge(stats.records, 20 * GROUP_RECORDS - 2);
	stop(&t);
}
END_TEST

START_TEST(no_database_of_iked)
{
	char junk[8192];
	struct trmd t;
	int fd;

	make_rows(0, 1);
	ask("PRAGMA user_version = 99");
	start(&t, 10000, 0);
	ck_assert_int_eq(drain_all(&t), CS_EUNSUPPORTED);
	ask("PRAGMA user_version = 6");
	ask("PRAGMA application_id = 7");
	ck_assert_int_eq(drain_all(&t), CS_ESTORE);
	ask("PRAGMA application_id = 1129531716");
	ck_assert_int_eq(drain_all(&t), 0);
	ck_assert_uint_eq(count_records(), GROUP_RECORDS);
	drop_database();
	memset(junk, 'x', sizeof(junk));
	fd = open(database, O_WRONLY | O_CREAT, 0600);
	ck_assert_int_eq(write(fd, junk, sizeof(junk)), sizeof(junk));
	close(fd);
	ck_assert_int_lt(drain_all(&t), 0);
	ck_assert_int_eq(drain_all(&t), CS_ESTORE);
	drop_database();
	make_rows(1, 1);
	ck_assert_int_eq(drain_all(&t), 0);
	ck_assert_uint_eq(count_records(), 2 * GROUP_RECORDS);
	stop(&t);
}
END_TEST

/* Every page of the table damaged: an error, not a crash, and what was written stays. */
START_TEST(damaged_database)
{
	char junk[4096];
	struct trmd t;
	int fd;

	make_rows(0, 50);
	fd = open(database, O_RDWR);
	memset(junk, 0xa5, sizeof(junk));
	for (off_t at = 4096 * 3; at < lseek(fd, 0, SEEK_END); at += 4096)
		ck_assert_int_eq(pwrite(fd, junk, sizeof(junk), at), sizeof(junk));
	close(fd);
	start(&t, 10000, 0);
	ck_assert_int_eq(drain_all(&t), CS_ESTORE);
	ck_assert_int_eq(drain_all(&t), CS_ESTORE);
	stop(&t);
}
END_TEST

/* ---- the directory ---- */

START_TEST(directory_comes_later)
{
	struct trmd_drain_stats stats;
	struct trmd t;

	make_rows(0, 3);
	ck_assert_int_eq(rmdir(smf), 0);
	start(&t, 10000, 2);
	for (int i = 0; i < 3; i++)
		ck_assert_int_lt(drain_all(&t), 0);
	trmd_drain_stats(t.drain, &stats);
	ck_assert(!stats.writes);
	ck_assert_int_eq(ask("SELECT count(*) FROM outbox"), 3 * GROUP_ROWS);
	ck_assert_uint_eq(said_added, 0);
	ck_assert_int_eq(mkdir(smf, 0700), 0);
	ck_assert_int_eq(drain_all(&t), 0);
	trmd_drain_stats(t.drain, &stats);
	ck_assert(stats.writes);
	ck_assert_uint_eq(count_records(), 3 * GROUP_RECORDS);
	ck_assert_uint_eq(said_added, 3);
	stop(&t);
}
END_TEST

/* ---- killed ---- */

#define KILL_GROUPS 4

/* What trmd does, with all that can be under way: batches, new files, closed ones compressed. */
static void busy(void)
{
	const struct trmd_keep keep = {.compress = true};
	unsigned removed;
	struct trmd t;
	bool more;

	start(&t, 3000, 3);
	do {
		step(&t, &more);
		if (trmd_writer_dir(t.writer) >= 0)
			trmd_closed_tidy(trmd_writer_dir(t.writer), trmd_writer_file(t.writer),
					 &keep, NOW, &removed, &err);
	} while (more);
	stop(&t);
}

static void copy(const char *from, const char *to)
{
	char command[256];

	unlink(to);
	snprintf(command, sizeof(command), "cp %s %s", from, to);
	ck_assert_int_eq(system(command), 0);
}

/* With iked's rows alone, and with those of pagent between them. */
START_TEST(killed_anywhere)
{
	unsigned at = 0, tunnels = _i ? 4 : 0;
	char rows[96], manuals[96];
	int killed;

	snprintf(rows, sizeof(rows), "%s/rows.db", dir);
	snprintf(manuals, sizeof(manuals), "%s/manuals.db", dir);
	make_rows(0, KILL_GROUPS);
	ck_assert_int_eq(rename(database, rows), 0);
	if (tunnels) {
		audit_server_rows(dir, 1, tunnels);
		ck_assert_int_eq(rename(audit, manuals), 0);
		server = audit_server_start(dir);
	}
	do {
		remove_tree(smf);
		ck_assert_int_eq(mkdir(smf, 0700), 0);
		drop_database();
		copy(rows, database);
		if (tunnels)
			copy(manuals, audit);
		killed = run_killed(busy, ++at);
		if (killed < 0)
			return; /* untraced, as the run allows */
		/* once more soon after, in what puts the first kill right */
		if (killed)
			run_killed(busy, 1 + at % 7);
		/* and pagent, too, now and then */
		if (tunnels && at % 5 == 0) {
			audit_server_kill(server);
			server = audit_server_start(dir);
		}
		run_to_the_end(busy);
		ck_assert_msg(ask("SELECT count(*) FROM outbox") == 0, "kill %u", at);
		ck_assert_msg(count_records() == KILL_GROUPS * GROUP_RECORDS, "kill %u", at);
		ck_assert_msg(manual_records == 2 * tunnels, "kill %u: %u", at, manual_records);
		ck_assert(!tunnels || ask_of(audit, "SELECT count(*) FROM outbox") == 0);
	} while (killed);
	/* seen to be all: at the last one it came to its end */
	ck_assert_uint_gt(at, 100);
	printf("test_trmd_drain: killed at each of %u system calls\n", at - 1);
}
END_TEST

/* ---- pagent's rows ---- */

START_TEST(two_sources)
{
	struct trmd_drain_stats stats;
	struct trmd t;

	make_rows(0, 50);
	audit_server_rows(dir, 1, 300);
	server = audit_server_start(dir);
	start(&t, 20000, 0);
	ck_assert_int_eq(drain_all(&t), 0);
	ck_assert_uint_eq(count_records(), 50 * GROUP_RECORDS);
	ck_assert_uint_eq(manual_records, 600);
	ck_assert_uint_eq(said_activated, 300);
	ck_assert_uint_eq(said_ended, 300);
	ck_assert_int_eq(ask_of(audit, "SELECT count(*) FROM outbox"), 0);
	stop(&t);
	audit_server_rows(dir, 301, 2);
	make_rows(50, 2);
	start(&t, 20000, 1);
	ck_assert_int_eq(drain_all(&t), 0);
	ck_assert_uint_eq(count_records(), 52 * GROUP_RECORDS);
	ck_assert_uint_eq(manual_records, 604);
	/* a row of which nothing can be made stays, and the next ones go on */
	audit_server_row(dir, "MAN_UP", "no JSON");
	audit_server_row(dir, "MAN_SIDEWAYS", "{}");
	audit_server_rows(dir, 303, 1);
	ck_assert_int_eq(drain_all(&t), 0);
	count_records();
	ck_assert_uint_eq(manual_records, 606);
	trmd_drain_stats(t.drain, &stats);
	ck_assert_uint_eq(stats.refused, 2);
	ck_assert_int_eq(ask_of(audit, "SELECT count(*) FROM outbox"), 2);
	ck_assert_int_eq(ask_of(audit, "SELECT count(*) FROM outbox WHERE acknowledged = 2"), 2);
	/* SMF119 without DynTunnel: none of these, and they are done all the same */
	trmd_drain_want(t.drain, of_ike);
	audit_server_rows(dir, 304, 1);
	ck_assert_int_eq(drain_all(&t), 0);
	count_records();
	ck_assert_uint_eq(manual_records, 606);
	ck_assert_int_eq(ask_of(audit, "SELECT count(*) FROM outbox WHERE acknowledged = 0"), 0);
	stop(&t);
}
END_TEST

/* Without pagent, and with one that hangs, iked's rows go on; its own come when it is back. */
static void *ask_pagent(void *arg)
{
	struct trmd *t = arg;

	trmd_manual_ask(t->manual);
	return NULL;
}

START_TEST(pagent_is_away)
{
	struct trmd_drain_stats stats;
	pthread_t thread;
	struct trmd t;

	make_rows(0, 2);
	audit_server_rows(dir, 1, 2);
	start(&t, 20000, 0);
	ck_assert(trmd_manual_begin(t.manual));
	trmd_manual_ask(t.manual);
	trmd_manual_end(t.manual);
	ck_assert_int_eq(drain_all(&t), CS_ENOTFOUND);
	ck_assert_uint_eq(count_records(), 2 * GROUP_RECORDS);
	trmd_drain_stats(t.drain, &stats);
	ck_assert(stats.reads[TRMD_IKED] && !stats.reads[TRMD_PAGENT]);
	server = audit_server_start(dir);
	kill(server, SIGSTOP);
	ck_assert(trmd_manual_begin(t.manual));
	ck_assert_int_eq(pthread_create(&thread, NULL, ask_pagent, &t), 0);
	make_rows(2, 2);
	while (trmd_drain_step(t.drain, NOW) > 0)
		;
	ck_assert_uint_eq(count_records(), 4 * GROUP_RECORDS);
	ck_assert_uint_eq(manual_records, 0);
	pthread_join(thread, NULL);
	trmd_manual_end(t.manual);
	ck_assert_int_lt(trmd_drain_step(t.drain, NOW), 0);
	kill(server, SIGCONT);
	ck_assert_int_eq(drain_all(&t), 0);
	ck_assert_uint_eq(count_records(), 4 * GROUP_RECORDS);
	ck_assert_uint_eq(manual_records, 4);
	trmd_drain_stats(t.drain, &stats);
	ck_assert(stats.reads[TRMD_PAGENT]);
	stop(&t);
}
END_TEST

/* Without iked's database pagent's rows go on. */
START_TEST(iked_is_away)
{
	struct trmd t;

	audit_server_rows(dir, 1, 3);
	server = audit_server_start(dir);
	start(&t, 20000, 2);
	ck_assert_int_eq(drain_all(&t), CS_ENOTFOUND);
	ck_assert_uint_eq(count_records(), 0);
	ck_assert_uint_eq(manual_records, 6);
	make_rows(0, 1);
	ck_assert_int_eq(drain_all(&t), 0);
	ck_assert_uint_eq(count_records(), GROUP_RECORDS);
	stop(&t);
}
END_TEST

/* pagent has another database: that closes its side for one step. */
static void drain_other(struct trmd *t)
{
	ck_assert_int_eq(drain_all(t), CS_ESTORE);
	ck_assert_int_eq(drain_all(t), 0);
}

/* Its rows are numbered from 1, as with a clock that was set back. */
static void set_back(const char *last_row)
{
	char text[96];

	ask_of(audit, "UPDATE outbox SET id = id - (SELECT min(id) - 1 FROM outbox)");
	snprintf(text, sizeof(text), "UPDATE audit SET last_row = %s", last_row);
	ask_of(audit, text);
}

/* Lost while trmd runs and while it does not; and with a clock that was set back meanwhile. */
START_TEST(another_audit_database)
{
	/* and then the new one has come further than the old one */
	static const char *const last_rows[] = {"2", "last_row + 1000000000000"};
	struct trmd t;

	make_rows(0, 1);
	audit_server_rows(dir, 1, 2);
	server = audit_server_start(dir);
	start(&t, 20000, 0);
	ck_assert_int_eq(drain_all(&t), 0);
	ck_assert_int_eq(unlink(audit), 0);
	audit_server_rows(dir, 3, 1);
	drain_other(&t);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(unlink(audit), 0);
		audit_server_rows(dir, 4 + i, 1);
		set_back(last_rows[i]);
		drain_other(&t);
		count_records();
		ck_assert_uint_eq(manual_records, 2 * (4 + i));
		ck_assert_uint_eq(said_activated, 4 + i);
	}
	stop(&t);
	ck_assert_int_eq(unlink(audit), 0);
	audit_server_rows(dir, 6, 1);
	start(&t, 20000, 0);
	ck_assert_int_eq(drain_all(&t), 0);
	stop(&t);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(unlink(audit), 0);
		audit_server_rows(dir, 7 + i, 1);
		set_back(last_rows[i]);
		start(&t, 20000, 0);
		ck_assert_int_eq(drain_all(&t), 0);
		stop(&t);
		count_records();
		ck_assert_uint_eq(manual_records, 2 * (7 + i));
	}
}
END_TEST

/* An older copy of audit.db, from a backup: what is written already is not written again. */
START_TEST(older_audit_database)
{
	struct trmd t;
	char old[96];

	make_rows(0, 1);
	snprintf(old, sizeof(old), "%s/old.db", dir);
	audit_server_rows(dir, 1, 2);
	copy(audit, old);
	server = audit_server_start(dir);
	start(&t, 20000, 0);
	for (unsigned i = 3; i < 6; i++) {
		ck_assert_int_eq(drain_all(&t), 0);
		audit_server_rows(dir, i, 1);
		ck_assert_int_eq(drain_all(&t), 0);
		count_records();
		ck_assert_uint_eq(manual_records, 2 * i);
		/* once while trmd runs, and once while it does not */
		if (i == 4)
			stop(&t);
		copy(old, audit);
		if (i == 4)
			start(&t, 20000, 0);
	}
	stop(&t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("trmd_drain");
	TCase *tc = tcase_create("drain");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 3000);
	tcase_add_test(tc, all_rows);
	tcase_add_test(tc, beside_the_writer);
	tcase_add_test(tc, nothing_wanted);
	tcase_add_test(tc, losses);
	tcase_add_test(tc, bad_rows);
	tcase_add_test(tc, rows_stay);
	tcase_add_test(tc, rows_cannot_be_removed);
	tcase_add_test(tc, rows_stay_and_wishes_change);
	tcase_add_test(tc, database_comes_later);
	tcase_add_test(tc, another_database);
	tcase_add_test(tc, another_row_without_record);
	tcase_add_test(tc, no_database_of_iked);
	tcase_add_test(tc, damaged_database);
	tcase_add_test(tc, directory_comes_later);
	tcase_add_test(tc, two_sources);
	tcase_add_test(tc, pagent_is_away);
	tcase_add_test(tc, iked_is_away);
	tcase_add_test(tc, another_audit_database);
	tcase_add_test(tc, older_audit_database);
	suite_add_tcase(s, tc);
	tc = tcase_create("killed");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 3000);
	tcase_add_loop_test(tc, killed_anywhere, 0, 2);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
