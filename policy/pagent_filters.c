/*
 * The filters of the policy in force as `ipsec -f display` shows them: every rule split into
 * one-way filters with one source, one destination and one service; IPv4 first, then IPv6, each
 * with its implicit deny at the end.  Before an anchor stand the dynamic filters of its tunnels,
 * read from the kernel.
 */
#include "policy/pagent_filters.h"

#include <stdlib.h>
#include <time.h>

#include "policy/pagent.h"

static const uint8_t families[] = {AF_INET, AF_INET6};

/* An answer under way. The position counts through families, rules and what they are split into. */
struct walk {
	struct pol_policy *policy;
	int64_t installed;
	time_t now;
	uint64_t *packets;   /* by first[rule] + 2 * service + outbound */
	unsigned *first;     /* n_rules + 1: the last is the implicit deny */
	unsigned *extension; /* given so far, by rule: the second family goes on counting */
	unsigned family, rule, split;
	struct xf_policy *tunnels; /* in the kernel, ordered by rule */
	size_t n_tunnels, tunnel;  /* tunnel: the next that may stand before the split */
	bool *shown;               /* by 2 * tunnel + outbound */
};

/* ---- the walk ---- */

/*
 * Splits number n of a rule: services, then sources, then destinations, then directions. False past
 * the last; *fits is false for what is no filter (another family, or the other direction).
 */
static bool split_rule(const struct pol_filter_rule *r, unsigned n, uint8_t family,
		       struct pagent_filter *f, unsigned *service, bool *fits)
{
	unsigned dst, src;

	f->outbound = n % 2 == 0;
	n /= 2;
	if (r->n_src == 0 || r->n_dst == 0 || n / r->n_dst / r->n_src >= r->n_services)
		return false;
	dst = n % r->n_dst;
	src = n / r->n_dst % r->n_src;
	*service = n / r->n_dst / r->n_src;
	f->rule = r;
	f->service = &r->services[*service];
	f->src = &r->src[src];
	f->dst = &r->dst[dst];
	*fits = f->src->lo.family == family && f->dst->lo.family == family &&
		f->service->direction != (f->outbound ? POL_IN : POL_OUT);
	return true;
}

/* ---- dynamic filters ---- */

static bool ranges_meet(const struct cs_range *a, const struct cs_range *b)
{
	return a->lo.family == b->lo.family && cs_addr_compare(&a->lo, &b->hi) <= 0 &&
	       cs_addr_compare(&b->lo, &a->hi) <= 0;
}

static bool port_meets(uint16_t port, const uint16_t ports[2])
{
	return port == 0 || pol_ports_any(ports) || (port >= ports[0] && port <= ports[1]);
}

/* Does the tunnel carry some of what the anchor stands for? Ipsec rules go both ways. */
static bool meets(const struct xf_policy *tunnel, const struct pagent_filter *anchor)
{
	const struct cs_selector *t = &tunnel->selector;
	const struct pol_service *s = anchor->service;

	return ranges_meet(&t->local, anchor->src) && ranges_meet(&t->remote, anchor->dst) &&
	       (t->proto == 0 || s->proto == POL_PROTO_ANY || s->proto == t->proto) &&
	       port_meets(t->local_port, s->src_port) && port_meets(t->remote_port, s->dst_port);
}

static json_t *dynamic_entry(const struct pagent_filter *anchor, const struct xf_policy *tunnel)
{
	const struct cs_selector *t = &tunnel->selector;
	struct pol_service service = *anchor->service;
	struct pagent_filter f = *anchor;

	service.proto = t->proto ? t->proto : POL_PROTO_ANY;
	service.src_port[0] = service.src_port[1] = t->local_port;
	service.dst_port[0] = service.dst_port[1] = t->remote_port;
	/* IKEv1 negotiates neither of these. */
	service.type[0] = service.code[0] = -1;
	service.connect = POL_CONNECT_ANY;
	f.service = &service;
	f.src = &t->local;
	f.dst = &t->remote;
	f.tunnel = tunnel;
	f.created = tunnel->added;
	return pagent_filter_json(&f);
}

