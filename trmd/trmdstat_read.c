/*
 * trmdstat: files, pipes and directories.  All goes through zlib, which hands on what is not
 * compressed; what begins with a record's descriptor word, which has zeros, is SMF.  Records then
 * go through a pipe, because a reader of them wants a descriptor.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "trmd/trmdstat.h"

#define SUFFIX "smf"

void stat_complain(struct trmdstat *s, const char *name, const char *what)
{
	char text[512];

	snprintf(text, sizeof(text), "%s: %s", name, what);
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	fprintf(stderr, "trmdstat: %s\n", text);
	s->failed = true;
}

static int cannot_open(const char *path, struct cs_err *err)
{
	int rc = errno == ENOENT || errno == ENOTDIR ? CS_ENOTFOUND
		 : errno == EACCES                   ? CS_EPERM
						     : CS_ESYS;

	cs_fail_errno(err, "%s", path);
	if (err)
		err->code = (enum cs_code)rc;
	return rc;
}

/* ---- a compressed or plain stream ---- */

struct source {
	const char *name;
	gzFile gz;
	uint8_t buf[65536];
	size_t at, len; /* of buf */
	bool ended;
	char wrong[128]; /* why it ended, "": it was the end */
};

static void fill(struct source *in)
{
	const char *text;
	int n, code;

	if (in->ended || in->at < in->len)
		return;
	n = gzread(in->gz, in->buf, sizeof(in->buf));
	in->at = 0;
	in->len = n > 0 ? (size_t)n : 0;
	in->ended = n <= 0;
	if (n <= 0) { /* a compressed file that is cut off ends like any other but for this */
		text = gzerror(in->gz, &code);
		if (strncmp(text, "<fd:", 4) == 0 && strstr(text, ">: "))
			text = strstr(text, ">: ") + 3; /* its name for the file */
		if (code == Z_ERRNO)
			text = strerror(errno);
		if (code != Z_OK && code != Z_STREAM_END)
			snprintf(in->wrong, sizeof(in->wrong), "%s", text);
	}
}

/* ---- lines ---- */

static int read_lines(struct trmdstat *s, struct source *in, struct cs_err *err)
{
	char line[STAT_LINE_MAX + 1];
	size_t len = 0;
	bool too_long = false;
	int rc = 0;

	while (rc == 0) {
		const uint8_t *from, *end;
		size_t n;

		fill(in);
		if (in->ended)
			break;
		from = in->buf + in->at;
		end = memchr(from, '\n', in->len - in->at);
		n = (end ? (size_t)(end - from) : in->len - in->at);
		if (n > STAT_LINE_MAX - len)
			too_long = true;
		if (!too_long) {
			memcpy(line + len, from, n);
			len += n;
		}
		in->at += n + (end != NULL);
		if (!end)
			continue;
		if (too_long) {
			s->long_lines++;
			s->skipped++;
		} else {
			rc = stat_line(s, line, len, err);
		}
		len = 0;
		too_long = false;
	}
	if (rc == 0 &&
	    (len || too_long)) { /* the last one has no end: it may be written just now */
		s->skipped += too_long;
		s->long_lines += too_long;
		if (!too_long)
			rc = stat_line(s, line, len, err);
	}
	return rc;
}

/* ---- records ---- */

struct feeder {
	struct source *in;
	int fd;
};

static void *feed(void *arg)
{
	struct feeder *f = arg;

	for (;;) {
		ssize_t n;

		fill(f->in);
		if (f->in->ended)
			break;
		n = write(f->fd, f->in->buf + f->in->at, f->in->len - f->in->at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) /* the reader has found what is no record */
			break;
		f->in->at += (size_t)n;
	}
	close(f->fd);
	return NULL;
}

static int read_records(struct trmdstat *s, struct source *in, uint64_t limit, struct cs_err *err)
{
	struct feeder f = {.in = in};
	int pipe_fd[2], rc;
	pthread_t thread;

	if (pipe2(pipe_fd, O_CLOEXEC) < 0)
		return cs_fail_errno(err, "pipe");
	f.fd = pipe_fd[1];
	if (pthread_create(&thread, NULL, feed, &f) != 0) {
		close(pipe_fd[0]);
		close(pipe_fd[1]);
		return cs_fail(err, CS_ESYS, "cannot start a thread");
	}
	rc = stat_smf(s, pipe_fd[0], in->name, limit, err);
	close(pipe_fd[0]);
	pthread_join(thread, NULL);
	return rc;
}

