/* Rows of the outboxes, batch by batch, into SMF files and the log. */
#include "trmd/drain.h"

#include <stdlib.h>
#include <string.h>

#define BATCH  256
#define BUFFER (1u << 20) /* more than a batch of usual records */
#define NEWS_S 60         /* what hinders may change from try to try */

_Static_assert(BUFFER >= 2 * TRMD_ROW_MAX + UINT16_MAX,
	       "two rows must fit, whatever lengths they claim");

/* What hinders one side, as it was told. */
struct trouble {
	bool now;
	int64_t told;
	char text[sizeof(((struct cs_err *)0)->text)];
};

/* A row that makes no record. */
struct refusal {
	uint64_t id;
	bool loss;
	char why[sizeof(((struct cs_err *)0)->text)];
};

struct batch {
	struct trmd_change changes[BATCH];
	struct refusal refusals[BATCH];
	uint64_t refused[BATCH], losses[BATCH];
	unsigned n_changes, n_refused, n_losses, n_rows, n_records;
	uint64_t last;     /* of those in order */
	uint64_t recorded; /* the last that has a record */
	struct cs_writer w;
	bool full;
	int status;
	struct cs_err err;
};

/* A source, and how far it is. */
struct side {
	struct trmd_source source;
	unsigned place;
	bool open;
	bool checked; /* the outbox is the one that the files are of */
	struct trouble reading;
	uint64_t identity;        /* of the outbox that the next two are of */
	uint64_t said, said_loss; /* messages of rows up to these are out */
};

struct trmd_drain {
	struct trmd_drain_env env;
	struct trmd_wanted wanted;
	struct side sides[TRMD_SOURCES];
	struct side *side; /* whose turn it is */
	struct trouble writing;
	int64_t now;    /* of this step */
	bool unwritten; /* there are records that could not be written */
	struct trmd_drain_stats stats;
	struct batch batch;
	uint8_t buffer[BUFFER];
};

int trmd_drain_new(const struct trmd_drain_env *env, struct trmd_drain **drain, struct cs_err *err)
{
	struct trmd_drain *d = calloc(1, sizeof(*d));

	if (!d)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	d->env = *env;
	if (!d->env.batch || d->env.batch > BATCH)
		d->env.batch = BATCH;
	for (unsigned i = 0; i < TRMD_SOURCES; i++)
		d->sides[i] = (struct side){.source = env->sources[i], .place = i};
	*drain = d;
	return 0;
}

void trmd_drain_free(struct trmd_drain *d)
{
	if (!d)
		return;
	for (unsigned i = 0; i < TRMD_SOURCES; i++)
		if (d->sides[i].open)
			d->sides[i].source.ops->close(d->sides[i].source.self);
	free(d);
}

void trmd_drain_want(struct trmd_drain *d, struct trmd_wanted wanted)
{
	d->wanted = wanted;
	for (unsigned i = 0; i < TRMD_SOURCES; i++)
		d->sides[i].checked = false;
	d->unwritten = false;
}

void trmd_drain_stats(const struct trmd_drain *d, struct trmd_drain_stats *stats)
{
	*stats = d->stats;
	for (unsigned i = 0; i < TRMD_SOURCES; i++)
		stats->reads[i] = !d->sides[i].reading.now;
	stats->writes = !d->writing.now;
}

/* ---- what hinders ---- */

static bool is_news(const struct trmd_drain *d, struct trouble *t, const struct cs_err *err)
{
	if (t->now && (strcmp(t->text, err->text) == 0 || d->now - t->told < NEWS_S))
		return false;
	t->now = true;
	t->told = d->now;
	memcpy(t->text, err->text, sizeof(t->text));
	return true;
}

static int cannot_read(struct trmd_drain *d, const struct cs_err *err)
{
	/* The writer has it for a moment. */
	if (err->code == CS_EAGAIN)
		return err->code;
	if (is_news(d, &d->side->reading, err))
		cs_log(CS_NOCTX, CSM_TR_OUTBOX, err->text);
	if (d->side->open)
		d->side->source.ops->close(d->side->source.self);
	d->side->open = false;
	return err->code;
}

