/*
 * What a phase 2 SA pair has in the kernel: SPIs while it is negotiated, then SAs, one or of a
 * bundle two a direction, and its tunnel's outbound policy.
 */
#include <netinet/in.h>
#include <string.h>

#include "iked/engine_private.h"
#include "policy/quirk.h"

/* ---- names ---- */

uint8_t ike_p2_ipproto(const struct ike_p2 *p2)
{
	const struct ike_p2_spis *r = p2->qm ? &p2->qm->reserved : NULL;

	if (p2->suite.protocol)
		return ike_ipproto(p2->suite.protocol);
	return r && r->ah && !r->esp && !r->bundled_esp ? IPPROTO_AH : IPPROTO_ESP;
}

struct xf_said ike_p2_said_in(const struct ike_p2 *p2)
{
	return (struct xf_said){p2->tunnel->local, ike_p2_ipproto(p2), p2->spi_in};
}

struct xf_said ike_p2_said_out(const struct ike_p2 *p2)
{
	return (struct xf_said){p2->tunnel->remote, ike_p2_ipproto(p2), p2->spi_out};
}

struct xf_said ike_p2_ah_said(const struct ike_p2 *p2, bool outbound)
{
	return (struct xf_said){outbound ? p2->tunnel->remote : p2->tunnel->local, IPPROTO_AH,
				outbound ? p2->ah_out : p2->ah_in};
}

static enum xf_mode mode_of(const struct ike_p2 *p2)
{
	return p2->suite.encap == POL_TRANSPORT ? XF_TRANSPORT : XF_TUNNEL;
}

/* ---- SPIs ---- */

static int reserve(struct ike_engine *e, const struct ike_p2 *p2, uint8_t proto,
		   enum xf_spi_kind kind, enum xf_mode mode, uint32_t *spi, struct cs_err *err)
{
	const struct ike_tunnel *t = p2->tunnel;
	int rc =
		e->ops.sa_spi(e->ctx, &t->remote, &t->local, proto, kind, t->reqid, mode, spi, err);

	if (rc)
		e->stats.kernel_refusals++;
	return rc;
}

static uint32_t first_of(const struct ike_p2_spis *s)
{
	return s->esp ? s->esp : s->bundled_esp ? s->bundled_esp : s->ah;
}

int ike_p2_reserve(struct ike_engine *e, struct ike_p2 *p2, const struct ike_p2_spis *needs,
		   enum xf_mode mode, struct cs_err *err)
{
	struct ike_p2_spis *r = &p2->qm->reserved;
	int rc = 0;

	p2->larval = true;
	if (needs->esp)
		rc = reserve(e, p2, IPPROTO_ESP, XF_SPI_PLAIN, mode, &r->esp, err);
	if (!rc && needs->bundled_esp)
		rc = reserve(e, p2, IPPROTO_ESP, XF_SPI_BUNDLED, mode, &r->bundled_esp, err);
	if (!rc && needs->ah)
		rc = reserve(e, p2, IPPROTO_AH, XF_SPI_PLAIN, mode, &r->ah, err);
	if (!rc)
		ike_p2_set_spi_in(e, p2, first_of(r));
	return rc;
}

static void give_back(struct ike_engine *e, const struct ike_p2 *p2, uint8_t proto, uint32_t *spi)
{
	struct xf_said id = {p2->tunnel->local, proto, *spi};
	struct cs_err err;

	if (*spi)
		e->ops.sa_delete(e->ctx, &id, &err);
	*spi = 0;
}

static void give_all_back(struct ike_engine *e, struct ike_p2 *p2)
{
	struct ike_p2_spis *r = &p2->qm->reserved;

	give_back(e, p2, IPPROTO_ESP, &r->esp);
	give_back(e, p2, IPPROTO_ESP, &r->bundled_esp);
	give_back(e, p2, IPPROTO_AH, &r->ah);
}

