/*
 * How a worker comes by its policy: real store, real work threads, and an engine that gets it.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "iked/iked.h"
#include "tests/unit/engine_pair.h"
#include "tests/unit/run_suite.h"

#define PATIENCE_MS 20000

static char dir[] = "/tmp/csipsec-load-XXXXXX";
static char state[64];
static uv_loop_t loop;
static struct pair *pair;
static struct ike_pk_pool *pool;
static struct iked_policy *policy;

static struct {
	unsigned n;
	uint64_t rounds[8];
	int status;
	char text[256];
} loaded;

static void on_pk(void *arg, struct ike_pk_job *job)
{
	(void)arg;
	(void)job;
}

static void on_loaded(void *arg, uint64_t round, int status, const struct cs_err *err)
{
	(void)arg;
	ck_assert_uint_lt(loaded.n, 8);
	loaded.rounds[loaded.n++] = round;
	loaded.status = status;
	snprintf(loaded.text, sizeof(loaded.text), "%s", status ? err->text : "");
}

static void setup(void)
{
	struct iked_policy_env env = {.loop = &loop, .stack = "STACK", .loaded = on_loaded};
	struct cs_err err;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	setenv("CSIPSEC_STATEDIR", dir, 1);
	snprintf(state, sizeof(state), "%s/STACK", dir);
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	pair = pair_new(NULL, NULL);
	ck_assert_int_eq(ike_pk_pool_new(&loop, on_pk, NULL, &pool, &err), 0);
	env.engine = pair->side[0].e;
	env.pk = pool;
	ck_assert_int_eq(iked_policy_new(&env, &policy, &err), 0);
}

static void do_nothing(void *arg)
{
	(void)arg;
}

static void teardown(void)
{
	unsigned n = loaded.n;
	char command[64];

	iked_policy_stop(policy);
	ike_pk_pool_stop(pool, do_nothing, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	ck_assert_uint_eq(loaded.n, n); /* what ran then tells nobody */
	iked_policy_free(policy);
	ike_pk_pool_free(pool);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
	pair_free(pair);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}

/* Puts a policy in force that differs from the one before by its key exchange rule's key. */
static void put(const char *key)
{
	struct pair_policy o = {.key = key};
	struct pol_policy *p = pair_make_policy(&o, 0);
	struct pol_store *store;
	struct cs_err err;

	ck_assert_msg(pol_store_open(state, true, &store, &err) == 0, "%s", err.text);
	ck_assert_msg(pol_store_put(store, p, &err) == 0, "%s", err.text);
	pol_store_close(store);
	pol_unref(p);
}

static uint64_t in_force(void)
{
	uint64_t generation;
	int64_t installed;
	unsigned rules;

	iked_policy_in_force(policy, &generation, &installed, &rules);
	ck_assert_uint_eq(rules, generation ? 1 : 0);
	return generation;
}

static void wait_for_loads(unsigned n)
{
	uint64_t end = uv_hrtime() / 1000000 + PATIENCE_MS;

	while (loaded.n < n) {
		uv_run(&loop, UV_RUN_NOWAIT);
		ck_assert_msg(uv_hrtime() / 1000000 < end, "%u loads in time, not %u", loaded.n, n);
	}
}

/* Does the engine negotiate by what the store has? The peer's key is the default one. */
static bool agrees(void)
{
	unsigned up = (unsigned)pair_stats(pair, 0)->p1_up;

	pair_acquire(pair, 0);
	return pair_stats(pair, 0)->p1_up > up;
}

/* ---- tests ---- */

START_TEST(test_first)
{
	put("a-good-secret");
	iked_policy_first(policy);
	ck_assert_uint_eq(in_force(), 1);
	ck_assert(agrees());
}
END_TEST

/* Nobody tells that there is one now. */
START_TEST(test_comes_later)
{
	iked_policy_first(policy);
	ck_assert_uint_eq(in_force(), 0);
	put("a-good-secret");
	wait_for_loads(1);
	ck_assert_uint_eq(in_force(), 1);
}
END_TEST

