/*
 * PKCS#12 (RFC 7292), read and written.  OpenSSL's one-call reader knows one key a file; a file
 * that stands for a keyring has several, so its bags are walked here.
 */
#include "pki/private.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pkcs12.h>

#define BAGS_MAX   1024
#define NEST_MAX   4
#define ITERATIONS 100000

void pki_p12_clear(struct pki_p12 *p12)
{
	for (unsigned i = 0; i < p12->n; i++) {
		OPENSSL_free(p12->item[i].name);
		X509_free(p12->item[i].cert);
		EVP_PKEY_free(p12->item[i].key);
	}
	free(p12->item);
	*p12 = (struct pki_p12){0};
}

/* ---- reading ---- */

static int add_item(struct pki_p12 *p12, const PKCS12_SAFEBAG *bag, X509 *cert, EVP_PKEY *key,
		    struct cs_err *err)
{
	struct pki_p12_item *grown;

	if (!cert && !key)
		return pki_fail_openssl(err, "a part of it cannot be read");
	grown = p12->n < BAGS_MAX ? pki_grow(p12->item, p12->n, sizeof(*grown)) : NULL;
	if (!grown) {
		X509_free(cert);
		EVP_PKEY_free(key);
		return cs_fail(err, CS_ELIMIT, "it has too many parts");
	}
	p12->item = grown;
	grown[p12->n++] = (struct pki_p12_item){
		PKCS12_get_friendlyname((PKCS12_SAFEBAG *)(uintptr_t)bag), cert, key};
	return 0;
}

static int walk_bags(const STACK_OF(PKCS12_SAFEBAG) * bags, const char *password, unsigned nest,
		     struct pki_p12 *p12, struct cs_err *err);

static int walk_bag(const PKCS12_SAFEBAG *bag, const char *password, unsigned nest,
		    struct pki_p12 *p12, struct cs_err *err)
{
	PKCS8_PRIV_KEY_INFO *info;
	EVP_PKEY *key;

	switch (PKCS12_SAFEBAG_get_nid(bag)) {
	case NID_keyBag:
		key = EVP_PKCS82PKEY(PKCS12_SAFEBAG_get0_p8inf(bag));
		return add_item(p12, bag, NULL, key, err);
	case NID_pkcs8ShroudedKeyBag:
		info = PKCS12_decrypt_skey(bag, password, -1);
		key = info ? EVP_PKCS82PKEY(info) : NULL;
		PKCS8_PRIV_KEY_INFO_free(info);
		return add_item(p12, bag, NULL, key, err);
	case NID_certBag:
		if (PKCS12_SAFEBAG_get_bag_nid(bag) != NID_x509Certificate)
			return 0;
		return add_item(p12, bag, PKCS12_SAFEBAG_get1_cert(bag), NULL, err);
	case NID_safeContentsBag:
		if (nest == NEST_MAX)
			return cs_fail(err, CS_ELIMIT, "its parts are nested too deep");
		return walk_bags(PKCS12_SAFEBAG_get0_safes(bag), password, nest + 1, p12, err);
	default:
		return 0;
	}
}

static int walk_bags(const STACK_OF(PKCS12_SAFEBAG) * bags, const char *password, unsigned nest,
		     struct pki_p12 *p12, struct cs_err *err)
{
	int status = 0;

	for (int i = 0; i < sk_PKCS12_SAFEBAG_num(bags) && status == 0; i++)
		status = walk_bag(sk_PKCS12_SAFEBAG_value(bags, i), password, nest, p12, err);
	return status;
}

static int walk_safe(PKCS7 *safe, const char *password, struct pki_p12 *p12, struct cs_err *err)
{
	STACK_OF(PKCS12_SAFEBAG) *bags = NULL;
	int status;

	if (PKCS7_type_is_data(safe))
		bags = PKCS12_unpack_p7data(safe);
	else if (PKCS7_type_is_encrypted(safe))
		bags = PKCS12_unpack_p7encdata(safe, password, -1);
	if (!bags)
		return pki_fail_openssl(err, "a part of it cannot be decrypted");
	status = walk_bags(bags, password, 0, p12, err);
	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
	return status;
}

/* No password is written in two ways (RFC 7292 appendix B): absent and empty. */
static bool find_password(PKCS12 *file, const char **password)
{
	static const char *const none[] = {NULL, ""};

	if (!PKCS12_mac_present(file))
		return true;
	if (*password)
		return PKCS12_verify_mac(file, *password, -1) == 1;
	for (int i = 0; i < 2; i++)
		if (PKCS12_verify_mac(file, none[i], i ? 0 : -1) == 1) {
			*password = none[i];
			return true;
		}
	return false;
}

