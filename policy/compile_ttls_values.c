/*
 * What the actions of an AT-TLS rule come to: each parameter from the innermost statement that
 * codes it, else its default; and what of it this system cannot do.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/compile_ttls.h"

/* ---- where a value comes from ---- */

static void add_source(struct pol_ttls_sources *s, struct pol_node *node)
{
	if (node)
		s->v[s->n++] = node;
}

/* A source that belongs to the caller, who will not change it. */
static void add_action(struct pol_ttls_sources *s, const struct pol_node *node)
{
	add_source(s, (struct pol_node *)(uintptr_t)node);
}

struct pol_ttls_sources pol_ttls_sources(const struct pol_node *group,
					 const struct pol_node *environment,
					 const struct pol_node *connection)
{
	const struct pol_node *gsk = pol_ttls_part(environment, "TTLSGskAdvancedParms");
	struct pol_ttls_sources s = {.n = 0};

	add_source(&s, pol_ttls_part(connection, "TTLSConnectionAdvancedParms"));
	add_action(&s, connection);
	add_source(&s, pol_ttls_part(environment, "TTLSEnvironmentAdvancedParms"));
	add_action(&s, environment);
	add_source(&s, pol_ttls_part(environment, "TTLSKeyringParms"));
	add_action(&s, gsk);
	add_source(&s, pol_ttls_part(gsk, "TTLSGskLdapParms"));
	add_source(&s, pol_ttls_part(gsk, "TTLSGskOcspParms"));
	add_source(&s, pol_ttls_part(gsk, "TTLSGskHttpCdpParms"));
	add_source(&s, pol_ttls_part(group, "TTLSGroupAdvancedParms"));
	add_action(&s, group);
	return s;
}

struct pol_node *pol_ttls_coder(const struct pol_ttls_sources *s, const char *keyword)
{
	for (unsigned i = 0; i < s->n; i++)
		if (pol_item_of(s->v[i], keyword))
			return s->v[i];
	return NULL;
}

/* The row of a parameter, one with a default if there is one. */
static const struct pol_param *row_of(const char *keyword)
{
	static const char *const statements[] = {"TTLSEnvironmentAdvancedParms",
						 "TTLSEnvironmentAction",
						 "TTLSConnectionAction",
						 "TTLSKeyringParms",
						 "TTLSGskAdvancedParms",
						 "TTLSGskLdapParms",
						 "TTLSGskOcspParms",
						 "TTLSGskHttpCdpParms",
						 "TTLSGroupAdvancedParms",
						 "TTLSGroupAction"};
	const struct pol_param *found = NULL;

	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
		const struct pol_param *p =
			pol_param_find(pol_statement_find(statements[i]), keyword);

		if (p && (!found || p->preset))
			found = p;
	}
	return found;
}

const char *pol_ttls_value(const struct pol_ttls_sources *s, const char *keyword,
			   const struct pol_param **param)
{
	const struct pol_node *coder = pol_ttls_coder(s, keyword);
	const struct pol_item *item = coder ? pol_item_of(coder, keyword) : NULL;

	*param = item ? item->param : row_of(keyword);
	return item ? item->value : *param ? (*param)->preset : NULL;
}

bool pol_ttls_is(const struct pol_ttls_sources *s, const char *keyword, const char *word)
{
	const struct pol_param *param;
	const char *text = pol_ttls_value(s, keyword, &param);

	return text && pol_word_is(pol_word_next(&text), word);
}

/* ---- the image while it is made ---- */

uint32_t pol_blob_put(struct pol_blob *blob, const void *data, size_t size, size_t align)
{
	size_t at = (blob->len + align - 1) / align * align;

	if (blob->failed || size > POL_TTLS_IMAGE_MAX || at > POL_TTLS_IMAGE_MAX - size) {
		blob->failed = true;
		return 0;
	}
	if (at + size > blob->room) {
		size_t room = 2 * (at + size) + 4096;
		uint8_t *more = realloc(blob->p, room);

		if (!more) {
			blob->failed = true;
			return 0;
		}
		blob->p = more;
		blob->room = room;
	}
	memset(blob->p + blob->len, 0, at - blob->len);
	memcpy(blob->p + at, data, size);
	blob->len = at + size;
	return (uint32_t)at;
}

uint32_t pol_blob_text(struct pol_blob *blob, const char *text, size_t len)
{
	uint32_t at = pol_blob_put(blob, text, len, 1);

	return pol_blob_put(blob, "", 1, 1) ? at : 0;
}

struct pol_ttls_list pol_blob_list(struct pol_blob *blob, const void *data, unsigned n, size_t size,
				   size_t align)
{
	struct pol_ttls_list list = {0, n};

	if (n)
		list.at = pol_blob_put(blob, data, n * size, align);
	return list;
}

