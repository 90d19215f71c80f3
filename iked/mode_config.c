/*
 * Mode Config (draft-dukes-ike-mode-cfg-02) as gateway: the addresses of a pool that clients ask
 * for.  What a client suggests is not looked at: it gets an address that
 * nobody else has, and has it as long as its phase 1 SA lives.
 */
#include <netinet/in.h>
#include <string.h>

#include "iked/client.h"

/* ---- addresses ---- */

static uint64_t hash_address(const struct ike_engine *e, const struct cs_addr *a)
{
	return ike_hash_addrs(e, a, a);
}

static bool has_address(const struct ike_node *node, const void *key)
{
	return cs_addr_equal(&IKE_OF(node, struct ike_client, by_address)->address, key);
}

struct ike_p1 *ike_client_by_address(const struct ike_engine *e, const struct cs_addr *a)
{
	struct ike_node *node = ike_table_find(&e->leases, hash_address(e, a), has_address, a);

	return node ? IKE_OF(node, struct ike_client, by_address)->p1 : NULL;
}

void ike_lease_hold(struct ike_engine *e, struct ike_p1 *p1, const struct cs_addr *address)
{
	p1->client->address = *address;
	ike_table_add(&e->leases, &p1->client->by_address, hash_address(e, address));
}

/* The tunnel to an address ends with the SA that has the address. */
static void take_pairs(struct ike_engine *e, struct ike_p1 *from, struct ike_p1 *to)
{
	for (struct ike_list *l = from->p2s.next; l != &from->p2s;) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, in_p1);

		l = l->next;
		if (p2->up)
			ike_p2_move(e, p2, to);
		else
			ike_p2_fail(e, p2, true, "the client has begun anew");
	}
}

/* Of a phase 1 SA that the same user has between the same addresses: a client that begins anew. */
static bool inherit(struct ike_engine *e, struct ike_p1 *p1)
{
	for (struct ike_list *l = p1->peer->p1s.next; l != &p1->peer->p1s; l = l->next) {
		struct ike_p1 *before = IKE_OF(l, struct ike_p1, in_peer);
		struct ike_client *old = before->client;

		if (!old || old == p1->client || !old->by_address.in ||
		    strcmp(old->user, p1->client->user) != 0)
			continue;
		ike_table_remove(&e->leases, &old->by_address);
		ike_lease_hold(e, p1, &old->address);
		take_pairs(e, before, p1);
		ike_keep_later(e, before);
		return true;
	}
	return false;
}

static uint32_t number_of(const struct cs_addr *a)
{
	return (uint32_t)a->b[0] << 24 | (uint32_t)a->b[1] << 16 | (uint32_t)a->b[2] << 8 | a->b[3];
}

static struct cs_addr address_of(uint32_t n)
{
	uint8_t bytes[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};

	return cs_addr_from_bytes(AF_INET, bytes);
}

/* Begins at a place that the user's name gives, so that a user mostly gets the same one again. */
static bool find_free(const struct ike_engine *e, const struct ike_p1 *p1, struct cs_addr *found)
{
	const struct cs_range *pool = &p1->rule->action->pool;
	uint32_t lo = number_of(&pool->lo), n = number_of(&pool->hi) - lo + 1, start;

	start = (uint32_t)(ike_digest(e, p1->client->user, strlen(p1->client->user)) % n);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = lo + (uint32_t)(((uint64_t)start + i) % n);

		*found = address_of(at);
		/* By some these are taken for a network's own. */
		if ((at & 255) != 0 && (at & 255) != 255 && !ike_client_by_address(e, found) &&
		    !cs_addr_equal(found, &p1->sid.local.addr))
			return true;
	}
	return false;
}

void ike_config_lease(struct ike_engine *e, struct ike_p1 *p1, const struct ike_config *asked)
{
	struct cs_addr found;

	if (!p1->rule->action->pool.lo.family || !(asked->address || asked->netmask))
		return;
	if (p1->client->by_address.in || inherit(e, p1))
		return;
	if (!find_free(e, p1, &found)) {
		ike_logf(e, ike_p1_ctx(p1), CSM_POOL_EMPTY, p1->rule->action->name,
			 p1->client->user);
		return;
	}
	ike_lease_hold(e, p1, &found);
}

void ike_config_put_answer(const struct ike_p1 *p1, const struct ike_config *asked,
			   struct isa_builder *b)
{
	static const uint8_t host[4] = {255, 255, 255, 255};
	const struct ike_client *c = p1->client;
	const struct cs_addr *dns = &p1->rule->action->dns;

	if (asked->address && c->by_address.in)
		ike_config_bytes(b, IKE_CFG_ADDRESS, c->address.b, 4);
	if (asked->netmask && c->by_address.in)
		ike_config_bytes(b, IKE_CFG_NETMASK, host, sizeof(host));
	if (asked->dns && dns->family)
		ike_config_bytes(b, IKE_CFG_DNS, dns->b, 4);
}
