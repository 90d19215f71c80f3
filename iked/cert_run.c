/* Certificate jobs done: the engine's questions in pki's words. */
#include "iked/cert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_OPENSSL

#include "pki/pki.h"

_Static_assert(PKI_SIGNATURE_MAX <= IKE_CERT_SIGNATURE_MAX, "a signature fits");
_Static_assert(PKI_LABEL_MAX <= IKE_CERT_LABEL_MAX, "a label fits");

static const struct pki_strength usual = {0};

/* Moves a list of pki's into one piece of memory that the job owns. */
static int take_list(struct ike_cert_job *job, struct pki_list *list)
{
	size_t total = 0;
	uint8_t *p;

	if (list->n > IKE_CERT_LIST_MAX)
		return cs_fail(&job->err, CS_ELIMIT, "%u names or certificates are too many",
			       list->n);
	for (unsigned i = 0; i < list->n; i++)
		total += list->item[i].len;
	p = malloc(total ? total : 1);
	if (!p)
		return cs_fail(&job->err, CS_ENOMEM, "out of memory");
	job->memory = p;
	for (unsigned i = 0; i < list->n; i++) {
		memcpy(p, list->item[i].p, list->item[i].len);
		job->out.item[job->out.n++] = (struct cs_bytes){p, list->item[i].len};
		p += list->item[i].len;
	}
	return 0;
}

/* The rule's labels, else those of the configuration file; none: any CA. */
static void labels_of(const struct ike_cert_ring *ring, const struct ike_cert_job *job,
		      const char *const **labels, unsigned *n)
{
	*labels = job->n_labels ? job->labels : ring->supported;
	*n = job->n_labels ? job->n_labels : ring->n_supported;
}

static int run_cas(const struct ike_cert_ring *ring, struct ike_cert_job *job)
{
	const char *const *labels;
	struct pki_list names;
	unsigned n;
	int status;

	labels_of(ring, job, &labels, &n);
	if (n == 0)
		return 0;
	status = pki_ca_names(ring->keyring, labels, n, &names, &job->err);
	if (status < 0)
		return status;
	status = take_list(job, &names);
	pki_list_free(&names);
	return status;
}

/* Which certificate is ours, and its chain. */
static int find_own(const struct ike_cert_ring *ring, struct ike_cert_job *job,
		    const struct pki_entry **entry)
{
	const struct pki_id id = {job->id_type, job->id};
	struct pki_own own = {0};
	struct pki_list chain;
	int status;

	if (job->kind == IKE_CERT_SIGN && job->by_label[0]) {
		own.entry = pki_keyring_find(ring->keyring, job->by_label);
		if (!own.entry || !pki_entry_key(own.entry))
			return cs_fail(&job->err, CS_ENOTFOUND,
				       "the keyring has no certificate '%s' with its private key",
				       job->by_label);
	} else {
		status = pki_own_find(ring->keyring, &id, job->cas.item, job->cas.n, job->now,
				      &usual, &own, &job->err);
		if (status < 0)
			return status;
	}
	status = pki_own_chain(ring->keyring, own.entry, job->now, &chain, &job->err);
	if (status < 0)
		return status;
	status = take_list(job, &chain);
	pki_list_free(&chain);
	job->unasked = own.unasked;
	snprintf(job->label, sizeof(job->label), "%s", pki_entry_info(own.entry)->label);
	*entry = own.entry;
	return status;
}

static int run_own(const struct ike_cert_ring *ring, struct ike_cert_job *job)
{
	const struct pki_entry *entry = NULL;
	int status = find_own(ring, job, &entry);

	if (status == 0 && job->kind == IKE_CERT_SIGN)
		status = pki_sign(pki_entry_key(entry), job->hash, &usual, job->made,
				  &job->made_len, &job->err);
	return status;
}

static int run_verify(const struct ike_cert_ring *ring, struct ike_cert_job *job)
{
	static const enum pki_revocation levels[] = {
		[IKE_CERT_REVOCATION_NONE] = PKI_REVOCATION_NONE,
		[IKE_CERT_REVOCATION_LOOSE] = PKI_REVOCATION_LOOSE,
		[IKE_CERT_REVOCATION_STRICT] = PKI_REVOCATION_STRICT,
	};
	struct pki_peer peer = {
		.id = {job->id_type, job->id},
		.certs = job->certs.item,
		.n_certs = job->certs.n,
		.crls = job->crls.item,
		.n_crls = job->crls.n,
		.revocation = levels[job->revocation],
		.now = job->now,
	};
	struct pki_verdict v;
	int status;

	labels_of(ring, job, &peer.ca_labels, &peer.n_ca_labels);
	status = pki_peer_check(ring->keyring, &peer, &v, &job->err);
	if (status < 0) {
		snprintf(job->fault, sizeof(job->fault), "%s", pki_fault_name(v.fault));
		return status;
	}
	status = pki_verify(v.key, job->hash, job->signature, &usual, &job->err);
	pki_key_free(v.key);
	snprintf(job->label, sizeof(job->label), "%s", v.anchor);
	snprintf(job->subject, sizeof(job->subject), "%.*s", (int)sizeof(job->subject) - 1,
		 v.subject);
	return status;
}

void ike_cert_run(const struct ike_cert_ring *ring, struct ike_cert_job *job)
{
	ike_cert_job_clear(job);
	job->err = (struct cs_err){0};
	job->fault[0] = job->label[0] = job->subject[0] = '\0';
	job->unasked = false;
	switch (job->kind) {
	case IKE_CERT_CAS:
		job->status = run_cas(ring, job);
		break;
	case IKE_CERT_OWN:
	case IKE_CERT_SIGN:
		job->status = run_own(ring, job);
		break;
	case IKE_CERT_VERIFY:
		job->status = run_verify(ring, job);
		break;
	default:
		job->status = cs_fail(&job->err, CS_EINVAL, "there is no such certificate job");
		break;
	}
	if (job->status < 0)
		ike_cert_job_clear(job);
}

#else

void ike_cert_run(const struct ike_cert_ring *ring, struct ike_cert_job *job)
{
	(void)ring;
	job->status = cs_fail(&job->err, CS_EUNSUPPORTED,
			      "certificates need OpenSSL, which is not built in");
}

#endif
