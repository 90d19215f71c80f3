/*
 * The spent SAs.  Their sequence numbers are used up, so they never send; but they tell whoever
 * asks for a route how large a packet may be (docs/architecture.md, "Fail closed").  A packet's
 * sender learns its MTU from the first look-up alone, which finds the spent SA, whatever SA the
 * packet takes in the end.  So the route to the spent SA's far end has the smallest MTU of the
 * interfaces, and the SA itself adds as much as the largest of the real ones.
 */
#include "xfrm/spent.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/random.h>

#include "xfrm/kernel.h"

#define SPENT_SPI  0x100u
#define SPENT_OSEQ 0xffffffffu
#define CIPHER_KEY 16 /* bytes */
#define INTEG_KEY  32

#define UDP_HEADER  8u
#define IPV4_HEADER 20u
#define IPV6_HEADER 40u
#define ESP_HEADER  8u
#define ESP_TRAILER 2u

/* What every link of the family carries (RFC 791, RFC 8200); less is never told to a sender. */
static unsigned least(uint8_t family)
{
	return family == AF_INET ? 576 : 1280;
}

struct cs_addr xf_spent_src(uint8_t family)
{
	static const uint8_t v4[4] = {127, 0, 0, 1}, v6[16] = {[15] = 1};

	return cs_addr_from_bytes(family, family == AF_INET ? v4 : v6);
}

/* IPv6 has one loopback address only; the other one is of the discard prefix (RFC 6666). */
struct cs_addr xf_spent_dst(uint8_t family)
{
	static const uint8_t v4[4] = {127, 0, 0, 8}, v6[16] = {0x01, 0x00, [15] = 8};

	return cs_addr_from_bytes(family, family == AF_INET ? v4 : v6);
}

/*
 * Less what a real SA can have beyond the spent one's: UDP encapsulation, and an outer header of
 * IPv6 around IPv4.
 */
unsigned xf_spent_mtu(uint8_t family, unsigned link)
{
	unsigned outer = family == AF_INET ? IPV4_HEADER : IPV6_HEADER;
	unsigned lowest = least(family) + outer + ESP_HEADER + XF_SPENT_IV + XF_SPENT_ICV +
			  ESP_TRAILER + XF_SPENT_BLOCK - 1;
	unsigned less = UDP_HEADER + IPV6_HEADER - outer;

	return link > lowest + less ? link - less : lowest;
}

/* ---- the SA ---- */

static struct xf_said spent_id(uint8_t family)
{
	return (struct xf_said){xf_spent_dst(family), IPPROTO_ESP, SPENT_SPI};
}

static int on_spent(const struct nlmsghdr *h, void *arg)
{
	const struct xfrm_replay_state *replay;
	struct xfrm_usersa_info info;

	if (!xf_body(h, &info, sizeof(info)))
		return MNL_CB_OK;
	replay = xf_attr(h, sizeof(info), XFRMA_REPLAY_VAL, sizeof(*replay));
	if (replay && replay->oseq == SPENT_OSEQ && info.reqid == XF_REQID_SPENT)
		*(bool *)arg = true;
	return MNL_CB_OK;
}

static bool is_spent(struct xf_kernel *k, uint8_t family)
{
	struct xf_said said = spent_id(family);
	struct xfrm_usersa_id *id;
	bool spent = false;
	struct xf_msg m;

	id = xf_msg_start(&m, XFRM_MSG_GETSA, 0, sizeof(*id));
	xf_to_kernel_addr(&said.dst, &id->daddr);
	id->family = family;
	id->proto = said.proto;
	id->spi = htonl(said.spi);
	return xf_ask(k, &m, on_spent, &spent, "spent SA", NULL) == 0 && spent;
}

/*
 * AES-CBC, which has the longest IV and blocks, and SHA2-256 with its check value not cut, which is
 * as long as the longest cut one.  Every kernel with ESP has the two.
 */
