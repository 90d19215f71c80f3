/* A peer's certificate: every check by name, revocation, and what nobody should send. */
#include <check.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"
#include "tests/unit/pki_make.h"
#include "tests/unit/run_suite.h"

#define NAME "peer.example.com"

static X509 *root, *middle, *peer;
static struct pki_keyring *ring;

static void setup(void)
{
	new_dir();
	root = mk_ca("CN=Root,O=Example,C=US", rsa_a, NULL, NULL);
	middle = mk_ca("CN=Middle,O=Example,C=US", rsa_b, root, rsa_a);
	peer = mk_host("CN=peer,O=Example,C=US", "IP:192.0.2.9,DNS:" NAME ",email:a@example.com",
		       rsa_c, middle, rsa_b);
	put_cert("Root", root);
	ring = load_ring();
}

static void teardown(void)
{
	pki_keyring_free(ring);
	X509_free(root);
	X509_free(middle);
	X509_free(peer);
	remove_dir();
}

/* ---- asking ---- */

/* What a test varies; the rest is what a decent peer would do. */
struct ask {
	X509 *certs[4];
	X509_CRL *crls[3];
	uint8_t id_type;
	struct cs_bytes id; /* p NULL: NAME as FQDN */
	const char *labels[3];
	enum pki_revocation revocation;
	int64_t days; /* from T0 */
	struct pki_strength strength;
};

static int ask(const struct ask *a, struct pki_verdict *v, struct cs_err *err)
{
	struct cs_bytes certs[4], crls[3];
	struct pki_peer p = {
		.id = {a->id.p ? a->id_type : POL_ID_FQDN, a->id},
		.certs = certs,
		.crls = crls,
		.ca_labels = a->labels,
		.revocation = a->revocation,
		.strength = a->strength,
		.now = T0 + a->days * DAY,
	};
	int status;

	if (!a->id.p)
		p.id.data = (struct cs_bytes){(const uint8_t *)NAME, strlen(NAME)};
	while (p.n_certs < 4 && a->certs[p.n_certs]) {
		certs[p.n_certs] = der_of(a->certs[p.n_certs]);
		p.n_certs++;
	}
	while (p.n_crls < 3 && a->crls[p.n_crls]) {
		crls[p.n_crls] = der_of_crl(a->crls[p.n_crls]);
		p.n_crls++;
	}
	while (p.n_ca_labels < 3 && a->labels[p.n_ca_labels])
		p.n_ca_labels++;
	memset(err, 0, sizeof(*err));
	status = pki_peer_check(ring, &p, v, err);
	for (unsigned i = 0; i < p.n_certs; i++)
		pki_bytes_free(&certs[i]);
	for (unsigned i = 0; i < p.n_crls; i++)
		pki_bytes_free(&crls[i]);
	return status;
}

static void accepted(const struct ask *a)
{
	struct pki_verdict v;
	struct cs_err err;

	ck_assert_msg(ask(a, &v, &err) == 0, "%s", err.text);
	ck_assert_int_eq(v.fault, PKI_FINE);
	ck_assert_ptr_nonnull(v.key);
	pki_key_free(v.key);
}

static void refused(const struct ask *a, enum pki_fault fault, const char *text)
{
	struct pki_verdict v;
	struct cs_err err;
	int status = ask(a, &v, &err);

	ck_assert_msg(status < 0, "accepted, and should be refused: %s", text ? text : "");
	ck_assert_msg(!text || strcmp(err.text, text) == 0, "'%s'\nand not\n'%s'", err.text, text);
	ck_assert_str_eq(pki_fault_name(v.fault), pki_fault_name(fault));
	ck_assert_int_eq(err.code, status);
	ck_assert_ptr_null(v.key);
}

/* Loads the keyring again, after something was put. */
static void reload(void)
{
	pki_keyring_free(ring);
	ring = load_ring();
}

/* ---- what is right ---- */

START_TEST(right)
{
	struct pki_verdict v;
	struct cs_err err;
	const struct ask a = {.certs = {peer, middle}};

	ck_assert_msg(ask(&a, &v, &err) == 0, "%s", err.text);
	ck_assert_int_eq(EVP_PKEY_eq(v.key, rsa_c), 1);
	ck_assert_str_eq(v.subject, "CN=peer,O=Example,C=US");
	ck_assert_str_eq(v.anchor, "Root");
	ck_assert_uint_eq(v.depth, 2);
	pki_key_free(v.key);
	accepted(&(struct ask){.certs = {middle, peer}});       /* in any order */
	accepted(&(struct ask){.certs = {peer, middle, root}}); /* with the root, or twice */
	accepted(&(struct ask){.certs = {peer, peer, middle, middle}});
	accepted(&(struct ask){.certs = {peer, middle}, .labels = {"Root"}});
	accepted(&(struct ask){.certs = {peer, middle}, .labels = {"Nobody", "Root"}});
}
END_TEST

/* A label may name a CA in between; the keyring's other CAs still help to get there. */
START_TEST(labels)
{
	X509 *lowest = mk_ca("CN=Lowest,O=Example", rsa_d, middle, rsa_b);
	X509 *low_peer = mk_host("CN=low", "DNS:" NAME, rsa_c, lowest, rsa_d);

	put_cert("Middle", middle);
	put_cert("Lowest", lowest);
	reload();
	accepted(&(struct ask){.certs = {peer}});
	accepted(&(struct ask){.certs = {peer}, .labels = {"Middle"}});
	accepted(&(struct ask){.certs = {low_peer}, .labels = {"Root"}});
	accepted(&(struct ask){.certs = {low_peer}, .labels = {"Middle"}});
	refused(&(struct ask){.certs = {peer}, .labels = {"Lowest"}}, PKI_F_UNKNOWN_CA,
		"certificate 'CN=Root,O=Example,C=US' is signed by CA 'CN=Root,O=Example,C=US' "
		"('Root'), which is not asked for");
	refused(&(struct ask){.certs = {peer}, .labels = {"Nobody"}}, PKI_F_UNKNOWN_CA,
		"the keyring has no certificate with the label 'Nobody'");
	X509_free(lowest);
	X509_free(low_peer);
}
END_TEST

