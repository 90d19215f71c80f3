/*
 * Pairs that follow their peer.  A NAT gives a host that is behind it another port, or another
 * address, when it forgets or is restarted.  Where the peer is now its phase 1 SA tells (path.c),
 * or the kernel, of ESP that was authentic and no repetition.  The SAs in the kernel are moved as
 * they are, so that no sequence number comes twice.
 */
#include <string.h>

#include "iked/engine_private.h"

/* What the kernel told may be of before a move that is younger than this. */
#define STALE_MS 1000u

static struct cs_endpoint remote_of(const struct ike_p2 *p2)
{
	return (struct cs_endpoint){p2->tunnel->remote, p2->encap_remote};
}

/* ---- one tunnel ---- */

static void end_all(struct ike_engine *e, struct ike_tunnel *t, const char *reason)
{
	while (!ike_list_empty(&t->p2s)) /* the oldest first: no other comes up in its place */
		ike_p2_end(e, IKE_OF(t->p2s.prev, struct ike_p2, in_tunnel), true, reason);
}

/* Why its pairs cannot go along to that address, or NULL. */
static const char *stays(const struct ike_engine *e, const struct ike_tunnel *t,
			 const struct cs_addr *to)
{
	const struct ike_p2 *newest = IKE_OF(t->p2s.next, struct ike_p2, in_tunnel);
	struct ike_tunnel_key key = ike_tunnel_key_of(t);

	if (cs_addr_equal(&t->remote, to))
		return NULL;
	if (ike_p2_transport_ok(t))
		return "its peer has another address now, which its traffic has not";
	if (!ike_claim_allowed(newest->rule, to))
		return "its rule names the security endpoint that its peer had";
	key.remote = to;
	return ike_tunnel_by_key(e, &key) ? "its peer has a newer one at its new address" : NULL;
}

static int move_in_kernel(struct ike_engine *e, const struct ike_p2 *p2,
			  const struct cs_endpoint *to, struct cs_err *err)
{
	struct xf_move in = {ike_p2_said_in(p2), false, to->addr, to->port};
	struct xf_move out = {ike_p2_said_out(p2), true, to->addr, to->port};
	int rc = 0;

	if (p2->in_kernel)
		rc = e->ops.sa_move(e->ctx, &in, err);
	if (!rc && p2->out_kernel)
		rc = e->ops.sa_move(e->ctx, &out, err);
	return rc;
}

static void not_moved(struct ike_engine *e, struct ike_p2 *p2, const struct cs_err *err)
{
	e->stats.kernel_refusals++;
	ike_logf(e, ike_p2_ctx(p2), CSM_KERNEL_REFUSED, "the move of an SA", p2->tunnel->number,
		 err->text);
	ike_p2_end(e, p2, true, "it could not be moved to where its peer is");
}

/* Those that cannot go along end before the tunnel has its new address, which names their SAs. */
static void move_pairs_in_kernel(struct ike_engine *e, struct ike_tunnel *t,
				 const struct cs_endpoint *to)
{
	struct cs_err err = {0};

	for (struct ike_list *l = t->p2s.next; l != &t->p2s;) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, in_tunnel);

		l = l->next;
		if (!p2->nat.encap)
			ike_p2_end(e, p2, true, "its peer is somewhere else, and it is not in UDP");
		else if (move_in_kernel(e, p2, to, &err))
			not_moved(e, p2, &err);
	}
}

static int change_peer(struct ike_engine *e, struct ike_p2 *p2, const struct cs_addr *remote)
{
	struct ike_peer *old = p2->peer, *peer;

	if (!old || cs_addr_equal(&old->remote, remote))
		return 0;
	peer = ike_peer_at(e, old, remote);
	if (!peer)
		return CS_ENOMEM;
	ike_list_remove(&p2->in_peer);
	p2->peer = peer;
	ike_list_add_tail(&peer->p2s, &p2->in_peer);
	ike_peer_put(e, old);
	return 0;
}

/* What finds them: the tunnel's address is part of how the kernel calls their SAs. */
static void readdress(struct ike_engine *e, struct ike_tunnel *t, const struct cs_endpoint *to)
{
	t->remote = to->addr;
	for (struct ike_list *l = t->p2s.next; l != &t->p2s; l = l->next) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, in_tunnel);

		p2->encap_remote = to->port;
		p2->moved_at = e->now.mono;
		p2->nat.napt |= to->port != e->set.nat_port;
		if (p2->spi_out)
			ike_p2_set_spi_out(e, p2, p2->spi_out);
		change_peer(e, p2, &to->addr);
	}
}

static void tell(struct ike_engine *e, const struct ike_tunnel *t, const struct cs_endpoint *from,
		 const struct cs_endpoint *to)
{
	char old[CS_ENDPOINT_STRLEN], new[CS_ENDPOINT_STRLEN];

	cs_endpoint_text(from, old);
	cs_endpoint_text(to, new);
	for (struct ike_list *l = t->p2s.next; l != &t->p2s; l = l->next) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, in_tunnel);

		ike_logf(e, ike_p2_ctx(p2), CSM_P2_MOVED, p2->generation, t->number, old, new);
		if (p2->up)
			ike_p2_record_moved(e, p2);
	}
}

