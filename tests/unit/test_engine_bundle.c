/* Bundles: AH around ESP, four SAs that come and go together. */
#include <check.h>
#include <netinet/in.h>
#include <string.h>

#include "tests/unit/engine_pair.h"
#include "tests/unit/run_suite.h"

#define BUNDLE "Transport|AES_CBC KeyLength 256|AH HMAC_SHA2_256_128"

static struct pair *bundle_up(void)
{
	struct pair_policy o = {.data_offers = BUNDLE};

	return pair_up(&o);
}

static int take_p2(void *arg, const struct ike_p2_info *info)
{
	*(struct ike_p2_info *)arg = *info;
	return 1;
}

static struct ike_p2_info p2_of(const struct side *s)
{
	struct ike_p2_info info = {0};

	ike_engine_each_p2(s->e, take_p2, &info);
	return info;
}

/* ---- what is agreed ---- */

static const struct {
	const char *offers, *pfs;
	bool net;
} good[] = {
	{BUNDLE, "None", false},
	{"Tunnel|AES_CBC KeyLength 128|AH HMAC_SHA1", "Group14", false},
	{"Tunnel|3DES|AH HMAC_SHA2_512_256", "None", true},
};

START_TEST(test_up)
{
	struct pair_policy a = {
		.data_offers = good[_i / 2].offers, .pfs = good[_i / 2].pfs, .ipv6 = _i % 2};
	const char *nets[][2] = {{"10.1.0.0/16", "10.2.0.0/16"},
				 {"2001:db8:a::/64", "2001:db8:b::/64"}};
	struct pair_policy b = a;
	struct pair *p;

	if (good[_i / 2].net) {
		a.local_net = b.remote_net = nets[_i % 2][0];
		a.remote_net = b.local_net = nets[_i % 2][1];
	}
	p = pair_new(&a, &b);
	pair_acquire(p, 0);
	pair_expect_up(p);
	for (unsigned i = 0; i < 2; i++) {
		struct side *s = &p->side[i];
		struct ike_p2_info info = p2_of(s);

		ck_assert_uint_eq(s->n_sas, 4);
		ck_assert(s->policies[0].bundle);
		ck_assert_uint_eq(s->policies[0].proto, IPPROTO_ESP);
		ck_assert(info.ah_in && info.ah_out && info.ah_in != info.spi_in);
		ck_assert(pair_said(s, "ah+esp "));
		for (unsigned k = 0; k < s->n_sas; k++) {
			const struct xf_sa *sa = &s->sas[k].sa;

			ck_assert_uint_eq(sa->reqid, info.reqid);
			/* What the tunnel sends is not what its selector says. */
			if (sa->id.proto == IPPROTO_AH)
				ck_assert_int_eq(sa->selector.local.lo.family != 0,
						 info.suite.encap == POL_TRANSPORT);
			if (sa->id.proto == IPPROTO_AH)
				ck_assert_int_eq(sa->mode, XF_TRANSPORT);
			else
				ck_assert(sa->bundled && !sa->integ);
		}
	}
	pair_free(p);
}
END_TEST

/* A list with all three kinds: whatever the other takes, nothing else stays reserved. */
START_TEST(test_mixed)
{
	static const char all[] = "Transport|AES_CBC KeyLength 128|ESP HMAC_SHA1;"
				  "Transport|DoNot|AH HMAC_SHA1;" BUNDLE;
	static const char *const takes[] = {"Transport|AES_CBC KeyLength 128|ESP HMAC_SHA1",
					    "Transport|DoNot|AH HMAC_SHA1", BUNDLE, all};
	struct pair_policy a = {.data_offers = all}, b = {.data_offers = takes[_i]};
	struct pair *p = pair_new(&a, &b);

	pair_acquire(p, 0);
	pair_expect_up(p);
	ck_assert_uint_eq(p->side[0].n_sas, _i == 2 ? 4 : 2);
	pair_free(p);
}
END_TEST

START_TEST(test_refused)
{
	struct pair_policy a = {.data_offers = BUNDLE};
	struct pair_policy b = {.data_offers = "Transport|AES_CBC KeyLength 256|ESP "
					       "HMAC_SHA2_256_128"};
	struct pair *p = pair_new(&a, &b);

	pair_acquire(p, 0);
	pair_expect_nothing(p);
	ck_assert(pair_said(&p->side[1], "peer offered ah+esp aes256-sha256 transport; rule "
					 "accepts esp aes256-sha256 transport"));
	pair_free(p);
}
END_TEST

