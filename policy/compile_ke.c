/* KeyExchangeOffer, KeyExchangeAction, KeyExchangeRule and KeyExchangePolicy. */
#include <gcrypt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "policy/compile.h"
#include "policy/quirk.h"

#define KEY_MAX  900
#define FIPS_MIN 14 /* libgcrypt's least HMAC key in FIPS mode */

static const enum pol_mode modes[] = {POL_MODE_MAIN, POL_MODE_AGGRESSIVE, POL_MODE_EITHER};

/* ---- offers ---- */

static void make_algorithms(struct pol_build *b, struct pol_node *node, struct pol_ke_offer *o)
{
	const char *text = pol_text_of(node, "HowToAuthMsgs");
	char keyword[32];

	o->cipher = pol_make_cipher(b, node);
	if (text && pol_choice_of(node, "HowToAuthMsgs") >= 0 &&
	    pol_word_copy(pol_word_next(&text), keyword, sizeof(keyword))) {
		o->hash = cs_hash_by_keyword(keyword);
		if (!o->hash)
			pol_wrong(b, node, pol_item_of(node, "HowToAuthMsgs"), "HowToAuthMsgs",
				  "%s is not supported", keyword);
		else if (b->policy->fips140 && !o->hash->fips)
			pol_wrong(b, node, pol_item_of(node, "HowToAuthMsgs"), "HowToAuthMsgs",
				  "%s is not allowed with FIPS140 Yes", keyword);
	}
	text = pol_text_of(node, "DHGroup");
	if (text && pol_choice_of(node, "DHGroup") >= 0 &&
	    pol_word_copy(pol_word_next(&text), keyword, sizeof(keyword))) {
		o->group = cs_group_by_keyword(keyword);
		if (!o->group)
			pol_wrong(b, node, pol_item_of(node, "DHGroup"), "DHGroup",
				  "%s is not supported", keyword);
		else if (b->policy->fips140 && !o->group->fips)
			pol_wrong(b, node, pol_item_of(node, "DHGroup"), "DHGroup",
				  "%s is not allowed with FIPS140 Yes", keyword);
	}
}

const void *pol_make_ke_offer(struct pol_build *b, struct pol_node *node)
{
	struct pol_ke_offer *o;

	if (node->tried)
		return node->made;
	node->tried = true;
	o = pol_get(b, 1, sizeof(*o));
	if (!o)
		return NULL;
	snprintf(o->name, sizeof(o->name), "%s", node->name ? node->name : "");
	make_algorithms(b, node, o);
	o->auth = pol_choice_of(node, "HowToAuthPeers") == 0 ? POL_AUTH_PSK : POL_AUTH_RSA;
	pol_make_lives(b, node, &o->life_seconds, &o->life_kbytes);
	return pol_done(b, node, o);
}

/* ---- actions ---- */

/* An action's switch, else the policy's. */
static bool inherited_yes(const struct pol_build *b, const struct pol_node *node,
			  const char *keyword)
{
	if (pol_item_of(node, keyword) || !b->key_exchange)
		return pol_yes_of(node, keyword);
	return pol_yes_of(b->key_exchange, keyword);
}

static uint32_t inherited_number(const struct pol_build *b, const struct pol_node *node,
				 const char *keyword)
{
	unsigned long n = 0;

	if (pol_item_of(node, keyword) || !b->key_exchange)
		pol_number_of(node, keyword, &n);
	else
		pol_number_of(b->key_exchange, keyword, &n);
	return (uint32_t)n;
}

static enum pol_revocation revocation_of(const struct pol_build *b, const struct pol_node *node)
{
	static const enum pol_revocation levels[] = {POL_REVOCATION_NONE, POL_REVOCATION_LOOSE,
						     POL_REVOCATION_STRICT};
	int choice = pol_choice_of(node, "RevocationChecking");

	if (choice < 0 && b->key_exchange)
		choice = pol_choice_of(b->key_exchange, "RevocationChecking");
	return choice < 0 ? POL_REVOCATION_LOOSE : levels[choice];
}

static enum pol_mode initiate_of(struct pol_build *b, struct pol_node *node)
{
	static const enum pol_mode initiate[] = {POL_MODE_MAIN, POL_MODE_AGGRESSIVE, POL_MODE_DONOT,
						 POL_MODE_DONOT};
	int choice = pol_choice_of(node, "HowToInitiate");

	if (choice == 3)
		pol_wrong(b, node, pol_item_of(node, "HowToInitiate"), NULL,
			  "IKEv2 is not supported by this release");
	else if (choice < 0 && b->key_exchange)
		choice = pol_choice_of(b->key_exchange, "HowToInitiate");
	return choice < 0 ? POL_MODE_MAIN : initiate[choice];
}

