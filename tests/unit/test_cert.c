/*
 * Certificate jobs: done in this process, as messages, and through the client with a helper that
 * answers, dies, lies or says nothing.
 */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "iked/cert_client.h"
#include "iked/cert_wire.h"
#include "policy/policy.h"
#include "tests/unit/pki_make.h"
#include "tests/unit/run_suite.h"

#define NAME "hosta.example.com"

static const char hash[21] = "0123456789abcdef0123";
static X509 *root, *middle, *host;
static struct ike_cert_ring ring;

/* A label at which the job never ends: what an endless loop in the library would be like. */
#define FOR_EVER "for ever"
void __real_ike_cert_run(const struct ike_cert_ring *r, struct ike_cert_job *job);
void __wrap_ike_cert_run(const struct ike_cert_ring *r, struct ike_cert_job *job);
void __wrap_ike_cert_run(const struct ike_cert_ring *r, struct ike_cert_job *job)
{
	while (strcmp(job->by_label, FOR_EVER) == 0)
		;
	__real_ike_cert_run(r, job);
}

static void setup(void)
{
	new_dir();
	root = mk_ca("CN=Root,O=Example,C=US", rsa_a, NULL, NULL);
	middle = mk_ca("CN=Middle,O=Example,C=US", rsa_b, root, rsa_a);
	host = mk_host("CN=hosta,O=Example", "DNS:" NAME, rsa_c, middle, rsa_b);
	put_cert("Root", root);
	put_cert("Middle", middle);
	put_cert("hosta", host);
	put_key("hosta", rsa_c);
	ring = (struct ike_cert_ring){.keyring = load_ring()};
}

static void teardown(void)
{
	pki_keyring_free(ring.keyring);
	X509_free(root);
	X509_free(middle);
	X509_free(host);
	remove_dir();
}

static struct cs_bytes bytes(const char *text)
{
	return (struct cs_bytes){(const uint8_t *)text, strlen(text)};
}

static struct ike_cert_job job_of(enum ike_cert_kind kind)
{
	return (struct ike_cert_job){
		.kind = kind,
		.now = T0,
		.id_type = POL_ID_FQDN,
		.id = bytes(NAME),
		.hash = {(const uint8_t *)hash, 20},
		.status = 77,
	};
}

/* What a peer would send after this job of ours. */
static void as_sent(const struct ike_cert_job *sign, struct ike_cert_job *verify)
{
	*verify = job_of(IKE_CERT_VERIFY);
	verify->certs = sign->out;
	verify->signature = (struct cs_bytes){sign->made, sign->made_len};
}

/* ---- in this process ---- */

START_TEST(sign_and_verify)
{
	struct ike_cert_job sign = job_of(IKE_CERT_SIGN), verify;

	ike_cert_run(&ring, &sign);
	ck_assert_msg(sign.status == 0, "%s", sign.err.text);
	ck_assert_str_eq(sign.label, "hosta");
	ck_assert_uint_eq(sign.out.n, 2);
	ck_assert_uint_eq(sign.made_len, 256);
	ck_assert(!sign.unasked);
	as_sent(&sign, &verify);
	ike_cert_run(&ring, &verify);
	ck_assert_msg(verify.status == 0, "%s", verify.err.text);
	ck_assert_str_eq(verify.subject, "CN=hosta,O=Example");
	ck_assert_str_eq(verify.label, "Middle");
	ck_assert_str_eq(verify.fault, "");

	verify.hash.len = 16;
	ike_cert_run(&ring, &verify);
	ck_assert_int_eq(verify.status, CS_EAUTH);
	ck_assert_str_eq(verify.fault, "");
	verify.now = T0 + 1000L * DAY;
	ike_cert_run(&ring, &verify);
	ck_assert_int_eq(verify.status, CS_EAUTH);
	ck_assert_str_eq(verify.fault, "expired");
	ike_cert_job_clear(&sign);
}
END_TEST

