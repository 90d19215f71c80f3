/* A decision tree as nftables text: chains, verdict maps, and the match of each line. */
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>

#include "xfrm/nft_model.h"

struct print {
	FILE *f;
	const struct xf_tree *tree;
	const char *name; /* of the list */
	enum xf_sense sense;
	xf_verdict_fn *verdict;
	void *arg;
	unsigned n_rules, n_chains;
};

/* ---- addresses ---- */

static struct cs_addr address_of(struct xf_value v, uint8_t family)
{
	struct cs_addr a = {.family = family};

	for (size_t i = cs_addr_len(family); i-- > 0;) {
		a.b[i] = (uint8_t)v.low;
		v.low = v.low >> 8 | v.high << 56;
		v.high >>= 8;
	}
	return a;
}

static void print_range(FILE *f, uint8_t family, struct xf_value lo, struct xf_value hi)
{
	struct cs_range r = {address_of(lo, family), address_of(hi, family)};
	char text[CS_RANGE_STRLEN];

	fputs(cs_range_text(&r, text), f);
}

static void print_ranges(FILE *f, const struct xf_addrs *a)
{
	for (unsigned i = 0; i < a->n; i++) {
		if (i)
			fputs(", ", f);
		print_range(f, a->family, a->v[i].lo, a->v[i].hi);
	}
}

/* Nobody changes what is in a set that is constant, so it is there as long as our rules are. */
void xf_sets_print(FILE *f, const struct xf_book *book)
{
	for (const struct xf_addrs *a = book->addrs; a; a = a->next) {
		if (!a->set)
			continue;
		fprintf(f, "\tset addr_%u {\n\t\ttype ipv%c_addr\n\t\tflags constant, interval\n",
			a->set, a->family == AF_INET6 ? '6' : '4');
		fputs("\t\telements = { ", f);
		print_ranges(f, a);
		fputs(" }\n\t}\n", f);
	}
}

/* ---- a line's match ---- */

static void match_addresses(FILE *f, const char *field, const struct xf_addrs *a)
{
	if (a->any)
		return;
	fprintf(f, "%s %s ", a->family == AF_INET6 ? "ip6" : "ip", field);
	if (a->set) {
		fprintf(f, "@addr_%u ", a->set);
		return;
	}
	fputs(a->n > 1 ? "{ " : "", f);
	print_ranges(f, a);
	fputs(a->n > 1 ? " } " : " ", f);
}

static void match_interval(FILE *f, const char *what, unsigned from, unsigned to)
{
	if (from == to)
		fprintf(f, "%s %u ", what, from);
	else
		fprintf(f, "%s %u-%u ", what, from, to);
}

static void match_kinds(FILE *f, const struct xf_line *l)
{
	char at[16];

	snprintf(at, sizeof(at), "@th,%u,8", 8 * l->type_at);
	if (l->type[0] >= 0)
		match_interval(f, at, (unsigned)l->type[0], (unsigned)l->type[1]);
	if (l->code[0] >= 0)
		match_interval(f, "@th,8,8", (unsigned)l->code[0], (unsigned)l->code[1]);
}

/*
 * A range of bytes behind a protocol of which it knows no header makes nft 1.0.6 abort when it
 * lists the rule; before the protocol it does not.
 */
static void match_proto(FILE *f, const struct xf_line *l)
{
	bool known = l->proto == IPPROTO_ICMP || l->proto == IPPROTO_ICMPV6;

	if (!known)
		match_kinds(f, l);
	if (l->proto >= 0)
		fprintf(f, "meta l4proto %d ", l->proto);
	if (known)
		match_kinds(f, l);
}

static void match_upper(FILE *f, const struct xf_line *l)
{
	if (!xf_line_any(l, XF_BY_SPORT))
		match_interval(f, "th sport", l->sport[0], l->sport[1]);
	if (!xf_line_any(l, XF_BY_DPORT))
		match_interval(f, "th dport", l->dport[0], l->dport[1]);
	if (l->segment == XF_SEGMENT_NOT_OPENING)
		fputs("tcp flags & (syn | ack) != syn ", f);
}

static void match_fragments(FILE *f, const struct xf_line *l)
{
	bool v6 = l->family == AF_INET6;

	if (l->fragment)
		fputs(v6 ? "exthdr frag exists " : "ip frag-off & 0x3fff != 0 ", f);
	if (l->segment == XF_SEGMENT_LATER)
		fputs(v6 ? "frag frag-off != 0 " : "ip frag-off & 0x1fff != 0 ", f);
	/* Behind a later fragment's header nothing tells which protocol comes after these. */
	if (l->opaque)
		fputs("frag frag-off != 0 frag nexthdr { 0, 43, 44, 51, 60 } ", f);
}

/*
 * The class of an interface is its group; what has none is in group 0. What seems to leave by lo is
 * routed again.
 */
