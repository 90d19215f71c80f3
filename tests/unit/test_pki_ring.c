/* Keyrings: what is loaded, what is refused and told, and which certificate is ours. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/policy.h"
#include "tests/unit/pki_make.h"
#include "tests/unit/run_suite.h"

static X509 *root, *other_root, *middle, *host, *second;

static void setup(void)
{
	new_dir();
	root = mk_ca("CN=Root,O=Example,C=US", rsa_a, NULL, NULL);
	other_root = mk_ca("CN=Other,O=Example,C=US", rsa_d, NULL, NULL);
	middle = mk_ca("CN=Middle,O=Example,C=US", rsa_b, root, rsa_a);
	host = mk_host("CN=hosta,O=Example,C=US",
		       "IP:192.0.2.1,IP:2001:db8::1,DNS:HostA.example.com,email:Ops@example.com",
		       rsa_c, middle, rsa_b);
	second = mk_host("CN=hosta,OU=2,O=Example,C=US", "DNS:hosta.example.com", rsa_d, other_root,
			 rsa_d);
}

static void teardown(void)
{
	X509_free(root);
	X509_free(other_root);
	X509_free(middle);
	X509_free(host);
	X509_free(second);
	remove_dir();
}

static void put_all(void)
{
	put_cert("Example Root CA", root);
	put_cert("Middle", middle);
	put_cert("hosta", host);
	put_key("hosta", rsa_c);
}

static const struct pki_info *info_of(const struct pki_keyring *ring, const char *label)
{
	const struct pki_entry *e = pki_keyring_find(ring, label);

	ck_assert_msg(e != NULL, "no entry %s; notes: %s", label, notes);
	return pki_entry_info(e);
}

START_TEST(directory)
{
	struct pki_keyring *ring;
	const struct pki_info *i;

	put_all();
	ring = load_ring();
	ck_assert_str_eq(notes, "");
	ck_assert_uint_eq(pki_keyring_size(ring), 3);
	ck_assert_str_eq(pki_entry_info(pki_keyring_at(ring, 0))->label, "Example Root CA");
	ck_assert_ptr_null(pki_keyring_at(ring, 3));
	ck_assert_ptr_null(pki_keyring_find(ring, "HOSTA"));
	i = info_of(ring, "hosta");
	ck_assert_str_eq(i->subject, "CN=hosta,O=Example,C=US");
	ck_assert_str_eq(i->issuer, "CN=Middle,O=Example,C=US");
	ck_assert_uint_eq(strlen(i->fingerprint), 64);
	ck_assert_int_eq(i->not_before, T0 - 10 * DAY);
	ck_assert_int_eq(i->not_after, T0 + 365 * DAY);
	ck_assert_int_eq(i->key_type, PKI_KEY_RSA);
	ck_assert_uint_eq(i->key_bits, 2048);
	ck_assert(i->has_key && !i->is_ca && !i->self_signed && i->is_default);
	ck_assert_str_eq(i->usage, "digitalSignature");
	ck_assert_uint_eq(i->n_names, 4);
	ck_assert_str_eq(i->names[0], "IP:192.0.2.1");
	ck_assert_str_eq(i->names[1], "IP:2001:db8::1");
	ck_assert_str_eq(i->names[2], "DNS:HostA.example.com");
	ck_assert_str_eq(i->names[3], "EMAIL:Ops@example.com");
	i = info_of(ring, "Example Root CA");
	ck_assert(!i->has_key && i->is_ca && i->self_signed && !i->is_default);
	ck_assert_str_eq(i->usage, "keyCertSign,cRLSign");
	pki_keyring_free(ring);
}
END_TEST

/* Key and chain in the certificate's own file, in any order; the others in it are not trusted. */
START_TEST(one_file)
{
	struct cs_bytes a, b, c;
	struct pki_keyring *ring;
	struct cs_err err;
	char *all;
	size_t n;

	ck_assert_int_eq(pki_cert_bytes(middle, PKI_PEM, &a, &err), 0);
	ck_assert_int_eq(pki_key_bytes(rsa_c, &b, &err), 0);
	ck_assert_int_eq(pki_cert_bytes(host, PKI_PEM, &c, &err), 0);
	n = a.len + b.len + c.len;
	all = malloc(n);
	ck_assert_ptr_nonnull(all);
	memcpy(all, a.p, a.len);
	memcpy(all + a.len, b.p, b.len);
	memcpy(all + a.len + b.len, c.p, c.len);
	put_file("hosta.pem", all, n, 0600);
	ring = load_ring();
	ck_assert_str_eq(notes, "");
	ck_assert_uint_eq(pki_keyring_size(ring), 1);
	ck_assert_str_eq(info_of(ring, "hosta")->subject, "CN=hosta,O=Example,C=US");
	ck_assert(info_of(ring, "hosta")->has_key);
	pki_keyring_free(ring);

	/* The same file, but others can read it. */
	put_file("hosta.pem", all, n, 0644);
	ring = load_ring();
	ck_assert(!info_of(ring, "hosta")->has_key);
	ck_assert_ptr_nonnull(strstr(notes, "hosta.pem: its private key is not used: others can "
					    "read it (mode 0644, not 0600)"));
	pki_keyring_free(ring);
	free(all);
	pki_bytes_free(&a);
	pki_bytes_free(&b);
	pki_bytes_free(&c);
}
END_TEST

