/* Attributes payloads (draft-dukes-ike-mode-cfg-02 section 3.2). */
#include "iked/config_payload.h"

#include <string.h>

#define BASIC    0x8000u
#define FILL_MAX 3 /* libreswan fills the payload itself up to four bytes */

struct attribute {
	uint16_t type, value; /* value: of a short one, or of two bytes */
	struct cs_bytes data;
};

static bool next_attribute(struct cs_reader *r, struct attribute *a)
{
	struct cs_reader peek;
	uint16_t len = 2;

	if (!cs_get_u16(r, &a->type))
		return false;
	if (!(a->type & BASIC) && !cs_get_u16(r, &len))
		return false;
	a->type &= (uint16_t)~BASIC;
	if (!cs_get_bytes(r, len, &a->data))
		return false;
	peek = cs_reader_of(a->data.p, a->data.len);
	a->value = 0;
	if (a->data.len == 2)
		cs_get_u16(&peek, &a->value);
	return true;
}

static void take(struct ike_config *c, const struct attribute *a)
{
	switch (a->type) {
	case IKE_CFG_ADDRESS:
		c->address = true;
		break;
	case IKE_CFG_NETMASK:
		c->netmask = true;
		break;
	case IKE_CFG_DNS:
		c->dns = true;
		break;
	case IKE_XAUTH_TYPE:
		c->xauth_type = a->value;
		break;
	case IKE_XAUTH_USER:
		c->has_user = true;
		c->user = a->data;
		break;
	case IKE_XAUTH_PASSWORD:
		c->has_password = true;
		c->password = a->data;
		break;
	case IKE_XAUTH_STATUS:
		c->has_status = true;
		c->status = a->value;
		break;
	default: /* what we do not know is not answered */
		break;
	}
}

static bool is_fill(const struct cs_reader *r)
{
	size_t left = cs_reader_left(r);

	for (size_t i = 0; i < left; i++)
		if (r->p[i])
			return false;
	return left <= FILL_MAX;
}

int ike_config_read(const struct isa_message *m, struct ike_config *c, struct cs_err *err)
{
	struct cs_bytes body = isa_find(m, ISA_ATTRIBUTES, 0)->body;
	struct cs_reader r = cs_reader_of(body.p, body.len);
	struct attribute a;
	uint8_t type, reserved;

	memset(c, 0, sizeof(*c));
	if (!cs_get_u8(&r, &type) || !cs_get_u8(&r, &reserved) || !cs_get_u16(&r, &c->id))
		return cs_fail(err, CS_EPARSE, "the attributes payload is cut short");
	c->type = type;
	while (!is_fill(&r)) {
		if (!next_attribute(&r, &a))
			return cs_fail(err, CS_EPARSE, "an attribute is cut short");
		take(c, &a);
	}
	return 0;
}

void ike_config_begin(struct isa_builder *b, enum ike_config_type type, uint16_t id)
{
	isa_payload_begin(b, ISA_ATTRIBUTES);
	cs_put_u8(&b->w, (uint8_t)type);
	cs_put_u8(&b->w, 0);
	cs_put_u16(&b->w, id);
}

void ike_config_basic(struct isa_builder *b, uint16_t type, uint16_t value)
{
	cs_put_u16(&b->w, (uint16_t)(BASIC | type));
	cs_put_u16(&b->w, value);
}

void ike_config_bytes(struct isa_builder *b, uint16_t type, const void *data, size_t len)
{
	cs_put_u16(&b->w, type);
	cs_put_u16(&b->w, (uint16_t)len);
	cs_put_bytes(&b->w, data, len);
}
