/*
 * The management socket: a server on a loop in a thread of its own, asked by the client and by raw
 * sockets that keep to no contract.
 */
#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "common/nmi.h"
#include "tests/unit/run_suite.h"

static char dir[] = "/tmp/test_nmi.XXXXXX";
static char path[64];

/* ---- a server with a handler for each thing that a daemon does ---- */

struct server {
	pthread_t thread;
	uv_loop_t loop;
	uv_async_t stop;
	uv_timer_t timer;
	struct cs_nmi_server *nmi;
	uint64_t kept;      /* ticket of "keep" */
	uint64_t delayed;   /* ticket of "later" */
	int streams, freed; /* begun and released */
	int gone;           /* clients of "keep" that went without an answer */
	struct cs_nmi_stats stats;
	bool stopped;
};

struct count {
	struct server *server;
	int next, end, fail_at;
	size_t size;
};

static json_t *sized_entry(int i, size_t size)
{
	char *pad = malloc(size + 1);
	json_t *entry;

	memset(pad, 'x', size);
	pad[size] = 0;
	entry = json_pack("{s:i, s:s}", "i", i, "pad", pad);
	free(pad);
	return entry;
}

static int next_count(void *state, json_t **json, struct cs_err *err)
{
	struct count *c = state;

	if (c->next == c->fail_at)
		return cs_fail(err, CS_ESTORE, "entry %d cannot be read", c->next);
	if (c->next == c->end) {
		*json = json_pack("{s:i}", "total", c->end);
		return 0;
	}
	*json = sized_entry(c->next++, c->size);
	return 1;
}

static void free_count(void *state)
{
	((struct count *)state)->server->freed++;
	free(state);
}

static void on_timer(uv_timer_t *timer)
{
	struct server *s = timer->data;

	cs_nmi_entry(s->nmi, s->delayed, json_pack("{s:s}", "TunnelID", "Y2"));
	cs_nmi_done(s->nmi, s->delayed, NULL);
}

static void count_gone(void *arg)
{
	((struct server *)arg)->gone++;
}

static int number(const json_t *request, const char *key)
{
	return (int)json_integer_value(json_object_get(request, key));
}

static void handle(void *arg, struct cs_nmi_server *nmi, uint64_t ticket, uid_t uid,
		   const json_t *request)
{
	struct server *s = arg;
	const char *name = json_string_value(json_object_get(request, "request"));

	if (strcmp(name, "echo") == 0) {
		cs_nmi_entry(nmi, ticket, json_deep_copy(request));
		cs_nmi_done(nmi, ticket, json_pack("{s:i}", "uid", (int)uid));
	} else if (strcmp(name, "push") == 0) {
		for (int i = 0; i < number(request, "n"); i++)
			cs_nmi_entry(nmi, ticket, sized_entry(i, (size_t)number(request, "size")));
		cs_nmi_done(nmi, ticket, NULL);
	} else if (strcmp(name, "stream") == 0) {
		struct count *c = malloc(sizeof(*c));
		json_t *fail_at = json_object_get(request, "fail_at");

		*c = (struct count){s, 0, number(request, "n"),
				    fail_at ? (int)json_integer_value(fail_at) : -1,
				    (size_t)number(request, "size")};
		s->streams++;
		cs_nmi_stream(nmi, ticket, next_count, free_count, c);
	} else if (strcmp(name, "later") == 0) {
		s->delayed = ticket;
		uv_timer_start(&s->timer, on_timer, (uint64_t)number(request, "ms"), 0);
	} else if (strcmp(name, "keep") == 0) {
		s->kept = ticket;
		cs_nmi_on_gone(nmi, ticket, count_gone, s);
	} else if (strcmp(name, "answer-kept") == 0) {
		cs_nmi_entry(nmi, s->kept, json_object());
		cs_nmi_done(nmi, s->kept, json_object());
		cs_nmi_error(nmi, s->kept, CS_EPOLICY, "late");
		cs_nmi_done(nmi, ticket, NULL);
	} else if (strcmp(name, "null-entry") == 0) {
		cs_nmi_entry(nmi, ticket, NULL);
		cs_nmi_done(nmi, ticket, NULL);
	} else if (strcmp(name, "forbidden") == 0) {
		cs_nmi_error(nmi, ticket, CS_EPERM, "only root deactivates");
	} else if (strcmp(name, "bad-text") == 0) {
		cs_nmi_error(nmi, ticket, CS_EPOLICY, "peer said \xff\xfe.");
	} else if (strcmp(name, "stats") == 0) {
		const struct cs_nmi_stats *st = cs_nmi_stats(nmi);

		cs_nmi_done(nmi, ticket,
			    json_pack("{s:I, s:I, s:I, s:I, s:I, s:i, s:i, s:i, s:i}", "malformed",
				      (json_int_t)st->malformed, "slow", (json_int_t)st->slow,
				      "refused", (json_int_t)st->refused, "orphans",
				      (json_int_t)st->orphans, "idle", (json_int_t)st->idle,
				      "clients", (int)st->clients, "streams", s->streams, "freed",
				      s->freed, "gone", s->gone));
	} else if (strcmp(name, "stop") == 0) {
		cs_nmi_done(nmi, ticket, NULL);
		s->stats = *cs_nmi_stats(nmi);
		cs_nmi_stop(nmi);
		s->stopped = true;
	} else {
		cs_nmi_error(nmi, ticket, CS_EINVAL, "unknown request");
	}
}

