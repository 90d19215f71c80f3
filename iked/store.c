/*
 * The commit gate.  Records are copied into a queue; the writer thread takes all that is there as
 * one transaction and hands the completions back by an async handle.  While the database cannot be
 * written, the configured choice decides whether completions wait or go on and the loss is counted.
 */
#include "iked/store.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "iked/store_schema.h"

#define GROUP_MAX      1024   /* records of one transaction */
#define QUEUE_INTENTS  16384  /* past this many waiting records no intent is taken */
#define QUEUE_MAX      131072 /* past this many nothing is */
#define UNKEPT_MAX     64
#define GO_ON_TRIES    5
#define CLOSE_TRIES    4
#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 5000

/* A record with everything it points to, in one piece of memory. */
struct item {
	struct item *next;
	uint64_t tx;
	int status;
	struct ike_record rec;
	struct ike_p1_info p1;
	struct ike_p2_info p2;
	struct xf_counters in, out;
	char strings[];
};

struct list {
	struct item *head, **tail;
	unsigned n;
};

struct ike_store {
	char path[256];
	enum ike_stuck policy;
	ike_committed_fn *fn;
	ike_renewed_fn *renewed_fn; /* or NULL */
	void *arg;
	uv_async_t async;
	uv_thread_t thread;
	struct ike_db *db; /* the writer's alone once it runs */

	uv_mutex_t lock; /* guards all that follows */
	uv_cond_t wake;
	struct list queue, done;
	uint64_t next_tx;
	uint64_t unkept[UNKEPT_MAX]; /* refused for want of memory, so without an item */
	unsigned n_unkept;
	bool closing, said_full, renewed;
	struct ike_store_stats stats;
	uint64_t lost; /* without a loss record yet */
	int64_t lost_since;
};

/* ---- lists and items ---- */

static void list_init(struct list *l)
{
	*l = (struct list){NULL, &l->head, 0};
}

static void list_add(struct list *l, struct item *it)
{
	it->next = NULL;
	*l->tail = it;
	l->tail = &it->next;
	l->n++;
}

static struct item *list_take(struct list *l)
{
	struct item *it = l->head;

	if (!it)
		return NULL;
	l->head = it->next;
	if (!l->head)
		l->tail = &l->head;
	l->n--;
	return it;
}

static size_t text_size(const char *s)
{
	return s ? strlen(s) + 1 : 1;
}

static const char *keep(char **at, const char *s)
{
	char *copy = *at;
	size_t n = text_size(s);

	memcpy(copy, s ? s : "", n);
	*at += n;
	return copy;
}

static struct cs_bytes keep_bytes(char **at, struct cs_bytes b)
{
	char *copy = *at;

	if (b.len)
		memcpy(copy, b.p, b.len);
	*at += b.len;
	return (struct cs_bytes){(const uint8_t *)copy, b.len};
}

static struct item *item_new(const struct ike_record *r)
{
	size_t size = sizeof(struct item) + text_size(r->reason);
	struct item *it;
	char *at;

	if (r->p1)
		size += text_size(r->p1->rule) + text_size(r->p1->action);
	if (r->p2)
		size += text_size(r->p2->rule) + text_size(r->p2->action) +
			text_size(r->p2->local_rule) + r->p2->local_id.len + r->p2->remote_id.len;
	it = malloc(size);
	if (!it)
		return NULL;
	at = it->strings;
	it->status = 0;
	it->rec = *r;
	it->rec.reason = keep(&at, r->reason);
	if (r->p1) {
		it->p1 = *r->p1;
		it->p1.rule = keep(&at, r->p1->rule);
		it->p1.action = keep(&at, r->p1->action);
		it->rec.p1 = &it->p1;
	}
	if (r->p2) {
		it->p2 = *r->p2;
		it->p2.rule = keep(&at, r->p2->rule);
		it->p2.action = keep(&at, r->p2->action);
		it->p2.local_rule = keep(&at, r->p2->local_rule);
		it->p2.local_id = keep_bytes(&at, r->p2->local_id);
		it->p2.remote_id = keep_bytes(&at, r->p2->remote_id);
		it->rec.p2 = &it->p2;
	}
	if (r->in) {
		it->in = *r->in;
		it->rec.in = &it->in;
	}
	if (r->out) {
		it->out = *r->out;
		it->rec.out = &it->out;
	}
	return it;
}

