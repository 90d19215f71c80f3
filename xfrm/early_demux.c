/*
 * Early demultiplexing: the kernel looks for a packet's socket before the input chains, and so
 * before it has translated the port of a client whose port another one has, too.  It would find the
 * other one's socket.  Where clients may be it is off; sockets are then looked for where they are
 * without it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "xfrm/kernel.h"

static const char *const settings[] = {"tcp_early_demux", "udp_early_demux"};
#define N_SETTINGS (sizeof(settings) / sizeof(settings[0]))

/* Of this network namespace; -1 with errno. */
static int open_setting(const char *name, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/%s", name);
	return open(path, flags | O_CLOEXEC);
}

static bool is(const char *name, bool on)
{
	int fd = open_setting(name, O_RDONLY);
	char c = 0;
	ssize_t n = fd < 0 ? -1 : read(fd, &c, 1);

	if (fd >= 0)
		close(fd);
	return n == 1 && c == (on ? '1' : '0');
}

bool xf_early_demux_is(bool on)
{
	for (size_t i = 0; i < N_SETTINGS; i++)
		if (!is(settings[i], on))
			return false;
	return true;
}

int xf_early_demux_set(bool on, struct cs_err *err)
{
	for (size_t i = 0; i < N_SETTINGS; i++) {
		int fd, failed = 0;

		if (is(settings[i], on))
			continue;
		fd = open_setting(settings[i], O_WRONLY);
		if (fd < 0 || write(fd, on ? "1" : "0", 1) != 1)
			failed = errno;
		if (fd >= 0)
			close(fd);
		if (failed)
			return cs_fail(err, CS_ESYS,
				       "clients behind a NAT need sysctl net.ipv4.%s=%d: %s",
				       settings[i], on, strerror(failed));
	}
	return 0;
}
