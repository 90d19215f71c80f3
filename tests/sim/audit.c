/*
 * The audit trail: records become durable in their order, as in iked's store, and what is not
 * durable when the engine dies is lost from some point on.  What became durable is the outbox.
 * Beside it stands a witness that knows nothing of records: which SAs with keys the virtual kernel
 * had.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

static void *grow(void *array, unsigned n, size_t size)
{
	void *grown = n & (n - 1) ? array : realloc(array, (n ? 2 * n : 1) * size);

	if (!grown)
		abort();
	return grown;
}

/* ---- the store ---- */

static void settle(struct sim_host *h, const struct sim_record *rec)
{
	struct sim_ledger *l = &h->ledger;
	unsigned i = 0;

	while (i < l->n_intents && l->intents[i].tx != rec->intent)
		i++;
	if (i == l->n_intents)
		sim_fail(h->sim,
			 "host %u: a result of Y%u names intent %llu, which was never made or has "
			 "a result",
			 h->index, rec->row->p2.info.tunnel, (unsigned long long)rec->intent);
	else
		l->intents[i] = l->intents[--l->n_intents];
}

static void keep_intent(struct sim_host *h, const struct sim_record *rec)
{
	struct sim_ledger *l = &h->ledger;
	const struct ike_p2_info *info = &rec->row->p2.info;

	l->intents = grow(l->intents, l->n_intents, sizeof(*l->intents));
	l->intents[l->n_intents++] = (struct sim_intent){rec->tx, info->tunnel, info->generation};
	for (unsigned i = 0; i < l->n_rows; i++) {
		struct ike_p2_info *other = &l->rows[i]->p2.info;

		if (!l->rows[i]->phase1 && other->tunnel == info->tunnel &&
		    other->generations < info->generation)
			other->generations = info->generation;
	}
}

static void put_outbox(struct sim_host *h, const struct sim_record *rec)
{
	struct sim_ledger *l = &h->ledger;
	const struct ike_p2_info *p2 = &rec->row->p2.info;
	struct sim_outbox *o;

	l->outbox = grow(l->outbox, l->n_outbox, sizeof(*l->outbox));
	o = &l->outbox[l->n_outbox++];
	*o = (struct sim_outbox){.kind = rec->kind, .in_doubt = rec->in_doubt};
	if (rec->row->phase1) {
		o->tunnel = rec->row->p1.tunnel;
		o->generation = rec->row->p1.generation;
		return;
	}
	o->tunnel = p2->tunnel;
	o->generation = p2->generation;
	o->reqid = p2->reqid;
	memcpy(o->spis, (const uint32_t[]){p2->spi_in, p2->spi_out, p2->ah_in, p2->ah_out},
	       sizeof(o->spis));
}

static void count_up(struct sim_host *h, enum ike_record_kind kind)
{
	struct sim_ledger *l = &h->ledger;

	l->p1_up += (kind == IKE_REC_P1_UP) - (kind == IKE_REC_P1_DOWN);
	l->p2_up += (kind == IKE_REC_P2_UP) - (kind == IKE_REC_P2_DOWN);
	l->p2_ups += kind == IKE_REC_P2_UP;
	if (l->p1_up < 0 || l->p2_up < 0)
		sim_fail(h->sim, "host %u: a DOWN record without its UP", h->index);
}

/* Takes the row over. */
static void apply(struct sim_host *h, const struct sim_record *rec)
{
	struct sim_row *row = rec->row;
	uint32_t tunnel = row->phase1 ? row->p1.tunnel : row->p2.info.tunnel;
	uint32_t generation = row->phase1 ? row->p1.generation : row->p2.info.generation;

	if (tunnel > h->last_tunnel)
		h->last_tunnel = tunnel;
	count_up(h, rec->kind);
	if (rec->kind == IKE_REC_P2_INTENT)
		keep_intent(h, rec);
	if (rec->kind == IKE_REC_P2_UP || rec->kind == IKE_REC_P2_FAILED)
		settle(h, rec);
	if (rec->kind != IKE_REC_P2_INTENT && rec->kind != IKE_REC_P2_MOVED)
		put_outbox(h, rec);
	if (rec->kind == IKE_REC_P1_DOWN || rec->kind == IKE_REC_P2_DOWN ||
	    rec->kind == IKE_REC_P2_FAILED) {
		sim_row_drop(h, row->phase1, tunnel, generation);
		free(row);
	} else {
		sim_row_put(h, row);
	}
}

