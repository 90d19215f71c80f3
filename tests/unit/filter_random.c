#include "filter_random.h"

#include <netinet/in.h>
#include <string.h>

#include "xfrm/xfrm.h"

static uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

static unsigned below(uint64_t *state, unsigned n)
{
	return next_random(state) % n;
}

/* ---- random policies ---- */

/* Few networks with few hosts, so that rules and packets meet. */
static struct cs_addr random_address(uint64_t *rnd, uint8_t family, unsigned hosts)
{
	struct cs_addr a = {.family = family};
	unsigned net = below(rnd, 4), host = 1 + below(rnd, hosts);

	if (family == AF_INET6) {
		a.b[0] = 0x20;
		a.b[1] = 0x01;
		a.b[7] = (uint8_t)net;
	} else {
		a.b[0] = 10;
		a.b[1] = (uint8_t)net;
	}
	a.b[family == AF_INET6 ? 14 : 2] = (uint8_t)(host >> 8);
	a.b[family == AF_INET6 ? 15 : 3] = (uint8_t)host;
	return a;
}

static struct cs_range random_range(uint64_t *rnd, uint8_t family, unsigned hosts)
{
	struct cs_addr a = random_address(rnd, family, hosts), b;
	struct cs_range r;

	switch (below(rnd, 8)) {
	case 0:
		return cs_range_all(family);
	case 1:
		return cs_range_prefix(&a, family == AF_INET6 ? 64 : 16);
	case 2:
		return cs_range_prefix(&a, (family == AF_INET6 ? 122u : 26u) + below(rnd, 6));
	case 3:
		b = random_address(rnd, family, hosts);
		r.lo = cs_addr_compare(&a, &b) < 0 ? a : b;
		r.hi = cs_addr_compare(&a, &b) < 0 ? b : a;
		return r;
	default:
		return cs_range_single(&a);
	}
}

static void random_interval(uint64_t *rnd, unsigned max, unsigned *from, unsigned *to)
{
	*from = below(rnd, max);
	*to = below(rnd, 2) ? *from : *from + below(rnd, max - *from);
}

static void random_ports(uint64_t *rnd, uint16_t ports[2])
{
	unsigned from, to;

	ports[0] = ports[1] = 0;
	if (below(rnd, 2))
		return;
	random_interval(rnd, 60, &from, &to);
	ports[0] = (uint16_t)(from + 1);
	ports[1] = below(rnd, 20) ? (uint16_t)(to + 1) : 65535;
}

static void random_kind(uint64_t *rnd, int kind[2], unsigned first, unsigned max)
{
	unsigned from, to;

	random_interval(rnd, max, &from, &to);
	kind[0] = (int)(first + from);
	kind[1] = (int)(first + to);
}

/* ICMPv6 has most of its types here, those of neighbours among them. */
static unsigned first_type(int proto)
{
	return proto == IPPROTO_ICMPV6 ? 127 : 0;
}

/* What the language allows: ports, types and codes of local services only. */
static struct pol_service random_service(uint64_t *rnd)
{
	static const int protos[] = {IPPROTO_TCP, IPPROTO_TCP,   IPPROTO_UDP,
				     IPPROTO_UDP, IPPROTO_ICMP,  IPPROTO_ICMPV6,
				     IPPROTO_MH,  OSPF,          IPPROTO_ESP,
				     47,          POL_PROTO_ANY, POL_PROTO_OPAQUE};
	struct pol_service s = {.type = {-1, -1}, .code = {-1, -1}};

	s.proto = protos[below(rnd, sizeof(protos) / sizeof(protos[0]))];
	s.direction = (enum pol_direction)(below(rnd, 2) ? POL_BOTH : below(rnd, 3));
	s.routing = (enum pol_routing)below(rnd, 3);
	if (below(rnd, 8) == 0)
		s.security_class = (uint8_t)(below(rnd, 4) ? 1 + below(rnd, 3) : 255);
	s.fragments_only = below(rnd, 16) == 0;
	if (s.proto == IPPROTO_TCP && s.direction == POL_BOTH && below(rnd, 3) == 0)
		s.connect = below(rnd, 2) ? POL_CONNECT_IN : POL_CONNECT_OUT;
	if (s.routing != POL_LOCAL)
		return s;
	if (s.proto == IPPROTO_TCP || s.proto == IPPROTO_UDP) {
		random_ports(rnd, s.src_port);
		random_ports(rnd, s.dst_port);
	}
	if ((s.proto == IPPROTO_ICMP || s.proto == IPPROTO_ICMPV6 || s.proto == IPPROTO_MH ||
	     s.proto == OSPF) &&
	    below(rnd, 3))
		random_kind(rnd, s.type, first_type(s.proto), 20);
	if ((s.proto == IPPROTO_ICMP || s.proto == IPPROTO_ICMPV6) && s.type[0] >= 0 &&
	    below(rnd, 4))
		random_kind(rnd, s.code, 0, 6);
	return s;
}

