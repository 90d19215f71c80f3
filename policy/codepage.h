/*
 * Policy files in EBCDIC, as z/OS has them. Private to policy/.
 */
#ifndef POL_CODEPAGE_H
#define POL_CODEPAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

#define POL_CODEPAGE_DEFAULT "IBM-1047" /* where no Codepage statement names another */
#define POL_CODEPAGE_MAX     32

/* Told by the byte order mark with which such files begin. */
bool pol_is_utf16(const char *data, size_t size);
/* Told by bytes that no text of ASCII or a superset of it is made of alone. */
bool pol_is_ebcdic(const char *data, size_t size);
/*
 * Puts UTF-8 in the place of *data, which is malloc'ed and wiped before it is freed; what replaces
 * it has a byte of room behind its size.  0, CS_EUNSUPPORTED for a page that iconv does not know,
 * CS_EPARSE for text that is not of this page, or CS_ENOMEM; then *data stays as it is.
 */
int pol_from_ebcdic(const char *page, char **data, size_t *size, struct cs_err *err);

#endif