static void move_tunnel(struct ike_engine *e, struct ike_tunnel *t, const struct cs_endpoint *from,
			const struct cs_endpoint *to)
{
	const char *why_not = stays(e, t, &to->addr);
	bool elsewhere = !cs_addr_equal(&t->remote, &to->addr);

	if (why_not) {
		end_all(e, t, why_not);
		return;
	}
	move_pairs_in_kernel(e, t, to);
	readdress(e, t, to);
	if (elsewhere && !ike_list_empty(&t->p2s))
		ike_tunnel_policy_again(e, t);
	tell(e, t, from, to);
}

/* ---- all of a peer's ---- */

/* Who moves: what is under this phase 1 SA, and what that host has under none or another one. */
struct mover {
	const struct ike_p1 *p1; /* or NULL */
	struct ike_peer *peer;   /* as it was; or NULL */
	const struct cs_endpoint *from, *to;
};

static bool follows(const struct ike_p2 *p2, const struct mover *m)
{
	struct cs_endpoint at = remote_of(p2);

	if (!p2->nat.encap || cs_endpoint_equal(&at, m->to))
		return false;
	return (m->p1 && p2->p1 == m->p1) ||
	       (cs_endpoint_equal(&at, m->from) && ike_client_same(p2->p1, m->p1));
}

static struct ike_p2 *next_to_move(const struct mover *m)
{
	if (m->p1)
		for (struct ike_list *l = m->p1->p2s.next; l != &m->p1->p2s; l = l->next)
			if (follows(IKE_OF(l, struct ike_p2, in_p1), m))
				return IKE_OF(l, struct ike_p2, in_p1);
	if (m->peer)
		for (struct ike_list *l = m->peer->p2s.next; l != &m->peer->p2s; l = l->next)
			if (follows(IKE_OF(l, struct ike_p2, in_peer), m))
				return IKE_OF(l, struct ike_p2, in_peer);
	return NULL;
}

/* Each step moves a tunnel or ends it, which changes the lists. */
static void move_all(struct ike_engine *e, const struct mover *m)
{
	struct ike_p2 *p2;

	while ((p2 = next_to_move(m)))
		move_tunnel(e, p2->tunnel, m->from, m->to);
}

void ike_p2_follow(struct ike_engine *e, struct ike_p1 *p1, const struct cs_endpoint *old_remote)
{
	struct cs_endpoint to = p1->sid.remote;
	struct mover m = {p1, ike_peer_find(e, p1->peer, &old_remote->addr), old_remote, &to};

	move_all(e, &m);
}

/* ---- the kernel has seen it elsewhere ---- */

/* The peer's phase 1 SA that is where the pair is. */
static struct ike_p1 *p1_of(struct ike_p2 *p2, const struct cs_endpoint *at)
{
	if (p2->p1 && p2->p1->up && cs_endpoint_equal(&p2->p1->sid.remote, at))
		return p2->p1;
	return ike_p1_of_host(p2);
}

/*
 * Who is on the path can hold a packet back and send it from elsewhere, and so draw the traffic to
 * himself until the next authentic packet comes; where the peer can be asked it is, at once.
 */
static void moved(struct ike_engine *e, struct ike_p2 *p2, const struct cs_endpoint *from,
		  const struct cs_endpoint *to)
{
	struct ike_p1 *p1 = p1_of(p2, from);
	struct mover m = {NULL, p2->peer, from, to};

	if (!p1 && p2->moved_at && e->now.mono < p2->moved_at + STALE_MS) {
		e->stats.moves_put_off++; /* the kernel tells again, if it is still there */
		return;
	}
	if (!p1) {
		move_all(e, &m);
		return;
	}
	ike_p1_moved(e, p1, &p1->sid.local, to);
	if (!p1->dead)
		ike_dpd_probe(e, p1->peer, p1);
}

/* An engine before this one was killed in the middle of a move. */
static void move_again(struct ike_engine *e, struct ike_p2 *p2, const struct cs_endpoint *at)
{
	struct cs_err err = {0};

	p2->moved_at = e->now.mono;
	if (move_in_kernel(e, p2, at, &err))
		not_moved(e, p2, &err);
}

void ike_mapping(struct ike_engine *e, const struct xf_mapping *m)
{
	struct ike_p2 *p2 = ike_p2_by_spi(e, true, &m->id.dst, m->id.proto, m->id.spi);
	struct cs_endpoint at, to = m->new_peer;

	/* Without a NAT in front of it a peer does not move, see path.c. */
	if (!p2 || !p2->nat.encap || !p2->nat.remote || !p2->peer ||
	    to.addr.family != p2->tunnel->remote.family || !to.port) {
		e->stats.unknown_mappings++;
		return;
	}
	at = remote_of(p2);
	if (!cs_endpoint_equal(&at, &m->old_peer) && p2->moved_at &&
	    e->now.mono < p2->moved_at + STALE_MS)
		return;
	if (!cs_endpoint_equal(&at, &to))
		moved(e, p2, &at, &to);
	else if (!cs_endpoint_equal(&at, &m->old_peer))
		move_again(e, p2, &at);
}
