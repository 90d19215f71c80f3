/*
 * The bytes of a keyring: which files it has, whether nobody else can have written them, and
 * whether nobody else can read its private keys.  What is in them is not looked at here.
 */
#include "pki/private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int pki_label_check(const char *label, struct cs_err *err)
{
	size_t n = strlen(label);

	if (n == 0 || n > PKI_LABEL_MAX)
		return cs_fail(err, CS_EINVAL, "a label has 1 to %d characters", PKI_LABEL_MAX);
	if (label[0] == '.' || label[0] == ' ' || label[n - 1] == ' ')
		return cs_fail(err, CS_EINVAL,
			       "a label does not begin with '.' or a blank, nor end with one");
	for (size_t i = 0; i < n; i++)
		if (label[i] < ' ' || label[i] >= 0x7f || label[i] == '/')
			return cs_fail(err, CS_EINVAL, "a label has printable characters, no '/'");
	return 0;
}

void *pki_grow(void *array, unsigned n, size_t size)
{
	/* Doubles at each power of two. */
	if (n & (n - 1) || (n == 0 && array))
		return array;
	return reallocarray(array, n ? 2u * n : 1u, size);
}

/* ---- who may write and read a file ---- */

static bool is_ours(const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == geteuid();
}

/* 0 when nobody but root and us can have put there what it holds. */
static int check_writers(const struct stat *st, struct cs_err *err)
{
	if (!is_ours(st))
		return cs_fail(err, CS_EPERM, "it belongs to user %u, neither root nor ours",
			       st->st_uid);
	if (st->st_mode & 022)
		return cs_fail(err, CS_EPERM, "others can write it (mode %04o)",
			       st->st_mode & 07777u);
	return 0;
}

static void check_readers(const struct stat *st, struct pki_file *f)
{
	if (st->st_mode & 077)
		snprintf(f->not_private, sizeof(f->not_private),
			 "others can read it (mode %04o, not 0600)", st->st_mode & 07777u);
}

/* ---- reading ---- */

static int read_all(int fd, size_t len, uint8_t **data, size_t *got, struct cs_err *err)
{
	uint8_t *p = malloc(len + 1); /* a file that grew meanwhile is noticed */
	size_t n = 0;

	if (!p)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	while (n <= len) {
		ssize_t r = read(fd, p + n, len + 1 - n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0) {
			int status = cs_fail_errno(err, "cannot read it");

			cs_wipe(p, n);
			free(p);
			return status;
		}
		if (r == 0)
			break;
		n += (size_t)r;
	}
	if (n > len) {
		cs_wipe(p, n);
		free(p);
		return cs_fail(err, CS_EAGAIN, "it changed while it was read");
	}
	*data = p;
	*got = n;
	return 0;
}

static size_t size_limit(enum pki_file_kind kind)
{
	bool large = kind == PKI_FILE_CRL || kind == PKI_FILE_P12;

	return large ? 16u * PKI_FILE_MAX : PKI_FILE_MAX;
}

/* A plain file that only we and root can have written. Symbolic links are followed. */
static int read_file(int dir, const char *name, struct pki_file *f, struct cs_err *err)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int status;

	if (fd < 0)
		return errno == ENOENT ? cs_fail(err, CS_ENOTFOUND, "it is not there")
				       : cs_fail_errno(err, "cannot open it");
	if (fstat(fd, &st) < 0)
		status = cs_fail_errno(err, "cannot look at it");
	else if (!S_ISREG(st.st_mode))
		status = cs_fail(err, CS_EINVAL, "it is not a plain file");
	else if ((size_t)st.st_size > size_limit(f->kind))
		status = cs_fail(err, CS_ELIMIT, "it has %lld bytes, and %zu is the limit",
				 (long long)st.st_size, size_limit(f->kind));
	else
		status = check_writers(&st, err);
	if (status == 0)
		status = read_all(fd, (size_t)st.st_size, &f->data, &f->len, err);
	if (status == 0)
		check_readers(&st, f);
	close(fd);
	return status;
}

/* ---- the directory ---- */

static bool kind_of(const char *name, enum pki_file_kind *kind, size_t *stem)
{
	static const struct {
		const char *ending;
		enum pki_file_kind kind;
	} endings[] = {
		{".pem", PKI_FILE_CERT},
		{".key", PKI_FILE_KEY},
		{".crl", PKI_FILE_CRL},
	};
	size_t n = strlen(name);

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
		if (n > 4 && strcmp(name + n - 4, endings[i].ending) == 0) {
			*kind = endings[i].kind;
			*stem = n - 4;
			return true;
		}
	return false;
}

static void file_clear(struct pki_file *f)
{
	if (f->data)
		cs_wipe(f->data, f->len);
	free(f->data);
	free(f->name);
	free(f->label);
}

static int add_file(struct pki_files *files, int dir, const char *name, enum pki_file_kind kind,
		    size_t stem, pki_note_fn *note, void *arg, struct cs_err *err)
{
	struct pki_file f = {.kind = kind};
	struct pki_file *grown;
	struct cs_err why;
	int status;

	f.name = strdup(name);
	f.label = strndup(name, stem);
	status = f.name && f.label ? 0 : cs_fail(&why, CS_ENOMEM, "out of memory");
	if (status == 0 && kind != PKI_FILE_P12)
		status = pki_label_check(f.label, &why);
	if (status == 0)
		status = read_file(dir, name, &f, &why);
	if (status == 0) {
		grown = pki_grow(files->file, files->n, sizeof(*grown));
		if (grown) {
			files->file = grown;
			files->file[files->n++] = f;
			return 0;
		}
		status = cs_fail(&why, CS_ENOMEM, "out of memory");
	}
	file_clear(&f);
	if (status == CS_ENOMEM)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	if (note)
		note(arg, name, why.text);
	return kind == PKI_FILE_P12 ? cs_fail(err, (enum cs_code)status, "%s", why.text) : 0;
}

