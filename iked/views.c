/*
 * What displays, records and events may know of an SA: copies without secrets.
 */
#include <stdio.h>
#include <string.h>

#include "iked/engine_private.h"

static const enum ike_p1_state p1_states[] = {
	[IKE_EX_NEW] = IKE_P1_INIT,       [IKE_MM_SENT_1] = IKE_P1_WAIT_SA,
	[IKE_MM_BUSY_3] = IKE_P1_IN_KE,   [IKE_MM_SENT_3] = IKE_P1_WAIT_KE,
	[IKE_MM_BUSY_5] = IKE_P1_IN_KE,   [IKE_MM_SENT_5] = IKE_P1_WAIT_KE,
	[IKE_MM_BUSY_4] = IKE_P1_IN_KE,   [IKE_MM_SENT_4] = IKE_P1_WAIT_KE,
	[IKE_AM_BUSY_1] = IKE_P1_INIT,    [IKE_AM_SENT_1] = IKE_P1_WAIT_SA,
	[IKE_AM_BUSY_3] = IKE_P1_IN_KE,   [IKE_AM_BUSY_2] = IKE_P1_IN_KE,
	[IKE_AM_SENT_2] = IKE_P1_WAIT_KE, [IKE_EX_DONE] = IKE_P1_DONE,
};

static const enum ike_p2_state p2_states[] = {
	[IKE_QM_PENDING] = IKE_P2_PENDING, [IKE_QM_BUSY_1] = IKE_P2_INIT,
	[IKE_QM_SENT_1] = IKE_P2_KEP,      [IKE_QM_BUSY_3] = IKE_P2_KEP,
	[IKE_QM_BUSY_2] = IKE_P2_INIT,     [IKE_QM_SENT_2] = IKE_P2_KEP,
	[IKE_QM_SENT_3] = IKE_P2_KEP,      [IKE_QM_DONE] = IKE_P2_DONE,
};

static void view_id(struct cs_bytes body, uint8_t *type, char *text, size_t size)
{
	if (!body.p || !body.len)
		return;
	*type = body.p[0];
	ike_ident_text(body, text, size);
}

static const struct ike_client *client_of(const struct ike_p1 *p1)
{
	return p1 && p1->client && p1->client->state == IKE_CL_IN ? p1->client : NULL;
}

static void view_user(const struct ike_client *c, char user[static POL_USER_MAX + 1])
{
	if (c)
		memcpy(user, c->user, POL_USER_MAX + 1);
}

void ike_p1_view(const struct ike_p1 *p1, struct ike_p1_info *info)
{
	const struct ike_peer *peer = p1->peer;
	const struct ike_client *client = client_of(p1);
	struct cs_bytes own = {NULL, 0}, other = {NULL, 0};

	memset(info, 0, sizeof(*info));
	info->tunnel = p1->tunnel;
	info->generation = p1->generation;
	info->state = p1_states[p1->state];
	info->initiator = p1->initiator;
	info->mode = p1->mode;
	info->rule = p1->rule ? p1->rule->name : "";
	info->action = p1->rule ? p1->rule->action->name : "";
	info->allow_nat = p1->rule && p1->rule->action->allow_nat;
	info->natt_level = (uint8_t)p1->nat.level;
	info->nat_local = p1->nat.local;
	info->nat_remote = p1->nat.remote;
	info->nat_napt = p1->nat.napt;
	info->nat_encap = p1->nat.encap;
	info->instance = p1->instance;
	info->local = p1->sid.local;
	info->remote = p1->sid.remote;
	if (peer) {
		own = (struct cs_bytes){peer->ids, peer->local_id_len};
		other = (struct cs_bytes){peer->ids + peer->local_id_len, peer->remote_id_len};
	} else if (p1->ex) {
		own = (struct cs_bytes){p1->ex->id, p1->ex->id_len};
	}
	view_id(own, &info->local_id_type, info->local_id, sizeof(info->local_id));
	view_id(other, &info->remote_id_type, info->remote_id, sizeof(info->remote_id));
	info->suite = p1->suite;
	memcpy(info->icookie, p1->sid.icookie, ISA_COOKIE_LEN);
	memcpy(info->rcookie, p1->sid.rcookie, ISA_COOKIE_LEN);
	info->established = p1->established;
	info->expires = p1->expires;
	info->refresh = p1->refresh;
	info->bytes = p1->bytes;
	info->lifetime = p1->life_seconds;
	info->lifesize = p1->life_kbytes > UINT32_MAX ? UINT32_MAX : (uint32_t)p1->life_kbytes;
	info->counts = p1->counts;
	for (const struct ike_list *l = p1->p2s.next; l != &p1->p2s; l = l->next) {
		info->n_p2++;
		info->n_p2_under_way += !IKE_OF(l, struct ike_p2, in_p1)->up;
	}
	view_user(client, info->user);
	if (client && client->by_address.in)
		info->client_address = client->address;
}

