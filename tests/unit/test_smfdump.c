/*
 * smfdump: the forms of export against golden files (tests/data/smf; with CSIPSEC_WRITE_GOLDEN set
 * they are written instead, to be read before they are committed), JSON and CSV of whatever a
 * record may hold, and the program with its options as users run it.
 */
#include <check.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "smf/export.h"
#include "smf/smf.h"
#include "tests/unit/run_program.h"
#include "tests/unit/run_suite.h"
#include "tests/unit/smf_sample.h"

#define DATA TESTDATA "/data/smf/"

static uint8_t record[65536];
static uint64_t seed;

/* ---- records ---- */

/* The end of a dynamic tunnel, in IPv6, and one that nobody heard of before. */
static size_t make_removed(uint8_t *to)
{
	struct cs_writer w = cs_writer_of(to, SMF_BUILD_MAX);
	struct smf_builder b;
	struct cs_addr addr;
	struct cs_err err;

	smf_build(&b, 78);
	smf_put_time(&b, 1768476000000000); /* 2026-01-15T11:20:00Z */
	smf_put_text(&b, SMF_IP_TUN_ID, "Y9");
	smf_put_text(&b, SMF_IP_TUN_VPN_ACTION, "=Gold\\|\"VPN\", too");
	ck_assert_int_eq(cs_addr_parse("2001:db8::1", &addr, NULL), 0);
	smf_put_addr(&b, SMF_IP_TUN_LCL_ENDPT, &addr);
	ck_assert_int_eq(cs_addr_parse("2001:db8::2", &addr, NULL), 0);
	smf_put_addr(&b, SMF_IP_TUN_RMT_ENDPT, &addr);
	smf_put_u64(&b, SMF_IP_TUN_TYPE, 2);
	smf_put_u64(&b, SMF_IP_TUN_STATE, 99);
	smf_put_u64(&b, SMF_IP_TUN_AUTH_PROTO, 50);
	smf_put_flag(&b, SMF_IP_DYN_FLAGS, 0);
	smf_put_flag(&b, SMF_IP_DYN_FLAGS, 31);
	smf_put_u64(&b, SMF_IP_DYN_ACT_METHOD, 2);
	smf_put_u64(&b, SMF_IP_DYN_RMT_UDP_PORT, 4500);
	smf_put_u64(&b, SMF_IP_DYN_GENERATION, 2);
	smf_put_text(&b, SMF_IP_DYN_IKE_TUN_ID, "K12");
	smf_put_u64(&b, SMF_IP_DYN_STK_INB_BYTES, 12345678901234567);
	smf_put_u64(&b, SMF_IP_DYN_STK_OUTB_BYTES, UINT64_MAX);
	smf_put_u64(&b, SMF_IP_DYN_STK_END_REASON, 5);
	smf_put_u64(&b, SMF_IP_DYN_STK_STCK, smf_tod_of(1768475999999999));
	ck_assert_msg(smf_finish(&b, &w, &err) == 0, "%s", err.text);
	return w.len;
}

/* 73, 75 and 78 of the above; the length. */
static size_t make_file(uint8_t *to)
{
	size_t len = smf_sample("73.hex", to);

	len += smf_sample("75.hex", to + len);
	return len + make_removed(to + len);
}

/* ---- in this process ---- */

static const struct smf_export_options forms[] = {
	{SMF_TEXT, SMF_IBM1047, 0, 0xff},
	{SMF_JSON, SMF_IBM1047, 0, 0xff},
	{SMF_CSV, SMF_IBM1047, 0, 0xff},
	{SMF_CEF, SMF_IBM1047, 0, 0xff},
};
static const char *const goldens[] = {"all.txt", "all.json", "all.csv", "all.cef"};