static void make_respond(struct pol_build *b, struct pol_node *node, struct pol_ke_action *a)
{
	const struct pol_item *old = pol_item_of(node, "HowToRespond");
	const struct pol_item *now = pol_item_of(node, "HowToRespondIKEv1");
	int choice = pol_choice_of(node, old && !now ? "HowToRespond" : "HowToRespondIKEv1");

	a->respond_coded = old || now;
	a->respond = choice < 0 ? POL_MODE_EITHER : modes[choice];
	if (old && now)
		pol_warn(b, node, old, NULL, "HowToRespondIKEv1 on line %u is used instead",
			 now->line);
}

static void add_ke_offers(struct pol_build *b, struct pol_node *node, struct pol_ke_action *a)
{
	for (unsigned i = 0; i < node->n_items; i++) {
		const struct pol_item *item = &node->items[i];
		struct pol_node *target = pol_target(item);
		const struct pol_ke_offer *o;

		if (!item->param->group || strcmp(item->param->group, "offers") != 0)
			continue;
		o = target ? pol_make_ke_offer(b, target) : NULL;
		if (!o) {
			pol_inherit(b, node, item);
			continue;
		}
		a->offers = pol_append(b, a->offers, &a->n_offers, o, sizeof(*o));
		if (a->initiate == POL_MODE_AGGRESSIVE && a->n_offers > 0 &&
		    o->group != a->offers[0].group)
			pol_wrong(b, node, item, NULL,
				  "its DHGroup differs from the first offer's, and Aggressive mode "
				  "cannot negotiate the group");
	}
}

/* ---- clients of a gateway ---- */

#define CRYPT_LEAST 22 /* characters of the shortest hash, that of MD5 */

/*
 * "$6$salt$hash", as crypt(5) has it: a password, a hash that was cut, or a setting without one
 * would be a user whom nothing lets in.
 */
static bool is_crypt_hash(const char *text)
{
	const char *hash = strrchr(text, '$');

	return text[0] == '$' && text[1] != '$' && hash - text >= 3 &&
	       strspn(hash + 1,
		      "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") ==
		       strlen(hash + 1) &&
	       strlen(hash + 1) >= CRYPT_LEAST;
}

static void add_user(struct pol_build *b, struct pol_node *node, const struct pol_item *item,
		     struct pol_ke_action *a)
{
	const char *text = item->value;
	struct pol_client_user u = {0};

	if (strcmp(text, POL_NOT_SHOWN) == 0)
		return; /* told by validation */
	if (!pol_word_copy(pol_word_next(&text), u.name, sizeof(u.name)) ||
	    !pol_word_copy(pol_word_next(&text), u.hash, sizeof(u.hash)) || !u.name[0] ||
	    !u.hash[0] || pol_word_next(&text).len) {
		pol_misvalue(
			b, node, item, POL_ALL_OF_IT,
			"a name of at most %d characters and the hash of a password must follow",
			POL_USER_MAX);
		return;
	}
	if (!is_crypt_hash(u.hash)) {
		pol_misvalue(
			b, node, item, POL_ALL_OF_IT,
			"behind the name must be a whole hash as crypt(5) has it, $6$salt$hash for "
			"instance");
		return;
	}
	for (unsigned i = 0; i < a->n_users; i++)
		if (!strcmp(a->users[i].name, u.name))
			pol_wrong(b, node, item, NULL, "user %s is here twice", u.name);
	a->users = pol_append(b, a->users, &a->n_users, &u, sizeof(u));
}

/* Clients get none that ends in 0 or 255, and of three one ends otherwise. */
static bool has_client_address(const struct cs_range *pool)
{
	struct cs_addr a = pool->lo;

	for (int i = 0; i < 3 && cs_addr_compare(&a, &pool->hi) <= 0; i++) {
		if (a.b[3] != 0 && a.b[3] != 255)
			return true;
		for (int byte = 3; byte >= 0 && ++a.b[byte] == 0; byte--)
			;
	}
	return false;
}

static void make_pool(struct pol_build *b, struct pol_node *node, struct pol_ke_action *a)
{
	const struct pol_item *item = pol_item_of(node, "ClientAddressPool");

	if (!item || !pol_range_of(item->value, &a->pool, NULL))
		return; /* the form is told by validation */
	if (a->pool.lo.family != AF_INET || !a->pool.lo.b[0] || a->pool.hi.b[0] >= 224)
		pol_wrong(b, node, item, NULL, "it must be of IPv4 unicast addresses");
	else if (!has_client_address(&a->pool))
		pol_wrong(b, node, item, NULL, "all of its addresses end in 0 or 255");
}

