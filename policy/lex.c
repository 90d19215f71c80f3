/*
 * Policy files as lines and words (IBM's lexical rules: '#' begins a comment, blanks separate
 * words, nothing is quoted or continued). Lines may end with CR LF. A file in EBCDIC is read, too.
 */
#include "policy/lex.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "policy/codepage.h"

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

/* Trims text in place, cuts its comment and returns its begin. */
static char *trim(char *text, bool *glued)
{
	char *end = strchr(text, '#');

	*glued = end && end > text && !blank(end[-1]);
	if (!end)
		end = text + strlen(text);
	while (end > text && blank(end[-1]))
		end--;
	*end = '\0';
	while (blank(*text))
		text++;
	return text;
}

static int add_line(struct pol_lines *lines, char *text, size_t len, unsigned number,
		    struct cs_err *err)
{
	struct pol_line line = {.text = text, .number = number};

	if (memchr(text, '\0', len)) {
		line.bad = "the line has a NUL byte";
		line.text = text + len;
	} else if (len > POL_LINE_MAX) {
		line.bad = "the line is longer than 4096 bytes";
		line.text = text + len;
	} else {
		line.text = trim(text, &line.glued);
		line.indent = (unsigned)(line.text - text);
		if (!*line.text)
			return 0;
	}
	if ((lines->n & (lines->n - 1)) == 0) { /* grows at powers of two */
		size_t room = lines->n ? 2 * (size_t)lines->n : 1;
		struct pol_line *more = realloc(lines->lines, room * sizeof(*more));

		if (!more)
			return cs_fail(err, CS_ENOMEM, "out of memory");
		lines->lines = more;
	}
	lines->lines[lines->n++] = line;
	return 0;
}

