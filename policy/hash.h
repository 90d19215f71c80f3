/* SHA-256 over values, each written so that no two lists of values look alike. Private to policy/.
 */
#ifndef POL_HASH_H
#define POL_HASH_H

#include <gcrypt.h>
#include <stdint.h>

#include "common/err.h"

#define POL_HASH_LEN 32

struct pol_hash {
	gcry_md_hd_t md;
};

int pol_hash_begin(struct pol_hash *h, struct cs_err *err);
void pol_hash_number(struct pol_hash *h, int64_t n);
void pol_hash_text(struct pol_hash *h, const char *text); /* NULL is not "" */
void pol_hash_bytes(struct pol_hash *h, const void *data, size_t len);
void pol_hash_end(struct pol_hash *h, uint8_t hash[static POL_HASH_LEN]);

#endif
