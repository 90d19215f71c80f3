/*
 * Private to Main Mode: what its two roles and its dispatcher share.
 */
#ifndef IKE_MAIN_MODE_H
#define IKE_MAIN_MODE_H

#include "iked/engine_private.h"

/* main_mode.c */
const char *ike_main_peer(const struct ike_p1 *p1, char buf[static CS_ENDPOINT_STRLEN]);
/* Remembers what went wrong, for the message that ends the exchange. */
void ike_main_note(struct ike_p1 *p1, const char *cause);
void ike_main_begin(struct ike_engine *e, const struct ike_p1 *p1, struct isa_builder *b);
int ike_main_end(struct isa_builder *b, size_t *len, struct cs_err *err);
/* Messages 3 and 4, 5 and 6: into e->out. */
int ike_main_build_ke(struct ike_engine *e, struct ike_p1 *p1, size_t *len, struct cs_err *err);
int ike_main_build_auth(struct ike_engine *e, struct ike_p1 *p1, bool initial_contact, size_t *len,
			struct cs_err *err);
/* From e->out: as initiator, repeated until answered; as responder, when the request comes again.
 */
int ike_main_send(struct ike_engine *e, struct ike_p1 *p1, enum ike_main_state state, size_t len,
		  struct cs_err *err);
int ike_main_answer(struct ike_engine *e, struct ike_p1 *p1, size_t len, struct cs_err *err);
void ike_main_nonce(struct ike_engine *e, const struct ike_p1 *p1, struct ike_nonce *nonce);
int ike_main_derive(struct ike_p1 *p1, const struct ike_pk_job *job, struct cs_err *err);
int ike_main_take_ke(struct ike_p1 *p1, const struct isa_message *m, struct ike_nonce *nonce,
		     struct cs_err *err);
/* One sentence with both identities; CS_EAUTH. */
int ike_main_wrong_identity(const struct ike_p1 *p1, const struct pol_peer_id *id, const char *why,
			    struct cs_err *err);
void ike_main_refuse_identity(struct ike_engine *e, struct ike_p1 *p1, const char *why);

/* main_mode_init.c */
void ike_main_receive2(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m);
void ike_main_send3(struct ike_engine *e, struct ike_p1 *p1);
void ike_main_receive4(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m);
void ike_main_send5(struct ike_engine *e, struct ike_p1 *p1, const struct ike_pk_job *job);
void ike_main_receive6(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m);

/* main_mode_resp.c */
void ike_main_compute_secret(struct ike_engine *e, struct ike_p1 *p1);
void ike_main_send4(struct ike_engine *e, struct ike_p1 *p1, const struct ike_pk_job *job);
void ike_main_receive5(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m);

#endif
