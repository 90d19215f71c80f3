/*
 * Identities of phase 1: does what a peer sent fit what the policy wants, and how is it shown.
 * A peer's identity is any bytes: each form is checked for its length and its characters first.
 *
 * Source: RFC 2407 section 4.6.2.1; IBM's RemoteSecurityEndpoint for the wildcards.
 */
#include "policy/policy.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "policy/dn.h"

/* Identity types that a policy cannot ask for, but a peer can send. */
enum {
	ID_IPV4_SUBNET = 4,
	ID_IPV6_SUBNET = 6,
	ID_IPV4_RANGE = 7,
	ID_IPV6_RANGE = 8,
	ID_GENERAL_NAME = 10,
};

/* ---- matching ---- */

/* Printable ASCII without blanks: all that a host or user name can be made of. */
static bool is_name(struct cs_bytes b)
{
	for (size_t i = 0; i < b.len; i++)
		if (b.p[i] <= ' ' || b.p[i] >= 0x7f)
			return false;
	return b.len > 0;
}

static bool same_name(struct cs_bytes a, struct cs_bytes b)
{
	return a.len == b.len && strncasecmp((const char *)a.p, (const char *)b.p, a.len) == 0;
}

static struct cs_bytes part_of(struct cs_bytes b, size_t from, size_t to)
{
	return (struct cs_bytes){b.p + from, to - from};
}

/* "*" is any name, "*.example.com" any name below example.com, else the name itself. */
static bool host_matches(struct cs_bytes pattern, struct cs_bytes name)
{
	size_t tail;

	if (pattern.len == 1 && pattern.p[0] == '*')
		return true;
	if (pattern.len < 2 || pattern.p[0] != '*')
		return same_name(pattern, name);
	tail = pattern.len - 1;
	return pattern.p[1] == '.' && name.len > tail &&
	       same_name(part_of(pattern, 1, pattern.len),
			 part_of(name, name.len - tail, name.len));
}

/* Where the last '@' is; b.len when there is none. */
static size_t at_sign(struct cs_bytes b)
{
	for (size_t i = b.len; i > 0; i--)
		if (b.p[i - 1] == '@')
			return i - 1;
	return b.len;
}

/*
 * The host part is a host name; the user part is "*" or exact, because RFC 5321 section 2.4 leaves
 * its case to the host.
 */
static bool user_matches(struct cs_bytes pattern, struct cs_bytes id)
{
	size_t pa = at_sign(pattern), ia = at_sign(id);

	if (ia == 0 || ia + 1 >= id.len)
		return false;
	if (pattern.len == 1 && pattern.p[0] == '*')
		return true;
	if (pa == pattern.len)
		return false;
	if (!(pa == 1 && pattern.p[0] == '*') && !(pa == ia && memcmp(pattern.p, id.p, pa) == 0))
		return false;
	return host_matches(part_of(pattern, pa + 1, pattern.len), part_of(id, ia + 1, id.len));
}

/* IBM: the address 0.0.0.0 (here also ::) alone stands for any address of its family. */
static bool addr_matches(const struct cs_range *range, uint8_t family, struct cs_bytes id)
{
	struct cs_addr a;

	if (id.len != cs_addr_len(family) || range->lo.family != family)
		return false;
	if (cs_range_is_single(range) && cs_addr_is_any(&range->lo))
		return true;
	a = cs_addr_from_bytes(family, id.p);
	return cs_range_has(range, &a);
}

bool pol_identity_matches(const struct pol_identity *pattern, const struct pol_peer_id *id)
{
	struct cs_bytes text = {(const uint8_t *)pattern->text, 0};

	if (pattern->type == POL_ID_NONE || (unsigned)pattern->type != id->type || !id->data.p)
		return false;
	if (pattern->text)
		text.len = strlen(pattern->text);
	switch (pattern->type) {
	case POL_ID_NONE:
		break;
	case POL_ID_IPV4_ADDR:
		return addr_matches(&pattern->addr, AF_INET, id->data);
	case POL_ID_IPV6_ADDR:
		return addr_matches(&pattern->addr, AF_INET6, id->data);
	case POL_ID_FQDN:
		return text.len && is_name(id->data) && host_matches(text, id->data);
	case POL_ID_USER_FQDN:
		return text.len && is_name(id->data) && user_matches(text, id->data);
	case POL_ID_DER_ASN1_DN:
		return text.len && pol_dn_matches(pattern->text, id->data);
	case POL_ID_KEY_ID:
		return pattern->data.p && pattern->data.len == id->data.len &&
		       memcmp(pattern->data.p, id->data.p, id->data.len) == 0;
	}
	return false;
}

/* ---- showing ---- */

/* Text that ends with "..." when it does not fit. */
struct shown {
	char *buf;
	size_t size, len;
};

static void show(struct shown *s, const char *piece)
{
	size_t n = strlen(piece);

	if (s->size == 0)
		return;
	if (s->len + n < s->size) {
		memcpy(s->buf + s->len, piece, n + 1);
		s->len += n;
		return;
	}
	if (s->size >= 4) {
		memcpy(s->buf + s->len, piece, s->size - 1 - s->len);
		memcpy(s->buf + s->size - 4, "...", 4);
	}
	s->size = s->len = 0; /* no later piece may follow the dots */
}

