/*
 * Phase 2 proposals of ours: what the policy's offers come to, and SA payloads built of them (RFC
 * 2407 sections 4.4 and 4.5, RFC 2408 section 4.2 for bundles).
 */
#include "iked/proposal_p2.h"

#include "iked/sa_payload.h"

/* ---- what an offer comes to ---- */

/* AH alone; or with a cipher a bundle, in which AH authenticates and ESP encrypts. */
static bool own_ah(const struct pol_data_offer *o, struct ike_p2_own *own)
{
	if (!o->integ || !o->integ->ah)
		return false;
	if (!o->cipher)
		return true;
	own->protocol = POL_ESP;
	own->cipher = o->cipher;
	own->integ = NULL;
	own->ah = o->integ;
	return o->cipher->esp && o->cipher->supported && !o->cipher->icv_bits;
}

bool ike_p2_own_of(const struct pol_data_offer *o, unsigned path, struct ike_p2_own *own)
{
	*own = (struct ike_p2_own){.protocol = o->auth_proto, .integ = o->integ};
	if (o->encap == POL_TRANSPORT && !(path & IKE_PATH_TRANSPORT))
		return false;
	if (o->auth_proto == POL_AH && path & IKE_PATH_UDP)
		return false;
	if (o->integ && !o->integ->supported)
		return false;
	if (o->auth_proto == POL_AH)
		return own_ah(o, own);
	/* DoNot in the policy is the NULL cipher on the wire. */
	own->cipher = o->cipher ? o->cipher : cs_cipher_by_keyword("DoNot", 0);
	if (!own->cipher || !own->cipher->esp || !own->cipher->supported)
		return false;
	return own->cipher->icv_bits ? o->integ == NULL : o->integ && o->integ->esp;
}

bool ike_p2_made(unsigned i, int only)
{
	return only < 0 || i == (unsigned)only;
}

size_t ike_p2_keymat_len(const struct ike_p2_suite *suite)
{
	size_t len = 0;

	if (suite->cipher)
		len += suite->cipher->key_bits / 8u + suite->cipher->salt;
	if (suite->integ)
		len += suite->integ->key_bits / 8u;
	return len;
}

size_t ike_p2_ah_keymat_len(const struct ike_p2_suite *suite)
{
	return suite->ah ? suite->ah->key_bits / 8u : 0;
}

/* ---- building ---- */

/* RFC 2407 section 4.5, RFC 3947 section 5.1, and its drafts 02 and 03. */
uint16_t ike_p2_encap_number(enum pol_encap encap, enum ike_udp udp)
{
	bool transport = encap == POL_TRANSPORT;

	switch (udp) {
	case IKE_UDP_RFC:
		return transport ? 4 : 3;
	case IKE_UDP_DRAFT:
		return transport ? 61444 : 61443;
	default:
		return transport ? 2 : 1;
	}
}

static void put_transform(struct ike_sa_builder *b, uint8_t number, const struct ike_p2_suite *s)
{
	ike_sa_transform_begin(b, number,
			       (uint8_t)(s->protocol == POL_AH ? s->integ->ah : s->cipher->esp));
	if (s->life_seconds)
		ike_sa_life(b, A_LIFE_TYPE, IKE_LIFE_SECONDS, s->life_seconds);
	if (s->life_kbytes)
		ike_sa_life(b, A_LIFE_TYPE, IKE_LIFE_KBYTES, s->life_kbytes);
	if (s->group != POL_PFS_NONE)
		ike_sa_basic(b, A_GROUP, s->group);
	ike_sa_basic(b, A_ENCAP, ike_p2_encap_number(s->encap, s->udp));
	if (s->integ)
		ike_sa_basic(b, A_AUTH, s->integ->esp);
	if (s->cipher && s->cipher->key_attr)
		ike_sa_basic(b, A_KEY_LENGTH, s->cipher->key_bits);
	ike_sa_transform_end(b);
}

int ike_p2_offer_of(const struct pol_dynvpn_action *action, unsigned path,
		    const struct ike_p2_suite *s)
{
	for (unsigned i = 0; i < action->n_offers; i++) {
		const struct pol_data_offer *o = &action->offers[i];
		struct ike_p2_own own;

		if (ike_p2_own_of(o, path, &own) && own.cipher == s->cipher &&
		    own.integ == s->integ && own.ah == s->ah && own.protocol == s->protocol &&
		    o->encap == s->encap)
			return (int)i;
	}
	return -1;
}

bool ike_p2_group_allowed(const struct pol_dynvpn_action *action, unsigned group)
{
	for (unsigned i = 0; i < action->n_accept_pfs; i++)
		if (action->accept_pfs[i] == group)
			return true;
	return action->initiate_pfs == group;
}

/* A bundle's AH as a suite of its own. */
static struct ike_p2_suite ah_half(const struct ike_p2_suite *s)
{
	struct ike_p2_suite half = *s;

