/* Certificates, keys, CRLs and requests as bytes, out and in. */
#include "pki/private.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/provider.h>

int pki_bytes_copy(const void *p, size_t len, struct cs_bytes *copy, struct cs_err *err)
{
	uint8_t *to = malloc(len ? len : 1);

	if (!to)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	if (len)
		memcpy(to, p, len);
	copy->p = to;
	copy->len = len;
	return 0;
}

void pki_bytes_free(struct cs_bytes *bytes)
{
	uint8_t *p = (uint8_t *)(uintptr_t)bytes->p;

	if (p)
		cs_wipe(p, bytes->len);
	free(p);
	*bytes = (struct cs_bytes){NULL, 0};
}

void pki_list_free(struct pki_list *list)
{
	for (unsigned i = 0; i < list->n; i++)
		free((void *)(uintptr_t)list->item[i].p);
	free(list->item);
	*list = (struct pki_list){0};
}

X509 *pki_cert_decode(struct cs_bytes der)
{
	const unsigned char *p = der.p;
	X509 *cert;

	if (!der.p || der.len == 0 || der.len > LONG_MAX)
		return NULL;
	cert = d2i_X509(NULL, &p, (long)der.len);
	ERR_clear_error();
	if (cert && p != der.p + der.len) {
		X509_free(cert);
		return NULL;
	}
	return cert;
}

/* ---- out ---- */

/* Takes what was written to a memory BIO. ok: whether the writing worked. */
static int take_bio(BIO *bio, int ok, struct cs_bytes *out, struct cs_err *err)
{
	char *text = NULL;
	long n = bio && ok == 1 ? BIO_get_mem_data(bio, &text) : 0;
	int status = n > 0 ? pki_bytes_copy(text, (size_t)n, out, err)
			   : pki_fail_openssl(err, "it cannot be written");

	BIO_free(bio);
	return status;
}

int pki_cert_bytes(X509 *cert, enum pki_form form, struct cs_bytes *out, struct cs_err *err)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int ok = bio ? (form == PKI_PEM ? PEM_write_bio_X509(bio, cert) : i2d_X509_bio(bio, cert))
		     : 0;

	return take_bio(bio, ok, out, err);
}

int pki_cert_subject(X509 *cert, struct cs_bytes *name, struct cs_err *err)
{
	const unsigned char *der;
	size_t len;

	if (X509_NAME_get0_der(X509_get_subject_name(cert), &der, &len) != 1)
		return pki_fail_openssl(err, "the subject cannot be encoded");
	return pki_bytes_copy(der, len, name, err);
}

int pki_key_bytes(EVP_PKEY *key, struct cs_bytes *out, struct cs_err *err)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	int ok = bio ? PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) : 0;

	return take_bio(bio, ok, out, err);
}

int pki_crl_bytes(X509_CRL *crl, enum pki_form form, struct cs_bytes *out, struct cs_err *err)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int ok = bio ? (form == PKI_PEM ? PEM_write_bio_X509_CRL(bio, crl)
					: i2d_X509_CRL_bio(bio, crl))
		     : 0;

	return take_bio(bio, ok, out, err);
}

int pki_request_bytes(X509_REQ *request, struct cs_bytes *out, struct cs_err *err)
{
	BIO *bio = BIO_new(BIO_s_mem());

	return take_bio(bio, bio ? PEM_write_bio_X509_REQ(bio, request) : 0, out, err);
}

/* ---- in ---- */

void pki_found_free(struct pki_found *found)
{
	EVP_PKEY_free(found->key);
	X509_free(found->cert);
	for (unsigned i = 0; i < found->n_more; i++)
		X509_free(found->more[i]);
	free(found->more);
	X509_CRL_free(found->crl);
	X509_REQ_free(found->request);
	*found = (struct pki_found){0};
}

/* Takes the certificate. */
static int add_cert(struct pki_found *f, X509 *cert, struct cs_err *err)
{
	X509 **grown;

	if (!f->cert) {
		f->cert = cert;
		return 0;
	}
	grown = f->n_more < PKI_FILES_MAX ? pki_grow(f->more, f->n_more, sizeof(X509 *)) : NULL;
	if (!grown) {
		X509_free(cert);
		return cs_fail(err, CS_ELIMIT, "it has too many certificates");
	}
	f->more = grown;
	grown[f->n_more++] = cert;
	return 0;
}

