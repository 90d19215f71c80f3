/*
 * iked's database: what is committed is there whole, whatever ends the process; what cannot be
 * committed is said, counted and caught up.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "iked/store.h"
#include "tests/unit/run_suite.h"

#define KILLS 100

static char dir[64], path[96];

/* ---- a store on a loop, and what came back ---- */

struct fixture {
	uv_loop_t loop;
	struct ike_store *store;
	uint64_t last_tx;
	unsigned done, failed, renewed;
	bool out_of_order;
	int status; /* of the last one */
	int report; /* descriptor that gets each durable transaction number, or -1 */
};

static void committed(void *arg, uint64_t tx, int status)
{
	struct fixture *f = arg;

	if (tx <= f->last_tx)
		f->out_of_order = true;
	f->last_tx = tx;
	f->status = status;
	f->done++;
	if (status < 0)
		f->failed++;
	else if (f->report >= 0 && write(f->report, &tx, sizeof(tx)) != sizeof(tx))
		_exit(9);
}

static void open_store(struct fixture *f, enum ike_stuck stuck)
{
	struct cs_err err;

	memset(f, 0, sizeof(*f));
	f->report = -1;
	ck_assert_int_eq(uv_loop_init(&f->loop), 0);
	if (ike_store_open(&f->loop, path, stuck, committed, f, &f->store, &err) < 0)
		ck_abort_msg("%s", err.text);
}

static void close_store(struct fixture *f)
{
	ike_store_close(f->store);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&f->loop), 0);
}

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000u;
}

/* Runs the loop until that many completions came or the time is over; true when they came. */
static bool run_until(struct fixture *f, unsigned done, unsigned ms)
{
	uint64_t end = now_ms() + ms;

	while (f->done < done && now_ms() < end) {
		uv_run(&f->loop, UV_RUN_NOWAIT);
		uv_sleep(1);
	}
	return f->done >= done;
}

static bool wait_stuck(struct fixture *f, unsigned ms)
{
	uint64_t end = now_ms() + ms;
	struct ike_store_stats stats = {0};

	while (!stats.stuck && now_ms() < end) {
		uv_sleep(2);
		ike_store_stats(f->store, &stats);
	}
	return stats.stuck;
}

/* ---- records ---- */

struct sample {
	struct ike_p1_info p1;
	struct ike_p2_info p2;
	struct xf_counters in, out;
	struct ike_record rec;
};

static struct ike_record *sample(struct sample *s, enum ike_record_kind kind, uint32_t tunnel,
				 uint64_t intent)
{
	memset(s, 0, sizeof(*s));
	s->p1 = (struct ike_p1_info){
		.tunnel = 1,
		.generation = 3,
		.state = IKE_P1_DONE,
		.initiator = true,
		.mode = POL_MODE_MAIN,
		.rule = "Branch",
		.action = "Gold",
		.instance = 17,
		.local_id_type = POL_ID_IPV4_ADDR,
		.remote_id_type = POL_ID_FQDN,
		.local_id = "192.0.2.1",
		.remote_id = "branch.example",
		.suite = {.cipher = cs_cipher_by_keyword("AES_CBC", 256),
			  .hash = cs_hash_by_keyword("SHA2_256"),
			  .group = cs_group_by_number(14),
			  .auth = POL_AUTH_PSK},
		.icookie = {1, 2, 3, 4, 5, 6, 7, 8},
		.rcookie = {8, 7, 6, 5, 4, 3, 2, 1},
		.established = 1000,
		.refresh = 2000,
		.expires = 3000,
		.lifetime = 2000,
		.lifesize = 4096,
		.allow_nat = true,
		.natt_level = 3,
		.nat_local = true,
		.nat_napt = true,
	};
	cs_addr_parse("192.0.2.1", &s->p1.local.addr, NULL);
	cs_addr_parse("198.51.100.7", &s->p1.remote.addr, NULL);
	s->p1.local.port = s->p1.remote.port = 500;
	s->p2 = (struct ike_p2_info){
		.tunnel = tunnel,
		.parent = 1,
		.generation = 1,
		.state = IKE_P2_DONE,
		.activation = IKE_ACT_ONDEMAND,
		.rule = "Data",
		.action = "Silver",
		.local_rule = "Activate",
		.rule_id = 20,
		.reqid = 20u << 18 | tunnel,
		.instance = 18,
		.suite = {.protocol = POL_ESP,
			  .cipher = cs_cipher_by_keyword("AES_CBC", 128),
			  .integ = cs_integ_by_keyword("HMAC_SHA2_256_128"),
			  .ah = cs_integ_by_keyword("HMAC_SHA1"),
			  .encap = POL_TUNNEL,
			  .udp = IKE_UDP_DRAFT},
		.pfs_group = 19,
		.local = s->p1.local.addr,
		.remote = s->p1.remote.addr,
		.spi_in = 0xc0000000u + tunnel,
		.spi_out = 0xd0000000u + tunnel,
		.ah_in = 0xc1000000u + tunnel,
		.ah_out = 0xd1000000u + tunnel,
		.installed = 1001,
		.refresh = 1500,
		.expires = 1900,
		.vpn_expires = 9000,
		.lifetime = 900,
		.lifesize = 512,
		.passthrough_df = true,
		.user = "alice",
		.nat_remote = true,
		.nat_napt = true,
		.encap_local = 4500,
		.encap_remote = 61123,
		.client = 8200,
		.local_id = {(const uint8_t *)"\1\0\0\0\xc0\0\2\1", 8},
		.remote_id = {(const uint8_t *)"\2\0\0\0branch.example", 18},
	};
	cs_addr_parse("10.0.0.5", &s->p2.oa[0], NULL);
	cs_range_parse("10.1.0.0/16", &s->p2.selector.local, NULL);
	cs_range_parse("2001:db8::1-2001:db8::9", &s->p2.selector.remote, NULL);
	s->p2.selector.proto = 6;
	s->p2.selector.remote_port = 443;
	s->in = (struct xf_counters){.packets = 11, .bytes = 1100};
	s->out = (struct xf_counters){.packets = 12, .bytes = 1200};
	s->rec = (struct ike_record){.kind = kind,
				     .when = {1, 1700000000},
				     .intent = intent,
				     .p1 = &s->p1,
				     .p2 = &s->p2,
				     .reason = ""};
	if (kind == IKE_REC_P1_UP || kind == IKE_REC_P1_DOWN)
		s->rec.p2 = NULL;
	if (kind == IKE_REC_P2_DOWN) {
		s->rec.in = &s->in;
		s->rec.out = &s->out;
		s->rec.reason = "deactivated";
	}
	return &s->rec;
}

