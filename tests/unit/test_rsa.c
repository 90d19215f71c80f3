/*
 * RSA signatures: two engines and two keyrings in both modes, identities of every kind, and each
 * check that a proof can fail, with what both sides say and that nothing stays behind.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "iked/engine_private.h"
#include "tests/unit/engine_pair.h"
#include "tests/unit/pki_make.h"
#include "tests/unit/run_suite.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define SETTLE   30 /* milliseconds after Aggressive Mode's message 3 */
#define RSA      "AES_CBC KeyLength 128|SHA2_256|Group19/RsaSignature"
#define PSK      "AES_CBC KeyLength 128|SHA2_256|Group19"
#define SAN_A    "IP:192.0.2.1,IP:2001:db8:1::1,DNS:hosta.example.com,email:ops@hosta.example.com"
#define SAN_B    "IP:198.51.100.2,IP:2001:db8:2::2,DNS:hostb.example.com,email:ops@hostb.example.com"

/* A side's keyring, and what becomes of the jobs that it does. */
enum tamper { RIGHT, WRONG_SIGNATURE, OTHER_KEY, NO_CERTS, MANY_CERTS };
struct holder {
	struct ike_cert_ring ring, sign; /* sign: signs in the place of ring, if it has a keyring */
	enum tamper tamper;
	const char *label; /* signs with this certificate, whatever it is worth */
	unsigned n[IKE_CERT_VERIFY + 1], asked;
};
static struct holder holders[2];
static X509 *root, *middle, *other;
static const struct pki_strength usual;

static void do_job(void *arg, struct ike_cert_job *job)
{
	struct holder *h = arg;

	h->n[job->kind]++;
	if (job->kind == IKE_CERT_SIGN) {
		h->asked = job->cas.n;
		if (h->label)
			strcpy(job->by_label, h->label);
		ike_cert_run(h->sign.keyring ? &h->sign : &h->ring, job);
	} else {
		ike_cert_run(&h->ring, job);
	}
	if (job->kind != IKE_CERT_SIGN || job->status)
		return;
	if (h->tamper == WRONG_SIGNATURE)
		job->made[7] ^= 1;
	else if (h->tamper == OTHER_KEY)
		ck_assert(!pki_sign(rsa_b, job->hash, &usual, job->made, &job->made_len, NULL));
	else if (h->tamper == NO_CERTS)
		job->out.n = 0;
	else if (h->tamper == MANY_CERTS)
		while (job->out.n < IKE_CERT_LIST_MAX)
			job->out.item[job->out.n++] = (struct cs_bytes){job->made, 4};
}

/* ---- keyrings ---- */

static void put_host(const char *label, X509 *cert, EVP_PKEY *key)
{
	put_cert(label, cert);
	put_key(label, key);
	X509_free(cert);
}

static X509 *host_cert(unsigned i)
{
	return i == 0 ? mk_host("CN=hosta,O=Example", SAN_A, rsa_c, middle, rsa_b)
		      : mk_host("CN=hostb,O=Example", SAN_B, rsa_d, root, rsa_a);
}

/* Takes the certificate. */
static void fill_ring(struct ike_cert_ring *ring, unsigned i, X509 *cert, X509 *ca,
		      const char *ca_label, X509_CRL *crl)
{
	new_dir();
	put_cert(ca_label, ca);
	if (i == 0)
		put_cert("Middle", middle);
	put_host(i == 0 ? "hosta" : "hostb", cert, i == 0 ? rsa_c : rsa_d);
	if (crl)
		put_crl("ca.crl", crl);
	*ring = (struct ike_cert_ring){.keyring = load_ring()};
	remove_dir();
}

/* Side 0 has a certificate of the intermediate CA, which side 1 does not know. */
static void setup(void)
{
	root = mk_ca("CN=Root,O=Example,C=US", rsa_a, NULL, NULL);
	middle = mk_ca("CN=Middle,O=Example,C=US", rsa_b, root, rsa_a);
	other = mk_ca("CN=Other,O=Elsewhere,C=US", rsa_b, NULL, NULL);
	memset(holders, 0, sizeof(holders));
	for (unsigned i = 0; i < 2; i++)
		fill_ring(&holders[i].ring, i, host_cert(i), root, "Root", NULL);
}

static void empty_ring(struct ike_cert_ring *ring)
{
	pki_keyring_free(ring->keyring);
	*ring = (struct ike_cert_ring){.keyring = NULL};
}

static void teardown(void)
{
	for (unsigned i = 0; i < 2; i++) {
		empty_ring(&holders[i].ring);
		empty_ring(&holders[i].sign);
	}
	X509_free(root);
	X509_free(middle);
	X509_free(other);
}

/* ---- pairs ---- */

