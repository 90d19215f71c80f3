/*
 * The compiled filter list against the reference evaluator: random rules, random packets, and what
 * the lines and the decision tree make of them.  What a packet has not is put to the tree as the
 * kernel would have it: no value at all, or other bytes where ports would be.
 */
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"
#include "tests/unit/run_suite.h"
#include "xfrm/nft_model.h"

#define NOBODY     UINT32_MAX
#define OSPF       89
#define RULES_MAX  400
#define SERVICES   3
#define RANGES_MAX 4
#define NOW        1700000000

static uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

static unsigned below(uint64_t *state, unsigned n)
{
	return next_random(state) % n;
}

/* ---- packets as the kernel sees them ---- */

struct seen {
	struct pol_packet packet;
	bool upper;        /* there is a header of the upper protocol here */
	uint16_t words[2]; /* its first four bytes */
	bool later;        /* not the first fragment */
};

static bool has_address(const struct cs_range *r, unsigned n, const struct cs_addr *a)
{
	for (unsigned i = 0; i < n; i++)
		if (cs_range_has(&r[i], a))
			return true;
	return false;
}

static bool in(unsigned v, unsigned from, unsigned to)
{
	return from <= v && v <= to;
}

static unsigned byte_of(const struct seen *s, unsigned at)
{
	return at % 2 ? s->words[at / 2] & 0xffu : s->words[at / 2] >> 8;
}

/* As nftables does it: a comparison of what is not there fails. */
static bool line_matches(const struct xf_line *l, const struct seen *s)
{
	const struct pol_packet *p = &s->packet;
	bool ports = !xf_line_any(l, XF_BY_SPORT) || !xf_line_any(l, XF_BY_DPORT);
	bool upper =
		ports || l->type[0] >= 0 || l->code[0] >= 0 || l->segment == XF_SEGMENT_NOT_OPENING;

	if (l->family != p->src.family || (upper && !s->upper))
		return false;
	if (!l->any_src && !has_address(l->src, l->n_src, &p->src))
		return false;
	if (!l->any_dst && !has_address(l->dst, l->n_dst, &p->dst))
		return false;
	if (l->proto >= 0 && l->proto != p->proto)
		return false;
	if ((l->fragment && !p->fragment) || (l->opaque && !(s->later && p->proto < 0)) ||
	    (l->segment == XF_SEGMENT_LATER && !s->later))
		return false;
	if (ports && !(in(s->words[0], l->sport[0], l->sport[1]) &&
		       in(s->words[1], l->dport[0], l->dport[1])))
		return false;
	if (l->type[0] >= 0 &&
	    !in(byte_of(s, l->type_at), (unsigned)l->type[0], (unsigned)l->type[1]))
		return false;
	if (l->code[0] >= 0 && !in(byte_of(s, 1), (unsigned)l->code[0], (unsigned)l->code[1]))
		return false;
	if (l->segment == XF_SEGMENT_NOT_OPENING && (p->proto != IPPROTO_TCP || p->tcp_syn_only))
		return false;
	return l->security_class == 0 || l->security_class == p->security_class;
}

static bool value_of(enum xf_field field, const struct seen *s, struct xf_value *v)
{
	const struct pol_packet *p = &s->packet;

	v->high = 0;
	switch (field) {
	case XF_BY_FAMILY:
		v->low = p->src.family;
		return true;
	case XF_BY_SADDR:
		*v = xf_value_of(&p->src);
		return true;
	case XF_BY_DADDR:
		*v = xf_value_of(&p->dst);
		return true;
	case XF_BY_PROTO:
		v->low = (uint64_t)p->proto;
		return p->proto >= 0;
	case XF_BY_SPORT:
	case XF_BY_DPORT:
		break;
	}
	v->low = s->words[field == XF_BY_DPORT];
	return s->upper;
}