static uint64_t put(struct fixture *f, enum ike_record_kind kind, uint32_t tunnel, uint64_t intent)
{
	struct sample s;

	return ike_store_record(f->store, sample(&s, kind, tunnel, intent));
}

/* ---- a second look at the file ---- */

static long long ask(const char *sql)
{
	sqlite3_stmt *st = NULL;
	long long value = -1;
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	sqlite3_busy_timeout(db, 2000);
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
		ck_abort_msg("%s: %s", sql, sqlite3_errmsg(db));
	if (sqlite3_step(st) == SQLITE_ROW)
		value = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return value;
}

static sqlite3 *lock_database(void)
{
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 2000);
	ck_assert_int_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	return db;
}

static void setup(void)
{
	/* On a real disk where there is one: fsync on tmpfs proves nothing. */
	strcpy(dir, access("/var/tmp", W_OK) == 0 ? "/var/tmp/csipsec-store-XXXXXX"
						  : "/tmp/csipsec-store-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/iked.db", dir);
	cs_log_open("test_store", true);
	cs_log_level(CS_ERROR + 1);
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(name);
}

static void teardown(void)
{
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- tests ---- */

START_TEST(life_of_an_sa)
{
	struct fixture f;
	struct sample s;
	uint64_t intent;

	open_store(&f, IKE_STUCK_WAIT);
	put(&f, IKE_REC_P1_UP, 0, 0);
	intent = put(&f, IKE_REC_P2_INTENT, 2, 0);
	ck_assert_uint_eq(f.done, 0); /* never from within the call */
	ck_assert(run_until(&f, 2, 5000));
	ck_assert_int_eq(ask("SELECT count(*) FROM intents"), 1);
	ck_assert_int_eq(ask("SELECT count(*) FROM outbox"), 1);
	ck_assert_int_eq(ask("SELECT up FROM p2"), 0);

	put(&f, IKE_REC_P2_UP, 2, intent);
	ck_assert(run_until(&f, 3, 5000));
	ck_assert_int_eq(ask("SELECT count(*) FROM intents"), 0);
	ck_assert_int_eq(ask("SELECT up FROM p2"), 1);
	ck_assert_int_eq(ask("SELECT intent FROM outbox WHERE kind='P2_UP' AND subtype=75"
			     " AND tunnel='Y2' AND generation=1"),
			 (long long)intent);

	/* A move is of the cache alone. */
	sample(&s, IKE_REC_P2_MOVED, 2, 0);
	s.p2.encap_remote = 7777;
	ike_store_record(f.store, &s.rec);
	ck_assert(run_until(&f, 4, 5000));
	ck_assert_int_eq(ask("SELECT encap_remote FROM p2 WHERE up=1"), 7777);
	ck_assert_int_eq(ask("SELECT count(*) FROM outbox"), 2);

	ck_assert_int_eq(ask("SELECT count(*) FROM (SELECT payload -> '$.DynamicTunnel' AS t"
			     " FROM outbox WHERE kind='P2_UP') WHERE t ->> '$.UdpEncapMode'"
			     " AND NOT t ->> '$.LclNATDetected' AND t ->> '$.RmtNATDetected'"
			     " AND t ->> '$.RmtNAPTDetected' AND NOT t ->> '$.zOSCanInitP2SA'"
			     " AND t ->> '$.RmtIsGw' AND t ->> '$.RmtUdpEncapPort' = 61123"
			     " AND t ->> '$.SrcNATOARcvd' = '10.0.0.5'"
			     " AND t ->> '$.DstNATOARcvd' IS NULL AND t ->> '$.ClientMark' = 8200"),
			 1);

	put(&f, IKE_REC_P2_DOWN, 2, 0);
	put(&f, IKE_REC_P1_DOWN, 0, 0);
	ck_assert(run_until(&f, 6, 5000));
	ck_assert_int_eq(ask("SELECT (SELECT count(*) FROM p1) + (SELECT count(*) FROM p2)"), 0);
	ck_assert_int_eq(ask("SELECT count(*) FROM outbox"), 4);
	ck_assert_int_eq(ask("SELECT payload ->> '$.Inbound.Bytes' FROM outbox"
			     " WHERE kind='P2_DOWN'"),
			 1100);
	ck_assert(!f.out_of_order);
	ck_assert_uint_eq(f.failed, 0);
	close_store(&f);
}
END_TEST

/* A generation that failed is known to what is left of its tunnel, and to no other tunnel. */
START_TEST(failed_generations_are_counted)
{
	struct sample s;
	struct fixture f;
	uint64_t tx;

	open_store(&f, IKE_STUCK_WAIT);
	put(&f, IKE_REC_P2_UP, 5, 0);
	put(&f, IKE_REC_P2_UP, 6, 0);
	sample(&s, IKE_REC_P2_INTENT, 5, 0);
	s.p2.generation = s.p2.generations = 9;
	tx = ike_store_record(f.store, &s.rec);
	sample(&s, IKE_REC_P2_FAILED, 5, tx);
	s.p2.generation = 9;
	ike_store_record(f.store, &s.rec);
	ck_assert(run_until(&f, 4, 5000));
	ck_assert_int_eq(ask("SELECT count(*) FROM p2 WHERE tunnel=5"), 1);
	ck_assert_int_eq(ask("SELECT generations FROM p2 WHERE tunnel=5"), 9);
	ck_assert_int_lt(ask("SELECT generations FROM p2 WHERE tunnel=6"), 9);
	close_store(&f);
}
END_TEST

START_TEST(unknown_counters_are_flagged)
{
	struct sample s;
	struct fixture f;

	open_store(&f, IKE_STUCK_WAIT);
	sample(&s, IKE_REC_P2_DOWN, 2, 0);
	s.rec.in = s.rec.out = NULL;
	s.rec.p1 = NULL;
	ike_store_record(f.store, &s.rec);
	ck_assert(run_until(&f, 1, 5000));
	ck_assert_int_eq(ask("SELECT count(*) FROM outbox WHERE payload -> '$.Inbound' = 'null'"
			     " AND payload -> '$.CountersKnown' = 'false'"),
			 1);
	close_store(&f);
}
END_TEST

START_TEST(group_commit)
{
	const unsigned n = 4000;
	struct ike_store_stats stats;
	struct fixture f;

	open_store(&f, IKE_STUCK_WAIT);
	for (unsigned i = 0; i < n; i++)
		put(&f, IKE_REC_P2_INTENT, 2 + i, 0);
	ck_assert(run_until(&f, n, 20000));
	ike_store_stats(f.store, &stats);
	ck_assert_uint_eq(stats.records, n);
	ck_assert_uint_lt(stats.commits, n / 20);
	ck_assert(!f.out_of_order);
	ck_assert_int_eq(ask("SELECT count(*) FROM intents"), n);
	close_store(&f);
}
END_TEST

struct found {
	unsigned p1, p2, intents;
	struct ike_p1_info info1;
	struct ike_p2_info info2;
	char text[4][64];
	uint8_t ids[2][64];
	uint64_t tx;
};

static void found_p1(void *arg, const struct ike_p1_info *info)
{
	struct found *f = arg;

	f->p1++;
	f->info1 = *info;
	snprintf(f->text[0], sizeof(f->text[0]), "%s/%s", info->rule, info->action);
}

static void found_p2(void *arg, const struct ike_p2_info *info, uint64_t intent)
{
	struct found *f = arg;

	f->p2++;
	f->intents += intent != 0;
	f->tx = intent;
	f->info2 = *info;
	snprintf(f->text[1], sizeof(f->text[1]), "%s/%s/%s", info->rule, info->action,
		 info->local_rule);
	ck_assert_uint_le(info->local_id.len, sizeof(f->ids[0]));
	ck_assert_uint_le(info->remote_id.len, sizeof(f->ids[1]));
	if (info->local_id.len)
		memcpy(f->ids[0], info->local_id.p, info->local_id.len);
	if (info->remote_id.len)
		memcpy(f->ids[1], info->remote_id.p, info->remote_id.len);
}

START_TEST(cache_gives_back_what_was_stored)
{
	struct found found = {0};
	struct cs_err err;
	struct fixture f;
	struct sample s;
	uint32_t tunnel;
	uint64_t tx;

	open_store(&f, IKE_STUCK_WAIT);
	put(&f, IKE_REC_P1_UP, 0, 0);
	tx = put(&f, IKE_REC_P2_INTENT, 77, 0);
	close_store(&f); /* writes what is queued */

	open_store(&f, IKE_STUCK_WAIT);
	ck_assert_int_eq(ike_store_cached_p1(f.store, found_p1, &found, &err), 0);
	ck_assert_int_eq(ike_store_cached(f.store, found_p2, &found, &err), 0);
	ck_assert_uint_eq(found.p1, 1);
	ck_assert_uint_eq(found.p2, 1);
	ck_assert_uint_eq(found.intents, 1);
	ck_assert_uint_eq(found.tx, tx);
	sample(&s, IKE_REC_P2_UP, 77, 0);
	ck_assert_str_eq(found.text[0], "Branch/Gold");
	ck_assert_str_eq(found.text[1], "Data/Silver/Activate");
	ck_assert_str_eq(found.info1.remote_id, "branch.example");
	ck_assert_ptr_eq(found.info1.suite.cipher, s.p1.suite.cipher);
	ck_assert_ptr_eq(found.info1.suite.hash, s.p1.suite.hash);
	ck_assert_ptr_eq(found.info1.suite.group, s.p1.suite.group);
	ck_assert_mem_eq(found.info1.icookie, s.p1.icookie, ISA_COOKIE_LEN);
	ck_assert_mem_eq(found.info1.rcookie, s.p1.rcookie, ISA_COOKIE_LEN);
	ck_assert_int_eq(found.info1.expires, s.p1.expires);
	ck_assert_uint_eq(found.info1.lifesize, s.p1.lifesize);
	ck_assert(found.info1.allow_nat && found.info1.initiator);
	ck_assert_uint_eq(found.info1.natt_level, 3);
	ck_assert(found.info1.nat_local && found.info1.nat_napt);
	ck_assert(!found.info1.nat_remote && !found.info1.nat_encap);
	ck_assert_ptr_eq(found.info2.suite.cipher, s.p2.suite.cipher);
	ck_assert_ptr_eq(found.info2.suite.integ, s.p2.suite.integ);
	ck_assert_int_eq(found.info2.suite.encap, POL_TUNNEL);
	ck_assert(cs_selector_equal(&found.info2.selector, &s.p2.selector));
	ck_assert(cs_addr_equal(&found.info2.remote, &s.p2.remote));
	ck_assert_uint_eq(found.info2.spi_in, s.p2.spi_in);
	ck_assert_uint_eq(found.info2.spi_out, s.p2.spi_out);
	ck_assert_ptr_eq(found.info2.suite.ah, s.p2.suite.ah);
	ck_assert_uint_eq(found.info2.ah_in, s.p2.ah_in);
	ck_assert_uint_eq(found.info2.ah_out, s.p2.ah_out);
	ck_assert_uint_eq(found.info2.reqid, s.p2.reqid);
	ck_assert_uint_eq(found.info2.pfs_group, 19);
	ck_assert_int_eq(found.info2.vpn_expires, 9000);
	ck_assert_uint_eq(found.info2.local_id.len, s.p2.local_id.len);
	ck_assert_uint_eq(found.info2.remote_id.len, s.p2.remote_id.len);
	ck_assert_mem_eq(found.ids[0], s.p2.local_id.p, s.p2.local_id.len);
	ck_assert_mem_eq(found.ids[1], s.p2.remote_id.p, s.p2.remote_id.len);
	ck_assert_str_eq(found.info2.user, "alice");
	ck_assert_int_eq(found.info2.suite.udp, IKE_UDP_DRAFT);
	ck_assert(found.info2.nat_remote && found.info2.nat_napt && !found.info2.nat_local);
	ck_assert_uint_eq(found.info2.encap_local, 4500);
	ck_assert_uint_eq(found.info2.encap_remote, 61123);
	ck_assert(cs_addr_equal(&found.info2.oa[0], &s.p2.oa[0]));
	ck_assert_uint_eq(found.info2.oa[1].family, 0);
	ck_assert_uint_eq(found.info2.client, 8200);
	ck_assert(found.info2.passthrough_df && !found.info2.passthrough_dscp);
	ck_assert_int_eq(ike_store_last_tunnel(f.store, &tunnel, &err), 0);
	ck_assert_uint_eq(tunnel, 77);
	/* Numbers go on where they were. */
	ck_assert_uint_gt(put(&f, IKE_REC_P2_FAILED, 77, tx), tx);
	close_store(&f);
	ck_assert_int_eq(ask("SELECT count(*) FROM outbox WHERE kind='P2_FAILED'"), 1);
	ck_assert_int_eq(ask("SELECT count(*) FROM p2"), 0);
}
END_TEST

START_TEST(one_result_an_intent)
{
	struct fixture f;
	uint64_t intent;

	open_store(&f, IKE_STUCK_WAIT);
	intent = put(&f, IKE_REC_P2_INTENT, 2, 0);
	put(&f, IKE_REC_P2_UP, 2, intent);
	put(&f, IKE_REC_P2_UP, 2, intent);
	put(&f, IKE_REC_P2_FAILED, 2, intent);
	ck_assert(run_until(&f, 4, 5000));
	ck_assert_int_eq(ask("SELECT count(*) FROM outbox"), 1);
	ck_assert_int_eq(ask("SELECT count(*) FROM outbox WHERE kind='P2_UP'"), 1);
	close_store(&f);
}
END_TEST

static void fail_the_intent(void *arg, uint64_t tx, int status)
{
	struct fixture *f = arg;
	struct sample s;

	f->done++;
	ck_assert_int_eq(status, 0);
	if (f->done == 1)
		ike_store_record(f->store, sample(&s, IKE_REC_P2_FAILED, 2, tx));
}

START_TEST(closing_gives_the_answers)
{
	struct fixture f = {0};
	struct cs_err err = {0};

	ck_assert_int_eq(uv_loop_init(&f.loop), 0);
	ck_assert_int_ge(
		ike_store_open(&f.loop, path, IKE_STUCK_WAIT, fail_the_intent, &f, &f.store, &err),
		0);
	put(&f, IKE_REC_P2_INTENT, 2, 0);
	close_store(&f);
	ck_assert_uint_eq(f.done, 2);
	ck_assert_int_eq(ask("SELECT count(*) FROM intents"), 0);
	ck_assert_int_eq(ask("SELECT count(*) FROM outbox WHERE kind='P2_FAILED'"), 1);
}
END_TEST

START_TEST(record_that_lacks_its_sa)
{
	struct ike_store_stats stats;
	struct sample s;
	struct fixture f;

	open_store(&f, IKE_STUCK_WAIT);
	put(&f, IKE_REC_P2_INTENT, 2, 0);
	sample(&s, IKE_REC_P2_UP, 3, 0);
	s.rec.p2 = NULL;
	ike_store_record(f.store, &s.rec);
	put(&f, IKE_REC_P2_INTENT, 4, 0);
	ck_assert(run_until(&f, 3, 5000));
	ck_assert_uint_eq(f.failed, 1); /* and the others did not suffer */
	ck_assert_int_eq(ask("SELECT count(*) FROM intents"), 2);
	ike_store_stats(f.store, &stats);
	ck_assert_uint_eq(stats.lost, 1);
	close_store(&f);
	ck_assert_int_eq(ask("SELECT payload ->> '$.Records' FROM outbox WHERE kind='LOSS'"), 1);
}
END_TEST

/* ---- kill -9 ---- */

/*
 * Keeps intents and results coming and reports what is durable, until it is killed. Every third
 * SA goes down again, every fifth intent fails, and some stay open.
 */
static void victim(int report)
{
	struct fixture f;
	uint32_t tunnel;
	struct cs_err err;

	open_store(&f, IKE_STUCK_WAIT);
	f.report = report;
	if (ike_store_last_tunnel(f.store, &tunnel, &err) < 0)
		_exit(8);
	for (;;) {
		for (unsigned i = 0; i < 16; i++) {
			uint64_t intent = put(&f, IKE_REC_P2_INTENT, ++tunnel, 0);

			if (tunnel % 7 == 0)
				continue;
			if (tunnel % 5 == 0) {
				put(&f, IKE_REC_P2_FAILED, tunnel, intent);
				continue;
			}
			put(&f, IKE_REC_P2_UP, tunnel, intent);
			if (tunnel % 3 == 0)
				put(&f, IKE_REC_P2_DOWN, tunnel, 0);
		}
		run_until(&f, f.done + 16, 1000);
	}
}

static unsigned check_durable(int report, uint64_t *highest)
{
	sqlite3_stmt *st = NULL;
	unsigned n = 0;
	sqlite3 *db;
	uint64_t tx;

	ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db,
					    "SELECT (SELECT count(*) FROM intents WHERE tx=?1)"
					    " + (SELECT count(*) FROM outbox WHERE id=?1)"
					    " + (SELECT count(*) FROM outbox WHERE intent=?1)",
					    -1, &st, NULL),
			 SQLITE_OK);
	while (read(report, &tx, sizeof(tx)) == sizeof(tx)) {
		n++;
		if (tx > *highest)
			*highest = tx;
		sqlite3_reset(st);
		sqlite3_bind_int64(st, 1, (sqlite3_int64)tx);
		if (sqlite3_step(st) != SQLITE_ROW || sqlite3_column_int(st, 0) < 1)
			ck_abort_msg("transaction %llu was reported durable and is not there",
				     (unsigned long long)tx);
	}
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