/* Whatever is a record of these bytes; the caller frees. */
static char *export_all(const struct smf_export_options *form, const uint8_t *p, size_t len)
{
	int in_fd = memfd_create("in", MFD_CLOEXEC), out_fd = memfd_create("out", MFD_CLOEXEC);
	struct smf_export *x;
	struct smf_input *in;
	struct smf_raw raw;
	struct smf_record r;
	struct stat st;
	char *text;

	ck_assert_int_eq(write(in_fd, p, len), (ssize_t)len);
	ck_assert_int_eq(lseek(in_fd, 0, SEEK_SET), 0);
	ck_assert_int_eq(smf_input_open(in_fd, &in, NULL), 0);
	ck_assert_int_eq(smf_export_open(out_fd, form, &x, NULL), 0);
	while (smf_input_next(in, &raw, NULL) > 0)
		if (smf_decode(raw.p, raw.len, &r, NULL) == 0)
			ck_assert_int_eq(smf_export_record(x, &r, NULL), 0);
	ck_assert_int_eq(smf_export_flush(x, NULL), 0);
	smf_export_close(x);
	smf_input_close(in);
	ck_assert_int_eq(fstat(out_fd, &st), 0);
	text = calloc(1, (size_t)st.st_size + 1);
	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(pread(out_fd, text, (size_t)st.st_size, 0), st.st_size);
	close(in_fd);
	close(out_fd);
	return text;
}

/* Goldens live longer than a version. */
static void hide_version(char *text)
{
	char *at = text;

	while ((at = strstr(at, "|" PACKAGE_VERSION "|"))) {
		at[1] = 'V';
		memmove(at + 2, at + 1 + strlen(PACKAGE_VERSION),
			strlen(at + 1 + strlen(PACKAGE_VERSION)) + 1);
	}
}

