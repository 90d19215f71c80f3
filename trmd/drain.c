/* Rows of the outbox, batch by batch, into SMF files and the log. */
#include "trmd/drain.h"

#include <stdlib.h>
#include <string.h>

#include "trmd/outbox.h"

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

struct trmd_drain {
	struct trmd_drain_env env;
	struct trmd_wanted wanted;
	struct trmd_outbox *outbox; /* NULL: to be opened */
	bool checked;               /* the outbox is the one that the files are of */
	struct trouble reading, writing;
	int64_t now;              /* of this step */
	uint64_t inode;           /* of the outbox that the next two are of */
	uint64_t said, said_loss; /* messages of rows up to these are out */
	bool unwritten;           /* there are records that could not be written */
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
	*drain = d;
	return 0;
}

void trmd_drain_free(struct trmd_drain *d)
{
	if (!d)
		return;
	trmd_outbox_close(d->outbox);
	free(d);
}

void trmd_drain_want(struct trmd_drain *d, struct trmd_wanted wanted)
{
	d->wanted = wanted;
	d->unwritten = false;
	d->checked = false;
}

void trmd_drain_stats(const struct trmd_drain *d, struct trmd_drain_stats *stats)
{
	*stats = d->stats;
	stats->reads = !d->reading.now;
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
	if (is_news(d, &d->reading, err))
		cs_log(CS_NOCTX, CSM_TR_OUTBOX, err->text);
	trmd_outbox_close(d->outbox);
	d->outbox = NULL;
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
	if (d->reading.now)
		cs_log(CS_NOCTX, CSM_TR_READS, d->env.database);
	d->reading.now = false;
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
	return wants_any(d) ? trmd_writer_last(d->env.writer) : 0;
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
	if (w.len > 0 && trmd_writer_tail(d->env.writer, theirs, w.len) &&
	    smf_decode(ours, length_of(ours), &a, NULL) == 0 &&
	    smf_decode(theirs, length_of(theirs), &b, NULL) == 0)
		tail->other = !same_record(&a, &b);
	trmd_change_free(&change);
}

/* 1: the last row that is written, if it is there still, is what was written last. */
static int tail_follows(struct trmd_drain *d, struct cs_err *err)
{
	struct tail tail = {.d = d};
	int rc = 0;

	if (wants_any(d) && written(d))
		rc = trmd_outbox_row(d->outbox, written(d), compare_tail, &tail, err);
	return rc < 0 ? rc : !tail.other;
}

/* Ids of another database say nothing about what is written of this one. */
static int check_outbox(struct trmd_drain *d)
{
	uint64_t last = written(d) > d->said ? written(d) : d->said;
	struct cs_err err;
	int rc = trmd_outbox_follows(d->outbox, last, &err);

	if (rc > 0)
		rc = tail_follows(d, &err);
	if (rc < 0)
		return cannot_read(d, &err);
	if (!rc) {
		cs_log(CS_NOCTX, CSM_TR_OTHER, d->env.database);
		d->said = d->said_loss = 0;
		if (wants_any(d) && trmd_writer_forget_last(d->env.writer, &err) < 0)
			return cannot_write(d, &err);
	}
	d->checked = true;
	return 0;
}

static int open_both(struct trmd_drain *d, int64_t now)
{
	struct cs_err err;

	if (!d->outbox) {
		if (trmd_outbox_open(d->env.database, &d->outbox, &err) < 0)
			return cannot_read(d, &err);
		d->checked = false;
		if (d->inode != trmd_outbox_inode(d->outbox))
			d->said = d->said_loss = 0;
		d->inode = trmd_outbox_inode(d->outbox);
	}
	if (wants_any(d) && trmd_writer_open(d->env.writer, now, &err) < 0)
		return cannot_write(d, &err);
	return d->checked ? 0 : check_outbox(d);
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
	if (trmd_writer_append(d->env.writer, d->buffer, b->w.len, b->recorded, now, &err) < 0)
		return cannot_write(d, &err);
	d->unwritten = false;
	d->stats.records += b->n_records;
	return 0;
}

/* Not again when only the removal of the rows is tried again. */
static void say_batch(struct trmd_drain *d)
{
	struct batch *b = &d->batch;

	for (unsigned i = 0; i < b->n_refused; i++) {
		const struct refusal *r = &b->refusals[i];

		if (r->id <= (r->loss ? d->said_loss : d->said))
			continue;
		cs_log(CS_NOCTX, CSM_TR_REFUSED, (unsigned long long)r->id, r->why);
		d->stats.refused++;
	}
	for (unsigned i = 0; i < b->n_changes; i++) {
		const struct trmd_change *c = &b->changes[i];
		uint64_t *said = c->kind == TRMD_LOSS ? &d->said_loss : &d->said;

		if (c->id <= *said)
			continue;
		trmd_messages(c, d->env.say, d->env.arg);
		*said = c->id;
		if (c->kind == TRMD_LOSS)
			d->stats.lost += trmd_number(c->payload, "Records");
	}
	for (unsigned i = 0; i < b->n_refused; i++)
		if (b->refusals[i].loss && b->refusals[i].id > d->said_loss)
			d->said_loss = b->refusals[i].id;
	if (b->last > d->said)
		d->said = b->last;
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

	if (b->n_rows && trmd_outbox_done(d->outbox, &done, &err) < 0)
		return cannot_read(d, &err);
	reads(d);
	d->stats.rows += b->n_rows;
	return (int)b->n_rows;
}

int trmd_drain_step(struct trmd_drain *d, int64_t now)
{
	struct batch *b = &d->batch;
	struct cs_err err;
	int rc;

	d->now = now;
	rc = open_both(d, now);
	if (rc < 0)
		return rc;
	clear(d);
	rc = trmd_outbox_read(d->outbox, d->env.batch, take, d, &err);
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
