/*
 * SAs that an engine before this one left: phase 1 from what it kept, phase 2 from the SA cache and
 * the kernel.  They go on as if nothing had happened; answers to messages of before are gone.
 */
#include <netinet/in.h>
#include <string.h>

#include "iked/engine_private.h"

#define HELD_S                                                                                     \
	30 /* of a pair whose life is over by a clock that was set, as the kernel has it still */

/* What is left of a life by the wall clock, which may have been set while nobody saw it. */
static uint64_t life_left(const struct ike_engine *e, int64_t expires, uint32_t life)
{
	int64_t left = expires - e->now.wall;

	if (left < 0)
		left = 0;
	return 1000u * (uint64_t)(left > life ? life : left);
}

/* A time that can be reckoned with. */
static bool is_time(int64_t when)
{
	return when >= 0 && when <= IKE_WALL_MAX;
}

/* ---- phase 1 ---- */

static int restore_suite(const struct ike_p1_kept *k, struct ike_p1_suite *s, struct cs_err *err)
{
	memset(s, 0, sizeof(*s));
	s->cipher = cs_cipher_by_ike(k->cipher, k->key_bits);
	s->hash = cs_hash_by_ike(k->hash);
	s->group = cs_group_by_number(k->group);
	s->auth = k->auth;
	s->xauth = k->xauth != 0;
	s->life_seconds = k->life_seconds;
	s->life_kbytes = k->life_kbytes;
	if (!s->cipher || !s->hash || !s->group)
		return cs_fail(err, CS_EPARSE, "K%u was kept with a suite that is not known",
			       k->tunnel);
	return 0;
}

static int check_kept(const struct ike_engine *e, const struct ike_p1_kept *k, struct cs_err *err)
{
	if (!k->tunnel || k->local_id_len < 1 || k->remote_id_len < 1 ||
	    (size_t)k->local_id_len + k->remote_id_len > sizeof(k->ids) ||
	    k->n_mids > IKE_KEPT_MIDS || k->xauth > 1 || k->natt_level > IKE_NATT_RFC ||
	    !memchr(k->user, 0, sizeof(k->user)) ||
	    (k->client_address.family && k->client_address.family != AF_INET) ||
	    !memchr(k->rule, 0, sizeof(k->rule)) || !is_time(k->established) ||
	    !is_time(k->expires))
		return cs_fail(err, CS_EPARSE, "K%u was not kept whole", k->tunnel);
	if (ike_sid_by_cookies(e, k->icookie, k->rcookie))
		return cs_fail(err, CS_EEXIST, "K%u is there already", k->tunnel);
	return 0;
}

void ike_adopt_generations(struct ike_p1 *p1, uint32_t n)
{
	if (n > p1->generations->n)
		p1->generations->n = n;
}

static void fill_p1(struct ike_engine *e, struct ike_p1 *p1, const struct ike_p1_kept *k)
{
	p1->policy = pol_ref(e->policy);
	p1->rule = pol_ke_rule_same(e->policy, k->rule, k->content);
	p1->mode = k->mode == POL_MODE_AGGRESSIVE ? POL_MODE_AGGRESSIVE : POL_MODE_MAIN;
	p1->authenticated = true;
	p1->state = IKE_EX_DONE;
	p1->generation = k->generation;
	ike_adopt_generations(p1, k->generation);
	ike_adopt_generations(p1, k->generations);
	p1->instance = k->instance;
	if (k->instance > e->last_instance)
		e->last_instance = k->instance;
	memcpy(p1->content, k->content, sizeof(p1->content));
	*p1->keys = k->keys;
	memcpy(p1->iv, k->iv, sizeof(p1->iv));
	p1->established = k->established;
	p1->expires = k->expires;
	p1->life_seconds = k->life_seconds;
	p1->life_kbytes = k->life_kbytes;
	p1->bytes = k->bytes;
	p1->counts = k->counts;
	p1->can = k->can;
	p1->nat = (struct ike_nat){k->natt_level, k->nat_local != 0, k->nat_remote != 0,
				   k->nat_napt != 0, k->nat_encap != 0};
	for (unsigned i = 0; i < k->n_mids; i++)
		ike_mid_use(p1, k->mids[i]);
	p1->forgot = k->n_mids == IKE_KEPT_MIDS;
	p1->adopted = true;
}

