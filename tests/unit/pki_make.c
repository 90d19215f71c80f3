/* Certificates and keyrings for tests. */
#include "tests/unit/pki_make.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/policy.h"

EVP_PKEY *rsa_a, *rsa_b, *rsa_c, *rsa_d, *rsa_small, *ec_a, *ec_small;
char notes[4096];
static char dir[64];

/* Not in a test: Check must not be asked. */
void make_keys(void)
{
	rsa_a = EVP_RSA_gen(2048);
	rsa_b = EVP_RSA_gen(2048);
	rsa_c = EVP_RSA_gen(2048);
	rsa_d = EVP_RSA_gen(2048);
	rsa_small = EVP_RSA_gen(1024);
	ec_a = EVP_EC_gen("P-256");
	ec_small = EVP_EC_gen("P-224");
	if (!rsa_a || !rsa_b || !rsa_c || !rsa_d || !rsa_small || !ec_a || !ec_small) {
		fputs("test keys cannot be made\n", stderr);
		exit(EXIT_FAILURE);
	}
}

/* ---- certificates ---- */

static X509_NAME *name_of(const char *text)
{
	const unsigned char *p;
	struct cs_err err;
	X509_NAME *name;
	uint8_t *der;
	size_t len;

	ck_assert_msg(pol_dn_encode(text, &der, &len, &err) == 0, "%s: %s", text, err.text);
	p = der;
	name = d2i_X509_NAME(NULL, &p, (long)len);
	ck_assert_ptr_nonnull(name);
	free(der);
	return name;
}

static void add_ext(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;

	if (!value || !value[0])
		return;
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509V3_set_ctx_nodb(&ctx);
	ext = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
	ck_assert_msg(ext != NULL, "%s", value);
	ck_assert_int_eq(X509_add_ext(cert, ext, -1), 1);
	X509_EXTENSION_free(ext);
}

static const char *or_usual(const char *given, const char *usual)
{
	return given ? given : usual;
}