static int cannot_write(struct trmd_drain *d, const struct cs_err *err)
{
	if (is_news(d, &d->writing, err))
		cs_log(CS_NOCTX, CSM_TR_STUCK, err->text);
	return err->code;
}

static void reads(struct trmd_drain *d)
{
	if (d->side->reading.now)
		cs_log(CS_NOCTX, CSM_TR_READS, d->side->source.name);
	d->side->reading.now = false;
}

/* Where there is nothing to write, that it can be opened is not enough for what could not be. */
static void writes(struct trmd_drain *d)
{
	if (d->unwritten)
		return;
	if (d->writing.now)
		cs_log(CS_NOCTX, CSM_TR_WRITES, d->env.directory);
	d->writing.now = false;
}

/* ---- before a batch ---- */

static bool wants_any(const struct trmd_drain *d)
{
	return d->wanted.ike_tunnel || d->wanted.dyn_tunnel;
}

static uint64_t written(const struct trmd_drain *d)
{
	return wants_any(d) ? trmd_writer_last(d->env.writer, d->side->place) : 0;
}

/*
 * The records of a row that is said to be written already, and what is written last.  That row had
 * records, so a row of its number that has none is another one; which records are wanted now does
 * not matter, because each kind of row has all of its records or none.
 */
struct tail {
	struct trmd_drain *d;
	bool other;
};

static const struct trmd_wanted everything = {.ike_tunnel = true, .dyn_tunnel = true};

static bool same_field(const struct smf_record *a, const struct smf_record *b, enum smf_field field)
{
	struct cs_bytes x, y;

	return !smf_get_bytes(a, field, &x) ||
	       (smf_get_bytes(b, field, &y) && x.len == y.len && memcmp(x.p, y.p, x.len) == 0);
}

/* Not all of them: who wrote it, and with which release, is no matter. */
static bool same_record(const struct smf_record *a, const struct smf_record *b)
{
	return a->layout == b->layout && same_field(a, b, SMF_HD_TIME) &&
	       same_field(a, b, SMF_HD_DATE) && same_field(a, b, SMF_IKE_TUN_ID) &&
	       same_field(a, b, SMF_IKE_TUN_GENERATION) && same_field(a, b, SMF_IP_TUN_ID) &&
	       same_field(a, b, SMF_IP_DYN_GENERATION);
}

/* Of the first record there. */
static size_t length_of(const uint8_t *p)
{
	return (size_t)(p[0] << 8 | p[1]);
}

static void compare_tail(void *arg, const struct trmd_row *row)
{
	struct tail *tail = arg;
	struct trmd_drain *d = tail->d;
	uint8_t *ours = d->buffer, *theirs = d->buffer + TRMD_ROW_MAX;
	struct cs_writer w = cs_writer_of(ours, TRMD_ROW_MAX);
	struct smf_record a, b;
	struct trmd_change change;

	if (trmd_change_of(row->id, row->kind, row->time, row->payload, &change, NULL) < 0)
		return;
	tail->other =
		trmd_records(d->env.origin, everything, &change, &w, NULL, NULL) == 0 && w.len == 0;
	if (w.len > 0 && trmd_writer_tail(d->env.writer, d->side->place, theirs, w.len) &&
	    smf_decode(ours, length_of(ours), &a, NULL) == 0 &&
	    smf_decode(theirs, length_of(theirs), &b, NULL) == 0)
		tail->other = !same_record(&a, &b);
	trmd_change_free(&change);
}

/* 1: the last row that is written, if it is there still, is what was written last. */
static int tail_follows(struct trmd_drain *d, struct cs_err *err)
{
	const struct trmd_source *source = &d->side->source;
	struct tail tail = {.d = d};
	int rc = 0;

	if (wants_any(d) && written(d))
		rc = source->ops->row(source->self, written(d), compare_tail, &tail, err);
	return rc < 0 ? rc : !tail.other;
}

