/* Vendor IDs. */
#include "iked/vendor.h"

#include <string.h>

#define ID_MAX    20
#define SOMETIMES (IKE_CAN_XAUTH | IKE_CAN_NATT)

static const struct vendor {
	unsigned can; /* 0: says only who it is */
	uint8_t len, significant;
	uint8_t id[ID_MAX];
} vendors[] = {
	/*
	 * NAT traversal, first because a message 2 that may not be long needs it most. Each is the
	 * MD5 of the document's name, of draft 02 with and without a newline behind it.
	 */
	{IKE_CAN_NATT_RFC,
	 16,
	 16,
	 {0x4a, 0x13, 0x1c, 0x81, 0x07, 0x03, 0x58, 0x45, 0x5c, 0x57, 0x28, 0xf2, 0x0e, 0x95, 0x45,
	  0x2f}},
	{IKE_CAN_NATT_D3,
	 16,
	 16,
	 {0x7d, 0x94, 0x19, 0xa6, 0x53, 0x10, 0xca, 0x6f, 0x2c, 0x17, 0x9d, 0x92, 0x15, 0x52, 0x9d,
	  0x56}},
	{IKE_CAN_NATT_D2_NEWLINE,
	 16,
	 16,
	 {0x90, 0xcb, 0x80, 0x91, 0x3e, 0xbb, 0x69, 0x6e, 0x08, 0x63, 0x81, 0xb5, 0xec, 0x42, 0x7b,
	  0x1f}},
	{IKE_CAN_NATT_D2,
	 16,
	 16,
	 {0xcd, 0x60, 0x46, 0x43, 0x35, 0xdf, 0x21, 0xf8, 0x7c, 0xfd, 0xb2, 0xfc, 0x68, 0xb6, 0xa4,
	  0x48}},
	/* Dead peer detection. The last two bytes are the version, 1.0. */
	{IKE_CAN_DPD,
	 16,
	 16,
	 {0xaf, 0xca, 0xd7, 0x13, 0x68, 0xa1, 0xf1, 0xc9, 0x6b, 0x86, 0x96, 0xfc, 0x77, 0x57, 0x01,
	  0x00}},
	/* Fragments. Four bytes of modes follow, Main and Aggressive; some peers leave them out. */
	{IKE_CAN_FRAGMENTS, 20, 16, {0x40, 0x48, 0xb7, 0xd5, 0x6e, 0xbc, 0xe8, 0x85, 0x25, 0xe7,
				     0xde, 0x7f, 0x00, 0xd6, 0xc2, 0xd3, 0xc0, 0x00, 0x00, 0x00}},
	/* XAuth. */
	{IKE_CAN_XAUTH, 8, 8, {0x09, 0x00, 0x26, 0x89, 0xdf, 0xd6, 0xb7, 0x12}},
	/* Ours: recognisable, and no promise of any feature. */
	{0,
	 16,
	 16,
	 {0x63, 0x73, 0x69, 0x70, 0x73, 0x65, 0x63, 0x9e, 0x41, 0xd7, 0x0c, 0x5b, 0x88, 0x26, 0xf3,
	  0x01}},
};
#define N_VENDORS (sizeof(vendors) / sizeof(vendors[0]))

unsigned ike_vendor_put(struct isa_builder *b, size_t room, unsigned say)
{
	unsigned told = 0;

	for (size_t i = 0; i < N_VENDORS; i++) {
		if (vendors[i].can & SOMETIMES & ~say)
			continue;
		if (room && b->w.len + 4 + vendors[i].len > room)
			continue;
		isa_put(b, ISA_VENDOR, vendors[i].id, vendors[i].len);
		told |= vendors[i].can;
	}
	return told;
}

static bool is_vendor(const struct vendor *v, struct cs_bytes body)
{
	return (body.len == v->len || body.len == v->significant) &&
	       !memcmp(body.p, v->id, v->significant);
}

unsigned ike_vendor_read(const struct isa_message *m)
{
	const struct isa_payload *p;
	unsigned can = 0;

	for (unsigned n = 0; (p = isa_find(m, ISA_VENDOR, n)); n++)
		for (size_t i = 0; i < N_VENDORS; i++)
			if (is_vendor(&vendors[i], p->body))
				can |= vendors[i].can;
	return can;
}
