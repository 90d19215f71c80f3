/*
 * What an engine before this one left: which of its SAs live on, and what becomes of the rest.
 * Nothing leaves the kernel before its end is on record with its last counters; a crash meanwhile
 * leaves all of it to the next start.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"

struct sa {
	const struct ike_left_sa *left;
	bool adopted, told; /* told: of an SPI without keys, that nothing comes of it */
};

struct row {
	const struct ike_p1_info *info;
	bool adopted;
};

/* Something that may live on, by the time when it came up. */
struct candidate {
	int64_t when;
	const struct ike_p1_kept *p1; /* or */
	const struct ike_cached_p2 *p2;
	const struct ike_quick_kept *quick; /* its exchange, which goes on */
};

struct restore {
	struct ike_engine *e;
	const struct ike_leftovers *left;
	struct ike_restored *done;
	struct sa *sas;                       /* by SPI */
	struct row *rows;                     /* phase 1 of the cache, by tunnel and generation */
	struct candidate *candidates;         /* by time, pairs of clients behind the others */
	const struct ike_quick_kept **quicks; /* by tunnel and generation */
	size_t n_candidates;
	uint32_t *reqids; /* of what was adopted, sorted */
	size_t n_reqids;
	uint64_t last_tx; /* of a record that is not durable yet */
};

/* ---- look-up ---- */

static int by_spi(const void *a, const void *b)
{
	const struct sa *x = a, *y = b;

	return (x->left->id.spi > y->left->id.spi) - (x->left->id.spi < y->left->id.spi);
}

