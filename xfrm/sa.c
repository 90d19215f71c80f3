/*
 * Security associations in the kernel's database: SPIs, installing, deleting, counters, dump.
 * Every SA says its ICV length, and outbound ones mark what they send as exempt from the filters.
 */
#include <errno.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xfrm/kernel.h"

/* Windows up to here fit the old replay state; above, the bitmap of XFRMA_REPLAY_ESN_VAL. */
#define OLD_WINDOW_MAX 32u

/* A mapping that has changed is told again after this time, if it still has. */
#define MAPPING_SECONDS 1u

const char *xf_said_text(const struct xf_said *id, char buf[static XF_WHAT_MAX])
{
	char dst[CS_ADDR_STRLEN];

	snprintf(buf, XF_WHAT_MAX, "%s SA 0x%08x to %s", id->proto == IPPROTO_AH ? "AH" : "ESP",
		 id->spi, cs_addr_text(&id->dst, dst));
	return buf;
}

static int on_new_sa_spi(const struct nlmsghdr *h, void *arg)
{
	struct xfrm_usersa_info info;

	if (h->nlmsg_type == XFRM_MSG_NEWSA && xf_body(h, &info, sizeof(info)))
		*(uint32_t *)arg = ntohl(info.id.spi);
	return MNL_CB_OK;
}

/*
 * ALLOCSPI; with a mark it gives its SPI to the larval state of an acquire, where there is one.
 * What is no ESP of a bundle gets one from the greater part of what is left beside their range.
 */
static int allocate_spi(struct xf_kernel *k, const struct cs_addr *src, const struct xf_said *id,
			enum xf_spi_kind kind, uint32_t reqid, enum xf_mode mode, uint32_t mark,
			uint32_t *spi, struct cs_err *err)
{
	char what[XF_WHAT_MAX], to[CS_ADDR_STRLEN];
	struct xfrm_userspi_info *info;
	struct xf_msg m;
	uint32_t got = 0;
	int rc;

	info = xf_msg_start(&m, XFRM_MSG_ALLOCSPI, 0, sizeof(*info));
	info->info.family = id->dst.family;
	info->info.mode = mode == XF_TUNNEL ? XFRM_MODE_TUNNEL : XFRM_MODE_TRANSPORT;
	info->info.reqid = reqid;
	info->info.id.proto = id->proto;
	xf_to_kernel_addr(&id->dst, &info->info.id.daddr);
	xf_to_kernel_addr(src, &info->info.saddr);
	info->min = kind == XF_SPI_BUNDLED ? XF_SPI_BUNDLED_MIN : XF_SPI_BUNDLED_MAX + 1;
	info->max = kind == XF_SPI_BUNDLED ? XF_SPI_BUNDLED_MAX : 0xffffffff;
	if (mark)
		xf_msg_put_mark(&m, mark, xf_mark_mask(&k->marking));
	snprintf(what, sizeof(what), "SPI for %s", cs_addr_text(&id->dst, to));
	rc = xf_ask(k, &m, on_new_sa_spi, &got, what, err);
	if (rc == 0 && got == 0)
		rc = cs_fail(err, CS_EKERNEL, "%s: the kernel gave none", what);
	if (rc == 0)
		*spi = got;
	return rc;
}

int xf_sa_spi(struct xf_kernel *k, const struct cs_addr *src, const struct cs_addr *dst,
	      uint8_t proto, enum xf_spi_kind kind, uint32_t reqid, enum xf_mode mode,
	      uint32_t *spi, struct cs_err *err)
{
	struct xf_said id = {.dst = *dst, .proto = proto};

	return allocate_spi(k, src, &id, kind, reqid, mode, 0, spi, err);
}

static int delete_state(struct xf_kernel *k, const struct xf_said *id, uint32_t mark,
			struct cs_err *err)
{
	struct xfrm_usersa_id *body;
	char what[XF_WHAT_MAX];
	struct xf_msg m;

	body = xf_msg_start(&m, XFRM_MSG_DELSA, 0, sizeof(*body));
	xf_to_kernel_addr(&id->dst, &body->daddr);
	body->family = id->dst.family;
	body->proto = id->proto;
	body->spi = htonl(id->spi);
	if (mark)
		xf_msg_put_mark(&m, mark, xf_mark_mask(&k->marking));
	return xf_ask(k, &m, NULL, NULL, xf_said_text(id, what), err);
}

