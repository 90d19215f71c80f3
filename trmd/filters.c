/* pagent's filters. */
#include "trmd/filters.h"

#include <ctype.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/nmi.h"

struct trmd_filters {
	struct trmd_filter *list;
	unsigned n, room;
	bool cut;
};

struct trmd_filters *trmd_filters_new(void)
{
	return calloc(1, sizeof(struct trmd_filters));
}

void trmd_filters_free(struct trmd_filters *f)
{
	if (!f)
		return;
	for (unsigned i = 0; i < f->n; i++)
		free(f->list[i].texts);
	free(f->list);
	free(f);
}

/* ---- an entry ---- */

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

static bool says(const json_t *o, const char *key, const char *word)
{
	return strcmp(text_of(o, key), word) == 0;
}

/* -1 where it is null or All. */
static int number_of(const json_t *o, const char *key)
{
	const json_t *value = json_object_get(o, key);
	json_int_t n = json_is_integer(value) ? json_integer_value(value) : -1;

	return n >= 0 && n <= UINT16_MAX ? (int)n : -1;
}

/* From FIRST to LAST, whose absence means that it is one. */
static void range_of(const json_t *o, const char *first, const char *last, int range[2])
{
	range[0] = number_of(o, first);
	range[1] = number_of(o, last);
	if (range[1] < range[0])
		range[1] = range[0];
}

static void ports_of(const json_t *o, const char *first, const char *last, int range[2])
{
	range_of(o, first, last, range);
	if (range[0] == 0)
		range[0] = range[1] = -1;
}

static int address_of(const json_t *o, const char *address, const char *prefix, const char *high,
		      struct cs_range *range, struct cs_err *err)
{
	int len = number_of(o, prefix), rc;
	struct cs_addr addr;

	rc = cs_addr_parse(text_of(o, address), &addr, err);
	if (rc < 0)
		return rc;
	*range = cs_range_single(&addr);
	if (len >= 0 && (size_t)len <= 8 * cs_addr_len(addr.family))
		*range = cs_range_prefix(&addr, (unsigned)len);
	else if (json_is_string(json_object_get(o, high)))
		rc = cs_addr_parse(text_of(o, high), &range->hi, err);
	if (rc == 0 && range->hi.family != range->lo.family)
		rc = cs_fail(err, CS_EPARSE, "%s is of another family", high);
	return rc;
}

/* As xfrm writes it between quotation marks; without a rule it writes "-". */
static void set_key(struct trmd_filter *f)
{
	size_t n = 0;

	if (strncmp(f->name, "DenyAllRule_Generated__", 23) == 0 ||
	    strcmp(f->name, "SYSDEFAULTDENYRULE") == 0) {
		strcpy(f->key, "-");
		return;
	}
	for (const char *p = f->name; *p && n < sizeof(f->key) - 1; p++)
		f->key[n++] = isalnum((unsigned char)*p) || strchr("_-.@#:+/", *p) ? *p : '?';
	f->key[n] = '\0';
}

static uint64_t hash(uint64_t h, const char *text)
{
	do
		h = (h ^ (uint8_t)*text) * 1099511628211u;
	while (*text++);
	return h;
}

/* Of all that tells two services of a rule from each other. */
static uint64_t service_of(const json_t *o)
{
	static const char *const keys[] = {
		"Protocol",  "Scope",      "SecurityClass",   "TCPQualifier", "FragmentsOnly",
		"ICMPType",  "TypeRange",  "ICMPCode",        "CodeRange",    "OSPFType",
		"MIPv6Type", "SourcePort", "SourcePortRange", "DestPort",     "DestPortRange",
	};
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		char *text = json_dumps(json_object_get(o, keys[i]), JSON_ENCODE_ANY);

		h = hash(h, text ? text : "");
		free(text);
	}
	return h;
}

/*
 * Is there one logged packet for each that is counted?  Of a rule whose tunnels let some pass, and
 * others not, only where both are logged.
 */
static bool is_counted(const json_t *o)
{
	bool all = says(o, "Logging", "All");

	if (says(o, "Action", "Deny"))
		return all || says(o, "Logging", "Deny");
	return all || (says(o, "Logging", "Permit") && says(o, "Type", "Generic") &&
		       says(o, "Direction", "Outbound"));
}

