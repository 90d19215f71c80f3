/*
 * Private to the takeover: what another host, or this one in its last life, had at an address that
 * is here now, and that is negotiated anew.  takeover.c keeps it in its tables, takeover_find.c
 * finds it, takeover_run.c begins negotiations, takeover_end.c tells what is gone and settles.
 */
#ifndef IKE_TAKEOVER_H
#define IKE_TAKEOVER_H

#include "iked/engine_private.h"

enum ike_old_state {
	IKE_OLD_QUEUED,
	IKE_OLD_UNDER_WAY, /* a pair of its tunnel is being negotiated */
	IKE_OLD_WAITS,     /* for the next try, a packet, or the peer */
	IKE_OLD_UP,        /* its tunnel is up anew; the peer is to be told that this one is gone */
	IKE_OLD_GIVEN_UP,  /* the same, but nothing comes of it */
	IKE_OLD_STATES
};

struct ike_old_pair {
	struct ike_node by_key, by_spi;
	struct ike_list in_peer;
	struct ike_old_peer *peer;
	enum ike_old_state state;
	bool asked;       /* a packet wants it, and is held */
	bool plain;       /* the peer did not take what was agreed last time */
	uint16_t rule_id; /* in the policy in force; 0: it has no such rule */
	uint32_t tunnel;  /* n of Y<n> where it was */
	uint64_t ref;
	char rule[POL_NAME_MAX + 1], local_rule[POL_NAME_MAX + 1];
	struct cs_selector selector;
	struct cs_selector named; /* as the peer called it; without a family: as selector */
	bool client;              /* its tunnel had a mark of its own (marks.c) */
	struct ike_p2_suite suite;
	uint32_t spi_in, ah_in;
	int64_t expires, vpn_expires;
};

struct ike_old_p1 {
	struct ike_list in_peer;
	uint8_t icookie[ISA_COOKIE_LEN], rcookie[ISA_COOKIE_LEN];
};

/* How the next phase 1 with it is begun. */
enum ike_old_try {
	IKE_TRY_CACHED, /* as it was agreed */
	IKE_TRY_PLAIN,  /* as the policy has it */
};

/* A peer of then: two addresses, two identities and a rule. */
struct ike_old_peer {
	struct ike_node by_addrs, by_ids;
	struct ike_list all, ready; /* ready: something can be done now */
	struct ike_list pairs;      /* the next one first */
	struct ike_list p1s;
	struct ike_timer again, tell;
	struct cs_endpoint local, remote;
	bool nat;     /* in front of the peer: remote is its last mapping */
	bool common;  /* behind NATs others have its identities: it is known where it was alone */
	bool encap;   /* ESP went in UDP */
	bool client;  /* a user's: only it can begin */
	bool restart; /* it is this host's own of before: the pairs live on, phase 1 does not */
	bool awaited; /* only the peer can begin now */
	bool urgent;  /* a packet waits */
	bool slot;    /* its phase 1 counts among the negotiations under way */
	enum ike_old_try how;
	unsigned under_way; /* Quick Modes that this began */
	uint32_t via;       /* K number that was used last, 0: none */
	uint32_t tunnel;    /* restart: n of K<n> of the phase 1 SA, and its end */
	int64_t expires;
	struct ike_p1 *trying; /* phase 1 under way */
	char rule[POL_NAME_MAX + 1];
	enum pol_mode mode;
	bool has_suite;
	bool counted; /* among the awaited */
	struct ike_p1_suite suite;
	uint16_t local_id_len, remote_id_len;
	uint8_t ids[];
};

struct ike_vipa {
	struct cs_addr address;
	bool passive;
};

/* From the first that was queued until nothing is left to be begun. */
struct ike_takeover {
	struct ike_table by_key, by_spi, by_addrs, by_ids;
	struct ike_list peers;
	struct ike_list urgent, ready; /* those that have something to do, the next one first */
	struct ike_timer soon, progress;
	unsigned n_pairs;           /* that are not settled */
	unsigned n[IKE_OLD_STATES]; /* of these, in each state */
	unsigned under_way;         /* negotiations that got an answer lately */
	unsigned window;            /* of these at a time; it grows with each that succeeds */
	/* Of the run: from the first pair that came until none is open. */
	bool running;
	uint64_t begun;
	unsigned total, up, given_up;
	struct ike_vipa *vipas; /* of which somebody has said whether they are passive */
	unsigned n_vipas;
};

#define IKE_TAKEOVER_AGAIN_MS 60000u
#define IKE_TAKEOVER_LEAVE_MS 500u /* to a peer that has begun phase 1, for its own Quick Modes */

/* takeover.c */
uint64_t ike_old_hash_spi(const struct ike_engine *e, uint32_t spi);
uint64_t ike_old_hash_ids(const struct ike_engine *e, struct cs_bytes remote_id);
struct cs_bytes ike_old_local_id(const struct ike_old_peer *op);
struct cs_bytes ike_old_remote_id(const struct ike_old_peer *op);
bool ike_old_same(struct cs_bytes a, struct cs_bytes b);
struct ike_tunnel_key ike_old_pair_key(const struct ike_old_pair *pair);
void ike_old_pair_set(struct ike_engine *e, struct ike_old_pair *pair, enum ike_old_state state);
void ike_old_pair_free(struct ike_engine *e, struct ike_old_pair *pair);
void ike_old_peer_free(struct ike_engine *e, struct ike_old_peer *op); /* with what it has */

/* takeover_find.c */
const struct pol_ke_rule *ike_old_peer_rule(const struct ike_engine *e,
					    const struct ike_old_peer *op);
struct ike_old_pair *ike_old_pair_find(const struct ike_engine *e, const struct ike_tunnel_key *k);
/* The same two addresses and identities, where we have SAs with them; or NULL. */
const struct ike_peer *ike_old_peer_now(const struct ike_engine *e, const struct ike_old_peer *op);
struct ike_old_pair *ike_old_pair_by_spi(const struct ike_engine *e, uint32_t spi);
/* The phase 1 SA with it that is up, or NULL. */
struct ike_p1 *ike_old_peer_p1(const struct ike_engine *e, const struct ike_old_peer *op);

/* takeover_run.c */
/* At the next tick; first: before all others. */
void ike_takeover_ready(struct ike_engine *e, struct ike_old_peer *op, bool first);
void ike_takeover_soon(struct ike_engine *e, struct ike_timer *t);
void ike_takeover_again(struct ike_engine *e, struct ike_timer *t);
void ike_takeover_schedule(struct ike_engine *e);
/* How many negotiations are begun at a time: at the begin of a run; one has succeeded. */
void ike_takeover_open_window(struct ike_engine *e);
void ike_takeover_widen(struct ike_engine *e);

/* takeover_end.c */
/* Nothing comes of it: the peer is told when it can be. why NULL: that was said. */
void ike_takeover_give_up(struct ike_engine *e, struct ike_old_pair *pair, const char *why);
bool ike_old_peer_open(const struct ike_old_peer *op); /* is there a pair that may come up yet? */
void ike_takeover_settle(struct ike_engine *e, struct ike_old_pair *pair);
void ike_takeover_tell(struct ike_engine *e, struct ike_timer *t);
void ike_takeover_tell_soon(struct ike_engine *e, struct ike_old_peer *op);
void ike_takeover_begun(struct ike_engine *e, unsigned pairs, unsigned peers,
			const struct cs_addr *at);
/* Is nothing left that can be begun from here? Then the log says so. */
void ike_takeover_check_end(struct ike_engine *e);
void ike_takeover_progress(struct ike_engine *e, struct ike_timer *t);

#endif