int xf_sa_delete(struct xf_kernel *k, const struct xf_said *id, struct cs_err *err)
{
	return delete_state(k, id, 0, err);
}

bool xf_acquire_of(const struct xf_sa *sa, struct xf_acquire *a)
{
	if ((sa->id.spi && !sa->asked) || xf_reqid_rule(sa->reqid) < XF_MARK_RULE_MIN)
		return false;
	*a = (struct xf_acquire){
		.rule_id = xf_reqid_rule(sa->reqid),
		.mark = sa->client ? sa->client : xf_reqid_rule(sa->reqid),
		.selector = sa->selector,
		.src = sa->src,
		.dst = sa->id.dst,
		.proto = sa->id.proto,
		.reqid = sa->reqid,
		.mode = sa->mode,
		.spi = sa->id.spi,
	};
	return true;
}

/*
 * A larval state has no SPI, so it cannot be named for deletion: it gets one, and then it can.
 * It is found by its addresses, reqid, mode and mark; its sequence number is no help, because with
 * af_key loaded another one than the acquire told stands in it.  Where it is gone already the
 * kernel makes one and we delete that.
 */
int xf_larval_clear(struct xf_kernel *k, const struct xf_acquire *a, struct cs_err *err)
{
	uint32_t mark = xf_mark_value(&k->marking, a->mark ? a->mark : a->rule_id);
	struct xf_said id = {.dst = a->dst, .proto = a->proto, .spi = a->spi};
	int rc = 0;

	if (!id.spi)
		rc = allocate_spi(k, &a->src, &id, XF_SPI_PLAIN, a->reqid, a->mode, mark, &id.spi,
				  err);
	return rc < 0 ? rc : delete_state(k, &id, mark, err);
}

/* ---- installing ---- */

static void put_algorithms(struct xf_msg *m, const struct xf_sa *sa)
{
	union {
		struct xfrm_algo crypt;
		struct xfrm_algo_auth auth;
		struct xfrm_algo_aead aead;
		uint8_t bytes[sizeof(struct xfrm_algo_aead) + 128];
	} a;

	if (sa->cipher && sa->cipher->icv_bits) {
		memset(&a, 0, sizeof(a));
		snprintf(a.aead.alg_name, sizeof(a.aead.alg_name), "%s", sa->cipher->xfrm);
		a.aead.alg_key_len = (unsigned)sa->cipher_key.len * 8;
		a.aead.alg_icv_len = sa->cipher->icv_bits;
		memcpy(a.aead.alg_key, sa->cipher_key.p, sa->cipher_key.len);
		xf_msg_put(m, XFRMA_ALG_AEAD, &a, sizeof(a.aead) + sa->cipher_key.len);
	} else if (sa->cipher) {
		memset(&a, 0, sizeof(a));
		snprintf(a.crypt.alg_name, sizeof(a.crypt.alg_name), "%s", sa->cipher->xfrm);
		a.crypt.alg_key_len = (unsigned)sa->cipher_key.len * 8;
		if (sa->cipher_key.len)
			memcpy(a.crypt.alg_key, sa->cipher_key.p, sa->cipher_key.len);
		xf_msg_put(m, XFRMA_ALG_CRYPT, &a, sizeof(a.crypt) + sa->cipher_key.len);
	}
	if (sa->integ) {
		memset(&a, 0, sizeof(a));
		snprintf(a.auth.alg_name, sizeof(a.auth.alg_name), "%s", sa->integ->xfrm);
		a.auth.alg_key_len = (unsigned)sa->integ_key.len * 8;
		a.auth.alg_trunc_len = sa->icv_bits ? sa->icv_bits : sa->integ->icv_bits;
		memcpy(a.auth.alg_key, sa->integ_key.p, sa->integ_key.len);
		xf_msg_put(m, XFRMA_ALG_AUTH_TRUNC, &a, sizeof(a.auth) + sa->integ_key.len);
	}
	cs_wipe(&a, sizeof(a));
}

static void put_replay(struct xf_msg *m, struct xfrm_usersa_info *info, uint32_t window)
{
	union { /* the bitmap follows */
		struct xfrm_replay_state_esn esn;
		uint8_t bytes[sizeof(struct xfrm_replay_state_esn) + XFRMA_REPLAY_ESN_MAX / 8];
	} r = {.bytes = {0}};
	uint32_t words;

	if (window <= OLD_WINDOW_MAX) {
		info->replay_window = (uint8_t)window;
		return;
	}
	if (window > XFRMA_REPLAY_ESN_MAX)
		window = XFRMA_REPLAY_ESN_MAX;
	words = (window + 31) / 32;
	r.esn.bmp_len = words;
	r.esn.replay_window = window;
	xf_msg_put(m, XFRMA_REPLAY_ESN_VAL, &r, sizeof(r.esn) + words * sizeof(uint32_t));
}

