/*
 * A record made: first all sections of its subtype, blank and zero, then field by field, and at the
 * end the identities, whose lengths are known only then.
 */
#include <string.h>

#include "smf/clock.h"
#include "smf/ebcdic.h"
#include "smf/smf.h"

#define HEADER_LEN  28
#define TRIPLET_LEN 8
#define HD_FLAGS    0x5e /* subtypes are used; systems since MVS/XA */
#define EVENT       0x08 /* TI_Reason */

static void wrong(struct smf_builder *b, enum smf_field field, const char *what)
{
	if (b->err.code == CS_OK)
		cs_fail(&b->err, CS_EINVAL, "%s %s", smf_rows[field].name, what);
}

static bool is_identity(enum smf_section section)
{
	return section >= SMF_S_LCL_ID;
}

static void store(uint8_t *p, size_t len, uint64_t value)
{
	while (len-- > 0) {
		p[len] = (uint8_t)value;
		value >>= 8;
	}
}

/* Where the field is; NULL, and that is remembered: the subtype has no such field. */
static uint8_t *place(struct smf_builder *b, enum smf_field field)
{
	enum smf_section section;

	if (b->err.code != CS_OK)
		return NULL;
	section = smf_rows[field].section;
	if (section == SMF_S_HEADER || b->at[section])
		return b->data + b->at[section] + smf_rows[field].offset;
	cs_fail(&b->err, CS_EINVAL, "subtype %u has no %s", b->layout->subtype,
		smf_rows[field].name);
	return NULL;
}

static void blank_texts(struct smf_builder *b, enum smf_section section)
{
	const struct smf_section_row *s = &smf_sections[section];

	for (unsigned i = s->first; i < s->first + s->n; i++)
		if (smf_rows[i].kind == SMF_K_TEXT)
			memset(b->data + b->at[section] + smf_rows[i].offset, SMF_BLANK,
			       smf_rows[i].len);
}

void smf_build(struct smf_builder *b, unsigned subtype)
{
	const struct smf_layout *l = smf_layout_of(subtype);

	memset(b, 0, sizeof(*b));
	if (!l) {
		cs_fail(&b->err, CS_EINVAL, "subtype %u is not one of %d to %d", subtype,
			SMF_SUBTYPE_FIRST, SMF_SUBTYPE_LAST);
		return;
	}
	b->layout = l;
	b->len = HEADER_LEN + (size_t)l->n_sections * TRIPLET_LEN;
	blank_texts(b, SMF_S_HEADER);
	for (unsigned i = 0; i < l->n_sections; i++) {
		if (is_identity(l->sections[i]))
			continue;
		b->at[l->sections[i]] = b->len;
		b->len += smf_sections[l->sections[i]].len;
		blank_texts(b, l->sections[i]);
	}
	smf_put_u64(b, SMF_HD_FLAGS, HD_FLAGS);
	smf_put_u64(b, SMF_HD_TYPE, SMF_TYPE);
	smf_put_text(b, SMF_HDSSI, "TCP");
	smf_put_u64(b, SMF_HD_SUB_TYPE, subtype);
	smf_put_u64(b, SMF_SD_TRN, l->n_sections);
	smf_put_text(b, SMF_TI_SYSPLEX_NAME, "LOCAL");
	smf_put_text(b, SMF_TI_COMP, l->component);
	smf_put_u64(b, SMF_TI_REASON, EVENT);
}

void smf_put_u64(struct smf_builder *b, enum smf_field field, uint64_t value)
{
	const struct smf_row *row = &smf_rows[field];
	uint8_t *p = place(b, field);

	if (!p)
		return;
	if (row->kind == SMF_K_TEXT || row->kind == SMF_K_ADDR || row->kind == SMF_K_RESERVED)
		wrong(b, field, "is no number");
	else if (row->len < 8 && value >> (8 * row->len) != 0)
		wrong(b, field, "is smaller than what it is given");
	else
		store(p, row->len, value);
}

void smf_put_flag(struct smf_builder *b, enum smf_field field, unsigned bit)
{
	uint8_t *p = place(b, field);

	if (!p)
		return;
	if (smf_rows[field].kind != SMF_K_FLAGS || bit >= 8u * smf_rows[field].len)
		wrong(b, field, "has no such bit");
	else
		p[bit / 8] = (uint8_t)(p[bit / 8] | 0x80 >> bit % 8);
}

