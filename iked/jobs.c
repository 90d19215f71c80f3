/*
 * Public-key jobs and certificate jobs.  A job may outlive its exchange: then it takes the key pair
 * along and both are freed when the executor gives it back.
 */
#include <crypt.h>
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"

_Static_assert(sizeof(struct ike_pk) <= IKE_ARENA_MAX, "a job must fit the arena");
_Static_assert(sizeof(struct ike_exchange) <= IKE_ARENA_MAX,
	       "a phase 1 exchange must fit the arena");
_Static_assert(sizeof(struct ike_quick) <= IKE_ARENA_MAX, "Quick Mode must fit the arena");

/* Large, so not on a thread's stack. */
static int check_password(const char *password, const char *hash, struct cs_err *err)
{
	struct crypt_data *data = calloc(1, sizeof(*data));
	const char *made = data ? crypt_r(password, hash, data) : NULL;
	int rc = 0;

	if (!data)
		rc = cs_fail(err, CS_ENOMEM, "no memory to check a password");
	else if (!made || made[0] == '*')
		rc = cs_fail(err, CS_ECRYPTO, "the hash of its password is of an unknown kind");
	else if (strlen(made) != strlen(hash) || !cs_equal_secret(made, hash, strlen(hash)))
		rc = cs_fail(err, CS_EAUTH, "the password is wrong");
	if (data)
		cs_wipe(data, sizeof(*data));
	free(data);
	return rc;
}

void ike_pk_run(struct ike_pk_job *job)
{
	struct cs_bytes peer = {job->peer, job->peer_len};

	if (job->kind == IKE_PK_KEYPAIR)
		job->status = ike_dh_keypair(job->group, &job->dh, &job->err);
	else if (job->kind == IKE_PK_PASSWORD)
		job->status = check_password(job->password, job->hash, &job->err);
	else
		job->status = ike_dh_secret(job->dh, peer, job->secret, &job->err);
}

/* Hands the result to the exchange, if it is still there. */
static void job_finish(struct ike_engine *e, struct ike_pk *pk)
{
	struct ike_dh *made = NULL;

	e->n_passwords -= pk->job.kind == IKE_PK_PASSWORD;
	if (pk->p1 && pk->job.kind == IKE_PK_PASSWORD) {
		pk->p1->client->job = NULL;
		ike_client_checked(e, pk->p1, &pk->job);
	} else if (pk->p1 && pk->p1->ex) {
		pk->p1->ex->job = NULL;
		if (!pk->job.status && pk->job.kind == IKE_PK_KEYPAIR)
			pk->p1->ex->dh = pk->job.dh;
		ike_exchange_job_done(e, pk->p1, &pk->job);
	} else if (pk->p2 && pk->p2->qm) {
		pk->p2->qm->job = NULL;
		if (!pk->job.status && pk->job.kind == IKE_PK_KEYPAIR)
			pk->p2->qm->dh = pk->job.dh;
		if (pk->p2->initiator)
			ike_quick_init_job(e, pk->p2, &pk->job);
		else
			ike_quick_resp_job(e, pk->p2, &pk->job);
	} else {
		if (!pk->job.status && pk->job.kind == IKE_PK_KEYPAIR)
			made = pk->job.dh;
		ike_dh_free(made);
		ike_dh_free(pk->orphan);
	}
	e->n_jobs--;
	ike_list_remove(&pk->all);
	ike_arena_put(pk, sizeof(*pk));
}

