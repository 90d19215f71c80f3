/*
 * The keyring's directory for csipsec-pki: one writer at a time, and files that are there as a
 * whole or not at all.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pki/tool.h"

#define NAME_LEN (PKI_LABEL_MAX + 32)

int tool_load(const struct tool *t, struct pki_keyring **ring, struct cs_err *err)
{
	return pki_keyring_load(t->ring, tool_note, (void *)(uintptr_t)t, ring, err);
}

/* ---- the directory ---- */

int tool_dir_open(const struct tool *t, bool make, struct tool_dir *dir, struct cs_err *err)
{
	struct stat st;
	int status = 0;

	if (make)
		status = cs_make_dir(t->ring, 0700, err);
	if (stat(t->ring, &st) == 0 && !S_ISDIR(st.st_mode))
		return cs_fail(err, CS_EUNSUPPORTED,
			       "%s is a file, and only a directory can be changed", t->ring);
	if (status < 0)
		return status;
	dir->fd = open(t->ring, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir->fd < 0)
		return cs_fail_errno(err, "cannot open %s", t->ring);
	if (flock(dir->fd, LOCK_EX) < 0) {
		status = cs_fail_errno(err, "cannot lock %s", t->ring);
		close(dir->fd);
	}
	return status;
}

void tool_dir_close(struct tool_dir *dir)
{
	close(dir->fd);
}

static void file_name(const char *label, const char *ending, char name[static NAME_LEN])
{
	snprintf(name, NAME_LEN, "%s%s", label, ending);
}

bool tool_dir_has(const struct tool_dir *dir, const char *label, const char *ending)
{
	char name[NAME_LEN];

	file_name(label, ending, name);
	return faccessat(dir->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int write_all(int fd, struct cs_bytes b, struct cs_err *err)
{
	for (size_t n = 0; n < b.len;) {
		ssize_t w = write(fd, b.p + n, b.len - n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return cs_fail_errno(err, "cannot write");
		n += (size_t)w;
	}
	return fsync(fd) < 0 ? cs_fail_errno(err, "cannot write") : 0;
}

/* A link fails where a file is, a rename takes its place; both are one step. */
static int put_in_place(int dir, const char *temporary, const char *name, bool replace,
			struct cs_err *err)
{
	int rc = replace ? renameat(dir, temporary, dir, name)
			 : linkat(dir, temporary, dir, name, 0);

	if (rc < 0 && errno == EEXIST)
		return cs_fail(err, CS_EEXIST, "%s is there already (--replace writes over it)",
			       name);
	if (rc < 0)
		return cs_fail_errno(err, "cannot make %s", name);
	return fsync(dir) < 0 ? cs_fail_errno(err, "cannot write the directory") : 0;
}

int tool_dir_put(const struct tool_dir *dir, const char *label, const char *ending,
		 struct cs_bytes bytes, bool secret, bool replace, struct cs_err *err)
{
	char name[NAME_LEN], temporary[NAME_LEN];
	int fd, status;

	file_name(label, ending, name);
	snprintf(temporary, sizeof(temporary), ".new.%d", (int)getpid());
	unlinkat(dir->fd, temporary, 0); /* of a process that had our number and died */
	fd = openat(dir->fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return cs_fail_errno(err, "cannot make a file in the keyring");
	status = fchmod(fd, secret ? 0600 : 0644) < 0 ? cs_fail_errno(err, "cannot set its mode")
						      : write_all(fd, bytes, err);
	close(fd);
	if (status == 0)
		status = put_in_place(dir->fd, temporary, name, replace, err);
	unlinkat(dir->fd, temporary, 0);
	return status;
}

int tool_dir_get(const struct tool_dir *dir, const char *label, const char *ending,
		 struct cs_bytes *bytes, struct cs_err *err)
{
	char name[NAME_LEN];
	int fd, status;

	file_name(label, ending, name);
	fd = openat(dir->fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return cs_fail_errno(err, "cannot open %s", name);
	status = tool_read_fd(fd, bytes, err);
	close(fd);
	return status;
}

int tool_dir_remove(const struct tool_dir *dir, const char *label, const char *ending,
		    unsigned *removed, struct cs_err *err)
{
	char name[NAME_LEN];

	file_name(label, ending, name);
	if (unlinkat(dir->fd, name, 0) == 0)
		(*removed)++;
	else if (errno != ENOENT)
		return cs_fail_errno(err, "cannot remove %s", name);
	return fsync(dir->fd) < 0 ? cs_fail_errno(err, "cannot write the directory") : 0;
}

static int is_request(const struct dirent *e)
{
	size_t n = strlen(e->d_name);

	return n > 4 && n <= PKI_LABEL_MAX + 4 && strcmp(e->d_name + n - 4, ".req") == 0 &&
	       e->d_name[0] != '.';
}

int tool_dir_requests(const struct tool *t, void (*fn)(void *arg, const char *label), void *arg,
		      struct cs_err *err)
{
	struct dirent **names;
	int n = scandir(t->ring, &names, is_request, alphasort);

	if (n < 0)
		return errno == ENOTDIR ? 0 : cs_fail_errno(err, "cannot list %s", t->ring);
	for (int i = 0; i < n; i++) {
		names[i]->d_name[strlen(names[i]->d_name) - 4] = '\0';
		fn(arg, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	return 0;
}

/* ---- entries ---- */

int tool_find(const struct pki_keyring *ring, const char *label, const struct pki_entry **entry,
	      struct cs_err *err)
{
	*entry = pki_keyring_find(ring, label);
	return *entry ? 0
		      : cs_fail(err, CS_ENOTFOUND, "the keyring has no certificate '%s'", label);
}

int tool_find_ca(const struct pki_keyring *ring, const char *label, const struct pki_entry **ca,
		 struct cs_err *err)
{
	unsigned found = 0;
	int status;

	if (label) {
		status = tool_find(ring, label, ca, err);
		if (status < 0)
			return status;
		if (!pki_entry_info(*ca)->is_ca)
			return cs_fail(err, CS_EINVAL, "'%s' is not a CA", label);
		if (!pki_entry_info(*ca)->has_key)
			return cs_fail(err, CS_ENOTFOUND,
				       "the keyring has no private key of CA '%s'", label);
		return 0;
	}
	for (unsigned i = 0; i < pki_keyring_size(ring); i++) {
		const struct pki_entry *e = pki_keyring_at(ring, i);

		if (!pki_entry_info(e)->is_ca || !pki_entry_info(e)->has_key)
			continue;
		*ca = e;
		found++;
	}
	if (found == 1)
		return 0;
	return cs_fail(err, found ? CS_EINVAL : CS_ENOTFOUND,
		       found ? "the keyring has %u CAs with a private key: --ca says which"
			     : "the keyring has no CA with a private key (%u)",
		       found);
}
