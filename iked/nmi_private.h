/* What the files of the management socket share. */
#ifndef IKE_NMI_PRIVATE_H
#define IKE_NMI_PRIVATE_H

#include "common/nmi.h"
#include "iked/iked.h"
#include "iked/nmi_wait.h"

#define REASON_MAX 512

struct iked_nmi {
	struct iked_nmi_env env;
	struct cs_nmi_server *server;
	struct iked_waiters *waiters;
	/* The last failure, so that one that comes before the wait begins is not missed. */
	uint32_t failed_tunnel;
	char failed_reason[REASON_MAX];
};

/* "K12", "Y3". */
bool iked_nmi_tunnel(const char *text, char letter, uint32_t *tunnel);

/* nmi_negotiate.c: requests that begin a negotiation, and may wait for its end. */
void iked_nmi_activate_dynamic(struct iked_nmi *n, uint64_t ticket, const json_t *request);
void iked_nmi_refresh_ike(struct iked_nmi *n, uint64_t ticket, const json_t *request);
void iked_nmi_refresh_dynamic(struct iked_nmi *n, uint64_t ticket, const json_t *request);

#endif
