/*
 * A record taken apart by its triplets.  Every length is checked against the bytes that are there
 * before anything is read, and each field against its section.
 */
#include <string.h>

#include "smf/clock.h"
#include "smf/ebcdic.h"
#include "smf/smf.h"

#define HEADER_LEN  28
#define TRIPLET_LEN 8

static uint64_t number(const uint8_t *p, size_t len)
{
	uint64_t v = 0;

	for (size_t i = 0; i < len; i++)
		v = v << 8 | p[i];
	return v;
}

int smf_type(const uint8_t *p, size_t len)
{
	const struct smf_row *row = &smf_rows[SMF_HD_TYPE];

	return len >= (size_t)row->offset + row->len ? p[row->offset] : -1;
}

/* Bit 1 of the flags says that there is one. */
int smf_subtype(const uint8_t *p, size_t len)
{
	const struct smf_row *row = &smf_rows[SMF_HD_SUB_TYPE];

	if (len < (size_t)row->offset + row->len || !(p[smf_rows[SMF_HD_FLAGS].offset] & 0x40))
		return -1;
	return (int)number(p + row->offset, row->len);
}

static int check_header(const uint8_t *p, size_t len, struct cs_err *err)
{
	uint64_t said;

	if (smf_type(p, len) >= 0 && smf_type(p, len) != SMF_TYPE)
		return cs_fail(err, CS_EUNSUPPORTED, "type %d is not %d", smf_type(p, len),
			       SMF_TYPE);
	if (len < HEADER_LEN)
		return cs_fail(err, CS_EPARSE, "%zu bytes are no record of type %d, which has %d",
			       len, SMF_TYPE, HEADER_LEN);
	said = number(p + smf_rows[SMF_HD_LENGTH].offset, smf_rows[SMF_HD_LENGTH].len);
	if (said != len)
		return cs_fail(err, CS_EPARSE, "it says %llu bytes and has %zu",
			       (unsigned long long)said, len);
	if (number(p + smf_rows[SMF_HD_SEG_DESC].offset, smf_rows[SMF_HD_SEG_DESC].len) != 0)
		return cs_fail(err, CS_EPARSE, "it is a segment of a record");
	return 0;
}

/* Triplet i; span->p NULL: an absent section. */
static int get_triplet(const uint8_t *p, size_t len, unsigned i, size_t data, struct smf_span *span,
		       struct cs_err *err)
{
	const uint8_t *t = p + HEADER_LEN + (size_t)i * TRIPLET_LEN;
	uint64_t offset = number(t, 4), size = number(t + 4, 2), n = number(t + 6, 2);

	*span = (struct smf_span){NULL, 0, 0};
	if (n == 0)
		return 0;
	if (offset < data)
		return cs_fail(err, CS_EPARSE,
			       "triplet %u: its section begins at %llu, within the %zu bytes of "
			       "header and triplets",
			       i, (unsigned long long)offset, data);
	if (offset + size * n > len)
		return cs_fail(err, CS_EPARSE,
			       "triplet %u: %llu times %llu bytes at %llu pass the end at %zu", i,
			       (unsigned long long)n, (unsigned long long)size,
			       (unsigned long long)offset, len);
	*span = (struct smf_span){p + offset, (size_t)size, (unsigned)n};
	return 0;
}

int smf_decode(const uint8_t *p, size_t len, struct smf_record *record, struct cs_err *err)
{
	struct smf_record r = {.p = p, .len = len};
	int rc = check_header(p, len, err), subtype;
	unsigned n;
	size_t data;

	if (rc < 0)
		return rc;
	subtype = smf_subtype(p, len);
	r.layout = subtype < 0 ? NULL : smf_layout_of((unsigned)subtype);
	if (!r.layout)
		return cs_fail(err, CS_EUNSUPPORTED, "subtype %d is not one of %d to %d", subtype,
			       SMF_SUBTYPE_FIRST, SMF_SUBTYPE_LAST);
	n = (unsigned)number(p + smf_rows[SMF_SD_TRN].offset, smf_rows[SMF_SD_TRN].len);
	data = HEADER_LEN + (size_t)n * TRIPLET_LEN;
	if (n == 0 || data > len)
		return cs_fail(err, CS_EPARSE, "it says that it has %u triplets, in %zu bytes", n,
			       len);
	r.sections[SMF_S_HEADER] = (struct smf_span){p, HEADER_LEN, 1};
	for (unsigned i = 0; i < n; i++) {
		struct smf_span span;

		rc = get_triplet(p, len, i, data, &span, err);
		if (rc < 0)
			return rc;
		if (i < r.layout->n_sections)
			r.sections[r.layout->sections[i]] = span;
	}
	*record = r;
	return 0;
}

bool smf_get_bytes(const struct smf_record *record, enum smf_field field, struct cs_bytes *bytes)
{
	const struct smf_row *row = &smf_rows[field];
	const struct smf_span *span = &record->sections[row->section];

	if (!span->p || (size_t)row->offset + row->len > span->len)
		return false;
	*bytes = (struct cs_bytes){span->p + row->offset, row->len ? row->len : span->len};
	return true;
}

bool smf_get_u64(const struct smf_record *record, enum smf_field field, uint64_t *value)
{
	enum smf_kind kind = smf_rows[field].kind;
	struct cs_bytes bytes;

	if (kind == SMF_K_TEXT || kind == SMF_K_ADDR || smf_rows[field].len > 8 ||
	    !smf_get_bytes(record, field, &bytes))
		return false;
	*value = number(bytes.p, bytes.len);
	return true;
}

bool smf_get_addr(const struct smf_record *record, enum smf_field field, struct cs_addr *addr)
{
	enum smf_field flags = smf_sections[smf_rows[field].section].ipv6;
	struct cs_bytes bytes;
	uint64_t value;

	if (smf_rows[field].kind != SMF_K_ADDR || !smf_get_bytes(record, field, &bytes) ||
	    !smf_get_u64(record, flags, &value))
		return false;
	*addr = cs_addr_from_bytes(value >> 31 ? AF_INET6 : AF_INET, bytes.p);
	return true;
}

size_t smf_get_text(const struct smf_record *record, enum smf_field field, enum smf_page page,
		    char *text, size_t size)
{
	struct cs_bytes bytes = {NULL, 0};

	if (smf_rows[field].kind == SMF_K_TEXT)
		smf_get_bytes(record, field, &bytes);
	return smf_to_utf8(page, bytes.p, smf_trimmed(bytes.p, bytes.len), text, size);
}

bool smf_get_time(const struct smf_record *record, int64_t *us)
{
	uint64_t clock, date;
	int64_t days;

	if (!smf_get_u64(record, SMF_HD_TIME, &clock) || clock >= SMF_CLOCK_PER_DAY ||
	    !smf_get_u64(record, SMF_HD_DATE, &date) || !smf_unpack_date((uint32_t)date, &days))
		return false;
	*us = days * SMF_DAY_US + (int64_t)clock * 10000;
	return true;
}

const char *smf_event(const struct smf_record *record)
{
	const struct smf_layout *l = record->layout;
	uint64_t generation;

	if (l->refreshed &&
	    (smf_get_u64(record, SMF_IKE_TUN_GENERATION, &generation) ||
	     smf_get_u64(record, SMF_IP_DYN_GENERATION, &generation)) &&
	    generation > 1)
		return l->refreshed;
	return l->event;
}

const char *smf_value_name(enum smf_field field, uint64_t value)
{
	for (const struct smf_name *n = smf_rows[field].names; n && n->name; n++)
		if (n->value == value)
			return n->name;
	return NULL;
}
