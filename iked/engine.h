/*
 * The negotiation engine.  It decides everything that iked negotiates and does no I/O: datagrams,
 * kernel events, finished jobs, commands and expired deadlines come in by the functions below, each
 * with the present time; what is to be done goes out through struct ike_ops.  Any number of engines
 * can live in one process; none has a global.
 *
 * An operation is called from within the engine's own functions and must not call the engine back;
 * what it cannot finish at once it answers with IKE_LATER and completes afterwards.
 */
#ifndef IKE_ENGINE_H
#define IKE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/log.h"
#include "iked/cert.h"
#include "iked/crypto.h"
#include "iked/isakmp.h"
#include "iked/proposal.h"
#include "policy/policy.h"
#include "xfrm/xfrm.h"

/*
 * mono: milliseconds that never step back, for every timer. wall: seconds since the epoch, for
 * lifetimes that are shown and stored and for time conditions.
 */
struct ike_now {
	uint64_t mono;
	int64_t wall;
};

enum ike_done { IKE_DONE, IKE_LATER };

/* ---- views: what displays, the store and the audit trail know of an SA ---- */

enum ike_p1_state {
	IKE_P1_INIT,
	IKE_P1_WAIT_SA,
	IKE_P1_IN_KE,
	IKE_P1_WAIT_KE,
	IKE_P1_DONE,
	IKE_P1_EXPIRED
};
enum ike_p2_state { IKE_P2_PENDING, IKE_P2_INIT, IKE_P2_KEP, IKE_P2_DONE, IKE_P2_EXPIRED };
enum ike_activation {
	IKE_ACT_USER = 1,
	IKE_ACT_REMOTE = 2,
	IKE_ACT_ONDEMAND = 3,
	IKE_ACT_TAKEOVER = 5,
	IKE_ACT_AUTO = 6
};

#define IKE_ID_TEXT 256

/* Of the negotiation of a phase 1 SA and what was under it, as of the last exchange before a
 * restart. */
struct ike_p1_counts {
	uint32_t local_up, local_failed;   /* phase 2 negotiations that this side began */
	uint32_t remote_up, remote_failed; /* that the peer began */
	uint32_t retransmitted;            /* messages that were sent again for want of an answer */
	uint32_t repeated;                 /* messages that came again */
	uint32_t malformed, unauthentic;   /* encrypted messages that were refused */
};

/* No time that is kept or shared is later, so that setting a clock overflows none. */
#define IKE_WALL_MAX ((INT64_C(1) << 40) - 1)

struct ike_p1_info {
	uint32_t tunnel; /* n of K<n> */
	uint32_t generation;
	enum ike_p1_state state;
	bool initiator;
	enum pol_mode mode;
	const char *rule, *action; /* names, "" before one is known */
	uint32_t instance;         /* message instance number of the negotiation */
	struct cs_endpoint local, remote;
	uint8_t local_id_type, remote_id_type;
	char local_id[IKE_ID_TEXT], remote_id[IKE_ID_TEXT];
	struct ike_p1_suite suite; /* pointers NULL before it is agreed */
	uint8_t icookie[ISA_COOKIE_LEN], rcookie[ISA_COOKIE_LEN];
	int64_t established, refresh, expires; /* wall clock, 0: not yet */
	uint64_t bytes;
	uint32_t lifetime, lifesize; /* agreed: seconds, kbytes (0: none) */
	unsigned n_p2;               /* up or under way */
	unsigned n_p2_under_way;
	struct ike_p1_counts counts;
	bool allow_nat;
	uint8_t natt_level; /* what both speak: 0 nothing, 1 draft 02, 2 draft 03, 3 RFC 3947 */
	bool nat_local, nat_remote, nat_napt; /* in front of us; of the peer; with ports */
	bool nat_encap;                       /* ESP goes in UDP */
	char user[POL_USER_MAX + 1];          /* of a client that was let in, else "" */
	struct cs_addr client_address;        /* that it was given; family 0: none */
};

