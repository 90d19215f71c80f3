/*
 * What we tell peers outside of phase 1 exchanges and Quick Mode: notifications and deletions, in
 * an Informational exchange (RFC 2408 sections 3.14 and 3.15, RFC 2409 section 5.7).
 */
#include <netinet/in.h>
#include <string.h>

#include "iked/engine_private.h"
#include "iked/proposal_p2.h"
#include "iked/sa_payload.h"

#define DOI_IPSEC    1u
#define PROTO_ISAKMP 1u

static bool keyed(const struct ike_p1 *p1)
{
	return p1->state == IKE_EX_DONE || (p1->ex && p1->ex->keyed);
}

static void begin(struct ike_engine *e, struct ike_p1 *p1, struct isa_builder *b, uint32_t *mid)
{
	*mid = ike_new_mid(e, p1);
	ike_seal_begin(e, p1, b, ISA_INFORMATIONAL, *mid, IKE_SEAL_HASH1);
}

static void finish(struct ike_engine *e, struct ike_p1 *p1, struct isa_builder *b, uint32_t mid)
{
	uint8_t iv[IKE_BLOCK_MAX];
	size_t len;

	if (ike_phase2_iv(p1->suite.hash, p1->suite.cipher, p1->iv, mid, iv, NULL))
		return;
	len = ike_seal_end(e, p1, b, mid, IKE_SEAL_HASH1, NULL, NULL, iv, NULL);
	if (!len)
		return;
	ike_p1_count(e, p1, len);
	ike_send_p1(e, p1, e->out, len);
}

static void put_notify(struct isa_builder *b, unsigned type, unsigned proto, struct cs_bytes spi,
		       struct cs_bytes data)
{
	isa_payload_begin(b, ISA_NOTIFY);
	cs_put_u32(&b->w, DOI_IPSEC);
	cs_put_u8(&b->w, (uint8_t)proto);
	cs_put_u8(&b->w, (uint8_t)spi.len);
	cs_put_u16(&b->w, (uint16_t)type);
	cs_put_bytes(&b->w, spi.p, spi.len);
	cs_put_bytes(&b->w, data.p, data.len);
	isa_payload_end(b);
}

void ike_put_initial_contact(const struct ike_p1 *p1, struct isa_builder *b)
{
	uint8_t cookies[2 * ISA_COOKIE_LEN];

	memcpy(cookies, p1->sid.icookie, ISA_COOKIE_LEN);
	memcpy(cookies + ISA_COOKIE_LEN, p1->sid.rcookie, ISA_COOKIE_LEN);
	put_notify(b, ISA_N_INITIAL_CONTACT, PROTO_ISAKMP,
		   (struct cs_bytes){cookies, sizeof(cookies)}, (struct cs_bytes){NULL, 0});
}

static struct cs_bytes put_spi(uint32_t spi, uint8_t buf[static 4])
{
	struct cs_writer w = cs_writer_of(buf, 4);

	cs_put_u32(&w, spi);
	return (struct cs_bytes){buf, 4};
}

void ike_put_connected(const struct ike_p2 *p2, struct isa_builder *b)
{
	uint8_t spi[4];

	put_notify(b, ISA_N_CONNECTED, (unsigned)p2->suite.protocol, put_spi(p2->spi_in, spi),
		   (struct cs_bytes){NULL, 0});
}

/* VpnLife is not told: a peer would refresh what is to end. */
void ike_put_responder_lifetime(const struct ike_p2 *p2, struct isa_builder *b)
{
	uint64_t agreed = p2->suite.life_seconds ? p2->suite.life_seconds : IKE_DEFAULT_LIFE;
	uint8_t spi[4], life[12];
	struct cs_writer w = cs_writer_of(life, sizeof(life));
	struct ike_sa_builder attributes = {.w = &w};

	if (!p2->suite.life_max || agreed <= p2->suite.life_max)
		return;
	ike_sa_life(&attributes, A_LIFE_TYPE, IKE_LIFE_SECONDS, p2->suite.life_max);
	put_notify(b, ISA_N_RESPONDER_LIFETIME, (unsigned)p2->suite.protocol,
		   put_spi(p2->spi_in, spi), (struct cs_bytes){life, w.len});
}

void ike_notify_p1(struct ike_engine *e, struct ike_p1 *p1, unsigned type, unsigned proto,
		   struct cs_bytes spi, struct cs_bytes data)
{
	struct isa_builder b;
	uint32_t mid;

	if (!keyed(p1))
		return;
	begin(e, p1, &b, &mid);
	put_notify(&b, type, proto, spi, data);
	finish(e, p1, &b, mid);
}

