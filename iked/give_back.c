/*
 * An address leaves for another host, or is claimed by one: what is at it ends.  While it is
 * passive, because it is not here or another host is its owner although it is, nothing is begun or
 * answered there.
 */
#include <stdlib.h>
#include <string.h>

#include "iked/takeover.h"

/* ---- passive addresses ---- */

static struct ike_vipa *find(const struct ike_engine *e, const struct cs_addr *address)
{
	struct ike_takeover *t = e->takeover;

	for (unsigned i = 0; i < t->n_vipas; i++)
		if (cs_addr_equal(&t->vipas[i].address, address))
			return &t->vipas[i];
	return NULL;
}

/* One that moves, and of which nobody has said yet that it is here, is not here. */
static bool moves(const struct ike_engine *e, const struct cs_addr *address)
{
	return cs_range_find(e->set.vipas, e->set.n_vipas, address) != NULL;
}

bool ike_is_passive(const struct ike_engine *e, const struct cs_addr *address)
{
	const struct ike_vipa *v = find(e, address);

	return v ? v->passive : moves(e, address);
}

int ike_passive_check(const struct ike_engine *e, const struct cs_addr *local, struct cs_err *err)
{
	char address[CS_ADDR_STRLEN];

	if (!ike_is_passive(e, local))
		return 0;
	return cs_fail(err, CS_EPOLICY,
		       "address %s is passive: it is not here, or another host has claimed it",
		       cs_addr_text(local, address));
}

static struct ike_vipa *make(struct ike_engine *e, const struct cs_addr *address)
{
	struct ike_takeover *t = e->takeover;
	struct ike_vipa *more = reallocarray(t->vipas, t->n_vipas + 1, sizeof(*t->vipas));

	if (!more)
		return NULL;
	t->vipas = more;
	more[t->n_vipas] = (struct ike_vipa){.address = *address};
	return &more[t->n_vipas++];
}

int ike_set_passive(struct ike_engine *e, const struct cs_addr *address, bool passive,
		    struct cs_err *err)
{
	struct ike_vipa *v = find(e, address);
	char text[CS_ADDR_STRLEN];

	if (passive == ike_is_passive(e, address))
		return 0;
	if (!v)
		v = make(e, address);
	if (!v)
		return cs_fail(err, CS_ENOMEM, "no memory for an address that moves");
	v->passive = passive;
	cs_addr_text(address, text);
	if (passive) {
		ike_logf(e, CS_NOCTX, CSM_PASSIVE, text);
	} else {
		ike_logf(e, CS_NOCTX, CSM_NOT_PASSIVE, text);
		ike_auto_retry(e);
	}
	return 0;
}

/* ---- its SAs ---- */

static unsigned end_pairs(struct ike_engine *e, const struct cs_addr *address, bool tell,
			  const char *reason)
{
	unsigned n = 0;

	for (struct ike_list *l = e->p2s.next; l != &e->p2s;) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, all);

		l = l->next;
		if (!cs_addr_equal(&p2->tunnel->local, address))
			continue;
		n += p2->up != 0;
		ike_p2_end(e, p2, tell, reason);
	}
	return n;
}

static unsigned end_p1s(struct ike_engine *e, const struct cs_addr *address, bool tell,
			const char *reason)
{
	unsigned n = 0;

	for (struct ike_list *l = e->p1s.next; l != &e->p1s;) {
		struct ike_p1 *p1 = IKE_OF(l, struct ike_p1, all);

		l = l->next;
		if (!cs_addr_equal(&p1->sid.local.addr, address))
			continue;
		n += p1->up != 0;
		ike_p1_down(e, p1, tell, reason);
	}
	return n;
}

/* Exchanges of Aggressive Mode stand among the records, and are ended as phase 1 SAs. */
static void end_half_open(struct ike_engine *e, struct ike_list *records,
			  const struct cs_addr *address)
{
	for (struct ike_list *l = records->next; l != records;) {
		struct ike_sid *sid = IKE_OF(l, struct ike_sid, half);

		l = l->next;
		if (sid->kind == IKE_SID_HALF && cs_addr_equal(&sid->local.addr, address))
			ike_half_free(e, IKE_OF(sid, struct ike_half, sid));
	}
}

void ike_give_back(struct ike_engine *e, const struct cs_addr *address, bool tell)
{
	const char *reason =
		tell ? "its address has left this host" : "another host has claimed its address";
	char text[CS_ADDR_STRLEN];
	unsigned pairs, p1s;

	ike_takeover_forget(e, address);
	pairs = end_pairs(e, address, tell, reason);
	p1s = end_p1s(e, address, tell, reason);
	for (unsigned tier = 0; tier < IKE_N_CLASSES; tier++)
		end_half_open(e, &e->half[tier][IKE_UNANSWERED], address);
	ike_logf(e, CS_NOCTX, CSM_GIVEN_BACK, cs_addr_text(address, text),
		 tell ? "has left this host" : "was claimed by another host", p1s, pairs,
		 tell ? "told" : "not told");
}