/* What is used is the pair's own from here on, and no longer among the reserved. */
static uint32_t use(uint32_t *spi)
{
	uint32_t used = *spi;

	*spi = 0;
	return used;
}

void ike_p2_settle_spis(struct ike_engine *e, struct ike_p2 *p2)
{
	struct ike_p2_spis *r = &p2->qm->reserved;
	const struct ike_p2_suite *s = &p2->suite;

	if (s->ah) {
		ike_p2_set_spi_in(e, p2, use(&r->bundled_esp));
		ike_p2_set_ah_in(e, p2, use(&r->ah));
	} else {
		ike_p2_set_spi_in(e, p2, use(s->protocol == POL_AH ? &r->ah : &r->esp));
	}
	give_all_back(e, p2);
}

/* ---- the SAs ---- */

static void fill_common(const struct ike_engine *e, const struct ike_p2 *p2, bool outbound,
			struct xf_sa *sa)
{
	memset(sa, 0, sizeof(*sa));
	sa->src = outbound ? p2->tunnel->local : p2->tunnel->remote;
	sa->reqid = p2->tunnel->reqid;
	sa->client = outbound ? 0 : p2->tunnel->client;
	sa->outbound = outbound;
	sa->hard_seconds = p2->life_seconds;
	sa->replay_window = outbound ? 0 : e->set.replay_window;
}

unsigned ike_p2_icv_bits(const struct ike_p2 *p2, const struct cs_integ *integ)
{
	unsigned n;
	const struct pol_quirk *q = pol_quirks(&n);

	for (; integ && n--; q++)
		if (q->integ && p2->quirks & q->bit && !strcmp(q->integ, integ->keyword))
			return q->icv_bits;
	return 0;
}

static void fill_encap(const struct ike_p2 *p2, bool outbound, struct xf_sa *sa)
{
	if (!p2->nat.encap)
		return;
	sa->encap_sport = outbound ? p2->encap_local : p2->encap_remote;
	sa->encap_dport = outbound ? p2->encap_remote : p2->encap_local;
	if (sa->mode == XF_TRANSPORT && p2->nat.remote)
		sa->encap_oa = *ike_p2_peer_oa(p2);
}

static void fill_sa(const struct ike_engine *e, const struct ike_p2 *p2, bool outbound,
		    struct xf_sa *sa)
{
	const struct ike_p2_suite *s = &p2->suite;
	const uint8_t *key = outbound ? p2->qm->keymat_out : p2->qm->keymat_in;
	size_t cipher_len = s->cipher ? s->cipher->key_bits / 8u + s->cipher->salt : 0;

	fill_common(e, p2, outbound, sa);
	sa->id = outbound ? ike_p2_said_out(p2) : ike_p2_said_in(p2);
	sa->mode = mode_of(p2);
	sa->bundled = s->ah != NULL;
	sa->cipher = s->cipher;
	sa->cipher_key = (struct cs_bytes){key, cipher_len};
	sa->integ = s->integ;
	sa->integ_key = (struct cs_bytes){key + cipher_len, p2->qm->keymat_len - cipher_len};
	sa->icv_bits = ike_p2_icv_bits(p2, sa->integ);
	sa->selector = p2->tunnel->selector;
	if (outbound && sa->mode == XF_TUNNEL) {
		const struct pol_dynvpn_action *vpn = p2->rule->vpn;

		sa->clear_df = !vpn->passthrough_df && !vpn->df_set;
		sa->clear_dscp = !vpn->passthrough_dscp;
	}
	sa->hard_bytes = p2->life_kbytes * 1024;
	sa->soft_bytes = ike_p2_soft_bytes(p2);
	fill_encap(p2, outbound, sa);
}

/*
 * The AH of a bundle goes around what the ESP has made, a tunnel or not, and so is always in
 * transport mode.  Bytes are counted on the ESP alone.
 */