static void on_stop(uv_async_t *async)
{
	struct server *s = async->data;

	if (!s->stopped)
		cs_nmi_stop(s->nmi);
	uv_close((uv_handle_t *)&s->stop, NULL);
	uv_close((uv_handle_t *)&s->timer, NULL);
}

static void *run_loop(void *arg)
{
	struct server *s = arg;

	uv_run(&s->loop, UV_RUN_DEFAULT);
	return NULL;
}

static void server_start(struct server *s, const struct cs_nmi_limits *limits)
{
	struct cs_err err = {0};

	*s = (struct server){0};
	uv_loop_init(&s->loop);
	uv_async_init(&s->loop, &s->stop, on_stop);
	uv_timer_init(&s->loop, &s->timer);
	s->stop.data = s;
	s->timer.data = s;
	ck_assert_msg(cs_nmi_serve(&s->loop, path, "iked", handle, s, &s->nmi, &err) == 0, "%s",
		      err.text);
	if (limits)
		cs_nmi_set_limits(s->nmi, limits);
	pthread_create(&s->thread, NULL, run_loop, s);
}

/* Every handle must close by itself, or the loop would not end and the test time out. */
static void server_stop(struct server *s)
{
	uv_async_send(&s->stop);
	pthread_join(s->thread, NULL);
	ck_assert_int_eq(uv_loop_close(&s->loop), 0);
	ck_assert_int_eq(access(path, F_OK), -1);
}

/* ---- helpers of the asking side ---- */

static struct cs_nmi *connected(void)
{
	struct cs_nmi *nmi = NULL;
	struct cs_err err = {0};

	ck_assert_msg(cs_nmi_connect(path, &nmi, &err) == 0, "%s", err.text);
	return nmi;
}

static int count_entry(void *arg, const json_t *entry)
{
	int *n = arg;

	if (json_object_get(entry, "i"))
		ck_assert_int_eq(json_integer_value(json_object_get(entry, "i")), *n);
	(*n)++;
	return 0;
}

static int call(struct cs_nmi *nmi, const char *text, int *n, json_t **done, struct cs_err *err)
{
	json_t *request = json_loads(text, 0, NULL);
	json_t *fields = NULL;
	int rc, entries = 0;

	ck_assert_ptr_nonnull(request);
	rc = cs_nmi_call(nmi, request, 5000, count_entry, &entries, &fields, err);
	json_decref(request);
	if (n)
		*n = entries;
	if (done)
		*done = fields;
	else
		json_decref(fields);
	return rc;
}

