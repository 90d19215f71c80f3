/*
 * Private to phase 2 proposals: what an offer of the policy comes to, for what is offered and for
 * what is accepted.
 */
#ifndef IKE_PROPOSAL_P2_H
#define IKE_PROPOSAL_P2_H

#include "iked/proposal.h"

/* Attribute types of RFC 2407 section 4.5. */
enum { A_LIFE_TYPE = 1, A_DURATION = 2, A_GROUP = 3, A_ENCAP = 4, A_AUTH = 5, A_KEY_LENGTH = 6 };

/* One of our offers as it goes over the wire. */
struct ike_p2_own {
	enum pol_proto protocol;
	const struct cs_cipher *cipher; /* NULL for AH */
	const struct cs_integ *integ;   /* NULL for AEAD and in a bundle */
	const struct cs_integ *ah;      /* NULL: no bundle */
};

/* False where the kernel side does not have its algorithms, or the path does not let it be. */
bool ike_p2_own_of(const struct pol_data_offer *o, unsigned path, struct ike_p2_own *own);
/* The number of a mode in A_ENCAP. */
uint16_t ike_p2_encap_number(enum pol_encap encap, enum ike_udp udp);
/* Is the ith offer one that is made? only: index of the one, or -1. */
bool ike_p2_made(unsigned i, int only);

#endif
