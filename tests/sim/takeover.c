/*
 * Takeovers: three hosts have one address between them, which moves as they die, give it back, or
 * both believe that it is theirs; their peers have engines of their own and know nothing of it.
 * In the end one host has it, traffic flows with every peer, and nothing of the others is left.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

#define FUSE_MS     5000u /* until a host that does nothing dies all the same */
#define OWNERS      3u
#define MINUTE      60000ull
#define FLOW_WITHIN (15 * MINUTE)
#define STALE       (31 * MINUTE) /* as in scenarios.c */
#define AT_ONCE     1000u         /* all is up, on a good network */
#define TOLD        3000u         /* the peers have heard what is gone */

struct totals {
	unsigned long moves, crashes, given_back, splits, halfway, inherited, at_once;
};

static bool is_owner(const struct sim_host *h)
{
	return h->index < OWNERS;
}

static struct sim_host *holder(struct sim *sim)
{
	for (unsigned i = 0; i < OWNERS; i++)
		if (!sim->hosts[i].absent && sim->hosts[i].engine && !sim->hosts[i].dead)
			return &sim->hosts[i];
	return NULL;
}

static struct sim_host *another(struct sim *sim, const struct sim_host *than)
{
	for (;;) {
		struct sim_host *h = &sim->hosts[sim_below(&sim->rng, OWNERS)];

		if (h != than)
			return h;
	}
}

static void run_for(struct sim *sim, uint64_t ms)
{
	if (!sim->failure[0])
		sim_run(sim, sim->now + ms);
}

/* Hosts that are down come back, without the address. */
static void all_up(struct sim *sim)
{
	for (unsigned i = 0; i < sim->n_hosts && !sim->failure[0]; i++)
		while (!sim->hosts[i].engine && !sim->failure[0])
			run_for(sim, 500);
}

static bool setup(struct sim *sim, const struct sim_variant *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned name = i < OWNERS ? 0 : i - OWNERS + 1; /* the hosts are one to others */
		struct pol_policy *policy = sim_policy(v, name, n - OWNERS + 1, SIM_WHOLE, 0);
		struct sim_host *h = &sim->hosts[i];
		bool ok = policy && sim_add_host(sim, v, policy) == 0;

		pol_unref(policy);
		if (!ok) {
			sim_fail(sim, "host %u did not start", i);
			return false;
		}
		h->nat.there = v->nat == SIM_NAT && !is_owner(h) && sim_chance(&sim->rng, 700);
		cs_addr_parse(sim_address(v->ipv6, name), &h->addr, NULL);
		if (is_owner(h)) {
			h->absent = true;
			h->outside = 0;
		}
	}
	return true;
}

static void packets(struct sim *sim)
{
	for (unsigned i = OWNERS; i < sim->n_hosts; i++) {
		struct sim_host *h = holder(sim);

		if (h && sim_chance(&sim->rng, 500))
			sim_packet(sim, h->index, i);
		if (sim_chance(&sim->rng, 500))
			sim_packet(sim, i, 0);
	}
}

static void live(struct sim *sim, uint64_t ms)
{
	for (uint64_t end = sim->now + ms; sim->now < end && !sim->failure[0];) {
		run_for(sim, 1 + sim_below(&sim->rng, 2000));
		packets(sim);
	}
}

/* ---- moves ---- */

/* In the middle of something, where it does anything within the time; else all the same. */
static void crash(struct sim *sim, struct sim_host *h, bool in_the_middle)
{
	uint64_t end = sim->now + FUSE_MS;
	uint64_t deaths = h->deaths;

	if (in_the_middle) {
		sim_light_fuse(h, SIM_WHOLE_HOST);
		while (h->deaths == deaths && sim->now < end && !sim->failure[0])
			run_for(sim, 10);
	}
	if (h->deaths == deaths)
		sim_bury(h, SIM_WHOLE_HOST);
	h->absent = true;
}