/* ---- fields ---- */

/* All lines of keyword as texts, or as pairs of a name and what follows it. */
static struct pol_ttls_list put_texts(struct pol_build *b, struct pol_blob *blob,
				      const struct pol_node *node, const char *keyword, bool pairs)
{
	struct pol_ttls_sni *all = NULL;
	uint32_t *texts = NULL;
	unsigned n = 0;

	for (unsigned i = 0; node && i < node->n_items; i++) {
		const char *text = node->items[i].value;
		struct pol_ttls_sni one = {0, 0};

		if (strcmp(node->items[i].param->keyword, keyword) != 0)
			continue;
		if (pairs) {
			struct pol_word name = pol_word_next(&text);

			one.name = pol_blob_text(blob, name.p, name.len);
			text += strspn(text, " \t");
			if (*text)
				one.label = pol_blob_text(blob, text, strlen(text));
			all = pol_append(b, all, &n, &one, sizeof(one));
		} else {
			one.name = pol_blob_text(blob, text, strlen(text));
			texts = pol_append(b, texts, &n, &one.name, sizeof(one.name));
		}
	}
	if (pairs)
		return pol_blob_list(blob, all, n, sizeof(*all), sizeof(uint32_t));
	return pol_blob_list(blob, texts, n, sizeof(*texts), sizeof(uint32_t));
}

static void fill_field(struct pol_build *b, struct pol_blob *blob, const struct pol_ttls_sources *s,
		       const struct pol_ttls_field *f, struct pol_ttls_profile *profile)
{
	uint8_t *at = (uint8_t *)profile + f->at;
	const struct pol_param *param;
	const char *text = pol_ttls_value(s, f->keyword, &param);
	struct pol_ttls_list list;
	unsigned long n = 0;
	uint32_t number = 0;
	int choice;

	switch (f->kind) {
	case POL_TTLS_BOOL:
		*at = text && pol_choice("On|Yes", text, NULL) >= 0;
		break;
	case POL_TTLS_CHOICE:
		choice = text && param->values ? pol_choice(param->values, text, NULL) : 0;
		*at = (uint8_t)(choice > 0 ? choice : 0);
		break;
	case POL_TTLS_NUMBER:
		if (text && !pol_number(pol_word_next(&text), &n))
			number = (uint32_t)n;
		memcpy(at, &number, sizeof(number));
		break;
	case POL_TTLS_TEXT:
		if (text)
			number = pol_blob_text(blob, text, strlen(text));
		memcpy(at, &number, sizeof(number));
		break;
	case POL_TTLS_TEXTS:
		list = put_texts(b, blob, pol_ttls_coder(s, f->keyword), f->keyword, false);
		memcpy(at, &list, sizeof(list));
		break;
	case POL_TTLS_CODES:
	case POL_TTLS_NAMES:
		break;
	}
}

/* ---- algorithms ---- */

/* True when lines are coded of which nothing is left. */
static bool fill_codes(struct pol_build *b, struct pol_blob *blob, struct pol_node *node,
		       const char *keyword, struct pol_ttls_list *list)
{
	struct pol_codes codes = {0};

	if (node)
		pol_ttls_codes(b, node, keyword, false, &codes);
	*list = pol_blob_list(blob, codes.v, codes.n, sizeof(*codes.v), sizeof(*codes.v));
	return codes.coded && codes.n == 0;
}

/* The statement of algorithms that counts: the connection's, else the environment's. */
static struct pol_node *algorithms(const struct pol_node *environment,
				   const struct pol_node *connection, const char *keyword)
{
	struct pol_node *node = pol_ttls_part(connection, keyword);

	return node ? node : pol_ttls_part(environment, keyword);
}

/* ---- what does not go together, or cannot be done ---- */

struct check {
	struct pol_build *b;
	struct pol_blob *blob;
	struct pol_node *rule;
	const struct pol_ttls_sources *s;
	struct pol_ttls_profile *p;
};

/* The rule's connections are closed rather than less safe than the policy has them. */
static void close_rule(const struct check *c, const char *why)
{
	if (!c->p->closed)
		c->p->closed = pol_blob_text(c->blob, why, strlen(why));
	pol_warn(c->b, c->rule, NULL, NULL, "its connections will be closed: %s", why);
}

static bool coded_on(const struct check *c, const char *keyword)
{
	return pol_ttls_coder(c->s, keyword) && pol_ttls_is(c->s, keyword, "On");
}

