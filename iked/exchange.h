/*
 * Private to phase 1 exchanges: what the modes and their dispatcher share.
 */
#ifndef IKE_EXCHANGE_H
#define IKE_EXCHANGE_H

#include "iked/engine_private.h"

const char *ike_exchange_peer(const struct ike_p1 *p1, char buf[static CS_ENDPOINT_STRLEN]);
/* Remembers what went wrong, for the message that ends the exchange. */
void ike_exchange_note(struct ike_p1 *p1, const char *cause);
/* As responder, what message 1 brought and led to. request: digest of the message in hand. */
int ike_exchange_respond(struct ike_engine *e, struct ike_p1 *p1, const struct pol_ke_rule *rule,
			 const struct ike_p1_suite *suite, struct cs_bytes sa, uint64_t request,
			 struct cs_err *err);
/* Are there too many public-key jobs for an exchange that a peer of this class begins? */
bool ike_exchange_too_many_jobs(const struct ike_engine *e, bool named);

/* Building in clear, into e->out. */
void ike_exchange_begin(struct ike_engine *e, const struct ike_p1 *p1, struct isa_builder *b);
/* As initiator: the SA payload, which is kept. */
int ike_exchange_put_offer(struct ike_engine *e, struct ike_p1 *p1, struct isa_builder *b,
			   struct cs_err *err);
int ike_exchange_end(struct isa_builder *b, size_t *len, struct cs_err *err);
/* From e->out: repeated until answered; or when the request comes again. */
int ike_exchange_send(struct ike_engine *e, struct ike_p1 *p1, enum ike_exchange_state state,
		      size_t len, struct cs_err *err);
int ike_exchange_answer(struct ike_engine *e, struct ike_p1 *p1, size_t len, struct cs_err *err);
void ike_exchange_answer_again(struct ike_engine *e, struct ike_p1 *p1);

void ike_exchange_nonce(struct ike_engine *e, const struct ike_p1 *p1, struct ike_nonce *nonce);
int ike_exchange_take_ke(struct ike_p1 *p1, const struct isa_message *m, struct ike_nonce *nonce,
			 struct cs_err *err);
/* Starts the job, or the exchange fails. */
void ike_exchange_compute_secret(struct ike_engine *e, struct ike_p1 *p1);
int ike_exchange_derive(struct ike_p1 *p1, const struct ike_pk_job *job, struct cs_err *err);
/* Makes our proof; the message that it is for follows. */
void ike_exchange_prove(struct ike_engine *e, struct ike_p1 *p1);
/* The last message does not verify. len: its length. */
void ike_exchange_complain(struct ike_engine *e, struct ike_p1 *p1, size_t len,
			   const struct cs_err *err);
/* The peer is who it should be: the SA comes up, and what waited for that begins. */
void ike_exchange_done(struct ike_engine *e, struct ike_p1 *p1, struct cs_bytes id_body,
		       bool initial_contact);
/* The peer's ID payload body, until the exchange ends. */
int ike_exchange_keep_id(struct ike_p1 *p1, struct cs_bytes body, struct cs_err *err);
bool ike_exchange_says_initial_contact(const struct isa_message *m);

#endif
