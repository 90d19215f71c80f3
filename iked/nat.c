/*
 * NAT detection (RFC 3947 section 3, and drafts 02 and 03 of it, which number the payload
 * otherwise).  Each side sends hashes of the addresses and ports that it believes to talk between;
 * where one differs from what the other sees there is a NAT between.  NAT-D is not authenticated:
 * who changes it on the way makes us encapsulate, or not, and that is all.
 */
#include <string.h>

#include "iked/engine_private.h"
#include "iked/vendor.h"

/* Best first. */
static const struct level {
	unsigned can;
	enum ike_natt_level level;
	uint8_t payload; /* NAT-D */
} levels[] = {
	{IKE_CAN_NATT_RFC, IKE_NATT_RFC, ISA_NATD},
	{IKE_CAN_NATT_D3, IKE_NATT_D3, ISA_NATD_DRAFT},
	{IKE_CAN_NATT_D2_NEWLINE, IKE_NATT_D2, ISA_NATD_DRAFT},
	{IKE_CAN_NATT_D2, IKE_NATT_D2, ISA_NATD_DRAFT},
};
#define N_LEVELS (sizeof(levels) / sizeof(levels[0]))

static const struct level *best(unsigned can)
{
	for (size_t i = 0; i < N_LEVELS; i++)
		if (can & levels[i].can)
			return &levels[i];
	return NULL;
}

static unsigned payload_of(const struct ike_p1 *p1)
{
	return p1->nat.level == IKE_NATT_RFC ? ISA_NATD : ISA_NATD_DRAFT;
}

/* ---- who can ---- */

unsigned ike_nat_offer(const struct pol_ke_rule *rule, const struct cs_addr *remote)
{
	return rule->action->allow_nat && remote->family == AF_INET ? IKE_CAN_NATT : 0;
}

unsigned ike_nat_choose(const struct pol_ke_rule *rule, const struct cs_addr *remote, unsigned can)
{
	const struct level *l = best(can & ike_nat_offer(rule, remote));

	return l ? l->can : 0;
}

void ike_nat_agree(struct ike_p1 *p1)
{
	const struct level *l = best(p1->can & ike_nat_offer(p1->rule, &p1->sid.remote.addr));

	p1->nat = (struct ike_nat){.level = l ? l->level : IKE_NATT_NONE};
}

/* ---- NAT-D ---- */

static int hash_of(const struct ike_p1 *p1, const struct cs_endpoint *at,
		   uint8_t out[static IKE_HASH_MAX], struct cs_err *err)
{
	return ike_hash_natd(p1->suite.hash, p1->sid.icookie, p1->sid.rcookie, at, out, err);
}

/* The receiver's first, then the sender's; a forged one makes the peer see a NAT in front of us. */
int ike_nat_put(struct ike_engine *e, const struct ike_p1 *p1, struct isa_builder *b,
		struct cs_err *err)
{
	uint8_t hash[IKE_HASH_MAX];
	int rc;

	if (!p1->nat.level)
		return 0;
	rc = hash_of(p1, &p1->sid.remote, hash, err);
	if (rc)
		return rc;
	isa_put(b, payload_of(p1), hash, p1->suite.hash->len);
	if (p1->rule->action->nat_force_encap)
		ike_random(e, hash, p1->suite.hash->len);
	else
		rc = hash_of(p1, &p1->sid.local, hash, err);
	if (!rc)
		isa_put(b, payload_of(p1), hash, p1->suite.hash->len);
	return rc;
}

static bool matches(const struct ike_p1 *p1, const struct isa_payload *p,
		    const struct cs_endpoint *at)
{
	uint8_t hash[IKE_HASH_MAX];

	return p->body.len == p1->suite.hash->len && !hash_of(p1, at, hash, NULL) &&
	       !memcmp(p->body.p, hash, p->body.len);
}

/*
 * Aggressive Mode's message 3 may come to and from other ports than the ones before it, and peers
 * differ in which of them they mean.
 */
static bool matches_local(const struct ike_engine *e, const struct ike_p1 *p1,
			  const struct isa_payload *p)
{
	return matches(p1, p, e->to) || matches(p1, p, &p1->sid.local);
}

static bool matches_remote(const struct ike_engine *e, const struct ike_p1 *p1,
			   const struct isa_payload *p)
{
	return matches(p1, p, e->from) || matches(p1, p, &p1->sid.remote);
}

bool ike_nat_translated(const struct ike_engine *e, const struct cs_endpoint *remote)
{
	return remote->port != e->set.port && remote->port != e->set.nat_port;
}

int ike_nat_take(struct ike_engine *e, struct ike_p1 *p1, const struct isa_message *m,
		 struct cs_err *err)
{
	unsigned type = payload_of(p1);
	const struct isa_payload *p = p1->nat.level ? isa_find(m, type, 0) : NULL;

	if (!p) { /* it does not do what it said that it can */
		p1->nat = (struct ike_nat){0};
		return 0;
	}
	if (!e->from)
		return cs_fail(err, CS_EINVAL, "NAT-D without the datagram that it came in");
	p1->nat.local = !matches_local(e, p1, p);
	p1->nat.remote = true;
	for (unsigned n = 1; (p = isa_find(m, type, n)); n++)
		if (matches_remote(e, p1, p))
			p1->nat.remote = false;
	p1->nat.napt = p1->nat.remote && ike_nat_translated(e, e->from);
	p1->nat.encap = p1->nat.local || p1->nat.remote || p1->rule->action->nat_force_encap;
	return 0;
}

/* ---- what follows from it ---- */

int ike_nat_recheck(struct ike_p1 *p1, const struct pol_ke_rule *rule, struct cs_err *err)
{
	if (rule->action->allow_nat)
		return 0;
	if (p1->nat.encap)
		return cs_fail(err, CS_EPOLICY,
			       "rule %s is for the peer's identity, but there is a NAT, and "
			       "KeyExchangeAction %s does not allow one (AllowNat No)",
			       rule->name, rule->action->name);
	p1->nat = (struct ike_nat){0};
	return 0;
}

void ike_nat_float(struct ike_engine *e, struct ike_p1 *p1)
{
	struct cs_endpoint local = p1->sid.local, remote = p1->sid.remote;

	if (!p1->nat.encap || local.port == e->set.nat_port)
		return;
	local.port = remote.port = e->set.nat_port;
	ike_sid_moved(e, &p1->sid, &local, &remote);
}

/* Behind its NAT the peer has another address than the one that it sends from. */
const struct cs_addr *ike_nat_source(const struct ike_p1 *p1)
{
	return p1->nat.remote ? NULL : &p1->sid.remote.addr;
}

const char *ike_nat_text(const struct ike_nat *nat)
{
	if (nat->local)
		return nat->remote ? "both of us" : "us";
	return nat->remote ? "the peer" : "nobody, it is pretended";
}

const char *ike_nat_level_text(enum ike_natt_level level)
{
	static const char *const texts[] = {"none", "draft 02", "draft 03", "RFC 3947"};

	return texts[level];
}
