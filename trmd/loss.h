/*
 * Packets that a rule should have logged and of which no record came: what the rule's counter says
 * less the records.  Counters are looked at now and then (filters.h); a look has three steps,
 * because records of packets that are counted already may still be on their way:
 *
 *   trmd_loss_asked(l);                 then ask pagent
 *   trmd_loss_counters(l, filters);     when the answer is there
 *   trmd_loss_settle(l, fn, arg);       when what was queued then has come: two seconds later
 *
 * So what is told is never more than what was lost; what it is short of while packets come is told
 * by a later look.  Of rules that log some of what they count only, nothing is known.
 */
#ifndef TRMD_LOSS_H
#define TRMD_LOSS_H

#include "trmd/filters.h"

struct trmd_loss;

struct trmd_loss *trmd_loss_new(void); /* NULL: no memory */
void trmd_loss_free(struct trmd_loss *l);

/* A record came, whether it is written or held back. */
void trmd_loss_record(struct trmd_loss *l, const struct trmd_event *e);

void trmd_loss_asked(struct trmd_loss *l);
/* CS_ENOMEM, CS_EINVAL without trmd_loss_asked(). */
int trmd_loss_counters(struct trmd_loss *l, const struct trmd_filters *filters, struct cs_err *err);
/* So many more than were told before.  False: it could not be told, and a later look does. */
typedef bool trmd_lost_fn(void *arg, const char *rule, bool outbound, uint64_t count);
void trmd_loss_settle(struct trmd_loss *l, trmd_lost_fn *fn, void *arg);

/*
 * For a restart, so that what was logged while nobody listened is told.  Counters begin anew with
 * the kernel: boot is /proc/sys/kernel/random/boot_id, and a state of another boot is none
 * (CS_ENOTFOUND).  An error leaves l as it was.  Without it the first look is the beginning.
 * Records that came before it is loaded count.
 */
json_t *trmd_loss_save(const struct trmd_loss *l, const char *boot); /* NULL: no memory */
int trmd_loss_load(struct trmd_loss *l, const json_t *state, const char *boot, struct cs_err *err);

uint64_t trmd_loss_untracked(const struct trmd_loss *l); /* records of rules past the bound */

#endif
