/* Token buckets by rule and direction. */
#include "trmd/limit.h"

#include <stdlib.h>
#include <string.h>

#define KEYS_MAX 65536
#define RATE_MAX 1000000

struct bucket {
	char name[TRMD_RULE_NAME];
	bool outbound, denies; /* denies have a rate of their own, so also a bucket */
	uint64_t tokens;       /* thousandths of a message */
	int64_t filled_ms;
	uint64_t suppressed;
};

struct trmd_limit {
	struct trmd_limit_settings settings;
	struct bucket *buckets; /* in the order in which they came; the last four are the others' */
	uint32_t *slots;        /* open addressing: 1 + bucket, 0 is free */
	uint32_t n, n_slots;    /* n_slots is a power of two */
	int64_t reported_ms;
	bool begun; /* reported_ms is set */
	uint64_t suppressed;
};

struct trmd_limit_settings trmd_limit_defaults(void)
{
	return (struct trmd_limit_settings){
		.permits_per_s = 100,
		.permits_burst = 1000,
		.denies_per_s = 100,
		.denies_burst = 1000,
		.keys = 4096,
	};
}

static int check(const struct trmd_limit_settings *s, struct cs_err *err)
{
	if (s->permits_per_s > RATE_MAX || s->denies_per_s > RATE_MAX ||
	    s->permits_burst > RATE_MAX || s->denies_burst > RATE_MAX)
		return cs_fail(err, CS_EINVAL, "at most %d messages a second", RATE_MAX);
	if ((s->permits_per_s && !s->permits_burst) || (s->denies_per_s && !s->denies_burst))
		return cs_fail(err, CS_EINVAL, "a limit of messages needs a burst of at least 1");
	if (s->keys < 1 || s->keys > KEYS_MAX)
		return cs_fail(err, CS_EINVAL, "1 to %d rules are told apart, not %u", KEYS_MAX,
			       s->keys);
	return 0;
}

int trmd_limit_new(const struct trmd_limit_settings *settings, struct trmd_limit **out,
		   struct cs_err *err)
{
	struct trmd_limit *l;
	int rc = check(settings, err);

	if (rc < 0)
		return rc;
	l = calloc(1, sizeof(*l));
	if (!l)
		return cs_fail(err, CS_ENOMEM, "no memory for limits of messages");
	l->settings = *settings;
	for (l->n_slots = 16; l->n_slots < 2 * settings->keys; l->n_slots *= 2)
		;
	l->buckets = calloc(settings->keys + 4u, sizeof(*l->buckets));
	l->slots = calloc(l->n_slots, sizeof(*l->slots));
	if (!l->buckets || !l->slots) {
		trmd_limit_free(l);
		return cs_fail(err, CS_ENOMEM, "no memory for limits of messages");
	}
	for (unsigned i = 0; i < 4; i++) {
		struct bucket *b = &l->buckets[settings->keys + i];

		strcpy(b->name, TRMD_OTHER_RULES);
		b->outbound = i & 1;
		b->denies = i & 2;
		b->filled_ms = INT64_MIN; /* full */
	}
	*out = l;
	return 0;
}

void trmd_limit_free(struct trmd_limit *l)
{
	if (!l)
		return;
	free(l->buckets);
	free(l->slots);
	free(l);
}

int trmd_limit_configure(struct trmd_limit *l, const struct trmd_limit_settings *settings,
			 struct cs_err *err)
{
	struct trmd_limit_settings s = *settings;
	int rc;

	s.keys = l->settings.keys;
	rc = check(&s, err);
	if (rc == 0)
		l->settings = s;
	return rc;
}

/* ---- keys ---- */

static uint32_t hash(const char *name, bool outbound, bool denies)
{
	uint32_t h = 2166136261u ^ (uint32_t)(outbound + 2 * denies);

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h ^ h >> 15;
}

