/* What keeps daemons apart: locks. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/netns_lock.h"

static char run_dir[] = "/tmp/csipsec-daemon-XXXXXX";

static void make_run_dir(void)
{
	ck_assert_ptr_nonnull(mkdtemp(run_dir));
	setenv("CSIPSEC_RUNDIR", run_dir, 1);
}

static void remove_run_dir(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", run_dir);
	ck_assert_int_eq(system(command), 0);
}

/* ---- one of a kind in a network namespace ---- */

START_TEST(test_netns_lock)
{
	int first, second, other;
	struct cs_err err;

	ck_assert_int_eq(cs_netns_lock("iked", "ONE", &first, &err), 0);
	ck_assert_int_eq(cs_netns_lock("iked", "TWO", &second, &err), CS_EEXIST);
	ck_assert_ptr_nonnull(strstr(err.text, "the iked of stack ONE serves"));
	ck_assert_int_eq(cs_netns_lock("pagent", "TWO", &other, &err), 0);
	close(first);
	ck_assert_int_eq(cs_netns_lock("iked", "TWO", &second, &err), 0);
	close(second);
	close(other);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("daemons");
	TCase *t = tcase_create("locks");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, make_run_dir, remove_run_dir);
	tcase_add_test(t, test_netns_lock);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
