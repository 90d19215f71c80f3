/*
 * Manual tunnels in the kernel: SAs without a lifetime and without a replay window (RFC 4303
 * section 3.4.3), whose SPIs and keys are the policy's, and for each rule of such a tunnel the
 * outbound policy that leads its mark there.  While it is not in, the rule's anchor holds the
 * packets (closed.c).
 *
 * pagent may die between any two steps, so nothing is remembered here: what the kernel has is
 * compared with what it should have, keys included, each time.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "xfrm/closed.h"
#include "xfrm/kernel.h"

_Static_assert(POL_SPI_BUNDLED_MIN == XF_SPI_BUNDLED_MIN &&
		       POL_SPI_BUNDLED_MAX == XF_SPI_BUNDLED_MAX,
	       "the policy refuses the SPIs that the filters drop");

#define SAS_MAX XF_MANUAL_SAS /* ESP and AH, both ways */

/* ---- what a tunnel needs ---- */

static bool is_bundle(const struct pol_manvpn_action *a)
{
	return a->auth_proto == POL_AH && a->cipher;
}

static bool has_esp(const struct pol_manvpn_action *a)
{
	return a->auth_proto == POL_ESP || a->cipher;
}

static enum xf_mode mode_of(const struct pol_manvpn_action *a)
{
	return a->encap == POL_TUNNEL ? XF_TUNNEL : XF_TRANSPORT;
}

static void fill_common(const struct pol_manvpn_action *a, bool outbound, struct xf_sa *sa)
{
	memset(sa, 0, sizeof(*sa));
	sa->id.dst = outbound ? a->remote : a->local;
	sa->src = outbound ? a->local : a->remote;
	sa->reqid = xf_reqid_manual(a->number);
	sa->mode = mode_of(a);
	sa->outbound = outbound;
	sa->manual = true;
	if (a->encap == POL_TRANSPORT) {
		sa->selector.local = cs_range_single(&a->local);
		sa->selector.remote = cs_range_single(&a->remote);
	}
}

static void fill_esp(const struct pol_manvpn_action *a, bool outbound, struct xf_sa *sa)
{
	const struct pol_manual_sa *auth = outbound ? &a->auth_out : &a->auth_in;
	const struct pol_manual_sa *encrypt = outbound ? &a->encrypt_out : &a->encrypt_in;

	fill_common(a, outbound, sa);
	sa->id.proto = IPPROTO_ESP;
	sa->id.spi = a->cipher ? encrypt->spi : auth->spi;
	sa->cipher = a->cipher ? a->cipher : cs_cipher_by_keyword("DoNot", 0);
	sa->cipher_key = encrypt->key;
	sa->bundled = is_bundle(a);
	if (a->auth_proto == POL_ESP) {
		sa->integ = a->integ;
		sa->integ_key = auth->key;
	}
	sa->clear_df = outbound && sa->mode == XF_TUNNEL && !a->passthrough_df && !a->df_set;
	sa->clear_dscp = outbound && sa->mode == XF_TUNNEL && !a->passthrough_dscp;
}

/* Around ESP it is in transport mode, whatever the ESP is. */
static void fill_ah(const struct pol_manvpn_action *a, bool outbound, struct xf_sa *sa)
{
	const struct pol_manual_sa *auth = outbound ? &a->auth_out : &a->auth_in;

	fill_common(a, outbound, sa);
	sa->id.proto = IPPROTO_AH;
	sa->id.spi = auth->spi;
	if (is_bundle(a))
		sa->mode = XF_TRANSPORT;
	sa->integ = a->integ;
	sa->integ_key = auth->key;
	sa->clear_df = outbound && sa->mode == XF_TUNNEL && !a->passthrough_df && !a->df_set;
	sa->clear_dscp = outbound && sa->mode == XF_TUNNEL && !a->passthrough_dscp;
}

/* Inbound first: what answers finds its SA. */
static unsigned fill_sas(const struct pol_manvpn_action *a, struct xf_sa sas[static SAS_MAX])
{
	unsigned n = 0;

	for (int outbound = 0; outbound < 2; outbound++) {
		if (has_esp(a))
			fill_esp(a, outbound, &sas[n++]);
		if (a->auth_proto == POL_AH)
			fill_ah(a, outbound, &sas[n++]);
	}
	return n;
}

unsigned xf_manual_ids(const struct pol_manvpn_action *a, struct xf_said ids[static XF_MANUAL_SAS])
{
	struct xf_sa sas[SAS_MAX];
	unsigned n = fill_sas(a, sas);

	for (unsigned i = 0; i < n; i++)
		ids[i] = sas[i].id;
	return n;
}

