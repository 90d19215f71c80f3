/*
 * The engine's doors: each takes the time, lets one file do the work, and buries what was removed.
 */
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"

/* ---- what all files use ---- */

uint64_t ike_serial(struct ike_engine *e)
{
	return ++e->serial;
}

uint32_t ike_new_instance(struct ike_engine *e)
{
	if (!++e->last_instance)
		e->last_instance = 1;
	return e->last_instance;
}

uint32_t ike_new_tunnel(struct ike_engine *e)
{
	if (!++e->last_tunnel)
		e->last_tunnel = 1;
	return e->last_tunnel;
}

void ike_random(struct ike_engine *e, void *buf, size_t len)
{
	e->ops.random(e->ctx, buf, len);
}

uint64_t ike_digest(const struct ike_engine *e, const void *data, size_t len)
{
	return ike_siphash(e->table_key, data, len);
}

bool ike_take_token(const struct ike_engine *e, struct ike_bucket *b)
{
	uint64_t full = b->burst * 1000u, passed = e->now.mono - b->at;

	/* Beyond this the bucket is full whatever it held. */
	if (passed > full)
		passed = full;
	b->tokens += passed * b->rate;
	if (b->tokens > full)
		b->tokens = full;
	b->at = e->now.mono;
	if (b->tokens < 1000)
		return false;
	b->tokens -= 1000;
	return true;
}

struct ike_bucket ike_full_bucket(unsigned rate, unsigned burst)
{
	return (struct ike_bucket){rate, burst, burst * 1000u, 0};
}

void ike_send(struct ike_engine *e, const struct cs_endpoint *local,
	      const struct cs_endpoint *remote, const uint8_t *data, size_t len)
{
	e->stats.sent++;
	e->ops.send(e->ctx, local, remote, data, len);
}

/* ---- in and out ---- */

static void enter(struct ike_engine *e, struct ike_now now)
{
	if (now.mono < e->now.mono)
		now.mono = e->now.mono;
	e->now = now;
	ike_clock_look(e);
}

static void leave(struct ike_engine *e)
{
	ike_keep_now(e);
	ike_bury(e);
}

static void make_lists(struct ike_engine *e)
{
	ike_list_init(&e->p1s);
	ike_list_init(&e->p2s);
	ike_list_init(&e->jobs);
	ike_list_init(&e->certs);
	ike_list_init(&e->dead_p1s);
	ike_list_init(&e->dead_p2s);
	ike_list_init(&e->dead_peers);
	ike_list_init(&e->dead_tunnels);
	ike_list_init(&e->changed);
	ike_list_init(&e->all_fragments);
	ike_list_init(&e->all_holds);
	ike_list_init(&e->all_unsettled);
	ike_list_init(&e->autos);
	for (unsigned tier = 0; tier < IKE_N_CLASSES; tier++)
		for (unsigned stage = 0; stage < IKE_N_STAGES; stage++)
			ike_list_init(&e->half[tier][stage]);
}

static struct ike_table *const *tables_of(struct ike_engine *e, struct ike_table *list[17])
{
	unsigned n = 0;

	list[n++] = &e->cookies;
	list[n++] = &e->icookies;
	list[n++] = &e->targets;
	list[n++] = &e->k_numbers;
	list[n++] = &e->peers;
	list[n++] = &e->tunnels;
	list[n++] = &e->y_numbers;
	list[n++] = &e->spis_in;
	list[n++] = &e->spis_out;
	list[n++] = &e->ahs_in;
	list[n++] = &e->ahs_out;
	list[n++] = &e->mids;
	list[n++] = &e->txs;
	list[n++] = &e->holds;
	list[n++] = &e->unsettled;
	list[n++] = &e->leases;
	list[n] = NULL;
	return list;
}

static void apply_settings(struct ike_engine *e, const struct ike_settings *s)
{
	e->set = *s;
	if (!e->set.init_wait_ms)
		e->set.init_wait_ms = 2000;
	if (!e->set.port)
		e->set.port = 500;
	if (!e->set.nat_port)
		e->set.nat_port = 4500;
	if (!e->set.max_half_open)
		e->set.max_half_open = 1000;
	if (!e->set.reserved_half_open || e->set.reserved_half_open > e->set.max_half_open)
		e->set.reserved_half_open = e->set.max_half_open / 4;
	if (!e->set.max_p1)
		e->set.max_p1 = 200000;
	if (!e->set.max_p2)
		e->set.max_p2 = 200000;
	if (!e->set.max_jobs)
		e->set.max_jobs = 512;
	if (!e->set.max_takeover)
		e->set.max_takeover = 128;
	if (!e->set.replay_window)
		e->set.replay_window = 128;
	e->last_tunnel = e->set.last_tunnel;
}

