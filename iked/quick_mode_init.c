/*
 * Quick Mode as initiator.  Order: SPI, message 1; answer checked, keys, intent; when the store has
 * it both SAs and the policy enter the kernel, and only then message 3 leaves.
 */
#include <string.h>

#include "iked/engine_private.h"
#include "iked/proposal_p2.h"
#include "iked/sa_payload.h"

static void fail_err(struct ike_engine *e, struct ike_p2 *p2, const struct cs_err *err)
{
	ike_p2_fail(e, p2, true, "%s", err->text);
}

static const struct cs_group *pfs_group(const struct ike_p2 *p2)
{
	return p2->qm->pfs == POL_PFS_NONE ? NULL : cs_group_by_number(p2->qm->pfs);
}

static int build_message1(struct ike_engine *e, struct ike_p2 *p2, size_t *len, struct cs_err *err)
{
	const struct cs_group *group = pfs_group(p2);
	struct ike_quick *qm = p2->qm;
	struct isa_builder b;
	int rc;

	rc = ike_phase2_iv(p2->p1->suite.hash, p2->p1->suite.cipher, p2->p1->iv, p2->mid, qm->iv,
			   err);
	if (rc)
		return rc;
	ike_quick_make_nonce(e, p2->p1, &qm->ni);
	ike_seal_begin(e, p2->p1, &b, ISA_QUICK, p2->mid, IKE_SEAL_HASH1);
	isa_payload_begin(&b, ISA_SA);
	rc = ike_p2_offer(p2->rule->vpn, group ? group->number : POL_PFS_NONE, ike_p2_path(p2),
			  qm->only, &qm->reserved, &b.w, err);
	if (rc)
		return rc;
	isa_payload_end(&b);
	isa_put(&b, ISA_NONCE, qm->ni.data, qm->ni.len);
	if (group) {
		struct cs_bytes ke = ike_dh_public(qm->dh);

		isa_put(&b, ISA_KE, ke.p, ke.len);
	}
	ike_quick_put_ids(&b, p2);
	ike_nat_put_oa(p2, &b);
	*len = ike_seal_end(e, p2->p1, &b, p2->mid, IKE_SEAL_HASH1, NULL, NULL, qm->iv, err);
	return *len ? 0 : CS_ECRYPTO;
}

static void send1(struct ike_engine *e, struct ike_p2 *p2)
{
	struct cs_err err = {0};
	size_t len;

	if (build_message1(e, p2, &len, &err) || ike_quick_send(e, p2, len, &err)) {
		fail_err(e, p2, &err);
		return;
	}
	p2->state = IKE_QM_SENT_1;
}

void ike_quick_soon(struct ike_engine *e, struct ike_p2 *p2)
{
	if (!ike_client_in(p2->p1))
		return; /* it begins when the user is known */
	if (e->now.mono < p2->p1->quick_from)
		ike_timer_set(&e->timers, &p2->timer, p2->p1->quick_from);
	else
		ike_quick_start(e, p2);
}

void ike_quick_start(struct ike_engine *e, struct ike_p2 *p2)
{
	const struct cs_group *group = pfs_group(p2);
	const struct ike_tunnel *t = p2->tunnel;
	const struct pol_data_offer *first =
		&p2->rule->vpn->offers[p2->qm->only < 0 ? 0 : p2->qm->only];
	enum xf_mode mode =
		ike_p2_transport_ok(t) && first->encap == POL_TRANSPORT ? XF_TRANSPORT : XF_TUNNEL;
	struct ike_tunnel_key key = ike_tunnel_key_of(t);
	struct ike_p2_spis needs;
	char selector[CS_SELECTOR_STRLEN];
	struct cs_err err = {0};

	ike_logf(e, ike_p2_ctx(p2), CSM_P2_START, t->number, "initiator", p2->rule->name,
		 cs_selector_text(&t->selector, selector), p2->parent);
	ike_quick_busy(e, p2, IKE_QM_BUSY_1);
	ike_p2_take_nat(p2);
	p2->peer = p2->p1->peer;
	ike_list_add_head(&p2->peer->p2s, &p2->in_peer);
	if (ike_client_check(p2->p1, &t->selector, &err) ||
	    ike_peer_check(p2->p1, p2->rule, &err) ||
	    ike_claim_check(e, &key, p2->peer, p2->p1, &err)) {
		fail_err(e, p2, &err);
		return;
	}
	needs = ike_p2_offer_needs(p2->rule->vpn, ike_p2_path(p2), p2->qm->only);
	if (ike_p2_reserve(e, p2, &needs, mode, &err)) {
		fail_err(e, p2, &err);
		return;
	}
	ike_p2_set_mid(e, p2, ike_new_mid(e, p2->p1));
	if (!group)
		send1(e, p2);
	else if (ike_job_start(e, NULL, p2, group, (struct cs_bytes){NULL, 0}, &err))
		fail_err(e, p2, &err);
}

/* ---- message 2 ---- */

/*
 * Of transport mode behind a NAT: the peer may name the addresses that it sees in place of those
 * that we named, and packets have ours either way.
 */