struct ike_p2_info {
	uint32_t tunnel; /* n of Y<n> */
	uint32_t parent; /* n of K<n> */
	uint32_t generation;
	uint32_t generations; /* the highest that its tunnel has had, up or not */
	enum ike_p2_state state;
	bool initiator;
	enum ike_activation activation;
	const char *rule, *action,
		*local_rule; /* IpFilterRule, IpDynVpnAction, LocalDynVpnRule or "" */
	uint16_t rule_id;
	uint32_t reqid, instance;
	uint32_t message_id; /* of its Quick Mode; 0: not known any more */
	struct ike_p2_suite suite;
	uint16_t pfs_group;
	struct cs_addr local, remote; /* security endpoints */
	struct cs_selector selector;
	uint32_t spi_in, spi_out;
	uint32_t ah_in, ah_out; /* of a bundle's AH, else 0 */
	int64_t installed, refresh, expires, vpn_expires;
	uint32_t lifetime, lifesize; /* agreed: seconds, kbytes (0: none) */
	uint32_t lifesize_refresh;   /* kbytes at which it is refreshed, 0: none is planned */
	bool pending;                /* it is up, and another pair of its tunnel is negotiated */
	bool passthrough_df, passthrough_dscp;
	bool nat_local, nat_remote,
		nat_napt;                   /* as in ike_p1_info; ESP is in UDP as suite.udp says */
	uint16_t encap_local, encap_remote; /* UDP ports, else 0 */
	struct cs_addr oa[2];               /* NAT-OA that came: of the initiator, the responder */
	uint16_t client;                    /* mark, see xfrm/xfrm.h, or 0 */
	struct cs_bytes local_id, remote_id; /* ID payload bodies, empty before they are known */
	char user[POL_USER_MAX + 1];         /* of the client that it is for, else "" */
};

/* ---- records: the audit trail and the SA cache, one transaction each ---- */

enum ike_record_kind {
	IKE_REC_P1_UP,     /* SMF 73 */
	IKE_REC_P1_DOWN,   /* SMF 74 */
	IKE_REC_P2_INTENT, /* gates the install */
	IKE_REC_P2_UP,     /* SMF 75 and 77: result of an intent */
	IKE_REC_P2_FAILED, /* the other result of an intent: the kernel refused */
	IKE_REC_P2_MOVED,  /* of the SA cache alone: its peer is somewhere else now, or it is under
			      another phase 1 SA */
	IKE_REC_P2_DOWN,   /* SMF 76 and 78 */
};

struct ike_record {
	enum ike_record_kind kind;
	struct ike_now when;
	uint64_t intent; /* P2_UP and P2_FAILED: the transaction number of their intent */
	const struct ike_p1_info *p1;
	const struct ike_p2_info *p2; /* NULL for phase 1 kinds */
	const struct xf_counters *in,
		*out;       /* P2_DOWN: last counters, NULL when not known any more */
	const char *reason; /* "" for UP */
	bool in_doubt;      /* P2_UP and P2_DOWN: nobody knows whether the kernel had it at all */
};

/* ---- what a phase 1 SA needs to live on in another process ---- */

#define IKE_KEPT_IDS  384u /* bytes of both identities; an SA with longer ones is not kept */
#define IKE_KEPT_MIDS 32u  /* the newest message ids */

/* Secret. Without pointers, so that it can lie in memory that outlives the process. */
struct ike_p1_kept {
	uint32_t tunnel, generation, instance;
	uint32_t generations; /* that its tunnel has had */
	bool initiator;
	enum pol_mode mode;
	char rule[POL_NAME_MAX + 1];
	uint8_t content[POL_CONTENT_LEN]; /* of the rule */
	struct cs_endpoint local, remote;
	uint8_t icookie[ISA_COOKIE_LEN], rcookie[ISA_COOKIE_LEN];
	uint16_t cipher, key_bits, hash, group, auth; /* RFC 2409 appendix A */
	struct ike_keys keys;
	uint8_t iv[IKE_BLOCK_MAX];
	int64_t established, expires; /* wall clock */
	uint32_t life_seconds;
	uint64_t life_kbytes, bytes;
	struct ike_p1_counts counts;
	uint16_t local_id_len, remote_id_len, n_mids;
	uint8_t natt_level, nat_local, nat_remote, nat_napt, nat_encap; /* as in ike_p1_info */
	uint8_t can;                                                    /* bits of vendor.h */
	uint8_t xauth; /* 1: of a client, with the user and the address that it was given */
	char user[POL_USER_MAX + 1];
	struct cs_addr client_address;
	uint8_t ids[IKE_KEPT_IDS]; /* two ID payload bodies */
	uint32_t mids[IKE_KEPT_MIDS];
};

