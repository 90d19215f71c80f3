/*
 * The algorithm table: one row an algorithm, with every number and name that anybody has for it.
 * Nothing else in the project switches over algorithms; adding one is adding a row.
 *
 * Sources: RFC 2409 appendix A (phase 1 attributes), RFC 2407 sections 4.4 and 4.5 (ESP and AH),
 * RFC 3602, 4106, 4868, 3526, 5903, 5114; IBM's KeyExchangeOffer and IpDataOffer for the keywords.
 */
#ifndef CS_ALG_H
#define CS_ALG_H

#include <stdbool.h>
#include <stdint.h>

/* A cipher with one key length. */
struct cs_cipher {
	const char *keyword; /* "AES_CBC"; key_bits tells rows of one keyword apart */
	const char *display; /* "AES-CBC" as the ipsec command shows it */
	const char *suite;   /* "aes256" as peers write it, for our logs */
	const char *xfrm;    /* "cbc(aes)" */
	uint16_t ike;        /* phase 1 encryption attribute, 0: not in phase 1 */
	uint16_t esp;        /* ESP transform identifier, 0: not in phase 2 */
	uint16_t key_bits;   /* as negotiated; 0 for NULL */
	uint8_t block;       /* bytes; also the IV of CBC */
	uint8_t salt;        /* bytes of KEYMAT behind the key (GCM: 4) */
	uint16_t icv_bits;   /* AEAD: length of its check value, else 0 */
	uint8_t smf;         /* code in SMF 119 and NMI */
	bool key_attr;       /* key length goes over the wire as an attribute */
	bool fips;
	bool supported; /* false: a policy naming it is refused */
};

/* A hash of phase 1 with the PRF it stands for. */
struct cs_hash {
	const char *keyword; /* "SHA2_256" of HowToAuthMsgs */
	const char *display; /* "HMAC-SHA2-256-128" */
	const char *prf;     /* "HMAC-SHA2-256" */
	const char *suite;   /* "sha256" */
	uint16_t ike;        /* phase 1 hash attribute */
	uint8_t len;         /* bytes */
	uint8_t smf;
	bool fips;
};

/* Integrity of ESP and AH. */
struct cs_integ {
	const char *keyword; /* "HMAC_SHA2_256_128" */
	const char *display; /* "HMAC-SHA2-256-128" */
	const char *suite;   /* "sha256" */
	const char *xfrm;    /* "hmac(sha256)" */
	uint16_t esp;        /* RFC 2407 authentication algorithm attribute */
	uint16_t ah;         /* AH transform identifier */
	uint16_t key_bits;
	uint16_t icv_bits; /* truncation, always told to the kernel */
	uint8_t smf;
	bool fips;
	bool supported;
};

enum cs_group_kind { CS_MODP, CS_ECP };

struct cs_group {
	const char *keyword; /* "Group14" */
	const char *suite;   /* "modp2048" */
	uint16_t number;     /* RFC 2409 group description */
	enum cs_group_kind kind;
	uint16_t bits;
	uint16_t public_len;    /* bytes of a KE payload: modulus length, or x and y */
	uint16_t secret_len;    /* bytes of g^xy, left-padded; x alone for ECP (RFC 5903) */
	uint16_t exponent_bits; /* of our short exponents; 0 for ECP */
	uint16_t order_bits; /* of a small subgroup (Group22 to 24), which costs a y^q check; else 0
			      */
	bool fips;
};

/* All rows, for offers to unknown peers, displays and tests; *n is their number. */
const struct cs_cipher *cs_ciphers(unsigned *n);
const struct cs_hash *cs_hashes(unsigned *n);
const struct cs_integ *cs_integs(unsigned *n);
const struct cs_group *cs_groups(unsigned *n);

/* Look-ups return a row of the table, or NULL. key_bits 0 with a fixed-key cipher finds its row. */
const struct cs_cipher *cs_cipher_by_keyword(const char *keyword, unsigned key_bits);
const struct cs_cipher *cs_cipher_by_ike(unsigned ike, unsigned key_bits);
const struct cs_cipher *cs_cipher_by_esp(unsigned esp, unsigned key_bits);
const struct cs_hash *cs_hash_by_keyword(const char *keyword);
const struct cs_hash *cs_hash_by_ike(unsigned ike);
const struct cs_integ *cs_integ_by_keyword(const char *keyword);
const struct cs_integ *cs_integ_by_esp(unsigned esp);
const struct cs_group *cs_group_by_keyword(const char *keyword);
const struct cs_group *cs_group_by_number(unsigned number);

#endif
