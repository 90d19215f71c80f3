/* trmdstat: the report as one JSON object. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "trmd/filter_message.h"
#include "trmd/trmdstat.h"

/* Keys of a table's rows: its own two, then what is counted; NULL ends them. */
struct keys {
	const char *table, *a, *b;
	const char *columns[STAT_COLUMNS + 1];
};

static const struct keys filters = {
	"filters",
	"rule",
	"direction",
	{[STAT_PERMITTED] = "permitted",
	 [STAT_ICMP_ERROR] = "icmp_errors",
	 [STAT_DENIED] = "denied",
	 [STAT_NO_TUNNEL] = "no_tunnel",
	 [STAT_INACTIVE] = "tunnel_inactive",
	 [STAT_MISMATCH] = "tunnel_mismatch",
	 [STAT_SUPPRESSED] = "suppressed",
	 [STAT_LOST] = "lost"},
};

static const struct keys tunnels = {
	"tunnels",
	"vpn_action",
	NULL,
	{[STAT_ADDED] = "added",
	 [STAT_DELETED] = "deleted",
	 [STAT_EXPIRED] = "expired",
	 [STAT_ACTIVATED] = "activated",
	 [STAT_DEACTIVATED] = "deactivated",
	 [STAT_NOT_SHARED] = "distribution_failed",
	 [STAT_NOT_TAKEN] = "takeover_failed"},
};

static const struct keys smf_tunnels = {
	"smf_tunnels", "peer", "event", {"records", "bytes_in", "bytes_out"}};
static const struct keys failures = {"failures", "cause", "peer", {"phase1", "phase2"}};
static const struct keys smf_failures = {
	"smf_failures", "cause", "peer", {"ike_tunnels", "dynamic_tunnels"}};

/* JSON's integers here have a sign; what is more is as much as they can say. */
static json_t *number(uint64_t n)
{
	return json_integer(n > INT64_MAX ? (json_int_t)INT64_MAX : (json_int_t)n);
}

static json_t *row_of(const struct keys *k, const struct stat_row *r, bool others)
{
	json_t *o = json_object();
	int failed = !o;

	if (others)
		failed |= json_object_set_new(o, "others", json_true());
	else
		failed |= json_object_set_new(o, k->a, json_string(r->a));
	if (k->b && !others)
		failed |= json_object_set_new(o, k->b, json_string(r->b));
	for (unsigned i = 0; k->columns[i]; i++)
		failed |= json_object_set_new(o, k->columns[i], number(r->n[i]));
	if (failed) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static int add_table(json_t *report, const struct keys *k, const struct stat_table *t)
{
	json_t *rows = json_array();
	int failed = !rows;

	for (uint32_t i = 0; i < t->n && !failed; i++)
		failed |= json_array_append_new(rows, row_of(k, &t->rows[i], false));
	if (t->has_others)
		failed |= json_array_append_new(rows, row_of(k, &t->others, true));
	return failed | json_object_set_new(report, k->table, rows);
}

static int add_interval(json_t *report, const char *key, const int64_t us[2])
{
	char first[TRMD_TIME_STRLEN], last[TRMD_TIME_STRLEN];

	if (us[0] == STAT_NEVER)
		return json_object_set_new(report, key, json_null());
	return json_object_set_new(report, key,
				   json_pack("{s:s, s:s}", "first", trmd_time_text(us[0], first),
					     "last", trmd_time_text(us[1], last)));
}

static int add_heading(json_t *report, const struct trmdstat *s)
{
	const struct {
		const char *key;
		uint64_t n;
	} counts[] = {
		{"records_scanned", s->scanned},         {"records_selected", s->selected},
		{"lines_skipped", s->skipped},           {"lines_too_long", s->long_lines},
		{"smf_records_scanned", s->smf_scanned}, {"smf_records_selected", s->smf_selected},
		{"smf_records_skipped", s->smf_skipped}, {"smf_records_damaged", s->smf_damaged},
	};
	char now[TRMD_TIME_STRLEN];
	int failed = json_object_set_new(report, "program",
					 json_string("trmdstat (csipsec) " PACKAGE_VERSION));

	failed |= json_object_set_new(report, "time", json_string(trmd_time_text(s->now_us, now)));
	failed |= json_object_set_new(report, "command", json_string(s->command));
	failed |= add_interval(report, "log_interval", s->log_us);
	failed |= add_interval(report, "stack_interval", s->stack_us);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		failed |= json_object_set_new(report, counts[i].key, number(counts[i].n));
	return failed | json_object_set_new(report, "complete", json_boolean(!s->failed));
}

static int add_ids(json_t *report, const struct trmdstat *s)
{
	json_t *names = json_array();
	int failed = !names;

	for (unsigned i = 0; i < STAT_N_IDS; i++)
		if (s->reports & STAT_IDS_FIRST << i)
			failed |= json_array_append_new(names, json_string(stat_ids[i].name));
	if (json_array_size(names) == 0) {
		json_decref(names);
		return failed;
	}
	return failed | json_object_set_new(report, "no_intrusion_detection", names);
}

bool stat_write_json(struct trmdstat *s, FILE *f)
{
	json_t *report = json_object();
	int failed = !report;

	failed |= add_heading(report, s);
	failed |= add_ids(report, s);
	if (s->reports & STAT_FILTERS)
		failed |= add_table(report, &filters, &s->filters);
	if (s->reports & STAT_TUNNELS) {
		failed |= add_table(report, &tunnels, &s->tunnels);
		failed |= add_table(report, &smf_tunnels, &s->smf_tunnels);
	}
	if (s->reports & STAT_FAILURES) {
		failed |= add_table(report, &failures, &s->failures);
		failed |= add_table(report, &smf_failures, &s->smf_failures);
	}
	if (!failed && json_dumpf(report, f, JSON_INDENT(1)) == 0)
		putc('\n', f);
	json_decref(report);
	return !failed;
}
