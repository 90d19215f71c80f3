/*
 * The thread of the shared store's helper that writes: claims, SAs, and once a second a look at
 * whether all is as it was.  While the store is away it tries to come back, in pauses that grow.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "iked/shared_serve.h"

#define BATCH_MAX      256
#define FENCES_MAX     16
#define POLL_NS        UINT64_C(1000000000)
#define PAUSE_MIN_MS   100u
#define PAUSE_MAX_MS   10000u
#define PEER_SECONDS   60    /* a host that was not heard of for so long has no policy to compare */
#define SILENT_SECONDS 5     /* an owner that was not heard of for so long has gone */
#define PURGE_SECONDS  3600  /* how often */
#define KEEP_SECONDS   86400 /* expired rows stay so long: somebody's clock may be wrong */

/* Another host of csipsec_host. Its life shows in that its time changes, whatever its clock says.
 */
struct peer {
	struct peer *next;
	char host[IKE_SHARED_HOST];
	char policy[IKE_SHARED_DIGEST];
	char told[IKE_SHARED_DIGEST], told_of[IKE_SHARED_DIGEST]; /* theirs, ours */
	int64_t seen;
	uint64_t changed; /* monotonic, seconds; 0: never since we know it */
	uint64_t heard;   /* the same, or when we came to know it */
};

struct writer {
	struct ike_sh_serve *s;
	struct ike_shared_db *db;
	struct peer *peers;
	uint64_t next_poll, next_purge; /* nanoseconds, seconds */
	uint64_t grace;                 /* seconds: others may not have found the way back before */
	unsigned pause_ms;
	bool told_away, failed;
};

static uint64_t seconds(void)
{
	return uv_hrtime() / 1000000000u;
}

/* ---- here and away ---- */

/* What was queued is asked for anew when the store is back. */
static void lose(struct writer *w, const struct cs_err *err)
{
	struct ike_sh_serve *s = w->s;

	if (w->db)
		s->backend->close(w->db);
	w->db = NULL;
	w->failed = true;
	uv_mutex_lock(&s->lock);
	s->away = true;
	s->tried = true;
	uv_cond_signal(&s->reader_wake);
	ike_sh_drop(&s->writes);
	for (struct ike_sh_place *p = s->places; p; p = p->next) {
		p->missed |= p->due && !p->ours;
		p->due |= p->ours;
	}
	uv_mutex_unlock(&s->lock);
	if (!w->told_away)
		ike_sh_say_text(s, IKE_SH_AWAY, err->text);
	w->told_away = true;
}

static void end_for(struct writer *w, int status, const struct cs_err *err)
{
	struct ike_sh_serve *s = w->s;
	uint64_t one = 1;

	uv_mutex_lock(&s->lock);
	s->fatal = status;
	s->why = *err;
	uv_mutex_unlock(&s->lock);
	(void)!write(s->wake_fd, &one, sizeof(one));
}

/* With chance, so that hosts that lost the store together do not come back together. */
static void pause_before_next(struct writer *w)
{
	struct ike_sh_serve *s = w->s;
	unsigned chance = 0;
	uint64_t now = uv_hrtime(), until;

	(void)!getrandom(&chance, sizeof(chance), 0);
	until = now + (w->pause_ms / 2 + chance % (w->pause_ms / 2)) * UINT64_C(1000000);
	uv_mutex_lock(&s->lock);
	for (; !s->ending && !s->hurry && now < until; now = uv_hrtime())
		uv_cond_timedwait(&s->writer_wake, &s->lock, until - now);
	if (s->hurry)
		w->pause_ms = PAUSE_MIN_MS;
	else if (w->pause_ms < PAUSE_MAX_MS)
		w->pause_ms = w->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : w->pause_ms * 2;
	s->hurry = false;
	uv_mutex_unlock(&s->lock);
}

/* False: it cannot ever be. */
static bool connect_to(struct writer *w)
{
	struct ike_sh_serve *s = w->s;
	struct cs_err err = {0};
	int status;

	if (w->failed)
		pause_before_next(w);
	status = s->backend->open(s->place, true, &w->db, &err);
	if (status == 0)
		status = ike_shared_tables_make(w->db, &err);
	if (status < 0) {
		w->told_away |= status == CS_EUNSUPPORTED; /* what is told of it is not that */
		lose(w, &err);
		if (status == CS_EUNSUPPORTED)
			end_for(w, status, &err);
		return status != CS_EUNSUPPORTED;
	}
	if (w->told_away)
		w->grace = seconds() + PAUSE_MAX_MS / 1000;
	w->told_away = false;
	w->next_poll = 0;
	/* Before it is told, or what the worker sends at once would be thrown away. */
	uv_mutex_lock(&s->lock);
	s->away = false;
	s->tried = true;
	uv_cond_signal(&s->reader_wake);
	uv_mutex_unlock(&s->lock);
	ike_sh_say_text(s, IKE_SH_BACK, "");
	return true;
}

