/* The secret arena: zeroed, wiped, bounded, not dumped. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "iked/crypto.h"

#define CHUNK (256u * 1024)

static bool all_are(uint8_t value, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != value)
			return false;
	return true;
}

static bool all_zero(const uint8_t *p, size_t len)
{
	return all_are(0, p, len);
}

START_TEST(test_not_set_up)
{
	ck_assert_ptr_null(ike_arena_get(16));
	ck_assert(!ike_arena_locked());
	ck_assert_int_eq(ike_arena_init(CHUNK - 1, NULL), CS_EINVAL);
	ck_assert_ptr_null(ike_arena_get(16));
}
END_TEST

START_TEST(test_sizes)
{
	ck_assert_int_eq(ike_arena_init(4 * CHUNK, NULL), 0);
	ck_assert_ptr_null(ike_arena_get(0));
	ck_assert_ptr_null(ike_arena_get(IKE_ARENA_MAX + 1));
	ck_assert_ptr_null(ike_arena_get(SIZE_MAX));
	for (size_t size = 1; size <= IKE_ARENA_MAX; size++) {
		uint8_t *p = ike_arena_get(size);

		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq((uintptr_t)p % 16, 0);
		ck_assert(all_zero(p, size));
		memset(p, 0xee, size);
		ike_arena_put(p, size);
		ck_assert_uint_eq(ike_arena_used(), 0);
	}
	ike_arena_put(NULL, 10);
	ck_assert_uint_eq(ike_arena_used(), 0);
}
END_TEST

/* What was there does not survive a put: the next owner of the slot sees zeros. */
START_TEST(test_wiped)
{
	uint8_t *p, *again;

	ck_assert_int_eq(ike_arena_init(CHUNK, NULL), 0);
	p = ike_arena_get(200);
	memset(p, 0xee, 200);
	ike_arena_put(p, 200);
	again = ike_arena_get(200);
	ck_assert_ptr_eq(again, p);
	ck_assert(all_zero(again, 200));
	ike_arena_put(again, 200);
}
END_TEST

START_TEST(test_bounded)
{
	enum { SIZE = 160, MAX = 2 * CHUNK / SIZE + 1 };
	static uint8_t *slots[MAX];
	unsigned n, again;

	ck_assert_int_eq(ike_arena_init(2 * CHUNK, NULL), 0);
	for (n = 0; n < MAX && (slots[n] = ike_arena_get(SIZE)) != NULL; n++)
		memset(slots[n], (int)n, SIZE);
	ck_assert_uint_gt(n, 2 * CHUNK / SIZE * 9 / 10);
	ck_assert_uint_le(ike_arena_used(), 2 * CHUNK);
	/* No two slots share a byte. */
	for (unsigned i = 0; i < n; i++)
		ck_assert(all_are((uint8_t)i, slots[i], SIZE));
	for (unsigned i = 0; i < n; i++)
		ike_arena_put(slots[i], SIZE);
	ck_assert_uint_eq(ike_arena_used(), 0);
	for (again = 0; again < MAX && ike_arena_get(SIZE) != NULL;)
		again++;
	ck_assert_uint_eq(again, n);
	/* A wider bound makes room. */
	ck_assert_int_eq(ike_arena_init(3 * CHUNK, NULL), 0);
	ck_assert_ptr_nonnull(ike_arena_get(SIZE));
}
END_TEST

/* Any order of sizes: the bookkeeping comes back to nothing. */
START_TEST(test_churn)
{
	static struct {
		uint8_t *p;
		size_t size;
	} live[500];
	unsigned seed = 12345;

	ck_assert_int_eq(ike_arena_init(16 * CHUNK, NULL), 0);
	for (unsigned i = 0; i < 50000; i++) {
		unsigned at;

		seed = seed * 1103515245u + 12345u;
		at = seed / 65536 % 500;
		if (live[at].p) {
			ck_assert(all_are((uint8_t)at, live[at].p, live[at].size));
			ike_arena_put(live[at].p, live[at].size);
			live[at].p = NULL;
			continue;
		}
		live[at].size = seed / 7 % IKE_ARENA_MAX + 1;
		live[at].p = ike_arena_get(live[at].size);
		ck_assert_ptr_nonnull(live[at].p);
		memset(live[at].p, (int)at, live[at].size);
	}
	for (unsigned i = 0; i < 500; i++)
		if (live[i].p)
			ike_arena_put(live[i].p, live[i].size);
	ck_assert_uint_eq(ike_arena_used(), 0);
}
END_TEST

START_TEST(test_child_sees_nothing)
{
	uint8_t *p;
	int status;
	pid_t pid;

	ck_assert_int_eq(ike_arena_init(CHUNK, NULL), 0);
	p = ike_arena_get(64);
	memset(p, 0xee, 64);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(all_zero(p, 64) ? 0 : 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	ike_arena_put(p, 64);
}
END_TEST

START_TEST(test_lock_is_best_effort)
{
	struct rlimit none = {0, 0};

	ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &none), 0);
	ck_assert_int_eq(ike_arena_init(CHUNK, NULL), 0);
	/* Root may lock all the same. */
	ck_assert(geteuid() == 0 || !ike_arena_locked());
	ck_assert_ptr_nonnull(ike_arena_get(64));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("arena");
	TCase *c = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_test(c, test_not_set_up);
	tcase_add_test(c, test_sizes);
	tcase_add_test(c, test_wiped);
	tcase_add_test(c, test_bounded);
	tcase_add_test(c, test_churn);
	tcase_add_test(c, test_child_sees_nothing);
	tcase_add_test(c, test_lock_is_best_effort);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	/* The arena is one a process: each test needs its own. */
	srunner_set_fork_status(r, CK_FORK);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
