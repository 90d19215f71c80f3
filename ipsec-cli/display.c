/* ipsec -f, -k, -o and -y display. */
#include <stdlib.h>
#include <string.h>

#include "ipsec-cli/ask.h"

/*
 * The heading tells how many entries there are, so the body is made ready before it.  Of a tunnel
 * with several generations, which follow each other, the newest is held until the next tunnel
 * comes.
 */
struct display {
	const struct command *cmd;
	const struct report *report;
	FILE *body;      /* the text of the selected entries, or NULL with --json */
	json_t *entries; /* the same for --json, or NULL */
	json_t *held;
	json_t *tunnel_ids; /* of dynamic filters, asked for with the first one */
	size_t total, selected;
};

static const struct report *report_of(const struct command *cmd)
{
	switch (cmd->primary) {
	case 'f':
		return &report_filters;
	case 'k':
		return &report_ike_tunnels;
	case 'm':
		return &report_manual;
	case 'o':
		return &report_ports;
	default:
		return cmd->from_ike ? &report_dynamic_ike : &report_dynamic_stack;
	}
}

static json_t *request_of(const struct command *cmd)
{
	switch (cmd->primary) {
	case 'f':
		return json_pack("{s:s, s:s*}", "request", "filters", "scope", cmd->filters);
	case 'k':
		return json_pack("{s:s}", "request", "ike-tunnels");
	case 'm':
		return json_pack("{s:s}", "request", "manual-tunnels");
	case 'o':
		return json_pack("{s:s}", "request", "port-translations");
	default:
		return json_pack("{s:s, s:s*}", "request", "dynamic-tunnels", "source",
				 cmd->from_ike ? "ike" : NULL);
	}
}

/* ---- selection ---- */

static const char *text_of(const json_t *entry, const char *label)
{
	return json_string_value(json_object_get(entry, label));
}

static bool selects(const struct names *list, const json_t *entry, const char *label)
{
	return list->n == 0 || names_have(list, text_of(entry, label));
}

static bool selected(const struct command *cmd, const json_t *entry)
{
	const char *name = cmd->primary == 'f'   ? "FilterName"
			   : cmd->primary == 'k' ? "KeyExchangeRuleName"
						 : "VpnActionName";

	return selects(&cmd->ids, entry, "TunnelID") && selects(&cmd->names, entry, name) &&
	       selects(&cmd->groups, entry, "GroupName") &&
	       selects(&cmd->rules, entry, "LocalDynVpnRule");
}

/*
 * Who answers for filters reads a dynamic filter's tunnel from its reqid, where numbers come round
 * after 2^18; iked knows the whole one.
 */
static const json_t *tunnel_id(struct display *d, const json_t *entry)
{
	const json_t *reqid = json_object_get(entry, "Reqid");
	char key[VALUE_LEN];

	if (d->cmd->primary != 'f' || !json_is_integer(reqid))
		return NULL;
	if (!d->tunnel_ids)
		d->tunnel_ids = ask_tunnel_ids(d->cmd);
	return json_object_get(d->tunnel_ids, value_text(V_PLAIN, reqid, key));
}

static int show_entry(struct display *d, const json_t *entry)
{
	if (d->entries)
		return json_array_append_new(d->entries, report_json(d->report, entry)) < 0
			       ? CS_ENOMEM
			       : 0;
	report_entry(d->body, d->report, d->cmd->layout, entry);
	return 0;
}

static int show(struct display *d, const json_t *entry)
{
	const json_t *id;
	json_t *named;
	int rc;

	if (!selected(d->cmd, entry))
		return 0;
	d->selected++;
	id = tunnel_id(d, entry);
	if (!id)
		return show_entry(d, entry);
	named = json_copy((json_t *)(uintptr_t)entry);
	rc = !named || json_object_set(named, "TunnelID", (json_t *)(uintptr_t)id) < 0
		     ? CS_ENOMEM
		     : show_entry(d, named);
	json_decref(named);
	return rc;
}

static int show_held(struct display *d)
{
	int rc = d->held ? show(d, d->held) : 0;

	json_decref(d->held);
	d->held = NULL;
	return rc;
}

static bool same_tunnel(const json_t *a, const json_t *b)
{
	const char *x = text_of(a, "TunnelID"), *y = text_of(b, "TunnelID");

	return x && y && strcmp(x, y) == 0;
}

static json_int_t generation(const json_t *entry)
{
	return json_integer_value(json_object_get(entry, "Generation"));
}

static int on_entry(void *arg, const json_t *entry)
{
	struct display *d = arg;
	int rc;

	d->total++;
	if (!d->report->generations || d->cmd->every_generation)
		return show(d, entry);
	if (d->held && same_tunnel(d->held, entry)) {
		if (generation(entry) <= generation(d->held))
			return 0;
		json_decref(d->held);
		d->held = NULL;
	}
	rc = show_held(d);
	d->held = json_incref((json_t *)entry);
	return rc;
}

/* ---- the heading ---- */

static const char *field_text(const json_t *done, const char *key, char buf[static VALUE_LEN])
{
	return value_text(V_PLAIN, json_object_get(done, key), buf);
}

static const char *on_off(const json_t *done, const char *key)
{
	const json_t *v = json_object_get(done, key);

	return json_is_true(v) ? "On" : json_is_false(v) ? "Off" : "n/a";
}

static const char *source_of(const struct command *cmd, const json_t *done)
{
	const char *source = json_string_value(json_object_get(done, "Source"));

	if (cmd->primary == 'f')
		return source ? source : "n/a";
	return cmd->primary == 'k' || cmd->from_ike ? "IKED" : "Stack";
}

