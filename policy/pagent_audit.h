/*
 * The audit trail of manual tunnels: what the kernel really has against what was recorded.
 *
 * before() the kernel is changed, what is to be brought up is stored as an intent, and what ended
 * unseen is recorded: so nothing comes up that could not be recorded, and a kill at any moment is
 * made good by the next call.  after() the change, and whenever there may be a difference, rows of
 * the difference are written, in the transaction that changes what is recorded.  What goes down
 * waits for one try to write before, and goes down whatever comes of that.
 */
#ifndef PAGENT_AUDIT_H
#define PAGENT_AUDIT_H

#include <jansson.h>
#include <sys/types.h>

#include "policy/pagent_outbox.h"

struct pagent_audit;

/* SAs of manual tunnels that the kernel has. */
struct pagent_present {
	struct pagent_present_sa {
		struct xf_said id;
		uint32_t reqid;
		int64_t added; /* seconds since 1970 */
	} * v;
	size_t n, room;
};
/* For xf_sa_dump; takes those of manual tunnels. */
int pagent_present_add(void *present, const struct xf_sa *sa, const struct xf_counters *c);
void pagent_present_free(struct pagent_present *present);

/* Why a tunnel that is not there any more ended; a text without an end. */
struct pagent_why {
	const char *(*why)(void *arg, const char *name, uint32_t number);
	void *arg;
};

/* NULL: no memory. The database is opened when it is needed. */
struct pagent_audit *pagent_audit_new(const char *statedir);
void pagent_audit_free(struct pagent_audit *a); /* NULL is allowed */
struct pagent_outbox *pagent_audit_outbox(struct pagent_audit *a);

/* Rows are given to that user: logged the first time, and when it was another one before. */
void pagent_audit_taken_by(struct pagent_audit *a, uid_t uid);

/* For xf_manual_watch: the last counters of an SA, for the row of its tunnel. */
void pagent_audit_gone(void *audit, const struct xf_said *id, const struct xf_counters *c);

/*
 * up[i] is of policy->manuals[i], as in xf_manual_install().  Failed: what cannot be recorded is
 * not to be brought up, and its up[i] is false now; tunnels that are in the kernel already stay.
 */
int pagent_audit_before(struct pagent_audit *a, const struct pagent_present *have,
			const struct pol_policy *policy, bool *up, const struct pagent_why *why,
			struct cs_err *err);
/* What cannot be written is logged, once, and written by a later call. */
void pagent_audit_after(struct pagent_audit *a, const struct pagent_present *have,
			const struct pagent_why *why);
/* Is there something for the two to do? As far as can be known. */
bool pagent_audit_due(struct pagent_audit *a, const struct pagent_present *have,
		      const struct pol_policy *policy, const bool *up);
/* After a change that nobody could look at: there may be something for them. */
void pagent_audit_unseen(struct pagent_audit *a);
/* What the last call could not write. */
bool pagent_audit_pending(const struct pagent_audit *a);

/* A tunnel with the labels of `ipsec -m display`; counters NULL: not known. NULL: no memory. */
json_t *pagent_manual_json(const struct pol_manvpn_action *a, bool active,
			   const struct xf_counters *in, const struct xf_counters *out);

#endif
