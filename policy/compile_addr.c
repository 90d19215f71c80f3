/* IpAddr, IpAddrSet, IpAddrGroup, IpService and IpServiceGroup. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "policy/compile.h"

/* ---- addresses ---- */

bool pol_range_of(const char *value, struct cs_range *range, struct cs_err *err)
{
	struct pol_word word = pol_word_next(&value);
	char text[CS_RANGE_STRLEN];

	if (pol_word_is(word, "All6") || pol_word_is(word, "Any6")) {
		*range = cs_range_all(AF_INET6);
		return true;
	}
	if (pol_word_is(word, "All") || pol_word_is(word, "All4") || pol_word_is(word, "Any") ||
	    pol_word_is(word, "Any4")) {
		*range = cs_range_all(AF_INET);
		return true;
	}
	if (!pol_word_copy(word, text, sizeof(text))) {
		cs_fail(err, CS_EPARSE, "the address is too long");
		return false;
	}
	return cs_range_parse(text, range, err) == 0;
}

bool pol_is_embedded(const struct cs_range *range)
{
	static const uint8_t compatible[12], mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (range->lo.family != AF_INET6)
		return false;
	return memcmp(range->lo.b, mapped, 12) == 0 || memcmp(range->hi.b, mapped, 12) == 0 ||
	       (memcmp(range->lo.b, compatible, 12) == 0 &&
		memcmp(range->hi.b, compatible, 12) == 0);
}

uint8_t pol_family_of(const struct cs_range *ranges, unsigned n)
{
	for (unsigned i = 1; i < n; i++)
		if (ranges[i].lo.family != ranges[0].lo.family)
			return 0;
	return n ? ranges[0].lo.family : 0;
}

static void add_ranges(struct pol_build *b, struct pol_ranges *to, const struct cs_range *v,
		       unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		to->v = pol_append(b, to->v, &to->n, &v[i], sizeof(v[i]));
}

static void add_value(struct pol_build *b, struct pol_node *node, const struct pol_item *item,
		      struct pol_ranges *to)
{
	const char *keyword = item->param->keyword, *value = item->value;
	struct pol_word word = pol_word_next(&value);
	struct cs_range range;
	struct cs_err err;

	if (!pol_range_of(item->value, &range, &err))
		return; /* told by validation */
	if (strcmp(keyword, "Prefix") == 0 && !memchr(word.p, '/', word.len))
		pol_misvalue(b, node, item, word, "the value is not address/length");
	else if (strcmp(keyword, "Range") == 0 && !memchr(word.p, '-', word.len))
		pol_misvalue(b, node, item, word, "the value is not address-address");
	else
		add_ranges(b, to, &range, 1);
}

const void *pol_make_ranges(struct pol_build *b, struct pol_node *node)
{
	struct pol_ranges *ranges;

	if (node->tried)
		return node->made;
	node->tried = true;
	ranges = pol_get(b, 1, sizeof(*ranges));
	if (!ranges)
		return NULL;
	for (unsigned i = 0; i < node->n_items; i++) {
		const struct pol_item *item = &node->items[i];
		struct pol_node *target = pol_target(item);
		const struct pol_ranges *part;

		if (item->value && item->param->kind != POL_K_REF) {
			if (item == pol_item_of(node, item->param->keyword))
				add_value(b, node, item, ranges);
			continue;
		}
		part = target ? pol_make_ranges(b, target) : NULL;
		if (part)
			add_ranges(b, ranges, part->v, part->n);
		else
			pol_inherit(b, node, item);
	}
	return pol_done(b, node, ranges);
}

/* ---- services ---- */

static const int protocols[] = {/* by position in the row's words */
				POL_PROTO_ANY,
				IPPROTO_TCP,
				IPPROTO_UDP,
				IPPROTO_ICMP,
				IPPROTO_ICMPV6,
				89,
				135,
				IPPROTO_IPIP,
				94,
				IPPROTO_AH,
				IPPROTO_ESP,
				IPPROTO_IGMP,
				POL_PROTO_OPAQUE};

int pol_protocol_of(const struct pol_node *node)
{
	int choice = pol_choice_of(node, "Protocol");
	unsigned long n;

	if (choice >= 0)
		return protocols[choice];
	return pol_number_of(node, "Protocol", &n) ? (int)n : POL_PROTO_ANY;
}

bool pol_has_ports(int proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP;
}

