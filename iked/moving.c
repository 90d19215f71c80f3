/*
 * Addresses that move between hosts (DynamicVipa of the IkeConfig file, a DVIPA of z/OS).  Whoever
 * moves them, keepalived or an operator, is seen by the kernel's addresses alone: one that arrives
 * is claimed in the shared store, and what its last owner had is given to the engine to be
 * negotiated anew; one that leaves takes its SAs along, and peers are told.  An address that
 * another host has claimed while it is here, too, is that host's: until it arrives anew, or that
 * host lets go of it or is silent, nothing is negotiated at it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "iked/copies.h"
#include "iked/iked.h"
#include "iked/shared.h"

#define USED_MS   60000 /* between looks at which SAs are used */
#define BLIND_MS  1000  /* until addresses that could not be read are again */
#define LISTEN_MS 1000  /* and at whether a takeover still is under way */

/* What the store has of an address that has arrived, until all of it is read. */
struct read_p1 {
	struct ike_p1_info info;
	char host[IKE_SHARED_HOST];
};
struct read_p2 {
	struct ike_inherited sa;
	char host[IKE_SHARED_HOST];
	bool own; /* and so it may be up here */
};

struct vipa {
	struct cs_addr address;
	bool reading;
	struct iked_array p1, p2, copies;
};

struct iked_moving {
	struct iked_moving_env env;
	struct xf_addresses *addresses;
	struct ike_shared *shared;
	uv_poll_t poll;
	uv_timer_t used, listening;
	struct iked_lost_esp *lost; /* who sends by SAs that are to be taken over */
	struct iked_array here;     /* struct vipa *: those of ours that the kernel has */
	bool watching;
	bool looked;   /* at what is here */
	bool blind;    /* the last look has failed */
	bool restored; /* what an engine before had */
};

static bool is_vipa(const struct iked_moving *m, const struct cs_addr *a)
{
	return cs_range_find(m->env.config->vipas, m->env.config->n_vipas, a) != NULL;
}

static size_t index_of(const struct iked_moving *m, const struct cs_addr *a)
{
	struct vipa *const *here = m->here.items;
	size_t i = 0;

	while (i < m->here.n && !cs_addr_equal(&here[i]->address, a))
		i++;
	return i;
}

static struct vipa *find(const struct iked_moving *m, const struct cs_addr *a)
{
	size_t i = index_of(m, a);

	return i < m->here.n ? ((struct vipa **)m->here.items)[i] : NULL;
}

/* ---- what is read ---- */

static void forget_read(struct vipa *v)
{
	free(v->p1.items);
	free(v->p2.items);
	iked_copies_free(&v->copies);
	v->p1 = (struct iked_array){.size = sizeof(struct read_p1)};
	v->p2 = (struct iked_array){.size = sizeof(struct read_p2)};
	v->copies = (struct iked_array)IKED_COPIES;
	v->reading = false;
}

static void expect_rows(struct vipa *v)
{
	forget_read(v);
	v->reading = true;
}

static void add_p1(struct vipa *v, const struct ike_shared_sa *sa)
{
	struct read_p1 *row = iked_array_add(&v->p1);

	if (!row)
		return;
	strcpy(row->host, sa->host);
	if (!iked_copy_p1(&v->copies, &row->info, sa->p1))
		v->p1.n--;
}

static void add_p2(struct vipa *v, const struct ike_shared_sa *sa)
{
	struct read_p2 *row = iked_array_add(&v->p2);

	if (!row)
		return;
	strcpy(row->host, sa->host);
	row->own = sa->own;
	row->sa.used = sa->used;
	row->sa.ref = sa->ref;
	if (!iked_copy_p2(&v->copies, &row->sa.p2, sa->p2))
		v->p2.n--;
}

static void on_sa(void *arg, const struct cs_addr *address, const struct ike_shared_sa *sa)
{
	struct vipa *v = find(arg, address);

	if (!v || !v->reading)
		return;
	if (sa->p1)
		add_p1(v, sa);
	else
		add_p2(v, sa);
}

/* By owner and number, of each the newest generation last. */
static int by_number(const void *a, const void *b)
{
	const struct read_p1 *x = a, *y = b;
	int order = strcmp(x->host, y->host);

	if (order == 0)
		order = (x->info.tunnel > y->info.tunnel) - (x->info.tunnel < y->info.tunnel);
	if (order == 0)
		order = (x->info.generation > y->info.generation) -
			(x->info.generation < y->info.generation);
	return order;
}