/* State and outbox are written in one transaction, so that they can never disagree. */
static void check_whole(void)
{
	ck_assert_int_eq(ask("SELECT count(*) FROM pragma_integrity_check"
			     " WHERE integrity_check <> 'ok'"),
			 0);
	ck_assert_int_eq(ask("SELECT count(*) FROM (SELECT 'Y' || tunnel FROM p2 WHERE up"
			     " EXCEPT SELECT tunnel FROM outbox WHERE kind='P2_UP')"),
			 0);
	ck_assert_int_eq(ask("SELECT count(*) FROM (SELECT tunnel FROM outbox WHERE kind='P2_UP'"
			     " EXCEPT SELECT tunnel FROM outbox WHERE kind='P2_DOWN'"
			     " EXCEPT SELECT 'Y' || tunnel FROM p2 WHERE up)"),
			 0);
	ck_assert_int_eq(ask("SELECT (SELECT count(*) FROM intents)"
			     " - (SELECT count(*) FROM p2 WHERE NOT up)"),
			 0);
	ck_assert_int_eq(ask("SELECT count(*) FROM intents JOIN outbox ON outbox.intent=tx"), 0);
}

/* After the reconciliation: each intent has one result, each UP one DOWN. */
static void check_settled(void)
{
	ck_assert_int_eq(ask("SELECT (SELECT count(*) FROM p2) + (SELECT count(*) FROM intents)"),
			 0);
	ck_assert_int_eq(ask("SELECT count(*) FROM (SELECT tunnel FROM outbox WHERE intent NOTNULL"
			     " GROUP BY tunnel HAVING count(*) <> 1)"),
			 0);
	ck_assert_int_eq(ask("SELECT (SELECT count(*) FROM outbox WHERE kind='P2_UP')"
			     " - (SELECT count(*) FROM outbox WHERE kind='P2_DOWN')"),
			 0);
	/* As trmd takes it away. */
	ask("DELETE FROM outbox");
}

