/*
 * Phase 2 proposals of the peer, read and matched: ESP and AH (RFC 2407 sections 4.4 and 4.5, RFC
 * 4106 section 8), and bundles of the two: proposals with one number, which are taken together or
 * not at all (RFC 2408 section 4.2).
 */
#include "iked/proposal.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "iked/proposal_p2.h"
#include "iked/sa_payload.h"

#define PROTO_IPCOMP 4 /* RFC 2407 section 4.4.1 */
#define SPI_LEN      4
#define SPI_MIN      256 /* smaller ones are reserved (RFC 4303 section 2.1) */
/* Of each half of a peer's bundle: what is tried grows with their product. */
#define BUNDLE_TRANSFORMS_MAX 24

/* A transform of the peer: the numbers, and our rows for those that we know. */
struct transform {
	uint8_t protocol, id;
	uint16_t encap_number, auth_number, key_bits, group;
	enum pol_encap encap; /* 0: not known */
	enum ike_udp udp;     /* as its number says */
	bool bundled;         /* ESP under AH */
	const struct cs_cipher *cipher;
	const struct cs_integ *integ;
	uint32_t spi;
	struct ike_sa_scan scan;
};

uint8_t ike_ipproto(unsigned proto)
{
	return proto == POL_AH ? IPPROTO_AH : IPPROTO_ESP;
}

/* ---- reading ---- */

