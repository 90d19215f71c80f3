/*
 * Diffie-Hellman with OpenSSL's BN and EC functions.  Not with EVP_PKEY_derive: that checks the
 * peer's value by y^q, which costs many times the exchange and gains nothing with a safe prime, a
 * range check and a fresh private value.
 */
#include "iked/dh.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/objects.h>
#include <pthread.h>

/* Made once a process and only read afterwards. */
struct prepared {
	uint16_t group;
	int nid;                 /* ECP */
	EC_GROUP *curve;         /* ECP */
	BIGNUM *p, *g, *q;       /* MODP; q of a small subgroup */
	BN_MONT_CTX *montgomery; /* MODP */
};

static struct prepared prepared[] = {
	{.group = 1},
	{.group = 2},
	{.group = 5},
	{.group = 14},
	{.group = 15},
	{.group = 16},
	{.group = 24},
	{.group = 19, .nid = NID_X9_62_prime256v1},
	{.group = 20, .nid = NID_secp384r1},
	{.group = 21, .nid = NID_secp521r1},
};
#define N_PREPARED (sizeof(prepared) / sizeof(prepared[0]))

static pthread_once_t once = PTHREAD_ONCE_INIT;

static BIGNUM *number(struct cs_bytes b)
{
	return BN_bin2bn(b.p, (int)b.len, NULL);
}

/* What fails here is NULL afterwards, and using that group is refused. */
static void prepare_all(void)
{
	BN_CTX *ctx = BN_CTX_new();

	for (size_t i = 0; i < N_PREPARED; i++) {
		struct prepared *e = &prepared[i];
		const struct ike_dh_numbers *n = ike_dh_numbers(e->group);

		if (e->nid) {
			e->curve = EC_GROUP_new_by_curve_name(e->nid);
			continue;
		}
		e->p = number(n->p);
		e->g = number(n->g);
		e->q = n->order.len ? number(n->order) : NULL;
		e->montgomery = BN_MONT_CTX_new();
		if (!ctx || !e->p || !e->g || !e->montgomery ||
		    !BN_MONT_CTX_set(e->montgomery, e->p, ctx)) {
			BN_MONT_CTX_free(e->montgomery);
			e->montgomery = NULL;
		}
	}
	BN_CTX_free(ctx);
}

static const struct prepared *find(const struct cs_group *g)
{
	pthread_once(&once, prepare_all);
	for (size_t i = 0; i < N_PREPARED; i++)
		if (prepared[i].group == g->number &&
		    (g->kind == CS_ECP ? prepared[i].curve != NULL
				       : prepared[i].montgomery != NULL))
			return &prepared[i];
	return NULL;
}

static int failed(const struct cs_group *g, struct cs_err *err)
{
	return cs_fail(err, CS_ECRYPTO, "OpenSSL fails at %s", g->suite);
}

/* ---- MODP ---- */

/* base NULL: the generator. */
static int modp_power(const struct cs_group *g, const struct prepared *e, const BIGNUM *base,
		      struct cs_bytes x_b, uint8_t *out, struct cs_err *err)
{
	BIGNUM *x = number(x_b), *r = BN_new();
	BN_CTX *ctx = BN_CTX_new();
	int rc = failed(g, err);

	if (!x || !r || !ctx)
		goto out;
	BN_set_flags(x, BN_FLG_CONSTTIME);
	if (BN_mod_exp_mont_consttime(r, base ? base : e->g, x, e->p, ctx, e->montgomery) &&
	    BN_bn2binpad(r, out, g->public_len) == g->public_len)
		rc = 0;
out:
	BN_clear_free(x);
	BN_clear_free(r);
	BN_CTX_free(ctx);
	return rc;
}

/* y^q is 1 for the members of the small subgroup alone. All here is public. */
static int modp_subgroup(const struct cs_group *g, const struct prepared *e, const BIGNUM *y,
			 struct cs_err *err)
{
	BN_CTX *ctx = BN_CTX_new();
	BIGNUM *r = BN_new();
	int rc = failed(g, err);

