/* What is made: certificates, requests, CRLs; judged by our own check and by the openssl program.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"
#include "tests/unit/pki_make.h"
#include "tests/unit/run_suite.h"

static const struct pki_san sans[] = {
	{POL_ID_IPV4_ADDR, "192.0.2.1"},
	{POL_ID_IPV6_ADDR, "2001:db8::1"},
	{POL_ID_FQDN, "hosta.example.com"},
	{POL_ID_USER_FQDN, "ops@example.com"},
};
static const struct pki_spec ca_spec = {.subject = "CN=Root,O=Ex\\, Inc.,C=US",
					.ca = true,
					.path_length = -1,
					.not_before = T0 - DAY,
					.not_after = T0 + 3650L * DAY};
static const struct pki_spec host_spec = {.subject = "CN=hosta,O=Example",
					  .sans = sans,
					  .n_sans = 4,
					  .path_length = -1,
					  .not_before = T0 - DAY,
					  .not_after = T0 + 365L * DAY};

static void setup(void)
{
	new_dir();
}

static void teardown(void)
{
	remove_dir();
}

static X509 *issued(const struct pki_spec *spec, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key)
{
	struct cs_err err;
	X509 *cert;

	ck_assert_msg(pki_issue(spec, key, issuer, issuer_key, &cert, &err) == 0, "%s", err.text);
	return cert;
}

/* By the openssl program; the clock of the tests is given to it. */
static int openssl_verifies(const char *ca, const char *cert, const char *crl)
{
	char at[32];
	const char *argv[14] = {"openssl", "verify", "-attime", at, "-x509_strict", "-CAfile", ca};
	int n = 7;

	snprintf(at, sizeof(at), "%d", T0);
	if (crl) {
		argv[n++] = "-crl_check";
		argv[n++] = "-CRLfile";
		argv[n++] = crl;
	}
	argv[n++] = cert;
	return run(argv);
}

START_TEST(kinds_of_keys)
{
	static const char *const kinds[] = {"rsa:2048", "RSA:3072", "ec:256", "ec:384", "ec:521"};
	struct cs_err err;
	EVP_PKEY *key;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		X509 *ca, *host;

		ck_assert_msg(pki_key_make(kinds[i], &key, &err) == 0, "%s", err.text);
		ca = issued(&ca_spec, key, NULL, NULL);
		host = issued(&host_spec, rsa_c, ca, key);
		put_cert("ca", ca);
		put_cert("host", host);
		ck_assert_msg(openssl_verifies(in_dir("ca.pem"), in_dir("host.pem"), NULL) == 0,
			      "%s: %s", kinds[i], out_text());
		X509_free(host);
		X509_free(ca);
		EVP_PKEY_free(key);
	}
	ck_assert_int_eq(pki_key_make("rsa:1024", &key, &err), CS_EINVAL);
	ck_assert_int_eq(pki_key_make("", &key, &err), CS_EINVAL);
}
END_TEST

START_TEST(as_a_peer_sees_it)
{
	X509 *ca = issued(&ca_spec, rsa_a, NULL, NULL);
	X509 *host = issued(&host_spec, rsa_c, ca, rsa_a);
	struct cs_bytes der = der_of(host), dn = der_of_name(X509_get_subject_name(host));
	static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
	const struct pki_id ids[] = {
		{POL_ID_IPV4_ADDR, {(const uint8_t *)"\xc0\x00\x02\x01", 4}},
		{POL_ID_IPV6_ADDR, {v6, 16}},
		{POL_ID_FQDN, {(const uint8_t *)"hosta.example.com", 17}},
		{POL_ID_USER_FQDN, {(const uint8_t *)"ops@example.com", 15}},
		{POL_ID_DER_ASN1_DN, dn},
	};
	struct pki_keyring *ring;

	put_cert("Root", ca);
	ring = load_ring();
	ck_assert_str_eq(notes, "");
	ck_assert_str_eq(pki_entry_info(pki_keyring_find(ring, "Root"))->subject,
			 "CN=Root,O=Ex\\, Inc.,C=US");
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		const struct pki_peer p = {.id = ids[i], .certs = &der, .n_certs = 1, .now = T0};
		struct pki_verdict v;
		struct cs_err err;

		ck_assert_msg(pki_peer_check(ring, &p, &v, &err) == 0, "%zu: %s", i, err.text);
		pki_key_free(v.key);
	}
	pki_keyring_free(ring);
	pki_bytes_free(&der);
	pki_bytes_free(&dn);
	X509_free(ca);
	X509_free(host);
}
END_TEST