START_TEST(permissions)
{
	static const struct {
		const char *file;
		unsigned mode;
		bool cert, key;
		const char *told;
	} cases[] = {
		{"hosta.key", 0600, true, true, ""},
		{"hosta.key", 0400, true, true, ""},
		{"hosta.key", 0640, true, false, "hosta.key: its private key is not used: others"},
		{"hosta.key", 0604, true, false, "hosta.key: its private key is not used: others"},
		{"hosta.key", 0620, true, false, "hosta.key: others can write it (mode 0620)"},
		{"hosta.pem", 0664, false, false, "hosta.pem: others can write it (mode 0664)"},
		{"hosta.pem", 0646, false, false, "hosta.pem: others can write it (mode 0646)"},
	};

	put_all();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct pki_entry *e;
		struct pki_keyring *ring;

		ck_assert_int_eq(chmod(in_dir(cases[i].file), cases[i].mode), 0);
		ring = load_ring();
		e = pki_keyring_find(ring, "hosta");
		ck_assert_msg((e != NULL) == cases[i].cert, "case %zu", i);
		ck_assert_msg(!e || pki_entry_info(e)->has_key == cases[i].key, "case %zu", i);
		ck_assert_msg(cases[i].told[0] ? strstr(notes, cases[i].told) != NULL : !notes[0],
			      "case %zu: %s", i, notes);
		pki_keyring_free(ring);
		ck_assert_int_eq(chmod(in_dir("hosta.key"), 0600), 0);
		ck_assert_int_eq(chmod(in_dir("hosta.pem"), 0644), 0);
	}
}
END_TEST

START_TEST(refused_rings)
{
	struct pki_keyring *ring;
	struct cs_err err;

	put_all();
	ck_assert_int_eq(pki_keyring_load(in_dir("absent"), NULL, NULL, &ring, &err), CS_ENOTFOUND);
	ck_assert_int_eq(chmod(in_dir(""), 0777), 0);
	ck_assert_int_eq(pki_keyring_load(in_dir(""), NULL, NULL, &ring, &err), CS_EPERM);
	ck_assert_ptr_nonnull(strstr(err.text, "others can write it (mode 0777)"));
	ck_assert_int_eq(chmod(in_dir(""), 0700), 0);
	if (geteuid() == 0) {
		ck_assert_int_eq(chown(in_dir("hosta.pem"), 12345, 12345), 0);
		ring = load_ring();
		ck_assert_ptr_null(pki_keyring_find(ring, "hosta"));
		ck_assert_ptr_nonnull(strstr(notes, "it belongs to user 12345"));
		pki_keyring_free(ring);
	}
}
END_TEST

