/*
 * Compiles a policy into the text of one nftables transaction.  The whole ordered filter list is
 * in our table and nowhere else; its verdicts are marks, which the SPD's policies match.
 *
 *   output        what this host sends: permit and ipsec rules set their mark and the packet is
 *                 routed again, so that XFRM sees the mark
 *   prerouting    what arrives, for this host or to be forwarded; the list decides again, and an
 *                 ipsec rule wants a packet that came by an SA of that rule; what is held ends here
 *   departing     what is to be forwarded, as it leaves
 *   group_...     what is for a group and for this host, where it is forwarded, too
 *   postrouting   the last lock: marked for an SA, but none transformed it
 *
 * Where clients behind a NAT may be, the chains of nft_clients.c stand around these.
 *
 * The rules of the list carry the comment "rule:service:direction" (indices; o or i), by which
 * xf_filter_counts knows them.
 */
#include <ctype.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy/policy.h"
#include "xfrm/dead_end.h"
#include "xfrm/kernel.h"
#include "xfrm/nft_model.h"

struct compile {
	FILE *f;
	const struct pol_policy *policy;
	struct xf_book book; /* of its active rules */
	uint32_t mask, keep; /* our bits of the mark, and everybody else's */
	uint32_t permit, exempt, inbound, rule_min;
	const struct xf_marking *marking;
	unsigned n_rules;
	bool clients;                 /* behind NAT may be */
	bool failed;                  /* no memory */
	struct xf_count_list *counts; /* what counters begin with; what was given away is 0 */
};

#define REJECT "reject with icmpx admin-prohibited"

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

