/*
 * trmdstat: times, lines whole, cut and mangled, its tables, and the program as users run it, on a
 * log and on SMF files, against golden files (tests/data/trmd; with CSIPSEC_WRITE_GOLDEN set they
 * are written instead, to be read before they are committed).
 */
#include <check.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "tests/unit/run_program.h"
#include "tests/unit/run_suite.h"
#include "trmd/trmdstat.h"

#define DATA   TESTDATA "/data/trmd/"
#define SECOND INT64_C(1000000)
#define NOW    (1768472430 * SECOND) /* 2026-01-15T10:20:30Z */

/* ---- times ---- */

static int64_t moment(const char *text)
{
	bool yearless;
	int64_t us;
	struct cs_err err;

	ck_assert_msg(stat_moment(text, NOW, &us, &yearless, &err) == 0, "%s", err.text);
	return yearless ? stat_with_year(us, NOW) : us;
}

START_TEST(test_moments)
{
	static const char *const wrong[] = {
		"",
		"0115",
		"01151020301",
		"1315102030",
		"0230102030",
		"0115242030",
		"0115106030",
		"2026-13-01",
		"2026-02-29",
		"2026-01-15T",
		"2026-01-15T10",
		"2026-01-15T10:20:30x",
		"-1",
		"-1w",
		"-m",
		"--1m",
		"-1000001m",
		"2026-1-15",
		"now",
		"2026-01-15T10:20+1",
	};
	bool yearless;
	int64_t us;
	struct cs_err err;

	ck_assert_int_eq(moment("2026-01-15"), NOW - (10 * 3600 + 20 * 60 + 30) * SECOND);
	ck_assert_int_eq(moment("2026-01-15T10:20"), NOW - 30 * SECOND);
	ck_assert_int_eq(moment("2026-01-15T10:20:30.25"), NOW + 250000);
	ck_assert_int_eq(moment("2026-01-15T12:20:30+02:00"), NOW);
	ck_assert_int_eq(moment("-90m"), NOW - 5400 * SECOND);
	ck_assert_int_eq(moment("-2d"), NOW - 2 * 86400 * SECOND);
	/* Without a year: this one, or the last one where it would be to come. */
	ck_assert_int_eq(moment("0115102030"), NOW);
	ck_assert_int_eq(moment("0116102029"), NOW + (86400 - 1) * SECOND);
	ck_assert_int_eq(moment("0117000000"), 1768608000 * SECOND - 365 * 86400 * SECOND);
	ck_assert_int_eq(moment("1231235959"), 1767225599 * SECOND);
	ck_assert_int_eq(stat_next_year(moment("1231235959")), 1798761599 * SECOND);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(stat_moment(wrong[i], NOW, &us, &yearless, &err) == CS_EINVAL, "%s",
			      wrong[i]);
}
END_TEST

START_TEST(test_syslog_times)
{
	static const char *const wrong[] = {"Jam 15 10:20:30", "Jan 32 10:20:30", "Jan 15 24:20:30",
					    "Jan 15 10:60:30", "Jan 00 10:20:30", "Jan  0 10:20:30",
					    "Jan 15 10:2",     "Feb 30 10:20:30", ""};
	const char *p = "Jan  5 10:20:30 host";
	int64_t us;

	setenv("TZ", "UTC", 1);
	tzset();
	ck_assert(stat_bsd(&p, NOW, &us));
	ck_assert_str_eq(p, " host");
	ck_assert_int_eq(us, NOW - 10 * 86400 * SECOND);
	p = "Jan 17 10:20:30"; /* to come: last year's */
	ck_assert(stat_bsd(&p, NOW, &us));
	ck_assert_int_eq(us, NOW + 2 * 86400 * SECOND - 365 * 86400 * SECOND);
	p = "Feb 29 00:00:00";
	ck_assert(stat_bsd(&p, NOW, &us));
	ck_assert_int_eq(us, 1709164800 * SECOND); /* 2024 */
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		p = wrong[i];
		ck_assert_msg(!stat_bsd(&p, NOW, &us), "%s", wrong[i]);
		ck_assert_ptr_eq(p, wrong[i]);
	}
	p = "01/15/2026 10:20:30.46 x";
	ck_assert(stat_american(&p, &us));
	ck_assert_int_eq(us, NOW + 460000);
	ck_assert_str_eq(p, " x");
	p = "2026-01-15T10:20:30,123456789Z";
	ck_assert(stat_iso(&p, &us) && !*p);
	ck_assert_int_eq(us, NOW + 123456);
}
END_TEST

/* ---- tables ---- */

