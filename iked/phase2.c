/*
 * The life of a phase 2 SA pair around its exchange: keys, the commit gate, records.
 * Nothing keyed enters the kernel before the store has the intent; every intent gets one result and
 * every pair that came up one record of its end.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "iked/engine_private.h"

/* ---- what a pair is ---- */

bool ike_transport_ok(const struct cs_selector *s, const struct cs_addr *local,
		      const struct cs_addr *remote)
{
	return cs_range_is_single(&s->local) && cs_range_is_single(&s->remote) &&
	       cs_addr_equal(&s->local.lo, local) && cs_addr_equal(&s->remote.lo, remote);
}

bool ike_p2_transport_ok(const struct ike_tunnel *t)
{
	return ike_transport_ok(&t->selector, &t->local, &t->remote);
}

static const char *peer_text(const struct ike_p2 *p2, char buf[static CS_ADDR_STRLEN])
{
	return cs_addr_text(&p2->tunnel->remote, buf);
}

/* A peer may say more than can be counted in bytes; the cache has 32 bits for it. */
uint64_t ike_life_kbytes(uint64_t agreed)
{
	return agreed > UINT32_MAX ? UINT32_MAX : agreed;
}

void ike_p2_settle_life(struct ike_engine *e, struct ike_p2 *p2)
{
	struct ike_tunnel *t = p2->tunnel;
	uint64_t life = p2->suite.life_seconds ? p2->suite.life_seconds : IKE_DEFAULT_LIFE;

	if (p2->suite.life_max && life > p2->suite.life_max)
		life = p2->suite.life_max;
	if (life > UINT32_MAX / 1000)
		life = UINT32_MAX / 1000;
	if (!t->vpn_expires && p2->rule->vpn->vpn_life)
		t->vpn_expires = e->now.wall + p2->rule->vpn->vpn_life;
	if (t->vpn_expires && t->vpn_expires - e->now.wall < (int64_t)life)
		life = t->vpn_expires > e->now.wall ? (uint64_t)(t->vpn_expires - e->now.wall) : 1;
	p2->life_seconds = (uint32_t)life;
	p2->life_kbytes = ike_life_kbytes(p2->suite.life_kbytes);
}

/* Of one SA; each protocol and SPI has its own (RFC 2409 section 5.5). */
static int sa_keymat(const struct ike_p2 *p2, struct cs_bytes gxy, enum pol_proto proto,
		     uint32_t spi, uint8_t *out, size_t len, struct cs_err *err)
{
	const struct ike_quick *qm = p2->qm;
	struct cs_bytes ni = {qm->ni.data, qm->ni.len}, nr = {qm->nr.data, qm->nr.len};

	return ike_keymat(p2->p1->suite.hash, p2->p1->keys->d, gxy, (uint8_t)proto, spi, ni, nr,
			  out, len, err);
}

int ike_p2_keymat(struct ike_p2 *p2, struct cs_bytes gxy, struct cs_err *err)
{
	struct ike_quick *qm = p2->qm;
	enum pol_proto proto = p2->suite.protocol;
	int rc;

	qm->keymat_len = ike_p2_keymat_len(&p2->suite);
	qm->ah_keymat_len = ike_p2_ah_keymat_len(&p2->suite);
	if (!qm->keymat_len || qm->keymat_len > sizeof(qm->keymat_in) ||
	    qm->keymat_len + qm->ah_keymat_len > sizeof(qm->keymat_in))
		return cs_fail(err, CS_ECRYPTO, "the agreed offer needs %zu bytes of keys",
			       qm->keymat_len + qm->ah_keymat_len);
	rc = sa_keymat(p2, gxy, proto, p2->spi_in, qm->keymat_in, qm->keymat_len, err);
	if (!rc)
		rc = sa_keymat(p2, gxy, proto, p2->spi_out, qm->keymat_out, qm->keymat_len, err);
	if (!rc && p2->suite.ah)
		rc = sa_keymat(p2, gxy, POL_AH, p2->ah_in, qm->keymat_in + qm->keymat_len,
			       qm->ah_keymat_len, err);
	if (!rc && p2->suite.ah)
		rc = sa_keymat(p2, gxy, POL_AH, p2->ah_out, qm->keymat_out + qm->keymat_len,
			       qm->ah_keymat_len, err);
	return rc;
}

