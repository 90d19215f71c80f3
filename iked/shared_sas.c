/*
 * What the worker remembers of SAs in the shared store: which are up, which the store has as of its
 * last answer, and what is on its way.  An SA waits at most once, with what it is like by then.
 */
#include "iked/shared_client.h"

#include <stdlib.h>
#include <string.h>

#define QUEUE_MAX 16384 /* SAs that wait to be sent */

static const char away_text[] = "the shared store cannot be reached";
static const char full_text[] = "too many SAs wait for the shared store";
static const char unable_text[] = "its attributes cannot be stored";

/* ---- finding ---- */

struct tunnel_key {
	const struct ike_sh_place_here *place;
	char kind;
	uint32_t number;
};

static bool is_tunnel(const struct ike_node *node, const void *key)
{
	const struct ike_sh_tunnel *t = IKE_OF(node, const struct ike_sh_tunnel, node);
	const struct tunnel_key *k = key;

	return t->number == k->number && t->kind == k->kind && t->place == k->place;
}

/* The numbers are this host's own and go up by one. */
static uint64_t tunnel_hash(char kind, uint32_t number)
{
	return (uint64_t)number * UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)kind;
}

struct ike_sh_tunnel *ike_sh_tunnel_find(struct ike_shared *s, const struct ike_sh_place_here *p,
					 char kind, uint32_t number)
{
	struct tunnel_key key = {p, kind, number};
	struct ike_node *node =
		ike_table_find(&s->tunnels, tunnel_hash(kind, number), is_tunnel, &key);

	return node ? IKE_OF(node, struct ike_sh_tunnel, node) : NULL;
}

struct ike_sh_entry *ike_sh_entry_find(struct ike_sh_tunnel *t, uint32_t generation)
{
	if (!t)
		return NULL;
	for (struct ike_list *l = t->entries.next; l != &t->entries; l = l->next) {
		struct ike_sh_entry *e = IKE_OF(l, struct ike_sh_entry, in_tunnel);

		if (e->generation == generation)
			return e;
	}
	return NULL;
}

static struct ike_sh_entry *entry_make(struct ike_shared *s, struct ike_sh_place_here *p, char kind,
				       uint32_t number, uint32_t generation)
{
	struct ike_sh_tunnel *t = ike_sh_tunnel_find(s, p, kind, number);
	struct ike_sh_entry *e = ike_sh_entry_find(t, generation);

	if (e)
		return e;
	e = calloc(1, sizeof(*e));
	if (!t && e) {
		t = calloc(1, sizeof(*t));
		if (!t) {
			free(e);
			return NULL;
		}
		t->place = p;
		t->kind = kind;
		t->number = number;
		ike_list_init(&t->entries);
		ike_list_init(&t->tell);
		ike_list_add_tail(&p->tunnels, &t->in_place);
		ike_table_add(&s->tunnels, &t->node, tunnel_hash(kind, number));
	}
	if (!e)
		return NULL;
	e->tunnel = t;
	e->generation = generation;
	e->work.entry = e;
	ike_list_init(&e->work.link);
	ike_list_add_tail(&t->entries, &e->in_tunnel);
	return e;
}

static void set_told(struct ike_shared *s, struct ike_sh_tunnel *t, bool told)
{
	if (t->told != told)
		s->stats.unshared += told ? 1u : -1u;
	t->told = told;
	if (!told)
		ike_list_remove(&t->tell);
}

static void tunnel_free(struct ike_shared *s, struct ike_sh_tunnel *t)
{
	set_told(s, t, false);
	ike_list_remove(&t->in_place);
	ike_table_remove(&s->tunnels, &t->node);
	free(t);
}

static void entry_free(struct ike_shared *s, struct ike_sh_entry *e)
{
	struct ike_sh_tunnel *t = e->tunnel;

	ike_sh_unqueue(s, &e->work);
	ike_list_remove(&e->in_tunnel);
	free(e->document);
	free(e);
	if (ike_list_empty(&t->entries))
		tunnel_free(s, t);
}

/* ---- EZD0831I ---- */

/* Told when the loop turns, not from within a call. */
static void not_there(struct ike_shared *s, struct ike_sh_tunnel *t, const char *why)
{
	if (t->told || s->absent)
		return;
	set_told(s, t, true);
	t->why = why;
	ike_list_add_tail(&s->tells, &t->tell);
	ike_sh_soon(s);
}