/* Whichever of SPIs, SAs and the policy the kernel refuses, nothing of the bundle stays. */
START_TEST(test_kernel_refuses)
{
	struct pair_policy o = {.data_offers = BUNDLE};
	struct pair *p = pair_new(&o, &o);
	struct side *s = &p->side[_i % 2];

	s->refuse = _i / 2 + (_i % 2 ? 1 : 2); /* the initiator's first is the hold */
	pair_acquire(p, 0);
	pair_wait(p, 300000);
	ck_assert_int_eq(s->refuse, 0);
	pair_expect_nothing(p);
	pair_free(p);
}
END_TEST

/* ---- its end ---- */

/* The kernel ends one of the four, and of our two deletions one is lost. */
static unsigned deletions;

static bool lose_one(struct pair *p, unsigned from, uint8_t *data, size_t *len)
{
	(void)from;
	(void)data;
	(void)len;
	return deletions++ != *(unsigned *)p->filter_arg;
}

START_TEST(test_one_ends_all)
{
	struct pair *p = bundle_up();
	struct ike_p2_info info = p2_of(&p->side[0]);
	const struct xf_said ids[] = {
		{info.local, IPPROTO_ESP, info.spi_in},
		{info.remote, IPPROTO_ESP, info.spi_out},
		{info.local, IPPROTO_AH, info.ah_in},
		{info.remote, IPPROTO_AH, info.ah_out},
	};
	struct xf_expire x = {.id = ids[_i / 2], .hard = true};
	unsigned lost = (unsigned)_i % 2;

	deletions = 0;
	p->filter = lose_one;
	p->filter_arg = &lost;
	ike_engine_expire(p->side[0].e, &x, p->now);
	ck_assert_uint_eq(p->n_queue, 2);
	pair_run(p);
	pair_expect_nothing(p);
	pair_free(p);
}
END_TEST

START_TEST(test_resync)
{
	struct pair *p = bundle_up();
	struct side *s = &p->side[0];

	for (unsigned missing = 5; missing-- > 0;) { /* 4: none is */
		struct xf_sa sas[4];

		if (missing < 4 && missing != (unsigned)_i)
			continue;
		for (unsigned i = 0; i < 4; i++)
			sas[i] = s->sas[i].sa;
		ike_engine_resync_begin(s->e);
		for (unsigned i = 0; i < 4; i++)
			if (i != missing)
				ike_engine_resync_sa(s->e, &sas[i], NULL);
		ike_engine_resync_end(s->e, p->now);
		pair_run(p);
		if (missing == 4)
			ck_assert(pair_mirrored(p));
	}
	pair_expect_nothing(p);
	pair_free(p);
}
END_TEST

/* The successor is a bundle, too, made of the offer that won. */
START_TEST(test_refresh)
{
	struct pair *p = bundle_up();
	struct cs_err err;

	ck_assert_msg(
		!ike_engine_refresh_p2(p->side[_i].e, p2_of(&p->side[_i]).tunnel, p->now, &err),
		"%s", err.text);
	pair_run(p);
	ck_assert_uint_ge(p->side[0].n_sas, 6); /* the new outbound ones may wait */
	pair_wait(p, 70000);
	ck_assert_uint_eq(p->side[0].n_sas, 4);
	ck_assert(pair_mirrored(p));
	ck_assert_uint_eq(p2_of(&p->side[0]).generation, 2);
	pair_free(p);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("engine_bundle");
	TCase *t = tcase_create("all");

	if (!pair_crypto())
		return 1;
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_up, 0, 6);
	tcase_add_loop_test(t, test_mixed, 0, 4);
	tcase_add_test(t, test_refused);
	tcase_add_loop_test(t, test_kernel_refuses, 0, 14);
	tcase_add_loop_test(t, test_one_ends_all, 0, 8);
	tcase_add_loop_test(t, test_resync, 0, 4);
	tcase_add_loop_test(t, test_refresh, 0, 2);
	suite_add_tcase(s, t);
	return run_suite(s);
}
