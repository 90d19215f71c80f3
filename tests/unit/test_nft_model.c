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
#include "tests/unit/filter_random.h"
#include "tests/unit/run_suite.h"
#include "xfrm/nft_model.h"

#define NOBODY UINT32_MAX
#define NOW    1700000000

/* ---- packets as the kernel sees them ---- */

static bool has_address(const struct xf_addrs *of, const struct cs_addr *a)
{
	struct xf_value v = xf_value_of(a);

	for (unsigned i = 0; i < of->n; i++)
		if (xf_value_compare(of->v[i].lo, v) <= 0 && xf_value_compare(v, of->v[i].hi) <= 0)
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
static bool asks_for(const struct xf_line *l, const struct seen *s)
{
	const struct pol_packet *p = &s->packet;
	bool ports = !xf_line_any(l, XF_BY_SPORT) || !xf_line_any(l, XF_BY_DPORT);
	bool upper =
		ports || l->type[0] >= 0 || l->code[0] >= 0 || l->segment == XF_SEGMENT_NOT_OPENING;

	if (l->family != p->src.family || (upper && !s->upper))
		return false;
	if (!l->src->any && !has_address(l->src, &p->src))
		return false;
	if (!l->dst->any && !has_address(l->dst, &p->dst))
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

/* What came by an SA of another peer goes on behind the line. */
static bool line_matches(const struct world *w, const struct xf_line *l, const struct seen *s)
{
	const struct pol_filter_rule *r = &w->rules[l->rule];
	bool others = s->packet.sa_rule && s->packet.sa_rule != r->id;

	return asks_for(l, s) && !(r->remote_identity && others);
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

static const struct xf_line *find(const struct world *w, const struct xf_tree *t,
				  const struct xf_node *node, const struct seen *s)
{
	const struct xf_line *l = NULL;

	if (!node)
		return NULL;
	if (node->kind == XF_MAP)
		return find(w, t, arm_of(node, s), s);
	for (unsigned i = 0; i < node->n_parts && !l; i++)
		l = find(w, t, node->parts[i], s);
	for (unsigned i = 0; node->kind == XF_LEAF && i < node->n_lines && !l; i++)
		if (line_matches(w, &t->lines.v[node->lines[i]], s))
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

/* ---- the property ---- */

/* What a service that decided has asked of its packet. */
enum asked {
	ASKED_SINGLE,
	ASKED_RANGE,
	ASKED_GROUP,
	ASKED_ALL,
	ASKED_PROTOCOL,
	ASKED_SOURCE_PORT,
	ASKED_DEST_PORT,
	ASKED_PORT_RANGE,
	ASKED_ICMP_TYPE,
	ASKED_ICMP_CODE,
	ASKED_MH_TYPE,
	ASKED_OSPF_TYPE,
	ASKED_OPAQUE,
	ASKED_FRAGMENTS,
	ASKED_INBOUND,
	ASKED_OUTBOUND,
	ASKED_IN_CONNECT,
	ASKED_OUT_CONNECT,
	ASKED_CLASS,
	ASKED_LOCAL,
	ASKED_ROUTED,
	ASKED_EITHER,
	ASKED_IDENTITY,
	N_ASKED
};

static const struct {
	const char *what;
	bool of_v6; /* alone */
} selectors[N_ASKED] = {
	[ASKED_SINGLE] = {"an address", false},
	[ASKED_RANGE] = {"a range of addresses", false},
	[ASKED_GROUP] = {"a group of addresses", false},
	[ASKED_ALL] = {"all addresses", false},
	[ASKED_PROTOCOL] = {"a protocol", false},
	[ASKED_SOURCE_PORT] = {"a source port", false},
	[ASKED_DEST_PORT] = {"a destination port", false},
	[ASKED_PORT_RANGE] = {"a range of ports", false},
	[ASKED_ICMP_TYPE] = {"a type of ICMP", false},
	[ASKED_ICMP_CODE] = {"a code of ICMP", false},
	[ASKED_MH_TYPE] = {"a type of Mobile IPv6", true},
	[ASKED_OSPF_TYPE] = {"a type of OSPF", false},
	[ASKED_OPAQUE] = {"Opaque", true},
	[ASKED_FRAGMENTS] = {"fragments", false},
	[ASKED_INBOUND] = {"Inbound", false},
	[ASKED_OUTBOUND] = {"Outbound", false},
	[ASKED_IN_CONNECT] = {"InboundConnect", false},
	[ASKED_OUT_CONNECT] = {"OutboundConnect", false},
	[ASKED_CLASS] = {"a security class", false},
	[ASKED_LOCAL] = {"local traffic", false},
	[ASKED_ROUTED] = {"routed traffic", false},
	[ASKED_EITHER] = {"local or routed traffic", false},
	[ASKED_IDENTITY] = {"a peer", false},
};

struct tally {
	unsigned packets, first, none;
	size_t lines, copies;
	unsigned senses[XF_SENSES], asked[2][N_ASKED]; /* by family: IPv4, IPv6 */
	unsigned passed_identity;
};

static void tally_service(struct tally *t, const struct pol_filter_rule *r,
			  const struct pol_service *s, bool v6)
{
	struct cs_range all = cs_range_all(v6 ? AF_INET6 : AF_INET);
	int family_of_icmp = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	bool asked[N_ASKED] = {
		[ASKED_SINGLE] = r->n_dst == 1 && cs_addr_equal(&r->dst->lo, &r->dst->hi),
		[ASKED_GROUP] = r->n_src > 1,
		[ASKED_ALL] = r->n_src == 1 && cs_range_equal(r->src, &all),
		[ASKED_PROTOCOL] = s->proto >= 0,
		[ASKED_SOURCE_PORT] = !pol_ports_any(s->src_port),
		[ASKED_DEST_PORT] = !pol_ports_any(s->dst_port),
		[ASKED_PORT_RANGE] = s->dst_port[0] != s->dst_port[1],
		[ASKED_ICMP_TYPE] = s->proto == family_of_icmp && s->type[0] >= 0,
		[ASKED_ICMP_CODE] = s->proto == family_of_icmp && s->code[0] >= 0,
		[ASKED_MH_TYPE] = s->proto == IPPROTO_MH && s->type[0] >= 0,
		[ASKED_OSPF_TYPE] = s->proto == OSPF && s->type[0] >= 0,
		[ASKED_OPAQUE] = s->proto == POL_PROTO_OPAQUE,
		[ASKED_FRAGMENTS] = s->fragments_only,
		[ASKED_INBOUND] = s->direction == POL_IN,
		[ASKED_OUTBOUND] = s->direction == POL_OUT,
		[ASKED_IN_CONNECT] = s->connect == POL_CONNECT_IN,
		[ASKED_OUT_CONNECT] = s->connect == POL_CONNECT_OUT,
		[ASKED_CLASS] = s->security_class != 0,
		[ASKED_LOCAL] = s->routing == POL_LOCAL,
		[ASKED_ROUTED] = s->routing == POL_ROUTED,
		[ASKED_EITHER] = s->routing == POL_EITHER,
		[ASKED_IDENTITY] = r->remote_identity != NULL,
	};

	asked[ASKED_RANGE] = r->n_dst == 1 && !asked[ASKED_SINGLE] && !cs_range_equal(r->dst, &all);
	for (unsigned i = 0; i < N_ASKED; i++)
		t->asked[v6][i] += asked[i];
}

/* A list decides in the way of each selector, and each list does. */
static void expect_each(const struct tally *t)
{
	for (unsigned i = 0; i < XF_SENSES; i++)
		ck_assert_msg(t->senses[i] >= 1000, "list %u decided %u packets", i, t->senses[i]);
	for (unsigned i = 0; i < N_ASKED; i++)
		for (unsigned v6 = selectors[i].of_v6; v6 < 2; v6++)
			ck_assert_msg(t->asked[v6][i] >= 100, "IPv%c: %s decided %u packets",
				      v6 ? '6' : '4', selectors[i].what, t->asked[v6][i]);
	ck_assert_uint_ge(t->passed_identity, 100);
}

/*
 * What decides about later fragments for this host: of what permits or protects the first rule that
 * could match the whole packet, whose upper header is not there.
 */
static void relax(struct world *w)
{
	for (unsigned i = 0; i < w->policy.n_rules; i++) {
		struct pol_filter_rule *r = &w->rules[i];

		if (r->verdict == POL_DENY) {
			r->times = &w->past;
			r->n_times = 1;
		}
		for (unsigned j = 0; j < r->n_services; j++) {
			struct pol_service *s = &r->services[j];

			memset(s->src_port, 0, sizeof(s->src_port));
			memset(s->dst_port, 0, sizeof(s->dst_port));
			s->type[0] = s->code[0] = -1;
			s->connect = POL_CONNECT_ANY;
		}
	}
}

static void on_trace(void *arg, const struct pol_filter_rule *rule, bool matched,
		     const char *why_not)
{
	struct tally *t = arg;

	(void)rule;
	if (!matched && strstr(why_not, "an SA of another rule"))
		t->passed_identity++;
}

static unsigned reference(const struct world *w, const struct seen *s, struct tally *t)
{
	const struct pol_filter_rule *r =
		pol_filter_match(&w->policy, &s->packet, NOW, on_trace, t);

	return r ? (unsigned)(r - w->rules) : NOBODY;
}

static void compare(const struct world *w, const struct xf_tree *tree, enum xf_sense sense,
		    const struct seen *s, uint64_t seed, struct tally *t)
{
	char src[CS_ADDR_STRLEN], dst[CS_ADDR_STRLEN];
	unsigned wanted = reference(w, s, t);
	const struct xf_line *l = find(w, tree, tree->root, s);
	unsigned got = l ? l->rule : NOBODY;

	ck_assert_msg(got == wanted,
		      "seed %llu, sense %d: %s to %s, protocol %d, %s: rule %d instead of %d of %u",
		      (unsigned long long)seed, (int)sense, cs_addr_text(&s->packet.src, src),
		      cs_addr_text(&s->packet.dst, dst), s->packet.proto,
		      s->later ? "a later fragment" : "whole", (int)got, (int)wanted,
		      w->policy.n_rules);
	t->packets++;
	t->first += wanted == 0;
	t->none += wanted == NOBODY;
	if (!l)
		return;
	t->senses[sense]++;
	tally_service(t, &w->rules[l->rule], &w->rules[l->rule].services[l->service],
		      s->packet.src.family == AF_INET6);
}

/* In order, and between two of them an address that is not meant. */
static void expect_order(const struct xf_addrs *a)
{
	for (unsigned i = 0; i < a->n; i++) {
		struct xf_value next = a->v[i].hi;

		ck_assert_int_le(xf_value_compare(a->v[i].lo, a->v[i].hi), 0);
		if (i + 1 == a->n)
			return;
		ck_assert(xf_value_next(&next));
		ck_assert_int_lt(xf_value_compare(next, a->v[i + 1].lo), 0);
	}
}

/* The tree needs the book as long as it is there. */
static void build(const struct world *w, enum xf_sense sense, struct xf_book *book,
		  struct xf_tree *tree)
{
	struct xf_lines lines;

	ck_assert(xf_book_make(&w->policy, NOW, book));
	for (const struct xf_addrs *a = book->addrs; a; a = a->next)
		expect_order(a);
	ck_assert(xf_lines_of(&w->policy, book, sense, &lines));
	ck_assert(xf_tree_build(&lines, tree));
	if (tree->root)
		ck_assert_uint_le(depth_of(tree->root), XF_TREE_DEPTH);
	ck_assert_uint_le(tree->copies, 5 * (size_t)tree->lines.n + 64);
}

static void one_policy(uint64_t seed, struct tally *t)
{
	static struct world w;
	uint64_t rnd = seed;
	struct xf_book book;
	struct xf_tree tree;

	random_world(&rnd, &w);
	for (enum xf_sense sense = XF_OUT_LOCAL; sense < XF_SENSES; sense++) {
		build(&w, sense, &book, &tree);
		t->lines += tree.lines.n;
		t->copies += tree.copies;
		if (sense == XF_IN_FRAGMENT)
			relax(&w);
		for (unsigned i = 0; i < 100; i++) {
			struct seen s;

			random_seen(&rnd, &w, sense, &s);
			compare(&w, &tree, sense, &s, seed, t);
		}
		xf_tree_free(&tree);
		xf_book_free(&book);
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
	expect_each(&t);
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
	struct xf_book book;
	struct xf_tree tree;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		big_world(&w, cases[i].number);
		build(&w, XF_OUT_LOCAL, &book, &tree);
		ck_assert_uint_eq(tree.lines.n, RULES_MAX);
		ck_assert_uint_le(worst(tree.root), cases[i].worst);
		xf_tree_free(&tree);
		xf_book_free(&book);
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

/* Every other address, so that no two make a range; neighbours are of different groups. */
static struct cs_addr member(unsigned i)
{
	i *= 2;
	return (struct cs_addr){.family = AF_INET,
				.b = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
}

static void fill(struct pol_filter_rule *r, struct pol_service *services, unsigned n_services)
{
	r->services = services;
	r->n_services = n_services;
	for (unsigned i = 0; i < n_services; i++)
		services[i] = (struct pol_service){
			.proto = POL_PROTO_ANY, .type = {-1, -1}, .code = {-1, -1}};
}

/* Every group of sources to every group of destinations. */
START_TEST(test_groups)
{
	static struct cs_range groups[GROUPS][MEMBERS];
	static struct world w;
	struct xf_book book;
	struct xf_tree tree;
	unsigned lists = 0;

	memset(&w, 0, sizeof(w));
	w.policy.rules = w.rules;
	w.policy.n_rules = GROUPS * GROUPS;
	for (unsigned i = 0; i < GROUPS * MEMBERS; i++) {
		struct cs_addr a = member(i);

		groups[i % GROUPS][i / GROUPS] = cs_range_single(&a);
	}
	for (unsigned i = 0; i < GROUPS * GROUPS; i++) {
		struct pol_filter_rule *r = &w.rules[i];

		r->src = groups[i / GROUPS];
		r->dst = groups[i % GROUPS];
		r->n_src = r->n_dst = MEMBERS;
		fill(r, w.services[i], 1);
	}
	build(&w, XF_OUT_LOCAL, &book, &tree);
	for (const struct xf_addrs *a = book.addrs; a; a = a->next)
		lists++;
	ck_assert_uint_eq(lists, GROUPS);
	ck_assert_uint_le(walk(tree.root), 300000);
	ck_assert_uint_le(worst(tree.root), GROUPS);
	xf_tree_free(&tree);
	xf_book_free(&book);
}
END_TEST

/* ---- the work of building ---- */

/*
 * Groups that are too large for a tree by address, and services that are no better: it is a list,
 * and that is known without a look at each address for each line.  A quadratic walk over the
 * members, or sorting them anew in each node, takes minutes.
 */
START_TEST(test_work)
{
	enum { RULES = 60, MANY = 2000, SECONDS = 3 };
	static struct pol_service services[RULES][10];
	static struct cs_range groups[RULES][MANY];
	static struct world w;
	clock_t begin = clock();
	struct xf_book book;
	struct xf_tree tree;

	memset(&w, 0, sizeof(w));
	w.policy.rules = w.rules;
	w.policy.n_rules = RULES;
	for (unsigned i = 0; i < RULES * MANY; i++) {
		struct cs_addr a = member(i);

		groups[i % RULES][i / RULES] = cs_range_single(&a);
	}
	for (unsigned i = 0; i < RULES; i++) {
		struct pol_filter_rule *r = &w.rules[i];

		r->src = groups[i];
		r->dst = groups[(i + 1) % RULES];
		r->n_src = r->n_dst = MANY;
		fill(r, services[i], 10);
	}
	build(&w, XF_OUT_LOCAL, &book, &tree);
	ck_assert_uint_eq(tree.lines.n, 10 * RULES);
	ck_assert_int_le((clock() - begin) / CLOCKS_PER_SEC, SECONDS);
	xf_tree_free(&tree);
	xf_book_free(&book);
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
	tcase_add_test(t, test_work);
	suite_add_tcase(s, t);
	return run_suite(s);
}