/* The same behind what was written of the line before. */
__attribute__((format(printf, 2, 3))) static void rest_of_line(struct compile *c, const char *fmt,
							       ...)
{
	va_list ap;

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

/* ---- what happens to it ---- */

static void set_mark(const struct compile *c, FILE *f, uint32_t value)
{
	fprintf(f, "meta mark set meta mark & 0x%08" PRIx32 " | 0x%08" PRIx32 " ", c->keep, value);
}

/* One filter is several nftables rules, whose counters add up; the first has what was before. */
static void counter(const struct compile *c, FILE *f, unsigned rule, unsigned service,
		    bool outbound)
{
	struct xf_filter_count *n = xf_count_find(c->counts, rule, service, outbound);

	if (!n || !n->packets) {
		fputs("counter ", f);
		return;
	}
	fprintf(f, "counter packets %" PRIu64 " bytes %" PRIu64 " ", n->packets, n->bytes);
	n->packets = n->bytes = 0;
}

/* Has the rule's action logging of what it lets pass, or of what ends here? */
static bool logs(const struct compile *c, const struct pol_filter_rule *r, bool permit)
{
	return c->policy->filter_logging &&
	       (r->log == POL_LOG_YES || r->log == (permit ? POL_LOG_PERMIT : POL_LOG_DENY));
}

/* Without what nftables gives a meaning to between quotation marks. */
static void put_name(FILE *f, const char *name)
{
	for (; *name; name++) {
		bool plain = isalnum((unsigned char)*name) || strchr("_-.@#:+/", *name);

		fputc(plain ? *name : '?', f);
	}
}

/* As XF_LOG_GROUP in xfrm.h says. */
static void put_log(const struct compile *c, FILE *f, const char *reason, bool inbound,
		    unsigned rule)
{
	const struct pol_policy *p = c->policy;

	fprintf(f, "log prefix \"csipsec %" PRIu64 " %s %c %u ", p->generation, reason,
		inbound ? 'i' : 'o', rule);
	put_name(f, rule < p->n_rules ? p->rules[rule].name : "-");
	fprintf(f, "\" group %u snaplen %u queue-threshold %u ", XF_LOG_GROUP, XF_LOG_BYTES,
		XF_LOG_QUEUE);
}

struct list {
	struct compile *c;
	enum xf_sense sense;
};

static void verdict(const struct list *list, FILE *f, const struct xf_line *l)
{
	const struct compile *c = list->c;
	const struct pol_filter_rule *r = &c->policy->rules[l->rule];
	bool local = list->sense == XF_IN_LOCAL || list->sense == XF_OUT_LOCAL;
	const char *way = local ? "local" : "routed";

	if (r->verdict == POL_DENY) {
		fputs(r->discard_icmp ? REJECT " " : "drop ", f);
	} else if (!xf_sense_inbound(list->sense)) {
		set_mark(c, f,
			 r->verdict == POL_IPSEC ? xf_mark_value(c->marking, r->id) : c->permit);
		if (c->clients)
			fprintf(f, "goto decided_%s ", way);
		else
			fputs("accept ", f);
	} else if (r->verdict == POL_PERMIT && !logs(c, r, true)) {
		fprintf(f, "goto clear_%s ", way);
	} else if (r->verdict == POL_PERMIT) {
		fprintf(f, "goto clear_%s_%u ", way, l->rule);
	} else {
		/* What came by another rule's SA is of a peer of another identity, and goes on. */
		fprintf(f, "%s ipsec_%s_%u ", r->remote_identity ? "jump" : "goto", way, l->rule);
	}
}

static void on_line(void *arg, FILE *f, const struct xf_line *l)
{
	const struct list *list = arg;
	const struct compile *c = list->c;
	const struct pol_filter_rule *r = &c->policy->rules[l->rule];
	bool inbound = xf_sense_inbound(list->sense);

	if (list->sense == XF_IN_FRAGMENT && r->verdict == POL_PERMIT) {
		fputs("accept", f);
		return;
	}
	if (list->sense == XF_IN_FRAGMENT) {
		fputs("counter ", f);
		if (logs(c, r, false))
			put_log(c, f, "unprotected", true, l->rule);
		fputs("drop", f);
		return;
	}
	counter(c, f, l->rule, l->service, !inbound);
	/* Of all others more is to be seen before it is known what happens to them. */
	if (r->verdict == POL_DENY && logs(c, r, false))
		put_log(c, f, "deny", inbound, l->rule);
	else if (r->verdict == POL_PERMIT && !inbound && logs(c, r, true))
		put_log(c, f, "permit", false, l->rule);
	verdict(list, f, l);
	fprintf(f, "comment \"%u:%u:%c\"", l->rule, l->service, inbound ? 'i' : 'o');
}

/* A chain that is the list; its end is left to the caller. */
static void filters(struct compile *c, const char *name, enum xf_sense sense)
{
	struct list list = {c, sense};
	struct xf_lines lines;
	struct xf_tree tree;

	if (!xf_lines_of(c->policy, &c->book, sense, &lines)) {
		c->failed = true;
		return;
	}
	if (xf_tree_build(&lines, &tree))
		c->n_rules += xf_tree_print(c->f, &tree, name, sense, on_line, &list);
	else
		c->failed = true;
	xf_tree_free(&tree);
}

/* The list and its implicit deny. */
static void list(struct compile *c, const char *name, enum xf_sense sense)
{
	filters(c, name, sense);
	fputs("\t\t", c->f);
	counter(c, c->f, c->policy->n_rules, 0, !xf_sense_inbound(sense));
	if (c->policy->log_implicit)
		put_log(c, c->f, "implicit", xf_sense_inbound(sense), c->policy->n_rules);
	rest_of_line(c, "%s comment \"%u:0:%c\"",
		     c->policy->implicit_discard_icmp ? REJECT : "drop", c->policy->n_rules,
		     xf_sense_inbound(sense) ? 'i' : 'o');
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
static void came_by(struct compile *c, const struct pol_filter_rule *r)
{
	uint32_t reqid = r->manual ? xf_reqid_manual(r->manual->number) : xf_reqid(r->id, 0);
	uint32_t mask = r->manual ? UINT32_MAX : ~XF_REQID_TUNNEL_MAX;

	fprintf(c->f, "\t\tipsec in reqid & 0x%08" PRIx32 " == 0x%08" PRIx32 " ", mask, reqid);
	if (bundles_only(r))
		fprintf(c->f, "ipsec in spnum 1 reqid & 0x%08" PRIx32 " == 0x%08" PRIx32 " ", mask,
			reqid);
}

/* One more line of a chain: what matches ends here, or goes on as `then` says. */
static void judge(struct compile *c, const char *matched, const char *reason, unsigned rule,
		  bool log, const char *then)
{
	fprintf(c->f, "\t\t%s", matched);
	if (log)
		put_log(c, c->f, reason, true, rule);
	rest_of_line(c, "%s", then);
}

/* It came by an SA, but policy wants it in clear: the tunnels of the two ends differ. */
static void clear_chain(struct compile *c, unsigned rule, bool log, const char *permit)
{
	judge(c, "meta secpath exists ", "mismatch", rule, log,
	      "counter drop comment \"mismatch\"");
	judge(c, "", "permit", rule, log, permit);
	end_chain(c);
}

static void ipsec_chain(struct compile *c, unsigned rule, const char *ipsec)
{
	const struct pol_filter_rule *r = &c->policy->rules[rule];
	bool deny = logs(c, r, false);

	came_by(c, r);
	if (logs(c, r, true))
		put_log(c, c->f, "permit", true, rule);
	rest_of_line(c, "%s", ipsec);
	/* One by identity lets what came by another SA go on to the rules behind it. */
	if (deny && !r->remote_identity)
		judge(c, "meta secpath exists ", "mismatch", rule, true,
		      "counter drop comment \"mismatch\"");
	judge(c, r->remote_identity ? "meta secpath missing " : "", "unprotected", rule, deny,
	      "counter drop comment \"unprotected\"");
	end_chain(c);
}

/* Where a matched packet that arrived goes; permit and ipsec are what accepts it. */
static void arrivals(struct compile *c, const char *way, const char *permit, const char *ipsec)
{
	const struct pol_policy *p = c->policy;

	fprintf(c->f, "\tchain clear_%s {\n", way);
	clear_chain(c, 0, false, permit);
	for (unsigned i = 0; i < p->n_rules; i++) {
		const struct pol_filter_rule *r = &p->rules[i];

		if (!c->book.rules[i].active)
			continue;
		if (r->verdict == POL_PERMIT && logs(c, r, true)) {
			fprintf(c->f, "\tchain clear_%s_%u {\n", way, i);
			clear_chain(c, i, true, permit);
		} else if (r->verdict == POL_IPSEC) {
			fprintf(c->f, "\tchain ipsec_%s_%u {\n", way, i);
			ipsec_chain(c, i, ipsec);
		}
	}
}

static void mark_text(const struct compile *c, uint32_t value, const char *rest, char *buf,
		      size_t size)
{
	snprintf(buf, size, "meta mark set meta mark & 0x%08" PRIx32 " | 0x%08" PRIx32 " %s",
		 c->keep, value, rest);
}

/*
 * Where clients may be, what the list wants protected goes to the client that it answers.  What
 * this host sends and belongs to no connection might answer any of those that have one address.
 */
static void decided_chains(struct compile *c)
{
	static const char *const ways[] = {"local", "routed"};

	for (unsigned i = 0; c->clients && i < 2; i++) {
		fprintf(c->f, "\tchain decided_%s {\n", ways[i]);
		line(c,
		     "meta mark & 0x%08" PRIx32 " >= 0x%08" PRIx32 " " XF_NFT_ANSWER
		     " goto to_client",
		     c->mask, c->rule_min);
		if (i == 0)
			line(c,
			     "meta mark & 0x%08" PRIx32 " >= 0x%08" PRIx32
			     " ct state invalid counter drop comment \"whose\"",
			     c->mask, c->rule_min);
		line(c, "accept");
		end_chain(c);
	}
}

/*
 * What neighbours on one link cannot do without: neighbour discovery (RFC 4861), which nobody can
 * have forwarded, as its hop limit is the highest; multicast listeners (RFC 2710 and 3810), whose
 * is the lowest, with addresses of the link or none yet.  Neither goes to a group that a router may
 * forward to.
 */
static void neighbors(struct compile *c, const char *how, const char *permit)
{
	line(c,
	     "%sicmpv6 type 133-137 ip6 hoplimit 255 ip6 daddr "
	     "::-ff02:ffff:ffff:ffff:ffff:ffff:ffff:ffff %s",
	     how, permit);
	line(c, "%sicmpv6 type { 130-132, 143 } ip6 hoplimit 1 ip6 saddr fe80::/10 %s", how,
	     permit);
	line(c, "%sicmpv6 type { 131, 143 } ip6 hoplimit 1 ip6 saddr :: %s", how, permit);
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
	neighbors(c, "", permit);
	/* The errors that our own rejects send. */
	line(c, "icmp type destination-unreachable icmp code 13 %s", permit);
	line(c, "icmpv6 type destination-unreachable icmpv6 code 1 %s", permit);
	/* The list knows clients' ports as they were. */
	if (c->clients)
		line(c, XF_NFT_ANSWER " ct status snat goto to_client");
	line(c, "goto out_local");
	end_chain(c);
}

static void local_chain(struct compile *c, const char *permit)
{
	char exempt[96];

	mark_text(c, c->exempt, "accept", exempt, sizeof(exempt));
	chain(c, "to_local");
	/* ESP of a bundle that is not inside its AH, which alone authenticates it. */
	line(c, "esp spi 0x%08x-0x%08x counter drop comment \"not in AH\"", XF_SPI_BUNDLED_MIN,
	     XF_SPI_BUNDLED_MAX);
	/*
	 * ESP and AH are filtered as they come, or what comes out of them is.  In UDP that is what
	 * the kernel takes for ESP (RFC 3948) from IKE's socket; IKE and keepalives are the list's.
	 */
	if (!c->policy->predecap) {
		line(c, "meta l4proto { 50, 51 } accept");
		if (c->clients)
			line(c,
			     "meta nfproto ipv4 udp dport 4500 udp length > 16 @th,64,32 != 0 "
			     "socket mark & 0x%08" PRIx32 " == 0x%08" PRIx32 " %s",
			     c->mask, c->exempt, exempt);
	}
	/* What a tunnel brought is of no neighbour, and neighbours send no fragments (RFC 6980). */
	neighbors(c, "meta secpath missing exthdr frag missing ", permit);
	line(c, "ip frag-off & 0x1fff != 0 goto fragments");
	line(c, "frag frag-off != 0 goto fragments");
	line(c, "goto in_local");
	end_chain(c);
	/*
	 * Without its first fragment nothing is put together, and that one's mark is the whole
	 * packet's.  A later one has no ports: the first permit or ipsec rule that it could be of
	 * decides.  So one that could be of both passes in clear where the permit rule is the
	 * first.
	 */
	chain(c, "fragments");
	line(c, "meta secpath exists accept");
	line(c, "goto in_fragment");
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

#define TO_THIS_HOST "fib daddr type { local, broadcast, anycast, multicast }"

static void prerouting_chain(struct compile *c, const char *permit)
{
	chain(c, "prerouting");
	fputs("\t\ttype filter hook prerouting priority mangle; policy accept;\n", c->f);
	held(c, AF_INET);
	held(c, AF_INET6);
	line(c, "iif lo %s", permit);
	/* A client that speaks is not gone. */
	if (c->clients)
		line(c,
		     "ct direction original ct original zone 8193-16383 ct mark & 0x%08" PRIx32
		     " == 0x%08" PRIx32 " ct mark set ct mark & 0x%08" PRIx32,
		     c->mask, xf_mark_value(c->marking, XF_MARK_CLIENT_GONE), c->keep);
	line(c, TO_THIS_HOST " goto to_local");
	line(c, "goto in_routed");
	end_chain(c);
}

/*
 * What is to be forwarded and was let in is looked at as what leaves.  In a chain of its own,
 * because the kernel walks every way that leads through chains when it checks them.
 */
static void departing_chain(struct compile *c)
{
	chain(c, "departing");
	fputs("\t\ttype filter hook prerouting priority mangle + 1; policy accept;\n", c->f);
	line(c, "iif lo accept");
	line(c, TO_THIS_HOST " accept");
	line(c, "goto out_routed");
	end_chain(c);
}

/*
 * What is for a group is for this host, too, and was looked at as that.  Where it is forwarded, by
 * a multicast router mostly, it is looked at as what is forwarded.
 */
static void group_chains(struct compile *c)
{
	static const struct {
		const char *name, *priority, *list;
	} chains[] = {{"group_arriving", "mangle", "in_routed"},
		      {"group_departing", "mangle + 1", "out_routed"}};

	for (unsigned i = 0; i < 2; i++) {
		chain(c, chains[i].name);
		fprintf(c->f, "\t\ttype filter hook forward priority %s; policy accept;\n",
			chains[i].priority);
		line(c, "fib daddr type { broadcast, multicast } goto %s", chains[i].list);
		end_chain(c);
	}
}

/* ---- logs of what an ipsec rule lets leave, or not ---- */

/* Chains that log a packet with the rule's mark, and return; their number. */
static unsigned leaving_chains(struct compile *c)
{
	const struct pol_policy *p = c->policy;
	unsigned n = 0;

	for (unsigned i = 0; i < p->n_rules; i++) {
		const struct pol_filter_rule *r = &p->rules[i];

		if (r->verdict != POL_IPSEC || !c->book.rules[i].active ||
		    (!logs(c, r, true) && !logs(c, r, false)))
			continue;
		n++;
		fprintf(c->f, "\tchain leaving_%u {\n", i);
		if (logs(c, r, false)) {
			/* It asks for an SA, or waits for one, and vanishes. */
			fputs("\t\toif lo ", c->f);
			put_log(c, c->f, "held", false, i);
			rest_of_line(c, "return");
			fputs("\t\trt ipsec missing ", c->f);
			put_log(c, c->f, "unprotected", false, i);
			rest_of_line(c, "return");
		}
		if (logs(c, r, true)) {
			fputs("\t\toif != lo rt ipsec exists ", c->f);
			put_log(c, c->f, "permit", false, i);
			rest_of_line(c, "return");
		}
		end_chain(c);
	}
	return n;
}

static void log_leaving(struct compile *c)
{
	const struct pol_policy *p = c->policy;
	const char *comma = " ";

	fprintf(c->f, "\t\tmeta mark & 0x%08" PRIx32 " vmap {", c->mask);
	for (unsigned i = 0; i < p->n_rules; i++) {
		const struct pol_filter_rule *r = &p->rules[i];

		if (r->verdict != POL_IPSEC || !c->book.rules[i].active ||
		    (!logs(c, r, true) && !logs(c, r, false)))
			continue;
		fprintf(c->f, "%s0x%08" PRIx32 " : jump leaving_%u", comma,
			xf_mark_value(c->marking, r->id), i);
		comma = ", ";
	}
	rest_of_line(c, " }");
}

static void postrouting_chain(struct compile *c)
{
	unsigned n = leaving_chains(c);

	chain(c, "postrouting");
	fputs("\t\ttype filter hook postrouting priority mangle; policy accept;\n", c->f);
	if (n)
		log_leaving(c);
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
	xf_sets_print(c->f, &c->book);
	if (c->clients)
		c->n_rules += xf_nft_clients(c->f, c->marking);
	decided_chains(c);
	arrivals(c, "local", permit, inbound);
	arrivals(c, "routed", "accept", "accept");
	list(c, "out_routed", XF_OUT_ROUTED);
	list(c, "out_local", XF_OUT_LOCAL);
	list(c, "in_local", XF_IN_LOCAL);
	list(c, "in_routed", XF_IN_ROUTED);
	filters(c, "in_fragment", XF_IN_FRAGMENT);
	line(c, "accept");
	end_chain(c);
	local_chain(c, permit);
	output_chain(c, permit);
	prerouting_chain(c, permit);
	departing_chain(c);
	group_chains(c);
	postrouting_chain(c);
	fputs("}\n", c->f);
}

static char *compile(struct compile *c, const struct xf_marking *marking, time_t now)
{
	char *text = NULL;
	size_t size = 0;
	bool failed;

	c->marking = marking;
	c->clients = xf_policy_has_clients(c->policy);
	c->mask = xf_mark_mask(marking);
	c->keep = ~c->mask;
	c->permit = xf_mark_value(marking, XF_MARK_PERMIT);
	c->exempt = xf_mark_value(marking, XF_MARK_EXEMPT);
	c->inbound = xf_mark_value(marking, XF_MARK_INBOUND);
	c->rule_min = xf_mark_value(marking, XF_MARK_RULE_MIN);
	if (!xf_book_make(c->policy, now, &c->book))
		return NULL;
	c->f = open_memstream(&text, &size);
	if (!c->f) {
		xf_book_free(&c->book);
		return NULL;
	}
	table(c);
	xf_book_free(&c->book);
	failed = c->failed || ferror(c->f) != 0;
	if (fclose(c->f) != 0 || failed) {
		free(text);
		return NULL;
	}
	return text;
}

char *xf_nft_compile(const struct xf_marking *marking, const struct pol_policy *policy, time_t now,
		     struct xf_count_list *counts, unsigned *n_rules)
{
	struct compile c = {.policy = policy, .counts = counts};
	char *text = compile(&c, marking, now);

	*n_rules = c.n_rules;
	return text;
}

char *xf_ruleset(const struct xf_marking *marking, const struct pol_policy *policy, time_t now)
{
	unsigned n_rules;

	return xf_nft_compile(marking, policy, now, NULL, &n_rules);
}
