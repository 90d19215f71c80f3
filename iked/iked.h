/*
 * The daemon around the engine, private to iked's own files: options, the parent, the worker and
 * what the worker is made of.
 */
#ifndef IKE_IKED_H
#define IKE_IKED_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "common/daemon.h"
#include "common/err.h"
#include "common/nmi.h"
#include "common/paths.h"
#include "iked/engine.h"
#include "iked/pk_pool.h"
#include "iked/sealed.h"
#include "iked/shared.h"
#include "iked/store.h"

#define IKED_USER        "csipsec-iked"
#define IKED_CERTS_USER  "csipsec-certs"  /* of the certificate helper, where it exists */
#define IKED_SHARED_USER "csipsec-shared" /* and of the shared store's */
#define IKED_PORT        500
#define IKED_NAT_PORT    4500 /* RFC 3947 section 4: IKE and ESP through a NAT */
/* In the state directory, the worker's own. */
#define IKED_STATE "iked"

/* Descriptors that a worker finds open. */
enum iked_fd {
	IKED_FD_IPV4 = 3,
	IKED_FD_IPV6 = 4,
	IKED_FD_PARENT = 5,
	IKED_FD_SEALED = 6,
	IKED_FD_NAT = 7,  /* IPv4 */
	IKED_FD_ESP4 = 8, /* may be missing, as may the next: lost_esp.c */
	IKED_FD_ESP6 = 9,
	IKED_FD_FIRST_FREE = 10
};
/* And a helper: its end of a pair with the worker. */
#define IKED_FD_HELPER 3

/* What the worker tells its parent, one byte a packet. */
#define IKED_SAYS_READY 'R'
/* And the parent its worker: a certificate helper is at the other end of the descriptor that comes
 * along; or there is none, since there is no keyring. */
#define IKED_SAYS_CERTS    'C'
#define IKED_SAYS_NO_CERTS 'N'
/* The same for the helper of the shared store. */
#define IKED_SAYS_SHARED    'S'
#define IKED_SAYS_NO_SHARED 's'
/* Ports and phase 1 outlive the parent, too: whatever ends it, all is left as it is for the next.
 */
#define IKED_SAYS_LEAVE 'L'

struct iked_options {
	const char *stack, *user, *store_stuck; /* user NULL: the default */
	char config[CS_PATH_MAX];
	bool config_given, foreground;
	uint16_t port, nat_port;
	enum ike_stuck stuck;
};

/* Whom a process runs as. */
struct iked_identity {
	uid_t uid;
	gid_t gid;
	char name[33];
};

/* ---- parent.c, worker.c ---- */

enum cs_exit iked_parent(struct iked_options *o);
enum cs_exit iked_worker(const struct iked_options *o);

/* ---- helper.c: what the helpers' processes begin with ---- */

/* False, with words for people: it was not iked that started this process. */
bool iked_helper_begin(const struct iked_options *o, const char *option);
/*
 * Whom a helper runs as: own, its own user, where there is one and --user names no other for all;
 * else the worker's user.  Never in the worker's group, which may read the policy's keys.
 */
int iked_helper_user(const struct iked_options *o, const char *own, struct iked_identity *id,
		     struct cs_err *err);

/* ---- certs.c: the certificate helper's process ---- */

enum cs_exit iked_certs(const struct iked_options *o);

/* ---- shared_helper.c: the process of the shared store's helper ---- */

/* CS_EXIT_ABSENT: there is no shared store, or none that could ever work. */
enum cs_exit iked_shared_helper(const struct iked_options *o);
/*
 * This stack's name in the shared store, "HOSTNAME/STACK#8 hex digits".  The digits are made once
 * and kept in dir (the worker's state directory), so that two hosts of one name differ.
 */
int iked_shared_host(const char *dir, const char *stack, char host[static IKE_SHARED_HOST],
		     struct cs_err *err);

/* ---- parent_helper.c: a helper as the parent sees it ---- */

struct iked_helper {
	const char *name, *option; /* in messages; how it is started */
	char says, says_none;      /* to the worker: one is there; there is none */
	const struct iked_options *o;
	const sigset_t *mask;         /* the signals that a child starts with */
	pid_t pid;                    /* 0: none now */
	bool told_to_end;             /* its end is no fault */
	bool absent;                  /* it said that it has nothing to do */
	bool absent_told;             /* to the worker */
	uint64_t started, restart_at; /* milliseconds; restart_at 0: not wanted */
	unsigned backoff_ms;
};
void iked_helper_worker_began(struct iked_helper *h, uint64_t now);
void iked_helper_refresh(struct iked_helper *h, uint64_t now);
void iked_helper_ended(struct iked_helper *h, int status, uint64_t now);
/* link: to the worker, -1: there is none. */
void iked_helper_due(struct iked_helper *h, int link, uint64_t now);
void iked_helper_stop(struct iked_helper *h);

