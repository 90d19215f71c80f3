/*
 * Revocation (RFC 5280 section 6.3).  A CRL counts when the CA above the certificate signed it and
 * it can be understood; of those that cover the same ground the newest decides, wherever it came
 * from, so that a peer gains nothing by sending an old one.  OpenSSL's own check looks at one CRL,
 * chosen before any signature is verified, and so a forged one could hide a good one.
 */
#include "pki/private.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

/* A CRL of the CA in question, with what its issuingDistributionPoint says. */
struct crl {
	X509_CRL *crl;
	const ASN1_OCTET_STRING *scope; /* the extension's bytes, NULL: none */
	ISSUING_DIST_POINT *idp;        /* NULL: none */
};

struct crls {
	struct crl *item;
	unsigned n;
};

static void crls_free(struct crls *c)
{
	for (unsigned i = 0; i < c->n; i++)
		ISSUING_DIST_POINT_free(c->item[i].idp);
	free(c->item);
	*c = (struct crls){0};
}

/* The only critical extension that is understood here; a delta CRL has another (section 5.2.4). */
static bool understood(const X509_CRL *crl)
{
	for (int i = -1; (i = X509_CRL_get_ext_by_critical(crl, 1, i)) >= 0;)
		if (OBJ_obj2nid(X509_EXTENSION_get_object(X509_CRL_get_ext(crl, i))) !=
		    NID_issuing_distribution_point)
			return false;
	return true;
}

static bool may_sign_crls(X509 *issuer)
{
	return (X509_get_key_usage(issuer) & KU_CRL_SIGN) != 0;
}

/* Adds crl when it is this CA's and counts at this time. */
static int consider(struct crls *found, X509_CRL *crl, X509 *issuer, const struct pki_peer *peer,
		    struct cs_err *err)
{
	struct crl c = {.crl = crl}, *grown;
	int at, critical;

	if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(issuer)) != 0 ||
	    !understood(crl) || pki_weak_crl_digest(crl, peer->strength.signature_bits) ||
	    pki_time(X509_CRL_get0_lastUpdate(crl)) > peer->now ||
	    X509_CRL_verify(crl, X509_get0_pubkey(issuer)) != 1)
		return 0;
	at = X509_CRL_get_ext_by_NID(crl, NID_issuing_distribution_point, -1);
	if (at >= 0) {
		c.scope = X509_EXTENSION_get_data(X509_CRL_get_ext(crl, at));
		c.idp = X509_CRL_get_ext_d2i(crl, NID_issuing_distribution_point, &critical, NULL);
		if (!c.idp)
			return 0;
	}
	grown = pki_grow(found->item, found->n, sizeof(*grown));
	if (!grown) {
		ISSUING_DIST_POINT_free(c.idp);
		return cs_fail(err, CS_ENOMEM, "out of memory");
	}
	found->item = grown;
	grown[found->n++] = c;
	return 0;
}

static int collect(const struct pki_keyring *ring, X509_CRL *const *sent, unsigned n_sent,
		   X509 *issuer, const struct pki_peer *peer, struct crls *found,
		   struct cs_err *err)
{
	int status = 0;

	if (!may_sign_crls(issuer))
		return 0;
	for (unsigned i = 0; i < ring->n_crls && status == 0; i++)
		status = consider(found, ring->crl[i].crl, issuer, peer, err);
	for (unsigned i = 0; i < n_sent && status == 0; i++)
		status = consider(found, sent[i], issuer, peer, err);
	ERR_clear_error();
	return status;
}

/* ---- which of them speak of this certificate ---- */

static bool same_scope(const struct crl *a, const struct crl *b)
{
	if (!a->scope || !b->scope)
		return a->scope == b->scope;
	return ASN1_OCTET_STRING_cmp(a->scope, b->scope) == 0;
}

static bool outdated(const struct crls *all, unsigned i)
{
	for (unsigned k = 0; k < all->n; k++)
		if (k != i && same_scope(&all->item[k], &all->item[i]) &&
		    ASN1_TIME_compare(X509_CRL_get0_lastUpdate(all->item[k].crl),
				      X509_CRL_get0_lastUpdate(all->item[i].crl)) > 0)
			return true;
	return false;
}

static bool about(const struct crl *c, X509 *cert)
{
	bool ca = X509_check_ca(cert) == 1;

	if (!c->idp)
		return true;
	if (c->idp->onlyattr > 0)
		return false;
	return ca ? c->idp->onlyuser <= 0 : c->idp->onlyCA <= 0;
}

static bool has_name(const GENERAL_NAMES *names, const GENERAL_NAME *name)
{
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
		if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(names, i),
				     (GENERAL_NAME *)(uintptr_t)name) == 0)
			return true;
	return false;
}

