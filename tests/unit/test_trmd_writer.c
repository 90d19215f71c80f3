/*
 * SMF files of trmd: names, rotation, compression, retention, and what is made of a directory that
 * a kill, a full disk or somebody's hand left.  Records here are of 100 bytes, each with its
 * number.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "smf/smf.h"
#include "tests/unit/run_suite.h"
#include "trmd/closed.h"
#include "trmd/writer.h"

#define RECORD 100
#define NOW    INT64_C(1768472430) /* 2026-01-15T10:20:30Z */
#define FIRST  "20260115T102030Z-0001.smf"
#define SECOND "20260115T102030Z-0002.smf"
#define THIRD  "20260115T102030Z-0003.smf"

static char dir[64];
static struct trmd_writer *w;
static struct cs_err err;
static const struct trmd_limits limits = {.bytes = 1000, .seconds = 3600};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void open_writer(void)
{
	ck_assert_int_eq(trmd_writer_new(dir, &limits, &w, &err), 0);
	if (trmd_writer_open(w, NOW, &err) < 0)
		ck_abort_msg("%s", err.text);
}

static void again(void)
{
	trmd_writer_free(w);
	open_writer();
}

static void setup(void)
{
	strcpy(dir, "/tmp/test_trmd_writer.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	open_writer();
}

static void teardown(void)
{
	trmd_writer_free(w);
	w = NULL;
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- records ---- */

static void fill(uint8_t *p, unsigned number)
{
	memset(p, 0, RECORD);
	p[1] = RECORD;
	p[5] = 119;
	memcpy(p + 50, &number, sizeof(number));
}

/* Records first to last in one append, of row last. */
static int append_at(unsigned first, unsigned last, int64_t now)
{
	uint8_t data[32 * RECORD];

	for (unsigned i = first; i <= last; i++)
		fill(data + (i - first) * RECORD, i);
	return trmd_writer_append(w, data, (last - first + 1) * RECORD, 0, last, now, &err);
}

static void append(unsigned first, unsigned last)
{
	if (append_at(first, last, NOW) < 0)
		ck_abort_msg("%s", err.text);
}

static const char *at(const char *leaf)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, leaf);
	return path;
}

static bool exists(const char *leaf)
{
	return access(at(leaf), F_OK) == 0;
}

static off_t size_of(const char *leaf)
{
	struct stat st;

	return stat(at(leaf), &st) == 0 ? st.st_size : -1;
}

static void put_file(const char *leaf, const void *data, size_t len, int flags)
{
	int fd = open(at(leaf), O_WRONLY | O_CREAT | flags, 0600);

	ck_assert(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	close(fd);
}

/* The records of a file, plain or compressed, up to limit bytes; the next number. */
static unsigned follow(const char *leaf, unsigned next, uint64_t limit)
{
	gzFile gz = gzopen(at(leaf), "rb");
	uint8_t record[RECORD], expected[RECORD];
	int n = 0;

	ck_assert_ptr_nonnull(gz);
	for (uint64_t pos = 0; pos < limit && (n = gzread(gz, record, RECORD)) > 0; pos += RECORD) {
		ck_assert_int_eq(n, RECORD);
		fill(expected, next);
		ck_assert_msg(memcmp(record, expected, RECORD) == 0, "%s: not record %u", leaf,
			      next);
		next++;
	}
	ck_assert_int_ge(n, 0);
	gzclose(gz);
	return next;
}

/* What a reader of the directory gets: records 1 to last, each once, in order. */
static void has_all(unsigned last)
{
	struct smf_checkpoint cp;
	struct trmd_file *files;
	unsigned n, next = 1;
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY);

	ck_assert_int_eq(smf_checkpoint_read(dirfd, &cp, &err), 0);
	ck_assert_uint_eq(cp.last_id[0], last);
	ck_assert_int_eq(trmd_files(dirfd, &files, &n, &err), 0);
	for (unsigned i = 0; i < n; i++) {
		int order = strcmp(files[i].name, cp.file);
		char gz[40];

		snprintf(gz, sizeof(gz), "%s.gz", files[i].name);
		if (order <= 0)
			next = follow(files[i].plain ? files[i].name : gz, next,
				      order < 0 ? UINT64_MAX : cp.length);
	}
	ck_assert_uint_eq(next, last + 1);
	free(files);
	close(dirfd);
}