struct settle {
	struct fixture f;
	unsigned n;
};

static void settle(void *arg, const struct ike_p2_info *info, uint64_t intent)
{
	struct settle *s = arg;
	struct ike_record rec = {.kind = intent ? IKE_REC_P2_FAILED : IKE_REC_P2_DOWN,
				 .when = {1, 1700000001},
				 .intent = intent,
				 .p2 = info,
				 .reason = "restart"};

	ike_store_record(s->f.store, &rec);
	s->n++;
}

START_TEST(killed_at_any_point)
{
	unsigned seed = (unsigned)time(NULL), reported = 0;
	const char *given = getenv("SEED");
	uint64_t highest = 0;

	if (given)
		seed = (unsigned)strtoul(given, NULL, 10);
	printf("test_store: SEED=%u\n", seed);
	fflush(stdout);
	srandom(seed);
	for (unsigned round = 0; round < KILLS; round++) {
		struct settle s = {.n = 0};
		struct cs_err err;
		int report[2], status;
		pid_t child;

		ck_assert_int_eq(pipe(report), 0);
		fcntl(report[1], F_SETPIPE_SZ, 1 << 20);
		child = fork();
		ck_assert_int_ge(child, 0);
		if (child == 0) {
			close(report[0]);
			victim(report[1]);
		}
		close(report[1]);
		/* Every other one lives until something is durable, however busy the machine is. */
		if (round % 2)
			ck_assert_int_eq(
				poll(&(struct pollfd){.fd = report[0], .events = POLLIN}, 1, 60000),
				1);
		usleep((useconds_t)(random() % 40000));
		ck_assert_int_eq(kill(child, SIGKILL), 0);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert(WIFSIGNALED(status)); /* it did not end by itself before */
		if (access(path, F_OK) == 0 && ask("SELECT count(*) FROM sqlite_schema") > 0) {
			reported += check_durable(report[0], &highest);
			check_whole();
		}
		close(report[0]);

		open_store(&s.f, IKE_STUCK_WAIT);
		ck_assert_int_eq(ike_store_cached(s.f.store, settle, &s, &err), 0);
		close_store(&s.f);
		check_settled();
	}
	ck_assert_uint_ge(reported, KILLS / 2);
	ck_assert_int_ge(ask("SELECT last_tx FROM counters"), (long long)highest);
}
END_TEST

