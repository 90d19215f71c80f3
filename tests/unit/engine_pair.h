/*
 * Two engines wired back to back, or three, each above a kernel and a store that only remember:
 * what the engine's unit tests stand on.  Datagrams wait in a queue until pair_run(); nothing is
 * random but what libgcrypt makes.
 */
#ifndef ENGINE_PAIR_H
#define ENGINE_PAIR_H

#include "iked/engine.h"

#define PAIR_SIDES     3
#define PAIR_SAS       160
#define PAIR_POLICIES  64
#define PAIR_DATAGRAMS 512
#define PAIR_KEPT      8

/* One side's policy; NULL or 0 stands for the default in engine_pair.c. */
struct pair_policy {
	bool ipv6;
	const char *ke_offers;   /* "AES_CBC KeyLength 256|SHA2_256|Group14[/RsaSignature];..." */
	const char *data_offers; /* "Transport|AES_CBC KeyLength 256|ESP HMAC_SHA2_256_128;..." */
	const char *pfs, *accept_pfs; /* "None", "Group14"; accepted: separated by blanks */
	const char *key;
	const char *local_id, *remote_id; /* "Fqdn a.example.com" */
	const char *ca_labels;            /* "CaLabel Root", a line each */
	const char *revocation;           /* "Strict" */
	const char *remote_location;      /* of the peer, in the key exchange rule */
	const char *more_action;          /* lines of the key exchange action */
	const char *more_rules;           /* key exchange rules behind the first, as text */
	const char *initiation, *how_to_initiate, *how_to_respond; /* respond: "" is not coded */
	const char *local_net, *remote_net; /* data addresses; endpoints come from a start action */
	const char *service;                /* body of IpService */
	const char *liveness;               /* LivenessInterval; "0" unless coded */
	const char *rule_name;
	bool no_on_demand, no_ke_rule, local_rule, bypass_ip_validation;
	bool a_tunnel_a_host;      /* with nets: granularity Packet in place of Rule */
	bool any_endpoint;         /* with nets: no RemoteSecurityEndpointAddr */
	bool auto_activate;        /* of the local rule */
	const char *first_filter;  /* a filter rule before the one that there always is, as text */
	const char *rule_identity; /* RemoteIdentity of that */
	const char *start;         /* with nets: more lines of the start action */
	const char *times;         /* body of an IpTimeCondition of the filter rule */
	unsigned vpn_life;         /* minutes */
};

struct pair_sa {
	struct xf_sa sa;
	uint8_t keys[2][96];
	bool larval;
};

struct pair;

/* Does a certificate job, by ike_cert_run() perhaps. */
typedef void pair_cert_fn(void *arg, struct ike_cert_job *job);

struct side {
	struct pair *pair;
	unsigned index;
	struct cs_endpoint addr;
	struct ike_engine *e;
	struct pol_policy *policy;
	/* the kernel */
	struct pair_sa sas[PAIR_SAS];
	unsigned n_sas;
	struct xf_policy policies[PAIR_POLICIES];
	unsigned n_policies, policy_adds;
	uint32_t next_spi;
	int64_t added; /* when the SAs entered it, for a restart; 0: not known */
	bool idle;     /* nothing has come through them, for a restart */
	int refuse;    /* the nth addition from now is refused; 0: none */
	unsigned larval_clears, moves;
	char removed[512];     /* a letter each: i and o an SA of that direction, p a policy */
	unsigned more_packets; /* that each SA counts, beyond three */
	/* the store */
	bool later;                             /* commits only with pair_commit() */
	uint64_t last_tx, open_intent, settled; /* settled: the intent of the last result */
	unsigned n_records[IKE_REC_P2_DOWN + 1], n_in_doubt;
	char reason[512]; /* of the last record or event */
	struct ike_p1_kept kept[PAIR_KEPT];
	unsigned n_kept;
	uint64_t inherited; /* a bit for each number below 64 that was settled */
	unsigned n_inherited;
	int64_t clock;   /* what the engine said of it */
	bool clock_seen; /* a restart is told by how much it was set meanwhile */
	struct ike_quick_kept quicks[PAIR_KEPT];
	unsigned n_quicks;
	/* events and log */
	unsigned n_events[IKE_EV_FAILED + 1];
	void (*hear)(const struct ike_event *ev); /* or NULL */
	char log[65536], bad[65536];              /* all lines; those of warnings and errors */
	size_t log_len, bad_len;
	/* public-key jobs that wait for pair_jobs() */
	unsigned n_pk; /* that there ever were */
	bool jobs_later;
	struct ike_pk_job *jobs[64];
	unsigned n_jobs;
	/* certificate jobs; NULL: there is no keyring. They wait for pair_jobs(), too. */
	pair_cert_fn *cert;
	void *cert_arg;
	bool certs_later;
	struct ike_cert_job *cert_jobs[16];
	unsigned n_cert_jobs;
};

