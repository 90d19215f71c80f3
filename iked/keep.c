/*
 * What a phase 1 SA needs to live on when this process dies: handed out each time the engine is
 * left with an SA that has changed.  And what a Quick Mode exchange needs to come to its end: from
 * our last message on the peer may use its pair, so it must.
 */
#include <string.h>

#include "iked/engine_private.h"

void ike_keep_later(struct ike_engine *e, struct ike_p1 *p1)
{
	if (ike_list_empty(&p1->changed) && !p1->dead)
		ike_list_add_tail(&e->changed, &p1->changed);
}

/* An exchange of the peer's that has no answer yet would begin anew with its repetition. */
static bool has_no_answer(const struct ike_engine *e, const struct ike_p1 *p1, uint32_t mid)
{
	const struct ike_p2 *p2 = ike_p2_by_mid(e, p1, mid);

	return p2 && !p2->initiator && p2->state == IKE_QM_BUSY_2;
}

/* The newest ones: the ring's oldest is at next_mid once it is full. */
static void keep_mids(const struct ike_engine *e, const struct ike_p1 *p1, struct ike_p1_kept *k)
{
	unsigned n = p1->n_mids < IKE_KEPT_MIDS ? p1->n_mids : IKE_KEPT_MIDS;
	unsigned first = p1->next_mid + p1->n_mids - n;

	for (unsigned i = 0; i < n; i++) {
		uint32_t mid = p1->mids[(first + i) % p1->n_mids];

		if (!has_no_answer(e, p1, mid))
			k->mids[k->n_mids++] = mid;
	}
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
	keep_mids(e, p1, &k);
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

/* ---- Quick Mode ---- */

void ike_quick_keep(struct ike_engine *e, struct ike_p2 *p2, const uint8_t *message, size_t len)
{
	const struct ike_quick *qm = p2->qm;
	struct ike_quick_kept k;

	if (!e->ops.quick_keep || len > sizeof(k.message))
		return;
	memset(&k, 0, sizeof(k));
	k.tunnel = p2->tunnel->number;
	k.generation = p2->generation;
	memcpy(k.icookie, p2->p1->sid.icookie, ISA_COOKIE_LEN);
	memcpy(k.rcookie, p2->p1->sid.rcookie, ISA_COOKIE_LEN);
	k.mid = p2->mid;
	k.commit = qm->commit;
	k.ni = qm->ni;
	k.nr = qm->nr;
	memcpy(k.iv, qm->iv, sizeof(k.iv));
	k.keymat_len = (uint16_t)qm->keymat_len;
	k.ah_keymat_len = (uint16_t)qm->ah_keymat_len;
	memcpy(k.keymat_in, qm->keymat_in, sizeof(k.keymat_in));
	memcpy(k.keymat_out, qm->keymat_out, sizeof(k.keymat_out));
	k.message_len = (uint16_t)len;
	memcpy(k.message, message, len);
	e->ops.quick_keep(e->ctx, &k);
	cs_wipe(&k, sizeof(k));
	p2->kept = true;
}

/* Before what it has in the kernel goes, so that nobody puts an outbound SA there twice. */
void ike_quick_forget(struct ike_engine *e, struct ike_p2 *p2)
{
	if (p2->kept && e->ops.quick_forget)
		e->ops.quick_forget(e->ctx, p2->tunnel->number, p2->generation);
	p2->kept = false;
}
