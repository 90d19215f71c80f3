/*
 * SMF type 119 records of IPsec (subtypes 73 to 80): encoding, decoding, files of them.
 *
 * A record is decoded where it lies: nothing is copied, and nothing in it is trusted.  Encoder and
 * decoder know offsets from the rows of table.c alone; docs/smf119.md shows them.
 *
 *   struct smf_builder b;
 *   smf_build(&b, 73);
 *   smf_put_time(&b, now_us);
 *   smf_put_text(&b, SMF_IKE_TUN_ID, "K12");
 *   smf_put_u64(&b, SMF_IKE_TUN_GENERATION, 1);
 *   rc = smf_finish(&b, &writer, &err);
 *
 *   while ((rc = smf_input_next(in, &raw, &err)) > 0)
 *           if (smf_decode(raw.p, raw.len, &record, &err) == 0)
 *                   smf_get_u64(&record, SMF_IKE_TUN_GENERATION, &generation);
 */
#ifndef SMF_SMF_H
#define SMF_SMF_H

#include <stddef.h>
#include <sys/types.h>

#include "common/addr.h"
#include "common/buf.h"
#include "common/err.h"
#include "smf/fields.h"

#define SMF_TYPE      119
#define SMF_TEXT_MAX  2048 /* bytes of an identity that is written */
#define SMF_BUILD_MAX 5120 /* more than the longest record that is written */

/* ---- decoding ---- */

struct smf_span {
	const uint8_t *p; /* NULL: the section is absent */
	size_t len;       /* of one instance, as its triplet says */
	unsigned number;  /* of instances; p is the first */
};

struct smf_record {
	const uint8_t *p; /* the caller's */
	size_t len;
	const struct smf_layout *layout;
	struct smf_span sections[SMF_SECTIONS];
};

/* The bytes of one record, as they came: valid until the next call of the reader. */
struct smf_raw {
	const uint8_t *p;
	size_t len;
	uint64_t offset; /* in the file, of its descriptor word (of its first segment) */
	uint64_t number; /* in the file, from 1, all types counted */
};

/*
 * Type and subtype of a record; -1 where it is too short for one, or has none.  Enough to skip what
 * smf_decode() refuses.
 */
int smf_type(const uint8_t *p, size_t len);
int smf_subtype(const uint8_t *p, size_t len);
/*
 * p must stay as long as record is used.  CS_EUNSUPPORTED: another type or subtype; CS_EPARSE: its
 * lengths or triplets contradict each other or the record.  Sections may be shorter than known
 * (their last fields are absent then) or longer, and more or fewer than known.
 */
int smf_decode(const uint8_t *p, size_t len, struct smf_record *record, struct cs_err *err);

/* The bytes of a field; false when they are not in the record. */
bool smf_get_bytes(const struct smf_record *record, enum smf_field field, struct cs_bytes *bytes);
/* Of any kind but text and addresses; what is longer than 8 bytes is false, too. */
bool smf_get_u64(const struct smf_record *record, enum smf_field field, uint64_t *value);
/* By the IPv6 flag that rules it. */
bool smf_get_addr(const struct smf_record *record, enum smf_field field, struct cs_addr *addr);

/* They differ in six characters: ^ [ ] among them. */
enum smf_page { SMF_IBM1047, SMF_IBM037 };
/*
 * Text as UTF-8 without the blanks behind, always with a NUL, cut where size ends.  Returns the
 * length; 0 also when it is not in the record.
 */
size_t smf_get_text(const struct smf_record *record, enum smf_field field, enum smf_page page,
		    char *text, size_t size);
/* Microseconds since 1970 of the header, which is in the writer's time; false when it is no time.
 */
bool smf_get_time(const struct smf_record *record, int64_t *us);

/* The event, refresh told from activation by the generation: "ike_tunnel_refreshed". */
const char *smf_event(const struct smf_record *record);
/* NULL: not in the list. Of flags the value is the number of a bit. */
const char *smf_value_name(enum smf_field field, uint64_t value);

/* Microseconds since 1970 and back: STCK. Before 1900 is 0; its clock begins
 * afresh in September 2042. */
uint64_t smf_tod_of(int64_t us);
int64_t smf_tod_us(uint64_t tod);

/* ---- encoding ---- */

