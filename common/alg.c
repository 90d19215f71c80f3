/* The algorithm table. */
#include "common/alg.h"

#include <stddef.h>
#include <strings.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* SMF and NMI codes: reference of NMsecIPTunnel (IBM), where a code is not known it is the ESP
 * number. */
static const struct cs_cipher ciphers[] = {
	{.keyword = "AES_CBC",
	 .display = "AES-CBC",
	 .suite = "aes128",
	 .xfrm = "cbc(aes)",
	 .ike = 7,
	 .esp = 12,
	 .key_bits = 128,
	 .block = 16,
	 .smf = 12,
	 .key_attr = true,
	 .fips = true,
	 .supported = true},
	{.keyword = "AES_CBC",
	 .display = "AES-CBC",
	 .suite = "aes192",
	 .xfrm = "cbc(aes)",
	 .ike = 7,
	 .esp = 12,
	 .key_bits = 192,
	 .block = 16,
	 .smf = 12,
	 .key_attr = true,
	 .fips = true,
	 .supported = true},
	{.keyword = "AES_CBC",
	 .display = "AES-CBC",
	 .suite = "aes256",
	 .xfrm = "cbc(aes)",
	 .ike = 7,
	 .esp = 12,
	 .key_bits = 256,
	 .block = 16,
	 .smf = 12,
	 .key_attr = true,
	 .fips = true,
	 .supported = true},
	{.keyword = "3DES",
	 .display = "3DES-CBC",
	 .suite = "3des",
	 .xfrm = "cbc(des3_ede)",
	 .ike = 5,
	 .esp = 3,
	 .key_bits = 192,
	 .block = 8,
	 .smf = 3,
	 .fips = false,
	 .supported = true},
	{.keyword = "DES",
	 .display = "DES-CBC",
	 .suite = "des",
	 .xfrm = "cbc(des)",
	 .ike = 1,
	 .esp = 2,
	 .key_bits = 64,
	 .block = 8,
	 .smf = 18,
	 .fips = false,
	 .supported = false},
	{.keyword = "AES_GCM_16",
	 .display = "AES-GCM-16",
	 .suite = "aes128gcm16",
	 .xfrm = "rfc4106(gcm(aes))",
	 .esp = 20,
	 .key_bits = 128,
	 .block = 4,
	 .salt = 4,
	 .icv_bits = 128,
	 .smf = 20,
	 .key_attr = true,
	 .fips = true,
	 .supported = true},
	{.keyword = "AES_GCM_16",
	 .display = "AES-GCM-16",
	 .suite = "aes192gcm16",
	 .xfrm = "rfc4106(gcm(aes))",
	 .esp = 20,
	 .key_bits = 192,
	 .block = 4,
	 .salt = 4,
	 .icv_bits = 128,
	 .smf = 20,
	 .key_attr = true,
	 .fips = true,
	 .supported = true},
	{.keyword = "AES_GCM_16",
	 .display = "AES-GCM-16",
	 .suite = "aes256gcm16",
	 .xfrm = "rfc4106(gcm(aes))",
	 .esp = 20,
	 .key_bits = 256,
	 .block = 4,
	 .salt = 4,
	 .icv_bits = 128,
	 .smf = 20,
	 .key_attr = true,
	 .fips = true,
	 .supported = true},
	{.keyword = "DoNot",
	 .display = "NULL",
	 .suite = "null",
	 .xfrm = "ecb(cipher_null)",
	 .esp = 11,
	 .key_bits = 0,
	 .block = 4,
	 .smf = 11,
	 .fips = true,
	 .supported = true},
};

static const struct cs_hash hashes[] = {
	{.keyword = "MD5",
	 .display = "HMAC-MD5",
	 .prf = "HMAC-MD5",
	 .suite = "md5",
	 .ike = 1,
	 .len = 16,
	 .smf = 38,
	 .fips = false},
	{.keyword = "SHA1",
	 .display = "HMAC-SHA1",
	 .prf = "HMAC-SHA1",
	 .suite = "sha1",
	 .ike = 2,
	 .len = 20,
	 .smf = 39,
	 .fips = true},
	{.keyword = "SHA2_256",
	 .display = "HMAC-SHA2-256-128",
	 .prf = "HMAC-SHA2-256",
	 .suite = "sha256",
	 .ike = 4,
	 .len = 32,
	 .smf = 7,
	 .fips = true},
	{.keyword = "SHA2_384",
	 .display = "HMAC-SHA2-384-192",
	 .prf = "HMAC-SHA2-384",
	 .suite = "sha384",
	 .ike = 5,
	 .len = 48,
	 .smf = 13,
	 .fips = true},
	{.keyword = "SHA2_512",
	 .display = "HMAC-SHA2-512-256",
	 .prf = "HMAC-SHA2-512",
	 .suite = "sha512",
	 .ike = 6,
	 .len = 64,
	 .smf = 14,
	 .fips = true},
};

