/*
 * A peer's certificate: from what it sent up to a CA of the keyring (RFC 5280 section 6, RFC 4945
 * section 5).  OpenSSL builds and checks the path.  Before it: number and size of what came, and
 * the keys in it.  After it: what RFC 5280 leaves to us, revocation, and one sentence that says
 * which check failed on which certificate.
 */
#include "pki/private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "policy/policy.h"

struct check {
	const struct pki_keyring *ring;
	const struct pki_peer *peer;
	struct pki_verdict *v;
	struct cs_err *err;
	X509 *certs[PKI_CERTS_MAX]; /* as sent */
	unsigned n_certs;
	X509 *own;             /* of these, the one that holds the identity */
	STACK_OF(X509) * sent; /* the others, lent, and the keyring's CAs that are not trusted */
	X509_STORE *trusted;
	unsigned n_trusted;
	bool failed; /* the callback has said why */
};

const char *pki_fault_name(enum pki_fault fault)
{
	static const char *const names[] = {
		[PKI_FINE] = "fine",
		[PKI_F_LIMIT] = "limit",
		[PKI_F_MALFORMED] = "malformed",
		[PKI_F_IDENTITY] = "identity",
		[PKI_F_KEY] = "key",
		[PKI_F_WEAK] = "weak digest",
		[PKI_F_USAGE] = "usage",
		[PKI_F_NOT_CA] = "not a CA",
		[PKI_F_UNKNOWN_CA] = "unknown CA",
		[PKI_F_SIGNATURE] = "signature",
		[PKI_F_NOT_YET] = "not yet valid",
		[PKI_F_EXPIRED] = "expired",
		[PKI_F_CONSTRAINT] = "constraint",
		[PKI_F_EXTENSION] = "extension",
		[PKI_F_REVOKED] = "revoked",
		[PKI_F_NO_CRL] = "no CRL",
		[PKI_F_OTHER] = "other",
	};

	return names[fault];
}

int pki_fault(struct pki_verdict *v, enum pki_fault fault, struct cs_err *err, const char *format,
	      ...)
{
	struct cs_err said;
	va_list ap;

	va_start(ap, format);
	vsnprintf(said.text, sizeof(said.text), format, ap);
	va_end(ap);
	v->fault = fault;
	return cs_fail(err,
		       fault == PKI_F_LIMIT       ? CS_ELIMIT
		       : fault == PKI_F_MALFORMED ? CS_EPARSE
		       : fault == PKI_F_OTHER     ? CS_ECRYPTO
						  : CS_EAUTH,
		       "%s", said.text);
}

static int no_memory(struct check *c)
{
	c->v->fault = PKI_F_OTHER;
	return cs_fail(c->err, CS_ENOMEM, "out of memory");
}

/* ---- what was sent ---- */

static int check_limits(struct check *c)
{
	const struct pki_peer *p = c->peer;
	size_t total = 0;

	if (p->n_certs == 0)
		return pki_fault(c->v, PKI_F_IDENTITY, c->err, "the peer sent no certificate");
	if (p->n_certs > PKI_CERTS_MAX)
		return pki_fault(c->v, PKI_F_LIMIT, c->err,
				 "the peer sent %u certificates, and %d are the most", p->n_certs,
				 PKI_CERTS_MAX);
	if (p->n_crls > PKI_CRLS_MAX)
		return pki_fault(c->v, PKI_F_LIMIT, c->err,
				 "the peer sent %u CRLs, and %d are the most", p->n_crls,
				 PKI_CRLS_MAX);
	for (unsigned i = 0; i < p->n_certs; i++) {
		if (p->certs[i].len > PKI_CERT_BYTES_MAX)
			return pki_fault(c->v, PKI_F_LIMIT, c->err,
					 "certificate %u of %u has %zu bytes, and %u are the most",
					 i + 1, p->n_certs, p->certs[i].len, PKI_CERT_BYTES_MAX);
		total += p->certs[i].len;
	}
	for (unsigned i = 0; i < p->n_crls && total <= PKI_PEER_BYTES_MAX; i++)
		total += p->crls[i].len <= PKI_PEER_BYTES_MAX ? p->crls[i].len
							      : PKI_PEER_BYTES_MAX + 1;
	if (total > PKI_PEER_BYTES_MAX)
		return pki_fault(c->v, PKI_F_LIMIT, c->err,
				 "the peer's certificates and CRLs have more than %u bytes",
				 PKI_PEER_BYTES_MAX);
	return 0;
}