int ike_engine_new(const struct ike_settings *settings, const struct ike_ops *ops, void *ctx,
		   struct ike_engine **engine, struct cs_err *err)
{
	struct ike_engine *e = calloc(1, sizeof(*e));
	struct ike_table *tables[17];
	int rc = 0;

	if (!e)
		return cs_fail(err, CS_ENOMEM, "no memory for the engine");
	make_lists(e);
	apply_settings(e, settings);
	e->ops = *ops;
	e->ctx = ctx;
	e->plain = malloc(IKE_DATAGRAM_MAX);
	e->out = malloc(IKE_DATAGRAM_MAX);
	e->whole = malloc(IKE_DATAGRAM_MAX);
	tables_of(e, tables);
	for (unsigned i = 0; tables[i] && !rc; i++)
		rc = ike_table_init(tables[i]);
	if (!rc)
		rc = ike_timer_make(&e->timers, &e->minute, ike_minute);
	if (!rc)
		rc = ike_takeover_new(e);
	if (rc || !e->plain || !e->out || !e->whole) {
		ike_engine_free(e);
		return cs_fail(err, CS_ENOMEM, "no memory for the engine's tables");
	}
	ike_random(e, e->table_key, sizeof(e->table_key));
	ike_random(e, e->cookie_key, sizeof(e->cookie_key));
	e->marks_a_peer = IKE_MARKS_A_PEER;
	e->notify_bucket = ike_full_bucket(10, 20);
	e->log_bucket = ike_full_bucket(10, 20);
	e->cookie_bucket = ike_full_bucket(100, 500);
	/* Each exchange costs about a millisecond of the public-key threads. */
	for (unsigned tier = 0; tier < IKE_N_CLASSES; tier++)
		e->aggressive[tier] = ike_full_bucket(100, 200);
	e->repeat_bucket = ike_full_bucket(20, 40);
	*engine = e;
	return 0;
}

void ike_engine_shutdown(struct ike_engine *e, bool tell, bool keep, struct ike_now now)
{
	enter(e, now);
	ike_end_all(e, tell, keep);
	leave(e);
}

void ike_engine_free(struct ike_engine *e)
{
	struct ike_table *tables[17];

	if (!e)
		return;
	ike_takeover_free(e);
	ike_unlink_all(e);
	ike_hold_forget_all(e);
	ike_auto_forget_all(e);
	ike_unsettled_forget(e);
	ike_bury(e);
	ike_jobs_drop(e);
	ike_strays_clear(e);
	free(e->lost);
	free(e->marks);
	tables_of(e, tables);
	for (unsigned i = 0; tables[i]; i++)
		ike_table_free(tables[i]);
	ike_timers_free(&e->timers);
	pol_unref(e->policy);
	cs_wipe(e->cookie_key, sizeof(e->cookie_key));
	free(e->plain);
	free(e->out);
	free(e->whole);
	free(e);
}

/* ---- datagrams ---- */

struct arrival {
	const struct cs_endpoint *local, *remote;
	const struct isa_header *h;
	const uint8_t *data;
	size_t len;
};

typedef void exchange_fn(struct ike_engine *e, const struct arrival *a);

static struct ike_p1 *p1_of(const struct ike_engine *e, const struct isa_header *h)
{
	struct ike_sid *sid = ike_sid_by_cookies(e, h->icookie, h->rcookie);

	return sid && sid->kind == IKE_SID_P1 ? IKE_OF(sid, struct ike_p1, sid) : NULL;
}

/* A message 2 brings the responder's cookie, which we do not know yet. */
static struct ike_sid *sid_of_answer(const struct ike_engine *e, const struct arrival *a)
{
	struct ike_sid *sid = ike_sid_by_cookies(e, a->h->icookie, a->h->rcookie);

	if (sid)
		return sid;
	sid = ike_sid_by_icookie(e, a->h->icookie, a->remote);
	return sid && sid->kind == IKE_SID_P1 && !sid->by_cookies.in ? sid : NULL;
}

