/*
 * The certificate helper's process: it holds the private keys and takes peers' certificates apart.
 * It reads the keyring as root and looks into it as nobody: a user without any capability, no
 * files, no network, no other program, nothing but its end of a socket pair to the worker.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include "iked/cert_wire.h"
#include "iked/iked.h"

#ifdef HAVE_OPENSSL

#include "pki/pki.h"

#define JOB_SECONDS 5 /* a job takes milliseconds */

struct certs {
	const struct iked_options *o;
	struct pol_ike_config config;
	struct iked_identity id;
	const char *supported[POL_CAS_MAX];
};

static void on_note(void *arg, const char *file, const char *text)
{
	const struct certs *c = arg;

	cs_log(CS_NOCTX, CSM_CERTS_NOTE, c->config.keyring, file, text);
}

/* The worker tells of its findings; once is enough. */
static void on_diag(void *arg, const struct pol_diag *d)
{
	(void)arg, (void)d;
}

static int read_config(struct certs *c, struct cs_err *err)
{
	int status =
		pol_ike_config(c->o->config, !c->o->config_given, on_diag, NULL, &c->config, err);

	if (status == 0 && !c->config.keyring[0])
		status = cs_fail(err, CS_ENOTFOUND, "NoKeyRing is coded");
	for (unsigned i = 0; i < c->config.n_supported_cas && status == 0; i++)
		c->supported[i] = c->config.supported_cas[i];
	return status;
}

static void tell_of(const struct certs *c, const struct pki_keyring *keyring)
{
	unsigned hosts = 0, cas = 0;

	for (unsigned i = 0; i < pki_keyring_size(keyring); i++) {
		const struct pki_info *info = pki_entry_info(pki_keyring_at(keyring, i));

		cas += info->is_ca;
		hosts += info->has_key && !info->is_ca;
	}
	cs_log(CS_NOCTX, CSM_CERTS_RING, c->config.keyring, pki_keyring_size(keyring), hosts, cas,
	       pki_keyring_n_crls(keyring));
	for (unsigned i = 0; i < c->config.n_supported_cas; i++)
		if (!pki_keyring_find(keyring, c->supported[i]))
			cs_log(CS_NOCTX, CSM_CERTS_NO_CA, c->supported[i]);
}

/* Everything that needs a right or a file; behind it there is neither. */
static int prepare(struct certs *c, struct pki_keyring **keyring, struct cs_err *err)
{
	struct pki_files *files = NULL;
	struct cs_err lesser;
	int status = read_config(c, err);

	if (status == 0)
		status = pki_files_read(c->config.keyring, on_note, c, &files, err);
	if (status == 0)
		status = iked_helper_user(c->o, IKED_CERTS_USER, &c->id, err);
	if (status == 0)
		status = iked_privilege_none(&c->id, err);
	if (status == 0 && pki_secure_memory(&lesser) < 0)
		cs_log(CS_NOCTX, CSM_CERTS_NOTE, c->config.keyring, "memory", lesser.text);
	if (status == 0)
		status = pki_keyring_parse(files, on_note, c, keyring, err);
	pki_files_free(files);
	if (status < 0)
		return status;
	tell_of(c, *keyring);
	if (iked_filter_certs(&lesser) < 0)
		cs_log(CS_NOCTX, CSM_CERTS_NO_FILTER, lesser.text);
	return 0;
}

enum cs_exit iked_certs(const struct iked_options *o)
{
	struct certs c = {.o = o};
	struct ike_cert_ring ring = {.supported = c.supported};
	struct cs_err err = {0};
	int status;

	if (!iked_helper_begin(o, "--certs"))
		return CS_EXIT_USAGE;
	openlog("iked", LOG_PID | LOG_NDELAY, LOG_DAEMON); /* no socket is made later */
	status = prepare(&c, &ring.keyring, &err);
	if (status == CS_ENOTFOUND && !c.config.keyring_coded) {
		cs_log(CS_NOCTX, CSM_CERTS_NONE, err.text);
		return CS_EXIT_ABSENT;
	}
	if (status < 0) {
		cs_log(CS_NOCTX, CSM_CERTS_UNUSABLE, err.text);
		return CS_EXIT_ABSENT;
	}
	ring.n_supported = c.config.n_supported_cas;
	status = ike_cert_serve(IKED_FD_HELPER, &ring, JOB_SECONDS, &err);
	pki_keyring_free(ring.keyring);
	if (status == 0)
		return CS_EXIT_OK;
	cs_log(CS_NOCTX, CSM_CERTS_ENDS, err.text);
	return CS_EXIT_FAILED;
}

#else

enum cs_exit iked_certs(const struct iked_options *o)
{
	cs_log_open("iked", o->foreground);
	cs_log(CS_NOCTX, CSM_CERTS_NONE, "OpenSSL is not built in");
	return CS_EXIT_ABSENT;
}

#endif