static const struct xf_node *arm_of(const struct xf_node *node, const struct seen *s)
{
	struct xf_value v;

	if (!value_of(node->field, s, &v))
		return node->otherwise;
	for (unsigned i = 0; i < node->n_arms; i++)
		if (xf_value_compare(node->arms[i].lo, v) <= 0 &&
		    xf_value_compare(v, node->arms[i].hi) <= 0)
			return node->arms[i].to;
	return node->otherwise;
}

static const struct xf_line *find(const struct xf_tree *t, const struct xf_node *node,
				  const struct seen *s)
{
	const struct xf_line *l = NULL;

	if (!node)
		return NULL;
	if (node->kind == XF_MAP)
		return find(t, arm_of(node, s), s);
	for (unsigned i = 0; i < node->n_parts && !l; i++)
		l = find(t, node->parts[i], s);
	for (unsigned i = 0; node->kind == XF_LEAF && i < node->n_lines && !l; i++)
		if (line_matches(&t->lines.v[node->lines[i]], s))
			l = &t->lines.v[node->lines[i]];
	return l;
}

static unsigned depth_of(const struct xf_node *node)
{
	unsigned deepest = node->otherwise ? depth_of(node->otherwise) : 0, d;

	for (unsigned i = 0; i < node->n_arms; i++) {
		d = depth_of(node->arms[i].to);
		deepest = d > deepest ? d : deepest;
	}
	for (unsigned i = 0; i < node->n_parts; i++) {
		d = depth_of(node->parts[i]);
		deepest = d > deepest ? d : deepest;
	}
	return deepest + 1;
}

/* ---- random policies ---- */

struct world {
	struct pol_policy policy;
	struct pol_filter_rule rules[RULES_MAX];
	struct pol_service services[RULES_MAX][SERVICES];
	struct cs_range ranges[RULES_MAX][2][RANGES_MAX];
	struct pol_time past;
	unsigned hosts; /* how many addresses a network of the pool has */
};

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

