/*
 * csipsec-pki as a user runs it: each command, each refusal with its exit status and words, the
 * files with their modes, a password on a terminal, and several at once.
 */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/pki_make.h"
#include "tests/unit/run_suite.h"

#define MOST 24

static const char *program; /* whole path */

/* Runs it on the test's keyring with these words; what it wrote is in out_text(). */
static int pki(const char *const *words)
{
	const char *argv[MOST] = {program, "-k", in_dir("ring")};
	int n = 3;

	while (*words && n < MOST - 1)
		argv[n++] = *words++;
	argv[n] = NULL;
	return run(argv);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define OK(...)    ck_assert_msg(pki(WORDS(__VA_ARGS__)) == 0, "%s", out_text())
#define NOT(status, text, ...)                                                                     \
	do {                                                                                       \
		ck_assert_int_eq(pki(WORDS(__VA_ARGS__)), status);                                 \
		ck_assert_msg(out_has(text), "'%s' is not in: %s", text, out_text());              \
	} while (0)

static void setup(void)
{
	new_dir();
	setenv("CSIPSEC_CONFDIR", in_dir("conf"), 1);
}

static void teardown(void)
{
	remove_dir();
}

static void make_ca_and_host(void)
{
	OK("ca", "Test CA", "--subject", "CN=CA,O=Example,C=US", "--key", "rsa:2048");
	OK("host", "hosta", "--ca", "Test CA", "--ip", "192.0.2.10", "--ip", "2001:db8::10",
	   "--dns", "hosta.example.com", "--email", "ops@example.com", "--subject",
	   "CN=hosta,O=Example", "--key", "rsa:2048");
}

static void put_self_signed(const char *name)
{
	X509 *cert = mk_host("CN=self", "DNS:self.example", rsa_a, NULL, NULL);

	put_cert(name, cert);
	X509_free(cert);
}

/* So many days from now, as --at takes it. */
static const char *in_days(int days)
{
	static char text[16];
	time_t when = time(NULL) + (time_t)days * DAY;
	struct tm tm;

	ck_assert_ptr_nonnull(gmtime_r(&when, &tm));
	ck_assert_uint_gt(strftime(text, sizeof(text), "%Y-%m-%d", &tm), 0);
	return text;
}

static unsigned mode_of(const char *name)
{
	struct stat st;

	ck_assert_msg(lstat(in_dir(name), &st) == 0, "%s", name);
	return st.st_mode & 07777u;
}

static bool there(const char *name)
{
	return access(in_dir(name), F_OK) == 0;
}

/* Of the keyring's directory, those that nobody should see. */
static unsigned temporary_files(void)
{
	DIR *d = opendir(in_dir("ring"));
	struct dirent *e;
	unsigned n = 0;

	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d)))
		if (e->d_name[0] == '.' && strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0)
			n++;
	closedir(d);
	return n;
}

/* ---- making ---- */

START_TEST(make_and_check)
{
	make_ca_and_host();
	ck_assert_uint_eq(mode_of("ring"), 0700);
	ck_assert_uint_eq(mode_of("ring/Test CA.key"), 0600);
	ck_assert_uint_eq(mode_of("ring/hosta.key"), 0600);
	ck_assert_uint_eq(mode_of("ring/hosta.pem"), 0644);
	ck_assert_uint_eq(temporary_files(), 0);
	OK("check", "hosta");
	ck_assert(
		out_has("Yes: CN=hosta,O=Example holds ID_DER_ASN1_DN CN=hosta,O=Example; trusted "
			"by 'Test CA', 1 certificate above it\n"));
	OK("check", "hosta", "--id", "IpAddr:192.0.2.10");
	OK("check", "hosta", "--id", "ipaddr:2001:db8::10");
	OK("check", "hosta", "--id", "Fqdn:hosta.example.com", "--ca", "Test CA");
	OK("check", "hosta", "--id", "UserAtFqdn:ops@example.com");
	OK("check", "hosta", "--id", "X500dn:CN=hosta,O=Example");
	NOT(1, "No: identity: the subjectAltName of", "check", "hosta", "--id", "Fqdn:b.example");
	NOT(1, "No: unknown CA: the keyring has no certificate with the label 'Other'", "check",
	    "hosta", "--ca", "Other");
	NOT(1, "No: expired: certificate 'CN=hosta,O=Example' expired on", "check", "hosta", "--at",
	    in_days(400));
	NOT(1, "No: not yet valid", "check", "hosta", "--at", "2001-01-01T12:00:00");
	NOT(1, "No: no CRL", "check", "hosta", "--revocation", "strict");
	ck_assert_int_eq(run((const char *const[]){"openssl", "verify", "-x509_strict", "-CAfile",
						   in_dir("ring/Test CA.pem"),
						   in_dir("ring/hosta.pem"), NULL}),
			 0);
}
END_TEST