/* ---- the commit gate ---- */

static enum ike_done record(struct ike_engine *e, const struct ike_p2 *p2,
			    enum ike_record_kind kind, const struct xf_counters *in,
			    const struct xf_counters *out, const char *reason, uint64_t *tx)
{
	struct ike_p1_info p1;
	struct ike_p2_info info;
	struct ike_record rec = {
		.kind = kind,
		.when = e->now,
		.intent = kind == IKE_REC_P2_UP || kind == IKE_REC_P2_FAILED ? p2->tx : 0,
		.p2 = &info,
		.in = in,
		.out = out,
		.reason = reason,
	};

	if (p2->p1) {
		ike_p1_view(p2->p1, &p1);
		rec.p1 = &p1;
	}
	ike_p2_view(p2, &info);
	return e->ops.record(e->ctx, &rec, tx);
}

void ike_p2_committed(struct ike_engine *e, struct ike_p2 *p2, int status)
{
	ike_table_remove(&e->txs, &p2->by_tx);
	if (!p2->qm)
		return;
	if (status) {
		p2->qm->intended = false; /* the store does not have it, so it gets no result */
		ike_p2_fail(e, p2, true,
			    "its record could not be stored (%s), nothing is installed",
			    cs_code_name((enum cs_code)status));
		return;
	}
	if (p2->initiator)
		ike_quick_init_commit(e, p2);
	else
		ike_quick_resp_commit(e, p2);
}

void ike_p2_intend(struct ike_engine *e, struct ike_p2 *p2)
{
	uint64_t tx = 0;
	enum ike_done done = record(e, p2, IKE_REC_P2_INTENT, NULL, NULL, "", &tx);

	p2->tx = tx;
	p2->qm->intended = true;
	if (done == IKE_LATER)
		ike_p2_set_tx(e, p2, tx);
	else
		ike_p2_committed(e, p2, 0);
}

/* ---- up ---- */

/* Its phase 1 SA has a record of how many came up and failed. */
static void count(struct ike_engine *e, const struct ike_p2 *p2, bool up)
{
	struct ike_p1 *p1 = p2->p1;

	if (!p1)
		return;
	if (p2->initiator)
		*(up ? &p1->counts.local_up : &p1->counts.local_failed) += 1;
	else
		*(up ? &p1->counts.remote_up : &p1->counts.remote_failed) += 1;
	if (p1->up)
		ike_keep_later(e, p1);
}

void ike_p2_end_quick(struct ike_p2 *p2)
{
	struct ike_quick *qm = p2->qm;

	if (!qm)
		return;
	if (!p2->dead && p2->p1 && !p2->initiator)
		p2->p1->n_quick--;
	p2->qm = NULL;
	ike_job_orphan(qm->job, qm->dh);
	ike_rt_clear(&qm->rt);
	ike_arena_put(qm, sizeof(*qm));
}

/* More generations than the bound: the oldest that is up goes. */
static void bound_generations(struct ike_engine *e, struct ike_tunnel *t)
{
	struct ike_p2 *oldest = NULL;
	unsigned n = 0;

	for (struct ike_list *l = t->p2s.next; l != &t->p2s; l = l->next) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, in_tunnel);

		if (!p2->up)
			continue;
		n++;
		if (!oldest || p2->up < oldest->up)
			oldest = p2;
	}
	if (n > IKE_GENERATIONS_MAX)
		ike_p2_down(e, oldest, true, NULL,
			    "newer generations of the tunnel took its place");
}