void ike_notify_clear(struct ike_engine *e, const struct cs_endpoint *local,
		      const struct cs_endpoint *remote, const uint8_t *icookie,
		      const uint8_t *rcookie, unsigned type, size_t request)
{
	struct isa_header h = {.version = 0x10, .exchange = ISA_INFORMATIONAL};
	struct cs_bytes none = {NULL, 0};
	struct isa_builder b;
	size_t len;

	memcpy(h.icookie, icookie, ISA_COOKIE_LEN);
	memcpy(h.rcookie, rcookie, ISA_COOKIE_LEN);
	ike_random(e, &h.message_id, sizeof(h.message_id));
	isa_begin(&b, e->out, IKE_DATAGRAM_MAX, &h);
	put_notify(&b, type, PROTO_ISAKMP, none, none);
	len = isa_end(&b, 0);
	if (len && len <= request && ike_take_token(e, &e->notify_bucket))
		ike_send(e, local, remote, e->out, len);
}

/* The SPIs follow. */
static void put_delete(struct isa_builder *b, unsigned proto, size_t size, unsigned n)
{
	isa_payload_begin(b, ISA_DELETE);
	cs_put_u32(&b->w, DOI_IPSEC);
	cs_put_u8(&b->w, (uint8_t)proto);
	cs_put_u8(&b->w, (uint8_t)size);
	cs_put_u16(&b->w, (uint16_t)n);
}

void ike_delete_cookies(struct ike_engine *e, struct ike_p1 *p1, const uint8_t *icookie,
			const uint8_t *rcookie)
{
	struct isa_builder b;
	uint32_t mid;

	if (!keyed(p1))
		return;
	begin(e, p1, &b, &mid);
	put_delete(&b, PROTO_ISAKMP, 2 * ISA_COOKIE_LEN, 1);
	cs_put_bytes(&b.w, icookie, ISA_COOKIE_LEN);
	cs_put_bytes(&b.w, rcookie, ISA_COOKIE_LEN);
	isa_payload_end(&b);
	finish(e, p1, &b, mid);
}

void ike_delete_p1(struct ike_engine *e, struct ike_p1 *p1)
{
	ike_delete_cookies(e, p1, p1->sid.icookie, p1->sid.rcookie);
}

/* Clients begin anew in place of a refresh, so the one that is about to go has no successor. */
static struct ike_p1 *newest_of_user(const struct ike_p1 *p1)
{
	for (const struct ike_list *l = p1->peer->p1s.next; l != &p1->peer->p1s; l = l->next) {
		struct ike_p1 *other = IKE_OF(l, struct ike_p1, in_peer);

		if (other->up && ike_client_in(other) && ike_client_same(other, p1))
			return other;
	}
	return NULL;
}

static struct ike_p1 *newer_of(const struct ike_p1 *p1)
{
	if (p1->client)
		return newest_of_user(p1);
	return p1->superseded ? ike_refresh_successor(p1) : NULL;
}

/*
 * Its own phase 1 if that lives, else another one of the same peer.  When phase 1 was refreshed,
 * some peers (strongSwan) have their pairs under the new SA from then on and look for them only
 * there, and any peer may delete the old one while the message is under way.
 */
static struct ike_p1 *messenger(const struct ike_p2 *p2)
{
	struct ike_p1 *newer = p2->up && p2->p1 ? newer_of(p2->p1) : NULL;

	if (newer)
		return newer;
	if (p2->p1 && !p2->p1->dead && p2->p1->authenticated)
		return p2->p1;
	if (!p2->peer || ike_list_empty(&p2->peer->p1s))
		return NULL;
	return IKE_OF(p2->peer->p1s.next, struct ike_p1, in_peer);
}

void ike_delete_spis(struct ike_engine *e, struct ike_p1 *p1, enum pol_proto proto,
		     const uint32_t *spis, unsigned n)
{
	struct isa_builder b;
	uint32_t mid;

	begin(e, p1, &b, &mid);
	put_delete(&b, (unsigned)proto, sizeof(*spis), n);
	for (unsigned i = 0; i < n; i++)
		cs_put_u32(&b.w, spis[i]);
	isa_payload_end(&b);
	finish(e, p1, &b, mid);
}

void ike_delete_spi(struct ike_engine *e, struct ike_p1 *p1, enum pol_proto proto, uint32_t spi)
{
	ike_delete_spis(e, p1, proto, &spi, 1);
}

static void tell_end(struct ike_engine *e, const struct ike_p2 *p2, struct ike_p1 *p1)
{
	if (p2->spi_in)
		ike_delete_spi(e, p1, ike_p2_ipproto(p2) == IPPROTO_AH ? POL_AH : POL_ESP,
			       p2->spi_in);
	if (p2->ah_in)
		ike_delete_spi(e, p1, POL_AH, p2->ah_in);
}

/* The newest SA of a client's user may be another machine's, so it is told under its own, too. */
void ike_delete_p2(struct ike_engine *e, struct ike_p2 *p2)
{
	struct ike_p1 *p1 = messenger(p2);

	if (p1)
		tell_end(e, p2, p1);
	if (p2->p1 && p2->p1 != p1 && p2->p1->client && !p2->p1->dead)
		tell_end(e, p2, p2->p1);
}