START_TEST(test_table)
{
	struct stat_table t = {0};
	char key[300];

	for (unsigned i = 0; i < 3 * STAT_ROWS; i++) {
		snprintf(key, sizeof(key), "R%u", i % (STAT_ROWS + 100));
		stat_row_of(&t, key, i % 2 ? "I" : "O")->n[0]++;
	}
	ck_assert_uint_eq(t.n, STAT_ROWS);
	ck_assert(t.has_others);
	ck_assert_uint_eq(t.rows[5].n[0], 3);
	/* R10000 to R10099 in each round, of whose two whole ones and 9800 more 100 each. */
	ck_assert_uint_eq(t.others.n[0], 200);
	stat_table_free(&t);
	/* Keys are cut, and "AB","C" is not "A","BC". */
	memset(key, 'x', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	stat_row_of(&t, key, key)->n[0]++;
	key[STAT_KEY] = '\0';
	stat_row_of(&t, key, key)->n[0]++;
	stat_row_of(&t, "AB", "C")->n[0]++;
	stat_row_of(&t, "A", "BC")->n[0]++;
	ck_assert_uint_eq(t.n, 3);
	ck_assert_uint_eq(t.rows[0].n[0], 2);
	stat_table_free(&t);
	/* Addresses by their value. */
	stat_row_of(&t, "192.0.2.10", "");
	stat_row_of(&t, "192.0.2.9", "");
	stat_row_of(&t, "2001:db8::1", "");
	stat_table_sort(&t);
	ck_assert_str_eq(t.rows[0].a, "192.0.2.9");
	ck_assert_str_eq(t.rows[1].a, "192.0.2.10");
	stat_table_free(&t);
}
END_TEST

/* ---- lines ---- */

static struct trmdstat s;

static void begin(void)
{
	s = (struct trmdstat){
		.now_us = NOW,
		.select = {.from_us = STAT_NEVER, .to_us = STAT_NEVER},
		.log_us = {STAT_NEVER, STAT_NEVER},
		.stack_us = {STAT_NEVER, STAT_NEVER},
	};
}

static void end(void)
{
	stat_table_free(&s.filters);
	stat_table_free(&s.tunnels);
	stat_table_free(&s.failures);
}

/* In memory of that length, with room for a NUL. */
static void feed(const char *line, size_t len)
{
	char *copy = malloc(len + 1);

	memcpy(copy, line, len);
	ck_assert_int_eq(stat_line(&s, copy, len, NULL), 0);
	free(copy);
}

static void take(const char *line)
{
	feed(line, strlen(line));
}

#define PACKET                                                                                     \
	"EZD0814I Packet permitted: 2026-01-15T10:20:31.000001Z filter rule= Web~1 ext= 1 "        \
	"sipaddr= "                                                                                \
	"198.51.100.7 dipaddr= 192.0.2.1 proto= TCP(6) sport= 49152 dport= 443 -= Interface= "     \
	"192.0.2.1 (I) secclass= 255 dest= local len= 60 vpnaction= N/A tunnelID= 0x00 ifcname= "  \
	"eth0 "                                                                                    \
	"fragment= N"
#define HEAD "Jan 15 10:20:31 gw1 "

START_TEST(test_tags)
{
	static const char *const ours[] = {
		PACKET,
		HEAD "trmd[812]: " PACKET,
		HEAD "trmd: " PACKET,
		HEAD "TRMD.TCPIP2[1]: " PACKET,
		HEAD "USER1 TRMD1 trmd[812]: " PACKET,
		"<30>" HEAD "trmd[812]: " PACKET,
		"2026-01-15T10:20:31Z gw1 trmd[812]: " PACKET,
	};
	static const char *const theirs[] = {
		HEAD "iked[812]: " PACKET,
		HEAD "trmdx[812]: " PACKET,
		HEAD "trmd]: " PACKET,
		HEAD "trmd.[812]: " PACKET,
		HEAD "trmd.a/b[812]: " PACKET,
		HEAD "sh: trmd[812]: " PACKET,
		HEAD "sshd[1]: user trmd[812]: " PACKET,
		HEAD PACKET,
		"x" PACKET,
		HEAD "trmd[812]: x" PACKET,
		HEAD "trmd[812]:" PACKET,
		HEAD "trmd[812]: EZD0814I Tunnel added: 2026-01-15T10:20:31Z vpnaction= A",
		"trmd[812]: " PACKET,
		"",
	};

	begin();
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		take(ours[i]);
		ck_assert_msg(s.selected == i + 1, "%s", ours[i]);
	}
	ck_assert_uint_eq(s.filters.n, 1);
	ck_assert_uint_eq(s.filters.rows[0].n[STAT_PERMITTED], sizeof(ours) / sizeof(ours[0]));
	ck_assert_uint_eq(s.skipped, 0);
	for (size_t i = 0; i < sizeof(theirs) / sizeof(theirs[0]); i++) {
		take(theirs[i]);
		ck_assert_msg(s.skipped == i + 1, "%s", theirs[i]);
	}
	ck_assert_uint_eq(s.scanned, sizeof(ours) / sizeof(ours[0]));
	end();
}
END_TEST

