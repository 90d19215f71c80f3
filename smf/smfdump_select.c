/* smfdump: which records are wanted, and how the command line says it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "smf/clock.h"
#include "smf/ebcdic.h"
#include "smf/smfdump.h"

/* A number of so many digits, no more. */
static bool digits(const char **p, unsigned n, unsigned *value)
{
	*value = 0;
	for (unsigned i = 0; i < n; i++, (*p)++) {
		if (**p < '0' || **p > '9')
			return false;
		*value = *value * 10 + (unsigned)(**p - '0');
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

int smfdump_subtypes(const char *text, unsigned *subtypes, struct cs_err *err)
{
	const char *p = text;
	unsigned chosen = 0;

	do {
		unsigned first, last;
		bool good = digits(&p, 2, &first);

		last = first;
		if (good && skip(&p, '-'))
			good = digits(&p, 2, &last);
		if (!good || first > last || !smf_layout_of(first) || !smf_layout_of(last))
			return cs_fail(err, CS_EINVAL, "%s: subtypes are %d to %d, as 73,75-78",
				       text, SMF_SUBTYPE_FIRST, SMF_SUBTYPE_LAST);
		for (; first <= last; first++)
			chosen |= 1u << (first - SMF_SUBTYPE_FIRST);
	} while (skip(&p, ','));
	if (*p)
		return cs_fail(err, CS_EINVAL, "%s: subtypes are %d to %d, as 73,75-78", text,
			       SMF_SUBTYPE_FIRST, SMF_SUBTYPE_LAST);
	*subtypes = chosen;
	return 0;
}

/* "90m" and the like, before now. */
static bool before_now(const char *p, int64_t now, int64_t *us)
{
	static const struct {
		char letter;
		int64_t us;
	} units[] = {{'s', 1000000}, {'m', 60000000}, {'h', 3600000000}, {'d', SMF_DAY_US}};
	char *end;
	unsigned long n = strtoul(p, &end, 10);

	if (*p < '0' || *p > '9' || n > 1000000 || !end[0] || end[1])
		return false;
	for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (units[i].letter == end[0]) {
			*us = now - (int64_t)n * units[i].us;
			return true;
		}
	return false;
}

static bool time_of_day(const char **p, int64_t *us)
{
	unsigned hour, minute, second = 0, digit;
	int64_t unit = 100000;

	if (!digits(p, 2, &hour) || !skip(p, ':') || !digits(p, 2, &minute))
		return false;
	if (skip(p, ':') && !digits(p, 2, &second))
		return false;
	if (hour > 23 || minute > 59 || second > 59)
		return false;
	*us = ((int64_t)hour * 3600 + minute * 60 + second) * 1000000;
	if (skip(p, '.'))
		for (; **p >= '0' && **p <= '9'; unit /= 10)
			if (digits(p, 1, &digit))
				*us += digit * unit;
	skip(p, 'Z');
	return true;
}

static bool moment(const char *p, int64_t *us)
{
	unsigned year, month, day, m, d;
	int64_t of_day = 0, days, y;

	if (!digits(&p, 4, &year) || !skip(&p, '-') || !digits(&p, 2, &month) || !skip(&p, '-') ||
	    !digits(&p, 2, &day) || month < 1 || month > 12 || day < 1)
		return false;
	days = smf_days_of(year, month, day);
	smf_date_of(days, &y, &m, &d); /* another month: there is no such day */
	if (m != month || ((skip(&p, 'T') || skip(&p, ' ')) && !time_of_day(&p, &of_day)))
		return false;
	*us = days * SMF_DAY_US + of_day;
	return *p == '\0';
}

int smfdump_moment(const char *text, int64_t now, int64_t *us, struct cs_err *err)
{
	if (text[0] == '-' ? before_now(text + 1, now, us) : moment(text, us))
		return 0;
	return cs_fail(err, CS_EINVAL,
		       "%s: a time is 2026-01-15, 2026-01-15T10:20:30 (UTC), or -90m, -2h, -7d",
		       text);
}

int smfdump_offset(const char *text, int64_t *us, struct cs_err *err)
{
	const char *p = text;
	unsigned hours, minutes;
	int64_t sign = *p == '-' ? -1 : 1;

	if ((!skip(&p, '+') && !skip(&p, '-')) || !digits(&p, 2, &hours) || !skip(&p, ':') ||
	    !digits(&p, 2, &minutes) || *p || hours > 14 || minutes > 59)
		return cs_fail(err, CS_EINVAL, "%s: an offset is +02:00 or -05:00", text);
	*us = sign * ((int64_t)hours * 60 + minutes) * 60000000;
	return 0;
}

int smfdump_tunnel(const char *text, struct smfdump_filter *f, struct cs_err *err)
{
	bool lossy = false;
	size_t len;

	memset(f->tunnel, SMF_BLANK, sizeof(f->tunnel));
	if (!text[0] || !smf_from_utf8(text, f->tunnel, sizeof(f->tunnel), &len, &lossy) || lossy)
		return cs_fail(err, CS_EINVAL, "%s: a tunnel id is K1, Y2 or M3", text);
	f->has_tunnel = true;
	return 0;
}

static bool is_tunnel(const struct smfdump_filter *f, const struct smf_record *r,
		      enum smf_field field)
{
	struct cs_bytes value;

	return smf_get_bytes(r, field, &value) && value.len == sizeof(f->tunnel) &&
	       memcmp(value.p, f->tunnel, sizeof(f->tunnel)) == 0;
}

static bool is_peer(const struct smfdump_filter *f, const struct smf_record *r,
		    enum smf_field field)
{
	struct cs_addr addr;

	return smf_get_addr(r, field, &addr) && !cs_addr_is_any(&addr) &&
	       cs_range_has(&f->peer, &addr);
}

bool smfdump_wants(const struct smfdump *d, const struct smf_record *r)
{
	const struct smfdump_filter *f = &d->filter;
	int64_t us;

	if (!(f->subtypes >> (r->layout->subtype - SMF_SUBTYPE_FIRST) & 1))
		return false;
	if (f->has_from || f->has_to) {
		if (!smf_get_time(r, &us))
			return false;
		us -= d->form.ahead_us;
		if ((f->has_from && us < f->from_us) || (f->has_to && us >= f->to_us))
			return false;
	}
	if (f->has_tunnel && !is_tunnel(f, r, SMF_IKE_TUN_ID) && !is_tunnel(f, r, SMF_IP_TUN_ID) &&
	    !is_tunnel(f, r, SMF_IP_DYN_IKE_TUN_ID))
		return false;
	return !f->has_peer || is_peer(f, r, SMF_IKE_TUN_RMT_ENDPT) ||
	       is_peer(f, r, SMF_IP_TUN_RMT_ENDPT);
}
