/*
 * Main Mode as initiator: messages 1, 3 and 5.
 */
#include "iked/exchange.h"
#include "iked/main_mode.h"
#include "iked/vendor.h"

int ike_main_begin(struct ike_engine *e, struct ike_p1 *p1, struct cs_err *err)
{
	struct isa_builder b;
	size_t len;
	int rc;

	ike_exchange_begin(e, p1, &b);
	rc = ike_exchange_put_offer(e, p1, &b, err);
	if (rc)
		return rc;
	ike_vendor_put(&b, 0, ike_nat_offer(p1->rule, &p1->sid.remote.addr));
	rc = ike_exchange_end(&b, &len, err);
	if (!rc)
		rc = ike_exchange_send(e, p1, IKE_MM_SENT_1, len, err);
	return rc;
}

void ike_main_receive2(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m)
{
	struct cs_err err = {0};
	unsigned offer;

	if (ike_p1_accept(isa_find(m, ISA_SA, 0)->body, p1->rule->action, ike_certs_usable(e),
			  p1->ex->only, &p1->suite, &offer, &err)) {
		ike_exchange_note(p1, err.text);
		ike_rt_hurry(&p1->ex->rt);
		return;
	}
	p1->can = (uint8_t)ike_vendor_read(m);
	ike_nat_agree(p1);
	ike_p1_set_rcookie(e, p1, m->header.rcookie);
	ike_rt_clear(&p1->ex->rt);
	ike_timer_stop(&e->timers, &p1->timer);
	p1->state = IKE_MM_BUSY_3;
	p1->ex->cause[0] = 0;
	if (ike_job_start(e, p1, NULL, p1->suite.group, (struct cs_bytes){NULL, 0}, &err))
		ike_p1_fail(e, p1, "%s", err.text);
}

void ike_main_send3(struct ike_engine *e, struct ike_p1 *p1)
{
	struct cs_err err = {0};
	size_t len;

	ike_exchange_nonce(e, p1, &p1->ex->ni);
	if (ike_main_build_ke(e, p1, &len, &err) ||
	    ike_exchange_send(e, p1, IKE_MM_SENT_3, len, &err))
		ike_p1_fail(e, p1, "%s", err.text);
}

void ike_main_receive4(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m)
{
	struct cs_err err = {0};

	if (ike_exchange_take_ke(p1, m, &p1->ex->nr, &err) ||
	    (ike_auth_signs(p1) && ike_cert_take_requests(p1, m, &err)) ||
	    ike_nat_take(e, p1, m, &err)) {
		ike_exchange_note(p1, err.text);
		return;
	}
	ike_rt_clear(&p1->ex->rt);
	ike_timer_stop(&e->timers, &p1->timer);
	p1->state = IKE_MM_BUSY_5;
	p1->ex->cause[0] = 0;
	ike_exchange_compute_secret(e, p1);
}

void ike_main_keys5(struct ike_engine *e, struct ike_p1 *p1, const struct ike_pk_job *job)
{
	struct cs_err err = {0};

	if (ike_exchange_derive(p1, job, &err))
		ike_p1_fail(e, p1, "%s", err.text);
	else
		ike_exchange_prove(e, p1);
}

void ike_main_send5(struct ike_engine *e, struct ike_p1 *p1)
{
	struct cs_err err = {0};
	size_t len;

	ike_nat_float(e, p1);
	if (ike_main_build_auth(e, p1, !ike_contact_known(e, p1), &len, &err) ||
	    ike_exchange_send(e, p1, IKE_MM_SENT_5, len, &err))
		ike_p1_fail(e, p1, "%s", err.text);
}

void ike_main_receive6(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m)
{
	struct cs_bytes id = isa_find(m, ISA_ID, 0)->body;
	struct cs_err err = {0};

	if (ike_auth_check_identity(p1, id, &err)) {
		ike_auth_refuse_identity(e, p1, err.text);
		return;
	}
	if (!ike_auth_signs(p1)) {
		ike_exchange_done(e, p1, id, false);
		return;
	}
	ike_rt_clear(&p1->ex->rt);
	ike_timer_stop(&e->timers, &p1->timer);
	p1->state = IKE_MM_BUSY_7;
	if (ike_exchange_keep_id(p1, id, &err) || ike_cert_take_proof(p1, m, id, &err) ||
	    ike_cert_verify(e, p1, &err))
		ike_p1_fail(e, p1, "%s", err.text);
}

void ike_main_done6(struct ike_engine *e, struct ike_p1 *p1)
{
	ike_exchange_done(e, p1, (struct cs_bytes){p1->ex->peer_id, p1->ex->peer_id_len}, false);
}
