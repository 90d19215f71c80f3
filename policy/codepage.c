/*
 * EBCDIC: recognised, and turned into UTF-8 by iconv.  z/OS UNIX ends lines with NL (X'15'), which
 * iconv makes the control character U+0085.
 */
#include "policy/codepage.h"

#include <iconv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"

bool pol_is_utf16(const char *data, size_t size)
{
	return size >= 2 && (memcmp(data, "\xff\xfe", 2) == 0 || memcmp(data, "\xfe\xff", 2) == 0);
}

/*
 * Below the blank (X'40') EBCDIC has control characters alone, where ASCII has its blank, digits
 * and line ends; letters are above.  HT, VT, FF, CR, SO, SI, NL and LF are what a text may have of
 * them.
 */
bool pol_is_ebcdic(const char *data, size_t size)
{
	static const char controls[] = "\x05\x0b\x0c\x0d\x0e\x0f\x15\x25";
	bool blank = false, letter = false;

	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)data[i];

		if (c < 0x40 && (c == 0 || !strchr(controls, c)))
			return false;
		blank = blank || c == 0x40;
		letter = letter || c > 0x80;
	}
	return blank && letter;
}

/* IBM writes IBM-037, iconv knows IBM037. A name that is more than a name is none. */
static iconv_t open_page(const char *page)
{
	char plain[POL_CODEPAGE_MAX + 1];
	size_t n = 0;
	iconv_t cd;

	for (const char *p = page; *p; p++) {
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-",
			    *p) ||
		    p - page >= POL_CODEPAGE_MAX)
			return (iconv_t)-1;
		if (*p != '-')
			plain[n++] = *p;
	}
	plain[n] = '\0';
	cd = iconv_open("UTF-8", page);
	return cd == (iconv_t)-1 ? iconv_open("UTF-8", plain) : cd;
}

/* U+0085, in UTF-8, becomes a line feed. Returns the new size. */
static size_t end_lines(char *text, size_t size)
{
	size_t to = 0;

	for (size_t i = 0; i < size; i++) {
		if (i + 1 < size && text[i] == '\xc2' && text[i + 1] == '\x85') {
			text[to++] = '\n';
			i++;
		} else {
			text[to++] = text[i];
		}
	}
	return to;
}

int pol_from_ebcdic(const char *page, char **data, size_t *size, struct cs_err *err)
{
	size_t left = *size, max = 3 * *size, room = max, n, rc;
	char *text, *in = *data, *to;
	iconv_t cd = open_page(page);

	if (cd == (iconv_t)-1)
		return cs_fail(err, CS_EUNSUPPORTED,
			       "it is in EBCDIC, and iconv does not know code page %.40s", page);
	text = malloc(max + 1);
	if (!text) {
		iconv_close(cd);
		return cs_fail(err, CS_ENOMEM, "out of memory");
	}
	to = text;
	rc = iconv(cd, &in, &left, &to, &room);
	iconv_close(cd);
	n = end_lines(text, max - room);
	if (rc == (size_t)-1)
		cs_fail(err, CS_EPARSE, "it is in EBCDIC, but byte %zu is not of code page %.40s",
			*size - left + 1, page);
	else if (!memchr(text, '\n', n))
		cs_fail(err, CS_EPARSE,
			"it is in EBCDIC and has no line ends: copy it from z/OS as text");
	if (rc == (size_t)-1 || !memchr(text, '\n', n)) {
		cs_wipe(text, max);
		free(text);
		return CS_EPARSE;
	}
	cs_wipe(*data, *size);
	free(*data);
	*data = text;
	*size = n;
	return 0;
}
