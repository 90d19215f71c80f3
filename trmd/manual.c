/* Asking pagent for rows of manual tunnels. */
#include "trmd/manual.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/nmi.h"

#define ROWS   256  /* of an answer: pagent gives no more */
#define ASK_MS 5000 /* pagent answers within */

struct row {
	uint64_t id;
	int64_t time;
	char *kind, *payload;
};

/* An answer, or why there is none. */
struct answer {
	struct row *rows;
	unsigned n;
	int64_t identity;
	uint64_t last;
	struct cs_err why; /* code 0: it is one */
};

struct trmd_manual {
	const char *socket;
	struct answer have; /* rows from `next` on are not done yet */
	unsigned next;
	bool answered;  /* whether it is one or not */
	int64_t opened; /* identity that the drain knows */
	/* What pagent is to be told. */
	int64_t identity;
	uint64_t done;
	uint64_t refused[ROWS];
	unsigned n_refused;
	/* of who asks */
	json_t *request;
	struct answer got;
};

int trmd_manual_new(const char *socket, struct trmd_manual **manual, struct cs_err *err)
{
	struct trmd_manual *m = calloc(1, sizeof(*m));

	if (!m)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	m->socket = socket;
	*manual = m;
	return 0;
}

static void clear(struct answer *a)
{
	for (unsigned i = 0; i < a->n; i++) {
		free(a->rows[i].kind);
		free(a->rows[i].payload);
	}
	free(a->rows);
	*a = (struct answer){.n = 0};
}

void trmd_manual_free(struct trmd_manual *m)
{
	if (!m)
		return;
	clear(&m->have);
	clear(&m->got);
	json_decref(m->request);
	free(m);
}

/* ---- asking ---- */

static json_t *make_request(const struct trmd_manual *m)
{
	json_t *request = json_pack("{s:s}", "request", "audit-rows"), *refused;
	int bad = 0;

	if (!request || !m->done)
		return request;
	refused = json_array();
	for (unsigned i = 0; i < m->n_refused; i++)
		bad |= json_array_append_new(refused, json_integer((json_int_t)m->refused[i]));
	bad |= json_object_set_new(request, "refused", refused);
	bad |= json_object_set_new(request, "identity", json_integer(m->identity));
	bad |= json_object_set_new(request, "done", json_integer((json_int_t)m->done));
	if (bad) {
		json_decref(request);
		return NULL;
	}
	return request;
}

bool trmd_manual_owes(const struct trmd_manual *m)
{
	return m->done && m->next == m->have.n;
}

bool trmd_manual_begin(struct trmd_manual *m)
{
	if (m->next < m->have.n)
		return false;
	json_decref(m->request);
	m->request = make_request(m);
	return true;
}

static int on_entry(void *arg, const json_t *entry)
{
	const char *kind, *payload;
	struct answer *a = arg;
	json_int_t id, time;
	struct row *r;

	if (json_unpack((json_t *)(uintptr_t)entry, "{s:I, s:I, s:s, s:s}", "id", &id, "time",
			&time, "kind", &kind, "payload", &payload) < 0 ||
	    id <= 0 || (a->n > 0 && (uint64_t)id <= a->rows[a->n - 1].id) || a->n == ROWS)
		return cs_fail(&a->why, CS_EPARSE, "what it says is no row");
	r = &a->rows[a->n++];
	*r = (struct row){(uint64_t)id, time, strdup(kind), strdup(payload)};
	return r->kind && r->payload ? 0 : cs_fail(&a->why, CS_ENOMEM, "no memory for rows");
}

static int read_end(struct answer *a, const json_t *done)
{
	json_int_t identity = json_integer_value(json_object_get(done, "identity"));
	json_int_t last = json_integer_value(json_object_get(done, "last"));

	if (!identity || last < 0)
		return cs_fail(&a->why, CS_EPARSE, "it does not say which rows it has");
	a->identity = identity;
	a->last = (uint64_t)last;
	return 0;
}