static int stat_of(const char *key)
{
	struct cs_nmi *nmi = connected();
	struct cs_err err = {0};
	json_t *done = NULL;
	int v;

	ck_assert_int_eq(call(nmi, "{\"request\":\"stats\"}", NULL, &done, &err), 0);
	v = number(done, key);
	json_decref(done);
	cs_nmi_close(nmi);
	return v;
}

/* Waits up to 5 s for what happens on the server's thread. */
static void wait_stat(const char *key, int expect)
{
	int v = -1;

	for (int i = 0; i < 500; i++) {
		v = stat_of(key);
		if (v == expect)
			return;
		usleep(10000);
	}
	ck_abort_msg("%s is %d, not %d", key, v, expect);
}

static int raw_connect(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct timeval wait = {.tv_sec = 5};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	return fd;
}

static json_t *raw_read(int fd)
{
	uint32_t len;
	char *text;
	json_t *json;

	if (recv(fd, &len, 4, MSG_WAITALL) != 4)
		return NULL;
	len = ntohl(len);
	text = malloc(len);
	ck_assert_int_eq(recv(fd, text, len, MSG_WAITALL), len);
	json = json_loadb(text, len, 0, NULL);
	ck_assert_ptr_nonnull(json);
	free(text);
	return json;
}

static void raw_send(int fd, const char *text)
{
	uint32_t len = htonl((uint32_t)strlen(text));

	ck_assert_int_eq(send(fd, &len, 4, MSG_NOSIGNAL), 4);
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void setup(void)
{
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/iked.sock", dir);
}

static void teardown(void)
{
	unlink(path);
	rmdir(dir);
}

/* ---- questions and answers ---- */

START_TEST(test_answers)
{
	static const struct {
		const char *request;
		int rc, entries;
		const char *text; /* of the error */
	} cases[] = {
		{"{\"request\":\"echo\",\"x\":\"\\u00e4\"}", 0, 1, NULL},
		{"{\"request\":\"push\",\"n\":0,\"size\":1}", 0, 0, NULL},
		{"{\"request\":\"push\",\"n\":100,\"size\":1000}", 0, 100, NULL},
		{"{\"request\":\"stream\",\"n\":0,\"size\":1}", 0, 0, NULL},
		{"{\"request\":\"stream\",\"n\":1,\"size\":1}", 0, 1, NULL},
		{"{\"request\":\"stream\",\"n\":20000,\"size\":1000}", 0, 20000, NULL},
		{"{\"request\":\"stream\",\"n\":9,\"size\":1,\"fail_at\":5}", CS_ESTORE, 5,
		 "entry 5 cannot be read"},
		{"{\"request\":\"later\",\"ms\":20}", 0, 1, NULL},
		{"{\"request\":\"forbidden\"}", CS_EPERM, 0, "only root deactivates"},
		{"{\"request\":\"bad-text\"}", CS_EPOLICY, 0, "peer said ??."},
		{"{\"request\":\"null-entry\"}", CS_ENOMEM, 0, "an entry could not be built"},
		{"{\"request\":\"push\",\"n\":1,\"size\":1048576}", CS_ELIMIT, 0,
		 "an entry is longer than a frame can be"},
		{"{\"request\":\"nonsense\"}", CS_EINVAL, 0, "unknown request"},
		{"{\"request\":\"echo\"}", 0, 1, NULL},
	};
	struct server s;
	struct cs_nmi *nmi;

	server_start(&s, NULL);
	nmi = connected();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cs_err err = {0};
		int entries;

		ck_assert_int_eq(call(nmi, cases[i].request, &entries, NULL, &err), cases[i].rc);
		ck_assert_int_eq(entries, cases[i].entries);
		if (cases[i].rc < 0) {
			ck_assert_int_eq(err.code, cases[i].rc);
			ck_assert_str_eq(err.text, cases[i].text);
		}
	}
	cs_nmi_close(nmi);
	wait_stat("clients", 1);
	ck_assert_int_eq(s.streams, s.freed);
	server_stop(&s);
}
END_TEST