static size_t first_of_rule(const struct walk *w, unsigned id)
{
	size_t low = 0, high = w->n_tunnels;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (xf_reqid_rule(w->tunnels[mid].reqid) < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/*
 * The next tunnel that stands before this anchor: a packet of the rule finds its tunnel by the
 * tunnel's own selector, so it belongs to the first anchor that it meets, and to no other.
 */
static json_t *next_dynamic(struct walk *w, const struct pagent_filter *anchor)
{
	if (!pagent_filter_is_anchor(anchor))
		return NULL;
	if (w->tunnel == 0)
		w->tunnel = first_of_rule(w, anchor->rule->id);
	for (; w->tunnel < w->n_tunnels; w->tunnel++) {
		const struct xf_policy *t = &w->tunnels[w->tunnel];
		bool *shown = &w->shown[2 * w->tunnel + anchor->outbound];

		if (xf_reqid_rule(t->reqid) != anchor->rule->id)
			break;
		if (!*shown && meets(t, anchor)) {
			*shown = true;
			return dynamic_entry(anchor, t);
		}
	}
	return NULL;
}

static json_t *rule_entry(struct walk *w, const struct pol_filter_rule *r)
{
	uint8_t family = families[w->family];
	struct pagent_filter f = {.created = w->installed};
	unsigned service;
	bool fits;
	json_t *o;

	while (split_rule(r, w->split, family, &f, &service, &fits)) {
		f.extension = w->extension[w->rule] + 1;
		f.packets = w->packets[w->first[w->rule] + 2 * service + f.outbound];
		o = fits ? next_dynamic(w, &f) : NULL;
		if (o)
			return o;
		w->split++;
		w->tunnel = 0;
		if (!fits)
			continue;
		w->extension[w->rule]++;
		return pagent_filter_json(&f);
	}
	return NULL;
}

/* The pair at the end of a family. */
static json_t *deny_entry(struct walk *w)
{
	struct cs_range all = cs_range_all(families[w->family]);
	struct pol_service any = {
		.proto = POL_PROTO_ANY, .type = {-1, -1}, .code = {-1, -1}, .routing = POL_EITHER};
	struct pol_filter_rule rule = {
		.verdict = POL_DENY,
		.log = w->policy->filter_logging ? POL_LOG_YES : POL_LOG_NO,
		.discard_icmp = w->policy->implicit_discard_icmp,
	};
	struct pagent_filter f = {.rule = &rule,
				  .service = &any,
				  .src = &all,
				  .dst = &all,
				  .extension = 1,
				  .created = w->installed,
				  .outbound = w->split == 1};
	json_t *o;

	if (w->split > 1)
		return NULL;
	w->split++;
	f.packets = w->packets[w->first[w->rule] + f.outbound];
	o = pagent_filter_json(&f);
	json_object_set_new(o, "FilterName",
			    json_string(f.outbound ? "DenyAllRule_Generated___________Outbnd"
						   : "DenyAllRule_Generated___________Inbnd"));
	return o;
}

static json_t *heading(const struct pol_policy *policy)
{
	return json_pack("{s:s, s:b, s:b, s:b, s:b, s:I, s:s}", "Source",
			 policy ? "Stack Policy" : "Stack Profile", "Logging",
			 policy && policy->filter_logging, "Predecap", policy && policy->predecap,
			 "DVIPSec", 0, "FIPS140", policy && policy->fips140, "NatKeepAlive",
			 (json_int_t)(policy ? policy->nat_keepalive : 0), "DefensiveMode",
			 "Inactive");
}

static int next(void *state, json_t **json, struct cs_err *err)
{
	struct walk *w = state;
	const struct pol_policy *p = w->policy;

	(void)err;
	while (w->family < sizeof(families)) {
		if (w->rule > p->n_rules) {
			w->family++;
			w->rule = w->split = 0;
			continue;
		}
		*json = NULL;
		if (w->rule == p->n_rules)
			*json = deny_entry(w);
		else if (pol_time_active(p->rules[w->rule].times, p->rules[w->rule].n_times,
					 w->now))
			*json = rule_entry(w, &p->rules[w->rule]);
		if (*json)
			return 1;
		w->rule++;
		w->split = 0;
	}
	*json = heading(p);
	return 0;
}

static void release(void *state)
{
	struct walk *w = state;

	pol_unref(w->policy);
	free(w->packets);
	free(w->first);
	free(w->extension);
	free(w->tunnels);
	free(w->shown);
	free(w);
}

/* ---- what is in the kernel ---- */

static void on_count(void *arg, const struct xf_filter_count *c)
{
	struct walk *w = arg;
	unsigned services = 1;

	if (c->rule < w->policy->n_rules)
		services = w->policy->rules[c->rule].n_services;
	if (c->rule <= w->policy->n_rules && c->service < services)
		w->packets[w->first[c->rule] + 2 * c->service + c->outbound] += c->packets;
}

static struct walk *walk_new(struct pagent *p)
{
	const struct pol_policy *policy = p->policy;
	struct walk *w = calloc(1, sizeof(*w));
	unsigned n = 0;

	if (!w)
		return NULL;
	w->policy = pol_ref(p->policy);
	w->installed = p->installed;
	w->now = time(NULL);
	w->first = calloc(policy->n_rules + 1u, sizeof(*w->first));
	w->extension = calloc(policy->n_rules + 1u, sizeof(*w->extension));
	for (unsigned i = 0; w->first && i < policy->n_rules; i++) {
		w->first[i] = n;
		n += 2 * policy->rules[i].n_services;
	}
	if (w->first)
		w->first[policy->n_rules] = n;
	w->packets = calloc(n + 2u, sizeof(*w->packets));
	if (w->first && w->extension && w->packets)
		return w;
	release(w);
	return NULL;
}

static int read_kernel(struct pagent *p, struct walk *w, struct cs_err *err)
{
	int rc = xf_filter_counts(p->kernel, on_count, w, err);

	/* Without XFRM nothing has put a tunnel there. */
	if (rc < 0 || !p->abilities.xfrm)
		return rc;
	rc = xf_tunnel_policies(p->kernel, &w->tunnels, &w->n_tunnels, err);
	if (rc < 0)
		return rc;
	w->shown = calloc(2 * w->n_tunnels + 1, sizeof(*w->shown));
	return w->shown ? 0 : cs_fail(err, CS_ENOMEM, "no memory for the filters");
}

void pagent_filters(struct pagent *p, uint64_t ticket, const json_t *request)
{
	struct cs_err err;
	struct walk *w;

	(void)request;
	if (!p->policy) {
		cs_nmi_done(p->nmi, ticket, heading(NULL));
		return;
	}
	w = walk_new(p);
	if (!w) {
		cs_nmi_error(p->nmi, ticket, CS_ENOMEM, "no memory for the filters");
		return;
	}
	if (read_kernel(p, w, &err) < 0) {
		release(w);
		cs_nmi_error(p->nmi, ticket, err.code, err.text);
		return;
	}
	cs_nmi_stream(p->nmi, ticket, next, release, w);
}
