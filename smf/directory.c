/* The files of a directory, one after another, as far as they are safe. */
#include "smf/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "smf/source.h"

#define SUFFIX ".smf"
#define GZ     ".gz"

struct smf_directory {
	int fd;
	char last[NAME_MAX + 1]; /* the name of the file that was handed out last; "": none */
	char name[PATH_MAX];     /* of it with the directory */
	char path[];
};

int smf_directory_open(const char *path, struct smf_directory **dir, struct cs_err *err)
{
	struct smf_directory *d = calloc(1, sizeof(*d) + strlen(path) + 1);
	int rc;

	if (!d)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	strcpy(d->path, path);
	d->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->fd < 0) {
		rc = smf_cannot_open(path, err);
		smf_directory_close(d);
		return rc;
	}
	*dir = d;
	return 0;
}

void smf_directory_close(struct smf_directory *d)
{
	if (!d)
		return;
	if (d->fd >= 0)
		close(d->fd);
	free(d);
}

int smf_directory_checkpoint(const struct smf_directory *d, struct smf_checkpoint *cp,
			     struct cs_err *err)
{
	int rc = smf_checkpoint_read(d->fd, cp, err);

	return rc < 0 ? cs_err_prefix(err, "%s", d->path) : 0;
}

/* ---- names ---- */

static DIR *list_of(const struct smf_directory *d)
{
	int fd = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
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
static bool next_name(const struct smf_directory *d, const char *upto, char next[NAME_MAX + 1])
{
	const struct dirent *entry;
	DIR *list = list_of(d);
	char name[NAME_MAX + 1];

	next[0] = '\0';
	while (list && (entry = readdir(list)))
		if (plain_name(entry->d_name, name) && strcmp(name, d->last) > 0 &&
		    strcmp(name, upto) <= 0 && (!next[0] || strcmp(name, next) < 0))
			strcpy(next, name);
	if (list)
		closedir(list);
	return next[0] != '\0';
}

unsigned smf_directory_others(const struct smf_directory *d)
{
	static const char *const others[] = {SUFFIX ".zst", SUFFIX ".xz", SUFFIX ".bz2"};
	const struct dirent *entry;
	DIR *list = list_of(d);
	unsigned n = 0;

	while (list && (entry = readdir(list)))
		for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
			n += strstr(entry->d_name, others[i]) != NULL;
	if (list)
		closedir(list);
	return n;
}

/* ---- files ---- */

/* What is no file, as a pipe, could keep us waiting for ever. */
static int open_file(struct smf_directory *d, const char *name)
{
	struct stat st;
	int fd;

	snprintf(d->name, sizeof(d->name), "%s/%s", d->path, name);
	fd = openat(d->fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	if (fd >= 0) {
		close(fd);
		errno = EINVAL;
	}
	return -1;
}

/*
 * The plain file, else the compressed one, which has its name before the plain one goes.  Of two
 * that are not there the plain one is named.
 */
static int open_either(struct smf_directory *d, const char *name)
{
	static const char *const tries[] = {"", GZ, ""};
	char file[NAME_MAX + sizeof(GZ)];
	int fd = -1;

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]) && fd < 0; i++) {
		snprintf(file, sizeof(file), "%s%s", name, tries[i]);
		fd = open_file(d, file);
		if (fd < 0 && errno != ENOENT)
			break;
	}
	return fd;
}

/* The file of the checkpoint is the last one to be read; without it something has gone. */
static int check_there(const struct smf_directory *d, const struct smf_checkpoint *cp,
		       struct cs_err *err)
{
	if (cp->length == 0 || strcmp(d->last, cp->file) >= 0)
		return 0;
	return cs_fail(err, CS_ENOTFOUND, "%s/%s: %llu bytes are acknowledged, and it is not there",
		       d->path, cp->file, (unsigned long long)cp->length);
}

int smf_directory_next(struct smf_directory *d, const struct smf_checkpoint *cp,
		       struct smf_directory_file *file, struct cs_err *err)
{
	char next[NAME_MAX + 1];

	if (!next_name(d, cp->file, next))
		return check_there(d, cp, err);
	strcpy(d->last, next);
	*file = (struct smf_directory_file){
		.fd = open_either(d, next),
		.name = d->name,
	};
	if (file->fd < 0)
		cs_fail(err, CS_ESYS, "%s",
			errno == EINVAL   ? "it is no file"
			: errno == ENOENT ? "it went before it was read"
					  : strerror(errno));
	return 1;
}

int smf_directory_place(const struct smf_directory *d, const struct smf_checkpoint *cp)
{
	return strcmp(d->last, cp->file);
}

int smf_directory_check(int fd, const struct smf_checkpoint *cp, struct cs_err *err)
{
	struct stat st;

	/* A pipe has what was compressed since the checkpoint was read, which is all of it. */
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size >= cp->length)
		return 0;
	return cs_fail(err, CS_EPARSE, "%llu bytes are acknowledged, and it has %llu",
		       (unsigned long long)cp->length, (unsigned long long)st.st_size);
}