START_TEST(sign_by_label)
{
	struct ike_cert_job sign = job_of(IKE_CERT_SIGN);

	sign.id_type = POL_ID_KEY_ID; /* held by no certificate */
	ike_cert_run(&ring, &sign);
	ck_assert_int_eq(sign.status, CS_ENOTFOUND);
	strcpy(sign.by_label, "hosta");
	ike_cert_run(&ring, &sign);
	ck_assert_msg(sign.status == 0, "%s", sign.err.text);
	ck_assert_uint_eq(sign.made_len, 256);
	strcpy(sign.by_label, "Root");
	ike_cert_run(&ring, &sign);
	ck_assert_int_eq(sign.status, CS_ENOTFOUND);
	ck_assert_str_eq(sign.err.text,
			 "the keyring has no certificate 'Root' with its private key");
	ck_assert_ptr_null(sign.memory);
	strcpy(sign.by_label, "hosta");
	sign.hash.len = 3;
	ike_cert_run(&ring, &sign);
	ck_assert_int_eq(sign.status, CS_EINVAL);
	ck_assert_uint_eq(sign.out.n, 0);
}
END_TEST

START_TEST(own_by_ca)
{
	struct ike_cert_job own = job_of(IKE_CERT_OWN);
	struct cs_bytes asked = der_of_name(X509_get_subject_name(root));

	own.cas.item[0] = asked;
	own.cas.n = 1;
	ike_cert_run(&ring, &own);
	ck_assert_msg(own.status == 0, "%s", own.err.text);
	ck_assert(!own.unasked);
	own.cas.item[0] = bytes("not a name");
	ike_cert_run(&ring, &own);
	ck_assert_int_eq(own.status, 0);
	ck_assert(own.unasked);
	ck_assert_uint_eq(own.made_len, 0);
	own.id_type = 0; /* the default one */
	own.cas.n = 0;
	ike_cert_run(&ring, &own);
	ck_assert_str_eq(own.label, "hosta");
	ike_cert_job_clear(&own);
	pki_bytes_free(&asked);
}
END_TEST

/* The rule's CaLabel, else SupportedCertAuth, else nothing: request a certificate of any CA. */
START_TEST(names_of_cas)
{
	static const char *const one[] = {"Root"}, *const two[] = {"Root", "Middle"};
	static const char *const unknown[] = {"Nobody"};
	struct ike_cert_job cas = job_of(IKE_CERT_CAS);

	ike_cert_run(&ring, &cas);
	ck_assert_int_eq(cas.status, 0);
	ck_assert_uint_eq(cas.out.n, 0);
	ring.supported = two;
	ring.n_supported = 2;
	ike_cert_run(&ring, &cas);
	ck_assert_uint_eq(cas.out.n, 2);
	cas.labels = one;
	cas.n_labels = 1;
	ike_cert_run(&ring, &cas);
	ck_assert_uint_eq(cas.out.n, 1);
	cas.labels = unknown;
	ike_cert_run(&ring, &cas);
	ck_assert_int_eq(cas.status, CS_ENOTFOUND);
	ck_assert_uint_eq(cas.out.n, 0);
	ike_cert_job_clear(&cas);
}
END_TEST

START_TEST(supported_cas_are_trusted)
{
	static const char *const none_of_ours[] = {"hosta"};
	struct ike_cert_job sign = job_of(IKE_CERT_SIGN), verify;

	ike_cert_run(&ring, &sign);
	as_sent(&sign, &verify);
	ring.supported = none_of_ours;
	ring.n_supported = 1;
	verify.certs.item[0] = verify.certs.item[1]; /* the CA alone: holds nothing */
	ike_cert_run(&ring, &verify);
	ck_assert_str_eq(verify.fault, "identity");
	as_sent(&sign, &verify);
	ike_cert_run(&ring, &verify); /* pinned, by its label */
	ck_assert_int_eq(verify.status, 0);
	ck_assert_str_eq(verify.label, "hosta");
	ike_cert_job_clear(&sign);
}
END_TEST

/* ---- messages ---- */

static struct ike_cert_job full_job(void)
{
	static const char *const labels[] = {"Root", "", "A label with blanks"};
	struct ike_cert_job job = job_of(IKE_CERT_VERIFY);

	job.labels = labels;
	job.n_labels = 3;
	job.now = -5;
	job.revocation = IKE_CERT_REVOCATION_STRICT;
	strcpy(job.by_label, "12345678901234567890123456789012");
	for (unsigned i = 0; i < IKE_CERT_LIST_MAX; i++)
		job.cas.item[job.cas.n++] = bytes("name");
	job.certs.item[job.certs.n++] = bytes("certificate");
	job.crls.item[job.crls.n++] = bytes("");
	job.signature = bytes("signature");
	return job;
}

