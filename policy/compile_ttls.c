/*
 * The statements of AT-TLS, each by itself: what the grammar's rows cannot say of them. What they
 * come to for a connection is made by compile_ttls_rules.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/compile_ttls.h"

#define JOB_MAX     32
#define KEYRING_MAX 1023
#define KEY_MAX     128
#define URL_MAX     2083
#define HOST_MAX    255
#define LABEL_MAX   127

/* ---- algorithms ---- */

static bool is_cipher(const char *keyword)
{
	return strncmp(keyword, "V3CipherSuites", 14) == 0;
}

static enum pol_code kind_of(const char *keyword)
{
	if (is_cipher(keyword))
		return POL_CODE_CIPHER;
	return strstr(keyword, "Sig") ? POL_CODE_SIGNATURE : POL_CODE_CURVE;
}

static bool has_code(const struct pol_codes *codes, uint16_t id)
{
	for (unsigned i = 0; i < codes->n; i++)
		if (codes->v[i] == id)
			return true;
	return false;
}

static void add_codes(struct pol_build *b, struct pol_node *node, const struct pol_item *item,
		      bool tell, struct pol_codes *codes)
{
	enum pol_code kind = kind_of(item->param->keyword);
	unsigned width = strcmp(item->param->keyword, "V3CipherSuites") == 0 ? 2 : 4;
	const char *text = item->value;
	struct pol_word rest = pol_word_next(&text), more = pol_word_next(&text), token;
	enum pol_code_end end;
	uint16_t id;

	if (more.len && tell)
		pol_wrong(b, node, item, NULL,
			  "the value has more than one word: a line has one "
			  "constant, or codes without blanks");
	while ((end = pol_code_next(kind, width, &rest, &token, &id)) != POL_CODE_END) {
		int len = (int)(token.len > 60 ? 60 : token.len);

		if (end == POL_CODE_UNKNOWN && tell)
			pol_wrong(b, node, item, NULL,
				  "'%.*s' is no %s: it is neither a constant "
				  "nor %u digits",
				  len, token.p, pol_code_kind(kind), width);
		else if (end == POL_CODE_MISSING && tell)
			pol_warn(b, node, item, NULL, "OpenSSL has no %s %.*s: it is left out",
				 pol_code_kind(kind), len, token.p);
		if (end == POL_CODE_OK && !has_code(codes, id))
			codes->v = pol_append(b, codes->v, &codes->n, &id, sizeof(id));
	}
}

void pol_ttls_codes(struct pol_build *b, struct pol_node *node, const char *keyword, bool tell,
		    struct pol_codes *codes)
{
	unsigned any = 0;

	*codes = (struct pol_codes){0};
	for (unsigned i = 0; i < node->n_items; i++) {
		const struct pol_item *item = &node->items[i];
		const char *text = item->value;

		if (strcmp(item->param->keyword, keyword) != 0 &&
		    !(is_cipher(keyword) && is_cipher(item->param->keyword)))
			continue;
		codes->coded = true;
		if (strcmp(keyword, "ClientECurves") == 0 &&
		    pol_word_is(pol_word_next(&text), "Any")) {
			any = item->line;
			continue;
		}
		add_codes(b, node, item, tell, codes);
		if (any && tell)
			pol_wrong(b, node, item, NULL, "Any on line %u stands alone", any);
	}
}

