/*
 * The process of the shared store's helper: the one part of iked that speaks with a database
 * server. It reads the configuration as root, its host's name as the worker, whose file that is,
 * and goes on as a user of its own without any capability; it may open files and sockets, and can
 * neither begin a program nor look into another process.
 */
#include <stdlib.h>
#include <unistd.h>

#include "iked/iked.h"

static void on_diag(void *arg, const struct pol_diag *d)
{
	(void)arg, (void)d; /* the worker tells of them; once is enough */
}

/* The file is the worker's: root must not follow what might be in its place. */
static int read_host(const struct iked_options *o, char host[static IKE_SHARED_HOST],
		     struct cs_err *err)
{
	struct iked_identity worker;
	char dir[CS_PATH_MAX];
	int status = cs_state_path(o->stack, IKED_STATE, dir, err);

	if (status == 0)
		status = iked_identity_find(o->user, &worker, err);
	if (status < 0)
		return status;
	if (setegid(worker.gid) < 0 || seteuid(worker.uid) < 0)
		return cs_fail_errno(err, "cannot become user %s", worker.name);
	status = iked_shared_host(dir, o->stack, host, err);
	if (seteuid(0) < 0 || setegid(0) < 0)
		return cs_fail_errno(err, "cannot be root again");
	return status;
}

/* As root; behind it there is no right any more. */
static int prepare(const struct iked_options *o, struct pol_ike_config *config,
		   char host[static IKE_SHARED_HOST], struct cs_err *err)
{
	struct iked_identity id;
	struct cs_err lesser;
	int status = pol_ike_config(o->config, !o->config_given, on_diag, NULL, config, err);

	if (status == 0 && !config->shared_store[0])
		return cs_fail(err, CS_ENOTFOUND, "SharedStore is not coded");
	if (status == 0 && !config->n_vipas) {
		cs_log(CS_NOCTX, CSM_SHARED_NO_VIPA);
		return cs_fail(err, CS_ENOTFOUND, "DynamicVipa is not coded");
	}
	if (status == 0 && ike_shared_check_uri(config->shared_store, err) < 0)
		status = cs_err_prefix(err, "SharedStore");
	if (status == 0)
		status = read_host(o, host, err);
	if (status == 0)
		status = iked_helper_user(o, IKED_SHARED_USER, &id, err);
	if (status == 0)
		status = iked_privilege_none(&id, err);
	if (status < 0)
		return status;
	/* libpq would look for its files in root's, and take what it may not see there for an
	 * error. */
	unsetenv("HOME");
	if (iked_filter_calls(&lesser) < 0)
		cs_log(CS_NOCTX, CSM_SHARED_NO_FILTER, lesser.text);
	return 0;
}

enum cs_exit iked_shared_helper(const struct iked_options *o)
{
	char host[IKE_SHARED_HOST];
	struct pol_ike_config config;
	struct ike_shared_options options = {config.shared_store, host};
	struct cs_err err = {0};
	int status;

	if (!iked_helper_begin(o, "--shared"))
		return CS_EXIT_USAGE;
	status = prepare(o, &config, host, &err);
	if (status == CS_ENOTFOUND && (!config.shared_store[0] || !config.n_vipas)) {
		ike_shared_never(IKED_FD_HELPER);
		return CS_EXIT_ABSENT;
	}
	if (status == 0)
		status = ike_shared_serve(IKED_FD_HELPER, &options, &err);
	switch (status) {
	case 0:
		return CS_EXIT_OK;
	case CS_EPARSE: /* of what the worker sent */
	case CS_ESYS:
	case CS_ENOMEM:
		cs_log(CS_NOCTX, CSM_SHARED_ENDS, err.text);
		return CS_EXIT_FAILED;
	default:
		cs_log(CS_NOCTX, CSM_SHARED_UNUSABLE, err.text);
		ike_shared_never(IKED_FD_HELPER);
		return CS_EXIT_ABSENT;
	}
}
