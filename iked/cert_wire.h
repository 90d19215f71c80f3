/*
 * Certificate jobs as messages between the worker and the certificate helper, one a packet of a
 * SOCK_SEQPACKET pair.  Neither trusts the other: the worker speaks with the world, the helper
 * takes certificates apart; whatever comes is checked as if a stranger had sent it.
 */
#ifndef IKE_CERT_WIRE_H
#define IKE_CERT_WIRE_H

#include "iked/cert.h"

/* Certificates and CRLs come from an IKE message, which has at most 64 KB. */
#define IKE_CERT_MESSAGE_MAX (96u << 10)

/* A request as it was read: the job points into the packet and into this. */
struct ike_cert_request {
	uint32_t id;
	struct ike_cert_job job;
	char label[IKE_CERT_LIST_MAX][IKE_CERT_LABEL_MAX + 1];
	const char *labels[IKE_CERT_LIST_MAX];
};

/* CS_ELIMIT: it has no room. *len is the length of the packet. */
int ike_cert_put_request(uint32_t id, const struct ike_cert_job *job, uint8_t *packet, size_t cap,
			 size_t *len, struct cs_err *err);
/* CS_EPARSE. The job points into packet. */
int ike_cert_get_request(const uint8_t *packet, size_t len, struct ike_cert_request *request,
			 struct cs_err *err);

int ike_cert_put_answer(uint32_t id, const struct ike_cert_job *job, uint8_t *packet, size_t cap,
			size_t *len, struct cs_err *err);
/* Only the number of the request that it answers. */
int ike_cert_get_answer_id(const uint8_t *packet, size_t len, uint32_t *id, struct cs_err *err);
/* Sets what comes back; the packet is copied. On failure the job is as it was. */
int ike_cert_get_answer(const uint8_t *packet, size_t len, struct ike_cert_job *job,
			struct cs_err *err);

/*
 * The helper's work: answers what comes through fd until the other end is closed (0) or the
 * packets make no sense (CS_EPARSE, CS_ESYS). A job that takes longer than seconds (0: no limit)
 * ends the process by SIGALRM.
 */
int ike_cert_serve(int fd, const struct ike_cert_ring *ring, unsigned seconds, struct cs_err *err);

#endif