/* Whether the certificate names this part of the CA's CRL as the one to look at. */
static bool names_part(X509 *cert, const DIST_POINT_NAME *part)
{
	CRL_DIST_POINTS *points = X509_get_ext_d2i(cert, NID_crl_distribution_points, NULL, NULL);
	bool found = false;

	for (int i = 0; i < sk_DIST_POINT_num(points) && !found; i++) {
		const DIST_POINT *p = sk_DIST_POINT_value(points, i);

		if (part->type != 0 || !p->distpoint || p->distpoint->type != 0 || p->CRLissuer)
			continue;
		for (int k = 0; k < sk_GENERAL_NAME_num(part->name.fullname) && !found; k++)
			found = has_name(p->distpoint->name.fullname,
					 sk_GENERAL_NAME_value(part->name.fullname, k));
	}
	CRL_DIST_POINTS_free(points);
	ERR_clear_error();
	return found;
}

/* Whether the certificate not being in it means that it is not revoked. */
static bool covers(const struct crl *c, X509 *cert, int64_t now)
{
	const ASN1_TIME *next = X509_CRL_get0_nextUpdate(c->crl);

	if (!next || pki_time(next) < now)
		return false;
	if (!c->idp)
		return true;
	if (c->idp->onlysomereasons)
		return false;
	return !c->idp->distpoint || names_part(cert, c->idp->distpoint);
}

/* ---- a certificate, a chain ---- */

static int revoked(X509 *cert, X509_CRL *crl, const X509_REVOKED *entry, struct pki_verdict *v,
		   struct cs_err *err)
{
	char name[PKI_SHORT_NAME], when[24], of[24];

	pki_day(pki_time(X509_REVOKED_get0_revocationDate(entry)), when);
	pki_day(pki_time(X509_CRL_get0_lastUpdate(crl)), of);
	return pki_fault(v, PKI_F_REVOKED, err,
			 "certificate '%s' was revoked on %s, says the CRL of %s",
			 pki_name_text(X509_get_subject_name(cert), name, sizeof(name)), when, of);
}

static int no_crl(const struct crls *all, X509 *cert, struct pki_verdict *v, struct cs_err *err)
{
	char name[PKI_SHORT_NAME], ca[PKI_SHORT_NAME], of[24];

	pki_name_text(X509_get_subject_name(cert), name, sizeof(name));
	pki_name_text(X509_get_issuer_name(cert), ca, sizeof(ca));
	if (all->n == 0)
		return pki_fault(v, PKI_F_NO_CRL, err,
				 "for certificate '%s' there is no CRL of CA '%s'", name, ca);
	pki_day(pki_time(X509_CRL_get0_lastUpdate(all->item[0].crl)), of);
	return pki_fault(v, PKI_F_NO_CRL, err,
			 "for certificate '%s' the CRL of %s by CA '%s' is not current or is not "
			 "about it",
			 name, of, ca);
}

static int check_one(const struct crls *all, X509 *cert, const struct pki_peer *peer,
		     struct pki_verdict *v, struct cs_err *err)
{
	bool covered = false;

	for (unsigned i = 0; i < all->n; i++) {
		X509_REVOKED *entry = NULL;

		if (outdated(all, i) || !about(&all->item[i], cert))
			continue;
		/* 1: listed; 2: listed as no longer on hold (delta CRLs alone). */
		if (X509_CRL_get0_by_cert(all->item[i].crl, &entry, cert) == 1)
			return revoked(cert, all->item[i].crl, entry, v, err);
		covered = covered || covers(&all->item[i], cert, peer->now);
	}
	ERR_clear_error();
	if (!covered && peer->revocation == PKI_REVOCATION_STRICT)
		return no_crl(all, cert, v, err);
	return 0;
}

static int check_chain(const struct pki_keyring *ring, const struct pki_peer *peer,
		       X509_CRL *const *sent, unsigned n_sent, STACK_OF(X509) * chain,
		       struct pki_verdict *v, struct cs_err *err)
{
	int status = 0;

	for (int i = 0; i + 1 < sk_X509_num(chain) && status == 0; i++) {
		struct crls found = {0};

		status =
			collect(ring, sent, n_sent, sk_X509_value(chain, i + 1), peer, &found, err);
		if (status == 0)
			status = check_one(&found, sk_X509_value(chain, i), peer, v, err);
		crls_free(&found);
	}
	return status;
}

int pki_revocation_check(const struct pki_keyring *ring, const struct pki_peer *peer,
			 STACK_OF(X509) * chain, struct pki_verdict *v, struct cs_err *err)
{
	X509_CRL *sent[PKI_CRLS_MAX];
	unsigned n = 0;
	int status;

	if (peer->revocation == PKI_REVOCATION_NONE)
		return 0;
	/* One that cannot be read is as good as none: the peer had no need to send any. */
	for (unsigned i = 0; i < peer->n_crls && n < PKI_CRLS_MAX; i++) {
		const unsigned char *p = peer->crls[i].p;
		X509_CRL *crl = d2i_X509_CRL(NULL, &p, (long)peer->crls[i].len);

		if (crl && p == peer->crls[i].p + peer->crls[i].len)
			sent[n++] = crl;
		else
			X509_CRL_free(crl);
	}
	ERR_clear_error();
	status = check_chain(ring, peer, sent, n, chain, v, err);
	while (n)
		X509_CRL_free(sent[--n]);
	return status;
}
