/*
 * The helper of the shared store: this thread hears the worker, one reads and one writes, each with
 * a connection of its own, so that what an arriving address needs to know never waits for a write
 * that is stuck.
 */
#include "iked/shared_serve.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LAST_WORDS_MS 2000 /* for what is queued when the worker is gone */
#define FIRST_TRY_MS  500  /* the writer may have to make the tables first */
#define READS_MAX     4096

/* ---- common to the threads ---- */

void ike_sh_say(struct ike_sh_serve *s, const struct ike_shared_message *m)
{
	uint8_t packet[IKE_SHARED_MESSAGE_MAX];
	size_t len;

	if (ike_shared_put_message(m, packet, sizeof(packet), &len, NULL) < 0)
		return; /* all that is said was bounded when it came */
	while (send(s->fd, packet, len, MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

void ike_sh_say_text(struct ike_sh_serve *s, enum ike_shared_kind kind, const char *text)
{
	struct ike_shared_message m = {.kind = kind, .text = {(const uint8_t *)text, strlen(text)}};

	ike_sh_say(s, &m);
}

void ike_shared_never(int fd)
{
	struct ike_sh_serve s = {.fd = fd};

	ike_sh_say_text(&s, IKE_SH_NEVER, "");
}

static void queue_init(struct ike_sh_queue *q)
{
	*q = (struct ike_sh_queue){NULL, &q->first, 0};
}

struct ike_sh_op *ike_sh_take(struct ike_sh_queue *q)
{
	struct ike_sh_op *op = q->first;

	if (!op)
		return NULL;
	q->first = op->next;
	if (!q->first)
		q->tail = &q->first;
	q->n--;
	op->next = NULL;
	return op;
}

void ike_sh_drop(struct ike_sh_queue *q)
{
	struct ike_sh_op *op;

	while ((op = ike_sh_take(q)))
		free(op);
}

struct ike_sh_place *ike_sh_find(struct ike_sh_serve *s, const struct cs_addr *address)
{
	for (struct ike_sh_place *p = s->places; p; p = p->next)
		if (cs_addr_equal(&p->address, address))
			return p;
	return NULL;
}

void ike_sh_unrelease(struct ike_sh_serve *s, const struct cs_addr *address)
{
	for (struct ike_sh_release **r = &s->releases; *r; r = &(*r)->next)
		if (cs_addr_equal(&(*r)->address, address)) {
			struct ike_sh_release *done = *r;

			*r = done->next;
			free(done);
			return;
		}
}

/* Without memory the address stays ours in the store, as if this host had died. */
void ike_sh_release(struct ike_sh_serve *s, const struct cs_addr *address, uint64_t epoch)
{
	struct ike_sh_release *r;

	ike_sh_unrelease(s, address);
	r = calloc(1, sizeof(*r));
	if (!r)
		return;
	*r = (struct ike_sh_release){s->releases, *address, epoch};
	s->releases = r;
	uv_cond_signal(&s->writer_wake);
}

/* ---- the reader ---- */

struct reading {
	struct ike_sh_serve *s;
	const struct ike_shared_message *ask;
	unsigned rows;
};

static void give_row(void *arg, const struct ike_shared_key *k, int64_t used,
		     const char *attributes)
{
	struct reading *r = arg;
	struct ike_shared_message m = {
		.kind = IKE_SH_ROW,
		.serial = r->ask->serial,
		.address = *k->address,
		.sa = k->kind,
		.tunnel = k->tunnel,
		.generation = k->generation,
		.used = used,
		.flag = strcmp(k->host, r->s->host) == 0,
		.text = {(const uint8_t *)attributes, strlen(attributes)},
	};

	strcpy(m.host, k->host);
	r->rows++;
	ike_sh_say(r->s, &m);
}

/* Who owned it then matters when the claim comes late. */
static void remember(struct ike_sh_serve *s, const struct ike_shared_message *ask,
		     const struct ike_shared_owner *o)
{
	struct ike_sh_place *p;

	uv_mutex_lock(&s->lock);
	p = ike_sh_find(s, &ask->address);
	if (p && p->serial == ask->serial && !p->is_seen) {
		p->is_seen = true;
		p->seen = *o;
	}
	uv_mutex_unlock(&s->lock);
}

/* What was here when the worker began is another host's as long as that one lives. */
static bool wants_rows(const struct reading *r, const struct ike_shared_owner *o)
{
	struct ike_sh_place *p;
	bool may;

	uv_mutex_lock(&r->s->lock);
	p = ike_sh_find(r->s, &r->ask->address);
	may = p && (p->ours || !p->was_here);
	uv_mutex_unlock(&r->s->lock);
	return r->ask->flag && (may || !o->owner[0] || strcmp(o->owner, r->s->host) == 0);
}

static int read_once(struct ike_sh_serve *s, struct ike_shared_db **db, struct reading *r,
		     struct ike_shared_owner *o, struct cs_err *err)
{
	int status = 0;

	if (!*db) {
		status = s->backend->open(s->place, false, db, err);
		if (status < 0)
			return status;
		status = ike_shared_tables_check(*db, err);
	}
	if (status == 0)
		status = ike_shared_get_owner(*db, &r->ask->address, o, err);
	if (status == 0 && wants_rows(r, o))
		status = ike_shared_each_sa(*db, &r->ask->address, time(NULL), give_row, r, err);
	if (status < 0) {
		s->backend->close(*db);
		*db = NULL;
	}
	return status;
}

static void answer_read(struct ike_sh_serve *s, struct ike_shared_db **db, struct ike_sh_op *op)
{
	struct reading r = {s, &op->m, 0};
	struct ike_shared_owner o = {{0}, 0};
	struct ike_shared_message end = {
		.kind = IKE_SH_READ, .serial = op->m.serial, .address = op->m.address};
	struct cs_err err = {0};
	bool old = *db != NULL;
	int status = read_once(s, db, &r, &o, &err);

	/* The server may have been started anew since the last time. */
	if (status < 0 && old && r.rows == 0)
		status = read_once(s, db, &r, &o, &err);
	if (status == 0) {
		remember(s, &op->m, &o);
		strcpy(end.host, o.owner);
		end.epoch = o.epoch;
	} else {
		end.status = status;
		end.text = (struct cs_bytes){(const uint8_t *)err.text, strlen(err.text)};
	}
	ike_sh_say(s, &end);
}

/* Connects before it is needed: whoever asks has no time. */
static void warm_up(struct ike_sh_serve *s, struct ike_shared_db **db)
{
	if (s->backend->open(s->place, false, db, NULL) == 0 &&
	    ike_shared_tables_check(*db, NULL) < 0) {
		s->backend->close(*db);
		*db = NULL;
	}
}

void ike_sh_reader(void *serve)
{
	struct ike_sh_serve *s = serve;
	struct ike_shared_db *db = NULL;
	bool warm = false;
	uint64_t first = uv_hrtime() + FIRST_TRY_MS * UINT64_C(1000000);
	struct ike_sh_op *op;

	uv_mutex_lock(&s->lock);
	while (!s->ending) {
		uint64_t now = uv_hrtime();

		if (!s->tried && now < first) {
			uv_cond_timedwait(&s->reader_wake, &s->lock, first - now);
			continue;
		}
		op = ike_sh_take(&s->reads);
		if (!op && !warm) {
			uv_mutex_unlock(&s->lock);
			warm_up(s, &db);
			warm = true;
			uv_mutex_lock(&s->lock);
			continue;
		}
		if (!op) {
			uv_cond_wait(&s->reader_wake, &s->lock);
			continue;
		}
		uv_mutex_unlock(&s->lock);
		answer_read(s, &db, op);
		free(op);
		uv_mutex_lock(&s->lock);
	}
	s->running--;
	uv_cond_signal(&s->ended);
	uv_mutex_unlock(&s->lock);
	if (db)
		s->backend->close(db);
}

/* ---- what the worker says ---- */

static int enqueue(struct ike_sh_queue *q, unsigned max, const struct ike_shared_message *m,
		   struct cs_err *err)
{
	struct ike_sh_op *op;

	if (q->n >= max)
		return cs_fail(err, CS_EPARSE, "the worker does not wait for answers");
	op = malloc(sizeof(*op) + m->text.len + 1);
	if (!op)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	op->next = NULL;
	op->m = *m;
	memcpy(op->text, m->text.p, m->text.len);
	op->text[m->text.len] = '\0';
	op->m.text.p = (const uint8_t *)op->text;
	*q->tail = op;
	q->tail = &op->next;
	q->n++;
	return 0;
}

static int make_place(struct ike_sh_serve *s, const struct ike_shared_message *m,
		      struct ike_sh_place **place, struct cs_err *err)
{
	struct ike_sh_place *p = ike_sh_find(s, &m->address), *next;

	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return cs_fail(err, CS_ENOMEM, "out of memory");
		p->next = s->places;
		s->places = p;
	}
	next = p->next;
	*p = (struct ike_sh_place){.next = next, .address = m->address, .serial = m->serial};
	*place = p;
	return 0;
}

/* Nobody waits for the answer to an earlier question of that address. */
static void forget_asked(struct ike_sh_serve *s, const struct cs_addr *address)
{
	struct ike_sh_queue *q = &s->reads;

	for (struct ike_sh_op **op = &q->first; *op;) {
		struct ike_sh_op *old = *op;

		if (!cs_addr_equal(&old->m.address, address)) {
			op = &old->next;
			continue;
		}
		*op = old->next;
		if (!*op)
			q->tail = op;
		q->n--;
		free(old);
	}
}

static int ask(struct ike_sh_serve *s, const struct ike_shared_message *m, struct cs_err *err)
{
	forget_asked(s, &m->address);
	uv_cond_signal(&s->reader_wake);
	return enqueue(&s->reads, READS_MAX, m, err);
}

static int arrive(struct ike_sh_serve *s, const struct ike_shared_message *m, struct cs_err *err)
{
	struct ike_sh_place *p;
	int status = make_place(s, m, &p, err);

	if (status < 0)
		return status;
	ike_sh_unrelease(s, &m->address);
	p->epoch = m->epoch;
	p->due = true;
	p->was_here = m->kind == IKE_SH_FOUND;
	p->is_seen = m->is_seen;
	if (m->is_seen) {
		strcpy(p->seen.owner, m->host);
		p->seen.epoch = m->seen;
	}
	p->missed = s->away || m->is_seen;
	s->hurry = true;
	uv_cond_signal(&s->writer_wake);
	return ask(s, m, err);
}

static void leave(struct ike_sh_serve *s, const struct cs_addr *address)
{
	forget_asked(s, address);
	for (struct ike_sh_place **p = &s->places; *p; p = &(*p)->next)
		if (cs_addr_equal(&(*p)->address, address)) {
			struct ike_sh_place *gone = *p;

			*p = gone->next;
			if (gone->ours)
				ike_sh_release(s, address, gone->epoch);
			free(gone);
			return;
		}
}

/* With the lock held. */
static int hear(struct ike_sh_serve *s, const struct ike_shared_message *m, struct cs_err *err)
{
	struct ike_sh_place *place;

	switch (m->kind) {
	case IKE_SH_ARRIVE:
	case IKE_SH_FOUND:
		return arrive(s, m, err);
	case IKE_SH_AGAIN:
		return ask(s, m, err);
	case IKE_SH_WATCH:
		return make_place(s, m, &place, err);
	case IKE_SH_LEAVE:
		leave(s, &m->address);
		return 0;
	case IKE_SH_PUT:
	case IKE_SH_USED:
	case IKE_SH_DROP:
		/* All of it is asked for anew when the store is back. */
		if (s->away)
			return 0;
		uv_cond_signal(&s->writer_wake);
		return enqueue(&s->writes, 2 * IKE_SHARED_WINDOW, m, err);
	case IKE_SH_POLICY:
		memcpy(s->policy, m->text.p, m->text.len);
		s->poll_now = true;
		uv_cond_signal(&s->writer_wake);
		return 0;
	default:
		return cs_fail(err, CS_EPARSE, "the worker sent a message of the helper's");
	}
}

/* 1: there is more. 0: the worker is gone. */
static int receive(struct ike_sh_serve *s, struct cs_err *err)
{
	uint8_t packet[IKE_SHARED_MESSAGE_MAX + 1];
	ssize_t n = recv(s->fd, packet, sizeof(packet), 0);
	struct ike_shared_message m;
	int status;

	if (n < 0 && errno == EINTR)
		return 1;
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return 0;
	if (n < 0)
		return cs_fail_errno(err, "cannot receive");
	status = ike_shared_get_message(packet, (size_t)n, &m, err);
	if (status < 0)
		return status;
	uv_mutex_lock(&s->lock);
	status = hear(s, &m, err);
	uv_mutex_unlock(&s->lock);
	return status < 0 ? status : 1;
}

static int hear_all(struct ike_sh_serve *s, struct cs_err *err)
{
	struct pollfd p[2] = {{.fd = s->fd, .events = POLLIN},
			      {.fd = s->wake_fd, .events = POLLIN}};

	for (;;) {
		int n = poll(p, 2, -1);

		if (n < 0 && errno != EINTR)
			return cs_fail_errno(err, "cannot wait for the worker");
		if (n > 0 && p[1].revents) {
			int status;

			uv_mutex_lock(&s->lock);
			status = s->fatal;
			if (err)
				*err = s->why;
			uv_mutex_unlock(&s->lock);
			return status;
		}
		if (n > 0 && p[0].revents) {
			int status = receive(s, err);

			if (status <= 0)
				return status;
		}
	}
}

/* ---- beginning and end ---- */

/* True: the threads have ended. Else one of them waits for a database, and the process shall end.
 */
static bool end_threads(struct ike_sh_serve *s)
{
	uint64_t now = uv_hrtime(), until = now + LAST_WORDS_MS * UINT64_C(1000000);
	bool ended;

	uv_mutex_lock(&s->lock);
	s->ending = true;
	uv_cond_signal(&s->writer_wake);
	uv_cond_signal(&s->reader_wake);
	for (; s->running > 0 && now < until; now = uv_hrtime())
		uv_cond_timedwait(&s->ended, &s->lock, until - now);
	ended = s->running == 0;
	uv_mutex_unlock(&s->lock);
	return ended;
}

static void serve_free(struct ike_sh_serve *s)
{
	ike_sh_drop(&s->writes);
	ike_sh_drop(&s->reads);
	while (s->places) {
		struct ike_sh_place *p = s->places;

		s->places = p->next;
		free(p);
	}
	while (s->releases)
		ike_sh_unrelease(s, &s->releases->address);
	uv_cond_destroy(&s->writer_wake);
	uv_cond_destroy(&s->reader_wake);
	uv_cond_destroy(&s->ended);
	uv_mutex_destroy(&s->lock);
	close(s->wake_fd);
	free(s);
}

static int serve_new(int fd, const struct ike_shared_options *o, struct ike_sh_serve **serve,
		     struct cs_err *err)
{
	struct ike_sh_serve *s = calloc(1, sizeof(*s));
	int status;

	if (!s)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	s->fd = fd;
	s->host = o->host;
	queue_init(&s->writes);
	queue_init(&s->reads);
	status = ike_shared_backend_of(o->uri, &s->backend, &s->place, err);
	if (status == 0 && (!o->host[0] || strlen(o->host) >= IKE_SHARED_HOST))
		status = cs_fail(err, CS_EINVAL, "the host has no name that can be used");
	if (status == 0) {
		s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (s->wake_fd < 0)
			status = cs_fail_errno(err, "cannot make an event descriptor");
	}
	if (status < 0) {
		free(s);
		return status;
	}
	uv_mutex_init(&s->lock);
	uv_cond_init(&s->writer_wake);
	uv_cond_init(&s->reader_wake);
	uv_cond_init(&s->ended);
	*serve = s;
	return 0;
}

int ike_shared_serve(int fd, const struct ike_shared_options *o, struct cs_err *err)
{
	struct ike_sh_serve *s = NULL;
	uv_thread_t writer, reader;
	int rc, status = serve_new(fd, o, &s, err);

	if (status < 0)
		return status;
	s->running = 1;
	rc = uv_thread_create(&writer, ike_sh_writer, s);
	if (rc < 0) {
		serve_free(s);
		return cs_fail(err, CS_ESYS, "cannot start a thread: %s", uv_strerror(rc));
	}
	uv_mutex_lock(&s->lock);
	s->running++;
	uv_mutex_unlock(&s->lock);
	rc = uv_thread_create(&reader, ike_sh_reader, s);
	if (rc < 0) {
		uv_mutex_lock(&s->lock);
		s->running--;
		uv_mutex_unlock(&s->lock);
		status = cs_fail(err, CS_ESYS, "cannot start a thread: %s", uv_strerror(rc));
	} else {
		status = hear_all(s, err);
	}
	if (!end_threads(s))
		return status;
	uv_thread_join(&writer);
	if (rc == 0)
		uv_thread_join(&reader);
	serve_free(s);
	return status;
}
