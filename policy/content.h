/* Private to policy: the content of filter rules, see policy.h for that of key exchange rules. */
#ifndef POL_CONTENT_H
#define POL_CONTENT_H

#include "policy/hash.h"
#include "policy/policy.h"

/*
 * Names of actions, services and offers do not count (unnamed ones have none that lasts), nor do
 * times, logging and what is done with discarded packets: SAs need not end because of those.
 */
int pol_filter_rule_content(const struct pol_filter_rule *r, uint8_t hash[static POL_HASH_LEN],
			    struct cs_err *err);

/* Everything about the rule but its name and its place: what displays and logs show counts, too. */
int pol_filter_rule_whole(const struct pol_filter_rule *r, uint8_t hash[static POL_HASH_LEN],
			  struct cs_err *err);
int pol_local_rule_content(const struct pol_local_dynvpn *r, uint8_t hash[static POL_HASH_LEN],
			   struct cs_err *err);

#endif