static bool may_differ(const struct ike_p2 *p2, bool behind_nat, const struct cs_range *r)
{
	return p2->suite.encap == POL_TRANSPORT && behind_nat && cs_range_is_single(r);
}

/* The responder may leave the identities out when they are the addresses (RFC 2409 section 5.5). */
static int check_ids(const struct ike_p2 *p2, const struct isa_message *m, struct cs_err *err)
{
	const struct cs_selector *s = &p2->qm->named;
	const struct isa_payload *ci = isa_find(m, ISA_ID, 0), *cr = isa_find(m, ISA_ID, 1);
	uint8_t family = p2->tunnel->local.family, ci_proto, cr_proto;
	uint16_t ci_port, cr_port;
	struct cs_range local, remote;
	int rc;

	if (!ci || !cr) {
		if (ike_p2_transport_ok(p2->tunnel) && !s->proto)
			return 0;
		return cs_fail(err, CS_EPARSE, "the answer does not repeat the identities");
	}
	rc = ike_ident_get_selector(ci->body, family, &local, &ci_proto, &ci_port, err);
	if (!rc)
		rc = ike_ident_get_selector(cr->body, family, &remote, &cr_proto, &cr_port, err);
	if (rc)
		return rc;
	if (!(cs_range_equal(&local, &s->local) || may_differ(p2, p2->nat.local, &local)) ||
	    !(cs_range_equal(&remote, &s->remote) || may_differ(p2, p2->nat.remote, &remote)) ||
	    ci_proto != s->proto || cr_proto != s->proto || ci_port != s->local_port ||
	    cr_port != s->remote_port)
		return cs_fail(err, CS_EPOLICY, "the answer's identities are not those we sent");
	return 0;
}

static int check_answer(const struct ike_engine *e, struct ike_p2 *p2, const struct isa_message *m,
			struct cs_err *err)
{
	const struct cs_group *group = pfs_group(p2);
	unsigned offer;
	int rc;

	rc = ike_p2_accept(isa_find(m, ISA_SA, 0)->body, p2->rule->vpn,
			   group ? group->number : POL_PFS_NONE, ike_p2_path(p2), p2->qm->only,
			   &p2->suite, &offer, err);
	if (!rc)
		rc = ike_quick_check_spis(e, &p2->tunnel->remote, &p2->suite, err);
	if (!rc)
		rc = check_ids(p2, m, err);
	if (!rc)
		rc = ike_quick_take_ke(p2, m, group, &p2->qm->nr, err);
	return rc;
}

/* ---- RESPONDER-LIFETIME (RFC 2407 section 4.6.3.1) ---- */

#define LIFE_MIN 60u /* seconds; what is less would keep both sides at nothing but this */

static void shorten_life(struct ike_p2_suite *suite, struct cs_bytes attributes)
{
	struct cs_reader r = cs_reader_of(attributes.p, attributes.len);
	struct ike_sa_attribute a;
	uint64_t value, unit = 0, *life;

	while (ike_sa_next_attribute(&r, &a) && ike_sa_number(&a, &value)) {
		if (a.type == A_LIFE_TYPE) {
			unit = value;
		} else if (a.type == A_DURATION &&
			   (unit == IKE_LIFE_SECONDS || unit == IKE_LIFE_KBYTES)) {
			life = unit == IKE_LIFE_SECONDS ? &suite->life_seconds
							: &suite->life_kbytes;
			if (value >= LIFE_MIN && (!*life || value < *life))
				*life = value;
		}
	}
}

static void responder_lifetime(struct ike_engine *e, struct ike_p2 *p2, const struct isa_message *m)
{
	uint64_t before = p2->suite.life_seconds;
	char peer[CS_ENDPOINT_STRLEN];
	const struct isa_payload *p;
	struct ike_notice n;

	for (unsigned i = 0; (p = isa_find(m, ISA_NOTIFY, i)); i++)
		if (ike_notice_read(p, &n) && n.type == ISA_N_RESPONDER_LIFETIME)
			shorten_life(&p2->suite, n.data);
	if (p2->suite.life_seconds != before)
		ike_logf(e, ike_p2_ctx(p2), CSM_LIFE_SHORTENED,
			 cs_endpoint_text(&p2->p1->sid.remote, peer), p2->tunnel->number,
			 (unsigned)p2->suite.life_seconds);
}

static void finish_keys(struct ike_engine *e, struct ike_p2 *p2, struct cs_bytes gxy)
{
	struct cs_err err = {0};

	if (ike_p2_keymat(p2, gxy, &err))
		fail_err(e, p2, &err);
	else
		ike_p2_intend(e, p2);
}

/* The message is authentic: an answer that we cannot take ends the exchange, and the peer is told.
 */
