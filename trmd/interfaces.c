/* Names, addresses and security classes of interfaces, by getifaddrs() and rtnetlink. */
#include "trmd/interfaces.h"

#include <ifaddrs.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

#define FRESH_MS       5000
#define INTERFACES_MAX 4096 /* more of a host's are without a name here */

struct interface {
	uint32_t index;
	char name[IF_NAMESIZE];
	struct cs_addr v4, v6;
	unsigned class;
};

struct trmd_interfaces {
	struct interface *list;
	struct cs_addr *addrs; /* all of this host, and broadcast ones */
	unsigned n, n_addrs;
	int64_t read_ms; /* 0: never */
};

struct trmd_interfaces *trmd_interfaces_new(void)
{
	return calloc(1, sizeof(struct trmd_interfaces));
}

void trmd_interfaces_free(struct trmd_interfaces *t)
{
	if (!t)
		return;
	free(t->list);
	free(t->addrs);
	free(t);
}

static struct interface *find(const struct trmd_interfaces *t, uint32_t index)
{
	for (unsigned i = 0; i < t->n; i++)
		if (t->list[i].index == index)
			return &t->list[i];
	return NULL;
}

static void add_address(struct interface *i, const struct sockaddr *sa)
{
	struct cs_endpoint ep;

	if (!sa || cs_endpoint_from_sockaddr(sa, &ep) < 0)
		return;
	if (ep.addr.family == AF_INET && !i->v4.family)
		i->v4 = ep.addr;
	/* Those of the link alone are the same on many. */
	if (ep.addr.family == AF_INET6 &&
	    (!i->v6.family || (i->v6.b[0] == 0xfe && (i->v6.b[1] & 0xc0) == 0x80)))
		i->v6 = ep.addr;
}

/* A name with a colon is an address's label. */
static void add(struct trmd_interfaces *t, const struct ifaddrs *a)
{
	char name[IF_NAMESIZE];
	struct interface *i;
	uint32_t index;

	strncpy(name, a->ifa_name, sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	name[strcspn(name, ":")] = '\0';
	for (i = t->list; i < t->list + t->n && strcmp(i->name, name) != 0; i++)
		;
	if (i == t->list + t->n) {
		index = if_nametoindex(name);
		if (!index || t->n == INTERFACES_MAX)
			return;
		t->n++;
		*i = (struct interface){.index = index};
		strcpy(i->name, name);
	}
	add_address(i, a->ifa_addr);
}

static void keep(struct trmd_interfaces *t, const struct sockaddr *sa)
{
	struct cs_endpoint ep;

	if (t->addrs && sa && cs_endpoint_from_sockaddr(sa, &ep) == 0)
		t->addrs[t->n_addrs++] = ep.addr;
}

static int on_attr(const struct nlattr *attr, void *arg)
{
	uint32_t *group = arg;

	if (mnl_attr_get_type(attr) == IFLA_GROUP && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
		*group = mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

static int on_link(const struct nlmsghdr *h, void *arg)
{
	const struct ifinfomsg *link = mnl_nlmsg_get_payload(h);
	struct interface *i;
	uint32_t group = 0;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*link))
		return MNL_CB_OK;
	mnl_attr_parse(h, sizeof(*link), on_attr, &group);
	i = find(arg, (uint32_t)link->ifi_index);
	if (i)
		i->class = group >= 1 && group <= 255 ? group : 255;
	return MNL_CB_OK;
}

/* What the kernel does not tell stays 0: not known. */
static void read_classes(struct trmd_interfaces *t)
{
	_Alignas(struct nlmsghdr) uint8_t buf[32768];
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *link;
	ssize_t n = -1;
	int rc = MNL_CB_OK;

	h->nlmsg_type = RTM_GETLINK;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	h->nlmsg_seq = 1;
	link = mnl_nlmsg_put_extra_header(h, sizeof(*link));
	link->ifi_family = AF_UNSPEC;
	if (!s)
		return;
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) == 0)
		n = mnl_socket_sendto(s, h, h->nlmsg_len);
	while (n > 0 && rc > MNL_CB_STOP) {
		n = mnl_socket_recvfrom(s, buf, sizeof(buf));
		if (n > 0)
			rc = mnl_cb_run(buf, (size_t)n, 1, mnl_socket_get_portid(s), on_link, t);
	}
	mnl_socket_close(s);
}

static void refresh(struct trmd_interfaces *t)
{
	int64_t now = cs_mono_ms();
	struct ifaddrs *all;
	unsigned n = 0;

	if (t->read_ms && now - t->read_ms < FRESH_MS)
		return;
	t->read_ms = now;
	if (getifaddrs(&all) < 0)
		return;
	for (const struct ifaddrs *a = all; a; a = a->ifa_next)
		n++;
	free(t->list);
	free(t->addrs);
	t->n = t->n_addrs = 0;
	t->list = calloc(n + 1, sizeof(*t->list));
	t->addrs = calloc(2 * n + 1, sizeof(*t->addrs));
	for (const struct ifaddrs *a = t->list ? all : NULL; a; a = a->ifa_next) {
		add(t, a);
		keep(t, a->ifa_addr);
		if (a->ifa_flags & IFF_BROADCAST)
			keep(t, a->ifa_broadaddr);
	}
	freeifaddrs(all);
	if (t->n)
		read_classes(t);
}

void trmd_interfaces_name(struct trmd_interfaces *t, uint32_t index, char name[static IF_NAMESIZE])
{
	const struct interface *i;

	name[0] = '\0';
	if (!index)
		return;
	refresh(t);
	i = find(t, index);
	if (i)
		memcpy(name, i->name, sizeof(i->name));
}

struct cs_addr trmd_interfaces_addr(struct trmd_interfaces *t, uint32_t index, uint8_t family)
{
	struct interface none = {0};
	const struct interface *i;

	if (index)
		refresh(t);
	i = index ? find(t, index) : NULL;
	if (!i)
		i = &none;
	return family == AF_INET6 ? i->v6 : i->v4;
}

unsigned trmd_interfaces_class(struct trmd_interfaces *t, uint32_t index)
{
	const struct interface *i;

	if (index)
		refresh(t);
	i = index ? find(t, index) : NULL;
	return i ? i->class : 0;
}

bool trmd_interfaces_local(struct trmd_interfaces *t, const struct cs_addr *addr)
{
	static const struct cs_addr all = {AF_INET, {255, 255, 255, 255}};

	if (addr->family == AF_INET ? addr->b[0] >> 4 == 14 || addr->b[0] == 127
				    : addr->b[0] == 0xff)
		return true;
	if (cs_addr_equal(addr, &all))
		return true;
	refresh(t);
	for (unsigned i = 0; i < t->n_addrs; i++)
		if (cs_addr_equal(addr, &t->addrs[i]))
			return true;
	return false;
}
