/*
 * Files of SMF records: how they are framed, segments, what ends too soon or is broken, pipes, and
 * the checkpoint that says how far a file may be read.
 */
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "smf/framing.h"
#include "smf/smf.h"
#include "tests/unit/run_suite.h"
#include "tests/unit/smf_sample.h"

static uint8_t one[SMF_BUILD_MAX], two[SMF_BUILD_MAX]; /* 73 with 402 bytes, 75 with 591 */
static uint8_t file[1u << 18];
static size_t size;
static struct smf_input *in;
static struct smf_raw raw;
static struct cs_err err;
static int fd = -1;

static void setup(void)
{
	ck_assert_uint_eq(smf_sample("73.hex", one), 402);
	ck_assert_uint_eq(smf_sample("75.hex", two), 591);
	size = 0;
}

static void add(const void *p, size_t len)
{
	ck_assert_uint_le(size + len, sizeof(file));
	memcpy(file + size, p, len);
	size += len;
}

static void add_word(size_t len, unsigned segment)
{
	uint8_t word[] = {(uint8_t)(len >> 8), (uint8_t)len, (uint8_t)segment, 0};

	add(word, 4);
}

static void open_file(void)
{
	fd = memfd_create("smf", MFD_CLOEXEC);
	ck_assert_int_eq(write(fd, file, size), (ssize_t)size);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	ck_assert_int_eq(smf_input_open(fd, &in, &err), 0);
}

static void close_file(void)
{
	smf_input_close(in);
	close(fd);
}

/* The next one is this, and where it is. */
static void expect(const uint8_t *p, size_t len, uint64_t offset, uint64_t number)
{
	ck_assert_msg(smf_input_next(in, &raw, &err) == 1, "%s", err.text);
	ck_assert_uint_eq(raw.len, len);
	ck_assert_mem_eq(raw.p, p, len);
	ck_assert_uint_eq(raw.offset, offset);
	ck_assert_uint_eq(raw.number, number);
}

static void expect_end(bool cut, uint64_t offset, uint64_t bytes)
{
	uint64_t at, n;

	ck_assert_int_eq(smf_input_next(in, &raw, &err), 0);
	ck_assert_int_eq(smf_input_cut(in, &at, &n), cut);
	if (cut) {
		ck_assert_uint_eq(at, offset);
		ck_assert_uint_eq(n, bytes);
	}
}

static void expect_error(const char *says)
{
	ck_assert_int_eq(smf_input_next(in, &raw, &err), CS_EPARSE);
	ck_assert_msg(strstr(err.text, says) != NULL, "%s", err.text);
}

/* ---- framing ---- */

START_TEST(test_rdw_file)
{
	add(one, 402);
	add(two, 591);
	ck_assert_uint_eq(size, 993);
	open_file();
	expect(one, 402, 0, 1);
	expect(two, 591, 402, 2);
	expect_end(false, 0, 0);
	ck_assert_int_eq(smf_input_framing(in), SMF_FRAMING_RDW);
	close_file();
}
END_TEST

START_TEST(test_bdw_file)
{
	for (unsigned i = 0; i < 2; i++) {
		add_word(997, 0);
		add(one, 402);
		add(two, 591);
	}
	ck_assert_mem_eq(file, "\x03\xe5\x00\x00\x01\x92\x00\x00", 8);
	open_file();
	expect(one, 402, 4, 1);
	expect(two, 591, 406, 2);
	expect(one, 402, 1001, 3);
	expect(two, 591, 1403, 4);
	expect_end(false, 0, 0);
	ck_assert_int_eq(smf_input_framing(in), SMF_FRAMING_BDW);
	close_file();
}
END_TEST

/* One block alone, and a block larger than 32 KB has another word. */
START_TEST(test_bdw_forms)
{
	add_word(406, 0);
	add(one, 402);
	open_file();
	expect(one, 402, 4, 1);
	expect_end(false, 0, 0);
	ck_assert_int_eq(smf_input_framing(in), SMF_FRAMING_BDW);
	close_file();
	size = 0;
	add("\x80\x01\x3a\x14", 4); /* 200 of 402 and the word */
	for (unsigned i = 0; i < 200; i++)
		add(one, 402);
	open_file();
	for (unsigned i = 0; i < 200; i++)
		expect(one, 402, 4 + 402 * i, i + 1);
	expect_end(false, 0, 0);
	close_file();
}
END_TEST

