/*
 * Looking up the AT-TLS rule of a connection (IBM's IP Configuration Guide, "AT-TLS policy": rules
 * by priority, the first match ends the search).
 */
#include <string.h>

#include "policy/policy.h"
#include "policy/ttls_image.h"

/* A connection with its addresses as the rules have them. */
struct key {
	uint64_t addr[2];
	uint32_t family; /* 4, 6, or 0 for none */
};

static uint64_t load(const uint8_t *p)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < 8; i++)
		n = n << 8 | p[i];
	return n;
}

void pol_ttls_halves(const struct cs_addr *a, uint64_t half[static 2])
{
	if (a->family == AF_INET) {
		half[0] = 0;
		half[1] = (uint64_t)0xffff << 32 | load(a->b) >> 32;
	} else {
		half[0] = load(a->b);
		half[1] = load(a->b + 8);
	}
}

bool pol_ttls_is_mapped(const uint64_t half[static 2])
{
	return half[0] == 0 && half[1] >> 32 == 0xffff;
}

static struct key key_of(const struct cs_addr *a)
{
	struct key key = {.family = 0};

	if (a->family != AF_INET && a->family != AF_INET6)
		return key;
	pol_ttls_halves(a, key.addr);
	key.family = pol_ttls_is_mapped(key.addr) ? 4 : 6;
	return key;
}

static bool before(const uint64_t a[2], const uint64_t b[2])
{
	return a[0] < b[0] || (a[0] == b[0] && a[1] < b[1]);
}

static bool in_ranges(const struct pol_ttls *ttls, struct pol_ttls_list list, const struct key *key)
{
	const struct pol_ttls_range *r = pol_ttls_things(ttls, list);

	for (unsigned i = 0; i < list.n; i++)
		if (r[i].family == key->family && !before(key->addr, r[i].lo) &&
		    !before(r[i].hi, key->addr))
			return true;
	return list.n == 0;
}

static bool in_span(struct pol_ttls_ports span, uint16_t port)
{
	return port >= span.lo && port <= span.hi;
}

static bool in_ports(const struct pol_ttls *ttls, struct pol_ttls_list list, uint16_t port)
{
	const struct pol_ttls_ports *p = pol_ttls_things(ttls, list);

	for (unsigned i = 0; i < list.n; i++)
		if (port >= p[i].lo && port <= p[i].hi)
			return true;
	return list.n == 0;
}

/* ASCII, whatever the process's locale is. */
static unsigned char lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c - 'A' + 'a') : c;
}

/* Without regard to case; '*' at the end of the pattern stands for whatever follows. */
static bool is_like(const char *pattern, const char *name)
{
	for (; *pattern; pattern++, name++) {
		if (pattern[0] == '*' && !pattern[1])
			return true;
		if (lower((unsigned char)*pattern) != lower((unsigned char)*name))
			return false;
	}
	return !*name;
}

static bool is_named(const struct pol_ttls *ttls, uint32_t pattern, const char *name)
{
	return !pattern || (name && is_like(pol_ttls_text(ttls, pattern), name));
}

static bool in_times(const struct pol_ttls *ttls, struct pol_ttls_list list, time_t now)
{
	const struct pol_ttls_time *t = pol_ttls_things(ttls, list);

	for (unsigned i = 0; i < list.n; i++) {
		const struct pol_time time = {
			.from = t[i].from,
			.to = t[i].to,
			.months = t[i].months,
			.days = t[i].days,
			.days_from_end = t[i].days_from_end,
			.weekdays = t[i].weekdays,
			.zone = t[i].zone,
			.spans = (uint16_t(*)[2])(uintptr_t)pol_ttls_things(ttls, t[i].spans),
			.n_spans = t[i].spans.n,
		};

		if (pol_time_active(&time, 1, now))
			return true;
	}
	return list.n == 0;
}

const struct pol_ttls_rule *pol_ttls_match(const struct pol_ttls *ttls,
					   const struct pol_ttls_connection *c, time_t now)
{
	const struct key local = key_of(&c->local), remote = key_of(&c->remote);
	uint32_t direction = c->outbound ? POL_TTLS_OUTBOUND : POL_TTLS_INBOUND;
	unsigned n = pol_ttls_count(ttls);
	const struct pol_ttls_rule *r = pol_ttls_rule(ttls, 0);

	for (unsigned i = 0; i < n; i++, r++)
		if (r->directions & direction && in_span(r->local_span, c->local_port) &&
		    in_span(r->remote_span, c->remote_port) &&
		    in_ports(ttls, r->local_ports, c->local_port) &&
		    in_ports(ttls, r->remote_ports, c->remote_port) &&
		    in_ranges(ttls, r->remote, &remote) && in_ranges(ttls, r->local, &local) &&
		    is_named(ttls, r->job, c->job) && is_named(ttls, r->user, c->user) &&
		    in_times(ttls, r->times, now))
			return r;
	return NULL;
}

bool pol_ttls_concerns(const struct pol_ttls *ttls, const char *job, const char *user)
{
	unsigned n = pol_ttls_count(ttls);

	for (unsigned i = 0; i < n; i++) {
		const struct pol_ttls_rule *r = pol_ttls_rule(ttls, i);

		if (is_named(ttls, r->job, job) && is_named(ttls, r->user, user))
			return true;
	}
	return false;
}
