/*
 * Private to the engine's side of gateway clients: users and addresses.
 */
#ifndef IKE_CLIENT_H
#define IKE_CLIENT_H

#include "iked/config_payload.h"
#include "iked/engine_private.h"

/* mode_config.c */
/* When an address is asked for: one of the rule's pool, its own as long as the SA lives. May send.
 */
void ike_config_lease(struct ike_engine *e, struct ike_p1 *p1, const struct ike_config *asked);
/* Answers, from what the rule gives and what was leased. */
void ike_config_put_answer(const struct ike_p1 *p1, const struct ike_config *asked,
			   struct isa_builder *b);
void ike_lease_hold(struct ike_engine *e, struct ike_p1 *p1, const struct cs_addr *address);

#endif
