/*
 * Intents whose negotiation ended before the store had answered.  The answer tells whether there is
 * an intent at all; when there is, it gets its result.
 */
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"

/* What the record will say, and what holds the names in it. */
struct unsettled {
	struct ike_node by_tx;
	struct ike_list all;
	uint64_t tx;
	struct pol_policy *p1_policy, *p2_policy;
	struct ike_p1_info p1;
	struct ike_p2_info p2;
	bool has_p1;
	char *reason; /* behind the identities */
	uint8_t ids[];
};

int ike_unsettled_keep(struct ike_engine *e, const struct ike_p2 *p2, const char *reason)
{
	const struct ike_peer *peer = p2->peer;
	size_t ids = peer ? (size_t)peer->local_id_len + peer->remote_id_len : 0;
	size_t len = strlen(reason) + 1;
	struct unsettled *u = calloc(1, sizeof(*u) + ids + len);

	if (!u)
		return CS_ENOMEM;
	u->tx = p2->tx;
	ike_p2_view(p2, &u->p2);
	/* The peer may be gone with its last SA when the store answers. */
	if (peer) {
		memcpy(u->ids, peer->ids, ids);
		u->p2.local_id.p = u->ids;
		u->p2.remote_id.p = u->ids + peer->local_id_len;
	}
	u->p2_policy = pol_ref(p2->policy);
	if (p2->p1) {
		ike_p1_view(p2->p1, &u->p1);
		u->p1_policy = pol_ref(p2->p1->policy);
		u->has_p1 = true;
	}
	u->reason = (char *)u->ids + ids;
	memcpy(u->reason, reason, len);
	ike_table_add(&e->unsettled, &u->by_tx, ike_hash_number(e, u->tx));
	ike_list_add_tail(&e->all_unsettled, &u->all);
	return 0;
}

static void forget(struct ike_engine *e, struct unsettled *u)
{
	ike_table_remove(&e->unsettled, &u->by_tx);
	ike_list_remove(&u->all);
	pol_unref(u->p1_policy);
	pol_unref(u->p2_policy);
	free(u);
}

static void record(struct ike_engine *e, const struct unsettled *u)
{
	struct ike_record rec = {
		.kind = IKE_REC_P2_FAILED,
		.when = e->now,
		.intent = u->tx,
		.p1 = u->has_p1 ? &u->p1 : NULL,
		.p2 = &u->p2,
		.reason = u->reason,
	};
	uint64_t tx;

	e->ops.record(e->ctx, &rec, &tx);
}

static bool match(const struct ike_node *node, const void *key)
{
	return IKE_OF(node, struct unsettled, by_tx)->tx == *(const uint64_t *)key;
}

bool ike_unsettled_committed(struct ike_engine *e, uint64_t tx, int status)
{
	struct ike_node *node = ike_table_find(&e->unsettled, ike_hash_number(e, tx), match, &tx);
	struct unsettled *u = node ? IKE_OF(node, struct unsettled, by_tx) : NULL;

	if (!u)
		return false;
	if (!status)
		record(e, u);
	forget(e, u);
	return true;
}

void ike_unsettled_forget(struct ike_engine *e)
{
	while (!ike_list_empty(&e->all_unsettled))
		forget(e, IKE_OF(e->all_unsettled.next, struct unsettled, all));
}