START_TEST(specs_refused)
{
	X509 *ca = issued(&ca_spec, rsa_a, NULL, NULL),
	     *host = issued(&host_spec, rsa_c, ca, rsa_a);
	X509 *last, *made;
	const struct {
		struct pki_san san;
		const char *subject;
		int64_t not_after;
		const char *why;
	} cases[] = {
		{{POL_ID_IPV4_ADDR, "192.0.2.256"}, NULL, 0, "192.0.2.256"},
		{{POL_ID_IPV4_ADDR, "2001:db8::1"}, NULL, 0, "other family"},
		{{POL_ID_FQDN, "host a"}, NULL, 0, "is not a host name"},
		{{POL_ID_FQDN, ""}, NULL, 0, "is not a host name"},
		{{POL_ID_FQDN, "*.example.com"}, NULL, 0, "is not a host name"},
		{{POL_ID_FQDN, "a..b"}, NULL, 0, "is not a host name"},
		{{POL_ID_USER_FQDN, "example.com"}, NULL, 0, "is not user@host"},
		{{POL_ID_USER_FQDN, "@example.com"}, NULL, 0, "is not user@host"},
		{{POL_ID_USER_FQDN, "a\nb@example.com"}, NULL, 0, "characters that no name has"},
		{{POL_ID_KEY_ID, "x"}, NULL, 0, "no names of type ID_KEY_ID"},
		{{POL_ID_FQDN, "a"}, "nonsense", 0, "nonsense"},
		{{POL_ID_FQDN, "a"}, "CN=", 0, "has no value"},
		{{POL_ID_FQDN, "a"}, "CN=*", 0, "'*'"},
		{{POL_ID_FQDN, "a"}, "C=Germany", 0, "a value does not fit its type"},
		{{POL_ID_FQDN, "a"}, NULL, T0 - 2 * DAY, "would end before it begins"},
		{{POL_ID_FQDN, "a"}, NULL, T0 + 4000L * DAY, "the issuer's certificate ends"},
	};
	struct pki_spec spec = ca_spec;
	struct cs_err err;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pki_spec s = host_spec;

		s.sans = &cases[i].san;
		s.n_sans = 1;
		if (cases[i].subject)
			s.subject = cases[i].subject;
		if (cases[i].not_after)
			s.not_after = cases[i].not_after;
		ck_assert_msg(pki_issue(&s, rsa_c, ca, rsa_a, &made, &err) < 0, "case %zu", i);
		ck_assert_msg(strstr(err.text, cases[i].why) != NULL, "case %zu: %s", i, err.text);
	}
	ck_assert_int_eq(pki_issue(&host_spec, rsa_c, ca, rsa_b, &made, &err), CS_EINVAL);
	ck_assert_int_eq(pki_issue(&host_spec, rsa_d, host, rsa_c, &made, &err), CS_EINVAL);
	spec.path_length = 0;
	last = issued(&spec, rsa_b, ca, rsa_a);
	ck_assert_int_eq(pki_issue(&ca_spec, rsa_d, last, rsa_b, &made, &err), CS_EINVAL);
	made = issued(&host_spec, rsa_d, last, rsa_b);
	X509_free(made);
	X509_free(last);
	X509_free(host);
	X509_free(ca);
}
END_TEST

static X509_REQ *read_request(const char *file)
{
	struct cs_bytes bytes = get_file(file);
	struct pki_found found;
	struct cs_err err;
	X509_REQ *request;

	ck_assert_msg(pki_found_parse(bytes, NULL, &found, &err) == 0, "%s", err.text);
	ck_assert_ptr_nonnull(found.request);
	request = found.request;
	found.request = NULL;
	pki_found_free(&found);
	pki_bytes_free(&bytes);
	return request;
}

