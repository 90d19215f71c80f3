/*
 * The Informational exchange (RFC 2408 section 4.8): deletions and notifications.  What comes in
 * clear is a hint for the log of an exchange under way and nothing else.
 */
#include <string.h>

#include "iked/engine_private.h"

#define PROTO_ISAKMP 1u
#define ERRORS_END   16384u /* RFC 2408 section 3.14.1: error types are below */

bool ike_notice_read(const struct isa_payload *p, struct ike_notice *n)
{
	struct cs_reader r = cs_reader_of(p->body.p, p->body.len);
	uint32_t doi;
	uint8_t size;

	return cs_get_u32(&r, &doi) && cs_get_u8(&r, &n->proto) && cs_get_u8(&r, &size) &&
	       cs_get_u16(&r, &n->type) && cs_get_bytes(&r, size, &n->spi) &&
	       cs_get_bytes(&r, cs_reader_left(&r), &n->data);
}

/* ---- in clear ---- */

/*
 * The peer does not know what we send it: perhaps it has started afresh, perhaps somebody wants us
 * to believe that.  Asking it under the phase 1 SA tells.
 */
static void doubt(struct ike_engine *e, const struct ike_p1 *p1, const struct cs_endpoint *remote,
		  const struct ike_notice *n)
{
	const struct ike_peer *peer = p1 && p1->up ? p1->peer : NULL;
	const struct ike_p2 *p2 = NULL;
	struct cs_reader r = cs_reader_of(n->spi.p, n->spi.len);
	uint32_t spi;

	if (n->type == ISA_N_INVALID_SPI && n->spi.len == sizeof(spi) && cs_get_u32(&r, &spi)) {
		p2 = ike_p2_by_spi(e, false, &remote->addr, ike_ipproto(n->proto), spi);
		peer = p2 && p2->up ? p2->peer : NULL;
		p1 = p2 ? p2->p1 : NULL;
	} else if (n->type != ISA_N_INVALID_COOKIE) {
		peer = NULL;
	}
	if (!peer || !ike_dpd_probe(e, peer, p1))
		e->stats.dropped_unknown++;
}

/* p1: whose cookies it has, or NULL. */
void ike_info_clear(struct ike_engine *e, struct ike_p1 *p1, const struct cs_endpoint *remote,
		    const struct isa_header *h, const uint8_t *data, size_t len)
{
	const struct isa_payload *p;
	struct isa_message m;
	struct ike_notice n;

	if (isa_chain_parse(h, data + ISA_HEADER_LEN, len - ISA_HEADER_LEN, false, &m, NULL) ||
	    isa_step_check(&m, ISA_STEP_INFO_CLEAR, NULL)) {
		e->stats.dropped_malformed++;
		return;
	}
	for (unsigned i = 0; (p = isa_find(&m, ISA_NOTIFY, i)); i++) {
		if (!ike_notice_read(p, &n) || !n.type || n.type >= ERRORS_END)
			continue;
		if (p1 && p1->ex)
			ike_exchange_hint(e, p1, n.type);
		else
			doubt(e, p1, remote, &n);
	}
}

/* ---- deletion ---- */

static void delete_p1(struct ike_engine *e, struct ike_p1 *by, const uint8_t *cookies)
{
	struct ike_sid *sid = ike_sid_by_cookies(e, cookies, cookies + ISA_COOKIE_LEN);
	struct ike_p1 *p1;

	if (!sid || sid->kind != IKE_SID_P1)
		return;
	p1 = IKE_OF(sid, struct ike_p1, sid);
	/*
	 * Before its user is known a client may end nothing but this one, and that is the last;
	 * then what is that user's.
	 */
	if (p1->up && p1->peer == by->peer &&
	    (p1 == by || (ike_client_in(by) && ike_client_same(p1, by))))
		ike_adopt_deleted(e, p1);
}

