/* Values as characters, for all forms of export. */
#include "smf/format.h"

#include <stdio.h>
#include <string.h>

#include "smf/clock.h"
#include "smf/ebcdic.h"

struct smf_piece smf_piece_of(const char *before, const char *text, const char *behind)
{
	struct smf_piece p = {"", 0};

	p.len = (unsigned)snprintf(p.text, sizeof(p.text), "%s%s%s", before, text, behind);
	return p;
}

char *smf_fmt_string(char *to, const char *text)
{
	return stpcpy(to, text);
}

char *smf_fmt_number(char *to, uint64_t value)
{
	char digits[20];
	unsigned n = 0;

	do {
		digits[sizeof(digits) - ++n] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	memcpy(to, digits + sizeof(digits) - n, n);
	return to + n;
}

char *smf_fmt_hex(char *to, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		*to++ = "0123456789abcdef"[p[i] >> 4];
		*to++ = "0123456789abcdef"[p[i] & 15];
	}
	return to;
}

char *smf_fmt_address(char *to, bool ipv6, const uint8_t *p)
{
	struct cs_addr addr;
	char text[CS_ADDR_STRLEN];

	if (ipv6) {
		addr = cs_addr_from_bytes(AF_INET6, p);
		return smf_fmt_string(to, cs_addr_text(&addr, text));
	}
	for (unsigned i = 0; i < 4; i++) {
		to = smf_fmt_number(to, p[i]);
		*to++ = '.';
	}
	return to - 1;
}

static char *two_digits(char *to, unsigned n)
{
	to[0] = (char)('0' + n / 10 % 10);
	to[1] = (char)('0' + n % 10);
	return to + 2;
}

/* Moments of a file are of few days. */
static void set_day(struct smf_export *x, int64_t day)
{
	unsigned month, of_month;
	int64_t year;

	smf_date_of(day, &year, &month, &of_month);
	x->day = day;
	snprintf(x->date, sizeof(x->date), "%04u-%02u-%02uT", (unsigned)(year % 10000), month % 100,
		 of_month % 100);
}

char *smf_fmt_moment(struct smf_export *x, char *to, int64_t seconds, uint32_t us, unsigned digits)
{
	int64_t day = seconds / 86400 - (seconds % 86400 < 0);
	unsigned of_day = (unsigned)(seconds - day * 86400);

	if (day != x->day)
		set_day(x, day);
	memcpy(to, x->date, 11);
	to = two_digits(to + 11, of_day / 3600);
	*to++ = ':';
	to = two_digits(to, of_day / 60 % 60);
	*to++ = ':';
	to = two_digits(to, of_day % 60);
	if (digits)
		*to++ = '.';
	for (uint32_t unit = 100000; digits > 0; digits--, unit /= 10)
		*to++ = (char)('0' + us / unit % 10);
	*to++ = 'Z';
	return to;
}

static char *put_us(struct smf_export *x, char *to, int64_t us, unsigned digits)
{
	int64_t seconds = us / 1000000 - (us % 1000000 < 0);

	return smf_fmt_moment(x, to, seconds, (uint32_t)(us - seconds * 1000000), digits);
}

char *smf_fmt_header_time(struct smf_export *x, char *to, const struct smf_record *r)
{
	int64_t us;

	return smf_get_time(r, &us) ? put_us(x, to, us - x->o.ahead_us, 2) : to;
}

char *smf_fmt_letters(const struct smf_export *x, char *to, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		memcpy(to, x->letters.of[p[i]].text, sizeof(x->letters.of[0].text));
		to += x->letters.of[p[i]].len;
	}
	return to;
}

static uint64_t number(const struct cs_bytes *value)
{
	uint64_t v = 0;

	for (size_t i = 0; i < value->len; i++)
		v = v << 8 | value->p[i];
	return v;
}

static bool is_zero(const struct cs_bytes *value)
{
	uint8_t any = 0;

	for (size_t i = 0; i < value->len; i++)
		any |= value->p[i];
	return any == 0;
}

bool smf_has_value(const struct smf_record *r, enum smf_field field, struct cs_bytes *value)
{
	const struct smf_row *row = &smf_rows[field];
	struct cs_addr addr;

	if (!smf_get_bytes(r, field, value))
		return false;
	if (row->kind == SMF_K_TEXT) {
		value->len = smf_trimmed(value->p, value->len);
		return value->len > 0;
	}
	if (row->kind == SMF_K_ADDR && !smf_get_addr(r, field, &addr))
		return false;
	return !((row->zero_is_none || row->kind == SMF_K_RESERVED) && is_zero(value));
}

char *smf_fmt_flags(char *to, enum smf_field field, const struct cs_bytes *value, const char *quote,
		    const char *between)
{
	uint64_t bits = number(value);
	bool first = true;

	for (unsigned i = 0; i < 8 * value->len; i++) {
		const char *name;

		if (!(bits >> (8 * value->len - 1 - i) & 1))
			continue;
		name = smf_value_name(field, i);
		to = smf_fmt_string(smf_fmt_string(to, first ? "" : between), quote);
		to = smf_fmt_string(to, name ? name : "bit");
		if (!name)
			to = smf_fmt_number(to, i);
		to = smf_fmt_string(to, quote);
		first = false;
	}
	return to;
}

static char *put_enum(char *to, enum smf_field field, uint64_t value)
{
	const char *name = smf_value_name(field, value);

	if (name)
		return smf_fmt_string(to, name);
	to = smf_fmt_number(smf_fmt_string(to, "unknown("), value);
	*to++ = ')';
	return to;
}

char *smf_fmt_value(struct smf_export *x, char *to, const struct smf_record *r,
		    enum smf_field field, const struct cs_bytes *value)
{
	uint64_t flags = 0;

	switch (smf_rows[field].kind) {
	case SMF_K_TEXT:
		return smf_fmt_letters(x, to, value->p, value->len);
	case SMF_K_ADDR:
		smf_get_u64(r, smf_sections[smf_rows[field].section].ipv6, &flags);
		return smf_fmt_address(to, flags >> 31, value->p);
	case SMF_K_ENUM:
		return put_enum(to, field, number(value));
	case SMF_K_FLAGS:
		return smf_fmt_flags(to, field, value, "", " ");
	case SMF_K_UNIX:
		return smf_fmt_moment(x, to, (int64_t)number(value), 0, 0);
	case SMF_K_TOD:
		return put_us(x, to, smf_tod_us(number(value)), 6);
	case SMF_K_HEX:
	case SMF_K_DATE:
	case SMF_K_RESERVED:
		return smf_fmt_hex(smf_fmt_string(to, "0x"), value->p, value->len);
	case SMF_K_UINT:
	case SMF_K_CLOCK:
		break;
	}
	return smf_fmt_number(to, number(value));
}
