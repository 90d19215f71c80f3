/*
 * Refresh: an SA gets a successor before its life is over, and both live until nothing is under way
 * to the old one any more.  The side that began the SA is first to refresh it, the other one a
 * little later, each at a time of chance, so that both seldom begin at once.  When they do, one is
 * begun before the other is up: of such twins both sides keep the same one, and who began the other
 * deletes it.
 *
 * A successor that ends early, because the peer was restarted before it had it, leaves its place to
 * the SA before it, which goes on as if there had been none.
 *
 * What won last time is offered again, alone; when the peer does not take it, or the policy does
 * not allow it any more, the policy's own list is offered once.
 */
#include <string.h>

#include "iked/engine_private.h"

#define GRACE_MS 30000u /* what is under way to the old SA */
#define LEFT_MS  60000u /* the peer was to delete the old SA, and has not: some never do */
#define RETRY_MS 30000u /* between attempts that fail */
#define LATE_MS  10000u /* of chance, when the time for a refresh has passed already */

/* Of 1000: the first and the last moment of the life at which a refresh begins. */
static const unsigned soft_from[2] = {900, 800}, soft_to[2] = {950, 900};

static uint64_t chance(struct ike_engine *e, uint64_t from, uint64_t to)
{
	uint32_t r;

	ike_random(e, &r, sizeof(r));
	return from + (to > from ? r % (to - from) : 0);
}

/* Milliseconds from now until the refresh of a life of which so much is left. */
static uint64_t soft_in(struct ike_engine *e, uint64_t life, uint64_t left, bool initiator)
{
	uint64_t soft =
		chance(e, life / 1000 * soft_from[initiator], life / 1000 * soft_to[initiator]);
	uint64_t passed = life - left;

	if (soft > passed)
		return soft - passed;
	return chance(e, 0, left < LATE_MS ? left / 2 : LATE_MS);
}

static uint64_t soonest(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t left_until(const struct ike_engine *e, uint64_t ends)
{
	return ends > e->now.mono ? ends - e->now.mono : 0;
}

/* ---- phase 2 ---- */

uint64_t ike_p2_soft_bytes(const struct ike_p2 *p2)
{
	uint64_t kbytes = p2->life_kbytes,
		 spread = soft_to[p2->initiator] - soft_from[p2->initiator];

	/* The SPI is as good as chance, and the same when the SA is adopted. */
	return kbytes * (soft_from[p2->initiator] + p2->spi_in % spread) * 1024 / 1000;
}

/* At the end of VpnLife the tunnel is to be activated anew. */
static bool may_refresh_p2(const struct ike_p2 *p2)
{
	return !p2->superseded &&
	       !(p2->tunnel->vpn_expires && p2->expires >= p2->tunnel->vpn_expires);
}

void ike_refresh_plan_p2(struct ike_engine *e, struct ike_p2 *p2, uint64_t left)
{
	uint64_t soft = left;

	p2->ends = e->now.mono + left;
	p2->refresh = 0;
	if (may_refresh_p2(p2)) {
		soft = soft_in(e, (uint64_t)p2->life_seconds * 1000, left, p2->initiator);
		p2->refresh = e->now.wall + (int64_t)(soft / 1000);
	}
	ike_timer_set(&e->timers, &p2->timer, e->now.mono + soft);
}

bool ike_refresh_under_way(const struct ike_tunnel *t)
{
	for (const struct ike_list *l = t->p2s.next; l != &t->p2s; l = l->next)
		if (IKE_OF(l, struct ike_p2, in_tunnel)->qm)
			return true;
	return false;
}

struct ike_p2 *ike_refresh_current(const struct ike_tunnel *t)
{
	for (const struct ike_list *l = t->p2s.next; l != &t->p2s; l = l->next) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, in_tunnel);

		if (p2->up && !p2->superseded)
			return p2;
	}
	return NULL;
}

static void retry_p2(struct ike_engine *e, struct ike_p2 *p2)
{
	uint64_t at = e->now.mono + chance(e, RETRY_MS, RETRY_MS + LATE_MS);

	ike_timer_set(&e->timers, &p2->timer, soonest(at, p2->ends));
}

