/*
 * SAs by which nothing leaves this host; what for, docs/architecture.md says ("Fail closed" and
 * "Packets that ask").  The spent one has no sequence number left.  The held one has, and sends to
 * a loopback address; its receiving side has seen every sequence number, so that the kernel drops
 * as repeated what our table has not dropped before.
 */
#include "xfrm/dead_end.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>

#include "xfrm/kernel.h"

#define CIPHER_KEY 16 /* bytes */
#define INTEG_KEY  32

static const struct {
	uint32_t reqid, spi, extra_flags;
	uint8_t window;
	struct xfrm_replay_state replay;
	const char *what;
} ends[] = {
	[XF_SPENT] = {.reqid = XF_REQID_SPENT,
		      .spi = 0x100,
		      .replay = {.oseq = UINT32_MAX},
		      .what = "the SA that keeps unmarked traffic in"},
	[XF_HELD] = {.reqid = XF_REQID_HELD,
		     .spi = 0x101,
		     .extra_flags = XFRM_SA_XFLAG_OSEQ_MAY_WRAP,
		     .window = 32,
		     .replay = {.seq = UINT32_MAX, .bitmap = UINT32_MAX},
		     .what = "the SA that holds what has none"},
};

struct cs_addr xf_dead_end_src(uint8_t family)
{
	static const uint8_t v4[4] = {127, 0, 0, 1}, v6[16] = {[15] = 1};

	return cs_addr_from_bytes(family, family == AF_INET ? v4 : v6);
}

/*
 * IPv6 has one loopback address only.  The spent SA needs another, for a route with an MTU of its
 * own: it is of the discard prefix (RFC 6666).
 */
struct cs_addr xf_dead_end_dst(enum xf_dead_end which, uint8_t family)
{
	static const uint8_t spent4[4] = {127, 0, 0, 8}, spent6[16] = {0x01, 0x00, [15] = 8};
	static const uint8_t held4[4] = {127, 0, 0, 9};

	if (which == XF_SPENT)
		return cs_addr_from_bytes(family, family == AF_INET ? spent4 : spent6);
	return family == AF_INET ? cs_addr_from_bytes(family, held4) : xf_dead_end_src(family);
}

static struct xf_said id_of(enum xf_dead_end which, uint8_t family)
{
	return (struct xf_said){xf_dead_end_dst(which, family), IPPROTO_ESP, ends[which].spi};
}

/* ---- is it there? ---- */

struct look {
	enum xf_dead_end which;
	bool found;
};

static int on_sa(const struct nlmsghdr *h, void *arg)
{
	const struct xfrm_replay_state *replay, *wanted;
	struct xfrm_usersa_info info;
	struct look *look = arg;

	if (!xf_body(h, &info, sizeof(info)))
		return MNL_CB_OK;
	replay = xf_attr(h, sizeof(info), XFRMA_REPLAY_VAL, sizeof(*replay));
	wanted = &ends[look->which].replay;
	/* The held SA's own sequence number goes on. */
	look->found = replay && info.reqid == ends[look->which].reqid &&
		      replay->seq == wanted->seq && replay->bitmap == wanted->bitmap &&
		      (look->which == XF_HELD || replay->oseq == wanted->oseq);
	return MNL_CB_OK;
}

bool xf_dead_end_there(struct xf_kernel *k, enum xf_dead_end which, uint8_t family)
{
	struct xf_said said = id_of(which, family);
	struct look look = {.which = which};
	struct xfrm_usersa_id *id;
	struct xf_msg m;

	id = xf_msg_start(&m, XFRM_MSG_GETSA, 0, sizeof(*id));
	xf_to_kernel_addr(&said.dst, &id->daddr);
	id->family = family;
	id->proto = said.proto;
	id->spi = htonl(said.spi);
	return xf_ask(k, &m, on_sa, &look, ends[which].what, NULL) == 0 && look.found;
}

/* ---- making it ---- */

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
			    .alg_trunc_len = 8 * XF_DEAD_END_ICV}};
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

int xf_dead_end_add(struct xf_kernel *k, enum xf_dead_end which, uint8_t family, struct cs_err *err)
{
	struct cs_addr src = xf_dead_end_src(family);
	struct xf_said id = id_of(which, family);
	struct xfrm_usersa_info *info;
	struct xf_msg m;
	int rc;

	if (xf_dead_end_there(k, which, family))
		return 0;
	/* Something else has its place, or nothing. */
	xf_sa_delete(k, &id, NULL);
	info = xf_msg_start(&m, XFRM_MSG_NEWSA, NLM_F_CREATE | NLM_F_EXCL, sizeof(*info));
	info->family = family;
	info->mode = XFRM_MODE_TUNNEL;
	info->reqid = ends[which].reqid;
	info->id.proto = id.proto;
	info->id.spi = htonl(id.spi);
	info->replay_window = ends[which].window;
	xf_to_kernel_addr(&id.dst, &info->id.daddr);
	xf_to_kernel_addr(&src, &info->saddr);
	info->lft.soft_byte_limit = info->lft.hard_byte_limit = XFRM_INF;
	info->lft.soft_packet_limit = info->lft.hard_packet_limit = XFRM_INF;
	xf_msg_put(&m, XFRMA_REPLAY_VAL, &ends[which].replay, sizeof(ends[which].replay));
	xf_msg_put_u32(&m, XFRMA_SA_EXTRA_FLAGS, ends[which].extra_flags);
	/* The packet around is no rule's. */
	xf_msg_put_u32(&m, XFRMA_SET_MARK, xf_mark_value(&k->marking, XF_MARK_EXEMPT));
	xf_msg_put_u32(&m, XFRMA_SET_MARK_MASK, xf_mark_mask(&k->marking));
	rc = put_algorithms(&m, err);
	if (rc == 0)
		rc = xf_ask(k, &m, NULL, NULL, ends[which].what, err);
	cs_wipe(&m, sizeof(m));
	return rc;
}

int xf_dead_end_delete(struct xf_kernel *k, enum xf_dead_end which, uint8_t family,
		       struct cs_err *err)
{
	struct xf_said id = id_of(which, family);
	int rc = xf_sa_delete(k, &id, err);

	return rc == CS_ENOTFOUND ? 0 : rc;
}