static unsigned arrive(struct sim *sim, struct sim_host *h, struct totals *t)
{
	unsigned n;

	while (!h->engine && !sim->failure[0])
		run_for(sim, 100);
	if (sim->failure[0])
		return 0;
	n = sim_arrive(h);
	t->moves++;
	t->inherited += n;
	return n;
}

static void split(struct sim *sim, struct sim_host *old, struct sim_host *new, struct totals *t)
{
	arrive(sim, new, t); /* both have it, and this is the last claim */
	live(sim, sim_below(&sim->rng, 3000));
	sim_depart(old, false);
	live(sim, sim_below(&sim->rng, 5000));
	old->absent = true;
	t->splits++;
}

static void move(struct sim *sim, struct totals *t)
{
	struct sim_host *old = holder(sim), *new = another(sim, old);

	switch (sim_below(&sim->rng, old ? 4 : 1)) {
	case 0:
		if (old)
			crash(sim, old, false);
		t->crashes++;
		run_for(sim, sim_below(&sim->rng, 3000));
		arrive(sim, new, t);
		break;
	case 1:
		sim_depart(old, true);
		old->absent = true;
		t->given_back++;
		run_for(sim, sim_below(&sim->rng, 500));
		arrive(sim, new, t);
		break;
	case 2:
		split(sim, old, new, t);
		break;
	case 3: /* the next one dies in the middle of it, and a third one goes on */
		crash(sim, old, false);
		arrive(sim, new, t);
		crash(sim, new, true);
		t->halfway++;
		arrive(sim, another(sim, new), t);
		break;
	}
}

/* ---- what must be ---- */

static int see_peer(void *arg, const struct ike_p2_info *i)
{
	struct sim_host *peer = ((struct sim_host **)arg)[0], *owner = ((struct sim_host **)arg)[1];
	struct xf_said out = {i->remote, ike_ipproto(i->suite.protocol), i->spi_out};

	if (i->state == IKE_P2_DONE && cs_addr_equal(&i->remote, &owner->addr) &&
	    !vk_find(owner, &out))
		sim_fail(peer->sim, "host %u has a pair with SPI %08x, which host %u has not",
			 peer->index, i->spi_out, owner->index);
	return 0;
}

/* Peers have nothing that the owner has not. */
static void check_peers(struct sim *sim, struct sim_host *owner)
{
	for (unsigned i = OWNERS; i < sim->n_hosts; i++) {
		struct sim_host *both[2] = {&sim->hosts[i], owner};

		if (sim->hosts[i].engine)
			ike_engine_each_p2(sim->hosts[i].engine, see_peer, both);
	}
}

/*
 * On a good network: all that was up is up again before anybody asks, the peers have heard what is
 * gone, and the store has nothing of before.
 */
static void move_in_peace(struct sim *sim, struct totals *t)
{
	struct sim_host *old = holder(sim), *new = another(sim, old);
	bool planned = sim_chance(&sim->rng, 300);
	unsigned n;

	if (sim->failure[0])
		return;
	if (planned)
		sim_depart(old, true);
	else
		crash(sim, old, false);
	old->absent = true;
	n = arrive(sim, new, t);
	run_for(sim, AT_ONCE);
	if (!sim->failure[0] && ike_engine_stats(new->engine)->p2_live < sim->n_hosts - OWNERS)
		sim_fail(sim, "%u pairs after a second, %u were inherited",
			 ike_engine_stats(new->engine)->p2_live, n);
	run_for(sim, TOLD);
	if (sim->failure[0])
		return;
	check_peers(sim, new);
	if (sim_share_foreign(sim))
		sim_fail(sim, "%u rows of the store are not settled", sim_share_foreign(sim));
	t->at_once += n;
}

static void expect_traffic(struct sim *sim)
{
	struct sim_host *h = holder(sim);

	for (unsigned i = OWNERS; h && i < sim->n_hosts && !sim->failure[0]; i++)
		if (!sim_both_ways(sim, h->index, i, FLOW_WITHIN))
			sim_fail(sim, "no traffic between host %u and peer %u on a good network",
				 h->index, i);
}

