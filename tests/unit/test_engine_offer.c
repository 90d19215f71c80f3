/*
 * What won last time is offered again, alone, whatever the policy lists first: in Main, Aggressive
 * and Quick Mode, also when another engine has taken over from what was kept and from the SA cache.
 * What the policy does not allow any more is not, and the log says so.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"
#include "tests/unit/pair_restart.h"
#include "tests/unit/run_suite.h"

#define FIRST_DATA  "Transport|AES_CBC KeyLength 256|ESP HMAC_SHA2_256_128"
#define SECOND_DATA "Transport|AES_CBC KeyLength 128|ESP HMAC_SHA1"
#define FIRST_KE    "AES_CBC KeyLength 256|SHA2_256|Group19"
#define SECOND_KE   "AES_CBC KeyLength 128|SHA1|Group19"

static const char *const modes[] = {"Main", "Aggressive"};

/* The worker's end leaves phase 1 as well, that of all of iked the SA cache and the kernel alone.
 */
enum { NOTHING_ENDS, WORKER_ENDS, ALL_ENDS };

static int newest_p1(void *arg, const struct ike_p1_info *info)
{
	struct ike_p1_info *newest = arg;

	if (info->state == IKE_P1_DONE && info->generation >= newest->generation)
		*newest = *info;
	return 0;
}

static int newest_p2(void *arg, const struct ike_p2_info *info)
{
	struct ike_p2_info *newest = arg;

	if (info->state == IKE_P2_DONE && info->generation >= newest->generation)
		*newest = *info;
	return 0;
}

static struct ike_p1_info p1_of(const struct side *s)
{
	struct ike_p1_info info = {0};

	ike_engine_each_p1(s->e, newest_p1, &info);
	ck_assert_uint_ne(info.generation, 0);
	return info;
}

static struct ike_p2_info p2_of(const struct side *s)
{
	struct ike_p2_info info = {0};

	ike_engine_each_p2(s->e, newest_p2, &info);
	ck_assert_uint_ne(info.generation, 0);
	return info;
}

static void expect_bits(const struct pair *p, unsigned generation, unsigned bits, int end)
{
	struct ike_p2_info p2 = p2_of(&p->side[0]);

	ck_assert_uint_eq(p2.generation, generation);
	ck_assert_uint_eq(p2.suite.cipher->key_bits, bits);
	if (end != ALL_ENDS)
		ck_assert_uint_eq(p1_of(&p->side[0]).suite.cipher->key_bits, bits);
	ck_assert(pair_mirrored(p));
}

/* The peer has begun, with what our policy lists second. */
static struct pair *begun_with_second(const char *mode)
{
	struct pair_policy mine = {.ke_offers = FIRST_KE ";" SECOND_KE,
				   .data_offers = FIRST_DATA ";" SECOND_DATA,
				   .how_to_initiate = mode,
				   .how_to_respond = mode};
	struct pair_policy theirs = {.ke_offers = SECOND_KE ";" FIRST_KE,
				     .data_offers = SECOND_DATA ";" FIRST_DATA,
				     .how_to_initiate = mode,
				     .how_to_respond = mode};
	struct pair *p = pair_new(&mine, &theirs);

	pair_acquire(p, 1);
	pair_wait(p, 10000);
	expect_bits(p, 1, 128, NOTHING_ENDS);
	return p;
}

static void end(struct side *s, int what)
{
	struct pair_cache c;

	if (what == NOTHING_ENDS)
		return;
	pair_crash(s, &c);
	if (what == ALL_ENDS)
		s->n_kept = 0;
	ck_assert_uint_eq(pair_restore(s, &c).p2, 1);
}

static void refresh(struct pair *p, int what)
{
	if (what != ALL_ENDS) {
		ck_assert(!ike_engine_refresh_p1(p->side[0].e, p1_of(&p->side[0]).tunnel, p->now,
						 NULL));
		pair_run(p);
		pair_wait(p, 1000);
		ck_assert_uint_eq(p1_of(&p->side[0]).generation, 2);
	}
	ck_assert(!ike_engine_refresh_p2(p->side[0].e, p2_of(&p->side[0]).tunnel, p->now, NULL));
	pair_run(p);
	pair_wait(p, 90000);
}

START_TEST(test_offered_again)
{
	struct pair *p = begun_with_second(modes[_i % 2]);

	end(&p->side[0], _i / 2);
	refresh(p, _i / 2);
	expect_bits(p, 2, 128, _i / 2);
	ck_assert(!pair_said(&p->side[0], "no longer allows"));
	pair_free(p);
}
END_TEST

/* A policy that changes although rules stay the same: only a test can do that. */
static void allow_first_only(struct side *s)
{
	((struct pol_dynvpn_action *)s->policy->rules[0].vpn)->n_offers = 1;
	((struct pol_ke_action *)s->policy->ke_rules[0].action)->n_offers = 1;
}

START_TEST(test_overruled)
{
	struct pair *p = begun_with_second(modes[_i % 2]);
	struct side *s = &p->side[0];
	const char *line;

	end(s, _i / 2);
	allow_first_only(s);
	s->log_len = 0;
	s->log[0] = 0;
	refresh(p, _i / 2);
	expect_bits(p, 2, 256, _i / 2);
	line = strstr(s->log, "no longer allows what was agreed before");
	ck_assert_msg(line != NULL, "%s", s->log);
	/* Of each phase. */
	if (_i / 2 != ALL_ENDS)
		ck_assert_ptr_nonnull(strstr(line + 1, "no longer allows what was agreed before"));
	pair_free(p);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("engine, the offer that won");
	TCase *t = tcase_create("offer");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_offered_again, 0, 6);
	tcase_add_loop_test(t, test_overruled, 0, 6);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	if (!pair_crypto())
		return EXIT_FAILURE;
	return run_suite(suite());
}