/* A certificate that is itself on the keyring is trusted when its label is asked for. */
START_TEST(pinned)
{
	const struct mk m = {.subject = "CN=self", .san = "DNS:" NAME, .key = rsa_d};
	X509 *self = mk_cert(&m);
	struct pki_verdict v;
	struct cs_err err;

	put_cert("pinned", self);
	reload();
	accepted(&(struct ask){.certs = {self}, .labels = {"pinned"}});
	/* Whoever signed it, and whatever else comes along. */
	put_cert("peer", peer);
	reload();
	ck_assert_int_eq(
		ask(&(struct ask){.certs = {peer, middle, root}, .labels = {"peer"}}, &v, &err), 0);
	ck_assert_uint_eq(v.depth, 0);
	ck_assert_str_eq(v.anchor, "peer");
	pki_key_free(v.key);
	refused(&(struct ask){.certs = {self}}, PKI_F_UNKNOWN_CA,
		"certificate 'CN=self' is signed by CA 'CN=self' ('pinned'), which is not asked "
		"for");
	X509_free(self);
}
END_TEST

START_TEST(identities)
{
	static const uint8_t v4[] = {192, 0, 2, 9}, v4_other[] = {192, 0, 2, 10};
	struct cs_bytes dn = der_of_name(X509_get_subject_name(peer));
	struct cs_bytes other = der_of_name(X509_get_subject_name(root));
	struct ask a = {.certs = {peer, middle}};

	a.id_type = POL_ID_IPV4_ADDR;
	a.id = (struct cs_bytes){v4, 4};
	accepted(&a);
	a.id = (struct cs_bytes){v4_other, 4};
	refused(&a, PKI_F_IDENTITY,
		"the subjectAltName of certificate 'CN=peer,O=Example,C=US' is not the identity "
		"ID_IPV4_ADDR 192.0.2.10");
	a.id = (struct cs_bytes){v4, 3};
	refused(&a, PKI_F_IDENTITY,
		"identity ID_IPV4_ADDR malformed 0xc00002: it is not an IPv4 address");
	a.id_type = POL_ID_USER_FQDN;
	a.id = (struct cs_bytes){(const uint8_t *)"a@EXAMPLE.com", 13};
	accepted(&a);
	a.id = (struct cs_bytes){(const uint8_t *)"A@example.com", 13};
	refused(&a, PKI_F_IDENTITY,
		"the subjectAltName of certificate 'CN=peer,O=Example,C=US' is not the identity "
		"ID_USER_FQDN A@example.com");
	a.id_type = POL_ID_DER_ASN1_DN;
	a.id = dn;
	accepted(&a);
	a.id = (struct cs_bytes){dn.p, dn.len - 1};
	refused(&a, PKI_F_IDENTITY, NULL);
	a.id = other;
	refused(&a, PKI_F_IDENTITY,
		"the subject of certificate 'CN=peer,O=Example,C=US' is not the identity "
		"ID_DER_ASN1_DN CN=Root,O=Example,C=US");
	a.id_type = POL_ID_KEY_ID;
	a.id = (struct cs_bytes){(const uint8_t *)"peer", 4};
	refused(&a, PKI_F_IDENTITY,
		"identity ID_KEY_ID peer: certificates do not hold identities of this type");
	pki_bytes_free(&dn);
	pki_bytes_free(&other);
}
END_TEST

/* A DN that is the same to RFC 5280 and has other string types and spaces. */
START_TEST(dn_as_rfc_5280_compares)
{
	X509_NAME *name = X509_NAME_new();
	struct ask a = {.certs = {peer, middle}, .id_type = POL_ID_DER_ASN1_DN};
	struct cs_bytes der;

	X509_NAME_add_entry_by_txt(name, "C", V_ASN1_PRINTABLESTRING, (const unsigned char *)"us",
				   -1, -1, 0);
	X509_NAME_add_entry_by_txt(name, "O", V_ASN1_PRINTABLESTRING,
				   (const unsigned char *)" EXAMPLE ", -1, -1, 0);
	X509_NAME_add_entry_by_txt(name, "CN", V_ASN1_T61STRING, (const unsigned char *)"Peer", -1,
				   -1, 0);
	der = der_of_name(name);
	a.id = der;
	accepted(&a);
	X509_NAME_free(name);
	pki_bytes_free(&der);
}
END_TEST

/* ---- what is wrong ---- */

#define NOT_PEER "certificate 'CN=p' "

