/*
 * What a certificate may be used for, and with which digest it was signed (RFC 4945 section 5.1.3
 * for IKE's wants).
 */
#include "pki/private.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/objects.h>

/*
 * Purposes of which one must be there where purposes are limited: IKE's (RFC 4945 section
 * 5.1.3.12), the older ones for IPsec (RFC 2459) and Microsoft's, and the two of TLS, which is
 * what CAs put in when nobody asks for more.
 */
static const char *const purposes[] = {
	"2.5.29.37.0",        /* any */
	"1.3.6.1.5.5.7.3.17", /* ipsecIKE */
	"1.3.6.1.5.5.8.2.2",  /* iKEIntermediate */
	"1.3.6.1.5.5.7.3.5",  /* ipsecEndSystem */
	"1.3.6.1.5.5.7.3.6",  /* ipsecTunnel */
	"1.3.6.1.5.5.7.3.7",  /* ipsecUser */
	"1.3.6.1.5.5.7.3.1",  /* serverAuth */
	"1.3.6.1.5.5.7.3.2",  /* clientAuth */
};

static bool known_purpose(const ASN1_OBJECT *object)
{
	char oid[64];
	int n = OBJ_obj2txt(oid, sizeof(oid), object, 1);

	for (size_t i = 0; n > 0 && i < sizeof(purposes) / sizeof(purposes[0]); i++)
		if (strcmp(oid, purposes[i]) == 0)
			return true;
	return false;
}

static bool purpose_fits(X509 *cert)
{
	EXTENDED_KEY_USAGE *list;
	int critical;
	bool fits = false;

	list = X509_get_ext_d2i(cert, NID_ext_key_usage, &critical, NULL);
	if (!list) {
		ERR_clear_error();
		return critical == -1; /* not there at all; -2: twice, else malformed */
	}
	for (int i = 0; i < sk_ASN1_OBJECT_num(list) && !fits; i++)
		fits = known_purpose(sk_ASN1_OBJECT_value(list, i));
	EXTENDED_KEY_USAGE_free(list);
	return fits;
}

const char *pki_ike_usage(X509 *cert)
{
	uint32_t usage = X509_get_key_usage(cert); /* all bits without the extension */

	if (!(usage & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)))
		return "its key usage does not allow signatures (digitalSignature)";
	if (!purpose_fits(cert))
		return "its extended key usage allows neither IKE nor TLS";
	return "";
}

/* ---- digests ---- */

static const char *digest_name(int nid)
{
	const char *name = nid == NID_undef ? NULL : OBJ_nid2sn(nid);

	return name ? name : "an unknown digest";
}

const char *pki_weak_digest(X509 *cert, unsigned min_bits)
{
	int digest = NID_undef, bits = 0;

	/* bits: the strength against collisions, for the key's own algorithm where it has one. */
	if (X509_get_signature_info(cert, &digest, NULL, &bits, NULL) == 1 &&
	    bits >= (int)(min_bits ? min_bits : 80))
		return NULL;
	ERR_clear_error();
	return digest_name(digest);
}

const char *pki_weak_crl_digest(const X509_CRL *crl, unsigned min_bits)
{
	int digest = NID_undef, key = NID_undef;

	if (OBJ_find_sigid_algs(X509_CRL_get_signature_nid(crl), &digest, &key) != 1)
		return digest_name(NID_undef);
	switch (digest) {
	case NID_sha1:
		return min_bits && min_bits <= 63 ? NULL : digest_name(digest);
	case NID_md5:
	case NID_md4:
	case NID_md2:
	case NID_mdc2:
	case NID_md5_sha1:
		return digest_name(digest);
	default:
		return NULL;
	}
}
