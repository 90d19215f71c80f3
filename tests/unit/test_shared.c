/*
 * The shared store in sqlite, with helpers as they are: owners and epochs, what a takeover finds,
 * fencing, helpers that die, files that are full, broken, or of a later version.
 */
#include <check.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "iked/iked.h"
#include "iked/shared_store.h"
#include "iked/shared_wire.h"
#include "tests/unit/run_suite.h"
#include "tests/unit/shared_host.h"
#include "tests/unit/shared_race.h"

#define VIP "192.0.2.10"

static char dir[64], path[128], uri[160];
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

START_TEST(many_claim)
{
	shared_race(uri, 8, 60);
}
END_TEST

START_TEST(fence_holds)
{
	shared_fence(uri);
}
END_TEST

/* What a loser had on its way changes nothing. */
START_TEST(late_write)
{
	owns(&a, "a");
	host_up(&a, 1, 1);
	WAIT_FOR(host_stats(&a).puts == 2);
	kill(a.helper, SIGSTOP);
	host_up(&a, 2, 1);
	host_down(&a, 1, 1);
	hosts_run(50);
	owns(&b, "b");
	ck_assert_uint_eq(b.n_rows, 2);
	kill(a.helper, SIGCONT);
	WAIT_FOR(a.claims == 2);
	ck_assert(!a.claim.ours);
	hosts_run(50);
	ck_assert_int_eq(
		ask("SELECT count(*) FROM csipsec_sa WHERE host = 'a' AND tunnel % 1000 = 1"), 2);
	ck_assert_int_eq(
		ask("SELECT count(*) FROM csipsec_sa WHERE host = 'a' AND tunnel % 1000 = 2"), 0);
	host_stop(&a);
	host_stop(&b);
}
END_TEST

/* Who has it back has a new epoch, and the one who lost it can come again. */
START_TEST(to_and_fro)
{
	owns(&a, "a");
	owns(&b, "b");
	WAIT_FOR(a.claims == 2);
	host_forget(&a);
	host_arrive(&a);
	WAIT_FOR(a.claims == 1 && b.claims == 2);
	ck_assert(a.claim.ours && !b.claim.ours);
	ck_assert_uint_eq(a.claim.epoch, 3);
	ike_shared_leave(a.s, &a.address);
	host_up(&a, 1, 1);
	hosts_run(100);
	ck_assert_int_eq(ask("SELECT count(*) FROM csipsec_sa"), 0);
	ck_assert_int_eq(ask("SELECT epoch FROM csipsec_address WHERE owner = ''"), 3);
	host_stop(&a);
	host_stop(&b);
}
END_TEST

/* The worker begins anew: it is still its address, and what its last life left is given as its own.
 */
START_TEST(worker_restarts)
{
	owns(&a, "a");
	host_up(&a, 1, 1);
	host_up(&a, 2, 1);
	host_used(&a, 2, 1, 4711);
	WAIT_FOR(all_written(&a) && host_stats(&a).puts == 4);
	hosts_run(20);
	host_stop(&a);
	owns(&a, "a");
	ck_assert_uint_eq(a.claim.epoch, 1);
	ck_assert_uint_eq(a.n_rows, 4);
	ck_assert(a.rows[2].own);
	ck_assert_uint_eq(a.rows[2].tunnel, 2); /* the one with packets first */
	ck_assert_int_eq(a.rows[2].used, 4711);
	host_up(&a, 1, 1); /* this one lived on, and must not be dropped */
	for (unsigned i = 0; i < a.n_rows; i++)
		ike_shared_settled(a.s, a.rows[i].ref);
	WAIT_FOR(host_stats(&a).drops == 2 && all_written(&a));
	ck_assert_int_eq(ask("SELECT count(*) FROM csipsec_sa"), 2);
	ck_assert_int_eq(ask("SELECT count(*) FROM csipsec_sa WHERE tunnel % 1000 = 1"), 2);
	/* Again while it is here: what is up is not given out as left over. */
	host_forget(&a);
	host_arrive(&a);
	WAIT_FOR(a.reads == 1 && a.wants == 1);
	ck_assert_uint_eq(a.n_rows, 0);
	host_stop(&a);
}
END_TEST