#define IKE_KEPT_MESSAGE 1536u /* bytes of our own; with a longer one the exchange is not kept */

/*
 * Of a Quick Mode exchange whose intent is stored, what its end needs. Secret, and without
 * pointers, as above.
 */
struct ike_quick_kept {
	uint32_t tunnel, generation;                              /* of its pair */
	uint8_t icookie[ISA_COOKIE_LEN], rcookie[ISA_COOKIE_LEN]; /* of its phase 1 SA */
	uint32_t mid;
	bool commit;
	struct ike_nonce ni, nr;
	uint8_t iv[IKE_BLOCK_MAX]; /* behind our message */
	uint16_t keymat_len, ah_keymat_len, message_len;
	uint8_t keymat_in[IKE_KEYMAT_MAX], keymat_out[IKE_KEYMAT_MAX];
	uint8_t message[IKE_KEPT_MESSAGE]; /* ours: 3 as initiator, 2 as responder */
};

/* ---- public-key jobs, and passwords, which take as long ---- */

enum ike_pk_kind { IKE_PK_KEYPAIR, IKE_PK_SECRET, IKE_PK_PASSWORD };

#define IKE_PASSWORD_MAX 127 /* bytes of a user's password */

/* Allocated and freed by the engine; between submission and completion the executor's alone. */
struct ike_pk_job {
	enum ike_pk_kind kind;
	uint64_t owner; /* the engine's */
	const struct cs_group *group;
	struct ike_dh *dh;            /* KEYPAIR: result. SECRET: ours, stays the engine's */
	uint8_t peer[IKE_PUBLIC_MAX]; /* SECRET: the peer's value, peer_len bytes */
	size_t peer_len;
	uint8_t secret[IKE_SECRET_MAX]; /* SECRET: result, group->secret_len bytes */
	/* PASSWORD, which takes as long: status 0 when it is that of the hash */
	char hash[POL_CRYPT_MAX + 1], password[IKE_PASSWORD_MAX + 1];
	int status; /* result: 0 or cs_code */
	struct cs_err err;
};
/* Does the work; safe on any thread. */
void ike_pk_run(struct ike_pk_job *job);

/* ---- events: what somebody may wait for ---- */

/* FAILED: of a refresh only its last attempt, in which the policy's own list was offered. */
enum ike_event_kind { IKE_EV_P1_UP, IKE_EV_P1_DOWN, IKE_EV_P2_UP, IKE_EV_P2_DOWN, IKE_EV_FAILED };

struct ike_event {
	enum ike_event_kind kind;
	uint32_t instance;
	uint32_t p1_tunnel, p2_tunnel; /* 0: none */
	const char *rule;              /* key exchange or filter rule, "" when none */
	const char *reason;            /* one sentence; FAILED and DOWN */
};

/* ---- operations ---- */

struct ike_ops {
	/* The datagram leaves local for remote; the engine does not care whether it arrives. */
	void (*send)(void *ctx, const struct cs_endpoint *local, const struct cs_endpoint *remote,
		     const uint8_t *data, size_t len);
	void (*random)(void *ctx, void *buf, size_t len);
	enum ike_done (*pk)(void *ctx, struct ike_pk_job *job);
	enum ike_done (*cert)(void *ctx,
			      struct ike_cert_job *job); /* NULL: there are no certificates */

