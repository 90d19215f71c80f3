/*
 * Dead peers (RFC 3706).  A peer from which nothing came for a while, neither IKE nor ESP, is asked
 * whether it is there; when it says nothing all that we have with it ends.  Only what is
 * authenticated counts as a sign of life.  Errors in clear, which anybody can send, only bring the
 * question forward.
 */
#include <stdio.h>
#include <string.h>

#include "iked/engine_private.h"
#include "iked/vendor.h"

#define PROTO_ISAKMP 1u
#define SILENT_MS    30000u /* between two looks when there is nothing to ask about */
#define LOOKS        4u     /* for traffic in an interval, so that it ends at most a quarter late */
#define HURRY_MS     5000u  /* between two questions that errors in clear bring forward */

/* Milliseconds after each question. */
static const unsigned gaps[] = {1000, 1000, 2000, 2000, 3000, 3000};
#define QUESTIONS (sizeof(gaps) / sizeof(gaps[0]))

static uint64_t interval(const struct ike_p1 *p1)
{
	return p1->rule ? (uint64_t)p1->rule->action->liveness * 1000 : 0;
}

/* To the next look; traffic_came() knows only that packets came since the last one. */
static uint64_t look(const struct ike_p1 *p1)
{
	uint64_t wait = interval(p1);

	return wait ? wait / LOOKS : SILENT_MS;
}

void ike_dpd_start(struct ike_engine *e, struct ike_p1 *p1)
{
	uint32_t seq;

	ike_random(e, &seq, sizeof(seq));
	p1->dpd_seq = seq & 0x7fffffff; /* it only grows */
	ike_dpd_resume(e, p1);
}

void ike_dpd_resume(struct ike_engine *e, struct ike_p1 *p1)
{
	p1->heard_at = e->now.mono;
	p1->dpd_asked = 0;
	if (p1->can & IKE_CAN_DPD)
		ike_timer_set(&e->timers, &p1->dpd, e->now.mono + look(p1));
}

void ike_dpd_heard(struct ike_engine *e, struct ike_p1 *p1)
{
	p1->used |= p1->up;
	if (p1->dpd_asked)
		ike_dpd_resume(e, p1);
	else
		p1->heard_at = e->now.mono;
}

/* Did packets come in through any SA of the peer, of clients the same user, since the last look? */
static bool traffic_came(struct ike_engine *e, const struct ike_p1 *p1)
{
	const struct ike_list *head = &p1->peer->p2s;
	bool came = false;

	for (struct ike_list *l = head->next; l != head; l = l->next) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, in_peer);
		struct xf_said in = ike_p2_said_in(p2);
		struct xf_counters c;
		struct cs_err err;

		if (!p2->up || !ike_client_same(p2->p1, p1) ||
		    e->ops.sa_counters(e->ctx, &in, &c, &err))
			continue;
		came |= c.packets != p2->packets_seen;
		p2->packets_seen = c.packets;
	}
	return came;
}

static unsigned pairs_up(const struct ike_p1 *p1)
{
	const struct ike_list *head = &p1->peer->p2s;
	unsigned n = 0;

	for (const struct ike_list *l = head->next; l != head; l = l->next) {
		const struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, in_peer);

		n += p2->up && ike_client_same(p2->p1, p1);
	}
	return n;
}

/* The one way in which a peer that says nothing goes, of clients the user; p1 is its last. */
static void gone(struct ike_engine *e, struct ike_p1 *p1, const char *how)
{
	struct ike_peer *peer = p1->peer;
	char text[CS_ADDR_STRLEN];
	unsigned n_p1 = 0;
	struct ike_list *l;

	for (l = peer->p1s.next; l != &peer->p1s; l = l->next)
		n_p1 += ike_client_same(IKE_OF(l, struct ike_p1, in_peer), p1);
	ike_logf(e, CS_NOCTX, CSM_PEER_GONE, cs_addr_text(&peer->remote, text),
		 p1->rule ? p1->rule->name : "", how, n_p1, pairs_up(p1));
	e->stats.peers_gone++;
	for (l = peer->p2s.next; l != &peer->p2s;) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, in_peer);

		l = l->next;
		if (ike_client_same(p2->p1, p1))
			ike_p2_end(e, p2, false, how);
	}
	for (l = peer->p1s.next; l != &peer->p1s;) {
		struct ike_p1 *other = IKE_OF(l, struct ike_p1, in_peer);

		l = l->next;
		if (other != p1 && ike_client_same(other, p1))
			ike_p1_down(e, other, false, how);
	}
	ike_p1_down(e, p1, false, how);
}

static void ask(struct ike_engine *e, struct ike_p1 *p1)
{
	uint8_t cookies[2 * ISA_COOKIE_LEN], seq[4];
	struct cs_writer w = cs_writer_of(seq, sizeof(seq));

	memcpy(cookies, p1->sid.icookie, ISA_COOKIE_LEN);
	memcpy(cookies + ISA_COOKIE_LEN, p1->sid.rcookie, ISA_COOKIE_LEN);
	cs_put_u32(&w, ++p1->dpd_seq);
	ike_notify_p1(e, p1, ISA_N_R_U_THERE, PROTO_ISAKMP,
		      (struct cs_bytes){cookies, sizeof(cookies)},
		      (struct cs_bytes){seq, sizeof(seq)});
	ike_timer_set(&e->timers, &p1->dpd, e->now.mono + gaps[p1->dpd_asked++]);
	e->stats.dpd_sent++;
}

