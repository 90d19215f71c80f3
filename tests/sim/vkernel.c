/* The virtual kernel: SAs, out policies, acquires and expiries, as XFRM has them. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

static bool same_id(const struct xf_said *a, const struct xf_said *b)
{
	return a->spi == b->spi && a->proto == b->proto && cs_addr_equal(&a->dst, &b->dst);
}

struct vk_sa *vk_find(struct sim_host *h, const struct xf_said *id)
{
	for (unsigned i = 0; i < h->kernel.n_sas; i++)
		if (same_id(&h->kernel.sas[i]->sa.id, id))
			return h->kernel.sas[i];
	return NULL;
}

static struct vk_sa *append(struct vkernel *k)
{
	struct vk_sa **grown = realloc(k->sas, (k->n_sas + 1) * sizeof(*grown));
	struct vk_sa *sa = calloc(1, sizeof(*sa));

	if (!grown || !sa)
		abort();
	k->sas = grown;
	k->sas[k->n_sas++] = sa;
	return sa;
}

static bool refused(struct sim_host *h)
{
	return sim_bad(h->sim) && sim_chance(&h->sim->rng, h->kernel.refuse_permille);
}

/* Those of ESP that stands in an AH are from a range of their own. */
static uint32_t any_spi(struct sim_host *h, enum xf_spi_kind kind)
{
	uint32_t spi;

	if (kind == XF_SPI_BUNDLED)
		return XF_SPI_BUNDLED_MIN +
		       sim_below(&h->sim->rng, XF_SPI_BUNDLED_MAX - XF_SPI_BUNDLED_MIN + 1);
	do
		spi = 256 + sim_below(&h->sim->rng, 1u << 30);
	while (spi >= XF_SPI_BUNDLED_MIN && spi <= XF_SPI_BUNDLED_MAX);
	return spi;
}

int vk_spi(struct sim_host *h, const struct cs_addr *dst, uint8_t proto, enum xf_spi_kind kind,
	   uint32_t reqid, uint32_t *spi, struct cs_err *err)
{
	struct xf_said id = {.dst = *dst, .proto = proto};
	struct vk_sa *sa;

	if (refused(h))
		return cs_fail(err, CS_EKERNEL, "simulated refusal of an SPI");
	do
		id.spi = any_spi(h, kind);
	while (vk_find(h, &id));
	sa = append(&h->kernel);
	sa->sa.id = id;
	sa->sa.reqid = reqid;
	sa->larval = true;
	sa->added = h->sim->now;
	h->kernel.added++;
	*spi = id.spi;
	return 0;
}

void vk_larval_clear(struct sim_host *h, const struct xf_acquire *a)
{
	struct vkernel *k = &h->kernel;

	for (unsigned i = 0; i < k->n_larvals; i++)
		if (k->larvals[i].rule_id == a->rule_id &&
		    cs_selector_equal(&k->larvals[i].selector, &a->selector)) {
			k->larvals[i] = k->larvals[--k->n_larvals];
			return;
		}
}

int vk_add(struct sim_host *h, const struct xf_sa *sa, bool update, struct cs_err *err)
{
	struct vk_sa *slot = vk_find(h, &sa->id);

	if (update && (!slot || !slot->larval))
		return cs_fail(err, CS_ENOTFOUND, "no larval SA %08x to update", sa->id.spi);
	if (!update && slot)
		return cs_fail(err, CS_EEXIST, "SA %08x exists", sa->id.spi);
	if (refused(h))
		return cs_fail(err, CS_EKERNEL, "simulated refusal of SA %08x", sa->id.spi);
	if (sa->cipher_key.len > sizeof(slot->cipher_key) ||
	    sa->integ_key.len > sizeof(slot->integ_key) ||
	    sa->cipher_key.len + sa->integ_key.len == 0) {
		sim_fail(h->sim, "host %u: SA with keys of %zu and %zu bytes", h->index,
			 sa->cipher_key.len, sa->integ_key.len);
		return cs_fail(err, CS_EKERNEL, "bad key length");
	}
	if (!slot) {
		slot = append(&h->kernel);
		h->kernel.added++;
	}
	sim_saw_come(h, sa);
	slot->sa = *sa;
	slot->larval = false;
	slot->added = h->sim->now;
	if (sa->cipher_key.len)
		memcpy(slot->cipher_key, sa->cipher_key.p, sa->cipher_key.len);
	if (sa->integ_key.len)
		memcpy(slot->integ_key, sa->integ_key.p, sa->integ_key.len);
	slot->sa.cipher_key.p = slot->cipher_key;
	slot->sa.integ_key.p = slot->integ_key;
	if (sa->hard_seconds)
		sim_push_expire(h, h->sim->now + 1000ull * sa->hard_seconds, &sa->id, true);
	return 0;
}

