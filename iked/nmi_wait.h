/*
 * Requests of the management socket that are answered later: who has asked for a tunnel, or for a
 * new policy, and waits for it.  A waiter ends with its client.
 */
#ifndef IKE_NMI_WAIT_H
#define IKE_NMI_WAIT_H

#include "common/nmi.h"
#include "iked/engine.h"

/* Half of the connections that the socket takes: the others can still ask. */
#define IKED_WAITERS_MAX 32

struct iked_waiters;

struct iked_waiters *iked_waiters_new(uv_loop_t *loop, struct cs_nmi_server *server);
struct iked_wanted {
	char letter; /* of the tunnel: 'K' or 'Y' */
	uint32_t tunnel;
	const char *rule; /* LocalDynVpnRule, or NULL */
	bool refresh;     /* a successor of what is up; else the tunnel itself */
};
/* It is up, fails, or is not up in time: that is the answer. */
void iked_wait(struct iked_waiters *all, uint64_t ticket, const struct iked_wanted *wanted,
	       unsigned seconds);
void iked_waiters_event(struct iked_waiters *all, const struct ike_event *ev);
/* This load of the policy, or a later one, is the answer; iked_waiters_loaded calls fn for it. */
void iked_wait_load(struct iked_waiters *all, uint64_t ticket, uint64_t round);
typedef void iked_loaded_fn(void *arg, uint64_t ticket);
void iked_waiters_loaded(struct iked_waiters *all, uint64_t round, iked_loaded_fn *fn, void *arg);
unsigned iked_waiting(const struct iked_waiters *all);
/* Answers all with an error; frees. */
void iked_waiters_end(struct iked_waiters *all, const char *reason);

/* An entry of what is being done to a tunnel; letter 'K' or 'Y'. NULL without memory. */
json_t *iked_nmi_status(char letter, uint32_t tunnel, const char *rule, const char *status);
/* Answers with one entry and the end. */
void iked_nmi_answer(struct cs_nmi_server *server, uint64_t ticket, json_t *entry);

#endif