static void same(struct cs_bytes a, struct cs_bytes b)
{
	ck_assert_uint_eq(a.len, b.len);
	if (a.len)
		ck_assert_mem_eq(a.p, b.p, a.len);
}

START_TEST(request_there_and_back)
{
	static uint8_t packet[IKE_CERT_MESSAGE_MAX];
	static struct ike_cert_request q;
	struct ike_cert_job job = full_job();
	struct cs_err err;
	size_t len;

	ck_assert_int_eq(ike_cert_put_request(7, &job, packet, sizeof(packet), &len, &err), 0);
	ck_assert_int_eq(ike_cert_get_request(packet, len, &q, &err), 0);
	ck_assert_uint_eq(q.id, 7);
	ck_assert_int_eq(q.job.kind, IKE_CERT_VERIFY);
	ck_assert_int_eq(q.job.now, -5);
	ck_assert_int_eq(q.job.revocation, IKE_CERT_REVOCATION_STRICT);
	ck_assert_int_eq(q.job.id_type, POL_ID_FQDN);
	same(q.job.id, job.id);
	ck_assert_str_eq(q.job.by_label, job.by_label);
	ck_assert_uint_eq(q.job.n_labels, 3);
	for (int i = 0; i < 3; i++)
		ck_assert_str_eq(q.job.labels[i], job.labels[i]);
	ck_assert_uint_eq(q.job.cas.n, IKE_CERT_LIST_MAX);
	same(q.job.cas.item[IKE_CERT_LIST_MAX - 1], bytes("name"));
	same(q.job.certs.item[0], bytes("certificate"));
	same(q.job.crls.item[0], bytes(""));
	same(q.job.hash, job.hash);
	same(q.job.signature, job.signature);
	/* Cut anywhere, or with a byte too many, it is none. */
	for (size_t n = 0; n < len; n++)
		ck_assert_int_eq(ike_cert_get_request(packet, n, &q, &err), CS_EPARSE);
	packet[len] = 0;
	ck_assert_int_eq(ike_cert_get_request(packet, len + 1, &q, &err), CS_EPARSE);
	/* Every byte another: read as something else, or refused; never beyond its end. */
	for (size_t i = 0; i < len; i++)
		for (int v = 0; v < 256; v += 51) {
			uint8_t *exact = malloc(len);

			ck_assert_ptr_nonnull(exact);
			memcpy(exact, packet, len);
			exact[i] = (uint8_t)v;
			ike_cert_get_request(exact, len, &q, &err);
			free(exact);
		}
}
END_TEST

START_TEST(request_limits)
{
	static uint8_t packet[IKE_CERT_MESSAGE_MAX], large[IKE_CERT_MESSAGE_MAX];
	static const char *labels[IKE_CERT_LIST_MAX + 1];
	struct ike_cert_job job = full_job();
	struct cs_err err;
	size_t len;

	job.certs.item[0] = (struct cs_bytes){large, sizeof(large)};
	ck_assert_int_eq(ike_cert_put_request(1, &job, packet, sizeof(packet), &len, &err),
			 CS_ELIMIT);
	job = full_job();
	for (int i = 0; i <= IKE_CERT_LIST_MAX; i++)
		labels[i] = "x";
	job.labels = labels;
	job.n_labels = IKE_CERT_LIST_MAX + 1;
	ck_assert_int_eq(ike_cert_put_request(1, &job, packet, sizeof(packet), &len, &err),
			 CS_ELIMIT);
	job = full_job();
	job.crls.n = IKE_CERT_LIST_MAX + 1;
	ck_assert_int_eq(ike_cert_put_request(1, &job, packet, sizeof(packet), &len, &err),
			 CS_ELIMIT);
}
END_TEST

