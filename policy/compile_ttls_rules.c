/* The rules of AT-TLS, in order, with what their actions come to: the image of the policy. */
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/compile_ttls.h"

/* ---- things that several rules share are written once ---- */

struct shared {
	const void *what[3];
	struct pol_ttls_list list;
};

static int by_what(const void *a, const void *b)
{
	return memcmp(((const struct shared *)a)->what, ((const struct shared *)b)->what,
		      sizeof(((const struct shared *)a)->what));
}

/* What is there of these, or NULL. */
static const struct shared *find_shared(void *const *tree, const struct shared *shared)
{
	const struct shared *const *found = tfind(shared, tree, by_what);

	return found ? *found : NULL;
}

static void keep_shared(struct pol_build *b, void **tree, const struct shared *shared)
{
	struct shared *kept = pol_get(b, 1, sizeof(*kept));

	if (!kept)
		return;
	*kept = *shared;
	if (!tsearch(kept, tree, by_what))
		b->diags->no_memory = true;
}

static void not_ours(void *shared)
{
	(void)shared; /* the pool's */
}

struct ttls_build {
	struct pol_build *b;
	struct pol_blob blob;
	void *lists, *actions; /* trees of struct shared */
	struct pol_ttls_profile defaults, *profiles;
	struct pol_ttls_rule *rules;
	unsigned n_profiles, n_rules;
};

/* ---- addresses ---- */

/* 0.0.0.0 and :: stand for all addresses of their family; no connection has them. */
static struct pol_ttls_range range_of(const struct cs_range *r)
{
	const struct cs_range all = cs_range_all(r->lo.family);
	struct pol_ttls_range out = {.family = 6};

	if (cs_range_is_single(r) && cs_addr_is_any(&r->lo))
		r = &all;
	pol_ttls_halves(&r->lo, out.lo);
	pol_ttls_halves(&r->hi, out.hi);
	if (pol_ttls_is_mapped(out.lo) && pol_ttls_is_mapped(out.hi))
		out.family = 4;
	return out;
}

static struct pol_ttls_list put_ranges(struct ttls_build *t, const struct cs_range *v, unsigned n)
{
	struct pol_ttls_range *out = NULL;
	unsigned count = 0;

	for (unsigned i = 0; i < n; i++) {
		struct pol_ttls_range one = range_of(&v[i]);

		out = pol_append(t->b, out, &count, &one, sizeof(one));
	}
	return pol_blob_list(&t->blob, out, count, sizeof(*out), POL_TTLS_ALIGN);
}

/* prefix: "LocalAddr" or "RemoteAddr". */
static struct pol_ttls_list put_addresses(struct ttls_build *t, const struct pol_node *rule,
					  const char *prefix)
{
	const struct pol_item *coded = pol_item_of(rule, prefix);
	struct shared shared = {.list = {0, 0}};
	const struct pol_node *node = NULL;
	const struct pol_ranges *ranges;
	const struct shared *before;
	struct cs_range range;
	const char *text;

	if (coded) {
		text = coded->value;
		if (pol_word_is(pol_word_next(&text), "All") ||
		    !pol_range_of(coded->value, &range, NULL))
			return shared.list;
		return put_ranges(t, &range, 1);
	}
	for (unsigned i = 0; i < rule->n_items; i++)
		if (strncmp(rule->items[i].param->keyword, prefix, strlen(prefix)) == 0)
			node = pol_target(&rule->items[i]);
	if (!node || !node->made)
		return shared.list;
	shared.what[0] = node;
	before = find_shared(&t->lists, &shared);
	if (before)
		return before->list;
	ranges = node->made;
	shared.list = put_ranges(t, ranges->v, ranges->n);
	keep_shared(t->b, &t->lists, &shared);
	return shared.list;
}

/* ---- ports ---- */

static void add_ports(struct ttls_build *t, const struct pol_node *node, const char *keyword,
		      struct pol_ttls_ports **v, unsigned *n)
{
	unsigned long lo, hi;
	struct pol_ttls_ports ports;

	if (!pol_numbers_of(node, keyword, &lo, &hi))
		return;
	ports = (struct pol_ttls_ports){(uint16_t)lo, (uint16_t)hi};
	if (lo == 0 && hi == 0) /* any port */
		ports.hi = 65535;
	*v = pol_append(t->b, *v, n, &ports, sizeof(ports));
}