/* ---- ports.c: the parent's sockets ---- */

/* A wildcard socket that IPsec leaves alone. *fd is -1 with success where there is no IPv6. */
int iked_port_open(int family, uint16_t port, int *fd, struct cs_err *err);
/*
 * The same for IPv4 with ESP in UDP, which the kernel takes out of it as long as any process has
 * the socket; what is left to read has a marker before it (RFC 3948).
 */
int iked_nat_port_open(uint16_t port, int *fd, struct cs_err *err);

/*
 * A raw socket that gets copies of ESP packets when it is bound to where these go; until then it
 * is bound to loopback, where none come.
 */
int iked_esp_open(int family, int *fd, struct cs_err *err);

/* Is this socket, of a parent before this one, what one of the above would make here and now? */
bool iked_port_is(int fd, int family, uint16_t port, bool nat);

/* ---- privilege.c ---- */

int iked_identity_find(const char *user, struct iked_identity *id, struct cs_err *err);
/* The stack's state directory, where the worker writes, and what it must read there. */
int iked_prepare_state(const char *stack, const struct iked_identity *id, struct cs_err *err);
/* The worker's: another user, CAP_NET_ADMIN alone, no way back. CS_EUNSUPPORTED: not built in. */
int iked_privilege_drop(const struct iked_identity *id, struct cs_err *err);
/* Other system calls than those of the worker's work are refused, among them those that begin a
 * program. For all threads; also for the helper of the shared store. */
int iked_filter_calls(struct cs_err *err);
/* A helper's: another user and no capability, no way back, not to be looked into. */
int iked_privilege_none(const struct iked_identity *id, struct cs_err *err);
/* The certificate helper's: no file, no socket, no program. */
int iked_filter_certs(struct cs_err *err);

/* ---- udp.c: the worker's side of a port ---- */

struct iked_udp;
typedef void iked_udp_fn(void *arg, const struct cs_endpoint *local,
			 const struct cs_endpoint *remote, const uint8_t *data, size_t len);

struct iked_udp_stats {
	uint64_t received, sent, batches;
	uint64_t receive_errors, send_errors;
	uint64_t malformed; /* truncated, not unicast, from nowhere, or without its marker */
};

struct iked_udp_port {
	int fd;
	uint8_t family;
	uint16_t port;
	bool nat; /* IKE has a marker here, which callers do not see, and keepalives come and go */
	bool moving; /* addresses leave this host, and peers are still told from them */
};
int iked_udp_start(uv_loop_t *loop, const struct iked_udp_port *port, iked_udp_fn *fn, void *arg,
		   struct iked_udp **udp, struct cs_err *err);
/* One byte goes without a marker: it is a keepalive. */
void iked_udp_send(struct iked_udp *u, const struct cs_endpoint *local,
		   const struct cs_endpoint *remote, const uint8_t *data, size_t len);
const struct iked_udp_stats *iked_udp_stats(const struct iked_udp *u);
void iked_udp_stop(struct iked_udp *u); /* memory goes with the loop's next turn */

/* ---- reconcile.c ---- */

/*
 * At start, with the policy in force: what an iked before us left.  The engine adopts what can live
 * on; other SAs and tunnel policies of ours are taken out of the kernel, and each intent and each
 * SA of the cache gets the record that it lacks.  sealed may be NULL: no phase 1 SA lives on.
 * clock_set: seconds by which the wall clock was set since.
 */
int iked_reconcile(struct xf_kernel *kernel, struct ike_store *store, struct ike_sealed *sealed,
		   int64_t clock_set, struct ike_engine *engine, struct ike_now now,
		   struct cs_err *err);

/* ---- policy_loader.c: the policy in force ---- */

struct iked_policy;

struct iked_policy_env {
	uv_loop_t *loop;
	const char *stack;
	struct ike_engine *engine;
	struct ike_pk_pool *pk;
	bool fips140;  /* the process is in FIPS mode */
	unsigned wait; /* seconds without a policy that are worth a warning; 0: none are */
	/* A load is done, with its number; err is filled when status is not 0. */
	void (*loaded)(void *arg, uint64_t round, int status, const struct cs_err *err);
	void *arg;
};

int iked_policy_new(const struct iked_policy_env *env, struct iked_policy **policy,
		    struct cs_err *err);