/* ---- a database that does not work ---- */

START_TEST(locked_and_wait)
{
	struct ike_store_stats stats;
	struct fixture f;
	sqlite3 *db;

	open_store(&f, IKE_STUCK_WAIT);
	db = lock_database();
	put(&f, IKE_REC_P2_INTENT, 2, 0);
	ck_assert(wait_stuck(&f, 5000));
	ck_assert(!run_until(&f, 1, 800)); /* the gate stays shut */
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_close(db);
	ck_assert(run_until(&f, 1, 10000));
	ck_assert_int_eq(f.status, 0);
	ike_store_stats(f.store, &stats);
	ck_assert(!stats.stuck);
	ck_assert_uint_gt(stats.retries, 0);
	ck_assert_uint_eq(stats.lost, 0);
	close_store(&f);
	ck_assert_int_eq(ask("SELECT count(*) FROM intents"), 1);
}
END_TEST

START_TEST(locked_and_go_on)
{
	struct ike_store_stats stats;
	struct fixture f;
	sqlite3 *db;

	open_store(&f, IKE_STUCK_GO_ON);
	db = lock_database();
	for (unsigned i = 0; i < 5; i++)
		put(&f, IKE_REC_P2_INTENT, 2 + i, 0);
	/* Of these there would be rows: a loss is what is told less than should be. */
	for (unsigned i = 0; i < 3; i++)
		put(&f, IKE_REC_P2_UP, 3 + i, 2 + i);
	put(&f, IKE_REC_P2_MOVED, 3, 0);
	ck_assert(run_until(&f, 9, 20000));
	ck_assert_int_eq(f.status, 0);
	ike_store_stats(f.store, &stats);
	ck_assert_uint_eq(stats.lost, 3);
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_close(db);
	put(&f, IKE_REC_P2_UP, 2, 1); /* the result of an intent that was lost */
	ck_assert(run_until(&f, 10, 20000));
	close_store(&f);
	ck_assert_int_eq(ask("SELECT payload ->> '$.Records' FROM outbox WHERE kind='LOSS'"), 3);
	ck_assert_int_eq(ask("SELECT count(*) FROM outbox WHERE kind='LOSS'"), 1);
	ck_assert_int_eq(ask("SELECT count(*) FROM outbox WHERE kind='P2_UP'"), 1);
}
END_TEST

