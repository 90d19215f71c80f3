/*
 * Keys: which are strong enough, and what may be given to the library at all.  A peer chooses its
 * key, so that type, size and exponent are looked at before anything is computed with it.
 */
#include "pki/private.h"

#include <stdio.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#define SECURE_BYTES (4u << 20) /* private keys of some hundred certificates */

int pki_fail_openssl(struct cs_err *err, const char *what)
{
	unsigned long e = ERR_peek_last_error();
	const char *reason = e ? ERR_reason_error_string(e) : NULL;
	int status =
		cs_fail(err, CS_ECRYPTO, "%s: OpenSSL says %s", what, reason ? reason : "nothing");

	ERR_clear_error();
	return status;
}

int pki_secure_memory(struct cs_err *err)
{
	/* 2: there already. A locked arena below the limit of locked memory, or none. */
	if (CRYPTO_secure_malloc_initialized() || CRYPTO_secure_malloc_init(SECURE_BYTES, 64) == 1)
		return 0;
	ERR_clear_error();
	return cs_fail(err, CS_ESYS, "memory for private keys cannot be locked");
}

void pki_key_free(EVP_PKEY *key)
{
	EVP_PKEY_free(key);
}

void pki_cert_free(X509 *cert)
{
	X509_free(cert);
}

void pki_crl_free(X509_CRL *crl)
{
	X509_CRL_free(crl);
}

void pki_request_free(X509_REQ *request)
{
	X509_REQ_free(request);
}

bool pki_key_fits(EVP_PKEY *key, X509 *cert)
{
	EVP_PKEY *own = X509_get0_pubkey(cert);
	bool fits = own && EVP_PKEY_eq(own, key) == 1;

	ERR_clear_error();
	return fits;
}

EVP_PKEY *pki_cert_key(X509 *cert)
{
	EVP_PKEY *key = X509_get0_pubkey(cert);

	ERR_clear_error();
	return key;
}

bool pki_cert_issued(X509 *ca, X509 *cert)
{
	bool issued = X509_check_issued(ca, cert) == X509_V_OK &&
		      X509_verify(cert, X509_get0_pubkey(ca)) == 1;

	ERR_clear_error();
	return issued;
}

enum pki_key_type pki_key_type_of(EVP_PKEY *key)
{
	switch (key ? EVP_PKEY_get_base_id(key) : EVP_PKEY_NONE) {
	case EVP_PKEY_RSA:
		return PKI_KEY_RSA;
	case EVP_PKEY_EC:
		return PKI_KEY_EC;
	case EVP_PKEY_ED25519:
	case EVP_PKEY_ED448:
		return PKI_KEY_ED;
	default:
		return PKI_KEY_OTHER;
	}
}

const char *pki_key_type_name(enum pki_key_type type)
{
	static const char *const names[] = {
		[PKI_KEY_OTHER] = "other",
		[PKI_KEY_RSA] = "RSA",
		[PKI_KEY_EC] = "EC",
		[PKI_KEY_ED] = "EdDSA",
	};

	return names[type];
}

/* FIPS 186-5 section A.1.1: odd, above 2^16; OpenSSL takes no more than 64 bits of large keys. */
static int check_exponent(EVP_PKEY *key, struct cs_err *err)
{
	BIGNUM *e = NULL;
	int status = 0;

	if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) != 1)
		return pki_fail_openssl(err, "the RSA exponent cannot be read");
	if (BN_num_bits(e) > 64)
		status = cs_fail(err, CS_EAUTH, "its RSA exponent has %d bits, and 64 is the most",
				 BN_num_bits(e));
	else if (!BN_is_odd(e) || BN_num_bits(e) < 17)
		status = cs_fail(err, CS_EAUTH, "its RSA exponent is even or below 65537");
	BN_free(e);
	return status;
}

static int check_modulus(EVP_PKEY *key, unsigned min_bits, struct cs_err *err)
{
	BIGNUM *n = NULL;
	int bits, status = 0;

	if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) != 1)
		return pki_fail_openssl(err, "the RSA modulus cannot be read");
	bits = BN_num_bits(n);
	if (bits < (int)min_bits)
		status = cs_fail(err, CS_EAUTH, "its RSA key has %d bits, and %u are needed", bits,
				 min_bits);
	else if (bits > PKI_RSA_BITS_MAX)
		status = cs_fail(err, CS_EAUTH, "its RSA key has %d bits, and %d are the most",
				 bits, PKI_RSA_BITS_MAX);
	else if (!BN_is_odd(n))
		status = cs_fail(err, CS_EAUTH, "its RSA modulus is even");
	BN_free(n);
	return status;
}

static int check_ec(EVP_PKEY *key, unsigned min_bits, struct cs_err *err)
{
	int bits = EVP_PKEY_get_bits(key), explicit_curve = 0;
	char curve[64];
	size_t n;

	/* A curve that a certificate brings along may be made to break the library or the key. */
	if (EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
				   &explicit_curve) != 1 ||
	    explicit_curve || EVP_PKEY_get_group_name(key, curve, sizeof(curve), &n) != 1) {
		ERR_clear_error();
		return cs_fail(err, CS_EAUTH, "its EC key is not on a curve with a name");
	}
	if (bits < (int)min_bits)
		return cs_fail(err, CS_EAUTH, "its EC key has %d bits, and %u are needed", bits,
			       min_bits);
	return 0;
}

int pki_key_check(EVP_PKEY *key, const struct pki_strength *strength, struct cs_err *err)
{
	int status;

	switch (pki_key_type_of(key)) {
	case PKI_KEY_RSA:
		status = check_modulus(key, strength->rsa_bits ? strength->rsa_bits : 2048, err);
		return status == 0 ? check_exponent(key, err) : status;
	case PKI_KEY_EC:
		return check_ec(key, strength->ec_bits ? strength->ec_bits : 256, err);
	case PKI_KEY_ED:
		return 0;
	case PKI_KEY_OTHER:
		break;
	}
	return cs_fail(err, CS_EAUTH, "its key is of a type that is not used here");
}

int pki_rsa_check(EVP_PKEY *key, const struct pki_strength *strength, struct cs_err *err)
{
	enum pki_key_type type = pki_key_type_of(key);

	if (type != PKI_KEY_RSA)
		return cs_fail(err, CS_EAUTH,
			       "its key is not RSA (type %s), which IKE version 1's RSA signatures "
			       "need",
			       pki_key_type_name(type));
	return pki_key_check(key, strength, err);
}

const EVP_MD *pki_digest_for(EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_security_bits(key);

	if (pki_key_type_of(key) == PKI_KEY_ED)
		return NULL;
	return bits > 192 ? EVP_sha512() : bits > 128 ? EVP_sha384() : EVP_sha256();
}