/* Of a section that is all text; it has its place only at the end. */
static void put_identity(struct smf_builder *b, enum smf_field field, const char *text)
{
	enum smf_section section = smf_rows[field].section;
	bool has = false;

	for (unsigned i = 0; i < b->layout->n_sections; i++)
		has = has || b->layout->sections[i] == section;
	if (!has)
		cs_fail(&b->err, CS_EINVAL, "subtype %u has no %s", b->layout->subtype,
			smf_rows[field].name);
	else if (!smf_from_utf8(text, b->ids[section - SMF_S_LCL_ID].text, SMF_TEXT_MAX,
				&b->ids[section - SMF_S_LCL_ID].len, &b->lossy))
		wrong(b, field, "would have a control character");
}

void smf_put_text(struct smf_builder *b, enum smf_field field, const char *text)
{
	const struct smf_row *row = &smf_rows[field];
	uint8_t *p;
	size_t len;

	if (b->err.code != CS_OK)
		return;
	if (is_identity(row->section)) {
		put_identity(b, field, text);
		return;
	}
	p = place(b, field);
	if (!p)
		return;
	if (row->kind != SMF_K_TEXT) {
		wrong(b, field, "is no text");
		return;
	}
	memset(p, SMF_BLANK, row->len);
	if (!smf_from_utf8(text, p, row->len, &len, &b->lossy))
		wrong(b, field, "would have a control character");
}

void smf_put_addr(struct smf_builder *b, enum smf_field field, const struct cs_addr *addr)
{
	uint8_t *p = place(b, field);

	if (!p)
		return;
	if (smf_rows[field].kind != SMF_K_ADDR) {
		wrong(b, field, "is no address");
		return;
	}
	memset(p, 0, smf_rows[field].len);
	memcpy(p, addr->b, cs_addr_len(addr->family));
	if (addr->family == AF_INET6)
		smf_put_flag(b, smf_sections[smf_rows[field].section].ipv6, 0);
	b->families |= addr->family == AF_INET6 ? 2 : addr->family == AF_INET;
	if (b->families == 3)
		wrong(b, field, "is of another family than an address before it");
}

void smf_put_bytes(struct smf_builder *b, enum smf_field field, const void *data, size_t len)
{
	uint8_t *p = place(b, field);

	if (!p)
		return;
	if (smf_rows[field].kind != SMF_K_HEX || len != smf_rows[field].len)
		wrong(b, field, "does not take so many bytes");
	else
		memcpy(p, data, len);
}

void smf_put_time(struct smf_builder *b, int64_t us)
{
	int64_t days = us / SMF_DAY_US - (us % SMF_DAY_US < 0);

	if (days < SMF_DAYS_MIN || days > SMF_DAYS_MAX) {
		wrong(b, SMF_HD_DATE, "has no such year");
		return;
	}
	smf_put_u64(b, SMF_HD_DATE, smf_pack_date(days));
	smf_put_u64(b, SMF_HD_TIME, (uint64_t)(us - days * SMF_DAY_US) / 10000);
}

static void put_triplet(struct smf_builder *b, unsigned i, size_t offset, size_t len)
{
	uint8_t *t = b->data + HEADER_LEN + (size_t)i * TRIPLET_LEN;

	store(t, 4, offset);
	store(t + 4, 2, len);
	store(t + 6, 2, len > 0);
}

int smf_finish(struct smf_builder *b, struct cs_writer *w, struct cs_err *err)
{
	const struct smf_layout *l = b->layout;
	size_t len = b->len;

	if (b->err.code != CS_OK)
		return cs_fail(err, b->err.code, "%s", b->err.text);
	for (unsigned i = 0; i < l->n_sections; i++) {
		enum smf_section s = l->sections[i];
		size_t size = is_identity(s) ? b->ids[s - SMF_S_LCL_ID].len : smf_sections[s].len;

		put_triplet(b, i, !is_identity(s) ? b->at[s] : size ? len : 0, size);
		len += is_identity(s) ? size : 0;
	}
	smf_put_u64(b, SMF_HD_LENGTH, len);
	if (!cs_writer_ok(w) || w->cap - w->len < len)
		return cs_fail(err, CS_ELIMIT, "no room for a record of %zu bytes", len);
	cs_put_bytes(w, b->data, b->len);
	for (unsigned i = 0; i < l->n_sections; i++)
		if (is_identity(l->sections[i]))
			cs_put_bytes(w, b->ids[l->sections[i] - SMF_S_LCL_ID].text,
				     b->ids[l->sections[i] - SMF_S_LCL_ID].len);
	return 0;
}