START_TEST(test_greeting_and_uid)
{
	struct server s;
	struct cs_nmi *nmi;
	json_t *frame, *done;
	int fd;

	server_start(&s, NULL);
	fd = raw_connect();
	frame = raw_read(fd);
	ck_assert_int_eq(number(frame, "nmi"), CS_NMI_VERSION);
	ck_assert_str_eq(json_string_value(json_object_get(frame, "program")), "iked");
	ck_assert_str_eq(json_string_value(json_object_get(frame, "version")), PACKAGE_VERSION);
	json_decref(frame);
	close(fd);
	nmi = connected();
	ck_assert_int_eq(call(nmi, "{\"request\":\"echo\"}", NULL, &done, NULL), 0);
	ck_assert_int_eq(number(done, "uid"), (int)getuid());
	json_decref(done);
	cs_nmi_close(nmi);
	server_stop(&s);
	ck_assert(cs_nmi_may_control(0));
	ck_assert(cs_nmi_may_control(geteuid()));
	ck_assert(!cs_nmi_may_control(geteuid() + 1));
}
END_TEST

START_TEST(test_stop_from_handler)
{
	struct server s;
	struct cs_nmi *nmi, *other;
	struct cs_err err = {0};

	server_start(&s, NULL);
	other = connected();
	nmi = connected();
	ck_assert_int_eq(call(nmi, "{\"request\":\"stop\"}", NULL, NULL, &err), 0);
	cs_nmi_close(nmi);
	ck_assert_int_eq(call(other, "{\"request\":\"echo\"}", NULL, NULL, &err), CS_ESYS);
	/* The connection is spoilt, and says so. */
	ck_assert_int_eq(call(other, "{\"request\":\"echo\"}", NULL, NULL, &err), CS_EINVAL);
	cs_nmi_close(other);
	ck_assert_int_eq(cs_nmi_connect(path, &nmi, &err), CS_ENOTFOUND);
	server_stop(&s);
}
END_TEST

/* An answer for a client that has gone, or that was answered already, does nothing. */
START_TEST(test_tickets)
{
	struct server s;
	struct cs_nmi *nmi;
	json_t *frame;
	int fd;

	server_start(&s, NULL);
	fd = raw_connect();
	json_decref(raw_read(fd));
	raw_send(fd, "{\"request\":\"keep\"}");
	wait_stat("clients", 2);
	close(fd);
	wait_stat("clients", 1);
	ck_assert_int_eq(stat_of("gone"), 1);
	nmi = connected();
	ck_assert_int_eq(call(nmi, "{\"request\":\"answer-kept\"}", NULL, NULL, NULL), 0);
	cs_nmi_close(nmi);
	wait_stat("orphans", 2);

	/* A client that only stopped sending still gets its answer, and is closed after it. */
	fd = raw_connect();
	json_decref(raw_read(fd));
	raw_send(fd, "{\"request\":\"keep\"}");
	shutdown(fd, SHUT_WR);
	usleep(50000);
	nmi = connected();
	ck_assert_int_eq(call(nmi, "{\"request\":\"answer-kept\"}", NULL, NULL, NULL), 0);
	cs_nmi_close(nmi);
	frame = raw_read(fd);
	ck_assert_ptr_nonnull(json_object_get(frame, "entry"));
	json_decref(frame);
	frame = raw_read(fd);
	ck_assert(json_is_true(json_object_get(frame, "done")));
	json_decref(frame);
	ck_assert_ptr_null(raw_read(fd));
	ck_assert_int_eq(stat_of("gone"), 1);

	/* Stopped sending, then went: the sweep sees it. */
	close(fd);
	fd = raw_connect();
	json_decref(raw_read(fd));
	raw_send(fd, "{\"request\":\"keep\"}");
	shutdown(fd, SHUT_WR);
	usleep(50000);
	close(fd);
	wait_stat("clients", 1);
	ck_assert_int_eq(stat_of("gone"), 2);

	/* Another request before the answer ends both. */
	fd = raw_connect();
	json_decref(raw_read(fd));
	raw_send(fd, "{\"request\":\"keep\"}");
	usleep(50000);
	ck_assert_int_eq(send(fd, "x", 1, MSG_NOSIGNAL), 1);
	wait_stat("gone", 3);
	close(fd);
	server_stop(&s);
}
END_TEST