static const struct cs_integ integs[] = {
	{.keyword = "HMAC_MD5",
	 .display = "HMAC-MD5",
	 .suite = "md5",
	 .xfrm = "hmac(md5)",
	 .esp = 1,
	 .ah = 2,
	 .key_bits = 128,
	 .icv_bits = 96,
	 .smf = 38,
	 .fips = false,
	 .supported = true},
	{.keyword = "HMAC_SHA1",
	 .display = "HMAC-SHA1",
	 .suite = "sha1",
	 .xfrm = "hmac(sha1)",
	 .esp = 2,
	 .ah = 3,
	 .key_bits = 160,
	 .icv_bits = 96,
	 .smf = 39,
	 .fips = true,
	 .supported = true},
	{.keyword = "HMAC_SHA2_256_128",
	 .display = "HMAC-SHA2-256-128",
	 .suite = "sha256",
	 .xfrm = "hmac(sha256)",
	 .esp = 5,
	 .ah = 5,
	 .key_bits = 256,
	 .icv_bits = 128,
	 .smf = 7,
	 .fips = true,
	 .supported = true},
	{.keyword = "HMAC_SHA2_384_192",
	 .display = "HMAC-SHA2-384-192",
	 .suite = "sha384",
	 .xfrm = "hmac(sha384)",
	 .esp = 6,
	 .ah = 6,
	 .key_bits = 384,
	 .icv_bits = 192,
	 .smf = 13,
	 .fips = true,
	 .supported = true},
	{.keyword = "HMAC_SHA2_512_256",
	 .display = "HMAC-SHA2-512-256",
	 .suite = "sha512",
	 .xfrm = "hmac(sha512)",
	 .esp = 7,
	 .ah = 7,
	 .key_bits = 512,
	 .icv_bits = 256,
	 .smf = 14,
	 .fips = true,
	 .supported = true},
	{.keyword = "AES128_XCBC_96",
	 .display = "AES128-XCBC-96",
	 .suite = "aesxcbc",
	 .xfrm = "xcbc(aes)",
	 .esp = 9,
	 .ah = 9,
	 .key_bits = 128,
	 .icv_bits = 96,
	 .smf = 9,
	 .fips = false,
	 .supported = true},
};

/* Exponents of twice the group's strength in bits (RFC 3526 section 8), never under 256. */
static const struct cs_group groups[] = {
	{.keyword = "Group1",
	 .suite = "modp768",
	 .number = 1,
	 .kind = CS_MODP,
	 .bits = 768,
	 .public_len = 96,
	 .secret_len = 96,
	 .exponent_bits = 256,
	 .fips = false},
	{.keyword = "Group2",
	 .suite = "modp1024",
	 .number = 2,
	 .kind = CS_MODP,
	 .bits = 1024,
	 .public_len = 128,
	 .secret_len = 128,
	 .exponent_bits = 256,
	 .fips = true},
	{.keyword = "Group5",
	 .suite = "modp1536",
	 .number = 5,
	 .kind = CS_MODP,
	 .bits = 1536,
	 .public_len = 192,
	 .secret_len = 192,
	 .exponent_bits = 256,
	 .fips = true},
	{.keyword = "Group14",
	 .suite = "modp2048",
	 .number = 14,
	 .kind = CS_MODP,
	 .bits = 2048,
	 .public_len = 256,
	 .secret_len = 256,
	 .exponent_bits = 256,
	 .fips = true},
	{.keyword = "Group15",
	 .suite = "modp3072",
	 .number = 15,
	 .kind = CS_MODP,
	 .bits = 3072,
	 .public_len = 384,
	 .secret_len = 384,
	 .exponent_bits = 288,
	 .fips = true},
	{.keyword = "Group16",
	 .suite = "modp4096",
	 .number = 16,
	 .kind = CS_MODP,
	 .bits = 4096,
	 .public_len = 512,
	 .secret_len = 512,
	 .exponent_bits = 320,
	 .fips = true},
	{.keyword = "Group19",
	 .suite = "ecp256",
	 .number = 19,
	 .kind = CS_ECP,
	 .bits = 256,
	 .public_len = 64,
	 .secret_len = 32,
	 .fips = true},
	{.keyword = "Group20",
	 .suite = "ecp384",
	 .number = 20,
	 .kind = CS_ECP,
	 .bits = 384,
	 .public_len = 96,
	 .secret_len = 48,
	 .fips = true},
	{.keyword = "Group21",
	 .suite = "ecp521",
	 .number = 21,
	 .kind = CS_ECP,
	 .bits = 521,
	 .public_len = 132,
	 .secret_len = 66,
	 .fips = true},
	{.keyword = "Group24",
	 .suite = "modp2048s256",
	 .number = 24,
	 .kind = CS_MODP,
	 .bits = 2048,
	 .public_len = 256,
	 .secret_len = 256,
	 .exponent_bits = 256,
	 .order_bits = 256,
	 .fips = true},
};

