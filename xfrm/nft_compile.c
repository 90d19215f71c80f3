/*
 * Compiles a policy into the text of one nftables transaction.  The whole ordered filter list is
 * in our table and nowhere else; its verdicts are marks, which the SPD's policies match.
 *
 *   output        what this host sends: permit and ipsec rules set their mark and the packet is
 *                 routed again, so that XFRM sees the mark
 *   prerouting    what arrives, for this host or to be forwarded; the list decides again, and an
 *                 ipsec rule wants a packet that came by an SA of that rule; what is held ends here
 *   postrouting   the last lock: marked for an SA, but none transformed it
 *
 * Where clients behind a NAT may be, the chains of nft_clients.c stand around these.
 *
 * The rules of the list carry the comment "rule:service:direction" (indices; o or i), by which
 * xf_filter_counts knows them.
 */
#include <inttypes.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "policy/policy.h"
#include "xfrm/dead_end.h"
#include "xfrm/kernel.h"

/* In which chain, and so in which sense, a service is looked at. */
enum sense {
	OUT_LOCAL,
	IN_LOCAL,
	IN_ROUTED,
	OUT_ROUTED,
	/* Later fragments for this host; they have no ports, so the first one decides for them. */
	IN_FRAGMENT,
};

struct compile {
	FILE *f;
	const struct pol_policy *policy;
	uint32_t mask, keep; /* our bits of the mark, and everybody else's */
	uint32_t permit, exempt, inbound, rule_min;
	const struct xf_marking *marking;
	time_t now;
	unsigned n_rules;
	bool clients; /* behind NAT may be */
};

#define REJECT   "reject with icmpx admin-prohibited"
#define NEIGHBOR "icmpv6 type { 130-137, 143 }" /* RFC 2710, 4861 and 3810 */

__attribute__((format(printf, 2, 3))) static void line(struct compile *c, const char *fmt, ...)
{
	va_list ap;

	fputs("\t\t", c->f);
	va_start(ap, fmt);
	vfprintf(c->f, fmt, ap);
	va_end(ap);
	fputc('\n', c->f);
	c->n_rules++;
}

static void chain(struct compile *c, const char *name)
{
	fprintf(c->f, "\tchain %s {\n", name);
}

static void end_chain(struct compile *c)
{
	fputs("\t}\n", c->f);
}

/* ---- what a service matches ---- */

static bool is_inbound(enum sense sense)
{
	return sense == IN_LOCAL || sense == IN_ROUTED || sense == IN_FRAGMENT;
}

