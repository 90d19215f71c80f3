/*
 * Vendor IDs (RFC 2408 section 3.16): what a side says of itself in the first message that it
 * sends. An ID promises a feature and nothing else; unknown ones mean nothing.
 */
#ifndef IKE_VENDOR_H
#define IKE_VENDOR_H

#include "iked/isakmp.h"

/* Bits of what the peer can. */
#define IKE_CAN_DPD       1u /* RFC 3706 */
#define IKE_CAN_FRAGMENTS 2u /* fragment.c */
#define IKE_CAN_XAUTH     4u /* client.c */

/*
 * Ours, as many as the message may hold; room: how long it may become, 0: no bound. What the peer
 * so learns that we can. xauth: it is a client.
 */
unsigned ike_vendor_put(struct isa_builder *b, size_t room, bool xauth);
unsigned ike_vendor_read(const struct isa_message *m);

#endif
