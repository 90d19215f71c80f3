/* Algorithms in AT-TLS statements: cipher suites, signature pairs, curves. Private to policy/. */
#ifndef POL_TTLS_CODES_H
#define POL_TTLS_CODES_H

#include <stdint.h>

#include "policy/lex.h"

enum pol_code { POL_CODE_CIPHER, POL_CODE_SIGNATURE, POL_CODE_CURVE };
enum pol_code_end {
	POL_CODE_OK,
	POL_CODE_MISSING, /* known, and OpenSSL does not have it */
	POL_CODE_UNKNOWN,
	POL_CODE_END, /* nothing is left */
};

const char *pol_code_kind(enum pol_code kind); /* "cipher suite" */
/*
 * The next one of a word that is a constant's name or codes of width digits each without a gap:
 * hexadecimal, and decimal for curves. rest moves behind it, token is what was read.
 */
enum pol_code_end pol_code_next(enum pol_code kind, unsigned width, struct pol_word *rest,
				struct pol_word *token, uint16_t *id);

#endif