/* ---- clients that keep to nothing ---- */

#define BYTES(literal) literal, sizeof(literal) - 1

START_TEST(test_malformed)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *text;
	} cases[] = {
		{BYTES("\0\0\0\0"), "the request is not a JSON object"},
		{BYTES("\0\0\0\2[]"), "the request is not a JSON object"},
		{BYTES("\0\0\0\3{\"a"), "the request is not a JSON object"},
		{BYTES("\0\0\0\4\xff\xff\xff\xff"), "the request is not a JSON object"},
		{BYTES("\0\0\0\15{\"a\":1,\"a\":2}"), "the request is not a JSON object"},
		{BYTES("\0\0\0\2{}"), "the request has no name"},
		{BYTES("\0\0\0\15{\"request\":1}"), "the request has no name"},
		{BYTES("\0\1\0\1"), "the request is too long"},
		{BYTES("\xff\xff\xff\xff{"), "the request is too long"},
		{BYTES("\0\0\0\2{}{"), "a request came before the end of the last answer"},
		{BYTES("\0\0\0\x12{\"request\":\"keep\"}\0"),
		 "a request came before the end of the last answer"},
		{BYTES("\0\0"), "the request ends early"},
		{BYTES("\0\0\0\7{}"), "the request ends early"},
	};
	struct server s;
	const int n = (int)(sizeof(cases) / sizeof(cases[0]));

	server_start(&s, NULL);
	for (int i = 0; i < n; i++) {
		int fd = raw_connect();
		json_t *frame;

		json_decref(raw_read(fd));
		ck_assert_int_eq(send(fd, cases[i].bytes, cases[i].len, MSG_NOSIGNAL),
				 (ssize_t)cases[i].len);
		shutdown(fd, SHUT_WR);
		frame = raw_read(fd);
		ck_assert_msg(frame != NULL, "case %d: no answer", i);
		ck_assert_str_eq(json_string_value(json_object_get(frame, "error")), cases[i].text);
		ck_assert_str_eq(json_string_value(json_object_get(frame, "code")), "malformed");
		json_decref(frame);
		ck_assert_ptr_null(raw_read(fd)); /* closed */
		close(fd);
	}
	ck_assert_int_eq(stat_of("malformed"), n);
	wait_stat("clients", 1);
	server_stop(&s);
}
END_TEST

/* Truncated, mangled and cut requests at random: the server stays, and nothing of them remains. */
START_TEST(test_noise)
{
	static const char request[] = "\0\0\0\x1a{\"request\":\"echo\",\"x\":[1]}";
	struct server s;
	unsigned seed = 20261121;

	server_start(&s, NULL);
	for (int i = 0; i < 2000; i++) {
		char bytes[sizeof(request) - 1];
		size_t len = sizeof(bytes) - (size_t)(rand_r(&seed) % 4);
		int fd = raw_connect();

		json_decref(raw_read(fd));
		memcpy(bytes, request, sizeof(bytes));
		for (int flips = rand_r(&seed) % 4; flips > 0; flips--)
			bytes[(size_t)rand_r(&seed) % sizeof(bytes)] ^=
				(char)(1 << rand_r(&seed) % 8);
		send(fd, bytes, len, MSG_NOSIGNAL);
		if (rand_r(&seed) % 2)
			shutdown(fd, SHUT_WR);
		close(fd);
	}
	wait_stat("clients", 1);
	server_stop(&s);
}
END_TEST

