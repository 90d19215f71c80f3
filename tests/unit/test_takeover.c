/*
 * The negotiation engine: what another host had at an address is negotiated anew by the one that
 * the address has come to.  Here the other host is the engine before, whose kernel is gone with it.
 */
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/pair_restart.h"
#include "tests/unit/run_suite.h"

/* Its host dies with all that it had; the other one has the same policy and nothing else. */
static void die(struct side *s, struct pair_cache *c)
{
	pair_crash(s, c);
	s->n_sas = s->n_policies = s->n_kept = 0;
	s->next_spi += 0x100;
	/* The store of the dead host has no part in this. */
	s->n_records[IKE_REC_P1_DOWN] = s->n_records[IKE_REC_P1_UP];
	s->n_records[IKE_REC_P2_DOWN] = s->n_records[IKE_REC_P2_UP];
	pair_forget_history(s->pair);
}

static unsigned inherit(const struct pair_cache *c, struct ike_inherited *rows)
{
	unsigned n = 0;

	for (; n < c->n_p2; n++) {
		rows[n] = (struct ike_inherited){.p2 = c->p2[n].info, .used = 1, .ref = n};
		for (size_t k = 0; k < c->n_p1; k++)
			if (c->p1[k].tunnel == c->p2[n].info.parent)
				rows[n].p1 = &c->p1[k];
	}
	return n;
}

static unsigned take_over(struct side *s, const struct pair_cache *c)
{
	struct ike_inherited rows[PAIR_ROWS];
	unsigned n = inherit(c, rows);
	struct cs_err err;

	ck_assert_msg(!ike_engine_take_over(s->e, rows, n, s->pair->now, &err), "%s", err.text);
	return n;
}

/* ---- one tunnel ---- */

START_TEST(test_one)
{
	struct pair *p = pair_up(NULL);
	struct side *s = &p->side[_i];
	struct pair_cache c;

	die(s, &c);
	ck_assert_uint_eq(take_over(s, &c), 1);
	pair_wait(p, 0);
	ck_assert_uint_eq(pair_stats(p, (unsigned)_i)->taken_over, 1);
	ck_assert_uint_eq(pair_installed(&p->side[!_i]), 4);
	pair_wait(p, 1000);
	ck_assert_msg(pair_mirrored(p), "%s\n----\n%s", s->log, p->side[!_i].log);
	ck_assert_uint_eq(s->n_inherited, 1);
	ck_assert_uint_eq(pair_stats(p, !_i)->p1_live, 1);
	ck_assert_uint_eq(pair_stats(p, !_i)->p2_live, 1);
	ck_assert(!pair_said(&p->side[!_i], "CSI1010I")); /* INITIAL-CONTACT */
	ck_assert(pair_said(s, "CSI1081I"));
	pair_free(p);
}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("takeover");
	TCase *tc = tcase_create("takeover");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_one, 0, 2);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(void)
{
	if (!pair_crypto())
		return EXIT_FAILURE;
	return run_suite(suite());
}
