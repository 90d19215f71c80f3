/*
 * Names and closed files of an SMF directory.  A compressed file gets its name when it is whole and
 * on the disk, and only then the plain one goes: at any time one of the two has all records.
 */
#include "trmd/closed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define GZ         ".gz"
#define TMP        ".gz.tmp"
#define NUMBER_MAX 9999
#define PIECE      65536
#define DAY        86400

/* ---- names ---- */

/* The length of our own part of name, 0: it is not like ours. */
static size_t is_ours(const char *name)
{
	static const char shape[] = "dddddddd" /* day */
				    "Tdddddd"  /* time */
				    "Z-dddd.smf";

	for (size_t i = 0; shape[i]; i++)
		if (shape[i] == 'd' ? name[i] < '0' || name[i] > '9' : name[i] != shape[i])
			return 0;
	return TRMD_NAME_LEN;
}

int64_t trmd_name_time(const char *name)
{
	struct tm tm = {0};

	if (!is_ours(name) || !strptime(name, "%Y%m%dT%H%M%SZ", &tm))
		return 0;
	return timegm(&tm);
}

int trmd_next_name(const char *newest, int64_t now, char name[static TRMD_NAME_LEN + 1],
		   struct cs_err *err)
{
	int64_t last = newest[0] ? trmd_name_time(newest) : 0;
	unsigned number = 1;
	time_t stamp;
	struct tm tm;

	if (last >= now) {
		number = (unsigned)strtoul(newest + sizeof("dddddddTddddddZ-"), NULL, 10) + 1;
		now = last;
	}
	if (number > NUMBER_MAX) {
		number = 1;
		now++;
	}
	stamp = (time_t)now;
	/* Four digits of a year, or the names would not be in order any more. */
	if (!gmtime_r(&stamp, &tm) || tm.tm_year < 0 || tm.tm_year >= 8100)
		return cs_fail(err, CS_EINVAL, "the clock has no time that a file can be named by");
	snprintf(name, TRMD_NAME_LEN + 1, "%04u%02u%02uT%02u%02u%02uZ-%04u.smf",
		 (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
		 (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
		 (unsigned)tm.tm_sec % 100, number);
	return 0;
}

/* ---- the directory ---- */

static DIR *list_of(int dirfd)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);

	if (!list && fd >= 0)
		close(fd);
	return list;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct trmd_file *)a)->name, ((const struct trmd_file *)b)->name);
}

/* The plain and the compressed file of one name are one. */
static unsigned merge(struct trmd_file *files, unsigned n)
{
	unsigned to = 0;

	for (unsigned i = 0; i < n; i++) {
		if (to > 0 && strcmp(files[to - 1].name, files[i].name) == 0) {
			files[to - 1].plain |= files[i].plain;
			files[to - 1].gz |= files[i].gz;
			files[to - 1].size += files[i].size;
		} else {
			files[to++] = files[i];
		}
	}
	return to;
}

