/*
 * The words of iked's and pagent's JSON and the numbers that stand for them in a record (lists of
 * docs/smf119.md; codes of algorithms are common/alg.h's).
 */
#ifndef TRMD_RECORD_VALUES_H
#define TRMD_RECORD_VALUES_H

#include <stdint.h>

enum trmd_list {
	TRMD_V_STATE,     /* of an SA */
	TRMD_V_EXT_STATE, /* how far its negotiation is */
	TRMD_V_ROLE,
	TRMD_V_MODE,
	TRMD_V_NATT,
	TRMD_V_ID_TYPE,
	TRMD_V_AUTH_METHOD,
	TRMD_V_PRF,
	TRMD_V_ENCAP,
	TRMD_V_PROTOCOL,
	TRMD_V_ACTIVATION,
	TRMD_V_HASH,   /* phase 1 */
	TRMD_V_INTEG,  /* phase 2 */
	TRMD_V_CIPHER, /* both */
	TRMD_LISTS
};

/* 0, which means unknown in every list, for a word that is not in it. */
uint8_t trmd_value(enum trmd_list list, const char *word);

/* Why an SA ended, in the numbers of IKETunEndReason and its like. */
enum trmd_end {
	TRMD_END_UNKNOWN = 0,
	TRMD_END_COMMAND = 1,
	TRMD_END_LIFETIME = 2,
	TRMD_END_LIFESIZE = 3,
	TRMD_END_PEER = 4,
	TRMD_END_DEAD = 5,
	TRMD_END_POLICY = 6,
	TRMD_END_SHUTDOWN = 7,
	TRMD_END_REPLACED = 8,
	TRMD_END_FAILED = 9,
	TRMD_END_AUTH = 11,
	TRMD_END_RESTART = 12,
};

/* A reason of iked's is a sentence; part of it tells which. */
struct trmd_end_row {
	const char *part;
	enum trmd_end end;
};
/* Ends with part NULL; the first that fits counts. */
extern const struct trmd_end_row trmd_ends[];
enum trmd_end trmd_end_of(const char *reason);

#endif
