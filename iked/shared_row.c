/* SAs as JSON documents. One table for each phase says what is written, and what must be read. */
#include "iked/shared_row.h"

#include <stdlib.h>
#include <string.h>

enum kind {
	F_UINT, /* of size bytes, at most max */
	F_ENUM, /* from min to max */
	F_TIME, /* int64_t, not before 1970 */
	F_BOOL,
	F_NAME, /* const char *, at most max characters */
	F_TEXT, /* char[size] */
	F_ADDR, /* "" is none, where min is 0 */
	F_RANGE,
	F_HEX,    /* uint8_t[size] */
	F_BYTES,  /* struct cs_bytes, at most max */
	F_CIPHER, /* of phase 1 */
	F_HASH,
	F_GROUP,
	F_ESP_CIPHER, /* number 0 is none */
	F_INTEG,
};

/* key_bits stands beside the cipher under a key of its own. */
struct field {
	const char *key;
	enum kind kind;
	size_t at, size;
	uint64_t min, max;
};

#define P1(member)     offsetof(struct ike_p1_info, member)
#define P2(member)     offsetof(struct ike_p2_info, member)
#define U(what, m)     what(m), sizeof(((struct of_##what *)0)->i.m), 0
#define KEY_BITS       "key_bits"
#define SUITE_KILOS    UINT64_C(0xffffffffffff) /* what JSON's integers hold with ease */
#define ID_PAYLOAD_MAX 2048

/* So that U() finds the type by the name of the macro above. */
struct of_P1 {
	struct ike_p1_info i;
};
struct of_P2 {
	struct ike_p2_info i;
};

static const struct field p1_fields[] = {
	{"tunnel", F_UINT, U(P1, tunnel), UINT32_MAX},
	{"generation", F_UINT, U(P1, generation), UINT32_MAX},
	{"initiator", F_BOOL, U(P1, initiator), 1},
	{"mode", F_ENUM, P1(mode), 0, POL_MODE_MAIN, POL_MODE_AGGRESSIVE},
	{"rule", F_NAME, P1(rule), 0, 0, POL_NAME_MAX},
	{"action", F_NAME, P1(action), 0, 0, POL_NAME_MAX},
	{"instance", F_UINT, U(P1, instance), UINT32_MAX},
	{"local_addr", F_ADDR, P1(local.addr), 0, 1, 0},
	{"local_port", F_UINT, U(P1, local.port), UINT16_MAX},
	{"remote_addr", F_ADDR, P1(remote.addr), 0, 1, 0},
	{"remote_port", F_UINT, U(P1, remote.port), UINT16_MAX},
	{"local_id_type", F_UINT, U(P1, local_id_type), UINT8_MAX},
	{"local_id", F_TEXT, U(P1, local_id), 0},
	{"remote_id_type", F_UINT, U(P1, remote_id_type), UINT8_MAX},
	{"remote_id", F_TEXT, U(P1, remote_id), 0},
	{"cipher", F_CIPHER, P1(suite.cipher), 0, 0, 0},
	{"hash", F_HASH, P1(suite.hash), 0, 0, 0},
	{"dh_group", F_GROUP, P1(suite.group), 0, 0, 0},
	{"auth", F_UINT, U(P1, suite.auth), UINT16_MAX},
	{"xauth", F_BOOL, U(P1, suite.xauth), 1},
	{"life_seconds", F_UINT, U(P1, suite.life_seconds), SUITE_KILOS},
	{"life_kbytes", F_UINT, U(P1, suite.life_kbytes), SUITE_KILOS},
	{"life_max", F_UINT, U(P1, suite.life_max), SUITE_KILOS},
	{"icookie", F_HEX, U(P1, icookie), 0},
	{"rcookie", F_HEX, U(P1, rcookie), 0},
	{"established", F_TIME, P1(established), 0, 0, 0},
	{"refresh", F_TIME, P1(refresh), 0, 0, 0},
	{"expires", F_TIME, P1(expires), 0, 0, 0},
	{"lifetime", F_UINT, U(P1, lifetime), UINT32_MAX},
	{"lifesize", F_UINT, U(P1, lifesize), UINT32_MAX},
	{"allow_nat", F_BOOL, U(P1, allow_nat), 1},
	{"natt_level", F_UINT, U(P1, natt_level), 3},
	{"nat_local", F_BOOL, U(P1, nat_local), 1},
	{"nat_remote", F_BOOL, U(P1, nat_remote), 1},
	{"nat_napt", F_BOOL, U(P1, nat_napt), 1},
	{"nat_encap", F_BOOL, U(P1, nat_encap), 1},
	{"user", F_TEXT, U(P1, user), 0},
	{"client_address", F_ADDR, P1(client_address), 0, 0, 0},
	{0},
};

