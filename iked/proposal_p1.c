/* Phase 1 proposals (RFC 2409 section 5 and appendix A). */
#include "iked/proposal.h"

#include <stdio.h>
#include <string.h>

#include "iked/sa_payload.h"

#define PROTO_ISAKMP 1
#define KEY_IKE      1

/* draft-beaulieu-ike-xauth-02 section 7: the initiator is a client. */
#define XAUTH_PSK 65001
#define XAUTH_RSA 65005

/* Attribute types of appendix A. Types 5 to 10, 15 and 16 describe private groups, 13 is a PRF. */
enum {
	A_CIPHER = 1,
	A_HASH = 2,
	A_AUTH = 3,
	A_GROUP = 4,
	A_LIFE_TYPE = 11,
	A_DURATION = 12,
	A_KEY_LENGTH = 14
};

/* A transform of the peer: the numbers, and our rows for those that we know. */
struct transform {
	uint16_t cipher_number, key_bits, hash_number, auth, group_number;
	bool xauth; /* auth is what the client's machine proves itself by */
	const struct cs_cipher *cipher;
	const struct cs_hash *hash;
	const struct cs_group *group;
	struct ike_sa_scan scan;
};

/* ---- reading ---- */

static void scan_attribute(struct transform *t, const struct ike_sa_attribute *a)
{
	switch (a->type) {
	case A_CIPHER:
		t->cipher_number = ike_sa_scan_basic(&t->scan, a);
		break;
	case A_HASH:
		t->hash_number = ike_sa_scan_basic(&t->scan, a);
		break;
	case A_AUTH:
		t->auth = ike_sa_scan_basic(&t->scan, a);
		break;
	case A_GROUP:
		t->group_number = ike_sa_scan_basic(&t->scan, a);
		break;
	case A_KEY_LENGTH:
		t->key_bits = ike_sa_scan_basic(&t->scan, a);
		if (t->key_bits == 0)
			ike_sa_unfit(&t->scan, "the key length is 0");
		break;
	case A_LIFE_TYPE:
		ike_sa_scan_life_type(&t->scan, a);
		break;
	case A_DURATION:
		ike_sa_scan_duration(&t->scan, a);
		break;
	default:
		ike_sa_unfit(&t->scan, "attribute %u is not supported", a->type);
	}
}

static void read_xauth(struct transform *t)
{
	t->xauth = t->auth == XAUTH_PSK || t->auth == XAUTH_RSA;
	if (t->xauth)
		t->auth = t->auth == XAUTH_PSK ? POL_AUTH_PSK : POL_AUTH_RSA;
}

static void parse_transform(const struct ike_sa_transform *raw, struct transform *t)
{
	struct cs_reader r = cs_reader_of(raw->attributes.p, raw->attributes.len);
	struct ike_sa_attribute a;

	memset(t, 0, sizeof(*t));
	if (raw->id != KEY_IKE)
		ike_sa_unfit(&t->scan, "transform identifier %u is not KEY_IKE", raw->id);
	while (ike_sa_next_attribute(&r, &a))
		scan_attribute(t, &a);
	ike_sa_scan_end(&t->scan);
	read_xauth(t);
	t->cipher = cs_cipher_by_ike(t->cipher_number, t->key_bits);
	t->hash = cs_hash_by_ike(t->hash_number);
	t->group = cs_group_by_number(t->group_number);
	if (t->cipher && t->key_bits && !t->cipher->key_attr)
		ike_sa_unfit(&t->scan, "a key length stands with a cipher of fixed length");
}

static const char *transform_text(const struct transform *t, char *buf, size_t size)
{
	char cipher[24], hash[16], group[16], auth[24] = "";

	if (t->cipher)
		snprintf(cipher, sizeof(cipher), "%s", t->cipher->suite);
	else
		snprintf(cipher, sizeof(cipher), "cipher%u/%u", t->cipher_number, t->key_bits);
	if (t->hash)
		snprintf(hash, sizeof(hash), "%s", t->hash->suite);
	else
		snprintf(hash, sizeof(hash), "hash%u", t->hash_number);
	if (t->group)
		snprintf(group, sizeof(group), "%s", t->group->suite);
	else
		snprintf(group, sizeof(group), "group%u", t->group_number);
	if (t->auth == POL_AUTH_RSA)
		snprintf(auth, sizeof(auth), "-rsasig");
	else if (t->auth != POL_AUTH_PSK)
		snprintf(auth, sizeof(auth), "-auth%u", t->auth);
	snprintf(buf, size, "%s-%s-%s%s%s", cipher, hash, group, auth, t->xauth ? "-xauth" : "");
	return buf;
}

const char *ike_p1_suite_text(const struct ike_p1_suite *s, char *buf, size_t size)
{
	snprintf(buf, size, "%s-%s-%s%s%s", s->cipher ? s->cipher->suite : "?",
		 s->hash ? s->hash->suite : "?", s->group ? s->group->suite : "?",
		 s->auth == POL_AUTH_RSA ? "-rsasig" : "", s->xauth ? "-xauth" : "");
	return buf;
}