void ike_p2_up(struct ike_engine *e, struct ike_p2 *p2)
{
	unsigned short_bits = ike_p2_icv_bits(p2, p2->suite.ah ? p2->suite.ah : p2->suite.integ);
	char suite[100], selector[CS_SELECTOR_STRLEN];
	uint64_t tx;

	ike_quick_forget(e, p2);
	p2->state = IKE_QM_DONE;
	/* The peer has the responder's message, or it could not have gone on. */
	if (!p2->initiator)
		p2->answer.inherited = false;
	p2->up = ike_serial(e);
	p2->installed = e->now.wall;
	p2->expires = e->now.wall + p2->life_seconds;
	ike_takeover_quick_ended(e, p2);
	ike_p2_end_quick(p2);
	ike_refresh_plan_p2(e, p2, (uint64_t)p2->life_seconds * 1000);
	ike_timer_set(&e->timers, &p2->linger, e->now.mono + IKE_REPEAT_MS);
	e->stats.p2_up++;
	count(e, p2, true);
	ike_logf(e, ike_p2_ctx(p2), CSM_P2_UP, p2->generation, p2->tunnel->number, p2->rule->name,
		 ike_p2_suite_text(&p2->suite, suite, sizeof(suite)),
		 cs_selector_text(&p2->tunnel->selector, selector), p2->spi_in, p2->spi_out,
		 p2->life_seconds);
	if (p2->suite.ah)
		ike_logf(e, ike_p2_ctx(p2), CSM_P2_AH, p2->tunnel->number, p2->ah_in, p2->ah_out);
	if (short_bits)
		ike_logf(e, ike_p2_ctx(p2), CSM_P2_SHORT, p2->tunnel->number, short_bits);
	record(e, p2, IKE_REC_P2_UP, NULL, NULL, "", &tx);
	ike_tell(e, IKE_EV_P2_UP, p2->instance, p2->parent, p2->tunnel->number, p2->rule->name, "");
	ike_refresh_settle_p2(e, p2);
	bound_generations(e, p2->tunnel);
	ike_auto_up(e, p2);
	ike_takeover_up(e, p2);
}

void ike_p2_record_moved(struct ike_engine *e, const struct ike_p2 *p2)
{
	uint64_t tx;

	record(e, p2, IKE_REC_P2_MOVED, NULL, NULL, "", &tx);
}

/* ---- down ---- */

static void end_failed(struct ike_engine *e, struct ike_p2 *p2, bool tell, const char *reason,
		       const char *told)
{
	struct ike_tunnel_key key = ike_tunnel_key_of(p2->tunnel);
	struct ike_old_peer *heir_of;
	bool again;
	uint64_t tx;

	e->stats.p2_failed++;
	count(e, p2, false);
	ike_quick_forget(e, p2);
	ike_p2_uninstall(e, p2);
	if (tell)
		ike_delete_p2(e, p2);
	if (p2->qm->intended && (!p2->by_tx.in || ike_unsettled_keep(e, p2, reason)))
		record(e, p2, IKE_REC_P2_FAILED, NULL, NULL, reason, &tx);
	/* Another pair of the tunnel may have come up. */
	if (p2->qm->asked && !p2->tunnel->policy_in)
		ike_hold_failed(e, &key);
	again = p2->initiator && p2->qm->only >= 0 && p2->qm->refused;
	heir_of = ike_takeover_quick_ended(e, p2);
	ike_p2_unlink(e, p2);
	ike_takeover_p2_ended(e, p2, heir_of, again);
	/* Who waits for a refresh is told of its last attempt. */
	if (ike_refresh_p2_failed(e, p2->tunnel, again))
		return;
	ike_tell(e, IKE_EV_FAILED, p2->instance, p2->parent, p2->tunnel->number, p2->rule->name,
		 told);
	ike_auto_failed(e, p2, reason);
}