START_TEST(told_and_left_out)
{
	static const char junk[] = "not PEM at all\n";
	struct pki_keyring *ring;
	struct cs_bytes pem;
	struct cs_err err;

	put_all();
	put_file("junk.pem", junk, sizeof(junk) - 1, 0644);
	put_file("junk.crl", junk, sizeof(junk) - 1, 0644);
	put_file("der.crl", "\x30\x03\x02\x01\x01", 5, 0644);
	put_file("empty.pem", "", 0, 0644);
	put_file("note.txt", junk, sizeof(junk) - 1, 0666);
	put_file(".hidden.pem", junk, sizeof(junk) - 1, 0666);
	put_file("DEFAULT", "nobody\n", 7, 0644);
	put_key("Middle", rsa_c); /* another one's */
	put_key("lonely", rsa_d); /* a request's: nothing to say */
	ck_assert_int_eq(pki_cert_bytes(host, PKI_PEM, &pem, &err), 0);
	put_file("a label that is longer than thirty-two.pem", pem.p, pem.len, 0644);
	put_file("cut.pem", pem.p, pem.len / 2, 0644);
	pki_bytes_free(&pem);
	ck_assert_int_eq(mkdir(in_dir("dir.pem"), 0700), 0);
	ck_assert_int_eq(symlink("hosta.pem", in_dir("link.pem")), 0);
	ck_assert_int_eq(symlink("nowhere", in_dir("dead.pem")), 0);
	ck_assert_int_eq(mkfifo(in_dir("fifo.pem"), 0600), 0);
	ring = load_ring();
	ck_assert_uint_eq(pki_keyring_size(ring), 4); /* with the link */
	for (const char *const *t =
		     (const char *const[]){
			     "junk.pem: there is no PEM in it", "junk.crl: there is no PEM in it",
			     "der.crl: it is not the DER of a CRL",
			     "empty.pem: there is no PEM in it",
			     "DEFAULT: there is no certificate with the label 'nobody'",
			     "Middle.key: its private key is not used: it is another one's",
			     "thirty-two.pem: a label has 1 to 32 characters",
			     "cut.pem: there is no PEM in it", "dir.pem: it is not a plain file",
			     "dead.pem: it is not there", "fifo.pem: it is not a plain file", NULL};
	     *t; t++)
		ck_assert_msg(strstr(notes, *t) != NULL, "%s is not in %s", *t, notes);
	ck_assert_ptr_null(strstr(notes, "lonely"));
	ck_assert_ptr_null(strstr(notes, "hidden"));
	ck_assert_ptr_null(strstr(notes, "note.txt"));
	ck_assert_ptr_null(pki_keyring_default(ring));
	pki_keyring_free(ring);
}
END_TEST

START_TEST(default_certificate)
{
	struct pki_keyring *ring;

	put_all();
	put_cert("hostb", second);
	put_key("hostb", rsa_d);
	ring = load_ring();
	ck_assert_ptr_null(pki_keyring_default(ring)); /* two could be */
	pki_keyring_free(ring);
	put_file("DEFAULT", "hostb\nmore\n", 11, 0644);
	ring = load_ring();
	ck_assert_str_eq(pki_entry_info(pki_keyring_default(ring))->label, "hostb");
	pki_keyring_free(ring);
}
END_TEST

START_TEST(labels)
{
	static const char *const bad[] = {"",      ".a",       "a/b",
					  " a",    "a ",       "a\n",
					  "a\x7f", "\xc3\xa9", "123456789012345678901234567890123"};
	struct cs_err err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(pki_label_check(bad[i], &err) == CS_EINVAL, "'%s'", bad[i]);
	ck_assert_int_eq(pki_label_check("IBM Local Certificate Authority", &err), 0);
	ck_assert_int_eq(pki_label_check("12345678901234567890123456789012", &err), 0);
}
END_TEST

