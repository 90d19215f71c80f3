/* Addresses, ranges, endpoints and selectors. */
#include "common/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t cs_addr_len(uint8_t family)
{
	if (family == AF_INET)
		return 4;
	return family == AF_INET6 ? 16 : 0;
}

struct cs_addr cs_addr_from_bytes(uint8_t family, const uint8_t *bytes)
{
	struct cs_addr a = {.family = family};

	memcpy(a.b, bytes, cs_addr_len(family));
	return a;
}

int cs_addr_parse(const char *text, struct cs_addr *addr, struct cs_err *err)
{
	struct cs_addr a = {0};

	a.family = strchr(text, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(a.family, text, a.b) != 1)
		return cs_fail(err, CS_EPARSE, "'%.60s' is not an IP address", text);
	*addr = a;
	return 0;
}

/* The number behind the slash, or -1. */
static int parse_len(const char *text, unsigned max)
{
	char *end;
	unsigned long n;

	if (text[0] < '0' || text[0] > '9')
		return -1;
	errno = 0;
	n = strtoul(text, &end, 10);
	return errno || *end || n > max ? -1 : (int)n;
}

int cs_range_parse(const char *text, struct cs_range *range, struct cs_err *err)
{
	char first[CS_ADDR_STRLEN * 2];
	const char *cut = strpbrk(text, "/-");
	struct cs_range r;
	int rc, len;

	if (!cut) {
		rc = cs_addr_parse(text, &r.lo, err);
		if (rc == 0)
			*range = cs_range_single(&r.lo);
		return rc;
	}
	if ((size_t)(cut - text) >= sizeof(first))
		return cs_fail(err, CS_EPARSE, "'%.60s' is not an address, prefix or range", text);
	memcpy(first, text, (size_t)(cut - text));
	first[cut - text] = '\0';
	rc = cs_addr_parse(first, &r.lo, err);
	if (rc < 0)
		return rc;
	if (*cut == '/') {
		len = parse_len(cut + 1, (unsigned)cs_addr_len(r.lo.family) * 8);
		if (len < 0)
			return cs_fail(err, CS_EPARSE, "'%.20s' is not a prefix length for %s",
				       cut + 1, first);
		*range = cs_range_prefix(&r.lo, (unsigned)len);
		return 0;
	}
	rc = cs_addr_parse(cut + 1, &r.hi, err);
	if (rc < 0)
		return rc;
	if (r.lo.family != r.hi.family)
		return cs_fail(err, CS_EPARSE, "the range '%.90s' mixes address families", text);
	if (cs_addr_compare(&r.lo, &r.hi) > 0)
		return cs_fail(err, CS_EPARSE, "the range '%.90s' ends before it starts", text);
	*range = r;
	return 0;
}

const char *cs_addr_text(const struct cs_addr *addr, char buf[static CS_ADDR_STRLEN])
{
	if (!cs_addr_len(addr->family) || !inet_ntop(addr->family, addr->b, buf, CS_ADDR_STRLEN))
		strcpy(buf, "none");
	return buf;
}

const char *cs_range_text(const struct cs_range *range, char buf[static CS_RANGE_STRLEN])
{
	char lo[CS_ADDR_STRLEN], hi[CS_ADDR_STRLEN];
	int len = cs_range_prefix_len(range);

	cs_addr_text(&range->lo, lo);
	if (cs_range_is_single(range))
		snprintf(buf, CS_RANGE_STRLEN, "%s", lo);
	else if (len >= 0)
		snprintf(buf, CS_RANGE_STRLEN, "%s/%d", lo, len);
	else
		snprintf(buf, CS_RANGE_STRLEN, "%s-%s", lo, cs_addr_text(&range->hi, hi));
	return buf;
}

const char *cs_endpoint_text(const struct cs_endpoint *ep, char buf[static CS_ENDPOINT_STRLEN])
{
	char a[CS_ADDR_STRLEN];

	cs_addr_text(&ep->addr, a);
	snprintf(buf, CS_ENDPOINT_STRLEN, ep->addr.family == AF_INET6 ? "[%s]:%u" : "%s:%u", a,
		 ep->port);
	return buf;
}

/* "[proto/port]" or nothing. */
static void filter_text(uint8_t proto, uint16_t port, char *buf, size_t size)
{
	buf[0] = '\0';
	if (proto && port)
		snprintf(buf, size, "[%u/%u]", proto, port);
	else if (proto)
		snprintf(buf, size, "[%u]", proto);
}

const char *cs_selector_text(const struct cs_selector *sel, char buf[static CS_SELECTOR_STRLEN])
{
	char local[CS_RANGE_STRLEN], remote[CS_RANGE_STRLEN], lp[16], rp[16];

	filter_text(sel->proto, sel->local_port, lp, sizeof(lp));
	filter_text(sel->proto, sel->remote_port, rp, sizeof(rp));
	snprintf(buf, CS_SELECTOR_STRLEN, "%s%s - %s%s", cs_range_text(&sel->local, local), lp,
		 cs_range_text(&sel->remote, remote), rp);
	return buf;
}

