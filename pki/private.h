/* What the files of pki/ share. Private to pki/. */
#ifndef PKI_PRIVATE_H
#define PKI_PRIVATE_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "pki/pki.h"

/* ---- files.c: the bytes of a keyring, read and not looked into ---- */

enum pki_file_kind { PKI_FILE_CERT, PKI_FILE_KEY, PKI_FILE_CRL, PKI_FILE_P12 };

struct pki_file {
	enum pki_file_kind kind;
	char *name;  /* without the directory */
	char *label; /* without its ending, too */
	uint8_t *data;
	size_t len;
	char not_private[96]; /* why a key in it must not be used; "" when it may be */
};

struct pki_files {
	struct pki_file *file;
	unsigned n;
	char default_label[PKI_LABEL_MAX + 1]; /* "": none */
	char *password;                        /* of a PKCS#12 file, NULL: none */
};

/* ---- keyrings ---- */

struct pki_entry {
	struct pki_info info;
	X509 *cert;
	EVP_PKEY *key; /* NULL: none */
};

struct pki_ring_crl {
	char *file;
	X509_CRL *crl;
};

struct pki_keyring {
	struct pki_entry **entry; /* by label */
	unsigned n_entries;
	STACK_OF(X509) * helpers; /* CA certificates beside others: for chains, not trusted */
	struct pki_ring_crl *crl;
	unsigned n_crls;
};

/* A growing array: room for one more of size bytes, NULL without memory. */
void *pki_grow(void *array, unsigned n, size_t size);
/* Takes cert and key in any case; a label that is there already is told. */
int pki_ring_add(struct pki_keyring *ring, const char *label, X509 *cert, EVP_PKEY *key,
		 const char *file, pki_note_fn *note, void *arg, struct cs_err *err);
int pki_ring_add_helper(struct pki_keyring *ring, X509 *cert, struct cs_err *err); /* takes */

/* ---- pkcs12.c ---- */

/* A certificate or a key of a PKCS#12 file, with its friendlyName; one of the two is NULL. */
struct pki_p12_item {
	char *name; /* NULL: none */
	X509 *cert;
	EVP_PKEY *key;
};
struct pki_p12 {
	struct pki_p12_item *item;
	unsigned n;
};
/* CS_EAUTH: the password (NULL: none) is wrong. CS_EPARSE: it is no PKCS#12 file. */
int pki_p12_open(struct cs_bytes der, const char *password, struct pki_p12 *p12,
		 struct cs_err *err);
void pki_p12_clear(struct pki_p12 *p12);
int pki_p12_entries(const struct pki_file *file, const char *password, struct pki_keyring *ring,
		    pki_note_fn *note, void *arg, struct cs_err *err);

/* ---- names.c ---- */

/* A DN, leaf first. Never fails: "(empty)" and "(cannot be shown)" are names, too. */
const char *pki_name_text(const X509_NAME *name, char *buf, size_t size);
/* Short enough for two in one error text. */
#define PKI_SHORT_NAME 88
/* The DER of a Name and nothing behind it; NULL when it is none. */
X509_NAME *pki_name_decode(struct cs_bytes der);
int64_t pki_time(const ASN1_TIME *t);             /* INT64_MIN when it is none */
void pki_day(int64_t when, char text[static 24]); /* "2026-01-31 23:59 UTC" */

/* ---- keys.c ---- */

/* Whether a key is strong enough to be trusted, and cheap enough to be used. */
int pki_key_check(EVP_PKEY *key, const struct pki_strength *strength, struct cs_err *err);
/* The same, and RSA: the one that IKE version 1's signatures are made with here. */
int pki_rsa_check(EVP_PKEY *key, const struct pki_strength *strength, struct cs_err *err);
enum pki_key_type pki_key_type_of(EVP_PKEY *key);
const char *pki_key_type_name(enum pki_key_type type);
/* A digest as strong as the key that signs; NULL for EdDSA, which brings its own. */
const EVP_MD *pki_digest_for(EVP_PKEY *key);
/* "OpenSSL: ..." with its own reason, and its queue emptied. */
int pki_fail_openssl(struct cs_err *err, const char *what);

/* ---- path.c, usage.c, crl.c ---- */

/* The whole of der is one certificate. */
X509 *pki_cert_decode(struct cs_bytes der);
/* May it sign as an end of IKE? "" or why not. */
const char *pki_ike_usage(X509 *cert);
/* Name of the digest that a certificate or CRL is signed with when it is too weak, else NULL. */
const char *pki_weak_digest(X509 *cert, unsigned min_bits);
const char *pki_weak_crl_digest(const X509_CRL *crl, unsigned min_bits);

int pki_fault(struct pki_verdict *v, enum pki_fault fault, struct cs_err *err, const char *format,
	      ...) __attribute__((format(printf, 4, 5)));
/* chain: the end entity first, the trusted CA last. */
int pki_revocation_check(const struct pki_keyring *ring, const struct pki_peer *peer,
			 STACK_OF(X509) * chain, struct pki_verdict *v, struct cs_err *err);

/* ---- own.c ---- */

/* All CA certificates of the keyring and its helpers, lent; free the stack alone. */
STACK_OF(X509) * pki_ring_cas(const struct pki_keyring *ring);
/* The certificate and what is above it, as far as the keyring reaches. NULL without memory. */
STACK_OF(X509) * pki_build_chain(const struct pki_keyring *ring, X509 *cert, int64_t now);

#endif
