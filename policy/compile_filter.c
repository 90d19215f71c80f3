/* IpFilterRule and IpFilterPolicy. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/compile.h"

/* ---- parts of a rule ---- */

static bool in_group(const struct pol_item *item, const char *group)
{
	return item->param->group && strcmp(item->param->group, group) == 0;
}

static const struct pol_item *last_of_group(const struct pol_node *node, const char *group)
{
	for (unsigned i = node->n_items; i-- > 0;)
		if (in_group(&node->items[i], group))
			return &node->items[i];
	return NULL;
}

/* Source or destination of a rule; 0 in *n with errors. */
static struct cs_range *rule_ranges(struct pol_build *b, struct pol_node *node, const char *group,
				    const char *keyword, unsigned *n)
{
	const struct pol_item *item = last_of_group(node, group);
	const struct pol_ranges *ranges;
	struct cs_range *one;

	*n = 0;
	if (item && item->param->kind == POL_K_REF) {
		ranges = item->target ? pol_make_ranges(b, item->target) : NULL;
		if (!ranges) {
			pol_inherit(b, node, item);
			return NULL;
		}
		*n = ranges->n;
		return ranges->v;
	}
	one = pol_get(b, 1, sizeof(*one));
	if (!one || !pol_range_of(item ? item->value : pol_text_of(node, keyword), one, NULL))
		return NULL; /* told by validation */
	*n = 1;
	return one;
}

static void check_families(struct pol_build *b, struct pol_node *node,
			   const struct pol_filter_rule *rule)
{
	const struct pol_item *src = last_of_group(node, "source");
	const struct pol_item *dst = last_of_group(node, "destination");
	uint8_t from = pol_family_of(rule->src, rule->n_src);
	uint8_t to = pol_family_of(rule->dst, rule->n_dst);

	if (rule->n_src == 0 || rule->n_dst == 0)
		return;
	if (!from || !to)
		pol_wrong(b, node, from ? dst : src, NULL,
			  "the addresses are of both IP families; a rule has one");
	else if (from != to && !(src && dst))
		pol_wrong(
			b, node, src ? src : dst, NULL,
			"source and destination are of different IP families: %s is not coded and "
			"means All4",
			src ? "IpDestAddr" : "IpSourceAddr");
	else if (from != to)
		pol_wrong(b, node, dst, NULL,
			  "source and destination are of different IP families");
}

/*
 * Which interface a packet leaves by is not always known where it is decided: the kernel routes
 * what an ipsec rule's addresses have to nowhere until it has its mark, and decides about what is
 * forwarded before it is routed. A rule that permits by class may match less than is written
 * then, one that denies or protects must not.
 */
static void check_class(struct pol_build *b, struct pol_node *node, const struct pol_item *item,
			enum pol_verdict verdict, const struct pol_service *s)
{
	static const char unknown[] = "which interface a packet leaves by is not always known "
				      "when filters see it";

	if (!s->security_class || s->direction == POL_IN)
		return;
	if (verdict == POL_PERMIT) {
		if (pol_first_note(b->diags, unknown))
			pol_warn(
				b, node, item, NULL,
				"SecurityClass %u: %s, and then a rule that permits does not match "
				"(told once)",
				s->security_class, unknown);
		return;
	}
	if (s->security_class == POL_CLASS_DEFAULT)
		return; /* it matches what is not known, too */
	pol_wrong(b, node, item, NULL,
		  "SecurityClass %u in a rule that %s what leaves: %s, and it would go by another "
		  "rule; code %sSecurityClass 0",
		  s->security_class, verdict == POL_DENY ? "denies" : "protects", unknown,
		  pol_item_of(node, "IpDynVpnActionRef") ? "" : "Direction Inbound or ");
}

