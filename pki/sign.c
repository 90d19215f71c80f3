/*
 * IKE version 1's RSA signatures (RFC 2409 section 5.1): the hash alone in a PKCS#1 block of type
 * 1.  A signature is right when it opens to the whole block that this hash makes, byte for byte;
 * nothing in it is searched for or skipped.
 */
#include "pki/private.h"

#include <string.h>

#include <openssl/rsa.h>

#define PAD_MIN 8 /* bytes of 0xff that a block must have (RFC 8017 section 9.2) */

static int check_hash(struct cs_bytes hash, size_t block, struct cs_err *err)
{
	if (hash.len < 16 || hash.len > 64 || !hash.p)
		return cs_fail(err, CS_EINVAL, "a hash of %zu bytes is none of IKE's", hash.len);
	if (block < hash.len + 3 + PAD_MIN || block > PKI_SIGNATURE_MAX)
		return cs_fail(err, CS_EINVAL, "an RSA key of %zu bytes cannot sign %zu", block,
			       hash.len);
	return 0;
}

int pki_sign(EVP_PKEY *key, struct cs_bytes hash, const struct pki_strength *strength, uint8_t *sig,
	     size_t *sig_len, struct cs_err *err)
{
	EVP_PKEY_CTX *ctx;
	size_t n = PKI_SIGNATURE_MAX;
	int status = pki_rsa_check(key, strength, err);

	if (status == 0)
		status = check_hash(hash, (size_t)EVP_PKEY_get_size(key), err);
	if (status < 0)
		return status;
	/* Without a digest, the padding is put around the bytes as they are. */
	ctx = EVP_PKEY_CTX_new(key, NULL);
	if (ctx && EVP_PKEY_sign_init(ctx) == 1 &&
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
	    EVP_PKEY_sign(ctx, sig, &n, hash.p, hash.len) == 1)
		*sig_len = n;
	else
		status = pki_fail_openssl(err, "the signature cannot be made");
	EVP_PKEY_CTX_free(ctx);
	return status;
}

/* 00 01 ff .. ff 00 hash */
static void expected_block(struct cs_bytes hash, uint8_t *block, size_t len)
{
	memset(block, 0xff, len);
	block[0] = 0;
	block[1] = 1;
	block[len - hash.len - 1] = 0;
	memcpy(block + len - hash.len, hash.p, hash.len);
}

/* sig^e mod n, left-padded to the length of n. */
static int open_block(EVP_PKEY *key, struct cs_bytes sig, uint8_t *block, struct cs_err *err)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	size_t n = sig.len;
	int status = 0;

	if (!ctx || EVP_PKEY_verify_recover_init(ctx) != 1 ||
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) != 1)
		status = pki_fail_openssl(err, "the signature cannot be looked at");
	else if (EVP_PKEY_verify_recover(ctx, block, &n, sig.p, sig.len) != 1 || n != sig.len)
		status = pki_fail_openssl(err, "the signature does not open");
	EVP_PKEY_CTX_free(ctx);
	return status;
}

int pki_verify(EVP_PKEY *key, struct cs_bytes hash, struct cs_bytes sig,
	       const struct pki_strength *strength, struct cs_err *err)
{
	uint8_t block[PKI_SIGNATURE_MAX], expected[PKI_SIGNATURE_MAX];
	size_t len;
	int status = pki_rsa_check(key, strength, err);

	if (status < 0)
		return status;
	len = (size_t)EVP_PKEY_get_size(key);
	status = check_hash(hash, len, err);
	if (status < 0)
		return status;
	if (sig.len != len || !sig.p)
		return cs_fail(err, CS_EAUTH,
			       "the signature has %zu bytes, and the peer's key makes %zu", sig.len,
			       len);
	status = open_block(key, sig, block, err);
	if (status < 0)
		return cs_fail(err, CS_EAUTH,
			       "the signature is not one of the peer's key: it does not open");
	expected_block(hash, expected, len);
	if (!cs_equal_secret(block, expected, len))
		return cs_fail(err, CS_EAUTH,
			       "the signature does not fit the peer's key and what was exchanged");
	return 0;
}
