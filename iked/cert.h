/*
 * Certificate work of phase 1 (RFC 2409 section 5.1): what the engine asks of whoever has the
 * keyring.  In the daemon that is a process of its own (cert_client.h), in tests and the
 * simulation ike_cert_run() in the same process.  OpenSSL's types do not come up here.
 *
 * A job goes the way of a public-key job: an operation of the engine takes it and answers IKE_DONE
 * (status is set), or IKE_LATER, and it comes back through a function like ike_engine_pk_done().
 *
 *   message 4 or 2 is built    CAS: names for the certificate requests that we send
 *   message 5, 6 or 3 of ours  SIGN: certificate payloads and the signature, in one step, so that
 *                              both are of one certificate also while the keyring is read anew
 *   message of the peer        VERIFY: identity, path, revocation and signature, in one step
 */
#ifndef IKE_CERT_H
#define IKE_CERT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

#define IKE_CERT_LIST_MAX      32   /* of anything in a job */
#define IKE_CERT_LABEL_MAX     32   /* characters */
#define IKE_CERT_SIGNATURE_MAX 1024 /* bytes: RSA of 8192 bits */
#define IKE_CERT_TEXT_MAX      256

enum ike_cert_kind {
	IKE_CERT_CAS = 1, /* labels: names */
	IKE_CERT_OWN,     /* id, cas: chain and label */
	IKE_CERT_SIGN,    /* label, or id and cas; hash: chain, label and signature */
	IKE_CERT_VERIFY,  /* id, labels, certs, crls, revocation, hash, signature: subject, label */
};

/* The policy's RevocationChecking. */
enum ike_cert_revocation {
	IKE_CERT_REVOCATION_NONE,
	IKE_CERT_REVOCATION_LOOSE,
	IKE_CERT_REVOCATION_STRICT,
};

struct ike_cert_list {
	struct cs_bytes item[IKE_CERT_LIST_MAX];
	unsigned n;
};

/*
 * Allocated and freed by the engine; there is no secret in it. What it points to stays as it is
 * until the job is back. Zero what is not needed.
 */
struct ike_cert_job {
	enum ike_cert_kind kind;
	uint64_t owner; /* the engine's */

	/* What is asked. */
	int64_t now;        /* wall clock */
	uint8_t id_type;    /* ID payload: ours or the peer's; OWN, SIGN: 0 is the default */
	struct cs_bytes id; /* its body */
	char by_label[IKE_CERT_LABEL_MAX + 1]; /* SIGN: this certificate; "": by id and cas */
	const char *const *labels;             /* CaLabel; none: SupportedCertAuth */
	unsigned n_labels;
	struct ike_cert_list cas;   /* OWN, SIGN: names of certificate requests; none: any CA */
	struct ike_cert_list certs; /* VERIFY: X.509 - Signature certificates, as sent */
	struct ike_cert_list crls;  /* VERIFY: CRLs, as sent */
	enum ike_cert_revocation revocation;
	struct cs_bytes hash;      /* HASH_I or HASH_R */
	struct cs_bytes signature; /* VERIFY: body of the SIG payload */

	/* What comes back; with status 0, but for the fault. */
	int status; /* 0 or cs_code; err says why */
	struct cs_err err;
	char fault[16];           /* VERIFY: which check failed ("revoked"), "": none of them */
	struct ike_cert_list out; /* CAS: DER names, none: request any. OWN, SIGN: DER chain */
	char label[IKE_CERT_LABEL_MAX + 1]; /* OWN, SIGN: of our certificate. VERIFY: of the CA */
	char subject[IKE_CERT_TEXT_MAX];    /* VERIFY: of the peer's certificate */
	bool unasked; /* OWN, SIGN: it chains to none of cas; the peer may refuse it */
	uint8_t made[IKE_CERT_SIGNATURE_MAX]; /* SIGN: made_len bytes */
	size_t made_len;
	void *memory; /* that out is in */
};
/* Frees what came back, so that the job can be used again or freed. */
void ike_cert_job_clear(struct ike_cert_job *job);

/* ---- in the same process ---- */

struct pki_keyring;

struct ike_cert_ring {
	struct pki_keyring *keyring;  /* pki.h */
	const char *const *supported; /* labels: SupportedCertAuth */
	unsigned n_supported;
};
/* Does the work. Built without OpenSSL, the status is CS_EUNSUPPORTED. */
void ike_cert_run(const struct ike_cert_ring *ring, struct ike_cert_job *job);

#endif
