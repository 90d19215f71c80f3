/*
 * Time conditions (IBM's IpTimeCondition; RFC 3060 section 6.5 for how its parts combine): all
 * parts of one must hold, one of several is enough.  Each part is asked for the moment itself, so a
 * span past midnight belongs to the day on which the clock is.
 */
#include "policy/policy.h"

static bool in_spans(const struct pol_time *t, unsigned minute)
{
	if (t->n_spans == 0)
		return true;
	for (unsigned i = 0; i < t->n_spans; i++) {
		unsigned from = t->spans[i][0], to = t->spans[i][1];

		if (from < to ? minute >= from && minute < to : minute >= from || minute < to)
			return true;
	}
	return false;
}

static int days_of_month(const struct tm *tm)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year = tm->tm_year + 1900;

	if (tm->tm_mon == 1 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
		return 29;
	return days[tm->tm_mon];
}

static bool on_day(const struct pol_time *t, const struct tm *tm)
{
	int from_end = days_of_month(tm) - tm->tm_mday;

	if (!(t->months >> tm->tm_mon & 1) || !(t->weekdays >> tm->tm_wday & 1))
		return false;
	return (t->days >> (tm->tm_mday - 1) & 1) || (t->days_from_end >> from_end & 1);
}

static bool active(const struct pol_time *t, time_t now)
{
	time_t shifted = now + (time_t)t->zone * 60;
	/* Filters are looked at when a minute begins; one that is the end shall not go on open. */
	int64_t last = t->to - (t->to % 60 == 0);
	struct tm tm;

	if ((t->from && now < t->from) || (t->to && now > last))
		return false;
	if (!(t->zone == POL_ZONE_LOCAL ? localtime_r(&now, &tm) : gmtime_r(&shifted, &tm)))
		return false;
	return on_day(t, &tm) && in_spans(t, (unsigned)(tm.tm_hour * 60 + tm.tm_min));
}

bool pol_time_active(const struct pol_time *times, unsigned n, time_t now)
{
	if (n == 0)
		return true;
	for (unsigned i = 0; i < n; i++)
		if (active(&times[i], now))
			return true;
	return false;
}
