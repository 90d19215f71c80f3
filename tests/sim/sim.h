/*
 * The simulation: any number of engines in one process under a virtual clock, on a virtual network
 * that loses, doubles, delays, reorders and corrupts, above virtual kernels that keep their SAs.
 * A scenario follows from its seed alone and replays exactly.
 */
#ifndef SIM_H
#define SIM_H

#include "iked/cert.h"
#include "iked/engine.h"
#include "policy/policy.h"

#define SIM_HOSTS        3          /* of a random scenario */
#define SIM_MOST         51         /* of a long one */
#define SIM_WALL         1700000000 /* wall clock at virtual time 0 */
#define SIM_LARVAL       30000      /* milliseconds that an unanswered acquire blocks the next */
#define SIM_FRAGMENT_MAX 16384
#define SIM_NOBODY       UINT32_MAX
#define SIM_MANY         "198.18.0.0/15" /* addresses of one host that stands for many */
#define SIM_USER         "user"          /* of all clients */
#define SIM_PASSWORD     "secret"

struct sim;
struct sim_variant;

/* ---- random numbers ---- */
struct sim_rng {
	uint64_t state;
};
uint64_t sim_random(struct sim_rng *rng);
uint32_t sim_below(struct sim_rng *rng, uint32_t n); /* 0 to n-1; 0 for n == 0 */
bool sim_chance(struct sim_rng *rng, unsigned permille);

/* ---- the virtual kernel ---- */
struct vk_sa {
	struct xf_sa sa; /* keys point into the arrays below */
	uint8_t cipher_key[64], integ_key[64];
	uint64_t added; /* mono milliseconds */
	uint64_t packets;
	bool larval, told_first;
};
struct vk_acquire {
	unsigned rule_id;
	struct cs_selector selector;
	uint64_t until;
};
struct vkernel {
	struct vk_sa **sas;
	unsigned n_sas;
	struct xf_policy *policies;
	unsigned n_policies;
	struct vk_acquire *larvals;
	unsigned n_larvals;
	/* Of the connections with a host: which client it is, as its last packet had it; 0: none.
	 */
	unsigned clients[SIM_MOST];
	unsigned refuse_permille; /* of additions, while the scenario wants trouble */
	unsigned long added, deleted;
};

/* ---- records as the store would keep them ---- */
struct sim_row;
struct sim_record { /* that the store has taken, and that is not on the disk yet */
	uint64_t tx, intent;
	enum ike_record_kind kind;
	bool in_doubt;
	struct sim_row *row; /* what it is about */
};
struct sim_outbox { /* what trmd would read */
	enum ike_record_kind kind;
	uint32_t tunnel, generation, reqid;
	uint32_t spis[4]; /* inbound, outbound; of AH around them */
	bool in_doubt;
	bool seen[2]; /* was there such an SA: in, out */
};
struct sim_intent { /* without its result yet */
	uint64_t tx;
	uint32_t tunnel, generation;
};
/* The SA cache: what is up or intended, with the texts and identities that its info points to. */
struct sim_row {
	bool phase1;
	struct ike_p1_info p1;
	struct ike_cached_p2 p2;
	char rule[POL_NAME_MAX + 1], action[POL_NAME_MAX + 1], local_rule[POL_NAME_MAX + 1];
	uint8_t ids[256];
};
struct sim_ledger {
	struct sim_intent *intents;
	unsigned n_intents;
	uint64_t next_tx;
	struct sim_row **rows;
	unsigned n_rows;
	struct ike_p1_kept **kept;
	unsigned n_kept;
	struct ike_quick_kept **quicks;
	unsigned n_quicks;
	int p1_up, p2_up; /* ups without their down; never negative, zero at the end */
	unsigned long p2_ups;
	struct sim_record *pending; /* in order */
	unsigned n_pending;
	struct sim_outbox *outbox;
	unsigned n_outbox;
};

/* An SA with keys that the kernel had.  Its reqid is its tunnel's, so SPIs of two peers may meet.
 */
struct sim_sighting {
	uint32_t spi, reqid;
	bool outbound, went;
};
struct sim_witness {
	struct sim_sighting *list;
	unsigned n;
};

/* A NAT in front of a host, see nat.c. */
struct sim_mapping {
	uint16_t outer; /* 0: none */
	uint64_t used;
};
struct sim_nat {
	bool there;
	unsigned timeout;                          /* milliseconds */
	struct sim_mapping mappings[SIM_HOSTS][2]; /* of ports 500 and 4500, a host outside */
};

/* What a host's policy says of one peer; of the others it has always the same rules. */
enum sim_edition { SIM_WHOLE, SIM_CHANGED, SIM_WITHOUT, SIM_EDITIONS };

