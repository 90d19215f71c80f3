/* The commit bit (RFC 2408 section 3.1), set in messages on their way. */
#include <check.h>
#include <string.h>

#include "tests/unit/engine_pair.h"
#include "tests/unit/run_suite.h"

#define EXCHANGE_AT 18
#define FLAGS_AT    19

/* Which messages get the bit, and what becomes of the fourth of Quick Mode. */
struct meddler {
	bool from[2];      /* all messages of this side */
	bool first_only;   /* only message 1 of Quick Mode */
	bool lose, mangle; /* message 4 */
	unsigned n_quick;
};

static bool meddle(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	struct meddler *m = p->filter_arg;
	bool quick = data[EXCHANGE_AT] == ISA_QUICK;

	m->n_quick += quick;
	if (m->from[from] && (!m->first_only || (quick && m->n_quick == 1)))
		data[FLAGS_AT] |= ISA_FLAG_COMMIT;
	if (quick && m->n_quick == 4 && m->mangle)
		data[*len - 1] ^= 1;
	return !(quick && m->n_quick == 4 && m->lose);
}

static struct pair *begin(struct meddler *m, const struct pair_policy *o)
{
	struct pair *p = pair_new(o, o);

	p->filter = meddle;
	p->filter_arg = m;
	pair_acquire(p, 0);
	return p;
}

static bool is_up(struct pair *p, unsigned i)
{
	return pair_stats(p, i)->p2_up == 1;
}

/* In every message of every exchange: CONNECTED comes, and nobody has to wait. */
START_TEST(test_everywhere)
{
	struct pair_policy o = {.how_to_initiate = _i ? "Aggressive" : "Main",
				.how_to_respond = _i ? "Aggressive" : "Main"};
	struct meddler m = {.from = {true, true}};
	struct pair *p = begin(&m, &o);

	if (_i)
		pair_wait(p, 500); /* Quick Mode gives the third message some time */
	pair_expect_up(p);
	ck_assert_uint_eq(m.n_quick, 4);
	ck_assert_int_eq(ike_engine_deactivate_p1(p->side[1].e, 1, p->now, NULL), 0);
	pair_run(p);
	pair_expect_nothing(p);
	pair_free(p);
}
END_TEST

/* The initiator alone sets it: the responder tells, and again when message 3 is repeated. */
START_TEST(test_told)
{
	struct meddler m = {.from = {true, false}, .first_only = true};
	struct pair *p = begin(&m, NULL);
	unsigned third = 0, n = 0;

	pair_expect_up(p);
	ck_assert_uint_eq(m.n_quick, 4);
	for (unsigned i = 0; i < p->n_history; i++)
		if (p->history[i].data[EXCHANGE_AT] == ISA_QUICK && ++n == 3)
			third = i;
	pair_replay(p, third);
	ck_assert_uint_eq(pair_stats(p, 1)->repeats_answered, 1);
	ck_assert_uint_eq(p->n_queue, 1);
	pair_run(p);
	ck_assert_uint_eq(m.n_quick, 5);
	pair_expect_up(p);
	pair_free(p);
}
END_TEST

/*
 * The initiator waits a second at most: where CONNECTED is lost, is not what was sent, or never
 * was.  The packet that comes by the inbound SA ends the wait, too.
 */
START_TEST(test_waits)
{
	struct meddler m = {.from = {_i < 3, true}, .lose = _i == 0 || _i == 2, .mangle = _i == 1};
	struct pair *p = begin(&m, NULL);

	ck_assert(is_up(p, 1));
	ck_assert(!is_up(p, 0));
	ck_assert_uint_eq(m.n_quick, _i < 3 ? 4 : 3);
	ck_assert_uint_eq(pair_installed(&p->side[0]), 1);
	if (_i == 2) {
		pair_expire(p, 0, false);
	} else {
		pair_wait(p, 900);
		ck_assert(!is_up(p, 0));
		pair_wait(p, 200);
	}
	pair_expect_up(p);
	ck_assert_uint_eq(pair_complaints(&p->side[0], NULL), 0);
	pair_free(p);
}
END_TEST

/* Without the bit there is no fourth message. */
START_TEST(test_without)
{
	struct meddler m = {.n_quick = 0};
	struct pair *p = begin(&m, NULL);

	pair_expect_up(p);
	ck_assert_uint_eq(m.n_quick, 3);
	pair_free(p);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("engine_commit");
	TCase *t = tcase_create("all");

	if (!pair_crypto())
		return 1;
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_everywhere, 0, 2);
	tcase_add_test(t, test_told);
	tcase_add_loop_test(t, test_waits, 0, 4);
	tcase_add_test(t, test_without);
	suite_add_tcase(s, t);
	return run_suite(s);
}