	half.protocol = POL_AH;
	half.cipher = NULL;
	half.integ = s->ah;
	half.ah = NULL;
	return half;
}

static void put_proposal(struct ike_sa_builder *b, uint8_t number, uint8_t transform, uint32_t spi,
			 const struct ike_p2_suite *s)
{
	ike_sa_proposal_begin(b, number, (uint8_t)s->protocol, &spi);
	put_transform(b, transform, s);
	ike_sa_proposal_end(b);
}

static void put_bundle(struct ike_sa_builder *b, uint8_t number, uint32_t spi, uint32_t ah_spi,
		       const struct ike_p2_suite *s)
{
	struct ike_p2_suite half = ah_half(s);

	if (s->esp_first)
		put_proposal(b, number, s->transform, spi, s);
	put_proposal(b, number, s->ah_transform, ah_spi, &half);
	if (!s->esp_first)
		put_proposal(b, number, s->transform, spi, s);
}

/* An offer list on its way into a payload. */
struct offering {
	struct ike_sa_builder b;
	const struct ike_p2_spis *spis;
	uint8_t number; /* of the last proposal */
	uint8_t open;   /* its protocol, when more transforms may follow */
};

static void close_proposal(struct offering *o)
{
	if (o->open)
		ike_sa_proposal_end(&o->b);
	o->open = 0;
}

/* Offers of one protocol that follow each other are transforms of one proposal. */
static void put_offer(struct offering *o, struct ike_p2_suite *s)
{
	uint32_t spi = s->protocol == POL_AH ? o->spis->ah : o->spis->esp;

	if (s->ah) {
		close_proposal(o);
		s->transform = s->ah_transform = 1;
		put_bundle(&o->b, ++o->number, o->spis->bundled_esp, o->spis->ah, s);
		return;
	}
	if (o->open != s->protocol) {
		close_proposal(o);
		o->open = (uint8_t)s->protocol;
		ike_sa_proposal_begin(&o->b, ++o->number, o->open, &spi);
	}
	put_transform(&o->b, (uint8_t)(o->b.n_transforms + 1), s);
}

static enum ike_udp udp_of(unsigned path)
{
	if (!(path & IKE_PATH_UDP))
		return IKE_UDP_NONE;
	return path & IKE_PATH_DRAFT ? IKE_UDP_DRAFT : IKE_UDP_RFC;
}

int ike_p2_offer(const struct pol_dynvpn_action *action, unsigned group, unsigned path, int only,
		 const struct ike_p2_spis *spis, struct cs_writer *w, struct cs_err *err)
{
	struct offering offering = {.spis = spis};

	ike_sa_begin(&offering.b, w);
	for (unsigned i = 0; i < action->n_offers; i++) {
		const struct pol_data_offer *o = &action->offers[i];
		struct ike_p2_own own;
		struct ike_p2_suite s;

		if (!ike_p2_made(i, only) || !ike_p2_own_of(o, path, &own))
			continue;
		s = (struct ike_p2_suite){
			.protocol = own.protocol,
			.cipher = own.cipher,
			.integ = own.integ,
			.ah = own.ah,
			.encap = o->encap,
			.udp = udp_of(path),
			.group = (uint16_t)group,
			.life_seconds = o->life_seconds.proposed,
			.life_kbytes = o->life_kbytes.proposed,
		};
		put_offer(&offering, &s);
	}
	if (!offering.number)
		return cs_fail(err, CS_EPOLICY, "IpDynVpnAction %s has no offer that can be made%s",
			       action->name, path & IKE_PATH_UDP ? " through a NAT" : "");
	close_proposal(&offering);
	return ike_sa_end(&offering.b, err);
}

struct ike_p2_spis ike_p2_offer_needs(const struct pol_dynvpn_action *action, unsigned path,
				      int only)
{
	struct ike_p2_spis needs = {0};

	for (unsigned i = 0; i < action->n_offers; i++) {
		struct ike_p2_own own;

		if (!ike_p2_made(i, only) || !ike_p2_own_of(&action->offers[i], path, &own))
			continue;
		needs.esp |= own.protocol == POL_ESP && !own.ah;
		needs.bundled_esp |= own.ah != NULL;
		needs.ah |= own.protocol == POL_AH || own.ah;
	}
	return needs;
}

int ike_p2_answer(const struct ike_p2_suite *suite, uint32_t spi, uint32_t ah_spi,
		  struct cs_writer *w, struct cs_err *err)
{
	struct ike_sa_builder b;

	ike_sa_begin(&b, w);
	if (suite->ah)
		put_bundle(&b, suite->proposal, spi, ah_spi, suite);
	else
		put_proposal(&b, suite->proposal, suite->transform, spi, suite);
	return ike_sa_end(&b, err);
}