START_TEST(faults)
{
	const struct mk base = {.subject = "CN=p",
				.san = "DNS:" NAME,
				.key = rsa_c,
				.issuer = middle,
				.issuer_key = rsa_b};
	struct {
		struct mk m;
		enum pki_fault fault;
		const char *text; /* NULL: accepted */
	} cases[32];
	unsigned n = 0;

#define CASE(change, what, why)                                                                    \
	cases[n].m = base, cases[n].m.change, cases[n].fault = (what), cases[n++].text = (why)
	CASE(usage = "", PKI_FINE, NULL);
	CASE(usage = "nonRepudiation", PKI_FINE, NULL);
	CASE(usage = "keyEncipherment", PKI_F_USAGE,
	     NOT_PEER "cannot be used: its key usage does not allow signatures "
		      "(digitalSignature)");
	CASE(purpose = "serverAuth", PKI_FINE, NULL);
	CASE(purpose = "1.3.6.1.5.5.7.3.17", PKI_FINE, NULL);
	CASE(purpose = "emailProtection,1.3.6.1.5.5.8.2.2", PKI_FINE, NULL);
	CASE(purpose = "critical,anyExtendedKeyUsage", PKI_FINE, NULL);
	CASE(purpose = "critical,codeSigning", PKI_F_USAGE,
	     NOT_PEER "cannot be used: its extended key usage allows neither IKE nor TLS");
	CASE(from = 5, PKI_F_NOT_YET, NOT_PEER "is not valid before 2026-01-06 00:00 UTC");
	cases[n - 1].m.to = 10;
	CASE(to = -1, PKI_F_EXPIRED, NOT_PEER "expired on 2025-12-31 00:00 UTC");
	cases[n - 1].m.from = -9;
	CASE(key = rsa_small, PKI_F_KEY,
	     "certificate 'CN=p': its RSA key has 1024 bits, and 2048 are needed");
	CASE(key = ec_a, PKI_F_KEY,
	     "certificate 'CN=p': its key is not RSA (type EC), which IKE version 1's RSA "
	     "signatures need");
	CASE(key = ec_small, PKI_F_KEY,
	     "certificate 'CN=p': its EC key has 224 bits, and 256 are needed");
	CASE(md = EVP_sha1(), PKI_F_WEAK,
	     NOT_PEER "is signed with a digest that is too weak: SHA1");
	CASE(md = EVP_md5(), PKI_F_WEAK, NOT_PEER "is signed with a digest that is too weak: MD5");
	CASE(md = EVP_sha512(), PKI_FINE, NULL);
	CASE(issuer_key = rsa_d, PKI_F_SIGNATURE, NOT_PEER "has a wrong signature");
	CASE(san = "DNS:other.example.com", PKI_F_IDENTITY,
	     "the subjectAltName of certificate 'CN=p' is not the identity ID_FQDN " NAME);
	CASE(san = "", PKI_F_IDENTITY,
	     "the subjectAltName of certificate 'CN=p' is not the identity ID_FQDN " NAME);
	CASE(san = "DNS:*.example.com", PKI_F_IDENTITY,
	     "the subjectAltName of certificate 'CN=p' is not the identity ID_FQDN " NAME);
	CASE(subject = "CN=" NAME, PKI_FINE, NULL);
	CASE(more = "critical,DER:0500", PKI_F_EXTENSION,
	     NOT_PEER "has a critical extension that is not known");
	cases[n - 1].m.more_nid = NID_netscape_comment;
	CASE(more = "DER:0500", PKI_FINE, NULL);
	cases[n - 1].m.more_nid = NID_netscape_comment;
	CASE(version = 1, PKI_F_IDENTITY,
	     "the subjectAltName of certificate 'CN=p' is not the identity ID_FQDN " NAME);
	/* A CA may be a peer, too; people make such certificates. */
	CASE(ca = true, PKI_F_USAGE,
	     NOT_PEER "cannot be used: its key usage does not allow signatures "
		      "(digitalSignature)");
#undef CASE
	ck_assert_uint_le(n, 32);
	for (unsigned i = 0; i < n; i++) {
		X509 *cert = mk_cert(&cases[i].m);
		const struct ask a = {.certs = {cert, middle}};

		if (cases[i].text)
			refused(&a, cases[i].fault, cases[i].text);
		else
			accepted(&a);
		X509_free(cert);
	}
}
END_TEST

/* The same of the CA in between. */
START_TEST(middle_faults)
{
	const struct mk base = {
		.subject = "CN=M", .ca = true, .key = rsa_b, .issuer = root, .issuer_key = rsa_a};
	struct {
		struct mk m;
		enum pki_fault fault;
		const char *text; /* NULL: accepted */
	} cases[20];
	unsigned n = 0;

#define CASE(change, what, why)                                                                    \
	cases[n].m = base, cases[n].m.change, cases[n].fault = (what), cases[n++].text = (why)
	CASE(usage = "", PKI_FINE, NULL);
	CASE(basic = "critical,CA:FALSE", PKI_F_NOT_CA,
	     "certificate 'CN=M' may not sign certificates");
	CASE(basic = "", PKI_F_NOT_CA, "certificate 'CN=M' may not sign certificates");
	CASE(usage = "digitalSignature", PKI_F_NOT_CA,
	     "certificate 'CN=M' may not sign certificates");
	CASE(version = 1, PKI_F_NOT_CA, "certificate 'CN=M' may not sign certificates");
	CASE(to = -1, PKI_F_EXPIRED, "certificate 'CN=M' expired on 2025-12-31 00:00 UTC");
	cases[n - 1].m.from = -9;
	CASE(md = EVP_sha1(), PKI_F_WEAK,
	     "certificate 'CN=M' is signed with a digest that is too weak: SHA1");
	CASE(key = rsa_small, PKI_F_KEY,
	     "certificate 'CN=M': its RSA key has 1024 bits, and 2048 are needed");
	CASE(key = ec_a, PKI_FINE, NULL);
	CASE(constraints = "critical,permitted;DNS:example.com", PKI_FINE, NULL);
	CASE(constraints = "critical,permitted;DNS:example.net", PKI_F_CONSTRAINT,
	     "certificate 'CN=p' has a name that a CA above it does not allow");
	CASE(constraints = "critical,excluded;DNS:example.com", PKI_F_CONSTRAINT,
	     "certificate 'CN=p' has a name that a CA above it does not allow");
	CASE(constraints = "permitted;IP:192.0.2.0/255.255.255.0", PKI_FINE, NULL);
	CASE(basic = "critical,CA:TRUE,pathlen:0", PKI_FINE, NULL);
	CASE(issuer_key = rsa_d, PKI_F_SIGNATURE, "certificate 'CN=M' has a wrong signature");
#undef CASE
	ck_assert_uint_le(n, 20);
	for (unsigned i = 0; i < n; i++) {
		X509 *ca = mk_cert(&cases[i].m);
		X509 *cert = mk_host("CN=p", "DNS:" NAME, rsa_c, ca, cases[i].m.key);
		const struct ask a = {.certs = {cert, ca}};

		if (cases[i].text)
			refused(&a, cases[i].fault, cases[i].text);
		else
			accepted(&a);
		X509_free(cert);
		X509_free(ca);
	}
}
END_TEST

