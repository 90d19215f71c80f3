/*
 * Random scenarios.  A seed decides hosts, suite, network, troubles and what people do; then the
 * network becomes good, everything stale has time to expire, and traffic must flow both ways.
 */
#include <stdio.h>
#include <string.h>

#include "tests/sim/sim.h"

#define MINUTE      60000ull
#define TROUBLE_MAX (8 * MINUTE)
#define STUCK_MAX   (5 * MINUTE)
#define STALE_EXPIRES                                                                              \
	(31 * MINUTE) /* phase 1 lives 20 minutes here, phase 2 10, an exchange 254 s */
#define FLOW_WITHIN (15 * MINUTE)
#define NAT_WITHIN  20000 /* a keepalive's interval */

static bool add_host(struct sim *sim, const struct sim_variant *variant, unsigned host, unsigned n)
{
	struct pol_policy *policy = sim_policy(variant, host, n, SIM_WHOLE, 0);
	bool started;

	started = policy && sim_add_host(sim, variant, policy) == 0;
	pol_unref(policy);
	return started;
}

static void set_trouble(struct sim *sim)
{
	static const unsigned losses[] = {0, 0, 50, 200, 400};
	static const unsigned others[] = {0, 0, 50, 300};

	sim->net.loss = losses[sim_below(&sim->rng, 5)];
	sim->net.duplicate = others[sim_below(&sim->rng, 4)];
	sim->net.corrupt = others[sim_below(&sim->rng, 4)] / 5;
	sim->net.cut = sim->seed % 4 == 3 ? 500 : 0;
	sim->net.delay_min = 1 + sim_below(&sim->rng, 50);
	sim->net.delay_max = sim->net.delay_min + (sim_chance(&sim->rng, 300) ? 3000 : 50);
	sim->net.bad_until = sim_chance(&sim->rng, 200) ? 0 : sim_below(&sim->rng, TROUBLE_MAX);
	sim->pk_delay = sim_chance(&sim->rng, 500) ? 20 : 0;
	sim->commit_delay = sim_chance(&sim->rng, 500) ? 30 : 0;
	sim->commit_fail_permille = sim_chance(&sim->rng, 100) ? 300 : 0;
	if (sim_chance(&sim->rng, 100)) /* a store that is stuck for longer than anybody waits */
		sim->commit_delay = STUCK_MAX;
}

static void plan_actions(struct sim *sim)
{
	static const enum sim_action rare[] = {SIM_DROP_P1, SIM_DROP_P2, SIM_RELOAD, SIM_RESTART,
					       SIM_RESYNC};
	unsigned n = 1 + sim_below(&sim->rng, 8);

	for (unsigned i = 0; i < n; i++) {
		unsigned host = sim_below(&sim->rng, sim->n_hosts);
		unsigned peer = (host + 1 + sim_below(&sim->rng, sim->n_hosts - 1)) % sim->n_hosts;
		uint64_t at = 1000 + sim_below(&sim->rng, TROUBLE_MAX);
		enum sim_action action = SIM_TRAFFIC;

		if (sim_chance(&sim->rng, 350))
			action = rare[sim_below(&sim->rng, 5)];
		sim_at(sim, at, host, action, peer);
		if (action == SIM_TRAFFIC && sim_chance(&sim->rng, 300)) /* both ends at once */
			sim_at(sim, at + sim_below(&sim->rng, 40), peer, SIM_TRAFFIC, host);
	}
}

/* Engines that die in the middle of something, alone, with their parent or with the whole host. */
static void plan_kills(struct sim *sim)
{
	unsigned n = sim_chance(&sim->rng, 300) ? 1 + sim_below(&sim->rng, 6) : 0;

	for (unsigned i = 0; i < n; i++) {
		unsigned host = sim_below(&sim->rng, sim->n_hosts);
		unsigned peer = (host + 1 + sim_below(&sim->rng, sim->n_hosts - 1)) % sim->n_hosts;
		uint64_t at = 2000 + sim_below(&sim->rng, TROUBLE_MAX - 4000);

		sim_at(sim, at - sim_below(&sim->rng, 1000), host, SIM_TRAFFIC, peer);
		sim_at(sim, at, host, SIM_KILL, sim_below(&sim->rng, SIM_DEATHS));
	}
}

/* A NAT that is restarted now and then, whatever else goes on. */
static void plan_nat(struct sim *sim)
{
	for (unsigned i = sim_below(&sim->rng, 4); i; i--)
		sim_at(sim, 1000 + sim_below(&sim->rng, TROUBLE_MAX), 0, SIM_NAT_RESTART, 0);
}

static void expect_traffic(struct sim *sim)
{
	for (unsigned i = 1; i < sim->n_hosts && !sim->failure[0]; i++)
		if (!sim_both_ways(sim, 0, i, FLOW_WITHIN))
			sim_fail(sim, "no traffic between hosts 0 and %u on a good network", i);
}

