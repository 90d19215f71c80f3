/*
 * Pairs that follow a phase 1 SA whose peer has another address or port.
 */
#include "iked/engine_private.h"

/* None can follow yet, so each is negotiated anew by who needs it. */
void ike_p2_follow(struct ike_engine *e, struct ike_p1 *p1, const struct cs_endpoint *old_remote,
		   struct ike_now now)
{
	(void)now;
	(void)old_remote;
	for (struct ike_list *l = p1->p2s.next; l != &p1->p2s;) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, in_p1);

		l = l->next;
		if (p2->up)
			ike_p2_end(e, p2, true, "the peer is somewhere else now");
	}
}
