/*
 * smfdump: files, pipes and the directory of who writes them.  Of a directory nothing is read that
 * is not acknowledged: files before the one of the checkpoint as they are, that one up to its
 * length.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "smf/smfdump.h"

#define SUFFIX  ".smf"
#define GZ      ".gz"
#define POLL_NS 200000000 /* how long new records may wait to be seen */

#define STOP_SECONDS 5 /* how long who reads the output may keep us from the end */

/* ---- asked to stop, while following ---- */

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
	alarm(STOP_SECONDS);
}

/* What is read just now. */
struct source {
	const char *name; /* for messages */
	int fd;
	struct smf_input *in;
	pid_t unpacks;           /* the process that fd is a pipe from; 0: none */
	bool broken;             /* no more can be read of it, and that was told */
	bool left;               /* before its end, because we are to stop */
	uint64_t other, damaged; /* of this file */
};

static void complain(struct smfdump *d, const struct source *s, const char *what)
{
	fprintf(stderr, "smfdump: %s: %s\n", s->name, what);
	d->failed = true;
}

static int export(struct smfdump *d, struct source *s, const struct smf_raw *raw,
		  struct cs_err *err)
{
	struct smf_record record;
	struct cs_err why;
	int rc = smf_decode(raw->p, raw->len, &record, &why);

	d->records++;
	if (rc == CS_EUNSUPPORTED) {
		s->other++;
		return 0;
	}
	if (rc < 0) {
		s->damaged++;
		cs_err_prefix(&why, "record %llu at offset %llu", (unsigned long long)raw->number,
			      (unsigned long long)raw->offset);
		complain(d, s, why.text);
		return 0;
	}
	if (!smfdump_wants(d, &record))
		return 0;
	d->selected++;
	rc = smf_export_record(d->out, &record, err);
	d->out_failed = rc < 0;
	return rc;
}

/*
 * All that may be read now.  A file that breaks off is told, and what is before it was read; an
 * error returned is one of the output.
 */
static int drain(struct smfdump *d, struct source *s, struct cs_err *err)
{
	struct smf_raw raw;
	struct cs_err why;
	int rc, more = 0;

	while (!s->broken && !stopped && (more = smf_input_next(s->in, &raw, &why)) > 0) {
		rc = export(d, s, &raw, err);
		if (rc < 0)
			return rc;
	}
	s->left = stopped;
	if (more < 0) {
		complain(d, s, why.text);
		s->broken = true;
	}
	return 0;
}

/* The end of a file that ends: what of it is not whole is told and no failure. */
static void finish(struct smfdump *d, struct source *s)
{
	uint64_t offset, bytes;

	if (!s->broken && !s->left && smf_input_cut(s->in, &offset, &bytes))
		fprintf(stderr,
			"smfdump: %s: the last record is cut off: at offset %llu %llu bytes of "
			"it\n",
			s->name, (unsigned long long)offset, (unsigned long long)bytes);
	if (s->other > 0 && d->verbose)
		fprintf(stderr,
			"smfdump: %s: %llu records of other types or subtypes passed over\n",
			s->name, (unsigned long long)s->other);
	d->other += s->other;
	d->damaged += s->damaged;
}

static int open_source(struct source *s, int fd, const char *name, struct cs_err *err)
{
	*s = (struct source){.name = name, .fd = fd};
	if (smfdump_is_gz(fd)) {
		int rc = smfdump_unpack(fd, &s->fd, &s->unpacks, err);

		if (rc < 0)
			return rc;
		if (fd > STDIN_FILENO)
			close(fd);
	}
	return smf_input_open(s->fd, &s->in, err);
}

static void close_source(struct smfdump *d, struct source *s)
{
	smf_input_close(s->in);
	if (s->fd > STDIN_FILENO)
		close(s->fd);
	s->fd = -1;
	s->in = NULL;
	if (s->unpacks > 0 && !smfdump_unpacked(s->unpacks))
		complain(d, s, "it cannot be unpacked to its end: it is damaged");
	s->unpacks = 0;
}

static int cannot_open(const char *path, struct cs_err *err)
{
	int rc = errno == ENOENT || errno == ENOTDIR ? CS_ENOTFOUND
		 : errno == EACCES                   ? CS_EPERM
						     : CS_ESYS;

	cs_fail_errno(err, "%s", path);
	err->code = (enum cs_code)rc;
	return rc;
}

