/* By which name a stack is known in the shared store. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "iked/iked.h"

#define ID_FILE        "host-id"
#define ID_LEN         8
#define NAME_MAX_CHARS (IKE_SHARED_HOST - CS_STACK_MAX - ID_LEN - 3)

static bool is_id(const char *text)
{
	return strlen(text) == ID_LEN && strspn(text, "0123456789abcdef") == ID_LEN;
}

static int read_id(int dir, char id[static ID_LEN + 1], struct cs_err *err)
{
	char text[ID_LEN + 2] = {0};
	int fd = openat(dir, ID_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? CS_ENOTFOUND : cs_fail_errno(err, "cannot open " ID_FILE);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[strcspn(text, "\n")] = '\0';
	if (n < 0 || !is_id(text))
		return cs_fail(err, CS_EPARSE, ID_FILE " does not hold %d hex digits", ID_LEN);
	memcpy(id, text, ID_LEN + 1);
	return 0;
}

/* By a link, which is there whole or not at all, and does not replace what somebody else made. */
static int make_id(int dir, struct cs_err *err)
{
	uint8_t chance[ID_LEN / 2];
	char text[ID_LEN + 2], draft[32];
	int fd, status = 0;

	if (getrandom(chance, sizeof(chance), 0) != (ssize_t)sizeof(chance))
		return cs_fail_errno(err, "cannot get random bytes");
	cs_hex(chance, sizeof(chance), text);
	strcat(text, "\n");
	snprintf(draft, sizeof(draft), ID_FILE ".%d", (int)getpid());
	unlinkat(dir, draft, 0);
	fd = openat(dir, draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd < 0)
		return cs_fail_errno(err, "cannot make %s", draft);
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text) || fsync(fd) < 0)
		status = cs_fail_errno(err, "cannot write %s", draft);
	close(fd);
	if (status == 0 && linkat(dir, draft, dir, ID_FILE, 0) < 0 && errno != EEXIST)
		status = cs_fail_errno(err, "cannot make " ID_FILE);
	unlinkat(dir, draft, 0);
	return status;
}

int iked_shared_host(const char *path, const char *stack, char host[static IKE_SHARED_HOST],
		     struct cs_err *err)
{
	char name[65] = "", id[ID_LEN + 1];
	int status, dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return cs_fail_errno(err, "cannot open %s", path);
	status = read_id(dir, id, err);
	if (status == CS_ENOTFOUND) {
		status = make_id(dir, err);
		if (status == 0)
			status = read_id(dir, id, err);
	}
	close(dir);
	if (status < 0)
		return status == CS_ENOTFOUND ? cs_fail(err, CS_ENOTFOUND, ID_FILE " is gone")
					      : cs_err_prefix(err, "%s", path);
	if (gethostname(name, sizeof(name) - 1) < 0)
		return cs_fail_errno(err, "cannot get the host's name");
	snprintf(host, IKE_SHARED_HOST, "%.*s/%s#%s", NAME_MAX_CHARS, name, stack, id);
	return 0;
}