/* What is asked for, and whether the packet above is of it. */
START_TEST(test_selection)
{
	static const struct {
		const char *host, *source, *destination, *interface, *stack;
		unsigned low, high;
		int64_t from, to;
		bool wanted;
	} rows[] = {
		{.host = "198.51.100.7", .wanted = true},
		{.host = "192.0.2.0/24", .wanted = true},
		{.host = "192.0.3.0/24"},
		{.source = "198.51.100.0-198.51.100.7", .wanted = true},
		{.source = "192.0.2.1"},
		{.destination = "192.0.2.1", .wanted = true},
		{.destination = "198.51.100.7"},
		{.destination = "2001:db8::/32"},
		{.interface = "eth0", .wanted = true},
		{.interface = "eth"},
		{.low = 443, .high = 443, .wanted = true},
		{.low = 1, .high = 442},
		{.low = 49152, .high = 49152},
		{.stack = "TCPIP2", .wanted = true},
		{.stack = "TCPIP"},
		{.from = NOW + 1000001, .wanted = true},
		{.from = NOW + 1000002},
		{.to = NOW + 1000001, .wanted = true},
		{.to = NOW + 1000000},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct stat_select *w = &s.select;

		begin();
		if (rows[i].host)
			w->has_host = cs_range_parse(rows[i].host, &w->host, NULL) == 0;
		if (rows[i].source)
			w->has_source = cs_range_parse(rows[i].source, &w->source, NULL) == 0;
		if (rows[i].destination)
			w->has_destination =
				cs_range_parse(rows[i].destination, &w->destination, NULL) == 0;
		if (rows[i].interface)
			strcpy(w->interface, rows[i].interface);
		if (rows[i].stack)
			strcpy(w->stack, rows[i].stack);
		w->has_ports = rows[i].low;
		w->ports[0] = (uint16_t)rows[i].low;
		w->ports[1] = (uint16_t)rows[i].high;
		if (rows[i].from)
			w->from_us = rows[i].from;
		if (rows[i].to)
			w->to_us = rows[i].to;
		take(HEAD "trmd.tcpip2[812]: " PACKET);
		ck_assert_uint_eq(s.scanned, 1);
		ck_assert_msg(s.selected == rows[i].wanted, "row %zu", i);
		end();
	}
}
END_TEST

/* Fields that are longer than any are none, and nothing is shown that a terminal would obey. */
START_TEST(test_hostile_lines)
{
	static const struct {
		const char *before, *behind;
	} lines[] = {
		{"EZD0814I Packet permitted: 2026-01-15T10:20:31Z filter rule= ",
		 " Interface= 1 (I)"},
		{"CSI6101I Packet messages suppressed: 2026-01-15T10:20:31Z filter rule= R dir= ",
		 " count= 1"},
		{"CSI6101I Packet messages suppressed: 2026-01-15T10:20:31Z filter rule= R dir= I "
		 "count= ",
		 ""},
		{"EZD0818I Tunnel added: 2026-01-15T10:20:31Z vpnaction= ", ""},
	};
	char longest[1001], line[4400];

	memset(longest, '1', 1000);
	longest[1000] = '\0';
	begin();
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(line, sizeof(line), "%s%s%s", lines[i].before, longest, lines[i].behind);
		take(line);
		ck_assert_msg(s.skipped == i + 1, "%s", lines[i].before);
	}
	ck_assert_uint_eq(s.scanned, 0);
	s.select.has_host = s.select.has_ports = true;
	s.select.host = cs_range_all(AF_INET);
	snprintf(line, sizeof(line),
		 "EZD0814I Packet permitted: 2026-01-15T10:20:31Z filter rule= R sipaddr= %s "
		 "dipaddr= %s "
		 "dport= %s Interface= 1 (I) ifcname= %s",
		 longest, longest, longest, longest);
	ck_assert_uint_lt(strlen(line), sizeof(line));
	take(line);
	ck_assert_uint_eq(s.selected, 0);
	end();
	begin();
	/* A cause has any length. */
	snprintf(line, sizeof(line),
		 HEAD "iked[7]: CSI1003E IKE version 1.0 phase 1 negotiation for tunnel K4 with "
		      "2001:db8::9 failed (rule V6): \x1b[2J\xc2\x9b\r%s",
		 longest);
	take(line);
	ck_assert_uint_eq(s.failures.n, 1);
	ck_assert_int_eq(strncmp(s.failures.rows[0].a, "?[2J???111", 10), 0);
	ck_assert_uint_eq(strlen(s.failures.rows[0].a), STAT_KEY - 1);
	ck_assert_uint_eq(s.failures.rows[0].n[0], 1);
	/* A peer that is longer than an address is cut. */
	snprintf(line, sizeof(line),
		 HEAD "iked[7]: CSI1013E IKE version 1.0 phase 2 negotiation for tunnel Y4 with %s "
		      "failed (rule V6): x",
		 longest);
	take(line);
	ck_assert_uint_eq(s.failures.n, 2);
	ck_assert_uint_eq(s.failures.rows[1].n[1], 1);
	end();
}
END_TEST

