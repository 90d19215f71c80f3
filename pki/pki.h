/*
 * pki: certificates as IKE needs them, on OpenSSL 3.  A keyring holds certificates, private keys
 * and CRLs by label, as a RACF key ring does; a path is checked from what a peer sent to a CA of
 * the keyring; a hash is signed and a signature compared as RFC 2409 wants it; and certificates,
 * requests and CRLs are made.
 *
 * This folder is built only with OpenSSL.  No function reads a clock: times are seconds since the
 * epoch, given by the caller.  Nothing here asks a terminal or goes to the network.  A keyring is
 * read-only once it is loaded and may be used by several threads.
 *
 * Sources: RFC 5280 (certificates, CRLs, paths), RFC 4945 (what IKE asks of both), RFC 2409
 * section 5.1 (signatures); IBM's RACDCERT, Keyring, CaLabel and RevocationChecking for the words.
 */
#ifndef PKI_PKI_H
#define PKI_PKI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

/* OpenSSL's own; EVP_PKEY, X509 and X509_CRL by their other names, so that its headers stay out. */
struct evp_pkey_st;
struct x509_st;
struct X509_crl_st;
struct X509_req_st;

void pki_key_free(struct evp_pkey_st *key); /* NULL is allowed, also below */
void pki_cert_free(struct x509_st *cert);
void pki_crl_free(struct X509_crl_st *crl);
void pki_request_free(struct X509_req_st *request);

/* DER values, each malloc'ed. */
struct pki_list {
	struct cs_bytes *item;
	unsigned n;
};
void pki_list_free(struct pki_list *list);
/* malloc'ed; pki_bytes_free wipes. */
int pki_bytes_copy(const void *p, size_t len, struct cs_bytes *copy, struct cs_err *err);
void pki_bytes_free(struct cs_bytes *bytes);

/* Once a process, before the first key is read: private keys go to locked memory that is in no
 * core dump. Without it, or where memory cannot be locked (CS_ESYS), all works all the same. */
int pki_secure_memory(struct cs_err *err);

/* ---- limits ---- */

#define PKI_LABEL_MAX 32
#define PKI_TEXT_MAX  512 /* a DN as text; a longer one ends with "..." */

#define PKI_RSA_BITS_MAX   8192 /* larger ones cost too much to check */
#define PKI_SIGNATURE_MAX  (PKI_RSA_BITS_MAX / 8)
#define PKI_CERTS_MAX      16          /* that a peer sends */
#define PKI_CRLS_MAX       8           /* that a peer sends */
#define PKI_CERT_BYTES_MAX (32u << 10) /* of one certificate */
#define PKI_PEER_BYTES_MAX (64u << 10) /* certificates and CRLs of a peer: an IKE message */
#define PKI_DEPTH_MAX      8           /* CAs between a certificate and its trusted CA */
#define PKI_FILE_MAX       (1u << 20)  /* of a keyring; CRLs and PKCS#12 files: 16 times that */
#define PKI_FILES_MAX      4096

/* What is too weak. A zero stands for the default. */
struct pki_strength {
	unsigned rsa_bits;       /* 2048 */
	unsigned ec_bits;        /* 256 */
	unsigned signature_bits; /* 80: refuses SHA-1 and MD5; of the digest in a certificate */
};

/* ---- keyrings ---- */

struct pki_keyring;
struct pki_entry;

enum pki_key_type { PKI_KEY_OTHER, PKI_KEY_RSA, PKI_KEY_EC, PKI_KEY_ED };

/* Texts live as long as the keyring. */
struct pki_info {
	char label[PKI_LABEL_MAX + 1];
	char subject[PKI_TEXT_MAX], issuer[PKI_TEXT_MAX]; /* leaf first: CN=a,O=b */
	char serial[48];                                  /* hex */
	char fingerprint[65];                             /* SHA-256 of the DER, hex */
	int64_t not_before, not_after;
	enum pki_key_type key_type;
	unsigned key_bits;
	bool has_key; /* its private key is there */
	bool is_ca;   /* may sign certificates */
	bool self_signed;
	bool is_default;          /* the keyring's default certificate */
	const char *usage;        /* "digitalSignature,keyCertSign"; "" without the extension */
	const char *const *names; /* "IP:192.0.2.1", "DNS:a.example", "EMAIL:u@a.example" */
	unsigned n_names;
};