/* Until nobody dies any more. */
static void all_alive(struct sim *sim)
{
	for (unsigned i = 0; i < sim->n_hosts && !sim->failure[0]; i++)
		while ((!sim->hosts[i].engine || sim->hosts[i].fuse) && !sim->failure[0])
			sim_run(sim, sim->now + 1000);
}

static void whole_policies(struct sim *sim)
{
	for (unsigned i = 0; i < sim->n_hosts && !sim->failure[0]; i++)
		if (sim->hosts[i].edition != SIM_WHOLE)
			sim_reload(&sim->hosts[i], SIM_WHOLE, 0);
}

/* Under live tunnels: who is behind it speaks, and is answered where it is now. */
static void nat_in_peace(struct sim *sim)
{
	sim_nat_restart(&sim->hosts[0]);
	for (unsigned i = 1; i < sim->n_hosts && !sim->failure[0]; i++)
		if (!sim_both_ways(sim, 0, i, NAT_WITHIN))
			sim_fail(sim, "no traffic with host %u after its NAT was restarted", i);
}

/* All tunnels are up and the network is good: now a rule goes or changes, and comes back. */
static void reload_in_peace(struct sim *sim)
{
	unsigned host = sim_below(&sim->rng, sim->n_hosts);
	unsigned peer = (host + 1 + sim_below(&sim->rng, sim->n_hosts - 1)) % sim->n_hosts;

	sim_reload(&sim->hosts[host], sim_chance(&sim->rng, 500) ? SIM_WITHOUT : SIM_CHANGED, peer);
	sim_run(sim, sim->now + 2000);
	whole_policies(sim);
	sim_run(sim, sim->now + 2000);
	expect_traffic(sim);
}

/* Returns false when an invariant broke; the reason is in sim->failure. */
static bool run(struct sim *sim, uint64_t seed, bool verbose)
{
	unsigned variant, n;

	sim_init(sim, seed, verbose);
	variant = sim_below(&sim->rng, sim_n_variants);
	n = sim_chance(&sim->rng, 300) ? 3 : 2;
	set_trouble(sim);
	for (unsigned i = 0; i < n; i++) {
		if (!add_host(sim, &sim_variants[variant], i, n)) {
			sim_fail(sim, "host %u did not start", i);
			break;
		}
		sim->hosts[i].commits = sim_chance(&sim->rng, 200);
		if (sim_chance(&sim->rng, 100))
			sim->hosts[i].kernel.refuse_permille = 200;
	}
	if (!sim->failure[0]) {
		plan_actions(sim);
		plan_kills(sim);
		if (sim_variants[variant].nat == SIM_NAT)
			plan_nat(sim);
		sim_run(sim, TROUBLE_MAX + 1000);
		if (sim->commit_delay == STUCK_MAX)
			sim->commit_delay = 0;
		all_alive(sim);
		whole_policies(sim);
		sim_run(sim, sim->now + STALE_EXPIRES);
		expect_traffic(sim);
		if (sim_variants[variant].nat == SIM_NAT && !sim->failure[0])
			nat_in_peace(sim);
		if (sim_chance(&sim->rng, 300) && !sim->failure[0])
			reload_in_peace(sim);
	}
	sim_end(sim);
	return sim->failure[0] == '\0';
}

static void count_deaths(const struct sim *sim, unsigned long *runs, unsigned long *deaths,
			 unsigned long *in_doubt, unsigned long *records)
{
	unsigned long before = *deaths;

	for (unsigned h = 0; h < sim->n_hosts; h++) {
		*deaths += sim->hosts[h].deaths;
		*in_doubt += sim->hosts[h].in_doubt;
		*records += sim->hosts[h].ledger.n_outbox;
	}
	*runs += *deaths > before;
}

unsigned sim_random_scenarios(uint64_t first_seed, unsigned n, bool verbose)
{
	static struct sim sim;
	unsigned failed = 0;
	unsigned long datagrams = 0, adopted = 0, kept = 0, gone = 0, moved = 0;
	unsigned long records = 0, deaths = 0, in_doubt = 0, runs = 0;

	for (unsigned i = 0; i < n; i++) {
		uint64_t seed = first_seed + i;

		if (!run(&sim, seed, verbose)) {
			failed++;
			printf("FAIL seed %llu %s\n", (unsigned long long)seed, sim.failure);
		}
		datagrams += sim.datagrams;
		for (unsigned h = 0; h < sim.n_hosts; h++)
			adopted += sim.hosts[h].adopted, moved += sim.hosts[h].moved;
		count_deaths(&sim, &runs, &deaths, &in_doubt, &records);
		kept += sim.kept;
		gone += sim.told_gone;
	}
	printf("sim: %u random scenarios from seed %llu, %lu datagrams; %lu SAs lived on over a "
	       "restart; by new policies %lu SA pairs lived on, %lu ended at both sides; %lu "
	       "moved; "
	       "%u failed\n",
	       n, (unsigned long long)first_seed, datagrams, adopted, kept, gone, moved, failed);
	printf("sim: %lu records; in %lu scenarios %lu engines killed, %lu pairs in doubt after "
	       "that\n",
	       records, runs, deaths, in_doubt);
	return failed;
}