START_TEST(cas_in_between)
{
	OK("ca", "Root", "--key", "rsa:2048");
	OK("ca", "Sub", "--ca", "Root", "--path-length", "0", "--key", "rsa:2048", "--days", "100");
	NOT(3, "the issuer may not have CAs below it", "ca", "SubSub", "--ca", "Sub", "--days",
	    "10", "--key", "rsa:2048");
	ck_assert(!there("ring/SubSub.key"));
	OK("host", "hosta", "--ca", "Sub", "--days", "10", "--key", "rsa:2048");
	OK("check", "hosta");
	ck_assert(out_has("2 certificates above it") || out_has("1 certificate above it"));
	OK("check", "hosta", "--ca", "Root");
	ck_assert(out_has("trusted by 'Root', 2 certificates above it"));
	NOT(3, "the issuer's certificate ends earlier", "host", "hostb", "--ca", "Sub", "--key",
	    "rsa:2048");
	NOT(3, "the keyring has 2 CAs with a private key: --ca says which", "host", "hostb");
	NOT(3, "'hosta' is not a CA", "host", "hostb", "--ca", "hosta");
	ck_assert(!there("ring/hostb.key") && !there("ring/hostb.pem"));
}
END_TEST

START_TEST(other_keys)
{
	OK("ca", "EC CA", "--key", "ec:384");
	OK("host", "rsa", "--key", "rsa:2048");
	OK("check", "rsa");
	OK("host", "ec", "--key", "ec:256");
	ck_assert(out_has("iked signs with RSA keys alone"));
	NOT(1, "its key is not RSA (type EC)", "check", "ec");
	NOT(3, "'rsa:1024' is no kind of key", "host", "x", "--key", "rsa:1024");
}
END_TEST

START_TEST(nothing_is_overwritten)
{
	make_ca_and_host();
	NOT(3, "hosta.pem is there already", "host", "hosta", "--key", "rsa:2048");
	NOT(3, "Test CA.pem is there already", "ca", "Test CA");
	NOT(3, "hosta.pem is there already", "request", "hosta");
	OK("export", "hosta", "--out", in_dir("x.pem"));
	NOT(3, "x.pem is there already", "export", "hosta", "--out", in_dir("x.pem"));
	OK("export", "hosta", "--out", in_dir("x.pem"), "--replace");
	NOT(3, "hosta.pem is there already", "import", "hosta", "--in", in_dir("x.pem"));
	OK("host", "hosta", "--replace", "--key", "rsa:2048");
	OK("check", "hosta");
	ck_assert_uint_eq(temporary_files(), 0);
}
END_TEST

/* ---- requests ---- */

START_TEST(request_and_reply)
{
	OK("request", "hosta", "--dns", "hosta.example.com", "--out", in_dir("a.csr"), "--key",
	   "rsa:2048");
	ck_assert_uint_eq(mode_of("ring/hosta.key"), 0600);
	OK("list");
	ck_assert(out_has("hosta                            waits for its certificate"));
	/* Another CA signs: ours, in a keyring of its own, and OpenSSL's program. */
	ck_assert_int_eq(run((const char *const[]){program, "-k", in_dir("theirs"), "ca", "CA",
						   "--key", "rsa:2048", NULL}),
			 0);
	ck_assert_int_eq(run((const char *const[]){program, "-k", in_dir("theirs"), "sign", "--in",
						   in_dir("a.csr"), "--out", in_dir("a.crt"),
						   "--days", "7", NULL}),
			 0);
	put_self_signed("wrong");
	NOT(3, "the certificate is not for the key that waits in hosta.key", "import", "hosta",
	    "--in", in_dir("wrong.pem"));
	OK("import", "hosta", "--in", in_dir("a.crt"));
	ck_assert(out_has("for the key that waited"));
	ck_assert(!there("ring/hosta.req"));
	NOT(1, "the keyring has no CA certificate", "check", "hosta");
	OK("import", "CA", "--in", in_dir("theirs/CA.pem"));
	OK("check", "hosta", "--id", "Fqdn:hosta.example.com");
	NOT(3, "has no request", "sign", "--in", in_dir("a.crt"));
	NOT(3, "the keyring has no CA with a private key", "sign", "--in", in_dir("a.csr"));
}
END_TEST