/* What goes with the engine: nothing, what the parent keeps, all that is in the kernel, too. */
enum sim_death { SIM_WORKER, SIM_PARENT, SIM_WHOLE_HOST, SIM_DEATHS };

struct sim_host {
	struct sim *sim;
	unsigned index;
	struct cs_addr addr;
	struct ike_engine *engine; /* NULL while it is down */
	struct vkernel kernel;
	struct sim_ledger ledger;
	struct pol_policy *policy;         /* in force */
	const struct sim_variant *variant; /* the scenario's */
	enum sim_edition edition;          /* in force, and the peer that it is about */
	unsigned edited;
	unsigned sent, received; /* packets through ESP */
	unsigned asked;          /* packets that found no SA */
	bool commits;            /* sets the commit bit in all that it sends */
	unsigned jobs;           /* public-key and certificate jobs under way */
	uint64_t epoch;          /* counts the engines that this host had */
	uint32_t last_tunnel;
	unsigned long adopted; /* SAs that lived on over a restart */
	struct sim_nat nat;
	unsigned long moved; /* SAs, by the engine */
	struct sim_witness witness;
	unsigned fuse;       /* the engine dies before so many more things that others can see */
	uint64_t fuse_until; /* or then */
	bool dead;           /* it has: nothing of what it still does is seen */
	enum sim_death death;
	unsigned long deaths, in_doubt;
	bool absent;            /* its address is another host's */
	unsigned outside;       /* by which NATs know it */
	unsigned deaf_from;     /* of many: from this number on they do not answer; 0: all do */
	bool many;              /* it stands for all of SIM_MANY */
	unsigned long all_jobs; /* public-key jobs that it ever had */
};

/* ---- the network ---- */
struct sim_net {
	unsigned loss, duplicate, corrupt; /* permille, while it is bad */
	unsigned delay_min, delay_max;     /* milliseconds */
	unsigned cut; /* permille, always: messages that their sender sends in fragments */
	uint64_t bad_from, bad_until;
	/* Scripted runs: what to do with the nth datagram of each kind, see exhaustive.c. */
	bool (*script)(struct sim *sim, unsigned host, const struct cs_endpoint *from,
		       const struct cs_endpoint *to, const uint8_t *data, size_t len,
		       unsigned *copies, uint64_t *delay);
	void *script_arg;
};

/*
 * The fragment with this number, of so many, of a message; its length, or 0 when that may not be
 * cut. All have one id, as with some peers.
 */
size_t sim_fragment(const uint8_t *message, size_t len, unsigned number, unsigned of,
		    uint8_t out[static SIM_FRAGMENT_MAX]);

enum sim_action {
	SIM_TRAFFIC,
	SIM_DROP_P1,
	SIM_DROP_P2,
	SIM_REFRESH_P1,
	SIM_REFRESH_P2,
	SIM_RELOAD,
	SIM_RESTART,
	SIM_RESYNC,
	SIM_NAT_RESTART,
	SIM_KILL, /* peer: how, and a moment later */
	SIM_START
};

struct sim_event; /* of the queue */
struct sim_shared;

/* An SA that this host must not have any more from that time on. */
struct sim_gone {
	unsigned host;
	struct xf_said id;
	uint64_t at;
};

struct sim {
	uint64_t seed, now; /* mono milliseconds */
	struct sim_rng rng;
	struct sim_host hosts[SIM_MOST];
	unsigned n_hosts;
	struct sim_net net;
	struct sim_event **queue; /* binary heap */
	unsigned n_queue, cap_queue;
	uint64_t next_event;
	bool peers_send;                 /* by the SAs of before, when an address arrives */
	double pk_ms;                    /* CPU that public-key jobs have taken */
	unsigned pk_delay, commit_delay; /* milliseconds at most; 0: done at once */
	unsigned commit_fail_permille;   /* while the network is bad */
	unsigned no_address;             /* permille: clients that ask for none */
	unsigned max_half_open;          /* of each engine; 0: usual */
	unsigned long datagrams, bytes;
	struct sim_gone *gone;
	unsigned n_gone;
	unsigned long kept, told_gone; /* pairs that lived on or ended at both sides, by reloads */
	struct ike_cert_ring ring;     /* of all hosts, where they sign */
	struct sim_shared *shared;     /* what hosts share of a moving address, or NULL */
	bool hostile_peers;            /* they have the keys and lie: two ends may well disagree */
	bool verbose, ended;           /* ended: nobody begins any more */
	unsigned check_every;          /* events between two looks at all pairs; 0: at each */
	char failure[400];             /* the first broken invariant, "" when none */
};