X509 *mk_cert(const struct mk *m)
{
	static long serial = 1000;
	X509 *cert = X509_new(), *issuer = m->issuer ? m->issuer : cert;
	EVP_PKEY *issuer_key = m->issuer_key ? m->issuer_key : m->key;
	X509_NAME *subject = name_of(m->subject);
	int64_t from = m->from || m->to ? m->from : -10, to = m->from || m->to ? m->to : 365;

	X509_set_version(cert, m->version ? m->version - 1 : 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
	X509_set_subject_name(cert, subject);
	X509_set_issuer_name(cert, X509_get_subject_name(issuer));
	ASN1_TIME_set(X509_getm_notBefore(cert), T0 + from * DAY);
	ASN1_TIME_set(X509_getm_notAfter(cert), T0 + to * DAY);
	X509_set_pubkey(cert, m->key);
	if (m->version != 1) {
		add_ext(cert, issuer, NID_basic_constraints,
			or_usual(m->basic, m->ca ? "critical,CA:TRUE" : "CA:FALSE"));
		add_ext(cert, issuer, NID_key_usage,
			or_usual(m->usage,
				 m->ca ? "critical,keyCertSign,cRLSign" : "digitalSignature"));
		add_ext(cert, issuer, NID_subject_key_identifier, "hash");
		if (X509_get0_subject_key_id(issuer))
			add_ext(cert, issuer, NID_authority_key_identifier, "keyid");
		add_ext(cert, issuer, NID_ext_key_usage, m->purpose);
		add_ext(cert, issuer, NID_subject_alt_name, m->san);
		add_ext(cert, issuer, NID_name_constraints, m->constraints);
		add_ext(cert, issuer, m->more_nid, m->more);
	}
	ck_assert_int_gt(X509_sign(cert, issuer_key, m->md ? m->md : EVP_sha256()), 0);
	X509_NAME_free(subject);
	return cert;
}

X509 *mk_ca(const char *subject, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key)
{
	const struct mk m = {.subject = subject,
			     .key = key,
			     .issuer = issuer,
			     .issuer_key = issuer_key,
			     .ca = true};

	return mk_cert(&m);
}

X509 *mk_host(const char *subject, const char *san, EVP_PKEY *key, X509 *issuer,
	      EVP_PKEY *issuer_key)
{
	const struct mk m = {.subject = subject,
			     .san = san,
			     .key = key,
			     .issuer = issuer,
			     .issuer_key = issuer_key};

	return mk_cert(&m);
}

/* ---- CRLs ---- */

/* "onlyuser", "onlyCA", "onlysomereasons" or a URI of the distribution point. */
static void add_idp(X509_CRL *crl, const char *what)
{
	ISSUING_DIST_POINT *idp = ISSUING_DIST_POINT_new();
	GENERAL_NAME *name;
	ASN1_IA5STRING *uri;

	ck_assert_ptr_nonnull(idp);
	if (strcmp(what, "onlyuser") == 0) {
		idp->onlyuser = 0xff;
	} else if (strcmp(what, "onlyCA") == 0) {
		idp->onlyCA = 0xff;
	} else if (strcmp(what, "onlysomereasons") == 0) {
		idp->onlysomereasons = ASN1_BIT_STRING_new();
		ASN1_BIT_STRING_set_bit(idp->onlysomereasons, 1, 1);
	} else {
		idp->distpoint = DIST_POINT_NAME_new();
		idp->distpoint->type = 0;
		idp->distpoint->name.fullname = GENERAL_NAMES_new();
		name = GENERAL_NAME_new();
		uri = ASN1_IA5STRING_new();
		ASN1_STRING_set(uri, what, -1);
		GENERAL_NAME_set0_value(name, GEN_URI, uri);
		sk_GENERAL_NAME_push(idp->distpoint->name.fullname, name);
	}
	ck_assert_int_eq(X509_CRL_add1_ext_i2d(crl, NID_issuing_distribution_point, idp, 1, 0), 1);
	ISSUING_DIST_POINT_free(idp);
}

static void add_unknown(X509_CRL *crl)
{
	ASN1_OCTET_STRING *data = ASN1_OCTET_STRING_new();
	ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.4.1.99999.1", 1);
	X509_EXTENSION *ext;

	ASN1_OCTET_STRING_set(data, (const unsigned char *)"\x05\x00", 2);
	ext = X509_EXTENSION_create_by_OBJ(NULL, oid, 1, data);
	ck_assert_int_eq(X509_CRL_add_ext(crl, ext, -1), 1);
	X509_EXTENSION_free(ext);
	ASN1_OBJECT_free(oid);
	ASN1_OCTET_STRING_free(data);
}

X509_CRL *mk_crl(const struct mk_crl *m)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *t = ASN1_TIME_set(NULL, T0 + (int64_t)m->from * DAY);

	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(m->issuer));
	X509_CRL_set1_lastUpdate(crl, t);
	if (m->to) {
		ASN1_TIME_set(t, T0 + (int64_t)m->to * DAY);
		X509_CRL_set1_nextUpdate(crl, t);
	}
	for (unsigned i = 0; i < 4 && m->revoked[i]; i++) {
		X509_REVOKED *r = X509_REVOKED_new();

		X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(m->revoked[i]));
		ASN1_TIME_set(t, T0 + (int64_t)m->from * DAY - 3600);
		X509_REVOKED_set_revocationDate(r, t);
		X509_CRL_add0_revoked(crl, r);
	}
	ASN1_TIME_free(t);
	if (m->idp)
		add_idp(crl, m->idp);
	if (m->unknown_critical)
		add_unknown(crl);
	X509_CRL_sort(crl);
	ck_assert_int_gt(X509_CRL_sign(crl, m->key, m->md ? m->md : EVP_sha256()), 0);
	return crl;
}

/* ---- bytes ---- */

