/*
 * The frame of SA payloads, shared by both phases: proposals, transforms and attributes as bytes
 * (RFC 2408 sections 3.3 to 3.6), without their meaning.
 */
#ifndef IKE_SA_PAYLOAD_H
#define IKE_SA_PAYLOAD_H

#include "common/buf.h"
#include "common/err.h"
#include "iked/proposal.h"

#define IKE_PROPOSALS_MAX  64
#define IKE_TRANSFORMS_MAX 1000 /* in all proposals together */
#define IKE_UNFIT_MAX      96

enum ike_life_type { IKE_LIFE_SECONDS = 1, IKE_LIFE_KBYTES = 2 };

/* ---- reading ---- */

struct ike_sa_proposal {
	uint8_t number, protocol, n_transforms;
	bool bundled; /* a neighbour has the same number: both together or not at all */
	struct cs_bytes spi, transforms;
};

struct ike_sa_payload {
	unsigned n;
	struct ike_sa_proposal proposals[IKE_PROPOSALS_MAX];
};

struct ike_sa_transform {
	uint8_t number, id;
	struct cs_bytes attributes;
};

struct ike_sa_attribute {
	uint16_t type;
	bool basic;           /* value in the header: 16 bits */
	uint16_t value;       /* when basic */
	struct cs_bytes data; /* always: the value's bytes */
};

/* Checks the whole frame down to the attributes, and the DOI and situation (CS_EUNSUPPORTED). */
int ike_sa_parse(struct cs_bytes body, struct ike_sa_payload *sa, struct cs_err *err);
/* The answer to an offer: sa has one proposal and it has one transform, *t; else CS_EPARSE. */
int ike_sa_parse_answer(struct cs_bytes body, struct ike_sa_payload *sa, struct ike_sa_transform *t,
			struct cs_err *err);
/* Over the views of a parsed payload; false at the end. */
bool ike_sa_next_transform(struct cs_reader *r, struct ike_sa_transform *t);
bool ike_sa_next_attribute(struct cs_reader *r, struct ike_sa_attribute *a);
/* Its value as a number; false: it has none, or more than 8 bytes. */
bool ike_sa_number(const struct ike_sa_attribute *a, uint64_t *value);

/*
 * Attributes of one transform as they come in.  The first thing that makes the transform unfit is
 * kept as text; "" is fit.
 */
struct ike_sa_scan {
	uint32_t seen;            /* bit per attribute type */
	uint16_t life_type;       /* a duration must follow; 0: none pending */
	uint64_t seconds, kbytes; /* 0: not said */
	char unfit[IKE_UNFIT_MAX];
};
void ike_sa_unfit(struct ike_sa_scan *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* A basic attribute that may stand once; its value, or 0 with unfit set. */
uint16_t ike_sa_scan_basic(struct ike_sa_scan *s, const struct ike_sa_attribute *a);
void ike_sa_scan_life_type(struct ike_sa_scan *s, const struct ike_sa_attribute *a);
void ike_sa_scan_duration(struct ike_sa_scan *s, const struct ike_sa_attribute *a);
void ike_sa_scan_end(struct ike_sa_scan *s);

/* Does the policy's Accepted range take the value? 0 is "not said". Why not goes to text. */
bool ike_sa_life_fits(const struct pol_life *seconds, const struct pol_life *kbytes,
		      const struct ike_sa_scan *s, char text[static IKE_UNFIT_MAX]);
/* As initiator: is the answer what we proposed, or a shorter life within the Accepted range? */
bool ike_sa_life_answered(const struct pol_life *life, uint64_t value);

/* ---- building ---- */

struct ike_sa_builder {
	struct cs_writer *w;
	size_t proposal_at, transform_at; /* of the open or last ones, 0: none yet */
	uint8_t n_proposals, n_transforms;
};
void ike_sa_begin(struct ike_sa_builder *b, struct cs_writer *w);
void ike_sa_proposal_begin(struct ike_sa_builder *b, uint8_t number, uint8_t protocol,
			   const uint32_t *spi);
void ike_sa_proposal_end(struct ike_sa_builder *b);
void ike_sa_transform_begin(struct ike_sa_builder *b, uint8_t number, uint8_t id);
void ike_sa_transform_end(struct ike_sa_builder *b);
void ike_sa_basic(struct ike_sa_builder *b, uint16_t type, uint16_t value);
/* Life type and duration; type_attribute is that of the life type, the duration's is the next. */
void ike_sa_life(struct ike_sa_builder *b, uint16_t type_attribute, enum ike_life_type type,
		 uint64_t value);

/* CS_ELIMIT when it did not fit the message. */
int ike_sa_end(const struct ike_sa_builder *b, struct cs_err *err);

/* ---- lists for mismatch texts ---- */

/* "a, b, ..."; an item equal to the one before it is not repeated. */
struct ike_sa_list {
	char text[120];
	char last[64];
	bool full;
};
void ike_sa_list_add(struct ike_sa_list *l, const char *item);
/* near: why an offer with the right algorithms does not fit all the same, or "". */
void ike_sa_explain(const struct ike_sa_list *offered, const struct ike_sa_list *ours,
		    const char *near, struct ike_mismatch *why);

#endif