static int put_algorithms(struct xf_msg *m, struct cs_err *err)
{
	union { /* the key follows the head */
		struct xfrm_algo head;
		uint8_t raw[sizeof(struct xfrm_algo) + CIPHER_KEY];
	} cipher = {.head = {.alg_name = "cbc(aes)", .alg_key_len = 8 * CIPHER_KEY}};
	union {
		struct xfrm_algo_auth head;
		uint8_t raw[sizeof(struct xfrm_algo_auth) + INTEG_KEY];
	} integ = {.head = {.alg_name = "hmac(sha256)",
			    .alg_key_len = 8 * INTEG_KEY,
			    .alg_trunc_len = 8 * XF_SPENT_ICV}};
	int rc = 0;

	if (getrandom(cipher.raw + sizeof(cipher.head), CIPHER_KEY, 0) != CIPHER_KEY ||
	    getrandom(integ.raw + sizeof(integ.head), INTEG_KEY, 0) != INTEG_KEY)
		rc = cs_fail_errno(err, "random numbers");
	xf_msg_put(m, XFRMA_ALG_CRYPT, &cipher, sizeof(cipher));
	xf_msg_put(m, XFRMA_ALG_AUTH_TRUNC, &integ, sizeof(integ));
	cs_wipe(&cipher, sizeof(cipher));
	cs_wipe(&integ, sizeof(integ));
	return rc;
}

static int add_sa(struct xf_kernel *k, uint8_t family, struct cs_err *err)
{
	struct xfrm_replay_state replay = {.oseq = SPENT_OSEQ};
	struct xf_said id = spent_id(family);
	struct cs_addr src = xf_spent_src(family);
	struct xfrm_usersa_info *info;
	struct xf_msg m;
	int rc;

	if (is_spent(k, family))
		return 0;
	/* Something else has its place, or nothing. */
	xf_sa_delete(k, &id, NULL);
	info = xf_msg_start(&m, XFRM_MSG_NEWSA, NLM_F_CREATE | NLM_F_EXCL, sizeof(*info));
	info->family = family;
	info->mode = XFRM_MODE_TUNNEL;
	info->reqid = XF_REQID_SPENT;
	info->id.proto = id.proto;
	info->id.spi = htonl(id.spi);
	xf_to_kernel_addr(&id.dst, &info->id.daddr);
	xf_to_kernel_addr(&src, &info->saddr);
	info->lft.soft_byte_limit = info->lft.hard_byte_limit = XFRM_INF;
	info->lft.soft_packet_limit = info->lft.hard_packet_limit = XFRM_INF;
	xf_msg_put(&m, XFRMA_REPLAY_VAL, &replay, sizeof(replay));
	rc = put_algorithms(&m, err);
	if (rc == 0)
		rc = xf_ask(k, &m, NULL, NULL, "the SA that keeps unmarked traffic in", err);
	cs_wipe(&m, sizeof(m));
	return rc;
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
	struct cs_addr dst = xf_spent_dst(family);
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
		rc = add_sa(k, family, err);
	xf_close(routes);
	return rc;
}

bool xf_spent_there(struct xf_kernel *k, uint8_t family)
{
	struct cs_addr dst = xf_spent_dst(family);
	struct xf_kernel *routes;
	unsigned mtu;
	bool there;

	if (!is_spent(k, family))
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
	struct cs_addr dst = xf_spent_dst(family);
	struct xf_said id = spent_id(family);
	struct xf_kernel *routes;
	unsigned mtu;
	int rc;

	rc = xf_sa_delete(k, &id, err);
	if (rc < 0 && rc != CS_ENOTFOUND)
		return rc;
	rc = xf_open_routes(&routes, err);
	if (rc < 0)
		return rc;
	if (xf_route_mtu(routes, &dst, &mtu, NULL) == 0)
		rc = xf_route_delete(routes, &dst, err);
	xf_close(routes);
	return rc;
}
