/* Publishing an AT-TLS image: whole or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/paths.h"
#include "policy/ttls_image.h"

static int write_all(int fd, const uint8_t *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* So that the name is there after a crash, too. */
static int sync_directory(const char *file)
{
	char dir[CS_PATH_MAX];
	const char *slash = strrchr(file, '/');
	int fd, rc;

	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - file) : 1, slash ? file : ".");
	fd = open(*dir ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

static int write_image(int fd, const uint8_t *image, size_t length, const char *temporary,
		       const char *file)
{
	/* umask shall not decide who can read it */
	if (fchmod(fd, 0644) < 0 || write_all(fd, image, length) < 0 || fsync(fd) < 0)
		return -1;
	return rename(temporary, file) < 0 ? -1 : sync_directory(file);
}

static int publish(const uint8_t *image, size_t length, const char *file, struct cs_err *err)
{
	char temporary[CS_PATH_MAX];
	int fd, rc = 0;

	if (snprintf(temporary, sizeof(temporary), "%s.new", file) >= (int)sizeof(temporary))
		return cs_fail(err, CS_EINVAL, "%s: the path is too long", file);
	/* What an earlier pagent left there is nobody's. */
	unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return cs_fail_errno(err, "%s", temporary);
	if (write_image(fd, image, length, temporary, file) < 0) {
		rc = cs_fail_errno(err, "%s", file);
		unlink(temporary);
	}
	close(fd);
	return rc;
}

int pol_ttls_publish(const struct pol_ttls *ttls, uint64_t generation, const char *file,
		     struct cs_err *err)
{
	uint8_t *image = malloc(ttls->length);
	int rc;

	if (!image)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	memcpy(image, ttls->image, ttls->length);
	pol_ttls_seal(image, ttls->length, generation);
	/* Nobody shall find a fault in it that we could have found. */
	rc = pol_ttls_verify(image, ttls->length, err);
	if (rc == 0)
		rc = publish(image, ttls->length, file, err);
	free(image);
	return rc;
}
