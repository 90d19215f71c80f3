/*
 * The serving end of the management socket, on the daemon's libuv loop.  docs/nmi.md is the
 * contract.
 *
 * A client costs a bounded amount whatever it does: requests have a length limit, answers that it
 * does not take are limited in bytes and time, and a second request before the end of the first
 * answer is an error.  Tickets are never used again, so that an answer that comes after its client
 * went finds nobody.
 */
#include "common/nmi.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"

#define HEADER_LEN   4u
#define STREAM_AHEAD (64u << 10) /* a stream is asked for more below this many bytes queued */
#define BACKLOG      16
#define SWEEP_MS     250

struct stream {
	cs_nmi_next_fn *next;
	void (*release)(void *state);
	void *state;
};

struct gone {
	cs_nmi_gone_fn *fn;
	void *arg;
};

struct client {
	uv_pipe_t pipe;
	struct cs_nmi_server *server;
	struct client *next;
	uid_t uid;
	uint64_t ticket;      /* of the request under way, 0: none */
	struct stream stream; /* next NULL: none */
	struct gone gone;     /* who works on the answer; fn NULL: nobody */
	uint8_t *in;          /* what has come of a request, header included */
	size_t in_len, in_cap;
	size_t queued;  /* bytes of output that libuv holds */
	uint64_t since; /* loop time of the last step forward: input begun, output taken */
	bool eof;       /* the peer sends no more, and may still read */
	bool last;      /* close when the output is out */
	bool closing;
};

struct cs_nmi_server {
	uv_loop_t *loop;
	uv_pipe_t listener;
	uv_timer_t sweep;
	unsigned handles; /* open ones of the three kinds; the server is freed with the last */
	bool stopping;
	struct client *clients;
	uint64_t last_ticket;
	cs_nmi_fn *fn;
	void *arg;
	char *program;
	struct cs_nmi_limits limits;
	struct cs_nmi_stats stats;
	dev_t dev; /* of our socket, so that a successor's is left alone */
	ino_t ino;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

struct output {
	uv_write_t req;
	struct client *client;
	size_t len;
	uint8_t data[];
};

static const struct cs_nmi_limits default_limits = {
	.clients = 64,
	.request = 64u << 10,
	.queued = 4u << 20,
	.request_ms = 10000,
	.stall_ms = 30000,
	.idle_ms = 300000,
};

static void pump(struct client *c);

/* ---- the end of things ---- */

static void handle_closed(struct cs_nmi_server *s)
{
	if (--s->handles > 0)
		return;
	free(s->program);
	free(s);
}

static void on_client_closed(uv_handle_t *handle)
{
	struct client *c = handle->data;
	struct cs_nmi_server *s = c->server;

	free(c->in);
	free(c);
	handle_closed(s);
}

static void on_server_handle_closed(uv_handle_t *handle)
{
	handle_closed(handle->data);
}

static void stream_end(struct client *c)
{
	struct stream st = c->stream;

	c->stream = (struct stream){0};
	if (st.release)
		st.release(st.state);
}

static void tell_gone(struct client *c)
{
	struct gone gone = c->gone;

	c->gone = (struct gone){0};
	if (gone.fn)
		gone.fn(gone.arg);
}

static void client_close(struct client *c)
{
	struct cs_nmi_server *s = c->server;

	if (c->closing)
		return;
	c->closing = true;
	c->ticket = 0;
	for (struct client **p = &s->clients; *p; p = &(*p)->next)
		if (*p == c) {
			*p = c->next;
			break;
		}
	s->stats.clients--;
	if (!s->clients && !s->stopping)
		uv_timer_stop(&s->sweep);
	uv_close((uv_handle_t *)&c->pipe, on_client_closed);
	stream_end(c);
	tell_gone(c);
}

static void client_slow(struct client *c, const char *why)
{
	c->server->stats.slow++;
	cs_log(CS_NOCTX, CSM_NMI_SLOW, (unsigned)c->uid, why);
	client_close(c);
}

/* ---- output ---- */

static void on_written(uv_write_t *req, int status)
{
	struct output *out = (struct output *)req;
	struct client *c = out->client;

	c->queued -= out->len;
	free(out);
	if (c->closing)
		return;
	if (status < 0) {
		client_close(c);
		return;
	}
	c->since = uv_now(c->server->loop);
	pump(c);
	if (!c->closing && c->last && c->queued == 0)
		client_close(c);
}

/* False: the client is closed. */
static bool send_text(struct client *c, const char *text, size_t len)
{
	struct output *out;
	uint32_t header = htonl((uint32_t)len);
	uv_buf_t buf;

	if (c->queued + HEADER_LEN + len > c->server->limits.queued) {
		client_slow(c, "it does not take its answers");
		return false;
	}
	out = malloc(sizeof(*out) + HEADER_LEN + len);
	if (!out) {
		client_close(c);
		return false;
	}
	out->client = c;
	out->len = HEADER_LEN + len;
	memcpy(out->data, &header, HEADER_LEN);
	memcpy(out->data + HEADER_LEN, text, len);
	buf = uv_buf_init((char *)out->data, (unsigned)out->len);
	if (uv_write(&out->req, (uv_stream_t *)&c->pipe, &buf, 1, on_written) < 0) {
		free(out);
		client_close(c);
		return false;
	}
	if (c->queued == 0)
		c->since = uv_now(c->server->loop);
	c->queued += out->len;
	return true;
}

/* Takes over frame. 0, CS_ENOMEM or CS_ELIMIT; what becomes of the client is not told here. */
static int send_frame(struct client *c, json_t *frame)
{
	char *text = frame ? json_dumps(frame, JSON_COMPACT) : NULL;
	size_t len = text ? strlen(text) : 0;
	int rc = 0;

	json_decref(frame);
	if (!text)
		return CS_ENOMEM;
	if (len > CS_NMI_FRAME_MAX)
		rc = CS_ELIMIT;
	else
		send_text(c, text, len);
	free(text);
	return rc;
}

/* ---- answers ---- */

static struct client *client_of(struct cs_nmi_server *s, uint64_t ticket)
{
	for (struct client *c = s->clients; ticket && c; c = c->next)
		if (c->ticket == ticket)
			return c;
	return NULL;
}

/* The same for who answers now, and so need not be told when the client goes. */
static struct client *to_answer(struct cs_nmi_server *s, uint64_t ticket)
{
	struct client *c = client_of(s, ticket);