void ike_p2_offer_cached(struct ike_engine *e, struct ike_p2 *p2, unsigned path,
			 const struct ike_p2_suite *was)
{
	const struct pol_dynvpn_action *vpn = p2->rule->vpn;
	int only = ike_p2_offer_of(vpn, path, was);
	char suite[100];

	if (only < 0 || !ike_p2_group_allowed(vpn, was->group)) {
		ike_logf(e, ike_p2_ctx(p2), CSM_CACHE_OVERRULED,
			 ike_p2_suite_text(was, suite, sizeof(suite)), vpn->name);
		return;
	}
	p2->qm->pfs = was->group;
	p2->qm->only = only;
}

/* A client's pairs live and die with its own phase 1 SA. */
static int p1_for(struct ike_engine *e, const struct ike_p2 *old, struct ike_p1 **p1,
		  struct cs_err *err)
{
	*p1 = old->p1;
	if (old->p1 && old->p1->client)
		return 0;
	if (old->nat.remote) {
		*p1 = ike_p1_of_host(old);
		if (*p1)
			return 0;
		if (old->nat.napt || old->tunnel->client)
			return cs_fail(err, CS_EPOLICY,
				       "the peer is behind a NAT, so only it can begin");
	}
	return ike_p1_towards(e, &old->tunnel->local, &old->tunnel->remote, p1, err);
}

/* True when a successor is on its way; else err says why not. */
static bool begin_p2(struct ike_engine *e, struct ike_p2 *old, bool cached, struct cs_err *err)
{
	struct ike_tunnel *t = old->tunnel;
	struct ike_p1 *p1;
	struct ike_p2 *p2;

	/* By its hard end, whatever becomes of the attempt. */
	ike_timer_set(&e->timers, &old->timer, old->ends);
	if (p1_for(e, old, &p1, err) ||
	    ike_p2_begin(e, p1, old->rule, t, old->activation, old->local_rule, &p2, err))
		return false;
	if (cached)
		ike_p2_offer_cached(e, p2, ike_p2_path(old), &old->suite);
	if (p2->p1->up)
		ike_quick_soon(e, p2);
	return true;
}

int ike_refresh_p2(struct ike_engine *e, struct ike_p2 *old, struct cs_err *err)
{
	if (ike_refresh_under_way(old->tunnel))
		return cs_fail(err, CS_EEXIST, "tunnel Y%u has a negotiation under way",
			       old->tunnel->number);
	if (!may_refresh_p2(old))
		return cs_fail(err, CS_EPOLICY, "tunnel Y%u is at the end of its VpnLife",
			       old->tunnel->number);
	if (begin_p2(e, old, true, err))
		return 0;
	retry_p2(e, old);
	return err->code;
}

/*
 * The time has come, or the kernel has counted enough bytes.  What is to have no successor any more
 * goes on to the end that is set for it.
 */
void ike_refresh_p2_due(struct ike_engine *e, struct ike_p2 *old)
{
	struct cs_err err = {0};
	int rc;

	if (!may_refresh_p2(old)) {
		if (!old->superseded)
			ike_timer_set(&e->timers, &old->timer, old->ends);
		return;
	}
	rc = ike_refresh_p2(e, old, &err);
	if (rc && rc != CS_EEXIST)
		ike_logf(e, ike_p2_ctx(old), CSM_REFRESH_FAILED, 'Y', old->tunnel->number,
			 err.text);
	if (rc)
		retry_p2(e, old);
}

/* An attempt ended. What the peer refused is offered once more as the policy has it. */
bool ike_refresh_p2_failed(struct ike_engine *e, struct ike_tunnel *t, bool again)
{
	struct ike_p2 *old = ike_refresh_current(t);
	struct cs_err err = {0};

	if (!old || ike_refresh_under_way(t))
		return false;
	if (again && begin_p2(e, old, false, &err))
		return true;
	retry_p2(e, old);
	return false;
}

static uint32_t lower_spi(const struct ike_p2 *p2)
{
	return p2->spi_in < p2->spi_out ? p2->spi_in : p2->spi_out;
}

/* ours: this side is first to delete it. */
static void supersede_p2(struct ike_engine *e, struct ike_p2 *loser, bool ours)
{
	uint64_t at = e->now.mono + (ours ? GRACE_MS : LEFT_MS);

	loser->superseded = true;
	loser->refresh = 0;
	ike_timer_set(&e->timers, &loser->timer, soonest(at, loser->ends));
}