/* ---- an address that is here and another host's ---- */

/* Its owner gives it up, and here it never comes anew: it is taken, with what the owner had. */
START_TEST(owner_lets_go)
{
	owns(&a, "a");
	owns(&b, "b");
	host_up(&b, 1, 1);
	WAIT_FOR(a.claims == 2 && host_stats(&b).puts == 2);
	ck_assert(!a.claim.ours);
	host_forget(&a);
	host_leave(&b);
	WAIT_FOR(a.vacants == 1 && a.claims == 1 && a.reads == 1);
	ck_assert_str_eq(a.vacant_owner, "");
	ck_assert(a.claim.ours);
	ck_assert_uint_eq(a.claim.epoch, 3);
	ck_assert_uint_eq(a.n_rows, 2);
	ck_assert_str_eq(a.rows[0].host, "b");
	hosts_run(1500);
	ck_assert_uint_eq(a.claims, 1);
	host_stop(&a);
	host_stop(&b);
}
END_TEST

/* The stall was so short that nobody saw who had it meanwhile. */
START_TEST(owner_was_there_and_went)
{
	owns(&a, "a");
	kill(a.helper, SIGSTOP);
	owns(&b, "b");
	host_forget(&a);
	host_leave(&b);
	WAIT_FOR(ask("SELECT epoch FROM csipsec_address WHERE owner = ''") == 2);
	kill(a.helper, SIGCONT);
	WAIT_FOR(a.vacants == 1 && a.claims == 2);
	ck_assert(a.claim.ours);
	ck_assert_uint_eq(a.claim.epoch, 3);
	host_stop(&a);
	host_stop(&b);
}
END_TEST

/* Its owner is silent: a helper that was not there when the address was lost finds that, too. */
START_TEST(owner_is_silent)
{
	owns(&a, "a");
	owns(&b, "b");
	host_up(&b, 1, 1);
	WAIT_FOR(a.claims == 2 && host_stats(&b).puts == 2);
	host_forget(&a);
	hosts_run(3000);
	host_kill_helper(&a);
	host_helper(&a);
	hosts_run(6500);
	ck_assert_uint_eq(a.vacants + a.claims + a.reads, 0);
	host_kill_helper(&b);
	WAIT_FOR(a.vacants == 1 && a.claims == 1 && a.reads == 1);
	ck_assert_str_eq(a.vacant_owner, "b");
	ck_assert(a.claim.ours);
	ck_assert_uint_eq(a.claim.epoch, 3);
	ck_assert_uint_eq(a.n_rows, 2);
	/* The one who was silent is there again, and has lost it. */
	host_helper(&b);
	WAIT_FOR(b.claims == 2);
	ck_assert(!b.claim.ours);
	hosts_run(6500);
	ck_assert_uint_eq(a.claims, 1);
	ck_assert_uint_eq(b.vacants, 0);
	host_stop(&a);
	host_stop(&b);
}
END_TEST

/* It leaves and returns before anybody looks: it is as it was. */
START_TEST(left_and_back)
{
	owns(&a, "a");
	kill(a.helper, SIGSTOP);
	host_leave(&a);
	host_arrive(&a);
	host_forget(&a);
	kill(a.helper, SIGCONT);
	WAIT_FOR(a.claims == 1 && a.reads == 1);
	hosts_run(1500);
	ck_assert(a.claim.ours);
	ck_assert_uint_eq(a.claims, 1);
	ck_assert_uint_eq(a.claim.epoch, 1);
	ck_assert_int_eq(ask("SELECT epoch FROM csipsec_address WHERE owner = 'a'"), 1);
	host_stop(&a);
}
END_TEST