static void put_lifetime(struct xfrm_lifetime_cfg *l, const struct xf_sa *sa)
{
	l->soft_byte_limit = sa->soft_bytes ? sa->soft_bytes : XFRM_INF;
	l->hard_byte_limit = sa->hard_bytes ? sa->hard_bytes : XFRM_INF;
	l->soft_packet_limit = sa->tell_first_packet ? 1 : XFRM_INF;
	l->hard_packet_limit = XFRM_INF;
	l->soft_add_expires_seconds = sa->soft_seconds;
	l->hard_add_expires_seconds = sa->hard_seconds;
}

static bool is_prefix(const struct cs_range *r)
{
	return cs_addr_len(r->lo.family) && cs_range_prefix_len(r) >= 0;
}

/*
 * Transport mode narrows the SA to its selector as far as XFRM can say it; the tunnel's policy and
 * nftables hold the rest.  A tunnel takes what its policies send, of either family.
 */
static int put_selector(struct xfrm_usersa_info *info, const struct xf_sa *sa, struct cs_err *err)
{
	const struct cs_selector *s = &sa->selector;

	if (sa->mode == XF_TUNNEL) {
		if (s->local.lo.family && s->local.lo.family != sa->id.dst.family)
			info->flags |= XFRM_STATE_AF_UNSPEC;
		return 0;
	}
	if (!is_prefix(&s->local) || !is_prefix(&s->remote))
		return 0;
	return xf_to_kernel_selector(s, sa->id.dst.family, !sa->outbound, &info->sel, err);
}

/* Outbound ones are the peer's; it sees to what it receives. */
static bool is_bundled_spi(const struct xf_sa *sa)
{
	return sa->outbound || sa->manual ||
	       (sa->id.spi >= XF_SPI_BUNDLED_MIN && sa->id.spi <= XF_SPI_BUNDLED_MAX);
}

static int check_sa(const struct xf_sa *sa, const char *what, struct cs_err *err)
{
	bool aead = sa->cipher && sa->cipher->icv_bits;
	size_t key = sa->cipher ? sa->cipher->key_bits / 8u + sa->cipher->salt : 0;

	if (!cs_addr_len(sa->id.dst.family) || sa->src.family != sa->id.dst.family)
		return cs_fail(err, CS_EINVAL, "%s: the tunnel's addresses are of two families",
			       what);
	if (sa->id.proto != IPPROTO_ESP && sa->id.proto != IPPROTO_AH)
		return cs_fail(err, CS_EINVAL, "%s: protocol %u", what, sa->id.proto);
	if ((sa->id.proto == IPPROTO_ESP) != (sa->cipher != NULL))
		return cs_fail(err, CS_EINVAL, "%s: ESP has a cipher and AH has none", what);
	if (!aead && !sa->integ && !(sa->bundled && is_bundled_spi(sa)))
		return cs_fail(err, CS_EINVAL, "%s: no integrity algorithm", what);
	if (sa->cipher && (sa->cipher_key.len != key || key > 128))
		return cs_fail(err, CS_EINVAL, "%s: %s needs a key of %zu bytes, not %zu", what,
			       sa->cipher->display, key, sa->cipher_key.len);
	if (sa->integ && (sa->integ_key.len != sa->integ->key_bits / 8u || sa->integ_key.len > 128))
		return cs_fail(err, CS_EINVAL, "%s: %s needs a key of %u bytes, not %zu", what,
			       sa->integ->display, sa->integ->key_bits / 8u, sa->integ_key.len);
	return 0;
}

/*
 * AH's check value is padded so that the header is a multiple of 32 bits long in IPv4 (RFC 4302
 * section 3.3.3.2.1); left to itself Linux takes 64, as in IPv6, and others drop what it sends.
 */
static void put_alignment(struct xfrm_usersa_info *info, const struct xf_sa *sa)
{
	if (sa->id.proto == IPPROTO_AH && sa->id.dst.family == AF_INET)
		info->flags |= XFRM_STATE_ALIGN4;
}