static const struct field p2_fields[] = {
	{"tunnel", F_UINT, U(P2, tunnel), UINT32_MAX},
	{"generation", F_UINT, U(P2, generation), UINT32_MAX},
	{"generations", F_UINT, U(P2, generations), UINT32_MAX},
	{"parent", F_UINT, U(P2, parent), UINT32_MAX},
	{"initiator", F_BOOL, U(P2, initiator), 1},
	{"activation", F_ENUM, P2(activation), 0, IKE_ACT_USER, IKE_ACT_AUTO},
	{"rule", F_NAME, P2(rule), 0, 0, POL_NAME_MAX},
	{"action", F_NAME, P2(action), 0, 0, POL_NAME_MAX},
	{"local_rule", F_NAME, P2(local_rule), 0, 0, POL_NAME_MAX},
	{"rule_id", F_UINT, U(P2, rule_id), UINT16_MAX},
	{"reqid", F_UINT, U(P2, reqid), UINT32_MAX},
	{"instance", F_UINT, U(P2, instance), UINT32_MAX},
	{"protocol", F_ENUM, P2(suite.protocol), 0, POL_AH, POL_ESP},
	{"cipher", F_ESP_CIPHER, P2(suite.cipher), 0, 0, 0},
	{"integ", F_INTEG, P2(suite.integ), 0, 0, 0},
	{"ah", F_INTEG, P2(suite.ah), 0, 0, 0},
	{"esp_first", F_BOOL, U(P2, suite.esp_first), 1},
	{"encap", F_ENUM, P2(suite.encap), 0, POL_TUNNEL, POL_TRANSPORT},
	{"udp", F_ENUM, P2(suite.udp), 0, IKE_UDP_NONE, IKE_UDP_PLAIN},
	{"life_seconds", F_UINT, U(P2, suite.life_seconds), SUITE_KILOS},
	{"life_kbytes", F_UINT, U(P2, suite.life_kbytes), SUITE_KILOS},
	{"life_max", F_UINT, U(P2, suite.life_max), SUITE_KILOS},
	{"pfs_group", F_UINT, U(P2, pfs_group), UINT16_MAX},
	{"local_addr", F_ADDR, P2(local), 0, 1, 0},
	{"remote_addr", F_ADDR, P2(remote), 0, 1, 0},
	{"local_range", F_RANGE, P2(selector.local), 0, 0, 0},
	{"remote_range", F_RANGE, P2(selector.remote), 0, 0, 0},
	{"proto", F_UINT, U(P2, selector.proto), UINT8_MAX},
	{"local_port", F_UINT, U(P2, selector.local_port), UINT16_MAX},
	{"remote_port", F_UINT, U(P2, selector.remote_port), UINT16_MAX},
	{"spi_in", F_UINT, U(P2, spi_in), UINT32_MAX},
	{"spi_out", F_UINT, U(P2, spi_out), UINT32_MAX},
	{"ah_in", F_UINT, U(P2, ah_in), UINT32_MAX},
	{"ah_out", F_UINT, U(P2, ah_out), UINT32_MAX},
	{"installed", F_TIME, P2(installed), 0, 0, 0},
	{"refresh", F_TIME, P2(refresh), 0, 0, 0},
	{"expires", F_TIME, P2(expires), 0, 0, 0},
	{"vpn_expires", F_TIME, P2(vpn_expires), 0, 0, 0},
	{"lifetime", F_UINT, U(P2, lifetime), UINT32_MAX},
	{"lifesize", F_UINT, U(P2, lifesize), UINT32_MAX},
	{"passthrough_df", F_BOOL, U(P2, passthrough_df), 1},
	{"passthrough_dscp", F_BOOL, U(P2, passthrough_dscp), 1},
	{"nat_local", F_BOOL, U(P2, nat_local), 1},
	{"nat_remote", F_BOOL, U(P2, nat_remote), 1},
	{"nat_napt", F_BOOL, U(P2, nat_napt), 1},
	{"encap_local", F_UINT, U(P2, encap_local), UINT16_MAX},
	{"encap_remote", F_UINT, U(P2, encap_remote), UINT16_MAX},
	{"oa_initiator", F_ADDR, P2(oa[0]), 0, 0, 0},
	{"oa_responder", F_ADDR, P2(oa[1]), 0, 0, 0},
	{"client", F_UINT, U(P2, client), UINT16_MAX},
	{"local_id", F_BYTES, P2(local_id), 0, 0, ID_PAYLOAD_MAX},
	{"remote_id", F_BYTES, P2(remote_id), 0, 0, ID_PAYLOAD_MAX},
	{"user", F_TEXT, U(P2, user), 0},
	{0},
};