/* A quiet host's worker begins anew: that is no arrival as long as the owner lives. */
START_TEST(found_at_the_start)
{
	owns(&a, "a");
	host_up(&a, 1, 1);
	WAIT_FOR(host_stats(&a).puts == 2);
	host_start(&b, "b", uri, VIP);
	host_helper(&b);
	ike_shared_found(b.s, &b.address);
	WAIT_FOR(b.claims == 1 && b.reads == 1);
	ck_assert(!b.claim.ours);
	ck_assert_str_eq(b.claim.owner, "a");
	ck_assert_uint_eq(b.n_rows, 0);
	hosts_run(6500);
	ck_assert_uint_eq(a.claims + b.claims, 2);
	host_forget(&b);
	host_kill_helper(&a); /* with all of the host */
	WAIT_FOR(b.vacants == 1 && b.claims == 1 && b.reads == 1);
	ck_assert(b.claim.ours);
	ck_assert_uint_eq(b.n_rows, 2);
	host_stop(&a);
	host_stop(&b);
	/* Its own, and after all has gone nobody's. */
	host_start(&b, "b", uri, VIP);
	host_helper(&b);
	ike_shared_found(b.s, &b.address);
	WAIT_FOR(b.claims == 1 && b.reads == 1);
	ck_assert(b.claim.ours);
	ck_assert_uint_eq(b.claim.epoch, 2);
	ck_assert_uint_eq(b.n_rows, 2);
	host_stop(&b);
}
END_TEST

/* ---- rows ---- */

START_TEST(used_and_expired)
{
	owns(&a, "a");
	for (uint32_t i = 1; i <= 4; i++)
		host_up(&a, i, 1);
	WAIT_FOR(host_stats(&a).puts == 8);
	host_used(&a, 3, 1, 3000);
	host_used(&a, 1, 1, 1000);
	host_used(&a, 3, 1, 2999); /* older: nothing new */
	WAIT_FOR(ask("SELECT used FROM csipsec_sa WHERE kind = 'Y' AND tunnel = 1") == 1000);
	ck_assert_int_eq(ask("SELECT used FROM csipsec_sa WHERE kind = 'Y' AND tunnel = 3"), 3000);
	ask("UPDATE csipsec_sa SET expires = strftime('%s', 'now') - 10 WHERE tunnel = 2");
	ask("UPDATE csipsec_sa SET expires = strftime('%s', 'now') - 90000 WHERE tunnel = 4");
	owns(&b, "b");
	ck_assert_uint_eq(b.n_rows, 6);
	ck_assert_uint_eq(b.rows[4].tunnel, 3);
	ck_assert_uint_eq(b.rows[5].tunnel, 1);
	/* A day after it expired it goes, not before: a clock may be wrong. */
	ck_assert_int_eq(ask("SELECT count(*) FROM csipsec_sa WHERE tunnel = 4"), 0);
	ck_assert_int_eq(ask("SELECT count(*) FROM csipsec_sa WHERE tunnel = 2"), 1);
	host_stop(&a);
	host_stop(&b);
}
END_TEST

/* Hosts that were not seen for a day go, whoever owns an address sees to it. */
START_TEST(hosts_of_old)
{
	owns(&a, "a");
	host_stop(&a);
	ask("INSERT INTO csipsec_host VALUES ('old', '', strftime('%s', 'now') - 90000),"
	    " ('new', '', strftime('%s', 'now') - 80000)");
	owns(&a, "a");
	WAIT_FOR(ask("SELECT count(*) FROM csipsec_host WHERE host = 'old'") == 0);
	ck_assert_int_eq(ask("SELECT count(*) FROM csipsec_host"), 2);
	host_stop(&a);
}
END_TEST

/* A newer host's, or a broken one: counted, the rest is given. */
START_TEST(rows_not_understood)
{
	owns(&a, "a");
	for (uint32_t i = 1; i <= 3; i++)
		host_up(&a, i, 1);
	WAIT_FOR(host_stats(&a).puts == 6);
	ask("UPDATE csipsec_sa SET attributes = '{\"tunnel\":1}' WHERE kind = 'Y' AND tunnel = 1");
	ask("UPDATE csipsec_sa SET attributes = 'x' WHERE kind = 'K' AND tunnel = 1002");
	ask("UPDATE csipsec_sa SET attributes = replace(attributes, '\"rule\"', "
	    "'\"later\":1,\"rule\"')"
	    " WHERE kind = 'Y' AND tunnel = 3");
	owns(&b, "b");
	ck_assert_uint_eq(b.n_rows, 4);
	ck_assert_uint_eq(host_stats(&b).malformed, 2);
	ck_assert_int_eq(b.read_status, 0);
	host_stop(&a);
	host_stop(&b);
}
END_TEST

