/*
 * Authentication with RSA signatures (RFC 2409 section 5.1): what an exchange asks of the keyring,
 * and what it makes of CERT, CERTREQ and SIG payloads.  Each job has a copy of what it works on, so
 * that it may outlive message and exchange.
 */
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"

/* Certificate encodings (RFC 2408 section 3.9). */
enum { ENC_X509_SIGNATURE = 4, ENC_CRL = 7 };

#define ID_FIXED 4 /* type, protocol, port of an ID payload's body */

_Static_assert(ISA_CERTS_MAX <= IKE_CERT_LIST_MAX, "the CERT payloads of a message fit a job");

bool ike_certs_usable(const struct ike_engine *e)
{
	return e->ops.cert && !e->no_certs;
}

bool ike_auth_signs(const struct ike_p1 *p1)
{
	return p1->suite.auth == POL_AUTH_RSA;
}

/* ---- jobs and their memory ---- */

static int certs_of(struct ike_p1 *p1, struct ike_certs **certs, struct cs_err *err)
{
	if (!p1->ex->certs)
		p1->ex->certs = calloc(1, sizeof(*p1->ex->certs));
	*certs = p1->ex->certs;
	return *certs ? 0 : cs_fail(err, CS_ENOMEM, "no memory for certificates");
}

void ike_cert_free(struct ike_cert *c)
{
	if (!c)
		return;
	ike_cert_job_clear(&c->job);
	pol_unref(c->policy);
	free(c->copies);
	free(c);
}

static void forget_asked(struct ike_certs *certs)
{
	free(certs->asked_memory);
	certs->asked_memory = NULL;
	certs->asked.n = 0;
}

void ike_certs_free(struct ike_certs *certs)
{
	if (!certs)
		return;
	if (certs->running)
		certs->running->p1 = NULL; /* freed when it comes back */
	ike_cert_free(certs->names);
	ike_cert_free(certs->proof);
	ike_cert_free(certs->peer);
	forget_asked(certs);
	free(certs);
}

/* room: bytes that the copies take. */
static struct ike_cert *new_cert(enum ike_cert_kind kind, size_t room, struct cs_err *err)
{
	struct ike_cert *c = calloc(1, sizeof(*c));

	if (c) {
		c->job.kind = kind;
		c->job.owner = (uint64_t)(uintptr_t)c;
		c->copies = malloc(room ? room : 1);
	}
	if (c && c->copies)
		return c;
	free(c);
	cs_fail(err, CS_ENOMEM, "no memory for a certificate job");
	return NULL;
}

static struct cs_bytes copy_to(uint8_t **at, struct cs_bytes b)
{
	struct cs_bytes copy = {*at, b.len};

	if (b.len)
		memcpy(*at, b.p, b.len);
	*at += b.len;
	return copy;
}

static void add(struct ike_cert_list *list, struct cs_bytes b)
{
	if (list->n < IKE_CERT_LIST_MAX)
		list->item[list->n++] = b;
}

static struct cs_bytes without_first(struct cs_bytes body)
{
	return (struct cs_bytes){body.p + 1, body.len - 1};
}

static size_t bytes_of(const struct isa_message *m, unsigned type)
{
	const struct isa_payload *p;
	size_t n = 0;

	for (unsigned i = 0; (p = isa_find(m, type, i)); i++)
		n += p->body.len;
	return n;
}

/* What the rule says of CAs; the policy stays until the job is freed. */
static void set_rule(struct ike_cert *c, const struct ike_p1 *p1)
{
	c->policy = pol_ref(p1->policy);
	c->job.labels = (const char *const *)p1->rule->remote.ca_labels;
	c->job.n_labels = p1->rule->remote.n_ca_labels;
}

/* ---- requests ---- */