int ike_adopt_p1(struct ike_engine *e, const struct ike_p1_kept *k, struct cs_err *err)
{
	struct cs_bytes own = {k->ids, k->local_id_len},
			other = {own.p + own.len, k->remote_id_len};
	struct ike_p1_suite suite;
	const struct ike_p1 *twin = ike_p1_by_number(e, k->tunnel);
	struct ike_p1 *p1;
	int rc = check_kept(e, k, err);

	if (!rc && !e->policy)
		rc = cs_fail(err, CS_EPOLICY, "no policy is in force");
	if (!rc)
		rc = restore_suite(k, &suite, err);
	if (rc)
		return rc;
	p1 = ike_p1_new(e, k->initiator, &k->local, &k->remote, k->icookie, k->rcookie);
	if (!p1)
		return cs_fail(err, CS_ELIMIT, "no room for another phase 1 SA");
	if (k->tunnel > e->last_tunnel)
		e->last_tunnel = k->tunnel;
	ike_p1_renumber(e, p1, k->tunnel);
	if (twin)
		ike_p1_share(p1, twin);
	ike_p1_end_exchange(p1);
	p1->suite = suite;
	fill_p1(e, p1, k);
	p1->peer = ike_peer_get(e, &k->local.addr, &k->remote.addr, own, other);
	if (!p1->peer) {
		ike_p1_unlink(e, p1);
		return cs_fail(err, CS_ENOMEM, "no memory for the peer");
	}
	ike_list_add_head(&p1->peer->p1s, &p1->in_peer);
	if (!p1->rule) {
		ike_delete_p1(e, p1);
		ike_p1_unlink(e, p1);
		return cs_fail(err, CS_EPOLICY,
			       "the policy no longer has its rule, or has changed it");
	}
	if (k->xauth != p1->rule->action->xauth)
		rc = cs_fail(err, CS_EPARSE, "K%u was not kept whole", k->tunnel);
	else if (k->xauth)
		rc = ike_client_adopt(e, p1, k, err);
	if (rc) {
		ike_p1_unlink(e, p1);
		return rc;
	}
	p1->up = ike_serial(e);
	ike_refresh_plan_p1(e, p1, life_left(e, p1->expires, p1->life_seconds));
	if (!p1->client)
		ike_refresh_settle_p1(e, p1);
	ike_dpd_start(e, p1);
	ike_keepalive_start(e, p1);
	ike_keep_later(e, p1);
	return 0;
}

#define TWIN_MS 120000u /* in which peers delete what has a successor */

/*
 * A successor may have come up at the peer alone, when we died before its last message.  Some peers
 * (strongSwan) have all tunnels under it then, delete this one, and give up what is under the other
 * when nobody answers there; with a new one they have the tunnels under that.
 */
void ike_adopt_deleted(struct ike_engine *e, struct ike_p1 *p1)
{
	bool adopted = p1->adopted && e->now.mono < e->restored + TWIN_MS;
	struct ike_peer *peer = p1->peer;
	struct cs_err err;

	ike_p1_down(e, p1, false, "the peer deleted it");
	if (!adopted || ike_list_empty(&peer->p2s) || !ike_list_empty(&peer->p1s))
		return;
	if (ike_p1_towards(e, &peer->local, &peer->remote, &p1, &err) && err.code != CS_EPOLICY)
		ike_logf(e, CS_NOCTX, CSM_P1_NO_SUCCESSOR, err.text);
}

/* ---- phase 2 ---- */

/* The phase 1 that negotiated it, if it lives on; of a client's the one that has its address. */
static struct ike_p1 *parent_of(const struct ike_engine *e, const struct ike_p2_info *i)
{
	struct ike_p1 *p1 = NULL;

