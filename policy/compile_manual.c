/*
 * IpManVpnAction: a tunnel whose SPIs and keys stand in the policy.  No message here ever quotes an
 * Auth...Sa or Encrypt...Sa value, because a key may stand in the wrong place of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/compile.h"

#define SPI_MIN 256 /* RFC 4303 section 2.1: those below are reserved */

/* ---- SPIs and keys ---- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool read_key(struct pol_build *b, struct pol_node *node, const struct pol_item *item,
		     struct pol_word word, const char *algorithm, unsigned bits,
		     struct cs_bytes *key)
{
	uint8_t *bytes;

	if (word.len != bits / 4) {
		pol_wrong(b, node, item, NULL, "the key has %zu characters; %s takes %u hex digits",
			  word.len, algorithm, bits / 4);
		return false;
	}
	bytes = pol_get(b, bits / 8, 1);
	for (unsigned i = 0; bytes && i < bits / 4; i++) {
		int digit = hex_digit(word.p[i]);

		if (digit < 0) {
			pol_wrong(b, node, item, NULL, "character %u of the key is not a hex digit",
				  i + 1);
			return false;
		}
		bytes[i / 2] = (uint8_t)(bytes[i / 2] << 4 | digit);
	}
	*key = (struct cs_bytes){bytes, bits / 8};
	return bytes != NULL;
}

/* "spi key" of one direction; needed: what of the action asks for it, NULL: nothing does. */
static void make_sa(struct pol_build *b, struct pol_node *node, const char *keyword,
		    const char *needed, const char *algorithm, unsigned bits,
		    struct pol_manual_sa *sa)
{
	const struct pol_item *item = pol_item_of(node, keyword);
	const char *text = item ? item->value : "", *wrong;
	struct pol_word word = pol_word_next(&text);
	unsigned long spi = 0;

	if (!item) {
		if (needed)
			pol_wrong(b, node, NULL, keyword, "it is required: %s", needed);
		return;
	}
	if (!needed) {
		pol_warn(b, node, item, NULL, "it is not used: HowToEncrypt is DoNot");
		return;
	}
	wrong = pol_number(word, &spi);
	if (wrong) {
		pol_wrong(b, node, item, NULL, "the SPI %s", wrong);
		return;
	}
	if (spi < SPI_MIN) {
		pol_wrong(b, node, item, NULL, "SPI %lu is reserved: from %d", spi, SPI_MIN);
		return;
	}
	word = pol_word_next(&text);
	if (word.len == 0)
		pol_wrong(b, node, item, NULL, "a key of %u hex digits is missing behind the SPI",
			  bits / 4);
	else if (read_key(b, node, item, word, algorithm, bits, &sa->key))
		sa->spi = (uint32_t)spi;
}

/* ESP that encrypts and authenticates is one SA. */
static void check_one_spi(struct pol_build *b, struct pol_node *node, const char *auth,
			  const char *encrypt, const struct pol_manual_sa *a,
			  const struct pol_manual_sa *e)
{
	if (a->spi && e->spi && a->spi != e->spi)
		pol_wrong(b, node, pol_item_of(node, encrypt), NULL,
			  "its SPI is %u and that of %s is %u; with HowToAuth ESP both are of one "
			  "SA and have one SPI",
			  e->spi, auth, a->spi);
}

static void make_sas(struct pol_build *b, struct pol_node *node, struct pol_manvpn_action *a)
{
	char auth[80], encrypt[80];
	const char *cipher = a->cipher ? a->cipher->display : "";
	unsigned bits = a->cipher ? a->cipher->key_bits : 0;

	snprintf(auth, sizeof(auth), "HowToAuth is %s %s", a->auth_proto == POL_AH ? "AH" : "ESP",
		 a->integ->keyword);
	snprintf(encrypt, sizeof(encrypt), "HowToEncrypt is %s",
		 a->cipher ? a->cipher->keyword : "DoNot");
	make_sa(b, node, "AuthInboundSa", auth, a->integ->keyword, a->integ->key_bits, &a->auth_in);
	make_sa(b, node, "AuthOutboundSa", auth, a->integ->keyword, a->integ->key_bits,
		&a->auth_out);
	make_sa(b, node, "EncryptInboundSa", a->cipher ? encrypt : NULL, cipher, bits,
		&a->encrypt_in);
	make_sa(b, node, "EncryptOutboundSa", a->cipher ? encrypt : NULL, cipher, bits,
		&a->encrypt_out);
	if (a->auth_proto == POL_AH)
		return;
	check_one_spi(b, node, "AuthInboundSa", "EncryptInboundSa", &a->auth_in, &a->encrypt_in);
	check_one_spi(b, node, "AuthOutboundSa", "EncryptOutboundSa", &a->auth_out,
		      &a->encrypt_out);
	/* What comes with one of these and not inside AH the filters drop (xfrm.h). */
	if (a->auth_in.spi >= POL_SPI_BUNDLED_MIN && a->auth_in.spi <= POL_SPI_BUNDLED_MAX)
		pol_wrong(b, node, pol_item_of(node, "AuthInboundSa"), NULL,
			  "SPIs %u to %u are for ESP inside AH", POL_SPI_BUNDLED_MIN,
			  POL_SPI_BUNDLED_MAX);
}