static int add_stack(struct pki_found *f, STACK_OF(X509) * certs, struct cs_err *err)
{
	int status = 0;

	for (int i = 0; i < sk_X509_num(certs) && status == 0; i++) {
		X509 *cert = sk_X509_value(certs, i);

		X509_up_ref(cert);
		status = add_cert(f, cert, err);
	}
	return status;
}

/* Certificates in a PKCS#7 without signers, as CAs send chains. */
static int take_p7(PKCS7 *p7, struct pki_found *f, struct cs_err *err)
{
	int status = cs_fail(err, CS_EPARSE, "the PKCS#7 in it has no certificates");

	if (PKCS7_type_is_signed(p7) && p7->d.sign && sk_X509_num(p7->d.sign->cert) > 0)
		status = add_stack(f, p7->d.sign->cert, err);
	PKCS7_free(p7);
	return status;
}

/* Where the usual ciphers do not do, with those of long ago. */
static int open_p12(struct cs_bytes der, const char *password, struct pki_p12 *p12,
		    struct cs_err *err)
{
	OSSL_PROVIDER *legacy;
	int status = pki_p12_open(der, password, p12, err);

	if (status != CS_ECRYPTO)
		return status;
	legacy = OSSL_PROVIDER_try_load(NULL, "legacy", 1);
	if (legacy)
		status = pki_p12_open(der, password, p12, err);
	OSSL_PROVIDER_unload(legacy);
	ERR_clear_error();
	return status;
}

static int take_p12(struct cs_bytes der, const char *password, struct pki_found *f,
		    struct cs_err *err)
{
	struct pki_p12 p12;
	int status = open_p12(der, password, &p12, err);

	for (unsigned i = 0; status == 0 && i < p12.n; i++) {
		if (p12.item[i].cert) {
			status = add_cert(f, p12.item[i].cert, err);
			p12.item[i].cert = NULL;
		} else if (!f->key) {
			f->key = p12.item[i].key;
			p12.item[i].key = NULL;
		} else {
			status = cs_fail(err, CS_EUNSUPPORTED,
					 "it has several private keys: it is a keyring by itself");
		}
	}
	pki_p12_clear(&p12);
	return status;
}

/* How PEM_* asks for a password: what was given, never the terminal. */
static int give_password(char *buf, int size, int write, void *arg)
{
	const char *password = arg;
	size_t n = password ? strlen(password) : 0;

	(void)write;
	if (!password || size < 0 || n > (size_t)size)
		return -1;
	for (size_t i = 0; i < n; i++)
		buf[i] = password[i];
	return (int)n;
}

static int take_key(struct cs_bytes pem_key, bool encrypted, const char *password,
		    struct pki_found *f, struct cs_err *err)
{
	BIO *in = BIO_new_mem_buf(pem_key.p, (int)pem_key.len);
	EVP_PKEY *key =
		in ? PEM_read_bio_PrivateKey(in, NULL, give_password, (void *)(uintptr_t)password)
		   : NULL;

	BIO_free(in);
	ERR_clear_error();
	if (!key && encrypted)
		return cs_fail(err, CS_EAUTH,
			       password ? "the password is wrong" : "a password is needed");
	if (!key)
		return cs_fail(err, CS_EPARSE, "the private key in it is malformed");
	EVP_PKEY_free(f->key);
	f->key = key;
	return 0;
}

static int take_block(const char *name, struct cs_bytes der, struct pki_found *f,
		      struct cs_err *err)
{
	const unsigned char *p = der.p;
	X509 *cert;
	PKCS7 *p7;