/* Just after midnight the time looks like the rest of a word. */
START_TEST(test_midnight)
{
	memset(one + 6, 0, 4);
	add(one, 402);
	open_file();
	expect(one, 402, 0, 1);
	expect_end(false, 0, 0);
	ck_assert_int_eq(smf_input_framing(in), SMF_FRAMING_RDW);
	close_file();
}
END_TEST

/* Other types, as dump programs put them before and behind, are records like all. */
START_TEST(test_other_types)
{
	uint8_t header[18] = {0, 18, 0, 0, 0x1e, 2};

	add(header, 18);
	add(one, 402);
	header[5] = 3;
	add(header, 18);
	open_file();
	ck_assert_int_eq(smf_input_next(in, &raw, &err), 1);
	ck_assert_int_eq(smf_type(raw.p, raw.len), 2);
	expect(one, 402, 18, 2);
	ck_assert_int_eq(smf_input_next(in, &raw, &err), 1);
	expect_end(false, 0, 0);
	close_file();
}
END_TEST

START_TEST(test_empty)
{
	open_file();
	expect_end(false, 0, 0);
	ck_assert_int_eq(smf_input_framing(in), SMF_FRAMING_UNKNOWN);
	/* and later it is not */
	ck_assert_int_eq(write(fd, one, 402), 402);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	expect(one, 402, 0, 1);
	close_file();
}
END_TEST

static const struct {
	const char *bytes;
	size_t len;
	const char *says;
} refused[] = {
	{"\x1f\x8b\x08\0\0\0\0\0", 8, "gzip -dc FILE | smfdump"},
	{"\x28\xb5\x2f\xfd\0\0\0\0", 8, "zstd -dc FILE | smfdump"},
	{"\x5e\x77\x00\x38\xcf\x25\x01\x26\x01\x5f", 10, "no record descriptor words"},
	{"Nov 30 12:00:00 host trmd: EZD0812I\n", 36, "neither RDW nor BDW framing"},
	{"\0\0\0\0\0\0\0\0", 8, "SITE RDW"},
	{"\0\4\0\0\0\4\0\0", 8, "SITE RDW"},
	{"\0\x11\0\0\x5e\x77\0\0\0\0\0\0\0\0\0\0\0", 17, "SITE RDW"},
};

START_TEST(test_refused)
{
	add(refused[_i].bytes, refused[_i].len);
	open_file();
	expect_error(refused[_i].says);
	close_file();
}
END_TEST

/* ---- segments ---- */

/* two as segments that end at these of its bytes. */
static void add_segments(const size_t *ends, unsigned n)
{
	size_t from = 4;

	for (unsigned i = 0; i < n; i++) {
		add_word(ends[i] - from + 4, i == 0       ? SMF_FIRST
					     : i + 1 == n ? SMF_LAST
							  : SMF_MIDDLE);
		add(two + from, ends[i] - from);
		from = ends[i];
	}
}

START_TEST(test_segments)
{
	add_segments((const size_t[]){200, 591}, 2);
	ck_assert_uint_eq(size, 595);
	ck_assert_mem_eq(file, "\x00\xc8\x01\x00", 4);
	ck_assert_mem_eq(file + 200, "\x01\x8b\x02\x00", 4);
	add(one, 402);
	add_segments((const size_t[]){30, 31, 400, 591}, 4);
	open_file();
	expect(two, 591, 0, 1);
	expect(one, 402, 595, 2);
	expect(two, 591, 997, 3);
	expect_end(false, 0, 0);
	close_file();
}
END_TEST

/* Across blocks, as they are made for. */
START_TEST(test_segments_in_blocks)
{
	add_word(204, 0);
	add_word(200, SMF_FIRST);
	add(two + 4, 196);
	add_word(399 + 402, 0);
	add_word(395, SMF_LAST);
	add(two + 200, 391);
	add(one, 402);
	open_file();
	expect(two, 591, 4, 1);
	expect(one, 402, 603, 2);
	expect_end(false, 0, 0);
	close_file();
}
END_TEST

