/* trmdstat: the report for people, with the original's heading. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "trmd/trmdstat.h"

#define NAME_WIDTH 34

const struct stat_ids stat_ids[STAT_N_IDS] = {
	{'A', "ATTACK Summary", "ATTACK"},
	{'C', "CONNECTION Summary", "CONNECTION"},
	{'F', "FLOOD Summary", "FLOOD"},
	{'G', "Global TCP Stall Summary", "GLOBAL TCP STALL"},
	{'I', "IDS Summary", "IDS"},
	{'N', "SCAN Summary", "SCAN"},
	{'Q', "TCP Queue Size Summary", "TCP QUEUE SIZE"},
	{'T', "TCP TR Summary", "TCP TR"},
	{'U', "UDP TR Summary", "UDP TR"},
};

/* What a column counts, and its heading. */
struct column {
	unsigned n;
	const char *title;
};

/* A table as it is printed: two key columns, of which the second may be without title, and numbers.
 */
struct form {
	const char *title, *a, *b, *empty;
	unsigned b_width; /* 0: it is not shown */
	unsigned n;
	struct column columns[STAT_COLUMNS];
};

static const struct form filters = {
	.title = "IP Filter Messages",
	.a = "Rule",
	.b = "Dir",
	.b_width = 3,
	.empty = "IP filter",
	.n = 8,
	.columns = {{STAT_PERMITTED, "Permitted"},
		    {STAT_ICMP_ERROR, "ICMP Error"},
		    {STAT_DENIED, "Denied"},
		    {STAT_NO_TUNNEL, "No Tunnel"},
		    {STAT_INACTIVE, "Inactive"},
		    {STAT_MISMATCH, "Mismatch"},
		    {STAT_SUPPRESSED, "Suppressed"},
		    {STAT_LOST, "Lost"}},
};

static const struct form tunnels = {
	.title = "Tunnel Messages",
	.a = "VPN Action",
	.empty = "tunnel",
	.n = 7,
	.columns = {{STAT_ADDED, "Added"},
		    {STAT_DELETED, "Deleted"},
		    {STAT_EXPIRED, "Expired"},
		    {STAT_ACTIVATED, "Activated"},
		    {STAT_DEACTIVATED, "Deactiv."},
		    {STAT_NOT_SHARED, "Not Distr."},
		    {STAT_NOT_TAKEN, "No Takeov."}},
};

static const struct form smf_tunnels = {
	.title = "Tunnel Records",
	.a = "Peer",
	.b = "Event",
	.b_width = 24,
	.empty = "SMF tunnel",
	.n = 3,
	.columns = {{0, "Records"}, {1, "Bytes In"}, {2, "Bytes Out"}},
};

static const struct form failures = {
	.title = "Negotiation Failure Messages",
	.a = "Cause",
	.b = "Peer",
	.b_width = 24,
	.empty = "negotiation failure",
	.n = 2,
	.columns = {{0, "Phase 1"}, {1, "Phase 2"}},
};

static const struct form smf_failures = {
	.title = "Tunnel Failure Records",
	.a = "Cause",
	.b = "Peer",
	.b_width = 24,
	.empty = "SMF tunnel failure",
	.n = 2,
	.columns = {{0, "IKE"}, {1, "Dynamic"}},
};

/* ---- tables ---- */

/* What is too long has the rest of its line on the next one. */
static void put_key(FILE *f, const char *text, unsigned width, unsigned before)
{
	fprintf(f, "%-*s", (int)width, text);
	if (strlen(text) > width)
		fprintf(f, "\n%*s", (int)(before + width), "");
}

static void put_row(FILE *f, const struct form *form, const char *a, const char *b,
		    const uint64_t n[STAT_COLUMNS])
{
	put_key(f, a, NAME_WIDTH, 0);
	if (form->b_width) {
		putc(' ', f);
		put_key(f, b, form->b_width, NAME_WIDTH + 1);
	}
	for (unsigned i = 0; i < form->n; i++)
		fprintf(f, " %10llu", (unsigned long long)n[form->columns[i].n]);
	putc('\n', f);
}

static void put_rule(FILE *f, unsigned width)
{
	while (width--)
		putc('-', f);
}

static void put_rules(FILE *f, const struct form *form)
{
	put_rule(f, NAME_WIDTH);
	if (form->b_width) {
		putc(' ', f);
		put_rule(f, form->b_width);
	}
	for (unsigned i = 0; i < form->n; i++) {
		putc(' ', f);
		put_rule(f, 10);
	}
	putc('\n', f);
}

