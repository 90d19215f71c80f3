/* A compiled policy as text, every field of it, so that two can be compared and a difference read.
 */
#ifndef POLICY_DUMP_H
#define POLICY_DUMP_H

#include "policy/policy.h"

/* The caller frees it. */
char *policy_dump(const struct pol_policy *policy);

#endif
