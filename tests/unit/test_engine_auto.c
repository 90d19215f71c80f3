/* The negotiation engine: tunnels that are activated by themselves, and time conditions. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/engine_pair.h"
#include "tests/unit/pair_restart.h"
#include "tests/unit/run_suite.h"

#define MINUTE_MS 60000u
#define HOUR_MS   (60u * MINUTE_MS)

static const struct pair_policy autos = {.local_rule = true, .auto_activate = true};

static int keep(void *arg, const struct ike_p2_info *info)
{
	*(struct ike_p2_info *)arg = *info;
	return 0;
}

static uint32_t tunnel_of(struct pair *p, unsigned i)
{
	struct ike_p2_info info = {0};

	ike_engine_each_p2(p->side[i].e, keep, &info);
	return info.tunnel;
}

static unsigned lines(const struct side *s, const char *text)
{
	unsigned n = 0;

	for (const char *at = s->log; (at = strstr(at, text)); at++)
		n++;
	return n;
}

/* One tunnel, whichever, the same on both sides. */
static bool is_up(struct pair *p)
{
	for (unsigned i = 0; i < 2; i++)
		if (pair_stats(p, i)->p2_live != 1 || pair_installed(&p->side[i]) != 2)
			return false;
	return pair_mirrored(p);
}

static bool drop_all(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	(void)p;
	(void)from;
	(void)data;
	(void)len;
	return false;
}

static void give_policy(struct pair *p, unsigned i, const struct pair_policy *o)
{
	struct pol_policy *policy = pair_make_policy(o, i);

	ike_engine_policy(p->side[i].e, policy, p->now);
	pol_unref(p->side[i].policy);
	p->side[i].policy = policy;
}

/* ---- AutoActivate ---- */

START_TEST(test_at_policy)
{
	struct pair *p = pair_new(&autos, NULL);
	struct ike_p2_info info;
	struct cs_err err;
	uint32_t y;

	pair_wait(p, 1000);
	ck_assert(is_up(p));
	ike_engine_each_p2(p->side[0].e, keep, &info);
	ck_assert_int_eq(info.activation, IKE_ACT_AUTO);
	ck_assert_str_eq(info.local_rule, "ByHand");
	/* Once is enough. */
	pair_wait(p, 10 * MINUTE_MS);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_up, 1);

	/* By command it stays down, until a policy comes into force. */
	ck_assert_int_eq(ike_engine_deactivate_p2(p->side[0].e, tunnel_of(p, 0), p->now, &err), 0);
	pair_wait(p, HOUR_MS);
	pair_expect_nothing(p);
	give_policy(p, 0, &autos);
	pair_wait(p, 1000);
	ck_assert(is_up(p));

	/* With phase 1, and until it is activated by command. */
	ck_assert_int_eq(ike_engine_deactivate_p1(p->side[0].e, 1, p->now, &err), 0);
	pair_wait(p, HOUR_MS);
	pair_expect_nothing(p);
	ck_assert_int_eq(ike_engine_activate(p->side[0].e, "ByHand", p->now, &y, &err), 0);
	pair_wait(p, 1000);
	ck_assert(is_up(p));
	ike_engine_each_p2(p->side[0].e, keep, &info);
	ck_assert_int_eq(info.activation, IKE_ACT_USER);

	/* Then it is the rule's again: what the peer ends comes back. */
	pair_wait(p, 2 * MINUTE_MS);
	y = tunnel_of(p, 1);
	ck_assert_int_eq(ike_engine_deactivate_p2(p->side[1].e, y, p->now, &err), 0);
	pair_run(p);
	pair_expect_nothing(p);
	pair_wait(p, 2000);
	ck_assert(is_up(p));
	pair_free(p);
}
END_TEST

START_TEST(test_rule_gone)
{
	static const struct pair_policy plain = {.local_rule = true};
	struct pair *p = pair_new(&autos, NULL);
	struct cs_err err;

	pair_wait(p, 1000);
	give_policy(p, 0, &plain);
	ck_assert_int_eq(ike_engine_deactivate_p2(p->side[1].e, tunnel_of(p, 1), p->now, &err), 0);
	pair_wait(p, HOUR_MS);
	pair_expect_nothing(p);
	pair_free(p);
}
END_TEST

