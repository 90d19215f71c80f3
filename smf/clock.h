/* The forms of time in records. Private to smf/. */
#ifndef SMF_CLOCK_H
#define SMF_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct smf_day {
	int32_t year; /* 1900 to 2899: packed decimal counts centuries from 1900 */
	uint16_t day; /* of the year, from 1 */
};

/* Days since 1970-01-01 and back, in the Gregorian calendar. */
int64_t smf_days_of(int64_t year, unsigned month, unsigned day);
void smf_date_of(int64_t days, int64_t *year, unsigned *month, unsigned *day);

/* 0cyydddF. False: digits that are none, or a day that the year does not have. */
bool smf_unpack_date(uint32_t packed, int64_t *days);
/* Days must be of the years 1900 to 2899. */
uint32_t smf_pack_date(int64_t days);

#define SMF_DAY_US        86400000000
#define SMF_CLOCK_PER_DAY 8640000
#define SMF_DAYS_MIN      (-25567) /* 1900-01-01 */
#define SMF_DAYS_MAX      339675   /* 2899-12-31 */

#endif