/* More than may wait: what had no room is told, and comes when there is room. */
START_TEST(too_many)
{
	owns(&a, "a");
	kill(a.helper, SIGSTOP);
	host_many(&a, 17500);
	hosts_run(20);
	ck_assert_uint_gt(a.n_unshared, 500);
	ck_assert_uint_gt(host_stats(&a).unshared, 500);
	kill(a.helper, SIGCONT);
	WAIT_FOR(host_stats(&a).puts == 17500);
	WAIT_FOR(all_written(&a));
	ck_assert_uint_eq(host_stats(&a).unshared, 0);
	ck_assert_int_eq(ask("SELECT count(*) FROM csipsec_sa"), 17500);
	ck_assert_uint_eq(a.wants, 2);
	host_stop(&a);
}
END_TEST

/* ---- helpers ---- */

/* Killed at any instant: in the end there is what is up, and nothing else. */
START_TEST(helper_killed)
{
	uint32_t generation[20] = {0};

	srand(4711);
	owns(&a, "a");
	for (unsigned round = 0; round < 12; round++) {
		for (uint32_t i = 0; i < 20; i++) {
			if (generation[i])
				host_down(&a, i + 1, generation[i]);
			host_up(&a, i + 1, ++generation[i]);
		}
		hosts_run((unsigned)rand() % 30);
		host_kill_helper(&a);
		if (round % 2)
			hosts_run(5);
		host_helper(&a);
	}
	WAIT_FOR(all_written(&a) && a.there && host_stats(&a).unshared == 0);
	hosts_run(50);
	WAIT_FOR(all_written(&a));
	ck_assert_int_eq(ask("SELECT count(*) FROM csipsec_sa"), 40);
	ck_assert_int_eq(ask("SELECT count(*) FROM csipsec_sa WHERE generation = 12"), 40);
	ck_assert_int_eq(ask("SELECT epoch FROM csipsec_address"), 1);
	ck_assert_uint_eq(a.claims, 1); /* it was its own all the time */
	host_stop(&a);
}
END_TEST

/* Without a helper an SA that comes up could not be taken over; once for its tunnel. */
START_TEST(helper_gone)
{
	owns(&a, "a");
	host_up(&a, 1, 1);
	WAIT_FOR(host_stats(&a).puts == 2);
	host_kill_helper(&a);
	WAIT_FOR(!a.there);
	ck_assert_str_eq(a.away, "the helper of the shared store has ended");
	host_up(&a, 2, 1);
	host_up(&a, 2, 2);
	host_down(&a, 1, 1);
	ck_assert_uint_eq(a.n_unshared, 0); /* not from within the call */
	hosts_run(20);
	ck_assert_uint_eq(a.n_unshared, 1);
	ck_assert_uint_eq(a.unshared[0], 2);
	ck_assert_uint_eq(host_stats(&a).unshared, 2); /* K1002, Y2 */
	host_up(&a, 3, 1);
	ck_assert_uint_eq(host_stats(&a).unshared, 4);
	host_down(&a, 3, 1); /* nothing is there that somebody could take over */
	ck_assert_uint_eq(host_stats(&a).unshared, 2);
	host_helper(&a);
	WAIT_FOR(a.there && a.wants == 2 && all_written(&a));
	ck_assert_uint_eq(host_stats(&a).unshared, 0);
	ck_assert_int_eq(ask("SELECT count(*) FROM csipsec_sa WHERE tunnel % 1000 = 1"), 0);
	ck_assert_int_eq(ask("SELECT count(*) FROM csipsec_sa WHERE tunnel % 1000 = 2"), 4);
	host_stop(&a);
}
END_TEST