static int decode_all(struct check *c)
{
	for (unsigned i = 0; i < c->peer->n_certs; i++) {
		X509 *cert = pki_cert_decode(c->peer->certs[i]);

		if (!cert)
			return pki_fault(c->v, PKI_F_MALFORMED, c->err,
					 "certificate %u of %u is not the DER of a certificate",
					 i + 1, c->peer->n_certs);
		c->certs[c->n_certs++] = cert;
		if (X509_get_extension_flags(cert) & EXFLAG_INVALID)
			return pki_fault(c->v, PKI_F_MALFORMED, c->err,
					 "certificate %u of %u has malformed extensions", i + 1,
					 c->peer->n_certs);
	}
	return 0;
}

static int bad_key(struct check *c, X509 *cert, const char *why)
{
	char name[PKI_SHORT_NAME];

	return pki_fault(c->v, PKI_F_KEY, c->err, "certificate '%s': %s",
			 pki_name_text(X509_get_subject_name(cert), name, sizeof(name)), why);
}

/* All of them before any is used. */
static int check_keys(struct check *c)
{
	struct cs_err why;

	for (unsigned i = 0; i < c->n_certs; i++)
		if (pki_key_check(X509_get0_pubkey(c->certs[i]), &c->peer->strength, &why) < 0)
			return bad_key(c, c->certs[i], why.text);
	if (pki_rsa_check(X509_get0_pubkey(c->own), &c->peer->strength, &why) < 0)
		return bad_key(c, c->own, why.text);
	return 0;
}

/* ---- the one that the peer is ---- */

/* Only that it has the length and form of its type: what it then says is for policy to judge. */
static const char *id_fault(const struct pki_id *id)
{
	X509_NAME *name;

	switch (id->type) {
	case POL_ID_IPV4_ADDR:
		return id->data.len == 4 ? "" : "it is not an IPv4 address";
	case POL_ID_IPV6_ADDR:
		return id->data.len == 16 ? "" : "it is not an IPv6 address";
	case POL_ID_FQDN:
	case POL_ID_USER_FQDN:
		return id->data.len > 0 ? "" : "it is empty";
	case POL_ID_DER_ASN1_DN:
		name = pki_name_decode(id->data);
		X509_NAME_free(name);
		return name ? "" : "it is not the DER of a name";
	default:
		return "certificates do not hold identities of this type";
	}
}

static int check_identity(struct check *c)
{
	struct pol_peer_id id = {c->peer->id.type, c->peer->id.data};
	char text[PKI_SHORT_NAME], name[PKI_SHORT_NAME];
	const char *fault = id_fault(&c->peer->id);

	pol_peer_id_text(&id, text, sizeof(text));
	if (fault[0])
		return pki_fault(c->v, PKI_F_IDENTITY, c->err, "identity %s %s: %s",
				 pol_id_type_name(id.type), text, fault);
	for (unsigned i = 0; i < c->n_certs && !c->own; i++)
		if (pki_cert_holds(c->certs[i], &c->peer->id))
			c->own = c->certs[i];
	if (c->own)
		return 0;
	pki_name_text(X509_get_subject_name(c->certs[0]), name, sizeof(name));
	return pki_fault(c->v, PKI_F_IDENTITY, c->err,
			 "the %s of certificate '%s' is not the identity %s %s",
			 id.type == POL_ID_DER_ASN1_DN ? "subject" : "subjectAltName", name,
			 pol_id_type_name(id.type), text);
}

/* ---- whom we trust ---- */

static bool is_trusted(const struct check *c, const struct pki_entry *e)
{
	if (c->peer->n_ca_labels == 0)
		return e->info.is_ca;
	for (unsigned i = 0; i < c->peer->n_ca_labels; i++)
		if (strcmp(c->peer->ca_labels[i], e->info.label) == 0)
			return true;
	return false;
}

static int gather(struct check *c)
{
	c->trusted = X509_STORE_new();
	c->sent = pki_ring_cas(c->ring);
	if (!c->trusted || !c->sent)
		return no_memory(c);
	for (unsigned i = 0; i < c->ring->n_entries; i++) {
		if (!is_trusted(c, c->ring->entry[i]))
			continue;
		if (X509_STORE_add_cert(c->trusted, c->ring->entry[i]->cert) != 1)
			return no_memory(c);
		c->n_trusted++;
	}
	for (unsigned i = 0; i < c->n_certs; i++)
		if (c->certs[i] != c->own && sk_X509_push(c->sent, c->certs[i]) <= 0)
			return no_memory(c);
	if (c->n_trusted)
		return 0;
	return c->peer->n_ca_labels
		       ? pki_fault(c->v, PKI_F_UNKNOWN_CA, c->err,
				   "the keyring has no certificate with the label '%s'%s",
				   c->peer->ca_labels[0],
				   c->peer->n_ca_labels > 1 ? " or the others" : "")
		       : pki_fault(c->v, PKI_F_UNKNOWN_CA, c->err,
				   "the keyring has no CA certificate");
}

