/*
 * libFuzzer: bytes as what a shared store may hold, or the other end of the helper's socket may
 * say. The first byte says what the rest is: a document of either phase, or a message.  What is
 * understood is written and read again as the same.
 */
#include <stdlib.h>
#include <string.h>

#include "iked/shared_wire.h"
#include "tests/fuzz/holds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *put(const struct ike_shared_row *row)
{
	char *text = NULL;
	int status = row->kind == 'K' ? ike_shared_put_p1(&row->p1, &text, NULL)
				      : ike_shared_put_p2(&row->p2, &text, NULL);

	HOLDS(status == 0);
	return text;
}

static void document(char kind, const char *data, size_t size)
{
	struct ike_shared_row row, again;
	struct cs_err err = {0};
	char *text, *second;

	if (ike_shared_get(kind, data, size, &row, &err) < 0) {
		HOLDS(err.code == CS_EPARSE && err.text[0] && !row.document && !row.ids);
		return;
	}
	text = put(&row);
	HOLDS(ike_shared_get(kind, text, strlen(text), &again, &err) == 0);
	second = put(&again);
	HOLDS(strcmp(text, second) == 0);
	free(text);
	free(second);
	ike_shared_row_clear(&row);
	ike_shared_row_clear(&again);
}

static void message(const uint8_t *data, size_t size)
{
	uint8_t packet[IKE_SHARED_MESSAGE_MAX];
	struct ike_shared_message m;
	size_t len;

	if (size > sizeof(packet) || ike_shared_get_message(data, size, &m, NULL) < 0)
		return;
	HOLDS(m.text.p >= data && m.text.p + m.text.len <= data + size);
	HOLDS(ike_shared_put_message(&m, packet, sizeof(packet), &len, NULL) == 0);
	HOLDS(len == size && memcmp(packet, data, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0]) {
	case 'K':
	case 'Y':
		document((char)data[0], (const char *)data + 1, size - 1);
		break;
	default:
		message(data + 1, size - 1);
	}
	return 0;
}
