/* The keys of IKE: SKEYID and its children, IVs, authentication hashes and KEYMAT (RFC 2409
 * section 5 and appendix B). */
#include "iked/crypto.h"

#include <string.h>

#include "iked/isakmp.h"

static struct ike_part part(struct cs_bytes b)
{
	return (struct ike_part){b.p, b.len};
}

static void store_u32(uint8_t out[static 4], uint32_t v)
{
	struct cs_writer w = cs_writer_of(out, 4);

	cs_put_u32(&w, v);
}

int ike_skeyid_psk(const struct cs_hash *h, struct cs_bytes psk, struct cs_bytes ni,
		   struct cs_bytes nr, uint8_t skeyid[static IKE_HASH_MAX], struct cs_err *err)
{
	struct ike_part parts[] = {part(ni), part(nr)};

	return ike_prf(h, psk.p, psk.len, parts, 2, skeyid, err);
}

int ike_skeyid_sig(const struct cs_hash *h, struct cs_bytes gxy, struct cs_bytes ni,
		   struct cs_bytes nr, uint8_t skeyid[static IKE_HASH_MAX], struct cs_err *err)
{
	uint8_t key[2 * ISA_NONCE_MAX];
	struct cs_writer w = cs_writer_of(key, sizeof(key));
	struct ike_part parts[] = {part(gxy)};

	if (ni.len > ISA_NONCE_MAX || nr.len > ISA_NONCE_MAX)
		return cs_fail(err, CS_EINVAL, "a nonce is too long");
	cs_put_bytes(&w, ni.p, ni.len);
	cs_put_bytes(&w, nr.p, nr.len);
	return ike_prf(h, key, w.len, parts, 1, skeyid, err);
}

/*
 * Ka: SKEYID_e itself when it is long enough, else K1 | K2 ..., K1 = prf(SKEYID_e, 0) and
 * Kn = prf(SKEYID_e, Kn-1).
 */
static int cipher_key(const struct cs_hash *h, const struct cs_cipher *c, const uint8_t *skeyid_e,
		      uint8_t key[static IKE_KEY_MAX], struct cs_err *err)
{
	size_t need = c->key_bits / 8u;
	uint8_t block[IKE_HASH_MAX] = {0};
	struct ike_part in = {block, 1};
	int rc = 0;

	if (need == 0 || need > IKE_KEY_MAX)
		return cs_fail(err, CS_EUNSUPPORTED, "%s with a key of %zu bytes", c->keyword,
			       need);
	if (h->len >= need) {
		memcpy(key, skeyid_e, need);
		return 0;
	}
	for (size_t have = 0; have < need && rc == 0; have += h->len) {
		size_t n = need - have < h->len ? need - have : h->len;

		rc = ike_prf(h, skeyid_e, h->len, &in, 1, block, err);
		if (rc == 0)
			memcpy(key + have, block, n);
		in.len = h->len;
	}
	cs_wipe(block, sizeof(block));
	return rc;
}

/* prf(SKEYID, [previous |] g^xy | CKY-I | CKY-R | number) */
static int child(const struct cs_hash *h, const uint8_t *skeyid, const uint8_t *previous,
		 struct cs_bytes gxy, const uint8_t *icookie, const uint8_t *rcookie,
		 uint8_t number, uint8_t out[static IKE_HASH_MAX], struct cs_err *err)
{
	struct ike_part parts[] = {
		{previous, previous ? h->len : 0u}, part(gxy),    {icookie, ISA_COOKIE_LEN},
		{rcookie, ISA_COOKIE_LEN},          {&number, 1},
	};

	return ike_prf(h, skeyid, h->len, parts, 5, out, err);
}

int ike_derive(const struct cs_hash *h, const struct cs_cipher *c, const uint8_t *skeyid,
	       struct cs_bytes gxy, const uint8_t *icookie, const uint8_t *rcookie,
	       struct ike_keys *keys, uint8_t *skeyid_e, struct cs_err *err)
{
	uint8_t e[IKE_HASH_MAX];
	int rc;

	rc = child(h, skeyid, NULL, gxy, icookie, rcookie, 0, keys->d, err);
	if (rc == 0)
		rc = child(h, skeyid, keys->d, gxy, icookie, rcookie, 1, keys->a, err);
	if (rc == 0)
		rc = child(h, skeyid, keys->a, gxy, icookie, rcookie, 2, e, err);
	if (rc == 0)
		rc = cipher_key(h, c, e, keys->cipher, err);
	if (rc == 0 && skeyid_e)
		memcpy(skeyid_e, e, h->len);
	cs_wipe(e, sizeof(e));
	return rc;
}