static void fill_ah(const struct ike_engine *e, const struct ike_p2 *p2, bool outbound,
		    struct xf_sa *sa)
{
	const struct ike_quick *qm = p2->qm;
	const uint8_t *key = outbound ? qm->keymat_out : qm->keymat_in;

	fill_common(e, p2, outbound, sa);
	sa->id = ike_p2_ah_said(p2, outbound);
	sa->mode = XF_TRANSPORT;
	sa->integ = p2->suite.ah;
	sa->integ_key = (struct cs_bytes){key + qm->keymat_len, qm->ah_keymat_len};
	sa->icv_bits = ike_p2_icv_bits(p2, sa->integ);
	if (mode_of(p2) == XF_TRANSPORT)
		sa->selector = p2->tunnel->selector;
}

static void refused(struct ike_engine *e, const struct ike_p2 *p2, const char *what,
		    const struct cs_err *err)
{
	e->stats.kernel_refusals++;
	ike_logf(e, ike_p2_ctx(p2), CSM_KERNEL_REFUSED, what, p2->tunnel->number, err->text);
}

static int put_in(struct ike_engine *e, const struct xf_sa *sa, struct cs_err *err)
{
	int rc = e->ops.sa_update(e->ctx, sa, err);

	/* The larval state may have timed out while the peer thought. */
	return rc == CS_ENOTFOUND ? e->ops.sa_add(e->ctx, sa, err) : rc;
}

int ike_p2_install_in(struct ike_engine *e, struct ike_p2 *p2, bool tell_first, struct cs_err *err)
{
	struct xf_sa sa, ah;
	int rc;

	fill_sa(e, p2, false, &sa);
	sa.tell_first_packet = tell_first;
	rc = put_in(e, &sa, err);
	p2->tunnel->marked = true;
	/* Until all of it is there what is there counts as larval, and goes the same way. */
	p2->larval = true;
	if (!rc && p2->suite.ah) {
		fill_ah(e, p2, false, &ah);
		rc = put_in(e, &ah, err);
	}
	if (rc) {
		refused(e, p2, "the inbound SA", err);
		return rc;
	}
	p2->larval = false;
	p2->in_kernel = true;
	return 0;
}

static void fill_policy(const struct ike_engine *e, const struct ike_tunnel *t, struct xf_policy *p)
{
	memset(p, 0, sizeof(*p));
	p->dir = XF_OUT;
	p->selector = t->selector;
	p->family = t->local.family;
	p->priority = XF_PRIO_TUNNEL;
	p->mark = xf_mark_value(&e->set.marking, t->client ? t->client : t->mark_id);
	p->mark_mask = xf_mark_mask(&e->set.marking);
	p->action = XF_ALLOW;
	p->has_template = true;
	p->mode = t->mode;
	p->proto = t->proto;
	p->bundle = t->bundle;
	p->reqid = t->reqid;
	if (t->mode == XF_TUNNEL) {
		p->local = t->local;
		p->remote = t->remote;
	}
}

int ike_p2_install_policy(struct ike_engine *e, struct ike_p2 *p2, struct cs_err *err)
{
	struct ike_tunnel *t = p2->tunnel, wanted = *t;
	struct ike_tunnel_key key = ike_tunnel_key_of(t);
	struct xf_policy policy;
	int rc;

	wanted.mode = mode_of(p2);
	wanted.proto = ike_p2_ipproto(p2);
	wanted.bundle = p2->suite.ah != NULL;
	if (t->policy_in && t->mode == wanted.mode && t->proto == wanted.proto &&
	    t->bundle == wanted.bundle)
		return 0;
	fill_policy(e, &wanted, &policy);
	rc = e->ops.policy_add(e->ctx, &policy, err);
	if (rc) {
		refused(e, p2, "the outbound policy", err);
		return rc;
	}
	if (!t->client) /* the holds' place is under the rule's mark */
		ike_hold_replaced(e, &key);
	t->policy_in = true;
	t->mode = wanted.mode;
	t->proto = wanted.proto;
	t->bundle = wanted.bundle;
	ike_claim_take(e, t);
	return 0;
}

