/*
 * Where the peer of a phase 1 SA is.  A NAT in front of it gives it another port, or another
 * address, whenever it likes; a message that only the peer can have made, and made now, shows the
 * new one.  What cannot be told from a repetition of something old is answered with a question.
 * Without a NAT in front of it a peer does not move (RFC 3947 section 6).
 */
#include "iked/engine_private.h"

/* Whoever has floated stays at the port that ESP has (RFC 3947 section 4). */
static bool may_come_to(const struct ike_engine *e, const struct ike_p1 *p1,
			const struct cs_endpoint *to)
{
	return cs_addr_equal(&to->addr, &p1->sid.local.addr) &&
	       (to->port == e->set.nat_port || p1->sid.local.port != e->set.nat_port);
}

/* Another address must be one that the rule has, too: who is behind a NAT is not everywhere. */
static bool may_be_at(const struct ike_p1 *p1, const struct cs_addr *remote)
{
	return cs_addr_equal(remote, &p1->sid.remote.addr) || !p1->rule ||
	       pol_ke_rule_at(p1->rule, &p1->sid.local.addr, remote);
}

/* Another port number than IKE's shows that the NAT translates ports, too. */
static void look_at_port(const struct ike_engine *e, struct ike_p1 *p1)
{
	if (p1->nat.remote && ike_nat_translated(e, &p1->sid.remote))
		p1->nat.napt = true;
}

/* ---- during the exchange ---- */

void ike_path_exchange(struct ike_engine *e, struct ike_p1 *p1)
{
	const struct cs_endpoint *to = &p1->ex->to, *from = &p1->ex->from;
	bool floats = to->port == e->set.nat_port && p1->sid.local.port != e->set.nat_port;

	if (!p1->nat.level || (!p1->nat.remote && !floats) || !may_come_to(e, p1, to) ||
	    !may_be_at(p1, &from->addr))
		return;
	/* It floats, so it wants encapsulation, whatever its reason. */
	p1->nat.encap |= floats;
	if (!cs_endpoint_equal(from, &p1->sid.remote) || !cs_endpoint_equal(to, &p1->sid.local))
		ike_sid_moved(e, &p1->sid, to, from);
	look_at_port(e, p1);
}

/* ---- when it is up ---- */

/* Into the list of whom it is with there; CS_ENOMEM. */
static int change_peer(struct ike_engine *e, struct ike_p1 *p1, const struct cs_addr *remote)
{
	struct ike_peer *peer = ike_peer_at(e, p1->peer, remote);

	if (!peer)
		return CS_ENOMEM;
	ike_list_remove(&p1->in_peer);
	p1->peer = peer;
	ike_list_add_head(&peer->p1s, &p1->in_peer);
	return 0;
}

static void move_one(struct ike_engine *e, struct ike_p1 *p1, const struct cs_endpoint *local,
		     const struct cs_endpoint *remote)
{
	if (!cs_addr_equal(&p1->peer->remote, &remote->addr) && change_peer(e, p1, &remote->addr))
		return;
	ike_sid_moved(e, &p1->sid, local, remote);
	look_at_port(e, p1);
	ike_keep_later(e, p1);
}

/* The generations of the tunnel are one host's. Oldest first, so that the newest stays ahead. */
static void move_tunnel(struct ike_engine *e, struct ike_p1 *p1, const struct cs_endpoint *local,
			const struct cs_endpoint *remote)
{
	struct ike_peer *peer = p1->peer;
	struct ike_list *l = peer->p1s.prev;

	while (l != &peer->p1s) {
		struct ike_p1 *other = IKE_OF(l, struct ike_p1, in_peer);

		l = l->prev;
		if (other->tunnel == p1->tunnel)
			move_one(e, other, local, remote);
	}
}

void ike_p1_moved(struct ike_engine *e, struct ike_p1 *p1, const struct cs_endpoint *local,
		  const struct cs_endpoint *remote)
{
	struct cs_endpoint old = p1->sid.remote, there = *remote, here = *local;
	char from[CS_ENDPOINT_STRLEN], to[CS_ENDPOINT_STRLEN];
	struct ike_peer *peer = p1->peer;

	if (!may_be_at(p1, &there.addr)) {
		e->stats.moves_refused++;
		return;
	}
	if (!ike_take_token(e, &p1->moves)) { /* what it says next from there will do */
		e->stats.moves_put_off++;
		return;
	}
	move_tunnel(e, p1, &here, &there);
	if (!cs_endpoint_equal(&p1->sid.remote, &there))
		return;
	ike_logf(e, ike_p1_ctx(p1), CSM_PEER_MOVED, p1->tunnel, p1->rule ? p1->rule->name : "",
		 cs_endpoint_text(&old, from), cs_endpoint_text(&there, to));
	ike_p2_follow(e, p1, &old);
	if (peer != p1->peer)
		ike_peer_put(e, peer);
}

static bool elsewhere(const struct ike_engine *e, const struct ike_p1 *p1)
{
	return e->from && p1->up && p1->nat.remote && may_come_to(e, p1, e->to) &&
	       may_be_at(p1, &e->from->addr) &&
	       !(cs_endpoint_equal(e->from, &p1->sid.remote) &&
		 cs_endpoint_equal(e->to, &p1->sid.local));
}

void ike_path_heard(struct ike_engine *e, struct ike_p1 *p1, bool fresh)
{
	if (!elsewhere(e, p1))
		return;
	if (fresh)
		ike_p1_moved(e, p1, e->to, e->from);
	else
		ike_dpd_ask_there(e, p1, e->to, e->from);
}

/* Whoever asks may have written a third one's address on it, where phase 1 proves nothing yet. */
static bool may_send_there(struct ike_engine *e, const struct ike_p1 *p1)
{
	if (!e->from || !p1->nat.remote || !may_come_to(e, p1, e->to))
		return false;
	return cs_addr_equal(&e->from->addr, &p1->sid.remote.addr) ||
	       (elsewhere(e, p1) && ike_take_token(e, &e->repeat_bucket));
}

void ike_send_again(struct ike_engine *e, const struct ike_p1 *p1, const uint8_t *data, size_t len)
{
	bool there = may_send_there(e, p1);

	ike_send_p1_to(e, p1, there ? e->to : &p1->sid.local, there ? e->from : &p1->sid.remote,
		       data, len);
}
