/* What the processes of iked's helpers begin with. */
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#include "iked/iked.h"

#define NO_GROUP 65534 /* what the kernel itself has for none */

static bool is_ours(void)
{
	int type;
	socklen_t len = sizeof(type);

	return getsockopt(IKED_FD_HELPER, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       type == SOCK_SEQPACKET;
}

bool iked_helper_begin(const struct iked_options *o, const char *option)
{
	if (!is_ours()) {
		fprintf(stderr, "iked: %s is how iked starts itself, not for people\n", option);
		return false;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN); /* a terminal sends it to all; the worker's end decides */
	cs_log_open("iked", o->foreground);
	return true;
}

int iked_helper_user(const struct iked_options *o, const char *own, struct iked_identity *id,
		     struct cs_err *err)
{
	struct iked_identity worker;
	int status = iked_identity_find(o->user, &worker, err);

	if (status < 0)
		return status;
	*id = worker;
	if (!o->user && getpwnam(own))
		status = iked_identity_find(own, id, err);
	if (status == 0 && id->gid == worker.gid)
		id->gid = NO_GROUP;
	return status;
}