	if (i->user[0])
		p1 = ike_client_by_address(e, &i->selector.remote.lo);
	if (!p1)
		p1 = ike_p1_by_number(e, i->parent);
	return p1 && p1->up && cs_addr_equal(&p1->sid.local.addr, &i->local) &&
			       cs_addr_equal(&p1->sid.remote.addr, &i->remote)
		       ? p1
		       : NULL;
}

static void fill_p2(struct ike_engine *e, struct ike_p2 *p2, const struct ike_p2_info *i)
{
	p2->activation = i->activation;
	p2->local_rule = *i->local_rule ? pol_local_rule_by_name(e->policy, i->local_rule) : NULL;
	p2->parent = p2->p1 ? p2->p1->tunnel : i->parent;
	p2->tunnel->generations--; /* it is not a new one */
	p2->generation = i->generation;
	if (i->generation > p2->tunnel->generations)
		p2->tunnel->generations = i->generation;
	/* Those that failed have their record, too: no number is given again. */
	if (i->generations > p2->tunnel->generations)
		p2->tunnel->generations = i->generations;
	p2->instance = i->instance;
	if (i->instance > e->last_instance)
		e->last_instance = i->instance;
	p2->suite = i->suite;
	p2->nat = (struct ike_nat){.local = i->nat_local,
				   .remote = i->nat_remote,
				   .napt = i->nat_napt,
				   .encap = i->suite.udp != IKE_UDP_NONE};
	p2->encap_local = i->encap_local;
	p2->encap_remote = i->encap_remote;
	if (p2->p1 && p2->nat.encap) /* what is kept of it is newer than the cache */
		ike_p2_take_nat(p2);
	memcpy(p2->oa, i->oa, sizeof(p2->oa));
	ike_nat_names_of(i, &p2->tunnel->named);
	p2->life_seconds = i->lifetime;
	p2->life_kbytes = i->lifesize;
	p2->installed = i->installed;
	p2->expires = i->expires;
	p2->tunnel->vpn_expires = i->vpn_expires;
	ike_p2_set_spi_in(e, p2, i->spi_in);
	ike_p2_set_spi_out(e, p2, i->spi_out);
	if (i->suite.ah) {
		ike_p2_set_ah_in(e, p2, i->ah_in);
		ike_p2_set_ah_out(e, p2, i->ah_out);
	}
	p2->in_kernel = p2->tunnel->marked = true;
}

static int go_on(struct ike_engine *e, struct ike_p2 *p2, struct cs_err *err)
{
	ike_p2_end_quick(p2);
	p2->state = IKE_QM_DONE;
	p2->out_kernel = true;
	p2->up = ike_serial(e);
	if (ike_p2_install_policy(e, p2, err))
		return err->code;
	if (p2->expires < e->now.wall + HELD_S)
		p2->expires = e->now.wall + HELD_S;
	ike_refresh_plan_p2(e, p2, life_left(e, p2->expires, p2->life_seconds));
	ike_refresh_settle_p2(e, p2);
	return 0;
}

/* A client proves its user to a phase 1 SA, and has an address as long as that lives. */
static bool client_is_gone(const struct ike_p1 *p1, const struct ike_p2_info *i)
{
	return i->user[0] && (!p1 || !p1->client || strcmp(p1->client->user, i->user) != 0);
}

static int adopt_under(struct ike_engine *e, struct ike_p1 *p1, const struct pol_filter_rule *rule,
		       const struct ike_p2_info *i, struct ike_p2 **result, struct cs_err *err)
{
	struct ike_peer *peer = ike_peer_get(e, &i->local, &i->remote, i->local_id, i->remote_id);
	struct ike_tunnel *t = peer ? ike_tunnel_restore(e, i) : NULL;
	struct ike_p2 *p2 = t ? ike_p2_new(e, p1, e->policy, rule, t, i->initiator) : NULL;

	if (!p2) {
		if (t)
			ike_tunnel_put(e, t);
		if (peer)
			ike_peer_put(e, peer);
		return cs_fail(err, CS_ELIMIT, "no room for tunnel Y%u", i->tunnel);
	}
	p2->peer = peer;
	ike_list_add_head(&peer->p2s, &p2->in_peer);
	fill_p2(e, p2, i);
	*result = p2;
	return 0;
}

