/* Vendor IDs. */
#include "iked/vendor.h"

#include <string.h>

static const struct vendor {
	unsigned can; /* 0: says only who it is */
	uint8_t id[16];
} vendors[] = {
	/* The last two bytes are the version, 1.0. */
	/* Dead peer detection. */
	{IKE_CAN_DPD,
	 {0xaf, 0xca, 0xd7, 0x13, 0x68, 0xa1, 0xf1, 0xc9, 0x6b, 0x86, 0x96, 0xfc, 0x77, 0x57, 0x01,
	  0x00}},
	/* Ours: recognisable, and no promise of any feature. */
	{0,
	 {0x63, 0x73, 0x69, 0x70, 0x73, 0x65, 0x63, 0x9e, 0x41, 0xd7, 0x0c, 0x5b, 0x88, 0x26, 0xf3,
	  0x01}},
};
#define N_VENDORS (sizeof(vendors) / sizeof(vendors[0]))

void ike_vendor_put(struct isa_builder *b, size_t room)
{
	for (size_t i = 0; i < N_VENDORS; i++)
		if (!room || b->w.len + 4 + sizeof(vendors[i].id) <= room)
			isa_put(b, ISA_VENDOR, vendors[i].id, sizeof(vendors[i].id));
}

unsigned ike_vendor_read(const struct isa_message *m)
{
	const struct isa_payload *p;
	unsigned can = 0;

	for (unsigned n = 0; (p = isa_find(m, ISA_VENDOR, n)); n++)
		for (size_t i = 0; i < N_VENDORS; i++)
			if (p->body.len == sizeof(vendors[i].id) &&
			    !memcmp(p->body.p, vendors[i].id, sizeof(vendors[i].id)))
				can |= vendors[i].can;
	return can;
}