START_TEST(test_never_reads)
{
	struct server s;
	struct cs_nmi *nmi;
	int fds[3], n;

	server_start(&s, NULL);
	for (int i = 0; i < 3; i++)
		fds[i] = raw_connect();
	/* Pushed answers past the limit close the client. */
	raw_send(fds[0], "{\"request\":\"push\",\"n\":5000,\"size\":1000}");
	wait_stat("slow", 1);
	/* Streamed ones wait for it, and are given up when it goes. */
	raw_send(fds[1], "{\"request\":\"stream\",\"n\":1000000,\"size\":1000}");
	raw_send(fds[2], "{\"request\":\"stream\",\"n\":1000000,\"size\":1000}");
	wait_stat("streams", 2);
	nmi = connected();
	ck_assert_int_eq(call(nmi, "{\"request\":\"push\",\"n\":100,\"size\":10}", &n, NULL, NULL),
			 0);
	ck_assert_int_eq(n, 100);
	cs_nmi_close(nmi);
	ck_assert_int_eq(stat_of("freed"), 0);
	close(fds[1]);
	wait_stat("freed", 1);
	ck_assert_int_eq(stat_of("slow"), 1);
	close(fds[0]);
	server_stop(&s); /* with one stream still under way */
	ck_assert_int_eq(s.freed, 2);
	close(fds[2]);
}
END_TEST

START_TEST(test_time_limits)
{
	struct cs_nmi_limits limits;
	struct server s;
	int half, stalled, idle, waiting;
	json_t *frame;

	server_start(&s, NULL);
	limits = *cs_nmi_limits(s.nmi);
	ck_assert_uint_eq(limits.clients, 64);
	ck_assert_uint_eq(limits.queued, 4u << 20);
	server_stop(&s);

	limits.request_ms = limits.stall_ms = 300;
	limits.idle_ms = 1500;
	server_start(&s, &limits);
	half = raw_connect();
	stalled = raw_connect();
	idle = raw_connect();
	waiting = raw_connect();
	ck_assert_int_eq(send(half, "\0\0", 2, MSG_NOSIGNAL), 2);
	raw_send(stalled, "{\"request\":\"stream\",\"n\":1000000,\"size\":1000}");
	json_decref(raw_read(waiting));
	raw_send(waiting, "{\"request\":\"later\",\"ms\":2500}");
	wait_stat("slow", 2);
	ck_assert_int_eq(stat_of("freed"), 1);
	wait_stat("idle", 1);
	/* Who waits for an answer is not idle. */
	frame = raw_read(waiting);
	ck_assert_ptr_nonnull(json_object_get(frame, "entry"));
	json_decref(frame);
	close(half);
	close(stalled);
	close(idle);
	close(waiting);
	server_stop(&s);
}
END_TEST

START_TEST(test_too_many)
{
	struct server s;
	struct cs_nmi *nmi[64], *one_more;
	struct cs_err err = {0};

	server_start(&s, NULL);
	for (int i = 0; i < 64; i++)
		nmi[i] = connected();
	ck_assert_int_eq(cs_nmi_connect(path, &one_more, &err), CS_ELIMIT);
	ck_assert_str_eq(err.text, "too many connections");
	ck_assert_int_eq(call(nmi[63], "{\"request\":\"echo\"}", NULL, NULL, NULL), 0);
	for (int i = 0; i < 64; i++)
		cs_nmi_close(nmi[i]);
	wait_stat("clients", 1);
	/* While the others were closing, a look at the counters may have been refused as well. */
	ck_assert_int_ge(stat_of("refused"), 1);
	server_stop(&s);
}
END_TEST