static struct bucket *bucket_of(struct trmd_limit *l, const struct trmd_event *e, bool denies)
{
	uint32_t at = hash(e->name, e->outbound, denies) & (l->n_slots - 1);
	struct bucket *b;

	for (; l->slots[at]; at = (at + 1) & (l->n_slots - 1)) {
		b = &l->buckets[l->slots[at] - 1];
		if (b->outbound == e->outbound && b->denies == denies &&
		    strcmp(b->name, e->name) == 0)
			return b;
	}
	if (l->n == l->settings.keys)
		return &l->buckets[l->settings.keys + (uint32_t)(e->outbound + 2 * denies)];
	b = &l->buckets[l->n++];
	l->slots[at] = l->n;
	strcpy(b->name, e->name);
	b->outbound = e->outbound;
	b->denies = denies;
	b->filled_ms = INT64_MIN;
	return b;
}

/* ---- tokens ---- */

static void fill(struct bucket *b, uint32_t per_s, uint32_t burst, int64_t now_ms)
{
	uint64_t full = (uint64_t)burst * 1000, passed;

	if (b->filled_ms == INT64_MIN) {
		b->tokens = full;
	} else if (now_ms > b->filled_ms) {
		passed = (uint64_t)(now_ms - b->filled_ms);
		/* Longer than it takes to fill it is no different. */
		if (passed > full)
			passed = full;
		b->tokens += passed * per_s;
	}
	if (b->tokens > full)
		b->tokens = full;
	if (now_ms > b->filled_ms)
		b->filled_ms = now_ms;
}

bool trmd_limit_pass(struct trmd_limit *l, const struct trmd_event *e, int64_t now_ms)
{
	bool denies = e->reason != TRMD_PERMIT;
	uint32_t per_s = denies ? l->settings.denies_per_s : l->settings.permits_per_s;
	uint32_t burst = denies ? l->settings.denies_burst : l->settings.permits_burst;
	struct bucket *b;

	if (!l->begun) {
		l->begun = true;
		l->reported_ms = now_ms;
	}
	if (per_s == 0)
		return true;
	b = bucket_of(l, e, denies);
	fill(b, per_s, burst, now_ms);
	if (b->tokens >= 1000) {
		b->tokens -= 1000;
		return true;
	}
	b->suppressed++;
	l->suppressed++;
	return false;
}

/* ---- the report ---- */

/* False: it is still to be told. */
static bool report(struct bucket *b, trmd_suppressed_fn *fn, void *arg)
{
	if (b->suppressed && !fn(arg, b->name, b->outbound, b->suppressed))
		return false;
	b->suppressed = 0;
	return true;
}

/*
 * Rules come and go with policies.  When all places are taken, everybody begins anew: all have been
 * told of, and who has many messages now has spent the burst again at once.
 */
static void forget(struct trmd_limit *l)
{
	memset(l->slots, 0, l->n_slots * sizeof(*l->slots));
	memset(l->buckets, 0, l->n * sizeof(*l->buckets));
	l->n = 0;
}

int64_t trmd_limit_report(struct trmd_limit *l, int64_t now_ms, bool all, trmd_suppressed_fn *fn,
			  void *arg)
{
	bool told = true;

	if (!l->begun) {
		l->begun = true;
		l->reported_ms = now_ms;
	}
	if (!all && now_ms - l->reported_ms < TRMD_REPORT_MS)
		return TRMD_REPORT_MS - (now_ms - l->reported_ms);
	for (uint32_t i = 0; i < l->n; i++)
		told &= report(&l->buckets[i], fn, arg);
	for (uint32_t i = 0; i < 4; i++)
		told &= report(&l->buckets[l->settings.keys + i], fn, arg);
	if (told && l->n == l->settings.keys)
		forget(l);
	l->reported_ms = now_ms;
	return TRMD_REPORT_MS;
}

uint64_t trmd_limit_suppressed(const struct trmd_limit *l)
{
	return l->suppressed;
}
