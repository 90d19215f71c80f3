/*
 * The worker's side of the shared store: addresses that are here, what the helper says of them, and
 * helpers that come and go.  What of the SAs is there and what is on its way is shared_sas.c.
 */
#include "iked/shared_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROWS_MAX      200000u /* of an address */
#define READ_WAIT_MS  12000   /* the helper's own limit is shorter */
#define READ_PAUSE_MS 5000    /* until one that has failed is tried again, if the store is there */
#define TICK_MS       1000
#define STOP_MS       2000

/* A helper. libuv wants its handle to outlive us by a turn of the loop. */
struct ike_sh_connection {
	uv_poll_t poll;
	struct ike_shared *client; /* NULL: forgotten */
	int fd;
};

struct packet {
	struct ike_list link;
	size_t len;
	uint8_t data[];
};

static void on_poll(uv_poll_t *poll, int status, int events);
static void on_soon(uv_timer_t *timer);
static void on_tick(uv_timer_t *timer);
static void pump(struct ike_shared *s);
static bool end_overdue(struct ike_shared *s);
static void close_all(struct ike_shared *s);

/* ---- addresses ---- */

static struct ike_sh_place_here *find(const struct ike_shared *s, const struct cs_addr *address)
{
	for (struct ike_list *l = s->places.next; l != &s->places; l = l->next) {
		struct ike_sh_place_here *p = IKE_OF(l, struct ike_sh_place_here, link);

		if (cs_addr_equal(&p->address, address))
			return p;
	}
	return NULL;
}

/* Of that arrival: not when the address has gone, or come anew, since it was said. */
static struct ike_sh_place_here *find_arrival(const struct ike_shared *s,
					      const struct cs_addr *address, uint64_t serial)
{
	struct ike_sh_place_here *p = find(s, address);

	return p && p->serial == serial ? p : NULL;
}

static struct ike_sh_place_here *find_asked(const struct ike_shared *s,
					    const struct cs_addr *address, uint64_t serial)
{
	struct ike_sh_place_here *p = find(s, address);

	return p && p->read_serial == serial ? p : NULL;
}

/* ---- what goes to the helper ---- */

static void drop_control(struct ike_shared *s)
{
	while (!ike_list_empty(&s->control)) {
		struct packet *p = IKE_OF(s->control.next, struct packet, link);

		ike_list_remove(&p->link);
		free(p);
	}
}

static void say(struct ike_shared *s, const struct ike_shared_message *m)
{
	uint8_t data[IKE_SHARED_MESSAGE_MAX];
	struct packet *p;
	size_t len;

	if (!s->connection || ike_shared_put_message(m, data, sizeof(data), &len, NULL) < 0)
		return;
	p = malloc(sizeof(*p) + len);
	if (!p) {
		s->stats.failed++;
		return;
	}
	p->len = len;
	memcpy(p->data, data, len);
	ike_list_add_tail(&s->control, &p->link);
}

static void say_arrival(struct ike_shared *s, struct ike_sh_place_here *p)
{
	struct ike_shared_message m = {
		.kind = p->found ? IKE_SH_FOUND : IKE_SH_ARRIVE,
		.serial = p->serial,
		.address = p->address,
		.epoch = p->ours ? p->epoch : 0,
		.flag = p->reading,
		.is_seen = p->is_seen && !p->answered,
		.seen = p->seen_epoch,
	};

	p->read_serial = p->serial;
	strcpy(m.host, p->seen_owner);
	say(s, &m);
}

/* It is another host's until it comes anew, or that one has gone. */
static void say_lost(struct ike_shared *s, const struct ike_sh_place_here *p)
{
	struct ike_shared_message m = {
		.kind = IKE_SH_WATCH, .serial = p->serial, .address = p->address};

	say(s, &m);
}

static void say_policy(struct ike_shared *s)
{
	struct ike_shared_message m = {
		.kind = IKE_SH_POLICY,
		.text = {(const uint8_t *)s->policy, strlen(s->policy)},
	};

	if (s->has_policy)
		say(s, &m);
}