START_TEST(sign_into_the_keyring)
{
	make_ca_and_host();
	OK("request", "b", "--key", "rsa:2048", "--out", in_dir("b.csr"));
	OK("delete", "b");
	OK("sign", "peer", "--in", in_dir("b.csr"));
	OK("list", "peer");
	ck_assert(out_has("Kind:         Peer"));
	OK("check", "peer");
	put_file("junk.csr", "junk", 4, 0600);
	NOT(3, "there is no PEM in it", "sign", "--in", in_dir("junk.csr"));
}
END_TEST

/* ---- moving ---- */

START_TEST(pem_der_p12)
{
	const char *pw = in_dir("pw");

	make_ca_and_host();
	put_file("pw", "geheim\nmore\n", 12, 0600);
	OK("export", "hosta", "--form", "der", "--out", in_dir("a.der"));
	ck_assert_uint_eq(mode_of("a.der"), 0644);
	ck_assert_int_eq(run((const char *const[]){"openssl", "x509", "-inform", "DER", "-noout",
						   "-subject", "-in", in_dir("a.der"), NULL}),
			 0);
	OK("import", "copy", "--in", in_dir("a.der"));
	NOT(3, "DER has room for the certificate alone", "export", "hosta", "--form", "der",
	    "--private-key");
	OK("export", "hosta", "--private-key", "--chain", "--out", in_dir("a.pem"));
	ck_assert_uint_eq(mode_of("a.pem"), 0600);
	OK("export", "hosta");
	ck_assert(out_has("BEGIN CERTIFICATE") && !out_has("PRIVATE"));
	OK("export", "hosta", "--form", "p12", "--private-key", "--password-file", pw, "--out",
	   in_dir("a.p12"));
	ck_assert_uint_eq(mode_of("a.p12"), 0600);
	ck_assert_int_eq(run((const char *const[]){"openssl", "pkcs12", "-in", in_dir("a.p12"),
						   "-passin", "pass:geheim", "-nodes", NULL}),
			 0);
	ck_assert(out_has("friendlyName: hosta") && out_has("PRIVATE KEY"));
	NOT(3, "there is no terminal to ask", "import", "b", "--in", in_dir("a.p12"));
	put_file("bad", "falsch\n", 7, 0600);
	NOT(3, "the password is wrong", "import", "b", "--in", in_dir("a.p12"), "--password-file",
	    in_dir("bad"));
	put_file("empty", "\n", 1, 0600);
	NOT(3, "its first line is empty", "import", "b", "--in", in_dir("a.p12"), "--password-file",
	    in_dir("empty"));
	OK("import", "b", "--in", in_dir("a.p12"), "--password-file", pw);
	ck_assert(out_has("and its key") && out_has("1 more certificate in it"));
	OK("list", "b");
	ck_assert(out_has("Private key:  Yes"));
	NOT(3, "has no private key of it", "export", "copy", "--private-key");
	NOT(3, "has no certificate 'nobody'", "export", "nobody");
	NOT(3, "cannot open", "import", "c", "--in", in_dir("absent"));
	NOT(3, "--in FILE is needed", "import", "c");
}
END_TEST

/* A PKCS#12 file as the keyring itself: it is read and not changed. */
START_TEST(p12_as_keyring)
{
	make_ca_and_host();
	put_file("a.p12.pass", "geheim\n", 7, 0600);
	OK("export", "hosta", "--form", "p12", "--private-key", "--password-file",
	   in_dir("a.p12.pass"), "--out", in_dir("a.p12"));
	ck_assert_int_eq(
		run((const char *const[]){program, "-k", in_dir("a.p12"), "check", "hosta", NULL}),
		0);
	ck_assert_int_eq(
		run((const char *const[]){program, "-k", in_dir("a.p12"), "delete", "hosta", NULL}),
		3);
	ck_assert(out_has("only a directory can be changed"));
	ck_assert_int_eq(
		run((const char *const[]){program, "-k", in_dir("a.p12"), "ca", "x", NULL}), 3);
	ck_assert_int_eq(unlink(in_dir("a.p12.pass")), 0);
	ck_assert_int_eq(run((const char *const[]){program, "-k", in_dir("a.p12"), "list", NULL}),
			 3);
	ck_assert(out_has("a.p12: a password is needed"));
}
END_TEST