/* A manual tunnel has no generations. */
static const char *scope_of(const struct command *cmd)
{
	if (cmd->primary == 'm')
		return "n/a";
	return cmd->every_generation ? "All" : "Current";
}

static bool total_known(const struct command *cmd)
{
	return cmd->primary != 'k' && !cmd->from_ike;
}

static void print_filter_heading(const json_t *done)
{
	const json_t *excluded = json_object_get(done, "ExclusionAddress");
	char buf[VALUE_LEN];

	printf("Logging:  %-16sPredecap: %-19sDVIPSec:  %s\n", on_off(done, "Logging"),
	       on_off(done, "Predecap"), field_text(done, "DVIPSec", buf));
	printf("NatKeepAlive:  %-11s", field_text(done, "NatKeepAlive", buf));
	printf("FIPS140:  %s\n", field_text(done, "FIPS140", buf));
	printf("Defensive Mode: %s\n", field_text(done, "DefensiveMode", buf));
	for (size_t i = 0; i < json_array_size(excluded); i++)
		printf("Exclusion Address: %s\n",
		       value_text(V_PLAIN, json_array_get(excluded, i), buf));
}

static void print_report(const struct display *d, const json_t *done, const char *text)
{
	const struct command *cmd = d->cmd;
	char total[24] = "n/a";

	if (total_known(cmd))
		snprintf(total, sizeof(total), "%zu", d->total);
	print_heading(cmd, d->report->primary, "Display", time(NULL));
	printf("Source:   %-16sScope:    %-19sTotAvail: %s\n", source_of(cmd, done), scope_of(cmd),
	       total);
	if (cmd->primary == 'f')
		print_filter_heading(done);
	putchar('\n');
	report_labels(stdout, d->report, cmd->layout);
	fputs(text, stdout);
	printf("\n%zu entries selected\n", d->selected);
}

/* Every key of the filter heading stands in the document, null when the daemon did not send it. */
static int add_filter_heading(json_t *heading, const json_t *done)
{
	static const char *const keys[] = {"Logging",         "Predecap", "DVIPSec",
					   "NatKeepAlive",    "FIPS140",  "DefensiveMode",
					   "ExclusionAddress"};
	int rc = 0;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		json_t *v = json_object_get(done, keys[i]);

		rc |= v ? json_object_set(heading, keys[i], v)
			: json_object_set_new(heading, keys[i], json_null());
	}
	return rc;
}

static int print_json(const struct display *d, const json_t *done)
{
	const struct command *cmd = d->cmd;
	json_t *heading = json_heading(cmd, d->report->primary, "Display", time(NULL));
	json_t *total = total_known(cmd) ? json_integer((json_int_t)d->total) : json_null();

	if (!heading ||
	    json_object_set_new(heading, "Source", json_string(source_of(cmd, done))) < 0 ||
	    json_object_set_new(heading, "Scope", json_string(scope_of(cmd))) < 0 ||
	    json_object_set_new(heading, "TotAvail", total) < 0 ||
	    json_object_set_new(heading, "Selected", json_integer((json_int_t)d->selected)) < 0 ||
	    (cmd->primary == 'f' && add_filter_heading(heading, done) < 0)) {
		json_decref(heading);
		complain("out of memory");
		return EXIT_TARGET_FAILED;
	}
	return print_document(heading, json_incref(d->entries));
}

/* ---- the whole ---- */

static int ask(struct display *d, struct cs_nmi *nmi, json_t **done)
{
	json_t *request = request_of(d->cmd);
	struct cs_err err = {0};
	int rc;

	if (!request)
		rc = cs_fail(&err, CS_ENOMEM, "out of memory");
	else
		rc = cs_nmi_call(nmi, request, ANSWER_MS, on_entry, d, done, &err);
	json_decref(request);
	if (rc == 0)
		rc = show_held(d);
	if (rc < 0 && !err.text[0])
		cs_fail(&err, CS_ENOMEM, "out of memory");
	return rc == 0 ? 0 : ask_failed(d->cmd, &err);
}

int run_display(struct command *cmd)
{
	struct display d = {.cmd = cmd, .report = report_of(cmd)};
	struct cs_nmi *nmi = NULL;
	json_t *done = NULL;
	char *text = NULL;
	size_t size = 0;
	int rc;

	rc = ask_open(cmd, &nmi);
	if (rc != 0)
		return rc;
	if (cmd->json)
		d.entries = json_array();
	else
		d.body = open_memstream(&text, &size);
	if (!d.entries && !d.body) {
		complain("out of memory");
		rc = EXIT_TARGET_FAILED;
		goto out;
	}
	rc = ask(&d, nmi, &done);
	if (d.body && (fclose(d.body) != 0 || !text) && rc == 0) {
		complain("out of memory");
		rc = EXIT_TARGET_FAILED;
	}
	d.body = NULL;
	if (rc != 0)
		goto out;
	if (cmd->json)
		rc = print_json(&d, done);
	else
		print_report(&d, done, text);
	if (rc == 0 && d.selected == 0 && cmd->fail_empty)
		rc = EXIT_EMPTY;
out:
	if (d.body)
		fclose(d.body);
	free(text);
	json_decref(d.held);
	json_decref(d.tunnel_ids);
	json_decref(d.entries);
	json_decref(done);
	cs_nmi_close(nmi);
	return rc;
}
