/* The worker's side of the shared store, private to its two files. */
#ifndef IKE_SHARED_CLIENT_H
#define IKE_SHARED_CLIENT_H

#include "iked/shared_wire.h"
#include "iked/table.h"

/* Something to be written: in the list of what waits, of what the helper has, or in none. */
struct ike_sh_work {
	struct ike_list link;
	enum { IKE_SH_IDLE, IKE_SH_WAITS, IKE_SH_SENT } at;
	enum ike_shared_kind sent;  /* PUT, USED or DROP */
	uint64_t serial;            /* SENT */
	bool again;                 /* SENT, and changed since */
	struct ike_sh_entry *entry; /* one of the two */
	struct ike_sh_ref *ref;
};

/* One generation of a tunnel. */
struct ike_sh_entry {
	struct ike_list in_tunnel;
	struct ike_sh_tunnel *tunnel;
	struct ike_sh_work work;
	uint32_t generation, parent;
	int64_t expires;
	bool wanted; /* it is up */
	bool maybe;  /* the store may have it */
	bool stored; /* it had it, as of the last answer */
	bool used_changed;
	char *document;               /* to be put */
	uint64_t hash, document_hash; /* of what is stored, of what was put last */
};

struct ike_sh_tunnel {
	struct ike_node node;
	struct ike_list in_place, entries;
	struct ike_list tell; /* that it could not be taken over: in the list of those, or none */
	const char *why;      /* for that */
	bool told;
	struct ike_sh_place_here *place;
	char kind;
	uint32_t number;
	int64_t used;
};

/* A row that has been read; given out it is known by its number until it is settled. */
struct ike_sh_ref {
	struct ike_node node;
	struct ike_list in_place;
	struct ike_sh_work work;
	struct ike_sh_place_here *place;
	uint64_t number;
	char host[IKE_SHARED_HOST];
	bool own;
	bool settled; /* its row is to be dropped */
	char kind;
	uint32_t tunnel, generation;
	int64_t used;
	char *document; /* until it is given out */
	size_t len;
};

/* An address that is at this host. */
struct ike_sh_place_here {
	struct ike_list link;
	struct cs_addr address;
	uint64_t serial; /* of its arrival */
	bool found;      /* it was here when the worker began */
	bool answered, ours;
	bool confirmed; /* the helper that is there now has said that it is ours */
	uint64_t epoch;
	bool reading, unread;
	uint64_t read_serial; /* of the question */
	uint64_t read_until;  /* of the loop's time: no answer, or to be asked again */
	bool is_seen;
	char seen_owner[IKE_SHARED_HOST];
	uint64_t seen_epoch;
	bool overflow; /* some of its SAs had no room to wait */
	struct ike_list tunnels, rows, refs;
	unsigned n_rows;
};

struct ike_sh_connection;

struct ike_shared {
	uv_loop_t *loop;
	const struct ike_shared_events *events;
	struct ike_shared_events table;
	void *arg;
	struct ike_sh_connection *connection;
	struct ike_list places, control; /* packets that go before all else */
	struct ike_list waits, sent;     /* of struct ike_sh_work */
	struct ike_list tells;
	unsigned n_waits, n_sent;
	struct ike_table tunnels, refs;
	uint64_t last_serial, last_ref;
	uv_timer_t soon, tick;
	enum { IKE_SH_UNKNOWN, IKE_SH_THERE, IKE_SH_GONE } store;
	bool stopping, closed;
	bool absent; /* there is nothing that could be reached */
	bool has_policy;
	char policy[2 * POL_CONTENT_LEN + 1];
	struct ike_shared_stats stats;
};

/* ---- shared_sas.c ---- */

/* The record's SA is up, or not any more. */
void ike_sh_record(struct ike_shared *s, struct ike_sh_place_here *p, const struct ike_record *rec);
struct ike_sh_tunnel *ike_sh_tunnel_find(struct ike_shared *s, const struct ike_sh_place_here *p,
					 char kind, uint32_t number);
struct ike_sh_entry *ike_sh_entry_find(struct ike_sh_tunnel *t, uint32_t generation);
void ike_sh_set_used(struct ike_shared *s, struct ike_sh_entry *e, int64_t used);
void ike_sh_queue(struct ike_shared *s, struct ike_sh_work *w);
void ike_sh_unqueue(struct ike_shared *s, struct ike_sh_work *w);
/* The next to be sent as a message; it lives as long as the work. */
void ike_sh_message(struct ike_sh_work *w, struct ike_shared_message *m);
void ike_sh_was_sent(struct ike_shared *s, struct ike_sh_work *w);
void ike_sh_written(struct ike_shared *s, uint64_t serial);
void ike_sh_refused(struct ike_shared *s, uint64_t serial, const char *why);
/* What waits and what was sent is void; SAs that are not in the store are told of. */
void ike_sh_away(struct ike_shared *s);
/* What is not up any more goes. all: what is up is put anew when it is recorded, as it is or not.
 */
void ike_sh_begin_anew(struct ike_shared *s, struct ike_sh_place_here *p, bool all);
void ike_sh_settle(struct ike_shared *s, struct ike_sh_ref *r);
void ike_sh_forget_ref(struct ike_shared *s, struct ike_sh_ref *r);
void ike_sh_forget_all(struct ike_shared *s, struct ike_sh_place_here *p);

/* Deliver what was put off, soon. */
void ike_sh_soon(struct ike_shared *s);

#endif