/* ---- the loop's side ---- */

static void deliver(uv_async_t *async)
{
	struct ike_store *s = async->data;
	uint64_t unkept[UNKEPT_MAX];
	unsigned n_unkept;
	struct list done;
	struct item *it;
	bool renewed;

	uv_mutex_lock(&s->lock);
	renewed = s->renewed && !s->closing;
	s->renewed = false;
	done = s->done;
	if (!done.head)
		done.tail = &done.head;
	list_init(&s->done);
	n_unkept = s->n_unkept;
	memcpy(unkept, s->unkept, sizeof(unkept));
	s->n_unkept = 0;
	uv_mutex_unlock(&s->lock);
	for (unsigned i = 0; i < n_unkept; i++)
		s->fn(s->arg, unkept[i], CS_ENOMEM);
	while ((it = list_take(&done))) {
		s->fn(s->arg, it->tx, it->status);
		free(it);
	}
	if (renewed && s->renewed_fn)
		s->renewed_fn(s->arg);
}

/* What is told as lost is what would have been told.  With the lock held. */
static void count_loss(struct ike_store *s, enum ike_record_kind kind)
{
	if (!ike_db_has_row(kind))
		return;
	if (s->lost == 0)
		s->lost_since = time(NULL);
	s->lost++;
	s->stats.lost++;
}

/* Answers a record that was not taken. With the lock held. */
static void refuse(struct ike_store *s, struct item *it, int status)
{
	it->status = status;
	list_add(&s->done, it);
	s->stats.refused++;
	uv_async_send(&s->async);
}

uint64_t ike_store_record(struct ike_store *s, const struct ike_record *rec)
{
	bool intent = rec->kind == IKE_REC_P2_INTENT, full = false;
	struct item *it = item_new(rec);
	uint64_t tx;

	uv_mutex_lock(&s->lock);
	tx = s->next_tx++;
	if (!it) {
		count_loss(s, rec->kind);
		if (s->n_unkept < UNKEPT_MAX)
			s->unkept[s->n_unkept++] = tx;
		s->stats.refused++;
		uv_async_send(&s->async);
		uv_mutex_unlock(&s->lock);
		return tx;
	}
	it->tx = tx;
	if (s->queue.n >= (intent ? QUEUE_INTENTS : QUEUE_MAX)) {
		count_loss(s, rec->kind);
		full = !s->said_full;
		s->said_full = true;
		refuse(s, it, CS_ELIMIT);
	} else {
		list_add(&s->queue, it);
		uv_cond_signal(&s->wake);
	}
	uv_mutex_unlock(&s->lock);
	if (full)
		cs_log(CS_NOCTX, CSM_STORE_FULL, s->path, (unsigned)QUEUE_INTENTS);
	return tx;
}

void ike_store_on_renewed(struct ike_store *s, ike_renewed_fn *fn)
{
	s->renewed_fn = fn;
}

void ike_store_stats(struct ike_store *s, struct ike_store_stats *stats)
{
	uv_mutex_lock(&s->lock);
	*stats = s->stats;
	stats->queued = s->queue.n;
	uv_mutex_unlock(&s->lock);
}

/* ---- the writer's side ---- */

static void complete(struct ike_store *s, struct list *group, unsigned n, int status)
{
	uv_mutex_lock(&s->lock);
	for (unsigned i = 0; i < n; i++) {
		struct item *it = list_take(group);

		it->status = status;
		list_add(&s->done, it);
	}
	uv_async_send(&s->async);
	uv_mutex_unlock(&s->lock);
}

