/* The engine's lists, tables, keyed hash and timers. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "iked/table.h"
#include "iked/timer.h"
#include "tests/unit/run_suite.h"

/* Vectors of the SipHash paper's reference (key 00..0f, messages 00, 00 01, ...). */
START_TEST(test_siphash)
{
	static const uint64_t expected[] = {0x726fdb47dd0e0e31u, 0x74f839c593dc67fdu,
					    0x0d6c8009d9a94f5au};
	uint8_t key[16], data[15];

	for (unsigned i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)i;
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(ike_siphash(key, data, i), expected[i]);
	ck_assert_uint_eq(ike_siphash(key, data, 15), 0xa129ca6149be45e5u);
}
END_TEST

struct item {
	struct ike_node node;
	struct ike_list list;
	struct ike_timer timer;
	unsigned value;
};

static bool match(const struct ike_node *node, const void *key)
{
	return IKE_OF(node, struct item, node)->value == *(const unsigned *)key;
}

START_TEST(test_table_grows)
{
	enum { N = 5000 };
	struct item *items = calloc(N, sizeof(*items));
	struct ike_table t;

	ck_assert_int_eq(ike_table_init(&t), 0);
	for (unsigned i = 0; i < N; i++) {
		items[i].value = i;
		ike_table_add(&t, &items[i].node, i % 997 * 0x9e3779b97f4a7c15u);
	}
	ck_assert_uint_eq(t.count, N);
	ck_assert_uint_ge(t.n_buckets, N / 2);
	for (unsigned i = 0; i < N; i += 2) {
		ike_table_remove(&t, &items[i].node);
		ike_table_remove(&t, &items[i].node); /* harmless */
	}
	for (unsigned i = 0; i < N; i++) {
		struct ike_node *n = ike_table_find(&t, i % 997 * 0x9e3779b97f4a7c15u, match, &i);

		ck_assert_ptr_eq(n, i % 2 ? &items[i].node : NULL);
	}
	ck_assert_uint_eq(t.count, N / 2);
	ike_table_free(&t);
	free(items);
}
END_TEST

START_TEST(test_list)
{
	struct ike_list head;
	struct item a, b;

	ike_list_init(&head);
	ike_list_init(&a.list);
	ike_list_remove(&a.list);
	ck_assert(ike_list_empty(&head));
	ike_list_add_head(&head, &a.list);
	ike_list_add_tail(&head, &b.list);
	ck_assert_ptr_eq(head.next, &a.list);
	ck_assert_ptr_eq(head.prev, &b.list);
	ike_list_remove(&a.list);
	ck_assert_ptr_eq(head.next, &b.list);
	ike_list_remove(&b.list);
	ck_assert(ike_list_empty(&head));
}
END_TEST

static void nothing(struct ike_engine *e, struct ike_timer *t)
{
	(void)e;
	(void)t;
}

/* Random sets, moves and stops; what is due comes out in order. */
START_TEST(test_timers)
{
	enum { N = 1000 };
	struct item *items = calloc(N, sizeof(*items));
	struct ike_timers ts = {0};
	struct ike_timer *t;
	uint64_t last = 0;
	unsigned out = 0, in = 0;

	ck_assert_uint_eq(ike_timer_next(&ts), UINT64_MAX);
	for (unsigned i = 0; i < N; i++)
		ck_assert_int_eq(ike_timer_make(&ts, &items[i].timer, nothing), 0);
	for (unsigned i = 0; i < 10 * N; i++) {
		struct ike_timer *any = &items[rand() % N].timer;

		if (rand() % 4)
			ike_timer_set(&ts, any, (uint64_t)rand() % 10000);
		else
			ike_timer_stop(&ts, any);
	}
	for (unsigned i = 0; i < N; i++)
		in += items[i].timer.slot != 0;
	ck_assert_ptr_null(ike_timer_due(&ts, ike_timer_next(&ts) - 1));
	while ((t = ike_timer_due(&ts, 9999))) {
		ck_assert_uint_ge(t->at, last);
		last = t->at;
		out++;
	}
	ck_assert_uint_eq(out, in);
	for (unsigned i = 0; i < N; i++)
		ike_timer_unmake(&ts, &items[i].timer);
	ck_assert_uint_eq(ts.made, 0);
	ike_timers_free(&ts);
	free(items);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("table");
	TCase *t = tcase_create("all");

	tcase_add_test(t, test_siphash);
	tcase_add_test(t, test_table_grows);
	tcase_add_test(t, test_list);
	tcase_add_test(t, test_timers);
	suite_add_tcase(s, t);
	return run_suite(s);
}
