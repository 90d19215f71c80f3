/*
 * The asking end of the management socket: blocking, with a time-out on every wait.
 * docs/nmi.md is the contract.
 */
#include "common/nmi.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"

#define HEADER_LEN  4u
#define GREETING_MS 5000

struct cs_nmi {
	int fd;
	bool broken; /* an answer was left half-read */
	uint8_t *in; /* the frame being read */
	size_t in_cap;
};

/* Waits for events on the socket until deadline (-1: for ever). */
static int wait_for(const struct cs_nmi *nmi, short events, int64_t deadline, struct cs_err *err)
{
	for (;;) {
		struct pollfd pfd = {.fd = nmi->fd, .events = events};
		int64_t left = deadline < 0 ? -1 : deadline - cs_mono_ms();
		int n;

		if (deadline >= 0 && left < 0)
			left = 0;
		n = poll(&pfd, 1, (int)left);
		if (n > 0)
			return 0;
		if (n == 0)
			return cs_fail(err, CS_EAGAIN, "no answer in time");
		if (errno != EINTR)
			return cs_fail_errno(err, "poll");
	}
}

static int read_all(struct cs_nmi *nmi, uint8_t *to, size_t len, int64_t deadline,
		    struct cs_err *err)
{
	while (len > 0) {
		ssize_t n = recv(nmi->fd, to, len, MSG_DONTWAIT);
		int rc;

		if (n > 0) {
			to += n;
			len -= (size_t)n;
			continue;
		}
		if (n == 0 || errno == ECONNRESET)
			return cs_fail(err, CS_ESYS, "the daemon closed the connection");
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return cs_fail_errno(err, "recv");
		rc = wait_for(nmi, POLLIN, deadline, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int write_all(struct cs_nmi *nmi, const void *data, size_t len, int64_t deadline,
		     struct cs_err *err)
{
	const uint8_t *p = data;

	while (len > 0) {
		ssize_t n = send(nmi->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		int rc;

		if (n >= 0) {
			p += n;
			len -= (size_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == EPIPE || errno == ECONNRESET)
			return 0; /* what the daemon said before it closed tells more */
		if (errno != EAGAIN)
			return cs_fail_errno(err, "send");
		rc = wait_for(nmi, POLLOUT, deadline, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int read_frame(struct cs_nmi *nmi, int timeout_ms, json_t **frame, struct cs_err *err)
{
	int64_t deadline = timeout_ms < 0 ? -1 : cs_mono_ms() + timeout_ms;
	json_error_t jerr;
	uint32_t len;
	json_t *json;
	int rc;

	rc = read_all(nmi, (uint8_t *)&len, HEADER_LEN, deadline, err);
	if (rc < 0)
		return rc;
	len = ntohl(len);
	if (len > CS_NMI_FRAME_MAX)
		return cs_fail(err, CS_EPARSE, "the daemon sent a frame of %u bytes", len);
	if (len > nmi->in_cap) {
		uint8_t *grown = realloc(nmi->in, len);

		if (!grown)
			return cs_fail(err, CS_ENOMEM, "out of memory");
		nmi->in = grown;
		nmi->in_cap = len;
	}
	rc = read_all(nmi, nmi->in, len, deadline, err);
	if (rc < 0)
		return rc;
	json = json_loadb((const char *)nmi->in, len, JSON_REJECT_DUPLICATES, &jerr);
	if (!json_is_object(json)) {
		json_decref(json);
		return cs_fail(err, CS_EPARSE, "the daemon sent a frame that is no JSON object");
	}
	*frame = json;
	return 0;
}

/* An error frame as a cs_code with its text. */
static int fail_as_told(const json_t *frame, struct cs_err *err)
{
	const char *text = json_string_value(json_object_get(frame, "error"));
	const char *name = json_string_value(json_object_get(frame, "code"));

	if (!text)
		return cs_fail(err, CS_EPARSE, "the daemon sent a frame of no known kind");
	if (!*text)
		text = "the daemon failed and gave no reason";
	for (int code = CS_EINVAL; name && code >= CS_EPERM; code--)
		if (strcmp(name, cs_code_name(code)) == 0)
			return cs_fail(err, code, "%s", text);
	return cs_fail(err, CS_ESYS, "%s", text);
}

static int read_greeting(struct cs_nmi *nmi, struct cs_err *err)
{
	json_t *frame = NULL, *version;
	int rc = read_frame(nmi, GREETING_MS, &frame, err);

	if (rc < 0)
		return rc;
	version = json_object_get(frame, "nmi");
	if (!version)
		rc = fail_as_told(frame, err);
	else if (json_integer_value(version) != CS_NMI_VERSION)
		rc = cs_fail(err, CS_EUNSUPPORTED,
			     "the daemon speaks version %lld of the interface, this program %d",
			     (long long)json_integer_value(version), CS_NMI_VERSION);
	json_decref(frame);
	return rc;
}

static int connect_socket(struct cs_nmi *nmi, const char *path, struct cs_err *err)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct timeval wait = {.tv_sec = GREETING_MS / 1000}; /* for a place in the backlog */
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(sun.sun_path))
		return cs_fail(err, CS_EINVAL,
			       "the path of a management socket has 1 to %zu characters: %s",
			       sizeof(sun.sun_path) - 1, path);
	memcpy(sun.sun_path, path, len + 1);
	nmi->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (nmi->fd < 0 || setsockopt(nmi->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0)
		return cs_fail_errno(err, "socket");
	while (connect(nmi->fd, (const struct sockaddr *)&sun, sizeof(sun)) < 0) {
		if (errno == EINTR)
			continue;
		if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR)
			return cs_fail(err, CS_ENOTFOUND, "nobody serves %s", path);
		if (errno == EACCES || errno == EPERM)
			return cs_fail(err, CS_EPERM, "this user may not use %s", path);
		if (errno == EAGAIN)
			return cs_fail(err, CS_EAGAIN, "no answer in time");
		return cs_fail_errno(err, "connect %s", path);
	}
	return 0;
}

int cs_nmi_connect(const char *path, struct cs_nmi **nmi, struct cs_err *err)
{
	struct cs_nmi *n = calloc(1, sizeof(*n));
	int rc;

	if (!n)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	n->fd = -1;
	rc = connect_socket(n, path, err);
	if (rc == 0)
		rc = read_greeting(n, err);
	if (rc < 0) {
		cs_nmi_close(n);
		return rc;
	}
	*nmi = n;
	return 0;
}

static int send_request(struct cs_nmi *nmi, const json_t *request, int timeout_ms,
			struct cs_err *err)
{
	int64_t deadline = timeout_ms < 0 ? -1 : cs_mono_ms() + timeout_ms;
	char *text = json_dumps(request, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0;
	uint32_t header = htonl((uint32_t)len);
	int rc;

	if (!text)
		return cs_fail(err, CS_ENOMEM, "the request could not be built");
	if (len > CS_NMI_FRAME_MAX) {
		rc = cs_fail(err, CS_ELIMIT, "the request is too long");
	} else {
		rc = write_all(nmi, &header, HEADER_LEN, deadline, err);
		if (rc == 0)
			rc = write_all(nmi, text, len, deadline, err);
	}
	free(text);
	return rc;
}

int cs_nmi_call(struct cs_nmi *nmi, const json_t *request, int timeout_ms, cs_nmi_entry_fn *fn,
		void *arg, json_t **done, struct cs_err *err)
{
	int rc;

	if (nmi->broken)
		return cs_fail(err, CS_EINVAL, "the connection was given up before");
	nmi->broken = true;
	rc = send_request(nmi, request, timeout_ms, err);
	if (rc < 0)
		return rc;
	for (;;) {
		json_t *frame = NULL, *entry;

		rc = read_frame(nmi, timeout_ms, &frame, err);
		if (rc < 0)
			return rc;
		entry = json_object_get(frame, "entry");
		if (!entry) {
			nmi->broken = false;
			if (json_is_true(json_object_get(frame, "done"))) {
				*done = frame;
				return 0;
			}
			rc = fail_as_told(frame, err);
			json_decref(frame);
			return rc;
		}
		rc = fn ? fn(arg, entry) : 0;
		json_decref(frame);
		if (rc != 0)
			return rc;
	}
}

void cs_nmi_close(struct cs_nmi *nmi)
{
	if (!nmi)
		return;
	if (nmi->fd >= 0)
		close(nmi->fd);
	free(nmi->in);
	free(nmi);
}