/* prefix: "LocalPort" or "RemotePort". */
static struct pol_ttls_list put_ports(struct ttls_build *t, const struct pol_node *rule,
				      const char *range, const char *range_ref,
				      const char *group_ref)
{
	const struct pol_item *named = pol_item_of(rule, range_ref);
	const struct pol_item *group = pol_item_of(rule, group_ref);
	const struct pol_node *node = group ? pol_target(group) : NULL;
	bool alone = node && !named && !pol_item_of(rule, range);
	struct shared shared = {.what = {node}};
	const struct shared *before = alone ? find_shared(&t->lists, &shared) : NULL;
	struct pol_ttls_ports *v = NULL;
	unsigned n = 0;

	if (before)
		return before->list;
	if (pol_item_of(rule, range))
		add_ports(t, rule, range, &v, &n);
	else if (named && pol_target(named))
		add_ports(t, pol_target(named), "Port", &v, &n);
	for (unsigned i = 0; node && i < node->n_items; i++)
		if (pol_target(&node->items[i]))
			add_ports(t, pol_target(&node->items[i]), "Port", &v, &n);
	for (unsigned i = 0; i < n; i++)
		if (v[i].lo == 0 && v[i].hi == 65535)
			n = 0;
	shared.list = pol_blob_list(&t->blob, v, n, sizeof(*v), sizeof(uint16_t));
	if (alone)
		keep_shared(t->b, &t->lists, &shared);
	return shared.list;
}

/* ---- times ---- */

static struct pol_ttls_list put_times(struct ttls_build *t, const struct pol_node *rule)
{
	struct pol_ttls_time *v = NULL;
	unsigned n = 0;

	for (unsigned i = 0; i < rule->n_items; i++) {
		const struct pol_node *node = pol_target(&rule->items[i]);
		struct pol_ttls_time one = {.unused = 0};
		const struct pol_time *time;

		if (!node || !node->made ||
		    strcmp(node->statement->keyword, "IpTimeCondition") != 0)
			continue;
		time = node->made;
		one.from = time->from;
		one.to = time->to;
		one.days = time->days;
		one.days_from_end = time->days_from_end;
		one.zone = time->zone;
		one.months = time->months;
		one.weekdays = time->weekdays;
		one.spans = pol_blob_list(&t->blob, time->spans, time->n_spans,
					  sizeof(*time->spans), sizeof(uint16_t));
		v = pol_append(t->b, v, &n, &one, sizeof(one));
	}
	return pol_blob_list(&t->blob, v, n, sizeof(*v), POL_TTLS_ALIGN);
}

/* ---- rules ---- */

/* The number of the profile of the rule's actions. */
static uint32_t put_profile(struct ttls_build *t, struct pol_node *rule)
{
	struct shared shared = {.what = {pol_ttls_part(rule, "TTLSGroupAction"),
					 pol_ttls_part(rule, "TTLSEnvironmentAction"),
					 pol_ttls_part(rule, "TTLSConnectionAction")},
				.list = {.n = t->n_profiles}};
	const struct shared *before = find_shared(&t->actions, &shared);
	struct pol_ttls_profile profile = t->defaults;

	if (before)
		return before->list.n;
	pol_ttls_fill(t->b, &t->blob, rule, &profile);
	t->profiles = pol_append(t->b, t->profiles, &t->n_profiles, &profile, sizeof(profile));
	keep_shared(t->b, &t->actions, &shared);
	return shared.list.n;
}

/* They are written already. */
static struct pol_ttls_ports span_of(const struct ttls_build *t, struct pol_ttls_list list)
{
	struct pol_ttls_ports span = {65535, 0}, one;

	if (list.n == 0 || t->blob.failed)
		return (struct pol_ttls_ports){0, 65535};
	for (unsigned i = 0; i < list.n; i++) {
		memcpy(&one, t->blob.p + list.at + i * sizeof(one), sizeof(one));
		span.lo = one.lo < span.lo ? one.lo : span.lo;
		span.hi = one.hi > span.hi ? one.hi : span.hi;
	}
	return span;
}

static uint32_t put_word(struct ttls_build *t, const struct pol_node *rule, const char *keyword)
{
	const struct pol_item *item = pol_item_of(rule, keyword);
	struct pol_word word;
	const char *text;

	if (!item)
		return 0;
	text = item->value;
	word = pol_word_next(&text);
	return pol_blob_text(&t->blob, word.p, word.len);
}

