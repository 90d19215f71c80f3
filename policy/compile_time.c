/* IpTimeCondition. */
#include <string.h>
#include <time.h>

#include "policy/compile.h"

#define DAY 1440u

/* Bits of a mask, the first one lowest; *count: how many there are. False: another character. */
static bool parse_mask(const char *text, uint64_t *bits, unsigned *count)
{
	struct pol_word word = pol_word_next(&text);

	*bits = 0;
	*count = (unsigned)word.len;
	for (size_t i = 0; i < word.len; i++) {
		if (word.p[i] != '0' && word.p[i] != '1')
			return false;
		if (i < 64 && word.p[i] == '1')
			*bits |= (uint64_t)1 << i;
	}
	return true;
}

/* A mask of n digits, or of twice as many where `twice` says so; all ones when not coded. */
static uint64_t mask_of(struct pol_build *b, struct pol_node *node, const char *keyword, unsigned n,
			bool twice)
{
	const struct pol_item *item = pol_item_of(node, keyword);
	uint64_t bits, all = ((uint64_t)1 << n) - 1;
	unsigned count;

	if (!item)
		return all;
	if (!parse_mask(item->value, &bits, &count))
		pol_misvalue(b, node, item, POL_ALL_OF_IT,
			     "the mask has other digits than 0 and 1");
	else if (count != n && !(twice && count == 2 * n))
		pol_misvalue(b, node, item, POL_ALL_OF_IT,
			     twice ? "the mask has %u digits, not %u or %u"
				   : "the mask has %u digits, not %u",
			     count, n, 2 * n);
	else
		return bits;
	return all;
}

static bool parse_zone(struct pol_word word, int *zone)
{
	unsigned long n;
	int minutes;

	if (pol_word_is(word, "Local")) {
		*zone = POL_ZONE_LOCAL;
		return true;
	}
	if (pol_word_is(word, "UTC") || pol_word_is(word, "GMT")) {
		*zone = 0;
		return true;
	}
	if (word.len != 5 || (word.p[0] != '+' && word.p[0] != '-') ||
	    pol_number((struct pol_word){word.p + 1, 4}, &n) || n > 1459 || n % 100 > 59)
		return false;
	minutes = (int)(n / 100 * 60 + n % 100);
	*zone = word.p[0] == '-' ? -minutes : minutes;
	return true;
}

/* n digits at text as a number; the caller knows that they are digits. */
static int digits(const char *text, int n)
{
	int value = 0;

	while (n-- > 0)
		value = value * 10 + (*text++ - '0');
	return value;
}

/* "yyyymmddhhmmss" in zone to UTC seconds. */
static bool parse_date(const char *text, int zone, int64_t *when)
{
	struct tm tm = {.tm_year = digits(text, 4) - 1900,
			.tm_mon = digits(text + 4, 2) - 1,
			.tm_mday = digits(text + 6, 2),
			.tm_hour = digits(text + 8, 2),
			.tm_min = digits(text + 10, 2),
			.tm_sec = digits(text + 12, 2),
			.tm_isdst = -1};
	struct tm check = tm;

	if (tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 59 || tm.tm_year < 70)
		return false;
	check.tm_isdst = 0;
	timegm(&check); /* a day that the month does not have becomes another */
	if (check.tm_mon != tm.tm_mon || check.tm_mday != tm.tm_mday)
		return false;
	if (zone == POL_ZONE_LOCAL)
		*when = mktime(&tm);
	else
		*when = (int64_t)timegm(&tm) - (int64_t)zone * 60;
	return true;
}

static void make_range(struct pol_build *b, struct pol_node *node, struct pol_time *t)
{
	const struct pol_item *item = pol_item_of(node, "ConditionTimeRange");
	const char *text;
	struct pol_word word;

	if (!item)
		return;
	text = item->value;
	word = pol_word_next(&text);
	if (word.len != 29 || word.p[14] != ':' || strspn(word.p, "0123456789") != 14 ||
	    strspn(word.p + 15, "0123456789") != 14) {
		pol_misvalue(b, node, item, POL_ALL_OF_IT,
			     "the value is not yyyymmddhhmmss:yyyymmddhhmmss");
		return;
	}
	if (!parse_date(word.p, t->zone, &t->from) || !parse_date(word.p + 15, t->zone, &t->to))
		pol_misvalue(b, node, item, POL_ALL_OF_IT, "there is no such date or time");
	else if (t->to <= t->from)
		pol_misvalue(b, node, item, POL_ALL_OF_IT, "the range ends before it starts");
}

