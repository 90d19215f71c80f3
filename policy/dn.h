/*
 * X.500 distinguished names, on OpenSSL where it is built in. Without it nothing matches and
 * nothing can be shown; a policy that names one is refused before. Private to policy/.
 */
#ifndef POL_DN_H
#define POL_DN_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/err.h"

/*
 * pattern: "CN=..,OU=..,O=..,C=US", the leaf first as IBM writes it; leading parts may be left out,
 * or be "*" or "TYPE=*". der: the DER of a Name.
 */
bool pol_dn_matches(const char *pattern, struct cs_bytes der);
/* The name, leaf first, in printable ASCII; false when it is none. A long one ends with "...". */
bool pol_dn_text(struct cs_bytes der, char *buf, size_t size);
/* 0 when pattern can be read; *exact tells that it has no wildcard. */
int pol_dn_check(const char *pattern, bool *exact, struct cs_err *err);

#endif