/* A helper that is no helper. */
START_TEST(garbage_from_helper)
{
	static const char garbage[] = "\x01\x63 what is this?";
	uint8_t packet[IKE_SHARED_MESSAGE_MAX];
	struct ike_shared_message m = {.kind = IKE_SH_LEAVE};
	struct cs_err err;
	int pair[2];
	size_t len;

	host_start(&a, "a", uri, VIP);
	host_arrive(&a);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		ck_assert_int_eq(ike_shared_connect(a.s, pair[0], &err), 0);
		m.address = a.address;
		ck_assert_int_eq(ike_shared_put_message(&m, packet, sizeof(packet), &len, NULL), 0);
		/* No message, and one that only the worker says. */
		ck_assert_int_gt(i ? send(pair[1], packet, len, 0)
				   : send(pair[1], garbage, sizeof(garbage), 0),
				 0);
		WAIT_FOR(host_stats(&a).malformed == i + 1);
		hosts_run(10);
		while (recv(pair[1], packet, sizeof(packet), MSG_DONTWAIT) > 0)
			;
		ck_assert_int_eq(recv(pair[1], packet, sizeof(packet), MSG_DONTWAIT), 0);
		close(pair[1]);
	}
	/* One that makes sense finds all as it should be. */
	host_helper(&a);
	WAIT_FOR(a.claims == 1 && a.reads == 1);
	ck_assert(a.claim.ours);
	host_stop(&a);
}
END_TEST

START_TEST(garbage_from_worker)
{
	int pair[2], status;
	pid_t pid;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	pid = fork();
	if (pid == 0) {
		struct ike_shared_options o = {uri, "a"};

		close(pair[0]);
		_exit(-ike_shared_serve(pair[1], &o, NULL));
	}
	close(pair[1]);
	ck_assert_int_eq(send(pair[0], "garbage", 7, 0), 7);
	waitpid(pid, &status, 0);
	ck_assert_int_eq(WEXITSTATUS(status), -CS_EPARSE);
	close(pair[0]);
}
END_TEST

/* ---- the other hosts' policy ---- */

START_TEST(policies)
{
	static const uint8_t one[POL_CONTENT_LEN] = {1}, two[POL_CONTENT_LEN] = {2};

	owns(&a, "a");
	ike_shared_policy(a.s, one);
	host_start(&b, "b", uri, "192.0.2.11");
	ike_shared_policy(b.s, one);
	host_helper(&b);
	hosts_run(3500);
	ck_assert_uint_eq(a.differs + b.differs, 0);
	ike_shared_policy(b.s, two);
	WAIT_FOR(a.differs == 1 && b.differs == 1);
	ck_assert_str_eq(a.differs_host, "b");
	ck_assert_str_eq(b.differs_host, "a");
	hosts_run(2500);
	ck_assert_uint_eq(a.differs + b.differs, 2);
	ike_shared_policy(a.s, two);
	hosts_run(1500);
	ike_shared_policy(b.s, one);
	WAIT_FOR(a.differs == 2 && b.differs == 2);
	host_stop(&a);
	host_stop(&b);
}
END_TEST

/* ---- files ---- */

static void mount_small(const char *at, const char *size)
{
	char options[32];

	ck_assert_int_eq(mkdir(at, 0755), 0);
	snprintf(options, sizeof(options), "size=%s", size);
	/* It goes with this process, whatever becomes of the test. */
	ck_assert_int_eq(unshare(CLONE_NEWNS | (geteuid() ? CLONE_NEWUSER : 0)), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount("small", at, "tmpfs", 0, options), 0);
}

START_TEST(disk_full)
{
	char small[96], filler[128];
	static const char block[4096];
	int fd;

	snprintf(small, sizeof(small), "%s/small", dir);
	snprintf(filler, sizeof(filler), "%s/filler", small);
	mount_small(small, "400k");
	snprintf(path, sizeof(path), "%s/shared.db", small);
	snprintf(uri, sizeof(uri), "sqlite:%s", path);
	owns(&a, "a");
	host_up(&a, 1, 1);
	WAIT_FOR(host_stats(&a).puts == 2);
	fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	while (write(fd, block, sizeof(block)) > 0)
		;
	close(fd);
	for (uint32_t i = 2; i <= 20; i++)
		host_up(&a, i, 1);
	WAIT_FOR(!a.there);
	ck_assert_ptr_nonnull(strstr(a.away, "full"));
	WAIT_FOR(a.n_unshared >= 1);
	unlink(filler);
	WAIT_FOR(a.there && host_stats(&a).unshared == 0 && all_written(&a));
	hosts_run(100);
	ck_assert_int_eq(ask("SELECT count(*) FROM csipsec_sa"), 40);
	ck_assert_uint_eq(a.claims, 1);
	host_stop(&a);
	ck_assert_int_eq(umount2(small, MNT_DETACH), 0);
}
END_TEST