/* ---- PKCS#12 ---- */

static void export_hosta(const char *password, const char *file)
{
	struct pki_keyring *ring;
	struct cs_bytes out;
	struct cs_err err;

	put_all();
	ring = load_ring();
	ck_assert_msg(pki_p12_bytes(ring, pki_keyring_find(ring, "hosta"), true, password, T0, &out,
				    &err) == 0,
		      "%s", err.text);
	put_file(file, out.p, out.len, 0600);
	pki_bytes_free(&out);
	pki_keyring_free(ring);
}

START_TEST(pkcs12)
{
	struct pki_keyring *ring;
	struct cs_err err;

	export_hosta("geheim", "ring.p12");
	notes[0] = '\0';
	ck_assert_int_eq(pki_keyring_load(in_dir("ring.p12"), note_it, NULL, &ring, &err),
			 CS_EAUTH);
	ck_assert_ptr_nonnull(strstr(err.text, "a password is needed"));
	put_file("ring.p12.pass", "falsch\n", 7, 0600);
	ck_assert_int_eq(pki_keyring_load(in_dir("ring.p12"), note_it, NULL, &ring, &err),
			 CS_EAUTH);
	ck_assert_ptr_nonnull(strstr(err.text, "the password is wrong"));
	put_file("ring.p12.pass", "geheim\n", 7, 0644);
	ck_assert_int_eq(pki_keyring_load(in_dir("ring.p12"), note_it, NULL, &ring, &err),
			 CS_EPERM);
	put_file("ring.p12.pass", "geheim\n", 7, 0600);
	ck_assert_int_eq(chmod(in_dir("ring.p12"), 0640), 0);
	ck_assert_int_eq(pki_keyring_load(in_dir("ring.p12"), note_it, NULL, &ring, &err),
			 CS_EPERM);
	ck_assert_int_eq(chmod(in_dir("ring.p12"), 0600), 0);
	ck_assert_msg(pki_keyring_load(in_dir("ring.p12"), note_it, NULL, &ring, &err) == 0, "%s",
		      err.text);
	ck_assert_str_eq(notes, "");
	ck_assert_uint_eq(pki_keyring_size(ring), 3); /* and the CAs, without a name */
	ck_assert(info_of(ring, "hosta")->has_key && info_of(ring, "hosta")->is_default);
	ck_assert(info_of(ring, "cert2")->is_ca && info_of(ring, "cert3")->is_ca);
	pki_keyring_free(ring);
}
END_TEST

/* What OpenSSL's own program writes, we read, and the other way round. */
START_TEST(pkcs12_interop)
{
	const char *pass = in_dir("pass"), *made = in_dir("made.p12");
	char from[200];
	struct pki_keyring *ring;
	struct cs_err err;

	export_hosta("geheim", "ring.p12");
	put_file("pass", "geheim\n", 7, 0600);
	put_file("made.p12.pass", "geheim\n", 7, 0600);
	snprintf(from, sizeof(from), "file:%s", pass);
	ck_assert_int_eq(run((const char *const[]){"openssl", "pkcs12", "-in", in_dir("ring.p12"),
						   "-passin", from, "-nodes", "-info", NULL}),
			 0);
	ck_assert_int_eq(
		run((const char *const[]){"openssl", "pkcs12", "-export", "-out", made, "-inkey",
					  in_dir("hosta.key"), "-in", in_dir("hosta.pem"),
					  "-certfile", in_dir("Middle.pem"), "-name", "The Host",
					  "-caname", "The CA", "-passout", from, NULL}),
		0);
	ck_assert_int_eq(chmod(made, 0600), 0);
	ck_assert_msg(pki_keyring_load(made, NULL, NULL, &ring, &err) == 0, "%s", err.text);
	ck_assert(info_of(ring, "The Host")->has_key);
	ck_assert(info_of(ring, "The CA")->is_ca);
	pki_keyring_free(ring);
}
END_TEST

