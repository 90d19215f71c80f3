/* Public-key jobs on threads, and the key pairs made ahead. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/pk_pool.h"
#include "tests/unit/run_suite.h"

#define JOBS 40

struct fixture {
	uv_loop_t loop;
	uv_thread_t thread; /* the loop's */
	struct ike_pk_pool *pool;
	unsigned back, idle;
	bool wrong_thread;
	struct ike_pk_job *last;
};

static void on_done(void *arg, struct ike_pk_job *job)
{
	struct fixture *f = arg;
	uv_thread_t self = uv_thread_self();

	if (!uv_thread_equal(&self, &f->thread))
		f->wrong_thread = true;
	f->back++;
	f->last = job;
}

static void on_idle(void *arg)
{
	struct fixture *f = arg;

	f->idle++;
}

static void start(struct fixture *f)
{
	struct cs_err err;

	memset(f, 0, sizeof(*f));
	f->thread = uv_thread_self();
	ck_assert_int_eq(uv_loop_init(&f->loop), 0);
	ck_assert_int_eq(ike_pk_pool_new(&f->loop, on_done, f, &f->pool, &err), 0);
}

static void finish(struct fixture *f)
{
	ike_pk_pool_stop(f->pool, on_idle, f);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	ck_assert_uint_eq(f->idle, 1);
	ck_assert(!f->wrong_thread);
	ike_pk_pool_free(f->pool);
	ck_assert_int_eq(uv_loop_close(&f->loop), 0);
}

/* A policy with one offer of this group, and one IpDynVpnAction that accepts another. */
struct tiny_policy {
	struct pol_ke_offer offer;
	struct pol_ke_action action;
	struct pol_ke_rule ke_rule;
	struct pol_dynvpn_action vpn;
	struct pol_filter_rule rule;
	uint16_t accept[2];
	struct pol_policy policy;
};

static const struct pol_policy *tiny(struct tiny_policy *t, unsigned group, uint16_t pfs)
{
	memset(t, 0, sizeof(*t));
	t->offer.group = cs_group_by_number(group);
	t->action.offers = &t->offer;
	t->action.n_offers = 1;
	t->ke_rule.action = &t->action;
	t->accept[0] = POL_PFS_NONE;
	t->accept[1] = pfs;
	t->vpn.accept_pfs = t->accept;
	t->vpn.n_accept_pfs = 2;
	t->rule.vpn = &t->vpn;
	t->policy.ke_rules = &t->ke_rule;
	t->policy.n_ke_rules = 1;
	t->policy.rules = &t->rule;
	t->policy.n_rules = 1;
	return &t->policy;
}

static struct ike_pk_job *job_new(enum ike_pk_kind kind, unsigned group)
{
	struct ike_pk_job *job = calloc(1, sizeof(*job));

	ck_assert_ptr_nonnull(job);
	job->kind = kind;
	job->group = cs_group_by_number(group);
	job->status = 1;
	return job;
}

START_TEST(jobs_come_back)
{
	struct ike_pk_job *jobs[JOBS];
	struct ike_pk_stats stats;
	struct fixture f;

	start(&f);
	for (unsigned i = 0; i < JOBS; i++) {
		jobs[i] = job_new(IKE_PK_KEYPAIR, 19);
		ck_assert_int_eq(ike_pk_pool_submit(f.pool, jobs[i]), IKE_LATER);
	}
	ck_assert_uint_eq(f.back, 0); /* never from within submit */
	uv_run(&f.loop, UV_RUN_DEFAULT);
	ck_assert_uint_eq(f.back, JOBS);
	for (unsigned i = 0; i < JOBS; i++) {
		ck_assert_int_eq(jobs[i]->status, 0);
		ck_assert_uint_eq(ike_dh_public(jobs[i]->dh).len, 64);
		for (unsigned k = 0; k < i; k++)
			ck_assert_mem_ne(ike_dh_public(jobs[i]->dh).p, ike_dh_public(jobs[k]->dh).p,
					 64);
	}
	for (unsigned i = 0; i < JOBS; i++) {
		ike_dh_free(jobs[i]->dh);
		free(jobs[i]);
	}
	ike_pk_pool_stats(f.pool, &stats);
	ck_assert_uint_eq(stats.jobs, JOBS);
	ck_assert_uint_eq(stats.failed, 0);
	ck_assert_uint_eq(stats.under_way, 0);
	finish(&f);
}
END_TEST