/* A put that is wrong is remembered and told by smf_finish(), so that nobody asks in between. */
struct smf_builder {
	const struct smf_layout *layout;
	uint8_t data[SMF_BUILD_MAX]; /* all but the identities */
	size_t len;
	size_t at[SMF_SECTIONS]; /* 0: absent; the header is at 0 */
	struct {
		uint8_t text[SMF_TEXT_MAX]; /* EBCDIC */
		size_t len;
	} ids[SMF_SECTIONS - SMF_S_LCL_ID];
	uint8_t families; /* of addresses: 1 IPv4, 2 IPv6 */
	bool lossy;       /* a text was cut or had characters that EBCDIC has not */
	struct cs_err err;
};

/*
 * Header and identification section are filled with what does not depend on the event (reason,
 * component, sysplex LOCAL, subsystem TCP); texts are blank and all else is zero.
 */
void smf_build(struct smf_builder *b, unsigned subtype);
/* Of numbers, names, flags (all bits at once), times and hex up to 8 bytes. */
void smf_put_u64(struct smf_builder *b, enum smf_field field, uint64_t value);
/* Bit is IBM's number. */
void smf_put_flag(struct smf_builder *b, enum smf_field field, unsigned bit);
/* UTF-8, without control characters. What is too long is cut: see lossy. */
void smf_put_text(struct smf_builder *b, enum smf_field field, const char *text);
/* Sets the IPv6 flag where it must; none (family 0) is zeros. All are of one family. */
void smf_put_addr(struct smf_builder *b, enum smf_field field, const struct cs_addr *addr);
void smf_put_bytes(struct smf_builder *b, enum smf_field field, const void *data, size_t len);
/* The header's, in microseconds since 1970. */
void smf_put_time(struct smf_builder *b, int64_t us);
/*
 * Appends the record with its RDW to w, or nothing: CS_EINVAL with the first wrong put, CS_ELIMIT
 * when w has no room.
 */
int smf_finish(struct smf_builder *b, struct cs_writer *w, struct cs_err *err);

/* ---- files and pipes ---- */

enum smf_framing {
	SMF_FRAMING_UNKNOWN,
	SMF_FRAMING_RDW, /* records one after another, as smf_finish() makes them */
	SMF_FRAMING_BDW, /* the same in blocks, each with a word before it */
};

struct smf_input;

/* Reads from fd, which stays the caller's and may be a pipe. */
int smf_input_open(int fd, struct smf_input **in, struct cs_err *err);
void smf_input_close(struct smf_input *in);
/* Bytes from the beginning that may be read; no limit in the beginning. It only grows. */
void smf_input_limit(struct smf_input *in, uint64_t bytes);
/*
 * 1: a record, segments joined.  0: the end or the limit; may be called again when there is more.
 * CS_EPARSE: what is there is no record, and where the next one begins cannot be known (err has the
 * offset); CS_ESYS.  The first call reads ahead three records, or to the end, to see the framing.
 */
int smf_input_next(struct smf_input *in, struct smf_raw *raw, struct cs_err *err);
enum smf_framing smf_input_framing(const struct smf_input *in);
/*
 * After 0: the end is in the middle of a record or a block. Where what is not whole begins, and how
 * many bytes of it are there.
 */
bool smf_input_cut(const struct smf_input *in, uint64_t *offset, uint64_t *bytes);

/* ---- the checkpoint beside the files ---- */

/*
 * How far the newest file is safe: who writes the files acknowledges up to here, cuts back at start
 * what is behind, and nobody else reads further.  Files of smaller names are complete.
 */
#define SMF_SOURCES 2 /* outboxes that rows come from: iked's, pagent's */

struct smf_checkpoint {
	char file[256];                /* its name in the directory */
	uint64_t length;               /* bytes */
	uint64_t last_id[SMF_SOURCES]; /* of the last outbox row of each that has records */
	unsigned source;               /* whose row the last record is of */
	/* of the outbox that last_id is of, where it has one that says all; 0: not known */
	uint64_t identity[SMF_SOURCES];
};

#define SMF_CHECKPOINT "checkpoint"

/*
 * Two slots of a file, written in turn and told apart by a sequence number and a checksum, so that
 * a write that is cut short costs nothing.
 */
/* CS_ENOTFOUND: there is none; CS_EPARSE: no slot is good. */
int smf_checkpoint_read(int dirfd, struct smf_checkpoint *cp, struct cs_err *err);
/* Durable when it returns 0. Makes the file. For one writer. */
int smf_checkpoint_write(int dirfd, const struct smf_checkpoint *cp, struct cs_err *err);

#endif
