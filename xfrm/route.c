/*
 * rtnetlink, as far as the spent SAs need it: the smallest MTU of the interfaces, and local routes
 * that carry an MTU.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>

#include "xfrm/kernel.h"

#define MTU_DEFAULT 1500u /* of Ethernet, where no interface is up */

struct smallest {
	unsigned floor, mtu;
};

static int on_link(const struct nlmsghdr *h, void *arg)
{
	struct smallest *s = arg;
	struct ifinfomsg info;
	const uint32_t *mtu;

	if (h->nlmsg_type != RTM_NEWLINK || !xf_body(h, &info, sizeof(info)) ||
	    !(info.ifi_flags & IFF_UP) || (info.ifi_flags & IFF_LOOPBACK))
		return MNL_CB_OK;
	mtu = xf_attr(h, sizeof(info), IFLA_MTU, sizeof(*mtu));
	if (mtu && *mtu >= s->floor && (s->mtu == 0 || *mtu < s->mtu))
		s->mtu = *mtu;
	return MNL_CB_OK;
}

int xf_link_mtu(struct xf_kernel *routes, unsigned floor, unsigned *mtu, struct cs_err *err)
{
	struct smallest s = {.floor = floor};
	struct xf_msg m;
	int rc = CS_EAGAIN;

	for (int tries = 0; tries < XF_DUMP_TRIES && rc == CS_EAGAIN; tries++) {
		s.mtu = 0;
		xf_msg_start(&m, RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg));
		rc = xf_ask(routes, &m, on_link, &s, "MTUs of the interfaces", err);
	}
	*mtu = s.mtu ? s.mtu : MTU_DEFAULT;
	return rc;
}

static const char *route_text(const struct cs_addr *to, char buf[static XF_WHAT_MAX])
{
	char text[CS_ADDR_STRLEN];

	snprintf(buf, XF_WHAT_MAX, "local route to %s", cs_addr_text(to, text));
	return buf;
}

/* A request about the one address; the body is zero but for what names the address. */
static struct rtmsg *start(struct xf_msg *m, uint16_t type, uint16_t flags,
			   const struct cs_addr *to)
{
	struct rtmsg *r = xf_msg_start(m, type, flags, sizeof(*r));

	r->rtm_family = to->family;
	r->rtm_dst_len = (uint8_t)(8 * cs_addr_len(to->family));
	xf_msg_put(m, RTA_DST, to->b, cs_addr_len(to->family));
	return r;
}

static void make_local(struct rtmsg *r)
{
	r->rtm_table = RT_TABLE_LOCAL;
	r->rtm_type = RTN_LOCAL;
	r->rtm_scope = r->rtm_family == AF_INET ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
}

int xf_route_put(struct xf_kernel *routes, const struct cs_addr *to, unsigned mtu,
		 struct cs_err *err)
{
	struct {
		struct nlattr head;
		uint32_t value;
	} metric = {{sizeof(metric), RTAX_MTU}, mtu};
	unsigned lo = if_nametoindex("lo");
	char what[XF_WHAT_MAX];
	struct xf_msg m;
	struct rtmsg *r;

	if (lo == 0)
		return cs_fail_errno(err, "interface lo");
	r = start(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, to);
	make_local(r);
	r->rtm_protocol = RTPROT_STATIC;
	xf_msg_put_u32(&m, RTA_OIF, lo);
	xf_msg_put(&m, NLA_F_NESTED | RTA_METRICS, &metric, sizeof(metric));
	return xf_ask(routes, &m, NULL, NULL, route_text(to, what), err);
}

int xf_route_delete(struct xf_kernel *routes, const struct cs_addr *to, struct cs_err *err)
{
	char what[XF_WHAT_MAX];
	struct xf_msg m;

	make_local(start(&m, RTM_DELROUTE, 0, to));
	return xf_ask(routes, &m, NULL, NULL, route_text(to, what), err);
}

static int on_metric(const struct nlattr *a, void *arg)
{
	if (mnl_attr_get_type(a) == RTAX_MTU && mnl_attr_validate(a, MNL_TYPE_U32) == 0)
		*(unsigned *)arg = mnl_attr_get_u32(a);
	return MNL_CB_OK;
}

static int on_route_attr(const struct nlattr *a, void *arg)
{
	if (mnl_attr_get_type(a) == RTA_METRICS)
		mnl_attr_parse_nested(a, on_metric, arg);
	return MNL_CB_OK;
}

/* Not by its table: IPv4 looks in the local and the main one at once and may call it main. */
static int on_route(const struct nlmsghdr *h, void *arg)
{
	struct rtmsg r;

	if (h->nlmsg_type == RTM_NEWROUTE && xf_body(h, &r, sizeof(r)) && r.rtm_type == RTN_LOCAL &&
	    r.rtm_dst_len == (r.rtm_family == AF_INET ? 32 : 128))
		mnl_attr_parse(h, sizeof(r), on_route_attr, arg);
	return MNL_CB_OK;
}

int xf_route_mtu(struct xf_kernel *routes, const struct cs_addr *to, unsigned *mtu,
		 struct cs_err *err)
{
	char what[XF_WHAT_MAX];
	struct xf_msg m;
	int rc;

	/* The route of the table that fits, which may be another one's, and not a look-up. */
	start(&m, RTM_GETROUTE, 0, to)->rtm_flags = RTM_F_FIB_MATCH;
	*mtu = 0;
	rc = xf_ask(routes, &m, on_route, mtu, route_text(to, what), err);
	if (rc == 0 && *mtu == 0)
		rc = cs_fail(err, CS_ENOTFOUND, "%s: none with an MTU", route_text(to, what));
	return rc;
}