static void make_clients(struct pol_build *b, struct pol_node *node, struct pol_ke_action *a)
{
	static const char *const only[] = {"ClientUser", "ClientAddressPool", "ClientDns"};
	const char *dns = pol_text_of(node, "ClientDns");

	a->xauth = pol_choice_of(node, "ClientAuthentication") == 1;
	for (unsigned i = 0; !a->xauth && i < 3; i++)
		if (pol_item_of(node, only[i]))
			pol_wrong(b, node, pol_item_of(node, only[i]), NULL,
				  "it takes ClientAuthentication XAuth");
	if (!a->xauth)
		return;
	for (unsigned i = 0; i < node->n_items; i++)
		if (!strcmp(node->items[i].param->keyword, "ClientUser"))
			add_user(b, node, &node->items[i], a);
	make_pool(b, node, a);
	if (dns && cs_addr_parse(dns, &a->dns, NULL) == 0 && a->dns.family != AF_INET)
		pol_wrong(b, node, pol_item_of(node, "ClientDns"), NULL,
			  "it must be an IPv4 address");
	if (!pol_item_of(node, "ClientUser"))
		pol_wrong(b, node, NULL, "ClientUser",
			  "it is required with ClientAuthentication XAuth");
	if (a->initiate != POL_MODE_DONOT)
		pol_wrong(b, node, pol_item_of(node, "ClientAuthentication"), NULL,
			  "XAuth takes HowToInitiate DoNot: clients begin");
}

static void make_nat(struct pol_build *b, struct pol_node *node, struct pol_ke_action *a)
{
	a->allow_nat = inherited_yes(b, node, "AllowNat");
	a->nat_force_encap = pol_yes_of(node, "NatForceEncapsulation");
	if (a->nat_force_encap && !a->allow_nat)
		pol_wrong(b, node, pol_item_of(node, "NatForceEncapsulation"), NULL,
			  "it takes AllowNat Yes");
}

static unsigned quirks_of(const struct pol_node *node)
{
	unsigned n, bits = 0;
	const struct pol_quirk *rows = pol_quirks(&n);

	for (unsigned i = 0; i < node->n_items; i++)
		for (unsigned k = 0; k < n; k++)
			if (!strcmp(node->items[i].param->keyword, "PeerQuirk") &&
			    rows[k].keyword &&
			    pol_choice(rows[k].keyword, node->items[i].value, NULL) == 0)
				bits |= rows[k].bit;
	return bits;
}

const void *pol_make_ke_action(struct pol_build *b, struct pol_node *node)
{
	struct pol_ke_action *a;

	if (node->tried)
		return node->made;
	node->tried = true;
	a = pol_get(b, 1, sizeof(*a));
	if (!a)
		return NULL;
	snprintf(a->name, sizeof(a->name), "%s", node->name ? node->name : "");
	a->initiate = initiate_of(b, node);
	make_respond(b, node, a);
	make_nat(b, node, a);
	a->bypass_ip_validation = inherited_yes(b, node, "BypassIpValidation");
	a->liveness = inherited_number(b, node, "LivenessInterval");
	a->filter_by_identity = pol_yes_of(node, "FilterByIdentity");
	a->revocation = revocation_of(b, node);
	add_ke_offers(b, node, a);
	make_clients(b, node, a);
	a->quirks = quirks_of(node);
	return pol_done(b, node, a);
}

/* ---- rules ---- */

static void fingerprint(const struct cs_bytes *key, char text[static 5])
{
	uint8_t digest[32];

	if (!gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P))
		gcry_check_version(NULL);
	gcry_md_hash_buffer(GCRY_MD_SHA256, digest, key->p, key->len);
	cs_hex(digest, 2, text);
	cs_wipe(digest, sizeof(digest));
}

static void make_key(struct pol_build *b, struct pol_node *node, struct pol_ke_rule *r)
{
	const struct pol_item *item = pol_item_of(node, "SharedKey");
	const char *wrong = NULL, *text;
	struct pol_word form, key;

	if (!item || pol_choice_of(node, "SharedKey") < 0)
		return; /* the form is told by validation */
	if (!pol_make_bytes(b, item->value, KEY_MAX, &r->shared_key, &wrong)) {
		if (wrong)
			pol_misvalue(b, node, item, POL_ALL_OF_IT, "%s", wrong);
		return;
	}
	text = item->value;
	form = pol_word_next(&text);
	key = pol_word_next(&text);
	if (!pol_word_is(form, "Hex") && (*key.p == '"' || *key.p == '\''))
		pol_warn(b, node, item, NULL,
			 "the quotation mark is part of the key: nothing is quoted in this file");
	if (pol_word_next(&text).len)
		pol_warn(b, node, item, NULL,
			 "the key ends at the first blank; what follows is ignored");
	if (b->policy->fips140 && r->shared_key.len < FIPS_MIN)
		pol_wrong(b, node, item, NULL, "with FIPS140 Yes a key has at least %d bytes",
			  FIPS_MIN);
	fingerprint(&r->shared_key, r->key_fingerprint);
}

