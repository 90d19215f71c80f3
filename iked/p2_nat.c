/*
 * Quick Mode through a NAT (RFC 3947 sections 5 and 6).  ESP goes in UDP.  In transport mode a data
 * address is what packets have on our side of the NAT, which the peer cannot know: it names its own
 * one, in ID payloads and as NAT-OA.  Those are for the kernel, for displays, and for calling
 * things as the peer does.
 */
#include <netinet/in.h>
#include <string.h>

#include "iked/engine_private.h"

unsigned ike_nat_path(const struct ike_nat *nat)
{
	if (!nat->encap)
		return 0;
	return IKE_PATH_UDP | (nat->level == IKE_NATT_RFC ? 0 : IKE_PATH_DRAFT);
}

unsigned ike_p2_path(const struct ike_p2 *p2)
{
	return (ike_p2_transport_ok(p2->tunnel) ? IKE_PATH_TRANSPORT : 0) | ike_nat_path(&p2->nat);
}

void ike_p2_take_nat(struct ike_p2 *p2)
{
	const struct ike_p1 *p1 = p2->p1;

	p2->nat = p1->nat;
	p2->encap_local = p1->nat.encap ? p1->sid.local.port : 0;
	p2->encap_remote = p1->nat.encap ? p1->sid.remote.port : 0;
}

/* ---- data addresses ---- */

bool ike_nat_translate(const struct ike_p1 *p1, struct cs_selector *s)
{
	if (p1->nat.remote && cs_range_is_single(&s->remote))
		s->remote = cs_range_single(&p1->sid.remote.addr);
	if (p1->nat.local && cs_range_is_single(&s->local))
		s->local = cs_range_single(&p1->sid.local.addr);
	return ike_transport_ok(s, &p1->sid.local.addr, &p1->sid.remote.addr);
}

void ike_nat_names_of(const struct ike_p2_info *i, struct cs_selector *named)
{
	if (i->initiator || i->suite.encap != POL_TRANSPORT || named->local.lo.family)
		return;
	*named = i->selector;
	if (i->nat_local && i->oa[1].family)
		named->local = cs_range_single(&i->oa[1]);
	if (i->nat_remote && i->oa[0].family)
		named->remote = cs_range_single(&i->oa[0]);
}

/* ---- NAT-OA ---- */

const struct cs_addr *ike_p2_peer_oa(const struct ike_p2 *p2)
{
	return &p2->oa[p2->initiator ? 1 : 0];
}

static bool offers_transport(const struct ike_p2 *p2)
{
	const struct pol_dynvpn_action *vpn = p2->rule->vpn;

	for (unsigned i = 0; i < vpn->n_offers; i++)
		if (vpn->offers[i].encap == POL_TRANSPORT &&
		    (p2->qm->only < 0 || i == (unsigned)p2->qm->only))
			return ike_p2_path(p2) & IKE_PATH_TRANSPORT;
	return false;
}

static void put_oa(struct isa_builder *b, unsigned type, const struct cs_addr *a)
{
	isa_payload_begin(b, type);
	cs_put_u8(&b->w, a->family == AF_INET ? POL_ID_IPV4_ADDR : POL_ID_IPV6_ADDR);
	cs_put_zeros(&b->w, 3);
	cs_put_bytes(&b->w, a->b, cs_addr_len(a->family));
	isa_payload_end(b);
}

/* The initiator's address, then the responder's, as we see them (RFC 3947 section 5.2). */
void ike_nat_put_oa(const struct ike_p2 *p2, struct isa_builder *b)
{
	const struct ike_nat *nat = &p2->nat;
	unsigned type = nat->level == IKE_NATT_RFC ? ISA_NATOA : ISA_NATOA_DRAFT;
	const struct cs_addr *own = &p2->tunnel->local, *other = &p2->tunnel->remote;
	bool transport =
		p2->suite.protocol ? p2->suite.encap == POL_TRANSPORT : offers_transport(p2);

	if (!nat->encap || !(nat->local || nat->remote) || !transport)
		return;
	put_oa(b, type, p2->initiator ? own : other);
	put_oa(b, type, p2->initiator ? other : own);
}

/* It is for displays and the kernel alone, so what cannot be read counts as not there. */
static struct cs_addr read_oa(const struct isa_payload *p)
{
	struct cs_addr none = {0};

	if (p->body.p[0] == POL_ID_IPV4_ADDR && p->body.len == 8)
		return cs_addr_from_bytes(AF_INET, p->body.p + 4);
	return none;
}

/* Draft 02 has one, of who sends it. */
void ike_nat_take_oa(struct ike_p2 *p2, const struct isa_message *m)
{
	unsigned type = isa_find(m, ISA_NATOA, 0) ? ISA_NATOA : ISA_NATOA_DRAFT;
	const struct isa_payload *first = isa_find(m, type, 0), *second = isa_find(m, type, 1);

	memset(p2->oa, 0, sizeof(p2->oa));
	if (!p2->nat.encap || p2->suite.encap != POL_TRANSPORT || !first)
		return;
	if (!second) {
		p2->oa[p2->initiator ? 1 : 0] = read_oa(first);
		return;
	}
	p2->oa[0] = read_oa(first);
	p2->oa[1] = read_oa(second);
}
