/*
 * The writer of SMF files.  Order of a batch: bytes, fdatasync, checkpoint (synced).  Order of a
 * new file: the empty file, its name on the disk, a checkpoint that names it, then bytes.  So what
 * stands behind the checkpoint's length, and an empty file of a later name, is what a kill left.
 *
 * After any error all is closed and the directory looked at anew.  The checkpoint is written again
 * then: one whose sync failed can be read, though it may not be on the disk.
 */
#include "trmd/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/paths.h"
#include "smf/smf.h"
#include "trmd/closed.h"

struct trmd_writer {
	char path[CS_PATH_MAX];
	struct trmd_limits limits;
	int dirfd, fd; /* -1: closed */
	struct smf_checkpoint cp;
	char newest[TRMD_NAME_LEN + 1]; /* of all files; a new one gets a greater name */
	bool suspect; /* a sync of the newest file failed: nothing more is put there */
	bool told;    /* what is wrong with the directory was logged */
};

int trmd_writer_new(const char *dir, const struct trmd_limits *limits, struct trmd_writer **writer,
		    struct cs_err *err)
{
	struct trmd_writer *w;

	if (strlen(dir) >= sizeof(w->path))
		return cs_fail(err, CS_EINVAL, "the path of the directory is too long");
	w = calloc(1, sizeof(*w));
	if (!w)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	strcpy(w->path, dir);
	w->limits = *limits;
	w->dirfd = w->fd = -1;
	*writer = w;
	return 0;
}