/* ---- names ---- */

START_TEST(names)
{
	char name[TRMD_NAME_LEN + 1], last[TRMD_NAME_LEN + 1] = "";

	ck_assert_int_eq(trmd_next_name("", NOW, name, &err), 0);
	ck_assert_str_eq(name, FIRST);
	ck_assert_int_eq(trmd_name_time(name), NOW);
	ck_assert_int_eq(trmd_next_name(FIRST, NOW, name, &err), 0);
	ck_assert_str_eq(name, SECOND);
	ck_assert_int_eq(trmd_next_name(FIRST, NOW + 1, name, &err), 0);
	ck_assert_str_eq(name, "20260115T102031Z-0001.smf");
	/* the clock was set back */
	ck_assert_int_eq(trmd_next_name(FIRST, NOW - 86400, name, &err), 0);
	ck_assert_str_eq(name, SECOND);
	ck_assert_int_eq(trmd_next_name("20260115T102030Z-9999.smf", NOW - 5, name, &err), 0);
	ck_assert_str_eq(name, "20260115T102031Z-0001.smf");
	ck_assert_int_eq(trmd_next_name("", INT64_C(1) << 60, name, &err), CS_EINVAL);
	ck_assert_int_eq(trmd_name_time("x"), 0);
	for (int i = 0; i < 30000; i++) {
		ck_assert_int_eq(trmd_next_name(last, NOW - i % 7, name, &err), 0);
		ck_assert_int_gt(strcmp(name, last), 0);
		strcpy(last, name);
	}
}
END_TEST

/* ---- files ---- */

START_TEST(rotation_by_size)
{
	append(1, 4);
	append(5, 10); /* 1000 bytes: just full */
	ck_assert(!exists(SECOND));
	append(11, 11);
	ck_assert_int_eq(size_of(FIRST), 1000);
	ck_assert_int_eq(size_of(SECOND), 100);
	append(12, 41); /* more than a file may have goes into one of its own */
	append(42, 42);
	ck_assert_int_eq(size_of(THIRD), 3000);
	has_all(42);
	again();
	append(43, 43);
	has_all(43);
	ck_assert_int_eq(size_of("20260115T102030Z-0004.smf"), 200);
}
END_TEST

START_TEST(rotation_by_time)
{
	append(1, 1);
	ck_assert_int_eq(append_at(2, 2, NOW + 3599), 0);
	ck_assert_int_eq(append_at(3, 3, NOW + 3600), 0);
	ck_assert_int_eq(size_of("20260115T112030Z-0001.smf"), 100);
	/* without records, by the timer: when old, and not when empty */
	ck_assert_int_eq(trmd_writer_rotate(w, false, NOW + 7199, &err), 0);
	ck_assert_str_eq(trmd_writer_file(w), "20260115T112030Z-0001.smf");
	ck_assert_int_eq(trmd_writer_rotate(w, false, NOW + 7200, &err), 0);
	ck_assert_str_eq(trmd_writer_file(w), "20260115T122030Z-0001.smf");
	ck_assert_int_eq(trmd_writer_rotate(w, true, NOW + 99999, &err), 0);
	ck_assert_str_eq(trmd_writer_file(w), "20260115T122030Z-0001.smf");
	has_all(3);
}
END_TEST

/* Two writers of one directory would cut each other's records off. */
START_TEST(one_writer)
{
	struct trmd_writer *other;

	ck_assert_int_eq(trmd_writer_new(dir, &limits, &other, &err), 0);
	ck_assert_int_eq(trmd_writer_open(other, NOW, &err), CS_EEXIST);
	ck_assert_ptr_nonnull(strstr(err.text, "another writer"));
	ck_assert_int_eq(trmd_writer_append(other, (const uint8_t *)"x", 1, 0, 1, NOW, &err),
			 CS_EINVAL);
	trmd_writer_free(other);
}
END_TEST

