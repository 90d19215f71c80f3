/*
 * A peer's certificates and CRLs made of any bytes, checked against a keyring with fixed keys, and
 * what must hold whatever the bytes are.  Shared by libFuzzer's target, its seeds, and the unit
 * test that mutates.
 *
 * An input is pieces: kind, length (2 bytes), bytes. Some kinds are signed here, with the key of a
 * CA that is trusted, so that what is behind the signature is reached as well.
 */
#ifndef FUZZ_PKI_CHECK_H
#define FUZZ_PKI_CHECK_H

#include <stddef.h>
#include <stdint.h>

enum pki_piece {
	PIECE_CERT,        /* as it is */
	PIECE_CERT_ROOT,   /* TBSCertificate, signed by the root */
	PIECE_CERT_MIDDLE, /* the same, by the CA below it */
	PIECE_CRL,
	PIECE_CRL_ROOT, /* TBSCertList */
	PIECE_CRL_MIDDLE,
	PIECE_ID,   /* type and body; without one, the FQDN that the seeds hold */
	PIECE_WIRE, /* a message between worker and helper */
	PIECE_KINDS,
};

struct pki_count {
	unsigned long inputs, accepted, refused[32]; /* by enum pki_fault */
};

void pki_check_setup(void); /* once */
void pki_check_input(const uint8_t *data, size_t size, struct pki_count *count);

#define PKI_SEEDS    6
#define PKI_SEED_MAX 8192
/* Accepted ones and such as are refused for a reason each; the length. */
size_t pki_check_seed(unsigned i, uint8_t seed[static PKI_SEED_MAX]);

#endif
