/*
 * Private to the engine: its objects, who owns them, and what its files offer each other.
 *
 * A half-open record becomes a phase 1 SA (struct ike_p1) with message 3.  An authenticated phase 1
 * belongs to a peer (struct ike_peer: two addresses and two identities); so does every phase 2 SA
 * pair (struct ike_p2), which therefore outlives the phase 1 that negotiated it.  Pairs with one
 * rule, selector and pair of endpoints are generations of one tunnel (struct ike_tunnel).  What
 * only a running exchange needs hangs off the SA (struct ike_exchange, struct ike_quick) in the
 * secret arena and goes when the exchange ends.
 *
 * Objects that are removed while a message is handled are unlinked at once and freed when the
 * engine is left, so a handler may keep its pointers until it returns.
 */
#ifndef IKE_ENGINE_PRIVATE_H
#define IKE_ENGINE_PRIVATE_H

#include <stddef.h>

#include "common/log.h"
#include "iked/engine.h"
#include "iked/table.h"
#include "iked/timer.h"

#define IKE_DATAGRAM_MAX    16384u  /* longer ones are dropped */
#define IKE_SA_BODY_MAX     4096u   /* of a peer's message 1, kept for HASH_I */
#define IKE_ID_BODY_MAX     2048u   /* an ID payload body with its four fixed bytes */
#define IKE_REPEAT_MS       254000u /* how long a finished exchange's message is answered again */
#define IKE_GENERATIONS_MAX 4u
#define IKE_QUICKS_MAX      32u   /* that a peer has under way with one phase 1 */
#define IKE_MESSAGE_IDS_MAX 8192u /* remembered for each phase 1: a day of questions, and more */
#define IKE_MARKS_A_PEER    1024u /* so that one cannot take those of all */
#define IKE_CAUSE_MAX       160
#define IKE_EARLY_MAX       4096u /* of a Quick Mode message that came before its time */
#define IKE_EVENT_MAX       512u  /* an event's reason: peer, rule and cause */
#define IKE_REFUSALS_MAX    64u
#define IKE_PASSWORDS_MAX   8u /* being checked; each takes as long as many key exchanges */

/* The message that answered a request: repeated when exactly that request comes again. */
struct ike_answer {
	uint64_t digest; /* of the request */
	bool inherited;  /* from an engine before this one: of what was asked nothing is known */
	uint64_t next;   /* inherited: not sent again before, mono */
	uint8_t *data;
	size_t len;
};

struct ike_datagram {
	uint8_t *data;
	size_t len;
};

/* A message under way until its answer comes. */
struct ike_retransmit {
	uint8_t *data;
	size_t len;
	unsigned sent, limit; /* limit: transmissions in all */
	bool hasty;           /* of all messages that go out by it: sent again quickly at first */
};

/* A message that was refused and left no other trace. */
struct ike_refusal {
	uint64_t key, until; /* message and sender; mono */
};

/* A public-key job with the exchange it belongs to; both NULL when that is gone. */
struct ike_pk {
	struct ike_pk_job job;
	struct ike_list all;
	struct ike_p1 *p1;
	struct ike_p2 *p2;
	struct ike_dh *orphan; /* the exchange's key pair, when it died while the job ran */
};

/*
 * A certificate job with the exchange that waits for it, NULL when that is gone; what it works on,
 * and later what it brought.
 */
struct ike_cert {
	struct ike_cert_job job;
	struct ike_list all;
	struct ike_p1 *p1;
	struct pol_policy *policy; /* the labels are its */
	uint8_t hash[IKE_HASH_MAX];
	struct cs_bytes peer_id; /* VERIFY: ID payload body, in the copies */
	uint8_t *copies;
};

/* What an exchange with signatures has of certificates; NULL each until it is there. */
struct ike_certs {
	struct ike_cert *running;   /* is the executor's */
	struct ike_cert *names;     /* CAS: what we ask for */
	struct ike_cert *proof;     /* SIGN: our certificates and signature */
	struct ike_cert *peer;      /* VERIFY, not begun: the peer's */
	struct ike_cert_list asked; /* names of CAs that the peer asks for */
	uint8_t *asked_memory;
};

/* ---- phase 1 ---- */

enum ike_sid_kind { IKE_SID_HALF, IKE_SID_P1 };

struct ike_fragments;

/* What a half-open record and a phase 1 SA have in common: how messages find them. */
struct ike_sid {
	struct ike_node by_cookies, by_icookie;
	enum ike_sid_kind kind;
	uint8_t icookie[ISA_COOKIE_LEN], rcookie[ISA_COOKIE_LEN];
	struct cs_endpoint local, remote;
	struct ike_list half;            /* among the half-open, oldest first */
	bool named;                      /* the policy names the peer's address exactly */
	uint64_t born;                   /* serial number of its first message */
	struct ike_fragments *fragments; /* of a message that is not whole yet, or NULL */
};

/* The responder's memory of a message 1. */
struct ike_half {
	struct ike_sid sid; /* first */
	struct ike_timer timer;
	uint64_t digest;                /* of message 1 */
	const struct pol_ke_rule *rule; /* of the policy in force */
	struct ike_p1_suite suite;
	uint8_t can; /* bits of vendor.h */
	size_t room; /* message 2 must not be longer than message 1 was */
	size_t sa_len;
	uint8_t sa[];
};

/*
 * A phase 1 exchange, named by mode and by what has been sent; BUSY: a job runs and no message is
 * expected.
 */
enum ike_exchange_state {
	IKE_EX_NEW,
	IKE_MM_SENT_1,
	IKE_MM_BUSY_3, /* initiator: key pair */
	IKE_MM_SENT_3,
	IKE_MM_BUSY_5, /* initiator: shared secret */
	IKE_MM_SENT_5,
	IKE_MM_BUSY_4, /* responder: key pair and shared secret */
	IKE_MM_SENT_4,
	IKE_MM_BUSY_6, /* responder with signatures: the peer's proof, then ours */
	IKE_MM_BUSY_7, /* initiator with signatures: the peer's proof */
	IKE_AM_BUSY_1, /* initiator: key pair */
	IKE_AM_SENT_1,
	IKE_AM_BUSY_3, /* initiator: shared secret, proofs */
	IKE_AM_BUSY_2, /* responder: key pair and shared secret */
	IKE_AM_SENT_2,
	IKE_AM_BUSY_4, /* responder with signatures: the peer's proof */
	IKE_EX_DONE,
};

/* What a phase 1 exchange needs while it runs; in the arena. */
struct ike_exchange {
	struct ike_dh *dh;
	struct ike_pk *job;
	struct ike_certs *certs; /* NULL: none so far */
	struct ike_retransmit rt;
	int only;                     /* initiator: the one offer that is made, or -1 */
	uint32_t successor_of;        /* initiator: K number of the SA that it refreshes, or 0 */
	struct ike_old_peer *heir_of; /* initiator: of a takeover, or NULL */
	uint8_t skeyid[IKE_HASH_MAX];
	struct ike_nonce ni, nr;
	uint16_t peer_ke_len;
	uint8_t peer_ke[IKE_PUBLIC_MAX];
	uint8_t *sai; /* body of the initiator's SA payload */
	size_t sai_len;
	uint16_t id_len; /* our own ID payload body */
	uint8_t *id;
	uint64_t request;            /* digest of the message being worked on */
	char cause[IKE_CAUSE_MAX];   /* the last thing that went wrong, for the final message */
	bool told;                   /* the log says already why it will fail */
	bool initial_contact, clear; /* what the peer's last message said; was it in clear? */
	bool keyed; /* the SA's keys are those of both sides, as far as we can tell */
	struct cs_endpoint to, from; /* of the message being worked on */
	bool wrong_key;              /* what we got does not verify with ours */
	struct ike_datagram early;   /* a Quick Mode message that overtook the last of phase 1 */
	/* Aggressive Mode: what came in clear, before it is proved */
	uint16_t peer_id_len, proof_len;
	uint8_t *peer_id;            /* ID payload body */
	uint8_t proof[IKE_HASH_MAX]; /* initiator: the responder's HASH */
	uint64_t refused;            /* initiator: digest of a message 2 that did not verify */
	uint64_t give_up;            /* responder: mono */
	unsigned repeats;            /* responder: of message 2, by timer */
};

struct ike_bucket {
	unsigned rate, burst; /* tokens a second, tokens at most */
	uint64_t tokens, at;  /* thousandths; mono of the last refill */
};

/* What NAT detection found (RFC 3947 section 3), and the drafts before it. */
enum ike_natt_level { IKE_NATT_NONE, IKE_NATT_D2, IKE_NATT_D3, IKE_NATT_RFC };
struct ike_nat {
	enum ike_natt_level
		level;      /* what both speak; NONE also where the action says AllowNat No */
	bool local, remote; /* a NAT is in front of us; of the peer */
	bool napt;          /* of the peer's, ports are translated, too: only the peer can begin */
	bool encap;         /* ESP goes in UDP: local, remote or forced by either */
};

enum ike_client_state {
	IKE_CL_ASKED, /* who the user is */
	IKE_CL_CHECKING,
	IKE_CL_IN,
	IKE_CL_REFUSED, /* and it is being told so */
};

