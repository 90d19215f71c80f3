/* A policy's services as lines: what each asks of a packet in one place of the kernel. */
#include <netinet/in.h>
#include <stdlib.h>

#include "xfrm/kernel.h"
#include "xfrm/nft_model.h"

#define IPPROTO_OSPF_IGP 89 /* <netinet/in.h> has no name for it */

bool xf_sense_inbound(enum xf_sense sense)
{
	return sense == XF_IN_LOCAL || sense == XF_IN_ROUTED || sense == XF_IN_FRAGMENT;
}

static bool has_family(const struct cs_range *r, unsigned n, uint8_t family)
{
	for (unsigned i = 0; i < n; i++) {
		if (r[i].lo.family == family)
			return true;
	}
	return false;
}

static bool has_everything(const struct cs_range *r, unsigned n, uint8_t family)
{
	struct cs_range all = cs_range_all(family);

	for (unsigned i = 0; i < n; i++) {
		if (cs_range_equal(&r[i], &all))
			return true;
	}
	return false;
}

static bool applies(const struct pol_filter_rule *r, const struct pol_service *s,
		    enum xf_sense sense)
{
	bool routed = sense == XF_IN_ROUTED || sense == XF_OUT_ROUTED;

	/* By which interface a packet goes on is not known yet where it is decided. */
	if (sense == XF_OUT_ROUTED && s->security_class && r->verdict == POL_PERMIT)
		return false;
	if (s->direction == (xf_sense_inbound(sense) ? POL_OUT : POL_IN))
		return false;
	/* Packets leave this host whole; the kernel cuts them behind the filters. */
	if (s->fragments_only && sense == XF_OUT_LOCAL)
		return false;
	return s->routing == POL_EITHER || (s->routing == POL_ROUTED) == routed;
}

/* Does the service exist in this family? */
static bool fits_family(const struct pol_service *s, uint8_t family)
{
	if (s->proto == IPPROTO_ICMP)
		return family == AF_INET;
	if (s->proto == IPPROTO_ICMPV6 || s->proto == IPPROTO_MH || s->proto == POL_PROTO_OPAQUE)
		return family == AF_INET6;
	return true;
}

static void set_ports(uint16_t to[2], const uint16_t ports[2])
{
	bool any = pol_ports_any(ports);

	to[0] = any ? 0 : ports[0];
	to[1] = any ? 65535 : ports[1];
}

/* Type and code are the first two bytes, except Mobile IPv6's type (third) and OSPF's. */
static void set_kinds(struct xf_line *l, const struct pol_service *s)
{
	bool icmp = s->proto == IPPROTO_ICMP || s->proto == IPPROTO_ICMPV6;

	l->type_at = s->proto == IPPROTO_MH ? 2 : s->proto == IPPROTO_OSPF_IGP ? 1 : 0;
	if (icmp || s->proto == IPPROTO_MH || s->proto == IPPROTO_OSPF_IGP) {
		l->type[0] = s->type[0];
		l->type[1] = s->type[1];
	}
	if (icmp) {
		l->code[0] = s->code[0];
		l->code[1] = s->code[1];
	}
}

/* Ports, types and codes, which only a first fragment has. */
static void set_upper(struct xf_line *l, const struct pol_service *s, bool turned)
{
	set_ports(l->sport, turned ? s->dst_port : s->src_port);
	set_ports(l->dport, turned ? s->src_port : s->dst_port);
	set_kinds(l, s);
}

static struct xf_line line_of(const struct pol_filter_rule *r, const struct pol_service *s,
			      enum xf_sense sense, uint8_t family)
{
	/* A bidirectional service is written from the local side. */
	bool turned = xf_sense_inbound(sense) && s->direction == POL_BOTH;
	struct xf_line l = {.family = family,
			    .proto = s->proto >= 0 ? s->proto : -1,
			    .sport = {0, 65535},
			    .dport = {0, 65535},
			    .type = {-1, -1},
			    .code = {-1, -1},
			    .fragment = s->fragments_only,
			    .opaque = s->proto == POL_PROTO_OPAQUE,
			    .security_class = sense == XF_OUT_ROUTED ? 0 : s->security_class,
			    .class_known = r->verdict == POL_PERMIT};

	l.src = turned ? r->dst : r->src;
	l.n_src = turned ? r->n_dst : r->n_src;
	l.dst = turned ? r->src : r->dst;
	l.n_dst = turned ? r->n_src : r->n_dst;
	l.any_src = has_everything(l.src, l.n_src, family);
	l.any_dst = has_everything(l.dst, l.n_dst, family);
	if (sense != XF_IN_FRAGMENT)
		set_upper(&l, s, turned);
	return l;
}

static bool put(struct xf_lines *lines, const struct xf_line *l)
{
	size_t cap = lines->cap;
	struct xf_line *v = xf_room(lines->v, lines->n, &cap, sizeof(*v));

	if (!v)
		return false;
	lines->v = v;
	lines->cap = (unsigned)cap;
	lines->v[lines->n++] = *l;
	return true;
}

