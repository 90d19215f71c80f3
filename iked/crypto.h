/*
 * IKE's cryptography (RFC 2409 section 5 and appendix B) on libgcrypt, and Diffie-Hellman on either
 * of two engines behind one table.  Pure functions: no I/O, no clock; random bytes are given.
 */
#ifndef IKE_CRYPTO_H
#define IKE_CRYPTO_H

#include "common/addr.h"
#include "common/alg.h"
#include "common/buf.h"
#include "common/err.h"

#define IKE_HASH_MAX   64 /* SHA2-512 */
#define IKE_BLOCK_MAX  16
#define IKE_KEY_MAX    32
#define IKE_PUBLIC_MAX 512 /* Group16 */
#define IKE_SECRET_MAX 512
#define IKE_KEYMAT_MAX 192

/* Once a process, before anything else; fips before the first use of libgcrypt. */
int ike_crypto_init(bool fips, struct cs_err *err);

/* ---- hash, PRF, cipher ---- */

struct ike_part { /* concatenated input */
	const void *p;
	size_t len;
};
int ike_hash(const struct cs_hash *h, const struct ike_part *parts, unsigned n,
	     uint8_t out[static IKE_HASH_MAX], struct cs_err *err);
/* HMAC of the negotiated hash; out gets h->len bytes. */
int ike_prf(const struct cs_hash *h, const uint8_t *key, size_t key_len,
	    const struct ike_part *parts, unsigned n, uint8_t out[static IKE_HASH_MAX],
	    struct cs_err *err);
/* CBC in place; len a multiple of the block; iv is replaced by the last ciphertext block. */
int ike_cbc(const struct cs_cipher *c, bool encrypt, const uint8_t *key, uint8_t *iv, uint8_t *data,
	    size_t len, struct cs_err *err);

/* ---- keys ---- */

struct ike_keys { /* of a phase 1 SA; lives in the secret arena */
	uint8_t d[IKE_HASH_MAX], a[IKE_HASH_MAX];
	uint8_t cipher[IKE_KEY_MAX]; /* Ka of appendix B, expanded and cut */
};
struct ike_nonce {
	uint16_t len;
	uint8_t data[256];
};

/* SKEYID with signatures: prf(Ni | Nr, g^xy). Nonces of at most ISA_NONCE_MAX bytes. */
int ike_skeyid_sig(const struct cs_hash *h, struct cs_bytes gxy, struct cs_bytes ni,
		   struct cs_bytes nr, uint8_t skeyid[static IKE_HASH_MAX], struct cs_err *err);
/* With a preshared key: prf(key, Ni | Nr). */
int ike_skeyid_psk(const struct cs_hash *h, struct cs_bytes psk, struct cs_bytes ni,
		   struct cs_bytes nr, uint8_t skeyid[static IKE_HASH_MAX], struct cs_err *err);
/* SKEYID_d, _a, _e and the cipher key. skeyid_e may be NULL (tests want it). */
int ike_derive(const struct cs_hash *h, const struct cs_cipher *c, const uint8_t *skeyid,
	       struct cs_bytes gxy, const uint8_t *icookie, const uint8_t *rcookie,
	       struct ike_keys *keys, uint8_t *skeyid_e, struct cs_err *err);
/* hash(g^xi | g^xr), the first IV of phase 1; c->block bytes. */
int ike_phase1_iv(const struct cs_hash *h, const struct cs_cipher *c, struct cs_bytes gxi,
		  struct cs_bytes gxr, uint8_t iv[static IKE_BLOCK_MAX], struct cs_err *err);
/* hash(last phase 1 block | message id), the first IV of another exchange. */
int ike_phase2_iv(const struct cs_hash *h, const struct cs_cipher *c, const uint8_t *last_block,
		  uint32_t message_id, uint8_t iv[static IKE_BLOCK_MAX], struct cs_err *err);
/* HASH_I (initiator) or HASH_R: prf(SKEYID, gx_own | gx_peer | CKY_own | CKY_peer | SAi_b |
 * ID_own_b). */