static void watch(struct ike_shared *s, bool writable)
{
	uv_poll_start(&s->connection->poll, UV_READABLE | (writable ? UV_WRITABLE : 0), on_poll);
}

/* 1: it went, 0: not now, -1: it is ending, reading says so. */
static int send_packet(struct ike_shared *s, const uint8_t *data, size_t len)
{
	ssize_t n;

	do
		n = send(s->connection->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)len)
		return 1;
	return n < 0 && (errno == EAGAIN || errno == ENOBUFS) ? 0 : -1;
}

static int send_control(struct ike_shared *s)
{
	while (!ike_list_empty(&s->control)) {
		struct packet *p = IKE_OF(s->control.next, struct packet, link);
		int sent = send_packet(s, p->data, p->len);

		if (sent <= 0)
			return sent;
		ike_list_remove(&p->link);
		free(p);
	}
	return 1;
}

/* As much as the socket takes, and no more than the helper wants to have. */
static void pump(struct ike_shared *s)
{
	uint8_t data[IKE_SHARED_MESSAGE_MAX];
	int sent;

	if (!s->connection)
		return;
	sent = send_control(s);
	while (sent > 0 && s->n_sent < IKE_SHARED_WINDOW && !ike_list_empty(&s->waits)) {
		struct ike_sh_work *w = IKE_OF(s->waits.next, struct ike_sh_work, link);
		struct ike_shared_message m;
		size_t len;

		ike_sh_message(w, &m);
		m.serial = s->last_serial + 1;
		if (ike_shared_put_message(&m, data, sizeof(data), &len, NULL) < 0) {
			ike_sh_unqueue(s, w); /* documents are bounded: it cannot be */
			continue;
		}
		sent = send_packet(s, data, len);
		if (sent > 0) {
			w->serial = ++s->last_serial;
			ike_sh_was_sent(s, w);
		}
	}
	watch(s, sent == 0);
}

void ike_sh_soon(struct ike_shared *s)
{
	if (!s->closed)
		uv_timer_start(&s->soon, on_soon, 0, 0);
}

/* ---- what the worker is told ---- */

static void tell_unshared(struct ike_shared *s)
{
	while (!s->stopping && !ike_list_empty(&s->tells)) {
		struct ike_sh_tunnel *t = IKE_OF(s->tells.next, struct ike_sh_tunnel, tell);

		ike_list_remove(&t->tell);
		s->events->unshared(s->arg, t->kind, t->number, t->why);
	}
}

static void tell_reachable(struct ike_shared *s, const char *why)
{
	bool there = why == NULL, told = s->store == (there ? IKE_SH_THERE : IKE_SH_GONE);

	s->store = there ? IKE_SH_THERE : IKE_SH_GONE;
	s->stats.reachable = there;
	if (!told && !s->stopping)
		s->events->reachable(s->arg, why);
}

/* Some had no room to wait; now there is. */
static void refill(struct ike_shared *s)
{
	if (s->n_waits > 0 || s->n_sent > 0)
		return;
	for (struct ike_list *l = s->places.next; l != &s->places; l = l->next) {
		struct ike_sh_place_here *p = IKE_OF(l, struct ike_sh_place_here, link);
		struct cs_addr address = p->address;

		if (!p->overflow || !p->confirmed)
			continue;
		p->overflow = false;
		ike_sh_begin_anew(s, p, false);
		s->events->want_all(s->arg, &address);
		ike_sh_soon(s); /* the list may be another one now */
		return;
	}
}

static void on_soon(uv_timer_t *timer)
{
	struct ike_shared *s = timer->data;

	tell_unshared(s);
	if (!s->stopping)
		refill(s);
	if (!s->stopping && s->absent)
		end_overdue(s);
	pump(s);
}

/* ---- what was read ---- */

static bool is_ref(const struct ike_node *node, const void *key)
{
	return IKE_OF(node, const struct ike_sh_ref, node)->number == *(const uint64_t *)key;
}

static struct ike_sh_ref *find_ref(struct ike_shared *s, uint64_t number)
{
	struct ike_node *node = ike_table_find(&s->refs, number, is_ref, &number);

