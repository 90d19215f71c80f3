/*
 * The worker's side of a port: datagrams in, many a system call and in the order of their arrival;
 * datagrams out from the address that the engine names.  On the port for NAT traversal four zero
 * bytes tell IKE from ESP (RFC 3948 section 2.2), which the kernel has taken out before.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "iked/iked.h"

#define BATCH       32
#define BATCHES_MAX 8 /* a turn of the loop; others want theirs too */
#define DATAGRAM    65536
#define COMPLAIN_MS 60000

union control {
	struct cmsghdr align;
	char v4[CMSG_SPACE(sizeof(struct in_pktinfo))];
	char v6[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

struct iked_udp {
	struct iked_udp_port port;
	uv_poll_t poll;
	iked_udp_fn *fn;
	void *arg;
	struct iked_udp_stats stats;
	uint64_t complained; /* mono milliseconds of the last complaint, 0: none */
	struct mmsghdr headers[BATCH];
	struct iovec vectors[BATCH];
	struct sockaddr_storage peers[BATCH];
	union control controls[BATCH];
	uint8_t (*buffers)[DATAGRAM]; /* only the pages that datagrams touch are ever real */
};

static void complain(struct iked_udp *u, const char *what, uint64_t failures)
{
	const char *why = strerror(errno);
	uint64_t now = iked_now().mono;

	if (u->complained && now - u->complained < COMPLAIN_MS)
		return;
	u->complained = now;
	cs_log(CS_NOCTX, CSM_IKE_UDP, what, u->port.port, why, (unsigned long long)failures);
}

/* ---- in ---- */

/* The address a datagram came to; false unless it is one of our own. */
static bool local_address(const struct msghdr *m, struct cs_addr *local)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR((struct msghdr *)m, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			*local = cs_addr_from_bytes(AF_INET, (const uint8_t *)&info.ipi_addr);
			return info.ipi_addr.s_addr == info.ipi_spec_dst.s_addr;
		}
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			*local = cs_addr_from_bytes(AF_INET6, info.ipi6_addr.s6_addr);
			return !IN6_IS_ADDR_MULTICAST(&info.ipi6_addr);
		}
	}
	return false;
}

#define MARKER_LEN 4
static const uint8_t marker[MARKER_LEN];

/* Of what came to the port for NAT traversal; a keepalive is none either. */
static bool take_marker(const uint8_t **data, size_t *len)
{
	if (*len < MARKER_LEN || memcmp(*data, marker, MARKER_LEN) != 0)
		return false;
	*data += MARKER_LEN;
	*len -= MARKER_LEN;
	return true;
}

static bool is_keepalive(const uint8_t *data, size_t len)
{
	return len == 1 && data[0] == 0xff;
}

static void take(struct iked_udp *u, unsigned i)
{
	const struct mmsghdr *h = &u->headers[i];
	struct cs_endpoint local = {.port = u->port.port}, remote;
	const uint8_t *data = u->buffers[i];
	size_t len = h->msg_len;

	if (u->port.nat && is_keepalive(data, len))
		return;
	if ((h->msg_hdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
	    !local_address(&h->msg_hdr, &local.addr) ||
	    cs_endpoint_from_sockaddr((const struct sockaddr *)&u->peers[i], &remote) < 0 ||
	    remote.port == 0 || (u->port.nat && !take_marker(&data, &len))) {
		u->stats.malformed++;
		return;
	}
	u->stats.received++;
	u->fn(u->arg, &local, &remote, data, len);
}

static void readable(uv_poll_t *poll, int status, int events)
{
	struct iked_udp *u = poll->data;

	(void)events;
	/* libuv gives up a descriptor that has an error pending; receiving clears it. */
	if (status < 0)
		uv_poll_start(poll, UV_READABLE, readable);
	for (unsigned turn = 0; turn < BATCHES_MAX; turn++) {
		int n;

		for (unsigned i = 0; i < BATCH; i++) {
			u->vectors[i] = (struct iovec){u->buffers[i], DATAGRAM};
			u->headers[i] = (struct mmsghdr){
				.msg_hdr = {.msg_name = &u->peers[i],
					    .msg_namelen = sizeof(u->peers[i]),
					    .msg_iov = &u->vectors[i],
					    .msg_iovlen = 1,
					    .msg_control = &u->controls[i],
					    .msg_controllen = sizeof(u->controls[i])},
			};
		}
		n = recvmmsg(u->port.fd, u->headers, BATCH, MSG_DONTWAIT, NULL);
		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR)
				complain(u, "cannot receive", ++u->stats.receive_errors);
			return;
		}
		u->stats.batches++;
		for (int i = 0; i < n; i++)
			take(u, (unsigned)i);
		if (n < BATCH)
			return;
	}
}