/* ---- claims ---- */

/*
 * Whose is the address to be?  *want is what shall stand there; false: it is another host's.
 * Somebody who came after us while our claim could not be made has a later epoch than we read then.
 * One that was here when the worker began is not claimed from another host: it may be quiet at it
 * since that one came.
 * One who has an earlier epoch than ours has a store that went back (a replica was promoted that
 * did not know of us).
 */
static bool wants(const struct ike_sh_place *p, const char *host,
		  const struct ike_shared_owner *row, struct ike_shared_owner *want)
{
	strcpy(want->owner, host);
	want->epoch = row->epoch;
	if (strcmp(row->owner, host) == 0)
		return true;
	if (p->epoch > 0 && row->epoch >= p->epoch)
		return false;
	if (p->epoch == 0 && p->was_here && row->owner[0])
		return false;
	if (p->epoch == 0 && p->missed && p->is_seen && row->owner[0] &&
	    (row->epoch > p->seen.epoch ||
	     (row->epoch == p->seen.epoch && strcmp(row->owner, p->seen.owner) != 0)))
		return false;
	if (want->epoch < p->epoch)
		want->epoch = p->epoch;
	if (p->is_seen && want->epoch < p->seen.epoch)
		want->epoch = p->seen.epoch;
	want->epoch++;
	return true;
}

static int purge(struct writer *w, const struct cs_addr *address, const struct ike_shared_owner *me,
		 struct cs_err *err)
{
	bool held;
	int status = ike_shared_begin(w->db, err);

	if (status < 0)
		return status;
	status = ike_shared_fence(w->db, address, me, &held, err);
	if (status == 0 && held)
		status = ike_shared_purge(w->db, address, time(NULL) - KEEP_SECONDS, err);
	return ike_shared_end(w->db, status, err);
}

static void tell_claim(struct ike_sh_serve *s, const struct ike_sh_place *p,
		       const struct ike_shared_owner *o, bool ours)
{
	struct ike_shared_message m = {
		.kind = IKE_SH_CLAIM,
		.serial = p->serial,
		.address = p->address,
		.epoch = o->epoch,
		.flag = ours,
	};

	strcpy(m.host, o->owner);
	ike_sh_say(s, &m);
}

/* p is a copy. */
static int claim(struct writer *w, const struct ike_sh_place *p, struct ike_shared_owner *o,
		 bool *ours, struct cs_err *err)
{
	struct ike_shared_owner row;
	int status = ike_shared_get_owner(w->db, &p->address, &row, err);

	if (status < 0)
		return status;
	*ours = wants(p, w->s->host, &row, o);
	if (!*ours) {
		*o = row;
		return 0;
	}
	if (o->epoch == row.epoch)
		return 0; /* it is ours already */
	status = ike_shared_set_owner(w->db, &p->address, &row, o, time(NULL), ours, err);
	if (status == 0 && !*ours)
		status = ike_shared_get_owner(w->db, &p->address, o, err);
	if (status == 0 && *ours)
		status = purge(w, &p->address, o, err);
	return status;
}

/* With the lock held, which it lets go meanwhile. */
static void claim_one(struct writer *w, struct ike_sh_place *place)
{
	struct ike_sh_serve *s = w->s;
	struct ike_sh_place p = *place, *now;
	struct ike_shared_owner o;
	struct cs_err err = {0};
	bool ours = false;
	int status;

	uv_mutex_unlock(&s->lock);
	status = claim(w, &p, &o, &ours, &err);
	if (status < 0)
		lose(w, &err);
	uv_mutex_lock(&s->lock);
	now = ike_sh_find(s, &p.address);
	if (status == 0 && ours && !now) /* it has left meanwhile */
		ike_sh_release(s, &p.address, o.epoch);
	if (status < 0 || !now || now->serial != p.serial)
		return;
	now->due = false;
	now->ours = ours;
	now->missed = false;
	now->holder = o;
	now->vacant = !ours && !o.owner[0];
	if (ours)
		now->epoch = o.epoch;
	uv_mutex_unlock(&s->lock);
	tell_claim(s, &p, &o, ours);
	uv_mutex_lock(&s->lock);
}

static struct ike_sh_place *next_due(struct ike_sh_serve *s)
{
	for (struct ike_sh_place *p = s->places; p; p = p->next)
		if (p->due)
			return p;
	return NULL;
}