int ike_cert_ask(struct ike_engine *e, struct ike_p1 *p1, struct cs_err *err)
{
	struct ike_certs *certs;
	struct ike_cert *c;
	int rc = certs_of(p1, &certs, err);

	if (rc)
		return rc;
	c = new_cert(IKE_CERT_CAS, 0, err);
	if (!c)
		return CS_ENOMEM;
	set_rule(c, p1);
	ike_cert_start(e, p1, c);
	return 0;
}

/* Without a name any certificate is asked for. */
void ike_cert_put_requests(const struct ike_p1 *p1, struct isa_builder *b)
{
	const struct ike_cert *names = p1->ex->certs ? p1->ex->certs->names : NULL;

	if (!names)
		return;
	for (unsigned i = 0; i == 0 || i < names->job.out.n; i++) {
		isa_payload_begin(b, ISA_CERTREQ);
		cs_put_u8(&b->w, ENC_X509_SIGNATURE);
		if (names->job.out.n)
			cs_put_bytes(&b->w, names->job.out.item[i].p, names->job.out.item[i].len);
		isa_payload_end(b);
	}
}

/* One without a name takes any certificate, whatever the others say. */
int ike_cert_take_requests(struct ike_p1 *p1, const struct isa_message *m, struct cs_err *err)
{
	size_t room = bytes_of(m, ISA_CERTREQ);
	const struct isa_payload *p;
	struct ike_certs *certs;
	bool any = false;
	uint8_t *at;
	int rc;

	if (!room)
		return 0;
	rc = certs_of(p1, &certs, err);
	if (rc)
		return rc;
	forget_asked(certs);
	at = certs->asked_memory = malloc(room);
	if (!at)
		return cs_fail(err, CS_ENOMEM, "no memory for certificate requests");
	for (unsigned i = 0; (p = isa_find(m, ISA_CERTREQ, i)); i++) {
		if (p->body.p[0] != ENC_X509_SIGNATURE)
			continue;
		any = any || p->body.len == 1;
		add(&certs->asked, copy_to(&at, without_first(p->body)));
	}
	if (any)
		certs->asked.n = 0;
	return 0;
}

/* ---- our own proof ---- */

int ike_cert_sign(struct ike_engine *e, struct ike_p1 *p1, struct cs_err *err)
{
	struct ike_exchange *ex = p1->ex;
	struct cs_bytes own = {ex->id, ex->id_len};
	struct ike_certs *certs;
	struct ike_cert *c;
	size_t room = own.len;
	uint8_t *at;
	int rc = certs_of(p1, &certs, err);

	if (rc)
		return rc;
	for (unsigned i = 0; i < certs->asked.n; i++)
		room += certs->asked.item[i].len;
	c = new_cert(IKE_CERT_SIGN, room, err);
	if (!c)
		return CS_ENOMEM;
	rc = ike_auth_hash(p1, p1->initiator, own, c->hash, err);
	if (rc) {
		ike_cert_free(c);
		return rc;
	}
	at = c->copies;
	own = copy_to(&at, own);
	c->job.id_type = own.p[0];
	c->job.id = (struct cs_bytes){own.p + ID_FIXED, own.len - ID_FIXED};
	for (unsigned i = 0; i < certs->asked.n; i++)
		add(&c->job.cas, copy_to(&at, certs->asked.item[i]));
	c->job.hash = (struct cs_bytes){c->hash, p1->suite.hash->len};
	ike_cert_start(e, p1, c);
	return 0;
}

void ike_cert_put_proof(const struct ike_p1 *p1, struct isa_builder *b)
{
	const struct ike_cert_job *job = &p1->ex->certs->proof->job;

	for (unsigned i = 0; i < job->out.n; i++) {
		isa_payload_begin(b, ISA_CERT);
		cs_put_u8(&b->w, ENC_X509_SIGNATURE);
		cs_put_bytes(&b->w, job->out.item[i].p, job->out.item[i].len);
		isa_payload_end(b);
	}
	isa_put(b, ISA_SIG, job->made, job->made_len);
}

