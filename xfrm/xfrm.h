/*
 * xfrm: the kernel.  Security associations, policies, events and counters by XFRM netlink (libmnl),
 * filters by nftables (libnftables).  Marks and reqids are explained in docs/architecture.md.
 */
#ifndef XF_XFRM_H
#define XF_XFRM_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "common/addr.h"
#include "common/alg.h"
#include "common/buf.h"
#include "common/err.h"

struct pol_policy;
struct pol_manvpn_action;

/* ---- marks and reqids ---- */

/*
 * One field of the packet mark is ours.  Its values: 0 not yet looked at, 1 permitted in clear,
 * 2 exempt (IKE, outer ESP), 3 arrived in a tunnel and accepted, 16 to 8191 the id of an ipsec
 * rule, 8192 for a client whose SAs have ended, 8193 and up a client behind a NAT.
 */
enum xf_mark { XF_MARK_NONE = 0, XF_MARK_PERMIT = 1, XF_MARK_EXEMPT = 2, XF_MARK_INBOUND = 3 };
#define XF_MARK_RULE_MIN      16u
#define XF_MARK_RULE_MAX      8191u
#define XF_MARK_CLIENT_GONE   8192u
#define XF_MARK_CLIENT_MIN    8193u
#define XF_MARK_CLIENT_MAX    16383u
#define XF_MARK_SHIFT_DEFAULT 16 /* the field is 14 bits wide: mask 0x3fff0000 */

struct xf_marking {
	unsigned shift; /* 0 to 18 */
};
uint32_t xf_mark_value(const struct xf_marking *m, unsigned value);
uint32_t xf_mark_mask(const struct xf_marking *m);

/* reqid: 14 bits of rule id, 18 bits of tunnel (0: the rule's anchor, never of an SA). */
#define XF_REQID_TUNNEL_BITS 18
#define XF_REQID_TUNNEL_MAX  ((1u << XF_REQID_TUNNEL_BITS) - 1)
uint32_t xf_reqid(unsigned rule_id, unsigned tunnel);
unsigned xf_reqid_rule(uint32_t reqid);
unsigned xf_reqid_tunnel(uint32_t reqid);
bool xf_reqid_is_tunnel(uint32_t reqid); /* of a tunnel that iked made */
/* Of manual tunnel M<number>: its SAs are pagent's, and rules share it. */
uint32_t xf_reqid_manual(unsigned number);
bool xf_reqid_is_manual(uint32_t reqid);

/* ---- security associations ---- */

enum xf_mode { XF_TRANSPORT, XF_TUNNEL };

struct xf_said {
	struct cs_addr dst;
	uint8_t proto; /* IPPROTO_ESP or IPPROTO_AH */
	uint32_t spi;  /* host byte order */
};
bool xf_said_equal(const struct xf_said *a, const struct xf_said *b);

/*
 * ESP of a bundle has no integrity of its own, its AH has.  So that it cannot be used without, its
 * inbound SPIs are from a range of their own, and what comes to us as ESP with one of these, and
 * not inside AH, is dropped by nftables.  No other SPI is from there.
 */
#define XF_SPI_BUNDLED_MIN 0x0ff00000u /* POL_SPI_BUNDLED_MIN */
#define XF_SPI_BUNDLED_MAX 0x0fffffffu
enum xf_spi_kind { XF_SPI_PLAIN, XF_SPI_BUNDLED };

/* One direction. Keys are read during the call only. */
struct xf_sa {
	struct xf_said id;
	struct cs_addr src;
	uint32_t reqid;
	enum xf_mode mode;
	bool outbound;
	bool asked; /* of a dump: no SA, but what a packet asked for, with an SPI or without */
	const struct cs_cipher *cipher; /* NULL with AH */
	struct cs_bytes cipher_key;     /* with the salt behind it for AEAD */
	const struct cs_integ *integ;   /* NULL with AEAD and in a bundle */
	struct cs_bytes integ_key;
	unsigned icv_bits;           /* of integ; 0: as many as it has */
	bool bundled;                /* ESP under AH */
	bool manual;                 /* nobody refreshes it: its sequence numbers may wrap */
	bool clear_df, clear_dscp;   /* outbound tunnel: not as in the packet, but 0 */
	struct cs_selector selector; /* transport mode restricts to it; as seen from this host */
	uint32_t soft_seconds, hard_seconds; /* 0: none */
	uint64_t soft_bytes, hard_bytes;     /* 0: none */
	bool tell_first_packet; /* a soft expire event with the first packet (soft packet limit 1)
				 */
	uint32_t replay_window; /* packets; 0 on outbound */
	uint16_t encap_sport, encap_dport; /* UDP encapsulation (RFC 3948); 0: none */
	struct cs_addr
		encap_oa; /* transport mode: the peer's address behind its NAT (NAT-OA); none */
	unsigned client;  /* inbound: what comes out gets this client's mark; 0: none */
};

