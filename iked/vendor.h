/*
 * Vendor IDs (RFC 2408 section 3.16): what a side says of itself in the first message that it
 * sends. An ID promises a feature and nothing else; unknown ones mean nothing, and their order
 * means nothing.
 */
#ifndef IKE_VENDOR_H
#define IKE_VENDOR_H

#include "iked/isakmp.h"

/* Bits of what the peer can. */
#define IKE_CAN_DPD       1u /* RFC 3706 */
#define IKE_CAN_FRAGMENTS 2u /* fragment.c */
#define IKE_CAN_XAUTH     4u /* client.c */
/* NAT traversal, see nat.c: the greater the better. Draft 02 is told in two ways. */
#define IKE_CAN_NATT_D2         8u
#define IKE_CAN_NATT_D2_NEWLINE 16u
#define IKE_CAN_NATT_D3         32u
#define IKE_CAN_NATT_RFC        64u
#define IKE_CAN_NATT                                                                               \
	(IKE_CAN_NATT_D2 | IKE_CAN_NATT_D2_NEWLINE | IKE_CAN_NATT_D3 | IKE_CAN_NATT_RFC)

/*
 * Ours, as many as the message may hold; room: how long it may become, 0: no bound. What the peer
 * so learns that we can. say: which of IKE_CAN_XAUTH and IKE_CAN_NATT; the others are always said.
 */
unsigned ike_vendor_put(struct isa_builder *b, size_t room, unsigned say);
unsigned ike_vendor_read(const struct isa_message *m);

#endif
