/* csipsec-pki ca, host, request, sign: new keys and certificates. */
#include <stdio.h>
#include <string.h>

#include "pki/tool.h"

#define KEY_DEFAULT "rsa:3072"
#define CA_DAYS     3650
#define HOST_DAYS   365
#define DAY         86400
#define BACKDATED   3600 /* peers' clocks may be a little slow */

/* --subject, or CN=LABEL where the label needs no escapes. */
static int subject_of(const struct tool *t, char buf[static PKI_LABEL_MAX + 4],
		      const char **subject, struct cs_err *err)
{
	*subject = t->subject;
	if (t->subject)
		return 0;
	if (strpbrk(t->label, ",=+<>#;\"\\*"))
		return cs_fail(err, CS_EINVAL, "--subject is needed with a label like this");
	snprintf(buf, PKI_LABEL_MAX + 4, "CN=%s", t->label);
	*subject = buf;
	return 0;
}

static int make_spec(const struct tool *t, bool ca, char buf[static PKI_LABEL_MAX + 4],
		     struct pki_spec *spec, struct cs_err *err)
{
	int days = t->days >= 0 ? t->days : ca ? CA_DAYS : HOST_DAYS;

	*spec = (struct pki_spec){
		.sans = t->sans,
		.n_sans = t->n_sans,
		.ca = ca,
		.path_length = t->path_length,
		.not_before = t->now - BACKDATED,
		.not_after = t->now + (int64_t)days * DAY,
	};
	return subject_of(t, buf, &spec->subject, err);
}

/* The key first: a certificate without its key is worth less than a key without certificate. */
static int put_pair(const struct tool *t, const struct tool_dir *dir, struct x509_st *cert,
		    struct evp_pkey_st *key, struct cs_err *err)
{
	struct cs_bytes pem_key = {NULL, 0}, pem_cert = {NULL, 0};
	unsigned removed = 0;
	int status = pki_key_bytes(key, &pem_key, err);

	if (status == 0)
		status = pki_cert_bytes(cert, PKI_PEM, &pem_cert, err);
	if (status == 0)
		status = tool_dir_put(dir, t->label, ".key", pem_key, true, t->replace, err);
	if (status == 0) {
		status = tool_dir_put(dir, t->label, ".pem", pem_cert, false, t->replace, err);
		if (status < 0 && !t->replace)
			tool_dir_remove(dir, t->label, ".key", &removed, NULL);
	}
	pki_bytes_free(&pem_key);
	pki_bytes_free(&pem_cert);
	return status;
}

/* Before minutes of work on a key that could not be kept. */
static int check_free(const struct tool *t, const struct tool_dir *dir, struct cs_err *err)
{
	static const char *const endings[] = {".pem", ".key", ".req"};

	for (int i = 0; i < 3 && !t->replace; i++)
		if (tool_dir_has(dir, t->label, endings[i]))
			return cs_fail(err, CS_EEXIST,
				       "%s%s is there already (--replace writes over it)", t->label,
				       endings[i]);
	return 0;
}

/* A key and its certificate, by a CA of the keyring or by itself. */
static int make_pair(struct tool *t, bool ca, struct cs_err *err)
{
	const char *above = t->n_cas ? t->cas[0] : NULL;
	const struct pki_entry *issuer = NULL;
	struct pki_keyring *ring = NULL;
	struct evp_pkey_st *key = NULL;
	struct x509_st *cert = NULL;
	char buf[PKI_LABEL_MAX + 4];
	struct pki_spec spec;
	struct tool_dir dir;
	int status = make_spec(t, ca, buf, &spec, err);

	if (status == 0)
		status = tool_dir_open(t, true, &dir, err);
	if (status < 0)
		return status;
	status = check_free(t, &dir, err);
	if (status == 0)
		status = tool_load(t, &ring, err);
	if (status == 0 && (!ca || above))
		status = tool_find_ca(ring, above, &issuer, err);
	if (status == 0)
		status = pki_key_make(t->key ? t->key : KEY_DEFAULT, &key, err);
	if (status == 0)
		status = pki_issue(&spec, key, issuer ? pki_entry_cert(issuer) : NULL,
				   issuer ? pki_entry_key(issuer) : NULL, &cert, err);
	if (status == 0)
		status = put_pair(t, &dir, cert, key, err);
	pki_cert_free(cert);
	pki_key_free(key);
	pki_keyring_free(ring);
	tool_dir_close(&dir);
	return status;
}

static enum tool_exit made(const struct tool *t, int status, const struct cs_err *err)
{
	if (status < 0)
		return tool_failed(t, err);
	printf("%s/%s.pem and %s.key are made\n", t->ring, t->label, t->label);
	return TOOL_DONE;
}

