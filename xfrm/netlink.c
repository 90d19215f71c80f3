/*
 * One synchronous netlink socket: request, answers, acknowledgement with the kernel's own
 * words about a refusal (extended ack); and the translation of addresses and selectors.
 */
#include "xfrm/kernel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* An acknowledgement of a healthy kernel comes at once; a lost one must not hang a daemon. */
#define ANSWER_SECONDS 10

static int open_socket(int protocol, const char *what, struct xf_kernel **out, struct cs_err *err)
{
	struct timeval patience = {.tv_sec = ANSWER_SECONDS};
	struct xf_kernel *k;
	int on = 1;

	k = calloc(1, sizeof(*k));
	if (!k)
		return cs_fail(err, CS_ENOMEM, "no memory for the %s socket", what);
	k->reply = malloc(XF_REPLY_MAX);
	k->nl = mnl_socket_open2(protocol, SOCK_CLOEXEC);
	if (!k->reply || !k->nl || mnl_socket_bind(k->nl, 0, MNL_SOCKET_AUTOPID) < 0) {
		cs_fail_errno(err, "%s socket", what);
		xf_close(k);
		return CS_ESYS;
	}
	k->port = mnl_socket_get_portid(k->nl);
	/* Kernels without these options give shorter refusals; nothing else depends on them. */
	mnl_socket_setsockopt(k->nl, NETLINK_CAP_ACK, &on, sizeof(on));
	mnl_socket_setsockopt(k->nl, NETLINK_EXT_ACK, &on, sizeof(on));
	mnl_socket_setsockopt(k->nl, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	setsockopt(mnl_socket_get_fd(k->nl), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	*out = k;
	return 0;
}

int xf_open(const struct xf_marking *marking, struct xf_kernel **out, struct cs_err *err)
{
	int rc;

	if (marking->shift > 18)
		return cs_fail(err, CS_EINVAL, "mark shift %u is more than 18", marking->shift);
	rc = open_socket(NETLINK_XFRM, "XFRM netlink", out, err);
	if (rc == 0)
		(*out)->marking = *marking;
	return rc;
}

int xf_open_routes(struct xf_kernel **out, struct cs_err *err)
{
	return open_socket(NETLINK_ROUTE, "rtnetlink", out, err);
}

int xf_open_netfilter(struct xf_kernel **out, struct cs_err *err)
{
	return open_socket(NETLINK_NETFILTER, "netfilter netlink", out, err);
}

void xf_close(struct xf_kernel *k)
{
	if (!k)
		return;
	if (k->nl)
		mnl_socket_close(k->nl);
	free(k->reply);
	free(k);
}

void *xf_msg_start(struct xf_msg *m, uint16_t type, uint16_t flags, size_t size)
{
	memset(m->u.bytes, 0, sizeof(m->u.bytes));
	m->overflow = false;
	m->h = mnl_nlmsg_put_header(m->u.bytes);
	m->h->nlmsg_type = type;
	m->h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	return mnl_nlmsg_put_extra_header(m->h, size);
}

void xf_msg_put(struct xf_msg *m, uint16_t type, const void *data, size_t len)
{
	if (!mnl_attr_put_check(m->h, sizeof(m->u.bytes), type, len, data))
		m->overflow = true;
}

void xf_msg_put_u32(struct xf_msg *m, uint16_t type, uint32_t v)
{
	xf_msg_put(m, type, &v, sizeof(v));
}

void xf_msg_put_mark(struct xf_msg *m, uint32_t value, uint32_t mask)
{
	struct xfrm_mark mark = {.v = value, .m = mask};

	xf_msg_put(m, XFRMA_MARK, &mark, sizeof(mark));
}

/* What the kernel said about a refusal, besides errno. */
struct refusal {
	int code; /* errno of the acknowledgement */
	char text[128];
};

static int on_ack_attr(const struct nlattr *a, void *arg)
{
	struct refusal *r = arg;

	if (mnl_attr_get_type(a) == NLMSGERR_ATTR_MSG &&
	    mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0)
		snprintf(r->text, sizeof(r->text), "%s", mnl_attr_get_str(a));
	return MNL_CB_OK;
}

static void read_ack(const struct nlmsghdr *h, struct refusal *r)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);
	size_t body = sizeof(*e);

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*e)) {
		r->code = EBADMSG;
		return;
	}
	r->code = -e->error;
	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS) || e->error == 0)
		return;
	/* Without NETLINK_CAP_ACK our request stands between the error and the attributes. */
	if (!(h->nlmsg_flags & NLM_F_CAPPED))
		body += e->msg.nlmsg_len - sizeof(e->msg);
	if (body <= mnl_nlmsg_get_payload_len(h))
		mnl_attr_parse(h, (unsigned)body, on_ack_attr, r);
}