/* Old spellings of the policy language. */
static const char *modern(const char *keyword)
{
	if (strcasecmp(keyword, "AES") == 0)
		return "AES_CBC";
	if (strcasecmp(keyword, "HMAC_SHA") == 0)
		return "HMAC_SHA1";
	return keyword;
}

const struct cs_cipher *cs_ciphers(unsigned *n)
{
	*n = COUNT(ciphers);
	return ciphers;
}

const struct cs_hash *cs_hashes(unsigned *n)
{
	*n = COUNT(hashes);
	return hashes;
}

const struct cs_integ *cs_integs(unsigned *n)
{
	*n = COUNT(integs);
	return integs;
}

const struct cs_group *cs_groups(unsigned *n)
{
	*n = COUNT(groups);
	return groups;
}

/* A cipher whose key length is not negotiated is found without one too. */
static bool key_fits(const struct cs_cipher *c, unsigned key_bits)
{
	return c->key_bits == key_bits || (key_bits == 0 && !c->key_attr);
}

const struct cs_cipher *cs_cipher_by_keyword(const char *keyword, unsigned key_bits)
{
	const char *name = modern(keyword);

	if (name != keyword && key_bits == 0)
		key_bits = 128;
	for (size_t i = 0; i < COUNT(ciphers); i++)
		if (strcasecmp(ciphers[i].keyword, name) == 0 && key_fits(&ciphers[i], key_bits))
			return &ciphers[i];
	return NULL;
}

const struct cs_cipher *cs_cipher_by_ike(unsigned ike, unsigned key_bits)
{
	for (size_t i = 0; ike && i < COUNT(ciphers); i++)
		if (ciphers[i].ike == ike && key_fits(&ciphers[i], key_bits))
			return &ciphers[i];
	return NULL;
}

const struct cs_cipher *cs_cipher_by_esp(unsigned esp, unsigned key_bits)
{
	for (size_t i = 0; esp && i < COUNT(ciphers); i++)
		if (ciphers[i].esp == esp && key_fits(&ciphers[i], key_bits))
			return &ciphers[i];
	return NULL;
}

const struct cs_hash *cs_hash_by_keyword(const char *keyword)
{
	for (size_t i = 0; i < COUNT(hashes); i++)
		if (strcasecmp(hashes[i].keyword, keyword) == 0)
			return &hashes[i];
	return NULL;
}

const struct cs_hash *cs_hash_by_ike(unsigned ike)
{
	for (size_t i = 0; i < COUNT(hashes); i++)
		if (hashes[i].ike == ike)
			return &hashes[i];
	return NULL;
}

const struct cs_integ *cs_integ_by_keyword(const char *keyword)
{
	const char *name = modern(keyword);

	for (size_t i = 0; i < COUNT(integs); i++)
		if (strcasecmp(integs[i].keyword, name) == 0)
			return &integs[i];
	return NULL;
}

const struct cs_integ *cs_integ_by_esp(unsigned esp)
{
	for (size_t i = 0; i < COUNT(integs); i++)
		if (integs[i].esp == esp)
			return &integs[i];
	return NULL;
}

const struct cs_group *cs_group_by_keyword(const char *keyword)
{
	for (size_t i = 0; i < COUNT(groups); i++)
		if (strcasecmp(groups[i].keyword, keyword) == 0)
			return &groups[i];
	return NULL;
}

const struct cs_group *cs_group_by_number(unsigned number)
{
	for (size_t i = 0; i < COUNT(groups); i++)
		if (groups[i].number == number)
			return &groups[i];
	return NULL;
}
