/*
 * What the kernel tells without being asked: acquires, expires and moved peers (XFRM multicast
 * groups), and for pagent changes of nftables and flushes of SAD and SPD.  A full receive buffer
 * loses events; the kernel says so with ENOBUFS.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "xfrm/dead_end.h"
#include "xfrm/kernel.h"

#define EVENT_BUFFER (8 << 20)
/* Datagrams read for one call; the caller's loop gets its turn in between. */
#define EVENTS_AT_ONCE 256

struct xf_events {
	struct xf_marking marking;
	struct mnl_socket *xfrm;
	struct mnl_socket *nft, *flush; /* NULL: not asked for */
	int epoll;                      /* one descriptor for all */
	bool table_touched;             /* in the transaction that is being read */
	_Alignas(struct nlmsghdr) uint8_t buf[XF_REPLY_MAX];
};

static int open_socket(struct xf_events *ev, int bus, const int *groups, size_t n_groups,
		       struct mnl_socket **out)
{
	struct epoll_event e = {.events = EPOLLIN};
	int size = EVENT_BUFFER, fd;
	struct mnl_socket *s;

	s = mnl_socket_open2(bus, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!s)
		return -1;
	*out = s;
	fd = mnl_socket_get_fd(s);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0)
		return -1;
	for (size_t i = 0; i < n_groups; i++) {
		int group = groups[i];

		if (mnl_socket_setsockopt(s, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
			return -1;
	}
	return epoll_ctl(ev->epoll, EPOLL_CTL_ADD, fd, &e);
}

/*
 * The groups have each SA and policy of each tunnel, too; the kernel keeps those to itself.  The
 * type of a message is in the host's order, and a filter loads in the network's.
 */
static int flushes_alone(const struct mnl_socket *s)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(XFRM_MSG_FLUSHSA), 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(XFRM_MSG_FLUSHPOLICY), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog filter = {sizeof(code) / sizeof(*code), code};

	return setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_ATTACH_FILTER, &filter,
			  sizeof(filter));
}

int xf_events_open(const struct xf_marking *marking, bool ruleset, struct xf_events **out,
		   struct cs_err *err)
{
	static const int xfrm_groups[] = {XFRMNLGRP_ACQUIRE, XFRMNLGRP_EXPIRE, XFRMNLGRP_MAPPING};
	static const int nft_groups[] = {NFNLGRP_NFTABLES};
	static const int flush_groups[] = {XFRMNLGRP_SA, XFRMNLGRP_POLICY};
	struct xf_events *ev = calloc(1, sizeof(*ev));

	if (!ev)
		return cs_fail(err, CS_ENOMEM, "no memory for kernel events");
	ev->marking = *marking;
	ev->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (ev->epoll < 0 || open_socket(ev, NETLINK_XFRM, xfrm_groups, 3, &ev->xfrm) < 0) {
		cs_fail_errno(err, "XFRM event socket");
		xf_events_close(ev);
		return CS_ESYS;
	}
	if (ruleset && open_socket(ev, NETLINK_NETFILTER, nft_groups, 1, &ev->nft) < 0) {
		cs_fail_errno(err, "nftables event socket");
		xf_events_close(ev);
		return CS_ESYS;
	}
	if (ruleset && (open_socket(ev, NETLINK_XFRM, flush_groups, 2, &ev->flush) < 0 ||
			flushes_alone(ev->flush) < 0)) {
		cs_fail_errno(err, "XFRM event socket");
		xf_events_close(ev);
		return CS_ESYS;
	}
	*out = ev;
	return 0;
}

void xf_events_close(struct xf_events *ev)
{
	if (!ev)
		return;
	if (ev->xfrm)
		mnl_socket_close(ev->xfrm);
	if (ev->nft)
		mnl_socket_close(ev->nft);
	if (ev->flush)
		mnl_socket_close(ev->flush);
	if (ev->epoll >= 0)
		close(ev->epoll);
	free(ev);
}

