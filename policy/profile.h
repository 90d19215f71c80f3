/* The IPSEC block of a TCP/IP profile: its grammar. Private to policy/; policy.h has pol_profile.
 */
#ifndef POL_PROFILE_H
#define POL_PROFILE_H

#include "policy/grammar.h"

/* IPSEC, IPSECRULE and IPSEC6RULE, in this order; a statement's rows in the order of its words. */
const struct pol_statement *pol_profile_statements(unsigned *n);

#endif