void ike_quick_receive2(struct ike_engine *e, struct ike_p2 *p2, const struct isa_message *m)
{
	const struct cs_group *group = pfs_group(p2);
	struct cs_err err = {0};

	ike_rt_clear(&p2->qm->rt);
	ike_quick_busy(e, p2, IKE_QM_BUSY_3);
	if (check_answer(e, p2, m, &err)) {
		p2->qm->refused = true;
		fail_err(e, p2, &err);
		return;
	}
	ike_nat_take_oa(p2, m);
	ike_p2_settle_spis(e, p2);
	ike_p2_set_spi_out(e, p2, p2->suite.spi);
	if (p2->suite.ah)
		ike_p2_set_ah_out(e, p2, p2->suite.ah_spi);
	responder_lifetime(e, p2, m);
	ike_p2_settle_life(e, p2);
	if (!group)
		finish_keys(e, p2, (struct cs_bytes){NULL, 0});
	else if (ike_job_start(e, NULL, p2, group,
			       (struct cs_bytes){p2->qm->peer_ke, p2->qm->peer_ke_len}, &err))
		fail_err(e, p2, &err);
}

void ike_quick_init_job(struct ike_engine *e, struct ike_p2 *p2, struct ike_pk_job *job)
{
	if (job->status)
		fail_err(e, p2, &job->err);
	else if (job->kind == IKE_PK_KEYPAIR)
		send1(e, p2);
	else
		finish_keys(e, p2, (struct cs_bytes){job->secret, job->group->secret_len});
}

/* ---- message 3 ---- */

#define CARRIED_MS 5000u /* peers repeat message 2 after 0.5 to 4 s */
#define COMMIT_MS  1000u /* for CONNECTED, which may not come */

static int build3(struct ike_engine *e, struct ike_p2 *p2, struct cs_err *err)
{
	struct ike_quick *qm = p2->qm;
	struct ike_p1 *p1 = p2->p1;
	struct isa_builder b;
	size_t len;

	ike_seal_begin(e, p1, &b, ISA_QUICK, p2->mid, IKE_SEAL_HASH3);
	len = ike_seal_end(e, p1, &b, p2->mid, IKE_SEAL_HASH3, &qm->ni, &qm->nr, qm->iv, err);
	if (!len)
		return CS_ECRYPTO;
	if (ike_answer_keep(&p2->answer, qm->request, e->out, len))
		return cs_fail(err, CS_ENOMEM, "no memory to keep a message");
	return 0;
}

static void send3(struct ike_engine *e, struct ike_p2 *p2)
{
	ike_p1_count(e, p2->p1, p2->answer.len);
	ike_send_p1(e, p2->p1, p2->answer.data, p2->answer.len);
}

static void wait_for_peer(struct ike_engine *e, struct ike_p2 *p2, bool carried)
{
	p2->state = IKE_QM_SENT_3;
	ike_timer_set(&e->timers, &p2->timer, e->now.mono + (carried ? CARRIED_MS : COMMIT_MS));
}

/*
 * Some peers (strongSwan) make their SAs when message 3 has come, so what we send before by the new
 * pair is lost.  Where an older pair carries the traffic it does so until the peer sends by the new
 * one, or a moment has passed in which message 3 could be repeated.  The same moment, only shorter,
 * is given to a peer that set the commit bit: packets that ask are held as long.
 */
void ike_quick_init_commit(struct ike_engine *e, struct ike_p2 *p2)
{
	bool carried = ike_p2_another_outbound(p2), wait = carried || p2->qm->commit;
	struct cs_err err = {0};

	if (!p2->p1) {
		ike_p2_fail(e, p2, false, "its phase 1 SA is gone");
		return;
	}
	if (build3(e, p2, &err) || ike_p2_install_in(e, p2, wait, &err) ||
	    (!wait && ike_p2_install_out(e, p2, &err))) {
		fail_err(e, p2, &err);
		return;
	}
	ike_quick_keep(e, p2, p2->answer.data, p2->answer.len);
	send3(e, p2);
	if (wait)
		wait_for_peer(e, p2, carried);
	else
		ike_p2_up(e, p2);
}

/* The engine before this one may have sent it. */
void ike_quick_init_again(struct ike_engine *e, struct ike_p2 *p2)
{
	send3(e, p2);
	wait_for_peer(e, p2, ike_p2_another_outbound(p2));
}

void ike_quick_init_settle(struct ike_engine *e, struct ike_p2 *p2)
{
	struct cs_err err = {0};

	if (p2->dead || p2->state != IKE_QM_SENT_3)
		return;
	if (ike_p2_install_out(e, p2, &err))
		fail_err(e, p2, &err);
	else
		ike_p2_up(e, p2);
}

/* ---- message 4 ---- */

/* CONNECTED: the peer has its SAs. Other notifications are none of our business here. */
void ike_quick_receive4(struct ike_engine *e, struct ike_p2 *p2, const struct isa_message *m)
{
	const struct isa_payload *p;
	struct ike_notice n;

	for (unsigned i = 0; (p = isa_find(m, ISA_NOTIFY, i)); i++)
		if (ike_notice_read(p, &n) && n.type == ISA_N_CONNECTED) {
			ike_quick_init_settle(e, p2);
			return;
		}
}