static void show_hex(struct shown *s, struct cs_bytes b)
{
	char piece[3];

	show(s, "0x");
	for (size_t i = 0; i < b.len && s->size; i++) {
		cs_hex(b.p + i, 1, piece);
		show(s, piece);
	}
}

static void show_text(struct shown *s, struct cs_bytes b)
{
	char piece[5];

	for (size_t i = 0; i < b.len && s->size; i++) {
		if (b.p[i] == '\\')
			snprintf(piece, sizeof(piece), "\\\\");
		else if (b.p[i] >= ' ' && b.p[i] < 0x7f)
			snprintf(piece, sizeof(piece), "%c", b.p[i]);
		else
			snprintf(piece, sizeof(piece), "\\x%02x", b.p[i]);
		show(s, piece);
	}
}

static void show_malformed(struct shown *s, struct cs_bytes b)
{
	show(s, "malformed ");
	show_hex(s, b);
}

static void show_addr(struct shown *s, uint8_t family, struct cs_bytes b)
{
	char text[CS_ADDR_STRLEN];
	struct cs_addr a;

	if (b.len != cs_addr_len(family)) {
		show_malformed(s, b);
		return;
	}
	a = cs_addr_from_bytes(family, b.p);
	show(s, cs_addr_text(&a, text));
}

/* Bits of a netmask, or -1 when its ones are not all in front. */
static int mask_len(const uint8_t *mask, size_t n)
{
	int len = 0;

	for (size_t i = 0; i < n; i++)
		for (int bit = 7; bit >= 0; bit--) {
			if (!(mask[i] >> bit & 1))
				continue;
			if (len != (int)i * 8 + 7 - bit)
				return -1;
			len++;
		}
	return len;
}

/* Two addresses: a prefix with its mask, or first and last. */
static void show_pair(struct shown *s, uint8_t family, bool subnet, struct cs_bytes b)
{
	size_t n = cs_addr_len(family);
	char text[12];
	int len;

	if (b.len != 2 * n) {
		show_malformed(s, b);
		return;
	}
	show_addr(s, family, part_of(b, 0, n));
	len = subnet ? mask_len(b.p + n, n) : -1;
	if (len >= 0) {
		snprintf(text, sizeof(text), "/%d", len);
		show(s, text);
		return;
	}
	show(s, subnet ? "/" : "-");
	show_addr(s, family, part_of(b, n, 2 * n));
}

static bool is_printable(struct cs_bytes b)
{
	for (size_t i = 0; i < b.len; i++)
		if (b.p[i] < ' ' || b.p[i] >= 0x7f)
			return false;
	return true;
}

static void show_dn(struct shown *s, struct cs_bytes b)
{
	char text[512];

	if (pol_dn_text(b, text, sizeof(text)))
		show(s, text);
	else
		show_hex(s, b);
}

const char *pol_peer_id_text(const struct pol_peer_id *id, char *buf, size_t size)
{
	struct shown s = {buf, size, 0};
	struct cs_bytes b = id->data;

	if (size == 0)
		return "";
	buf[0] = '\0';
	if (!b.p || b.len == 0) {
		show(&s, "(empty)");
		return buf;
	}
	switch (id->type) {
	case POL_ID_IPV4_ADDR:
		show_addr(&s, AF_INET, b);
		break;
	case POL_ID_IPV6_ADDR:
		show_addr(&s, AF_INET6, b);
		break;
	case ID_IPV4_SUBNET:
	case ID_IPV4_RANGE:
		show_pair(&s, AF_INET, id->type == ID_IPV4_SUBNET, b);
		break;
	case ID_IPV6_SUBNET:
	case ID_IPV6_RANGE:
		show_pair(&s, AF_INET6, id->type == ID_IPV6_SUBNET, b);
		break;
	case POL_ID_FQDN:
	case POL_ID_USER_FQDN:
		show_text(&s, b);
		break;
	case POL_ID_DER_ASN1_DN:
		show_dn(&s, b);
		break;
	case POL_ID_KEY_ID:
		if (is_printable(b))
			show_text(&s, b);
		else
			show_hex(&s, b);
		break;
	default:
		show_hex(&s, b);
		break;
	}
	return buf;
}

const char *pol_id_type_name(unsigned type)
{
	static const char *const names[] = {
		[POL_ID_IPV4_ADDR] = "ID_IPV4_ADDR",     [POL_ID_FQDN] = "ID_FQDN",
		[POL_ID_USER_FQDN] = "ID_USER_FQDN",     [ID_IPV4_SUBNET] = "ID_IPV4_ADDR_SUBNET",
		[POL_ID_IPV6_ADDR] = "ID_IPV6_ADDR",     [ID_IPV6_SUBNET] = "ID_IPV6_ADDR_SUBNET",
		[ID_IPV4_RANGE] = "ID_IPV4_ADDR_RANGE",  [ID_IPV6_RANGE] = "ID_IPV6_ADDR_RANGE",
		[POL_ID_DER_ASN1_DN] = "ID_DER_ASN1_DN", [ID_GENERAL_NAME] = "ID_DER_ASN1_GN",
		[POL_ID_KEY_ID] = "ID_KEY_ID",
	};

	if (type >= sizeof(names) / sizeof(names[0]) || !names[type])
		return "unknown";
	return names[type];
}