/* One transaction: the first n records, and what is known of a loss before them. */
static enum ike_db_fault write_group(struct ike_store *s, const struct list *group, unsigned n,
				     struct cs_err *err)
{
	const struct item *it = group->head;
	uint64_t lost, loss_tx = 0, last_tx;
	enum ike_db_fault f;
	int64_t since;

	if (!s->db) {
		int status = ike_db_open(s->path, false, &s->db, err);

		if (status < 0)
			return status == CS_EPARSE ? IKE_DB_UNUSABLE : IKE_DB_STUCK;
	}
	uv_mutex_lock(&s->lock);
	lost = s->lost;
	since = s->lost_since;
	if (lost)
		loss_tx = s->next_tx++;
	last_tx = s->next_tx - 1;
	uv_mutex_unlock(&s->lock);

	f = ike_db_begin(s->db, err);
	if (f == IKE_DB_OK && lost)
		f = ike_db_write_loss(s->db, loss_tx, lost, since, time(NULL), err);
	for (unsigned i = 0; f == IKE_DB_OK && i < n; i++, it = it->next)
		f = ike_db_write(s->db, it->tx, &it->rec, err);
	if (f == IKE_DB_OK)
		f = ike_db_commit(s->db, last_tx, err);
	if (f != IKE_DB_OK) {
		ike_db_rollback(s->db);
		return f;
	}
	uv_mutex_lock(&s->lock);
	s->lost -= lost;
	s->stats.records += n;
	s->stats.commits++;
	uv_mutex_unlock(&s->lock);
	return IKE_DB_OK;
}

/* Waits with the back-off of this attempt; returns early when the store is being closed. */
static void back_off(struct ike_store *s, unsigned attempt)
{
	uint64_t ms = attempt < 8 ? (uint64_t)BACKOFF_MIN_MS << attempt : BACKOFF_MAX_MS;
	uint64_t now = uv_hrtime(), until;
	bool closing;

	if (ms > BACKOFF_MAX_MS)
		ms = BACKOFF_MAX_MS;
	until = now + ms * 1000000u;
	uv_mutex_lock(&s->lock);
	while (!s->closing && now < until) {
		uv_cond_timedwait(&s->wake, &s->lock, until - now);
		now = uv_hrtime();
	}
	closing = s->closing;
	uv_mutex_unlock(&s->lock);
	if (closing)
		uv_sleep(BACKOFF_MIN_MS);
}

static void set_stuck(struct ike_store *s, bool stuck, const struct cs_err *err)
{
	bool was;
	uint64_t lost;

	uv_mutex_lock(&s->lock);
	was = s->stats.stuck;
	s->stats.stuck = stuck;
	if (stuck)
		s->stats.retries++;
	else
		s->said_full = false;
	lost = s->stats.lost;
	uv_mutex_unlock(&s->lock);
	if (stuck && !was)
		cs_log(CS_NOCTX, CSM_STORE_STUCK, err->text,
		       s->policy == IKE_STUCK_WAIT ? "nothing new is installed until it works"
						   : "records are lost and counted");
	else if (!stuck && was)
		cs_log(CS_NOCTX, CSM_STORE_WORKS, s->path, (unsigned long long)lost);
}

/* Is it time to give up on this group?  The store is stuck, and this was the attempt-th attempt. */
static bool give_up(struct ike_store *s, bool was_stuck, unsigned attempt)
{
	bool closing;

	uv_mutex_lock(&s->lock);
	closing = s->closing;
	uv_mutex_unlock(&s->lock);
	if (s->policy == IKE_STUCK_GO_ON && (was_stuck || attempt >= GO_ON_TRIES))
		return true;
	return closing && attempt >= CLOSE_TRIES;
}

/* False: it is as before, and err says why. */
static bool set_aside(struct ike_store *s, struct cs_err *err)
{
	struct cs_err why = *err;

	ike_db_close(s->db);
	s->db = NULL;
	return ike_db_set_aside(s->path, &why, &s->db, err) == 0;
}