/* The user of a client and the address that it was given, see client.c; in the arena. */
struct ike_client {
	struct ike_p1 *p1;
	struct ike_node by_address; /* in: the address is its own */
	enum ike_client_state state;
	struct ike_timer timer;
	struct ike_retransmit rt; /* our own message */
	struct ike_answer answer; /* to Mode Config */
	struct ike_pk *job;
	uint32_t mid; /* of our message */
	uint8_t iv[IKE_BLOCK_MAX];
	bool initial_contact; /* what phase 1 had said */
	char user[POL_USER_MAX + 1];
	struct cs_addr address;
};

/* How many generations of a tunnel have come up; they share it, so that no number comes twice. */
struct ike_generations {
	unsigned refs;
	uint32_t n;
};

struct ike_p1 {
	struct ike_sid sid;                   /* first */
	struct ike_node by_number, by_target; /* by_target: initiator, not established */
	struct ike_list all, in_peer;
	struct ike_list p2s;            /* waiting for it or negotiated under it */
	struct ike_timer timer, linger; /* exchange, then lifetime; stored answer */
	enum ike_exchange_state state;
	enum pol_mode mode; /* MAIN or AGGRESSIVE */
	bool initiator, authenticated, dead;
	uint64_t heard; /* serial: something that only the peer can have made came under its keys */
	uint32_t tunnel, generation, instance;
	struct ike_generations *generations;
	uint64_t up;         /* serial number when established, 0: not yet */
	uint64_t quick_from; /* mono: no Quick Mode of ours begins before */
	struct pol_policy *policy;
	const struct pol_ke_rule *rule;
	struct ike_p1_suite suite;
	struct ike_keys *keys;     /* in the arena */
	uint8_t iv[IKE_BLOCK_MAX]; /* chain of phase 1; its last value starts the others */
	struct ike_peer *peer;
	struct ike_exchange *ex;
	struct ike_client *client; /* NULL: it is none */
	struct ike_answer answer;
	int64_t established, expires;
	uint32_t life_seconds;
	uint64_t life_kbytes, bytes;
	struct ike_p1_counts counts;
	uint32_t *mids; /* message ids that either side has used */
	uint16_t n_mids, cap_mids, next_mid;
	uint16_t n_quick;            /* Quick Modes that the peer has begun and not ended */
	struct ike_list changed;     /* among those to be kept anew */
	bool superseded, refreshing; /* another one has taken its place; is being made */
	bool forgot;                 /* some of the message ids */
	bool adopted;                /* of the engine before this one */
	bool used;                   /* the peer has sent under it since it is up */
	uint64_t ends;               /* mono, when up */
	struct ike_timer dpd;        /* the next look at whether the peer is there */
	uint64_t heard_at, hurried;  /* mono: an authenticated message; a question for an error */
	uint32_t dpd_seq;
	uint8_t dpd_asked, can;           /* questions without an answer; bits of vendor.h */
	int64_t refresh;                  /* wall clock, 0: none is planned */
	uint8_t content[POL_CONTENT_LEN]; /* of its rule, once it is up */
	struct ike_nat nat;
	struct ike_bucket moves; /* how often it may follow its peer */
	struct ike_timer keepalive;
	uint64_t sent_at; /* mono: anything */
};

/* An identity pair between two addresses. Lives as long as an SA of it does. */
struct ike_peer {
	struct ike_node node;     /* by the addresses */
	struct ike_list p1s, p2s; /* newest first */
	struct cs_addr local, remote;
	uint16_t local_id_len, remote_id_len;
	uint8_t ids[]; /* two ID payload bodies */
};

/* ---- phase 2 ---- */

struct ike_tunnel {
	struct ike_node by_key, by_number;
	struct ike_list p2s; /* newest first */
	struct ike_list dead;
	uint32_t number, generations, reqid;
	uint16_t rule_id;
	uint16_t mark_id; /* of the rule whose mark its packets have; its own, but for identities */
	struct cs_addr local, remote;
	struct cs_selector selector;
	struct cs_selector named; /* as the peer called it; without a family: as selector */
	unsigned client; /* its mark, where the selector is not its alone (marks.c); or 0 */
	bool marked;     /* an inbound SA of it has been in the kernel */
	bool policy_in;  /* an outbound policy of ours is in the kernel, with these: */
	enum xf_mode mode;
	uint8_t proto;
	bool bundle;
	int64_t vpn_expires; /* wall clock, 0: never */
};

/* What makes a tunnel this one; pointers to what the caller has. */
struct ike_tunnel_key {
	uint16_t rule_id;
	const struct cs_selector *selector;
	const struct cs_addr *local, *remote;
	unsigned client;
};

enum ike_quick_state {
	IKE_QM_PENDING, /* waits for phase 1 */
	IKE_QM_BUSY_1,  /* initiator: key pair */
	IKE_QM_SENT_1,
	IKE_QM_BUSY_3, /* initiator: shared secret, then the store */
	IKE_QM_SENT_3, /* initiator: an older pair carries the traffic for a moment more, or the
			  peer may say CONNECTED */
	IKE_QM_BUSY_2, /* responder: key pair, shared secret, the store */
	IKE_QM_SENT_2,
	IKE_QM_DONE,
};

/* What Quick Mode needs while it runs; in the arena. */
struct ike_quick {
	struct ike_dh *dh;
	struct ike_pk *job;
	struct ike_retransmit rt;
	struct ike_nonce ni, nr;
	uint16_t peer_ke_len;
	uint8_t peer_ke[IKE_PUBLIC_MAX];
	uint8_t iv[IKE_BLOCK_MAX];
	uint8_t keymat_in[IKE_KEYMAT_MAX], keymat_out[IKE_KEYMAT_MAX];
	size_t keymat_len, ah_keymat_len; /* of a bundle that of its AH follows */
	struct ike_p2_spis reserved;      /* in the kernel, none of them with keys yet */
	uint64_t request;                 /* digest of the message being worked on */
	bool ids_sent;                    /* responder: the peer named its selectors */
	bool intended;                    /* an intent was recorded, it will get a result */
	bool asked;                       /* a packet wants it; it is held (hold.c) */
	struct cs_selector named;         /* the tunnel's as the ID payloads have it */
	struct ike_old_peer *heir_of;     /* of a takeover, or NULL */
	int only;                         /* the one offer that is made, or -1 */
	uint16_t pfs;                     /* initiator: the group, or POL_PFS_NONE */
	bool refused;                     /* the peer said no to what was offered */
	bool commit; /* the peer set the commit bit in a message that is authentic */
	char cause[IKE_CAUSE_MAX];
};

/* What a resynchronisation has seen of a pair. */
enum { IKE_SEEN_IN = 1, IKE_SEEN_OUT = 2, IKE_SEEN_AH_IN = 4, IKE_SEEN_AH_OUT = 8 };

/*
 * One SA a direction, or of a bundle two, ESP and AH around it, which come and go together.
 * spi_in and spi_out are those of the ESP then, and ah_in and ah_out those of the AH, else 0.
 */
struct ike_p2 {
	struct ike_node by_spi_in, by_spi_out, by_ah_in, by_ah_out, by_mid, by_tx;
	struct ike_list all, in_peer, in_tunnel, in_p1;
	struct ike_timer timer, linger;
	struct ike_p1 *p1; /* NULL when it is gone */
	struct ike_peer *peer;
	struct ike_tunnel *tunnel;
	enum ike_quick_state state;
	enum ike_activation activation;
	bool initiator, dead, in_kernel, out_kernel, larval, looked_for;
	uint8_t seen;    /* IKE_SEEN_... */
	unsigned quirks; /* of its peer, as the policy has them: bits of policy/quirk.h */
	uint32_t parent, generation, instance, mid;
	uint32_t spi_in, spi_out, ah_in, ah_out;
	uint64_t born, up, tx; /* serial numbers of its begin and when established; transaction of
				  the intent */
	struct pol_policy *policy;
	const struct pol_filter_rule *rule;
	const struct pol_local_dynvpn *local_rule; /* or NULL */
	struct ike_p2_suite suite;
	uint32_t life_seconds;
	uint64_t life_kbytes, packets_seen;  /* packets_seen: inbound, at the last look */
	int64_t installed, expires, refresh; /* wall clock; refresh 0: none is planned */
	uint64_t ends;                       /* mono, when up */
	bool superseded;                     /* another pair has taken its place */
	bool kept;                           /* its exchange, see keep.c */
	struct ike_nat nat;                  /* as its phase 1 has it */
	uint16_t encap_local, encap_remote;  /* UDP ports, with nat.encap */
	uint64_t moved_at;                   /* mono: it followed its peer; 0: it never has */
	struct cs_addr oa[2]; /* NAT-OA that came: the initiator's address, the responder's */
	struct ike_quick *qm;
	struct ike_answer answer;
};

/* ---- the engine ---- */

enum { IKE_UNNAMED, IKE_NAMED, IKE_N_CLASSES };
enum { IKE_UNANSWERED, IKE_ANSWERED, IKE_N_STAGES };

