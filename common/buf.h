/*
 * Bounded byte reader and writer, big-endian.  Nothing in the project reads or writes wire bytes
 * in another way.
 */
#ifndef CS_BUF_H
#define CS_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes owned by somebody else. */
struct cs_bytes {
	const uint8_t *p;
	size_t len;
};

/* Reads forward; a get that would pass the end returns false and takes nothing. */
struct cs_reader {
	const uint8_t *p, *end;
};

struct cs_reader cs_reader_of(const void *data, size_t len);
size_t cs_reader_left(const struct cs_reader *r);
bool cs_get_u8(struct cs_reader *r, uint8_t *v);
bool cs_get_u16(struct cs_reader *r, uint16_t *v);
bool cs_get_u32(struct cs_reader *r, uint32_t *v);
bool cs_get_u64(struct cs_reader *r, uint64_t *v);
bool cs_get_copy(struct cs_reader *r, void *to, size_t len);
bool cs_get_bytes(struct cs_reader *r, size_t len, struct cs_bytes *view);

/*
 * Writes into a buffer of fixed size; overflow sticks, later puts do nothing, and the caller asks
 * once at the end with cs_writer_ok().
 */
struct cs_writer {
	uint8_t *base;
	size_t len, cap;
	bool overflow;
};

struct cs_writer cs_writer_of(void *buffer, size_t cap);
bool cs_writer_ok(const struct cs_writer *w);
void cs_put_u8(struct cs_writer *w, uint8_t v);
void cs_put_u16(struct cs_writer *w, uint16_t v);
void cs_put_u32(struct cs_writer *w, uint32_t v);
void cs_put_u64(struct cs_writer *w, uint64_t v);
void cs_put_bytes(struct cs_writer *w, const void *data, size_t len);
void cs_put_zeros(struct cs_writer *w, size_t len);
/* Overwrites what was put at offset before; an offset past len sets overflow. */
void cs_patch_u8(struct cs_writer *w, size_t offset, uint8_t v);
void cs_patch_u16(struct cs_writer *w, size_t offset, uint16_t v);
void cs_patch_u32(struct cs_writer *w, size_t offset, uint32_t v);

/* Compares without a branch on the content; lengths are not secret. */
bool cs_equal_secret(const void *a, const void *b, size_t len);
/* Wipes; never optimised away. */
void cs_wipe(void *p, size_t len);
/* Hex without separators. cs_hex writes 2*len+1 bytes; cs_unhex returns the length or -1. */
void cs_hex(const void *data, size_t len, char *out);
int cs_unhex(const char *text, uint8_t *out, size_t cap);

#endif
