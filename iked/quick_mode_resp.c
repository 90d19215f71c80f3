/*
 * Quick Mode as responder.  Order: selectors, rule, offer, PFS; SPI; keys; intent; the inbound SA
 * enters the kernel before message 2 leaves; the outbound SA and the policy follow with message 3
 * or with the first packet that came through the inbound SA.
 */
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"

/* Message 1, being judged. */
struct request {
	struct ike_p1 *p1;
	const struct isa_message *m;
	struct cs_selector selector; /* as seen from this host */
	struct cs_selector named;    /* as the peer has it */
	bool ids;
	bool transport;  /* behind a NAT: the selector is not what the peer called it */
	unsigned client; /* mark of its tunnel, or 0 */
	const struct pol_filter_rule *rule;
	struct ike_p2_suite suite;
	uint16_t notify; /* what to answer when it is refused */
	bool told;       /* a line of its own says why */
};

/* ---- judging ---- */

static int read_selector(struct request *q, struct cs_err *err)
{
	const struct isa_payload *ci = isa_find(q->m, ISA_ID, 0), *cr = isa_find(q->m, ISA_ID, 1);
	const struct cs_addr *local = &q->p1->sid.local.addr, *remote = &q->p1->sid.remote.addr;
	struct cs_selector *s = &q->selector;
	uint8_t ci_proto, cr_proto;
	int rc;

	memset(s, 0, sizeof(*s));
	q->notify = ISA_N_INVALID_ID_INFORMATION;
	if (!ci || !cr) {
		s->local = cs_range_single(local);
		s->remote = cs_range_single(remote);
		return 0;
	}
	q->ids = true;
	rc = ike_ident_get_selector(ci->body, local->family, &s->remote, &ci_proto, &s->remote_port,
				    err);
	if (!rc)
		rc = ike_ident_get_selector(cr->body, local->family, &s->local, &cr_proto,
					    &s->local_port, err);
	if (!rc && ci_proto != cr_proto)
		rc = cs_fail(err, CS_EPARSE, "the identities name protocols %u and %u", ci_proto,
			     cr_proto);
	if (!rc && !ci_proto && (s->local_port || s->remote_port))
		rc = cs_fail(err, CS_EPARSE, "the identities name ports without a protocol");
	if (!rc)
		s->proto = ci_proto;
	return rc;
}

static struct ike_tunnel_key key_of(const struct request *q)
{
	return (struct ike_tunnel_key){q->rule->id, &q->selector, &q->p1->sid.local.addr,
				       &q->p1->sid.remote.addr, q->client};
}

/* There may be one that is for others. */
static int no_rule(const struct ike_engine *e, const struct request *q, struct cs_err *err)
{
	const struct pol_filter_rule *rule = ike_first_rule(e, &q->selector);
	char selector[CS_SELECTOR_STRLEN];

	if (rule && ike_peer_check(q->p1, rule, err) < 0)
		return CS_EPOLICY;
	return cs_fail(err, CS_EPOLICY, "no IpFilterRule with an IpDynVpnAction covers %s",
		       cs_selector_text(&q->selector, selector));
}

static int find_rule(struct ike_engine *e, struct request *q, struct cs_err *err)
{
	char selector[CS_SELECTOR_STRLEN], peer[CS_ENDPOINT_STRLEN];
	struct ike_tunnel_key key;
	int rc = ike_client_check(q->p1, &q->selector, err);

	if (rc)
		return rc;
	q->rule = ike_peer_rule(e, q->p1, &q->selector);
	if (!q->rule)
		return no_rule(e, q, err);
	if (!ike_claim_allowed(q->rule, &q->p1->sid.remote.addr))
		return cs_fail(err, CS_EPOLICY,
			       "rule %s names another RemoteSecurityEndpointAddr for %s",
			       q->rule->name, cs_selector_text(&q->selector, selector));
	if (q->rule->vpn->initiation == POL_INIT_LOCAL) {
		ike_logf(e, ike_p1_ctx(q->p1), CSM_NOT_P2_RESPONDER, q->rule->name,
			 q->rule->vpn->name, cs_endpoint_text(&q->p1->sid.remote, peer));
		q->told = true;
		return cs_fail(err, CS_EPOLICY, "rule %s allows only this host to initiate",
			       q->rule->name);
	}
	key = key_of(q);
	rc = ike_claim_request(e, &key, q->p1, q->transport, err);
	q->client = key.client;
	return rc;
}

static unsigned path_of(const struct request *q)
{
	const struct ike_sid *sid = &q->p1->sid;

	return (ike_transport_ok(&q->selector, &sid->local.addr, &sid->remote.addr)
			? IKE_PATH_TRANSPORT
			: 0) |
	       ike_nat_path(&q->p1->nat);
}