static bool put_policy(struct xf_kernel *k, const struct pol_filter_rule *r,
		       struct xf_policy_list *l)
{
	const struct pol_manvpn_action *a = r->manual;
	struct cs_range all = cs_range_all(a->local.family);
	struct xf_policy p = {
		.dir = XF_OUT,
		.family = a->local.family,
		.priority = XF_PRIO_MANUAL,
		.mark = xf_mark_value(&k->marking, r->id),
		.mark_mask = xf_mark_mask(&k->marking),
		.has_template = true,
		.mode = mode_of(a),
		.proto = has_esp(a) ? IPPROTO_ESP : IPPROTO_AH,
		.bundle = is_bundle(a),
		.reqid = xf_reqid_manual(a->number),
	};

	if (a->encap == POL_TRANSPORT) {
		p.selector.local = cs_range_single(&a->local);
		p.selector.remote = cs_range_single(&a->remote);
		return xf_list_put(l, &p);
	}
	p.local = a->local;
	p.remote = a->remote;
	/* One for everything would replace the rule's anchor; its two halves do not. */
	p.selector.local = all;
	p.selector.remote = cs_range_prefix(&all.lo, 1);
	if (!xf_list_put(l, &p))
		return false;
	all.lo.b[0] = 0x80;
	p.selector.remote = cs_range_prefix(&all.lo, 1);
	return xf_list_put(l, &p);
}

static int wanted_policies(struct xf_kernel *k, const struct pol_policy *policy, const bool *up,
			   struct xf_policy_list *l, struct cs_err *err)
{
	bool ok = true;

	for (unsigned i = 0; ok && i < policy->n_manuals; i++)
		for (unsigned j = 0; ok && up[i] && j < policy->n_rules; j++)
			if (policy->rules[j].manual == policy->manuals[i])
				ok = put_policy(k, &policy->rules[j], l);
	if (!ok)
		return cs_fail(err, CS_ENOMEM, "no memory for the kernel's policies");
	xf_list_sort(l);
	return 0;
}

/* ---- what the kernel has ---- */

struct sa_list {
	struct xf_sa *v;
	size_t n, cap;
};

static int on_sa(void *arg, const struct xf_sa *sa, const struct xf_counters *c)
{
	struct sa_list *l = arg;
	struct xf_sa *v;

	(void)c;
	/* Without an SPI it stands for a packet that found no SA. */
	if (!xf_reqid_is_manual(sa->reqid) || !sa->id.spi)
		return 0;
	v = xf_room(l->v, l->n, &l->cap, sizeof(*v));
	if (!v)
		return CS_ENOMEM;
	l->v = v;
	l->v[l->n++] = *sa;
	return 0;
}

struct present {
	uint32_t mask;
	struct xf_policy_list policies;
	struct sa_list sas;
};

static int on_policy(void *arg, const struct xf_policy *p)
{
	struct present *have = arg;

	if (p->priority != XF_PRIO_MANUAL || p->mark_mask != have->mask)
		return 0;
	return xf_list_put(&have->policies, p) ? 0 : CS_ENOMEM;
}

static int look(struct xf_kernel *k, struct present *have, struct cs_err *err)
{
	int rc;

	have->mask = xf_mark_mask(&k->marking);
	rc = xf_policy_dump(k, on_policy, have, err);
	if (rc == 0)
		rc = xf_sa_dump(k, on_sa, &have->sas, err);
	if (rc == CS_ENOMEM)
		cs_fail(err, rc, "no memory for what the kernel has of manual tunnels");
	return rc;
}

static void free_present(struct present *have)
{
	xf_list_free(&have->policies);
	free(have->sas.v);
}

static const struct xf_policy *find_policy(const struct xf_policy_list *l,
					   const struct xf_policy *p)
{
	for (size_t i = 0; i < l->n; i++)
		if (xf_policy_order(&l->v[i], p) == 0)
			return &l->v[i];
	return NULL;
}

static bool same_policy(const struct xf_policy *a, const struct xf_policy *b)
{
	return a && xf_policy_same(a, b) && a->bundle == b->bundle;
}

bool xf_said_equal(const struct xf_said *a, const struct xf_said *b)
{
	return a->proto == b->proto && a->spi == b->spi && cs_addr_equal(&a->dst, &b->dst);
}

/* ---- is an SA the one that is wanted? ---- */

struct keys {
	const struct xf_sa *wanted;
	bool same;
};