/* Two sides with pairs of the pool come to one secret; a bad value is refused. */
START_TEST(secrets_agree)
{
	struct ike_pk_job *a = job_new(IKE_PK_KEYPAIR, 14), *b = job_new(IKE_PK_KEYPAIR, 14);
	struct ike_pk_job *sa = job_new(IKE_PK_SECRET, 14), *sb = job_new(IKE_PK_SECRET, 14);
	struct cs_bytes public;
	struct fixture f;

	start(&f);
	ck_assert_int_eq(ike_pk_pool_submit(f.pool, a), IKE_LATER);
	ck_assert_int_eq(ike_pk_pool_submit(f.pool, b), IKE_LATER);
	uv_run(&f.loop, UV_RUN_DEFAULT);
	sa->dh = a->dh;
	sb->dh = b->dh;
	public = ike_dh_public(b->dh);
	memcpy(sa->peer, public.p, sa->peer_len = public.len);
	public = ike_dh_public(a->dh);
	memcpy(sb->peer, public.p, sb->peer_len = public.len);
	ck_assert_int_eq(ike_pk_pool_submit(f.pool, sa), IKE_LATER);
	ck_assert_int_eq(ike_pk_pool_submit(f.pool, sb), IKE_LATER);
	uv_run(&f.loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(sa->status, 0);
	ck_assert_int_eq(sb->status, 0);
	ck_assert_mem_eq(sa->secret, sb->secret, sa->group->secret_len);

	memset(sa->peer, 0, sizeof(sa->peer));
	ck_assert_int_eq(ike_pk_pool_submit(f.pool, sa), IKE_LATER);
	uv_run(&f.loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(sa->status, CS_EAUTH);
	ck_assert_int_ne(sa->err.text[0], '\0');
	ike_dh_free(a->dh);
	ike_dh_free(b->dh);
	free(a);
	free(b);
	free(sa);
	free(sb);
	finish(&f);
}
END_TEST

START_TEST(made_ahead_and_used_once)
{
	struct ike_pk_job *jobs[IKE_PK_AHEAD + 1];
	struct ike_pk_stats stats;
	struct tiny_policy t;
	struct fixture f;

	start(&f);
	ike_pk_pool_policy(f.pool, tiny(&t, 19, 20));
	uv_run(&f.loop, UV_RUN_DEFAULT); /* idle time */
	ike_pk_pool_stats(f.pool, &stats);
	ck_assert_uint_eq(stats.ahead_made, 2 * IKE_PK_AHEAD);
	ck_assert_uint_eq(stats.ahead_ready, 2 * IKE_PK_AHEAD);

	for (unsigned i = 0; i <= IKE_PK_AHEAD; i++) {
		enum ike_done expected = i < IKE_PK_AHEAD ? IKE_DONE : IKE_LATER;

		jobs[i] = job_new(IKE_PK_KEYPAIR, 19);
		ck_assert_int_eq(ike_pk_pool_submit(f.pool, jobs[i]), expected);
		if (expected == IKE_DONE)
			ck_assert_int_eq(jobs[i]->status, 0);
	}
	/* A group that the policy does not use has none, and a secret is never there before. */
	ck_assert_uint_eq(f.back, 0);
	uv_run(&f.loop, UV_RUN_DEFAULT);
	ck_assert_uint_eq(f.back, 1);
	for (unsigned i = 0; i <= IKE_PK_AHEAD; i++)
		for (unsigned k = 0; k < i; k++)
			ck_assert_mem_ne(ike_dh_public(jobs[i]->dh).p, ike_dh_public(jobs[k]->dh).p,
					 64);
	ike_pk_pool_stats(f.pool, &stats);
	ck_assert_uint_eq(stats.ahead_used, IKE_PK_AHEAD);
	ck_assert_uint_eq(stats.ahead_ready, 2 * IKE_PK_AHEAD); /* made anew meanwhile */
	for (unsigned i = 0; i <= IKE_PK_AHEAD; i++) {
		ike_dh_free(jobs[i]->dh);
		free(jobs[i]);
	}

	/* Another policy: the pairs of groups that it does not use go. */
	ike_pk_pool_policy(f.pool, tiny(&t, 21, POL_PFS_NONE));
	uv_run(&f.loop, UV_RUN_DEFAULT);
	ike_pk_pool_stats(f.pool, &stats);
	ck_assert_uint_eq(stats.ahead_ready, IKE_PK_AHEAD);
	jobs[0] = job_new(IKE_PK_KEYPAIR, 19);
	ck_assert_int_eq(ike_pk_pool_submit(f.pool, jobs[0]), IKE_LATER);
	uv_run(&f.loop, UV_RUN_DEFAULT);
	ike_dh_free(jobs[0]->dh);
	free(jobs[0]);
	finish(&f);
}
END_TEST

START_TEST(stop_gives_everything_back)
{
	struct ike_pk_job *jobs[JOBS], *late = job_new(IKE_PK_KEYPAIR, 14);
	struct tiny_policy t;
	unsigned done = 0, refused = 0;
	struct fixture f;

	start(&f);
	ike_pk_pool_policy(f.pool, tiny(&t, 14, POL_PFS_NONE)); /* one pair is under way now */
	for (unsigned i = 0; i < JOBS; i++) {
		jobs[i] = job_new(IKE_PK_KEYPAIR, 14);
		ck_assert_int_eq(ike_pk_pool_submit(f.pool, jobs[i]), IKE_LATER);
	}
	ike_pk_pool_stop(f.pool, on_idle, &f);
	ck_assert_uint_eq(f.idle, 0);
	ck_assert_int_eq(ike_pk_pool_submit(f.pool, late), IKE_DONE);
	ck_assert_int_eq(late->status, CS_EAGAIN);
	uv_run(&f.loop, UV_RUN_DEFAULT);
	ck_assert_uint_eq(f.idle, 1);
	ck_assert_uint_eq(f.back, JOBS);
	for (unsigned i = 0; i < JOBS; i++) {
		if (jobs[i]->status == 0)
			done++;
		else if (jobs[i]->status == CS_EAGAIN)
			refused++;
		ike_dh_free(jobs[i]->dh);
		free(jobs[i]);
	}
	ck_assert_uint_eq(done + refused, JOBS);
	ck_assert_uint_gt(refused, 0);
	free(late);
	ike_pk_pool_free(f.pool);
	ck_assert_int_eq(uv_loop_close(&f.loop), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pk_pool");
	TCase *tc = tcase_create("pool");
	struct cs_err err;

	if (ike_crypto_init(false, &err) < 0 || ike_arena_init(4u << 20, &err) < 0) {
		fprintf(stderr, "test_pk_pool: %s\n", err.text);
		return EXIT_FAILURE;
	}
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, jobs_come_back);
	tcase_add_test(tc, secrets_agree);
	tcase_add_test(tc, made_ahead_and_used_once);
	tcase_add_test(tc, stop_gives_everything_back);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