START_TEST(answer_there_and_back)
{
	static uint8_t packet[IKE_CERT_MESSAGE_MAX];
	struct ike_cert_job sign = job_of(IKE_CERT_SIGN), back = {0}, kept;
	struct cs_err err;
	uint32_t id;
	size_t len;

	ike_cert_run(&ring, &sign);
	sign.unasked = true;
	strcpy(sign.subject, "CN=x");
	ck_assert_int_eq(ike_cert_put_answer(9, &sign, packet, sizeof(packet), &len, &err), 0);
	ck_assert_int_eq(ike_cert_get_answer_id(packet, len, &id, &err), 0);
	ck_assert_uint_eq(id, 9);
	back.owner = 42;
	ck_assert_int_eq(ike_cert_get_answer(packet, len, &back, &err), 0);
	ck_assert_uint_eq(back.owner, 42);
	ck_assert_int_eq(back.status, 0);
	ck_assert_uint_eq(back.out.n, 2);
	same(back.out.item[0], sign.out.item[0]);
	same(back.out.item[1], sign.out.item[1]);
	ck_assert_str_eq(back.label, "hosta");
	ck_assert_str_eq(back.subject, "CN=x");
	ck_assert(back.unasked);
	ck_assert_uint_eq(back.made_len, sign.made_len);
	ck_assert_mem_eq(back.made, sign.made, sign.made_len);
	ike_cert_job_clear(&back);
	/* Cut: refused, and the job is as it was. */
	for (size_t n = 0; n < len; n += n < 100 ? 1 : 61) {
		memset(&back, 0, sizeof(back));
		back.owner = 1;
		kept = back;
		ck_assert_int_eq(ike_cert_get_answer(packet, n, &back, &err), CS_EPARSE);
		ck_assert_mem_eq(&back, &kept, sizeof(back));
	}
	/* A status that is none. */
	packet[5] = 99;
	ck_assert_int_eq(ike_cert_get_answer(packet, len, &back, &err), CS_EPARSE);
	ike_cert_job_clear(&sign);
}
END_TEST

/* ---- the client ---- */

#define JOBS 40

struct fixture {
	uv_loop_t loop;
	struct ike_cert_client *client;
	unsigned back, ok;
	struct ike_cert_job *last;
	pid_t helper;
	int theirs;
	unsigned again;   /* jobs that the callback submits */
	bool stop_within; /* the callback stops the client */
};

static void on_done(void *arg, struct ike_cert_job *job)
{
	struct fixture *f = arg;

	f->back++;
	f->ok += job->status == 0;
	f->last = job;
	if (f->again) {
		f->again--;
		ck_assert_int_eq(ike_cert_client_submit(f->client, job), IKE_LATER);
	} else if (f->stop_within) {
		ike_cert_client_stop(f->client);
	}
}

static void start(struct fixture *f)
{
	struct cs_err err;

	memset(f, 0, sizeof(*f));
	f->theirs = -1;
	ck_assert_int_eq(uv_loop_init(&f->loop), 0);
	ck_assert_int_eq(ike_cert_client_new(&f->loop, on_done, f, &f->client, &err), 0);
}

static void finish(struct fixture *f)
{
	ike_cert_client_stop(f->client);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	ike_cert_client_free(f->client);
	ck_assert_int_eq(uv_loop_close(&f->loop), 0);
	if (f->theirs >= 0)
		close(f->theirs);
}

/* A socket pair: the client has one end, the other is f->theirs. */
static void connect_client(struct fixture *f)
{
	struct cs_err err;
	int pair[2];

	if (f->theirs >= 0)
		close(f->theirs);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	f->theirs = pair[1];
	ck_assert_int_eq(ike_cert_client_connect(f->client, pair[0], &err), 0);
}

/* A process that serves the other end, as the daemon's helper does. */
static void start_helper(struct fixture *f)
{
	connect_client(f);
	f->helper = fork();
	ck_assert_int_ge(f->helper, 0);
	if (f->helper == 0) {
		/* The client's end is open here, too, and must not keep the line up. */
		for (int fd = 3; fd < 64; fd++)
			if (fd != f->theirs)
				close(fd);
		_exit(ike_cert_serve(f->theirs, &ring, 0, NULL) == 0 ? 0 : 1);
	}
	close(f->theirs);
	f->theirs = -1;
}

static int helper_ended(struct fixture *f)
{
	int status;

	ck_assert_int_eq(waitpid(f->helper, &status, 0), f->helper);
	return status;
}

