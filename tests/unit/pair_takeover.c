/* Takeovers for the engine's unit tests, see pair_takeover.h. */
#include "tests/unit/pair_takeover.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static int see_p1(void *arg, const struct ike_p1_info *info)
{
	struct inheritance *c = arg;

	ck_assert_uint_lt(c->n_p1, PAIR_INHERITED);
	if (info->state == IKE_P1_DONE)
		c->p1[c->n_p1++] = *info;
	return 0;
}

static int see_p2(void *arg, const struct ike_p2_info *info)
{
	struct inheritance *c = arg;
	struct ike_inherited *row = &c->rows[c->n];
	uint8_t *ids = c->ids[c->n];

	ck_assert_uint_lt(c->n, PAIR_INHERITED);
	if (info->state != IKE_P2_DONE)
		return 0;
	*row = (struct ike_inherited){.p2 = *info, .ref = c->n++};
	memcpy(ids, info->local_id.p, info->local_id.len);
	memcpy(ids + info->local_id.len, info->remote_id.p, info->remote_id.len);
	row->p2.local_id.p = ids;
	row->p2.remote_id.p = ids + info->local_id.len;
	for (unsigned i = 0; i < c->n_p1; i++)
		if (c->p1[i].tunnel == info->parent)
			row->p1 = &c->p1[i];
	return 0;
}

void see_all(struct side *s, struct inheritance *c)
{
	memset(c, 0, sizeof(*c));
	ike_engine_each_p1(s->e, see_p1, c);
	ike_engine_each_p2(s->e, see_p2, c);
}

void inherit_of(struct side *s, struct inheritance *c)
{
	see_all(s, c);
	ike_engine_free(s->e);
	pair_engine(s);
	s->n_sas = s->n_policies = s->n_kept = 0;
	s->next_spi += 0x100;
	/* The dead host's store has no part in this. */
	s->n_records[IKE_REC_P1_DOWN] = s->n_records[IKE_REC_P1_UP];
	s->n_records[IKE_REC_P2_DOWN] = s->n_records[IKE_REC_P2_UP];
	pair_forget_history(s->pair);
}

unsigned take_over(struct side *s, const struct inheritance *c)
{
	struct cs_err err;

	ck_assert_msg(!ike_engine_take_over(s->e, c->rows, c->n, s->pair->now, &err), "%s",
		      err.text);
	return c->n;
}

void pair_forget(struct pair *p)
{
	while (p->n_queue)
		free(p->queue[--p->n_queue].data);
}

static int take_p1(void *arg, const struct ike_p1_info *info)
{
	*(struct ike_p1_info *)arg = *info;
	return 1;
}

static int take_p2(void *arg, const struct ike_p2_info *info)
{
	*(struct ike_p2_info *)arg = *info;
	return 1;
}

bool first_p1(const struct side *s, struct ike_p1_info *info)
{
	return ike_engine_each_p1(s->e, take_p1, info) == 1;
}

bool first_p2(const struct side *s, struct ike_p2_info *info)
{
	return ike_engine_each_p2(s->e, take_p2, info) == 1;
}

const char *host_of(const struct cs_addr *a)
{
	static char text[CS_ADDR_STRLEN];

	cs_addr_text(a, text);
	return strrchr(text, '.') + 1;
}

unsigned row_of(const struct inheritance *c, const char *host)
{
	for (unsigned i = 0; i < c->n; i++)
		if (!strcmp(host_of(&c->rows[i].p2.selector.remote.lo), host))
			return i;
	ck_abort_msg("no row for host %s", host);
	return 0;
}