void ike_p2_fail(struct ike_engine *e, struct ike_p2 *p2, bool tell, const char *format, ...)
{
	char reason[sizeof(((struct cs_err *)0)->text)], told[IKE_EVENT_MAX];
	char peer[CS_ADDR_STRLEN];
	va_list ap;

	if (p2->dead)
		return;
	va_start(ap, format);
	vsnprintf(reason, sizeof(reason), format, ap);
	va_end(ap);
	ike_logf(e, ike_p2_ctx(p2), CSM_P2_FAILED, p2->tunnel->number, peer_text(p2, peer),
		 p2->rule->name, reason);
	snprintf(told, sizeof(told), "phase 2 with %s failed (rule %s): %s", peer, p2->rule->name,
		 reason);
	end_failed(e, p2, tell, reason, told);
}

void ike_p2_fail_with_p1(struct ike_engine *e, struct ike_p2 *p2, const char *reason)
{
	char peer[CS_ADDR_STRLEN];

	if (p2->dead)
		return;
	ike_logf(e, ike_p2_ctx(p2), CSM_P2_ENDED, p2->tunnel->number, peer_text(p2, peer),
		 p2->rule->name, reason);
	end_failed(e, p2, false, reason, reason);
}

static bool last_counters(struct ike_engine *e, const struct xf_said *id, const struct xf_expire *x,
			  struct xf_counters *c)
{
	struct cs_err err;

	if (x && x->id.spi == id->spi && x->id.proto == id->proto &&
	    cs_addr_equal(&x->id.dst, &id->dst)) {
		*c = x->counters;
		return true;
	}
	return !e->ops.sa_counters(e->ctx, id, c, &err);
}

/*
 * The newest successor has waited long enough when this was what carried the traffic.  Who ends
 * this one may be walking the list that both are in: coming up ends none, as beside this one there
 * is no other that is up, and what cannot take over ends by its timer.
 */
static void settle_waiting(struct ike_engine *e, const struct ike_p2 *p2)
{
	struct cs_err err;

	if (ike_p2_another_outbound(p2))
		return;
	for (struct ike_list *l = p2->tunnel->p2s.next; l != &p2->tunnel->p2s; l = l->next) {
		struct ike_p2 *waiting = IKE_OF(l, struct ike_p2, in_tunnel);

		if (waiting->state != IKE_QM_SENT_3)
			continue;
		if (ike_p2_install_out(e, waiting, &err))
			ike_timer_set(&e->timers, &waiting->timer, e->now.mono);
		else
			ike_p2_up(e, waiting);
		return;
	}
}

void ike_p2_down(struct ike_engine *e, struct ike_p2 *p2, bool tell, const struct xf_expire *x,
		 const char *reason)
{
	struct xf_said in_id = ike_p2_said_in(p2), out_id = ike_p2_said_out(p2);
	struct xf_counters in, out;
	char peer[CS_ADDR_STRLEN];
	bool have_in, have_out;
	uint64_t tx;

	if (p2->dead)
		return;
	settle_waiting(e, p2);
	have_in = last_counters(e, &in_id, x, &in);
	have_out = last_counters(e, &out_id, x, &out);
	ike_p2_uninstall(e, p2);
	if (tell)
		ike_delete_p2(e, p2);
	e->stats.p2_down++;
	ike_logf(e, ike_p2_ctx(p2), CSM_P2_DOWN, p2->generation, p2->tunnel->number,
		 peer_text(p2, peer), reason);
	record(e, p2, IKE_REC_P2_DOWN, have_in ? &in : NULL, have_out ? &out : NULL, reason, &tx);
	ike_tell(e, IKE_EV_P2_DOWN, p2->instance, p2->parent, p2->tunnel->number, p2->rule->name,
		 reason);
	ike_p2_unlink(e, p2);
	ike_refresh_p2_ended(e, p2->tunnel);
	ike_auto_ended(e, p2, reason);
}

