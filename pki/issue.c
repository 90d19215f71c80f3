/*
 * Certificates, requests and CRLs made (RFC 5280 sections 4 and 5, RFC 2986).  The names that an
 * ID payload needs go into the subjectAltName (RFC 4945 section 3.1).
 */
#include "pki/private.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "common/addr.h"
#include "policy/policy.h"

#define SERIAL_BYTES 16

/* ---- keys ---- */

int pki_key_make(const char *kind, EVP_PKEY **key, struct cs_err *err)
{
	static const struct {
		const char *kind, *curve;
		unsigned bits;
	} kinds[] = {
		{"rsa:2048", NULL, 2048}, {"rsa:3072", NULL, 3072}, {"rsa:4096", NULL, 4096},
		{"ec:256", "P-256", 256}, {"ec:384", "P-384", 384}, {"ec:521", "P-521", 521},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcasecmp(kind, kinds[i].kind) != 0)
			continue;
		*key = kinds[i].curve ? EVP_EC_gen(kinds[i].curve)
				      : EVP_RSA_gen((size_t)kinds[i].bits);
		return *key ? 0 : pki_fail_openssl(err, "the key cannot be made");
	}
	return cs_fail(err, CS_EINVAL,
		       "'%s' is no kind of key: rsa:2048, rsa:3072, rsa:4096, ec:256, ec:384, "
		       "ec:521",
		       kind);
}

/* ---- names ---- */

static int make_subject(const char *text, X509_NAME **name, struct cs_err *err)
{
	uint8_t *der;
	size_t len;
	int status = pol_dn_encode(text, &der, &len, err);

	if (status < 0)
		return status;
	*name = pki_name_decode((struct cs_bytes){der, len});
	free(der);
	return *name ? 0 : pki_fail_openssl(err, "the subject cannot be encoded");
}

/* A host name or the part behind the '@': letters, digits, '-', '_' and dots. */
static bool is_host(const char *text)
{
	size_t n = strlen(text);

	return n > 0 && n <= 253 && text[0] != '.' && text[n - 1] != '.' &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
		       n &&
	       !strstr(text, "..");
}

static int check_san(const struct pki_san *san, struct cs_err *err)
{
	const char *at = strrchr(san->text, '@');

	if (san->type == POL_ID_FQDN && !is_host(san->text))
		return cs_fail(err, CS_EINVAL, "'%s' is not a host name", san->text);
	if (san->type == POL_ID_USER_FQDN && (!at || at == san->text || !is_host(at + 1)))
		return cs_fail(err, CS_EINVAL, "'%s' is not user@host", san->text);
	for (const char *p = san->text; *p; p++)
		if (*p <= ' ' || *p >= 0x7f)
			return cs_fail(err, CS_EINVAL, "'%s' has characters that no name has",
				       san->text);
	return 0;
}

static GENERAL_NAME *string_name(int type, const void *data, size_t len)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_STRING *s = type == GEN_IPADD ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();

	if (!name || !s || ASN1_STRING_set(s, data, (int)len) != 1) {
		GENERAL_NAME_free(name);
		ASN1_STRING_free(s);
		return NULL;
	}
	GENERAL_NAME_set0_value(name, type, s);
	return name;
}

static int make_san(const struct pki_san *san, GENERAL_NAME **name, struct cs_err *err)
{
	struct cs_addr a;
	int status;

	switch (san->type) {
	case POL_ID_IPV4_ADDR:
	case POL_ID_IPV6_ADDR:
		status = cs_addr_parse(san->text, &a, err);
		if (status < 0)
			return status;
		if ((a.family == AF_INET) != (san->type == POL_ID_IPV4_ADDR))
			return cs_fail(err, CS_EINVAL, "%s is of the other family", san->text);
		*name = string_name(GEN_IPADD, a.b, cs_addr_len(a.family));
		break;
	case POL_ID_FQDN:
	case POL_ID_USER_FQDN:
		status = check_san(san, err);
		if (status < 0)
			return status;
		*name = string_name(san->type == POL_ID_FQDN ? GEN_DNS : GEN_EMAIL, san->text,
				    strlen(san->text));
		break;
	default:
		return cs_fail(err, CS_EINVAL, "a subjectAltName has no names of type %s",
			       pol_id_type_name(san->type));
	}
	return *name ? 0 : cs_fail(err, CS_ENOMEM, "out of memory");
}