/* As in phase 1, the lifetime of a client's offer has no upper bound: we end it in time. */
static int choose(const struct request *q, struct ike_p2_suite *suite, struct ike_mismatch *why,
		  struct cs_err *err)
{
	const struct pol_dynvpn_action *vpn = q->rule->vpn;
	struct cs_bytes sa = isa_find(q->m, ISA_SA, 0)->body;
	struct pol_dynvpn_action wide = *vpn;
	unsigned offer, path = path_of(q);
	int rc;

	if (!q->p1->client)
		return ike_p2_choose(sa, vpn, path, suite, &offer, why, err);
	wide.offers = reallocarray(NULL, vpn->n_offers, sizeof(*vpn->offers));
	if (!wide.offers)
		return cs_fail(err, CS_ENOMEM, "no memory for offers");
	memcpy(wide.offers, vpn->offers, vpn->n_offers * sizeof(*vpn->offers));
	for (unsigned i = 0; i < vpn->n_offers; i++)
		wide.offers[i].life_seconds.accepted_max = UINT32_MAX;
	rc = ike_p2_choose(sa, &wide, path, suite, &offer, why, err);
	if (!rc)
		suite->life_max = vpn->offers[offer].life_seconds.accepted_max;
	free(wide.offers);
	return rc;
}

/*
 * Behind a NAT the peer's words for the data addresses mean one thing in transport mode and another
 * in tunnel mode.  Where it offers both, transport mode is meant where the policy has that.
 */
static bool means_transport(struct ike_engine *e, const struct request *q)
{
	struct cs_bytes sa = isa_find(q->m, ISA_SA, 0)->body;
	struct request other = *q;
	struct ike_mismatch why;

	if (!q->p1->nat.encap || !ike_p2_proposes(sa, POL_TRANSPORT) ||
	    !ike_nat_translate(q->p1, &other.selector))
		return false;
	if (!ike_p2_proposes(sa, POL_TUNNEL))
		return true;
	other.rule = ike_peer_rule(e, q->p1, &other.selector);
	return other.rule && !choose(&other, &other.suite, &why, NULL) &&
	       other.suite.encap == POL_TRANSPORT;
}

static int choose_offer(struct ike_engine *e, struct request *q, struct cs_err *err)
{
	const struct pol_dynvpn_action *vpn = q->rule->vpn;
	struct ike_mismatch why = {""};
	char peer[CS_ENDPOINT_STRLEN];
	int rc;

	q->notify = ISA_N_NO_PROPOSAL_CHOSEN;
	rc = choose(q, &q->suite, &why, err);
	if (rc == CS_EPOLICY) {
		ike_logf(e, ike_p1_ctx(q->p1), CSM_P2_NO_PROPOSAL,
			 cs_endpoint_text(&q->p1->sid.remote, peer), q->rule->name, vpn->name,
			 why.text);
		q->told = true;
	}
	return rc;
}

/* ---- the exchange ---- */

static void fail_tell(struct ike_engine *e, struct ike_p2 *p2, unsigned notify,
		      const struct cs_err *err)
{
	struct cs_bytes none = {NULL, 0};

	if (notify && p2->p1)
		ike_notify_p1(e, p2->p1, notify, (unsigned)p2->suite.protocol, none, none);
	ike_p2_fail(e, p2, false, "%s", err->text);
}

static void finish_keys(struct ike_engine *e, struct ike_p2 *p2, struct cs_bytes gxy)
{
	struct cs_err err = {0};

	if (ike_p2_keymat(p2, gxy, &err))
		fail_tell(e, p2, ISA_N_NO_PROPOSAL_CHOSEN, &err);
	else
		ike_p2_intend(e, p2);
}

static struct ike_p2 *make_pair(struct ike_engine *e, const struct request *q)
{
	struct ike_tunnel_key key = key_of(q);
	struct ike_tunnel *t = ike_tunnel_get(e, &key);
	struct ike_p2 *p2;

	if (!t)
		return NULL;
	p2 = ike_p2_new(e, q->p1, e->policy, q->rule, t, false);
	if (!p2) {
		ike_tunnel_put(e, t);
		return NULL;
	}
	p2->activation = IKE_ACT_REMOTE;
	ike_quick_busy(e, p2, IKE_QM_BUSY_2);
	p2->suite = q->suite;
	p2->qm->ids_sent = q->ids;
	t->named = p2->qm->named = q->named;
	ike_p2_take_nat(p2);
	ike_nat_take_oa(p2, q->m);
	p2->peer = q->p1->peer;
	ike_list_add_head(&p2->peer->p2s, &p2->in_peer);
	ike_p2_set_mid(e, p2, q->m->header.message_id);
	ike_p2_set_spi_out(e, p2, q->suite.spi);
	if (q->suite.ah)
		ike_p2_set_ah_out(e, p2, q->suite.ah_spi);
	return p2;
}