static void random_kind(uint64_t *rnd, int kind[2], unsigned max)
{
	unsigned from, to;

	random_interval(rnd, max, &from, &to);
	kind[0] = (int)from;
	kind[1] = (int)to;
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
		random_kind(rnd, s.type, 20);
	if ((s.proto == IPPROTO_ICMP || s.proto == IPPROTO_ICMPV6) && s.type[0] >= 0 &&
	    below(rnd, 2))
		random_kind(rnd, s.code, 6);
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

static void random_world(uint64_t *rnd, struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->past = (struct pol_time){.from = 1, .to = 2};
	w->hosts = 1u << below(rnd, 10);
	w->policy.rules = w->rules;
	w->policy.n_rules = 2 + below(rnd, below(rnd, 2) ? 30 : RULES_MAX - 2);
	for (unsigned i = 0; i < w->policy.n_rules; i++) {
		struct pol_filter_rule *r = &w->rules[i];
		unsigned families = below(rnd, 8) ? below(rnd, 2) : 2;

		r->verdict = (enum pol_verdict)below(rnd, 3);
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

	switch (below(rnd, 4)) {
	case 0:
		return r->lo;
	case 1:
		return r->hi;
	default:
		a = random_address(rnd, r->lo.family, hosts);
		return cs_range_has(r, &a) || below(rnd, 2) ? a : r->lo;
	}
}

static uint16_t port_in(uint64_t *rnd, const uint16_t ports[2])
{
	if (pol_ports_any(ports) || below(rnd, 4) == 0)
		return (uint16_t)(1 + below(rnd, 70));
	return ports[below(rnd, 2)];
}

static int kind_in(uint64_t *rnd, const int kind[2], unsigned max)
{
	return kind[0] < 0 || below(rnd, 4) == 0 ? (int)below(rnd, max) : kind[below(rnd, 2)];
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
		p->type = kind_in(rnd, like->type, 24);
		p->code = kind_in(rnd, like->code, 8);
		s->words[0] = (uint16_t)(p->type << 8 | p->code);
		break;
	case IPPROTO_MH:
		p->type = kind_in(rnd, like->type, 24);
		s->words[1] = (uint16_t)((unsigned)p->type << 8 | below(rnd, 256));
		break;
	case OSPF:
		p->type = kind_in(rnd, like->type, 24);
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

/* Somewhat like a rule of the policy, so that it meets that one or a neighbour. */
static void random_packet(uint64_t *rnd, const struct world *w, enum xf_sense sense, struct seen *s)
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
	set_proto(rnd, s, like);
	if (!s->later)
		set_upper(rnd, s, like, turned);
}

/* ---- the property ---- */

struct tally {
	unsigned packets, first, none;
	size_t lines, copies;
};

static const struct pol_filter_rule *reference(const struct world *w, const struct seen *s)
{
	return pol_filter_match(&w->policy, &s->packet, NOW, NULL, NULL);
}

static unsigned number_of(const struct world *w, const struct pol_filter_rule *r)
{
	return r ? (unsigned)(r - w->rules) : NOBODY;
}

static void compare(const struct world *w, const struct xf_tree *tree, enum xf_sense sense,
		    uint64_t seed, uint64_t *rnd, struct tally *t)
{
	char src[CS_ADDR_STRLEN], dst[CS_ADDR_STRLEN];
	const struct xf_line *l;
	struct seen s;
	unsigned wanted, got;

	random_packet(rnd, w, sense, &s);
	wanted = number_of(w, reference(w, &s));
	l = find(tree, tree->root, &s);
	got = l ? l->rule : NOBODY;
	ck_assert_msg(got == wanted,
		      "seed %llu, sense %d: %s to %s, protocol %d, %s: rule %d instead of %d of %u",
		      (unsigned long long)seed, (int)sense, cs_addr_text(&s.packet.src, src),
		      cs_addr_text(&s.packet.dst, dst), s.packet.proto,
		      s.later ? "a later fragment" : "whole", (int)got, (int)wanted,
		      w->policy.n_rules);
	t->packets++;
	t->first += wanted == 0;
	t->none += wanted == NOBODY;
}

static void build(const struct world *w, enum xf_sense sense, struct xf_tree *tree)
{
	struct xf_lines lines;

	ck_assert(xf_lines_of(&w->policy, sense, NOW, &lines));
	ck_assert(xf_tree_build(&lines, tree));
	if (tree->root)
		ck_assert_uint_le(depth_of(tree->root), XF_TREE_DEPTH);
	ck_assert_uint_le(tree->copies, 5 * (size_t)tree->lines.n + 64);
}

static void one_policy(uint64_t seed, struct tally *t)
{
	static struct world w;
	uint64_t rnd = seed;
	struct xf_tree tree;

	random_world(&rnd, &w);
	for (enum xf_sense sense = XF_OUT_LOCAL; sense <= XF_OUT_ROUTED; sense++) {
		build(&w, sense, &tree);
		t->lines += tree.lines.n;
		t->copies += tree.copies;
		for (unsigned i = 0; i < 100; i++)
			compare(&w, &tree, sense, seed, &rnd, t);
		xf_tree_free(&tree);
	}
}

START_TEST(test_property)
{
	struct tally t = {0};

	for (uint64_t seed = 1; seed <= 200; seed++)
		one_policy(seed, &t);
	/* Neither the first rule nor none decides half of them. */
	ck_assert_msg(2 * (t.first + t.none) <= t.packets, "%u packets: first rule %u, none %u",
		      t.packets, t.first, t.none);
	ck_assert_uint_le(t.copies, 4 * t.lines);
}
END_TEST

/* ---- how large and how deep ---- */

static void big_world(struct world *w, unsigned (*number)(unsigned i))
{
	memset(w, 0, sizeof(*w));
	w->policy.rules = w->rules;
	w->policy.n_rules = RULES_MAX;
	w->hosts = RULES_MAX;
	for (unsigned i = 0; i < RULES_MAX; i++) {
		struct pol_filter_rule *r = &w->rules[i];
		struct pol_service *s = w->services[i];
		struct cs_addr a = {.family = AF_INET, .b = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}};
		unsigned port = number(i);

		r->src = w->ranges[i][0];
		r->dst = w->ranges[i][1];
		r->n_src = r->n_dst = r->n_services = 1;
		r->src[0] = cs_range_all(AF_INET);
		r->dst[0] = port ? cs_range_all(AF_INET) : cs_range_single(&a);
		r->services = s;
		*s = (struct pol_service){.proto = port ? IPPROTO_TCP : POL_PROTO_ANY,
					  .dst_port = {(uint16_t)port, (uint16_t)port},
					  .type = {-1, -1},
					  .code = {-1, -1}};
	}
}

/* The most lines that a packet may be compared with. */
static unsigned worst(const struct xf_node *node)
{
	unsigned most = node->otherwise ? worst(node->otherwise) : 0, n;

	if (node->kind == XF_LEAF)
		return node->n_lines;
	for (unsigned i = 0; i < node->n_arms; i++) {
		n = worst(node->arms[i].to);
		most = n > most ? n : most;
	}
	for (unsigned i = 0; i < node->n_parts; i++)
		most += worst(node->parts[i]);
	return most;
}

static unsigned all_hosts(unsigned i)
{
	(void)i;
	return 0;
}

static unsigned hosts_then_ports(unsigned i)
{
	return i < RULES_MAX / 2 ? 0 : i;
}

static unsigned mixed(unsigned i)
{
	return i % 16 == 0 ? i + 1 : 0;
}

START_TEST(test_size)
{
	static const struct {
		unsigned (*number)(unsigned i);
		unsigned worst;
	} cases[] = {{all_hosts, 1}, {hosts_then_ports, 40}, {mixed, 60}};
	static struct world w;
	struct xf_tree tree;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		big_world(&w, cases[i].number);
		build(&w, XF_OUT_LOCAL, &tree);
		ck_assert_uint_eq(tree.lines.n, RULES_MAX);
		ck_assert_uint_le(worst(tree.root), cases[i].worst);
		xf_tree_free(&tree);
	}
}
END_TEST