static void spoil(void)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(write(fd, "no database ", 12), 12);
	close(fd);
}

/* A file that is none: told, and the daemon goes on; mended, all of it is put there. */
START_TEST(broken_file)
{
	char other[128];

	spoil();
	host_start(&a, "a", uri, VIP);
	host_arrive(&a);
	host_helper(&a);
	WAIT_FOR(a.reads == 1 && a.reachables == 1);
	ck_assert_int_lt(a.read_status, 0);
	ck_assert_ptr_nonnull(strstr(a.away, "not a database"));
	host_up(&a, 1, 1);
	WAIT_FOR(a.n_unshared == 1);
	ck_assert_uint_eq(a.claims, 0);
	unlink(path);
	WAIT_FOR(a.there && a.claims == 1 && all_written(&a) && host_stats(&a).puts == 2);
	ck_assert_uint_eq(host_stats(&a).unshared, 0);
	ck_assert_int_eq(ask("SELECT count(*) FROM csipsec_sa"), 2);
	/* Removed, or another one put in its place, while it is open. */
	unlink(path);
	WAIT_FOR(a.reachables == 4 && a.there && all_written(&a));
	WAIT_FOR(host_stats(&a).puts == 4);
	ck_assert_int_eq(ask("SELECT count(*) FROM csipsec_sa"), 2);
	ck_assert_int_eq(ask("SELECT epoch FROM csipsec_address WHERE owner = 'a'"), 2);
	snprintf(other, sizeof(other), "%s/other.db", dir);
	close(open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	ck_assert_int_eq(rename(other, path), 0);
	WAIT_FOR(a.reachables == 6 && a.there && all_written(&a));
	WAIT_FOR(host_stats(&a).puts == 6);
	ck_assert_int_eq(ask("SELECT epoch FROM csipsec_address WHERE owner = 'a'"), 3);
	host_stop(&a);
}
END_TEST

/* No store as the address comes: what it has is given when it is there. */
START_TEST(read_when_it_is_back)
{
	char there[96], aside[96];

	snprintf(there, sizeof(there), "%s/there", dir);
	snprintf(aside, sizeof(aside), "%s/aside", dir);
	ck_assert_int_eq(mkdir(there, 0755), 0);
	snprintf(path, sizeof(path), "%s/shared.db", there);
	snprintf(uri, sizeof(uri), "sqlite:%s", path);
	owns(&a, "a");
	host_up(&a, 1, 1);
	WAIT_FOR(host_stats(&a).puts == 2);
	host_stop(&a);
	ck_assert_int_eq(rename(there, aside), 0);
	host_start(&b, "b", uri, VIP);
	host_arrive(&b);
	host_helper(&b);
	WAIT_FOR(b.reads == 1 && b.reachables == 1);
	ck_assert_int_lt(b.read_status, 0);
	ck_assert_int_eq(rename(aside, there), 0);
	WAIT_FOR(b.rereads == 1 && b.reads == 2 && b.claims == 1);
	ck_assert_int_eq(b.read_status, 0);
	ck_assert_uint_eq(b.n_rows, 2);
	ck_assert(b.claim.ours);
	ck_assert_uint_eq(b.claim.epoch, 2);
	hosts_run(6000);
	ck_assert_uint_eq(b.reads, 2);
	host_stop(&b);
}
END_TEST

START_TEST(later_version)
{
	int status;

	owns(&a, "a");
	host_stop(&a);
	ask("UPDATE csipsec_shared SET version = 7");
	host_start(&a, "a", uri, VIP);
	host_helper(&a);
	waitpid(a.helper, &status, 0);
	a.helper = 0;
	ck_assert_int_eq(WEXITSTATUS(status), -CS_EUNSUPPORTED);
	/* Nothing untrue is told: it is not away, and there is none. */
	host_arrive(&a);
	WAIT_FOR(a.reads == 1);
	ck_assert_int_eq(a.read_status, CS_ENOTFOUND);
	host_up(&a, 1, 1);
	hosts_run(1200);
	ck_assert_uint_eq(a.reachables + a.n_unshared + a.claims, 0);
	ck_assert_uint_eq(a.reads, 1);
	host_stop(&a);
}
END_TEST

/* ---- what cannot ever work ---- */

static unsigned long fake_type;

int __real_statfs(const char *file, struct statfs *fs);
int __wrap_statfs(const char *file, struct statfs *fs);

int __wrap_statfs(const char *file, struct statfs *fs)
{
	int rc = __real_statfs(file, fs);

	if (rc == 0 && fake_type)
		fs->f_type = (__typeof__(fs->f_type))fake_type;
	return rc;
}

START_TEST(network_file_systems)
{
	static const struct {
		unsigned long type;
		const char *name;
	} refused[] = {{0x6969, "NFS"},       {0xff534d42, "CIFS"}, {0xfe534d42, "SMB"},
		       {0x01021997, "9p"},    {0x00c36400, "Ceph"}, {0x01161970, "GFS2"},
		       {0x7461636f, "OCFS2"}, {0x65735546, "FUSE"}, {0x5346414f, "AFS"}};
	struct ike_shared_options o = {uri, "a"};

	for (unsigned i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		struct cs_err err = {0};
		int pair[2];

		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		fake_type = refused[i].type;
		ck_assert_int_eq(ike_shared_serve(pair[1], &o, &err), CS_EUNSUPPORTED);
		ck_assert_msg(strstr(err.text, refused[i].name), "%s", err.text);
		ck_assert_int_ne(access(path, F_OK), 0);
		close(pair[0]);
		close(pair[1]);
	}
	ck_assert_ptr_null(ike_shared_network_fs(0xef53)); /* ext4 */
	fake_type = 0xef53;
	owns(&a, "a");
	host_stop(&a);
}
END_TEST

/* None at all: what comes and goes does so without a word; one that is there later has it all. */
START_TEST(absent)
{
	host_start(&a, "a", uri, VIP);
	host_arrive(&a);
	ike_shared_absent(a.s);
	ck_assert_uint_eq(a.reads, 0); /* not from within the call */
	hosts_run(20);
	ck_assert_uint_eq(a.reads, 1);
	ck_assert_int_eq(a.read_status, CS_ENOTFOUND);
	host_up(&a, 1, 1);
	host_leave(&a);
	host_arrive(&a);
	hosts_run(20);
	ck_assert_uint_eq(a.reads, 2);
	hosts_run(1200);
	ck_assert_uint_eq(a.reachables + a.n_unshared + a.claims, 0);
	ck_assert_uint_eq(a.reads, 2);
	host_helper(&a);
	WAIT_FOR(a.claims == 1 && host_stats(&a).puts == 2);
	host_stop(&a);
}
END_TEST

START_TEST(uris)
{
	static const char *const bad[] = {"",           "sqlite:", "sqlite:shared.db", "sqlite:/",
					  "sqlite:/x/", "mysql:x", "/var/lib/x",       "SQLITE:/x"};
	char longest[IKE_SHARED_URI + 1];
	struct cs_err err;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_msg(ike_shared_check_uri(bad[i], &err) == CS_EINVAL, "%s", bad[i]);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	memcpy(longest, "sqlite:/", 8);
	ck_assert_int_eq(ike_shared_check_uri(longest, &err), CS_EINVAL);
	ck_assert_int_eq(ike_shared_check_uri("sqlite:/var/lib/csipsec/shared.db", &err), 0);
#ifdef HAVE_LIBPQ
	ck_assert_int_eq(ike_shared_check_uri("postgresql:host=a,b dbname='x y'", &err), 0);
	ck_assert_int_eq(ike_shared_check_uri("postgresql://a,b/x?sslmode=verify-full", &err), 0);
	ck_assert_int_eq(ike_shared_check_uri("postgresql:hosst=a", &err), CS_EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "hosst"));
	ck_assert_int_eq(ike_shared_check_uri("postgresql:host=a password=top secret", &err),
			 CS_EINVAL);
	ck_assert_ptr_null(strstr(err.text, "secret"));
#else
	ck_assert_int_eq(ike_shared_check_uri("postgresql:host=a", &err), CS_EUNSUPPORTED);
#endif
}
END_TEST

