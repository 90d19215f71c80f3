/*
 * Our own certificate: the one that holds an identity and, if it can be had, chains to a CA that
 * the peer asks for; its chain; and the names of the CAs that we ask for.
 */
#include "pki/private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

static int list_add(struct pki_list *list, const unsigned char *der, size_t len, struct cs_err *err)
{
	struct cs_bytes *grown = pki_grow(list->item, list->n, sizeof(*grown));
	int status;

	if (!grown)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	list->item = grown;
	status = pki_bytes_copy(der, len, &grown[list->n], err);
	if (status == 0)
		list->n++;
	return status;
}

STACK_OF(X509) * pki_ring_cas(const struct pki_keyring *ring)
{
	STACK_OF(X509) *cas = sk_X509_new_null();

	for (unsigned i = 0; cas && i < ring->n_entries; i++)
		if (ring->entry[i]->info.is_ca && sk_X509_push(cas, ring->entry[i]->cert) <= 0) {
			sk_X509_free(cas);
			return NULL;
		}
	for (int i = 0; cas && i < sk_X509_num(ring->helpers); i++)
		if (sk_X509_push(cas, sk_X509_value(ring->helpers, i)) <= 0) {
			sk_X509_free(cas);
			return NULL;
		}
	return cas;
}

STACK_OF(X509) * pki_build_chain(const struct pki_keyring *ring, X509 *cert, int64_t now)
{
	STACK_OF(X509) *cas = pki_ring_cas(ring), *chain = NULL;
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();

	if (!cas || !store || !ctx)
		goto out;
	if (X509_STORE_CTX_init(ctx, store, cert, cas) != 1)
		goto out;
	/* Nothing is trusted here: only what was found on the way up is of interest. */
	X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(ctx), (time_t)now);
	X509_VERIFY_PARAM_set_depth(X509_STORE_CTX_get0_param(ctx), PKI_DEPTH_MAX);
	X509_verify_cert(ctx);
	chain = X509_STORE_CTX_get1_chain(ctx);
out:
	ERR_clear_error();
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	sk_X509_free(cas);
	return chain;
}

int pki_own_chain(const struct pki_keyring *ring, const struct pki_entry *entry, int64_t now,
		  struct pki_list *chain, struct cs_err *err)
{
	STACK_OF(X509) *built = pki_build_chain(ring, entry->cert, now);
	int status = built ? 0 : cs_fail(err, CS_ENOMEM, "out of memory");

	*chain = (struct pki_list){0};
	for (int i = 0; i < sk_X509_num(built) && status == 0; i++) {
		X509 *cert = sk_X509_value(built, i);
		unsigned char *der = NULL;
		int len;

		if (i > 0 && (X509_get_extension_flags(cert) & EXFLAG_SS))
			break; /* who does not have it would not trust it either */
		len = i2d_X509(cert, &der);
		status = len > 0 ? list_add(chain, der, (size_t)len, err)
				 : pki_fail_openssl(err, "a certificate cannot be encoded");
		OPENSSL_free(der);
	}
	sk_X509_pop_free(built, X509_free);
	if (status < 0)
		pki_list_free(chain);
	return status;
}

/* ---- which one ---- */

/* Whether one of these names issued a certificate of the chain, or is a CA in it. */
static bool chains_to(const struct pki_keyring *ring, const struct pki_entry *entry,
		      const struct cs_bytes *cas, unsigned n_cas, int64_t now)
{
	STACK_OF(X509) *chain = pki_build_chain(ring, entry->cert, now);
	bool found = false;

	for (unsigned i = 0; i < n_cas && !found; i++) {
		X509_NAME *name = pki_name_decode(cas[i]);

		for (int k = 0; name && !found && k < sk_X509_num(chain); k++)
			found = X509_NAME_cmp(name,
					      X509_get_issuer_name(sk_X509_value(chain, k))) == 0;
		X509_NAME_free(name);
	}
	sk_X509_pop_free(chain, X509_free);
	return found;
}