/* ---- the socket file ---- */

START_TEST(test_socket_file)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct cs_nmi_server *second;
	struct server s;
	struct cs_err err = {0};
	uv_loop_t loop;
	struct stat st;
	char longpath[200], moved[80];
	int fd;

	uv_loop_init(&loop);
	/* Left behind by a daemon that was killed: replaced. */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	listen(fd, 1);
	close(fd);
	server_start(&s, NULL);
	ck_assert_int_eq(lstat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0660);
	/* Alive: refused, and left as it is. */
	ck_assert_int_eq(cs_nmi_serve(&loop, path, "iked", handle, NULL, &second, &err), CS_EEXIST);
	ck_assert_ptr_nonnull(strstr(err.text, path));
	cs_nmi_close(connected());
	/* What a successor put in its place is not removed. */
	snprintf(moved, sizeof(moved), "%s.old", path);
	ck_assert_int_eq(rename(path, moved), 0);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	uv_async_send(&s.stop);
	pthread_join(s.thread, NULL);
	uv_loop_close(&s.loop);
	ck_assert_int_eq(access(path, F_OK), 0);
	unlink(moved);
	/* Not a socket: refused, and left as it is. */
	ck_assert_int_eq(cs_nmi_serve(&loop, path, "iked", handle, NULL, &second, &err), CS_EEXIST);
	ck_assert_int_eq(access(path, F_OK), 0);
	unlink(path);
	memset(longpath, 'a', sizeof(longpath) - 1);
	longpath[sizeof(longpath) - 1] = 0;
	ck_assert_int_eq(cs_nmi_serve(&loop, longpath, "iked", handle, NULL, &second, &err),
			 CS_EINVAL);
	ck_assert_int_eq(
		cs_nmi_serve(&loop, "/nonexistent/x.sock", "iked", handle, NULL, &second, &err),
		CS_ESYS);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

/* ---- daemons that keep to nothing ---- */

struct canned {
	const char *bytes;
	size_t len;
	int listener;
};

/* Sends what is canned, then waits until the client closes when the last byte is 'W'. */
static void *serve_canned(void *arg)
{
	struct canned *c = arg;
	int fd = accept(c->listener, NULL, NULL);
	bool wait = c->len > 0 && c->bytes[c->len - 1] == 'W';
	char buf[256];

	send(fd, c->bytes, c->len - (wait ? 1 : 0), MSG_NOSIGNAL);
	while (wait && recv(fd, buf, sizeof(buf), 0) > 0)
		;
	close(fd);
	return NULL;
}

#define GREETING "\0\0\0\x9{\"nmi\":1}"