/* What it does to the mark of packets that it has sent, or that came out of it. */
static void put_mark(struct xf_kernel *k, struct xf_msg *m, const struct xf_sa *sa)
{
	unsigned value = sa->outbound ? XF_MARK_EXEMPT : sa->client;

	if (!value)
		return;
	xf_msg_put_u32(m, XFRMA_SET_MARK, xf_mark_value(&k->marking, value));
	xf_msg_put_u32(m, XFRMA_SET_MARK_MASK, xf_mark_mask(&k->marking));
}

static void put_encap(struct xf_msg *m, const struct xf_sa *sa)
{
	struct xfrm_encap_tmpl encap = {.encap_type = UDP_ENCAP_ESPINUDP,
					.encap_sport = htons(sa->encap_sport),
					.encap_dport = htons(sa->encap_dport)};

	if (!sa->encap_sport && !sa->encap_dport)
		return;
	xf_to_kernel_addr(&sa->encap_oa, &encap.encap_oa);
	xf_msg_put(m, XFRMA_ENCAP, &encap, sizeof(encap));
	/* Kernels before 5.17 do not know it, and tell of a changed mapping with each packet. */
	if (!sa->outbound)
		xf_msg_put_u32(m, XFRMA_MTIMER_THRESH, MAPPING_SECONDS);
}

/* What outer headers do not take from the packet, and how far sequence numbers go. */
static void put_flags(struct xf_msg *m, struct xfrm_usersa_info *info, const struct xf_sa *sa)
{
	uint32_t extra = 0;

	if (sa->clear_df)
		info->flags |= XFRM_STATE_NOPMTUDISC;
	if (sa->clear_dscp)
		extra |= XFRM_SA_XFLAG_DONT_ENCAP_DSCP;
	if (sa->manual)
		extra |= XFRM_SA_XFLAG_OSEQ_MAY_WRAP;
	if (extra)
		xf_msg_put_u32(m, XFRMA_SA_EXTRA_FLAGS, extra);
}

static int put_sa(struct xf_kernel *k, uint16_t type, const struct xf_sa *sa, const char *what,
		  struct cs_err *err)
{
	struct xfrm_usersa_info *info;
	struct xf_msg m;
	int rc;

	info = xf_msg_start(&m, type, NLM_F_CREATE | NLM_F_EXCL, sizeof(*info));
	info->family = sa->id.dst.family;
	info->mode = sa->mode == XF_TUNNEL ? XFRM_MODE_TUNNEL : XFRM_MODE_TRANSPORT;
	info->reqid = sa->reqid;
	info->id.proto = sa->id.proto;
	info->id.spi = htonl(sa->id.spi);
	xf_to_kernel_addr(&sa->id.dst, &info->id.daddr);
	xf_to_kernel_addr(&sa->src, &info->saddr);
	put_lifetime(&info->lft, sa);
	put_alignment(info, sa);
	rc = put_selector(info, sa, err);
	if (rc < 0)
		return rc;
	put_flags(&m, info, sa);
	put_algorithms(&m, sa);
	put_replay(&m, info, sa->outbound ? 0 : sa->replay_window);
	put_mark(k, &m, sa);
	put_encap(&m, sa);
	rc = xf_ask(k, &m, NULL, NULL, what, err);
	cs_wipe(&m, sizeof(m));
	return rc;
}

int xf_sa_add(struct xf_kernel *k, const struct xf_sa *sa, struct cs_err *err)
{
	char what[XF_WHAT_MAX];
	int rc;

	xf_said_text(&sa->id, what);
	rc = check_sa(sa, what, err);
	if (rc == 0)
		rc = put_sa(k, XFRM_MSG_NEWSA, sa, what, err);
	return rc;
}

int xf_sa_update(struct xf_kernel *k, const struct xf_sa *sa, struct cs_err *err)
{
	char what[XF_WHAT_MAX];
	int rc;

	xf_said_text(&sa->id, what);
	rc = check_sa(sa, what, err);
	if (rc < 0)
		return rc;
	/* The larval state lives for net.core.xfrm_acq_expires seconds, a negotiation for longer.
	 */
	rc = put_sa(k, XFRM_MSG_UPDSA, sa, what, err);
	if (rc == CS_ENOTFOUND)
		rc = put_sa(k, XFRM_MSG_NEWSA, sa, what, err);
	return rc;
}

/* ---- reading ---- */

/* An SA with what the kernel says about it; no keys. */
struct found {
	struct xf_sa sa;
	struct xf_counters counters;
};