static void run_until_back(struct fixture *f, unsigned n)
{
	while (f->back < n && uv_run(&f->loop, UV_RUN_ONCE))
		;
	ck_assert_uint_eq(f->back, n);
}

START_TEST(many_jobs)
{
	struct ike_cert_job *jobs = calloc(JOBS, sizeof(*jobs));
	struct ike_cert_stats stats;
	struct fixture f;

	ck_assert_ptr_nonnull(jobs);
	start(&f);
	start_helper(&f);
	for (unsigned i = 0; i < JOBS; i++) {
		jobs[i] = job_of(i % 2 ? IKE_CERT_SIGN : IKE_CERT_CAS);
		ck_assert_int_eq(ike_cert_client_submit(f.client, &jobs[i]), IKE_LATER);
	}
	ck_assert_uint_eq(f.back, 0); /* never from within submit */
	run_until_back(&f, JOBS);
	ck_assert_uint_eq(f.ok, JOBS);
	for (unsigned i = 1; i < JOBS; i += 2) {
		struct ike_cert_job verify;

		as_sent(&jobs[i], &verify);
		ike_cert_run(&ring, &verify);
		ck_assert_msg(verify.status == 0, "%s", verify.err.text);
	}
	ike_cert_client_stats(f.client, &stats);
	ck_assert_uint_eq(stats.submitted, JOBS);
	ck_assert_uint_eq(stats.answered, JOBS);
	ck_assert_uint_eq(stats.waiting, 0);
	for (unsigned i = 0; i < JOBS; i++)
		ike_cert_job_clear(&jobs[i]);
	free(jobs);
	finish(&f);
	ck_assert_int_eq(helper_ended(&f), 0); /* by itself, when the worker's end is closed */
}
END_TEST

/* More than a socket holds: the rest goes when there is room. */
START_TEST(large_jobs)
{
	static uint8_t large[60000];
	struct ike_cert_job *jobs = calloc(JOBS, sizeof(*jobs));
	struct fixture f;

	ck_assert_ptr_nonnull(jobs);
	start(&f);
	start_helper(&f);
	for (unsigned i = 0; i < JOBS; i++) {
		jobs[i] = job_of(IKE_CERT_VERIFY);
		jobs[i].certs.n = 2;
		jobs[i].certs.item[0] = (struct cs_bytes){large, 30000};
		jobs[i].certs.item[1] = (struct cs_bytes){large, 30000};
		ck_assert_int_eq(ike_cert_client_submit(f.client, &jobs[i]), IKE_LATER);
	}
	run_until_back(&f, JOBS);
	for (unsigned i = 0; i < JOBS; i++)
		ck_assert_str_eq(jobs[i].fault, "malformed");
	free(jobs);
	finish(&f);
	helper_ended(&f);
}
END_TEST

/* Jobs before there is a helper, and while the next one starts, wait for it. */
START_TEST(helper_dies)
{
	struct ike_cert_job job = job_of(IKE_CERT_SIGN), other = job_of(IKE_CERT_CAS);
	struct ike_cert_stats stats;
	struct fixture f;

	start(&f);
	ck_assert_int_eq(ike_cert_client_submit(f.client, &job), IKE_LATER);
	connect_client(&f); /* says nothing, and ends */
	ck_assert_int_eq(ike_cert_client_submit(f.client, &other), IKE_LATER);
	close(f.theirs);
	f.theirs = -1;
	do
		uv_run(&f.loop, UV_RUN_ONCE);
	while (ike_cert_client_stats(f.client, &stats), stats.connected);
	ck_assert_uint_eq(f.back, 0);
	start_helper(&f);
	run_until_back(&f, 2);
	ck_assert_uint_eq(f.ok, 2);
	ike_cert_client_stats(f.client, &stats);
	ck_assert_uint_eq(stats.repeated, 2);
	ck_assert_uint_eq(stats.helpers, 2);
	ike_cert_job_clear(&job);
	finish(&f);
	helper_ended(&f);
}
END_TEST