static void map_encap(struct transform *t)
{
	static const enum pol_encap encaps[] = {POL_TUNNEL, POL_TRANSPORT};

	for (enum ike_udp udp = IKE_UDP_NONE; udp <= IKE_UDP_DRAFT; udp++) {
		for (unsigned i = 0; i < 2; i++) {
			if (ike_p2_encap_number(encaps[i], udp) != t->encap_number)
				continue;
			t->encap = encaps[i];
			t->udp = udp;
			return;
		}
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
	else if (t->bundled && t->auth_number)
		ike_sa_unfit(&t->scan, "ESP with integrity under AH is not supported");
	else if (!t->bundled && !t->cipher->icv_bits && !t->auth_number)
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
	t->bundled = p->bundled;
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

static const char *text_of(const char *protocol, const char *cipher, const char *integ,
			   const char *encap, const char *group, char *buf, size_t size)
{
	snprintf(buf, size, "%s %s%s%s %s%s%s", protocol, cipher, cipher[0] && integ[0] ? "-" : "",
		 integ, encap, group[0] ? " pfs=" : "", group);
	return buf;
}

static const char *protocol_name(enum pol_proto protocol, bool bundle)
{
	return bundle ? "ah+esp" : protocol == POL_AH ? "ah" : "esp";
}

static const char *integ_name(const struct cs_integ *integ, const struct cs_integ *ah)
{
	return ah ? ah->suite : integ ? integ->suite : "";
}

static const char *encap_name(enum pol_encap encap)
{
	return encap == POL_TUNNEL ? "tunnel" : encap == POL_TRANSPORT ? "transport" : "?";
}

#define ENCAP_TEXT 24

static const char *encap_text(enum pol_encap encap, enum ike_udp udp, char buf[static ENCAP_TEXT])
{
	snprintf(buf, ENCAP_TEXT, "%s%s", udp != IKE_UDP_NONE ? "udp-" : "", encap_name(encap));
	return buf;
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

/* ah: of a bundle, or NULL. */
static const char *transform_text(const struct transform *t, const struct transform *ah, char *buf,
				  size_t size)
{
	const struct transform *auth = ah ? ah : t;
	char cipher[24] = "", integ[16] = "", encap[ENCAP_TEXT], group[16];

	if (t->protocol == POL_ESP && t->cipher)
		snprintf(cipher, sizeof(cipher), "%s", t->cipher->suite);
	else if (t->protocol == POL_ESP)
		snprintf(cipher, sizeof(cipher), "cipher%u/%u", t->id, t->key_bits);
	if (auth->integ)
		snprintf(integ, sizeof(integ), "%s", auth->integ->suite);
	else if (auth->auth_number)
		snprintf(integ, sizeof(integ), "integ%u", auth->auth_number);
	if (t->encap)
		encap_text(t->encap, t->udp, encap);
	else
		snprintf(encap, sizeof(encap), "encap%u", t->encap_number);
	return text_of(protocol_name((enum pol_proto)t->protocol, ah != NULL), cipher, integ, encap,
		       group_text(t->group, group, sizeof(group)), buf, size);
}

const char *ike_p2_suite_text(const struct ike_p2_suite *s, char *buf, size_t size)
{
	char group[16], encap[ENCAP_TEXT];

	return text_of(protocol_name(s->protocol, s->ah != NULL), s->cipher ? s->cipher->suite : "",
		       integ_name(s->integ, s->ah), encap_text(s->encap, s->udp, encap),
		       group_text(s->group, group, sizeof(group)), buf, size);
}

/* ---- matching ---- */

/* ah: of a bundle, or NULL. */
static bool same_algorithms(const struct ike_p2_own *own, const struct transform *t,
			    const struct transform *ah)
{
	return (unsigned)own->protocol == t->protocol && own->cipher == t->cipher &&
	       own->integ == t->integ && own->ah == (ah ? ah->integ : NULL) && !own->ah == !ah;
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

/* The shorter of two lives, of which 0 is none said. */
static uint64_t shorter(uint64_t a, uint64_t b)
{
	return !a || (b && b < a) ? b : a;
}

/*
 * A bundle's two halves live and die together, so they must agree in what each could say for
 * itself; what t says holds for both from here on.
 */
static void join(struct transform *t, const struct transform *ah)
{
	if (ah->scan.unfit[0])
		ike_sa_unfit(&t->scan, "%s", ah->scan.unfit);
	if (ah->encap_number != t->encap_number)
		ike_sa_unfit(&t->scan, "ESP and AH of a bundle differ in their mode");
	if (ah->group != t->group)
		ike_sa_unfit(&t->scan, "ESP and AH of a bundle differ in their group");
	t->scan.seconds = shorter(t->scan.seconds, ah->scan.seconds);
	t->scan.kbytes = shorter(t->scan.kbytes, ah->scan.kbytes);
}

static void fill_bundle(const struct transform *ah, const struct ike_sa_transform *raw,
			bool esp_first, struct ike_p2_suite *suite)
{
	suite->esp_first = esp_first;
	suite->ah = ah->integ;
	suite->ah_transform = raw->number;
	suite->ah_spi = ah->spi;
}

/* Behind a NAT some peers name the modes of before; what they mean is in UDP all the same. */
static enum ike_udp udp_agreed(const struct transform *t, unsigned path)
{
	if (!(path & IKE_PATH_UDP))
		return IKE_UDP_NONE;
	return t->udp == IKE_UDP_NONE ? IKE_UDP_PLAIN : t->udp;
}

static void fill_suite(const struct transform *t, unsigned path, const struct ike_sa_proposal *p,
		       const struct ike_sa_transform *raw, struct ike_p2_suite *suite)
{
	*suite = (struct ike_p2_suite){
		.protocol = (enum pol_proto)t->protocol,
		.cipher = t->cipher,
		.integ = t->integ,
		.encap = t->encap,
		.udp = udp_agreed(t, path),
		.group = t->group,
		.life_seconds = t->scan.seconds,
		.life_kbytes = t->scan.kbytes,
		.proposal = p->number,
		.transform = raw->number,
		.spi = t->spi,
	};
}

/* Conditions beside the algorithms and the offer's lifetimes. */
static void check_path(struct transform *t, unsigned path)
{
	if (t->udp != IKE_UDP_NONE && !(path & IKE_PATH_UDP))
		ike_sa_unfit(&t->scan, "no NAT was found, so no UDP encapsulation");
	if (path & IKE_PATH_UDP && (t->protocol == POL_AH || t->bundled))
		ike_sa_unfit(&t->scan, "AH does not get through a NAT");
}

static void check_conditions(const struct pol_dynvpn_action *action, unsigned path,
			     struct transform *t)
{
	char group[16];

	check_path(t, path);
	if (t->encap == POL_TRANSPORT && !(path & IKE_PATH_TRANSPORT))
		ike_sa_unfit(
			&t->scan,
			"transport mode needs the data endpoints to be the security endpoints");
	if (!group_accepted(action, t->group))
		ike_sa_unfit(&t->scan, "AcceptablePfs does not have %s",
			     t->group ? group_text(t->group, group, sizeof(group)) : "None");
}

/* The first offer that takes the transform, or -1; near gets why one with its algorithms does not.
 */
static int find_offer(const struct pol_dynvpn_action *action, unsigned path, struct transform *t,
		      const struct transform *ah, char near[static IKE_UNFIT_MAX])
{
	struct ike_p2_own own;

	for (unsigned i = 0; i < action->n_offers; i++) {
		const struct pol_data_offer *o = &action->offers[i];

		if (!ike_p2_own_of(o, IKE_PATH_TRANSPORT, &own) || !same_algorithms(&own, t, ah) ||
		    o->encap != t->encap)
			continue;
		check_conditions(action, path, t);
		if (t->scan.unfit[0])
			memcpy(near, t->scan.unfit, IKE_UNFIT_MAX);
		else if (ike_sa_life_fits(&o->life_seconds, &o->life_kbytes, &t->scan, near))
			return (int)i;
	}
	return -1;
}

static void explain(const struct ike_sa_list *offered, const struct pol_dynvpn_action *action,
		    unsigned path, const char *near, struct ike_mismatch *why)
{
	struct ike_sa_list ours = {0};
	char item[64];

	for (unsigned i = 0; i < action->n_offers; i++) {
		const struct pol_data_offer *o = &action->offers[i];
		struct ike_p2_own own;

		if (ike_p2_own_of(o, path, &own))
			ike_sa_list_add(&ours,
					text_of(protocol_name(own.protocol, own.ah != NULL),
						own.cipher ? own.cipher->suite : "",
						integ_name(own.integ, own.ah), encap_name(o->encap),
						"", item, sizeof(item)));
	}
	ike_sa_explain(offered, &ours, near, why);
}

/* A peer's offers, being gone through. */
struct choice {
	const struct pol_dynvpn_action *action;
	unsigned path;
	struct ike_sa_list offered;
	char near[IKE_UNFIT_MAX];
	struct ike_p2_suite *suite;
};

static void not_taken(struct choice *c, const struct transform *t, const struct transform *ah)
{
	char item[64];

	ike_sa_list_add(&c->offered, transform_text(t, ah, item, sizeof(item)));
}

/* The offer of ours that takes one of its transforms, or -1. */
static int choose_single(struct choice *c, const struct ike_sa_proposal *p)
{
	struct cs_reader r = cs_reader_of(p->transforms.p, p->transforms.len);
	struct ike_sa_transform raw;
	struct transform t;
	int found;

	while (ike_sa_next_transform(&r, &raw)) {
		parse_transform(p, &raw, &t);
		found = find_offer(c->action, c->path, &t, NULL, c->near);
		if (found >= 0) {
			fill_suite(&t, c->path, p, &raw, c->suite);
			return found;
		}
		not_taken(c, &t, NULL);
	}
	return -1;
}

/* One transform of ESP with each of AH. */
static int choose_ah(struct choice *c, const struct ike_sa_proposal *esp,
		     const struct ike_sa_transform *esp_raw, const struct ike_sa_proposal *ah)
{
	struct cs_reader r = cs_reader_of(ah->transforms.p, ah->transforms.len);
	struct ike_sa_transform raw;
	struct transform t, a;
	int found;

	for (unsigned n = 0; n < BUNDLE_TRANSFORMS_MAX && ike_sa_next_transform(&r, &raw); n++) {
		parse_transform(esp, esp_raw, &t);
		parse_transform(ah, &raw, &a);
		join(&t, &a);
		found = find_offer(c->action, c->path, &t, &a, c->near);
		if (found >= 0) {
			fill_suite(&t, c->path, esp, esp_raw, c->suite);
			fill_bundle(&a, &raw, esp < ah, c->suite);
			return found;
		}
		not_taken(c, &t, &a);
	}
	return -1;
}

static int choose_bundle(struct choice *c, const struct ike_sa_proposal *esp,
			 const struct ike_sa_proposal *ah)
{
	struct cs_reader r = cs_reader_of(esp->transforms.p, esp->transforms.len);
	struct ike_sa_transform raw;
	int found = -1;

	for (unsigned n = 0; found < 0 && n < BUNDLE_TRANSFORMS_MAX; n++) {
		if (!ike_sa_next_transform(&r, &raw))
			break;
		found = choose_ah(c, esp, &raw, ah);
	}
	return found;
}

/* One of each; which comes first does not matter. */
static bool is_esp_and_ah(const struct ike_sa_proposal *p, unsigned n)
{
	return n == 2 && ((p[0].protocol == POL_ESP && p[1].protocol == POL_AH) ||
			  (p[0].protocol == POL_AH && p[1].protocol == POL_ESP));
}

/* Why proposals of one number are none that we know. */
static const char *odd_text(const struct ike_sa_proposal *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (p[i].protocol == PROTO_IPCOMP)
			return n > 1 ? "a bundle of protocols with IPComp"
				     : "IPComp, which is neither ESP nor AH";
	return n > 1 ? "a bundle of protocols other than ESP with AH"
		     : "a protocol that is neither ESP nor AH";
}

/* What has one number. */
static int choose_number(struct choice *c, const struct ike_sa_proposal *p, unsigned n)
{
	if (is_esp_and_ah(p, n))
		return p[0].protocol == POL_ESP ? choose_bundle(c, &p[0], &p[1])
						: choose_bundle(c, &p[1], &p[0]);
	if (n == 1 && (p->protocol == POL_ESP || p->protocol == POL_AH))
		return choose_single(c, p);
	ike_sa_list_add(&c->offered, odd_text(p, n));
	return -1;
}

/* How many proposals from here on have the number of this one. */
static unsigned with_number(const struct ike_sa_payload *sa, unsigned at)
{
	unsigned n = 1;

	while (at + n < sa->n && sa->proposals[at + n].number == sa->proposals[at].number)
		n++;
	return n;
}

int ike_p2_choose(struct cs_bytes sa_body, const struct pol_dynvpn_action *action, unsigned path,
		  struct ike_p2_suite *suite, unsigned *offer, struct ike_mismatch *why,
		  struct cs_err *err)
{
	struct choice c = {.action = action, .path = path, .suite = suite};
	struct ike_sa_payload sa;
	int found, rc = ike_sa_parse(sa_body, &sa, err);

	if (rc < 0)
		return rc;
	for (unsigned i = 0, n; i < sa.n; i += n) {
		n = with_number(&sa, i);
		found = choose_number(&c, &sa.proposals[i], n);
		if (found >= 0) {
			*offer = (unsigned)found;
			return 0;
		}
	}
	if (why)
		explain(&c.offered, action, path, c.near, why);
	return cs_fail(err, CS_EPOLICY, "no phase 2 offer of the peer is accepted");
}

bool ike_p2_proposes(struct cs_bytes sa_body, enum pol_encap encap)
{
	struct ike_sa_payload sa;
	struct ike_sa_transform raw;
	struct transform t;

	if (ike_sa_parse(sa_body, &sa, NULL) < 0)
		return false;
	for (unsigned i = 0; i < sa.n; i++) {
		const struct ike_sa_proposal *p = &sa.proposals[i];
		struct cs_reader r = cs_reader_of(p->transforms.p, p->transforms.len);

		while (ike_sa_next_transform(&r, &raw)) {
			parse_transform(p, &raw, &t);
			if (t.encap == encap)
				return true;
		}
	}
	return false;
}

/* An answer: one transform, or of a bundle one of each protocol. */
struct answer {
	struct ike_sa_payload sa;
	const struct ike_sa_proposal *p;
	struct ike_sa_transform raw, ah_raw;
	struct transform t, ah;
	bool bundle;
};

static int first_transform(const struct ike_sa_proposal *p, struct ike_sa_transform *raw,
			   struct cs_err *err)
{
	struct cs_reader r = cs_reader_of(p->transforms.p, p->transforms.len);

	if (p->n_transforms != 1 || !ike_sa_next_transform(&r, raw))
		return cs_fail(err, CS_EPARSE,
			       "the peer's answer has %u transforms of protocol %u instead of one",
			       p->n_transforms, p->protocol);
	return 0;
}

static int read_bundle(struct answer *a, struct cs_err *err)
{
	const struct ike_sa_proposal *p = a->sa.proposals;
	bool ah_first = p[0].protocol == POL_AH;
	int rc = first_transform(&p[ah_first], &a->raw, err);

	if (!rc)
		rc = first_transform(&p[!ah_first], &a->ah_raw, err);
	if (rc)
		return rc;
	a->p = &p[ah_first];
	a->bundle = true;
	parse_transform(&p[ah_first], &a->raw, &a->t);
	parse_transform(&p[!ah_first], &a->ah_raw, &a->ah);
	join(&a->t, &a->ah);
	return 0;
}

static int read_answer(struct cs_bytes sa_body, struct answer *a, struct cs_err *err)
{
	int rc = ike_sa_parse(sa_body, &a->sa, err);

	if (!rc && is_esp_and_ah(a->sa.proposals, a->sa.n) && a->sa.proposals[0].bundled)
		return read_bundle(a, err);
	if (!rc)
		rc = ike_sa_parse_answer(sa_body, &a->sa, &a->raw, err);
	if (rc)
		return rc;
	a->p = &a->sa.proposals[0];
	if (a->p->protocol != POL_ESP && a->p->protocol != POL_AH)
		return cs_fail(err, CS_EPARSE, "the peer's answer is for protocol %u",
			       a->p->protocol);
	parse_transform(a->p, &a->raw, &a->t);
	return 0;
}

int ike_p2_accept(struct cs_bytes sa_body, const struct pol_dynvpn_action *action, unsigned group,
		  unsigned path, int only, struct ike_p2_suite *suite, unsigned *offer,
		  struct cs_err *err)
{
	struct answer a = {.bundle = false};
	const struct transform *ah;
	struct transform t;
	struct ike_p2_own own;
	char item[64];
	int rc = read_answer(sa_body, &a, err);

	if (rc < 0)
		return rc;
	t = a.t;
	ah = a.bundle ? &a.ah : NULL;
	check_path(&t, path);
	if (t.scan.unfit[0])
		return cs_fail(err, CS_EPOLICY, "the peer's answer: %s", t.scan.unfit);
	for (unsigned i = 0; i < action->n_offers && t.group == group; i++) {
		const struct pol_data_offer *o = &action->offers[i];

		if (!ike_p2_made(i, only) || !ike_p2_own_of(o, path, &own) ||
		    !same_algorithms(&own, &t, ah) || o->encap != t.encap ||
		    !ike_sa_life_answered(&o->life_seconds, t.scan.seconds) ||
		    !ike_sa_life_answered(&o->life_kbytes, t.scan.kbytes))
			continue;
		fill_suite(&t, path, a.p, &a.raw, suite);
		if (ah)
			fill_bundle(ah, &a.ah_raw, false, suite);
		if (!suite->life_seconds)
			suite->life_seconds = o->life_seconds.proposed;
		if (!suite->life_kbytes)
			suite->life_kbytes = o->life_kbytes.proposed;
		*offer = i;
		return 0;
	}
	return cs_fail(err, CS_EPOLICY, "the peer chose %s (%llu s), which was not offered",
		       transform_text(&t, ah, item, sizeof(item)),
		       (unsigned long long)t.scan.seconds);
}