static const struct cs_cipher *cipher_of(const char *name, unsigned key_bits, unsigned icv_bits)
{
	unsigned n;
	const struct cs_cipher *table = cs_ciphers(&n);

	for (unsigned i = 0; i < n; i++) {
		const struct cs_cipher *c = &table[i];

		if (c->xfrm && strcmp(c->xfrm, name) == 0 && c->icv_bits == icv_bits &&
		    c->key_bits + 8u * c->salt == key_bits)
			return c;
	}
	return NULL;
}

static const struct cs_integ *integ_of(const char *name, unsigned icv_bits)
{
	unsigned n;
	const struct cs_integ *table = cs_integs(&n);

	for (unsigned i = 0; i < n; i++) {
		if (table[i].xfrm && strcmp(table[i].xfrm, name) == 0 &&
		    table[i].icv_bits == icv_bits)
			return &table[i];
	}
	return NULL;
}

static void read_algorithms(const struct nlmsghdr *h, size_t body, struct xf_sa *sa)
{
	const struct xfrm_algo_aead *aead = xf_attr(h, body, XFRMA_ALG_AEAD, sizeof(*aead));
	const struct xfrm_algo *crypt = xf_attr(h, body, XFRMA_ALG_CRYPT, sizeof(*crypt));
	const struct xfrm_algo_auth *auth = xf_attr(h, body, XFRMA_ALG_AUTH_TRUNC, sizeof(*auth));

	if (aead)
		sa->cipher = cipher_of(aead->alg_name, aead->alg_key_len, aead->alg_icv_len);
	else if (crypt)
		sa->cipher = cipher_of(crypt->alg_name, crypt->alg_key_len, 0);
	if (auth)
		sa->integ = integ_of(auth->alg_name, auth->alg_trunc_len);
}

static uint64_t limit(uint64_t kernel)
{
	return kernel == XFRM_INF ? 0 : kernel;
}

void xf_counters_of(const struct xfrm_usersa_info *info, struct xf_counters *c)
{
	c->packets = info->curlft.packets;
	c->bytes = info->curlft.bytes;
	c->added = info->curlft.add_time;
	c->used = info->curlft.use_time;
	c->replay_errors = info->stats.replay_window + info->stats.replay;
	c->integrity_failures = info->stats.integrity_failed;
}

/*
 * Which of its marks is of our field and a client's: the one that an inbound SA sets, or for the
 * larval state of an acquire the one of the policy that asked.
 */
static unsigned client_of(const struct xf_marking *m, uint32_t mark, uint32_t mask)
{
	unsigned value = mark >> m->shift;

	if (mask != xf_mark_mask(m) || value < XF_MARK_CLIENT_MIN || value > XF_MARK_CLIENT_MAX)
		return 0;
	return value;
}

/* Also one that we do not know: then it is somebody's SA. */
static bool has_algorithm(const struct nlmsghdr *h, size_t body)
{
	static const uint16_t kinds[] = {XFRMA_ALG_AEAD, XFRMA_ALG_CRYPT, XFRMA_ALG_AUTH,
					 XFRMA_ALG_AUTH_TRUNC, XFRMA_ALG_COMP};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (xf_attr(h, body, kinds[i], 0))
			return true;
	return false;
}

static void read_marks(const struct xf_marking *m, const struct nlmsghdr *h, size_t body,
		       struct xf_sa *sa)
{
	const uint32_t *set = xf_attr(h, body, XFRMA_SET_MARK, sizeof(*set));
	const uint32_t *mask = xf_attr(h, body, XFRMA_SET_MARK_MASK, sizeof(*mask));
	const struct xfrm_mark *mark = xf_attr(h, body, XFRMA_MARK, sizeof(*mark));

	/* What packets ask for is outbound, too, and has the mark of the policy that asked. */
	sa->asked = mark && !has_algorithm(h, body);
	sa->outbound = sa->asked || !sa->id.spi;
	if (set && mask)
		sa->client = client_of(m, *set, *mask);
	if (set && !sa->client)
		sa->outbound = true;
	if (mark && sa->asked)
		sa->client = client_of(m, mark->v, mark->m);
}

static void read_encap(const struct nlmsghdr *h, size_t body, struct xf_sa *sa)
{
	const struct xfrm_encap_tmpl *encap = xf_attr(h, body, XFRMA_ENCAP, sizeof(*encap));

	if (!encap)
		return;
	sa->encap_sport = ntohs(encap->encap_sport);
	sa->encap_dport = ntohs(encap->encap_dport);
	sa->encap_oa = xf_from_kernel_addr(AF_INET, &encap->encap_oa);
	if (cs_addr_is_any(&sa->encap_oa))
		sa->encap_oa = (struct cs_addr){0};
}