/* A job at which two helpers have ended is not given to a third; others are. */
START_TEST(poison)
{
	struct ike_cert_job job = job_of(IKE_CERT_SIGN), later = job_of(IKE_CERT_CAS);
	struct fixture f;

	start(&f);
	ck_assert_int_eq(ike_cert_client_submit(f.client, &job), IKE_LATER);
	connect_client(&f);
	connect_client(&f);
	ck_assert_int_eq(ike_cert_client_submit(f.client, &later), IKE_LATER);
	start_helper(&f);
	run_until_back(&f, 2);
	ck_assert_int_eq(job.status, CS_ECRYPTO);
	ck_assert_str_eq(job.err.text, "the certificate helper ended at it, twice");
	ck_assert_int_eq(later.status, 0);
	finish(&f);
	helper_ended(&f);
}
END_TEST

START_TEST(absent)
{
	struct ike_cert_job job = job_of(IKE_CERT_SIGN), next = job_of(IKE_CERT_CAS);
	struct fixture f;

	start(&f);
	ck_assert_int_eq(ike_cert_client_submit(f.client, &job), IKE_LATER);
	ike_cert_client_absent(f.client, "there is no keyring");
	ck_assert_uint_eq(f.back, 1);
	ck_assert_int_eq(job.status, CS_ENOTFOUND);
	ck_assert_str_eq(job.err.text, "there is no keyring");
	ck_assert_int_eq(ike_cert_client_submit(f.client, &next), IKE_DONE);
	ck_assert_int_eq(next.status, CS_ENOTFOUND);
	start_helper(&f); /* the operator has made one */
	ck_assert_int_eq(ike_cert_client_submit(f.client, &next), IKE_LATER);
	run_until_back(&f, 2);
	ck_assert_int_eq(next.status, 0);
	finish(&f);
	helper_ended(&f);
}
END_TEST

START_TEST(too_many)
{
	struct ike_cert_job *jobs = calloc(IKE_CERT_WAITING_MAX + 1, sizeof(*jobs));
	struct fixture f;

	ck_assert_ptr_nonnull(jobs);
	start(&f);
	for (unsigned i = 0; i <= IKE_CERT_WAITING_MAX; i++) {
		jobs[i] = job_of(IKE_CERT_CAS);
		ck_assert_int_eq(ike_cert_client_submit(f.client, &jobs[i]),
				 i < IKE_CERT_WAITING_MAX ? IKE_LATER : IKE_DONE);
	}
	ck_assert_int_eq(jobs[IKE_CERT_WAITING_MAX].status, CS_ELIMIT);
	start_helper(&f);
	run_until_back(&f, IKE_CERT_WAITING_MAX);
	ck_assert_uint_eq(f.ok, IKE_CERT_WAITING_MAX);
	free(jobs);
	finish(&f);
	helper_ended(&f);
}
END_TEST

/* A job that cannot be sent is refused at once. */
START_TEST(unsendable)
{
	static uint8_t large[IKE_CERT_MESSAGE_MAX];
	struct ike_cert_job job = job_of(IKE_CERT_VERIFY);
	struct fixture f;

	start(&f);
	job.certs.n = 1;
	job.certs.item[0] = (struct cs_bytes){large, sizeof(large)};
	ck_assert_int_eq(ike_cert_client_submit(f.client, &job), IKE_DONE);
	ck_assert_int_eq(job.status, CS_ELIMIT);
	finish(&f);
}
END_TEST

/* The callback submits and stops; jobs come back once each. */
START_TEST(from_within_the_callback)
{
	struct ike_cert_job job = job_of(IKE_CERT_CAS), others[3];
	struct fixture f;

	start(&f);
	start_helper(&f);
	f.again = 5;
	ck_assert_int_eq(ike_cert_client_submit(f.client, &job), IKE_LATER);
	run_until_back(&f, 6);
	ck_assert_uint_eq(f.ok, 6);
	f.stop_within = true;
	for (int i = 0; i < 3; i++) {
		others[i] = job_of(IKE_CERT_CAS);
		ck_assert_int_eq(ike_cert_client_submit(f.client, &others[i]), IKE_LATER);
	}
	run_until_back(&f, 9);
	ck_assert_int_eq(others[1].status, CS_EAGAIN);
	ck_assert_int_eq(ike_cert_client_submit(f.client, &job), IKE_DONE);
	ck_assert_int_eq(job.status, CS_EAGAIN);
	finish(&f);
	helper_ended(&f);
}
END_TEST