START_TEST(closing_a_stuck_store_ends)
{
	struct fixture f;
	uint64_t began;
	sqlite3 *db;

	open_store(&f, IKE_STUCK_WAIT);
	db = lock_database();
	put(&f, IKE_REC_P2_INTENT, 2, 0);
	ck_assert(wait_stuck(&f, 5000));
	began = now_ms();
	close_store(&f);
	ck_assert_uint_lt(now_ms() - began, 8000);
	sqlite3_close(db);
}
END_TEST

START_TEST(bounded_queue)
{
	const unsigned bound = 16384, more = 50;
	struct ike_store_stats stats;
	struct fixture f;
	sqlite3 *db;

	open_store(&f, IKE_STUCK_WAIT);
	db = lock_database();
	put(&f, IKE_REC_P2_INTENT, 2, 0);
	ck_assert(wait_stuck(&f, 5000));
	for (unsigned i = 0; i < bound + more; i++)
		put(&f, IKE_REC_P2_INTENT, 3 + i, 0);
	ck_assert(run_until(&f, more, 2000));
	ck_assert_int_eq(f.status, CS_ELIMIT);
	ck_assert_uint_eq(f.done, more);
	/* A result is taken all the same: what is in the kernel must be told of. */
	put(&f, IKE_REC_P2_DOWN, 2, 0);
	ike_store_stats(f.store, &stats);
	ck_assert_uint_eq(stats.queued, bound + 1);
	f.last_tx = 0;
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_close(db);
	ck_assert(run_until(&f, more + bound + 2, 60000));
	close_store(&f);
	ck_assert_int_eq(ask("SELECT count(*) FROM intents"), bound + 1);
}
END_TEST

static void expect_refusal(const char *word)
{
	struct ike_store *store;
	struct fixture f;
	struct cs_err err = {0};

	memset(&f, 0, sizeof(f));
	ck_assert_int_eq(uv_loop_init(&f.loop), 0);
	ck_assert_int_eq(ike_store_open(&f.loop, path, IKE_STUCK_WAIT, committed, &f, &store, &err),
			 CS_ESTORE);
	ck_assert_msg(strstr(err.text, path) != NULL, "'%s' does not name the file", err.text);
	ck_assert_msg(strstr(err.text, word) != NULL, "'%s' lacks '%s'", err.text, word);
	ck_assert_int_eq(uv_loop_close(&f.loop), 0);
}

#define RECORDS 100

/* With 300 intents that have no result, and as many records. */
static void make_database(void)
{
	struct fixture f;

	open_store(&f, IKE_STUCK_WAIT);
	for (unsigned i = 0; i < 300 + RECORDS; i++)
		put(&f, IKE_REC_P2_INTENT, 2 + i, 0);
	for (unsigned i = 0; i < RECORDS; i++)
		put(&f, IKE_REC_P2_UP, 302 + i, 301 + i);
	close_store(&f);
}

