/*
 * Private to Main Mode: its messages, for each other and for the dispatcher.
 */
#ifndef IKE_MAIN_MODE_H
#define IKE_MAIN_MODE_H

#include "iked/engine_private.h"

/* main_mode.c: messages 3 and 4, 5 and 6; into e->out */
int ike_main_build_ke(struct ike_engine *e, struct ike_p1 *p1, size_t *len, struct cs_err *err);
int ike_main_build_auth(struct ike_engine *e, struct ike_p1 *p1, bool initial_contact, size_t *len,
			struct cs_err *err);

/* main_mode_init.c */
int ike_main_begin(struct ike_engine *e, struct ike_p1 *p1, struct cs_err *err);
void ike_main_receive2(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m);
void ike_main_send3(struct ike_engine *e, struct ike_p1 *p1);
void ike_main_receive4(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m);
void ike_main_keys5(struct ike_engine *e, struct ike_p1 *p1, const struct ike_pk_job *job);
void ike_main_send5(struct ike_engine *e, struct ike_p1 *p1);
void ike_main_receive6(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m);
void ike_main_done6(struct ike_engine *e, struct ike_p1 *p1); /* its signature is right */

/* main_mode_resp.c */
void ike_main_send4(struct ike_engine *e, struct ike_p1 *p1, const struct ike_pk_job *job);
void ike_main_receive5(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m);
void ike_main_send6(struct ike_engine *e, struct ike_p1 *p1);

#endif
