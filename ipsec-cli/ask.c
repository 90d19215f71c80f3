/* The socket, the heading and the complaints of the ipsec command. */
#include "ipsec-cli/ask.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

void complain(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* A reason may quote what a peer sent. */
	for (char *p = text; *p; p++)
		if (iscntrl((unsigned char)*p))
			*p = '?';
	fprintf(stderr, "ipsec: %s\n", text);
}

static const char *daemon_of(const struct command *cmd)
{
	return cmd->primary == 'k' || cmd->primary == 'y' ? "iked" : "pagent";
}

static int find_stack(struct command *cmd, struct cs_err *err)
{
	char base[CS_PATH_MAX];
	int rc = cs_run_path(NULL, NULL, base, err);

	return rc < 0 ? rc : cs_stack_find(base, cmd->stack, err);
}

int ask_open(struct command *cmd, struct cs_nmi **nmi)
{
	char leaf[16], path[CS_PATH_MAX];
	struct cs_err err = {0};
	int rc;

	snprintf(leaf, sizeof(leaf), "%s.sock", daemon_of(cmd));
	rc = find_stack(cmd, &err);
	if (rc == 0)
		rc = cs_run_path(cmd->stack, leaf, path, &err);
	if (rc < 0) {
		complain("%s", err.text);
		return EXIT_USAGE;
	}
	rc = cs_nmi_connect(path, nmi, &err);
	if (rc == 0)
		return 0;
	if (rc == CS_EPERM) {
		complain("%s", err.text);
		return EXIT_NOT_AUTHORIZED;
	}
	complain("%s of stack %s is not reachable at %s: %s", daemon_of(cmd), cmd->stack, path,
		 rc == CS_ENOTFOUND ? "it does not run" : err.text);
	if (rc == CS_ENOTFOUND)
		complain("start it with: %s -p %s", daemon_of(cmd), cmd->stack);
	return EXIT_NOT_REACHABLE;
}

int ask_failed(const struct command *cmd, const struct cs_err *err)
{
	complain("%s of stack %s: %s", daemon_of(cmd), cmd->stack, err->text);
	switch (err->code) {
	case CS_EPERM:
		return EXIT_NOT_AUTHORIZED;
	case CS_ESYS:
	case CS_EAGAIN:
	case CS_EPARSE:
		return EXIT_NOT_REACHABLE;
	default:
		return EXIT_TARGET_FAILED;
	}
}

static int keep_tunnel_id(void *arg, const json_t *entry)
{
	const json_t *reqid = json_object_get(entry, "Reqid");
	char key[VALUE_LEN];

	json_object_set(arg, value_text(V_PLAIN, reqid, key), json_object_get(entry, "TunnelID"));
	return 0;
}

json_t *ask_tunnel_ids(const struct command *cmd)
{
	json_t *ids = json_object();
	json_t *request = json_pack("{s:s, s:s}", "request", "dynamic-tunnels", "source", "ike");
	json_t *done = NULL;
	struct cs_nmi *nmi = NULL;
	char path[CS_PATH_MAX];
	struct cs_err err;

	if (ids && request && cs_run_path(cmd->stack, "iked.sock", path, &err) == 0 &&
	    cs_nmi_connect(path, &nmi, &err) == 0)
		cs_nmi_call(nmi, request, ANSWER_MS, keep_tunnel_id, ids, &done, &err);
	cs_nmi_close(nmi);
	json_decref(done);
	json_decref(request);
	return ids;
}

void print_heading(const struct command *cmd, const char *primary, const char *function, time_t now)
{
	char stamp[VALUE_LEN] = "";
	struct tm tm;

	if (localtime_r(&now, &tm))
		strftime(stamp, sizeof(stamp), "%a %b %e %H:%M:%S %Y", &tm);
	printf("CS %s ipsec  Stack Name: %s  %s\n", PACKAGE_VERSION, cmd->stack, stamp);
	if (cmd->action == ACTION_DISPLAY)
		printf("Primary:  %-16sFunction: %-19sFormat:   %s\n", primary, function,
		       layout_name(cmd->layout));
	else
		printf("Primary:  %-16sFunction: %s\n", primary, function);
}

json_t *json_heading(const struct command *cmd, const char *primary, const char *function,
		     time_t now)
{
	char stamp[VALUE_LEN];

	time_iso(now, stamp);
	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "Level", PACKAGE_VERSION, "StackName",
			 cmd->stack, "Time", stamp, "Primary", primary, "Function", function);
}

int print_document(json_t *heading, json_t *entries)
{
	json_t *document = json_pack("{s:o, s:o}", "heading", heading, "entries", entries);
	int rc = document ? json_dumpf(document, stdout, JSON_INDENT(2)) : -1;

	json_decref(document);
	if (rc < 0) {
		complain("the document could not be written");
		return EXIT_TARGET_FAILED;
	}
	putchar('\n');
	return 0;
}