START_TEST(read_only)
{
	make_database();
	ck_assert_int_eq(chmod(path, 0444), 0);
	ck_assert_int_eq(chmod(dir, 0555), 0);
	/* Root writes where it likes; another user does not. Each test is a process of its own. */
	if (geteuid() == 0)
		ck_assert(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
	expect_refusal("readonly");
}
END_TEST

/* sqlite's own text does not say that the way there is barred. */
START_TEST(not_reachable)
{
	make_database();
	ck_assert_int_eq(chmod(dir, 0700), 0);
	if (geteuid() == 0)
		ck_assert(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
	else
		ck_assert_int_eq(chmod(path, 0), 0);
	expect_refusal("Permission denied");
}
END_TEST

/* ---- a database that never will ---- */

/* Names of what was set aside, the log of each not counted; the last one. */
static unsigned aside(char last[static 256])
{
	unsigned n = 0;
	glob_t found;
	char pattern[160];

	snprintf(pattern, sizeof(pattern), "%s.aside-*Z*", path);
	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			if (!strstr(found.gl_pathv[i], "-wal") &&
			    !strstr(found.gl_pathv[i], "-shm")) {
				snprintf(last, 256, "%s", found.gl_pathv[i]);
				n++;
			}
	globfree(&found);
	return n;
}

/* Whatever was there has another name, and the store works; the clock numbers what nobody counted.
 */
static void expect_aside(long long intents, long long records, bool counted)
{
	struct fixture f;
	char last[256];

	open_store(&f, IKE_STUCK_WAIT);
	ck_assert_uint_eq(aside(last), 1);
	put(&f, IKE_REC_P2_INTENT, 5000, 0);
	ck_assert(run_until(&f, 1, 5000));
	ck_assert_int_eq(f.status, 0);
	close_store(&f);
	ck_assert_int_eq(ask("SELECT count(*) FROM intents WHERE tunnel<5000"), intents);
	ck_assert_int_eq(ask("SELECT count(*) FROM outbox"), records);
	if (counted)
		ck_assert_int_lt(ask("SELECT last_tx FROM counters"), 1000);
	else
		ck_assert_int_gt(ask("SELECT last_tx FROM counters"), 1000000000000);
	unlink(last);
	unlink(path);
}

#define WHOLE_INTENTS 300

START_TEST(truncated)
{
	make_database();
	ck_assert_int_eq(truncate(path, 5000), 0);
	expect_aside(0, 0, false);
	make_database();
	ck_assert_int_eq(truncate(path, 50), 0);
	expect_aside(0, 0, false);
}
END_TEST

START_TEST(other_things_than_our_database)
{
	sqlite3 *db;
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	for (unsigned i = 0; i < 2000; i++)
		fputs("this is a text\n", file);
	fclose(file);
	expect_aside(0, 0, false);

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_exec(db, "CREATE TABLE outbox (id)", NULL, NULL, NULL);
	sqlite3_close(db);
	expect_aside(0, 0, false);

	ck_assert_int_eq(mkdir(path, 0700), 0);
	expect_refusal("cannot open");
}
END_TEST

/* Of a later iked, with a column and a table that this one does not know: what it knows is taken
 * over. */
START_TEST(newer_schema)
{
	sqlite3 *db;

	make_database();
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(
		sqlite3_exec(db,
			     "ALTER TABLE outbox ADD COLUMN more INTEGER NOT NULL DEFAULT 3;"
			     "CREATE TABLE later (x); PRAGMA user_version=99",
			     NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
	expect_aside(WHOLE_INTENTS, RECORDS, true);
}
END_TEST

/* A page of garbage: whatever is on another one is taken over, and never a row that was not there.
 */
START_TEST(page_of_garbage)
{
	unsigned lost = 0, n_pages;
	uint8_t garbage[4096];
	struct stat st;

	make_database();
	ck_assert_int_eq(stat(path, &st), 0);
	n_pages = (unsigned)(st.st_size / 4096);
	ck_assert_uint_gt(n_pages, 20);
	for (unsigned i = 0; i < sizeof(garbage); i++)
		garbage[i] = (uint8_t)random();
	for (unsigned page = 1; page < n_pages; page++) {
		struct fixture f;
		char last[256];
		long long intents;
		int fd;

		unlink(path);
		make_database();
		fd = open(path, O_WRONLY);
		ck_assert_int_eq(pwrite(fd, garbage, sizeof(garbage), page * 4096), 4096);
		close(fd);
		open_store(&f, IKE_STUCK_WAIT);
		put(&f, IKE_REC_P2_INTENT, 5000, 0);
		ck_assert(run_until(&f, 1, 5000));
		ck_assert_int_eq(f.status, 0);
		close_store(&f);
		ck_assert_uint_eq(aside(last), 1);
		unlink(last);
		intents = ask("SELECT count(*) FROM intents WHERE tunnel<5000");
		ck_assert_int_le(intents, WHOLE_INTENTS);
		ck_assert_int_le(ask("SELECT count(*) FROM outbox"), RECORDS);
		ck_assert_int_eq(ask("SELECT count(*) FROM outbox WHERE kind <> 'P2_UP'"), 0);
		lost += intents < WHOLE_INTENTS || ask("SELECT count(*) FROM outbox") < RECORDS ||
			ask("SELECT count(*) FROM p2") < WHOLE_INTENTS;
		ck_assert_int_ge(ask("SELECT last_tx FROM counters"), WHOLE_INTENTS);
	}
	/* Most pages have rows of one table, and the rest of them is there. */
	ck_assert_uint_gt(lost, n_pages / 2);
	ck_assert_int_gt(ask("SELECT count(*) FROM p2"), WHOLE_INTENTS / 2);
}
END_TEST

/* A row that cannot be understood is left out, and told; the others are given. */
START_TEST(row_of_nonsense)
{
	static const char *const changes[] = {"remote_range='nonsense'", "local_addr='-'",
					      "udp=77"};
	struct found found = {0};
	struct cs_err err = {0};
	struct fixture f;
	char text[128];
	sqlite3 *db;

	make_database();
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	snprintf(text, sizeof(text), "UPDATE p2 SET %s WHERE tunnel=5", changes[_i]);
	ck_assert_int_eq(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	open_store(&f, IKE_STUCK_WAIT);
	ck_assert_int_eq(ike_store_cached(f.store, found_p2, &found, &err), CS_ESTORE);
	ck_assert_ptr_nonnull(strstr(err.text, "1 rows of the SA cache cannot be understood"));
	ck_assert_uint_eq(found.p2, WHOLE_INTENTS + RECORDS - 1);
	close_store(&f);
}
END_TEST

/* What a release before this one wrote is brought up to date, and its rows stay. */
START_TEST(older_schema)
{
	struct found found = {0};
	struct fixture f;
	struct cs_err err;
	sqlite3 *db;

	open_store(&f, IKE_STUCK_WAIT);
	put(&f, IKE_REC_P2_INTENT, 77, 0);
	close_store(&f);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db,
				      "ALTER TABLE p2 DROP COLUMN generations;"
				      "ALTER TABLE p2 DROP COLUMN client;"
				      "ALTER TABLE p2 DROP COLUMN oa_responder;"
				      "ALTER TABLE p2 DROP COLUMN oa_initiator;"
				      "ALTER TABLE p2 DROP COLUMN encap_remote;"
				      "ALTER TABLE p2 DROP COLUMN encap_local;"
				      "ALTER TABLE p2 DROP COLUMN nat_napt;"
				      "ALTER TABLE p2 DROP COLUMN nat_remote;"
				      "ALTER TABLE p2 DROP COLUMN nat_local;"
				      "ALTER TABLE p2 DROP COLUMN udp;"
				      "ALTER TABLE p2 DROP COLUMN user;"
				      "ALTER TABLE p2 DROP COLUMN ah_out;"
				      "ALTER TABLE p2 DROP COLUMN ah_in;"
				      "ALTER TABLE p2 DROP COLUMN ah;"
				      "ALTER TABLE p2 DROP COLUMN remote_id;"
				      "ALTER TABLE p2 DROP COLUMN local_id;"
				      "ALTER TABLE p1 DROP COLUMN nat_encap;"
				      "ALTER TABLE p1 DROP COLUMN nat_napt;"
				      "ALTER TABLE p1 DROP COLUMN nat_remote;"
				      "ALTER TABLE p1 DROP COLUMN nat_local;"
				      "ALTER TABLE p1 DROP COLUMN natt_level;"
				      "PRAGMA user_version=1",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(db);
	open_store(&f, IKE_STUCK_WAIT);
	ck_assert_int_eq(ike_store_cached(f.store, found_p2, &found, &err), 0);
	ck_assert_uint_eq(found.p2, 1);
	ck_assert_uint_eq(found.info2.local_id.len, 0);
	ck_assert_ptr_null(found.info2.suite.ah);
	put(&f, IKE_REC_P2_INTENT, 78, 0);
	close_store(&f);
	open_store(&f, IKE_STUCK_WAIT);
	ck_assert_int_eq(ike_store_cached(f.store, found_p2, &found, &err), 0);
	ck_assert_uint_eq(found.p2, 3);
	close_store(&f);
}
END_TEST

static void renewed(void *arg)
{
	struct fixture *f = arg;

	f->renewed++;
}

START_TEST(truncated_under_way)
{
	struct fixture f;
	char last[256];

	make_database();
	open_store(&f, IKE_STUCK_WAIT);
	ike_store_on_renewed(f.store, renewed);
	put(&f, IKE_REC_P2_INTENT, 1002, 0);
	ck_assert(run_until(&f, 1, 5000));
	ck_assert_int_eq(truncate(path, 100), 0);
	put(&f, IKE_REC_P2_INTENT, 1003, 0);
	ck_assert(run_until(&f, 2, 5000));
	ck_assert_int_eq(f.status, 0);
	ck_assert_uint_eq(f.renewed, 1);
	close_store(&f);
	ck_assert_uint_eq(aside(last), 1);
	ck_assert_int_eq(ask("SELECT count(*) FROM intents WHERE tunnel=1003"), 1);
	ck_assert_int_ge(ask("SELECT last_tx FROM counters"), 302);
}
END_TEST

/* Garbage under an open handle: what is written from when that shows on is whole. */
START_TEST(garbage_under_way)
{
	uint8_t garbage[4096];
	struct fixture f;
	struct stat st;
	char last[256];
	int fd;

	make_database();
	open_store(&f, IKE_STUCK_WAIT);
	put(&f, IKE_REC_P2_INTENT, 1002, 0);
	ck_assert(run_until(&f, 1, 5000));
	for (unsigned i = 0; i < sizeof(garbage); i++)
		garbage[i] = (uint8_t)random();
	ck_assert_int_eq(stat(path, &st), 0);
	fd = open(path, O_WRONLY);
	for (off_t at = 0; at < st.st_size; at += (off_t)sizeof(garbage))
		ck_assert_int_eq(pwrite(fd, garbage, sizeof(garbage), at), 4096);
	close(fd);
	for (unsigned i = 0; i < 200; i++) {
		put(&f, IKE_REC_P2_INTENT, 2000 + i, 0);
		put(&f, IKE_REC_P2_DOWN, 2 + i, 0);
	}
	ck_assert(run_until(&f, 401, 20000));
	close_store(&f);
	open_store(&f, IKE_STUCK_WAIT);
	put(&f, IKE_REC_P2_INTENT, 3000, 0);
	ck_assert(run_until(&f, 1, 5000));
	ck_assert_int_eq(f.status, 0);
	close_store(&f);
	ck_assert_uint_ge(aside(last), 1);
	ck_assert_int_eq(ask("SELECT count(*) FROM intents WHERE tunnel=3000"), 1);
	ck_assert_int_eq(ask("SELECT count(*) FROM pragma_integrity_check"
			     " WHERE integrity_check <> 'ok'"),
			 0);
}
END_TEST

START_TEST(removed_under_way)
{
	struct fixture f;

	open_store(&f, IKE_STUCK_WAIT);
	put(&f, IKE_REC_P2_INTENT, 2, 0);
	ck_assert(run_until(&f, 1, 5000));
	unlink(path);
	put(&f, IKE_REC_P2_INTENT, 3, 0);
	ck_assert(run_until(&f, 2, 15000));
	close_store(&f);
	/* Not into the file that has no name any more. */
	ck_assert_int_eq(ask("SELECT count(*) FROM intents WHERE tunnel=3"), 1);
}
END_TEST

START_TEST(disk_full)
{
	struct rlimit old, small;
	const unsigned n = 3000;
	struct fixture f;

	signal(SIGXFSZ, SIG_IGN);
	open_store(&f, IKE_STUCK_WAIT);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 200000;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (unsigned i = 0; i < n; i++)
		put(&f, IKE_REC_P2_INTENT, 2 + i, 0);
	ck_assert(wait_stuck(&f, 10000));
	ck_assert(!run_until(&f, n, 500));
	ck_assert_uint_eq(f.failed, 0);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	ck_assert(run_until(&f, n, 30000));
	ck_assert_uint_eq(f.failed, 0);
	close_store(&f);
	ck_assert_int_eq(ask("SELECT count(*) FROM intents"), n);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store");
	TCase *life = tcase_create("life"), *crash = tcase_create("crash");
	TCase *stuck = tcase_create("stuck");

	tcase_add_checked_fixture(life, setup, teardown);
	tcase_set_timeout(life, 60);
	tcase_add_test(life, life_of_an_sa);
	tcase_add_test(life, failed_generations_are_counted);
	tcase_add_test(life, unknown_counters_are_flagged);
	tcase_add_test(life, group_commit);
	tcase_add_test(life, cache_gives_back_what_was_stored);
	tcase_add_test(life, one_result_an_intent);
	tcase_add_test(life, closing_gives_the_answers);
	tcase_add_test(life, record_that_lacks_its_sa);
	suite_add_tcase(suite, life);

	tcase_add_checked_fixture(crash, setup, teardown);
	tcase_set_timeout(crash, 300);
	tcase_add_test(crash, killed_at_any_point);
	suite_add_tcase(suite, crash);

	tcase_add_checked_fixture(stuck, setup, teardown);
	tcase_set_timeout(stuck, 120);
	tcase_add_test(stuck, locked_and_wait);
	tcase_add_test(stuck, locked_and_go_on);
	tcase_add_test(stuck, closing_a_stuck_store_ends);
	tcase_add_test(stuck, bounded_queue);
	tcase_add_test(stuck, read_only);
	tcase_add_test(stuck, not_reachable);
	tcase_add_test(stuck, truncated);
	tcase_add_test(stuck, other_things_than_our_database);
	tcase_add_test(stuck, newer_schema);
	tcase_add_test(stuck, page_of_garbage);
	tcase_add_loop_test(stuck, row_of_nonsense, 0, 3);
	tcase_add_test(stuck, older_schema);
	tcase_add_test(stuck, truncated_under_way);
	tcase_add_test(stuck, garbage_under_way);
	tcase_add_test(stuck, removed_under_way);
	tcase_add_test(stuck, disk_full);
	suite_add_tcase(suite, stuck);

	return run_suite(suite);
}
