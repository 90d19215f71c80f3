/*
 * How many messages of packets are written: a token bucket for each rule and direction.  What it
 * holds back is counted and told, rule by rule.  Pure: times are the caller's, in milliseconds of a
 * clock that does not jump.
 */
#ifndef TRMD_LIMIT_H
#define TRMD_LIMIT_H

#include "common/err.h"
#include "trmd/event.h"

#define TRMD_REPORT_MS 300000

/* A rate of 0: no limit. */
struct trmd_limit_settings {
	uint32_t permits_per_s, permits_burst;
	uint32_t denies_per_s, denies_burst;
	unsigned keys; /* rules and directions that are told apart; of more, all others are one */
};

/* Of permits and of denies 100 a second and 1000 at once; 4096 keys. */
struct trmd_limit_settings trmd_limit_defaults(void);

struct trmd_limit;

int trmd_limit_new(const struct trmd_limit_settings *settings, struct trmd_limit **limit,
		   struct cs_err *err);
void trmd_limit_free(struct trmd_limit *limit); /* NULL is allowed */
/* Other settings (but keys); what has been counted stays. */
int trmd_limit_configure(struct trmd_limit *limit, const struct trmd_limit_settings *settings,
			 struct cs_err *err);
/* May the message of this event be written? Otherwise it is counted. */
bool trmd_limit_pass(struct trmd_limit *limit, const struct trmd_event *e, int64_t now_ms);

/* TRMD_OTHER_RULES: all that had no place among the keys.  False: told it could not be. */
typedef bool trmd_suppressed_fn(void *arg, const char *rule, bool outbound, uint64_t count);
#define TRMD_OTHER_RULES "(other)"
/*
 * Calls fn for what was held back since the last time and forgets what it told, where the last time
 * is TRMD_REPORT_MS ago, or when told to (at the end).  Returns how long to wait until the next.
 */
int64_t trmd_limit_report(struct trmd_limit *limit, int64_t now_ms, bool all,
			  trmd_suppressed_fn *fn, void *arg);
uint64_t trmd_limit_suppressed(const struct trmd_limit *limit); /* since the beginning */

#endif