	return node ? IKE_OF(node, struct ike_sh_ref, node) : NULL;
}

/* False: the helper makes no sense. */
static bool take_row(struct ike_shared *s, const struct ike_shared_message *m)
{
	struct ike_sh_place_here *p = find_asked(s, &m->address, m->serial);
	struct ike_sh_ref *r;

	if (!p || !p->reading)
		return true;
	if (p->n_rows >= ROWS_MAX)
		return false;
	r = calloc(1, sizeof(*r));
	if (r)
		r->document = malloc(m->text.len + 1);
	if (!r || !r->document) {
		free(r);
		s->stats.failed++;
		return true;
	}
	memcpy(r->document, m->text.p, m->text.len);
	r->document[m->text.len] = '\0';
	r->len = m->text.len;
	r->work.ref = r;
	ike_list_init(&r->work.link);
	r->place = p;
	r->number = ++s->last_ref;
	strcpy(r->host, m->host);
	r->own = m->flag;
	r->kind = m->sa;
	r->tunnel = m->tunnel;
	r->generation = m->generation;
	r->used = m->used;
	ike_list_add_tail(&p->rows, &r->in_place);
	ike_table_add(&s->refs, &r->node, r->number);
	p->n_rows++;
	return true;
}

/* A row of ours that is up, or was and is on its way out, is not left over from anybody. */
static bool is_known(struct ike_shared *s, const struct ike_sh_ref *r)
{
	return r->own && ike_sh_entry_find(ike_sh_tunnel_find(s, r->place, r->kind, r->tunnel),
					   r->generation);
}

struct bad_rows {
	unsigned n;
	char first[400];
};

static void note_bad(struct bad_rows *bad, const struct ike_sh_ref *r, const char *why)
{
	if (bad->n++ == 0)
		snprintf(bad->first, sizeof(bad->first), "%c%u of %s: %s", r->kind, r->tunnel,
			 r->host, why);
}

/* The callback may do anything, to this row, too. */
static void give_row(struct ike_shared *s, struct ike_sh_ref *r, const struct cs_addr *address,
		     struct bad_rows *bad)
{
	struct ike_shared_row row;
	struct ike_shared_sa sa = {.own = r->own, .used = r->used, .ref = r->number};
	char host[IKE_SHARED_HOST], *document = r->document;
	struct cs_err err;

	strcpy(host, r->host);
	sa.host = host;
	r->document = NULL;
	if (ike_shared_get(r->kind, document, r->len, &row, &err) < 0) {
		s->stats.malformed++;
		note_bad(bad, r, err.text);
		ike_sh_forget_ref(s, r); /* whoever understands it may need it yet */
	} else {
		sa.p1 = row.kind == 'K' ? &row.p1 : NULL;
		sa.p2 = row.kind == 'Y' ? &row.p2 : NULL;
		s->events->sa(s->arg, address, &sa);
		ike_shared_row_clear(&row);
	}
	free(document);
}

static void drop_rows(struct ike_shared *s, struct ike_sh_place_here *p)
{
	while (!ike_list_empty(&p->rows))
		ike_sh_forget_ref(s, IKE_OF(p->rows.next, struct ike_sh_ref, in_place));
	p->n_rows = 0;
}

static void end_read(struct ike_shared *s, struct ike_sh_place_here *p, int status,
		     const struct cs_err *err)
{
	struct cs_addr address = p->address;
	struct bad_rows bad = {.n = 0};
	uint64_t serial = p->serial;
	char text[CS_ADDR_STRLEN];
	bool again = p->unread;

	p->reading = false;
	p->unread = status < 0 && !s->absent && !(p->answered && !p->ours);
	if (p->unread)
		p->read_until = uv_now(s->loop) + READ_PAUSE_MS;
	/* Those of an address that was lost meanwhile are for its owner. */
	if (status < 0 || (p->answered && !p->ours))
		drop_rows(s, p);
	if (again && status < 0)
		return; /* it was told */
	if (again) {
		s->events->reread(s->arg, &address);
		p = find_arrival(s, &address, serial);
	}
	while (p && !ike_list_empty(&p->rows)) {
		struct ike_sh_ref *r = IKE_OF(p->rows.next, struct ike_sh_ref, in_place);

		ike_list_remove(&r->in_place);
		ike_list_add_tail(&p->refs, &r->in_place);
		p->n_rows--;
		if (is_known(s, r))
			ike_sh_forget_ref(s, r);
		else
			give_row(s, r, &address, &bad);
		p = s->stopping ? NULL : find_arrival(s, &address, serial);
	}
	if (bad.n)
		cs_log(CS_NOCTX, CSM_SHARED_ROWS, bad.n, cs_addr_text(&address, text), bad.first);
	if (p)
		s->events->read(s->arg, &address, status, err);
}