/* Ours is signed by openssl's program, openssl's by us. */
START_TEST(requests)
{
	static const char ext[] = "subjectAltName=DNS:hosta.example.com\n";
	static const char names[] = "subjectAltName=IP:192.0.2.7,DNS:t.example,URI:http://x,"
				    "email:a@t.example";
	X509 *ca = issued(&ca_spec, rsa_a, NULL, NULL), *cert;
	X509_REQ *request;
	struct cs_bytes bytes;
	struct pki_info info;
	struct cs_err err;

	put_cert("ca", ca);
	put_key("ca", rsa_a);
	put_key("host", rsa_c);
	put_file("ext", ext, sizeof(ext) - 1, 0600);
	ck_assert_int_eq(pki_request_make(&host_spec, rsa_c, &request, &err), 0);
	ck_assert_int_eq(pki_request_bytes(request, &bytes, &err), 0);
	put_file("host.req", bytes.p, bytes.len, 0600);
	ck_assert_int_eq(run((const char *const[]){"openssl", "req", "-in", in_dir("host.req"),
						   "-verify", "-noout", "-text", NULL}),
			 0);
	ck_assert(out_has("email:ops@example.com"));
	ck_assert_int_eq(run((const char *const[]){
				 "openssl", "x509", "-req", "-in", in_dir("host.req"), "-CA",
				 in_dir("ca.pem"), "-CAkey", in_dir("ca.key"), "-extfile",
				 in_dir("ext"), "-out", in_dir("host.pem"), NULL}),
			 0);
	X509_REQ_free(request);
	pki_bytes_free(&bytes);

	ck_assert_int_eq(
		run((const char *const[]){"openssl", "req", "-new", "-key", in_dir("host.key"),
					  "-subj", "/O=Example/CN=theirs", "-addext", names, "-out",
					  in_dir("theirs.req"), NULL}),
		0);
	request = read_request("theirs.req");
	ck_assert_msg(pki_request_sign(request, T0 - DAY, T0 + DAY, ca, rsa_a, &cert, &err) == 0,
		      "%s", err.text);
	ck_assert_int_eq(pki_cert_info(cert, &info, &err), 0);
	ck_assert_str_eq(info.subject, "CN=theirs,O=Example");
	ck_assert(!info.is_ca);
	ck_assert_uint_eq(info.n_names, 3); /* the URI is left out */
	ck_assert_str_eq(info.names[0], "IP:192.0.2.7");
	ck_assert_str_eq(info.names[2], "EMAIL:a@t.example");
	pki_info_clear(&info);
	put_cert("theirs", cert);
	ck_assert_int_eq(openssl_verifies(in_dir("ca.pem"), in_dir("theirs.pem"), NULL), 0);
	X509_free(cert);
	X509_REQ_free(request);
	X509_free(ca);
}
END_TEST

START_TEST(request_without_its_key)
{
	X509 *ca = issued(&ca_spec, rsa_a, NULL, NULL), *cert;
	X509_REQ *request;
	struct cs_err err;

	ck_assert_int_eq(pki_request_make(&host_spec, rsa_c, &request, &err), 0);
	ck_assert_int_eq(X509_REQ_sign(request, rsa_b, EVP_sha256()) > 0, 1);
	ck_assert_int_eq(pki_request_sign(request, T0, T0 + DAY, ca, rsa_a, &cert, &err), CS_EAUTH);
	X509_REQ_free(request);
	/* Nor with a key that is too small. */
	ck_assert_int_eq(pki_request_make(&host_spec, rsa_small, &request, &err), 0);
	ck_assert_int_eq(pki_request_sign(request, T0, T0 + DAY, ca, rsa_a, &cert, &err), CS_EAUTH);
	X509_REQ_free(request);
	X509_free(ca);
}
END_TEST