static int copy_texts(struct trmd_filter *f, const json_t *o, struct cs_err *err)
{
	const char *name = text_of(o, "FilterName"), *tunnel = text_of(o, "TunnelID");
	const char *action = text_of(o, "VpnActionName");
	size_t a = strlen(name) + 1, b = strlen(tunnel) + 1, c = strlen(action) + 1;

	if (!*name || !*tunnel)
		return cs_fail(err, CS_EPARSE, "a filter without FilterName or TunnelID");
	f->texts = malloc(a + b + c);
	if (!f->texts)
		return cs_fail(err, CS_ENOMEM, "no memory for the filters");
	f->name = memcpy(f->texts, name, a);
	f->tunnel = memcpy(f->texts + a, tunnel, b);
	f->vpn_action = *action ? memcpy(f->texts + a + b, action, c) : NULL;
	return 0;
}

static void set_service(struct trmd_filter *f, const json_t *o)
{
	const json_t *proto = json_object_get(o, "Protocol");

	f->proto = json_is_integer(proto)          ? (int)json_integer_value(proto)
		   : says(o, "Protocol", "Opaque") ? -2
						   : -1;
	range_of(o,
		 f->proto == 89           ? "OSPFType"
		 : f->proto == IPPROTO_MH ? "MIPv6Type"
					  : "ICMPType",
		 "TypeRange", f->type);
	range_of(o, "ICMPCode", "CodeRange", f->code);
	ports_of(o, "SourcePort", "SourcePortRange", f->sport);
	ports_of(o, "DestPort", "DestPortRange", f->dport);
	f->fragments_only = json_is_true(json_object_get(o, "FragmentsOnly"));
	f->routed_only = says(o, "Scope", "Routed");
	f->service = service_of(o);
}

static int read_entry(struct trmd_filter *f, const json_t *o, struct cs_err *err)
{
	const json_t *packets = json_object_get(o, "FilterMatches");
	int rc;

	if (!says(o, "Direction", "Inbound") && !says(o, "Direction", "Outbound"))
		return cs_fail(err, CS_EPARSE, "a filter without Direction");
	f->outbound = says(o, "Direction", "Outbound");
	rc = address_of(o, "SourceAddress", "SourceAddressPrefix", "SourceAddressRange", &f->src,
			err);
	if (rc == 0)
		rc = address_of(o, "DestAddress", "DestAddressPrefix", "DestAddressRange", &f->dst,
				err);
	if (rc == 0)
		rc = copy_texts(f, o, err);
	if (rc < 0)
		return rc;
	set_key(f);
	set_service(f, o);
	f->extension = (unsigned)(number_of(o, "FilterNameExtension") + 1) - 1;
	if (f->extension > UINT16_MAX)
		f->extension = 0;
	f->dynamic = says(o, "Type", "Dynamic") || says(o, "Type", "NATT Dynamic");
	f->counted = is_counted(o);
	f->has_packets = json_is_integer(packets) && json_integer_value(packets) >= 0;
	if (f->has_packets)
		f->packets = (uint64_t)json_integer_value(packets);
	return 0;
}

int trmd_filters_add(struct trmd_filters *f, const json_t *entry, struct cs_err *err)
{
	struct trmd_filter one = {.order = f->n};
	int rc;

	if (f->n == TRMD_FILTERS_MAX) {
		f->cut = true;
		return 0;
	}
	if (f->n == f->room) {
		unsigned room = f->room ? 2 * f->room : 64;
		struct trmd_filter *list = realloc(f->list, room * sizeof(*list));

		if (!list)
			return cs_fail(err, CS_ENOMEM, "no memory for the filters");
		f->list = list;
		f->room = room;
	}
	rc = read_entry(&one, entry, err);
	if (rc == 0)
		f->list[f->n++] = one;
	else
		free(one.texts);
	return rc;
}

static int compare(const void *a, const void *b)
{
	const struct trmd_filter *x = a, *y = b;
	int c = strcmp(x->key, y->key);

	if (c == 0)
		c = x->outbound - y->outbound;
	return c ? c : (x->order > y->order) - (x->order < y->order);
}

/* The heading says whether anything is logged at all. */
void trmd_filters_done(struct trmd_filters *f, const json_t *last)
{
	if (json_is_false(json_object_get(last, "Logging")))
		for (unsigned i = 0; i < f->n; i++)
			f->list[i].counted = false;
	if (f->n)
		qsort(f->list, f->n, sizeof(*f->list), compare);
}

/* ---- asking ---- */

struct asking {
	struct trmd_filters *filters;
	struct cs_err *err;
};

static int on_entry(void *arg, const json_t *entry)
{
	struct asking *a = arg;

	return trmd_filters_add(a->filters, entry, a->err);
}