static unsigned random_ranges(uint64_t *rnd, struct cs_range *r, unsigned families, unsigned hosts)
{
	unsigned n = 1 + (below(rnd, 4) ? 0 : below(rnd, RANGES_MAX));

	for (unsigned i = 0; i < n; i++) {
		bool v6 = families == 2 ? below(rnd, 2) : families == 1;

		r[i] = random_range(rnd, v6 ? AF_INET6 : AF_INET, hosts);
	}
	return n;
}

void random_world(uint64_t *rnd, struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->past = (struct pol_time){.from = 1, .to = 2};
	w->peer = (struct pol_identity){.type = POL_ID_FQDN};
	w->hosts = 1u << below(rnd, 10);
	w->policy.rules = w->rules;
	w->policy.n_rules = 2 + below(rnd, below(rnd, 2) ? 30 : RULES_MAX - 2);
	for (unsigned i = 0; i < w->policy.n_rules; i++) {
		struct pol_filter_rule *r = &w->rules[i];
		unsigned families = below(rnd, 8) ? below(rnd, 2) : 2;

		r->verdict = (enum pol_verdict)below(rnd, 3);
		if (r->verdict == POL_IPSEC)
			r->id = (uint16_t)(XF_MARK_RULE_MIN + i);
		if (r->verdict == POL_IPSEC && below(rnd, 3) == 0)
			r->remote_identity = &w->peer;
		r->src = w->ranges[i][0];
		r->dst = w->ranges[i][1];
		r->n_src = random_ranges(rnd, r->src, families, w->hosts);
		r->n_dst = random_ranges(rnd, r->dst, families, w->hosts);
		r->services = w->services[i];
		r->n_services = 1 + (below(rnd, 4) ? 0 : below(rnd, SERVICES));
		for (unsigned j = 0; j < r->n_services; j++) {
			r->services[j] = random_service(rnd);
			/* What leaves is denied and protected whatever its class. */
			if (r->verdict != POL_PERMIT && r->services[j].direction != POL_IN)
				r->services[j].security_class = 0;
		}
		if (below(rnd, 20) == 0) {
			r->times = &w->past;
			r->n_times = 1;
		}
	}
}

/* ---- random packets ---- */

static struct cs_addr address_in(uint64_t *rnd, const struct cs_range *r, unsigned hosts)
{
	struct cs_addr a;

	switch (below(rnd, 12)) {
	case 0:
	case 1:
		return r->lo;
	case 2:
	case 3:
		return r->hi;
	case 4: /* just behind it, or the first of all */
		a = r->hi;
		for (size_t i = cs_addr_len(a.family); i-- > 0 && ++a.b[i] == 0;)
			;
		return a;
	default:
		a = random_address(rnd, r->lo.family, hosts);
		return cs_range_has(r, &a) || below(rnd, 4) == 0 ? a : r->lo;
	}
}

static uint16_t port_in(uint64_t *rnd, const uint16_t ports[2])
{
	if (pol_ports_any(ports) || below(rnd, 4) == 0)
		return (uint16_t)(1 + below(rnd, 70));
	return ports[below(rnd, 2)];
}

static int kind_in(uint64_t *rnd, const int kind[2], unsigned first, unsigned max)
{
	if (kind[0] < 0 || below(rnd, 4) == 0)
		return (int)(first + below(rnd, max));
	return kind[below(rnd, 2)];
}

/* What the upper header has at the start, and what of that the evaluator knows. */
static void set_upper(uint64_t *rnd, struct seen *s, const struct pol_service *like, bool turned)
{
	struct pol_packet *p = &s->packet;
	const uint16_t *sport = turned ? like->dst_port : like->src_port;
	const uint16_t *dport = turned ? like->src_port : like->dst_port;

	s->upper = true;
	s->words[0] = port_in(rnd, sport);
	s->words[1] = port_in(rnd, dport);
	switch (p->proto) {
	case IPPROTO_TCP:
		p->tcp_syn_only = below(rnd, 2);
		/* Fallthrough. */
	case IPPROTO_UDP:
		p->ports_known = true;
		p->src_port = s->words[0];
		p->dst_port = s->words[1];
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		p->type = kind_in(rnd, like->type, first_type(p->proto), 24);
		p->code = kind_in(rnd, like->code, 0, 8);
		s->words[0] = (uint16_t)(p->type << 8 | p->code);
		break;
	case IPPROTO_MH:
		p->type = kind_in(rnd, like->type, first_type(p->proto), 24);
		s->words[1] = (uint16_t)((unsigned)p->type << 8 | below(rnd, 256));
		break;
	case OSPF:
		p->type = kind_in(rnd, like->type, first_type(p->proto), 24);
		s->words[0] = (uint16_t)(0x0200 | p->type);
		break;
	default:
		break;
	}
}

