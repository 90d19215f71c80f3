/*
 * A host as the shared store sees it: the worker's side on a loop of this process, the helper in a
 * process of its own, and SAs that are up.  All hosts of a test turn together.
 */
#ifndef TEST_SHARED_HOST_H
#define TEST_SHARED_HOST_H

#include <sys/types.h>

#include "iked/shared.h"

#define HOST_SAS   64
#define HOST_ROWS  256
#define HOST_TELLS 64

struct host_row {
	char kind, host[IKE_SHARED_HOST];
	uint32_t tunnel, generation;
	bool own;
	int64_t used;
	uint64_t ref;
};

struct host_sa {
	uint32_t tunnel, generation; /* tunnel 0: none */
};

struct host {
	struct host *next;
	uv_loop_t loop;
	struct ike_shared *s;
	const char *name, *uri;
	pid_t helper; /* 0: none */
	struct cs_addr address;
	struct host_sa up[HOST_SAS];
	uint32_t many; /* besides these tunnels 1 to many, phase 2 alone */

	/* What was told. */
	struct host_row rows[HOST_ROWS];
	unsigned n_rows, reads, claims, wants, n_unshared, reachables, differs, vacants, rereads;
	int read_status;
	char read_why[256], away[256], why[256], differs_host[IKE_SHARED_HOST];
	char vacant_owner[IKE_SHARED_HOST];
	struct ike_shared_claim claim;
	uint32_t unshared[HOST_TELLS];
	bool there;
};

/* Without a helper. address is that of all its SAs. */
void host_start(struct host *h, const char *name, const char *uri, const char *address);
void host_helper(struct host *h);
/* The same as iked starts it, by the configuration in this file; as nobody, when this is root. */
void host_helper_of(struct host *h, const char *config);
void host_kill_helper(struct host *h); /* -9 */
void host_arrive(struct host *h);
void host_leave(struct host *h);
/* Begins anew what is counted above. */
void host_forget(struct host *h);
void host_up(struct host *h, uint32_t tunnel, uint32_t generation);
void host_down(struct host *h, uint32_t tunnel, uint32_t generation);
void host_used(struct host *h, uint32_t tunnel, uint32_t generation, int64_t used);
/* many, recorded now. */
void host_many(struct host *h, uint32_t many);
struct ike_shared_stats host_stats(const struct host *h);
/* Ends it and its helper, which must have come to a good end (unless it was killed). */
void host_stop(struct host *h);

/* Once around all loops, for a millisecond or so. The longest that one took is remembered. */
void hosts_turn(void);
uint64_t hosts_longest_ms(void);
uint64_t ms_now(void);

#define WAIT_MS 20000
/* Until what holds, or the test has failed. */
#define WAIT_FOR(what)                                                                             \
	do {                                                                                       \
		uint64_t until_ = ms_now() + WAIT_MS;                                              \
		while (!(what) && ms_now() < until_)                                               \
			hosts_turn();                                                              \
		ck_assert_msg(what, "waited in vain for " #what);                                  \
	} while (0)

/* For so long, whatever happens. */
void hosts_run(unsigned ms);

#endif