	if (c)
		c->gone = (struct gone){0};
	return c;
}

/* The answer is complete: the next request may come, unless the client said that none will. */
static void answered(struct client *c)
{
	if (c->closing)
		return;
	c->ticket = 0;
	c->since = uv_now(c->server->loop);
	stream_end(c);
	if (c->eof)
		c->last = true;
	if (c->last && c->queued == 0)
		client_close(c);
}

/* A text that was cut within a character, or quotes a peer's bytes, is no UTF-8: then in ASCII. */
static json_t *error_frame(enum cs_code code, const char *text)
{
	json_t *frame = json_pack("{s:s, s:s}", "error", text, "code", cs_code_name(code));
	char ascii[sizeof(((struct cs_err *)0)->text)];

	if (frame)
		return frame;
	snprintf(ascii, sizeof(ascii), "%s", text);
	for (char *p = ascii; *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	return json_pack("{s:s, s:s}", "error", ascii, "code", cs_code_name(code));
}

static void answer_error(struct client *c, enum cs_code code, const char *text)
{
	json_t *frame = error_frame(code, text);

	c->server->stats.errors++;
	if (send_frame(c, frame) < 0)
		client_close(c);
	answered(c);
}

static void answer_entry(struct client *c, json_t *entry)
{
	int rc = entry ? send_frame(c, json_pack("{s:o}", "entry", entry)) : CS_ENOMEM;

	if (rc == CS_ELIMIT)
		answer_error(c, CS_ELIMIT, "an entry is longer than a frame can be");
	else if (rc < 0)
		answer_error(c, CS_ENOMEM, "an entry could not be built");
}

static void answer_done(struct client *c, json_t *fields)
{
	int rc;

	if (!fields)
		fields = json_object();
	if (!fields || json_object_set_new(fields, "done", json_true()) < 0) {
		json_decref(fields);
		answer_error(c, CS_ENOMEM, "the end of the answer could not be built");
		return;
	}
	rc = send_frame(c, fields);
	if (rc < 0) {
		answer_error(c, rc, "the end of the answer could not be built");
		return;
	}
	c->server->stats.answers++;
	answered(c);
}

void cs_nmi_entry(struct cs_nmi_server *s, uint64_t ticket, json_t *entry)
{
	struct client *c = to_answer(s, ticket);

	if (c)
		answer_entry(c, entry);
	else
		json_decref(entry);
}

void cs_nmi_done(struct cs_nmi_server *s, uint64_t ticket, json_t *fields)
{
	struct client *c = to_answer(s, ticket);

	if (c) {
		answer_done(c, fields);
	} else {
		s->stats.orphans++;
		json_decref(fields);
	}
}

void cs_nmi_error(struct cs_nmi_server *s, uint64_t ticket, enum cs_code code, const char *text)
{
	struct client *c = to_answer(s, ticket);

	if (c)
		answer_error(c, code, text);
	else
		s->stats.orphans++;
}

/* Asks the stream for what the client can take now. */
static void pump(struct client *c)
{
	while (c->stream.next && !c->closing && c->queued < STREAM_AHEAD) {
		json_t *json = NULL;
		struct cs_err err = {0};
		int rc = c->stream.next(c->stream.state, &json, &err);

		if (rc > 0) {
			answer_entry(c, json);
		} else if (rc == 0) {
			answer_done(c, json);
		} else {
			json_decref(json);
			answer_error(c, rc, err.text);
		}
	}
}

void cs_nmi_stream(struct cs_nmi_server *s, uint64_t ticket, cs_nmi_next_fn *next,
		   void (*release)(void *state), void *state)
{
	struct client *c = to_answer(s, ticket);

	if (!c || c->stream.next) {
		s->stats.orphans++;
		if (release)
			release(state);
		return;
	}
	c->stream = (struct stream){next, release, state};
	pump(c);
}

void cs_nmi_on_gone(struct cs_nmi_server *s, uint64_t ticket, cs_nmi_gone_fn *gone, void *arg)
{
	struct client *c = client_of(s, ticket);

	if (c)
		c->gone = (struct gone){gone, arg};
	else
		gone(arg);
}

/* ---- input ---- */

/* The client has broken the contract: it is told, and closed when it has the message. */
static void client_malformed(struct client *c, const char *why)
{
	c->server->stats.malformed++;
	cs_log(CS_NOCTX, CSM_NMI_MALFORMED, (unsigned)c->uid, why);
	uv_read_stop((uv_stream_t *)&c->pipe);
	stream_end(c);
	tell_gone(c);
	c->in_len = 0;
	c->last = true;
	answer_error(c, CS_EPARSE, why);
}

static void handle_request(struct client *c, const char *text, size_t len)
{
	struct cs_nmi_server *s = c->server;
	json_error_t jerr;
	json_t *request = json_loadb(text, len, JSON_REJECT_DUPLICATES, &jerr);

	if (!json_is_object(request)) {
		client_malformed(c, "the request is not a JSON object");
	} else if (!json_is_string(json_object_get(request, "request"))) {
		client_malformed(c, "the request has no name");
	} else {
		c->ticket = ++s->last_ticket;
		s->stats.requests++;
		s->fn(s->arg, s, c->ticket, c->uid, request);
	}
	json_decref(request);
}

/* Looks at what has come so far. */
static void take_input(struct client *c)
{
	uint32_t len;

	if (c->ticket) {
		client_malformed(c, "a request came before the end of the last answer");
		return;
	}
	if (c->in_len < HEADER_LEN)
		return;
	memcpy(&len, c->in, HEADER_LEN);
	len = ntohl(len);
	if (len > c->server->limits.request) {
		client_malformed(c, "the request is too long");
		return;
	}
	if (c->in_len < HEADER_LEN + len)
		return;
	if (c->in_len > HEADER_LEN + len) {
		client_malformed(c, "a request came before the end of the last answer");
		return;
	}
	c->in_len = 0;
	handle_request(c, (const char *)c->in + HEADER_LEN, len);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct client *c = handle->data;
	size_t need = c->in_len + 512;

	(void)suggested;
	/* The header says how much to expect; one byte more shows that somebody sends too much. */
	if (c->in_len >= HEADER_LEN) {
		uint32_t len;

		memcpy(&len, c->in, HEADER_LEN);
		need = HEADER_LEN + ntohl(len) + 1;
	}
	if (need > c->in_cap) {
		uint8_t *grown = realloc(c->in, need);

		if (!grown) {
			*buf = uv_buf_init(NULL, 0); /* libuv reports UV_ENOBUFS */
			return;
		}
		c->in = grown;
		c->in_cap = need;
	}
	*buf = uv_buf_init((char *)c->in + c->in_len, (unsigned)(c->in_cap - c->in_len));
}

/* Whether the peer has closed both directions, so that nobody will read what we send. */
static bool peer_gone(const struct client *c)
{
	struct pollfd pfd = {.events = 0};

	return uv_fileno((const uv_handle_t *)&c->pipe, &pfd.fd) < 0 || poll(&pfd, 1, 0) < 0 ||
	       (pfd.revents & (POLLHUP | POLLERR));
}

/* The peer sends no more. It may still wait for its answer, unless it has gone altogether. */
static void input_ended(struct client *c)
{
	c->eof = true;
	uv_read_stop((uv_stream_t *)&c->pipe);
	if (c->in_len) {
		client_malformed(c, "the request ends early");
		return;
	}
	if (peer_gone(c) || (!c->ticket && c->queued == 0))
		client_close(c);
	else if (!c->ticket)
		c->last = true;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct client *c = stream->data;

	(void)buf;
	if (c->closing || n == 0)
		return;
	if (n == UV_EOF) {
		input_ended(c);
	} else if (n < 0) {
		client_close(c);
	} else {
		if (c->in_len == 0)
			c->since = uv_now(c->server->loop);
		c->in_len += (size_t)n;
		take_input(c);
	}
}

/* ---- clients come, and are looked after ---- */

static void on_sweep(uv_timer_t *timer)
{
	struct cs_nmi_server *s = timer->data;
	uint64_t now = uv_now(s->loop);
	struct client *next;

	for (struct client *c = s->clients; c; c = next) {
		uint64_t waited = now > c->since ? now - c->since : 0;

		next = c->next;
		if (c->eof && peer_gone(c)) {
			client_close(c);
		} else if (c->queued > 0) {
			if (waited >= s->limits.stall_ms)
				client_slow(c, "it does not take its answers");
		} else if (c->in_len > 0) {
			if (waited >= s->limits.request_ms)
				client_slow(c, "its request did not come to an end");
		} else if (!c->ticket && waited >= s->limits.idle_ms) {
			s->stats.idle++;
			client_close(c);
		}
	}
}

static uid_t peer_uid(uv_pipe_t *pipe)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	uv_os_fd_t fd;

	if (uv_fileno((uv_handle_t *)pipe, &fd) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return (uid_t)-1;
	return cred.uid;
}

static void greet(struct client *c)
{
	json_t *frame = json_pack("{s:i, s:s, s:s}", "nmi", CS_NMI_VERSION, "program",
				  c->server->program, "version", PACKAGE_VERSION);

	if (send_frame(c, frame) < 0)
		client_close(c);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct cs_nmi_server *s = listener->data;
	struct client *c;

	if (status < 0) {
		cs_log(CS_NOCTX, CSM_NMI_ACCEPT, uv_strerror(status));
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c || uv_pipe_init(s->loop, &c->pipe, 0) < 0) {
		cs_log(CS_NOCTX, CSM_NMI_ACCEPT, "out of memory");
		free(c);
		return;
	}
	c->server = s;
	c->pipe.data = c;
	c->since = uv_now(s->loop);
	c->next = s->clients;
	s->clients = c;
	s->stats.clients++;
	s->handles++;
	if (uv_accept(listener, (uv_stream_t *)&c->pipe) < 0) {
		client_close(c);
		return;
	}
	c->uid = peer_uid(&c->pipe);
	if (s->stats.clients > s->limits.clients) {
		s->stats.refused++;
		cs_log(CS_NOCTX, CSM_NMI_REFUSED, (unsigned)c->uid, s->limits.clients);
		c->last = true;
		answer_error(c, CS_ELIMIT, "too many connections");
		return;
	}
	s->stats.accepted++;
	if (!uv_is_active((uv_handle_t *)&s->sweep))
		uv_timer_start(&s->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
	greet(c);
	if (!c->closing && uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read) < 0)
		client_close(c);
}

/* ---- the socket ---- */

static int path_check(const char *path, struct sockaddr_un *sun, struct cs_err *err)
{
	size_t len = strlen(path);

	*sun = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (len == 0 || len >= sizeof(sun->sun_path))
		return cs_fail(err, CS_EINVAL,
			       "the path of a management socket has 1 to %zu characters: %s",
			       sizeof(sun->sun_path) - 1, path);
	memcpy(sun->sun_path, path, len + 1);
	return 0;
}

/* Removes a socket that nobody serves any more; anything else at path is an error. */
static int remove_stale(const struct sockaddr_un *sun, struct cs_err *err)
{
	struct stat st;
	int fd, rc, saved;

	if (lstat(sun->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : cs_fail_errno(err, "stat %s", sun->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return cs_fail(err, CS_EEXIST, "%s is there and is not a socket", sun->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return cs_fail_errno(err, "socket");
	rc = connect(fd, (const struct sockaddr *)sun, sizeof(*sun));
	saved = errno;
	close(fd);
	if (rc == 0 || saved == EAGAIN)
		return cs_fail(err, CS_EEXIST, "another daemon serves %s", sun->sun_path);
	if (saved != ECONNREFUSED) {
		errno = saved;
		return cs_fail_errno(err, "connect %s", sun->sun_path);
	}
	if (unlink(sun->sun_path) < 0 && errno != ENOENT)
		return cs_fail_errno(err, "unlink %s", sun->sun_path);
	return 0;
}

/* A bound socket, or a cs_code. Nobody can connect before its mode is right. */
static int bind_socket(struct cs_nmi_server *s, const struct sockaddr_un *sun, struct cs_err *err)
{
	int fd, rc, saved;
	mode_t mask;
	struct stat st;

	rc = remove_stale(sun, err);
	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return cs_fail_errno(err, "socket");
	mask = umask(0177);
	rc = bind(fd, (const struct sockaddr *)sun, sizeof(*sun));
	saved = errno;
	umask(mask);
	if (rc < 0) {
		close(fd);
		errno = saved;
		return cs_fail_errno(err, "bind %s", sun->sun_path);
	}
	if (chmod(sun->sun_path, 0660) < 0 || lstat(sun->sun_path, &st) < 0) {
		rc = cs_fail_errno(err, "chmod %s", sun->sun_path);
		unlink(sun->sun_path);
		close(fd);
		return rc;
	}
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	memcpy(s->path, sun->sun_path, sizeof(s->path));
	return fd;
}

static void unlink_own(const struct cs_nmi_server *s)
{
	struct stat st;

	if (s->path[0] && lstat(s->path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
		unlink(s->path);
}

static void ignore_sigpipe(void)
{
	struct sigaction sa;

	if (sigaction(SIGPIPE, NULL, &sa) == 0 && !(sa.sa_flags & SA_SIGINFO) &&
	    sa.sa_handler == SIG_DFL) {
		sa.sa_handler = SIG_IGN;
		sigaction(SIGPIPE, &sa, NULL);
	}
}

int cs_nmi_serve(uv_loop_t *loop, const char *path, const char *program, cs_nmi_fn *fn, void *arg,
		 struct cs_nmi_server **server, struct cs_err *err)
{
	struct cs_nmi_server *s;
	struct sockaddr_un sun;
	int rc, fd;

	rc = path_check(path, &sun, err);
	if (rc < 0)
		return rc;
	s = calloc(1, sizeof(*s));
	if (!s || !(s->program = strdup(program))) {
		free(s);
		return cs_fail(err, CS_ENOMEM, "out of memory");
	}
	s->loop = loop;
	s->fn = fn;
	s->arg = arg;
	s->limits = default_limits;
	ignore_sigpipe();
	fd = bind_socket(s, &sun, err);
	if (fd < 0) {
		free(s->program);
		free(s);
		return fd;
	}
	/* From here on the handles belong to the loop, and cs_nmi_stop() is the way out. */
	uv_timer_init(loop, &s->sweep);
	uv_pipe_init(loop, &s->listener, 0);
	s->sweep.data = s;
	s->listener.data = s;
	s->handles = 2;
	rc = uv_pipe_open(&s->listener, fd);
	if (rc < 0)
		close(fd);
	else
		rc = uv_listen((uv_stream_t *)&s->listener, BACKLOG, on_connection);
	if (rc < 0) {
		cs_fail(err, CS_ESYS, "listen %s: %s", path, uv_strerror(rc));
		cs_nmi_stop(s);
		return CS_ESYS;
	}
	*server = s;
	return 0;
}

void cs_nmi_stop(struct cs_nmi_server *s)
{
	if (!s || s->stopping)
		return;
	s->stopping = true;
	unlink_own(s);
	while (s->clients)
		client_close(s->clients);
	uv_timer_stop(&s->sweep);
	uv_close((uv_handle_t *)&s->listener, on_server_handle_closed);
	uv_close((uv_handle_t *)&s->sweep, on_server_handle_closed);
}

bool cs_nmi_may_control(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

void cs_nmi_set_limits(struct cs_nmi_server *s, const struct cs_nmi_limits *limits)
{
	s->limits = *limits;
}

const struct cs_nmi_limits *cs_nmi_limits(const struct cs_nmi_server *s)
{
	return &s->limits;
}

const struct cs_nmi_stats *cs_nmi_stats(const struct cs_nmi_server *s)
{
	return &s->stats;
}
