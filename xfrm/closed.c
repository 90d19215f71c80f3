/*
 * Which policies the kernel needs for a filter policy:
 *
 *   anchors   one an ipsec rule and family, under the rule's mark: they raise the acquires, and
 *             hold the packets
 *   arrivals  what nftables accepted, under the marks it gives: allowed, whatever SA it came by;
 *             one for all clients' marks
 *   closed    each ipsec rule's selectors without a mark: what stays shut when our table is gone
 *   neighbor  neighbour discovery without a mark, so that a closed link still works for the rest
 *
 * Outbound, XFRM looks before nftables can mark, so a block there would stop everything.  The
 * closed outbound policies lead to a spent SA instead (its sequence numbers are used up): with our
 * table there the packet is marked and routed again before it gets to that SA, without it the SA
 * refuses the packet (dead_end.c).
 */
#include "xfrm/closed.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "xfrm/dead_end.h"
#include "xfrm/kernel.h"

/* Beyond this many products of one rule the closed selectors get wider, which is the safe side. */
#define PRODUCTS_MAX 1024u

bool xf_list_put(struct xf_policy_list *l, const struct xf_policy *p)
{
	struct xf_policy *v = xf_room(l->v, l->n, &l->cap, sizeof(*v));

	if (!v)
		return false;
	l->v = v;
	l->v[l->n++] = *p;
	return true;
}

void xf_list_free(struct xf_policy_list *l)
{
	free(l->v);
	*l = (struct xf_policy_list){0};
}