static bool is_newest(const struct ike_sh_entry *e)
{
	const struct ike_list *entries = &e->tunnel->entries;

	for (const struct ike_list *l = entries->next; l != entries; l = l->next) {
		const struct ike_sh_entry *other = IKE_OF(l, const struct ike_sh_entry, in_tunnel);

		if (other->wanted && other->generation > e->generation)
			return false;
	}
	return true;
}

/* ---- the queue ---- */

static bool can_send(const struct ike_shared *s, const struct ike_sh_place_here *p)
{
	return s->connection && s->store == IKE_SH_THERE && p->ours && p->confirmed;
}

void ike_sh_unqueue(struct ike_shared *s, struct ike_sh_work *w)
{
	s->n_waits -= w->at == IKE_SH_WAITS;
	s->n_sent -= w->at == IKE_SH_SENT;
	ike_list_remove(&w->link);
	w->at = IKE_SH_IDLE;
	w->again = false;
}

void ike_sh_queue(struct ike_shared *s, struct ike_sh_work *w)
{
	struct ike_sh_place_here *p = w->entry ? w->entry->tunnel->place : w->ref->place;

	if (w->at == IKE_SH_SENT)
		w->again = true;
	if (w->at != IKE_SH_IDLE || !can_send(s, p))
		return;
	if (s->n_waits >= QUEUE_MAX) {
		p->overflow = true;
		if (w->entry && w->entry->wanted)
			not_there(s, w->entry->tunnel, full_text);
		return;
	}
	w->at = IKE_SH_WAITS;
	ike_list_add_tail(&s->waits, &w->link);
	s->n_waits++;
}

static void entry_message(struct ike_sh_entry *e, struct ike_shared_message *m)
{
	struct ike_sh_tunnel *t = e->tunnel;

	m->address = t->place->address;
	m->sa = t->kind;
	m->tunnel = t->number;
	m->generation = e->generation;
	m->used = t->used;
	if (!e->wanted) {
		m->kind = IKE_SH_DROP;
	} else if (e->document) {
		m->kind = IKE_SH_PUT;
		m->parent = e->parent;
		m->expires = e->expires;
		m->text = (struct cs_bytes){(const uint8_t *)e->document, strlen(e->document)};
	} else {
		m->kind = IKE_SH_USED;
	}
}

void ike_sh_message(struct ike_sh_work *w, struct ike_shared_message *m)
{
	memset(m, 0, sizeof(*m));
	if (w->entry) {
		entry_message(w->entry, m);
	} else {
		m->kind = IKE_SH_DROP;
		m->address = w->ref->place->address;
		strcpy(m->host, w->ref->host);
		m->sa = w->ref->kind;
		m->tunnel = w->ref->tunnel;
		m->generation = w->ref->generation;
	}
	w->sent = m->kind;
}

void ike_sh_was_sent(struct ike_shared *s, struct ike_sh_work *w)
{
	struct ike_sh_entry *e = w->entry;

	ike_sh_unqueue(s, w);
	w->at = IKE_SH_SENT;
	ike_list_add_tail(&s->sent, &w->link);
	s->n_sent++;
	if (!e)
		return;
	e->used_changed = false;
	e->maybe = true;
	free(e->document);
	e->document = NULL;
}

static void entry_written(struct ike_shared *s, struct ike_sh_entry *e, bool again)
{
	if (e->work.sent == IKE_SH_DROP) {
		s->stats.drops++;
		e->maybe = false;
		e->stored = false;
		e->hash = 0;
		if (!e->wanted) {
			entry_free(s, e);
			return;
		}
	} else if (e->work.sent == IKE_SH_PUT) {
		s->stats.puts++;
		e->stored = true;
		e->hash = e->document ? 0 : e->document_hash;
		if (e->wanted && !e->document && is_newest(e))
			set_told(s, e->tunnel, false);
	}
	if (again && (!e->wanted || e->document || e->used_changed))
		ike_sh_queue(s, &e->work);
}

void ike_sh_written(struct ike_shared *s, uint64_t serial)
{
	while (!ike_list_empty(&s->sent)) {
		struct ike_sh_work *w = IKE_OF(s->sent.next, struct ike_sh_work, link);
		bool again = w->again;

		if (w->serial > serial)
			return;
		ike_sh_unqueue(s, w);
		if (w->entry) {
			entry_written(s, w->entry, again);
		} else {
			s->stats.drops++;
			ike_sh_forget_ref(s, w->ref);
		}
	}
}