/* ---- what a kill left ---- */

START_TEST(behind_the_checkpoint)
{
	uint8_t more[150] = {0};

	append(1, 3);
	trmd_writer_free(w);
	put_file(FIRST, more, sizeof(more), O_APPEND); /* written and never acknowledged */
	put_file(SECOND, "", 0, 0);                    /* begun and never named */
	open_writer();
	ck_assert_uint_eq(trmd_writer_last(w, 0), 3);
	ck_assert_int_eq(size_of(FIRST), 300);
	ck_assert(!exists(SECOND));
	append(4, 4);
	has_all(4);
}
END_TEST

START_TEST(no_checkpoint)
{
	append(1, 3);
	trmd_writer_free(w);
	unlink(at(SMF_CHECKPOINT));
	open_writer();
	/* what was there stays, and nobody knows what it was of */
	ck_assert_uint_eq(trmd_writer_last(w, 0), 0);
	ck_assert_str_eq(trmd_writer_file(w), SECOND);
	append(4, 4);
	has_all(4);
	/* killed before the first checkpoint: there is nothing to keep */
	trmd_writer_free(w);
	unlink(at(SMF_CHECKPOINT));
	unlink(at(FIRST));
	ck_assert_int_eq(truncate(at(SECOND), 0), 0);
	open_writer();
	ck_assert_str_eq(trmd_writer_file(w), THIRD);
	ck_assert(!exists(SECOND));
	append(1, 1);
	has_all(1);
}
END_TEST

START_TEST(damaged_checkpoint)
{
	uint8_t junk[1024];

	append(1, 3);
	trmd_writer_free(w);
	memset(junk, 'x', sizeof(junk));
	put_file(SMF_CHECKPOINT, junk, sizeof(junk), O_TRUNC);
	open_writer();
	ck_assert_uint_eq(trmd_writer_last(w, 0), 0);
	append(4, 4);
	has_all(4);
}
END_TEST

/* An old checkpoint, from a backup: records behind it are not thrown away. */
START_TEST(checkpoint_of_before)
{
	uint8_t old[1024];
	int fd;

	append(1, 3);
	fd = open(at(SMF_CHECKPOINT), O_RDONLY);
	ck_assert_int_eq(read(fd, old, sizeof(old)), sizeof(old));
	close(fd);
	append(4, 10);
	append(11, 12);
	trmd_writer_free(w);
	put_file(SMF_CHECKPOINT, old, sizeof(old), O_TRUNC);
	open_writer();
	ck_assert_int_eq(size_of(SECOND), 200);
	ck_assert_str_eq(trmd_writer_file(w), THIRD);
}
END_TEST

/* ---- somebody's hand ---- */

START_TEST(file_cut_or_gone)
{
	append(1, 5);
	ck_assert_int_eq(truncate(at(FIRST), 200), 0);
	ck_assert_int_lt(append_at(6, 6, NOW), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "another length"));
	ck_assert_int_eq(trmd_writer_open(w, NOW, &err), 0);
	ck_assert_uint_eq(trmd_writer_last(w, 0), 5);
	append(6, 6);
	ck_assert_int_eq(size_of(FIRST), 200);
	ck_assert_int_eq(size_of(SECOND), 100);
	unlink(at(SECOND));
	ck_assert_int_lt(append_at(7, 7, NOW), 0);
	ck_assert_int_eq(trmd_writer_open(w, NOW, &err), 0);
	append(7, 7);
	/* a reader that has seen the second one does not read that name again */
	ck_assert_str_eq(trmd_writer_file(w), THIRD);
	ck_assert_int_eq(size_of(THIRD), 100);
}
END_TEST

