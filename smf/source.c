/* Plain and compressed files and pipes, all as a descriptor. */
#include "smf/source.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define PIECE     65536
#define HEAD      8
#define GZIP_ONLY (16 + MAX_WBITS)

struct smf_source {
	int fd; /* to be read */
	uint8_t head[HEAD];
	size_t head_len;
	/* what a thread fills a pipe from; from is -1 where fd is the file itself */
	int from, to;
	pthread_t thread;
	bool has_thread, packed;
	z_stream z;
	bool in_member;      /* of a compressed file; it can have several */
	struct cs_err wrong; /* why it broke off; code 0: it did not */
	uint8_t in[PIECE], out[PIECE];
	size_t out_len;
};

static bool is_gzip(const uint8_t *p, size_t len)
{
	return len >= 2 && p[0] == 0x1f && p[1] == 0x8b;
}

/* ---- the thread ---- */

/* What there is, at once: of a pipe more may come much later. */
static ssize_t read_some(struct smf_source *s, uint8_t *to, size_t len)
{
	ssize_t n;

	do {
		n = read(s->from, to, len);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		cs_fail(&s->wrong, CS_ESYS, "%s", strerror(errno));
	return n;
}

/* False: there is no more. */
static bool more_input(struct smf_source *s)
{
	ssize_t n = read_some(s, s->in, PIECE);

	s->z.next_in = s->in;
	s->z.avail_in = n > 0 ? (unsigned)n : 0;
	if (n == 0 && s->in_member)
		cs_fail(&s->wrong, CS_EPARSE, "unexpected end of file");
	return n > 0;
}

/* Behind a member: another one, or what belongs to nothing, as padding of a tape. */
static bool next_member(struct smf_source *s)
{
	if (s->z.avail_in == 0 && !more_input(s))
		return false;
	if (*s->z.next_in != 0x1f)
		return false;
	s->in_member = inflateReset(&s->z) == Z_OK;
	return s->in_member;
}

/* A piece is short only where no more is there yet, and has the head at least. */
static bool inflate_some(struct smf_source *s)
{
	int rc;

	s->z.next_out = s->out;
	s->z.avail_out = PIECE;
	while (s->z.avail_out > 0 && (s->z.avail_in > 0 || s->z.avail_out > PIECE - HEAD)) {
		if (!s->in_member && !next_member(s))
			break;
		if (s->z.avail_in == 0 && !more_input(s))
			break;
		rc = inflate(&s->z, Z_NO_FLUSH);
		s->in_member = rc != Z_STREAM_END;
		if (rc != Z_OK && rc != Z_STREAM_END) {
			cs_fail(&s->wrong, CS_EPARSE, "%s", s->z.msg ? s->z.msg : zError(rc));
			break;
		}
	}
	s->out_len = PIECE - s->z.avail_out;
	return s->out_len > 0;
}

/* The next piece; false: there is none. */
static bool fill(struct smf_source *s)
{
	ssize_t n;

	if (s->wrong.code)
		return false;
	if (s->packed)
		return inflate_some(s);
	n = read_some(s, s->out, PIECE);
	s->out_len = n > 0 ? (size_t)n : 0;
	return n > 0;
}

/* False: who reads has enough. */
static bool put(int to, const uint8_t *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(to, p, len);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return true;
}

static void *feed(void *arg)
{
	struct smf_source *s = arg;
	int before;

	while (s->out_len > 0 && put(s->to, s->out, s->out_len) && fill(s))
		;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	close(s->to);
	s->to = -1;
	return NULL;
}

/* ---- open and close ---- */

/* Signals are the program's; that nobody reads any more is an error of write(). */
static int start_thread(struct smf_source *s, struct cs_err *err)
{
	sigset_t all, before;
	int ends[2], rc;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return cs_fail_errno(err, "cannot make a pipe");
	s->fd = ends[0];
	s->to = ends[1];
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	rc = pthread_create(&s->thread, NULL, feed, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	s->has_thread = rc == 0;
	return rc ? cs_fail(err, CS_ESYS, "cannot start a thread: %s", strerror(rc)) : 0;
}

/* The first bytes of a pipe come one after the other where they are written so. */
static void read_head(struct smf_source *s)
{
	ssize_t n = 1;

	while (s->out_len < HEAD && n > 0) {
		n = read_some(s, s->out + s->out_len, PIECE - s->out_len);
		s->out_len += n > 0 ? (size_t)n : 0;
	}
}

/* What was read is compressed. */
static int begin_inflating(struct smf_source *s, struct cs_err *err)
{
	if (inflateInit2(&s->z, GZIP_ONLY) != Z_OK)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	s->packed = s->in_member = true;
	memcpy(s->in, s->out, s->out_len);
	s->z.next_in = s->in;
	s->z.avail_in = (unsigned)s->out_len;
	fill(s);
	return 0;
}

static int open_fed(struct smf_source *s, struct cs_err *err)
{
	int rc = 0;

	read_head(s);
	if (is_gzip(s->out, s->out_len))
		rc = begin_inflating(s, err);
	s->head_len = s->out_len < HEAD ? s->out_len : HEAD;
	memcpy(s->head, s->out, s->head_len);
	return rc < 0 ? rc : start_thread(s, err);
}

int smf_source_open(int fd, struct smf_source **source, struct cs_err *err)
{
	struct smf_source *s = calloc(1, sizeof(*s));
	ssize_t n;
	int rc = 0;

	if (!s) {
		close(fd);
		return cs_fail(err, CS_ENOMEM, "out of memory");
	}
	s->fd = s->from = s->to = -1;
	/* Of a pipe nothing can be looked at without being taken. */
	n = pread(fd, s->head, HEAD, 0);
	if (n < 0 || is_gzip(s->head, (size_t)n)) {
		s->from = fd;
		rc = open_fed(s, err);
	} else {
		s->fd = fd;
		s->head_len = (size_t)n;
	}
	if (rc < 0)
		smf_source_close(s, NULL);
	else
		*source = s;
	return rc;
}

int smf_cannot_open(const char *path, struct cs_err *err)
{
	int rc = errno == ENOENT || errno == ENOTDIR ? CS_ENOTFOUND
		 : errno == EACCES                   ? CS_EPERM
						     : CS_ESYS;

	cs_fail_errno(err, "%s", path);
	if (err)
		err->code = (enum cs_code)rc;
	return rc;
}

int smf_source_open_path(const char *path, struct smf_source **source, struct cs_err *err)
{
	int fd;

	if (!path || strcmp(path, "-") == 0) {
		fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
		if (fd < 0)
			return cs_fail_errno(err, "standard input");
	} else {
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (fd < 0)
			return smf_cannot_open(path, err);
	}
	return smf_source_open(fd, source, err);
}

size_t smf_source_head(const struct smf_source *s, const uint8_t **bytes)
{
	*bytes = s->head;
	return s->head_len;
}

int smf_source_fd(const struct smf_source *s)
{
	return s->fd;
}

static void close_if(int fd)
{
	if (fd >= 0)
		close(fd);
}

int smf_source_close(struct smf_source *s, struct cs_err *err)
{
	int rc = 0;

	if (!s)
		return 0;
	close_if(s->fd);
	if (s->has_thread) {
		/* It may wait for a pipe from which nothing comes any more. */
		pthread_cancel(s->thread);
		pthread_join(s->thread, NULL);
	}
	close_if(s->to);
	close_if(s->from);
	if (s->packed)
		inflateEnd(&s->z);
	if (s->wrong.code) {
		rc = s->wrong.code;
		if (err)
			*err = s->wrong;
	}
	free(s);
	return rc;
}
