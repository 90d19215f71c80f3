/* Messages of the shared store. All numbers are big-endian, all lengths stand before the bytes. */
#include "iked/shared_wire.h"

#include <string.h>

#define WIRE_VERSION 1

int ike_shared_put_message(const struct ike_shared_message *m, uint8_t *packet, size_t cap,
			   size_t *len, struct cs_err *err)
{
	struct cs_writer w = cs_writer_of(packet, cap);
	size_t host = strlen(m->host);

	cs_put_u8(&w, WIRE_VERSION);
	cs_put_u8(&w, (uint8_t)m->kind);
	cs_put_u64(&w, m->serial);
	cs_put_u64(&w, m->epoch);
	cs_put_u8(&w, m->address.family);
	cs_put_bytes(&w, m->address.b, cs_addr_len(m->address.family));
	cs_put_u8(&w, (uint8_t)host);
	cs_put_bytes(&w, m->host, host);
	cs_put_u8(&w, (uint8_t)m->sa);
	cs_put_u32(&w, m->tunnel);
	cs_put_u32(&w, m->generation);
	cs_put_u32(&w, m->parent);
	cs_put_u64(&w, (uint64_t)m->used);
	cs_put_u64(&w, (uint64_t)m->expires);
	cs_put_u8(&w, (uint8_t)-m->status);
	cs_put_u8(&w, m->flag);
	cs_put_u8(&w, m->is_seen);
	cs_put_u64(&w, m->seen);
	cs_put_u32(&w, (uint32_t)m->text.len);
	cs_put_bytes(&w, m->text.p, m->text.len);
	if (!cs_writer_ok(&w))
		return cs_fail(err, CS_ELIMIT, "a message has more than %zu bytes", cap);
	*len = w.len;
	return 0;
}

static bool get_address(struct cs_reader *r, struct cs_addr *a)
{
	uint8_t family;
	struct cs_bytes b;

	if (!cs_get_u8(r, &family) || (family && !cs_addr_len(family)) ||
	    !cs_get_bytes(r, cs_addr_len(family), &b))
		return false;
	if (family)
		*a = cs_addr_from_bytes(family, b.p);
	return true;
}

static bool get_host(struct cs_reader *r, char host[static IKE_SHARED_HOST])
{
	uint8_t len;
	struct cs_bytes b;

	if (!cs_get_u8(r, &len) || len >= IKE_SHARED_HOST || !cs_get_bytes(r, len, &b) ||
	    memchr(b.p, '\0', b.len))
		return false;
	memcpy(host, b.p, b.len);
	host[b.len] = '\0';
	return true;
}

static bool get_time(struct cs_reader *r, int64_t *t)
{
	uint64_t v;

	if (!cs_get_u64(r, &v) || v > INT64_MAX)
		return false;
	*t = (int64_t)v;
	return true;
}

static bool get_sa(struct cs_reader *r, struct ike_shared_message *m)
{
	uint8_t sa;

	if (!cs_get_u8(r, &sa) || (sa != 0 && sa != 'K' && sa != 'Y'))
		return false;
	m->sa = (char)sa;
	return cs_get_u32(r, &m->tunnel) && cs_get_u32(r, &m->generation) &&
	       cs_get_u32(r, &m->parent) && get_time(r, &m->used) && get_time(r, &m->expires);
}

static bool get_rest(struct cs_reader *r, struct ike_shared_message *m)
{
	uint8_t status, flag, is_seen;
	uint32_t len;

	if (!cs_get_u8(r, &status) || status > -(int)CS_EPERM || !cs_get_u8(r, &flag) || flag > 1 ||
	    !cs_get_u8(r, &is_seen) || is_seen > 1 || !cs_get_u64(r, &m->seen) ||
	    !cs_get_u32(r, &len) || !cs_get_bytes(r, len, &m->text) || cs_reader_left(r) ||
	    memchr(m->text.p, '\0', m->text.len))
		return false;
	m->status = -(int)status;
	m->flag = flag != 0;
	m->is_seen = is_seen != 0;
	return true;
}

/* What a message of its kind is nothing without. */
static bool is_whole(const struct ike_shared_message *m)
{
	switch (m->kind) {
	case IKE_SH_PUT:
	case IKE_SH_USED:
	case IKE_SH_DROP:
	case IKE_SH_ROW:
		return m->address.family && m->sa;
	case IKE_SH_ARRIVE:
	case IKE_SH_FOUND:
	case IKE_SH_AGAIN:
	case IKE_SH_WATCH:
	case IKE_SH_LEAVE:
	case IKE_SH_VACANT:
	case IKE_SH_CLAIM:
	case IKE_SH_READ:
		return m->address.family;
	case IKE_SH_DIFFERS:
		return m->host[0];
	case IKE_SH_POLICY:
		return m->text.len == 2 * POL_CONTENT_LEN;
	default:
		return true;
	}
}

int ike_shared_get_message(const uint8_t *packet, size_t len, struct ike_shared_message *m,
			   struct cs_err *err)
{
	struct cs_reader r = cs_reader_of(packet, len);
	uint8_t version, kind;

	memset(m, 0, sizeof(*m));
	if (!cs_get_u8(&r, &version) || version != WIRE_VERSION || !cs_get_u8(&r, &kind) ||
	    kind < IKE_SH_ARRIVE || kind > IKE_SH_LAST || !cs_get_u64(&r, &m->serial) ||
	    !cs_get_u64(&r, &m->epoch) || !get_address(&r, &m->address) || !get_host(&r, m->host) ||
	    !get_sa(&r, m) || !get_rest(&r, m))
		return cs_fail(err, CS_EPARSE, "a message of the shared store is malformed");
	m->kind = (enum ike_shared_kind)kind;
	if (!is_whole(m))
		return cs_fail(err, CS_EPARSE, "a message of the shared store lacks something");
	return 0;
}