/* Without a reason: the address is not ours, and a claim that says so follows. */
void ike_sh_refused(struct ike_shared *s, uint64_t serial, const char *why)
{
	for (struct ike_list *l = s->sent.next; l != &s->sent; l = l->next) {
		struct ike_sh_work *w = IKE_OF(l, struct ike_sh_work, link);
		struct ike_sh_entry *e = w->entry;

		if (w->serial != serial)
			continue;
		ike_sh_unqueue(s, w);
		s->stats.failed++;
		if (!e)
			return;
		e->stored &= e->work.sent != IKE_SH_PUT;
		if (*why && e->wanted && e->work.sent == IKE_SH_PUT && !e->tunnel->told) {
			set_told(s, e->tunnel, true);
			s->events->unshared(s->arg, e->tunnel->kind, e->tunnel->number, why);
		}
		return;
	}
}

/* ---- records ---- */

static void put(struct ike_shared *s, struct ike_sh_entry *e, char *document)
{
	static const uint8_t key[16] = {0};
	uint64_t hash = ike_siphash(key, document, strlen(document));

	free(e->document);
	e->document = NULL;
	if (e->stored && e->work.at == IKE_SH_IDLE && e->hash == hash) {
		free(document);
		return;
	}
	if (!can_send(s, e->tunnel->place)) {
		/* It is asked for anew when it can be. */
		free(document);
		e->stored = false;
		if (s->store == IKE_SH_GONE)
			not_there(s, e->tunnel, away_text);
		return;
	}
	e->document = document;
	e->document_hash = hash;
	ike_sh_queue(s, &e->work);
	if (e->work.at == IKE_SH_IDLE) { /* no room */
		free(e->document);
		e->document = NULL;
		e->stored = false;
	}
}

/* status, document: what writing it came to. */
static void came_up(struct ike_shared *s, struct ike_sh_entry *e, int64_t expires, int status,
		    char *document)
{
	if (!e) {
		s->stats.failed++;
		if (status == 0)
			free(document);
		return;
	}
	e->wanted = true;
	e->expires = expires > 0 ? expires : INT64_MAX;
	if (status < 0) {
		s->stats.failed++;
		not_there(s, e->tunnel, unable_text);
		return;
	}
	put(s, e, document);
}

static void p1_up(struct ike_shared *s, struct ike_sh_place_here *p, const struct ike_p1_info *p1)
{
	struct ike_sh_entry *e = entry_make(s, p, 'K', p1->tunnel, p1->generation);
	char *document = NULL;
	int status = ike_shared_put_p1(p1, &document, NULL);

	came_up(s, e, p1->expires, status, document);
}

static void p2_up(struct ike_shared *s, struct ike_sh_place_here *p, const struct ike_p2_info *p2)
{
	struct ike_sh_entry *e = entry_make(s, p, 'Y', p2->tunnel, p2->generation);
	char *document = NULL;
	int status = ike_shared_put_p2(p2, &document, NULL);

	if (e)
		e->parent = p2->parent;
	came_up(s, e, p2->expires, status, document);
}

static bool is_up(const struct ike_sh_tunnel *t)
{
	for (const struct ike_list *l = t->entries.next; l != &t->entries; l = l->next)
		if (IKE_OF(l, const struct ike_sh_entry, in_tunnel)->wanted)
			return true;
	return false;
}

static void went_down(struct ike_shared *s, struct ike_sh_entry *e)
{
	e->wanted = false;
	if (!is_up(e->tunnel))
		set_told(s, e->tunnel, false);
	free(e->document);
	e->document = NULL;
	if (!e->maybe && e->work.at != IKE_SH_SENT)
		entry_free(s, e);
	else
		ike_sh_queue(s, &e->work);
}

void ike_sh_record(struct ike_shared *s, struct ike_sh_place_here *p, const struct ike_record *rec)
{
	struct ike_sh_entry *e;

	switch (rec->kind) {
	case IKE_REC_P1_UP:
		p1_up(s, p, rec->p1);
		return;
	case IKE_REC_P2_UP:
	case IKE_REC_P2_MOVED:
		p2_up(s, p, rec->p2);
		return;
	case IKE_REC_P1_DOWN:
		e = ike_sh_entry_find(ike_sh_tunnel_find(s, p, 'K', rec->p1->tunnel),
				      rec->p1->generation);
		break;
	case IKE_REC_P2_DOWN:
		e = ike_sh_entry_find(ike_sh_tunnel_find(s, p, 'Y', rec->p2->tunnel),
				      rec->p2->generation);
		break;
	case IKE_REC_P2_INTENT: /* nothing is there before it is up */
	case IKE_REC_P2_FAILED:
	default:
		return;
	}
	if (e)
		went_down(s, e);
}