int vk_move(struct sim_host *h, const struct xf_move *m, struct cs_err *err)
{
	struct vk_sa *sa = vk_find(h, &m->id);

	if (!sa || sa->larval)
		return cs_fail(err, CS_ENOTFOUND, "no SA %08x to move", m->id.spi);
	if (refused(h))
		return cs_fail(err, CS_EKERNEL, "simulated refusal of a move");
	if (m->outbound != sa->sa.outbound || !sa->sa.encap_sport)
		sim_fail(h->sim, "host %u moves SA %08x, which cannot be", h->index, m->id.spi);
	if (m->outbound) {
		sa->sa.id.dst = m->peer;
		sa->sa.encap_dport = m->encap_port;
	} else {
		sa->sa.src = m->peer;
		sa->sa.encap_sport = m->encap_port;
	}
	h->moved++;
	return 0;
}

int vk_delete(struct sim_host *h, const struct xf_said *id, struct cs_err *err)
{
	struct vkernel *k = &h->kernel;

	for (unsigned i = 0; i < k->n_sas; i++) {
		if (!same_id(&k->sas[i]->sa.id, id))
			continue;
		if (!k->sas[i]->larval)
			sim_saw_go(h, &k->sas[i]->sa);
		free(k->sas[i]);
		k->sas[i] = k->sas[--k->n_sas];
		k->deleted++;
		return 0;
	}
	return cs_fail(err, CS_ENOTFOUND, "no SA %08x", id->spi);
}

static bool same_policy(const struct xf_policy *a, const struct xf_policy *b)
{
	return a->dir == b->dir && a->mark == b->mark && a->mark_mask == b->mark_mask &&
	       cs_selector_equal(&a->selector, &b->selector);
}

int vk_policy_add(struct sim_host *h, const struct xf_policy *p, struct cs_err *err)
{
	struct vkernel *k = &h->kernel;
	struct xf_policy *grown;

	if (refused(h))
		return cs_fail(err, CS_EKERNEL, "simulated refusal of a policy");
	for (unsigned i = 0; i < k->n_policies; i++)
		if (same_policy(&k->policies[i], p)) {
			if (p->hold)
				return cs_fail(err, CS_EEXIST, "that policy exists");
			k->policies[i] = *p;
			return 0;
		}
	grown = realloc(k->policies, (k->n_policies + 1) * sizeof(*grown));
	if (!grown)
		abort();
	k->policies = grown;
	k->policies[k->n_policies++] = *p;
	return 0;
}

int vk_policy_delete(struct sim_host *h, const struct xf_policy *p, struct cs_err *err)
{
	struct vkernel *k = &h->kernel;

	for (unsigned i = 0; i < k->n_policies; i++)
		if (same_policy(&k->policies[i], p)) {
			k->policies[i] = k->policies[--k->n_policies];
			return 0;
		}
	return cs_fail(err, CS_ENOTFOUND, "no such policy");
}

/* The rule of this host for packets to the peer, 0: none. */
static unsigned rule_towards(const struct sim_host *h, const struct sim_host *peer)
{
	struct pol_packet packet = {.outbound = true,
				    .src = h->addr,
				    .dst = peer->addr,
				    .proto = 1,
				    .type = 8,
				    .code = 0};
	const struct pol_filter_rule *rule =
		pol_filter_match(h->policy, &packet, SIM_WALL, NULL, NULL);

	return rule ? rule->id : 0;
}