/* Ours is announced in return, once: the peer may not know that the other direction went too. */
static void delete_p2(struct ike_engine *e, const struct ike_p1 *by, unsigned proto, uint32_t spi)
{
	struct ike_p2 *p2 = ike_p2_by_spi(e, false, &by->sid.remote.addr, ike_ipproto(proto), spi);

	if (p2 && p2->peer == by->peer && ike_client_in(by) && ike_client_same(p2->p1, by))
		ike_p2_end(e, p2, p2->up != 0, "the peer deleted it");
}

static void handle_delete(struct ike_engine *e, struct ike_p1 *p1, const struct isa_payload *p)
{
	struct cs_reader r = cs_reader_of(p->body.p, p->body.len);
	uint8_t proto, size;
	uint16_t count;
	uint32_t doi, spi;
	struct cs_bytes cookies;

	if (!cs_get_u32(&r, &doi) || !cs_get_u8(&r, &proto) || !cs_get_u8(&r, &size) ||
	    !cs_get_u16(&r, &count))
		return;
	if (proto == PROTO_ISAKMP && size == 2 * ISA_COOKIE_LEN) {
		while (count-- && !p1->dead && cs_get_bytes(&r, size, &cookies))
			delete_p1(e, p1, cookies.p);
	} else if ((proto == POL_ESP || proto == POL_AH) && size == sizeof(spi)) {
		while (count-- && cs_get_u32(&r, &spi))
			delete_p2(e, p1, proto, spi);
	} else {
		e->stats.dropped_malformed++;
	}
}

/* ---- notification ---- */

/* The Quick Mode that an error is about: by its SPI, or the only one that waits for an answer. */
static struct ike_p2 *concerned(struct ike_p1 *p1, const struct ike_notice *n)
{
	struct ike_p2 *only = NULL;
	uint32_t spi = 0;
	unsigned waiting = 0;

	if (n->spi.len == sizeof(spi)) {
		struct cs_reader r = cs_reader_of(n->spi.p, n->spi.len);

		cs_get_u32(&r, &spi);
	}
	for (struct ike_list *l = p1->p2s.next; l != &p1->p2s; l = l->next) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, in_p1);

		if (p2->state != IKE_QM_SENT_1 && p2->state != IKE_QM_SENT_2)
			continue;
		if (spi && (p2->spi_in == spi || p2->spi_out == spi || p2->ah_in == spi ||
			    p2->ah_out == spi))
			return p2;
		if (p2->state == IKE_QM_SENT_1) {
			only = p2;
			waiting++;
		}
	}
	return waiting == 1 ? only : NULL;
}

static void answer_dpd(struct ike_engine *e, struct ike_p1 *p1, const struct ike_notice *n)
{
	if (n->spi.len != 2 * ISA_COOKIE_LEN || n->data.len != 4 ||
	    memcmp(n->spi.p, p1->sid.icookie, ISA_COOKIE_LEN) ||
	    memcmp(n->spi.p + ISA_COOKIE_LEN, p1->sid.rcookie, ISA_COOKIE_LEN)) {
		e->stats.dropped_malformed++;
		return;
	}
	ike_notify_p1(e, p1, ISA_N_R_U_THERE_ACK, PROTO_ISAKMP, n->spi, n->data);
}

/* The keys agree, or the peer could not say so: what it does not take is our identity. */
static bool about_identity(const struct ike_notice *n)
{
	return n->proto == PROTO_ISAKMP &&
	       (n->type == ISA_N_INVALID_ID_INFORMATION || n->type == ISA_N_AUTHENTICATION_FAILED);
}

static void refused_by_peer(struct ike_engine *e, struct ike_p1 *p1, const struct ike_notice *n)
{
	struct cs_bytes own = {p1->ex->id, p1->ex->id_len};
	char id[IKE_ID_TEXT];

	if (ike_auth_signs(p1) && (about_identity(n) || ike_cert_notified(n->type)))
		ike_p1_fail(e, p1,
			    "the peer answered %s: it does not accept our certificate %s for "
			    "identity %s",
			    isa_notify_name(n->type), ike_cert_own_label(p1),
			    ike_ident_text(own, id, sizeof(id)));
	else if (about_identity(n))
		ike_p1_fail(e, p1, "the peer answered %s: it does not accept our identity %s",
			    isa_notify_name(n->type), ike_ident_text(own, id, sizeof(id)));
	else
		ike_p1_fail(e, p1, "the peer answered %s", isa_notify_name(n->type));
}