/* SSL version 2's, which are read and not used: one digit each. */
static void check_v2_ciphers(struct pol_build *b, struct pol_node *node,
			     const struct pol_item *item)
{
	static const char *const constants[] = {
		"TLS_RC4_128_WITH_MD5",         "TLS_RC4_128_EXPORT40_WITH_MD5",
		"TLS_RC2_CBC_128_CBC_WITH_MD5", "TLS_RC2_CBC_128_CBC_EXPORT40_WITH_MD5",
		"TLS_DES_64_CBC_WITH_MD5",      "TLS_DES_192_EDE3_CBC_WITH_MD5"};
	const char *text = item->value;
	struct pol_word word = pol_word_next(&text);

	for (unsigned i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
		if (pol_word_is(word, constants[i]))
			return;
	for (size_t i = 0; i < word.len; i++)
		if (!strchr("123467", word.p[i]) || i == 10) {
			pol_wrong(
				b, node, item, NULL,
				"the value is neither a constant nor up to 10 digits of 1 to 4, 6 "
				"and 7");
			return;
		}
}

static void check_ciphers(struct pol_build *b, struct pol_node *node)
{
	struct pol_codes codes;

	pol_ttls_codes(b, node, "V3CipherSuites", true, &codes);
	for (unsigned i = 0; i < node->n_items; i++)
		if (strcmp(node->items[i].param->keyword, "V2CipherSuites") == 0)
			check_v2_ciphers(b, node, &node->items[i]);
}

static void check_signatures(struct pol_build *b, struct pol_node *node)
{
	const struct pol_param *p = node->statement->params;
	struct pol_codes codes;

	for (; p->keyword; p++)
		pol_ttls_codes(b, node, p->keyword, true, &codes);
}

/* ---- texts ---- */

static void check_length(struct pol_build *b, struct pol_node *node, const char *keyword,
			 size_t max)
{
	for (unsigned i = 0; i < node->n_items; i++) {
		const struct pol_item *item = &node->items[i];

		if (strcmp(item->param->keyword, keyword) != 0)
			continue;
		if (strlen(item->value) > max)
			pol_wrong(b, node, item, NULL, "the value is longer than %zu characters",
				  max);
		else if (!pol_is_printable(item->value))
			pol_wrong(b, node, item, NULL,
				  "the value has bytes that are no printable UTF-8");
	}
}

/* Names of hosts: one word, but for what may follow in ServerHandshakeSNIList. */
static void check_hosts(struct pol_build *b, struct pol_node *node, const char *keyword, bool more)
{
	for (unsigned i = 0; i < node->n_items; i++) {
		const struct pol_item *item = &node->items[i];
		const char *text = item->value;
		struct pol_word word, rest;

		if (strcmp(item->param->keyword, keyword) != 0)
			continue;
		word = pol_word_next(&text);
		rest = pol_word_next(&text);
		if (word.len > HOST_MAX)
			pol_wrong(b, node, item, NULL, "the name is longer than %d characters",
				  HOST_MAX);
		else if (rest.len && !more)
			pol_wrong(b, node, item, NULL, "the name has a blank; code each in a line");
		else if (!pol_is_printable(item->value))
			pol_wrong(b, node, item, NULL,
				  "the name has bytes that are no printable UTF-8");
	}
}

static void check_keyring(struct pol_build *b, struct pol_node *node)
{
	const struct pol_item *password = pol_item_of(node, "KeyringPw");

	check_length(b, node, "Keyring", KEYRING_MAX);
	check_length(b, node, "KeyringStashFile", KEYRING_MAX);
	if (password && strlen(password->value) > KEY_MAX)
		pol_wrong(b, node, password, NULL, "the value is longer than %d characters",
			  KEY_MAX);
	if (password && pol_item_of(node, "KeyringStashFile"))
		pol_warn(b, node, password, NULL,
			 "it is not used: the password is in KeyringStashFile");
}

static void check_advanced(struct pol_build *b, struct pol_node *node)
{
	check_length(b, node, "CertificateLabel", LABEL_MAX);
	check_length(b, node, "ServerCertificateLabel", LABEL_MAX);
	check_hosts(b, node, "ClientHandshakeSNIList", false);
	check_hosts(b, node, "ServerHandshakeSNIList", true);
	check_hosts(b, node, "HostReferenceIdDNS", false);
	check_length(b, node, "HostReferenceIdCN", HOST_MAX);
}

static void check_gsk(struct pol_build *b, struct pol_node *node)
{
	struct pol_codes codes;

	pol_ttls_codes(b, node, "CrlSigAlgPairs", true, &codes);
}

static void check_ldap(struct pol_build *b, struct pol_node *node)
{
	const struct pol_item *user = pol_item_of(node, "GSK_LDAP_USER");
	const struct pol_item *password = pol_item_of(node, "GSK_LDAP_USER_PW");

	check_hosts(b, node, "GSK_LDAP_SERVER", false);
	check_length(b, node, "GSK_LDAP_USER", KEYRING_MAX);
	if (user && !password)
		pol_wrong(b, node, user, NULL, "it needs a GSK_LDAP_USER_PW");
	else if (password && !user)
		pol_wrong(b, node, password, NULL, "it needs a GSK_LDAP_USER");
}

static void check_ocsp(struct pol_build *b, struct pol_node *node)
{
	const struct pol_item *url = pol_item_of(node, "OcspUrl");
	struct pol_codes codes;

	check_length(b, node, "OcspUrl", URL_MAX);
	check_hosts(b, node, "OcspUrl", false);
	check_hosts(b, node, "OcspProxyServerName", false);
	check_length(b, node, "OcspRequestSigkeylabel", LABEL_MAX);
	pol_ttls_codes(b, node, "OcspRequestSigalg", true, &codes);
	pol_ttls_codes(b, node, "OcspResponseSigAlgPairs", true, &codes);
	if (url && strncasecmp(url->value, "http://", 7) != 0)
		pol_wrong(b, node, url, NULL, "the value does not begin with http://");
}

static void check_http(struct pol_build *b, struct pol_node *node)
{
	check_hosts(b, node, "HttpCdpProxyServerName", false);
}

/* ---- actions ---- */

struct pol_node *pol_ttls_part(const struct pol_node *node, const char *keyword)
{
	size_t len = strlen(keyword);

	for (unsigned i = node ? node->n_items : 0; i-- > 0;) {
		const char *at = node->items[i].param->keyword;

		if (strncmp(at, keyword, len) == 0 && (!at[len] || strcmp(at + len, "Ref") == 0))
			return pol_target(&node->items[i]);
	}
	return NULL;
}

static void check_environment(struct pol_build *b, struct pol_node *node)
{
	const struct pol_node *advanced = pol_ttls_part(node, "TTLSEnvironmentAdvancedParms");
	const struct pol_item *auth = advanced ? pol_item_of(advanced, "ClientAuthType") : NULL;
	int role = pol_choice_of(node, "HandshakeRole"),
	    suite = pol_choice_of(node, "SuiteBProfile");

	if (suite > POL_TTLS_SUITE_B_OFF && pol_ttls_part(node, "TTLSCipherParms"))
		pol_warn(b, node, pol_item_of(node, "SuiteBProfile"), NULL,
			 "TTLSCipherParms are ignored: the profile has cipher suites of its own");
	if (auth && role >= 0 && role != POL_TTLS_SERVER_WITH_CLIENT_AUTH)
		pol_warn(b, advanced, auth, NULL,
			 "it has no effect in the HandshakeRole of TTLSEnvironmentAction %s",
			 node->name);
}

/* ---- rules ---- */

static void check_job(struct pol_build *b, struct pol_node *node, const char *keyword)
{
	const struct pol_item *item = pol_item_of(node, keyword);
	const char *text, *star;
	struct pol_word word;

	if (!item)
		return;
	text = item->value;
	word = pol_word_next(&text);
	star = memchr(word.p, '*', word.len);
	if (word.len > JOB_MAX)
		pol_wrong(b, node, item, NULL, "the name is longer than %d characters", JOB_MAX);
	else if (pol_word_next(&text).len)
		pol_wrong(b, node, item, NULL, "the value has more than one word");
	else if (star && star != word.p + word.len - 1)
		pol_wrong(b, node, item, NULL, "'*' stands at the end of a name alone");
	else if (!pol_is_printable(item->value))
		pol_wrong(b, node, item, NULL, "the name has bytes that are no printable UTF-8");
}

static bool has_selector(const struct pol_node *node)
{
	static const char *const selectors[] = {"LocalAddr",  "RemoteAddr", "LocalPort",
						"RemotePort", "Jobname",    "Userid"};

	for (unsigned i = 0; i < node->n_items; i++)
		for (unsigned k = 0; k < sizeof(selectors) / sizeof(selectors[0]); k++)
			if (strncmp(node->items[i].param->keyword, selectors[k],
				    strlen(selectors[k])) == 0)
				return true;
	return false;
}

static void check_rule(struct pol_build *b, struct pol_node *node)
{
	const struct pol_node *group = pol_ttls_part(node, "TTLSGroupAction");

	check_job(b, node, "Jobname");
	check_job(b, node, "Userid");
	if (!has_selector(node))
		pol_wrong(b, node, NULL, NULL,
			  "at least one address, port, Jobname or Userid is required");
	if (group && pol_yes_of(group, "TTLSEnabled") &&
	    !pol_item_of(node, "TTLSEnvironmentActionRef"))
		pol_wrong(b, node, NULL, "TTLSEnvironmentActionRef",
			  "it is required, because TTLSGroupAction %s has TTLSEnabled On",
			  group->name);
}

/* ---- all of them ---- */

/* What a line names or holds is made first; what is wrong with it is wrong with node. */
static void make_parts(struct pol_build *b, struct pol_node *node)
{
	for (unsigned i = 0; i < node->n_items; i++) {
		const struct pol_item *item = &node->items[i];
		struct pol_node *target = pol_target(item);
		const void *made;

		if (!target) {
			if (item->param->kind == POL_K_REF || item->param->kind == POL_K_BLOCK)
				pol_inherit(b, node, item);
			continue;
		}
		if (strncmp(target->statement->keyword, "IpAddr", 6) == 0)
			made = pol_make_ranges(b, target);
		else if (strcmp(target->statement->keyword, "IpTimeCondition") == 0)
			made = pol_make_time(b, target);
		else
			made = pol_make_ttls(b, target);
		if (!made)
			pol_inherit(b, node, item);
	}
}

const void *pol_make_ttls(struct pol_build *b, struct pol_node *node)
{
	static const struct {
		const char *keyword;
		void (*check)(struct pol_build *b, struct pol_node *node);
	} checks[] = {
		{"TTLSCipherParms", check_ciphers},
		{"TTLSSignatureParms", check_signatures},
		{"TTLSKeyringParms", check_keyring},
		{"TTLSEnvironmentAdvancedParms", check_advanced},
		{"TTLSConnectionAdvancedParms", check_advanced},
		{"TTLSGskAdvancedParms", check_gsk},
		{"TTLSGskLdapParms", check_ldap},
		{"TTLSGskOcspParms", check_ocsp},
		{"TTLSGskHttpCdpParms", check_http},
		{"TTLSEnvironmentAction", check_environment},
		{"TTLSRule", check_rule},
	};

	if (node->tried)
		return node->made;
	node->tried = true;
	make_parts(b, node);
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (strcmp(checks[i].keyword, node->statement->keyword) == 0)
			checks[i].check(b, node);
	return pol_done(b, node, node);
}