static void settle_group(struct ike_store *s, struct list *group)
{
	struct cs_err err = {0};
	unsigned n = group->n, attempt = 0;
	bool was_stuck, aside = false;

	while (group->head) {
		enum ike_db_fault f = write_group(s, group, n, &err);

		if (f == IKE_DB_OK) {
			set_stuck(s, false, NULL);
			complete(s, group, n, 0);
			n = group->n;
			attempt = 0;
			continue;
		}
		if (f == IKE_DB_RECORD && n > 1) {
			n = 1; /* one of them is not acceptable; the others must not suffer */
			continue;
		}
		if (f == IKE_DB_RECORD) {
			cs_log(CS_NOCTX, CSM_STORE_RECORD, (unsigned long long)group->head->tx,
			       err.text);
			uv_mutex_lock(&s->lock);
			count_loss(s, group->head->rec.kind);
			s->stats.refused++;
			uv_mutex_unlock(&s->lock);
			complete(s, group, 1, CS_ESTORE);
			continue;
		}
		/* Once, or a disk that garbles all would be filled with them. */
		if (f == IKE_DB_UNUSABLE && !aside) {
			aside = true;
			if (set_aside(s, &err)) {
				uv_mutex_lock(&s->lock);
				s->renewed = true; /* said with the completions of this group */
				uv_mutex_unlock(&s->lock);
				continue;
			}
		}
		uv_mutex_lock(&s->lock);
		was_stuck = s->stats.stuck && attempt == 0;
		uv_mutex_unlock(&s->lock);
		set_stuck(s, true, &err);
		/* A file that was replaced or repaired is seen only by a new handle. */
		ike_db_close(s->db);
		s->db = NULL;
		if (give_up(s, was_stuck, ++attempt)) {
			uv_mutex_lock(&s->lock);
			for (const struct item *it = group->head; it; it = it->next)
				count_loss(s, it->rec.kind);
			uv_mutex_unlock(&s->lock);
			complete(s, group, group->n, 0);
			return;
		}
		back_off(s, attempt - 1);
	}
}

/* Writes the record of a loss when no other record takes it along. */
static bool settle_loss(struct ike_store *s, struct cs_err *err)
{
	struct list none;

	list_init(&none);
	if (write_group(s, &none, 0, err) != IKE_DB_OK)
		return false;
	set_stuck(s, false, NULL);
	return true;
}

/* Waits for work.  False: there will be none any more.  With the lock held, which it lets go. */
static bool wait_for_work(struct ike_store *s)
{
	struct cs_err err;

	while (!s->queue.head && !s->closing) {
		if (s->lost == 0) {
			uv_cond_wait(&s->wake, &s->lock);
			continue;
		}
		uv_cond_timedwait(&s->wake, &s->lock, BACKOFF_MAX_MS * UINT64_C(1000000));
		if (s->queue.head || s->closing)
			break;
		uv_mutex_unlock(&s->lock);
		settle_loss(s, &err);
		uv_mutex_lock(&s->lock);
	}
	return s->queue.head != NULL;
}

static void writer(void *arg)
{
	struct ike_store *s = arg;
	struct list group;
	struct cs_err err;
	uint64_t lost;

	list_init(&group);
	uv_mutex_lock(&s->lock);
	while (wait_for_work(s)) {
		while (s->queue.head && group.n < GROUP_MAX)
			list_add(&group, list_take(&s->queue));
		uv_mutex_unlock(&s->lock);
		settle_group(s, &group);
		uv_mutex_lock(&s->lock);
	}
	lost = s->lost;
	uv_mutex_unlock(&s->lock);
	if (lost && !settle_loss(s, &err))
		cs_log(CS_NOCTX, CSM_STORE_LOST, (unsigned long long)lost, err.text);
	ike_db_close(s->db);
	s->db = NULL;
}

/* ---- opening and closing ---- */

