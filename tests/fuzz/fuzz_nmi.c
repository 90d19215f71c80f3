/*
 * libFuzzer: bytes into the server of the management socket, and into its client.  Both are what
 * the daemons and the ipsec command use, over real sockets in the current directory.  The first
 * byte of the input says who gets the rest and how.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "common/nmi.h"
#include "tests/fuzz/holds.h"

#define SERVER_PATH "fuzz_nmi-server.sock"
#define CLIENT_PATH "fuzz_nmi-client.sock"
#define INPUT_MAX   4096

enum {
	TO_CLIENT = 1,
	FRAMED = 2,     /* lengths that fit go before the data, which are split at NUL bytes */
	HALF_CLOSE = 4, /* to the server: no more comes, while the answer is awaited */
	GREETED = 8,    /* to the client: after a greeting that is right */
};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uv_loop_t loop;
static struct cs_nmi_server *server;
static int listener;

/* What the peer sends, frames made from it if asked for. */
static struct {
	uint8_t data[INPUT_MAX * 5 + 64];
	size_t len;
} stream;

static void add_frame(const void *data, size_t len)
{
	uint32_t header = htonl((uint32_t)len);

	memcpy(stream.data + stream.len, &header, 4);
	memcpy(stream.data + stream.len + 4, data, len);
	stream.len += 4 + len;
}

static void add_frames(const uint8_t *data, size_t size)
{
	while (size > 0) {
		const uint8_t *end = memchr(data, 0, size);
		size_t len = end ? (size_t)(end - data) : size;

		add_frame(data, len);
		data += len + (end != NULL);
		size -= len + (end != NULL);
	}
}

/* ---- the server, asked by a raw socket ---- */

static int next_entry(void *state, json_t **json, struct cs_err *err)
{
	int *left = state;

	(void)err;
	if (*left == 0)
		return 0;
	*json = json_pack("{s:i}", "left", (*left)--);
	return 1;
}

static void answer(void *arg, struct cs_nmi_server *s, uint64_t ticket, uid_t uid,
		   const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "request"));
	int *left;

	(void)arg, (void)uid;
	HOLDS(name != NULL);
	if (strcmp(name, "stream") == 0) {
		left = malloc(sizeof(*left));
		HOLDS(left != NULL);
		*left = 50;
		cs_nmi_stream(s, ticket, next_entry, free, left);
	} else if (strcmp(name, "echo") == 0) {
		cs_nmi_entry(s, ticket, json_deep_copy(request));
		cs_nmi_done(s, ticket, NULL);
	} else {
		cs_nmi_error(s, ticket, CS_EINVAL, name);
	}
}

/* What the server said is whole frames of JSON objects, the greeting first. */
static void check_answers(int fd)
{
	static uint8_t in[1u << 20];
	size_t len = 0, at = 0;
	unsigned frames = 0;
	ssize_t n;

	while ((n = recv(fd, in + len, sizeof(in) - len, MSG_DONTWAIT)) > 0)
		len += (size_t)n;
	while (at < len) {
		uint32_t header;
		json_t *frame;

		HOLDS(len - at >= 4);
		memcpy(&header, in + at, 4);
		HOLDS(ntohl(header) <= len - at - 4);
		frame = json_loadb((char *)in + at + 4, ntohl(header), 0, NULL);
		HOLDS(json_is_object(frame) && (frames > 0 || json_object_get(frame, "nmi")));
		json_decref(frame);
		at += 4 + ntohl(header);
		frames++;
	}
	HOLDS(frames > 0);
}

static int connect_to(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(sun.sun_path, path);
	HOLDS(fd >= 0 && connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0);
	return fd;
}

static void ask_server(bool half_close)
{
	int fd = connect_to(SERVER_PATH);

	for (int i = 0; i < 2; i++)
		uv_run(&loop, UV_RUN_NOWAIT);
	/* In two pieces, cut where the length of the input says. */
	for (size_t at = 0, cut = stream.len % 7; at < stream.len;
	     at += cut, cut = stream.len - at) {
		ssize_t n = cut ? send(fd, stream.data + at, cut, MSG_NOSIGNAL) : 0;

		if (n < 0)
			break; /* closed: it said why */
		for (int i = 0; i < 3; i++)
			uv_run(&loop, UV_RUN_NOWAIT);
	}
	if (half_close)
		shutdown(fd, SHUT_WR);
	for (int i = 0; i < 5; i++)
		uv_run(&loop, UV_RUN_NOWAIT);
	check_answers(fd);
	close(fd);
	for (int i = 0; i < 1000 && cs_nmi_stats(server)->clients > 0; i++)
		uv_run(&loop, UV_RUN_NOWAIT);
	HOLDS(cs_nmi_stats(server)->clients == 0);
}

/* ---- the client, answered by a thread that says what it was given ---- */

static void *say(void *arg)
{
	uint8_t heard[512];

	(void)arg;
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			return NULL;
		(void)!send(fd, stream.data, stream.len, MSG_NOSIGNAL);
		shutdown(fd, SHUT_WR);
		while (recv(fd, heard, sizeof(heard), 0) > 0)
			;
		close(fd);
	}
}

static int see_entry(void *arg, const json_t *entry)
{
	HOLDS(entry != NULL);
	++*(unsigned *)arg;
	return 0;
}

static void answer_client(void)
{
	json_t *request = json_pack("{s:s}", "request", "ike-tunnels");
	struct cs_nmi *nmi = NULL;
	struct cs_err err = {0};
	unsigned entries = 0;
	int rc = cs_nmi_connect(CLIENT_PATH, &nmi, &err);

	for (int i = 0; rc == 0 && i < 2; i++) {
		json_t *done = NULL;

		rc = cs_nmi_call(nmi, request, 1000, see_entry, &entries, &done, &err);
		HOLDS((rc == 0) == json_is_object(done));
		json_decref(done);
	}
	HOLDS(rc == 0 || (rc < 0 && err.text[0]));
	cs_nmi_close(nmi);
	json_decref(request);
}

/* ---- libFuzzer's functions ---- */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX, .sun_path = CLIENT_PATH};
	struct cs_err err = {0};
	pthread_t thread;

	(void)argc, (void)argv;
	cs_log_open("fuzz_nmi", true);
	cs_log_level(CS_ERROR);
	HOLDS(uv_loop_init(&loop) == 0);
	if (cs_nmi_serve(&loop, SERVER_PATH, "fuzz", answer, NULL, &server, &err) < 0) {
		fprintf(stderr, "fuzz_nmi: %s\n", err.text);
		return 1;
	}
	unlink(CLIENT_PATH);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	HOLDS(listener >= 0 && bind(listener, (struct sockaddr *)&sun, sizeof(sun)) == 0);
	HOLDS(listen(listener, 4) == 0 && pthread_create(&thread, NULL, say, NULL) == 0);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char greeting[] = "{\"nmi\":1,\"program\":\"fuzz\",\"version\":\"1\"}";
	unsigned how;

	if (size == 0 || size > INPUT_MAX)
		return 0;
	how = data[0];
	stream.len = 0;
	if ((how & TO_CLIENT) && (how & GREETED))
		add_frame(greeting, sizeof(greeting) - 1);
	if (how & FRAMED) {
		add_frames(data + 1, size - 1);
	} else {
		memcpy(stream.data + stream.len, data + 1, size - 1);
		stream.len += size - 1;
	}
	if (how & TO_CLIENT)
		answer_client();
	else
		ask_server(how & HALF_CLOSE);
	return 0;
}