void ike_refresh_settle_p2(struct ike_engine *e, struct ike_p2 *p2)
{
	struct ike_list *l = p2->tunnel->p2s.next;

	while (l != &p2->tunnel->p2s && !p2->superseded) {
		struct ike_p2 *other = IKE_OF(l, struct ike_p2, in_tunnel);
		bool twins;

		l = l->next;
		if (other == p2 || !other->up)
			continue;
		/* By a twin of this one, whose side may leave it to us. */
		if (other->superseded && !p2->initiator)
			continue;
		twins = !other->superseded && other->initiator != p2->initiator &&
			p2->born < other->up;
		if (twins && lower_spi(other) < lower_spi(p2))
			supersede_p2(e, p2, p2->initiator);
		else
			supersede_p2(e, other, twins ? other->initiator : p2->initiator);
	}
}

void ike_refresh_p2_ended(struct ike_engine *e, struct ike_tunnel *t)
{
	if (ike_refresh_current(t))
		return;
	for (struct ike_list *l = t->p2s.next; l != &t->p2s; l = l->next) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, in_tunnel);

		if (!p2->up)
			continue;
		p2->superseded = false;
		ike_refresh_plan_p2(e, p2, left_until(e, p2->ends));
		return;
	}
}

/* ---- phase 1 ---- */

static bool may_refresh_p1(const struct ike_p1 *p1)
{
	return !p1->superseded && p1->rule && p1->rule->action->initiate != POL_MODE_DONOT;
}

void ike_refresh_plan_p1(struct ike_engine *e, struct ike_p1 *p1, uint64_t left)
{
	uint64_t soft = left;

	p1->ends = e->now.mono + left;
	p1->refresh = 0;
	if (may_refresh_p1(p1)) {
		soft = soft_in(e, (uint64_t)p1->life_seconds * 1000, left, p1->initiator);
		p1->refresh = e->now.wall + (int64_t)(soft / 1000);
	}
	ike_timer_set(&e->timers, &p1->timer, e->now.mono + soft);
}

bool ike_p1_soft_size(const struct ike_p1 *p1)
{
	return p1->life_kbytes &&
	       p1->bytes / 1024 >= p1->life_kbytes * soft_from[p1->initiator] / 1000;
}

static void retry_p1(struct ike_engine *e, struct ike_p1 *p1)
{
	uint64_t at = e->now.mono + chance(e, RETRY_MS, RETRY_MS + LATE_MS);

	ike_timer_set(&e->timers, &p1->timer, soonest(at, p1->ends));
}

int ike_p1_cached_offer(struct ike_engine *e, struct cs_logctx lc,
			const struct pol_ke_action *action, const struct ike_p1_suite *was)
{
	int only = ike_p1_offer_of(action, ike_certs_usable(e), was);
	char suite[80];

	if (only < 0)
		ike_logf(e, lc, CSM_CACHE_OVERRULED, ike_p1_suite_text(was, suite, sizeof(suite)),
			 action->name);
	return only;
}

static int begin_p1(struct ike_engine *e, struct ike_p1 *old, bool cached, struct cs_err *err)
{
	struct ike_first_try f = {.from = {old->sid.local.addr, e->set.port},
				  .to = {old->sid.remote.addr, e->set.port},
				  .rule = old->rule,
				  .mode = old->rule->action->initiate,
				  .only = cached ? ike_p1_cached_offer(e, ike_p1_ctx(old),
								       old->rule->action,
								       &old->suite)
						 : -1,
				  .old = old};
	struct ike_p1 *p1;

	/* Through a NAT where the mapping is (RFC 3947 section 4). */
	if (old->nat.encap) {
		f.from = old->sid.local;
		f.to = old->sid.remote;
	}
	ike_timer_set(&e->timers, &old->timer, old->ends);
	old->refreshing = true;
	return ike_exchange_initiate(e, &f, &p1, err);
}

int ike_refresh_p1(struct ike_engine *e, struct ike_p1 *old, struct cs_err *err)
{
	int rc;

	if (old->refreshing)
		return cs_fail(err, CS_EEXIST, "tunnel K%u has a negotiation under way",
			       old->tunnel);
	if (!may_refresh_p1(old))
		return cs_fail(err, CS_EPOLICY,
			       "tunnel K%u may not be refreshed from here (HowToInitiate DoNot)",
			       old->tunnel);
	rc = begin_p1(e, old, true, err);
	if (rc)
		ike_refresh_p1_failed(e, old, false);
	return rc;
}

