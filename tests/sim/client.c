/*
 * The part of a client (XAuth, Mode Config) around an engine that has none.  Its offer becomes one
 * of XAuth with a preshared key on the way, and the gateway's choice an ordinary one; Transaction
 * messages are answered with the engine's keys.  Nothing is remembered: what the gateway repeats is
 * answered once more.  And what must hold at the gateway: who is not let in gets nothing.
 */
#include <string.h>

#include "iked/config_payload.h"
#include "iked/engine_private.h"
#include "tests/sim/sim.h"

#define XAUTH_PSK 65001 /* XAUTHInitPreShared */
#define STATUS_OK 1

/* ---- the offer ---- */

/* The authentication method in all transforms of an SA payload's body. */
static void swap_method(uint8_t *sa, size_t len, unsigned from, unsigned to)
{
	for (size_t i = 0; i + 4 <= len; i += 4) {
		if (sa[i] != 0x80 || sa[i + 1] != 3 ||
		    (unsigned)(sa[i + 2] << 8 | sa[i + 3]) != from)
			continue;
		sa[i + 2] = (uint8_t)(to >> 8);
		sa[i + 3] = (uint8_t)to;
	}
}

void sim_client_offer(struct sim_host *h, const struct cs_endpoint *remote, uint8_t *data,
		      size_t len)
{
	static const uint8_t none[ISA_COOKIE_LEN];
	uint8_t *body = data + ISA_HEADER_LEN + 4;
	struct isa_header header;
	struct ike_sid *sid;
	struct ike_p1 *p1;

	if (isa_header_parse(data, len, &header, NULL) || header.next != ISA_SA ||
	    header.flags & ISA_FLAG_ENCRYPTED)
		return;
	len = ((size_t)data[ISA_HEADER_LEN + 2] << 8 | data[ISA_HEADER_LEN + 3]) - 4;
	if (memcmp(header.rcookie, none, ISA_COOKIE_LEN) != 0) {
		swap_method(body, len, XAUTH_PSK, POL_AUTH_PSK);
		return;
	}
	swap_method(body, len, POL_AUTH_PSK, XAUTH_PSK);
	sid = ike_sid_by_icookie(h->engine, header.icookie, remote);
	p1 = sid && sid->kind == IKE_SID_P1 ? IKE_OF(sid, struct ike_p1, sid) : NULL;
	if (p1 && p1->ex && p1->ex->sai) /* what both ends prove */
		swap_method(p1->ex->sai, p1->ex->sai_len, POL_AUTH_PSK, XAUTH_PSK);
}

/* ---- Transaction messages ---- */

static void begin(struct sim_host *h, struct ike_p1 *p1, struct isa_builder *b, uint32_t mid,
		  enum ike_config_type type, uint16_t id)
{
	ike_seal_begin(h->engine, p1, b, ISA_TRANSACTION, mid, IKE_SEAL_HASH1);
	ike_config_begin(b, type, id);
}

static void finish(struct sim_host *h, struct ike_p1 *p1, struct isa_builder *b, uint32_t mid,
		   uint8_t *iv)
{
	size_t len;

	isa_payload_end(b);
	len = ike_seal_end(h->engine, p1, b, mid, IKE_SEAL_HASH1, NULL, NULL, iv, NULL);
	if (len)
		sim_send(h, &p1->sid.local, &p1->sid.remote, h->engine->out, len);
}

static void log_in(struct sim_host *h, struct ike_p1 *p1, uint32_t mid, uint16_t id, uint8_t *iv)
{
	struct isa_builder b;

	begin(h, p1, &b, mid, IKE_CFG_REPLY, id);
	ike_config_basic(&b, IKE_XAUTH_TYPE, 0);
	ike_config_bytes(&b, IKE_XAUTH_USER, SIM_USER, strlen(SIM_USER));
	ike_config_bytes(&b, IKE_XAUTH_PASSWORD, SIM_PASSWORD, strlen(SIM_PASSWORD));
	finish(h, p1, &b, mid, iv);
}

static void acknowledge(struct sim_host *h, struct ike_p1 *p1, uint32_t mid, uint16_t id,
			uint8_t *iv)
{
	struct isa_builder b;

	begin(h, p1, &b, mid, IKE_CFG_ACK, id);
	ike_config_basic(&b, IKE_XAUTH_STATUS, 0);
	finish(h, p1, &b, mid, iv);
}

