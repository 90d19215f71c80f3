/*
 * The life of a phase 1 SA around its exchange: it comes up, fails, expires, is deleted; and what
 * INITIAL-CONTACT takes with it.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "iked/engine_private.h"

#define BUSY_MS 5000u /* until an SA that is not needed any more is looked at again */

static const char *rule_name(const struct ike_p1 *p1)
{
	return p1->rule ? p1->rule->name : "";
}

void ike_p1_end_exchange(struct ike_p1 *p1)
{
	struct ike_exchange *ex = p1->ex;

	if (!ex)
		return;
	p1->ex = NULL;
	ike_job_orphan(ex->job, ex->dh);
	ike_certs_free(ex->certs);
	ike_rt_clear(&ex->rt);
	free(ex->sai);
	free(ex->id);
	free(ex->peer_id);
	free(ex->early.data);
	ike_arena_put(ex, sizeof(*ex));
}

/* ---- up ---- */

void ike_p1_record(struct ike_engine *e, const struct ike_p1 *p1, enum ike_record_kind kind,
		   const char *reason)
{
	struct ike_p1_info info;
	struct ike_record rec = {.kind = kind, .when = e->now, .p1 = &info, .reason = reason};
	uint64_t tx;

	ike_p1_view(p1, &info);
	e->ops.record(e->ctx, &rec, &tx);
}

static void log_up(struct ike_engine *e, struct ike_p1 *p1)
{
	char local[CS_ENDPOINT_STRLEN], remote[CS_ENDPOINT_STRLEN], suite[80];
	char local_id[IKE_ID_TEXT], remote_id[IKE_ID_TEXT];
	const struct ike_peer *peer = p1->peer;
	struct cs_bytes lid = {peer->ids, peer->local_id_len};
	struct cs_bytes rid = {peer->ids + peer->local_id_len, peer->remote_id_len};

	ike_logf(e, ike_p1_ctx(p1), CSM_P1_UP, p1->generation, p1->tunnel, rule_name(p1),
		 cs_endpoint_text(&p1->sid.local, local),
		 ike_ident_text(lid, local_id, sizeof(local_id)),
		 cs_endpoint_text(&p1->sid.remote, remote),
		 ike_ident_text(rid, remote_id, sizeof(remote_id)),
		 ike_p1_suite_text(&p1->suite, suite, sizeof(suite)), p1->life_seconds);
}

int ike_p1_up(struct ike_engine *e, struct ike_p1 *p1, struct cs_bytes remote_id,
	      struct cs_err *err)
{
	struct cs_bytes own = {p1->ex->id, p1->ex->id_len};
	uint64_t life = p1->suite.life_seconds ? p1->suite.life_seconds : IKE_DEFAULT_LIFE;
	struct ike_peer *peer;
	int rc;

	if (p1->suite.life_max && life > p1->suite.life_max)
		life = p1->suite.life_max;
	rc = pol_ke_rule_content(p1->rule, p1->content, err);

	if (rc)
		return rc;
	if (p1->suite.xauth && ike_client_make(e, p1, err))
		return err->code;
	peer = ike_peer_get(e, &p1->sid.local.addr, &p1->sid.remote.addr, own, remote_id);
	if (!peer)
		return cs_fail(err, CS_ENOMEM, "no memory for the peer");
	p1->peer = peer;
	ike_list_add_head(&peer->p1s, &p1->in_peer);
	/* Clients share an identity, so one of them does not succeed another. */
	if (!p1->client)
		ike_refresh_join_p1(e, p1);
	p1->generation = ++p1->generations->n;
	p1->authenticated = true;
	p1->state = IKE_EX_DONE;
	p1->up = ike_serial(e);
	p1->life_seconds = life > UINT32_MAX / 1000 ? UINT32_MAX / 1000 : (uint32_t)life;
	p1->life_kbytes = ike_life_kbytes(p1->suite.life_kbytes);
	p1->established = e->now.wall;
	p1->expires = e->now.wall + p1->life_seconds;
	ike_half_leave_p1(e, p1);
	ike_table_remove(&e->targets, &p1->by_target);
	ike_p1_end_exchange(p1);
	ike_refresh_plan_p1(e, p1, (uint64_t)p1->life_seconds * 1000);
	ike_timer_set(&e->timers, &p1->linger, e->now.mono + IKE_REPEAT_MS);
	e->stats.p1_up++;
	log_up(e, p1);
	if (p1->nat.encap)
		ike_logf(e, ike_p1_ctx(p1), CSM_NAT_FOUND, p1->tunnel, rule_name(p1),
			 ike_nat_text(&p1->nat), ike_nat_level_text(p1->nat.level));
	ike_p1_record(e, p1, IKE_REC_P1_UP, "");
	ike_keep_later(e, p1);
	ike_tell(e, IKE_EV_P1_UP, p1->instance, p1->tunnel, 0, rule_name(p1), "");
	if (!p1->client)
		ike_refresh_settle_p1(e, p1);
	ike_dpd_start(e, p1);
	ike_keepalive_start(e, p1);
	return 0;
}