/* Types answers into a terminal of its own; the exit status. */
static int on_a_terminal(const char *const *argv, const char *typed, char *seen, size_t size)
{
	size_t n = 0, sent = 0;
	int master, status;
	pid_t pid = forkpty(&master, NULL, NULL, NULL);

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	/* A line for each prompt, when it is there. */
	while (n < size - 1) {
		ssize_t r = read(master, seen + n, size - 1 - n);

		if (r <= 0)
			break;
		n += (size_t)r;
		seen[n] = '\0';
		if (n > 2 && strcmp(seen + n - 2, ": ") == 0 && typed[sent]) {
			size_t len = strcspn(typed + sent, "\n") + 1;

			ck_assert_int_eq(write(master, typed + sent, len), (ssize_t)len);
			sent += len;
		}
	}
	close(master);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(password_prompt)
{
	const char *argv[] = {program, "-k",    in_dir("ring"),  "export",        "hosta", "--form",
			      "p12",   "--out", in_dir("a.p12"), "--private-key", NULL};
	char seen[512];

	make_ca_and_host();
	ck_assert_int_eq(on_a_terminal(argv, "geheim\ngeheim\n", seen, sizeof(seen)), 0);
	ck_assert_ptr_nonnull(strstr(seen, "Password: "));
	ck_assert_ptr_nonnull(strstr(seen, "Again: "));
	ck_assert_ptr_null(strstr(seen, "geheim"));
	put_file("pw", "geheim", 6, 0600);
	OK("import", "b", "--in", in_dir("a.p12"), "--password-file", in_dir("pw"));
	unlink(in_dir("a.p12"));
	ck_assert_int_eq(on_a_terminal(argv, "geheim\nanders\n", seen, sizeof(seen)), 3);
	ck_assert_ptr_nonnull(strstr(seen, "the two passwords differ"));
	ck_assert_int_eq(on_a_terminal(argv, "\n", seen, sizeof(seen)), 3);
	ck_assert_ptr_nonnull(strstr(seen, "no password was given"));
	ck_assert(!there("a.p12"));
}
END_TEST

/* ---- revocation ---- */

START_TEST(revoking)
{
	make_ca_and_host();
	OK("host", "hostb", "--key", "rsa:2048");
	OK("crl", "Test CA", "--days", "5", "--out", in_dir("x.crl"));
	ck_assert_int_eq(
		run((const char *const[]){"openssl", "crl", "-in", in_dir("x.crl"), "-CAfile",
					  in_dir("ring/Test CA.pem"), "-noout", NULL}),
		0);
	OK("check", "hosta", "--revocation", "strict");
	OK("revoke", "hosta", "--reason", "keyCompromise");
	NOT(1, "No: revoked: certificate 'CN=hosta,O=Example' was revoked on", "check", "hosta");
	OK("check", "hosta", "--revocation", "none");
	OK("check", "hostb", "--revocation", "strict");
	NOT(3, "is revoked already", "revoke", "hosta");
	NOT(3, "'boredom' is no reason", "revoke", "hostb", "--reason", "boredom");
	OK("revoke", "--serial", "0a0B", "--ca", "Test CA");
	OK("list");
	ck_assert(out_has("Test CA.crl                      CRL     2 revoked"));
	NOT(3, "'x' is not a serial number in hex", "revoke", "--serial", "x");
	NOT(3, "the keyring has no private key of its CA", "revoke", "Test CA");
	NOT(2, "revoke takes a label, or --serial and --ca", "revoke");
	NOT(2, "revoke takes a label, or --serial and --ca", "revoke", "hosta", "--serial", "1");
	/* The CRL of another CA, imported, by its own name. */
	OK("import", "theirs", "--in", in_dir("x.crl"));
	ck_assert(there("ring/theirs.crl"));
	OK("delete", "theirs");
	ck_assert(!there("ring/theirs.crl"));
}
END_TEST

/* Several at once: each finds what the others have put on the CRL. */
START_TEST(revoking_at_once)
{
	enum { N = 8 };
	pid_t pids[N];
	int status;

	make_ca_and_host();
	for (int i = 0; i < N; i++) {
		char serial[8];

		snprintf(serial, sizeof(serial), "%x", 100 + i);
		pids[i] = fork();
		if (pids[i] == 0) {
			int null = open("/dev/null", O_RDWR);

			dup2(null, 1);
			execl(program, program, "-k", in_dir("ring"), "revoke", "--serial", serial,
			      (char *)NULL);
			_exit(127);
		}
	}
	for (int i = 0; i < N; i++) {
		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	OK("list");
	ck_assert_msg(out_has("8 revoked"), "%s", out_text());
	ck_assert_uint_eq(temporary_files(), 0);
}
END_TEST

/* ---- looking ---- */

START_TEST(listing)
{
	json_t *all, *certs, *host;

	make_ca_and_host();
	OK("request", "c", "--key", "rsa:2048", "--out", in_dir("c.csr"));
	OK("crl", "Test CA");
	put_file("ring/broken.pem", "junk", 4, 0644);
	OK("list");
	ck_assert(out_has("Test CA                          CA   RSA-2048 Yes"));
	ck_assert(out_has("hosta                            Host RSA-2048 Yes Default"));
	ck_assert(out_has("broken.pem: there is no PEM in it"));
	OK("list", "hosta");
	ck_assert(out_has("Names:        IP:192.0.2.10\n              IP:2001:db8::10\n"));
	ck_assert(out_has("Usage:        digitalSignature\n"));
	ck_assert(!out_has("PRIVATE"));
	OK("list", "--json");
	all = json_loads(out_text(), 0, NULL);
	ck_assert_msg(all != NULL, "%s", out_text());
	certs = json_object_get(all, "Certificates");
	ck_assert_uint_eq(json_array_size(certs), 2);
	host = json_array_get(certs, 1);
	ck_assert_str_eq(json_string_value(json_object_get(host, "Label")), "hosta");
	ck_assert_str_eq(json_string_value(json_object_get(host, "Issuer")),
			 "CN=CA,O=Example,C=US");
	ck_assert(json_is_true(json_object_get(host, "PrivateKey")));
	ck_assert(json_is_true(json_object_get(host, "Default")));
	ck_assert_uint_eq(json_array_size(json_object_get(host, "Names")), 4);
	ck_assert_uint_eq(strlen(json_string_value(json_object_get(host, "SHA256"))), 64);
	ck_assert_uint_eq(json_array_size(json_object_get(all, "CRLs")), 1);
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(all, "Requests"), 0)),
			 "c");
	ck_assert_uint_eq(json_array_size(json_object_get(all, "Problems")), 1);
	json_decref(all);
	ck_assert_int_eq(pki(WORDS("list", "--expires", "30")), 0);
	ck_assert_int_eq(pki(WORDS("list", "--expires", "400")), 1);
	ck_assert(out_has("hosta") && !out_has("Test CA  "));
	NOT(3, "the keyring has no certificate 'x'", "list", "x");
}
END_TEST