static bool has_tls13(const struct check *c)
{
	const struct pol_ttls_list *list = &c->p->ciphers;

	if (c->blob->failed)
		return true;
	for (unsigned i = 0; i < list->n; i++) {
		uint16_t id;

		memcpy(&id, c->blob->p + list->at + i * sizeof(id), sizeof(id));
		if (id >> 8 == 0x13)
			return true;
	}
	return false;
}

static void check_protocols(const struct check *c)
{
	struct pol_ttls_profile *p = c->p;
	bool ssl = pol_ttls_is(c->s, "SSLv2", "On") || pol_ttls_is(c->s, "SSLv3", "On");

	if (p->suite_b != POL_TTLS_SUITE_B_OFF) {
		p->tls1 = p->tls1_1 = p->tls1_3 = false;
		p->tls1_2 = true;
	}
	if (!p->tls1 && !p->tls1_1 && !p->tls1_2 && !p->tls1_3) {
		if (ssl)
			close_rule(c, "OpenSSL has none of the protocols that are On");
		else
			pol_wrong(c->b, c->rule, NULL, NULL,
				  "its actions leave no protocol: all of SSLv2 to TLSv1.3 are Off");
		return;
	}
	if (!p->tls1_3 || !coded_on(c, "TLSv1.3"))
		return;
	if (p->ciphers.n && !has_tls13(c))
		pol_warn(c->b, c->rule, NULL, NULL,
			 "TLSv1.3 is On, and TTLSCipherParms has no cipher suite of it (1301 to "
			 "1303)");
	else if ((p->handshake_role == POL_TTLS_CLIENT ? p->client_groups.n : p->server_groups.n) ==
		 0)
		pol_warn(c->b, c->rule, NULL, NULL,
			 "TLSv1.3 is On, and TTLSSignatureParms has no %s: the library's own are "
			 "used",
			 p->handshake_role == POL_TTLS_CLIENT ? "ClientKeyShareGroups"
							      : "ServerKeyShareGroups");
}

static void check_names(const struct check *c)
{
	const struct pol_ttls_profile *p = c->p;
	bool client = p->handshake_role == POL_TTLS_CLIENT;

	if (client && p->client_sni != POL_TTLS_OFF && p->client_sni_names.n == 0)
		pol_warn(c->b, c->rule, NULL, NULL,
			 "ClientHandshakeSNI has no name to send without ClientHandshakeSNIList");
	if (!client && p->server_sni != POL_TTLS_OFF && p->server_sni_names.n == 0)
		pol_warn(c->b, c->rule, NULL, NULL,
			 "ServerHandshakeSNI knows no name without ServerHandshakeSNIList");
	if (!client && (p->host_dns.n || p->host_cn.n))
		pol_warn(c->b, c->rule, NULL, NULL,
			 "HostReferenceIdDNS and HostReferenceIdCN have no effect in a server's "
			 "HandshakeRole");
	if (client && p->client_sni != POL_TTLS_OFF && p->client_sni_match == POL_TTLS_REQUIRED)
		close_rule(c, "ClientHandshakeSNIMatch Required is not possible with OpenSSL");
}

static void check_password(const struct check *c, const struct pol_node *environment)
{
	const struct pol_node *ring = pol_ttls_part(environment, "TTLSKeyringParms");

	c->p->keyring_password = pol_item_of(ring, "KeyringPw") != NULL;
	if (c->p->keyring_password && !c->p->keyring_stash)
		close_rule(c, "programs do not get the KeyringPw; write it to a file that the "
			      "program's user may read, and code KeyringStashFile");
}

static void check_all(const struct check *c, const struct pol_node *environment, bool no_ciphers,
		      bool no_algorithms)
{
	check_protocols(c);
	check_names(c);
	check_password(c, environment);
	if (no_ciphers)
		close_rule(c, "OpenSSL has none of the cipher suites that are coded");
	if (no_algorithms)
		close_rule(c, "OpenSSL has none of the signature algorithms that are coded");
	if (c->p->truncated_hmac == POL_TTLS_REQUIRED)
		close_rule(c, "TruncatedHMAC Required is not possible with OpenSSL");
}

/* ---- identity ---- */

static uint64_t add_text(uint64_t sum, const char *text)
{
	return pol_ttls_checksum(sum, text, strlen(text) + 1);
}

/* Content without places, without names of parts, and without secrets. */
static uint64_t add_node(uint64_t sum, const struct pol_node *node)
{
	sum = add_text(sum, node->statement->keyword);
	for (unsigned i = 0; i < node->n_items; i++) {
		const struct pol_item *item = &node->items[i];
		const struct pol_node *part = pol_target(item);

		if (part) {
			sum = add_node(sum, part);
			continue;
		}
		sum = add_text(sum, item->param->keyword);
		if (!item->param->secret)
			sum = add_text(sum, item->value);
	}
	return add_text(sum, "}");
}