/* Where the other end of a live SA is now. */
struct xf_move {
	struct xf_said id; /* as it is now */
	bool outbound;     /* then id.dst changes to peer */
	struct cs_addr peer;
	uint16_t encap_port; /* the peer's UDP port */
};

struct xf_counters {
	uint64_t packets, bytes;
	uint64_t added, used; /* seconds since the epoch; used 0: never */
	uint32_t replay_errors, integrity_failures;
};

/* ---- policies ---- */

enum xf_dir { XF_IN, XF_OUT, XF_FWD };
enum xf_action { XF_ALLOW, XF_BLOCK };

#define XF_PRIO_TUNNEL   1000u /* iked's, one a tunnel, ahead of its anchor */
#define XF_PRIO_MANUAL   1200u /* pagent's: a rule's manual tunnel, while it is active */
#define XF_PRIO_HOLD     1500u /* iked's, where a tunnel's will be */
#define XF_PRIO_ANCHOR   2000u /* pagent's: one an ipsec rule and family; what nftables let in */
#define XF_PRIO_NEIGHBOR 2500u /* pagent's, unmarked: what IPv6 cannot do without */
#define XF_PRIO_CLOSED   3000u /* pagent's, unmarked: what stays shut when our table is gone */

struct xf_policy {
	enum xf_dir dir;
	struct cs_selector
		selector; /* as seen from this host; in and fwd are turned round for the kernel */
	uint8_t family;   /* with an all-zero selector */
	uint32_t priority;
	uint32_t mark, mark_mask;
	enum xf_action action;
	/*
	 * Out: what finds no SA by the template, or without a template everything, is held: it asks
	 * for an SA where there is a template, and vanishes without an error to who sent it.
	 */
	bool hold;
	/* template; none when reqid and optional are 0 */
	bool has_template, optional;
	enum xf_mode mode;
	uint8_t proto;
	bool bundle; /* proto is ESP, and AH in transport mode goes around it */
	uint32_t reqid;
	struct cs_addr local, remote; /* tunnel mode; none: any */
	int64_t added;                /* set by reading: seconds since the epoch */
};

/* ---- the netlink socket ---- */

struct xf_kernel;

int xf_open(const struct xf_marking *marking, struct xf_kernel **k, struct cs_err *err);
void xf_close(struct xf_kernel *k);

/* What this kernel can do, tried and not guessed; missing names what lacks, for one clear message.
 */
struct xf_abilities {
	bool xfrm, esp4, esp6, nft_inet, nft_xfrm;
	char missing[160];
};
void xf_probe(struct xf_kernel *k, struct xf_abilities *abilities);

/*
 * Requests are synchronous.  A refusal is CS_EKERNEL (CS_EEXIST, CS_ENOTFOUND where that is the
 * reason) with the object and the kernel's extended-ack text.
 */
int xf_sa_spi(struct xf_kernel *k, const struct cs_addr *src, const struct cs_addr *dst,
	      uint8_t proto, enum xf_spi_kind kind, uint32_t reqid, enum xf_mode mode,
	      uint32_t *spi, struct cs_err *err);
int xf_sa_add(struct xf_kernel *k, const struct xf_sa *sa, struct cs_err *err);
int xf_sa_update(struct xf_kernel *k, const struct xf_sa *sa,
		 struct cs_err *err); /* over a larval */
int xf_sa_delete(struct xf_kernel *k, const struct xf_said *id, struct cs_err *err);
/* Keys, sequence numbers, replay window, lifetimes and counters go along. */
int xf_sa_move(struct xf_kernel *k, const struct xf_move *m, struct cs_err *err);
int xf_sa_counters(struct xf_kernel *k, const struct xf_said *id, struct xf_counters *c,
		   struct cs_err *err);
typedef int xf_sa_fn(void *arg, const struct xf_sa *sa, const struct xf_counters *c);
/* Without keys; SPI 0 is the larval state of an acquire. */
int xf_sa_dump(struct xf_kernel *k, xf_sa_fn *fn, void *arg, struct cs_err *err);
/* Replaces one of that direction, selector and mark; a hold without a template is then CS_EEXIST.
 */