struct ike_engine {
	struct ike_settings set;
	struct ike_ops ops;
	void *ctx;
	struct ike_now now;
	struct pol_policy *policy;
	uint8_t table_key[16], cookie_key[32];
	struct ike_timers timers;
	struct ike_table cookies, icookies, targets, k_numbers; /* phase 1 */
	struct ike_table peers, tunnels, y_numbers;
	struct ike_table spis_in, spis_out, ahs_in, ahs_out, mids, txs; /* phase 2 */
	struct ike_table holds, unsettled, leases;
	struct ike_list all_holds, all_unsettled;
	struct ike_list p1s, p2s, jobs, certs, dead_p1s, dead_p2s, dead_peers, dead_tunnels;
	struct ike_list changed;                           /* phase 1 SAs, see keep.c */
	struct ike_list half[IKE_N_CLASSES][IKE_N_STAGES]; /* oldest first */
	struct ike_list all_fragments;                     /* messages that are put together */
	size_t fragment_bytes;                             /* what these take */
	unsigned n_half[IKE_N_CLASSES], n_jobs;            /* jobs: both kinds */
	unsigned n_passwords;                              /* of the jobs */
	bool no_certs;                                     /* there is no keyring */
	uint32_t last_tunnel, last_instance;
	uint64_t serial;
	struct ike_bucket notify_bucket;               /* answers in clear */
	struct ike_bucket log_bucket;                  /* lines that anybody can cause */
	struct ike_bucket cookie_bucket;               /* lines that take a proven address */
	struct ike_bucket aggressive[IKE_N_CLASSES];   /* exchanges that cost keys at once */
	struct ike_bucket repeat_bucket;               /* of message 2, to an unproven address */
	struct ike_refusal refusals[IKE_REFUSALS_MAX]; /* a ring */
	unsigned next_refusal;
	struct xf_said *strays; /* of a resynchronisation or of an engine before this one */
	unsigned n_strays, cap_strays;
	int64_t clock_offset; /* of the wall clock from mono, seconds; once it is known */
	bool clock_known;
	uint64_t restored;   /* mono: it took over from an engine before it */
	uint64_t restore_tx; /* when this is durable the strays of the engine before go; 0: none */
	struct ike_mark *marks; /* marks.c; NULL until there is one */
	unsigned next_mark, marks_a_peer;
	struct ike_list autos;   /* auto.c */
	struct ike_timer minute; /* windows.c */
	unsigned windows_open;   /* stands for the set of rules that were in their time */
	struct xf_acquire *lost; /* acquires of which only the larval state told */
	unsigned n_lost, cap_lost;
	struct ike_takeover *takeover; /* takeover.h */
	struct ike_stats stats;
	/* IKE_DATAGRAM_MAX each: decrypted message, message being built, one put together. */
	uint8_t *plain, *out, *whole;
	/* Of the datagram in hand, else NULL: where it came to and from. */
	const struct cs_endpoint *to, *from;
};

/* engine.c */
uint64_t ike_serial(struct ike_engine *e);
uint32_t ike_new_instance(struct ike_engine *e);
uint32_t ike_new_tunnel(struct ike_engine *e);
void ike_random(struct ike_engine *e, void *buf, size_t len);
uint64_t ike_digest(const struct ike_engine *e, const void *data, size_t len);
bool ike_take_token(const struct ike_engine *e, struct ike_bucket *b);
struct ike_bucket ike_full_bucket(unsigned rate, unsigned burst);
void ike_send(struct ike_engine *e, const struct cs_endpoint *local,
	      const struct cs_endpoint *remote, const uint8_t *data, size_t len);

/* engine_log.c */
void ike_logf(struct ike_engine *e, struct cs_logctx lc, const char *id, enum cs_severity severity,
	      const char *format, ...) __attribute__((format(printf, 5, 6)));
struct cs_logctx ike_p1_ctx(const struct ike_p1 *p1);
struct cs_logctx ike_p2_ctx(const struct ike_p2 *p2);
void ike_tell(struct ike_engine *e, enum ike_event_kind kind, uint32_t instance, uint32_t p1,
	      uint32_t p2, const char *rule, const char *reason);

/* views.c */
void ike_p1_view(const struct ike_p1 *p1, struct ike_p1_info *info);
void ike_p2_view(const struct ike_p2 *p2, struct ike_p2_info *info);

/* nat.c: NAT detection */
/* As initiator: the bits of vendor.h to say; 0: this is not to go through a NAT. */
unsigned ike_nat_offer(const struct pol_ke_rule *rule, const struct cs_addr *remote);
/* As responder, of what the peer said: the best one, which is said in return, or 0. */
unsigned ike_nat_choose(const struct pol_ke_rule *rule, const struct cs_addr *remote, unsigned can);
/* Both have said what they can. */
void ike_nat_agree(struct ike_p1 *p1);
/* NAT-D payloads, where both can: ours, with what message i would come from; the peer's. */
int ike_nat_put(struct ike_engine *e, const struct ike_p1 *p1, struct isa_builder *b,
		struct cs_err *err);
int ike_nat_take(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m,
		 struct cs_err *err);
/* The rule that the identity chose has the last word: CS_EPOLICY. */
int ike_nat_recheck(struct ike_p1 *p1, const struct pol_ke_rule *rule, struct cs_err *err);
/* Where an address identity of the peer must be; NULL: anywhere. */
const struct cs_addr *ike_nat_source(const struct ike_p1 *p1);
/* Is it another port than IKE's, so that a NAT must have made it? */
bool ike_nat_translated(const struct ike_engine *e, const struct cs_endpoint *remote);
/* In front of whom it is; what both speak. */
const char *ike_nat_text(const struct ike_nat *nat);
const char *ike_nat_level_text(enum ike_natt_level level);
/* As initiator: where there is a NAT, the next message goes to and from port 4500. */
void ike_nat_float(struct ike_engine *e, struct ike_p1 *p1);

/* keepalive.c: mappings that are kept alive */
void ike_keepalive_start(struct ike_engine *e, struct ike_p1 *p1); /* it is up */
void ike_keepalive_all(struct ike_engine *e);                      /* a new policy */
void ike_p1_keepalive(struct ike_engine *e, struct ike_timer *t);

/* path.c: where the peer is */
/* This message under p1 can only be the peer's; fresh: and nobody can have kept it from before. */
void ike_path_heard(struct ike_engine *e, struct ike_p1 *p1, bool fresh);
/* A message of its exchange is the peer's: answers go where it came from. */
void ike_path_exchange(struct ike_engine *e, struct ike_p1 *p1);
/* An answer once more, to where it is asked for: that may be through another mapping. */
void ike_send_again(struct ike_engine *e, const struct ike_p1 *p1, const uint8_t *data, size_t len);
/* Its peer has another address or port now: all that we have with it goes along. */
void ike_p1_moved(struct ike_engine *e, struct ike_p1 *p1, const struct cs_endpoint *local,
		  const struct cs_endpoint *remote);

/* p2_move.c */
void ike_mapping(struct ike_engine *e, const struct xf_mapping *m);
/* Each pair of p1, which has just moved, follows it. */
void ike_p2_follow(struct ike_engine *e, struct ike_p1 *p1, const struct cs_endpoint *old_remote);

/* jobs.c */
/* Of p1 or of p2. peer empty: makes its key pair; else the shared secret. May finish at once. */
int ike_job_start(struct ike_engine *e, struct ike_p1 *p1, struct ike_p2 *p2,
		  const struct cs_group *group, struct cs_bytes peer, struct cs_err *err);
/* Is it the password of that hash? Comes back through ike_client_checked(). */
int ike_password_start(struct ike_engine *e, struct ike_p1 *p1, const char *hash,
		       struct cs_bytes password, struct cs_err *err);
void ike_job_orphan(struct ike_pk *job, struct ike_dh *dh);
void ike_job_back(struct ike_engine *e, struct ike_pk_job *job);
/* The exchange waits for it, until ike_exchange_cert_done(). May finish at once. */
void ike_cert_start(struct ike_engine *e, struct ike_p1 *p1, struct ike_cert *c);
void ike_cert_back(struct ike_engine *e, struct ike_cert_job *job);
void ike_jobs_drop(struct ike_engine *e);

/* retransmit.c */
/* Keeps a copy, sends it, and sets the timer. */
int ike_rt_start(struct ike_engine *e, struct ike_retransmit *rt, struct ike_timer *timer,
		 struct ike_p1 *p1, const uint8_t *data, size_t len, struct cs_err *err);
/* Sends again; false when that was the last time and nobody answered. */
bool ike_rt_again(struct ike_engine *e, struct ike_retransmit *rt, struct ike_timer *timer,
		  struct ike_p1 *p1);
/* The answer was none: the timer, stopped meanwhile, runs on. */
void ike_rt_resume(struct ike_engine *e, const struct ike_retransmit *rt, struct ike_timer *timer);
void ike_rt_hurry(struct ike_retransmit *rt); /* at most two more */
void ike_rt_clear(struct ike_retransmit *rt);
uint64_t ike_rt_total(const struct ike_engine *e); /* milliseconds until an initiator gives up */
uint64_t ike_rt_wait(const struct ike_engine *e, unsigned sent); /* after so many */
/* It has had the time in which an answer usually comes. */
bool ike_rt_silent(const struct ike_engine *e, const struct ike_retransmit *rt);
int ike_answer_keep(struct ike_answer *a, uint64_t digest, const uint8_t *data, size_t len);
void ike_answer_clear(struct ike_answer *a);
/* False when this sender's message is a repeat of one refused before, or the log is busy. */
bool ike_refusal_is_news(struct ike_engine *e, const struct cs_endpoint *local,
			 const struct cs_endpoint *remote, uint64_t digest);

/* sa.c, sa_p2.c: objects in their tables; none of these talks to anybody */
uint64_t ike_hash_addrs(const struct ike_engine *e, const struct cs_addr *local,
			const struct cs_addr *remote);
uint64_t ike_hash_number(const struct ike_engine *e, uint64_t number);
struct ike_p1 *ike_p1_new(struct ike_engine *e, bool initiator, const struct cs_endpoint *local,
			  const struct cs_endpoint *remote, const uint8_t *icookie,
			  const uint8_t *rcookie);