static uint64_t identity_of(const struct pol_node *node)
{
	return node ? add_node(add_text(POL_TTLS_SEED, node->name), node) : 0;
}

static uint32_t put_name(struct pol_blob *blob, const struct pol_node *node)
{
	return node ? pol_blob_text(blob, node->name, strlen(node->name)) : 0;
}

/* ---- all of it ---- */

/* Of CertificateLabel and ServerCertificateLabel the statement that codes one of them counts. */
static void settle_labels(const struct pol_ttls_sources *s, struct pol_ttls_profile *p)
{
	for (unsigned i = 0; i < s->n; i++) {
		if (pol_item_of(s->v[i], "CertificateLabel")) {
			p->server_labels = (struct pol_ttls_list){0, 0};
			return;
		}
		if (pol_item_of(s->v[i], "ServerCertificateLabel")) {
			p->certificate_label = 0;
			return;
		}
	}
}

static void fill_enabled(struct pol_build *b, struct pol_blob *blob, struct pol_node *rule,
			 const struct pol_ttls_sources *s, struct pol_ttls_profile *p)
{
	const struct pol_node *environment = pol_ttls_part(rule, "TTLSEnvironmentAction");
	const struct pol_node *connection = pol_ttls_part(rule, "TTLSConnectionAction");
	struct pol_node *ciphers = algorithms(environment, connection, "TTLSCipherParms");
	struct pol_node *signatures = algorithms(environment, connection, "TTLSSignatureParms");
	struct check c = {b, blob, rule, s, p};
	bool no_ciphers = false, no_algorithms;

	if (p->suite_b == POL_TTLS_SUITE_B_OFF)
		no_ciphers = fill_codes(b, blob, ciphers, "V3CipherSuites", &p->ciphers);
	fill_codes(b, blob, signatures, "ClientECurves", &p->client_curves);
	fill_codes(b, blob, signatures, "ServerKexECurves", &p->server_curves);
	fill_codes(b, blob, signatures, "ClientKeyShareGroups", &p->client_groups);
	fill_codes(b, blob, signatures, "ServerKeyShareGroups", &p->server_groups);
	no_algorithms = fill_codes(b, blob, signatures, "SignaturePairs", &p->signatures);
	no_algorithms |= fill_codes(b, blob, signatures, "SignaturePairsCert", &p->cert_signatures);
	if (!p->cert_signatures.n)
		p->cert_signatures = p->signatures;
	no_algorithms |= fill_codes(b, blob, pol_ttls_coder(s, "CrlSigAlgPairs"), "CrlSigAlgPairs",
				    &p->crl_signatures);
	no_algorithms |= fill_codes(b, blob, pol_ttls_coder(s, "OcspResponseSigAlgPairs"),
				    "OcspResponseSigAlgPairs", &p->ocsp_signatures);
	p->server_sni_names = put_texts(b, blob, pol_ttls_coder(s, "ServerHandshakeSNIList"),
					"ServerHandshakeSNIList", true);
	settle_labels(s, p);
	check_all(&c, environment, no_ciphers, no_algorithms);
}

void pol_ttls_defaults(struct pol_build *b, struct pol_blob *blob, struct pol_ttls_profile *p)
{
	static const struct pol_ttls_sources none;

	memset(p, 0, sizeof(*p));
	for (unsigned i = 0; i < pol_ttls_n_fields; i++)
		if (pol_ttls_fields[i].keyword)
			fill_field(b, blob, &none, &pol_ttls_fields[i], p);
}

void pol_ttls_fill(struct pol_build *b, struct pol_blob *blob, struct pol_node *rule,
		   struct pol_ttls_profile *p)
{
	const struct pol_node *group = pol_ttls_part(rule, "TTLSGroupAction");
	const struct pol_node *environment = pol_ttls_part(rule, "TTLSEnvironmentAction");
	const struct pol_node *connection = pol_ttls_part(rule, "TTLSConnectionAction");
	const struct pol_ttls_sources s = pol_ttls_sources(group, environment, connection);

	p->group = put_name(blob, group);
	p->environment = put_name(blob, environment);
	p->connection = put_name(blob, connection);
	p->group_id = identity_of(group);
	p->environment_id = identity_of(environment);
	p->connection_id = identity_of(connection);
	/* Looking for a row takes longer than looking for a line, and most are not coded. */
	for (unsigned i = 0; i < pol_ttls_n_fields; i++)
		if (pol_ttls_fields[i].keyword && pol_ttls_coder(&s, pol_ttls_fields[i].keyword))
			fill_field(b, blob, &s, &pol_ttls_fields[i], p);
	if (p->enabled)
		fill_enabled(b, blob, rule, &s, p);
}