/* Told of each file or entry that cannot be used, and why. */
typedef void pki_note_fn(void *arg, const char *file, const char *text);

/*
 * A keyring is a directory or a PKCS#12 file.
 *
 * Directory: LABEL.pem has the certificate, PEM, and behind it perhaps CA certificates that help
 * to build its chain; LABEL.key has its private key (PEM, not encrypted), which may stand in
 * LABEL.pem, too; NAME.crl is a CRL, PEM or DER; LABEL.req a request that waits for its
 * certificate; DEFAULT has the label of the default certificate.  A label is 1 to 32 printable
 * characters, no '/', not beginning with '.'; case counts.
 * PKCS#12: the label is the friendlyName, or "certN" for the Nth one without; the password is the
 * first line of FILE.pass.
 *
 * Every file must belong to root or to this process's user and be writable for nobody else, since
 * whoever can write a CA certificate decides whom we trust; files with private keys and passwords
 * must not be readable for others either, or they are not used.
 *
 * Every CA certificate of the keyring is trusted, unless a list of labels says which.
 *
 * Reading and parsing are two steps, so that a process can read as root and parse as nobody.
 */
struct pki_files;
int pki_files_read(const char *path, pki_note_fn *note, void *arg, struct pki_files **files,
		   struct cs_err *err);       /* CS_ENOTFOUND: nothing is there */
void pki_files_free(struct pki_files *files); /* wipes */
int pki_keyring_parse(const struct pki_files *files, pki_note_fn *note, void *arg,
		      struct pki_keyring **ring, struct cs_err *err);
/* Both steps. */
int pki_keyring_load(const char *path, pki_note_fn *note, void *arg, struct pki_keyring **ring,
		     struct cs_err *err);
void pki_keyring_free(struct pki_keyring *ring);

/* By label, in order. */
unsigned pki_keyring_size(const struct pki_keyring *ring);
const struct pki_entry *pki_keyring_at(const struct pki_keyring *ring, unsigned i);
const struct pki_entry *pki_keyring_find(const struct pki_keyring *ring, const char *label);
/* The marked one, else the only one with a private key that is no CA; NULL. */
const struct pki_entry *pki_keyring_default(const struct pki_keyring *ring);
const struct pki_info *pki_entry_info(const struct pki_entry *entry);
/* Lent, not given. The key is NULL when the keyring has none. */
struct x509_st *pki_entry_cert(const struct pki_entry *entry);
struct evp_pkey_st *pki_entry_key(const struct pki_entry *entry);

unsigned pki_keyring_n_crls(const struct pki_keyring *ring);
struct pki_crl_info {
	const char *file;
	char issuer[PKI_TEXT_MAX];
	int64_t this_update, next_update; /* next 0: it has none */
	unsigned n_revoked;
};
void pki_keyring_crl(const struct pki_keyring *ring, unsigned i, struct pki_crl_info *info);

/* 0 when it can be one. */
int pki_label_check(const char *label, struct cs_err *err);

/* ---- identities ---- */

/* Type and body of an ID payload (RFC 2407 section 4.6.2, the numbers of enum pol_id_type). */
struct pki_id {
	uint8_t type;
	struct cs_bytes data;
};

/*
 * Addresses, FQDN and user@FQDN stand in the subjectAltName, a DN is the subject (RFC 4945 section
 * 3.1). Host names without regard to case, nothing by wildcard; names as RFC 5280 section 7.1
 * compares them.
 */
bool pki_cert_holds(struct x509_st *cert, const struct pki_id *id);

/* ---- our own certificate ---- */

struct pki_own {
	const struct pki_entry *entry;
	bool unasked; /* it holds the identity, but chains to none of the CAs asked for */
};

/*
 * The certificate that holds this identity, is valid now, has its private key (RSA) and may sign;
 * one that chains to one of the CAs (DER names, as certificate requests have them; none: any)
 * comes first, then the default one, then the newest.  id type 0 asks for the default certificate.
 * CS_ENOTFOUND with the reason.
 */
