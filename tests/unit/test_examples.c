/* The examples: what is given to users to begin with does what it says. */
#include <check.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "policy_text.h"
#include "tests/unit/run_suite.h"

#define EXAMPLES TESTDATA "/../examples/"

/* There is nothing to find fault with. */
START_TEST(test_no_finding)
{
	struct findings found;
	glob_t files;

	ck_assert_int_eq(glob(EXAMPLES "*.policy", 0, NULL, &files), 0);
	ck_assert_uint_ge(files.gl_pathc, 3);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		struct pol_policy *p = compile_file(files.gl_pathv[i], "TCPIP", &found);

		ck_assert_msg(p && found.n == 0, "%s:%u: %s", files.gl_pathv[i], found.v[0].line,
			      found.v[0].text);
		pol_unref(p);
	}
	globfree(&files);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("examples");
	TCase *tc = tcase_create("examples");

	tcase_add_test(tc, test_no_finding);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