void sim_take_record(struct sim_host *h, const struct ike_record *rec, uint64_t tx)
{
	struct sim_ledger *l = &h->ledger;

	l->pending = grow(l->pending, l->n_pending, sizeof(*l->pending));
	l->pending[l->n_pending++] = (struct sim_record){
		.tx = tx,
		.intent = rec->intent,
		.kind = rec->kind,
		.in_doubt = rec->in_doubt,
		.row = sim_row_new(rec, rec->kind == IKE_REC_P2_INTENT ? tx : 0),
	};
}

void sim_durable(struct sim_host *h, uint64_t tx)
{
	struct sim_ledger *l = &h->ledger;
	unsigned n = 0;

	while (n < l->n_pending && l->pending[n].tx <= tx)
		apply(h, &l->pending[n++]);
	l->n_pending -= n;
	if (n && l->n_pending)
		memmove(l->pending, l->pending + n, l->n_pending * sizeof(*l->pending));
}

void sim_lose_records(struct sim_host *h)
{
	struct sim_ledger *l = &h->ledger;

	/* Those that the engine was not told of may be on the disk. */
	if (l->n_pending && sim_chance(&h->sim->rng, 500))
		sim_durable(h, l->pending[sim_below(&h->sim->rng, l->n_pending)].tx);
	while (l->n_pending)
		free(l->pending[--l->n_pending].row);
}

/* ---- the witness ---- */

void sim_saw_come(struct sim_host *h, const struct xf_sa *sa)
{
	struct sim_witness *w = &h->witness;

	w->list = grow(w->list, w->n, sizeof(*w->list));
	w->list[w->n++] = (struct sim_sighting){sa->id.spi, sa->reqid, sa->outbound, false};
}

void sim_saw_go(struct sim_host *h, const struct xf_sa *sa)
{
	struct sim_witness *w = &h->witness;

	for (unsigned i = w->n; i > 0; i--) {
		struct sim_sighting *s = &w->list[i - 1];

		if (s->spi == sa->id.spi && s->reqid == sa->reqid && s->outbound == sa->outbound &&
		    !s->went) {
			s->went = true;
			return;
		}
	}
}

/* ---- one against the other ---- */

/* What a record says of an SA. */
struct claim {
	uint32_t spi, reqid;
	bool outbound;
	struct sim_outbox *row;
};

static int by_spi(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;

	if (x->spi != y->spi)
		return x->spi < y->spi ? -1 : 1;
	if (x->reqid != y->reqid)
		return x->reqid < y->reqid ? -1 : 1;
	return x->outbound - y->outbound;
}

static int by_name(const void *a, const void *b)
{
	const struct sim_outbox *x = a, *y = b;
	bool p1 = x->kind <= IKE_REC_P1_DOWN, other = y->kind <= IKE_REC_P1_DOWN;

	if (p1 != other)
		return p1 ? -1 : 1;
	if (x->tunnel != y->tunnel)
		return x->tunnel < y->tunnel ? -1 : 1;
	if (x->generation != y->generation)
		return x->generation < y->generation ? -1 : 1;
	return (x->kind > y->kind) - (x->kind < y->kind);
}

static bool same_name(const struct sim_outbox *a, const struct sim_outbox *b)
{
	return (a->kind <= IKE_REC_P1_DOWN) == (b->kind <= IKE_REC_P1_DOWN) &&
	       a->tunnel == b->tunnel && a->generation == b->generation;
}

/* Each generation of each tunnel has come and gone, or has failed, and all that once. */
static void check_names(struct sim_host *h)
{
	struct sim_ledger *l = &h->ledger;
	unsigned n;

	if (l->n_outbox)
		qsort(l->outbox, l->n_outbox, sizeof(*l->outbox), by_name);
	for (unsigned i = 0; i < l->n_outbox; i += n) {
		const struct sim_outbox *o = &l->outbox[i];
		bool whole;

		for (n = 1; i + n < l->n_outbox && same_name(o, o + n); n++)
			;
		whole = n == 1 ? o->kind == IKE_REC_P2_FAILED
			       : n == 2 &&
					 (o[1].kind == IKE_REC_P1_DOWN ||
					  o[1].kind == IKE_REC_P2_DOWN) &&
					 (o->kind == IKE_REC_P1_UP || o->kind == IKE_REC_P2_UP);
		if (!whole)
			sim_fail(h->sim,
				 "host %u: %u records of generation %u of tunnel %c%u, of kinds "
				 "%d to %d",
				 h->index, n, o->generation, o->kind <= IKE_REC_P1_DOWN ? 'K' : 'Y',
				 o->tunnel, o->kind, o[n - 1].kind);
	}
}

