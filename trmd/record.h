/*
 * What an outbox row means as SMF 119 records.
 *
 *   P1_UP      73                 P2_UP    77, then 75
 *   P1_DOWN    74                 P2_DOWN  76, then 78
 *   P2_FAILED  76, of a negotiation whose result never served
 *   LOSS       none: there is no subtype for it, so it is a message alone
 *   MAN_UP     79                 MAN_DOWN 80
 *
 * The payload is the JSON of iked/json.h, that of the last two kinds policy/pagent_audit.c's. Which
 * of its fields goes where stands in the tables of record.c, its words and their numbers in
 * record_values.c.
 */
#ifndef TRMD_RECORD_H
#define TRMD_RECORD_H

#include <jansson.h>

#include "smf/smf.h"

enum trmd_kind {
	TRMD_P1_UP,
	TRMD_P1_DOWN,
	TRMD_P2_UP,
	TRMD_P2_FAILED,
	TRMD_P2_DOWN,
	TRMD_LOSS,
	TRMD_MAN_UP,
	TRMD_MAN_DOWN,
};

#define TRMD_RECORDS_MAX 2 /* of one row */
#define TRMD_ROW_MAX     (TRMD_RECORDS_MAX * SMF_BUILD_MAX)

/* A row that was understood. */
struct trmd_change {
	uint64_t id;
	enum trmd_kind kind;
	int64_t time; /* seconds since 1970 UTC */
	json_t *payload;
};

/* CS_EPARSE: another kind than those above, or a payload that is no JSON object. */
int trmd_change_of(uint64_t id, const char *kind, int64_t time, const char *payload,
		   struct trmd_change *event, struct cs_err *err);
void trmd_change_free(struct trmd_change *event);

/* What every record says of where it was made. UTF-8; cut where the field ends. */
struct trmd_origin {
	char sid[5], system[9], release[9], user[9];
	char stack[25];
	uint16_t process; /* low bits of the writer's id */
	bool fips140;     /* of the whole of iked */
};

/* Which are written: IkeConfig's SMF119. The stack's, 77 to 80, go with 75 and 76. */
struct trmd_wanted {
	bool ike_tunnel, dyn_tunnel;
};

/*
 * Appends the event's records, each with its RDW, to w: all of them or none. *n (may be NULL) is
 * their number. CS_EPARSE: the payload has something that cannot be; CS_ELIMIT: w has no room.
 */
int trmd_records(const struct trmd_origin *origin, struct trmd_wanted wanted,
		 const struct trmd_change *event, struct cs_writer *w, unsigned *n,
		 struct cs_err *err);

/* ---- for the messages ---- */

/* "" where it is null or missing. */
const char *trmd_text(const json_t *object, const char *key);
/* 0 where it is null, missing or negative. */
uint64_t trmd_number(const json_t *object, const char *key);

#endif
