/* What the processes of iked's helpers begin with. */
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#include "iked/iked.h"

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
