/*
 * IKE version 1's RSA signatures: made and compared, against what the openssl program computes,
 * and every class of forgery that others fell for (the numbers are those of the CVEs).
 */
#include <check.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/pki_make.h"
#include "tests/unit/run_suite.h"

static const struct pki_strength usual = {0};
static const uint8_t text[64] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde";
/* MD5, SHA-1, SHA-256, SHA-384, SHA-512. */
static const size_t lengths[] = {16, 20, 32, 48, 64};
#define N_LENGTHS (sizeof(lengths) / sizeof(lengths[0]))

static struct cs_bytes hash_of(size_t len)
{
	return (struct cs_bytes){text, len};
}

START_TEST(there_and_back)
{
	uint8_t sig[PKI_SIGNATURE_MAX];
	struct cs_err err;
	size_t n;

	for (size_t i = 0; i < N_LENGTHS; i++) {
		ck_assert_int_eq(pki_sign(rsa_a, hash_of(lengths[i]), &usual, sig, &n, &err), 0);
		ck_assert_uint_eq(n, 256);
		ck_assert_int_eq(pki_verify(rsa_a, hash_of(lengths[i]), (struct cs_bytes){sig, n},
					    &usual, &err),
				 0);
		ck_assert_int_eq(pki_verify(rsa_b, hash_of(lengths[i]), (struct cs_bytes){sig, n},
					    &usual, &err),
				 CS_EAUTH);
		/* Another hash, also one that is the beginning of it (CVE-2026-50721). */
		for (size_t k = 0; k < N_LENGTHS; k++)
			if (k != i)
				ck_assert_int_eq(pki_verify(rsa_a, hash_of(lengths[k]),
							    (struct cs_bytes){sig, n}, &usual,
							    &err),
						 CS_EAUTH);
	}
}
END_TEST

START_TEST(bad_input)
{
	uint8_t sig[PKI_SIGNATURE_MAX] = {0};
	struct cs_err err;
	size_t n;

	ck_assert_int_eq(pki_sign(rsa_a, hash_of(0), &usual, sig, &n, &err), CS_EINVAL);
	ck_assert_int_eq(pki_sign(rsa_a, hash_of(15), &usual, sig, &n, &err), CS_EINVAL);
	ck_assert_int_eq(pki_sign(rsa_a, (struct cs_bytes){text, 65}, &usual, sig, &n, &err),
			 CS_EINVAL);
	ck_assert_int_eq(pki_sign(rsa_small, hash_of(20), &usual, sig, &n, &err), CS_EAUTH);
	ck_assert_int_eq(pki_sign(ec_a, hash_of(20), &usual, sig, &n, &err), CS_EAUTH);
	ck_assert_int_eq(pki_verify(ec_a, hash_of(20), (struct cs_bytes){sig, 64}, &usual, &err),
			 CS_EAUTH);
	ck_assert_int_eq(
		pki_verify(rsa_small, hash_of(20), (struct cs_bytes){sig, 128}, &usual, &err),
		CS_EAUTH);
	ck_assert_int_eq(pki_verify(rsa_a, (struct cs_bytes){NULL, 0}, (struct cs_bytes){sig, 256},
				    &usual, &err),
			 CS_EINVAL);
	for (size_t len = 0; len <= 512; len += len == 254 ? 1 : len == 257 ? 255 : 127)
		ck_assert_int_eq(
			pki_verify(rsa_a, hash_of(20), (struct cs_bytes){sig, len}, &usual, &err),
			CS_EAUTH);
}
END_TEST

/* Every bit of the signature counts. */
START_TEST(every_bit)
{
	uint8_t sig[PKI_SIGNATURE_MAX];
	struct cs_err err;
	size_t n;

	ck_assert_int_eq(pki_sign(rsa_a, hash_of(20), &usual, sig, &n, &err), 0);
	for (size_t bit = 0; bit < n * 8; bit++) {
		sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_int_eq(
			pki_verify(rsa_a, hash_of(20), (struct cs_bytes){sig, n}, &usual, &err),
			CS_EAUTH);
		sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}
END_TEST

/* ---- blocks that are not the one: signed with the right key, so that only the block is wrong ----
 */

static void sign_block(const uint8_t *block, uint8_t *sig)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(rsa_a, NULL);
	size_t n = 256;

	ck_assert_int_eq(EVP_PKEY_sign_init(ctx), 1);
	ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING), 1);
	ck_assert_int_eq(EVP_PKEY_sign(ctx, sig, &n, block, 256), 1);
	ck_assert_uint_eq(n, 256);
	EVP_PKEY_CTX_free(ctx);
}

static int check_block(const uint8_t *block)
{
	uint8_t sig[256];
	struct cs_err err;

	sign_block(block, sig);
	return pki_verify(rsa_a, hash_of(20), (struct cs_bytes){sig, 256}, &usual, &err);
}

static void right_block(uint8_t block[static 256])
{
	memset(block, 0xff, 256);
	block[0] = 0;
	block[1] = 1;
	block[256 - 21] = 0;
	memcpy(block + 256 - 20, text, 20);
}

