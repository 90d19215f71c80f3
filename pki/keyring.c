/*
 * A keyring from its files: entries by label, CRLs, and CA certificates that only help to build
 * chains.  What cannot be used is told and left out; the rest is a keyring all the same.
 */
#include "pki/private.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

/* ---- the keyring ---- */

static void entry_free(struct pki_entry *e)
{
	if (!e)
		return;
	pki_info_clear(&e->info);
	X509_free(e->cert);
	EVP_PKEY_free(e->key);
	free(e);
}

void pki_keyring_free(struct pki_keyring *ring)
{
	if (!ring)
		return;
	for (unsigned i = 0; i < ring->n_entries; i++)
		entry_free(ring->entry[i]);
	free(ring->entry);
	for (unsigned i = 0; i < ring->n_crls; i++) {
		free(ring->crl[i].file);
		X509_CRL_free(ring->crl[i].crl);
	}
	free(ring->crl);
	sk_X509_pop_free(ring->helpers, X509_free);
	free(ring);
}

static void tell(pki_note_fn *note, void *arg, const char *file, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
static void tell(pki_note_fn *note, void *arg, const char *file, const char *format, ...)
{
	char text[256];
	va_list ap;

	if (!note)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	note(arg, file, text);
}

int pki_ring_add(struct pki_keyring *ring, const char *label, X509 *cert, EVP_PKEY *key,
		 const char *file, pki_note_fn *note, void *arg, struct cs_err *err)
{
	struct pki_entry *e, **grown;
	struct cs_err why;
	int status = pki_label_check(label, &why);

	if (status == 0 && pki_keyring_find(ring, label))
		status = cs_fail(&why, CS_EEXIST, "there is another one of this label");
	e = calloc(1, sizeof(*e));
	if (!e) {
		X509_free(cert);
		EVP_PKEY_free(key);
		return cs_fail(err, CS_ENOMEM, "out of memory");
	}
	e->cert = cert;
	e->key = key;
	if (status == 0)
		status = pki_cert_info(cert, &e->info, &why);
	if (status < 0) {
		tell(note, arg, file, "%s", why.text);
		entry_free(e);
		return status == CS_ENOMEM ? cs_fail(err, CS_ENOMEM, "out of memory") : 0;
	}
	memcpy(e->info.label, label, strlen(label) + 1);
	e->info.has_key = key != NULL;
	grown = pki_grow(ring->entry, ring->n_entries, sizeof(*grown));
	if (!grown) {
		entry_free(e);
		return cs_fail(err, CS_ENOMEM, "out of memory");
	}
	ring->entry = grown;
	grown[ring->n_entries++] = e;
	return 0;
}

int pki_ring_add_helper(struct pki_keyring *ring, X509 *cert, struct cs_err *err)
{
	if (sk_X509_push(ring->helpers, cert) > 0)
		return 0;
	X509_free(cert);
	return cs_fail(err, CS_ENOMEM, "out of memory");
}

static int add_crl(struct pki_keyring *ring, const char *file, X509_CRL *crl, struct cs_err *err)
{
	struct pki_ring_crl *grown = pki_grow(ring->crl, ring->n_crls, sizeof(*grown));
	char *name = strdup(file);

	if (grown)
		ring->crl = grown;
	if (!grown || !name) {
		free(name);
		X509_CRL_free(crl);
		return cs_fail(err, CS_ENOMEM, "out of memory");
	}
	grown[ring->n_crls].file = name;
	grown[ring->n_crls++].crl = crl;
	return 0;
}

/* ---- PEM ---- */

/* What one file had. */
struct content {
	X509 *certs[PKI_CERTS_MAX];
	unsigned n_certs;
	EVP_PKEY *key;
	X509_CRL *crl;
};

static void content_free(struct content *c)
{
	for (unsigned i = 0; i < c->n_certs; i++)
		X509_free(c->certs[i]);
	EVP_PKEY_free(c->key);
	X509_CRL_free(c->crl);
}

static int take_block(const char *name, const char *header, const unsigned char *data, long len,
		      struct content *c, struct cs_err *err)
{
	const unsigned char *p = data;

	if (strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0) {
		if (c->n_certs == PKI_CERTS_MAX)
			return cs_fail(err, CS_ELIMIT, "it has more than %d certificates",
				       PKI_CERTS_MAX);
		c->certs[c->n_certs] = pki_cert_decode((struct cs_bytes){data, (size_t)len});
		if (!c->certs[c->n_certs])
			return cs_fail(err, CS_EPARSE, "certificate %u in it is malformed",
				       c->n_certs + 1);
		c->n_certs++;
	} else if (strcmp(name, PEM_STRING_X509_CRL) == 0) {
		X509_CRL_free(c->crl);
		c->crl = d2i_X509_CRL(NULL, &p, len);
		if (!c->crl)
			return cs_fail(err, CS_EPARSE, "the CRL in it is malformed");
	} else if (strcmp(name, PEM_STRING_PKCS8) == 0 ||
		   (strstr(name, "PRIVATE KEY") && header[0])) {
		return cs_fail(err, CS_EUNSUPPORTED,
			       "the private key in it is encrypted: csipsec-pki import reads it");
	} else if (strstr(name, "PRIVATE KEY")) {
		EVP_PKEY_free(c->key);
		c->key = d2i_AutoPrivateKey(NULL, &p, len);
		if (!c->key)
			return cs_fail(err, CS_EPARSE, "the private key in it is malformed");
	}
	return 0;
}

static int read_pem(const struct pki_file *f, struct content *c, struct cs_err *err)
{
	BIO *in = BIO_new_mem_buf(f->data, (int)f->len);
	unsigned blocks = 0;
	int status = in ? 0 : cs_fail(err, CS_ENOMEM, "out of memory");

	while (status == 0) {
		char *name = NULL, *header = NULL;
		unsigned char *data = NULL;
		long len;

		if (PEM_read_bio(in, &name, &header, &data, &len) != 1)
			break;
		blocks++;
		status = take_block(name, header, data, len, c, err);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(data, (size_t)len);
	}
	BIO_free(in);
	ERR_clear_error();
	if (status == 0 && blocks == 0)
		return cs_fail(err, CS_EPARSE, "there is no PEM in it");
	return status;
}

/* PEM, or DER of a CRL. */
static int read_crl(const struct pki_file *f, struct content *c, struct cs_err *err)
{
	const unsigned char *p = f->data;

	if (f->len > 0 && p[0] == 0x30) {
		c->crl = d2i_X509_CRL(NULL, &p, (long)f->len);
		ERR_clear_error();
		if (!c->crl || p != f->data + f->len)
			return cs_fail(err, CS_EPARSE, "it is not the DER of a CRL");
		return 0;
	}
	return read_pem(f, c, err);
}

/* ---- files to entries ---- */

static const struct pki_file *find_file(const struct pki_files *files, const char *label,
					enum pki_file_kind kind)
{
	for (unsigned i = 0; i < files->n; i++)
		if (files->file[i].kind == kind && strcmp(files->file[i].label, label) == 0)
			return &files->file[i];
	return NULL;
}

/* The key of LABEL.key, or the one that stood beside the certificate; NULL and told when unfit. */
static EVP_PKEY *key_for(const struct pki_files *files, const struct pki_file *f, struct content *c,
			 pki_note_fn *note, void *arg)
{
	const struct pki_file *kf = find_file(files, f->label, PKI_FILE_KEY);
	struct content own = {0};
	EVP_PKEY *key = c->key;
	struct cs_err why;
	bool fits = false;

	c->key = NULL;
	if (kf) {
		EVP_PKEY_free(key);
		key = NULL;
		if (read_pem(kf, &own, &why) < 0) {
			tell(note, arg, kf->name, "%s", why.text);
		} else {
			key = own.key;
			own.key = NULL;
			if (!key)
				tell(note, arg, kf->name, "there is no private key in it");
		}
		content_free(&own);
		f = kf;
	}
	if (!key)
		return NULL;
	for (unsigned i = 0; i < c->n_certs && !fits; i++)
		fits = pki_key_fits(key, c->certs[i]);
	if (!fits)
		tell(note, arg, f->name, "its private key is not used: it is another one's");
	else if (f->not_private[0])
		tell(note, arg, f->name, "its private key is not used: %s", f->not_private);
	if (fits && !f->not_private[0])
		return key;
	EVP_PKEY_free(key);
	return NULL;
}

/* The certificate that the key fits is the entry, else the first; the others help. */
static int add_entry(struct pki_keyring *ring, const struct pki_files *files,
		     const struct pki_file *f, struct content *c, pki_note_fn *note, void *arg,
		     struct cs_err *err)
{
	EVP_PKEY *key = key_for(files, f, c, note, arg);
	unsigned own = 0;
	int status;

	for (unsigned i = 0; key && i < c->n_certs; i++)
		if (pki_key_fits(key, c->certs[i])) {
			own = i;
			break;
		}
	status = pki_ring_add(ring, f->label, c->certs[own], key, f->name, note, arg, err);
	c->certs[own] = NULL;
	for (unsigned i = 0; i < c->n_certs && status == 0; i++) {
		X509 *helper = c->certs[i];

		c->certs[i] = NULL;
		if (helper)
			status = pki_ring_add_helper(ring, helper, err);
	}
	return status;
}

static int take_file(struct pki_keyring *ring, const struct pki_files *files,
		     const struct pki_file *f, pki_note_fn *note, void *arg, struct cs_err *err)
{
	struct content c = {0};
	struct cs_err why;
	int status = 0;

	if (f->kind == PKI_FILE_P12)
		return pki_p12_entries(f, files->password, ring, note, arg, err);
	if (f->kind == PKI_FILE_KEY)
		return 0; /* read with its certificate */
	status = f->kind == PKI_FILE_CRL ? read_crl(f, &c, &why) : read_pem(f, &c, &why);
	if (status == 0 && f->kind == PKI_FILE_CRL && !c.crl)
		status = cs_fail(&why, CS_EPARSE, "there is no CRL in it");
	if (status == 0 && f->kind == PKI_FILE_CERT && c.n_certs == 0)
		status = cs_fail(&why, CS_EPARSE, "there is no certificate in it");
	if (status < 0) {
		tell(note, arg, f->name, "%s", why.text);
		status = status == CS_ENOMEM ? cs_fail(err, CS_ENOMEM, "out of memory") : 0;
	} else if (f->kind == PKI_FILE_CRL) {
		status = add_crl(ring, f->name, c.crl, err);
		c.crl = NULL;
	} else {
		status = add_entry(ring, files, f, &c, note, arg, err);
	}
	content_free(&c);
	return status;
}

static int by_label(const void *a, const void *b)
{
	const struct pki_entry *const *x = a, *const *y = b;

	return strcmp((*x)->info.label, (*y)->info.label);
}

static void mark_default(struct pki_keyring *ring, const char *label, pki_note_fn *note, void *arg)
{
	struct pki_entry *only = NULL;
	unsigned hosts = 0;

	for (unsigned i = 0; i < ring->n_entries; i++) {
		struct pki_entry *e = ring->entry[i];

		if (label[0] && strcmp(e->info.label, label) == 0) {
			e->info.is_default = true;
			return;
		}
		if (e->info.has_key && !e->info.is_ca) {
			only = e;
			hosts++;
		}
	}
	if (label[0])
		tell(note, arg, "DEFAULT", "there is no certificate with the label '%s'", label);
	else if (hosts == 1)
		only->info.is_default = true;
}

int pki_keyring_parse(const struct pki_files *files, pki_note_fn *note, void *arg,
		      struct pki_keyring **ring, struct cs_err *err)
{
	struct pki_keyring *r = calloc(1, sizeof(*r));
	int status = 0;

	if (r)
		r->helpers = sk_X509_new_null();
	if (!r || !r->helpers) {
		pki_keyring_free(r);
		return cs_fail(err, CS_ENOMEM, "out of memory");
	}
	for (unsigned i = 0; i < files->n && status == 0; i++)
		status = take_file(r, files, &files->file[i], note, arg, err);
	if (status < 0) {
		pki_keyring_free(r);
		return status;
	}
	if (r->n_entries)
		qsort(r->entry, r->n_entries, sizeof(struct pki_entry *), by_label);
	mark_default(r, files->default_label, note, arg);
	*ring = r;
	return 0;
}

int pki_keyring_load(const char *path, pki_note_fn *note, void *arg, struct pki_keyring **ring,
		     struct cs_err *err)
{
	struct pki_files *files;
	int status = pki_files_read(path, note, arg, &files, err);

	if (status < 0)
		return status;
	status = pki_keyring_parse(files, note, arg, ring, err);
	pki_files_free(files);
	return status;
}

/* ---- what it has ---- */

unsigned pki_keyring_size(const struct pki_keyring *ring)
{
	return ring->n_entries;
}

const struct pki_entry *pki_keyring_at(const struct pki_keyring *ring, unsigned i)
{
	return i < ring->n_entries ? ring->entry[i] : NULL;
}

const struct pki_entry *pki_keyring_find(const struct pki_keyring *ring, const char *label)
{
	for (unsigned i = 0; i < ring->n_entries; i++)
		if (strcmp(ring->entry[i]->info.label, label) == 0)
			return ring->entry[i];
	return NULL;
}

const struct pki_entry *pki_keyring_default(const struct pki_keyring *ring)
{
	for (unsigned i = 0; i < ring->n_entries; i++)
		if (ring->entry[i]->info.is_default)
			return ring->entry[i];
	return NULL;
}

const struct pki_info *pki_entry_info(const struct pki_entry *entry)
{
	return &entry->info;
}

X509 *pki_entry_cert(const struct pki_entry *entry)
{
	return entry->cert;
}

EVP_PKEY *pki_entry_key(const struct pki_entry *entry)
{
	return entry->key;
}

unsigned pki_keyring_n_crls(const struct pki_keyring *ring)
{
	return ring->n_crls;
}

void pki_keyring_crl(const struct pki_keyring *ring, unsigned i, struct pki_crl_info *info)
{
	const X509_CRL *crl = ring->crl[i].crl;
	const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);
	STACK_OF(X509_REVOKED) *revoked = X509_CRL_get_REVOKED(ring->crl[i].crl);

	info->file = ring->crl[i].file;
	pki_name_text(X509_CRL_get_issuer(crl), info->issuer, sizeof(info->issuer));
	info->this_update = pki_time(X509_CRL_get0_lastUpdate(crl));
	info->next_update = next ? pki_time(next) : 0;
	info->n_revoked = revoked ? (unsigned)sk_X509_REVOKED_num(revoked) : 0;
}

X509_CRL *pki_keyring_crl_of(const struct pki_keyring *ring, X509 *issuer)
{
	X509_CRL *newest = NULL;

	for (unsigned i = 0; i < ring->n_crls; i++) {
		X509_CRL *crl = ring->crl[i].crl;

		if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(issuer)) != 0 ||
		    X509_CRL_verify(crl, X509_get0_pubkey(issuer)) != 1)
			continue;
		if (!newest || ASN1_TIME_compare(X509_CRL_get0_lastUpdate(crl),
						 X509_CRL_get0_lastUpdate(newest)) > 0)
			newest = crl;
	}
	ERR_clear_error();
	return newest;
}
