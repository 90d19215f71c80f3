/* Hash, PRF, CBC, key derivation and both Diffie-Hellman engines against each other. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <gcrypt.h>
#ifdef HAVE_OPENSSL
#include <openssl/bn.h>
#endif

#include "iked/crypto.h"
#include "iked/dh.h"
#include "tests/unit/run_suite.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void setup(void)
{
	struct cs_err err = {0};

	ck_assert_msg(ike_crypto_init(false, &err) == 0, "%s", err.text);
	ck_assert_int_eq(ike_arena_init(1 << 20, &err), 0);
}

static const struct cs_hash *hash(const char *keyword)
{
	const struct cs_hash *h = cs_hash_by_keyword(keyword);

	ck_assert_ptr_nonnull(h);
	return h;
}

static size_t unhex(const char *text, uint8_t *out, size_t cap)
{
	int n = cs_unhex(text, out, cap);

	ck_assert_int_ge(n, 0);
	return (size_t)n;
}

/* ---- hash, PRF, CBC ---- */

START_TEST(test_hash)
{
	/* "abc": RFC 1321, FIPS 180. */
	static const struct {
		const char *hash, *want;
	} cases[] = {
		{"MD5", "900150983cd24fb0d6963f7d28e17f72"},
		{"SHA1", "a9993e364706816aba3e25717850c26c9cd0d89d"},
		{"SHA2_256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"SHA2_384", "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
			     "8086072ba1e7cc2358baeca134c825a7"},
		{"SHA2_512", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
			     "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct ike_part parts[] = {{"a", 1}, {"", 0}, {NULL, 0}, {"bc", 2}};
		uint8_t got[IKE_HASH_MAX], want[IKE_HASH_MAX];
		const struct cs_hash *h = hash(cases[i].hash);

		ck_assert_uint_eq(unhex(cases[i].want, want, sizeof(want)), h->len);
		ck_assert_int_eq(ike_hash(h, parts, 4, got, NULL), 0);
		ck_assert_mem_eq(got, want, h->len);
	}
}
END_TEST

START_TEST(test_prf)
{
	/* RFC 2202 and RFC 4231, test case 2: key "Jefe". */
	static const struct {
		const char *hash, *want;
	} cases[] = {
		{"MD5", "750c783e6ab0b503eaa86e310a5db738"},
		{"SHA1", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
		{"SHA2_256", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
		{"SHA2_384", "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
			     "8e2240ca5e69e2c78b3239ecfab21649"},
		{"SHA2_512", "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
			     "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct ike_part parts[] = {{"what do ya want ", 16}, {"for nothing?", 12}};
		uint8_t got[IKE_HASH_MAX], want[IKE_HASH_MAX];
		const struct cs_hash *h = hash(cases[i].hash);

		ck_assert_uint_eq(unhex(cases[i].want, want, sizeof(want)), h->len);
		ck_assert_int_eq(ike_prf(h, (const uint8_t *)"Jefe", 4, parts, 2, got, NULL), 0);
		ck_assert_mem_eq(got, want, h->len);
	}
}
END_TEST

START_TEST(test_prf_long_key)
{
	/* RFC 4231 test case 6: a key longer than the block. */
	struct ike_part part = {"Test Using Larger Than Block-Size Key - Hash Key First", 54};
	uint8_t key[131], got[IKE_HASH_MAX], want[IKE_HASH_MAX];

	memset(key, 0xaa, sizeof(key));
	unhex("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54", want,
	      sizeof(want));
	ck_assert_int_eq(ike_prf(hash("SHA2_256"), key, sizeof(key), &part, 1, got, NULL), 0);
	ck_assert_mem_eq(got, want, 32);
}
END_TEST

START_TEST(test_cbc)
{
	/* NIST SP 800-38A F.2.1, F.2.3, F.2.5, the first two blocks. */
	static const char plain[] =
		"6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51";
	static const struct {
		unsigned bits;
		const char *key, *want;
	} cases[] = {
		{128, "2b7e151628aed2a6abf7158809cf4f3c",
		 "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"},
		{192, "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
		 "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a"},
		{256, "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
		 "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct cs_cipher *c = cs_cipher_by_keyword("AES_CBC", cases[i].bits);
		uint8_t key[32], iv[16], data[32], want[32], first[32];

		unhex(cases[i].key, key, sizeof(key));
		unhex("000102030405060708090a0b0c0d0e0f", iv, sizeof(iv));
		unhex(plain, first, sizeof(first));
		unhex(cases[i].want, want, sizeof(want));
		/* Block by block, so that the IV is carried. */
		memcpy(data, first, sizeof(data));
		ck_assert_int_eq(ike_cbc(c, true, key, iv, data, 16, NULL), 0);
		ck_assert_int_eq(ike_cbc(c, true, key, iv, data + 16, 16, NULL), 0);
		ck_assert_mem_eq(data, want, 32);
		ck_assert_mem_eq(iv, want + 16, 16);
		unhex("000102030405060708090a0b0c0d0e0f", iv, sizeof(iv));
		ck_assert_int_eq(ike_cbc(c, false, key, iv, data, 32, NULL), 0);
		ck_assert_mem_eq(data, first, 32);
		ck_assert_mem_eq(iv, want + 16, 16);
	}
}
END_TEST

START_TEST(test_cbc_3des)
{
	/* NIST SP 800-20: with three equal keys it is DES; DES of zero under a weak key is known.
	 */
	const struct cs_cipher *c = cs_cipher_by_keyword("3DES", 0);
	uint8_t key[24], iv[8] = {0}, data[8] = {0}, want[8], zero[8] = {0};

	memset(key, 0x01, sizeof(key)); /* weak: must be taken all the same */
	unhex("8ca64de9c1b123a7", want, sizeof(want));
	ck_assert_int_eq(ike_cbc(c, true, key, iv, data, 8, NULL), 0);
	ck_assert_mem_eq(data, want, 8);
	memset(iv, 0, sizeof(iv));
	ck_assert_int_eq(ike_cbc(c, false, key, iv, data, 8, NULL), 0);
	ck_assert_mem_eq(data, zero, 8);
}
END_TEST

START_TEST(test_cbc_refuses)
{
	const struct cs_cipher *aes = cs_cipher_by_keyword("AES_CBC", 128);
	const struct cs_cipher *gcm = cs_cipher_by_keyword("AES_GCM_16", 128);
	uint8_t key[32] = {0}, iv[16] = {0}, data[32] = {0};

	for (size_t len = 0; len < 32; len++)
		if (len != 16)
			ck_assert_int_eq(ike_cbc(aes, false, key, iv, data, len, NULL), CS_EPARSE);
	ck_assert_int_eq(ike_cbc(gcm, false, key, iv, data, 16, NULL), CS_EUNSUPPORTED);
}
END_TEST

START_TEST(test_keymat_length)
{
	const struct cs_hash *h = hash("SHA1");
	struct cs_bytes n = {(const uint8_t *)"nonce", 5}, none = {NULL, 0};
	uint8_t d[IKE_HASH_MAX] = {1}, longest[IKE_KEYMAT_MAX], out[IKE_KEYMAT_MAX + 1];

	ck_assert_int_eq(ike_keymat(h, d, none, 3, 0x12345678, n, n, longest, IKE_KEYMAT_MAX, NULL),
			 0);
	/* Each length is a prefix of the longest, and nothing is written behind it. */
	for (size_t len = 0; len <= IKE_KEYMAT_MAX; len++) {
		memset(out, 0x5a, sizeof(out));
		ck_assert_int_eq(ike_keymat(h, d, none, 3, 0x12345678, n, n, out, len, NULL), 0);
		ck_assert_mem_eq(out, longest, len);
		ck_assert_uint_eq(out[len], 0x5a);
	}
	ck_assert_int_eq(ike_keymat(h, d, none, 3, 1, n, n, out, IKE_KEYMAT_MAX + 1, NULL),
			 CS_EINVAL);
}
END_TEST

/* ---- groups ---- */

static const uint16_t all_groups[] = {1, 2, 5, 14, 15, 16, 19, 20, 21, 24};

/* Fermat's test: a mistyped digit does not pass it. 64 rounds of a real test take seconds here. */
static bool looks_prime(gcry_mpi_t p)
{
	gcry_mpi_t base = gcry_mpi_set_ui(NULL, 3), exponent = gcry_mpi_new(0), r = gcry_mpi_new(0);
	bool prime;

	gcry_mpi_sub_ui(exponent, p, 1);
	gcry_mpi_powm(r, base, exponent, p);
	prime = gcry_mpi_cmp_ui(r, 1) == 0;
	gcry_mpi_release(base);
	gcry_mpi_release(exponent);
	gcry_mpi_release(r);
	return prime;
}

START_TEST(test_group_numbers)
{
	unsigned n;

	cs_groups(&n);
	ck_assert_uint_eq(n, COUNT(all_groups));
	for (size_t i = 0; i < COUNT(all_groups); i++) {
		const struct cs_group *g = cs_group_by_number(all_groups[i]);
		const struct ike_dh_numbers *d = ike_dh_numbers(all_groups[i]);
		gcry_mpi_t p, half, q;

		ck_assert_ptr_nonnull(g);
		ck_assert_ptr_nonnull(d);
		ck_assert_uint_eq(d->p.len, g->secret_len);
		ck_assert_int_eq(gcry_mpi_scan(&p, GCRYMPI_FMT_USG, d->p.p, d->p.len, NULL), 0);
		ck_assert_uint_eq(gcry_mpi_get_nbits(p), g->bits);
		ck_assert(looks_prime(p));
		if (d->order.len) {
			ck_assert_int_eq(
				gcry_mpi_scan(&q, GCRYMPI_FMT_USG, d->order.p, d->order.len, NULL),
				0);
			ck_assert(looks_prime(q));
			ck_assert_uint_eq(gcry_mpi_get_nbits(q),
					  g->kind == CS_ECP ? g->bits : g->order_bits);
			gcry_mpi_release(q);
		} else {
			/* A safe prime: (p - 1) / 2 is prime, too. */
			half = gcry_mpi_new(0);
			gcry_mpi_rshift(half, p, 1);
			ck_assert(looks_prime(half));
			gcry_mpi_release(half);
		}
		gcry_mpi_release(p);
	}
	ck_assert_ptr_null(ike_dh_numbers(22));
}
END_TEST

#ifdef HAVE_OPENSSL
START_TEST(test_group_openssl)
{
	static const struct {
		uint16_t group;
		BIGNUM *(*prime)(BIGNUM *);
	} cases[] = {
		{1, BN_get_rfc2409_prime_768},   {2, BN_get_rfc2409_prime_1024},
		{5, BN_get_rfc3526_prime_1536},  {14, BN_get_rfc3526_prime_2048},
		{15, BN_get_rfc3526_prime_3072}, {16, BN_get_rfc3526_prime_4096},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct ike_dh_numbers *d = ike_dh_numbers(cases[i].group);
		BIGNUM *p = cases[i].prime(NULL);
		uint8_t bytes[IKE_PUBLIC_MAX];

		ck_assert_ptr_nonnull(p);
		ck_assert_int_eq(BN_num_bytes(p), (int)d->p.len);
		BN_bn2bin(p, bytes);
		ck_assert_mem_eq(bytes, d->p.p, d->p.len);
		BN_free(p);
	}
}
END_TEST
#endif

/* ---- Diffie-Hellman ---- */

static const struct ike_dh_engine *const engines[] = {
	&ike_dh_libgcrypt,
#ifdef HAVE_OPENSSL
	&ike_dh_openssl,
#endif
};

/* Every engine pair, every group: same public values, same secrets. */
START_TEST(test_dh_agree)
{
	const struct cs_group *g = cs_group_by_number(all_groups[_i]);
	uint8_t x[2][32], y[COUNT(engines)][2][IKE_PUBLIC_MAX], s[IKE_SECRET_MAX];
	uint8_t first[IKE_SECRET_MAX];

	for (int round = 0; round < 3; round++) {
		for (int side = 0; side < 2; side++) {
			gcry_create_nonce(x[side], sizeof(x[side]));
			x[side][0] &= 0x3f; /* below every order */
		}
		for (size_t e = 0; e < COUNT(engines); e++)
			for (int side = 0; side < 2; side++)
				ck_assert_int_eq(
					engines[e]->public_value(g, (struct cs_bytes){x[side], 32},
								 y[e][side], NULL),
					0);
		for (size_t e = 0; e < COUNT(engines); e++) {
			ck_assert_mem_eq(y[e][0], y[0][0], g->public_len);
			ck_assert_mem_eq(y[e][1], y[0][1], g->public_len);
			for (int side = 0; side < 2; side++) {
				struct cs_bytes peer = {y[0][!side], g->public_len};

				memset(s, 0x5a, sizeof(s));
				ck_assert_int_eq(engines[e]->secret(g,
								    (struct cs_bytes){x[side], 32},
								    peer, s, NULL),
						 0);
				if (e == 0 && side == 0)
					memcpy(first, s, g->secret_len);
				ck_assert_mem_eq(s, first, g->secret_len);
			}
		}
	}
}
END_TEST

/* A secret that begins with zero bytes keeps its length in every engine. */
START_TEST(test_dh_leading_zero)
{
	const struct cs_group *g = cs_group_by_number(all_groups[_i]);
	uint8_t a[32], y[IKE_PUBLIC_MAX], s[IKE_SECRET_MAX], other[IKE_SECRET_MAX + 1];
	unsigned x;

	memset(a, 7, sizeof(a));
	ck_assert_int_eq(ike_dh_engine()->public_value(g, (struct cs_bytes){a, sizeof(a)}, y, NULL),
			 0);
	for (x = 2; x < 20000; x++) {
		uint8_t xb[2] = {(uint8_t)(x >> 8), (uint8_t)x};
		struct cs_bytes xv = {xb, 2}, peer = {y, g->public_len};

		memset(s, 0x5a, sizeof(s));
		ck_assert_int_eq(ike_dh_engine()->secret(g, xv, peer, s, NULL), 0);
		if (s[0] != 0)
			continue;
		for (size_t e = 0; e < COUNT(engines); e++) {
			memset(other, 0xa5, sizeof(other));
			ck_assert_int_eq(engines[e]->secret(g, xv, peer, other, NULL), 0);
			ck_assert_mem_eq(other, s, g->secret_len);
			ck_assert_uint_eq(other[g->secret_len], 0xa5);
		}
		return;
	}
	ck_abort_msg("no secret with a leading zero in %s", g->suite);
}
END_TEST

START_TEST(test_dh_rfc5903)
{
	/* RFC 5903 section 8.1. */
	static const char i_hex[] =
		"c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433";
	static const char gi_hex[] =
		"dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180"
		"5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3";
	static const char gr_hex[] =
		"d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63"
		"56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab";
	static const char gir_hex[] =
		"d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de";
	const struct cs_group *g = cs_group_by_number(19);
	uint8_t x[32], gi[64], gr[64], gir[32], out[64];

	unhex(i_hex, x, sizeof(x));
	unhex(gi_hex, gi, sizeof(gi));
	unhex(gr_hex, gr, sizeof(gr));
	unhex(gir_hex, gir, sizeof(gir));
	for (size_t e = 0; e < COUNT(engines); e++) {
		struct cs_bytes xv = {x, 32}, peer = {gr, 64};

		ck_assert_int_eq(engines[e]->public_value(g, xv, out, NULL), 0);
		ck_assert_mem_eq(out, gi, 64);
		ck_assert_int_eq(engines[e]->secret(g, xv, peer, out, NULL), 0);
		ck_assert_mem_eq(out, gir, 32);
	}
}
END_TEST

START_TEST(test_dh_front)
{
	const struct cs_group *g = cs_group_by_number(all_groups[_i]);
	uint8_t s[2][IKE_SECRET_MAX];
	struct ike_dh *a = NULL, *b = NULL;
	size_t used = ike_arena_used();

	ck_assert_int_eq(ike_dh_keypair(g, &a, NULL), 0);
	ck_assert_int_eq(ike_dh_keypair(g, &b, NULL), 0);
	ck_assert_ptr_eq(ike_dh_group(a), g);
	ck_assert_uint_eq(ike_dh_public(a).len, g->public_len);
	ck_assert_mem_ne(ike_dh_public(a).p, ike_dh_public(b).p, g->public_len);
	ck_assert_int_eq(ike_dh_secret(a, ike_dh_public(b), s[0], NULL), 0);
	ck_assert_int_eq(ike_dh_secret(b, ike_dh_public(a), s[1], NULL), 0);
	ck_assert_mem_eq(s[0], s[1], g->secret_len);
	ike_dh_free(a);
	ike_dh_free(b);
	ike_dh_free(NULL);
	ck_assert_uint_eq(ike_arena_used(), used);
}
END_TEST

/* v = p + delta, over the length of p. */
static void near_p(const struct ike_dh_numbers *d, int delta, uint8_t *v)
{
	int carry = delta;

	for (size_t i = d->p.len; i-- > 0;) {
		int sum = d->p.p[i] + carry;

		v[i] = (uint8_t)sum;
		carry = sum < 0 ? -1 : sum > 255 ? 1 : 0;
	}
}

START_TEST(test_dh_modp_values)
{
	static const uint16_t groups[] = {1, 2, 5, 14, 15, 16, 24};
	const struct cs_group *g = cs_group_by_number(groups[_i]);
	const struct ike_dh_numbers *d = ike_dh_numbers(groups[_i]);
	uint8_t v[IKE_PUBLIC_MAX + 1], s[IKE_SECRET_MAX];
	static const struct {
		const char *what;
		bool near; /* p + delta, else delta */
		int delta;
		bool good;
	} cases[] = {
		{"0", false, 0, false},    {"1", false, 1, false},     {"2", false, 2, true},
		{"p - 2", true, -2, true}, {"p - 1", true, -1, false}, {"p", true, 0, false},
		{"p + 1", true, 1, false},
	};
	struct ike_dh *dh;

	ck_assert_int_eq(ike_dh_keypair(g, &dh, NULL), 0);
	for (size_t i = 0; i < COUNT(cases); i++) {
		/* 2 and p - 2 are not in the small subgroup of Group24. */
		bool good = cases[i].good && !g->order_bits;
		struct cs_err err = {0};
		int rc;

		memset(v, 0, sizeof(v));
		v[g->public_len - 1] = (uint8_t)cases[i].delta;
		if (cases[i].near)
			near_p(d, cases[i].delta, v);
		rc = ike_dh_secret(dh, (struct cs_bytes){v, g->public_len}, s, &err);
		ck_assert_msg(rc == (good ? 0 : CS_EAUTH), "%s %s: %d %s", g->suite, cases[i].what,
			      rc, err.text);
	}
	memset(v, 0xff, sizeof(v));
	ck_assert_int_eq(ike_dh_secret(dh, (struct cs_bytes){v, g->public_len}, s, NULL), CS_EAUTH);
	/* A good value of a wrong length. */
	memset(v, 0, sizeof(v));
	v[g->public_len - 2] = 2;
	for (int delta = -1; delta <= 1; delta += 2)
		ck_assert_int_eq(
			ike_dh_secret(dh, (struct cs_bytes){v, (size_t)(g->public_len + delta)}, s,
				      NULL),
			CS_EAUTH);
	ck_assert_int_eq(ike_dh_secret(dh, (struct cs_bytes){v, 0}, s, NULL), CS_EAUTH);
	ike_dh_free(dh);
}
END_TEST

START_TEST(test_dh_ecp_values)
{
	static const uint16_t groups[] = {19, 20, 21};
	const struct cs_group *g = cs_group_by_number(groups[_i]);
	const struct ike_dh_numbers *d = ike_dh_numbers(groups[_i]);
	uint8_t v[IKE_PUBLIC_MAX] = {0}, s[IKE_SECRET_MAX];
	struct cs_bytes peer = {v, g->public_len};
	size_t half = g->public_len / 2u;
	struct ike_dh *dh, *other;

	ck_assert_int_eq(ike_dh_keypair(g, &dh, NULL), 0);
	ck_assert_int_eq(ike_dh_keypair(g, &other, NULL), 0);
	ck_assert_int_eq(ike_dh_secret(dh, peer, s, NULL), CS_EAUTH); /* 0, 0 */
	for (size_t at = 0; at < 2; at++) {
		/* A coordinate off by one, and one that is the prime itself. */
		memcpy(v, ike_dh_public(other).p, g->public_len);
		v[at * half + half - 1] ^= 1;
		ck_assert_int_eq(ike_dh_secret(dh, peer, s, NULL), CS_EAUTH);
		for (size_t e = 0; e < COUNT(engines); e++)
			ck_assert_int_eq(engines[e]->secret(g, (struct cs_bytes){(uint8_t[]){9}, 1},
							    peer, s, NULL),
					 CS_EAUTH);
		memcpy(v, ike_dh_public(other).p, g->public_len);
		memcpy(v + at * half, d->p.p, half);
		ck_assert_int_eq(ike_dh_secret(dh, peer, s, NULL), CS_EAUTH);
	}
	memset(v, 0xff, sizeof(v));
	ck_assert_int_eq(ike_dh_secret(dh, peer, s, NULL), CS_EAUTH);
	memcpy(v, ike_dh_public(other).p, g->public_len);
	peer.len--;
	ck_assert_int_eq(ike_dh_secret(dh, peer, s, NULL), CS_EAUTH);
	peer.len = half;
	ck_assert_int_eq(ike_dh_secret(dh, peer, s, NULL), CS_EAUTH);
	peer.len = g->public_len;
	ck_assert_int_eq(ike_dh_secret(dh, peer, s, NULL), 0);
	ike_dh_free(dh);
	ike_dh_free(other);
}
END_TEST

START_TEST(test_dh_from_private)
{
	const struct cs_group *g = cs_group_by_number(19);
	const struct ike_dh_numbers *d = ike_dh_numbers(19);
	uint8_t x[33] = {0}, seven[1] = {7};
	struct ike_dh *dh, *same;

	ck_assert_int_eq(ike_dh_from_private(g, (struct cs_bytes){x, 32}, &dh, NULL), CS_EINVAL);
	ck_assert_int_eq(ike_dh_from_private(g, (struct cs_bytes){x, 33}, &dh, NULL), CS_EINVAL);
	ck_assert_int_eq(ike_dh_from_private(g, d->order, &dh, NULL), CS_EINVAL);
	memcpy(x, d->order.p, 32);
	x[31]--;
	ck_assert_int_eq(ike_dh_from_private(g, (struct cs_bytes){x, 32}, &dh, NULL), 0);
	ike_dh_free(dh);
	memset(x, 0, sizeof(x));
	x[31] = 7;
	ck_assert_int_eq(ike_dh_from_private(g, (struct cs_bytes){x, 32}, &dh, NULL), 0);
	ck_assert_int_eq(ike_dh_from_private(g, (struct cs_bytes){seven, 1}, &same, NULL), 0);
	ck_assert_mem_eq(ike_dh_public(dh).p, ike_dh_public(same).p, 64);
	ike_dh_free(dh);
	ike_dh_free(same);
}
END_TEST

static void *work(void *arg)
{
	for (int i = 0; i < 20; i++) {
		const struct cs_group *g = cs_group_by_number(i % 2 ? 2 : 19);
		uint8_t s[2][IKE_SECRET_MAX];
		struct ike_dh *a, *b;

		if (ike_dh_keypair(g, &a, NULL) || ike_dh_keypair(g, &b, NULL) ||
		    ike_dh_secret(a, ike_dh_public(b), s[0], NULL) ||
		    ike_dh_secret(b, ike_dh_public(a), s[1], NULL) ||
		    memcmp(s[0], s[1], g->secret_len) != 0)
			return NULL;
		ike_dh_free(a);
		ike_dh_free(b);
	}
	return arg;
}

START_TEST(test_dh_threads)
{
	pthread_t threads[4];
	void *done;
	int token;

	for (size_t i = 0; i < COUNT(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &token), 0);
	for (size_t i = 0; i < COUNT(threads); i++) {
		ck_assert_int_eq(pthread_join(threads[i], &done), 0);
		ck_assert_ptr_eq(done, &token);
	}
	ck_assert_uint_eq(ike_arena_used(), 0);
}
END_TEST

/* ---- FIPS mode: in a process of its own ---- */

START_TEST(test_fips)
{
	struct ike_part part = {"abc", 3};
	uint8_t out[IKE_HASH_MAX], key[14] = {1};
	struct cs_err err = {0};

	ck_assert_msg(ike_crypto_init(true, &err) == 0, "%s", err.text);
	ck_assert_int_eq(ike_crypto_init(true, &err), 0);
	ck_assert_int_eq(ike_crypto_init(false, &err), CS_EINVAL);
	ck_assert_ptr_eq(ike_dh_engine(), &ike_dh_libgcrypt);
	ck_assert_int_eq(ike_hash(hash("SHA2_256"), &part, 1, out, &err), 0);
	ck_assert_int_eq(ike_hash(hash("MD5"), &part, 1, out, &err), CS_ECRYPTO);
	ck_assert_int_eq(ike_prf(hash("SHA2_256"), key, 14, &part, 1, out, &err), 0);
	ck_assert_int_eq(ike_prf(hash("SHA2_256"), key, 13, &part, 1, out, &err), CS_ECRYPTO);
}
END_TEST

START_TEST(test_init_twice)
{
	ck_assert_int_eq(ike_crypto_init(false, NULL), 0);
	ck_assert_int_eq(ike_crypto_init(true, NULL), CS_EINVAL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("crypto");
	TCase *c = tcase_create("plain"), *f = tcase_create("fips");

	tcase_add_checked_fixture(c, setup, NULL);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, test_hash);
	tcase_add_test(c, test_prf);
	tcase_add_test(c, test_prf_long_key);
	tcase_add_test(c, test_cbc);
	tcase_add_test(c, test_cbc_3des);
	tcase_add_test(c, test_cbc_refuses);
	tcase_add_test(c, test_keymat_length);
	tcase_add_test(c, test_group_numbers);
#ifdef HAVE_OPENSSL
	tcase_add_test(c, test_group_openssl);
#endif
	tcase_add_loop_test(c, test_dh_agree, 0, COUNT(all_groups));
	tcase_add_loop_test(c, test_dh_leading_zero, 0, COUNT(all_groups));
	tcase_add_test(c, test_dh_rfc5903);
	tcase_add_loop_test(c, test_dh_front, 0, COUNT(all_groups));
	tcase_add_loop_test(c, test_dh_modp_values, 0, 7);
	tcase_add_loop_test(c, test_dh_ecp_values, 0, 3);
	tcase_add_test(c, test_dh_from_private);
	tcase_add_test(c, test_dh_threads);
	tcase_add_test(c, test_init_twice);
	suite_add_tcase(s, c);
	tcase_set_timeout(f, 60);
	tcase_add_test(f, test_fips);
	suite_add_tcase(s, f);
	return run_suite(s);
}