static char sample[20000];

static size_t read_sample(void)
{
	FILE *f = fopen(DATA "sample.txt", "r");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(sample, 1, sizeof(sample), f);
	fclose(f);
	return n;
}

/* Each length of each line, and then whatever. */
START_TEST(test_cut_lines)
{
	size_t len = read_sample();
	const char *line = sample, *next;

	begin();
	for (; (next = memchr(line, '\n', len - (size_t)(line - sample))); line = next + 1)
		for (size_t n = 0; n <= (size_t)(next - line); n++)
			feed(line, n);
	ck_assert_uint_gt(s.selected, 100);
	ck_assert_uint_gt(s.skipped, 1000);
	end();
}
END_TEST

/* Without its end. */
static void put_over(char *to, const char *word)
{
	while (*word)
		*to++ = *word++;
}

START_TEST(test_mangled_lines)
{
	static const char *const words[] = {" ",     "= ",    ": ",
					    "(",     ")",     "99999999999999999999",
					    "2026-", "with ", " failed (rule ",
					    "): ",   "I",     "\n",
					    "\x1b"};
	size_t len = read_sample();
	unsigned seed;

	ck_assert_int_eq(getrandom(&seed, sizeof(seed), 0), sizeof(seed));
	printf("test_trmdstat: seed %u\n", seed);
	srand(seed);
	begin();
	for (unsigned i = 0; i < 20000; i++) {
		char copy[1024];
		size_t at = (size_t)rand() % len, n;

		while (at && sample[at - 1] != '\n')
			at--;
		n = (size_t)((char *)memchr(sample + at, '\n', len - at) - (sample + at));
		memcpy(copy, sample + at, n);
		for (int k = rand() % 5; k >= 0; k--) {
			const char *w = words[(size_t)rand() % (sizeof(words) / sizeof(words[0]))];
			size_t to = (size_t)rand() % n;

			if (rand() % 2)
				copy[to] = (char)rand();
			else if (to + strlen(w) <= n)
				put_over(copy + to, w);
		}
		feed(copy, n);
	}
	ck_assert_uint_gt(s.selected, 1000);
	for (unsigned i = 0; i < s.failures.n; i++)
		for (const char *p = s.failures.rows[i].a; *p; p++)
			ck_assert((unsigned char)*p >= ' ' && (unsigned char)*p < 0x7f);
	end();
}
END_TEST

/* ---- the program ---- */

/* In the directory with the files, input from there. */
static void run(const char *line, const char *input)
{
	setenv("TZ", "UTC", 1);
	end_program(start_program("trmd/trmdstat", line, input, true));
}

/* Goldens live longer than a version and a day. */
static void hide(char *text, const char *before, const char *behind)
{
	char *from = strstr(text, before), *to;

	from = from ? from + strlen(before) : NULL;
	to = from ? strstr(from, behind) : NULL;
	if (!to)
		return;
	*from++ = 'V';
	memmove(from, to, strlen(to) + 1);
}

static void compare_golden(const char *leaf)
{
	static char golden[1u << 16];
	char path[256];
	FILE *f;

	hide(ran.out, "trmdstat for csipsec ", "\n");
	hide(ran.out, "\"program\": \"trmdstat (csipsec) ", "\"");
	hide(ran.out, "\"time\": \"", "\"");
	snprintf(path, sizeof(path), DATA "%s", leaf);
	if (getenv("CSIPSEC_WRITE_GOLDEN")) {
		f = fopen(path, "w");
		ck_assert_msg(f && fputs(ran.out, f) >= 0 && fclose(f) == 0, "%s", path);
	}
	f = fopen(path, "r");
	ck_assert_msg(f != NULL, "%s", path);
	golden[fread(golden, 1, sizeof(golden) - 1, f)] = '\0';
	fclose(f);
	ck_assert_str_eq(ran.out, golden);
}

START_TEST(test_log)
{
	put_file("sample.log", sample, read_sample());
	run("sample.log", NULL);
	ck_assert_str_eq(ran.err, "");
	ck_assert_int_eq(ran.exit, 0);
	compare_golden("log.txt");
	run("--json sample.log", NULL);
	ck_assert_int_eq(ran.exit, 0);
	compare_golden("log.json");
	run("--filters -h 198.51.100.7 -p 443 sample.log", NULL);
	ck_assert_int_eq(ran.exit, 0);
	compare_golden("log-port.txt");
	/* The same twice, from the standard input, and from a packed file that ends without a
	 * line's end. */
	run("--json - sample.log", in_dir("sample.log"));
	ck_assert_ptr_nonnull(strstr(ran.out, "\"records_scanned\": 36,"));
	ck_assert_ptr_nonnull(strstr(ran.out, "\"lines_skipped\": 10,"));
}
END_TEST

