/* LocalDynVpnRule and LocalDynVpnPolicy. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/compile.h"

/* LocalIp or RemoteIp; the item that says it, NULL when there is none. */
static const struct pol_item *make_side(struct pol_build *b, struct pol_node *node,
					const char *const keywords[3], struct cs_range *range)
{
	const struct pol_item *item = NULL;
	const struct pol_ranges *ranges;

	for (int i = 0; !item && i < 3; i++)
		item = pol_item_of(node, keywords[i]);
	if (!item)
		return NULL; /* told by validation */
	if (item->param->kind == POL_K_REF) {
		ranges = item->target ? pol_make_ranges(b, item->target) : NULL;
		if (ranges)
			*range = ranges->v[0];
		else
			pol_inherit(b, node, item);
	} else {
		pol_range_of(item->value, range, NULL);
	}
	return item;
}

static void check_selectors(struct pol_build *b, struct pol_node *node, int proto)
{
	static const char *const ports[] = {"LocalDataPort", "RemoteDataPort"};
	unsigned long n;

	for (int i = 0; i < 2; i++)
		if (pol_number_of(node, ports[i], &n) && n != 0 && !pol_has_ports(proto))
			pol_wrong(b, node, pol_item_of(node, ports[i]), NULL,
				  "it applies to protocols Tcp and Udp alone");
	if (pol_number_of(node, "Type", &n) && !pol_has_type(proto))
		pol_wrong(b, node, pol_item_of(node, "Type"), NULL,
			  "it applies to protocols Icmp, Icmpv6, Ospf and MIPv6 alone");
	if (!pol_number_of(node, "Code", &n))
		return;
	if (!pol_has_code(proto))
		pol_wrong(b, node, pol_item_of(node, "Code"), NULL,
			  "it applies to protocols Icmp and Icmpv6 alone");
	else if (!pol_number_of(node, "Type", &n))
		pol_wrong(b, node, pol_item_of(node, "Code"), NULL, "a code needs a Type");
}

static void check_family(struct pol_build *b, struct pol_node *node, int proto, uint8_t family)
{
	const struct pol_item *item = pol_item_of(node, "Protocol");

	if (proto == IPPROTO_ICMP && family == AF_INET6)
		pol_wrong(b, node, item, NULL, "protocol Icmp with IPv6 addresses");
	else if (proto == IPPROTO_ICMPV6 && family == AF_INET)
		pol_wrong(b, node, item, NULL, "protocol Icmpv6 with IPv4 addresses");
	else if (proto == IPPROTO_MH && family == AF_INET)
		pol_wrong(b, node, item, NULL, "protocol MIPv6 with IPv4 addresses");
}

const void *pol_make_local_rule(struct pol_build *b, struct pol_node *node)
{
	static const char *const local[] = {"LocalIp", "LocalIpRef", "LocalIpSetRef"};
	static const char *const remote[] = {"RemoteIp", "RemoteIpRef", "RemoteIpSetRef"};
	int proto = pol_protocol_of(node);
	const struct pol_item *far;
	struct pol_local_dynvpn *r;
	unsigned long n;

	if (node->tried)
		return node->made;
	node->tried = true;
	r = pol_get(b, 1, sizeof(*r));
	if (!r)
		return NULL;
	snprintf(r->name, sizeof(r->name), "%s", node->name ? node->name : "");
	make_side(b, node, local, &r->selector.local);
	far = make_side(b, node, remote, &r->selector.remote);
	if (r->selector.local.lo.family && r->selector.remote.lo.family &&
	    r->selector.local.lo.family != r->selector.remote.lo.family)
		pol_wrong(b, node, far, NULL,
			  "local and remote address are of different IP families");
	r->selector.proto = proto > 0 ? (uint8_t)proto : 0;
	if (pol_number_of(node, "LocalDataPort", &n))
		r->selector.local_port = (uint16_t)n;
	if (pol_number_of(node, "RemoteDataPort", &n))
		r->selector.remote_port = (uint16_t)n;
	r->type = pol_number_of(node, "Type", &n) ? (int)n : -1;
	r->code = pol_number_of(node, "Code", &n) ? (int)n : -1;
	check_selectors(b, node, proto);
	check_family(b, node, proto, r->selector.local.lo.family);
	r->auto_activate = pol_yes_of(node, "AutoActivate");
	return pol_done(b, node, r);
}

static void add_local_rule(struct pol_build *b, struct pol_node *node, const struct pol_node *group,
			   struct pol_node *holder, const struct pol_item *item)
{
	const struct pol_local_dynvpn *made = pol_make_local_rule(b, node);
	struct pol_use use = {.holder = holder, .item = item};
	struct pol_policy *p = b->policy;
	unsigned n_uses = p->n_local_rules;
	struct pol_local_dynvpn r;

	if (!made)
		return;
	r = *made;
	pol_set_group(r.group_name, group);
	b->local_uses = pol_append(b, b->local_uses, &n_uses, &use, sizeof(use));
	if (b->diags->no_memory)
		return;
	p->local_rules = pol_append(b, p->local_rules, &p->n_local_rules, &r, sizeof(r));
}

/* By name, and then as they stand in the policy. */
static int by_name(const void *a, const void *b)
{
	const struct pol_local_dynvpn *const *x = a, *const *y = b;
	int order = strcmp((*x)->name, (*y)->name);

	return order ? order : *x < *y ? -1 : *x > *y;
}

static void check_doubles(struct pol_build *b)
{
	const struct pol_policy *p = b->policy;
	const struct pol_local_dynvpn **sorted =
		pol_get(b, p->n_local_rules, sizeof(struct pol_local_dynvpn *));

	if (!sorted || b->diags->no_memory)
		return;
	for (unsigned i = 0; i < p->n_local_rules; i++)
		sorted[i] = &p->local_rules[i];
	if (p->n_local_rules)
		qsort(sorted, p->n_local_rules, sizeof(struct pol_local_dynvpn *), by_name);
	for (unsigned i = 1; i < p->n_local_rules; i++) {
		const struct pol_use *use = &b->local_uses[sorted[i] - p->local_rules];

		if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
			pol_wrong(b, use->holder, use->item, NULL, "the policy has rule %s already",
				  sorted[i]->name);
	}
}

void pol_make_local_policy(struct pol_build *b)
{
	struct pol_node *node = pol_lookup(b, "LocalDynVpnPolicy", "");

	if (!node)
		return;
	pol_each_rule(b, node, add_local_rule);
	check_doubles(b);
}
