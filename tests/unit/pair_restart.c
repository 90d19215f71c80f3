/* Restarts for the engine's unit tests, see pair_restart.h. */
#include "tests/unit/pair_restart.h"

#include <check.h>
#include <string.h>

static int see_p1(void *arg, const struct ike_p1_info *info)
{
	struct pair_cache *c = arg;

	if (info->state == IKE_P1_DONE)
		c->p1[c->n_p1++] = *info;
	return 0;
}

static int see_p2(void *arg, const struct ike_p2_info *info)
{
	struct pair_cache *c = arg;
	struct ike_p2_info *row = &c->p2[c->n_p2].info;
	uint8_t *ids = c->ids[c->n_p2];

	if (info->state != IKE_P2_DONE)
		return 0;
	c->n_p2++;
	*row = *info;
	memcpy(ids, info->local_id.p, info->local_id.len);
	memcpy(ids + info->local_id.len, info->remote_id.p, info->remote_id.len);
	row->local_id.p = ids;
	row->remote_id.p = ids + info->local_id.len;
	return 0;
}

void pair_crash(struct side *s, struct pair_cache *c)
{
	memset(c, 0, sizeof(*c));
	ike_engine_each_p1(s->e, see_p1, c);
	ike_engine_each_p2(s->e, see_p2, c);
	ike_engine_free(s->e);
	pair_engine(s);
}

int64_t pair_clock_set(const struct side *s)
{
	return s->pair->now.wall - (int64_t)(s->pair->now.mono / 1000) - s->clock;
}

struct ike_restored pair_restore(struct side *s, const struct pair_cache *c)
{
	static struct ike_left_sa sas[PAIR_SAS];
	static struct xf_policy policies[PAIR_POLICIES];
	static struct ike_p1_kept kept[PAIR_KEPT];
	static struct ike_quick_kept quicks[PAIR_KEPT];
	const struct ike_p1_kept *list[PAIR_KEPT];
	const struct ike_quick_kept *quick_list[PAIR_KEPT];
	struct ike_leftovers left = {.kept = list,
				     .quicks = quick_list,
				     .clock_set = s->clock_seen ? pair_clock_set(s) : 0,
				     .n_quicks = s->n_quicks,
				     .p1 = c->p1,
				     .p2 = c->p2,
				     .sas = sas,
				     .policies = policies,
				     .n_kept = s->n_kept,
				     .n_p1 = c->n_p1,
				     .n_p2 = c->n_p2,
				     .n_sas = s->n_sas,
				     .n_policies = s->n_policies};
	struct ike_restored done;
	struct cs_err err;

	for (unsigned i = 0; i < s->n_kept; i++) {
		kept[i] = s->kept[i];
		list[i] = &kept[i];
	}
	for (unsigned i = 0; i < s->n_quicks; i++) {
		quicks[i] = s->quicks[i];
		quick_list[i] = &quicks[i];
	}
	for (unsigned i = 0; i < s->n_sas; i++)
		sas[i] = (struct ike_left_sa){
			.id = s->sas[i].sa.id,
			.src = s->sas[i].sa.src,
			.reqid = s->sas[i].sa.reqid,
			.larval = s->sas[i].larval,
			.counters = {.packets = s->idle ? 0 : 5, .added = (uint64_t)s->added},
		};
	memcpy(policies, s->policies, sizeof(policies));
	ck_assert_msg(!ike_engine_restore(s->e, &left, s->pair->now, &done, &err), "%s", err.text);
	return done;
}
