/*
 * One host and its many peers for a long time, at usual lifetimes: refreshes of both phases from
 * both sides, an hour of a bad network each day, and engines that are killed.  On a good network
 * no packet that finds an SA may get lost, and none may have to ask for a tunnel that was up.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

#define MINUTE 60000ull
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define AFTER  (15 * MINUTE) /* a bad network: what it left comes to its end */
#define EACH   10u           /* minutes between two packets of one pair of hosts */
#define KILLS  4u            /* a day */
#define NEAR   40u           /* a day: refreshes in which an engine is killed */

static const struct sim_variant usual = {"AES_CBC KeyLength 256",
					 "SHA2_256",
					 "Group19",
					 "Transport",
					 "AES_CBC KeyLength 256",
					 "ESP HMAC_SHA2_256_128",
					 "None",
					 .p1_life = 480,
					 .p2_life = 240,
					 .liveness = 1500 /* longer than between packets */};

struct totals {
	unsigned long sent, received, asked;
};

static struct totals totals_of(const struct sim *sim)
{
	struct totals t = {0, 0, 0};

	for (unsigned i = 0; i < sim->n_hosts; i++) {
		t.sent += sim->hosts[i].sent;
		t.received += sim->hosts[i].received;
		t.asked += sim->hosts[i].asked;
	}
	return t;
}

static void traffic(struct sim *sim, uint64_t minute)
{
	for (unsigned i = 1; i < sim->n_hosts; i++)
		if ((minute + i) % EACH == 0) {
			sim_packet(sim, 0, i);
			sim_packet(sim, i, 0);
		}
}

/*
 * A peer begins a refresh, of phase 1 perhaps the host, too, and the peer's engine dies in the
 * middle.  A responder of Quick Mode is left out: its DELETE may overtake its message 2, and the
 * initiator then has a pair of which nobody tells it that it is gone.  Nor is it in the last second
 * of a minute: an initiator that comes back has no keys for the pair that it had half of, and what
 * the host has sent by it before it hears that is lost.
 */
static void plan_kill_near(struct sim *sim)
{
	uint64_t at = sim->now + sim_below(&sim->rng, DAY / MINUTE - 1) * MINUTE +
		      sim_below(&sim->rng, (uint32_t)MINUTE - 1000);
	enum sim_action action = sim_chance(&sim->rng, 500) ? SIM_REFRESH_P1 : SIM_REFRESH_P2;
	unsigned peer = 1 + sim_below(&sim->rng, sim->n_hosts - 1);

	sim_at(sim, at, peer, action, 0);
	if (action == SIM_REFRESH_P1 && sim_chance(&sim->rng, 300))
		sim_at(sim, at + sim_below(&sim->rng, 60), 0, action, 0);
	sim_at(sim, at + sim_below(&sim->rng, 150), peer, SIM_RESTART, 0);
}

static void plan_day(struct sim *sim)
{
	uint64_t bad = sim->now + sim_below(&sim->rng, 22 * 60) * MINUTE;

	for (unsigned i = 0; i < KILLS; i++)
		sim_at(sim, sim->now + sim_below(&sim->rng, (uint32_t)(DAY - MINUTE)),
		       sim_below(&sim->rng, sim->n_hosts), SIM_RESTART, 0);
	for (unsigned i = 0; i < NEAR; i++)
		plan_kill_near(sim);
	sim->net.loss = 50;
	sim->net.duplicate = 50;
	sim->net.delay_min = 20;
	sim->net.delay_max = 400;
	sim->net.bad_from = bad;
	sim->net.bad_until = bad + HOUR;
}

static bool good(const struct sim *sim)
{
	return sim->now < sim->net.bad_from || sim->now > sim->net.bad_until + AFTER;
}

static void run_day(struct sim *sim, unsigned day, unsigned long *packets)
{
	uint64_t start = sim->now;
	bool was_good = false;
	struct totals before = {0, 0, 0}, now;

	plan_day(sim);
	for (uint64_t minute = 0; minute < 24 * 60 && !sim->failure[0]; minute++) {
		sim->now = start + minute * MINUTE > sim->now ? start + minute * MINUTE : sim->now;
		traffic(sim, minute);
		sim_run(sim, start + (minute + 1) * MINUTE);
		now = totals_of(sim);
		if (was_good && good(sim) && (day || minute > 30)) {
			if (now.sent - before.sent != now.received - before.received)
				sim_fail(sim, "day %u: %lu packets sent, %lu received", day,
					 now.sent - before.sent, now.received - before.received);
			if (now.asked != before.asked)
				sim_fail(sim, "day %u: %lu packets had to ask for a tunnel", day,
					 now.asked - before.asked);
			*packets += now.sent - before.sent;
		}
		before = now;
		was_good = good(sim);
	}
}

unsigned sim_endurance(unsigned days, unsigned peers, uint64_t seed, bool verbose)
{
	static struct sim sim;
	unsigned long packets = 0, restarts = 0;
	unsigned n = peers + 1;

	sim_init(&sim, seed, verbose);
	sim.check_every = 1000;
	sim.pk_delay = 20;
	sim.commit_delay = 30;
	for (unsigned i = 0; i < n && !sim.failure[0]; i++) {
		struct pol_policy *policy = sim_policy(&usual, i, n, SIM_WHOLE, 0);

		if (!policy || sim_add_host(&sim, &usual, policy) < 0)
			sim_fail(&sim, "host %u did not start", i);
		pol_unref(policy);
	}
	for (unsigned day = 0; day < days && !sim.failure[0]; day++)
		run_day(&sim, day, &packets);
	for (unsigned i = 0; i < n; i++)
		restarts += sim.hosts[i].epoch;
	sim_end(&sim);
	if (sim.failure[0])
		printf("FAIL seed %llu %s\n", (unsigned long long)seed, sim.failure);
	printf("sim: %u days of %u peers from seed %llu, %lu datagrams, %lu engines killed, %lu "
	       "packets, "
	       "none of them lost on a good network: %s\n",
	       days, peers, (unsigned long long)seed, sim.datagrams, restarts, packets,
	       sim.failure[0] ? "no" : "yes");
	return sim.failure[0] != '\0';
}