static void look(int dirfd, const char *name, struct trmd_file *f)
{
	struct stat st;

	*f = (struct trmd_file){.size = 0};
	memcpy(f->name, name, TRMD_NAME_LEN);
	f->plain = !name[TRMD_NAME_LEN];
	f->gz = !f->plain;
	if (f->plain && fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		f->size = (uint64_t)st.st_size;
}

int trmd_files(int dirfd, struct trmd_file **files, unsigned *n, struct cs_err *err)
{
	DIR *list = list_of(dirfd);
	struct trmd_file *all = NULL;
	const struct dirent *entry;
	unsigned used = 0;

	if (!list)
		return cs_fail_errno(err, "cannot read the directory");
	while ((entry = readdir(list))) {
		size_t len = is_ours(entry->d_name);
		struct trmd_file *more;

		if (!len || (entry->d_name[len] && strcmp(entry->d_name + len, GZ) != 0))
			continue;
		more = used % 64 ? all : reallocarray(all, used + 64, sizeof(*all));
		if (!more) {
			closedir(list);
			free(all);
			return cs_fail(err, CS_ENOMEM, "out of memory");
		}
		all = more;
		look(dirfd, entry->d_name, &all[used++]);
	}
	closedir(list);
	if (used)
		qsort(all, used, sizeof(*all), by_name);
	*n = merge(all, used);
	*files = all;
	return 0;
}

/* ---- compressing ---- */

static int copy(int from, gzFile to, const char *name, struct cs_err *err)
{
	unsigned char piece[PIECE];
	ssize_t n;

	while ((n = read(from, piece, sizeof(piece))) > 0)
		if (gzwrite(to, piece, (unsigned)n) != (int)n)
			return cs_fail_errno(err, "%s cannot be compressed", name);
	return n < 0 ? cs_fail_errno(err, "%s cannot be read", name) : 0;
}

/* fd stays open, so that it can be synced behind the last byte. */
static int compress_to(int from, int fd, const char *name, struct cs_err *err)
{
	int twin = fcntl(fd, F_DUPFD_CLOEXEC, 0), rc;
	gzFile gz = twin < 0 ? NULL : gzdopen(twin, "wb6");

	if (!gz) {
		if (twin >= 0)
			close(twin);
		return cs_fail(err, CS_ENOMEM, "%s cannot be compressed: no memory or descriptors",
			       name);
	}
	rc = copy(from, gz, name, err);
	if (gzclose(gz) != Z_OK && rc == 0)
		rc = cs_fail_errno(err, "%s cannot be compressed", name);
	if (rc == 0 && fsync(fd) < 0)
		rc = cs_fail_errno(err, "%s" GZ " cannot be synced", name);
	return rc;
}

static int sync_dir(int dirfd, struct cs_err *err)
{
	return fsync(dirfd) < 0 ? cs_fail_errno(err, "cannot sync the directory") : 0;
}

static int compress_file(int dirfd, const char *name, struct cs_err *err)
{
	char gz[TRMD_NAME_LEN + sizeof(GZ)], tmp[TRMD_NAME_LEN + sizeof(TMP)];
	int from = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), to, rc;
	struct stat st;

	if (from < 0)
		return cs_fail_errno(err, "cannot open %s", name);
	if (fstat(from, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(from);
		return cs_fail(err, CS_EINVAL, "%s is no file", name);
	}
	snprintf(gz, sizeof(gz), "%s" GZ, name);
	snprintf(tmp, sizeof(tmp), "%s" TMP, name);
	/* Leftovers of that name are gone; what is there is somebody's. */
	to = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (to < 0) {
		rc = cs_fail_errno(err, "cannot make %s", tmp);
		close(from);
		return rc;
	}
	rc = compress_to(from, to, name, err);
	close(to);
	close(from);
	if (rc == 0 && renameat(dirfd, tmp, dirfd, gz) < 0)
		rc = cs_fail_errno(err, "cannot rename %s", tmp);
	if (rc < 0)
		unlinkat(dirfd, tmp, 0);
	else
		rc = sync_dir(dirfd, err);
	return rc;
}

static int drop_plain(int dirfd, const char *name, struct cs_err *err)
{
	if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
		return cs_fail_errno(err, "cannot remove %s", name);
	return 0;
}

/* Halves of compressed files that nobody finishes any more. */
static void drop_leftovers(int dirfd)
{
	DIR *list = list_of(dirfd);
	const struct dirent *entry;

	while (list && (entry = readdir(list))) {
		size_t len = is_ours(entry->d_name);

		if (len && strcmp(entry->d_name + len, TMP) == 0)
			unlinkat(dirfd, entry->d_name, 0);
	}
	if (list)
		closedir(list);
}

/* ---- keeping ---- */

static int remove_file(int dirfd, const struct trmd_file *f, struct cs_err *err)
{
	char gz[TRMD_NAME_LEN + sizeof(GZ)];
	int rc = f->plain ? drop_plain(dirfd, f->name, err) : 0;

	snprintf(gz, sizeof(gz), "%s" GZ, f->name);
	return rc == 0 && f->gz ? drop_plain(dirfd, gz, err) : rc;
}

/* When the next file begins, this one has its last record. */
static bool is_old(const struct trmd_file *f, const struct trmd_file *end, const char *current,
		   const struct trmd_keep *keep, int64_t now)
{
	const char *next = f + 1 < end ? f[1].name : current;

	return keep->days && trmd_name_time(next) < now - (int64_t)keep->days * DAY;
}

/*
 * Who has both names is compressed once more: the compressed file may be somebody else's, and not
 * whole yet.
 */
static int pack(int dirfd, const char *name, struct cs_err *err)
{
	int rc = compress_file(dirfd, name, err);

	return rc == 0 ? drop_plain(dirfd, name, err) : rc;
}

/* A file that nothing can be done with does not keep the others from it; the first is told of. */
static int tidy(int dirfd, struct trmd_file *files, unsigned n, const char *current,
		const struct trmd_keep *keep, int64_t now, unsigned *removed, struct cs_err *err)
{
	struct cs_err why;
	int first = 0;

	for (unsigned i = 0; i < n; i++) {
		struct trmd_file *f = &files[i];
		int rc = 0;

		if ((keep->files && n - i + 1 > keep->files) ||
		    is_old(f, files + n, current, keep, now)) {
			rc = remove_file(dirfd, f, &why);
			*removed += rc == 0;
		} else if (f->plain && keep->compress) {
			rc = pack(dirfd, f->name, &why);
		}
		if (rc < 0 && first == 0) {
			first = rc;
			*err = why;
		}
	}
	return first;
}

int trmd_closed_tidy(int dirfd, const char *current, const struct trmd_keep *keep, int64_t now,
		     unsigned *removed, struct cs_err *err)
{
	struct trmd_file *files;
	unsigned n, before = 0;
	int rc = trmd_files(dirfd, &files, &n, err);

	*removed = 0;
	if (rc < 0)
		return rc;
	while (before < n && strcmp(files[before].name, current) < 0)
		before++;
	drop_leftovers(dirfd);
	rc = tidy(dirfd, files, before, current, keep, now, removed, err);
	free(files);
	return rc;
}
