/* Requests of the management socket that are answered later. */
#include "iked/nmi_wait.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct waiter {
	struct waiter *next, **link;
	struct iked_waiters *all;
	uv_timer_t timer;
	uint64_t ticket;
	uint64_t round; /* of the load that it waits for, 0: for the tunnel */
	struct iked_wanted wanted;
	char rule[POL_NAME_MAX + 1];
};

struct iked_waiters {
	uv_loop_t *loop;
	struct cs_nmi_server *server;
	struct waiter *first;
	unsigned n;
};

struct iked_waiters *iked_waiters_new(uv_loop_t *loop, struct cs_nmi_server *server)
{
	struct iked_waiters *all = calloc(1, sizeof(*all));

	if (all) {
		all->loop = loop;
		all->server = server;
	}
	return all;
}

unsigned iked_waiting(const struct iked_waiters *all)
{
	return all->n;
}

/* ---- answers ---- */

json_t *iked_nmi_status(char letter, uint32_t tunnel, const char *rule, const char *status)
{
	char id[16];

	snprintf(id, sizeof(id), "%c%" PRIu32, letter, tunnel);
	if (letter == 'K')
		return json_pack("{s:s s:s}", "TunnelID", id, "Status", status);
	return json_pack("{s:s s:s? s:s}", "TunnelID", id, "LocalDynVpnRule",
			 rule && *rule ? rule : NULL, "Status", status);
}

void iked_nmi_answer(struct cs_nmi_server *server, uint64_t ticket, json_t *entry)
{
	cs_nmi_entry(server, ticket, entry);
	cs_nmi_done(server, ticket, NULL);
}

/* ---- the life of a waiter ---- */

static void on_freed(uv_handle_t *handle)
{
	free(handle->data);
}

static void end(struct waiter *w)
{
	*w->link = w->next;
	if (w->next)
		w->next->link = w->link;
	w->all->n--;
	uv_timer_stop(&w->timer);
	uv_close((uv_handle_t *)&w->timer, on_freed);
}

static void up(struct waiter *w)
{
	iked_nmi_answer(w->all->server, w->ticket,
			iked_nmi_status(w->wanted.letter, w->wanted.tunnel, w->rule,
					w->wanted.refresh ? "Refreshed" : "Active"));
	end(w);
}

static void failed(struct waiter *w, enum cs_code code, const char *reason)
{
	cs_nmi_error(w->all->server, w->ticket, code, reason);
	end(w);
}

static void on_timeout(uv_timer_t *timer)
{
	struct waiter *w = timer->data;
	char text[128];

	snprintf(text, sizeof(text), "%c%" PRIu32 "%s%s is not %s in time", w->wanted.letter,
		 w->wanted.tunnel, w->rule[0] ? " of rule " : "", w->rule,
		 w->wanted.refresh ? "refreshed" : "up");
	failed(w, CS_EAGAIN, text);
}

static void on_gone(void *arg)
{
	end(arg);
}

/* NULL: the client has been told. */
static struct waiter *begin(struct iked_waiters *all, uint64_t ticket)
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (!w || uv_timer_init(all->loop, &w->timer) < 0) {
		free(w);
		cs_nmi_error(all->server, ticket, CS_ENOMEM, "out of memory");
		return NULL;
	}
	w->all = all;
	w->ticket = ticket;
	w->timer.data = w;
	w->link = &all->first;
	w->next = all->first;
	if (w->next)
		w->next->link = &w->next;
	all->first = w;
	all->n++;
	cs_nmi_on_gone(all->server, ticket, on_gone, w);
	return w;
}

void iked_wait(struct iked_waiters *all, uint64_t ticket, const struct iked_wanted *wanted,
	       unsigned seconds)
{
	struct waiter *w;

	if (all->n >= IKED_WAITERS_MAX) {
		cs_nmi_error(
			all->server, ticket, CS_ELIMIT,
			"too many wait already; the negotiation goes on, and is not waited for");
		return;
	}
	w = begin(all, ticket);
	if (!w)
		return;
	w->wanted = *wanted;
	snprintf(w->rule, sizeof(w->rule), "%s", wanted->rule ? wanted->rule : "");
	uv_timer_start(&w->timer, on_timeout, seconds * UINT64_C(1000), 0);
}

void iked_wait_load(struct iked_waiters *all, uint64_t ticket, uint64_t round)
{
	struct waiter *w = begin(all, ticket);

	if (w)
		w->round = round;
}

/* Events of phase 2 name both tunnels. */
static bool concerns(const struct waiter *w, const struct ike_event *ev)
{
	if (w->round)
		return false;
	if (w->wanted.letter == 'Y')
		return w->wanted.tunnel == ev->p2_tunnel;
	return !ev->p2_tunnel && w->wanted.tunnel == ev->p1_tunnel;
}

/* An older SA may end while its successor is made; an attempt that is given up has FAILED. */
static bool ends(const struct waiter *w, enum ike_event_kind kind)
{
	return kind == IKE_EV_FAILED || (kind == IKE_EV_P2_DOWN && !w->wanted.refresh);
}

void iked_waiters_event(struct iked_waiters *all, const struct ike_event *ev)
{
	struct waiter *next;

	for (struct waiter *w = all->first; w; w = next) {
		next = w->next;
		if (!concerns(w, ev))
			continue;
		if (ev->kind == IKE_EV_P1_UP || ev->kind == IKE_EV_P2_UP)
			up(w);
		else if (ends(w, ev->kind))
			failed(w, CS_ESYS,
			       ev->reason && *ev->reason ? ev->reason : "the negotiation failed");
	}
}

void iked_waiters_loaded(struct iked_waiters *all, uint64_t round, iked_loaded_fn *fn, void *arg)
{
	struct waiter *next;

	for (struct waiter *w = all->first; w; w = next) {
		next = w->next;
		if (!w->round || w->round > round)
			continue;
		fn(arg, w->ticket);
		end(w);
	}
}

void iked_waiters_end(struct iked_waiters *all, const char *reason)
{
	while (all->first)
		failed(all->first, CS_ESYS, reason);
	free(all);
}