/* The call does not load: the loop turns meanwhile, and the engine has the old policy. */
START_TEST(test_reload)
{
	put("another-secret");
	iked_policy_first(policy);
	put("a-good-secret");
	ck_assert_uint_eq(iked_policy_reload(policy), 1);
	ck_assert_uint_eq(in_force(), 1);
	ck_assert_uint_eq(loaded.n, 0);
	wait_for_loads(1);
	ck_assert_uint_eq(loaded.rounds[0], 1);
	ck_assert_int_eq(loaded.status, 0);
	ck_assert_uint_eq(in_force(), 2);
	ck_assert(agrees());
	/* The same again is no other. */
	iked_policy_reload(policy);
	wait_for_loads(2);
	ck_assert_int_eq(loaded.status, 0);
	ck_assert_uint_eq(in_force(), 2);
}
END_TEST

/* What other hosts see of the policy tells nothing of its keys. */
START_TEST(test_digest)
{
	uint8_t first[POL_CONTENT_LEN];

	ck_assert_ptr_null(iked_policy_digest(policy));
	put("another-secret");
	iked_policy_first(policy);
	memcpy(first, iked_policy_digest(policy), sizeof(first));
	put("a-good-secret");
	iked_policy_reload(policy);
	wait_for_loads(1);
	ck_assert_uint_eq(in_force(), 2);
	ck_assert_mem_eq(iked_policy_digest(policy), first, sizeof(first));
}
END_TEST

/* A store that was made anew counts from 1 again. */
START_TEST(test_new_store)
{
	char command[96];

	put("another-secret");
	iked_policy_first(policy);
	snprintf(command, sizeof(command), "rm -r %s", state);
	ck_assert_int_eq(system(command), 0);
	put("a-good-secret");
	iked_policy_reload(policy);
	wait_for_loads(1);
	ck_assert_int_eq(loaded.status, 0);
	ck_assert_uint_eq(in_force(), 1);
	ck_assert(agrees());
}
END_TEST

/* What changes during a load is not missed, and however many ask, one more load is enough. */
START_TEST(test_change_during_load)
{
	put("one-secret");
	iked_policy_first(policy);
	put("two-secrets");
	ck_assert_uint_eq(iked_policy_reload(policy), 1);
	put("three-secrets");
	ck_assert_uint_eq(iked_policy_reload(policy), 2);
	put("a-good-secret");
	ck_assert_uint_eq(iked_policy_reload(policy), 2);
	wait_for_loads(2);
	ck_assert_uint_eq(loaded.rounds[0], 1);
	ck_assert_uint_eq(loaded.rounds[1], 2);
	ck_assert_uint_eq(in_force(), 4);
	ck_assert(agrees());
	for (int i = 0; i < 100; i++)
		uv_run(&loop, UV_RUN_NOWAIT);
	ck_assert_uint_eq(loaded.n, 2);
}
END_TEST

/* A store that cannot be read: who asked hears why, and what is in force stays. */
START_TEST(test_unreadable)
{
	char path[80];
	int fd;

	put("a-good-secret");
	iked_policy_first(policy);
	snprintf(path, sizeof(path), "%s/policy.db", state);
	fd = open(path, O_WRONLY | O_TRUNC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "this is no database", 19), 19);
	close(fd);
	iked_policy_reload(policy);
	wait_for_loads(1);
	ck_assert_int_eq(loaded.status, CS_ESTORE);
	ck_assert_msg(strstr(loaded.text, "policy.db") != NULL, "%s", loaded.text);
	ck_assert_uint_eq(in_force(), 1);
	ck_assert(agrees());
}
END_TEST

/* The end comes while a load runs: teardown looks. */
START_TEST(test_stop_during_load)
{
	put("one-secret");
	iked_policy_first(policy);
	put("a-good-secret");
	iked_policy_reload(policy);
	iked_policy_reload(policy);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("iked, policy");
	TCase *t = tcase_create("loads");

	if (!pair_crypto())
		return EXIT_FAILURE;
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_first);
	tcase_add_test(t, test_comes_later);
	tcase_add_test(t, test_reload);
	tcase_add_test(t, test_digest);
	tcase_add_test(t, test_new_store);
	tcase_add_test(t, test_change_during_load);
	tcase_add_test(t, test_unreadable);
	tcase_add_test(t, test_stop_during_load);
	suite_add_tcase(s, t);
	return run_suite(s);
}