static int read_file(struct smfdump *d, int fd, const char *name, struct cs_err *err)
{
	struct source s;
	int rc = open_source(&s, fd, name, err);

	if (rc == 0)
		rc = drain(d, &s, err);
	if (rc == 0)
		finish(d, &s);
	close_source(d, &s);
	return rc;
}

/* ---- a directory ---- */

struct directory {
	const char *path;
	int fd;
	char last[NAME_MAX + 1]; /* the name of the file that is read, or was the last; "": none */
	struct source file;      /* in NULL: none is open */
	char name[PATH_MAX];     /* of file, for messages */
};

static DIR *list_of(const struct directory *dir)
{
	int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);

	if (!list && fd >= 0)
		close(fd);
	return list;
}

/* The name, of a compressed file without what says so; false: it is no file of records. */
static bool plain_name(const char *name, char plain[NAME_MAX + 1])
{
	size_t len = strlen(name);

	if (len > strlen(GZ) && strcmp(name + len - strlen(GZ), GZ) == 0)
		len -= strlen(GZ);
	if (len <= strlen(SUFFIX) || len > NAME_MAX || name[0] == '.' ||
	    strncmp(name + len - strlen(SUFFIX), SUFFIX, strlen(SUFFIX)) != 0)
		return false;
	memcpy(plain, name, len);
	plain[len] = '\0';
	return true;
}

/* The first name behind last, and not behind the checkpoint's; false: there is none. */
static bool next_name(struct directory *dir, const char *upto, char next[NAME_MAX + 1])
{
	const struct dirent *entry;
	DIR *list = list_of(dir);
	char name[NAME_MAX + 1];

	next[0] = '\0';
	while (list && (entry = readdir(list)))
		if (plain_name(entry->d_name, name) && strcmp(name, dir->last) > 0 &&
		    strcmp(name, upto) <= 0 && (!next[0] || strcmp(name, next) < 0))
			strcpy(next, name);
	if (list)
		closedir(list);
	return next[0] != '\0';
}

/* Whoever exports a directory should know that this is not all. */
static void tell_compressed(const struct directory *dir)
{
	static const char *const others[] = {SUFFIX ".zst", SUFFIX ".xz", SUFFIX ".bz2"};
	const struct dirent *entry;
	DIR *list = list_of(dir);
	unsigned n = 0;

	while (list && (entry = readdir(list)))
		for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
			n += strstr(entry->d_name, others[i]) != NULL;
	if (list)
		closedir(list);
	if (n > 0)
		fprintf(stderr, "smfdump: %s: %u compressed files are not read\n", dir->path, n);
}

