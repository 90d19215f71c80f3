/* csipsec-pki import, export, delete, default. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pki/tool.h"

/* ---- import ---- */

static int append(struct cs_bytes *to, struct cs_bytes more, struct cs_err *err)
{
	uint8_t *p = malloc(to->len + more.len);

	if (!p)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	if (to->len)
		memcpy(p, to->p, to->len);
	memcpy(p + to->len, more.p, more.len);
	more.len += to->len;
	pki_bytes_free(to);
	to->p = p;
	to->len = more.len;
	return 0;
}

/* The certificate, and behind it those that came with it. */
static int chain_pem(const struct pki_found *found, struct cs_bytes *pem, struct cs_err *err)
{
	int status = pki_cert_bytes(found->cert, PKI_PEM, pem, err);

	for (unsigned i = 0; i < found->n_more && status == 0; i++) {
		struct cs_bytes one;

		status = pki_cert_bytes(found->more[i], PKI_PEM, &one, err);
		if (status < 0)
			break;
		status = append(pem, one, err);
		pki_bytes_free(&one);
	}
	return status;
}

/* The reply to a request must be for the key that is there. */
static int check_waiting(const struct tool *t, const struct tool_dir *dir,
			 const struct pki_found *found, bool *waiting, struct cs_err *err)
{
	struct pki_found there;
	struct cs_bytes pem;
	int status;

	*waiting = tool_dir_has(dir, t->label, ".key") && !tool_dir_has(dir, t->label, ".pem");
	if (!*waiting)
		return 0;
	status = tool_dir_get(dir, t->label, ".key", &pem, err);
	if (status < 0)
		return status;
	status = pki_found_parse(pem, NULL, &there, err);
	pki_bytes_free(&pem);
	if (status < 0)
		return status;
	if (!there.key || !pki_key_fits(there.key, found->cert))
		status = cs_fail(err, CS_EINVAL,
				 "the certificate is not for the key that waits in %s.key",
				 t->label);
	pki_found_free(&there);
	return status;
}

static int check_key(const struct tool *t, const struct tool_dir *dir,
		     const struct pki_found *found, struct cs_err *err)
{
	if (found->key && !pki_key_fits(found->key, found->cert))
		return cs_fail(err, CS_EINVAL, "the private key is for none of the certificates");
	/* A new certificate beside an old one's key would be without a key. */
	if (t->replace && !found->key && tool_dir_has(dir, t->label, ".key") &&
	    tool_dir_has(dir, t->label, ".pem"))
		tool_complain("%s: %s.key stays as it is and is not used if it is another one's",
			      t->label, t->label);
	return 0;
}

static int import_cert(const struct tool *t, const struct tool_dir *dir,
		       const struct pki_found *found, struct cs_err *err)
{
	struct cs_bytes pem = {NULL, 0}, key = {NULL, 0};
	unsigned removed = 0;
	bool waiting = false;
	int status = check_key(t, dir, found, err);

	if (status == 0 && !found->key)
		status = check_waiting(t, dir, found, &waiting, err);
	if (status == 0)
		status = chain_pem(found, &pem, err);
	if (status == 0 && found->key)
		status = pki_key_bytes(found->key, &key, err);
	if (status == 0 && found->key)
		status = tool_dir_put(dir, t->label, ".key", key, true, t->replace, err);
	if (status == 0) {
		status = tool_dir_put(dir, t->label, ".pem", pem, false, t->replace, err);
		if (status < 0 && found->key && !t->replace)
			tool_dir_remove(dir, t->label, ".key", &removed, NULL);
	}
	if (status == 0)
		status = tool_dir_remove(dir, t->label, ".req", &removed, err);
	pki_bytes_free(&pem);
	pki_bytes_free(&key);
	if (status == 0)
		printf("%s/%s.pem is made%s\n", t->ring, t->label,
		       found->key ? ", and its key"
		       : waiting  ? ", for the key that waited"
				  : "");
	if (status == 0 && found->n_more)
		printf("%u more certificate%s in it: for its chain, not trusted. Import a CA under "
		       "a label\nof its own to trust it.\n",
		       found->n_more, found->n_more == 1 ? "" : "s");
	return status;
}

static int import_any(const struct tool *t, struct cs_err *err)
{
	struct cs_bytes bytes;
	struct pki_found found;
	struct tool_dir dir;
	int status = tool_found(t, &found, err);

	if (status < 0)
		return status;
	status = tool_dir_open(t, true, &dir, err);
	if (status < 0) {
		pki_found_free(&found);
		return status;
	}
	if (found.cert) {
		status = import_cert(t, &dir, &found, err);
	} else if (found.crl) {
		status = pki_crl_bytes(found.crl, PKI_PEM, &bytes, err);
		if (status == 0) {
			status =
				tool_dir_put(&dir, t->label, ".crl", bytes, false, t->replace, err);
			pki_bytes_free(&bytes);
		}
		if (status == 0)
			printf("%s/%s.crl is made\n", t->ring, t->label);
	} else {
		status = cs_fail(err, CS_EPARSE, "%s has no certificate and no CRL", t->in);
	}
	tool_dir_close(&dir);
	pki_found_free(&found);
	return status;
}

