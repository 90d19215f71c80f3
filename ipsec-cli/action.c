/*
 * ipsec -f default, -f reload, -k deactivate, -k refresh, -m activate, -m deactivate, -y activate,
 * -y deactivate and -y refresh.
 */
#include <string.h>

#include "ipsec-cli/ask.h"

#define WAIT_GRACE_MS 5000  /* the daemon tells of its own time-out first */
#define CHOICE_MS     60000 /* a large policy takes its time */

struct outcome {
	const struct command *cmd;
	json_t *rows; /* what the table or the document shows */
	int code;
};

/* ---- rows ---- */

/* The column between tunnel and status: its key, NULL: there is none. */
static const char *name_key(const struct command *cmd)
{
	return cmd->primary == 'y'   ? "LocalDynVpnRule"
	       : cmd->primary == 'm' ? "VpnActionName"
				     : NULL;
}

/* "n/a" stands for what is not known. */
static int add_row(struct outcome *o, json_t *row)
{
	if (row && json_array_append_new(o->rows, row) == 0)
		return 0;
	return CS_ENOMEM;
}

static int on_entry(void *arg, const json_t *entry)
{
	struct outcome *o = arg;
	json_t *row = json_object();
	const char *const keys[] = {"TunnelID", name_key(o->cmd), "Status"};
	int rc = row ? 0 : -1;

	for (size_t i = 0; rc == 0 && i < sizeof(keys) / sizeof(keys[0]); i++) {
		json_t *v;

		if (!keys[i])
			continue;
		v = json_object_get(entry, keys[i]);
		rc = v ? json_object_set(row, keys[i], v)
		       : json_object_set_new(row, keys[i], json_null());
	}
	if (rc == 0)
		return add_row(o, row);
	json_decref(row);
	return CS_ENOMEM;
}

static const char *status_of(enum cs_code code)
{
	switch (code) {
	case CS_ENOTFOUND:
		return "Not found";
	case CS_EPERM:
		return "Not authorized";
	case CS_EAGAIN:
		return "Timed out";
	default:
		return "Failed";
	}
}

/* A wait that ends without the tunnel; but a rule that is not there never came to negotiate. */
static int exit_code_of(const struct command *cmd, enum cs_code code)
{
	switch (code) {
	case CS_EPERM:
		return EXIT_NOT_AUTHORIZED;
	case CS_EINVAL:
	case CS_ENOTFOUND:
	case CS_EUNSUPPORTED:
		return EXIT_TARGET_FAILED;
	default:
		return cmd->wait >= 0 ? EXIT_NEGOTIATION : EXIT_TARGET_FAILED;
	}
}

static int add_failure(struct outcome *o, const char *id, const char *rule,
		       const struct cs_err *err)
{
	json_t *row = json_pack("{s:s?}", "TunnelID", id);

	if (row && name_key(o->cmd))
		json_object_set_new(row, name_key(o->cmd), rule ? json_string(rule) : json_null());
	if (row) {
		json_object_set_new(row, "Status", json_string(status_of(err->code)));
		json_object_set_new(row, "Reason", json_string(err->text));
	}
	return add_row(o, row);
}

static const char *row_text(const json_t *row, const char *key, char buf[static VALUE_LEN])
{
	return value_text(V_PLAIN, json_object_get(row, key), buf);
}

static void print_table(const struct outcome *o)
{
	const char *key = name_key(o->cmd);
	char buf[VALUE_LEN];

	if (o->cmd->primary == 'f') {
		printf("%-16sStatus\n", "Source");
		for (size_t i = 0; i < json_array_size(o->rows); i++) {
			const json_t *row = json_array_get(o->rows, i);

			printf("%-16s", row_text(row, "Source", buf));
			puts(row_text(row, "Status", buf));
		}
		return;
	}
	if (o->cmd->all && o->code == 0) {
		printf("All %s tunnels  Deactivating\n", o->cmd->primary == 'y'   ? "dynamic"
							 : o->cmd->primary == 'm' ? "manual"
										  : "IKE");
		return;
	}
	printf("%-12s", "Tunnel ID");
	if (key)
		printf("%-34s", o->cmd->primary == 'y' ? "LocalDynVpnRuleName" : "VpnActionName");
	puts("Status");
	for (size_t i = 0; i < json_array_size(o->rows); i++) {
		const json_t *row = json_array_get(o->rows, i);

		printf("%-12s", row_text(row, "TunnelID", buf));
		if (key)
			printf("%-34s", row_text(row, key, buf));
		puts(row_text(row, "Status", buf));
	}
}

/* ---- asking ---- */

static const char *request_name(const struct command *cmd)
{
	bool ike = cmd->primary == 'k';

	if (cmd->action == ACTION_REFRESH)
		return ike ? "refresh-ike" : "refresh-dynamic";
	return ike ? "deactivate-ike" : "deactivate-dynamic";
}

static json_t *wait_of(const struct command *cmd)
{
	return cmd->wait >= 0 ? json_integer(cmd->wait) : json_null();
}

static json_t *request_for(const struct command *cmd, const char *id, const char *rule)
{
	json_t *request;

	if (cmd->primary == 'm')
		return json_pack("{s:s, s:s*, s:s*}", "request",
				 cmd->action == ACTION_ACTIVATE ? "activate-manual"
								: "deactivate-manual",
				 "tunnel", id, "action", rule);
	if (cmd->action == ACTION_ACTIVATE)
		return json_pack("{s:s, s:s, s:o}", "request", "activate-dynamic", "rule", rule,
				 "wait", wait_of(cmd));
	request = json_pack("{s:s, s:s*, s:s*}", "request", request_name(cmd), "tunnel", id, "rule",
			    rule);
	if (cmd->action == ACTION_REFRESH)
		json_object_set_new(request, "wait", wait_of(cmd));
	return request;
}