int xf_policy_add(struct xf_kernel *k, const struct xf_policy *p, struct cs_err *err);
int xf_policy_delete(struct xf_kernel *k, const struct xf_policy *p, struct cs_err *err);
typedef int xf_policy_fn(void *arg, const struct xf_policy *p);
int xf_policy_dump(struct xf_kernel *k, xf_policy_fn *fn, void *arg, struct cs_err *err);
/*
 * The tunnel policies that are there, each as it was given to xf_policy_add, ordered by reqid and
 * so by rule; the caller frees them. With none *policies is NULL.
 */
int xf_tunnel_policies(struct xf_kernel *k, struct xf_policy **policies, size_t *n,
		       struct cs_err *err);

struct xf_acquire {
	unsigned rule_id;            /* the rule of the reqid */
	unsigned mark;               /* of the policy that asked: the rule's, or a client's */
	struct cs_selector selector; /* of the packet, as seen from this host */
	struct cs_addr src, dst;     /* of the larval state */
	uint8_t proto;
	uint32_t reqid;
	enum xf_mode mode;
	uint32_t spi; /* of the larval state: 0 unless somebody was killed while he cleared it */
};
/* The acquire that an SA of a dump is the larval state of; false: it is none of ours. */
bool xf_acquire_of(const struct xf_sa *sa, struct xf_acquire *a);
/*
 * Ends the larval state of an acquire.  As long as it lives the kernel raises no other acquire for
 * that pair of addresses and rule, nor for some other sources (docs/architecture.md).
 */
int xf_larval_clear(struct xf_kernel *k, const struct xf_acquire *a, struct cs_err *err);

/* ---- events ---- */

struct xf_expire {
	struct xf_said id;
	bool hard;
	struct xf_counters counters;
};

/* ESP that was authenticated came from another address or port than the SA has. */
struct xf_mapping {
	struct xf_said id; /* inbound */
	uint32_t reqid;
	struct cs_endpoint old_peer, new_peer;
};
struct xf_event_ops {
	void (*acquire)(void *arg, const struct xf_acquire *a); /* by a policy of ours */
	void (*expire)(void *arg, const struct xf_expire *e);
	void (*mapping)(void *arg, const struct xf_mapping *m);
	/* The kernel dropped events (ENOBUFS): dump and reconcile. */
	void (*overrun)(void *arg);
	/* Somebody removed our nftables table or changed it, or flushed SAD or SPD (pagent). */
	void (*ruleset)(void *arg);
};
struct xf_events;

int xf_events_open(const struct xf_marking *marking, bool ruleset, struct xf_events **ev,
		   struct cs_err *err);
int xf_events_fd(const struct xf_events *ev); /* non-blocking; readable: call xf_events_read */
int xf_events_read(struct xf_events *ev, const struct xf_event_ops *ops, void *arg,
		   struct cs_err *err);
void xf_events_close(struct xf_events *ev);

/* ---- the policy in the kernel (pagent) ---- */

/*
 * Puts a policy in force: policies for new ipsec rules, one nftables transaction, then the removal
 * of what the new policy no longer needs. Repeating it is harmless and repairs what is missing. Of
 * rules with time conditions those are in the table that are active at the time now; who asks later
 * whether it is still there asks for the same time.
 */
int xf_install(struct xf_kernel *k, const struct pol_policy *policy, time_t now,
	       struct cs_err *err);
/*
 * The same, and the counters of rules that are as they were begin with what they have counted in
 * the table that is there.  What a rule counts between the reading of that and the transaction,
 * some milliseconds for 1,000 rules, is not in its counter.
 */
struct xf_carry {
	const unsigned *from; /* by rule: 1 + the rule of the table's policy, 0: begin with 0 */
	unsigned n_before;    /* rules of the table's policy */
};
int xf_install_over(struct xf_kernel *k, const struct pol_policy *policy, time_t now,
		    const struct xf_carry *carry, struct cs_err *err);
/* Removes our table, pagent's own policies and what they lead to; iked's tunnels are iked's. */
int xf_uninstall(struct xf_kernel *k, struct cs_err *err);
/* The ruleset that xf_install would load; malloc'ed text, for tests and `pagent -n --nft`. */
char *xf_ruleset(const struct xf_marking *marking, const struct pol_policy *policy, time_t now);
/*
 * Interfaces come, go and change their MTU, and what xf_install told senders of it follows. Call it
 * each minute; nothing installed is no error.
 */
int xf_mtu_follow(struct cs_err *err);
/*
 * Is our table there, with the generation of this policy, and all else that xf_install makes at
 * that time?
 */
bool xf_installed(struct xf_kernel *k, const struct pol_policy *policy, time_t now);

/* ---- manual tunnels (pagent) ---- */

