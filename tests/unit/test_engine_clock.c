/*
 * The negotiation engine when the wall clock is set, by an hour forward or back: while SAs are up,
 * while nobody is there, and in between with all that was kept.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/pair_restart.h"
#include "tests/unit/run_suite.h"

static const int64_t steps[] = {3600, -3600, 86400, -86400};

static int first_p2(void *arg, const struct ike_p2_info *info)
{
	*(struct ike_p2_info *)arg = *info;
	return 1;
}

static int first_p1(void *arg, const struct ike_p1_info *info)
{
	*(struct ike_p1_info *)arg = *info;
	return 1;
}

static struct ike_p2_info p2_of(const struct side *s)
{
	struct ike_p2_info info;

	ck_assert_int_eq(ike_engine_each_p2(s->e, first_p2, &info), 1);
	return info;
}

static struct ike_p1_info p1_of(const struct side *s)
{
	struct ike_p1_info info;

	ck_assert_int_eq(ike_engine_each_p1(s->e, first_p1, &info), 1);
	return info;
}

/* What is shown has moved along with the clock. */
static void expect_moved(const struct side *s, const struct ike_p1_info *p1,
			 const struct ike_p2_info *p2, int64_t by)
{
	struct ike_p1_info k = p1_of(s);
	struct ike_p2_info y = p2_of(s);

	ck_assert_int_eq(k.established, p1->established + by);
	ck_assert_int_eq(k.expires, p1->expires + by);
	ck_assert_int_eq(y.installed, p2->installed + by);
	ck_assert_int_eq(y.expires, p2->expires + by);
	if (p2->vpn_expires)
		ck_assert_int_eq(y.vpn_expires, p2->vpn_expires + by);
	ck_assert_int_ge(y.refresh, y.installed + y.lifetime * 8 / 10 - 2);
	ck_assert_int_le(y.refresh, y.installed + y.lifetime * 95 / 100 + 2);
	ck_assert_int_eq(s->kept[0].expires, k.expires);
}

/* Of an hour that has begun: no refresh before its time, then one. */
static void expect_refresh_on_time(struct pair *p)
{
	pair_wait(p, 2800000);
	ck_assert_uint_eq(p2_of(&p->side[0]).generation, 1);
	ck_assert(pair_mirrored(p));
	pair_wait(p, 600000);
	ck_assert_uint_eq(p2_of(&p->side[0]).generation, 2);
	pair_wait(p, 100000);
	ck_assert(pair_mirrored(p));
}

START_TEST(test_set_while_up)
{
	struct pair_policy o = {.vpn_life = 2000};
	struct pair *p = pair_up(_i < 4 ? NULL : &o);
	struct side *s = &p->side[0];
	struct ike_p1_info p1 = p1_of(s);
	struct ike_p2_info p2 = p2_of(s);
	int64_t by = steps[_i % 4];

	p->now.wall += by;
	pair_wait(p, 1);
	ike_engine_tick(s->e, p->now);
	expect_moved(s, &p1, &p2, by);
	/* The cache has it, too. */
	ck_assert_uint_eq(s->n_records[IKE_REC_P2_MOVED], 1);
	ck_assert_ptr_nonnull(strstr(s->log, "the clock was set by"));
	expect_refresh_on_time(p);
	pair_free(p);
}
END_TEST

/* Small steps are a clock's own, however many. */
START_TEST(test_slewed)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct ike_p2_info p2 = p2_of(s);

	for (unsigned i = 0; i < 100; i++) {
		p->now.wall += 1;
		pair_wait(p, 1000);
		ike_engine_tick(s->e, p->now);
	}
	ck_assert_int_eq(p2_of(s).expires, p2.expires);
	ck_assert_uint_eq(s->n_records[IKE_REC_P2_MOVED], 0);
	pair_free(p);
}
END_TEST

/* The next engine is told by how much, and all goes on as it was. */
START_TEST(test_set_while_dead)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct ike_p1_info p1 = p1_of(s);
	struct ike_p2_info p2 = p2_of(s);
	struct ike_restored done;
	struct pair_cache c;

	pair_crash(s, &c);
	p->now.wall += steps[_i];
	s->clock_seen = true;
	done = pair_restore(s, &c);
	ck_assert_uint_eq(done.p1, 1);
	ck_assert_uint_eq(done.p2, 1);
	pair_run(p);
	expect_moved(s, &p1, &p2, steps[_i]);
	ck_assert_uint_eq(s->n_records[IKE_REC_P2_MOVED], 1);
	expect_refresh_on_time(p);
	pair_free(p);
}
END_TEST

/* The cache may have lost rows: it gets those of what is up, and of nothing else. */
START_TEST(test_cache_again)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];

	ike_engine_cache_again(s->e, p->now);
	ck_assert_uint_eq(s->n_records[IKE_REC_P2_MOVED], 1);
	p->side[1].later = true;
	ck_assert(!ike_engine_refresh_p2(s->e, 2, p->now, NULL));
	pair_run(p);
	ike_engine_cache_again(s->e, p->now);
	ck_assert_uint_eq(s->n_records[IKE_REC_P2_MOVED], 2);
	pair_free(p);
}
END_TEST

/*
 * Nobody knows, as all of it was stopped.  A pair that the kernel has is not at its end, whatever
 * the clock says: it is refreshed at once.  Nor does any live longer than it may.
 */
START_TEST(test_set_unseen)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[0];
	struct ike_p2_info p2;
	struct pair_cache c;

	pair_crash(s, &c);
	s->n_kept = 0;
	p->now.wall += steps[_i];
	ck_assert_uint_eq(pair_restore(s, &c).p2, 1);
	p2 = p2_of(s);
	if (steps[_i] > 0) {
		pair_wait(p, 40000);
		ck_assert_msg(pair_mirrored(p), "%s", s->log);
		ck_assert_uint_ge(p2_of(s).generation, 2);
	} else {
		ck_assert_int_le(p2.refresh, p->now.wall + p2.lifetime);
	}
	ck_assert(pair_mirrored(p));
	pair_free(p);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("engine, clock");
	TCase *t = tcase_create("clock");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_set_while_up, 0, 8);
	tcase_add_test(t, test_slewed);
	tcase_add_loop_test(t, test_set_while_dead, 0, 4);
	tcase_add_test(t, test_cache_again);
	tcase_add_loop_test(t, test_set_unseen, 0, 4);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	if (!pair_crypto())
		return EXIT_FAILURE;
	return run_suite(suite());
}