/* One target: id or rule. Not 0: the connection is of no more use. */
static int ask_target(struct outcome *o, struct cs_nmi *nmi, const char *id, const char *rule)
{
	const struct command *cmd = o->cmd;
	struct cs_err err = {0};
	int timeout = cmd->wait >= 0 ? cmd->wait * 1000 + WAIT_GRACE_MS : ANSWER_MS, rc;
	json_t *request = request_for(cmd, id, rule), *done = NULL;

	if (request)
		rc = cs_nmi_call(nmi, request, timeout, on_entry, o, &done, &err);
	else
		rc = cs_fail(&err, CS_EINVAL, "a name has to be UTF-8");
	json_decref(request);
	json_decref(done);
	if (rc == 0)
		return 0;
	if (!err.text[0])
		cs_fail(&err, CS_ENOMEM, "out of memory");
	complain("%s: %s", id ? id : rule, err.text);
	rc = exit_code_of(cmd, err.code);
	if (rc == EXIT_NOT_AUTHORIZED ||
	    (rc == EXIT_NEGOTIATION && o->code != EXIT_NOT_AUTHORIZED) || o->code == 0)
		o->code = rc;
	return add_failure(o, id, rule, &err);
}

static const char *function_of(const struct command *cmd)
{
	static const char *const names[] = {
		[ACTION_ACTIVATE] = "Activate", [ACTION_DEACTIVATE] = "Deactivate",
		[ACTION_REFRESH] = "Refresh",   [ACTION_DEFAULT] = "Default",
		[ACTION_RELOAD] = "Reload",
	};

	return names[cmd->action];
}

static const char *primary_of(const struct command *cmd)
{
	if (cmd->primary == 'f')
		return report_filters.primary;
	return cmd->primary == 'k'   ? report_ike_tunnels.primary
	       : cmd->primary == 'm' ? report_manual.primary
				     : report_dynamic_stack.primary;
}

/* Each target has its own connection, so that what spoils one does not spoil the next. */
static int ask_all(struct outcome *o, struct command *cmd, const struct names *targets, bool by_id)
{
	for (size_t i = 0; i < targets->n; i++) {
		const char *name = cmd->all ? "all" : targets->name[i];
		struct cs_nmi *nmi = NULL;
		int rc = ask_open(cmd, &nmi);

		if (rc != 0)
			return rc;
		rc = ask_target(o, nmi, by_id ? name : NULL, by_id ? NULL : name);
		cs_nmi_close(nmi);
		if (rc < 0) {
			complain("out of memory");
			return EXIT_TARGET_FAILED;
		}
	}
	return 0;
}

/* ---- which filters ---- */

static json_t *choice_row(const json_t *done)
{
	const char *filters = json_string_value(json_object_get(done, "filters"));
	const char *source = !filters                         ? "None"
			     : strcmp(filters, "policy") == 0 ? "Stack Policy"
							      : "Stack Profile";
	bool changed = json_is_true(json_object_get(done, "changed"));

	return json_pack("{s:s, s:s}", "Source", source, "Status",
			 changed ? "Active" : "Already active");
}

/* Not 0: the user has been told. */
static int choose_filters(struct outcome *o, struct command *cmd)
{
	const char *name = cmd->action == ACTION_DEFAULT ? "default" : "reload";
	json_t *request = json_pack("{s:s}", "request", name), *done = NULL;
	struct cs_nmi *nmi = NULL;
	struct cs_err err;
	int rc = ask_open(cmd, &nmi);

	if (rc == 0 && cs_nmi_call(nmi, request, CHOICE_MS, NULL, NULL, &done, &err) < 0)
		rc = ask_failed(cmd, &err);
	if (rc == 0 && add_row(o, choice_row(done)) < 0) {
		complain("out of memory");
		rc = EXIT_TARGET_FAILED;
	}
	json_decref(request);
	json_decref(done);
	cs_nmi_close(nmi);
	return rc;
}

int run_action(struct command *cmd)
{
	struct outcome o = {.cmd = cmd, .rows = json_array()};
	json_t *heading;
	int rc;

	if (!o.rows) {
		complain("out of memory");
		return EXIT_TARGET_FAILED;
	}
	if (cmd->primary == 'f') {
		rc = choose_filters(&o, cmd);
	} else {
		rc = ask_all(&o, cmd, &cmd->ids, true);
		if (rc == 0)
			rc = ask_all(&o, cmd, cmd->primary == 'm' ? &cmd->names : &cmd->rules,
				     false);
	}
	if (rc != 0 && json_array_size(o.rows) == 0) {
		json_decref(o.rows);
		return rc;
	}
	if (cmd->json) {
		heading = json_heading(cmd, primary_of(cmd), function_of(cmd), time(NULL));
		if (print_document(heading, json_incref(o.rows)) != 0 && rc == 0)
			rc = EXIT_TARGET_FAILED;
	} else {
		print_heading(cmd, primary_of(cmd), function_of(cmd), time(NULL));
		putchar('\n');
		print_table(&o);
	}
	json_decref(o.rows);
	return rc != 0 ? rc : o.code;
}