static void request_address(struct sim_host *h, struct ike_p1 *p1)
{
	uint32_t mid = ike_new_mid(h->engine, p1);
	uint8_t iv[IKE_BLOCK_MAX];
	struct isa_builder b;

	if (ike_phase2_iv(p1->suite.hash, p1->suite.cipher, p1->iv, mid, iv, NULL))
		return;
	begin(h, p1, &b, mid, IKE_CFG_REQUEST, 1);
	ike_config_bytes(&b, IKE_CFG_ADDRESS, NULL, 0);
	ike_config_bytes(&b, IKE_CFG_NETMASK, NULL, 0);
	ike_config_bytes(&b, IKE_CFG_DNS, NULL, 0);
	finish(h, p1, &b, mid, iv);
}

/* Some try to go without. */
static bool wants_address(struct sim_host *h)
{
	return h->variant->clients == SIM_ADDRESSES &&
	       !sim_chance(&h->sim->rng, h->sim->no_address);
}

static void answer(struct sim_host *h, struct ike_p1 *p1, uint32_t mid,
		   const struct ike_config *got, uint8_t *iv)
{
	if (got->type == IKE_CFG_REQUEST)
		log_in(h, p1, mid, got->id, iv);
	else if (got->type == IKE_CFG_SET && got->status == STATUS_OK && wants_address(h))
		request_address(h, p1);
	else if (got->type == IKE_CFG_SET)
		acknowledge(h, p1, mid, got->id, iv);
}

static struct ike_p1 *client_p1(const struct sim_host *h, const struct isa_header *header)
{
	struct ike_sid *sid = ike_sid_by_cookies(h->engine, header->icookie, header->rcookie);
	struct ike_p1 *p1 = sid && sid->kind == IKE_SID_P1 ? IKE_OF(sid, struct ike_p1, sid) : NULL;

	return p1 && p1->initiator ? p1 : NULL;
}

/*
 * Quick Mode tells the gateway that its client knows that it is let in, so the status may not come
 * again; a real client does not begin before it has an address.
 */
void sim_client_sends(struct sim_host *h, const uint8_t *data, size_t len)
{
	uint8_t building[IKE_DATAGRAM_MAX];
	struct isa_header header;
	struct ike_p1 *p1;

	if (isa_header_parse(data, len, &header, NULL) || header.exchange != ISA_QUICK ||
	    header.next == ISA_FRAGMENT)
		return;
	p1 = client_p1(h, &header);
	if (!p1 || !p1->authenticated || !wants_address(h))
		return;
	memcpy(building, h->engine->out, sizeof(building));
	request_address(h, p1);
	memcpy(h->engine->out, building, sizeof(building));
}

bool sim_client_receive(struct sim_host *h, const uint8_t *data, size_t len)
{
	struct isa_header header;
	struct ike_config got;
	struct isa_message m;
	uint8_t iv[IKE_BLOCK_MAX];
	struct ike_p1 *p1;

	if (isa_header_parse(data, len, &header, NULL) || header.exchange != ISA_TRANSACTION ||
	    header.next == ISA_FRAGMENT)
		return false;
	p1 = client_p1(h, &header);
	if (!p1)
		return false;
	if (p1->authenticated &&
	    !ike_phase2_iv(p1->suite.hash, p1->suite.cipher, p1->iv, header.message_id, iv, NULL) &&
	    !ike_open(h->engine, p1, &header, data, ISA_STEP_TRANSACTION, iv, NULL, NULL, &m,
		      NULL) &&
	    !ike_config_read(&m, &got, NULL))
		answer(h, p1, header.message_id, &got, iv);
	return true;
}

void sim_client_check(struct sim_host *h, const struct ike_p1_info *info)
{
	struct ike_sid *sid = ike_sid_by_cookies(h->engine, info->icookie, info->rcookie);
	const struct ike_p1 *p1 =
		sid && sid->kind == IKE_SID_P1 ? IKE_OF(sid, struct ike_p1, sid) : NULL;

	if (!p1 || !p1->rule->action->xauth)
		return;
	if (!p1->client || p1->client->state != IKE_CL_IN)
		sim_fail(h->sim, "host %u: a tunnel for a client that is not let in", h->index);
	else if (p1->rule->action->pool.lo.family && !p1->client->by_address.in)
		sim_fail(h->sim, "host %u: a tunnel for a client without an address", h->index);
}
