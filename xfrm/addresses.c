/*
 * This host's addresses, as they come and go (rtnetlink).  An event says that something has
 * changed; what it was is read from a dump, so that a lost event costs nothing.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "xfrm/kernel.h"

struct list {
	struct cs_addr *v; /* sorted, each once */
	size_t n, cap;
};

struct xf_addresses {
	struct mnl_socket *events;
	struct xf_kernel *routes;
	struct list now;
	uint8_t buf[XF_REPLY_MAX];
};

int xf_addresses_open(struct xf_addresses **out, struct cs_err *err)
{
	struct xf_addresses *a = calloc(1, sizeof(*a));
	int rc;

	if (!a)
		return cs_fail(err, CS_ENOMEM, "no memory for the addresses of this host");
	rc = xf_open_routes(&a->routes, err);
	if (rc == 0) {
		a->events = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (!a->events ||
		    mnl_socket_bind(a->events, RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
				    MNL_SOCKET_AUTOPID) < 0)
			rc = cs_fail_errno(err, "rtnetlink events");
	}
	if (rc < 0)
		xf_addresses_close(a);
	else
		*out = a;
	return rc;
}

void xf_addresses_close(struct xf_addresses *a)
{
	if (!a)
		return;
	if (a->events)
		mnl_socket_close(a->events);
	xf_close(a->routes);
	free(a->now.v);
	free(a);
}

int xf_addresses_fd(const struct xf_addresses *a)
{
	return mnl_socket_get_fd(a->events);
}

/* ---- what is there ---- */

static int add(struct list *list, const struct cs_addr *a)
{
	struct cs_addr *v = xf_room(list->v, list->n, &list->cap, sizeof(*v));

	if (!v)
		return MNL_CB_ERROR;
	list->v = v;
	list->v[list->n++] = *a;
	return MNL_CB_OK;
}

/* One that duplicate address detection is not done with cannot send yet, one that it refused never.
 */
static int on_address(const struct nlmsghdr *h, void *arg)
{
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
	const void *bytes;
	struct cs_addr a;
	size_t len;

	if (h->nlmsg_type != RTM_NEWADDR || mnl_nlmsg_get_payload_len(h) < sizeof(*m))
		return MNL_CB_OK;
	len = cs_addr_len(m->ifa_family);
	if (!len || m->ifa_flags & IFA_F_DADFAILED ||
	    (m->ifa_flags & (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC)) == IFA_F_TENTATIVE)
		return MNL_CB_OK;
	bytes = xf_attr(h, sizeof(*m), IFA_LOCAL, len);
	if (!bytes)
		bytes = xf_attr(h, sizeof(*m), IFA_ADDRESS, len);
	if (!bytes)
		return MNL_CB_OK;
	a = cs_addr_from_bytes(m->ifa_family, bytes);
	return add(arg, &a);
}

static int by_address(const void *a, const void *b)
{
	return cs_addr_compare(a, b);
}

static void sort(struct list *list)
{
	size_t n = 0;

	if (list->n)
		qsort(list->v, list->n, sizeof(*list->v), by_address);
	for (size_t i = 0; i < list->n; i++)
		if (!i || !cs_addr_equal(&list->v[i], &list->v[n - 1]))
			list->v[n++] = list->v[i];
	list->n = n;
}

static int look(struct xf_kernel *routes, struct list *list, struct cs_err *err)
{
	struct xf_msg m;
	int rc = CS_EAGAIN;

	for (int tries = 0; tries < XF_DUMP_TRIES && rc == CS_EAGAIN; tries++) {
		list->n = 0;
		xf_msg_start(&m, RTM_GETADDR, NLM_F_DUMP, sizeof(struct ifaddrmsg));
		rc = xf_ask(routes, &m, on_address, list, "addresses of this host", err);
	}
	sort(list);
	return rc;
}

/* ---- what has changed ---- */

static void drain(struct xf_addresses *a)
{
	ssize_t n;

	do
		n = mnl_socket_recvfrom(a->events, a->buf, sizeof(a->buf));
	while (n > 0 || (n < 0 && (errno == EINTR || errno == ENOBUFS)));
}

int xf_addresses_read(struct xf_addresses *a, xf_address_fn *fn, void *arg, struct cs_err *err)
{
	struct list before = a->now, now = {0};
	size_t i = 0, k = 0;
	int rc;

	drain(a);
	rc = look(a->routes, &now, err);
	if (rc < 0) {
		free(now.v);
		return rc;
	}
	a->now = now;
	while (i < before.n || k < now.n) {
		int order = i == before.n ? 1
			    : k == now.n  ? -1
					  : cs_addr_compare(&before.v[i], &now.v[k]);

		if (order < 0)
			fn(arg, &before.v[i], false);
		if (order > 0)
			fn(arg, &now.v[k], true);
		i += order <= 0;
		k += order >= 0;
	}
	free(before.v);
	return 0;
}