static void on_read(struct ike_shared *s, const struct ike_shared_message *m, const char *text)
{
	struct ike_sh_place_here *p = find_asked(s, &m->address, m->serial);
	struct cs_err err = {.code = (enum cs_code)m->status};

	if (!p)
		return;
	if (m->status == 0) {
		p->is_seen = true;
		strcpy(p->seen_owner, m->host);
		p->seen_epoch = m->epoch;
	}
	if (!p->reading)
		return;
	s->stats.reads++;
	snprintf(err.text, sizeof(err.text), "%s", text);
	end_read(s, p, m->status, &err);
}

static void await_read(struct ike_shared *s, struct ike_sh_place_here *p)
{
	p->reading = true;
	uv_update_time(s->loop);
	p->read_until = s->absent ? 0 : uv_now(s->loop) + READ_WAIT_MS;
	if (s->absent)
		ike_sh_soon(s);
	if (!uv_is_active((uv_handle_t *)&s->tick))
		uv_timer_start(&s->tick, on_tick, TICK_MS, TICK_MS);
}

/* What could not be read as it came is read when the store is there; the claim stands as it is. */
static void read_again(struct ike_shared *s, struct ike_sh_place_here *p)
{
	struct ike_shared_message m = {.kind = IKE_SH_AGAIN, .address = p->address, .flag = true};

	if (!p->unread || p->reading)
		return;
	await_read(s, p);
	m.serial = p->read_serial = ++s->last_serial;
	say(s, &m);
}

static void read_all_again(struct ike_shared *s)
{
	for (struct ike_list *l = s->places.next; l != &s->places; l = l->next)
		read_again(s, IKE_OF(l, struct ike_sh_place_here, link));
}

/* ---- claims ---- */

static void on_claim(struct ike_shared *s, const struct ike_shared_message *m)
{
	struct ike_sh_place_here *p = find_arrival(s, &m->address, m->serial);
	struct ike_shared_claim claim = {.address = m->address, .epoch = m->epoch, .ours = m->flag};
	bool news;

	if (!p)
		return;
	strcpy(claim.owner, m->host);
	news = !p->answered || p->ours != m->flag || p->epoch != m->epoch;
	p->answered = true;
	p->ours = p->confirmed = m->flag;
	p->epoch = m->epoch;
	if (m->flag)
		ike_sh_begin_anew(s, p, true);
	else
		ike_sh_forget_all(s, p);
	p->unread &= m->flag;
	if (news) {
		s->stats.claims += m->flag;
		s->stats.lost += !m->flag;
		s->events->claim(s->arg, &claim);
	}
	if (!s->stopping && m->flag && find_arrival(s, &m->address, m->serial))
		s->events->want_all(s->arg, &claim.address);
}

/* As if it were new, but SAs that are up stay known: no row of theirs is given out. */
static void begin(struct ike_shared *s, struct ike_sh_place_here *p)
{
	drop_rows(s, p);
	while (!ike_list_empty(&p->refs))
		ike_sh_forget_ref(s, IKE_OF(p->refs.next, struct ike_sh_ref, in_place));
	p->serial = ++s->last_serial;
	p->answered = p->ours = p->confirmed = false;
	p->epoch = 0;
	p->is_seen = false;
	p->unread = false;
	await_read(s, p);
}

