/*
 * The socket of nfnetlink_log.  One message asks for the group and sets all that can be set, so
 * that nothing is logged to it before its numbers count.
 */
#include "trmd/nflog.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "trmd/interfaces.h"

#define KERNEL_BUFFER_MIN 4096
#define KERNEL_BUFFER_MAX 131072
#define ANSWER_MS         5000

struct trmd_nflog {
	uv_poll_t poll;
	struct mnl_socket *socket;
	struct trmd_nflog_settings settings;
	struct trmd_nflog_ops ops; /* the caller's */
	void *arg;
	struct trmd_interfaces *interfaces;
	struct trmd_nflog_reader reader;
	uint32_t asked; /* sequence number of the last request */
	bool polled, broken;
	/* With room for what the kernel puts around its buffer's content. */
	_Alignas(struct nlmsghdr) uint8_t buf[KERNEL_BUFFER_MAX + 4096];
};

struct trmd_nflog_settings trmd_nflog_defaults(void)
{
	return (struct trmd_nflog_settings){
		.group = 119,
		.copy_range = 128,
		.queue = 32,
		.timeout_ms = 1000,
		.kernel_buffer = 65536,
		.socket_buffer = 8u << 20,
		.at_once = 64,
	};
}

/* ---- asking ---- */

static int check(const struct trmd_nflog_settings *s, struct cs_err *err)
{
	if (s->copy_range < 64 || s->copy_range > 65531)
		return cs_fail(err, CS_EINVAL, "64 to 65531 bytes of a packet, not %u",
			       s->copy_range);
	if (s->queue < 1 || s->queue > 4096)
		return cs_fail(err, CS_EINVAL, "1 to 4096 packets at once, not %u", s->queue);
	if (s->timeout_ms < 10 || s->timeout_ms > 60000)
		return cs_fail(err, CS_EINVAL, "packets wait for 10 to 60000 ms, not %u",
			       s->timeout_ms);
	if (s->kernel_buffer < KERNEL_BUFFER_MIN || s->kernel_buffer > KERNEL_BUFFER_MAX)
		return cs_fail(err, CS_EINVAL, "packets wait in %u to %u bytes, not %u",
			       KERNEL_BUFFER_MIN, KERNEL_BUFFER_MAX, s->kernel_buffer);
	if (s->socket_buffer < KERNEL_BUFFER_MAX || s->socket_buffer > 1u << 30)
		return cs_fail(err, CS_EINVAL, "a socket's buffer is %u to %u bytes, not %u",
			       KERNEL_BUFFER_MAX, 1u << 30, s->socket_buffer);
	if (s->at_once < 1)
		return cs_fail(err, CS_EINVAL, "at least one datagram is read at once");
	return 0;
}

static struct nlmsghdr *request_of(struct trmd_nflog *log, void *buf,
				   const struct trmd_nflog_settings *s, bool bind)
{
	struct nfulnl_msg_config_cmd cmd = {NFULNL_CFG_CMD_BIND};
	struct nfulnl_msg_config_mode mode = {
		.copy_range = htonl(s->copy_range),
		.copy_mode = NFULNL_COPY_PACKET,
	};
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g;

	h->nlmsg_type = (NFNL_SUBSYS_ULOG << 8) | NFULNL_MSG_CONFIG;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	h->nlmsg_seq = ++log->asked;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = AF_UNSPEC;
	g->version = NFNETLINK_V0;
	g->res_id = htons(s->group);
	if (bind)
		mnl_attr_put(h, NFULA_CFG_CMD, sizeof(cmd), &cmd);
	mnl_attr_put(h, NFULA_CFG_MODE, sizeof(mode), &mode);
	/* The kernel's buffer is made when the first packet comes, so its size comes before. */
	mnl_attr_put_u32(h, NFULA_CFG_NLBUFSIZ, htonl(s->kernel_buffer));
	mnl_attr_put_u32(h, NFULA_CFG_TIMEOUT, htonl(s->timeout_ms / 10));
	mnl_attr_put_u32(h, NFULA_CFG_QTHRESH, htonl(s->queue));
	mnl_attr_put_u16(h, NFULA_CFG_FLAGS, htons(NFULNL_CFG_F_SEQ));
	return h;
}

/* 1: the answer to the last request, *error is its errno. What else is in the datagram is read. */
static int find_answer(struct trmd_nflog *log, size_t len, int *error)
{
	const struct nlmsghdr *h = (const void *)log->buf;
	const struct nlmsgerr *e;
	int left = (int)len, found = 0;

	for (; mnl_nlmsg_ok(h, left) && h->nlmsg_len <= (uint32_t)left;
	     h = mnl_nlmsg_next(h, &left))
		if (h->nlmsg_type == NLMSG_ERROR && h->nlmsg_seq == log->asked &&
		    mnl_nlmsg_get_payload_len(h) >= sizeof(*e)) {
			e = mnl_nlmsg_get_payload(h);
			*error = -e->error;
			found = 1;
		}
	return found;
}

/*
 * Bytes of the next datagram of the kernel, 0 when there is none now, negative with errno.  What
 * is from somebody else, or larger than any of the kernel's, is passed over and counted.
 */
static ssize_t receive(struct trmd_nflog *log)
{
	struct sockaddr_nl from = {0};
	struct iovec iov = {log->buf, sizeof(log->buf)};
	struct msghdr m = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n = recvmsg(mnl_socket_get_fd(log->socket), &m, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0 && errno == ENOBUFS) {
		log->reader.stats.overruns++;
		return 1; /* shorter than any message */
	}
	if (n >= 0 && (m.msg_flags & MSG_TRUNC || from.nl_pid != 0 || n == 0)) {
		log->reader.stats.malformed++;
		return 1;
	}
	return n;
}

