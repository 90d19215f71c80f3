/* IpGenericFilterAction, IpDynVpnAction, IpDataOffer and IpLocalStartAction. */
#include <stdio.h>
#include <string.h>

#include "policy/compile.h"
#include "policy/near.h"

static void copy_name(char to[POL_NAME_MAX + 1], const struct pol_node *node)
{
	snprintf(to, POL_NAME_MAX + 1, "%s", node->name ? node->name : "");
}

const void *pol_make_generic(struct pol_build *b, struct pol_node *node)
{
	int verdict = pol_choice_of(node, "IpFilterAction");
	int log = pol_choice_of(node, "IpFilterLogging");
	struct pol_generic *g;

	if (node->tried)
		return node->made;
	node->tried = true;
	g = pol_get(b, 1, sizeof(*g));
	if (!g)
		return NULL;
	if (verdict >= 0)
		g->verdict = (enum pol_verdict)verdict;
	if (log >= 0)
		g->log = (enum pol_log)log;
	g->discard_icmp = pol_choice_of(node, "DiscardAction") == 1;
	if (verdict >= 0 && g->verdict != POL_IPSEC && g->log > POL_LOG_YES)
		pol_wrong(b, node, pol_item_of(node, "IpFilterLogging"), NULL,
			  "LogPermit and LogDeny apply to action IpSec alone");
	return pol_done(b, node, g);
}

/* ---- offers ---- */

static void make_life(struct pol_build *b, struct pol_node *node, const char *proposed,
		      const char *accepted, unsigned unit, struct pol_life *life)
{
	unsigned long n, lo, hi;
	bool has_proposed = pol_number_of(node, proposed, &n);
	const struct pol_item *item = pol_item_of(node, proposed);

	memset(life, 0, sizeof(*life));
	if (has_proposed)
		life->proposed = (uint32_t)n * unit;
	if (!pol_numbers_of(node, accepted, &lo, &hi))
		return;
	life->accepted_min = (uint32_t)lo * unit;
	life->accepted_max = (uint32_t)hi * unit;
	if (!has_proposed || lo > hi || (item && n > item->param->max))
		return; /* told by validation */
	if (n < lo || n > hi)
		pol_wrong(b, node, item ? item : pol_item_of(node, accepted), proposed,
			  "%lu lies outside %s %lu %lu", n, accepted, lo, hi);
}

void pol_make_lives(struct pol_build *b, struct pol_node *node, struct pol_life *seconds,
		    struct pol_life *kbytes)
{
	make_life(b, node, "RefreshLifetimeProposed", "RefreshLifetimeAccepted", 60, seconds);
	make_life(b, node, "RefreshLifesizeProposed", "RefreshLifesizeAccepted", 1, kbytes);
}

const struct cs_cipher *pol_make_cipher(struct pol_build *b, struct pol_node *node)
{
	const struct pol_item *item = pol_item_of(node, "HowToEncrypt");
	const char *text = pol_text_of(node, "HowToEncrypt");
	struct pol_word word, key, length;
	const struct cs_cipher *cipher;
	unsigned long bits = 0;
	char keyword[32];

	if (!text || !pol_word_copy(word = pol_word_next(&text), keyword, sizeof(keyword)) ||
	    pol_choice_of(node, "HowToEncrypt") < 0)
		return NULL;
	if (pol_word_is(word, "AES_CBC") || pol_word_is(word, "AES_GCM_16")) {
		key = pol_word_next(&text);
		length = pol_word_next(&text);
		if (!pol_word_is(key, "KeyLength") || pol_number(length, &bits)) {
			pol_misvalue(b, node, item, POL_ALL_OF_IT, "%s needs KeyLength 128 or 256",
				     keyword);
			return NULL;
		}
		if (bits != 128 && bits != 256) {
			pol_misvalue(b, node, item, length,
				     "%s has no key length of %lu bits: 128 or 256", keyword, bits);
			return NULL;
		}
	}
	if (pol_word_is(word, "AES"))
		pol_warn(b, node, item, NULL, "deprecated: code AES_CBC KeyLength 128");
	cipher = cs_cipher_by_keyword(keyword, (unsigned)bits);
	if (!cipher || !cipher->supported)
		pol_wrong(b, node, item, NULL, "%s is not supported", keyword);
	else if (b->policy->fips140 && !cipher->fips && !pol_word_is(word, "DoNot"))
		pol_wrong(b, node, item, NULL, "%s is not allowed with FIPS140 Yes", keyword);
	else
		return cipher;
	return NULL;
}

