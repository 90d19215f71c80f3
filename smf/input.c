/*
 * Records out of a file or a pipe: through a buffer in which they are handed out where they lie.
 * What comes in segments is put together apart.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "smf/framing.h"

#define BUFFER (1u << 20) /* several of the longest records */

struct smf_input {
	int fd;
	enum smf_framing framing;
	bool ended; /* of the last read */
	uint8_t *buffer;
	size_t start, end;   /* what is unread of it */
	uint64_t offset;     /* of start in the file */
	uint64_t limit;      /* bytes of the file that may be read */
	uint64_t block_left; /* bytes of the block that are ahead */
	uint64_t number;     /* of records handed out */
	uint8_t *joined;     /* segments; the first one's word before them */
	size_t joined_len;   /* 0: none */
	uint64_t joined_at;
};

int smf_input_open(int fd, struct smf_input **in, struct cs_err *err)
{
	struct smf_input *i = calloc(1, sizeof(*i));

	if (i) {
		i->buffer = malloc(BUFFER);
		i->joined = malloc(SMF_SEGMENT_MAX);
	}
	if (!i || !i->buffer || !i->joined) {
		smf_input_close(i);
		return cs_fail(err, CS_ENOMEM, "out of memory");
	}
	i->fd = fd;
	i->limit = UINT64_MAX;
	*in = i;
	return 0;
}

void smf_input_close(struct smf_input *in)
{
	if (!in)
		return;
	free(in->buffer);
	free(in->joined);
	free(in);
}

void smf_input_limit(struct smf_input *in, uint64_t bytes)
{
	in->limit = bytes;
}

enum smf_framing smf_input_framing(const struct smf_input *in)
{
	return in->framing;
}

static size_t held(const struct smf_input *in)
{
	return in->end - in->start;
}

/* One read, unless the end is there. CS_ESYS. */
static int read_more(struct smf_input *in, struct cs_err *err)
{
	uint64_t may = in->limit > in->offset + held(in) ? in->limit - in->offset - held(in) : 0;
	size_t room;
	ssize_t n;

	if (in->start > 0) {
		memmove(in->buffer, in->buffer + in->start, held(in));
		in->end -= in->start;
		in->start = 0;
	}
	room = BUFFER - in->end;
	if (may == 0 || room == 0) {
		in->ended = true;
		return 0;
	}
	if (may < room)
		room = (size_t)may;
	do {
		n = read(in->fd, in->buffer + in->end, room);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return cs_fail_errno(err, "cannot read at offset %llu",
				     (unsigned long long)in->offset + held(in));
	in->ended = n == 0;
	in->end += (size_t)n;
	return 0;
}

/* 1: so many bytes are there; 0: the end comes before. */
static int need(struct smf_input *in, size_t len, struct cs_err *err)
{
	in->ended = false;
	while (held(in) < len) {
		int rc = in->ended ? 0 : read_more(in, err);

		if (rc < 0)
			return rc;
		if (in->ended)
			return 0;
	}
	return 1;
}

static void take(struct smf_input *in, size_t len)
{
	in->start += len;
	in->offset += len;
}

/* 1: it is known; 0: there is nothing yet. */
static int detect(struct smf_input *in, struct cs_err *err)
{
	int rc = CS_EAGAIN;

	in->ended = false;
	while (rc == CS_EAGAIN) {
		if (in->ended && held(in) == 0)
			return 0;
		rc = smf_detect(in->buffer + in->start, held(in), in->ended, &in->framing, err);
		if (rc == CS_EAGAIN && read_more(in, err) < 0)
			return CS_ESYS;
	}
	return rc < 0 ? rc : 1;
}

static int broken(const struct smf_input *in, struct cs_err *err, const char *what)
{
	const uint8_t *p = in->buffer + in->start;

	return cs_fail(err, CS_EPARSE,
		       "at offset %llu, after record %llu: %s (%02x%02x %02x%02x); what follows is "
		       "not read",
		       (unsigned long long)in->offset, (unsigned long long)in->number, what, p[0],
		       p[1], p[2], p[3]);
}

/* Steps over the word of a block, where one begins. */
static int enter_block(struct smf_input *in, struct cs_err *err)
{
	uint64_t len;
	int rc;

	if (in->framing != SMF_FRAMING_BDW || in->block_left > 0)
		return 1;
	rc = need(in, SMF_WORD, err);
	if (rc <= 0)
		return rc;
	if (!smf_bdw(in->buffer + in->start, &len))
		return broken(in, err, "no block descriptor word");
	take(in, SMF_WORD);
	in->block_left = len - SMF_WORD;
	return 1;
}

/* 1: the bytes of a record or segment are at the start of the buffer. */
static int find(struct smf_input *in, size_t *len, enum smf_segment *segment, struct cs_err *err)
{
	int rc = enter_block(in, err);

	if (rc > 0)
		rc = need(in, SMF_WORD, err);
	if (rc <= 0)
		return rc;
	if (!smf_rdw(in->buffer + in->start, len, segment))
		return broken(in, err, "no record descriptor word");
	if (in->framing == SMF_FRAMING_BDW && *len > in->block_left)
		return broken(in, err, "a record that passes the end of its block");
	if (in->joined_len ? *segment == SMF_WHOLE || *segment == SMF_FIRST
			   : *segment == SMF_LAST || *segment == SMF_MIDDLE)
		return broken(in, err,
			      in->joined_len ? "a record whose last segment is missing"
					     : "a segment of a record whose first is missing");
	if (in->joined_len && in->joined_len + *len - SMF_WORD > SMF_SEGMENT_MAX)
		return broken(in, err, "segments of a record of more than 65535 bytes");
	return need(in, *len, err);
}

static void join(struct smf_input *in, size_t len)
{
	const uint8_t *p = in->buffer + in->start;
	size_t skip = in->joined_len ? SMF_WORD : 0;

	if (!in->joined_len)
		in->joined_at = in->offset;
	memcpy(in->joined + in->joined_len, p + skip, len - skip);
	in->joined_len += len - skip;
	in->joined[0] = (uint8_t)(in->joined_len >> 8);
	in->joined[1] = (uint8_t)in->joined_len;
	in->joined[2] = 0;
}

int smf_input_next(struct smf_input *in, struct smf_raw *raw, struct cs_err *err)
{
	enum smf_segment segment;
	size_t len;
	int rc = in->framing ? 1 : detect(in, err);

	while (rc > 0) {
		rc = find(in, &len, &segment, err);
		if (rc <= 0)
			break;
		*raw = (struct smf_raw){in->buffer + in->start, len, in->offset, in->number + 1};
		if (segment != SMF_WHOLE)
			join(in, len);
		take(in, len);
		if (in->framing == SMF_FRAMING_BDW)
			in->block_left -= len;
		if (segment == SMF_FIRST || segment == SMF_MIDDLE)
			continue;
		if (segment == SMF_LAST) {
			raw->p = in->joined;
			raw->len = in->joined_len;
			raw->offset = in->joined_at;
			in->joined_len = 0;
		}
		in->number++;
		return 1;
	}
	return rc;
}

bool smf_input_cut(const struct smf_input *in, uint64_t *offset, uint64_t *bytes)
{
	*offset = in->joined_len ? in->joined_at : in->offset;
	*bytes = in->offset + held(in) - *offset;
	return *bytes > 0 || in->block_left > 0;
}
