/* Phase 2 proposals: ESP and AH (RFC 2407 sections 4.4 and 4.5, RFC 4106 section 8). */
#include "iked/proposal.h"

#include <stdio.h>
#include <string.h>

#include "iked/sa_payload.h"

#define SPI_LEN 4
#define SPI_MIN 256 /* smaller ones are reserved (RFC 4303 section 2.1) */

/* Attribute types of RFC 2407 section 4.5. */
enum { A_LIFE_TYPE = 1, A_DURATION = 2, A_GROUP = 3, A_ENCAP = 4, A_AUTH = 5, A_KEY_LENGTH = 6 };

/* A transform of the peer: the numbers, and our rows for those that we know. */
struct transform {
	uint8_t protocol, id;
	uint16_t encap_number, auth_number, key_bits, group;
	enum pol_encap encap; /* 0: not known */
	bool udp;             /* encapsulated in UDP */
	const struct cs_cipher *cipher;
	const struct cs_integ *integ;
	uint32_t spi;
	struct ike_sa_scan scan;
};

/* One of our offers as it goes over the wire. */
struct own {
	const struct cs_cipher *cipher; /* NULL for AH */
	const struct cs_integ *integ;   /* NULL for AEAD */
};

/* ---- reading ---- */

/* RFC 2407, RFC 3947 section 5.1, and the numbers of its drafts 02 and 03. */
static void map_encap(struct transform *t)
{
	static const struct {
		uint16_t number;
		enum pol_encap encap;
		bool udp;
	} modes[] = {
		{1, POL_TUNNEL, false},   {2, POL_TRANSPORT, false}, {3, POL_TUNNEL, true},
		{4, POL_TRANSPORT, true}, {61443, POL_TUNNEL, true}, {61444, POL_TRANSPORT, true},
	};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (modes[i].number != t->encap_number)
			continue;
		t->encap = modes[i].encap;
		t->udp = modes[i].udp;
		return;
	}
	ike_sa_unfit(&t->scan, "encapsulation mode %u is not known", t->encap_number);
}

static void scan_attribute(struct transform *t, const struct ike_sa_attribute *a)
{
	switch (a->type) {
	case A_LIFE_TYPE:
		ike_sa_scan_life_type(&t->scan, a);
		break;
	case A_DURATION:
		ike_sa_scan_duration(&t->scan, a);
		break;
	case A_GROUP:
		t->group = ike_sa_scan_basic(&t->scan, a);
		break;
	case A_ENCAP:
		t->encap_number = ike_sa_scan_basic(&t->scan, a);
		break;
	case A_AUTH:
		t->auth_number = ike_sa_scan_basic(&t->scan, a);
		break;
	case A_KEY_LENGTH:
		t->key_bits = ike_sa_scan_basic(&t->scan, a);
		if (t->key_bits == 0)
			ike_sa_unfit(&t->scan, "the key length is 0");
		break;
	default:
		ike_sa_unfit(&t->scan, "attribute %u is not supported", a->type);
	}
}

static void check_esp(struct transform *t)
{
	t->cipher = cs_cipher_by_esp(t->id, t->key_bits);
	if (!t->cipher)
		ike_sa_unfit(&t->scan, "ESP transform %u with key length %u is not known", t->id,
			     t->key_bits);
	else if (t->key_bits && !t->cipher->key_attr)
		ike_sa_unfit(&t->scan, "a key length stands with a cipher of fixed length");
	else if (t->cipher->icv_bits && t->auth_number)
		ike_sa_unfit(&t->scan, "an integrity algorithm stands with %s", t->cipher->suite);
	else if (!t->cipher->icv_bits && !t->auth_number)
		ike_sa_unfit(&t->scan, "ESP without integrity");
}

static void check_ah(struct transform *t)
{
	if (t->key_bits)
		ike_sa_unfit(&t->scan, "a key length stands with AH");
	if (!t->auth_number)
		ike_sa_unfit(&t->scan, "AH without an integrity algorithm");
	else if (t->integ && t->integ->ah != t->id)
		ike_sa_unfit(&t->scan, "AH transform %u stands with integrity algorithm %u", t->id,
			     t->auth_number);
}

static void parse_transform(const struct ike_sa_proposal *p, const struct ike_sa_transform *raw,
			    struct transform *t)
{
	struct cs_reader spi = cs_reader_of(p->spi.p, p->spi.len);
	struct cs_reader r = cs_reader_of(raw->attributes.p, raw->attributes.len);
	struct ike_sa_attribute a;