/*
 * Makes the kernel have the SAs and outbound policies of the policy's manual tunnels that are up
 * (up[i] is of policy->manuals[i]), and of no other.  What is there as it should be is not touched,
 * so its sequence numbers go on.  Call it after xf_install, which makes the marks.  A tunnel that
 * the kernel refuses does not keep the others from it; the first refusal is returned.
 */
struct xf_manual_watch {
	/* Of each SA that is removed, just before it is. */
	void (*gone)(void *arg, const struct xf_said *id, const struct xf_counters *c);
	void *arg;
};
/* watch may be NULL. */
int xf_manual_install(struct xf_kernel *k, const struct pol_policy *policy, const bool *up,
		      const struct xf_manual_watch *watch, struct cs_err *err);
bool xf_manual_installed(struct xf_kernel *k, const struct pol_policy *policy, const bool *up);
/* All there are. */
int xf_manual_remove(struct xf_kernel *k, const struct xf_manual_watch *watch, struct cs_err *err);
/* Its SAs, one half inbound, then the other outbound, of each its ESP first; their number. */
#define XF_MANUAL_SAS 4
unsigned xf_manual_ids(const struct pol_manvpn_action *action,
		       struct xf_said ids[static XF_MANUAL_SAS]);
/* Of its ESP, or of its AH where there is no ESP. CS_ENOTFOUND when it is not in the kernel. */
int xf_manual_counters(struct xf_kernel *k, const struct pol_manvpn_action *action,
		       struct xf_counters *in, struct xf_counters *out, struct cs_err *err);

/* ---- clients behind a NAT: their connections ---- */

/* Has it ipsec rules, and allows NAT? Only then the kernel gets what clients need. */
bool xf_policy_has_clients(const struct pol_policy *policy);

/* Seen from this host. Where two have equal ports the second is seen with another one. */
struct xf_connection {
	unsigned client;
	uint8_t proto;
	struct cs_endpoint remote, local; /* as the client sends; no ports but of TCP and UDP */
	uint16_t seen_port;               /* what stands here for the remote port */
};
typedef int xf_connection_fn(void *arg, const struct xf_connection *c);
/* Of all clients, those that have gone as well. fn's result that is not 0 ends it. */
int xf_client_connections(xf_connection_fn *fn, void *arg, struct cs_err *err);
/*
 * What answers a client without an SA is dropped for as long as the connection is remembered, also
 * when its mark is given to somebody else. Call it each minute; such a mark may be given anew two
 * minutes after the last SA went.
 */
int xf_clients_gone(struct xf_kernel *k, const struct pol_policy *policy, struct cs_err *err);

/*
 * What is logged goes to this NFLOG group, so many bytes of each packet, at most so many packets at
 * once.  The prefix, of 127 characters at most:
 *
 *   csipsec GENERATION REASON DIRECTION RULE NAME
 *
 * RULE is the rule's position in the policy of that generation, that of the implicit deny behind
 * the last; NAME has ? for characters other than letters, digits and _-.@#:+/, and is - for the
 * implicit deny.  DIRECTION is i or o; a forwarded packet has one of each.  REASON:
 *
 *   permit       let pass; by an ipsec rule through its tunnel
 *   deny         by a deny rule
 *   implicit     by no rule
 *   unprotected  an ipsec rule's, and came or would leave in clear
 *   mismatch     came by an SA that is not of the rule, or of a permit rule by any
 *   held         an ipsec rule's, and there is no SA to send it by yet
 *
 * What is sent to a client behind a NAT is not logged.
 */
#define XF_LOG_GROUP 119u
#define XF_LOG_BYTES 128u
#define XF_LOG_QUEUE 32u

/* Counters of one installed filter: rule by its position, service, and direction. */
struct xf_filter_count {
	unsigned rule, service; /* indices; rule == n_rules: the implicit deny */
	bool outbound;
	uint64_t packets, bytes;
};
typedef void xf_filter_fn(void *arg, const struct xf_filter_count *c);
int xf_filter_counts(struct xf_kernel *k, xf_filter_fn *fn, void *arg, struct cs_err *err);

/* ---- addresses of this host: addresses.c ---- */

struct xf_addresses;
/* One has come or gone. Those that cannot be used yet (IPv6 looks for duplicates) are not here. */
typedef void xf_address_fn(void *arg, const struct cs_addr *address, bool here);

int xf_addresses_open(struct xf_addresses **addresses, struct cs_err *err);
/* Readable when xf_addresses_read() is worth a call. */
int xf_addresses_fd(const struct xf_addresses *a);
/* What has changed since the last call; at the first call all that are here. */
int xf_addresses_read(struct xf_addresses *a, xf_address_fn *fn, void *arg, struct cs_err *err);
void xf_addresses_close(struct xf_addresses *a); /* NULL is allowed */

#endif