/* They are of one tunnel from now on. */
void ike_p1_share(struct ike_p1 *p1, const struct ike_p1 *other);
/* The number that it had in an engine before this one. */
void ike_p1_renumber(struct ike_engine *e, struct ike_p1 *p1, uint32_t tunnel);
void ike_p1_set_rcookie(struct ike_engine *e, struct ike_p1 *p1, const uint8_t *rcookie);
void ike_p1_unlink(struct ike_engine *e, struct ike_p1 *p1); /* freed when the engine is left */
void ike_sid_link(struct ike_engine *e, struct ike_sid *sid);
void ike_sid_moved(struct ike_engine *e, struct ike_sid *sid, const struct cs_endpoint *local,
		   const struct cs_endpoint *remote);
void ike_sid_unlink(struct ike_engine *e, struct ike_sid *sid);
struct ike_sid *ike_sid_by_cookies(const struct ike_engine *e, const uint8_t *icookie,
				   const uint8_t *rcookie);
struct ike_sid *ike_sid_by_icookie(const struct ike_engine *e, const uint8_t *icookie,
				   const struct cs_endpoint *remote);
/* Of several generations the one in use. */
struct ike_p1 *ike_p1_by_number(const struct ike_engine *e, uint32_t number);
/*
 * Between these: established by this rule, on the way as initiator by it, or established by
 * whatever rule the peer's identity chose; newest first.
 */
struct ike_p1 *ike_p1_for(const struct ike_engine *e, const struct cs_addr *local,
			  const struct cs_addr *remote, const struct pol_ke_rule *rule);
void ike_p1_targets_add(struct ike_engine *e, struct ike_p1 *p1);
/* Is there a peer that nobody but itself can begin with? */
bool ike_napt_between(const struct ike_engine *e, const struct cs_addr *local,
		      const struct cs_addr *remote);
/* Is there any established SA between the addresses of p1, or one that is taken over? */
bool ike_contact_known(const struct ike_engine *e, const struct ike_p1 *p1);
struct ike_peer *ike_peer_get(struct ike_engine *e, const struct cs_addr *local,
			      const struct cs_addr *remote, struct cs_bytes local_id,
			      struct cs_bytes remote_id);
/* NULL: there is none. */
struct ike_peer *ike_peer_known(const struct ike_engine *e, const struct cs_addr *local,
				const struct cs_addr *remote, struct cs_bytes local_id,
				struct cs_bytes remote_id);
/* The same identities between its own address and that one; NULL: there is none. */
struct ike_peer *ike_peer_find(const struct ike_engine *e, const struct ike_peer *like,
			       const struct cs_addr *remote);
/* The same, made if there is none; NULL without memory. */
struct ike_peer *ike_peer_at(struct ike_engine *e, const struct ike_peer *like,
			     const struct cs_addr *remote);
void ike_peer_put(struct ike_engine *e, struct ike_peer *peer);
/*
 * Behind a NAT several hosts have one address: the phase 1 SA with the one that has this pair, or
 * NULL.
 */
struct ike_p1 *ike_p1_of_host(const struct ike_p2 *p2);
/* p1 may be NULL for a pair that is up. */
struct ike_p2 *ike_p2_new(struct ike_engine *e, struct ike_p1 *p1, struct pol_policy *policy,
			  const struct pol_filter_rule *rule, struct ike_tunnel *tunnel,
			  bool initiator);
void ike_p2_unlink(struct ike_engine *e, struct ike_p2 *p2); /* freed when the engine is left */
/* From its phase 1 SA to another one, or to none (NULL); no message of its exchange comes any more.
 */
void ike_p2_move(struct ike_engine *e, struct ike_p2 *p2, struct ike_p1 *p1);
void ike_p2_set_mid(struct ike_engine *e, struct ike_p2 *p2, uint32_t mid);
void ike_p2_set_spi_in(struct ike_engine *e, struct ike_p2 *p2, uint32_t spi);
void ike_p2_set_spi_out(struct ike_engine *e, struct ike_p2 *p2, uint32_t spi);
void ike_p2_set_ah_in(struct ike_engine *e, struct ike_p2 *p2, uint32_t spi);
void ike_p2_set_ah_out(struct ike_engine *e, struct ike_p2 *p2, uint32_t spi);
void ike_p2_set_tx(struct ike_engine *e, struct ike_p2 *p2, uint64_t tx);
struct ike_p2 *ike_p2_by_mid(const struct ike_engine *e, const struct ike_p1 *p1, uint32_t mid);
struct ike_p2 *ike_p2_by_tx(const struct ike_engine *e, uint64_t tx);
/* proto: IPPROTO_ESP or IPPROTO_AH; addr: ours for inbound, the peer's for outbound. */
struct ike_p2 *ike_p2_by_spi(const struct ike_engine *e, bool inbound, const struct cs_addr *addr,
			     uint8_t proto, uint32_t spi);
/* Of the selector alone: tunnels that differ in rule or endpoints are found together. */
uint64_t ike_tunnel_hash(const struct ike_engine *e, const struct ike_tunnel_key *k);
struct ike_tunnel_key ike_tunnel_key_of(const struct ike_tunnel *t);
struct ike_tunnel *ike_tunnel_by_key(const struct ike_engine *e, const struct ike_tunnel_key *k);
struct ike_tunnel *ike_tunnel_find(const struct ike_engine *e, uint16_t rule_id,
				   const struct cs_selector *selector, const struct cs_addr *local,
				   const struct cs_addr *remote);
/* Finds or makes it; one that stays empty must be given back. */
struct ike_tunnel *ike_tunnel_get(struct ike_engine *e, const struct ike_tunnel_key *k);
/* One that an engine before this one had; NULL without memory or when another has its number. */
struct ike_tunnel *ike_tunnel_restore(struct ike_engine *e, const struct ike_p2_info *info);
void ike_tunnel_put(struct ike_engine *e, struct ike_tunnel *t);
struct ike_tunnel *ike_tunnel_by_number(const struct ike_engine *e, uint32_t number);
void ike_bury(struct ike_engine *e); /* frees what was unlinked */
void ike_bury_p2s(struct ike_engine *e);
void ike_unlink_all(struct ike_engine *e); /* without a word to anybody */
/* A message id nobody has used under p1, for an exchange of our own. */
uint32_t ike_new_mid(struct ike_engine *e, struct ike_p1 *p1);
bool ike_mid_used(const struct ike_p1 *p1, uint32_t mid);
int ike_mid_use(struct ike_p1 *p1, uint32_t mid);

/* marks.c: clients whose selectors do not tell them apart */
int ike_mark_free(struct ike_engine *e, unsigned *client, struct cs_err *err); /* CS_ELIMIT */
/* The tunnel's mark is its own from here on, if it has one; false: it is another's. */
bool ike_mark_take(struct ike_engine *e, struct ike_tunnel *t);
void ike_mark_put(struct ike_engine *e, const struct ike_tunnel *t);
/* Of an engine before this one: before anything of it is adopted, and each mark that it had. */
void ike_marks_begin(struct ike_engine *e);
void ike_mark_was(struct ike_engine *e, unsigned client);
struct ike_tunnel *ike_mark_tunnel(const struct ike_engine *e, unsigned client);

/* client.c: users of a gateway */
int ike_client_make(struct ike_engine *e, struct ike_p1 *p1, struct cs_err *err);
void ike_client_free(struct ike_engine *e, struct ike_p1 *p1);
/* Phase 1 is up: asks who the user is. */
void ike_client_ask(struct ike_engine *e, struct ike_p1 *p1, bool initial_contact);
/* May it be used? That of a client not before its user is known. */
bool ike_client_in(const struct ike_p1 *p1);
/* Whoever begins it: may the peer have this tunnel? To the address that it was given, where there
 * is a pool; CS_EPOLICY. */
int ike_client_check(const struct ike_p1 *p1, const struct cs_selector *s, struct cs_err *err);
bool ike_client_known(const struct ike_p1 *p1, const struct pol_ke_rule *rule);
/* Clients share an identity. Are both the same user's, or both of no client? NULL: nobody's now. */
bool ike_client_same(const struct ike_p1 *a, const struct ike_p1 *b);
void ike_client_receive(struct ike_engine *e, struct ike_p1 *p1, const struct isa_header *h,
			const uint8_t *data, size_t len);
/* It has gone on, so it has heard that it is in. */
void ike_client_heard(struct ike_engine *e, struct ike_p1 *p1);
void ike_client_checked(struct ike_engine *e, struct ike_p1 *p1, const struct ike_pk_job *job);
/* A client's tunnels end with its phase 1 SA: its address will be another's. */
void ike_client_end_pairs(struct ike_engine *e, struct ike_p1 *p1, bool tell, const char *reason);
int ike_client_adopt(struct ike_engine *e, struct ike_p1 *p1, const struct ike_p1_kept *k,
		     struct cs_err *err);
/* The phase 1 SA of the client that has this address, or NULL. */
struct ike_p1 *ike_client_by_address(const struct ike_engine *e, const struct cs_addr *address);

/* fragment.c */
/*
 * One fragment has come for these cookies. When its message is whole, how long it is, in e->whole;
 * else 0.
 */
size_t ike_fragment_take(struct ike_engine *e, struct ike_sid *sid, const struct isa_header *h,
			 const uint8_t *data);