/* At start: loads on this thread.  When there is none yet, it is looked for each second. */
void iked_policy_first(struct iked_policy *p);
/*
 * Loads the policy in force, unless it is the one we have, and returns at once.  The number is that
 * of the load that sees every change before this call.
 */
uint64_t iked_policy_reload(struct iked_policy *p);
/* The same, and the engine gets it also when it is the one we have: its filters are in force again.
 */
uint64_t iked_policy_retry(struct iked_policy *p);
/* generation 0: none */
void iked_policy_in_force(const struct iked_policy *p, uint64_t *generation, int64_t *installed,
			  unsigned *rules);
/* POL_CONTENT_LEN octets that other hosts may see; NULL: there is no policy. */
const uint8_t *iked_policy_digest(const struct iked_policy *p);
/* No callback comes any more. The loop ends when a load that runs has ended. */
void iked_policy_stop(struct iked_policy *p);
void iked_policy_free(struct iked_policy *p); /* when the loop has ended */

/* ---- nmi.c ---- */

struct iked_nmi;

/* What the management requests work on; what is owned elsewhere outlives it. */
struct iked_nmi_env {
	uv_loop_t *loop;
	struct ike_engine *engine;
	struct xf_kernel *kernel;
	struct ike_store *store;
	struct ike_pk_pool *pk;
	struct iked_udp *const *udp; /* NULL entries allowed */
	unsigned n_udp;
	struct iked_policy *policy;
	struct ike_shared *shared; /* NULL: there is none */
	/* keep: SAs stay in the kernel and peers are not told. */
	void (*stop)(void *arg, bool keep);
	void *arg;
};

/* Binds the socket, while the process may still write where it lies. Nothing is answered yet. */
int iked_nmi_open(uv_loop_t *loop, const char *path, struct iked_nmi **nmi, struct cs_err *err);
/* Before the loop runs. */
void iked_nmi_attach(struct iked_nmi *n, const struct iked_nmi_env *env);
/* Somebody may wait for this. */
void iked_nmi_event(struct iked_nmi *n, const struct ike_event *ev);
/* And for this: a load of the policy is done. */
void iked_nmi_loaded(struct iked_nmi *n, uint64_t round, int status, const struct cs_err *err);
void iked_nmi_stop(struct iked_nmi *n);

/* ---- lost_esp.c: who still sends by SAs of an owner of before ---- */

struct iked_lost_esp;
typedef void iked_lost_esp_fn(void *arg, uint32_t spi);

/* Nobody will listen: the sockets go, with which one could also send. */
void iked_lost_esp_none(void);
/* From the sockets at IKED_FD_ESP4 and IKED_FD_ESP6, as far as they are there. */
int iked_lost_esp_new(uv_loop_t *loop, iked_lost_esp_fn *fn, void *arg, struct iked_lost_esp **lost,
		      struct cs_err *err);
/* on: fn is called with the SPI of ESP that comes, known or not, for any address; not of all of it
 * when much comes. */
void iked_lost_esp_listen(struct iked_lost_esp *l, bool on);
void iked_lost_esp_stop(struct iked_lost_esp *l); /* NULL is allowed; memory goes with the loop's
						     next turn */

/* ---- moving.c: addresses that move between hosts ---- */

struct iked_moving;

struct iked_moving_env {
	uv_loop_t *loop;
	struct ike_engine *engine;
	struct xf_kernel *kernel;
	const struct pol_ike_config *config;
};
/* NULL with success where no DynamicVipa is configured; all other calls then do nothing. */
int iked_moving_new(const struct iked_moving_env *env, struct iked_moving **moving,
		    struct cs_err *err);
/* The helper of the shared store is there, at the other end of fd, which is taken. */
void iked_moving_helper(struct iked_moving *m, int fd);
/* There is no shared store, or none that could ever work. */
void iked_moving_absent(struct iked_moving *m);
/* A policy has come into force. No address is looked for before the first. digest: of it, or NULL
 * for none; POL_CONTENT_LEN octets that other hosts see. */
void iked_moving_policy(struct iked_moving *m, const uint8_t *digest);
/* What lives on since before a restart does: not at addresses that are not here any more. */
void iked_moving_restored(struct iked_moving *m);
/* What the engine records and settles. */
void iked_moving_record(struct iked_moving *m, const struct ike_record *rec);
void iked_moving_settled(struct iked_moving *m, uint64_t ref);
struct ike_shared *iked_moving_shared(const struct iked_moving *m); /* NULL for NULL */
void iked_moving_stop(struct iked_moving *m);
void iked_moving_free(struct iked_moving *m); /* when the loop has ended */

/* ---- clock.c ---- */

struct ike_now iked_now(void);

#endif