void ike_p2_end(struct ike_engine *e, struct ike_p2 *p2, bool tell, const char *reason)
{
	if (p2->up)
		ike_p2_down(e, p2, tell, NULL, reason);
	else
		ike_p2_fail(e, p2, tell, "%s", reason);
}

/* A larval state may go: the SA is added anew with the peer's answer. An installed one may not. */
void ike_p2_larval_expired(struct ike_engine *e, struct ike_p2 *p2)
{
	if (p2->in_kernel)
		ike_p2_fail(e, p2, true, "the kernel no longer has its inbound SA");
	else
		p2->larval = false;
}

/* ---- timers ---- */

/*
 * A peer that says nothing to message 1 has perhaps lost the phase 1 SA, or is gone: it is asked,
 * or where that cannot be the phase 1 SA goes too, so that the next attempt begins with a new one.
 */
static void give_up(struct ike_engine *e, struct ike_p2 *p2)
{
	struct ike_p1 *p1 = p2->p1;
	bool silent = p2->initiator && !p2->qm->cause[0];

	ike_p2_fail(e, p2, true, "no %sanswer to Quick Mode message %u after %u transmissions%s%s",
		    p2->qm->cause[0] ? "usable " : "", p2->initiator ? 1u : 2u, p2->qm->rt.sent,
		    p2->qm->cause[0] ? ": " : "", p2->qm->cause);
	if (silent && p1 && !p1->dead && !ike_dpd_probe(e, p1->peer, p1))
		ike_p1_down(e, p1, true, "the peer does not answer");
}

/* Our own part takes too long; the peer still waits, and its silence is not the cause. */
static void overdue(struct ike_engine *e, struct ike_p2 *p2)
{
	ike_p2_fail(e, p2, p2->initiator, "%s within %u s, nothing is installed",
		    p2->qm->intended ? "the database did not take its record"
				     : "its keys were not computed",
		    (unsigned)(ike_quick_busy_ms(e) / 1000));
}

static void due(struct ike_engine *e, struct ike_p2 *p2)
{
	if (e->now.mono >= p2->ends)
		ike_p2_down(e, p2, true, NULL, "its lifetime is over");
	else if (p2->superseded)
		ike_p2_down(e, p2, true, NULL, "a newer one has taken its place");
	else
		ike_refresh_p2_due(e, p2);
}

void ike_p2_timer(struct ike_engine *e, struct ike_timer *t)
{
	struct ike_p2 *p2 = IKE_OF(t, struct ike_p2, timer);
	struct ike_p1 *p1 = p2->p1;
	char peer[CS_ENDPOINT_STRLEN];

	if (p2->up) {
		due(e, p2);
		return;
	}
	if (p2->state == IKE_QM_BUSY_1 || p2->state == IKE_QM_BUSY_2 ||
	    p2->state == IKE_QM_BUSY_3) {
		overdue(e, p2);
		return;
	}
	if (p2->state == IKE_QM_PENDING) {
		ike_quick_start(e, p2);
		return;
	}
	if (p2->state == IKE_QM_SENT_3) {
		ike_quick_init_settle(e, p2);
		return;
	}
	if (p1 && p2->initiator)
		ike_exchange_last_again(e, p1);
	if (p1 && ike_rt_again(e, &p2->qm->rt, &p2->timer, p1)) {
		ike_logf(e, ike_p2_ctx(p2), CSM_RETRANSMIT, cs_endpoint_text(&p1->sid.remote, peer),
			 p2->initiator ? 1u : 2u, p2->qm->rt.sent, p2->qm->rt.limit);
		return;
	}
	give_up(e, p2);
}

void ike_p2_linger(struct ike_engine *e, struct ike_timer *t)
{
	struct ike_p2 *p2 = IKE_OF(t, struct ike_p2, linger);

	ike_answer_clear(&p2->answer);
	ike_table_remove(&e->mids, &p2->by_mid);
}