int pki_own_find(const struct pki_keyring *ring, const struct pki_id *id,
		 const struct cs_bytes *cas, unsigned n_cas, int64_t now,
		 const struct pki_strength *strength, struct pki_own *own, struct cs_err *err);
/* The certificate and the CAs above it, without the self-signed one. */
int pki_own_chain(const struct pki_keyring *ring, const struct pki_entry *entry, int64_t now,
		  struct pki_list *chain, struct cs_err *err);
/*
 * Names of the CAs that these labels name, for certificate requests. Labels that are not on the
 * keyring are passed over; CS_ENOTFOUND when nothing is left.
 */
int pki_ca_names(const struct pki_keyring *ring, const char *const *labels, unsigned n_labels,
		 struct pki_list *names, struct cs_err *err);

/* ---- a peer's certificate ---- */

/* RevocationChecking. Loose: what a CRL lists is refused; Strict: a current CRL must be there. */
enum pki_revocation { PKI_REVOCATION_NONE, PKI_REVOCATION_LOOSE, PKI_REVOCATION_STRICT };

struct pki_peer {
	struct pki_id id;
	const struct cs_bytes *certs, *crls; /* DER, of payloads, in any order */
	unsigned n_certs, n_crls;
	const char *const *ca_labels; /* none: every CA of the keyring */
	unsigned n_ca_labels;
	enum pki_revocation revocation;
	struct pki_strength strength;
	int64_t now;
};

/* Which check failed; the text says on which certificate and how. */
enum pki_fault {
	PKI_FINE,
	PKI_F_LIMIT, /* too many, too large, too deep */
	PKI_F_MALFORMED,
	PKI_F_IDENTITY, /* no certificate holds it */
	PKI_F_KEY,      /* type, size or exponent */
	PKI_F_WEAK,     /* signed with a digest that can be forged */
	PKI_F_USAGE,    /* may not be used for this */
	PKI_F_NOT_CA,   /* a certificate in between may not sign certificates */
	PKI_F_UNKNOWN_CA,
	PKI_F_SIGNATURE, /* a certificate's own */
	PKI_F_NOT_YET,
	PKI_F_EXPIRED,
	PKI_F_CONSTRAINT, /* name constraints, path length */
	PKI_F_EXTENSION,  /* a critical one that is not known */
	PKI_F_REVOKED,
	PKI_F_NO_CRL, /* strict, and no current one */
	PKI_F_OTHER,  /* memory, the library */
};
const char *pki_fault_name(enum pki_fault fault); /* "unknown CA" */

struct pki_verdict {
	enum pki_fault fault;
	/* With success: */
	struct evp_pkey_st *key; /* the peer's public key, the caller's to free */
	char subject[PKI_TEXT_MAX];
	char anchor[PKI_LABEL_MAX + 1]; /* label of the trusted CA */
	unsigned depth;                 /* certificates below the trusted one */
};

/* CS_EAUTH when a check fails, and the error names certificate and check. */
int pki_peer_check(const struct pki_keyring *ring, const struct pki_peer *peer,
		   struct pki_verdict *verdict, struct cs_err *err);

/* ---- signatures of IKE version 1 ---- */

/*
 * RFC 2409 section 5.1: PKCS#1 version 1.5, block type 1, over the bare hash, without DigestInfo.
 * The key has been looked at (size, exponent) before the library is called. sig has
 * PKI_SIGNATURE_MAX bytes.
 */
int pki_sign(struct evp_pkey_st *key, struct cs_bytes hash, const struct pki_strength *strength,
	     uint8_t *sig, size_t *sig_len, struct cs_err *err);
/* CS_EAUTH unless the whole padded block is the one that this hash makes. */
int pki_verify(struct evp_pkey_st *key, struct cs_bytes hash, struct cs_bytes sig,
	       const struct pki_strength *strength, struct cs_err *err);

/* ---- making certificates, requests and CRLs ---- */

/* A name for the subjectAltName: an address, a host name or user@host, by its ID type. */
struct pki_san {
	uint8_t type;
	const char *text;
};

struct pki_spec {
	const char *subject; /* "CN=hosta,O=Example,C=US", leaf first; RFC 4514's escapes */
	const struct pki_san *sans;
	unsigned n_sans;
	bool ca;
	int path_length; /* of a CA: CAs allowed below it, -1: any number */
	int64_t not_before, not_after;
};