START_TEST(unknown_cas)
{
	X509 *stranger = mk_ca("CN=Stranger", rsa_d, NULL, NULL);
	X509 *of_stranger = mk_host("CN=p", "DNS:" NAME, rsa_c, stranger, rsa_d);
	/* The name of ours, and another key: what a CA that was made anew looks like. */
	X509 *twin = mk_ca("CN=Root,O=Example,C=US", rsa_d, NULL, NULL);
	X509 *of_twin = mk_host("CN=p", "DNS:" NAME, rsa_c, twin, rsa_d);
	const struct mk m = {.subject = "CN=self", .san = "DNS:" NAME, .key = rsa_c};
	X509 *self = mk_cert(&m);

	refused(&(struct ask){.certs = {of_stranger}}, PKI_F_UNKNOWN_CA,
		"certificate 'CN=p' is signed by the unknown CA 'CN=Stranger'");
	refused(&(struct ask){.certs = {of_stranger, stranger}}, PKI_F_UNKNOWN_CA,
		"certificate 'CN=Stranger' is signed by the unknown CA 'CN=Stranger'");
	refused(&(struct ask){.certs = {peer}}, PKI_F_UNKNOWN_CA,
		"certificate 'CN=peer,O=Example,C=US' is signed by the unknown CA "
		"'CN=Middle,O=Example,C=US'");
	refused(&(struct ask){.certs = {of_twin}}, PKI_F_UNKNOWN_CA,
		"certificate 'CN=p' is signed by another CA 'CN=Root,O=Example,C=US' than 'Root' "
		"of the keyring");
	refused(&(struct ask){.certs = {self}}, PKI_F_UNKNOWN_CA,
		"certificate 'CN=self' is signed by the unknown CA 'CN=self'");
	refused(&(struct ask){0}, PKI_F_IDENTITY, "the peer sent no certificate");
	X509_free(stranger);
	X509_free(of_stranger);
	X509_free(twin);
	X509_free(of_twin);
	X509_free(self);
}
END_TEST

/* The trusted CA has an end and a strength, too. */
START_TEST(anchors)
{
	const struct mk small = {.subject = "CN=Small", .ca = true, .key = rsa_small};
	const struct mk v1 = {.subject = "CN=Old", .version = 1, .key = rsa_d};
	X509 *s = mk_cert(&small), *old = mk_cert(&v1);
	X509 *of_small = mk_host("CN=p", "DNS:" NAME, rsa_c, s, rsa_small);
	X509 *of_old = mk_host("CN=p", "DNS:" NAME, rsa_c, old, rsa_d);
	struct ask a = {.certs = {of_small}};

	put_cert("Small", s);
	put_cert("Old", old);
	reload();
	refused(&a, PKI_F_KEY,
		"certificate 'CN=Small': its RSA key has 1024 bits, and 2048 are "
		"needed");
	a.strength.rsa_bits = 1024;
	accepted(&a);
	accepted(&(struct ask){.certs = {of_old}});
	refused(&(struct ask){.certs = {peer, middle}, .days = 400}, PKI_F_EXPIRED,
		"certificate 'CN=Root,O=Example,C=US' expired on 2027-01-01 00:00 UTC");
	X509_free(s);
	X509_free(old);
	X509_free(of_small);
	X509_free(of_old);
}
END_TEST

START_TEST(too_many_too_large_too_deep)
{
	struct cs_bytes one = der_of(peer), many[100], crls[PKI_CRLS_MAX + 1];
	uint8_t *large = calloc(1, 1u << 20);
	struct pki_peer p = {.id = {POL_ID_FQDN, {(const uint8_t *)NAME, strlen(NAME)}},
			     .certs = many,
			     .n_certs = 100,
			     .crls = crls,
			     .now = T0};
	struct pki_verdict v;
	struct cs_err err;

	for (unsigned i = 0; i < 100; i++)
		many[i] = one;
	ck_assert_int_eq(pki_peer_check(ring, &p, &v, &err), CS_ELIMIT);
	ck_assert_int_eq(v.fault, PKI_F_LIMIT);
	ck_assert_str_eq(err.text, "the peer sent 100 certificates, and 16 are the most");
	p.n_certs = 1;
	ck_assert_ptr_nonnull(large);
	memcpy(large, one.p, one.len);
	many[0] = (struct cs_bytes){large, 1u << 20};
	ck_assert_int_eq(pki_peer_check(ring, &p, &v, &err), CS_ELIMIT);
	ck_assert_str_eq(err.text, "certificate 1 of 1 has 1048576 bytes, and 32768 are the most");
	many[0] = one;
	for (unsigned i = 0; i < PKI_CRLS_MAX + 1; i++)
		crls[i] = (struct cs_bytes){large, 100};
	p.n_crls = PKI_CRLS_MAX + 1;
	ck_assert_int_eq(pki_peer_check(ring, &p, &v, &err), CS_ELIMIT);
	p.n_crls = 1;
	crls[0].len = 1u << 20;
	ck_assert_int_eq(pki_peer_check(ring, &p, &v, &err), CS_ELIMIT);
	p.n_crls = 0;
	p.n_certs = 3;
	many[1] = many[2] = (struct cs_bytes){large, PKI_CERT_BYTES_MAX};
	ck_assert_int_eq(pki_peer_check(ring, &p, &v, &err), CS_ELIMIT);
	ck_assert_int_eq(v.fault, PKI_F_LIMIT);
	pki_bytes_free(&one);
	free(large);
}
END_TEST