void ike_sh_set_used(struct ike_shared *s, struct ike_sh_entry *e, int64_t used)
{
	if (used <= e->tunnel->used)
		return;
	e->tunnel->used = used;
	if (!e->wanted || !e->maybe)
		return;
	e->used_changed = true;
	ike_sh_queue(s, &e->work);
}

/* ---- all of them ---- */

void ike_sh_away(struct ike_shared *s)
{
	struct ike_list *lists[] = {&s->waits, &s->sent};

	for (unsigned i = 0; i < 2; i++)
		while (!ike_list_empty(lists[i])) {
			struct ike_sh_work *w = IKE_OF(lists[i]->next, struct ike_sh_work, link);
			bool put = w->entry && (w->entry->document ||
						(w->at == IKE_SH_SENT && w->sent == IKE_SH_PUT));

			ike_sh_unqueue(s, w);
			if (!w->entry)
				continue;
			if (put)
				w->entry->stored = false;
			free(w->entry->document);
			w->entry->document = NULL;
		}
	for (struct ike_list *l = s->places.next; l != &s->places; l = l->next) {
		struct ike_sh_place_here *p = IKE_OF(l, struct ike_sh_place_here, link);

		p->confirmed = false;
		p->overflow = false;
		for (struct ike_list *t = p->tunnels.next; t != &p->tunnels; t = t->next) {
			struct ike_sh_tunnel *tunnel = IKE_OF(t, struct ike_sh_tunnel, in_place);

			for (struct ike_list *x = tunnel->entries.next; x != &tunnel->entries;
			     x = x->next) {
				struct ike_sh_entry *e = IKE_OF(x, struct ike_sh_entry, in_tunnel);

				if (e->wanted && !e->stored)
					not_there(s, tunnel, away_text);
			}
		}
	}
}

void ike_sh_begin_anew(struct ike_shared *s, struct ike_sh_place_here *p, bool all)
{
	for (struct ike_list *t = p->tunnels.next; t != &p->tunnels; t = t->next) {
		struct ike_sh_tunnel *tunnel = IKE_OF(t, struct ike_sh_tunnel, in_place);

		for (struct ike_list *x = tunnel->entries.next; x != &tunnel->entries;
		     x = x->next) {
			struct ike_sh_entry *e = IKE_OF(x, struct ike_sh_entry, in_tunnel);

			if (all)
				e->hash = 0;
			if (!e->wanted)
				ike_sh_queue(s, &e->work);
		}
	}
	for (struct ike_list *l = p->refs.next; l != &p->refs; l = l->next) {
		struct ike_sh_ref *r = IKE_OF(l, struct ike_sh_ref, in_place);

		if (r->settled)
			ike_sh_queue(s, &r->work);
	}
}

/* A row of our own that lives is not dropped: it has been put again. */
void ike_sh_settle(struct ike_shared *s, struct ike_sh_ref *r)
{
	struct ike_sh_entry *e =
		r->own ? ike_sh_entry_find(ike_sh_tunnel_find(s, r->place, r->kind, r->tunnel),
					   r->generation)
		       : NULL;

	if (e) {
		ike_sh_forget_ref(s, r);
		return;
	}
	r->settled = true;
	ike_sh_queue(s, &r->work);
}

void ike_sh_forget_ref(struct ike_shared *s, struct ike_sh_ref *r)
{
	ike_sh_unqueue(s, &r->work);
	ike_list_remove(&r->in_place);
	ike_table_remove(&s->refs, &r->node);
	free(r->document);
	free(r);
}

void ike_sh_forget_all(struct ike_shared *s, struct ike_sh_place_here *p)
{
	struct ike_list *lists[] = {&p->rows, &p->refs};

	for (unsigned i = 0; i < 2; i++)
		while (!ike_list_empty(lists[i]))
			ike_sh_forget_ref(s, IKE_OF(lists[i]->next, struct ike_sh_ref, in_place));
	p->n_rows = 0;
	while (!ike_list_empty(&p->tunnels)) {
		struct ike_sh_tunnel *t = IKE_OF(p->tunnels.next, struct ike_sh_tunnel, in_place);

		while (!ike_list_empty(&t->entries)) {
			bool last = t->entries.next->next == &t->entries;

			entry_free(s, IKE_OF(t->entries.next, struct ike_sh_entry, in_tunnel));
			if (last)
				break;
		}
	}
}
