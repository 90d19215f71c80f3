/*
 * The worker's side of the certificate helper: jobs go out as requests with numbers and come back
 * with their answers; bounded, each with a deadline.  The helper may end and be started anew at
 * any time: what it has not answered is asked of the next one, once.
 *
 * Its submit function is an operation of the engine by its form (see cert.h):
 *
 *	static enum ike_done op_cert(void *ctx, struct ike_cert_job *job)
 *	{
 *		struct worker *w = ctx;
 *
 *		return ike_cert_client_submit(w->certs, job);
 *	}
 */
#ifndef IKE_CERT_CLIENT_H
#define IKE_CERT_CLIENT_H

#include <uv.h>

#include "iked/cert.h"
#include "iked/engine.h"

#define IKE_CERT_WAITING_MAX 1024  /* jobs not answered yet; one more is CS_ELIMIT */
#define IKE_CERT_WAIT_MS     10000 /* then a job comes back with CS_EAGAIN */

struct ike_cert_client;

/* Gives a job back, on the loop's thread, never from within submit; its status is set. It may
 * submit others. */
typedef void ike_cert_done_fn(void *arg, struct ike_cert_job *job);

int ike_cert_client_new(uv_loop_t *loop, ike_cert_done_fn *fn, void *arg,
			struct ike_cert_client **client, struct cs_err *err);
/* IKE_DONE: refused, status says why. What the job points to has been read when it returns. */
enum ike_done ike_cert_client_submit(struct ike_cert_client *client, struct ike_cert_job *job);

/* A helper is there, at the other end of fd, which is taken; the one before it is forgotten. */
int ike_cert_client_connect(struct ike_cert_client *client, int fd, struct cs_err *err);
/* There is none and there will be none until connect: jobs fail at once, for this reason. */
void ike_cert_client_absent(struct ike_cert_client *client, const char *why);

/* Every job comes back with CS_EAGAIN, before it returns. Free it when the loop has ended. */
void ike_cert_client_stop(struct ike_cert_client *client);
void ike_cert_client_free(struct ike_cert_client *client);

struct ike_cert_stats {
	uint64_t submitted, answered, failed; /* failed: without an answer */
	uint64_t timeouts, repeated, late, malformed, helpers;
	unsigned waiting;
	bool connected;
};
void ike_cert_client_stats(const struct ike_cert_client *client, struct ike_cert_stats *stats);

#endif
