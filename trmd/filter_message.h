/*
 * The log lines of packets that filter rules logged, in the shape of the original's messages.
 *
 *   EZD0814I Packet permitted             EZD0821I Packet denied, no tunnel
 *   EZD0815I Packet denied by policy      EZD0822I Packet denied, tunnel inactive
 *   EZD0836I Packet permitted (ICMP)      EZD0833I Packet denied, tunnel mismatch
 *
 * Each field is NAME= and a blank and its value, and no value has a blank or anything that begins a
 * line.  From IBM's descriptions of the messages; the text of EZD0814I is that of its sisters, and
 * "-=" for a tag without a value is from memory.
 */
#ifndef TRMD_FILTER_MESSAGE_H
#define TRMD_FILTER_MESSAGE_H

#include "common/log.h"
#include "trmd/event.h"
#include "trmd/packet.h"

/* What pagent knows about the filter that a packet matched (filters.h). */
struct trmd_filter_facts {
	const char *name;         /* of the rule as the policy has it; NULL: as in the event */
	unsigned extension;       /* which copy of the rule; 0: not known */
	const char *vpn_action;   /* NULL: none, or not known */
	const char *tunnel;       /* "Y7", "M1"; "Y0": none is up, "0x00": none is wanted; NULL */
	unsigned security_class;  /* of that interface, 0: not known */
	bool routed;              /* of what comes in: it is not for this host */
	struct cs_addr interface; /* of the interface that it came in by or leaves by */
};

struct trmd_filter_message {
	const char *id; /* "EZD0814I" */
	enum cs_severity severity;
	char text[CS_LOG_LINE - 64]; /* without the id */
};

/*
 * False: there is not even an address to tell of; the caller counts that.  Facts are all zero when
 * nothing is known.
 */
bool trmd_filter_message(const struct trmd_event *e, const struct trmd_filter_facts *facts,
			 struct trmd_filter_message *m);

/*
 * "CSI6101I Packet messages suppressed: 2026-01-15T10:20:30.450000Z filter rule= R dir= I count= 7"
 * and CSI6102W "Packet messages lost:" with the same fields.
 */
void trmd_suppressed_message(const char *rule, bool outbound, uint64_t count, int64_t now_us,
			     struct trmd_filter_message *m);
void trmd_lost_message(const char *rule, bool outbound, uint64_t count, int64_t now_us,
		       struct trmd_filter_message *m);

#define TRMD_TIME_STRLEN 28
/* "2026-01-15T10:20:30.450000Z" */
const char *trmd_time_text(int64_t us, char text[static TRMD_TIME_STRLEN]);

#endif