/* ---- writing ---- */

static uint64_t load_uint(const void *at, size_t size)
{
	uint8_t v8;
	uint16_t v16;
	uint32_t v32;
	uint64_t v64;

	switch (size) {
	case sizeof(v8):
		return memcpy(&v8, at, size), v8;
	case sizeof(v16):
		return memcpy(&v16, at, size), v16;
	case sizeof(v32):
		return memcpy(&v32, at, size), v32;
	default:
		return memcpy(&v64, at, sizeof(v64)), v64;
	}
}

static json_t *hex_of(const void *data, size_t len)
{
	char text[2 * ID_PAYLOAD_MAX + 1];

	if (len > ID_PAYLOAD_MAX)
		return NULL;
	cs_hex(data ? data : "", len, text);
	return json_string(text);
}

static json_t *addr_of(const struct cs_addr *a)
{
	char text[CS_ADDR_STRLEN];

	return json_string(a->family ? cs_addr_text(a, text) : "");
}

static json_t *range_of(const struct cs_range *r)
{
	char text[CS_RANGE_STRLEN];

	return json_string(r->lo.family ? cs_range_text(r, text) : "");
}

/* A cipher's key length is a key of its own; *extra is set then. */
static json_t *cipher_of(const struct cs_cipher *c, bool phase1, json_t **extra)
{
	*extra = json_integer(c ? c->key_bits : 0);
	return json_integer(!c ? 0 : phase1 ? c->ike : c->esp);
}

static json_t *value_of(const struct field *f, const char *at, json_t **extra)
{
	const void *p = at;

	switch (f->kind) {
	case F_UINT:
		return json_integer((json_int_t)load_uint(at, f->size));
	case F_ENUM:
		return json_integer((json_int_t)load_uint(at, sizeof(unsigned)));
	case F_TIME:
		return json_integer((json_int_t)load_uint(at, sizeof(int64_t)));
	case F_BOOL:
		return json_boolean(*(const bool *)p);
	case F_NAME:
		return json_string(*(const char *const *)p ? *(const char *const *)p : "");
	case F_TEXT:
		return json_string(at);
	case F_ADDR:
		return addr_of(p);
	case F_RANGE:
		return range_of(p);
	case F_HEX:
		return hex_of(p, f->size);
	case F_BYTES:
		return hex_of(((const struct cs_bytes *)p)->p, ((const struct cs_bytes *)p)->len);
	case F_CIPHER:
	case F_ESP_CIPHER:
		return cipher_of(*(const struct cs_cipher *const *)p, f->kind == F_CIPHER, extra);
	case F_HASH:
		return json_integer((*(const struct cs_hash *const *)p)->ike);
	case F_GROUP:
		return json_integer((*(const struct cs_group *const *)p)->number);
	case F_INTEG:
		return json_integer(*(const struct cs_integ *const *)p
					    ? (*(const struct cs_integ *const *)p)->esp
					    : 0);
	}
	return NULL;
}

static int put(const struct field *fields, const void *info, char **text, struct cs_err *err)
{
	json_t *document = json_object();
	char *made;

	for (const struct field *f = fields; document && f->key; f++) {
		json_t *extra = NULL, *v = value_of(f, (const char *)info + f->at, &extra);
		int rc = v ? json_object_set_new(document, f->key, v) : -1;

		if (rc == 0 && extra)
			rc = json_object_set_new(document, KEY_BITS, extra);
		if (rc < 0) {
			json_decref(document);
			return cs_fail(err, CS_ELIMIT, "%s cannot be written for the shared store",
				       f->key);
		}
	}
	made = document ? json_dumps(document, JSON_COMPACT) : NULL;
	json_decref(document);
	if (!made)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	if (strlen(made) >= IKE_SHARED_ROW_MAX) {
		free(made);
		return cs_fail(err, CS_ELIMIT, "the SA has more than %d bytes of attributes",
			       IKE_SHARED_ROW_MAX - 1);
	}
	*text = made;
	return 0;
}

