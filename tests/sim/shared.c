/*
 * An address that moves between hosts, and what they share about it: the store has the SAs that its
 * owner had at it, and who that is.  The last claim wins; what another one writes is not taken.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

struct shared_row {
	struct sim_row *row;
	unsigned host;
	uint64_t life; /* of the host's engine that wrote it */
	uint64_t ref;
	int64_t used;
};

struct sim_shared {
	unsigned owner; /* SIM_NOBODY: nobody */
	uint64_t life;
	struct shared_row *rows;
	unsigned n_rows;
	uint64_t last_ref;
};

void sim_share(struct sim *sim)
{
	sim->shared = calloc(1, sizeof(*sim->shared));
	if (!sim->shared)
		abort();
	sim->shared->owner = SIM_NOBODY;
}

static void drop(struct sim_shared *s, unsigned at)
{
	free(s->rows[at].row);
	s->rows[at] = s->rows[--s->n_rows];
}

void sim_share_free(struct sim *sim)
{
	struct sim_shared *s = sim->shared;

	if (!s)
		return;
	while (s->n_rows)
		drop(s, s->n_rows - 1);
	free(s->rows);
	free(s);
	sim->shared = NULL;
}

static bool is_of(const struct shared_row *r, unsigned host, uint64_t life)
{
	return r->host == host && r->life == life;
}

static bool same(const struct sim_row *a, const struct sim_row *b)
{
	if (a->phase1 != b->phase1)
		return false;
	return a->phase1 ? a->p1.tunnel == b->p1.tunnel && a->p1.generation == b->p1.generation
			 : a->p2.info.tunnel == b->p2.info.tunnel &&
				   a->p2.info.generation == b->p2.info.generation;
}

static void drop_like(struct sim_shared *s, unsigned host, uint64_t life, const struct sim_row *row)
{
	for (unsigned i = 0; i < s->n_rows; i++)
		if (is_of(&s->rows[i], host, life) && same(s->rows[i].row, row))
			drop(s, i--);
}

static void put(struct sim_shared *s, const struct sim_host *h, struct sim_row *row)
{
	struct shared_row *grown = realloc(s->rows, (s->n_rows + 1) * sizeof(*grown));

	if (!grown)
		abort();
	s->rows = grown;
	s->rows[s->n_rows++] = (struct shared_row){row, h->index, h->epoch, ++s->last_ref,
						   (int64_t)(h->sim->now / 1000)};
}

void sim_share_record(struct sim_host *h, const struct ike_record *rec)
{
	struct sim_shared *s = h->sim->shared;
	bool up = rec->kind == IKE_REC_P1_UP || rec->kind == IKE_REC_P2_UP ||
		  rec->kind == IKE_REC_P2_MOVED;
	bool down = rec->kind == IKE_REC_P1_DOWN || rec->kind == IKE_REC_P2_DOWN;
	struct sim_row *row;

	if (!s || s->owner != h->index || s->life != h->epoch || (!up && !down))
		return;
	row = sim_row_new(rec, 0);
	drop_like(s, h->index, h->epoch, row);
	if (up)
		put(s, h, row);
	else
		free(row);
}

static const struct ike_p1_info *p1_of(const struct sim_shared *s, const struct shared_row *pair)
{
	const struct ike_p1_info *best = NULL;

	for (unsigned i = 0; i < s->n_rows; i++) {
		const struct sim_row *row = s->rows[i].row;

		if (row->phase1 && is_of(&s->rows[i], pair->host, pair->life) &&
		    row->p1.tunnel == pair->row->p2.info.parent &&
		    (!best || row->p1.generation > best->generation))
			best = &row->p1;
	}
	return best;
}

/* Phase 1 SAs of another life are of use as long as a pair of theirs is. */
static void collect(struct sim_shared *s)
{
	for (unsigned i = 0; i < s->n_rows; i++) {
		const struct shared_row *r = &s->rows[i];
		bool needed = !r->row->phase1 || is_of(r, s->owner, s->life);

		for (unsigned k = 0; k < s->n_rows && !needed; k++)
			needed = !s->rows[k].row->phase1 && is_of(&s->rows[k], r->host, r->life) &&
				 s->rows[k].row->p2.info.parent == r->row->p1.tunnel;
		if (!needed)
			drop(s, i--);
	}
}

void sim_share_settled(void *host, uint64_t ref)
{
	struct sim_host *h = host;
	struct sim_shared *s = h->sim->shared;

	if (!s || s->owner != h->index || s->life != h->epoch)
		return;
	for (unsigned i = 0; i < s->n_rows; i++) {
		if (s->rows[i].ref != ref)
			continue;
		drop(s, i);
		/* All at once is quicker, where they are many. */
		if (s->n_rows < 1000)
			collect(s);
		return;
	}
	sim_fail(h->sim, "host %u settles %llu, which is not there", h->index,
		 (unsigned long long)ref);
}

static int is_it(void *arg, const struct ike_p2_info *i)
{
	const struct ike_p2_info *row = arg;

	return i->state == IKE_P2_DONE && i->spi_in == row->spi_in && i->spi_out == row->spi_out;
}

/* What this engine has put there itself, and has still; what it has lost meanwhile it takes over.
 */
static bool is_up(const struct sim_host *h, const struct shared_row *r)
{
	return is_of(r, h->index, h->epoch) &&
	       ike_engine_each_p2(h->engine, is_it, (void *)&r->row->p2.info);
}

unsigned sim_arrive(struct sim_host *h)
{
	struct sim_shared *s = h->sim->shared;
	struct ike_inherited *rows = calloc(s->n_rows + 1, sizeof(*rows));
	struct cs_err err;
	unsigned n = 0;

	if (!rows)
		abort();
	h->absent = false;
	s->owner = h->index;
	s->life = h->epoch;
	for (unsigned i = 0; i < s->n_rows; i++) {
		const struct shared_row *r = &s->rows[i];

		if (!r->row->phase1 && !is_up(h, r))
			rows[n++] = (struct ike_inherited){r->row->p2.info, p1_of(s, r), r->used,
							   r->ref};
	}
	if (ike_engine_passive(h->engine, &h->addr, false, sim_now(h->sim), &err) ||
	    ike_engine_take_over(h->engine, rows, n, sim_now(h->sim), &err))
		sim_fail(h->sim, "host %u: %s", h->index, err.text);
	for (unsigned i = 0; i < n && h->sim->peers_send; i++)
		ike_engine_wanted(h->engine, rows[i].p2.spi_in, sim_now(h->sim));
	free(rows);
	return n;
}

void sim_depart(struct sim_host *h, bool tell)
{
	struct sim_shared *s = h->sim->shared;
	struct cs_err err;

	if (s->owner == h->index)
		s->owner = SIM_NOBODY; /* what is there is the next one's */
	if (!h->engine)
		return;
	if (ike_engine_passive(h->engine, &h->addr, true, sim_now(h->sim), &err))
		sim_fail(h->sim, "host %u: %s", h->index, err.text);
	ike_engine_give_back(h->engine, &h->addr, tell, sim_now(h->sim));
}

unsigned sim_share_foreign(const struct sim *sim)
{
	const struct sim_shared *s = sim->shared;
	unsigned n = 0;

	for (unsigned i = 0; i < s->n_rows; i++)
		n += !s->rows[i].row->phase1 && !is_of(&s->rows[i], s->owner, s->life);
	return n;
}