static unsigned claims_of(struct sim_ledger *l, struct claim *claims)
{
	unsigned n = 0;

	for (unsigned i = 0; i < l->n_outbox; i++) {
		struct sim_outbox *o = &l->outbox[i];

		for (unsigned k = 0; k < 4; k++)
			if (o->spis[k] &&
			    (o->kind == IKE_REC_P2_UP || o->kind == IKE_REC_P2_FAILED))
				claims[n++] = (struct claim){o->spis[k], o->reqid, k % 2 != 0, o};
	}
	if (n)
		qsort(claims, n, sizeof(*claims), by_spi);
	return n;
}

static bool was_up(const struct claim *c)
{
	return c->row->kind == IKE_REC_P2_UP && !c->row->in_doubt;
}

/*
 * Of several the one that was up.  Outbound there may be others: a peer whose first message came
 * before we were killed sends it again, with its SPI, and what began then has failed.
 */
static const struct claim *only_one(const struct claim *claims, unsigned n, const struct claim *any)
{
	const struct claim *first = any, *found = any;
	unsigned n_all = 0, n_up = 0;

	while (first > claims && !by_spi(first - 1, any))
		first--;
	for (const struct claim *c = first; c < claims + n && !by_spi(c, any); c++) {
		n_all++;
		n_up += was_up(c);
		if (was_up(c))
			found = c;
	}
	return n_all == 1 || (any->outbound && n_up == 1) ? found : NULL;
}

static void check_sighting(struct sim_host *h, const struct sim_sighting *s,
			   const struct claim *claims, unsigned n)
{
	const struct claim key = {s->spi, s->reqid, s->outbound, NULL};
	const struct claim *c = n ? bsearch(&key, claims, n, sizeof(*claims), by_spi) : NULL;
	const struct claim *one = c ? only_one(claims, n, c) : NULL;

	if (!s->went)
		sim_fail(h->sim, "host %u: SA %08x came and did not go", h->index, s->spi);
	if (!c)
		sim_fail(h->sim, "host %u: no record is of SA %08x, which the kernel had", h->index,
			 s->spi);
	else if (!one)
		sim_fail(h->sim, "host %u: several records are of SA %08x", h->index, s->spi);
	else
		one->row->seen[s->outbound] = true;
}

/*
 * A negotiation that failed had one SA at most, unless the kernel refused something behind the
 * second one.
 */
static void check_seen(struct sim_host *h, const struct sim_outbox *o)
{
	if (o->kind == IKE_REC_P2_UP && !o->seen[0] && !o->seen[1] && !o->in_doubt)
		sim_fail(h->sim,
			 "host %u: generation %u of tunnel Y%u is recorded as up, and the kernel "
			 "had nothing of it",
			 h->index, o->generation, o->tunnel);
	if (o->kind == IKE_REC_P2_FAILED && o->seen[0] && o->seen[1] && !h->kernel.refuse_permille)
		sim_fail(h->sim,
			 "host %u: generation %u of tunnel Y%u is recorded as failed, and the "
			 "kernel had both of its SAs",
			 h->index, o->generation, o->tunnel);
}

void sim_audit(struct sim_host *h)
{
	struct sim_ledger *l = &h->ledger;
	struct claim *claims = calloc(4 * (size_t)l->n_outbox + 1, sizeof(*claims));
	unsigned n;

	if (!claims)
		abort();
	check_names(h);
	n = claims_of(l, claims);
	for (unsigned i = 0; i < h->witness.n; i++)
		check_sighting(h, &h->witness.list[i], claims, n);
	for (unsigned i = 0; i < l->n_outbox; i++) {
		const struct sim_outbox *o = &l->outbox[i];

		h->in_doubt += o->in_doubt && o->kind == IKE_REC_P2_UP;
		check_seen(h, o);
	}
	free(claims);
}

void sim_audit_free(struct sim_host *h)
{
	struct sim_ledger *l = &h->ledger;

	while (l->n_pending)
		free(l->pending[--l->n_pending].row);
	free(l->pending);
	free(l->outbox);
	free(h->witness.list);
}