static void put_rule(struct ttls_build *t, struct pol_node *rule)
{
	static const uint32_t directions[] = {POL_TTLS_INBOUND, POL_TTLS_OUTBOUND,
					      POL_TTLS_INBOUND | POL_TTLS_OUTBOUND};
	int direction = pol_choice_of(rule, "Direction");
	struct pol_ttls_rule r = {.priority = 1};
	unsigned long n;

	if (pol_number_of(rule, "Priority", &n))
		r.priority = (uint32_t)n;
	if (direction >= 0)
		r.directions = directions[direction];
	r.name = pol_blob_text(&t->blob, rule->name, strlen(rule->name));
	r.profile = put_profile(t, rule);
	r.job = put_word(t, rule, "Jobname");
	r.user = put_word(t, rule, "Userid");
	r.local = put_addresses(t, rule, "LocalAddr");
	r.remote = put_addresses(t, rule, "RemoteAddr");
	r.local_ports =
		put_ports(t, rule, "LocalPortRange", "LocalPortRangeRef", "LocalPortGroupRef");
	r.remote_ports =
		put_ports(t, rule, "RemotePortRange", "RemotePortRangeRef", "RemotePortGroupRef");
	r.local_span = span_of(t, r.local_ports);
	r.remote_span = span_of(t, r.remote_ports);
	r.times = put_times(t, rule);
	t->rules = pol_append(t->b, t->rules, &t->n_rules, &r, sizeof(r));
	if (r.profile < t->n_profiles && t->profiles[r.profile].enabled &&
	    pol_first_note(t->b->diags, rule->statement))
		pol_warn(t->b, rule, NULL, NULL, "%s (told once)", rule->statement->note);
}

static int by_priority(const void *a, const void *b)
{
	return pol_by_priority(*(struct pol_node *const *)a, *(struct pol_node *const *)b);
}

/* The rules in force in their order: *n of them, those that others replace left out. */
static struct pol_node **rules_of(struct pol_build *b, unsigned *n)
{
	struct pol_node **rules = NULL;

	*n = 0;
	for (unsigned i = 0; i < b->tree->n_nodes; i++) {
		struct pol_node *node = b->tree->nodes[i];

		if (strcmp(node->statement->keyword, "TTLSRule") == 0 && node->made &&
		    pol_lookup(b, "TTLSRule", node->name) == node)
			rules = pol_append(b, rules, n, &node, sizeof(node));
	}
	if (*n > 1)
		qsort(rules, *n, sizeof(struct pol_node *), by_priority);
	return rules;
}

/* ---- the image ---- */

static void finish(struct ttls_build *t)
{
	struct pol_ttls_header header = {
		.magic = "CSATTLS", .order = POL_TTLS_ORDER, .version = POL_TTLS_VERSION};
	struct pol_ttls *ttls = pol_get(t->b, 1, sizeof(*ttls));
	uint8_t *image;

	header.profiles = pol_blob_list(&t->blob, t->profiles, t->n_profiles, sizeof(*t->profiles),
					POL_TTLS_ALIGN);
	for (unsigned i = 0; i < t->n_rules; i++)
		t->rules[i].profile =
			header.profiles.at + t->rules[i].profile * (uint32_t)sizeof(*t->profiles);
	header.rules =
		pol_blob_list(&t->blob, t->rules, t->n_rules, sizeof(*t->rules), POL_TTLS_ALIGN);
	header.length = t->blob.len;
	image = pol_get(t->b, t->blob.len, 1);
	if (!ttls || !image || t->blob.failed) {
		t->b->diags->no_memory = true;
		return;
	}
	memcpy(image, t->blob.p, t->blob.len);
	memcpy(image, &header, sizeof(header));
	pol_ttls_seal(image, t->blob.len, 0);
	ttls->image = image;
	ttls->length = t->blob.len;
	t->b->policy->ttls = ttls;
}

void pol_make_ttls_policy(struct pol_build *b)
{
	static const struct pol_ttls_header header;
	struct ttls_build t = {.b = b};
	unsigned n;
	struct pol_node **rules = rules_of(b, &n);

	pol_blob_put(&t.blob, &header, sizeof(header), 1);
	if (n)
		pol_ttls_defaults(b, &t.blob, &t.defaults);
	for (unsigned i = 0; i < n; i++)
		put_rule(&t, rules[i]);
	if (!b->diags->n_errors && !b->diags->no_memory)
		finish(&t);
	tdestroy(t.lists, not_ours);
	tdestroy(t.actions, not_ours);
	free(t.blob.p);
}