	if (ctx && r && e->q && BN_mod_exp_mont(r, y, e->q, e->p, ctx, e->montgomery))
		rc = BN_is_one(r) ? 0
				  : cs_fail(err, CS_EAUTH,
					    "the peer's public value is not in the subgroup of %s",
					    g->suite);
	BN_free(r);
	BN_CTX_free(ctx);
	return rc;
}

/* ---- ECP ---- */

/* The peer's point; OpenSSL takes only coordinates that are on the curve. */
static int ecp_point(const struct cs_group *g, const struct prepared *e, struct cs_bytes peer,
		     EC_POINT *point, BN_CTX *ctx, struct cs_err *err)
{
	size_t half = peer.len / 2;
	BIGNUM *x = BN_bin2bn(peer.p, (int)half, NULL);
	BIGNUM *y = BN_bin2bn(peer.p + half, (int)half, NULL);
	int rc = failed(g, err);

	if (x && y)
		rc = EC_POINT_set_affine_coordinates(e->curve, point, x, y, ctx)
			     ? 0
			     : cs_fail(err, CS_EAUTH,
				       "the peer's public value is not on the curve of %s",
				       g->suite);
	BN_free(x);
	BN_free(y);
	return rc;
}

/* peer empty: the base point. out_y NULL: x alone. */
static int ecp_multiply(const struct cs_group *g, const struct prepared *e, struct cs_bytes d_b,
			struct cs_bytes peer, uint8_t *out_x, uint8_t *out_y, struct cs_err *err)
{
	EC_POINT *base = NULL, *result = EC_POINT_new(e->curve);
	BIGNUM *d = number(d_b), *x = BN_new(), *y = BN_new();
	int len = g->public_len / 2, rc = failed(g, err);
	BN_CTX *ctx = BN_CTX_new();

	if (!result || !d || !x || !y || !ctx)
		goto out;
	BN_set_flags(d, BN_FLG_CONSTTIME);
	if (peer.len) {
		base = EC_POINT_new(e->curve);
		if (!base)
			goto out;
		rc = ecp_point(g, e, peer, base, ctx, err);
		if (rc < 0)
			goto out;
	}
	rc = EC_POINT_mul(e->curve, result, base ? NULL : d, base, base ? d : NULL, ctx) &&
			     EC_POINT_get_affine_coordinates(e->curve, result, x, y, ctx) &&
			     BN_bn2binpad(x, out_x, len) == len &&
			     (!out_y || BN_bn2binpad(y, out_y, len) == len)
		     ? 0
		     : failed(g, err);
out:
	EC_POINT_free(base);
	EC_POINT_clear_free(result);
	BN_clear_free(d);
	BN_clear_free(x);
	BN_clear_free(y);
	BN_CTX_free(ctx);
	return rc;
}

/* ---- the engine ---- */

static int public_value(const struct cs_group *g, struct cs_bytes x, uint8_t *out,
			struct cs_err *err)
{
	const struct prepared *e = find(g);
	struct cs_bytes none = {NULL, 0};

	if (!e)
		return failed(g, err);
	if (g->kind == CS_ECP)
		return ecp_multiply(g, e, x, none, out, out + g->public_len / 2, err);
	return modp_power(g, e, NULL, x, out, err);
}

static int secret(const struct cs_group *g, struct cs_bytes x, struct cs_bytes peer, uint8_t *out,
		  struct cs_err *err)
{
	const struct prepared *e = find(g);
	BIGNUM *y;
	int rc = 0;

	if (!e)
		return failed(g, err);
	if (g->kind == CS_ECP)
		return ecp_multiply(g, e, x, peer, out, NULL, err);
	y = number(peer);
	if (!y)
		return failed(g, err);
	if (g->order_bits)
		rc = modp_subgroup(g, e, y, err);
	if (rc == 0)
		rc = modp_power(g, e, y, x, out, err);
	BN_free(y);
	return rc;
}

const struct ike_dh_engine ike_dh_openssl = {"openssl", public_value, secret};