START_TEST(test_packed)
{
	size_t len = read_sample();
	gzFile gz = gzopen(in_dir("sample.log.gz"), "wb");
	char first[sizeof(ran.out)];
	struct stat st;

	ck_assert_int_eq(gzwrite(gz, sample, (unsigned)len - 1), (int)len - 1);
	gzclose(gz);
	put_file("sample.log", sample, len);
	run("sample.log", NULL);
	strcpy(first, strstr(ran.out, "Log Time"));
	run("sample.log.gz", NULL);
	ck_assert_int_eq(ran.exit, 0);
	ck_assert_str_eq(strstr(ran.out, "Log Time"), first);
	/* Cut off: what is there is counted, and it is told. */
	ck_assert_int_eq(stat(in_dir("sample.log.gz"), &st), 0);
	ck_assert_int_eq(truncate(in_dir("sample.log.gz"), st.st_size / 2), 0);
	run("sample.log.gz", NULL);
	ck_assert_int_eq(ran.exit, 5);
	ck_assert_str_eq(ran.err, "trmdstat: sample.log.gz: unexpected end of file\n");
	run("--json sample.log.gz", NULL);
	ck_assert_ptr_nonnull(strstr(ran.out, "\"complete\": false"));
}
END_TEST

/* Two lines of which each has as many as there can be are not fewer than one. */
START_TEST(test_most)
{
	static const char lost[] =
		"2026-01-15T10:25:34+00:00 gw1 trmd.TCPIP[611]: CSI6102W Packet messages lost: "
		"2026-01-15T10:25:34.000000Z filter rule= R dir= I count= 18446744073709551615\n";
	char two[2 * sizeof(lost)];

	snprintf(two, sizeof(two), "%s%s", lost, lost);
	put_file("two.txt", two, strlen(two));
	run("--filters two.txt", NULL);
	ck_assert_int_eq(ran.exit, 0);
	ck_assert_ptr_nonnull(strstr(ran.out, "18446744073709551615"));
	ck_assert_ptr_null(strstr(ran.out, "18446744073709551614"));
}
END_TEST

/* Of what is longer than a line may be nothing is taken. */
START_TEST(test_long_lines)
{
	static char text[300000];
	size_t n = 0;

	memset(text, 'x', sizeof(text));
	put_over(text, PACKET); /* and on */
	n = 200000;
	text[n++] = '\n';
	n += (size_t)sprintf(text + n, "%s\n", HEAD "trmd[1]: " PACKET);
	memset(text + n, ' ', STAT_LINE_MAX); /* the longest that is taken */
	put_over(text + n, PACKET);
	n += STAT_LINE_MAX;
	text[n++] = '\n';
	memset(text + n, ' ', STAT_LINE_MAX + 1);
	put_over(text + n, PACKET);
	n += STAT_LINE_MAX + 1;
	put_file("long.log", text, n);
	run("-v --json long.log", NULL);
	ck_assert_int_eq(ran.exit, 0);
	ck_assert_ptr_nonnull(strstr(ran.out, "\"records_selected\": 2,"));
	ck_assert_ptr_nonnull(strstr(ran.out, "\"lines_too_long\": 2,"));
	ck_assert_str_eq(ran.err,
			 "trmdstat: 2 lines of 8193 bytes and more, 0 messages that no report "
			 "counts\n");
}
END_TEST

/* ---- SMF ---- */

struct tunnel {
	unsigned subtype;
	const char *peer;
	unsigned generation, reason;
	uint64_t in, out;
	int64_t us;
	const char *stack;
};

static void put_tunnel(struct cs_writer *w, const struct tunnel *t)
{
	bool ike = t->subtype <= 74;
	struct smf_builder b;
	struct cs_addr addr;
	struct cs_err err;

	smf_build(&b, t->subtype);
	smf_put_time(&b, t->us);
	smf_put_text(&b, SMF_TI_STACK, t->stack);
	ck_assert_int_eq(cs_addr_parse(t->peer, &addr, NULL), 0);
	smf_put_addr(&b, ike ? SMF_IKE_TUN_RMT_ENDPT : SMF_IP_TUN_RMT_ENDPT, &addr);
	if (ike)
		smf_put_u64(&b, SMF_IKE_TUN_GENERATION, t->generation);
	else if (t->subtype <= 78)
		smf_put_u64(&b, SMF_IP_DYN_GENERATION, t->generation);
	if (t->subtype == 74)
		smf_put_u64(&b, SMF_IKE_TUN_END_REASON, t->reason);
	if (t->subtype == 76)
		smf_put_u64(&b, SMF_IP_DYN_IKE_END_REASON, t->reason);
	if (t->subtype == 78) {
		smf_put_u64(&b, SMF_IP_DYN_STK_INB_BYTES, t->in);
		smf_put_u64(&b, SMF_IP_DYN_STK_OUTB_BYTES, t->out);
	}
	if (t->subtype == 80) {
		smf_put_u64(&b, SMF_IP_MAN_INB_BYTES, t->in);
		smf_put_u64(&b, SMF_IP_MAN_OUTB_BYTES, t->out);
	}
	ck_assert_msg(smf_finish(&b, w, &err) == 0, "%s", err.text);
}