/* A kernel in lockdown shows zeros in place of a key; then the reqid has to do. */
static bool same_key(const char *key, unsigned bits, const struct cs_bytes *wanted)
{
	uint8_t differs = 0, any = 0;

	if (bits != wanted->len * 8)
		return false;
	for (size_t i = 0; i < wanted->len; i++) {
		differs |= (uint8_t)key[i] ^ wanted->p[i];
		any |= (uint8_t)key[i];
	}
	return !differs || !any;
}

static bool has_key(size_t len, size_t header, unsigned bits)
{
	return len >= header && len - header >= (bits + 7) / 8;
}

static int on_keys(const struct nlmsghdr *h, void *arg)
{
	struct keys *k = arg;
	const struct xf_sa *sa = k->wanted;
	const struct xfrm_algo *crypt;
	const struct xfrm_algo_auth *auth;
	size_t crypt_len, auth_len;

	if (h->nlmsg_type != XFRM_MSG_NEWSA)
		return MNL_CB_OK;
	crypt = xf_attr_array(h, sizeof(struct xfrm_usersa_info), XFRMA_ALG_CRYPT, 1, &crypt_len);
	auth = xf_attr_array(h, sizeof(struct xfrm_usersa_info), XFRMA_ALG_AUTH_TRUNC, 1,
			     &auth_len);
	k->same = true;
	if (sa->cipher)
		k->same = has_key(crypt_len, sizeof(*crypt), 0) &&
			  has_key(crypt_len, sizeof(*crypt), crypt->alg_key_len) &&
			  same_key(crypt->alg_key, crypt->alg_key_len, &sa->cipher_key);
	if (sa->integ && k->same)
		k->same = has_key(auth_len, sizeof(*auth), 0) &&
			  has_key(auth_len, sizeof(*auth), auth->alg_key_len) &&
			  same_key(auth->alg_key, auth->alg_key_len, &sa->integ_key);
	return MNL_CB_OK;
}

static bool keys_are(struct xf_kernel *k, const struct xf_sa *sa)
{
	struct keys keys = {.wanted = sa};
	struct xfrm_usersa_id *body;
	char what[XF_WHAT_MAX];
	struct xf_msg m;
	int rc;

	body = xf_msg_start(&m, XFRM_MSG_GETSA, 0, sizeof(*body));
	xf_to_kernel_addr(&sa->id.dst, &body->daddr);
	body->family = sa->id.dst.family;
	body->proto = sa->id.proto;
	body->spi = htonl(sa->id.spi);
	rc = xf_ask(k, &m, on_keys, &keys, xf_said_text(&sa->id, what), NULL);
	cs_wipe(k->reply, XF_REPLY_MAX);
	return rc == 0 && keys.same;
}

static bool same_cipher(const struct cs_cipher *a, const struct cs_cipher *b)
{
	return a == b || (a && b && !strcmp(a->xfrm, b->xfrm) && a->key_bits == b->key_bits);
}

static bool same_integ(const struct cs_integ *a, const struct cs_integ *b)
{
	return a == b || (a && b && !strcmp(a->xfrm, b->xfrm) && a->icv_bits == b->icv_bits);
}

static bool is_there(struct xf_kernel *k, const struct sa_list *have, const struct xf_sa *sa)
{
	for (size_t i = 0; i < have->n; i++) {
		const struct xf_sa *h = &have->v[i];

		if (xf_said_equal(&h->id, &sa->id))
			return h->reqid == sa->reqid && h->mode == sa->mode &&
			       h->outbound == sa->outbound && cs_addr_equal(&h->src, &sa->src) &&
			       same_cipher(h->cipher, sa->cipher) &&
			       same_integ(h->integ, sa->integ) && keys_are(k, sa);
	}
	return false;
}

/* ---- installing ---- */

struct result {
	int rc;
	struct cs_err *err; /* of the first failure */
	const struct xf_manual_watch *watch;
};

static void note(struct result *r, int rc)
{
	if (rc < 0 && r->rc == 0) {
		r->rc = rc;
		r->err = NULL;
	}
}

/* What it has counted is told first: the kernel forgets it. One that is gone is what was wanted. */
static int drop_sa(struct xf_kernel *k, const struct xf_said *id, struct result *r)
{
	struct xf_counters c;
	int rc;

	if (r->watch && xf_sa_counters(k, id, &c, NULL) == 0)
		r->watch->gone(r->watch->arg, id, &c);
	rc = xf_sa_delete(k, id, r->err);
	return rc == CS_ENOTFOUND ? 0 : rc;
}