START_TEST(stop_gives_everything_back)
{
	struct ike_cert_job jobs[3];
	struct fixture f;

	start(&f);
	connect_client(&f);
	for (int i = 0; i < 3; i++) {
		jobs[i] = job_of(IKE_CERT_CAS);
		ck_assert_int_eq(ike_cert_client_submit(f.client, &jobs[i]), IKE_LATER);
	}
	ike_cert_client_stop(f.client);
	ck_assert_uint_eq(f.back, 3);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(jobs[i].status, CS_EAGAIN);
	finish(&f);
}
END_TEST

/* ---- a helper that is not what it should be ---- */

static void say(struct fixture *f, const void *data, size_t len)
{
	ck_assert_int_eq(send(f->theirs, data, len, 0), (ssize_t)len);
}

static size_t hear(struct fixture *f, struct ike_cert_request *q)
{
	static uint8_t packet[IKE_CERT_MESSAGE_MAX];
	ssize_t n = recv(f->theirs, packet, sizeof(packet), 0);
	struct cs_err err;

	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(ike_cert_get_request(packet, (size_t)n, q, &err), 0);
	return (size_t)n;
}

static void answer(struct fixture *f, uint32_t id, const struct ike_cert_job *job)
{
	static uint8_t packet[IKE_CERT_MESSAGE_MAX];
	struct cs_err err;
	size_t len;

	ck_assert_int_eq(ike_cert_put_answer(id, job, packet, sizeof(packet), &len, &err), 0);
	say(f, packet, len);
}

/* Answers to nobody, and twice, are passed over; out of order is all right. */
START_TEST(odd_answers)
{
	static struct ike_cert_request a, b;
	struct ike_cert_job one = job_of(IKE_CERT_CAS), two = job_of(IKE_CERT_CAS);
	const struct ike_cert_job right = {.label = "x"};
	struct ike_cert_stats stats;
	struct fixture f;

	start(&f);
	connect_client(&f);
	ck_assert_int_eq(ike_cert_client_submit(f.client, &one), IKE_LATER);
	ck_assert_int_eq(ike_cert_client_submit(f.client, &two), IKE_LATER);
	hear(&f, &a);
	hear(&f, &b);
	answer(&f, b.id + 1000, &right);
	answer(&f, b.id, &right);
	answer(&f, b.id, &right);
	run_until_back(&f, 1);
	ck_assert_ptr_eq(f.last, &two);
	answer(&f, a.id, &right);
	run_until_back(&f, 2);
	ck_assert_ptr_eq(f.last, &one);
	ike_cert_client_stats(f.client, &stats);
	ck_assert_uint_eq(stats.late, 2);
	ck_assert(stats.connected);
	finish(&f);
}
END_TEST

/* What makes no sense ends the connection; the job is for the next helper. */
START_TEST(malformed_answers)
{
	static uint8_t large[IKE_CERT_MESSAGE_MAX + 10];
	static struct ike_cert_request q;
	struct ike_cert_job job = job_of(IKE_CERT_CAS);
	struct ike_cert_stats stats;
	struct fixture f;

	for (int round = 0; round < 3; round++) {
		uint8_t packet[] = {1, 0, 0, 0, 0, 0, 1, 2, 3};

		start(&f);
		connect_client(&f);
		ck_assert_int_eq(ike_cert_client_submit(f.client, &job), IKE_LATER);
		hear(&f, &q);
		packet[4] = (uint8_t)q.id;
		if (round == 0)
			say(&f, "\x07nonsense", 9);
		else if (round == 1)
			say(&f, packet, sizeof(packet));
		else
			say(&f, large, sizeof(large));
		do
			uv_run(&f.loop, UV_RUN_ONCE);
		while (ike_cert_client_stats(f.client, &stats), stats.connected);
		ck_assert_uint_eq(stats.malformed, 1);
		ck_assert_uint_eq(f.back, 0);
		start_helper(&f);
		run_until_back(&f, 1);
		ck_assert_int_eq(job.status, 0);
		finish(&f);
		helper_ended(&f);
	}
}
END_TEST

