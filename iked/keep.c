/*
 * What a phase 1 SA needs to live on when this process dies: handed out each time the engine is
 * left with an SA that has changed.
 */
#include <string.h>

#include "iked/engine_private.h"

void ike_keep_later(struct ike_engine *e, struct ike_p1 *p1)
{
	if (ike_list_empty(&p1->changed) && !p1->dead)
		ike_list_add_tail(&e->changed, &p1->changed);
}

/* The newest ones: the ring's oldest is at next_mid once it is full. */
static void keep_mids(const struct ike_p1 *p1, struct ike_p1_kept *k)
{
	unsigned n = p1->n_mids < IKE_KEPT_MIDS ? p1->n_mids : IKE_KEPT_MIDS;
	unsigned first = p1->next_mid + p1->n_mids - n;

	for (unsigned i = 0; i < n; i++)
		k->mids[i] = p1->mids[(first + i) % p1->n_mids];
	k->n_mids = (uint16_t)n;
}

static void keep_suite(const struct ike_p1_suite *s, struct ike_p1_kept *k)
{
	k->cipher = s->cipher->ike;
	k->key_bits = s->cipher->key_bits;
	k->hash = s->hash->ike;
	k->group = s->group->number;
	k->auth = s->auth;
}

static void keep(struct ike_engine *e, const struct ike_p1 *p1)
{
	const struct ike_peer *peer = p1->peer;
	size_t ids = (size_t)peer->local_id_len + peer->remote_id_len;
	struct ike_p1_kept k;

	/* A client that is not let in yet begins anew. */
	if (!e->ops.p1_keep || !p1->rule || !ike_client_in(p1) || ids > sizeof(k.ids))
		return;
	memset(&k, 0, sizeof(k));
	k.tunnel = p1->tunnel;
	k.generation = p1->generation;
	k.generations = p1->generations->n;
	k.instance = p1->instance;
	k.initiator = p1->initiator;
	k.mode = p1->mode;
	memcpy(k.rule, p1->rule->name, sizeof(k.rule));
	memcpy(k.content, p1->content, sizeof(k.content));
	k.local = p1->sid.local;
	k.remote = p1->sid.remote;
	memcpy(k.icookie, p1->sid.icookie, ISA_COOKIE_LEN);
	memcpy(k.rcookie, p1->sid.rcookie, ISA_COOKIE_LEN);
	keep_suite(&p1->suite, &k);
	k.keys = *p1->keys;
	memcpy(k.iv, p1->iv, sizeof(k.iv));
	k.established = p1->established;
	k.expires = p1->expires;
	k.life_seconds = p1->life_seconds;
	k.life_kbytes = p1->life_kbytes;
	k.bytes = p1->bytes;
	k.counts = p1->counts;
	k.can = p1->can;
	k.natt_level = (uint8_t)p1->nat.level;
	k.nat_local = p1->nat.local;
	k.nat_remote = p1->nat.remote;
	k.nat_napt = p1->nat.napt;
	k.nat_encap = p1->nat.encap;
	k.xauth = p1->client != NULL;
	if (p1->client) {
		memcpy(k.user, p1->client->user, sizeof(k.user));
		k.client_address =
			p1->client->by_address.in ? p1->client->address : (struct cs_addr){0};
	}
	k.local_id_len = peer->local_id_len;
	k.remote_id_len = peer->remote_id_len;
	memcpy(k.ids, peer->ids, ids);
	keep_mids(p1, &k);
	e->ops.p1_keep(e->ctx, &k);
	cs_wipe(&k, sizeof(k));
}

void ike_keep_now(struct ike_engine *e)
{
	while (!ike_list_empty(&e->changed)) {
		struct ike_p1 *p1 = IKE_OF(e->changed.next, struct ike_p1, changed);

		ike_list_remove(&p1->changed);
		keep(e, p1);
	}
}

void ike_forget(struct ike_engine *e, const struct ike_p1 *p1)
{
	if (e->ops.p1_forget)
		e->ops.p1_forget(e->ctx, p1->tunnel, p1->generation);
}