static struct ike_p2_spis needs_of(const struct ike_p2_suite *s)
{
	return (struct ike_p2_spis){
		.esp = s->protocol == POL_ESP && !s->ah,
		.bundled_esp = s->ah != NULL,
		.ah = s->protocol == POL_AH || s->ah,
	};
}

static void begin(struct ike_engine *e, const struct request *q, const uint8_t *iv, uint64_t digest)
{
	const struct cs_group *group = cs_group_by_number(q->suite.group);
	char selector[CS_SELECTOR_STRLEN];
	struct ike_p2 *p2 = make_pair(e, q);
	struct cs_err err = {0};
	struct ike_p2_spis needs = needs_of(&q->suite);
	enum xf_mode mode;

	if (!p2) {
		e->stats.dropped_limit++;
		return;
	}
	ike_logf(e, ike_p2_ctx(p2), CSM_P2_START, p2->tunnel->number, "responder", q->rule->name,
		 cs_selector_text(&q->selector, selector), p2->parent);
	memcpy(p2->qm->iv, iv, IKE_BLOCK_MAX);
	p2->qm->request = digest;
	p2->qm->commit = q->m->header.flags & ISA_FLAG_COMMIT;
	mode = q->suite.encap == POL_TRANSPORT ? XF_TRANSPORT : XF_TUNNEL;
	if (ike_quick_take_ke(p2, q->m, group, &p2->qm->ni, &err)) {
		fail_tell(e, p2, ISA_N_INVALID_KEY_INFORMATION, &err);
		return;
	}
	if (ike_p2_reserve(e, p2, &needs, mode, &err)) {
		fail_tell(e, p2, ISA_N_NO_PROPOSAL_CHOSEN, &err);
		return;
	}
	ike_p2_settle_spis(e, p2);
	ike_p2_settle_life(e, p2);
	ike_quick_make_nonce(e, q->p1, &p2->qm->nr);
	if (!group)
		finish_keys(e, p2, (struct cs_bytes){NULL, 0});
	else if (ike_job_start(e, NULL, p2, group, (struct cs_bytes){NULL, 0}, &err))
		fail_tell(e, p2, 0, &err);
}

void ike_quick_receive1(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m,
			const uint8_t *iv, uint64_t digest)
{
	struct request q = {.p1 = p1, .m = m};
	struct cs_bytes none = {NULL, 0};
	char peer[CS_ENDPOINT_STRLEN];
	struct cs_err err = {0};
	int rc = read_selector(&q, &err);

	q.named = q.selector;
	q.transport = !rc && means_transport(e, &q);
	if (q.transport)
		ike_nat_translate(p1, &q.selector);
	if (!rc)
		rc = find_rule(e, &q, &err);
	if (!rc)
		rc = choose_offer(e, &q, &err);
	if (!rc)
		rc = ike_quick_check_spis(e, &p1->sid.remote.addr, &q.suite, &err);
	if (!rc) {
		begin(e, &q, iv, digest);
		return;
	}
	e->stats.p2_failed++;
	p1->counts.remote_failed++;
	if (!q.told)
		ike_logf(e, ike_p1_ctx(p1), CSM_P2_REFUSED, cs_endpoint_text(&p1->sid.remote, peer),
			 p1->tunnel, p1->rule->name, err.text);
	ike_notify_p1(e, p1, q.notify, POL_ESP, none, none);
}

static void compute_secret(struct ike_engine *e, struct ike_p2 *p2, const struct cs_group *group)
{
	struct cs_err err = {0};

	if (ike_job_start(e, NULL, p2, group,
			  (struct cs_bytes){p2->qm->peer_ke, p2->qm->peer_ke_len}, &err))
		fail_tell(e, p2, 0, &err);
}

void ike_quick_resp_job(struct ike_engine *e, struct ike_p2 *p2, struct ike_pk_job *job)
{
	if (job->status)
		fail_tell(e, p2, ISA_N_INVALID_KEY_INFORMATION, &job->err);
	else if (job->kind == IKE_PK_KEYPAIR)
		compute_secret(e, p2, job->group);
	else
		finish_keys(e, p2, (struct cs_bytes){job->secret, job->group->secret_len});
}

/* ---- message 2 ---- */