/* ---- OpenSSL's verdict in words ---- */

/* Why nobody trusted is above this certificate. */
static void say_unknown_ca(struct check *c, X509 *cert)
{
	const X509_NAME *issuer = X509_get_issuer_name(cert);
	char name[PKI_SHORT_NAME], ca[PKI_SHORT_NAME];
	const struct pki_entry *known = NULL;

	pki_name_text(X509_get_subject_name(cert), name, sizeof(name));
	pki_name_text(issuer, ca, sizeof(ca));
	for (unsigned i = 0; i < c->ring->n_entries; i++)
		if (X509_NAME_cmp(X509_get_subject_name(c->ring->entry[i]->cert), issuer) == 0 &&
		    (!known || is_trusted(c, c->ring->entry[i])))
			known = c->ring->entry[i];
	if (!known)
		pki_fault(c->v, PKI_F_UNKNOWN_CA, c->err,
			  "certificate '%s' is signed by the unknown CA '%s'", name, ca);
	else if (is_trusted(c, known))
		pki_fault(c->v, PKI_F_UNKNOWN_CA, c->err,
			  "certificate '%s' is signed by another CA '%s' than '%s' of the keyring",
			  name, ca, known->info.label);
	else
		pki_fault(c->v, PKI_F_UNKNOWN_CA, c->err,
			  "certificate '%s' is signed by CA '%s' ('%s'), which is not asked for",
			  name, ca, known->info.label);
}

static void say(struct check *c, enum pki_fault fault, X509 *cert, const char *format,
		const char *more)
{
	char name[PKI_SHORT_NAME], text[64];

	pki_name_text(X509_get_subject_name(cert), name, sizeof(name));
	snprintf(text, sizeof(text), "%s%s", format, more);
	pki_fault(c->v, fault, c->err, "certificate '%s' %s", name, text);
}

static void say_why(struct check *c, int code, X509 *cert)
{
	char day[24];

	switch (code) {
	case X509_V_ERR_CERT_NOT_YET_VALID:
		pki_day(pki_time(X509_get0_notBefore(cert)), day);
		say(c, PKI_F_NOT_YET, cert, "is not valid before ", day);
		break;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		pki_day(pki_time(X509_get0_notAfter(cert)), day);
		say(c, PKI_F_EXPIRED, cert, "expired on ", day);
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_UNTRUSTED:
		say_unknown_ca(c, cert);
		break;
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
	case X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE:
	case X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY:
		say(c, PKI_F_SIGNATURE, cert, "has a wrong signature", "");
		break;
	case X509_V_ERR_INVALID_CA:
	case X509_V_ERR_KEYUSAGE_NO_CERTSIGN:
	case X509_V_ERR_INVALID_NON_CA:
		say(c, PKI_F_NOT_CA, cert, "may not sign certificates", "");
		break;
	case X509_V_ERR_PATH_LENGTH_EXCEEDED:
		say(c, PKI_F_CONSTRAINT, cert, "does not allow so many CAs below it", "");
		break;
	case X509_V_ERR_PERMITTED_VIOLATION:
	case X509_V_ERR_EXCLUDED_VIOLATION:
	case X509_V_ERR_SUBTREE_MINMAX:
	case X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE:
	case X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX:
	case X509_V_ERR_UNSUPPORTED_NAME_SYNTAX:
		say(c, PKI_F_CONSTRAINT, cert, "has a name that a CA above it does not allow", "");
		break;
	case X509_V_ERR_CERT_CHAIN_TOO_LONG:
		say(c, PKI_F_LIMIT, cert, "is too far below a trusted CA", "");
		break;
	case X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION:
		say(c, PKI_F_EXTENSION, cert, "has a critical extension that is not known", "");
		break;
	case X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD:
	case X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD:
	case X509_V_ERR_INVALID_EXTENSION:
		say(c, PKI_F_MALFORMED, cert, "has malformed dates or extensions", "");
		break;
	default:
		say(c, PKI_F_OTHER, cert, "is refused: ", X509_verify_cert_error_string(code));
		break;
	}
}

static int on_fault(int ok, X509_STORE_CTX *ctx)
{
	struct check *c = X509_STORE_CTX_get_app_data(ctx);
	X509 *cert = X509_STORE_CTX_get_current_cert(ctx);

	if (ok || c->failed)
		return ok;
	c->failed = true;
	say_why(c, X509_STORE_CTX_get_error(ctx), cert ? cert : c->own);
	return 0;
}

