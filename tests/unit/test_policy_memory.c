/*
 * Every allocation of a compilation fails once: the policy is refused for lack of memory, never
 * accepted in part, and nothing leaks. The linker sends the library's allocations through here.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"
#include "tests/unit/run_suite.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strdup(const char *text);

static unsigned left; /* allocations until one fails; 0: none does */

static bool fails(void)
{
	return left > 0 && --left == 0;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return fails() ? NULL : __real_realloc(p, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

static void ignore(void *arg, const struct pol_diag *diag)
{
	(void)arg;
	(void)diag;
}

static const char *const files[] = {"branch.policy", "pagent.conf", "host-to-host.policy",
				    "ttls-everything.policy"};

START_TEST(test_every_allocation)
{
	char path[512];
	unsigned n = 1;

	snprintf(path, sizeof(path), TESTDATA "/data/policy/%s", files[_i]);
	for (;; n++) {
		struct pol_policy *policy = NULL;
		struct cs_err err = {0};
		int rc;

		left = n;
		rc = pol_compile(path, "TCPIP", ignore, NULL, &policy, &err);
		if (left > 0) { /* there were fewer than n */
			left = 0;
			ck_assert_int_eq(rc, 0);
			ck_assert_ptr_nonnull(policy);
			pol_unref(policy);
			break;
		}
		ck_assert_msg(rc == CS_ENOMEM, "%s, allocation %u: %d %s", files[_i], n, rc,
			      err.text);
		ck_assert_ptr_null(policy);
	}
	ck_assert_uint_gt(n, 50);
}
END_TEST

START_TEST(test_ike_config)
{
	unsigned n = 1;

	for (;; n++) {
		struct pol_ike_config config = {.retries = 77};
		struct cs_err err = {0};
		int rc;

		left = n;
		rc = pol_ike_config(TESTDATA "/data/policy/iked.conf", false, ignore, NULL, &config,
				    &err);
		if (left > 0) {
			left = 0;
			ck_assert_int_eq(rc, 0);
			break;
		}
		ck_assert_msg(rc == CS_ENOMEM, "allocation %u: %d %s", n, rc, err.text);
		ck_assert_uint_eq(config.retries, 77);
	}
	ck_assert_uint_gt(n, 20);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("policy memory");
	TCase *tc = tcase_create("memory");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_every_allocation, 0, 4);
	tcase_add_test(tc, test_ike_config);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
