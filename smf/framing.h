/* How records stand in a file. Private to smf/. */
#ifndef SMF_FRAMING_H
#define SMF_FRAMING_H

#include "smf/smf.h"

#define SMF_WORD        4     /* bytes of a descriptor word */
#define SMF_SEGMENT_MAX 65535 /* bytes of a record or segment with its word */

enum smf_segment { SMF_WHOLE, SMF_FIRST, SMF_LAST, SMF_MIDDLE };

/* A record's or segment's word: length with the word, and which part it is. False: none. */
bool smf_rdw(const uint8_t *p, size_t *len, enum smf_segment *segment);
/* A block's: length with the word. False: none. */
bool smf_bdw(const uint8_t *p, uint64_t *len);

/*
 * Says from the beginning of a file, whose end is there too when ended, how it is framed: when
 * three records follow each other as that framing wants it, or all up to the end.  CS_EAGAIN:
 * more is needed; CS_EPARSE: neither.
 */
int smf_detect(const uint8_t *p, size_t len, bool ended, enum smf_framing *framing,
	       struct cs_err *err);

#endif
