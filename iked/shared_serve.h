/* What the threads of the shared store's helper have in common; private to them. */
#ifndef IKE_SHARED_SERVE_H
#define IKE_SHARED_SERVE_H

#include <uv.h>

#include "iked/shared_store.h"
#include "iked/shared_wire.h"

#define IKE_SHARED_DIGEST (2 * POL_CONTENT_LEN + 1)

/* A message that waits for the writer or the reader. */
struct ike_sh_op {
	struct ike_sh_op *next;
	struct ike_shared_message m; /* its text is the one below */
	char text[];
};

struct ike_sh_queue {
	struct ike_sh_op *first, **tail;
	unsigned n;
};

/* An address that is at this host. */
struct ike_sh_place {
	struct ike_sh_place *next;
	struct cs_addr address;
	uint64_t serial; /* of its arrival */
	uint64_t epoch;  /* by which it is ours, or was last; 0: it never was */
	bool ours;
	bool due;    /* for a look at whose it is */
	bool missed; /* the store was away since it came, so that its claim is late */
	bool is_seen;
	struct ike_shared_owner seen; /* by the reader, when it came */
	bool found;                   /* by the poll under way */
	bool was_here;                /* when the worker began: no other host's is claimed */
	bool vacant;                  /* it is not ours, and its holder has gone: to be told */
	bool told;                    /* and has been */
	struct ike_shared_owner holder;
};

/* An address that has left while it was ours. */
struct ike_sh_release {
	struct ike_sh_release *next;
	struct cs_addr address;
	uint64_t epoch;
};

struct ike_sh_serve {
	int fd;
	const char *host, *place;
	const struct ike_shared_backend *backend;
	uv_mutex_t lock; /* guards all that follows */
	uv_cond_t writer_wake, reader_wake, ended;
	struct ike_sh_queue writes, reads;
	struct ike_sh_place *places;
	struct ike_sh_release *releases;
	char policy[IKE_SHARED_DIGEST]; /* hex; "" before the first */
	bool poll_now;
	bool ending;      /* the worker is gone: what is queued is still written */
	bool hurry;       /* an address has come: the pause before the next attempt ends */
	bool tried;       /* the writer has been there once, with or without success */
	bool away;        /* the writer is not connected */
	unsigned running; /* threads */
	int fatal;
	struct cs_err why; /* of fatal */
	int wake_fd;       /* tells the main thread of it */
};

void ike_sh_say(struct ike_sh_serve *s, const struct ike_shared_message *m);
void ike_sh_say_text(struct ike_sh_serve *s, enum ike_shared_kind kind, const char *text);
struct ike_sh_op *ike_sh_take(struct ike_sh_queue *q);
void ike_sh_drop(struct ike_sh_queue *q);
/* With the lock held. NULL: it is not here. */
struct ike_sh_place *ike_sh_find(struct ike_sh_serve *s, const struct cs_addr *address);
/* With the lock held: the address, ours by this epoch, is to be nobody's. */
void ike_sh_release(struct ike_sh_serve *s, const struct cs_addr *address, uint64_t epoch);
/* With the lock held: it is nobody's, or is here again. */
void ike_sh_unrelease(struct ike_sh_serve *s, const struct cs_addr *address);

void ike_sh_writer(void *serve); /* the threads */
void ike_sh_reader(void *serve);

#endif
