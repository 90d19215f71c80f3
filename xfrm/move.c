/*
 * A live SA whose other end has moved: a NAT has given it another port or address.  Nothing of it
 * begins anew, least of all its sequence numbers.
 *
 * A port changes in its place (UPDSA).  An address cannot: the SA is deleted and made again from
 * what the kernel tells of it.  What counts is the notice of the deletion, because until then it
 * was used.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include "xfrm/kernel.h"

/* An SA as the kernel told it, keys and all. */
struct state {
	struct xfrm_usersa_info info;
	struct xf_msg told; /* attributes alone */
	bool found;
};

/* ---- what the kernel tells ---- */

static int on_attribute(const struct nlattr *a, void *arg)
{
	struct state *s = arg;
	uint16_t type = mnl_attr_get_type(a), len = mnl_attr_get_payload_len(a);

	if (type == XFRMA_SA && len >= sizeof(s->info))
		memcpy(&s->info, mnl_attr_get_payload(a), sizeof(s->info));
	else if (type != XFRMA_SA && type != XFRMA_LASTUSED && type != XFRMA_PAD)
		xf_msg_put(&s->told, type, mnl_attr_get_payload(a), len);
	return MNL_CB_OK;
}

/* An answer to GETSA, or the notice of DELSA, which has the SA's body as an attribute. */
static int on_state(const struct nlmsghdr *h, void *arg)
{
	struct state *s = arg;
	size_t body = sizeof(s->info);

	if (h->nlmsg_type == XFRM_MSG_DELSA)
		body = sizeof(struct xfrm_usersa_id);
	else if (h->nlmsg_type != XFRM_MSG_NEWSA || !xf_body(h, &s->info, sizeof(s->info)))
		return MNL_CB_OK;
	xf_msg_start(&s->told, 0, 0, 0);
	if (mnl_nlmsg_get_payload_len(h) >= body)
		mnl_attr_parse(h, (unsigned)body, on_attribute, s);
	s->found = !s->told.overflow;
	return MNL_CB_OK;
}

static int ask_about(struct xf_kernel *k, uint16_t type, const struct xf_said *id, struct state *s,
		     const char *what, struct cs_err *err)
{
	struct xfrm_usersa_id *body;
	struct xf_msg m;

	body = xf_msg_start(&m, type, 0, sizeof(*body));
	xf_to_kernel_addr(&id->dst, &body->daddr);
	body->family = id->dst.family;
	body->proto = id->proto;
	body->spi = htonl(id->spi);
	/* A notice has the sender's number as the request says it. */
	m.h->nlmsg_pid = k->port;
	return xf_ask(k, &m, on_state, s, what, err);
}

/*
 * The notice goes to all who listen, and bears the number of the request, so it comes before the
 * acknowledgement as an answer would.  Where it does not, what was read before has to do.
 */
static int delete_noticed(struct xf_kernel *k, const struct xf_said *id, struct state *s,
			  const char *what, struct cs_err *err)
{
	int group = XFRMNLGRP_SA, rc;

	mnl_socket_setsockopt(k->nl, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group));
	rc = ask_about(k, XFRM_MSG_DELSA, id, s, what, err);
	mnl_socket_setsockopt(k->nl, NETLINK_DROP_MEMBERSHIP, &group, sizeof(group));
	return rc;
}

static const void *attribute(const struct state *s, uint16_t type, size_t len)
{
	return xf_attr(s->told.h, 0, type, len);
}

/* ---- keys ---- */

/* Of these structs the key follows behind `head` bytes, its length in bits behind the name. */
static bool key_hidden(const struct state *s, uint16_t type, size_t head)
{
	const uint8_t *alg = attribute(s, type, head);
	uint32_t bits;

	if (!alg)
		return false;
	memcpy(&bits, alg + offsetof(struct xfrm_algo, alg_key_len), sizeof(bits));
	if (!bits || !attribute(s, type, head + (bits + 7) / 8))
		return false;
	for (uint32_t i = 0; i < (bits + 7) / 8; i++)
		if (alg[head + i])
			return false;
	return true;
}

/* A kernel in lockdown shows zeros. */
static bool keys_hidden(const struct state *s)
{
	return key_hidden(s, XFRMA_ALG_AEAD, sizeof(struct xfrm_algo_aead)) ||
	       key_hidden(s, XFRMA_ALG_AUTH_TRUNC, sizeof(struct xfrm_algo_auth)) ||
	       key_hidden(s, XFRMA_ALG_CRYPT, sizeof(struct xfrm_algo));
}

/* ---- the SA at its new place ---- */

static bool is_at(const xfrm_address_t *a, const struct cs_addr *peer)
{
	xfrm_address_t there;

	xf_to_kernel_addr(peer, &there);
	return memcmp(a, &there, cs_addr_len(peer->family)) == 0;
}

