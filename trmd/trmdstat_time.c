/* trmdstat: times as command lines, syslog and messages have them. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "trmd/trmdstat.h"

#define DAY_US INT64_C(86400000000)

/* A number of so many digits. */
static bool digits(const char **p, unsigned n, int *value)
{
	*value = 0;
	for (; n; n--, (*p)++) {
		if (**p < '0' || **p > '9')
			return false;
		*value = *value * 10 + (**p - '0');
	}
	return true;
}

static bool skip(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

/* False: there is no such day or time. A leap second counts as the one after. */
static bool seconds_of(struct tm tm, int64_t *s)
{
	struct tm given = tm;

	if (tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return false;
	given.tm_hour = given.tm_min = given.tm_sec = 0;
	*s = timegm(&given);
	if (given.tm_mon != tm.tm_mon || given.tm_mday != tm.tm_mday)
		return false;
	*s += tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec;
	return true;
}

static bool date(const char **p, struct tm *tm)
{
	int year, month;

	if (!digits(p, 4, &year) || !skip(p, '-') || !digits(p, 2, &month) || !skip(p, '-') ||
	    !digits(p, 2, &tm->tm_mday))
		return false;
	tm->tm_year = year - 1900;
	tm->tm_mon = month - 1;
	return true;
}

static bool of_day(const char **p, struct tm *tm, int64_t *us)
{
	int64_t unit = 100000;
	int digit;

	*us = 0;
	if (!digits(p, 2, &tm->tm_hour) || !skip(p, ':') || !digits(p, 2, &tm->tm_min))
		return false;
	if (skip(p, ':') && !digits(p, 2, &tm->tm_sec))
		return false;
	if (skip(p, '.') || skip(p, ','))
		for (; **p >= '0' && **p <= '9'; unit /= 10)
			if (digits(p, 1, &digit))
				*us += digit * unit;
	return true;
}

/* Ahead of UTC; nothing is UTC. */
static bool zone(const char **p, int64_t *us)
{
	int64_t sign = **p == '-' ? -1 : 1;
	int hours, minutes;

	*us = 0;
	if (skip(p, 'Z') || (**p != '+' && **p != '-'))
		return true;
	(*p)++;
	if (!digits(p, 2, &hours))
		return false;
	skip(p, ':');
	if (!digits(p, 2, &minutes))
		return false;
	*us = sign * ((int64_t)hours * 60 + minutes) * 60000000;
	return true;
}

bool stat_iso(const char **p, int64_t *us)
{
	int64_t s, fraction = 0, ahead = 0;
	struct tm tm = {0};
	const char *at = *p;

	if (!date(&at, &tm) || (!skip(&at, 'T') && !skip(&at, ' ')) ||
	    !of_day(&at, &tm, &fraction) || !zone(&at, &ahead) || !seconds_of(tm, &s))
		return false;
	*us = s * 1000000 + fraction - ahead;
	*p = at;
	return true;
}

bool stat_american(const char **p, int64_t *us)
{
	struct tm tm = {0};
	const char *at = *p;
	int64_t s, fraction;
	int month, year;

	if (!digits(&at, 2, &month) || !skip(&at, '/') || !digits(&at, 2, &tm.tm_mday) ||
	    !skip(&at, '/') || !digits(&at, 4, &year) || !skip(&at, ' ') ||
	    !of_day(&at, &tm, &fraction))
		return false;
	tm.tm_mon = month - 1;
	tm.tm_year = year - 1900;
	if (!seconds_of(tm, &s))
		return false;
	*us = s * 1000000 + fraction;
	*p = at;
	return true;
}

bool stat_bsd(const char **p, int64_t now_us, int64_t *us)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t now = (time_t)(now_us / 1000000), s;
	struct tm tm = {0}, today, given;
	const char *at = *p;
	int64_t fraction;

	for (tm.tm_mon = 0; tm.tm_mon < 12 && strncmp(at, months + 3 * tm.tm_mon, 3) != 0;
	     tm.tm_mon++)
		;
	if (tm.tm_mon == 12)
		return false;
	at += 3;
	if (!skip(&at, ' ') || !digits(&at, *at == ' ' ? 0 : 2, &tm.tm_mday))
		return false;
	if (tm.tm_mday == 0 && (!skip(&at, ' ') || !digits(&at, 1, &tm.tm_mday)))
		return false;
	if (!skip(&at, ' ') || !of_day(&at, &tm, &fraction) || tm.tm_mday < 1 || tm.tm_hour > 23 ||
	    tm.tm_min > 59 || tm.tm_sec > 60)
		return false;
	localtime_r(&now, &today);
	for (tm.tm_year = today.tm_year;; tm.tm_year--) {
		given = tm;
		given.tm_isdst = -1;
		s = mktime(&given);
		/* A year without that day, as of 29 February, is not the one. */
		if (given.tm_mday == tm.tm_mday && s <= now + 86400)
			break;
		if (tm.tm_year <= today.tm_year - 8)
			return false;
	}
	*us = (int64_t)s * 1000000 + fraction;
	*p = at;
	return true;
}

/* ---- of the command line ---- */

static bool mmddhhmmss(const char *p, int64_t *us)
{
	struct tm tm = {.tm_year = 72}; /* a leap year */
	int month;
	int64_t s;

	if (!digits(&p, 2, &month) || !digits(&p, 2, &tm.tm_mday) || !digits(&p, 2, &tm.tm_hour) ||
	    !digits(&p, 2, &tm.tm_min) || !digits(&p, 2, &tm.tm_sec) || *p)
		return false;
	tm.tm_mon = month - 1;
	if (!seconds_of(tm, &s))
		return false;
	*us = s * 1000000;
	return true;
}

static bool before_now(const char *p, int64_t now_us, int64_t *us)
{
	static const char letters[] = "smhd";
	static const int64_t units[] = {1000000, 60000000, 3600000000, DAY_US};
	const char *letter;
	char *end;
	unsigned long n;

	if (*p < '0' || *p > '9')
		return false;
	n = strtoul(p, &end, 10);
	letter = *end ? strchr(letters, *end) : NULL;
	if (!letter || end[1] || n > 1000000)
		return false;
	*us = now_us - (int64_t)n * units[letter - letters];
	return true;
}

static bool day_alone(const char *p, int64_t *us)
{
	struct tm tm = {0};
	int64_t s;

	if (!date(&p, &tm) || *p || !seconds_of(tm, &s))
		return false;
	*us = s * 1000000;
	return true;
}

int stat_moment(const char *text, int64_t now_us, int64_t *us, bool *yearless, struct cs_err *err)
{
	const char *p = text;

	*yearless = mmddhhmmss(text, us);
	if (*yearless || day_alone(text, us) || (stat_iso(&p, us) && !*p) ||
	    (text[0] == '-' && before_now(text + 1, now_us, us)))
		return 0;
	return cs_fail(
		err, CS_EINVAL,
		"%s: a time is MMDDHHMMSS, 2026-01-15, 2026-01-15T10:20:30 (UTC), or -90m, -2h, "
		"-7d",
		text);
}

/* The same of another year; 29 February may become 1 March. */
static int64_t in_year(int64_t us, int year)
{
	time_t s = (time_t)(us / 1000000);
	struct tm tm;

	gmtime_r(&s, &tm);
	tm.tm_year = year;
	return (int64_t)timegm(&tm) * 1000000;
}

static int year_of(int64_t us)
{
	time_t s = (time_t)(us / 1000000);
	struct tm tm;

	gmtime_r(&s, &tm);
	return tm.tm_year;
}

int64_t stat_with_year(int64_t us, int64_t now_us)
{
	int64_t this_year = in_year(us, year_of(now_us));

	return this_year <= now_us + DAY_US ? this_year : in_year(us, year_of(now_us) - 1);
}

int64_t stat_next_year(int64_t us)
{
	return in_year(us, year_of(us) + 1);
}