START_TEST(deleting_and_default)
{
	make_ca_and_host();
	OK("host", "hostb", "--key", "rsa:2048");
	OK("default", "hostb");
	OK("list", "hostb");
	ck_assert(out_has("hostb  (default)"));
	OK("import", "peer", "--in", in_dir("ring/hosta.pem"));
	NOT(3, "the keyring has no private key of it", "default", "peer");
	NOT(3, "has no certificate 'x'", "default", "x");
	OK("delete", "hostb");
	ck_assert(!there("ring/hostb.pem") && !there("ring/hostb.key"));
	NOT(3, "the keyring has nothing of this label", "delete", "hostb");
	OK("list");
	ck_assert(out_has("DEFAULT: there is no certificate with the label 'hostb'"));
}
END_TEST

START_TEST(checking_files)
{
	make_ca_and_host();
	OK("export", "hosta", "--chain", "--out", in_dir("a.pem"));
	OK("check", "--in", in_dir("a.pem"), "--id", "Fqdn:hosta.example.com");
	put_self_signed("self");
	NOT(1, "No: unknown CA: certificate 'CN=self' is signed by the unknown CA 'CN=self'",
	    "check", "--in", in_dir("self.pem"));
	NOT(3, "there is no PEM in it", "check", "--in", program);
	NOT(2, "check takes a label, or --in FILE", "check");
	NOT(2, "check takes a label, or --in FILE", "check", "hosta", "--in", in_dir("a.pem"));
	NOT(3, "is not TYPE:VALUE", "check", "hosta", "--id", "hosta");
	NOT(3, "is not TYPE:VALUE", "check", "hosta", "--id", "Dns:hosta");
	NOT(3, "is not an IP address", "check", "hosta", "--id", "IpAddr:x");
}
END_TEST

