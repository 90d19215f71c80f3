/* EBCDIC of record fields. Private to smf/. */
#ifndef SMF_EBCDIC_H
#define SMF_EBCDIC_H

#include "smf/smf.h"

#define SMF_BLANK      0x40
#define SMF_SUBSTITUTE 0x6f /* the question mark */

extern const uint8_t smf_latin1_of[256]; /* of IBM-1047 */
uint8_t smf_latin1(enum smf_page page, uint8_t byte);
/* A character of Latin-1 as UTF-8; its length, 1 or 2. */
unsigned smf_latin1_utf8(uint8_t latin1, char *to);
/* The length without blanks behind. */
size_t smf_trimmed(const uint8_t *p, size_t len);
/* Ends where size does, with a NUL in any case, and never within a character. */
size_t smf_to_utf8(enum smf_page page, const uint8_t *p, size_t len, char *text, size_t size);
/*
 * To IBM-1047. lossy is set when text is cut or has characters that Latin-1 has not; false: it has
 * control characters.
 */
bool smf_from_utf8(const char *text, uint8_t *p, size_t size, size_t *len, bool *lossy);

#endif