/* A chain of CAs, each below the other; up to PKI_DEPTH_MAX are followed. */
static void chain_of(unsigned cas, bool fits)
{
	X509 *ca[16] = {root};
	EVP_PKEY *keys[2] = {rsa_b, rsa_d};
	struct cs_bytes certs[16];
	struct pki_peer p = {.id = {POL_ID_FQDN, {(const uint8_t *)NAME, strlen(NAME)}},
			     .certs = certs,
			     .now = T0};
	struct pki_verdict v;
	struct cs_err err = {0};
	X509 *leaf;
	int status;

	for (unsigned i = 1; i <= cas; i++) {
		char name[32];

		snprintf(name, sizeof(name), "CN=ca %u", i);
		ca[i] = mk_ca(name, keys[i % 2], ca[i - 1], i == 1 ? rsa_a : keys[(i - 1) % 2]);
	}
	leaf = mk_host("CN=p", "DNS:" NAME, rsa_c, ca[cas], cas ? keys[cas % 2] : rsa_a);
	certs[p.n_certs++] = der_of(leaf);
	for (unsigned i = cas; i > 0; i--)
		certs[p.n_certs++] = der_of(ca[i]);
	status = pki_peer_check(ring, &p, &v, &err);
	if (fits) {
		ck_assert_msg(status == 0, "%u CAs: %s", cas, err.text);
		ck_assert_uint_eq(v.depth, cas + 1);
		pki_key_free(v.key);
	} else {
		ck_assert_msg(status < 0, "%u CAs", cas);
		ck_assert_msg(v.fault == PKI_F_LIMIT, "%s", err.text);
	}
	for (unsigned i = 0; i < p.n_certs; i++)
		pki_bytes_free(&certs[i]);
	for (unsigned i = 1; i <= cas; i++)
		X509_free(ca[i]);
	X509_free(leaf);
}

START_TEST(depth)
{
	chain_of(0, true);
	chain_of(PKI_DEPTH_MAX, true);
	chain_of(PKI_DEPTH_MAX + 1, false);
	chain_of(15, false);
}
END_TEST

/* Two CAs that sign each other: no end, and no trusted one. */
START_TEST(loop)
{
	X509 *a = mk_ca("CN=Ping", rsa_b, NULL, NULL), *b = mk_ca("CN=Pong", rsa_d, NULL, NULL);
	X509 *a_by_b = mk_ca("CN=Ping", rsa_b, b, rsa_d),
	     *b_by_a = mk_ca("CN=Pong", rsa_d, a, rsa_b);
	X509 *leaf = mk_host("CN=p", "DNS:" NAME, rsa_c, a, rsa_b);
	struct pki_verdict v;
	struct cs_err err;

	ck_assert_int_eq(ask(&(struct ask){.certs = {leaf, a_by_b, b_by_a}}, &v, &err), CS_EAUTH);
	ck_assert_msg(v.fault == PKI_F_UNKNOWN_CA, "%s", err.text);
	X509_free(a);
	X509_free(b);
	X509_free(a_by_b);
	X509_free(b_by_a);
	X509_free(leaf);
}
END_TEST

/* ---- keys that nobody should make ---- */

static EVP_PKEY *rsa_public(const char *n_hex, const char *e_hex)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	BIGNUM *n = NULL, *e = NULL;
	EVP_PKEY *key = NULL;
	OSSL_PARAM *params;

	BN_hex2bn(&n, n_hex);
	BN_hex2bn(&e, e_hex);
	OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n);
	OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e);
	params = OSSL_PARAM_BLD_to_param(build);
	ck_assert_int_eq(EVP_PKEY_fromdata_init(ctx), 1);
	ck_assert_int_eq(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(ctx);
	BN_free(n);
	BN_free(e);
	return key;
}