static void set_trouble(struct sim *sim)
{
	static const unsigned losses[] = {0, 50, 200, 400};

	sim->net.loss = losses[sim_below(&sim->rng, 4)];
	sim->net.duplicate = sim_chance(&sim->rng, 300) ? 100 : 0;
	sim->net.delay_min = 1 + sim_below(&sim->rng, 30);
	sim->net.delay_max = sim->net.delay_min + (sim_chance(&sim->rng, 200) ? 1500 : 30);
	sim->net.bad_from = sim->now;
	sim->net.bad_until = sim_chance(&sim->rng, 300) ? 0 : UINT64_MAX;
	sim->pk_delay = sim_chance(&sim->rng, 500) ? 20 : 0;
	sim->commit_delay = sim_chance(&sim->rng, 500) ? 30 : 0;
}

static const struct sim_variant *any_variant(struct sim *sim)
{
	for (;;) {
		const struct sim_variant *v = &sim_variants[sim_below(&sim->rng, sim_n_variants)];

		if (!v->clients)
			return v;
	}
}

static bool run(struct sim *sim, uint64_t seed, bool verbose, struct totals *t)
{
	const struct sim_variant *v;
	unsigned n;

	sim_init(sim, seed, verbose);
	sim_share(sim);
	v = any_variant(sim);
	n = OWNERS + 1 + sim_below(&sim->rng, v->signs ? 2 : 4);
	if (setup(sim, v, n)) {
		arrive(sim, &sim->hosts[0], t);
		expect_traffic(sim);
		if (v->nat != SIM_NAT) {
			move_in_peace(sim, t);
			move_in_peace(sim, t);
		}
		expect_traffic(sim);
		set_trouble(sim);
		for (unsigned i = 1 + sim_below(&sim->rng, 5); i && !sim->failure[0]; i--) {
			move(sim, t);
			live(sim, sim_below(&sim->rng, sim_chance(&sim->rng, 300) ? 300000 : 5000));
		}
		sim->net.bad_until = 0;
		all_up(sim);
		if (!sim->failure[0] && !holder(sim))
			sim_fail(sim, "nobody has the address");
		expect_traffic(sim);
		run_for(sim, STALE);
		if (!sim->failure[0] && sim_share_foreign(sim))
			sim_fail(sim, "%u rows of the store were never settled",
				 sim_share_foreign(sim));
		expect_traffic(sim);
	}
	sim_end(sim);
	return sim->failure[0] == '\0';
}

unsigned sim_takeovers(uint64_t first_seed, unsigned n, bool verbose)
{
	static struct sim sim;
	struct totals t = {0};
	unsigned failed = 0;

	for (unsigned i = 0; i < n; i++) {
		uint64_t seed = first_seed + i;

		if (run(&sim, seed, verbose, &t))
			continue;
		failed++;
		printf("FAIL seed %llu %s\n", (unsigned long long)seed, sim.failure);
	}
	printf("sim: %u scenarios of takeovers from seed %llu: the address moved %lu times (%lu "
	       "crashes, %lu planned, %lu with two owners for a while, %lu in which the next one "
	       "died in the middle), %lu pairs inherited, %lu of them up within a second on a "
	       "good network; %u failed\n",
	       n, (unsigned long long)first_seed, t.moves, t.crashes, t.given_back, t.splits,
	       t.halfway, t.inherited, t.at_once, failed);
	return failed;
}

/* ---- many at once ---- */

static const struct sim_variant usual = {"AES_CBC KeyLength 256",
					 "SHA2_256",
					 "Group19",
					 "Transport",
					 "AES_CBC KeyLength 256",
					 "ESP HMAC_SHA2_256_128",
					 "Group19",
					 .p1_life = 480,
					 .p2_life = 240,
					 .liveness = 1500};

#define AT_A_TIME 128u
#define DEAF_MS   15000u