/* The plain file, else the compressed one, which has its name before the plain one goes. */
static int open_either(struct directory *dir, const char *name)
{
	int fd = openat(dir->fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char gz[NAME_MAX + sizeof(GZ)];

	snprintf(dir->name, sizeof(dir->name), "%s/%s", dir->path, name);
	if (fd >= 0 || errno != ENOENT)
		return fd;
	snprintf(gz, sizeof(gz), "%s" GZ, name);
	fd = openat(dir->fd, gz, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd >= 0 || errno != ENOENT)
		snprintf(dir->name, sizeof(dir->name), "%s/%s", dir->path, gz);
	return fd;
}

static int open_next(struct smfdump *d, struct directory *dir, const char *upto, struct cs_err *err)
{
	char next[NAME_MAX + 1];
	int fd;

	while (next_name(dir, upto, next)) {
		fd = open_either(dir, next);
		if (fd < 0 && errno != ENOENT)
			return cannot_open(dir->name, err);
		strcpy(dir->last, next);
		dir->file.name = dir->name;
		if (fd < 0) {
			complain(d, &dir->file, "it went before it was read");
			continue;
		}
		if (open_source(&dir->file, fd, dir->name, err) == 0)
			return 1;
		close_source(d, &dir->file);
		return CS_ENOMEM;
	}
	return 0;
}

/* What was acknowledged must be there, whoever has cut it since. */
static void check_length(struct smfdump *d, struct directory *dir, uint64_t length)
{
	struct stat st;
	char text[128];

	if (!dir->file.broken && fstat(dir->file.fd, &st) == 0 && (uint64_t)st.st_size < length) {
		snprintf(text, sizeof(text), "%llu bytes are acknowledged, and it has %llu",
			 (unsigned long long)length, (unsigned long long)st.st_size);
		complain(d, &dir->file, text);
		dir->file.broken = true;
	}
}

/* The file of the checkpoint is the last one to be read; without it something has gone. */
static int check_there(const struct directory *dir, const struct smf_checkpoint *cp,
		       struct cs_err *err)
{
	if (cp->length == 0 || strcmp(dir->last, cp->file) >= 0)
		return 0;
	return cs_fail(err, CS_ENOTFOUND, "%s/%s: %llu bytes are acknowledged, and it is not there",
		       dir->path, cp->file, (unsigned long long)cp->length);
}

/* All files that the checkpoint says are safe, as far as they are. */
static int catch_up(struct smfdump *d, struct directory *dir, const struct smf_checkpoint *cp,
		    struct cs_err *err)
{
	for (;;) {
		bool newest;
		int rc = dir->file.in ? 1 : open_next(d, dir, cp->file, err);

		if (rc == 0)
			return check_there(dir, cp, err);
		if (rc < 0 || strcmp(dir->last, cp->file) > 0)
			return rc;
		newest = strcmp(dir->last, cp->file) == 0;
		smf_input_limit(dir->file.in, newest ? cp->length : UINT64_MAX);
		rc = drain(d, &dir->file, err);
		if (newest)
			check_length(d, dir, cp->length);
		if (rc < 0 || newest || stopped)
			return rc;
		finish(d, &dir->file);
		close_source(d, &dir->file);
	}
}

static int open_directory(const char *path, struct directory *dir, struct cs_err *err)
{
	*dir = (struct directory){.path = path};
	dir->file.fd = -1;
	dir->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir->fd < 0)
		return cannot_open(path, err);
	tell_compressed(dir);
	return 0;
}

static void close_directory(struct smfdump *d, struct directory *dir)
{
	if (dir->file.in)
		finish(d, &dir->file);
	close_source(d, &dir->file);
	close(dir->fd);
}

static int read_directory(struct smfdump *d, const char *path, struct cs_err *err)
{
	struct smf_checkpoint cp;
	struct directory dir;
	int rc = open_directory(path, &dir, err);

	if (rc < 0)
		return rc;
	rc = smf_checkpoint_read(dir.fd, &cp, err);
	if (rc < 0)
		cs_err_prefix(err, "%s", path);
	else
		rc = catch_up(d, &dir, &cp, err);
	close_directory(d, &dir);
	return rc;
}

int smfdump_read(struct smfdump *d, const char *path, struct cs_err *err)
{
	struct stat st;
	int fd;

	if (!path || strcmp(path, "-") == 0)
		return read_file(d, STDIN_FILENO, "standard input", err);
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return read_directory(d, path, err);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? cannot_open(path, err) : read_file(d, fd, path, err);
}

/* ---- following ---- */

/* One look. A checkpoint that is not there yet, or is being written for the first time, comes. */
static int look(struct smfdump *d, struct directory *dir, bool *told, struct cs_err *err)
{
	struct smf_checkpoint cp;
	int rc = smf_checkpoint_read(dir->fd, &cp, err);

	if (rc == CS_ENOTFOUND || rc == CS_EPARSE) {
		if (!*told)
			fprintf(stderr, "smfdump: %s: %s; waiting for it\n", dir->path, err->text);
		*told = true;
		return 0;
	}
	*told = false;
	if (rc == 0)
		rc = catch_up(d, dir, &cp, err);
	if (rc < 0)
		return rc;
	rc = smf_export_flush(d->out, err);
	d->out_failed = rc < 0;
	if (rc == 0 && dir->file.broken)
		rc = cs_fail(err, CS_EPARSE, "%s: cannot be followed any more", dir->path);
	return rc;
}

int smfdump_follow(struct smfdump *d, const char *path, struct cs_err *err)
{
	const struct timespec pause = {0, POLL_NS};
	struct sigaction action = {.sa_handler = stop};
	struct directory dir;
	bool told = false;
	int rc = open_directory(path, &dir, err);

	if (rc < 0)
		return rc;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	while (!stopped && rc == 0) {
		rc = look(d, &dir, &told, err);
		if (rc == 0 && !stopped)
			nanosleep(&pause, NULL);
	}
	close_directory(d, &dir);
	return rc;
}
