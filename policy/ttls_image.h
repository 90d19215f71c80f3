/*
 * The layout of an AT-TLS image: its header, and the fields of a profile as a table that both the
 * compiler (which fills them by their keywords) and the reader (which checks them) walk. Private to
 * policy/, and free of what a program under AT-TLS need not have.
 */
#ifndef POL_TTLS_IMAGE_H
#define POL_TTLS_IMAGE_H

#include <sys/types.h>

#include "policy/ttls.h"

#define POL_TTLS_VERSION   1u
#define POL_TTLS_ORDER     0x01020304u
#define POL_TTLS_ALIGN     8u
#define POL_TTLS_TEXT_MAX  4096u        /* octets of a text, its end among them */
#define POL_TTLS_IMAGE_MAX (256u << 20) /* octets of an image */

struct pol_ttls_header {
	char magic[8]; /* "CSATTLS" */
	uint32_t order, version;
	uint64_t length;   /* of the image */
	uint64_t checksum; /* of all of it, with this as 0 */
	uint64_t generation;
	struct pol_ttls_list rules;    /* of pol_ttls_rule, in order */
	struct pol_ttls_list profiles; /* of pol_ttls_profile */
};

struct pol_ttls {
	const uint8_t *image;
	size_t length;
	bool mapped;  /* else in memory of a policy */
	dev_t device; /* of the file that was mapped */
	ino_t inode;
};

enum pol_ttls_kind {
	POL_TTLS_BOOL,   /* uint8_t: On */
	POL_TTLS_CHOICE, /* uint8_t: position in the row's words */
	POL_TTLS_NUMBER, /* uint32_t */
	POL_TTLS_TEXT,   /* uint32_t */
	POL_TTLS_TEXTS,  /* list of uint32_t */
	POL_TTLS_CODES,  /* list of uint16_t */
	POL_TTLS_NAMES,  /* list of pol_ttls_sni */
};

struct pol_ttls_field {
	const char *keyword; /* NULL: the compiler has code of its own for it */
	enum pol_ttls_kind kind;
	uint16_t at;   /* in struct pol_ttls_profile */
	uint16_t last; /* CHOICE: the last position */
};

extern const struct pol_ttls_field pol_ttls_fields[];
extern const unsigned pol_ttls_n_fields;

uint64_t pol_ttls_checksum(uint64_t sum, const void *data, size_t len); /* begins with SEED */
#define POL_TTLS_SEED 0xcbf29ce484222325u

/* The address as rules have it, in two halves of which the high one is first; IPv4 mapped. */
void pol_ttls_halves(const struct cs_addr *a, uint64_t half[static 2]);
/* Is it an IPv4 address? */
bool pol_ttls_is_mapped(const uint64_t half[static 2]);

/* Writes the generation and the checksum. */
void pol_ttls_seal(uint8_t *image, size_t length, uint64_t generation);
/* Checks all of an image of length octets. 0 or CS_EPARSE. */
int pol_ttls_verify(const uint8_t *image, size_t length, struct cs_err *err);

#endif