static bool applies(const struct pol_service *s, enum sense sense)
{
	bool routed = sense == IN_ROUTED || sense == OUT_ROUTED;

	/* Interfaces have no security class on Linux; 255 is what the original gives by default. */
	if (s->security_class != 0 && s->security_class != 255)
		return false;
	if (s->direction == POL_IN && !is_inbound(sense))
		return false;
	if (s->direction == POL_OUT && is_inbound(sense))
		return false;
	return s->routing == POL_EITHER || (s->routing == POL_ROUTED) == routed;
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

static void match_addresses(struct compile *c, const char *field, const struct cs_range *r,
			    unsigned n, uint8_t family)
{
	const char *ip = family == AF_INET6 ? "ip6" : "ip", *comma = "";
	char text[CS_RANGE_STRLEN];
	unsigned count = 0;

	if (has_everything(r, n, family))
		return;
	for (unsigned i = 0; i < n; i++)
		count += r[i].lo.family == family;
	fprintf(c->f, "%s %s %s", ip, field, count > 1 ? "{ " : "");
	for (unsigned i = 0; i < n; i++) {
		if (r[i].lo.family != family)
			continue;
		fprintf(c->f, "%s%s", comma, cs_range_text(&r[i], text));
		comma = ", ";
	}
	fputs(count > 1 ? " } " : " ", c->f);
}

static void match_interval(struct compile *c, const char *what, unsigned from, unsigned to)
{
	if (from == to)
		fprintf(c->f, "%s %u ", what, from);
	else
		fprintf(c->f, "%s %u-%u ", what, from, to);
}

/* Ports, types, codes and the direction of a connection: what only a first fragment has. */
static void match_upper(struct compile *c, const struct pol_service *s, bool inbound)
{
	bool turned = inbound && s->direction == POL_BOTH;
	const uint16_t *sport = turned ? s->dst_port : s->src_port;
	const uint16_t *dport = turned ? s->src_port : s->dst_port;

	if (!pol_ports_any(sport))
		match_interval(c, "th sport", sport[0], sport[1]);
	if (!pol_ports_any(dport))
		match_interval(c, "th dport", dport[0], dport[1]);
	/* Type and code are the first two bytes, except Mobile IPv6's type (third) and OSPF's. */
	if (s->type[0] >= 0)
		match_interval(c,
			       s->proto == IPPROTO_MH ? "@th,16,8"
			       : s->proto == 89       ? "@th,8,8"
						      : "@th,0,8",
			       (unsigned)s->type[0], (unsigned)s->type[1]);
	if (s->code[0] >= 0)
		match_interval(c, "@th,8,8", (unsigned)s->code[0], (unsigned)s->code[1]);
	/* Who may open the connection: the other side's first segment does not match. */
	if ((s->connect == POL_CONNECT_OUT && inbound) ||
	    (s->connect == POL_CONNECT_IN && !inbound))
		fputs("tcp flags & (syn | ack) != syn ", c->f);
}

static void match_fragments(struct compile *c, uint8_t family)
{
	fputs(family == AF_INET6 ? "exthdr frag exists " : "ip frag-off & 0x3fff != 0 ", c->f);
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

/* Writes the match of one service, or nothing and false when no packet can match. */
static bool match(struct compile *c, const struct pol_filter_rule *r, const struct pol_service *s,
		  enum sense sense, uint8_t family)
{
	bool turned = is_inbound(sense) && s->direction == POL_BOTH;
	const struct cs_range *src = turned ? r->dst : r->src, *dst = turned ? r->src : r->dst;
	unsigned n_src = turned ? r->n_dst : r->n_src, n_dst = turned ? r->n_src : r->n_dst;

	if (!applies(s, sense) || !fits_family(s, family) || !has_family(src, n_src, family) ||
	    !has_family(dst, n_dst, family))
		return false;
	/* Packets leave this host whole; the kernel cuts them behind the filters. */
	if (s->fragments_only && sense == OUT_LOCAL)
		return false;
	fprintf(c->f, "\t\tmeta nfproto ipv%c ", family == AF_INET6 ? '6' : '4');
	match_addresses(c, "saddr", src, n_src, family);
	match_addresses(c, "daddr", dst, n_dst, family);
	if (s->proto >= 0)
		fprintf(c->f, "meta l4proto %d ", s->proto);
	if (s->fragments_only)
		match_fragments(c, family);
	if (s->proto == POL_PROTO_OPAQUE)
		fputs("frag frag-off != 0 ", c->f);
	if (sense != IN_FRAGMENT)
		match_upper(c, s, is_inbound(sense));
	return true;
}

/* ---- what happens to it ---- */

static void set_mark(struct compile *c, uint32_t value)
{
	fprintf(c->f, "meta mark set meta mark & 0x%08" PRIx32 " | 0x%08" PRIx32 " ", c->keep,
		value);
}

static void verdict(struct compile *c, unsigned index, const struct pol_filter_rule *r,
		    enum sense sense)
{
	const char *way = sense == IN_ROUTED ? "routed" : "local";

	fputs("counter ", c->f);
	if (r->verdict == POL_DENY) {
		fputs(r->discard_icmp ? REJECT " " : "drop ", c->f);
	} else if (sense == OUT_LOCAL || sense == OUT_ROUTED) {
		set_mark(c, r->verdict == POL_IPSEC ? xf_mark_value(c->marking, r->id) : c->permit);
		/* With clients the chain that asked goes on. */
		fputs(c->clients ? "return " : "accept ", c->f);
	} else if (r->verdict == POL_PERMIT) {
		fprintf(c->f, "goto clear_%s ", way);
	} else {
		/* What came by another rule's SA is of a peer of another identity, and goes on. */
		fprintf(c->f, "%s ipsec_%s_%u ", r->remote_identity ? "jump" : "goto", way, index);
	}
}

static void filter(struct compile *c, unsigned index, unsigned service, enum sense sense,
		   uint8_t family)
{
	const struct pol_filter_rule *r = &c->policy->rules[index];

	/* A later fragment that a deny rule might mean goes by, and waits in vain for its first. */
	if (sense == IN_FRAGMENT && r->verdict == POL_DENY)
		return;
	if (!match(c, r, &r->services[service], sense, family))
		return;
	if (sense == IN_FRAGMENT)
		fprintf(c->f, "%s\n", r->verdict == POL_PERMIT ? "accept" : "counter drop");
	else {
		verdict(c, index, r, sense);
		fprintf(c->f, "comment \"%u:%u:%c\"\n", index, service,
			is_inbound(sense) ? 'i' : 'o');
	}
	c->n_rules++;
}

static bool is_active(const struct compile *c, const struct pol_filter_rule *r)
{
	return r->n_times == 0 || pol_time_active(r->times, r->n_times, c->now);
}

static void filters(struct compile *c, enum sense sense)
{
	const struct pol_policy *p = c->policy;

	for (unsigned i = 0; i < p->n_rules; i++) {
		const struct pol_filter_rule *r = &p->rules[i];

		if (!is_active(c, r))
			continue;
		for (unsigned j = 0; j < r->n_services; j++) {
			filter(c, i, j, sense, AF_INET);
			filter(c, i, j, sense, AF_INET6);
		}
	}
}

/* The list and its implicit deny. */
static void list(struct compile *c, const char *name, enum sense sense)
{
	chain(c, name);
	filters(c, sense);
	line(c, "counter %s comment \"%u:0:%c\"",
	     c->policy->implicit_discard_icmp ? REJECT : "drop", c->policy->n_rules,
	     is_inbound(sense) ? 'i' : 'o');
	end_chain(c);
}

/* ---- the chains around the list ---- */

/* Are all offers of the rule AH around ESP? */
static bool bundles_only(const struct pol_filter_rule *r)
{
	if (r->manual)
		return r->manual->auth_proto == POL_AH && r->manual->cipher;
	for (unsigned i = 0; r->vpn && i < r->vpn->n_offers; i++)
		if (r->vpn->offers[i].auth_proto != POL_AH || !r->vpn->offers[i].cipher)
			return false;
	return r->vpn && r->vpn->n_offers;
}

/* By how many SAs of the rule it must have come; of a bundle the first is the AH. */
static void came_by(struct compile *c, const struct pol_filter_rule *r, const char *ipsec)
{
	uint32_t reqid = r->manual ? xf_reqid_manual(r->manual->number) : xf_reqid(r->id, 0);
	uint32_t mask = r->manual ? UINT32_MAX : ~XF_REQID_TUNNEL_MAX;
	char second[80] = "";

	if (bundles_only(r))
		snprintf(second, sizeof(second),
			 "ipsec in spnum 1 reqid & 0x%08" PRIx32 " == 0x%08" PRIx32 " ", mask,
			 reqid);
	line(c, "ipsec in reqid & 0x%08" PRIx32 " == 0x%08" PRIx32 " %s%s", mask, reqid, second,
	     ipsec);
}

/* Where a matched packet that arrived goes: `next` is what accepts it. */
static void arrivals(struct compile *c, const char *way, const char *permit, const char *ipsec)
{
	const struct pol_policy *p = c->policy;

	fprintf(c->f, "\tchain clear_%s {\n", way);
	/* It came by an SA, but policy wants it in clear: the tunnels of the two ends differ. */
	line(c, "meta secpath exists counter drop comment \"mismatch\"");
	line(c, "%s", permit);
	end_chain(c);
	for (unsigned i = 0; i < p->n_rules; i++) {
		if (p->rules[i].verdict != POL_IPSEC || !is_active(c, &p->rules[i]))
			continue;
		fprintf(c->f, "\tchain ipsec_%s_%u {\n", way, i);
		came_by(c, &p->rules[i], ipsec);
		line(c, "%scounter drop comment \"unprotected\"",
		     p->rules[i].remote_identity ? "meta secpath missing " : "");
		end_chain(c);
	}
}

static void mark_text(const struct compile *c, uint32_t value, const char *rest, char *buf,
		      size_t size)
{
	snprintf(buf, size, "meta mark set meta mark & 0x%08" PRIx32 " | 0x%08" PRIx32 " %s",
		 c->keep, value, rest);
}

/*
 * The list, where its packet leaves this host.  What it wants protected goes to the client that it
 * answers.
 */
static void list_out(struct compile *c, const char *list_name)
{
	if (!c->clients) {
		line(c, "goto %s", list_name);
		return;
	}
	line(c, "jump %s", list_name);
	line(c, "meta mark & 0x%08" PRIx32 " >= 0x%08" PRIx32 " " XF_NFT_ANSWER " goto to_client",
	     c->mask, c->rule_min);
}

static void output_chain(struct compile *c, const char *permit)
{
	chain(c, "output");
	fputs("\t\ttype route hook output priority mangle; policy accept;\n", c->f);
	/* Our own SAs and IKE's sockets set this mark; what else has it is looked at as any other.
	 */
	line(c, "meta mark & 0x%08" PRIx32 " == 0x%08" PRIx32 " meta l4proto { 50, 51 } accept",
	     c->mask, c->exempt);
	line(c, "meta mark & 0x%08" PRIx32 " == 0x%08" PRIx32 " udp sport { 500, 4500 } accept",
	     c->mask, c->exempt);
	/* Not by interface: before it is routed again a packet may seem to go to lo. */
	line(c, "fib daddr type local %s", permit);
	line(c, NEIGHBOR " %s", permit);
	/* The errors that our own rejects send. */
	line(c, "icmp type destination-unreachable icmp code 13 %s", permit);
	line(c, "icmpv6 type destination-unreachable icmpv6 code 1 %s", permit);
	/* The list knows clients' ports as they were. */
	if (c->clients)
		line(c, XF_NFT_ANSWER " ct status snat goto to_client");
	list_out(c, "out_local");
	/* What belongs to no connection might answer any of the clients that have one address. */
	if (c->clients)
		line(c,
		     "meta mark & 0x%08" PRIx32 " >= 0x%08" PRIx32
		     " ct state invalid counter drop comment \"whose\"",
		     c->mask, c->rule_min);
	end_chain(c);
}

static void local_chain(struct compile *c)
{
	char exempt[96];

	mark_text(c, c->exempt, "accept", exempt, sizeof(exempt));
	chain(c, "to_local");
	/* ESP of a bundle that is not inside its AH, which alone authenticates it. */
	line(c, "esp spi 0x%08x-0x%08x counter drop comment \"not in AH\"", XF_SPI_BUNDLED_MIN,
	     XF_SPI_BUNDLED_MAX);
	if (c->policy->predecap) {
		/* ESP is filtered as it comes; of port 4500 only what is IKE passes (RFC 3948). */
		line(c, "udp dport 500 %s", exempt);
		line(c, "udp dport 4500 @th,64,32 0 %s", exempt);
	} else {
		line(c, "meta l4proto { 50, 51 } accept");
		line(c, "udp dport { 500, 4500 } %s", exempt);
	}
	line(c, "ip frag-off & 0x1fff != 0 goto fragments");
	line(c, "frag frag-off != 0 goto fragments");
	line(c, "goto in_local");
	end_chain(c);
	/*
	 * Without its first fragment nothing is put together, and that one's mark is the whole
	 * packet's.  What could be part of a protected packet must be protected itself.
	 */
	chain(c, "fragments");
	line(c, "meta secpath exists accept");
	filters(c, IN_FRAGMENT);
	line(c, "accept");
	end_chain(c);
}

/* What the held SA sends ends here, and its sender does not hear of it. */
static void held(struct compile *c, uint8_t family)
{
	struct cs_addr to = xf_dead_end_dst(XF_HELD, family);
	char text[CS_ADDR_STRLEN];

	line(c, "iif lo %s daddr %s meta l4proto %d counter drop comment \"held\"",
	     family == AF_INET ? "ip" : "ip6", cs_addr_text(&to, text), IPPROTO_ESP);
}

static void prerouting_chain(struct compile *c, const char *permit)
{
	chain(c, "prerouting");
	fputs("\t\ttype filter hook prerouting priority mangle; policy accept;\n", c->f);
	held(c, AF_INET);
	held(c, AF_INET6);
	line(c, "iif lo %s", permit);
	line(c, NEIGHBOR " %s", permit);
	/* A client that speaks is not gone. */
	if (c->clients)
		line(c,
		     "ct direction original ct original zone 8193-16383 ct mark & 0x%08" PRIx32
		     " == 0x%08" PRIx32 " ct mark set ct mark & 0x%08" PRIx32,
		     c->mask, xf_mark_value(c->marking, XF_MARK_CLIENT_GONE), c->keep);
	line(c, "fib daddr type { local, broadcast, anycast, multicast } goto to_local");
	list_out(c, "in_routed");
	end_chain(c);
}

static void postrouting_chain(struct compile *c)
{
	chain(c, "postrouting");
	fputs("\t\ttype filter hook postrouting priority mangle; policy accept;\n", c->f);
	line(c,
	     "meta mark & 0x%08" PRIx32 " >= 0x%08" PRIx32
	     " rt ipsec missing counter drop comment \"unprotected\"",
	     c->mask, c->rule_min);
	/*
	 * Whose MTU ends elsewhere, behind this gateway or at the other end, is to hear of it by
	 * ICMP, which many filter; the size of its segments can be said without.
	 */
	line(c,
	     "meta mark & 0x%08" PRIx32
	     " != 0 tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu",
	     c->mask);
	end_chain(c);
}

static void table(struct compile *c)
{
	char permit[96], inbound[96];

	mark_text(c, c->permit, "accept", permit, sizeof(permit));
	mark_text(c, c->inbound, "accept", inbound, sizeof(inbound));
	/* Adding it first makes the deletion right when there is none. */
	fputs("add table inet " XF_TABLE "\ndelete table inet " XF_TABLE "\n", c->f);
	fputs("table inet " XF_TABLE " {\n", c->f);
	fprintf(c->f, "\tchain generation_%" PRIu64 " {\n\t}\n", c->policy->generation);
	if (c->clients)
		c->n_rules += xf_nft_clients(c->f, c->marking);
	list(c, "out_routed", OUT_ROUTED);
	arrivals(c, "local", permit, inbound);
	arrivals(c, "routed", "goto out_routed", "goto out_routed");
	list(c, "out_local", OUT_LOCAL);
	list(c, "in_local", IN_LOCAL);
	list(c, "in_routed", IN_ROUTED);
	local_chain(c);
	output_chain(c, permit);
	prerouting_chain(c, permit);
	postrouting_chain(c);
	fputs("}\n", c->f);
}

char *xf_nft_compile(const struct xf_marking *marking, const struct pol_policy *policy,
		     unsigned *n_rules)
{
	struct compile c = {.policy = policy, .marking = marking, .now = time(NULL)};
	char *text = NULL;
	size_t size = 0;
	bool failed;

	c.clients = xf_policy_has_clients(policy);
	c.mask = xf_mark_mask(marking);
	c.keep = ~c.mask;
	c.permit = xf_mark_value(marking, XF_MARK_PERMIT);
	c.exempt = xf_mark_value(marking, XF_MARK_EXEMPT);
	c.inbound = xf_mark_value(marking, XF_MARK_INBOUND);
	c.rule_min = xf_mark_value(marking, XF_MARK_RULE_MIN);
	c.f = open_memstream(&text, &size);
	if (!c.f)
		return NULL;
	table(&c);
	failed = ferror(c.f) != 0;
	if (fclose(c.f) != 0 || failed) {
		free(text);
		return NULL;
	}
	*n_rules = c.n_rules;
	return text;
}

char *xf_ruleset(const struct xf_marking *marking, const struct pol_policy *policy)
{
	unsigned n_rules;

	return xf_nft_compile(marking, policy, &n_rules);
}
