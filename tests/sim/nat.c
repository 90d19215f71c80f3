/*
 * A NAT in front of a simulated host: its address stays and its ports are translated, to another
 * number for each host outside.  A mapping is forgotten when nothing used it for a while, and all
 * are when the NAT is restarted; who then comes from inside gets another number, and nobody gets
 * in.
 */
#include "tests/sim/sim.h"

#include <string.h>

static struct sim_mapping *mapping_of(struct sim_host *h, const struct sim_host *outside,
				      uint16_t inner)
{
	return &h->nat.mappings[outside->outside][inner == 4500];
}

static bool lives(const struct sim_host *h, const struct sim_mapping *m)
{
	return m->outer && h->sim->now - m->used <= h->nat.timeout;
}

static uint16_t out(struct sim_host *h, const struct sim_host *outside, uint16_t inner)
{
	struct sim_mapping *m = mapping_of(h, outside, inner);

	if (!lives(h, m))
		m->outer = (uint16_t)(1024 + sim_below(&h->sim->rng, 60000));
	m->used = h->sim->now;
	return m->outer;
}

bool sim_nat_lets_in(const struct sim_host *h, const struct sim_host *outside, uint16_t port)
{
	for (unsigned i = 0; i < 2 && h->nat.there; i++) {
		const struct sim_mapping *m = &h->nat.mappings[outside->outside][i];

		if (lives(h, m) && m->outer == port)
			return true;
	}
	return !h->nat.there;
}

static bool in(struct sim_host *h, const struct sim_host *outside, uint16_t *port)
{
	for (unsigned i = 0; i < 2; i++) {
		struct sim_mapping *m = &h->nat.mappings[outside->outside][i];

		if (lives(h, m) && m->outer == *port) {
			m->used = h->sim->now;
			*port = i ? 4500 : 500;
			return true;
		}
	}
	return false;
}

void sim_nat_restart(struct sim_host *h)
{
	memset(h->nat.mappings, 0, sizeof(h->nat.mappings));
}

bool sim_nat_pass(struct sim_host *from, struct sim_host *to, uint16_t *from_port,
		  uint16_t *to_port)
{
	if (from->nat.there)
		*from_port = out(from, to, *from_port);
	return !to->nat.there || in(to, from, to_port);
}