/* One with that SPI and another content gives way: its keys cannot be changed. */
static void put_sa(struct xf_kernel *k, const struct xf_sa *sa, struct result *r)
{
	int rc = xf_sa_add(k, sa, r->err);

	if (rc == CS_EEXIST) {
		rc = drop_sa(k, &sa->id, r);
		if (rc == 0)
			rc = xf_sa_add(k, sa, r->err);
	}
	note(r, rc);
}

static bool is_wanted(const struct pol_policy *policy, const bool *up, const struct xf_said *id)
{
	struct xf_sa sas[SAS_MAX];

	for (unsigned i = 0; i < policy->n_manuals; i++) {
		unsigned n = up[i] ? fill_sas(policy->manuals[i], sas) : 0;

		while (n--)
			if (xf_said_equal(&sas[n].id, id))
				return true;
	}
	return false;
}

static void put_sas(struct xf_kernel *k, const struct pol_policy *policy, const bool *up,
		    const struct sa_list *have, struct result *r)
{
	struct xf_sa sas[SAS_MAX];

	for (unsigned i = 0; i < policy->n_manuals; i++) {
		unsigned n = up[i] ? fill_sas(policy->manuals[i], sas) : 0;

		for (unsigned j = 0; j < n; j++)
			if (!is_there(k, have, &sas[j]))
				put_sa(k, &sas[j], r);
	}
}

static void change(struct xf_kernel *k, const struct pol_policy *policy, const bool *up,
		   const struct xf_policy_list *wanted, const struct present *have,
		   struct result *r)
{
	/* Where a policy leads there is an SA: they come first and go last. */
	put_sas(k, policy, up, &have->sas, r);
	for (size_t i = 0; i < wanted->n; i++)
		if (!same_policy(find_policy(&have->policies, &wanted->v[i]), &wanted->v[i]))
			note(r, xf_policy_add(k, &wanted->v[i], r->err));
	for (size_t i = 0; i < have->policies.n; i++)
		if (!find_policy(wanted, &have->policies.v[i])) {
			int rc = xf_policy_delete(k, &have->policies.v[i], r->err);

			note(r, rc == CS_ENOTFOUND ? 0 : rc);
		}
	for (size_t i = 0; i < have->sas.n; i++)
		if (!is_wanted(policy, up, &have->sas.v[i].id))
			note(r, drop_sa(k, &have->sas.v[i].id, r));
}

int xf_manual_install(struct xf_kernel *k, const struct pol_policy *policy, const bool *up,
		      const struct xf_manual_watch *watch, struct cs_err *err)
{
	struct xf_policy_list wanted = {0};
	struct present have = {0};
	struct result r = {.err = err, .watch = watch};
	int rc = wanted_policies(k, policy, up, &wanted, err);

	if (rc == 0)
		rc = look(k, &have, err);
	if (rc == 0) {
		change(k, policy, up, &wanted, &have, &r);
		rc = r.rc;
	}
	xf_list_free(&wanted);
	free_present(&have);
	return rc;
}

int xf_manual_remove(struct xf_kernel *k, const struct xf_manual_watch *watch, struct cs_err *err)
{
	static const struct pol_policy none = {0};

	return xf_manual_install(k, &none, NULL, watch, err);
}

/* ---- looking ---- */

bool xf_manual_installed(struct xf_kernel *k, const struct pol_policy *policy, const bool *up)
{
	struct xf_policy_list wanted = {0};
	struct present have = {0};
	struct xf_sa sas[SAS_MAX];
	bool all = wanted_policies(k, policy, up, &wanted, NULL) == 0 && look(k, &have, NULL) == 0;

	for (size_t i = 0; all && i < wanted.n; i++)
		all = same_policy(find_policy(&have.policies, &wanted.v[i]), &wanted.v[i]);
	for (unsigned i = 0; all && i < policy->n_manuals; i++) {
		unsigned n = up[i] ? fill_sas(policy->manuals[i], sas) : 0;

		while (all && n--)
			all = is_there(k, &have.sas, &sas[n]);
	}
	xf_list_free(&wanted);
	free_present(&have);
	return all;
}

int xf_manual_counters(struct xf_kernel *k, const struct pol_manvpn_action *a,
		       struct xf_counters *in, struct xf_counters *out, struct cs_err *err)
{
	struct xf_sa sas[SAS_MAX];
	unsigned n = fill_sas(a, sas);
	int rc = xf_sa_counters(k, &sas[0].id, in, err);

	return rc == 0 ? xf_sa_counters(k, &sas[n / 2].id, out, err) : rc;
}
