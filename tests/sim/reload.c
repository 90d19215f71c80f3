/*
 * New policies under a running engine: one rule changed, one rule gone, and back.  What must be so
 * when the engine has the new policy, and on a good network soon after at the other end:
 *
 *   - pairs of rules that stay are as they were, in the engine and in the kernel;
 *   - of rules that went or changed nothing is left, here and at the peer;
 *   - who loses nothing says nothing.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

#define PEER_KNOWS_MS 1000 /* a good network takes 10 ms at most */

/* A pair, up or under way. */
struct seen {
	bool up;
	uint16_t rule_id;
	struct xf_said in, out;
	bool in_kernel, out_kernel;
};

struct list {
	struct sim_host *host;
	struct seen *pairs;
	unsigned n;
};

static int see(void *arg, const struct ike_p2_info *i)
{
	struct list *l = arg;
	uint8_t proto = i->suite.protocol == POL_AH ? IPPROTO_AH : IPPROTO_ESP;
	struct seen *grown, *s;

	grown = realloc(l->pairs, (l->n + 1) * sizeof(*grown));
	if (!grown)
		abort();
	l->pairs = grown;
	s = &l->pairs[l->n++];
	s->up = i->state == IKE_P2_DONE;
	s->rule_id = i->rule_id;
	s->in = (struct xf_said){i->local, proto, i->spi_in};
	s->out = (struct xf_said){i->remote, proto, i->spi_out};
	s->in_kernel = vk_find(l->host, &s->in);
	s->out_kernel = vk_find(l->host, &s->out);
	return 0;
}

static bool listed(const struct list *l, const struct seen *s)
{
	for (unsigned i = 0; i < l->n; i++)
		if (l->pairs[i].in.spi == s->in.spi && l->pairs[i].out.spi == s->out.spi &&
		    cs_addr_equal(&l->pairs[i].out.dst, &s->out.dst))
			return true;
	return false;
}

/* ---- the other end ---- */

struct contact {
	const struct ike_p1_info *ours;
	bool known;
};

static int same_p1(void *arg, const struct ike_p1_info *i)
{
	struct contact *c = arg;

	/* Of a client that is not let in yet nothing is heard. */
	c->known = i->state == IKE_P1_DONE && (!i->suite.xauth || i->user[0]) &&
		   !memcmp(i->icookie, c->ours->icookie, sizeof(i->icookie)) &&
		   !memcmp(i->rcookie, c->ours->rcookie, sizeof(i->rcookie));
	return c->known;
}

struct reach {
	struct sim_host *host, *peer;
	unsigned ours, shared;
};

static int count_shared(void *arg, const struct ike_p1_info *i)
{
	struct reach *r = arg;
	struct contact c = {i, false};

	if (i->state != IKE_P1_DONE || !cs_addr_equal(&i->remote.addr, &r->peer->addr))
		return 0;
	ike_engine_each_p1(r->peer->engine, same_p1, &c);
	r->ours++;
	r->shared += c.known && sim_nat_lets_in(r->peer, r->host, i->remote.port);
	return 0;
}

/* Can this host tell the peer something, whichever phase 1 it takes for that? */
static bool reaches(struct sim_host *h, struct sim_host *peer)
{
	struct reach r = {h, peer, 0, 0};

	if (sim_bad(h->sim) || !peer->engine)
		return false;
	ike_engine_each_p1(h->engine, count_shared, &r);
	return r.ours && r.ours == r.shared;
}

static void expect_gone(struct sim *sim, unsigned host, const struct xf_said *id)
{
	struct sim_gone *grown = realloc(sim->gone, (sim->n_gone + 1) * sizeof(*grown));

	if (!grown)
		abort();
	sim->gone = grown;
	sim->gone[sim->n_gone++] = (struct sim_gone){host, *id, sim->now + PEER_KNOWS_MS};
}

static void expect_gone_at_peer(struct sim_host *h, const struct seen *s)
{
	struct sim *sim = h->sim;

	for (unsigned i = 0; i < sim->n_hosts; i++) {
		struct sim_host *peer = &sim->hosts[i];

		if (!cs_addr_equal(&peer->addr, &s->out.dst) || !reaches(h, peer))
			continue;
		expect_gone(sim, i, &s->in);
		expect_gone(sim, i, &s->out);
		sim->told_gone++;
	}
}

void sim_check_gone(struct sim *sim)
{
	for (unsigned i = 0; i < sim->n_gone; i++) {
		struct sim_gone g = sim->gone[i];

		if (sim->now < g.at)
			continue;
		sim->gone[i--] = sim->gone[--sim->n_gone];
		if (vk_find(&sim->hosts[g.host], &g.id))
			sim_fail(sim,
				 "host %u: SA %08x is there %u ms after the peer lost its rule",
				 g.host, g.id.spi, PEER_KNOWS_MS);
	}
}

/* ---- this end ---- */

/* No outbound policy is of a rule that the policy does not have. */
static void check_kernel(struct sim_host *h)
{
	const struct vkernel *k = &h->kernel;

	for (unsigned i = 0; i < k->n_policies; i++)
		if (!pol_rule_by_id(h->policy, xf_reqid_rule(k->policies[i].reqid)))
			sim_fail(h->sim, "host %u: a policy is of rule %u, which is gone", h->index,
				 xf_reqid_rule(k->policies[i].reqid));
}

static void check_pair(struct sim_host *h, const struct seen *s, const struct list *now)
{
	struct sim *sim = h->sim;

	if (!pol_rule_by_id(h->policy, s->rule_id)) {
		if (listed(now, s) || vk_find(h, &s->in) || vk_find(h, &s->out))
			sim_fail(sim, "host %u: SA %08x of rule %u, which is gone, is kept",
				 h->index, s->in.spi, s->rule_id);
		return;
	}
	sim->kept += s->up;
	if (!listed(now, s) || !!vk_find(h, &s->in) != s->in_kernel ||
	    !!vk_find(h, &s->out) != s->out_kernel)
		sim_fail(sim, "host %u: SA %08x of rule %u, which stays, did not live on", h->index,
			 s->in.spi, s->rule_id);
}

void sim_reload(struct sim_host *h, enum sim_edition edition, unsigned peer)
{
	/* Made anew each time, so that nothing of the one before is there by chance. */
	struct pol_policy *policy =
		sim_policy(h->variant, h->index, h->sim->n_hosts, edition, peer);
	struct pol_policy *old = h->policy;
	const struct ike_stats *stats = ike_engine_stats(h->engine);
	struct list before = {.host = h}, after = {.host = h};
	unsigned live = stats->p2_live;
	unsigned long datagrams = h->sim->datagrams;

	if (!policy)
		abort();
	h->fuse = 0; /* what is to be so afterwards is of an engine that lives */
	ike_engine_each_p2(h->engine, see, &before);
	h->policy = policy;
	h->edition = edition;
	h->edited = peer;
	for (unsigned i = 0; i < before.n; i++)
		if (before.pairs[i].up && !pol_rule_by_id(policy, before.pairs[i].rule_id))
			expect_gone_at_peer(h, &before.pairs[i]);
	ike_engine_policy(h->engine, policy, sim_now(h->sim));
	pol_unref(old);
	ike_engine_each_p2(h->engine, see, &after);
	for (unsigned i = 0; i < before.n; i++)
		check_pair(h, &before.pairs[i], &after);
	check_kernel(h);
	if (stats->p2_live == live && h->sim->datagrams != datagrams)
		sim_fail(h->sim, "host %u: a policy that ends nothing made it talk", h->index);
	free(before.pairs);
	free(after.pairs);
}
