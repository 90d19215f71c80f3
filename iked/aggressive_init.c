/*
 * Aggressive Mode as initiator (RFC 2409 section 5.4): messages 1 and 3.  Message 2 comes in clear
 * and anybody on the way can make one up, so one that does not verify is as none: the exchange
 * waits for a better one.  Message 3 is the last; that it arrived is shown only by what the peer
 * says next.
 */
#include <stdlib.h>
#include <string.h>

#include "iked/aggressive.h"
#include "iked/exchange.h"
#include "iked/vendor.h"

#define NONCE_LEN 32

/*
 * Milliseconds between message 3 and a Quick Mode of ours.  strongSwan gives the datagrams of a
 * peer to several threads and ignores a Quick Mode that gets ahead of message 3, for as long as it
 * takes us to send it again.
 */
#define SETTLE_MS 30

int ike_aggressive_begin(struct ike_engine *e, struct ike_p1 *p1, struct cs_err *err)
{
	const struct cs_group *group =
		ike_p1_offer_group(p1->rule->action, ike_certs_usable(e), p1->ex->only);

	if (!group)
		return cs_fail(err, CS_EPOLICY,
			       "KeyExchangeAction %s has no offer that can be made",
			       p1->rule->action->name);
	p1->state = IKE_AM_BUSY_1;
	return ike_job_start(e, p1, NULL, group, (struct cs_bytes){NULL, 0}, err);
}

/* ---- message 1 ---- */

static int build1(struct ike_engine *e, struct ike_p1 *p1, size_t *len, struct cs_err *err)
{
	struct ike_exchange *ex = p1->ex;
	struct cs_bytes ke = ike_dh_public(ex->dh);
	struct isa_builder b;
	int rc;

	ike_exchange_begin(e, p1, &b);
	rc = ike_exchange_put_offer(e, p1, &b, err);
	if (rc)
		return rc;
	isa_put(&b, ISA_KE, ke.p, ke.len);
	isa_put(&b, ISA_NONCE, ex->ni.data, ex->ni.len);
	isa_put(&b, ISA_ID, ex->id, ex->id_len);
	ike_cert_put_requests(p1, &b);
	ike_vendor_put(&b, 0, ike_nat_offer(p1->rule, &p1->sid.remote.addr));
	return ike_exchange_end(&b, len, err);
}

void ike_aggressive_send1(struct ike_engine *e, struct ike_p1 *p1)
{
	struct cs_err err = {0};
	size_t len;

	p1->ex->ni.len = NONCE_LEN; /* the hash is not known yet */
	ike_random(e, p1->ex->ni.data, NONCE_LEN);
	if (build1(e, p1, &len, &err) || ike_exchange_send(e, p1, IKE_AM_SENT_1, len, &err))
		ike_p1_fail(e, p1, "%s", err.text);
}

/* ---- message 2 ---- */

/* It was none: what it brought is forgotten, and another one may come. */
static void wait_again(struct ike_engine *e, struct ike_p1 *p1, const char *why)
{
	static const uint8_t no_cookie[ISA_COOKIE_LEN];
	struct ike_exchange *ex = p1->ex;

	ike_exchange_note(p1, why);
	ex->refused = ex->request;
	ex->keyed = false;
	free(ex->peer_id);
	ex->peer_id = NULL;
	ex->peer_id_len = ex->proof_len = 0;
	ike_cert_forget_peer(p1);
	memset(&p1->suite, 0, sizeof(p1->suite));
	p1->nat = (struct ike_nat){0};
	ike_p1_set_rcookie(e, p1, no_cookie);
	p1->state = IKE_AM_SENT_1;
	ike_rt_hurry(&ex->rt);
	ike_rt_resume(e, &ex->rt, &p1->timer);
}

static int take_proof(struct ike_p1 *p1, const struct isa_message *m, struct cs_err *err)
{
	const struct isa_payload *hash = isa_find(m, ISA_HASH, 0);
	struct cs_bytes id = isa_find(m, ISA_ID, 0)->body;
	int rc = ike_exchange_keep_id(p1, id, err);

	if (rc)
		return rc;
	if (ike_auth_signs(p1) != !hash)
		return cs_fail(err, CS_EPARSE, "message 2 has %s, and the chosen offer takes %s",
			       hash ? "a HASH" : "a signature", hash ? "a signature" : "a HASH");
	if (!hash) {
		rc = ike_cert_take_requests(p1, m, err);
		return rc ? rc : ike_cert_take_proof(p1, m, id, err);
	}
	memcpy(p1->ex->proof, hash->body.p, hash->body.len);
	p1->ex->proof_len = (uint16_t)hash->body.len;
	return 0;
}

