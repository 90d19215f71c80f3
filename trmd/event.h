/*
 * A packet that a filter rule logged: what NFLOG brought of it, before anybody looks into the
 * packet. The prefix that names rule and reason is described at XF_LOG_GROUP in xfrm/xfrm.h.
 */
#ifndef TRMD_EVENT_H
#define TRMD_EVENT_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the order of trmd_reason_name(). */
enum trmd_reason {
	TRMD_PERMIT,
	TRMD_DENY,
	TRMD_IMPLICIT,
	TRMD_UNPROTECTED,
	TRMD_MISMATCH,
	TRMD_HELD,
	TRMD_REASONS
};

#define TRMD_RULE_NAME 128 /* the kernel's prefix is not longer */

struct trmd_event {
	/* of the prefix */
	uint64_t generation;
	enum trmd_reason reason;
	bool outbound;
	unsigned rule;             /* its position in the policy of that generation */
	char name[TRMD_RULE_NAME]; /* letters, digits, _-.@#:+/ and ?; "-": no rule of the policy */
	/* of the packet */
	uint8_t family;   /* AF_INET or AF_INET6; 0: the hook does not know */
	uint8_t hook;     /* enum nf_inet_hooks */
	uint32_t in, out; /* interfaces by index; 0: none */
	char in_name[IF_NAMESIZE], out_name[IF_NAMESIZE]; /* "": not known (any more) */
	uint32_t mark;
	uint8_t hw_addr[8]; /* whom it came from, in the network that it came by */
	uint8_t hw_len;     /* 0: not known */
	bool has_seq;
	uint32_t seq;     /* counts what the kernel queued for this group */
	int64_t time_us;  /* since 1970: when it came, or was read where the kernel does not say */
	bool kernel_time; /* time_us is the kernel's */
	const uint8_t *p; /* from its IP header on; may be cut off */
	size_t len;
};

/* "permit", as in the prefix. */
const char *trmd_reason_name(enum trmd_reason reason);
/* False: it is not a prefix of ours. Fills the first part of e alone. */
bool trmd_prefix_parse(const char *text, size_t len, struct trmd_event *e);

#endif