static void match_class(FILE *f, const struct xf_line *l, enum xf_sense sense)
{
	const char *field = xf_sense_inbound(sense) ? "iifgroup" : "oifgroup";

	if (l->security_class == 0)
		return;
	if (sense == XF_OUT_LOCAL && l->class_known)
		fputs("oif != lo ", f);
	if (l->security_class == POL_CLASS_DEFAULT)
		fprintf(f, "%s { 0, %u } ", field, POL_CLASS_DEFAULT);
	else
		fprintf(f, "%s %u ", field, l->security_class);
}

static void match(FILE *f, const struct xf_line *l, enum xf_sense sense)
{
	fprintf(f, "\t\tmeta nfproto ipv%c ", l->family == AF_INET6 ? '6' : '4');
	match_class(f, l, sense);
	match_addresses(f, "saddr", l->src);
	match_addresses(f, "daddr", l->dst);
	match_proto(f, l);
	match_fragments(f, l);
	match_upper(f, l);
}

/* ---- chains ---- */

static void go(struct print *p, const char *how, const struct xf_node *to)
{
	fprintf(p->f, "%s %s_%u", how, p->name, to->id);
}

static void print_lines(struct print *p, const struct xf_node *node)
{
	for (unsigned i = 0; i < node->n_lines; i++) {
		const struct xf_line *l = &p->tree->lines.v[node->lines[i]];

		match(p->f, l, p->sense);
		p->verdict(p->arg, p->f, l);
		fputc('\n', p->f);
		p->n_rules++;
	}
}

static void print_value(struct print *p, const struct xf_node *node, const struct xf_arm *arm)
{
	switch (node->field) {
	case XF_BY_FAMILY:
		fputs(arm->lo.low == AF_INET6 ? "ipv6" : "ipv4", p->f);
		return;
	case XF_BY_SADDR:
	case XF_BY_DADDR:
		print_range(p->f, p->tree->lines.v[node->lines[0]].family, arm->lo, arm->hi);
		return;
	case XF_BY_PROTO:
	case XF_BY_SPORT:
	case XF_BY_DPORT:
		break;
	}
	fprintf(p->f, "%" PRIu64, arm->lo.low);
	if (arm->lo.low != arm->hi.low)
		fprintf(p->f, "-%" PRIu64, arm->hi.low);
}

static void print_map(struct print *p, const struct xf_node *node)
{
	static const char *const fields[2][XF_FIELDS] = {
		{"meta nfproto", "ip saddr", "ip daddr", "meta l4proto", "th sport", "th dport"},
		{"meta nfproto", "ip6 saddr", "ip6 daddr", "meta l4proto", "th sport", "th dport"},
	};
	bool v6 = p->tree->lines.v[node->lines[0]].family == AF_INET6;

	fprintf(p->f, "\t\t%s vmap { ", fields[v6][node->field]);
	for (unsigned i = 0; i < node->n_arms; i++) {
		if (i)
			fputs(", ", p->f);
		print_value(p, node, &node->arms[i]);
		go(p, " : goto", node->arms[i].to);
	}
	fputs(" }\n", p->f);
	p->n_rules++;
	if (!node->otherwise)
		return;
	go(p, "\t\tgoto", node->otherwise);
	fputc('\n', p->f);
	p->n_rules++;
}

static void print_sequence(struct print *p, const struct xf_node *node)
{
	for (unsigned i = 0; i < node->n_parts; i++) {
		go(p, i + 1 < node->n_parts ? "\t\tjump" : "\t\tgoto", node->parts[i]);
		fputc('\n', p->f);
		p->n_rules++;
	}
}

/* What a chain leads to stands before it. */
static void print_chain(struct print *p, struct xf_node *node)
{
	if (node->id)
		return;
	for (unsigned i = 0; i < node->n_arms; i++)
		print_chain(p, node->arms[i].to);
	if (node->otherwise)
		print_chain(p, node->otherwise);
	for (unsigned i = 0; i < node->n_parts; i++)
		print_chain(p, node->parts[i]);
	node->id = ++p->n_chains;
	fprintf(p->f, "\tchain %s_%u {\n", p->name, node->id);
	switch (node->kind) {
	case XF_LEAF:
		print_lines(p, node);
		break;
	case XF_MAP:
		print_map(p, node);
		break;
	case XF_SEQUENCE:
		print_sequence(p, node);
		break;
	}
	fputs("\t}\n", p->f);
}

unsigned xf_tree_print(FILE *f, const struct xf_tree *tree, const char *name, enum xf_sense sense,
		       xf_verdict_fn *verdict, void *arg)
{
	struct print p = {
		.f = f, .tree = tree, .name = name, .sense = sense, .verdict = verdict, .arg = arg};
	struct xf_node *root = tree->root;

	if (root && root->kind != XF_LEAF)
		print_chain(&p, root);
	fprintf(f, "\tchain %s {\n", name);
	if (root && root->kind == XF_LEAF) {
		print_lines(&p, root);
	} else if (root) {
		go(&p, "\t\tjump", root);
		fputc('\n', f);
		p.n_rules++;
	}
	return p.n_rules;
}
