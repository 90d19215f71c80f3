/*
 * The algorithms that AT-TLS statements name: IANA's numbers and the original's constants. Those
 * that OpenSSL does not have are known all the same, so that they are told from what is misspelt.
 */
#include "policy/ttls_codes.h"

#include <string.h>

struct code {
	uint16_t id;
	const char *name;
	bool missing; /* in OpenSSL 3 */
};

#define HERE     false
#define NOT_HERE true

static const struct code ciphers[] = {
	{0x0000, "TLS_NULL_WITH_NULL_NULL", NOT_HERE},
	{0x0001, "TLS_RSA_WITH_NULL_MD5", HERE},
	{0x0002, "TLS_RSA_WITH_NULL_SHA", HERE},
	{0x0003, "TLS_RSA_EXPORT_WITH_RC4_40_MD5", NOT_HERE},
	{0x0004, "TLS_RSA_WITH_RC4_128_MD5", NOT_HERE},
	{0x0005, "TLS_RSA_WITH_RC4_128_SHA", NOT_HERE},
	{0x0006, "TLS_RSA_EXPORT_WITH_RC2_CBC_40_MD5", NOT_HERE},
	{0x0009, "TLS_RSA_WITH_DES_CBC_SHA", NOT_HERE},
	{0x000a, "TLS_RSA_WITH_3DES_EDE_CBC_SHA", NOT_HERE},
	{0x000c, "TLS_DH_DSS_WITH_DES_CBC_SHA", NOT_HERE},
	{0x000d, "TLS_DH_DSS_WITH_3DES_EDE_CBC_SHA", NOT_HERE},
	{0x000f, "TLS_DH_RSA_WITH_DES_CBC_SHA", NOT_HERE},
	{0x0010, "TLS_DH_RSA_WITH_3DES_EDE_CBC_SHA", NOT_HERE},
	{0x0012, "TLS_DHE_DSS_WITH_DES_CBC_SHA", NOT_HERE},
	{0x0013, "TLS_DHE_DSS_WITH_3DES_EDE_CBC_SHA", NOT_HERE},
	{0x0015, "TLS_DHE_RSA_WITH_DES_CBC_SHA", NOT_HERE},
	{0x0016, "TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA", NOT_HERE},
	{0x002f, "TLS_RSA_WITH_AES_128_CBC_SHA", HERE},
	{0x0030, "TLS_DH_DSS_WITH_AES_128_CBC_SHA", NOT_HERE},
	{0x0031, "TLS_DH_RSA_WITH_AES_128_CBC_SHA", NOT_HERE},
	{0x0032, "TLS_DHE_DSS_WITH_AES_128_CBC_SHA", HERE},
	{0x0033, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA", HERE},
	{0x0035, "TLS_RSA_WITH_AES_256_CBC_SHA", HERE},
	{0x0036, "TLS_DH_DSS_WITH_AES_256_CBC_SHA", NOT_HERE},
	{0x0037, "TLS_DH_RSA_WITH_AES_256_CBC_SHA", NOT_HERE},
	{0x0038, "TLS_DHE_DSS_WITH_AES_256_CBC_SHA", HERE},
	{0x0039, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA", HERE},
	{0x003b, "TLS_RSA_WITH_NULL_SHA256", HERE},
	{0x003c, "TLS_RSA_WITH_AES_128_CBC_SHA256", HERE},
	{0x003d, "TLS_RSA_WITH_AES_256_CBC_SHA256", HERE},
	{0x003e, "TLS_DH_DSS_WITH_AES_128_CBC_SHA256", NOT_HERE},
	{0x003f, "TLS_DH_RSA_WITH_AES_128_CBC_SHA256", NOT_HERE},
	{0x0040, "TLS_DHE_DSS_WITH_AES_128_CBC_SHA256", HERE},
	{0x0067, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256", HERE},
	{0x0068, "TLS_DH_DSS_WITH_AES_256_CBC_SHA256", NOT_HERE},
	{0x0069, "TLS_DH_RSA_WITH_AES_256_CBC_SHA256", NOT_HERE},
	{0x006a, "TLS_DHE_DSS_WITH_AES_256_CBC_SHA256", HERE},
	{0x006b, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256", HERE},
	{0x009c, "TLS_RSA_WITH_AES_128_GCM_SHA256", HERE},
	{0x009d, "TLS_RSA_WITH_AES_256_GCM_SHA384", HERE},
	{0x009e, "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", HERE},
	{0x009f, "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384", HERE},
	{0x00a0, "TLS_DH_RSA_WITH_AES_128_GCM_SHA256", NOT_HERE},
	{0x00a1, "TLS_DH_RSA_WITH_AES_256_GCM_SHA384", NOT_HERE},
	{0x00a2, "TLS_DHE_DSS_WITH_AES_128_GCM_SHA256", HERE},
	{0x00a3, "TLS_DHE_DSS_WITH_AES_256_GCM_SHA384", HERE},
	{0x00a4, "TLS_DH_DSS_WITH_AES_128_GCM_SHA256", NOT_HERE},
	{0x00a5, "TLS_DH_DSS_WITH_AES_256_GCM_SHA384", NOT_HERE},
	{0x1301, "TLS_AES_128_GCM_SHA256", HERE},
	{0x1302, "TLS_AES_256_GCM_SHA384", HERE},
	{0x1303, "TLS_CHACHA20_POLY1305_SHA256", HERE},
	{0xc001, "TLS_ECDH_ECDSA_WITH_NULL_SHA", NOT_HERE},
	{0xc002, "TLS_ECDH_ECDSA_WITH_RC4_128_SHA", NOT_HERE},
	{0xc003, "TLS_ECDH_ECDSA_WITH_3DES_EDE_CBC_SHA", NOT_HERE},
	{0xc004, "TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA", NOT_HERE},
	{0xc005, "TLS_ECDH_ECDSA_WITH_AES_256_CBC_SHA", NOT_HERE},
	{0xc006, "TLS_ECDHE_ECDSA_WITH_NULL_SHA", HERE},
	{0xc007, "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA", NOT_HERE},
	{0xc008, "TLS_ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA", NOT_HERE},
	{0xc009, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", HERE},
	{0xc00a, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", HERE},
	{0xc00b, "TLS_ECDH_RSA_WITH_NULL_SHA", NOT_HERE},
	{0xc00c, "TLS_ECDH_RSA_WITH_RC4_128_SHA", NOT_HERE},
	{0xc00d, "TLS_ECDH_RSA_WITH_3DES_EDE_CBC_SHA", NOT_HERE},
	{0xc00e, "TLS_ECDH_RSA_WITH_AES_128_CBC_SHA", NOT_HERE},
	{0xc00f, "TLS_ECDH_RSA_WITH_AES_256_CBC_SHA", NOT_HERE},
	{0xc010, "TLS_ECDHE_RSA_WITH_NULL_SHA", HERE},
	{0xc011, "TLS_ECDHE_RSA_WITH_RC4_128_SHA", NOT_HERE},
	{0xc012, "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", NOT_HERE},
	{0xc013, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", HERE},
	{0xc014, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", HERE},
	{0xc023, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", HERE},
	{0xc024, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384", HERE},
	{0xc025, "TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA256", NOT_HERE},
	{0xc026, "TLS_ECDH_ECDSA_WITH_AES_256_CBC_SHA384", NOT_HERE},
	{0xc027, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", HERE},
	{0xc028, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384", HERE},
	{0xc029, "TLS_ECDH_RSA_WITH_AES_128_CBC_SHA256", NOT_HERE},
	{0xc02a, "TLS_ECDH_RSA_WITH_AES_256_CBC_SHA384", NOT_HERE},
	{0xc02b, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", HERE},
	{0xc02c, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", HERE},
	{0xc02d, "TLS_ECDH_ECDSA_WITH_AES_128_GCM_SHA256", NOT_HERE},
	{0xc02e, "TLS_ECDH_ECDSA_WITH_AES_256_GCM_SHA384", NOT_HERE},
	{0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", HERE},
	{0xc030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", HERE},
	{0xc031, "TLS_ECDH_RSA_WITH_AES_128_GCM_SHA256", NOT_HERE},
	{0xc032, "TLS_ECDH_RSA_WITH_AES_256_GCM_SHA384", NOT_HERE},
	{0xcca8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", HERE},
	{0xcca9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", HERE},
	{0xccaa, "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256", HERE},
};

static const struct code signatures[] = {
	{0x0101, "TLS_SIGALG_MD5_WITH_RSA", NOT_HERE},
	{0x0201, "TLS_SIGALG_SHA1_WITH_RSA", HERE},
	{0x0202, "TLS_SIGALG_SHA1_WITH_DSA", HERE},
	{0x0203, "TLS_SIGALG_SHA1_WITH_ECDSA", HERE},
	{0x0301, "TLS_SIGALG_SHA224_WITH_RSA", HERE},
	{0x0302, "TLS_SIGALG_SHA224_WITH_DSA", HERE},
	{0x0303, "TLS_SIGALG_SHA224_WITH_ECDSA", HERE},
	{0x0401, "TLS_SIGALG_SHA256_WITH_RSA", HERE},
	{0x0402, "TLS_SIGALG_SHA256_WITH_DSA", HERE},
	{0x0403, "TLS_SIGALG_SHA256_WITH_ECDSA", HERE},
	{0x0501, "TLS_SIGALG_SHA384_WITH_RSA", HERE},
	{0x0503, "TLS_SIGALG_SHA384_WITH_ECDSA", HERE},
	{0x0601, "TLS_SIGALG_SHA512_WITH_RSA", HERE},
	{0x0603, "TLS_SIGALG_SHA512_WITH_ECDSA", HERE},
	{0x0804, "TLS_SIGALG_SHA256_WITH_RSASSA_PSS", HERE},
	{0x0805, "TLS_SIGALG_SHA384_WITH_RSASSA_PSS", HERE},
	{0x0806, "TLS_SIGALG_SHA512_WITH_RSASSA_PSS", HERE},
};

static const struct code curves[] = {
	{19, "secp192r1", HERE}, {21, "secp224r1", HERE}, {23, "secp256r1", HERE},
	{24, "secp384r1", HERE}, {25, "secp521r1", HERE}, {29, "x25519", HERE},
	{30, "x448", HERE},
};

static const struct table {
	const char *what;
	const struct code *codes;
	unsigned n;
	int base; /* of the digits */
} tables[] = {
	[POL_CODE_CIPHER] = {"cipher suite", ciphers, sizeof(ciphers) / sizeof(ciphers[0]), 16},
	[POL_CODE_SIGNATURE] = {"signature algorithm", signatures,
				sizeof(signatures) / sizeof(signatures[0]), 16},
	[POL_CODE_CURVE] = {"curve", curves, sizeof(curves) / sizeof(curves[0]), 10},
};

const char *pol_code_kind(enum pol_code kind)
{
	return tables[kind].what;
}

static const struct code *by_name(const struct table *t, struct pol_word word)
{
	for (unsigned i = 0; i < t->n; i++)
		if (pol_word_is(word, t->codes[i].name))
			return &t->codes[i];
	return NULL;
}

static const struct code *by_id(const struct table *t, unsigned long id)
{
	for (unsigned i = 0; i < t->n; i++)
		if (t->codes[i].id == id)
			return &t->codes[i];
	return NULL;
}

static int digit(char c, int base)
{
	int n = c >= '0' && c <= '9'   ? c - '0'
		: c >= 'a' && c <= 'f' ? c - 'a' + 10
		: c >= 'A' && c <= 'F' ? c - 'A' + 10
				       : base;

	return n < base ? n : -1;
}

/* All of word is digits. */
static bool is_digits(struct pol_word word, int base)
{
	for (size_t i = 0; i < word.len; i++)
		if (digit(word.p[i], base) < 0)
			return false;
	return word.len > 0;
}

enum pol_code_end pol_code_next(enum pol_code kind, unsigned width, struct pol_word *rest,
				struct pol_word *token, uint16_t *id)
{
	const struct table *t = &tables[kind];
	const struct code *code;
	unsigned long n = 0;

	*token = *rest;
	if (!rest->len)
		return POL_CODE_END;
	code = by_name(t, *rest);
	if (code) {
		rest->len = 0;
	} else if (!is_digits(*rest, t->base) || rest->len < width) {
		rest->len = 0;
		return POL_CODE_UNKNOWN;
	} else {
		token->len = width;
		for (unsigned i = 0; i < width; i++)
			n = n * (unsigned)t->base + (unsigned)digit(token->p[i], t->base);
		rest->p += width;
		rest->len -= width;
		code = by_id(t, n);
		if (!code)
			return POL_CODE_UNKNOWN;
	}
	*id = code->id;
	return code->missing ? POL_CODE_MISSING : POL_CODE_OK;
}
