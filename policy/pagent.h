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
	char profile[PATH_MAX];
	bool foreground;
	bool interval_coded; /* else the files may say it */
	unsigned interval;   /* seconds, 0: off */
};

struct pagent_watch; /* one directory */

struct pagent {
	const struct pagent_options *o;
	uv_loop_t loop;
	uv_signal_t on_term, on_int, on_hup;
	uv_timer_t interval, again; /* again: the kernel refused what the files say */
	bool stopping;
	enum cs_exit status;
	int lock; /* -1: none */

	struct pol_store *store;
	struct pol_policy *policy; /* the stored one; NULL: none yet */
	int64_t installed;         /* when its filters, or the default ones, came into force */
	struct cs_nmi_server *nmi;

	/* pagent_defaults.c */
	struct pol_policy *defaults; /* of the profile; NULL: there are none */
	bool profile_bad;            /* there is one that cannot be used */
	bool chosen;                 /* by the operator, before the policy */
	bool refused;                /* the policy, by the kernel: the default filters stand in */
	bool defaults_told;          /* the log says that they are in force */

	/* pagent_kernel.c */
	struct pol_policy *in_table; /* whose nftables table we installed last; NULL: none yet */
	struct xf_kernel *kernel;
	struct xf_abilities abilities;
	struct xf_events *events;
	uv_poll_t poll;
	uv_timer_t check, minute;
	uint64_t last_check; /* loop time */
	unsigned check_wait; /* milliseconds until the next try */
	bool in_kernel;
	time_t tried, in_time; /* for this time the last installation was; and that of in_table */

	struct pagent_manuals *manuals; /* pagent_manual.c; NULL before the first policy */
	struct pagent_audit *audit;     /* of manual tunnels, pagent_audit.c */

	/* pagent_watch.c */
	struct pagent_watch *watches;
	char **files; /* read last time, or to be read first */
	unsigned n_files;
	uv_timer_t settle;
	void (*files_changed)(struct pagent *p);

	/* pagent_ttls.c */
	struct pol_options options; /* of the files, as far as they could be read */
	uint64_t ttls_generation;   /* of the image that we published */
	bool ttls_begun;

	/* telling iked */
	bool telling, tell_again;
	bool retry; /* what iked could not begin it may begin now */
};

/* ---- pagent.c: the daemon ---- */

/* Runs until it is told to stop; it is ready once the first policy was tried. */
enum cs_exit pagent_run(const struct pagent_options *o);
/*
 * Puts in force what the store has, or the default filters, and ends: from before there is a
 * network, and before pagent runs.
 */
enum cs_exit pagent_boot(const struct pagent_options *o);
/*
 * Reads the files and puts what they say in force. Every finding is logged and, when diag is not
 * NULL, told.  Failed: what was in force is in force and stored; when it was the kernel that
 * refused, the files are read again after a while.
 */
int pagent_refresh(struct pagent *p, pol_diag_fn *diag, void *arg, bool *changed,
		   struct cs_err *err);
void pagent_stop(struct pagent *p);
/* retry: it also begins again what it begins by itself. */
void pagent_tell_iked(struct pagent *p, bool retry);
void pagent_log_finding(const struct pol_diag *d);

/* ---- pagent_defaults.c: the default filters ---- */

/* No file is the policy's filters. */
int pagent_choice_load(const char *stack, bool *defaults, struct cs_err *err);
/* Lasts over a crash when it is done. */
int pagent_choice_save(const char *stack, bool defaults, struct cs_err *err);
/* What the kernel is to have; NULL: nothing. No reference of its own. */
struct pol_policy *pagent_in_force(const struct pagent *p);
#define PAGENT_NAME_LEN 48
/* "policy generation 5" */
const char *pagent_filters_name(const struct pol_policy *policy, char buf[static PAGENT_NAME_LEN]);
/* Both are 0 or what is wrong with the profile, which is logged; none is CS_ENOTFOUND. */
int pagent_defaults_open(struct pagent *p);
/* One with errors leaves the default filters of before. */
int pagent_read_profile(struct pagent *p);
/* Logs when the default filters have come into force or have gone. */
void pagent_defaults_tell(struct pagent *p);
/*
 * `ipsec -f default` and `ipsec -f reload`.  Failed: what was in force is in force; the policy that
 * the kernel refused on reload is tried again by itself.
 */
int pagent_choose_defaults(struct pagent *p, bool *changed, struct cs_err *err);
int pagent_choose_policy(struct pagent *p, bool *changed, struct cs_err *err);

/* ---- pagent_kernel.c: the policy in the kernel ---- */

int pagent_kernel_open(struct pagent *p, struct cs_err *err);
void pagent_kernel_close(struct pagent *p); /* what is in force stays */
/* Has this kernel what the policy needs? */
int pagent_kernel_suits(const struct pagent *p, const struct pol_policy *policy,
			struct cs_err *err);
/*
 * Installs what is to be in force, unless it is there as it should be. A failure is tried again by
 * itself.
 */
int pagent_kernel_install(struct pagent *p, struct cs_err *err);
/* Is the table of this policy in the kernel, whole or not? */
bool pagent_kernel_has(const struct pagent *p, const struct pol_policy *policy);
/* After a failure with something new: is what was there still there? */
void pagent_kernel_look(struct pagent *p);

/* ---- pagent_manual.c: manual tunnels ---- */

/*
 * The tunnels of p->policy get their numbers; before the filters are made, which know them.  What
 * is remembered is as it was until the kernel has the filters: what then counts is returned, for
 * one of the next two; NULL without a policy or memory.  *changed: it is not what was before.
 */
struct pagent_manuals *pagent_manual_number(struct pagent *p, bool *changed);
void pagent_manual_keep(struct pagent *p, struct pagent_manuals *m, bool changed);
void pagent_manual_free(struct pagent_manuals *m);
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

/* ---- pagent_ttls.c: the image of AT-TLS policy ---- */

/*
 * After each reading, which ended with rc: publishes what is in force, if it is not.  good: the
 * files had no errors.
 */
void pagent_ttls_refreshed(struct pagent *p, bool good, int rc);
void pagent_ttls_end(struct pagent *p);

/* ---- pagent_nmi.c, pagent_filters.c, pagent_ports.c: the management socket ---- */

int pagent_nmi_open(struct pagent *p, struct cs_err *err);
/* Answers {"request":"filters"}. */
void pagent_filters(struct pagent *p, uint64_t ticket, const json_t *request);
/* Answer the requests about manual tunnels, pagent_manual_nmi.c. */
void pagent_manual_show(struct pagent *p, uint64_t ticket, const json_t *request);
void pagent_manual_activate(struct pagent *p, uint64_t ticket, const json_t *request);
void pagent_manual_deactivate(struct pagent *p, uint64_t ticket, const json_t *request);
/* Answers {"request":"audit-rows"}, pagent_audit_nmi.c. */
void pagent_audit_rows(struct pagent *p, uint64_t ticket, const json_t *request);
/* Who may take them: root, and the user that trmd runs as. */
bool pagent_audit_may_take(const struct pagent *p, uid_t uid);
/* Answers {"request":"port-translations"}. */
void pagent_ports(struct pagent *p, uint64_t ticket, const json_t *request);

#endif