/* One or two digits at *text, which moves behind them. */
static bool parse_field(const char **text, const char *end, unsigned *value)
{
	const char *begin = *text;

	*value = 0;
	while (*text < end && **text >= '0' && **text <= '9' && *text - begin < 3)
		*value = *value * 10 + (unsigned)(*(*text)++ - '0');
	return *text > begin && *text - begin <= 2;
}

#define FORM    "is not hh:mm-hh:mm up to 24:00"
#define SECONDS "has seconds other than 00, and a condition begins and ends at the minute"

/*
 * "hh[:mm[:00]]-hh[:mm[:00]]"; without '-', "hh:hh" and "hh:mm:hh:mm". NULL, or what is wrong with
 * it.
 */
static const char *parse_span(const char *text, const char *end, uint16_t span[2])
{
	unsigned fields[6], n = 0, dash = 0, from[3] = {0, 0, 0}, to[3] = {0, 0, 0};

	for (;;) {
		if (n == 6 || !parse_field(&text, end, &fields[n++]))
			return FORM;
		if (text == end)
			break;
		if (*text == '-' && !dash)
			dash = n;
		else if (*text != ':')
			return FORM;
		text++;
	}
	if (!dash && (n == 2 || n == 4))
		dash = n / 2;
	if (dash == 0 || dash > 3 || n - dash == 0 || n - dash > 3)
		return FORM;
	for (unsigned i = 0; i < n; i++)
		*(i < dash ? &from[i] : &to[i - dash]) = fields[i];
	if (from[0] > 24 || to[0] > 24 || from[1] > 59 || to[1] > 59 || from[2] > 59 || to[2] > 59)
		return FORM;
	if (from[2] || to[2])
		return SECONDS;
	span[0] = (uint16_t)(from[0] * 60 + from[1]);
	span[1] = (uint16_t)(to[0] * 60 + to[1]);
	return span[0] <= DAY && span[1] <= DAY && span[0] != span[1] ? NULL : FORM;
}

static void add_span(struct pol_build *b, struct pol_time *t, const uint16_t span[2])
{
	t->spans = pol_append(b, t->spans, &t->n_spans, span, sizeof(t->spans[0]));
}

static void make_spans(struct pol_build *b, struct pol_node *node, struct pol_time *t)
{
	static const uint16_t whole_day[2] = {0, DAY};
	const struct pol_item *item = pol_item_of(node, "TimeOfDayRange");
	const char *text = item ? item->value : "";
	uint16_t span[2];

	if (!item) {
		add_span(b, t, whole_day);
		return;
	}
	for (;;) {
		size_t len = strcspn(text, ", \t");
		const char *wrong = parse_span(text, text + len, span);

		if (wrong) {
			pol_misvalue(b, node, item, (struct pol_word){text, len}, "'%.*s' %s",
				     (int)(len > 40 ? 40 : len), text, wrong);
			return;
		}
		add_span(b, t, span);
		text += len;
		text += strspn(text, " \t");
		if (*text != ',')
			return;
		text++;
		text += strspn(text, " \t");
	}
}

const void *pol_make_time(struct pol_build *b, struct pol_node *node)
{
	const char *text = pol_text_of(node, "TimeZone");
	struct pol_time *t;
	uint64_t days;

	if (node->tried)
		return node->made;
	node->tried = true;
	t = pol_get(b, 1, sizeof(*t));
	if (!t)
		return NULL;
	if (!text || !parse_zone(pol_word_next(&text), &t->zone))
		pol_misvalue(b, node, pol_item_of(node, "TimeZone"), POL_ALL_OF_IT,
			     "the value is not Local, UTC, GMT, +hhmm or -hhmm");
	t->months = (uint16_t)mask_of(b, node, "MonthOfYearMask", 12, false);
	t->weekdays = (uint8_t)mask_of(b, node, "DayOfWeekMask", 7, false);
	days = mask_of(b, node, "DayOfMonthMask", 31, true);
	t->days = (uint32_t)(days & 0x7fffffff);
	t->days_from_end = (uint32_t)(days >> 31);
	make_range(b, node, t);
	make_spans(b, node, t);
	return pol_done(b, node, t);
}
