/*
 * CRLs made (RFC 5280 section 5).  The last CRL of a CA is all that is known of what it revoked,
 * so that the next one is made from it.
 */
#include "pki/private.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <openssl/err.h>

static int reason_number(const char *word, struct cs_err *err)
{
	/* 7 is not used, 8 is for delta CRLs. */
	static const char *const words[] = {
		"unspecified", "keyCompromise",        "CACompromise",    "affiliationChanged",
		"superseded",  "cessationOfOperation", "certificateHold", NULL,
		NULL,          "privilegeWithdrawn",   "AACompromise",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i] && strcasecmp(words[i], word) == 0)
			return (int)i;
	return cs_fail(err, CS_EINVAL,
		       "'%s' is no reason: unspecified, keyCompromise, CACompromise, "
		       "affiliationChanged, superseded, cessationOfOperation, certificateHold, "
		       "privilegeWithdrawn or AACompromise",
		       word);
}

static int make_entry(const struct pki_revoke *revoke, int64_t now, X509_REVOKED **entry,
		      struct cs_err *err)
{
	int reason = revoke->reason ? reason_number(revoke->reason, err) : 0;
	X509_REVOKED *r = X509_REVOKED_new();
	ASN1_TIME *when = ASN1_TIME_adj(NULL, (time_t)now, 0, 0);
	ASN1_ENUMERATED *code = ASN1_ENUMERATED_new();
	ASN1_INTEGER *serial = NULL;
	BIGNUM *n = NULL;
	int status = reason < 0 ? reason : 0;
	size_t digits = strspn(revoke->serial, "0123456789abcdefABCDEF");

	if (status == 0 && (digits == 0 || digits > 40 || revoke->serial[digits]))
		status = cs_fail(err, CS_EINVAL, "'%s' is not a serial number in hex",
				 revoke->serial);
	if (status == 0 && (!r || !when || !code || !BN_hex2bn(&n, revoke->serial) ||
			    !(serial = BN_to_ASN1_INTEGER(n, NULL)) ||
			    X509_REVOKED_set_serialNumber(r, serial) != 1 ||
			    X509_REVOKED_set_revocationDate(r, when) != 1))
		status = pki_fail_openssl(err, "the entry cannot be made");
	/* RFC 5280 section 5.3.1: unspecified is left out. */
	if (status == 0 && reason > 0 &&
	    (ASN1_ENUMERATED_set(code, reason) != 1 ||
	     X509_REVOKED_add1_ext_i2d(r, NID_crl_reason, code, 0, 0) != 1))
		status = pki_fail_openssl(err, "the reason cannot be set");
	BN_free(n);
	ASN1_INTEGER_free(serial);
	ASN1_ENUMERATED_free(code);
	ASN1_TIME_free(when);
	if (status == 0)
		*entry = r;
	else
		X509_REVOKED_free(r);
	return status;
}

static int add_revoked(X509_CRL *crl, X509_CRL *old, const struct pki_revoke *revoke, int64_t now,
		       struct cs_err *err)
{
	STACK_OF(X509_REVOKED) *before = old ? X509_CRL_get_REVOKED(old) : NULL;
	X509_REVOKED *entry = NULL, *there;
	int status;

	for (int i = 0; i < sk_X509_REVOKED_num(before); i++) {
		entry = X509_REVOKED_dup(sk_X509_REVOKED_value(before, i));
		if (!entry || X509_CRL_add0_revoked(crl, entry) != 1) {
			X509_REVOKED_free(entry);
			return pki_fail_openssl(err, "the entries of the last CRL cannot be taken");
		}
	}
	if (!revoke->serial)
		return 0;
	status = make_entry(revoke, now, &entry, err);
	if (status < 0)
		return status;
	if (X509_CRL_get0_by_serial(crl, &there, X509_REVOKED_get0_serialNumber(entry)) == 1)
		status = cs_fail(err, CS_EEXIST, "serial number %s is revoked already",
				 revoke->serial);
	else if (X509_CRL_add0_revoked(crl, entry) == 1)
		return 0;
	else
		status = pki_fail_openssl(err, "the entry cannot be added");
	X509_REVOKED_free(entry);
	return status;
}

/* One more than the last one's. */
static bool set_number(X509_CRL *crl, const X509_CRL *old)
{
	ASN1_INTEGER *last = old ? X509_CRL_get_ext_d2i(old, NID_crl_number, NULL, NULL) : NULL;
	BIGNUM *n = last ? ASN1_INTEGER_to_BN(last, NULL) : BN_new();
	ASN1_INTEGER *next = NULL;
	bool done = n && BN_add_word(n, 1) == 1 && (next = BN_to_ASN1_INTEGER(n, NULL)) &&
		    X509_CRL_add1_ext_i2d(crl, NID_crl_number, next, 0, 0) == 1;

	ASN1_INTEGER_free(next);
	ASN1_INTEGER_free(last);
	BN_free(n);
	return done;
}

static bool set_authority(X509_CRL *crl, X509 *issuer)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;
	bool done;

	X509V3_set_ctx(&ctx, issuer, NULL, NULL, crl, 0);
	ext = X509V3_EXT_nconf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid");
	done = ext && X509_CRL_add_ext(crl, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return done;
}

static bool set_times(X509_CRL *crl, int64_t now, int64_t next)
{
	ASN1_TIME *from = ASN1_TIME_adj(NULL, (time_t)now, 0, 0);
	ASN1_TIME *to = ASN1_TIME_adj(NULL, (time_t)next, 0, 0);
	bool done = from && to && X509_CRL_set1_lastUpdate(crl, from) == 1 &&
		    X509_CRL_set1_nextUpdate(crl, to) == 1;

	ASN1_TIME_free(from);
	ASN1_TIME_free(to);
	return done;
}

int pki_crl_make(X509 *issuer, EVP_PKEY *issuer_key, X509_CRL *old, const struct pki_revoke *revoke,
		 int64_t now, int64_t next, X509_CRL **crl, struct cs_err *err)
{
	X509_CRL *c;
	int status = 0;

	if (X509_check_ca(issuer) != 1 || !(X509_get_key_usage(issuer) & KU_CRL_SIGN))
		return cs_fail(err, CS_EINVAL, "the issuer may not sign CRLs");
	if (!pki_key_fits(issuer_key, issuer))
		return cs_fail(err, CS_EINVAL, "the issuer's private key is another one's");
	c = X509_CRL_new();
	if (!c || X509_CRL_set_version(c, X509_CRL_VERSION_2) != 1 ||
	    X509_CRL_set_issuer_name(c, X509_get_subject_name(issuer)) != 1 ||
	    !set_times(c, now, next) || !set_number(c, old) || !set_authority(c, issuer))
		status = pki_fail_openssl(err, "the CRL cannot be made");
	if (status == 0)
		status = add_revoked(c, old, revoke, now, err);
	if (status == 0 && (X509_CRL_sort(c) != 1 ||
			    X509_CRL_sign(c, issuer_key, pki_digest_for(issuer_key)) <= 0))
		status = pki_fail_openssl(err, "the CRL cannot be signed");
	if (status == 0)
		*crl = c;
	else
		X509_CRL_free(c);
	return status;
}