static const struct tunnel first_tunnels[] = {
	{73, "198.51.100.7", 1, 0, 0, 0, NOW, "TCPIP"},
	{77, "198.51.100.7", 1, 0, 0, 0, NOW + SECOND, "TCPIP"},
	{75, "198.51.100.7", 1, 0, 0, 0, NOW + SECOND, "TCPIP"},
	{75, "198.51.100.7", 2, 0, 0, 0, NOW + 60 * SECOND, "TCPIP"},
	{76, "198.51.100.7", 1, 8, 0, 0, NOW + 61 * SECOND, "TCPIP"},
	{78, "198.51.100.7", 1, 0, 1000, 20000, NOW + 61 * SECOND, "TCPIP"},
	{79, "2001:db8::9", 0, 0, 0, 0, NOW + 62 * SECOND, "TCPIP2"},
	{80, "2001:db8::9", 0, 0, 7, 8, NOW + 63 * SECOND, "TCPIP2"},
};

static const struct tunnel second_tunnels[] = {
	{74, "198.51.100.7", 1, 5, 0, 0, NOW + 70 * SECOND, "TCPIP"},
	{76, "198.51.100.20", 0, 9, 0, 0, NOW + 71 * SECOND, "TCPIP"},
	{76, "198.51.100.20", 0, 9, 0, 0, NOW + 72 * SECOND, "TCPIP"},
	{76, "198.51.100.20", 1, 12, 0, 0, NOW + 73 * SECOND, "TCPIP"},
	{78, "198.51.100.9", 1, 0, 5, 6, NOW + 74 * SECOND, "TCPIP"},
};

static uint8_t records[1u << 16];

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static size_t make(const struct tunnel *list, size_t n)
{
	struct cs_writer w = cs_writer_of(records, sizeof(records));

	for (size_t i = 0; i < n; i++)
		put_tunnel(&w, &list[i]);
	return w.len;
}

static size_t make_first(void)
{
	return make(first_tunnels, COUNT(first_tunnels));
}

static size_t make_second(void)
{
	return make(second_tunnels, COUNT(second_tunnels));
}

START_TEST(test_smf)
{
	size_t len = make_first();
	char before[sizeof(ran.out)];

	put_file("a.smf", records, len);
	put_file("b.smf", records, make_second());
	run("a.smf b.smf", NULL);
	ck_assert_str_eq(ran.err, "");
	ck_assert_int_eq(ran.exit, 0);
	compare_golden("smf.txt");
	run("--json --tunnels --failures b.smf a.smf", NULL);
	ck_assert_int_eq(ran.exit, 0);
	compare_golden("smf.json");
	/* From a pipe, packed, and with the lines of a log beside it. */
	put_file("sample.log", sample, read_sample());
	run("a.smf sample.log b.smf", NULL);
	compare_golden("both.txt");
	strcpy(before, strstr(ran.out, "\n\n"));
	make_first();
	{
		gzFile gz = gzopen(in_dir("a.smf.gz"), "wb");

		ck_assert_int_eq(gzwrite(gz, records, (unsigned)len), (int)len);
		gzclose(gz);
	}
	run("a.smf.gz sample.log -", in_dir("b.smf"));
	ck_assert_str_eq(strstr(strstr(ran.out, "TRM Records"), "\n"),
			 strstr(strstr(before, "TRM Records"), "\n"));
	/* Some of them. */
	run("--json --tunnels -j TCPIP2 a.smf b.smf", NULL);
	ck_assert_ptr_nonnull(strstr(ran.out, "\"smf_records_selected\": 2,"));
	run("--json --tunnels -h 198.51.100.20 a.smf b.smf", NULL);
	ck_assert_ptr_nonnull(strstr(ran.out, "\"smf_records_selected\": 3,"));
	run("--json --tunnels -s 198.51.100.20 a.smf b.smf", NULL);
	ck_assert_ptr_nonnull(strstr(ran.out, "\"smf_records_selected\": 0,"));
	run("--json -i 2026-01-15T10:21:31 -f 2026-01-15T10:21:32 a.smf b.smf", NULL);
	ck_assert_ptr_nonnull(strstr(ran.out, "\"smf_records_selected\": 3,"));
	run("--fail-empty -i 2027-01-15 a.smf b.smf", NULL);
	ck_assert_int_eq(ran.exit, 1);
}
END_TEST