static int one_ca(const struct tool *t, struct cs_err *err)
{
	return t->n_cas > 1 ? cs_fail(err, CS_EINVAL, "--ca stands twice") : 0;
}

enum tool_exit tool_ca(struct tool *t)
{
	struct cs_err err = {0};
	int status = one_ca(t, &err);

	return made(t, status == 0 ? make_pair(t, true, &err) : status, &err);
}

enum tool_exit tool_host(struct tool *t)
{
	struct cs_err err = {0};
	int status = one_ca(t, &err);

	if (status == 0 && t->key && strncmp(t->key, "rsa", 3) != 0)
		tool_complain("iked signs with RSA keys alone: this certificate is not for iked");
	return made(t, status == 0 ? make_pair(t, false, &err) : status, &err);
}

/* ---- requests ---- */

/* The request goes into the keyring as well, which tells that a reply is waited for. */
static int make_request(struct tool *t, struct cs_err *err)
{
	struct cs_bytes pem_key = {NULL, 0}, pem = {NULL, 0};
	struct X509_req_st *request = NULL;
	struct evp_pkey_st *key = NULL;
	char buf[PKI_LABEL_MAX + 4];
	struct pki_spec spec;
	struct tool_dir dir;
	unsigned removed = 0;
	int status = make_spec(t, false, buf, &spec, err);

	if (status == 0)
		status = tool_dir_open(t, true, &dir, err);
	if (status < 0)
		return status;
	status = check_free(t, &dir, err);
	if (status == 0)
		status = pki_key_make(t->key ? t->key : KEY_DEFAULT, &key, err);
	if (status == 0)
		status = pki_request_make(&spec, key, &request, err);
	if (status == 0)
		status = pki_request_bytes(request, &pem, err);
	if (status == 0)
		status = pki_key_bytes(key, &pem_key, err);
	if (status == 0)
		status = tool_dir_put(&dir, t->label, ".key", pem_key, true, t->replace, err);
	if (status == 0)
		status = tool_dir_put(&dir, t->label, ".req", pem, false, t->replace, err);
	if (status == 0)
		status = tool_write(t->out ? t->out : "-", pem, false, t->replace, err);
	if (status < 0 && pem_key.p && !t->replace && status != CS_EEXIST) {
		tool_dir_remove(&dir, t->label, ".key", &removed, NULL);
		tool_dir_remove(&dir, t->label, ".req", &removed, NULL);
	}
	pki_bytes_free(&pem);
	pki_bytes_free(&pem_key);
	pki_request_free(request);
	pki_key_free(key);
	tool_dir_close(&dir);
	return status;
}

enum tool_exit tool_request(struct tool *t)
{
	struct cs_err err = {0};

	return make_request(t, &err) < 0 ? tool_failed(t, &err) : TOOL_DONE;
}

/* Into a file, or into the keyring under a label, where it is a certificate without private key. */
static int sign_request(struct tool *t, struct cs_err *err)
{
	int days = t->days >= 0 ? t->days : HOST_DAYS;
	struct cs_bytes pem = {NULL, 0};
	struct pki_found found = {0};
	struct pki_keyring *ring = NULL;
	const struct pki_entry *ca;
	struct x509_st *cert = NULL;
	struct tool_dir dir;
	int status = tool_found(t, &found, err);

	if (status == 0 && !found.request)
		status = cs_fail(err, CS_EPARSE, "%s has no request", t->in);
	if (status == 0)
		status = tool_load(t, &ring, err);
	if (status == 0)
		status = tool_find_ca(ring, t->n_cas ? t->cas[0] : NULL, &ca, err);
	if (status == 0)
		status = pki_request_sign(found.request, t->now - BACKDATED,
					  t->now + (int64_t)days * DAY, pki_entry_cert(ca),
					  pki_entry_key(ca), &cert, err);
	if (status == 0)
		status = pki_cert_bytes(cert, PKI_PEM, &pem, err);
	if (status == 0 && t->label) {
		status = tool_dir_open(t, false, &dir, err);
		if (status == 0) {
			status = tool_dir_put(&dir, t->label, ".pem", pem, false, t->replace, err);
			tool_dir_close(&dir);
		}
	}
	if (status == 0 && (t->out || !t->label))
		status = tool_write(t->out ? t->out : "-", pem, false, t->replace, err);
	pki_bytes_free(&pem);
	pki_cert_free(cert);
	pki_keyring_free(ring);
	pki_found_free(&found);
	return status;
}

enum tool_exit tool_sign(struct tool *t)
{
	struct cs_err err = {0};
	int status = one_ca(t, &err);

	if (status == 0)
		status = sign_request(t, &err);
	return status < 0 ? tool_failed(t, &err) : TOOL_DONE;
}