/* Whoever else takes it meanwhile is right: the claim is for what was seen. */
static void on_vacant(struct ike_shared *s, const struct ike_shared_message *m)
{
	struct ike_sh_place_here *p = find_arrival(s, &m->address, m->serial);

	if (!p || !p->answered || p->ours)
		return;
	begin(s, p);
	p->found = false;
	p->is_seen = true;
	strcpy(p->seen_owner, m->host);
	p->seen_epoch = m->epoch;
	say_arrival(s, p);
	s->events->vacant(s->arg, &m->address, m->host);
}

/* ---- the helper ---- */

static void on_closed(uv_handle_t *handle)
{
	struct ike_sh_connection *k = handle->data;

	close(k->fd);
	free(k);
}

static void forget(struct ike_shared *s)
{
	if (!s->connection)
		return;
	s->connection->client = NULL;
	uv_poll_stop(&s->connection->poll);
	uv_close((uv_handle_t *)&s->connection->poll, on_closed);
	s->connection = NULL;
	drop_control(s);
	ike_sh_away(s);
	/* The next one reads all of it. */
	for (struct ike_list *l = s->places.next; l != &s->places; l = l->next)
		drop_rows(s, IKE_OF(l, struct ike_sh_place_here, link));
}

static void helper_ended(struct ike_shared *s)
{
	forget(s);
	tell_reachable(s, "the helper of the shared store has ended");
	if (s->stopping && !s->closed)
		close_all(s);
}

static void go_away(struct ike_shared *s, const char *why)
{
	tell_reachable(s, why);
	ike_sh_away(s);
}

/* False: the helper makes no sense. */
static bool hear(struct ike_shared *s, const struct ike_shared_message *m)
{
	char text[256];
	size_t len = m->text.len < sizeof(text) ? m->text.len : sizeof(text) - 1;

	memcpy(text, m->text.p, len);
	text[len] = '\0';
	switch (m->kind) {
	case IKE_SH_WRITTEN:
		ike_sh_written(s, m->serial);
		return true;
	case IKE_SH_REFUSED:
		ike_sh_refused(s, m->serial, text);
		return true;
	case IKE_SH_AWAY:
		go_away(s, text);
		return true;
	case IKE_SH_BACK:
		s->stats.reconnects += s->store == IKE_SH_GONE;
		tell_reachable(s, NULL);
		if (!s->stopping)
			read_all_again(s);
		return true;
	case IKE_SH_NEVER:
		ike_shared_absent(s);
		return true;
	case IKE_SH_CLAIM:
		if (!s->stopping)
			on_claim(s, m);
		return true;
	case IKE_SH_VACANT:
		if (!s->stopping)
			on_vacant(s, m);
		return true;
	case IKE_SH_ROW:
		return s->stopping || take_row(s, m);
	case IKE_SH_READ:
		if (!s->stopping)
			on_read(s, m, text);
		return true;
	case IKE_SH_DIFFERS:
		if (!s->stopping)
			s->events->policy_differs(s->arg, m->host);
		return true;
	default:
		return false;
	}
}

static void receive(struct ike_shared *s)
{
	struct ike_sh_connection *k = s->connection;
	uint8_t packet[IKE_SHARED_MESSAGE_MAX + 1];

	/* A callback may end the connection. */
	while (s->connection == k) {
		ssize_t n = recv(k->fd, packet, sizeof(packet), MSG_DONTWAIT);
		struct ike_shared_message m;

		/* A helper that ends without having heard all of ours resets the connection; its
		 * last words come after that. */
		if (n < 0 && (errno == EINTR || errno == ECONNRESET))
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			helper_ended(s);
			return;
		}
		if (ike_shared_get_message(packet, (size_t)n, &m, NULL) < 0 || !hear(s, &m)) {
			s->stats.malformed++;
			helper_ended(s);
			return;
		}
	}
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct ike_sh_connection *k = poll->data;
	struct ike_shared *s = k->client;

	if (!s)
		return;
	if (status < 0 || (events & UV_READABLE))
		receive(s);
	if (s->closed)
		return;
	tell_unshared(s);
	if (!s->stopping)
		refill(s);
	pump(s);
	if (s->stopping && s->n_waits == 0 && s->n_sent == 0)
		close_all(s);
}

