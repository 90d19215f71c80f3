/* Marks and reqids: where a rule's id stands in them. */
#include "xfrm/xfrm.h"

#define FIELD_BITS 14
#define FIELD      ((1u << FIELD_BITS) - 1)

uint32_t xf_mark_value(const struct xf_marking *m, unsigned value)
{
	return ((uint32_t)value & FIELD) << m->shift;
}

uint32_t xf_mark_mask(const struct xf_marking *m)
{
	return (uint32_t)FIELD << m->shift;
}

_Static_assert(XF_MARK_CLIENT_MAX == FIELD, "the mark field is used up to its end");
_Static_assert(XF_REQID_TUNNEL_BITS + FIELD_BITS == 32, "a reqid is a rule id and a tunnel");

uint32_t xf_reqid(unsigned rule_id, unsigned tunnel)
{
	return (uint32_t)rule_id << XF_REQID_TUNNEL_BITS | (tunnel & XF_REQID_TUNNEL_MAX);
}

unsigned xf_reqid_rule(uint32_t reqid)
{
	return reqid >> XF_REQID_TUNNEL_BITS;
}

unsigned xf_reqid_tunnel(uint32_t reqid)
{
	return reqid & XF_REQID_TUNNEL_MAX;
}

/* A rule id that no rule has. */
#define MANUAL 1u

uint32_t xf_reqid_manual(unsigned number)
{
	return xf_reqid(MANUAL, number);
}

bool xf_reqid_is_manual(uint32_t reqid)
{
	return xf_reqid_rule(reqid) == MANUAL;
}

bool xf_reqid_is_tunnel(uint32_t reqid)
{
	unsigned rule = xf_reqid_rule(reqid);

	return rule >= XF_MARK_RULE_MIN && rule <= XF_MARK_RULE_MAX && xf_reqid_tunnel(reqid) != 0;
}