static void wrong_integ(struct pol_build *b, struct pol_node *node, const struct pol_item *item,
			struct pol_word word)
{
	unsigned n;
	const struct cs_integ *rows = cs_integs(&n);
	struct pol_near near = {0};
	char copy[POL_NEAR_MAX + 1];

	if (pol_word_copy(word, copy, sizeof(copy))) {
		pol_near_begin(&near, copy);
		for (unsigned i = 0; i < n; i++)
			pol_near_try(&near, rows[i].keyword, strlen(rows[i].keyword));
	}
	if (near.best)
		pol_misvalue(b, node, item, word,
			     "'%.*s' is not an authentication algorithm; did you mean %s?",
			     (int)word.len, word.p, near.best);
	else
		pol_misvalue(b, node, item, word, "'%.*s' is not an authentication algorithm",
			     (int)(word.len < 40 ? word.len : 40), word.p);
}

bool pol_make_auth(struct pol_build *b, struct pol_node *node, enum pol_proto *proto,
		   const struct cs_integ **integ, bool *null, bool *gmac)
{
	const struct pol_item *item = pol_item_of(node, "HowToAuth");
	const char *text = pol_text_of(node, "HowToAuth");
	struct pol_word word;
	char keyword[32];

	*null = *gmac = false;
	if (!text || pol_choice_of(node, "HowToAuth") < 0)
		return false;
	*proto = pol_word_is(pol_word_next(&text), "AH") ? POL_AH : POL_ESP;
	word = pol_word_next(&text);
	if (word.len == 0) {
		pol_misvalue(b, node, item, POL_ALL_OF_IT,
			     "an algorithm is missing behind AH or ESP");
		return false;
	}
	if (!pol_word_copy(word, keyword, sizeof(keyword)))
		keyword[0] = '\0';
	*null = pol_word_is(word, "Null");
	*gmac = pol_word_is(word, "AES_GMAC_128") || pol_word_is(word, "AES_GMAC_256");
	if (*null)
		return true;
	if (pol_word_is(word, "HMAC_SHA"))
		pol_warn(b, node, item, NULL, "deprecated: code HMAC_SHA1");
	*integ = cs_integ_by_keyword(keyword);
	if (*gmac && (!*integ || !(*integ)->supported))
		return true; /* told with what it stands beside */
	if (!*integ)
		wrong_integ(b, node, item, word);
	else if (!(*integ)->supported)
		pol_wrong(b, node, item, NULL, "%s is not supported", keyword);
	else if (b->policy->fips140 && !(*integ)->fips)
		pol_wrong(b, node, item, NULL, "%s is not allowed with FIPS140 Yes", keyword);
	else
		return true;
	return false;
}

/* What encryption and authentication may stand together. */
static void check_transforms(struct pol_build *b, struct pol_node *node,
			     const struct pol_data_offer *o, bool null, bool gmac)
{
	const struct pol_item *item = pol_item_of(node, "HowToAuth");
	bool donot = o->cipher->esp == 11; /* ESP_NULL */

	if (!item)
		item = pol_item_of(node, "HowToEncrypt");
	if (null && o->auth_proto == POL_AH)
		pol_wrong(b, node, item, "HowToAuth", "AH must authenticate; Null is for ESP");
	else if (null && !o->cipher->icv_bits)
		pol_wrong(b, node, item, "HowToAuth",
			  "Null leaves no integrity protection; it needs AES_GCM_16");
	else if (o->cipher->icv_bits && !null)
		pol_wrong(b, node, item, "HowToAuth", "%s needs ESP Null", o->cipher->keyword);
	else if (gmac && !donot)
		pol_wrong(b, node, item, "HowToAuth", "AES_GMAC needs HowToEncrypt DoNot");
	else if (gmac && (!o->integ || !o->integ->supported))
		pol_wrong(b, node, item, "HowToAuth", "AES_GMAC is not supported");
}