START_TEST(wrong_blocks)
{
	static const uint8_t sha1_info[] = {0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e,
					    0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14};
	uint8_t block[256];

	right_block(block);
	ck_assert_int_eq(check_block(block), 0);
	/* Every byte changed: block type, padding, separator, hash. */
	for (size_t i = 1; i < 256; i++) {
		block[i] ^= 0x55;
		ck_assert_int_eq(check_block(block), CS_EAUTH);
		block[i] ^= 0x55;
	}
	/* Block type 2 with padding that is not 00; type 0. */
	memset(block + 1, 0xa5, 256 - 22);
	block[1] = 2;
	ck_assert_int_eq(check_block(block), CS_EAUTH);
	memset(block, 0, 256 - 20);
	ck_assert_int_eq(check_block(block), CS_EAUTH);
	/* Bleichenbacher 2006 (CVE-2018-16151): the hash follows short padding, garbage at the end.
	 */
	right_block(block);
	memset(block, 0, sizeof(block));
	block[1] = 1;
	memset(block + 2, 0xff, 8);
	memcpy(block + 11, text, 20);
	memset(block + 31, 0x77, 256 - 31);
	ck_assert_int_eq(check_block(block), CS_EAUTH);
	/* Less than 8 bytes of padding: none at all. */
	memset(block, 0, sizeof(block));
	block[1] = 1;
	memcpy(block + 256 - 20, text, 20);
	ck_assert_int_eq(check_block(block), CS_EAUTH);
	/* With DigestInfo, as TLS and IKE version 2 have it: not ours. */
	right_block(block);
	block[256 - 36] = 0;
	memcpy(block + 256 - 35, sha1_info, sizeof(sha1_info));
	ck_assert_int_eq(check_block(block), CS_EAUTH);
	/* A short hash within right padding (CVE-2026-50721), and one with a byte more. */
	for (size_t len = 0; len <= 40; len++) {
		if (len == 20)
			continue;
		memset(block, 0xff, 256);
		block[0] = 0;
		block[1] = 1;
		block[256 - len - 1] = 0;
		memcpy(block + 256 - len, text, len);
		ck_assert_int_eq(check_block(block), CS_EAUTH);
	}
}
END_TEST

/* Signatures that are numbers with known powers. */
START_TEST(trivial_numbers)
{
	uint8_t sig[256] = {0};
	BIGNUM *n = NULL;
	struct cs_err err;
	const struct cs_bytes s = {sig, 256};

	ck_assert_int_eq(pki_verify(rsa_a, hash_of(20), s, &usual, &err), CS_EAUTH);
	sig[255] = 1;
	ck_assert_int_eq(pki_verify(rsa_a, hash_of(20), s, &usual, &err), CS_EAUTH);
	ck_assert_int_eq(EVP_PKEY_get_bn_param(rsa_a, OSSL_PKEY_PARAM_RSA_N, &n), 1);
	BN_bn2binpad(n, sig, 256);
	ck_assert_int_eq(pki_verify(rsa_a, hash_of(20), s, &usual, &err), CS_EAUTH);
	BN_sub_word(n, 1);
	BN_bn2binpad(n, sig, 256);
	ck_assert_int_eq(pki_verify(rsa_a, hash_of(20), s, &usual, &err), CS_EAUTH);
	memset(sig, 0xff, sizeof(sig));
	ck_assert_int_eq(pki_verify(rsa_a, hash_of(20), s, &usual, &err), CS_EAUTH);
	BN_free(n);
	/* The block itself, not signed at all (an exponent of 1 would let it pass). */
	right_block(sig);
	ck_assert_int_eq(pki_verify(rsa_a, hash_of(20), s, &usual, &err), CS_EAUTH);
}
END_TEST

/* The openssl program signs bare bytes with pkeyutl; both ways, all lengths. */
START_TEST(openssl_program)
{
	uint8_t sig[PKI_SIGNATURE_MAX];
	struct cs_bytes theirs, pem;
	struct cs_err err;
	BIO *out;
	char *data;
	size_t n;
	long len;

	new_dir();
	put_key("a", rsa_a);
	out = BIO_new(BIO_s_mem());
	ck_assert_int_eq(PEM_write_bio_PUBKEY(out, rsa_a), 1);
	len = BIO_get_mem_data(out, &data);
	pem = (struct cs_bytes){(uint8_t *)data, (size_t)len};
	put_file("a.pub", pem.p, pem.len, 0644);
	BIO_free(out);
	for (size_t i = 0; i < N_LENGTHS; i++) {
		put_file("hash", text, lengths[i], 0600);
		ck_assert_int_eq(run((const char *const[]){"openssl", "pkeyutl", "-sign", "-inkey",
							   in_dir("a.key"), "-in", in_dir("hash"),
							   "-out", in_dir("sig"), NULL}),
				 0);
		theirs = get_file("sig");
		ck_assert_int_eq(pki_verify(rsa_a, hash_of(lengths[i]), theirs, &usual, &err), 0);
		ck_assert_int_eq(pki_sign(rsa_a, hash_of(lengths[i]), &usual, sig, &n, &err), 0);
		ck_assert_uint_eq(n, theirs.len);
		ck_assert_mem_eq(sig, theirs.p, n);
		put_file("ours", sig, n, 0600);
		ck_assert_int_eq(
			run((const char *const[]){"openssl", "pkeyutl", "-verify", "-pubin",
						  "-inkey", in_dir("a.pub"), "-in", in_dir("hash"),
						  "-sigfile", in_dir("ours"), NULL}),
			0);
		pki_bytes_free(&theirs);
	}
	remove_dir();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pki_sign");
	TCase *tc = tcase_create("sign");

	make_keys();
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, there_and_back);
	tcase_add_test(tc, bad_input);
	tcase_add_test(tc, every_bit);
	tcase_add_test(tc, wrong_blocks);
	tcase_add_test(tc, trivial_numbers);
	tcase_add_test(tc, openssl_program);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