/* What packets began is the rule's, once it is activated. */
START_TEST(test_adopts)
{
	static const struct pair_policy plain = {.local_rule = true};
	struct pair *p = pair_new(&plain, NULL);
	struct ike_p2_info info;
	struct cs_err err;
	uint32_t y;

	pair_acquire(p, 0);
	ck_assert(is_up(p));
	ike_engine_each_p2(p->side[0].e, keep, &info);
	ck_assert_str_eq(info.local_rule, "");
	ck_assert_int_eq(ike_engine_activate(p->side[0].e, "ByHand", p->now, &y, &err), CS_EEXIST);
	ck_assert_uint_eq(y, info.tunnel);
	ike_engine_each_p2(p->side[0].e, keep, &info);
	ck_assert_str_eq(info.local_rule, "ByHand");
	pair_free(p);
}
END_TEST

/* The peer is not there for three hours: tries in pauses that grow to five minutes, one line. */
START_TEST(test_retries)
{
	struct pair *p = pair_new(&autos, NULL);
	uint64_t tries;

	p->filter = drop_all;
	pair_wait(p, 3 * HOUR_MS);
	tries = pair_stats(p, 0)->p1_initiated;
	/* Each takes 254 s to give up. */
	ck_assert_msg(tries >= 15 && tries <= 40, "%u tries", (unsigned)tries);
	ck_assert_uint_eq(lines(&p->side[0], "LocalDynVpnRule ByHand is not active"), 1);
	p->filter = NULL;
	pair_wait(p, 8 * MINUTE_MS);
	ck_assert(is_up(p));
	ck_assert_uint_eq(lines(&p->side[0], "LocalDynVpnRule ByHand is active now, by tunnel Y"),
			  1);
	pair_free(p);
}
END_TEST

/* What was up for long begins anew at once, with short pauses, and says that it is not up; a
 * policy, too. */
START_TEST(test_fails_again)
{
	struct pair *p = pair_new(&autos, NULL);
	uint64_t tries;
	struct cs_err err;

	p->filter = drop_all;
	pair_wait(p, HOUR_MS);
	p->filter = NULL;
	pair_wait(p, 10 * MINUTE_MS);
	ck_assert(is_up(p));
	ck_assert_int_eq(ike_engine_deactivate_p1(p->side[1].e, 1, p->now, &err), 0);
	pair_run(p);
	pair_expect_nothing(p);
	p->filter = drop_all;
	tries = pair_stats(p, 0)->p1_initiated;
	pair_wait(p, 30 * MINUTE_MS);
	ck_assert_uint_ge(pair_stats(p, 0)->p1_initiated - tries, 5);
	ck_assert_uint_eq(lines(&p->side[0], "LocalDynVpnRule ByHand is not active"), 2);
	pair_wait(p, HOUR_MS);
	give_policy(p, 0, &autos);
	tries = pair_stats(p, 0)->p1_initiated;
	pair_wait(p, 25 * MINUTE_MS);
	ck_assert_uint_ge(pair_stats(p, 0)->p1_initiated - tries, 4);
	pair_free(p);
}
END_TEST

/* A tunnel that has a good pair is active, whatever becomes of its refreshes. */
START_TEST(test_refreshed)
{
	struct pair *p = pair_new(&autos, NULL);
	struct cs_err err;

	pair_wait(p, 20000);
	ck_assert_int_eq(ike_engine_refresh_p2(p->side[0].e, tunnel_of(p, 0), p->now, &err), 0);
	pair_wait(p, 4 * MINUTE_MS);
	ck_assert(is_up(p));
	p->filter = drop_all;
	ck_assert_int_eq(ike_engine_refresh_p2(p->side[0].e, tunnel_of(p, 0), p->now, &err), 0);
	pair_wait(p, 6 * MINUTE_MS);
	ck_assert_uint_eq(lines(&p->side[0], "is not active"), 0);
	p->filter = NULL;
	pair_free(p);
}
END_TEST

