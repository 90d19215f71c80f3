/*
 * The route to the spent SAs.  They never send; but they tell whoever asks for a route how large a
 * packet may be (docs/architecture.md, "Path MTU").  A packet's sender learns its MTU
 * from the first look-up alone, which finds the spent SA, whatever SA the packet takes in the end.
 * So the route to the spent SA's far end has the smallest MTU of the
 * interfaces, and the SA itself adds as much as the largest of the real ones.
 */
#include "xfrm/spent.h"

#include <netinet/in.h>
#include <stdio.h>

#include "xfrm/dead_end.h"
#include "xfrm/kernel.h"

#define UDP_HEADER  8u
#define IPV4_HEADER 20u
#define IPV6_HEADER 40u
#define ESP_HEADER  8u
#define ESP_TRAILER 2u
/* AH with the longest check value, padded for IPv6, less the one that ESP in a bundle has not. */
#define BUNDLE_MORE (48u - XF_DEAD_END_ICV)

/* What every link of the family carries (RFC 791, RFC 8200); less is never told to a sender. */
static unsigned least(uint8_t family)
{
	return family == AF_INET ? 576 : 1280;
}

/*
 * Less what a real SA can have beyond the spent one's: UDP encapsulation, and an outer header of
 * IPv6 around IPv4; or AH around ESP of one family, which goes with neither.
 */
unsigned xf_spent_mtu(uint8_t family, unsigned link)
{
	unsigned outer = family == AF_INET ? IPV4_HEADER : IPV6_HEADER;
	unsigned lowest = least(family) + outer + ESP_HEADER + XF_DEAD_END_IV + XF_DEAD_END_ICV +
			  ESP_TRAILER + XF_DEAD_END_BLOCK - 1;
	unsigned less = UDP_HEADER + IPV6_HEADER - outer;

	if (less < BUNDLE_MORE)
		less = BUNDLE_MORE;
	return link > lowest + less ? link - less : lowest;
}

/* ---- its route ---- */

/*
 * Where lo has no IPv6 there can be no route to the spent SA, and unmarked packets end for want of
 * one: no less closed, and without IPv6 on the interfaces nobody misses it.
 */
static bool has_route(uint8_t family)
{
	FILE *f;
	int off;

	if (family == AF_INET)
		return true;
	f = fopen("/proc/sys/net/ipv6/conf/lo/disable_ipv6", "re");
	if (!f)
		return false;
	off = fgetc(f);
	fclose(f);
	return off == '0';
}

/* Makes the route or gives it the MTU of now; only_there: does not make it. */
static int set_route(struct xf_kernel *routes, uint8_t family, bool only_there, struct cs_err *err)
{
	struct cs_addr dst = xf_dead_end_dst(XF_SPENT, family);
	unsigned link, mtu, now = 0;
	int rc;

	if (!has_route(family))
		return 0;
	rc = xf_link_mtu(routes, least(family), &link, err);
	if (rc < 0)
		return rc;
	mtu = xf_spent_mtu(family, link);
	rc = xf_route_mtu(routes, &dst, &now, NULL);
	if (rc < 0 && only_there)
		return 0;
	return rc == 0 && now == mtu ? 0 : xf_route_put(routes, &dst, mtu, err);
}

int xf_mtu_follow(struct cs_err *err)
{
	struct xf_kernel *routes;
	int rc, rc6;

	rc = xf_open_routes(&routes, err);
	if (rc < 0)
		return rc;
	rc = set_route(routes, AF_INET, true, err);
	rc6 = set_route(routes, AF_INET6, true, rc < 0 ? NULL : err);
	xf_close(routes);
	return rc < 0 ? rc : rc6;
}

/* ---- the two together ---- */

int xf_spent_add(struct xf_kernel *k, uint8_t family, struct cs_err *err)
{
	struct xf_kernel *routes;
	int rc;

	rc = xf_open_routes(&routes, err);
	if (rc < 0)
		return rc;
	rc = set_route(routes, family, false, err);
	if (rc == 0)
		rc = xf_dead_end_add(k, XF_SPENT, family, err);
	xf_close(routes);
	return rc;
}

bool xf_spent_there(struct xf_kernel *k, uint8_t family)
{
	struct cs_addr dst = xf_dead_end_dst(XF_SPENT, family);
	struct xf_kernel *routes;
	unsigned mtu;
	bool there;

	if (!xf_dead_end_there(k, XF_SPENT, family))
		return false;
	if (!has_route(family))
		return true;
	if (xf_open_routes(&routes, NULL) < 0)
		return false;
	there = xf_route_mtu(routes, &dst, &mtu, NULL) == 0;
	xf_close(routes);
	return there;
}

int xf_spent_delete(struct xf_kernel *k, uint8_t family, struct cs_err *err)
{
	struct cs_addr dst = xf_dead_end_dst(XF_SPENT, family);
	struct xf_kernel *routes;
	unsigned mtu;
	int rc;

	rc = xf_dead_end_delete(k, XF_SPENT, family, err);
	if (rc < 0)
		return rc;
	rc = xf_open_routes(&routes, err);
	if (rc < 0)
		return rc;
	if (xf_route_mtu(routes, &dst, &mtu, NULL) == 0)
		rc = xf_route_delete(routes, &dst, err);
	xf_close(routes);
	return rc;
}