START_TEST(pkcs12_damaged)
{
	struct pki_keyring *ring;
	struct cs_bytes good;
	struct cs_err err;

	export_hosta("geheim", "ring.p12");
	put_file("ring.p12.pass", "geheim\n", 7, 0600);
	good = get_file("ring.p12");
	for (size_t n = 0; n < good.len; n += 97) {
		put_file("ring.p12", good.p, n, 0600);
		ck_assert_int_lt(pki_keyring_load(in_dir("ring.p12"), NULL, NULL, &ring, &err), 0);
	}
	pki_bytes_free(&good);
}
END_TEST

/* ---- our own certificate ---- */

static int find(const struct pki_keyring *ring, uint8_t type, const void *data, size_t len,
		X509 *asked, struct pki_own *own, struct cs_err *err)
{
	const struct pki_strength strength = {0};
	struct pki_id id = {type, {data, len}};
	struct cs_bytes name = {NULL, 0};
	int status;

	if (asked)
		name = der_of_name(X509_get_subject_name(asked));
	status = pki_own_find(ring, &id, &name, asked ? 1 : 0, T0, &strength, own, err);
	pki_bytes_free(&name);
	return status;
}

START_TEST(own_by_identity)
{
	static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
	struct cs_bytes dn = der_of_name(X509_get_subject_name(host));
	struct cs_bytes other = der_of_name(X509_get_subject_name(root));
	const struct {
		uint8_t type;
		const void *data;
		size_t len;
		bool found;
	} cases[] = {
		{POL_ID_IPV4_ADDR, "\xc0\x00\x02\x01", 4, true},
		{POL_ID_IPV4_ADDR, "\xc0\x00\x02\x02", 4, false},
		{POL_ID_IPV4_ADDR, "\xc0\x00\x02\x01", 3, false},
		{POL_ID_IPV6_ADDR, v6, 16, true},
		{POL_ID_IPV6_ADDR, v6, 4, false},
		{POL_ID_FQDN, "hosta.EXAMPLE.com", 17, true},
		{POL_ID_FQDN, "hosta.example.co", 16, false},
		{POL_ID_FQDN, "hosta.example.com\0", 18, false},
		{POL_ID_FQDN, "*.example.com", 13, false},
		{POL_ID_FQDN, "Ops@example.com", 15, false},
		{POL_ID_FQDN, "", 0, false},
		{POL_ID_USER_FQDN, "Ops@EXAMPLE.com", 15, true},
		{POL_ID_USER_FQDN, "ops@example.com", 15, false},
		{POL_ID_USER_FQDN, "@", 1, false},
		{POL_ID_DER_ASN1_DN, dn.p, dn.len, true},
		{POL_ID_DER_ASN1_DN, other.p, other.len, false},
		{POL_ID_DER_ASN1_DN, dn.p, dn.len - 1, false},
		{POL_ID_DER_ASN1_DN, "\x30\x00", 2, false},
		{POL_ID_KEY_ID, "hosta", 5, false},
		{4, "\xc0\x00\x02\x01\xff\xff\xff\xff", 8, false},
	};
	struct pki_keyring *ring;

	put_all();
	ring = load_ring();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pki_own own = {0};
		struct cs_err err = {0};
		int status =
			find(ring, cases[i].type, cases[i].data, cases[i].len, NULL, &own, &err);

		ck_assert_msg(status == (cases[i].found ? 0 : CS_ENOTFOUND), "case %zu: %s", i,
			      err.text);
		ck_assert(!cases[i].found ||
			  strcmp(pki_entry_info(own.entry)->label, "hosta") == 0);
	}
	pki_bytes_free(&dn);
	pki_bytes_free(&other);
	pki_keyring_free(ring);
}
END_TEST