/* Those that waited for it begin. */
void ike_p1_start_waiting(struct ike_engine *e, struct ike_p1 *p1)
{
	struct ike_list *l, *next;

	for (l = p1->p2s.next; l != &p1->p2s && !p1->dead; l = next) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, in_p1);

		next = l->next;
		if (p2->state == IKE_QM_PENDING)
			ike_quick_soon(e, p2);
	}
}

/* ---- down ---- */

static struct ike_p2 *under_way(const struct ike_p1 *p1)
{
	for (const struct ike_list *l = p1->p2s.next; l != &p1->p2s; l = l->next)
		if (IKE_OF(l, struct ike_p2, in_p1)->state != IKE_QM_DONE)
			return IKE_OF(l, struct ike_p2, in_p1);
	return NULL;
}

/*
 * The exchanges under it end with it; pairs that are up live on without it.  Those that only waited
 * for it have no failure of their own to tell.  A pair that comes up by this can end an older one,
 * so each step begins at the head of the list.
 */
static void end_exchanges(struct ike_engine *e, struct ike_p1 *p1, const char *reason)
{
	struct ike_p2 *p2;

	while ((p2 = under_way(p1))) {
		if (p2->state == IKE_QM_PENDING)
			ike_p2_fail_with_p1(e, p2, reason);
		else if (p2->state == IKE_QM_SENT_3)
			ike_quick_init_settle(e, p2);
		else
			ike_p2_fail(e, p2, false, "%s", reason);
	}
}

/* What was told already, or is one of a flood, is no news. */
static void log_failure(struct ike_engine *e, const struct ike_p1 *p1, const char *peer,
			const char *reason)
{
	bool told = p1->ex && p1->ex->told;

	if (!told && (p1->initiator || ike_take_token(e, ike_exchange_log_bucket(e, p1))))
		ike_logf(e, ike_p1_ctx(p1), CSM_P1_FAILED, p1->tunnel, peer, rule_name(p1), reason);
	else
		ike_logf(e, ike_p1_ctx(p1), CSM_P1_ENDED, p1->tunnel, peer, rule_name(p1), reason);
}

/* The SA that this one was to succeed. */
static struct ike_p1 *predecessor(const struct ike_engine *e, const struct ike_p1 *p1)
{
	struct ike_p1 *old =
		p1->ex && p1->ex->successor_of ? ike_p1_by_number(e, p1->ex->successor_of) : NULL;

	return old && old->up && !old->superseded ? old : NULL;
}

/* The peer has said something to message 1, and it was not yes. */
static bool refused_offer(const struct ike_p1 *p1)
{
	return p1->ex->cause[0] && (p1->state == IKE_MM_SENT_1 || p1->state == IKE_AM_SENT_1);
}

void ike_p1_fail(struct ike_engine *e, struct ike_p1 *p1, const char *format, ...)
{
	char reason[sizeof(((struct cs_err *)0)->text)], told[IKE_EVENT_MAX];
	char peer[CS_ENDPOINT_STRLEN];
	struct ike_old_peer *heir_of;
	struct ike_p1 *old;
	bool again;
	va_list ap;

	if (p1->dead)
		return;
	va_start(ap, format);
	vsnprintf(reason, sizeof(reason), format, ap);
	va_end(ap);
	e->stats.p1_failed++;
	cs_endpoint_text(&p1->sid.remote, peer);
	log_failure(e, p1, peer, reason);
	snprintf(told, sizeof(told), "phase 1 with %s failed (rule %s): %s", peer, rule_name(p1),
		 reason);
	end_exchanges(e, p1, told);
	old = predecessor(e, p1);
	again = p1->ex && p1->ex->only >= 0 && refused_offer(p1);
	heir_of = p1->ex ? p1->ex->heir_of : NULL;
	ike_p1_unlink(e, p1);
	if (heir_of)
		ike_takeover_p1_failed(e, heir_of, again, reason);
	/* Who waits for a refresh is told of its last attempt. */
	if (!old || !ike_refresh_p1_failed(e, old, again))
		ike_tell(e, IKE_EV_FAILED, p1->instance, p1->tunnel, 0, rule_name(p1), told);
}

void ike_p1_down(struct ike_engine *e, struct ike_p1 *p1, bool tell, const char *reason)
{
	char peer[CS_ENDPOINT_STRLEN];

	if (p1->dead)
		return;
	if (!p1->up) {
		p1->ex->only =
			-1; /* it is ended; the policy's own list is not tried in its place */
		ike_p1_fail(e, p1, "%s", reason);
		return;
	}
	ike_client_end_pairs(e, p1, tell, reason);
	end_exchanges(e, p1, reason);
	if (tell)
		ike_delete_p1(e, p1);
	ike_logf(e, ike_p1_ctx(p1), CSM_P1_DOWN, p1->generation, p1->tunnel,
		 cs_endpoint_text(&p1->sid.remote, peer), reason);
	ike_forget(e, p1);
	ike_p1_record(e, p1, IKE_REC_P1_DOWN, reason);
	ike_tell(e, IKE_EV_P1_DOWN, p1->instance, p1->tunnel, 0, rule_name(p1), reason);
	ike_refresh_p1_ended(e, p1);
	ike_p1_unlink(e, p1);
}

