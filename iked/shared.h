/*
 * The shared store: what several hosts know of SAs that end at an address which moves between them
 * (DVIPA), the coupling facility of z/OS.  It has agreed attributes, never a key.  A helper process
 * without rights talks to sqlite or PostgreSQL (shared_serve.c); this is the worker's side of it.
 * Nothing here blocks, and nothing waits for the store: while it cannot be reached, SAs come and go
 * as ever, and what it missed is written when it is back.
 *
 * An address has an owner and an epoch.  Whoever the address arrives at claims it: epoch + 1, if
 * nobody else was faster (compare and set).  Whoever it leaves lets go of it.  Each write of an SA
 * is made only while the writer is still the owner.
 */
#ifndef IKE_SHARED_H
#define IKE_SHARED_H

#include <uv.h>

#include "iked/engine.h"

#define IKE_SHARED_HOST 80 /* bytes of a host's name in the store, with the end */
#define IKE_SHARED_URI  1024

struct ike_shared;

/* Of whom an address is. owner "" and epoch 0: nobody has ever claimed it. */
struct ike_shared_claim {
	struct cs_addr address;
	char owner[IKE_SHARED_HOST];
	uint64_t epoch;
	bool ours;
};

/* An SA of an address that has arrived: of its last owner, or an older one that was never settled.
 */
struct ike_shared_sa {
	const struct ike_p1_info *p1; /* one of the two */
	const struct ike_p2_info *p2;
	const char *host; /* who wrote it */
	/* This host did, in its last life, or in this one when the address came back: it may be up
	 * here (an engine that was restored). Those that were recorded since are not given. */
	bool own;
	int64_t used; /* wall clock of the last packet that was noticed, 0: not known */
	uint64_t ref; /* for ike_shared_settled() */
};

/* On the loop's thread, never from within a call. */
struct ike_shared_events {
	/* Answer to arrive(): each SA, then the end; status is not 0 when the store, or the replica
	 * beside this host, cannot be read now. It is asked again when it is there: nothing more
	 * comes until then, and then reread, SAs and the end. */
	void (*sa)(void *arg, const struct cs_addr *address, const struct ike_shared_sa *sa);
	void (*read)(void *arg, const struct cs_addr *address, int status,
		     const struct cs_err *err);
	void (*reread)(void *arg, const struct cs_addr *address);
	/* The claim of an address that is here was won, or it is lost now, at once or later. */
	void (*claim)(void *arg, const struct ike_shared_claim *claim);
	/* An address that is here and another host's is read and claimed as if it came now: its
	 * owner has let go of it, or is silent. sa and read follow. owner "": nobody. */
	void (*vacant)(void *arg, const struct cs_addr *address, const char *owner);
	/* The address's SAs have to be put anew, all that are up, one ike_shared_record() each: the
	 * claim was won, or the store was away. */
	void (*want_all)(void *arg, const struct cs_addr *address);
	/* This one is not in the store and could not be taken over now (EZD0831I), once for each
	 * until it is there. kind 'K' or 'Y'. */
	void (*unshared)(void *arg, char kind, uint32_t tunnel, const char *why);
	/* The store is there (why NULL) or not. */
	void (*reachable)(void *arg, const char *why);
	/* Another host has another policy in force than this one, once for each change. */
	void (*policy_differs)(void *arg, const char *host);
};

/* uri: sqlite:PATH or postgresql:CONNINFO. CS_EINVAL with what is wrong. Touches nothing. */
int ike_shared_check_uri(const char *uri, struct cs_err *err);

int ike_shared_new(uv_loop_t *loop, const struct ike_shared_events *events, void *arg,
		   struct ike_shared **shared, struct cs_err *err);
/* A helper is there, at the other end of fd, which is taken; the one before it is forgotten. */
int ike_shared_connect(struct ike_shared *s, int fd, struct cs_err *err);

/* There is no store, or none that could ever work: reads end at once with CS_ENOTFOUND, and nothing
 * is told of a store or of SAs that are not there; until a helper is connected. */
void ike_shared_absent(struct ike_shared *s);

/* The address is at this host: read what is known of it, and claim it. Again: as if it were new. */
void ike_shared_arrive(struct ike_shared *s, const struct cs_addr *address);
/* It was already when this worker began: the same, but while another host owns it, and lives, it is
 * that host's. */
void ike_shared_found(struct ike_shared *s, const struct cs_addr *address);
/* It is not any more, and if it was ours it is nobody's. Its SAs stay in the store for the next
 * owner; nothing of it is written. */
void ike_shared_leave(struct ike_shared *s, const struct cs_addr *address);

/* A record as the engine makes it. Those of addresses that are not here and ours are ignored. */
void ike_shared_record(struct ike_shared *s, const struct ike_record *rec);
/* Packets went through this SA lately: wall clock of the last. */
void ike_shared_used(struct ike_shared *s, const struct ike_p2_info *p2, int64_t used);
/* What arrived by this number is of no use any more: taken over, or given up. */
void ike_shared_settled(struct ike_shared *s, uint64_t ref);
/* Of the policy in force, for comparison with the other hosts'. */
void ike_shared_policy(struct ike_shared *s, const uint8_t digest[static POL_CONTENT_LEN]);

/* Writes what is queued, for two seconds at most, in the loop. No event comes any more. */
void ike_shared_stop(struct ike_shared *s);
void ike_shared_free(struct ike_shared *s); /* when the loop has ended */

struct ike_shared_stats {
	uint64_t puts, drops, failed, claims, lost, reads, malformed, reconnects;
	unsigned queued, unshared;
	bool reachable;
};
void ike_shared_stats(const struct ike_shared *s, struct ike_shared_stats *stats);

/* ---- the helper's process ---- */

struct ike_shared_options {
	const char *uri;
	const char *host; /* of this stack, in the store */
};
/*
 * Serves the worker at fd until it ends, and writes what it had asked for, for two seconds at most;
 * 0 then, and the process shall end: a thread of it may still wait for a database. One for each
 * host at a time: what an earlier one had still to write must not come after the next has begun.
 * Errors of the store are told to the worker and tried again with pauses that grow from 0.1 to 10
 * s; CS_EINVAL, CS_EUNSUPPORTED: it cannot ever work (a network file system under sqlite, a later
 * version's tables, libpq not built in).
 */
int ike_shared_serve(int fd, const struct ike_shared_options *o, struct cs_err *err);
/* Last words to the worker at fd: there is no store, or none that could ever work. */
void ike_shared_never(int fd);

#endif