static void acquire(struct sim_host *h, unsigned rule_id, const struct cs_selector *sel)
{
	struct vkernel *k = &h->kernel;
	struct vk_acquire *grown;
	struct xf_acquire a = {.rule_id = rule_id,
			       .selector = *sel,
			       .src = sel->local.lo,
			       .dst = sel->remote.lo,
			       .proto = IPPROTO_ESP,
			       .reqid = xf_reqid(rule_id, 0)};

	for (unsigned i = 0; i < k->n_larvals; i++) {
		if (k->larvals[i].until <= h->sim->now) {
			k->larvals[i--] = k->larvals[--k->n_larvals];
			continue;
		}
		if (k->larvals[i].rule_id == rule_id &&
		    cs_selector_equal(&k->larvals[i].selector, sel))
			return;
	}
	grown = realloc(k->larvals, (k->n_larvals + 1) * sizeof(*grown));
	if (!grown)
		abort();
	k->larvals = grown;
	k->larvals[k->n_larvals++] = (struct vk_acquire){rule_id, *sel, h->sim->now + SIM_LARVAL};
	sim_push_acquire(h, &a);
}

/* The newest usable SA of a reqid and protocol, as the kernel picks it. */
static struct vk_sa *outbound_sa(struct sim_host *h, uint32_t reqid, uint8_t proto)
{
	struct vk_sa *best = NULL;

	for (unsigned i = 0; i < h->kernel.n_sas; i++) {
		struct vk_sa *sa = h->kernel.sas[i];

		if (!sa->larval && sa->sa.outbound && sa->sa.reqid == reqid &&
		    sa->sa.id.proto == proto && (!best || sa->added >= best->added))
			best = sa;
	}
	return best;
}

static const struct xf_policy *outbound_policy(const struct sim_host *h, unsigned mark,
					       const struct cs_selector *sel)
{
	const struct xf_marking marking = {XF_MARK_SHIFT_DEFAULT};
	const struct xf_policy *best = NULL;

	for (unsigned i = 0; mark && i < h->kernel.n_policies; i++) {
		const struct xf_policy *p = &h->kernel.policies[i];

		if (p->dir == XF_OUT && p->mark == xf_mark_value(&marking, mark) &&
		    cs_selector_covers(&p->selector, sel) &&
		    (!best || p->priority < best->priority))
			best = p;
	}
	return best;
}

void sim_ask_many(struct sim_host *h, unsigned nth)
{
	struct cs_selector sel = {.local = cs_range_single(&h->addr), .proto = 1};
	struct cs_range all;

	if (cs_range_parse(SIM_MANY, &all, NULL))
		abort();
	for (unsigned i = 0; i < 2; i++)
		all.lo.b[3 - i] = (uint8_t)((nth + 1) >> 8 * i);
	sel.remote = cs_range_single(&all.lo);
	acquire(h, XF_MARK_RULE_MIN, &sel);
}

void vk_output(struct sim_host *h, struct sim_host *peer)
{
	struct cs_selector sel = {.local = cs_range_single(&h->addr),
				  .remote = cs_range_single(&peer->addr),
				  .proto = 1};
	const struct xf_policy *best;
	unsigned rule_id = rule_towards(h, peer);
	struct vk_sa *sa, *ah = NULL;

	if (!rule_id) { /* denied */
		if (h->edition != SIM_WITHOUT || h->edited != peer->index)
			sim_fail(h->sim, "host %u has no ipsec rule towards host %u", h->index,
				 peer->index);
		return;
	}
	best = outbound_policy(h, h->kernel.clients[peer->index], &sel);
	if (!best)
		best = outbound_policy(h, rule_id, &sel);
	sa = best && !best->hold ? outbound_sa(h, best->reqid, best->proto) : NULL;
	if (sa && best->bundle)
		ah = outbound_sa(h, best->reqid, IPPROTO_AH);
	if (!sa || (best->bundle && !ah)) {
		h->asked++;
		if (!best || !best->hold)
			acquire(h, rule_id, &sel);
		return;
	}
	h->sent++;
	sa->packets++;
	sim_push_esp(h, peer, sa);
	/* What is around it goes as a packet of its own, so that its keys are seen, too. */
	if (ah) {
		h->sent++;
		ah->packets++;
		sim_push_esp(h, peer, ah);
	}
}