static void check_key(struct pol_build *b, struct pol_node *node, const struct pol_ke_rule *r)
{
	if (pol_item_of(node, "SharedKey") || !r->action)
		return;
	for (unsigned i = 0; i < r->action->n_offers; i++)
		if (r->action->offers[i].auth == POL_AUTH_PSK) {
			pol_wrong(b, node, NULL, "SharedKey",
				  "it is required: an offer of KeyExchangeAction %s has "
				  "HowToAuthPeers PresharedKey",
				  r->action->name);
			return;
		}
}

static const struct pol_item *make_side(struct pol_build *b, struct pol_node *node,
					const char *keyword, const char *ref_keyword,
					struct pol_sec_endpoint *e)
{
	const struct pol_item *item = pol_item_of(node, keyword);
	const struct pol_sec_endpoint *made;
	struct pol_node *target;

	if (!item)
		item = pol_item_of(node, ref_keyword);
	if (!item)
		return NULL; /* told by validation */
	target = pol_target(item);
	made = target ? pol_make_endpoint(b, target) : NULL;
	if (made)
		*e = *made;
	else
		pol_inherit(b, node, item);
	return item;
}

static void check_sides(struct pol_build *b, struct pol_node *node, const struct pol_item *remote,
			const struct pol_ke_rule *r)
{
	uint8_t here, there;

	if (!r->local.n_locations || !r->remote.n_locations)
		return;
	here = pol_family_of(r->local.locations, r->local.n_locations);
	there = pol_family_of(r->remote.locations, r->remote.n_locations);
	if (!here || !there || here != there)
		pol_wrong(b, node, remote, NULL,
			  "the locations of both endpoints must be of one IP family (Any and "
			  "absent mean Any4)");
}

const void *pol_make_ke_rule(struct pol_build *b, struct pol_node *node)
{
	const struct pol_item *action = pol_item_of(node, "KeyExchangeActionRef"), *remote;
	struct pol_ke_rule *r;

	if (node->tried)
		return node->made;
	node->tried = true;
	r = pol_get(b, 1, sizeof(*r));
	if (!r)
		return NULL;
	snprintf(r->name, sizeof(r->name), "%s", node->name ? node->name : "");
	make_side(b, node, "LocalSecurityEndpoint", "LocalSecurityEndpointRef", &r->local);
	remote = make_side(b, node, "RemoteSecurityEndpoint", "RemoteSecurityEndpointRef",
			   &r->remote);
	if (remote)
		check_sides(b, node, remote, r);
	if (action) {
		r->action = action->target ? pol_make_ke_action(b, action->target) : NULL;
		if (!r->action)
			pol_inherit(b, node, action);
	}
	make_key(b, node, r);
	check_key(b, node, r);
	return pol_done(b, node, r);
}

/* ---- the policy ---- */

static void add_ke_rule(struct pol_build *b, struct pol_node *node, const struct pol_node *group,
			struct pol_node *holder, const struct pol_item *item)
{
	const struct pol_ke_rule *made = pol_make_ke_rule(b, node);
	struct pol_policy *p = b->policy;
	struct pol_ke_rule r;

	(void)holder;
	(void)item;
	if (!made)
		return;
	r = *made;
	pol_set_group(r.group_name, group);
	p->ke_rules = pol_append(b, p->ke_rules, &p->n_ke_rules, &r, sizeof(r));
}

void pol_make_ke_policy(struct pol_build *b)
{
	struct pol_node *node = pol_lookup(b, "KeyExchangePolicy", "");
	unsigned long n;

	if (!node)
		return;
	if (pol_number_of(node, "NatKeepAliveInterval", &n))
		b->policy->nat_keepalive = (uint32_t)n;
	if (pol_choice_of(node, "HowToInitiate") == 3)
		pol_wrong(b, node, pol_item_of(node, "HowToInitiate"), NULL,
			  "IKEv2 is not supported by this release");
	pol_each_rule(b, node, add_ke_rule);
}
