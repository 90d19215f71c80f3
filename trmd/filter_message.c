/* Log lines of packets. */
#include "trmd/filter_message.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <linux/netfilter.h> /* behind netinet/in.h, which it would define again */

/* Text that is built up; what does not fit is not there. */
struct text {
	char *p;
	size_t len, cap;
};

static void put(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->p + t->len, t->cap - t->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len += (size_t)n < t->cap - t->len ? (size_t)n : t->cap - t->len - 1;
}

/*
 * A value that somebody chose: one word of ASCII without an equals sign, so nothing that begins a
 * line, or reads as a field, or is a command to a terminal.
 */
static void put_name(struct text *t, const char *field, const char *name)
{
	char word[TRMD_RULE_NAME];
	size_t n = 0;

	for (; name && *name && n < sizeof(word) - 1; name++, n++) /* char has a sign, or not */
		word[n] = (unsigned char)(*name - '!') > '~' - '!' || *name == '=' ? '?' : *name;
	word[n] = '\0';
	put(t, " %s= %s", field, n ? word : "N/A");
}

const char *trmd_time_text(int64_t us, char text[static TRMD_TIME_STRLEN])
{
	time_t s = (time_t)(us / 1000000);
	struct tm tm;

	if (us < 0 || s > 253402300799 || !gmtime_r(&s, &tm)) { /* a year of five digits */
		us = s = 0;
		gmtime_r(&s, &tm);
	}
	strftime(text, TRMD_TIME_STRLEN, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + 19, TRMD_TIME_STRLEN - 19, ".%06uZ", (unsigned)(us % 1000000) % 1000000);
	return text;
}

/* ---- parts ---- */

static bool no_rule(const struct trmd_event *e)
{
	return strcmp(e->name, "-") == 0;
}

static const char *proto_text(const struct trmd_packet *k, char text[static 16])
{
	static const struct {
		uint8_t number;
		const char *name;
	} names[] = {{1, "ICMP"},  {2, "IGMP"},  {4, "IP"},     {6, "TCP"},
		     {17, "UDP"},  {50, "ESP"},  {51, "AH"},    {58, "ICMPv6"},
		     {89, "OSPF"}, {94, "IPIP"}, {135, "MIPv6"}};

	if (!k->has_proto)
		return "Unknown";
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].number == k->proto) {
			snprintf(text, 16, "%s(%u)", names[i].name, k->proto);
			return text;
		}
	snprintf(text, 16, "%u", k->proto);
	return text;
}

/* Names of the tags; what has no value is Unknown where the packet is cut, else there is no tag. */
static void put_tags(struct text *t, const struct trmd_packet *k)
{
	bool ports = k->proto == IPPROTO_TCP || k->proto == IPPROTO_UDP;
	bool icmp = k->proto == IPPROTO_ICMP || k->proto == IPPROTO_ICMPV6;

	if (!k->has_proto)
		put(t, " -= -= -=");
	else if (k->upper == TRMD_UPPER_PORTS)
		put(t, " sport= %u dport= %u -=", k->sport, k->dport);
	else if (k->upper == TRMD_UPPER_ICMP)
		put(t, " type= %u code= %u -=", k->type, k->code);
	else if (k->upper == TRMD_UPPER_TYPE)
		put(t, " type= %u -= -=", k->type);
	else if (k->upper == TRMD_UPPER_NONE)
		put(t, " -= -= -=");
	else if (ports)
		put(t, " sport= Unknown dport= Unknown -=");
	else if (icmp)
		put(t, " type= Unknown code= Unknown -=");
	else
		put(t, " type= Unknown -= -=");
}

static void put_addresses(struct text *t, const char *before, const struct trmd_packet *k)
{
	char src[CS_ADDR_STRLEN], dst[CS_ADDR_STRLEN], proto[16];

	put(t, " %ssipaddr= %s %sdipaddr= %s %sproto= %s", before, cs_addr_text(&k->src, src),
	    before, cs_addr_text(&k->dst, dst), before, proto_text(k, proto));
	put_tags(t, k);
}

static void put_rule(struct text *t, const struct trmd_event *e, const struct trmd_filter_facts *f)
{
	const char *name = f->name ? f->name : e->name;

	/* pagent's names of the implicit deny. */
	if (!f->name && no_rule(e))
		name = e->outbound ? "DenyAllRule_Generated___________Outbnd"
				   : "DenyAllRule_Generated___________Inbnd";
	put_name(t, "filter rule", name);
	if (f->extension)
		put(t, " ext= %u", f->extension);
	else
		put(t, " ext= N/A");
}

/*
 * All that comes in is looked at before it is routed, so its hook does not tell.  What is forwarded
 * is looked at once more there as what leaves, and behind has the interface that it came in by.
 */
static const char *destination(const struct trmd_event *e, const struct trmd_filter_facts *f)
{
	bool routed = f->routed;

	if (e->outbound)
		routed = e->hook == NF_INET_PRE_ROUTING || e->hook == NF_INET_FORWARD ||
			 (e->hook == NF_INET_POST_ROUTING && e->in);
	return routed ? "routed" : "local";
}

static void put_interface(struct text *t, const struct trmd_event *e,
			  const struct trmd_filter_facts *f)
{
	char addr[CS_ADDR_STRLEN];

	put(t, " Interface= %s (%c)",
	    f->interface.family ? cs_addr_text(&f->interface, addr) : "N/A",
	    e->outbound ? 'O' : 'I');
}

static void put_class(struct text *t, const struct trmd_filter_facts *f)
{
	put(t, " secclass= %u", f->security_class & 255);
}

