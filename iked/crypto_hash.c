/*
 * Hash, PRF and CBC on libgcrypt, and its start.  Each call is one-shot: opening a handle costs
 * well under a microsecond, and nothing keyed outlives its call.
 */
#include "iked/crypto.h"

#include <gcrypt.h>
#include <pthread.h>
#include <string.h>

#include "iked/dh.h"

#define PARTS_MAX 12

/* ---- start ---- */

static pthread_mutex_t init_lock = PTHREAD_MUTEX_INITIALIZER;
static enum { NOT_STARTED, STARTED, STARTED_FIPS } started;

static int start(bool fips, struct cs_err *err)
{
	/*
	 * FIPS mode is decided before the first real call; later it cannot be.  Otherwise random
	 * numbers come from the kernel: the library's own generator stirs its pool by two system
	 * calls at each opening of a hash or cipher, which costs six times the HMAC itself.
	 */
	if (fips)
		gcry_control(GCRYCTL_FORCE_FIPS_MODE, 0);
	else
		gcry_control(GCRYCTL_SET_PREFERRED_RNG_TYPE, GCRY_RNG_TYPE_SYSTEM);
	if (!gcry_check_version("1.10.0"))
		return cs_fail(err, CS_ECRYPTO, "libgcrypt %s is too old, 1.10.0 is needed",
			       gcry_check_version(NULL));
	/* Its locked pool is too small for our use; secrets that last are in our own arena. */
	if (!fips)
		gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
	gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
	if (fips && (!gcry_fips_mode_active() || !gcry_control(GCRYCTL_OPERATIONAL_P, 0)))
		return cs_fail(err, CS_ECRYPTO, "libgcrypt does not come up in FIPS mode");
	if (!fips && gcry_fips_mode_active())
		return cs_fail(err, CS_ECRYPTO,
			       "this system forces libgcrypt into FIPS mode; FIPS140 must be yes");
	return 0;
}

int ike_crypto_init(bool fips, struct cs_err *err)
{
	int rc = 0;

	pthread_mutex_lock(&init_lock);
	if (started == NOT_STARTED) {
		rc = start(fips, err);
		if (rc == 0) {
			ike_dh_default(fips);
			started = fips ? STARTED_FIPS : STARTED;
		}
	} else if ((started == STARTED_FIPS) != fips) {
		rc = cs_fail(err, CS_EINVAL, "FIPS mode cannot change in a running process");
	}
	pthread_mutex_unlock(&init_lock);
	return rc;
}

/* ---- libgcrypt's numbers for our rows ---- */

static int md_of(const struct cs_hash *h)
{
	switch (h->ike) {
	case 1:
		return GCRY_MD_MD5;
	case 2:
		return GCRY_MD_SHA1;
	case 4:
		return GCRY_MD_SHA256;
	case 5:
		return GCRY_MD_SHA384;
	case 6:
		return GCRY_MD_SHA512;
	default:
		return GCRY_MD_NONE;
	}
}

static int cipher_of(const struct cs_cipher *c)
{
	switch (c->ike) {
	case 5:
		return GCRY_CIPHER_3DES;
	case 7:
		return c->key_bits == 128   ? GCRY_CIPHER_AES128
		       : c->key_bits == 192 ? GCRY_CIPHER_AES192
		       : c->key_bits == 256 ? GCRY_CIPHER_AES256
					    : GCRY_CIPHER_NONE;
	default:
		return GCRY_CIPHER_NONE;
	}
}

/* ---- hash and PRF ---- */

/* The library does not write through the pointers, but its struct is not const. */
static gcry_buffer_t buffer_of(const void *p, size_t len)
{
	gcry_buffer_t b = {0};

	memcpy(&b.data, &p, sizeof(b.data));
	b.len = len;
	return b;
}

static int digest(const struct cs_hash *h, unsigned flags, const gcry_buffer_t *parts, unsigned n,
		  uint8_t *out, struct cs_err *err)
{
	gcry_error_t e = gcry_md_hash_buffers(md_of(h), flags, out, parts, (int)n);

	if (e)
		return cs_fail(err, CS_ECRYPTO, "%s: %s", h->prf, gcry_strerror(e));
	return 0;
}

int ike_hash(const struct cs_hash *h, const struct ike_part *parts, unsigned n,
	     uint8_t out[static IKE_HASH_MAX], struct cs_err *err)
{
	gcry_buffer_t b[PARTS_MAX];

	if (n > PARTS_MAX)
		return cs_fail(err, CS_EINVAL, "%u parts to hash", n);
	for (unsigned i = 0; i < n; i++)
		b[i] = buffer_of(parts[i].p, parts[i].len);
	return digest(h, 0, b, n, out, err);
}

int ike_prf(const struct cs_hash *h, const uint8_t *key, size_t key_len,
	    const struct ike_part *parts, unsigned n, uint8_t out[static IKE_HASH_MAX],
	    struct cs_err *err)
{
	gcry_buffer_t b[PARTS_MAX + 1];

	if (n > PARTS_MAX)
		return cs_fail(err, CS_EINVAL, "%u parts to hash", n);
	b[0] = buffer_of(key, key_len); /* with the HMAC flag the first buffer is the key */
	for (unsigned i = 0; i < n; i++)
		b[i + 1] = buffer_of(parts[i].p, parts[i].len);
	return digest(h, GCRY_MD_FLAG_HMAC, b, n + 1, out, err);
}

/* ---- cipher ---- */

int ike_cbc(const struct cs_cipher *c, bool encrypt, const uint8_t *key, uint8_t *iv, uint8_t *data,
	    size_t len, struct cs_err *err)
{
	uint8_t last[IKE_BLOCK_MAX];
	gcry_cipher_hd_t h = NULL;
	gcry_error_t e;

	if (cipher_of(c) == GCRY_CIPHER_NONE || c->block > IKE_BLOCK_MAX)
		return cs_fail(err, CS_EUNSUPPORTED, "%s is no cipher of phase 1", c->keyword);
	if (len == 0 || len % c->block != 0)
		return cs_fail(err, CS_EPARSE, "%zu bytes are no whole blocks of %s", len,
			       c->keyword);
	if (!encrypt)
		memcpy(last, data + len - c->block, c->block);
	e = gcry_cipher_open(&h, cipher_of(c), GCRY_CIPHER_MODE_CBC, 0);
	/* A weak DES key within 3DES may come by chance from the PRF; RFC 2409 does not exclude it.
	 */
	if (!e)
		e = gcry_cipher_ctl(h, GCRYCTL_SET_ALLOW_WEAK_KEY, NULL, 1);
	if (!e)
		e = gcry_cipher_setkey(h, key, c->key_bits / 8u);
	if (gcry_err_code(e) == GPG_ERR_WEAK_KEY)
		e = 0;
	if (!e)
		e = gcry_cipher_setiv(h, iv, c->block);
	if (!e)
		e = encrypt ? gcry_cipher_encrypt(h, data, len, NULL, 0)
			    : gcry_cipher_decrypt(h, data, len, NULL, 0);
	gcry_cipher_close(h);
	if (e)
		return cs_fail(err, CS_ECRYPTO, "%s: %s", c->keyword, gcry_strerror(e));
	memcpy(iv, encrypt ? data + len - c->block : last, c->block);
	return 0;
}
