/*
 * X.500 distinguished names: from IBM's text form (the leaf first, RFC 4514 section 2 with its
 * escapes), to DER and back, and matched with leading parts free.
 */
#include "policy/dn.h"

#include "policy/policy.h"

#ifdef HAVE_OPENSSL

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509.h>

#define MAX_PARTS 32
#define MAX_VALUE 256

/* One TYPE=VALUE; wild without a type is a lone "*". */
struct part {
	ASN1_OBJECT *type;
	char value[MAX_VALUE];
	bool wild;
};

struct parts {
	struct part part[MAX_PARTS];
	unsigned n;
};

static void parts_free(struct parts *p)
{
	for (unsigned i = 0; i < p->n; i++)
		ASN1_OBJECT_free(p->part[i].type);
	p->n = 0;
}

/* The keywords of System SSL (compile_ident.c lists them) by their names in OpenSSL. */
static const struct {
	const char *keyword, *name;
} types[] = {
	{"C", "C"},
	{"CN", "CN"},
	{"DC", "DC"},
	{"DNQUALIFIER", "dnQualifier"},
	{"E", "emailAddress"},
	{"EMAIL", "emailAddress"},
	{"EMAILADDRESS", "emailAddress"},
	{"G", "GN"},
	{"GENERATIONQUALIFIER", "generationQualifier"},
	{"GIVENNAME", "GN"},
	{"I", "initials"},
	{"INITIALS", "initials"},
	{"L", "L"},
	{"MAIL", "mail"},
	{"NAME", "name"},
	{"O", "O"},
	{"OU", "OU"},
	{"PC", "postalCode"},
	{"S", "ST"},
	{"SERIALNUMBER", "serialNumber"},
	{"SN", "SN"},
	{"SP", "ST"},
	{"ST", "ST"},
	{"STREET", "street"},
	{"SURNAME", "SN"},
	{"T", "title"},
	{"TITLE", "title"},
	{"UID", "UID"},
};

static ASN1_OBJECT *find_type(const char *keyword)
{
	ASN1_OBJECT *object;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcasecmp(types[i].keyword, keyword) == 0)
			return OBJ_txt2obj(types[i].name, 0);
	object = OBJ_txt2obj(keyword, 1); /* 1.2.3 */
	ERR_clear_error();
	return object;
}

/*
 * Takes characters up to an unescaped stop character; *text stands on it, or at the end. False when
 * the value is too long or an escape is cut off. *plain is false when something was escaped.
 */
static bool take(const char **text, const char *stops, char *out, size_t size, bool *plain)
{
	const char *p = *text;
	size_t n = 0, keep = 0;

	*plain = true;
	while (*p == ' ')
		p++;
	while (*p && !strchr(stops, *p)) {
		char c = *p++;

		if (c == '\\') {
			if (!*p)
				return false;
			c = *p++;
			*plain = false;
			keep = n + 1;
		}
		if (n + 1 >= size)
			return false;
		out[n++] = c;
	}
	while (n > keep && out[n - 1] == ' ')
		n--;
	out[n] = '\0';
	*text = p;
	return true;
}

static int parse_part(const char **text, struct part *part, struct cs_err *err)
{
	char type[64];
	bool plain;

	memset(part, 0, sizeof(*part));
	if (!take(text, "=,", type, sizeof(type), &plain))
		return cs_fail(err, CS_EPARSE, "a name in the DN is too long");
	if (**text != '=') {
		part->wild = true;
		if (strcmp(type, "*") == 0)
			return 0;
		return cs_fail(err, CS_EPARSE, "'%s' in the DN is not TYPE=VALUE", type);
	}
	(*text)++;
	if (!take(text, ",", part->value, sizeof(part->value), &plain))
		return cs_fail(err, CS_EPARSE, "the value of %s in the DN is too long", type);
	if (!part->value[0])
		return cs_fail(err, CS_EPARSE, "%s in the DN has no value", type);
	part->wild = plain && strcmp(part->value, "*") == 0;
	part->type = find_type(type);
	if (!part->type)
		return cs_fail(err, CS_EPARSE, "%s is not an attribute type of DNs", type);
	return 0;
}

static int parse(const char *text, struct parts *parts, struct cs_err *err)
{
	bool named = false;
	int rc;

	parts->n = 0;
	for (;;) {
		struct part *part;

		if (parts->n == MAX_PARTS) {
			rc = cs_fail(err, CS_ELIMIT, "a DN has at most %d parts", MAX_PARTS);
			break;
		}
		part = &parts->part[parts->n];
		rc = parse_part(&text, part, err);
		if (rc < 0)
			break;
		parts->n++;
		if (part->wild && named) {
			rc = cs_fail(err, CS_EPARSE, "only leading parts of a DN can be '*'");
			break;
		}
		named = named || !part->wild;
		if (*text != ',')
			return 0;
		text++;
	}
	parts_free(parts);
	return rc;
}

/* A Name of the parts from first on, in DER order (the root first). */
static X509_NAME *name_of(const struct parts *parts, unsigned first)
{
	X509_NAME *name = X509_NAME_new();

	for (unsigned i = parts->n; name && i > first; i--) {
		const struct part *part = &parts->part[i - 1];

		if (!X509_NAME_add_entry_by_OBJ(name, part->type, MBSTRING_UTF8,
						(const unsigned char *)part->value, -1, -1, 0)) {
			X509_NAME_free(name);
			name = NULL;
		}
	}
	ERR_clear_error();
	return name;
}

static unsigned n_wild(const struct parts *parts)
{
	unsigned n = 0;

	while (n < parts->n && parts->part[n].wild)
		n++;
	return n;
}

