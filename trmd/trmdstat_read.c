/*
 * trmdstat: files, pipes and directories.  What begins with a record's descriptor word, which has
 * zeros, is SMF; everything else is lines of a log.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "smf/directory.h"
#include "smf/source.h"
#include "trmd/trmdstat.h"

#define PIECE 65536

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

/* ---- lines ---- */

/* What is too long for a line of ours is passed over and counted. */
static int take_line(struct trmdstat *s, char *line, size_t len, struct cs_err *err)
{
	if (len <= STAT_LINE_MAX)
		return stat_line(s, line, len, err);
	s->long_lines++;
	s->skipped++;
	return 0;
}

/* The last line may have no end: it may be written just now. */
static int split_lines(struct trmdstat *s, FILE *f, struct cs_err *err)
{
	char line[STAT_LINE_MAX + 1];
	size_t len = 0;
	int c = 0, rc = 0;

	while (rc == 0 && (c = getc_unlocked(f)) != EOF) {
		if (c == '\n') {
			rc = take_line(s, line, len, err);
			len = 0;
			continue;
		}
		if (len < STAT_LINE_MAX)
			line[len] = (char)c;
		len += len <= STAT_LINE_MAX;
	}
	return rc == 0 && len > 0 ? take_line(s, line, len, err) : rc;
}

static int read_lines(struct trmdstat *s, int fd, const char *name, struct cs_err *err)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0), rc;
	FILE *f = own < 0 ? NULL : fdopen(own, "r");

	if (!f) {
		rc = cs_fail_errno(err, "%s", name);
		if (own >= 0)
			close(own);
		return rc;
	}
	rc = split_lines(s, f, err);
	if (rc == 0 && ferror(f))
		stat_complain(s, name, strerror(errno));
	fclose(f);
	return rc;
}

/* ---- files and pipes ---- */

/* The third and the fourth byte of a record or a block are a segment's mark and zero. */
static bool is_records(const struct smf_source *from)
{
	const uint8_t *head;
	size_t len = smf_source_head(from, &head);

	return len >= 5 && head[2] <= 3 && head[3] == 0;
}

/* Takes from. What breaks off is told, and what is before it was read. */
static int read_source(struct trmdstat *s, struct smf_source *from, const char *name, bool records,
		       uint64_t limit, struct cs_err *err)
{
	int fd = smf_source_fd(from);
	struct cs_err why;
	int rc = records ? stat_smf(s, fd, name, limit, err) : read_lines(s, fd, name, err);

	if (smf_source_close(from, &why) < 0)
		stat_complain(s, name, why.text);
	return rc;
}

static int read_file(struct trmdstat *s, const char *path, struct cs_err *err)
{
	const char *name = path && strcmp(path, "-") != 0 ? path : "standard input";
	struct smf_source *from;
	int rc = smf_source_open_path(path, &from, err);

	return rc < 0 ? rc : read_source(s, from, name, is_records(from), UINT64_MAX, err);
}

/* ---- a directory ---- */

/* Whatever is damaged is told, and the others are read. */
static int read_next(struct trmdstat *s, struct smf_directory *d, const struct smf_checkpoint *cp,
		     const struct smf_directory_file *file, struct cs_err *err)
{
	bool newest = smf_directory_place(d, cp) == 0;
	struct smf_source *from;
	struct cs_err why;
	int rc = smf_source_open(file->fd, &from, err);

	if (rc < 0)
		return rc;
	if (newest && smf_directory_check(smf_source_fd(from), cp, &why) < 0)
		stat_complain(s, file->name, why.text);
	return read_source(s, from, file->name, true, newest ? cp->length : UINT64_MAX, err);
}

static int read_directory(struct trmdstat *s, const char *path, struct cs_err *err)
{
	struct smf_directory_file file;
	struct smf_checkpoint cp;
	struct smf_directory *d;
	int rc = smf_directory_open(path, &d, err), more = 0;

	if (rc < 0)
		return rc;
	s->smf = true;
	rc = smf_directory_checkpoint(d, &cp, err);
	while (rc == 0 && (more = smf_directory_next(d, &cp, &file, err)) > 0) {
		if (file.fd < 0)
			stat_complain(s, file.name, err->text);
		else
			rc = read_next(s, d, &cp, &file, err);
	}
	smf_directory_close(d);
	return rc < 0 ? rc : more;
}

int stat_read(struct trmdstat *s, const char *path, struct cs_err *err)
{
	struct stat st;

	if (path && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return read_directory(s, path, err);
	return read_file(s, path, err);
}