/* ---- matching ---- */

static bool usable(const struct pol_ke_offer *o, bool certs)
{
	return (o->auth == POL_AUTH_PSK || (o->auth == POL_AUTH_RSA && certs)) && o->cipher &&
	       o->cipher->ike && o->cipher->supported && o->hash && o->group;
}

static bool same_algorithms(const struct pol_ke_offer *o, const struct transform *t)
{
	return o->cipher == t->cipher && o->hash == t->hash && o->group == t->group &&
	       o->auth == t->auth;
}

static void fill_suite(const struct transform *t, const struct ike_sa_proposal *p,
		       const struct ike_sa_transform *raw, struct ike_p1_suite *suite)
{
	*suite = (struct ike_p1_suite){
		.cipher = t->cipher,
		.hash = t->hash,
		.group = t->group,
		.auth = t->auth,
		.life_seconds = t->scan.seconds,
		.life_kbytes = t->scan.kbytes,
		.proposal = p->number,
		.transform = raw->number,
		.xauth = t->xauth,
	};
}

/* All but the group, which Aggressive Mode cannot negotiate. */
static void explain_group(const struct pol_ke_offer *o, const struct transform *t,
			  char near[static IKE_UNFIT_MAX])
{
	if (o->cipher == t->cipher && o->hash == t->hash && o->auth == t->auth && t->group)
		snprintf(near, IKE_UNFIT_MAX,
			 "in Aggressive Mode the initiator fixes the group, here %s",
			 t->group->suite);
}

/* The first offer that takes the transform, or -1; near gets why one with its algorithms does not.
 */
static int find_offer(const struct pol_ke_action *action, bool certs, struct transform *t,
		      bool group_fixed, char near[static IKE_UNFIT_MAX])
{
	for (unsigned i = 0; i < action->n_offers; i++) {
		const struct pol_ke_offer *o = &action->offers[i];
		struct pol_life seconds = o->life_seconds;

		if (!usable(o, certs))
			continue;
		/* Clients offer weeks and cannot be told otherwise: it is ended in time. */
		if (action->xauth)
			seconds.accepted_max = UINT32_MAX;
		if (action->xauth != t->xauth) {
			snprintf(near, IKE_UNFIT_MAX, "ClientAuthentication is %s",
				 action->xauth ? "XAuth" : "None");
			continue;
		}
		if (!same_algorithms(o, t)) {
			if (group_fixed && !near[0])
				explain_group(o, t, near);
			continue;
		}
		if (t->scan.unfit[0])
			memcpy(near, t->scan.unfit, IKE_UNFIT_MAX);
		else if (ike_sa_life_fits(&seconds, &o->life_kbytes, &t->scan, near))
			return (int)i;
	}
	return -1;
}

static void explain(const struct ike_sa_list *offered, const struct pol_ke_action *action,
		    bool certs, const char *near, struct ike_mismatch *why)
{
	struct ike_sa_list ours = {0};
	char item[64];

	for (unsigned i = 0; i < action->n_offers; i++) {
		const struct pol_ke_offer *o = &action->offers[i];
		struct ike_p1_suite s = {.cipher = o->cipher,
					 .hash = o->hash,
					 .group = o->group,
					 .auth = (uint16_t)o->auth,
					 .xauth = action->xauth};

		if (usable(o, certs))
			ike_sa_list_add(&ours, ike_p1_suite_text(&s, item, sizeof(item)));
	}
	ike_sa_explain(offered, &ours, near, why);
}

int ike_p1_choose(struct cs_bytes sa_body, size_t ke_len, const struct pol_ke_action *action,
		  bool certs, struct ike_p1_suite *suite, unsigned *offer, struct ike_mismatch *why,
		  struct cs_err *err)
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

		if (p->bundled || p->protocol != PROTO_ISAKMP)
			continue;
		while (ike_sa_next_transform(&r, &raw)) {
			struct transform t;
			int found;

			parse_transform(&raw, &t);
			if (ke_len && t.group && t.group->public_len != ke_len)
				ike_sa_unfit(&t.scan, "the KE payload is not of group %s",
					     t.group->suite);
			found = find_offer(action, certs, &t, ke_len != 0, near);
			if (found >= 0) {
				fill_suite(&t, p, &raw, suite);
				if (t.xauth)
					suite->life_max =
						action->offers[found].life_seconds.accepted_max;
				*offer = (unsigned)found;
				return 0;
			}
			ike_sa_list_add(&offered, transform_text(&t, item, sizeof(item)));
		}
	}
	if (why)
		explain(&offered, action, certs, near, why);
	return cs_fail(err, CS_EPOLICY, "no phase 1 offer of the peer is accepted");
}