int trmd_filters_fetch(const char *socket, int timeout_ms, struct trmd_filters **out,
		       struct cs_err *err)
{
	json_t *request, *done = NULL;
	struct cs_err why = {0};
	struct asking a = {trmd_filters_new(), &why};
	struct cs_nmi *nmi;
	int rc = cs_nmi_connect(socket, &nmi, &why);

	if (rc == 0) {
		request = json_pack("{s:s}", "request", "filters");
		rc = !a.filters || !request
			     ? cs_fail(&why, CS_ENOMEM, "no memory for the filters")
			     : cs_nmi_call(nmi, request, timeout_ms, on_entry, &a, &done, &why);
		json_decref(request);
		cs_nmi_close(nmi);
	}
	if (rc == 0) {
		trmd_filters_done(a.filters, done);
		*out = a.filters;
	} else {
		trmd_filters_free(a.filters);
		rc = cs_fail(err, why.code ? why.code : CS_EPARSE, "pagent's filters: %s",
			     why.text);
	}
	json_decref(done);
	return rc;
}

/* ---- finding ---- */

const struct trmd_filter *trmd_filters_all(const struct trmd_filters *f, unsigned *n)
{
	*n = f->n;
	return f->list;
}

bool trmd_filters_cut(const struct trmd_filters *f)
{
	return f->cut;
}

static int side(const struct trmd_filter *f, const char *key, bool outbound)
{
	int c = strcmp(f->key, key);

	return c ? c : f->outbound - outbound;
}

const struct trmd_filter *trmd_filters_of(const struct trmd_filters *f, const char *key,
					  bool outbound, unsigned *n)
{
	unsigned low = 0, high = f->n, first;

	*n = 0;
	while (low < high) {
		unsigned mid = low + (high - low) / 2;

		if (side(&f->list[mid], key, outbound) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (first = low; low < f->n && side(&f->list[low], key, outbound) == 0; low++)
		++*n;
	return *n ? &f->list[first] : NULL;
}

static bool within(const int range[2], unsigned value)
{
	return range[0] < 0 || ((int)value >= range[0] && (int)value <= range[1]);
}

/* What the packet does not show may be anything. */
static bool fits(const struct trmd_filter *f, const struct trmd_packet *k)
{
	if (!cs_range_has(&f->src, &k->src) || !cs_range_has(&f->dst, &k->dst))
		return false;
	if (f->proto >= 0 && k->has_proto && f->proto != k->proto)
		return false;
	if (f->fragments_only && !k->fragment)
		return false;
	switch (k->upper) {
	case TRMD_UPPER_PORTS:
		return within(f->sport, k->sport) && within(f->dport, k->dport);
	case TRMD_UPPER_ICMP:
		return within(f->type, k->type) && within(f->code, k->code);
	case TRMD_UPPER_TYPE:
		return within(f->type, k->type);
	default:
		return true;
	}
}

static void set_filter(struct trmd_filter_facts *facts, const struct trmd_filter *list, unsigned n,
		       const struct trmd_packet *k)
{
	const struct trmd_filter *f = NULL;

	for (unsigned i = 0; i < n && !f; i++)
		if (fits(&list[i], k))
			f = &list[i];
	facts->name = list->name;
	facts->vpn_action = list->vpn_action;
	/* A rule's tunnel by hand is one; of those that were negotiated the packet must fit. */
	if (!f && list->tunnel[0] == 'M')
		facts->tunnel = list->tunnel;
	if (!f)
		return;
	facts->name = f->name;
	facts->extension = f->extension;
	facts->tunnel = f->tunnel;
}

void trmd_facts(const struct trmd_filters *f, struct trmd_interfaces *interfaces,
		const struct trmd_event *e, struct trmd_filter_facts *facts)
{
	const struct trmd_filter *list;
	struct trmd_packet k;
	unsigned n;
	uint32_t by;

	memset(facts, 0, sizeof(*facts));
	if (!trmd_packet_parse(e->family, e->p, e->len, &k))
		return;
	list = f ? trmd_filters_of(f, e->name, e->outbound, &n) : NULL;
	if (list)
		set_filter(facts, list, n, &k);
	if (!interfaces)
		return;
	by = e->outbound && e->out ? e->out : e->in;
	facts->interface = trmd_interfaces_addr(interfaces, by, k.src.family);
	facts->security_class = trmd_interfaces_class(interfaces, by);
	facts->routed = !e->outbound && !trmd_interfaces_local(interfaces, &k.dst);
}