/* Phase 1 with peers that answer; where some do not it is for them that it is negotiated. */
static void check_bound(struct sim *sim, const struct ike_stats *stats)
{
	uint64_t under_way = stats->p1_initiated - stats->p1_up - stats->p1_failed;

	if (!sim->hosts[2].deaf_from && under_way > AT_A_TIME)
		sim_fail(sim, "%llu phase 1 negotiations at a time", (unsigned long long)under_way);
}

/*
 * One engine stands for all peers, each with an address of its own.  Two jobs a phase 1, two more
 * with PFS; the virtual time is the network's, as keys take none.  deaf: so many do
 * not answer, those that were used last, and the others may not have to wait for long because of
 * that.  send: all peers send by the SAs of before.
 */
unsigned sim_takeover_many(unsigned peers, unsigned deaf, bool send, uint64_t seed, bool verbose)
{
	static struct sim sim;
	const struct ike_stats *stats;
	struct sim_host *old, *new;
	unsigned there = peers - deaf;
	unsigned long jobs;
	uint64_t begun, end = 0;
	double keys;

	sim_init(&sim, seed, verbose);
	sim.check_every = UINT32_MAX;
	sim.peers_send = send;
	sim_share(&sim);
	for (unsigned i = 0; i < 3 && !sim.failure[0]; i++) {
		struct pol_policy *policy = sim_policy_many(&usual, i == 2);

		if (!policy || sim_add_host(&sim, &usual, policy) < 0)
			sim_fail(&sim, "host %u did not start", i);
		pol_unref(policy);
	}
	old = &sim.hosts[0];
	new = &sim.hosts[1];
	new->addr = old->addr;
	old->absent = new->absent = true;
	sim.hosts[2].many = true;
	if (!sim.failure[0])
		sim_arrive(old);
	for (unsigned i = 0; i < peers && !sim.failure[0]; i++) {
		sim_ask_many(old, i);
		if (i % 50 == 49)
			sim_run(&sim, sim.now + 200);
	}
	run_for(&sim, 5000);
	if (!sim.failure[0] && ike_engine_stats(old->engine)->p2_live != peers)
		sim_fail(&sim, "%u of %u tunnels are up", ike_engine_stats(old->engine)->p2_live,
			 peers);
	if (!sim.failure[0]) {
		sim_bury(old, SIM_WHOLE_HOST);
		old->absent = true;
		jobs = new->all_jobs;
		begun = sim.now;
		keys = sim.pk_ms;
		sim_arrive(new);
		stats = ike_engine_stats(new->engine);
		sim.hosts[2].deaf_from = deaf ? there + 1 : 0;
		while (!sim.failure[0] && sim.now < begun + MINUTE && stats->taken_over < there) {
			sim_run(&sim, sim.now + 1);
			check_bound(&sim, stats);
		}
		end = sim.now;
		keys = sim.pk_ms - keys;
		jobs = new->all_jobs - jobs;
		run_for(&sim, TOLD);
		if (stats->taken_over != there || stats->given_up)
			sim_fail(&sim, "%llu of %u tunnels were taken over",
				 (unsigned long long)stats->taken_over, there);
		if (!sim.failure[0] && jobs != 4ul * there)
			sim_fail(&sim, "%lu public-key jobs for %u tunnels with PFS", jobs, there);
		if (!sim.failure[0] && ike_engine_stats(sim.hosts[2].engine)->p2_live != peers)
			sim_fail(&sim, "the peers have %u pairs for %u tunnels",
				 ike_engine_stats(sim.hosts[2].engine)->p2_live, peers);
		if (deaf && end - begun > DEAF_MS)
			sim_fail(&sim, "silent peers delay others by %llu ms",
				 (unsigned long long)(end - begun));
		printf("sim: %u tunnels taken over in %llu ms of virtual time, %lu public-key "
		       "jobs (4 a tunnel, with PFS), which took %.0f ms of CPU, %u peers do not "
		       "answer\n",
		       there, (unsigned long long)(end - begun), jobs, keys, peers - there);
	}
	sim_end(&sim);
	if (sim.failure[0])
		printf("FAIL seed %llu %s\n", (unsigned long long)seed, sim.failure);
	return sim.failure[0] != '\0';
}
