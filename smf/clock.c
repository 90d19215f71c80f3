/*
 * The forms of time in records.  The calendar is counted in years that begin with March, so that
 * the day that is there in leap years alone is the last one.
 */
#include "smf/clock.h"

#include "smf/smf.h"

#define TOD_EPOCH_US 2208988800000000 /* from 1900-01-01 to 1970-01-01 */

int64_t smf_days_of(int64_t year, unsigned month, unsigned day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

void smf_date_of(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t of_era = z - era * 146097;
	int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * y + y / 4 - y / 100);
	int64_t m = (5 * of_year + 2) / 153;

	*day = (unsigned)(of_year - (153 * m + 2) / 5 + 1);
	*month = (unsigned)(m < 10 ? m + 3 : m - 9);
	*year = y + era * 400 + (*month <= 2);
}

static bool is_leap(int64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

bool smf_unpack_date(uint32_t packed, int64_t *days)
{
	uint32_t digit[8], day;
	int64_t year;

	for (unsigned i = 0; i < 8; i++)
		digit[i] = packed >> (28 - 4 * i) & 15;
	for (unsigned i = 0; i < 7; i++)
		if (digit[i] > 9)
			return false;
	if (digit[0] != 0 || digit[7] < 10) /* the last one is the sign */
		return false;
	year = 1900 + 100 * digit[1] + 10 * digit[2] + digit[3];
	day = 100 * digit[4] + 10 * digit[5] + digit[6];
	if (day < 1 || day > 365u + is_leap(year))
		return false;
	*days = smf_days_of(year, 1, 1) + day - 1;
	return true;
}

uint32_t smf_pack_date(int64_t days)
{
	unsigned month, of_month;
	int64_t year, y;
	uint32_t day;

	smf_date_of(days, &year, &month, &of_month);
	day = (uint32_t)(days - smf_days_of(year, 1, 1) + 1);
	y = year - 1900;
	return (uint32_t)(y / 100) << 24 | (uint32_t)(y / 10 % 10) << 20 |
	       (uint32_t)(y % 10) << 16 | day / 100 << 12 | day / 10 % 10 << 8 | day % 10 << 4 |
	       0xf;
}

uint64_t smf_tod_of(int64_t us)
{
	return us < -TOD_EPOCH_US ? 0 : ((uint64_t)us + TOD_EPOCH_US) << 12;
}

int64_t smf_tod_us(uint64_t tod)
{
	return (int64_t)(tod >> 12) - TOD_EPOCH_US;
}