/* What is written is remembered with the identity of its outbox. */
static int check_identity(struct trmd_drain *d)
{
	struct side *side = d->side;
	uint64_t known = trmd_writer_identity(d->env.writer, side->place);
	struct cs_err err;

	if (!wants_any(d) || known == side->identity)
		return 0;
	if (trmd_writer_follow(d->env.writer, side->place, known ? 0 : written(d), side->identity,
			       &err) < 0)
		return cannot_write(d, &err);
	if (known)
		cs_log(CS_NOCTX, CSM_TR_OTHER, side->source.name);
	return 0;
}

/* Ids of another database say nothing about what is written of this one. */
static int check_outbox(struct trmd_drain *d)
{
	struct side *side = d->side;
	uint64_t last = written(d) > side->said ? written(d) : side->said;
	struct cs_err err;
	int rc = side->source.ops->follows(side->source.self, last, &err);

	if (rc > 0)
		rc = tail_follows(d, &err);
	if (rc < 0)
		return cannot_read(d, &err);
	if (!rc) {
		cs_log(CS_NOCTX, CSM_TR_OTHER, side->source.name);
		side->said = side->said_loss = 0;
		if (wants_any(d) && trmd_writer_follow(d->env.writer, side->place, 0, 0, &err) < 0)
			return cannot_write(d, &err);
	}
	side->checked = true;
	return 0;
}

/* 1: the source has nothing yet, and nothing is wrong. */
static int open_both(struct trmd_drain *d, int64_t now)
{
	struct side *side = d->side;
	uint64_t identity;
	struct cs_err err;
	int rc;

	if (!side->open) {
		rc = side->source.ops->open(side->source.self, &identity, &err);
		if (rc != 0)
			return rc < 0 ? cannot_read(d, &err) : rc;
		side->open = true;
		side->checked = false;
		if (side->identity != identity)
			side->said = side->said_loss = 0;
		side->identity = identity;
	}
	if (wants_any(d) && trmd_writer_open(d->env.writer, now, &err) < 0)
		return cannot_write(d, &err);
	if (!side->source.ops->follows)
		return check_identity(d);
	return side->checked ? 0 : check_outbox(d);
}

/* ---- a batch ---- */

static void refuse(struct batch *b, uint64_t id, bool loss, const struct cs_err *err)
{
	b->refusals[b->n_refused].id = id;
	b->refusals[b->n_refused].loss = loss;
	memcpy(b->refusals[b->n_refused].why, err->text, sizeof(err->text));
	b->refused[b->n_refused++] = id;
}

static void fail(struct batch *b, const struct cs_err *err)
{
	b->full = true;
	b->status = err->code;
	b->err = *err;
}

static void take(void *arg, const struct trmd_row *row)
{
	struct trmd_drain *d = arg;
	struct batch *b = &d->batch;
	struct trmd_change *change = &b->changes[b->n_changes];
	bool loss = strcmp(row->kind, "LOSS") == 0;
	struct cs_err err;
	unsigned n = 0;
	int rc;

	b->full = b->full || b->w.cap - b->w.len < TRMD_ROW_MAX;
	if (b->full)
		return;
	rc = trmd_change_of(row->id, row->kind, row->time, row->payload, change, &err);
	if (rc == 0 && row->id > written(d)) {
		rc = trmd_records(d->env.origin, d->wanted, change, &b->w, &n, &err);
		if (rc < 0)
			trmd_change_free(change);
	}
	if (rc == CS_ENOMEM) {
		fail(b, &err);
		return;
	}
	if (rc < 0)
		refuse(b, row->id, loss, &err);
	else
		b->n_changes++;
	if (rc == 0 && loss)
		b->losses[b->n_losses++] = row->id;
	if (!loss)
		b->last = row->id;
	if (n)
		b->recorded = row->id;
	b->n_records += n;
	b->n_rows++;
}