/* The first block of hash(a | b). */
static int iv_of(const struct cs_hash *h, const struct cs_cipher *c, struct ike_part a,
		 struct ike_part b, uint8_t iv[static IKE_BLOCK_MAX], struct cs_err *err)
{
	struct ike_part parts[] = {a, b};
	uint8_t full[IKE_HASH_MAX];
	int rc;

	if (c->block > IKE_BLOCK_MAX || c->block > h->len)
		return cs_fail(err, CS_EUNSUPPORTED, "%s has no IV of %s", c->keyword, h->keyword);
	rc = ike_hash(h, parts, 2, full, err);
	if (rc == 0)
		memcpy(iv, full, c->block);
	return rc;
}

int ike_phase1_iv(const struct cs_hash *h, const struct cs_cipher *c, struct cs_bytes gxi,
		  struct cs_bytes gxr, uint8_t iv[static IKE_BLOCK_MAX], struct cs_err *err)
{
	return iv_of(h, c, part(gxi), part(gxr), iv, err);
}

int ike_phase2_iv(const struct cs_hash *h, const struct cs_cipher *c, const uint8_t *last_block,
		  uint32_t message_id, uint8_t iv[static IKE_BLOCK_MAX], struct cs_err *err)
{
	uint8_t mid[4];

	store_u32(mid, message_id);
	return iv_of(h, c, (struct ike_part){last_block, c->block}, (struct ike_part){mid, 4}, iv,
		     err);
}

int ike_hash_auth(const struct cs_hash *h, const uint8_t *skeyid, struct cs_bytes gx_own,
		  struct cs_bytes gx_peer, const uint8_t *cookie_own, const uint8_t *cookie_peer,
		  struct cs_bytes sai_b, struct cs_bytes id_b, uint8_t out[static IKE_HASH_MAX],
		  struct cs_err *err)
{
	struct ike_part parts[] = {
		part(gx_own),
		part(gx_peer),
		{cookie_own, ISA_COOKIE_LEN},
		{cookie_peer, ISA_COOKIE_LEN},
		part(sai_b),
		part(id_b),
	};

	return ike_prf(h, skeyid, h->len, parts, 6, out, err);
}

int ike_hash_natd(const struct cs_hash *h, const uint8_t *icookie, const uint8_t *rcookie,
		  const struct cs_endpoint *at, uint8_t out[static IKE_HASH_MAX],
		  struct cs_err *err)
{
	uint8_t port[2] = {(uint8_t)(at->port >> 8), (uint8_t)at->port};
	struct ike_part parts[] = {
		{icookie, ISA_COOKIE_LEN},
		{rcookie, ISA_COOKIE_LEN},
		{at->addr.b, cs_addr_len(at->addr.family)},
		{port, sizeof(port)},
	};

	return ike_hash(h, parts, sizeof(parts) / sizeof(parts[0]), out, err);
}

int ike_hash_quick(const struct cs_hash *h, const uint8_t *skeyid_a, uint32_t message_id,
		   bool third, struct cs_bytes ni_b, struct cs_bytes rest,
		   uint8_t out[static IKE_HASH_MAX], struct cs_err *err)
{
	uint8_t zero = 0, mid[4];
	struct ike_part parts[] = {
		{&zero, third ? 1u : 0u},
		{mid, 4},
		part(ni_b),
		part(rest),
	};

	store_u32(mid, message_id);
	return ike_prf(h, skeyid_a, h->len, parts, 4, out, err);
}

int ike_keymat(const struct cs_hash *h, const uint8_t *skeyid_d, struct cs_bytes gxy,
	       uint8_t protocol, uint32_t spi, struct cs_bytes ni, struct cs_bytes nr, uint8_t *out,
	       size_t len, struct cs_err *err)
{
	uint8_t block[IKE_HASH_MAX], spi_b[4];
	struct ike_part parts[] = {
		{block, 0}, part(gxy), {&protocol, 1}, {spi_b, 4}, part(ni), part(nr),
	};
	int rc = 0;

	if (len > IKE_KEYMAT_MAX)
		return cs_fail(err, CS_EINVAL, "KEYMAT of %zu bytes", len);
	store_u32(spi_b, spi);
	for (size_t have = 0; have < len && rc == 0; have += h->len) {
		size_t n = len - have < h->len ? len - have : h->len;

		rc = ike_prf(h, skeyid_d, h->len, parts, 6, block, err);
		if (rc == 0)
			memcpy(out + have, block, n);
		parts[0].len = h->len;
	}
	cs_wipe(block, sizeof(block));
	return rc;
}