struct answers {
	mnl_cb_t fn;
	void *arg;
	struct refusal refusal;
	bool interrupted, done;
	int stopped; /* result of fn when it stopped the run */
	uint32_t seq, port;
};

static enum cs_code code_of(int e)
{
	switch (e) {
	case EEXIST:
		return CS_EEXIST;
	case ESRCH:
	case ENOENT:
		return CS_ENOTFOUND;
	case EPERM:
	case EACCES:
		return CS_EPERM;
	case ENOMEM:
		return CS_ENOMEM;
	default:
		return CS_EKERNEL;
	}
}

/* Looks at each message of one datagram; others' answers (of a request that timed out) pass by. */
static void read_answers(struct answers *a, const uint8_t *data, size_t len)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)data;
	int left = (int)len;

	for (; mnl_nlmsg_ok(h, left) && !a->done; h = mnl_nlmsg_next(h, &left)) {
		if (h->nlmsg_seq != a->seq || h->nlmsg_pid != a->port)
			continue;
		if (h->nlmsg_flags & NLM_F_DUMP_INTR)
			a->interrupted = true;
		if (h->nlmsg_type == NLMSG_ERROR) {
			read_ack(h, &a->refusal);
			a->done = true;
		} else if (h->nlmsg_type == NLMSG_DONE) {
			a->done = true;
		} else if (h->nlmsg_type >= NLMSG_MIN_TYPE && a->fn && a->stopped == 0) {
			a->stopped = a->fn(h, a->arg) < 0;
		}
	}
}

int xf_ask(struct xf_kernel *k, struct xf_msg *m, mnl_cb_t fn, void *arg, const char *what,
	   struct cs_err *err)
{
	struct answers a = {.fn = fn, .arg = arg, .port = k->port};
	const char *said;
	ssize_t n;