START_TEST(crls)
{
	X509 *ca = issued(&ca_spec, rsa_a, NULL, NULL);
	X509 *host = issued(&host_spec, rsa_c, ca, rsa_a),
	     *other = issued(&host_spec, rsa_d, ca, rsa_a);
	struct pki_revoke revoke = {NULL, NULL};
	X509_CRL *first, *next, *none;
	struct pki_info info;
	struct cs_err err;

	put_cert("ca", ca);
	put_cert("host", host);
	put_cert("other", other);
	ck_assert_msg(
		pki_crl_make(ca, rsa_a, NULL, &revoke, T0 - 60, T0 + 30 * DAY, &first, &err) == 0,
		"%s", err.text);
	put_crl("first", first);
	ck_assert_int_eq(
		openssl_verifies(in_dir("ca.pem"), in_dir("host.pem"), in_dir("first.crl")), 0);
	ck_assert_int_eq(pki_cert_info(host, &info, &err), 0);
	revoke = (struct pki_revoke){info.serial, "keyCompromise"};
	ck_assert_msg(
		pki_crl_make(ca, rsa_a, first, &revoke, T0 - 30, T0 + 30 * DAY, &next, &err) == 0,
		"%s", err.text);
	put_crl("next", next);
	ck_assert_int_ne(openssl_verifies(in_dir("ca.pem"), in_dir("host.pem"), in_dir("next.crl")),
			 0);
	ck_assert(out_has("certificate revoked"));
	ck_assert_int_eq(
		openssl_verifies(in_dir("ca.pem"), in_dir("other.pem"), in_dir("next.crl")), 0);
	ck_assert_int_eq(run((const char *const[]){"openssl", "crl", "-in", in_dir("next.crl"),
						   "-noout", "-text", NULL}),
			 0);
	ck_assert(out_has("Key Compromise"));
	ck_assert(out_has("X509v3 CRL Number: \n"
			  "                2"));
	ck_assert_int_eq(pki_crl_make(ca, rsa_a, next, &revoke, T0, T0 + DAY, &none, &err),
			 CS_EEXIST);
	revoke.serial = "xyz";
	ck_assert_int_eq(pki_crl_make(ca, rsa_a, next, &revoke, T0, T0 + DAY, &none, &err),
			 CS_EINVAL);
	revoke = (struct pki_revoke){"01", "boredom"};
	ck_assert_int_eq(pki_crl_make(ca, rsa_a, next, &revoke, T0, T0 + DAY, &none, &err),
			 CS_EINVAL);
	revoke.reason = NULL;
	ck_assert_int_eq(pki_crl_make(host, rsa_c, NULL, &revoke, T0, T0 + DAY, &none, &err),
			 CS_EINVAL);
	ck_assert_int_eq(pki_crl_make(ca, rsa_b, NULL, &revoke, T0, T0 + DAY, &none, &err),
			 CS_EINVAL);
	pki_info_clear(&info);
	X509_CRL_free(first);
	X509_CRL_free(next);
	X509_free(other);
	X509_free(host);
	X509_free(ca);
}
END_TEST

