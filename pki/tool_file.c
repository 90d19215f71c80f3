/* Files that csipsec-pki is given and makes outside of the keyring, and passwords. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "pki/tool.h"

#define PASSWORD_MAX 256

/* ---- reading ---- */

int tool_read_fd(int fd, struct cs_bytes *bytes, struct cs_err *err)
{
	const size_t most = 16u * PKI_FILE_MAX;
	size_t cap = 0, n = 0;
	uint8_t *p = NULL;

	for (;;) {
		ssize_t r;

		if (n == cap) {
			/* By hand, so that no copy of a key is left behind. */
			uint8_t *grown = cap < most ? malloc(cap ? 2 * cap : 16384) : NULL;

			if (!grown) {
				*bytes = (struct cs_bytes){p, n};
				pki_bytes_free(bytes);
				return cs_fail(err, CS_ELIMIT, "it has more than %zu bytes", most);
			}
			if (n)
				memcpy(grown, p, n);
			*bytes = (struct cs_bytes){p, n};
			pki_bytes_free(bytes);
			p = grown;
			cap = cap ? 2 * cap : 16384;
		}
		r = read(fd, p + n, cap - n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0) {
			int status = cs_fail_errno(err, "cannot read it");

			*bytes = (struct cs_bytes){p, n};
			pki_bytes_free(bytes);
			return status;
		}
		if (r == 0)
			break;
		n += (size_t)r;
	}
	*bytes = (struct cs_bytes){p, n};
	return 0;
}

int tool_read(const char *path, struct cs_bytes *bytes, struct cs_err *err)
{
	int fd, status;

	if (strcmp(path, "-") == 0)
		return tool_read_fd(STDIN_FILENO, bytes, err);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return cs_fail_errno(err, "cannot open %s", path);
	status = tool_read_fd(fd, bytes, err);
	close(fd);
	if (status < 0)
		cs_err_prefix(err, "%s", path);
	return status;
}

/* ---- writing ---- */

static int write_out(struct cs_bytes bytes, struct cs_err *err)
{
	if (fwrite(bytes.p, 1, bytes.len, stdout) != bytes.len || fflush(stdout) != 0)
		return cs_fail_errno(err, "cannot write to standard output");
	return 0;
}

int tool_write(const char *path, struct cs_bytes bytes, bool secret, bool replace,
	       struct cs_err *err)
{
	char *temporary;
	int fd, status = 0;

	if (strcmp(path, "-") == 0)
		return write_out(bytes, err);
	if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0) {
		status = cs_fail_errno(err, "cannot make %s", path);
		free(temporary);
		return status;
	}
	if (fchmod(fd, secret ? 0600 : 0644) < 0 ||
	    write(fd, bytes.p, bytes.len) != (ssize_t)bytes.len || fsync(fd) < 0)
		status = cs_fail_errno(err, "cannot write %s", path);
	close(fd);
	if (status == 0 && replace ? rename(temporary, path) < 0
				   : status == 0 && link(temporary, path) < 0)
		status = errno == EEXIST
				 ? cs_fail(err, CS_EEXIST,
					   "%s is there already (--replace writes over it)", path)
				 : cs_fail_errno(err, "cannot make %s", path);
	unlink(temporary);
	free(temporary);
	return status;
}

/* ---- passwords ---- */

static int first_line(struct cs_bytes *file, struct cs_err *err)
{
	uint8_t *p = (uint8_t *)(uintptr_t)file->p;
	size_t n = 0;

	while (n < file->len && p[n] != '\n' && p[n] != '\r' && p[n])
		n++;
	if (n == 0 || n >= PASSWORD_MAX)
		return cs_fail(err, CS_EINVAL, "its first line is empty or too long");
	p[n] = '\0'; /* there is room: what was read is never a whole buffer */
	return 0;
}

static int ask(int tty, const char *prompt, char line[static PASSWORD_MAX], struct cs_err *err)
{
	size_t n = 0;
	char c;
	ssize_t r;

	if (write(tty, prompt, strlen(prompt)) < 0)
		return cs_fail_errno(err, "cannot ask for the password");
	while ((r = read(tty, &c, 1)) == 1 && c != '\n' && n < PASSWORD_MAX - 1)
		line[n++] = c;
	line[n] = '\0';
	if (write(tty, "\n", 1) < 0 || r != 1 || n == 0 || n == PASSWORD_MAX - 1)
		return cs_fail(err, CS_EINVAL, "no password was given");
	return 0;
}

/* On the terminal, without echo. */
static int prompt(bool fresh, struct cs_bytes *password, struct cs_err *err)
{
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY), status;
	char first[PASSWORD_MAX], second[PASSWORD_MAX];
	struct termios old, quiet;

	if (tty < 0 || tcgetattr(tty, &old) < 0) {
		if (tty >= 0)
			close(tty);
		return cs_fail(err, CS_EINVAL,
			       "a password is needed, and there is no terminal to ask: "
			       "--password-file");
	}
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(tty, TCSAFLUSH, &quiet);
	status = ask(tty, "Password: ", first, err);
	if (status == 0 && fresh)
		status = ask(tty, "Again: ", second, err);
	tcsetattr(tty, TCSAFLUSH, &old);
	close(tty);
	if (status == 0 && fresh && strcmp(first, second) != 0)
		status = cs_fail(err, CS_EINVAL, "the two passwords differ");
	if (status == 0)
		status = pki_bytes_copy(first, strlen(first) + 1, password, err);
	cs_wipe(first, sizeof(first));
	cs_wipe(second, sizeof(second));
	return status;
}

int tool_password(const struct tool *t, bool fresh, struct cs_bytes *password, struct cs_err *err)
{
	int status;

	if (!t->password_file)
		return prompt(fresh, password, err);
	status = tool_read(t->password_file, password, err);
	if (status == 0) {
		status = first_line(password, err);
		if (status < 0) {
			cs_err_prefix(err, "%s", t->password_file);
			pki_bytes_free(password);
		}
	}
	return status;
}

int tool_found(const struct tool *t, struct pki_found *found, struct cs_err *err)
{
	struct cs_bytes file, password = {NULL, 0};
	int status;

	if (!t->in)
		return cs_fail(err, CS_EINVAL, "--in FILE is needed");
	status = tool_read(t->in, &file, err);
	if (status < 0)
		return status;
	status = pki_found_parse(file, NULL, found, err);
	if (status == CS_EAUTH) {
		status = tool_password(t, false, &password, err);
		if (status == 0)
			status = pki_found_parse(file, (const char *)password.p, found, err);
	}
	pki_bytes_free(&password);
	pki_bytes_free(&file);
	if (status < 0)
		cs_err_prefix(err, "%s", t->in);
	return status;
}