static void receive_main(struct ike_engine *e, const struct arrival *a)
{
	static const uint8_t no_cookie[ISA_COOKIE_LEN];
	struct ike_sid *sid;

	if (!memcmp(a->h->rcookie, no_cookie, ISA_COOKIE_LEN)) {
		ike_half_receive(e, a->local, a->remote, a->h, a->data, a->len);
		return;
	}
	sid = sid_of_answer(e, a);
	if (!sid)
		e->stats.dropped_unknown++;
	else if (sid->kind == IKE_SID_HALF)
		ike_main_accept(e, IKE_OF(sid, struct ike_half, sid), a->h, a->data, a->len);
	else
		ike_exchange_receive(e, IKE_OF(sid, struct ike_p1, sid), a->h, a->data, a->len);
}

static void receive_aggressive(struct ike_engine *e, const struct arrival *a)
{
	static const uint8_t no_cookie[ISA_COOKIE_LEN];
	bool first = !memcmp(a->h->rcookie, no_cookie, ISA_COOKIE_LEN);
	struct ike_sid *sid =
		first ? ike_sid_by_icookie(e, a->h->icookie, a->remote) : sid_of_answer(e, a);

	if (!sid && first)
		ike_aggressive_first(e, a->local, a->remote, a->h, a->data, a->len);
	else if (!sid || sid->kind != IKE_SID_P1 ||
		 (first && IKE_OF(sid, struct ike_p1, sid)->initiator))
		e->stats.dropped_unknown++;
	else
		ike_exchange_receive(e, IKE_OF(sid, struct ike_p1, sid), a->h, a->data, a->len);
}

/* Who still has an SA that we have not learns so, as often as the bucket allows. */
static void unknown_cookies(struct ike_engine *e, const struct arrival *a)
{
	e->stats.dropped_unknown++;
	if (!ike_sid_by_cookies(e, a->h->icookie, a->h->rcookie))
		ike_notify_clear(e, a->local, a->remote, a->h->icookie, a->h->rcookie,
				 ISA_N_INVALID_COOKIE, a->len);
}

static void receive_quick(struct ike_engine *e, const struct arrival *a)
{
	struct ike_p1 *p1 = p1_of(e, a->h);

	if (p1)
		ike_quick_receive(e, p1, a->h, a->data, a->len);
	else
		unknown_cookies(e, a);
}

/* A refusal of message 1 may come with a responder cookie of its own, or with none. */
static void receive_info(struct ike_engine *e, const struct arrival *a)
{
	struct ike_p1 *p1 = p1_of(e, a->h);
	struct ike_sid *sid;

	if (!p1 && !(a->h->flags & ISA_FLAG_ENCRYPTED)) {
		sid = ike_sid_by_icookie(e, a->h->icookie, a->remote);
		if (sid && sid->kind == IKE_SID_P1 && !sid->by_cookies.in)
			p1 = IKE_OF(sid, struct ike_p1, sid);
	}
	if (!(a->h->flags & ISA_FLAG_ENCRYPTED))
		ike_info_clear(e, p1, a->remote, a->h, a->data, a->len);
	else if (p1)
		ike_info_encrypted(e, p1, a->h, a->data, a->len);
	else
		unknown_cookies(e, a);
}

static void receive_unsupported(struct ike_engine *e, const struct arrival *a)
{
	char peer[CS_ENDPOINT_STRLEN];

	e->stats.refused_exchange++;
	if (ike_refusal_is_news(e, a->local, a->remote, ike_digest(e, a->data, a->len)))
		ike_logf(e, CS_NOCTX, CSM_EXCHANGE_UNSUPPORTED, isa_exchange_name(a->h->exchange),
			 a->h->exchange, cs_endpoint_text(a->remote, peer));
	ike_notify_clear(e, a->local, a->remote, a->h->icookie, a->h->rcookie,
			 ISA_N_INVALID_EXCHANGE_TYPE, a->len);
}

/* Only clients of a gateway have these. */
static void receive_transaction(struct ike_engine *e, const struct arrival *a)
{
	struct ike_p1 *p1 = p1_of(e, a->h);

	if (p1 && p1->client && p1->authenticated)
		ike_client_receive(e, p1, a->h, a->data, a->len);
	else
		receive_unsupported(e, a);
}

/* An exchange that is not here is dropped without a word. */
static const struct {
	uint8_t exchange;
	exchange_fn *receive;
} exchanges[] = {
	{ISA_MAIN, receive_main},
	{ISA_QUICK, receive_quick},
	{ISA_INFORMATIONAL, receive_info},
	{ISA_AGGRESSIVE, receive_aggressive},
	{ISA_TRANSACTION, receive_transaction},
};

