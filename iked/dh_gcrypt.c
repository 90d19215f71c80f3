/* Diffie-Hellman with libgcrypt's multi-precision integers and elliptic curves. */
#include "iked/dh.h"

#include <gcrypt.h>

#define PARSED(mpi, bytes)                                                                         \
	(gcry_mpi_scan(&(mpi), GCRYMPI_FMT_USG, (bytes).p, (bytes).len, NULL) == 0)

static int failed(const struct cs_group *g, struct cs_err *err)
{
	return cs_fail(err, CS_ECRYPTO, "libgcrypt fails at %s", g->suite);
}

/* To exactly len bytes, zeros first. */
static bool print_padded(gcry_mpi_t v, uint8_t *out, size_t len)
{
	size_t n = (gcry_mpi_get_nbits(v) + 7) / 8;

	if (n > len)
		return false;
	for (size_t i = 0; i < len - n; i++)
		out[i] = 0;
	return gcry_mpi_print(GCRYMPI_FMT_USG, out + len - n, n, NULL, v) == 0;
}

/* A private value; the flag makes the library take its paths without secret-dependent branches. */
static bool parse_private(gcry_mpi_t *x, struct cs_bytes bytes)
{
	if (!PARSED(*x, bytes))
		return false;
	gcry_mpi_set_flag(*x, GCRYMPI_FLAG_SECURE);
	return true;
}

/* ---- MODP ---- */

static int modp_power(const struct cs_group *g, struct cs_bytes base, struct cs_bytes x,
		      uint8_t *out, struct cs_err *err)
{
	const struct ike_dh_numbers *n = ike_dh_numbers(g->number);
	gcry_mpi_t p = NULL, b = NULL, e = NULL, r = gcry_mpi_new(g->bits);
	int rc = failed(g, err);

	if (!r || !PARSED(p, n->p) || !PARSED(b, base) || !parse_private(&e, x))
		goto out;
	gcry_mpi_powm(r, b, e, p);
	if (print_padded(r, out, n->p.len))
		rc = 0;
out:
	gcry_mpi_release(p);
	gcry_mpi_release(b);
	gcry_mpi_release(e);
	gcry_mpi_release(r);
	return rc;
}

/* y^q is 1 for the members of the small subgroup alone. */
static int modp_subgroup(const struct cs_group *g, struct cs_bytes y, struct cs_err *err)
{
	const struct ike_dh_numbers *n = ike_dh_numbers(g->number);
	gcry_mpi_t p = NULL, b = NULL, q = NULL, r = gcry_mpi_new(g->bits);
	int rc = failed(g, err);

	if (!r || !PARSED(p, n->p) || !PARSED(b, y) || !PARSED(q, n->order))
		goto out;
	gcry_mpi_powm(r, b, q, p);
	rc = gcry_mpi_cmp_ui(r, 1) == 0
		     ? 0
		     : cs_fail(err, CS_EAUTH,
			       "the peer's public value is not in the subgroup of %s", g->suite);
out:
	gcry_mpi_release(p);
	gcry_mpi_release(b);
	gcry_mpi_release(q);
	gcry_mpi_release(r);
	return rc;
}

/* ---- ECP ---- */

static const char *curve_name(const struct cs_group *g)
{
	switch (g->number) {
	case 19:
		return "NIST P-256";
	case 20:
		return "NIST P-384";
	case 21:
		return "NIST P-521";
	default:
		return NULL;
	}
}

/* The peer's point, once it is known to be on the curve. */
static int ecp_point(const struct cs_group *g, gcry_ctx_t ctx, struct cs_bytes peer,
		     gcry_mpi_point_t point, struct cs_err *err)
{
	struct cs_bytes x_b = {peer.p, peer.len / 2}, y_b = {peer.p + x_b.len, x_b.len};
	gcry_mpi_t x = NULL, y = NULL;
	int rc = failed(g, err);

	if (!PARSED(x, x_b) || !PARSED(y, y_b))
		goto out;
	gcry_mpi_point_set(point, x, y, GCRYMPI_CONST_ONE);
	rc = gcry_mpi_ec_curve_point(point, ctx)
		     ? 0
		     : cs_fail(err, CS_EAUTH, "the peer's public value is not on the curve of %s",
			       g->suite);
out:
	gcry_mpi_release(x);
	gcry_mpi_release(y);
	return rc;
}

/* out_y NULL: x alone. peer empty: the base point. */
static int ecp_multiply(const struct cs_group *g, struct cs_bytes d_b, struct cs_bytes peer,
			uint8_t *out_x, uint8_t *out_y, struct cs_err *err)
{
	gcry_mpi_point_t base = NULL, result = gcry_mpi_point_new(0);
	gcry_mpi_t d = NULL, x = gcry_mpi_new(0), y = gcry_mpi_new(0);
	size_t len = g->public_len / 2u;
	gcry_ctx_t ctx = NULL;
	int rc = failed(g, err);

	if (gcry_mpi_ec_new(&ctx, NULL, curve_name(g)) || !parse_private(&d, d_b))
		goto out;
	if (peer.len) {
		base = gcry_mpi_point_new(0);
		rc = ecp_point(g, ctx, peer, base, err);
		if (rc < 0)
			goto out;
	} else {
		base = gcry_mpi_ec_get_point("g", ctx, 1);
	}
	gcry_mpi_ec_mul(result, d, base, ctx);
	rc = gcry_mpi_ec_get_affine(x, y, result, ctx) == 0 && print_padded(x, out_x, len) &&
			     (!out_y || print_padded(y, out_y, len))
		     ? 0
		     : failed(g, err);
out:
	gcry_mpi_point_release(base);
	gcry_mpi_point_release(result);
	gcry_mpi_release(d);
	gcry_mpi_release(x);
	gcry_mpi_release(y);
	gcry_ctx_release(ctx);
	return rc;
}

/* ---- the engine ---- */

static int public_value(const struct cs_group *g, struct cs_bytes x, uint8_t *out,
			struct cs_err *err)
{
	const struct ike_dh_numbers *n = ike_dh_numbers(g->number);
	struct cs_bytes none = {NULL, 0};

	if (g->kind == CS_ECP)
		return ecp_multiply(g, x, none, out, out + g->public_len / 2, err);
	return modp_power(g, n->g, x, out, err);
}

static int secret(const struct cs_group *g, struct cs_bytes x, struct cs_bytes peer, uint8_t *out,
		  struct cs_err *err)
{
	int rc = 0;

	if (g->kind == CS_ECP)
		return ecp_multiply(g, x, peer, out, NULL, err);
	if (g->order_bits)
		rc = modp_subgroup(g, peer, err);
	return rc < 0 ? rc : modp_power(g, peer, x, out, err);
}

const struct ike_dh_engine ike_dh_libgcrypt = {"libgcrypt", public_value, secret};
