/*
 * Private to phase 1 exchanges: what the modes and their dispatcher share.
 */
#ifndef IKE_EXCHANGE_H
#define IKE_EXCHANGE_H

#include "iked/engine_private.h"

const char *ike_exchange_peer(const struct ike_p1 *p1, char buf[static CS_ENDPOINT_STRLEN]);
/* Remembers what went wrong, for the message that ends the exchange. */
void ike_exchange_note(struct ike_p1 *p1, const char *cause);
void ike_exchange_begin(struct ike_engine *e, const struct ike_p1 *p1, struct isa_builder *b);
int ike_exchange_end(struct isa_builder *b, size_t *len, struct cs_err *err);
/* From e->out: as initiator, repeated until answered; as responder, when the request comes again.
 */
int ike_exchange_send(struct ike_engine *e, struct ike_p1 *p1, enum ike_exchange_state state,
		      size_t len, struct cs_err *err);
int ike_exchange_answer(struct ike_engine *e, struct ike_p1 *p1, size_t len, struct cs_err *err);
void ike_exchange_nonce(struct ike_engine *e, const struct ike_p1 *p1, struct ike_nonce *nonce);
int ike_exchange_derive(struct ike_p1 *p1, const struct ike_pk_job *job, struct cs_err *err);
int ike_exchange_take_ke(struct ike_p1 *p1, const struct isa_message *m, struct ike_nonce *nonce,
			 struct cs_err *err);

#endif