/* A helper that says nothing at all must not keep an address waiting. True: there is more to wait
 * for. */
static bool end_overdue(struct ike_shared *s)
{
	struct cs_err err = {0};
	bool more = false;
	int status = s->absent
			     ? cs_fail(&err, CS_ENOTFOUND, "there is no shared store")
			     : cs_fail(&err, CS_EAGAIN, "the shared store does not answer in time");

	for (struct ike_list *l = s->places.next; l != &s->places; l = l->next) {
		struct ike_sh_place_here *p = IKE_OF(l, struct ike_sh_place_here, link);
		bool due = uv_now(s->loop) >= p->read_until;

		if (p->reading && due) {
			end_read(s, p, status, &err);
			ike_sh_soon(s);
			return true; /* the list may be another one now */
		}
		if (due && s->store == IKE_SH_THERE)
			read_again(s, p);
		more |= p->reading || p->unread;
	}
	return more;
}

static void on_tick(uv_timer_t *timer)
{
	struct ike_shared *s = timer->data;
	bool more = end_overdue(s);

	pump(s);
	if (!more && !s->stopping)
		uv_timer_stop(&s->tick);
}

/* ---- the calls ---- */

int ike_shared_new(uv_loop_t *loop, const struct ike_shared_events *events, void *arg,
		   struct ike_shared **shared, struct cs_err *err)
{
	struct ike_shared *s = calloc(1, sizeof(*s));

	if (!s || ike_table_init(&s->tunnels) < 0 || ike_table_init(&s->refs) < 0) {
		if (s)
			ike_table_free(&s->tunnels);
		free(s);
		return cs_fail(err, CS_ENOMEM, "out of memory");
	}
	s->loop = loop;
	s->table = *events;
	s->events = &s->table;
	s->arg = arg;
	ike_list_init(&s->places);
	ike_list_init(&s->control);
	ike_list_init(&s->waits);
	ike_list_init(&s->sent);
	ike_list_init(&s->tells);
	uv_timer_init(loop, &s->soon);
	uv_timer_init(loop, &s->tick);
	s->soon.data = s->tick.data = s;
	*shared = s;
	return 0;
}

int ike_shared_connect(struct ike_shared *s, int fd, struct cs_err *err)
{
	struct ike_sh_connection *k = s->stopping ? NULL : calloc(1, sizeof(*k));
	int rc;

	if (!k) {
		close(fd);
		return s->stopping ? cs_fail(err, CS_EAGAIN, "the daemon is stopping")
				   : cs_fail(err, CS_ENOMEM, "out of memory");
	}
	forget(s);
	s->absent = false;
	rc = uv_poll_init(s->loop, &k->poll, fd);
	if (rc < 0) {
		close(fd);
		free(k);
		return cs_fail(err, CS_ESYS, "cannot watch the helper of the shared store: %s",
			       uv_strerror(rc));
	}
	k->poll.data = k;
	k->client = s;
	k->fd = fd;
	s->connection = k;
	say_policy(s);
	for (struct ike_list *l = s->places.next; l != &s->places; l = l->next) {
		struct ike_sh_place_here *p = IKE_OF(l, struct ike_sh_place_here, link);

		if (p->answered && !p->ours)
			say_lost(s, p);
		else
			say_arrival(s, p);
	}
	pump(s);
	return 0;
}

void ike_shared_absent(struct ike_shared *s)
{
	s->absent = true;
	s->store = IKE_SH_UNKNOWN;
	s->stats.reachable = false;
	forget(s);
	for (struct ike_list *l = s->places.next; l != &s->places; l = l->next) {
		struct ike_sh_place_here *p = IKE_OF(l, struct ike_sh_place_here, link);

		p->read_until = 0;
		p->unread = false;
	}
	ike_sh_soon(s);
}

static struct ike_sh_place_here *make_place(struct ike_shared *s, const struct cs_addr *address)
{
	struct ike_sh_place_here *p = calloc(1, sizeof(*p));