static void clear(struct trmd_drain *d)
{
	struct batch *b = &d->batch;

	for (unsigned i = 0; i < b->n_changes; i++)
		trmd_change_free(&b->changes[i]);
	b->n_changes = b->n_refused = b->n_losses = b->n_rows = b->n_records = 0;
	b->last = b->recorded = 0;
	b->full = false;
	b->status = 0;
	b->w = cs_writer_of(d->buffer, sizeof(d->buffer));
}

static int write_batch(struct trmd_drain *d, int64_t now)
{
	struct batch *b = &d->batch;
	struct cs_err err;

	if (b->w.len == 0)
		return 0;
	d->unwritten = true;
	if (trmd_writer_append(d->env.writer, d->buffer, b->w.len, d->side->place, b->recorded, now,
			       &err) < 0)
		return cannot_write(d, &err);
	d->unwritten = false;
	d->stats.records += b->n_records;
	return 0;
}

/* Not again when only the removal of the rows is tried again. */
static void say_batch(struct trmd_drain *d)
{
	struct side *side = d->side;
	struct batch *b = &d->batch;

	for (unsigned i = 0; i < b->n_refused; i++) {
		const struct refusal *r = &b->refusals[i];

		if (r->id <= (r->loss ? side->said_loss : side->said))
			continue;
		cs_log(CS_NOCTX, CSM_TR_REFUSED, (unsigned long long)r->id, r->why);
		d->stats.refused++;
	}
	for (unsigned i = 0; i < b->n_changes; i++) {
		const struct trmd_change *c = &b->changes[i];
		uint64_t *said = c->kind == TRMD_LOSS ? &side->said_loss : &side->said;

		if (c->id <= *said)
			continue;
		trmd_messages(c, d->env.say, d->env.arg);
		*said = c->id;
		if (c->kind == TRMD_LOSS)
			d->stats.lost += trmd_number(c->payload, "Records");
	}
	for (unsigned i = 0; i < b->n_refused; i++)
		if (b->refusals[i].loss && b->refusals[i].id > side->said_loss)
			side->said_loss = b->refusals[i].id;
	if (b->last > side->said)
		side->said = b->last;
}

static int remove_batch(struct trmd_drain *d)
{
	const struct batch *b = &d->batch;
	const struct trmd_done done = {
		.last = b->last,
		.losses = b->losses,
		.n_losses = b->n_losses,
		.refused = b->refused,
		.n_refused = b->n_refused,
	};
	struct cs_err err;

	if (b->n_rows && d->side->source.ops->done(d->side->source.self, &done, &err) < 0)
		return cannot_read(d, &err);
	reads(d);
	d->stats.rows += b->n_rows;
	return (int)b->n_rows;
}

static int step(struct trmd_drain *d, int64_t now)
{
	const struct trmd_source *source = &d->side->source;
	struct batch *b = &d->batch;
	struct cs_err err;
	int rc;

	d->now = now;
	rc = open_both(d, now);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	clear(d);
	rc = source->ops->read(source->self, d->env.batch, take, d, &err);
	if (rc >= 0 && b->status < 0) {
		err = b->err;
		rc = b->status;
	}
	if (rc < 0) {
		rc = cannot_read(d, &err);
	} else {
		rc = write_batch(d, now);
		if (rc == 0) {
			writes(d);
			say_batch(d);
			rc = remove_batch(d);
		}
	}
	clear(d);
	return rc;
}

int trmd_drain_step(struct trmd_drain *d, int64_t now)
{
	int rows = 0, why = 0;

	for (unsigned i = 0; i < TRMD_SOURCES; i++) {
		int rc;

		d->side = &d->sides[i];
		rc = d->side->source.ops ? step(d, now) : 0;
		rows += rc > 0 ? rc : 0;
		/* What is over in a moment is tried again sooner than what is broken. */
		if (rc < 0 && (!why || rc == CS_EAGAIN))
			why = rc;
	}
	return rows ? rows : why;
}
