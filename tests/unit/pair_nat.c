/* NATs for the engine's unit tests, see pair_nat.h. */
#include "tests/unit/pair_nat.h"

#include <check.h>
#include <string.h>

static struct nat {
	bool there;
	struct cs_addr outside;
	uint16_t shift;
} nats[PAIR_SIDES];

void pair_nat_clear(struct pair *p)
{
	memset(nats, 0, sizeof(nats));
	p->nat = NULL;
}

static bool come_in(const struct pair *p, struct datagram *d)
{
	bool is_nat = false;

	for (unsigned i = 0; i < p->n_sides; i++) {
		uint16_t port = (uint16_t)(d->remote.port - nats[i].shift);

		if (!nats[i].there)
			continue;
		if (cs_addr_equal(&d->remote.addr, &p->side[i].addr.addr))
			return false; /* nobody outside has its inner address */
		if (!cs_addr_equal(&d->remote.addr, &nats[i].outside))
			continue;
		is_nat = true;
		if (port != 500 && port != 4500)
			continue;
		d->remote = (struct cs_endpoint){p->side[i].addr.addr, port};
		return true;
	}
	return !is_nat;
}

static bool between(struct pair *p, struct datagram *d)
{
	const struct nat *own = &nats[d->from];

	if (!come_in(p, d))
		return false;
	if (own->there) {
		d->local.addr = own->outside;
		d->local.port = (uint16_t)(d->local.port + own->shift);
	}
	return true;
}

void pair_nat_put(struct pair *p, unsigned side, const char *outside, uint16_t shift)
{
	nats[side].there = true;
	nats[side].shift = shift;
	cs_addr_parse(outside, &nats[side].outside, NULL);
	p->nat = between;
}

struct cs_endpoint pair_nat_outside(const struct pair *p, unsigned side, uint16_t port)
{
	(void)p;
	return (struct cs_endpoint){nats[side].outside, (uint16_t)(port + nats[side].shift)};
}

const struct xf_sa *pair_nat_sa(const struct side *s, bool outbound)
{
	for (unsigned i = s->n_sas; i--;)
		if (s->sas[i].sa.outbound == outbound && !s->sas[i].larval)
			return &s->sas[i].sa;
	ck_abort_msg("side %u has no such SA:\n%s", s->index, s->log);
}

static int take_p2(void *arg, const struct ike_p2_info *info)
{
	*(struct ike_p2_info *)arg = *info;
	return 0;
}

struct ike_p2_info pair_nat_p2(const struct pair *p, unsigned side)
{
	struct ike_p2_info info = {0};

	ike_engine_each_p2(p->side[side].e, take_p2, &info);
	ck_assert_uint_ne(info.tunnel, 0);
	return info;
}