void ike_p2_view(const struct ike_p2 *p2, struct ike_p2_info *info)
{
	const struct ike_tunnel *t = p2->tunnel;

	memset(info, 0, sizeof(*info));
	info->tunnel = t->number;
	info->parent = p2->parent;
	info->generation = p2->generation;
	info->generations = t->generations;
	info->state = p2_states[p2->state];
	info->initiator = p2->initiator;
	info->activation = p2->activation;
	info->rule = p2->rule->name;
	info->action = p2->rule->vpn->name;
	info->local_rule = p2->local_rule ? p2->local_rule->name : "";
	info->rule_id = t->rule_id;
	info->reqid = t->reqid;
	info->instance = p2->instance;
	info->message_id = p2->mid;
	info->suite = p2->suite;
	info->pfs_group = p2->suite.group;
	info->local = t->local;
	info->remote = t->remote;
	info->selector = t->selector;
	info->spi_in = p2->spi_in;
	info->spi_out = p2->spi_out;
	info->ah_in = p2->ah_in;
	info->ah_out = p2->ah_out;
	info->installed = p2->installed;
	info->expires = p2->expires;
	info->refresh = p2->refresh;
	info->vpn_expires = t->vpn_expires;
	info->lifetime = p2->life_seconds;
	info->lifesize = p2->life_kbytes > UINT32_MAX ? UINT32_MAX : (uint32_t)p2->life_kbytes;
	if (p2->up && !p2->superseded)
		info->lifesize_refresh = (uint32_t)(ike_p2_soft_bytes(p2) / 1024);
	info->nat_local = p2->nat.local;
	info->nat_remote = p2->nat.remote;
	info->nat_napt = p2->nat.napt;
	info->encap_local = p2->encap_local;
	info->encap_remote = p2->encap_remote;
	memcpy(info->oa, p2->oa, sizeof(info->oa));
	info->client = (uint16_t)t->client;
	info->pending = p2->up && ike_refresh_under_way(t);
	info->passthrough_df = p2->rule->vpn->passthrough_df;
	info->passthrough_dscp = p2->rule->vpn->passthrough_dscp;
	if (p2->peer) {
		info->local_id = (struct cs_bytes){p2->peer->ids, p2->peer->local_id_len};
		info->remote_id = (struct cs_bytes){p2->peer->ids + p2->peer->local_id_len,
						    p2->peer->remote_id_len};
	}
	view_user(client_of(p2->p1), info->user);
}

int ike_engine_each_p1(const struct ike_engine *e, ike_p1_fn *fn, void *arg)
{
	struct ike_p1_info info;
	int rc = 0;

	for (const struct ike_list *l = e->p1s.next; l != &e->p1s && !rc; l = l->next) {
		ike_p1_view(IKE_OF(l, struct ike_p1, all), &info);
		rc = fn(arg, &info);
	}
	return rc;
}

int ike_engine_each_p2(const struct ike_engine *e, ike_p2_fn *fn, void *arg)
{
	struct ike_p2_info info;
	int rc = 0;

	for (const struct ike_list *l = e->p2s.next; l != &e->p2s && !rc; l = l->next) {
		ike_p2_view(IKE_OF(l, struct ike_p2, all), &info);
		rc = fn(arg, &info);
	}
	return rc;
}

const struct ike_stats *ike_engine_stats(const struct ike_engine *e)
{
	return &e->stats;
}