	if (!p) {
		s->stats.failed++;
		return NULL;
	}
	p->address = *address;
	ike_list_init(&p->tunnels);
	ike_list_init(&p->rows);
	ike_list_init(&p->refs);
	ike_list_add_tail(&s->places, &p->link);
	return p;
}

static void arrive(struct ike_shared *s, const struct cs_addr *address, bool found)
{
	struct ike_sh_place_here *p = find(s, address);

	if (!p && !s->stopping)
		p = make_place(s, address);
	if (!p || s->stopping)
		return;
	begin(s, p);
	p->found = found;
	say_arrival(s, p);
	pump(s);
}

void ike_shared_arrive(struct ike_shared *s, const struct cs_addr *address)
{
	arrive(s, address, false);
}

void ike_shared_found(struct ike_shared *s, const struct cs_addr *address)
{
	arrive(s, address, true);
}

static void place_free(struct ike_shared *s, struct ike_sh_place_here *p)
{
	ike_sh_forget_all(s, p);
	ike_list_remove(&p->link);
	free(p);
}

void ike_shared_leave(struct ike_shared *s, const struct cs_addr *address)
{
	struct ike_sh_place_here *p = find(s, address);
	struct ike_shared_message m = {.kind = IKE_SH_LEAVE, .address = *address};

	if (!p || s->stopping)
		return;
	place_free(s, p);
	say(s, &m);
	pump(s);
}

void ike_shared_record(struct ike_shared *s, const struct ike_record *rec)
{
	const struct cs_addr *address = rec->p2   ? &rec->p2->local
					: rec->p1 ? &rec->p1->local.addr
						  : NULL;
	struct ike_sh_place_here *p = address && !s->stopping ? find(s, address) : NULL;

	if (!p || (p->answered && !p->ours))
		return;
	ike_sh_record(s, p, rec);
	ike_sh_soon(s); /* many at once are sent together */
}

void ike_shared_used(struct ike_shared *s, const struct ike_p2_info *p2, int64_t used)
{
	struct ike_sh_place_here *p = s->stopping ? NULL : find(s, &p2->local);
	struct ike_sh_entry *e =
		p ? ike_sh_entry_find(ike_sh_tunnel_find(s, p, 'Y', p2->tunnel), p2->generation)
		  : NULL;

	if (!e)
		return;
	ike_sh_set_used(s, e, used);
	ike_sh_soon(s);
}

void ike_shared_settled(struct ike_shared *s, uint64_t ref)
{
	struct ike_sh_ref *r = s->stopping ? NULL : find_ref(s, ref);

	if (!r || r->settled)
		return;
	ike_sh_settle(s, r);
	ike_sh_soon(s);
}

void ike_shared_policy(struct ike_shared *s, const uint8_t digest[static POL_CONTENT_LEN])
{
	cs_hex(digest, POL_CONTENT_LEN, s->policy);
	s->has_policy = true;
	say_policy(s);
	pump(s);
}

static void close_all(struct ike_shared *s)
{
	s->closed = true;
	forget(s);
	uv_close((uv_handle_t *)&s->soon, NULL);
	uv_close((uv_handle_t *)&s->tick, NULL);
}

static void on_stop(uv_timer_t *timer)
{
	close_all(timer->data);
}

void ike_shared_stop(struct ike_shared *s)
{
	if (s->stopping)
		return;
	pump(s);
	s->stopping = true;
	if (!s->connection || (s->n_waits == 0 && s->n_sent == 0 && ike_list_empty(&s->control)))
		close_all(s);
	else
		uv_timer_start(&s->tick, on_stop, STOP_MS, 0);
}

void ike_shared_free(struct ike_shared *s)
{
	if (!s)
		return;
	while (!ike_list_empty(&s->places))
		place_free(s, IKE_OF(s->places.next, struct ike_sh_place_here, link));
	drop_control(s);
	ike_table_free(&s->tunnels);
	ike_table_free(&s->refs);
	free(s);
}

void ike_shared_stats(const struct ike_shared *s, struct ike_shared_stats *stats)
{
	*stats = s->stats;
	stats->queued = s->n_waits + s->n_sent;
}