static X509_NAME *decode(struct cs_bytes der)
{
	const unsigned char *p = der.p;
	X509_NAME *name;

	if (der.len > LONG_MAX)
		return NULL;
	name = d2i_X509_NAME(NULL, &p, (long)der.len);
	ERR_clear_error();
	if (name && p != der.p + der.len) {
		X509_NAME_free(name);
		return NULL;
	}
	return name;
}

/*
 * The first n entries of name, root first, with their grouping in sets; NULL when there are fewer,
 * or when the cut would fall into a set.
 */
static X509_NAME *root_part(const X509_NAME *name, int n)
{
	X509_NAME *part;
	int last_set = -1;

	if (X509_NAME_entry_count(name) < n)
		return NULL;
	if (n > 0 && X509_NAME_entry_count(name) > n &&
	    X509_NAME_ENTRY_set(X509_NAME_get_entry(name, n - 1)) ==
		    X509_NAME_ENTRY_set(X509_NAME_get_entry(name, n)))
		return NULL;
	part = X509_NAME_new();
	for (int i = 0; part && i < n; i++) {
		X509_NAME_ENTRY *e = X509_NAME_get_entry(name, i);
		int set = X509_NAME_ENTRY_set(e);

		if (!X509_NAME_add_entry(part, e, -1, set == last_set ? -1 : 0)) {
			X509_NAME_free(part);
			part = NULL;
		}
		last_set = set;
	}
	ERR_clear_error();
	return part;
}

/* The wild parts stand for the entries after the named ones, each for one, in order. */
static bool wild_matches(const struct parts *parts, unsigned wild, const X509_NAME *name)
{
	unsigned at = parts->n - wild;

	for (unsigned i = wild; i > 0; i--, at++) {
		const struct part *part = &parts->part[i - 1];
		X509_NAME_ENTRY *e;

		if (!part->type)
			continue;
		e = X509_NAME_get_entry(name, (int)at);
		if (!e || OBJ_cmp(X509_NAME_ENTRY_get_object(e), part->type) != 0)
			return false;
	}
	return true;
}

bool pol_dn_matches(const char *pattern, struct cs_bytes der)
{
	struct parts parts;
	X509_NAME *name = NULL, *wanted = NULL, *root = NULL;
	unsigned wild;
	bool matches = false;

	if (parse(pattern, &parts, NULL) < 0)
		return false;
	wild = n_wild(&parts);
	name = decode(der);
	wanted = name_of(&parts, wild);
	if (name && wanted)
		root = root_part(name, X509_NAME_entry_count(wanted));
	if (root)
		matches = X509_NAME_cmp(root, wanted) == 0 && wild_matches(&parts, wild, name);
	X509_NAME_free(root);
	X509_NAME_free(wanted);
	X509_NAME_free(name);
	parts_free(&parts);
	return matches;
}

bool pol_dn_text(struct cs_bytes der, char *buf, size_t size)
{
	X509_NAME *name = decode(der);
	BIO *out = name ? BIO_new(BIO_s_mem()) : NULL;
	char *text;
	long len;
	bool done = false;

	if (out && size >= 4 &&
	    X509_NAME_print_ex(out, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_DUMP_DER) >= 0) {
		len = BIO_get_mem_data(out, &text);
		if (len > 0) {
			snprintf(buf, size, "%.*s", (int)(len < INT_MAX ? len : INT_MAX), text);
			if ((size_t)len >= size)
				memcpy(buf + size - 4, "...", 4);
			done = true;
		}
	}
	BIO_free(out);
	X509_NAME_free(name);
	ERR_clear_error();
	return done;
}

int pol_dn_check(const char *pattern, bool *exact, struct cs_err *err)
{
	struct parts parts;
	int rc = parse(pattern, &parts, err);

	if (rc < 0)
		return rc;
	*exact = n_wild(&parts) == 0;
	parts_free(&parts);
	return 0;
}

int pol_dn_encode(const char *name, uint8_t **der, size_t *len, struct cs_err *err)
{
	struct parts parts;
	X509_NAME *built = NULL;
	unsigned char *out = NULL, *copy = NULL;
	int n, rc = parse(name, &parts, err);

	if (rc < 0)
		return rc;
	if (n_wild(&parts)) {
		rc = cs_fail(err, CS_EINVAL, "a DN with '*' is not one name");
		goto done;
	}
	built = name_of(&parts, 0);
	n = built ? i2d_X509_NAME(built, &out) : -1;
	ERR_clear_error();
	if (n <= 0) {
		rc = cs_fail(err, CS_EPARSE,
			     "the DN cannot be encoded: a value does not fit its type");
		goto done;
	}
	copy = malloc((size_t)n);
	if (!copy) {
		rc = cs_fail(err, CS_ENOMEM, "no memory for a DN");
		goto done;
	}
	memcpy(copy, out, (size_t)n);
	*der = copy;
	*len = (size_t)n;
done:
	OPENSSL_free(out);
	X509_NAME_free(built);
	parts_free(&parts);
	return rc;
}

#else

bool pol_dn_matches(const char *pattern, struct cs_bytes der)
{
	(void)pattern;
	(void)der;
	return false;
}

bool pol_dn_text(struct cs_bytes der, char *buf, size_t size)
{
	(void)der;
	(void)buf;
	(void)size;
	return false;
}

int pol_dn_check(const char *pattern, bool *exact, struct cs_err *err)
{
	(void)pattern;
	(void)exact;
	return cs_fail(err, CS_EUNSUPPORTED, "X500dn needs OpenSSL, which is not built in");
}

int pol_dn_encode(const char *name, uint8_t **der, size_t *len, struct cs_err *err)
{
	bool exact;

	(void)der;
	(void)len;
	return pol_dn_check(name, &exact, err);
}

#endif
