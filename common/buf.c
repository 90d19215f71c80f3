/* Bounded byte reader and writer, constant-time comparison, hex. */
#include "common/buf.h"

#include <string.h>

struct cs_reader cs_reader_of(const void *data, size_t len)
{
	const uint8_t *p = data;

	return (struct cs_reader){p, p ? p + len : p};
}

size_t cs_reader_left(const struct cs_reader *r)
{
	return (size_t)(r->end - r->p);
}

/* Takes len bytes, NULL when there are not as many. */
static const uint8_t *take(struct cs_reader *r, size_t len)
{
	const uint8_t *p = r->p;

	if (cs_reader_left(r) < len || !p)
		return NULL;
	r->p += len;
	return p;
}

bool cs_get_u8(struct cs_reader *r, uint8_t *v)
{
	const uint8_t *p = take(r, 1);

	if (p)
		*v = p[0];
	return p != NULL;
}

bool cs_get_u16(struct cs_reader *r, uint16_t *v)
{
	const uint8_t *p = take(r, 2);

	if (p)
		*v = (uint16_t)(p[0] << 8 | p[1]);
	return p != NULL;
}

bool cs_get_u32(struct cs_reader *r, uint32_t *v)
{
	const uint8_t *p = take(r, 4);

	if (p)
		*v = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	return p != NULL;
}

bool cs_get_u64(struct cs_reader *r, uint64_t *v)
{
	uint32_t high, low;

	if (cs_reader_left(r) < 8 || !cs_get_u32(r, &high) || !cs_get_u32(r, &low))
		return false;
	*v = (uint64_t)high << 32 | low;
	return true;
}

bool cs_get_copy(struct cs_reader *r, void *to, size_t len)
{
	const uint8_t *p = take(r, len);

	if (p && len)
		memcpy(to, p, len);
	return p != NULL;
}

bool cs_get_bytes(struct cs_reader *r, size_t len, struct cs_bytes *view)
{
	const uint8_t *p = take(r, len);

	if (p)
		*view = (struct cs_bytes){p, len};
	return p != NULL;
}

struct cs_writer cs_writer_of(void *buffer, size_t cap)
{
	return (struct cs_writer){buffer, 0, cap, false};
}

bool cs_writer_ok(const struct cs_writer *w)
{
	return !w->overflow;
}

/* Room for len bytes at the end, NULL (and overflow) when there is none. */
static uint8_t *room(struct cs_writer *w, size_t len)
{
	uint8_t *p;

	if (w->overflow || w->cap - w->len < len) {
		w->overflow = true;
		return NULL;
	}
	p = w->base + w->len;
	w->len += len;
	return p;
}

static void store_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void store_u32(uint8_t *p, uint32_t v)
{
	store_u16(p, (uint16_t)(v >> 16));
	store_u16(p + 2, (uint16_t)v);
}

void cs_put_u8(struct cs_writer *w, uint8_t v)
{
	uint8_t *p = room(w, 1);

	if (p)
		*p = v;
}

void cs_put_u16(struct cs_writer *w, uint16_t v)
{
	uint8_t *p = room(w, 2);

	if (p)
		store_u16(p, v);
}

void cs_put_u32(struct cs_writer *w, uint32_t v)
{
	uint8_t *p = room(w, 4);

	if (p)
		store_u32(p, v);
}

void cs_put_u64(struct cs_writer *w, uint64_t v)
{
	uint8_t *p = room(w, 8);

	if (p) {
		store_u32(p, (uint32_t)(v >> 32));
		store_u32(p + 4, (uint32_t)v);
	}
}

void cs_put_bytes(struct cs_writer *w, const void *data, size_t len)
{
	uint8_t *p = room(w, len);

	if (p && len)
		memcpy(p, data, len);
}

void cs_put_zeros(struct cs_writer *w, size_t len)
{
	uint8_t *p = room(w, len);

	if (p && len)
		memset(p, 0, len);
}

/* Where len bytes stand that were put before, NULL (and overflow) when they were not. */
static uint8_t *patched(struct cs_writer *w, size_t offset, size_t len)
{
	if (w->overflow || offset > w->len || w->len - offset < len) {
		w->overflow = true;
		return NULL;
	}
	return w->base + offset;
}

void cs_patch_u8(struct cs_writer *w, size_t offset, uint8_t v)
{
	uint8_t *p = patched(w, offset, 1);

	if (p)
		*p = v;
}

void cs_patch_u16(struct cs_writer *w, size_t offset, uint16_t v)
{
	uint8_t *p = patched(w, offset, 2);

	if (p)
		store_u16(p, v);
}

void cs_patch_u32(struct cs_writer *w, size_t offset, uint32_t v)
{
	uint8_t *p = patched(w, offset, 4);

	if (p)
		store_u32(p, v);
}

bool cs_equal_secret(const void *a, const void *b, size_t len)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t differ = 0;

	for (size_t i = 0; i < len; i++)
		differ |= x[i] ^ y[i];
	return differ == 0;
}

void cs_wipe(void *p, size_t len)
{
	if (p && len)
		explicit_bzero(p, len);
}

void cs_hex(const void *data, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	out[2 * len] = '\0';
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int cs_unhex(const char *text, uint8_t *out, size_t cap)
{
	size_t n = strlen(text);

	if (n % 2 || n / 2 > cap)
		return -1;
	for (size_t i = 0; i < n / 2; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -1;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return (int)(n / 2);
}
