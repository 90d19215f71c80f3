/* Certificate jobs as messages. All numbers are big-endian, all lengths stand before the bytes. */
#include "iked/cert_wire.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define WIRE_VERSION 1

/* ---- pieces ---- */

static void put_piece(struct cs_writer *w, const void *p, size_t len)
{
	cs_put_u32(w, len > UINT32_MAX ? UINT32_MAX : (uint32_t)len);
	cs_put_bytes(w, p, len);
}

static void put_text(struct cs_writer *w, const char *text)
{
	put_piece(w, text, strlen(text));
}

static void put_list(struct cs_writer *w, const struct ike_cert_list *list)
{
	cs_put_u8(w, (uint8_t)list->n);
	for (unsigned i = 0; i < list->n; i++)
		put_piece(w, list->item[i].p, list->item[i].len);
}

static bool get_piece(struct cs_reader *r, struct cs_bytes *b)
{
	uint32_t len;

	return cs_get_u32(r, &len) && cs_get_bytes(r, len, b);
}

/* A text without NUL that fits size with its end. */
static bool get_text(struct cs_reader *r, char *text, size_t size)
{
	struct cs_bytes b;

	if (!get_piece(r, &b) || b.len >= size || memchr(b.p, '\0', b.len))
		return false;
	memcpy(text, b.p, b.len);
	text[b.len] = '\0';
	return true;
}

static bool get_list(struct cs_reader *r, struct ike_cert_list *list)
{
	uint8_t n;

	if (!cs_get_u8(r, &n) || n > IKE_CERT_LIST_MAX)
		return false;
	for (list->n = 0; list->n < n; list->n++)
		if (!get_piece(r, &list->item[list->n]))
			return false;
	return true;
}

static bool get_flag(struct cs_reader *r, bool *flag)
{
	uint8_t v;

	if (!cs_get_u8(r, &v) || v > 1)
		return false;
	*flag = v != 0;
	return true;
}

/* ---- requests ---- */

int ike_cert_put_request(uint32_t id, const struct ike_cert_job *job, uint8_t *packet, size_t cap,
			 size_t *len, struct cs_err *err)
{
	struct cs_writer w = cs_writer_of(packet, cap);

	if (job->n_labels > IKE_CERT_LIST_MAX || job->cas.n > IKE_CERT_LIST_MAX ||
	    job->certs.n > IKE_CERT_LIST_MAX || job->crls.n > IKE_CERT_LIST_MAX)
		return cs_fail(err, CS_ELIMIT, "a certificate job has at most %d of a kind",
			       IKE_CERT_LIST_MAX);
	cs_put_u8(&w, WIRE_VERSION);
	cs_put_u32(&w, id);
	cs_put_u8(&w, (uint8_t)job->kind);
	cs_put_u8(&w, (uint8_t)job->revocation);
	cs_put_u64(&w, (uint64_t)job->now);
	cs_put_u8(&w, job->id_type);
	put_piece(&w, job->id.p, job->id.len);
	put_text(&w, job->by_label);
	cs_put_u8(&w, (uint8_t)job->n_labels);
	for (unsigned i = 0; i < job->n_labels; i++)
		put_text(&w, job->labels[i]);
	put_list(&w, &job->cas);
	put_list(&w, &job->certs);
	put_list(&w, &job->crls);
	put_piece(&w, job->hash.p, job->hash.len);
	put_piece(&w, job->signature.p, job->signature.len);
	if (!cs_writer_ok(&w))
		return cs_fail(err, CS_ELIMIT, "a certificate job has at most %zu bytes", cap);
	*len = w.len;
	return 0;
}

static bool get_labels(struct cs_reader *r, struct ike_cert_request *q)
{
	uint8_t n;

	if (!cs_get_u8(r, &n) || n > IKE_CERT_LIST_MAX)
		return false;
	for (unsigned i = 0; i < n; i++) {
		if (!get_text(r, q->label[i], sizeof(q->label[i])))
			return false;
		q->labels[i] = q->label[i];
	}
	q->job.labels = q->labels;
	q->job.n_labels = n;
	return true;
}

int ike_cert_get_request(const uint8_t *packet, size_t len, struct ike_cert_request *q,
			 struct cs_err *err)
{
	struct cs_reader r = cs_reader_of(packet, len);
	struct ike_cert_job *job = &q->job;
	uint8_t version, kind, revocation;
	uint64_t now;