static void compare_golden(char *text, const char *leaf)
{
	static char golden[1u << 16];
	char path[256];
	FILE *f;

	hide_version(text);
	snprintf(path, sizeof(path), DATA "%s", leaf);
	if (getenv("CSIPSEC_WRITE_GOLDEN")) {
		f = fopen(path, "w");
		ck_assert_msg(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s", path);
	}
	f = fopen(path, "r");
	ck_assert_msg(f != NULL, "%s", path);
	golden[fread(golden, 1, sizeof(golden) - 1, f)] = '\0';
	fclose(f);
	ck_assert_str_eq(text, golden);
}

START_TEST(test_golden)
{
	size_t len = make_file(record);
	char *text = export_all(&forms[_i], record, len);

	compare_golden(text, goldens[_i]);
	free(text);
}
END_TEST

static void reseed(void)
{
	ck_assert_int_eq(getrandom(&seed, sizeof(seed), 0), sizeof(seed));
	printf("test_smfdump: seed %llu\n", (unsigned long long)seed);
}

/* Each value of a record, as decoded, against the JSON of it. */
static void check_json_field(const json_t *object, const struct smf_record *r, enum smf_field field)
{
	const json_t *value = json_object_get(object, smf_rows[field].name);
	char text[2000];
	struct cs_addr addr, parsed;
	uint64_t number;

	switch (smf_rows[field].kind) {
	case SMF_K_TEXT:
		smf_get_text(r, field, SMF_IBM1047, text, sizeof(text));
		ck_assert_str_eq(value ? json_string_value(value) : "", text);
		break;
	case SMF_K_UINT:
		if (value || !smf_rows[field].zero_is_none) {
			ck_assert(smf_get_u64(r, field, &number));
			ck_assert_int_eq(json_integer_value(value), (int64_t)number);
		}
		break;
	case SMF_K_ADDR:
		ck_assert(smf_get_addr(r, field, &addr));
		if (value) {
			ck_assert_int_eq(cs_addr_parse(json_string_value(value), &parsed, NULL), 0);
			ck_assert(cs_addr_equal(&addr, &parsed));
		}
		break;
	case SMF_K_FLAGS:
		ck_assert(smf_get_u64(r, field, &number));
		ck_assert_uint_eq(json_array_size(value), (unsigned)__builtin_popcountll(number));
		break;
	case SMF_K_ENUM:
		ck_assert(smf_get_u64(r, field, &number));
		snprintf(text, sizeof(text), "unknown(%llu)", (unsigned long long)number);
		ck_assert_str_eq(json_string_value(value), smf_value_name(field, number)
								   ? smf_value_name(field, number)
								   : text);
		break;
	default:
		ck_assert(!value || json_is_string(value));
	}
}

START_TEST(test_json_values)
{
	reseed();
	for (unsigned i = 0; i < 80; i++) {
		size_t len = smf_random(&seed, 73 + i % 8, record);
		char *text;
		struct smf_record r;
		json_t *object;
		json_error_t error;

		for (unsigned f = 0; f < SMF_FIELDS; f++) { /* counters that JSON can hold */
			struct cs_bytes b;

			ck_assert_int_eq(smf_decode(record, len, &r, NULL), 0);
			if (smf_rows[f].kind == SMF_K_UINT && smf_rows[f].len == 8 &&
			    smf_get_bytes(&r, (enum smf_field)f, &b))
				record[b.p - record] &= 0x7f;
		}
		text = export_all(&forms[SMF_JSON], record, len);
		object = json_loads(text, JSON_REJECT_DUPLICATES, &error);
		ck_assert_msg(object != NULL, "%s: %s", error.text, text);
		for (unsigned k = 0; k < r.layout->n_sections; k++) {
			const struct smf_section_row *s = &smf_sections[r.layout->sections[k]];

			for (unsigned f = s->first; f < s->first + s->n; f++)
				check_json_field(object, &r, (enum smf_field)f);
		}
		ck_assert_int_eq(json_integer_value(json_object_get(object, "SubType")),
				 r.layout->subtype);
		ck_assert_ptr_null(json_object_get(object, "Short"));
		ck_assert_ptr_null(json_object_get(object, "Missing"));
		json_decref(object);
		free(text);
	}
}
END_TEST

static unsigned commas(const char *line)
{
	bool quoted = false;
	unsigned n = 0;

	for (; *line && (*line != '\n' || quoted); line++) {
		quoted = quoted != (*line == '"');
		n += *line == ',' && !quoted;
	}
	ck_assert(!quoted);
	return n;
}

static unsigned lines(const char *text)
{
	unsigned n = 0;

	for (; *text; text++) {
		n += *text == '\n';
		ck_assert(*text == '\n' || ((unsigned char)*text >= 0x20 && *text != 0x7f));
	}
	return n;
}

/* Whatever is in a record: a line of JSON, of CSV with all columns, of CEF; nothing that a terminal
 * obeys. */
START_TEST(test_hostile)
{
	unsigned good = 0;

	reseed();
	for (unsigned i = 0; i < 400; i++) {
		size_t len = smf_random(&seed, 73 + i % 8, record);
		struct smf_record r;

		for (unsigned k = 0; k < 60; k++) /* any byte of a field or of a triplet */
			record[28 + smf_rand(&seed) % (len - 28)] = (uint8_t)smf_rand(&seed);
		for (unsigned k = 0; k < 6; k++) {
			record[28 + 8 * k] = record[29 + 8 * k] = 0;
			record[30 + 8 * k] = (uint8_t)(smf_rand(&seed) % 2);
			record[32 + 8 * k] = 0;
			record[34 + 8 * k] = 0;
			record[35 + 8 * k] = (uint8_t)(smf_rand(&seed) % 3);
		}
		if (smf_decode(record, len, &r, NULL) < 0)
			continue;
		good++;
		for (unsigned f = 0; f < SMF_FORMATS; f++) {
			char *text = export_all(&forms[f], record, len);
			unsigned n = lines(text);
			json_t *object =
				f == SMF_JSON
					? json_loads(text, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL,
						     NULL)
					: NULL;

			ck_assert_msg(f != SMF_JSON || object, "%s", text);
			ck_assert(f == SMF_TEXT ? n > 3 : n == 1 + (f == SMF_CSV));
			if (f == SMF_CSV)
				ck_assert_uint_eq(commas(text), commas(strchr(text, '\n') + 1));
			json_decref(object);
			free(text);
		}
	}
	ck_assert_uint_gt(good, 20);
}
END_TEST

/* What is strange about the sections of a record is said. */
START_TEST(test_remarks)
{
	size_t len = smf_sample("73.hex", record);
	char *text;

	record[41] = 200; /* the tunnel section is shorter */
	record[35] = 0;   /* no identification section */
	record[51] = 2;   /* two local identities */
	text = export_all(&forms[SMF_JSON], record, len);
	ck_assert_ptr_nonnull(strstr(text, ",\"Layout\":\"L1\",\"Short\":{\"ike_tunnel\":200},"
					   "\"Instances\":{\"local_id\":2},"
					   "\"Missing\":{\"identification\":true}}"));
	ck_assert_ptr_null(strstr(text, "IKETunAuthAlg"));
	free(text);
	len = smf_sample("73.hex", record);
	record[41] = 250; /* longer, by two bytes of the identity behind */
	text = export_all(&forms[SMF_JSON], record, len);
	ck_assert_ptr_nonnull(strstr(text, "\"Trailing\":{\"ike_tunnel\":\"0x87a6\"}"));
	free(text);
	text = export_all(&forms[SMF_TEXT], record, len);
	ck_assert_ptr_nonnull(strstr(text, "Common IKE tunnel section: unknown bytes 0x87a6"));
	free(text);
	record[124 + 194] = 1; /* reserved */
	text = export_all(&forms[SMF_JSON], record, len);
	ck_assert_ptr_nonnull(strstr(text, "\"IKETunRsvd1\":\"0x0100\""));
	free(text);
}
END_TEST

/* More than the buffer holds before it is written. */
START_TEST(test_much)
{
	static uint8_t many[402 * 2000];
	char *text;

	for (unsigned i = 0; i < 2000; i++)
		smf_sample("73.hex", record), memcpy(many + 402 * i, record, 402);
	text = export_all(&forms[SMF_JSON], many, sizeof(many));
	ck_assert_uint_eq(lines(text), 2000);
	free(text);
}
END_TEST

/* ---- the program ---- */

#define SMFDUMP "smf/smfdump"

/* In the directory with the files, input from there. */
static void run(const char *line, const char *input)
{
	end_program(start_program(SMFDUMP, line, input, true));
}

/* Which of the three records came, by their tunnels. */
static const char *which(void)
{
	static char names[8];

	snprintf(names, sizeof(names), "%s%s%s", strstr(ran.out, "\"IKETunID\":\"K12\"") ? "K" : "",
		 strstr(ran.out, "\"IPTunID\":\"Y7\"") ? "7" : "",
		 strstr(ran.out, "\"IPTunID\":\"Y9\"") ? "9" : "");
	return names;
}

static void setup(void)
{
	uint8_t other[18] = {0, 18, 0, 0, 0x1e, 2};
	size_t len;

	make_dir();
	len = make_file(record + 18);
	memcpy(record, other, 18);
	put_file("all", record, 18 + len);
	put_file("cut", record, 18 + len - 100);
	record[18 + 402 + 39] = 1; /* the tunnel section of the second: within the triplets */
	record[18 + 402 + 38] = 0;
	put_file("damaged", record, 18 + len);
	memset(record + 18 + 402 + 591, 0, 4);
	put_file("broken", record, 18 + len);
	put_file("text", "no records at all, but a text\n", 30);
	put_file("empty", "", 0);
}

static const struct {
	const char *line;
	const char *which;
	int exit;
} selections[] = {
	{"--json all", "K79", 0},
	{"--json --subtype 73 all", "K", 0},
	{"--json --subtype 74-77,79 all", "7", 0},
	{"--json --subtype 80 all", "", 0},
	{"--json --subtype 80 --fail-empty all", "", 1},
	{"--json --subtype 78 --fail-empty all", "9", 0},
	{"--json --tunnel Y7 all", "7", 0},
	{"--json --tunnel K12 all", "K79", 0},
	{"--json --tunnel K1 all", "", 0},
	{"--json --peer 198.51.100.7 all", "K7", 0},
	{"--json --peer 198.51.100.0/24 all", "K7", 0},
	{"--json --peer 198.51.100.8 all", "", 0},
	{"--json --peer 192.0.2.1 all", "", 0}, /* this end */
	{"--json --peer 2001:db8::/64 all", "9", 0},
	{"--json --peer 0.0.0.0/0 all", "K7", 0},
	{"--json --from 2026-01-15T10:20:30.45Z all", "K79", 0},
	{"--json --from 2026-01-15T10:20:30.46 all", "79", 0},
	{"--json --from 2026-01-15T11:20 all", "9", 0},
	{"--json --to 2026-01-15T10:20:31.02 all", "K", 0},
	{"--json --to 2026-01-15T10:20:31.03 all", "K7", 0},
	{"--json --from 2026-01-15 --to 2026-01-16 all", "K79", 0},
	{"--json --to 2026-01-15 all", "", 0},
	{"--json --from -1000000d all", "K79", 0},
	{"--json --offset +01:00 --from 2026-01-15T10:00:00 all", "9", 0},
	{"--json --offset -01:00 --from 2026-01-15T12:00:00 all", "9", 0},
};

START_TEST(test_selection)
{
	run(selections[_i].line, NULL);
	ck_assert_str_eq(which(), selections[_i].which);
	ck_assert_str_eq(ran.err, "");
	ck_assert_int_eq(ran.exit, selections[_i].exit);
}
END_TEST

static const struct {
	const char *line, *input;
	int exit;
	const char *which, *err; /* on the standard error, with what stands after smfdump: */
} readings[] = {
	{"--json all all -v", NULL, 0, "K79",
	 "8 records: 6 selected, 2 of other types or subtypes, 0 damaged"},
	{"--json", "all", 0, "K79", ""},
	{"--json -", "all", 0, "K79", ""},
	{"--json empty", NULL, 0, "", ""},
	{"--json cut", NULL, 0, "K7",
	 "cut: the last record is cut off: at offset 1011 464 bytes of it"},
	{"--json damaged", NULL, 5, "K9",
	 "damaged: record 3 at offset 420: triplet 1: its section begins at 1, within the 76 "
	 "bytes"},
	{"--json broken all", NULL, 5, "K79",
	 "broken: at offset 1011, after record 3: no record descriptor word (0000 0000); what "
	 "follows"},
	{"--json text", NULL, 5, "", "text: it has neither RDW nor BDW framing"},
	{"--json nothing all", NULL, 4, "K79", "nothing: No such file or directory"},
	{"--json .", NULL, 4, "", ".: there is no checkpoint"},
	{"--json --codepage IBM-037 all", NULL, 0, "K79", ""},
};

START_TEST(test_reading)
{
	run(readings[_i].line, readings[_i].input);
	ck_assert_int_eq(ran.exit, readings[_i].exit);
	ck_assert_str_eq(which(), readings[_i].which);
	if (readings[_i].err[0])
		ck_assert_msg(strstr(ran.err, readings[_i].err) != NULL, "%s", ran.err);
	else
		ck_assert_str_eq(ran.err, "");
}
END_TEST

static const struct {
	const char *line, *err;
} usages[] = {
	{"--nonsense", "unknown option: --nonsense"},
	{"-x", "unknown option"},
	{"--subtype", "an option lacks its value: --subtype"},
	{"--subtype 72 all", "72: subtypes are 73 to 80, as 73,75-78"},
	{"--subtype 73-81 all", "73-81: subtypes are"},
	{"--subtype 75-74 all", "75-74: subtypes are"},
	{"--subtype 73, all", "73,: subtypes are"},
	{"--subtype 73x all", "73x: subtypes are"},
	{"--from yesterday all", "yesterday: a time is 2026-01-15"},
	{"--from 2026-02-29 all", "2026-02-29: a time is"},
	{"--from 2026-01-15T24:00 all", "a time is"},
	{"--from 2026-01-15T10:20:30+01:00 all", "a time is"},
	{"--to -5y all", "-5y: a time is"},
	{"--to - all", "-: a time is"},
	{"--tunnel a\xe2\x82\xac all", "a tunnel id is K1"},
	{"--peer x all", "x"},
	{"--codepage IBM-273 all", "IBM-273: a code page is IBM-1047 or IBM-037"},
	{"--offset 2 all", "2: an offset is +02:00"},
	{"--offset +02:60 all", "an offset is"},
	{"--json --csv all", "one of --text, --json, --csv and --cef"},
	{"--follow", "--follow takes one directory"},
	{"--follow . .", "--follow takes one directory"},
};

START_TEST(test_usage)
{
	run(usages[_i].line, NULL);
	ck_assert_int_eq(ran.exit, 2);
	ck_assert_msg(strstr(ran.err, usages[_i].err) != NULL, "%s", ran.err);
	ck_assert_ptr_nonnull(strstr(ran.err, "Try 'smfdump --help'."));
	ck_assert_str_eq(ran.out, "");
}
END_TEST

START_TEST(test_help)
{
	run("--help", NULL);
	ck_assert_int_eq(ran.exit, 0);
	ck_assert_ptr_nonnull(strstr(ran.out, "--follow"));
	run("-?", NULL);
	ck_assert_int_eq(ran.exit, 0);
	run("--version", NULL);
	ck_assert_str_eq(ran.out, "smfdump (csipsec) " PACKAGE_VERSION "\n");
}
END_TEST

/* The page has every key of the output and every option. */
START_TEST(test_man_page)
{
	static char page[1u << 17], plain[1u << 17];
	FILE *f = fopen(TESTDATA "/../man/smfdump.1", "r");
	size_t n = 0;

	ck_assert_ptr_nonnull(f);
	page[fread(page, 1, sizeof(page) - 1, f)] = '\0';
	fclose(f);
	for (const char *p = page; *p; p++)
		if (*p != '\\')
			plain[n++] = *p;
	for (unsigned i = SMF_TI_SYS_NAME; i < SMF_FIELDS; i++)
		ck_assert_msg(smf_rows[i].kind == SMF_K_RESERVED ||
				      strstr(plain, smf_rows[i].name) != NULL,
			      "%s", smf_rows[i].name);
	run("--help", NULL);
	for (char *state = NULL, *w = strtok_r(ran.out, " \n[]|,();", &state); w;
	     w = strtok_r(NULL, " \n[]|,();", &state))
		if (strncmp(w, "--", 2) == 0)
			ck_assert_msg(strstr(plain, w) != NULL, "%s", w);
}
END_TEST

/* ---- directories ---- */

static void acknowledge(const char *leaf, uint64_t length)
{
	struct smf_checkpoint cp = {.length = length};
	int d = open(in_dir("smf"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	snprintf(cp.file, sizeof(cp.file), "%s", leaf);
	ck_assert_int_eq(smf_checkpoint_write(d, &cp, NULL), 0);
	close(d);
}

/* The first of 402, two of 993, three of 1557 bytes. */
static void begin_directory(void)
{
	ck_assert_int_eq(mkdir(in_dir("smf"), 0700), 0);
	ck_assert_uint_eq(make_file(record), 1557);
}

START_TEST(test_directory)
{
	begin_directory();
	put_file("smf/1.smf", record, 402);
	put_file("smf/2.smf", record + 402, 1155);
	put_file("smf/3.smf", record, 402);
	put_file("smf/0.smf.zst", "x", 1);
	acknowledge("2.smf", 0);
	run("--json smf", NULL);
	ck_assert_str_eq(which(), "K");
	acknowledge("2.smf", 591);
	run("--json smf", NULL);
	ck_assert_str_eq(which(), "K7");
	ck_assert_str_eq(ran.err, "smfdump: smf: 1 compressed files are not read\n");
	ck_assert_int_eq(ran.exit, 0);
	acknowledge("2.smf", 1155);
	run("--json smf", NULL);
	ck_assert_str_eq(which(), "K79");
	ck_assert_uint_eq(lines(ran.out), 3);
	/* what was acknowledged has gone */
	acknowledge("2.smf", 5000);
	run("--json smf", NULL);
	ck_assert_str_eq(which(), "K79");
	ck_assert_int_eq(ran.exit, 5);
	ck_assert_ptr_nonnull(
		strstr(ran.err, "smf/2.smf: 5000 bytes are acknowledged, and it has 1155"));
}
END_TEST

static void gzip(const char *options, const char *leaf)
{
	char command[256];

	snprintf(command, sizeof(command), "gzip %s %s", options, in_dir(leaf));
	ck_assert_int_eq(system(command), 0);
}

/* Compressed files of a directory are read in their places, each once. */
START_TEST(test_compressed)
{
	char command[256], whole[160];

	begin_directory();
	put_file("smf/1.smf", record, 402);
	put_file("smf/2.smf", record + 402, 591);
	put_file("smf/3.smf", record + 993, 564);
	gzip("", "smf/1.smf");
	gzip("-k", "smf/2.smf"); /* the plain one is still there */
	put_file("smf/0.smf.gz.tmp", "x", 1);
	acknowledge("3.smf", 564);
	run("--json smf", NULL);
	ck_assert_str_eq(which(), "K79");
	ck_assert_str_eq(ran.err, "");
	ck_assert_int_eq(ran.exit, 0);
	run("--json smf/1.smf.gz smf/2.smf", NULL);
	ck_assert_str_eq(which(), "K7");
	/* cut off: what can be read is, and the rest is told */
	snprintf(whole, sizeof(whole), "%s", in_dir("smf/1.smf.gz"));
	snprintf(command, sizeof(command), "head -c -12 %s >%s", whole, in_dir("half.gz"));
	ck_assert_int_eq(system(command), 0);
	run("--json half.gz smf/2.smf", NULL);
	ck_assert_int_eq(ran.exit, 5);
	ck_assert_ptr_nonnull(strstr(ran.err, "half.gz: unexpected end of file"));
	ck_assert_ptr_nonnull(strstr(which(), "7"));
	/* several in one, and padding; from a pipe, too */
	snprintf(command, sizeof(command), "cat %s %s >%s; head -c 500 /dev/zero >>%s", whole,
		 in_dir("smf/2.smf.gz"), in_dir("both.gz"), in_dir("both.gz"));
	ck_assert_int_eq(system(command), 0);
	run("--json both.gz", NULL);
	ck_assert_str_eq(which(), "K7");
	ck_assert_int_eq(ran.exit, 0);
	snprintf(command, sizeof(command), "cat %s | " SMFDUMP " --json >%s", in_dir("both.gz"),
		 in_dir(".out"));
	ck_assert_int_eq(system(command), 0);
	read_back(".out", ran.out, sizeof(ran.out));
	ck_assert_str_eq(which(), "K7");
	/* no gzip at all behind its first bytes */
	put_file("junk.gz", "\x1f\x8bjunk", 6);
	run("--json junk.gz", NULL);
	ck_assert_int_eq(ran.exit, 5);
}
END_TEST

/* A file that has gone is told, and the others are read. */
START_TEST(test_gone)
{
	begin_directory();
	ck_assert_int_eq(symlink("nowhere", in_dir("smf/1.smf")), 0);
	put_file("smf/2.smf", record, 402);
	acknowledge("2.smf", 402);
	run("--json smf", NULL);
	ck_assert_str_eq(which(), "K");
	ck_assert_int_eq(ran.exit, 5);
	ck_assert_str_eq(ran.err, "smfdump: smf/1.smf: it went before it was read\n");
	/* nor does a pipe that nobody writes to keep us waiting */
	ck_assert_int_eq(unlink(in_dir("smf/1.smf")), 0);
	ck_assert_int_eq(mkfifo(in_dir("smf/1.smf"), 0600), 0);
	run("--json smf", NULL);
	ck_assert_str_eq(which(), "K");
	ck_assert_str_eq(ran.err, "smfdump: smf/1.smf: it is no file\n");
}
END_TEST

/* The newest file, part of which is acknowledged, has gone. */
START_TEST(test_newest_gone)
{
	begin_directory();
	put_file("smf/1.smf", record, 402);
	acknowledge("2.smf", 0); /* nothing of it is missed */
	run("--json smf", NULL);
	ck_assert_str_eq(which(), "K");
	ck_assert_int_eq(ran.exit, 0);
	acknowledge("2.smf", 402);
	run("--json smf", NULL);
	ck_assert_str_eq(which(), "K");
	ck_assert_int_eq(ran.exit, 4);
	ck_assert_str_eq(ran.err,
			 "smfdump: smf/2.smf: 402 bytes are acknowledged, and it is not there\n");
	run("--follow --json smf", NULL);
	ck_assert_int_eq(ran.exit, 4);
}
END_TEST

/* Until so many records came, or it took too long. */
static void await(unsigned n)
{
	for (unsigned i = 0; i < 3000; i++) {
		const struct timespec pause = {0, 10000000};

		read_back(".out", ran.out, sizeof(ran.out));
		if (lines(ran.out) >= n)
			break;
		nanosleep(&pause, NULL);
	}
	ck_assert_uint_eq(lines(ran.out), n);
}

START_TEST(test_follow)
{
	const struct timespec moment = {0, 700000000};
	pid_t pid;

	begin_directory();
	put_file(".out", "", 0);
	put_file(".err", "", 0);
	pid = start_program(SMFDUMP, "--follow --json smf", NULL, false);
	nanosleep(&moment, NULL); /* there is nothing yet */
	put_file("smf/1.smf", record, 1557);
	acknowledge("1.smf", 402);
	await(1);
	nanosleep(&moment, NULL); /* what is there but not acknowledged does not come */
	await(1);
	acknowledge("1.smf", 993);
	await(2);
	/* another file, begun before the first one is done with */
	put_file("smf/2.smf", record, 402);
	acknowledge("2.smf", 402);
	await(4);
	ck_assert_str_eq(which(), "K79");
	kill(pid, SIGTERM);
	end_program(pid);
	ck_assert_int_eq(ran.exit, 0);
	ck_assert_uint_eq(lines(ran.out), 4);
	ck_assert_str_eq(ran.err, "smfdump: smf: there is no checkpoint; waiting for it\n");
}
END_TEST

/* Who reads the output may have stopped reading it, and then nothing more is written. */
START_TEST(test_follow_stuck)
{
	static uint8_t many[400 * 1557];
	const struct timespec moment = {0, 100000000};
	int fds[2], status = 0, waiting = 0;
	pid_t pid;

	begin_directory();
	for (unsigned i = 0; i < 400; i++)
		memcpy(many + i * 1557, record, 1557);
	put_file("smf/1.smf", many, sizeof(many));
	acknowledge("1.smf", sizeof(many));
	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		execl(program(SMFDUMP), "smfdump", "--follow", "--json", in_dir("smf"), NULL);
		_exit(127);
	}
	for (unsigned i = 0; i < 300 && waiting < 65536; i++) {
		ck_assert_int_eq(ioctl(fds[0], FIONREAD, &waiting), 0);
		nanosleep(&moment, NULL);
	}
	ck_assert_int_eq(waiting, 65536);
	kill(pid, SIGTERM);
	for (unsigned i = 0; i < 150 && waitpid(pid, &status, WNOHANG) == 0; i++)
		nanosleep(&moment, NULL);
	if (!WIFSIGNALED(status))
		kill(pid, SIGKILL);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* A file that cannot be read on is told once, and that is the end. */
START_TEST(test_follow_broken)
{
	begin_directory();
	memset(record + 402, 0, 4);
	put_file("smf/1.smf", record, 1557);
	acknowledge("1.smf", 1557);
	run("--follow --json smf", NULL);
	ck_assert_int_eq(ran.exit, 5);
	ck_assert_str_eq(which(), "K");
	ck_assert_ptr_nonnull(
		strstr(ran.err, "smf/1.smf: at offset 402, after record 1: no record"));
	ck_assert_ptr_nonnull(strstr(ran.err, "smf: cannot be followed any more"));
}
END_TEST

START_TEST(test_output_fails)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		dup2(open("/dev/full", O_WRONLY), 1);
		dup2(open(in_dir(".err"), O_CREAT | O_WRONLY, 0600), 2);
		execl(program(SMFDUMP), "smfdump", "--json", in_dir("all"), in_dir("all"), NULL);
		_exit(127);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 5);
	read_back(".err", ran.err, sizeof(ran.err));
	ck_assert_str_eq(ran.err,
			 "smfdump: the output cannot be written: No space left on device\n");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("smfdump");
	TCase *c = tcase_create("forms"), *p = tcase_create("program");

	tcase_set_timeout(c, 600); /* of a machine that has much else to do */
	tcase_add_loop_test(c, test_golden, 0, SMF_FORMATS);
	tcase_add_test(c, test_json_values);
	tcase_add_test(c, test_hostile);
	tcase_add_test(c, test_remarks);
	tcase_add_test(c, test_much);
	suite_add_tcase(s, c);
	tcase_set_timeout(p, 600);
	tcase_add_checked_fixture(p, setup, remove_dir);
	tcase_add_loop_test(p, test_selection, 0, sizeof(selections) / sizeof(selections[0]));
	tcase_add_loop_test(p, test_reading, 0, sizeof(readings) / sizeof(readings[0]));
	tcase_add_loop_test(p, test_usage, 0, sizeof(usages) / sizeof(usages[0]));
	tcase_add_test(p, test_help);
	tcase_add_test(p, test_man_page);
	tcase_add_test(p, test_directory);
	tcase_add_test(p, test_compressed);
	tcase_add_test(p, test_gone);
	tcase_add_test(p, test_newest_gone);
	tcase_add_test(p, test_follow);
	tcase_add_test(p, test_follow_stuck);
	tcase_add_test(p, test_follow_broken);
	tcase_add_test(p, test_output_fails);
	suite_add_tcase(s, p);
	return run_suite(s);
}