	/* The kernel; each refusal has its text. */
	int (*sa_spi)(void *ctx, const struct cs_addr *src, const struct cs_addr *dst,
		      uint8_t proto, enum xf_spi_kind kind, uint32_t reqid, enum xf_mode mode,
		      uint32_t *spi, struct cs_err *err);
	int (*sa_update)(void *ctx, const struct xf_sa *sa,
			 struct cs_err *err); /* inbound, over sa_spi */
	int (*sa_add)(void *ctx, const struct xf_sa *sa, struct cs_err *err);
	int (*sa_delete)(void *ctx, const struct xf_said *id, struct cs_err *err);
	int (*sa_counters)(void *ctx, const struct xf_said *id, struct xf_counters *c,
			   struct cs_err *err);
	int (*sa_move)(void *ctx, const struct xf_move *m, struct cs_err *err);
	int (*policy_add)(void *ctx, const struct xf_policy *p, struct cs_err *err);
	int (*policy_delete)(void *ctx, const struct xf_policy *p, struct cs_err *err);
	void (*larval_clear)(void *ctx, const struct xf_acquire *a);

	/*
	 * Stores a record. *tx is its transaction number. IKE_DONE: durable already; IKE_LATER:
	 * ike_engine_committed() follows, and the engine does not wait unless it is an intent.
	 */
	enum ike_done (*record)(void *ctx, const struct ike_record *rec, uint64_t *tx);

	/*
	 * Keeps a phase 1 SA that is up, over what was kept of it before; forgets it before its end
	 * is recorded. Both NULL: nothing is kept.
	 */
	void (*p1_keep)(void *ctx, const struct ike_p1_kept *kept);
	void (*p1_forget)(void *ctx, uint32_t tunnel, uint32_t generation);
	/* The same of a Quick Mode exchange, before its message leaves, by the numbers of its pair.
	 */
	void (*quick_keep)(void *ctx, const struct ike_quick_kept *kept);
	void (*quick_forget)(void *ctx, uint32_t tunnel, uint32_t generation);

	/*
	 * What was inherited by this number is of no use any more: its tunnel is up anew and the
	 * peer knows that the old SAs are gone, or nothing will come of it. NULL: nobody asks.
	 */
	void (*settled)(void *ctx, uint64_t ref);
	/* What the wall clock is ahead of mono, seconds; said when that changes. NULL: nobody asks.
	 */
	void (*clock)(void *ctx, int64_t offset);

	void (*log)(void *ctx, struct cs_logctx lc, const char *id, enum cs_severity severity,
		    const char *text);
	void (*event)(void *ctx, const struct ike_event *ev);
};

/* ---- the engine ---- */

struct ike_engine;

struct ike_settings {
	unsigned retries;       /* IkeRetries, 6 */
	unsigned init_wait_ms;  /* IkeInitWait, 2000 */
	uint16_t port;          /* 500 */
	uint16_t nat_port;      /* 4500 */
	unsigned max_half_open; /* responder exchanges without an authenticated peer; 0: 1000 */
	unsigned reserved_half_open; /* of these, for peers that the policy names by address; 0: a
					quarter */
	unsigned max_p1, max_p2;     /* bounds; 0: 200,000 */
	unsigned max_jobs;           /* public-key jobs under way past which a stranger's message 3
					(Aggressive Mode: 1) waits for its repetition, at twice that a
					named peer's; 0: 512 */
	unsigned replay_window;      /* packets; 0: 128 */
	unsigned max_takeover;       /* negotiations of a takeover at a time; 0: 128 */
	/* Addresses that move; each is passive until ike_engine_passive() says that it is not. The
	 * caller's, for as long as the engine lives. */
	const struct cs_range *vipas;
	unsigned n_vipas;
	uint32_t last_tunnel; /* K and Y numbers up to this one were given before */
	struct xf_marking marking;
};

int ike_engine_new(const struct ike_settings *settings, const struct ike_ops *ops, void *ctx,
		   struct ike_engine **engine, struct cs_err *err);
/* Deletes what it installed (telling peers when `tell`), unless keep: then SAs stay in the kernel.
 * Jobs under way must have been given back before.  An intent that the store has not answered for
 * gets its result in ike_engine_committed, or from the next start. */
void ike_engine_shutdown(struct ike_engine *e, bool tell, bool keep, struct ike_now now);
void ike_engine_free(struct ike_engine *e);

/*
 * What an engine before this one left: phase 1 SAs that it kept, what the SA cache has as up or
 * intended, and what the kernel has with a reqid of ours. Read during the call only.
 */