int xf_events_fd(const struct xf_events *ev)
{
	return ev->epoll;
}

/* ---- XFRM ---- */

/* A policy's mark as the field's value, 0 when it is neither a rule's nor a client's of ours. */
static unsigned value_of(const struct xf_marking *marking, const struct xfrm_mark *mark)
{
	unsigned value;

	if (!mark || mark->m != xf_mark_mask(marking))
		return 0;
	value = mark->v >> marking->shift;
	return value >= XF_MARK_RULE_MIN && value != XF_MARK_CLIENT_GONE ? value : 0;
}

static void on_acquire(struct xf_events *ev, const struct nlmsghdr *h,
		       const struct xf_event_ops *ops, void *arg)
{
	const struct xfrm_user_tmpl *t;
	struct xfrm_user_acquire ua;
	struct xf_acquire a = {0};
	struct cs_addr dead_end;

	if (!ops->acquire || !xf_body(h, &ua, sizeof(ua)))
		return;
	a.mark = value_of(&ev->marking,
			  xf_attr(h, sizeof(ua), XFRMA_MARK, sizeof(struct xfrm_mark)));
	/* Of our templates the first is for a key manager. */
	t = xf_attr(h, sizeof(ua), XFRMA_TMPL, sizeof(*t));
	if (!a.mark || !t)
		return;
	a.src = xf_from_kernel_addr(t->family, &ua.saddr);
	a.dst = xf_from_kernel_addr(t->family, &ua.id.daddr);
	/* Somebody took away what pagent makes; nobody can negotiate that. */
	dead_end = xf_dead_end_src((uint8_t)t->family);
	if (cs_addr_equal(&a.src, &dead_end))
		return;
	xf_from_kernel_selector(&ua.sel, false, &a.selector);
	a.proto = ua.id.proto;
	a.reqid = t->reqid;
	a.rule_id = xf_reqid_rule(t->reqid);
	a.mode = t->mode == XFRM_MODE_TUNNEL ? XF_TUNNEL : XF_TRANSPORT;
	ops->acquire(arg, &a);
}

static void on_expire(const struct nlmsghdr *h, const struct xf_event_ops *ops, void *arg)
{
	struct xfrm_user_expire ue;
	struct xf_expire x = {0};

	/* Without an SPI it is the larval state of an acquire, which is nobody's SA. */
	if (!ops->expire || !xf_body(h, &ue, sizeof(ue)) || !ue.state.id.spi)
		return;
	x.id.dst = xf_from_kernel_addr(ue.state.family, &ue.state.id.daddr);
	x.id.proto = ue.state.id.proto;
	x.id.spi = ntohl(ue.state.id.spi);
	x.hard = ue.hard != 0;
	xf_counters_of(&ue.state, &x.counters);
	ops->expire(arg, &x);
}

static struct cs_endpoint endpoint(uint16_t family, const xfrm_address_t *a, __be16 port)
{
	return (struct cs_endpoint){.addr = xf_from_kernel_addr(family, a), .port = ntohs(port)};
}

static void on_mapping(const struct nlmsghdr *h, const struct xf_event_ops *ops, void *arg)
{
	struct xfrm_user_mapping um;
	struct xf_mapping m = {0};

	if (!ops->mapping || !xf_body(h, &um, sizeof(um)))
		return;
	m.id.dst = xf_from_kernel_addr(um.id.family, &um.id.daddr);
	m.id.proto = um.id.proto;
	m.id.spi = ntohl(um.id.spi);
	m.reqid = um.reqid;
	m.old_peer = endpoint(um.id.family, &um.old_saddr, um.old_sport);
	m.new_peer = endpoint(um.id.family, &um.new_saddr, um.new_sport);
	ops->mapping(arg, &m);
}