/* ---- algorithms ---- */

static bool make_algorithms(struct pol_build *b, struct pol_node *node, struct pol_manvpn_action *a)
{
	const struct pol_item *item = pol_item_of(node, "HowToAuth");
	bool null, gmac;

	a->cipher = pol_make_cipher(b, node);
	if (!pol_make_auth(b, node, &a->auth_proto, &a->integ, &null, &gmac) || !a->cipher)
		return false;
	if (null || gmac || !a->integ) {
		pol_wrong(b, node, item, "HowToAuth",
			  "a manual tunnel authenticates with HMAC or AES128_XCBC_96");
		return false;
	}
	if (a->cipher->esp == 11) /* ESP_NULL */
		a->cipher = NULL;
	return true;
}

/* ---- the ends ---- */

static uint8_t make_end(struct pol_build *b, struct pol_node *node, const char *keyword,
			const char *ref_keyword, struct cs_addr *addr)
{
	const char *value = pol_text_of(node, keyword);
	struct pol_word word = {0};

	if (value)
		word = pol_word_next(&value);
	if (pol_word_is(word, "Any6"))
		return AF_INET6;
	if (pol_word_is(word, "Any") || pol_word_is(word, "Any4"))
		return AF_INET;
	pol_make_security_endpoint(b, node, keyword, ref_keyword, addr);
	return 0;
}

static void make_ends(struct pol_build *b, struct pol_node *node, struct pol_manvpn_action *a)
{
	uint8_t local, remote;

	a->any_local = make_end(b, node, "LocalSecurityEndpointAddr",
				"LocalSecurityEndpointAddrRef", &a->local);
	a->any_remote = make_end(b, node, "RemoteSecurityEndpointAddr",
				 "RemoteSecurityEndpointAddrRef", &a->remote);
	local = a->any_local ? a->any_local : a->local.family;
	remote = a->any_remote ? a->any_remote : a->remote.family;
	if (local && remote && local != remote)
		pol_wrong(b, node, NULL, NULL,
			  "local and remote security endpoint are of different IP families");
	if (a->encap == POL_TUNNEL && a->any_local && a->any_remote)
		pol_wrong(b, node, NULL, NULL,
			  "in tunnel mode one security endpoint at least must be an address");
}

/* ---- the statement ---- */

static void add_times(struct pol_build *b, struct pol_node *node, struct pol_manvpn_action *a)
{
	for (unsigned i = 0; i < node->n_items; i++) {
		const struct pol_item *item = &node->items[i];
		struct pol_node *target = pol_target(item);
		const struct pol_time *t;

		if (!item->param->group || strcmp(item->param->group, "times") != 0)
			continue;
		t = target ? pol_make_time(b, target) : NULL;
		if (t)
			a->times = pol_append(b, a->times, &a->n_times, t, sizeof(*t));
		else
			pol_inherit(b, node, item);
	}
}

const void *pol_make_manual(struct pol_build *b, struct pol_node *node)
{
	int df = pol_choice_of(node, "PassthroughDF");
	struct pol_manvpn_action *a;

	if (node->tried)
		return node->made;
	node->tried = true;
	a = pol_get(b, 1, sizeof(*a));
	if (!a)
		return NULL;
	snprintf(a->name, sizeof(a->name), "%s", node->name ? node->name : "");
	a->active = pol_yes_of(node, "Active");
	a->encap = pol_choice_of(node, "HowToEncap") == 1 ? POL_TRANSPORT : POL_TUNNEL;
	a->passthrough_df = df == 0;
	a->df_set = df == 3;
	a->passthrough_dscp = pol_yes_of(node, "PassthroughDSCP");
	make_ends(b, node, a);
	if (make_algorithms(b, node, a))
		make_sas(b, node, a);
	add_times(b, node, a);
	return pol_done(b, node, a);
}