	if (strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0) {
		cert = pki_cert_decode(der);
		return cert ? add_cert(f, cert, err)
			    : cs_fail(err, CS_EPARSE, "a certificate in it is malformed");
	}
	if (strcmp(name, PEM_STRING_X509_CRL) == 0 && !f->crl) {
		f->crl = d2i_X509_CRL(NULL, &p, (long)der.len);
		return f->crl ? 0 : cs_fail(err, CS_EPARSE, "the CRL in it is malformed");
	}
	if ((strcmp(name, PEM_STRING_X509_REQ) == 0 ||
	     strcmp(name, PEM_STRING_X509_REQ_OLD) == 0) &&
	    !f->request) {
		f->request = d2i_X509_REQ(NULL, &p, (long)der.len);
		return f->request ? 0 : cs_fail(err, CS_EPARSE, "the request in it is malformed");
	}
	if (strcmp(name, PEM_STRING_PKCS7) == 0) {
		p7 = d2i_PKCS7(NULL, &p, (long)der.len);
		return p7 ? take_p7(p7, f, err)
			  : cs_fail(err, CS_EPARSE, "the PKCS#7 in it is malformed");
	}
	return 0;
}

static int parse_pem(struct cs_bytes file, const char *password, struct pki_found *f,
		     struct cs_err *err)
{
	BIO *in = BIO_new_mem_buf(file.p, (int)file.len);
	unsigned blocks = 0;
	int status = in ? 0 : cs_fail(err, CS_ENOMEM, "out of memory");

	while (status == 0) {
		char *name = NULL, *header = NULL;
		unsigned char *data = NULL;
		long len, began = (long)file.len - (long)BIO_pending(in);

		if (PEM_read_bio(in, &name, &header, &data, &len) != 1)
			break;
		blocks++;
		if (strstr(name, "PRIVATE KEY"))
			status = take_key(
				(struct cs_bytes){file.p + began, file.len - (size_t)began},
				header[0] || strcmp(name, PEM_STRING_PKCS8) == 0, password, f, err);
		else
			status = take_block(name, (struct cs_bytes){data, (size_t)len}, f, err);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(data, (size_t)len);
	}
	BIO_free(in);
	ERR_clear_error();
	return status == 0 && blocks == 0 ? cs_fail(err, CS_EPARSE, "there is no PEM in it")
					  : status;
}

/* One DER value: tried as each of the things that it can be. */
static int parse_der(struct cs_bytes file, const char *password, struct pki_found *f,
		     struct cs_err *err)
{
	const unsigned char *p = file.p;
	long len = (long)file.len;
	PKCS7 *p7;
	int status;

	f->cert = pki_cert_decode(file);
	if (f->cert)
		return 0;
	f->crl = d2i_X509_CRL(NULL, &p, len);
	if (f->crl)
		return 0;
	p = file.p;
	f->request = d2i_X509_REQ(NULL, &p, len);
	if (f->request)
		return 0;
	p = file.p;
	p7 = d2i_PKCS7(NULL, &p, len);
	if (p7)
		return take_p7(p7, f, err);
	status = take_p12(file, password, f, err);
	if (status != CS_EPARSE)
		return status;
	p = file.p;
	f->key = d2i_AutoPrivateKey(NULL, &p, len);
	ERR_clear_error();
	if (f->key)
		return 0;
	return cs_fail(err, CS_EPARSE,
		       "it is no certificate, request, CRL, key, PKCS#7 or PKCS#12 file");
}

/* The key's certificate first. */
static void order(struct pki_found *f)
{
	if (!f->key || !f->cert || pki_key_fits(f->key, f->cert))
		return;
	for (unsigned i = 0; i < f->n_more; i++)
		if (pki_key_fits(f->key, f->more[i])) {
			X509 *own = f->more[i];

			f->more[i] = f->cert;
			f->cert = own;
			return;
		}
}

int pki_found_parse(struct cs_bytes file, const char *password, struct pki_found *found,
		    struct cs_err *err)
{
	int status;

	*found = (struct pki_found){0};
	if (file.len == 0 || !file.p || file.len > 16u * PKI_FILE_MAX)
		return cs_fail(err, CS_EPARSE, "it is empty or too large");
	status = file.p[0] == 0x30 ? parse_der(file, password, found, err)
				   : parse_pem(file, password, found, err);
	ERR_clear_error();
	if (status < 0)
		pki_found_free(found);
	else
		order(found);
	return status;
}