static bool read_sa(const struct xf_marking *m, const struct nlmsghdr *h, struct found *f)
{
	const struct xfrm_replay_state_esn *esn;
	struct xfrm_usersa_info info;
	struct xf_sa *sa = &f->sa;

	if (h->nlmsg_type != XFRM_MSG_NEWSA || !xf_body(h, &info, sizeof(info)) ||
	    (info.id.proto != IPPROTO_ESP && info.id.proto != IPPROTO_AH))
		return false;
	memset(f, 0, sizeof(*f));
	sa->id.dst = xf_from_kernel_addr(info.family, &info.id.daddr);
	sa->id.proto = info.id.proto;
	sa->id.spi = ntohl(info.id.spi);
	sa->src = xf_from_kernel_addr(info.family, &info.saddr);
	sa->reqid = info.reqid;
	sa->mode = info.mode == XFRM_MODE_TUNNEL ? XF_TUNNEL : XF_TRANSPORT;
	read_algorithms(h, sizeof(info), sa);
	read_marks(m, h, sizeof(info), sa);
	xf_from_kernel_selector(&info.sel, !sa->outbound, &sa->selector);
	sa->soft_seconds = (uint32_t)info.lft.soft_add_expires_seconds;
	sa->hard_seconds = (uint32_t)info.lft.hard_add_expires_seconds;
	sa->soft_bytes = limit(info.lft.soft_byte_limit);
	sa->hard_bytes = limit(info.lft.hard_byte_limit);
	sa->tell_first_packet = info.lft.soft_packet_limit == 1;
	esn = xf_attr(h, sizeof(info), XFRMA_REPLAY_ESN_VAL, sizeof(*esn));
	sa->replay_window = esn ? esn->replay_window : info.replay_window;
	read_encap(h, sizeof(info), sa);
	xf_counters_of(&info, &f->counters);
	return true;
}

static int on_counters(const struct nlmsghdr *h, void *arg)
{
	struct xfrm_usersa_info info;

	if (h->nlmsg_type == XFRM_MSG_NEWSA && xf_body(h, &info, sizeof(info)))
		xf_counters_of(&info, arg);
	return MNL_CB_OK;
}

int xf_sa_counters(struct xf_kernel *k, const struct xf_said *id, struct xf_counters *c,
		   struct cs_err *err)
{
	struct xfrm_usersa_id *body;
	char what[XF_WHAT_MAX];
	struct xf_counters got = {0};
	struct xf_msg m;
	int rc;

	body = xf_msg_start(&m, XFRM_MSG_GETSA, 0, sizeof(*body));
	xf_to_kernel_addr(&id->dst, &body->daddr);
	body->family = id->dst.family;
	body->proto = id->proto;
	body->spi = htonl(id->spi);
	rc = xf_ask(k, &m, on_counters, &got, xf_said_text(id, what), err);
	if (rc == 0)
		*c = got;
	return rc;
}

struct found_list {
	const struct xf_marking *marking;
	struct found *v;
	size_t n, cap;
};

static int on_dumped_sa(const struct nlmsghdr *h, void *arg)
{
	struct found_list *l = arg;
	struct found *v = xf_room(l->v, l->n, &l->cap, sizeof(*v));

	if (!v)
		return MNL_CB_ERROR;
	l->v = v;
	if (read_sa(l->marking, h, &l->v[l->n]))
		l->n++;
	return MNL_CB_OK;
}

/* Everything is read before fn is called, so that fn may use the socket itself. */
int xf_sa_dump(struct xf_kernel *k, xf_sa_fn *fn, void *arg, struct cs_err *err)
{
	struct found_list l = {.marking = &k->marking};
	struct xf_msg m;
	int rc;

	for (int tries = 0; tries < XF_DUMP_TRIES; tries++) {
		l.n = 0;
		xf_msg_start(&m, XFRM_MSG_GETSA, NLM_F_DUMP, 0);
		rc = xf_ask(k, &m, on_dumped_sa, &l, "dump of SAs", err);
		if (rc != CS_EAGAIN)
			break;
	}
	for (size_t i = 0; rc == 0 && i < l.n; i++)
		rc = fn(arg, &l.v[i].sa, &l.v[i].counters);
	free(l.v);
	return rc;
}