static struct pair *new_pair(const struct pair_policy *a, const struct pair_policy *b)
{
	struct pair *p = pair_new(a, b);

	p->now.wall = T0;
	for (unsigned i = 0; i < 2; i++) {
		p->side[i].cert = do_job;
		p->side[i].cert_arg = &holders[i];
	}
	return p;
}

static struct pair_policy in_mode(unsigned mode)
{
	return (struct pair_policy){.ke_offers = RSA,
				    .how_to_initiate = mode ? "Aggressive" : "Main",
				    .how_to_respond = mode ? "Aggressive" : "Main"};
}

static int see_method(void *arg, const struct ike_p1_info *info)
{
	ck_assert_uint_eq(info->suite.auth, POL_AUTH_RSA);
	ck_assert_int_eq(info->state, IKE_P1_DONE);
	++*(unsigned *)arg;
	return 0;
}

static void expect_signed(struct pair *p)
{
	unsigned seen = 0;

	pair_expect_up(p);
	for (unsigned i = 0; i < 2; i++) {
		ike_engine_each_p1(p->side[i].e, see_method, &seen);
		ck_assert_uint_eq(holders[i].n[IKE_CERT_CAS], 1);
		ck_assert_uint_eq(holders[i].n[IKE_CERT_SIGN], 1);
		ck_assert_uint_eq(holders[i].n[IKE_CERT_VERIFY], 1);
		ck_assert_uint_eq(pair_complaints(&p->side[i], NULL), 0);
	}
	ck_assert_uint_eq(seen, 2);
}

/* ---- what works ---- */

static const struct {
	const char *a, *b;
	bool ipv6;
} ids[] = {
	{"IpAddr 192.0.2.1", "IpAddr 198.51.100.2", false},
	{"IpAddr 2001:db8:1::1", "IpAddr 2001:db8:2::2", true},
	{"Fqdn hosta.example.com", "Fqdn hostb.example.com", false},
	{"UserAtFqdn ops@hosta.example.com", "UserAtFqdn ops@hostb.example.com", false},
	{"X500dn CN=hosta,O=Example", "X500dn CN=hostb,O=Example", false},
};

/* Both modes, either side as initiator. */
START_TEST(identities)
{
	unsigned from = (unsigned)_i & 1;
	struct pair_policy a = in_mode((unsigned)_i >> 1 & 1), b = a;
	unsigned id = (unsigned)_i >> 2;
	struct pair *p;

	a.local_id = b.remote_id = ids[id].a;
	a.remote_id = b.local_id = ids[id].b;
	a.ipv6 = b.ipv6 = ids[id].ipv6;
	p = new_pair(&a, &b);
	pair_acquire(p, from);
	pair_wait(p, SETTLE);
	expect_signed(p);
	pair_free(p);
}
END_TEST

/* The CA's name goes out as a request and comes back as what the certificate is chosen by. */
START_TEST(requests)
{
	struct pair_policy o = in_mode((unsigned)_i);
	struct pair *p;

	o.ca_labels = "CaLabel Root";
	p = new_pair(&o, &o);
	pair_acquire(p, 0);
	pair_wait(p, SETTLE);
	expect_signed(p);
	ck_assert_uint_eq(holders[0].asked, 1);
	ck_assert_uint_eq(holders[1].asked, 1);
	pair_free(p);
}
END_TEST

/* Every job of both kinds comes back later. */
START_TEST(jobs_later)
{
	struct pair_policy o = in_mode((unsigned)_i);
	struct pair *p = new_pair(&o, &o);

	for (unsigned i = 0; i < 2; i++)
		p->side[i].jobs_later = p->side[i].certs_later = true;
	pair_acquire(p, 0);
	for (unsigned i = 0; i < 20; i++) {
		pair_jobs(p);
		pair_wait(p, SETTLE);
	}
	expect_signed(p);
	pair_free(p);
}
END_TEST

/* The exchange ends while the nth certificate job is away; the job comes back to nobody. */
START_TEST(orphans)
{
	struct pair_policy o = in_mode((unsigned)_i & 1);
	unsigned stop = (unsigned)_i >> 1, seen = 0;
	struct pair *p = new_pair(&o, &o);
	bool stopped = false;

	p->side[0].certs_later = p->side[1].certs_later = true;
	pair_acquire(p, 0);
	for (unsigned i = 0; i < 20 && !stopped; i++) {
		if (p->side[0].n_cert_jobs + p->side[1].n_cert_jobs && seen++ == stop) {
			ck_assert(!ike_engine_deactivate_p1(p->side[0].e, 1, p->now, NULL));
			pair_wait(p, 300000);
			ck_assert_uint_gt(p->side[0].n_cert_jobs + p->side[1].n_cert_jobs, 0);
			stopped = true;
		}
		pair_jobs(p);
		pair_wait(p, 1);
	}
	ck_assert(stopped);
	pair_expect_nothing(p);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_live + pair_stats(p, 1)->p1_live, 0);
	pair_free(p);
}
END_TEST