START_TEST(test_smf_damage)
{
	size_t len = make_first();

	/* Cut in the last record: told, and no failure. */
	put_file("a.smf", records, len - 10);
	run("--json a.smf", NULL);
	ck_assert_int_eq(ran.exit, 0);
	ck_assert_ptr_nonnull(
		strstr(ran.err, "trmdstat: a.smf: the last record is cut off: at offset"));
	ck_assert_ptr_nonnull(strstr(ran.out, "\"smf_records_scanned\": 7,"));
	/* A triplet beyond its record: that one alone. */
	records[28] = 0x7f;
	put_file("a.smf", records, len);
	run("--json a.smf", NULL);
	ck_assert_int_eq(ran.exit, 5);
	ck_assert_ptr_nonnull(strstr(ran.err, "trmdstat: a.smf: record 1 at offset 0: "));
	ck_assert_ptr_nonnull(strstr(ran.out, "\"smf_records_scanned\": 7,"));
	ck_assert_ptr_nonnull(strstr(ran.out, "\"smf_records_damaged\": 1,"));
	/* Another type is no damage. */
	make_first();
	records[5] = 30;
	put_file("a.smf", records, len);
	run("--json a.smf", NULL);
	ck_assert_int_eq(ran.exit, 0);
	ck_assert_ptr_nonnull(strstr(ran.out, "\"smf_records_skipped\": 1,"));
	/* A length that is none in the middle: what is before it, and more than a pipe holds
	 * behind. */
	{
		static uint8_t many[1u << 20];
		size_t one, n = 0;

		len = make_first();
		one = (size_t)records[0] << 8 | records[1];
		while (n + one < sizeof(many))
			memcpy(many + n, records, one), n += one;
		many[10 * one] = 0;
		many[10 * one + 1] = 1;
		put_file("a.smf", many, n);
		run("--json a.smf", NULL);
		ck_assert_int_eq(ran.exit, 5);
		ck_assert_ptr_nonnull(strstr(ran.out, "\"smf_records_scanned\": 10,"));
	}
}
END_TEST

/* What a directory's writer has acknowledged, and its packed files. */
START_TEST(test_directory)
{
	struct smf_checkpoint cp = {.file = "2026-01-16.smf", .last_id = 9};
	size_t len = make_first();
	struct cs_err err;
	gzFile gz;
	int fd;

	mkdir(in_dir("smf"), 0700);
	run("smf", NULL);
	ck_assert_int_eq(ran.exit, 4);
	put_file("smf/2026-01-14.smf", records, len);
	gz = gzopen(in_dir("smf/2026-01-13.smf.gz"), "wb");
	ck_assert_int_eq(gzwrite(gz, records, (unsigned)len), (int)len);
	gzclose(gz);
	/* One is being packed just now. */
	gz = gzopen(in_dir("smf/2026-01-14.smf.gz"), "wb");
	gzwrite(gz, records, (unsigned)len / 2);
	gzclose(gz);
	/* Of the newest only the first record is safe; one behind it is not begun. */
	put_file("smf/2026-01-16.smf", records, len);
	put_file("smf/2026-01-17.smf", records, len);
	put_file("smf/other", records, len);
	cp.length = (uint64_t)records[0] << 8 | records[1];
	fd = open(in_dir("smf"), O_RDONLY | O_DIRECTORY);
	ck_assert_msg(smf_checkpoint_write(fd, &cp, &err) == 0, "%s", err.text);
	close(fd);
	run("--json smf", NULL);
	ck_assert_str_eq(ran.err, "");
	ck_assert_int_eq(ran.exit, 0);
	ck_assert_ptr_nonnull(strstr(ran.out, "\"smf_records_scanned\": 17,"));
	/* A name that is in the list, and whose file is packed when its turn has come. */
	ck_assert_int_eq(symlink("nowhere", in_dir("smf/2026-01-13.smf")), 0);
	run("--json smf", NULL);
	ck_assert_str_eq(ran.err, "");
	ck_assert_ptr_nonnull(strstr(ran.out, "\"smf_records_scanned\": 17,"));
	/* Part of what is safe has gone, then all of it. */
	ck_assert_int_eq(truncate(in_dir("smf/2026-01-16.smf"), 5), 0);
	run("--json smf", NULL);
	ck_assert_int_eq(ran.exit, 5);
	ck_assert_ptr_nonnull(strstr(ran.err, "bytes are acknowledged, and it has 5"));
	ck_assert_int_eq(unlink(in_dir("smf/2026-01-16.smf")), 0);
	run("--json smf", NULL);
	ck_assert_int_eq(ran.exit, 4);
	ck_assert_ptr_nonnull(strstr(ran.err, "bytes are acknowledged, and it is not there"));
}
END_TEST