int ike_shared_put_p1(const struct ike_p1_info *info, char **text, struct cs_err *err)
{
	if (!info->suite.cipher || !info->suite.hash || !info->suite.group)
		return cs_fail(err, CS_EINVAL, "K%u has agreed on nothing yet", info->tunnel);
	return put(p1_fields, info, text, err);
}

int ike_shared_put_p2(const struct ike_p2_info *info, char **text, struct cs_err *err)
{
	return put(p2_fields, info, text, err);
}

/* ---- reading ---- */

static void store_uint(void *at, size_t size, uint64_t v)
{
	uint8_t v8 = (uint8_t)v;
	uint16_t v16 = (uint16_t)v;
	uint32_t v32 = (uint32_t)v;

	switch (size) {
	case sizeof(v8):
		memcpy(at, &v8, size);
		return;
	case sizeof(v16):
		memcpy(at, &v16, size);
		return;
	case sizeof(v32):
		memcpy(at, &v32, size);
		return;
	default:
		memcpy(at, &v, sizeof(v));
	}
}

static bool get_number(const json_t *v, uint64_t min, uint64_t max, uint64_t *n)
{
	json_int_t i = json_integer_value(v);

	if (!json_is_integer(v) || i < 0 || (uint64_t)i < min || (uint64_t)i > max)
		return false;
	*n = (uint64_t)i;
	return true;
}

/* A string without NUL in it (jansson refuses them) of at most max bytes. */
static const char *get_string(const json_t *v, size_t max)
{
	return json_is_string(v) && json_string_length(v) <= max ? json_string_value(v) : NULL;
}

static bool get_text(const json_t *v, char *at, size_t size)
{
	const char *text = get_string(v, size - 1);

	if (text)
		memcpy(at, text, strlen(text) + 1);
	return text != NULL;
}

static bool get_addr(const json_t *v, bool required, struct cs_addr *a)
{
	const char *text = get_string(v, CS_ADDR_STRLEN - 1);

	if (!text)
		return false;
	return *text ? cs_addr_parse(text, a, NULL) == 0 : !required;
}

static bool get_range(const json_t *v, struct cs_range *r)
{
	const char *text = get_string(v, CS_RANGE_STRLEN - 1);

	return text && (!*text || cs_range_parse(text, r, NULL) == 0);
}

static bool get_hex(const json_t *v, uint8_t *at, size_t size)
{
	const char *text = get_string(v, 2 * size);

	return text && cs_unhex(text, at, size) == (int)size;
}

/* Bytes go one behind the other into memory that has half the length of the text. */
static bool get_bytes(struct ike_shared_row *row, const json_t *v, size_t max, size_t *used,
		      struct cs_bytes *b)
{
	const char *text = get_string(v, 2 * max);
	int len = text ? cs_unhex(text, row->ids + *used, max) : -1;

	if (len < 0)
		return false;
	*b = (struct cs_bytes){row->ids + *used, (size_t)len};
	*used += (size_t)len;
	return true;
}

/* By number and, of a cipher, key length. NULL with number 0. */
static bool get_algorithm(enum kind kind, const json_t *v, const json_t *bits, const void **row)
{
	uint64_t n, key_bits = 0;

	if (!get_number(v, 0, UINT16_MAX, &n))
		return false;
	if ((kind == F_CIPHER || kind == F_ESP_CIPHER) &&
	    !get_number(bits, 0, UINT16_MAX, &key_bits))
		return false;
	*row = NULL;
	if (n == 0)
		return kind == F_ESP_CIPHER || kind == F_INTEG;
	if (kind == F_CIPHER)
		*row = cs_cipher_by_ike((unsigned)n, (unsigned)key_bits);
	else if (kind == F_ESP_CIPHER)
		*row = cs_cipher_by_esp((unsigned)n, (unsigned)key_bits);
	else if (kind == F_HASH)
		*row = cs_hash_by_ike((unsigned)n);
	else if (kind == F_GROUP)
		*row = cs_group_by_number((unsigned)n);
	else
		*row = cs_integ_by_esp((unsigned)n);
	return *row != NULL;
}