struct ike_cached_p2 {
	struct ike_p2_info info;
	uint64_t intent; /* transaction of an intent without result, 0: it is up */
};
struct ike_left_sa {
	struct xf_said id;
	struct cs_addr src;
	uint32_t reqid;
	bool larval; /* an SPI of ours that has no keys yet */
	struct xf_counters counters;
};
struct ike_leftovers {
	const struct ike_p1_kept *const *kept;
	const struct ike_quick_kept *const *quicks;
	const struct ike_p1_info *p1;
	const struct ike_cached_p2 *p2;
	const struct ike_left_sa *sas;
	const struct xf_policy *policies;
	int64_t clock_set; /* seconds by which the wall clock was set since that was all written */
	size_t n_kept, n_quicks, n_p1, n_p2, n_sas, n_policies;
};
struct ike_restored {
	unsigned p1, p2;                 /* tunnels that live on */
	unsigned removed, gone, intents; /* SAs taken out of the kernel; pairs not there; settled */
};
/*
 * At start, with the policy in force and before anything else. Phase 1 SAs live on as they were
 * kept, SA pairs whose both SAs are in the kernel, too. The rest gets the records that it lacks,
 * is removed from the kernel when these are durable, and a peer that can be told is told.
 */
int ike_engine_restore(struct ike_engine *e, const struct ike_leftovers *left, struct ike_now now,
		       struct ike_restored *restored, struct cs_err *err);

/* ---- an address that moves between hosts (DVIPA) ---- */

/* A pair that another host, or this one in its last life, had at an address that is here now. */
struct ike_inherited {
	struct ike_p2_info p2;
	const struct ike_p1_info *p1; /* that it was under; NULL: not known */
	int64_t used;                 /* wall clock of its last packet, 0: not known */
	uint64_t ref;                 /* the caller's, for the operation settled */
};
/*
 * Negotiates each of them anew, from what was agreed last time, most recently used first, many at a
 * time but few with one peer; who is wanted by a packet comes first. What the policy does not have
 * any more, and peers that only can begin themselves, are logged, and the latter awaited. Read
 * during the call only. CS_ENOMEM: for some of them.
 */
int ike_engine_take_over(struct ike_engine *e, const struct ike_inherited *rows, size_t n,
			 struct ike_now now, struct cs_err *err);
/* Is there anything that can be begun, or is under way? */
bool ike_engine_taking_over(const struct ike_engine *e);
/* A packet has come by an inbound SA that was inherited: its pair is the next. */
void ike_engine_wanted(struct ike_engine *e, uint32_t spi, struct ike_now now);
/*
 * The address is another host's now: all SAs at it end, and what is still to be taken over is
 * forgotten. tell: peers are told (a planned move); else not (another host has claimed it).
 */
void ike_engine_give_back(struct ike_engine *e, const struct cs_addr *address, bool tell,
			  struct ike_now now);
/*
 * While it is passive nothing is begun or answered at this address. Before give_back, so that what
 * ends there is not begun anew; the peers can be told all the same.
 */
int ike_engine_passive(struct ike_engine *e, const struct cs_addr *address, bool passive,
		       struct ike_now now, struct cs_err *err);

/* Takes a reference. Tunnels whose rule is gone (by rule id) are deleted, peers are told. */
void ike_engine_policy(struct ike_engine *e, struct pol_policy *policy, struct ike_now now);

void ike_engine_receive(struct ike_engine *e, const struct cs_endpoint *local,
			const struct cs_endpoint *remote, const uint8_t *data, size_t len,
			struct ike_now now);
void ike_engine_acquire(struct ike_engine *e, const struct xf_acquire *a, struct ike_now now);
void ike_engine_expire(struct ike_engine *e, const struct xf_expire *x, struct ike_now now);
void ike_engine_mapping(struct ike_engine *e, const struct xf_mapping *m, struct ike_now now);
void ike_engine_pk_done(struct ike_engine *e, struct ike_pk_job *job, struct ike_now now);
void ike_engine_cert_done(struct ike_engine *e, struct ike_cert_job *job, struct ike_now now);
/* Is there a keyring? Until told otherwise there is. Without it no offer has signatures. */
void ike_engine_keyring(struct ike_engine *e, bool there);
void ike_engine_committed(struct ike_engine *e, uint64_t tx, int status, struct ike_now now);