/* ---- the path ---- */

/* What OpenSSL lets pass and we do not. */
static int check_path(struct check *c, STACK_OF(X509) * chain)
{
	int last = sk_X509_num(chain) - 1;
	const char *usage = pki_ike_usage(c->own);
	struct cs_err why;

	for (int i = 0; i <= last; i++) {
		X509 *cert = sk_X509_value(chain, i);
		const char *weak =
			i < last ? pki_weak_digest(cert, c->peer->strength.signature_bits) : NULL;

		if (pki_key_check(X509_get0_pubkey(cert), &c->peer->strength, &why) < 0)
			return bad_key(c, cert, why.text);
		if (weak) {
			say(c, PKI_F_WEAK, cert,
			    "is signed with a digest that is too weak: ", weak);
			return CS_EAUTH;
		}
		/* Ways to be a CA without saying so in basicConstraints are from another time. */
		if (i > 0 && i < last && X509_check_ca(cert) != 1) {
			say(c, PKI_F_NOT_CA, cert, "may not sign certificates", "");
			return CS_EAUTH;
		}
	}
	if (usage[0]) {
		char name[PKI_SHORT_NAME];

		return pki_fault(c->v, PKI_F_USAGE, c->err, "certificate '%s' cannot be used: %s",
				 pki_name_text(X509_get_subject_name(c->own), name, sizeof(name)),
				 usage);
	}
	return pki_revocation_check(c->ring, c->peer, chain, c->v, c->err);
}

static const char *label_of(const struct check *c, X509 *cert)
{
	for (unsigned i = 0; i < c->ring->n_entries; i++)
		if (is_trusted(c, c->ring->entry[i]) &&
		    X509_cmp(c->ring->entry[i]->cert, cert) == 0)
			return c->ring->entry[i]->info.label;
	return "";
}

static int accept_peer(struct check *c, STACK_OF(X509) * chain)
{
	EVP_PKEY *key = X509_get0_pubkey(c->own);
	int last = sk_X509_num(chain) - 1;

	if (!key || EVP_PKEY_up_ref(key) != 1)
		return no_memory(c);
	c->v->key = key;
	c->v->depth = (unsigned)last;
	pki_name_text(X509_get_subject_name(c->own), c->v->subject, sizeof(c->v->subject));
	snprintf(c->v->anchor, sizeof(c->v->anchor), "%s", label_of(c, sk_X509_value(chain, last)));
	return 0;
}

static int check_with(struct check *c, X509_STORE_CTX *ctx)
{
	/* One that is trusted itself needs nobody above it; OpenSSL would go on to the top. */
	bool pinned = label_of(c, c->own)[0] != '\0';
	X509_VERIFY_PARAM *param;
	int status;

	if (!ctx || X509_STORE_CTX_init(ctx, c->trusted, c->own, pinned ? NULL : c->sent) != 1)
		return no_memory(c);
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_time(param, (time_t)c->peer->now);
	X509_VERIFY_PARAM_set_depth(param, PKI_DEPTH_MAX);
	/* A label may name a CA that is itself below another one. */
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
	X509_STORE_CTX_set_app_data(ctx, c);
	X509_STORE_CTX_set_verify_cb(ctx, on_fault);
	if (X509_verify_cert(ctx) != 1) {
		if (!c->failed) /* it may fail without a word to the callback */
			say_why(c, X509_STORE_CTX_get_error(ctx), c->own);
		return c->err && c->err->code ? (int)c->err->code : CS_EAUTH;
	}
	status = check_path(c, X509_STORE_CTX_get0_chain(ctx));
	return status == 0 ? accept_peer(c, X509_STORE_CTX_get0_chain(ctx)) : status;
}

int pki_peer_check(const struct pki_keyring *ring, const struct pki_peer *peer,
		   struct pki_verdict *verdict, struct cs_err *err)
{
	struct cs_err own = {0};
	struct check c = {.ring = ring, .peer = peer, .v = verdict, .err = err ? err : &own};
	X509_STORE_CTX *ctx = NULL;
	int status;

	*verdict = (struct pki_verdict){0};
	status = check_limits(&c);
	if (status == 0)
		status = decode_all(&c);
	if (status == 0)
		status = check_identity(&c);
	if (status == 0)
		status = check_keys(&c);
	if (status == 0)
		status = gather(&c);
	if (status == 0) {
		ctx = X509_STORE_CTX_new();
		status = check_with(&c, ctx);
	}
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(c.trusted);
	sk_X509_free(c.sent);
	for (unsigned i = 0; i < c.n_certs; i++)
		X509_free(c.certs[i]);
	ERR_clear_error();
	return status;
}