START_TEST(test_broken_segments)
{
	add(one, 402);
	add_segments((const size_t[]){200, 591}, 2);
	memmove(file + 402, file + 602, 395); /* the last without the first */
	size -= 200;
	open_file();
	expect(one, 402, 0, 1);
	expect_error("at offset 402, after record 1: a segment of a record whose first is missing");
	close_file();
	size = 0;
	add(one, 402);
	add_segments((const size_t[]){200, 591}, 2);
	size -= 395;
	add(one, 402);
	open_file();
	expect(one, 402, 0, 1);
	expect_error("at offset 602, after record 1: a record whose last segment is missing");
	close_file();
	size = 0; /* a first one behind a first one */
	add(one, 402);
	for (unsigned i = 0; i < 2; i++) {
		add_word(200, SMF_FIRST);
		add(two + 4, 196);
	}
	open_file();
	expect(one, 402, 0, 1);
	expect_error("at offset 602, after record 1: a record whose last segment is missing");
	close_file();
	size = 0; /* the first alone, and then the end */
	add(one, 402);
	add_segments((const size_t[]){200, 591}, 2);
	size -= 300;
	open_file();
	expect(one, 402, 0, 1);
	expect_end(true, 402, 295);
	close_file();
	size = 0;
	add(one, 402);
	add_word(60000, SMF_FIRST);
	memset(file + size, 1, 59996);
	size += 59996;
	add_word(6000, SMF_MIDDLE);
	memset(file + size, 1, 5996);
	size += 5996;
	open_file();
	expect(one, 402, 0, 1);
	expect_error("segments of a record of more than 65535 bytes");
	close_file();
}
END_TEST

/* ---- what ends too soon, or is broken ---- */

START_TEST(test_cut)
{
	add(one, 402);
	add(two, 591);
	add(one, 402);
	for (size_t rest = 1; rest < 402; rest += rest < 6 ? 1 : 131) {
		size = 993 + rest;
		open_file();
		expect(one, 402, 0, 1);
		expect(two, 591, 402, 2);
		expect_end(true, 993, rest);
		expect_end(true, 993, rest);
		/* what was missing comes */
		ck_assert_int_eq(pwrite(fd, file + size, 402 - rest, (off_t)size),
				 (ssize_t)(402 - rest));
		expect(one, 402, 993, 3);
		expect_end(false, 0, 0);
		close_file();
	}
	/* nothing but a beginning */
	size = 100;
	open_file();
	expect_end(true, 0, 100);
	close_file();
}
END_TEST

START_TEST(test_cut_block)
{
	add_word(997, 0);
	add(one, 402);
	open_file();
	expect(one, 402, 4, 1);
	expect_end(true, 406, 0);
	close_file();
	add_word(0, 0);
	size -= 2;
	open_file();
	expect(one, 402, 4, 1);
	expect_end(true, 406, 2);
	close_file();
}
END_TEST

static const struct {
	const char *word;
	const char *says;
} broken_words[] = {
	{"\0\0\0\0", "at offset 1395, after record 3: no record descriptor word (0000 0000)"},
	{"\0\4\0\0", "no record descriptor word (0004 0000)"},
	{"\1\x92\4\0", "no record descriptor word (0192 0400)"},
	{"\1\x92\0\1", "no record descriptor word (0192 0001)"},
};

START_TEST(test_broken)
{
	add(one, 402);
	add(two, 591);
	add(one, 402);
	add(broken_words[_i].word, 4);
	add(one, 402);
	open_file();
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(smf_input_next(in, &raw, &err), 1);
	expect_error(broken_words[_i].says);
	expect_error(broken_words[_i].says);
	close_file();
	/* it is found, too, where it is early */
	memmove(file + 402, file + 1395, 406);
	size = 402 + 406;
	open_file();
	expect(one, 402, 0, 1);
	expect_error("at offset 402, after record 1: no record descriptor word");
	close_file();
}
END_TEST