/* What a service allows only together with the rule around it. */
static void check_service(struct pol_build *b, struct pol_node *node, const struct pol_item *item,
			  const struct pol_filter_rule *rule, const struct pol_service *s)
{
	uint8_t family = pol_family_of(rule->src, rule->n_src);

	if (s->proto == IPPROTO_ICMP && family == AF_INET6)
		pol_wrong(b, node, item, NULL, "protocol Icmp with IPv6 addresses");
	else if (family == AF_INET && s->proto == IPPROTO_ICMPV6)
		pol_wrong(b, node, item, NULL, "protocol Icmpv6 with IPv4 addresses");
	else if (family == AF_INET && s->proto == IPPROTO_MH)
		pol_wrong(b, node, item, NULL, "protocol MIPv6 with IPv4 addresses");
	else if (family == AF_INET && s->proto == POL_PROTO_OPAQUE)
		pol_wrong(b, node, item, NULL, "protocol Opaque with IPv4 addresses");
	if (pol_item_of(node, "IpDynVpnActionRef") && s->direction != POL_BOTH)
		pol_wrong(b, node, item, NULL,
			  "a rule with IpDynVpnActionRef needs Direction Bidirectional");
}

/*
 * So many services more: of a rule that is made, or of one that the policy names, perhaps again.
 * Where the limit is passed first is told, and what is behind is left out.
 */
static bool room_for_services(struct pol_build *b, struct pol_node *node,
			      const struct pol_item *item, unsigned *so_far, unsigned n)
{
	if (*so_far > POL_SERVICES_MAX) {
		node->failed = true;
		return false;
	}
	if (n <= POL_SERVICES_MAX - *so_far) {
		*so_far += n;
		return true;
	}
	*so_far = POL_SERVICES_MAX + 1;
	pol_wrong(b, node, item, NULL, "with it the rules of the policy have more than %u services",
		  POL_SERVICES_MAX);
	return false;
}

/* generic NULL: with errors */
static void add_services(struct pol_build *b, struct pol_node *node,
			 const struct pol_generic *generic, struct pol_filter_rule *rule)
{
	static const struct pol_service all = {
		.proto = POL_PROTO_ANY, .type = {-1, -1}, .code = {-1, -1}};

	for (unsigned i = 0; i < node->n_items; i++) {
		const struct pol_item *item = &node->items[i];
		struct pol_node *target = pol_target(item);
		const struct pol_services *part;

		if (!in_group(item, "services"))
			continue;
		part = target ? pol_make_services(b, target) : NULL;
		if (!part)
			pol_inherit(b, node, item);
		else if (!room_for_services(b, node, item, &b->n_services, part->n))
			return;
		for (unsigned k = 0; part && k < part->n; k++) {
			check_service(b, node, item, rule, &part->v[k]);
			if (generic)
				check_class(b, node, item, generic->verdict, &part->v[k]);
			rule->services = pol_append(b, rule->services, &rule->n_services,
						    &part->v[k], sizeof(part->v[k]));
		}
	}
	if (!last_of_group(node, "services"))
		rule->services =
			pol_append(b, rule->services, &rule->n_services, &all, sizeof(all));
}

static void add_times(struct pol_build *b, struct pol_node *node, struct pol_filter_rule *rule)
{
	for (unsigned i = 0; i < node->n_items; i++) {
		const struct pol_item *item = &node->items[i];
		struct pol_node *target = pol_target(item);
		const struct pol_time *t;

		if (!in_group(item, "times"))
			continue;
		t = target ? pol_make_time(b, target) : NULL;
		if (t)
			rule->times = pol_append(b, rule->times, &rule->n_times, t, sizeof(*t));
		else
			pol_inherit(b, node, item);
	}
}

/* What the reference keyword names, made by fn; NULL when not coded, or with errors. */
static const void *referenced(struct pol_build *b, struct pol_node *node, const char *keyword,
			      pol_make_fn *make)
{
	const struct pol_item *item = pol_item_of(node, keyword);
	const void *made;

	if (!item)
		return NULL;
	made = item->target ? make(b, item->target) : NULL;
	if (!made)
		pol_inherit(b, node, item);
	return made;
}