static int send2(struct ike_engine *e, struct ike_p2 *p2, struct cs_err *err)
{
	struct ike_quick *qm = p2->qm;
	struct ike_p1 *p1 = p2->p1;
	struct isa_builder b;
	size_t len;
	int rc;

	ike_seal_begin(e, p1, &b, ISA_QUICK, p2->mid, IKE_SEAL_HASH2);
	isa_payload_begin(&b, ISA_SA);
	rc = ike_p2_answer(&p2->suite, p2->spi_in, p2->ah_in, &b.w, err);
	if (rc)
		return rc;
	isa_payload_end(&b);
	isa_put(&b, ISA_NONCE, qm->nr.data, qm->nr.len);
	if (p2->suite.group) {
		struct cs_bytes ke = ike_dh_public(qm->dh);

		isa_put(&b, ISA_KE, ke.p, ke.len);
	}
	if (qm->ids_sent)
		ike_quick_put_ids(&b, p2);
	ike_nat_put_oa(p2, &b);
	ike_put_responder_lifetime(p2, &b);
	len = ike_seal_end(e, p1, &b, p2->mid, IKE_SEAL_HASH2, &qm->ni, NULL, qm->iv, err);
	if (!len)
		return CS_ECRYPTO;
	if (ike_answer_keep(&p2->answer, qm->request, e->out, len))
		return cs_fail(err, CS_ENOMEM, "no memory to keep a message");
	ike_quick_keep(e, p2, e->out, len);
	return ike_quick_send(e, p2, len, err);
}

/* The engine before this one may have sent it. */
int ike_quick_resp_again(struct ike_engine *e, struct ike_p2 *p2, struct cs_err *err)
{
	memcpy(e->out, p2->answer.data, p2->answer.len);
	p2->state = IKE_QM_SENT_2;
	return ike_quick_send(e, p2, p2->answer.len, err);
}

void ike_quick_resp_commit(struct ike_engine *e, struct ike_p2 *p2)
{
	struct cs_err err = {0};

	if (!p2->p1) {
		ike_p2_fail(e, p2, false, "its phase 1 SA is gone");
	} else if (ike_p2_install_in(e, p2, true, &err)) {
		fail_tell(e, p2, ISA_N_NO_PROPOSAL_CHOSEN, &err);
	} else if (send2(e, p2, &err)) {
		fail_tell(e, p2, ISA_N_NO_PROPOSAL_CHOSEN, &err);
	} else {
		p2->state = IKE_QM_SENT_2;
	}
}

/* ---- the end ---- */

/*
 * CONNECTED as a fourth message: as the answer to message 3 it is sent again when that is.  Lost it
 * does no harm, as the peer must be able to go on without; so no error of it ends anything.
 */
static void send4(struct ike_engine *e, struct ike_p2 *p2)
{
	struct ike_quick *qm = p2->qm;
	struct ike_p1 *p1 = p2->p1;
	struct isa_builder b;
	size_t len;

	ike_seal_begin(e, p1, &b, ISA_QUICK, p2->mid, IKE_SEAL_HASH4);
	ike_put_connected(p2, &b);
	len = ike_seal_end(e, p1, &b, p2->mid, IKE_SEAL_HASH4, &qm->ni, &qm->nr, qm->iv, NULL);
	if (!len)
		return;
	ike_answer_keep(&p2->answer, qm->request, e->out, len);
	ike_p1_count(e, p1, len);
	ike_send_p1(e, p1, e->out, len);
}

/*
 * By message 3 or by a packet.  Our SPI is deleted at the peer where that fails, because it holds
 * the SAs by now.
 */
static void complete(struct ike_engine *e, struct ike_p2 *p2, bool by_message)
{
	struct cs_bytes none = {NULL, 0};
	struct cs_err err = {0};
	int rc;

	ike_rt_clear(&p2->qm->rt);
	ike_timer_stop(&e->timers, &p2->timer);
	rc = ike_p2_install_out(e, p2, &err);
	if (!rc) {
		if (by_message && p2->qm->commit)
			send4(e, p2);
		ike_p2_up(e, p2);
		return;
	}
	if (rc == CS_EPOLICY && p2->p1) /* another peer has the selector by now */
		ike_notify_p1(e, p2->p1, ISA_N_INVALID_ID_INFORMATION, (unsigned)p2->suite.protocol,
			      none, none);
	ike_p2_fail(e, p2, true, "%s", err.text);
}

void ike_quick_receive3(struct ike_engine *e, struct ike_p2 *p2, const struct isa_message *m)
{
	(void)m; /* its HASH was all it had to say */
	complete(e, p2, true);
}

/*
 * Only who has the keys can send through the inbound SA: as good as message 3, and as a sign that
 * it has arrived.
 */
void ike_quick_first_packet(struct ike_engine *e, struct ike_p2 *p2)
{
	if (!p2->initiator && p2->state == IKE_QM_SENT_2)
		complete(e, p2, false);
	else if (p2->initiator)
		ike_quick_init_settle(e, p2);
}
