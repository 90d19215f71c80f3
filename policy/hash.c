/* SHA-256 over values. */
#include "policy/hash.h"

#include <string.h>

int pol_hash_begin(struct pol_hash *h, struct cs_err *err)
{
	gcry_error_t rc;

	if (!gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P))
		gcry_check_version(NULL);
	rc = gcry_md_open(&h->md, GCRY_MD_SHA256, 0);
	return rc ? cs_fail(err, CS_ECRYPTO, "SHA-256: %s", gcry_strerror(rc)) : 0;
}

void pol_hash_number(struct pol_hash *h, int64_t n)
{
	uint8_t bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
	gcry_md_write(h->md, bytes, sizeof(bytes));
}

void pol_hash_text(struct pol_hash *h, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	pol_hash_number(h, text ? (int64_t)len + 1 : 0);
	gcry_md_write(h->md, text ? text : "", len);
}

void pol_hash_bytes(struct pol_hash *h, const void *data, size_t len)
{
	pol_hash_number(h, (int64_t)len);
	gcry_md_write(h->md, data, len);
}

void pol_hash_end(struct pol_hash *h, uint8_t hash[static POL_HASH_LEN])
{
	memcpy(hash, gcry_md_read(h->md, GCRY_MD_SHA256), POL_HASH_LEN);
	gcry_md_close(h->md);
}