struct datagram {
	unsigned from;
	struct cs_endpoint local, remote; /* as the sender named them */
	uint8_t *data;
	size_t len;
};

/* Sees each datagram before it is delivered; false drops it. */
typedef bool pair_filter_fn(struct pair *p, unsigned from, uint8_t *data, size_t *len);

/*
 * What is between: may change where a datagram is from and for, as NATs do; false drops it. Who
 * gets it sees what is left here.
 */
typedef bool pair_nat_fn(struct pair *p, struct datagram *d);

struct pair {
	struct side side[PAIR_SIDES];
	unsigned n_sides;
	struct ike_now now;
	struct datagram queue[PAIR_DATAGRAMS], history[PAIR_DATAGRAMS];
	unsigned n_queue, n_history;
	pair_filter_fn *filter;
	void *filter_arg;
	pair_nat_fn *nat;
	void *nat_arg;
};

bool pair_crypto(void); /* once a process, before the first test */
struct pair *pair_new(const struct pair_policy *left, const struct pair_policy *right);
/* One more host, whose peer is side 0. */
struct side *pair_third(struct pair *p, const struct pair_policy *o);
/* Shuts the engines down and fails the test when an engine, kernel or store kept anything. */
void pair_free(struct pair *p);
void pair_ops(struct ike_ops *copy);
/* A new engine for the side, over the one that it had, with the policy that it has. */
void pair_engine(struct side *s);
struct pol_policy *pair_make_policy(const struct pair_policy *o, unsigned index);
/* Delivers, commits nothing, runs no clock. */
void pair_run(struct pair *p);
/* Lets time pass, timers and deliveries included. */
void pair_wait(struct pair *p, uint64_t milliseconds);
/* A packet on side i that needs a tunnel. */
void pair_acquire(struct pair *p, unsigned i);
void pair_commit(struct side *s, int status);
void pair_jobs(struct pair *p);
/* A hard or soft expire of the side's newest inbound SA. */
void pair_expire(struct pair *p, unsigned i, bool hard);
void pair_forget_history(struct pair *p);
/* Sends a recorded datagram once more to whom it was for. */
void pair_replay(struct pair *p, unsigned nth);
unsigned pair_holds(const struct side *s);     /* policies that hold packets */
unsigned pair_installed(const struct side *s); /* SAs that are no larval ones */
/* Do the SAs of both sides mirror each other, keys included? */
bool pair_mirrored(const struct pair *p);
bool pair_said(const struct side *s, const char *text);
/* Lines of warnings and errors; with text NULL all of them, else those that contain it. */
unsigned pair_complaints(const struct side *s, const char *text);

const struct ike_stats *pair_stats(const struct pair *p, unsigned i);
/* One tunnel, up on both sides, the same on both sides. */
void pair_expect_up(struct pair *p);
/* Nothing in the kernel, no phase 2 under way. */
void pair_expect_nothing(struct pair *p);
/* Two engines of one policy with a tunnel between them. */
struct pair *pair_up(const struct pair_policy *o);

#endif