int ike_hash_auth(const struct cs_hash *h, const uint8_t *skeyid, struct cs_bytes gx_own,
		  struct cs_bytes gx_peer, const uint8_t *cookie_own, const uint8_t *cookie_peer,
		  struct cs_bytes sai_b, struct cs_bytes id_b, uint8_t out[static IKE_HASH_MAX],
		  struct cs_err *err);
/* NAT-D of an address and port (RFC 3947 section 3.2): hash(CKY-I | CKY-R | address | port). */
int ike_hash_natd(const struct cs_hash *h, const uint8_t *icookie, const uint8_t *rcookie,
		  const struct cs_endpoint *at, uint8_t out[static IKE_HASH_MAX],
		  struct cs_err *err);
/* HASH(1): ni_b empty; HASH(2): ni_b given; HASH(3): third true, rest is Nr_b. Informational:
 * HASH(1). */
int ike_hash_quick(const struct cs_hash *h, const uint8_t *skeyid_a, uint32_t message_id,
		   bool third, struct cs_bytes ni_b, struct cs_bytes rest,
		   uint8_t out[static IKE_HASH_MAX], struct cs_err *err);
/* KEYMAT (RFC 2409 section 5.5); gxy empty without PFS; spi in host byte order. */
int ike_keymat(const struct cs_hash *h, const uint8_t *skeyid_d, struct cs_bytes gxy,
	       uint8_t protocol, uint32_t spi, struct cs_bytes ni, struct cs_bytes nr, uint8_t *out,
	       size_t len, struct cs_err *err);

/* ---- Diffie-Hellman ---- */

struct ike_dh; /* a private value and its public one; used for one exchange, then freed (wiped) */

/*
 * An engine is two pure functions, safe on any thread; values are big-endian and of full length, x
 * is ours. secret answers CS_EAUTH for a point off the curve or a value outside the small subgroup;
 * length and range are the caller's to check.
 */
struct ike_dh_engine {
	const char *name; /* "openssl", "libgcrypt" */
	int (*public_value)(const struct cs_group *g, struct cs_bytes x, uint8_t *out,
			    struct cs_err *err);
	int (*secret)(const struct cs_group *g, struct cs_bytes x, struct cs_bytes peer,
		      uint8_t *out, struct cs_err *err);
};
extern const struct ike_dh_engine ike_dh_libgcrypt;
#ifdef HAVE_OPENSSL
extern const struct ike_dh_engine ike_dh_openssl;
#endif

/* The engine in use: the faster one built in, but libgcrypt in FIPS mode. */
const struct ike_dh_engine *ike_dh_engine(void);
/* A fresh private value each time, from libgcrypt; safe on any thread. The pair is in the arena. */
int ike_dh_keypair(const struct cs_group *g, struct ike_dh **dh, struct cs_err *err);
struct cs_bytes ike_dh_public(const struct ike_dh *dh); /* g->public_len bytes */
const struct cs_group *ike_dh_group(const struct ike_dh *dh);
/* Checks length, range and curve before computing. CS_EAUTH for a value that is not allowed. */
int ike_dh_secret(const struct ike_dh *dh, struct cs_bytes peer, uint8_t *secret,
		  struct cs_err *err);
void ike_dh_free(struct ike_dh *dh); /* NULL is allowed */
/* Deterministic keys for simulation and known answers: exponent from these bytes. */
int ike_dh_from_private(const struct cs_group *g, struct cs_bytes private_value, struct ike_dh **dh,
			struct cs_err *err);

/* ---- the secret arena: locked, not dumped, wiped ---- */

#define IKE_ARENA_MAX 2048 /* of one object */

/* Once a process; grows up to max_bytes. A second call changes the bound alone. */
int ike_arena_init(size_t max_bytes, struct cs_err *err);
/* Zeroed; at most IKE_ARENA_MAX; NULL when full or not set up. Safe on any thread. */
void *ike_arena_get(size_t size);
void ike_arena_put(void *p, size_t size); /* wipes */
size_t ike_arena_used(void);
bool ike_arena_locked(void); /* false: some of it may be swapped out (RLIMIT_MEMLOCK) */

#endif