bool pol_has_code(int proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

bool pol_has_type(int proto)
{
	return pol_has_code(proto) || proto == 89 || proto == 135;
}

/* True when the range says something: not absent, not all. */
static bool ports_of(const struct pol_node *node, const char *keyword, uint16_t range[2])
{
	unsigned long lo, hi;

	if (!pol_numbers_of(node, keyword, &lo, &hi))
		return false;
	range[0] = (uint16_t)lo;
	range[1] = (uint16_t)hi;
	return !(lo == 0 && (hi == 0 || hi == 65535));
}

static bool icmp_of(const struct pol_node *node, const char *keyword, int range[2])
{
	unsigned long lo, hi;

	range[0] = range[1] = -1;
	if (!pol_numbers_of(node, keyword, &lo, &hi))
		return false;
	range[0] = (int)lo;
	range[1] = (int)hi;
	return true;
}

static void check_service(struct pol_build *b, struct pol_node *node, const struct pol_service *s,
			  const bool coded[4])
{
	static const char *const selectors[] = {"SourcePortRange", "DestinationPortRange", "Type",
						"Code"};
	const bool fits[] = {pol_has_ports(s->proto), pol_has_ports(s->proto),
			     pol_has_type(s->proto), pol_has_code(s->proto)};
	static const char *const owners[] = {"Tcp and Udp", "Tcp and Udp",
					     "Icmp, Icmpv6, Ospf and MIPv6", "Icmp and Icmpv6"};

	for (int i = 0; i < 4; i++) {
		const struct pol_item *item = pol_item_of(node, selectors[i]);

		if (!coded[i])
			continue;
		if (!fits[i])
			pol_wrong(b, node, item, NULL, "it applies to protocols %s alone",
				  owners[i]);
		else if (s->routing != POL_LOCAL)
			pol_wrong(b, node, item, NULL,
				  "it must not be coded for routed traffic, whose fragments do not "
				  "have it (RFC 4301)");
	}
	if (coded[3] && fits[3] && s->type[0] != s->type[1])
		pol_wrong(b, node, pol_item_of(node, "Code"), NULL,
			  "a code needs a single Type beside it");
	else if (coded[3] && fits[3] && pol_choice_of(node, "Type") >= 0) /* Any */
		pol_wrong(b, node, pol_item_of(node, "Code"), NULL, "a code needs a Type");
	if (s->connect != POL_CONNECT_ANY && s->proto != IPPROTO_TCP)
		pol_wrong(b, node, pol_item_of(node, "Direction"), NULL,
			  "InboundConnect and OutboundConnect apply to protocol Tcp alone");
}

static void check_direction_words(struct pol_build *b, struct pol_node *node)
{
	const struct pol_item *item = pol_item_of(node, "Direction");
	const char *text = item ? item->value : "";
	struct pol_word first = pol_word_next(&text), second = pol_word_next(&text);

	if ((pol_word_is(first, "Inbound") || pol_word_is(first, "Outbound")) &&
	    (pol_word_is(second, "InboundConnect") || pol_word_is(second, "OutboundConnect")))
		pol_wrong(b, node, item, NULL,
			  "InboundConnect and OutboundConnect need Bidirectional");
}

static bool make_service(struct pol_build *b, struct pol_node *node, struct pol_service *s)
{
	static const enum pol_connect connects[] = {
		POL_CONNECT_ANY, POL_CONNECT_IN, POL_CONNECT_OUT, POL_CONNECT_ANY, POL_CONNECT_ANY};
	int direction = pol_choice_of(node, "Direction"), routing = pol_choice_of(node, "Routing");
	unsigned long n;
	bool coded[4];

	if (node->name)
		snprintf(s->name, sizeof(s->name), "%s", node->name);
	s->proto = pol_protocol_of(node);
	coded[0] = ports_of(node, "SourcePortRange", s->src_port);
	coded[1] = ports_of(node, "DestinationPortRange", s->dst_port);
	coded[2] = icmp_of(node, "Type", s->type);
	coded[3] = icmp_of(node, "Code", s->code);
	if (direction >= 0) {
		s->direction = direction == 3 ? POL_IN : direction == 4 ? POL_OUT : POL_BOTH;
		s->connect = connects[direction];
	}
	if (routing >= 0)
		s->routing = (enum pol_routing)routing;
	if (pol_number_of(node, "SecurityClass", &n))
		s->security_class = (uint8_t)n;
	s->fragments_only = pol_yes_of(node, "FragmentsOnly");
	check_service(b, node, s, coded);
	check_direction_words(b, node);
	return !node->failed;
}

const void *pol_make_services(struct pol_build *b, struct pol_node *node)
{
	bool group = strcmp(node->statement->keyword, "IpServiceGroup") == 0;
	struct pol_service one = {0};
	struct pol_services *services;

	if (node->tried)
		return node->made;
	node->tried = true;
	services = pol_get(b, 1, sizeof(*services));
	if (!services)
		return NULL;
	if (!group && make_service(b, node, &one))
		services->v = pol_append(b, services->v, &services->n, &one, sizeof(*services->v));
	for (unsigned i = 0; group && i < node->n_items; i++) {
		const struct pol_item *item = &node->items[i];
		struct pol_node *target = pol_target(item);
		const struct pol_services *part = target ? pol_make_services(b, target) : NULL;

		for (unsigned k = 0; part && k < part->n; k++)
			services->v = pol_append(b, services->v, &services->n, &part->v[k],
						 sizeof(*services->v));
		if (!part)
			pol_inherit(b, node, item);
	}
	return pol_done(b, node, services);
}