/* What a checkpoint of somebody else's names is not cut. */
START_TEST(checkpoint_names_another)
{
	static const char *const leaves[] = {"notes.txt", FIRST ".gz", ".."};
	struct smf_checkpoint cp = {.length = 2, .last_id = {7}};

	put_file("notes.txt", "mine", 4, 0);
	put_file(FIRST ".gz", "mine", 4, 0);
	for (unsigned i = 0; i < 3; i++) {
		strcpy(cp.file, leaves[i]);
		ck_assert_int_eq(smf_checkpoint_write(trmd_writer_dir(w), &cp, &err), 0);
		again();
		ck_assert_int_eq(size_of("notes.txt"), 4);
		ck_assert_int_eq(size_of(FIRST ".gz"), 4);
		ck_assert_uint_eq(trmd_writer_last(w, 0), 0);
	}
}
END_TEST

/* Each source has a last row of its own, and the tail is that of the one that wrote last. */
START_TEST(two_sources)
{
	uint8_t tail[3];

	append(1, 3);
	ck_assert(trmd_writer_tail(w, 0, tail, 3) && !trmd_writer_tail(w, 1, tail, 3));
	ck_assert_int_eq(trmd_writer_append(w, (const uint8_t *)"abc", 3, 1, 700, NOW, &err), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(trmd_writer_last(w, 0), 3);
		ck_assert_uint_eq(trmd_writer_last(w, 1), 700);
		ck_assert(!trmd_writer_tail(w, 0, tail, 3) && trmd_writer_tail(w, 1, tail, 3));
		ck_assert_mem_eq(tail, "abc", 3);
		again();
	}
	ck_assert_int_eq(trmd_writer_follow(w, 0, 0, 0, &err), 0);
	again();
	ck_assert_uint_eq(trmd_writer_last(w, 0), 0);
	ck_assert_uint_eq(trmd_writer_last(w, 1), 700);
}
END_TEST

START_TEST(directory_gone)
{
	char aside[80];

	snprintf(aside, sizeof(aside), "%s.aside", dir);
	append(1, 1);
	ck_assert_int_eq(rename(dir, aside), 0);
	ck_assert_int_lt(append_at(2, 2, NOW), 0);
	ck_assert_int_lt(trmd_writer_open(w, NOW, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "No such file"));
	ck_assert_int_eq(rename(aside, dir), 0);
	ck_assert_int_eq(trmd_writer_open(w, NOW, &err), 0);
	append(2, 2);
	has_all(2);
	/* another one in its place */
	ck_assert_int_eq(rename(dir, aside), 0);
	ck_assert_int_eq(mkdir(dir, 0700), 0);
	ck_assert_int_lt(append_at(3, 3, NOW), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "another directory"));
	ck_assert_int_eq(trmd_writer_open(w, NOW, &err), 0);
	ck_assert_uint_eq(trmd_writer_last(w, 0), 0);
	nftw(aside, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
END_TEST

/* ---- no room ---- */

/*
 * With files of at most that many bytes.  Not for assertions: Check, too, writes a file with each.
 */
static int limited(rlim_t bytes, int (*fn)(void))
{
	struct rlimit limit = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};
	int rc;

	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	rc = fn();
	limit.rlim_cur = RLIM_INFINITY;
	setrlimit(RLIMIT_FSIZE, &limit);
	return rc;
}

static int append_4(void)
{
	return append_at(4, 4, NOW);
}

static int reopen(void)
{
	return trmd_writer_open(w, NOW, &err);
}

START_TEST(full_disk)
{
	append(1, 3);
	/* a part of the record still fits */
	for (int i = 0; i < 3; i++) {
		ck_assert_int_lt(limited(350, append_4), 0);
		ck_assert_ptr_nonnull(strstr(err.text, i ? "not open" : "File too large"));
		/* the checkpoint is larger than that, too */
		ck_assert_int_lt(limited(350, reopen), 0);
	}
	ck_assert_int_eq(limited(1024, reopen), 0);
	ck_assert_int_eq(size_of(FIRST), 300);
	ck_assert_int_eq(limited(1024, append_4), 0);
	has_all(4);
}
END_TEST

/* A small file system of our own, full, then read-only. False: not allowed here. */
static bool mount_small(void)
{
	return geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("tmpfs", dir, "tmpfs", 0, "size=64k") == 0;
}