void trmd_manual_ask(struct trmd_manual *m)
{
	struct answer *a = &m->got;
	struct cs_nmi *nmi = NULL;
	struct cs_err why = {.code = CS_OK};
	json_t *done = NULL;
	int rc;

	clear(a);
	a->rows = calloc(ROWS, sizeof(*a->rows));
	rc = a->rows && m->request ? cs_nmi_connect(m->socket, &nmi, &why)
				   : cs_fail(&why, CS_ENOMEM, "no memory to ask pagent");
	if (rc == 0)
		rc = cs_nmi_call(nmi, m->request, ASK_MS, on_entry, a, &done, &why);
	if (rc == 0)
		rc = read_end(a, done);
	cs_nmi_close(nmi);
	json_decref(done);
	if (rc < 0) {
		if (a->why.code)
			why = a->why;
		clear(a);
		/* One that hangs is not "in a moment". */
		cs_fail(&a->why, why.code == CS_EAGAIN ? CS_ESYS : why.code,
			"pagent's rows of manual tunnels: %s", why.text);
	}
}

void trmd_manual_end(struct trmd_manual *m)
{
	clear(&m->have);
	m->have = m->got;
	m->got = (struct answer){.n = 0};
	m->next = 0;
	m->answered = true;
	/* Where that did not come to pagent its next answer has the same rows, which are known. */
	m->done = m->n_refused = 0;
}

bool trmd_manual_denied(const struct trmd_manual *m)
{
	return m->have.why.code == CS_EPERM;
}

/* ---- the source ---- */

static int open_rows(void *self, uint64_t *identity, struct cs_err *err)
{
	struct trmd_manual *m = self;

	if (!m->answered)
		return 1;
	if (m->have.why.code) {
		if (err)
			*err = m->have.why;
		return m->have.why.code;
	}
	m->opened = m->have.identity;
	*identity = (uint64_t)m->opened;
	return 0;
}

static void close_rows(void *self)
{
	(void)self;
}

/*
 * An answer that failed, after others that did not, closes the source; so does one of another
 * database, as pagent takes what has the name: what is known of the one before says nothing of it.
 */
static int failed(const struct trmd_manual *m, struct cs_err *err)
{
	if (m->have.why.code && err)
		*err = m->have.why;
	if (!m->have.why.code && m->have.identity != m->opened)
		return cs_fail(err, CS_ESTORE,
			       "pagent's rows of manual tunnels: it has another audit.db");
	return m->have.why.code;
}

static void give(const struct row *r, trmd_row_fn *fn, void *arg)
{
	const struct trmd_row row = {r->id, r->time, r->kind, r->payload};

	fn(arg, &row);
}

static int read_rows(void *self, unsigned max, trmd_row_fn *fn, void *arg, struct cs_err *err)
{
	struct trmd_manual *m = self;
	unsigned n = 0;
	int rc = failed(m, err);

	if (rc < 0)
		return rc;
	for (; n < max && m->next + n < m->have.n; n++)
		give(&m->have.rows[m->next + n], fn, arg);
	return (int)n;
}

/* There is no LOSS among them. */
static int done_rows(void *self, const struct trmd_done *done, struct cs_err *err)
{
	struct trmd_manual *m = self;

	for (size_t i = 0; i < done->n_refused && m->n_refused < ROWS; i++)
		m->refused[m->n_refused++] = done->refused[i];
	if (done->last > m->done)
		m->done = done->last;
	m->identity = m->have.identity;
	while (m->next < m->have.n && m->have.rows[m->next].id <= done->last)
		m->next++;
	return failed(m, err);
}

struct trmd_source trmd_manual_source(struct trmd_manual *m)
{
	static const struct trmd_source_ops ops = {
		.open = open_rows,
		.close = close_rows,
		.read = read_rows,
		.done = done_rows,
	};

	return (struct trmd_source){.ops = &ops, .self = m, .name = m->socket};
}
