/*
 * audit.db of a stack's state directory: which manual tunnels the audit trail has as active, and
 * the rows about them that trmd has not taken yet.  It is root's alone, and holds no key.
 *
 * Each call looks whether the open file still is the one of that name, and opens it where it is
 * not; so what hinders may come to an end, and a database that is lost is followed by a new one.
 * Numbers of rows grow with the clock, so that those of a new one come after those of the old.
 */
#ifndef PAGENT_OUTBOX_H
#define PAGENT_OUTBOX_H

#include "policy/policy.h"
#include "xfrm/xfrm.h"

struct pagent_outbox;

/* One time that a manual tunnel was brought up. */
struct pagent_audited {
	int64_t activation; /* never used again in this database; 0: not stored yet */
	uint32_t number;    /* of M<n> */
	char name[POL_NAME_MAX + 1];
	bool up;       /* its row was written; else it is about to be brought up */
	int64_t since; /* seconds since 1970, as the kernel says; 0: not up */
	struct xf_said sas[XF_MANUAL_SAS]; /* as xf_manual_ids() gives them */
	unsigned n_sas;
	char *shown; /* JSON object: the tunnel as displays have it */
};

/* Nothing is opened yet; NULL: no memory. */
struct pagent_outbox *pagent_outbox_new(const char *statedir);
void pagent_outbox_free(struct pagent_outbox *o); /* NULL is allowed */

/* The caller frees the list with the next one. */
int pagent_outbox_tunnels(struct pagent_outbox *o, struct pagent_audited **list, unsigned *n,
			  struct cs_err *err);
void pagent_audited_free(struct pagent_audited *list, unsigned n);

/* One transaction: begin, changes, and commit or rollback. */
int pagent_outbox_begin(struct pagent_outbox *o, struct cs_err *err);
/* One that is not stored yet gets its activation. */
int pagent_outbox_put(struct pagent_outbox *o, struct pagent_audited *t, struct cs_err *err);
int pagent_outbox_drop(struct pagent_outbox *o, int64_t activation, struct cs_err *err);
int pagent_outbox_row(struct pagent_outbox *o, int64_t time, const char *kind, const char *payload,
		      struct cs_err *err);
int pagent_outbox_commit(struct pagent_outbox *o, struct cs_err *err);
void pagent_outbox_rollback(struct pagent_outbox *o);

/* ---- for trmd ---- */

struct pagent_row {
	int64_t id, time;
	const char *kind, *payload; /* valid during the call */
};
typedef void pagent_row_fn(void *arg, const struct pagent_row *row);

struct pagent_outbox_end {
	int64_t identity; /* of this database; not 0 */
	int64_t last;     /* number of the row that was written last; 0: none */
};
/* The next rows in order of their ids, at most max. They may be done from now on. */
int pagent_outbox_read(struct pagent_outbox *o, unsigned max, pagent_row_fn *fn, void *arg,
		       struct pagent_outbox_end *end, struct cs_err *err);

/* How many rows there are that are not done. */
int pagent_outbox_waiting(struct pagent_outbox *o, int64_t *n, struct cs_err *err);

struct pagent_outbox_done {
	int64_t identity; /* of another database: nothing of it is done here */
	int64_t last;     /* all up to it go */
	const int64_t
		*refused; /* but these stay, for who looks into them, and are not read again */
	size_t n_refused;
};
/* What this process has not read stays: CS_EINVAL, or nothing where it has read none yet. */
int pagent_outbox_done(struct pagent_outbox *o, const struct pagent_outbox_done *done,
		       struct cs_err *err);

#endif