START_TEST(hostile_keys)
{
	BIGNUM *n = NULL;
	char *good, *even, *huge;
	struct {
		const char *n, *e, *why;
	} cases[12];
	unsigned i = 0;

	EVP_PKEY_get_bn_param(rsa_c, "n", &n);
	good = BN_bn2hex(n);
	BN_sub_word(n, 1);
	even = BN_bn2hex(n);
	BN_add_word(n, 1);
	BN_lshift(n, n, 7000);
	BN_set_bit(n, 0);
	huge = BN_bn2hex(n);
	BN_free(n);
#define KEY(mod, exp, text) cases[i].n = (mod), cases[i].e = (exp), cases[i++].why = (text)
	KEY("0", "10001", "its RSA key has 0 bits");
	KEY("1", "10001", "its RSA key has 1 bits");
	KEY("2", "10001", "its RSA key has 2 bits");
	KEY(even, "10001", "its RSA modulus is even");
	KEY(huge, "10001", "its RSA key has 9048 bits, and 8192 are the most");
	KEY(good, "0", "its RSA exponent is even or below 65537");
	KEY(good, "1", "its RSA exponent is even or below 65537");
	KEY(good, "3", "its RSA exponent is even or below 65537");
	KEY(good, "10000", "its RSA exponent is even or below 65537");
	KEY(good, "1000000000000000000000001", "its RSA exponent has 97 bits");
	KEY(good, "100000001", NULL);
#undef KEY
	for (unsigned k = 0; k < i; k++) {
		EVP_PKEY *key = rsa_public(cases[k].n, cases[k].e);
		X509 *cert = mk_host("CN=p", "DNS:" NAME, key, middle, rsa_b);
		struct pki_verdict v;
		struct cs_err err = {0};
		int status = ask(&(struct ask){.certs = {cert, middle}}, &v, &err);

		if (cases[k].why) {
			ck_assert_msg(status == CS_EAUTH && v.fault == PKI_F_KEY, "%u: %s", k,
				      err.text);
			ck_assert_msg(strstr(err.text, cases[k].why) != NULL, "%u: %s", k,
				      err.text);
		} else {
			ck_assert_msg(status == 0, "%u: %s", k, err.text);
			pki_key_free(v.key);
		}
		X509_free(cert);
		EVP_PKEY_free(key);
	}
	OPENSSL_free(good);
	OPENSSL_free(even);
	OPENSSL_free(huge);
}
END_TEST

/* A curve that is written out in the certificate in place of its name. */
START_TEST(explicit_curve)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *key = NULL;
	X509 *cert;

	ck_assert_int_eq(EVP_PKEY_keygen_init(ctx), 1);
	ck_assert_int_eq(EVP_PKEY_CTX_set_group_name(ctx, "P-256"), 1);
	ck_assert_int_eq(EVP_PKEY_CTX_set_ec_param_enc(ctx, OPENSSL_EC_EXPLICIT_CURVE), 1);
	ck_assert_int_eq(EVP_PKEY_generate(ctx, &key), 1);
	EVP_PKEY_CTX_free(ctx);
	cert = mk_host("CN=p", "DNS:" NAME, key, middle, rsa_b);
	refused(&(struct ask){.certs = {cert, middle}}, PKI_F_KEY,
		"certificate 'CN=p': its EC key is not on a curve with a name");
	X509_free(cert);
	EVP_PKEY_free(key);
}
END_TEST

/* ---- DER that is none ---- */

/* Cut at every byte; with a byte behind it; with every byte changed in turn. */
START_TEST(damaged)
{
	struct cs_bytes good = der_of(peer), above = der_of(middle), certs[2];
	uint8_t *copy = malloc(good.len + 1);
	struct pki_peer p = {.id = {POL_ID_FQDN, {(const uint8_t *)NAME, strlen(NAME)}},
			     .certs = certs,
			     .n_certs = 2,
			     .now = T0};
	struct pki_verdict v;
	struct cs_err err;

	ck_assert_ptr_nonnull(copy);
	certs[1] = above;
	for (size_t n = 0; n < good.len; n++) {
		certs[0] = (struct cs_bytes){good.p, n};
		ck_assert_int_eq(pki_peer_check(ring, &p, &v, &err), CS_EPARSE);
		ck_assert_int_eq(v.fault, PKI_F_MALFORMED);
	}
	memcpy(copy, good.p, good.len);
	copy[good.len] = 0;
	certs[0] = (struct cs_bytes){copy, good.len + 1};
	ck_assert_int_eq(pki_peer_check(ring, &p, &v, &err), CS_EPARSE);
	certs[0].len = good.len;
	for (size_t i = 0; i < good.len; i++)
		for (unsigned bit = 0; bit < 8; bit += 3) {
			copy[i] ^= (uint8_t)(1u << bit);
			ck_assert_msg(pki_peer_check(ring, &p, &v, &err) < 0,
				      "byte %zu, bit %u changed, and still accepted", i, bit);
			ck_assert_int_ne(v.fault, PKI_FINE);
			ck_assert_int_ne(err.text[0], '\0');
			copy[i] ^= (uint8_t)(1u << bit);
		}
	free(copy);
	pki_bytes_free(&good);
	pki_bytes_free(&above);
}
END_TEST

/* ---- revocation ---- */

START_TEST(revocation)
{
	const struct mk_crl base = {.issuer = middle, .key = rsa_b, .from = -1, .to = 10};
	struct mk_crl listing = base, old_listing = base, stale = base, forged = base;
	struct ask a = {.certs = {peer, middle}, .revocation = PKI_REVOCATION_LOOSE};
	X509_CRL *clean = mk_crl(&base), *lists, *old_lists, *is_stale, *is_forged;

	listing.revoked[0] = peer;
	lists = mk_crl(&listing);
	old_listing.revoked[0] = peer;
	old_listing.from = -5;
	old_lists = mk_crl(&old_listing);
	stale.from = -20, stale.to = -2, stale.revoked[0] = peer;
	is_stale = mk_crl(&stale);
	forged.key = rsa_d, forged.from = 0;
	is_forged = mk_crl(&forged);

	accepted(&a); /* loose: nothing is known */
	a.crls[0] = clean;
	accepted(&a);
	a.crls[0] = lists;
	refused(&a, PKI_F_REVOKED,
		"certificate 'CN=peer,O=Example,C=US' was revoked on 2025-12-30 23:00 UTC, says "
		"the CRL of 2025-12-31 00:00 UTC");
	a.revocation = PKI_REVOCATION_NONE;
	accepted(&a);
	a.revocation = PKI_REVOCATION_LOOSE;
	a.crls[0] = is_stale; /* what it says is still true */
	refused(&a, PKI_F_REVOKED,
		"certificate 'CN=peer,O=Example,C=US' was revoked on 2025-12-11 23:00 UTC, says "
		"the CRL of 2025-12-12 00:00 UTC");
	a.crls[1] = clean; /* no longer on hold, says a newer one */
	accepted(&a);
	a.crls[0] = old_lists;
	accepted(&a);
	/* A forged newer one hides nothing, in any order. */
	a.crls[0] = is_forged, a.crls[1] = lists;
	refused(&a, PKI_F_REVOKED,
		"certificate 'CN=peer,O=Example,C=US' was revoked on 2025-12-30 23:00 UTC, says "
		"the CRL of 2025-12-31 00:00 UTC");
	/* Nor does an old one of the peer against the keyring's. */
	put_crl("middle", lists);
	reload();
	a.crls[0] = NULL, a.crls[1] = NULL;
	refused(&a, PKI_F_REVOKED,
		"certificate 'CN=peer,O=Example,C=US' was revoked on 2025-12-30 23:00 UTC, says "
		"the CRL of 2025-12-31 00:00 UTC");
	X509_CRL_free(clean);
	X509_CRL_free(lists);
	X509_CRL_free(old_lists);
	X509_CRL_free(is_stale);
	X509_CRL_free(is_forged);
}
END_TEST

