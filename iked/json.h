/*
 * SAs as JSON objects, for the management socket and the audit trail alike.  Keys are the labels of
 * the ipsec command's reports; numbers are numbers, times are seconds since the epoch, sizes and
 * lives have their unit's plain number (kilobytes, seconds), null stands for what does not apply.
 */
#ifndef IKE_JSON_H
#define IKE_JSON_H

#include <jansson.h>

#include "iked/engine.h"

/* Labels of `ipsec -k display`.  NULL only when memory is short. */
json_t *ike_json_p1(const struct ike_p1_info *info);

/*
 * Labels of `ipsec -y display`; with ike_view those of `-y display -b`. in and out are the SAs'
 * counters, NULL when not known.
 */
json_t *ike_json_p2(const struct ike_p2_info *info, bool ike_view, const struct xf_counters *in,
		    const struct xf_counters *out, int64_t now);

/* What the outbox keeps of a record: event, time, both SAs, since when, reason. */
json_t *ike_json_record(const struct ike_record *rec);
const char *ike_record_name(enum ike_record_kind kind); /* "P1_UP" */

#endif