int pki_p12_open(struct cs_bytes der, const char *password, struct pki_p12 *p12, struct cs_err *err)
{
	const unsigned char *p = der.p;
	PKCS12 *file = der.len <= LONG_MAX ? d2i_PKCS12(NULL, &p, (long)der.len) : NULL;
	STACK_OF(PKCS7) *safes = NULL;
	int status = 0;

	*p12 = (struct pki_p12){0};
	ERR_clear_error();
	if (!file)
		return cs_fail(err, CS_EPARSE, "it is no PKCS#12 file");
	if (!find_password(file, &password))
		status = cs_fail(err, CS_EAUTH,
				 password ? "the password is wrong" : "a password is needed");
	else if (!(safes = PKCS12_unpack_authsafes(file)))
		status = pki_fail_openssl(err, "it cannot be unpacked");
	for (int i = 0; status == 0 && i < sk_PKCS7_num(safes); i++)
		status = walk_safe(sk_PKCS7_value(safes, i), password, p12, err);
	sk_PKCS7_pop_free(safes, PKCS7_free);
	PKCS12_free(file);
	ERR_clear_error();
	if (status < 0)
		pki_p12_clear(p12);
	return status;
}

/* ---- as a keyring ---- */

static EVP_PKEY *take_key_of(struct pki_p12 *p12, X509 *cert)
{
	for (unsigned i = 0; i < p12->n; i++) {
		EVP_PKEY *key = p12->item[i].key;

		if (!key || !pki_key_fits(key, cert))
			continue;
		p12->item[i].key = NULL;
		return key;
	}
	return NULL;
}

int pki_p12_entries(const struct pki_file *file, const char *password, struct pki_keyring *ring,
		    pki_note_fn *note, void *arg, struct cs_err *err)
{
	struct pki_p12 p12;
	unsigned nth = 0;
	int status = pki_p12_open((struct cs_bytes){file->data, file->len}, password, &p12, err);

	for (unsigned i = 0; status == 0 && i < p12.n; i++) {
		X509 *cert = p12.item[i].cert;
		char label[PKI_LABEL_MAX + 1], *name = p12.item[i].name;

		if (!cert)
			continue;
		nth++;
		p12.item[i].cert = NULL;
		snprintf(label, sizeof(label), "cert%u", nth);
		status = pki_ring_add(ring, name ? name : label, cert, take_key_of(&p12, cert),
				      file->name, note, arg, err);
	}
	pki_p12_clear(&p12);
	if (status < 0)
		cs_err_prefix(err, "%s", file->name);
	return status;
}

/* ---- writing ---- */

/* Everything above it, the root too: who takes the file shall have all that he needs. */
static PKCS12 *make_p12(const struct pki_keyring *ring, const struct pki_entry *entry,
			bool with_key, const char *password, int64_t now)
{
	STACK_OF(X509) *above = pki_build_chain(ring, entry->cert, now);
	PKCS12 *p12;

	if (!above)
		return NULL;
	X509_free(sk_X509_shift(above)); /* itself */
	p12 = PKCS12_create(password, entry->info.label, with_key ? entry->key : NULL, entry->cert,
			    above, NID_aes_256_cbc, NID_aes_256_cbc, ITERATIONS, -1, 0);
	sk_X509_pop_free(above, X509_free);
	if (p12 && PKCS12_set_mac(p12, password, -1, NULL, 0, ITERATIONS, EVP_sha256()) == 1)
		return p12;
	PKCS12_free(p12);
	return NULL;
}

int pki_p12_bytes(const struct pki_keyring *ring, const struct pki_entry *entry, bool with_key,
		  const char *password, int64_t now, struct cs_bytes *out, struct cs_err *err)
{
	unsigned char *der = NULL;
	PKCS12 *p12;
	int n, status;

	if (with_key && !entry->key)
		return cs_fail(err, CS_ENOTFOUND, "%s has no private key on this keyring",
			       entry->info.label);
	p12 = make_p12(ring, entry, with_key, password, now);
	n = p12 ? i2d_PKCS12(p12, &der) : 0;
	PKCS12_free(p12);
	if (n <= 0)
		return pki_fail_openssl(err, "the PKCS#12 file cannot be made");
	status = pki_bytes_copy(der, (size_t)n, out, err);
	OPENSSL_clear_free(der, (size_t)n);
	return status;
}