START_TEST(old_crl_of_the_peer)
{
	struct mk_crl m = {.issuer = middle, .key = rsa_b, .from = -5, .to = 100};
	X509_CRL *before = mk_crl(&m), *after;
	struct ask a = {
		.certs = {peer, middle}, .revocation = PKI_REVOCATION_STRICT, .crls = {before}};
	struct pki_verdict v;
	struct cs_err err;

	/* The keyring's is newer and, by now, past its time. */
	m.from = -3, m.to = -1, m.revoked[0] = peer;
	after = mk_crl(&m);
	put_crl("middle", after);
	reload();
	ck_assert_int_eq(ask(&a, &v, &err), CS_EAUTH);
	ck_assert_msg(v.fault == PKI_F_REVOKED, "%s", err.text);
	X509_CRL_free(before);
	X509_CRL_free(after);
}
END_TEST

START_TEST(strict)
{
	const struct mk_crl of_root = {.issuer = root, .key = rsa_a, .from = -1, .to = 10};
	struct mk_crl m = {.issuer = middle, .key = rsa_b, .from = -1, .to = 10};
	struct mk_crl revoking = of_root;
	X509_CRL *upper = mk_crl(&of_root), *lower = mk_crl(&m), *other, *no_end;
	struct ask a = {.certs = {peer, middle}, .revocation = PKI_REVOCATION_STRICT};

	refused(&a, PKI_F_NO_CRL,
		"for certificate 'CN=peer,O=Example,C=US' there is no CRL of CA "
		"'CN=Middle,O=Example,C=US'");
	a.crls[0] = lower;
	refused(&a, PKI_F_NO_CRL,
		"for certificate 'CN=Middle,O=Example,C=US' there is no CRL of CA "
		"'CN=Root,O=Example,C=US'");
	put_crl("root", upper); /* one from the keyring, one from the peer */
	reload();
	accepted(&a);
	a.days = 11;
	refused(&a, PKI_F_NO_CRL,
		"for certificate 'CN=peer,O=Example,C=US' the CRL of 2025-12-31 00:00 UTC by CA "
		"'CN=Middle,O=Example,C=US' is not current or is not about it");
	a.days = -2; /* not yet made */
	refused(&a, PKI_F_NO_CRL,
		"for certificate 'CN=peer,O=Example,C=US' there is no CRL of CA "
		"'CN=Middle,O=Example,C=US'");
	a.days = 0;
	m.to = 0;
	no_end = mk_crl(&m);
	a.crls[0] = no_end;
	refused(&a, PKI_F_NO_CRL, NULL);
	/* A CA in between can be revoked as well. */
	revoking.revoked[0] = middle;
	other = mk_crl(&revoking);
	put_crl("root", other);
	reload();
	a.crls[0] = lower;
	refused(&a, PKI_F_REVOKED,
		"certificate 'CN=Middle,O=Example,C=US' was revoked on 2025-12-30 23:00 UTC, says "
		"the CRL of 2025-12-31 00:00 UTC");
	/* Not when it is what we trust. */
	put_cert("Middle", middle);
	reload();
	a.labels[0] = "Middle";
	accepted(&a);
	X509_CRL_free(upper);
	X509_CRL_free(lower);
	X509_CRL_free(other);
	X509_CRL_free(no_end);
}
END_TEST