static bool take(struct ike_shared_row *row, const struct field *f, char *at, size_t *used)
{
	const json_t *v = json_object_get(row->document, f->key);
	const void *algorithm;
	uint64_t n;

	switch (f->kind) {
	case F_UINT:
		if (!get_number(v, 0, f->max, &n))
			return false;
		store_uint(at, f->size, n);
		return true;
	case F_ENUM:
		if (!get_number(v, f->min, f->max, &n))
			return false;
		store_uint(at, sizeof(unsigned), n);
		return true;
	case F_TIME:
		if (!get_number(v, 0, IKE_WALL_MAX, &n))
			return false;
		store_uint(at, sizeof(int64_t), n);
		return true;
	case F_BOOL:
		*(bool *)(void *)at = json_is_true(v);
		return json_is_boolean(v);
	case F_NAME:
		*(const char **)(void *)at = get_string(v, f->max);
		return *(const char **)(void *)at != NULL;
	case F_TEXT:
		return get_text(v, at, f->size);
	case F_ADDR:
		return get_addr(v, f->min != 0, (void *)at);
	case F_RANGE:
		return get_range(v, (void *)at);
	case F_HEX:
		return get_hex(v, (uint8_t *)at, f->size);
	case F_BYTES:
		return get_bytes(row, v, f->max, used, (void *)at);
	case F_CIPHER:
	case F_ESP_CIPHER:
	case F_HASH:
	case F_GROUP:
	case F_INTEG:
		if (!get_algorithm(f->kind, v, json_object_get(row->document, KEY_BITS),
				   &algorithm))
			return false;
		*(const void **)(void *)at = algorithm;
		return true;
	}
	return false;
}

/* What no single key shows. */
static const char *odd(const struct ike_shared_row *row)
{
	const struct ike_p2_info *p2 = &row->p2;

	if (row->kind == 'K')
		return row->p1.local.addr.family == row->p1.remote.addr.family ? NULL
									       : "remote_addr";
	if (p2->local.family != p2->remote.family)
		return "remote_addr";
	if (p2->selector.local.lo.family != p2->selector.remote.lo.family)
		return "remote_range";
	if ((p2->suite.protocol == POL_ESP) != (p2->suite.cipher != NULL))
		return "cipher";
	if (p2->suite.protocol == POL_AH && !p2->suite.integ)
		return "integ";
	return NULL;
}

int ike_shared_get(char kind, const char *text, size_t len, struct ike_shared_row *row,
		   struct cs_err *err)
{
	const struct field *fields = kind == 'K' ? p1_fields : p2_fields;
	char *info;
	const char *wrong = NULL;
	size_t used = 0;

	memset(row, 0, sizeof(*row));
	info = kind == 'K' ? (char *)&row->p1 : (char *)&row->p2;
	row->kind = kind;
	if (len >= IKE_SHARED_ROW_MAX)
		return cs_fail(err, CS_EPARSE, "the attributes have more than %d bytes",
			       IKE_SHARED_ROW_MAX - 1);
	row->document = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	row->ids = malloc(2 * ID_PAYLOAD_MAX);
	if (!row->ids) {
		ike_shared_row_clear(row);
		return cs_fail(err, CS_ENOMEM, "out of memory");
	}
	if (!json_is_object(row->document)) {
		ike_shared_row_clear(row);
		return cs_fail(err, CS_EPARSE, "the attributes are no JSON object");
	}
	for (const struct field *f = fields; !wrong && f->key; f++)
		if (!take(row, f, info + f->at, &used))
			wrong = f->key;
	if (!wrong)
		wrong = odd(row);
	if (wrong) {
		const char *how =
			json_object_get(row->document, wrong) ? "not understood" : "missing";

		ike_shared_row_clear(row);
		return cs_fail(err, CS_EPARSE, "%s is %s", wrong, how);
	}
	row->p1.state = IKE_P1_DONE;
	row->p2.state = IKE_P2_DONE;
	row->p2.suite.group = row->p2.pfs_group;
	return 0;
}

void ike_shared_row_clear(struct ike_shared_row *row)
{
	json_decref(row->document);
	free(row->ids);
	memset(row, 0, sizeof(*row));
}
