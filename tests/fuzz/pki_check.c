/* Certificates of any bytes, and what must hold. */
#include "tests/fuzz/pki_check.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <unistd.h>

#include "iked/cert_wire.h"
#include "pki/pki.h"
#include "policy/policy.h"
#include "tests/fuzz/holds.h"

#define NOW  1767225600 /* 2026-01-01 */
#define DAY  86400
#define NAME "peer.example.com"
#define MOST 12 /* of each kind, of what a peer may send */

/* For tests alone; the third one's private half is nowhere. */
static const char root_pem[] = "-----BEGIN PRIVATE KEY-----\n"
			       "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgFsfIhuc2N5/pP9gE\n"
			       "umdyAgULX9LwGNRTc/I/If5wPV+hRANCAATiNheDuhWsqR7M9r8N4OLPetvrbEHX\n"
			       "aY20uqoKojdvuFTGJw8VhNyX8+fS/F3A6wn7LIzxug2rHVfcGUHSDv6s\n"
			       "-----END PRIVATE KEY-----\n";
static const char middle_pem[] =
	"-----BEGIN PRIVATE KEY-----\n"
	"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgqAL7f1GvJSNjqqGT\n"
	"gXaFy66JOpmFtM9/69cVIfBlcYahRANCAATrEHDiAv+51oa7/zHCS7aa2Uw2nxOh\n"
	"U6ZEpBCx89+3cE7bBqeq6S13NLN2VB5MwOoeEyjm1zf+JPXb7yrrZRdl\n"
	"-----END PRIVATE KEY-----\n";
static const char peer_pem[] = "-----BEGIN PUBLIC KEY-----\n"
			       "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAyJ78AAXVRWXU5enMUUwW\n"
			       "BnXTM0aeRbj4ebgN5eNFMyFPj8aeZFzbUPnC2H0q2vMphpK29ZWsqciL5V21nsD0\n"
			       "7wJ/mqfuuhWMUPT69jZxQfVjvvSvs+ITWgmGkDRDEkRM6c0B+t34q3GyRoAYC45T\n"
			       "0jU1ofG730K1rbzPV8+IhzbRrxRevHcHa/o8o5nzgHjt1BCgF+lrr4h5NQjoVaLQ\n"
			       "0wQSH0B9NJ32ZX3+6U088zPa4zFQifc7Oa3U51377zZ8lRdN8MhwqZmBQXRKE1Kw\n"
			       "TOKXnCew8lM6txUmS9L/RaOmrzNfIJi2AuwyqqORwNEziaF+YNeHbJcKi5IRBIJ5\n"
			       "NwIDAQAB\n"
			       "-----END PUBLIC KEY-----\n";

static EVP_PKEY *root_key, *middle_key;
static struct pki_keyring *ring;
static X509 *root, *middle, *peer, *other;
static X509_CRL *clean, *listing;

/* ---- the keyring ---- */

static EVP_PKEY *key_of(const char *pem)
{
	BIO *in = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = strstr(pem, "PUBLIC") ? PEM_read_bio_PUBKEY(in, NULL, NULL, NULL)
					      : PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);

	BIO_free(in);
	HOLDS(key);
	return key;
}

static X509 *issue(const char *subject, bool ca, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key)
{
	static const struct pki_san sans[] = {
		{POL_ID_FQDN, NAME}, {POL_ID_IPV4_ADDR, "192.0.2.1"}, {POL_ID_USER_FQDN, "a@b.c"}};
	const struct pki_spec spec = {.subject = subject,
				      .sans = sans,
				      .n_sans = ca ? 0 : 3,
				      .ca = ca,
				      .path_length = -1,
				      .not_before = NOW - DAY,
				      .not_after = NOW + 100L * DAY};
	X509 *cert;

	HOLDS(pki_issue(&spec, key, issuer, issuer_key, &cert, NULL) == 0);
	return cert;
}

static X509_CRL *crl_of(const char *serial)
{
	const struct pki_revoke revoke = {serial, "keyCompromise"};
	X509_CRL *crl;

	HOLDS(pki_crl_make(middle, middle_key, NULL, &revoke, NOW - 60, NOW + DAY, &crl, NULL) ==
	      0);
	return crl;
}

