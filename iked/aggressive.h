/*
 * Private to Aggressive Mode: its messages, for the dispatcher.
 */
#ifndef IKE_AGGRESSIVE_H
#define IKE_AGGRESSIVE_H

#include "iked/engine_private.h"

/* aggressive_init.c */
int ike_aggressive_begin(struct ike_engine *e, struct ike_p1 *p1, struct cs_err *err);
void ike_aggressive_send1(struct ike_engine *e, struct ike_p1 *p1);
void ike_aggressive_receive2(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m);
/* The shared secret of message 2 is there, or its public value was none. */
void ike_aggressive_keys3(struct ike_engine *e, struct ike_p1 *p1, const struct ike_pk_job *job);
/* The proof of message 2 is right; or it is not, and another message 2 may come. */
void ike_aggressive_verified2(struct ike_engine *e, struct ike_p1 *p1);
void ike_aggressive_refuse2(struct ike_engine *e, struct ike_p1 *p1, unsigned notify,
			    const char *why);
void ike_aggressive_send3(struct ike_engine *e, struct ike_p1 *p1);

/* aggressive_resp.c */
void ike_aggressive_keys2(struct ike_engine *e, struct ike_p1 *p1, const struct ike_pk_job *job);
void ike_aggressive_send2(struct ike_engine *e, struct ike_p1 *p1);
void ike_aggressive_receive3(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m);
/* The signature of message 3 is right; or it is not, and another message 3 may come. */
void ike_aggressive_done3(struct ike_engine *e, struct ike_p1 *p1);
void ike_aggressive_refuse3(struct ike_p1 *p1, const char *why);
/* Nothing came for a while. False when the time is over. */
bool ike_aggressive_wait_on(struct ike_engine *e, struct ike_p1 *p1);
/* The peer says, or shows, that our message 2 does not verify with its key. */
void ike_aggressive_key_refused(struct ike_engine *e, struct ike_p1 *p1);

#endif
