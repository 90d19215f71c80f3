/*
 * SA payloads (RFC 2407 section 4.4, RFC 2409 appendix A): parsed into a model, matched against
 * policy, and built again from the model; what goes out is never an echo.
 */
#ifndef IKE_PROPOSAL_H
#define IKE_PROPOSAL_H

#include "common/alg.h"
#include "common/buf.h"
#include "common/err.h"
#include "policy/policy.h"

#define IKE_DEFAULT_LIFE 28800 /* seconds, when nobody says one (RFC 2407 section 4.5) */

/* A phase 1 transform as agreed. */
struct ike_p1_suite {
	const struct cs_cipher *cipher;
	const struct cs_hash *hash;
	const struct cs_group *group;
	uint16_t auth;
	uint64_t life_seconds, life_kbytes; /* 0: not said, IKE_DEFAULT_LIFE seconds hold */
	uint8_t proposal, transform;        /* numbers, repeated in the answer */
	bool xauth;                         /* the peer is a client that proves its user, too */
	uint64_t life_max; /* seconds after which we end it although more was agreed, 0: none */
};

/* ESP in UDP (RFC 3948), and by which numbers the peer calls its modes. */
enum ike_udp {
	IKE_UDP_NONE,
	IKE_UDP_RFC,   /* RFC 3947 */
	IKE_UDP_DRAFT, /* its drafts */
	IKE_UDP_PLAIN, /* those without UDP, although there is a NAT */
};

/*
 * A phase 2 offer as agreed: ESP, AH, or a bundle of the two.  Of a bundle protocol is ESP, which
 * encrypts and has no integrity of its own; ah is the algorithm of the AH around it.
 */
struct ike_p2_suite {
	enum pol_proto protocol;
	const struct cs_cipher *cipher; /* NULL for AH */
	const struct cs_integ *integ;   /* NULL for AEAD and in a bundle */
	const struct cs_integ *ah;      /* NULL: no bundle */
	bool esp_first;                 /* of a bundle's two proposals, as the peer put them */
	enum pol_encap encap;           /* UDP-encapsulated numbers are mapped to these */
	enum ike_udp udp;
	uint16_t group; /* PFS, or 0 */
	uint64_t life_seconds, life_kbytes;
	uint8_t proposal, transform, ah_transform;
	uint32_t spi, ah_spi; /* the sender's, host byte order */
	uint64_t life_max;    /* as in phase 1 */
};

/* SPIs of ours that an offer names; 0 where no offer needs it. */
struct ike_p2_spis {
	uint32_t esp, ah;
	uint32_t bundled_esp; /* see XF_SPI_BUNDLED_MIN in xfrm/xfrm.h */
};

/* Why nothing matched, for one message that shows offer and answer side by side. */
struct ike_mismatch {
	char text[384];
};

/* only: index of the one offer that is made (the one that won before), or -1: all of them. */

/* ---- phase 1 ---- */
/* certs: certificates can be had; without them offers with signatures do not count. */
/* SA payload body with every offer of the action. */
int ike_p1_offer(const struct pol_ke_action *action, bool certs, int only, struct cs_writer *w,
		 struct cs_err *err);
/* Index of the offer that these algorithms are of, or -1. */
int ike_p1_offer_of(const struct pol_ke_action *action, bool certs,
		    const struct ike_p1_suite *suite);
/* The group of the first that is made, which Aggressive Mode has to take; NULL when none is. */
const struct cs_group *ike_p1_offer_group(const struct pol_ke_action *action, bool certs, int only);
/* Is one of these with signatures? */
bool ike_p1_offers_rsa(const struct pol_ke_action *action, bool certs, int only);
/*
 * As responder: peers' transforms in their order, the first that an offer of the action accepts.
 * CS_EPOLICY with *why when none; *offer is the index of ours.  ke_len: in Aggressive Mode the
 * length of the KE payload that came along, which fits but one group; else 0.
 */
int ike_p1_choose(struct cs_bytes sa_body, size_t ke_len, const struct pol_ke_action *action,
		  bool certs, struct ike_p1_suite *suite, unsigned *offer, struct ike_mismatch *why,
		  struct cs_err *err);
/* The answer: one proposal, one transform, built from the suite. */
int ike_p1_answer(const struct ike_p1_suite *suite, struct cs_writer *w, struct cs_err *err);
/* As initiator: exactly one transform, equal to one that we offered. */
int ike_p1_accept(struct cs_bytes sa_body, const struct pol_ke_action *action, bool certs, int only,
		  struct ike_p1_suite *suite, unsigned *offer, struct cs_err *err);

/* ---- phase 2 ---- */
/* What is between two hosts, and so which offers can be sent and accepted; bits. */
enum ike_path {
	IKE_PATH_TRANSPORT = 1, /* data endpoints are security endpoints: transport mode can be */
	IKE_PATH_UDP = 2,       /* all goes in UDP, so nothing but ESP can be */
	IKE_PATH_DRAFT = 4,     /* and the peer knows the drafts' numbers alone */
};
/* group: PFS or 0. path: of IKE_PATH_... */
int ike_p2_offer(const struct pol_dynvpn_action *action, unsigned group, unsigned path, int only,
		 const struct ike_p2_spis *spis, struct cs_writer *w, struct cs_err *err);
/* Which SPIs it will name: those are not 0. */
struct ike_p2_spis ike_p2_offer_needs(const struct pol_dynvpn_action *action, unsigned path,
				      int only);
int ike_p2_offer_of(const struct pol_dynvpn_action *action, unsigned path,
		    const struct ike_p2_suite *suite);
/* May this side propose that PFS group or, with 0, none? */
bool ike_p2_group_allowed(const struct pol_dynvpn_action *action, unsigned group);
int ike_p2_choose(struct cs_bytes sa_body, const struct pol_dynvpn_action *action, unsigned path,
		  struct ike_p2_suite *suite, unsigned *offer, struct ike_mismatch *why,
		  struct cs_err *err);
/* Does the peer offer anything in this mode? */
bool ike_p2_proposes(struct cs_bytes sa_body, enum pol_encap encap);
int ike_p2_answer(const struct ike_p2_suite *suite, uint32_t spi, uint32_t ah_spi,
		  struct cs_writer *w, struct cs_err *err);
int ike_p2_accept(struct cs_bytes sa_body, const struct pol_dynvpn_action *action, unsigned group,
		  unsigned path, int only, struct ike_p2_suite *suite, unsigned *offer,
		  struct cs_err *err);
/* Bytes of KEYMAT one SA of this suite takes: cipher key, salt, integrity key. */
size_t ike_p2_keymat_len(const struct ike_p2_suite *suite);
size_t ike_p2_ah_keymat_len(const struct ike_p2_suite *suite); /* of a bundle's AH; else 0 */

/* IPPROTO_ESP or IPPROTO_AH of an enum pol_proto, or of a protocol number off the wire. */
uint8_t ike_ipproto(unsigned proto);

/* "aes256-sha256-modp2048", "esp aes256-sha256 tunnel pfs=modp2048": for logs. */
const char *ike_p1_suite_text(const struct ike_p1_suite *suite, char *buf, size_t size);
const char *ike_p2_suite_text(const struct ike_p2_suite *suite, char *buf, size_t size);

#endif