START_TEST(test_bad_daemons)
{
	static const struct {
		const char *bytes;
		size_t len;
		int connect, call;
		const char *text;
	} cases[] = {
		{BYTES(""), CS_ESYS, 0, "the daemon closed the connection"},
		{BYTES("\0\0"), CS_ESYS, 0, "the daemon closed the connection"},
		{BYTES("\0\0\0\x9{\"nmi\":"), CS_ESYS, 0, "the daemon closed the connection"},
		{BYTES("\0\0\0\x9{\"nmi\":2}"), CS_EUNSUPPORTED, 0,
		 "the daemon speaks version 2 of the interface, this program 1"},
		{BYTES("\0\0\0\2{}"), CS_EPARSE, 0, "the daemon sent a frame of no known kind"},
		{BYTES("\0\0\0\2[]"), CS_EPARSE, 0,
		 "the daemon sent a frame that is no JSON object"},
		{BYTES("SSH-2.0-OpenSSH"), CS_EPARSE, 0,
		 "the daemon sent a frame of 1397966893 bytes"},
		{BYTES(GREETING), 0, CS_ESYS, "the daemon closed the connection"},
		{BYTES(GREETING "W"), 0, CS_EAGAIN, "no answer in time"},
		{BYTES(GREETING "\0\0\0W"), 0, CS_EAGAIN, "no answer in time"},
		{BYTES(GREETING "\0\0\0\2{}W"), 0, CS_EPARSE,
		 "the daemon sent a frame of no known kind"},
		{BYTES(GREETING "\0\0\0\x0c{\"entry\":{}}W"), 0, CS_EAGAIN, "no answer in time"},
		{BYTES(GREETING "\0\0\0\x0c{\"done\":0  }W"), 0, CS_EPARSE,
		 "the daemon sent a frame of no known kind"},
		{BYTES(GREETING "\0\0\0\x0d{\"done\":true}W"), 0, 0, NULL},
		{BYTES(GREETING "\0\0\0\x1a{\"error\":\"a\",\"code\":\"new\"}W"), 0, CS_ESYS, "a"},
		{BYTES(GREETING "\0\0\0\x0d{\"error\":\"b\"}W"), 0, CS_ESYS, "b"},
		{BYTES(GREETING "\0\0\0\x0c{\"error\":\"\"}W"), 0, CS_ESYS,
		 "the daemon failed and gave no reason"},
	};
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&sun, sizeof(sun)), 0);
	listen(listener, 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct canned c = {cases[i].bytes, cases[i].len, listener};
		json_t *request = json_pack("{s:s}", "request", "policy"), *done = NULL;
		struct cs_nmi *nmi = NULL;
		struct cs_err err = {0};
		pthread_t thread;
		int rc;

		pthread_create(&thread, NULL, serve_canned, &c);
		rc = cs_nmi_connect(path, &nmi, &err);
		ck_assert_msg(rc == cases[i].connect, "case %zu: %d %s", i, rc, err.text);
		if (rc == 0) {
			rc = cs_nmi_call(nmi, request, 100, NULL, NULL, &done, &err);
			ck_assert_msg(rc == cases[i].call, "case %zu: %d %s", i, rc, err.text);
		}
		if (rc < 0)
			ck_assert_str_eq(err.text, cases[i].text);
		json_decref(done);
		json_decref(request);
		cs_nmi_close(nmi);
		pthread_join(thread, NULL);
	}
	close(listener);
}
END_TEST

static int stop_at_two(void *arg, const json_t *entry)
{
	(void)entry;
	return ++*(int *)arg == 2 ? 77 : 0;
}

START_TEST(test_caller_stops)
{
	json_t *request = json_pack("{s:s, s:i, s:i}", "request", "push", "n", 5, "size", 1);
	json_t *done = NULL;
	struct cs_err err = {0};
	struct cs_nmi *nmi;
	struct server s;
	int n = 0;

	server_start(&s, NULL);
	nmi = connected();
	ck_assert_int_eq(cs_nmi_call(nmi, request, 5000, stop_at_two, &n, &done, &err), 77);
	ck_assert_int_eq(cs_nmi_call(nmi, request, 5000, NULL, NULL, &done, &err), CS_EINVAL);
	ck_assert_ptr_null(done);
	cs_nmi_close(nmi);
	json_decref(request);
	server_stop(&s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("nmi");
	TCase *t = tcase_create("nmi");

	cs_log_level(CS_ERROR); /* clients are closed by the thousand here, and each is logged */
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_answers);
	tcase_add_test(t, test_greeting_and_uid);
	tcase_add_test(t, test_stop_from_handler);
	tcase_add_test(t, test_tickets);
	tcase_add_test(t, test_malformed);
	tcase_add_test(t, test_noise);
	tcase_add_test(t, test_never_reads);
	tcase_add_test(t, test_time_limits);
	tcase_add_test(t, test_too_many);
	tcase_add_test(t, test_socket_file);
	tcase_add_test(t, test_bad_daemons);
	tcase_add_test(t, test_caller_stops);
	suite_add_tcase(s, t);
	return run_suite(s);
}
