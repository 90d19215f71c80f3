/*
 * IP addresses, address ranges, endpoints and traffic selectors, as values.
 */
#ifndef CS_ADDR_H
#define CS_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/err.h"

struct cs_addr {
	uint8_t family; /* AF_INET, AF_INET6, or 0 for none */
	uint8_t b[16];  /* network byte order; IPv4 in the first four, the rest zero */
};

/* Every address from lo to hi, both included and of one family; a single address has lo == hi. */
struct cs_range {
	struct cs_addr lo, hi;
};

struct cs_endpoint {
	struct cs_addr addr;
	uint16_t port; /* host byte order */
};

/* What one SA pair protects, seen from this host. Ports: 0 is any; proto: 0 is any. */
struct cs_selector {
	struct cs_range local, remote;
	uint8_t proto;
	uint16_t local_port, remote_port;
};

#define CS_ADDR_STRLEN     46
#define CS_RANGE_STRLEN    96  /* "a", "a/len" or "a-b" */
#define CS_ENDPOINT_STRLEN 56  /* "a:port", "[a]:port" */
#define CS_SELECTOR_STRLEN 240 /* "local[proto/port] - remote[proto/port]" */

int cs_addr_parse(const char *text, struct cs_addr *addr, struct cs_err *err);
/* "a", "a/len" (host bits are masked off) or "a-b". */
int cs_range_parse(const char *text, struct cs_range *range, struct cs_err *err);

/* Formatters fill buf and return it, so that they can stand in an argument list. */
const char *cs_addr_text(const struct cs_addr *addr, char buf[static CS_ADDR_STRLEN]);
const char *cs_range_text(const struct cs_range *range, char buf[static CS_RANGE_STRLEN]);
const char *cs_endpoint_text(const struct cs_endpoint *ep, char buf[static CS_ENDPOINT_STRLEN]);
const char *cs_selector_text(const struct cs_selector *sel, char buf[static CS_SELECTOR_STRLEN]);

size_t cs_addr_len(uint8_t family); /* 4, 16, or 0 */
struct cs_addr cs_addr_from_bytes(uint8_t family, const uint8_t *bytes);
bool cs_addr_equal(const struct cs_addr *a, const struct cs_addr *b);
bool cs_endpoint_equal(const struct cs_endpoint *a, const struct cs_endpoint *b);
int cs_addr_compare(const struct cs_addr *a, const struct cs_addr *b);
bool cs_addr_is_any(const struct cs_addr *a); /* 0.0.0.0, :: or none */

struct cs_range cs_range_single(const struct cs_addr *a);
struct cs_range cs_range_prefix(const struct cs_addr *a, unsigned len);
struct cs_range cs_range_all(uint8_t family);
bool cs_range_is_single(const struct cs_range *r);
int cs_range_prefix_len(const struct cs_range *r); /* -1 when the range is not one prefix */
bool cs_range_has(const struct cs_range *r, const struct cs_addr *a);
/* The first of these ranges that has it; NULL: none. */
const struct cs_range *cs_range_find(const struct cs_range *ranges, unsigned n,
				     const struct cs_addr *a);
bool cs_range_covers(const struct cs_range *outer, const struct cs_range *inner);
bool cs_range_equal(const struct cs_range *a, const struct cs_range *b);

bool cs_selector_equal(const struct cs_selector *a, const struct cs_selector *b);
bool cs_selector_covers(const struct cs_selector *outer, const struct cs_selector *inner);

/* Both return 0 or CS_EINVAL for a family that is neither IPv4 nor IPv6. */
int cs_endpoint_from_sockaddr(const struct sockaddr *sa, struct cs_endpoint *ep);
int cs_endpoint_to_sockaddr(const struct cs_endpoint *ep, struct sockaddr_storage *ss,
			    socklen_t *len);

#endif