/* ---- names ---- */

#define NAMERS 12

/* Many at once, in a directory that none has used yet, agree on one. */
static void name_at_once(const char *at, char name[static IKE_SHARED_HOST])
{
	char names[NAMERS][IKE_SHARED_HOST];
	int got[2], go[2];

	ck_assert_int_eq(mkdir(at, 0755), 0);
	ck_assert_int_eq(pipe(got), 0);
	ck_assert_int_eq(pipe(go), 0);
	for (unsigned i = 0; i < NAMERS; i++)
		if (fork() == 0) {
			char mine[IKE_SHARED_HOST] = "";

			close(go[1]);
			(void)!read(go[0], mine, 1); /* until it is closed */
			iked_shared_host(at, "TCPIP", mine, NULL);
			_exit(write(got[1], mine, sizeof(mine)) != sizeof(mine));
		}
	close(go[1]);
	for (unsigned i = 0; i < NAMERS; i++) {
		ck_assert_int_eq(read(got[0], names[i], IKE_SHARED_HOST), IKE_SHARED_HOST);
		ck_assert_str_eq(names[i], names[0]);
		ck_assert_int_gt(wait(NULL), 0);
	}
	close(go[0]);
	close(got[0]);
	close(got[1]);
	strcpy(name, names[0]);
}