/* Splits lines->data, which has a byte of room behind its size. */
static int split(struct pol_lines *lines, struct cs_err *err)
{
	char *p = lines->data, *end = lines->data + lines->size;
	unsigned number = 0;
	int rc;

	*end = '\0';
	if (lines->size >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		p += 3; /* the mark that editors of Windows put before UTF-8 */
	while (p < end) {
		char *eol = memchr(p, '\n', (size_t)(end - p));

		if (!eol)
			eol = end;
		*eol = '\0';
		if (++number > POL_LINES_MAX)
			return cs_fail(err, CS_ELIMIT, "the file has more than %u lines",
				       POL_LINES_MAX);
		rc = add_line(lines, p, (size_t)(eol - p), number, err);
		if (rc)
			return rc;
		p = eol + 1;
	}
	lines->last = number;
	return 0;
}

int pol_lex_text(const char *text, size_t size, struct pol_lines *lines, struct cs_err *err)
{
	int rc;

	memset(lines, 0, sizeof(*lines));
	if (size > POL_FILE_MAX)
		return cs_fail(err, CS_ELIMIT, "the text has more than %u bytes", POL_FILE_MAX);
	lines->data = malloc(size + 1);
	if (!lines->data)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	memcpy(lines->data, text, size);
	lines->size = size;
	rc = split(lines, err);
	if (rc)
		pol_lines_free(lines);
	return rc;
}

/* Reads fd to its end. Buffers that grow are wiped, because the file may hold keys. */
static int read_all(int fd, struct pol_lines *lines, struct cs_err *err)
{
	size_t room = 0;

	for (;;) {
		ssize_t got;

		if (lines->size + 1 >= room) {
			size_t wider = room ? 2 * room : 65536;
			char *data = malloc(wider);

			if (!data)
				return cs_fail(err, CS_ENOMEM, "out of memory");
			if (lines->data) {
				memcpy(data, lines->data, lines->size);
				cs_wipe(lines->data, lines->size);
				free(lines->data);
			}
			lines->data = data;
			room = wider;
		}
		got = read(fd, lines->data + lines->size, room - lines->size - 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return cs_fail_errno(err, "cannot read it");
		if (got == 0)
			return 0;
		lines->size += (size_t)got;
		if (lines->size > POL_FILE_MAX)
			return cs_fail(err, CS_ELIMIT, "it has more than %u bytes", POL_FILE_MAX);
	}
}

/* Lines as old Macintosh programs have them would all be one. */
static bool ends_with_cr(const char *data, size_t size)
{
	const char *cr = size ? memchr(data, '\r', size - 1) : NULL;

	return cr && !memchr(data, '\n', size) && !pol_is_ebcdic(data, size);
}

int pol_lex_file(const char *path, const char *page, struct pol_lines *lines, struct cs_err *err)
{
	struct stat st;
	int fd, rc;

	memset(lines, 0, sizeof(*lines));
	/* A pipe that nobody writes to would hold a daemon for ever, in open() first of all. */
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return cs_fail_errno(err, "cannot open it");
	fcntl(fd, F_SETFL, O_RDONLY); /* one that somebody writes to is waited for: pagent -n */
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		lines->open_to_all = st.st_mode & S_IROTH;
		lines->all_write = st.st_mode & S_IWOTH;
	}
	rc = read_all(fd, lines, err);
	close(fd);
	if (!rc && pol_is_utf16(lines->data, lines->size))
		rc = cs_fail(err, CS_EPARSE, "it is in UTF-16; save it as UTF-8");
	if (!rc && ends_with_cr(lines->data, lines->size))
		rc = cs_fail(err, CS_EPARSE,
			     "its lines end with CR; let them end with LF or CR LF");
	lines->ebcdic = !rc && pol_is_ebcdic(lines->data, lines->size);
	if (lines->ebcdic)
		rc = pol_from_ebcdic(page, &lines->data, &lines->size, err);
	if (!rc)
		rc = split(lines, err);
	if (rc)
		pol_lines_free(lines);
	return rc;
}

void pol_lines_free(struct pol_lines *lines)
{
	if (lines->data)
		cs_wipe(lines->data, lines->size);
	free(lines->data);
	free(lines->lines);
	memset(lines, 0, sizeof(*lines));
}

struct pol_word pol_word_next(const char **text)
{
	struct pol_word word;

	while (blank(**text))
		(*text)++;
	word.p = *text;
	while (**text && !blank(**text))
		(*text)++;
	word.len = (size_t)(*text - word.p);
	return word;
}

bool pol_word_is(struct pol_word word, const char *text)
{
	return strlen(text) == word.len && strncasecmp(word.p, text, word.len) == 0;
}

bool pol_word_copy(struct pol_word word, char *buf, size_t size)
{
	if (word.len >= size)
		return false;
	memcpy(buf, word.p, word.len);
	buf[word.len] = '\0';
	return true;
}

/* RFC 3629. */
unsigned pol_char(const char *text, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *p = (const unsigned char *)text;
	unsigned len = *p < 0x80   ? 1
		       : *p < 0xc0 ? 0
		       : *p < 0xe0 ? 2
		       : *p < 0xf0 ? 3
		       : *p < 0xf8 ? 4
				   : 0;

	*code = len > 1 ? *p & (0x7fu >> len) : *p;
	for (unsigned i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (p[i] & 0x3fu);
	}
	if (len == 0 || *code < least[len] || *code > 0x10ffff || (*code >> 11) == 0x1b)
		return 0;
	return len;
}

bool pol_is_utf8(const char *text)
{
	uint32_t code;

	while (*text) {
		unsigned len = pol_char(text, &code);

		if (!len)
			return false;
		text += len;
	}
	return true;
}

bool pol_is_shown(uint32_t code)
{
	return code >= 0x20 && (code < 0x7f || code >= 0xa0) && code != 0xad &&
	       (code < 0x200b || code > 0x200f) && (code < 0x2028 || code > 0x202e) &&
	       (code < 0x2060 || code > 0x206f) && code != 0xfeff;
}

bool pol_is_printable(const char *text)
{
	uint32_t code;
	unsigned len;

	for (; *text; text += len) {
		len = pol_char(text, &code);
		if (!len || !pol_is_shown(code))
			return false;
	}
	return true;
}