/* Each form in which somebody may bring something; made by openssl's program. */
START_TEST(forms)
{
	X509 *ca = issued(&ca_spec, rsa_a, NULL, NULL),
	     *host = issued(&host_spec, rsa_c, ca, rsa_a);
	static const struct {
		const char *argv[16];
		const char *password;
		bool key, cert;
		unsigned more;
		int status;
	} cases[] = {
		{{"x509", "-in", "host.pem", "-outform", "DER", "-out", "x"},
		 NULL,
		 false,
		 true,
		 0,
		 0},
		{{"x509", "-in", "host.pem", "-text", "-out", "x"}, NULL, false, true, 0, 0},
		{{"crl2pkcs7", "-nocrl", "-certfile", "host.pem", "-certfile", "ca.pem", "-out",
		  "x"},
		 NULL,
		 false,
		 true,
		 1,
		 0},
		{{"crl2pkcs7", "-nocrl", "-certfile", "ca.pem", "-outform", "DER", "-out", "x"},
		 NULL,
		 false,
		 true,
		 0,
		 0},
		{{"rsa", "-in", "host.key", "-traditional", "-out", "x"}, NULL, true, false, 0, 0},
		{{"rsa", "-in", "host.key", "-outform", "DER", "-out", "x"},
		 NULL,
		 true,
		 false,
		 0,
		 0},
		{{"pkcs8", "-topk8", "-in", "host.key", "-passout", "pass:geheim", "-out", "x"},
		 "geheim",
		 true,
		 false,
		 0,
		 0},
		{{"pkcs8", "-topk8", "-in", "host.key", "-passout", "pass:geheim", "-out", "x"},
		 NULL,
		 false,
		 false,
		 0,
		 CS_EAUTH},
		{{"pkcs8", "-topk8", "-in", "host.key", "-passout", "pass:geheim", "-out", "x"},
		 "falsch",
		 false,
		 false,
		 0,
		 CS_EAUTH},
		{{"rsa", "-in", "host.key", "-aes128", "-traditional", "-passout", "pass:geheim",
		  "-out", "x"},
		 "geheim",
		 true,
		 false,
		 0,
		 0},
		{{"pkcs12", "-export", "-in", "host.pem", "-inkey", "host.key", "-certfile",
		  "ca.pem", "-passout", "pass:geheim", "-out", "x"},
		 "geheim",
		 true,
		 true,
		 1,
		 0},
		{{"pkcs12", "-export", "-in", "host.pem", "-inkey", "host.key", "-passout",
		  "pass:", "-out", "x"},
		 NULL,
		 true,
		 true,
		 0,
		 0},
		{{"pkcs12", "-export", "-in", "host.pem", "-inkey", "host.key", "-passout",
		  "pass:geheim", "-out", "x"},
		 "falsch",
		 false,
		 false,
		 0,
		 CS_EAUTH},
		{{"rand", "-out", "x", "100"}, NULL, false, false, 0, CS_EPARSE},
	};

	put_cert("ca", ca);
	put_cert("host", host);
	put_key("host", rsa_c);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *argv[18] = {"openssl"};
		struct pki_found found;
		struct cs_bytes bytes;
		struct cs_err err;
		int status;

		for (int k = 0; cases[i].argv[k]; k++) {
			const char *word = cases[i].argv[k];

			argv[k + 1] =
				strchr(word, '.') || strcmp(word, "x") == 0 ? in_dir(word) : word;
		}
		ck_assert_msg(run(argv) == 0, "case %zu: %s", i, out_text());
		bytes = get_file("x");
		status = pki_found_parse(bytes, cases[i].password, &found, &err);
		ck_assert_msg(status == cases[i].status, "case %zu: %s", i, err.text);
		if (status == 0) {
			ck_assert_msg((found.key != NULL) == cases[i].key, "case %zu", i);
			ck_assert_msg((found.cert != NULL) == cases[i].cert, "case %zu", i);
			ck_assert_uint_eq(found.n_more, cases[i].more);
			if (found.key && found.cert)
				ck_assert(pki_key_fits(found.key, found.cert));
			pki_found_free(&found);
		}
		pki_bytes_free(&bytes);
	}
	X509_free(ca);
	X509_free(host);
}
END_TEST

/* RC2, as exports of old systems have it; as a keyring itself such a file does not serve. */
START_TEST(legacy_pkcs12)
{
	X509 *cert = issued(&ca_spec, rsa_a, NULL, NULL);
	struct pki_keyring *ring;
	struct pki_found found;
	struct cs_bytes bytes;
	struct cs_err err;

	put_cert("ca", cert);
	put_key("ca", rsa_a);
	ck_assert_int_eq(
		run((const char *const[]){"openssl", "pkcs12", "-export", "-legacy", "-certpbe",
					  "PBE-SHA1-RC2-40", "-in", in_dir("ca.pem"), "-inkey",
					  in_dir("ca.key"), "-passout", "pass:geheim", "-out",
					  in_dir("old.p12"), NULL}),
		0);
	bytes = get_file("old.p12");
	ck_assert_msg(pki_found_parse(bytes, "geheim", &found, &err) == 0, "%s", err.text);
	ck_assert(found.key && found.cert);
	pki_found_free(&found);
	put_file("old.p12", bytes.p, bytes.len, 0600);
	put_file("old.p12.pass", "geheim", 6, 0600);
	ck_assert_int_eq(pki_keyring_load(in_dir("old.p12"), NULL, NULL, &ring, &err), CS_ECRYPTO);
	pki_bytes_free(&bytes);
	X509_free(cert);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pki_issue");
	TCase *tc = tcase_create("issue");

	make_keys();
	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, kinds_of_keys);
	tcase_add_test(tc, as_a_peer_sees_it);
	tcase_add_test(tc, specs_refused);
	tcase_add_test(tc, requests);
	tcase_add_test(tc, request_without_its_key);
	tcase_add_test(tc, crls);
	tcase_add_test(tc, forms);
	tcase_add_test(tc, legacy_pkcs12);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