START_TEST(host_names)
{
	char first[IKE_SHARED_HOST], second[IKE_SHARED_HOST], other[96], file[128];
	struct cs_err err;

	ck_assert_int_eq(iked_shared_host(dir, "TCPIP", first, &err), 0);
	ck_assert_int_eq(iked_shared_host(dir, "TCPIP", second, &err), 0);
	ck_assert_str_eq(first, second);
	ck_assert_ptr_nonnull(strstr(first, "/TCPIP#"));
	ck_assert_uint_eq(strlen(strchr(first, '#')), 9);
	for (unsigned i = 0; i < 20; i++) {
		snprintf(other, sizeof(other), "%s/other%u", dir, i);
		name_at_once(other, second);
		ck_assert_str_ne(second, first);
	}
	/* One that somebody has spoilt is not taken for another host's. */
	snprintf(file, sizeof(file), "%s/host-id", other);
	ck_assert_int_eq(truncate(file, 3), 0);
	ck_assert_int_eq(iked_shared_host(other, "TCPIP", second, &err), CS_EPARSE);
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
	tcase_add_test(t, many_claim);
	tcase_add_test(t, fence_holds);
	tcase_add_test(t, late_write);
	tcase_add_test(t, to_and_fro);
	tcase_add_test(t, worker_restarts);
	tcase_add_test(t, owner_lets_go);
	tcase_add_test(t, owner_was_there_and_went);
	tcase_add_test(t, owner_is_silent);
	tcase_add_test(t, left_and_back);
	tcase_add_test(t, found_at_the_start);
	tcase_add_test(t, used_and_expired);
	tcase_add_test(t, hosts_of_old);
	tcase_add_test(t, rows_not_understood);
	tcase_add_test(t, too_many);
	tcase_add_test(t, helper_killed);
	tcase_add_test(t, helper_gone);
	tcase_add_test(t, garbage_from_helper);
	tcase_add_test(t, garbage_from_worker);
	tcase_add_test(t, policies);
	tcase_add_test(t, disk_full);
	tcase_add_test(t, broken_file);
	tcase_add_test(t, read_when_it_is_back);
	tcase_add_test(t, later_version);
	tcase_add_test(t, network_file_systems);
	tcase_add_test(t, absent);
	tcase_add_test(t, uris);
	tcase_add_test(t, host_names);
	suite_add_tcase(s, t);
	return run_suite(s);
}