void ike_tunnel_policy_again(struct ike_engine *e, const struct ike_tunnel *t)
{
	struct xf_policy policy;
	struct cs_err err;

	if (!t->policy_in)
		return;
	fill_policy(e, t, &policy);
	e->ops.policy_add(e->ctx, &policy, &err);
}

/* Both of a bundle or none. */
static int put_out(struct ike_engine *e, struct ike_p2 *p2, struct cs_err *err)
{
	struct xf_sa sa, ah;
	struct cs_err other;
	int rc;

	fill_sa(e, p2, true, &sa);
	rc = e->ops.sa_add(e->ctx, &sa, err);
	if (rc || !p2->suite.ah)
		return rc;
	fill_ah(e, p2, true, &ah);
	rc = e->ops.sa_add(e->ctx, &ah, err);
	if (rc)
		e->ops.sa_delete(e->ctx, &sa.id, &other);
	return rc;
}

int ike_p2_install_out(struct ike_engine *e, struct ike_p2 *p2, struct cs_err *err)
{
	struct ike_tunnel_key key = ike_tunnel_key_of(p2->tunnel);
	int rc;

	/* Another peer may have been quicker since this exchange began. */
	rc = ike_claim_check(e, &key, p2->peer, p2->p1, err);
	if (rc)
		return rc;
	rc = p2->out_kernel ? 0 : put_out(e, p2, err);
	if (rc) {
		refused(e, p2, "the outbound SA", err);
		return rc;
	}
	p2->out_kernel = true;
	return ike_p2_install_policy(e, p2, err);
}

bool ike_p2_another_outbound(const struct ike_p2 *p2)
{
	const struct ike_list *head = &p2->tunnel->p2s;

	for (const struct ike_list *l = head->next; l != head; l = l->next) {
		const struct ike_p2 *other = IKE_OF(l, struct ike_p2, in_tunnel);

		if (other != p2 && other->out_kernel)
			return true;
	}
	return false;
}

static void uninstall_in(struct ike_engine *e, struct ike_p2 *p2)
{
	struct xf_said in = ike_p2_said_in(p2), ah_in = ike_p2_ah_said(p2, false);
	struct cs_err err;

	if ((p2->in_kernel || (p2->larval && p2->suite.protocol)) && in.spi)
		e->ops.sa_delete(e->ctx, &in, &err);
	if ((p2->in_kernel || p2->larval) && ah_in.spi)
		e->ops.sa_delete(e->ctx, &ah_in, &err);
	if (p2->larval && p2->qm)
		give_all_back(e, p2);
	p2->in_kernel = p2->larval = false;
}

/*
 * The policy goes before the last pair, so that no packet meets a policy without an SA.  Of a
 * client with a mark the inbound SAs are first, so that nothing gets the mark when the policy is
 * gone.
 */
void ike_p2_uninstall(struct ike_engine *e, struct ike_p2 *p2)
{
	struct ike_tunnel *t = p2->tunnel;
	struct xf_said out = ike_p2_said_out(p2), ah_out = ike_p2_ah_said(p2, true);
	struct xf_policy policy;
	struct cs_err err;

	if (t->client)
		uninstall_in(e, p2);
	if (t->policy_in && !ike_p2_another_outbound(p2)) {
		fill_policy(e, t, &policy);
		e->ops.policy_delete(e->ctx, &policy, &err);
		t->policy_in = false;
	}
	if (p2->out_kernel)
		e->ops.sa_delete(e->ctx, &out, &err);
	if (p2->out_kernel && ah_out.spi)
		e->ops.sa_delete(e->ctx, &ah_out, &err);
	p2->out_kernel = false;
	uninstall_in(e, p2);
}
