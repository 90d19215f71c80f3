/*
 * pagent: the policy agent of one stack.  It reads policy files, stores what is good, puts it in
 * force in the kernel and keeps it there.  Shared by the files of this one program.
 */
#ifndef PAGENT_H
#define PAGENT_H

#include <limits.h>
#include <uv.h>

#include "common/daemon.h"
#include "common/err.h"
#include "common/nmi.h"
#include "policy/policy.h"
#include "xfrm/xfrm.h"

#define PAGENT_INTERVAL 1800 /* seconds between readings that nobody asked for; IBM's default */

struct pagent_options {
	const char *stack;
	char config[PATH_MAX]; /* absolute */
	bool foreground;
	unsigned interval; /* seconds, 0: off */
};

struct pagent_watch; /* one directory */

struct pagent {
	const struct pagent_options *o;
	uv_loop_t loop;
	uv_signal_t on_term, on_int, on_hup;
	uv_timer_t interval;
	bool stopping;
	enum cs_exit status;
	int lock; /* -1: none */

	struct pol_store *store;
	struct pol_policy *policy; /* in force; NULL: none yet */
	int64_t installed;         /* when it came into force */
	struct cs_nmi_server *nmi;

	/* pagent_kernel.c */
	struct xf_kernel *kernel;
	struct xf_abilities abilities;
	struct xf_events *events;
	uv_poll_t poll;
	uv_timer_t check, minute;
	uint64_t last_check; /* loop time */
	unsigned check_wait; /* milliseconds until the next try */
	bool in_kernel;
	bool *active; /* which rules were, when they were installed */

	struct pagent_manuals *manuals; /* pagent_manual.c; NULL before the first policy */

	/* pagent_watch.c */
	struct pagent_watch *watches;
	char **files; /* read last time, or to be read first */
	unsigned n_files;
	uv_timer_t settle;
	void (*files_changed)(struct pagent *p);

	/* telling iked */
	bool telling, tell_again;
};

/* ---- pagent.c: the daemon ---- */

/* Runs until it is told to stop; it is ready once the first policy was tried. */
enum cs_exit pagent_run(const struct pagent_options *o);
/*
 * Reads the files and puts what they say in force. Every finding is logged and, when diag is not
 * NULL, told.  Failed: what was in force is in force, unless it was the kernel that refused; then
 * the new policy is the stored one and is tried again.
 */
int pagent_refresh(struct pagent *p, pol_diag_fn *diag, void *arg, bool *changed,
		   struct cs_err *err);
void pagent_stop(struct pagent *p);

/* ---- pagent_kernel.c: the policy in the kernel ---- */

int pagent_kernel_open(struct pagent *p, struct cs_err *err);
void pagent_kernel_close(struct pagent *p); /* what is in force stays */
/* Has this kernel what the policy needs? */
int pagent_kernel_suits(const struct pagent *p, const struct pol_policy *policy,
			struct cs_err *err);
/* Installs p->policy, unless it is there as it should be. A failure is tried again by itself. */
int pagent_kernel_install(struct pagent *p, struct cs_err *err);

/* ---- pagent_manual.c: manual tunnels ---- */

/* The tunnels of p->policy get their numbers; before the filters are made, which know them. */
void pagent_manual_number(struct pagent *p);
/* Brings what should be up into the kernel and takes the rest out; after the filters are in. */
int pagent_manual_install(struct pagent *p, struct cs_err *err);
/* Is that still so, and is it the time for it? Else it is made so. At least once a minute. */
void pagent_manual_check(struct pagent *p);
void pagent_manual_end(struct pagent *p); /* what is in the kernel stays */

/* ---- pagent_watch.c: changes of the files ---- */

int pagent_watch_init(struct pagent *p, void (*changed)(struct pagent *p), struct cs_err *err);
/* Watches these files, named by absolute paths, in place of those before; copies the names. */
void pagent_watch_files(struct pagent *p, char *const *files, unsigned n);
/* The same files where their paths lead now. Before they are read, so that no change is missed. */
void pagent_watch_again(struct pagent *p);
void pagent_watch_end(struct pagent *p);

/* ---- pagent_nmi.c, pagent_filters.c, pagent_ports.c: the management socket ---- */

int pagent_nmi_open(struct pagent *p, struct cs_err *err);
/* Answers {"request":"filters"}. */
void pagent_filters(struct pagent *p, uint64_t ticket, const json_t *request);
/* Answer the requests about manual tunnels, pagent_manual_nmi.c. */
void pagent_manual_show(struct pagent *p, uint64_t ticket, const json_t *request);
void pagent_manual_activate(struct pagent *p, uint64_t ticket, const json_t *request);
void pagent_manual_deactivate(struct pagent *p, uint64_t ticket, const json_t *request);
/* Answers {"request":"port-translations"}. */
void pagent_ports(struct pagent *p, uint64_t ticket, const json_t *request);

#endif