/* With the lock held, which it lets go meanwhile. Nobody waits for it: it is tried until the store
 * is there. */
static void release_one(struct writer *w)
{
	struct ike_sh_serve *s = w->s;
	struct ike_sh_release r = *s->releases;
	struct ike_shared_owner me = {.epoch = r.epoch}, nobody = {.epoch = r.epoch};
	struct cs_err err = {0};
	bool done;
	int status;

	strcpy(me.owner, s->host);
	uv_mutex_unlock(&s->lock);
	status = ike_shared_set_owner(w->db, &r.address, &me, &nobody, time(NULL), &done, &err);
	if (status < 0)
		lose(w, &err);
	uv_mutex_lock(&s->lock);
	if (status != CS_ESTORE)
		ike_sh_unrelease(s, &r.address);
}

/* With the lock held, which it lets go meanwhile. The worker lets the address come anew then. */
static void tell_vacant(struct writer *w, struct ike_sh_place *p)
{
	struct ike_shared_message m = {
		.kind = IKE_SH_VACANT,
		.serial = p->serial,
		.address = p->address,
		.epoch = p->holder.epoch,
	};

	strcpy(m.host, p->holder.owner);
	p->vacant = false;
	p->told = true;
	uv_mutex_unlock(&w->s->lock);
	ike_sh_say(w->s, &m);
	uv_mutex_lock(&w->s->lock);
}

static struct ike_sh_place *next_vacant(struct ike_sh_serve *s)
{
	for (struct ike_sh_place *p = s->places; p; p = p->next)
		if (p->vacant)
			return p;
	return NULL;
}

/* ---- writes ---- */

struct fence {
	struct cs_addr address;
	bool held;
};

struct batch {
	struct ike_sh_op *ops[BATCH_MAX];
	bool refused[BATCH_MAX];
	unsigned n;
	struct fence fences[FENCES_MAX];
	unsigned n_fences;
};

/* An address once in a transaction. NULL: it has all that it can have. */
static int fence(struct writer *w, struct batch *b, const struct cs_addr *address,
		 struct fence **fence, struct cs_err *err)
{
	struct ike_shared_owner me = {{0}, 0};
	struct ike_sh_place *p;
	bool ours, held = false;
	int status = 0;

	*fence = NULL;
	for (unsigned i = 0; i < b->n_fences; i++)
		if (cs_addr_equal(&b->fences[i].address, address))
			*fence = &b->fences[i];
	if (*fence || b->n_fences == FENCES_MAX)
		return 0;
	uv_mutex_lock(&w->s->lock);
	p = ike_sh_find(w->s, address);
	ours = p && p->ours;
	me.epoch = p ? p->epoch : 0;
	uv_mutex_unlock(&w->s->lock);
	strcpy(me.owner, w->s->host);
	if (ours)
		status = ike_shared_fence(w->db, address, &me, &held, err);
	if (status < 0)
		return status;
	*fence = &b->fences[b->n_fences++];
	**fence = (struct fence){*address, held};
	if (ours && !held) {
		uv_mutex_lock(&w->s->lock);
		p = ike_sh_find(w->s, address);
		if (p)
			p->due = true;
		uv_mutex_unlock(&w->s->lock);
	}
	return 0;
}

static int write_op(struct writer *w, const struct ike_sh_op *op, struct cs_err *err)
{
	const struct ike_shared_message *m = &op->m;
	struct ike_shared_key k = {&m->address, m->host[0] ? m->host : w->s->host, m->sa, m->tunnel,
				   m->generation};

	switch (m->kind) {
	case IKE_SH_PUT:
		k.host = w->s->host;
		return ike_shared_put_sa(w->db, &k, m->parent, m->used, m->expires, op->text, err);
	case IKE_SH_USED:
		k.host = w->s->host;
		return ike_shared_set_used(w->db, &k, m->used, err);
	default:
		return ike_shared_drop_sa(w->db, &k, err);
	}
}

/* The first n as one transaction; *n less than that: so many addresses have no room in one. */
static int write_some(struct writer *w, struct batch *b, unsigned from, unsigned *n,
		      struct cs_err *err)
{
	int status = ike_shared_begin(w->db, err);
	unsigned i = 0;

	if (status < 0)
		return status;
	b->n_fences = 0;
	for (; status == 0 && i < *n; i++) {
		struct fence *f;

		status = fence(w, b, &b->ops[from + i]->m.address, &f, err);
		if (status < 0 || !f)
			break;
		b->refused[from + i] = !f->held;
		if (f->held)
			status = write_op(w, b->ops[from + i], err);
	}
	*n = i;
	return ike_shared_end(w->db, status, err);
}

