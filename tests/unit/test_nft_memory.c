/*
 * Every allocation of a ruleset fails once: there is none then, and nothing leaks.  The linker
 * sends the library's allocations through here.
 */
#include <check.h>
#include <stdlib.h>

#include "policy/policy.h"
#include "tests/unit/run_suite.h"
#include "xfrm/kernel.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);

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

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return fails() ? NULL : __real_reallocarray(p, n, size);
}

#define N 24

/* As many rules as fall apart by each of their fields. */
static void make_rules(struct pol_filter_rule rules[static N],
		       struct pol_service services[static N], struct cs_range ends[static 2 * N])
{
	for (unsigned i = 0; i < N; i++) {
		struct cs_addr a = {AF_INET, {10, 0, 0, (uint8_t)i}};

		ends[2 * i] = cs_range_single(&a);
		a.b[1] = (uint8_t)i;
		ends[2 * i + 1] = cs_range_single(&a);
		services[i] =
			(struct pol_service){.proto = i % 2 ? 6 : 17,
					     .src_port = {0, 65535},
					     .dst_port = {(uint16_t)(i + 1), (uint16_t)(i + 1)},
					     .type = {-1, -1},
					     .code = {-1, -1}};
		rules[i] = (struct pol_filter_rule){.name = "rule",
						    .src = &ends[2 * i],
						    .dst = &ends[2 * i + 1],
						    .n_src = 1,
						    .n_dst = 1,
						    .services = &services[i],
						    .n_services = 1,
						    .verdict = POL_PERMIT};
	}
}

START_TEST(test_every_allocation)
{
	static const struct xf_marking marking = {.shift = XF_MARK_SHIFT_DEFAULT};
	struct pol_filter_rule rules[N];
	struct pol_service services[N];
	struct cs_range ends[2 * N];
	struct pol_policy policy = {.generation = 1, .rules = rules, .n_rules = N};
	unsigned n = 1;

	make_rules(rules, services, ends);
	for (;; n++) {
		char *text;

		left = n;
		text = xf_ruleset(&marking, &policy, 0);
		if (left > 0) { /* there were fewer than n */
			left = 0;
			ck_assert_ptr_nonnull(text);
			free(text);
			break;
		}
		ck_assert_msg(text == NULL, "allocation %u", n);
	}
	ck_assert_uint_gt(n, 500);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nft memory");
	TCase *tc = tcase_create("memory");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_every_allocation);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