/* The peer refuses at once: it is not asked every second. */
START_TEST(test_refused)
{
	static const struct pair_policy other = {.data_offers = "Transport|3DES|ESP HMAC_SHA1"};
	struct pair *p = pair_new(&autos, &other);

	pair_wait(p, HOUR_MS);
	ck_assert_msg(pair_stats(p, 0)->p2_failed >= 12 && pair_stats(p, 0)->p2_failed <= 25,
		      "%u tries", (unsigned)pair_stats(p, 0)->p2_failed);
	ck_assert_uint_eq(lines(&p->side[0], "LocalDynVpnRule ByHand is not active"), 1);
	pair_free(p);
}
END_TEST

START_TEST(test_may_not)
{
	static const struct pair_policy remote = {
		.local_rule = true, .auto_activate = true, .initiation = "RemoteOnly"};
	struct pair *p = pair_new(&remote, NULL);

	pair_wait(p, HOUR_MS);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_initiated, 0);
	ck_assert_uint_eq(lines(&p->side[0], "is not active (AutoActivate): action Vpn lets only "
					     "the peer initiate (Initiation RemoteOnly)"),
			  1);
	/* A peer that begins is welcome, and its tunnel is nobody's failure. */
	pair_acquire(p, 1);
	pair_run(p);
	ck_assert(is_up(p));
	pair_free(p);
}
END_TEST

/* What begins at the end of VpnLife is another tunnel. */
START_TEST(test_vpn_life)
{
	struct pair_policy o = autos;
	struct pair *p;
	uint32_t first;

	o.vpn_life = 10;
	p = pair_new(&o, NULL);
	pair_wait(p, 1000);
	first = tunnel_of(p, 0);
	pair_wait(p, 9 * MINUTE_MS);
	ck_assert_uint_eq(tunnel_of(p, 0), first);
	pair_wait(p, MINUTE_MS + 3000);
	ck_assert(is_up(p));
	ck_assert_uint_ne(tunnel_of(p, 0), first);
	pair_free(p);
}
END_TEST

/* A peer that deletes each tunnel at once is not fought. */
START_TEST(test_flapping)
{
	struct pair *p = pair_new(&autos, NULL);
	struct cs_err err;

	for (unsigned i = 0; i < 3600; i++) {
		pair_wait(p, 1000);
		pair_forget_history(p);
		if (tunnel_of(p, 1))
			ike_engine_deactivate_p2(p->side[1].e, tunnel_of(p, 1), p->now, &err);
	}
	ck_assert_msg(pair_stats(p, 0)->p2_up <= 25, "%u tunnels in an hour",
		      (unsigned)pair_stats(p, 0)->p2_up);
	pair_wait(p, 6 * MINUTE_MS);
	ck_assert(is_up(p));
	pair_free(p);
}
END_TEST

/* ---- time conditions ---- */

/* The pair's time begins at 22:13:20 UTC. */
#define UNTIL_2215 "TimeZone UTC\nTimeOfDayRange 22:00-22:15"
#define FROM_2220  "TimeZone UTC\nTimeOfDayRange 22:20-22:30"

START_TEST(test_window_ends)
{
	static const struct pair_policy window = {.local_rule = true, .times = UNTIL_2215};
	struct pair *p = pair_new(&window, NULL);
	struct cs_err err;
	uint32_t y;

	pair_acquire(p, 0);
	pair_run(p);
	ck_assert(is_up(p));
	pair_wait(p, 99000);
	ck_assert(is_up(p));
	pair_wait(p, 2000);
	pair_expect_nothing(p); /* the peer was told, too */
	ck_assert(pair_said(&p->side[0], "the time condition of its rule no longer holds"));
	/* Nobody begins outside of it. */
	pair_acquire(p, 0);
	pair_acquire(p, 1);
	pair_wait(p, 5000);
	pair_expect_nothing(p);
	ck_assert_int_eq(ike_engine_activate(p->side[0].e, "ByHand", p->now, &y, &err), CS_EPOLICY);
	pair_free(p);
}
END_TEST