const void *pol_make_data_offer(struct pol_build *b, struct pol_node *node)
{
	struct pol_data_offer *o;
	bool null, gmac, auth;

	if (node->tried)
		return node->made;
	node->tried = true;
	o = pol_get(b, 1, sizeof(*o));
	if (!o)
		return NULL;
	copy_name(o->name, node);
	o->encap = pol_choice_of(node, "HowToEncap") == 1 ? POL_TRANSPORT : POL_TUNNEL;
	o->cipher = pol_make_cipher(b, node);
	auth = pol_make_auth(b, node, &o->auth_proto, &o->integ, &null, &gmac);
	if (o->cipher && auth)
		check_transforms(b, node, o, null, gmac);
	if (o->cipher && o->cipher->esp == 11)
		o->cipher = NULL; /* DoNot */
	pol_make_lives(b, node, &o->life_seconds, &o->life_kbytes);
	return pol_done(b, node, o);
}

/* ---- IpDynVpnAction ---- */

static uint16_t pfs_number(struct pol_build *b, struct pol_node *node, const struct pol_item *item)
{
	const char *text = item->value;
	const struct cs_group *group;
	struct pol_word word = pol_word_next(&text);
	char keyword[16];

	if (pol_choice(item->param->values, item->value, NULL) < 0 || pol_word_is(word, "None") ||
	    !pol_word_copy(word, keyword, sizeof(keyword)))
		return POL_PFS_NONE;
	group = cs_group_by_keyword(keyword);
	if (!group) {
		pol_wrong(b, node, item, NULL, "%s is not supported", keyword);
		return POL_PFS_NONE;
	}
	if (b->policy->fips140 && !group->fips)
		pol_wrong(b, node, item, NULL, "%s is not allowed with FIPS140 Yes", keyword);
	return group->number;
}

static void accept_pfs(struct pol_build *b, struct pol_dynvpn_action *a, uint16_t number)
{
	for (unsigned i = 0; i < a->n_accept_pfs; i++)
		if (a->accept_pfs[i] == number)
			return;
	a->accept_pfs = pol_append(b, a->accept_pfs, &a->n_accept_pfs, &number, sizeof(number));
}

static void make_pfs(struct pol_build *b, struct pol_node *node, struct pol_dynvpn_action *a)
{
	const struct pol_item *old = pol_item_of(node, "Pfs");
	const struct pol_item *with = pol_item_of(node, "InitiateWithPfs");
	const struct pol_item *accept = pol_item_of(node, "AcceptablePfs");
	bool found = false;

	if (old && (with || accept))
		pol_wrong(b, node, old, NULL,
			  "it excludes InitiateWithPfs and AcceptablePfs (line %u)",
			  with ? with->line : accept->line);
	if (old || with)
		a->initiate_pfs = pfs_number(b, node, old ? old : with);
	for (unsigned i = 0; i < node->n_items; i++)
		if (accept && node->items[i].param == accept->param)
			accept_pfs(b, a, pfs_number(b, node, &node->items[i]));
	if (!accept)
		accept_pfs(b, a, a->initiate_pfs);
	for (unsigned i = 0; i < a->n_accept_pfs; i++)
		found = found || a->accept_pfs[i] == a->initiate_pfs;
	if (!found && !node->failed)
		pol_wrong(b, node, with ? with : accept, "InitiateWithPfs",
			  with ? "its value is not among those of AcceptablePfs"
			       : "its default, None, is not among the values of AcceptablePfs");
}

static void add_data_offers(struct pol_build *b, struct pol_node *node, struct pol_dynvpn_action *a)
{
	for (unsigned i = 0; i < node->n_items; i++) {
		const struct pol_item *item = &node->items[i];
		struct pol_node *target = pol_target(item);
		const struct pol_data_offer *o;

		if (strcmp(item->param->of ? item->param->of : "", "IpDataOffer") != 0)
			continue;
		o = target ? pol_make_data_offer(b, target) : NULL;
		if (!o) {
			pol_inherit(b, node, item);
			continue;
		}
		a->offers = pol_append(b, a->offers, &a->n_offers, o, sizeof(*o));
		if (a->vpn_life && a->vpn_life < o->life_seconds.proposed)
			pol_warn(b, node, pol_item_of(node, "VpnLife"), "VpnLife",
				 "it is shorter than RefreshLifetimeProposed of an offer: the "
				 "tunnel will never be refreshed");
	}
}