static bool made(unsigned i, int only)
{
	return only < 0 || i == (unsigned)only;
}

int ike_p1_accept(struct cs_bytes sa_body, const struct pol_ke_action *action, bool certs, int only,
		  struct ike_p1_suite *suite, unsigned *offer, struct cs_err *err)
{
	const struct ike_sa_proposal *p;
	struct ike_sa_transform raw;
	struct ike_sa_payload sa;
	struct transform t;
	char item[64];
	int rc = ike_sa_parse_answer(sa_body, &sa, &raw, err);

	if (rc < 0)
		return rc;
	p = &sa.proposals[0];
	if (p->protocol != PROTO_ISAKMP)
		return cs_fail(err, CS_EPARSE, "the peer's answer is for protocol %u", p->protocol);
	parse_transform(&raw, &t);
	if (t.scan.unfit[0])
		return cs_fail(err, CS_EPOLICY, "the peer's answer: %s", t.scan.unfit);
	for (unsigned i = 0; i < action->n_offers; i++) {
		const struct pol_ke_offer *o = &action->offers[i];

		if (!made(i, only) || !usable(o, certs) || t.xauth || !same_algorithms(o, &t) ||
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

/* ---- building ---- */

static uint16_t auth_number(const struct ike_p1_suite *s)
{
	if (!s->xauth)
		return s->auth;
	return s->auth == POL_AUTH_RSA ? XAUTH_RSA : XAUTH_PSK;
}

static void put_transform(struct ike_sa_builder *b, uint8_t number, const struct ike_p1_suite *s)
{
	ike_sa_transform_begin(b, number, KEY_IKE);
	ike_sa_basic(b, A_CIPHER, s->cipher->ike);
	if (s->cipher->key_attr)
		ike_sa_basic(b, A_KEY_LENGTH, s->cipher->key_bits);
	ike_sa_basic(b, A_HASH, s->hash->ike);
	ike_sa_basic(b, A_GROUP, s->group->number);
	ike_sa_basic(b, A_AUTH, auth_number(s));
	if (s->life_seconds)
		ike_sa_life(b, A_LIFE_TYPE, IKE_LIFE_SECONDS, s->life_seconds);
	if (s->life_kbytes)
		ike_sa_life(b, A_LIFE_TYPE, IKE_LIFE_KBYTES, s->life_kbytes);
	ike_sa_transform_end(b);
}

int ike_p1_offer_of(const struct pol_ke_action *action, bool certs, const struct ike_p1_suite *s)
{
	for (unsigned i = 0; i < action->n_offers; i++) {
		const struct pol_ke_offer *o = &action->offers[i];

		if (usable(o, certs) && o->cipher == s->cipher && o->hash == s->hash &&
		    o->group == s->group && (uint16_t)o->auth == s->auth)
			return (int)i;
	}
	return -1;
}

const struct cs_group *ike_p1_offer_group(const struct pol_ke_action *action, bool certs, int only)
{
	for (unsigned i = 0; i < action->n_offers; i++)
		if (made(i, only) && usable(&action->offers[i], certs))
			return action->offers[i].group;
	return NULL;
}

bool ike_p1_offers_rsa(const struct pol_ke_action *action, bool certs, int only)
{
	for (unsigned i = 0; i < action->n_offers; i++)
		if (made(i, only) && usable(&action->offers[i], certs) &&
		    action->offers[i].auth == POL_AUTH_RSA)
			return true;
	return false;
}

int ike_p1_offer(const struct pol_ke_action *action, bool certs, int only, struct cs_writer *w,
		 struct cs_err *err)
{
	struct ike_sa_builder b;
	uint8_t number = 0;

	ike_sa_begin(&b, w);
	ike_sa_proposal_begin(&b, 1, PROTO_ISAKMP, NULL);
	for (unsigned i = 0; i < action->n_offers; i++) {
		const struct pol_ke_offer *o = &action->offers[i];
		struct ike_p1_suite s = {.cipher = o->cipher,
					 .hash = o->hash,
					 .group = o->group,
					 .auth = (uint16_t)o->auth,
					 .life_seconds = o->life_seconds.proposed,
					 .life_kbytes = o->life_kbytes.proposed};

		if (made(i, only) && usable(o, certs))
			put_transform(&b, ++number, &s);
	}
	ike_sa_proposal_end(&b);
	if (number == 0)
		return cs_fail(err, CS_EPOLICY,
			       "KeyExchangeAction %s has no offer that can be made", action->name);
	return ike_sa_end(&b, err);
}

int ike_p1_answer(const struct ike_p1_suite *suite, struct cs_writer *w, struct cs_err *err)
{
	struct ike_sa_builder b;

	ike_sa_begin(&b, w);
	ike_sa_proposal_begin(&b, suite->proposal, PROTO_ISAKMP, NULL);
	put_transform(&b, suite->transform, suite);
	ike_sa_proposal_end(&b);
	return ike_sa_end(&b, err);
}