static int order(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int range_order(const struct cs_range *a, const struct cs_range *b)
{
	int d = cs_addr_compare(&a->lo, &b->lo);

	return d ? d : cs_addr_compare(&a->hi, &b->hi);
}

int xf_policy_order(const struct xf_policy *a, const struct xf_policy *b)
{
	const struct cs_selector *s = &a->selector, *t = &b->selector;
	int d;

	if ((d = order(a->dir, b->dir)) || (d = order(a->family, b->family)) ||
	    (d = order(a->mark, b->mark)) || (d = order(a->mark_mask, b->mark_mask)) ||
	    (d = range_order(&s->local, &t->local)) || (d = range_order(&s->remote, &t->remote)) ||
	    (d = order(s->proto, t->proto)) || (d = order(s->local_port, t->local_port)))
		return d;
	return order(s->remote_port, t->remote_port);
}

bool xf_policy_same(const struct xf_policy *a, const struct xf_policy *b)
{
	return a->priority == b->priority && a->action == b->action &&
	       a->has_template == b->has_template && a->optional == b->optional &&
	       a->hold == b->hold && a->mode == b->mode && a->proto == b->proto &&
	       a->reqid == b->reqid && cs_addr_equal(&a->local, &b->local) &&
	       cs_addr_equal(&a->remote, &b->remote);
}

static int by_order(const void *a, const void *b)
{
	return xf_policy_order(a, b);
}

void xf_list_sort(struct xf_policy_list *l)
{
	size_t n = 0;

	if (l->n < 2)
		return;
	qsort(l->v, l->n, sizeof(*l->v), by_order);
	for (size_t i = 0; i < l->n; i++) {
		if (n == 0 || xf_policy_order(&l->v[n - 1], &l->v[i]) != 0)
			l->v[n++] = l->v[i];
	}
	l->n = n;
}

/* ---- ranges as prefixes ---- */

struct range_list {
	struct cs_range *v;
	size_t n, cap;
};

static bool put_range(struct range_list *l, const struct cs_range *r)
{
	struct cs_range *v = xf_room(l->v, l->n, &l->cap, sizeof(*v));

	if (!v)
		return false;
	l->v = v;
	l->v[l->n++] = *r;
	return true;
}

/* The address behind a; false when a is the last one. */
static bool next_address(struct cs_addr *a)
{
	for (size_t i = cs_addr_len(a->family); i-- > 0;) {
		if (++a->b[i] != 0)
			return true;
	}
	return false;
}

/* The fewest prefixes that make up the range: each the widest one that begins at what is left. */
static bool put_prefixes(struct range_list *l, const struct cs_range *r)
{
	struct cs_addr at = r->lo;
	struct cs_range p, wider;

	do {
		p = cs_range_single(&at);
		for (int len = (int)cs_addr_len(at.family) * 8 - 1; len >= 0; len--) {
			wider = cs_range_prefix(&at, (unsigned)len);
			if (!cs_addr_equal(&wider.lo, &at) ||
			    cs_addr_compare(&wider.hi, &r->hi) > 0)
				break;
			p = wider;
		}
		if (!put_range(l, &p))
			return false;
		at = p.hi;
	} while (next_address(&at) && cs_addr_compare(&at, &r->hi) <= 0);
	return true;
}

/* One family of an address list as prefixes. */
static bool prefixes(struct range_list *l, const struct cs_range *r, unsigned n, uint8_t family)
{
	l->n = 0;
	for (unsigned i = 0; i < n; i++) {
		if (r[i].lo.family == family && !put_prefixes(l, &r[i]))
			return false;
	}
	return true;
}

static void widen(struct range_list *l, uint8_t family)
{
	l->v[0] = cs_range_all(family);
	l->n = 1;
}

/* ---- the four kinds ---- */

struct want {
	const struct xf_marking *marking;
	struct xf_policy_list *out;
	struct range_list src, dst;
	bool family[2]; /* IPv4, IPv6: closed policies exist */
};

static struct xf_policy blank(const struct want *w, enum xf_dir dir, uint8_t family, unsigned mark,
			      uint32_t priority)
{
	struct xf_policy p = {.dir = dir, .family = family, .priority = priority};

	p.mark = xf_mark_value(w->marking, mark);
	p.mark_mask = xf_mark_mask(w->marking);
	return p;
}

static bool put_arrivals(struct want *w, enum xf_dir dir, unsigned mark, uint8_t family)
{
	struct xf_policy p = blank(w, dir, family, mark, XF_PRIO_ANCHOR);

	p.has_template = p.optional = true;
	p.mode = XF_TUNNEL;
	p.proto = IPPROTO_ESP;
	return xf_list_put(w->out, &p);
}

static bool put_anchor(struct want *w, const struct pol_filter_rule *r, uint8_t family)
{
	struct xf_policy p = blank(w, XF_OUT, family, r->id, XF_PRIO_ANCHOR);

	p.hold = true;
	/* Nobody can be asked for a manual tunnel's SAs; without them its packets are held. */
	if (r->manual)
		return xf_list_put(w->out, &p);
	p.has_template = true;
	p.mode = XF_TRANSPORT;
	p.proto = IPPROTO_ESP;
	p.reqid = xf_reqid(r->id, 0);
	return xf_list_put(w->out, &p);
}

static bool put_closed_dir(struct want *w, enum xf_dir dir, const struct cs_selector *s)
{
	uint8_t family = s->local.lo.family;
	struct cs_range all = cs_range_all(family);
	struct xf_policy p = blank(w, dir, family, XF_MARK_NONE, XF_PRIO_CLOSED);

	/* Everything is written as a selector without addresses, as a dump has it. */
	if (s->proto || !cs_range_equal(&s->local, &all) || !cs_range_equal(&s->remote, &all))
		p.selector = *s;
	if (dir != XF_OUT) {
		p.action = XF_BLOCK;
		return xf_list_put(w->out, &p);
	}
	p.has_template = true;
	p.mode = XF_TUNNEL;
	p.proto = IPPROTO_ESP;
	p.reqid = XF_REQID_SPENT;
	p.local = xf_dead_end_src(family);
	p.remote = xf_dead_end_dst(XF_SPENT, family);
	return xf_list_put(w->out, &p);
}

static uint16_t single_port(const uint16_t port[2])
{
	return port[0] == port[1] ? port[0] : 0;
}

static bool put_closed(struct want *w, const struct cs_range *local, const struct cs_range *remote,
		       const struct pol_service *s, bool whole)
{
	struct cs_selector sel = {.local = *local, .remote = *remote}, back;
	bool ok;

	if (s->proto > 0 && !whole) {
		sel.proto = (uint8_t)s->proto;
		sel.local_port = single_port(s->src_port);
		sel.remote_port = single_port(s->dst_port);
	}
	ok = put_closed_dir(w, XF_OUT, &sel) && put_closed_dir(w, XF_IN, &sel);
	if (s->routing == POL_LOCAL || !ok)
		return ok;
	/* Forwarded packets go both ways through this one check. */
	back = sel;
	back.local = sel.remote;
	back.remote = sel.local;
	back.local_port = sel.remote_port;
	back.remote_port = sel.local_port;
	return put_closed_dir(w, XF_FWD, &sel) && put_closed_dir(w, XF_FWD, &back);
}

static bool put_products(struct want *w, const struct pol_filter_rule *r, uint8_t family)
{
	bool whole = false;

	if (!prefixes(&w->src, r->src, r->n_src, family) ||
	    !prefixes(&w->dst, r->dst, r->n_dst, family))
		return false;
	if (w->src.n == 0 || w->dst.n == 0)
		return true;
	if (w->src.n * w->dst.n * r->n_services > PRODUCTS_MAX)
		whole = true;
	if (w->src.n * w->dst.n > PRODUCTS_MAX)
		widen(w->src.n > w->dst.n ? &w->src : &w->dst, family);
	w->family[family == AF_INET6] = true;
	for (size_t i = 0; i < w->src.n; i++) {
		for (size_t j = 0; j < w->dst.n; j++) {
			for (unsigned k = 0; k < r->n_services; k++) {
				if (!put_closed(w, &w->src.v[i], &w->dst.v[j], &r->services[k],
						whole))
					return false;
			}
		}
	}
	return put_anchor(w, r, family);
}

static bool is_routed(const struct pol_filter_rule *r)
{
	for (unsigned i = 0; i < r->n_services; i++) {
		if (r->services[i].routing != POL_LOCAL)
			return true;
	}
	return false;
}

/* XFRM takes ICMPv6 types for source ports. */
static bool put_neighbor(struct want *w, unsigned type)
{
	static const enum xf_dir dirs[] = {XF_IN, XF_OUT};

	for (int i = 0; i < 2; i++) {
		struct xf_policy p = blank(w, dirs[i], AF_INET6, XF_MARK_NONE, XF_PRIO_NEIGHBOR);

		p.selector.local = p.selector.remote = cs_range_all(AF_INET6);
		p.selector.proto = IPPROTO_ICMPV6;
		if (dirs[i] == XF_OUT)
			p.selector.local_port = (uint16_t)type;
		else
			p.selector.remote_port = (uint16_t)type;
		if (!xf_list_put(w->out, &p))
			return false;
	}
	return true;
}

static bool put_common(struct want *w, uint8_t family)
{
	if (!w->family[family == AF_INET6])
		return true;
	if (!put_arrivals(w, XF_IN, XF_MARK_INBOUND, family) ||
	    !put_arrivals(w, XF_FWD, XF_MARK_PERMIT, family))
		return false;
	if (family == AF_INET)
		return true;
	for (unsigned type = 130; type <= 137; type++) {
		if (!put_neighbor(w, type))
			return false;
	}
	return put_neighbor(w, 143);
}

static bool put_rule(struct want *w, const struct pol_filter_rule *r)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};

	for (int i = 0; i < 2; i++) {
		if (!put_products(w, r, families[i]))
			return false;
		/* From one tunnel into another: it is forwarded under the second one's mark. */
		if (is_routed(r) && w->src.n && w->dst.n &&
		    !put_arrivals(w, XF_FWD, r->id, families[i]))
			return false;
	}
	return true;
}