static void set_proto(uint64_t *rnd, struct seen *s, const struct pol_service *like)
{
	static const int others[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ESP, 47, 2, OSPF};
	struct pol_packet *p = &s->packet;
	int icmp = p->src.family == AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;

	p->proto = like->proto;
	if (like->proto == IPPROTO_ICMP || like->proto == IPPROTO_ICMPV6)
		p->proto = icmp;
	else if (like->proto < 0 || below(rnd, 10) == 0 ||
		 (like->proto == IPPROTO_MH && icmp == IPPROTO_ICMP))
		p->proto = others[below(rnd, sizeof(others) / sizeof(others[0]))];
	if (like->proto == POL_PROTO_OPAQUE && s->later && icmp == IPPROTO_ICMPV6)
		p->proto = -1;
}

/* A service that is meant for such packets, if one is found soon. */
static const struct pol_service *random_like(uint64_t *rnd, const struct world *w, bool outbound,
					     bool routed, const struct pol_filter_rule **rule)
{
	const struct pol_service *s = NULL;

	for (unsigned i = 0; i < 20; i++) {
		*rule = &w->rules[below(rnd, w->policy.n_rules)];
		s = &(*rule)->services[below(rnd, (*rule)->n_services)];
		if (s->direction != (outbound ? POL_IN : POL_OUT) &&
		    (s->routing == POL_EITHER || (s->routing == POL_ROUTED) == routed) &&
		    (*rule)->n_times == 0)
			break;
	}
	return s;
}

/* The rule whose SA a packet may have come by. */
static uint16_t random_sa(uint64_t *rnd, const struct world *w, const struct pol_filter_rule *like)
{
	return below(rnd, 2) ? like->id : w->rules[below(rnd, w->policy.n_rules)].id;
}

/* Somewhat like a rule of the policy, so that it meets that one or a neighbour. */
void random_seen(uint64_t *rnd, const struct world *w, enum xf_sense sense, struct seen *s)
{
	bool outbound = !xf_sense_inbound(sense);
	bool routed = sense == XF_IN_ROUTED || sense == XF_OUT_ROUTED;
	const struct pol_filter_rule *r;
	const struct pol_service *like = random_like(rnd, w, outbound, routed, &r);
	bool turned = xf_sense_inbound(sense) && like->direction == POL_BOTH;
	const struct cs_range *src = turned ? r->dst : r->src, *dst = turned ? r->src : r->dst;
	unsigned n_src = turned ? r->n_dst : r->n_src, n_dst = turned ? r->n_src : r->n_dst;
	struct pol_packet *p = &s->packet;

	memset(s, 0, sizeof(*s));
	p->outbound = outbound;
	p->routed = routed;
	p->type = p->code = -1;
	p->src = address_in(rnd, &src[below(rnd, n_src)], w->hosts);
	p->dst = address_in(rnd, &dst[below(rnd, n_dst)], w->hosts);
	if (p->dst.family != p->src.family)
		p->dst = random_address(rnd, p->src.family, w->hosts);
	/* The interface a routed packet leaves by is not known where it is decided. */
	if (sense != XF_OUT_ROUTED && like->security_class && below(rnd, 4))
		p->security_class = like->security_class;
	else if (sense != XF_OUT_ROUTED)
		p->security_class = (uint8_t)(1 + below(rnd, 4));
	if (sense != XF_OUT_LOCAL)
		p->fragment = like->fragments_only || below(rnd, 5) == 0;
	s->later = p->routed && p->fragment && below(rnd, 2);
	if (sense == XF_IN_FRAGMENT)
		p->fragment = s->later = true;
	set_proto(rnd, s, like);
	if (!s->later)
		set_upper(rnd, s, like, turned);
	if (!outbound && sense != XF_IN_FRAGMENT && below(rnd, 3) == 0)
		p->sa_rule = random_sa(rnd, w, r);
}
