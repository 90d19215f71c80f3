/* Manual tunnels of pagent.  Private to it. */
#ifndef PAGENT_MANUAL_H
#define PAGENT_MANUAL_H

#include "policy/pagent.h"

enum pagent_manual_set {
	PAGENT_MANUAL_AS_CODED, /* no command since */
	PAGENT_MANUAL_INACTIVE,
	PAGENT_MANUAL_ACTIVE,
};

/* What is remembered of a tunnel of the policy. */
struct pagent_manual {
	char name[POL_NAME_MAX + 1];      /* IpManVpnAction */
	uint8_t content[POL_CONTENT_LEN]; /* pol_manual_content */
	uint32_t number;                  /* of M<n> */
	bool coded;                       /* Active */
	enum pagent_manual_set set;
	bool in_policy;
	bool told, up; /* the log says whether it is in the kernel, and: it is */
};

struct pagent_manual *pagent_manual_find(const struct pagent *p, const char *name);
/* Does Active, or the last command, want it? And its time condition? */
bool pagent_manual_active(const struct pagent_manual *t);
bool pagent_manual_in_time(const struct pol_manvpn_action *a);
/* By command; what the kernel refuses is not set. */
int pagent_manual_set(struct pagent *p, struct pagent_manual *t, bool active, struct cs_err *err);

#endif