static int adopt_checked(struct ike_engine *e, struct ike_p1 *p1, const struct ike_p2_info *i,
			 struct ike_p2 **result, struct cs_err *err)
{
	const struct pol_filter_rule *rule =
		e->policy ? pol_rule_by_id(e->policy, i->rule_id) : NULL;

	if (!i->tunnel || !i->spi_in || !i->spi_out || !i->local_id.len || !i->remote_id.len ||
	    (!i->suite.cipher && !i->suite.integ) ||
	    (i->suite.ah && (!i->suite.cipher || !i->ah_in || !i->ah_out)) ||
	    !is_time(i->installed) || !is_time(i->expires) || !is_time(i->vpn_expires))
		return cs_fail(err, CS_EPARSE, "what the cache has of it is not whole");
	if (!rule || !rule->vpn || strcmp(rule->name, i->rule))
		return cs_fail(err, CS_EPOLICY, "the policy no longer has its rule");
	if (!ike_rule_in_time(e, rule))
		return cs_fail(err, CS_EPOLICY, IKE_OUT_OF_TIME);
	if (!ike_peer_was(rule, i->remote_id))
		return cs_fail(err, CS_EPOLICY, "its rule is for another RemoteIdentity");
	if (client_is_gone(p1, i))
		return cs_fail(err, CS_EPOLICY, "user %s has to be proved again", i->user);
	return adopt_under(e, p1, rule, i, result, err);
}

/* ---- exchanges whose intent has no result yet ---- */

static struct ike_p1 *p1_of_quick(const struct ike_engine *e, const struct ike_quick_kept *k,
				  const struct ike_p2_info *i)
{
	struct ike_sid *sid = ike_sid_by_cookies(e, k->icookie, k->rcookie);
	struct ike_p1 *p1 = sid && sid->kind == IKE_SID_P1 ? IKE_OF(sid, struct ike_p1, sid) : NULL;

	return p1 && p1->up && cs_addr_equal(&p1->sid.local.addr, &i->local) &&
			       cs_addr_equal(&p1->sid.remote.addr, &i->remote)
		       ? p1
		       : NULL;
}

static int check_quick(const struct ike_engine *e, const struct ike_p1 *p1,
		       const struct ike_quick_kept *k, const struct ike_p2_info *i,
		       struct cs_err *err)
{
	if (!p1)
		return cs_fail(err, CS_ENOTFOUND, "the phase 1 SA of its exchange is gone");
	if (!k->mid || ike_p2_by_mid(e, p1, k->mid) || !k->message_len ||
	    k->message_len > sizeof(k->message) || k->ni.len > sizeof(k->ni.data) ||
	    k->nr.len > sizeof(k->nr.data) || !k->keymat_len ||
	    k->keymat_len + k->ah_keymat_len > sizeof(k->keymat_in) ||
	    k->keymat_len != ike_p2_keymat_len(&i->suite) ||
	    k->ah_keymat_len != ike_p2_ah_keymat_len(&i->suite))
		return cs_fail(err, CS_EPARSE, "its exchange was not kept whole");
	return 0;
}

static void fill_quick(struct ike_p2 *p2, const struct ike_quick_kept *k, uint64_t intent)
{
	struct ike_quick *qm = p2->qm;

	qm->intended = true;
	p2->tx = intent;
	qm->commit = k->commit;
	qm->ni = k->ni;
	qm->nr = k->nr;
	memcpy(qm->iv, k->iv, sizeof(qm->iv));
	qm->keymat_len = k->keymat_len;
	qm->ah_keymat_len = k->ah_keymat_len;
	memcpy(qm->keymat_in, k->keymat_in, sizeof(qm->keymat_in));
	memcpy(qm->keymat_out, k->keymat_out, sizeof(qm->keymat_out));
}