const char *ike_cert_own_label(const struct ike_p1 *p1)
{
	const struct ike_certs *certs = p1->ex ? p1->ex->certs : NULL;

	return certs && certs->proof ? certs->proof->job.label : "";
}

/* ---- the peer's proof ---- */

void ike_cert_forget_peer(struct ike_p1 *p1)
{
	struct ike_certs *certs = p1->ex->certs;

	if (!certs)
		return;
	ike_cert_free(certs->peer);
	certs->peer = NULL;
	forget_asked(certs);
}

int ike_cert_take_proof(struct ike_p1 *p1, const struct isa_message *m, struct cs_bytes id_body,
			struct cs_err *err)
{
	struct cs_bytes sig = isa_find(m, ISA_SIG, 0)->body;
	const struct isa_payload *p;
	struct ike_certs *certs;
	struct ike_cert *c;
	uint8_t *at;
	int rc = certs_of(p1, &certs, err);

	if (rc)
		return rc;
	c = new_cert(IKE_CERT_VERIFY, bytes_of(m, ISA_CERT) + id_body.len + sig.len, err);
	if (!c)
		return CS_ENOMEM;
	at = c->copies;
	c->peer_id = copy_to(&at, id_body);
	c->job.id_type = c->peer_id.p[0];
	c->job.id = (struct cs_bytes){c->peer_id.p + ID_FIXED, id_body.len - ID_FIXED};
	c->job.signature = copy_to(&at, sig);
	for (unsigned i = 0; (p = isa_find(m, ISA_CERT, i)); i++) {
		struct cs_bytes der = copy_to(&at, without_first(p->body));

		if (p->body.p[0] == ENC_X509_SIGNATURE)
			add(&c->job.certs, der);
		else if (p->body.p[0] == ENC_CRL)
			add(&c->job.crls, der);
	}
	ike_cert_free(certs->peer);
	certs->peer = c;
	return 0;
}

int ike_cert_verify(struct ike_engine *e, struct ike_p1 *p1, struct cs_err *err)
{
	static const enum ike_cert_revocation levels[] = {
		[POL_REVOCATION_NONE] = IKE_CERT_REVOCATION_NONE,
		[POL_REVOCATION_LOOSE] = IKE_CERT_REVOCATION_LOOSE,
		[POL_REVOCATION_STRICT] = IKE_CERT_REVOCATION_STRICT,
	};
	struct ike_cert *c = p1->ex->certs->peer;
	int rc = ike_auth_hash(p1, !p1->initiator, c->peer_id, c->hash, err);

	if (rc)
		return rc;
	p1->ex->certs->peer = NULL;
	set_rule(c, p1);
	c->job.revocation = levels[p1->rule->action->revocation];
	c->job.hash = (struct cs_bytes){c->hash, p1->suite.hash->len};
	ike_cert_start(e, p1, c);
	return 0;
}

/* What the peer is told; that our helper does not work is no concern of its. */
unsigned ike_cert_notify(const struct ike_cert_job *job)
{
	static const struct {
		const char *fault;
		unsigned notify;
	} faults[] = {
		{"", ISA_N_INVALID_SIGNATURE},
		{"identity", ISA_N_INVALID_ID_INFORMATION},
		{"malformed", ISA_N_INVALID_CERT_ENCODING},
		{"unknown CA", ISA_N_INVALID_CERT_AUTHORITY},
	};

	if (job->status != CS_EAUTH && !job->fault[0])
		return ISA_N_AUTHENTICATION_FAILED;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if (!strcmp(job->fault, faults[i].fault))
			return faults[i].notify;
	return ISA_N_INVALID_CERTIFICATE;
}

bool ike_cert_notified(unsigned type)
{
	return (type >= ISA_N_INVALID_CERT_ENCODING && type <= ISA_N_INVALID_CERT_AUTHORITY) ||
	       type == ISA_N_INVALID_SIGNATURE;
}