/* It was authentic, and comes from where the SA does not have its peer. */
static void tell_mapping(struct sim_host *h, const struct vk_sa *sa, uint16_t port)
{
	struct xf_mapping m = {.id = sa->sa.id,
			       .reqid = sa->sa.reqid,
			       .old_peer = {sa->sa.src, sa->sa.encap_sport},
			       .new_peer = {sa->sa.src, port}};

	if (h->engine)
		ike_engine_mapping(h->engine, &m, sim_now(h->sim));
}

void vk_input(struct sim_host *h, const struct xf_said *id, uint16_t port,
	      const uint8_t *cipher_key, const uint8_t *integ_key)
{
	struct vk_sa *sa = vk_find(h, id);

	if (!sa || sa->larval || sa->sa.outbound)
		return; /* XfrmInNoStates */
	if (!port != !sa->sa.encap_sport)
		return; /* XfrmInStateMismatch */
	if (memcmp(sa->cipher_key, cipher_key, sizeof(sa->cipher_key)) ||
	    memcmp(sa->integ_key, integ_key, sizeof(sa->integ_key))) {
		if (!h->sim->hostile_peers)
			sim_fail(h->sim, "host %u: ESP with SPI %08x has another key here",
				 h->index, id->spi);
		return;
	}
	sa->packets++;
	h->received++;
	for (unsigned i = 0; i < h->sim->n_hosts; i++)
		if (cs_addr_equal(&h->sim->hosts[i].addr, &sa->sa.src))
			h->kernel.clients[i] = sa->sa.client;
	if (sa->sa.tell_first_packet && !sa->told_first) {
		sa->told_first = true;
		sim_push_expire(h, h->sim->now, id, false);
	}
	if (port != sa->sa.encap_sport)
		tell_mapping(h, sa, port);
}

void vk_check_pairs(struct sim *sim)
{
	if (sim->hostile_peers)
		return;
	for (unsigned a = 0; a < sim->n_hosts; a++)
		for (unsigned i = 0; i < sim->hosts[a].kernel.n_sas; i++) {
			const struct vk_sa *out = sim->hosts[a].kernel.sas[i];

			for (unsigned b = 0; b < sim->n_hosts && !out->larval; b++) {
				const struct vk_sa *in = vk_find(&sim->hosts[b], &out->sa.id);

				if (b == a || !in || in->larval || !out->sa.outbound ||
				    in->sa.outbound)
					continue;
				if (in->sa.cipher != out->sa.cipher ||
				    in->sa.integ != out->sa.integ || in->sa.mode != out->sa.mode ||
				    memcmp(in->cipher_key, out->cipher_key,
					   sizeof(in->cipher_key)) ||
				    memcmp(in->integ_key, out->integ_key, sizeof(in->integ_key)))
					sim_fail(sim, "hosts %u and %u disagree on SA %08x", a, b,
						 out->sa.id.spi);
			}
		}
}

void vk_halt(struct sim_host *h)
{
	struct vkernel *k = &h->kernel;
	struct vkernel fresh = {.refuse_permille = k->refuse_permille};

	for (unsigned i = 0; i < k->n_sas; i++)
		if (!k->sas[i]->larval)
			sim_saw_go(h, &k->sas[i]->sa);
	vk_clear(h);
	*k = fresh;
}

void vk_clear(struct sim_host *h)
{
	struct vkernel *k = &h->kernel;

	for (unsigned i = 0; i < k->n_sas; i++)
		free(k->sas[i]);
	free(k->sas);
	free(k->policies);
	free(k->larvals);
	memset(k, 0, sizeof(*k));
}
