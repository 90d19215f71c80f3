/* csipsec-pki revoke, crl: the CRL of a CA is NAME.crl, its label's name. */
#include <stdio.h>
#include <string.h>

#include "pki/tool.h"

#define CRL_DAYS 30
#define DAY      86400

static int put_crl(const struct tool *t, const struct pki_keyring *ring, const struct tool_dir *dir,
		   const struct pki_entry *ca, const struct pki_revoke *revoke, struct cs_err *err)
{
	int days = t->days >= 0 ? t->days : CRL_DAYS;
	struct X509_crl_st *crl, *old = pki_keyring_crl_of(ring, pki_entry_cert(ca));
	struct cs_bytes pem;
	int status = pki_crl_make(pki_entry_cert(ca), pki_entry_key(ca), old, revoke, t->now,
				  t->now + (int64_t)days * DAY, &crl, err);

	if (status < 0)
		return status;
	status = pki_crl_bytes(crl, PKI_PEM, &pem, err);
	pki_crl_free(crl);
	if (status < 0)
		return status;
	status = tool_dir_put(dir, pki_entry_info(ca)->label, ".crl", pem, false, true, err);
	if (status == 0 && t->out)
		status = tool_write(t->out, pem, false, t->replace, err);
	pki_bytes_free(&pem);
	if (status == 0)
		fprintf(t->out && strcmp(t->out, "-") == 0 ? stderr : stdout,
			"%s/%s.crl is made: give it to the peers\n", t->ring,
			pki_entry_info(ca)->label);
	return status;
}

/* The CA of the keyring that signed it. */
static int issuer_of(const struct pki_keyring *ring, const struct pki_entry *e,
		     const struct pki_entry **ca, struct cs_err *err)
{
	for (unsigned i = 0; i < pki_keyring_size(ring); i++) {
		const struct pki_entry *c = pki_keyring_at(ring, i);

		if (c != e && pki_entry_info(c)->is_ca && pki_entry_info(c)->has_key &&
		    pki_cert_issued(pki_entry_cert(c), pki_entry_cert(e))) {
			*ca = c;
			return 0;
		}
	}
	return cs_fail(err, CS_ENOTFOUND, "the keyring has no private key of its CA, which is '%s'",
		       pki_entry_info(e)->issuer);
}

static int revoke_in(const struct tool *t, const struct pki_keyring *ring,
		     const struct tool_dir *dir, struct cs_err *err)
{
	struct pki_revoke revoke = {.serial = t->serial, .reason = t->reason};
	const struct pki_entry *e, *ca;
	int status;

	if (!t->label) {
		status = tool_find_ca(ring, t->n_cas ? t->cas[0] : NULL, &ca, err);
	} else {
		status = tool_find(ring, t->label, &e, err);
		if (status == 0)
			status = issuer_of(ring, e, &ca, err);
		if (status == 0)
			revoke.serial = pki_entry_info(e)->serial;
	}
	return status == 0 ? put_crl(t, ring, dir, ca, &revoke, err) : status;
}

static int crl_in(const struct tool *t, const struct pki_keyring *ring, const struct tool_dir *dir,
		  struct cs_err *err)
{
	const struct pki_revoke none = {0};
	const struct pki_entry *ca;
	int status = tool_find_ca(ring, t->label, &ca, err);

	return status == 0 ? put_crl(t, ring, dir, ca, &none, err) : status;
}

/* The last CRL is read, and the next one made of it, while nobody else does. */
static enum tool_exit locked(struct tool *t,
			     int (*fn)(const struct tool *t, const struct pki_keyring *ring,
				       const struct tool_dir *dir, struct cs_err *err))
{
	struct pki_keyring *ring;
	struct cs_err err = {0};
	struct tool_dir dir;
	int status = tool_dir_open(t, false, &dir, &err);

	if (status < 0)
		return tool_failed(t, &err);
	status = tool_load(t, &ring, &err);
	if (status == 0) {
		status = fn(t, ring, &dir, &err);
		pki_keyring_free(ring);
	}
	tool_dir_close(&dir);
	return status < 0 ? tool_failed(t, &err) : TOOL_DONE;
}

enum tool_exit tool_revoke(struct tool *t)
{
	if (!t->label == !t->serial || (t->label && t->n_cas) || t->n_cas > 1) {
		tool_complain("revoke takes a label, or --serial and --ca");
		return TOOL_USAGE;
	}
	return locked(t, revoke_in);
}

enum tool_exit tool_crl(struct tool *t)
{
	return locked(t, crl_in);
}