void ike_fragments_free(struct ike_engine *e, struct ike_sid *sid);
/* To the SA that a half-open record becomes, so that what comes again is still known. */
void ike_fragments_move(struct ike_sid *from, struct ike_sid *to);
/* A message to the peer of p1, in fragments when it is large and the peer takes these. */
void ike_send_p1(struct ike_engine *e, struct ike_p1 *p1, const uint8_t *data, size_t len);
/* The same to and from elsewhere. */
void ike_send_p1_to(struct ike_engine *e, const struct ike_p1 *p1, const struct cs_endpoint *local,
		    const struct cs_endpoint *remote, const uint8_t *data, size_t len);

/* half_open.c */
void ike_half_receive(struct ike_engine *e, const struct cs_endpoint *local,
		      const struct cs_endpoint *remote, const struct isa_header *h,
		      const uint8_t *data, size_t len);
void ike_half_free(struct ike_engine *e, struct ike_half *h);
/* Does the rule name the peer's address exactly? */
bool ike_half_named(const struct pol_ke_rule *rule, const struct cs_addr *addr);
bool ike_half_make_room(struct ike_engine *e, bool named); /* the oldest may go for it */
/* Counts as half open; stage: IKE_UNANSWERED or IKE_ANSWERED. */
void ike_half_enter_p1(struct ike_engine *e, struct ike_p1 *p1, unsigned stage);
void ike_half_leave_p1(struct ike_engine *e, struct ike_p1 *p1);

/* protect.c */
int ike_open(struct ike_engine *e, struct ike_p1 *p1, const struct isa_header *h,
	     const uint8_t *data, enum isa_step step, uint8_t *iv, const struct ike_nonce *ni,
	     const struct ike_nonce *nr, struct isa_message *m, struct cs_err *err);
enum ike_seal { IKE_SEAL_PLAIN, IKE_SEAL_HASH1, IKE_SEAL_HASH2, IKE_SEAL_HASH3, IKE_SEAL_HASH4 };
void ike_seal_begin(struct ike_engine *e, struct ike_p1 *p1, struct isa_builder *b,
		    unsigned exchange, uint32_t mid, enum ike_seal kind);
/* Fills the HASH, pads and encrypts; the length, or 0 with err. */
size_t ike_seal_end(struct ike_engine *e, struct ike_p1 *p1, struct isa_builder *b, uint32_t mid,
		    enum ike_seal kind, const struct ike_nonce *ni, const struct ike_nonce *nr,
		    uint8_t *iv, struct cs_err *err);

/* first_message.c: a message 1 as responder */
struct ike_first {
	const struct cs_endpoint *local, *remote;
	const struct isa_header *h;
	size_t len;
	uint64_t digest;
};
/*
 * Which rule and which offer answer it; false when none does: then it was refused, with a line in
 * the log and a notification.  id: the peer's, in Aggressive Mode; else NULL.
 */
bool ike_first_choose(struct ike_engine *e, const struct ike_first *f, const struct isa_message *m,
		      const struct pol_peer_id *id, const struct pol_ke_rule **rule,
		      struct ike_p1_suite *suite);
void ike_first_refuse(struct ike_engine *e, const struct ike_first *f, unsigned notify,
		      const char *why);

/* auth.c: by the authentication method of the suite */
/* Has the rule what the method takes? */
bool ike_auth_usable(const struct pol_ke_rule *rule, const struct ike_p1_suite *suite);
/* Into the exchange, from nonces and keys. */
int ike_auth_skeyid(struct ike_p1 *p1, struct cs_bytes gxy, struct cs_err *err);
/* HASH_I or HASH_R, of the side that sent this ID payload. */
int ike_auth_hash(const struct ike_p1 *p1, bool of_initiator, struct cs_bytes id_body,
		  uint8_t hash[static IKE_HASH_MAX], struct cs_err *err);
/* Puts what proves our own ID payload. */
int ike_auth_put_proof(const struct ike_p1 *p1, struct isa_builder *b, struct cs_err *err);
/* Does it prove the peer's ID payload? CS_EAUTH. message: for the error text. */
int ike_auth_check_proof(const struct ike_p1 *p1, struct cs_bytes proof, struct cs_bytes id_body,
			 const char *message, struct cs_err *err);
/* Is the identity one that the rule wants, from there? CS_EAUTH, CS_EPARSE ... */
int ike_auth_check_identity(const struct ike_p1 *p1, struct cs_bytes id_body, struct cs_err *err);
/* One sentence with both identities; CS_EAUTH. */
int ike_auth_wrong_identity(const struct pol_ke_rule *rule, const struct pol_peer_id *id,
			    const char *why, struct cs_err *err);
/* The peer has the keys but is not whom we want: both are told, the exchange ends. */
void ike_auth_refuse(struct ike_engine *e, struct ike_p1 *p1, unsigned notify, const char *why);
void ike_auth_refuse_identity(struct ike_engine *e, struct ike_p1 *p1, const char *why);

/* auth_cert.c: signatures */
bool ike_certs_usable(const struct ike_engine *e);
bool ike_auth_signs(const struct ike_p1 *p1); /* is that the agreed method? */
void ike_cert_free(struct ike_cert *c);
void ike_certs_free(struct ike_certs *certs);
/* Jobs: they come back through ike_exchange_cert_done(). */
int ike_cert_ask(struct ike_engine *e, struct ike_p1 *p1, struct cs_err *err);
int ike_cert_sign(struct ike_engine *e, struct ike_p1 *p1, struct cs_err *err);
/* Of what ike_cert_take_proof() took. */
int ike_cert_verify(struct ike_engine *e, struct ike_p1 *p1, struct cs_err *err);
/* CERTREQ payloads: ours, when CAs were asked for; the peer's. */
void ike_cert_put_requests(const struct ike_p1 *p1, struct isa_builder *b);
int ike_cert_take_requests(struct ike_p1 *p1, const struct isa_message *m, struct cs_err *err);
/* CERT and SIG payloads: ours, once signed; the peer's, for this ID payload body. */
void ike_cert_put_proof(const struct ike_p1 *p1, struct isa_builder *b);
int ike_cert_take_proof(struct ike_p1 *p1, const struct isa_message *m, struct cs_bytes id_body,
			struct cs_err *err);
void ike_cert_forget_peer(struct ike_p1 *p1); /* what the peer sent of these was nothing */
const char *ike_cert_own_label(const struct ike_p1 *p1); /* "" before it is known */
/* The notification for a VERIFY that failed; is it one of those about certificates? */
unsigned ike_cert_notify(const struct ike_cert_job *job);
bool ike_cert_notified(unsigned type);

/* ident.c */
/* Our ID payload body for a rule; *body is malloc'ed. */
int ike_ident_own(const struct pol_ke_rule *rule, uint8_t **body, uint16_t *len,
		  struct cs_err *err);
/* Is this ID payload body one that phase 1 allows? */
int ike_ident_read(struct cs_bytes body, struct pol_peer_id *id, struct cs_err *err);
/* And from that address? NULL: from any. */
int ike_ident_check(const struct pol_ke_rule *rule, struct cs_bytes body,
		    const struct cs_addr *from, struct pol_peer_id *id, struct cs_err *err);
const char *ike_ident_text(struct cs_bytes body, char *buf, size_t size);
/* Phase 2 identities (RFC 2407 section 4.6.2). */
void ike_ident_put_selector(struct cs_writer *w, const struct cs_range *range, uint8_t proto,
			    uint16_t port);
int ike_ident_get_selector(struct cs_bytes body, uint8_t family, struct cs_range *range,
			   uint8_t *proto, uint16_t *port, struct cs_err *err);

/* exchange.c: phase 1 exchanges */
struct ike_first_try {
	struct cs_endpoint from, to;
	const struct pol_ke_rule *rule; /* of the policy in force */
	enum pol_mode mode;             /* MAIN or AGGRESSIVE */
	int only;                       /* the one offer that is made, or -1 */
	const struct ike_p1 *old;       /* that it is to succeed, or NULL */
	struct ike_old_peer *heir_of;   /* takeover.h; or NULL */
};
int ike_exchange_initiate(struct ike_engine *e, const struct ike_first_try *f, struct ike_p1 **p1,
			  struct cs_err *err);
void ike_exchange_receive(struct ike_engine *e, struct ike_p1 *p1, const struct isa_header *h,
			  const uint8_t *data, size_t len);
void ike_exchange_job_done(struct ike_engine *e, struct ike_p1 *p1, struct ike_pk_job *job);
void ike_exchange_cert_done(struct ike_engine *e, struct ike_p1 *p1, struct ike_cert *c);
void ike_exchange_timeout(struct ike_engine *e, struct ike_p1 *p1);
/* For lines about an exchange that the peer began. */
struct ike_bucket *ike_exchange_log_bucket(struct ike_engine *e, const struct ike_p1 *p1);
/* An unauthenticated error about this exchange. */
void ike_exchange_hint(struct ike_engine *e, struct ike_p1 *p1, unsigned type);
/* Both have the keys, and the peer may be up already: its last message has not come. */
bool ike_exchange_awaits_last(const struct ike_p1 *p1);
/* An encrypted notification came to such a one and does not verify. */
void ike_exchange_unreadable(struct ike_p1 *p1);
/* A Quick Mode message came to one that is not up: kept until it is, if that can be. */
void ike_exchange_early(struct ike_engine *e, struct ike_p1 *p1, const uint8_t *data, size_t len);
/* Our last message again, as long as nothing shows that the peer has it. */
void ike_exchange_last_again(struct ike_engine *e, struct ike_p1 *p1);

