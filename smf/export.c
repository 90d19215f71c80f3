/* Where records in their form go: a buffer with room for whatever one may become, and a file. */
#include "smf/export.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "smf/ebcdic.h"
#include "smf/format.h"

#define FLUSH_AT (256u << 10)
/* All fields with their names, and of each byte of a section a letter of six or its hex. */
#define FIELDS_ROOM (64u << 10)
#define PER_BYTE    8

static smf_fmt_record_fn *const put_record[SMF_FORMATS] = {
	[SMF_TEXT] = smf_fmt_text,
	[SMF_JSON] = smf_fmt_json,
	[SMF_CSV] = smf_fmt_csv,
	[SMF_CEF] = smf_fmt_cef,
};

static smf_letter_fn *const letter[SMF_FORMATS] = {
	[SMF_TEXT] = smf_text_letter,
	[SMF_JSON] = smf_json_letter,
	[SMF_CSV] = smf_csv_letter,
	[SMF_CEF] = smf_cef_letter,
};

static int reserve(struct smf_export *x, size_t room, struct cs_err *err)
{
	size_t cap = x->len + room;
	char *buffer;

	if (cap <= x->cap)
		return 0;
	buffer = realloc(x->buffer, cap);
	if (!buffer)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	x->buffer = buffer;
	x->cap = cap;
	return 0;
}

static void set_letters(struct smf_export *x)
{
	for (unsigned i = 0; i < 256; i++) {
		char text[8] = "";

		x->letters.of[i].len =
			(uint8_t)letter[x->o.format](smf_latin1(x->o.page, (uint8_t)i), text);
		memcpy(x->letters.of[i].text, text, sizeof(x->letters.of[i].text));
	}
}

int smf_export_open(int fd, const struct smf_export_options *o, struct smf_export **out,
		    struct cs_err *err)
{
	struct smf_export *x = calloc(1, sizeof(*x));
	bool json = o->format == SMF_JSON;

	if (!x || reserve(x, FLUSH_AT + FIELDS_ROOM, err) < 0) {
		free(x);
		return cs_fail(err, CS_ENOMEM, "out of memory");
	}
	x->o = *o;
	x->fd = fd;
	x->day = INT64_MIN;
	set_letters(x);
	for (unsigned i = 0; i < SMF_FIELDS; i++)
		x->keys[i] = smf_piece_of(json ? ",\"" : "", smf_rows[i].name, json ? "\":" : "");
	if (o->format == SMF_CSV)
		x->len = (size_t)(smf_fmt_csv_heading(x, x->buffer) - x->buffer);
	*out = x;
	return 0;
}

void smf_export_close(struct smf_export *x)
{
	if (!x)
		return;
	free(x->buffer);
	free(x);
}

int smf_export_flush(struct smf_export *x, struct cs_err *err)
{
	size_t at = 0;

	while (at < x->len) {
		ssize_t n = write(x->fd, x->buffer + at, x->len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cs_fail_errno(err, "the output cannot be written");
		at += (size_t)n;
	}
	x->len = 0;
	return 0;
}

int smf_export_record(struct smf_export *x, const struct smf_record *r, struct cs_err *err)
{
	size_t room = FIELDS_ROOM;
	int rc;

	for (unsigned i = 0; i < SMF_SECTIONS; i++)
		room += r->sections[i].p ? PER_BYTE * r->sections[i].len : 0;
	rc = reserve(x, room, err);
	if (rc < 0)
		return rc;
	x->len = (size_t)(put_record[x->o.format](x, x->buffer + x->len, r) - x->buffer);
	return x->len < FLUSH_AT ? 0 : smf_export_flush(x, err);
}