struct cs_bytes der_of(X509 *cert)
{
	struct cs_bytes out;
	struct cs_err err;

	ck_assert_int_eq(pki_cert_bytes(cert, PKI_DER, &out, &err), 0);
	return out;
}

struct cs_bytes der_of_crl(X509_CRL *crl)
{
	struct cs_bytes out;
	struct cs_err err;

	ck_assert_int_eq(pki_crl_bytes(crl, PKI_DER, &out, &err), 0);
	return out;
}

struct cs_bytes der_of_name(const X509_NAME *name)
{
	const unsigned char *der;
	uint8_t *copy;
	size_t len;

	ck_assert_int_eq(X509_NAME_get0_der(name, &der, &len), 1);
	copy = malloc(len);
	ck_assert_ptr_nonnull(copy);
	memcpy(copy, der, len);
	return (struct cs_bytes){copy, len};
}

/* ---- keyrings ---- */

const char *new_dir(void)
{
	strcpy(dir, "/tmp/test_pki.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	return dir;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	return remove(path);
}

void remove_dir(void)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *in_dir(const char *name)
{
	static char paths[64][160];
	static unsigned at;
	char *path = paths[at++ % 64];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

void put_file(const char *name, const void *data, size_t len, unsigned mode)
{
	const char *path = in_dir(name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(write(fd, data, len), (ssize_t)len);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

static void put_bytes(const char *label, const char *ending, struct cs_bytes b, unsigned mode)
{
	char name[64];

	snprintf(name, sizeof(name), "%s%s", label, ending);
	put_file(name, b.p, b.len, mode);
	pki_bytes_free(&b);
}

void put_cert(const char *label, X509 *cert)
{
	struct cs_bytes b;
	struct cs_err err;

	ck_assert_int_eq(pki_cert_bytes(cert, PKI_PEM, &b, &err), 0);
	put_bytes(label, ".pem", b, 0644);
}

void put_key(const char *label, EVP_PKEY *key)
{
	struct cs_bytes b;
	struct cs_err err;

	ck_assert_int_eq(pki_key_bytes(key, &b, &err), 0);
	put_bytes(label, ".key", b, 0600);
}

void put_crl(const char *name, X509_CRL *crl)
{
	put_bytes(name, ".crl", der_of_crl(crl), 0644);
}

struct cs_bytes get_file(const char *name)
{
	int fd = open(in_dir(name), O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t *p;

	ck_assert_msg(fd >= 0, "%s: %s", name, strerror(errno));
	ck_assert_int_eq(fstat(fd, &st), 0);
	p = calloc(1, (size_t)st.st_size + 1);
	ck_assert_ptr_nonnull(p);
	ck_assert_int_eq(read(fd, p, (size_t)st.st_size), st.st_size);
	close(fd);
	return (struct cs_bytes){p, (size_t)st.st_size};
}

void note_it(void *arg, const char *file, const char *text)
{
	size_t n = strlen(notes);

	(void)arg;
	snprintf(notes + n, sizeof(notes) - n, "%s: %s\n", file, text);
}

struct pki_keyring *load_ring(void)
{
	struct pki_keyring *ring;
	struct cs_err err;

	notes[0] = '\0';
	ck_assert_msg(pki_keyring_load(dir, note_it, NULL, &ring, &err) == 0, "%s", err.text);
	return ring;
}

int run(const char *const *argv)
{
	int status, fd = open(in_dir("out"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	pid_t pid;

	ck_assert_int_ge(fd, 0);
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDONLY);

		dup2(null, 0);
		dup2(fd, 1);
		dup2(fd, 2);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(fd);
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

const char *out_text(void)
{
	static char text[16384];
	struct cs_bytes out = get_file("out");

	snprintf(text, sizeof(text), "%.*s", (int)out.len, (const char *)out.p);
	pki_bytes_free(&out);
	return text;
}

bool out_has(const char *text)
{
	return strstr(out_text(), text) != NULL;
}
