/* Lines that may wait for the log, but let nobody wait: syslog(3) blocks when the log is slow. */
#include "trmd/lines.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

#define AGAIN_MS 10
#define CLOSE_MS 2000

struct trmd_lines {
	const struct trmd_log *log;
	struct sockaddr_un to;
	int fd; /* -1: not connected */
	uv_timer_t again;
	char *queue[TRMD_LINES_MAX]; /* a ring */
	unsigned first, n;
};

int trmd_lines_open(uv_loop_t *loop, const struct trmd_log *log, const char *path,
		    struct trmd_lines **lines, struct cs_err *err)
{
	struct trmd_lines *l = calloc(1, sizeof(*l));

	if (!l)
		return cs_fail(err, CS_ENOMEM, "no memory for lines of packets");
	l->log = log;
	l->fd = -1;
	l->to.sun_family = AF_UNIX;
	snprintf(l->to.sun_path, sizeof(l->to.sun_path), "%s", path);
	uv_timer_init(loop, &l->again);
	l->again.data = l;
	*lines = l;
	return 0;
}

/* ---- one line ---- */

/* As syslog(3) has it on the socket: the log adds the host. NULL: no memory. */
static char *text_of(const struct trmd_lines *l, enum cs_severity severity, const char *line)
{
	time_t now = time(NULL);
	char when[32], *text;
	struct tm tm;

	if (l->log->foreground)
		return asprintf(&text, "%s\n", line) < 0 ? NULL : text;
	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%b %e %H:%M:%S", &tm);
	if (asprintf(&text, "<%d>%s %s[%d]: %s", LOG_LOCAL4 | cs_syslog_priority(severity), when,
		     l->log->tag, (int)getpid(), line) < 0)
		return NULL;
	return text;
}

/* A pipe that polls as writable takes a line at once. */
static bool to_stderr(const char *text)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&p, 1, 0) > 0 && write(STDERR_FILENO, text, strlen(text)) > 0;
}

static bool connected(struct trmd_lines *l)
{
	if (l->fd >= 0)
		return true;
	l->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd >= 0 && connect(l->fd, (struct sockaddr *)&l->to, sizeof(l->to)) == 0)
		return true;
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	return false;
}

/* A log that was started again is another socket of that name. */
static bool to_syslog(struct trmd_lines *l, const char *text)
{
	for (unsigned tries = 0; tries < 2 && connected(l); tries++) {
		if (send(l->fd, text, strlen(text), MSG_NOSIGNAL) >= 0)
			return true;
		if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)
			return false;
		close(l->fd);
		l->fd = -1;
	}
	return false;
}

static bool out(struct trmd_lines *l, const char *text)
{
	return l->log->foreground ? to_stderr(text) : to_syslog(l, text);
}

/* ---- the queue ---- */

static void on_again(uv_timer_t *timer)
{
	struct trmd_lines *l = timer->data;

	while (l->n && out(l, l->queue[l->first])) {
		free(l->queue[l->first]);
		l->first = (l->first + 1) % TRMD_LINES_MAX;
		l->n--;
	}
	if (!l->n)
		uv_timer_stop(timer);
}

bool trmd_lines_say(void *arg, enum cs_severity severity, const char *line)
{
	struct trmd_lines *l = arg;
	char *text;

	if (l->n == TRMD_LINES_MAX)
		return false;
	text = text_of(l, severity, line);
	if (!text)
		return false;
	if (!l->n && out(l, text)) {
		free(text);
		return true;
	}
	l->queue[(l->first + l->n++) % TRMD_LINES_MAX] = text;
	if (!uv_is_active((uv_handle_t *)&l->again))
		uv_timer_start(&l->again, on_again, AGAIN_MS, AGAIN_MS);
	return true;
}

static void on_closed(uv_handle_t *handle)
{
	struct trmd_lines *l = handle->data;

	for (; l->n; l->n--, l->first = (l->first + 1) % TRMD_LINES_MAX)
		free(l->queue[l->first]);
	if (l->fd >= 0)
		close(l->fd);
	free(l);
}

void trmd_lines_close(struct trmd_lines *l)
{
	int64_t end = cs_mono_ms() + CLOSE_MS;

	if (!l)
		return;
	for (on_again(&l->again); l->n && cs_mono_ms() < end; on_again(&l->again))
		uv_sleep(AGAIN_MS);
	uv_close((uv_handle_t *)&l->again, on_closed);
}
