/*
 * libFuzzer: bytes as a file of SMF records, and as one record.  What is decoded lies within the
 * input, and each form of export is a line that has no control character; JSON is JSON.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "smf/export.h"
#include "smf/smf.h"
#include "tests/fuzz/holds.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct smf_export *exports[SMF_FORMATS];
static int files[SMF_FORMATS];

static void read_fields(const struct smf_record *r)
{
	char text[64];
	struct cs_bytes bytes;
	struct cs_addr addr;
	uint64_t value;
	int64_t us;

	for (unsigned i = 0; i < SMF_FIELDS; i++) {
		enum smf_field f = (enum smf_field)i;

		if (smf_get_bytes(r, f, &bytes) && bytes.len > 0)
			HOLDS(bytes.p >= r->p && bytes.p + bytes.len <= r->p + r->len);
		if (smf_get_u64(r, f, &value))
			smf_value_name(f, value);
		if (smf_get_addr(r, f, &addr))
			HOLDS(addr.family == AF_INET || addr.family == AF_INET6);
		HOLDS(smf_get_text(r, f, (enum smf_page)(i % 2), text, sizeof(text)) <
		      sizeof(text));
	}
	smf_get_time(r, &us);
	HOLDS(smf_event(r) != NULL);
}

/* One record of each form, as text. */
static void check_export(enum smf_format form, const struct smf_record *r)
{
	static char text[1u << 20];
	struct cs_err err;
	ssize_t n;
	json_t *object;

	HOLDS(lseek(files[form], 0, SEEK_SET) == 0 && ftruncate(files[form], 0) == 0);
	HOLDS(smf_export_record(exports[form], r, &err) == 0);
	HOLDS(smf_export_flush(exports[form], &err) == 0);
	n = pread(files[form], text, sizeof(text), 0);
	HOLDS(n > 1 && n < (ssize_t)sizeof(text) && text[n - 1] == '\n');
	for (ssize_t i = 0; i < n - 1; i++)
		HOLDS((unsigned char)text[i] >= 0x20 || (form == SMF_TEXT && text[i] == '\n'));
	if (form == SMF_JSON) {
		object = json_loadb(
			text, (size_t)n,
			JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL | JSON_REJECT_DUPLICATES, NULL);
		HOLDS(object != NULL);
		json_decref(object);
	}
}

static void check_record(const uint8_t *p, size_t len)
{
	struct smf_record r;
	struct cs_err err = {.text = ""};

	if (smf_decode(p, len, &r, &err) < 0) {
		HOLDS(err.text[0] != '\0');
		return;
	}
	read_fields(&r);
	for (unsigned form = 0; form < SMF_FORMATS; form++)
		check_export((enum smf_format)form, &r);
}

static void check_file(const uint8_t *data, size_t size)
{
	int fd = memfd_create("smf", MFD_CLOEXEC), rc;
	struct smf_input *in;
	struct smf_raw raw;
	struct cs_err err = {.text = ""};
	uint64_t last = 0, offset, bytes;

	HOLDS(fd >= 0 && write(fd, data, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
	HOLDS(smf_input_open(fd, &in, &err) == 0);
	while ((rc = smf_input_next(in, &raw, &err)) > 0) {
		HOLDS(raw.number == ++last && raw.len > 4 && raw.offset + raw.len <= size);
		check_record(raw.p, raw.len);
	}
	HOLDS(rc == 0 || err.text[0]);
	if (rc == 0 && smf_input_cut(in, &offset, &bytes))
		HOLDS(offset + bytes == size);
	smf_input_close(in);
	close(fd);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct cs_err err;

	(void)argc, (void)argv;
	for (unsigned form = 0; form < SMF_FORMATS; form++) {
		struct smf_export_options o = {(enum smf_format)form, SMF_IBM1047, 0, 0xff};

		files[form] = memfd_create("export", MFD_CLOEXEC);
		HOLDS(files[form] >= 0);
		HOLDS(smf_export_open(files[form], &o, &exports[form], &err) == 0);
		HOLDS(smf_export_flush(exports[form], &err) == 0);
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *record = malloc(size + 1);

	HOLDS(record != NULL);
	check_file(data, size);
	if (size >= 6 && size <= 65535) { /* beyond what would refuse it at once */
		memcpy(record, data, size);
		record[0] = (uint8_t)(size >> 8);
		record[1] = (uint8_t)size;
		record[2] = record[3] = 0;
		record[5] = SMF_TYPE;
		check_record(record, size);
	}
	free(record);
	return 0;
}