	memset(t, 0, sizeof(*t));
	t->protocol = p->protocol;
	t->id = raw->id;
	if (p->spi.len != SPI_LEN || !cs_get_u32(&spi, &t->spi) || t->spi < SPI_MIN)
		ike_sa_unfit(&t->scan, "the SPI is not allowed");
	while (ike_sa_next_attribute(&r, &a))
		scan_attribute(t, &a);
	ike_sa_scan_end(&t->scan);
	map_encap(t);
	t->integ = cs_integ_by_esp(t->auth_number);
	if (t->auth_number && !t->integ)
		ike_sa_unfit(&t->scan, "integrity algorithm %u is not known", t->auth_number);
	if (t->protocol == POL_ESP)
		check_esp(t);
	else
		check_ah(t);
}

/* ---- texts ---- */

static const char *text_of(enum pol_proto protocol, const char *cipher, const char *integ,
			   const char *encap, const char *group, char *buf, size_t size)
{
	snprintf(buf, size, "%s %s%s%s %s%s%s", protocol == POL_AH ? "ah" : "esp", cipher,
		 cipher[0] && integ[0] ? "-" : "", integ, encap, group[0] ? " pfs=" : "", group);
	return buf;
}

static const char *encap_name(enum pol_encap encap)
{
	return encap == POL_TUNNEL ? "tunnel" : encap == POL_TRANSPORT ? "transport" : "?";
}

static const char *group_text(unsigned number, char *buf, size_t size)
{
	const struct cs_group *g = cs_group_by_number(number);

	if (number == POL_PFS_NONE)
		return "";
	if (g)
		return g->suite;
	snprintf(buf, size, "group%u", number);
	return buf;
}

static const char *transform_text(const struct transform *t, char *buf, size_t size)
{
	char cipher[24] = "", integ[16] = "", encap[24], group[16];

	if (t->protocol == POL_ESP && t->cipher)
		snprintf(cipher, sizeof(cipher), "%s", t->cipher->suite);
	else if (t->protocol == POL_ESP)
		snprintf(cipher, sizeof(cipher), "cipher%u/%u", t->id, t->key_bits);
	if (t->integ)
		snprintf(integ, sizeof(integ), "%s", t->integ->suite);
	else if (t->auth_number)
		snprintf(integ, sizeof(integ), "integ%u", t->auth_number);
	if (t->encap)
		snprintf(encap, sizeof(encap), "%s%s", t->udp ? "udp-" : "", encap_name(t->encap));
	else
		snprintf(encap, sizeof(encap), "encap%u", t->encap_number);
	return text_of(t->protocol, cipher, integ, encap,
		       group_text(t->group, group, sizeof(group)), buf, size);
}

const char *ike_p2_suite_text(const struct ike_p2_suite *s, char *buf, size_t size)
{
	char group[16];

	return text_of(s->protocol, s->cipher ? s->cipher->suite : "",
		       s->integ ? s->integ->suite : "", encap_name(s->encap),
		       group_text(s->group, group, sizeof(group)), buf, size);
}

/* ---- matching ---- */

/*
 * What an offer comes to; false for those that cannot be made: algorithms that the kernel side does
 * not have, and AH together with ESP.
 */
static bool own_of(const struct pol_data_offer *o, bool transport_ok, struct own *own)
{
	if (o->encap == POL_TRANSPORT && !transport_ok)
		return false;
	own->integ = o->integ;
	if (o->integ && !o->integ->supported)
		return false;
	if (o->auth_proto == POL_AH) {
		own->cipher = NULL;
		return !o->cipher && o->integ && o->integ->ah;
	}
	/* DoNot in the policy is the NULL cipher on the wire. */
	own->cipher = o->cipher ? o->cipher : cs_cipher_by_keyword("DoNot", 0);
	if (!own->cipher || !own->cipher->esp || !own->cipher->supported)
		return false;
	return own->cipher->icv_bits ? o->integ == NULL : o->integ && o->integ->esp;
}

static bool same_algorithms(const struct pol_data_offer *o, const struct own *own,
			    const struct transform *t)
{
	return (unsigned)o->auth_proto == t->protocol && own->cipher == t->cipher &&
	       own->integ == t->integ;
}

static bool group_accepted(const struct pol_dynvpn_action *action, unsigned group)
{
	if (group != POL_PFS_NONE && !cs_group_by_number(group))
		return false;
	for (unsigned i = 0; i < action->n_accept_pfs; i++)
		if (action->accept_pfs[i] == group)
			return true;
	return action->n_accept_pfs == 0 && group == POL_PFS_NONE;
}