/* Our message again, in case that it never left, and as often as the peer asks for it. */
static int message_again(struct ike_engine *e, struct ike_p2 *p2, const struct ike_quick_kept *k,
			 struct cs_err *err)
{
	if (!ike_mid_used(p2->p1, k->mid) && ike_mid_use(p2->p1, k->mid))
		return cs_fail(err, CS_ENOMEM, "no memory for a message id");
	ike_p2_set_mid(e, p2, k->mid);
	if (ike_answer_keep(&p2->answer, 0, k->message, k->message_len))
		return cs_fail(err, CS_ENOMEM, "no memory to keep a message");
	p2->answer.inherited = true;
	p2->kept = true;
	if (!p2->initiator)
		return ike_quick_resp_again(e, p2, err);
	ike_quick_init_again(e, p2);
	return 0;
}

int ike_adopt_quick(struct ike_engine *e, const struct ike_quick_kept *k,
		    const struct ike_p2_info *i, uint64_t intent, bool outbound, bool used,
		    struct cs_err *err)
{
	struct ike_p1 *p1 = p1_of_quick(e, k, i);
	struct ike_p2 *p2;
	int rc = check_quick(e, p1, k, i, err);

	if (!rc)
		rc = adopt_checked(e, p1, i, &p2, err);
	if (rc)
		return rc;
	fill_quick(p2, k, intent);
	p2->out_kernel = outbound;
	rc = message_again(e, p2, k, err);
	if (rc) {
		ike_p2_unlink(e, p2);
		return rc;
	}
	if (outbound || used)
		ike_quick_first_packet(e, p2);
	return 0;
}

int ike_adopt_p2(struct ike_engine *e, const struct ike_p2_info *i, struct cs_err *err)
{
	struct ike_p2 *p2;
	int rc = adopt_checked(e, parent_of(e, i), i, &p2, err);

	if (rc)
		return rc;
	rc = go_on(e, p2, err);
	if (rc)
		ike_p2_unlink(e, p2);
	return rc;
}

void ike_adopt_not(struct ike_engine *e, const struct ike_p2_info *i)
{
	struct ike_p1 *p1 = parent_of(e, i);

	if (p1 && i->spi_in)
		ike_delete_spi(e, p1, i->suite.protocol, i->spi_in);
	if (p1 && i->ah_in)
		ike_delete_spi(e, p1, POL_AH, i->ah_in);
}

/* ---- exchanges that came to nothing ---- */

#define TOLD_MAX 8u /* peers at one address of which nobody knows which it was */

struct telling {
	struct ike_engine *e;
	const struct ike_left_sa *sa;
	unsigned n;
};

static void tell_all(const struct telling *t, const struct ike_peer *peer)
{
	enum pol_proto proto = t->sa->id.proto == IPPROTO_AH ? POL_AH : POL_ESP;

	for (const struct ike_list *l = peer->p1s.next; l != &peer->p1s; l = l->next) {
		struct ike_p1 *p1 = IKE_OF(l, struct ike_p1, in_peer);

		if (p1->up && !p1->dead && ike_client_in(p1))
			ike_delete_spi(t->e, p1, proto, t->sa->id.spi);
	}
}

/* False: the search goes on to the next one at these addresses. */
static bool tell_peer(const struct ike_node *node, const void *arg)
{
	const struct ike_peer *peer = IKE_OF(node, struct ike_peer, node);
	struct telling *t = *(struct telling *const *)arg;

	if (cs_addr_equal(&peer->local, &t->sa->id.dst) &&
	    cs_addr_equal(&peer->remote, &t->sa->src)) {
		tell_all(t, peer);
		t->n++;
	}
	return t->n >= TOLD_MAX;
}

/*
 * The SPI of an exchange that we began, or answered, and have forgotten.  The peer waits for the
 * rest, and one (strongSwan) lets go of all that it has with us when that does not come.
 */
void ike_adopt_tell(struct ike_engine *e, const struct ike_left_sa *sa, uint32_t parent)
{
	const struct ike_p1 *p1 = parent ? ike_p1_by_number(e, parent) : NULL;
	struct telling t = {e, sa, 0}, *arg = &t;

	if (p1 && p1->peer)
		tell_all(&t, p1->peer);
	else
		ike_table_find(&e->peers, ike_hash_addrs(e, &sa->id.dst, &sa->src), tell_peer,
			       &arg);
}
