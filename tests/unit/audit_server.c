/* A process with pagent's handler of audit rows. */
#include "tests/unit/audit_server.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/pagent.h"
#include "policy/pagent_audit.h"

static void on_request(void *arg, struct cs_nmi_server *server, uint64_t ticket, uid_t uid,
		       const json_t *request)
{
	struct pagent *p = arg;

	(void)server;
	if (pagent_audit_may_take(p, uid))
		pagent_audit_rows(p, ticket, request);
	else
		cs_nmi_error(p->nmi, ticket, CS_EPERM, "not for this user");
}

static int serve(const char *dir, int ready)
{
	static const struct pagent_options options = {.stack = "TCPIP"};
	struct pagent p = {.o = &options, .audit = pagent_audit_new(dir)};
	struct cs_err err;
	char path[128];

	snprintf(path, sizeof(path), "%s/pagent.sock", dir);
	if (!p.audit || uv_loop_init(&p.loop) < 0 ||
	    cs_nmi_serve(&p.loop, path, "pagent", on_request, &p, &p.nmi, &err) < 0 ||
	    write(ready, "", 1) != 1)
		return 1;
	uv_run(&p.loop, UV_RUN_DEFAULT);
	return 0;
}

pid_t audit_server_start(const char *dir)
{
	int ready[2];
	pid_t pid;
	char byte;

	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0)
		_exit(serve(dir, ready[1]));
	ck_assert_int_gt(pid, 0);
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

void audit_server_kill(pid_t pid)
{
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

static void put(struct pagent_outbox *o, const char *kind, const char *payload)
{
	struct cs_err err;

	ck_assert_msg(pagent_outbox_begin(o, &err) == 0 &&
			      pagent_outbox_row(o, 1768472430, kind, payload, &err) == 0 &&
			      pagent_outbox_commit(o, &err) == 0,
		      "%s", err.text);
}

void audit_server_row(const char *dir, const char *kind, const char *payload)
{
	struct pagent_outbox *o = pagent_outbox_new(dir);

	put(o, kind, payload);
	pagent_outbox_free(o);
}

void audit_server_rows(const char *dir, unsigned first, unsigned n)
{
	struct pagent_outbox *o = pagent_outbox_new(dir);
	char payload[256];

	for (unsigned i = first; i < first + n; i++)
		for (int up = 1; up >= 0; up--) {
			snprintf(payload, sizeof(payload),
				 "{\"ManualTunnel\":{\"TunnelID\":\"M%u\",\"State\":\"%s\","
				 "\"HowToAuth\":\"ESP\",\"AuthInboundSpi\":4096}}",
				 i, up ? "Active" : "Inactive");
			put(o, up ? "MAN_UP" : "MAN_DOWN", payload);
		}
	pagent_outbox_free(o);
}
