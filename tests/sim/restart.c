/* What outlives an engine: phase 1 SAs and exchanges that it kept, and the SA cache. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

static void *grow(void *array, unsigned n)
{
	void **grown = realloc(array, (n + 1) * sizeof(*grown));

	if (!grown)
		abort();
	return grown;
}

static struct sim_row *find_row(struct sim_ledger *l, bool phase1, uint32_t tunnel,
				uint32_t generation, unsigned *at)
{
	for (unsigned i = 0; i < l->n_rows; i++) {
		const struct sim_row *r = l->rows[i];

		*at = i;
		if (r->phase1 == phase1 && (phase1 ? r->p1.tunnel : r->p2.info.tunnel) == tunnel &&
		    (phase1 ? r->p1.generation : r->p2.info.generation) == generation)
			return l->rows[i];
	}
	return NULL;
}

void sim_row_drop(struct sim_host *h, bool phase1, uint32_t tunnel, uint32_t generation)
{
	struct sim_ledger *l = &h->ledger;
	unsigned at;
	struct sim_row *row = find_row(l, phase1, tunnel, generation, &at);

	if (!row)
		return;
	free(row);
	l->rows[at] = l->rows[--l->n_rows];
}

static const char *copy(char to[static POL_NAME_MAX + 1], const char *from)
{
	snprintf(to, POL_NAME_MAX + 1, "%s", from);
	return to;
}

static void fill_p2(struct sim_row *row, const struct ike_p2_info *i, uint64_t intent)
{
	row->p2 = (struct ike_cached_p2){*i, intent};
	row->p2.info.rule = copy(row->rule, i->rule);
	row->p2.info.action = copy(row->action, i->action);
	row->p2.info.local_rule = copy(row->local_rule, i->local_rule);
	if (i->local_id.len + i->remote_id.len > sizeof(row->ids))
		abort();
	memcpy(row->ids, i->local_id.p, i->local_id.len);
	memcpy(row->ids + i->local_id.len, i->remote_id.p, i->remote_id.len);
	row->p2.info.local_id.p = row->ids;
	row->p2.info.remote_id.p = row->ids + i->local_id.len;
}

struct sim_row *sim_row_new(const struct ike_record *rec, uint64_t intent)
{
	struct sim_row *row = calloc(1, sizeof(*row));

	if (!row)
		abort();
	row->phase1 = rec->kind == IKE_REC_P1_UP || rec->kind == IKE_REC_P1_DOWN;
	if (row->phase1) {
		row->p1 = *rec->p1;
		row->p1.rule = copy(row->rule, rec->p1->rule);
		row->p1.action = copy(row->action, rec->p1->action);
	} else {
		fill_p2(row, rec->p2, intent);
	}
	return row;
}

void sim_row_put(struct sim_host *h, struct sim_row *row)
{
	struct sim_ledger *l = &h->ledger;

	if (row->phase1)
		sim_row_drop(h, true, row->p1.tunnel, row->p1.generation);
	else
		sim_row_drop(h, false, row->p2.info.tunnel, row->p2.info.generation);
	l->rows = grow(l->rows, l->n_rows);
	l->rows[l->n_rows++] = row;
}

void sim_forget(void *host, uint32_t tunnel, uint32_t generation)
{
	struct sim_ledger *l = &((struct sim_host *)host)->ledger;

	for (unsigned i = 0; i < l->n_kept; i++)
		if (l->kept[i]->tunnel == tunnel && l->kept[i]->generation == generation) {
			free(l->kept[i]);
			l->kept[i] = l->kept[--l->n_kept];
			return;
		}
}

void sim_keep(void *host, const struct ike_p1_kept *kept)
{
	struct sim_ledger *l = &((struct sim_host *)host)->ledger;
	struct ike_p1_kept *k = NULL;

	for (unsigned i = 0; i < l->n_kept && !k; i++)
		if (l->kept[i]->tunnel == kept->tunnel &&
		    l->kept[i]->generation == kept->generation)
			k = l->kept[i];
	if (!k) {
		l->kept = grow(l->kept, l->n_kept);
		k = malloc(sizeof(*k));
		if (!k)
			abort();
		l->kept[l->n_kept++] = k;
	}
	*k = *kept;
}

void sim_forget_quick(void *host, uint32_t tunnel, uint32_t generation)
{
	struct sim_ledger *l = &((struct sim_host *)host)->ledger;

	for (unsigned i = 0; i < l->n_quicks; i++)
		if (l->quicks[i]->tunnel == tunnel && l->quicks[i]->generation == generation) {
			free(l->quicks[i]);
			l->quicks[i] = l->quicks[--l->n_quicks];
			return;
		}
}

void sim_keep_quick(void *host, const struct ike_quick_kept *kept)
{
	struct sim_ledger *l = &((struct sim_host *)host)->ledger;
	struct ike_quick_kept *k = malloc(sizeof(*k));

	if (!k)
		abort();
	*k = *kept;
	l->quicks = grow(l->quicks, l->n_quicks);
	l->quicks[l->n_quicks++] = k;
}

/* As the daemon gathers it; everything is copied, since the engine changes what it is about. */
void sim_restore(struct sim_host *h)
{
	struct sim_ledger *l = &h->ledger;
	struct vkernel *k = &h->kernel;
	struct ike_p1_kept *kept = calloc(l->n_kept + 1, sizeof(*kept));
	const struct ike_p1_kept **list = calloc(l->n_kept + 1, sizeof(const struct ike_p1_kept *));
	struct ike_quick_kept *quicks = calloc(l->n_quicks + 1, sizeof(*quicks));
	const struct ike_quick_kept **quick_list =
		calloc(l->n_quicks + 1, sizeof(const struct ike_quick_kept *));
	struct sim_row *rows = calloc(l->n_rows + 1, sizeof(*rows));
	struct ike_p1_info *p1 = calloc(l->n_rows + 1, sizeof(*p1));
	struct ike_cached_p2 *p2 = calloc(l->n_rows + 1, sizeof(*p2));
	struct ike_left_sa *sas = calloc(k->n_sas + 1, sizeof(*sas));
	struct xf_policy *policies = calloc(k->n_policies + 1, sizeof(*policies));
	struct ike_leftovers left = {.kept = list,
				     .quicks = quick_list,
				     .p1 = p1,
				     .p2 = p2,
				     .sas = sas,
				     .policies = policies};
	struct ike_restored done;
	struct cs_err err;

	if (!kept || !list || !quicks || !quick_list || !rows || !p1 || !p2 || !sas || !policies)
		abort();
	for (; left.n_kept < l->n_kept; left.n_kept++) {
		kept[left.n_kept] = *l->kept[left.n_kept];
		list[left.n_kept] = &kept[left.n_kept];
	}
	for (; left.n_quicks < l->n_quicks; left.n_quicks++) {
		quicks[left.n_quicks] = *l->quicks[left.n_quicks];
		quick_list[left.n_quicks] = &quicks[left.n_quicks];
	}
	for (unsigned i = 0; i < l->n_rows; i++) {
		rows[i] = *l->rows[i];
		if (rows[i].phase1) {
			p1[left.n_p1] = rows[i].p1;
			p1[left.n_p1].rule = rows[i].rule;
			p1[left.n_p1++].action = rows[i].action;
		} else {
			fill_p2(&rows[i], &l->rows[i]->p2.info, l->rows[i]->p2.intent);
			p2[left.n_p2++] = rows[i].p2;
		}
	}
	for (unsigned i = 0; i < k->n_sas; i++)
		sas[left.n_sas++] = (struct ike_left_sa){
			.id = k->sas[i]->sa.id,
			.src = k->sas[i]->sa.src,
			.reqid = k->sas[i]->sa.reqid,
			.larval = k->sas[i]->larval,
			.counters = {.packets = k->sas[i]->packets},
		};
	for (; left.n_policies < k->n_policies; left.n_policies++)
		policies[left.n_policies] = k->policies[left.n_policies];
	if (ike_engine_restore(h->engine, &left, sim_now(h->sim), &done, &err) < 0 && !h->dead)
		sim_fail(h->sim, "host %u: %s", h->index, err.text);
	h->adopted += done.p1 + done.p2;
	free(kept);
	free(list);
	free(quicks);
	free(quick_list);
	free(rows);
	free(p1);
	free(p2);
	free(sas);
	free(policies);
}

void sim_lose_kept(struct sim_host *h)
{
	struct sim_ledger *l = &h->ledger;

	while (l->n_kept)
		free(l->kept[--l->n_kept]);
	while (l->n_quicks)
		free(l->quicks[--l->n_quicks]);
}

void sim_forget_all(struct sim_host *h)
{
	struct sim_ledger *l = &h->ledger;

	if (l->n_kept || l->n_quicks || l->n_rows)
		sim_fail(h->sim,
			 "host %u: %u phase 1 SAs and %u exchanges are still kept, %u rows in the"
			 " cache",
			 h->index, l->n_kept, l->n_quicks, l->n_rows);
	for (unsigned i = 0; i < l->n_rows; i++)
		free(l->rows[i]);
	for (unsigned i = 0; i < l->n_kept; i++)
		free(l->kept[i]);
	for (unsigned i = 0; i < l->n_quicks; i++)
		free(l->quicks[i]);
	free(l->rows);
	free(l->kept);
	free(l->quicks);
}