/* ---- options ---- */

START_TEST(test_ids)
{
	read_sample();
	put_file("empty.log", "", 0);
	run("-ACFGINQTU -D -k 10.0.0.1 -c 7 -d 0 empty.log", NULL);
	ck_assert_int_eq(ran.exit, 0);
	ck_assert_str_eq(ran.err,
			 "trmdstat: of intrusion detection, which csipsec does not have, and "
			 "not used: -D -k -c\n");
	compare_golden("ids.txt");
	run("--json -TE empty.log", NULL);
	compare_golden("ids.json");
	/* Also where nothing of it was asked for, and there is nothing. */
	run("empty.log", NULL);
	ck_assert_int_eq(ran.exit, 0);
	compare_golden("empty.txt");
	run("--fail-empty empty.log", NULL);
	ck_assert_int_eq(ran.exit, 1);
}
END_TEST

START_TEST(test_options)
{
	static const struct {
		const char *line;
		int exit;
		const char *err;
	} rows[] = {
		{"-X a", 2, "trmdstat: unknown option: -X\nTry 'trmdstat --help'.\n"},
		{"a -i", 2, "trmdstat: an option lacks its value: -i\nTry 'trmdstat --help'.\n"},
		{"-p 7-6 a", 2, "trmdstat: 7-6: ports are 21 or 21-220\nTry 'trmdstat --help'.\n"},
		{"-p x a", 2, "trmdstat: x: ports are 21 or 21-220\nTry 'trmdstat --help'.\n"},
		{"-p 65536 a", 2,
		 "trmdstat: 65536: ports are 21 or 21-220\nTry 'trmdstat --help'.\n"},
		{"-n a_name_of_16_long a", 2,
		 "trmdstat: a_name_of_16_long: no interface has such a name"},
		{"-d x a", 2, "trmdstat: x: a debug level is a number\nTry 'trmdstat --help'.\n"},
		{"-h nobody a", 2, "trmdstat: "},
		{"-j ../x a", 2, "trmdstat: "},
		{"-i yesterday a", 2, "trmdstat: yesterday: a time is MMDDHHMMSS, 2026-01-15, "},
		{"-i 2026-01-16 -f 2026-01-15 a", 2, "trmdstat: -f is before -i\n"},
		{"absent", 4, "trmdstat: absent: No such file or directory\n"},
		{"absent/x", 4, "trmdstat: absent/x: No such file or directory\n"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		run(rows[i].line, NULL);
		ck_assert_msg(ran.exit == rows[i].exit, "%s: %d %s", rows[i].line, ran.exit,
			      ran.err);
		ck_assert_msg(strncmp(ran.err, rows[i].err, strlen(rows[i].err)) == 0, "%s: %s",
			      rows[i].line, ran.err);
	}
	run("--help", NULL);
	ck_assert_int_eq(ran.exit, 0);
	ck_assert_int_eq(strncmp(ran.out, "Usage: trmdstat ", 16), 0);
	run("-?", NULL);
	ck_assert_int_eq(strncmp(ran.out, "Usage: trmdstat ", 16), 0);
	run("--version", NULL);
	ck_assert_str_eq(ran.out, "trmdstat (csipsec) " PACKAGE_VERSION "\n");
	/* Of several what can be read is. */
	put_file("sample.log", sample, read_sample());
	run("absent sample.log", NULL);
	ck_assert_int_eq(ran.exit, 4);
	ck_assert_ptr_nonnull(strstr(ran.out, "TRM Records Scanned : 18\n"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("trmdstat");
	TCase *tc = tcase_create("parts"), *whole = tcase_create("program");

	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, test_moments);
	tcase_add_test(tc, test_syslog_times);
	tcase_add_test(tc, test_table);
	tcase_add_test(tc, test_tags);
	tcase_add_test(tc, test_selection);
	tcase_add_test(tc, test_hostile_lines);
	tcase_add_test(tc, test_cut_lines);
	tcase_add_test(tc, test_mangled_lines);
	suite_add_tcase(suite, tc);
	tcase_set_timeout(whole, 120);
	tcase_add_checked_fixture(whole, make_dir, remove_dir);
	tcase_add_test(whole, test_log);
	tcase_add_test(whole, test_most);
	tcase_add_test(whole, test_packed);
	tcase_add_test(whole, test_long_lines);
	tcase_add_test(whole, test_smf);
	tcase_add_test(whole, test_smf_damage);
	tcase_add_test(whole, test_directory);
	tcase_add_test(whole, test_ids);
	tcase_add_test(whole, test_options);
	suite_add_tcase(suite, whole);
	return run_suite(suite);
}
