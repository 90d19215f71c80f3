/*
 * Diffie-Hellman within itself: what the front (dh.c), the numbers of the groups (dh_groups.c) and
 * the engines share.
 */
#ifndef IKE_DH_H
#define IKE_DH_H

#include "iked/crypto.h"

#define IKE_PRIVATE_MAX 66 /* P-521 */

/* All big-endian and of full length. */
struct ike_dh_numbers {
	uint16_t group;
	struct cs_bytes p;     /* modulus, or the field of the curve */
	struct cs_bytes g;     /* MODP: generator */
	struct cs_bytes order; /* of a small subgroup or of the curve; empty for safe primes */
};

const struct ike_dh_numbers *ike_dh_numbers(unsigned group); /* NULL: not one of ours */

/* From ike_crypto_init: in FIPS mode public-key work stays with the library that is in it. */
void ike_dh_default(bool fips);

#endif