static void take(struct trmd_nflog *log, size_t len)
{
	if (len > 1)
		trmd_nflog_datagram(&log->reader, log->buf, len, cs_wall_us());
}

static int answer(struct trmd_nflog *log, struct cs_err *err)
{
	struct pollfd p = {.fd = mnl_socket_get_fd(log->socket), .events = POLLIN};
	int error = 0;
	ssize_t n;

	for (;;) {
		if (poll(&p, 1, ANSWER_MS) == 0)
			return cs_fail(err, CS_EKERNEL, "NFLOG: the kernel does not answer");
		n = receive(log);
		if (n < 0)
			return cs_fail_errno(err, "NFLOG");
		if (n > 1 && find_answer(log, (size_t)n, &error))
			break;
		take(log, (size_t)n);
	}
	if (error == EPERM || error == EBUSY)
		return cs_fail(err, CS_EPERM,
			       "NFLOG group %u is refused: CAP_NET_ADMIN is missing, or another "
			       "program listens to it",
			       log->settings.group);
	if (error)
		return cs_fail(err, CS_EKERNEL, "NFLOG group %u: %s", log->settings.group,
			       strerror(error));
	return 0;
}

static int ask(struct trmd_nflog *log, const struct trmd_nflog_settings *s, bool bind,
	       struct cs_err *err)
{
	_Alignas(struct nlmsghdr) uint8_t buf[512];
	const struct nlmsghdr *h = request_of(log, buf, s, bind);
	int fd = mnl_socket_get_fd(log->socket), size = (int)s->socket_buffer;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (mnl_socket_sendto(log->socket, h, h->nlmsg_len) < 0)
		return cs_fail_errno(err, "NFLOG");
	return answer(log, err);
}

/* ---- packets ---- */

static void on_event(void *arg, const struct trmd_event *e)
{
	struct trmd_nflog *log = arg;
	struct trmd_event named = *e;

	trmd_interfaces_name(log->interfaces, e->in, named.in_name);
	trmd_interfaces_name(log->interfaces, e->out, named.out_name);
	log->ops.packet(log->arg, &named);
}

static void give_up(struct trmd_nflog *log)
{
	static const struct cs_err broken = {CS_ESYS, "NFLOG: its socket is broken"};

	log->reader.stats.errors++;
	log->broken = true;
	uv_poll_stop(&log->poll);
	log->ops.failed(log->arg, &broken);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct trmd_nflog *log = poll->data;
	ssize_t n = 1;

	(void)events;
	for (unsigned i = 0; i < log->settings.at_once && n > 0; i++) {
		n = receive(log);
		if (n > 0)
			take(log, (size_t)n);
	}
	/* With a socket that was full libuv stops: to it that is an error like any other. */
	if (n < 0 || (status < 0 && uv_poll_start(poll, UV_READABLE, on_readable) < 0))
		give_up(log);
}

static const struct trmd_nflog_ops reader_ops = {.packet = on_event};

int trmd_nflog_open(uv_loop_t *loop, const struct trmd_nflog_settings *settings,
		    const struct trmd_nflog_ops *ops, void *arg, struct trmd_nflog **out,
		    struct cs_err *err)
{
	struct trmd_nflog *log;
	int rc = check(settings, err);

	if (rc < 0)
		return rc;
	log = calloc(1, sizeof(*log));
	if (!log)
		return cs_fail(err, CS_ENOMEM, "no memory for NFLOG");
	log->settings = *settings;
	log->ops = *ops;
	log->arg = arg;
	log->poll.data = log;
	log->reader.ops = &reader_ops;
	log->reader.arg = log;
	log->interfaces = trmd_interfaces_new();
	log->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!log->interfaces)
		rc = cs_fail(err, CS_ENOMEM, "no memory for NFLOG");
	else if (!log->socket || mnl_socket_bind(log->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		rc = cs_fail_errno(err, "NFLOG socket");
	else
		rc = ask(log, settings, true, err);
	if (rc == 0) {
		rc = uv_poll_init(loop, &log->poll, mnl_socket_get_fd(log->socket));
		log->polled = rc == 0;
		if (rc == 0)
			rc = uv_poll_start(&log->poll, UV_READABLE, on_readable);
		if (rc < 0)
			rc = cs_fail(err, CS_ESYS, "NFLOG: %s", uv_strerror(rc));
	}
	if (rc < 0)
		trmd_nflog_close(log);
	else
		*out = log;
	return rc;
}

int trmd_nflog_configure(struct trmd_nflog *log, const struct trmd_nflog_settings *settings,
			 struct cs_err *err)
{
	struct trmd_nflog_settings s = *settings;
	int rc;

	s.group = log->settings.group;
	rc = check(&s, err);
	if (rc == 0 && log->broken)
		rc = cs_fail(err, CS_ESYS, "NFLOG: its socket is broken");
	if (rc == 0)
		rc = ask(log, &s, false, err);
	if (rc == 0)
		log->settings = s;
	return rc;
}

const struct trmd_nflog_stats *trmd_nflog_stats(const struct trmd_nflog *log)
{
	return &log->reader.stats;
}

static void on_closed(uv_handle_t *handle)
{
	struct trmd_nflog *log = handle->data;

	mnl_socket_close(log->socket);
	trmd_interfaces_free(log->interfaces);
	free(log);
}

void trmd_nflog_close(struct trmd_nflog *log)
{
	if (!log)
		return;
	if (log->polled) {
		uv_close((uv_handle_t *)&log->poll, on_closed);
		return;
	}
	if (log->socket)
		mnl_socket_close(log->socket);
	trmd_interfaces_free(log->interfaces);
	free(log);
}
