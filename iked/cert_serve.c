/* The certificate helper's loop: one request, one answer, in order. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "iked/cert_wire.h"

static int send_packet(int fd, const uint8_t *packet, size_t len, struct cs_err *err)
{
	ssize_t n;

	do
		n = send(fd, packet, len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)len || (n < 0 && (errno == EPIPE || errno == ECONNRESET)))
		return 0; /* gone meanwhile: the next receive says so */
	return cs_fail_errno(err, "cannot answer");
}

static int answer(int fd, const struct ike_cert_ring *ring, unsigned seconds,
		  struct ike_cert_request *q, uint8_t *packet, struct cs_err *err)
{
	size_t len;
	int status;

	/* The time limit is of the whole process: who started it starts another. */
	alarm(seconds);
	ike_cert_run(ring, &q->job);
	alarm(0);
	if (ike_cert_put_answer(q->id, &q->job, packet, IKE_CERT_MESSAGE_MAX, &len, err) < 0) {
		ike_cert_job_clear(&q->job);
		q->job.status = cs_fail(&q->job.err, CS_ELIMIT, "%s", err ? err->text : "");
		status = ike_cert_put_answer(q->id, &q->job, packet, IKE_CERT_MESSAGE_MAX, &len,
					     err);
		if (status < 0)
			return status;
	}
	ike_cert_job_clear(&q->job);
	return send_packet(fd, packet, len, err);
}

static int serve(int fd, const struct ike_cert_ring *ring, unsigned seconds, uint8_t *in,
		 uint8_t *out, struct ike_cert_request *q, struct cs_err *err)
{
	for (;;) {
		ssize_t n = recv(fd, in, IKE_CERT_MESSAGE_MAX + 1, 0);
		int status;

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return 0;
		if (n < 0)
			return cs_fail_errno(err, "cannot receive");
		if (n > IKE_CERT_MESSAGE_MAX)
			return cs_fail(err, CS_EPARSE, "a certificate request is too long");
		status = ike_cert_get_request(in, (size_t)n, q, err);
		if (status == 0)
			status = answer(fd, ring, seconds, q, out, err);
		if (status < 0)
			return status;
	}
}

int ike_cert_serve(int fd, const struct ike_cert_ring *ring, unsigned seconds, struct cs_err *err)
{
	uint8_t *in = malloc(IKE_CERT_MESSAGE_MAX + 1), *out = malloc(IKE_CERT_MESSAGE_MAX);
	struct ike_cert_request *q = malloc(sizeof(*q));
	int status = in && out && q ? serve(fd, ring, seconds, in, out, q, err)
				    : cs_fail(err, CS_ENOMEM, "out of memory");

	free(in);
	free(out);
	free(q);
	return status;
}