/* The loop's clock is real here, so that this takes the time that a job may wait. */
START_TEST(no_answer)
{
	struct ike_cert_job job = job_of(IKE_CERT_CAS), later = job_of(IKE_CERT_CAS);
	struct ike_cert_stats stats;
	struct fixture f;
	uint64_t began;

	start(&f);
	connect_client(&f);
	began = uv_now(&f.loop);
	ck_assert_int_eq(ike_cert_client_submit(f.client, &job), IKE_LATER);
	run_until_back(&f, 1);
	ck_assert_int_eq(job.status, CS_EAGAIN);
	ck_assert_str_eq(job.err.text, "the certificate helper does not answer in time");
	ck_assert_uint_ge(uv_now(&f.loop) - began, IKE_CERT_WAIT_MS - 5);
	ck_assert_uint_le(uv_now(&f.loop) - began, IKE_CERT_WAIT_MS + 3000);
	start_helper(&f);
	ck_assert_int_eq(ike_cert_client_submit(f.client, &later), IKE_LATER);
	run_until_back(&f, 2);
	ck_assert_int_eq(later.status, 0);
	ike_cert_client_stats(f.client, &stats);
	ck_assert_uint_eq(stats.timeouts, 1);
	finish(&f);
	helper_ended(&f);
}
END_TEST

/* ---- a worker that is not what it should be ---- */

START_TEST(hostile_requests)
{
	static const struct {
		const char *data;
		size_t len;
	} cases[] = {{"\x07", 1}, {"nonsense", 8}, {"\x01\0\0\0\1\1\0", 7}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int pair[2];
		struct cs_err err;

		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		ck_assert_int_eq(send(pair[0], cases[i].data, cases[i].len, 0),
				 (ssize_t)cases[i].len);
		ck_assert_int_eq(ike_cert_serve(pair[1], &ring, 0, &err), CS_EPARSE);
		close(pair[0]);
		close(pair[1]);
	}
}
END_TEST

/* A job that takes too long ends the helper, and only a job: waiting for one takes as long as it
 * takes. */
START_TEST(time_limit)
{
	struct ike_cert_job job = job_of(IKE_CERT_SIGN);
	uint8_t packet[1024];
	int pair[2], status;
	struct cs_err err;
	size_t len;
	pid_t pid;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	pid = fork();
	if (pid == 0) {
		signal(SIGALRM, SIG_DFL);
		close(pair[0]);
		_exit(ike_cert_serve(pair[1], &ring, 1, NULL) == 0 ? 0 : 1);
	}
	close(pair[1]);
	sleep(2);
	ck_assert_int_eq(ike_cert_put_request(1, &job, packet, sizeof(packet), &len, &err), 0);
	ck_assert_int_eq(send(pair[0], packet, len, 0), (ssize_t)len);
	ck_assert_int_gt(recv(pair[0], packet, sizeof(packet), MSG_TRUNC), 0);
	strcpy(job.by_label, FOR_EVER);
	ck_assert_int_eq(ike_cert_put_request(2, &job, packet, sizeof(packet), &len, &err), 0);
	ck_assert_int_eq(send(pair[0], packet, len, 0), (ssize_t)len);
	ck_assert_int_eq(recv(pair[0], packet, sizeof(packet), MSG_TRUNC), 0);
	close(pair[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cert");
	TCase *tc = tcase_create("cert");

	make_keys();
	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, sign_and_verify);
	tcase_add_test(tc, sign_by_label);
	tcase_add_test(tc, own_by_ca);
	tcase_add_test(tc, names_of_cas);
	tcase_add_test(tc, supported_cas_are_trusted);
	tcase_add_test(tc, request_there_and_back);
	tcase_add_test(tc, request_limits);
	tcase_add_test(tc, answer_there_and_back);
	tcase_add_test(tc, many_jobs);
	tcase_add_test(tc, large_jobs);
	tcase_add_test(tc, helper_dies);
	tcase_add_test(tc, poison);
	tcase_add_test(tc, absent);
	tcase_add_test(tc, too_many);
	tcase_add_test(tc, unsendable);
	tcase_add_test(tc, from_within_the_callback);
	tcase_add_test(tc, stop_gives_everything_back);
	tcase_add_test(tc, odd_answers);
	tcase_add_test(tc, malformed_answers);
	tcase_add_test(tc, no_answer);
	tcase_add_test(tc, hostile_requests);
	tcase_add_test(tc, time_limit);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