static void handle_error(struct ike_engine *e, struct ike_p1 *p1, const struct ike_notice *n)
{
	struct ike_p2 *p2 = p1->up ? concerned(p1, n) : NULL;
	char peer[CS_ENDPOINT_STRLEN];

	if (!p1->up)
		refused_by_peer(e, p1, n);
	else if (p2) {
		p2->qm->refused = true;
		ike_p2_fail(e, p2, false, "the peer answered %s", isa_notify_name(n->type));
	} else if (ike_take_token(e, &e->log_bucket))
		ike_logf(e, ike_p1_ctx(p1), CSM_NOTIFIED, cs_endpoint_text(&p1->sid.remote, peer),
			 isa_notify_name(n->type), p1->tunnel, p1->rule ? p1->rule->name : "",
			 ike_cert_notified(n->type) ? ": it does not accept our certificate"
			 : about_identity(n)        ? ": it does not accept our identity"
						    : "");
}

static void handle_notice(struct ike_engine *e, struct ike_p1 *p1, const struct isa_payload *p)
{
	struct ike_notice n;

	if (!ike_notice_read(p, &n)) {
		e->stats.dropped_malformed++;
		return;
	}
	if (n.type && n.type < ERRORS_END)
		handle_error(e, p1, &n);
	else if (p1->up && n.type == ISA_N_INITIAL_CONTACT && !ike_client_in(p1))
		p1->client->initial_contact = true; /* when its user is known */
	else if (p1->up && n.type == ISA_N_INITIAL_CONTACT)
		ike_p1_initial_contact(e, p1);
	else if (p1->up && n.type == ISA_N_R_U_THERE)
		answer_dpd(e, p1, &n);
	else if (p1->up && n.type == ISA_N_R_U_THERE_ACK)
		ike_dpd_ack(e, p1, &n);
}

/*
 * Under a phase 1 that is up; or, for errors alone, under one whose keys agree but whose last
 * message we still wait for: the HASH proves that the peer has the preshared key.
 */
void ike_info_encrypted(struct ike_engine *e, struct ike_p1 *p1, const struct isa_header *h,
			const uint8_t *data, size_t len)
{
	uint8_t iv[IKE_BLOCK_MAX];
	struct isa_message m;
	struct cs_err err = {0};
	char peer[CS_ENDPOINT_STRLEN];
	int rc;

	if ((!p1->up && !ike_exchange_awaits_last(p1)) || ike_mid_used(p1, h->message_id)) {
		e->stats.dropped_unknown++;
		return;
	}
	rc = ike_phase2_iv(p1->suite.hash, p1->suite.cipher, p1->iv, h->message_id, iv, &err);
	if (!rc)
		rc = ike_open(e, p1, h, data, ISA_STEP_INFO_ENCRYPTED, iv, NULL, NULL, &m, &err);
	if (!rc && ike_mid_use(p1, h->message_id))
		rc = cs_fail(&err, CS_ENOMEM, "no memory for a message id");
	if (rc) {
		ike_logf(e, ike_p1_ctx(p1), CSM_DROPPED, "Informational",
			 cs_endpoint_text(&p1->sid.remote, peer), err.text);
		if (!p1->up)
			ike_exchange_unreadable(p1);
		return;
	}
	ike_p1_count(e, p1, len);
	ike_dpd_heard(e, p1);
	ike_path_heard(e, p1, !p1->forgot);
	for (unsigned i = 0; i < m.n_payloads && !p1->dead; i++) {
		if (m.payloads[i].type == ISA_NOTIFY)
			handle_notice(e, p1, &m.payloads[i]);
		else if (m.payloads[i].type == ISA_DELETE && p1->up)
			handle_delete(e, p1, &m.payloads[i]);
	}
}
