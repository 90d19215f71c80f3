/*
 * Messages that wait for an answer and are sent again, answers that are kept for the same question,
 * and refusals that are remembered for it.  IkeInitWait doubles with each of IkeRetries.  A hasty
 * message is sent a few times more within the first IkeInitWait.
 */
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"

uint64_t ike_rt_wait(const struct ike_engine *e, unsigned sent)
{
	unsigned doublings = sent - 1;

	return (uint64_t)e->set.init_wait_ms << (doublings < 16 ? doublings : 16);
}

uint64_t ike_rt_total(const struct ike_engine *e)
{
	uint64_t total = 0;

	for (unsigned sent = 1; sent <= e->set.retries + 1; sent++)
		total += ike_rt_wait(e, sent);
	return total;
}

/* Where an address has just come from another host, the first datagrams often go there still. */
#define HASTY_MS  100u
#define HASTY_MAX 4u

static unsigned hasty_ones(const struct ike_engine *e, const struct ike_retransmit *rt)
{
	unsigned n = 0;

	while (rt->hasty && n < HASTY_MAX && (HASTY_MS << (n + 1)) - HASTY_MS < e->set.init_wait_ms)
		n++;
	return n;
}

static uint64_t wait_of(const struct ike_engine *e, const struct ike_retransmit *rt)
{
	unsigned hasty = hasty_ones(e, rt);

	if (rt->sent <= hasty)
		return HASTY_MS << (rt->sent - 1);
	if (rt->sent == hasty + 1)
		return e->set.init_wait_ms - ((HASTY_MS << hasty) - HASTY_MS);
	return ike_rt_wait(e, rt->sent - hasty);
}

bool ike_rt_silent(const struct ike_engine *e, const struct ike_retransmit *rt)
{
	return rt->sent > hasty_ones(e, rt) + 1;
}

int ike_rt_start(struct ike_engine *e, struct ike_retransmit *rt, struct ike_timer *timer,
		 struct ike_p1 *p1, const uint8_t *data, size_t len, struct cs_err *err)
{
	uint8_t *copy = malloc(len);

	if (!copy)
		return cs_fail(err, CS_ENOMEM, "no memory to keep a message of %zu bytes", len);
	memcpy(copy, data, len);
	ike_rt_clear(rt);
	rt->data = copy;
	rt->len = len;
	rt->sent = 1;
	rt->limit = e->set.retries + 1 + hasty_ones(e, rt);
	ike_send_p1(e, p1, data, len);
	ike_timer_set(&e->timers, timer, e->now.mono + wait_of(e, rt));
	return 0;
}

bool ike_rt_again(struct ike_engine *e, struct ike_retransmit *rt, struct ike_timer *timer,
		  struct ike_p1 *p1)
{
	if (!rt->data || rt->sent >= rt->limit)
		return false;
	rt->sent++;
	e->stats.retransmitted++;
	p1->counts.retransmitted++;
	ike_send_p1(e, p1, rt->data, rt->len);
	ike_timer_set(&e->timers, timer, e->now.mono + wait_of(e, rt));
	return true;
}

void ike_rt_resume(struct ike_engine *e, const struct ike_retransmit *rt, struct ike_timer *timer)
{
	ike_timer_set(&e->timers, timer, e->now.mono + wait_of(e, rt));
}

void ike_rt_hurry(struct ike_retransmit *rt)
{
	if (rt->limit > rt->sent + 2)
		rt->limit = rt->sent + 2;
}

void ike_rt_clear(struct ike_retransmit *rt)
{
	free(rt->data);
	*rt = (struct ike_retransmit){.hasty = rt->hasty};
}

int ike_answer_keep(struct ike_answer *a, uint64_t digest, const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len);

	if (!copy)
		return CS_ENOMEM;
	memcpy(copy, data, len);
	free(a->data);
	a->digest = digest;
	a->data = copy;
	a->len = len;
	return 0;
}

void ike_answer_clear(struct ike_answer *a)
{
	free(a->data);
	memset(a, 0, sizeof(*a));
}

/*
 * What is refused leaves no state, so its repeats look new.  Enough of the last ones are remembered
 * to say each but once; a flood of others makes the log repeat itself, as often as its bucket lets.
 */
bool ike_refusal_is_news(struct ike_engine *e, const struct cs_endpoint *local,
			 const struct cs_endpoint *remote, uint64_t digest)
{
	uint64_t key = digest ^ ike_hash_addrs(e, &local->addr, &remote->addr);

	for (unsigned i = 0; i < IKE_REFUSALS_MAX; i++) {
		if (e->refusals[i].key == key && e->refusals[i].until > e->now.mono) {
			e->stats.repeats_refused++;
			return false;
		}
	}
	if (!ike_take_token(e, &e->log_bucket))
		return false;
	e->refusals[e->next_refusal] = (struct ike_refusal){key, e->now.mono + IKE_REPEAT_MS};
	e->next_refusal = (e->next_refusal + 1) % IKE_REFUSALS_MAX;
	return true;
}
