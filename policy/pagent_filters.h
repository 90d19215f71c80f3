/*
 * One way of one rule, or of one tunnel: what an entry of `ipsec -f display` tells of.  Private to
 * pagent.
 */
#ifndef PAGENT_FILTERS_H
#define PAGENT_FILTERS_H

#include <jansson.h>

#include "policy/policy.h"
#include "xfrm/xfrm.h"

struct pagent_filter {
	const struct pol_filter_rule *rule;
	const struct pol_service *service;
	const struct cs_range *src, *dst; /* of the rule: local and remote when bidirectional */
	const struct xf_policy *tunnel;   /* of a dynamic filter; NULL: not one */
	bool outbound;
	unsigned extension;
	uint64_t packets; /* not counted by tunnel */
	int64_t created;
};

/* A place where dynamic filters stand. */
bool pagent_filter_is_anchor(const struct pagent_filter *f);
json_t *pagent_filter_json(const struct pagent_filter *f);

#endif
