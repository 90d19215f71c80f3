/*
 * smfdump: files, pipes and the directory of who writes them, once or as long as it is written.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "smf/directory.h"
#include "smf/smfdump.h"
#include "smf/source.h"

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
	struct smf_source *from;
	struct smf_input *in;    /* NULL: none is open */
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

static int begin(struct source *s, struct cs_err *err)
{
	return smf_input_open(smf_source_fd(s->from), &s->in, err);
}

static void close_source(struct smfdump *d, struct source *s)
{
	struct cs_err why;

	smf_input_close(s->in);
	if (smf_source_close(s->from, &why) < 0)
		complain(d, s, why.text);
	s->in = NULL;
	s->from = NULL;
}

/* NULL: the standard input. */
static int read_file(struct smfdump *d, const char *path, struct cs_err *err)
{
	struct source s = {.name = path && strcmp(path, "-") != 0 ? path : "standard input"};
	int rc = smf_source_open_path(path, &s.from, err);

	if (rc < 0)
		return rc;
	rc = begin(&s, err);
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
	struct smf_directory *files;
	struct source file; /* that is read, or was the last */
};

/* 1, 0 or a code, as smf_directory_next(). */
static int open_next(struct smfdump *d, struct directory *dir, const struct smf_checkpoint *cp,
		     struct cs_err *err)
{
	struct smf_directory_file next;
	int rc;

	while ((rc = smf_directory_next(dir->files, cp, &next, err)) > 0) {
		dir->file = (struct source){.name = next.name};
		if (next.fd < 0) {
			complain(d, &dir->file, err->text);
			continue;
		}
		rc = smf_source_open(next.fd, &dir->file.from, err);
		if (rc == 0)
			rc = begin(&dir->file, err);
		return rc < 0 ? rc : 1;
	}
	return rc;
}

/* What was acknowledged must be there, whoever has cut it since. */
static void check_length(struct smfdump *d, struct directory *dir, const struct smf_checkpoint *cp)
{
	struct cs_err err;

	if (!dir->file.broken && smf_directory_check(smf_source_fd(dir->file.from), cp, &err) < 0) {
		complain(d, &dir->file, err.text);
		dir->file.broken = true;
	}
}

/* All files that the checkpoint says are safe, as far as they are. */
static int catch_up(struct smfdump *d, struct directory *dir, const struct smf_checkpoint *cp,
		    struct cs_err *err)
{
	for (;;) {
		int rc = dir->file.in ? 1 : open_next(d, dir, cp, err);
		int place = smf_directory_place(dir->files, cp);

		if (rc <= 0 || place > 0)
			return rc;
		smf_input_limit(dir->file.in, place == 0 ? cp->length : UINT64_MAX);
		rc = drain(d, &dir->file, err);
		if (place == 0)
			check_length(d, dir, cp);
		if (rc < 0 || place == 0 || stopped)
			return rc;
		finish(d, &dir->file);
		close_source(d, &dir->file);
	}
}

static int open_directory(const char *path, struct directory *dir, struct cs_err *err)
{
	unsigned others;
	int rc;

	*dir = (struct directory){.path = path};
	rc = smf_directory_open(path, &dir->files, err);
	if (rc < 0)
		return rc;
	/* Whoever exports a directory should know that this is not all. */
	others = smf_directory_others(dir->files);
	if (others > 0)
		fprintf(stderr, "smfdump: %s: %u compressed files are not read\n", path, others);
	return 0;
}

static void close_directory(struct smfdump *d, struct directory *dir)
{
	if (dir->file.in)
		finish(d, &dir->file);
	close_source(d, &dir->file);
	smf_directory_close(dir->files);
}

static int read_directory(struct smfdump *d, const char *path, struct cs_err *err)
{
	struct smf_checkpoint cp;
	struct directory dir;
	int rc = open_directory(path, &dir, err);

	if (rc < 0)
		return rc;
	rc = smf_directory_checkpoint(dir.files, &cp, err);
	if (rc == 0)
		rc = catch_up(d, &dir, &cp, err);
	close_directory(d, &dir);
	return rc;
}

int smfdump_read(struct smfdump *d, const char *path, struct cs_err *err)
{
	struct stat st;

	if (path && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return read_directory(d, path, err);
	return read_file(d, path, err);
}

/* ---- following ---- */

/* One look. A checkpoint that is not there yet, or is being written for the first time, comes. */
static int look(struct smfdump *d, struct directory *dir, bool *told, struct cs_err *err)
{
	struct smf_checkpoint cp;
	int rc = smf_directory_checkpoint(dir->files, &cp, err);

	if (rc == CS_ENOTFOUND || rc == CS_EPARSE) {
		if (!*told)
			fprintf(stderr, "smfdump: %s; waiting for it\n", err->text);
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