/* The third and the fourth byte of a record or a block are a segment's mark and zero. */
static bool is_records(const struct source *in)
{
	return in->len >= 5 && in->buf[2] <= 3 && in->buf[3] == 0;
}

/* Takes fd. */
static int read_stream(struct trmdstat *s, int fd, const char *name, uint64_t limit,
		       struct cs_err *err)
{
	struct source *in = calloc(1, sizeof(*in));
	int rc;

	if (in)
		in->gz = gzdopen(fd, "rb");
	if (!in || !in->gz) {
		free(in);
		close(fd);
		return cs_fail(err, CS_ENOMEM, "no memory for %s", name);
	}
	in->name = name;
	fill(in);
	rc = is_records(in) ? read_records(s, in, limit, err) : read_lines(s, in, err);
	if (rc == 0 && in->wrong[0])
		stat_complain(s, name, in->wrong);
	gzclose_r(in->gz);
	free(in);
	return rc;
}

/* ---- a directory ---- */

/* "NAME.smf" or "NAME.smf.gz"; the length of "NAME.smf", else 0. */
static size_t stem(const char *name)
{
	size_t len = strlen(name);

	if (len > 3 && strcmp(name + len - 3, ".gz") == 0)
		len -= 3;
	if (len <= sizeof("." SUFFIX) - 1 || name[0] == '.' ||
	    strncmp(name + len - 4, "." SUFFIX, 4) != 0)
		return 0;
	return len;
}

static int is_ours(const struct dirent *entry)
{
	return stem(entry->d_name) > 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/*
 * What is listed may have been compressed since: that file has its name before the plain one goes.
 * When both are gone somebody removed it.
 */
static int read_entry(struct trmdstat *s, const char *dir, int dirfd, const char *name,
		      uint64_t limit, struct cs_err *err)
{
	char path[4096 + 256], gz[NAME_MAX + sizeof(".gz")];
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (fd < 0 && errno == ENOENT && !name[stem(name)]) {
		snprintf(gz, sizeof(gz), "%s.gz", name);
		fd = openat(dirfd, gz, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		limit = UINT64_MAX; /* only closed files are compressed */
	}
	if (fd < 0) {
		stat_complain(s, path, strerror(errno));
		return 0;
	}
	return read_stream(s, fd, path, limit, err);
}

static int read_names(struct trmdstat *s, const char *path, int dirfd, struct dirent **list, int n,
		      struct cs_err *err)
{
	struct smf_checkpoint cp;
	int rc = smf_checkpoint_read(dirfd, &cp, err);

	if (rc < 0) {
		cs_err_prefix(err, "%s", path);
		return rc;
	}
	for (int i = 0; i < n && rc == 0; i++) {
		const char *name = list[i]->d_name;
		size_t len = stem(name);
		bool packed = name[len] != '\0';
		int c = strncmp(name, cp.file, len);

		if (c == 0 && cp.file[len])
			c = -1;
		/* A file and its compressed copy: for a moment there are both. */
		if (c > 0 || (packed && i > 0 && strncmp(list[i - 1]->d_name, name, len) == 0 &&
			      !list[i - 1]->d_name[len]))
			continue;
		rc = read_entry(s, path, dirfd, name, c == 0 && !packed ? cp.length : UINT64_MAX,
				err);
	}
	return rc;
}

static int read_directory(struct trmdstat *s, const char *path, struct cs_err *err)
{
	int dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), n, rc;
	struct dirent **list;

	if (dirfd < 0)
		return cannot_open(path, err);
	s->smf = true;
	n = scandirat(dirfd, ".", &list, is_ours, by_name);
	if (n < 0) {
		rc = cannot_open(path, err);
		close(dirfd);
		return rc;
	}
	rc = read_names(s, path, dirfd, list, n, err);
	for (int i = 0; i < n; i++)
		free(list[i]);
	free(list);
	close(dirfd);
	return rc;
}

int stat_read(struct trmdstat *s, const char *path, struct cs_err *err)
{
	struct stat st;
	int fd;

	if (!path || strcmp(path, "-") == 0) {
		fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
		return fd < 0 ? cs_fail_errno(err, "standard input")
			      : read_stream(s, fd, "standard input", UINT64_MAX, err);
	}
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return read_directory(s, path, err);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? cannot_open(path, err) : read_stream(s, fd, path, UINT64_MAX, err);
}