static void answer(struct writer *w, const struct batch *b, unsigned from, unsigned n)
{
	struct ike_shared_message m = {.kind = IKE_SH_REFUSED};

	for (unsigned i = from; i < from + n; i++) {
		m.serial = b->ops[i]->m.serial;
		if (b->refused[i])
			ike_sh_say(w->s, &m);
	}
	m.kind = IKE_SH_WRITTEN;
	ike_sh_say(w->s, &m);
}

static void refuse(struct writer *w, const struct ike_sh_op *op, const struct cs_err *err)
{
	struct ike_shared_message m = {
		.kind = IKE_SH_REFUSED,
		.serial = op->m.serial,
		.text = {(const uint8_t *)err->text, strlen(err->text)},
	};

	ike_sh_say(w->s, &m);
}

/* One that the database does not accept must not keep the others out. */
static void write_batch(struct writer *w, struct batch *b)
{
	struct cs_err err = {0};
	unsigned done = 0, most = b->n;

	while (done < b->n) {
		unsigned n = most < b->n - done ? most : b->n - done;
		int status = write_some(w, b, done, &n, &err);

		if (status == 0) {
			answer(w, b, done, n);
			done += n;
		} else if (status != CS_EINVAL) {
			lose(w, &err);
			return;
		} else if (most > 1) {
			most = 1;
		} else {
			refuse(w, b->ops[done++], &err);
		}
	}
}

/* With the lock held, which it lets go meanwhile. */
static void write_queued(struct writer *w)
{
	struct ike_sh_serve *s = w->s;
	struct batch b = {.n = 0};

	while (b.n < BATCH_MAX && s->writes.first)
		b.ops[b.n++] = ike_sh_take(&s->writes);
	uv_mutex_unlock(&s->lock);
	write_batch(w, &b);
	for (unsigned i = 0; i < b.n; i++)
		free(b.ops[i]);
	uv_mutex_lock(&s->lock);
}

/* ---- once a second ---- */

static struct peer *peer_of(struct writer *w, const char *host)
{
	struct peer *p;

	for (p = w->peers; p; p = p->next)
		if (strcmp(p->host, host) == 0)
			return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	strcpy(p->host, host);
	p->heard = seconds();
	p->next = w->peers;
	w->peers = p;
	return p;
}

/* By what this host sees change, not by anybody's clock. */
static bool is_silent(struct writer *w, const char *host)
{
	const struct peer *p = peer_of(w, host);
	uint64_t since = p && p->heard > w->grace ? p->heard : w->grace;

	return p && seconds() >= since + SILENT_SECONDS;
}

static void see_owner(void *arg, const struct cs_addr *address, const struct ike_shared_owner *o)
{
	struct writer *w = arg;
	struct ike_sh_serve *s = w->s;
	bool own = strcmp(o->owner, s->host) == 0;
	struct ike_sh_place *p;

	uv_mutex_lock(&s->lock);
	p = ike_sh_find(s, address);
	if (p) {
		p->found = true;
		p->due |= p->ours && (!own || o->epoch != p->epoch);
	}
	if (p && !p->ours && !p->due && !p->told) {
		p->holder = *o;
		p->vacant = own || !o->owner[0] || is_silent(w, o->owner);
	}
	uv_mutex_unlock(&s->lock);
}

static int look_at_owners(struct writer *w, struct cs_err *err)
{
	struct ike_sh_serve *s = w->s;
	int status;

	uv_mutex_lock(&s->lock);
	for (struct ike_sh_place *p = s->places; p; p = p->next)
		p->found = false;
	uv_mutex_unlock(&s->lock);
	status = ike_shared_each_owner(w->db, see_owner, w, err);
	uv_mutex_lock(&s->lock);
	for (struct ike_sh_place *p = s->places; status == 0 && p; p = p->next) {
		if (p->found)
			continue;
		p->vacant = !p->ours && !p->due && !p->told;
		p->due |= p->ours;
		memset(&p->holder, 0, sizeof(p->holder));
	}
	uv_mutex_unlock(&s->lock);
	return status;
}

/* The first look at a host does not say whether it lives, the second does. */
static void see_host(void *arg, const char *host, const char *policy, int64_t seen)
{
	struct writer *w = arg;
	struct peer *p = strcmp(host, w->s->host) == 0 ? NULL : peer_of(w, host);

	if (!p || strlen(policy) >= sizeof(p->policy))
		return;
	if (p->seen != 0 && p->seen != seen)
		p->changed = seconds();
	if (p->seen != seen)
		p->heard = seconds();
	p->seen = seen;
	strcpy(p->policy, policy);
}

