/*
 * Diffie-Hellman's front: private values, checks of the peer's (RFC 6989, RFC 2631 section 2.1.5),
 * and the choice of the engine.
 */
#include "iked/dh.h"

#include <gcrypt.h>
#include <string.h>

struct ike_dh {
	const struct cs_group *group;
	size_t private_len;
	uint8_t private_value[IKE_PRIVATE_MAX];
	uint8_t public_value[]; /* group->public_len bytes */
};

#ifdef HAVE_OPENSSL
static const struct ike_dh_engine *engine = &ike_dh_openssl;
#else
static const struct ike_dh_engine *engine = &ike_dh_libgcrypt;
#endif

void ike_dh_default(bool fips)
{
	if (fips)
		engine = &ike_dh_libgcrypt;
}

const struct ike_dh_engine *ike_dh_engine(void)
{
	return engine;
}

/* ---- private values ---- */

/* a < b, both len bytes, without a branch on their content. */
static bool less_secret(const uint8_t *a, const uint8_t *b, size_t len)
{
	unsigned borrow = 0;

	for (size_t i = len; i-- > 0;)
		borrow = (a[i] - b[i] - borrow) >> 8 & 1;
	return borrow;
}

static bool is_zero_secret(const uint8_t *p, size_t len)
{
	uint8_t any = 0;

	for (size_t i = 0; i < len; i++)
		any |= p[i];
	return any == 0;
}

static size_t private_len(const struct cs_group *g, const struct ike_dh_numbers *n)
{
	return n->order.len ? n->order.len : (g->exponent_bits + 7u) / 8;
}

/*
 * In a group of known order: uniform in 1 to order - 1, by drawing again.  With a safe prime: a
 * short exponent whose highest bit is set, so that all take the same time (RFC 3526 section 8).
 */
static int draw(const struct cs_group *g, const struct ike_dh_numbers *n, struct ike_dh *dh,
		struct cs_err *err)
{
	uint8_t top = 0xff;

	if (!n->order.len) {
		gcry_randomize(dh->private_value, dh->private_len, GCRY_STRONG_RANDOM);
		dh->private_value[0] |= 0x80;
		return 0;
	}
	if (g->kind == CS_ECP)
		top = (uint8_t)(0xff >> (n->order.len * 8 - g->bits));
	/* At least half of all draws fit; 128 that do not are a broken source. */
	for (int i = 0; i < 128; i++) {
		gcry_randomize(dh->private_value, dh->private_len, GCRY_STRONG_RANDOM);
		dh->private_value[0] &= top;
		if (less_secret(dh->private_value, n->order.p, n->order.len) &&
		    !is_zero_secret(dh->private_value, dh->private_len))
			return 0;
	}
	return cs_fail(err, CS_ECRYPTO, "the random source gives no private value for %s",
		       g->suite);
}

static int new_dh(const struct cs_group *g, struct ike_dh **dh, const struct ike_dh_numbers **n,
		  struct cs_err *err)
{
	*n = ike_dh_numbers(g->number);
	if (!*n || private_len(g, *n) > IKE_PRIVATE_MAX || g->public_len > IKE_PUBLIC_MAX)
		return cs_fail(err, CS_EUNSUPPORTED, "Diffie-Hellman group %u is not supported",
			       g->number);
	*dh = ike_arena_get(sizeof(**dh) + g->public_len);
	if (!*dh)
		return cs_fail(err, CS_ENOMEM, "the memory for secrets is full");
	(*dh)->group = g;
	(*dh)->private_len = private_len(g, *n);
	return 0;
}

/* Computes the public value; on failure nothing is left. */
static int finish(struct ike_dh *dh, struct ike_dh **out, struct cs_err *err)
{
	struct cs_bytes x = {dh->private_value, dh->private_len};
	int rc = engine->public_value(dh->group, x, dh->public_value, err);

	if (rc < 0) {
		ike_dh_free(dh);
		return rc;
	}
	*out = dh;
	return 0;
}

int ike_dh_keypair(const struct cs_group *g, struct ike_dh **out, struct cs_err *err)
{
	const struct ike_dh_numbers *n;
	struct ike_dh *dh;
	int rc = new_dh(g, &dh, &n, err);

	if (rc < 0)
		return rc;
	rc = draw(g, n, dh, err);
	if (rc < 0) {
		ike_dh_free(dh);
		return rc;
	}
	return finish(dh, out, err);
}

int ike_dh_from_private(const struct cs_group *g, struct cs_bytes private_value,
			struct ike_dh **out, struct cs_err *err)
{
	const struct ike_dh_numbers *n;
	struct ike_dh *dh;
	int rc = new_dh(g, &dh, &n, err);

	if (rc < 0)
		return rc;
	if (private_value.len > dh->private_len) {
		ike_dh_free(dh);
		return cs_fail(err, CS_EINVAL, "a private value of %zu bytes for %s",
			       private_value.len, g->suite);
	}
	memcpy(dh->private_value + dh->private_len - private_value.len, private_value.p,
	       private_value.len);
	if (is_zero_secret(dh->private_value, dh->private_len) ||
	    (n->order.len && !less_secret(dh->private_value, n->order.p, n->order.len))) {
		ike_dh_free(dh);
		return cs_fail(err, CS_EINVAL, "the private value is out of range for %s",
			       g->suite);
	}
	return finish(dh, out, err);
}

struct cs_bytes ike_dh_public(const struct ike_dh *dh)
{
	return (struct cs_bytes){dh->public_value, dh->group->public_len};
}

const struct cs_group *ike_dh_group(const struct ike_dh *dh)
{
	return dh->group;
}

void ike_dh_free(struct ike_dh *dh)
{
	if (dh)
		ike_arena_put(dh, sizeof(*dh) + dh->group->public_len);
}

/* ---- the peer's value ---- */

/* 1 < y < p - 1; p is odd, so p - 1 differs from p in the last byte alone. */
static bool modp_in_range(struct cs_bytes y, struct cs_bytes p)
{
	size_t last = y.len - 1;

	if (is_zero_secret(y.p, last) && y.p[last] <= 1)
		return false;
	if (memcmp(y.p, p.p, last) == 0)
		return y.p[last] < p.p[last] - 1;
	return memcmp(y.p, p.p, last) < 0;
}

/* Both coordinates are below the field's prime; whether they are on the curve asks the engine. */
static bool ecp_in_range(struct cs_bytes y, struct cs_bytes p)
{
	return memcmp(y.p, p.p, p.len) < 0 && memcmp(y.p + p.len, p.p, p.len) < 0;
}

int ike_dh_secret(const struct ike_dh *dh, struct cs_bytes peer, uint8_t *secret,
		  struct cs_err *err)
{
	const struct cs_group *g = dh->group;
	const struct ike_dh_numbers *n = ike_dh_numbers(g->number);
	struct cs_bytes x = {dh->private_value, dh->private_len};

	if (!n)
		return cs_fail(err, CS_EUNSUPPORTED, "Diffie-Hellman group %u is not supported",
			       g->number);
	if (peer.len != g->public_len)
		return cs_fail(err, CS_EAUTH, "the peer's public value has %zu bytes, %s takes %u",
			       peer.len, g->suite, g->public_len);
	if (!(g->kind == CS_MODP ? modp_in_range(peer, n->p) : ecp_in_range(peer, n->p)))
		return cs_fail(err, CS_EAUTH, "the peer's public value is out of range for %s",
			       g->suite);
	return engine->secret(g, x, peer, secret, err);
}