static void dispatch(struct ike_engine *e, const struct arrival *a)
{
	for (size_t i = 0; i < sizeof(exchanges) / sizeof(exchanges[0]); i++) {
		if (exchanges[i].exchange == a->h->exchange) {
			exchanges[i].receive(e, a);
			return;
		}
	}
	e->stats.refused_exchange++;
}

/* What comes out is treated as a datagram that came whole. */
static void receive_fragment(struct ike_engine *e, const struct arrival *a)
{
	struct ike_sid *sid = sid_of_answer(e, a);
	struct isa_header h;
	struct arrival whole = {a->local, a->remote, &h, e->whole, 0};

	e->stats.fragments_received++;
	if (!sid) {
		e->stats.dropped_unknown++;
		return;
	}
	whole.len = ike_fragment_take(e, sid, a->h, a->data);
	if (!whole.len)
		return;
	e->stats.reassembled++;
	if (isa_header_parse(e->whole, whole.len, &h, NULL) || h.next == ISA_FRAGMENT ||
	    memcmp(h.icookie, a->h->icookie, ISA_COOKIE_LEN) ||
	    memcmp(h.rcookie, a->h->rcookie, ISA_COOKIE_LEN))
		e->stats.dropped_malformed++;
	else
		dispatch(e, &whole);
}

void ike_engine_receive(struct ike_engine *e, const struct cs_endpoint *local,
			const struct cs_endpoint *remote, const uint8_t *data, size_t len,
			struct ike_now now)
{
	struct isa_header h;
	struct arrival a = {local, remote, &h, data, len};
	struct cs_err err = {0};

	enter(e, now);
	e->to = local;
	e->from = remote;
	e->stats.received++;
	if (len > IKE_DATAGRAM_MAX || isa_header_parse(data, len, &h, &err)) {
		e->stats.dropped_malformed++;
		if (err.code == CS_EUNSUPPORTED && len >= ISA_HEADER_LEN)
			ike_notify_clear(e, local, remote, data, data + ISA_COOKIE_LEN,
					 ISA_N_INVALID_MAJOR_VERSION, len);
	} else if (ike_is_passive(e, &local->addr)) {
		e->stats.dropped_passive++;
	} else if (h.next == ISA_FRAGMENT && !(h.flags & ISA_FLAG_ENCRYPTED)) {
		receive_fragment(e, &a);
	} else {
		dispatch(e, &a);
	}
	e->to = e->from = NULL;
	leave(e);
}

/* ---- the other doors ---- */

int ike_engine_restore(struct ike_engine *e, const struct ike_leftovers *left, struct ike_now now,
		       struct ike_restored *restored, struct cs_err *err)
{
	int rc;

	enter(e, now);
	rc = ike_restore(e, left, restored, err);
	leave(e);
	return rc;
}

int ike_engine_take_over(struct ike_engine *e, const struct ike_inherited *rows, size_t n,
			 struct ike_now now, struct cs_err *err)
{
	int rc;

	enter(e, now);
	rc = ike_take_over(e, rows, n, err);
	leave(e);
	return rc;
}

void ike_engine_give_back(struct ike_engine *e, const struct cs_addr *address, bool tell,
			  struct ike_now now)
{
	enter(e, now);
	ike_give_back(e, address, tell);
	leave(e);
}

bool ike_engine_taking_over(const struct ike_engine *e)
{
	return ike_taking_over(e);
}

int ike_engine_passive(struct ike_engine *e, const struct cs_addr *address, bool passive,
		       struct ike_now now, struct cs_err *err)
{
	int rc;

	enter(e, now);
	rc = ike_set_passive(e, address, passive, err);
	leave(e);
	return rc;
}

void ike_engine_wanted(struct ike_engine *e, uint32_t spi, struct ike_now now)
{
	enter(e, now);
	ike_takeover_wanted(e, spi);
	leave(e);
}

void ike_engine_policy(struct ike_engine *e, struct pol_policy *policy, struct ike_now now)
{
	enter(e, now);
	ike_apply_policy(e, policy);
	leave(e);
}

void ike_engine_acquire(struct ike_engine *e, const struct xf_acquire *a, struct ike_now now)
{
	enter(e, now);
	ike_acquire(e, a);
	leave(e);
}