static void load_ring(void)
{
	char dir[] = "/tmp/fuzz_pki.XXXXXX", path[64];
	struct cs_bytes pem;
	struct cs_err err;
	FILE *f;

	HOLDS(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/Root.pem", dir);
	HOLDS(pki_cert_bytes(root, PKI_PEM, &pem, NULL) == 0);
	f = fopen(path, "wb");
	HOLDS(f && fwrite(pem.p, 1, pem.len, f) == pem.len && fclose(f) == 0);
	pki_bytes_free(&pem);
	HOLDS(pki_keyring_load(dir, NULL, NULL, &ring, &err) == 0);
	HOLDS(pki_keyring_size(ring) == 1);
	unlink(path);
	rmdir(dir);
}

void pki_check_setup(void)
{
	EVP_PKEY *peer_key = key_of(peer_pem);
	struct pki_info info;

	root_key = key_of(root_pem);
	middle_key = key_of(middle_pem);
	root = issue("CN=Root,O=Example,C=US", true, root_key, NULL, NULL);
	middle = issue("CN=Middle,O=Example,C=US", true, middle_key, root, root_key);
	peer = issue("CN=peer,O=Example", false, peer_key, middle, middle_key);
	other = issue("CN=other", false, peer_key, root, root_key);
	HOLDS(pki_cert_info(peer, &info, NULL) == 0);
	clean = crl_of("01");
	listing = crl_of(info.serial);
	pki_info_clear(&info);
	EVP_PKEY_free(peer_key);
	load_ring();
}

/* ---- signing what was not signed ---- */

static size_t put_header(uint8_t *to, uint8_t tag, size_t len)
{
	to[0] = tag;
	to[1] = 0x82;
	to[2] = (uint8_t)(len >> 8);
	to[3] = (uint8_t)len;
	return 4;
}

/* SEQUENCE { tbs, ecdsa-with-SHA256, BIT STRING }, malloc'ed. */
static struct cs_bytes sign(struct cs_bytes tbs, EVP_PKEY *key)
{
	static const uint8_t alg[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
				      0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t sig[128], *out = malloc(tbs.len + sizeof(alg) + sizeof(sig) + 16);
	size_t sig_len = sizeof(sig), n;

	HOLDS(ctx && out);
	HOLDS(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1);
	HOLDS(EVP_DigestSign(ctx, sig, &sig_len, tbs.p, tbs.len) == 1);
	EVP_MD_CTX_free(ctx);
	n = put_header(out, 0x30, tbs.len + sizeof(alg) + 4 + 1 + sig_len);
	memcpy(out + n, tbs.p, tbs.len);
	n += tbs.len;
	memcpy(out + n, alg, sizeof(alg));
	n += sizeof(alg);
	n += put_header(out + n, 0x03, sig_len + 1);
	out[n++] = 0;
	memcpy(out + n, sig, sig_len);
	return (struct cs_bytes){out, n + sig_len};
}

/* The bytes that a certificate or CRL is signed over, lent. */
static struct cs_bytes tbs_of(struct cs_bytes der)
{
	const unsigned char *p = der.p;
	long len;
	int tag, class;

	HOLDS(!(ASN1_get_object(&p, &len, &tag, &class, (long)der.len) & 0x80));
	der.p = p;
	HOLDS(!(ASN1_get_object(&p, &len, &tag, &class, (long)(der.len - 4)) & 0x80));
	return (struct cs_bytes){der.p, (size_t)(p - der.p) + (size_t)len};
}

/* ---- an input ---- */

struct input {
	struct cs_bytes certs[MOST], crls[MOST];
	bool made[MOST], made_crl[MOST]; /* malloc'ed */
	struct pki_peer peer;
	bool signed_here, genuine;
};

/* One of ours, of this run or of another: the keys are always the same. */
static bool is_genuine(struct cs_bytes der)
{
	const unsigned char *p = der.p;
	X509 *cert = d2i_X509(NULL, &p, (long)der.len);
	bool genuine =
		cert && (X509_verify(cert, root_key) == 1 || X509_verify(cert, middle_key) == 1);

	X509_free(cert);
	ERR_clear_error();
	return genuine;
}

static void check_wire(struct cs_bytes b)
{
	static struct ike_cert_request q;
	struct ike_cert_job job = {0};
	uint32_t id;

	ike_cert_get_request(b.p, b.len, &q, NULL);
	ike_cert_get_answer_id(b.p, b.len, &id, NULL);
	if (ike_cert_get_answer(b.p, b.len, &job, NULL) == 0)
		HOLDS(job.made_len <= sizeof(job.made) && job.out.n <= IKE_CERT_LIST_MAX);
	ike_cert_job_clear(&job);
}

static void take_piece(struct input *in, uint8_t kind, struct cs_bytes b)
{
	struct pki_peer *p = &in->peer;
	bool by_middle = kind == PIECE_CERT_MIDDLE || kind == PIECE_CRL_MIDDLE;

	switch (kind) {
	case PIECE_CERT:
		if (p->n_certs == MOST)
			return;
		in->genuine = in->genuine || is_genuine(b);
		in->certs[p->n_certs++] = b;
		break;
	case PIECE_CERT_ROOT:
	case PIECE_CERT_MIDDLE:
		if (p->n_certs == MOST)
			return;
		in->signed_here = true;
		in->made[p->n_certs] = true;
		in->certs[p->n_certs++] = sign(b, by_middle ? middle_key : root_key);
		break;
	case PIECE_CRL:
		if (p->n_crls < MOST)
			in->crls[p->n_crls++] = b;
		break;
	case PIECE_CRL_ROOT:
	case PIECE_CRL_MIDDLE:
		if (p->n_crls == MOST)
			return;
		in->made_crl[p->n_crls] = true;
		in->crls[p->n_crls++] = sign(b, by_middle ? middle_key : root_key);
		break;
	case PIECE_ID:
		if (b.len)
			p->id = (struct pki_id){b.p[0], {b.p + 1, b.len - 1}};
		break;
	default:
		check_wire(b);
		break;
	}
}

static void read_input(struct input *in, const uint8_t *data, size_t size)
{
	struct cs_reader r = cs_reader_of(data, size);
	uint8_t kind;
	uint16_t len;

	memset(in, 0, sizeof(*in));
	in->peer = (struct pki_peer){
		.id = {POL_ID_FQDN, {(const uint8_t *)NAME, strlen(NAME)}},
		.certs = in->certs,
		.crls = in->crls,
		.now = NOW,
	};
	while (cs_get_u8(&r, &kind) && cs_get_u16(&r, &len)) {
		size_t left = cs_reader_left(&r);
		struct cs_bytes b;

		if (len > left)
			len = (uint16_t)left;
		if (!cs_get_bytes(&r, len, &b))
			break;
		take_piece(in, kind % PIECE_KINDS, b);
	}
}

/* ---- what must hold ---- */

static bool check_level(const struct input *in, enum pki_revocation level, struct pki_count *count)
{
	struct pki_peer p = in->peer;
	struct pki_verdict v;
	struct cs_err err = {0};
	int status;

	p.revocation = level;
	status = pki_peer_check(ring, &p, &v, &err);
	if (status < 0) {
		HOLDS(v.fault != PKI_FINE && !v.key);
		HOLDS(err.text[0] && (int)err.code == status);
		HOLDS(pki_fault_name(v.fault)[0]);
		count->refused[v.fault]++;
		return false;
	}
	HOLDS(v.fault == PKI_FINE && v.key && v.subject[0]);
	HOLDS(EVP_PKEY_get_base_id(v.key) == EVP_PKEY_RSA && EVP_PKEY_get_bits(v.key) >= 2048);
	HOLDS(strcmp(v.anchor, "Root") == 0 && v.depth >= 1 && v.depth <= PKI_DEPTH_MAX + 1);
	/* Nobody but us has the keys. */
	HOLDS(in->signed_here || in->genuine);
	pki_key_free(v.key);
	count->accepted++;
	return true;
}

void pki_check_input(const uint8_t *data, size_t size, struct pki_count *count)
{
	struct input in;
	bool none, loose, strict;

	read_input(&in, data, size);
	count->inputs++;
	none = check_level(&in, PKI_REVOCATION_NONE, count);
	loose = check_level(&in, PKI_REVOCATION_LOOSE, count);
	strict = check_level(&in, PKI_REVOCATION_STRICT, count);
	HOLDS(none || !loose);
	HOLDS(loose || !strict);
	for (unsigned i = 0; i < in.peer.n_certs; i++)
		if (in.made[i])
			pki_bytes_free(&in.certs[i]);
	for (unsigned i = 0; i < in.peer.n_crls; i++)
		if (in.made_crl[i])
			pki_bytes_free(&in.crls[i]);
}

/* ---- seeds ---- */

static size_t put_piece(uint8_t *to, size_t at, enum pki_piece kind, struct cs_bytes b)
{
	HOLDS(at + 3 + b.len <= PKI_SEED_MAX);
	to[at] = (uint8_t)kind;
	to[at + 1] = (uint8_t)(b.len >> 8);
	to[at + 2] = (uint8_t)b.len;
	memcpy(to + at + 3, b.p, b.len);
	return at + 3 + b.len;
}

static size_t put_cert(uint8_t *to, size_t at, enum pki_piece kind, X509 *cert)
{
	struct cs_bytes der;

	HOLDS(pki_cert_bytes(cert, PKI_DER, &der, NULL) == 0);
	at = put_piece(to, at, kind, kind == PIECE_CERT ? der : tbs_of(der));
	pki_bytes_free(&der);
	return at;
}

static size_t put_crl(uint8_t *to, size_t at, enum pki_piece kind, X509_CRL *crl)
{
	struct cs_bytes der;

	HOLDS(pki_crl_bytes(crl, PKI_DER, &der, NULL) == 0);
	at = put_piece(to, at, kind, kind == PIECE_CRL ? der : tbs_of(der));
	pki_bytes_free(&der);
	return at;
}

static size_t put_wire(uint8_t *to)
{
	static const char *const labels[] = {"Root"};
	struct ike_cert_job job = {.kind = IKE_CERT_VERIFY, .labels = labels, .n_labels = 1};
	uint8_t packet[512];
	size_t len, at;

	job.certs.item[job.certs.n++] = (struct cs_bytes){(const uint8_t *)"cert", 4};
	HOLDS(ike_cert_put_request(1, &job, packet, sizeof(packet), &len, NULL) == 0);
	at = put_piece(to, 0, PIECE_WIRE, (struct cs_bytes){packet, len});
	job.out.item[job.out.n++] = job.certs.item[0];
	HOLDS(ike_cert_put_answer(1, &job, packet, sizeof(packet), &len, NULL) == 0);
	return put_piece(to, at, PIECE_WIRE, (struct cs_bytes){packet, len});
}

size_t pki_check_seed(unsigned i, uint8_t seed[static PKI_SEED_MAX])
{
	static const uint8_t id[] = "\x01\xc0\x00\x02\x01";
	size_t n = 0;

	switch (i) {
	case 0:
		n = put_cert(seed, n, PIECE_CERT, peer);
		return put_cert(seed, n, PIECE_CERT, middle);
	case 1:
		n = put_cert(seed, n, PIECE_CERT_MIDDLE, peer);
		n = put_cert(seed, n, PIECE_CERT_ROOT, middle);
		return put_crl(seed, n, PIECE_CRL_MIDDLE, clean);
	case 2:
		n = put_cert(seed, n, PIECE_CERT_ROOT, other);
		return put_piece(seed, n, PIECE_ID, (struct cs_bytes){id, 5});
	case 3:
		n = put_cert(seed, n, PIECE_CERT, peer);
		n = put_cert(seed, n, PIECE_CERT, middle);
		return put_crl(seed, n, PIECE_CRL_MIDDLE, listing);
	case 4:
		n = put_cert(seed, n, PIECE_CERT, peer);
		n = put_cert(seed, n, PIECE_CERT, middle);
		return put_crl(seed, n, PIECE_CRL, clean);
	default:
		return put_wire(seed);
	}
}