/* aggressive_resp.c */
void ike_aggressive_first(struct ike_engine *e, const struct cs_endpoint *local,
			  const struct cs_endpoint *remote, const struct isa_header *h,
			  const uint8_t *data, size_t len);

/* main_mode_resp.c */
/* Message 3 answers the record's message 2. */
void ike_main_accept(struct ike_engine *e, struct ike_half *half, const struct isa_header *h,
		     const uint8_t *data, size_t len);

/* phase1.c: the life of a phase 1 SA */
void ike_p1_record(struct ike_engine *e, const struct ike_p1 *p1, enum ike_record_kind kind,
		   const char *reason);
/* The one place that makes a phase 1 authenticated; remote_id is the peer's ID payload body. */
int ike_p1_up(struct ike_engine *e, struct ike_p1 *p1, struct cs_bytes remote_id,
	      struct cs_err *err);
void ike_p1_start_waiting(struct ike_engine *e, struct ike_p1 *p1);
void ike_p1_fail(struct ike_engine *e, struct ike_p1 *p1, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void ike_p1_down(struct ike_engine *e, struct ike_p1 *p1, bool tell, const char *reason);
void ike_p1_end_exchange(struct ike_p1 *p1); /* frees the exchange's scratch */
void ike_p1_count(struct ike_engine *e, struct ike_p1 *p1, size_t len); /* bytes protected */
void ike_p1_timer(struct ike_engine *e, struct ike_timer *t);
void ike_p1_linger(struct ike_engine *e, struct ike_timer *t);
void ike_p1_initial_contact(struct ike_engine *e, struct ike_p1 *p1);

/* refresh.c: successors */
/* Sets the timer of an SA that is up: left is what is left of its life, in milliseconds. */
void ike_refresh_plan_p1(struct ike_engine *e, struct ike_p1 *p1, uint64_t left);
void ike_refresh_plan_p2(struct ike_engine *e, struct ike_p2 *p2, uint64_t left);
/*
 * What won last time, to be offered alone: the index of the policy's offer that it is; -1, with a
 * line in the log, when that is not allowed any more.
 */
int ike_p1_cached_offer(struct ike_engine *e, struct cs_logctx lc,
			const struct pol_ke_action *action, const struct ike_p1_suite *was);
/* The same for a pair that is about to begin. path: as it was. */
void ike_p2_offer_cached(struct ike_engine *e, struct ike_p2 *p2, unsigned path,
			 const struct ike_p2_suite *was);
/* At once. CS_EEXIST: under way already; CS_EPOLICY. */
int ike_refresh_p1(struct ike_engine *e, struct ike_p1 *old, struct cs_err *err);
int ike_refresh_p2(struct ike_engine *e, struct ike_p2 *old, struct cs_err *err);
void ike_refresh_p1_due(struct ike_engine *e, struct ike_p1 *old);
void ike_refresh_p2_due(struct ike_engine *e, struct ike_p2 *old);
struct ike_p2 *ike_refresh_current(const struct ike_tunnel *t); /* the pair it stands on, or NULL */
bool ike_refresh_under_way(const struct ike_tunnel *t);         /* a pair of it is negotiated */
/* An attempt ended; again: the peer refused the offer that won before. */
/* True: another attempt has begun. */
bool ike_refresh_p1_failed(struct ike_engine *e, struct ike_p1 *old, bool again);
bool ike_refresh_p2_failed(struct ike_engine *e, struct ike_tunnel *t, bool again);
/* A phase 1 SA comes up: the number of the tunnel that it belongs to. */
void ike_refresh_join_p1(struct ike_engine *e, struct ike_p1 *p1);
/* It is up: which one stays. */
void ike_refresh_settle_p1(struct ike_engine *e, struct ike_p1 *p1);
void ike_refresh_settle_p2(struct ike_engine *e, struct ike_p2 *p2);
/* One ended; of phase 1 before it is unlinked. Where it was the current one, an older one is again.
 */
void ike_refresh_p1_ended(struct ike_engine *e, const struct ike_p1 *p1);
void ike_refresh_p2_ended(struct ike_engine *e, struct ike_tunnel *t);
struct ike_p1 *ike_refresh_successor(const struct ike_p1 *p1);
/* A superseded one may go, as far as the peer is concerned. */
bool ike_refresh_p1_replaced(const struct ike_p1 *p1);
uint64_t ike_p2_soft_bytes(const struct ike_p2 *p2);
bool ike_p1_soft_size(const struct ike_p1 *p1);

/* keep.c: what outlives the process */
void ike_keep_later(struct ike_engine *e, struct ike_p1 *p1); /* when the engine is left */
void ike_keep_now(struct ike_engine *e);
void ike_forget(struct ike_engine *e, const struct ike_p1 *p1);
/* The exchange of this pair, which is about to send that, so that it comes to its end all the same.
 */
void ike_quick_keep(struct ike_engine *e, struct ike_p2 *p2, const uint8_t *message, size_t len);
void ike_quick_forget(struct ike_engine *e, struct ike_p2 *p2);

/* adopt.c: what an engine before this one had */
int ike_adopt_p1(struct ike_engine *e, const struct ike_p1_kept *k, struct cs_err *err);
/* Its tunnel has had so many. */
void ike_adopt_generations(struct ike_p1 *p1, uint32_t n);
int ike_adopt_p2(struct ike_engine *e, const struct ike_p2_info *info, struct cs_err *err);
/*
 * A pair whose exchange was kept: that goes on.  outbound: the outbound SA is in the kernel, too;
 * used: something has come through the inbound one.
 */
int ike_adopt_quick(struct ike_engine *e, const struct ike_quick_kept *k,
		    const struct ike_p2_info *info, uint64_t intent, bool outbound, bool used,
		    struct cs_err *err);
/* The peer says that this is gone. */
void ike_adopt_deleted(struct ike_engine *e, struct ike_p1 *p1);
/* Nothing comes of this larval SA; parent: K number of its phase 1, or 0. */
void ike_adopt_tell(struct ike_engine *e, const struct ike_left_sa *sa, uint32_t parent);
/* Tells the peer that this pair is gone, if its phase 1 lives on. */
void ike_adopt_not(struct ike_engine *e, const struct ike_p2_info *info);

/* clock_set.c */
void ike_clock_look(struct ike_engine *e); /* has it been set? */
void ike_clock_move(struct ike_engine *e, int64_t seconds);

/* restore.c: which of it lives on, and what becomes of the rest */
int ike_restore(struct ike_engine *e, const struct ike_leftovers *left,
		struct ike_restored *restored, struct cs_err *err);
void ike_restore_committed(struct ike_engine *e, uint64_t tx, int status);

/* takeover*.c: what another host had at an address that is here now; see takeover.h */
struct ike_old_peer;
int ike_takeover_new(struct ike_engine *e);
void ike_takeover_free(struct ike_engine *e);
int ike_take_over(struct ike_engine *e, const struct ike_inherited *rows, size_t n,
		  struct cs_err *err);
bool ike_taking_over(const struct ike_engine *e);
/* Phase 1 of before a restart, over which this pair has lived; the newest generation first; NULL:
 * all that is known of it is the pair. */
void ike_takeover_restart(struct ike_engine *e, const struct ike_p1_info *p1,
			  const struct ike_p2_info *p2);
void ike_takeover_forget(struct ike_engine *e, const struct cs_addr *address); /* NULL: all */
void ike_takeover_policy(struct ike_engine *e); /* one has come into force */
/* Were there SAs between these addresses of which the peer has not heard that they are gone? */
bool ike_takeover_knows(const struct ike_engine *e, const struct ike_sid *sid);
/*
 * A packet asks for this tunnel. 0: it is not to be taken over; CS_EEXIST: it is, and is the next
 * one now; CS_EPOLICY: only the peer can begin.
 */
int ike_takeover_asked(struct ike_engine *e, const struct ike_tunnel_key *key, struct cs_err *err);
void ike_takeover_wanted(struct ike_engine *e, uint32_t spi); /* or came by this inbound SA */
/* An exchange that was begun for it: has begun, its peer is silent, ended, failed, is up. */
void ike_takeover_p1_begun(struct ike_engine *e, struct ike_old_peer *op, struct ike_p1 *p1);
void ike_takeover_silent(struct ike_engine *e, struct ike_old_peer *op);
void ike_takeover_p1_ended(struct ike_engine *e, struct ike_old_peer *op);
void ike_takeover_p1_failed(struct ike_engine *e, struct ike_old_peer *op, bool again,
			    const char *why);
void ike_takeover_p1_up(struct ike_engine *e, struct ike_p1 *p1, struct ike_old_peer *heir_of);
/* Of any pair, whoever began it. again: the peer refused what was agreed last time. */
void ike_takeover_up(struct ike_engine *e, const struct ike_p2 *p2);
/* heir_of: for whom it was begun, or NULL. */
void ike_takeover_p2_ended(struct ike_engine *e, const struct ike_p2 *p2,
			   struct ike_old_peer *heir_of, bool again);
/* Its exchange is over, whatever came of it; for whom it was begun. */
struct ike_old_peer *ike_takeover_quick_ended(struct ike_engine *e, const struct ike_p2 *p2);

/* give_back.c */
void ike_give_back(struct ike_engine *e, const struct cs_addr *address, bool tell);
int ike_set_passive(struct ike_engine *e, const struct cs_addr *address, bool passive,
		    struct cs_err *err);
bool ike_is_passive(const struct ike_engine *e, const struct cs_addr *address);
/* CS_EPOLICY: nothing is begun from there. */
int ike_passive_check(const struct ike_engine *e, const struct cs_addr *local, struct cs_err *err);

/* dpd.c: dead peers */
struct ike_notice;
void ike_dpd_start(struct ike_engine *e, struct ike_p1 *p1);  /* it is up */
void ike_dpd_resume(struct ike_engine *e, struct ike_p1 *p1); /* it is to ask again */
void ike_dpd_heard(struct ike_engine *e, struct ike_p1 *p1);  /* an authenticated message */
void ike_p1_dpd(struct ike_engine *e, struct ike_timer *t);
/* A question to and from elsewhere, as often as errors in clear bring one forward. */
void ike_dpd_ask_there(struct ike_engine *e, struct ike_p1 *p1, const struct cs_endpoint *local,
		       const struct cs_endpoint *remote);
void ike_dpd_ack(struct ike_engine *e, struct ike_p1 *p1, const struct ike_notice *n);
/* Asks soon; of clients the user who has this SA, or NULL: nobody's. False: it cannot be asked. */
bool ike_dpd_probe(struct ike_engine *e, const struct ike_peer *peer, const struct ike_p1 *of);

/* quick_mode.c: what both roles of Quick Mode do */
void ike_quick_make_nonce(struct ike_engine *e, const struct ike_p1 *p1, struct ike_nonce *n);
/* CS_EPOLICY when a pair that is up has an SPI of the suite: the kernel could not have both. */
int ike_quick_check_spis(const struct ike_engine *e, const struct cs_addr *remote,
			 const struct ike_p2_suite *s, struct cs_err *err);
int ike_quick_take_ke(struct ike_p2 *p2, const struct isa_message *m, const struct cs_group *group,
		      struct ike_nonce *nonce, struct cs_err *err);
void ike_quick_put_ids(struct isa_builder *b, const struct ike_p2 *p2);
int ike_quick_send(struct ike_engine *e, struct ike_p2 *p2, size_t len, struct cs_err *err);
void ike_quick_receive(struct ike_engine *e, struct ike_p1 *p1, const struct isa_header *h,
		       const uint8_t *data, size_t len);
void ike_quick_note(struct ike_p2 *p2, const char *cause);
/* It works by itself, for half of the time that a peer has for an answer at most. */
uint64_t ike_quick_busy_ms(const struct ike_engine *e);
void ike_quick_busy(struct ike_engine *e, struct ike_p2 *p2, enum ike_quick_state state);

/* quick_mode_init.c */
void ike_quick_soon(struct ike_engine *e, struct ike_p2 *p2);  /* as its phase 1 allows */
void ike_quick_start(struct ike_engine *e, struct ike_p2 *p2); /* its phase 1 is up */
void ike_quick_receive2(struct ike_engine *e, struct ike_p2 *p2, const struct isa_message *m);
void ike_quick_receive4(struct ike_engine *e, struct ike_p2 *p2, const struct isa_message *m);
void ike_quick_init_job(struct ike_engine *e, struct ike_p2 *p2, struct ike_pk_job *job);
void ike_quick_init_commit(struct ike_engine *e, struct ike_p2 *p2);
void ike_quick_init_again(struct ike_engine *e, struct ike_p2 *p2);  /* an exchange that was kept */
void ike_quick_init_settle(struct ike_engine *e, struct ike_p2 *p2); /* in SENT_3: up it goes */

/* quick_mode_resp.c */
void ike_quick_receive1(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m,
			const uint8_t *iv, uint64_t digest);
void ike_quick_receive3(struct ike_engine *e, struct ike_p2 *p2, const struct isa_message *m);
void ike_quick_resp_job(struct ike_engine *e, struct ike_p2 *p2, struct ike_pk_job *job);
void ike_quick_resp_commit(struct ike_engine *e, struct ike_p2 *p2);
int ike_quick_resp_again(struct ike_engine *e, struct ike_p2 *p2, struct cs_err *err);
void ike_quick_first_packet(struct ike_engine *e, struct ike_p2 *p2);

/* p2_kernel.c: what a pair has in the kernel */
/* What it needs of SPIs, before it can name them to the peer. */
int ike_p2_reserve(struct ike_engine *e, struct ike_p2 *p2, const struct ike_p2_spis *needs,
		   enum xf_mode mode, struct cs_err *err);
/* The suite is agreed: what it does not need of them goes back. */
void ike_p2_settle_spis(struct ike_engine *e, struct ike_p2 *p2);
/* To how many bits a quirk of its peer cuts this algorithm; 0: none does. */
unsigned ike_p2_icv_bits(const struct ike_p2 *p2, const struct cs_integ *integ);
int ike_p2_install_in(struct ike_engine *e, struct ike_p2 *p2, bool tell_first, struct cs_err *err);
int ike_p2_install_out(struct ike_engine *e, struct ike_p2 *p2, struct cs_err *err);
/* The tunnel's one outbound policy, made to fit this pair. */
int ike_p2_install_policy(struct ike_engine *e, struct ike_p2 *p2, struct cs_err *err);
/* A packet did not find the tunnel's policy: somebody may have flushed it. */
void ike_tunnel_policy_again(struct ike_engine *e, const struct ike_tunnel *t);
void ike_p2_uninstall(struct ike_engine *e, struct ike_p2 *p2);
bool ike_p2_another_outbound(const struct ike_p2 *p2); /* of its tunnel, in the kernel */
uint8_t ike_p2_ipproto(const struct ike_p2 *p2);
struct xf_said ike_p2_said_in(const struct ike_p2 *p2);
struct xf_said ike_p2_said_out(const struct ike_p2 *p2);
struct xf_said ike_p2_ah_said(const struct ike_p2 *p2, bool outbound); /* of a bundle */

/* phase2.c: the life of a tunnel's SA pairs */
/* A life size as it is used, of either phase: where more than 4 TB was agreed it ends there. */
uint64_t ike_life_kbytes(uint64_t agreed);
/* The agreed life, shortened to what is left of the tunnel's VpnLife. */
void ike_p2_settle_life(struct ike_engine *e, struct ike_p2 *p2);
int ike_p2_keymat(struct ike_p2 *p2, struct cs_bytes gxy, struct cs_err *err);
/* Records the intent; the exchange goes on when the store has it (see ike_p2_committed). */
void ike_p2_intend(struct ike_engine *e, struct ike_p2 *p2);
void ike_p2_committed(struct ike_engine *e, struct ike_p2 *p2, int status);
void ike_p2_up(struct ike_engine *e, struct ike_p2 *p2);
/* So that the SA cache has where it is now. */
void ike_p2_record_moved(struct ike_engine *e, const struct ike_p2 *p2);
void ike_p2_fail(struct ike_engine *e, struct ike_p2 *p2, bool tell, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* The same when its phase 1 failed: the log says so there, once. */
void ike_p2_fail_with_p1(struct ike_engine *e, struct ike_p2 *p2, const char *reason);
void ike_p2_down(struct ike_engine *e, struct ike_p2 *p2, bool tell, const struct xf_expire *x,
		 const char *reason);
/* One of the two, whatever its state. */
void ike_p2_end(struct ike_engine *e, struct ike_p2 *p2, bool tell, const char *reason);
void ike_p2_end_quick(struct ike_p2 *p2);
/* The kernel let a pair go that was not up yet. */
void ike_p2_larval_expired(struct ike_engine *e, struct ike_p2 *p2);
void ike_p2_timer(struct ike_engine *e, struct ike_timer *t);
void ike_p2_linger(struct ike_engine *e, struct ike_timer *t);
/* Transport mode is for data addresses that are the security endpoints. */
bool ike_transport_ok(const struct cs_selector *s, const struct cs_addr *local,
		      const struct cs_addr *remote);
bool ike_p2_transport_ok(const struct ike_tunnel *t);

/* p2_nat.c: Quick Mode through a NAT */
/* Which offers can be between the ends of this pair: bits of enum ike_path. */
unsigned ike_p2_path(const struct ike_p2 *p2);
unsigned ike_nat_path(const struct ike_nat *nat); /* what a NAT says of it */
/* Its exchange is to begin: what there is of NATs, and where its packets go. */
void ike_p2_take_nat(struct ike_p2 *p2);
/*
 * What the peer means by these data addresses in transport mode: those that packets have on our
 * side of its NAT. False: it can mean no transport mode.
 */
bool ike_nat_translate(const struct ike_p1 *p1, struct cs_selector *s);
void ike_nat_put_oa(const struct ike_p2 *p2, struct isa_builder *b);
void ike_nat_take_oa(struct ike_p2 *p2, const struct isa_message *m);
/* The peer's own address behind its NAT, as far as it is known; family 0: not. */
const struct cs_addr *ike_p2_peer_oa(const struct ike_p2 *p2);
/* Of a pair of an engine before this one: how the peer calls data addresses, as NAT-OA says. */
void ike_nat_names_of(const struct ike_p2_info *i, struct cs_selector *named);

/* acquire.c */
void ike_acquire(struct ike_engine *e, const struct xf_acquire *a);
/* The phase 1 SA between these that is up or under way, or a new one. */
int ike_p1_towards(struct ike_engine *e, const struct cs_addr *local, const struct cs_addr *remote,
		   struct ike_p1 **p1, struct cs_err *err);
/* A pair of this tunnel, as initiator; its Quick Mode is not begun. */
int ike_p2_begin(struct ike_engine *e, struct ike_p1 *p1, const struct pol_filter_rule *rule,
		 struct ike_tunnel *t, enum ike_activation activation,
		 const struct pol_local_dynvpn *local_rule, struct ike_p2 **p2, struct cs_err *err);
/* Can the rule have a tunnel with this selector between these? CS_EPOLICY. */
int ike_p2_check_request(const struct pol_filter_rule *rule, const struct cs_selector *selector,
			 const struct cs_addr *local, const struct cs_addr *remote,
			 struct cs_err *err);
/* Makes a pair of this tunnel and starts or joins its phase 1. */
int ike_p2_initiate(struct ike_engine *e, const struct pol_filter_rule *rule,
		    const struct cs_selector *selector, const struct cs_addr *local,
		    const struct cs_addr *remote, enum ike_activation activation,
		    const struct pol_local_dynvpn *local_rule, uint32_t *tunnel,
		    struct cs_err *err);

/* hold.c: packets of tunnels that are not there; of a key it takes the rule and the selector */
/* From now until the attempt failed or the tunnel's policy is in. False: they are not held. */
bool ike_hold(struct ike_engine *e, const struct ike_tunnel_key *k);
/* The attempt that packets asked for failed: they are held for a while longer. */
void ike_hold_failed(struct ike_engine *e, const struct ike_tunnel_key *k);
/* Is it too early for another attempt? */
bool ike_hold_waits(const struct ike_engine *e, const struct ike_tunnel_key *k);
/* The tunnel's own policy has just taken the place. */
void ike_hold_replaced(struct ike_engine *e, const struct ike_tunnel_key *k);
void ike_hold_forget_all(struct ike_engine *e);

/* peer_rule.c: rules that are for peers of an identity */
/* The first one for this selector that the peer of p1 may have; p1 NULL: one without identity. */
const struct pol_filter_rule *ike_peer_rule(const struct ike_engine *e, const struct ike_p1 *p1,
					    const struct cs_selector *s);
/* As initiator, before it is known who the peer is: the first one. */
const struct pol_filter_rule *ike_first_rule(const struct ike_engine *e,
					     const struct cs_selector *s);
/* Packets of this selector have rule's mark. Whose tunnel is it to be, if that peer is known? */
const struct pol_filter_rule *ike_rule_towards(const struct ike_engine *e,
					       const struct pol_filter_rule *rule,
					       const struct cs_selector *s,
					       const struct cs_addr *local,
					       const struct cs_addr *remote);
/* CS_EPOLICY: its RemoteIdentity is not the peer's. */
int ike_peer_check(const struct ike_p1 *p1, const struct pol_filter_rule *rule, struct cs_err *err);
/* The same of a peer of the engine before this one, by its ID payload body. */
bool ike_peer_was(const struct pol_filter_rule *rule, struct cs_bytes id_body);
/* Of the rule under whose mark the kernel has the packets of a tunnel. */
uint16_t ike_mark_id(const struct ike_engine *e, uint16_t rule_id, const struct cs_selector *s);

/* claim.c: one tunnel for a rule's selector */
/*
 * Where the rule says behind which endpoint its traffic lies, no other peer may draw that traffic
 * to itself, nor the same one from elsewhere.  The original lets whoever is authenticated; this is
 * stricter.
 */
bool ike_claim_allowed(const struct pol_filter_rule *rule, const struct cs_addr *peer);
/* The tunnel between other endpoints that has the outbound policy of this rule and selector. */
struct ike_tunnel *ike_claim_holder(const struct ike_engine *e, const struct ike_tunnel_key *k);
/*
 * May this peer have the tunnel? CS_EPOLICY: another peer, or another user of a client, has one
 * that is up. p1: the peer's, or NULL.
 */
int ike_claim_check(const struct ike_engine *e, const struct ike_tunnel_key *k,
		    const struct ike_peer *peer, const struct ike_p1 *p1, struct cs_err *err);
/*
 * The same where the peer begins.  Behind a NAT it may have a selector that others have, too, and
 * then k gets a mark for its tunnel.
 */
int ike_claim_request(struct ike_engine *e, struct ike_tunnel_key *k, const struct ike_p1 *p1,
		      bool transport, struct cs_err *err);
/* The tunnel's policy is in the kernel, in the place of another's, which ends. */
void ike_claim_take(struct ike_engine *e, struct ike_tunnel *t);

/* unsettled.c */
/* The pair ends while the store has its intent: FAILED follows when the store says that it has. */
int ike_unsettled_keep(struct ike_engine *e, const struct ike_p2 *p2, const char *reason);
bool ike_unsettled_committed(struct ike_engine *e, uint64_t tx, int status); /* was it one? */
/* No answer comes any more; the next start settles what the store then has. */
void ike_unsettled_forget(struct ike_engine *e);

/* commands.c */
void ike_apply_policy(struct ike_engine *e, struct pol_policy *policy);
void ike_end_all(struct ike_engine *e, bool tell, bool keep);

int ike_activate(struct ike_engine *e, const char *local_rule, enum ike_activation activation,
		 uint32_t *tunnel, struct cs_err *err);
int ike_deactivate_p1(struct ike_engine *e, uint32_t tunnel, struct cs_err *err);
int ike_deactivate_p2(struct ike_engine *e, uint32_t tunnel, struct cs_err *err);
int ike_command_refresh_p1(struct ike_engine *e, uint32_t tunnel, struct cs_err *err);
int ike_command_refresh_p2(struct ike_engine *e, uint32_t tunnel, struct cs_err *err);

/* auto.c: AutoActivate */
void ike_auto_policy(struct ike_engine *e); /* one has come into force */
void ike_auto_retry(struct ike_engine *e);  /* something has changed: all of them now */
void ike_auto_forget_all(struct ike_engine *e);
void ike_auto_stopped(struct ike_engine *e, const struct ike_p2 *p2); /* by command */
void ike_auto_started(struct ike_engine *e, const char *local_rule);  /* by command */
/* What becomes of any pair; those of other rules are none of its business. */
void ike_auto_up(struct ike_engine *e, const struct ike_p2 *p2);
void ike_auto_failed(struct ike_engine *e, const struct ike_p2 *p2, const char *why);
void ike_auto_ended(struct ike_engine *e, const struct ike_p2 *p2, const char *why); /* unlinked */

/* windows.c: time conditions */
#define IKE_OUT_OF_TIME "the time condition of its rule no longer holds"
#define IKE_OTHER_MARK  "the filters have another rule of a RemoteIdentity before its rule now"
bool ike_rule_in_time(const struct ike_engine *e, const struct pol_filter_rule *rule);
void ike_windows_policy(struct ike_engine *e); /* one has come into force */
void ike_minute(struct ike_engine *e, struct ike_timer *t);

/* resync.c */
void ike_resync_begin(struct ike_engine *e);
void ike_resync_sa(struct ike_engine *e, const struct xf_sa *sa);
void ike_resync_end(struct ike_engine *e);
int ike_strays_add(struct ike_engine *e, const struct xf_said *id);
void ike_strays_delete(struct ike_engine *e);
void ike_strays_clear(struct ike_engine *e);

/* notify.c */
/* Encrypted under p1 when it is keyed, in an exchange of its own. */
void ike_notify_p1(struct ike_engine *e, struct ike_p1 *p1, unsigned type, unsigned proto,
		   struct cs_bytes spi, struct cs_bytes data);
/* In clear, small, and only as often as the bucket allows. request: its length. */
void ike_notify_clear(struct ike_engine *e, const struct cs_endpoint *local,
		      const struct cs_endpoint *remote, const uint8_t *icookie,
		      const uint8_t *rcookie, unsigned type, size_t request);
void ike_put_initial_contact(const struct ike_p1 *p1, struct isa_builder *b);
void ike_put_connected(const struct ike_p2 *p2, struct isa_builder *b);
/* When we end the SA before the life that was agreed is over (RFC 2407 section 4.6.3.1). */
void ike_put_responder_lifetime(const struct ike_p2 *p2, struct isa_builder *b);
void ike_delete_p1(struct ike_engine *e, struct ike_p1 *p1);
/* That another phase 1 SA of the peer's is gone. */
void ike_delete_cookies(struct ike_engine *e, struct ike_p1 *p1, const uint8_t *icookie,
			const uint8_t *rcookie);
void ike_delete_p2(struct ike_engine *e, struct ike_p2 *p2); /* our inbound SPI */
void ike_delete_spi(struct ike_engine *e, struct ike_p1 *p1, enum pol_proto proto, uint32_t spi);
void ike_delete_spis(struct ike_engine *e, struct ike_p1 *p1, enum pol_proto proto,
		     const uint32_t *spis, unsigned n);

/* informational.c */
struct ike_notice { /* a NOTIFY payload; views into the message */
	uint8_t proto;
	uint16_t type;
	struct cs_bytes spi, data;
};
bool ike_notice_read(const struct isa_payload *p, struct ike_notice *n);
void ike_info_clear(struct ike_engine *e, struct ike_p1 *p1, const struct cs_endpoint *remote,
		    const struct isa_header *h, const uint8_t *data, size_t len);
void ike_info_encrypted(struct ike_engine *e, struct ike_p1 *p1, const struct isa_header *h,
			const uint8_t *data, size_t len);

#endif