void sim_init(struct sim *sim, uint64_t seed, bool verbose);
/* Adds a host with the policy (a reference is taken); all hosts have one variant. */
int sim_add_host(struct sim *sim, const struct sim_variant *variant, struct pol_policy *policy);
int sim_start_engine(struct sim_host *host);
/*
 * The engine dies without a word; what it kept, the kernel and the cache stay for the next one, but
 * for records that are not on the disk: some of the last ones are lost.
 */
void sim_kill_engine(struct sim_host *host);
/* Runs until the virtual time, or until a broken invariant. */
void sim_run(struct sim *sim, uint64_t until);
/* Stops all engines in order, checks that nothing is left, frees everything. */
void sim_end(struct sim *sim);
void sim_fail(struct sim *sim, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void sim_at(struct sim *sim, uint64_t at, unsigned host, enum sim_action action, unsigned peer);
/* One packet from host to peer: through ESP, or it raises an acquire. */
void sim_packet(struct sim *sim, unsigned host, unsigned peer);
/* Sends a packet a second each way until one came through in both directions, or the time is over.
 */
bool sim_both_ways(struct sim *sim, unsigned a, unsigned b, uint64_t milliseconds);
/* A datagram that nobody sent, as if it came so. */
void sim_inject(struct sim *sim, const struct cs_endpoint *from, const struct cs_endpoint *to,
		const uint8_t *data, size_t len, uint64_t delay);
struct ike_now sim_now(const struct sim *sim);
bool sim_bad(const struct sim *sim); /* is the network, now? */

/* ---- inside ---- */
extern const struct ike_ops sim_ops;
void sim_send(struct sim_host *h, const struct cs_endpoint *local, const struct cs_endpoint *remote,
	      const uint8_t *data, size_t len);
void sim_push_acquire(struct sim_host *h, const struct xf_acquire *a);
void sim_push_expire(struct sim_host *h, uint64_t at, const struct xf_said *id, bool hard);
void sim_push_esp(struct sim_host *from, struct sim_host *to, const struct vk_sa *sa);

int vk_spi(struct sim_host *h, const struct cs_addr *dst, uint8_t proto, enum xf_spi_kind kind,
	   uint32_t reqid, uint32_t *spi, struct cs_err *err);
int vk_add(struct sim_host *h, const struct xf_sa *sa, bool update, struct cs_err *err);
int vk_delete(struct sim_host *h, const struct xf_said *id, struct cs_err *err);
struct vk_sa *vk_find(struct sim_host *h, const struct xf_said *id);
int vk_move(struct sim_host *h, const struct xf_move *m, struct cs_err *err);
int vk_policy_add(struct sim_host *h, const struct xf_policy *p, struct cs_err *err);
int vk_policy_delete(struct sim_host *h, const struct xf_policy *p, struct cs_err *err);
void vk_larval_clear(struct sim_host *h, const struct xf_acquire *a);
void vk_output(struct sim_host *h, struct sim_host *peer);
/* port: that it came from in UDP, or 0. */
void vk_input(struct sim_host *h, const struct xf_said *id, uint16_t port,
	      const uint8_t *cipher_key, const uint8_t *integ_key);
void vk_clear(struct sim_host *h);
/* The host was halted: so is its kernel, which somebody may have watched. */
void vk_halt(struct sim_host *h);
/* Two hosts' SAs of one (destination, protocol, SPI) must have one key. */
void vk_check_pairs(struct sim *sim);

/* restart.c: what outlives an engine */
struct sim_row *sim_row_new(const struct ike_record *rec, uint64_t intent);
/* Takes it over. */
void sim_row_put(struct sim_host *h, struct sim_row *row);
void sim_row_drop(struct sim_host *h, bool phase1, uint32_t tunnel, uint32_t generation);
void sim_keep(void *host, const struct ike_p1_kept *kept);
void sim_keep_quick(void *host, const struct ike_quick_kept *kept);
void sim_forget_quick(void *host, uint32_t tunnel, uint32_t generation);
void sim_forget(void *host, uint32_t tunnel, uint32_t generation);
void sim_restore(struct sim_host *h);
void sim_forget_all(struct sim_host *h);
/* What the parent kept goes with it. */
void sim_lose_kept(struct sim_host *h);

/* reload.c: puts another edition in force, and checks what must be so then. */
void sim_reload(struct sim_host *h, enum sim_edition edition, unsigned peer);
void sim_check_gone(struct sim *sim);

/* audit.c: records, as they become durable, and the kernel's witness. */
void sim_take_record(struct sim_host *h, const struct ike_record *rec, uint64_t tx);
/* All up to this transaction are on the disk. */
void sim_durable(struct sim_host *h, uint64_t tx);
/* The store dies: of those that are not, a number of the last ones is lost. */
void sim_lose_records(struct sim_host *h);
void sim_saw_come(struct sim_host *h, const struct xf_sa *sa);
void sim_saw_go(struct sim_host *h, const struct xf_sa *sa);
/* At the end: each SA that was seen is of one record, and each record of an SA that was seen. */
void sim_audit(struct sim_host *h);
void sim_audit_free(struct sim_host *h);

/* nat.c */
void sim_nat_restart(struct sim_host *h);
/* Does its NAT know this port, for what comes from there? */
bool sim_nat_lets_in(const struct sim_host *h, const struct sim_host *outside, uint16_t port);
/* Through the NATs of both; false: it does not get in. */
bool sim_nat_pass(struct sim_host *from, struct sim_host *to, uint16_t *from_port,
		  uint16_t *to_port);

/* client.c: hosts that are clients of each other. */
/* Message 1 of such a host, or what a gateway answers. */
void sim_client_offer(struct sim_host *h, const struct cs_endpoint *remote, uint8_t *data,
		      size_t len);
/* Such a host's engine sends this. */
void sim_client_sends(struct sim_host *h, const uint8_t *data, size_t len);
/* A datagram that came; true: it was the client's, and the engine has no part in it. */
bool sim_client_receive(struct sim_host *h, const uint8_t *data, size_t len);
/* Of the phase 1 SA by which a pair is about to be installed. */
void sim_client_check(struct sim_host *h, const struct ike_p1_info *info);

/* keyring.c; not 0 with a line on stderr. */
int sim_keyring(struct ike_cert_ring *ring);
void sim_keyring_free(struct ike_cert_ring *ring);

/* shared.c: an address that moves between hosts */
void sim_share(struct sim *sim);
void sim_share_free(struct sim *sim);
void sim_share_record(struct sim_host *h, const struct ike_record *rec);
void sim_share_settled(void *host, uint64_t ref);
/* The address is here, and claimed; how many pairs were inherited. */
unsigned sim_arrive(struct sim_host *h);
/* It is another's, or is to be; it goes from the host by itself. */
void sim_depart(struct sim_host *h, bool tell);
unsigned sim_share_foreign(const struct sim *sim); /* pairs that are not the owner's own */

/* The engine dies within what it is doing, or now, and another one begins some time later. */
void sim_light_fuse(struct sim_host *h, enum sim_death death);
void sim_bury(struct sim_host *h, enum sim_death death);
/* A packet for the nth of many hosts that one stands for. */
void sim_ask_many(struct sim_host *h, unsigned nth);

/* ---- policies and scenarios ---- */
/* Of two hosts the first is the client; the other gives it its own address in ADDRESSES. */
/* SIM_NAT: in front of the first host, so that only that can begin; SIM_FORCED: there is none. */
enum sim_nats { SIM_NO_NAT, SIM_NAT, SIM_FORCED };
enum sim_clients { SIM_NO_CLIENTS, SIM_USERS, SIM_ADDRESSES };
struct sim_variant {
	const char *cipher, *hash, *group; /* KeyExchangeOffer words */
	const char *encap, *esp_cipher, *esp_auth;
	const char *pfs; /* "None" or a group */
	bool ipv6;
	bool aggressive;           /* and not Main Mode; peers are known by name */
	unsigned p1_life, p2_life; /* minutes; 0: 20 and 10 */
	unsigned liveness;         /* seconds; 0: 30 */
	bool signs;                /* with RSA, and not a preshared key */
	bool names;                /* two rules a peer, told apart by its identity alone */
	enum sim_clients clients;
	enum sim_nats nat;
};
extern const struct sim_variant sim_variants[];
extern const unsigned sim_n_variants;
/*
 * Policy for host `self` of n hosts, each of which it may reach; in another edition than the whole
 * one the rule for one peer is another or missing.  NULL with a line on stderr.
 */
struct pol_policy *sim_policy(const struct sim_variant *v, unsigned self, unsigned n,
			      enum sim_edition edition, unsigned peer);
const char *sim_address(bool ipv6, unsigned host);
/* Of a host whose peers are all in SIM_MANY, or of the one that stands for these. */
struct pol_policy *sim_policy_many(const struct sim_variant *v, bool many);

/* Both return the number of failures and print a line for each with its seed. */
unsigned sim_random_scenarios(uint64_t first_seed, unsigned n, bool verbose);
unsigned sim_exhaustive(bool verbose, unsigned *ran);
unsigned sim_takeovers(uint64_t first_seed, unsigned n, bool verbose);
unsigned sim_takeover_many(unsigned peers, unsigned deaf, bool send, uint64_t seed, bool verbose);
/* Many peers of one host for days; the number of failures. */
unsigned sim_endurance(unsigned days, unsigned peers, uint64_t seed, bool verbose);

#endif