static int make_sans(const struct pki_spec *spec, GENERAL_NAMES **names, struct cs_err *err)
{
	GENERAL_NAMES *list = GENERAL_NAMES_new();
	int status = list ? 0 : cs_fail(err, CS_ENOMEM, "out of memory");

	for (unsigned i = 0; i < spec->n_sans && status == 0; i++) {
		GENERAL_NAME *name = NULL;

		status = make_san(&spec->sans[i], &name, err);
		if (status == 0 && sk_GENERAL_NAME_push(list, name) <= 0) {
			GENERAL_NAME_free(name);
			status = cs_fail(err, CS_ENOMEM, "out of memory");
		}
	}
	if (status == 0)
		*names = list;
	else
		GENERAL_NAMES_free(list);
	return status;
}

/* ---- certificates ---- */

/* 126 random bits, positive and not zero (RFC 5280 section 4.1.2.2). */
static bool set_serial(X509 *cert)
{
	unsigned char b[SERIAL_BYTES];
	BIGNUM *n;
	bool done;

	if (RAND_bytes(b, sizeof(b)) != 1)
		return false;
	b[0] = (b[0] & 0x7f) | 0x40;
	n = BN_bin2bn(b, sizeof(b), NULL);
	done = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));
	BN_free(n);
	return done;
}

static bool add_ext(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;
	bool done;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
	done = ext && X509_add_ext(cert, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return done;
}

static bool add_usage(X509 *cert, const struct pki_spec *spec)
{
	char ca[48];

	if (!spec->ca)
		return add_ext(cert, NULL, NID_basic_constraints, "critical,CA:FALSE") &&
		       add_ext(cert, NULL, NID_key_usage, "critical,digitalSignature") &&
		       add_ext(cert, NULL, NID_ext_key_usage,
			       "1.3.6.1.5.5.7.3.17,serverAuth,clientAuth");
	snprintf(ca, sizeof(ca),
		 spec->path_length < 0 ? "critical,CA:TRUE" : "critical,CA:TRUE,pathlen:%d",
		 spec->path_length);
	return add_ext(cert, NULL, NID_basic_constraints, ca) &&
	       add_ext(cert, NULL, NID_key_usage, "critical,keyCertSign,cRLSign");
}

static bool set_times(X509 *cert, int64_t from, int64_t to)
{
	return ASN1_TIME_adj(X509_getm_notBefore(cert), (time_t)from, 0, 0) &&
	       ASN1_TIME_adj(X509_getm_notAfter(cert), (time_t)to, 0, 0);
}

/* What all certificates have; the subject and its alternative names are there already. */
static int finish_cert(X509 *cert, const struct pki_spec *spec, EVP_PKEY *key, X509 *issuer,
		       EVP_PKEY *issuer_key, struct cs_err *err)
{
	X509 *above = issuer ? issuer : cert;

	if (X509_set_version(cert, X509_VERSION_3) != 1 || !set_serial(cert) ||
	    !set_times(cert, spec->not_before, spec->not_after) ||
	    X509_set_issuer_name(cert, X509_get_subject_name(above)) != 1 ||
	    X509_set_pubkey(cert, key) != 1 || !add_usage(cert, spec) ||
	    !add_ext(cert, above, NID_subject_key_identifier, "hash") ||
	    !add_ext(cert, above, NID_authority_key_identifier, "keyid") ||
	    X509_sign(cert, issuer_key, pki_digest_for(issuer_key)) <= 0)
		return pki_fail_openssl(err, "the certificate cannot be made");
	return 0;
}

static int check_issuer(X509 *issuer, EVP_PKEY *issuer_key, const struct pki_spec *spec,
			struct cs_err *err)
{
	if (!issuer)
		return 0;
	if (X509_check_ca(issuer) != 1)
		return cs_fail(err, CS_EINVAL, "the issuer is not a CA");
	if (!pki_key_fits(issuer_key, issuer))
		return cs_fail(err, CS_EINVAL, "the issuer's private key is another one's");
	if (spec->not_after > pki_time(X509_get0_notAfter(issuer)))
		return cs_fail(err, CS_EINVAL, "the issuer's certificate ends earlier");
	if (spec->ca && X509_get_pathlen(issuer) == 0)
		return cs_fail(err, CS_EINVAL, "the issuer may not have CAs below it");
	return 0;
}

/* names is taken. */
static int make_cert(const struct pki_spec *spec, const X509_NAME *subject, GENERAL_NAMES *names,
		     EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, X509 **cert,
		     struct cs_err *err)
{
	X509 *x = X509_new();
	int status = x ? check_issuer(issuer, issuer_key, spec, err)
		       : cs_fail(err, CS_ENOMEM, "out of memory");

	if (status == 0 && spec->not_before >= spec->not_after)
		status = cs_fail(err, CS_EINVAL, "its time would end before it begins");
	if (status == 0 && X509_set_subject_name(x, subject) != 1)
		status = pki_fail_openssl(err, "the subject cannot be set");
	if (status == 0 && sk_GENERAL_NAME_num(names) > 0 &&
	    X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, X509V3_ADD_APPEND) != 1)
		status = pki_fail_openssl(err, "the subjectAltName cannot be set");
	if (status == 0)
		status = finish_cert(x, spec, key, issuer, issuer_key, err);
	GENERAL_NAMES_free(names);
	if (status == 0)
		*cert = x;
	else
		X509_free(x);
	return status;
}