/* The first line of a file, in a buffer; *found false when the file is not there. */
static int read_line(int dir, const char *name, char *line, size_t size, bool secret, bool *found,
		     struct cs_err *err)
{
	struct pki_file f = {.kind = PKI_FILE_KEY};
	struct cs_err why;
	size_t n = 0;
	int status = read_file(dir, name, &f, &why);

	*found = status == 0;
	if (status == CS_ENOTFOUND)
		return 0;
	if (status == 0) {
		while (n < f.len && f.data[n] != '\n' && f.data[n] != '\r' && f.data[n])
			n++;
		if (n >= size)
			status = cs_fail(&why, CS_ELIMIT, "its first line is too long");
		else if (secret && f.not_private[0])
			status = cs_fail(&why, CS_EPERM, "%s", f.not_private);
	}
	if (status == 0) {
		memcpy(line, f.data, n);
		line[n] = '\0';
	}
	file_clear(&f);
	return status < 0 ? cs_fail(err, (enum cs_code)status, "%s: %s", name, why.text) : 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a directory, sorted, without those that begin with '.'. */
static int list_dir(int fd, char ***names, unsigned *n, struct cs_err *err)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;
	int status = 0;

	if (!d) {
		status = cs_fail_errno(err, "cannot list it");
		if (copy >= 0)
			close(copy);
		return status;
	}
	while (status == 0 && (e = readdir(d))) {
		char **grown;

		if (e->d_name[0] == '.')
			continue;
		if (*n == PKI_FILES_MAX) {
			status =
				cs_fail(err, CS_ELIMIT, "it has more than %d files", PKI_FILES_MAX);
			break;
		}
		grown = pki_grow(*names, *n, sizeof(*grown));
		if (grown) {
			*names = grown;
			grown[*n] = strdup(e->d_name);
		}
		if (!grown || !grown[*n])
			status = cs_fail(err, CS_ENOMEM, "out of memory");
		else
			(*n)++;
	}
	closedir(d);
	if (status == 0 && *n)
		qsort(*names, *n, sizeof(**names), by_name);
	return status;
}

static int read_dir(int dir, struct pki_files *files, pki_note_fn *note, void *arg,
		    struct cs_err *err)
{
	char **names = NULL;
	unsigned n = 0;
	bool marked;
	int status = list_dir(dir, &names, &n, err);

	for (unsigned i = 0; i < n && status == 0; i++) {
		enum pki_file_kind kind;
		size_t stem;

		if (kind_of(names[i], &kind, &stem))
			status = add_file(files, dir, names[i], kind, stem, note, arg, err);
	}
	if (status == 0)
		status = read_line(dir, "DEFAULT", files->default_label,
				   sizeof(files->default_label), false, &marked, err);
	for (unsigned i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return status;
}

/* ---- PKCS#12 ---- */

static int read_p12(const char *path, struct pki_files *files, struct cs_err *err)
{
	char password[256], *pass_path = NULL;
	bool found = false;
	int status;

	status = add_file(files, AT_FDCWD, path, PKI_FILE_P12, strlen(path), NULL, NULL, err);
	if (status < 0)
		return status;
	if (files->file[0].not_private[0])
		return cs_fail(err, CS_EPERM, "%s", files->file[0].not_private);
	if (asprintf(&pass_path, "%s.pass", path) < 0)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	status = read_line(AT_FDCWD, pass_path, password, sizeof(password), true, &found, err);
	free(pass_path);
	if (status == 0 && found) {
		files->password = strdup(password);
		if (!files->password)
			status = cs_fail(err, CS_ENOMEM, "out of memory");
	}
	cs_wipe(password, sizeof(password));
	return status;
}

/* ---- both ---- */

static int read_any(const char *path, struct pki_files *files, pki_note_fn *note, void *arg,
		    struct cs_err *err)
{
	struct stat st;
	int status, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return errno == ENOENT ? cs_fail(err, CS_ENOTFOUND, "it is not there")
				       : cs_fail_errno(err, "cannot open it");
	if (fstat(fd, &st) < 0)
		status = cs_fail_errno(err, "cannot look at it");
	else if (!S_ISDIR(st.st_mode))
		status = read_p12(path, files, err);
	else
		status = check_writers(&st, err);
	if (status == 0 && S_ISDIR(st.st_mode))
		status = read_dir(fd, files, note, arg, err);
	close(fd);
	return status;
}

int pki_files_read(const char *path, pki_note_fn *note, void *arg, struct pki_files **files,
		   struct cs_err *err)
{
	struct pki_files *f = calloc(1, sizeof(*f));
	int status;

	if (!f)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	status = read_any(path, f, note, arg, err);
	if (status < 0) {
		pki_files_free(f);
		cs_err_prefix(err, "keyring %s", path);
		return status;
	}
	*files = f;
	return 0;
}

void pki_files_free(struct pki_files *files)
{
	if (!files)
		return;
	for (unsigned i = 0; i < files->n; i++)
		file_clear(&files->file[i]);
	free(files->file);
	if (files->password)
		cs_wipe(files->password, strlen(files->password));
	free(files->password);
	free(files);
}
