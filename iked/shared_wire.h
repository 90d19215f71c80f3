/*
 * What the worker and the helper of the shared store say to each other, one message a packet of a
 * SOCK_SEQPACKET pair, all of one form.  Neither trusts the other; whatever comes is checked.
 */
#ifndef IKE_SHARED_WIRE_H
#define IKE_SHARED_WIRE_H

#include "iked/shared.h"
#include "iked/shared_row.h"

#define IKE_SHARED_MESSAGE_MAX (IKE_SHARED_ROW_MAX + 512)
/* Writes that the worker has under way at most; the helper ends when there are more. */
#define IKE_SHARED_WINDOW 512

/* After each what of struct ike_shared_message it has; the rest is zero. */
enum ike_shared_kind {
	/* To the helper. */
	/* address, serial, epoch that is ours or 0, flag: its SAs are wanted; is_seen: host and
	 * seen were read when it came, and its claim has not been answered */
	IKE_SH_ARRIVE = 1,
	IKE_SH_FOUND,  /* the same of one that was here already when the worker began */
	IKE_SH_AGAIN,  /* address, serial of this question: its SAs are wanted, as nothing was read
			*/
	IKE_SH_WATCH,  /* address, serial: it is here and another host's */
	IKE_SH_LEAVE,  /* address */
	IKE_SH_PUT,    /* serial, address, SA, parent, used, expires, text: document */
	IKE_SH_USED,   /* serial, address, SA, used */
	IKE_SH_DROP,   /* serial, address, SA, host: whose, "": this one's */
	IKE_SH_POLICY, /* text: digest in hex */
	/* From it. */
	IKE_SH_VACANT, /* address, serial of the arrival, host, epoch: it is here and another
			* host's, who has let go of it or is silent */
	IKE_SH_CLAIM,  /* address, serial of the arrival, host: owner, epoch, flag: ours */
	IKE_SH_ROW,    /* address, serial of the arrival, SA, host, flag: it is ours, used, text */
	IKE_SH_READ, /* address, serial of the arrival, status and text: why not; host, epoch: owner
		      */
	IKE_SH_WRITTEN, /* serial: this and all before it */
	IKE_SH_REFUSED, /* serial: this one was not, text: why */
	IKE_SH_AWAY,    /* text: why; what is under way is lost */
	IKE_SH_BACK,
	IKE_SH_NEVER,   /* there is no store, or none that could ever work */
	IKE_SH_DIFFERS, /* host */
	IKE_SH_LAST = IKE_SH_DIFFERS
};

struct ike_shared_message {
	enum ike_shared_kind kind;
	uint64_t serial, epoch;
	struct cs_addr address; /* family 0: none */
	char host[IKE_SHARED_HOST];
	char sa; /* 'K', 'Y' or 0: none */
	uint32_t tunnel, generation, parent;
	int64_t used, expires;
	int status;
	bool flag;
	bool is_seen;
	uint64_t seen;
	struct cs_bytes text; /* without NUL */
};

/* CS_ELIMIT: it has no room. *len is the length of the packet. */
int ike_shared_put_message(const struct ike_shared_message *m, uint8_t *packet, size_t cap,
			   size_t *len, struct cs_err *err);
/* CS_EPARSE. text points into packet. */
int ike_shared_get_message(const uint8_t *packet, size_t len, struct ike_shared_message *m,
			   struct cs_err *err);

#endif