const void *pol_make_dynvpn(struct pol_build *b, struct pol_node *node)
{
	int initiation = pol_choice_of(node, "Initiation"),
	    df = pol_choice_of(node, "PassthroughDF");
	struct pol_dynvpn_action *a;
	unsigned long life;

	if (node->tried)
		return node->made;
	node->tried = true;
	a = pol_get(b, 1, sizeof(*a));
	if (!a)
		return NULL;
	copy_name(a->name, node);
	if (initiation >= 0)
		a->initiation = (enum pol_initiation)initiation;
	if (pol_number_of(node, "VpnLife", &life))
		a->vpn_life = (uint32_t)life * 60;
	a->passthrough_df = df == 0;
	a->df_set = df == 3;
	a->passthrough_dscp = pol_yes_of(node, "PassthroughDSCP");
	make_pfs(b, node, a);
	add_data_offers(b, node, a);
	return pol_done(b, node, a);
}

/* ---- IpLocalStartAction ---- */

const struct pol_item *pol_make_security_endpoint(struct pol_build *b, struct pol_node *node,
						  const char *keyword, const char *ref_keyword,
						  struct cs_addr *addr)
{
	const struct pol_item *item = pol_item_of(node, keyword);
	const struct pol_item *ref = pol_item_of(node, ref_keyword);
	const struct pol_ranges *ranges;
	struct cs_range range;

	if (item) {
		if (!pol_range_of(item->value, &range, NULL))
			return NULL;
	} else if (ref) {
		item = ref;
		ranges = ref->target ? pol_make_ranges(b, ref->target) : NULL;
		if (!ranges) {
			pol_inherit(b, node, ref);
			return NULL;
		}
		range = ranges->v[0];
	} else {
		return NULL;
	}
	if (!cs_range_is_single(&range))
		return NULL; /* told by validation */
	if (cs_addr_is_any(&range.lo))
		pol_wrong(b, node, item, NULL, "the unspecified address cannot be an endpoint");
	else if (pol_is_embedded(&range))
		pol_wrong(b, node, item, NULL,
			  "an IPv4-mapped or IPv4-compatible address cannot be an endpoint");
	*addr = range.lo;
	return item;
}

static enum pol_granularity granularity(const struct pol_node *node, const char *keyword)
{
	return pol_choice_of(node, keyword) == 1 ? POL_FROM_RULE : POL_FROM_PACKET;
}

const void *pol_make_start(struct pol_build *b, struct pol_node *node)
{
	struct pol_start_action *s;

	if (node->tried)
		return node->made;
	node->tried = true;
	s = pol_get(b, 1, sizeof(*s));
	if (!s)
		return NULL;
	copy_name(s->name, node);
	s->on_demand = pol_item_of(node, "AllowOnDemand") ? pol_yes_of(node, "AllowOnDemand") : -1;
	pol_make_security_endpoint(b, node, "LocalSecurityEndpointAddr",
				   "LocalSecurityEndpointAddrRef", &s->local);
	pol_make_security_endpoint(b, node, "RemoteSecurityEndpointAddr",
				   "RemoteSecurityEndpointAddrRef", &s->remote);
	if (s->local.family && s->remote.family && s->local.family != s->remote.family)
		pol_wrong(b, node, NULL, NULL,
			  "local and remote security endpoint are of different IP families");
	s->local_ip = granularity(node, "LocalIpGranularity");
	s->remote_ip = granularity(node, "RemoteIpGranularity");
	s->local_port = granularity(node, "LocalPortGranularity");
	s->remote_port = granularity(node, "RemotePortGranularity");
	s->protocol = granularity(node, "ProtocolGranularity");
	return pol_done(b, node, s);
}