/* Of several, the one whose CA is asked for; then the default; then the newest. */
START_TEST(own_choice)
{
	const struct mk newer = {.subject = "CN=newest",
				 .san = "DNS:hosta.example.com",
				 .key = rsa_b,
				 .issuer = other_root,
				 .issuer_key = rsa_d,
				 .from = -1,
				 .to = 100};
	static const char name[] = "hosta.example.com";
	X509 *newest = mk_cert(&newer), *stranger = mk_ca("CN=Stranger", rsa_a, NULL, NULL);
	struct pki_keyring *ring;
	struct pki_own own;
	struct cs_err err;

	put_all();
	put_cert("Other", other_root);
	put_cert("hostb", second);
	put_key("hostb", rsa_d);
	put_cert("hostc", newest);
	put_key("hostc", rsa_b);
	ring = load_ring();
	ck_assert_int_eq(find(ring, POL_ID_FQDN, name, 17, root, &own, &err), 0);
	ck_assert_str_eq(pki_entry_info(own.entry)->label, "hosta"); /* by way of Middle */
	ck_assert(!own.unasked);
	ck_assert_int_eq(find(ring, POL_ID_FQDN, name, 17, middle, &own, &err), 0);
	ck_assert_str_eq(pki_entry_info(own.entry)->label, "hosta");
	ck_assert_int_eq(find(ring, POL_ID_FQDN, name, 17, other_root, &own, &err), 0);
	ck_assert_str_eq(pki_entry_info(own.entry)->label, "hostc");
	ck_assert_int_eq(find(ring, POL_ID_FQDN, name, 17, NULL, &own, &err), 0);
	ck_assert_str_eq(pki_entry_info(own.entry)->label, "hostc");
	ck_assert_int_eq(find(ring, POL_ID_FQDN, name, 17, stranger, &own, &err), 0);
	ck_assert_str_eq(pki_entry_info(own.entry)->label, "hostc");
	ck_assert(own.unasked);
	ck_assert_int_eq(find(ring, 0, NULL, 0, NULL, &own, &err), CS_ENOTFOUND);
	pki_keyring_free(ring);
	put_file("DEFAULT", "hostb", 5, 0644);
	ring = load_ring();
	ck_assert_int_eq(find(ring, POL_ID_FQDN, name, 17, NULL, &own, &err), 0);
	ck_assert_str_eq(pki_entry_info(own.entry)->label, "hostb");
	ck_assert_int_eq(find(ring, 0, NULL, 0, NULL, &own, &err), 0);
	ck_assert_str_eq(pki_entry_info(own.entry)->label, "hostb");
	pki_keyring_free(ring);
	X509_free(newest);
	X509_free(stranger);
}
END_TEST

/* Each reason why a certificate that holds the identity is not ours to use. */
START_TEST(own_unusable)
{
	const struct mk base = {.subject = "CN=x",
				.san = "DNS:x.example",
				.key = rsa_c,
				.issuer = root,
				.issuer_key = rsa_a};
	struct {
		struct mk m;
		bool no_key;
		const char *why;
	} cases[] = {
		{base, true, "certificate 'x' has no private key here"},
		{base, false, "certificate 'x' is not valid before 2026-01-02 00:00 UTC"},
		{base, false, "certificate 'x' expired on 2025-12-31 00:00 UTC"},
		{base, false, "cannot be used: its key usage does not allow signatures"},
		{base, false, "cannot be used: its extended key usage allows neither IKE nor TLS"},
		{base, false, "cannot be used: its RSA key has 1024 bits, and 2048 are needed"},
		{base, false, "cannot be used: its key is not RSA (type EC)"},
	};
	struct pki_keyring *ring;
	struct pki_own own;
	struct cs_err err;

	cases[1].m.from = 1, cases[1].m.to = 10;
	cases[2].m.from = -10, cases[2].m.to = -1;
	cases[3].m.usage = "keyEncipherment";
	cases[4].m.purpose = "codeSigning";
	cases[5].m.key = rsa_small;
	cases[6].m.key = ec_a;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		X509 *cert = mk_cert(&cases[i].m);

		put_cert("x", cert);
		put_key("x", cases[i].m.key);
		if (cases[i].no_key)
			unlink(in_dir("x.key"));
		ring = load_ring();
		ck_assert_int_eq(find(ring, POL_ID_FQDN, "x.example", 9, NULL, &own, &err),
				 CS_ENOTFOUND);
		ck_assert_msg(strstr(err.text, cases[i].why) != NULL, "case %zu: %s", i, err.text);
		pki_keyring_free(ring);
		X509_free(cert);
	}
}
END_TEST