START_TEST(full_and_read_only)
{
	uint8_t block[4096] = {0};
	unsigned n = 0;
	int fd;

	trmd_writer_free(w);
	w = NULL;
	if (!mount_small())
		return;
	open_writer();
	append(1, 2);
	fd = open(at("filler"), O_WRONLY | O_CREAT, 0600);
	while (write(fd, block, sizeof(block)) > 0)
		n++;
	close(fd);
	ck_assert_uint_gt(n, 5);
	for (unsigned next = 3; append_at(next, next + 9, NOW) == 0; next += 10)
		n = next + 9;
	ck_assert_ptr_nonnull(strstr(err.text, "No space left"));
	trmd_writer_open(w, NOW, &err);
	ck_assert_int_lt(append_at(n + 1, n + 30, NOW), 0);
	unlink(at("filler"));
	ck_assert_int_eq(trmd_writer_open(w, NOW, &err), 0);
	n = (unsigned)trmd_writer_last(w, 0);
	append(n + 1, n + 3);
	n += 3;
	has_all(n);
	ck_assert_int_eq(trmd_writer_open(w, NOW, &err), 0);
	/* nobody may have a file open for writing while it becomes read-only */
	trmd_writer_free(w);
	ck_assert_int_eq(mount(NULL, dir, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	ck_assert_int_eq(trmd_writer_new(dir, &limits, &w, &err), 0);
	ck_assert_int_lt(trmd_writer_open(w, NOW, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "Read-only"));
	ck_assert_int_eq(mount(NULL, dir, NULL, MS_REMOUNT, "size=64k"), 0);
	ck_assert_int_eq(trmd_writer_open(w, NOW, &err), 0);
	append(n + 1, n + 1);
	has_all(n + 1);
	trmd_writer_free(w);
	w = NULL;
	ck_assert_int_eq(umount2(dir, MNT_DETACH), 0);
}
END_TEST

/* ---- closed files ---- */

static unsigned tidy(const struct trmd_keep *keep, int64_t now)
{
	unsigned removed;

	if (trmd_closed_tidy(trmd_writer_dir(w), trmd_writer_file(w), keep, now, &removed, &err) <
	    0)
		ck_abort_msg("%s", err.text);
	return removed;
}

START_TEST(compression)
{
	const struct trmd_keep keep = {.compress = true};

	append(1, 10);
	append(11, 20);
	append(21, 21);
	ck_assert_uint_eq(tidy(&keep, NOW), 0);
	ck_assert(!exists(FIRST) && exists(FIRST ".gz"));
	ck_assert(!exists(SECOND) && exists(SECOND ".gz"));
	ck_assert_int_lt(size_of(FIRST ".gz"), 500);
	has_all(21);
	again();
	append(22, 22);
	has_all(22);
	ck_assert_uint_eq(tidy(&keep, NOW), 0);
	has_all(22);
}
END_TEST

/* A kill between the two names, or in the middle of compressing. */
START_TEST(compression_cut_short)
{
	const struct trmd_keep keep = {.compress = true}, plain = {.compress = false};
	char command[256];

	append(1, 10);
	append(11, 20);
	append(21, 21);
	put_file(FIRST ".gz.tmp", "half", 4, 0);
	snprintf(command, sizeof(command), "gzip -k %s/%s", dir, SECOND);
	ck_assert_int_eq(system(command), 0);
	has_all(21);
	/* files are left as they are, and that one may be of somebody who is at it just now */
	tidy(&plain, NOW);
	ck_assert(!exists(FIRST ".gz.tmp") && exists(FIRST) && exists(SECOND));
	has_all(21);
	tidy(&keep, NOW);
	ck_assert(!exists(FIRST) && exists(FIRST ".gz") && !exists(SECOND));
	has_all(21);
}
END_TEST

/* Somebody's own compression has begun, and comes to no end. */
START_TEST(compressed_by_somebody)
{
	const struct trmd_keep keep = {.compress = true};

	append(1, 10);
	append(11, 11);
	put_file(FIRST ".gz", "half", 4, 0);
	tidy(&keep, NOW);
	ck_assert(!exists(FIRST));
	has_all(11);
}
END_TEST

/* What cannot be compressed keeps nothing else from it, and nobody waits for a pipe's writer. */
START_TEST(no_file)
{
	const struct trmd_keep keep = {.compress = true};
	unsigned removed;

	append(1, 10);
	append(11, 20);
	append(21, 21);
	ck_assert_int_eq(mkfifo(at("20250101T000000Z-0001.smf"), 0600), 0);
	ck_assert_int_eq(symlink("/etc/passwd", at("20250101T000000Z-0002.smf")), 0);
	ck_assert_int_eq(trmd_closed_tidy(trmd_writer_dir(w), trmd_writer_file(w), &keep, NOW,
					  &removed, &err),
			 CS_EINVAL);
	ck_assert_str_eq(err.text, "20250101T000000Z-0001.smf is no file");
	ck_assert(exists(FIRST ".gz") && !exists(FIRST) && !exists(SECOND));
	ck_assert(!exists("20250101T000000Z-0002.smf.gz"));
}
END_TEST

static int compress_all(void)
{
	const struct trmd_keep keep = {.compress = true};
	unsigned removed;

	return trmd_closed_tidy(trmd_writer_dir(w), trmd_writer_file(w), &keep, NOW, &removed,
				&err);
}

START_TEST(compression_without_room)
{
	append(1, 10);
	append(11, 11);
	ck_assert_int_lt(limited(10, compress_all), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "cannot be compressed"));
	ck_assert(exists(FIRST) && !exists(FIRST ".gz") && !exists(FIRST ".gz.tmp"));
	has_all(11);
	ck_assert_int_eq(limited(1024, compress_all), 0);
	ck_assert(exists(FIRST ".gz"));
	has_all(11);
}
END_TEST

START_TEST(retention)
{
	const struct trmd_keep three = {.compress = true, .files = 3}, week = {.days = 7};
	const int64_t day = 86400;

	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(append_at(i + 1, i + 1, NOW + i * day), 0);
	put_file("20250101T000000Z-0001.smf.keep", "mine", 4, 0);
	put_file("notes.smf", "mine", 4, 0);
	/* The file of day i ends on day i + 1; on day 9 + 3/4 those that ended before 2 3/4 go. */
	ck_assert_uint_eq(tidy(&week, NOW + 9 * day + day * 3 / 4), 2);
	ck_assert(!exists("20260116T102030Z-0001.smf") && exists("20260117T102030Z-0001.smf"));
	ck_assert_uint_eq(tidy(&three, NOW), 5);
	ck_assert(!exists("20260121T102030Z-0001.smf") && exists("20260122T102030Z-0001.smf.gz"));
	ck_assert(exists("20260123T102030Z-0001.smf.gz") && exists("20260124T102030Z-0001.smf"));
	ck_assert(exists("20250101T000000Z-0001.smf.keep") && exists("notes.smf"));
	/* never the newest, however old */
	ck_assert_uint_eq(tidy(&week, NOW + 1000 * day), 2);
	ck_assert(exists("20260124T102030Z-0001.smf"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("trmd_writer");
	TCase *tc = tcase_create("writer");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, names);
	tcase_add_test(tc, rotation_by_size);
	tcase_add_test(tc, rotation_by_time);
	tcase_add_test(tc, one_writer);
	tcase_add_test(tc, behind_the_checkpoint);
	tcase_add_test(tc, no_checkpoint);
	tcase_add_test(tc, damaged_checkpoint);
	tcase_add_test(tc, checkpoint_of_before);
	tcase_add_test(tc, file_cut_or_gone);
	tcase_add_test(tc, checkpoint_names_another);
	tcase_add_test(tc, two_sources);
	tcase_add_test(tc, directory_gone);
	tcase_add_test(tc, full_disk);
	tcase_add_test(tc, full_and_read_only);
	tcase_add_test(tc, compression);
	tcase_add_test(tc, compression_cut_short);
	tcase_add_test(tc, compressed_by_somebody);
	tcase_add_test(tc, no_file);
	tcase_add_test(tc, compression_without_room);
	tcase_add_test(tc, retention);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