static void on_xfrm(struct xf_events *ev, const struct nlmsghdr *h, const struct xf_event_ops *ops,
		    void *arg)
{
	if (h->nlmsg_type == XFRM_MSG_ACQUIRE)
		on_acquire(ev, h, ops, arg);
	else if (h->nlmsg_type == XFRM_MSG_EXPIRE)
		on_expire(h, ops, arg);
	else if (h->nlmsg_type == XFRM_MSG_MAPPING)
		on_mapping(h, ops, arg);
}

/* What came before the filter was in its place is left out here. */
static void on_flush(const struct nlmsghdr *h, const struct xf_event_ops *ops, void *arg)
{
	if ((h->nlmsg_type == XFRM_MSG_FLUSHSA || h->nlmsg_type == XFRM_MSG_FLUSHPOLICY) &&
	    ops->ruleset)
		ops->ruleset(arg);
}

/* ---- nftables ---- */

static bool is_str(const struct nlmsghdr *h, uint16_t type, const char *text)
{
	const char *s = xf_attr(h, sizeof(struct nfgenmsg), type, strlen(text) + 1);

	return s && strcmp(s, text) == 0;
}

/*
 * The transaction's last message names the process that committed it.  Ours is a child process each
 * time, so its name tells; a program of the same name serves another namespace.
 */
static bool is_own_commit(const struct nlmsghdr *h)
{
	return is_str(h, NFTA_GEN_PROC_NAME, program_invocation_short_name);
}

static void on_nft(struct xf_events *ev, const struct nlmsghdr *h, const struct xf_event_ops *ops,
		   void *arg)
{
	if (NFNL_SUBSYS_ID(h->nlmsg_type) != NFNL_SUBSYS_NFTABLES)
		return;
	switch (NFNL_MSG_TYPE(h->nlmsg_type)) {
	case NFT_MSG_NEWTABLE:
	case NFT_MSG_DELTABLE:
	case NFT_MSG_NEWCHAIN:
	case NFT_MSG_DELCHAIN:
	case NFT_MSG_NEWRULE:
	case NFT_MSG_DELRULE:
		/* Attribute 1 of all six is the table's name. */
		if (is_str(h, NFTA_TABLE_NAME, XF_TABLE))
			ev->table_touched = true;
		break;
	case NFT_MSG_NEWGEN:
		if (ev->table_touched && !is_own_commit(h) && ops->ruleset)
			ops->ruleset(arg);
		ev->table_touched = false;
		break;
	default:
		break;
	}
}

/* ---- reading ---- */

/* 1: something was read, 0: nothing is there, negative: failed. */
static int read_one(struct xf_events *ev, struct mnl_socket *s, const struct xf_event_ops *ops,
		    void *arg, struct cs_err *err)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)ev->buf;
	ssize_t n = mnl_socket_recvfrom(s, ev->buf, sizeof(ev->buf));
	int left = (int)n;

	if (n < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return 0;
		if (errno != ENOBUFS && errno != ENOSPC)
			return cs_fail_errno(err, "kernel events");
		/* Events are lost: of SAs, or of a change of our table that we did not see. */
		if (s == ev->xfrm && ops->overrun)
			ops->overrun(arg);
		if (s != ev->xfrm && ops->ruleset)
			ops->ruleset(arg);
		return 1;
	}
	for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
		if (s == ev->xfrm)
			on_xfrm(ev, h, ops, arg);
		else if (s == ev->flush)
			on_flush(h, ops, arg);
		else
			on_nft(ev, h, ops, arg);
	}
	return 1;
}

int xf_events_read(struct xf_events *ev, const struct xf_event_ops *ops, void *arg,
		   struct cs_err *err)
{
	struct mnl_socket *const sockets[] = {ev->xfrm, ev->nft, ev->flush};

	for (size_t i = 0; i < sizeof(sockets) / sizeof(*sockets); i++) {
		int rc = sockets[i] ? 1 : 0;

		for (int n = 0; n < EVENTS_AT_ONCE && rc > 0; n++)
			rc = read_one(ev, sockets[i], ops, arg, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}