static void compare_policies(struct writer *w, const char *ours)
{
	for (struct peer *p = w->peers; p && ours[0]; p = p->next) {
		struct ike_shared_message m = {.kind = IKE_SH_DIFFERS};

		if (!p->changed || seconds() - p->changed > PEER_SECONDS || !p->policy[0])
			continue;
		if (strcmp(p->policy, ours) != 0 &&
		    (strcmp(p->policy, p->told) != 0 || strcmp(ours, p->told_of) != 0)) {
			strcpy(m.host, p->host);
			ike_sh_say(w->s, &m);
		}
		strcpy(p->told, p->policy);
		strcpy(p->told_of, ours);
	}
}

static int purge_all(struct writer *w, struct cs_err *err)
{
	struct ike_sh_serve *s = w->s;
	struct cs_addr addresses[FENCES_MAX];
	struct ike_shared_owner me[FENCES_MAX];
	unsigned n = 0;
	int status = 0;

	if (seconds() < w->next_purge)
		return 0;
	uv_mutex_lock(&s->lock);
	for (struct ike_sh_place *p = s->places; p && n < FENCES_MAX; p = p->next) {
		if (!p->ours)
			continue;
		addresses[n] = p->address;
		me[n].epoch = p->epoch;
		strcpy(me[n++].owner, s->host);
	}
	uv_mutex_unlock(&s->lock);
	if (n == 0)
		return 0;
	w->next_purge = seconds() + PURGE_SECONDS;
	for (unsigned i = 0; i < n && status == 0; i++)
		status = purge(w, &addresses[i], &me[i], err);
	if (status == 0)
		status = ike_shared_purge_hosts(w->db, time(NULL) - KEEP_SECONDS, err);
	return status;
}

/* With the lock held, which it lets go meanwhile. */
static void look(struct writer *w)
{
	struct ike_sh_serve *s = w->s;
	char policy[IKE_SHARED_DIGEST];
	struct cs_err err = {0};
	int status;

	s->poll_now = false;
	strcpy(policy, s->policy);
	uv_mutex_unlock(&s->lock);
	status = look_at_owners(w, &err);
	if (status == 0)
		status = ike_shared_put_host(w->db, s->host, policy, time(NULL), &err);
	if (status == 0)
		status = ike_shared_each_host(w->db, see_host, w, &err);
	if (status == 0)
		status = purge_all(w, &err);
	if (status < 0)
		lose(w, &err);
	else
		compare_policies(w, policy);
	if (status == 0) { /* all that it does works */
		w->failed = false;
		w->pause_ms = PAUSE_MIN_MS;
	}
	w->next_poll = uv_hrtime() + POLL_NS;
	uv_mutex_lock(&s->lock);
}

/* ---- the thread ---- */

/* With the lock held. False: there is nothing more to do. */
static bool turn(struct writer *w)
{
	struct ike_sh_serve *s = w->s;
	struct ike_sh_place *p = s->ending ? NULL : next_due(s);
	struct ike_sh_place *vacant = s->ending ? NULL : next_vacant(s);
	uint64_t now = uv_hrtime();

	if (s->releases)
		release_one(w);
	else if (p)
		claim_one(w, p);
	else if (vacant)
		tell_vacant(w, vacant);
	else if (!s->ending && (s->poll_now || now >= w->next_poll))
		look(w); /* before the writes, or who has many seems silent */
	else if (s->writes.first)
		write_queued(w);
	else if (s->ending)
		return false;
	else
		uv_cond_timedwait(&s->writer_wake, &s->lock, w->next_poll - now);
	return true;
}

void ike_sh_writer(void *serve)
{
	struct ike_sh_serve *s = serve;
	struct writer w = {.s = s, .pause_ms = PAUSE_MIN_MS};
	bool more = true;

	uv_mutex_lock(&s->lock);
	while (more) {
		if (w.db) {
			more = turn(&w);
			continue;
		}
		more = !s->ending;
		uv_mutex_unlock(&s->lock);
		if (more)
			more = connect_to(&w);
		uv_mutex_lock(&s->lock);
	}
	uv_mutex_unlock(&s->lock);
	if (w.db)
		s->backend->close(w.db);
	while (w.peers) {
		struct peer *p = w.peers;

		w.peers = p->next;
		free(p);
	}
	uv_mutex_lock(&s->lock);
	s->running--;
	uv_cond_signal(&s->ended);
	uv_mutex_unlock(&s->lock);
}