void ike_refresh_p1_due(struct ike_engine *e, struct ike_p1 *old)
{
	struct cs_err err = {0};

	if (old->refreshing || !may_refresh_p1(old))
		ike_timer_set(&e->timers, &old->timer, old->ends);
	else if (ike_refresh_p1(e, old, &err))
		ike_logf(e, ike_p1_ctx(old), CSM_REFRESH_FAILED, 'K', old->tunnel, err.text);
}

bool ike_refresh_p1_failed(struct ike_engine *e, struct ike_p1 *old, bool again)
{
	struct cs_err err = {0};

	old->refreshing = false;
	if (again && !begin_p1(e, old, false, &err))
		return true;
	old->refreshing = false;
	retry_p1(e, old);
	return false;
}

/* ours: this side is first to delete it. */
static void supersede_p1(struct ike_engine *e, struct ike_p1 *loser, bool ours)
{
	uint64_t at = e->now.mono + (ours ? GRACE_MS : LEFT_MS);

	loser->superseded = true;
	loser->refresh = 0;
	ike_timer_set(&e->timers, &loser->timer, soonest(at, loser->ends));
}

static bool same_tunnel(const struct ike_p1 *a, const struct ike_p1 *b)
{
	return a != b && a->up && a->rule && b->rule && !strcmp(a->rule->name, b->rule->name);
}

/* A successor has its predecessor's number, and so has a twin. */
void ike_refresh_join_p1(struct ike_engine *e, struct ike_p1 *p1)
{
	uint32_t tunnel = 0;

	for (const struct ike_list *l = p1->peer->p1s.next; l != &p1->peer->p1s; l = l->next) {
		struct ike_p1 *other = IKE_OF(l, struct ike_p1, in_peer);

		if (!same_tunnel(other, p1) || (tunnel && other->tunnel != tunnel))
			continue;
		if (!tunnel)
			ike_p1_share(p1, other);
		tunnel = other->tunnel;
		ike_keep_later(e, other); /* it knows of one more */
	}
	if (!tunnel)
		return;
	ike_p1_renumber(e, p1, tunnel);
	for (struct ike_list *l = p1->p2s.next; l != &p1->p2s; l = l->next)
		IKE_OF(l, struct ike_p2, in_p1)->parent = tunnel;
}

void ike_refresh_settle_p1(struct ike_engine *e, struct ike_p1 *p1)
{
	struct ike_list *l = p1->peer->p1s.next;

	while (l != &p1->peer->p1s && !p1->superseded) {
		struct ike_p1 *other = IKE_OF(l, struct ike_p1, in_peer);
		bool twins;

		l = l->next;
		if (!same_tunnel(other, p1))
			continue;
		other->refreshing = false;
		if (other->superseded && !p1->initiator)
			continue;
		twins = !other->superseded && other->initiator != p1->initiator &&
			p1->sid.born < other->up;
		if (twins && memcmp(other->sid.icookie, p1->sid.icookie, ISA_COOKIE_LEN) < 0)
			supersede_p1(e, p1, p1->initiator);
		else
			supersede_p1(e, other, twins ? other->initiator : p1->initiator);
	}
}

/* What is up under an SA that ends goes on under its successor. */
struct ike_p1 *ike_refresh_successor(const struct ike_p1 *p1)
{
	struct ike_p1 *best = NULL;

	if (!p1->peer)
		return NULL;
	for (const struct ike_list *l = p1->peer->p1s.next; l != &p1->peer->p1s; l = l->next) {
		struct ike_p1 *other = IKE_OF(l, struct ike_p1, in_peer);

		if (other != p1 && other->up && !other->dead && other->tunnel == p1->tunnel &&
		    (!best || (best->superseded && !other->superseded)))
			best = other;
	}
	return best;
}

/*
 * Who sends the last message is up before the other, which may die without it: once it is back it
 * is there by the old one alone.  Of Main Mode the responder sends it, of Aggressive Mode the
 * initiator.
 */
bool ike_refresh_p1_replaced(const struct ike_p1 *p1)
{
	const struct ike_p1 *successor = ike_refresh_successor(p1);

	return successor && (successor->used ||
			     successor->initiator == (successor->mode != POL_MODE_AGGRESSIVE));
}

void ike_refresh_p1_ended(struct ike_engine *e, const struct ike_p1 *p1)
{
	struct ike_p1 *other = p1->superseded ? NULL : ike_refresh_successor(p1);

	if (!other || !other->superseded)
		return;
	other->superseded = false;
	ike_refresh_plan_p1(e, other, left_until(e, other->ends));
	ike_dpd_resume(e, other);
}