void ike_engine_expire(struct ike_engine *e, const struct xf_expire *x, struct ike_now now)
{
	struct ike_p2 *in = ike_p2_by_spi(e, true, &x->id.dst, x->id.proto, x->id.spi);
	struct ike_p2 *p2 = in ? in : ike_p2_by_spi(e, false, &x->id.dst, x->id.proto, x->id.spi);

	enter(e, now);
	if (!p2)
		e->stats.unknown_expires++;
	else if (x->hard && p2->up)
		ike_p2_down(e, p2, true, x, "the kernel's lifetime is over");
	else if (x->hard)
		ike_p2_larval_expired(e, p2);
	else if (p2->up && p2->life_kbytes && x->counters.bytes >= ike_p2_soft_bytes(p2))
		ike_refresh_p2_due(e, p2);
	else if (in)
		ike_quick_first_packet(e, in);
	leave(e);
}

void ike_engine_mapping(struct ike_engine *e, const struct xf_mapping *m, struct ike_now now)
{
	enter(e, now);
	ike_mapping(e, m);
	leave(e);
}

void ike_engine_pk_done(struct ike_engine *e, struct ike_pk_job *job, struct ike_now now)
{
	enter(e, now);
	ike_job_back(e, job);
	leave(e);
}

void ike_engine_cert_done(struct ike_engine *e, struct ike_cert_job *job, struct ike_now now)
{
	enter(e, now);
	ike_cert_back(e, job);
	leave(e);
}

void ike_engine_keyring(struct ike_engine *e, bool there)
{
	e->no_certs = !there;
}

void ike_engine_committed(struct ike_engine *e, uint64_t tx, int status, struct ike_now now)
{
	struct ike_p2 *p2;

	enter(e, now);
	p2 = ike_p2_by_tx(e, tx);
	if (p2)
		ike_p2_committed(e, p2, status);
	else if (!ike_unsettled_committed(e, tx, status))
		ike_restore_committed(e, tx, status);
	leave(e);
}

uint64_t ike_engine_next(const struct ike_engine *e)
{
	return ike_timer_next(&e->timers);
}

void ike_engine_tick(struct ike_engine *e, struct ike_now now)
{
	struct ike_timer *t;

	enter(e, now);
	while ((t = ike_timer_due(&e->timers, e->now.mono))) {
		t->fn(e, t);
		leave(e);
	}
}

void ike_engine_cache_again(struct ike_engine *e, struct ike_now now)
{
	enter(e, now);
	for (struct ike_list *l = e->p2s.next; l != &e->p2s; l = l->next) {
		const struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, all);

		if (p2->up)
			ike_p2_record_moved(e, p2);
	}
	leave(e);
}

void ike_engine_resync_begin(struct ike_engine *e)
{
	ike_resync_begin(e);
}

void ike_engine_resync_sa(struct ike_engine *e, const struct xf_sa *sa, const struct xf_counters *c)
{
	(void)c;
	ike_resync_sa(e, sa);
}

void ike_engine_resync_end(struct ike_engine *e, struct ike_now now)
{
	enter(e, now);
	ike_resync_end(e);
	leave(e);
}

int ike_engine_activate(struct ike_engine *e, const char *local_rule, struct ike_now now,
			uint32_t *tunnel, struct cs_err *err)
{
	int rc;

	enter(e, now);
	rc = ike_activate(e, local_rule, IKE_ACT_USER, tunnel, err);
	if (!rc || rc == CS_EEXIST)
		ike_auto_started(e, local_rule);
	leave(e);
	return rc;
}

int ike_engine_deactivate_p1(struct ike_engine *e, uint32_t tunnel, struct ike_now now,
			     struct cs_err *err)
{
	int rc;

	enter(e, now);
	rc = ike_deactivate_p1(e, tunnel, err);
	leave(e);
	return rc;
}

int ike_engine_deactivate_p2(struct ike_engine *e, uint32_t tunnel, struct ike_now now,
			     struct cs_err *err)
{
	int rc;

	enter(e, now);
	rc = ike_deactivate_p2(e, tunnel, err);
	leave(e);
	return rc;
}

int ike_engine_refresh_p1(struct ike_engine *e, uint32_t tunnel, struct ike_now now,
			  struct cs_err *err)
{
	int rc;

	enter(e, now);
	rc = ike_command_refresh_p1(e, tunnel, err);
	leave(e);
	return rc;
}

int ike_engine_refresh_p2(struct ike_engine *e, uint32_t tunnel, struct ike_now now,
			  struct cs_err *err)
{
	int rc;

	enter(e, now);
	rc = ike_command_refresh_p2(e, tunnel, err);
	leave(e);
	return rc;
}
