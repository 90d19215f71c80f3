#include "tests/unit/sa_random.h"

#include <string.h>

/* splitmix64 (Vigna 2015) */
uint64_t sa_draw(struct sa_random *r)
{
	uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static uint64_t below(struct sa_random *r, uint64_t n)
{
	return sa_draw(r) % n;
}

static bool coin(struct sa_random *r)
{
	return sa_draw(r) & 1;
}

/* Often one of the ends. */
static uint64_t number(struct sa_random *r, uint64_t max)
{
	switch (below(r, 4)) {
	case 0:
		return 0;
	case 1:
		return max;
	default:
		return max == UINT64_MAX ? sa_draw(r) : below(r, max + 1);
	}
}

static const char *name(struct sa_random *r, unsigned at)
{
	static const char some[] = "ABCDEFabcdef0123456789_-. \"\\/'";
	size_t len = below(r, POL_NAME_MAX + 1);

	for (size_t i = 0; i < len; i++)
		r->names[at][i] = some[below(r, sizeof(some) - 1)];
	r->names[at][len] = '\0';
	return r->names[at];
}

static void text(struct sa_random *r, char *to, size_t size)
{
	size_t len = below(r, size);

	for (size_t i = 0; i < len; i++)
		to[i] = (char)(' ' + below(r, 95));
	memset(to + len, 0, size - len);
}

static struct cs_addr addr(struct sa_random *r, uint8_t family)
{
	uint8_t b[16];

	for (unsigned i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)sa_draw(r);
	b[0] = (uint8_t)(1 + below(r, 200));
	return cs_addr_from_bytes(family, b);
}

static struct cs_range range(struct sa_random *r, uint8_t family)
{
	struct cs_addr a = addr(r, family), b = addr(r, family);

	switch (below(r, 3)) {
	case 0:
		return cs_range_single(&a);
	case 1:
		return cs_range_prefix(&a, (unsigned)below(r, cs_addr_len(family) * 8 + 1));
	default:
		return cs_addr_compare(&a, &b) < 0 ? (struct cs_range){a, b}
						   : (struct cs_range){b, a};
	}
}

static int64_t when(struct sa_random *r)
{
	return (int64_t)number(r, IKE_WALL_MAX);
}

static void nat(struct sa_random *r, bool *local, bool *remote, bool *napt)
{
	*local = coin(r);
	*remote = coin(r);
	*napt = coin(r);
}

static const struct cs_cipher *cipher(struct sa_random *r, bool phase1)
{
	unsigned n;
	const struct cs_cipher *all = cs_ciphers(&n), *c;

	do
		c = &all[below(r, n)];
	while ((phase1 ? c->ike : c->esp) == 0 ||
	       c != (phase1 ? cs_cipher_by_ike(c->ike, c->key_bits)
			    : cs_cipher_by_esp(c->esp, c->key_bits)));
	return c;
}

static const struct cs_integ *integ(struct sa_random *r)
{
	unsigned n;
	const struct cs_integ *all = cs_integs(&n), *i;

	do
		i = &all[below(r, n)];
	while (i->esp == 0 || i != cs_integ_by_esp(i->esp));
	return i;
}

static void suite_p1(struct sa_random *r, struct ike_p1_suite *s)
{
	unsigned n;

	s->cipher = cipher(r, true);
	s->hash = cs_hashes(&n);
	s->hash += below(r, n);
	s->group = cs_groups(&n);
	s->group += below(r, n);
	s->auth = coin(r) ? POL_AUTH_PSK : POL_AUTH_RSA;
	s->xauth = coin(r);
	s->life_seconds = number(r, UINT32_MAX);
	s->life_kbytes = number(r, UINT32_MAX);
	s->life_max = number(r, UINT32_MAX);
}

void sa_random_p1(struct sa_random *r, struct ike_p1_info *i)
{
	uint8_t family = coin(r) ? AF_INET : AF_INET6;

	memset(i, 0, sizeof(*i));
	i->state = IKE_P1_DONE;
	i->tunnel = (uint32_t)number(r, UINT32_MAX);
	i->generation = (uint32_t)number(r, UINT32_MAX);
	i->initiator = coin(r);
	i->mode = coin(r) ? POL_MODE_MAIN : POL_MODE_AGGRESSIVE;
	i->rule = name(r, 0);
	i->action = name(r, 1);
	i->instance = (uint32_t)number(r, UINT32_MAX);
	i->local.addr = addr(r, family);
	i->local.port = (uint16_t)number(r, UINT16_MAX);
	i->remote.addr = addr(r, family);
	i->remote.port = (uint16_t)number(r, UINT16_MAX);
	i->local_id_type = (uint8_t)number(r, UINT8_MAX);
	i->remote_id_type = (uint8_t)number(r, UINT8_MAX);
	text(r, i->local_id, sizeof(i->local_id));
	text(r, i->remote_id, sizeof(i->remote_id));
	suite_p1(r, &i->suite);
	for (unsigned at = 0; at < ISA_COOKIE_LEN; at++) {
		i->icookie[at] = (uint8_t)sa_draw(r);
		i->rcookie[at] = (uint8_t)sa_draw(r);
	}
	i->established = when(r);
	i->refresh = when(r);
	i->expires = when(r);
	i->lifetime = (uint32_t)number(r, UINT32_MAX);
	i->lifesize = (uint32_t)number(r, UINT32_MAX);
	i->allow_nat = coin(r);
	i->natt_level = (uint8_t)below(r, 4);
	nat(r, &i->nat_local, &i->nat_remote, &i->nat_napt);
	i->nat_encap = coin(r);
	text(r, i->user, sizeof(i->user));
	if (coin(r))
		i->client_address = addr(r, AF_INET);
}

static void suite_p2(struct sa_random *r, struct ike_p2_suite *s)
{
	s->protocol = coin(r) ? POL_ESP : POL_AH;
	if (s->protocol == POL_AH || coin(r))
		s->integ = integ(r);
	if (s->protocol == POL_ESP) {
		s->cipher = cipher(r, false);
		s->ah = coin(r) ? integ(r) : NULL;
	}
	s->esp_first = coin(r);
	s->encap = coin(r) ? POL_TUNNEL : POL_TRANSPORT;
	s->udp = (enum ike_udp)below(r, IKE_UDP_PLAIN + 1);
	s->group = coin(r) ? (uint16_t)14 : 0;
	s->life_seconds = number(r, UINT32_MAX);
	s->life_kbytes = number(r, UINT32_MAX);
	s->life_max = number(r, UINT32_MAX);
}

static struct cs_bytes id(struct sa_random *r, unsigned at)
{
	size_t len = below(r, SA_ID_MAX + 1);

	for (size_t i = 0; i < len; i++)
		r->ids[at][i] = (uint8_t)sa_draw(r);
	return (struct cs_bytes){r->ids[at], len};
}

void sa_random_p2(struct sa_random *r, struct ike_p2_info *i)
{
	uint8_t family = coin(r) ? AF_INET : AF_INET6;
	uint8_t inner = coin(r) ? AF_INET : AF_INET6;

	memset(i, 0, sizeof(*i));
	i->state = IKE_P2_DONE;
	i->tunnel = (uint32_t)number(r, UINT32_MAX);
	i->parent = (uint32_t)number(r, UINT32_MAX);
	i->generation = (uint32_t)number(r, UINT32_MAX);
	i->generations = (uint32_t)number(r, UINT32_MAX);
	i->initiator = coin(r);
	i->activation = (enum ike_activation)(1 + below(r, 6));
	i->rule = name(r, 2);
	i->action = name(r, 3);
	i->local_rule = name(r, 4);
	i->rule_id = (uint16_t)number(r, UINT16_MAX);
	i->reqid = (uint32_t)number(r, UINT32_MAX);
	i->instance = (uint32_t)number(r, UINT32_MAX);
	suite_p2(r, &i->suite);
	i->pfs_group = i->suite.group;
	i->local = addr(r, family);
	i->remote = addr(r, family);
	i->selector.local = range(r, inner);
	i->selector.remote = range(r, inner);
	i->selector.proto = (uint8_t)number(r, UINT8_MAX);
	i->selector.local_port = (uint16_t)number(r, UINT16_MAX);
	i->selector.remote_port = (uint16_t)number(r, UINT16_MAX);
	i->spi_in = (uint32_t)number(r, UINT32_MAX);
	i->spi_out = (uint32_t)number(r, UINT32_MAX);
	i->ah_in = (uint32_t)number(r, UINT32_MAX);
	i->ah_out = (uint32_t)number(r, UINT32_MAX);
	i->installed = when(r);
	i->refresh = when(r);
	i->expires = when(r);
	i->vpn_expires = when(r);
	i->lifetime = (uint32_t)number(r, UINT32_MAX);
	i->lifesize = (uint32_t)number(r, UINT32_MAX);
	i->passthrough_df = coin(r);
	i->passthrough_dscp = coin(r);
	nat(r, &i->nat_local, &i->nat_remote, &i->nat_napt);
	i->encap_local = (uint16_t)number(r, UINT16_MAX);
	i->encap_remote = (uint16_t)number(r, UINT16_MAX);
	if (coin(r)) {
		i->oa[0] = addr(r, family);
		i->oa[1] = addr(r, family);
	}
	i->client = (uint16_t)number(r, UINT16_MAX);
	i->local_id = id(r, 0);
	i->remote_id = id(r, 1);
	text(r, i->user, sizeof(i->user));
}