/* ---- lifetimes ---- */

static bool size_used_up(const struct ike_p1 *p1)
{
	return p1->life_kbytes && p1->bytes / 1024 >= p1->life_kbytes;
}

/* Over its life size it ends as by its lifetime: by the timer, when this message is done with. */
void ike_p1_count(struct ike_engine *e, struct ike_p1 *p1, size_t len)
{
	p1->bytes += len;
	if (p1->up)
		ike_keep_later(e, p1);
	if (p1->up && (size_used_up(p1) || (ike_p1_soft_size(p1) && !p1->refreshing)))
		ike_timer_set(&e->timers, &p1->timer, e->now.mono);
}

static bool busy(const struct ike_p1 *p1)
{
	for (const struct ike_list *l = p1->p2s.next; l != &p1->p2s; l = l->next)
		if (IKE_OF(l, struct ike_p2, in_p1)->qm)
			return true;
	return false;
}

void ike_p1_timer(struct ike_engine *e, struct ike_timer *t)
{
	struct ike_p1 *p1 = IKE_OF(t, struct ike_p1, timer);

	if (!p1->up)
		ike_exchange_timeout(e, p1);
	else if (size_used_up(p1))
		ike_p1_down(e, p1, true, "its life size is used up");
	else if (e->now.mono >= p1->ends)
		ike_p1_down(e, p1, true, "its lifetime is over");
	else if (p1->superseded && (busy(p1) || !ike_refresh_p1_replaced(p1)))
		ike_timer_set(&e->timers, t, e->now.mono + BUSY_MS);
	else if (p1->superseded)
		ike_p1_down(e, p1, true, "a newer one has taken its place");
	else
		ike_refresh_p1_due(e, p1);
}

void ike_p1_linger(struct ike_engine *e, struct ike_timer *t)
{
	struct ike_p1 *p1 = IKE_OF(t, struct ike_p1, linger);

	ike_answer_clear(&p1->answer);
	ike_table_remove(&e->icookies, &p1->sid.by_icookie);
}

/* ---- INITIAL-CONTACT ---- */

/*
 * In Aggressive Mode that we began our message 3 may still have been on its way when the peer's
 * exchange began; what the peer has sent before shows that it was not.  If the peer did start
 * afresh, what is superseded goes by its timer.
 */
static bool may_come_yet(const struct ike_p1 *other, const struct ike_p1 *p1)
{
	return other->mode == POL_MODE_AGGRESSIVE && other->initiator && other->superseded &&
	       other->answer.data && (!other->heard || other->heard > p1->sid.born);
}

static bool is_older(const struct ike_p1 *other, const struct ike_p1 *p1)
{
	return other->up < p1->sid.born && !may_come_yet(other, p1);
}

/* What is begun under an SA that the peer may not have is soon begun anew. */
static void hurry_exchanges(struct ike_p1 *p1)
{
	for (struct ike_list *l = p1->p2s.next; l != &p1->p2s; l = l->next) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, in_p1);

		if (p2->qm)
			ike_rt_hurry(&p2->qm->rt);
	}
}

static unsigned end_older_pairs(struct ike_engine *e, struct ike_p1 *p1, bool up,
				const char *reason)
{
	unsigned n = 0;

	for (struct ike_list *l = p1->peer->p2s.next; l != &p1->peer->p2s;) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, in_peer);
		bool older = up ? p2->up && p2->up < p1->sid.born
				: p2->state == IKE_QM_SENT_3 && p2->born < p1->sid.born &&
					     (!p2->p1 || is_older(p2->p1, p1));

		l = l->next;
		if (!older || !ike_client_same(p2->p1, p1))
			continue;
		ike_p2_end(e, p2, false, reason);
		n++;
	}
	return n;
}

/*
 * What the same identity pair, and of clients the same user, had with us before this phase 1 began
 * is gone at the peer.  What came up meanwhile, by a negotiation that crossed this one, is not.
 */
void ike_p1_initial_contact(struct ike_engine *e, struct ike_p1 *p1)
{
	static const char reason[] = "the peer has started afresh (INITIAL-CONTACT)";
	char peer[CS_ENDPOINT_STRLEN];
	struct ike_list *l;
	unsigned n = end_older_pairs(e, p1, false, reason); /* or it would come up for the others */

	n += end_older_pairs(e, p1, true, reason);
	for (l = p1->peer->p1s.next; l != &p1->peer->p1s;) {
		struct ike_p1 *other = IKE_OF(l, struct ike_p1, in_peer);

		l = l->next;
		if (other == p1 || !ike_client_same(other, p1))
			continue;
		if (may_come_yet(other, p1))
			hurry_exchanges(other);
		if (!is_older(other, p1))
			continue;
		ike_p1_down(e, other, false, reason);
		n++;
	}
	if (n)
		ike_logf(e, ike_p1_ctx(p1), CSM_INITIAL_CONTACT,
			 cs_endpoint_text(&p1->sid.remote, peer), n);
}