bool xf_policy_has_clients(const struct pol_policy *policy)
{
	bool ipsec = false, nat = false;

	for (unsigned i = 0; i < policy->n_rules; i++)
		ipsec |= policy->rules[i].verdict == POL_IPSEC;
	for (unsigned i = 0; i < policy->n_ke_rules; i++)
		nat |= policy->ke_rules[i].action && policy->ke_rules[i].action->allow_nat;
	return ipsec && nat;
}

/* From one tunnel to a client: all clients' marks have this bit. */
static bool put_to_clients(struct want *w, uint8_t family)
{
	struct xf_policy p = blank(w, XF_FWD, family, XF_MARK_CLIENT_GONE, XF_PRIO_ANCHOR);

	if (!w->family[family == AF_INET6])
		return true;
	p.mark_mask = p.mark;
	p.has_template = p.optional = true;
	p.mode = XF_TUNNEL;
	p.proto = IPPROTO_ESP;
	return xf_list_put(w->out, &p);
}

int xf_wanted(const struct xf_marking *marking, const struct pol_policy *policy,
	      struct xf_policy_list *l, bool *v4, bool *v6, struct cs_err *err)
{
	struct want w = {.marking = marking, .out = l};
	bool ok = true;

	for (unsigned i = 0; ok && i < policy->n_rules; i++) {
		const struct pol_filter_rule *r = &policy->rules[i];

		if (r->verdict != POL_IPSEC)
			continue;
		if (r->id < XF_MARK_RULE_MIN || r->id > XF_MARK_RULE_MAX) {
			free(w.src.v);
			free(w.dst.v);
			return cs_fail(err, CS_EINVAL, "ipsec rule %s has no mark (id %u)", r->name,
				       r->id);
		}
		ok = put_rule(&w, r);
	}
	ok = ok && put_common(&w, AF_INET) && put_common(&w, AF_INET6);
	if (ok && xf_policy_has_clients(policy))
		ok = put_to_clients(&w, AF_INET) && put_to_clients(&w, AF_INET6);
	free(w.src.v);
	free(w.dst.v);
	if (!ok)
		return cs_fail(err, CS_ENOMEM, "no memory for the kernel's policies");
	xf_list_sort(l);
	*v4 = w.family[0];
	*v6 = w.family[1];
	return 0;
}