/* A selector that is the peer alone goes along. */
static void move_address(struct xfrm_usersa_info *info, const struct xf_move *m)
{
	xfrm_address_t *end = m->outbound ? &info->id.daddr : &info->saddr;
	xfrm_address_t *sel = m->outbound ? &info->sel.daddr : &info->sel.saddr;
	unsigned len = m->outbound ? info->sel.prefixlen_d : info->sel.prefixlen_s;
	size_t size = cs_addr_len(m->peer.family);

	if (len == 8 * size && memcmp(sel, end, size) == 0)
		xf_to_kernel_addr(&m->peer, sel);
	xf_to_kernel_addr(&m->peer, end);
}

/* Limits that were reached and told of are not told of again. */
static void drop_told(struct xfrm_usersa_info *info)
{
	struct xfrm_lifetime_cfg *l = &info->lft;
	uint64_t age = (uint64_t)time(NULL) - info->curlft.add_time;

	if (info->curlft.packets >= l->soft_packet_limit)
		l->soft_packet_limit = XFRM_INF;
	if (info->curlft.bytes >= l->soft_byte_limit)
		l->soft_byte_limit = XFRM_INF;
	if (age >= l->soft_add_expires_seconds)
		l->soft_add_expires_seconds = 0;
}

static int on_copied(const struct nlattr *a, void *arg)
{
	if (mnl_attr_get_type(a) != XFRMA_ENCAP)
		xf_msg_put(arg, mnl_attr_get_type(a), mnl_attr_get_payload(a),
			   mnl_attr_get_payload_len(a));
	return MNL_CB_OK;
}

/* As it was told; moved where m is not NULL. */
static int put_state(struct xf_kernel *k, uint16_t type, const struct state *s,
		     const struct xf_move *m, const char *what, struct cs_err *err)
{
	const struct xfrm_encap_tmpl *told = attribute(s, XFRMA_ENCAP, sizeof(*told));
	struct xfrm_encap_tmpl encap;
	struct xfrm_usersa_info *info;
	struct xf_msg msg;
	int rc;

	info = xf_msg_start(&msg, type, NLM_F_CREATE | NLM_F_EXCL, sizeof(*info));
	*info = s->info;
	info->seq = 0;
	drop_told(info);
	if (m)
		move_address(info, m);
	mnl_attr_parse(s->told.h, 0, on_copied, &msg);
	xf_msg_put(&msg, XFRMA_LTIME_VAL, &s->info.curlft, sizeof(s->info.curlft));
	if (told) {
		encap = *told;
		if (m && m->outbound)
			encap.encap_dport = htons(m->encap_port);
		else if (m)
			encap.encap_sport = htons(m->encap_port);
		xf_msg_put(&msg, XFRMA_ENCAP, &encap, sizeof(encap));
	}
	rc = xf_ask(k, &msg, NULL, NULL, what, err);
	cs_wipe(&msg, sizeof(msg));
	return rc;
}

/* ---- moving ---- */

static int check_move(const struct state *s, const struct xf_move *m, const char *what,
		      struct cs_err *err)
{
	bool encap = attribute(s, XFRMA_ENCAP, sizeof(struct xfrm_encap_tmpl)) != NULL;

	if (!s->found)
		return cs_fail(err, CS_EKERNEL, "%s: the kernel tells nothing of it", what);
	if (m->peer.family != s->info.family)
		return cs_fail(err, CS_EINVAL, "%s: it cannot move to the other address family",
			       what);
	if (encap != (m->encap_port != 0))
		return cs_fail(err, CS_EINVAL, "%s: it cannot move %s UDP encapsulation", what,
			       encap ? "out of" : "into");
	if (keys_hidden(s))
		return cs_fail(err, CS_EUNSUPPORTED,
			       "%s: it cannot move because this kernel hides keys (lockdown)",
			       what);
	return 0;
}

static int move_state(struct xf_kernel *k, const struct xf_move *m, struct state *s,
		      const char *what, struct cs_err *err)
{
	struct state last = {.found = false};
	int rc;

	rc = ask_about(k, XFRM_MSG_GETSA, &m->id, s, what, err);
	if (rc == 0)
		rc = check_move(s, m, what, err);
	if (rc < 0)
		return rc;
	if (is_at(m->outbound ? &s->info.id.daddr : &s->info.saddr, &m->peer))
		return put_state(k, XFRM_MSG_UPDSA, s, m, what, err);
	rc = delete_noticed(k, &m->id, &last, what, err);
	if (rc < 0)
		return rc;
	if (last.found)
		*s = last;
	/* The copy's header points into the other one. */
	s->told.h = (struct nlmsghdr *)s->told.u.bytes;
	rc = put_state(k, XFRM_MSG_NEWSA, s, m, what, err);
	if (rc < 0)
		put_state(k, XFRM_MSG_NEWSA, s, NULL, what, NULL);
	cs_wipe(&last, sizeof(last));
	return rc;
}

int xf_sa_move(struct xf_kernel *k, const struct xf_move *m, struct cs_err *err)
{
	struct state s = {.found = false};
	char what[XF_WHAT_MAX];
	int rc;

	rc = move_state(k, m, &s, xf_said_text(&m->id, what), err);
	cs_wipe(&s, sizeof(s));
	return rc;
}