static const struct ike_p1_info *parent_of(const struct vipa *v, const struct read_p2 *p2)
{
	const struct read_p1 *rows = v->p1.items;
	struct read_p1 key = {.info = {.tunnel = p2->sa.p2.parent, .generation = UINT32_MAX}};
	size_t lo = 0, hi = v->p1.n;

	strcpy(key.host, p2->host);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (by_number(&rows[mid], &key) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo || rows[lo - 1].info.tunnel != key.info.tunnel ||
	    strcmp(rows[lo - 1].host, key.host) != 0)
		return NULL;
	return &rows[lo - 1].info;
}

/* The pairs that are up at an address. */
struct live {
	const struct cs_addr *address;
	struct iked_array pairs; /* uint64_t: both SPIs */
};

static uint64_t pair_of(const struct ike_p2_info *i)
{
	return (uint64_t)i->spi_in << 32 | i->spi_out;
}

static int see_live(void *arg, const struct ike_p2_info *i)
{
	struct live *l = arg;
	uint64_t *pair;

	if (i->state != IKE_P2_DONE || !cs_addr_equal(&i->local, l->address))
		return 0;
	pair = iked_array_add(&l->pairs);
	if (pair)
		*pair = pair_of(i);
	return 0;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* What this host has put there itself and what lives on since is nothing to take over. */
static size_t leave_out_live(struct iked_moving *m, struct vipa *v, struct ike_inherited *rows)
{
	struct live l = {&v->address, {.size = sizeof(uint64_t)}};
	const struct read_p2 *p2 = v->p2.items;
	size_t n = 0;

	ike_engine_each_p2(m->env.engine, see_live, &l);
	if (l.pairs.n)
		qsort(l.pairs.items, l.pairs.n, sizeof(uint64_t), by_value);
	for (size_t i = 0; i < v->p2.n; i++) {
		uint64_t pair = pair_of(&p2[i].sa.p2);

		if (p2[i].own && l.pairs.n &&
		    bsearch(&pair, l.pairs.items, l.pairs.n, sizeof(pair), by_value))
			continue;
		rows[n] = p2[i].sa;
		rows[n++].p1 = parent_of(v, &p2[i]);
	}
	free(l.pairs.items);
	return n;
}

static void on_lost(void *arg, uint32_t spi)
{
	struct iked_moving *m = arg;

	ike_engine_wanted(m->env.engine, spi, iked_now());
}

static void on_listening(uv_timer_t *timer)
{
	struct iked_moving *m = timer->data;

	if (ike_engine_taking_over(m->env.engine))
		return;
	iked_lost_esp_listen(m->lost, false);
	uv_timer_stop(timer);
}

static void listen_for_lost(struct iked_moving *m)
{
	iked_lost_esp_listen(m->lost, true);
	uv_timer_start(&m->listening, on_listening, LISTEN_MS, LISTEN_MS);
}

static void take_over(struct iked_moving *m, struct vipa *v)
{
	struct ike_inherited *rows = calloc(v->p2.n + 1, sizeof(*rows));
	char text[CS_ADDR_STRLEN];
	struct cs_err err = {0};
	int rc =
		v->p1.short_of_memory || v->p2.short_of_memory || v->copies.short_of_memory || !rows
			? cs_fail(&err, CS_ENOMEM, "out of memory")
			: 0;

	if (v->p1.n)
		qsort(v->p1.items, v->p1.n, sizeof(struct read_p1), by_number);
	if (rows && v->p2.n) {
		size_t n = leave_out_live(m, v, rows);

		if (n && ike_engine_take_over(m->env.engine, rows, n, iked_now(), &err))
			rc = err.code;
		if (n)
			listen_for_lost(m);
	}
	if (rc)
		cs_log(CS_NOCTX, CSM_VIPA_UNREAD, cs_addr_text(&v->address, text), err.text);
	free(rows);
}

static void on_read(void *arg, const struct cs_addr *address, int status, const struct cs_err *err)
{
	struct iked_moving *m = arg;
	struct vipa *v = find(m, address);
	char text[CS_ADDR_STRLEN];

	if (!v || !v->reading)
		return;
	if (status == 0)
		take_over(m, v);
	else if (status != CS_ENOTFOUND) /* that there is no store has been said */
		cs_log(CS_NOCTX, CSM_VIPA_UNREAD, cs_addr_text(address, text), err->text);
	forget_read(v);
}

static void on_reread(void *arg, const struct cs_addr *address)
{
	struct vipa *v = find(arg, address);
	char text[CS_ADDR_STRLEN];

	if (!v)
		return;
	cs_log(CS_NOCTX, CSM_VIPA_REREAD, cs_addr_text(address, text));
	expect_rows(v);
}

/* ---- addresses ---- */

static int set_passive(struct iked_moving *m, const struct cs_addr *a, bool passive)
{
	struct cs_err err;
	int rc = ike_engine_passive(m->env.engine, a, passive, iked_now(), &err);

	if (rc)
		cs_log(CS_NOCTX, CSM_VIPA_WATCH, err.text);
	return rc;
}

/* What the store has of it comes now. */
static void begin(struct iked_moving *m, struct vipa *v)
{
	expect_rows(v);
	set_passive(m, &v->address, false);
}

static void arrived(struct iked_moving *m, const struct cs_addr *a)
{
	struct vipa **slot, *v = calloc(1, sizeof(*v));
	char text[CS_ADDR_STRLEN];

	slot = v ? iked_array_add(&m->here) : NULL;
	if (!slot) {
		cs_log(CS_NOCTX, CSM_VIPA_WATCH, "out of memory");
		free(v);
		return;
	}
	*slot = v;
	v->address = *a;
	cs_log(CS_NOCTX, CSM_VIPA_HERE, cs_addr_text(a, text));
	begin(m, v);
	if (m->looked)
		ike_shared_arrive(m->shared, a);
	else
		ike_shared_found(m->shared, a);
}

static void left(struct iked_moving *m, const struct cs_addr *a)
{
	struct vipa **here = m->here.items;
	size_t i = index_of(m, a);
	char text[CS_ADDR_STRLEN];

	if (i == m->here.n)
		return;
	cs_log(CS_NOCTX, CSM_VIPA_GONE, cs_addr_text(a, text));
	/* First, so that the end of its SAs is not written: they are the next owner's to take. */
	ike_shared_leave(m->shared, a);
	set_passive(m, a, true);
	ike_engine_give_back(m->env.engine, a, true, iked_now());
	forget_read(here[i]);
	free(here[i]);
	here[i] = here[--m->here.n];
}

/* An address that left while no worker was there to see it: of SAs that live on there. */
static void add_stray(struct iked_moving *m, struct iked_array *strays, const struct cs_addr *a)
{
	const struct cs_addr *known = strays->items;
	struct cs_addr *stray;

	if (!is_vipa(m, a) || find(m, a))
		return;
	for (size_t i = 0; i < strays->n; i++)
		if (cs_addr_equal(&known[i], a))
			return;
	stray = iked_array_add(strays);
	if (stray)
		*stray = *a;
}

struct strays {
	struct iked_moving *m;
	struct iked_array addresses;
};

static int see_p1(void *arg, const struct ike_p1_info *i)
{
	struct strays *s = arg;

	add_stray(s->m, &s->addresses, &i->local.addr);
	return 0;
}

static int see_p2(void *arg, const struct ike_p2_info *i)
{
	struct strays *s = arg;

	add_stray(s->m, &s->addresses, &i->local);
	return 0;
}

static void give_back_strays(struct iked_moving *m)
{
	struct strays s = {m, {.size = sizeof(struct cs_addr)}};
	const struct cs_addr *a;

	ike_engine_each_p1(m->env.engine, see_p1, &s);
	ike_engine_each_p2(m->env.engine, see_p2, &s);
	a = s.addresses.items;
	for (size_t i = 0; i < s.addresses.n; i++) {
		char text[CS_ADDR_STRLEN];

		cs_log(CS_NOCTX, CSM_VIPA_GONE, cs_addr_text(&a[i], text));
		ike_engine_give_back(m->env.engine, &a[i], true, iked_now());
	}
	free(s.addresses.items);
}

static void on_address(void *arg, const struct cs_addr *a, bool is_here)
{
	struct iked_moving *m = arg;

	if (!is_vipa(m, a))
		return;
	if (is_here)
		arrived(m, a);
	else
		left(m, a);
}

/* Before it nobody knows what has left. */
static void first_look(struct iked_moving *m)
{
	m->looked = true;
	if (m->restored)
		give_back_strays(m);
}

static void on_used(uv_timer_t *timer);

static void look(struct iked_moving *m)
{
	struct cs_err err;

	m->blind = xf_addresses_read(m->addresses, on_address, m, &err) < 0;
	if (m->blind) {
		cs_log(CS_NOCTX, CSM_VIPA_WATCH, err.text);
		uv_timer_start(&m->used, on_used, BLIND_MS, USED_MS);
	} else if (!m->looked) {
		first_look(m);
	}
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	look(poll->data);
}

/* ---- the shared store ---- */

static void on_claim(void *arg, const struct ike_shared_claim *c)
{
	struct iked_moving *m = arg;
	struct vipa *v = find(m, &c->address);
	char text[CS_ADDR_STRLEN];

	if (!v)
		return;
	if (c->ours) {
		cs_log(CS_NOCTX, CSM_VIPA_OURS, cs_addr_text(&c->address, text),
		       (unsigned long long)c->epoch);
		return;
	}
	cs_log(CS_NOCTX, CSM_VIPA_LOST, cs_addr_text(&c->address, text),
	       c->owner[0] ? c->owner : "a host that has let go of it",
	       (unsigned long long)c->epoch);
	forget_read(v);
	set_passive(m, &c->address, true);
	ike_engine_give_back(m->env.engine, &c->address, false, iked_now());
}

static void on_vacant(void *arg, const struct cs_addr *address, const char *owner)
{
	struct iked_moving *m = arg;
	struct vipa *v = find(m, address);
	char text[CS_ADDR_STRLEN], why[IKE_SHARED_HOST + 40] = "nobody owns it";

	if (!v)
		return;
	if (owner[0])
		snprintf(why, sizeof(why), "its owner %s is silent", owner);
	cs_log(CS_NOCTX, CSM_VIPA_VACANT, cs_addr_text(address, text), why);
	begin(m, v);
}

struct all {
	struct iked_moving *m;
	const struct cs_addr *address;
};

static int put_p1(void *arg, const struct ike_p1_info *i)
{
	const struct all *a = arg;
	const struct ike_record rec = {.kind = IKE_REC_P1_UP, .when = iked_now(), .p1 = i};

	if (i->state == IKE_P1_DONE && cs_addr_equal(&i->local.addr, a->address))
		ike_shared_record(a->m->shared, &rec);
	return 0;
}

static int put_p2(void *arg, const struct ike_p2_info *i)
{
	const struct all *a = arg;
	const struct ike_record rec = {.kind = IKE_REC_P2_UP, .when = iked_now(), .p2 = i};

	if (i->state == IKE_P2_DONE && cs_addr_equal(&i->local, a->address))
		ike_shared_record(a->m->shared, &rec);
	return 0;
}

static void on_want_all(void *arg, const struct cs_addr *address)
{
	struct iked_moving *m = arg;
	struct all a = {m, address};

	ike_engine_each_p1(m->env.engine, put_p1, &a);
	ike_engine_each_p2(m->env.engine, put_p2, &a);
}

static void on_unshared(void *arg, char kind, uint32_t tunnel, const char *why)
{
	(void)arg;
	cs_log(CS_NOCTX, CSM_NOT_SHARED, kind, tunnel, why);
}

static void on_reachable(void *arg, const char *why)
{
	(void)arg;
	if (why)
		cs_log(CS_NOCTX, CSM_SHARED_AWAY, why);
	else
		cs_log(CS_NOCTX, CSM_SHARED_BACK);
}

static void on_policy_differs(void *arg, const char *host)
{
	(void)arg;
	cs_log(CS_NOCTX, CSM_SHARED_POLICY, host);
}

/* ---- which SAs are used ---- */

static int tell_used(void *arg, const struct ike_p2_info *i)
{
	struct iked_moving *m = arg;
	const struct xf_said id = {.dst = i->local,
				   .spi = i->spi_in,
				   .proto = i->suite.protocol == POL_AH ? IPPROTO_AH : IPPROTO_ESP};
	struct xf_counters c;
	struct cs_err err;

	if (i->state == IKE_P2_DONE && find(m, &i->local) &&
	    xf_sa_counters(m->env.kernel, &id, &c, &err) == 0 && c.used)
		ike_shared_used(m->shared, i, (int64_t)c.used);
	return 0;
}

static void on_used(uv_timer_t *timer)
{
	struct iked_moving *m = timer->data;

	if (m->blind)
		look(m);
	ike_engine_each_p2(m->env.engine, tell_used, m);
}

/* ---- from outside ---- */

int iked_moving_new(const struct iked_moving_env *env, struct iked_moving **moving,
		    struct cs_err *err)
{
	static const struct ike_shared_events events = {
		.sa = on_sa,
		.read = on_read,
		.reread = on_reread,
		.claim = on_claim,
		.vacant = on_vacant,
		.want_all = on_want_all,
		.unshared = on_unshared,
		.reachable = on_reachable,
		.policy_differs = on_policy_differs,
	};
	struct iked_moving *m;
	int status;

	*moving = NULL;
	if (!env->config->n_vipas)
		return 0;
	m = calloc(1, sizeof(*m));
	if (!m)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	m->env = *env;
	m->here.size = sizeof(struct vipa *);
	status = xf_addresses_open(&m->addresses, err);
	if (status == 0)
		status = iked_lost_esp_new(env->loop, on_lost, m, &m->lost, err);
	if (status == 0)
		status = ike_shared_new(env->loop, &events, m, &m->shared, err);
	if (status < 0) {
		iked_lost_esp_stop(m->lost);
		xf_addresses_close(m->addresses);
		free(m);
		return status;
	}
	uv_poll_init(env->loop, &m->poll, xf_addresses_fd(m->addresses));
	uv_timer_init(env->loop, &m->used);
	uv_timer_init(env->loop, &m->listening);
	m->poll.data = m->used.data = m->listening.data = m;
	if (!env->config->shared_store[0]) {
		cs_log(CS_NOCTX, CSM_VIPA_ALONE);
		ike_shared_absent(m->shared);
	}
	*moving = m;
	return 0;
}

void iked_moving_helper(struct iked_moving *m, int fd)
{
	struct cs_err err;

	if (!m->env.config->shared_store[0])
		close(fd);
	else if (ike_shared_connect(m->shared, fd, &err) < 0)
		cs_log(CS_NOCTX, CSM_SHARED_AWAY, err.text);
}

void iked_moving_absent(struct iked_moving *m)
{
	if (m)
		ike_shared_absent(m->shared);
}

void iked_moving_policy(struct iked_moving *m, const uint8_t *digest)
{
	if (!m || !digest)
		return;
	ike_shared_policy(m->shared, digest);
	if (m->watching)
		return;
	m->watching = true;
	uv_poll_start(&m->poll, UV_READABLE, on_readable);
	uv_timer_start(&m->used, on_used, USED_MS, USED_MS);
	look(m);
}

void iked_moving_restored(struct iked_moving *m)
{
	if (!m)
		return;
	m->restored = true;
	if (m->looked)
		give_back_strays(m);
}

void iked_moving_record(struct iked_moving *m, const struct ike_record *rec)
{
	if (m)
		ike_shared_record(m->shared, rec);
}

void iked_moving_settled(struct iked_moving *m, uint64_t ref)
{
	if (m)
		ike_shared_settled(m->shared, ref);
}

struct ike_shared *iked_moving_shared(const struct iked_moving *m)
{
	return m ? m->shared : NULL;
}

void iked_moving_stop(struct iked_moving *m)
{
	if (!m)
		return;
	uv_close((uv_handle_t *)&m->poll, NULL);
	uv_close((uv_handle_t *)&m->used, NULL);
	uv_close((uv_handle_t *)&m->listening, NULL);
	iked_lost_esp_stop(m->lost);
	ike_shared_stop(m->shared);
}

void iked_moving_free(struct iked_moving *m)
{
	struct vipa **here;

	if (!m)
		return;
	here = m->here.items;
	for (size_t i = 0; i < m->here.n; i++) {
		forget_read(here[i]);
		free(here[i]);
	}
	free(m->here.items);
	ike_shared_free(m->shared);
	xf_addresses_close(m->addresses);
	free(m);
}