static void fill_suite(const struct transform *t, const struct ike_sa_proposal *p,
		       const struct ike_sa_transform *raw, struct ike_p2_suite *suite)
{
	*suite = (struct ike_p2_suite){
		.protocol = (enum pol_proto)t->protocol,
		.cipher = t->cipher,
		.integ = t->integ,
		.encap = t->encap,
		.group = t->group,
		.life_seconds = t->scan.seconds,
		.life_kbytes = t->scan.kbytes,
		.proposal = p->number,
		.transform = raw->number,
		.spi = t->spi,
	};
}

/* Conditions beside the algorithms and the offer's lifetimes. */
static void check_conditions(const struct pol_dynvpn_action *action, bool transport_ok,
			     struct transform *t)
{
	char group[16];

	if (t->udp)
		ike_sa_unfit(&t->scan, "no NAT was found, so no UDP encapsulation");
	if (t->encap == POL_TRANSPORT && !transport_ok)
		ike_sa_unfit(
			&t->scan,
			"transport mode needs the data endpoints to be the security endpoints");
	if (!group_accepted(action, t->group))
		ike_sa_unfit(&t->scan, "AcceptablePfs does not have %s",
			     t->group ? group_text(t->group, group, sizeof(group)) : "None");
}

/* The first offer that takes the transform, or -1; near gets why one with its algorithms does not.
 */
static int find_offer(const struct pol_dynvpn_action *action, bool transport_ok,
		      struct transform *t, char near[static IKE_UNFIT_MAX])
{
	struct own own;

	for (unsigned i = 0; i < action->n_offers; i++) {
		const struct pol_data_offer *o = &action->offers[i];

		if (!own_of(o, true, &own) || !same_algorithms(o, &own, t) || o->encap != t->encap)
			continue;
		check_conditions(action, transport_ok, t);
		if (t->scan.unfit[0])
			memcpy(near, t->scan.unfit, IKE_UNFIT_MAX);
		else if (ike_sa_life_fits(&o->life_seconds, &o->life_kbytes, &t->scan, near))
			return (int)i;
	}
	return -1;
}

static void explain(const struct ike_sa_list *offered, const struct pol_dynvpn_action *action,
		    bool transport_ok, const char *near, struct ike_mismatch *why)
{
	struct ike_sa_list ours = {0};
	char item[64];

	for (unsigned i = 0; i < action->n_offers; i++) {
		const struct pol_data_offer *o = &action->offers[i];
		struct own own;

		if (own_of(o, transport_ok, &own))
			ike_sa_list_add(&ours,
					text_of(o->auth_proto, own.cipher ? own.cipher->suite : "",
						own.integ ? own.integ->suite : "",
						encap_name(o->encap), "", item, sizeof(item)));
	}
	ike_sa_explain(offered, &ours, near, why);
}

int ike_p2_choose(struct cs_bytes sa_body, const struct pol_dynvpn_action *action,
		  bool transport_ok, struct ike_p2_suite *suite, unsigned *offer,
		  struct ike_mismatch *why, struct cs_err *err)
{
	struct ike_sa_list offered = {0};
	char near[IKE_UNFIT_MAX] = "", item[64];
	struct ike_sa_payload sa;
	int rc = ike_sa_parse(sa_body, &sa, err);

	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < sa.n; i++) {
		const struct ike_sa_proposal *p = &sa.proposals[i];
		struct cs_reader r = cs_reader_of(p->transforms.p, p->transforms.len);
		struct ike_sa_transform raw;

		if (p->bundled || (p->protocol != POL_ESP && p->protocol != POL_AH)) {
			ike_sa_list_add(&offered,
					p->bundled ? "a bundle of protocols"
						   : "a protocol that is neither ESP nor AH");
			continue;
		}
		while (ike_sa_next_transform(&r, &raw)) {
			struct transform t;
			int found;

			parse_transform(p, &raw, &t);
			found = find_offer(action, transport_ok, &t, near);
			if (found >= 0) {
				fill_suite(&t, p, &raw, suite);
				*offer = (unsigned)found;
				return 0;
			}
			ike_sa_list_add(&offered, transform_text(&t, item, sizeof(item)));
		}
	}
	if (why)
		explain(&offered, action, transport_ok, near, why);
	return cs_fail(err, CS_EPOLICY, "no phase 2 offer of the peer is accepted");
}

static bool made(unsigned i, int only)
{
	return only < 0 || i == (unsigned)only;
}

int ike_p2_accept(struct cs_bytes sa_body, const struct pol_dynvpn_action *action, unsigned group,
		  bool transport_ok, int only, struct ike_p2_suite *suite, unsigned *offer,
		  struct cs_err *err)
{
	const struct ike_sa_proposal *p;
	struct ike_sa_transform raw;
	struct ike_sa_payload sa;
	struct transform t;
	struct own own;
	char item[64];
	int rc = ike_sa_parse_answer(sa_body, &sa, &raw, err);