/* Which actions may stand together. */
static void check_actions(struct pol_build *b, struct pol_node *node,
			  const struct pol_generic *generic)
{
	const struct pol_item *dynamic = pol_item_of(node, "IpDynVpnActionRef");
	const struct pol_item *manual = pol_item_of(node, "IpManVpnActionRef");
	const struct pol_item *start = pol_item_of(node, "IpLocalStartActionRef");

	if (dynamic && manual)
		pol_wrong(b, node, manual, NULL,
			  "it excludes IpDynVpnActionRef (line %u); only one may be coded",
			  dynamic->line);
	if (start && !dynamic)
		pol_wrong(b, node, start, NULL, "it needs IpDynVpnActionRef beside it");
	if (!generic)
		return;
	if (generic->verdict == POL_IPSEC && !dynamic && !manual)
		pol_wrong(b, node, NULL, "IpDynVpnActionRef",
			  "it is required: the rule's action is IpSec");
	if (generic->verdict != POL_IPSEC && (dynamic || manual))
		pol_wrong(b, node, dynamic ? dynamic : manual, NULL,
			  "the rule's action is not IpSec");
}

/* RemoteIdentity or RemoteIdentityRef; NULL: not coded, or with errors. */
static const struct pol_identity *remote_identity(struct pol_build *b, struct pol_node *node)
{
	const struct pol_item *item = last_of_group(node, "peer");
	struct pol_node *target = item ? pol_target(item) : NULL;
	const struct pol_identity *id;

	if (!item)
		return NULL;
	if (!pol_item_of(node, "IpDynVpnActionRef"))
		pol_wrong(b, node, item, NULL, "it needs IpDynVpnActionRef beside it");
	id = target ? pol_make_identity(b, target) : NULL;
	if (!id)
		pol_inherit(b, node, item);
	return id;
}

static void check_start(struct pol_build *b, struct pol_node *node,
			const struct pol_filter_rule *rule)
{
	const struct pol_item *item = pol_item_of(node, "IpLocalStartActionRef");
	const struct pol_start_action *s = rule->start;
	uint8_t family = pol_family_of(rule->src, rule->n_src);

	if (!s || !family)
		return;
	if ((s->local.family && s->local.family != family) ||
	    (s->remote.family && s->remote.family != family))
		pol_wrong(b, node, item, NULL,
			  "the security endpoints are of another IP family than the rule");
}

const void *pol_make_filter_rule(struct pol_build *b, struct pol_node *node)
{
	const struct pol_generic *generic;
	struct pol_filter_rule *r;

	if (node->tried)
		return node->made;
	node->tried = true;
	r = pol_get(b, 1, sizeof(*r));
	if (!r)
		return NULL;
	snprintf(r->name, sizeof(r->name), "%s", node->name ? node->name : "");
	r->src = rule_ranges(b, node, "source", "IpSourceAddr", &r->n_src);
	r->dst = rule_ranges(b, node, "destination", "IpDestAddr", &r->n_dst);
	check_families(b, node, r);
	generic = referenced(b, node, "IpGenericFilterActionRef", pol_make_generic);
	add_services(b, node, generic, r);
	add_times(b, node, r);
	r->vpn = referenced(b, node, "IpDynVpnActionRef", pol_make_dynvpn);
	r->manual = referenced(b, node, "IpManVpnActionRef", pol_make_manual);
	r->start = referenced(b, node, "IpLocalStartActionRef", pol_make_start);
	r->remote_identity = remote_identity(b, node);
	check_actions(b, node, generic);
	check_start(b, node, r);
	if (generic) {
		snprintf(r->action_name, sizeof(r->action_name), "%s",
			 pol_item_of(node, "IpGenericFilterActionRef")->target->name);
		r->verdict = generic->verdict;
		r->log = generic->log;
		r->discard_icmp = generic->discard_icmp;
	}
	if (r->vpn)
		r->on_demand = r->start && r->start->on_demand >= 0 ? r->start->on_demand
								    : b->policy->allow_on_demand;
	return pol_done(b, node, r);
}

/* ---- the policy ---- */

void pol_begin_filter_policy(struct pol_build *b)
{
	const struct pol_node *node = pol_lookup(b, "IpFilterPolicy", "");
	struct pol_policy *p = b->policy;

	if (!node)
		return;
	p->predecap = pol_yes_of(node, "PreDecap");
	p->filter_logging = p->log_implicit = pol_yes_of(node, "FilterLogging");
	p->allow_on_demand = pol_yes_of(node, "AllowOnDemand");
	p->implicit_discard_icmp = pol_choice_of(node, "ImplicitDiscardAction") == 1;
	p->fips140 = pol_yes_of(node, "FIPS140");
}

