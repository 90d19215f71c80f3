/*
 * An SA as the shared store has it: a JSON document whose keys are named as the columns of iked.db
 * (store_schema.c), algorithms by their IANA numbers, identities and cookies in hex.  Never a key.
 * Hosts of two versions share a store: keys that are not known here are left alone, those that we
 * know must all be there and right.
 */
#ifndef IKE_SHARED_ROW_H
#define IKE_SHARED_ROW_H

#include <jansson.h>

#include "iked/engine.h"

#define IKE_SHARED_ROW_MAX 16384 /* bytes of a document, with the NUL */

/* An SA that was read; the info points into the rest. */
struct ike_shared_row {
	char kind; /* 'K': p1, 'Y': p2 */
	struct ike_p1_info p1;
	struct ike_p2_info p2;
	json_t *document;
	uint8_t *ids;
};

/* The caller frees the text. CS_ELIMIT: it is too long; CS_EINVAL: it is not an SA that is up. */
int ike_shared_put_p1(const struct ike_p1_info *info, char **text, struct cs_err *err);
int ike_shared_put_p2(const struct ike_p2_info *info, char **text, struct cs_err *err);
/* CS_EPARSE with the key that is missing or wrong; nothing is left in row then. */
int ike_shared_get(char kind, const char *text, size_t len, struct ike_shared_row *row,
		   struct cs_err *err);
void ike_shared_row_clear(struct ike_shared_row *row);

#endif