/* ---- with the rules that have it ---- */

/* What Any stands for: the one address that all rules of the action have there. */
static void resolve_any(struct pol_build *b, struct pol_node *node, const struct pol_item *item,
			const char *what, const char *keyword, const struct cs_range *ranges,
			unsigned n, struct cs_addr *addr)
{
	char text[CS_ADDR_STRLEN];

	if (n != 1 || !cs_range_is_single(&ranges[0]))
		pol_wrong(b, node, item, NULL,
			  "the action's %s is Any, so the rule's %s must be one address", what,
			  keyword);
	else if (addr->family && !cs_addr_equal(addr, &ranges[0].lo))
		pol_wrong(b, node, item, NULL,
			  "the action's %s is Any, and another rule of it has %s %s; each needs an "
			  "action of its own",
			  what, keyword, cs_addr_text(addr, text));
	else
		*addr = ranges[0].lo;
}

static bool covers_only(const struct cs_range *ranges, unsigned n, const struct cs_addr *addr)
{
	return n == 1 && cs_range_is_single(&ranges[0]) && cs_addr_equal(&ranges[0].lo, addr);
}

/* The SPI of one protocol and direction, 0: it has no such SA. */
static uint32_t spi_of(const struct pol_manvpn_action *a, enum pol_proto proto, bool inbound)
{
	const struct pol_manual_sa *auth = inbound ? &a->auth_in : &a->auth_out;
	const struct pol_manual_sa *encrypt = inbound ? &a->encrypt_in : &a->encrypt_out;

	return a->auth_proto == proto ? auth->spi : proto == POL_ESP ? encrypt->spi : 0;
}

/* The kernel, and so every host, tells SAs apart by SPI, protocol and where they end. */
static void check_conflict(struct pol_build *b, struct pol_node *node, const struct pol_item *item,
			   const struct pol_manvpn_action *a, const struct pol_manvpn_action *o)
{
	static const enum pol_proto protos[] = {POL_ESP, POL_AH};

	for (int i = 0; i < 4; i++) {
		bool inbound = i < 2;
		uint32_t spi = spi_of(a, protos[i % 2], inbound);

		if (!spi || spi != spi_of(o, protos[i % 2], inbound) ||
		    !cs_addr_equal(inbound ? &a->local : &a->remote,
				   inbound ? &o->local : &o->remote))
			continue;
		pol_wrong(b, node, item, NULL,
			  "IpManVpnAction %s and %s have the same %s SPI %u of %s for the same %s "
			  "security endpoint",
			  o->name, a->name, inbound ? "inbound" : "outbound", spi,
			  protos[i % 2] == POL_AH ? "AH" : "ESP", inbound ? "local" : "remote");
		return;
	}
}

void pol_use_manual(struct pol_build *b, struct pol_node *node, const struct pol_item *item,
		    const struct pol_filter_rule *rule)
{
	struct pol_manvpn_action *a = item->target->made;
	struct pol_policy *p = b->policy;
	uint8_t family = pol_family_of(rule->src, rule->n_src);

	if (family != (a->any_local ? a->any_local : a->local.family)) {
		pol_wrong(b, node, item, NULL,
			  "the security endpoints of IpManVpnAction %s are of another IP family "
			  "than the rule",
			  a->name);
		return;
	}
	if (a->any_local)
		resolve_any(b, node, item, "LocalSecurityEndpointAddr", "IpSourceAddr", rule->src,
			    rule->n_src, &a->local);
	if (a->any_remote)
		resolve_any(b, node, item, "RemoteSecurityEndpointAddr", "IpDestAddr", rule->dst,
			    rule->n_dst, &a->remote);
	if (node->failed)
		return;
	if (a->encap == POL_TRANSPORT && (!covers_only(rule->src, rule->n_src, &a->local) ||
					  !covers_only(rule->dst, rule->n_dst, &a->remote)))
		pol_warn(b, node, item, NULL,
			 "the tunnel is in transport mode and carries what its own endpoints say "
			 "to each other; all else of the rule is dropped");
	for (unsigned i = 0; i < p->n_manuals; i++)
		if (p->manuals[i] == a)
			return;
	for (unsigned i = 0; i < p->n_manuals; i++)
		check_conflict(b, node, item, a, p->manuals[i]);
	p->manuals =
		pol_append(b, p->manuals, &p->n_manuals, &a, sizeof(struct pol_manvpn_action *));
}