/* Who may open the connection: the other side's first segment does not match. */
static bool refuses_opening(const struct pol_service *s, enum xf_sense sense)
{
	if (sense == XF_IN_FRAGMENT)
		return false;
	return s->connect == (xf_sense_inbound(sense) ? POL_CONNECT_OUT : POL_CONNECT_IN);
}

static bool put_service(struct xf_lines *lines, const struct pol_filter_rule *r, unsigned rule,
			unsigned service, enum xf_sense sense, uint8_t family)
{
	const struct pol_service *s = &r->services[service];
	struct xf_line l;

	if (!applies(r, s, sense) || !fits_family(s, family))
		return true;
	l = line_of(r, s, sense, family);
	l.rule = rule;
	l.service = service;
	if (!has_family(l.src, l.n_src, family) || !has_family(l.dst, l.n_dst, family))
		return true;
	if (!refuses_opening(s, sense))
		return put(lines, &l);
	l.segment = XF_SEGMENT_NOT_OPENING;
	if (!put(lines, &l))
		return false;
	/* What has no flags opens nothing; with ports, which it has not either, it is not meant. */
	if (sense == XF_OUT_LOCAL || sense == XF_IN_LOCAL || !xf_line_any(&l, XF_BY_SPORT) ||
	    !xf_line_any(&l, XF_BY_DPORT))
		return true;
	l.segment = XF_SEGMENT_LATER;
	return put(lines, &l);
}

bool xf_lines_of(const struct pol_policy *policy, enum xf_sense sense, time_t now,
		 struct xf_lines *lines)
{
	*lines = (struct xf_lines){0};
	for (unsigned i = 0; i < policy->n_rules; i++) {
		const struct pol_filter_rule *r = &policy->rules[i];

		if (r->n_times && !pol_time_active(r->times, r->n_times, now))
			continue;
		/* A later fragment that a deny rule might mean goes by, and waits in vain for its
		 * first. */
		if (sense == XF_IN_FRAGMENT && r->verdict == POL_DENY)
			continue;
		for (unsigned j = 0; j < r->n_services; j++) {
			if (!put_service(lines, r, i, j, sense, AF_INET) ||
			    !put_service(lines, r, i, j, sense, AF_INET6)) {
				xf_lines_free(lines);
				return false;
			}
		}
	}
	return true;
}

void xf_lines_free(struct xf_lines *lines)
{
	free(lines->v);
	*lines = (struct xf_lines){0};
}

/* ---- a line's fields ---- */

struct xf_value xf_value_of(const struct cs_addr *a)
{
	struct xf_value v = {0, 0};
	size_t len = cs_addr_len(a->family);

	for (size_t i = 0; i < len; i++) {
		v.high = v.high << 8 | v.low >> 56;
		v.low = v.low << 8 | a->b[i];
	}
	return v;
}

int xf_value_compare(struct xf_value a, struct xf_value b)
{
	if (a.high != b.high)
		return a.high < b.high ? -1 : 1;
	if (a.low != b.low)
		return a.low < b.low ? -1 : 1;
	return 0;
}

bool xf_line_any(const struct xf_line *l, enum xf_field field)
{
	switch (field) {
	case XF_BY_FAMILY:
		return false;
	case XF_BY_SADDR:
		return l->any_src;
	case XF_BY_DADDR:
		return l->any_dst;
	case XF_BY_PROTO:
		return l->proto < 0;
	case XF_BY_SPORT:
		return l->sport[0] == 0 && l->sport[1] == 65535;
	case XF_BY_DPORT:
		return l->dport[0] == 0 && l->dport[1] == 65535;
	}
	return true;
}

static bool address_range(const struct cs_range *r, unsigned n, uint8_t family, unsigned k,
			  struct xf_value *lo, struct xf_value *hi)
{
	for (unsigned i = 0; i < n; i++) {
		if (r[i].lo.family != family || k-- > 0)
			continue;
		*lo = xf_value_of(&r[i].lo);
		*hi = xf_value_of(&r[i].hi);
		return true;
	}
	return false;
}

static bool number_range(unsigned from, unsigned to, unsigned k, struct xf_value *lo,
			 struct xf_value *hi)
{
	*lo = (struct xf_value){0, from};
	*hi = (struct xf_value){0, to};
	return k == 0;
}

bool xf_line_range(const struct xf_line *l, enum xf_field field, unsigned k, struct xf_value *lo,
		   struct xf_value *hi)
{
	switch (field) {
	case XF_BY_FAMILY:
		return number_range(l->family, l->family, k, lo, hi);
	case XF_BY_SADDR:
		return address_range(l->src, l->n_src, l->family, k, lo, hi);
	case XF_BY_DADDR:
		return address_range(l->dst, l->n_dst, l->family, k, lo, hi);
	case XF_BY_PROTO:
		return number_range((unsigned)l->proto, (unsigned)l->proto, k, lo, hi);
	case XF_BY_SPORT:
		return number_range(l->sport[0], l->sport[1], k, lo, hi);
	case XF_BY_DPORT:
		return number_range(l->dport[0], l->dport[1], k, lo, hi);
	}
	return false;
}