	if (m->overflow)
		return cs_fail(err, CS_ELIMIT, "%s: the request is too long for netlink", what);
	/* NLM_F_EXCL shares a bit with the two that make NLM_F_DUMP. */
	if ((m->h->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		m->h->nlmsg_flags |= NLM_F_ACK;
	a.seq = m->h->nlmsg_seq = ++k->seq;
	if (mnl_socket_sendto(k->nl, m->h, m->h->nlmsg_len) < 0)
		return cs_fail_errno(err, "%s: sending to the kernel", what);
	while (!a.done) {
		n = mnl_socket_recvfrom(k->nl, k->reply, XF_REPLY_MAX);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cs_fail_errno(err, "%s: the kernel's answer", what);
		read_answers(&a, k->reply, (size_t)n);
	}
	/* Replies held SA keys. */
	cs_wipe(k->reply, XF_REPLY_MAX);
	if (a.refusal.code) {
		said = a.refusal.text[0] ? a.refusal.text : strerror(a.refusal.code);
		return cs_fail(err, code_of(a.refusal.code), "%s: the kernel refused: %s", what,
			       said);
	}
	if (a.stopped)
		return cs_fail(err, CS_ENOMEM, "%s: the kernel's answer could not be kept", what);
	if (a.interrupted)
		return cs_fail(err, CS_EAGAIN, "%s: changed while it was read", what);
	return 0;
}

void *xf_room(void *items, size_t n, size_t *cap, size_t size)
{
	size_t more = *cap ? 2 * *cap : 64;

	if (n < *cap)
		return items;
	items = reallocarray(items, more, size);
	if (items)
		*cap = more;
	return items;
}

bool xf_body(const struct nlmsghdr *h, void *to, size_t size)
{
	if (mnl_nlmsg_get_payload_len(h) < size)
		return false;
	memcpy(to, mnl_nlmsg_get_payload(h), size);
	return true;
}

struct wanted {
	uint16_t type;
	size_t len; /* at least; then of what was found */
	const void *found;
};

static int on_attr(const struct nlattr *a, void *arg)
{
	struct wanted *w = arg;

	if (mnl_attr_get_type(a) != w->type || mnl_attr_get_payload_len(a) < w->len)
		return MNL_CB_OK;
	w->found = mnl_attr_get_payload(a);
	w->len = mnl_attr_get_payload_len(a);
	return MNL_CB_STOP;
}

static void find_attr(const struct nlmsghdr *h, size_t body, struct wanted *w)
{
	if (mnl_nlmsg_get_payload_len(h) >= body)
		mnl_attr_parse(h, (unsigned)body, on_attr, w);
}

const void *xf_attr(const struct nlmsghdr *h, size_t body, uint16_t type, size_t len)
{
	struct wanted w = {.type = type, .len = len};

	find_attr(h, body, &w);
	return w.found;
}

const void *xf_attr_array(const struct nlmsghdr *h, size_t body, uint16_t type, size_t item,
			  size_t *n)
{
	struct wanted w = {.type = type, .len = item};

	find_attr(h, body, &w);
	*n = w.found ? w.len / item : 0;
	return w.found;
}

void xf_to_kernel_addr(const struct cs_addr *a, xfrm_address_t *to)
{
	memcpy(to, a->b, sizeof(*to));
}

struct cs_addr xf_from_kernel_addr(uint16_t family, const xfrm_address_t *from)
{
	return cs_addr_from_bytes((uint8_t)family, (const uint8_t *)from);
}

int xf_to_kernel_selector(const struct cs_selector *s, uint8_t family, bool turned,
			  struct xfrm_selector *to, struct cs_err *err)
{
	const struct cs_range *src = turned ? &s->remote : &s->local;
	const struct cs_range *dst = turned ? &s->local : &s->remote;
	uint16_t sport = turned ? s->remote_port : s->local_port;
	uint16_t dport = turned ? s->local_port : s->remote_port;
	int slen, dlen;

	memset(to, 0, sizeof(*to));
	to->family = s->local.lo.family ? s->local.lo.family : family;
	to->proto = s->proto;
	if (sport) {
		to->sport = htons(sport);
		to->sport_mask = 0xffff;
	}
	if (dport) {
		to->dport = htons(dport);
		to->dport_mask = 0xffff;
	}
	if (!s->local.lo.family && !s->remote.lo.family)
		return 0;
	if (src->lo.family != dst->lo.family)
		return cs_fail(err, CS_EINVAL, "a selector mixes address families");
	slen = cs_range_prefix_len(src);
	dlen = cs_range_prefix_len(dst);
	if (slen < 0 || dlen < 0)
		return cs_fail(err, CS_EINVAL, "a selector's address range is not a prefix");
	xf_to_kernel_addr(&src->lo, &to->saddr);
	xf_to_kernel_addr(&dst->lo, &to->daddr);
	to->prefixlen_s = (uint8_t)slen;
	to->prefixlen_d = (uint8_t)dlen;
	return 0;
}

static struct cs_range prefix(uint16_t family, const xfrm_address_t *a, uint8_t len)
{
	struct cs_addr addr = {0};

	if (family != AF_INET && family != AF_INET6)
		return (struct cs_range){addr, addr};
	addr = xf_from_kernel_addr(family, a);
	return cs_range_prefix(&addr, len);
}

void xf_from_kernel_selector(const struct xfrm_selector *from, bool turned, struct cs_selector *s)
{
	struct cs_range src = prefix(from->family, &from->saddr, from->prefixlen_s);
	struct cs_range dst = prefix(from->family, &from->daddr, from->prefixlen_d);
	uint16_t sport = from->sport_mask == 0xffff ? ntohs(from->sport) : 0;
	uint16_t dport = from->dport_mask == 0xffff ? ntohs(from->dport) : 0;

	s->local = turned ? dst : src;
	s->remote = turned ? src : dst;
	s->local_port = turned ? dport : sport;
	s->remote_port = turned ? sport : dport;
	s->proto = from->proto;
}