/* "rsa:2048" to "rsa:4096", "ec:256", "ec:384", "ec:521". */
int pki_key_make(const char *kind, struct evp_pkey_st **key, struct cs_err *err);
/* issuer NULL: self-signed by key. Serial numbers are random. */
int pki_issue(const struct pki_spec *spec, struct evp_pkey_st *key, struct x509_st *issuer,
	      struct evp_pkey_st *issuer_key, struct x509_st **cert, struct cs_err *err);
int pki_request_make(const struct pki_spec *spec, struct evp_pkey_st *key,
		     struct X509_req_st **request, struct cs_err *err);
/* Signs what the request asks for: subject, addresses, host names, user@FQDN, nothing else. */
int pki_request_sign(struct X509_req_st *request, int64_t not_before, int64_t not_after,
		     struct x509_st *issuer, struct evp_pkey_st *issuer_key, struct x509_st **cert,
		     struct cs_err *err);

struct pki_revoke {
	const char *serial; /* hex; NULL: only a fresh CRL */
	const char *reason; /* RFC 5280's word ("keyCompromise"), NULL: none */
};
/* The next CRL of this CA: what old (NULL: none) has, and one more. CS_EEXIST: revoked already. */
int pki_crl_make(struct x509_st *issuer, struct evp_pkey_st *issuer_key, struct X509_crl_st *old,
		 const struct pki_revoke *revoke, int64_t now, int64_t next,
		 struct X509_crl_st **crl, struct cs_err *err);
/* The newest one of this CA on the keyring, lent; NULL. */
struct X509_crl_st *pki_keyring_crl_of(const struct pki_keyring *ring, struct x509_st *issuer);

/* ---- bytes ---- */

enum pki_form { PKI_PEM, PKI_DER };
/* malloc'ed. */
int pki_cert_bytes(struct x509_st *cert, enum pki_form form, struct cs_bytes *out,
		   struct cs_err *err);
int pki_key_bytes(struct evp_pkey_st *key, struct cs_bytes *out, struct cs_err *err); /* PEM */
int pki_crl_bytes(struct X509_crl_st *crl, enum pki_form form, struct cs_bytes *out,
		  struct cs_err *err);
int pki_request_bytes(struct X509_req_st *request, struct cs_bytes *out, struct cs_err *err);
/* The entry, its key when with_key, and the CAs above it, encrypted by AES-256. */
int pki_p12_bytes(const struct pki_keyring *ring, const struct pki_entry *entry, bool with_key,
		  const char *password, int64_t now, struct cs_bytes *out, struct cs_err *err);

/* What a file brought by somebody holds, whatever its form: PEM, DER, PKCS#7 or PKCS#12. */
struct pki_found {
	struct evp_pkey_st *key; /* NULL: none */
	struct x509_st *cert;    /* the key's, or the first; NULL: none */
	struct x509_st **more;   /* other certificates */
	unsigned n_more;
	struct X509_crl_st *crl;
	struct X509_req_st *request;
};
/* password NULL: none was given; CS_EAUTH: one is needed, or it is wrong. RC2 is read here, too,
 * by which old systems encrypt PKCS#12 files, if OpenSSL's legacy provider is installed. */
int pki_found_parse(struct cs_bytes file, const char *password, struct pki_found *found,
		    struct cs_err *err);
void pki_found_free(struct pki_found *found);
/* Whether they are a pair. */
bool pki_key_fits(struct evp_pkey_st *key, struct x509_st *cert);
/* Its public key, lent; NULL: it cannot be read. */
struct evp_pkey_st *pki_cert_key(struct x509_st *cert);
/* Whether ca signed cert. */
bool pki_cert_issued(struct x509_st *ca, struct x509_st *cert);
/* DER of its subject, malloc'ed. */
int pki_cert_subject(struct x509_st *cert, struct cs_bytes *name, struct cs_err *err);
/* As for an entry of a keyring; label "" and no default. Free with pki_info_clear. */
int pki_cert_info(struct x509_st *cert, struct pki_info *info, struct cs_err *err);
void pki_info_clear(struct pki_info *info);

#endif