int pki_issue(const struct pki_spec *spec, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key,
	      X509 **cert, struct cs_err *err)
{
	GENERAL_NAMES *names = NULL;
	X509_NAME *subject = NULL;
	int status = make_subject(spec->subject, &subject, err);

	if (status == 0)
		status = make_sans(spec, &names, err);
	if (status == 0)
		status = make_cert(spec, subject, names, key, issuer, issuer ? issuer_key : key,
				   cert, err);
	X509_NAME_free(subject);
	return status;
}

/* ---- requests ---- */

int pki_request_make(const struct pki_spec *spec, EVP_PKEY *key, X509_REQ **request,
		     struct cs_err *err)
{
	STACK_OF(X509_EXTENSION) *exts = NULL;
	GENERAL_NAMES *names = NULL;
	X509_NAME *subject = NULL;
	X509_REQ *r = X509_REQ_new();
	int status = r ? make_subject(spec->subject, &subject, err)
		       : cs_fail(err, CS_ENOMEM, "out of memory");

	if (status == 0)
		status = make_sans(spec, &names, err);
	if (status == 0 &&
	    (X509_REQ_set_version(r, X509_REQ_VERSION_1) != 1 ||
	     X509_REQ_set_subject_name(r, subject) != 1 || X509_REQ_set_pubkey(r, key) != 1))
		status = pki_fail_openssl(err, "the request cannot be made");
	if (status == 0 && sk_GENERAL_NAME_num(names) > 0 &&
	    (X509V3_add1_i2d(&exts, NID_subject_alt_name, names, 0, X509V3_ADD_APPEND) != 1 ||
	     X509_REQ_add_extensions(r, exts) != 1))
		status = pki_fail_openssl(err, "the names cannot be added");
	if (status == 0 && X509_REQ_sign(r, key, pki_digest_for(key)) <= 0)
		status = pki_fail_openssl(err, "the request cannot be signed");
	sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
	GENERAL_NAMES_free(names);
	X509_NAME_free(subject);
	if (status == 0)
		*request = r;
	else
		X509_REQ_free(r);
	return status;
}

/* The names in a request that a certificate of ours may have; others are left out. */
static int requested_names(X509_REQ *request, GENERAL_NAMES **names, struct cs_err *err)
{
	STACK_OF(X509_EXTENSION) *exts = X509_REQ_get_extensions(request);
	GENERAL_NAMES *asked = X509V3_get_d2i(exts, NID_subject_alt_name, NULL, NULL);
	GENERAL_NAMES *list = GENERAL_NAMES_new();
	int status = list ? 0 : cs_fail(err, CS_ENOMEM, "out of memory");

	for (int i = 0; i < sk_GENERAL_NAME_num(asked) && status == 0; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(asked, i);
		GENERAL_NAME *copy;

		if (name->type != GEN_IPADD && name->type != GEN_DNS && name->type != GEN_EMAIL)
			continue;
		copy = GENERAL_NAME_dup((GENERAL_NAME *)(uintptr_t)name);
		if (!copy || sk_GENERAL_NAME_push(list, copy) <= 0) {
			GENERAL_NAME_free(copy);
			status = cs_fail(err, CS_ENOMEM, "out of memory");
		}
	}
	GENERAL_NAMES_free(asked);
	sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
	ERR_clear_error();
	if (status == 0)
		*names = list;
	else
		GENERAL_NAMES_free(list);
	return status;
}

int pki_request_sign(X509_REQ *request, int64_t not_before, int64_t not_after, X509 *issuer,
		     EVP_PKEY *issuer_key, X509 **cert, struct cs_err *err)
{
	const struct pki_spec spec = {.not_before = not_before, .not_after = not_after};
	const struct pki_strength strength = {0};
	EVP_PKEY *key = X509_REQ_get0_pubkey(request);
	GENERAL_NAMES *names = NULL;
	int status = pki_key_check(key, &strength, err);

	if (status < 0)
		return status;
	/* Who asks must have the key. */
	if (X509_REQ_verify(request, key) != 1) {
		ERR_clear_error();
		return cs_fail(err, CS_EAUTH, "the request's own signature is wrong");
	}
	status = requested_names(request, &names, err);
	if (status < 0)
		return status;
	return make_cert(&spec, X509_REQ_get_subject_name(request), names, key, issuer, issuer_key,
			 cert, err);
}