static unsigned width_of(const struct form *form)
{
	return NAME_WIDTH + (form->b_width ? form->b_width + 1 : 0) + 11 * form->n;
}

static void put_title(FILE *f, const char *title, unsigned width)
{
	unsigned len = (unsigned)strlen(title);

	fprintf(f, "\n%*s\n\n", (int)(width > len ? (width + len) / 2 : len), title);
}

static void add(uint64_t total[STAT_COLUMNS], const uint64_t n[STAT_COLUMNS])
{
	for (unsigned i = 0; i < STAT_COLUMNS; i++)
		stat_add(&total[i], n[i]);
}

static void put_table(FILE *f, const struct form *form, const struct stat_table *t)
{
	uint64_t total[STAT_COLUMNS] = {0};

	put_title(f, form->title, width_of(form));
	if (t->n == 0) {
		fprintf(f, "No %s records to display\n", form->empty);
		return;
	}
	fprintf(f, "%-*s", NAME_WIDTH, form->a);
	if (form->b_width)
		fprintf(f, " %-*s", (int)form->b_width, form->b);
	for (unsigned i = 0; i < form->n; i++)
		fprintf(f, " %10s", form->columns[i].title);
	putc('\n', f);
	put_rules(f, form);
	for (uint32_t i = 0; i < t->n; i++) {
		put_row(f, form, t->rows[i].a, t->rows[i].b, t->rows[i].n);
		add(total, t->rows[i].n);
	}
	if (t->has_others) {
		put_row(f, form, "(all others)", "", t->others.n);
		add(total, t->others.n);
	}
	put_rules(f, form);
	put_row(f, form, "Total", "", total);
}

/* ---- the heading ---- */

static const char *moment(int64_t us, bool utc, char text[static 32])
{
	time_t s = (time_t)(us / 1000000);
	struct tm tm;

	if (utc)
		gmtime_r(&s, &tm);
	else
		localtime_r(&s, &tm);
	strftime(text, 32, "%b %e %H:%M:%S", &tm);
	return text;
}

static void put_interval(FILE *f, const char *label, const int64_t us[2], bool utc)
{
	char first[32], last[32];

	if (us[0] == STAT_NEVER)
		fprintf(f, "%-19s : N/A\n", label);
	else
		fprintf(f, "%-19s : %s  - %s\n", label, moment(us[0], utc, first),
			moment(us[1], utc, last));
}

static void put_count(FILE *f, const char *label, uint64_t n)
{
	fprintf(f, "%-19s : %llu\n", label, (unsigned long long)n);
}

static void put_heading(FILE *f, const struct trmdstat *s)
{
	time_t now = (time_t)(s->now_us / 1000000);
	char text[64];
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(text, sizeof(text), "%a %b %e %H:%M:%S %Y", &tm);
	fprintf(f, "trmdstat for csipsec %s  %s\n\n", PACKAGE_VERSION, text);
	fprintf(f, "%-19s : %s\n", "Command Entered", s->command);
	put_interval(f, "Log Time Interval", s->log_us, false);
	put_interval(f, "Stack Time Interval", s->stack_us, true);
	put_count(f, "TRM Records Scanned", s->scanned);
	put_count(f, "Records Selected", s->selected);
	put_count(f, "Lines Skipped", s->skipped);
	if (!s->smf)
		return;
	put_count(f, "SMF Records Scanned", s->smf_scanned);
	put_count(f, "SMF Records Chosen", s->smf_selected);
	put_count(f, "SMF Records Skipped", s->smf_skipped);
	put_count(f, "SMF Records Damaged", s->smf_damaged);
}

static void put_ids(FILE *f, const struct stat_ids *ids)
{
	put_title(f, ids->title, 80);
	fprintf(f, "No %s records to display: csipsec has no intrusion detection\n", ids->name);
}

void stat_write_text(struct trmdstat *s, FILE *f)
{
	put_heading(f, s);
	for (unsigned i = 0; i < STAT_N_IDS; i++)
		if (s->reports & STAT_IDS_FIRST << i)
			put_ids(f, &stat_ids[i]);
	if (s->reports & STAT_FILTERS)
		put_table(f, &filters, &s->filters);
	if (s->reports & STAT_TUNNELS) {
		put_table(f, &tunnels, &s->tunnels);
		if (s->smf)
			put_table(f, &smf_tunnels, &s->smf_tunnels);
	}
	if (s->reports & STAT_FAILURES) {
		put_table(f, &failures, &s->failures);
		if (s->smf)
			put_table(f, &smf_failures, &s->smf_failures);
	}
}
