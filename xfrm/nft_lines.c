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
			      const struct xf_rule_addrs *a, enum xf_sense sense, uint8_t family)
{
	bool v6 = family == AF_INET6;
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

	l.src = turned ? a->dst[v6] : a->src[v6];
	l.dst = turned ? a->src[v6] : a->dst[v6];
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

static bool put_service(struct xf_lines *lines, const struct pol_filter_rule *r,
			const struct xf_rule_addrs *a, unsigned rule, unsigned service,
			enum xf_sense sense, uint8_t family)
{
	const struct pol_service *s = &r->services[service];
	struct xf_line l;

	if (!applies(r, s, sense) || !fits_family(s, family))
		return true;
	l = line_of(r, s, a, sense, family);
	l.rule = rule;
	l.service = service;
	if (!l.src || !l.dst)
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

bool xf_lines_of(const struct pol_policy *policy, const struct xf_book *book, enum xf_sense sense,
		 struct xf_lines *lines)
{
	*lines = (struct xf_lines){0};
	for (unsigned i = 0; i < policy->n_rules; i++) {
		const struct pol_filter_rule *r = &policy->rules[i];
		const struct xf_rule_addrs *a = &book->rules[i];

		if (!a->active)
			continue;
		/* A later fragment that a deny rule might mean goes by, and waits in vain for its
		 * first. */
		if (sense == XF_IN_FRAGMENT && r->verdict == POL_DENY)
			continue;
		for (unsigned j = 0; j < r->n_services; j++) {
			if (!put_service(lines, r, a, i, j, sense, AF_INET) ||
			    !put_service(lines, r, a, i, j, sense, AF_INET6)) {
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

bool xf_line_any(const struct xf_line *l, enum xf_field field)
{
	switch (field) {
	case XF_BY_FAMILY:
		return false;
	case XF_BY_SADDR:
		return l->src->any;
	case XF_BY_DADDR:
		return l->dst->any;
	case XF_BY_PROTO:
		return l->proto < 0;
	case XF_BY_SPORT:
		return l->sport[0] == 0 && l->sport[1] == 65535;
	case XF_BY_DPORT:
		return l->dport[0] == 0 && l->dport[1] == 65535;
	}
	return true;
}

unsigned xf_line_intervals(const struct xf_line *l, enum xf_field field)
{
	if (field == XF_BY_SADDR)
		return l->src->n;
	return field == XF_BY_DADDR ? l->dst->n : 1;
}

static struct xf_interval numbers(unsigned from, unsigned to)
{
	return (struct xf_interval){{0, from}, {0, to}};
}

struct xf_interval xf_line_interval(const struct xf_line *l, enum xf_field field, unsigned k)
{
	switch (field) {
	case XF_BY_SADDR:
		return l->src->v[k];
	case XF_BY_DADDR:
		return l->dst->v[k];
	case XF_BY_FAMILY:
		return numbers(l->family, l->family);
	case XF_BY_PROTO:
		return numbers((unsigned)l->proto, (unsigned)l->proto);
	case XF_BY_SPORT:
		return numbers(l->sport[0], l->sport[1]);
	case XF_BY_DPORT:
		break;
	}
	return numbers(l->dport[0], l->dport[1]);
}