START_TEST(refresh)
{
	struct pair_policy o = in_mode((unsigned)_i);
	struct pair *p = new_pair(&o, &o);
	struct cs_err err = {0};

	pair_acquire(p, 0);
	pair_wait(p, SETTLE);
	expect_signed(p);
	ck_assert_msg(!ike_engine_refresh_p1(p->side[0].e, 1, p->now, &err), "%s", err.text);
	pair_wait(p, 1000);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(p->side[i].n_records[IKE_REC_P1_UP], 2);
		ck_assert_uint_eq(holders[i].n[IKE_CERT_VERIFY], 2);
		ck_assert_uint_eq(pair_complaints(&p->side[i], NULL), 0);
	}
	pair_free(p);
}
END_TEST

/* Without a keyring offers with signatures are as if they were not there. */
START_TEST(no_keyring)
{
	struct pair_policy both = in_mode((unsigned)_i), only = both;
	struct pair *p;

	both.ke_offers = RSA ";" PSK;
	p = new_pair(&both, &both);
	for (unsigned i = 0; i < 2; i++)
		ike_engine_keyring(p->side[i].e, false);
	pair_acquire(p, 0);
	pair_wait(p, SETTLE);
	pair_expect_up(p);
	ck_assert_uint_eq(holders[0].n[IKE_CERT_CAS], 0);
	pair_free(p);

	p = new_pair(&only, &only);
	ike_engine_keyring(p->side[1].e, false);
	pair_acquire(p, 0);
	pair_wait(p, 200000);
	pair_expect_nothing(p);
	ck_assert_uint_eq(pair_complaints(&p->side[1], "no phase 1 offer") +
				  pair_complaints(&p->side[1], "peer offered"),
			  1);
	pair_free(p);
}
END_TEST

/* ---- what does not ---- */

enum make { PLAIN, WRONG_CA, EXPIRED, REVOKED, OTHER_NAME };

/* Of side i's proof. */
static const struct failure {
	const char *name;
	enum make make;
	enum tamper tamper;
	const char *refusal, *told; /* by who checks; by who is refused */
} failures[] = {
	{"wrong CA", WRONG_CA, RIGHT, "certificate is refused", "INVALID-CERT-AUTHORITY"},
	{"expired", EXPIRED, RIGHT, "expired", "INVALID-CERTIFICATE"},
	{"revoked", REVOKED, RIGHT, "revoked", "INVALID-CERTIFICATE"},
	{"another name", OTHER_NAME, RIGHT, "certificate is refused", "INVALID-ID-INFORMATION"},
	{"a wrong signature", PLAIN, WRONG_SIGNATURE, "signature is refused", "INVALID-SIGNATURE"},
	{"another's signature", PLAIN, OTHER_KEY, "signature is refused", "INVALID-SIGNATURE"},
	{"no CERT", PLAIN, NO_CERTS, "certificate is refused", "INVALID-ID-INFORMATION"},
	{"many CERTs", PLAIN, MANY_CERTS, "certificate is refused", "INVALID-CERT"},
};

static X509 *bad_cert(enum make make, unsigned i)
{
	struct mk m = {.subject = i == 0 ? "CN=hosta,O=Example" : "CN=hostb,O=Example",
		       .san = i == 0 ? SAN_A : SAN_B,
		       .key = i == 0 ? rsa_c : rsa_d,
		       .issuer = root,
		       .issuer_key = rsa_a};

	if (make == WRONG_CA) {
		m.issuer = other;
		m.issuer_key = rsa_b;
	} else if (make == EXPIRED) {
		m.from = -20;
		m.to = -10;
	} else if (make == OTHER_NAME) {
		m.san = "IP:203.0.113.77,DNS:elsewhere.example.com";
	}
	return mk_cert(&m);
}

/* Side i's certificate is another one; what its own keyring would refuse it signs all the same. */
static void spoil(const struct failure *f, unsigned i)
{
	struct holder *h = &holders[i];

	h->tamper = f->tamper;
	if (f->make == PLAIN)
		return;
	if (f->make == REVOKED) {
		X509 *cert = bad_cert(PLAIN, i), *copy = X509_dup(cert);
		X509_CRL *crl = mk_crl(&(struct mk_crl){
			.issuer = root, .key = rsa_a, .revoked = {copy}, .from = -5, .to = 5});

		empty_ring(&h->ring);
		fill_ring(&h->ring, i, cert, root, "Root", NULL);
		empty_ring(&holders[!i].ring);
		fill_ring(&holders[!i].ring, !i, host_cert(!i), root, "Root", crl);
		X509_CRL_free(crl);
		X509_free(copy);
		return;
	}
	h->label = i == 0 ? "hosta" : "hostb";
	fill_ring(&h->sign, i, bad_cert(f->make, i), f->make == WRONG_CA ? other : root,
		  f->make == WRONG_CA ? "Other" : "Root", NULL);
}