START_TEST(own_chain)
{
	struct pki_keyring *ring;
	struct pki_list chain;
	struct cs_bytes a = der_of(host), b = der_of(middle);
	struct cs_err err;

	put_all();
	ring = load_ring();
	ck_assert_int_eq(pki_own_chain(ring, pki_keyring_find(ring, "hosta"), T0, &chain, &err), 0);
	ck_assert_uint_eq(chain.n, 2); /* without the root */
	ck_assert_uint_eq(chain.item[0].len, a.len);
	ck_assert_mem_eq(chain.item[0].p, a.p, a.len);
	ck_assert_uint_eq(chain.item[1].len, b.len);
	ck_assert_mem_eq(chain.item[1].p, b.p, b.len);
	pki_list_free(&chain);
	/* A self-signed one is its own chain. */
	ck_assert_int_eq(
		pki_own_chain(ring, pki_keyring_find(ring, "Example Root CA"), T0, &chain, &err),
		0);
	ck_assert_uint_eq(chain.n, 1);
	pki_list_free(&chain);
	pki_keyring_free(ring);
	pki_bytes_free(&a);
	pki_bytes_free(&b);
}
END_TEST

START_TEST(ca_names)
{
	struct cs_bytes want = der_of_name(X509_get_subject_name(root));
	static const char *const some[] = {"Nobody", "Example Root CA"};
	struct pki_keyring *ring;
	struct pki_list names;
	struct cs_err err;

	put_all();
	ring = load_ring();
	ck_assert_int_eq(pki_ca_names(ring, some, 2, &names, &err), 0);
	ck_assert_uint_eq(names.n, 1);
	ck_assert_uint_eq(names.item[0].len, want.len);
	ck_assert_mem_eq(names.item[0].p, want.p, want.len);
	pki_list_free(&names);
	ck_assert_int_eq(pki_ca_names(ring, some, 1, &names, &err), CS_ENOTFOUND);
	ck_assert_ptr_nonnull(strstr(err.text, "'Nobody'"));
	pki_keyring_free(ring);
	pki_bytes_free(&want);
}
END_TEST

/* More keys and files than a small array holds. */
START_TEST(many_entries)
{
	struct pki_keyring *ring;
	char label[16];

	for (int i = 0; i < 100; i++) {
		snprintf(label, sizeof(label), "ca%02d", i);
		put_cert(label, i % 2 ? root : middle);
	}
	ring = load_ring();
	ck_assert_uint_eq(pki_keyring_size(ring), 100);
	for (int i = 0; i < 100; i++) {
		snprintf(label, sizeof(label), "ca%02d", i);
		ck_assert_str_eq(pki_entry_info(pki_keyring_at(ring, (unsigned)i))->label, label);
	}
	pki_keyring_free(ring);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pki_ring");
	TCase *tc = tcase_create("ring");

	make_keys();
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, directory);
	tcase_add_test(tc, one_file);
	tcase_add_test(tc, permissions);
	tcase_add_test(tc, refused_rings);
	tcase_add_test(tc, told_and_left_out);
	tcase_add_test(tc, default_certificate);
	tcase_add_test(tc, labels);
	tcase_add_test(tc, pkcs12);
	tcase_add_test(tc, pkcs12_interop);
	tcase_add_test(tc, pkcs12_damaged);
	tcase_add_test(tc, own_by_identity);
	tcase_add_test(tc, own_choice);
	tcase_add_test(tc, own_unusable);
	tcase_add_test(tc, own_chain);
	tcase_add_test(tc, ca_names);
	tcase_add_test(tc, many_entries);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