bool cs_addr_equal(const struct cs_addr *a, const struct cs_addr *b)
{
	return cs_addr_compare(a, b) == 0;
}

bool cs_endpoint_equal(const struct cs_endpoint *a, const struct cs_endpoint *b)
{
	return a->port == b->port && cs_addr_equal(&a->addr, &b->addr);
}

int cs_addr_compare(const struct cs_addr *a, const struct cs_addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->b, b->b, sizeof(a->b));
}

bool cs_addr_is_any(const struct cs_addr *a)
{
	static const uint8_t zero[16];

	return memcmp(a->b, zero, sizeof(zero)) == 0;
}

struct cs_range cs_range_single(const struct cs_addr *a)
{
	return (struct cs_range){*a, *a};
}

struct cs_range cs_range_prefix(const struct cs_addr *a, unsigned len)
{
	struct cs_range r = {*a, *a};
	size_t bytes = cs_addr_len(a->family);

	for (size_t i = 0; i < bytes; i++) {
		unsigned keep = len >= 8 * (i + 1) ? 8 : len > 8 * i ? len - (unsigned)(8 * i) : 0;
		uint8_t host = (uint8_t)(0xffu >> keep);

		r.lo.b[i] &= (uint8_t)~host;
		r.hi.b[i] |= host;
	}
	return r;
}

struct cs_range cs_range_all(uint8_t family)
{
	struct cs_addr a = {.family = family};

	return cs_range_prefix(&a, 0);
}

bool cs_range_is_single(const struct cs_range *r)
{
	return cs_addr_equal(&r->lo, &r->hi);
}

int cs_range_prefix_len(const struct cs_range *r)
{
	int bits = (int)cs_addr_len(r->lo.family) * 8;

	for (int len = bits; len >= 0; len--) { /* single addresses are the most */
		struct cs_range p = cs_range_prefix(&r->lo, (unsigned)len);

		if (cs_range_equal(&p, r))
			return len;
	}
	return -1;
}

bool cs_range_has(const struct cs_range *r, const struct cs_addr *a)
{
	return a->family == r->lo.family && cs_addr_compare(&r->lo, a) <= 0 &&
	       cs_addr_compare(a, &r->hi) <= 0;
}

const struct cs_range *cs_range_find(const struct cs_range *ranges, unsigned n,
				     const struct cs_addr *a)
{
	for (unsigned i = 0; i < n; i++)
		if (cs_range_has(&ranges[i], a))
			return &ranges[i];
	return NULL;
}

bool cs_range_covers(const struct cs_range *outer, const struct cs_range *inner)
{
	return cs_range_has(outer, &inner->lo) && cs_range_has(outer, &inner->hi);
}

bool cs_range_equal(const struct cs_range *a, const struct cs_range *b)
{
	return cs_addr_equal(&a->lo, &b->lo) && cs_addr_equal(&a->hi, &b->hi);
}

bool cs_selector_equal(const struct cs_selector *a, const struct cs_selector *b)
{
	return cs_range_equal(&a->local, &b->local) && cs_range_equal(&a->remote, &b->remote) &&
	       a->proto == b->proto && a->local_port == b->local_port &&
	       a->remote_port == b->remote_port;
}

/* Zero is "any": it covers everything and is covered by itself alone. */
static bool covers(unsigned outer, unsigned inner)
{
	return outer == 0 || outer == inner;
}

bool cs_selector_covers(const struct cs_selector *outer, const struct cs_selector *inner)
{
	return cs_range_covers(&outer->local, &inner->local) &&
	       cs_range_covers(&outer->remote, &inner->remote) &&
	       covers(outer->proto, inner->proto) && covers(outer->local_port, inner->local_port) &&
	       covers(outer->remote_port, inner->remote_port);
}

int cs_endpoint_from_sockaddr(const struct sockaddr *sa, struct cs_endpoint *ep)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (sa->sa_family == AF_INET) {
		memcpy(&in, sa, sizeof(in));
		ep->addr = cs_addr_from_bytes(AF_INET, (const uint8_t *)&in.sin_addr);
		ep->port = ntohs(in.sin_port);
		return 0;
	}
	if (sa->sa_family == AF_INET6) {
		memcpy(&in6, sa, sizeof(in6));
		ep->addr = cs_addr_from_bytes(AF_INET6, (const uint8_t *)&in6.sin6_addr);
		ep->port = ntohs(in6.sin6_port);
		return 0;
	}
	return CS_EINVAL;
}

int cs_endpoint_to_sockaddr(const struct cs_endpoint *ep, struct sockaddr_storage *ss,
			    socklen_t *len)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(ep->port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(ep->port)};

	memset(ss, 0, sizeof(*ss));
	if (ep->addr.family == AF_INET) {
		memcpy(&in.sin_addr, ep->addr.b, 4);
		memcpy(ss, &in, sizeof(in));
		*len = sizeof(in);
		return 0;
	}
	if (ep->addr.family == AF_INET6) {
		memcpy(&in6.sin6_addr, ep->addr.b, 16);
		memcpy(ss, &in6, sizeof(in6));
		*len = sizeof(in6);
		return 0;
	}
	return CS_EINVAL;
}