/* The side that checks says which check failed, the other one what it was told; both in each role.
 */
START_TEST(refused)
{
	unsigned bad = (unsigned)_i & 1, mode = (unsigned)_i >> 1 & 1;
	const struct failure *f = &failures[_i >> 2];
	struct pair_policy o = in_mode(mode);
	struct pair *p;

	spoil(f, bad);
	p = new_pair(&o, &o);
	pair_acquire(p, 0);
	pair_wait(p, 300000);
	ck_assert_msg(pair_complaints(&p->side[!bad], f->refusal) >= 1,
		      "%s, side %u bad, mode %u:\n%s", f->name, bad, mode, p->side[!bad].log);
	ck_assert_msg(pair_complaints(&p->side[bad], f->told) >= 1, "%s, side %u bad, mode %u:\n%s",
		      f->name, bad, mode, p->side[bad].log);
	pair_expect_nothing(p);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(pair_stats(p, i)->p1_live, 0);
		ck_assert_uint_eq(pair_stats(p, i)->half_open, 0);
		ck_assert_uint_eq(pair_stats(p, i)->p2_up, 0);
	}
	ck_assert_uint_ge(pair_stats(p, !bad)->auth_failures, 1);
	pair_free(p);
}
END_TEST

/* No certificate of ours is for our identity: we say so, and the peer learns it where it can. */
START_TEST(no_own_certificate)
{
	unsigned bad = (unsigned)_i & 1;
	struct pair_policy o = in_mode((unsigned)_i >> 1), named = o;
	struct pair *p;

	named.local_id = "Fqdn nobody.example.com";
	o.remote_id = "Fqdn nobody.example.com";
	p = bad ? new_pair(&o, &named) : new_pair(&named, &o);
	pair_acquire(p, 0);
	pair_wait(p, 300000);
	ck_assert_msg(pair_complaints(&p->side[bad], "cannot be proved with a certificate"), "%s",
		      p->side[bad].log);
	pair_expect_nothing(p);
	ck_assert_uint_eq(pair_stats(p, 0)->p1_live + pair_stats(p, 1)->p1_live, 0);
	pair_free(p);
}
END_TEST

START_TEST(revocation)
{
	struct pair_policy none = in_mode(0), strict = none;
	struct pair *p;

	none.revocation = "None";
	strict.revocation = "Strict";
	p = new_pair(&strict, &strict);
	pair_acquire(p, 0);
	pair_wait(p, 300000);
	ck_assert_msg(pair_complaints(&p->side[1], "certificate is refused"), "%s", p->side[1].log);
	pair_expect_nothing(p);
	pair_free(p);

	spoil(&(struct failure){.make = REVOKED}, 0);
	memset(holders[0].n, 0, sizeof(holders[0].n));
	memset(holders[1].n, 0, sizeof(holders[1].n));
	p = new_pair(&none, &none);
	pair_acquire(p, 0);
	expect_signed(p);
	pair_free(p);
}
END_TEST

/* A CA of the keyring that the rule does not name is none. */
START_TEST(labelled_ca)
{
	struct pair_policy a = in_mode((unsigned)_i), b = a;
	struct pair *p;

	a.ca_labels = "CaLabel Middle";
	p = new_pair(&a, &b);
	pair_acquire(p, 0);
	pair_wait(p, 300000);
	ck_assert_uint_eq(pair_stats(p, 0)->p2_up, 0);
	ck_assert_msg(pair_said(&p->side[0], "certificate is refused"), "%s", p->side[0].log);
	pair_expect_nothing(p);
	pair_free(p);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rsa");
	TCase *tc = tcase_create("rsa");

	if (!pair_crypto())
		return EXIT_FAILURE;
	make_keys();
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, identities, 0, 4 * COUNT(ids));
	tcase_add_loop_test(tc, requests, 0, 2);
	tcase_add_loop_test(tc, jobs_later, 0, 2);
	tcase_add_loop_test(tc, orphans, 0, 8);
	tcase_add_loop_test(tc, refresh, 0, 2);
	tcase_add_loop_test(tc, no_keyring, 0, 2);
	tcase_add_loop_test(tc, refused, 0, 4 * COUNT(failures));
	tcase_add_loop_test(tc, no_own_certificate, 0, 4);
	tcase_add_test(tc, revocation);
	tcase_add_loop_test(tc, labelled_ca, 0, 2);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