/*
 * The newest that can; one that was refreshed does not ask any more.  Behind the identity of
 * clients each user speaks for himself; of: one of his, or NULL: whoever can.
 */
static struct ike_p1 *spokesman(const struct ike_peer *peer, const struct ike_p1 *of)
{
	for (const struct ike_list *l = peer->p1s.next; l != &peer->p1s; l = l->next) {
		struct ike_p1 *p1 = IKE_OF(l, struct ike_p1, in_peer);

		if (p1->up && !p1->superseded && (p1->can & IKE_CAN_DPD) && ike_client_same(p1, of))
			return p1;
	}
	return NULL;
}

static struct ike_p1 *another(const struct ike_p1 *p1)
{
	for (const struct ike_list *l = p1->peer->p1s.next; l != &p1->peer->p1s; l = l->next) {
		struct ike_p1 *other = IKE_OF(l, struct ike_p1, in_peer);

		if (other != p1 && other->up && (other->can & IKE_CAN_DPD) &&
		    ike_client_same(other, p1))
			return other;
	}
	return NULL;
}

/*
 * A peer that was restarted in the middle of a refresh may have the older phase 1 SA alone, so it
 * is asked there, too, before it is gone.
 */
static void no_answer(struct ike_engine *e, struct ike_p1 *p1)
{
	struct ike_p1 *other = another(p1);
	char how[80];

	snprintf(how, sizeof(how), "no answer to %u questions whether it is there",
		 (unsigned)QUESTIONS);
	if (!other) {
		gone(e, p1, how);
		return;
	}
	ike_p1_down(e, p1, false, how);
	if (!other->dpd_asked)
		ask(e, other);
}

void ike_p1_dpd(struct ike_engine *e, struct ike_timer *t)
{
	struct ike_p1 *p1 = IKE_OF(t, struct ike_p1, dpd);
	uint64_t wait = interval(p1);

	if (p1->superseded)
		return;
	if (p1 != spokesman(p1->peer, p1)) {
		p1->dpd_asked = 0;
		ike_timer_set(&e->timers, t, e->now.mono + (wait ? wait : SILENT_MS));
		return;
	}
	if (p1->dpd_asked && traffic_came(e, p1)) {
		ike_dpd_resume(e, p1);
		return;
	}
	if (p1->dpd_asked == QUESTIONS) {
		no_answer(e, p1);
		return;
	}
	if (p1->dpd_asked) {
		ask(e, p1);
		return;
	}
	if (!wait || !pairs_up(p1)) {
		ike_timer_set(&e->timers, t, e->now.mono + (wait ? wait : SILENT_MS));
		return;
	}
	if (traffic_came(e, p1))
		p1->heard_at = e->now.mono;
	if (e->now.mono >= p1->heard_at + wait)
		ask(e, p1);
	else if (p1->heard_at + wait < e->now.mono + look(p1))
		ike_timer_set(&e->timers, t, p1->heard_at + wait);
	else
		ike_timer_set(&e->timers, t, e->now.mono + look(p1));
}

bool ike_dpd_probe(struct ike_engine *e, const struct ike_peer *peer, const struct ike_p1 *of)
{
	struct ike_p1 *p1 = spokesman(peer, of);

	if (!p1 || !interval(p1))
		return false;
	if (!p1->dpd_asked && e->now.mono >= p1->hurried + HURRY_MS) {
		p1->hurried = e->now.mono;
		traffic_came(e, p1); /* from now on */
		ask(e, p1);
	}
	return true;
}

/* The answer, from there, shows that the peer is there. */
void ike_dpd_ask_there(struct ike_engine *e, struct ike_p1 *p1, const struct cs_endpoint *local,
		       const struct cs_endpoint *remote)
{
	struct cs_endpoint here = p1->sid.local, there = p1->sid.remote;

	if (!(p1->can & IKE_CAN_DPD) || e->now.mono < p1->hurried + HURRY_MS ||
	    p1->dpd_asked == QUESTIONS)
		return;
	p1->hurried = e->now.mono;
	traffic_came(e, p1); /* from now on */
	p1->sid.local = *local;
	p1->sid.remote = *remote;
	ask(e, p1);
	p1->sid.local = here;
	p1->sid.remote = there;
}

void ike_dpd_ack(struct ike_engine *e, struct ike_p1 *p1, const struct ike_notice *n)
{
	struct cs_reader r = cs_reader_of(n->data.p, n->data.len);
	uint32_t seq;

	/* That it is authentic counts already; an old answer, or one to nothing, is only odd. */
	if (!cs_get_u32(&r, &seq) || seq != p1->dpd_seq)
		e->stats.dpd_odd++;
	else
		ike_path_heard(e, p1, true);
}