enum tool_exit tool_import(struct tool *t)
{
	struct cs_err err = {0};

	return import_any(t, &err) < 0 ? tool_failed(t, &err) : TOOL_DONE;
}

/* ---- export ---- */

static int export_pem(const struct tool *t, const struct pki_keyring *ring,
		      const struct pki_entry *e, struct cs_bytes *out, struct cs_err *err)
{
	struct pki_list chain = {0};
	struct cs_bytes one;
	int status = pki_cert_bytes(pki_entry_cert(e), PKI_PEM, out, err);

	if (status == 0 && t->chain)
		status = pki_own_chain(ring, e, t->now, &chain, err);
	for (unsigned i = 1; i < chain.n && status == 0; i++) {
		struct pki_found found;

		status = pki_found_parse(chain.item[i], NULL, &found, err);
		if (status < 0)
			break;
		status = pki_cert_bytes(found.cert, PKI_PEM, &one, err);
		pki_found_free(&found);
		if (status < 0)
			break;
		status = append(out, one, err);
		pki_bytes_free(&one);
	}
	pki_list_free(&chain);
	if (status < 0 || !t->with_key)
		return status;
	status = pki_key_bytes(pki_entry_key(e), &one, err);
	if (status == 0) {
		status = append(out, one, err);
		pki_bytes_free(&one);
	}
	return status;
}

static int export_p12(const struct tool *t, const struct pki_keyring *ring,
		      const struct pki_entry *e, struct cs_bytes *out, struct cs_err *err)
{
	struct cs_bytes password;
	int status = tool_password(t, true, &password, err);

	if (status < 0)
		return status;
	status = pki_p12_bytes(ring, e, t->with_key, (const char *)password.p, t->now, out, err);
	pki_bytes_free(&password);
	return status;
}

static int export_any(const struct tool *t, struct cs_err *err)
{
	const char *form = t->form ? t->form : "pem";
	struct cs_bytes out = {NULL, 0};
	struct pki_keyring *ring;
	const struct pki_entry *e;
	int status = tool_load(t, &ring, err);

	if (status < 0)
		return status;
	status = tool_find(ring, t->label, &e, err);
	if (status == 0 && t->with_key && !pki_entry_key(e))
		status = cs_fail(err, CS_ENOTFOUND, "the keyring has no private key of it");
	if (status == 0 && strcmp(form, "der") == 0)
		status = t->with_key || t->chain
				 ? cs_fail(err, CS_EINVAL, "DER has room for the certificate alone")
				 : pki_cert_bytes(pki_entry_cert(e), PKI_DER, &out, err);
	else if (status == 0 && strcmp(form, "p12") == 0)
		status = export_p12(t, ring, e, &out, err);
	else if (status == 0)
		status = export_pem(t, ring, e, &out, err);
	if (status == 0)
		status = tool_write(t->out ? t->out : "-", out, t->with_key, t->replace, err);
	pki_bytes_free(&out);
	pki_keyring_free(ring);
	return status;
}

enum tool_exit tool_export(struct tool *t)
{
	struct cs_err err = {0};

	return export_any(t, &err) < 0 ? tool_failed(t, &err) : TOOL_DONE;
}

/* ---- delete, default ---- */

static int delete_files(const struct tool *t, struct cs_err *err)
{
	/* The certificate first: a key alone is used by nobody. */
	static const char *const endings[] = {".pem", ".key", ".req", ".crl"};
	struct tool_dir dir;
	unsigned removed = 0;
	int status = tool_dir_open(t, false, &dir, err);

	if (status < 0)
		return status;
	for (int i = 0; i < 4 && status == 0; i++)
		status = tool_dir_remove(&dir, t->label, endings[i], &removed, err);
	tool_dir_close(&dir);
	if (status == 0 && removed == 0)
		status = cs_fail(err, CS_ENOTFOUND, "the keyring has nothing of this label");
	return status;
}

enum tool_exit tool_delete(struct tool *t)
{
	struct cs_err err = {0};

	return delete_files(t, &err) < 0 ? tool_failed(t, &err) : TOOL_DONE;
}

static int set_default(const struct tool *t, struct cs_err *err)
{
	char line[PKI_LABEL_MAX + 2];
	struct pki_keyring *ring;
	const struct pki_entry *e;
	struct tool_dir dir;
	int n, status = tool_dir_open(t, false, &dir, err);

	if (status < 0)
		return status;
	status = tool_load(t, &ring, err);
	if (status == 0) {
		status = tool_find(ring, t->label, &e, err);
		if (status == 0 && !pki_entry_info(e)->has_key)
			status = cs_fail(err, CS_EINVAL, "the keyring has no private key of it");
		pki_keyring_free(ring);
	}
	n = snprintf(line, sizeof(line), "%s\n", t->label);
	if (status == 0)
		status = tool_dir_put(&dir, "DEFAULT", "",
				      (struct cs_bytes){(const uint8_t *)line, (size_t)n}, false,
				      true, err);
	tool_dir_close(&dir);
	return status;
}

enum tool_exit tool_default(struct tool *t)
{
	struct cs_err err = {0};

	return set_default(t, &err) < 0 ? tool_failed(t, &err) : TOOL_DONE;
}