/* iked was away as it ended. */
START_TEST(test_window_and_restart)
{
	static const struct pair_policy window = {.times = UNTIL_2215};
	struct pair *p = pair_new(&window, NULL);
	struct pair_cache c;

	pair_acquire(p, 0);
	ck_assert(is_up(p));
	pair_crash(&p->side[0], &c);
	p->now.mono += 2 * MINUTE_MS;
	p->now.wall += 120;
	pair_restore(&p->side[0], &c);
	pair_run(p);
	pair_expect_nothing(p);
	ck_assert(pair_said(&p->side[0], "the time condition of its rule no longer holds"));
	pair_free(p);
}
END_TEST

START_TEST(test_window_begins)
{
	static const struct pair_policy window = {
		.local_rule = true, .auto_activate = true, .times = FROM_2220};
	struct pair *p = pair_new(&window, NULL);

	pair_wait(p, 399000); /* 22:19:59 */
	pair_expect_nothing(p);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_initiated, 0);
	pair_wait(p, 2000);
	ck_assert(is_up(p));
	pair_wait(p, 10 * MINUTE_MS);
	pair_expect_nothing(p);
	pair_wait(p, 24 * HOUR_MS);
	pair_expect_nothing(p);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_up, 2);
	pair_free(p);
}
END_TEST

/* One window ends as another begins: what waits for that one need not wait for its next try. */
START_TEST(test_windows_change)
{
	static const struct pair_policy window = {
		.local_rule = true,
		.auto_activate = true,
		.times = FROM_2220,
		.first_filter =
			"  IpFilterRule Early\n  {\n    IpSourceAddr 192.0.2.1\n"
			"    IpDestAddr 203.0.113.9\n    IpGenericFilterActionRef Ipsec\n"
			"    IpDynVpnActionRef Vpn\n    IpTimeCondition\n    {\n"
			"      TimeZone UTC\n      TimeOfDayRange 22:00-22:20\n    }\n  }\n"};
	struct pair *p = pair_new(&window, &(struct pair_policy){.times = FROM_2220});

	pair_wait(p, 399000); /* 22:19:59 */
	pair_expect_nothing(p);
	pair_wait(p, 2000);
	ck_assert(is_up(p));
	pair_free(p);
}
END_TEST

/* Who had it down by command is not overruled by the clock. */
START_TEST(test_window_and_command)
{
	static const struct pair_policy window = {
		.local_rule = true, .auto_activate = true, .times = UNTIL_2215};
	struct pair *p = pair_new(&window, NULL);
	struct cs_err err;

	pair_wait(p, 1000);
	ck_assert(is_up(p));
	ck_assert_int_eq(ike_engine_deactivate_p2(p->side[0].e, tunnel_of(p, 0), p->now, &err), 0);
	pair_wait(p, 24 * HOUR_MS - 5 * MINUTE_MS); /* 22:08 */
	pair_expect_nothing(p);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_up, 1);
	pair_free(p);
}
END_TEST

/* A policy that brings a condition which does not hold ends what is up. */
START_TEST(test_window_by_policy)
{
	static const struct pair_policy always = {0};
	static const struct pair_policy window = {.times = FROM_2220};
	struct pair *p = pair_new(&always, NULL);

	pair_acquire(p, 0);
	pair_run(p);
	ck_assert(is_up(p));
	give_policy(p, 0, &window);
	pair_run(p);
	pair_expect_nothing(p);
	pair_free(p);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("engine: automatic activation");
	TCase *t = tcase_create("auto");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, test_at_policy);
	tcase_add_test(t, test_rule_gone);
	tcase_add_test(t, test_adopts);
	tcase_add_test(t, test_retries);
	tcase_add_test(t, test_fails_again);
	tcase_add_test(t, test_refreshed);
	tcase_add_test(t, test_refused);
	tcase_add_test(t, test_may_not);
	tcase_add_test(t, test_vpn_life);
	tcase_add_test(t, test_flapping);
	suite_add_tcase(s, t);
	t = tcase_create("windows");
	tcase_set_timeout(t, 120);
	tcase_add_test(t, test_window_ends);
	tcase_add_test(t, test_window_and_restart);
	tcase_add_test(t, test_window_begins);
	tcase_add_test(t, test_windows_change);
	tcase_add_test(t, test_window_and_command);
	tcase_add_test(t, test_window_by_policy);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	if (!pair_crypto())
		return EXIT_FAILURE;
	return run_suite(suite());
}