/* ---- what the kernel walks through when it checks it ---- */

#define GROUPS  16
#define MEMBERS 500

static size_t walk(const struct xf_node *node)
{
	size_t n = node->kind == XF_LEAF ? node->n_lines : 0;

	for (unsigned i = 0; i < node->n_arms; i++)
		n += walk(node->arms[i].to);
	for (unsigned i = 0; i < node->n_parts; i++)
		n += walk(node->parts[i]);
	return n + (node->otherwise ? walk(node->otherwise) : 0);
}

/* Every group of sources to every group of destinations; neighbours are of different groups. */
START_TEST(test_groups)
{
	static struct cs_range groups[GROUPS][MEMBERS];
	static struct world w;
	struct xf_tree tree;

	memset(&w, 0, sizeof(w));
	w.policy.rules = w.rules;
	w.policy.n_rules = GROUPS * GROUPS;
	for (unsigned i = 0; i < GROUPS * MEMBERS; i++) {
		struct cs_addr a = {.family = AF_INET, .b = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}};

		groups[i % GROUPS][i / GROUPS] = cs_range_single(&a);
	}
	for (unsigned i = 0; i < GROUPS * GROUPS; i++) {
		struct pol_filter_rule *r = &w.rules[i];

		r->src = groups[i / GROUPS];
		r->dst = groups[i % GROUPS];
		r->n_src = r->n_dst = MEMBERS;
		r->n_services = 1;
		r->services = w.services[i];
		*r->services = (struct pol_service){
			.proto = POL_PROTO_ANY, .type = {-1, -1}, .code = {-1, -1}};
	}
	build(&w, XF_OUT_LOCAL, &tree);
	ck_assert_uint_le(walk(tree.root), 300000);
	ck_assert_uint_le(worst(tree.root), GROUPS);
	xf_tree_free(&tree);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("nft_model");
	TCase *t = tcase_create("model");

	tcase_set_timeout(t, 600);
	tcase_add_test(t, test_property);
	tcase_add_test(t, test_size);
	tcase_add_test(t, test_groups);
	suite_add_tcase(s, t);
	return run_suite(s);
}