/* CRLs that speak of a part only, or in a way that we do not know. */
START_TEST(scopes)
{
	static const char here[] = "http://crl.example/1", there[] = "http://crl.example/2";
	const struct mk pointing = {.subject = "CN=p",
				    .san = "DNS:" NAME,
				    .key = rsa_c,
				    .issuer = root,
				    .issuer_key = rsa_a,
				    .more_nid = NID_crl_distribution_points,
				    .more = "URI:http://crl.example/1"};
	X509 *cert = mk_cert(&pointing);
	const struct {
		const char *idp;
		bool unknown, lists;
		const EVP_MD *md;
		bool revoked, covered;
	} cases[] = {
		{NULL, false, true, NULL, true, true},
		{NULL, false, false, NULL, false, true},
		{"onlyuser", false, true, NULL, true, true},
		{"onlyuser", false, false, NULL, false, true},
		{"onlyCA", false, true, NULL, false, false}, /* not about this one */
		{"onlysomereasons", false, true, NULL, true, false},
		{"onlysomereasons", false, false, NULL, false, false},
		{here, false, true, NULL, true, true},
		{here, false, false, NULL, false, true},
		{there, false, true, NULL, true, false},
		{there, false, false, NULL, false, false},
		{NULL, true, true, NULL, false, false},
		{NULL, false, true, EVP_sha1(), false, false},
		{NULL, false, false, EVP_md5(), false, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct mk_crl m = {.issuer = root,
					 .key = rsa_a,
					 .from = -1,
					 .to = 10,
					 .idp = cases[i].idp,
					 .unknown_critical = cases[i].unknown,
					 .md = cases[i].md,
					 .revoked = {cases[i].lists ? cert : NULL}};
		X509_CRL *crl = mk_crl(&m);
		struct ask a = {.certs = {cert}, .crls = {crl}};
		struct pki_verdict v;
		struct cs_err err = {0};

		a.revocation = PKI_REVOCATION_LOOSE;
		ask(&a, &v, &err);
		ck_assert_msg(v.fault == (cases[i].revoked ? PKI_F_REVOKED : PKI_FINE),
			      "case %zu: %s", i, err.text);
		pki_key_free(v.key);
		a.revocation = PKI_REVOCATION_STRICT;
		ask(&a, &v, &err);
		ck_assert_msg(v.fault == (cases[i].revoked   ? PKI_F_REVOKED
					  : cases[i].covered ? PKI_FINE
							     : PKI_F_NO_CRL),
			      "case %zu, strict: %s", i, err.text);
		pki_key_free(v.key);
		X509_CRL_free(crl);
	}
	X509_free(cert);
}
END_TEST

/* A CA whose key usage has no cRLSign signs no CRLs. */
START_TEST(crl_without_crl_sign)
{
	const struct mk m = {.subject = "CN=NoCrl",
			     .ca = true,
			     .usage = "critical,keyCertSign",
			     .key = rsa_b,
			     .issuer = root,
			     .issuer_key = rsa_a};
	X509 *ca = mk_cert(&m), *cert = mk_host("CN=p", "DNS:" NAME, rsa_c, ca, rsa_b);
	const struct mk_crl c = {
		.issuer = ca, .key = rsa_b, .from = -1, .to = 10, .revoked = {cert}};
	X509_CRL *crl = mk_crl(&c);

	accepted(&(struct ask){
		.certs = {cert, ca}, .crls = {crl}, .revocation = PKI_REVOCATION_LOOSE});
	X509_CRL_free(crl);
	X509_free(cert);
	X509_free(ca);
}
END_TEST

/* Whatever bytes stand in for a CRL, the peer's certificate is judged without it. */
START_TEST(damaged_crls)
{
	const struct mk_crl m = {
		.issuer = middle, .key = rsa_b, .from = -1, .to = 10, .revoked = {peer}};
	X509_CRL *crl = mk_crl(&m);
	struct cs_bytes der = der_of_crl(crl), certs[2] = {der_of(peer), der_of(middle)}, crls[1];
	struct pki_peer p = {.id = {POL_ID_FQDN, {(const uint8_t *)NAME, strlen(NAME)}},
			     .certs = certs,
			     .n_certs = 2,
			     .crls = crls,
			     .n_crls = 1,
			     .revocation = PKI_REVOCATION_LOOSE,
			     .now = T0};
	uint8_t *copy = malloc(der.len);
	unsigned unsigned_bytes = 0;
	struct pki_verdict v;
	struct cs_err err;

	ck_assert_ptr_nonnull(copy);
	for (size_t n = 0; n < der.len; n += 7) {
		crls[0] = (struct cs_bytes){der.p, n};
		ck_assert_int_eq(pki_peer_check(ring, &p, &v, &err), 0);
		pki_key_free(v.key);
	}
	memcpy(copy, der.p, der.len);
	crls[0] = (struct cs_bytes){copy, der.len};
	for (size_t i = 0; i < der.len; i++) {
		copy[i] ^= 1;
		/* A byte or two, parameters of the algorithm, are not signed and mean nothing. */
		ck_assert_msg(pki_peer_check(ring, &p, &v, &err) == 0 ||
				      (v.fault == PKI_F_REVOKED && ++unsigned_bytes <= 2),
			      "byte %zu (%02x): %s", i, copy[i], err.text);
		pki_key_free(v.key);
		copy[i] ^= 1;
	}
	ck_assert_int_eq(pki_peer_check(ring, &p, &v, &err), CS_EAUTH);
	free(copy);
	for (unsigned i = 0; i < 2; i++)
		pki_bytes_free(&certs[i]);
	pki_bytes_free(&der);
	X509_CRL_free(crl);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pki_path");
	TCase *tc = tcase_create("path");

	make_keys();
	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, right);
	tcase_add_test(tc, labels);
	tcase_add_test(tc, pinned);
	tcase_add_test(tc, identities);
	tcase_add_test(tc, dn_as_rfc_5280_compares);
	tcase_add_test(tc, faults);
	tcase_add_test(tc, middle_faults);
	tcase_add_test(tc, unknown_cas);
	tcase_add_test(tc, anchors);
	tcase_add_test(tc, too_many_too_large_too_deep);
	tcase_add_test(tc, depth);
	tcase_add_test(tc, loop);
	tcase_add_test(tc, hostile_keys);
	tcase_add_test(tc, explicit_curve);
	tcase_add_test(tc, damaged);
	tcase_add_test(tc, revocation);
	tcase_add_test(tc, old_crl_of_the_peer);
	tcase_add_test(tc, strict);
	tcase_add_test(tc, scopes);
	tcase_add_test(tc, crl_without_crl_sign);
	tcase_add_test(tc, damaged_crls);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