START_TEST(test_broken_blocks)
{
	for (unsigned i = 0; i < 3; i++) {
		add_word(406, 0);
		add(one, 402);
	}
	add_word(406, 1);
	add(one, 402);
	open_file();
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(smf_input_next(in, &raw, &err), 1);
	expect_error("at offset 1218, after record 3: no block descriptor word (0196 0100)");
	close_file();
	size = 3 * 406;
	add_word(405, 0);
	add(one, 402);
	open_file();
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(smf_input_next(in, &raw, &err), 1);
	expect_error("at offset 1222, after record 3: a record that passes the end of its block");
	close_file();
}
END_TEST

START_TEST(test_read_error)
{
	int directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_eq(smf_input_open(directory, &in, &err), 0);
	ck_assert_int_eq(smf_input_next(in, &raw, &err), CS_ESYS);
	ck_assert_str_eq(err.text, "cannot read at offset 0: Is a directory");
	smf_input_close(in);
	close(directory);
}
END_TEST

/* Whatever is in a file, it is read to its end or to an error, and no byte beyond. */
START_TEST(test_random_files)
{
	uint64_t seed;
	unsigned records = 0, errors = 0;

	ck_assert_int_eq(getrandom(&seed, sizeof(seed), 0), sizeof(seed));
	printf("test_smf_input: seed %llu\n", (unsigned long long)seed);
	for (unsigned i = 0; i < 600; i++) {
		unsigned changes = smf_rand(&seed) % 4;
		int rc;

		size = 0;
		for (unsigned k = 0; k < 5; k++) {
			if (i % 2)
				add_word(4 + 402 + 591, 0);
			add(one, 402);
			if (i % 4 < 2)
				add(two, 591);
			else
				add_segments((const size_t[]){30, 400, 591}, 3);
		}
		size -= smf_rand(&seed) % 600;
		for (unsigned k = 0; k < changes; k++)
			file[smf_rand(&seed) % (smf_rand(&seed) % 2 ? 12 : size)] =
				(uint8_t)(smf_rand(&seed) % 8);
		open_file();
		while ((rc = smf_input_next(in, &raw, &err)) > 0) {
			ck_assert_uint_gt(raw.len, 4);
			ck_assert_uint_le(raw.offset + raw.len, size);
			records++;
		}
		errors += rc < 0;
		close_file();
	}
	ck_assert_uint_gt(records, 600);
	ck_assert_uint_gt(errors, 60);
}
END_TEST

/* ---- pipes ---- */

static void *trickle(void *arg)
{
	int end = *(int *)arg;
	uint64_t seed = 7;

	for (size_t at = 0, n; at < size; at += n) {
		n = 1 + smf_rand(&seed) % 700;
		n = n < size - at ? n : size - at;
		ck_assert_int_eq(write(end, file + at, n), (ssize_t)n);
	}
	close(end);
	return NULL;
}

START_TEST(test_pipe)
{
	pthread_t thread;
	int ends[2];

	for (unsigned i = 0; i < 150; i++)
		add(i % 2 ? two : one, i % 2 ? 591 : 402);
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, trickle, &ends[1]), 0);
	ck_assert_int_eq(smf_input_open(ends[0], &in, &err), 0);
	for (unsigned i = 0; i < 150; i++)
		expect(i % 2 ? two : one, i % 2 ? 591 : 402,
		       (uint64_t)i / 2 * 993 + (i % 2 ? 402 : 0), i + 1);
	expect_end(false, 0, 0);
	pthread_join(thread, NULL);
	smf_input_close(in);
	close(ends[0]);
}
END_TEST

/* A file much larger than the buffer. */
START_TEST(test_large_file)
{
	const unsigned rounds = 20;

	for (unsigned i = 0; i < 250; i++)
		add(i % 2 ? two : one, i % 2 ? 591 : 402);
	open_file();
	for (unsigned i = 1; i < rounds; i++)
		ck_assert_int_eq(pwrite(fd, file, size, (off_t)(i * size)), (ssize_t)size);
	for (unsigned i = 0; i < 250 * rounds; i++)
		expect(i % 2 ? two : one, i % 2 ? 591 : 402,
		       (uint64_t)i / 2 * 993 + (i % 2 ? 402 : 0), i + 1);
	expect_end(false, 0, 0);
	close_file();
}
END_TEST

