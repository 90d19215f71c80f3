/* RSA signatures of real peers, with the certificates that they sent. */
#include "tests/kat/kat.h"

#include <string.h>

#ifdef HAVE_OPENSSL

#include "pki/pki.h"

#define CERT_X509_SIGNATURE 4 /* RFC 2408 section 3.9 */

static void check_with(struct kat_report *r, struct x509_st *cert, struct cs_bytes id,
		       struct cs_bytes hash, struct cs_bytes sig, char name)
{
	const struct pki_strength usual = {0};
	struct pki_id sent = {0};
	struct cs_err err = {0};

	/* Type, protocol, port, and then what the certificate holds (RFC 2407 section 4.6.2). */
	if (id.len > 4)
		sent = (struct pki_id){id.p[0], {id.p + 4, id.len - 4}};
	kat_ok(r, pki_cert_holds(cert, &sent), "the certificate of SIG_%c holds the identity",
	       name);
	if (pki_verify(pki_cert_key(cert), hash, sig, &usual, &err) < 0)
		kat_ok(r, false, "SIG_%c: %s", name, err.text);
	else
		kat_ok(r, true, "SIG_%c", name);
}

void kat_check_signature(struct kat_report *r, const struct isa_message *m, struct cs_bytes id,
			 struct cs_bytes hash, char name)
{
	const struct isa_payload *sig = isa_find(m, ISA_SIG, 0), *cert = isa_find(m, ISA_CERT, 0);
	struct pki_found found;
	struct cs_err err = {0};

	if (!cert || cert->body.len < 2 || cert->body.p[0] != CERT_X509_SIGNATURE) {
		kat_na(r, "SIG_%c: no certificate came with it", name);
		return;
	}
	if (pki_found_parse((struct cs_bytes){cert->body.p + 1, cert->body.len - 1}, NULL, &found,
			    &err) < 0) {
		kat_ok(r, false, "the certificate of SIG_%c: %s", name, err.text);
		return;
	}
	kat_ok(r, found.cert != NULL, "the certificate of SIG_%c", name);
	if (found.cert)
		check_with(r, found.cert, id, hash, sig->body, name);
	pki_found_free(&found);
}

#else

void kat_check_signature(struct kat_report *r, const struct isa_message *m, struct cs_bytes id,
			 struct cs_bytes hash, char name)
{
	(void)m, (void)id, (void)hash;
	kat_na(r, "SIG_%c: built without OpenSSL", name);
}

#endif
