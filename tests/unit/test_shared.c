/*
 * The shared store in sqlite, with helpers as they are: owners and epochs, what a takeover finds,
 * fencing, helpers that die, files that are full, broken, or of a later version.
 */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "iked/shared_store.h"
#include "iked/shared_wire.h"
#include "tests/unit/run_suite.h"
#include "tests/unit/shared_host.h"

#define VIP "192.0.2.10"

static char dir[64], path[96], uri[128];
static struct host a, b;

static void setup(void)
{
	strcpy(dir, "/tmp/csipsec-shared-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/shared.db", dir);
	snprintf(uri, sizeof(uri), "sqlite:%s", path);
}

static void teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

/* The first column of the first row, as a number; -1: there is none. */
static long long ask(const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *st;
	long long n = -1;

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 5000);
	ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK, "%s",
		      sqlite3_errmsg(db));
	if (sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

static void owns(struct host *h, const char *name)
{
	host_start(h, name, uri, VIP);
	host_helper(h);
	host_arrive(h);
	WAIT_FOR(h->claims == 1 && h->reads == 1);
	ck_assert(h->claim.ours);
	ck_assert_str_eq(h->claim.owner, name);
}

static bool all_written(const struct host *h)
{
	struct ike_shared_stats s = host_stats(h);

	return s.reachable && s.queued == 0;
}

/* ---- owners ---- */

START_TEST(first_claim)
{
	owns(&a, "a");
	ck_assert_uint_eq(a.claim.epoch, 1);
	ck_assert_int_eq(a.read_status, 0);
	ck_assert_uint_eq(a.n_rows, 0);
	ck_assert_uint_eq(a.wants, 1);
	host_up(&a, 1, 1);
	WAIT_FOR(host_stats(&a).puts == 2 && all_written(&a));
	ck_assert_int_eq(ask("SELECT count(*) FROM csipsec_sa WHERE host = 'a'"), 2);
	host_down(&a, 1, 1);
	WAIT_FOR(host_stats(&a).drops == 2);
	ck_assert_int_eq(ask("SELECT count(*) FROM csipsec_sa"), 0);
	ck_assert_uint_eq(a.n_unshared, 0);
	host_stop(&a);
}
END_TEST

/* B gets what A had, A learns of it, and B clears up. */
START_TEST(takeover)
{
	owns(&a, "a");
	host_up(&a, 1, 1);
	host_up(&a, 2, 5);
	WAIT_FOR(host_stats(&a).puts == 4);
	owns(&b, "b");
	ck_assert_uint_eq(b.claim.epoch, 2);
	ck_assert_uint_eq(b.n_rows, 4);
	ck_assert_int_eq(b.rows[0].kind, 'K');
	ck_assert_int_eq(b.rows[3].kind, 'Y');
	ck_assert_str_eq(b.rows[3].host, "a");
	ck_assert(!b.rows[3].own);
	WAIT_FOR(a.claims == 2);
	ck_assert(!a.claim.ours);
	ck_assert_str_eq(a.claim.owner, "b");
	ck_assert_uint_eq(a.claim.epoch, 2);
	host_up(&a, 3, 1); /* it has not turned passive yet */
	host_up(&b, 1, 1); /* the same number as of a's */
	for (unsigned i = 0; i < b.n_rows; i++)
		ike_shared_settled(b.s, b.rows[i].ref);
	WAIT_FOR(host_stats(&b).drops == 4 && host_stats(&b).puts == 2);
	hosts_run(50);
	ck_assert_int_eq(ask("SELECT count(*) FROM csipsec_sa WHERE host = 'a'"), 0);
	ck_assert_int_eq(ask("SELECT count(*) FROM csipsec_sa WHERE host = 'b'"), 2);
	host_stop(&a);
	host_stop(&b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("shared store");
	TCase *t = tcase_create("sqlite");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, first_claim);
	tcase_add_test(t, takeover);
	suite_add_tcase(s, t);
	return run_suite(s);
}