/* ---- as far as may be read ---- */

START_TEST(test_limit)
{
	add(one, 402);
	add(two, 591);
	open_file();
	smf_input_limit(in, 0);
	expect_end(false, 0, 0);
	smf_input_limit(in, 402);
	expect(one, 402, 0, 1);
	expect_end(false, 0, 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 402);
	smf_input_limit(in, 500); /* whoever sets it in the middle of a record gets no half */
	expect_end(true, 402, 98);
	smf_input_limit(in, 993);
	expect(two, 591, 402, 2);
	expect_end(false, 0, 0);
	close_file();
}
END_TEST

static char dir[] = "/tmp/test_smf.XXXXXX";

/* One of the time when trmd had one source. */
START_TEST(test_old_checkpoint)
{
	static const char start[] = "SMFCKPT1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\x01\x92"
				    "\0\0\0\0\0\0\0\x07\0\x19"
				    "20260115T102030Z-0001.smf";
	static const uint8_t crc[] = {0xaa, 0xe1, 0x84, 0x68};
	uint8_t slot[512] = {0};
	char old[] = "/tmp/test_smf.XXXXXX";
	struct smf_checkpoint got;
	int d, f;

	ck_assert_ptr_nonnull(mkdtemp(old));
	d = open(old, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	memcpy(slot, start, sizeof(start) - 1);
	memcpy(slot + 508, crc, sizeof(crc));
	f = openat(d, SMF_CHECKPOINT, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(write(f, slot, sizeof(slot)), sizeof(slot));
	close(f);
	memset(&got, 0xee, sizeof(got));
	ck_assert_msg(smf_checkpoint_read(d, &got, &err) == 0, "%s", err.text);
	ck_assert_str_eq(got.file, "20260115T102030Z-0001.smf");
	ck_assert_uint_eq(got.length, 402);
	ck_assert_uint_eq(got.last_id[0], 7);
	ck_assert_uint_eq(got.last_id[1], 0);
	ck_assert_uint_eq(got.source, 0);
	ck_assert_uint_eq(got.identity[0] | got.identity[1], 0);
	ck_assert_int_eq(unlinkat(d, SMF_CHECKPOINT, 0), 0);
	close(d);
	ck_assert_int_eq(rmdir(old), 0);
}
END_TEST

START_TEST(test_checkpoint)
{
	struct smf_checkpoint cp = {.file = "20260115.smf",
				    .length = 402,
				    .last_id = {7, 8},
				    .identity = {9, UINT64_MAX}},
			      got;
	uint8_t bytes[1024], damaged[1024];
	int d, f;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	d = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(smf_checkpoint_read(d, &got, &err), CS_ENOTFOUND);
	for (unsigned i = 1; i < 5; i++) {
		cp.length = 402 * i;
		cp.last_id[0] = UINT64_MAX - i;
		cp.last_id[1] = UINT64_MAX / i;
		cp.source = i % SMF_SOURCES;
		ck_assert_msg(smf_checkpoint_write(d, &cp, &err) == 0, "%s", err.text);
		memset(&got, 0xee, sizeof(got));
		ck_assert_int_eq(smf_checkpoint_read(d, &got, &err), 0);
		ck_assert_str_eq(got.file, cp.file);
		ck_assert_uint_eq(got.length, cp.length);
		ck_assert_uint_eq(got.last_id[0], cp.last_id[0]);
		ck_assert_uint_eq(got.last_id[1], cp.last_id[1]);
		ck_assert_uint_eq(got.source, cp.source);
	}
	f = openat(d, SMF_CHECKPOINT, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(read(f, bytes, sizeof(bytes)), 1024);
	ck_assert_mem_eq(bytes, "SMFCKPT1\0\0\0\0\0\0\0\3\0\0\0\0\0\0\x04\xb6", 24);
	/* any byte of the newer slot is wrong: the older one counts, and is not written over next
	 */
	for (unsigned i = 512; i < 1024; i += 7) {
		memcpy(damaged, bytes, sizeof(damaged));
		damaged[i] ^= 0x10;
		ck_assert_int_eq(pwrite(f, damaged, 1024, 0), 1024);
		ck_assert_int_eq(smf_checkpoint_read(d, &got, &err), 0);
		ck_assert_uint_eq(got.length, 1206);
	}
	cp.length = 9999;
	ck_assert_int_eq(smf_checkpoint_write(d, &cp, &err), 0);
	ck_assert_int_eq(pread(f, damaged, 1024, 0), 1024);
	ck_assert_mem_eq(damaged, bytes, 512);
	ck_assert_int_eq(smf_checkpoint_read(d, &got, &err), 0);
	ck_assert_uint_eq(got.length, 9999);
	/* neither is good, or it ends too soon */
	memset(damaged, 0, sizeof(damaged));
	ck_assert_int_eq(pwrite(f, damaged, 1024, 0), 1024);
	ck_assert_int_eq(smf_checkpoint_read(d, &got, &err), CS_EPARSE);
	ck_assert_int_eq(pwrite(f, bytes, 1024, 0), 1024);
	ck_assert_int_eq(ftruncate(f, 700), 0);
	ck_assert_int_eq(smf_checkpoint_read(d, &got, &err), 0);
	ck_assert_uint_eq(got.length, 1206);
	ck_assert_int_eq(ftruncate(f, 300), 0);
	ck_assert_int_eq(smf_checkpoint_read(d, &got, &err), CS_EPARSE);
	ck_assert_str_eq(err.text, "checkpoint is damaged");
	close(f);
	cp.file[0] = '\0';
	ck_assert_int_eq(smf_checkpoint_write(d, &cp, &err), CS_EINVAL);
	strcpy(cp.file, "../x");
	ck_assert_int_eq(smf_checkpoint_write(d, &cp, &err), CS_EINVAL);
	memset(cp.file, 'n', sizeof(cp.file));
	ck_assert_int_eq(smf_checkpoint_write(d, &cp, &err), CS_EINVAL);
	cp.file[255] = '\0';
	ck_assert_int_eq(smf_checkpoint_write(d, &cp, &err), 0);
	ck_assert_int_eq(smf_checkpoint_read(d, &got, &err), 0);
	ck_assert_str_eq(got.file, cp.file);
	unlinkat(d, SMF_CHECKPOINT, 0);
	/* a link is not followed by who writes */
	ck_assert_int_eq(symlinkat("/dev/null", d, SMF_CHECKPOINT), 0);
	ck_assert_int_eq(smf_checkpoint_write(d, &cp, &err), CS_ESYS);
	unlinkat(d, SMF_CHECKPOINT, 0);
	close(d);
	rmdir(dir);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("smf_input");
	TCase *c = tcase_create("files");

	tcase_set_timeout(c, 600); /* of a machine that has much else to do */
	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_test(c, test_rdw_file);
	tcase_add_test(c, test_bdw_file);
	tcase_add_test(c, test_bdw_forms);
	tcase_add_test(c, test_midnight);
	tcase_add_test(c, test_other_types);
	tcase_add_test(c, test_empty);
	tcase_add_loop_test(c, test_refused, 0, sizeof(refused) / sizeof(refused[0]));
	tcase_add_test(c, test_segments);
	tcase_add_test(c, test_segments_in_blocks);
	tcase_add_test(c, test_broken_segments);
	tcase_add_test(c, test_cut);
	tcase_add_test(c, test_cut_block);
	tcase_add_loop_test(c, test_broken, 0, sizeof(broken_words) / sizeof(broken_words[0]));
	tcase_add_test(c, test_broken_blocks);
	tcase_add_test(c, test_read_error);
	tcase_add_test(c, test_random_files);
	tcase_add_test(c, test_pipe);
	tcase_add_test(c, test_large_file);
	tcase_add_test(c, test_limit);
	tcase_add_test(c, test_checkpoint);
	tcase_add_test(c, test_old_checkpoint);
	suite_add_tcase(s, c);
	return run_suite(s);
}