int ike_job_start(struct ike_engine *e, struct ike_p1 *p1, struct ike_p2 *p2,
		  const struct cs_group *group, struct cs_bytes peer, struct cs_err *err)
{
	struct ike_pk *pk;

	if (peer.len > sizeof(pk->job.peer))
		return cs_fail(err, CS_EINVAL, "a public value of %zu bytes is too long", peer.len);
	pk = ike_arena_get(sizeof(*pk));
	if (!pk)
		return cs_fail(err, CS_ENOMEM, "no memory for a public-key job");
	pk->p1 = p1;
	pk->p2 = p2;
	pk->job.owner = (uint64_t)(uintptr_t)pk;
	pk->job.group = group;
	pk->job.kind = peer.len ? IKE_PK_SECRET : IKE_PK_KEYPAIR;
	if (peer.len) {
		memcpy(pk->job.peer, peer.p, peer.len);
		pk->job.peer_len = peer.len;
		pk->job.dh = p1 ? p1->ex->dh : p2->qm->dh;
	}
	if (p1)
		p1->ex->job = pk;
	else
		p2->qm->job = pk;
	ike_list_add_tail(&e->jobs, &pk->all);
	e->n_jobs++;
	if (e->ops.pk(e->ctx, &pk->job) == IKE_DONE)
		job_finish(e, pk);
	return 0;
}

int ike_password_start(struct ike_engine *e, struct ike_p1 *p1, const char *hash,
		       struct cs_bytes password, struct cs_err *err)
{
	struct ike_pk *pk = ike_arena_get(sizeof(*pk));

	if (!pk)
		return cs_fail(err, CS_ENOMEM, "no memory for a job");
	pk->p1 = p1;
	pk->job.owner = (uint64_t)(uintptr_t)pk;
	pk->job.kind = IKE_PK_PASSWORD;
	memcpy(pk->job.hash, hash, strlen(hash));
	if (password.len)
		memcpy(pk->job.password, password.p, password.len);
	p1->client->job = pk;
	ike_list_add_tail(&e->jobs, &pk->all);
	e->n_jobs++;
	e->n_passwords++;
	if (e->ops.pk(e->ctx, &pk->job) == IKE_DONE)
		job_finish(e, pk);
	return 0;
}

void ike_job_orphan(struct ike_pk *job, struct ike_dh *dh)
{
	if (!job) {
		ike_dh_free(dh);
		return;
	}
	job->p1 = NULL;
	job->p2 = NULL;
	job->orphan = dh;
}

void ike_job_back(struct ike_engine *e, struct ike_pk_job *job)
{
	job_finish(e, (struct ike_pk *)(uintptr_t)job->owner);
}

/* ---- certificates ---- */

static void cert_finish(struct ike_engine *e, struct ike_cert *c)
{
	e->n_jobs--;
	ike_list_remove(&c->all);
	if (!c->p1 || !c->p1->ex) {
		ike_cert_free(c);
		return;
	}
	c->p1->ex->certs->running = NULL;
	ike_exchange_cert_done(e, c->p1, c);
}

void ike_cert_start(struct ike_engine *e, struct ike_p1 *p1, struct ike_cert *c)
{
	c->p1 = p1;
	c->job.now = e->now.wall;
	p1->ex->certs->running = c;
	ike_list_add_tail(&e->certs, &c->all);
	e->n_jobs++;
	if (e->ops.cert(e->ctx, &c->job) == IKE_DONE)
		cert_finish(e, c);
}

void ike_cert_back(struct ike_engine *e, struct ike_cert_job *job)
{
	cert_finish(e, (struct ike_cert *)(uintptr_t)job->owner);
}

/* What the executor did not give back although the engine ends. */
void ike_jobs_drop(struct ike_engine *e)
{
	while (!ike_list_empty(&e->jobs)) {
		struct ike_pk *pk = IKE_OF(e->jobs.next, struct ike_pk, all);

		if (pk->job.kind == IKE_PK_KEYPAIR)
			ike_dh_free(pk->job.dh);
		ike_dh_free(pk->orphan);
		ike_list_remove(&pk->all);
		ike_arena_put(pk, sizeof(*pk));
	}
	while (!ike_list_empty(&e->certs)) {
		struct ike_cert *c = IKE_OF(e->certs.next, struct ike_cert, all);

		ike_list_remove(&c->all);
		ike_cert_free(c);
	}
}
