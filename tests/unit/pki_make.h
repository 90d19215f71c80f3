/*
 * Certificates for tests, right ones and such as no decent CA would sign, straight from OpenSSL;
 * and keyrings in directories of their own.
 */
#ifndef PKI_MAKE_H
#define PKI_MAKE_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "pki/pki.h"

#define T0  1767225600 /* 2026-01-01 00:00 UTC, the present of all tests */
#define DAY 86400

/* Made once, before Check forks. */
extern EVP_PKEY *rsa_a, *rsa_b, *rsa_c, *rsa_d, *rsa_small, *ec_a, *ec_small;
void make_keys(void);

/* Extensions are in OpenSSL's words; NULL: the usual one, "" none. */
struct mk {
	const char *subject; /* "CN=a,O=b", leaf first */
	EVP_PKEY *key;
	X509 *issuer; /* NULL: self-signed */
	EVP_PKEY *issuer_key;
	bool ca;
	const char *san, *basic, *usage, *purpose, *constraints, *more;
	int more_nid;     /* of more */
	int64_t from, to; /* days from T0; 0 and 0: -10 to 365 */
	const EVP_MD *md; /* NULL: SHA-256 */
	int version;      /* 0: 3 */
};
X509 *mk_cert(const struct mk *m);
X509 *mk_ca(const char *subject, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key);
X509 *mk_host(const char *subject, const char *san, EVP_PKEY *key, X509 *issuer,
	      EVP_PKEY *issuer_key);

struct mk_crl {
	X509 *issuer;
	EVP_PKEY *key;
	X509 *revoked[4]; /* up to the first NULL */
	int from, to;     /* days from T0; to 0: without nextUpdate */
	const char *idp;  /* issuingDistributionPoint, OpenSSL's words by a section: see .c */
	bool unknown_critical;
	const EVP_MD *md;
};
X509_CRL *mk_crl(const struct mk_crl *m);

/* DER, malloc'ed. */
struct cs_bytes der_of(X509 *cert);
struct cs_bytes der_of_crl(X509_CRL *crl);
struct cs_bytes der_of_name(const X509_NAME *name);

/* ---- keyrings ---- */

/* An empty directory of this test alone. */
const char *new_dir(void);
void remove_dir(void);
const char *in_dir(const char *name); /* a path in it; lives for a while */
void put_file(const char *name, const void *data, size_t len, unsigned mode);
void put_cert(const char *label, X509 *cert);
void put_key(const char *label, EVP_PKEY *key);
void put_crl(const char *name, X509_CRL *crl);
struct cs_bytes get_file(const char *name);

/* Loads the directory; what was told is in notes, a line each: "FILE: TEXT\n". */
extern char notes[4096];
struct pki_keyring *load_ring(void);
void note_it(void *arg, const char *file, const char *text);

/* Runs a program without a shell; its standard output and error go to in_dir("out"). The status. */
int run(const char *const *argv);
const char *out_text(void); /* what it wrote */
bool out_has(const char *text);

#endif