	if (rc < 0)
		return rc;
	p = &sa.proposals[0];
	if (p->protocol != POL_ESP && p->protocol != POL_AH)
		return cs_fail(err, CS_EPARSE, "the peer's answer is for protocol %u", p->protocol);
	parse_transform(p, &raw, &t);
	if (t.udp)
		ike_sa_unfit(&t.scan, "no NAT was found, so no UDP encapsulation");
	if (t.scan.unfit[0])
		return cs_fail(err, CS_EPOLICY, "the peer's answer: %s", t.scan.unfit);
	for (unsigned i = 0; i < action->n_offers && t.group == group; i++) {
		const struct pol_data_offer *o = &action->offers[i];

		if (!made(i, only) || !own_of(o, transport_ok, &own) ||
		    !same_algorithms(o, &own, &t) || o->encap != t.encap ||
		    !ike_sa_life_answered(&o->life_seconds, t.scan.seconds) ||
		    !ike_sa_life_answered(&o->life_kbytes, t.scan.kbytes))
			continue;
		fill_suite(&t, p, &raw, suite);
		if (!suite->life_seconds)
			suite->life_seconds = o->life_seconds.proposed;
		if (!suite->life_kbytes)
			suite->life_kbytes = o->life_kbytes.proposed;
		*offer = i;
		return 0;
	}
	return cs_fail(err, CS_EPOLICY, "the peer chose %s (%llu s), which was not offered",
		       transform_text(&t, item, sizeof(item)), (unsigned long long)t.scan.seconds);
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

/* ---- building ---- */

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
	ike_sa_basic(b, A_ENCAP, (uint16_t)s->encap);
	if (s->integ)
		ike_sa_basic(b, A_AUTH, s->integ->esp);
	if (s->cipher && s->cipher->key_attr)
		ike_sa_basic(b, A_KEY_LENGTH, s->cipher->key_bits);
	ike_sa_transform_end(b);
}

int ike_p2_offer_of(const struct pol_dynvpn_action *action, bool transport_ok,
		    const struct ike_p2_suite *s)
{
	for (unsigned i = 0; i < action->n_offers; i++) {
		const struct pol_data_offer *o = &action->offers[i];
		struct own own;

		if (own_of(o, transport_ok, &own) && own.cipher == s->cipher &&
		    own.integ == s->integ && o->auth_proto == s->protocol && o->encap == s->encap)
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

int ike_p2_offer(const struct pol_dynvpn_action *action, unsigned group, bool transport_ok,
		 int only, uint32_t spi, struct cs_writer *w, struct cs_err *err)
{
	struct ike_sa_builder b;
	uint8_t protocol = 0; /* of the open proposal */

	ike_sa_begin(&b, w);
	/* Offers of one protocol that follow each other are transforms of one proposal. */
	for (unsigned i = 0; i < action->n_offers; i++) {
		const struct pol_data_offer *o = &action->offers[i];
		struct own own;
		struct ike_p2_suite s;

		if (!made(i, only) || !own_of(o, transport_ok, &own))
			continue;
		if (protocol != o->auth_proto) {
			if (protocol)
				ike_sa_proposal_end(&b);
			protocol = (uint8_t)o->auth_proto;
			ike_sa_proposal_begin(&b, (uint8_t)(b.n_proposals + 1), protocol, &spi);
		}
		s = (struct ike_p2_suite){
			.protocol = o->auth_proto,
			.cipher = own.cipher,
			.integ = own.integ,
			.encap = o->encap,
			.group = (uint16_t)group,
			.life_seconds = o->life_seconds.proposed,
			.life_kbytes = o->life_kbytes.proposed,
		};
		put_transform(&b, (uint8_t)(b.n_transforms + 1), &s);
	}
	if (!protocol)
		return cs_fail(err, CS_EPOLICY, "IpDynVpnAction %s has no offer that can be made",
			       action->name);
	ike_sa_proposal_end(&b);
	return ike_sa_end(&b, err);
}

int ike_p2_answer(const struct ike_p2_suite *suite, uint32_t spi, struct cs_writer *w,
		  struct cs_err *err)
{
	struct ike_sa_builder b;

	ike_sa_begin(&b, w);
	ike_sa_proposal_begin(&b, suite->proposal, (uint8_t)suite->protocol, &spi);
	put_transform(&b, suite->transform, suite);
	ike_sa_proposal_end(&b);
	return ike_sa_end(&b, err);
}