static void put_end(struct text *t, const struct trmd_event *e, const struct trmd_packet *k)
{
	put_name(t, "ifcname",
		 e->outbound && e->out_name[0] ? e->out_name
		 : e->in_name[0]               ? e->in_name
					       : e->out_name);
	put(t, " fragment= %c", k->fragment ? 'Y' : 'N');
}

/* ---- messages ---- */

/* What became of the packet, by its reason and what is known about the rule's tunnel. */
struct form {
	const char *id, *text;
	enum cs_severity severity;
};

static const struct form permitted = {"EZD0814I", "Packet permitted", CS_INFO};
static const struct form denied = {"EZD0815I", "Packet denied by policy", CS_NOTICE};
static const struct form no_tunnel = {"EZD0821I", "Packet denied, no tunnel", CS_NOTICE};
static const struct form inactive = {"EZD0822I", "Packet denied, tunnel inactive", CS_NOTICE};
static const struct form mismatch = {"EZD0833I", "Packet denied, tunnel mismatch", CS_NOTICE};
static const struct form icmp_error = {"EZD0836I", "Packet permitted", CS_INFO};

static bool has_tunnel(const struct trmd_filter_facts *f)
{
	return f->tunnel && strcmp(f->tunnel, "Y0") != 0 && strcmp(f->tunnel, "0x00") != 0;
}

static const struct form *form_of(const struct trmd_event *e, const struct trmd_filter_facts *f,
				  const struct trmd_packet *k)
{
	switch (e->reason) {
	case TRMD_PERMIT:
		return no_rule(e) && k->quoted ? &icmp_error : &permitted;
	case TRMD_MISMATCH:
		return &mismatch;
	case TRMD_UNPROTECTED:
	case TRMD_HELD:
		if (!has_tunnel(f))
			return &no_tunnel;
		/* There is one, and what came in clear is not in the form that the rule asks. */
		return e->outbound ? &inactive : &mismatch;
	default:
		return &denied;
	}
}

/* Rule, VPN action and fragment are not in the original's. */
static void put_icmp_error(struct text *t, const struct trmd_event *e,
			   const struct trmd_filter_facts *f, const struct trmd_packet *k)
{
	struct trmd_packet quoted;
	char src[CS_ADDR_STRLEN], dst[CS_ADDR_STRLEN], proto[16];

	put(t, " sipaddr= %s dipaddr= %s proto= %s type= %u code= %u", cs_addr_text(&k->src, src),
	    cs_addr_text(&k->dst, dst), proto_text(k, proto), k->type, k->code);
	put_interface(t, e, f);
	put_class(t, f);
	put(t, " dest= %s len= %u", destination(e, f), k->len);
	put_name(t, "tunnelID", f->tunnel);
	put_name(t, "ifcname", e->outbound ? e->out_name : e->in_name);
	if (trmd_packet_parse(k->src.family, k->quoted, k->quoted_len, &quoted))
		put_addresses(t, "emb", &quoted);
	else
		put(t, " embsipaddr= Unknown embdipaddr= Unknown embproto= Unknown -= -= -=");
}

static void put_filter(struct text *t, const struct form *form, const struct trmd_event *e,
		       const struct trmd_filter_facts *f, const struct trmd_packet *k)
{
	put_rule(t, e, f);
	put_addresses(t, "", k);
	put_interface(t, e, f);
	if (form != &mismatch)
		put_class(t, f);
	put(t, " dest= %s len= %u", destination(e, f), k->len);
	if (form != &mismatch)
		put_name(t, "vpnaction", f->vpn_action);
	if (form != &no_tunnel)
		put_name(t, "tunnelID", f->tunnel);
	/* By which SA it came, if by any, NFLOG does not tell. */
	if (form == &mismatch)
		put(t, " decap_tunnelID= %s", e->reason == TRMD_MISMATCH ? "Unknown" : "N/A");
	put_end(t, e, k);
}

bool trmd_filter_message(const struct trmd_event *e, const struct trmd_filter_facts *facts,
			 struct trmd_filter_message *m)
{
	struct text t = {m->text, 0, sizeof(m->text)};
	const struct form *form;
	struct trmd_packet k;
	char time[TRMD_TIME_STRLEN];

	if (!trmd_packet_parse(e->family, e->p, e->len, &k))
		return false;
	form = form_of(e, facts, &k);
	m->id = form->id;
	m->severity = form->severity;
	put(&t, "%s: %s", form->text, trmd_time_text(e->time_us, time));
	if (form == &icmp_error)
		put_icmp_error(&t, e, facts, &k);
	else
		put_filter(&t, form, e, facts, &k);
	return true;
}

static void count_message(const char *what, const char *rule, bool outbound, uint64_t count,
			  int64_t now_us, struct trmd_filter_message *m)
{
	struct text t = {m->text, 0, sizeof(m->text)};
	char time[TRMD_TIME_STRLEN];

	put(&t, "Packet messages %s: %s", what, trmd_time_text(now_us, time));
	put_name(&t, "filter rule", rule);
	put(&t, " dir= %c count= %llu", outbound ? 'O' : 'I', (unsigned long long)count);
}

void trmd_suppressed_message(const char *rule, bool outbound, uint64_t count, int64_t now_us,
			     struct trmd_filter_message *m)
{
	m->id = "CSI6101I";
	m->severity = CS_INFO;
	count_message("suppressed", rule, outbound, count, now_us, m);
}

void trmd_lost_message(const char *rule, bool outbound, uint64_t count, int64_t now_us,
		       struct trmd_filter_message *m)
{
	m->id = "CSI6102W";
	m->severity = CS_WARNING;
	count_message("lost", rule, outbound, count, now_us, m);
}