static size_t first_with(const struct restore *r, uint32_t spi)
{
	size_t lo = 0, hi = r->left->n_sas;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (r->sas[mid].left->id.spi < spi)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/*
 * SPIs are unique for one destination only, so all with that SPI are looked at. A larval one is no
 * SA yet.
 */
static struct sa *find_sa(const struct restore *r, enum pol_proto protocol, uint32_t spi,
			  const struct cs_addr *dst, uint32_t reqid)
{
	uint8_t proto = ike_ipproto(protocol);
	size_t lo = first_with(r, spi);

	for (; spi && lo < r->left->n_sas && r->sas[lo].left->id.spi == spi; lo++)
		if (!r->sas[lo].left->larval && r->sas[lo].left->reqid == reqid &&
		    r->sas[lo].left->id.proto == proto &&
		    cs_addr_equal(&r->sas[lo].left->id.dst, dst))
			return &r->sas[lo];
	return NULL;
}

/* The cache may not know of a peer's last move: then its SA is that of the reqid. */
static struct sa *find_moved(const struct restore *r, const struct ike_p2_info *i)
{
	for (size_t n = first_with(r, i->spi_out); n < r->left->n_sas; n++) {
		const struct ike_left_sa *left = r->sas[n].left;

		if (left->id.spi != i->spi_out)
			break;
		if (left->reqid == i->reqid && !left->larval && left->id.proto == IPPROTO_ESP &&
		    !cs_addr_equal(&left->id.dst, &i->local))
			return &r->sas[n];
	}
	return NULL;
}

struct pair {
	struct sa *in, *out;
	bool bundle;
	struct sa *ah_in, *ah_out; /* of a bundle */
};

static struct pair pair_of(const struct restore *r, const struct ike_p2_info *i)
{
	enum pol_proto protocol = i->suite.protocol;
	struct pair pair = {
		.in = find_sa(r, protocol, i->spi_in, &i->local, i->reqid),
		.out = find_sa(r, protocol, i->spi_out, &i->remote, i->reqid),
		.bundle = i->suite.ah != NULL,
		.ah_in = find_sa(r, POL_AH, i->ah_in, &i->local, i->reqid),
		.ah_out = find_sa(r, POL_AH, i->ah_out, &i->remote, i->reqid),
	};

	if (!pair.out && i->suite.udp != IKE_UDP_NONE && i->spi_out)
		pair.out = find_moved(r, i);
	return pair;
}

static bool is_whole(const struct pair *p)
{
	return p->in && p->out && (!p->bundle || (p->ah_in && p->ah_out));
}

static bool has_any(const struct pair *p)
{
	return p->in || p->out || p->ah_in || p->ah_out;
}

/*
 * Its SPI waits for keys still: the inbound SA is the first that the kernel gets, so there never
 * was any.
 */
static struct sa *never_had(const struct restore *r, const struct ike_p2_info *i)
{
	uint32_t spi = i->ah_in ? i->ah_in : i->spi_in;
	size_t n = first_with(r, spi);

	for (; spi && n < r->left->n_sas && r->sas[n].left->id.spi == spi; n++)
		if (r->sas[n].left->larval && r->sas[n].left->reqid == i->reqid &&
		    cs_addr_equal(&r->sas[n].left->id.dst, &i->local))
			return &r->sas[n];
	return NULL;
}

static bool is_taken(const struct pair *p)
{
	const struct sa *all[] = {p->in, p->out, p->ah_in, p->ah_out};

	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (all[i] && all[i]->adopted)
			return true;
	return false;
}

static void take(const struct pair *p)
{
	struct sa *all[] = {p->in, p->out, p->ah_in, p->ah_out};

	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (all[i])
			all[i]->adopted = true;
}

static int by_tunnel(const void *a, const void *b)
{
	const struct ike_p1_info *x = ((const struct row *)a)->info,
				 *y = ((const struct row *)b)->info;

	if (x->tunnel != y->tunnel)
		return x->tunnel < y->tunnel ? -1 : 1;
	return (x->generation > y->generation) - (x->generation < y->generation);
}

/* The newest generation up to this one. */
static struct row *find_row(const struct restore *r, uint32_t tunnel, uint32_t generation)
{
	struct ike_p1_info info = {.tunnel = tunnel, .generation = generation};
	struct row key = {.info = &info};
	size_t lo = 0, hi = r->left->n_p1;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (by_tunnel(&r->rows[mid], &key) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && r->rows[lo - 1].info->tunnel == tunnel ? &r->rows[lo - 1] : NULL;
}

/* An intent's row is older than the pair, which came up when its last SA entered the kernel. */
static struct ike_p2_info info_of(const struct restore *r, const struct ike_cached_p2 *p2,
				  const struct pair *pair)
{
	const struct sa *last = pair->out ? pair->out : pair->in;
	struct ike_p2_info info = p2->info;

	if (pair->out)
		info.remote = pair->out->left->id.dst;
	if (p2->intent && last) {
		info.installed = last->left->counters.added ? (int64_t)last->left->counters.added
							    : r->e->now.wall;
		info.expires = info.installed + info.lifetime;
	}
	return info;
}

/* ---- records ---- */

static void record(struct restore *r, const struct ike_record *rec)
{
	uint64_t tx;

	struct ike_record now = *rec;

	now.when.wall += r->left->clock_set;
	if (r->e->ops.record(r->e->ctx, &now, &tx) == IKE_LATER)
		r->last_tx = tx;
}

/*
 * Of an intent whose SAs are not there nobody knows whether the kernel had them before it ended, or
 * before iked took them out again: then its records say so.
 */
static void record_p2(struct restore *r, const struct ike_cached_p2 *p2, enum ike_record_kind kind,
		      const struct pair *pair, const char *reason)
{
	const struct row *row = find_row(r, p2->info.parent, UINT32_MAX);
	struct ike_p2_info info = info_of(r, p2, pair);
	struct ike_record rec = {.kind = kind,
				 .when = r->e->now,
				 .p1 = row ? row->info : NULL,
				 .p2 = &info,
				 .reason = reason,
				 .in_doubt =
					 p2->intent && !has_any(pair) && kind != IKE_REC_P2_FAILED};

	if (kind == IKE_REC_P2_DOWN) {
		info.state = IKE_P2_EXPIRED;
		rec.in = pair->in ? &pair->in->left->counters : NULL;
		rec.out = pair->out ? &pair->out->left->counters : NULL;
	} else {
		rec.intent = p2->intent;
		r->done->intents++;
	}
	record(r, &rec);
}

/* ---- exchanges that were kept ---- */

static int by_pair(const void *a, const void *b)
{
	const struct ike_quick_kept *x = *(const struct ike_quick_kept *const *)a,
				    *y = *(const struct ike_quick_kept *const *)b;

	if (x->tunnel != y->tunnel)
		return x->tunnel < y->tunnel ? -1 : 1;
	return (x->generation > y->generation) - (x->generation < y->generation);
}

/*
 * Its exchange can come to its end: the inbound SAs are there, and none of the outbound ones or all
 * of them.
 */
static const struct ike_quick_kept *
quick_of(const struct restore *r, const struct ike_cached_p2 *p2, const struct pair *pair)
{
	struct ike_quick_kept numbers = {.tunnel = p2->info.tunnel,
					 .generation = p2->info.generation};
	const struct ike_quick_kept *key = &numbers, **found;

	if (!p2->intent || !pair->in || !r->left->n_quicks ||
	    (pair->bundle && (!pair->ah_in || !pair->out != !pair->ah_out)))
		return NULL;
	found = bsearch(&key, r->quicks, r->left->n_quicks, sizeof(*r->quicks), by_pair);
	return found ? *found : NULL;
}

/* Those that went on have been forgotten with their end, or stay until then. */
static void forget_quicks(struct restore *r)
{
	struct ike_engine *e = r->e;

	for (size_t i = 0; i < r->left->n_quicks && e->ops.quick_forget; i++) {
		const struct ike_quick_kept *k = r->left->quicks[i];
		struct ike_sid *sid = ike_sid_by_cookies(e, k->icookie, k->rcookie);
		const struct ike_p2 *p2 = NULL;

		if (sid && sid->kind == IKE_SID_P1)
			p2 = ike_p2_by_mid(e, IKE_OF(sid, struct ike_p1, sid), k->mid);
		if (!p2 || !p2->kept)
			e->ops.quick_forget(e->ctx, k->tunnel, k->generation);
	}
}

/* ---- what lives on ---- */

/*
 * An intent without its result, but both SAs are there: as responder that means that the peer has
 * them, too; as initiator only what has come through says so, since message 3 may never have left.
 */
static bool may_adopt(const struct ike_cached_p2 *p2, const struct pair *pair)
{
	if (!is_whole(pair))
		return false;
	return !p2->intent || !p2->info.initiator || pair->in->left->counters.packets > 0;
}

/* A client's pair may belong to a phase 1 SA that is younger, and has to be there before. */
static bool is_clients(const struct candidate *c)
{
	return c->p2 && c->p2->info.user[0];
}

static int by_time(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (is_clients(x) != is_clients(y))
		return is_clients(x) ? 1 : -1;
	if (x->when != y->when)
		return x->when < y->when ? -1 : 1;
	if (!x->p1 != !y->p1)
		return x->p1 ? -1 : 1;
	if (x->p1)
		return (x->p1->tunnel > y->p1->tunnel) - (x->p1->tunnel < y->p1->tunnel);
	return (x->p2->info.generation > y->p2->info.generation) -
	       (x->p2->info.generation < y->p2->info.generation);
}

static void not_adopted(struct ike_engine *e, char kind, uint32_t tunnel, const struct cs_err *err)
{
	ike_logf(e, CS_NOCTX, CSM_NOT_ADOPTED, kind, tunnel, err->text);
}

/* What was kept may be the engine's to overwrite as soon as it lives on. */
static void adopt_p1(struct restore *r, const struct ike_p1_kept *k)
{
	uint32_t tunnel = k->tunnel, generation = k->generation;
	struct row *row = find_row(r, tunnel, generation), *top = find_row(r, tunnel, UINT32_MAX);
	struct cs_err err = {0};

	if (row && row->info->generation != generation)
		row = NULL;
	if (ike_adopt_p1(r->e, k, &err)) {
		not_adopted(r->e, 'K', tunnel, &err);
		if (r->e->ops.p1_forget)
			r->e->ops.p1_forget(r->e->ctx, tunnel, generation);
		return;
	}
	r->done->p1++;
	/* What was kept may be older than the last record. */
	if (top)
		ike_adopt_generations(ike_p1_by_number(r->e, tunnel), top->info->generation);
	if (row)
		row->adopted = true;
	else /* it came up so late that the store did not get its record */
		ike_p1_record(r->e, ike_p1_by_number(r->e, tunnel), IKE_REC_P1_UP, "");
}

static void adopt_p2(struct restore *r, const struct candidate *c)
{
	const struct ike_cached_p2 *p2 = c->p2;
	struct pair pair = pair_of(r, &p2->info);
	struct ike_p2_info info = info_of(r, p2, &pair);
	struct cs_err err = {0};
	int rc;

	if (is_taken(&pair))
		return;
	if (c->quick)
		rc = ike_adopt_quick(r->e, c->quick, &info, p2->intent, pair.out != NULL,
				     pair.in->left->counters.packets > 0, &err);
	else
		rc = ike_adopt_p2(r->e, &info, &err);
	if (rc) {
		not_adopted(r->e, 'Y', p2->info.tunnel, &err);
		return;
	}
	if (p2->intent && !c->quick)
		record_p2(r, p2, IKE_REC_P2_UP, &pair, "");
	take(&pair);
	r->reqids[r->n_reqids++] = p2->info.reqid;
	r->done->p2++;
}

static void adopt(struct restore *r)
{
	for (size_t i = 0; i < r->n_candidates; i++) {
		if (r->candidates[i].p1)
			adopt_p1(r, r->candidates[i].p1);
		else
			adopt_p2(r, &r->candidates[i]);
	}
}

/* ---- the rest ---- */

static void settle_p2(struct restore *r, const struct ike_cached_p2 *p2)
{
	struct pair pair = pair_of(r, &p2->info);
	struct sa *larval = never_had(r, &p2->info);
	bool any = has_any(&pair);

	if (pair.in && pair.in->adopted)
		return;
	ike_adopt_not(r->e, &p2->info);
	if (larval)
		larval->told = true;
	if (!any)
		r->done->gone++;
	if (p2->intent && !any && larval) {
		record_p2(r, p2, IKE_REC_P2_FAILED, &pair, "iked ended before the kernel had it");
		return;
	}
	if (p2->intent)
		record_p2(r, p2, IKE_REC_P2_UP, &pair, "");
	record_p2(r, p2, IKE_REC_P2_DOWN, &pair,
		  any ? "iked started anew and could not keep it"
		      : "it was gone when iked started anew");
}

static void settle_p1(struct restore *r, const struct row *row)
{
	struct ike_p1_info info = *row->info;
	struct ike_record rec = {.kind = IKE_REC_P1_DOWN,
				 .when = r->e->now,
				 .p1 = &info,
				 .reason = "iked started anew without it"};

	if (row->adopted)
		return;
	info.state = IKE_P1_EXPIRED;
	record(r, &rec);
}

/*
 * Its older generations' cookies go along, so that the peer hears of these, too.  An orderly
 * stop has their end on record, so the cache has none: then the policy says how to begin, and the
 * peer finds by itself that the new one takes the place of the old.
 */
static void renew_p1(struct restore *r, const struct ike_p2_info *i)
{
	const struct row *row = find_row(r, i->parent, UINT32_MAX);

	if (ike_p1_by_number(r->e, i->parent))
		return;
	if (!row || row->info->expires <= r->e->now.wall) {
		ike_takeover_restart(r->e, NULL, i);
		return;
	}
	for (size_t n = (size_t)(row - r->rows) + 1; n && r->rows[n - 1].info->tunnel == i->parent;
	     n--)
		ike_takeover_restart(r->e, r->rows[n - 1].info, i);
}

/* Pairs that live on have lost their phase 1 SA, where it was not kept. */
static void renew(struct restore *r)
{
	for (size_t n = 0; n < r->left->n_p2; n++) {
		const struct ike_p2_info *i = &r->left->p2[n].info;
		struct pair pair = pair_of(r, i);

		if (is_whole(&pair) && pair.in->adopted && !i->user[0])
			renew_p1(r, i);
	}
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Before tunnels live on: in a hold's place their policy comes, which must stay. */
static void clear_holds(struct restore *r)
{
	struct cs_err err;

	for (size_t i = 0; i < r->left->n_policies; i++)
		if (r->left->policies[i].hold)
			r->e->ops.policy_delete(r->e->ctx, &r->left->policies[i], &err);
}

/* At once: a packet then raises an acquire instead of finding no SA. */
static void clear_policies(struct restore *r)
{
	struct ike_engine *e = r->e;
	struct cs_err err;

	if (r->n_reqids)
		qsort(r->reqids, r->n_reqids, sizeof(*r->reqids), by_number);
	for (size_t i = 0; i < r->left->n_policies; i++) {
		const struct xf_policy *p = &r->left->policies[i];

		if (!p->hold && (!r->n_reqids || !bsearch(&p->reqid, r->reqids, r->n_reqids,
							  sizeof(*r->reqids), by_number)))
			e->ops.policy_delete(e->ctx, p, &err);
	}
}

/* The phase 1 tunnel that a tunnel with this reqid was negotiated under, or 0. */
static uint32_t parent_of_reqid(const struct restore *r, uint32_t reqid)
{
	for (size_t i = 0; i < r->left->n_p2; i++)
		if (r->left->p2[i].info.reqid == reqid)
			return r->left->p2[i].info.parent;
	return 0;
}

static int clear_sas(struct restore *r, struct cs_err *err)
{
	for (size_t i = 0; i < r->left->n_sas; i++) {
		const struct ike_left_sa *left = r->sas[i].left;

		if (r->sas[i].adopted)
			continue;
		if (left->larval && !r->sas[i].told)
			ike_adopt_tell(r->e, left, parent_of_reqid(r, left->reqid));
		if (ike_strays_add(r->e, &r->sas[i].left->id))
			return cs_fail(err, CS_ENOMEM, "no memory for what is to be removed");
		r->done->removed++;
	}
	r->e->restore_tx = r->last_tx;
	if (!r->last_tx)
		ike_strays_delete(r->e);
	return 0;
}

/*
 * A record that is refused leaves the SAs in the kernel, with nothing that leads to them, and the
 * next start finds them again.
 */
void ike_restore_committed(struct ike_engine *e, uint64_t tx, int status)
{
	if (!e->restore_tx || tx != e->restore_tx)
		return;
	e->restore_tx = 0;
	if (status)
		ike_strays_clear(e);
	else
		ike_strays_delete(e);
}

/* ---- all of it ---- */

static int prepare(struct restore *r, struct cs_err *err)
{
	const struct ike_leftovers *l = r->left;

	r->sas = calloc(l->n_sas + 1, sizeof(*r->sas));
	r->rows = calloc(l->n_p1 + 1, sizeof(*r->rows));
	r->candidates = calloc(l->n_kept + l->n_p2 + 1, sizeof(*r->candidates));
	r->reqids = calloc(l->n_p2 + 1, sizeof(*r->reqids));
	r->quicks = calloc(l->n_quicks + 1, sizeof(*r->quicks));
	if (!r->sas || !r->rows || !r->candidates || !r->reqids || !r->quicks)
		return cs_fail(err, CS_ENOMEM, "no memory for what was left");
	for (size_t i = 0; i < l->n_sas; i++)
		r->sas[i].left = &l->sas[i];
	for (size_t i = 0; i < l->n_p1; i++)
		r->rows[i].info = &l->p1[i];
	qsort(r->sas, l->n_sas, sizeof(*r->sas), by_spi);
	qsort(r->rows, l->n_p1, sizeof(*r->rows), by_tunnel);
	for (size_t i = 0; i < l->n_kept; i++)
		r->candidates[r->n_candidates++] =
			(struct candidate){.when = l->kept[i]->established, .p1 = l->kept[i]};
	for (size_t i = 0; i < l->n_quicks; i++)
		r->quicks[i] = l->quicks[i];
	qsort(r->quicks, l->n_quicks, sizeof(*r->quicks), by_pair);
	for (size_t i = 0; i < l->n_p2; i++) {
		struct pair pair = pair_of(r, &l->p2[i].info);
		const struct ike_quick_kept *quick = quick_of(r, &l->p2[i], &pair);

		if (quick || may_adopt(&l->p2[i], &pair))
			r->candidates[r->n_candidates++] =
				(struct candidate){.when = info_of(r, &l->p2[i], &pair).installed,
						   .p2 = &l->p2[i],
						   .quick = quick};
	}
	qsort(r->candidates, r->n_candidates, sizeof(*r->candidates), by_time);
	return 0;
}

int ike_restore(struct ike_engine *e, const struct ike_leftovers *left,
		struct ike_restored *restored, struct cs_err *err)
{
	struct restore r = {.e = e, .left = left, .done = restored};
	int rc = prepare(&r, err);

	memset(restored, 0, sizeof(*restored));
	e->restored = e->now.mono;
	if (!rc) {
		/* Its times are of the clock as it was. */
		e->now.wall -= left->clock_set;
		ike_marks_begin(e);
		for (size_t i = 0; i < left->n_p2; i++)
			ike_mark_was(e, left->p2[i].info.client);
		clear_holds(&r);
		adopt(&r);
		for (size_t i = 0; i < left->n_p2; i++)
			settle_p2(&r, &left->p2[i]);
		for (size_t i = 0; i < left->n_p1; i++)
			settle_p1(&r, &r.rows[i]);
		renew(&r);
		clear_policies(&r);
		rc = clear_sas(&r, err);
		forget_quicks(&r);
		e->now.wall += left->clock_set;
		if (left->clock_set)
			ike_clock_move(e, left->clock_set);
	}
	free(r.sas);
	free(r.rows);
	free(r.candidates);
	free(r.reqids);
	free(r.quicks);
	return rc;
}