/* What keeps a certificate that holds the identity from being used. */
static int usable(const struct pki_entry *e, int64_t now, const struct pki_strength *strength,
		  struct cs_err *err)
{
	const char *usage = pki_ike_usage(e->cert);
	struct cs_err why;
	char day[24];

	if (!e->key)
		return cs_fail(err, CS_ENOTFOUND, "certificate '%s' has no private key here",
			       e->info.label);
	if (now < e->info.not_before) {
		pki_day(e->info.not_before, day);
		return cs_fail(err, CS_ENOTFOUND, "certificate '%s' is not valid before %s",
			       e->info.label, day);
	}
	if (now > e->info.not_after) {
		pki_day(e->info.not_after, day);
		return cs_fail(err, CS_ENOTFOUND, "certificate '%s' expired on %s", e->info.label,
			       day);
	}
	if (usage[0])
		return cs_fail(err, CS_ENOTFOUND, "certificate '%s' cannot be used: %s",
			       e->info.label, usage);
	if (pki_rsa_check(e->key, strength, &why) < 0)
		return cs_fail(err, CS_ENOTFOUND, "certificate '%s' cannot be used: %s",
			       e->info.label, why.text);
	return 0;
}

struct choice {
	const struct pki_entry *entry;
	bool asked;
};

static bool better(const struct choice *a, const struct choice *b)
{
	if (!b->entry)
		return true;
	if (a->asked != b->asked)
		return a->asked;
	if (a->entry->info.is_default != b->entry->info.is_default)
		return a->entry->info.is_default;
	return a->entry->info.not_before > b->entry->info.not_before;
}

int pki_own_find(const struct pki_keyring *ring, const struct pki_id *id,
		 const struct cs_bytes *cas, unsigned n_cas, int64_t now,
		 const struct pki_strength *strength, struct pki_own *own, struct cs_err *err)
{
	struct choice best = {0};
	struct cs_err why, first = {0};

	for (unsigned i = 0; i < ring->n_entries; i++) {
		struct choice c = {.entry = ring->entry[i], .asked = true};

		if (id->type ? !pki_cert_holds(c.entry->cert, id) : !c.entry->info.is_default)
			continue;
		if (usable(c.entry, now, strength, &why) < 0) {
			if (!first.code)
				first = why;
			continue;
		}
		if (n_cas)
			c.asked = chains_to(ring, c.entry, cas, n_cas, now);
		if (better(&c, &best))
			best = c;
	}
	if (best.entry) {
		*own = (struct pki_own){best.entry, !best.asked};
		return 0;
	}
	if (first.code)
		return cs_fail(err, CS_ENOTFOUND, "%s", first.text);
	return cs_fail(err, CS_ENOTFOUND, "no certificate of the keyring %s",
		       id->type ? "holds this identity" : "is the default one");
}

/* ---- whom we ask for ---- */

static bool listed(const char *const *labels, unsigned n, const char *label)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(labels[i], label) == 0)
			return true;
	return false;
}

int pki_ca_names(const struct pki_keyring *ring, const char *const *labels, unsigned n_labels,
		 struct pki_list *names, struct cs_err *err)
{
	int status = 0;

	*names = (struct pki_list){0};
	for (unsigned i = 0; i < ring->n_entries && status == 0; i++) {
		const struct pki_entry *e = ring->entry[i];
		const unsigned char *der;
		size_t len;

		if (!listed(labels, n_labels, e->info.label))
			continue;
		if (X509_NAME_get0_der(X509_get_subject_name(e->cert), &der, &len) != 1)
			status = pki_fail_openssl(err, "a name cannot be encoded");
		else
			status = list_add(names, der, len, err);
	}
	if (status == 0 && names->n == 0)
		status = cs_fail(err, CS_ENOTFOUND,
				 "the keyring has no certificate with the label '%s'%s",
				 n_labels ? labels[0] : "", n_labels > 1 ? " or the others" : "");
	if (status < 0)
		pki_list_free(names);
	return status;
}
