/*
 * How phase 1 exchanges fail: messages that do not verify, errors that the peer sends in clear, and
 * time that runs out.  The log says once why, and names the rule and the key.
 */
#include <stdio.h>
#include <string.h>

#include "iked/aggressive.h"
#include "iked/exchange.h"

/* ---- messages that do not verify ---- */

static unsigned last_message(const struct ike_p1 *p1)
{
	return p1->mode == POL_MODE_AGGRESSIVE ? 3 : 5;
}

/*
 * The responder says so at once and once an exchange; the initiator's message is the one that ends
 * the exchange.
 */
void ike_exchange_complain(struct ike_engine *e, struct ike_p1 *p1, size_t len,
			   const struct cs_err *err)
{
	bool first = !p1->ex->wrong_key;
	char peer[CS_ENDPOINT_STRLEN];

	ike_exchange_note(p1, err->text);
	if (p1->initiator || ike_auth_signs(p1)) /* with signatures it says nothing about a key */
		return;
	p1->ex->wrong_key = true;
	if (!p1->ex->told && ike_take_token(e, &e->cookie_bucket)) {
		ike_logf(e, ike_p1_ctx(p1), CSM_WRONG_KEY, last_message(p1),
			 ike_exchange_peer(p1, peer), p1->rule->name, p1->rule->key_fingerprint);
		p1->ex->told = true;
	}
	/* In clear, because the peer cannot read what our key protects. */
	if (first)
		ike_notify_clear(e, &p1->sid.local, &p1->sid.remote, p1->sid.icookie,
				 p1->sid.rcookie, ISA_N_AUTHENTICATION_FAILED, len);
}

/* ---- errors in clear ---- */

static bool about_key(unsigned type)
{
	return type == ISA_N_AUTHENTICATION_FAILED || type == ISA_N_INVALID_HASH_INFORMATION ||
	       ike_cert_notified(type);
}

/* Who does not know our identity cannot have a key for it. */
static void hint_text(const struct ike_p1 *p1, unsigned type, char *text, size_t size)
{
	struct cs_bytes own = {p1->ex->id, p1->ex->id_len};
	char id[60];
	int n = snprintf(text, size, "the peer answered %s (not authenticated)",
			 isa_notify_name(type));

	if (p1->state == IKE_AM_SENT_1 && n > 0 && (size_t)n < size &&
	    (type == ISA_N_INVALID_ID_INFORMATION || about_key(type)))
		snprintf(text + n, size - (size_t)n, ": it may not know our identity %s",
			 ike_ident_text(own, id, sizeof(id)));
}

/*
 * Anybody on the way can forge an unauthenticated error, so it ends nothing; but it is worth
 * telling, and two more tries are enough when the peer says no.
 */
void ike_exchange_hint(struct ike_engine *e, struct ike_p1 *p1, unsigned type)
{
	char peer[CS_ENDPOINT_STRLEN], cause[IKE_CAUSE_MAX];

	if (!p1->ex || (!p1->initiator && p1->state != IKE_AM_SENT_2))
		return;
	hint_text(p1, type, cause, sizeof(cause));
	if (!strcmp(cause, p1->ex->cause))
		return;
	ike_exchange_note(p1, cause);
	ike_rt_hurry(&p1->ex->rt);
	if (ike_take_token(e, &e->log_bucket))
		ike_logf(e, ike_p1_ctx(p1), CSM_HINT, ike_exchange_peer(p1, peer),
			 isa_notify_name(type), p1->rule->name);
	if (!p1->initiator && about_key(type))
		ike_aggressive_key_refused(e, p1);
}

/*
 * A peer that could not verify our message 2 says so with keys that are not ours.  But a
 * notification that overtook message 3 looks the same, so it waits for the timer to be told.
 */
void ike_exchange_unreadable(struct ike_p1 *p1)
{
	if (p1->state != IKE_AM_SENT_2 || p1->ex->cause[0])
		return;
	ike_exchange_note(p1, "its encrypted notification does not verify");
	p1->ex->wrong_key = true;
}

/* ---- time ---- */

static unsigned message_sent(const struct ike_p1 *p1)
{
	switch (p1->state) {
	case IKE_MM_SENT_3:
		return 3;
	case IKE_MM_SENT_5:
		return 5;
	default:
		return 1;
	}
}

#define KEY_TEXT 160

/* how: "the usual", "a possible", or NULL when it has nothing to do with the key. */
static const char *key_text(const struct ike_p1 *p1, const char *how, char buf[static KEY_TEXT])
{
	buf[0] = 0;
	if (how && ike_auth_signs(p1))
		snprintf(buf, KEY_TEXT,
			 "; %s cause is that the peer does not accept our certificate %s", how,
			 ike_cert_own_label(p1));
	else if (how)
		snprintf(buf, KEY_TEXT,
			 "; %s cause is a different preshared key at the peer (ours has "
			 "fingerprint %s)",
			 how, p1->rule->key_fingerprint);
	return buf;
}

/* A responder with another key cannot read message 5, and many say nothing then. */
static void no_answer(struct ike_engine *e, struct ike_p1 *p1)
{
	const char *cause = p1->ex->cause;
	bool by_key = p1->state == IKE_MM_SENT_5 || p1->ex->wrong_key;
	char key[KEY_TEXT];

	ike_p1_fail(e, p1, "no %sanswer to message %u after %u transmissions%s%s%s",
		    cause[0] ? "usable " : "", message_sent(p1), p1->ex->rt.sent,
		    cause[0] ? ": " : "", cause, key_text(p1, by_key ? "the usual" : NULL, key));
}

/* An initiator with another key cannot verify message 2, and may say nothing, too. */
static void no_last_message(struct ike_engine *e, struct ike_p1 *p1)
{
	const char *cause = p1->ex->cause, *how = NULL;
	char key[KEY_TEXT];

	if (p1->ex->wrong_key)
		how = "the usual";
	else if (p1->state == IKE_AM_SENT_2)
		how = "a possible";
	ike_p1_fail(e, p1, "no %smessage %u came%s%s%s", cause[0] ? "usable " : "",
		    last_message(p1), cause[0] ? ": " : "", cause, key_text(p1, how, key));
}

void ike_exchange_timeout(struct ike_engine *e, struct ike_p1 *p1)
{
	char peer[CS_ENDPOINT_STRLEN];
	struct ike_exchange *ex = p1->ex;

	if (!p1->initiator) {
		if (p1->state != IKE_AM_SENT_2 || !ike_aggressive_wait_on(e, p1))
			no_last_message(e, p1);
	} else if (ike_rt_again(e, &ex->rt, &p1->timer, p1)) {
		ike_logf(e, ike_p1_ctx(p1), CSM_RETRANSMIT, ike_exchange_peer(p1, peer),
			 message_sent(p1), ex->rt.sent, ex->rt.limit);
		if (ex->heir_of && ike_rt_silent(e, &ex->rt))
			ike_takeover_silent(e, ex->heir_of);
	} else {
		no_answer(e, p1);
	}
}