/* The SA cache may have lost rows: those of pairs that are up are stored again. */
void ike_engine_cache_again(struct ike_engine *e, struct ike_now now);

/* The next deadline (mono milliseconds), UINT64_MAX when there is none; tick runs what is due. */
uint64_t ike_engine_next(const struct ike_engine *e);
void ike_engine_tick(struct ike_engine *e, struct ike_now now);

/*
 * At start, and after a kernel overrun: begin, then each SA found, then end. Ours that were not
 * found are gone (recorded, peer told); found ones with a reqid of ours that we do not know are
 * deleted; larval states are acquires that were lost, and treated as such.
 */
void ike_engine_resync_begin(struct ike_engine *e);
void ike_engine_resync_sa(struct ike_engine *e, const struct xf_sa *sa,
			  const struct xf_counters *c);
void ike_engine_resync_end(struct ike_engine *e, struct ike_now now);

/* ---- commands ---- */

/*
 * `-y activate`: negotiates the tunnel of a LocalDynVpnRule. *tunnel is n of Y<n>; CS_EEXIST when
 * it is up or under way already (*tunnel set all the same). CS_ENOTFOUND, CS_EPOLICY with the
 * reason.
 */
int ike_engine_activate(struct ike_engine *e, const char *local_rule, struct ike_now now,
			uint32_t *tunnel, struct cs_err *err);
/* n of K<n> or Y<n>; CS_ENOTFOUND. Phase 1 takes its phase 2 with it. Peers are told. */
int ike_engine_deactivate_p1(struct ike_engine *e, uint32_t tunnel, struct ike_now now,
			     struct cs_err *err);
int ike_engine_deactivate_p2(struct ike_engine *e, uint32_t tunnel, struct ike_now now,
			     struct cs_err *err);

/* Makes a successor now. CS_ENOTFOUND; CS_EEXIST: one is under way; CS_EPOLICY: it may not. */
int ike_engine_refresh_p1(struct ike_engine *e, uint32_t tunnel, struct ike_now now,
			  struct cs_err *err);
int ike_engine_refresh_p2(struct ike_engine *e, uint32_t tunnel, struct ike_now now,
			  struct cs_err *err);

/* Stops when fn returns non-zero, and returns that. The info lives only during the call. */
typedef int ike_p1_fn(void *arg, const struct ike_p1_info *info);
typedef int ike_p2_fn(void *arg, const struct ike_p2_info *info);
int ike_engine_each_p1(const struct ike_engine *e, ike_p1_fn *fn, void *arg);
int ike_engine_each_p2(const struct ike_engine *e, ike_p2_fn *fn, void *arg);

struct ike_stats {
	uint64_t received, sent, dropped_malformed, dropped_unknown, dropped_limit, retransmitted;
	uint64_t repeats_answered, repeats_refused, auth_failures, decrypt_failures;
	uint64_t p1_initiated, p1_responded, p1_up, p1_failed, p2_up, p2_failed, p2_down;
	uint64_t acquires, acquires_merged, acquires_delayed, kernel_refusals;
	uint64_t refused_exchange, unknown_expires, unknown_mappings;
	/* Sent; come; come again; of no use; messages put together. */
	uint64_t fragments_sent, fragments_received, fragments_repeated, fragments_dropped;
	uint64_t reassembled;
	uint64_t keepalives_sent;              /* of NAT mappings */
	uint64_t moves_put_off, moves_refused; /* of a peer: too often; where its rule is not for */
	uint64_t clients_in, clients_refused;  /* users who were let in; who were not */
	/* Inherited pairs: their tunnel is up anew; they wait, or did, for the peer or a packet;
	 * nothing came of it. */
	uint64_t taken_over, awaited, given_up;
	uint64_t dropped_passive; /* datagrams to an address that is passive */
	uint64_t dpd_sent, dpd_odd,
		peers_gone; /* questions, answers to none, peers that gave none */
	unsigned p1_live, p2_live, half_open;
};
const struct ike_stats *ike_engine_stats(const struct ike_engine *e);

#endif