/* ---- the command line ---- */

START_TEST(usage)
{
	ck_assert_int_eq(run((const char *const[]){program, "--help", NULL}), 0);
	ck_assert(out_has("Usage: csipsec-pki"));
	ck_assert_int_eq(run((const char *const[]){program, "--version", NULL}), 0);
	ck_assert(out_has("csipsec-pki (csipsec) "));
	ck_assert_int_eq(run((const char *const[]){program, NULL}), 2);
	ck_assert(out_has("a command is needed"));
	NOT(2, "there is no command 'frobnicate'", "frobnicate");
	NOT(2, "ca needs a label", "ca");
	NOT(2, "'b' is one argument too many", "ca", "a", "b");
	NOT(2, "there is no option --frob", "ca", "a", "--frob");
	NOT(2, "--days needs a value", "ca", "a", "--days");
	NOT(2, "--days: 'x' is not a number", "ca", "a", "--days", "x");
	NOT(2, "--days: '99999999' is not a number up to", "ca", "a", "--days", "99999999");
	NOT(2, "--subject stands twice", "ca", "a", "--subject", "CN=a", "--subject", "CN=b");
	NOT(2, "ca takes no --email", "ca", "a", "--email", "a@b");
	NOT(2, "list takes no --key", "list", "--key", "rsa:2048");
	NOT(2, "'a/b': a label has printable characters, no '/'", "ca", "a/b");
	NOT(2, "--ip: ", "host", "a", "--ip", "x");
	NOT(2, "--form: 'doc' is not one of pem, der, p12", "export", "a", "--form", "doc");
	NOT(2, "--revocation: 'maybe' is not one of", "check", "a", "--revocation", "maybe");
	NOT(2, "--at: 'now' is not a date", "check", "a", "--at", "now");
	NOT(3, "--subject is needed with a label like this", "ca", "a,b");
	NOT(3, "it is not there", "list");
	ck_assert(!there("ring"));
}
END_TEST

/* Without -k, the keyring is iked's. */
START_TEST(the_keyring_of_iked)
{
	static const char conf[] = "IkeConfig\n{\n Keyring rings/mine\n}\n";
	static const char none[] = "IkeConfig\n{\n NoKeyRing\n}\n";
	const char *make[] = {program, "ca", "CA", "--key", "rsa:2048", NULL};

	ck_assert_int_eq(mkdir(in_dir("conf"), 0755), 0);
	ck_assert_int_eq(run(make), 0);
	ck_assert(there("conf/iked/keyring/CA.pem"));
	ck_assert_uint_eq(mode_of("conf/iked"), 0755);
	ck_assert_uint_eq(mode_of("conf/iked/keyring"), 0700);
	ck_assert_uint_eq(mode_of("conf/iked/keyring/CA.key"), 0600);
	put_file("conf/iked.conf", conf, sizeof(conf) - 1, 0644);
	ck_assert_int_eq(run(make), 0);
	ck_assert(there("conf/rings/mine/CA.pem"));
	put_file("conf/iked.conf", none, sizeof(none) - 1, 0644);
	ck_assert_int_eq(run(make), 2);
	ck_assert(out_has("has NoKeyRing; -k names the keyring"));
	put_file("conf/iked.conf", "nonsense", 8, 0644);
	ck_assert_int_eq(run(make), 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pki_cli");
	TCase *tc = tcase_create("csipsec-pki");

	program = realpath("pki/csipsec-pki", NULL);
	if (!program) {
		fputs("test_pki_cli: run in the build directory\n", stderr);
		return EXIT_FAILURE;
	}
	make_keys();
	tcase_set_timeout(tc, 180);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, make_and_check);
	tcase_add_test(tc, cas_in_between);
	tcase_add_test(tc, other_keys);
	tcase_add_test(tc, nothing_is_overwritten);
	tcase_add_test(tc, request_and_reply);
	tcase_add_test(tc, sign_into_the_keyring);
	tcase_add_test(tc, pem_der_p12);
	tcase_add_test(tc, p12_as_keyring);
	tcase_add_test(tc, password_prompt);
	tcase_add_test(tc, revoking);
	tcase_add_test(tc, revoking_at_once);
	tcase_add_test(tc, listing);
	tcase_add_test(tc, deleting_and_default);
	tcase_add_test(tc, checking_files);
	tcase_add_test(tc, usage);
	tcase_add_test(tc, the_keyring_of_iked);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