int ike_store_open(uv_loop_t *loop, const char *path, enum ike_stuck stuck, ike_committed_fn *fn,
		   void *arg, struct ike_store **store, struct cs_err *err)
{
	struct ike_store *s;
	uint32_t last_tunnel;
	uint64_t last_tx = 0;
	int status, rc;

	if (strlen(path) >= sizeof(s->path))
		return cs_fail(err, CS_EINVAL, "the path of the database is too long");
	s = calloc(1, sizeof(*s));
	if (!s)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	strcpy(s->path, path);
	s->policy = stuck;
	s->fn = fn;
	s->arg = arg;
	list_init(&s->queue);
	list_init(&s->done);
	status = ike_db_open(path, false, &s->db, err);
	if (status == 0)
		status = ike_db_check(s->db, err);
	if (status == CS_EPARSE)
		status = set_aside(s, err) ? 0 : err->code;
	if (status == 0)
		status = ike_db_last(s->db, &last_tx, &last_tunnel, err);
	if (status < 0)
		goto fail;
	s->next_tx = last_tx + 1;
	rc = uv_mutex_init(&s->lock);
	if (rc < 0) {
		status = cs_fail(err, CS_ESYS, "cannot make a lock: %s", uv_strerror(rc));
		goto fail;
	}
	rc = uv_cond_init(&s->wake);
	if (rc < 0)
		goto fail_lock;
	rc = uv_async_init(loop, &s->async, deliver);
	if (rc < 0)
		goto fail_cond;
	s->async.data = s;
	rc = uv_thread_create(&s->thread, writer, s);
	if (rc < 0) {
		status = cs_fail(err, CS_ESYS, "cannot start the writer: %s", uv_strerror(rc));
		ike_db_close(s->db);
		uv_cond_destroy(&s->wake);
		uv_mutex_destroy(&s->lock);
		uv_close((uv_handle_t *)&s->async, (uv_close_cb)free);
		return status;
	}
	*store = s;
	return 0;
fail_cond:
	uv_cond_destroy(&s->wake);
fail_lock:
	uv_mutex_destroy(&s->lock);
	status = cs_fail(err, CS_ESYS, "cannot open the store: %s", uv_strerror(rc));
fail:
	ike_db_close(s->db);
	free(s);
	return status;
}

static void closed(uv_handle_t *handle)
{
	free(handle->data);
}

void ike_store_close(struct ike_store *s)
{
	uv_mutex_lock(&s->lock);
	s->closing = true;
	uv_cond_signal(&s->wake);
	uv_mutex_unlock(&s->lock);
	uv_thread_join(&s->thread);
	/* An intent of a negotiation that was ended meanwhile gets its result by the answer. */
	for (deliver(&s->async); s->queue.head; deliver(&s->async))
		writer(s);
	uv_cond_destroy(&s->wake);
	uv_mutex_destroy(&s->lock);
	uv_close((uv_handle_t *)&s->async, closed);
}

/* ---- the look at the cache at start ---- */

int ike_store_cached(struct ike_store *s, ike_cached_fn *fn, void *arg, struct cs_err *err)
{
	struct ike_db *db;
	int status = ike_db_open(s->path, true, &db, err);

	if (status < 0)
		return status;
	status = ike_db_each_p2(db, fn, arg, err);
	ike_db_close(db);
	return status;
}

int ike_store_cached_p1(struct ike_store *s, ike_cached_p1_fn *fn, void *arg, struct cs_err *err)
{
	struct ike_db *db;
	int status = ike_db_open(s->path, true, &db, err);

	if (status < 0)
		return status;
	status = ike_db_each_p1(db, fn, arg, err);
	ike_db_close(db);
	return status;
}

int ike_store_last_tunnel(struct ike_store *s, uint32_t *tunnel, struct cs_err *err)
{
	struct ike_db *db;
	uint64_t last_tx;
	int status = ike_db_open(s->path, true, &db, err);

	if (status < 0)
		return status;
	status = ike_db_last(db, &last_tx, tunnel, err);
	ike_db_close(db);
	return status;
}
