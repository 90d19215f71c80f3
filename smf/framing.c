/*
 * Descriptor words, and which of them a file has.  A block looks like a record whose first bytes
 * are strange, so blocks are tried first: in a file without them the words would have to fit by
 * chance, three times.
 */
#include "smf/framing.h"

#include <string.h>

#define ENOUGH       3  /* records that follow each other */
#define RECORD_LEAST 18 /* bytes of the shortest header */

bool smf_rdw(const uint8_t *p, size_t *len, enum smf_segment *segment)
{
	*len = (size_t)p[0] << 8 | p[1];
	if (p[2] > SMF_MIDDLE || p[3] != 0 || *len <= SMF_WORD)
		return false;
	*segment = (enum smf_segment)p[2];
	return true;
}

/* Bit 0 set: a large block, whose length is in the other 31. */
bool smf_bdw(const uint8_t *p, uint64_t *len)
{
	bool large = p[0] & 0x80;

	*len = large ? (uint64_t)(p[0] & 0x7f) << 24 | (uint64_t)p[1] << 16 | (uint64_t)p[2] << 8 |
			       p[3]
		     : (uint64_t)p[0] << 8 | p[1];
	return (large || (p[2] == 0 && p[3] == 0)) && *len > SMF_WORD + SMF_WORD;
}

enum chain { BROKEN, UNFINISHED, HOLDS };

struct look {
	const uint8_t *p;
	size_t len, at;
	unsigned records;
};

static enum chain next_record(struct look *l, uint64_t *left)
{
	enum smf_segment segment;
	size_t len;

	if (l->len - l->at < SMF_WORD)
		return UNFINISHED;
	if (!smf_rdw(l->p + l->at, &len, &segment) || len > *left ||
	    (segment == SMF_WHOLE && len < RECORD_LEAST))
		return BROKEN;
	if (len > l->len - l->at)
		return UNFINISHED;
	l->at += len;
	*left -= len;
	l->records++;
	return HOLDS;
}

static enum chain try_records(struct look *l)
{
	uint64_t any = UINT64_MAX;
	enum chain c = HOLDS;

	while (c == HOLDS && l->records < ENOUGH)
		c = next_record(l, &any);
	return c;
}

static enum chain try_blocks(struct look *l)
{
	enum chain c = HOLDS;
	uint64_t left = 0;

	while (c == HOLDS && l->records < ENOUGH) {
		if (left == 0) {
			if (l->len - l->at < SMF_WORD)
				return UNFINISHED;
			if (!smf_bdw(l->p + l->at, &left))
				return BROKEN;
			l->at += SMF_WORD;
			left -= SMF_WORD;
		}
		c = next_record(l, &left);
	}
	return c;
}

/* The chain breaks, but not before a record that is beyond doubt: whoever reads it says where. */
static bool is_record(const struct look *l, size_t at)
{
	return l->records > 0 && smf_type(l->p + at, l->len - at) == SMF_TYPE &&
	       smf_subtype(l->p + at, l->len - at) >= 0;
}

/* Why it is neither, as far as its first bytes tell. */
static int refuse(const uint8_t *p, size_t len, struct cs_err *err)
{
	if (len >= 2 && p[0] == 0x1f && p[1] == 0x8b)
		return cs_fail(err, CS_EPARSE, "it is compressed: gzip -dc FILE | smfdump");
	if (len >= 4 && memcmp(p, "\x28\xb5\x2f\xfd", 4) == 0)
		return cs_fail(err, CS_EPARSE, "it is compressed: zstd -dc FILE | smfdump");
	if (len >= 2 && (p[0] & 0x40) && p[1] == SMF_TYPE)
		return cs_fail(err, CS_EPARSE,
			       "its records have no record descriptor words, so nobody knows where "
			       "they end: transfer it with SITE RDW, in binary");
	return cs_fail(err, CS_EPARSE,
		       "it has neither RDW nor BDW framing: transfer SMF data in binary, with "
		       "SITE RDW");
}

int smf_detect(const uint8_t *p, size_t len, bool ended, enum smf_framing *framing,
	       struct cs_err *err)
{
	struct look as_blocks = {p, len, 0, 0}, as_records = {p, len, 0, 0};
	enum chain blocks = try_blocks(&as_blocks), records = try_records(&as_records);

	if (blocks == UNFINISHED && !ended)
		return CS_EAGAIN;
	if (blocks == HOLDS || (blocks == UNFINISHED && len >= 2 * SMF_WORD) ||
	    (blocks == BROKEN && is_record(&as_blocks, SMF_WORD))) {
		*framing = SMF_FRAMING_BDW;
		return 0;
	}
	if (records == UNFINISHED && !ended)
		return CS_EAGAIN;
	if (records == BROKEN && !is_record(&as_records, 0))
		return refuse(p, len, err);
	*framing = SMF_FRAMING_RDW;
	return 0;
}
