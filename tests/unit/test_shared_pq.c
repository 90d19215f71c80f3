/*
 * The shared store in a real PostgreSQL: a primary and a streaming standby, killed, frozen,
 * promoted, by roles with few rights and over TLS.
 */
#include <check.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "iked/iked.h"
#include "tests/unit/postgres.h"
#include "tests/unit/run_suite.h"
#include "tests/unit/shared_host.h"
#include "tests/unit/shared_race.h"

#define VIP "192.0.2.10"

static char dir[64], uri[400], uri_b[400];
static struct postgres primary, standby;
static struct host a, b;

static void setup(void)
{
	strcpy(dir, "/tmp/csipsec-sharedpq-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chmod(dir, 0755), 0);
	postgres_new(&primary, dir, "primary");
	snprintf(uri, sizeof(uri), "postgresql:host=%s port=%u user=postgres dbname=postgres",
		 primary.dir, primary.port);
	standby.pid = 0;
}

static void teardown(void)
{
	char command[96];

	postgres_kill(&standby);
	postgres_kill(&primary);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

/* Host a has the primary beside it, host b the standby, and each has it first in its list. */
static void with_standby(void)
{
	postgres_standby(&standby, &primary, dir, "standby");
	snprintf(uri, sizeof(uri), "postgresql:host=%s,%s port=%u,%u user=postgres dbname=postgres",
		 primary.dir, standby.dir, primary.port, standby.port);
	snprintf(uri_b, sizeof(uri_b),
		 "postgresql:host=%s,%s port=%u,%u user=postgres dbname=postgres", standby.dir,
		 primary.dir, standby.port, primary.port);
}

static void owns(struct host *h, const char *name, const char *where)
{
	host_start(h, name, where, VIP);
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

static bool replicated(long long rows)
{
	return postgres_ask(&standby, "SELECT count(*) FROM csipsec_sa") == rows;
}

/* ---- with one server ---- */

START_TEST(takeover)
{
	owns(&a, "a", uri);
	ck_assert_uint_eq(a.claim.epoch, 1);
	host_up(&a, 1, 1);
	host_up(&a, 2, 5);
	WAIT_FOR(host_stats(&a).puts == 4);
	host_used(&a, 2, 5, 4711);
	WAIT_FOR(postgres_ask(&primary, "SELECT used FROM csipsec_sa WHERE kind = 'Y'"
					" AND tunnel = 2") == 4711);
	owns(&b, "b", uri);
	ck_assert_uint_eq(b.claim.epoch, 2);
	ck_assert_uint_eq(b.n_rows, 4);
	ck_assert_uint_eq(b.rows[2].tunnel, 2);
	ck_assert_int_eq(b.rows[2].used, 4711);
	WAIT_FOR(a.claims == 2);
	ck_assert(!a.claim.ours);
	host_up(&b, 1, 1);
	for (unsigned i = 0; i < b.n_rows; i++)
		ike_shared_settled(b.s, b.rows[i].ref);
	WAIT_FOR(host_stats(&b).drops == 4 && host_stats(&b).puts == 2);
	ck_assert_int_eq(postgres_ask(&primary, "SELECT count(*) FROM csipsec_sa WHERE host = 'b'"),
			 2);
	ck_assert_int_eq(postgres_ask(&primary, "SELECT count(*) FROM csipsec_sa"), 2);
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

/* An operator made the tables; iked may use them and nothing else. */
START_TEST(few_rights)
{
	char few[400];

	owns(&a, "a", uri);
	host_stop(&a);
	postgres_do(&primary, "CREATE ROLE iked LOGIN");
	postgres_do(&primary,
		    "REVOKE ALL ON SCHEMA public FROM public; GRANT USAGE ON SCHEMA public"
		    " TO iked");
	snprintf(few, sizeof(few), "postgresql:host=%s port=%u user=iked dbname=postgres",
		 primary.dir, primary.port);
	host_start(&b, "b", few, VIP);
	host_arrive(&b);
	host_helper(&b);
	WAIT_FOR(b.reachables == 1);
	ck_assert_ptr_nonnull(strstr(b.away, "permission denied"));
	postgres_do(&primary, "GRANT SELECT, INSERT, UPDATE, DELETE ON csipsec_shared,"
			      " csipsec_address, csipsec_sa, csipsec_host TO iked");
	WAIT_FOR(b.there && b.claims == 1);
	ck_assert(b.claim.ours);
	host_up(&b, 1, 1);
	WAIT_FOR(host_stats(&b).puts == 2);
	host_down(&b, 1, 1);
	WAIT_FOR(host_stats(&b).drops == 2);
	host_stop(&b);
}
END_TEST

START_TEST(later_version)
{
	int status;

	owns(&a, "a", uri);
	host_stop(&a);
	postgres_do(&primary, "UPDATE csipsec_shared SET version = 7");
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

/* ---- a server that dies ---- */

/* Killed in the middle of writes, again and again: in the end there is what is up. */
START_TEST(server_killed)
{
	uint32_t generation[20] = {0};

	srand(1);
	owns(&a, "a", uri);
	for (unsigned round = 0; round < 4; round++) {
		for (uint32_t i = 0; i < 20; i++) {
			if (generation[i])
				host_down(&a, i + 1, generation[i]);
			host_up(&a, i + 1, ++generation[i]);
		}
		hosts_run((unsigned)rand() % 40);
		postgres_kill(&primary);
		WAIT_FOR(!a.there);
		/* While it is away life goes on, and each that could not be taken over is told. */
		host_up(&a, 30 + round, 1);
		WAIT_FOR(a.n_unshared > 0 && a.unshared[a.n_unshared - 1] == 30 + round);
		postgres_start(&primary);
		WAIT_FOR(a.there && host_stats(&a).unshared == 0 && all_written(&a));
		host_forget(&a);
	}
	hosts_run(50);
	ck_assert_int_eq(postgres_ask(&primary, "SELECT count(*) FROM csipsec_sa"), 48);
	ck_assert_int_eq(
		postgres_ask(&primary, "SELECT count(*) FROM csipsec_sa WHERE generation = 4"), 40);
	ck_assert_int_eq(postgres_ask(&primary, "SELECT epoch FROM csipsec_address"), 1);
	host_stop(&a);
}
END_TEST

/* It is down for a moment as the address comes: what it has is given when it is there. */
START_TEST(read_when_it_is_back)
{
	owns(&a, "a", uri);
	host_up(&a, 1, 1);
	WAIT_FOR(host_stats(&a).puts == 2);
	host_start(&b, "b", uri, VIP);
	host_helper(&b);
	WAIT_FOR(b.there);
	postgres_kill(&primary);
	host_arrive(&b);
	WAIT_FOR(b.reads == 1);
	ck_assert_int_lt(b.read_status, 0);
	host_up(&b, 7, 1);
	postgres_start(&primary);
	WAIT_FOR(b.rereads == 1 && b.reads == 2 && b.claims == 1);
	ck_assert_uint_eq(b.n_rows, 2); /* not its own */
	ck_assert(b.claim.ours);
	WAIT_FOR(all_written(&b));
	ck_assert_int_eq(postgres_ask(&primary, "SELECT count(*) FROM csipsec_sa WHERE host = 'b'"),
			 2);
	host_stop(&a);
	host_stop(&b);
}
END_TEST

/* The server does not answer, and the address comes and goes: only its last arrival is read. */
START_TEST(flapping)
{
	owns(&a, "a", uri);
	postgres_freeze(&primary, true);
	for (unsigned i = 0; i < 5000; i++) {
		host_leave(&a);
		host_arrive(&a);
		if (i % 50 == 0)
			hosts_turn();
	}
	hosts_run(1000);
	host_forget(&a);
	postgres_freeze(&primary, false);
	WAIT_FOR(a.reads == 1 && a.claims == 1);
	ck_assert_int_eq(a.read_status, 0);
	ck_assert(a.claim.ours);
	ck_assert_uint_eq(a.reachables, 0);
	hosts_run(500);
	ck_assert_uint_eq(a.reads, 1);
	host_stop(&a);
}
END_TEST

/* Its owner gives an address up that is here, too; and then one dies. */
START_TEST(vacant)
{
	owns(&a, "a", uri);
	owns(&b, "b", uri);
	host_up(&b, 1, 1);
	WAIT_FOR(a.claims == 2 && host_stats(&b).puts == 2);
	host_forget(&a);
	host_leave(&b);
	WAIT_FOR(a.vacants == 1 && a.claims == 1 && a.reads == 1);
	ck_assert(a.claim.ours);
	ck_assert_uint_eq(a.claim.epoch, 3);
	ck_assert_uint_eq(a.n_rows, 2);
	host_arrive(&b);
	WAIT_FOR(a.claims == 2);
	ck_assert(!a.claim.ours);
	host_forget(&a);
	host_kill_helper(&b);
	WAIT_FOR(a.vacants == 1 && a.claims == 1);
	ck_assert_str_eq(a.vacant_owner, "b");
	ck_assert_uint_eq(a.claim.epoch, 5);
	host_stop(&a);
	host_stop(&b);
}
END_TEST

/* Slow: nothing waits for it, and when it answers within its time nobody is told. */
START_TEST(server_slow)
{
	owns(&a, "a", uri);
	host_up(&a, 1, 1);
	WAIT_FOR(host_stats(&a).puts == 2);
	host_forget(&a);
	postgres_freeze(&primary, true);
	for (uint32_t i = 2; i <= 40; i++) {
		host_up(&a, i, 1);
		hosts_run(50);
	}
	hosts_run(3000);
	ck_assert_uint_lt(hosts_longest_ms(), 100);
	ck_assert_uint_eq(a.reachables, 0);
	postgres_freeze(&primary, false);
	WAIT_FOR(host_stats(&a).puts == 80 && all_written(&a));
	ck_assert_uint_eq(a.n_unshared, 0);
	ck_assert_int_eq(postgres_ask(&primary, "SELECT count(*) FROM csipsec_sa"), 80);
	host_stop(&a);
}
END_TEST

/* Slower than its time: it counts as away, and as there when it answers again. */
START_TEST(server_stuck)
{
	owns(&a, "a", uri);
	postgres_freeze(&primary, true);
	host_up(&a, 1, 1);
	WAIT_FOR(!a.there);
	ck_assert_str_eq(a.away, "PostgreSQL has not answered for 10 s");
	WAIT_FOR(a.n_unshared == 1);
	postgres_freeze(&primary, false);
	WAIT_FOR(a.there && host_stats(&a).unshared == 0 && all_written(&a));
	ck_assert_int_eq(postgres_ask(&primary, "SELECT count(*) FROM csipsec_sa"), 2);
	host_stop(&a);
}
END_TEST

/* ---- with a replica ---- */

/* The primary dies with host a; b takes over from what is beside it, and claims when it can. */
START_TEST(primary_dies_with_the_owner)
{
	with_standby();
	owns(&a, "a", uri);
	host_up(&a, 1, 1);
	host_up(&a, 2, 1);
	WAIT_FOR(host_stats(&a).puts == 4 && replicated(4));
	host_start(&b, "b", uri_b, VIP);
	host_helper(&b);
	WAIT_FOR(b.there);
	postgres_kill(&primary);
	host_kill_helper(&a);
	host_arrive(&b);
	WAIT_FOR(b.reads == 1);
	ck_assert_int_eq(b.read_status, 0);
	ck_assert_uint_eq(b.n_rows, 4);
	ck_assert_uint_eq(b.claims, 0);
	WAIT_FOR(!b.there);
	/* Not promoted: it works on, and says so. */
	host_up(&b, 1, 1);
	WAIT_FOR(b.n_unshared == 1);
	postgres_promote(&standby);
	WAIT_FOR(b.claims == 1 && b.there && host_stats(&b).puts == 2);
	ck_assert(b.claim.ours);
	ck_assert_uint_eq(b.claim.epoch, 2);
	ck_assert_uint_eq(host_stats(&b).unshared, 0);
	for (unsigned i = 0; i < b.n_rows; i++)
		ike_shared_settled(b.s, b.rows[i].ref);
	WAIT_FOR(host_stats(&b).drops == 4);
	ck_assert_int_eq(postgres_ask(&standby, "SELECT count(*) FROM csipsec_sa"), 2);
	host_stop(&a);
	host_stop(&b);
}
END_TEST

/* While b could not claim, c did: b has lost it when the store is back, though its helper died. */
START_TEST(claimed_meanwhile)
{
	with_standby();
	owns(&a, "a", uri);
	WAIT_FOR(postgres_ask(&standby, "SELECT epoch FROM csipsec_address") == 1);
	host_start(&b, "b", uri_b, VIP);
	host_helper(&b);
	WAIT_FOR(b.there);
	postgres_kill(&primary);
	host_arrive(&b);
	WAIT_FOR(b.reads == 1 && !b.there);
	host_kill_helper(&b);
	hosts_run(20);
	host_kill_helper(&a);
	postgres_start(&primary);
	postgres_do(&primary, "UPDATE csipsec_address SET owner = 'c', epoch = 2");
	host_helper(&b);
	WAIT_FOR(b.claims == 1);
	ck_assert(!b.claim.ours);
	ck_assert_str_eq(b.claim.owner, "c");
	ck_assert_int_eq(postgres_ask(&primary, "SELECT epoch FROM csipsec_address"), 2);
	/* It comes anew: that is a claim of its own right. */
	host_arrive(&b);
	WAIT_FOR(b.claims == 2);
	ck_assert(b.claim.ours);
	ck_assert_uint_eq(b.claim.epoch, 3);
	host_stop(&a);
	host_stop(&b);
}
END_TEST

/* A replica was promoted that had not heard of our claim: it is made again, and all is put. */
START_TEST(store_went_back)
{
	owns(&a, "a", uri);
	host_up(&a, 1, 1);
	WAIT_FOR(host_stats(&a).puts == 2);
	owns(&b, "b", uri);
	host_up(&b, 1, 1);
	WAIT_FOR(host_stats(&b).puts == 2 && a.claims == 2);
	postgres_do(&primary, "UPDATE csipsec_address SET owner = 'a', epoch = 1");
	postgres_do(&primary, "DELETE FROM csipsec_sa WHERE host = 'b'");
	WAIT_FOR(b.claims == 2 && host_stats(&b).puts == 4);
	ck_assert(b.claim.ours);
	ck_assert_uint_eq(b.claim.epoch, 3);
	/* And all of it lost. */
	postgres_do(&primary, "DELETE FROM csipsec_address");
	WAIT_FOR(b.claims == 3 && host_stats(&b).puts == 6);
	ck_assert(b.claim.ours);
	ck_assert_uint_eq(b.claim.epoch, 4);
	/* And made nobody's, by hand. */
	postgres_do(&primary, "UPDATE csipsec_address SET owner = '', epoch = 0");
	WAIT_FOR(b.claims == 4);
	ck_assert(b.claim.ours);
	ck_assert_uint_eq(b.claim.epoch, 5);
	host_stop(&a);
	host_stop(&b);
}
END_TEST

/* ---- TLS ---- */

static void certificate(const char *name)
{
	char key[160], cert[160];
	const char *const argv[] = {"/usr/bin/openssl",
				    "req",
				    "-x509",
				    "-newkey",
				    "ec",
				    "-pkeyopt",
				    "ec_paramgen_curve:P-256",
				    "-nodes",
				    "-days",
				    "2",
				    "-subj",
				    "/CN=localhost",
				    "-keyout",
				    key,
				    "-out",
				    cert,
				    NULL};

	snprintf(key, sizeof(key), "%s/data/%s.key", primary.dir, name);
	snprintf(cert, sizeof(cert), "%s/data/%s.crt", primary.dir, name);
	ck_assert_int_eq(postgres_run(argv), 0);
	chmod(cert, 0644);
}

START_TEST(tls)
{
	char good[400], bad[400], copy[2][160];

	certificate("server");
	certificate("other");
	for (unsigned i = 0; i < 2; i++) {
		const char *const argv[] = {"/bin/cp", copy[0], copy[1], NULL};

		snprintf(copy[0], sizeof(copy[0]), "%s/data/%s.crt", primary.dir,
			 i ? "other" : "server");
		snprintf(copy[1], sizeof(copy[1]), "%s/%s.crt", primary.dir,
			 i ? "other" : "server");
		ck_assert_int_eq(postgres_run(argv), 0);
	}
	chmod(primary.dir, 0755);
	postgres_configure(&primary, "ssl = on\n");
	postgres_kill(&primary);
	postgres_start(&primary);
	snprintf(good, sizeof(good),
		 "postgresql://postgres@127.0.0.1:%u/postgres?sslmode=verify-ca&sslrootcert=%s/"
		 "server.crt",
		 primary.port, primary.dir);
	snprintf(bad, sizeof(bad),
		 "postgresql://postgres@127.0.0.1:%u/postgres?sslmode=verify-ca&sslrootcert=%s/"
		 "other.crt",
		 primary.port, primary.dir);
	owns(&a, "a", good);
	ck_assert_int_ge(postgres_ask(&primary, "SELECT count(*) FROM pg_stat_ssl s JOIN"
						" pg_stat_activity a ON s.pid = a.pid WHERE ssl AND"
						" application_name = 'iked'"),
			 1);
	host_start(&b, "b", bad, VIP);
	host_arrive(&b);
	host_helper(&b);
	WAIT_FOR(b.reachables == 1 && b.reads == 1);
	ck_assert(!b.there);
	ck_assert_msg(strstr(b.away, "certificate verify failed"), "%s", b.away);
	host_stop(&a);
	host_stop(&b);
}
END_TEST

/* ---- as iked starts it ---- */

/* What /proc says of a process, "" when it says nothing. */
static const char *status_of(pid_t pid, const char *key)
{
	static char line[128];
	char path[32];
	FILE *f;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	while (!found && fgets(line, sizeof(line), f))
		found = strncmp(line, key, strlen(key)) == 0;
	fclose(f);
	return found ? line + strlen(key) : "";
}

static void put_config(const char *path, const char *store, bool vipa)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fprintf(f, "IkeConfig\n{\n%s%s\n%s}\n", store ? " SharedStore " : "", store ? store : "",
		vipa ? " DynamicVipa " VIP "\n" : "");
	fclose(f);
	chmod(path, 0600);
}

/* The helper ends for good, and the worker is told nothing that is not so. */
static void expect_absent(const char *config, const char *store, bool vipa)
{
	int status;

	put_config(config, store, vipa);
	host_start(&a, "a", "", VIP);
	host_arrive(&a);
	host_helper_of(&a, config);
	waitpid(a.helper, &status, 0);
	a.helper = 0;
	ck_assert_int_eq(WEXITSTATUS(status), CS_EXIT_ABSENT);
	WAIT_FOR(a.reads == 1);
	ck_assert_int_eq(a.read_status, CS_ENOTFOUND);
	ck_assert_uint_eq(a.reachables, 0);
	host_stop(&a);
}

/* Without a right, and under the filter: over TLS to a name, with a file for the password. */
START_TEST(as_a_process)
{
	char state[160], config[160], where[500], passwords[200];
	const struct passwd *nobody = getpwnam("nobody");
	struct stat host_id;
	FILE *f;

	if (geteuid() != 0)
		return; /* only root can become another user */
	snprintf(state, sizeof(state), "%s/state", dir);
	setenv("CSIPSEC_STATEDIR", state, 1);
	ck_assert_int_eq(mkdir(state, 0755), 0);
	strcat(state, "/TCPIP");
	ck_assert_int_eq(mkdir(state, 0755), 0);
	strcat(state, "/iked");
	ck_assert_int_eq(mkdir(state, 0700), 0);
	ck_assert_int_eq(chown(state, nobody->pw_uid, nobody->pw_gid), 0);
	snprintf(passwords, sizeof(passwords), "%s/passwords", state);
	f = fopen(passwords, "w");
	fputs("*:*:*:iked:sesame\n", f);
	fclose(f);
	ck_assert_int_eq(chown(passwords, nobody->pw_uid, nobody->pw_gid), 0);
	chmod(passwords, 0600);
	certificate("server");
	postgres_configure(&primary, "ssl = on\n");
	postgres_hba(&primary, "hostssl all iked 127.0.0.1/32 scram-sha-256\n"
			       "local all postgres trust\n");
	postgres_do(&primary, "CREATE ROLE iked LOGIN PASSWORD 'sesame'");
	postgres_do(&primary, "GRANT CREATE ON SCHEMA public TO iked");
	postgres_kill(&primary);
	postgres_start(&primary);
	snprintf(where, sizeof(where),
		 "postgresql:host=localhost port=%u user=iked dbname=postgres sslmode=require "
		 "passfile=%s",
		 primary.port, passwords);
	snprintf(config, sizeof(config), "%s/iked.conf", dir);
	put_config(config, where, true);
	host_start(&a, "a", "", VIP);
	host_arrive(&a);
	host_helper_of(&a, config);
	WAIT_FOR(a.claims == 1 && a.reads == 1);
	ck_assert(a.claim.ours && a.there);
	ck_assert_ptr_nonnull(strstr(a.claim.owner, "/TCPIP#"));
	host_up(&a, 1, 1);
	WAIT_FOR(host_stats(&a).puts == 2);
	ck_assert_uint_eq(strtoull(status_of(a.helper, "CapPrm:"), NULL, 16), 0);
	ck_assert_int_eq(strtol(status_of(a.helper, "NoNewPrivs:"), NULL, 10), 1);
	ck_assert_uint_eq(strtoul(status_of(a.helper, "Uid:"), NULL, 10), nobody->pw_uid);
	snprintf(passwords, sizeof(passwords), "%s/host-id", state);
	ck_assert_int_eq(stat(passwords, &host_id), 0);
	ck_assert_uint_eq(host_id.st_uid, nobody->pw_uid); /* root has made nothing there */
#ifdef HAVE_SECCOMP
	ck_assert_int_eq(strtol(status_of(a.helper, "Seccomp:"), NULL, 10), 2);
#endif
	/* It comes back by itself, too, which takes all of the way again. */
	postgres_kill(&primary);
	WAIT_FOR(!a.there);
	postgres_start(&primary);
	WAIT_FOR(a.there && a.wants == 2 && all_written(&a));
	host_stop(&a);
	/* Without a store there is no helper, and the parent does not start it again. */
	expect_absent(config, NULL, true);
	expect_absent(config, "sqlite:here.db", true);
	expect_absent(config, where, false);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("shared store in PostgreSQL");
	TCase *t = tcase_create("one");

	tcase_set_timeout(t, 90);
	tcase_add_unchecked_fixture(t, postgres_template, postgres_template_remove);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, takeover);
	tcase_add_test(t, many_claim);
	tcase_add_test(t, fence_holds);
	tcase_add_test(t, few_rights);
	tcase_add_test(t, later_version);
	tcase_add_test(t, store_went_back);
	tcase_add_test(t, tls);
	tcase_add_test(t, as_a_process);
	tcase_add_test(t, server_killed);
	tcase_add_test(t, read_when_it_is_back);
	tcase_add_test(t, flapping);
	tcase_add_test(t, vacant);
	tcase_add_test(t, server_slow);
	tcase_add_test(t, server_stuck);
	tcase_add_test(t, primary_dies_with_the_owner);
	tcase_add_test(t, claimed_meanwhile);
	suite_add_tcase(s, t);
	return run_suite(s);
}