	memset(q, 0, sizeof(*q));
	if (!cs_get_u8(&r, &version) || version != WIRE_VERSION || !cs_get_u32(&r, &q->id) ||
	    !cs_get_u8(&r, &kind) || kind < IKE_CERT_CAS || kind > IKE_CERT_VERIFY ||
	    !cs_get_u8(&r, &revocation) || revocation > IKE_CERT_REVOCATION_STRICT ||
	    !cs_get_u64(&r, &now) || !cs_get_u8(&r, &job->id_type) || !get_piece(&r, &job->id) ||
	    !get_text(&r, job->by_label, sizeof(job->by_label)) || !get_labels(&r, q) ||
	    !get_list(&r, &job->cas) || !get_list(&r, &job->certs) || !get_list(&r, &job->crls) ||
	    !get_piece(&r, &job->hash) || !get_piece(&r, &job->signature) ||
	    cs_reader_left(&r) != 0)
		return cs_fail(err, CS_EPARSE, "a certificate request is malformed");
	job->kind = (enum ike_cert_kind)kind;
	job->revocation = (enum ike_cert_revocation)revocation;
	job->now = (int64_t)now;
	return 0;
}

/* ---- answers ---- */

int ike_cert_put_answer(uint32_t id, const struct ike_cert_job *job, uint8_t *packet, size_t cap,
			size_t *len, struct cs_err *err)
{
	struct cs_writer w = cs_writer_of(packet, cap);

	cs_put_u8(&w, WIRE_VERSION);
	cs_put_u32(&w, id);
	cs_put_u8(&w, (uint8_t)-job->status);
	put_text(&w, job->status < 0 ? job->err.text : "");
	put_text(&w, job->fault);
	put_text(&w, job->label);
	put_text(&w, job->subject);
	cs_put_u8(&w, job->unasked);
	put_list(&w, &job->out);
	put_piece(&w, job->made, job->made_len);
	if (!cs_writer_ok(&w))
		return cs_fail(err, CS_ELIMIT, "the answer has more than %zu bytes", cap);
	*len = w.len;
	return 0;
}

int ike_cert_get_answer_id(const uint8_t *packet, size_t len, uint32_t *id, struct cs_err *err)
{
	struct cs_reader r = cs_reader_of(packet, len);
	uint8_t version;

	if (!cs_get_u8(&r, &version) || version != WIRE_VERSION || !cs_get_u32(&r, id))
		return cs_fail(err, CS_EPARSE, "a certificate answer is malformed");
	return 0;
}

/* Which statuses there are: 0 and those of enum cs_code. */
static bool set_status(struct ike_cert_job *job, uint8_t code)
{
	if (code > -(int)CS_EPERM)
		return false;
	job->status = -(int)code;
	job->err.code = (enum cs_code)job->status;
	return true;
}

static bool read_answer(struct cs_reader *r, struct ike_cert_job *job)
{
	uint8_t version, code;
	uint32_t id;
	struct cs_bytes made;

	if (!cs_get_u8(r, &version) || !cs_get_u32(r, &id) || !cs_get_u8(r, &code) ||
	    !set_status(job, code) || !get_text(r, job->err.text, sizeof(job->err.text)) ||
	    !get_text(r, job->fault, sizeof(job->fault)) ||
	    !get_text(r, job->label, sizeof(job->label)) ||
	    !get_text(r, job->subject, sizeof(job->subject)) || !get_flag(r, &job->unasked) ||
	    !get_list(r, &job->out) || !get_piece(r, &made) || made.len > sizeof(job->made) ||
	    cs_reader_left(r) != 0)
		return false;
	if (made.len)
		memcpy(job->made, made.p, made.len);
	job->made_len = made.len;
	return true;
}

int ike_cert_get_answer(const uint8_t *packet, size_t len, struct ike_cert_job *job,
			struct cs_err *err)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct ike_cert_job read = *job;
	struct cs_reader r;

	if (!copy)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	if (len)
		memcpy(copy, packet, len);
	r = cs_reader_of(copy, len);
	if (!read_answer(&r, &read)) {
		free(copy);
		return cs_fail(err, CS_EPARSE, "a certificate answer is malformed");
	}
	*job = read;
	if (job->out.n)
		job->memory = copy;
	else
		free(copy);
	return 0;
}