static void add_rule(struct pol_build *b, struct pol_node *node, const struct pol_node *group,
		     struct pol_node *holder, const struct pol_item *item)
{
	const struct pol_filter_rule *made = pol_make_filter_rule(b, node);
	struct pol_policy *p = b->policy;
	struct pol_filter_rule r;

	if (!made || !room_for_services(b, holder, item, &b->n_placed, made->n_services))
		return;
	r = *made;
	pol_set_group(r.group_name, group);
	if (r.verdict == POL_IPSEC && ++b->n_ipsec == POL_IPSEC_RULES_MAX + 1)
		pol_wrong(b, node, NULL, NULL, "the policy has more than %u ipsec rules",
			  POL_IPSEC_RULES_MAX);
	if (r.manual)
		pol_use_manual(b, node, pol_item_of(node, "IpManVpnActionRef"), &r);
	p->rules = pol_append(b, p->rules, &p->n_rules, &r, sizeof(r));
}

static int by_name(const void *a, const void *b)
{
	const struct pol_filter_rule *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* Names select rules in commands and displays, so one that stands twice deserves a word. */
static void warn_doubles(struct pol_build *b, const struct pol_node *node)
{
	const struct pol_policy *p = b->policy;
	const struct pol_filter_rule **sorted =
		pol_get(b, p->n_rules, sizeof(struct pol_filter_rule *));

	if (!sorted)
		return;
	for (unsigned i = 0; i < p->n_rules; i++)
		sorted[i] = &p->rules[i];
	if (p->n_rules)
		qsort(sorted, p->n_rules, sizeof(struct pol_filter_rule *), by_name);
	for (unsigned i = 1; i < p->n_rules; i++)
		if (by_name(&sorted[i - 1], &sorted[i]) == 0 &&
		    (i == 1 || by_name(&sorted[i - 2], &sorted[i]) != 0))
			pol_warn(b, node, NULL, NULL, "more than one rule has the name %s",
				 sorted[i]->name);
}

/*
 * A stack with AT-TLS policy may have no IPSec policy: then no file of the one kind is named, and
 * there is no statement of it.
 */
static bool needs_ipsec(const struct pol_tree *tree)
{
	bool ttls = false, ipsec = tree->names_ipsec;

	for (unsigned i = 0; i < tree->n_nodes; i++) {
		enum pol_place place = tree->nodes[i]->statement->place;

		ttls = ttls || place == POL_IN_TTLS;
		ipsec = ipsec || place == POL_IN_POLICY;
	}
	return ipsec || !ttls;
}

void pol_make_filter_policy(struct pol_build *b)
{
	struct pol_node *node = pol_lookup(b, "IpFilterPolicy", "");
	struct pol_place_in end = {.file = "", .line = 1, .mark = POL_MARK_NOTHING};

	if (node) {
		b->policy->ipsec = true;
		pol_each_rule(b, node, add_rule);
		warn_doubles(b, node);
		return;
	}
	if (b->tree->n_nodes == 0 && b->diags->n_errors)
		return; /* a file could not be read */
	if (!needs_ipsec(b->tree))
		return;
	if (b->tree->n_files)
		end.file = b->tree->files[b->tree->n_files - 1];
	pol_find(b->diags, POL_ERROR, end, NULL, "IpFilterPolicy",
		 "it is required, and no file has it");
}

void pol_check_identities(struct pol_build *b)
{
	const struct pol_node *node = pol_lookup(b, "IpFilterPolicy", "");
	const struct pol_policy *p = b->policy;

	for (unsigned i = 0; i < p->n_ke_rules; i++)
		if (p->ke_rules[i].action && p->ke_rules[i].action->filter_by_identity)
			return;
	for (unsigned i = 0; node && i < p->n_rules; i++)
		if (p->rules[i].remote_identity)
			pol_warn(b, node, NULL, NULL,
				 "rule %s has a RemoteIdentity, and no KeyExchangeAction of the "
				 "policy has FilterByIdentity Yes: no peer can have a tunnel of it",
				 p->rules[i].name);
}