static int take2(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m,
		 struct cs_err *err)
{
	const struct cs_group *ours =
		ike_p1_offer_group(p1->rule->action, ike_certs_usable(e), p1->ex->only);
	unsigned offer;
	int rc = ike_p1_accept(isa_find(m, ISA_SA, 0)->body, p1->rule->action, ike_certs_usable(e),
			       p1->ex->only, &p1->suite, &offer, err);

	if (!rc && p1->suite.group != ours)
		rc = cs_fail(err, CS_EPOLICY,
			     "the peer chose group %s, and message 1 had brought a value of %s",
			     p1->suite.group->suite, ours->suite);
	if (!rc)
		rc = ike_exchange_take_ke(p1, m, &p1->ex->nr, err);
	if (!rc)
		rc = take_proof(p1, m, err);
	return rc;
}

void ike_aggressive_receive2(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m)
{
	struct cs_err err = {0};

	if (p1->ex->request == p1->ex->refused) {
		e->stats.repeats_refused++;
		return;
	}
	if (take2(e, p1, m, &err)) {
		wait_again(e, p1, err.text);
		return;
	}
	ike_timer_stop(&e->timers, &p1->timer);
	p1->can = (uint8_t)ike_vendor_read(m);
	ike_p1_set_rcookie(e, p1, m->header.rcookie);
	p1->state = IKE_AM_BUSY_3;
	ike_nat_agree(p1);
	if (ike_nat_take(e, p1, m, &err))
		wait_again(e, p1, err.text);
	else
		ike_exchange_compute_secret(e, p1);
}

static int verify2(struct ike_p1 *p1, struct cs_err *err)
{
	struct ike_exchange *ex = p1->ex;

	return ike_auth_check_proof(p1, (struct cs_bytes){ex->proof, ex->proof_len},
				    (struct cs_bytes){ex->peer_id, ex->peer_id_len},
				    isa_step_name(ISA_STEP_AGGR_2_PSK), err);
}

/* ---- message 3 ---- */

/* Kept as the answer to message 2, which the peer repeats when it misses this one. */
static int send3(struct ike_engine *e, struct ike_p1 *p1, struct cs_err *err)
{
	struct isa_builder b;
	size_t len;
	int rc;

	ike_seal_begin(e, p1, &b, ISA_AGGRESSIVE, 0, IKE_SEAL_PLAIN);
	rc = ike_auth_put_proof(p1, &b, err);
	if (rc)
		return rc;
	rc = ike_nat_put(e, p1, &b, err);
	if (rc)
		return rc;
	if (!ike_contact_known(e, p1))
		ike_put_initial_contact(p1, &b);
	len = ike_seal_end(e, p1, &b, 0, IKE_SEAL_PLAIN, NULL, NULL, p1->iv, err);
	return len ? ike_exchange_answer(e, p1, len, err) : CS_ECRYPTO;
}

void ike_aggressive_keys3(struct ike_engine *e, struct ike_p1 *p1, const struct ike_pk_job *job)
{
	struct cs_err err = {0};

	if (job->status)
		wait_again(e, p1, job->err.text);
	else if (ike_exchange_derive(p1, job, &err))
		ike_p1_fail(e, p1, "%s", err.text);
	else if (!ike_auth_signs(p1) && verify2(p1, &err))
		ike_aggressive_refuse2(e, p1, ISA_N_AUTHENTICATION_FAILED, err.text);
	else if (!ike_auth_signs(p1))
		ike_aggressive_verified2(e, p1);
	else if (ike_cert_verify(e, p1, &err))
		ike_p1_fail(e, p1, "%s", err.text);
}

void ike_aggressive_refuse2(struct ike_engine *e, struct ike_p1 *p1, unsigned notify,
			    const char *why)
{
	if (!ike_auth_signs(p1)) {
		e->stats.auth_failures++;
		p1->ex->wrong_key = true;
	}
	ike_notify_clear(e, &p1->sid.local, &p1->sid.remote, p1->sid.icookie, p1->sid.rcookie,
			 notify, SIZE_MAX);
	wait_again(e, p1, why);
}

void ike_aggressive_verified2(struct ike_engine *e, struct ike_p1 *p1)
{
	struct cs_bytes id = {p1->ex->peer_id, p1->ex->peer_id_len};
	struct cs_err err = {0};

	ike_rt_clear(&p1->ex->rt);
	if (ike_auth_check_identity(p1, id, &err))
		ike_auth_refuse_identity(e, p1, err.text);
	else
		ike_exchange_prove(e, p1);
}

void ike_aggressive_send3(struct ike_engine *e, struct ike_p1 *p1)
{
	struct cs_bytes id = {p1->ex->peer_id, p1->ex->peer_id_len};
	struct cs_err err = {0};

	ike_nat_float(e, p1);
	if (send3(e, p1, &err)) {
		ike_p1_fail(e, p1, "%s", err.text);
		return;
	}
	p1->quick_from = e->now.mono + SETTLE_MS;
	ike_exchange_done(e, p1, id, false);
}