/* ---- out ---- */

static void put_source(struct msghdr *m, const struct cs_addr *local, union control *control)
{
	struct cmsghdr *c;

	memset(control, 0, sizeof(*control));
	m->msg_control = control;
	m->msg_controllen = local->family == AF_INET ? sizeof(control->v4) : sizeof(control->v6);
	c = CMSG_FIRSTHDR(m);
	if (local->family == AF_INET) {
		struct in_pktinfo info = {0};

		memcpy(&info.ipi_spec_dst, local->b, sizeof(info.ipi_spec_dst));
		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	} else {
		struct in6_pktinfo info = {0};

		memcpy(&info.ipi6_addr, local->b, sizeof(info.ipi6_addr));
		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	}
}

void iked_udp_send(struct iked_udp *u, const struct cs_endpoint *local,
		   const struct cs_endpoint *remote, const uint8_t *data, size_t len)
{
	struct iovec vectors[2] = {{(void *)marker, MARKER_LEN}, {(void *)data, len}};
	bool marked = u->port.nat && len > 1;
	struct sockaddr_storage to;
	union control control;
	struct msghdr m = {.msg_name = &to,
			   .msg_iov = marked ? vectors : vectors + 1,
			   .msg_iovlen = marked ? 2 : 1};

	if (cs_endpoint_to_sockaddr(remote, &to, &m.msg_namelen) < 0) {
		errno = EAFNOSUPPORT;
		complain(u, "cannot send", ++u->stats.send_errors);
		return;
	}
	if (local->addr.family)
		put_source(&m, &local->addr, &control);
	if (sendmsg(u->port.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		complain(u, "cannot send", ++u->stats.send_errors); /* it is sent again by timer */
	else
		u->stats.sent++;
}

/* ---- start and stop ---- */

/* Said each time, since the socket is as the worker before left it. */
static int set_moving(const struct iked_udp_port *port, struct cs_err *err)
{
	int on = port->moving;
	bool v4 = port->family == AF_INET;

	if (setsockopt(port->fd, v4 ? IPPROTO_IP : IPPROTO_IPV6,
		       v4 ? IP_TRANSPARENT : IPV6_TRANSPARENT, &on, sizeof(on)) < 0)
		return cs_fail_errno(err, "cannot set IP_TRANSPARENT");
	return 0;
}

int iked_udp_start(uv_loop_t *loop, const struct iked_udp_port *port, iked_udp_fn *fn, void *arg,
		   struct iked_udp **udp, struct cs_err *err)
{
	struct iked_udp *u;
	int rc = set_moving(port, err);

	if (rc < 0)
		return rc;
	u = calloc(1, sizeof(*u));
	if (u)
		u->buffers = malloc(BATCH * sizeof(*u->buffers));
	if (!u || !u->buffers) {
		free(u);
		return cs_fail(err, CS_ENOMEM, "out of memory");
	}
	u->port = *port;
	u->fn = fn;
	u->arg = arg;
	u->poll.data = u;
	rc = uv_poll_init(loop, &u->poll, port->fd);
	if (rc < 0) {
		free(u->buffers);
		free(u);
		return cs_fail(err, CS_ESYS, "cannot watch a port: %s", uv_strerror(rc));
	}
	uv_poll_start(&u->poll, UV_READABLE, readable);
	*udp = u;
	return 0;
}

const struct iked_udp_stats *iked_udp_stats(const struct iked_udp *u)
{
	return &u->stats;
}

static void closed(uv_handle_t *handle)
{
	struct iked_udp *u = handle->data;

	free(u->buffers);
	free(u);
}

void iked_udp_stop(struct iked_udp *u)
{
	uv_poll_stop(&u->poll);
	uv_close((uv_handle_t *)&u->poll, closed);
}