static void close_file(struct trmd_writer *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

static void close_all(struct trmd_writer *w)
{
	close_file(w);
	if (w->dirfd >= 0)
		close(w->dirfd);
	w->dirfd = -1;
}

void trmd_writer_free(struct trmd_writer *w)
{
	if (!w)
		return;
	close_all(w);
	free(w);
}

/* ---- a new file ---- */

static int begin_file(struct trmd_writer *w, int64_t now, struct cs_err *err)
{
	char name[TRMD_NAME_LEN + 1];
	int rc = trmd_next_name(w->newest, now, name, err);

	if (rc < 0)
		return rc;
	close_file(w);
	w->fd = openat(w->dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (w->fd < 0)
		return cs_fail_errno(err, "cannot make %s/%s", w->path, name);
	strcpy(w->newest, name);
	if (fsync(w->dirfd) < 0)
		return cs_fail_errno(err, "cannot sync %s", w->path);
	strcpy(w->cp.file, name);
	w->cp.length = 0;
	rc = smf_checkpoint_write(w->dirfd, &w->cp, err);
	if (rc == 0)
		w->suspect = false;
	return rc < 0 ? cs_err_prefix(err, "%s", w->path) : 0;
}

/* ---- what is there ---- */

/* Files behind the checkpoint's: an empty one was begun and not yet named by it. */
static int drop_unnamed(struct trmd_writer *w, const struct trmd_file *files, unsigned n,
			bool *strange, struct cs_err *err)
{
	for (unsigned i = 0; i < n; i++) {
		if (strcmp(files[i].name, w->cp.file) <= 0)
			continue;
		if (files[i].gz || files[i].size > 0)
			*strange = true;
		else if (unlinkat(w->dirfd, files[i].name, 0) < 0)
			return cs_fail_errno(err, "cannot remove %s/%s", w->path, files[i].name);
	}
	return 0;
}

/* Cuts the newest file back to what is safe. False: it cannot be gone on with. */
static int cut_back(struct trmd_writer *w, bool *usable, struct cs_err *err)
{
	struct stat st;

	*usable = false;
	w->fd = openat(w->dirfd, w->cp.file, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (w->fd < 0 && errno != ENOENT)
		return cs_fail_errno(err, "cannot open %s/%s", w->path, w->cp.file);
	if (w->fd >= 0 && fstat(w->fd, &st) < 0)
		return cs_fail_errno(err, "cannot look at %s/%s", w->path, w->cp.file);
	if (w->fd < 0 || (uint64_t)st.st_size < w->cp.length) {
		if (!w->told)
			cs_log(CS_NOCTX, CSM_TR_SHORT, w->path, w->cp.file,
			       (unsigned long long)w->cp.length,
			       w->fd < 0 ? 0 : (long long)st.st_size);
		return 0;
	}
	if ((uint64_t)st.st_size > w->cp.length &&
	    (ftruncate(w->fd, (off_t)w->cp.length) < 0 || fsync(w->fd) < 0))
		return cs_fail_errno(err, "cannot cut %s/%s", w->path, w->cp.file);
	*usable = true;
	return 0;
}

/* Without a checkpoint files that have records are kept as they are. */
static int without_checkpoint(struct trmd_writer *w, const struct trmd_file *files, unsigned n,
			      const struct cs_err *why, int64_t now, struct cs_err *err)
{
	bool strange = false; /* a checkpoint that was never written whole is no news */
	int rc;

	w->cp = (struct smf_checkpoint){.length = 0};
	rc = drop_unnamed(w, files, n, &strange, err);
	if (rc < 0)
		return rc;
	if (strange && !w->told)
		cs_log(CS_NOCTX, CSM_TR_CHECKPOINT, w->path, why->text);
	w->told = true;
	return begin_file(w, now, err);
}

static int with_checkpoint(struct trmd_writer *w, const struct trmd_file *files, unsigned n,
			   int64_t now, struct cs_err *err)
{
	bool strange = false, usable = false;
	int rc = drop_unnamed(w, files, n, &strange, err);

	/* No name is used again, not even of a file that somebody has removed. */
	if (strcmp(w->cp.file, w->newest) > 0)
		memcpy(w->newest, w->cp.file, sizeof(w->newest));
	if (rc == 0)
		rc = cut_back(w, &usable, err);
	if (rc < 0)
		return rc;
	if (strange && !w->told)
		cs_log(CS_NOCTX, CSM_TR_CHECKPOINT, w->path, "there are records behind it");
	w->told = true;
	if (strange || !usable || w->suspect)
		return begin_file(w, now, err);
	rc = smf_checkpoint_write(w->dirfd, &w->cp, err);
	return rc < 0 ? cs_err_prefix(err, "%s", w->path) : 0;
}

static int take_directory(struct trmd_writer *w, struct cs_err *err)
{
	w->dirfd = open(w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->dirfd < 0)
		return cs_fail_errno(err, "cannot open %s", w->path);
	if (flock(w->dirfd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			       ? cs_fail(err, CS_EEXIST, "%s has another writer", w->path)
			       : cs_fail_errno(err, "cannot lock %s", w->path);
	return 0;
}

static int take_files(struct trmd_writer *w, int64_t now, struct cs_err *err)
{
	struct trmd_file *files;
	struct cs_err why = {0};
	unsigned n;
	int rc = trmd_files(w->dirfd, &files, &n, err), there;

	if (rc < 0)
		return cs_err_prefix(err, "%s", w->path);
	w->newest[0] = '\0';
	if (n > 0)
		strcpy(w->newest, files[n - 1].name);
	there = smf_checkpoint_read(w->dirfd, &w->cp, &why);
	/* It is as others left it, and what it names is cut. */
	if (there == 0 && (strlen(w->cp.file) != TRMD_NAME_LEN || trmd_name_time(w->cp.file) == 0))
		there = cs_fail(&why, CS_EPARSE, "it names no file of trmd's");
	if (there == 0)
		rc = with_checkpoint(w, files, n, now, err);
	else if (there == CS_ENOTFOUND || there == CS_EPARSE)
		rc = without_checkpoint(w, files, n, &why, now, err);
	else
		rc = cs_fail(err, why.code, "%s: %s", w->path, why.text);
	free(files);
	return rc;
}

int trmd_writer_open(struct trmd_writer *w, int64_t now, struct cs_err *err)
{
	int rc;

	if (w->fd >= 0)
		return 0;
	rc = take_directory(w, err);
	if (rc == 0)
		rc = take_files(w, now, err);
	if (rc < 0)
		close_all(w);
	else
		w->told = false;
	return rc;
}

uint64_t trmd_writer_last(const struct trmd_writer *w, unsigned source)
{
	return w->cp.last_id[source];
}

/* ---- writing ---- */

/* An open file goes on taking bytes when its name, or its directory, is gone. */
static int still_there(struct trmd_writer *w, struct cs_err *err)
{
	struct stat ours, there;

	/* In the words of take_directory(): it is told once. */
	if (stat(w->path, &there) < 0)
		return cs_fail_errno(err, "cannot open %s", w->path);
	if (fstat(w->dirfd, &ours) < 0 || ours.st_dev != there.st_dev ||
	    ours.st_ino != there.st_ino)
		return cs_fail(err, CS_ENOTFOUND, "%s is another directory than before", w->path);
	if (fstatat(w->dirfd, w->cp.file, &there, AT_SYMLINK_NOFOLLOW) < 0)
		return cs_fail_errno(err, "%s/%s", w->path, w->cp.file);
	if (fstat(w->fd, &ours) < 0 || ours.st_ino != there.st_ino)
		return cs_fail(err, CS_ENOTFOUND, "%s/%s is another file than before", w->path,
			       w->cp.file);
	if ((uint64_t)ours.st_size != w->cp.length)
		return cs_fail(err, CS_ESYS, "%s/%s has another length than was written", w->path,
			       w->cp.file);
	return 0;
}

static bool is_old(const struct trmd_writer *w, int64_t now)
{
	return w->limits.seconds && now - trmd_name_time(w->cp.file) >= w->limits.seconds;
}

static int write_all(struct trmd_writer *w, const uint8_t *data, size_t len, struct cs_err *err)
{
	off_t at = (off_t)w->cp.length;

	while (len > 0) {
		ssize_t n = pwrite(w->fd, data, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return cs_fail_errno(err, "cannot write %s/%s", w->path, w->cp.file);
		data += n;
		at += n;
		len -= (size_t)n;
	}
	if (fdatasync(w->fd) < 0) {
		/* The kernel may forget such an error, and what it could not write. */
		w->suspect = true;
		return cs_fail_errno(err, "cannot sync %s/%s", w->path, w->cp.file);
	}
	return 0;
}

static int put(struct trmd_writer *w, const uint8_t *data, size_t len, unsigned source,
	       uint64_t last, int64_t now, struct cs_err *err)
{
	struct smf_checkpoint next;
	int rc = still_there(w, err);

	if (rc == 0 && w->cp.length > 0 && (w->cp.length + len > w->limits.bytes || is_old(w, now)))
		rc = begin_file(w, now, err);
	if (rc == 0)
		rc = write_all(w, data, len, err);
	if (rc < 0)
		return rc;
	next = w->cp;
	next.length += len;
	next.last_id[source] = last;
	next.source = source;
	rc = smf_checkpoint_write(w->dirfd, &next, err);
	if (rc < 0)
		return cs_err_prefix(err, "%s", w->path);
	w->cp = next;
	return 0;
}

int trmd_writer_append(struct trmd_writer *w, const uint8_t *data, size_t len, unsigned source,
		       uint64_t last, int64_t now, struct cs_err *err)
{
	int rc = w->fd < 0 ? cs_fail(err, CS_EINVAL, "the writer is not open")
			   : put(w, data, len, source, last, now, err);

	if (rc < 0)
		close_all(w);
	return rc;
}

bool trmd_writer_tail(const struct trmd_writer *w, unsigned source, uint8_t *data, size_t len)
{
	return w->fd >= 0 && w->cp.source == source && w->cp.length >= len &&
	       pread(w->fd, data, len, (off_t)(w->cp.length - len)) == (ssize_t)len;
}

uint64_t trmd_writer_identity(const struct trmd_writer *w, unsigned source)
{
	return w->cp.identity[source];
}

int trmd_writer_follow(struct trmd_writer *w, unsigned source, uint64_t last, uint64_t identity,
		       struct cs_err *err)
{
	int rc;

	w->cp.last_id[source] = last;
	w->cp.identity[source] = identity;
	rc = smf_checkpoint_write(w->dirfd, &w->cp, err);
	if (rc < 0)
		close_all(w);
	return rc < 0 ? cs_err_prefix(err, "%s", w->path) : 0;
}

int trmd_writer_rotate(struct trmd_writer *w, bool always, int64_t now, struct cs_err *err)
{
	int rc = 0;

	if (w->fd < 0 || w->cp.length == 0 || (!always && !is_old(w, now)))
		return 0;
	rc = still_there(w, err);
	if (rc == 0)
		rc = begin_file(w, now, err);
	if (rc < 0)
		close_all(w);
	return rc;
}

int trmd_writer_dir(const struct trmd_writer *w)
{
	return w->dirfd;
}

const char *trmd_writer_file(const struct trmd_writer *w)
{
	return w->cp.file;
}
