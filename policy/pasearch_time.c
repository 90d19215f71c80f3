/* pasearch: time periods, in the zone that is coded and in UTC. */
#include <string.h>

#include "policy/pasearch.h"

#define DAY 1440

static const char *mask_text(uint32_t bits, unsigned n, char buf[static 33])
{
	for (unsigned i = 0; i < n; i++)
		buf[i] = bits >> i & 1 ? '1' : '0';
	buf[n] = '\0';
	return buf;
}

static const char *clock_text(int minutes, char buf[static 16])
{
	snprintf(buf, 16, "%02d:%02d", minutes / 60, minutes % 60);
	return buf;
}

/* Minutes east of UTC at a time. */
static int offset_at(const struct pol_time *t, time_t when)
{
	struct tm tm;

	if (t->zone != POL_ZONE_LOCAL)
		return t->zone;
	return localtime_r(&when, &tm) ? (int)(tm.tm_gmtoff / 60) : 0;
}

static const char *date_text(time_t when, int offset, char buf[static 64])
{
	time_t shifted = when + (time_t)offset * 60;
	struct tm tm;

	if (!gmtime_r(&shifted, &tm) || !strftime(buf, 64, "%a %b %e %H:%M:%S %Y", &tm))
		snprintf(buf, 64, "%lld", (long long)when);
	return buf;
}

static void put_date(FILE *out, const struct pol_time *t, int64_t when, unsigned indent,
		     unsigned column, const char *which)
{
	char label[32], text[64];

	snprintf(label, sizeof(label), "%s Date Time", which);
	if (!when) {
		pasearch_line(out, indent, column, label, "None");
		return;
	}
	pasearch_line(out, indent, column, label, date_text(when, offset_at(t, when), text));
	snprintf(label, sizeof(label), "%s Date Time UTC", which);
	pasearch_line(out, indent, column, label, date_text(when, 0, text));
}

static void put_span(FILE *out, const uint16_t span[2], int offset, unsigned indent,
		     unsigned column)
{
	int from = (span[0] - offset + 2 * DAY) % DAY, to = (span[1] - offset + 2 * DAY) % DAY;
	char a[16], b[16];

	if (span[0] == 0 && span[1] == DAY)
		from = to = 0; /* all day is all day everywhere; the original shows it so */
	pasearch_pair(out, indent, column, "Fr TimeOfDay", clock_text(span[0], a), "To TimeOfDay",
		      clock_text(span[1], b));
	pasearch_pair(out, indent, column, "Fr TimeOfDay UTC", clock_text(from, a),
		      "To TimeOfDay UTC", clock_text(to, b));
}

static const char *zone_text(int zone, char buf[static 16])
{
	int east = zone < 0 ? -zone : zone;

	if (zone == POL_ZONE_LOCAL)
		return "Local";
	if (zone == 0)
		return "UTC";
	snprintf(buf, 16, "%c%02d%02d", zone < 0 ? '-' : '+', east / 60 % 100, east % 60);
	return buf;
}

void pasearch_times(struct pasearch *p, struct pol_node *node, unsigned indent, unsigned column)
{
	static uint16_t whole_day[1][2] = {{0, DAY}};
	static const struct pol_time always = {.months = 0xfff,
					       .days = 0x7fffffff,
					       .weekdays = 0x7f,
					       .spans = whole_day,
					       .n_spans = 1,
					       .zone = POL_ZONE_LOCAL};
	const struct pol_time *t = node ? pol_view_time(&p->view, node) : &always;
	char buf[64];
	FILE *out = p->out;

	pasearch_line(out, indent, column, "Time Periods", node && node->name ? node->name : "");
	if (!t) {
		pasearch_line(out, indent + 1, column, "TimeZone", "<not available>");
		return;
	}
	pasearch_line(out, indent + 1, column, "Day of Month Mask", "");
	pasearch_line(out, indent + 1, column, "First to Last", mask_text(t->days, 31, buf));
	/* Days that all count from the front count from the end, too. */
	pasearch_line(out, indent + 1, column, "Last to First",
		      mask_text(t->days == 0x7fffffff ? t->days : t->days_from_end, 31, buf));
	pasearch_line(out, indent + 1, column, "Month of Yr Mask", mask_text(t->months, 12, buf));
	mask_text(t->weekdays, 7, buf);
	strcat(buf, "  (Sunday - Saturday)");
	pasearch_line(out, indent + 1, column, "Day of Week Mask", buf);
	put_date(out, t, t->from, indent + 1, column, "Start");
	put_date(out, t, t->to, indent + 1, column, "End");
	for (unsigned i = 0; i < t->n_spans; i++)
		put_span(out, t->spans[i], offset_at(t, p->view.now), indent + 1, column);
	pasearch_line(out, indent + 1, column, "TimeZone", zone_text(t->zone, buf));
}
